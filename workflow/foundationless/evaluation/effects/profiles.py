"""Errors and likenesses of predicted profiles of change: one value per perturbation.

All profiles [n, genes] are changes from the mean of the control, genes in descending order of their expression there. A
gene that is NaN in a row (a reading that drops it) is left out of every metric of the row. What is not defined is NaN:
a correlation with a constant, a skill where the mean itself is exact, a rank without others. Units are those of the
data (of log-normalised counts, or z scores).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIFFERENTIAL = 20  # genes that change most, whose error `de_error` is of (Roohani et al. 2024, GEARS)
CURVE = (10, 30, 100, 300, 1000)  # numbers of genes whose L2 error stands beside that of all
_ROUNDING = 1e-9  # of squared distances, relative: what differs by less is a tie
_CONSTANT = 1e-12  # of the sum of squares: what varies less is constant but for rounding

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


def measure(
    observed: ArrayLike, predicted: ArrayLike, mean: ArrayLike, targets: Sequence[Sequence[int]], top: int
) -> dict[str, Floats]:
    """Every effect metric (`vocabulary.EFFECT_METRICS`) of the perturbations of one split: name -> array [n].

    `observed`, `predicted` and `mean` [n, genes]: changes, `mean` those that the mean of the training perturbations
    predicts; `targets`: places of the perturbed genes of each row; `top`: how many genes, from the first on, `l2_top`
    is of. `l2` is the Euclidean distance; `skill` is 1 − l2 / l2 of the mean; `pearson_delta` correlates changes,
    `pearson_mean` what differs from the mean (Viñas Torné et al. 2025, Systema); `rank_accuracy` is the share of the
    other perturbations that lie farther from the prediction than the own one, ties half (centroid accuracy there);
    `de_error` is the error on the `DIFFERENTIAL` genes that change most, relative to that of predicting no change;
    `_offtarget` leaves the perturbed genes out.
    """
    truth, guess, usual = (np.asarray(part, dtype=np.float64) for part in (observed, predicted, mean))
    known = np.isfinite(truth) & np.isfinite(guess) & np.isfinite(usual)
    truth, guess, usual = (np.where(known, part, 0.0) for part in (truth, guess, usual))
    squares, of_mean = (truth - guess) ** 2, (truth - usual) ** 2
    off = _off_targets(truth.shape, targets)
    return {
        "skill": _skill(squares, of_mean),
        "skill_offtarget": _skill(squares * off, of_mean * off),
        "l2": _root(squares),
        "l2_top": _root(squares[:, :top]),
        "l2_offtarget": _root(squares * off),
        "de_error": _differential_error(truth, squares, known),
        "pearson_delta": _pearson(truth, guess, known),
        "pearson_mean": _pearson(truth - usual, guess - usual, known),
        "rank_accuracy": _rank_accuracy(truth, guess, known),
    }


def skill(observed: ArrayLike, predicted: ArrayLike, mean: ArrayLike) -> Floats:
    """The metric `skill` alone: [n] of profiles as `measure` takes them; `mean` may be one profile [genes] for all."""
    truth, guess, usual = (np.asarray(part, dtype=np.float64) for part in (observed, predicted, mean))
    known = np.isfinite(truth) & np.isfinite(guess) & np.isfinite(usual)
    squares, of_mean = (np.where(known, truth - other, 0.0) ** 2 for other in (guess, usual))
    return _skill(squares, of_mean)


def curves(observed: ArrayLike, predicted: ArrayLike) -> dict[str, Floats]:
    """L2 errors of the first n genes (`l2_n10`) and of the n that change most (`l2_de10`), n of `CURVE`: [rows].

    Of fewer genes than n, those that there are; genes that are NaN count for none.
    """
    truth, guess = (np.asarray(part, dtype=np.float64) for part in (observed, predicted))
    known = np.isfinite(truth) & np.isfinite(guess)
    squares = np.where(known, truth - guess, 0.0) ** 2
    order = _largest(np.where(known, np.abs(truth), -1.0), max(CURVE))
    found: dict[str, Floats] = {}
    for prefix, sums in (("n", squares[:, : max(CURVE)]), ("de", np.take_along_axis(squares, order, axis=1))):
        running = np.sqrt(np.cumsum(sums, axis=1))
        found |= {f"l2_{prefix}{n}": running[:, min(n, running.shape[1]) - 1] for n in CURVE}
    return found


def correlate(observed: ArrayLike, predicted: ArrayLike) -> Floats:
    """Correlations of rows of changes, NaN left out: [n]."""
    truth, guess = (np.asarray(part, dtype=np.float64) for part in (observed, predicted))
    known = np.isfinite(truth) & np.isfinite(guess)
    return _pearson(np.where(known, truth, 0.0), np.where(known, guess, 0.0), known)


def length(profiles: ArrayLike) -> Floats:
    """Euclidean length of rows, NaN left out: [n]."""
    return _root(np.nan_to_num(np.asarray(profiles, dtype=np.float64), posinf=np.inf) ** 2)


def _off_targets(shape: tuple[int, ...], targets: Sequence[Sequence[int]]) -> Floats:
    """1 for the genes of a row that it does not perturb, else 0: [n, genes]."""
    off = np.ones(shape)
    for row, places in enumerate(targets):
        off[row, list(places)] = 0.0
    return off


def _root(squares: Floats) -> Floats:
    return np.asarray(np.sqrt(squares.sum(axis=1)), dtype=np.float64)


def _skill(squares: Floats, of_mean: Floats) -> Floats:
    error, usual = _root(squares), _root(of_mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(usual > 0, 1 - error / usual, np.nan)


def _largest(values: Floats, count: int) -> NDArray[np.int64]:
    """Places of the largest values of every row, in falling order: [n, count]; of equal ones the first come first."""
    count = min(count, values.shape[1])
    limit = np.partition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count][:, None]
    above, level = values > limit, values == limit
    chosen = above | (level & (np.cumsum(level, axis=1) <= count - above.sum(axis=1, keepdims=True)))
    places = np.nonzero(chosen)[1].reshape(len(values), count)
    order = np.argsort(-np.take_along_axis(values, places, axis=1), axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1)


def _differential_error(truth: Floats, squares: Floats, known: Masks) -> Floats:
    order = _largest(np.where(known, np.abs(truth), -1.0), DIFFERENTIAL)
    error, none = (np.take_along_axis(part, order, axis=1).sum(axis=1) for part in (squares, truth**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(none > 0, np.sqrt(error / none), np.nan)


def _pearson(first: Floats, second: Floats, known: Masks) -> Floats:
    """Correlations of rows [n] over the genes that are known; NaN where either is constant."""
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    sides, varies = [], np.ones(len(first), dtype=bool)
    for values in (first, second):
        centred = np.where(known, values - values.sum(axis=1, keepdims=True) / counts, 0.0)
        spread = (centred**2).sum(axis=1)
        varies &= spread > _CONSTANT * (values**2).sum(axis=1)
        sides.append(centred / np.sqrt(np.where(spread > 0, spread, 1.0))[:, None])
    return np.where(varies, np.clip((sides[0] * sides[1]).sum(axis=1), -1.0, 1.0), np.nan)


def _rank_accuracy(truth: Floats, guess: Floats, known: Masks) -> Floats:
    """Share of the other rows whose truth lies farther from a row's guess than its own, on genes known in both."""
    n = len(truth)
    if n < 2:
        return np.full(n, np.nan)
    # Squared distances [guess, truth]; values of unknown genes are 0, so that only squares need the other's mask.
    if (known == known[0]).all():
        sizes = (guess**2).sum(axis=1)[:, None] + (truth**2).sum(axis=1)
    else:
        whole = known.astype(np.float64)
        sizes = (guess**2) @ whole.T + whole @ (truth**2).T
    distances = sizes - 2 * guess @ truth.T
    beyond = distances - np.diagonal(distances)[:, None]
    tied = np.abs(beyond) <= _ROUNDING * np.maximum(sizes, np.diagonal(sizes)[:, None])
    wins = np.where(tied, 0.5, (beyond > 0).astype(np.float64))
    return np.asarray((wins.sum(axis=1) - 0.5) / (n - 1), dtype=np.float64)  # a row ties with itself
