"""Markov models of bases, the cheap reference of bits per base: orders 1 to 11, each smoothed by the one below."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from foundationless.data.dna import reverse_complement
from foundationless.data.reference import Stretch
from foundationless.features.bases import encode, words

ORDERS = tuple(range(1, 12))
STRENGTH = 10.0  # bases that the order below counts for
BLOCK = 1 << 22  # bases read at once

Tables = list[NDArray[np.float32]]


def read_stretches(stretches: Iterable[Stretch]) -> Iterable[str]:
    """The text of stretches of genomes, block by block."""
    for stretch in stretches:
        for start in range(stretch.start, stretch.end, BLOCK):
            yield stretch.genome.fetch(stretch.contig, start, min(start + BLOCK, stretch.end))


def fit_markov(texts: Iterable[str], highest: int = ORDERS[-1]) -> Tables:
    """log2 P(base | the k bases before it) of every order k from 0 to the highest: arrays [4^k, 4].

    Both strands of every text are counted, words of `highest` + 1 bases, of which those of shorter ones are sums.
    Order k is smoothed by order k − 1: P_k = (n(context, base) + 10 P_{k−1}(base)) / (n(context) + 10), a hierarchical
    Dirichlet prior (MacKay and Peto 1995, doi:10.1017/S1351324900000218); order 0 by equal shares. No tables where no
    word was counted: they would be the prior.
    """
    counts = np.zeros(4 ** (highest + 1), dtype=np.int64)
    for text in _joined(texts):
        for strand in (text, reverse_complement(text)):
            *_, (word, known) = words(encode(strand), highest + 1)
            counts += np.bincount(word[known], minlength=len(counts))
    if not counts.any():
        return []
    by_order = [counts.reshape(-1, 4)]
    for _ in range(highest):
        by_order.insert(0, by_order[0].reshape(4, -1, 4).sum(axis=0))
    chances = np.full((1, 4), 0.25, dtype=np.float32)
    tables: Tables = []
    for order, number in enumerate(by_order):
        # a context's last bases are its low digits: those of the order below, once for each first base
        own = number.astype(np.float32).reshape(4 if order else 1, -1, 4)
        total = own.sum(axis=2, keepdims=True) + np.float32(STRENGTH)
        chances = ((own + np.float32(STRENGTH) * chances) / total).reshape(-1, 4)
        tables.append(np.log2(chances))
    return tables


def _joined(texts: Iterable[str]) -> Iterator[str]:
    """Texts put together with N between, so that there are few and long ones."""
    held, length = list[str](), 0
    for text in texts:
        held.append(text)
        length += len(text)
        if length > BLOCK:
            yield "N".join(held)
            held, length = [], 0
    if held:
        yield "N".join(held)


def markov_bits(tables: Tables, sequences: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bits [orders, n] of the bases of each sequence but the first, and how many bases [n] that is.

    A base with fewer known bases before it than the order is predicted by the longest context that it has; other
    letters than A, C, G, T are neither predicted nor a context.
    """
    bits = np.zeros((len(tables), len(sequences)))
    bases = np.zeros(len(sequences), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        values = np.zeros(len(sequence))
        for order, (word, known) in enumerate(words(encode(sequence), len(tables))):
            values[np.flatnonzero(known) + order] = -tables[order].ravel()[word[known]]
            bits[order, row] = values[1:].sum()
            bases[row] = known[1:].sum() if not order else bases[row]
    return bits, bases
