"""Which arm to use where labels are numbers, or zeros and ones of several tracks."""

import numpy as np
import pytest

from foundationless.evaluation.choice.contenders import flattery, weigh
from foundationless.evaluation.outputs.metrics import evaluate_each
from foundationless.reporting.tables.own_words import section
from support.outputs import make_cells

KMERS, GC, CNN, CONSTANT = ("kmers", "baseline"), ("gc", "baseline"), ("cnn", "random"), ("majority", "baseline")
LABELS = {"kmers": "k-mers", "cnn": "CNN", "gc": "GC"}


def weighed(kind, metric, signals, outputs=3, **more):
    """Facts of arms whose predictions have this correlation with what made the labels."""
    records, tables, observed = make_cells(kind, metric, {CONSTANT: 0.0} | signals, outputs=outputs, **more)
    found = weigh(records, tables, metric, 0.02, 400, 1)
    return found | {"task": "mine", "label": "Mine", "audit": None, "pretraining": {}, "flattery": []}, tables, observed


@pytest.mark.parametrize(("kind", "metric"), [("values", "pearson"), ("tracks", "macro_auroc")])
def test_a_network_that_is_really_better_is_used(kind, metric):
    found, tables, observed = weighed(kind, metric, {KMERS: 0.4, GC: 0.2, CNN: 0.9})
    assert (found["best"]["model"], found["cheap"]["model"]) == ("cnn", "kmers") and found["difference"]["counts"]
    assert found["constant"] == (0.0 if kind == "values" else 0.5) and found["test_rows"] == 300
    told = section(found, LABELS)
    assert told["use"] == {"model": "cnn", "init": "random"}
    assert "Use CNN: the network sees what k-mers cannot." in told["sentences"]
    name = "Pearson's r" if kind == "values" else "macro AUROC"
    assert f"({name} " in told["sentences"][0] and f"reaches {name} " in told["sentences"][0]
    values = [np.array(table["values"].to_pylist()) for table in tables[-3:]]
    each = np.mean([evaluate_each(kind, observed, one)[metric] for one in values], axis=0)
    assert found["outputs"] == pytest.approx(dict(zip(("out0", "out1", "out2"), each, strict=True)))
    first = max(found["outputs"], key=found["outputs"].get)
    said = f"CNN by label, {name.removeprefix('macro ')}: {first} {found['outputs'][first]:.3f}"
    assert any(sentence.startswith(said) for sentence in told["sentences"])


@pytest.mark.parametrize(
    ("kind", "metric", "constant"),
    [
        ("values", "pearson", "the mean (Pearson's r 0.000)"),
        ("tracks", "macro_auroc", "the share of ones (macro AUROC 0."),
    ],
)
def test_where_nothing_learned_nothing_is_used(kind, metric, constant):
    told = section(weighed(kind, metric, {KMERS: 0.0, CNN: 0.0}, world=3)[0], LABELS)
    assert told["use"] is None and any(
        f"better than one constant answer, {constant}" in one for one in told["sentences"]
    )
    assert any("nothing learns these labels" in one for one in told["sentences"])


def test_a_cheap_one_that_is_best_suffices_and_one_output_is_not_told_twice():
    found, *_ = weighed("values", "pearson", {KMERS: 0.9, CNN: 0.7}, outputs=1)
    told = section(found, LABELS)
    assert told["use"]["model"] == "kmers" and any("it suffices" in one for one in told["sentences"])
    assert found["outputs"] == {} and not any("by label" in one for one in told["sentences"])


def test_of_many_labels_the_best_and_the_worst_are_told():
    found, *_ = weighed("tracks", "macro_auroc", {KMERS: 0.8}, outputs=7)
    said = next(one for one in section(found, LABELS)["sentences"] if "on each of 7 labels" in one)
    order = sorted(found["outputs"].values())
    assert f"{order[-1]:.3f} down to " in said and f"{order[0]:.3f}, with {order[3]:.3f} in the middle" in said


def test_values_by_lot_are_seldom_learned():
    wrong = [
        weighed("values", "pearson", {KMERS: 0.0}, outputs=1, n=150, world=world)[0]["best"]["learned"]
        for world in range(60)
    ]
    assert sum(wrong) <= 6  # more than that in 60 has a probability of 0.1 % at 2.5 %


def test_what_a_random_split_flatters_is_told_by_the_metric():
    here = weighed("values", "pearson", {KMERS: 0.4, ("nearest", "baseline"): 0.1, CNN: 0.3})[0]
    there = weighed("values", "pearson", {KMERS: 0.9, ("nearest", "baseline"): 0.9, CNN: 0.3}, world=2)[0]
    told = section(here | {"flattery": flattery(here, there)}, LABELS | {"nearest": "Nearest sequence"})
    said = next(one for one in told["sentences"] if one.startswith("A random split"))
    assert (
        "would have flattered k-mers: Pearson's r 0.89" in said and "and the nearest sequence, which is memory" in said
    )


def test_another_value_in_training_is_told():
    pair = {"split": "test", "against": "earlier", "known": 3, "rows": 300, "conflict": 2}
    for kind, metric, word in (("values", "pearson", "value"), ("tracks", "macro_auroc", "label")):
        found = weighed(kind, metric, {KMERS: 0.5})[0] | {"audit": {"pairs": [pair], "shortcuts": []}}
        assert any(f"2 test rows have another {word} there" in one for one in section(found, LABELS)["sentences"])


def test_a_classifier_of_classes_is_called_what_it_is_of_values():
    for kind, metric, word in (("values", "pearson", "ridge"), ("tracks", "macro_auroc", "logistic")):
        found, *_ = weighed(kind, metric, {KMERS: 0.9})
        assert section(found, {"kmers": "k-mers, logistic"})["arms"][0]["label"] == f"k-mers, {word}"
