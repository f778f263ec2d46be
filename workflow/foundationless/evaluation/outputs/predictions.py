"""Predictions of labels with outputs: what record and file say of them, read with a sentence for what does not fit.

A file has, in place of a predicted class and its probabilities, lists `values` of float32 [outputs]: numbers in the
units of the labels, or the probability of a one. Labels are text, as `data.outputs` spells them. The settings of the
record say of which kind the `labels` are and name the `outputs`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foundationless.data.outputs import parse_outputs
from foundationless.errors import UserError
from foundationless.evaluation.outputs.metrics import check_tracks
from foundationless.study.vocabulary import CLASSES, LABELS, TRACKS

COLUMN = "values"

Floats = NDArray[np.float64]


class Stated(NamedTuple):
    """The kind of the labels of a record (of `vocabulary.LABELS`), and the names of their outputs, none of classes."""

    labels: str
    outputs: tuple[str, ...]


OF_CLASSES = Stated(CLASSES, ())


def is_valued(table: pa.Table) -> bool:
    """Whether predictions are of labels with outputs."""
    return COLUMN in table.column_names


def stated_by(record: Mapping[str, Any]) -> Stated:
    """What a record says of its labels; `UserError`, without the record's name, where that is nothing."""
    settings = record.get("settings", {})
    kind, names = settings.get("labels", CLASSES), settings.get("outputs", ())
    if not isinstance(kind, str) or kind == CLASSES:
        return OF_CLASSES
    listed = isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names)
    if kind not in LABELS or not listed or len(set(names)) < len(names):
        raise UserError("the settings of the record do not say of which kind its labels are, or name no outputs")
    return Stated(kind, tuple(names))


def is_broken(table: pa.Table) -> bool:
    """Whether the column of values is other than lists of floats, one of the same length for every row."""
    column, types = table[COLUMN], pa.types
    plain = types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type)
    plain = plain and types.is_floating(column.type.value_type)
    whole = plain and not column.null_count and len(pc.unique(pc.list_value_length(column))) == 1
    return bool(table.num_rows) and not (whole and not column.combine_chunks().flatten().null_count)


def values_of(table: pa.Table, stated: Stated) -> Floats:
    """Predicted values [n, outputs]; `UserError`, without the file, where they are of other labels or infinite."""
    if not stated.outputs:
        raise UserError("its predictions are numbers, and its record does not name the outputs that they are of")
    listed = table[COLUMN].combine_chunks()
    flat = listed.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    width = len(flat) // len(listed) if len(listed) else len(stated.outputs)
    if width != len(stated.outputs):
        raise UserError(f"its predictions are of {width} outputs, and its record names {len(stated.outputs)}")
    if np.isinf(flat).any():
        raise UserError("it predicts a value that is not finite; the model that made it diverged")
    return flat.reshape(len(listed), -1) if len(listed) else np.empty((0, width))


def observed_of(labels: Iterable[str], stated: Stated) -> Floats:
    """What labels say [n, outputs], NaN where it is not known; `UserError`, without the file, for one that is none."""
    observed = parse_outputs(labels, stated.outputs)
    if stated.labels == TRACKS:
        check_tracks(observed)
    return observed


def agree(said: Mapping[str, Stated]) -> Stated:
    """What the cells of a task, by name, all say of their labels; `UserError` where two disagree."""
    (first, stated), *others = said.items()
    for name, other in others:
        if other != stated:
            raise UserError(
                f"{name} is of {_described(other)}, and {first} of {_described(stated)}; they come from different "
                "versions of the task: run the older one again."
            )
    return stated


def _described(stated: Stated) -> str:
    if not stated.outputs:
        return CLASSES
    some = ", ".join(stated.outputs[:4]) + (", …" if len(stated.outputs) > 4 else "")
    return f"{len(stated.outputs)} outputs that are {stated.labels} ({some})"
