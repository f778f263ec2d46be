"""Tests of two arms on the same test items, or on the same folds, beside the bootstrap.

McNemar's and DeLong's tests know the noise of test items alone, and call items independent: they say whether two
trained models differ, not whether two recipes do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundationless.errors import UserError
from foundationless.evaluation.bootstrap import LEVEL

Floats = NDArray[np.float64]


def mcnemar(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
    """Exact two-sided p of "both arms are right equally often" (McNemar 1947); arrays [items] of classes.

    1 where the arms are right on the same items.
    """
    from scipy import stats

    truth = np.asarray(labels)
    right, other = np.asarray(first) == truth, np.asarray(second) == truth
    only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
    either = only_first + only_second
    return float(stats.binomtest(only_first, either).pvalue) if either else 1.0


def delong(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """(difference, its standard error, two-sided p) of two AUROC on the same items (DeLong et al. 1988).

    Boolean `labels` [items] (True: positive), scores [items] (higher: more probably positive). The standard error is
    NaN with fewer than two items of either kind; p is 1 where both rank alike. Raises `UserError` on unequal shapes.
    """
    from scipy import special

    areas, covariance = _areas(labels, [first, second])
    difference = float(areas[0] - areas[1])
    se = float(np.sqrt(np.maximum(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    if not se > 0:
        return difference, se, float("nan") if np.isnan(se) else float(difference == 0)
    return difference, se, float(2 * special.ndtr(-abs(difference) / se))


def _areas(labels: ArrayLike, scores: Sequence[ArrayLike]) -> tuple[Floats, Floats]:
    """AUROC [arms] and their covariance [arms, arms], by midranks in n log n (Sun and Xu 2014)."""
    from scipy import stats

    positive, values = np.asarray(labels, dtype=bool), np.stack([np.asarray(row, dtype=np.float64) for row in scores])
    if values.shape[1:] != positive.shape:
        raise UserError(f"{values.shape[1]} scores do not fit {len(positive)} labels; score the same items.")
    hits, misses = values[:, positive], values[:, ~positive]
    m, n = hits.shape[1], misses.shape[1]
    if min(m, n) < 2:
        return np.full(len(values), np.nan), np.full((len(values), len(values)), np.nan)
    ranks = stats.rankdata(values, axis=1)
    won = (ranks[:, positive] - stats.rankdata(hits, axis=1)) / n  # of each positive: share of negatives below it
    lost = 1 - (ranks[:, ~positive] - stats.rankdata(misses, axis=1)) / m
    return won.mean(axis=1), np.atleast_2d(np.cov(won)) / m + np.atleast_2d(np.cov(lost)) / n


def combine_seeds(ps: ArrayLike, differences: ArrayLike) -> float:
    """Two-sided p of "not every seed differs in the same direction" [seeds], from two-sided p and differences.

    The larger one-sided p of the seeds, doubled, for the likelier direction: an intersection-union test (Berger 1982),
    valid however the seeds depend on one another. Seeds of opposite directions so have a p near 1, however small
    each of theirs. NaN are left out; NaN without any.
    """
    values, signs = np.asarray(ps, dtype=np.float64), np.sign(np.asarray(differences, dtype=np.float64))
    known = np.isfinite(values)
    if not known.any():
        return float("nan")
    half, signs = values[known] / 2, signs[known]
    above, below = np.where(signs > 0, half, 1 - half), np.where(signs < 0, half, 1 - half)
    return float(min(1.0, 2 * min(above.max(), below.max())))


def nadeau_bengio(differences: ArrayLike, train: float, test: float) -> tuple[float, float, float, float]:
    """(mean, low, high, p) of paired differences [runs] of seeds × folds: Student's t with corrected variance.

    `train` and `test` are the sizes of what a run learns from and of what it leaves out of the training set (k folds:
    k - 1 and 1; only their ratio counts). Runs of other folds share most of what they learn from, so their differences
    are correlated and the variance of their mean is not s² / J. It is taken as s² (1 / J + test / train), which is
    Nadeau and Bengio's (2003) for a correlation equal to the share left out, and Bouckaert and Frank's (2004) for
    repeated folds. There the part left out is also the test set; here it chooses the epoch, and all runs are tested on
    one fixed set, whose noise this interval therefore does not hold: it is about drawing training sets, the bootstrap
    is about drawing test items. NaN are left out; low, high and p are NaN with fewer than two runs.
    """
    from scipy import special

    values = np.asarray(differences, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    runs = len(values)
    mean = float(values.mean()) if runs else float("nan")
    if runs < 2:
        return mean, float("nan"), float("nan"), float("nan")
    se = float(values.std(ddof=1) * np.sqrt(1 / runs + test / train))
    half = float(special.stdtrit(runs - 1, (1 + LEVEL) / 2)) * se
    p = float(2 * special.stdtr(runs - 1, -abs(mean) / se)) if se else float(mean == 0)
    return mean, mean - half, mean + half, p
