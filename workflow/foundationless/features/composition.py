"""Features that cost nothing: what a classifier gets from length, composition, words and untrained filters alone."""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from foundationless.errors import UserError
from foundationless.features.bases import BASES, encode
from foundationless.study.vocabulary import FEATURES, GENOTYPES, OF_VARIANTS, SEQUENTIAL

Reader = Callable[[np.ndarray], np.ndarray]  # from base codes [length] to features [d]

_DILATIONS = (1, 2, 4, 8, 16)  # with 9 positions: 9 to 129 bases, the reach of the `cnn` family's layers
_BLOCK = 1 << 16  # positions convolved at once: a gene of 2 Mb would need gigabytes


def features(family: str, sequences: Sequence[str], seed: int = 0, /, **options: Any) -> np.ndarray:
    """Features [sequences, d], float32, of a family: those that the function of its name, given `options`, reads.

    `seed` counts for families that are drawn. An unknown family or option, or an empty sequence, is a `UserError`.
    """
    elsewhere = (*GENOTYPES, *SEQUENTIAL, *OF_VARIANTS)
    if family not in FEATURES or family in elsewhere:
        known = ", ".join(name for name in FEATURES if name not in elsewhere)
        raise UserError(f"no baseline family '{family}'; the families are {known}.")
    make: Callable[..., Reader] = globals()[family]
    for name, default in check_names(family, make, options).items():
        if type(options.get(name, default)) is not type(default):
            kind = "true or false" if isinstance(default, bool) else "a whole number"
            raise UserError(f"baseline family '{family}': '{name}' is {kind}.")
    if any(not sequence for sequence in sequences):
        raise UserError(f"baseline family '{family}': an empty sequence has no features.")
    read = make(seed, **options) if FEATURES[family].drawn else make(**options)
    codes = map(encode, sequences)
    return np.array([read(c) for c in codes], dtype=np.float32).reshape(len(sequences), -1)


def names(family: str, /, **options: Any) -> list[str] | None:
    """Names of the columns of `features(family, ..., **options)`; None where they have none of their own."""
    composed = {"length": ["length"], "gc": ["GC"], "length_gc": ["length", "GC", "other letters"]}
    if family in composed:
        return composed[family]
    known: dict[str, Callable[..., list[str]]] = {"kmer": kmer_names, "gapped_kmer": gapped_names}
    return known[family](**options) if family in known else None


def check_names(family: str, make: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a family (what its function takes by keyword only) and their defaults; `UserError` for others."""
    known = inspect.getfullargspec(make).kwonlydefaults or {}
    if unknown := sorted(options.keys() - known.keys()):
        raise UserError(f"baseline family '{family}' has no option '{unknown[0]}'.")
    return known


def majority() -> Reader:
    """None (d = 0), for the classifier of that name."""
    return lambda codes: _composition(codes)[:0]


def length() -> Reader:
    """Natural logarithm of the length in nucleotides (d = 1)."""
    return lambda codes: _composition(codes)[:1]


def gc() -> Reader:
    """Share of G and C among A, C, G, T (d = 1)."""
    return lambda codes: _composition(codes)[1:2]


def length_gc() -> Reader:
    """Both, and the share of all other letters (d = 3)."""
    return _composition


def kmer(*, k_max: int = 6, canonical: bool = False) -> Reader:
    """For each k = 1 ... `k_max` the relative frequencies of all k-mers over A, C, G, T, in the order of `kmer_names`.

    Windows with another letter are not counted; `canonical` adds a k-mer and its reverse complement together.
    """
    _check_range("kmer", "k_max", k_max, 1, 10)
    return partial(_spectra, k_max=k_max, fold=[_fold(k) for k in range(1, k_max + 1)] if canonical else None)


def gapped_kmer(*, l: int = 7, k: int = 4, canonical: bool = False) -> Reader:  # noqa: E741 - gkm-SVM's own letter
    """Words of `k` letters that stand anywhere within `l` positions, as in gkm-SVM (Ghandi et al. 2014).

    doi:10.1371/journal.pcbi.1003711; names and order are those of `gapped_names`. A pattern of gaps starts with a
    letter, so it is counted once and not at every shift. Frequencies are relative per pattern;
    `canonical` as of `kmer`.
    """
    _check_range("gapped_kmer", "k", k, 1, 8)
    _check_range("gapped_kmer", "l", l, k, 12)
    patterns = _patterns(l, k)
    if len(patterns) * 4**k > 100_000:
        raise UserError(f"baseline family 'gapped_kmer': {len(patterns)} patterns of {4**k} words; lower 'l' or 'k'.")
    return partial(_gapped, patterns=patterns, mates=_mates(patterns, k) if canonical else None)


def random_conv(seed: int, *, width: int = 512, kernel_size: int = 9) -> Reader:
    """Half of `width` untrained filters over one-hot bases, each read as its maximum and its share of positives.

    As in ROCKET (Dempster et al. 2020, doi:10.1007/s10618-020-00701-z): normal weights of mean 0, bias uniform in ±1,
    dilation 1 to 16, zeros beyond the ends. `seed` alone decides the filters: two seeds are two draws, as with a random
    network.
    """
    _check_range("random_conv", "width", width, 2, 65536)
    _check_range("random_conv", "kernel_size", kernel_size, 1, 101)
    return _random_filters(width, kernel_size, seed)


def _check_range(family: str, name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UserError(f"baseline family '{family}': '{name}' = {value} must be between {low} and {high}.")


def kmer_names(k_max: int = 6, canonical: bool = False) -> list[str]:
    """Columns of `features("kmer", ...)`, alphabetical within each k; canonical: the lesser of both strands."""
    names: list[str] = []
    for k in range(1, k_max + 1):
        words = ["".join(letters) for letters in itertools.product(BASES, repeat=k)]
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
    rest: np.ndarray = np.arange(4**k)
    reverse: np.ndarray = np.zeros_like(rest)
    for _ in range(k):
        reverse = reverse * 4 + 3 - rest % 4
        rest = rest // 4
    return reverse


def _strands(k: int) -> np.ndarray:
    """For each k-mer code the lesser of the codes of its two strands."""
    lesser: np.ndarray = np.minimum(np.arange(4**k), _reverse_complements(k))
    return lesser


def _fold(k: int) -> np.ndarray:
    return np.unique(_strands(k), return_inverse=True)[1]


def gapped_names(l: int = 7, k: int = 4, canonical: bool = False) -> list[str]:  # noqa: E741 - gkm-SVM's own letter
    """Columns of `features("gapped_kmer", ...)`, such as `AC--G`; canonical: the first named of the two strands."""
    patterns = _patterns(l, k)
    words = list(itertools.product(BASES, repeat=k))
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
    columns = np.concatenate(parts)
    if mates is None:
        return columns
    own = np.arange(len(columns))
    # A word and its other strand, which a mirrored pattern may count, make one column.
    return np.where(mates == own, columns, columns + columns[mates])[mates >= own]


def _random_filters(width: int, size: int, seed: int) -> Reader:
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
