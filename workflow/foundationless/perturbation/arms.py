"""Arms of an embedding of genes: the vectors as they are, dealt to other genes, or random of the same size and shape.

Every arm of a model has the same genes, dimensions and scale. Under the reading `as_in_paper` the random arm is the
paper's instead: standard normal vectors of ten dimensions, one draw for each split.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.perturbation.linear import DIMS, components
from foundationless.perturbation.vectors import GeneVectors

Floats = NDArray[np.float64]

SAME = ("pretrained", "copy", "baseline")  # arms whose vectors stand as they are
_PAPER = 77  # the third word of the paper-like draws' seed


def align(vectors: GeneVectors, genes: Sequence[str], symbols: Sequence[str]) -> Floats:
    """Vectors [n, dims] of these genes, NaN where there is none; a file that knows none of them is a `UserError`.

    Names are compared as the file's namespace says: symbols with `symbols`, all others with `genes`.
    """
    row = {name: place for place, name in enumerate(vectors.genes)}
    names = symbols if vectors.namespace == "symbol" else genes
    places = np.array([row.get(name, -1) for name in names])
    if not len(places) or (places < 0).all():
        raise UserError(
            f"the vectors of {vectors.source} name genes by {vectors.namespace} ({vectors.genes[0]}, …), and none is "
            f"among {names[0] if names else 'no genes'}, …; translate their names when they are imported."
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
    """The arm as the paper had it, of vectors [n, dims] of all genes, those without one NaN.

    `seed`: split and draw, which give so many standard normal `matrices` of ten dimensions, however wide the vectors
    are, and then a permutation. `random` is the matrix at `place`, `permuted` has the rows in that order. The other
    arms are those of `make_arm`.
    """
    generator = np.random.default_rng([*seed, _PAPER])
    drawn = [generator.standard_normal((len(vectors), DIMS)) for _ in range(matrices)]
    if init == "random":
        return drawn[place]
    return vectors[generator.permutation(len(vectors))] if init == "permuted" else make_arm(vectors, init, seed)
