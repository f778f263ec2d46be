"""Shuffled genomes: dinucleotides as they were, all else drawn uniformly; and what is pretrained until a step."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from foundationless.__main__ import main
from foundationless.data.reference import Genome
from foundationless.training.corpora import shuffling
from foundationless.training.corpora.shuffling import shuffle_dinucleotides


def counts(sequence, k):
    return Counter(sequence[at : at + k] for at in range(len(sequence) - k + 1))


@pytest.mark.parametrize("letters", ["ACGT", "AAAAAAAAAC", "AAAAACG", "A"])
def test_dinucleotides_stay_and_trinucleotides_do_not(letters):
    generator = np.random.default_rng(0)
    sequence = "".join(generator.choice(list(letters), 5000))
    shuffled = shuffle_dinucleotides(sequence, generator)
    assert (counts(shuffled, 2), shuffled[0], shuffled[-1]) == (counts(sequence, 2), sequence[0], sequence[-1])
    assert (counts(shuffled, 3) == counts(sequence, 3)) == (letters == "A")


@pytest.mark.parametrize("sequence", ["ACGACTA", "AATTATCA", "AACCACAC", "GATTACAGA", "ACG", "AA", "A", ""])
def test_every_euler_path_is_as_likely(sequence):
    """The oracle lists all orders of the letters and keeps those with the same dinucleotides."""
    orders = {"".join(letters) for letters in itertools.permutations(sequence)}
    paths = sorted(path for path in orders if counts(path, 2) == counts(sequence, 2) and path[:1] == sequence[:1])
    generator = np.random.default_rng(1)
    seen = Counter(shuffle_dinucleotides(sequence, generator) for _ in range(1500))
    assert set(seen) == set(paths)
    if len(paths) > 1:
        assert stats.chisquare([seen[path] for path in paths]).pvalue > 0.001


def test_a_genome_keeps_its_places(tmp_path, monkeypatch):
    """Blocks, runs of N and regions that a corpus leaves out are shuffled by themselves; names and lengths stay."""
    monkeypatch.setattr(shuffling, "BLOCK", 1000)
    text = "".join(np.random.default_rng(2).choice(list("ACGT"), 5230))
    text = text[:1500] + "N" * 77 + text[1577:]
    genome, output = tmp_path / "g.fa", tmp_path / "s.fa"
    genome.write_text(f">chr1\n{text}\n>chr2:101-400\n{text[:300]}\n")
    flags = ["--genome", str(genome), "--seed", "3", "--exclude", "chr1:2101-2600", "--holdout", "chr2", "elsewhere"]
    assert main(["shuffle_genome", *flags, "--output", str(output)]) == 0
    shuffled, old = Genome(output), Genome(genome)
    assert [shuffled.coverage(name) for name in shuffled.contigs] == [old.coverage(name) for name in old.contigs]
    mine = shuffled.fetch("chr1", 0, 5230)
    assert mine != text and counts(mine, 2) == counts(text, 2)
    assert [at for at, letter in enumerate(mine) if letter == "N"] == list(range(1500, 1577))
    for low, high in [(0, 1000), (2000, 2100), (2100, 2600), (2600, 3000), (5000, 5230)]:
        assert counts(mine[low:high], 2) == counts(text[low:high], 2)
    again = tmp_path / "again.fa"
    assert main(["shuffle_genome", *flags, "--output", str(again)]) == 0
    assert again.read_bytes() == output.read_bytes()
    assert output.read_text().splitlines()[1] == mine[:60]
