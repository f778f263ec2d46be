"""Few shots: areas, recalls and intervals over draws, items and seeds, against scikit-learn and by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, roots_hermite
from sklearn.metrics import roc_curve

from foundationless.evaluation.bootstrap import Run, compare_arms, interval, join, score_runs
from foundationless.evaluation.shots.curves import AREA, SCORE, _judge, area_weights
from foundationless.evaluation.shots.recall import recall_at

DRAWS, ITEMS, RESAMPLES = 20, 80, 150
OF_DRAW, OF_ITEM = 1.5, 1.0  # standard deviations of how hard draws and items are, in logits


def test_the_area_is_the_mean_height_over_the_logarithm():
    numbers, heights = [1, 5, 10, 50], np.array([0.1, 0.5, 0.4, 0.9])
    found = float(area_weights(numbers) @ heights)
    assert found == pytest.approx(np.trapezoid(heights, np.log(numbers)) / np.log(50))
    assert area_weights([5, 20]) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("ties", [False, True])
def test_the_recall_at_five_per_cent_is_that_of_scikit_learns_curve(ties):
    rng = np.random.default_rng(0)
    for _ in range(20):
        target = rng.random(90) < 0.3
        scores = rng.normal(size=90) + target
        scores = scores.round() if ties else scores
        weights = rng.integers(0, 3, size=(2, 90)).astype(float)
        for weight, found in zip(weights, recall_at(target, scores, weights), strict=True):
            false, true, _ = roc_curve(target, scores, sample_weight=weight, drop_intermediate=False)
            assert found == pytest.approx(true[false <= 0.05 + 1e-12].max())
    assert np.isnan(recall_at(np.array([True, True]), np.array([0.1, 0.2]), np.ones((1, 2))))


def expected(level: float) -> float:
    """Mean accuracy over all draws and items that there could be."""
    places, weights = roots_hermite(60)
    return float(weights @ expit(level + np.sqrt(2) * np.hypot(OF_DRAW, OF_ITEM) * places) / np.sqrt(np.pi))


def simulate(rng: np.random.Generator, levels: tuple[float, ...], drawn: bool = True):
    """Arms of one seed whose draws and items are as hard for each, and whose answers are their own."""
    labels = np.where(rng.random(ITEMS) < 0.5, "a", "b")
    other = np.where(labels == "a", "b", "a")
    names = np.array([f"i{item:03}" for item in range(ITEMS)])
    hard = OF_DRAW * rng.normal(size=(DRAWS, 1)) + OF_ITEM * rng.normal(size=ITEMS)
    runs = [
        Run(0, draw, labels, names, np.where(rng.random(ITEMS) < expit(level + hard[draw]), labels, other), ids=names)
        for level in levels
        for draw in range(DRAWS)
    ]
    scored = score_runs(runs, "accuracy", ["a", "b"], RESAMPLES, 1)
    arms = [join(scored[start : start + DRAWS]) for start in range(0, len(runs), DRAWS)]
    return [replace(arm, draws=np.arange(DRAWS)) for arm in arms] if drawn else arms


def test_intervals_cover_what_other_draws_and_items_would_give():
    """Nominal 95 %; without the draws they would be far too narrow."""
    rng, levels = np.random.default_rng(1), (0.8, 0.3)
    truth = [expected(level) for level in levels]
    hits = {"arm": 0, "difference": 0, "items alone": 0}
    simulations = 120
    for _ in range(simulations):
        arms = simulate(rng, levels)
        found = {"arm": interval(arms[0], 1), "items alone": interval(replace(arms[0], draws=None), 1)}
        for name, estimate in found.items():
            hits[name] += estimate.low <= truth[0] <= estimate.high
        change = compare_arms(arms[0], arms[1], 1)
        hits["difference"] += change.low <= truth[0] - truth[1] <= change.high
    error = 2 * np.sqrt(0.95 * 0.05 / simulations)
    assert hits["arm"] / simulations > 0.95 - error and hits["difference"] / simulations > 0.95 - error
    assert hits["items alone"] / simulations < 0.85


def test_arms_are_paired_over_draws():
    """What a draw does to both arms alike is no uncertainty of their difference."""
    first, second = simulate(np.random.default_rng(2), (0.8, 0.3))
    shifts = np.linspace(-0.3, 0.3, DRAWS)
    moved = [
        replace(arm, points=arm.points + shifts, replicates=arm.replicates + shifts[:, None]) for arm in (first, second)
    ]
    change, shifted = compare_arms(first, second, 1), compare_arms(*moved, 1)
    assert (shifted.low, shifted.high) == pytest.approx((change.low, change.high), abs=1e-9)
    assert interval(moved[0], 1).se > interval(first, 1).se


def test_words_are_adjusted_over_the_numbers_of_rows_and_areas_stand_alone():
    """Holm's adjusted p values worked out by hand: the least of three is three times itself."""
    said = {"model": "m", "init": "pretrained", "metric": "mcc", "versus": "random", "reference": "m"}
    said |= {"learned": True, "fewest_seeds": 3, "value": 0.3, "p_tost": 0.9}
    rows = [said | {"measure": SCORE, "p": p} for p in (0.02, 0.01, 0.6)]
    rows += [said | {"measure": AREA, "p": 0.04}, {"measure": SCORE, "model": "m", "init": "pretrained"}]
    _judge(rows)
    assert [row.get("p_holm") for row in rows] == [pytest.approx(p) for p in (0.04, 0.03, 0.6, 0.04)] + [None]
    assert [row.get("verdict") for row in rows] == ["better", "better", "undecided", "better", None]
    rows[0]["p"] = 0.03
    _judge(rows)
    assert [row["verdict"] for row in rows[:2]] == ["undecided", "better"], "0.03 alone would be better"
