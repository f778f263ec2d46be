"""Vectors of genes: what a model, a table or a screen says of each gene, and where it came from."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path

METADATA = b"foundationless"


@dataclass(frozen=True)
class GeneVectors:
    """One vector a gene; `namespace` says what the names of genes are."""

    genes: tuple[str, ...]
    matrix: NDArray[np.float32]  # [genes, dims]
    namespace: str
    source: str


def write_vectors(path: Path, vectors: GeneVectors, **about: object) -> None:
    """Write vectors with what is known `about` them (such as sha256), whole or not at all."""
    size, dims = vectors.matrix.shape
    if len(vectors.genes) != size or len(set(vectors.genes)) != size or not size or not dims:
        raise UserError(f"{path}: vectors need one name for each gene, and none twice.")
    if not np.isfinite(vectors.matrix).all():
        raise UserError(f"{path}: a vector has missing or infinite numbers.")
    said = {"dims": dims, "source": vectors.source, "namespace": vectors.namespace, **about}
    flat = pa.array(np.ascontiguousarray(vectors.matrix, dtype=np.float32).reshape(-1), pa.float32())
    lists = pa.ListArray.from_arrays(pa.array(np.arange(size + 1, dtype=np.int32) * dims), flat)
    schema = pa.schema([("gene", pa.string()), ("vector", lists.type)], metadata={METADATA: json.dumps(said).encode()})
    with atomic_path(path) as part:
        table = pa.Table.from_arrays([pa.array(vectors.genes, pa.string()), lists], schema=schema)
        pq.write_table(table, part, compression="zstd")


def read_vectors(path: Path) -> GeneVectors:
    """Read what `write_vectors` wrote; a file that is none is a `UserError`."""
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[METADATA])
        matrix = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), int(about["dims"]))
        genes = tuple(table["gene"].to_pylist())
        if None in genes:
            raise ValueError("a gene without a name")
        return GeneVectors(genes, matrix.astype(np.float32), about["namespace"], about["source"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; import_genes or embed_genes makes it.") from None
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: holds no vectors of genes ({said}); make it again.") from None
