"""Which arm to use: the best by validation, whether it beats the cheap one, and what another split flatters."""

import math
import random

import pyarrow as pa
import pytest

from foundationless.errors import UserError
from foundationless.evaluation.choice.contenders import flattery, weigh
from foundationless.evaluation.task_results import read_results
from foundationless.reporting.tables.own_words import section

LABELS = [str(number % 2) for number in range(300)]


def arm(model, init, accuracy, seed, validation):
    """Record and predictions that are right for so many of the test rows."""
    dice = random.Random(f"{model}{init}{seed}")
    predicted = [label if dice.random() < accuracy else str(1 - int(label)) for label in LABELS]
    results = [
        {"metric": "mcc", "value": validation, "n": 100, "split": "validation", "selection": "run", "fold": None,
         "learning_rate": None, "extra": {"selected": True}},
    ]  # fmt: skip
    record = {
        "schema": 2, "analysis": "finetune", "task": "mine", "model": model, "init": init, "seed": seed,
        "parameters": 9,
        "settings": {"family": "kmer" if init == "baseline" else "cnn", "probes": ["logistic"], "classes": "01"},
        "results": results, "cost": {"seconds": 10.0, "attempts": 1, "gpus": 0, "threads": 1},
    }  # fmt: skip
    rows = len(LABELS)
    table = pa.table(
        {
            "id": [f"r{number}" for number in range(rows)], "label": LABELS, "group": [f"r{n}" for n in range(rows)],
            "predicted": predicted, "fold": [0] * rows, "split": ["test"] * rows,
            "probabilities": [[0.9, 0.1] if one == "0" else [0.1, 0.9] for one in predicted],
            "selected": [True] * rows, "selected_paper": [True] * rows, "run": ["a"] * rows,
            "learning_rate": [0.1] * rows,
        }
    )  # fmt: skip
    return record, table


def weighed(**accuracies):
    """`kmers=0.8` by accuracy; networks have three seeds."""
    cells = [arm("majority", "baseline", 0.5, 0, 0.0)]
    for name, accuracy in accuracies.items():
        init = "baseline" if name in ("kmers", "gc") else "random" if name == "cnn" else "pretrained"
        seeds = [0] if init == "baseline" else [0, 1, 2]
        cells += [arm(name, init, accuracy, seed, 2 * accuracy - 1) for seed in seeds]
    records, tables = zip(*cells, strict=True)
    return weigh(list(records), list(tables), "mcc", 500, 1) | {
        "task": "mine", "label": "Mine", "audit": None, "pretraining": {}, "flattery": [],
    }  # fmt: skip


def test_a_network_that_is_really_better_is_used():
    found = weighed(kmers=0.7, gc=0.6, cnn=0.95)
    assert (found["best"]["model"], found["cheap"]["model"]) == ("cnn", "kmers")
    assert found["difference"]["real"] and found["difference"]["low"] > 0.3
    assert found["best"]["seeds"] == 3 and found["best"]["seconds"] == 30 and found["test_rows"] == 300
    told = section(found, {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"] == {"model": "cnn", "init": "random"}
    assert "Use CNN: the network sees what k-mers cannot." in told["sentences"]


def test_a_difference_that_is_not_real_leaves_the_cheap_one():
    told = section(weighed(kmers=0.9, cnn=0.905), {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"] == {"model": "kmers", "init": "baseline"}
    assert any("not shown to be real" in sentence for sentence in told["sentences"])


def test_a_cheap_one_that_is_best_suffices():
    told = section(weighed(kmers=0.9, cnn=0.8), {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"]["model"] == "kmers" and any("it suffices" in sentence for sentence in told["sentences"])


def test_where_nothing_learned_nothing_is_used():
    told = section(weighed(kmers=0.5, cnn=0.48), {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"] is None and any("nothing learns these labels" in sentence for sentence in told["sentences"])


def test_flattery_has_the_interval_of_two_independent_draws():
    here = {"model": "kmers", "init": "baseline", "value": 0.5, "low": 0.4, "high": 0.6}
    there = here | {"value": 0.8, "low": 0.7, "high": 0.85}
    (row,) = flattery({"arms": [here]}, {"arms": [there, {"model": "x", "init": "baseline"}]})
    assert row["delta"] == pytest.approx(0.3)
    assert row["low"] == pytest.approx(0.3 - math.hypot(0.1, 0.1)) and row["high"] == pytest.approx(
        0.3 + math.hypot(0.05, 0.1)
    )


def test_without_predictions_there_is_one_sentence():
    assert read_results([], [], 10, 1)[0] is None
    with pytest.raises(UserError, match="nothing can be recommended"):
        weigh([], [], "mcc", 100, 1)
