"""Whether two labels say the same: of classes, if they are one; of outputs, if no known one lies far from the other."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd

from foundationless.data.outputs import parse_outputs
from foundationless.study.vocabulary import CLASSES, TRACKS
from foundationless.tasks.outputs.labels import output_values
from foundationless.tasks.sequence_sets import labels_in

APART = 0.5  # standard deviations of an output by which two values differ; of unrelated normal ones 72 % do

Same = Callable[[str, str], bool | None]


def agreement(frame: pd.DataFrame) -> Same:
    """A function of two labels of the set: whether they say the same; None where no output is known of both.

    Tracks say the same where each that both know is the same, values where none lies more than half a standard
    deviation of its output, over all rows of the set, from the other's.
    """
    kind, names = labels_in(frame)
    if kind == CLASSES:
        return lambda label, other: label == other
    apart = np.zeros(len(names)) if kind == TRACKS else APART * np.nanstd(output_values(frame), axis=0)

    @cache
    def values(label: str) -> np.ndarray:
        parsed: np.ndarray = parse_outputs([label], names)[0]
        return parsed

    def same(label: str, other: str) -> bool | None:
        gap = np.abs(values(label) - values(other))
        known = np.isfinite(gap)
        return bool((gap[known] <= apart[known]).all()) if known.any() else None

    return same


def describe(kind: str) -> str:
    """What counts as the same label of this kind, in words."""
    if kind == TRACKS:
        return "labels are the same where every track that is known of both is; of others it is not known"
    return (
        f"labels are the same where no value that is known of both lies more than {APART:g} standard deviations of its "
        "output from the other's; of others it is not known"
    )
