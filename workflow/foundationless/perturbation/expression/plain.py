"""Plain matrices: text (CSV, TSV), Parquet, and NumPy archives (.npz)."""

import csv
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.data.files.text import open_text
from foundationless.errors import UserError
from foundationless.perturbation.expression.matrix import Expression, named_rows, refuse_pages

_MATRIX, _CELLS = ("X", "matrix", "data"), ("cond", "conditions", "condition", "cells", "obs_names")
_GENES = ("genes", "var_names")


def read_text(path: Path, rows: str = "genes") -> Expression:
    """A table with a header, whose first column names the rows (`rows`: genes or cells); names may repeat."""
    refuse_pages(path)
    try:
        with open_text(path, "a table", errors="strict") as stream:
            line = stream.readline()
            separator = "\t" if "\t" in line else ","
            header = next(csv.reader([line], delimiter=separator))
            table = pd.read_csv(stream, sep=separator, header=None, dtype={0: str}, keep_default_na=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, StopIteration) as error:
        raise UserError(f"{path}: cannot be read as a matrix ({' '.join(str(error).split())[:160]}).") from None
    return _from_table(path, table, header, rows)


def read_parquet(path: Path, rows: str = "genes") -> Expression:
    """A Parquet table: its one column of text, or its index, names the rows."""
    refuse_pages(path)
    try:
        table = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]}).") from None
    if table.index.dtype.kind not in "iu":
        table = table.reset_index()
    text = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if len(text) != 1:
        raise UserError(f"{path}: has {len(text)} columns of text; one names the rows, and the others are numbers.")
    table = table[[text[0], *(name for name in table if name != text[0])]]
    return _from_table(path, table, list(map(str, table.columns)), rows)


def _from_table(path: Path, table: pd.DataFrame, header: list[str], rows: str) -> Expression:
    width = table.shape[1]
    if len(header) == width - 1:  # as R writes it: no name above the names of the rows
        header = ["", *header]
    if len(header) != width or width < 2:
        raise UserError(f"{path}: the header has {len(header)} cells and the rows {width}; a matrix has as many.")
    numbers = table.iloc[:, 1:]
    odd = [header[1 + place] for place, kind in enumerate(numbers.dtypes) if kind.kind not in "iufb"]
    if odd:
        raise UserError(f"{path}: column '{odd[0]}' is not numeric; the first column names the rows, no other is text.")
    matrix = numbers.to_numpy(dtype=np.float32)
    names, columns = list(map(str, table.iloc[:, 0])), header[1:]
    genes, cells = (names, columns) if rows == "genes" else (columns, names)
    matrix = np.ascontiguousarray(matrix.T) if rows == "genes" else matrix
    return Expression(matrix, tuple(genes), tuple(genes), named_rows(cells))


def read_npz(path: Path) -> Expression:
    """Arrays `X` (or matrix), `genes`, and `cond` or `conditions` (or cells), perhaps `symbols`; either way round.

    The names of the rows are their conditions too, for which the column `condition` is there.
    """
    refuse_pages(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: is no whole NumPy archive of plain arrays ({said}).") from None
    found = [arrays[name] for names in (_MATRIX, _GENES, _CELLS) for name in names if name in arrays]
    if len(found) != 3:
        raise UserError(f"{path}: an archive of expression holds X, genes and cond; this one has {', '.join(arrays)}.")
    matrix, genes, cells = found
    if (matrix.ndim, genes.ndim, cells.ndim) != (2, 1, 1) or matrix.dtype.kind not in "iufb":
        raise UserError(
            f"{path}: X is to be a table of numbers, and genes and cond a list of names each; save it anew."
        )
    names = tuple(map(str, genes))
    if matrix.shape == (len(genes), len(cells)) != (len(cells), len(genes)):
        matrix = np.ascontiguousarray(matrix.T)
    symbols = tuple(map(str, arrays.get("symbols", names)))
    obs = named_rows(cells, pd.DataFrame({"condition": np.asarray(cells).astype(str).astype(object)}))
    return Expression(np.asarray(matrix, dtype=np.float32), names, symbols, obs)
