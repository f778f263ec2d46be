"""Features that cost nothing: what a classifier gets from length, composition and k-mer counts alone."""

import itertools
from collections.abc import Sequence

import numpy as np

from foundationless.errors import UserError

BASELINES = ("length_gc", "kmer")
_BASES = "ACGT"
_CODES = np.full(256, 4, dtype=np.uint8)
_CODES[[ord(base) for base in _BASES]] = range(4)


def features(family: str, sequences: Sequence[str], **options: int | bool) -> np.ndarray:
    """Features [sequences, d], float32, of a baseline family.

    `length_gc` (d = 3): natural logarithm of the length in nucleotides, share of G and C among A, C, G, T, share of all
    other letters. `kmer`: for each k = 1 ... `k_max` (default 6) the relative frequencies of all k-mers over A, C, G, T
    in the order of `kmer_names`; windows with another letter are not counted; `canonical` (default False) adds a k-mer
    and its reverse complement together. An unknown family or option, or an empty sequence, is a `UserError`.
    """
    if family not in BASELINES:
        raise UserError(f"no baseline family '{family}'; the families are {', '.join(BASELINES)}.")
    allowed = {"k_max", "canonical"} if family == "kmer" else set()
    if unknown := sorted(options.keys() - allowed):
        raise UserError(f"baseline family '{family}' has no option '{unknown[0]}'.")
    if any(not sequence for sequence in sequences):
        raise UserError(f"baseline family '{family}': an empty sequence has no features.")
    codes = (_CODES[np.frombuffer(s.encode("ascii", "replace"), dtype=np.uint8)] for s in sequences)
    if family == "length_gc":
        rows = [_composition(c) for c in codes]
    else:
        k_max, canonical = options.get("k_max", 6), options.get("canonical", False)
        if not isinstance(k_max, int) or isinstance(k_max, bool) or not isinstance(canonical, bool):
            raise UserError("baseline family 'kmer': 'k_max' is a whole number, 'canonical' is true or false.")
        if not 1 <= k_max <= 10:
            raise UserError(f"baseline family 'kmer': 'k_max' = {k_max} must be between 1 and 10.")
        fold = [_fold(k) for k in range(1, k_max + 1)] if canonical else None
        rows = [_spectra(c, k_max, fold) for c in codes]
    return np.array(rows, dtype=np.float32)


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


def _strands(k: int) -> np.ndarray:
    """For each k-mer code the lesser of the codes of its two strands (the complement of a base code b is 3 - b)."""
    forward = np.arange(4**k)
    reverse, rest = np.zeros_like(forward), forward
    for _ in range(k):
        reverse, rest = reverse * 4 + 3 - rest % 4, rest // 4
    return np.minimum(forward, reverse)


def _fold(k: int) -> np.ndarray:
    return np.unique(_strands(k), return_inverse=True)[1]
