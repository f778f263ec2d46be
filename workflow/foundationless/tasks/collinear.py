"""Collinear matches: windows of one stretch of DNA that overlap in part, by their bases and by their coordinates.

The *match* of a row to another is the longest stretch of it that lies in the other too, on either strand, in one
alignment without jumps: at least the share `identity` of the alignment's columns are equal bases, and it begins and
ends with `ANCHOR` equal ones, so that no mismatching flank counts. Pairs are found by shared k-mers, whose diagonals
(the shift of one row against the other) are what is aligned: a lone diagonal base by base, neighbouring diagonals,
between which bases were inserted or deleted, by edlib. A match of m bases at identity i holds at least
m - (k - 1) - k (1 - i) m intact k-mers (the q-gram lemma: Ukkonen 1992, doi:10.1016/0304-3975(92)90143-4); pairs with
less than half of that for the shortest match that counts are not aligned.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from foundationless.data.dna import reverse_complement

CODES = np.full(256, 4, dtype=np.uint8)  # of bytes; whatever is none of A, C, G, T matches nothing
CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = [0, 1, 2, 3]
ANCHOR = 8  # equal bases at both ends of a match: 15 positions of a random flank hold such a run once in 5,000
BAND = 16  # diagonals so near each other are one alignment: bases inserted or deleted at one place
CLUSTERS = 2  # alignments of a pair: those with the most k-mers
_BATCH = 1 << 21  # bases aligned at a time
_ALIGNED = 2e9  # product of two lengths up to which edlib aligns
_FAR = np.int64(1) << 40  # between the scores of neighbouring segments
_PLACE = re.compile(r"^(?:(?:train|validation|test)\.[^:]*?_\d+_)?(.+):(\d+)-(\d+)\([+.-]\)$")
_OTHER_LETTERS = re.compile("[^ACGT]")


class Threshold(NamedTuple):
    """What counts as an overlap: so large a share of the row, so many bases, so alike."""

    share: float = 0.5
    bases: int = 50
    identity: float = 0.97

    def holds(self, length: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Whether matches of so many bases, of rows of so many, count."""
        counts: np.ndarray = (length >= self.bases) & (length >= self.share * sizes - 1e-9) & (length > 0)
        return counts

    def least_kmers(self, size: int, kmer: int) -> float:
        """Half of the share of a row's k-mers that any match which counts leaves intact; 0: none need be."""
        length = max(self.bases, int(np.ceil(self.share * size)))
        intact = length - (kmer - 1) - int((1 - self.identity) * length + 1e-9) * kmer
        return max(0.0, intact / max(1, size - kmer + 1)) / 2


class Matches(NamedTuple):
    """The best match of each query [queries]: its bases, the share of equal columns, and the target (-1: none)."""

    length: np.ndarray
    identity: np.ndarray
    target: np.ndarray


class _Text(NamedTuple):
    """Sequences end to end: codes, start and size of each, and the distinct k-mers of each, first places, sorted."""

    codes: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    keys: np.ndarray  # row << 32 | canonical k-mer
    places: np.ndarray  # in the row
    forward: np.ndarray  # whether the k-mer is canonical as it stands


class _Clusters(NamedTuple):
    """Neighbouring diagonals of pairs: which pair, whether on one strand, the commonest diagonal, and the corners.

    Places of the query are those on the strand that matches; `first` and `last` are (query, target) places of the
    outermost k-mers, and `lone` says that all lie on one diagonal.
    """

    pair: np.ndarray
    same: np.ndarray
    diagonal: np.ndarray
    first: tuple[np.ndarray, np.ndarray]
    last: tuple[np.ndarray, np.ndarray]
    lone: np.ndarray


def longest_matches(
    queries: Sequence[str], targets: Sequence[str], pairs: np.ndarray, kmer: int, threshold: Threshold
) -> Matches:
    """The longest match of each query among its `pairs` (query, target) [pairs, 2], which are sorted by query.

    Of matches as long the one with the highest identity counts, then the first.
    """
    length, identity = np.zeros(len(queries), dtype=np.int64), np.zeros(len(queries))
    target = np.full(len(queries), -1, dtype=np.int64)
    for batch in _batches(queries, targets, pairs):
        asked, mine = np.unique(batch[:, 0], return_inverse=True)
        known, theirs = np.unique(batch[:, 1], return_inverse=True)
        left = _read([queries[number] for number in asked], kmer)
        right = _read([targets[number] for number in known], kmer)
        clusters = _cluster(left, right, mine, theirs, kmer)
        bases, alike = _align(clusters, left, right, mine, theirs, threshold.identity)
        for bent in np.flatnonzero(~clusters.lone):
            pair = clusters.pair[bent]
            corners = [int(corner[bent]) for ends in (clusters.first, clusters.last) for corner in ends]
            query, other = queries[batch[pair, 0]], targets[batch[pair, 1]]
            query = query if clusters.same[bent] else reverse_complement(query)
            bases[bent], alike[bent] = max((bases[bent], alike[bent]), _bent(query, other, corners, threshold.identity))
        order = np.lexsort((-clusters.pair, alike, bases, mine[clusters.pair]))
        best = order[np.append(np.diff(mine[clusters.pair][order]) != 0, True)] if len(order) else order
        best = best[bases[best] > 0]
        rows = batch[clusters.pair[best], 0]
        length[rows], identity[rows], target[rows] = bases[best], alike[best], batch[clusters.pair[best], 1]
    return Matches(length, identity, target)


def _batches(queries: Sequence[str], targets: Sequence[str], pairs: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs of whole queries, about `_BATCH` bases at a time."""
    if not len(pairs):
        return
    cost = np.cumsum([len(queries[query]) + len(targets[target]) for query, target in pairs])
    ends = np.flatnonzero(np.append(np.diff(pairs[:, 0]) != 0, True)) + 1
    start = 0
    while start < len(pairs):
        spent = cost[start - 1] if start else 0
        full = np.searchsorted(cost[ends - 1], spent + _BATCH, side="right")
        end = int(max(ends[max(0, full - 1)], ends[np.searchsorted(ends, start, side="right")]))
        yield pairs[start:end]
        start = end


def kmers_of(codes: np.ndarray, kmer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every k-mer of `codes`, two bits a base: itself, its reverse complement, and whether it is all A, C, G, T."""
    size = len(codes) - kmer + 1
    ahead, behind = np.zeros(size, dtype=np.uint32), np.zeros(size, dtype=np.uint32)
    for place in range(kmer):
        letters = codes[place : place + size].astype(np.uint32) & 3
        ahead |= letters << np.uint32(2 * (kmer - 1 - place))
        behind |= (letters ^ 3) << np.uint32(2 * place)
    broken = np.concatenate([[0], np.cumsum(codes > 3)])
    return ahead, behind, broken[kmer:] == broken[:size]


def _read(texts: Sequence[str], kmer: int) -> _Text:
    sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    starts = np.cumsum(sizes + 1) - sizes - 1
    codes = CODES[np.frombuffer(("|".join(texts) + "|" * kmer).encode("ascii", "replace"), dtype=np.uint8)]
    ahead, behind, whole = kmers_of(codes, kmer)
    at = np.flatnonzero(whole)
    rows = np.searchsorted(starts, at, side="right") - 1
    keys, first = np.unique((rows << 32) | np.minimum(ahead, behind)[at].astype(np.int64), return_index=True)
    at = at[first]
    return _Text(codes, starts, sizes, keys, at - starts[rows[first]], ahead[at] <= behind[at])


def _cluster(left: _Text, right: _Text, mine: np.ndarray, theirs: np.ndarray, kmer: int) -> _Clusters:
    """Diagonals on which pairs (row `mine` of `left`, row `theirs` of `right`) share k-mers; the `CLUSTERS` fullest."""
    begins = np.searchsorted(left.keys, np.arange(len(left.sizes) + 1) << 32)
    counts = np.diff(begins)[mine]
    pair = np.repeat(np.arange(len(mine)), counts)
    own = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts) + begins[mine[pair]]
    wanted = (theirs[pair] << 32) | (left.keys[own] & 0xFFFFFFFF)
    hits = np.minimum(np.searchsorted(right.keys, wanted), max(0, len(right.keys) - 1))
    equal = right.keys[hits] == wanted if len(right.keys) else np.zeros(len(wanted), dtype=bool)
    pair, own, hits = pair[equal], own[equal], hits[equal]
    same = left.forward[own] == right.forward[hits]
    query = np.where(same, left.places[own], left.sizes[mine[pair]] - kmer - left.places[own])
    target = right.places[hits]
    # One number per diagonal of a pair and strand, in order, so that neighbours differ by little.
    wide = np.int64(2) * (left.sizes.max() + right.sizes.max() + BAND)
    line = (pair * 2 + same) * wide + query - target + wide // 2
    order = np.lexsort((query, line))
    pair, same, query, target, line = (values[order] for values in (pair, same, query, target, line))
    fresh = np.flatnonzero(np.diff(line, prepend=-wide) > BAND)
    label = np.repeat(np.arange(len(fresh)), np.diff(np.append(fresh, len(line))))
    size = np.bincount(label, minlength=len(fresh))
    runs = np.flatnonzero(np.diff(line, prepend=-wide) != 0)
    fullest = np.lexsort((-np.diff(np.append(runs, len(line))), label[runs]))
    commonest = runs[fullest[np.flatnonzero(np.diff(label[runs][fullest], prepend=-1))]]
    along = np.lexsort((query, label))
    ends = np.append(fresh[1:], len(line)) - 1
    low, high = along[fresh], along[ends]
    lone = line[fresh] == line[ends]
    # The fullest clusters of each pair.
    ranked = np.lexsort((-size, pair[fresh]))
    owners = pair[fresh][ranked]
    place = np.arange(len(ranked)) - np.searchsorted(owners, owners)
    kept = np.sort(ranked[place < CLUSTERS])
    return _Clusters(
        pair[fresh][kept],
        same[fresh][kept],
        (query - target)[commonest][kept],
        (query[low][kept], target[low][kept]),
        (query[high][kept], target[high][kept]),
        lone[kept],
    )


def _align(
    clusters: _Clusters, left: _Text, right: _Text, mine: np.ndarray, theirs: np.ndarray, identity: float
) -> tuple[np.ndarray, np.ndarray]:
    """Longest matches along the commonest diagonal of each cluster, and their identity [clusters]."""
    rows, others = mine[clusters.pair], theirs[clusters.pair]
    begin = np.maximum(clusters.diagonal, 0)
    offset = begin - clusters.diagonal
    size = np.minimum(left.sizes[rows] - begin, right.sizes[others] - offset)
    segment = np.repeat(np.arange(len(size)), size)
    step = np.arange(len(segment)) - np.repeat(np.cumsum(size) - size, size)
    along = begin[segment] + step
    same = clusters.same[segment]
    whole = left.sizes[rows][segment]
    ours = left.codes[left.starts[rows][segment] + np.where(same, along, whole - 1 - along)]
    ours = np.where(same | (ours > 3), ours, 3 - ours)
    match = (ours == right.codes[right.starts[others][segment] + offset[segment] + step]) & (ours < 4)
    return _longest(match, np.ones(len(match), dtype=bool), size, identity)


def _longest(match: np.ndarray, base: np.ndarray, sizes: np.ndarray, identity: float) -> tuple[np.ndarray, np.ndarray]:
    """Longest stretch of each segment of columns that is so alike and begins and ends with `ANCHOR` equal columns.

    `match` says of all columns, segments of `sizes` end to end, whether they are equal, `base` whether they hold a base
    of the row. Returns its bases and its share of equal columns [segments].
    """
    limit = round(1000 * identity)
    # One column that matches nothing behind every segment, and enough of them at the end for the last anchor.
    starts = np.cumsum(sizes + 1) - sizes - 1
    total = int(np.sum(sizes + 1))
    inside = np.ones(total, dtype=bool)
    inside[starts + sizes] = False
    equal, bases = np.zeros(total + ANCHOR, dtype=np.int64), np.zeros(total + ANCHOR, dtype=np.int64)
    score = np.zeros(total + ANCHOR, dtype=np.int64)
    equal[:total][inside], bases[:total][inside] = match, base
    score[:total][inside] = np.where(match, 1000 - limit, -limit)
    equal, bases, score = (np.concatenate([[0], np.cumsum(values)]) for values in (equal, bases, score))
    segment = np.repeat(np.arange(len(sizes)), sizes + 1)
    anchor = equal[ANCHOR : ANCHOR + total] - equal[:total] == ANCHOR
    # A stretch is alike enough where the score at its end is no less than at its begin: of all begins the first with a
    # score as low. Scores of later segments lie `_FAR` below, so the running minimum starts anew with each.
    level = score[:total] - score[starts][segment] - segment * _FAR
    lowest = np.minimum.accumulate(np.where(anchor, level, _FAR // 2 - segment * _FAR))
    ends = np.flatnonzero(anchor) + ANCHOR
    owner = segment[ends - ANCHOR]
    begins = np.searchsorted(-lowest, -(score[ends] - score[starts][owner] - owner * _FAR), side="left")
    fits = begins < ends - ANCHOR + 1
    ends, begins, owner = ends[fits], begins[fits], owner[fits]
    length, alike = bases[ends] - bases[begins], (equal[ends] - equal[begins]) / (ends - begins)
    order = np.lexsort((alike, length, owner))
    best = order[np.append(np.diff(owner[order]) != 0, True)] if len(order) else order
    found, shares = np.zeros(len(sizes), dtype=np.int64), np.zeros(len(sizes))
    found[owner[best]], shares[owner[best]] = length[best], alike[best]
    return found, shares


def _bent(query: str, target: str, corners: Sequence[int], identity: float) -> tuple[int, float]:
    """Longest match in the alignment of the overlap that the outermost k-mers of a cluster span, gaps allowed."""
    import edlib

    start, other, end, theirs = corners
    before, after = min(start, other), min(len(query) - end, len(target) - theirs)
    query, target = query[start - before : end + after], target[other - before : theirs + after]
    if not query or not target or len(query) * len(target) > _ALIGNED:
        return 0, 0.0
    cigar = edlib.align(_OTHER_LETTERS.sub("-", query), target, mode="NW", task="path")["cigar"]
    runs = re.findall(r"(\d+)([=XID])", cigar)
    kinds = np.repeat(np.array([kind for _, kind in runs]), [int(count) for count, _ in runs])
    bases, shares = _longest(kinds == "=", kinds != "D", np.array([len(kinds)]), identity)
    return int(bases[0]), float(shares[0])


def read_places(frame: pd.DataFrame) -> pd.DataFrame:
    """Coordinates of rows, 0-based and half-open: contig, start, end, by the index of `frame`, of rows that have any.

    They are columns of these names, or stand in the id as readers of intervals write it, CONTIG:START-END(STRAND),
    behind a source and a number or none; a row whose sequence is longer or shorter than its place has none.
    """
    if {"contig", "start", "end"} <= set(frame.columns):
        numbers = frame[["start", "end"]].apply(pd.to_numeric, errors="coerce")
        places = numbers.assign(contig=frame["contig"]).dropna()
    else:
        places = frame["id"].astype(str).str.extract(_PLACE).set_axis(["contig", "start", "end"], axis=1).dropna()
    places = places.astype({"start": np.int64, "end": np.int64})
    whole = (places["end"] - places["start"]) == frame.loc[places.index, "sequence"].str.len()
    return pd.DataFrame(places[whole])


def overlap_places(later: pd.DataFrame, earlier: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The most bases that each place of `later` has in common with one of `earlier`, and which (-1: none) [later]."""
    length, target = np.zeros(len(later), dtype=np.int64), np.full(len(later), -1, dtype=np.int64)
    contigs = pd.Series(np.arange(len(earlier))).groupby(earlier["contig"].to_numpy()).agg(np.array).to_dict()
    for contig, numbers in pd.Series(np.arange(len(later))).groupby(later["contig"].to_numpy()):
        if contig not in contigs:
            continue
        start, end = (earlier[name].to_numpy()[contigs[contig]] for name in ("start", "end"))
        order = np.argsort(start, kind="stable")
        start, end, names = start[order], end[order], contigs[contig][order]
        # Places from the first that may still reach into the row, for the longest of them, to the last that begins.
        reach = int((end - start).max())
        for rows in np.array_split(numbers.to_numpy(), len(numbers) // 1000 + 1):
            first, last = later["start"].to_numpy()[rows], later["end"].to_numpy()[rows]
            low = np.searchsorted(start, first - reach, side="left")
            count = np.searchsorted(start, last, side="left") - low
            row = np.repeat(np.arange(len(rows)), count)
            place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + low[row]
            shared = np.minimum(end[place], last[row]) - np.maximum(start[place], first[row])
            best = np.lexsort((-place, shared, row))
            best = best[np.append(np.diff(row[best]) != 0, True)] if len(best) else best
            best = best[shared[best] > 0]
            length[rows[row[best]]], target[rows[row[best]]] = shared[best], names[place[best]]
    return length, target
