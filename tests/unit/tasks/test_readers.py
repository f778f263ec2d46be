"""Readers and derived sets through the command line: what comes out, and how mistakes end."""

import gzip
import random
import subprocess
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
from foundationless.study.readers import READERS
from foundationless.tasks import derivations
from foundationless.tasks.options import KINDS
from foundationless.tasks.readers.mutants import mutate
from foundationless.tasks.readers.places import contig_of
from foundationless.tasks.sequence_sets import read_sequences
from foundationless.tasks.splits import draw_splits
from support import ROOT


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def build(tmp_path, reader, sources, options=(), extra=(), seed=1, name="set.parquet"):
    """Run build_sequences; the set it made."""
    flags = [f"--source={role}={path}" for role, path in sources.items()]
    flags += [f"--option={option}" for option in options]
    out = tmp_path / name
    assert main(["build_sequences", "--reader", reader, *flags, *extra, f"--seed={seed}", f"--output={out}"]) == 0
    return read_sequences(out)


@pytest.fixture
def genome(tmp_path):
    """Three contigs of 6,000 bases."""
    text = "".join(f">chr{number}\n{dna(6000, number)}\n" for number in (1, 2, 3))
    (tmp_path / "raw.fa").write_text(text)
    prepare_genome([Piece(tmp_path / "raw.fa")], tmp_path / "genome.fa")
    return tmp_path / "genome.fa"


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


def test_help_names_every_reader(capsys):
    with pytest.raises(SystemExit):
        main(["build_sequences", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name in READERS:
        assert f"{name}," in shown or f"{name} " in shown


@pytest.mark.parametrize("name", READERS)
def test_a_declaration_has_a_function_and_known_kinds(name):
    reader = READERS[name]
    module, _, function = reader.function.partition(":")
    assert callable(getattr(import_module(f"foundationless.tasks.readers.{module}"), function))
    assert reader.makes in ("classes", "variants", "mutants", "transfer")
    assert set(reader.required) <= set(reader.sources) and reader.explain()
    assert {option.kind for option in reader.options.values()} <= set(KINDS)


def test_one_reader_does_not_import_the_libraries_of_another():
    code = (
        "import sys; from foundationless.errors import UserError; from foundationless.tasks.readers import build_set\n"
        "try: build_set('mutants', {'genome': 'none.fa'}, {}, 0)\n"
        "except UserError: print([name for name in ('cyvcf2', 'openpyxl', 'rdata') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "workflow"
    )
    assert shown.stdout.strip() == "[]"


def test_explain_prints_sources_and_options(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["build_sequences", "--explain"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "tx2gene" in shown and "test_contigs" in shown


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
    frame = build(
        tmp_path, "table", {"train": train, "test": test, "genome": genome}, ["test_contigs=1", "validation_fraction=0"]
    )
    assert frame[["id", "split", "group"]].to_numpy().tolist() == [
        ["train_2", "train", "chr2"],
        ["train_4", "train", "chr2"],
        ["test_1", "test", "chr1"],
    ]


def test_validation_by_contig_takes_whole_contigs(tmp_path):
    """Windows of one chromosome overlap their neighbours, so none may validate what others trained."""
    contigs = {f"chr{number}": dna(2000, number) for number in range(1, 13)}
    (tmp_path / "raw.fa").write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    prepare_genome([Piece(tmp_path / "raw.fa")], tmp_path / "genome.fa")
    windows = [text[at : at + 100] for text in contigs.values() for at in range(0, 1000, 50)]
    table = write_table(tmp_path / "all.csv", windows, ["ab"[n % 2] for n in range(len(windows))])
    sources = {"train": table, "test": table, "genome": tmp_path / "genome.fa"}
    frame = build(tmp_path, "table", sources, ["test_contigs=1,2", "validation_fraction=0.2"])
    owners = {split: set(rows["group"]) for split, rows in frame.groupby("split")}
    assert owners["test"] == {"chr1", "chr2"} and owners["validation"]
    assert not owners["train"] & owners["validation"]


def test_fasta_classes_merges_and_makes_ids_unique(tmp_path):
    for name, labels in {"s": "strong", "w": "weak", "n": "non"}.items():
        (tmp_path / f"{name}.fa").write_text(
            f">chr5_1_2\n{dna(30, 1)}\n{dna(20, 2)}\n>same {labels}\n{dna(50, 3).lower()}"
        )
    sources = {
        f"{split}.{label}": tmp_path / f"{label[0]}.fa"
        for split in ("train", "test")
        for label in ("strong", "weak", "non")
    }
    frame = build(tmp_path, "fasta_classes", sources, ["merge=strong+weak:enhancer", "validation_fraction=0"])
    assert frame.groupby(["split", "label"]).size().to_dict() == {
        ("test", "enhancer"): 4,
        ("test", "non"): 2,
        ("train", "enhancer"): 4,
        ("train", "non"): 2,
    }
    assert frame["sequence"][0] == dna(30, 1) + dna(20, 2) and frame["sequence"][1] == dna(50, 3)
    assert frame["group"][0] == "chr5" and frame["group"][1] == frame["id"][1]


@pytest.mark.parametrize(
    ("header", "contig"),
    [
        ("chr2_87930085_87930285", "chr2"),
        ("Chr11_6627824_6628024", "chr11"),
        ("chrX_2970600_2970800", "chrX"),
        ("hg19_ct_UserTrack_3545_11005range=chr11:132363991-1323641905'pad=0 3'pad=0", "chr11"),
        ("hg19_ct_UserTrack_3545_158 range=chr12:78319870-78393869 5'pad=0", "chr12"),
        ("same strong", None),
    ],
)
def test_contig_of_header(header, contig):
    assert contig_of(header) == contig


def test_intervals_equal_bedtools(tmp_path, genome, tool):
    generator = random.Random(4)
    lines = []
    for number in range(60):
        start = generator.randrange(5900)
        lines.append(
            f"chr{generator.choice('123')}\t{start}\t{start + 1 + number}\t"
            f"{'ab'[number % 2]}\t0\t{'+-'[number % 3 == 0]}"
        )
    bed = tmp_path / "places.bed"
    bed.write_text("\n".join(dict.fromkeys(lines)) + "\n")
    frame = build(tmp_path, "intervals", {"bed": bed, "genome": genome}, ["test_contigs=3", "validation_contigs=2"])
    answer = subprocess.run(
        [tool("bedtools"), "getfasta", "-s", "-tab", "-fi", genome, "-bed", bed],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = dict(line.split("\t") for line in answer.stdout.splitlines())
    assert dict(zip(frame["id"], frame["sequence"], strict=True)) == expected
    assert set(zip(frame["split"], frame["group"], strict=True)) == {
        ("test", "chr3"),
        ("validation", "chr2"),
        ("train", "chr1"),
    }


def test_genes_from_gtf_and_bed(tmp_path, genome):
    rows, bed = [], []
    for number in range(40):
        contig, start, strand = "123"[number % 3], 100 * number + 1, "+-"[number % 2]
        kind = ["lncRNA", "miRNA"][number % 4 == 0]
        rows.append(
            f'{contig}\tx\tgene\t{start}\t{start + 49}\t.\t{strand}\t.\tgene_id "G{number}"; gene_biotype "{kind}";'
        )
        rows.append(f'{contig}\tx\texon\t{start}\t{start + 9}\t.\t{strand}\t.\tgene_id "G{number}";')
        bed.append(f"chr{contig}\t{start - 1}\t{start + 49}\t{strand}\tG{number}\tS{number}\t{kind}")
    bed.append("chr9\t5\t50\t+\tG99\tS99\tlncRNA")
    rows.append('1\tx\tgene\t1\t50\t.\t+\t.\tgene_id "G0.1_PAR_Y"; gene_biotype "lncRNA";')  # a second copy
    with gzip.open(tmp_path / "genes.gtf.gz", "wt") as stream:
        stream.write("#!build\n" + "\n".join(rows) + "\n")
    (tmp_path / "genes.bed").write_text("\n".join(bed) + "\n")
    options = ["max_per_class=20", "fractions=0.6,0.2,0.2"]
    made = [
        build(tmp_path, "genes", {"genes": tmp_path / name, "genome": genome}, options)
        for name in ("genes.gtf.gz", "genes.bed")
    ]
    assert made[0].equals(made[1]) and made[0]["label"].value_counts().to_dict() == {"lncRNA": 20, "miRNA": 10}
    assert made[0].groupby("split").size().to_dict() == {"test": 6, "train": 18, "validation": 6}
    assert not made[0]["id"].str.contains("PAR_Y").any()
    row = made[0].set_index("id").loc["G4"]
    assert row["sequence"] == dna(6000, 2)[400:450]
    row = made[0].set_index("id").loc["G8"]
    assert row["sequence"] == dna(6000, 3)[800:850]
    only = build(
        tmp_path,
        "genes",
        {"genes": tmp_path / "genes.bed", "genome": genome},
        ["classes=miRNA", "test_contigs=chr1", "validation_contigs=chr2"],
    )
    assert set(only["label"]) == {"miRNA"} and set(only["split"]) == {"train", "validation", "test"}


def test_transcripts_keep_genes_together(tmp_path):
    count = 120
    fasta = "".join(f">T{n}.3 cdna\n{dna(40, n)}\n" for n in range(count))
    (tmp_path / "t.fa").write_text(fasta)
    pd.DataFrame({"enstxp": [f"T{n}" for n in range(count)], "ensgene": [f"G{n // 3}" for n in range(count)]}).to_csv(
        tmp_path / "tx.csv", index=False
    )
    genes = pd.DataFrame({"ensgene": [f"G{n}" for n in range(39)], "biotype": ["x", "y", "y"] * 13})
    genes.to_csv(tmp_path / "g.tsv", sep="\t", index=False)
    frame = build(
        tmp_path,
        "transcripts",
        {"fasta": tmp_path / "t.fa", "genes": tmp_path / "g.tsv", "tx2gene": tmp_path / "tx.csv"},
    )
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
    pedigree = "sampleID fatherID motherID sex\n" + "".join(
        f"P{n} {f'P{n + 1}' if n % 4 == 0 else 0} 0 1\n" for n in range(40)
    )
    (tmp_path / "pedigree.txt").write_text(pedigree)
    return {"vcf": tmp_path / "people.vcf", "panel": tmp_path / "panel.txt"}


def test_people_rows_splits_and_limit(tmp_path, genome, population):
    window = ["contig=chr1", "start=901", "end=1600"]
    frame = build(tmp_path, "people", population | {"genome": genome}, window)
    assert len(frame) == 80 and set(frame["haplotype"]) == {1, 2} and set(frame["sequence"].str.len()) == {700}
    assert (frame.groupby("sample")["split"].nunique() == 1).all() and (frame["group"] == frame["sample"]).all()
    people_of = frame.drop_duplicates("sample").groupby(["split", "label"]).size()
    assert people_of["test"].to_dict() == {"AFR": 4, "EUR": 4}
    limited = build(tmp_path, "people", population | {"genome": genome}, window, ["--limit=train=10", "--limit=test=2"])
    assert limited.groupby("split")["sample"].nunique().to_dict()["train"] == 10
    assert limited.groupby("split").size()["test"] == 4
    related = build(tmp_path, "people", population | {"genome": genome, "families": tmp_path / "pedigree.txt"}, window)
    first = related.set_index("sample")
    assert (first.loc["P0", "family"] == "P0").all() and (first.loc["P1", "family"] == "P0").all()
    assert (related["group"] == related["sample"]).all()  # the study's split; derivations keep families together


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


def test_mutants_move_right_free_of_n(tmp_path, genome):
    (tmp_path / "n.fa").write_text(">7\n" + "N" * 2500 + dna(2000, 1) + "N" * 3 + dna(3000, 2) + "\n")
    prepare_genome([Piece(tmp_path / "n.fa")], tmp_path / "n_genome.fa")
    options = ["contigs=chr7", "starts=0", "length=1200", "mutations=1", "replicates=1"]
    assert build(tmp_path, "mutants", {"genome": tmp_path / "n_genome.fa"}, options)["window"][0] == "7:3001-4200"


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
    names = [f"r{n}" for n in range(1000)]
    return pd.DataFrame(
        {"id": names, "sequence": [dna(30, n) for n in range(1000)], "label": labels, "split": splits, "group": names}
    )


def test_limit_is_proportional(labelled):
    made = derivations.limit_split(labelled, "train", 80, 1)
    assert made[made["split"] == "train"]["label"].value_counts().to_dict() == {"a": 56, "b": 20, "c": 4}
    assert (
        made[made["split"] != "train"]
        .reset_index(drop=True)
        .equals(labelled[labelled["split"] != "train"].reset_index(drop=True))
    )
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
    rows = [
        ("t1", one, "train"),
        ("t2", two, "train"),
        ("t3", three, "train"),
        ("t4", reverse_complement(three), "train"),
        ("v1", reverse_complement(two), "validation"),
        ("v2", one, "validation"),
        ("e1", one, "test"),
        ("e2", reverse_complement(one), "test"),
    ]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "split"]).assign(label="x", group="g")
    frame.to_parquet(tmp_path / "a.parquet")
    flags = ["--seed=1", f"--output={tmp_path}/b.parquet", f"--sequences={tmp_path}/a.parquet"]
    assert main(["derive_sequences", "--derivation=dedup", *flags]) == 0
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


def check_error(capsys, arguments, words):
    capsys.readouterr()
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert words in lines[-1] and "error:" in lines[-1], lines


GOOD = "sequence,label\nACGT,a\nACGA,b\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("sequence,label\n", "no rows"),
        ("sequence,kind\nACGT,a\n", "no column 'label'"),
        ("sequence,label\nACGT,a\nACGA,\n", "row 2 has no label"),
        ("sequence,label\nACGT,a\nACXA,b\n", "'X' at position 3"),
        ("sequence,label\n,a\n", "is empty"),
        ("id,sequence,label\nq,ACGT,a\nq,ACGA,b\n", "id 'q' stands more than once"),
        (b"\x1f\x8b" + gzip.compress(GOOD.encode() * 500, mtime=0)[2:-30], "truncated"),
    ],
)
def test_bad_tables_end_in_one_sentence(tmp_path, capsys, content, words):
    (tmp_path / "test.csv").write_text(GOOD)
    bad = tmp_path / "train.csv"
    bad.write_bytes(content) if isinstance(content, bytes) else bad.write_text(content)
    out = tmp_path / "out.parquet"
    check_error(
        capsys,
        [
            "build_sequences",
            "--reader=table",
            "--seed=1",
            f"--output={out}",
            f"--source=train={bad}",
            f"--source=test={tmp_path}/test.csv",
            "--option=validation_fraction=0",
        ],
        words,
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--reader=tabel"], "--reader 'tabel' is not known; it is one of table"),
        (["--reader=table", "--source=train={train}"], "source 'test' is missing"),
        (["--reader=table", "--source=trian={train}"], "source 'trian' is not known to this reader; it takes train"),
        (["--reader=table", "--source=train={train}", "--source=test={train}", "--option=fraction=1"], "it takes val"),
        (
            ["--reader=table", "--source=train={train}", "--source=test={train}", "--option=validation_fraction=x"],
            "not understood",
        ),
        (["--reader=table", "--source=train={train}", "--source=test={train}", "--option=test_contigs=1"], "together"),
        (["--reader=table", "--source=train={train}", "--source=test={train}", "--limit=train=many"], "whole number"),
        (["--reader=table", "--source=train={train}", "--source=test={train}", "--limit=dev=3"], "limit dev=3"),
        (["--reader=table", "--source=train"], "not KEY=VALUE"),
        (["--reader=table", "--source=train=/absent.csv", "--source=test={train}"], "no such file"),
        (["--reader=fasta_classes", "--source=train.a={train}"], "no nucleotide"),
        (["--reader=mutants", "--source=genome={genome}", "--option=contigs=chr9", "--option=starts=0"], "no contig"),
        (["--reader=mutants", "--source=genome={genome}", "--option=contigs=1", "--option=starts=1"], "free of N"),
        (["--reader=intervals", "--source=genome={genome}", "--source=bed={train}"], "6 are needed"),
    ],
)
def test_bad_requests_end_in_one_sentence(tmp_path, capsys, tables, genome, flags, words):
    flags = [flag.format(train=tables["train"], genome=genome) for flag in flags]
    check_error(capsys, ["build_sequences", *flags, "--seed=1", f"--output={tmp_path}/out.parquet"], words)


def people_arguments(tmp_path, reference, population, **changed):
    sources = population | {"genome": reference} | changed
    return [
        "build_sequences",
        "--reader=people",
        *(f"--source={role}={path}" for role, path in sources.items()),
        "--option=contig=1",
        "--seed=1",
        f"--output={tmp_path}/out.parquet",
    ]


def test_bad_people_end_in_one_sentence(tmp_path, capsys, genome, population):
    other = tmp_path / "other.fa"
    other.write_text(f">chr1\n{dna(6000, 55)}\n")
    check_error(capsys, people_arguments(tmp_path, genome, population, genome=other), "REF alleles disagree")
    other.write_text(f">chr8\n{dna(6000, 55)}\n")
    Path(f"{other}.fai").unlink()
    check_error(capsys, people_arguments(tmp_path, genome, population, genome=other), "no contig '1'")
    cut = tmp_path / "cut.vcf.gz"
    cut.write_bytes(gzip.compress(population["vcf"].read_bytes())[:-40])
    check_error(capsys, people_arguments(tmp_path, genome, population, vcf=cut), "truncated")
    import pysam

    whole = Path(pysam.tabix_index(str(population["vcf"]), preset="vcf", force=True, keep_original=True))
    cut.write_bytes(whole.read_bytes()[:-300])
    check_error(capsys, people_arguments(tmp_path, genome, population, vcf=cut), "truncated")
    cut.write_bytes(b"")
    check_error(capsys, people_arguments(tmp_path, genome, population, vcf=cut), "empty")
    check_error(capsys, people_arguments(tmp_path, genome, population, vcf=population["panel"]), "not a VCF")
    strangers = tmp_path / "strangers.txt"
    strangers.write_text("sample\tsuper_pop\nQ1\tAFR\n")
    check_error(capsys, people_arguments(tmp_path, genome, population, panel=strangers), "none of its 41 samples")
    strangers.write_text("sample\tsuper_pop\nP1\t\n")
    check_error(capsys, people_arguments(tmp_path, genome, population, panel=strangers), "has no super_pop")


def test_bad_derivations_end_in_one_sentence(tmp_path, capsys, labelled):
    labelled.to_parquet(tmp_path / "a.parquet")
    for derivation, words in {"pct0": "between 0 and 100", "half": "is not known"}.items():
        check_error(
            capsys,
            [
                "derive_sequences",
                f"--sequences={tmp_path}/a.parquet",
                f"--derivation={derivation}",
                "--seed=1",
                f"--output={tmp_path}/b.parquet",
            ],
            words,
        )


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
    role = "bed" if reader == "intervals" else "genes"
    flags = ["--source", f"{role}={path}", "--source", f"genome={genome}", "--seed", "0"]
    out = tmp_path / "set.parquet"
    assert main(["build_sequences", "--reader", reader, *flags, "--output", str(out)]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1] and not out.exists()


@pytest.mark.parametrize("option", ["starts=nan", "starts=-1", "mutations=,", "windows=chr1:\u00b2"])
def test_impossible_mutants_are_one_sentence(tmp_path, genome, capsys, option):
    given = {"contigs": "chr1", "starts": "0", "length": "64", "mutations": "1"}
    key, _, value = option.partition("=")
    flags = [f"--option={name}={text}" for name, text in (given | {key: value}).items()]
    flags += ["--source", f"genome={genome}", "--seed", "0", "--output", str(tmp_path / "set.parquet")]
    assert main(["build_sequences", "--reader", "mutants", *flags]) == 2
    assert f"option {key}" in capsys.readouterr().err and not (tmp_path / "set.parquet").exists()


def test_a_row_longer_than_the_header_is_refused(tmp_path, tables, capsys):
    tables["train"].write_text("sequence,label\nACGT,a,b,c\nACGT,b\n")
    flags = [f"--source={split}={path}" for split, path in tables.items()]
    assert main(["build_sequences", "--reader", "table", *flags, "--seed=0", f"--output={tmp_path}/x.parquet"]) == 2
    assert "more cells than the header" in capsys.readouterr().err
