"""What learns labels of several outputs from features in columns: one function a classifier (see `FITTERS`).

`ridge`          linear regression of numbers, `logistic` of zeros and ones (`outputs.linear`)
`xgboost`        boosted trees, of each output by itself
`knn`            the mean of what is known of the nearest training rows
`random_forest`  the mean of trees, which outputs that are known in the same rows share
`majority`       the means of the training rows

An output that is not known of a training row is learned from the others. What is chosen on validation is shared by all
outputs, but for the rounds of boosted trees.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from foundationless.errors import UserError
from foundationless.features.classifiers import (
    LEAVES,
    NEIGHBOURS,
    TREES,
    Fitted,
    ProbeSettings,
    Samples,
    _tune,
    boost,
    check_stopping,
    directions,
)
from foundationless.features.importances import Importances
from foundationless.features.outputs.linear import WEIGHED, fit_logistic, fit_ridge, patterns
from foundationless.runtime.log import progress
from foundationless.study.vocabulary import TRACKS


def fit(kind: str, matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Train the classifier `kind` (of `FITTERS`) on the train rows of `matrix` [n, d], of labels with outputs."""
    if kind == "majority":
        return Fitted(np.tile(samples.means().astype(np.float32), (len(samples.frame), 1)), {})
    if not matrix.shape[1]:
        raise UserError(f"classifier {kind} has no features to read; use the classifier majority.")
    return FITTERS[kind](matrix, samples, settings)


def _scales(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations [outputs] of what is known among train rows; 1 where nothing varies."""
    spread = np.nanstd(samples.observed[samples.rows("train")], axis=0)
    return samples.means(), np.where(spread > 0, spread, 1.0)


def _fit_xgboost(matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Boosted trees of each output, with early stopping of its own; an output that does not vary is its mean.

    Numbers are learned at mean 0 and standard deviation 1: single precision would lose those that differ little.
    """
    check_stopping(samples, settings)
    of_tracks = samples.labels == TRACKS
    objective = {"objective": "binary:logistic" if of_tracks else "reg:squarederror"}
    centres, spreads = _scales(samples)
    known = np.isfinite(samples.observed)
    predicted = np.tile(samples.means(), (len(known), 1)).astype(np.float32)
    gains, rounds, each = np.zeros((len(centres), matrix.shape[1])), {}, {}
    with progress(settings.rounds * len(centres), "xgboost", "round") as bar:
        for output, name in enumerate(samples.outputs):
            train, watched = (rows[known[rows, output]] for rows in map(samples.rows, ("train", "validation")))
            truth = samples.observed[:, output]
            if np.ptp(truth[train]) == 0:
                continue
            centre, spread = (0.0, 1.0) if of_tracks else (centres[output], spreads[output])
            found = boost(matrix, (truth - centre) / spread, (train, watched), objective, settings, bar)
            predicted[:, output] = centre + spread * found.predicted.astype(np.float64)
            gains[output], rounds[name] = found.gains, found.rounds
            if not of_tracks:  # named an error, as it is one, and the lower the better
                found = found._replace(loss="squared_error", losses=[loss**2 for loss in found.losses])
            if (selection := found.selection(settings)) is not None:
                each[name] = selection
    chosen = {"epoch": int(np.median(list(rounds.values())))}
    weights = Importances("gain", samples.outputs, gains) if len(gains) <= WEIGHED else None
    selection = each.get(samples.outputs[0]) if len(samples.outputs) == 1 else {"by_output": each} if each else None
    return Fitted(predicted, chosen, selection, weights)


def _fit_knn(matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """The mean of what is known of the k nearest train rows; distances between centred rows of unit length."""
    from scipy import sparse
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    train = samples.rows("train")
    candidates = [k for k in NEIGHBOURS if k <= len(train)]
    unit, observed = directions(matrix, train), samples.observed[train]
    known = np.isfinite(observed)
    values, counted = np.where(known, observed, 0.0), known.astype(np.float64)
    with threadpool_limits(settings.threads):
        model = NearestNeighbors(n_neighbors=candidates[-1], algorithm="brute").fit(unit[train])
        nearest = model.kneighbors(unit, return_distance=False)
    sums, number, reached = np.zeros(samples.observed.shape), np.zeros(samples.observed.shape), 0

    def fit(k: int) -> tuple[np.ndarray, dict[str, Any]]:
        nonlocal reached
        further = nearest[:, reached:k]  # candidates rise
        starts = np.arange(len(further) + 1) * further.shape[1]
        chosen = sparse.csr_matrix((np.ones(further.size), further.ravel(), starts), shape=(len(unit), len(train)))
        sums[:], number[:], reached = sums + chosen @ values, number + chosen @ counted, k
        means = np.where(number > 0, sums / np.maximum(number, 1), samples.means())
        return means.astype(np.float32), {}

    most = len(train)  # all of them are read
    return _tune("neighbours", candidates, min(5, candidates[-1]), fit, samples, settings.metric, most=most)


def _fit_random_forest(matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Means of the leaves of trees (Breiman 2001), the square root of the features being looked at in each split.

    Outputs that are known in the same train rows share trees, in which each weighs as much as another: they are learned
    at standard deviation 1. Of zeros and ones the squared error is half of Gini's impurity.
    """
    from sklearn.ensemble import RandomForestRegressor

    train = samples.rows("train")
    centres, spreads = _scales(samples)
    scaled = (samples.observed[train] - centres) / spreads
    shared = list(patterns(np.isfinite(scaled)))
    weights: dict[int, np.ndarray] = {}

    def fit(leaf: int) -> tuple[np.ndarray, dict[str, Any]]:
        predicted = np.empty(samples.observed.shape, dtype=np.float32)
        for rows, outputs in shared:
            truth = scaled[np.ix_(rows, outputs)]
            model = RandomForestRegressor(
                TREES, min_samples_leaf=leaf, max_features="sqrt", n_jobs=settings.threads, random_state=settings.seed
            ).fit(matrix[train[rows]], truth if len(outputs) > 1 else truth[:, 0])
            found = model.predict(matrix).reshape(-1, len(outputs)) * spreads[outputs] + centres[outputs]
            predicted[:, outputs] = found.clip(0, 1) if samples.labels == TRACKS else found
            weights[leaf] = model.feature_importances_[None]
        return predicted, {}

    fitted = _tune("leaf", LEAVES, 1, fit, samples, settings.metric)
    if len(shared) > 1:
        return fitted
    return fitted._replace(importances=Importances("impurity", [""], weights[fitted.chosen["leaf"]]))


FITTERS: Mapping[str, Callable[[np.ndarray, Samples, ProbeSettings], Fitted]] = MappingProxyType(
    {
        "ridge": fit_ridge,
        "logistic": fit_logistic,
        "xgboost": _fit_xgboost,
        "knn": _fit_knn,
        "random_forest": _fit_random_forest,
    }
)
