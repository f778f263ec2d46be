"""Tables as files: CSV with every digit and Parquet, written whole, and read with a sentence for what is wrong."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.diagnostics import LEAKAGE, OPTIMISM, RELIABILITY
from foundationless.evaluation.records import flatten, read_record
from foundationless.evaluation.task_results import HOLES, KEYS
from foundationless.runtime.files import atomic_path
from foundationless.study.names import ModelName, TaskName, parse_model, parse_task

_PARTS = (("task", parse_task, TaskName), ("model", parse_model, ModelName))
_COUNTS = ("width", "layers", "percent", "shots", "draw", "epochs", "patience")  # parts that are numbers, or missing


def add_name_parts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the parts of its names as last columns (`TaskName` of `task`, `ModelName` of `model`).

    A column that is not there adds none. Parts that a name lacks are empty text, or <NA> where they are numbers.
    """
    parts: dict[str, pd.Series] = {}
    for column, parse, kind in _PARTS:
        if column in frame:
            names = frame[column].astype(object).fillna("").astype(str)
            parsed = {name: parse(name) for name in names.unique()}
            for place, part in enumerate(kind._fields):
                values = names.map({name: whole[place] for name, whole in parsed.items()})
                parts[part] = values.astype("Int64" if part in _COUNTS else object)
    return frame.drop(columns=[name for name in parts if name in frame]).assign(**parts)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write CSV; floats keep every digit."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write Parquet; a column that mixes types, or holds what has no type there, becomes text."""
    kinds = {str(name): pd.api.types.infer_dtype(frame[name], skipna=True) for name in frame}
    mixed = [name for name, kind in kinds.items() if kind.startswith("mixed")]
    texts = {name: frame[name].map(str, na_action="ignore") for name in mixed}
    frame.assign(**texts).to_parquet(path, index=False)


_WORDS = ("metric", "selection", "versus")

_NUMBERS = ("low", "high", "p", "sd", "seeds", "folds", "runs", "n_test", "groups", "parameters", "seconds")


def read_table(path: Path, measured: str | None = None) -> pd.DataFrame:
    """A table of this module (CSV) or of the config (TSV); a missing or broken one is a `UserError`.

    `measured` names a column of numbers that a table of this module must have, beside `KEYS`.
    """
    try:
        separator = "\t" if path.suffix == ".tsv" else ","
        words = dict.fromkeys(("task", "model", "label", "candidate", "setting", "text"), str)
        frame = pd.read_csv(path, sep=separator, dtype=words, low_memory=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{path}: not a table ({error}); delete it and run again.") from None
    if measured is None:
        return frame
    if missing := {*KEYS, "metric", measured} - set(frame.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; run summarise_analysis again.")
    if blank := [key for key in (*KEYS, "metric") if frame[key].isna().any()]:
        raise UserError(f"{path}: the column {blank[0]} has empty cells; run summarise_analysis again.")
    for name in (measured, *(name for name in _NUMBERS if name in frame)):
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[name]):
            raise UserError(f"{path}: the column {name} holds other than numbers; run summarise_analysis again.")
    return frame


def read_effects(path: Path) -> pd.DataFrame:
    """Effects of summarise_analysis: identity, the kind of effect, and numbers; one that is none is a `UserError`."""
    frame = read_table(path)
    if missing := {*KEYS, "effect"} - set(frame.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; run summarise_analysis again.")
    for name in frame.columns.intersection([*OPTIMISM, *LEAKAGE, *RELIABILITY]).difference([*KEYS, *_WORDS]):
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any():
            raise UserError(f"{path}: the column {name} holds other than numbers; run summarise_analysis again.")
    return frame


def read_holes(path: Path) -> pd.DataFrame:
    """Holes of summarise_analysis: what is missing, and a sentence; one that is none is a `UserError`."""
    frame = read_table(path)
    if missing := set(HOLES) - set(frame.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; run summarise_analysis again.")
    return frame


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV table whole; floats keep every digit."""
    with atomic_path(path) as part:
        write_csv(part, frame)


def read_flat(path: Path) -> pd.DataFrame:
    """Rows of records: a JSON record, or the Parquet table of several that `write_flat` wrote."""
    if path.suffix == ".json":
        return flatten([read_record(path)])
    if not path.is_file():
        raise UserError(f"{path}: no such file; run its job again.")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a table of records ({error}); delete it and run again.") from None
    if missing := {"analysis", "task", "model", "init", "metric", "value"} - set(frame.columns):
        raise UserError(f"{path}: records lack the column(s) {', '.join(sorted(missing))}; delete it and run again.")
    return frame


def write_flat(path: Path, frame: pd.DataFrame) -> None:
    """Write rows of records as Parquet; a column that mixes types becomes text."""
    with atomic_path(path) as part:
        write_parquet(part, frame)


def join_tables(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Tables below each other; without a row, an empty one of `columns`."""
    found = [frame for frame in frames if len(frame)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(columns))
