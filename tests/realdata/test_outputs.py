"""Regression and multi-label sets from published files: pandas and openpyxl say what must come out."""

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.data.reference import Genome
from foundationless.tasks import leakage
from foundationless.tasks.outputs.labels import output_values
from foundationless.tasks.sequence_sets import labels_in
from support.commands import built

MARKS = ("H3", "H4", "H3K14ac", "H3K4me1", "H3K4me2", "H3K4me3", "H3K79me3", "H4ac")
HELD_OUT = "IV,VII,XII,XV"


@pytest.fixture(scope="module")
def marks(mirror):
    """Role -> file of every mark's tables, and all their rows as pandas reads them."""
    files = {f"{role}.{mark}": mirror(f"gue_emp_{mark}_{name}") for mark in MARKS
             for role, name in (("train", "dev"), ("test", "test"))}  # fmt: skip
    rows = pd.concat([pd.read_csv(path).assign(role=role) for role, path in files.items()])
    return files, rows.assign(track=rows["role"].str.partition(".")[2], split=rows["role"].str.partition(".")[0])


def test_histone_marks_are_joined_as_pandas_joins_them(tmp_path, marks):
    files, rows = marks
    frame = built(tmp_path / "set.parquet", "joined_tables", files)
    assert labels_in(frame) == ("tracks", list(MARKS))
    counts = rows.groupby(["sequence", "track"])["label"].agg(["min", "max"])
    label = counts["min"].where(counts["min"] == counts["max"]).unstack()[list(MARKS)].dropna(how="all")
    assert set(frame["sequence"]) == set(label.index)
    np.testing.assert_array_equal(output_values(frame), label.loc[frame["sequence"]].to_numpy(dtype=float))
    tested = set(rows.loc[rows["split"] == "test", "sequence"])
    assert set(frame.loc[frame["split"] == "test", "sequence"]) >= tested & set(label.index)
    assert not set(frame.loc[frame["split"] != "test", "sequence"]) & tested
    audited, _ = leakage.audit(frame.groupby("split").head(300).reset_index(drop=True))
    assert not audited["exact"].any() and not audited["reverse_complement"].any() and not audited["conflict"].any()


def test_histone_marks_by_chromosome(tmp_path, marks, mirror):
    files = marks[0]
    yeast = tmp_path / "yeast.fa"
    assert main(["prepare_genome", f"--piece=path={mirror('yeast_genome')}", f"--output={yeast}"]) == 0
    options = [f"test_contigs={HELD_OUT}", "validation_fraction=0.15"]
    frame = built(tmp_path / "set.parquet", "joined_tables", files | {"genome": yeast}, options)
    contigs = {split: set(part["group"]) for split, part in frame.groupby("split")}
    assert contigs["test"] == set(HELD_OUT.split(",")) and not contigs["train"] & contigs["validation"]
    assert not contigs["test"] & (contigs["train"] | contigs["validation"])
    # One mark of the joined set is the set of that mark, as the reader table makes it.
    alone = {"train": files["train.H3"], "test": files["test.H3"], "genome": yeast}
    single = built(tmp_path / "one.parquet", "table", alone, options)
    known = np.isfinite(output_values(frame)[:, 0])
    for test in (True, False):
        mine, theirs = ((part["split"] == "test") == test for part in (frame, single))
        assert set(frame.loc[known & mine, "sequence"]) == set(single.loc[theirs, "sequence"])
    assert len(frame) > 5 * len(single)


@pytest.mark.parametrize("whole", ["exon", "position"])
def test_saturation_editing_scores_are_those_of_the_workbook(tmp_path, mirror, whole):
    genome = tmp_path / "brca1.fa"
    piece = f"--piece=path={mirror('brca1_hg38')},contig=chr17,start=43000001"
    assert main(["prepare_genome", piece, f"--output={genome}"]) == 0
    sources = {"table": mirror("brca1_sge"), "genome": genome}
    frame = built(tmp_path / "set.parquet", "sge_values", sources, ["length=256", f"whole={whole}"])
    assert labels_in(frame) == ("values", ["function_score"])
    table = pd.read_excel(mirror("brca1_sge"), header=2)
    place = table["position (hg19)"] + 1847983
    ids = "chr17:" + place.astype(str) + ":" + table["reference"] + ":" + table["alt"]
    expected = dict(zip(ids, table["function.score.mean"], strict=True))
    assert dict(zip(frame["id"], output_values(frame)[:, 0], strict=True)) == expected and len(frame) == 3893
    reference = Genome(genome)
    for row in frame.iloc[::97].itertuples():
        _, position, ref, alt = row.id.split(":")
        start = int(position) - 1 - 128
        window = reference.fetch("chr17", start, start + 256)
        assert window[128] == ref and row.sequence == window[:128] + alt + window[129:]
    units = dict(zip(ids, table["experiment"] if whole == "exon" else place, strict=True))
    splits = frame.groupby(frame["id"].map(units))["split"].nunique()
    assert (splits == 1).all() and (frame.groupby("group")["split"].nunique() == 1).all()
    assert len(splits) == {"exon": 13, "position": table["position (hg19)"].nunique()}[whole]
    shares = frame["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.64, abs=0.08) and shares["test"] == pytest.approx(0.2, abs=0.06)
    audited = leakage.audit(frame.groupby("split").head(150).reset_index(drop=True))[0]
    overlaps = audited.loc[audited["split"] == "test", "collinear"].mean()
    assert overlaps == 0 if whole == "exon" else overlaps > 0.5, "windows of one exon overlap"


def test_saturation_editing_by_exon(tmp_path, mirror, capsys):
    genome = tmp_path / "brca1.fa"
    piece = f"--piece=path={mirror('brca1_hg38')},contig=chr17,start=43000001"
    assert main(["prepare_genome", piece, f"--output={genome}"]) == 0
    sources = {"table": mirror("brca1_sge"), "genome": genome}
    options = ["length=128", "test_exons=X2,X15", "validation_exons=X5"]
    frame = built(tmp_path / "set.parquet", "sge_values", sources, options)
    sizes = pd.read_excel(mirror("brca1_sge"), header=2)["experiment"].value_counts()
    found = frame["split"].value_counts()
    assert found["test"] == sizes["X2"] + sizes["X15"] and found["validation"] == sizes["X5"]
    given = ["build_sequences", "--reader=sge_values", *(f"--source={role}={path}" for role, path in sources.items())]
    for odd, said in (("test_exons=X99", "exon 'X99' has no variant"), ("whole=gene", "keeps exon or position whole")):
        assert main([*given, f"--option={odd}", "--seed=1", f"--output={tmp_path / 'x.parquet'}"]) == 2
        assert said in capsys.readouterr().err
