"""Where vectors of genes come from: tables, annotations (GO), cells, and the pseudobulks of another screen."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from foundationless.data.files.text import open_text
from foundationless.errors import UserError
from foundationless.models.tokenizers.genes import namespace_of
from foundationless.perturbation.effects import Effects, read_effects
from foundationless.perturbation.expression.matrix import Expression, log_normalised, refuse_pages
from foundationless.perturbation.expression.reading import read_expression
from foundationless.perturbation.gene_names import NameTable, stripped
from foundationless.perturbation.linear import signed
from foundationless.perturbation.vectors import GeneVectors
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import VECTOR_SOURCES

NEIGHBOURS = 20  # genes that each gene keeps in the graph of GO, as GEARS keeps
_BLOCK = 512  # genes whose overlaps are worked out at once


# ---- tables


def from_table(path: Path, rows: str = "genes") -> tuple[list[str], NDArray[np.float32]]:
    """Genes and vectors of a table: CSV or TSV with a header (.gz), Parquet, or word2vec's text (count and size first).

    `rows` says what the rows are: genes, or dims (then columns are genes). Parquet has a column of text and numbers,
    or a column of text and one of lists.
    """
    refuse_pages(path)
    if path.suffix.lower() == ".parquet":
        names, matrix = _parquet(path)
    else:
        names, matrix = _text(path)
    if rows == "dims":
        names, matrix = names[::-1], matrix.T
    if not np.isfinite(matrix).all():
        raise UserError(f"{path}: {int((~np.isfinite(matrix)).sum())} numbers of the vectors are missing or infinite.")
    genes = names[0]
    if not genes or matrix.shape != (len(genes), len(names[1])):
        raise UserError(f"{path}: the table is {matrix.shape[0]} x {matrix.shape[1]}, and its names are not as many.")
    return _first_of_each(path, genes, matrix)


def _first_of_each(path: Path, genes: Sequence[str], matrix: NDArray[Any]) -> tuple[list[str], NDArray[np.float32]]:
    first: dict[str, int] = {}
    for place, gene in enumerate(genes):
        first.setdefault(stripped(gene), place)
    if len(first) < len(genes):
        tell(f"{path.name}: {len(genes) - len(first)} vectors are of a gene that was there before: left out")
    return list(first), np.asarray(matrix[list(first.values())], dtype=np.float32)


def _text(path: Path) -> tuple[list[list[str]], NDArray[Any]]:
    try:
        with open_text(path, "a table", errors="strict") as stream:
            line = stream.readline()
            words = line.split()
            if len(words) == 2 and all(word.isdecimal() for word in words):
                table = pd.read_csv(stream, sep=r"\s+", header=None, dtype={0: str}, quoting=csv.QUOTE_NONE,
                                    keep_default_na=False)  # fmt: skip
                announced = (int(words[0]), int(words[1]))
                if table.shape != (announced[0], announced[1] + 1):
                    raise UserError(f"{path}: announces {announced[0]} vectors of {announced[1]}; the file is cut off.")
                header = list(map(str, range(table.shape[1])))
            else:
                sign = "\t" if "\t" in line else "," if "," in line else " "
                header = next(csv.reader([line.rstrip("\r\n")], delimiter=sign))
                table = pd.read_csv(stream, sep=sign, header=None, dtype={0: str}, na_values=[""],
                                    keep_default_na=False)  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, StopIteration) as error:
        raise UserError(f"{path}: cannot be read as vectors ({' '.join(str(error).split())[:160]}).") from None
    if len(header) == table.shape[1] - 1:
        header = ["", *header]
    if len(header) != table.shape[1] or len(header) < 2:
        raise UserError(f"{path}: the header has {len(header)} cells and the rows {table.shape[1]}.")
    return [list(map(str, table.iloc[:, 0])), header[1:]], _numbers(path, table.iloc[:, 1:])


def _numbers(path: Path, table: pd.DataFrame) -> NDArray[Any]:
    if odd := [str(name) for name, kind in zip(table.columns, table.dtypes, strict=True) if kind.kind not in "iufb"]:
        raise UserError(f"{path}: column {odd[0]} is not numeric; the first column names genes.")
    return table.to_numpy(dtype=np.float64)


def _parquet(path: Path) -> tuple[list[list[str]], NDArray[Any]]:
    try:
        table = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:160]}).") from None
    if table.index.dtype.kind not in "iu":
        table = table.reset_index()
    text = next((name for name in table if not pd.api.types.is_numeric_dtype(table[name])), None)
    if text is None:
        raise UserError(f"{path}: no column names the genes.")
    if unnamed := int(table[text].isna().sum()):
        raise UserError(f"{path}: {unnamed} of {len(table)} genes have no name in column '{text}'; leave them out.")
    rest = table.drop(columns=[text])
    if rest.shape[1] == 1 and len(rest) and np.ndim(rest.iloc[0, 0]) == 1:
        lengths = {np.size(row) if np.ndim(row) == 1 else -1 for row in rest.iloc[:, 0]}
        if len(lengths) != 1:
            raise UserError(f"{path}: vectors are of different lengths, or missing.")
        rest = pd.DataFrame(np.stack([np.asarray(row) for row in rest.iloc[:, 0]]))
    return [list(map(str, table[text])), list(map(str, rest.columns))], _numbers(path, rest)


# ---- GO


def read_gmt(path: Path) -> dict[str, list[str]]:
    """Sets of genes of a GMT file: name, description, members, separated by tabs."""
    refuse_pages(path)
    try:
        with open_text(path, "a GMT file", errors="strict") as stream:
            rows = [line.rstrip("\r\n").split("\t") for line in stream if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as sets of genes ({error}).") from None
    if not rows or any(len(row) < 3 for row in rows):
        raise UserError(f"{path}: is no GMT file; a line is a name, a description and genes, separated by tabs.")
    return {row[0]: [gene for gene in row[2:] if gene] for row in rows}


def jaccard_graph(sets: dict[str, list[str]], neighbours: int = NEIGHBOURS) -> tuple[list[str], sparse.csr_matrix]:
    """Genes, sorted, and their Jaccard similarities by the sets they are in, of the most similar ones of each.

    An edge is there where one of both counts the other among its `neighbours` (ties: the earlier name).
    """
    genes = sorted({gene for members in sets.values() for gene in members})
    numbers = {gene: number for number, gene in enumerate(genes)}
    pairs = np.array([(numbers[gene], at) for at, members in enumerate(sets.values()) for gene in set(members)])
    held = sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(genes), len(sets)))
    sizes = np.asarray(held.sum(axis=1)).reshape(-1)
    rows, columns, values = [], [], []
    for start in range(0, len(genes), _BLOCK):
        shared = (held[start : start + _BLOCK] @ held.T).toarray()
        here = np.arange(len(shared))
        alike = shared / (sizes[start + here, None] + sizes[None, :] - shared)
        alike[here, start + here] = 0.0
        best = np.argsort(-alike, axis=1, kind="stable")[:, :neighbours]
        rows.append(np.repeat(start + here, best.shape[1]))
        columns.append(best.reshape(-1))
        values.append(np.take_along_axis(alike, best, axis=1).reshape(-1))
    parts = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    graph = sparse.csr_matrix(parts, shape=(len(genes), len(genes)))
    graph.eliminate_zeros()
    return genes, graph.maximum(graph.T).tocsr()


def from_go(
    path: Path,
    dims: int,
    seed: int,
    how: str = "adjacency",
    homes: Mapping[str, str] | None = None,
    names: NameTable | None = None,
) -> tuple[list[str], NDArray[np.float32]]:
    """Spectral embedding of the graph that GO makes of all genes, or of those of `homes` (`_homes`).

    Genes in no set have no vector. The axes of all genes are those of a few families, and hardly tell a screen's
    targets apart: name its genes.

    `laplacian`: eigenvectors of the regularised, normalised similarities (Qin and Rohe 2013: every pair of genes is
    alike by the mean degree over the number of genes, so that no small group has an axis to itself) of the largest
    eigenvalues but the first, with variance 1. `adjacency`: eigenvectors of the similarities themselves, of the largest
    absolute eigenvalues, times their roots, as the study embeds GEARS' graph (igraph's adjacency embedding).
    """
    sets = read_gmt(path)
    if homes is not None:
        told = {set_name: [homes.get(_current(gene, names), "") for gene in genes] for set_name, genes in sets.items()}
        sets = {set_name: list(filter(None, genes)) for set_name, genes in told.items()}
    if not any(len(set(genes)) > 1 for genes in sets.values()):
        raise UserError(f"{path}: no set holds two genes that are meant, so none is near another; see --names.")
    genes, graph = jaccard_graph(sets)
    if dims >= len(genes) - 1:
        raise UserError(f"{path}: {len(genes)} genes cannot have {dims} dimensions; ask for fewer, or see --names.")
    start = np.random.default_rng(seed).standard_normal(len(genes))
    if how == "adjacency":
        values, axes = eigsh(graph, k=dims, which="LM", v0=start)
        order = np.argsort(-np.abs(values))
        return genes, signed(axes[:, order] * np.sqrt(np.abs(values[order]))).astype(np.float32)
    degrees = np.asarray(graph.sum(axis=1)).reshape(-1)
    roots, even = 1 / np.sqrt(degrees + degrees.mean()), degrees.mean() / len(genes)

    def product(vector: NDArray[Any]) -> NDArray[Any]:
        scaled = roots * vector.reshape(-1)
        return np.asarray(roots * (graph @ scaled + even * scaled.sum()))

    size = (len(genes), len(genes))
    values, axes = eigsh(LinearOperator(size, matvec=product, dtype=np.float64), k=dims + 1, which="LA", v0=start)
    return genes, signed(axes[:, np.argsort(-values)][:, 1:] * np.sqrt(len(genes))).astype(np.float32)


def _current(name: str, names: NameTable | None) -> str:
    return names.symbol(name) if names else stripped(name)


def _homes(effects: Effects, names: NameTable | None) -> dict[str, str]:
    """Current names of a screen's genes, by symbol and by id, -> its own symbol; targets that are not read out too."""
    own = dict(zip(effects.genes, effects.symbols, strict=True))
    own |= {gene: gene for targets in effects.targets for gene in targets if gene not in own}
    homes = {_current(symbol, names): symbol for symbol in own.values()}
    for gene, symbol in own.items():
        homes.setdefault(_current(gene, names), symbol)
    return homes


# ---- cells and screens


def principal_scores(table: NDArray[Any], dims: int) -> NDArray[np.float32]:
    """Scores of the rows [rows, dims] on the principal axes of their columns, centred and not scaled (`prcomp`)."""
    centred = np.asarray(table, dtype=np.float64) - table.mean(axis=0, dtype=np.float64)
    if min(centred.shape) < dims:
        raise UserError(f"{centred.shape[0]} x {centred.shape[1]} numbers have no {dims} axes; ask for fewer.")
    if centred.shape[0] > centred.shape[1]:
        _, axes = np.linalg.eigh(centred.T @ centred)
        return signed(centred @ axes[:, ::-1][:, :dims]).astype(np.float32)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return signed(left[:, :dims] * values[:dims]).astype(np.float32)


def from_cells(
    paths: Sequence[Path], dims: int, seed: int, names: NameTable | None, most: int = 5000, least: int = 3
) -> tuple[list[str], NDArray[np.float32]]:
    """Principal scores of genes over the cells of several data sets, each log-normalised, joined by symbol.

    Genes are those that at least `least` cells express. What a data set does not measure has the mean of the
    cell, which is nothing after centring. Of larger data sets `most` cells are drawn.
    """
    parts: list[tuple[list[str], NDArray[np.float32]]] = []
    for number, path in enumerate(paths):
        expression = log_normalised(read_expression(path))
        if expression.values != "lognorm":
            raise UserError(f"{path}: holds {expression.values} values; cells are counts or logarithms of them.")
        size = expression.matrix.shape[0]
        drawn = np.sort(np.random.default_rng([seed, number]).permutation(size)[:most])
        parts.append(_by_symbol(replace(expression, matrix=expression.matrix[drawn]), names))
    expressed: dict[str, int] = {}
    for genes, table in parts:
        for gene, count in zip(genes, (table > 0).sum(axis=0).tolist(), strict=True):
            expressed[gene] = expressed.get(gene, 0) + count
    kept = sorted(gene for gene, count in expressed.items() if count >= least)
    place = {gene: at for at, gene in enumerate(kept)}
    joined = []
    for genes, table in parts:
        here = np.array([place.get(gene, -1) for gene in genes])
        wide = np.full((len(kept), len(table)), np.nan, dtype=np.float32)
        wide[here[here >= 0]] = table[:, here >= 0].T
        joined.append(np.where(np.isnan(wide), np.nanmean(wide, axis=0), wide))
        absent = int(np.isnan(wide[:, 0]).sum())
        tell(f"{absent} of {len(kept)} genes are not measured in a data set of {len(table)} cells")
    return kept, principal_scores(np.hstack(joined), dims)


def _by_symbol(expression: Expression, names: NameTable | None) -> tuple[list[str], NDArray[np.float32]]:
    """Symbols and dense values [cells, symbols]; of columns of one symbol the first counts."""
    first: dict[str, int] = {}
    for at, symbol in enumerate(expression.symbols):
        first.setdefault(names.symbol(symbol) if names else stripped(symbol), at)
    matrix = expression.matrix[:, list(first.values())]
    return list(first), np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix)  # type: ignore[union-attr]


def from_screen(path: Path, dims: int) -> tuple[list[str], NDArray[np.float32]]:
    """Principal scores of another screen's single perturbations (observations) over its genes, by target.

    As the study takes P of one cell line from another; the control is an observation too, and has no vector. Targets
    that are read out have their symbol; several conditions of one target are averaged.
    """
    effects = read_effects(path)
    singles = effects.singles
    if not len(singles):
        raise UserError(f"{path}: holds no single perturbation; vectors of targets need some.")
    rows = np.concatenate([[effects.kinds.index("control")], singles])
    scores = principal_scores(effects.means[rows], dims)[1:]
    symbols = dict(zip(effects.genes, effects.symbols, strict=True))
    targets = [symbols.get(effects.targets[at][0], effects.targets[at][0]) for at in singles.tolist()]
    table = pd.DataFrame(scores).groupby(np.array(targets, dtype=object), sort=False).mean()
    return list(map(str, table.index)), table.to_numpy(dtype=np.float32)


# ---- one door


def import_vectors(
    kind: str, paths: Sequence[Path], *, seed: int, dims: int = 0, namespace: str = "", rows: str = "genes",
    how: str = "adjacency", names: NameTable | None = None, screens: Sequence[Path] = (),
) -> GeneVectors:  # fmt: skip
    """Vectors of a source; `dims` 0 keeps those of a table (else its first principal scores), and is 10 elsewhere.

    Without a `namespace` it is that in which most genes are written.

    With `names` genes get their current symbols, unless they are `own` names. With `screens`, files of effects, genes
    bear the symbols that they have there, others are left out, and the graph of GO is made of those alone.
    """
    if kind not in VECTOR_SOURCES:
        raise UserError(f"'{kind}' is no source of vectors; these are: {', '.join(VECTOR_SOURCES)}.")
    if kind != "cells" and len(paths) != 1:
        raise UserError(f"{len(paths)} files are given; the source {kind} is one file.")
    homes: dict[str, str] | None = None
    for screen in screens:
        homes = _homes(read_effects(screen), names) | (homes or {})
    if kind in ("table", "simulated"):
        genes, matrix = from_table(paths[0], rows)
        matrix = principal_scores(matrix, dims) if 0 < dims < matrix.shape[1] else matrix
    elif kind == "go":
        genes, matrix = from_go(paths[0], dims or 10, seed, how, homes, names)
    elif kind == "cells":
        genes, matrix = from_cells(paths, dims or 10, seed, names)
    else:
        genes, matrix = from_screen(paths[0], dims or 10)
    if homes is not None:
        own = set(homes.values())
        told = [gene if gene in own else homes.get(_current(gene, names), "") for gene in genes]
        there = [at for at, gene in enumerate(told) if gene]
        if not there:
            raise UserError(
                f"{paths[0]}: has no vector of a gene of {', '.join(map(str, screens))}; see --namespace and --names."
            )
        genes, matrix = _first_of_each(paths[0], [told[at] for at in there], matrix[there])
        tell(f"{len(genes)} of {len(own)} genes of the screens have a vector")
    elif names is not None and namespace != "own":
        genes, matrix = _first_of_each(paths[0], [names.symbol(gene) for gene in genes], matrix)
    if (homes is not None or names is not None) and namespace != "own":
        namespace = "symbol"
    return GeneVectors(
        tuple(genes), matrix, namespace or namespace_of(genes), f"{kind} {' '.join(path.name for path in paths)}"
    )
