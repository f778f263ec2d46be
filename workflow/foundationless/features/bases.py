"""Sequences as the classifiers read them that need more than counts: every base at its place.

A set is one array of base codes in which each sequence ends with a separator, so that no window runs from one sequence
into the next; a window that holds a separator or another letter than A, C, G, T is no word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from foundationless.errors import UserError

BASES = "ACGT"
OTHER = 4  # code of every other letter, and of the separator
WHOLE = 1024  # sequences of one length up to this are read at every position
REACH = 256  # of longer or unequal ones: so many positions from the start, around the centre and before the end
_CODES = np.full(256, OTHER, dtype=np.uint8)
_CODES[[ord(base) for base in BASES]] = range(4)
_BLOCK = 1 << 22  # bases looked at at once


def encode(sequence: str) -> np.ndarray:
    """Codes [length], uint8: A, C, G, T are 0 to 3, everything else 4."""
    codes: np.ndarray = _CODES[np.frombuffer(sequence.encode("ascii", "replace"), dtype=np.uint8)]
    return codes


@dataclass(frozen=True)
class Bases:
    """The sequences of a set: `codes` uint8 [all bases and a separator behind each sequence], `lengths` int64 [n]."""

    codes: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Find where each sequence begins."""
        object.__setattr__(self, "starts", np.concatenate([[0], np.cumsum(self.lengths + 1)]))

    def __len__(self) -> int:
        return len(self.lengths)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Rows [first, last) with their codes and, for every code, the row that it is of, a few million at a time."""
        first = 0
        while first < len(self):
            last = max(int(np.searchsorted(self.starts, self.starts[first] + _BLOCK, "right")) - 1, first + 1)
            owners = np.repeat(np.arange(first, last), self.lengths[first:last] + 1)
            yield slice(first, last), self.codes[self.starts[first] : self.starts[last]], owners
            first = last

    def text(self, row: int) -> str:
        """A sequence, with N for every letter that is none of A, C, G, T."""
        codes = self.codes[self.starts[row] : self.starts[row] + self.lengths[row]]
        return "".join("ACGTN"[code] for code in codes)


def bases(sequences: Sequence[str]) -> Bases:
    """The sequences themselves, for classifiers that read them; an empty one is a `UserError`."""
    if any(not sequence for sequence in sequences):
        raise UserError("baseline family 'bases': an empty sequence has no bases.")
    parts = [np.append(encode(sequence), np.uint8(OTHER)) for sequence in sequences]
    return Bases(np.concatenate(parts), np.array([len(sequence) for sequence in sequences], dtype=np.int64))


def words(codes: np.ndarray, longest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For k = 1 ... `longest`: the word (base 4) of the k codes that start at each position, and whether it is one."""
    known = codes < OTHER
    rolling = np.zeros(len(codes), dtype=np.int64)
    valid = np.ones(len(codes), dtype=bool)
    for k in range(1, longest + 1):
        size = max(len(codes) - k + 1, 0)
        rolling = rolling[:size] * 4 + (codes[k - 1 :] & 3)
        valid = valid[:size] & known[k - 1 :]
        yield rolling, valid


def spell(word: int, k: int) -> str:
    """Letters of a word of `k` bases."""
    return "".join(BASES[word >> 2 * (k - 1 - i) & 3] for i in range(k))


class Columns(NamedTuple):
    """Positions that all sequences share: codes uint8 [n, positions] (4: not there), their names, and their stretches.

    A name is a position counted from 1 (`17`), from the centre (`centre-3`) or from the end (`end-1` is the last base).
    `stretch` numbers, for each position, the run of neighbours that it stands in.
    """

    codes: np.ndarray
    names: list[str]
    stretch: np.ndarray


def align(read: Bases) -> Columns:
    """Sequences of one length position by position; longer or unequal ones at their start, centre and end.

    The centre is the base behind the middle (of 10 bases the sixth). Sequences shorter than a stretch leave its rest
    open, and a base of a short sequence may stand in two stretches.
    """
    lengths = read.lengths
    if lengths.min() == lengths.max() <= WHOLE:
        codes = read.codes.reshape(len(read), -1)[:, :-1]
        return Columns(codes, [str(i + 1) for i in range(codes.shape[1])], np.zeros(codes.shape[1], dtype=np.int64))
    steps = np.arange(REACH)
    around = steps - REACH // 2
    places = [
        np.broadcast_to(steps, (len(read), REACH)),
        lengths[:, None] // 2 + around,
        lengths[:, None] - REACH + steps,
    ]
    names = [str(i + 1) for i in steps] + [f"centre{i:+d}" for i in around] + [f"end-{REACH - i}" for i in steps]
    at = np.concatenate(places, axis=1)
    inside = (at >= 0) & (at < lengths[:, None])
    codes = np.where(inside, read.codes[np.where(inside, at, 0) + read.starts[:-1, None]], np.uint8(OTHER))
    return Columns(codes, names, np.repeat(np.arange(3), REACH))
