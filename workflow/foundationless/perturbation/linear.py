"""The linear model of the second paper: changes of genes by conditions ≈ G W Pᵀ + b, with G and P given.

G [genes, K] has a vector per read-out gene, P [conditions, L] one per condition. With b the mean change of each gene
over the training conditions, W = (GᵀG + λ I)⁻¹ Gᵀ (Y − b) P (PᵀP + μ I)⁻¹: a ridge on both sides. The paper has λ = μ =
0.1 and K = L = 10. Rows are conditions here, columns are genes; the control is the training row of zeros.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Floats = NDArray[np.float64]

STRENGTH = 0.1  # λ of the paper; also of the read-out side where validation chooses that of the targets
DIMS = 10  # K and L of the paper


class GeneScores:
    """Mean expression of conditions, whose training rows give genes a vector each: R's `prcomp` of genes × conditions.

    Every condition is centred over the genes and not scaled, so what its products with the others are does not depend
    on which of them train.
    """

    def __init__(self, means: Floats) -> None:
        self._centred = means - means.mean(axis=1, keepdims=True)
        self._products: Floats = self._centred @ self._centred.T

    def of(self, rows: NDArray[np.int64], dims: int) -> Floats:
        """The first principal components of these rows: [genes, dims], fewer where there are fewer rows."""
        dims = min(dims, len(rows), self._centred.shape[1])
        products = self._products[np.ix_(rows, rows)]
        _, directions = linalg.eigh(products, subset_by_index=[len(rows) - dims, len(rows) - 1])
        scores: Floats = self._centred[rows].T @ signed(directions[:, ::-1])
        return scores


def components(matrix: Floats, dims: int) -> Floats:
    """Rows as observations: their first principal components [n, dims], fewer where there are fewer columns."""
    centred = matrix - matrix.mean(axis=0)
    dims = min(dims, *centred.shape)
    short = centred if centred.shape[1] <= centred.shape[0] else centred.T
    values, vectors = linalg.eigh(short.T @ short, subset_by_index=[short.shape[1] - dims, short.shape[1] - 1])
    directions = vectors[:, ::-1]
    if short is centred:
        return np.asarray(centred @ signed(directions))
    return np.asarray(signed(directions) * np.sqrt(np.maximum(values[::-1], 0.0)))


def signed(directions: Floats) -> Floats:
    """Columns with their largest entry positive, for a direction has no sign of its own."""
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
    return np.asarray(directions * np.where(largest < 0, -1.0, 1.0))


@dataclass(frozen=True)
class Ridge:
    """A fitted model, before strengths are chosen: both sides are rotated so that a ridge divides by a number each.

    `core` [K, L] is what the training changes say in the rotated coordinates; `base` [genes] is b.
    """

    readout: Floats  # [genes, K], rotated
    readout_values: Floats  # [K], eigenvalues of GᵀG
    turn: Floats  # [L, L], rotation of P
    target_values: Floats  # [L], eigenvalues of PᵀP
    core: Floats
    base: Floats

    def predict(self, targets: Floats, strength: float, readout_strength: float = STRENGTH) -> Floats:
        """Changes [n, genes] of conditions with vectors `targets` [n, L]; `strength` is that of the targets' side."""
        weights = (targets @ self.turn) / (self.target_values + strength)
        changes: Floats = (weights @ self.core.T / (self.readout_values + readout_strength)) @ self.readout.T
        return changes + self.base


def fit(changes: Floats, readout: Floats, targets: Floats) -> Ridge:
    """Fit the model to training changes [n, genes] (the control among them) with G [genes, K] and P [n, L]."""
    base = changes.mean(axis=0)
    readout_values, first = _rotation(readout)
    target_values, second = _rotation(targets)
    rotated = readout @ first
    core = ((changes - base) @ rotated).T @ (targets @ second)
    return Ridge(rotated, readout_values, second, target_values, core, base)


def _rotation(matrix: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues, none negative, and eigenvectors of MᵀM."""
    values, vectors = linalg.eigh(matrix.T @ matrix)
    return np.maximum(values, 0.0), vectors
