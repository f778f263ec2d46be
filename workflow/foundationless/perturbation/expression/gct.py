"""GCT files of the Broad Institute, versions 1.2 and 1.3: genes in rows, samples in columns, both annotated."""

from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.data.files.text import open_text
from foundationless.errors import UserError
from foundationless.perturbation.expression.h5ad import SYMBOLS
from foundationless.perturbation.expression.matrix import Expression, named_rows, refuse_pages


def read_gct(path: Path) -> Expression:
    """The matrix, `obs` with what is said of samples (version 1.3), symbols from a column of a usual name."""
    refuse_pages(path)
    try:
        with open_text(path, "a GCT file", errors="strict") as stream:
            lines = [line.rstrip("\r\n").split("\t") for line in stream]
        return _parsed(lines)
    except (ValueError, IndexError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: is no whole GCT file of version 1.2 or 1.3 ({said}); download it again.") from None


def _parsed(lines: list[list[str]]) -> Expression:
    version, sizes = lines[0][0].strip(), [int(cell) for cell in lines[1] if cell.strip()]
    if version not in ("#1.2", "#1.3"):
        raise ValueError(f"it begins with '{version[:20]}'")
    rows, columns, about_rows, about_columns = sizes if version == "#1.3" else (*sizes, 1, 0)
    header, body = lines[2], lines[3 + about_columns : 3 + about_columns + rows]
    samples = header[1 + about_rows :]
    if len(body) != rows or len(samples) != columns or any(len(row) != len(header) for row in body):
        raise ValueError(f"{rows} x {columns} values are announced, and others are there")
    table = {row[0]: row[1 + about_rows :] for row in lines[3 : 3 + about_columns]}
    names = {name: place for place, name in enumerate(header[: 1 + about_rows]) if place}
    column = next((names[name] for name in SYMBOLS if name in names), 0)
    if version == "#1.2":
        column = 1
    numbers = np.array([[float(cell) for cell in row[1 + about_rows :]] for row in body], dtype=np.float32)
    genes = tuple(row[0] for row in body)
    symbols = tuple(row[column] if row[column] not in ("", "na", "-666") else row[0] for row in body)
    obs = named_rows(samples, pd.DataFrame(table, dtype=object) if table else None)
    return Expression(np.ascontiguousarray(numbers.reshape(rows, columns).T), genes, symbols, obs)
