"""Tables that others write as text: CSV, TSV, and the blank-separated tables of people that genetics passes on."""

import csv
import gzip
import warnings
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError


def read_text_table(path: Path, columns: Iterable[str] = (), *, loose: bool = False) -> pd.DataFrame:
    """A table with a header (also gzip), every cell a string; `UserError` without rows or without `columns`.

    The separator is a tab where the header holds one, else a comma. With `loose` it is a tab or else any blanks,
    quotation marks are letters, and what a row has beyond the header is left out.
    """
    try:
        with path.open("rb") as stream:
            compression: Any = "gzip" if stream.read(2) == b"\x1f\x8b" else None
        rules: Any = {"index_col": False, "compression": compression, "quoting": csv.QUOTE_NONE if loose else 0}
        header = pd.read_csv(path, sep="\x00", nrows=0, **rules).columns
        rules |= {"engine": "python", "on_bad_lines": lambda cells: cells} if loose else {}
        separator = "\t" if len(header) and "\t" in header[0] else r"\s+" if loose else ","
        with warnings.catch_warnings():
            # Rows longer than the header are cut off, with this warning.
            warnings.simplefilter("ignore" if loose else "error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, **rules)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: the file is empty; a table with a header is needed.") from None
    except (EOFError, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; download it again.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        if row := _longer_row(path, separator, compression):
            raise UserError(f"{path}: row {row} has more cells than the header; give it as many.") from None
        raise UserError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}).") from None
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}).") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    for name in columns:
        if name not in frame.columns:
            raise UserError(f"{path}: has no column '{name}' (it has {', '.join(map(str, frame.columns[:8]))}).")
    if frame.empty:
        raise UserError(f"{path}: the table has a header and no rows.")
    return frame


def _longer_row(path: Path, separator: str, compression: str | None) -> int:
    """Number of the first row, from 1, that has more cells than the header; 0 where there is none."""
    with suppress(csv.Error), gzip.open(path, "rt", newline="") if compression else path.open(newline="") as stream:
        header, *rows = map(len, csv.reader(stream, delimiter=separator))
        return next((number for number, cells in enumerate(rows, 1) if cells > header), 0)
    return 0
