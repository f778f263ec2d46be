"""DNA as text: strands, and where a sequence lies in a longer one."""

import random

import hypothesis.strategies as st
from hypothesis import given

from foundationless.data.dna import contigs_of, locate, reverse_complement


@given(st.text("ACGTN", max_size=200))
def test_reverse_complement_is_an_involution_and_pairs_bases(sequence):
    other = reverse_complement(sequence)
    assert reverse_complement(other) == sequence
    assert [other.count(base) for base in "ACGTN"] == [sequence.count(base) for base in "TGCAN"]


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def test_locate_finds_every_occurrence_on_both_strands():
    text = dna(3000, 5)
    pieces = [("x", 1000, text), ("y", 0, dna(500, 6) + text[200:260] + reverse_complement(text[200:260]))]
    found = locate([text[200:260], reverse_complement(text[900:1000]), dna(50, 9), "ACGT", text[-16:]], pieces)
    first = [(0, "x", 1200, "+"), (0, "y", 500, "+"), (0, "y", 560, "-")]
    assert list(found.itertuples(index=False, name=None)) == [*first, (1, "x", 1900, "-"), (4, "x", 3984, "+")]
    assert contigs_of([text[200:260], text[10:90] + "A" + text[91:170]], lambda: pieces) == [["x", "y"], ["x"]]


def test_locate_crosses_chunks(monkeypatch):
    monkeypatch.setattr("foundationless.data.dna._CHUNK", 64)
    text = dna(1000, 5)
    found = locate([text[at : at + 40] for at in range(0, 960, 7)], [("x", 0, text)])
    assert list(found["start"]) == list(range(0, 960, 7))
