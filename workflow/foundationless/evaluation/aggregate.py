"""What differences on several tasks say together: one number per model, its interval, tests and a word.

Tasks are not repetitions of one another: ten histone marks of the same nucleosomes stand in two suites, promoters in
three; and one random initialisation serves all tasks of a seed. So a scope is named with every answer (`SCOPES`):

- `these` tasks: they are fixed, and what is drawn are seeds, crossed with the tasks, and test items;
- tasks `like-these`: families of tasks are drawn as well. Their means are the units, never the tasks.

A claim of no difference needs a test of its own (`p_tost`, Schuirmann 1987) or a probability (`rope`, Kruschke 2018),
both at a margin in units of the metric; `decide` turns p values, adjusted for the number of models, into a word.
tests/benchmarks/verdicts.py shows how often words are wrong, and how often intervals cover.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from foundationless.evaluation.bootstrap import LEVEL, POWER
from foundationless.study.vocabulary import EFFECT_METRICS, FEWEST_SEEDS, TOO_FEW_SEEDS

ALPHA = 0.05
BELOW_CHANCE = ("mean", "baseline")  # references of effects that an arm may be worse than though it learned nothing
EQUAL = 1e-12  # family means that differ by less are equal but for rounding

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """A mean difference: `delta` ± `se` with Student's t on `df` degrees of freedom (inf: normal).

    `n` tasks have a difference, `distinct` are left after twins are collapsed; `units` are drawn: in the scope
    `like-these` families (those that share sequences are one), otherwise none, and they count the distinct tasks. The
    standard error is made of what test items, seeds and families add (`se_items`, `se_seeds`, `se_units`; NaN where
    unknown, of families also where they are not drawn); the variance of seeds has `df_seeds` degrees of freedom, the
    rest of it `df_rest`. `wins` and `losses` count the n tasks by sign. All is in units of the metric. Where `se` is
    NaN, so are interval, tests and probabilities; where it is 0 they are the limits for a small one. Numbers may be
    arrays [...] of many differences at once.
    """

    delta: Any
    se: Any
    df: Any
    n: int
    distinct: int
    units: int
    wins: Any
    losses: Any
    se_items: Any
    se_seeds: Any
    se_units: Any
    df_seeds: Any
    df_rest: Any

    @cached_property
    def low(self) -> Any:
        """Lower end of the 95 % interval."""
        return self.delta - _quantile((1 + LEVEL) / 2, self.df) * self.se

    @cached_property
    def high(self) -> Any:
        """Upper end of the 95 % interval."""
        return self.delta + _quantile((1 + LEVEL) / 2, self.df) * self.se

    @cached_property
    def p(self) -> Any:
        """Two-sided p value of no difference."""
        return 2 * self._below(-np.abs(self.delta))

    def p_tost(self, margin: float) -> Any:
        """p value of "the difference is `margin` or more, either way": the larger of two one-sided tests."""
        return self._below(np.abs(self.delta) - margin)

    def rope(self, margin: float) -> tuple[Any, Any, Any]:
        """Posterior probabilities that the difference lies (below, within, above) ± margin, under a flat prior."""
        below, above = self._below(-margin - self.delta), self._below(self.delta - margin)
        return below, np.maximum(0.0, 1 - below - above), above

    def mde(self, tests: int = 1) -> Any:
        """The smallest true difference that a two-sided test finds with a power of 80 %, at 5 % / `tests`.

        Of several `tests` that is the first of Holm's steps; later ones find less.
        """
        return (_quantile(1 - ALPHA / (2 * max(1, tests)), self.df) + _quantile(POWER, self.df)) * self.se

    def _below(self, distance: Any) -> Any:
        """Probability that t is below `distance` standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.se == 0, np.sign(distance) * np.inf, np.divide(distance, self.se))
        ratio = np.where((self.se == 0) & (distance == 0), 0.0, ratio)
        return special.stdtr(self.df, ratio)[()]


def weigh(
    deltas: ArrayLike,
    items: ArrayLike,
    seeds: Sequence[ArrayLike],
    families: Sequence[Hashable],
    twins: Sequence[str] = (),
    clusters: Sequence[Hashable] = (),
    *,
    scope: str,
) -> Evidence:
    """The mean of paired differences of tasks, and how sure it is in a scope of `vocabulary.SCOPES`.

    `deltas` [..., tasks] (NaN are left out), `items` their standard errors under resampled test items (NaN where
    unknown), `seeds` one array [..., tasks, seeds] per arm, or per paired difference, with the values whose means over
    seeds make the differences (NaN: no such run); the family of each task; a word that tasks of the same data share
    (empty: none), and the cluster of tasks that share sequences (without any, only twins do).

    `these`: the mean over distinct tasks (twins are averaged). Its variance is that of the seeds, by which all tasks of
    an arm move together (the sum over tasks of what a seed does, squared and summed over seeds, as a cluster-robust
    variance does: Liang and Zeger 1986), plus that of items, which count as fully dependent within a cluster.

    `like-these`: the mean over families of their means; families that share sequences are one. To the variance between
    them, or to that of items if that is larger, the variance of the seeds is added, because all families have it in
    common. One family says nothing about others: all is NaN.

    Degrees of freedom are Satterthwaite's: items have no end, S seeds S - 1 per arm, F families F - 1, and of families
    there are never more than that. One seed adds nothing: the interval is then about test items alone.
    """
    values, errors = np.asarray(deltas, dtype=np.float64), np.asarray(items, dtype=np.float64)
    finite = np.isfinite(values.reshape(-1, values.shape[-1])).all(axis=0) if values.size else np.zeros(0, dtype=bool)
    known: list[int] = np.flatnonzero(finite).tolist()
    if not known:
        return Evidence(np.nan, np.nan, np.nan, 0, 0, 0, 0, 0, *[np.nan] * 5)
    values, errors = values[..., known], errors[..., known]
    same = _join([twins[place] or None for place in known] if len(twins) else [None] * len(known))
    linked = [same.tolist(), *([[clusters[place] for place in known]] if len(clusters) else [])]
    together = _join(*linked)
    families_of = [families[place] for place in known]
    unit = _join(families_of, together.tolist()) if scope == "like-these" else same
    weights = _weights(same, unit)
    noise = _sum_within(errors * weights, together)
    items_variance = (noise**2).sum(axis=-1)
    arms = [_seed_variance(np.asarray(arm, dtype=np.float64)[..., known, :], weights) for arm in seeds]
    delta, size = (values * weights).sum(axis=-1), int(unit.max()) + 1
    parts = [(variance, free) for variance, free in arms if free > 0]
    between = np.full_like(delta, np.nan)
    if scope == "like-these":
        means = _sum_within(values * weights, unit) * size
        between = means.var(axis=-1, ddof=1) / size if size > 1 else between
        at_least = np.where(np.isfinite(items_variance), items_variance, np.where(between < EQUAL**2, np.nan, 0.0))
        se, df = _combine([(np.maximum(between, at_least), size - 1), *parts], most=max(size - 1, 1))
    else:
        se, df = _combine([(items_variance, np.inf), *parts])
    rest = size - 1 if scope == "like-these" else np.inf
    seeds_se, df_seeds = _combine(parts) if parts else (np.zeros_like(delta), np.full_like(delta, np.inf))
    signs = (values > 0).sum(axis=-1), (values < 0).sum(axis=-1)
    errors_of = np.sqrt(items_variance)[()], seeds_se[()], np.sqrt(between)[()]
    return Evidence(
        delta[()], se[()], df[()], len(known), int(same.max()) + 1, size, *signs, *errors_of, df_seeds[()], rest
    )


def _join(*labellings: Sequence[Any]) -> NDArray[np.int64]:
    """Numbers from 0 [tasks] of the groups of tasks that share a label of any labelling, also over others; None and
    empty texts are no label."""
    groups: NDArray[np.int64] = np.arange(len(labellings[0]))
    for labels in labellings:
        first: dict[Any, int] = {}
        for place, label in enumerate(labels):
            if label is not None and label != "" and label == label:
                other = first.setdefault(label, place)
                groups[groups == groups[place]] = groups[other]
    names = {group: number for number, group in enumerate(dict.fromkeys(groups.tolist()))}
    return np.array([names[group] for group in groups.tolist()])


def _weights(same: NDArray[np.int64], unit: NDArray[np.int64]) -> Floats:
    """Weights [tasks] of the mean over units of the mean over their distinct tasks of the mean over twins."""
    twins = np.bincount(same)[same]
    distinct = np.bincount(unit, 1 / twins)[unit]
    return np.asarray(1 / (twins * distinct * (unit.max() + 1)), dtype=np.float64)


def _sum_within(values: Floats, groups: NDArray[np.int64]) -> Floats:
    """Sums [..., groups] of values [..., tasks]."""
    return np.asarray(values @ (groups[:, None] == np.arange(groups.max() + 1)), dtype=np.float64)


def _seed_variance(values: Floats, weights: Floats) -> tuple[Floats, int]:
    """Variance of the weighted mean over tasks and seeds of values [..., tasks, seeds], and its degrees of freedom.

    A task may lack some seeds; each contributes what it does to the mean, and all that one seed does is added first.
    """
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    filled = np.where(known, values, 0.0)
    deviations = np.where(known, filled - filled.sum(axis=-1, keepdims=True) / counts, 0.0) / counts
    moves = (deviations * weights[:, None]).sum(axis=-2)  # [..., seeds]
    seeds = int(known.any(axis=tuple(range(known.ndim - 1))).sum())
    if seeds < 2:
        return np.zeros(values.shape[:-2]), 0
    return seeds / (seeds - 1) * (moves**2).sum(axis=-1), seeds - 1


def _combine(parts: Sequence[tuple[Floats, float]], most: float = np.inf) -> tuple[Floats, Floats]:
    """Standard error and Satterthwaite's degrees of freedom of a sum of variances, each with its own."""
    total = np.asarray(sum(variance for variance, _ in parts), dtype=np.float64)
    uncertain = np.asarray(sum(variance**2 / free for variance, free in parts), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(uncertain > 0, total**2 / uncertain, np.inf)
    return np.sqrt(total), np.minimum(df, most)


def asks_equivalence_first(metrics: str) -> bool:
    """Whether arms may be called equivalent though neither learned anything; `metrics` may be several, joined by +.

    Of effects of perturbations the constant answer, the mean of the training perturbations, is a strong rival rather
    than a sign that training failed: two arms that are as good as it are alike.
    """
    return bool(metrics) and all(name in EFFECT_METRICS for name in metrics.split("+"))


def decide(
    p: float,
    p_tost: float,
    delta: float,
    *,
    learned: bool = True,
    seeds: float = np.inf,
    alpha: float = ALPHA,
    metrics: str = "",
    versus: str = "",
) -> str:
    """The word for a difference (`vocabulary.VERDICTS`), given its p values (adjusted where several models are judged).

    With fewer than three `seeds` of an arm that has any (NaN: none has), that is the word: another seed might reverse
    it. Where neither arm `learned` anything, training failed, and there is nothing to compare. Otherwise `equivalent`
    where the test against the margin rejects (even where the difference is not 0: it is then too small to matter), else
    `better` or `worse` by its sign where p is below alpha, else `undecided`; NaN never rejects. With some `metrics`
    equivalence is asked before learning (`asks_equivalence_first`), and of their differences with the mean of the
    training perturbations or the best baseline (`versus`) learning is not asked at all: these are what an arm should
    have learned to beat, and one that is below them is worse.
    """
    if seeds < FEWEST_SEEDS:
        return TOO_FEW_SEEDS[int(seeds)]
    of_effects = asks_equivalence_first(metrics)
    if not learned and not (of_effects and (p_tost < alpha or versus in BELOW_CHANCE)):
        return "not learned"
    if p_tost < alpha:
        return "equivalent"
    if p < alpha:
        return "better" if delta > 0 else "worse"
    return "undecided"


def any_learned(ps: ArrayLike) -> bool:
    """Whether something was learned on some task, given the p values of "nothing was" [tasks] (Simes 1986); NaN are
    left out, and without any it is not known, which counts as yes."""
    values = np.sort(np.asarray(ps, dtype=np.float64))
    values = values[np.isfinite(values)]
    steps = values * len(values) / np.arange(1, len(values) + 1)
    return not len(values) or bool(steps.min() <= ALPHA)


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


def _quantile(level: float, df: Any) -> Any:
    return special.stdtrit(df, level)


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
    wins, losses = int((values > 0).sum()), int((values < 0).sum())
    return AcrossTasks(mean, mean - half, mean + half, wins, losses, n, wilcoxon(values))


def wilcoxon(deltas: Sequence[float] | Floats) -> float:
    """Two-sided p of Wilcoxon's signed-rank test of differences [units]; NaN are left out, and without any not 0."""
    from scipy import stats

    values = np.asarray(deltas, dtype=np.float64)
    values = values[np.isfinite(values)]
    return float(stats.wilcoxon(values).pvalue) if values.any() else float("nan")


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


def judge(rows: Sequence[dict[str, Any]]) -> None:
    """Adjust the p values of one family of differences by Holm, and say the word of each (`decide`), in the rows.

    Rows have `p`, `p_tost`, the difference as `delta`, and `learned` and `seeds` as `decide` takes them; `metrics` and
    `versus` where it asks for them. Each gets `p_holm`, `p_tost_holm` and `verdict`.
    """
    adjusted, equal = (holm(np.array([row[name] for row in rows], dtype=np.float64)) for name in ("p", "p_tost"))
    for row, p, p_tost in zip(rows, adjusted.tolist(), equal.tolist(), strict=True):
        asked = {"learned": row["learned"], "seeds": row["seeds"]}
        asked |= {name: row[name] for name in ("metrics", "versus") if name in row}
        row |= {"p_holm": p, "p_tost_holm": p_tost, "verdict": decide(p, p_tost, row["delta"], **asked)}


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p values [tests]; NaN stay NaN and do not count as tests."""
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    order = np.argsort(values)[: np.isfinite(values).sum()]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
