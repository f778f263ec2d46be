"""Which perturbations train and which are held out, and how those that train are cut to choose among candidates.

A split is drawn from the sorted names of perturbations, so neither the order of a file nor what another split drew
changes it. `unseen` holds out single perturbations, and no double trains; `doubles` holds out doubles, and every single
trains. The control always trains and is no perturbation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.study.vocabulary import EFFECT_SPLITS

Places = NDArray[np.int64]


class Split(NamedTuple):
    """Places of perturbations: all that train, those of them of the kind that is held out, and the held out ones."""

    seed: int
    train: Places
    alike: Places
    test: Places


def draw_split(names: Sequence[str], kinds: Sequence[str], what: str, seed: int, share: float) -> Split:
    """Hold out a share of the perturbations of a kind.

    Of singles (`what` = `unseen`) the first round(n × share) of a permutation of the sorted names are held out; of
    doubles the first n × (1 − share), rounded down, train. `names` and `kinds` are of the same rows; rows of other
    kinds neither train nor test.
    """
    if what not in EFFECT_SPLITS:
        raise UserError(f"--kind {what}: unknown; use one of {', '.join(EFFECT_SPLITS)}.")
    wanted = "single" if what == "unseen" else "double"
    places = np.array(sorted((row for row, kind in enumerate(kinds) if kind == wanted), key=names.__getitem__), int)
    singles = np.array(sorted((row for row, kind in enumerate(kinds) if kind == "single"), key=names.__getitem__), int)
    order = np.random.default_rng(seed).permutation(len(places))
    cut = round(len(places) * share) if what == "unseen" else int(len(places) * (1 - share) + 1e-9)
    if not 0 < cut < len(places):
        raise UserError(
            f"{len(places)} {wanted} perturbations cannot be split with --held-out {share:g}: none would "
            f"{'train or none be tested' if len(places) else 'be there'}; take other data or another share."
        )
    first, rest = places[order[:cut]], places[order[cut:]]
    if what == "unseen":
        return Split(seed, rest, rest, first)
    return Split(seed, np.concatenate([singles, first]), first, rest)


def inner_folds(split: Split, count: int) -> list[tuple[Places, Places]]:
    """(train, validation) places of so many folds over the training perturbations of the kind that is held out.

    They stand in the random order of the split, so every `count`-th of them is one fold.
    """
    if count > len(split.alike):
        raise UserError(f"--inner-folds {count}: only {len(split.alike)} training perturbations are of that kind.")
    cuts = [split.alike[start::count] for start in range(count)]
    return [(split.train[~np.isin(split.train, held)], held) for held in cuts]
