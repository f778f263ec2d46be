"""Metrics of regression and of multi-label classification, each a mean over the outputs where it is defined."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundationless.evaluation.metrics import evaluate_ranking, spearman
from foundationless.study.vocabulary import LABELS, TRACKS, VALUES

Floats = NDArray[np.float64]


def evaluate_outputs(kind: str, observed: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Every metric of a kind of labels (`VALUES` or `TRACKS`); NaN where no output has it.

    `observed` and `predicted` [n, outputs]; what is not known of `observed` (NaN) is left out. Of tracks `observed`
    holds 0 and 1, `predicted` what ranks them, probabilities or logits.
    """
    each = evaluate_each(kind, observed, predicted)
    return {name: _mean(values) for name, values in each.items()}


def evaluate_each(kind: str, observed: ArrayLike, predicted: ArrayLike) -> dict[str, Floats]:
    """As `evaluate_outputs`, of every output: [outputs]."""
    truth, answer = (np.asarray(part, dtype=np.float64) for part in (observed, predicted))
    columns = []
    for own, guess in zip(truth.T, answer.T, strict=True):
        known = np.isfinite(own)
        columns.append(_FUNCTIONS[kind](own[known], guess[known]))
    return {name: np.array([column[name] for column in columns]) for name in LABELS[kind]}


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _of_values(truth: Floats, answer: Floats) -> dict[str, float]:
    if len(truth) < 2 or not np.isfinite(answer).all():
        return dict.fromkeys(LABELS[VALUES], float("nan"))
    error, spread = float(((truth - answer) ** 2).mean()), float(truth.var())
    # A constant prediction is not related to anything: 0, as scipy has it undefined.
    line = float(np.corrcoef(truth, answer)[0, 1]) if spread > 0 and answer.std() > 0 else 0.0
    ranks = spearman(truth, answer) if line or (spread > 0 and answer.std() > 0) else 0.0
    return {
        "pearson": line if spread > 0 else float("nan"),
        "spearman": ranks if spread > 0 else float("nan"),
        "r2": 1 - error / spread if spread > 0 else float("nan"),
        "rmse": float(np.sqrt(error)),
    }


def _of_tracks(truth: Floats, answer: Floats) -> dict[str, float]:
    if not len(truth) or not np.isfinite(answer).all():
        return dict.fromkeys(LABELS[TRACKS], float("nan"))
    return {f"macro_{name}": value for name, value in evaluate_ranking(truth > 0, answer).items()}


_FUNCTIONS: dict[str, Callable[[Floats, Floats], dict[str, float]]] = {VALUES: _of_values, TRACKS: _of_tracks}
