"""Metrics of outputs computed by another way than jobs and summaries do, for whoever checks their numbers.

Correlations are scalar products of standardised numbers, ranks are counted, an AUROC is a sum of ranks (Mann and
Whitney 1947), and an AUPRC a walk down the thresholds.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foundationless.study.vocabulary import LABELS

Floats = NDArray[np.float64]


def recompute(kind: str, observed: Floats, values: Floats) -> dict[str, Floats]:
    """Every metric of a kind of labels, of every output: name -> [outputs], NaN where it is not defined.

    `observed` (NaN: not known) and `values` [n, outputs].
    """
    found: dict[str, list[float]] = {name: [] for name in LABELS[kind]}
    for output in range(observed.shape[1]):
        rows = np.flatnonzero(observed[:, output] == observed[:, output])
        truth, answer = observed[rows, output], values[rows, output]
        for name, each in found.items():
            each.append(_FUNCTIONS[name](truth, answer) if len(rows) and np.isfinite(answer).all() else math.nan)
    return {name: np.array(each) for name, each in found.items()}


def mean_of(each: Floats) -> float:
    """Mean over the outputs of which a metric is defined; NaN without any."""
    known = [float(value) for value in each if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _pearson(truth: Floats, answer: Floats) -> float:
    first, second = _standardised(truth), _standardised(answer)
    if first is None:
        return math.nan
    return 0.0 if second is None else math.fsum((first * second).tolist())


def _standardised(values: Floats) -> Floats | None:
    """Values less their mean, of length 1; None where they do not vary."""
    if values.min() == values.max():
        return None
    away = values - math.fsum(values.tolist()) / len(values)
    away /= np.abs(away).max()
    return np.asarray(away / math.sqrt(math.fsum((away * away).tolist())))


def _spearman(truth: Floats, answer: Floats) -> float:
    return _pearson(_counted_ranks(truth), _counted_ranks(answer))


def _counted_ranks(values: Floats) -> Floats:
    """How many are below each, and half of those that are equal to it."""
    order = np.sort(values)
    return np.asarray((np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")) / 2)


def _error(truth: Floats, answer: Floats) -> float:
    return math.fsum(((truth - answer) ** 2).tolist())


def _r2(truth: Floats, answer: Floats) -> float:
    if truth.min() == truth.max():
        return math.nan
    mean = math.fsum(truth.tolist()) / len(truth)
    return 1 - _error(truth, answer) / math.fsum(((truth - mean) ** 2).tolist())


def _rmse(truth: Floats, answer: Floats) -> float:
    return math.sqrt(_error(truth, answer) / len(truth))


def _auroc(truth: Floats, answer: Floats) -> float:
    ones = int((truth == 1).sum())
    zeros = len(truth) - ones
    if not ones or not zeros:
        return math.nan
    above = math.fsum(_counted_ranks(answer)[truth == 1].tolist()) - ones**2 / 2
    return above / (ones * zeros)


def _auprc(truth: Floats, answer: Floats) -> float:
    ones = int((truth == 1).sum())
    if not ones or ones == len(truth):
        return math.nan
    order = np.argsort(answer)[::-1]
    hits = np.cumsum(truth[order] == 1)
    lasts = np.flatnonzero(np.append(answer[order][1:] != answer[order][:-1], True))  # of each threshold
    gained = np.diff(hits[lasts], prepend=0)
    return math.fsum((gained * hits[lasts] / (lasts + 1)).tolist()) / ones


_FUNCTIONS: dict[str, Callable[[Floats, Floats], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "r2": _r2,
    "rmse": _rmse,
    "macro_auroc": _auroc,
    "macro_auprc": _auprc,
}
