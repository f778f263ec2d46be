"""Whom arms are compared with: validation chooses the best baseline, and where it has nothing to say, nobody does."""

import numpy as np
import pyarrow as pa
import pytest

from foundationless.evaluation.task_summary import summarise

N = 200
LABELS = np.arange(N) % 2


def cell(model, init, accuracy, seed=0, validation=None, draws=0):
    """Record and predictions that are right for so many of the test rows; with `draws` of one and of two rows."""
    rng, folds = np.random.default_rng([seed, *map(ord, model + init)]), range(2 * draws or 1)
    said = {"metric": "mcc", "n": N, "selection": "run", "fold": None, "learning_rate": None}
    results = [said | {"split": "test", "value": 0.5, "extra": {"selected": True}}]
    if validation is not None:
        results.append(said | {"split": "validation", "value": validation, "extra": {"selected": True}})
    settings = {"family": "cnn", "probes": ["logistic"], "classes": ["0", "1"]}
    record = {
        "schema": 2, "analysis": "fewshot" if draws else "finetune", "task": "t", "model": model, "init": init,
        "seed": seed, "parameters": 1, "results": results, "cost": {"seconds": 1.0}, "versions": {},
        "settings": settings | ({"draws": draws, "shots": [1, 2]} if draws else {}),
    }  # fmt: skip
    right = [rng.random(N) < accuracy for _ in folds]
    predicted = np.concatenate([np.where(one, LABELS, 1 - LABELS) for one in right])
    ids, whole = [f"r{row}" for row in range(N)] * len(folds), len(folds) * N
    table = {"id": ids, "group": ids, "label": np.tile(LABELS, len(folds)).astype(str), "split": ["test"] * whole}
    table |= {"predicted": predicted.astype(str), "probabilities": np.eye(2)[predicted].tolist()}
    table |= {"fold": np.repeat(folds, N), "run": [f"{fold}" for fold in np.repeat(folds, N)]}
    return record, pa.table(table | {"selected": [True] * whole, "selected_paper": [True] * whole})


def summed(baselines, accuracy=0.9, draws=0):
    """A network of three seeds, and baselines (accuracy, validation value) by name."""
    cells = [cell("net", init, accuracy, seed, draws=draws) for init in ("pretrained", "random") for seed in range(3)]
    cells += [cell(name, "baseline", right, 0, value, draws) for name, (right, value) in baselines.items()]
    records, tables = zip(*cells, strict=True)
    return summarise(records, tables, metric="mcc", resamples=100, margin=0.04, seed=1)


def references(found, selection):
    rows = found.comparisons
    return set(rows.loc[(rows["versus"] == "baseline") & (rows["selection"] == selection), "reference"])


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [(0.3, 0.6, {"gc"}), (0.3, None, {"kmers"}), (None, None, set())],
    ids=["both", "one", "none"],
)
def test_test_scores_choose_no_best_baseline_for_validation(first, second, chosen):
    found = summed({"kmers": (0.8, first), "gc": (0.6, second)})
    assert references(found, "validation") == chosen and references(found, "test") == {"kmers"}
    told = [row["note"] for row in found.notes if row["what"] == "reference"]
    assert len(told) == (not chosen) and all("kmers, gc" in text for text in told)
    assert {"random", "best_random"} <= set(found.comparisons["versus"])


def test_an_only_baseline_needs_no_choice():
    found = summed({"kmers": (0.8, None)})
    assert references(found, "validation") == references(found, "test") == {"kmers"} and not found.notes


def test_few_shots_are_compared_with_each_baseline_and_draws_are_no_folds():
    """Where nothing learned, no word says that two arms are equivalent, best baseline or none."""
    found = summed({"kmers": (0.5, None), "gc": (0.5, None)}, accuracy=0.5, draws=4)
    assert references(found, "validation") == set() and found.diagnostics["components"].empty
    rows = found.diagnostics["fewshot"]
    pairs = rows[rows["versus"] == "baseline"]
    assert set(pairs["reference"]) == {"kmers", "gc"} and set(pairs["verdict"]) == {"not learned"}
    able = summed({"kmers": (0.9, None), "gc": (0.5, None)}, accuracy=0.5, draws=4).diagnostics["fewshot"]
    words = able[able["versus"] == "baseline"].groupby("reference")["verdict"].agg(set)
    assert words["kmers"] == {"worse"} and words["gc"] == {"not learned"}
