"""Whichever format a matrix of expression has: by the name of its file, or what it begins with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from foundationless.errors import UserError
from foundationless.perturbation.expression.archives import member_of
from foundationless.perturbation.expression.gct import read_gct
from foundationless.perturbation.expression.h5ad import read_h5ad
from foundationless.perturbation.expression.matrix import Expression, checked, refuse_pages
from foundationless.perturbation.expression.mtx import read_mtx
from foundationless.perturbation.expression.pinned_pickle import is_pickle, read_pinned
from foundationless.perturbation.expression.plain import read_npz, read_parquet, read_text
from foundationless.perturbation.expression.r_data import read_r_data

ORIENTATIONS = ("genes", "cells")


def read_expression(path: Path, options: Mapping[str, Any] | None = None, **tables: Path | None) -> Expression:
    """The matrix of a file, checked (`matrix.checked`); `tables` are features and barcodes of a Matrix Market file.

    Options are those of the reader `effects`: member, layer, gene, symbol, rows, values.
    """
    settings = {"member": "", "layer": "", "gene": "", "symbol": "", "rows": "genes", "values": "auto"}
    settings |= {key: value for key, value in (options or {}).items() if key in settings}
    if settings["rows"] not in ORIENTATIONS:
        raise UserError(f"option rows={settings['rows']} is not understood: the rows of a matrix are genes or cells.")
    refuse_pages(path)
    if is_pickle(path):
        return checked(read_pinned(path), path, settings["values"])
    with member_of(path, settings["member"]) as file:
        refuse_pages(file)
        if is_pickle(file):
            return checked(read_pinned(file), path, settings["values"])
        return checked(_read(file, settings, tables), path, settings["values"])


def _read(path: Path, settings: Mapping[str, str], tables: Mapping[str, Path | None]) -> Expression:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".h5ad", ".h5")) or (path.is_file() and h5py.is_hdf5(path)):
        return read_h5ad(path, settings["layer"], settings["gene"], settings["symbol"])
    if settings["layer"]:
        raise UserError(f"{path}: only .h5ad has layers; leave the option layer out.")
    if path.is_dir() or name.endswith(".mtx"):
        return read_mtx(path, tables.get("features"), tables.get("barcodes"))
    if name.endswith(".gct"):
        return read_gct(path)
    if name.endswith((".rda", ".rdata", ".rds")):
        return read_r_data(path, settings["rows"])
    if name.endswith(".npz"):
        return read_npz(path)
    if name.endswith(".parquet"):
        return read_parquet(path, settings["rows"])
    if name.endswith((".csv", ".tsv", ".txt")):
        return read_text(path, settings["rows"])
    raise UserError(
        f"{path}: no known matrix of expression; .h5ad, .mtx, .gct, .rda, .rds, .npz, .parquet, .csv and .tsv are."
    )
