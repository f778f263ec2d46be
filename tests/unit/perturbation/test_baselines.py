"""Baselines on a screen small enough to work out by hand."""

import numpy as np
import pytest

from foundationless.perturbation import baselines
from foundationless.perturbation.effects import Effects
from foundationless.perturbation.screens import see
from foundationless.study.vocabulary import EFFECT_BASELINES


def screen(values="lognorm", direction="knockdown"):
    means = np.array([[1, 2, 4], [0, 2, 6], [1, 4, 4], [3, 2, 4], [0.5, 3, 5]], dtype=np.float32)
    return see(
        Effects(
            ("ctrl", "a", "b", "c", "a+b"), ((), ("a",), ("b",), ("c",), ("a", "b")),
            ("control", "single", "single", "single", "double"), ("unknown", *[direction] * 4), np.full(5, 8), means,
            None, ("a", "b", "c"), ("a", "b", "c"), values, "by hand",
        )
    )  # fmt: skip


TRAIN, TEST, DOUBLE = np.array([1, 2]), np.array([3]), np.array([4])


def test_every_baseline_of_the_vocabulary_is_here():
    assert set(EFFECT_BASELINES) == {*baselines.BASELINES, "linear", "nearest_go"}


def test_the_mean_counts_the_control():
    assert baselines.mean(screen(), TRAIN, TEST).tolist() == [pytest.approx([-1 / 3, 2 / 3, 2 / 3])]


def test_sums_of_singles():
    assert baselines.additive(screen(), TRAIN, DOUBLE).tolist() == [[-1, 2, 2]]
    assert baselines.matching_mean(screen(), TRAIN, DOUBLE).tolist() == [[-0.5, 1, 1]]
    scaled = baselines.scaled_additive(screen(), np.array([1, 2, 3, 4]), DOUBLE)
    assert scaled.tolist() == [pytest.approx([-0.5, 1, 1])]  # the double is half the sum
    assert baselines.additive_scale(screen(), TRAIN) == 1.0  # no training double


@pytest.mark.parametrize(
    ("values", "direction", "expected"),
    [
        ("lognorm", "knockdown", -4.0),
        ("lognorm", "knockout", -4.0),
        ("lognorm", "activation", 4.0),
        ("lognorm", "unknown", (-1 + 2) / 2),  # own genes of a and b changed by -1 and 2
        ("z", "knockdown", (-1 + 2) / 2),
    ],
)
def test_the_perturbed_gene_s_own_expression(values, direction, expected):
    found = baselines.crispr_mean(screen(values, direction), TRAIN, TEST)[0]
    assert found == pytest.approx([-1 / 3, 2 / 3, expected])


def test_the_nearest_target_lends_its_effect():
    train = np.array([1, 2])
    near_b = np.array([[1.0, 0.0], [0.1, 1.0], [0.0, 2.0]])
    assert baselines.nearest(screen(), near_b, train, TEST, 1).tolist() == [[0, 2, 0]]
    assert baselines.nearest(screen(), near_b, train, TEST, 2).tolist() == [[-0.5, 1, 1]]
    sets = np.array([[1.0, 1, 0, 0], [0, 1, 1, 1], [1, 1, 0, 1]])  # Jaccard with c: 2/3 of a, 2/4 of b
    assert baselines.nearest(screen(), sets, train, TEST, 1).tolist() == [[-1, 0, 2]]
    unknown = np.array([[1.0], [1.0], [np.nan]])
    assert baselines.nearest(screen(), unknown, train, TEST, 1) == pytest.approx(baselines.mean(screen(), train, TEST))
