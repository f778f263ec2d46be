"""Vectors and scores that another program computed, held to their card and to the sequence set that they are of.

A Parquet file has a row per sequence: `id`, and a list column of floating-point numbers per pooling, or a column
`score`. Its card lies beside it as JSON or YAML (`outside.schema.yaml`): whose model it is, and what it was computed
from. What does not fit is a `UserError` that names the file and the id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundationless.errors import UserError
from foundationless.runtime.files import sha256
from foundationless.study.config import check_schema, read_schema, read_yaml
from foundationless.study.names import parse_task
from foundationless.tasks.exports import checksum, exported
from foundationless.tasks.sequence_sets import read_sequences

# What a record says of an arm's origin; the hashes of the card stand among the record's own.
TOLD = ("by", "model", "revision", "command", "higher", "note")
UNKNOWN = {"seconds": None, "tokens": None}  # what it cost: nobody counted it here


@dataclass(frozen=True)
class Outside:
    """A file of an arm from outside with its card, and the sequence set that both are of.

    `frame`: all columns of the set. `table`: the rows of the file in the order of `frame`.
    """

    path: Path
    card: Mapping[str, Any]
    card_path: Path
    frame: pd.DataFrame
    table: pa.Table

    @property
    def parameters(self) -> int:
        """Numbers that the network has; 0 of a baseline that does not say it."""
        return int(self.card.get("parameters", 0))

    @property
    def origin(self) -> dict[str, Any]:
        """What a record's settings say of where it comes from: `outside_by`, `outside_model`, …"""
        return {f"outside_{key}": self.card[key] for key in TOLD if key in self.card}

    @property
    def hashes(self) -> dict[str, str]:
        """What stands for the hashes of weights in a record: those of the card, and of the file that it vouches for."""
        return {"card": sha256(self.card_path), "weights": str(self.card["sha256"])}


def read_outside(path: Path, card_path: Path, sequences: Path, identity: Mapping[str, Any], strict: bool) -> Outside:
    """Read an arm's file and its card and hold them to each other, to the cell and to the sequence set.

    Args:
        path: the Parquet file.
        card_path: its card.
        sequences: the sequence set.
        identity: task, init and seed of the cell that it is for.
        strict: whether the set may hold no other letters than A, C, G, T, N.
    """
    card = _read_card(card_path)
    task, init = parse_task(identity["task"]).base_task, identity["init"]
    told = [("arm", init), ("task", task)] + [("seed", identity["seed"])] * (init == "random")
    for key, wanted in told:
        if card[key] != wanted:
            raise UserError(f"{card_path}: the card says {key} {card[key]}, and the study reads it as {wanted}.")
    if not path.is_file():
        raise UserError(f"{path}: no such file; compute it from what export_sequences writes for task {task}.")
    if sha256(path) != card["sha256"]:
        raise UserError(
            f"{path}: its SHA-256 is not the one of its card {card_path}; write the card of this very file."
        )
    frame = read_sequences(sequences, strict_alphabet=strict)
    if checksum(exported(frame)) != card["sequences_sha256"]:
        raise UserError(
            f"{path}: it was computed from other sequences than {sequences} holds (sequences_sha256 of {card_path}); "
            "export the set again, and compute it from that."
        )
    return Outside(path, card, card_path, frame, _arrange(path, _read_table(path), frame))


def _read_card(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; a file from outside needs its card beside it, as .json or .yaml.")
    card = read_yaml(path)  # JSON is YAML
    if not isinstance(card, dict):
        raise UserError(f"{path}: not a card; it holds no keys and values.")
    check_schema(card, read_schema("outside"), str(path))
    return card


def _read_table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a Parquet file ({' '.join(str(error).split())[:200]}).") from None
    if "id" not in table.column_names:
        raise UserError(f"{path}: no column 'id'; it has {', '.join(table.column_names) or 'none'}.")
    kind = table.schema.field("id").type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise UserError(f"{path}: column 'id' holds {kind}, not text; write ids as they were exported.")
    return table


def _arrange(path: Path, table: pa.Table, frame: pd.DataFrame) -> pa.Table:
    """Rows in the order of `frame`; every id of it once and no other."""
    ids = table["id"].to_pylist()
    if None in ids:
        raise UserError(f"{path}: row {ids.index(None) + 1} has no id.")
    place = {name: row for row, name in enumerate(ids)}
    if len(place) < len(ids):
        twice = next(name for row, name in enumerate(ids) if place[name] != row)
        raise UserError(f"{path}: id '{twice}' stands there more than once.")
    wanted = frame["id"].tolist()
    if missing := [name for name in wanted if name not in place]:
        raise UserError(
            f"{path}: no row of id '{missing[0]}', which the sequence set has ({len(missing)} are missing)."
        )
    if len(ids) > len(wanted):
        other = sorted(place.keys() - set(wanted))
        raise UserError(f"{path}: id '{other[0]}' is none of the sequence set ({len(other)} such rows).")
    return table.take(pa.array([place[name] for name in wanted], pa.int64()))


def vectors_of(arm: Outside, poolings: Sequence[str]) -> dict[str, np.ndarray]:
    """{pooling: float32 [n, width]} in the order of the set; what is no vector of finite numbers is a `UserError`."""
    return {name: _matrix(arm, name) for name in poolings}


def _matrix(arm: Outside, name: str) -> np.ndarray:
    column = _column(arm, name, "poolings")
    kind = column.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not listed or not pa.types.is_floating(kind.value_type):
        raise UserError(f"{arm.path}: column '{name}' holds {kind}, not lists of floating-point numbers.")
    ids, lengths = arm.frame["id"].tolist(), pc.fill_null(pc.list_value_length(column), 0).to_pylist()
    usual = max(set(lengths), key=lengths.count)
    if odd := [row for row, length in enumerate(lengths) if length != usual or not length]:
        had, wanted = lengths[odd[0]], usual or "more"
        raise UserError(f"{arm.path}: id '{ids[odd[0]]}' has {had} numbers in '{name}', where {wanted} belong.")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        matrix: np.ndarray = np.asarray(flat).astype(np.float32).reshape(len(ids), usual)
    _check_finite(arm, name, np.isfinite(matrix).all(axis=1))
    return matrix


def scores_of(arm: Outside) -> np.ndarray:
    """Scores of the variants of a set, float64 [n], higher where a variant is the more damaging."""
    if "higher" not in arm.card:
        raise UserError(f"{arm.card_path}: the card does not say what a higher score means; add higher.")
    column = _column(arm, "score", "")
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise UserError(f"{arm.path}: column 'score' holds {kind}, not numbers.")
    scores: np.ndarray = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    _check_finite(arm, "score", np.isfinite(scores))
    return scores if arm.card["higher"] == "damaging" else -scores


def _column(arm: Outside, name: str, key: str) -> pa.Array:
    if name not in arm.table.column_names:
        known = ", ".join(column for column in arm.table.column_names if column != "id") or "none beside the ids"
        more = f", or name those of the file in the model's {key}" if key else ""
        raise UserError(f"{arm.path}: no column '{name}'; it has {known}. Add it{more}.")
    return arm.table[name].combine_chunks()


def _check_finite(arm: Outside, name: str, finite: np.ndarray) -> None:
    if not finite.all():
        row = int(finite.argmin())
        raise UserError(
            f"{arm.path}: id '{arm.frame['id'].iloc[row]}' has in '{name}' what is no finite number (of float32)."
        )
