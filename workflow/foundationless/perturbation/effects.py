"""A screen's effects: mean expression of each condition, and of two halves of its replicates, in one Parquet file."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path

KINDS = ("control", "single", "double", "multiple")
DIRECTIONS = ("activation", "knockdown", "knockout", "unknown")
METADATA = b"foundationless"
_LISTS = pa.list_(pa.float32())
_SCHEMA = pa.schema(
    [
        ("condition", pa.string()),
        ("targets", pa.list_(pa.string())),
        ("kind", pa.string()),
        ("direction", pa.string()),
        ("cells", pa.int64()),
        ("mean", _LISTS),
        ("half_a", _LISTS),
        ("half_b", _LISTS),
    ]
)


@dataclass(frozen=True)
class Effects:
    """Conditions in the source's order, one of them the control; `halves` are NaN where there is one replicate."""

    conditions: tuple[str, ...]
    targets: tuple[tuple[str, ...], ...]  # ids as among `genes`, where they are read out
    kinds: tuple[str, ...]
    directions: tuple[str, ...]
    cells: NDArray[np.int64]  # [conditions]
    means: NDArray[np.float32]  # [conditions, genes]
    halves: NDArray[np.float32] | None  # [2, conditions, genes]
    genes: tuple[str, ...]
    symbols: tuple[str, ...]
    values: str
    source: str

    @property
    def control(self) -> NDArray[np.float64]:
        """Mean expression of the control [genes]."""
        return np.asarray(self.means[self.kinds.index("control")], dtype=np.float64)

    @property
    def singles(self) -> NDArray[np.int64]:
        """Places of the conditions with one target."""
        return self._of("single")

    @property
    def doubles(self) -> NDArray[np.int64]:
        """Places of the conditions with two targets."""
        return self._of("double")

    def _of(self, kind: str) -> NDArray[np.int64]:
        return np.array([place for place, own in enumerate(self.kinds) if own == kind], dtype=np.int64)


def write_effects(path: Path, effects: Effects) -> None:
    """Write the effects, whole or not at all."""
    _check(effects, str(path))
    about = {name: getattr(effects, name) for name in ("genes", "symbols", "values", "source")}
    columns = [
        pa.array(effects.conditions, pa.string()),
        pa.array([list(names) for names in effects.targets], _SCHEMA.field("targets").type),
        pa.array(effects.kinds, pa.string()),
        pa.array(effects.directions, pa.string()),
        pa.array(effects.cells, pa.int64()),
        _lists(effects.means),
        *(_lists(None if effects.halves is None else half, len(effects.means)) for half in _both(effects.halves)),
    ]
    schema = _SCHEMA.with_metadata({METADATA: json.dumps(about).encode()})
    with atomic_path(path) as part:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), part, compression="zstd")


def _both(halves: NDArray[np.float32] | None) -> list[NDArray[np.float32] | None]:
    return [None, None] if halves is None else [halves[0], halves[1]]


def _lists(rows: NDArray[np.float32] | None, count: int = 0) -> pa.Array:
    """Rows as lists; a row of NaN, or no rows at all, as null."""
    if rows is None:
        return pa.nulls(count, _LISTS)
    missing = np.isnan(rows).any(axis=1)
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    flat = pa.array(np.ascontiguousarray(rows, dtype=np.float32).reshape(-1), pa.float32())
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(missing) if missing.any() else None)


def read_effects(path: Path) -> Effects:
    """Read what `write_effects` wrote; a file that is none is a `UserError`."""
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[METADATA])
        if missing := [name for name in _SCHEMA.names if name not in table.column_names]:
            raise KeyError(missing[0])
        size = len(about["genes"])
        halves = np.stack([_matrix(table[name], size) for name in ("half_a", "half_b")])
        effects = Effects(
            conditions=tuple(table["condition"].to_pylist()),
            targets=tuple(tuple(names) for names in table["targets"].to_pylist()),
            kinds=tuple(table["kind"].to_pylist()),
            directions=tuple(table["direction"].to_pylist()),
            cells=table["cells"].to_numpy().astype(np.int64),
            means=_matrix(table["mean"], size),
            halves=None if np.isnan(halves).all() else halves,
            genes=tuple(about["genes"]),
            symbols=tuple(about["symbols"]),
            values=about["values"],
            source=about["source"],
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; build_effects makes it.") from None
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: holds no effects as build_effects writes them ({said}); make it again.") from None
    _check(effects, str(path))
    return effects


def _matrix(column: pa.ChunkedArray, size: int) -> NDArray[np.float32]:
    """Lists of one length as rows, null as NaN."""
    rows = np.full((len(column), size), np.nan, dtype=np.float32)
    known = np.asarray(column.is_valid())
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    rows[known] = flat.reshape(int(known.sum()), size)
    return rows


def _check(effects: Effects, where: str) -> None:
    count, size = effects.means.shape
    if effects.kinds.count("control") != 1:
        raise UserError(f"{where}: {effects.kinds.count('control')} rows are control, and exactly one must be.")
    parts = (effects.conditions, effects.targets, effects.kinds, effects.directions, effects.cells)
    if any(len(part) != count for part in parts) or len(effects.genes) != size or len(effects.symbols) != size:
        raise UserError(f"{where}: conditions, genes and means are not of one size; make the file again.")
    for what, names in (("condition", effects.conditions), ("gene", effects.genes)):
        if len(set(names)) < len(names):
            raise UserError(f"{where}: a {what} stands there twice; make the file again.")
    if not np.isfinite(effects.means).all():
        raise UserError(f"{where}: a mean is missing or infinite; make the file again.")
