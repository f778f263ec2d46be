"""Variants that are named on a transcript, against a gene whose bases are named one by one and edited as text."""

import random

import pandas as pd
import pytest

from foundationless.data.dna import reverse_complement
from foundationless.data.variant_kinds.transcripts import Transcript, changed
from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.plan import read_pairs
from foundationless.tasks.readers import build_set
from support import ROOT

EXONS = [(100, 130), (180, 260), (300, 304), (350, 420)]  # on the contig, 0-based
LENGTH, CODING = 520, (17, 150)  # of the transcript: 17 bases before the start codon; 133 coding, the stop codon too
CONTIG = "".join(random.Random(3).choices("ACGT", k=LENGTH))


def named_bases(strand: str) -> tuple[list[str], str]:
    """The HGVS name of every base from the first exon to the last in the direction of the gene, and these bases."""
    text = CONTIG if strand == "+" else reverse_complement(CONTIG)
    exons = EXONS if strand == "+" else [(LENGTH - b, LENGTH - a) for a, b in reversed(EXONS)]
    start, end = CODING
    counted = [
        f"-{start - at}" if at < start else str(at - start + 1) if at < end else f"*{at - end + 1}"
        for at in range(sum(b - a for a, b in exons))
    ]
    names, at = [], 0
    for number, (low, high) in enumerate(exons):
        names += counted[at : at + high - low]
        at += high - low
        if number + 1 < len(exons):
            intron = exons[number + 1][0] - high
            half = (intron + 1) // 2  # of an odd number the middle one counts from the left
            names += [f"{counted[at - 1]}+{i + 1}" for i in range(half)]
            names += [f"{counted[at]}-{intron - half - i}" for i in range(intron - half)]
    return names, text[exons[0][0] : exons[-1][1]]


def gtf(path, strand):
    """A GTF of the gene as GENCODE writes it: the stop codon, here in two exons, is no part of the CDS."""
    ordered = EXONS if strand == "+" else list(reversed(EXONS))
    lines, at = ["##format: gtf"], 0
    for low, high in ordered:
        parts = [("exon", 0, high - low)]
        for kind, first, last in (("CDS", CODING[0], CODING[1] - 3), ("stop_codon", CODING[1] - 3, CODING[1])):
            parts.append((kind, max(first - at, 0), min(last - at, high - low)))
        for kind, first, last in parts:
            if first < last:
                a, b = (low + first, low + last) if strand == "+" else (high - last, high - first)
                told = 'gene_id "G"; gene_name "GENE"; transcript_id "ENST1.4";'
                lines.append(f"chr7\tx\t{kind}\t{a + 1}\t{b}\t.\t{strand}\t.\t{told}")
        at += high - low
    path.write_text("\n".join(lines) + "\n")
    return path


def edits(strand: str, count: int):
    """(name, edited bases of the gene) of changes of every kind, drawn at random."""
    names, text = named_bases(strand)
    generator = random.Random(7)
    for number in range(count):
        first = generator.randrange(len(names) - 8)
        last = first + generator.choice([0, 0, 1, 3])
        place = names[first] if first == last else f"{names[first]}_{names[last]}"
        stated = generator.choice(["", text[first : last + 1]])
        new = "".join(generator.choices("ACGT", k=generator.choice([1, 2, 5])))
        before, old, after = text[:first], text[first : last + 1], text[last + 1 :]
        kind = ("sub", "del", "dup", "ins", "delins")[number % 5]
        if kind == "sub":
            alt = generator.choice([base for base in "ACGT" if base != text[first]])
            yield f"c.{names[first]}{text[first]}>{alt}", before + alt + text[first + 1 :]
        elif kind == "del":
            yield f"c.{place}del{stated}", before + after
        elif kind == "dup":
            yield f"c.{place}dup{stated}", before + old * 2 + after
        elif kind == "ins":
            yield f"c.{names[first]}_{names[first + 1]}ins{new}", before + text[first] + new + text[first + 1 :]
        elif new != old:
            yield f"c.{place}del{stated}ins{new}", before + new + after


@pytest.fixture
def build(tmp_path):
    (tmp_path / "genome.fa").write_text(f">chr7\n{CONTIG}\n")

    def make(rows, strand="+", reader="transcript_variants", header=("hgvs_nt",), **options):
        pd.DataFrame(rows, columns=list(header)).to_csv(tmp_path / "t.csv", index=False)
        sources = {"table": tmp_path / "t.csv", "genome": tmp_path / "genome.fa"}
        sources["genes"] = gtf(tmp_path / "genes.gtf", strand)
        return build_set(reader, sources, {"length": "64"} | options, 0)

    return make


@pytest.mark.parametrize("strand", ["+", "-"])
def test_changes_of_every_kind_edit_the_gene_as_their_names_say(build, strand):
    changes = list(edits(strand, 400))
    rows = [(f"ENST1.4:{name}", number) for number, (name, _) in enumerate(changes)]
    made = build(rows, strand, header=("hgvs_nt", "score"), score="score")
    low, high = EXONS[0][0], EXONS[-1][1]
    expected = {gene for _, gene in changes if gene != named_bases(strand)[1]}
    found = set()
    for position, ref, alt in made[["position", "ref", "alt"]].itertuples(index=False):
        assert CONTIG[position - 1 : position - 1 + len(ref)] == ref
        edited = CONTIG[: position - 1] + alt + CONTIG[position - 1 + len(ref) :]
        gene = edited[low : len(edited) - (LENGTH - high)]
        found.add(gene if strand == "+" else reverse_complement(gene))
    assert found == expected
    assert set(made["kind"]) == {"snv", "insertion", "deletion", "delins", "mnv"}
    assert set(made["gene"]) == {"GENE"} and set(made["exon"]) == {"X1", "X2", "X3", "X4"}


def substitution(strand: str, name: str) -> str:
    """A change of the base of that name into another."""
    names, text = named_bases(strand)
    base = text[names.index(name)]
    return f"c.{name}{base}>{'A' if base != 'A' else 'C'}"


@pytest.mark.parametrize("strand", ["+", "-"])
def test_distance_to_the_splice_site_is_that_of_the_name_in_introns(build, strand):
    names, _ = named_bases(strand)
    made = build([(f"ENST1.4:{substitution(strand, name)}",) for name in names], strand)
    known = dict(zip(made["position"], made["splice_distance"], strict=True))
    low, high = EXONS[0][0], EXONS[-1][1]
    places = range(low + 1, high + 1) if strand == "+" else range(high, low, -1)
    for name, place in zip(names, places, strict=True):
        signs = [part for part in name[1:].replace("-", "+").split("+")][1:]
        if signs:
            assert known[place] == int(signs[0])
    edges = [b for _, b in EXONS[:-1]] + [a + 1 for a, _ in EXONS[1:]]  # 1-based bases of exons beside introns
    assert [known[place] for place in edges] == [1] * 6 and known[low + 1] == 30


def test_thresholds_or_words_make_labels(build):
    told = [
        ("1", -0.41, "fast depleted"),
        ("2", -0.4, "enriched"),
        ("13+1", -0.22, "unchanged"),
        ("*3", "NA", "unchanged"),
    ]
    rows = [(f"ENST1.9(GENE):{substitution('+', name)}", score, word) for name, score, word in told]
    header = ("hgvs_nt", "score", "class")
    made = build(rows, header=header, score="score", below="-0.4", above="-0.22").set_index("position")
    assert made["label"].fillna("").tolist() == ["pathogenic", "", "benign", ""]
    words = "fast_depleted:pathogenic,unchanged:benign,enriched:unknown"
    made = build(rows, header=header, label="class", labels=words, unlabelled="no")
    assert made["label"].tolist() == ["pathogenic", "benign", "benign"] and made["score"].isna().all()
    for wrong in ({"below": "-0.4"}, {"below": "1", "above": "0"}, {"below": "0", "above": "1", "label": "class"}):
        with pytest.raises(UserError, match="below and above make labels"):
            build(rows, header=header, score="score", **wrong)


IMPOSSIBLE = (
    ("c.14+3A>G", "in an intron where"),  # base 14 is the last of no exon on either strand
    ("c.{edge}+99A>G", "in an intron where"),
    ("c.134A>G", "beyond the ends"),  # the stop codon ends at 133
    ("c.-18A>G", "beyond the ends"),
    ("c.1_3insA", "which are not neighbours"),
)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(("name", "said"), IMPOSSIBLE)
def test_names_that_the_transcript_cannot_have_are_refused(build, strand, name, said):
    edge = next(name for name in named_bases(strand)[0] if name.endswith("+1")).removesuffix("+1")
    good = [(substitution(strand, base),) for base in ("1", "2", "3", "*7", "-17")]
    bad = name.format(edge=edge)
    rows = [*good, (bad,)]
    with pytest.raises(UserError, match=f"1 .*{said}.*the first of these "):
        build(rows, strand, transcript="ENST1")
    assert len(build(rows, strand, transcript="ENST1", mismatches="0.2")) == 5


def test_other_names_and_wrong_letters(build, capsys):
    good = [(f"ENST1.4:{substitution('+', base)}",) for base in ("1", "2", "3", "*7", "-17")]
    others = [("p.Ser4Phe",), ("ENST1.4:c.[1A>G;2A>C]",), ("ENST1.4:c.5_9inv",), ("NA",)]
    assert len(build(good + others)) == 5
    told = capsys.readouterr().err
    assert "2 whose name is not of coding DNA" in told and "2 whose name is not read" in told
    base = named_bases("+")[1][named_bases("+")[0].index("4")]
    wrong = [(f"ENST1.4:c.4{'A' if base != 'A' else 'C'}>{'G' if base != 'G' else 'T'}",)]
    with pytest.raises(UserError, match="REF"):
        build(good + wrong)
    assert len(build(good + wrong, mismatches="0.2")) == 5
    for rows, said in (
        ([("c.1A>G",)], "names no transcript"),
        ([("p.Ser4Phe",)], "no variant is named on coding DNA"),
        ([("ENST2.1:c.1A>G",)], "holds no exon of transcript 'ENST2'"),
    ):
        with pytest.raises(UserError, match=said):
            build(rows)


def test_scores_are_a_regression_whose_splits_keep_exons_whole(build):
    names, _ = named_bases("-")
    rows = [(f"ENST1.4:{substitution('-', name)}", number / 8) for number, name in enumerate(names)]
    options = {"test_exons": "X2", "validation_exons": "X4", "score": "score"}
    made = build(rows, "-", "transcript_values", header=("hgvs_nt", "score"), **options)
    high = EXONS[-1][1]
    position = made["id"].str.split(":").str[1].astype(int)
    assert [f"{value:g}" for value in (high - position) / 8] == made["label"].astype(float).map("{:g}".format).tolist()
    # On this strand the second exon is the third on the contig, with half of the intron on either side.
    assert sorted(position[made["split"] == "test"]) == list(range(281, 328))
    assert all(row.sequence[32] == row.id.split(":")[3] for row in made.itertuples())


@pytest.mark.parametrize("task", ["vhl", "rad51c", "ddx3x", "bap1_scores", "brca2_scores"])
def test_the_sets_of_mavedb_are_read_by_the_options_of_their_tasks(tmp_path, build, task):
    """Miniatures under the columns and words that users of the files quote."""
    row = next(row for row in read_table(ROOT / "config/tasks.tsv", ["task"]) if row["task"] == task)
    names = named_bases("-")[0][::3]
    words = ["fast depleted", "slow depleted", "enriched", "unchanged"]
    rows = [
        (
            f"ENST1.4:{substitution('-', name)}",
            "NA",
            -0.5 + number / 99,
            words[number % 4],
            ("normal", "abnormal")[number % 2],
        )
        for number, name in enumerate(names)
    ]
    header = ("hgvs_nt", "hgvs_pro", "score", "functional_classification")
    header += ("SGE_prediction_of_variant_function_in_NDD_context",)
    made = build(rows, "-", row["reader"], header, **dict(read_pairs(row["options"])) | {"length": "64"})
    assert len(made) == len(names)
    if row["reader"] == "transcript_variants":
        shares = made["label"].fillna("").value_counts(normalize=True).to_dict()
        low = sum(-0.5 + number / 99 < -0.4 for number in range(len(names))) / len(names)
        expected = {"vhl": low, "rad51c": 0.5, "ddx3x": 0.5}[task]
        assert shares["pathogenic"] == pytest.approx(expected, abs=0.01)


def test_a_variant_is_as_near_to_a_splice_site_as_the_nearest_base_that_it_changes():
    """An intron at 1-based bases 151 to 200; what is written before a deletion is not deleted."""
    transcript = Transcript("t", "g", "c", "+", ((100, 150), (200, 250)), (100, 250))
    for distance, position, ref, alt in (
        (7, 193, "AC", "A"),  # base 194
        (1, 194, "ACGTACGT", "A"),  # over the edge at 200
        (21, 179, "CA", "C"),
        (1, 150, "A", "AT"),  # between the last base of the exon and the first of the intron
        (3, 153, "A", "G"),
        (2, 147, "ACG", "TTT"),
    ):
        assert transcript.splice_distance(*changed(position, ref, alt)) == distance


def test_two_scores_of_one_variant_are_told(build, capsys):
    name = substitution("+", "13")
    build([(f"ENST1.4:{name}", "0.1"), (f"ENST1.4:{name}", "0.9")], header=("hgvs_nt", "score"), score="score")
    assert "1 variants stand there with several scores" in capsys.readouterr().err
