"""How many training rows pretraining is worth: what the random arm would need for the score of the pretrained one.

The score of the random arm is taken to rise with its rows (isotonic regression: Barlow et al. 1972), and straight over
their logarithm between two sizes. Beyond the sizes that were tried nothing is known: the answer is then "more than" the
largest, or "fewer than" the smallest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundationless.evaluation.bootstrap import LEVEL

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Worth:
    """Rows that the random arm needs, with a 95 % interval; -inf and inf stand for fewer and more than were tried."""

    rows: float
    low: float
    high: float
    fewest: float
    most: float

    def words(self) -> str:
        """The three numbers in words, as `250 (120 to more than 1,000)`."""
        value, low, high = (self._said(number) for number in (self.rows, self.low, self.high))
        return value if low == high == value else f"{value} ({low} to {high})"

    def _said(self, number: float) -> str:
        if np.isnan(number):
            return "unknown"
        if np.isinf(number):
            return f"more than {self.most:,.0f}" if number > 0 else f"fewer than {self.fewest:,.0f}"
        return f"{number:,.0f}"


def rows_needed(sizes: ArrayLike, curve: ArrayLike, score: float, weights: ArrayLike | None = None) -> float:
    """At how many rows a `curve` of scores [points] at `sizes` [points], made monotone, first reaches `score`.

    -inf where its smallest size is better already, inf where the largest is not as good, NaN where a score is missing.
    """
    from scipy.optimize import isotonic_regression

    n, y = np.asarray(sizes, dtype=np.float64), np.asarray(curve, dtype=np.float64)
    if not (np.isfinite(y).all() and np.isfinite(score)):
        return float("nan")
    rising = isotonic_regression(y, weights=weights).x
    place = int(np.searchsorted(rising, score - 1e-12))  # of equal scores the fewest rows; rounding is no difference
    if place == len(rising):
        return float("inf")
    if place == 0:
        return float(n[0]) if score >= rising[0] - 1e-12 else float("-inf")
    share = (score - rising[place - 1]) / (rising[place] - rising[place - 1])
    return float(np.exp(np.interp(min(share, 1.0), (0, 1), np.log(n[place - 1 : place + 1]))))


def rows_worth(sizes: ArrayLike, curve: ArrayLike, score: float, curves: Floats, scores: Floats) -> Worth:
    """Rows that a `curve` [points] needs for `score`, and their interval by replicates.

    `curves` [resamples, points] and `scores` [resamples] are of the same resamples. The ends are percentiles of what
    each resample says (an end of two unequal ones is the outer); NaN where most resamples say nothing.
    """
    n = np.asarray(sizes, dtype=np.float64)
    sd = np.std(curves, axis=0)
    weights = 1 / sd**2 if np.isfinite(sd).all() and (sd > 0).all() else np.ones(len(n))
    drawn = np.array([rows_needed(n, one, other, weights) for one, other in zip(curves, scores, strict=True)])
    known = drawn[~np.isnan(drawn)]
    low = high = float("nan")
    if 2 * len(known) > len(drawn):
        low = float(np.quantile(known, (1 - LEVEL) / 2, method="lower"))
        high = float(np.quantile(known, (1 + LEVEL) / 2, method="higher"))
    return Worth(rows_needed(n, curve, score, weights), low, high, float(n.min()), float(n.max()))
