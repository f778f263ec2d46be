"""Samples of few training rows: parts of samples, and what is left where nothing can be chosen by validation rows."""

from dataclasses import replace

import numpy as np

from foundationless.errors import UserError
from foundationless.features.classifiers import Samples
from foundationless.study.vocabulary import FIXED


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


def unchosen(samples: Samples, choice: str) -> Samples:
    """What a head reads that no validation row chooses: of a fixed one the features named first, otherwise all."""
    if choice == FIXED:
        return first_named(samples)
    rows = np.flatnonzero(samples.frame["split"] != "validation")
    return part_of(replace(samples, features=dict(samples.features.items())), rows)
