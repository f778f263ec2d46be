"""Features that cost nothing: what a classifier gets from length, composition, words and untrained filters alone."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from foundationless.errors import UserError

_BASES = "ACGT"
_CODES = np.full(256, 4, dtype=np.uint8)
_CODES[[ord(base) for base in _BASES]] = range(4)
_DILATIONS = (1, 2, 4, 8, 16)  # with 9 positions: 9 to 129 bases, the reach of the `cnn` family's layers
_BLOCK = 1 << 16  # positions convolved at once: a gene of 2 Mb would need gigabytes
# family -> its options and their defaults
BASELINES: dict[str, dict[str, int | bool]] = {
    "majority": {},
    "length": {},
    "gc": {},
    "length_gc": {},
    "kmer": {"k_max": 6, "canonical": False},
    "gapped_kmer": {"l": 7, "k": 4, "canonical": False},
    "random_conv": {"width": 512, "kernel_size": 9},
}


def features(family: str, sequences: Sequence[str], seed: int = 0, **options: int | bool) -> np.ndarray:
    """Features [sequences, d], float32, of a baseline family.

    - `majority` (d = 0): none, for the classifier of that name.
    - `length` (d = 1): natural logarithm of the length in nucleotides.
    - `gc` (d = 1): share of G and C among A, C, G, T.
    - `length_gc` (d = 3): both, and the share of all other letters.
    - `kmer`: for each k = 1 ... `k_max` (default 6) the relative frequencies of all k-mers over A, C, G, T in the order
      of `kmer_names`; windows with another letter are not counted; `canonical` (default False) adds a k-mer and its
      reverse complement together.
    - `gapped_kmer`: words of `k` (default 4) letters that stand anywhere within `l` (default 7) positions, as in
      gkm-SVM (Ghandi et al. 2014, doi:10.1371/journal.pcbi.1003711); names and order are those of `gapped_names`. A
      pattern of gaps starts with a letter, so it is counted once and not at every shift. Frequencies are relative per
      pattern; `canonical` as above.
    - `random_conv` (d = `width`, default 512): `width` / 2 untrained filters over one-hot bases, each read as its
      maximum over the sequence and as its share of positive positions, as in ROCKET (Dempster et al. 2020,
      doi:10.1007/s10618-020-00701-z): normal weights of mean 0, bias uniform in ±1, dilation 1 to 16, zeros beyond the
      ends. `seed` alone decides the filters: two seeds are two draws, as with a random network.

    An unknown family or option, or an empty sequence, is a `UserError`.
    """
    if family not in BASELINES:
        raise UserError(f"no baseline family '{family}'; the families are {', '.join(BASELINES)}.")
    if unknown := sorted(options.keys() - BASELINES[family].keys()):
        raise UserError(f"baseline family '{family}' has no option '{unknown[0]}'.")
    if any(not sequence for sequence in sequences):
        raise UserError(f"baseline family '{family}': an empty sequence has no features.")
    chosen = BASELINES[family] | options
    for name, default in BASELINES[family].items():
        if type(chosen[name]) is not type(default):
            kind = "true or false" if isinstance(default, bool) else "a whole number"
            raise UserError(f"baseline family '{family}': '{name}' is {kind}.")
    codes = (_CODES[np.frombuffer(s.encode("ascii", "replace"), dtype=np.uint8)] for s in sequences)
    read = _reader(family, chosen, seed)
    return np.array([read(c) for c in codes], dtype=np.float32).reshape(len(sequences), -1)


def _reader(family: str, options: Mapping[str, int | bool], seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function from base codes [length] to features [d] of a family with checked options."""
    if family == "kmer":
        k_max = _within(family, options, "k_max", 1, 10)
        fold = [_fold(k) for k in range(1, k_max + 1)] if options["canonical"] else None
        return partial(_spectra, k_max=k_max, fold=fold)
    if family == "gapped_kmer":
        k = _within(family, options, "k", 1, 8)
        patterns = _patterns(_within(family, options, "l", k, 12), k)
        if len(patterns) * 4**k > 100_000:
            raise UserError(f"baseline family '{family}': {len(patterns)} patterns of {4**k} words; lower 'l' or 'k'.")
        return partial(_gapped, patterns=patterns, mates=_mates(patterns, k) if options["canonical"] else None)
    if family == "random_conv":
        width = _within(family, options, "width", 2, 65536)
        return _random_filters(width, _within(family, options, "kernel_size", 1, 101), seed)
    columns = {"majority": [], "length": [0], "gc": [1], "length_gc": [0, 1, 2]}[family]
    return lambda codes: _composition(codes)[columns]


def _within(family: str, options: Mapping[str, int | bool], name: str, low: int, high: int) -> int:
    if not low <= (value := options[name]) <= high:
        raise UserError(f"baseline family '{family}': '{name}' = {value} must be between {low} and {high}.")
    return int(value)


def kmer_names(k_max: int = 6, canonical: bool = False) -> list[str]:
    """Columns of `features("kmer", ...)`, alphabetical within each k; canonical: the lesser of both strands."""
    names: list[str] = []
    for k in range(1, k_max + 1):
        words = ["".join(letters) for letters in itertools.product(_BASES, repeat=k)]
        names += [words[i] for i in np.unique(_strands(k))] if canonical else words
    return names


def _composition(codes: np.ndarray) -> np.ndarray:
    counts = np.bincount(codes, minlength=5)
    known = counts[:4].sum()
    return np.array([np.log(len(codes)), (counts[1] + counts[2]) / max(known, 1), counts[4] / len(codes)])


def _spectra(codes: np.ndarray, k_max: int, fold: list[np.ndarray] | None) -> np.ndarray:
    parts = []
    rolling = np.zeros(len(codes), dtype=np.int32)
    valid = np.ones(len(codes), dtype=bool)
    known = codes < 4
    for k in range(1, k_max + 1):
        # `rolling` holds the code of the (k-1)-mer that starts at each position; append the base behind it.
        length = max(len(codes) - k + 1, 0)
        rolling = rolling[:length] * 4 + codes[k - 1 :]
        valid = valid[:length] & known[k - 1 :]
        counts: np.ndarray = np.bincount(rolling[valid], minlength=4**k)
        if fold is not None:
            counts = np.bincount(fold[k - 1], weights=counts)
        parts.append(counts / max(counts.sum(), 1))
    return np.concatenate(parts)


def _reverse_complements(k: int) -> np.ndarray:
    """For each k-mer code the code of its reverse complement (the complement of a base code b is 3 - b)."""
    rest = np.arange(4**k)
    reverse = np.zeros_like(rest)
    for _ in range(k):
        reverse, rest = reverse * 4 + 3 - rest % 4, rest // 4
    return reverse


def _strands(k: int) -> np.ndarray:
    """For each k-mer code the lesser of the codes of its two strands."""
    return np.minimum(np.arange(4**k), _reverse_complements(k))


def _fold(k: int) -> np.ndarray:
    return np.unique(_strands(k), return_inverse=True)[1]


def gapped_names(l: int = 7, k: int = 4, canonical: bool = False) -> list[str]:  # noqa: E741 - gkm-SVM's own letter
    """Columns of `features("gapped_kmer", ...)`, such as `AC--G`; canonical: the first named of the two strands."""
    patterns = _patterns(l, k)
    words = list(itertools.product(_BASES, repeat=k))
    names = []
    for offsets in patterns:
        for word in words:
            letters = dict(zip(offsets, word, strict=True))
            names.append("".join(letters.get(i, "-") for i in range(offsets[-1] + 1)))
    if not canonical:
        return names
    mates = _mates(patterns, k)
    return [names[i] for i in np.flatnonzero(mates >= np.arange(len(mates)))]


def _patterns(length: int, k: int) -> list[tuple[int, ...]]:
    """Offsets of the letters of every pattern of `k` letters within `length` positions; the first is 0."""
    return [(0, *rest) for rest in itertools.combinations(range(1, length), k - 1)]


def _mates(patterns: Sequence[tuple[int, ...]], k: int) -> np.ndarray:
    """For each column the column that the other strand of its word and pattern has."""
    place = {offsets: i for i, offsets in enumerate(patterns)}
    turned = [place[tuple(offsets[-1] - at for at in reversed(offsets))] for offsets in patterns]
    reverse = _reverse_complements(k)
    return np.concatenate([other * 4**k + reverse for other in turned])


def _gapped(codes: np.ndarray, patterns: Sequence[tuple[int, ...]], mates: np.ndarray | None) -> np.ndarray:
    known, wide = codes < 4, codes.astype(np.int64)
    k = len(patterns[0])
    parts = []
    for offsets in patterns:
        length = max(len(codes) - offsets[-1], 0)
        word = np.zeros(length, dtype=np.int64)
        valid = np.ones(length, dtype=bool)
        for at in offsets:
            word = word * 4 + wide[at : at + length]
            valid &= known[at : at + length]
        counts = np.bincount(word[valid], minlength=4**k)
        parts.append(counts / max(counts.sum(), 1))
    found = np.concatenate(parts)
    if mates is None:
        return found
    own = np.arange(len(found))
    # A word and its other strand, which a mirrored pattern may count, make one column.
    return np.where(mates == own, found, found + found[mates])[mates >= own]


def _random_filters(width: int, size: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    generator = np.random.default_rng(seed)
    filters = -(-width // 2)
    weights = generator.normal(size=(filters, size, 4))
    weights -= weights.mean(axis=(1, 2), keepdims=True)
    bias = generator.uniform(-1, 1, size=filters)
    dilation = generator.integers(len(_DILATIONS), size=filters)
    groups = [
        (spread, np.flatnonzero(dilation == i), weights[dilation == i].reshape(-1, size * 4).T.astype(np.float32))
        for i, spread in enumerate(_DILATIONS)
    ]
    onehot = np.vstack([np.eye(4), np.zeros(4)]).astype(np.float32)  # an unknown base adds nothing

    def read(codes: np.ndarray) -> np.ndarray:
        highest = np.full(filters, -np.inf)
        positive = np.zeros(filters)
        for spread, members, matrix in groups:
            margin = spread * (size - 1) // 2
            padded = np.concatenate([np.full(margin, 4), codes, np.full(spread * (size - 1) - margin, 4)])
            for start in range(0, len(codes), _BLOCK):
                count = min(_BLOCK, len(codes) - start)
                at = start + np.arange(count)[:, None] + spread * np.arange(size)
                values = onehot[padded[at]].reshape(count, -1) @ matrix + bias[members]
                highest[members] = np.maximum(highest[members], values.max(axis=0))
                positive[members] += (values > 0).sum(axis=0)
        return np.concatenate([highest, positive / len(codes)])[:width]

    return read
