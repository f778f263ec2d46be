"""R data (.rda, .RData, .rds): a GCT object of cmapR, a sparse matrix of the package Matrix, a matrix or a data frame.

R data is a list of values; reading it runs nothing (`rdata` builds Python values of it).
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from foundationless.errors import UserError
from foundationless.perturbation.expression.h5ad import SYMBOLS
from foundationless.perturbation.expression.matrix import Expression, named_rows, refuse_pages


def read_r_data(path: Path, rows: str = "genes") -> Expression:
    """The one matrix of a file; `rows` says what its rows are, `genes` or `cells` (a GCT object has genes)."""
    import rdata

    refuse_pages(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = rdata.read_rds(path) if path.suffix.lower() == ".rds" else rdata.read_rda(path)
    except Exception as error:  # rdata lets errors of the decompressors and of its parser through
        raise UserError(f"{path}: cannot be read as R data ({error}); download it again.") from None
    values = list(read.values()) if isinstance(read, dict) and path.suffix.lower() != ".rds" else [read]
    try:
        found = [made for made in (_expression(value, rows) for value in values) if made is not None]
    except (AttributeError, KeyError, ValueError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: an object in it is not whole ({said}); save it anew.") from None
    if len(found) != 1:
        raise UserError(f"{path}: holds {len(found)} matrices and not one; save the one that is meant by itself.")
    return found[0]


def _expression(value: Any, rows: str) -> Expression | None:
    kind = [str(name) for name in np.atleast_1d(getattr(value, "class", ()))]
    if "GCT" in kind:
        return _gct(value)
    if "dgCMatrix" in kind:
        names = [None if part is None else list(map(str, np.atleast_1d(part))) for part in value.Dimnames]
        return _oriented(
            sparse.csc_matrix((value.x, value.i, value.p), shape=tuple(int(n) for n in value.Dim)), names, rows
        )
    if isinstance(value, pd.DataFrame):
        numbers = value.select_dtypes("number")
        text = value.columns.difference(numbers.columns)
        index = value[text[0]] if len(text) == 1 else value.index
        return _oriented(numbers.to_numpy(), [list(map(str, index)), list(map(str, numbers.columns))], rows)
    if hasattr(value, "dims") and getattr(value, "ndim", 0) == 2:  # an array with names, of xarray
        names = [list(map(str, value.coords[dim].values)) if dim in value.coords else None for dim in value.dims]
        return _oriented(np.asarray(value.values), names, rows)
    return None


def _oriented(matrix: Any, names: list[list[str] | None], rows: str) -> Expression | None:
    both = [part or [str(n + 1) for n in range(size)] for part, size in zip(names, matrix.shape, strict=True)]
    genes, cells = both if rows == "genes" else both[::-1]
    matrix = matrix.T if rows == "genes" else matrix
    matrix = sparse.csr_matrix(matrix, dtype=np.float32) if sparse.issparse(matrix) else matrix.astype(np.float32)
    return Expression(matrix, tuple(genes), tuple(genes), named_rows(cells))


def _gct(value: Any) -> Expression:
    """Genes in rows; rdesc and cdesc describe rows and columns, in their order or by their column `id`."""
    genes, samples = list(map(str, value.rid)), list(map(str, value.cid))
    matrix = np.ascontiguousarray(np.asarray(value.mat.values, dtype=np.float32).T)
    about_genes, about = (
        _described(getattr(value, name, None), own) for name, own in (("rdesc", genes), ("cdesc", samples))
    )
    column = next((name for name in SYMBOLS if about_genes is not None and name in about_genes), "")
    symbols = genes if about_genes is None or not column else list(map(str, about_genes[column]))
    return Expression(matrix, tuple(genes), tuple(symbols), named_rows(samples, about))


def _described(table: Any, names: list[str]) -> pd.DataFrame | None:
    if not isinstance(table, pd.DataFrame) or len(table) != len(names):
        return None
    text = table.astype(str)
    by_id = set(text.get("id", ())) == set(names)
    return (text.set_index("id", drop=False).loc[names] if by_id else text).reset_index(drop=True)
