"""A checkpoint proves itself: the embedding of a short sequence, computed here, against the one that is published.

The list `known_embeddings.json` holds, for some published checkpoints, a sequence, its token ids, and norm and first
values of the embedding that the official code gave with the very weights (made by `make_known_embeddings.py` beside
it). A checkpoint is one of them where it has their repository and revision, or a weight file with their SHA-256.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.pooling import pool
from foundationless.models.tokenizers import Tokenizer
from foundationless.runtime.files import read_json, sha256

# Largest difference, relative to the embedding's norm, that counts as agreement. Rounding in float32 moves a network of
# 40 layers by some 1e-5; the mildest misreading that the golden sets show, another GELU, by 1e-3.
TOLERANCE = 1e-4
WEIGHTS = ("*.safetensors", "*.bin", "*.ckpt")


@dataclass(frozen=True)
class Known:
    """An embedding that is published.

    `files`: name -> (size in bytes, SHA-256) of the weight files it was computed from. `input_ids`: None where only the
    `sequence` is told. `pooling`: of `models.pooling.pool`, over all tokens. `values`: the first of `n`; `norm`: of
    all.
    """

    repository: str
    revision: str
    files: Mapping[str, tuple[int | None, str]]
    sequence: str | None
    input_ids: tuple[int, ...] | None
    pooling: str
    n: int
    norm: float
    values: tuple[float, ...]


def read_known(path: Path) -> list[Known]:
    """The published embeddings of a list; none where it is not there (it does not come with an installed package)."""
    if not path.is_file():
        return []
    rows: Sequence[Mapping[str, Any]] = read_json(path)
    return [
        Known(
            **{
                **row,
                "files": {name: (size, checksum) for name, (size, checksum) in row["files"].items()},
                "input_ids": None if row["input_ids"] is None else tuple(row["input_ids"]),
                "values": tuple(row["values"]),
            }
        )
        for row in rows
    ]


def find_known(known: Iterable[Known], source: str, checksums: Iterable[str]) -> Known | None:
    """The entry of `source` (REPOSITORY@REVISION), or of a weight file's SHA-256."""
    present = set(checksums)
    for row in known:
        if source == f"{row.repository}@{row.revision}" or present & {checksum for _, checksum in row.files.values()}:
            return row
    return None


def weight_checksums(directory: Path, known: Iterable[Known]) -> list[str]:
    """SHA-256 of the weight files in a directory whose size is one of those known: others need not be read."""
    sizes = {size for row in known for size, _ in row.files.values()}
    files = sorted(path for pattern in WEIGHTS for path in directory.glob(pattern))
    return [sha256(path) for path in files if None in sizes or path.stat().st_size in sizes]


def prove(model: GenomicModel, tokenizer: Tokenizer | None, row: Known, where: str) -> float:
    """How far the embedding of `row` is from the one computed here, relative to its norm.

    The larger of the greatest difference of a value and of the norms. `UserError` beyond `TOLERANCE`, and where the
    embedding cannot be computed.
    """
    ids = row.input_ids
    if ids is None:
        if tokenizer is None or row.sequence is None:
            raise UserError(f"{where}: the known embedding is of a text, and there is no tokenizer to read it with.")
        ids = tuple(int(token) for token in tokenizer.encode(row.sequence))
    if max(ids, default=0) >= model.vocabulary_size or not 0 < len(ids) <= model.max_tokens:
        raise UserError(f"{where}: the known sequence has ids that this model does not; the weights are others.")
    tokens = torch.tensor([ids], device=next(model.parameters()).device)
    with torch.no_grad():
        hidden = model.eval().encode(tokens, torch.ones_like(tokens) if model.padding == "mask" else None)
        vector = pool(hidden, torch.ones_like(tokens), row.pooling)[0].double().cpu().numpy()
    if len(vector) != row.n:
        raise UserError(f"{where}: its embeddings have {len(vector)} values, the published one has {row.n}.")
    first = np.abs(vector[: len(row.values)] - np.array(row.values)).max()
    apart = float(max(first, abs(np.linalg.norm(vector) - row.norm)) / row.norm)
    if not apart <= TOLERANCE:
        text = row.sequence or "the known token ids"
        raise UserError(
            f"{where}: the embedding of {text} is {apart:.1g} of its norm from the one that {row.repository} gives at "
            f"{row.revision[:12]}; these are other weights, or they are read as another function than the published."
        )
    return apart


def check_known(
    known: Sequence[Known],
    model: GenomicModel,
    tokenizer: Tokenizer | None,
    source: str,
    checksums: Iterable[str],
    where: str,
) -> tuple[str, dict[str, Any]]:
    """A sentence on whether the loaded model gives its published embedding, and the same as facts of a card.

    The facts are empty where nothing is known of it; `UserError` where it is known and does not agree.
    """
    row = find_known(known, source, checksums)
    if row is None:
        return f"{where}: no published embedding of this checkpoint is known here; nothing to compare with.", {}
    apart = prove(model, tokenizer, row, where)
    facts = {
        "repository": row.repository,
        "revision": row.revision,
        "sequence": row.sequence or json.dumps(row.input_ids),
        "agrees_to": float(f"{apart:.1g}"),
    }
    return f"{where}: agrees to {apart:.0e} with the embedding that is published for {row.repository}.", facts
