"""A matrix of expression with the names of its genes and what is known of its cells, wells or conditions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from foundationless.errors import UserError
from foundationless.runtime.log import tell

VALUES = ("counts", "lognorm", "z")  # molecules; ln(1 + molecules per 10,000); standard scores
SCALE = 10_000  # molecules to which a cell's are scaled
NEGATIVE = 0.1  # share of the values that is negative, at least, where they are standard scores
HIGHEST = 15.0  # ln(1 + 1e6) is 13.8: logarithms of counts per million lie below
_PEEK = 512  # bytes from which a web page is known


@dataclass(frozen=True)
class Expression:
    """Rows are cells, wells or conditions, columns genes; `obs` has a row for each row, indexed by its name."""

    matrix: NDArray[np.float32] | sparse.csr_matrix  # [rows, genes]
    genes: tuple[str, ...]
    symbols: tuple[str, ...]  # the id where there is no symbol
    obs: pd.DataFrame
    values: str = "unknown"  # or one of VALUES


def refuse_pages(path: Path) -> None:
    """`UserError` for a path that is no file, for an empty file, and for a web page that was saved in its place."""
    if not path.exists():
        raise UserError(f"{path}: no such file.")
    if path.is_dir():
        return
    with path.open("rb") as stream:
        start = stream.read(_PEEK).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        raise UserError(f"{path}: the file is empty; download it again.")
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        raise UserError(f"{path}: is a web page and not data (a login or an error page?); download the file itself.")


def entries(expression: Expression) -> NDArray[np.float32]:
    """The numbers of the matrix; of a sparse one those that are stored."""
    matrix = expression.matrix
    return matrix.data if sparse.issparse(matrix) else matrix  # type: ignore[return-value]


def checked(expression: Expression, path: Path, values: str = "auto") -> Expression:
    """The matrix with `values` stated or recognised, each gene once; `UserError` for what cannot be expression.

    Recognised are counts (whole numbers, none negative), `lognorm` (none negative, none above 15) and `z` (a tenth of
    them or more is negative, zeros that a sparse matrix leaves out counted). Columns of one id are added up where they
    are counts, and averaged otherwise.
    """
    if not expression.genes:
        raise UserError(f"{path}: holds no genes; check the option rows, and that this is the file of the matrix.")
    rows, columns = expression.matrix.shape
    if (rows, columns) != (len(expression.obs), len(expression.genes)):
        named = f"{len(expression.obs)} rows and {len(expression.genes)} genes"
        raise UserError(f"{path}: has {rows} x {columns} numbers and names {named}; the file is damaged.")
    if not rows:
        raise UserError(f"{path}: holds no cells.")
    numbers = entries(expression)
    if not np.isfinite(numbers).all():
        raise UserError(f"{path}: {int((~np.isfinite(numbers)).sum())} values are missing or infinite; mend them.")
    lowest, highest = float(numbers.min(initial=0.0)), float(numbers.max(initial=0.0))
    if values == "auto":
        values = _recognised(numbers, lowest, highest, NEGATIVE * rows * columns)
    if values not in VALUES:
        raise UserError(
            f"{path}: values from {lowest:.6g} to {highest:.6g} are neither counts nor logarithms of them, nor are "
            f"enough negative for scores; say what they are with the option values ({', '.join(VALUES)})."
        )
    if values == "counts" and lowest < 0:
        raise UserError(f"{path}: counts cannot be negative, and {lowest:.6g} is there; correct the option values.")
    return _each_gene_once(replace(expression, values=values), path)


def _recognised(numbers: NDArray[np.float32], lowest: float, highest: float, enough: float) -> str:
    """What the values are; `enough` negative ones make standard scores of them."""
    # by parts: a copy of all would not fit
    flat = numbers.reshape(-1)
    parts = np.array_split(flat, 1 + flat.size // (1 << 24))
    if lowest < 0:
        return "z" if sum(int((part < 0).sum()) for part in parts) >= enough else "unknown"
    if all((part == np.rint(part)).all() for part in parts):
        return "counts"
    return "lognorm" if highest <= HIGHEST else "unknown"


def _each_gene_once(expression: Expression, path: Path) -> Expression:
    codes, names = pd.factorize(np.asarray(expression.genes, dtype=object))
    if len(names) == len(codes):
        return expression
    adding = sparse.csr_matrix(
        (np.ones(len(codes), dtype=np.float32), (np.arange(len(codes)), codes)), shape=(len(codes), len(names))
    )
    how = "added up"
    if expression.values != "counts":
        how = "averaged"
        adding = sparse.csr_matrix(adding.multiply(1 / np.bincount(codes)), dtype=np.float32)
    tell(f"{path.name}: {len(codes) - len(names)} columns bear the id of another one: {how}")
    matrix = expression.matrix @ adding
    matrix = sparse.csr_matrix(matrix) if sparse.issparse(matrix) else np.asarray(matrix, dtype=np.float32)
    first = np.unique(codes, return_index=True)[1]
    symbols = tuple(expression.symbols[place] for place in first)
    return replace(expression, matrix=matrix, genes=tuple(map(str, names)), symbols=symbols)


def log_normalised(expression: Expression) -> Expression:
    """Counts as ln(1 + counts per 10,000 of their cell); other values as they are. Cells without counts stay 0."""
    if expression.values != "counts":
        return expression
    matrix = expression.matrix
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64)).reshape(-1)
    factors = np.divide(SCALE, totals, out=np.zeros_like(totals), where=totals > 0)
    if sparse.issparse(matrix):
        scaled = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
        scaled.data = np.log1p(scaled.data * np.repeat(factors, np.diff(scaled.indptr))).astype(np.float32)
    else:
        scaled = np.log1p(matrix * factors[:, None]).astype(np.float32)
    return replace(expression, matrix=scaled, values="lognorm")


def selected(expression: Expression, rows: NDArray[np.bool_]) -> Expression:
    """Only some of the rows [rows], in their order."""
    return replace(expression, matrix=expression.matrix[np.flatnonzero(rows)], obs=expression.obs[rows])


def named_rows(names: Sequence[str], columns: pd.DataFrame | None = None) -> pd.DataFrame:
    """A table of rows that has names and perhaps columns of text."""
    index = pd.Index([str(name) for name in names], dtype=object)
    return pd.DataFrame(index=index) if columns is None else columns.set_axis(index)
