"""Looks after each seed: how p values are read where a study stops as soon as it has decided.

Who tests at 5 % after every seed and stops at the first success is wrong far more often than once in twenty. An error
spending function (Lan and DeMets 1983) says how much of the level may be spent by a share of the information; here the
one that resembles O'Brien and Fleming's boundaries, of a one-sided level a:

    spent(share) = 2 - 2 Phi(z(1 - a / 2) / sqrt(share))

The share of a look is its number of seeds over the most that there may be, as if seeds were all that makes a difference
uncertain. Whatever seeds do not shrink (test items, tasks) makes the looks more alike than that, so that fewer of them
err. Boundaries by the recursion of Armitage, McPherson and Rowe (1969), which is of normal statistics; those of a few
seeds are not, for two reasons, and each has its remedy.

- Early looks ask for p values of 1 in 10,000, where Satterthwaite's approximation fails: of three seeds the variance is
  sometimes far too small, and then passes for that of test items. p values of looks are those of Cochran and Cox
  (1950), whose critical value is the mean of those of the parts of the variance, by their shares: `Looks.p`,
  `Looks.p_tost`.
- t values of successive looks are less alike than normal ones, since each estimates its variance anew: no more than
  `SPENT` of the level is spent on looks, and the rest covers that.

A *repeated p value* (Jennison and Turnbull 2000, section 9.4) is the smallest level at which the rule would reject at
this very look. It is held against 5 % as any other p value, goes through Holm's adjustment and the two tests of
equivalence as any other, and is valid wherever the study stops, for whatever reason. tests/benchmarks/seeds.md has
false alarms and seeds saved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from foundationless.errors import UserError
from foundationless.evaluation.aggregate import Evidence

Floats = NDArray[np.float64]

SPENT = 0.7  # of the level; all of it would err in up to 6.5 % of studies, so much in 4.7 %
RULE = (
    "error spending after Lan and DeMets, resembling O'Brien and Fleming's boundaries, over looks after each seed; "
    f"p values are repeated ones, of {SPENT:.0%} of their level, with the critical values of Cochran and Cox"
)
_LOWEST = -9.0  # z below which nothing is integrated
_QUANTILES = np.arange(-3.0, 8.3, 0.1)  # normal quantiles of the levels of a table, 0.9987 to 1e-16
_HALVINGS = 60  # of an interval of 60: to 5e-17


@dataclass(frozen=True)
class Looks:
    """A design with looks: after `first` seeds, after each further one, and after `last` at the latest; it is `now`."""

    first: int
    last: int
    now: int

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the information at the looks up to now."""
        return tuple(count / self.last for count in range(self.first, min(self.now, self.last) + 1))

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.now <= self.last:
            raise UserError(f"looks: {self.now} seeds do not lie between {self.first} and {self.last}.")

    def p(self, evidence: Evidence) -> Floats:
        """Repeated two-sided p values of no difference."""
        return self.repeated(2 * below(evidence, -np.abs(evidence.delta)))

    def p_tost(self, evidence: Evidence, margin: float) -> Floats:
        """Repeated p values of "the difference is `margin` or more, either way"."""
        return self.repeated_one_sided(below(evidence, np.abs(evidence.delta) - margin))

    def repeated(self, p: ArrayLike) -> Floats:
        """Repeated p values of two-sided p values: each side has half of the level to spend. NaN stay NaN."""
        return np.minimum(1.0, 2 * self.repeated_one_sided(np.asarray(p, dtype=np.float64) / 2))

    def repeated_one_sided(self, p: ArrayLike) -> Floats:
        """Repeated p values of one-sided p values, those of equivalence among them. NaN stay NaN."""
        given = np.asarray(p, dtype=np.float64)
        with np.errstate(divide="ignore"):
            z = -special.ndtri(given)
        bounds = _last_boundaries(self.shares)
        level = special.ndtr(-np.interp(z, bounds, _QUANTILES))
        # beyond the table: what lies below its lowest level counts as that, above its highest is no evidence at all
        level = np.minimum(1.0, np.where(z < bounds[0], 1.0, level) / SPENT)
        return np.where(np.isnan(given), np.nan, level)


def below(evidence: Evidence, distance: ArrayLike) -> Floats:
    """Probability that a difference is `distance` below its true value, after Cochran and Cox; NaN where unknown.

    It is the level whose critical value, the mean of those of t on the seeds' and on the other degrees of freedom by
    their shares of the variance, is the one observed.
    """
    se, away = np.asarray(evidence.se, dtype=np.float64), np.asarray(distance, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(se > 0, (evidence.se_seeds / se) ** 2, 0.0)
        ratio = np.where(away == 0, 0.0, np.abs(away) / se)
    low, high = np.zeros(np.shape(ratio)), np.full(np.shape(ratio), _QUANTILES[-1])
    for _ in range(_HALVINGS // 2):  # of an interval of 8
        middle = (low + high) / 2
        critical = share * _quantile(middle, evidence.df_seeds) + (1 - share) * _quantile(middle, evidence.df_rest)
        low, high = np.where(critical < ratio, middle, low), np.where(critical < ratio, high, middle)
    tail = np.where(np.isinf(ratio), 0.0, special.ndtr(-high))
    return np.where(np.isnan(ratio), np.nan, np.where(away > 0, 1 - tail, tail))


def _quantile(normal: Floats, df: ArrayLike) -> Floats:
    """Quantile of t at the level of a normal quantile."""
    free = np.asarray(df, dtype=np.float64)
    known = np.isfinite(free) & (free > 0)
    if not known.any():
        return normal
    return np.where(known, -special.stdtrit(np.where(known, free, 1.0), special.ndtr(-normal)), normal)


def spent(level: ArrayLike, share: float) -> Floats:
    """How much of a one-sided level is spent by a share of the information."""
    return np.asarray(2 * special.ndtr(special.ndtri(np.asarray(level) / 2) / np.sqrt(share)), dtype=np.float64)


def boundaries(level: ArrayLike, shares: Sequence[float]) -> Floats:
    """z [..., looks] at which one-sided tests of a level [...] reject at looks with these shares of the information."""
    levels = np.atleast_1d(np.asarray(level, dtype=np.float64))
    bounds = np.empty((*levels.shape, len(shares)))
    nodes, weights = np.polynomial.legendre.leggauss(int(96 * np.sqrt(max(2.0, 1 / min(np.diff((0.0, *shares)))))) // 2)
    points = density = before = np.empty(0)
    for look, share in enumerate(shares):
        due = np.maximum(spent(levels, share) - (spent(levels, shares[look - 1]) if look else 0.0), 0.0)
        last = shares[look - 1] if look else 0.0
        low, high = np.full(levels.shape, -20.0), np.full(levels.shape, 40.0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            crossing = special.ndtr(-middle) if not look else _crossing(middle, points, density * before, last, share)
            low, high = np.where(crossing > due, middle, low), np.where(crossing > due, high, middle)
        bounds[..., look] = high
        # Densities of z at this look, of the studies that go on.
        half = (np.minimum(high, -_LOWEST) - _LOWEST)[..., None] / 2
        ahead = _LOWEST + half * (nodes + 1)
        if not look:
            density_ahead = np.exp(-(ahead**2) / 2) / np.sqrt(2 * np.pi)
        else:
            gap = share - last
            steps = (ahead[..., :, None] * np.sqrt(share) - points[..., None, :] * np.sqrt(last)) / np.sqrt(gap)
            kernel = np.exp(-(steps**2) / 2) * np.sqrt(share / (2 * np.pi * gap))
            density_ahead = (kernel @ (density * before)[..., None])[..., 0]
        points, density, before = ahead, density_ahead, half * weights
    return bounds.reshape((*np.shape(level), len(shares)))


def _crossing(bound: Floats, points: Floats, mass: Floats, last: float, share: float) -> Floats:
    """Probability [...] to be at or above a bound [...] now, given the mass [..., nodes] at the look before."""
    steps = (bound[..., None] * np.sqrt(share) - points * np.sqrt(last)) / np.sqrt(share - last)
    return np.asarray((special.ndtr(-steps) * mass).sum(axis=-1), dtype=np.float64)


@lru_cache(maxsize=64)
def _last_boundaries(shares: tuple[float, ...]) -> Floats:
    """z of the last of these looks for the levels of the table, in their order."""
    return np.maximum.accumulate(boundaries(special.ndtr(-_QUANTILES), shares)[..., -1])
