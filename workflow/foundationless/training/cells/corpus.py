"""Cells to pretrain on: counts of several files put together by gene, the genes that are read, and what is held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from foundationless.errors import UserError


@dataclass(frozen=True)
class CellCorpus:
    """Counts [cells, genes], and the total of each cell over all genes of its own file, [cells] float64."""

    counts: sparse.csr_matrix
    genes: tuple[str, ...]
    totals: np.ndarray

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    def row(self, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """(columns, counts) of a cell's genes that are not 0."""
        start, end = self.counts.indptr[cell], self.counts.indptr[cell + 1]
        return self.counts.indices[start:end], self.counts.data[start:end]

    def of_genes(self, genes: Sequence[str]) -> "CellCorpus":
        """The same cells with these genes, in this order; one that no file knows is 0 everywhere."""
        places = {gene: place for place, gene in enumerate(genes)}
        columns = np.array([places.get(gene, -1) for gene in self.genes], dtype=np.int64)
        return CellCorpus(_moved(self.counts, columns, len(genes)), tuple(genes), self.totals)


def _moved(counts: Any, columns: np.ndarray, width: int) -> sparse.csr_matrix:
    """The matrix with each column at another place, -1 nowhere; what meets in a place is added up."""
    whole = sparse.coo_matrix(counts)
    kept = columns[whole.col] >= 0
    cells, places, values = whole.row[kept], columns[whole.col[kept]], whole.data[kept].astype(np.float32)
    moved = sparse.coo_matrix((values, (cells, places)), shape=(whole.shape[0], width)).tocsr()
    moved.sum_duplicates()
    moved.eliminate_zeros()
    return moved


def combine(parts: Sequence[tuple[Any, Sequence[str]]]) -> CellCorpus:
    """The cells of several matrices (counts [cells, genes], genes), by the names of genes; none negative."""
    genes = tuple(dict.fromkeys(gene for _, names in parts for gene in names))
    places = {gene: place for place, gene in enumerate(genes)}
    moved, totals = [], []
    for counts, names in parts:
        matrix = sparse.csr_matrix(counts)
        if matrix.nnz and matrix.data.min() < 0:
            raise UserError("cells: a count is negative; give counts, not scaled values.")
        moved.append(_moved(matrix, np.array([places[name] for name in names], dtype=np.int64), len(genes)))
        totals.append(np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel())
    if not parts or not sum(map(len, totals)):
        raise UserError("cells: there is none; give files with cells.")
    return CellCorpus(sparse.vstack(moved, format="csr"), genes, np.concatenate(totals))


def choose_genes(corpus: CellCorpus, most: int, first: Sequence[str] = ()) -> list[str]:
    """At most `most` genes: those of `first` that some cell has, then those that most cells have (ties by name)."""
    cells = np.diff(corpus.counts.tocsc().indptr)
    seen = {gene: int(count) for gene, count in zip(corpus.genes, cells, strict=True) if count}
    if not seen:
        raise UserError("cells: none of them has a gene that is expressed; give other cells.")
    wanted = [gene for gene in dict.fromkeys(first) if gene in seen]
    others = sorted(seen.keys() - set(wanted), key=lambda gene: (-seen[gene], gene))
    return [*wanted, *others][:most]


def held_out(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells to train on, and those held out: a random `share` of them, at least one of each."""
    order = np.random.default_rng([seed, 0]).permutation(count)
    cut = min(max(1, round(share * count)), count - 1)
    return np.sort(order[cut:]), np.sort(order[:cut])
