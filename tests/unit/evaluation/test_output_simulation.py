"""Intervals and tests of outputs in simulated worlds whose truth is known."""

from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats

from foundationless.evaluation import bootstrap
from foundationless.evaluation.aggregate import ALPHA
from foundationless.evaluation.task_results import read_results
from foundationless.study.vocabulary import TRACK_METRICS, TRACKS, VALUES
from support.outputs import make_cells

WORLDS = 200
SIGNALS = (0.75, 0.5)  # correlations of two arms with the truth
SHARED = 0.5  # share of the variance of their errors that they have in common
# Whether so many of the worlds are of a share that lies between these, but for 1 in 1,000.
LOW, HIGH = scipy.stats.binom.ppf(0.0005, WORLDS, 0.93), scipy.stats.binom.ppf(0.9995, WORLDS, 0.97)


def make_run(truth, answer, groups=None):
    names = np.arange(len(truth)) if groups is None else groups
    return bootstrap.Run(0, -1, np.array(["x"] * len(truth)), names.astype(str), observed=truth, values=answer)


def two_arms(metric, n, outputs, generator, size=1, shared_by_group=0.0):
    """Runs of two arms on n groups of `size` items, of which a tenth of the outputs is not known."""
    groups = np.repeat(np.arange(n), size)

    def normal():
        own, common = generator.normal(size=(n * size, outputs)), generator.normal(size=(n, outputs))[groups]
        return np.sqrt(1 - shared_by_group) * own + np.sqrt(shared_by_group) * common

    latent, common = normal(), normal()
    ones = generator.random(latent.shape) < 0.3
    runs = []
    for signal in SIGNALS:
        noise = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * normal()
        if metric in TRACK_METRICS:
            runs.append(2 * signal * ones + noise)
        else:
            runs.append(signal * (signal * latent + np.sqrt(1 - signal**2) * noise))
    truth = ones.astype(float) if metric in TRACK_METRICS else latent
    truth[generator.random(truth.shape) < 0.1] = np.nan
    return [make_run(truth, answer, groups) for answer in runs]


TRUE = {
    "pearson": lambda signal: signal,
    "spearman": lambda signal: 6 / np.pi * np.arcsin(signal / 2),
    "r2": lambda signal: signal**2,
    "rmse": lambda signal: np.sqrt(1 - signal**2),
    "macro_auroc": lambda signal: NormalDist().cdf(2 * signal / np.sqrt(2)),
}


@pytest.mark.parametrize("metric", TRUE)
def test_intervals_cover_the_true_value_and_the_true_difference(metric):
    covered = np.zeros(2)
    first, second = (TRUE[metric](signal) for signal in SIGNALS)
    for world in range(WORLDS):
        runs = two_arms(metric, 150, 2, np.random.default_rng([1, world]))
        arms = bootstrap.score_runs(runs, metric, [], 200, world)
        own, pair = bootstrap.interval(arms[0], world, metric), bootstrap.compare_arms(arms[0], arms[1], world)
        covered += [own.low <= first <= own.high, pair.low <= first - second <= pair.high]
    assert (covered >= LOW).all() and (covered <= HIGH).all(), covered / WORLDS


def test_items_of_a_group_widen_the_interval_and_only_then_it_covers():
    covered, widths = np.zeros(2), np.zeros(2)
    truth = TRUE["pearson"](SIGNALS[0]) - TRUE["pearson"](SIGNALS[1])
    for world in range(WORLDS):
        runs = two_arms("pearson", 60, 1, np.random.default_rng([2, world]), size=8, shared_by_group=0.9)
        loose = [make_run(run.observed, run.values) for run in runs]
        for place, each in enumerate((runs, loose)):
            pair = bootstrap.compare_arms(*bootstrap.score_runs(each, "pearson", [], 200, world), world)
            covered[place] += pair.low <= truth <= pair.high
            widths[place] += pair.high - pair.low
    assert covered[0] >= scipy.stats.binom.ppf(0.0005, WORLDS, 0.91), covered / WORLDS
    assert covered[1] < 0.8 * WORLDS and widths[0] > 1.8 * widths[1]


@pytest.mark.parametrize("metric", ["pearson", "macro_auroc", "rmse"])
def test_items_that_stand_tenfold_tell_no_more(metric):
    (single, _) = two_arms(metric, 60, 2, np.random.default_rng(3))
    tenfold = [np.repeat(part, 10, axis=0) for part in (single.observed, single.values, single.groups)]
    repeated, loose = make_run(*tenfold), make_run(*tenfold[:2])
    widths = []
    for run in (single, repeated, loose):
        estimate = bootstrap.interval(bootstrap.score_runs([run], metric, [], 1000, 0)[0], 0, metric)
        widths.append(estimate.high - estimate.low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-6)
    assert widths[2] == pytest.approx(widths[0] / np.sqrt(10), rel=0.15)


@pytest.mark.parametrize(("kind", "metric"), [(VALUES, "pearson"), (VALUES, "r2"), (VALUES, "spearman"),
                                              (TRACKS, "macro_auroc"), (TRACKS, "macro_auprc")])  # fmt: skip
def test_what_has_no_relation_is_not_learned(kind, metric):
    """Of predictions of another set, shuffled labels so to say, one in twenty seems learned; true ones all are."""
    learned = {0.0: 0, 0.6: 0}
    worlds = 100
    for world in range(worlds):
        for signal in learned:
            arm = ("net", "pretrained")
            cells = make_cells(kind, metric, {arm: signal}, n=100, outputs=6, seeds=2, world=world)
            results, _ = read_results(*cells[:2], 100, world)
            scored, chance = results.score(metric, 100)["validation"][arm], results.chance(metric, 100)
            learned[signal] += bootstrap.compare_arms(scored, chance, world).p_above <= ALPHA
    assert learned[0.0] <= scipy.stats.binom.ppf(0.9995, worlds, 0.06), learned
    assert learned[0.6] == worlds
