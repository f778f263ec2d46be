"""Draws of a few training rows from a set: which rows each draw takes, the same for every arm.

Draw K takes the rows of the derived sets `.shotN` and `.shotNdK` (`tasks.derivations.shot_ranks`): of one draw the
first 5 of a class are among its first 20.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foundationless.errors import UserError
from foundationless.evaluation.task_results import SELECTED_BY
from foundationless.features.classifiers import Samples
from foundationless.study.vocabulary import LAST_LAYER
from foundationless.tasks.derivations import shot_ranks

# Columns that mark a run as the one of its fold, whoever selects.
MARKS = {column: True for selection, column in SELECTED_BY.items() if selection != LAST_LAYER}


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

    def each(self, samples: Samples, of: str = "") -> Iterator[tuple[int, int, int, np.ndarray]]:
        """(fold, number of rows a class, draw, positions of these train rows) of every number and draw.

        The class `of`, or every one, has as many training rows (people, where rows are of people) as are drawn, or
        there is a `UserError`: with fewer, a number would not be what it says.
        """
        if samples.outputs:
            raise UserError(f"few rows are drawn of each class, and labels of the set are {samples.labels}.")
        train = samples.rows("train")
        ranks = shot_ranks(samples.frame.iloc[train], self.seed, self.draws)
        labels = samples.frame["label"].iloc[train].astype(str).to_numpy()
        for name in (of,) if of else samples.classes:
            if (held := int(ranks[0][labels == name].max(initial=-1)) + 1) < self.taken[-1]:
                raise UserError(f"class '{name}' has {held} training rows, of which {self.taken[-1]} cannot be drawn.")
        for number, taken in enumerate(self.taken):
            for draw in range(self.draws):
                yield number * self.draws + draw, taken, draw, train[ranks[draw] < taken]


def part_of(samples: Samples, rows: np.ndarray) -> Samples:
    """Some rows of samples, in their order; of features in columns."""
    frame = samples.frame.iloc[rows].reset_index(drop=True)
    return Samples(frame, {name: matrix[rows] for name, matrix in samples.features.items()})


def first_named(samples: Samples) -> Samples:
    """The same with the features named first alone, and without validation rows: nothing can be chosen."""
    name = next(iter(samples.features))
    matrix = samples.features[name]
    rows = np.flatnonzero(samples.frame["split"] != "validation")
    if len(rows) == len(samples.frame):
        return replace(samples, features={name: matrix})
    if not isinstance(matrix, np.ndarray):
        raise UserError("classifiers of sequences are tuned on the validation split; use --choice validation.")
    return part_of(replace(samples, features={name: matrix}), rows)
