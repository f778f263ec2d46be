"""Metrics of labels that are several numbers (regression) or zeros and ones (multi-label), over their outputs.

Each metric is a mean over the outputs where it is defined. `resampled` has the same under weights of the items.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate_ranking, spearman
from foundationless.study.vocabulary import LABELS, TRACKS, VALUES

Floats = NDArray[np.float64]


def evaluate_outputs(kind: str, observed: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Every metric of a kind of labels (`VALUES` or `TRACKS`); NaN where no output has it.

    `observed` and `predicted` [n, outputs]; what is not known of `observed` (NaN) is left out. Of tracks `observed`
    holds 0 and 1, `predicted` what ranks them, probabilities or logits. All is NaN where a prediction of something
    known is not finite: the model diverged, and other outputs do not make up for it. Raises `UserError` for shapes or
    labels that do not fit.
    """
    truth, answer = _checked(kind, observed, predicted)
    if not np.isfinite(answer[~np.isnan(truth)]).all():
        return dict.fromkeys(LABELS[kind], float("nan"))
    return {name: _mean(values) for name, values in _each(kind, truth, answer).items()}


def evaluate_each(kind: str, observed: ArrayLike, predicted: ArrayLike) -> dict[str, Floats]:
    """As `evaluate_outputs`, of every output: [outputs]; an output of which a prediction is not finite is NaN."""
    return _each(kind, *_checked(kind, observed, predicted))


def _checked(kind: str, observed: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    if kind not in _FUNCTIONS:
        raise ValueError(f"{kind} is no kind of labels with outputs ({', '.join(_FUNCTIONS)})")
    truth, answer = (np.asarray(part, dtype=np.float64) for part in (observed, predicted))
    if truth.ndim != 2 or truth.shape != answer.shape:
        raise UserError(
            f"predictions of shape {answer.shape} do not fit labels of shape {truth.shape}; "
            "there is one number per item and output in both."
        )
    if kind == TRACKS:
        check_tracks(truth)
    return truth, answer


def check_tracks(observed: Floats) -> None:
    """`UserError` where labels [n, outputs] of tracks are other than 0, 1 and not known."""
    if (odd := ~(np.isnan(observed) | (observed == 0) | (observed == 1))).any():
        raise UserError(f"label {observed[odd][0]:g} of a track is neither 0 nor 1; labels with numbers are `values`.")


def precision_of_chance(observed: Floats) -> Floats:
    """Expected mean precision of a random order of zeros and ones [n, outputs]: [outputs], NaN without both kinds.

    It exceeds the share of ones by what the first items of an order add (Bestgen 2015, doi:10.1016/j.ipm.2015.08.001):
    a few hundredths for a hundred items, too much to call it learned once many outputs are averaged.
    """
    count, ones = (~np.isnan(observed)).sum(axis=0), (observed == 1).sum(axis=0)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(observed) + 1))])[count]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (ones - 1) / (count - 1) + harmonic / count * (count - ones) / (count - 1)
    return np.where((ones > 0) & (ones < count), value, np.nan)


def share_of_ones(chance: ArrayLike, count: ArrayLike) -> Floats:
    """The share of ones among so many items, of which `precision_of_chance` is this [outputs]; NaN of one item."""
    from scipy.special import digamma

    value, n = np.asarray(chance, dtype=np.float64), np.asarray(count, dtype=np.float64)
    harmonic = digamma(n + 1) + np.euler_gamma
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((value * (n - 1) + 1 - harmonic) / (n - harmonic))


def _each(kind: str, truth: Floats, answer: Floats) -> dict[str, Floats]:
    columns = []
    for own, guess in zip(truth.T, answer.T, strict=True):
        known = ~np.isnan(own)
        columns.append(_FUNCTIONS[kind](own[known], guess[known]))
    return {name: np.array([column[name] for column in columns]) for name in LABELS[kind]}


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _of_values(truth: Floats, answer: Floats) -> dict[str, float]:
    """Pearson, Spearman and R² need labels that vary; the error any label."""
    values = dict.fromkeys(LABELS[VALUES], float("nan"))
    if not len(truth) or not np.isfinite(answer).all():
        return values
    error = float(((truth - answer) ** 2).mean())
    values["rmse"] = float(np.sqrt(error))
    if np.ptp(truth) > 0:
        values["r2"] = 1 - error / float(truth.var())
        # A constant prediction is not related to anything: 0, as scipy has it undefined.
        values |= dict.fromkeys(("pearson", "spearman"), 0.0)
        if np.ptp(answer) > 0:
            values |= {"pearson": _correlate(truth, answer), "spearman": spearman(truth, answer)}
    return values


def _correlate(truth: Floats, answer: Floats) -> float:
    # Of the scale nothing depends, and squares of the smallest and largest numbers are no numbers.
    parts = [part / np.abs(part).max() for part in (truth - truth.mean(), answer - answer.mean())]
    return float(np.asarray(np.corrcoef(parts))[0, 1])


def _of_tracks(truth: Floats, answer: Floats) -> dict[str, float]:
    if not len(truth) or not np.isfinite(answer).all():
        return dict.fromkeys(LABELS[TRACKS], float("nan"))
    return {f"macro_{name}": value for name, value in evaluate_ranking(truth > 0, answer).items()}


_FUNCTIONS: dict[str, Callable[[Floats, Floats], dict[str, float]]] = {VALUES: _of_values, TRACKS: _of_tracks}
