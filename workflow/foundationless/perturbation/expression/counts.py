"""Counts of cells by the symbols of their genes, for what is trained on cells."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from foundationless.errors import UserError
from foundationless.perturbation.expression.reading import read_expression


def read_counts(path: Path) -> tuple[Any, tuple[str, ...]]:
    """(Counts [cells, genes], symbols) of a file; `UserError` where its values are neither counts nor their logarithms.

    Of ln(1 + counts per 10,000) these are the counts per 10,000: bins and ranks depend on no more.
    """
    read = read_expression(path)
    if read.values == "lognorm":
        matrix = sparse.csr_matrix(read.matrix).expm1() if sparse.issparse(read.matrix) else np.expm1(read.matrix)
        return matrix, read.symbols
    if read.values != "counts":
        raise UserError(f"{path}: its values are {read.values}, not counts; give the counts of the cells.")
    return read.matrix, read.symbols
