"""How the negatives of a set were made: what sequences of different labels share beyond chance.

*Shuffled twins* are two sequences with the same counts of all dinucleotides, the same ends, and fewer than 60 % equal
positions: what a shuffle that keeps dinucleotides leaves (Altschul and Erickson 1985, Mol. Biol. Evol. 2, 526).
*Positional twins* are two sequences of one length that agree at 40 % of their positions or more and hold at least three
equal 12-mers at equal places: what is left where segments of a positive are replaced (Oubounyt et al. 2019,
doi:10.3389/fgene.2019.00286, keep 8 of 20); unrelated DNA agrees at 25 to 30 %. The definitions and their numbers are
those of seqleak 0.4.1 (doi:10.5281/zenodo.23605245), which the tests compare with pair by pair; the code is ours.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

SHORTEST, LONGEST = 20, 2000  # bases of sequences in which twins and places are looked for
UNLIKE, ALIKE = 0.6, 0.4  # equal positions: shuffled twins have fewer, positional ones no fewer
WORD, WORDS = 12, 3  # length and least number of the k-mers that positional twins hold at equal places
FAMILY, HEAP = 20, 50  # a word at one place, and a composition, that more sequences share is no sign of a pair
SEGMENT, CARRIED = 21, 0.05  # bases of a constant segment, and the least share of sequences that hold it
MOST_SEGMENTS = 64
SITE = 0.95  # share of a class that holds the site which defines it
END = 100  # bases at either end by which sequences of different lengths are laid out
_PENDING = 1 << 22
_CODES = np.full(256, 4, dtype=np.uint8)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = [0, 1, 2, 3]


def encoded(sequences: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Letters of all sequences on end (A, C, G, T are 0 to 3, others 4), and where each starts [n + 1]."""
    codes = _CODES[np.frombuffer("".join(sequences).encode("ascii", "replace"), dtype=np.uint8)]
    return codes, np.concatenate([[0], np.cumsum([len(text) for text in sequences])]).astype(np.int64)


def composition(sequences: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each of A, C, G, T stands in each sequence [n, 4], and each dinucleotide, AA to TT [n, 16]."""
    bases, pairs = [np.zeros((0, 4), dtype=np.int64)], [np.zeros((0, 16), dtype=np.int64)]
    size = max(1, _PENDING // max(1, max(map(len, sequences), default=1)))
    for start in range(0, len(sequences), size):
        block = sequences[start : start + size]
        codes, starts = encoded(block)
        rows = np.repeat(np.arange(len(block)), np.diff(starts))
        bases.append(np.bincount(rows * 5 + codes, minlength=5 * len(block)).reshape(-1, 5)[:, :4])
        inside = (rows[1:] == rows[:-1]) & (codes[1:] < 4) & (codes[:-1] < 4)
        kinds = rows[:-1][inside] * 16 + codes[:-1][inside] * np.int64(4) + codes[1:][inside]
        pairs.append(np.bincount(kinds, minlength=16 * len(block)).reshape(-1, 16))
    return np.concatenate(bases), np.concatenate(pairs)


def laid_out(sequences: Sequence[str]) -> tuple[NDArray[np.uint8], list[str]] | None:
    """Sequences as rows of codes [n, places] and the names of the places; None where one has fewer than 20 bases.

    Places are counted from 0. Sequences of different lengths, or of more than 2,000 bases, are laid out by their first
    and their last bases (as many as the shortest has, at most 100), the latter counted from the end, -1 being the last.
    """
    codes, starts = encoded(sequences)
    lengths = np.diff(starts)
    shortest, longest = int(lengths.min(initial=LONGEST)), int(lengths.max(initial=0))
    if shortest < SHORTEST:
        return None
    if shortest == longest <= LONGEST:
        return codes.reshape(len(sequences), shortest), [str(place) for place in range(shortest)]
    end = min(END, shortest)
    head = codes[starts[:-1, None] + np.arange(end)]
    tail = codes[starts[1:, None] - end + np.arange(end)]
    return np.hstack([head, tail]), [*map(str, range(end)), *map(str, range(-end, 0))]


def words_at(matrix: NDArray[np.uint8], size: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each place with the word of `size` letters, at most 31, that starts there in every row; -1: one is no base."""
    code, broken = np.zeros(len(matrix), dtype=np.int64), np.zeros(len(matrix), dtype=np.int64)
    mask = (1 << 2 * size) - 1
    for place in range(matrix.shape[1]):
        letters = matrix[:, place]
        code = ((code << 2) | (letters & 3)) & mask
        broken = np.where(letters > 3, size, np.maximum(broken - 1, 0))
        if place >= size - 1:
            yield place - size + 1, np.where(broken > 0, -1, code)


def spelled(code: int, size: int) -> str:
    """A word's letters."""
    return "".join("ACGT"[(code >> 2 * (size - 1 - place)) & 3] for place in range(size))


def _neighbours(keys: NDArray[np.int64], most: int) -> Pairs:
    """All pairs of equal keys, as numbers of rows, of keys that 2 to `most` rows share; negative keys are none."""
    order = np.argsort(keys, kind="stable")
    order = order[np.searchsorted(keys[order], 0) :]
    ordered = keys[order]
    ends = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    sizes = np.diff(ends) if len(order) else np.zeros(0, dtype=np.int64)
    kept = np.repeat(sizes <= most, sizes)
    order, ordered = order[kept], ordered[kept]
    first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for step in range(1, most):
        equal = ordered[step:] == ordered[:-step]
        if not equal.any():
            break
        first.append(order[:-step][equal])
        second.append(order[step:][equal])
    one, other = np.concatenate(first), np.concatenate(second)
    return np.minimum(one, other), np.maximum(one, other)


def identity(sequences: Sequence[str], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of equal positions of each pair of sequences of equal lengths [pairs]."""
    codes, starts = encoded(sequences)
    lengths = np.diff(starts)[first]
    shares = np.zeros(len(first))
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for part in np.array_split(rows, 1 + len(rows) * int(length) // _PENDING):
            places = np.arange(length)
            one, other = codes[starts[first[part], None] + places], codes[starts[second[part], None] + places]
            shares[part] = (one == other).mean(axis=1)
    return shares


def shuffled_twins(sequences: Sequence[str]) -> Pairs:
    """Pairs of distinct sequences (upper case) of which one may be a shuffle of the other, by number, first < second.

    Sequences of fewer than 20 bases, and compositions of more than 50 sequences, are left out.
    """
    lengths = np.array([len(text) for text in sequences])
    ends = np.array([(ord(text[0]), ord(text[-1])) for text in sequences])
    counts = np.column_stack([composition(sequences)[1], lengths, ends])
    keys = np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    first, second = _neighbours(np.where(lengths >= SHORTEST, keys, -1), HEAP)
    kept = identity(sequences, first, second) < UNLIKE
    return first[kept], second[kept]


def positional_twins(sequences: Sequence[str]) -> Pairs:
    """Pairs of distinct sequences (upper case) that agree in segments at their places, by number, first < second.

    Sequences of more than 2,000 bases, and words that more than 20 sequences hold at one place, are left out.
    """
    lengths = np.array([len(text) for text in sequences])
    first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for length in np.unique(lengths):
        members = np.flatnonzero(lengths == length)
        if WORD < length <= LONGEST and len(members) > 1:
            one, other = _sharing([sequences[int(number)] for number in members], int(length))
            first.append(members[one])
            second.append(members[other])
    one, other = np.concatenate(first), np.concatenate(second)
    alike = identity(sequences, one, other)
    kept = (alike >= ALIKE) & (alike < 1)
    return one[kept], other[kept]


def _sharing(sequences: Sequence[str], length: int) -> Pairs:
    """Pairs of sequences of one length that hold at least `WORDS` equal words at equal places."""
    matrix = encoded(sequences)[0].reshape(len(sequences), length)
    size = len(sequences)
    counted: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    pending: list[NDArray[np.int64]] = []
    for _, words in words_at(matrix, WORD):
        one, other = _neighbours(words, FAMILY)
        pending.append(one * size + other)
        if sum(map(len, pending)) > _PENDING:
            counted = [_tallied(counted, pending)]
            pending = []
    keys, numbers = _tallied(counted, pending)
    keys = keys[numbers >= WORDS]
    return keys // size, keys % size


def _tallied(
    counted: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], pending: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct keys and how often each came, those counted before included."""
    new = np.concatenate([np.zeros(0, dtype=np.int64), *pending])
    keys = np.concatenate([*(part for part, _ in counted), new])
    numbers = np.concatenate([*(part for _, part in counted), np.ones(len(new), dtype=np.int64)])
    distinct, places = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(places, weights=numbers, minlength=len(distinct)).astype(np.int64)


def frequencies(matrix: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, size: int) -> NDArray[np.float64]:
    """Share of each class's rows that hold each word of `size` letters at each place [classes, places, 4 ** size]."""
    kinds = 4**size
    counts = np.zeros((classes, max(0, matrix.shape[1] - size + 1), kinds))
    for place, words in words_at(matrix, size):
        held = words >= 0
        cells = np.bincount(labels[held] * kinds + words[held], minlength=classes * kinds)
        counts[:, place] = cells.reshape(classes, kinds)
    return counts / np.maximum(1, np.bincount(labels, minlength=classes))[:, None, None]


def defining_site(
    matrix: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, fewest: int = 20
) -> tuple[int, int, int, int] | None:
    """The class, place, length and word of the site that nearly all rows of one class hold and others lack most.

    A site has 1 to 3 bases, and at least 95 % of the class hold it; None where no class of `fewest` rows has one.
    """
    sizes = np.bincount(labels, minlength=classes)
    best, site = 0.0, None
    for length in (1, 2, 3):
        shares = frequencies(matrix, labels, classes, length)
        for own in np.flatnonzero((sizes >= fewest) & (len(labels) - sizes >= fewest)):
            weights = np.where(np.arange(classes) == own, 0, sizes)
            others = np.tensordot(weights / weights.sum(), shares, axes=1)
            gap = np.where(shares[own] >= SITE, shares[own] - others, 0.0)
            if gap.size and gap.max() > best + 1e-12:
                place, word = np.unravel_index(int(gap.argmax()), gap.shape)
                best, site = float(gap.max()), (int(own), int(place), length, int(word))
    return site


def holds(matrix: NDArray[np.uint8], place: int, size: int, word: int) -> NDArray[np.bool_]:
    """Whether each row has the word of `size` letters at this place [n]."""
    wanted = np.array([(word >> 2 * (size - 1 - at)) & 3 for at in range(size)], dtype=np.uint8)
    held: NDArray[np.bool_] = (matrix[:, place : place + size] == wanted).all(axis=1)
    return held


def constant_segments(matrix: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Place and word of the segments of 21 bases that at least 5 % of the rows hold at one place, at most 64.

    Segments in the same rows count as one. A single sequence that stands in most rows is no segment of a construct:
    rows must differ elsewhere, so the caller gives distinct sequences.
    """
    seen: dict[bytes, tuple[int, int, int]] = {}
    for place, words in words_at(matrix, SEGMENT):
        kinds, counts = np.unique(words[words >= 0], return_counts=True)
        often = counts >= CARRIED * len(matrix)
        for word, count in zip(kinds[often], counts[often], strict=True):
            rows = np.packbits(words == word).tobytes()
            seen.setdefault(rows, (int(count), place, int(word)))
    widest = sorted(seen.values(), key=lambda segment: (-segment[0], segment[1:]))
    return [(place, word) for _, place, word in widest[:MOST_SEGMENTS]]
