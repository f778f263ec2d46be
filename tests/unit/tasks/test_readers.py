"""Readers and derived sets through the command line: what comes out, and how mistakes end."""

import gzip
import random
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.data import samples
from foundationless.data.dna import reverse_complement
from foundationless.data.reference import Piece, prepare_genome
from foundationless.study.readers import READERS, SEQUENCE_READERS
from foundationless.tasks import derivations
from foundationless.tasks.options import KINDS
from foundationless.tasks.readers.mutants import mutate
from foundationless.tasks.readers.places import contig_of
from foundationless.tasks.sequence_sets import read_sequences
from foundationless.tasks.splits import draw_splits
from support import ROOT
from support.commands import building, built, output_of, refused, words


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def build(tmp_path, reader, sources, options=(), *more, name="set.parquet", seed=1):
    return built(tmp_path / name, reader, sources, options, *more, seed=seed)


def prepared(tmp_path, contigs):
    (tmp_path / "raw.fa").write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    prepare_genome([Piece(tmp_path / "raw.fa")], tmp_path / "genome.fa")
    return tmp_path / "genome.fa"


@pytest.fixture
def genome(tmp_path):
    """Three contigs of 6,000 bases."""
    return prepared(tmp_path, {f"chr{number}": dna(6000, number) for number in (1, 2, 3)})


def write_table(path, sequences, labels):
    pd.DataFrame({"sequence": sequences, "label": labels}).to_csv(path, index=False)
    return path


@pytest.fixture
def tables(tmp_path):
    """Train of 100 and test of 40 rows, classes 3 to 1."""
    made = {}
    for split, count, seed in (("train", 100, 100), ("test", 40, 900)):
        labels = ["b" if number % 4 == 0 else "a" for number in range(count)]
        made[split] = write_table(tmp_path / f"{split}.csv", [dna(60, seed + n) for n in range(count)], labels)
    return made


@pytest.mark.parametrize(("flag", "names"), [("--help", SEQUENCE_READERS), ("--explain", ["tx2gene", "test_contigs"])])
def test_what_there_is_to_choose_from_is_told(capsys, flag, names):
    with pytest.raises(SystemExit) as stopped:
        main(["build_sequences", flag])
    assert stopped.value.code == 0
    shown = re.findall(r"\w+", capsys.readouterr().out)
    assert set(names) <= set(shown)


@pytest.mark.parametrize("name", READERS)
def test_a_declaration_has_a_function_and_known_kinds(name):
    reader = READERS[name]
    module, _, function = reader.function.partition(":")
    room = "foundationless.perturbation" if reader.makes == "effects" else "foundationless.tasks.readers"
    assert callable(getattr(import_module(f"{room}.{module}"), function))
    assert reader.makes in ("classes", "variants", "mutants", "transfer", "effects")
    assert set(reader.required) <= set(reader.sources) and reader.explain()
    assert {option.kind for option in reader.options.values()} <= set(KINDS)


def test_one_reader_does_not_import_the_libraries_of_another():
    code = (
        "import sys; from foundationless.errors import UserError; from foundationless.tasks.readers import build_set\n"
        "try: build_set('mutants', {'genome': 'none.fa'}, {}, 0)\n"
        "except UserError: print([name for name in ('cyvcf2', 'openpyxl', 'rdata') if name in sys.modules])"
    )
    assert output_of(sys.executable, "-c", code, cwd=ROOT / "workflow").strip() == "[]"


def test_table_draws_a_stratified_validation_split(tmp_path, tables, capsys):
    frame = build(tmp_path, "table", tables, ["validation_fraction=0.2"])
    counts = frame.groupby(["split", "label"]).size()
    assert counts["train"].to_dict() == {"a": 60, "b": 20} and counts["validation"].to_dict() == {"a": 15, "b": 5}
    assert counts["test"].to_dict() == {"a": 30, "b": 10}
    assert "set.parquet: train 80 (a 60, b 20); validation 20" in capsys.readouterr().err
    again = build(tmp_path, "table", tables, ["validation_fraction=0.2"], name="again.parquet")
    other = build(tmp_path, "table", tables, ["validation_fraction=0.2"], seed=2, name="other.parquet")
    assert (tmp_path / "set.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()
    assert frame.equals(again) and not frame["split"].equals(other["split"])


def test_table_by_contig_is_safe(tmp_path, genome):
    """On chr1 test only, elsewhere train only; a sequence of both is in neither, an unknown one too."""
    one, two = dna(6000, 1), dna(6000, 2)
    changed = "A" + two[2001:2100] + ("C" if two[2100] != "C" else "G") + two[2101:2200]
    sequences = [one[100:200], reverse_complement(two[300:400]), dna(100, 77), changed]
    train = write_table(tmp_path / "train.csv", sequences, list("abab"))
    test = write_table(tmp_path / "test.csv", [one[1000:1100], two[500:600], dna(100, 78)], list("aba"))
    sources = {"train": train, "test": test, "genome": genome}
    frame = build(tmp_path, "table", sources, ["test_contigs=1", "validation_fraction=0"])
    rows = [" ".join(row) for row in frame[["id", "split", "group"]].to_numpy()]
    assert rows == ["train_2 train chr2", "train_4 train chr2", "test_1 test chr1"]


def test_validation_by_contig_takes_whole_contigs(tmp_path):
    """Windows of one chromosome overlap their neighbours, so none may validate what others trained."""
    contigs = {f"chr{number}": dna(2000, number) for number in range(1, 13)}
    windows = [text[at : at + 100] for text in contigs.values() for at in range(0, 1000, 50)]
    table = write_table(tmp_path / "all.csv", windows, ["ab"[n % 2] for n in range(len(windows))])
    sources = {"train": table, "test": table, "genome": prepared(tmp_path, contigs)}
    frame = build(tmp_path, "table", sources, ["test_contigs=1,2", "validation_fraction=0.2"])
    owners = {split: set(rows["group"]) for split, rows in frame.groupby("split")}
    assert owners["test"] == {"chr1", "chr2"} and owners["validation"]
    assert not owners["train"] & owners["validation"]


def test_fasta_classes_merges_and_makes_ids_unique(tmp_path):
    sources = {}
    for label in ("strong", "weak", "non"):
        path = tmp_path / f"{label}.fa"
        path.write_text(f">chr5_1_2\n{dna(30, 1)}\n{dna(20, 2)}\n>same {label}\n{dna(50, 3).lower()}")
        sources |= {f"{split}.{label}": path for split in ("train", "test")}
    frame = build(tmp_path, "fasta_classes", sources, ["merge=strong+weak:enhancer", "validation_fraction=0"])
    counts = frame.groupby(["split", "label"]).size().unstack()
    assert counts.index.tolist() == ["test", "train"] and (counts == {"enhancer": 4, "non": 2}).all(axis=None)
    assert frame["sequence"][0] == dna(30, 1) + dna(20, 2) and frame["sequence"][1] == dna(50, 3)
    assert frame["group"][0] == "chr5" and frame["group"][1] == frame["id"][1]


def test_contig_of_header():
    assert contig_of("chr2_87930085_87930285") == "chr2" and contig_of("Chr11_6627824_6628024") == "chr11"
    assert contig_of("chrX_2970600_2970800") == "chrX" and contig_of("same strong") is None
    assert contig_of("hg19_ct_UserTrack_3545_11005range=chr11:132363991-1323641905'pad=0 3'pad=0") == "chr11"
    assert contig_of("hg19_ct_UserTrack_3545_158 range=chr12:78319870-78393869 5'pad=0") == "chr12"


def test_intervals_equal_bedtools(tmp_path, genome, tool):
    generator = random.Random(4)
    lines = []
    for number, start in enumerate(generator.randrange(5900) for _ in range(60)):
        cells = f"chr{generator.choice('123')}", start, start + 1 + number, "ab"[number % 2], 0, "+-"[number % 3 == 0]
        lines.append("\t".join(map(str, cells)))
    bed = tmp_path / "places.bed"
    bed.write_text("\n".join(dict.fromkeys(lines)) + "\n")
    frame = build(tmp_path, "intervals", {"bed": bed, "genome": genome}, ["test_contigs=3", "validation_contigs=2"])
    answer = output_of(tool("bedtools"), "getfasta", "-s", "-tab", "-fi", genome, "-bed", bed)
    expected = dict(line.split("\t") for line in answer.splitlines())
    assert dict(zip(frame["id"], frame["sequence"], strict=True)) == expected
    assert set(frame["split"] + " " + frame["group"]) == {"test chr3", "validation chr2", "train chr1"}


def test_genes_from_gtf_and_bed(tmp_path, genome):
    rows, bed = [], []
    for number in range(40):
        contig, start, strand = "123"[number % 3], 100 * number + 1, "+-"[number % 2]
        kind = ["lncRNA", "miRNA"][number % 4 == 0]
        for feature, end, more in (("gene", start + 49, f' gene_biotype "{kind}";'), ("exon", start + 9, "")):
            rows.append(f'{contig}\tx\t{feature}\t{start}\t{end}\t.\t{strand}\t.\tgene_id "G{number}";{more}')
        bed.append(f"chr{contig}\t{start - 1}\t{start + 49}\t{strand}\tG{number}\tS{number}\t{kind}")
    bed.append("chr9\t5\t50\t+\tG99\tS99\tlncRNA")
    rows.append('1\tx\tgene\t1\t50\t.\t+\t.\tgene_id "G0.1_PAR_Y"; gene_biotype "lncRNA";')  # a second copy
    with gzip.open(tmp_path / "genes.gtf.gz", "wt") as stream:
        stream.write("#!build\n" + "\n".join(rows) + "\n")
    (tmp_path / "genes.bed").write_text("\n".join(bed) + "\n")
    options = ["max_per_class=20", "fractions=0.6,0.2,0.2"]
    paths = [{"genes": tmp_path / name, "genome": genome} for name in ("genes.gtf.gz", "genes.bed")]
    made = [build(tmp_path, "genes", sources, options) for sources in paths]
    assert made[0].equals(made[1]) and made[0]["label"].value_counts().to_dict() == {"lncRNA": 20, "miRNA": 10}
    assert made[0].groupby("split").size().to_dict() == {"test": 6, "train": 18, "validation": 6}
    assert not made[0]["id"].str.contains("PAR_Y").any()
    by_id = made[0].set_index("id")["sequence"]
    assert by_id["G4"] == dna(6000, 2)[400:450] and by_id["G8"] == dna(6000, 3)[800:850]
    options = ["classes=miRNA", "test_contigs=chr1", "validation_contigs=chr2"]
    only = build(tmp_path, "genes", paths[1], options)
    assert set(only["label"]) == {"miRNA"} and set(only["split"]) == {"train", "validation", "test"}


def test_transcripts_keep_genes_together(tmp_path):
    count = 120
    fasta = "".join(f">T{n}.3 cdna\n{dna(40, n)}\n" for n in range(count))
    (tmp_path / "t.fa").write_text(fasta)
    owners = pd.DataFrame([(f"T{n}", f"G{n // 3}") for n in range(count)], columns=["enstxp", "ensgene"])
    owners.to_csv(tmp_path / "tx.csv", index=False)
    genes = pd.DataFrame({"ensgene": [f"G{n}" for n in range(39)], "biotype": ["x", "y", "y"] * 13})
    genes.to_csv(tmp_path / "g.tsv", sep="\t", index=False)
    sources = {"fasta": tmp_path / "t.fa", "genes": tmp_path / "g.tsv", "tx2gene": tmp_path / "tx.csv"}
    frame = build(tmp_path, "transcripts", sources)
    assert len(frame) == 117 and (frame.groupby("group")["split"].nunique() == 1).all()
    assert frame.groupby(["split", "label"]).size()["test"].to_dict() == {"x": 9, "y": 15}


VCF = """##fileformat=VCFv4.2
##contig=<ID=1>
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{samples}
"""


@pytest.fixture
def population(tmp_path):
    """Forty people of two superpopulations in a VCF of chr1, one of them unknown to the panel."""
    generator = random.Random(8)
    samples = [f"P{number}" for number in range(41)]
    lines = VCF.format(samples="\t".join(samples))
    reference = dna(6000, 1)
    for position in range(1000, 1500, 10):
        ref = reference[position - 1]
        calls = "\t".join(f"{generator.randint(0, 1)}|{generator.randint(0, 1)}" for _ in samples)
        lines += f"1\t{position}\t.\t{ref}\t{'A' if ref != 'A' else 'G'}\t.\t.\t.\tGT\t{calls}\n"
    (tmp_path / "people.vcf").write_text(lines)
    panel = "sample\tpop\tsuper_pop\tgender\t\t\n"
    panel += "".join(f"P{n}\tx\t{['AFR', 'EUR'][n % 2]}\tmale\n" for n in range(40)) + "P99\tx\tEUR\tmale\n"
    (tmp_path / "panel.txt").write_text(panel)
    pedigree = "".join(f"P{n} {f'P{n + 1}' if n % 4 == 0 else 0} 0 1\n" for n in range(40))
    (tmp_path / "pedigree.txt").write_text("sampleID fatherID motherID sex\n" + pedigree)
    return {"vcf": tmp_path / "people.vcf", "panel": tmp_path / "panel.txt"}


def test_people_rows_splits_and_limit(tmp_path, genome, population):
    window = ["contig=chr1", "start=901", "end=1600"]
    sources = population | {"genome": genome}
    frame = build(tmp_path, "people", sources, window)
    assert len(frame) == 80 and set(frame["haplotype"]) == {1, 2} and set(frame["sequence"].str.len()) == {700}
    assert (frame.groupby("sample")["split"].nunique() == 1).all() and (frame["group"] == frame["sample"]).all()
    people_of = frame.drop_duplicates("sample").groupby(["split", "label"]).size()
    assert people_of["test"].to_dict() == {"AFR": 4, "EUR": 4}
    limited = build(tmp_path, "people", sources, window, "--limit=train=10", "--limit=test=2")
    assert limited.groupby("split")["sample"].nunique().to_dict()["train"] == 10
    assert limited.groupby("split").size()["test"] == 4
    related = build(tmp_path, "people", sources | {"families": tmp_path / "pedigree.txt"}, window)
    first = related.set_index("sample")
    assert (first.loc["P0", "family"] == "P0").all() and (first.loc["P1", "family"] == "P0").all()
    assert (related["group"] == related["sample"]).all()  # the paper's split; derivations keep families together


def test_families_by_name_and_by_parents(tmp_path):
    path = tmp_path / "ped"
    path.write_text("Family ID\tIndividual ID\tPaternal ID\nF1\tA\t0\nF1\tB\tA\nF2\tC\t0\nF2\tD\t0\n")
    assert samples.families(path, ["B", "C", "A", "D", "E"]) == {"B": "B", "A": "B", "C": "C", "D": "C", "E": "E"}


def test_mutants_differ_where_they_say(tmp_path, genome):
    options = ["contigs=1,2", "starts=0.001,0.002", "length=64", "mutations=1,8,64", "replicates=2"]
    frame = build(tmp_path, "mutants", {"genome": genome}, options)
    assert len(frame) == 4 * 7 and frame["label"].isna().all()
    reference = frame[frame["mutations"] == 0].set_index("window")["sequence"]
    assert reference["chr1:1001-1064"] == dna(6000, 1)[1000:1064]
    for row in frame.itertuples():
        original = reference[row.window]
        changed = [at for at in range(64) if row.sequence[at] != original[at]]
        assert changed == list(row.sites) and len(changed) == row.mutations and row.sites.dtype == np.int32
    fewer = build(tmp_path, "mutants", {"genome": genome}, ["windows=chr2:2001", *options[2:]])
    same = frame[frame["window"] == "chr2:2001-2064"].reset_index(drop=True)
    assert same["sequence"].equals(fewer["sequence"])


def test_mutants_move_right_free_of_n(tmp_path):
    genome = prepared(tmp_path, {"7": "N" * 2500 + dna(2000, 1) + "N" * 3 + dna(3000, 2)})
    options = ["contigs=chr7", "starts=0", "length=1200", "mutations=1", "replicates=1"]
    assert build(tmp_path, "mutants", {"genome": genome}, options)["window"][0] == "7:3001-4200"


def test_substitutions_are_uniform_over_the_other_bases():
    mutant, sites = mutate("A" * 30000, 30000, np.random.default_rng(1))
    assert list(sites) == list(range(30000)) and "A" not in mutant
    assert all(abs(mutant.count(base) - 10000) < 400 for base in "CGT")


def test_draw_splits_is_stratified_and_keeps_groups():
    generator = random.Random(2)
    groups = [f"g{generator.randrange(300)}" for _ in range(2000)]
    strata = ["xy"[int(group[1:]) % 2] for group in groups]
    splits = draw_splits(strata, groups, {"train": 0.7, "validation": 0.1, "test": 0.2}, 5)
    frame = pd.DataFrame({"group": groups, "stratum": strata, "split": splits})
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    for _, part in frame.groupby("stratum"):
        assert abs((part["split"] == "test").mean() - 0.2) < 0.02


@pytest.fixture
def labelled():
    labels = ["a"] * 700 + ["b"] * 250 + ["c"] * 50
    splits = (["train"] * 8 + ["validation", "test"]) * 100
    frame = pd.DataFrame({"id": [f"r{n}" for n in range(1000)], "sequence": [dna(30, n) for n in range(1000)]})
    return frame.assign(label=labels, split=splits, group=frame["id"])


def test_limit_is_proportional(labelled):
    made = derivations.limit_split(labelled, "train", 80, 1)
    assert made[made["split"] == "train"]["label"].value_counts().to_dict() == {"a": 56, "b": 20, "c": 4}
    others, before = (frame[frame["split"] != "train"].reset_index(drop=True) for frame in (made, labelled))
    assert others.equals(before)
    tiny = derivations.limit_split(labelled, "train", 3, 1)
    assert set(tiny[tiny["split"] == "train"]["label"]) == {"a", "b", "c"}
    assert derivations.limit_split(labelled, "test", 5000, 1).equals(labelled)
    for size in range(1, 30):
        assert (derivations.limit_split(labelled, "test", size, 1)["split"] == "test").sum() == size


def test_training_shares_are_nested(labelled):
    kept = []
    for percent in (1, 5, 10, 50, 100):
        frame, _ = derivations.derive(labelled, f"pct{percent}", 3)
        train = frame[frame["split"] == "train"]
        kept.append(set(train["id"]))
        assert train["label"].nunique() == 3 and (frame["split"] == "test").sum() == 100
    assert kept[0] < kept[1] < kept[2] < kept[3] < kept[4] and len(kept[2]) == 80 and len(kept[4]) == 800
    other, _ = derivations.derive(labelled, "pct10", 4)
    assert set(other[other["split"] == "train"]["id"]) != kept[2]


def test_dedup_leaves_no_shared_sequence(tmp_path, capsys):
    one, two, three = dna(40, 1), dna(40, 2), dna(40, 3)
    texts = [one, two, three, reverse_complement(three), reverse_complement(two), one, one, reverse_complement(one)]
    frame = pd.DataFrame({"id": ["t1", "t2", "t3", "t4", "v1", "v2", "e1", "e2"], "sequence": texts})
    frame["split"] = frame["id"].str[0].map({"t": "train", "v": "validation", "e": "test"})
    frame.assign(label="x", group="g").to_parquet(tmp_path / "a.parquet")
    places = {"sequences": tmp_path / "a.parquet", "output": tmp_path / "b.parquet"}
    assert main(words("derive_sequences", derivation="dedup", seed=1, **places)) == 0
    assert list(read_sequences(tmp_path / "b.parquet")["id"]) == ["t3", "v1", "e1"]
    assert "dedup removed 3 from train, 1 from validation, 1 from test" in capsys.readouterr().err


def test_permuted_labels_keep_counts_and_people(labelled):
    made = derivations.permute_labels(labelled, 1)
    for inside in (labelled["split"] == "test", labelled["split"] != "test"):
        assert made[inside]["label"].value_counts().equals(labelled[inside]["label"].value_counts())
    agreement = (made["label"] == labelled["label"]).mean()
    assert 0.45 < agreement < 0.65
    both = pd.concat([labelled.assign(haplotype=1), labelled.assign(haplotype=2, id=labelled["id"] + ".2")])
    both = both.assign(sample=both["group"]).reset_index(drop=True)
    assert (derivations.permute_labels(both, 1).groupby("sample")["label"].nunique() == 1).all()


GOOD = "sequence,label\nACGT,a\nACGA,b\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("sequence,label\n", "no rows"),
        ("sequence,kind\nACGT,a\n", "no column 'label'"),
        ("sequence,label\nACGT,a\nACGA,\n", "row 2 has no label"),
        ("sequence,label\nACGT,a\nACXA,b\n", "'X' at position 3"),
        ("sequence,label\n,a\n", "is empty"),
        ("id,sequence,label\nq,ACGT,a\nq,ACGA,b\n", "id 'q' stands more than once"),
        ("sequence,label\nACGT,a,b,c\nACGT,b\n", "more cells than the header"),
        (b"\x1f\x8b" + gzip.compress(GOOD.encode() * 500, mtime=0)[2:-30], "truncated"),
    ],
)
def test_bad_tables_end_in_one_sentence(tmp_path, capsys, content, sentence):
    (tmp_path / "test.csv").write_text(GOOD)
    (tmp_path / "train.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    out, sources = tmp_path / "out.parquet", {split: tmp_path / f"{split}.csv" for split in ("train", "test")}
    assert sentence in refused(capsys, building(out, "table", sources, ["validation_fraction=0"]))
    assert not out.exists()


@pytest.mark.parametrize(
    ("reader", "flags", "sentence"),
    [
        ("tabel", "", "--reader 'tabel' is not known; it is one of table"),
        ("table", "--source=train={train}", "source 'test' is missing"),
        ("table", "--source=trian={train}", "source 'trian' is not known to this reader; it takes train"),
        ("table", "{both} --option=fraction=1", "it takes val"),
        ("table", "{both} --option=validation_fraction=x", "not understood"),
        ("table", "{both} --option=test_contigs=1", "together"),
        ("table", "{both} --limit=train=many", "whole number"),
        ("table", "{both} --limit=dev=3", "limit dev=3"),
        ("table", "--source=train", "not KEY=VALUE"),
        ("table", "--source=train=/absent.csv --source=test={train}", "no such file"),
        ("fasta_classes", "--source=train.a={train}", "no nucleotide"),
        ("mutants", "{of} --option=contigs=chr9 --option=starts=0", "no contig"),
        ("mutants", "{of} --option=contigs=1 --option=starts=1", "free of N"),
        ("mutants", "{of} {window} --option=starts=nan", "option starts"),
        ("mutants", "{of} {window} --option=starts=-1", "option starts"),
        ("mutants", "{of} --option=contigs=chr1 --option=starts=0 --option=mutations=,", "option mutations"),
        ("mutants", "{of} {window} --option=starts=0 --option=windows=chr1:\u00b2", "option windows"),
        ("intervals", "{of} --source=bed={train}", "6 are needed"),
    ],
)
def test_bad_requests_end_in_one_sentence(tmp_path, capsys, tables, genome, reader, flags, sentence):
    train = tables["train"]
    known = {"train": train, "both": f"--source=train={train} --source=test={train}", "of": f"--source=genome={genome}"}
    window = "--option=contigs=chr1 --option=length=64 --option=mutations=1"
    argv = building(tmp_path / "out.parquet", reader, {}, [], *flags.format(**known, window=window).split())
    assert sentence in refused(capsys, argv) and not (tmp_path / "out.parquet").exists()


def test_bad_people_end_in_one_sentence(tmp_path, capsys, genome, population):
    def error(**changed):
        sources = population | {"genome": genome} | changed
        return refused(capsys, building(tmp_path / "out.parquet", "people", sources, ["contig=1"]))

    other = tmp_path / "other.fa"
    other.write_text(f">chr1\n{dna(6000, 55)}\n")
    assert "REF alleles disagree" in error(genome=other)
    other.write_text(f">chr8\n{dna(6000, 55)}\n")
    Path(f"{other}.fai").unlink()
    assert "no contig '1'" in error(genome=other)
    cut = tmp_path / "cut.vcf.gz"
    cut.write_bytes(gzip.compress(population["vcf"].read_bytes())[:-40])
    assert "truncated" in error(vcf=cut)
    import pysam

    whole = Path(pysam.tabix_index(str(population["vcf"]), preset="vcf", force=True, keep_original=True))
    cut.write_bytes(whole.read_bytes()[:-300])
    assert "truncated" in error(vcf=cut)
    cut.write_bytes(b"")
    assert "empty" in error(vcf=cut)
    assert "not a VCF" in error(vcf=population["panel"])
    strangers = tmp_path / "strangers.txt"
    strangers.write_text("sample\tsuper_pop\nQ1\tAFR\n")
    assert "none of its 41 samples" in error(panel=strangers)
    strangers.write_text("sample\tsuper_pop\nP1\t\n")
    assert "has no super_pop" in error(panel=strangers)


def test_bad_derivations_end_in_one_sentence(tmp_path, capsys, labelled):
    labelled.to_parquet(tmp_path / "a.parquet")
    places = {"sequences": tmp_path / "a.parquet", "output": tmp_path / "b.parquet"}
    for derivation, sentence in {"pct0": "between 0 and 100", "half": "is not known"}.items():
        assert sentence in refused(capsys, words("derive_sequences", derivation=derivation, seed=1, **places))


@pytest.mark.parametrize(
    ("reader", "line", "sentence"),
    [
        ("intervals", "chr1\t1\t50\ta\t0\tx\n", "strand 'x' of chr1:1-50"),
        ("intervals", "chr1\t1\t50\t\t0\t+\n", "has an empty label"),
        ("intervals", "chr1\t\u00b2\t50\ta\t0\t+\n", "is no interval"),
        ("genes", 'chr1\tx\tgene\t50\t5\t.\t+\t.\tgene_id "a"; gene_type "b";\n', "line 1 is no interval"),
    ],
)
def test_impossible_places_are_one_sentence(tmp_path, genome, capsys, reader, line, sentence):
    path = tmp_path / ("x.bed" if reader == "intervals" else "x.gtf")
    path.write_text(line)
    sources = {"bed" if reader == "intervals" else "genes": path, "genome": genome}
    out = tmp_path / "set.parquet"
    assert sentence in refused(capsys, building(out, reader, sources)) and not out.exists()
