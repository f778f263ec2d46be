"""Leakage: rows that an earlier split holds too, as they are, on the other strand or nearly, and tasks that share rows.

The *similarity* of a row to another is the share of its bases that match when the whole row is aligned, on either
strand, to the best place in the other: 1 - edits / length, with the fewest substitutions, insertions and deletions
(semi-global edit distance, computed exactly by edlib). A row that lies inside a longer one thus has similarity 1; of
two windows shifted against each other the overlap counts. Values below `FLOOR` are written as 0: unrelated DNA reaches
0.5 by chance. Only pairs that share k-mers are aligned; where the product of two lengths exceeds `CELLS`, the
similarity is estimated as c ** (1 / k) from the share c of the row's sampled k-mers that the other holds (Mash
containment: Ondov et al. 2019, doi:10.1186/s13059-019-1841-x).

Two windows that overlap by half are far from similar by that measure, and half of the one is known from the other all
the same: the *overlap* of a row is the longest collinear match with another (`tasks.collinear`), or what the two have
in common by their coordinates.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from foundationless.data.dna import locate, reverse_complement
from foundationless.errors import UserError
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks import collinear
from foundationless.tasks.collinear import CODES, Threshold, kmers_of
from foundationless.tasks.outputs.agreement import Same, agreement, describe
from foundationless.tasks.outputs.labels import output_values
from foundationless.tasks.sequence_sets import SPLITS, labels_in

KMER, SIMILARITY = 15, 0.8
FLOOR, ENOUGH = 0.7, 0.995
CELLS = 2e9
SKETCH = 256  # k-mers looked up per row: those with the smallest hashes
POSTINGS = 50  # rows remembered per k-mer, so that repeats (Alu) and sets of haplotypes stay linear
CANDIDATES = 5  # rows aligned per row
PARTNERS = 10  # rows per row whose diagonals are looked at
OVERLAP = Threshold()
PAIRS = (("test", "train"), ("test", "validation"), ("validation", "train"))
_CHUNK, _BLOCK = 1 << 22, 2000
_PIECE = 50


def _keyed_kmers(sequences: Sequence[str], kmer: int) -> Iterator[np.ndarray]:
    """Hashed canonical k-mers with the number of their row, `row << 32 | hash`, some four million bases at a time."""
    start, bases = 0, 0
    for number, sequence in enumerate(sequences):
        bases += len(sequence) + 1
        if bases >= _CHUNK or number == len(sequences) - 1:
            yield _keys_of(sequences[start : number + 1], start, kmer)
            start, bases = number + 1, 0


def _keys_of(sequences: Sequence[str], first: int, kmer: int) -> np.ndarray:
    codes = CODES[np.frombuffer(("|".join(sequences) + "|" * kmer).encode("ascii", "replace"), dtype=np.uint8)]
    rows = np.repeat(np.arange(first, first + len(sequences), dtype=np.uint64), [len(text) + 1 for text in sequences])
    forward, backward, whole = kmers_of(codes, kmer)
    hashes = np.minimum(forward, backward)[whole]
    # A permutation of 32 bits (Murmur3's finaliser): the smallest hashes are a random sample of the k-mers.
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        hashes ^= hashes >> np.uint32(shift)
        hashes *= np.uint32(factor)
    keys: np.ndarray = (rows[whole] << np.uint64(32)) | hashes
    return keys


def _split_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (keys >> np.uint64(32)).astype(np.int64), keys.astype(np.uint32)


def _rank_within(values: np.ndarray) -> np.ndarray:
    """Place of each element within its run of equal values; `values` is sorted."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return np.arange(len(values)) - np.repeat(starts, np.diff(np.append(starts, len(values))))


def _sketches(sequences: Sequence[str], kmer: int) -> tuple[csr_array, np.ndarray]:
    """Rows by sampled k-mers, one where the row holds it, and the sorted hashes of these k-mers."""
    held_rows, held_kmers = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint32)]
    for keys in _keyed_kmers(sequences, kmer):
        rows, hashes = _split_keys(np.unique(keys))
        kept = _rank_within(rows) < SKETCH if len(rows) else slice(0)
        held_rows.append(rows[kept])
        held_kmers.append(hashes[kept])
    seeds, columns = np.unique(np.concatenate(held_kmers), return_inverse=True)
    shape = (len(sequences), len(seeds))
    return csr_array((np.ones(len(columns), dtype=np.float32), (np.concatenate(held_rows), columns)), shape), seeds


def _postings(sequences: Sequence[str], seeds: np.ndarray, kmer: int) -> csr_array:
    """Sampled k-mers by rows of `sequences`: one where the row holds the k-mer, for the first rows of each k-mer."""
    likely = np.zeros(1 << 26, dtype=bool)
    likely[seeds >> 6] = True
    seen = np.zeros(len(seeds), dtype=np.int64)
    held_rows, held_kmers = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for keys in _keyed_kmers(sequences, kmer):
        keys = keys[likely[keys.astype(np.uint32) >> 6]]
        rows, hashes = _split_keys(np.unique(keys))
        columns = np.minimum(np.searchsorted(seeds, hashes), len(seeds) - 1)
        equal = seeds[columns] == hashes
        order = np.argsort(columns[equal], kind="stable")
        rows, columns = rows[equal][order], columns[equal][order]
        if len(columns):
            kept = _rank_within(columns) + seen[columns] < POSTINGS
            held_rows.append(rows[kept])
            held_kmers.append(columns[kept])
            seen += np.bincount(columns, minlength=len(seeds))
    rows, columns = np.concatenate(held_rows), np.concatenate(held_kmers)
    return csr_array((np.ones(len(rows), dtype=np.float32), (columns, rows)), (len(seeds), len(sequences)))


def nearest(queries: Sequence[str], targets: Sequence[str], kmer: int = KMER) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of each query to the most similar of `targets` [queries], and the number of that one (-1: none).

    See the module's docstring for the definition. A pair of 200 bases or more with similarity 0.9 is practically always
    found; at 0.8 some are missed, the more the shorter (a row needs k-mers in common with the other).
    """
    return _nearest(queries, targets, _candidates(queries, targets, kmer), kmer)


def overlaps(
    queries: Sequence[str], targets: Sequence[str], kmer: int = KMER, threshold: Threshold = OVERLAP
) -> collinear.Matches:
    """The longest collinear match of each query with one of `targets`: bases, identity, number of the target.

    Matches that are far too short for `threshold` are not looked for. Half of a row of 100 bases or more that one of
    `targets` holds with 2 % of its bases changed is practically always found.
    """
    return _overlaps(queries, targets, _candidates(queries, targets, kmer), kmer, threshold)


def links(
    sequences: Sequence[str], kmer: int = KMER, similarity: float = SIMILARITY, threshold: Threshold = OVERLAP
) -> np.ndarray:
    """Pairs of distinct sequences [pairs, 2] of which one is near to the other or overlaps it, as `audit` says it.

    Only the likeliest partners of each are looked at, which suffices for what chains of them link.
    """
    pairs = []
    for row, (numbers, contained) in enumerate(_candidates(sequences, sequences, kmer)):
        others = numbers != row
        targets, estimates = numbers[others], contained[others] ** (1 / kmer)
        near = [_best(sequences[row], [sequences[one]], estimates[[at]])[0] for at, one in enumerate(targets)]
        known = np.asarray(near) >= similarity
        pairs += [(row, int(one)) for one in targets[known]]
        likely = targets[~known & (contained[others] >= threshold.least_kmers(len(sequences[row]), kmer))]
        if len(likely):
            asked = np.column_stack([np.arange(len(likely)), likely])
            matches = collinear.longest_matches([sequences[row]] * len(likely), sequences, asked, kmer, threshold)
            held = threshold.holds(matches.length, np.full(len(likely), len(sequences[row])))
            pairs += [(row, int(one)) for one in likely[held]]
    return np.asarray(pairs, dtype=np.int64).reshape(-1, 2)


class _Candidate(NamedTuple):
    """What shares sampled k-mers with a query, likeliest first: numbers of targets, and the shares of its k-mers."""

    targets: np.ndarray
    contained: np.ndarray


def _candidates(queries: Sequence[str], targets: Sequence[str], kmer: int) -> list[_Candidate]:
    """At most `PARTNERS` for each query [queries]."""
    if not 8 <= kmer <= 16:
        raise UserError(f"kmer {kmer}: a k-mer has 8 to 16 bases here.")
    none = _Candidate(np.zeros(0, dtype=np.int64), np.zeros(0))
    sketches, seeds = _sketches(queries, kmer)
    if not len(seeds) or not targets:
        return [none] * len(queries)
    postings = _postings(targets, seeds, kmer)
    sizes = np.diff(sketches.indptr)
    # A k-mer that many rows share says little about which of them is the nearest.
    weights = postings.copy()
    weights.data = postings.data / np.repeat(np.diff(postings.indptr), np.diff(postings.indptr))
    candidates = []
    for start in range(0, len(queries), _BLOCK):
        block = sketches[start : start + _BLOCK]
        shared, votes = (block @ postings).tocsr(), (block @ weights).tocsr()
        shared.sort_indices()
        votes.sort_indices()
        for row in range(block.shape[0]):
            inside = slice(shared.indptr[row], shared.indptr[row + 1])
            enough = shared.data[inside] >= (2 if sizes[start + row] >= 128 else 1)
            order = np.argsort(-votes.data[inside][enough], kind="stable")[:PARTNERS]
            numbers = shared.indices[inside][enough][order]
            contained = shared.data[inside][enough][order] / max(1, sizes[start + row])
            candidates.append(_Candidate(numbers, contained) if len(numbers) else none)
    return candidates


def _nearest(
    queries: Sequence[str], targets: Sequence[str], candidates: Sequence[_Candidate], kmer: int
) -> tuple[np.ndarray, np.ndarray]:
    similarity, index = np.zeros(len(queries)), np.full(len(queries), -1, dtype=np.int64)
    for row, (numbers, contained) in enumerate(candidates):
        if len(numbers):
            texts = [targets[number] for number in numbers[:CANDIDATES]]
            best, place = _best(queries[row], texts, contained[:CANDIDATES] ** (1 / kmer))
            similarity[row], index[row] = best, numbers[place] if best else -1
    return similarity, index


def _overlaps(
    queries: Sequence[str], targets: Sequence[str], candidates: Sequence[_Candidate], kmer: int, threshold: Threshold
) -> collinear.Matches:
    pairs = []
    for row, (numbers, contained) in enumerate(candidates):
        if len(numbers):
            likely = numbers[contained >= threshold.least_kmers(len(queries[row]), kmer)]
            pairs.append(np.column_stack([np.full(len(likely), row), likely]))
    joined = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)
    return collinear.longest_matches(queries, targets, joined, kmer, threshold)


def _best(query: str, targets: Sequence[str], estimates: np.ndarray) -> tuple[float, int]:
    """Highest similarity of `query` to one of `targets` (0 if below `FLOOR`), and its place in them.

    From `ENOUGH` on the first is taken: among haplotypes, all are that near.
    """
    import edlib

    length, best, place = len(query), 0.0, -1
    strands = (query, reverse_complement(query))
    # Few edits first: what an alignment costs grows with the edits that it may find.
    for bound in (int(share * length) for share in (1 - ENOUGH, 0.05, 1 - FLOOR)):
        for number, target in enumerate(targets):
            if length * len(target) > CELLS:
                if estimates[number] >= FLOOR and estimates[number] > best:
                    best, place = float(estimates[number]), number
                continue
            for strand in strands:
                allowed = min(bound, round((1 - best) * length) - 1)
                if allowed < 0 or length - len(target) > allowed:
                    continue
                edits = edlib.align(strand, target, mode="HW", task="distance", k=allowed)["editDistance"]
                if edits >= 0:
                    best, place = 1 - edits / length, number
                if best >= ENOUGH:
                    return best, place
        if best:
            break
    return best, place


_FLAGS = ("exact", "reverse_complement", "near", "collinear", "conflict")
_OVERLAP: dict[str, Any] = {
    "overlap": 0.0,
    "overlap_length": 0,
    "overlap_identity": np.nan,
    "overlap_by": "",
    "overlap_with": None,
}


def audit(
    frame: pd.DataFrame, kmer: int = KMER, similarity: float = SIMILARITY, overlap: Threshold = OVERLAP
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every row of a sequence set against the rows of earlier splits: test against train and validation, validation
    against train.

    Returns the rows `id, split, exact, reverse_complement, similarity, near, nearest, conflict`: an earlier split holds
    this sequence, or its reverse complement; its highest similarity to a row there; whether that is at least
    `similarity`; the id of that row (null: none); whether a row with the same sequence or its reverse complement has
    another label (`outputs.agreement`). Then `collinear, overlap, overlap_length, overlap_identity, overlap_by,
    overlap_with, same_label`: whether a row there overlaps it as `overlap` asks; the longest such match as a share of
    the row, in bases, and its identity (NaN: not compared base by base); how it was seen (`sequence`, `coordinates`,
    `both`, or empty); the id of the other row, and whether that one has its label (null: no such row, or no labels).
    And the counts, one row per `split` and `against` (`earlier`: all earlier splits together).
    """
    if not FLOOR <= similarity <= 1:
        raise UserError(f"similarity {similarity:g}: a share of matching bases from {FLOOR:g} to 1 is meant.")
    if not (0 < overlap.share <= 1 and FLOOR <= overlap.identity <= 1):
        raise UserError(
            f"overlap {overlap.share:g} at identity {overlap.identity:g}: a share of the row from 0 to 1 is meant, and "
            f"a share of equal bases from {FLOOR:g} to 1."
        )
    frame, same = frame.reset_index(drop=True), agreement(frame)
    unknown = pd.Series([None] * len(frame), dtype=object)
    rows = frame[["id", "split"]].assign(
        exact=False, reverse_complement=False, similarity=0.0, near=False, nearest=unknown, conflict=False,
        collinear=False,
    )  # fmt: skip
    rows = rows.assign(**_OVERLAP | {"overlap_with": unknown, "same_label": unknown.astype("boolean")})
    counts = []
    present = set(frame["split"])
    for split, against in (pair for pair in PAIRS if present.issuperset(pair)):
        compared = _compare(frame[frame["split"] == split], frame[frame["split"] == against], kmer, overlap, same)
        compared["near"] = compared["similarity"] >= similarity
        counts.append(_count(compared, split, against))
        inside = compared.index
        for name, others in (("similarity", ["nearest"]), ("overlap", [*_OVERLAP, "same_label"])):
            better = compared[name] > rows.loc[inside, name]
            columns = list(dict.fromkeys([name, *others]))
            rows.loc[inside[better], columns] = compared.loc[better, columns]
        for name in _FLAGS:
            rows.loc[inside, name] |= compared[name]
    later = [split for split in ("validation", "test") if split in present]
    counts += [_count(rows[rows["split"] == split], split, "earlier") for split in later]
    rows.attrs = {}
    return rows, pd.DataFrame(counts)


def _compare(later: pd.DataFrame, earlier: pd.DataFrame, kmer: int, overlap: Threshold, same: Same) -> pd.DataFrame:
    """Rows of `later`, by their index, against those of `earlier`."""
    first = earlier.drop_duplicates("sequence").set_index("sequence")["id"]
    backward = later["sequence"].map(reverse_complement)
    compared = later["sequence"].isin(first.index).to_frame("exact")
    compared["reverse_complement"] = backward.isin(first.index)
    compared["nearest"] = later["sequence"].map(first).where(compared["exact"], backward.map(first)).astype(object)
    compared["nearest"] = compared["nearest"].where(compared["nearest"].notna(), None)
    compared["similarity"] = (compared["exact"] | compared["reverse_complement"]).astype(float)
    known = earlier.dropna(subset="label").groupby("sequence")["label"].agg(set).to_dict()
    compared["conflict"] = [
        isinstance(label, str)
        and any(same(label, one) is False for one in known.get(text, set()) | known.get(other, set()))
        for text, other, label in zip(later["sequence"], backward, later["label"], strict=True)
    ]
    sizes = later["sequence"].str.len()
    compared = compared.assign(**_OVERLAP)
    open_rows = compared["similarity"] == 0
    queries = list(dict.fromkeys(later.loc[open_rows, "sequence"]))
    if queries:
        targets = list(first.index)
        candidates = _candidates(queries, targets, kmer)
        values, index = _nearest(queries, targets, candidates, kmer)
        names = np.array([*first, None], dtype=object)
        places = later.loc[open_rows, "sequence"].map({text: number for number, text in enumerate(queries)})
        compared.loc[open_rows, "similarity"] = values[places]
        compared.loc[open_rows, "nearest"] = names[index[places]]
        partly = [
            _Candidate(*(part[:0] for part in each)) if value >= overlap.identity else each
            for each, value in zip(candidates, values, strict=True)
        ]
        matches = _overlaps(queries, targets, partly, kmer, overlap)
        compared.loc[open_rows, "overlap_length"] = matches.length[places]
        compared.loc[open_rows, "overlap_identity"] = np.where(matches.length > 0, matches.identity, np.nan)[places]
        compared.loc[open_rows, "overlap_with"] = names[matches.target[places]]
    # A row that lies in another as a whole, so alike, is a match by definition.
    whole = compared["similarity"] >= overlap.identity
    compared.loc[whole, "overlap_length"] = sizes[whole]
    compared.loc[whole, "overlap_identity"] = compared.loc[whole, "similarity"]
    compared.loc[whole, "overlap_with"] = compared.loc[whole, "nearest"]
    return _join_places(compared, later, earlier, sizes, overlap, same)


def _join_places(
    compared: pd.DataFrame,
    later: pd.DataFrame,
    earlier: pd.DataFrame,
    sizes: pd.Series,
    overlap: Threshold,
    same: Same,
) -> pd.DataFrame:
    """The rows with what their coordinates say, and what follows: share, word and label of the longest overlap."""
    by_sequence = overlap.holds(compared["overlap_length"].to_numpy(), sizes.to_numpy())
    mine, theirs = collinear.read_places(later), collinear.read_places(earlier)
    length, index = collinear.overlap_places(mine, theirs)
    names = np.array([*earlier.loc[theirs.index, "id"], None], dtype=object)[index]
    places = pd.DataFrame({"length": length, "with": names}, mine.index)
    common = places["length"].reindex(later.index, fill_value=0)
    by_place = overlap.holds(common.to_numpy(), sizes.to_numpy())
    # Bases that differ end no overlap of places; of another row than matched best, the identity is not known.
    longer = places[places["length"] > compared.loc[places.index, "overlap_length"]]
    other = longer.index[compared.loc[longer.index, "overlap_with"] != longer["with"]]
    compared.loc[other, "overlap_identity"] = np.nan
    compared.loc[longer.index, "overlap_length"] = longer["length"]
    compared.loc[longer.index, "overlap_with"] = longer["with"]
    compared["overlap"] = compared["overlap_length"] / sizes
    compared["collinear"] = by_sequence | by_place
    words = np.array(["", "sequence", "coordinates", "both"], dtype=object)
    compared["overlap_by"] = words[by_sequence + 2 * by_place]
    labels = compared["overlap_with"].map(earlier.set_index("id")["label"])
    alike = [
        same(label, other) if isinstance(label, str) and isinstance(other, str) else None
        for label, other in zip(later["label"], labels, strict=True)
    ]
    compared["same_label"] = pd.Series(alike, index=later.index, dtype="boolean")
    return compared


def _count(rows: pd.DataFrame, split: str, against: str) -> dict[str, Any]:
    duplicate = rows["exact"] | rows["reverse_complement"]
    same = rows.loc[rows["collinear"], "same_label"].dropna()
    known = rows["near"] | rows["collinear"]
    return {
        "split": split,
        "against": against,
        "rows": len(rows),
        **{name: int(rows[name].sum()) for name in _FLAGS},
        "duplicate": int(duplicate.sum()),
        "duplicate_share": float(duplicate.mean()) if len(rows) else 0.0,
        "near_share": float(rows["near"].mean()) if len(rows) else 0.0,
        "collinear_share": float(rows["collinear"].mean()) if len(rows) else 0.0,
        "collinear_same_label": float(same.mean()) if len(same) else None,
        "collinear_by_coordinates": int(rows["overlap_by"].isin(["coordinates", "both"]).sum()),
        "known": int(known.sum()),
        "known_share": float(known.mean()) if len(rows) else 0.0,
    }


def summarise(
    task: str,
    frame: pd.DataFrame,
    counts: pd.DataFrame,
    kmer: int = KMER,
    similarity: float = SIMILARITY,
    overlap: Threshold = OVERLAP,
) -> dict[str, Any]:
    """What `audit_task` writes as JSON: the counts of `audit`, rows, repeats and classes of each split, settings."""
    keys = frame["sequence"].map(lambda text: min(text, reverse_complement(text)))
    splits = {split: keys[frame["split"] == split] for split in SPLITS}
    kind, outputs = labels_in(frame)
    return {
        "task": task,
        "kmer": kmer,
        "similarity": similarity,
        "overlap": overlap._asdict(),
        "definition": "near: at least this share of the row's bases match a row of an earlier split, on either strand "
        "(1 - edit distance / length, the row aligned whole within the other); duplicates are near. collinear: a "
        f"stretch of at least {overlap.bases} bases and {100 * overlap.share:g} % of the row matches a row of an "
        f"earlier split at {100 * overlap.identity:g} % identity or more, on either strand, in one alignment without "
        "jumps, or the two have so much in common by coordinates. known: near or collinear",
        "rows": {split: len(rows) for split, rows in splits.items()},
        "repeats": {split: int(rows.duplicated().sum()) for split, rows in splits.items()},
        "classes": {
            str(label): {split: int((rows["split"] == split).sum()) for split in SPLITS}
            for label, rows in (frame.groupby("label") if kind == CLASSES else ())
        },
        **({} if kind == CLASSES else _known_outputs(frame, kind, outputs)),
        "pairs": counts.astype(object).where(counts.notna(), None).to_dict("records"),
    }


def _known_outputs(frame: pd.DataFrame, kind: str, outputs: Sequence[str]) -> dict[str, Any]:
    """Of a set whose labels have outputs: the kind, what is the same label, and rows that each output is known of."""
    known = np.isfinite(output_values(frame))
    counts = {split: known[(frame["split"] == split).to_numpy()].sum(axis=0) for split in SPLITS}
    rows = {name: {split: int(counts[split][place]) for split in SPLITS} for place, name in enumerate(outputs)}
    return {"labels": kind, "same_label": describe(kind), "outputs": rows}


def overlap(sets: Mapping[str, pd.DataFrame], link: float = 0.05) -> pd.DataFrame:
    """What tasks share: for each ordered pair, the test rows of `task` that stand in `other`, and groups of tasks.

    A test row stands in another task if it, or its reverse complement, is one of its sequences, in whatever split, or
    lies within one (rows of fewer than 16 bases are not looked for). With `other` the task itself, its train and
    validation rows count. Two tasks are linked where either shares at least `link` of its test rows with the other;
    linked tasks, directly or over others, are one `cluster` (numbered from 1 in the order of the tasks), and `clusters`
    is how many there are: so many independent tasks at most.
    Columns: task, other, n, shared, share, equal (of the shared, those not only contained), cluster, clusters.
    """
    names = list(sets)
    tests = {name: frame.loc[frame["split"] == "test", "sequence"] for name, frame in sets.items()}
    distinct = list(dict.fromkeys(text for rows in tests.values() for text in rows))
    earlier = {name: set(frame.loc[frame["split"] != "test", "sequence"]) for name, frame in sets.items()}
    own = {name: set(rows) - earlier[name] for name, rows in tests.items()}
    # Letters that no sequence holds keep a match from running over the border of two sequences.
    kinds = {"earlier": earlier, "own": own}
    pieces = ((f"{kind} {name}", 0, "|".join(sorted(part[name]))) for kind, part in kinds.items() for name in names)
    hits = locate(distinct, pieces).drop_duplicates(["number", "contig"])
    inside = {str(place): {distinct[number] for number in part["number"]} for place, part in hits.groupby("contig")}
    everything = {name: earlier[name] | own[name] for name in names}
    backward = {text: reverse_complement(text) for text in distinct}
    rows = []
    for name in names:
        for other in names:
            # A task's own test rows are no news; those of another are.
            held, within = earlier[other], inside.get(f"earlier {other}", set())
            if other != name:
                held, within = everything[other], within | inside.get(f"own {other}", set())
            equal = [text in held or backward[text] in held for text in tests[name]]
            shared = sum(same or text in within for same, text in zip(equal, tests[name], strict=True))
            rows.append((name, other, len(equal), shared, shared / max(1, len(equal)), sum(equal)))
    frame = pd.DataFrame(rows, columns=["task", "other", "n", "shared", "share", "equal"])
    linked = frame[(frame["share"] >= link) & (frame["shared"] > 0)]
    numbers = {name: number for number, name in enumerate(names)}
    edges = (linked["task"].map(numbers), linked["other"].map(numbers))
    graph = csr_array((np.ones(len(linked)), edges), (len(names), len(names)))
    total, component = connected_components(graph, directed=False)
    first: dict[int, int] = {}
    for part in component:
        first.setdefault(int(part), len(first) + 1)
    return frame.assign(cluster=[first[int(component[numbers[name]])] for name in frame["task"]], clusters=int(total))


def seen_share(sequences: Sequence[str], pieces: Iterable[tuple[str, int, str]]) -> np.ndarray:
    """Share of each sequence that a genome holds [sequences]: of its consecutive pieces of 50 bases, either strand.

    A sequence shorter than 100 bases is one piece; one shorter than 16 is never found. `pieces` as of `Genome.pieces`.
    """
    owners, chunks = [], []
    for number, sequence in enumerate(sequences):
        size = _PIECE if len(sequence) >= 2 * _PIECE else len(sequence)
        parts = [sequence[at : at + size] for at in range(0, len(sequence) - size + 1, size)]
        owners += [number] * len(parts)
        chunks += parts
    seen = np.zeros(len(chunks), dtype=bool)
    for piece in pieces:
        # What was found is not looked for again: repeats have a hundred thousand occurrences in a genome.
        rest = np.flatnonzero(~seen)
        hits = locate([chunks[number] for number in rest], [piece])["number"].unique()
        seen[rest[hits.astype(int)]] = True
    return np.bincount(owners, weights=seen, minlength=len(sequences)) / np.bincount(owners, minlength=len(sequences))
