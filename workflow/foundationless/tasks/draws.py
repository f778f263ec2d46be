"""Draws of training rows: what is drawn as one, in which order, and few rows drawn many times.

Draw K of N rows a class takes the rows of the derived sets `.shotN` and `.shotNdK` (`derivations.training_shots`): of
one draw the first 5 of a class are among its first 20. Heads on frozen features and networks that are fine-tuned learn
from the same rows, whatever the arm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.tasks.outputs.labels import strata
from foundationless.tasks.sequence_sets import labels_in


def units_of(frame: pd.DataFrame) -> pd.Series:
    """What is kept or dropped as one: a person's haplotypes, a window with its mutants, else a single row."""
    for name in ("sample", "window"):
        if name in frame.columns:
            return frame[name]
    return frame["id"]


def ranks_of(units: pd.DataFrame, seed: int | tuple[int, int]) -> pd.Series:
    """Rank of each unit within its label under one seeded shuffle: cutting at a higher rank only adds units."""
    shuffled = units.iloc[np.random.default_rng(seed).permutation(len(units))]
    return shuffled.groupby("label").cumcount().reindex(units.index)


def labelled_units(frame: pd.DataFrame, as_strata: bool = True) -> pd.DataFrame:
    """One row per unit, in order of appearance, with its label ("" where it has none); as what a draw is stratified by
    ("" for all where labels are of outputs), or as it stands."""
    labels = strata(frame) if as_strata else frame["label"]
    units = pd.DataFrame({"unit": units_of(frame), "label": labels.fillna("")})
    return units.drop_duplicates("unit").reset_index(drop=True)


def draw_ranks(units: pd.DataFrame, seed: int, draw: int) -> pd.Series:
    return ranks_of(units, (seed, draw) if draw else seed)


def shot_ranks(train: pd.DataFrame, seed: int, draws: int) -> np.ndarray:
    """Ranks [draws, train rows] of training rows within their class: draw K of N shots takes those below N, as
    `training_shots` does."""
    units = labelled_units(train)
    place = pd.Index(units["unit"]).get_indexer(units_of(train))
    return np.stack([draw_ranks(units, seed, draw).to_numpy()[place] for draw in range(draws)])


class Draw(NamedTuple):
    """One draw of `taken` rows a class: its number among all (`fold`), positions [n] of its train rows, and which of
    the rows of its class each is, from 0 (`ranks` [n])."""

    fold: int
    taken: int
    draw: int
    rows: np.ndarray
    ranks: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """Rows of each class that are `taken` (increasing numbers), how often (`draws`), and the seed of the draws."""

    taken: tuple[int, ...]
    draws: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if not self.taken or self.taken[0] < 1 or list(self.taken) != sorted({*self.taken}):
            raise UserError("--shots are numbers of training rows a class, from 1 and increasing, each once.")
        if self.draws < 1 or self.seed < 0:
            raise UserError("--draws is at least 1, and --draw-seed at least 0.")

    def settings(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"shots": list(self.taken), "draws": self.draws, "draw_seed": self.seed}

    def each(self, frame: pd.DataFrame, of: str = "") -> Iterator[Draw]:
        """Every number and draw.

        The class `of`, or every one, has as many training rows (people, where rows are of people) as are drawn, or
        there is a `UserError`: with fewer, a number would not be what it says.
        """
        kind, outputs = labels_in(frame)
        if outputs:
            raise UserError(f"few rows are drawn of each class, and labels of the set are {kind}.")
        train = np.flatnonzero(frame["split"] == "train")
        ranks = shot_ranks(frame.iloc[train], self.seed, self.draws)
        labels = frame["label"].iloc[train].astype(str).to_numpy()
        for name in (of,) if of else sorted(frame["label"].astype(str).unique()):
            if (held := int(ranks[0][labels == name].max(initial=-1)) + 1) < self.taken[-1]:
                raise UserError(f"class '{name}' has {held} training rows, of which {self.taken[-1]} cannot be drawn.")
        for number, taken in enumerate(self.taken):
            for draw in range(self.draws):
                inside = ranks[draw] < taken
                yield Draw(number * self.draws + draw, taken, draw, train[inside], ranks[draw][inside])
