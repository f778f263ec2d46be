"""Types of command-line flags: what cannot be used is refused before any work, in one sentence."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from foundationless.errors import UserError

# Published embeddings that a checkpoint is compared with, beside the program wherever it runs.
KNOWN_EMBEDDINGS = Path(__file__).parents[3] / "resources" / "lists" / "known_embeddings.json"


def output_file(text: str) -> Path:
    """A file to write: refused before any work where it is a directory or its directory cannot be written to."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a directory, and a file is to be written")
    _check_parents(path)
    return path


def output_directory(text: str) -> Path:
    """A directory to write: refused before any work where a file has its name or its parent cannot be written to."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a file, and a directory is to be written")
    _check_parents(path)
    return path


def _check_parents(path: Path) -> None:
    nearest = next(parent for parent in path.absolute().parents if parent.exists())
    if not nearest.is_dir():
        raise argparse.ArgumentTypeError(f"{path} cannot be written: {nearest} is no directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{path} cannot be written: no permission to write to {nearest}")


def seed(text: str) -> int:
    """A seed: a whole number that every library takes."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{value} is no seed; it lies between 0 and 4294967295")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def number(text: str) -> float:
    """A finite number."""
    value = float(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def layer(text: str) -> int | str:
    """A layer of a network as flags name it: a number from 0, `last` or `all`."""
    if text not in ("all", "last") and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no layer: all, last, or a number from 0")
    return text if text in ("all", "last") else int(text)


def key_values(flag: str, texts: Sequence[str]) -> dict[str, str]:
    """Values of a flag that is `KEY=VALUE` and may be repeated, by key."""
    given: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or not value or key in given:
            raise UserError(f"{flag} '{text}' is not KEY=VALUE, or its key is there twice.")
        given[key] = value
    return given
