"""Tables that others write as text: CSV, TSV, and the blank-separated tables of people that genetics passes on."""

import csv
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.text import open_text, read_lines
from foundationless.errors import UserError

_WORD = re.compile(r'(?<!\S)"([^"]*)"(?!\S)|(\S+)')


def read_text_table(path: Path, columns: Iterable[str] = (), *, loose: bool = False) -> pd.DataFrame:
    """A table with a header (also gzip), every cell a string; `UserError` without rows or without `columns`.

    The separator is a tab where the header holds one, else a comma, else a semicolon. With `loose` it may be blanks,
    too, where the header holds neither tab nor comma; between tabs quotation marks are letters then, and what a row has
    beyond the header is left out.
    """
    try:
        with open_text(path, "a table", errors="strict") as stream:
            header = next((line for line in stream if line.strip()), "")
            blanks = loose and "\t" not in header and not ("," in header and len(header.split()) == 1)
            separator = next((sign for sign in "\t,;" if sign in header), ",")
            if header and not blanks:
                stream.seek(0)
                frame = _separated(stream, separator, loose)
        if not header:
            raise UserError(f"{path}: the file is empty; a table with a header is needed.")
        if blanks:
            frame = _blank_separated(path)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        if row := _longer_row(path, separator):
            raise UserError(f"{path}: row {row} has more cells than the header; give it as many.") from None
        raise UserError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}).") from None
    except UnicodeError:
        raise UserError(
            f"{path}: cannot be read as a table, for it is no text in UTF-8; save it as UTF-8 (in Excel: CSV UTF-8)."
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}).") from None
    cells = [] if blanks else next(csv.reader([header], delimiter=separator), [])
    name_columns(frame, path, columns, [cell.strip() for cell in cells])
    if frame.empty:
        raise UserError(f"{path}: the table has a header and no rows.")
    return frame


def name_columns(frame: pd.DataFrame, path: Path, wanted: Iterable[str], header: Sequence[str]) -> None:
    """Take blanks off the names of a table's columns; where two are alike then, the second is NAME.1, as pandas has it.

    `UserError` for a column of `wanted` that is not there, or is there twice: in the frame, or in the `header`, which
    has the names as the file has them.
    """
    names = [str(name).strip() for name in frame.columns]
    for name in wanted:
        if name not in names:
            raise UserError(f"{path}: has no column '{name}' (it has {', '.join(names[:8])}).")
        if max(names.count(name), header.count(name)) > 1:
            raise UserError(f"{path}: two columns are called '{name}'; give one another name.")
    before = [names[:place].count(name) for place, name in enumerate(names)]
    frame.columns = [f"{name}.{number}" if number else name for name, number in zip(names, before, strict=True)]


def _separated(stream: Any, separator: str, loose: bool) -> pd.DataFrame:
    """The table of an open file whose cells a tab, a comma or a semicolon separates."""
    rules: Any = {"quoting": csv.QUOTE_NONE, "engine": "python", "on_bad_lines": lambda cells: cells} if loose else {}
    with warnings.catch_warnings():
        # Rows longer than the header are cut off, with this warning.
        warnings.simplefilter("ignore" if loose else "error", pd.errors.ParserWarning)
        frame: pd.DataFrame = pd.read_csv(
            stream, sep=separator, dtype=str, keep_default_na=False, index_col=False, **rules
        )
    return frame


def _blank_separated(path: Path) -> pd.DataFrame:
    """The table of a file whose words any blanks separate; words in quotation marks are one.

    A row of other length than the header is a `UserError`, for a value of several words, or one that is left out, would
    shift the others; the first word may stand alone.
    """
    lines = (line for line in read_lines(path, "a table") if line.strip())
    header, *rows = ([quoted or word for quoted, word in _WORD.findall(line)] for line in lines)
    for number, row in enumerate(rows, 1):
        if len(row) != len(header) and len(row) > 1:
            raise UserError(
                f"{path}: row {number} has {len(row)} words and the header {len(header)}; separate columns by tabs, or "
                "put values of several words, and empty ones, in quotation marks."
            )
    return pd.DataFrame([row + [""] * (len(header) - len(row)) for row in rows], columns=header, dtype=str)


def _longer_row(path: Path, separator: str) -> int:
    """Number of the first row, from 1, that has more cells than the header; 0 where there is none."""
    with suppress(csv.Error), open_text(path, "a table") as stream:
        header, *rows = map(len, csv.reader(stream, delimiter=separator))
        return next((number for number, cells in enumerate(rows, 1) if cells > header), 0)
    return 0
