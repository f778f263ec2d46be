"""Matrices of 10x Genomics and others in Matrix Market format, with their tables of features and barcodes."""

import zlib
from pathlib import Path

import numpy as np
from scipy import io, sparse

from foundationless.data.files.text import open_text
from foundationless.errors import UserError
from foundationless.perturbation.expression.matrix import Expression, named_rows, refuse_pages

_NAMES = {
    "matrix": ("matrix.mtx.gz", "matrix.mtx"),
    "features": ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv"),
    "barcodes": ("barcodes.tsv.gz", "barcodes.tsv"),
}


def read_mtx(path: Path, features: Path | None = None, barcodes: Path | None = None) -> Expression:
    """The matrix of Cell Ranger's directory, or of a .mtx(.gz) file whose tables lie beside it or are given.

    Columns of features: id, symbol, type; where types are given, only `Gene Expression` is kept.
    """
    directory = path if path.is_dir() else path.parent
    matrix = _beside(path, directory, "matrix") if path.is_dir() else path
    genes = _lines(features or _beside(path, directory, "features"))
    cells = [row[0] for row in _lines(barcodes or _beside(path, directory, "barcodes"))]
    refuse_pages(matrix)
    try:
        values = io.mmread(str(matrix))
    except (EOFError, zlib.error, OSError, ValueError, IndexError, OverflowError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{matrix}: is no whole Matrix Market file ({said}); download it again.") from None
    values = sparse.csr_matrix(values, dtype=np.float32)
    if genes and genes[0][0].lower() in ("gene_id", "gene", "id") and len(genes) - 1 in values.shape:
        genes = genes[1:]
    if cells and len(cells) - 1 in values.shape and len(cells) not in values.shape:
        cells = cells[1:]
    if values.shape == (len(genes), len(cells)):
        values = values.T.tocsr()
    elif values.shape != (len(cells), len(genes)):
        shape = f"{values.shape[0]} x {values.shape[1]}"
        raise UserError(f"{matrix}: is {shape}, and there are {len(genes)} features and {len(cells)} barcodes.")
    kept = [number for number, row in enumerate(genes) if len(row) < 3 or row[2] in ("Gene Expression", "")]
    if any(len(row) > 2 and row[2] == "Gene Expression" for row in genes):
        values, genes = values[:, kept], [genes[number] for number in kept]
    symbols = tuple(row[1] if len(row) > 1 and row[1] else row[0] for row in genes)
    return Expression(values, tuple(row[0] for row in genes), symbols, named_rows(cells))


def _beside(path: Path, directory: Path, role: str) -> Path:
    # GEO puts the sample's name before: GSM123_matrix.mtx.gz
    prefix = path.name.partition("matrix.mtx")[0] if path.is_file() else ""
    for name in _NAMES[role]:
        if (directory / f"{prefix}{name}").is_file():
            return directory / f"{prefix}{name}"
    raise UserError(f"{path}: no {role} beside it ({prefix}{_NAMES[role][0]}); give it as the source {role}.")


def _lines(path: Path) -> list[list[str]]:
    """Cells of a table without quotation, by tabs."""
    refuse_pages(path)
    try:
        with open_text(path, "a table", errors="strict") as stream:
            return [line.rstrip("\r\n").split("\t") for line in stream if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as text ({error}); download it again.") from None
