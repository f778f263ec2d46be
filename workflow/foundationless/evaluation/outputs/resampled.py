"""Metrics of outputs under many weightings of the groups of items at once.

Pearson's r, R² and the error need sums over the items of a group, and one product of these with the weights; ranks are
made anew in every resample, in which equal values share the mean of theirs. Products and sums are of one run alone: no
bit of a run depends on which others there are.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundationless.evaluation.metrics import from_ranking
from foundationless.study.vocabulary import TRACK_METRICS

CELLS_PER_PART = 1 << 17  # of weights of items: what is sorted and summed at once fits into a processor's cache
# Share of a sum of squares that is left of it around the mean of a resample, below which the sums have lost too many
# digits: resamples that hold one value, or whose values lie far from all others. They are computed from their items.
CANCELLED = 1e-8

Floats = NDArray[np.float64]


class Sample(NamedTuple):
    """One run: what was `observed` (NaN: not known) and its `values`, both [n, outputs], and the group of each item."""

    observed: Floats
    values: Floats
    rows: NDArray[np.int64]


Scorer = Callable[[Floats, bool], Floats]


def outputs_scorer(samples: Sequence[Sample], groups: int, metric: str) -> Scorer:
    """Function from weights [resamples, groups] to a metric (of `OUTPUT_METRICS`) of every run.

    With `each` (its second argument) of every output, [runs, outputs, resamples], NaN where it is not defined;
    otherwise [runs, resamples], the mean over the outputs where it is.
    """
    if metric in TRACK_METRICS:
        return _by_items(samples, metric.removeprefix("macro_"))
    return _by_items(samples, metric) if metric == "spearman" else _by_moments(samples, groups, metric)


def mean_of_defined(values: Floats) -> Floats:
    """Mean over outputs of [..., outputs, resamples], of those that are numbers; NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, values, 0.0).sum(axis=-2) / np.where(count, count, np.nan)
    return mean


# ---- by sums over the items of groups


def _by_moments(samples: Sequence[Sample], groups: int, metric: str) -> Scorer:
    def score(weights: Floats, each: bool) -> Floats:
        shared: dict[tuple[int, int], Floats] = {}
        found = []
        for sample in samples:  # sums are made where they are needed: of many runs and outputs they fill a memory
            key = (id(sample.observed), id(sample.rows))
            known = ~np.isnan(sample.observed)
            labels = _centred(sample.observed, known)
            if key not in shared:
                columns = (known.astype(np.float64), labels, labels**2)
                shared[key] = _product(weights, _sum_groups(columns, sample.rows, groups))
            sums = _sum_groups(_columns(sample, labels, known, metric), sample.rows, groups)
            values, doubtful = _FUNCTIONS[metric](*shared[key], *_product(weights, sums))
            for output in np.flatnonzero(doubtful.any(axis=0)).tolist():
                places = np.flatnonzero(doubtful[:, output])
                values[places, output] = _from_items(sample, output, weights[places], metric)
            found.append(values.T if each else mean_of_defined(values.T))
        return np.stack(found)

    return score


def _columns(sample: Sample, labels: Floats, known: NDArray[np.bool_], metric: str) -> tuple[Floats, ...]:
    """What a metric sums of every item beside its labels, each [n, outputs], 0 where the label is not known."""
    if metric == "pearson":
        values = _centred(sample.values, known)
        return values, values**2, values * labels
    return (np.where(known, sample.observed - sample.values, 0.0) ** 2,)


def _centred(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Values [n, outputs] less their mean, 0 where a label is not known; what is constant is exactly 0."""
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    varies = np.where(known, values, -np.inf).max(axis=0) > np.where(known, values, np.inf).min(axis=0)
    return np.where(known & varies, values - mean, 0.0)


def _sum_groups(columns: Sequence[Floats], rows: NDArray[np.int64], groups: int) -> Floats:
    """Sums [columns, groups, outputs] of columns [n, outputs]."""
    return np.stack(
        [np.stack([np.bincount(rows, one, minlength=groups) for one in column.T], axis=1) for column in columns]
    )


def _product(weights: Floats, sums: Floats) -> Floats:
    """Weighted sums [columns, resamples, outputs]: a product of two matrices a column."""
    return np.stack([weights @ part for part in sums])


def _pearson(
    count: Floats, y: Floats, yy: Floats, x: Floats, xx: Floats, xy: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        of_labels, of_values = yy - y**2 / count, xx - x**2 / count
        doubtful = (of_labels < CANCELLED * yy) | (of_values < CANCELLED * xx)
        value = (xy - x * y / count) / (np.sqrt(of_labels) * np.sqrt(of_values))
        value = np.where(of_values > 0, np.clip(value, -1.0, 1.0), 0.0)
        return np.where(of_labels > 0, value, np.nan), doubtful & (count > 0)


def _r2(count: Floats, y: Floats, yy: Floats, errors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        of_labels = yy - y**2 / count
        return np.where(of_labels > 0, 1 - errors / of_labels, np.nan), (of_labels < CANCELLED * yy) & (count > 0)


def _rmse(count: Floats, y: Floats, yy: Floats, errors: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(errors / count), np.zeros(count.shape, dtype=bool)


_FUNCTIONS: dict[str, Callable[..., tuple[Floats, NDArray[np.bool_]]]] = {
    "pearson": _pearson,
    "r2": _r2,
    "rmse": _rmse,
}


def _from_items(sample: Sample, output: int, weights: Floats, metric: str) -> Floats:
    """Pearson's r or R² of one output [resamples] from all its items, around the mean of each resample."""
    known = ~np.isnan(sample.observed[:, output])
    truth, answer = sample.observed[known, output], sample.values[known, output]
    found = []
    for part in _parts(weights, len(sample.rows)):
        weight = part[:, sample.rows[known]]
        labels, spread = _around_mean(truth, weight)
        if metric == "r2":
            left = (weight * (truth - answer) ** 2).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                found.append(np.where(spread > 0, 1 - left / spread, np.nan))
            continue
        found.append(_correlation(weight, labels, spread, *_around_mean(answer, weight)))
    return np.concatenate(found)


def _around_mean(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Values [resamples, n] less the mean of each resample, and their sum of squares; 0 where one value was drawn."""
    drawn = weight > 0
    highest, lowest = np.where(drawn, values, -np.inf).max(axis=1), np.where(drawn, values, np.inf).min(axis=1)
    away = values - (np.where(drawn, values, 0.0) * weight).sum(axis=1, keepdims=True) / weight.sum(
        axis=1, keepdims=True
    )
    away = np.where(drawn & (highest > lowest)[:, None], away, 0.0)
    return away, (weight * away**2).sum(axis=1)


def _correlation(weight: Floats, y: Floats, yy: Floats, x: Floats, xx: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (weight * x * y).sum(axis=1) / (np.sqrt(xx) * np.sqrt(yy))
        value = np.where(xx > 0, np.clip(value, -1.0, 1.0), 0.0)
        return np.where(yy > 0, value, np.nan)


# ---- by the ranks of items


def _parts(weights: Floats, items: int) -> list[Floats]:
    """Weights cut into parts of some resamples, of about `CELLS_PER_PART` weights of items."""
    return np.array_split(weights, max(1, min(len(weights), len(weights) * items // CELLS_PER_PART)))


def _by_items(samples: Sequence[Sample], metric: str) -> Scorer:
    ranked = _Spearman if metric == "spearman" else _Ranking
    outputs = samples[0].observed.shape[1]
    known = {id(sample.observed): ~np.isnan(sample.observed) for sample in samples}
    truths = {
        (id(sample.observed), id(sample.rows), output): ranked(sample.observed[known[id(sample.observed)][:, output],
                                                                                output], metric)
        for sample in samples for output in range(outputs)
    }  # fmt: skip

    def score_part(weights: Floats) -> Floats:
        found = np.full((len(samples), outputs, len(weights)), np.nan)
        for output in range(outputs):
            drawn: dict[tuple[int, int], Floats] = {}
            for place, sample in enumerate(samples):
                key = (id(sample.observed), id(sample.rows))
                mask = known[key[0]][:, output]
                truth = truths[*key, output]
                if key not in drawn:
                    drawn[key] = weights[:, sample.rows[mask]]
                    truth.draw(drawn[key])
                if mask.any():
                    found[place, output] = truth.score(sample.values[mask, output], drawn[key])
        return found

    def score(weights: Floats, each: bool) -> Floats:
        parts = (score_part(part) for part in _parts(weights, max(len(sample.rows) for sample in samples)))
        return np.concatenate([part if each else mean_of_defined(part) for part in parts], axis=-1)

    return score


class _Ranking:
    """AUROC or AUPRC of one output, from its zeros and ones."""

    def __init__(self, observed: Floats, metric: str) -> None:
        self._positive, self._metric = observed > 0, metric

    def draw(self, weight: Floats) -> None:
        """Nothing of the labels depends on the weights."""

    def score(self, values: Floats, weight: Floats) -> Floats:
        """The metric [resamples] of what ranks the items [n]."""
        return from_ranking(self._positive, values, weight, self._metric)


class _Spearman:
    """Spearman's ρ of one output, from its labels."""

    def __init__(self, observed: Floats, metric: str) -> None:
        self._levels = _levels(observed)
        self._ranks = self._squares = np.empty(0)

    def draw(self, weight: Floats) -> None:
        """Rank the labels under weights [resamples, n]."""
        self._ranks, self._squares = _ranks(self._levels, weight)

    def score(self, values: Floats, weight: Floats) -> Floats:
        """ρ [resamples] of predicted values [n]."""
        ranks, squares = _ranks(_levels(values), weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            together = np.einsum("rn,rn,rn->r", weight, self._ranks, ranks)
            value = np.clip(together / np.sqrt(self._squares * squares), -1.0, 1.0)
            return np.where(self._squares > 0, np.where(squares > 0, value, 0.0), np.nan)


def _levels(values: Floats) -> NDArray[np.int64]:
    """Places [n] of values among the distinct ones."""
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _ranks(levels: NDArray[np.int64], weight: Floats) -> tuple[Floats, Floats]:
    """Mid-ranks [resamples, n] of items that stand as often as their weights say, less their mean; sum of squares.

    Weights are counts: twice a rank is a whole number, and so is twice its distance from the mean, so a resample of one
    level has a sum of squares of exactly 0.
    """
    order = np.argsort(levels, kind="stable")
    starts = np.flatnonzero(np.diff(levels[order], prepend=-1))
    on_level = weight[:, order] if len(starts) == len(order) else np.add.reduceat(weight[:, order], starts, axis=1)
    up_to = np.cumsum(on_level, axis=1)
    # Mean rank less that of all: (up to and with the level + up to and without it + 1) / 2 - (total + 1) / 2.
    middle = up_to - (on_level + up_to[:, -1:]) / 2
    ranks = middle[:, levels]
    return ranks, np.einsum("rn,rn,rn->r", weight, ranks, ranks)
