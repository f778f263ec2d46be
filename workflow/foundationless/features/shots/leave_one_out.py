"""The strength of a head, and the features that it reads, chosen by leave-one-out on the few training rows alone.

A fold leaves one shot of every class out (of people both haplotypes): left out one by one, rows of one class would be
asked of heads that have seen fewer of it than of the others, which punishes weak heads for being weak. With more than
`MOST_FOLDS` shots a fold leaves several of each class out. What is least is the mean negative log likelihood of the
rows that were left out; a score of a handful of rows would be a tie more often than not.
"""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from foundationless.features.classifiers import STRENGTHS, ProbeSettings

MOST_FOLDS = 20
_STEPS, _TOLERANCE = 1000, 1e-5  # of a fit, as of other heads
_LEAST = 1e-12  # probability


class Chosen(NamedTuple):
    """Features (by name) and strength with the least loss, and the loss of each pair that was tried."""

    name: str
    strength: float
    losses: dict[tuple[str, float], float]


def choose(
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    ranks: np.ndarray,
    settings: ProbeSettings,
    weights: np.ndarray | None = None,
) -> Chosen:
    """Features and strength of a logistic regression on standardised features, for rows of a draw.

    `features` are matrices [n, d] of these rows, `labels` [n] codes of classes, `ranks` [n] the shot of its class that
    a row is, from 0, of which there are two or more. Equal losses: the features named first, the weaker head.
    """
    folds = ranks % min(int(ranks.max()) + 1, MOST_FOLDS)
    losses = {
        (name, strength): loss
        for name, matrix in features.items()
        for strength, loss in _losses(matrix, labels, folds, settings, weights).items()
    }
    name, strength = min(losses, key=losses.__getitem__)
    return Chosen(name, strength, losses)


def _losses(
    matrix: np.ndarray, labels: np.ndarray, folds: np.ndarray, settings: ProbeSettings, weights: np.ndarray | None
) -> dict[float, float]:
    """Mean negative log likelihood of rows that were left out, by strength."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    held = np.zeros((len(STRENGTHS), len(labels)))
    with threadpool_limits(settings.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for fold in np.unique(folds):
            out = folds == fold
            kept, left = _reduced(matrix[~out], matrix[out])
            own = None if weights is None else weights[~out]
            model = LogisticRegression(
                max_iter=_STEPS, tol=_TOLERANCE, warm_start=True, class_weight=settings.class_weights or None
            )
            for place, strength in enumerate(STRENGTHS):
                model.set_params(C=strength).fit(kept, labels[~out], own)
                predicted = model.predict_proba(left)
                held[place, out] = predicted[np.arange(len(left)), np.searchsorted(model.classes_, labels[out])]
    means = np.average(-np.log(np.maximum(held, _LEAST)), axis=1, weights=weights)
    return {strength: round(float(mean), 9) for strength, mean in zip(STRENGTHS, means, strict=True)}


def _reduced(kept: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both standardised by the rows that are kept, in the space that these span, which holds every solution."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(kept.astype(np.float64))
    kept, left = scaler.transform(kept.astype(np.float64)), scaler.transform(left.astype(np.float64))
    if len(kept) >= kept.shape[1]:
        return kept, left
    basis = np.linalg.qr(kept.T)[0]
    return kept @ basis, left @ basis
