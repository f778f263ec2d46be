"""From a simulated screen to words, command by command: a planted embedding helps, an idle one does not, and where
targets are dealt anew nothing does."""

import itertools
import json

import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.evaluation import table_files
from foundationless.evaluation.verification import tree
from support.commands import words

DRAWS = 3
ARMS = [("pretrained", 0), *((init, draw) for init in ("random", "permuted", "spectrum") for draw in range(DRAWS))]
CHOICES = {"strengths": [0.1, 1, 10, 100, 1000, 10000], "inner-folds": 3}


FILES = ("comparisons", "scores", "notes")
PAPER = {"reading": "as_in_paper", "inner-folds": 0}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Comparisons and scores, by validation, of the plain task and of the one whose targets are dealt anew."""
    folder = tmp_path_factory.mktemp("planted")

    def call(command, **flags):
        assert main(words(command, **flags)) == 0, command

    call("simulate_effects", seed=3, output=folder)
    effects = folder / "effects.parquet"
    call("build_effects", source=f"matrix={folder / 'effects.h5ad'}", seed=3, output=effects)
    tasks = {"sim_effects": "", "sim_effects.permuted": "permuted"}
    cells = []

    def predict(task, model, init, seed, **flags):
        place = folder / "borrowed" / task / model / init / f"seed{seed}"
        place.mkdir(parents=True)
        cells.append(f"{model}/{init}/seed{seed}")
        outputs = {"record": place / "record.json", "predictions": place / "predictions.parquet"}
        identity = {"analysis": "borrowed", "task": task, "model": model, "init": init, "seed": seed}
        variant = {"variant": tasks[task]} if tasks[task] else {}
        call("predict_effects", effects=effects, **identity, **outputs, **variant, **flags)

    for name in ("useful", "useless"):
        call("import_genes", kind="simulated", input=folder / f"{name}.tsv", output=folder / f"{name}.parquet")
    for task, (name, (init, seed)) in itertools.product(tasks, itertools.product(("useful", "useless"), ARMS)):
        predict(task, f"{name}.target", init, seed, genes=folder / f"{name}.parquet", side="target", **CHOICES)
    for task in tasks:
        predict(task, "mean", "baseline", 0, baseline="mean")
    # A table without every third gene, read soundly and as in the paper, which predicts of no target without a vector.
    table = (folder / "useful.tsv").read_text().splitlines()
    kept = [line for place, line in enumerate(table) if place == 0 or place % 3]
    (folder / "fewer.tsv").write_text("\n".join(kept) + "\n")
    call("import_genes", kind="simulated", input=folder / "fewer.tsv", output=folder / "fewer.parquet")
    for init, seed in ARMS[: 1 + DRAWS]:
        for model, read in (("fewer.target", CHOICES), ("fewer.target.paper", PAPER)):
            predict("sim_effects", model, init, seed, genes=folder / "fewer.parquet", side="target", **read)
    of_all = [cell for cell in dict.fromkeys(cells) if not cell.startswith("fewer")]
    groups = {"sim_effects": list(dict.fromkeys(cells)), "sim_effects.permuted": of_all}
    every = json.dumps([{"metric": "skill", "tasks": [task], "cells": mine} for task, mine in groups.items()])
    output = folder / "borrowed"
    call("summarise_analysis", analysis="borrowed", directory=folder / "borrowed", cells=every, seed=1, output=output,
         resamples=500)  # fmt: skip
    read = {name: table_files.read_table(output / f"{name}.csv", name) for name in FILES}
    verified = tree.verify(folder, 1)
    assert not verified.misfits, verified.misfits
    return {name: frame[frame["selection"] == "validation"] if "selection" in frame else frame
            for name, frame in read.items()}  # fmt: skip


@pytest.fixture
def said(found):
    """(task, model, versus) -> word of the pretrained arm."""
    mine = found["comparisons"][found["comparisons"]["init"] == "pretrained"]
    return mine.set_index(["task", "model", "versus"])["verdict"]


@pytest.mark.parametrize("versus", ["random", "permuted", "spectrum", "mean"])
def test_what_was_planted_is_better_than_random_and_than_the_mean(said, versus):
    assert said["sim_effects", "useful.target", versus] == "better"


def test_a_reading_that_leaves_perturbations_out_ends_nothing(found, said):
    """It is compared on what both predict, and a note says what it lacks."""
    counts = found["scores"].set_index(["task", "model", "init"])["n_test"].loc["sim_effects"]
    misread, whole = counts["fewer.target.paper", "pretrained"], counts["fewer.target", "pretrained"]
    assert misread < whole == counts["mean", "baseline"]
    pairs = found["comparisons"].set_index(["model", "init", "versus"])
    for versus in ("reading", "mean", "random"):
        assert pairs.loc[("fewer.target.paper", "pretrained", versus), "n_test"] == misread
    assert said["sim_effects", "fewer.target", "random"] == "better"
    notes = found["notes"][found["notes"]["what"] == "items"]
    assert f"{whole - misread:.0f} of {whole:.0f} held-out" in " ".join(notes["note"])
    assert set(notes["model"]) == {"fewer.target.paper"}


def test_numbers_without_meaning_are_as_good_as_random_and_no_better_than_the_mean(said):
    assert said["sim_effects", "useless.target", "random"] == "equivalent"
    assert said["sim_effects", "useless.target", "mean"] == "equivalent"


def test_nothing_is_learned_of_targets_that_were_dealt_anew(found, said):
    for name in ("useful.target", "useless.target"):
        for versus in ("random", "permuted", "spectrum"):
            assert said["sim_effects.permuted", name, versus] in ("not learned", "equivalent")
        assert said["sim_effects.permuted", name, "mean"] != "better"
    scores = found["scores"][found["scores"]["task"] == "sim_effects.permuted"].set_index(["model", "init"])
    at_chance = scores.loc[[("useful.target", "pretrained"), ("useless.target", "pretrained")]]
    assert not at_chance["learned"].astype(bool).any() and (at_chance["value"].abs() < 0.02).all()
    assert (at_chance["rank_accuracy"] - 0.5).abs().max() < 0.15
    plain = found["scores"].set_index(["task", "model", "init"]).loc[("sim_effects", "useful.target", "pretrained")]
    assert isinstance(plain, pd.Series) and plain["value"] > 0.1 and plain["rank_accuracy"] > 0.8
