"""What every tokenizer offers, and the arrays that all of them are made with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Side = Literal["left", "right"]
ROLES = ("pad", "unk", "mask", "cls", "sep", "bos", "eos")
_SPECIAL_SPAN = -1


class Tokenizer(Protocol):
    """What every tokenizer offers; `k` is the k-mer length, 1 for characters, None where tokens vary in length."""

    name: str
    size: int  # rows that the embedding table needs
    pad_id: int
    unknown_id: int | None
    mask_id: int | None
    cls_id: int | None
    sep_id: int | None
    padding_side: Side
    base_ids: dict[str, int]
    special_ids: frozenset[int]
    unknown_ids: frozenset[int]  # tokens that say no letter: [UNK], N, runs of N
    k: int | None
    folds_case: bool  # whether acgt are read as ACGT

    def encode(self, sequence: str, special: bool = True) -> np.ndarray:
        """Token ids (int64) of a sequence, with (`special`) or without the tokens put around it."""

    def spans(self, ids: np.ndarray, special: bool = True, sequence: str | None = None) -> np.ndarray:
        """Half-open nucleotide interval of each token, int64 [tokens, 2]; (-1, -1) for special tokens.

        `special` says how `ids` were encoded. Byte-pair tokenizers need the `sequence` too. A base may be
        covered by several tokens (overlapping k-mers) or by none (what a tokenizer drops).
        """


@dataclass(frozen=True)
class Specials:
    """Ids of special tokens: by role, those put `before` and `after` a sequence, and all of them (`every`)."""

    pad: int
    unknown: int | None
    mask: int | None = None
    cls: int | None = None
    sep: int | None = None
    before: int | None = None
    after: int | None = None
    every: frozenset[int] = frozenset()

    @classmethod
    def named(
        cls, vocabulary: Mapping[str, int], roles: Mapping[str, str], before: str | None, after: str | None
    ) -> "Specials":
        """Of the tokens that play each of `ROLES`; `before` and `after` are roles, or None."""
        ids = {role: vocabulary[token] for role, token in roles.items() if token in vocabulary}
        first, last = ids.get(before or ""), ids.get(after or "")
        unknown = ids.get("unk")
        pad = next(ids[role] for role in ("pad", "eos", "sep", "unk", "bos", "cls") if role in ids)
        every = frozenset({i for t, i in vocabulary.items() if is_marker(t)} | set(ids.values())) - {unknown}
        opens = ids["cls"] if "cls" in ids else ids.get("bos")
        closes = ids["sep"] if "sep" in ids else ids.get("eos")
        return cls(pad, unknown, ids.get("mask"), opens, closes, first, last, every)

    def size(self, ordinary: int) -> int:
        """Rows that a table needs whose ordinary tokens end before `ordinary`; markers that nothing emits need none."""
        used = (self.pad, self.unknown, self.mask, self.before, self.after)
        return max(ordinary, *(index + 1 for index in used if index is not None))


def is_marker(token: str) -> bool:
    """Whether a token is written as special ones are: <...>, [...]; <0x..> is a byte."""
    return len(token) > 2 and not token.startswith("<0x") and (token[0], token[-1]) in (("<", ">"), ("[", "]"))


def as_bytes(sequence: str) -> bytes:
    """One byte a character; what is not ASCII becomes "?", which no tokenizer knows."""
    return sequence.encode("ascii", "replace")


def room(count: int, before: int | None, after: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Ids with the special tokens in place, and the part of them, `count` long, that is to be filled."""
    start = int(before is not None)
    ids = np.empty(start + count + (after is not None), dtype=np.int64)
    if before is not None:
        ids[0] = before
    if after is not None:
        ids[-1] = after
    return ids, ids[start : start + count]


def edges_of(inside: np.ndarray) -> np.ndarray:
    """Starts and ends, by turns, of the stretches of True in a bool array."""
    padded = np.zeros(len(inside) + 2, dtype=bool)
    padded[1:-1] = inside
    edges: np.ndarray = (padded[1:] != padded[:-1]).nonzero()[0]
    return edges


def make_spans(count: int, ordinary: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    spans = np.full((count, 2), _SPECIAL_SPAN, dtype=np.int64)
    spans[ordinary, 0], spans[ordinary, 1] = starts, ends
    return spans
