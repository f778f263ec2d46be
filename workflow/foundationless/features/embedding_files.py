"""Embedding files, one vector per sequence and pooling: what `embed` writes and `probe` reads, without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path
from foundationless.study.names import parse_task

METADATA = b"foundationless"


def write_embeddings(path: Path, ids: Sequence[str], vectors: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write `id` and one fixed-size list<float32> column per pooling (and layer); `facts` become metadata, as JSON.

    Columns are written one after the other, so that vectors which lie in a file are never in memory at once.
    """
    columns: dict[str, pa.Array] = {"id": pa.array(list(ids), pa.string())}
    for name, matrix in vectors.items():
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel(), pa.float32()), matrix.shape[1])
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(facts).encode()})
    with atomic_path(path) as part:
        pq.write_table(table, part, compression="zstd")


def read_embeddings(path: Path, poolings: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray], dict[str, Any]]:
    """Read (ids, {pooling: float32 [n, width]}, facts) as `write_embeddings` wrote them."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; an embedding file is a Parquet file.")
    table = _read_columns(path, ["id", *poolings])
    vectors = {name: _vectors(path, table, name) for name in poolings}
    ids = table.column("id").to_pylist()
    if len(set(ids)) < len(ids):
        raise UserError(f"{path}: an id stands there more than once; embed the set again.")
    try:
        facts = json.loads(table.schema.metadata[METADATA])
        _ = [facts[key] for key in ("parameters", "max_tokens", "precision")]
        _ = [facts["cost"][key] for key in ("seconds", "tokens")]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: does not say how it was embedded; run embed again.") from None
    return ids, vectors, facts


def read_vectors(path: Path, column: str) -> np.ndarray:
    """One column of an embedding file: float32 [n, width]; errors as of `read_embeddings`."""
    return _vectors(path, _read_columns(path, [column]), column)


def _read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        schema = pq.read_schema(path)
        table = pq.read_table(path, columns=[name for name in dict.fromkeys(columns) if name in schema.names])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not an embedding file ({error}); run embed again.") from None
    absent = sorted(set(columns) - set(schema.names))
    if absent or METADATA not in (schema.metadata or {}):
        raise UserError(f"{path}: holds no '{', '.join(absent) or 'cost of the embedding'}'; run embed with it.")
    return table


def _vectors(path: Path, table: pa.Table, name: str) -> np.ndarray:
    kind = table.schema.field(name).type
    if not pa.types.is_fixed_size_list(kind) or not pa.types.is_floating(kind.value_type) or not len(table):
        raise UserError(f"{path}: column '{name}' holds no vectors; run embed again.")
    column = table.column(name).combine_chunks()
    if column.null_count:
        raise UserError(f"{path}: column '{name}' lacks vectors; run embed again.")
    vectors: np.ndarray = column.flatten().to_numpy().reshape(len(column), -1)
    return vectors


def of_embedding(task: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of a job that reads an embedding says of it: `cost` and whose it is, under the key `embedding`.

    `facts` are those of `read_embeddings`; derived sets of `task` read its own embedding.
    """
    whose = {key: facts[key] for key in ("model", "init", "seed") if key in facts}
    return {"embedding": {"task": parse_task(task).base_task, **whose, **facts["cost"]}}


def of_vectors(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the settings of such a record say of its vectors: of another program's, and of ours where they are pooled
    over `chunks` as over one input."""
    return {**facts.get("outside", {}), **{key: facts[key] for key in ("chunks",) if key in facts}}


def hashes_of_weights(facts: Mapping[str, Any]) -> dict[str, str]:
    """The hashes of the weights that an embedding was made with, for the record of a job that reads it.

    An embedding of before says none.
    """
    return {str(name): str(value) for name, value in facts.get("hashes", {}).items()}
