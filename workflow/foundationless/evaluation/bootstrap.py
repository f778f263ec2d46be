"""Intervals, paired comparisons and verdicts.

One bootstrap serves a whole task: each resample draws the *groups* of the test set (persons, genes, contigs, or single
items) with replacement within strata, and every run of every arm is scored under the same weights, so that any two arms
can be compared pairwise from one array `[runs, resamples]`. A stratum is the groups that hold the same labels: single
items are drawn class by class, persons with their ancestry. Where labels have outputs, all groups are one stratum.

Seeds are drawn on top, independently per arm: S - 1 of S (Rao and Wu 1988), of what each lies above or below the mean
of all, which makes the variance that seeds add to their mean unbiased. A single seed adds nothing, and the interval
then says nothing about other seeds. Of few seeds their variance is uncertain, so intervals are stretched by Student's t
over the normal quantile, with Satterthwaite's degrees of freedom: not at all where items make the variance, like t on
the seeds where seeds do. Noise of single items in single runs enters twice, through items and through seeds (Owen 2007,
the pigeonhole bootstrap), so with several seeds intervals are rather too wide than too narrow: they cover 94 to 99 %
(tests/benchmarks/coverage.py).
Where the training rows were drawn several times (few shots), draws are resampled as seeds are, alike in both arms.
Intervals are percentile intervals of 95 %, tests are two-sided.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.metrics import (
    BINS,
    confidences,
    confusion,
    from_margins,
    from_probabilities,
    from_ranking,
)
from foundationless.evaluation.outputs.resampled import Sample, outputs_scorer
from foundationless.study.vocabulary import (
    CALIBRATION_METRICS,
    CLASS_METRICS,
    EFFECT_METRICS,
    METRICS,
    OUTPUT_METRICS,
    RANK_METRICS,
)

LEVEL = 0.95
POWER = 0.8  # of the smallest difference that is called detectable
CELLS_PER_BLOCK = 1 << 22  # resamples are drawn in blocks of at most 32 MiB of weights
FEWEST_OF_STRATUM = 10  # groups: of m, a bootstrap shows (m - 1) / m of the variance
CELLS_PER_CURVE = 1 << 17  # what is sorted and summed at once fits into a processor's cache
OF_DRAWS = 20  # seed by which draws of training rows are resampled: one for all arms, which are paired
COLUMNS = 4096  # of counts in one product: 100 MiB for 3,000 items

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """Predictions of one seed and fold on the test items: arrays [n].

    A classifier has classes `predicted` and `probabilities` [n, classes]; of variants there are `scores` instead, the
    higher, the more probably the second of two classes. Of predicted effects there are `effects`, numbers of each
    perturbation by name (NaN: not defined; where calibration is judged, numbers of each item), and `pairs`, profiles
    [n, genes] of doubles by name (NaN: of others). Of labels with outputs there are `observed` (NaN: not known) and
    `values`, what is predicted, both [n, outputs].
    """

    seed: int
    fold: int
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    predicted: NDArray[np.str_] | None = None
    probabilities: Floats | None = None
    ids: NDArray[np.str_] | None = None
    scores: Floats | None = None
    effects: Mapping[str, Floats] | None = None
    pairs: Mapping[str, NDArray[Any]] | None = None
    observed: Floats | None = None
    values: Floats | None = None

    @property
    def width(self) -> int | None:
        """Number of classes that probabilities or scores tell apart; None without either."""
        if self.scores is not None:
            return 2
        return None if self.probabilities is None else self.probabilities.shape[1]

    @property
    def ranking(self) -> Floats | None:
        """What ranks the items by how probable the second of two classes is: [n]."""
        return self.scores if self.probabilities is None else self.probabilities[:, 1]


def subset_runs(runs: Sequence[Run], masks: Sequence[NDArray[np.bool_]]) -> list[Run]:
    """Runs on some of their items; an array that runs share is cut once."""
    cut: dict[tuple[int, int], NDArray[Any]] = {}

    def shared(part: NDArray[Any], mask: NDArray[np.bool_]) -> Any:
        if (id(part), id(mask)) not in cut:
            cut[id(part), id(mask)] = part[mask]
        return cut[id(part), id(mask)]

    names = ("labels", "groups", "predicted", "probabilities", "ids", "scores", "observed", "values")

    def cut_run(run: Run, mask: NDArray[np.bool_]) -> Run:
        parts = {name: shared(part, mask) for name in names if (part := getattr(run, name)) is not None}
        for name in ("effects", "pairs"):
            if (some := getattr(run, name)) is not None:
                parts[name] = {key: part[mask] for key, part in some.items()}
        return replace(run, **parts)

    return [cut_run(run, mask) for run, mask in zip(runs, masks, strict=True)]


@dataclass(frozen=True)
class Arm:
    """Runs of one arm under the resamples: `points` [runs], `replicates` [runs, resamples], `seeds` [runs].

    `draws` [runs]: which draw of the training rows a run learned from, where there are several; every arm has the same.
    """

    points: Floats
    replicates: Floats
    seeds: NDArray[np.int64]
    draws: NDArray[np.int64] | None = None

    @property
    def value(self) -> float:
        """Mean over seeds of the mean over folds."""
        return float(np.mean(self.by_seed()))

    def subset(self, rows: NDArray[np.bool_]) -> "Arm":
        """Some of its runs (mask [runs])."""
        draws = None if self.draws is None else self.draws[rows]
        return Arm(self.points[rows], self.replicates[rows], self.seeds[rows], draws)

    def by_seed(self) -> Floats:
        """Mean over folds of each seed: [seeds]."""
        return np.stack([self.points[self.seeds == seed].mean() for seed in np.unique(self.seeds)])

    def by_draw(self) -> Floats:
        """Mean over seeds and folds of each draw of the training rows: [draws]; of rows that were not drawn [0]."""
        draws = np.empty(0, dtype=np.int64) if self.draws is None else self.draws
        return np.array([self.points[draws == draw].mean() for draw in np.unique(draws)])

    def resample(self, generator: np.random.Generator) -> Floats:
        """Mean over folds and seeds under resampled items, plus the deviations of resampled seeds: [resamples]."""
        means, values = self.means(), self.by_seed()
        drawn = generator.integers(len(values), size=(max(1, len(values) - 1), len(means)))
        deviations: Floats = (values - values.mean())[drawn].mean(axis=0)
        return means + deviations

    def means(self) -> Floats:
        """Mean over folds and seeds under resampled items, and draws of training rows, alone: [resamples].

        Draws are resampled as seeds are, but alike in every arm, so that differences are paired over them.
        """
        by_seed = [self.replicates[self.seeds == seed].mean(axis=0) for seed in np.unique(self.seeds)]
        means = np.asarray(np.mean(by_seed, axis=0), dtype=np.float64)
        if len(values := self.by_draw()) < 2:
            return means
        drawn = np.random.default_rng(OF_DRAWS).integers(len(values), size=(len(values) - 1, len(means)))
        deviations: Floats = (values - values.mean())[drawn].mean(axis=0)
        return means + deviations


@dataclass(frozen=True)
class Estimate:
    """A value or a difference with its interval; `p` is two-sided against 0 (None for a value of one arm).

    `replicates` [resamples] are as drawn; interval, tests and `se` hold them further from their mean, by Student's t on
    `df` degrees of freedom over the normal quantile. `se_items` is the standard error under resampled items alone.
    """

    value: float
    low: float
    high: float
    p: float | None = None
    replicates: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    df: float = float("inf")
    se_items: float = float("nan")

    @property
    def se(self) -> float:
        """Standard deviation of the replicates, for use with normal quantiles; NaN where there is no interval."""
        return _sd(self.replicates) * _stretch(self.df) if np.isfinite(self.low) else float("nan")

    @property
    def wide(self) -> Floats:
        """The replicates [resamples] that interval and tests are of, held further from their mean."""
        return _stretched(self.replicates, self.df)

    @property
    def mde(self) -> float:
        """The smallest true difference that a two-sided test at 5 % finds with a power of 80 %."""
        return (NormalDist().inv_cdf((1 + LEVEL) / 2) + NormalDist().inv_cdf(POWER)) * self.se

    @property
    def inner(self) -> tuple[float, float]:
        """The 90 % interval: where it lies within a margin, two one-sided tests at 5 % reject."""
        return _percentiles(_stretched(self.replicates, self.df), 2 * LEVEL - 1)

    def p_tost(self, margin: float) -> float:
        """p value of "the difference is `margin` or more, either way": the larger of two one-sided tests."""
        known = _stretched(self.replicates, self.df)
        known = known[np.isfinite(known)]
        if not np.isfinite(self.low):
            return float("nan")
        return float((1 + max((known <= -margin).sum(), (known >= margin).sum())) / (1 + len(known)))

    @property
    def p_above(self) -> float:
        """One-sided p value of "not above 0", by Student's t; NaN where there is no interval."""
        from scipy import special

        if not np.isfinite(self.low):
            return float("nan")
        se = _sd(self.replicates)
        return float(special.stdtr(self.df, -self.value / se)) if se else float(self.value <= 0)


def score_runs(
    runs: Sequence[Run], metric: str, classes: Sequence[str], resamples: int, seed: int, whole: Sequence[Run] = ()
) -> list[Arm]:
    """Score every run under the same clustered resamples; one single-run `Arm` per run (join them with `join`).

    Groups and strata are the union over runs, or over `whole`: the runs before items were left out. So runs on some of
    the items pair with runs on all, resample by resample. With fewer than two groups the replicates are NaN: nothing
    can be resampled. Of labels with outputs the score is the mean over the outputs where a resample defines it. Raises
    `UserError` for a metric that resamples do not serve.
    """
    if metric not in (served := (*CLASS_METRICS, *EFFECT_METRICS, *OUTPUT_METRICS, *CALIBRATION_METRICS)):
        raise UserError(f"metric '{metric}' has no bootstrap; use one of {', '.join(served)}.")
    names, strata = stratify(whole or runs)
    scorers = _scorers(runs, _owners(runs, names), len(names), metric, classes)
    points, replicates = _resample(scorers, (len(runs),), strata, resamples, seed)
    return [
        Arm(np.array([point]), replicates[i : i + 1], np.array([run.seed]))
        for i, (run, point) in enumerate(zip(runs, points, strict=True))
    ]


def score_rankings(
    runs: Sequence[Run],
    function: Callable[[NDArray[np.bool_], Floats, Floats], Floats],
    classes: Sequence[str],
    resamples: int,
    seed: int,
) -> list[Arm]:
    """As `score_runs`, under the same resamples, by a function of (second class [n], ranking [n], weights [.., n])."""
    names, strata = stratify(runs)

    def scorer(run: Run, rows: NDArray[np.int64]) -> Callable[[Floats], Floats]:
        ranking = run.ranking
        if ranking is None:
            raise UserError("items are ranked by probabilities or scores, and these predictions have neither.")
        return lambda weights: function(run.labels == classes[1], ranking, weights[:, rows])[None]

    scorers = [scorer(run, rows) for run, rows in zip(runs, _owners(runs, names), strict=True)]
    points, replicates = _resample(scorers, (len(runs),), strata, resamples, seed)
    return [
        Arm(np.array([point]), replicates[place : place + 1], np.array([run.seed]))
        for place, (run, point) in enumerate(zip(runs, points, strict=True))
    ]


def score_outputs(
    runs: Sequence[Run], metric: str, resamples: int, seed: int, whole: Sequence[Run] = ()
) -> list[list[Arm]]:
    """As `score_runs` of labels with outputs, of each output alone: output -> run -> its `Arm`."""
    names, strata = stratify(whole or runs)
    scorer = outputs_scorer(_samples(runs, _owners(runs, names), metric), len(names), metric)
    shape = (len(runs), runs[0].observed.shape[1]) if runs[0].observed is not None else (len(runs), 0)
    points, replicates = _resample([lambda weights: scorer(weights, True)], shape, strata, resamples, seed)
    return [
        [
            Arm(points[place, output : output + 1], replicates[place, output : output + 1], np.array([run.seed]))
            for place, run in enumerate(runs)
        ]
        for output in range(shape[1])
    ]


def _owners(runs: Sequence[Run], names: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Place among the `names` of groups of every item of each run; runs of the same items share the array."""
    places = {key: np.searchsorted(names, part) for key, part in {id(run.groups): run.groups for run in runs}.items()}
    return [places[id(run.groups)] for run in runs]


def _resample(
    scorers: Sequence[Callable[[Floats], Floats]],
    shape: tuple[int, ...],
    strata: NDArray[np.int64],
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Points [*shape] and replicates [*shape, resamples] of scorers, each of the next runs along the first axis."""
    groups = len(strata)
    points = np.concatenate([function(np.ones((1, groups)))[..., 0] for function in scorers])
    replicates = np.full((*shape, resamples), np.nan)
    generator = np.random.default_rng(seed)
    block = max(1, CELLS_PER_BLOCK // groups)
    for start in range(0, resamples if groups > 1 else 0, block):
        weights = resample_weights(strata, min(block, resamples - start), generator)
        replicates[..., start : start + len(weights)] = np.concatenate([function(weights) for function in scorers])
    return points, replicates


def stratify(runs: Sequence[Run]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Groups of the runs, sorted [groups], and the stratum of each: groups that hold the same labels share one.

    Strata of fewer than `FEWEST_OF_STRATUM` groups are joined to one, and that to the largest if it still is too small.
    Labels with outputs are as many as items: their groups are one stratum.
    """
    if any(run.observed is not None for run in runs):
        of_outputs = np.unique(np.concatenate([np.unique(run.groups) for run in runs]))
        return of_outputs, np.zeros(len(of_outputs), dtype=np.int64)
    parts = {(id(run.labels), id(run.groups)): (run.labels, run.groups) for run in runs}.values()
    names = np.unique(np.concatenate([np.unique(groups) for _, groups in parts]))
    classes = np.unique(np.concatenate([np.unique(labels) for labels, _ in parts]))
    holds = np.zeros((len(names), len(classes)), dtype=bool)
    for labels, groups in parts:
        holds[np.searchsorted(names, groups), np.searchsorted(classes, labels)] = True
    strata = np.unique(holds, axis=0, return_inverse=True)[1].reshape(-1)
    for _ in range(2):
        sizes = np.bincount(strata)
        small = np.flatnonzero((sizes > 0) & (sizes < FEWEST_OF_STRATUM))
        target = small[0] if len(small) > 1 else np.argmax(sizes)
        strata = np.where(np.isin(strata, small), target, strata)
    return names, np.unique(strata, return_inverse=True)[1]


def _scorers(
    runs: Sequence[Run], owner: Sequence[NDArray[np.int64]], groups: int, metric: str, classes: Sequence[str]
) -> list[Callable[[Floats], Floats]]:
    """Functions from weights [resamples, groups] to the metric of the next runs [runs, resamples], in their order."""
    if metric == "ece":
        return [_ece_scorer(run, rows, groups, classes) for run, rows in zip(runs, owner, strict=True)]
    if metric in (*EFFECT_METRICS, *CALIBRATION_METRICS):
        return [_effect_scorer(runs, owner, groups, metric)]
    if metric in OUTPUT_METRICS:
        scorer = outputs_scorer(_samples(runs, owner, metric), groups, metric)
        return [lambda weights: scorer(weights, False)]
    if metric in RANK_METRICS:
        return [_rank_scorer(run, rows, metric, classes) for run, rows in zip(runs, owner, strict=True)]
    together = max(1, COLUMNS // (2 * len(classes)))  # one product of matrices for many runs: weights are read once
    parts = (slice(start, start + together) for start in range(0, len(runs), together))
    return [_count_scorer(runs[part], owner[part], groups, metric, classes) for part in parts]


def _count_scorer(
    runs: Sequence[Run], owner: Sequence[NDArray[np.int64]], groups: int, metric: str, classes: Sequence[str]
) -> Callable[[Floats], Floats]:
    """Items are counted by group and label, by group and prediction, and by both where these agree: metrics need no
    more, and of many classes that is a fraction of a confusion matrix."""
    k = len(classes)
    labels = {(id(run.labels), id(rows)): place for place, (run, rows) in enumerate(zip(runs, owner, strict=True))}
    shared = list(labels.values())  # one run of each set of items
    right, called, actual = [], [], []
    for place, (run, rows) in enumerate(zip(runs, owner, strict=True)):
        if run.predicted is None:
            raise UserError(f"metric '{metric}' needs predicted classes, and these predictions are scores.")
        truth, answer = np.divmod(confusion(run.labels, run.predicted, classes), k)
        right.append(rows[truth == answer] * k + truth[truth == answer])
        called.append(rows * k + answer)
        if place in shared:
            actual.append(rows * k + truth)
    of = [shared.index(labels[id(run.labels), id(rows)]) for run, rows in zip(runs, owner, strict=True)]
    # Sums of whole numbers are exact in single precision, which is twice as fast, up to 2^24.
    exact = np.float32 if max(len(run.labels) for run in runs) < 1 << 24 else np.float64
    counts: list[NDArray[Any]] = [
        np.hstack([np.bincount(cells, minlength=groups * k).reshape(groups, k) for cells in part]).astype(exact)
        for part in (right, called, actual)
    ]

    def score(weights: Floats) -> Floats:
        drawn: NDArray[Any] = weights.astype(exact)
        hits, answers, truths = ((drawn @ part).reshape(len(weights), -1, k) for part in counts)
        truths = truths[:, of] if len(shared) > 1 else truths
        return from_margins(hits, truths, answers, metric).T

    return score


def _effect_scorer(
    runs: Sequence[Run], owner: Sequence[NDArray[np.int64]], groups: int, metric: str
) -> Callable[[Floats], Floats]:
    """Weighted means over the perturbations of each run, of those where the metric is defined; NaN without any."""
    sums, counts = (np.zeros((len(runs), groups)) for _ in range(2))
    for place, (run, rows) in enumerate(zip(runs, owner, strict=True)):
        if run.effects is None or metric not in run.effects:
            what = "effects of perturbations" if metric in EFFECT_METRICS else "numbers of every item"
            raise UserError(f"metric '{metric}' needs predicted {what}.")
        values = run.effects[metric]
        known = np.isfinite(values)
        sums[place] = np.bincount(rows[known], values[known], minlength=groups)
        counts[place] = np.bincount(rows[known], minlength=groups)

    def score(weights: Floats) -> Floats:
        # Run by run: the sums of one product of matrices would differ in their last bits with how many runs there are.
        totals, numbers = ([np.einsum("rg,g->r", weights, one) for one in part] for part in (sums, counts))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.array(totals) / np.array(numbers))

    return score


def _ece_scorer(run: Run, rows: NDArray[np.int64], groups: int, classes: Sequence[str]) -> Callable[[Floats], Floats]:
    """The expected calibration error of one run. What it reads, a gap a group and bin, is made when asked for."""
    if run.probabilities is None:
        raise UserError("metric 'ece' needs one probability per class.")
    probabilities = run.probabilities

    def score(weights: Floats) -> Floats:
        place, confidence, right = confidences(run.labels, probabilities, classes)
        gaps = np.bincount(rows * BINS + place, confidence - right, minlength=groups * BINS).reshape(groups, BINS)
        sizes = np.bincount(rows, minlength=groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            value: Floats = np.abs(weights @ gaps).sum(axis=1) / (weights @ sizes)
        return value[None]

    return score


def _samples(runs: Sequence[Run], owner: Sequence[NDArray[np.int64]], metric: str) -> list[Sample]:
    """Runs as metrics of outputs need them; `UserError` for one without outputs."""
    samples = []
    for run, rows in zip(runs, owner, strict=True):
        if run.observed is None or run.values is None:
            raise UserError(
                f"metric '{metric}' needs labels that are {METRICS[metric].kind}s; these are no such labels."
            )
        samples.append(Sample(run.observed, run.values, rows))
    return samples


def _rank_scorer(run: Run, rows: NDArray[np.int64], metric: str, classes: Sequence[str]) -> Callable[[Floats], Floats]:
    if run.width != len(classes):
        raise UserError(f"metric '{metric}' needs one probability per class ({', '.join(classes)}).")

    def curve(weights: Floats) -> Floats:
        if run.scores is not None:
            return from_ranking(run.labels == classes[1], run.scores, weights, metric)
        assert run.probabilities is not None
        return from_probabilities(run.labels, run.probabilities, classes, weights, metric)

    def score(weights: Floats) -> Floats:
        parts = np.array_split(weights, max(1, weights.size // CELLS_PER_CURVE))
        return np.concatenate([curve(part[:, rows]) for part in parts])[None]

    return score


def resample_weights(strata: int | NDArray[np.int64], resamples: int, generator: np.random.Generator) -> Floats:
    """How often each group is drawn in each resample [resamples, groups]; `strata` [groups] are numbered from 0.

    Of a stratum of m groups m are drawn with replacement; one number stands for that many groups of one stratum.
    """
    strata = np.zeros(strata, dtype=np.int64) if isinstance(strata, int) else strata
    groups, sizes = len(strata), np.bincount(strata)
    order = np.argsort(strata, kind="stable")  # groups of a stratum side by side, and the draws among them
    first = np.cumsum(sizes) - sizes
    # One stream of numbers, resample by resample: blocks of any size draw the same.
    places = (generator.random((resamples, groups)) * sizes[strata[order]]).astype(np.int64)
    places = order[places + first[strata[order]]] + groups * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * groups).reshape(resamples, groups).astype(np.float64)


def join(arms: Sequence[Arm]) -> Arm:
    """The runs of several arms as one arm."""
    draws = [arm.draws for arm in arms if arm.draws is not None]
    return Arm(
        np.concatenate([arm.points for arm in arms]),
        np.concatenate([arm.replicates for arm in arms]),
        np.concatenate([arm.seeds for arm in arms]),
        np.concatenate(draws) if len(draws) == len(arms) else None,
    )


def ends(metric: str) -> tuple[float, float]:
    """Where intervals of a metric end: of classes and ranks at ± 1; of others at its lowest value, errors nowhere."""
    if metric in CALIBRATION_METRICS:
        return 0.0, 1.0 if metric in ("ece", "coverage") else float("inf")
    if metric not in (*EFFECT_METRICS, *OUTPUT_METRICS):
        return -1.0, 1.0
    return METRICS[metric].lowest, 1.0 if METRICS[metric].higher_is_better else float("inf")


def interval(arm: Arm, seed: int, metric: str = "") -> Estimate:
    """Value of one arm with its interval over groups and seeds, which ends where the metric does (`ends`)."""
    replicates = arm.resample(np.random.default_rng(seed))
    df = _freedom(replicates, [arm.by_seed(), arm.by_draw()])
    low, high = np.clip(_percentiles(_stretched(replicates, df)), *ends(metric))
    return Estimate(arm.value, float(low), float(high), replicates=replicates, df=df, se_items=_sd(arm.means()))


def compare_arms(pretrained: Arm, random: Arm, seed: int) -> Estimate:
    """Paired difference `pretrained - random`: same resamples of groups in both arms, seeds resampled in each."""
    first, second = np.random.default_rng(seed).spawn(2)
    replicates = pretrained.resample(first) - random.resample(second)
    df = _freedom(replicates, [pretrained.by_seed(), random.by_seed(), _paired_draws(pretrained, random)])
    se_items = _sd(pretrained.means() - random.means())
    return _difference(pretrained.value - random.value, replicates, df, se_items)


def compare_paired(first: Arm, second: Arm, seed: int) -> Estimate:
    """Difference `first - second` of two arms whose runs are the same but for one thing: groups and seeds both pair.

    Under another reading of the same weights, or another choice among the same runs, seeds are drawn together; arms of
    different seeds fall back to `compare_arms`.
    """
    if not np.array_equal(np.unique(first.seeds), np.unique(second.seeds)):
        return compare_arms(first, second, seed)
    draws = [arm.resample(np.random.default_rng(seed)) for arm in (first, second)]
    replicates = draws[0] - draws[1]
    df = _freedom(replicates, [first.by_seed() - second.by_seed(), _paired_draws(first, second)])
    return _difference(first.value - second.value, replicates, df, _sd(first.means() - second.means()))


def _paired_draws(first: Arm, second: Arm) -> Floats:
    """Difference of two arms in each draw of the training rows; the first alone beside what learns from none."""
    mine, theirs = first.by_draw(), second.by_draw()
    return mine - theirs if len(mine) == len(theirs) else mine


def subtract(first: Estimate, second: Estimate) -> Estimate:
    """Difference of two estimates of the same resamples, replicate by replicate; with the fewer degrees of freedom."""
    df = min(first.df, second.df)
    return _difference(first.value - second.value, first.replicates - second.replicates, df)


def _freedom(replicates: Floats, seeds: Sequence[Floats]) -> float:
    """Degrees of freedom of a variance of replicates that holds those of values [seeds] of one or two arms.

    Satterthwaite's, of which items have no end and S seeds S - 1.
    """
    terms = [(values.var(ddof=1) / len(values), len(values) - 1) for values in seeds if len(values) > 1]
    known = replicates[np.isfinite(replicates)]
    noise = sum(variance**2 / free for variance, free in terms)
    if not len(known) or not noise > 0:
        return float("inf")
    return float(max(float(known.var()), sum(variance for variance, _ in terms)) ** 2 / noise)


def _stretch(df: float) -> float:
    """Student's t over the normal quantile."""
    from scipy import special

    level = (1 + LEVEL) / 2
    return 1.0 if df == float("inf") else float(special.stdtrit(df, level) / special.ndtri(level))


def _stretched(replicates: Floats, df: float) -> Floats:
    if df == float("inf"):
        return replicates
    centre = float(replicates[np.isfinite(replicates)].mean())
    return centre + _stretch(df) * (replicates - centre)


def _sd(replicates: Floats) -> float:
    known = replicates[np.isfinite(replicates)]
    return float(known.std(ddof=1)) if len(known) > 1 else float("nan")


def _difference(value: float, replicates: Floats, df: float, se_items: float = float("nan")) -> Estimate:
    wide = _stretched(replicates, df)
    known = wide[np.isfinite(wide)]
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (1 + tail) / (1 + len(known))) if len(known) else float("nan")
    return Estimate(value, *_percentiles(wide), p=float(p), replicates=replicates, df=df, se_items=se_items)


def _percentiles(replicates: Floats, level: float = LEVEL) -> tuple[float, float]:
    known = replicates[np.isfinite(replicates)]
    if 2 * len(known) <= len(replicates):  # most resamples lack a class: no interval is honest
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def interval_of(replicates: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of replicates [resamples], as they are; NaN where most of them are."""
    return _percentiles(replicates)


def verdict(low: float, high: float, margin: float, inner: tuple[float, float] | None = None) -> str:
    """The word for a 95 % interval of a difference, where there is nothing else to test (the paper's numbers).

    `equivalent` if the 90 % interval (`inner`: two one-sided tests at 5 %; without it the wider one of 95 %) lies
    within ± margin (even where the other excludes 0: the difference is then too small to matter), else `better` or
    `worse` if it excludes 0, else `undecided`; NaN is `undecided`.
    """
    if -margin <= (inner or (low, high))[0] and (inner or (low, high))[1] <= margin:
        return "equivalent"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"
