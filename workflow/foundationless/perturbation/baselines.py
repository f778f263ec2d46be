"""What can be said of a perturbation without a model: nothing, the mean, the sum of its parts, its nearest neighbours.

Each function predicts changes [n, genes] of the rows `test` of a screen from its rows `train`, of which the control,
row 0, is none. The functions of `BASELINES` have the names of `vocabulary.EFFECT_BASELINES`; `linear` is the linear
model of `borrowed` with both sides from the training data.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.perturbation.screens import Screen, measured_pairs

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

NEIGHBOURS = (1, 2, 3, 5, 10, 20)  # numbers of neighbours among which validation chooses
# What is left of the perturbed gene's own expression (Wong et al. 2025, doi:10.1093/bioinformatics/btaf317).
LEFT = {"knockdown": 0.0, "knockout": 0.0, "activation": 2.0}


def no_change(screen: Screen, train: Places, test: Places) -> Floats:
    """The control itself."""
    return np.zeros((len(test), len(screen.genes)))


def mean_change(screen: Screen, train: Places) -> Floats:
    """Mean change [genes] over the training conditions, of which the paper counts the control as one."""
    total: Floats = screen.changes[train].sum(axis=0) / (len(train) + 1)
    return total


def mean(screen: Screen, train: Places, test: Places) -> Floats:
    """The mean change of the training conditions, whatever is perturbed."""
    return np.tile(mean_change(screen, train), (len(test), 1))


def crispr_mean(screen: Screen, train: Places, test: Places) -> Floats:
    """The mean change, but for the perturbed genes: none is left of one knocked down, one activated is doubled.

    Where values are no expression, and where nobody says what was done, they change as those of training did on
    average.
    """
    predicted = mean(screen, train, test)
    own = [screen.changes[row, place] for row in train for place in screen.own_genes(row)]
    usual = float(np.mean(own)) if own else None
    for at, row in enumerate(test):
        places = screen.own_genes(row)
        left = LEFT.get(screen.directions[row]) if screen.expressed else None
        if left is not None:
            predicted[at, places] = (left - 1) * screen.control[places]
        elif usual is not None:
            predicted[at, places] = usual
    return predicted


def additive(screen: Screen, train: Places, test: Places) -> Floats:
    """Of a double the sum of the changes of its two singles; NaN where one of them was not measured."""
    pairs = measured_pairs(screen)
    found = np.full((len(test), len(screen.genes)), np.nan)
    for at, row in enumerate(test):
        if row in pairs:
            found[at] = screen.changes[list(pairs[row])].sum(axis=0)
    return found


def additive_scale(screen: Screen, train: Places) -> float:
    """The factor of the sum that fits the training doubles best, by least squares over all their genes; else 1."""
    rows = np.array([row for row in train if screen.kinds[row] == "double"], dtype=np.int64)
    sums = additive(screen, train, rows)
    size = float(np.nansum(sums**2))
    return float(np.nansum(screen.changes[rows] * sums) / size) if size > 0 else 1.0


def scaled_additive(screen: Screen, train: Places, test: Places) -> Floats:
    """The sum times what the training doubles say that is left of it."""
    return additive_scale(screen, train) * additive(screen, train, test)


def matching_mean(screen: Screen, train: Places, test: Places) -> Floats:
    """Half the sum: the mean of the two singles (Viñas Torné et al. 2025, Systema)."""
    return 0.5 * additive(screen, train, test)


def replicate(screen: Screen, train: Places, test: Places) -> Floats:
    """What the other half of the replicates shows: no prediction, but what could be predicted at best."""
    if screen.other is None:
        raise UserError("--baseline replicate: reads the other half of the replicates; it needs the variant halves.")
    return np.asarray(screen.other[test] - screen.other[0])


def nearest(screen: Screen, vectors: Floats, train: Places, test: Places, count: int) -> Floats:
    """The mean change of the training singles whose targets are most alike; the mean change where nothing is known.

    `vectors` [perturbed, dims], NaN where there is none. Targets are alike by the Jaccard index where vectors say 0 or
    1 of sets, and else by the cosine; ties by the order of the names.
    """
    profiles = screen.carries @ np.nan_to_num(vectors)
    known = screen.carries @ np.isfinite(vectors).all(axis=1) > 0
    singles = sorted(
        (row for row in train if screen.kinds[row] == "single" and known[row]), key=screen.names.__getitem__
    )
    predicted = mean(screen, train, test)
    if not singles:
        return predicted
    alike = _likeness(profiles[test], profiles[singles], bool(np.isin(vectors[np.isfinite(vectors)], (0, 1)).all()))
    order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
    for at, row in enumerate(test):
        if known[row]:
            predicted[at] = screen.changes[np.array(singles)[order[at]]].mean(axis=0)
    return predicted


def _likeness(first: Floats, second: Floats, of_sets: bool) -> Floats:
    """[n, m] of rows [n, dims] and [m, dims]."""
    shared: Floats = first @ second.T
    if of_sets:
        either = first.sum(axis=1)[:, None] + second.sum(axis=1)[None] - shared
        return np.asarray(shared / np.maximum(either, 1.0))
    sizes = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)[None]
    return np.asarray(shared / np.where(sizes > 0, sizes, 1.0))


BASELINES: dict[str, Callable[[Screen, Places, Places], Floats]] = {
    "no_change": no_change,
    "mean": mean,
    "crispr_mean": crispr_mean,
    "additive": additive,
    "scaled_additive": scaled_additive,
    "matching_mean": matching_mean,
    "replicate": replicate,
}
