"""What of a variant set is held out together: whole chromosomes, or blocks of neighbours where these are few."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError

FEWEST_CHROMOSOMES = 3
BLOCKS = 5  # of a set with fewer chromosomes
CONTIGS = ("chromosome", "contig")  # columns that say where a variant lies, the first that is there
INNER = 3  # folds at most within the training variants, by which settings are chosen

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Folds:
    """Names [n] of the fold that holds each variant out; `kind`: chromosome, block or group.

    Blocks are neighbours on a chromosome, so a training variant whose window reaches into that of one held out is left
    out: `places` [n] are positions by which `gap` bases are kept, and `contigs` [n] their chromosomes.
    """

    names: NDArray[np.str_]
    kind: str
    contigs: NDArray[np.str_]
    places: NDArray[np.int64]
    gap: int = 0

    @property
    def each(self) -> list[str]:
        """Names of the folds, sorted."""
        return [str(name) for name in np.unique(self.names)]

    def training(self, held_out: Mask) -> Mask:
        """Variants [n] that may be learned from when these are held out."""
        rest = ~held_out
        if self.gap:
            for contig in np.unique(self.contigs[held_out]):
                there, known = self.contigs == contig, np.sort(self.places[held_out & (self.contigs == contig)])
                right = np.searchsorted(known, self.places[there]).clip(0, len(known) - 1)
                nearest = np.minimum(*(np.abs(self.places[there] - known[i]) for i in (right, (right - 1).clip(0))))
                rest[there] &= nearest >= self.gap
        return rest

    def inner(self, training: Mask) -> list[Mask]:
        """Parts [n] of the training variants, each held out in turn: whole folds, dealt out to at most `INNER` of them,
        the largest first."""
        names, sizes = np.unique(self.names[training], return_counts=True)
        parts: list[list[str]] = [[] for _ in range(min(INNER, len(names)))]
        totals = [0] * len(parts)
        for place in np.argsort(-sizes, kind="stable"):
            least = int(np.argmin(totals))
            parts[least].append(str(names[place]))
            totals[least] += int(sizes[place])
        return [training & np.isin(self.names, part) for part in parts]


def held_out_folds(frame: pd.DataFrame) -> Folds:
    """Folds of a variant set: each chromosome; with fewer than three, blocks of neighbours; without positions, groups.

    Of groups there are at most `BLOCKS` folds, each of whole ones. `UserError` where there is but one to hold out.
    """
    column = next((name for name in CONTIGS if name in frame.columns and frame[name].notna().all()), None)
    contigs = np.array([""] * len(frame)) if column is None else frame[column].astype(str).to_numpy(dtype=np.str_)
    none = np.zeros(len(frame), dtype=np.int64)
    if len(np.unique(contigs)) >= FEWEST_CHROMOSOMES:
        return Folds(contigs, "chromosome", contigs, none)
    if column is not None and "position" in frame.columns:
        places = frame["position"].to_numpy(dtype=np.int64)
        numbers = _cut([f"{contig}:{place:012d}" for contig, place in zip(contigs, places, strict=True)])
        longest = int(frame["sequence"].str.len().max())
        return _checked(Folds(_named("block", numbers), "block", contigs, places, longest))
    groups = frame["group"].where(frame["group"].notna(), frame["id"]).astype(str)
    return _checked(Folds(_named("groups", _cut(groups.tolist())), "group", contigs, none))


def _cut(keys: Sequence[str]) -> NDArray[np.int64]:
    """Number [n] of the block of each key: about as many items in each, in the order of keys, equal ones together."""
    _, inverse, counts = np.unique(np.array(keys), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    numbers = np.minimum(BLOCKS - 1, (middle * BLOCKS / len(keys)).astype(np.int64))
    return np.unique(numbers[inverse.reshape(-1)], return_inverse=True)[1].reshape(-1)


def _named(word: str, numbers: NDArray[np.int64]) -> NDArray[np.str_]:
    return np.array([f"{word} {number + 1}" for number in numbers], dtype=np.str_)


def _checked(folds: Folds) -> Folds:
    if len(folds.each) < 2:
        raise UserError("variants: all lie at one place, so none can be held out; give a set with more of them.")
    return folds
