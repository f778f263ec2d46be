"""Linear predictors of many outputs at once: ridge regression of numbers, logistic regression of zeros and ones.

Both read features that are standardised on train rows, and share one strength among all outputs, as validation chooses:
the larger, the less weights are held back. It is 1 / alpha of scikit-learn's `Ridge` and C of its `LogisticRegression`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.features.classifiers import (
    _PRECISION,
    _TOLERANCE,
    EXTENT,
    STRENGTHS,
    Fitted,
    ProbeSettings,
    Samples,
    _standardise,
    _tune,
)
from foundationless.features.importances import Importances

# Of ridge regression, from where predictions do not yet shrink into the rounding of single precision, to least squares;
# 0.01 without a validation split.
RIDGE = (*STRENGTHS, 1e5, 1e6)
WEIGHED = 64  # outputs up to which the weights of features are kept
# At most: steps of Newton's method, conjugate gradients in each, and halves of one.
_NEWTON, _GRADIENTS, _HALVES = 100, 100, 20
_ROUNDING = 1e-7

Floats = NDArray[np.float64]


def patterns(known: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(rows, outputs) of the outputs that are known in the same rows, from which rows are known [n, outputs]."""
    by_rows: dict[bytes, list[int]] = {}
    for output in range(known.shape[1]):
        by_rows.setdefault(np.packbits(known[:, output]).tobytes(), []).append(output)
    for outputs in by_rows.values():
        yield np.flatnonzero(known[:, outputs[0]]), np.array(outputs)


def fit_ridge(matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634) of every output.

    The intercept is not held back. One eigendecomposition serves all strengths and all outputs that are known in the
    same train rows.
    """
    from threadpoolctl import threadpool_limits

    train = samples.rows("train")
    observed, most = samples.observed[train], RIDGE[-1]
    strengths = RIDGE if len(samples.rows("validation")) else (0.01,)
    with threadpool_limits(settings.threads):
        scaled = _standardise(matrix, train)
        weights = np.empty((len(strengths), scaled.shape[1], observed.shape[1]))
        intercepts = np.empty((len(strengths), observed.shape[1]))
        for rows, outputs in patterns(np.isfinite(observed)):
            path = ridge_path(scaled[train[rows]], observed[np.ix_(rows, outputs)], strengths)
            weights[:, :, outputs], intercepts[:, outputs] = path

        def fit(strength: float) -> tuple[np.ndarray, dict[str, Any]]:
            place = strengths.index(strength)
            return (scaled @ weights[place] + intercepts[place]).astype(np.float32), {}

        tuned = _tune("strength", strengths, 0.01, fit, samples, settings.metric, most=most)
    if len(samples.outputs) > WEIGHED:
        return tuned
    chosen = weights[strengths.index(tuned.chosen["strength"])]
    return tuned._replace(importances=Importances("coefficient", samples.outputs, chosen.T))


def ridge_path(features: Floats, truth: Floats, strengths: Sequence[float]) -> tuple[Floats, Floats]:
    """Weights [strengths, d, outputs] and intercepts [strengths, outputs] of ridge regressions of `truth` [n, outputs].

    Each is least in |w|^2 / strength + the squared errors; features: [n, d].
    """
    centre, means = features.mean(axis=0), truth.mean(axis=0)
    own, centred = features - centre, truth - means
    wide = own.shape[1] > len(own)
    values, vectors = np.linalg.eigh(own @ own.T if wide else own.T @ own)
    kept = values > values[-1] * max(own.shape) * np.finfo(float).eps
    values = values[kept]
    # Of more features than rows, axes of the features from those of the rows.
    axes = own.T @ (vectors[:, kept] / np.sqrt(values)) if wide else vectors[:, kept]
    shares = axes.T @ (own.T @ centred)
    weights = np.stack([axes @ (shares / (values + 1 / strength)[:, None]) for strength in strengths])
    return weights, means - centre @ weights


def fit_logistic(matrix: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Logistic regression of every track; one that has a single value in train rows is predicted by its prevalence."""
    from threadpoolctl import threadpool_limits

    train, prevalence = samples.rows("train"), samples.means()
    varied = np.flatnonzero((prevalence > 0) & (prevalence < 1))
    observed = samples.observed[np.ix_(train, varied)]
    known = np.isfinite(observed)
    truth = np.where(known, observed, 0).astype(_PRECISION)
    scaled = _standardise(matrix, train)
    scaled = np.column_stack([scaled, np.ones(len(scaled))]).astype(_PRECISION)  # the last column is the intercept
    own, weights = scaled[train], {}
    nothing = np.zeros((scaled.shape[1], len(varied)))
    nothing[-1] = np.log(prevalence[varied] / (1 - prevalence[varied]))
    reached, before = nothing, 0.0

    def fit(strength: float) -> tuple[np.ndarray, dict[str, Any]]:
        nonlocal reached, before
        # below the grid the solution is nearer to no weights than to those of the grid's end
        reached, converged = logistic_columns(own, truth, known, strength, reached if before < strength else nothing)
        before, weights[strength] = strength, reached
        predicted = np.tile(prevalence.astype(np.float32), (len(scaled), 1))
        predicted[:, varied] = _sigmoid(scaled @ reached.astype(_PRECISION))
        return predicted, {"converged": converged}

    with threadpool_limits(settings.threads):
        tuned = _tune("strength", STRENGTHS, 1.0, fit, samples, settings.metric, EXTENT)
    if len(samples.outputs) > WEIGHED:
        return tuned
    names = [samples.outputs[output] for output in varied]
    return tuned._replace(importances=Importances("coefficient", names, weights[tuned.chosen["strength"]][:-1].T))


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    probabilities: np.ndarray = 1 / (1 + np.exp(-np.clip(scores, -80, 80)))
    return probabilities


def logistic_columns(
    features: np.ndarray, truth: np.ndarray, known: NDArray[np.bool_], strength: float, start: Floats
) -> tuple[Floats, bool]:
    """Weights [d, outputs] of logistic regressions that are fitted side by side, and whether each search ended.

    Each is least in |w|^2 / 2 + strength * (log loss of its known rows), the weight of the last feature, the intercept,
    left out of |w|. Newton's method with conjugate gradients, from `start`: a product with `features` [n, d] serves all
    outputs, each of which takes steps of its own; one that ended is left alone.
    """
    kind, number = features.dtype, known.sum(axis=0)
    held = np.ones((len(start), 1))
    held[-1] = 0
    weights, pulls, active = start.copy(), held / (strength * number), np.arange(start.shape[1])
    for _ in range(_NEWTON):
        scores = features @ weights[:, active].astype(kind)
        chance, share = _sigmoid(scores), (known[:, active] / number[active]).astype(kind)
        slope = features.T @ ((chance - truth[:, active]) * share) + pulls[:, active] * weights[:, active]
        moving = np.abs(slope).max(axis=0, initial=0) > _TOLERANCE
        if not moving.any():
            return weights, True
        active, scores, share, slope = active[moving], scores[:, moving], share[:, moving], slope[:, moving]
        bend, pull, now = chance[:, moving] * (1 - chance[:, moving]) * share, pulls[:, active], weights[:, active]
        step = _newton_steps(features, bend, pull, slope)
        loss = partial(_losses, (scores, features @ step.astype(kind)), (now, step), truth[:, active], share, pull)
        weights[:, active] = now + _line_search(loss, (slope * step).sum(axis=0)) * step
    return weights, False


def _losses(
    scores: tuple[np.ndarray, np.ndarray],
    weights: tuple[Floats, Floats],
    truth: np.ndarray,
    share: np.ndarray,
    pull: Floats,
    length: Floats,
) -> Floats:
    """Losses [outputs] so far along a step; of scores and of weights there are those before it, and their change."""
    moved, at = scores[0] + (length * scores[1]).astype(truth.dtype), weights[0] + length * weights[1]
    # log(1 + exp(z)) - y z, in the form that does not overflow
    each = np.maximum(moved, 0) - truth * moved + np.log1p(np.exp(-np.abs(moved)))
    penalty: Floats = (pull * at**2).sum(axis=0) / 2
    losses: Floats = penalty + (each * share).sum(axis=0, dtype=np.float64)
    return losses


def _newton_steps(features: np.ndarray, bend: np.ndarray, pull: Floats, slope: Floats) -> Floats:
    """Steps [d, outputs] that solve (X' diag(bend) X + pull) step = -slope of each output, as far as is worth it."""
    step, rest = np.zeros_like(slope), -slope
    direction, size = rest.copy(), (rest**2).sum(axis=0)
    goal = size * np.minimum(0.25, np.sqrt(size)) ** 2  # the nearer the end, the more exactly
    for _ in range(_GRADIENTS):
        moving = size > goal
        if not moving.any():
            break
        turned = features.T @ (bend * (features @ direction.astype(features.dtype))) + pull * direction
        along = (direction * turned).sum(axis=0)
        length = np.where(moving & (along > 0), size / np.where(along > 0, along, 1), 0)
        step += length * direction
        rest = rest - length * turned
        left = np.where(moving, (rest**2).sum(axis=0), size)
        direction = np.where(moving, rest + left / np.where(size > 0, size, 1) * direction, 0)
        size = left
    return step


def _line_search(loss: Callable[[Floats], Floats], fall: Floats) -> Floats:
    """How far each output goes along its step [outputs]: the whole way, or so many halves until its loss falls.

    `fall` is the slope of the loss along the step; single precision tells losses apart to about `_ROUNDING`.
    """
    before, length = loss(np.zeros(len(fall))), np.ones(len(fall))
    for _ in range(_HALVES):
        high = loss(length) > before + 1e-4 * length * fall + _ROUNDING
        if not high.any():
            break
        length = np.where(high, length / 2, length)
    return length
