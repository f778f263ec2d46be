"""Labels of kinds values and tracks, read from text: numbers, or zeros and ones, each of an output with a name."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.files.numbers import LARGEST, MISSING
from foundationless.data.outputs import format_outputs, parse_outputs
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CLASSES, TRACKS
from foundationless.tasks.sequence_sets import labels_in, with_outputs

_TRUTH = {"false": 0.0, "true": 1.0}
SHOWN = 4  # names of outputs in a sentence


def read_outputs(cells: pd.DataFrame, kind: str, where: str) -> pd.Series:
    """Labels of rows of text, one column an output: as `data.outputs` spells them, null where no output is known.

    Blank cells, and words such as NA and nan, are not known. `UserError`, with the row (as the index names it) and the
    column, for what is no finite number, and of tracks for what is none of 0 and 1 (or false and true).
    """
    if twice := [name for name in cells.columns if list(cells.columns).count(name) > 1]:
        raise UserError(f"{where}: the column '{twice[0]}' is named twice as a label; name it once.")
    values = np.column_stack([_column(cells[name], kind, where) for name in cells.columns])
    return pd.Series(labels_of_values(values), index=cells.index, dtype=object)


def labels_of_values(values: NDArray[np.float64]) -> list[str | None]:
    """Labels of values [n, outputs], null where no output is known."""
    texts = format_outputs(values)
    return [text if known.any() else None for text, known in zip(texts, ~np.isnan(values), strict=True)]


def _column(cells: pd.Series, kind: str, where: str) -> NDArray[np.float64]:
    """Numbers of one column [n], NaN where one is not known."""
    read: Callable[[str], float] = _track if kind == TRACKS else _number
    known = {}
    for text in cells.unique():
        try:
            known[text] = float("nan") if text.strip().lower() in MISSING else read(text.strip())
        except ValueError:
            row = (cells == text).idxmax()
            what = "is none of 0 and 1" if kind == TRACKS else f"is no finite number of at most {LARGEST:.0e}"
            raise UserError(
                f"{where}: row {row} has '{text[:40]}' in the column '{cells.name}', which {what}; correct it, or "
                "leave the cell empty where nothing is known."
            ) from None
    return cells.map(known).to_numpy(dtype=np.float64)


def _number(text: str) -> float:
    """A finite number as tables write it, that can be computed with; Python alone takes `1_000`."""
    value = float(text)
    if "_" in text or not abs(value) <= LARGEST:
        raise ValueError(text)
    return value


def _track(text: str) -> float:
    """0 or 1, however it is written."""
    value = _TRUTH[text.lower()] if text.lower() in _TRUTH else float(text)
    if value not in (0.0, 1.0):
        raise ValueError(text)
    return value


def known_rows(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows of which some output is known; the others are counted, and a set of nothing else is a `UserError`."""
    lost = frame["label"].isna()
    if lost.all():
        raise UserError(f"{where}: none of its {len(frame)} rows has a label; name the columns that hold them.")
    if not lost.any():
        return frame
    tell(f"{where}: {lost.sum()} of {len(frame)} rows have no label: left out")
    return frame[~lost]


def same_tracks(names: Sequence[Sequence[str]]) -> tuple[list[str], list[str | None]]:
    """Distinct names of tracks, sorted, and the labels of rows that name those which are one; all are known."""
    distinct = sorted({name for each in names for name in each})
    places = {name: place for place, name in enumerate(distinct)}
    values = np.zeros((len(names), len(distinct)))
    for row, each in enumerate(names):
        values[row, [places[name] for name in each]] = 1.0
    return distinct, labels_of_values(values)


def output_values(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Values of a set's rows [n, outputs], NaN where one is not known."""
    return parse_outputs(frame["label"].fillna(";" * (len(labels_in(frame)[1]) - 1)), labels_in(frame)[1])


def strata(frame: pd.DataFrame) -> pd.Series:
    """What a draw of a set's rows is stratified by: their class; nothing where a label is of outputs."""
    if labels_in(frame)[0] == CLASSES:
        return frame["label"]
    return pd.Series("", index=frame.index, dtype=object)


def check_outputs(frame: pd.DataFrame) -> None:
    """`UserError` for an output that nobody can learn, or that nothing tests.

    Each needs two training rows that differ, and a test row; validation and test need two rows that differ of some
    output, without which no metric chooses or judges. A set of classes, and one without a training split, is passed.
    """
    kind, names = labels_in(frame)
    if kind == CLASSES or not (frame["split"] == "train").any():
        return
    values = output_values(frame)
    train, test = (values[(frame["split"] == split).to_numpy()] for split in ("train", "test"))
    known = np.isfinite(train)
    least, most = np.where(known, train, np.inf).min(axis=0), np.where(known, train, -np.inf).max(axis=0)
    flat = [name for name, varies in zip(names, most > least, strict=True) if not varies]
    untested = [name for name, known in zip(names, np.isfinite(test).T, strict=True) if not known.any()]
    for odd, why in ((flat, "no two training rows that differ"), (untested, "no test row")):
        if odd:
            more = f", … ({len(odd)} in all)" if len(odd) > SHOWN else ""
            raise UserError(
                f"{named(odd)}{more} {'have' if len(odd) > 1 else 'has'} {why} of which it is known; leave it out of "
                "the labels, or give more rows."
            )
    for split in ("validation", "test"):
        own = values[(frame["split"] == split).to_numpy()]
        if len(own) and not (np.fmax.reduce(own, axis=0) > np.fmin.reduce(own, axis=0)).any():
            raise UserError(f"no output has two {split} rows that differ; give more rows, or other splits.")


def named(names: Sequence[str]) -> str:
    """Outputs by name, for a sentence."""
    return f"output{'s' * (len(names) > 1)} {', '.join(repr(name) for name in names[:SHOWN])}"


def labelled(frame: pd.DataFrame, kind: str, names: Sequence[str]) -> pd.DataFrame:
    """A frame of this kind of labels: of classes as it is, otherwise with the names of its outputs."""
    return frame if kind == CLASSES else with_outputs(frame, kind, names)
