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


def weighed(margin=0.04, validation=None, **accuracies):
    """`kmers=0.8` by accuracy on the test rows, of each seed where there are three; networks have three seeds.

    Validation values are those of the accuracy unless `validation` says another.
    """
    cells = [arm("majority", "baseline", 0.5, 0, 0.0)]
    for name, given in accuracies.items():
        init = "baseline" if name in ("kmers", "gc") else "random" if name == "cnn" else "pretrained"
        seeds = [0] if init == "baseline" else [0, 1, 2]
        each = given if isinstance(given, tuple) else [given] * len(seeds)
        value = (validation or {}).get(name, 2 * each[0] - 1)
        cells += [arm(name, init, accuracy, seed, value) for seed, accuracy in zip(seeds, each, strict=True)]
    records, tables = zip(*cells, strict=True)
    return weigh(list(records), list(tables), "mcc", margin, 500, 1) | {
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


def test_of_classes_no_other_metric_is_kept_or_told():
    found = weighed(kmers=0.7, cnn=0.95)
    assert not any("also" in each for each in found["arms"])
    assert not any("On the test rows" in one for one in section(found, {})["sentences"])


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


def test_validation_rows_rank_and_test_rows_do_not():
    found = weighed(kmers=0.7, gc=0.95, cnn=0.9, validation={"kmers": 0.9, "gc": 0.1, "cnn": 0.8})
    assert found["best"]["model"] == found["cheap"]["model"] == "kmers" and found["difference"] is None
    told = section(found, {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"]["model"] == "kmers" and "MCC 0.900" in told["sentences"][0]
    assert f"reaches MCC {found['best']['value']:.3f}" in told["sentences"][0] and found["best"]["value"] < 0.6
    assert "The best network, CNN, is not better on the validation rows" in told["sentences"][1]
    found = weighed(kmers=0.7, gc=0.95, cnn=0.9, validation={"kmers": 0.3, "gc": 0.1, "cnn": 0.8})
    assert (found["best"]["model"], found["cheap"]["model"]) == ("cnn", "kmers"), "the cheap one, too, by validation"


def test_a_difference_within_the_margin_counts_as_none():
    found = weighed(margin=0.6, kmers=0.7, cnn=0.95)
    assert found["difference"]["real"] and not found["difference"]["counts"]
    told = section(found, {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"]["model"] == "kmers" and any("counts as none" in sentence for sentence in told["sentences"])


def test_every_seed_of_a_network_is_above_the_cheap_one():
    found = weighed(kmers=0.8, cnn=(0.98, 0.98, 0.75), validation={"cnn": 0.9})
    assert found["difference"]["low"] > 0 and not found["difference"]["real"]
    told = section(found, {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"]["model"] == "kmers" and any("not every seed" in sentence for sentence in told["sentences"])
    worse = section(weighed(kmers=0.9, cnn=0.6, validation={"cnn": 0.95}), {"cnn": "CNN", "kmers": "k-mers"})
    assert worse["use"]["model"] == "kmers" and any("does not lie above 0" in one for one in worse["sentences"])


def test_where_one_of_the_two_learned_it_is_used():
    found = weighed(kmers=0.8, cnn=0.5, validation={"cnn": 0.95})
    assert found["best"]["model"] == "cnn" and not found["best"]["learned"] and found["cheap"]["learned"]
    told = section(found, {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"]["model"] == "kmers" and not any("nothing learns" in sentence for sentence in told["sentences"])
    found = weighed(margin=0.5, kmers=0.54, cnn=0.58)
    assert found["best"]["learned"] and not found["cheap"]["learned"] and not found["difference"]["counts"]
    told = section(found, {"cnn": "CNN", "kmers": "k-mers"})
    assert told["use"]["model"] == "cnn" and any("k-mers is not shown to be better" in one for one in told["sentences"])


def test_groups_that_are_too_few_to_draw_are_told():
    record, table = arm("kmers", "baseline", 0.8, 0, 0.6)
    for groups, told in ((30, False), (5, True)):
        named = pa.array([f"g{row % groups}" for row in range(len(LABELS))])
        grouped = table.set_column(table.schema.get_field_index("group"), "group", named)
        found = weigh([record], [grouped], "mcc", 0.04, 100, 1)
        found |= {"task": "mine", "label": "Mine", "audit": None, "pretraining": {}, "flattery": []}
        said = " ".join(section(found, {})["sentences"])
        assert ("in 30 groups" in said) is not told
        assert ("300 test items are of 5 groups, too few to draw" in said and "too narrow" in said) is told


def test_labels_by_lot_are_seldom_learned():
    """The lower end of a 95 % interval lies above a constant answer in one set of forty."""
    wrong = 0
    for world in range(100):
        dice = random.Random(world)
        record, table = arm("kmers", "baseline", 0.5, world, 0.1)
        labels = [dice.choice("01") for _ in LABELS]
        table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels))
        wrong += weigh([record], [table], "mcc", 0.04, 400, world)["best"]["learned"]
    assert wrong <= 7  # more than that in 100 has a probability of 0.4 % at 2.5 %


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
        weigh([], [], "mcc", 0.04, 100, 1)
