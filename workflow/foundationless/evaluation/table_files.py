"""Tables as files: CSV with every digit and Parquet, written whole, and read with a sentence for what is wrong."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation import diagnostics
from foundationless.evaluation.records import flatten, read_record
from foundationless.evaluation.task_results import KEYS, NOTES
from foundationless.evaluation.task_summary import COMPARISONS, SCORES
from foundationless.runtime.files import atomic_path
from foundationless.study.names import ModelName, TaskName, parse_model, parse_task

# Columns that a table of summarise_analysis must have; scores and comparisons may have more.
COLUMNS = {
    "scores": [*KEYS, "metric", "value"],
    "comparisons": [*KEYS, "metric", "versus", "delta"],
    "notes": NOTES,
    **diagnostics.COLUMNS,
}
# Of all declared columns these hold words or truth values, and all others numbers.
WORDS = {
    *KEYS, "metric", "selection", "versus", "reference", "reference_init", "verdict", "test", "component", "actual",
    "predicted", "what", "within", "split", "candidate", "chosen", "edge", "learned", "setting", "text", "note",
    "pooling", "condition", "null", "gene", "label", "unit", "matched", "last",
    "perturbation", "group", "kind", "name", "output", "method", "source", "target", "weighting",
    "other", "axis", "flag", "censored", "said", "measure", "scored_by", "held_out", "selected", "how",
}  # fmt: skip
TRUTHS = {"chosen", "learned", "null", "matched", "last", "selected"}
NUMBERS = {*SCORES, *COMPARISONS, *(name for columns in COLUMNS.values() for name in columns)} - WORDS
_FILLED = ("scores", "comparisons")  # tables whose rows all name an arm and a metric
_PARTS = (("task", parse_task, TaskName), ("model", parse_model, ModelName))
_COUNTS = ("width", "layers", "percent", "shots", "draw", "epochs", "patience")  # parts that are numbers, or missing
TEXT_PARTS = [part for *_, kind in _PARTS for part in kind._fields if part not in _COUNTS]  # of names; empty, or known
_TEXTS = dict.fromkeys((*WORDS - TRUTHS, "label", *TEXT_PARTS), str)


def read_table(path: Path, kind: str | None = None) -> pd.DataFrame:
    """A table as CSV or TSV; a missing or broken one is a `UserError`.

    `kind` (of `COLUMNS`) says which table of summarise_analysis it must be; that one has the parts of its names.
    """
    again = "delete it and run again" if kind is None else "run summarise_analysis again"
    separator = "\t" if path.suffix == ".tsv" else ","
    frame = read_csv(path, COLUMNS[kind] if kind else (), again, sep=separator, dtype=_TEXTS)
    if kind is None:
        return frame
    if blank := [key for key in (*KEYS, "metric") if kind in _FILLED and frame[key].isna().any()]:
        raise UserError(f"{path}: the column {blank[0]} has empty cells; run summarise_analysis again.")
    for name in frame.columns.intersection(list(NUMBERS)):
        if not pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any():
            raise UserError(f"{path}: the column {name} holds other than numbers; run summarise_analysis again.")
    return add_name_parts(frame)


def read_csv(path: Path, columns: Iterable[str], again: str, **options: Any) -> pd.DataFrame:
    """A CSV table with at least these columns; a missing or broken one is a `UserError` that ends in `again`."""
    try:
        frame = pd.DataFrame(pd.read_csv(path, low_memory=False, **options))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {again}.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{path}: not a table ({error}); {again}.") from None
    check_columns(path, frame, columns, again)
    return frame


def read_parquet(path: Path, columns: Iterable[str], what: str, again: str, only: bool = False) -> pd.DataFrame:
    """A Parquet table with at least these columns, or `only` these; errors as those of `read_csv`."""
    try:
        frame = pd.read_parquet(path, columns=list(columns) if only else None, use_threads=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not {what} ({' '.join(str(error).split())[:120]}); {again}.") from None
    check_columns(path, frame, columns, again)
    return frame


def check_columns(path: Path, frame: pd.DataFrame, columns: Iterable[str], again: str) -> None:
    """`UserError` for columns that a table lacks."""
    if missing := set(columns) - set(frame.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; {again}.")


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


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write CSV or, by its suffix, Parquet, whole."""
    with atomic_path(path) as part:
        (write_parquet if path.suffix == ".parquet" else write_csv)(part, frame)


def read_flat(path: Path) -> pd.DataFrame:
    """Rows of records: a JSON record, or the Parquet table of several of several cells."""
    if path.suffix == ".json":
        return add_name_parts(flatten([read_record(path)]))
    return read_parquet(path, COLUMNS["scores"], "a table of records", "delete it and run again")


def join_tables(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Tables below each other; without a row, an empty one of `columns`."""
    known = [frame for frame in frames if len(frame)]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=list(columns))
