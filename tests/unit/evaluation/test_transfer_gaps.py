"""Gaps of transfer: intervals that cover true ones, and words for arms whose gaps differ as planted."""

import json

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.evaluation.analysis_summary import read_cells
from foundationless.evaluation.bootstrap import Run
from foundationless.evaluation.task_results import CellResult, TaskResults
from foundationless.evaluation.transfer.gaps import Source, find_gaps

CLASSES = ["no", "yes"]


def results(task, accuracies, generator, n=400, seeds=3, sd=0.0):
    """A task of even classes; `accuracies` by arm, which seeds vary by `sd`."""
    truth = np.arange(n) % 2
    labels, ids = np.asarray(CLASSES)[truth], np.array([f"{task}{i}" for i in range(n)])
    cells = []
    for (model, init), accuracy in accuracies.items():
        for seed in range(seeds):
            right = generator.random(n) < accuracy + sd * generator.normal()
            predicted = np.where(right, truth, 1 - truth)
            run = Run(seed, -1, labels, ids, np.asarray(CLASSES)[predicted], 0.1 + 0.8 * np.eye(2)[predicted], ids)
            record = {"analysis": "transfer", "task": task, "model": model, "init": init, "seed": seed, "results": []}
            cells.append(CellResult(record, {"-1 x": run}, {"validation": ["-1 x"], "test": [], "last_layer": []}))
    return TaskResults(cells, CLASSES, 300, 1)


def gaps(home, far, generator, **more):
    sides = [results(task, arms, generator, **more) for task, arms in (("far", far), ("home", home))]
    return find_gaps(*sides, "accuracy", 0.02, Source("home")).set_index(["model", "init", "versus"])


def test_the_interval_covers_the_true_gap():
    """With seeds that vary, and items that are drawn on both sides."""
    generator, covered = np.random.default_rng(0), 0
    for _ in range(80):
        row = gaps({("m", "pretrained"): 0.9}, {("m", "pretrained"): 0.75}, generator, n=200, sd=0.02).iloc[0]
        covered += row["gap_low"] <= 0.15 <= row["gap_high"]
    assert covered >= 0.89 * 80, "95 % of draws, and not fewer than that allows in 80"


def test_an_arm_that_loses_less_is_better():
    generator = np.random.default_rng(1)
    arms = [("m", "pretrained"), ("m", "random"), ("k", "baseline")]
    home, far = dict.fromkeys(arms, 0.85), dict(zip(arms, (0.84, 0.70, 0.84), strict=True))
    rows = gaps(home, far, generator, n=3000)
    row = rows.loc[("m", "pretrained", "random")]
    assert row["in_domain"] - row["far"] == pytest.approx(row["gap"]) and row["verdict"] == "better"
    assert row["low"] < 0.14 < row["high"] and row["delta"] == pytest.approx(0.14, abs=0.02)
    assert rows.loc[("m", "random", "baseline"), "verdict"] == "worse"
    assert rows.loc[("m", "pretrained", "baseline"), "verdict"] in ("equivalent", "undecided")
    assert len(rows) == 4, "the baseline has a row of its own, with nothing to compare with"


def test_where_nothing_was_learned_there_is_nothing_to_lose():
    arms = dict.fromkeys([("m", "pretrained"), ("m", "random")], 0.5)
    rows = gaps(arms, arms, np.random.default_rng(2))
    assert rows.loc[("m", "pretrained", "random"), "verdict"] == "not learned"


def test_cells_say_what_a_task_learns_from():
    source = {"far": {"task": "home", "target_rows": 10, "weighting": ""}, "odd": {"task": "elsewhere"}}
    text = [{"metric": "mcc", "tasks": ["home", "far", "odd"], "cells": ["m/random/seed0"], "sources": source}]
    home, far, odd = read_cells(json.dumps(text))
    assert home.source is None and odd.source is None
    assert far.source == Source("home", target_rows=10) and far.home == home.cells
    text[0]["sources"] = {"far": {"wrong": 1}}
    with pytest.raises(UserError, match="not a JSON list"):
        read_cells(json.dumps(text))
