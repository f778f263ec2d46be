"""What the jobs write of labels with outputs is what the summary, the check and the recommendation read."""

import json

import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.evaluation.verification import tree
from foundationless.models.weights import initialise, save_weights
from foundationless.runtime.files import read_json
from foundationless.study.vocabulary import LABELS, TRACKS, VALUES
from foundationless.tasks.sequence_sets import write_sequences
from support.fine_tuning import command_line, planted_outputs
from support.networks import HYENA

METRIC = {VALUES: "r2", TRACKS: "macro_auroc"}
CELLS = {
    "finetune": ["hyena/pretrained/seed0", "hyena/pretrained/seed1", "hyena/random/seed0", "hyena/random/seed1",
                 "kmer/baseline/seed0", "majority/baseline/seed0"],
    "biotype": ["hyena/pretrained/seed0", "hyena/random/seed0"],
}  # fmt: skip


def run(root, command, analysis, task, cell, **flags):
    place = root / analysis / task / cell
    place.mkdir(parents=True)
    model, init, seed = cell.split("/")
    identity = {"task": task, "model": model, "init": init, "seed": seed.removeprefix("seed"), "analysis": analysis}
    files = {"sequences": root / f"sequences/{task}.parquet", "record": place / "record.json"}
    files |= {"predictions": place / "predictions.parquet", "metric": METRIC[task]}
    assert main(command_line(command, identity | files | flags)) == 0


def do_task(root, kind):
    write_sequences(root / f"sequences/{kind}.parquet", planted_outputs(kind))
    linear = {VALUES: "ridge", TRACKS: "logistic"}[kind]
    for cell in CELLS["finetune"]:
        model, init, seed = cell.split("/")
        if init == "baseline":
            classifier = linear if model == "kmer" else "majority"
            run(root, "fit_baseline", "finetune", kind, cell, family=model, classifier=classifier)
        else:
            weights = {"weights": root / f"weights/hyena/{init}/{seed if init == 'random' else 'seed0'}"}
            weights |= {"runs": root / "finetune" / kind / cell / "runs", "pooling": "max"}
            run(root, "finetune_model", "finetune", kind, cell, learning_rates=[0.003, 0.01], epochs=2, batch_size=32,
                **weights)  # fmt: skip
    for cell in CELLS["biotype"]:
        embedded = root / f"embeddings/{kind}" / cell / "embeddings.parquet"
        embedded.parent.mkdir(parents=True)
        given = {"weights": root / "weights" / cell, "sequences": root / f"sequences/{kind}.parquet"}
        assert main(command_line("embed", given | {"poolings": ["max"], "output": embedded})) == 0
        chosen = {"probes": [linear, "knn"], "poolings": "max", "pca": 3, "cv_folds": 3}
        run(root, "probe", "biotype", kind, cell, embeddings=embedded, **chosen)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    root = tmp_path_factory.mktemp("jobs") / "results"
    (root / "sequences").mkdir(parents=True)
    for init, seed in (("pretrained", 0), ("random", 0), ("random", 1)):
        card = {"model": "hyena", "family": "hyenadna", "tokenizer": "hyenadna", "init": init, "seed": seed}
        drawn = 40 + seed if init == "random" else 7
        save_weights(
            root / f"weights/hyena/{init}/seed{seed}", initialise("hyenadna", HYENA, drawn), card | {"source": {}}
        )
    for kind in METRIC:
        do_task(root, kind)
    for analysis, cells in CELLS.items():
        groups = [{"metric": metric, "tasks": [kind], "cells": cells} for kind, metric in METRIC.items()]
        words = ["--analysis", analysis, "--directory", str(root / analysis), "--resamples", "50", "--seed", "1"]
        written = ["--cells", json.dumps(groups), "--output", str(root / analysis)]
        assert main(["summarise_analysis", *words, *written]) == 0
    return root


def test_every_number_of_the_jobs_is_computed_again(jobs):
    check = tree.verify(jobs, 1)
    assert not check.misfits
    assert not [reason for reason in check.unchecked if "test values" in reason or "rows of tables" in reason]


@pytest.mark.parametrize("analysis", CELLS)
def test_tables_have_every_arm_and_metric(jobs, analysis):
    scores = pd.read_csv(jobs / analysis / "scores.csv").query("selection == 'validation'")
    assert len(scores) == 2 * len({cell.rsplit("/", 1)[0] for cell in CELLS[analysis]})
    for kind, rows in scores.groupby("task"):
        assert rows[[*LABELS[kind]]].notna().all(axis=None) and rows["low"].notna().all()
        others = [name for name in LABELS if name != kind]
        assert rows[[name for other in others for name in LABELS[other] if name in rows]].isna().all(axis=None)
    outputs = pd.read_csv(jobs / analysis / "outputs.csv", keep_default_na=False)
    assert {*outputs["output"]} == {"", "first", "second"}
    if analysis == "finetune":
        learned = scores.set_index(["task", "model"])["learned"]
        assert learned[VALUES, "kmer"] and learned[TRACKS, "kmer"]
        assert not learned[VALUES, "majority"] and not learned[TRACKS, "majority"]


@pytest.mark.parametrize("kind", METRIC)
def test_an_arm_is_recommended(jobs, tmp_path, kind):
    path = tmp_path / "found.json"
    words = ["--task", kind, "--label", kind, "--metric", METRIC[kind], "--directory", str(jobs / "finetune" / kind)]
    words += ["--cells", *CELLS["finetune"], "--resamples", "100", "--seed", "1", "--output", str(path)]
    assert main(["recommend_model", *words]) == 0
    found = read_json(path)
    assert found["cheap"]["model"] == "kmer" and found["test_rows"] == 80
    assert found["constant"] == (0.5 if kind == TRACKS else 0)
    assert {arm["model"] for arm in found["arms"]} == {"hyena", "kmer"}
    assert found["cheap"]["learned"] and found["cheap"]["low"] < found["cheap"]["value"] < found["cheap"]["high"]
