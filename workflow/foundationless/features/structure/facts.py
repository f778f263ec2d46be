"""Facts of a sequence that anyone can count: what a linear probe asks a frozen model for.

`gc`           share of G and C among A, C, G, T
`skew`         (G - C) / (G + C): its sign says which strand was read, as it turns on the reverse complement
`cpg`          CpG observed over expected (Gardiner-Garden and Frommer 1987): CG · length / (C · G)
`homopolymer`  length of the longest run of one letter
`length`       natural logarithm of the length; left out where all are equally long
`kmer_WORD`    whether a k-mer stands in the sequence
`place_WORD`   where it stands first, as a share of the places where it could; not known where it does not stand

Words are drawn among the k-mers that stand in nearly half of the training rows. The strand itself is not asked: that
would need embeddings of both strands of every sequence.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foundationless.features.bases import encode
from foundationless.study.vocabulary import TRACKS, VALUES

KINDS = {"gc": VALUES, "skew": VALUES, "cpg": VALUES, "homopolymer": VALUES, "length": VALUES, "place": VALUES,
         "kmer": TRACKS}  # fmt: skip
WORDS = 6  # k-mers drawn
LENGTHS = range(3, 9)  # of words that are looked for
BALANCED = 0.4, 0.6  # share of training rows that hold a word

Floats = NDArray[np.float64]


def fact_of(output: str) -> str:
    """The fact that an output is of: `kmer` of `kmer_ACGT`."""
    return output.partition("_")[0]


def tell_facts(
    sequences: Sequence[str], train: NDArray[np.int64], looked: NDArray[np.int64], seed: int
) -> dict[str, Floats]:
    """Every fact of sequences, by its name: values [sequences], NaN where one is not known.

    `looked` are the training rows among which words are looked for; `seed` draws these. A fact that is the same for all
    `train` rows is left out.
    """
    codes = [np.asarray(encode(sequence)) for sequence in sequences]
    told = np.array([_composition(each) for each in codes], dtype=np.float64).reshape(len(codes), 5)
    facts = dict(zip(("gc", "skew", "cpg", "homopolymer", "length"), told.T, strict=True))
    for word in draw_words([sequences[row] for row in looked], seed):
        at = np.array([sequence.find(word) for sequence in sequences], dtype=np.float64)
        rooms = np.array([max(1, len(sequence) - len(word)) for sequence in sequences])
        facts[f"kmer_{word}"] = (at >= 0).astype(np.float64)
        facts[f"place_{word}"] = np.where(at >= 0, at / rooms, np.nan)
    return {name: values for name, values in facts.items() if _varies(values[train])}


def _varies(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool(np.ptp(known) > 0)


def _composition(codes: NDArray[np.uint8]) -> tuple[float, ...]:
    """GC, skew, CpG, longest run and logarithm of the length of one sequence; what cannot be said is NaN."""
    a, c, g, t = np.bincount(codes, minlength=5)[:4].tolist()
    pairs = int(((codes[:-1] == 1) & (codes[1:] == 2)).sum())
    letters = np.flatnonzero(np.diff(codes, prepend=255, append=255))  # where runs begin, and the end
    runs = [length for begin, length in zip(letters, np.diff(letters), strict=False) if codes[begin] < 4]
    return (
        (g + c) / (a + c + g + t) if a + c + g + t else math.nan,
        (g - c) / (g + c) if g + c else math.nan,
        pairs * len(codes) / (c * g) if c * g else math.nan,
        float(max(runs, default=0)),
        math.log(max(1, len(codes))),
    )


def draw_words(sequences: Sequence[str], seed: int) -> list[str]:
    """At most `WORDS` k-mers, in their order, that stand in nearly half of the sequences; k is the one that has most.

    Of few words that are `BALANCED` all are taken; none where no k has any.
    """
    balanced: list[str] = []
    for k in LENGTHS:
        words = ["".join(letters) for letters in itertools.product("ACGT", repeat=k)]
        held = dict.fromkeys(words, 0)
        for sequence in sequences:
            for word in {sequence[start : start + k] for start in range(len(sequence) - k + 1)}:
                if word in held:
                    held[word] += 1
        few, many = (share * len(sequences) for share in BALANCED)
        found = [word for word, count in held.items() if few <= count <= many]
        balanced = max(balanced, found, key=len)
    chosen = np.random.default_rng(seed).permutation(len(balanced))[:WORDS]
    return sorted(balanced[place] for place in chosen)
