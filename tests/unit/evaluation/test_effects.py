"""Metrics of predicted effects against formulas of other libraries, and intervals of skill against a known truth."""

import time

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr

from foundationless.evaluation.bootstrap import Run, compare_arms, interval, join, score_runs
from foundationless.evaluation.effects import measure
from foundationless.evaluation.effects.profiles import CURVE, DIFFERENTIAL, curves
from foundationless.study.vocabulary import EFFECT_METRICS, METRICS

GENES, ROWS, TOP = 60, 12, 20


@pytest.fixture
def profiles():
    draw = np.random.default_rng(3)
    observed, predicted = draw.normal(size=(2, ROWS, GENES)).astype(np.float32)
    mean = np.tile(draw.normal(size=GENES).astype(np.float32), (ROWS, 1))
    targets = [[], [4], [0, 59], *([[row]] for row in range(ROWS - 3))]
    return observed, predicted, mean, targets


def oracle(observed, predicted, mean, targets, top):
    """Row by row, from genes that are there."""
    found = {name: [] for name in EFFECT_METRICS}
    for row, (y, p, m) in enumerate(zip(*(part.astype(float) for part in (observed, predicted, mean)), strict=True)):
        there = ~np.isnan(y)
        off = there.copy()
        off[targets[row]] = False
        first = there & (np.arange(len(y)) < top)

        def l2(a, b, genes):
            return float(np.linalg.norm((a - b)[genes]))

        found["l2"].append(l2(y, p, there))
        found["l2_top"].append(l2(y, p, first))
        found["l2_offtarget"].append(l2(y, p, off))
        found["skill"].append(1 - l2(y, p, there) / l2(y, m, there))
        found["skill_offtarget"].append(1 - l2(y, p, off) / l2(y, m, off))
        found["pearson_delta"].append(pearsonr(y[there], p[there])[0])
        found["pearson_mean"].append(pearsonr((y - m)[there], (p - m)[there])[0])
        largest = sorted(np.flatnonzero(there), key=lambda gene: -abs(y[gene]))[:DIFFERENTIAL]
        found["de_error"].append(np.sqrt(np.mean((y - p)[largest] ** 2) / np.mean(y[largest] ** 2)))
        away = cdist(p[there][None], observed[:, there].astype(float))[0]
        others = np.delete(away, row)
        found["rank_accuracy"].append(np.mean(others > away[row]) + np.mean(others == away[row]) / 2)
    return found


def test_every_metric_is_the_textbook_one(profiles):
    found, expected = measure(*profiles, TOP), oracle(*profiles, TOP)
    assert tuple(found) == EFFECT_METRICS and set(found) == set(expected)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_genes_that_a_reading_drops_are_left_out_of_every_metric(profiles):
    observed, predicted, mean, targets = profiles
    dropped = [3, 4, 17, 59]
    for part in (observed, predicted, mean):
        part[:, dropped] = np.nan
    found = measure(observed, predicted, mean, targets, TOP)
    for name, values in oracle(observed, predicted, mean, targets, TOP).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
    kept = np.delete(np.arange(GENES), dropped)
    shorter = measure(*(part[:, kept] for part in (observed, predicted, mean)), [[]] * ROWS, GENES)
    for name in ("skill", "l2", "pearson_delta", "pearson_mean", "rank_accuracy", "de_error"):
        np.testing.assert_allclose(found[name], shorter[name], rtol=1e-12)


def test_genes_missing_from_single_rows_are_missing_there_alone(profiles):
    observed, predicted, mean, targets = profiles
    whole = measure(*profiles, TOP)
    observed[5, 7] = np.nan
    found = measure(observed, predicted, mean, targets, TOP)
    others = np.arange(ROWS) != 5
    for name in set(EFFECT_METRICS) - {"rank_accuracy"}:
        np.testing.assert_array_equal(found[name][others], whole[name][others])
        assert name == "l2_top" or np.isfinite(found[name][5])


def test_the_mean_has_no_skill_no_change_no_correlation_and_the_truth_all(profiles):
    observed, _, mean, targets = profiles
    of_mean, of_none, of_truth = (
        measure(observed, part, mean, targets, TOP) for part in (mean, np.zeros_like(mean), observed)
    )
    np.testing.assert_array_equal(of_mean["skill"], 0.0)
    assert np.isnan(of_mean["pearson_mean"]).all() and np.isnan(of_none["pearson_delta"]).all()
    assert of_mean["rank_accuracy"].mean() == pytest.approx(0.5) == of_none["rank_accuracy"].mean()
    np.testing.assert_allclose(of_none["de_error"], 1.0)
    np.testing.assert_allclose([of_truth["skill"], of_truth["rank_accuracy"], of_truth["pearson_mean"]], 1.0)
    assert not of_truth["l2"].any()
    alike = measure(np.repeat(observed[:1], 4, axis=0), np.repeat(observed[:1], 4, axis=0), mean[:4], [[]] * 4, TOP)
    np.testing.assert_allclose(alike["rank_accuracy"], 0.5)
    assert np.isnan(measure(observed[:1], observed[:1], observed[:1], [[]], TOP)["skill"]).all(), "the mean is exact"


def test_curves_end_at_the_whole_error(profiles):
    observed, predicted, *_ = profiles
    found, whole = curves(observed, predicted), measure(*profiles, 30)
    for row in range(ROWS):
        error = (observed - predicted).astype(float)[row] ** 2
        order = np.argsort(-np.abs(observed[row]), kind="stable")
        for n in CURVE:
            assert found[f"l2_n{n}"][row] == pytest.approx(np.sqrt(error[:n].sum()))
            assert found[f"l2_de{n}"][row] == pytest.approx(np.sqrt(error[order[:n]].sum()))
    np.testing.assert_allclose(found["l2_n30"], whole["l2_top"])
    np.testing.assert_allclose(found["l2_n1000"], whole["l2"])


def test_many_genes_take_no_time():
    observed, predicted, mean = np.random.default_rng(1).normal(size=(3, 400, 5000)).astype(np.float32)
    start = time.perf_counter()
    measure(observed, predicted, mean, [[row] for row in range(400)], 1000)
    assert time.perf_counter() - start < 10


# ---- intervals


def runs(draw, skill, spread, noise, seeds, splits=3, known=120, held_out=30):
    """Runs of an arm: every perturbation has its own skill, every split and seed adds noise; splits overlap."""
    own = skill + spread * draw.normal(size=known)
    tests = [draw.permutation(known)[:held_out] for _ in range(splits)]
    return [
        Run(
            seed, fold, np.full(held_out, "single"), np.char.add("p", test.astype(str)),
            effects={"skill": own[test] + noise * draw.normal(size=held_out)},
        )
        for seed in range(seeds) for fold, test in enumerate(tests)
    ]  # fmt: skip


def test_an_interval_of_skill_covers_the_truth():
    """200 studies: perturbations are drawn anew in each, so 95 % intervals hold the true skill in about 95 %."""
    draw, covered = np.random.default_rng(11), 0
    for study in range(200):
        arm = join(score_runs(runs(draw, -0.2, 0.3, 0.1, 1), "skill", [], 300, study))
        found = interval(arm, study, "skill")
        covered += found.low <= -0.2 <= found.high
    assert 180 <= covered <= 199


def test_the_value_is_the_mean_over_perturbations_then_splits_then_draws():
    draw = np.random.default_rng(2)
    made = [one for one in runs(draw, 0.1, 0.2, 0.1, 3) if (one.seed, one.fold) != (2, 1)]
    made[0].effects["skill"][:5] = np.nan
    arm = join(score_runs(made, "skill", [], 50, 1))
    by_seed = [np.mean([np.nanmean(one.effects["skill"]) for one in made if one.seed == seed]) for seed in range(3)]
    assert arm.value == pytest.approx(np.mean(by_seed)) and np.isfinite(arm.replicates).all()


def test_perturbations_are_drawn_over_all_splits():
    """One that every split tests is drawn once for all: with the same rows in each split, splits add no precision."""
    draw = np.random.default_rng(4)
    values = draw.normal(size=40)
    same = [
        Run(0, fold, np.full(40, "single"), np.array([f"p{i}" for i in range(40)]), effects={"skill": values})
        for fold in range(4)
    ]
    arms = [join(score_runs(some, "skill", [], 2000, 5)) for some in (same, same[:1])]
    np.testing.assert_allclose(arms[0].means(), arms[1].means())
    assert arms[0].means().std() == pytest.approx(values.std() / np.sqrt(40), rel=0.1)


@pytest.mark.parametrize(
    ("metric", "middle", "lowest", "highest"), [("skill", -30, -33, -27), ("l2", 30, 27, 33), ("skill", 1, -9, 1),
                                                ("pearson_delta", -1, -1, 9), ("rank_accuracy", 0, 0, 9)],
)  # fmt: skip
def test_intervals_end_where_the_metric_does(metric, middle, lowest, highest):
    drawn = np.random.default_rng(6).normal(size=20)
    values = middle + drawn - drawn.mean()
    run = Run(0, 0, np.full(20, "single"), np.array([f"p{i}" for i in range(20)]), effects={metric: values})
    found = interval(score_runs([run], metric, [], 200, 1)[0], 1, metric)
    assert found.low < found.high and lowest <= found.low and found.high <= highest
    ends = {METRICS[metric].lowest, 1.0} if metric != "l2" else {0.0}
    assert len(ends & {found.low, found.high}) == (abs(middle) < 30)


def test_a_difference_of_arms_is_paired_by_perturbation():
    draw = np.random.default_rng(8)
    first = runs(draw, 0.0, 0.5, 0.0, 1)
    second = [Run(0, one.fold, one.labels, one.groups, effects={"skill": one.effects["skill"] + 0.1}) for one in first]
    scored = score_runs([*first, *second], "skill", [], 500, 1)
    found = compare_arms(join(scored[3:]), join(scored[:3]), 1)
    assert found.low == pytest.approx(0.1) == found.high and found.p < 0.01
