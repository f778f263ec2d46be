"""Simulated text of known grammar: a genome that is written in words, two that hold nothing, and questions about words.

The truth of a comparison of models is planted here, in what a corpus holds, and nowhere else. The text is written in
five vocabularies of six words, all of them orders of the letters AACCGGTT, and two have the words of two others,
halves exchanged: neither letters nor short words alone tell them apart. Of every kind of question there are two. One is
about such words: whoever has read the text knows them, and whoever has not would have to learn them from few examples.
The other is about letters: it needs no reading, and whoever has forgotten how to tell letters apart fails.

- `words.fa`: contig `text` is read in pretraining and `heldout` scores it; both are stretches of one vocabulary each.
  `train`, `validation` and `test` hold the windows of the tasks, drawn anew.
- `shuffled.fa`: the same letters in a random order. There is nothing to learn but that all are equally frequent, so
  whatever reading it does beyond that can only harm.
- `monotone.fa`: one letter, over and over. Who reads it learns that what stands before does not matter.

Two kinds of questions have more than one answer, and are all about words. They stand in tables.

- `amounts.tsv`: how much of a window's text is in a vocabulary rather than in another, twice: two numbers with a little
  noise. `amounts_far.tsv` asks the same of text with wider gaps.
- `topics.tsv`: which of three vocabularies a window speaks; a tenth of the answers is not known.

Everything is a function of the seed, byte for byte. Coordinates are 0-based and half-open.
"""

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam

from foundationless.data.dna import reverse_complement
from foundationless.data.simulate_genome import seeded, staged

LETTERS = "AACCGGTT"  # of every word of the text, in some order
VOCABULARIES, WORDS, GAP = "abcde", 6, 2  # words of each; at most so many random letters stand between two
UNLIKE = {"weak": "AAATTTCG", "strong": "CCCGGGAT", "purine": "AAAAGGGC"}  # vocabularies that letters tell apart
STRETCH = (200, 600)  # bp of text in one vocabulary
TEXT = {"text": 300_000, "heldout": 20_000}  # bp
WINDOW = 96  # bp
INSERT = 64  # bp of words in a window that is random but for them
WINDOWS = {"train": 160, "validation": 80, "test": 600}  # of each task, half of each class
DECAYED = {"": 0.0, "turned": 0.5, "deaminated": 0.75}  # share of words that decay
ROWS = {"train": 240, "validation": 100, "test": 500}  # of each table
AMOUNTS = {"first": ("a", "b"), "second": ("c", "d")}  # number -> the vocabulary that it counts, and the other one
TOPICS = {"first": ("a", "b"), "second": ("c", "d"), "third": ("e", "e")}  # of one vocabulary the other is a strand
OF_EACH = 5  # words of a pair of vocabularies in a window of `amounts.tsv`, 4 of `topics.tsv`
NOISE = 0.05  # standard deviation of what is added to an amount; they lie between 0 and 1
UNKNOWN = 0.1  # share of topics
# Question about words -> the vocabularies whose words its windows hold, whichever the answer is.
SPEAKS = {
    "vocabulary_words": "ab", "decay_words": "cd", "strand_words": "e", "insert_words": "cd", "mixture_words": "eab",
}  # fmt: skip
_DEAMINATED = str.maketrans("CG", "TA")


def _turned(word: str) -> str:
    """The halves of a word exchanged: but for where they meet, the short words in it stay."""
    return word[len(word) // 2 :] + word[: len(word) // 2]


class _Writer:
    """Draws words and text."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        letters = {"a": LETTERS, "c": LETTERS, **UNLIKE}
        self.vocabularies = {name: [self.deal(some) for _ in range(WORDS)] for name, some in letters.items()}
        for name, other in (("b", "a"), ("d", "c")):
            self.vocabularies[name] = [_turned(word) for word in self.vocabularies[other]]
        self.vocabularies["e"] = self._one_strand()

    def _one_strand(self) -> list[str]:
        """Words whose other strand holds the same halves, but is not the same words: nobody could tell it."""
        while True:
            some = [self.deal(LETTERS) for _ in range(WORDS // 2)]
            words = [*some, *(reverse_complement(_turned(word)) for word in some)]
            if set(words) != {reverse_complement(word) for word in words}:
                return words

    def deal(self, letters: str) -> str:
        """The letters in a random order."""
        return "".join(letters[place] for place in self.rng.permutation(len(letters)).tolist())

    def random(self, length: int) -> str:
        """Independent, equally frequent letters."""
        return "".join("ACGT"[letter] for letter in self.rng.integers(4, size=length).tolist())

    def text(self, vocabulary: str, length: int, strand: str = "", decay: str = "", other: str = "") -> str:
        """Words of a vocabulary, on a `strand` (none: either); `other`: half of them are of that one.

        `decay` happens to a share of them: `turned` exchanges their halves, `deaminated` has T for C and A for G.
        """
        count = 2 + length // len(LETTERS)
        chosen = self.rng.integers(WORDS, size=count).tolist()
        gaps = self.rng.integers(GAP + 1, size=count).tolist()
        foreign = self.rng.random(count) < (0.5 if other else 0.0)
        lost = self.rng.random(count) < DECAYED[decay]
        parts = []
        for place, (number, gap) in enumerate(zip(chosen, gaps, strict=True)):
            word = self.vocabularies[other if foreign[place] else vocabulary][number]
            if lost[place]:
                word = _turned(word) if decay == "turned" else word.translate(_DEAMINATED)
            parts.append(word + self.random(gap))
        start = int(self.rng.integers(len(LETTERS)))  # windows do not begin with words
        sequence = "".join(parts)[start : start + length]
        backwards = strand == "-" or (not strand and self.rng.random() < 0.5)
        return reverse_complement(sequence) if backwards else sequence

    def stretches(self, length: int) -> str:
        """Text of one vocabulary after another."""
        parts: list[str] = []
        left = length
        while left > 0:
            size = min(left, int(self.rng.integers(*STRETCH)))
            parts.append(self.text(VOCABULARIES[self.rng.integers(len(VOCABULARIES))], size))
            left -= size
        return "".join(parts)

    def inserted(self, vocabulary: str) -> str:
        """Random letters around words."""
        before = int(self.rng.integers(WINDOW - INSERT + 1))
        return self.random(before) + self.text(vocabulary, INSERT) + self.random(WINDOW - INSERT - before)

    def mixed(self, words: list[str], gap: int) -> str:
        """Words in a random order with at most `gap` random letters between them, and before and behind to one length.

        Of windows of as many words none is longer than another.
        """
        order = self.rng.permutation(len(words)).tolist()
        between = self.rng.integers(gap + 1, size=len(words)).tolist()
        parts = [words[place] + self.random(size) for place, size in zip(order, between, strict=True)]
        left = gap * len(words) - sum(between)
        before = int(self.rng.integers(left + 1))
        return self.random(before) + "".join(parts) + self.random(left - before)

    def some(self, vocabulary: str, count: int) -> list[str]:
        """Words of a vocabulary, drawn at random."""
        return [self.vocabularies[vocabulary][number] for number in self.rng.integers(WORDS, size=count).tolist()]


def _amounts(writer: _Writer, gap: int) -> tuple[str, list[str]]:
    """A window of `amounts.tsv`, and its numbers as text."""
    words, values = [], []
    for one, other in AMOUNTS.values():
        count = int(writer.rng.integers(OF_EACH + 1))
        words += writer.some(one, count) + writer.some(other, OF_EACH - count)
        values.append(f"{count / OF_EACH + writer.rng.normal(0, NOISE):.4f}")
    return writer.mixed(words, gap), values


def _topics(writer: _Writer) -> tuple[str, list[str]]:
    """A window of `topics.tsv`, and its zeros and ones as text, empty where one is not known."""
    words, answers = [], []
    for one, other in TOPICS.values():
        spoken = bool(writer.rng.random() < 0.5)
        mine = writer.some(one if spoken else other, OF_EACH - 1)
        words += mine if spoken or one != other else [reverse_complement(word) for word in mine]
        answers.append("" if writer.rng.random() < UNKNOWN else str(int(spoken)))
    return writer.mixed(words, GAP), answers


def _tables(writer: _Writer) -> dict[str, list[str]]:
    """Lines of the tables: sequence, split, and a column for each answer."""
    kinds: dict[str, tuple[dict[str, tuple[str, str]], Callable[[], tuple[str, list[str]]]]] = {
        "amounts.tsv": (AMOUNTS, lambda: _amounts(writer, GAP)),
        "amounts_far.tsv": (AMOUNTS, lambda: _amounts(writer, 2 * GAP)),
        "topics.tsv": (TOPICS, lambda: _topics(writer)),
    }
    files = {}
    for name, (answers, write) in kinds.items():
        files[name] = lines = ["\t".join(("sequence", "split", *answers))]
        for split, count in ROWS.items():
            for _ in range(count):
                sequence, values = write()
                lines.append("\t".join((sequence, split, *values)))
    return files


def planted_words(seed: int, question: str) -> list[str]:
    """The words that stand in the windows of a question about words (a key of `SPEAKS`), on either strand."""
    vocabularies = _Writer(seeded(seed)).vocabularies
    return sorted({word for name in SPEAKS[question] for word in vocabularies[name]})


def _questions(writer: _Writer) -> dict[str, Callable[[int], str]]:
    """Task -> what writes a window of class 0 or 1; the first of two is about words, the second about letters."""

    def text(*ways: dict[str, str]) -> Callable[[int], str]:
        return lambda label: writer.text(length=WINDOW, **ways[label])

    def insert(*vocabularies: str) -> Callable[[int], str]:
        return lambda label: writer.inserted(vocabularies[label])

    return {
        "vocabulary_words": text({"vocabulary": "a"}, {"vocabulary": "b"}),
        "vocabulary_letters": text({"vocabulary": "weak"}, {"vocabulary": "strong"}),
        "decay_words": text({"vocabulary": "c", "decay": "turned"}, {"vocabulary": "c"}),
        "decay_letters": text({"vocabulary": "c", "decay": "deaminated"}, {"vocabulary": "c"}),
        "strand_words": text({"vocabulary": "e", "strand": "+"}, {"vocabulary": "e", "strand": "-"}),
        "strand_letters": text({"vocabulary": "purine", "strand": "+"}, {"vocabulary": "purine", "strand": "-"}),
        "insert_words": insert("c", "d"),
        "insert_letters": insert("weak", "strong"),
        "mixture_words": text({"vocabulary": "e", "other": "a"}, {"vocabulary": "e", "other": "b"}),
        "mixture_letters": text({"vocabulary": "e", "other": "weak"}, {"vocabulary": "e", "other": "strong"}),
    }


def _fasta(contigs: dict[str, str]) -> list[str]:
    return [line for name, bases in contigs.items() for line in (f">{name}", *textwrap.wrap(bases, 60))]


def simulate_words(directory: Path, seed: int) -> None:
    """Write words.fa, shuffled.fa and monotone.fa, each with its .fai, and a file of each question.

    The BED files (`vocabulary_words.bed`, ...) name windows of words.fa; their `name` column is the class, 0 or 1. The
    tables have the windows themselves, their split, and a column for each number, or zero or one.
    """
    rng = seeded(seed)
    writer = _Writer(rng)
    text = {name: writer.stretches(length) for name, length in TEXT.items()}
    parts: dict[str, list[str]] = {split: [] for split in WINDOWS}
    files: dict[str, list[str]] = {}
    for name, write in _questions(writer).items():
        files[f"{name}.bed"] = rows = []
        for split, count in WINDOWS.items():
            for number in range(count):
                start = len(parts[split]) * WINDOW
                parts[split].append(write(number % 2))
                rows.append(f"{split}\t{start}\t{start + WINDOW}\t{number % 2}\t0\t+")
    files["words.fa"] = _fasta(text | {split: "".join(windows) for split, windows in parts.items()})
    files["shuffled.fa"] = _fasta({name: writer.deal(bases) for name, bases in text.items()})
    files["monotone.fa"] = _fasta({name: "A" * len(bases) for name, bases in text.items()})
    files |= _tables(writer)
    with staged(directory) as stage:
        for name, lines in files.items():
            (stage / name).write_text("\n".join(lines) + "\n")
        for name in ("words.fa", "shuffled.fa", "monotone.fa"):
            pysam.faidx(str(stage / name))
