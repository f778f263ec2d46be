"""What the command writes: record and predictions, with every choice and all that a metric needs."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.effects import measure
from foundationless.evaluation.records import read_record
from foundationless.perturbation.effects import write_effects
from foundationless.perturbation.jobs import run_cell
from foundationless.perturbation.selection import EffectSettings
from foundationless.perturbation.vectors import GeneVectors, write_vectors
from support.commands import refused, words
from support.screens import planted

IDENTITY = {"task": "t", "model": "m", "init": "pretrained", "seed": 0, "analysis": "borrowed"}


@pytest.fixture
def cell(tmp_path):
    """`cell(**flags)`: the record and the predictions of a planted screen."""
    effects, vectors = planted()
    write_effects(tmp_path / "effects.parquet", effects)
    names = tuple(name.upper() for name in effects.genes)
    write_vectors(tmp_path / "genes.parquet", GeneVectors(names, vectors.astype(np.float32), "symbol", "planted"))

    def run(**flags):
        paths = {name: tmp_path / f"{name}.parquet" for name in ("effects", "genes", "predictions")}
        outputs = {"record": tmp_path / "record.json"}
        given = IDENTITY | paths | outputs | flags
        assert main(words("predict_effects", **{key: value for key, value in given.items() if value != ""})) == 0
        return read_record(tmp_path / "record.json"), pq.read_table(tmp_path / "predictions.parquet")

    return run


def test_record_and_predictions_of_borrowed_vectors(cell):
    record, table = cell(side="target", dims=[2, 4], strengths=[0.1, 10, 1000])
    settings = record["settings"]
    assert (settings["side"], settings["fold_count"], settings["missing_targets"]) == ("target", 3, 0)
    assert record["parameters"] == 10 * settings["dims_used"] == 40
    chosen = {(each["within"], each["split"], each["what"]): each["chosen"] for each in record["selections"]}
    assert len(chosen) == 3 * 2 * 2 and set(record["hashes"]) == {"predictions", "effects", "genes", "numbers"}
    edges = {each["what"] for each in record["selections"] if each["edge"]}
    assert edges <= {"strength"}
    for fold in (1, 2, 3):
        tried = [each for each in record["results"] if each["fold"] == fold and each["selection"] == "run"]
        assert len(tried) == 2 * 6  # six candidates on validation and on test
        best = max((each for each in tried if each["split"] == "validation"), key=lambda each: each["value"])
        assert best["extra"]["selected"]
        dims, strength = (chosen[f"fold{fold}", "validation", what] for what in ("dims", "strength"))
        assert best["extra"]["run"] == f"dims{dims} strength{strength}"
    about = json.loads(table.schema.metadata[b"foundationless"])
    rows = table.to_pandas()
    rows = rows[rows["selected"] & (rows["fold"] == 1)]
    profiles = [np.stack(rows[name].to_list()) for name in ("observed", "predicted", "mean")]
    found = measure(*profiles, rows["targets"].to_list(), about["top"])
    for metric, values in found.items():
        (value,) = (
            each["value"]
            for each in record["results"]
            if (each["metric"], each["selection"], each["fold"]) == (metric, "validation", 1)
        )
        assert np.nanmean(values) == pytest.approx(value, abs=1e-5)


def test_genes_stand_by_falling_expression_of_the_control(cell):
    effects, _ = planted()
    _, table = cell(side="readout")
    about = json.loads(table.schema.metadata[b"foundationless"])
    assert about["genes"] == [effects.genes[place] for place in np.argsort(-effects.control, kind="stable")]
    for row in table.to_pylist():
        (name,) = effects.targets[effects.conditions.index(row["id"])]
        assert [about["genes"][place] for place in row["targets"]] == [name] == [row["group"]]


def test_rows_of_doubles_have_the_sum_and_the_first_single(cell):
    effects, _ = planted()
    record, table = cell(analysis="doubles", baseline="scaled_additive", init="baseline", genes="")
    assert record["settings"]["kind"] == "doubles" and record["parameters"] == 0
    assert all(0.9 < each["extra"]["alpha"] < 1.1 for each in record["results"])
    order = np.argsort(-effects.control, kind="stable")
    for row in table.to_pylist():
        singles = [effects.conditions.index(name) for name in row["id"].split("+")]
        changes = [(effects.means[place] - effects.control)[order] for place in singles]
        assert row["first"] == pytest.approx(changes[0].tolist(), abs=1e-5)
        assert row["additive"] == pytest.approx((changes[0] + changes[1]).tolist(), abs=1e-5)


def test_neighbours_are_chosen_by_validation(cell):
    record, _ = cell(baseline="nearest_go", init="baseline")
    assert {each["what"] for each in record["selections"]} == {"neighbours"}


def test_a_table_of_names_joins_a_screen_and_vectors_that_name_genes_otherwise(cell, tmp_path):
    """As the published Geneformer, which names genes by Ensembl ids, and a screen that does not."""
    effects, vectors = planted()
    _, expected = cell(side="target")
    ids = [f"ENSG{place:011d}" for place in range(60)]
    pairs = zip(effects.symbols, ids, strict=True)
    (tmp_path / "names.tsv").write_text("symbol\tensembl_gene_id\n" + "".join("\t".join(pair) + "\n" for pair in pairs))
    network = GeneVectors(tuple(f"{own}.3" for own in ids), vectors.astype(np.float32), "ensembl", "network")
    write_vectors(tmp_path / "other.parquet", network)
    record, table = cell(side="target", genes=tmp_path / "other.parquet", names=tmp_path / "names.tsv")
    assert table.equals(expected) and "names" in record["hashes"]
    settings = EffectSettings("unseen", side="target", source="table")
    with pytest.raises(UserError, match="--names"):
        run_cell(tmp_path / "effects.parquet", tmp_path / "other.parquet", settings, "copy", 0)


def test_the_record_says_what_the_paper_fixed(cell):
    record, _ = cell(side="target", reading="as_in_paper", strengths=[1, 10], dims=[2, 3])
    settings = record["settings"]
    assert (settings["strengths"], settings["inner_folds"], settings["dims"]) == ([0.1], 0, [0])
    assert settings["dims_used"] == 4 and not record["selections"] and settings["known_share"] == 1
    assert cell(side="target", reading="as_in_paper", init="random")[0]["settings"]["dims_used"] == 10


def test_twice_the_same_bits(cell, tmp_path):
    flags = {"side": "target", "strengths": [0.1, 1], "init": "random", "seed": 4}
    first, _ = cell(**flags)
    again, _ = cell(**flags)
    assert first["hashes"] == again["hashes"]


def test_mistakes_are_told_in_a_sentence(cell, tmp_path, capsys):
    cell(side="target")
    flags = IDENTITY | {"record": tmp_path / "r.json", "predictions": tmp_path / "p.parquet"}
    assert "no such file" in refused(capsys, words("predict_effects", **flags, side="target", effects=tmp_path / "no"))
    flags |= {"effects": tmp_path / "effects.parquet"}
    assert "--genes" in refused(capsys, words("predict_effects", **flags, baseline="nearest_go"))
    assert "--source table" in refused(capsys, words("predict_effects", **flags, side="target", source="table"))
    assert "no arm" in refused(capsys, words("predict_effects", **flags | {"init": "embedding"}, side="target"))
    effects, _ = planted()
    for name, said in (("conditions", "a condition stands there twice"), ("genes", "a gene stands there twice")):
        twice = getattr(effects, name)
        with pytest.raises(UserError, match=said):
            write_effects(tmp_path / "twice.parquet", replace(effects, **{name: (*twice[:-1], twice[0])}))
    assert not (tmp_path / "r.json").exists() and not (tmp_path / "twice.parquet").exists()
