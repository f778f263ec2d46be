"""The text of words: reproducible, balanced, with what is planted in it and nothing beside it."""

import hashlib
from collections import Counter

import numpy as np
import pandas as pd
import pysam
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from foundationless.data import simulate_words
from foundationless.data.dna import reverse_complement
from foundationless.study.vocabulary import SIMULATED
from support.commands import call, words

KINDS = ("vocabulary", "decay", "strand", "insert", "mixture")


def simulate(output, seed=1):
    assert call(words("simulate_words", seed=seed, output=output)) == 0
    return output


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("words"))


def digests(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())}


def contigs(path):
    with pysam.FastaFile(str(path)) as fasta:
        return {name: fasta.fetch(name) for name in fasta.references}


def windows(text, name):
    """(sequences, labels) by split."""
    sequences, splits = contigs(text / "words.fa"), {}
    for line in (text / f"{name}.bed").read_text().splitlines():
        contig, start, end, label = line.split("\t")[:4]
        rows, labels = splits.setdefault(contig, ([], []))
        rows.append(sequences[contig][int(start) : int(end)])
        labels.append(int(label))
    return splits


def accuracy(text, name, length):
    """Of a logistic regression on counts of k-mers of one length, learned from all training windows."""
    splits, counts = windows(text, name), CountVectorizer(analyzer="char", ngram_range=(length, length))
    train = counts.fit_transform(splits["train"][0]).toarray()
    test, scaler = counts.transform(splits["test"][0]).toarray(), StandardScaler().fit(train)
    model = LogisticRegression(C=0.01, max_iter=2000).fit(scaler.transform(train), splits["train"][1])
    return model.score(scaler.transform(test), splits["test"][1])


def test_same_seed_same_bytes(text, tmp_path):
    again, other = digests(simulate(tmp_path / "again")), digests(simulate(tmp_path / "other", seed=2))
    assert again == digests(text)
    drawn = [name for name in again if not name.endswith(".fai") and name != "monotone.fa"]
    assert not {name for name in drawn if name.endswith(".fa") and other[name] == again[name]}
    assert {name for name in again if not name.endswith(".fai")} < set(SIMULATED)


def test_corpora_differ_in_order_alone(text):
    written, shuffled, monotone = (contigs(text / f"{name}.fa") for name in ("words", "shuffled", "monotone"))
    for name, length in simulate_words.TEXT.items():
        assert len(written[name]) == length == len(monotone[name]) and set(monotone[name]) == {"A"}
        assert Counter(written[name]) == Counter(shuffled[name]) and written[name] != shuffled[name]
        assert max(Counter(written[name]).values()) < 0.27 * length


def test_text_repeats_words_that_chance_does_not(text):
    def distinct(bases):
        return len({bases[start : start + 8] for start in range(len(bases) - 7)}) / (len(bases) - 7)

    written, shuffled = contigs(text / "words.fa"), contigs(text / "shuffled.fa")
    assert distinct(written["heldout"]) < 0.75 * distinct(shuffled["heldout"])
    counts = Counter(written["text"][start : start + 8] for start in range(len(written["text"]) - 7))
    for word, number in counts.most_common(20):
        assert sorted(word) == sorted(simulate_words.LETTERS)
        assert number > 20 * len(written["text"]) / 4**8 and counts[reverse_complement(word)] > number / 2


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_balanced_and_apart(text, kind):
    for about in ("words", "letters"):
        splits = windows(text, f"{kind}_{about}")
        assert {name: len(rows) for name, (rows, _) in splits.items()} == simulate_words.WINDOWS
        for rows, labels in splits.values():
            assert np.mean(labels) == 0.5 and {len(row) for row in rows} == {simulate_words.WINDOW}
            assert len(set(rows)) == len(rows)
        assert not set(splits["train"][0]) & set(splits["test"][0])


@pytest.mark.parametrize("kind", KINDS)
def test_letters_tell_what_they_should(text, kind):
    assert accuracy(text, f"{kind}_letters", 1) > 0.9
    assert accuracy(text, f"{kind}_words", 1) < 0.6, "words are orders of the same letters"
    assert accuracy(text, f"{kind}_words", 2) < 0.75, "and of nearly the same pairs"


@pytest.mark.parametrize("kind", ["vocabulary", "strand", "mixture"])
def test_words_can_be_told_apart(text, kind):
    assert accuracy(text, f"{kind}_words", 6) > 0.9


def tables(text, name):
    frame = pd.read_csv(text / f"{name}.tsv", sep="\t")
    return frame, frame[frame["split"] == "train"].index, frame[frame["split"] == "test"].index


def spoken(sequences, pair):
    """How many words of each vocabulary of a pair the sequences hold: [sequences, 2]."""
    known = simulate_words._Writer(simulate_words.seeded(1)).vocabularies
    return np.array([[sum(text.count(word) for word in known[name]) for name in pair] for text in sequences])


@pytest.mark.parametrize("name", ["amounts", "amounts_far"])
def test_amounts_are_shares_of_words_with_a_little_noise(text, name):
    frame, *_ = tables(text, name)
    assert frame["split"].value_counts().to_dict() == simulate_words.ROWS
    assert frame["sequence"].str.len().nunique() == 1
    first, second = spoken(frame["sequence"], simulate_words.AMOUNTS["first"]).T
    error = frame["first"] - first / (first + second)
    spread = error.abs().median() / 0.6745  # of most: a word may arise where two others meet
    assert 0.8 * simulate_words.NOISE < spread < 1.25 * simulate_words.NOISE and (error.abs() < 0.25).mean() > 0.9
    assert abs(np.corrcoef(frame["first"], frame["second"])[0, 1]) < 0.1


@pytest.mark.parametrize(("length", "low", "high"), [(2, -0.3, 0.1), (8, 0.5, 1.0)])
def test_letters_do_not_tell_amounts_and_words_do(text, length, low, high):
    frame, train, test = tables(text, "amounts")
    counts = CountVectorizer(analyzer="char", ngram_range=(length, length))
    seen = counts.fit_transform(frame["sequence"][train]).toarray().astype(float)
    model = Ridge(30.0).fit(seen, frame["first"][train])
    score = model.score(counts.transform(frame["sequence"][test]).toarray().astype(float), frame["first"][test])
    assert low < score < high


def test_topics_are_balanced_and_some_are_not_known(text):
    frame, *_ = tables(text, "topics")
    answers = frame[list(simulate_words.TOPICS)]
    assert ((answers.mean() - 0.5).abs() < 0.06).all() and set(answers.stack().dropna()) == {0.0, 1.0}
    assert (answers.isna().mean() - simulate_words.UNKNOWN).abs().max() < 0.04
    assert frame["sequence"].str.len().nunique() == 1
    for name in ("first", "second"):
        one, other = spoken(frame["sequence"], simulate_words.TOPICS[name]).T
        known = frame[name].notna()
        assert ((one > other)[known] == frame[name][known]).mean() > 0.99


def test_a_strand_can_be_told():
    """Of seed 306 the words that were drawn first are those of their other strand."""
    for seed in (306, *range(103, 123)):
        words = set(simulate_words.planted_words(seed, "strand_words"))
        assert words != {reverse_complement(word) for word in words}
