"""Recall at a bounded rate of false positives: which share of the sites is found while few others are taken for one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECALL = "recall_fpr05"  # as a metric of tables
MOST_FALSE = 0.05  # share of the others that may stand above the threshold
MARGIN = 0.02  # one site in fifty

_ROUNDING = 1e-12  # of sums of weights


def recall_at(
    positive: ArrayLike, scores: ArrayLike, weights: ArrayLike, most: float = MOST_FALSE
) -> NDArray[np.float64]:
    """Largest recall [resamples] at a false positive rate of at most `most`, over all thresholds.

    `positive` [n] (bool), `scores` [n], the higher the likelier a site, `weights` [resamples, n]. Equal scores share a
    threshold. NaN where a resample holds one kind of item alone.
    """
    target, score = np.asarray(positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    weight = np.asarray(weights, dtype=np.float64)[:, order]
    hits, misses = (np.cumsum(weight * kind, axis=1)[:, ends] for kind in (target[order], ~target[order]))
    allowed = misses <= most * misses[:, -1:] + _ROUNDING
    found = np.where(allowed, hits, 0.0).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(misses[:, -1] > 0, found / hits[:, -1], np.nan)
