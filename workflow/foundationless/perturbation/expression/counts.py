"""Counts of cells by the symbols of their genes, for what is trained on cells."""

from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.perturbation.expression.reading import read_expression


def read_counts(path: Path) -> tuple[Any, tuple[str, ...]]:
    """(Counts [cells, genes], symbols) of a file; `UserError` where its values are no counts."""
    read = read_expression(path)
    if read.values != "counts":
        raise UserError(f"{path}: its values are {read.values}, not counts; give the counts of the cells.")
    return read.matrix, read.symbols
