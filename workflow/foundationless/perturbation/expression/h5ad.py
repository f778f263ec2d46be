"""AnnData files (.h5ad), read and written along their documented layout on disk, of versions 0.6 to now.

The layout is https://anndata.readthedocs.io/en/latest/fileformat-prose.html: elements bear `encoding-type` and
`encoding-version`; files before 0.7 have compound tables and `h5sparse_format`, before 0.8 categories in
`__categories`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from foundationless.errors import UserError
from foundationless.perturbation.expression.conditions import UNREAD
from foundationless.perturbation.expression.matrix import Expression
from foundationless.runtime.files import atomic_path

SYMBOLS = ("gene_symbol", "gene_symbols", "gene_name", "gene_names", "feature_name", "symbol", "gene_short_name",
           "pr_gene_symbol", "hgnc_symbol")  # fmt: skip


def read_h5ad(path: Path, layer: str = "", gene: str = "", symbol: str = "") -> Expression:
    """The matrix X, or `layer`: a layer's name, or `raw` for raw/X with its own genes.

    `gene` and `symbol` name columns of var; without them the ids are its index, the symbols a column of a usual name.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file, layer, gene, symbol)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: is no whole AnnData file ({said}); download it again, or write it anew.") from None


def _read(path: Path, file: h5py.File, layer: str, gene: str, symbol: str) -> Expression:
    if "X" not in file or "obs" not in file or "var" not in file:
        raise UserError(f"{path}: is HDF5 but no AnnData file: X, obs or var is missing.")
    place, var = ("raw/X", "raw/var") if layer == "raw" else (f"layers/{layer}" if layer else "X", "var")
    if place not in file or var not in file:
        known = [*file.get("layers", {}), *(["raw"] if "raw" in file else [])]
        raise UserError(f"{path}: has no layer '{layer}' (it has {', '.join(known) or 'none'}).")
    genes = _table(file, var)
    for name in filter(None, (gene, symbol)):
        if name not in genes:
            raise UserError(f"{path}: var has no column '{name}' (it has {', '.join(map(str, genes.columns[:8]))}).")
    ids = [str(name) for name in (genes[gene] if gene else genes.index)]
    column = symbol or next((name for name in SYMBOLS if name in genes and name != gene), "")
    symbols = [text if text and text != "nan" else own
               for own, text in zip(ids, map(str, genes[column]) if column else ids, strict=True)]  # fmt: skip
    return Expression(_matrix(file[place]), tuple(ids), tuple(symbols), _table(file, "obs"))


def _matrix(element: Any) -> Any:
    """A dense or sparse array, as float32; columns first becomes rows first."""
    if isinstance(element, h5py.Dataset):
        if element.ndim != 2:
            raise ValueError(f"{element.name} has {element.ndim} dimensions and not 2")
        return np.asarray(element[()], dtype=np.float32)
    kind = _text(element.attrs.get("encoding-type", element.attrs.get("h5sparse_format", "csr")))
    shape = tuple(int(n) for n in element.attrs.get("shape", element.attrs.get("h5sparse_shape")))
    parts = (element["data"].astype(np.float32)[()], element["indices"][()], element["indptr"][()])
    made = (sparse.csc_matrix if kind.startswith("csc") else sparse.csr_matrix)(parts, shape=shape)
    made.check_format(full_check=True)  # indices of a damaged file
    return made.tocsr()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _texts(values: Any) -> NDArray[Any]:
    """An array with text decoded."""
    if values.dtype.kind in "OS":
        return np.array([_text(value) for value in values.reshape(-1)], dtype=object).reshape(values.shape)
    return np.asarray(values)


def _table(file: h5py.File, name: str) -> pd.DataFrame:
    """A data frame: obs or var. Columns of an encoding that is not read are left out, and noted in its attributes."""
    element = file[name]
    if isinstance(element, h5py.Dataset):  # before 0.7: a compound table
        frame = {key: _texts(element[key]) for key in element.dtype.names}
        for key in frame:
            categories = file.get(f"uns/{key}_categories")
            if categories is not None:
                frame[key] = _chosen(frame[key], _texts(categories[()]))
        index = frame.pop("index", frame.pop("_index", np.arange(len(element)).astype(str)))
        return pd.DataFrame(frame, index=pd.Index(index, dtype=object))
    key = _text(element.attrs.get("_index", "_index"))
    order = [_text(column) for column in element.attrs.get("column-order", [])]
    columns = order or [column for column in element if column not in (key, "__categories")]
    names = _column(element, key)
    if names is None:
        raise ValueError(f"the names in {name} have an encoding that is not read")
    read = {column: _column(element, column) for column in columns}
    known = {column: values for column, values in read.items() if values is not None}
    table = pd.DataFrame(known, index=pd.Index(["" if each is None else each for each in names], dtype=object))
    table.attrs[UNREAD] = [column for column in read if column not in known]
    return table


def _column(group: h5py.Group, name: str) -> NDArray[Any] | None:
    """A column; None of an encoding that is not read, as a sparse matrix or a table within the table."""
    element = group[name]
    if isinstance(element, h5py.Dataset) and (element.ndim != 1 or element.dtype.names):
        return None
    if isinstance(element, h5py.Dataset):
        values = _texts(element[()])
        reference = element.attrs.get("categories")
        if reference is not None:  # 0.7: categories beside
            return _chosen(values, _texts(group.file[reference][()]))
        return values
    if "codes" in element:
        return _chosen(element["codes"][()], _texts(element["categories"][()]))
    if "values" not in element:
        return None
    values = _texts(element["values"][()]).astype(object)
    if "mask" in element:
        values[element["mask"][()]] = None
    return values


def _chosen(codes: NDArray[Any], categories: NDArray[Any]) -> NDArray[Any]:
    """Categories by their numbers; a negative number is none."""
    chosen = categories.astype(object)[np.maximum(codes, 0)] if len(categories) else np.full(len(codes), None)
    chosen[codes < 0] = None
    return np.asarray(chosen, dtype=object)


def write_h5ad(path: Path, expression: Expression) -> None:
    """Write a matrix with its names in AnnData's layout (0.8 and later); the same content gives the same bytes."""
    with atomic_path(path) as part, h5py.File(part, "w") as file:
        _encode(file, "anndata", "0.1.0")
        matrix = expression.matrix
        if sparse.issparse(matrix):
            group = file.create_group("X")
            _encode(group, "csr_matrix", "0.1.0")
            group.attrs["shape"] = np.array(matrix.shape)
            for name in ("data", "indices", "indptr"):
                group.create_dataset(name, data=getattr(matrix, name), compression="gzip")
        else:
            _encode(file.create_dataset("X", data=matrix, compression="gzip"), "array", "0.2.0")
        obs = expression.obs
        _write_table(file, "obs", list(obs.index), {str(name): obs[name] for name in obs})
        _write_table(file, "var", expression.genes, {"gene_symbol": expression.symbols})
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            _encode(file.create_group(name), "dict", "0.1.0")


def _encode(element: Any, kind: str, version: str) -> None:
    element.attrs["encoding-type"], element.attrs["encoding-version"] = kind, version


def _write_table(file: h5py.File, name: str, index: Sequence[str], columns: dict[str, Any]) -> None:
    group = file.create_group(name)
    _encode(group, "dataframe", "0.2.0")
    group.attrs["_index"] = "_index"
    group.attrs["column-order"] = np.array(list(columns), dtype=h5py.string_dtype())
    for key, values in {"_index": index, **columns}.items():
        data = np.asarray(values)
        if data.dtype.kind in "iufb":
            _encode(group.create_dataset(key, data=data), "array", "0.2.0")
        else:
            text = np.array([str(value) for value in values], dtype=object)
            _encode(group.create_dataset(key, data=text, dtype=h5py.string_dtype()), "string-array", "0.2.0")
