"""Power laws with an offset, error = a + b · n^-c: many curves fitted at once, within bounds.

Given c, a and b are those of bounded linear least squares, so only c is searched (variable projection: Golub and
Pereyra 1973): over the whole range first, then ever closer to the best. No start is needed, and a thousand resampled
curves take a tenth of a second. The form is that of learning curves (Hestness et al. 2017; Rosenfeld et al. 2020).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_POINTS = 4  # three numbers are fitted: of fewer points any curve is one of many
EXPONENTS = (0.01, 4.0)  # between which c is searched
CHOSEN_FROM, ROUNDS = 121, 4  # exponents tried at once, and how often they are tried closer by
AT_BOUND = 1e-3  # share of the search's range (of its logarithm), or of the largest error, that counts as at a bound

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaws:
    """Fits of curves [...]: offset `a` and scale `b` in units of the error, exponent `c`; `rmse` of the points."""

    a: Floats
    b: Floats
    c: Floats
    rmse: Floats

    def at(self, sizes: ArrayLike) -> Floats:
        """Errors [..., sizes] that the fits say."""
        raised = np.asarray(sizes, dtype=np.float64) ** -self.c[..., None]
        return np.asarray(self.a[..., None] + self.b[..., None] * raised)

    @property
    def bounds(self) -> list[str]:
        """What of a single fit lies at a bound, in words."""
        low, high = (abs(np.log(float(self.c) / end)) < AT_BOUND * np.log(EXPONENTS[1] / EXPONENTS[0])
                     for end in EXPONENTS)  # fmt: skip
        if float(self.b) <= 0:
            return ["no decrease: b at 0, c is not defined"]
        said = {"a at 0": float(self.a) <= 0, f"c at {EXPONENTS[0]:g}": low, f"c at {EXPONENTS[1]:g}": high}
        return [words for words, true in said.items() if true]


def fit_power_laws(sizes: ArrayLike, errors: ArrayLike, sd: ArrayLike | None = None) -> PowerLaws:
    """Weighted least squares of a, b ≥ 0 and c within `EXPONENTS`, for curves `errors` [..., points] at `sizes`.

    `sd` [points] are standard deviations of the errors; without them, or where one is not above 0, all weigh the same.
    NaN where a curve has a NaN. Raises `ValueError` for fewer than `FEWEST_POINTS` sizes.
    """
    n, y = np.asarray(sizes, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if len(np.unique(n)) < FEWEST_POINTS:
        raise ValueError(f"{len(np.unique(n))} sizes; a fit needs {FEWEST_POINTS}")
    shape, y = y.shape[:-1], y.reshape(-1, len(n))
    spread = np.ones(len(n)) if sd is None else np.asarray(sd, dtype=np.float64)
    weights = 1 / spread**2 if np.isfinite(spread).all() and (spread > 0).all() else np.ones(len(n))
    weights = weights / weights.sum()
    middle = float(np.exp(np.log(n).mean()))  # powers of sizes about 1 are told apart best
    low, high = (np.full(len(y), np.log(end)) for end in EXPONENTS)
    for _ in range(ROUNDS):
        tried = np.linspace(low, high, CHOSEN_FROM, axis=-1)  # [curves, exponents]
        a, b, loss = _given_exponent(n / middle, y, np.exp(tried), weights)
        best = np.argmin(np.where(np.isfinite(loss), loss, np.inf), axis=-1)[:, None]
        step = (high - low) / (CHOSEN_FROM - 1)
        a, b, centre = (np.take_along_axis(part, best, axis=-1)[:, 0] for part in (a, b, tried))
        low, high = np.maximum(centre - step, np.log(EXPONENTS[0])), np.minimum(centre + step, np.log(EXPONENTS[1]))
    c = np.where(np.isfinite(a), np.exp(centre), np.nan)
    a, b, c = (part.reshape(shape) for part in (a, b * middle**c, c))
    residuals = y.reshape(*shape, len(n)) - PowerLaws(a, b, c, c).at(n)
    return PowerLaws(a, b, c, np.asarray(np.sqrt((residuals**2).mean(axis=-1))))


def _given_exponent(n: Floats, y: Floats, exponents: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """a, b and the weighted loss [curves, exponents] of the best curve with each exponent, a and b not below 0."""
    z = n ** -exponents[..., None]  # [curves, exponents, points]
    mean_z, mean_y = z @ weights, (y @ weights)[:, None]
    spread = ((z - mean_z[..., None]) ** 2) @ weights
    together = ((z - mean_z[..., None]) * (y[:, None] - mean_y[..., None])) @ weights
    b = together / spread
    a = mean_y - b * mean_z
    through = (z * y[:, None]) @ weights / ((z**2) @ weights)  # with an offset of 0
    a, b = np.where(a < 0, 0.0, a), np.where(a < 0, through, b)
    flat = b < 0
    a, b = np.where(flat, np.maximum(mean_y, 0.0), a), np.where(flat, 0.0, b)
    loss = ((y[:, None] - a[..., None] - b[..., None] * z) ** 2) @ weights
    return a, b, loss
