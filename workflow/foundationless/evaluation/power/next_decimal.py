"""What one more decimal of a difference takes: its 95 % interval ten times as narrow.

An interval is made of two parts. What seeds add falls with their number; what test items add (on these tasks), or what
families differ by (on tasks like these), stays whatever number of seeds is run, and falls with more of its own kind
only. Where the part that stays is alone wider than a tenth, no number of seeds narrows the interval so far.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from scipy import special

from foundationless.evaluation.bootstrap import LEVEL

FACTOR = 10
SEEDS_ALONE, NOT_ALONE = "with seeds alone", "not with seeds alone"
MOST = 10**9  # seeds or families: beyond it the search ends


class Further(NamedTuple):
    """`how` (`SEEDS_ALONE`, `NOT_ALONE`, empty: not known), with how many `seeds` an arm, and how many `times` as many
    test items, or families."""

    how: str = ""
    seeds: float = math.nan
    times: float = math.nan


def next_decimal(se: float, df: float, se_seeds: float, seeds: float, families: float = math.inf) -> Further:
    """The fewest seeds an arm with which the interval of a difference `se` (t on `df`) is `FACTOR` times as narrow.

    `se_seeds` is what the `seeds` of an arm (NaN: none are drawn) add to `se`; the rest is of test items, or, on tasks
    like these, of as many `families`. If seeds alone do not reach that far, `times` as many items or families take half
    of the variance that the goal leaves (all of it where no seeds are drawn), and seeds the other half. Degrees of
    freedom are Satterthwaite's, as if one arm had all the variance of the seeds, and never more than families leave.
    With one seed, or without an interval, nothing is known.
    """
    drawn = not math.isnan(seeds)
    if not se > 0 or math.isnan(df) or (drawn and seeds < 2) or families < 2:
        return Further()
    moving = se_seeds**2 if drawn and se_seeds > 0 else 0.0
    staying = max(se**2 - moving, 0.0)
    goal = _quantile(df) * se / FACTOR

    def half(number: float, times: float) -> float:
        rest, noise, free = staying / times, moving * seeds / number if moving else 0.0, families * times - 1
        uncertain = (noise**2 / (number - 1) if noise else 0.0) + rest**2 / free
        total = rest + noise
        return _quantile(min(total**2 / uncertain if uncertain else math.inf, free)) * math.sqrt(total)

    times, how = 1.0, SEEDS_ALONE
    if not moving or _quantile(families - 1) * math.sqrt(staying) >= goal:
        share, how = goal / math.sqrt(2) if moving else goal, NOT_ALONE
        times = (_quantile(math.inf) / share) ** 2 * staying
        if math.isfinite(families):
            needed = _fewest(lambda n: _quantile(n - 1) * math.sqrt(staying * families / n) <= share, int(families))
            times = needed / families
    return Further(how, _fewest(lambda n: half(n, times) <= goal, int(seeds)) if moving else seeds, times)


def more_units(units: float) -> float:
    """Times as many units with which a t interval over the means of `units` is `FACTOR` times as narrow."""
    if not units >= 2:
        return math.nan
    goal = _quantile(units - 1) / math.sqrt(units) / FACTOR
    return _fewest(lambda n: _quantile(n - 1) / math.sqrt(n) <= goal, int(units)) / units


def _fewest(enough: Callable[[int], bool], first: int) -> float:
    """The smallest number from `first` that is enough, where all beyond one are; NaN beyond `MOST`."""
    last = first
    while not enough(last):
        first, last = last + 1, 2 * last
        if last > MOST:
            return math.nan
    while first < last:
        middle = (first + last) // 2
        first, last = (first, middle) if enough(middle) else (middle + 1, last)
    return float(last)


def _quantile(df: float) -> float:
    return float(special.stdtrit(df, (1 + LEVEL) / 2))
