"""Arms of an embedding of genes: the vectors as they are, dealt to other genes, or random of the same size and shape.

Every arm of a model has the same genes, dimensions and scale. Under the reading `as_in_paper` the random arm is the
paper's instead: standard normal vectors of ten dimensions, one draw for each split.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.perturbation.gene_names import NameTable, match
from foundationless.perturbation.linear import DIMS, components
from foundationless.perturbation.vectors import GeneVectors

Floats = NDArray[np.float64]

SAME = ("pretrained", "copy", "baseline")  # arms whose vectors stand as they are
_PAPER = 77  # the third word of the paper-like draws' seed


def align(vectors: GeneVectors, genes: Sequence[str], symbols: Sequence[str], table: NameTable | None = None) -> Floats:
    """Vectors [n, dims] of these genes, NaN where there is none; a file that knows none of them is a `UserError`.

    Genes are found by id, else by symbol (of vectors that are named by symbols the other way round), else by any name
    that `table` knows them by.
    """
    both = [symbols, genes] if vectors.namespace == "symbol" else [genes, symbols]
    places = np.full(len(genes), -1, dtype=np.int64)
    for names, translated in [(each, known) for known in (None, table) for each in both]:
        if (places < 0).any():
            places = np.where(places < 0, match(names, vectors.genes, translated).places, places)
    if (places < 0).all():
        raise UserError(
            f"the vectors of {vectors.source} name genes by {vectors.namespace} ({vectors.genes[0]}, …), and none is "
            f"among {both[0][0] if genes else 'no genes'}, …; give a table that translates names with --names."
        )
    found: Floats = np.asarray(vectors.matrix.astype(np.float64)[places])
    found[places < 0] = np.nan
    return found


def reduce_dims(vectors: Floats, dims: int) -> Floats:
    """Vectors as principal components, centred over the genes that have one and of mean square 1; the others NaN.

    With `dims` 0, or as many as there are columns, the columns stay, centred and scaled alike.
    """
    known = np.isfinite(vectors).all(axis=1)
    some = vectors[known]
    short = components(some, dims) if 0 < dims < some.shape[1] else some - some.mean(axis=0)
    size = np.sqrt(np.mean(short**2))
    found = np.full((len(vectors), short.shape[1]), np.nan)
    found[known] = short / (size if size > 0 else 1.0)
    return found


def make_arm(vectors: Floats, init: str, seed: Sequence[int]) -> Floats:
    """The arm `init` of vectors [n, dims]; genes without one (NaN) have none in any arm.

    `pretrained` and `copy`: as they are. `permuted`: rows dealt to other genes. `random`: normal, with mean and
    deviation of each column. `spectrum`: random directions on both sides between the same singular values, about the
    same mean. Others are a `UserError`.
    """
    if init in SAME:
        return vectors
    known = np.isfinite(vectors).all(axis=1)
    some = vectors[known]
    if len(some) < 2:
        raise UserError(f"--init {init}: {len(some)} genes have a vector, and an arm needs two; borrow other vectors.")
    generator = np.random.default_rng([*seed, zlib.crc32(init.encode())])
    if init == "permuted":
        drawn = some[generator.permutation(len(some))]
    elif init == "random":
        drawn = some.mean(axis=0) + some.std(axis=0) * generator.standard_normal(some.shape)
    elif init == "spectrum":
        drawn = some.mean(axis=0) + _same_spectrum(some - some.mean(axis=0), generator)
    else:
        raise UserError(f"--init {init}: no arm of vectors; use pretrained, copy, permuted, random or spectrum.")
    found = np.full(vectors.shape, np.nan)
    found[known] = drawn
    return found


def _same_spectrum(centred: Floats, generator: np.random.Generator) -> Floats:
    """A matrix with the singular values of this one, columns that sum to zero, and else random directions."""
    values = np.linalg.svd(centred, compute_uv=False)
    count, dims = centred.shape
    rank = min(count - 1, dims)
    left = generator.standard_normal((count, rank))
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    right, _ = np.linalg.qr(generator.standard_normal((dims, rank)))
    return np.asarray((left * values[:rank]) @ right.T, dtype=np.float64)


def paper_arm(vectors: Floats, init: str, seed: Sequence[int], place: int, matrices: int) -> Floats:
    """The arm as the paper had it, of vectors [n, dims] of all genes, NaN where there is none.

    `seed`: split and draw, which give so many standard normal `matrices` of ten dimensions, however wide the vectors
    are, and then a permutation. `random` is the matrix at `place`, and every gene has a row of it; `permuted` has the
    rows of the genes that have one in that order. The other arms are those of `make_arm`.
    """
    generator = np.random.default_rng([*seed, _PAPER])
    drawn = [generator.standard_normal((len(vectors), DIMS)) for _ in range(matrices)]
    if init == "random":
        return drawn[place]
    if init != "permuted":
        return make_arm(vectors, init, seed)
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    found = np.full(vectors.shape, np.nan)
    found[known] = vectors[known][generator.permutation(len(known))]
    return found
