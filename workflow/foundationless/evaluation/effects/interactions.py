"""What two perturbations do together beyond the sum of what each does: which genes, of what kind, and who predicts it.

A gap is the observed change of a double minus its additive expectation, gene by gene. Most gaps are noise, so their
null is fitted to their centre (Efron 2004, doi:10.1198/016214504000000089; the default of his R package locfdr): all
gaps are a mixture whose density is a Poisson regression of binned counts on a natural spline, the null is a normal
distribution whose mean and deviation are of the greatest likelihood on the central gaps alone, and the local false
discovery rate is the ratio of the two. Beyond the points where it falls to `RATE` a gap is an interaction.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

RATE = 0.05
BINS, DEGREES = 119, 7  # of the histogram, and of the spline without its constant: those of locfdr
CLASSES = ("additive", "synergistic", "buffering", "opposite", "other")
GRID = np.linspace(0.0, 1.0, 41)  # of false discovery proportions, of recall, of rates of false positives
CALLED = 500  # predictions farthest from additive whose kinds are counted, as in the study
_STEPS = 100  # of Newton's method, at most

Floats = NDArray[np.float64]


class Null(NamedTuple):
    """The fitted null of gaps: mean, deviation, its share of all, and the gaps beyond which there is an interaction.

    `low` and `high` are infinite where no gap on that side is unlikely enough.
    """

    centre: float
    deviation: float
    share: float
    low: float
    high: float


def fit_null(gaps: ArrayLike, rate: float = RATE) -> Null:
    """Fit the null of gaps (any shape; NaN are left out), and where the local false discovery rate falls to `rate`.

    With fewer gaps than bins, or gaps that do not vary, nothing is known: all is NaN, and nothing is an interaction.
    """
    values = np.asarray(gaps, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if len(values) <= BINS or np.ptp(np.quantile(values, [0.25, 0.75])) == 0:
        return Null(np.nan, np.nan, np.nan, -np.inf, np.inf)
    centre, deviation, share = _central_normal(values)
    counts, edges = np.histogram(values, BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    density = np.exp(_log_density(middles, counts.astype(np.float64)))
    null = share * len(values) * np.diff(special.ndtr((edges - centre) / deviation))
    local = np.minimum(1.0, null / density)
    low, high = (_first_below(side, local[::step][start:], middles[::step][start:], rate)
                 for side, step, start in _sides(middles, centre))  # fmt: skip
    return Null(centre, deviation, share, -np.inf if np.isnan(low) else low, np.inf if np.isnan(high) else high)


def _sides(middles: Floats, centre: float) -> tuple[tuple[float, int, int], ...]:
    """Where the walk from the centre to either side starts: (sign, step, first place in that order)."""
    place = int(np.searchsorted(middles, centre).clip(1, len(middles) - 1))
    return ((-1.0, -1, len(middles) - place), (1.0, 1, place))


def _first_below(side: float, local: Floats, middles: Floats, rate: float) -> float:
    """The gap at which the rate is first reached on the way outwards, between bins; NaN if it never is."""
    below = np.flatnonzero(local < rate)
    if not len(below) or below[0] == 0:
        return float(middles[0]) if len(below) else float("nan")
    outer, inner = int(below[0]), int(below[0]) - 1
    share = (local[inner] - rate) / (local[inner] - local[outer])
    return float(middles[inner] + share * (middles[outer] - middles[inner]))


def _central_normal(values: Floats) -> tuple[float, float, float]:
    """Mean, deviation and share of a normal null, of the greatest likelihood on the central values.

    These lie within a number of robust deviations of the median that falls with the number of values, as in locfdr.
    """
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.0 if len(values) > 500_000 else 4.3 * np.exp(-0.26 * np.log10(len(values)))
    half = reach * (high - low) / (2 * special.ndtri(0.75))
    central = values[np.abs(values - middle) <= half]
    first, second = float(central.mean()), float((central**2).mean())

    def loss(parameters: Floats) -> float:
        """Negative mean log-likelihood of a truncated normal distribution."""
        mean, deviation = parameters[0], np.exp(parameters[1])
        inside = special.ndtr((middle + half - mean) / deviation) - special.ndtr((middle - half - mean) / deviation)
        spread = (second - 2 * mean * first + mean**2) / (2 * deviation**2)
        return float(spread + np.log(deviation) + np.log(max(inside, 1e-300)))

    start = np.array([middle, np.log((high - low) / (2 * special.ndtri(0.75)))])
    found = optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
    mean, deviation = float(found.x[0]), float(np.exp(found.x[1]))
    inside = special.ndtr((middle + half - mean) / deviation) - special.ndtr((middle - half - mean) / deviation)
    return mean, deviation, float(len(central) / len(values) / inside)


def _log_density(places: Floats, counts: Floats) -> Floats:
    """Log of expected counts: Poisson regression on a natural cubic spline of the places, by Newton's method."""
    basis = _natural_spline((places - places[0]) / (places[-1] - places[0]), DEGREES)
    fitted = np.log(counts + 0.5)
    coefficients = np.linalg.lstsq(basis, fitted, rcond=None)[0]
    before = np.inf
    for _ in range(_STEPS):
        linear = np.clip(basis @ coefficients, -50.0, 50.0)
        expected = np.exp(linear)
        deviance = float(2 * (special.xlogy(counts, counts) - counts * linear - counts + expected).sum())
        if abs(before - deviance) < 1e-10 * (abs(deviance) + 0.1):
            break
        before, root = deviance, np.sqrt(expected)
        working = linear + (counts - expected) / expected
        coefficients = np.linalg.lstsq(basis * root[:, None], working * root, rcond=None)[0]
    return basis @ coefficients


def _natural_spline(places: Floats, degrees: int) -> Floats:
    """Basis [n, degrees + 1] of cubic splines that are straight beyond the ends, knots at quantiles of the places."""
    knots = np.quantile(places, np.linspace(0, 1, degrees + 1))

    def beyond(knot: float) -> Floats:
        cubes = [np.maximum(places - at, 0.0) ** 3 for at in (knot, knots[-1])]
        return np.asarray((cubes[0] - cubes[1]) / (knots[-1] - knot), dtype=np.float64)

    last = beyond(float(knots[-2]))
    return np.stack([np.ones_like(places), places, *(beyond(float(knot)) - last for knot in knots[:-2])], axis=1)


def classify(changes: ArrayLike, additive: ArrayLike, null: Null, alike: ArrayLike | bool = True) -> NDArray[np.int64]:
    """The kind of every change, as a place in `CLASSES`: [...] of changes and additive expectations [...].

    `alike`: where both single perturbations move the gene the same way. There an interaction is synergistic if it goes
    beyond the sum in its own direction, opposite if the change has the other sign, and else buffering; where singles
    move it in different ways it is `other`. NaN is additive. (The study also calls opposite ones other, by its code.)
    """
    change, expected = (np.asarray(part, dtype=np.float64) for part in (changes, additive))
    gap = change - expected
    beyond = np.where(gap > null.high, 1.0, np.where(gap < null.low, -1.0, 0.0))
    direction = np.sign(expected)
    kind = np.where(beyond == direction, 1, np.where(change * direction < 0, 3, 2))
    kind = np.where(np.asarray(alike) & (direction != 0), kind, 4)
    return np.where(beyond != 0, kind, 0).astype(np.int64)


def find(gaps: ArrayLike, null: Null) -> NDArray[np.bool_]:
    """Which gaps are interactions; NaN is none."""
    values = np.asarray(gaps, dtype=np.float64)
    return (values > null.high) | (values < null.low)


def rate_predictions(observed: ArrayLike, predicted: ArrayLike, null: Null) -> dict[str, Any]:
    """How well predicted gaps find the interactions among observed ones, ranked by their size: arrays of one shape.

    Curves at `GRID`: `tpr_fdp`, the largest share of the interactions found at any cut whose false discovery proportion
    is no larger; `pr`, the highest precision at any cut that finds as large a share; `roc`, that share at a rate of
    false positives, straight between cuts. `auroc` and `auprc` (mean precision) are areas. NaN where there is no
    interaction, or nothing else. Equal gaps share a cut.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth, size = (np.asarray(part, dtype=np.float64).ravel() for part in (observed, predicted))
    known = np.isfinite(truth) & np.isfinite(size)
    real, size = find(truth[known], null), np.abs(size[known])
    if not real.any() or real.all():
        nothing = np.full(len(GRID), np.nan)
        return dict.fromkeys(("tpr_fdp", "pr", "roc"), nothing) | dict.fromkeys(("auroc", "auprc"), float("nan"))
    order = np.argsort(-size, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(size[order]) != 0, True])
    hits = np.cumsum(real[order])[ends]
    precision, share = hits / (ends + 1), hits / real.sum()
    false = (ends + 1 - hits) / (~real).sum()
    return {
        "tpr_fdp": np.array([share[1 - precision <= limit + 1e-12].max(initial=0.0) for limit in GRID]),
        "pr": np.array([precision[share >= limit - 1e-12].max() for limit in GRID]),
        "roc": np.interp(GRID, np.r_[0.0, false], np.r_[0.0, share]),
        "auroc": float(roc_auc_score(real, size)),
        "auprc": float(average_precision_score(real, size)),
    }
