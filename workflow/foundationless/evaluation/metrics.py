"""Metrics of classification and ranking, from counts and from weighted ranks.

Each serves many resamples at once: a bootstrap over test items changes only the weight of each item, so MCC, F1 and
accuracy need only a confusion matrix per resample, and AUROC and AUPRC one sort of the scores. What a job reports
(`evaluate`) is the case of one resample in which every item weighs 1. All are tested to equal scikit-learn, whose
import would take a second of every job.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundationless.errors import UserError
from foundationless.study.vocabulary import COUNT_METRICS, RANK_METRICS

BINS = 15  # of confidence (Guo et al. 2017)

Floats = NDArray[np.float64]


def evaluate(labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Every classification metric of one set of predictions.

    `labels` [n] are class names, `probabilities` [n, classes] stand in the order of `classes`; the prediction is the
    most probable class. F1 averages over the classes that occur among labels or predictions, as scikit-learn does.
    AUROC and AUPRC are those of the second class for two classes, else the mean of one class against the rest over the
    classes that have both kinds of items (NaN if none has). Raises `UserError` if shapes or labels do not fit.
    """
    truth, scores = np.asarray(labels, dtype=str), np.asarray(probabilities, dtype=np.float64)
    names = np.asarray(classes, dtype=str)
    if scores.shape != (len(truth), len(names)):
        raise UserError(
            f"predictions of shape {scores.shape} do not fit {len(truth)} labels of {len(names)} classes; "
            "probabilities need one row per item and one column per class."
        )
    if len(strange := np.setdiff1d(truth, names)):
        raise UserError(f"label '{strange[0]}' is none of the classes {', '.join(names)}; predict the same task.")
    if not np.isfinite(scores).all():
        raise UserError("predictions hold a probability that is not finite; the model that made them diverged.")
    cells = confusion(truth, names[scores.argmax(axis=1)], classes)
    counts = np.bincount(cells, minlength=len(names) ** 2).reshape(len(names), -1)
    counted = {metric: float(from_confusion(counts, metric)) for metric in COUNT_METRICS}
    ones = np.ones((1, len(truth)))
    ranked = {metric: float(from_probabilities(truth, scores, classes, ones, metric)[0]) for metric in RANK_METRICS}
    return counted | ranked


def evaluate_ranking(positive: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """AUROC and AUPRC of `scores` [n] (higher: more probably positive) for the boolean `positive` [n].

    NaN where only one kind of item is present. `from_ranking` with all weights 1.
    """
    target = np.asarray(positive, dtype=bool)
    ones = np.ones((1, len(target)))
    return {metric: float(from_ranking(target, scores, ones, metric)[0]) for metric in RANK_METRICS}


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of two arrays [n]; pairs with a missing value are left out, NaN if none varies."""
    pairs = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    ranks = [_ranks(values) for values in pairs[:, np.isfinite(pairs).all(axis=0)]]
    if len(ranks[0]) < 2 or not all(np.ptp(rank) for rank in ranks):
        return float("nan")
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def _ranks(values: Floats) -> Floats:
    """Ranks [n] from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> NDArray[np.int64]:
    """Cell [n] of the confusion matrix that each item falls into: `label index * classes + predicted index`."""
    order = np.asarray(classes, dtype=str)
    sorter = np.argsort(order)
    cells: list[NDArray[np.int64]] = []
    for values in (np.asarray(labels, dtype=str), np.asarray(predicted, dtype=str)):
        index = sorter[np.searchsorted(order, values, sorter=sorter).clip(max=len(order) - 1)]
        if (wrong := order[index] != values).any():
            raise UserError(f"class '{values[wrong][0]}' is none of {', '.join(order)}; predict the same task.")
        cells.append(index)
    return cells[0] * len(order) + cells[1]


def from_confusion(counts: ArrayLike, metric: str) -> Floats:
    """A metric from confusion matrices [..., k, k] (rows: labels, columns: predictions) as an array [...].

    MCC is 0 where labels or predictions do not vary; F1 as in `evaluate`. Empty matrices give NaN.
    """
    matrix = np.asarray(counts, dtype=np.float64)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    return from_margins(hits, matrix.sum(axis=-1), matrix.sum(axis=-2), metric)


def from_margins(hits: ArrayLike, actual: ArrayLike, called: ArrayLike, metric: str) -> Floats:
    """`from_confusion` of diagonals, sums of rows and sums of columns, each [..., k]; they may broadcast."""
    right, truths, answers = (np.asarray(part, dtype=np.float64) for part in (hits, actual, called))
    if metric not in COUNT_METRICS:
        raise ValueError(f"{metric} is not a metric of counts ({', '.join(COUNT_METRICS)})")
    total = _sum(truths)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _FUNCTIONS[metric](right, truths, answers)
    return np.where(total > 0, value, np.nan)


def _accuracy(right: Floats, truths: Floats, answers: Floats) -> Floats:
    return _sum(right) / _sum(truths)


def _mcc(right: Floats, truths: Floats, answers: Floats) -> Floats:
    total = _sum(truths)
    covariance = _sum(right) * total - _sum(truths * answers)
    spread = (total**2 - _sum(truths**2)) * (total**2 - _sum(answers**2))
    return np.where(spread > 0, covariance / np.sqrt(spread), 0.0)


def _macro_f1(right: Floats, truths: Floats, answers: Floats) -> Floats:
    weight = (truths + answers > 0).astype(np.float64)
    return _sum(_f1(right, truths, answers) * weight) / _sum(weight)


def _weighted_f1(right: Floats, truths: Floats, answers: Floats) -> Floats:
    return _sum(_f1(right, truths, answers) * truths) / _sum(truths)


def _f1(right: Floats, truths: Floats, answers: Floats) -> Floats:
    return np.where(truths + answers > 0, 2 * right / (truths + answers), 0.0)


def _sum(values: Floats) -> Floats:
    """Sum along the last axis by adding whole slices: of two or three numbers NumPy's own takes far longer."""
    return reduce(np.add, np.moveaxis(values, -1, 0))


def from_ranking(positive: ArrayLike, scores: ArrayLike, weights: ArrayLike, metric: str) -> Floats:
    """Weighted AUROC or AUPRC [resamples] for `positive` [n] (bool), `scores` [n] and `weights` [resamples, n].

    Equal scores share one threshold (half a win in AUROC). NaN where a resample holds only one kind of item.
    """
    target, score = np.asarray(positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    weight = np.asarray(weights, dtype=np.float64)
    if metric not in RANK_METRICS:
        raise ValueError(f"{metric} is not a metric of ranks ({', '.join(RANK_METRICS)})")
    order = np.argsort(-score, kind="stable")
    value = _FUNCTIONS[metric](target[order], score[order], weight[:, order])
    all_hits, all_misses = weight[:, target].sum(axis=1), weight[:, ~target].sum(axis=1)
    return np.where((all_hits > 0) & (all_misses > 0), value, np.nan)


def _auroc(target: NDArray[np.bool_], score: Floats, weight: Floats) -> Floats:
    """Share of pairs that are ranked rightly; items with the highest score first."""
    misses = np.zeros((len(weight), int((~target).sum()) + 1))  # weight of the negatives up to each
    np.cumsum(weight[:, ~target], axis=1, out=misses[:, 1:])
    above, level = (np.searchsorted(-score[~target], -score[target], side) for side in ("left", "right"))
    hits, total = weight[:, target], misses[:, -1]
    below = total[:, None] - (misses[:, above] + misses[:, level]) / 2  # half of those on a level
    with np.errstate(divide="ignore", invalid="ignore"):
        value: Floats = np.einsum("ij,ij->i", hits, below) / (hits.sum(axis=1) * total)
    return value


def _auprc(target: NDArray[np.bool_], score: Floats, weight: Floats) -> Floats:
    """Mean precision at each gain of recall (scikit-learn's average precision); items with the highest score first."""
    starts = np.flatnonzero(np.r_[True, np.diff(score) != 0])
    hits = np.add.reduceat(weight * target, starts, axis=1)
    recalled = np.cumsum(hits, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = recalled / (recalled + np.cumsum(np.add.reduceat(weight * ~target, starts, axis=1), axis=1))
        value: Floats = np.where(hits > 0, hits * precision, 0.0).sum(axis=1) / recalled[:, -1]
    return value


# Of counts: of hits, labels and predictions by class [..., k]; of ranks: of items by falling score, and their weights.
_FUNCTIONS: dict[str, Callable[..., Floats]] = {
    "mcc": _mcc,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
    "accuracy": _accuracy,
    "auroc": _auroc,
    "auprc": _auprc,
}


def from_probabilities(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str], weights: ArrayLike, metric: str
) -> Floats:
    """`from_ranking` of class probabilities [n, classes], one class against the rest as in `evaluate`: [resamples].

    A class without both kinds of items in a resample is left out of that resample's mean.
    """
    truth, scores = np.asarray(labels, dtype=str), np.asarray(probabilities, dtype=np.float64)
    curves = (1,) if len(classes) == 2 else range(len(classes))
    values = np.stack([from_ranking(truth == classes[j], scores[:, j], weights, metric) for j in curves])
    present = np.isfinite(values)
    count = np.where(present.any(axis=0), present.sum(axis=0), np.nan)
    with np.errstate(invalid="ignore"):
        value: Floats = np.where(present, values, 0.0).sum(axis=0) / count
    return value


def reliability(labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]) -> Floats:
    """Reliability of the most probable class in `BINS` equal bins of its probability: [bins, 3].

    Columns: items in the bin, sum of their confidences, and how many of them are right. Bins hold their upper edge.
    """
    place, confidence, right = confidences(labels, probabilities, classes)
    columns = (None, confidence, right)
    return np.stack([np.bincount(place, weights, minlength=BINS).astype(np.float64) for weights in columns], axis=1)


def confidences(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Bin, confidence, and 1 where it is right, of the most probable class of every item: arrays [n]."""
    truth, scores = np.asarray(labels, dtype=str), np.asarray(probabilities, dtype=np.float64)
    confidence = scores.max(axis=1)
    right = np.asarray(classes, dtype=str)[scores.argmax(axis=1)] == truth
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return place, confidence, right.astype(np.float64)


def calibration(labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Expected calibration error and Brier score of class probabilities [n, classes]; lower is better.

    `ece`: mean absolute gap between confidence and accuracy over the bins of `reliability`, weighted by their items
    (Guo et al. 2017). `brier`: mean squared error of the probabilities, summed over classes, and halved for two of
    them (Brier 1950; scikit-learn's `scale_by_half="auto"`). NaN without items.
    """
    truth, scores = np.asarray(labels, dtype=str), np.asarray(probabilities, dtype=np.float64)
    if not len(truth):
        return dict.fromkeys(("ece", "brier"), float("nan"))
    _, confidence, right = reliability(truth, scores, classes).T
    hit = truth[:, None] == np.asarray(classes, dtype=str)
    brier = ((scores - hit) ** 2).sum(axis=1).mean() / (2 if len(classes) == 2 else 1)
    return {"ece": float(np.abs(confidence - right).sum() / len(truth)), "brier": float(brier)}
