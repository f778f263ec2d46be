"""Numbers of outputs are computed again by another way, and what was changed is found."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foundationless.__main__ import main
from foundationless.evaluation.outputs.again import mean_of, recompute
from foundationless.evaluation.outputs.metrics import evaluate_each, evaluate_outputs
from foundationless.evaluation.outputs.predictions import stated_by
from foundationless.evaluation.records import hash_numbers
from foundationless.evaluation.verification import tree
from foundationless.evaluation.verification.cells import Predictions
from foundationless.runtime.files import read_json, write_json
from foundationless.study.vocabulary import LABELS, TRACKS, VALUES
from support.outputs import make_cell, make_cells
from support.simulated_study import sign

SIGNALS = {("net", "pretrained"): 0.8, ("net", "random"): 0.5, ("kmer", "baseline"): 0.6}
METRICS = {VALUES: "pearson", TRACKS: "macro_auroc"}
CELL = "finetune/{}/net/random/seed1"


@pytest.mark.parametrize("kind", [VALUES, TRACKS])
@pytest.mark.parametrize("rounded", [True, False])
def test_both_ways_agree(kind, rounded):
    generator = np.random.default_rng(0)
    for _ in range(20):
        observed = generator.normal(size=(40, 5)) * 1000 + 1e4
        values = observed + 800 * generator.normal(size=observed.shape)
        if rounded:
            observed, values = observed.round(-3), values.round(-3)
        observed = (observed > 1e4).astype(float) if kind == TRACKS else observed
        observed[generator.random(observed.shape) < 0.3] = np.nan
        observed[:, 3], observed[np.isfinite(observed[:, 4]), 4] = np.nan, 1.0
        values[:, 2] = 0.1
        each, again = evaluate_each(kind, observed, values), recompute(kind, observed, values)
        for name, mean in evaluate_outputs(kind, observed, values).items():
            assert again[name] == pytest.approx(each[name], rel=1e-9, abs=1e-12, nan_ok=True)
            assert mean_of(again[name]) == pytest.approx(mean, rel=1e-9, abs=1e-12)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A tree with a task of numbers and one of tracks, and its tables."""
    root = tmp_path_factory.mktemp("honest") / "results"
    for kind, metric in METRICS.items():
        records, tables, _ = make_cells(kind, metric, SIGNALS, n=80, seeds=2)
        for record, table in zip(records, tables, strict=True):
            record["task"] = kind
            place = root / f"finetune/{kind}/{record['model']}/{record['init']}/seed{record['seed']}"
            place.mkdir(parents=True)
            pq.write_table(table, place / "predictions.parquet")
            write_json(place / "record.json", record)
            sign(place / "record.json")
    groups = [
        {"metric": metric, "tasks": [kind], "cells": ["net/pretrained/seed0", "net/pretrained/seed1",
         "net/random/seed0", "net/random/seed1", "kmer/baseline/seed0"]} for kind, metric in METRICS.items()
    ]  # fmt: skip
    arguments = ["--analysis", "finetune", "--directory", str(root / "finetune"), "--resamples", "50", "--seed", "1"]
    assert (
        main(["summarise_analysis", *arguments, "--cells", json.dumps(groups), "--output", str(root / "finetune")]) == 0
    )
    return root


@pytest.fixture
def copy(honest, tmp_path):
    return shutil.copytree(honest, tmp_path / "results")


def found(root):
    return [f"{misfit.path.relative_to(root)}: {misfit.text}" for misfit in tree.verify(root, 1).misfits]


def test_an_honest_tree_has_no_misfit(honest):
    check = tree.verify(honest, 1)
    assert not check.misfits
    outputs = pd.read_csv(honest / "finetune/outputs.csv")
    assert check.counts["values"] >= len(outputs) + 10 * 2
    assert not [reason for reason in check.unchecked if "test values" in reason or "rows of tables" in reason]


@pytest.mark.parametrize("kind", [VALUES, TRACKS])
def test_a_changed_prediction_is_found(copy, kind):
    place = copy / CELL.format(kind)
    table = pq.read_table(place / "predictions.parquet")
    values = table["values"].to_pylist()
    values[0], values[-1] = values[-1], values[0]
    table = table.set_column(table.column_names.index("values"), "values", pa.array(values, pa.list_(pa.float32())))
    pq.write_table(table, place / "predictions.parquet")
    assert any("not the predictions that the record" in each for each in found(copy))
    sign(place / "record.json")  # a forger
    misfits = found(copy)
    record = CELL.format(kind) + "/record.json"
    for name in LABELS[kind]:
        assert any(each.startswith(f"{record}: {name} of run a on test is") for each in misfits)
    tables = {each.split(":")[0] for each in misfits} - {record}
    assert tables == {"finetune/scores.csv", "finetune/comparisons.csv", "finetune/outputs.csv"}


@pytest.mark.parametrize("kind", [VALUES, TRACKS])
@pytest.mark.parametrize("versus", ["", "random"])
def test_a_changed_number_of_the_table_is_found(copy, kind, versus):
    path = copy / "finetune/outputs.csv"
    frame = pd.read_csv(path, keep_default_na=False)
    place = frame.index[(frame["task"] == kind) & (frame["output"] == "out1") & (frame["versus"] == versus)][0]
    column = "delta" if versus else "value"
    frame[column] = frame[column].astype(object)
    frame.loc[place, column] = float(frame.loc[place, column]) + 0.01
    frame.to_csv(path, index=False)
    (misfit,) = found(copy)
    assert misfit.startswith(f"finetune/outputs.csv: {column} of finetune {kind} net pretrained") and "out1" in misfit


def test_other_outputs_than_the_record_names_are_found(copy):
    path = copy / CELL.format(VALUES) / "record.json"
    record = read_json(path)
    record["settings"]["outputs"] = ["out0", "out1"]
    record["hashes"]["numbers"] = hash_numbers(record)
    write_json(path, record)
    told = found(copy)
    assert any("its predictions are of 3 outputs, and its record names 2" in each for each in told), told
    del record["settings"]["outputs"]
    record["hashes"]["numbers"] = hash_numbers(record)
    write_json(path, record)
    assert any("do not say of which kind its labels are" in each for each in found(copy))
    del record["settings"]["labels"]
    record["hashes"]["numbers"] = hash_numbers(record)
    write_json(path, record)
    assert any("of other labels than the record, which is of labels without outputs" in each for each in found(copy))


def test_constant_answers_of_many_outputs_are_nobodys_own():
    observed = np.random.default_rng(0).normal(size=(30, 12))
    for values, own in ((np.tile(np.arange(12.0), (30, 1)), False), (observed + 1, True)):
        record, table = make_cell(VALUES, "r2", observed, values, ("length", "baseline"))
        found = Predictions(table, None, stated_by(record))
        assert bool(found.digest_outputs("a")) == own


def test_a_probability_is_between_0_and_1(copy):
    place = copy / CELL.format(TRACKS)
    table = pq.read_table(place / "predictions.parquet")
    values = np.array(table["values"].to_pylist()) * 2
    column = pa.array(list(values.astype(np.float32)), pa.list_(pa.float32()))
    table = table.set_column(table.column_names.index("values"), "values", column)
    pq.write_table(table, place / "predictions.parquet")
    sign(place / "record.json")  # no rank is another
    assert found(copy) == [
        f"{CELL.format(TRACKS)}/predictions.parquet: the probability of a one is not between 0 and 1"
    ]


def test_the_command_ends_with_1(copy, capsys):
    assert main(["verify", str(copy)]) == 0
    frame = pd.read_csv(copy / "finetune/outputs.csv").drop(columns="value")
    frame.to_csv(copy / "finetune/outputs.csv", index=False)
    with pytest.raises(SystemExit, match="1"):
        main(["verify", str(copy)])
    assert "no column value" in capsys.readouterr().out
