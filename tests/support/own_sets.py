"""Small sets whose truth is planted: what `make trial DATA=` must say of each is known."""

import random
from pathlib import Path

import pandas as pd

TRUTHS = {
    "motif": "words of a few letters suffice: k-mers",
    "grammar": "the order of two words decides, wherever they stand: counts of words cannot tell, a network can",
    "shuffled": "labels were dealt by lot: nothing learns",
    "counted": "a value grows with the copies of a word: k-mers",
    "ordered": "the order of two words decides on a value: counts of words cannot tell, a network can",
    "lots": "values were dealt by lot: nothing learns",
    "marked": "each of three tracks has a word of its own: k-mers",
}
# Columns of the labels of sets that have no classes.
COLUMNS = {"counted": ("value",), "ordered": ("value",), "lots": ("value",), "marked": ("ctcf", "cre", "gata")}
FIRST, SECOND = "TTGACGTCAA", "CCGGATATCC"  # each in every sequence of `grammar` and `ordered`
THIRD = "AGATAAGGCA"
NOISE = 0.3  # standard deviation of a value around what its sequence says


def _with_words(words: tuple[str, ...], length: int, dice: random.Random) -> str:
    """Random letters with the words in this order, one in each part of the same length."""
    text = dice.choices("ACGT", k=length)
    size = length // max(1, len(words))
    for number, word in enumerate(words):
        at = number * size + dice.randrange(size - len(word))
        text[at : at + len(word)] = word
    return "".join(text)


def _sequence(kind: str, label: int, length: int, dice: random.Random) -> str:
    text = dice.choices("ACGT", k=length)
    if kind in ("grammar", "ordered"):
        words = (FIRST, SECOND) if label else (SECOND, FIRST)
        first = dice.randrange(0, length // 2 - 10)
        places = (first, dice.randrange(first + 10, length - 10))
    else:
        words, places = ((FIRST,), (dice.randrange(length - 10),)) if label else ((), ())
    for word, at in zip(words, places, strict=True):
        text[at : at + len(word)] = word
    return "".join(text)


def planted(kind: str, rows: int, length: int = 200, seed: int = 1) -> pd.DataFrame:
    """A table `name`, `dna` and the labels of one of `TRUTHS`: `class`, half of each; or `COLUMNS`."""
    dice = random.Random(f"{kind}{seed}")
    names = [f"s{number}" for number in range(rows)]
    if kind in COLUMNS:
        texts, labels = zip(*(_measured(kind, length, dice) for _ in range(rows)), strict=True)
        return pd.DataFrame({"name": names, "dna": texts}).join(pd.DataFrame(labels, columns=list(COLUMNS[kind])))
    labels = [number % 2 for number in range(rows)]
    texts = [_sequence(kind, label, length, dice) for label in labels]
    if kind == "shuffled":
        dice.shuffle(labels)
    classes = ["active" if label else "silent" for label in labels]
    return pd.DataFrame({"name": names, "dna": texts, "class": classes})


def _measured(kind: str, length: int, dice: random.Random) -> tuple[str, tuple[float | None, ...]]:
    """A sequence and its labels; of tracks one in twenty is not known."""
    if kind == "marked":
        ones = [int(dice.random() < 0.4) for _ in COLUMNS[kind]]
        words = [word for word, one in zip((FIRST, SECOND, THIRD), ones, strict=True) if one]
        dice.shuffle(words)
        known = tuple(None if dice.random() < 0.05 else one for one in ones)
        return _with_words(tuple(words), length, dice), known
    if kind == "ordered":
        label = dice.randrange(2)
        text, value = _sequence(kind, label, length, dice), 2.0 * label - 1
    else:
        copies = dice.randrange(4)
        text = _with_words((FIRST,) * copies, length, dice)
        value = float(copies) if kind == "counted" else 0.0
    return text, (round(value + dice.gauss(0, NOISE), 4),)


def write(path: Path, kind: str, rows: int, length: int = 200, seed: int = 1) -> Path:
    """The table as CSV; a label that is not known is an empty cell."""
    table = planted(kind, rows, length, seed)
    if kind == "marked":
        table = table.astype({name: "Int64" for name in COLUMNS[kind]})
    table.to_csv(path, index=False)
    return path
