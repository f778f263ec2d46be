"""Intervals, paired comparisons and verdicts.

One bootstrap serves a whole task: each resample draws the *groups* of the test set (persons, genes, contigs, or single
items) with replacement, and every run of every arm is scored under the same weights, so that any two arms can be
compared pairwise from one array `[runs, resamples]`. Seeds are resampled on top, independently per arm: S - 1 of S
(Rao and Wu 1988), which makes the variance that seeds add to their mean unbiased; a single seed adds nothing, and the
interval then says nothing about other seeds. Noise of single items in single runs enters twice, through items and
through seeds (Owen 2007, the pigeonhole bootstrap), so with several seeds intervals are too wide rather than too
narrow: up to 1.8 times where seeds themselves differ little. Intervals are percentile
intervals of 95 %, tests are two-sided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.metrics import COUNT_METRICS, RANK_METRICS, confusion, from_confusion, from_probabilities

LEVEL = 0.95
CELLS_PER_BLOCK = 1 << 22  # resamples are drawn in blocks of at most 32 MiB of weights
VERDICTS = ("better", "worse", "equivalent", "undecided")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """Predictions of one seed and fold on the test items: arrays [n]; `probabilities` [n, classes], or None."""

    seed: int
    fold: int
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    predicted: NDArray[np.str_] | None = None
    probabilities: Floats | None = None
    ids: NDArray[np.str_] | None = None

    def subset(self, rows: NDArray[np.bool_]) -> "Run":
        """The run on some of its items (mask [n])."""
        parts = (self.labels, self.groups, self.predicted, self.probabilities, self.ids)
        return Run(self.seed, self.fold, *(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Arm:
    """Runs of one arm under the resamples: `points` [runs], `replicates` [runs, resamples], `seeds` [runs]."""

    points: Floats
    replicates: Floats
    seeds: NDArray[np.int64]

    @property
    def value(self) -> float:
        """Mean over seeds of the mean over folds."""
        return float(np.mean(self.by_seed()))

    def by_seed(self) -> Floats:
        """Mean over folds of each seed: [seeds]."""
        return np.stack([self.points[self.seeds == seed].mean() for seed in np.unique(self.seeds)])

    def resample(self, generator: np.random.Generator) -> Floats:
        """Mean over folds and resampled seeds: [resamples]."""
        seeds = np.unique(self.seeds)
        means = np.stack([self.replicates[self.seeds == seed].mean(axis=0) for seed in seeds])
        drawn = generator.integers(len(seeds), size=(max(1, len(seeds) - 1), means.shape[1]))
        return np.take_along_axis(means, drawn, axis=0).mean(axis=0)


@dataclass(frozen=True)
class Estimate:
    """A value or a difference with its interval; `p` is two-sided against 0 (None for a value of one arm)."""

    value: float
    low: float
    high: float
    p: float | None = None
    replicates: Floats = field(default_factory=lambda: np.empty(0), repr=False)

    def verdict(self, margin: float) -> str:
        """`verdict` of the interval."""
        return verdict(self.low, self.high, margin)


def score_runs(
    runs: Sequence[Run],
    metric: str,
    classes: Sequence[str],
    resamples: int,
    seed: int,
    groups: Sequence[str] = (),
) -> list[Arm]:
    """Score every run under the same clustered resamples; one single-run `Arm` per run (join them with `join`).

    Groups are the union over runs and of `groups`; items of one group share a weight. So runs on some of the items pair
    with runs on all, resample by resample, if `groups` names all. With fewer than two groups the replicates are NaN:
    nothing can be resampled. Raises `UserError` for a metric that resamples do not serve.
    """
    if metric not in COUNT_METRICS + RANK_METRICS:
        raise UserError(f"metric '{metric}' has no bootstrap; use one of {', '.join(COUNT_METRICS + RANK_METRICS)}.")
    names = np.unique(np.concatenate([*(run.groups for run in runs), np.asarray(groups, dtype=str)]))
    owner = [np.searchsorted(names, run.groups) for run in runs]
    score = [_scorer(run, rows, len(names), metric, classes) for run, rows in zip(runs, owner, strict=True)]
    points = [function(np.ones((1, len(names))))[0] for function in score]
    replicates = np.full((len(runs), resamples), np.nan)
    generator = np.random.default_rng(seed)
    block = max(1, CELLS_PER_BLOCK // len(names))
    for start in range(0, resamples if len(names) > 1 else 0, block):
        weights = resample_weights(len(names), min(block, resamples - start), generator)
        for row, function in zip(replicates, score, strict=True):
            row[start : start + len(weights)] = function(weights)
    return [
        Arm(np.array([point]), replicates[i : i + 1], np.array([run.seed]))
        for i, (run, point) in enumerate(zip(runs, points, strict=True))
    ]


def _scorer(run: Run, rows: NDArray[np.int64], groups: int, metric: str, classes: Sequence[str]):
    """A function from weights [resamples, groups] to the metric of `run` [resamples]."""
    k = len(classes)
    if metric in COUNT_METRICS:
        if run.predicted is None:
            raise UserError(f"metric '{metric}' needs predicted classes, and these predictions are scores.")
        counts = np.zeros((groups, k * k))
        np.add.at(counts, (rows, confusion(run.labels, run.predicted, classes)), 1)
        return lambda weights: from_confusion((weights @ counts).reshape(-1, k, k), metric)
    if run.probabilities is None or run.probabilities.shape[1] != k:
        raise UserError(f"metric '{metric}' needs one probability per class ({', '.join(classes)}).")
    return lambda weights: from_probabilities(run.labels, run.probabilities, classes, weights[:, rows], metric)


def resample_weights(groups: int, resamples: int, generator: np.random.Generator) -> Floats:
    """How often each group is drawn in each resample [resamples, groups]: multinomial, rows sum to `groups`."""
    drawn = generator.integers(groups, size=(resamples, groups)) + groups * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * groups).reshape(resamples, groups).astype(np.float64)


def join(arms: Sequence[Arm]) -> Arm:
    """The runs of several arms as one arm."""
    return Arm(
        np.concatenate([arm.points for arm in arms]),
        np.concatenate([arm.replicates for arm in arms]),
        np.concatenate([arm.seeds for arm in arms]),
    )


def interval(arm: Arm, seed: int) -> Estimate:
    """Value of one arm with its percentile interval over groups and seeds."""
    replicates = arm.resample(np.random.default_rng(seed))
    return Estimate(arm.value, *_percentiles(replicates), replicates=replicates)


def compare_arms(pretrained: Arm, random: Arm, seed: int) -> Estimate:
    """Paired difference `pretrained - random`: same resamples of groups in both arms, seeds resampled in each."""
    first, second = np.random.default_rng(seed).spawn(2)
    return _difference(pretrained.value - random.value, pretrained.resample(first) - random.resample(second))


def compare_paired(first: Arm, second: Arm, seed: int) -> Estimate:
    """Difference `first - second` of two arms whose runs are the same but for one thing: groups and seeds both pair.

    Under another reading of the same weights, or another choice among the same runs, seeds are drawn together; arms of
    different seeds fall back to `compare_arms`.
    """
    if not np.array_equal(np.unique(first.seeds), np.unique(second.seeds)):
        return compare_arms(first, second, seed)
    draws = [arm.resample(np.random.default_rng(seed)) for arm in (first, second)]
    return _difference(first.value - second.value, draws[0] - draws[1])


def subtract(first: Estimate, second: Estimate) -> Estimate:
    """Difference of two estimates of the same resamples, replicate by replicate."""
    return _difference(first.value - second.value, first.replicates - second.replicates)


def independent_difference(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float, float]:
    """(difference, low, high) of two independent values, each given as (value, low, high).

    The interval is recovered from the two (MOVER: Zou and Donner 2008, equations 5 and 6), so it may be asymmetric;
    where the two are positively correlated, as for one test set, it is too wide rather than too narrow.
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    return a - b, a - b - float(np.hypot(a - a_low, b_high - b)), a - b + float(np.hypot(a_high - a, b - b_low))


def _difference(value: float, replicates: Floats) -> Estimate:
    known = replicates[np.isfinite(replicates)]
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (1 + tail) / (1 + len(known))) if len(known) else float("nan")
    return Estimate(value, *_percentiles(replicates), p=float(p), replicates=replicates)


def _percentiles(replicates: Floats) -> tuple[float, float]:
    known = replicates[np.isfinite(replicates)]
    if 2 * len(known) <= len(replicates):  # most resamples lack a class: no interval is honest
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def verdict(low: float, high: float, margin: float) -> str:
    """The word for an interval of a difference at an equivalence margin (in units of the metric).

    `equivalent` if it lies within ± margin (even where it excludes 0: the difference is then too small to matter), else
    `better` or `worse` if it excludes 0, else `undecided`; NaN is `undecided`.
    """
    if -margin <= low and high <= margin:
        return "equivalent"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"


@dataclass(frozen=True)
class AcrossTasks:
    """Differences over tasks: mean, its 95 % t interval, wins and losses of `tasks`, two-sided Wilcoxon p."""

    mean: float
    low: float
    high: float
    wins: int
    losses: int
    tasks: int
    p: float

    def verdict(self, margin: float) -> str:
        """`verdict` of the interval of the mean."""
        return verdict(self.low, self.high, margin)


def across_tasks(deltas: Sequence[float] | Floats) -> AcrossTasks:
    """Summarise paired differences of tasks [tasks], tasks being the units; NaN are left out.

    The interval is Student's t over tasks and NaN for fewer than two; p is Wilcoxon's signed-rank test.
    """
    from scipy import stats

    values = np.asarray(deltas, dtype=np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    mean = float(values.mean()) if n else float("nan")
    half = float("nan")
    if n > 1:
        half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    p = float(stats.wilcoxon(values).pvalue) if values.any() else float("nan")
    return AcrossTasks(mean, mean - half, mean + half, int((values > 0).sum()), int((values < 0).sum()), n, p)


def across_clusters(deltas: Sequence[float] | Floats, clusters: Sequence[Any]) -> AcrossTasks:
    """`across_tasks` where tasks that share a cluster are not independent (the same sequences under another name).

    The mean is over tasks; its interval is cluster-robust (CR1: Liang and Zeger 1986) with Student's t on clusters - 1,
    and p is of the same t; `tasks` counts the clusters. Wins and losses count tasks.
    """
    from scipy import stats

    values, known = np.asarray(deltas, dtype=np.float64), np.isfinite(np.asarray(deltas, dtype=np.float64))
    values, (names, owner) = values[known], np.unique(np.asarray(clusters)[known], return_inverse=True)
    n, groups = len(values), len(names)
    mean = float(values.mean()) if n else float("nan")
    half = p = float("nan")
    if groups > 1:
        residuals = np.bincount(owner, values - mean)
        error = float(np.sqrt(groups / (groups - 1) * (residuals**2).sum())) / n
        half = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1)) * error
        p = float(2 * stats.t.sf(abs(mean) / error, groups - 1)) if error else float("nan")
    return AcrossTasks(mean, mean - half, mean + half, int((values > 0).sum()), int((values < 0).sum()), groups, p)


def holm(p: Sequence[float] | Floats) -> Floats:
    """Holm's step-down adjusted p values [tests]; NaN stay NaN and do not count as tests."""
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    order = np.argsort(values)[: np.isfinite(values).sum()]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
