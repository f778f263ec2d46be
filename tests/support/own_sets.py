"""Three small sets whose truth is planted: what `make trial DATA=` must say of each is known."""

import random
from pathlib import Path

import pandas as pd

TRUTHS = {
    "motif": "words of a few letters suffice: k-mers",
    "grammar": "the order of two words decides, wherever they stand: counts of words cannot tell, a network can",
    "shuffled": "labels were dealt by lot: nothing learns",
}
FIRST, SECOND = "TTGACGTCAA", "CCGGATATCC"  # each in every sequence of `grammar`


def _sequence(kind: str, label: int, length: int, dice: random.Random) -> str:
    text = dice.choices("ACGT", k=length)
    if kind == "grammar":
        words = (FIRST, SECOND) if label else (SECOND, FIRST)
        first = dice.randrange(0, length // 2 - 10)
        places = (first, dice.randrange(first + 10, length - 10))
    else:
        words, places = ((FIRST,), (dice.randrange(length - 10),)) if label else ((), ())
    for word, at in zip(words, places, strict=True):
        text[at : at + len(word)] = word
    return "".join(text)


def planted(kind: str, rows: int, length: int = 200, seed: int = 1) -> pd.DataFrame:
    """A table `name`, `dna`, `class` of one of `TRUTHS`, half of each class."""
    dice = random.Random(f"{kind}{seed}")
    labels = [number % 2 for number in range(rows)]
    texts = [_sequence(kind, label, length, dice) for label in labels]
    if kind == "shuffled":
        dice.shuffle(labels)
    classes = ["active" if label else "silent" for label in labels]
    return pd.DataFrame({"name": [f"s{number}" for number in range(rows)], "dna": texts, "class": classes})


def write(path: Path, kind: str, rows: int, length: int = 200, seed: int = 1) -> Path:
    """The table as CSV."""
    planted(kind, rows, length, seed).to_csv(path, index=False)
    return path
