"""Where the variance of a score comes from: test items, seeds, folds, and what is left."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NAMES = ("items", "seed", "fold", "residual")

Floats = NDArray[np.float64]


class Component(NamedTuple):
    """A variance (of one run), its root, and its share of the sum of all known components."""

    variance: float
    sd: float
    share: float


def variance_components(values: ArrayLike, seeds: ArrayLike, folds: ArrayLike, item_se: float) -> dict[str, Component]:
    """The components items, seed, fold and residual of the scores of an arm's runs; three arrays [runs].

    `value = mean + seed + fold + residual` with crossed random effects, by Henderson's third method: each sum of
    squares is equated with its expectation after the other effect is fitted, so cells may be missing or repeated; of a
    full table these are the estimates of the analysis of variance. Estimates below 0 are set to 0. `items` is `item_se`
    squared: all runs share their test items, so runs cannot show it, and the bootstrap must. NaN values are left out.

    What cannot be told apart is not: with one fold, `seed` holds the residual too (`fold` and `residual` are NaN), and
    so for one seed; where every seed has a fold of its own, all is `residual`. Shares are of what is known.
    """
    score = np.asarray(values, dtype=np.float64)
    known = np.isfinite(score)
    score = score[known] - score[known].mean() if known.any() else score[known]
    effects = {"seed": _indicators(np.asarray(seeds)[known]), "fold": _indicators(np.asarray(folds)[known])}
    variances = dict.fromkeys(NAMES, float("nan")) | {"items": float(item_se) ** 2}
    variances |= _moments(score, effects) if len(score) > 1 else {}
    total = np.nansum(list(variances.values()))
    return {
        name: Component(float(value), float(np.sqrt(value)), float(value / total) if total else float("nan"))
        for name, value in variances.items()
    }


def _moments(score: Floats, effects: dict[str, Floats]) -> dict[str, float]:
    several = {name: design for name, design in effects.items() if design.shape[1] > 1}
    if len(several) < 2:
        return {name: float(score.var(ddof=1)) for name in several} or {"residual": float(score.var(ddof=1))}
    n, full = len(score), _projection(np.hstack([np.ones((len(score), 1)), *several.values()]))
    free = n - np.trace(full)
    residual = max(0.0, float(score @ score - score @ full @ score)) / free if free > 0.5 else float("nan")
    parts = {"residual": residual}
    for name, other in (("seed", "fold"), ("fold", "seed")):
        reduced = full - _projection(several[other])  # what this effect explains beyond the other
        scale = float(np.einsum("ij,ik,jk->", reduced, several[name], several[name]))
        if np.isfinite(residual) and scale > 1e-9:
            parts[name] = max(0.0, (float(score @ reduced @ score) - np.trace(reduced) * residual) / scale)
    if not np.isfinite(residual):  # as many effects as runs
        parts = {"residual": float(score.var(ddof=1))}
    return parts


def _indicators(levels: NDArray[Any]) -> Floats:
    """[runs, levels]: 1 where a run is of a level."""
    return np.asarray(levels[:, None] == np.unique(levels)[None], dtype=np.float64)


def _projection(design: Floats) -> Floats:
    """The matrix [runs, runs] that fits `design` [runs, effects]."""
    return np.asarray(design @ np.linalg.pinv(design))
