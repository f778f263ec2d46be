"""What differences on several tasks say together: one number per model, its interval, tests and a word.

Tasks are not repetitions of one another: ten histone marks of the same nucleosomes stand in two suites, promoters in
three. `weigh` therefore collapses twins (the same data under two names), then takes the widest unit that the tasks
allow, and says which: families of tasks, tasks, or test items. A claim of no difference needs a test of its own
(`p_tost`, Schuirmann 1987) or a probability (`rope`, Kruschke 2018), both at a margin in units of the metric; `decide`
turns p values, adjusted for the number of models, into one of four words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from foundationless.evaluation.bootstrap import LEVEL, POWER

ALPHA = 0.05
FEWEST_FAMILIES = 5  # of fewer levels, the variance of a random effect is a guess (Bolker et al. 2009)
FEWEST_TASKS = 3  # of two, their variance has one degree of freedom
UNITS = ("families", "tasks", "items")
AGREEMENT = 1e-6  # share of the variance within families, below which there is none
POINTS, ROUNDS = 101, 5  # of the search for the share of families: to 1e-8

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """A mean difference over tasks: `delta` ± `se` with Student's t on `df` (inf: normal), of `unit` (see `weigh`).

    `n` tasks have a difference, `distinct` are left after twins are collapsed, of `families`; `wins` and `losses` count
    the n tasks by sign. All is in units of the metric. Where `se` is NaN, so are interval, tests and probabilities;
    where it is 0 they are the limits for a small one.
    """

    delta: float
    se: float
    df: float
    unit: str
    n: int
    distinct: int
    families: int
    wins: int
    losses: int

    @cached_property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.delta - _quantile((1 + LEVEL) / 2, self.df) * self.se

    @cached_property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.delta + _quantile((1 + LEVEL) / 2, self.df) * self.se

    @cached_property
    def p(self) -> float:
        """Two-sided p value of no difference."""
        return 2 * self._below(-abs(self.delta))

    def p_tost(self, margin: float) -> float:
        """p value of "the difference is `margin` or more, either way": the larger of two one-sided tests."""
        return self._below(abs(self.delta) - margin)

    def rope(self, margin: float) -> tuple[float, float, float]:
        """Posterior probabilities that the difference lies (below, within, above) ± margin, under a flat prior."""
        below, above = self._below(-margin - self.delta), self._below(self.delta - margin)
        return below, float(np.maximum(0.0, 1 - below - above)), above

    def mde(self, tests: int = 1) -> float:
        """The smallest true difference that a two-sided test finds with a power of 80 %, at 5 % / `tests`.

        Of several `tests` that is the first of Holm's steps; later ones find less.
        """
        return (_quantile(1 - ALPHA / (2 * max(1, tests)), self.df) + _quantile(POWER, self.df)) * self.se

    def _below(self, distance: float) -> float:
        """Probability that t is below `distance` standard errors."""
        if self.se == 0:
            return float(np.heaviside(distance, 0.5))
        return float(special.stdtr(self.df, distance / self.se))


def weigh(deltas: ArrayLike, ses: ArrayLike, families: Sequence[Any], twins: Sequence[Any]) -> Evidence:
    """The mean of paired differences of tasks, and how sure it is.

    Arrays [tasks]: differences (NaN are left out), their standard errors under resampling of test items (NaN where
    unknown), the family of each task, and a word that tasks of the same data share (empty: none). The unit is

    - `families` where there are five or more: a linear mixed model with a random intercept per family, fitted by REML,
      t on families - 1. It generalises to tasks of families like these.
    - `tasks` where three or more distinct ones are left: their mean, Student's t. It generalises to further tasks of
      the same kinds, and calls tasks of one kind independent.
    - `items` otherwise: the mean, with the normal interval of the items' resamples. It generalises to further test
      items of these very tasks, and to nothing else.

    Twins are averaged first, with the mean of their standard errors: as if fully dependent.
    """
    values, errors = np.asarray(deltas, dtype=np.float64), np.asarray(ses, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values)).tolist()
    n, wins, losses = len(known), int((values[known] > 0).sum()), int((values[known] < 0).sum())
    if not n:
        return Evidence(np.nan, np.nan, np.inf, "items", 0, 0, 0, 0, 0)
    places: dict[Any, list[int]] = {}
    for i in known:
        places.setdefault(("twin", twins[i]) if isinstance(twins[i], str) and twins[i] else i, []).append(i)
    merged = np.array([values[rows].mean() for rows in places.values()])
    error = np.array([errors[rows].mean() for rows in places.values()])
    names = {name: place for place, name in enumerate(dict.fromkeys(families[rows[0]] for rows in places.values()))}
    owner = np.array([names[families[rows[0]]] for rows in places.values()])
    distinct = len(merged)
    counts = (n, distinct, len(names), wins, losses)
    if len(names) >= FEWEST_FAMILIES:
        return Evidence(*fit_families(merged, owner), len(names) - 1, "families", *counts)
    if distinct >= FEWEST_TASKS:
        se = float(merged.std(ddof=1)) / distinct**0.5
        return Evidence(float(merged.mean()), se, distinct - 1, "tasks", *counts)
    se = float(np.sqrt((error**2).sum())) / distinct
    return Evidence(float(merged.mean()), se, np.inf, "items", *counts)


def fit_families(values: Floats, families: NDArray[np.int64]) -> tuple[float, float]:
    """(mean, its standard error) of `values ~ 1 + (1 | families)` by REML; arrays [tasks], families numbered from 0.

    The likelihood of one random intercept has one free parameter, the share of the variance that families make (Searle,
    Casella and McCulloch 1992, section 3.8). So it is searched on ever finer grids rather than climbed: a share near 0
    or 1, where statsmodels' `MixedLM` stops short or fails, needs no other way, and the rest is the same in a tenth of
    the time. A share of 1 has no likelihood: where tasks agree within every family, as single ones do, families are
    averaged.
    """
    n, sizes = len(values), np.bincount(families).astype(np.float64)
    means = np.bincount(families, values) / sizes
    within = float(((values - means[families]) ** 2).sum())
    if within <= AGREEMENT * float(((values - values.mean()) ** 2).sum()):
        return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))
    low, high = 0.0, 1 - AGREEMENT**2
    for _ in range(ROUNDS):
        share = np.linspace(low, high, POINTS)
        inflation = 1 + (share / (1 - share))[:, None] * sizes
        weights = sizes / inflation  # [points, families], in units of 1 / variance within
        centre = (weights * means).sum(axis=1) / weights.sum(axis=1)
        spread = within + (weights * (means - centre[:, None]) ** 2).sum(axis=1)
        with np.errstate(divide="ignore"):
            loss = (n - 1) * np.log(spread) + np.log(inflation).sum(axis=1) + np.log(weights.sum(axis=1))
        best = int(np.argmin(loss))
        low, high = share[max(best - 1, 0)], share[min(best + 1, POINTS - 1)]
    return float(centre[best]), float(np.sqrt(spread[best] / (n - 1) / weights[best].sum()))


def decide(p: float, p_tost: float, delta: float, alpha: float = ALPHA) -> str:
    """The word for a difference, given its p values (adjusted where several models are judged).

    `equivalent` where the test against the margin rejects (even where the difference is not 0: it is then too small to
    matter), else `better` or `worse` by its sign where p is below alpha, else `undecided`; NaN never rejects.
    """
    if p_tost < alpha:
        return "equivalent"
    if p < alpha:
        return "better" if delta > 0 else "worse"
    return "undecided"


@dataclass(frozen=True)
class Ranks:
    """Arms ranked within blocks (1: the highest score; ties share the mean of theirs).

    `mean_ranks` [arms] best first; `p_friedman` of "no arm differs"; `p_pairs` [arms × arms] in the same order;
    `blocks` and `dropped`: names of the blocks that were ranked, and of blocks and arms that were left out.
    """

    mean_ranks: "pd.Series[float]"
    p_friedman: float
    p_pairs: pd.DataFrame
    blocks: list[str]
    dropped: list[str] = field(default_factory=list)


def rank_arms(scores: pd.DataFrame) -> Ranks:
    """Rank the arms (columns) of a table of scores [blocks × arms], higher is better, and test whether they differ.

    Friedman's test over all arms, Nemenyi's over pairs of them (Demšar 2006). Both need every arm in every block: where
    some are missing, the block or arm that lacks most of its scores is left out (blocks first), until none lacks any.
    p is NaN with fewer than three arms or two blocks.
    """
    table, dropped = scores.astype(np.float64), []
    while (missing := table.isna()).to_numpy().any():
        by_block, by_arm = missing.mean(axis=1), missing.mean(axis=0)
        blocks_first = by_block.max() >= by_arm.max()
        worst = (by_block if blocks_first else by_arm).idxmax()
        dropped.append(str(worst))
        table = table.drop(worst, axis=0 if blocks_first else 1)
    blocks, arms = table.shape
    ranks = table.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    p, pairs = float("nan"), np.full((arms, arms), np.nan)
    if blocks > 1 and arms > 2:
        from scipy import stats  # takes a second, and few commands need it

        p = float(stats.friedmanchisquare(*(table[arm] for arm in table)).pvalue)
        upper, place = np.triu_indices(arms, 1), ranks.to_numpy()
        apart = np.abs(place[upper[0]] - place[upper[1]]) / np.sqrt(arms * (arms + 1) / (12 * blocks))
        pairs = np.eye(arms)
        pairs[upper] = pairs.T[upper] = stats.studentized_range.sf(apart, arms, np.inf)
    names = [str(name) for name in table.index]
    return Ranks(ranks, p, pd.DataFrame(pairs, index=ranks.index, columns=ranks.index), names, dropped)


def _quantile(level: float, df: float) -> float:
    return float(special.stdtrit(df, level))


def independent_difference(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float, float]:
    """(difference, low, high) of two independent values, each given as (value, low, high).

    The interval is recovered from the two (MOVER: Zou and Donner 2008, equations 5 and 6), so it may be asymmetric;
    where the two are positively correlated, as for one test set, it is too wide rather than too narrow.
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    return a - b, a - b - float(np.hypot(a - a_low, b_high - b)), a - b + float(np.hypot(a_high - a, b - b_low))


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


def across_tasks(deltas: Sequence[float] | Floats) -> AcrossTasks:
    """Summarise paired differences of tasks [tasks], tasks being the units; NaN are left out.

    The interval is Student's t over tasks and NaN for fewer than two; p is Wilcoxon's signed-rank test.
    """
    from scipy import stats

    values = np.asarray(deltas, dtype=np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    mean = float(values.mean()) if n else float("nan")
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
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


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p values [tests]; NaN stay NaN and do not count as tests."""
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    order = np.argsort(values)[: np.isfinite(values).sum()]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
