"""Options of a reader: their types, their defaults and what `--explain` prints of them."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError

Read = Callable[[dict[str, Path], dict[str, Any], int], pd.DataFrame]


def words(text: str) -> list[str]:
    """`IV,XII` to ["IV", "XII"]."""
    return [word for word in (part.strip() for part in text.split(",")) if word]


def whole_numbers(text: str) -> list[int]:
    """`1,64,128` to [1, 64, 128]."""
    return [int(word) for word in words(text)]


def numbers(text: str) -> list[float]:
    """`0.72,0.08,0.2` to finite floats."""
    found = [float(word) for word in words(text)]
    if not np.isfinite(found).all():
        raise ValueError(text)
    return found


def share(text: str) -> float:
    """A number from 0 to below 1."""
    if not 0 <= float(text) < 1:
        raise ValueError(text)
    return float(text)


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def at_least_zero(text: str) -> int:
    """A whole number from 0."""
    if int(text) < 0:
        raise ValueError(text)
    return int(text)


def yes_or_no(text: str) -> bool:
    """`yes` or `no`."""
    if text not in {"yes", "no"}:
        raise ValueError(text)
    return text == "yes"


def label_map(text: str) -> dict[str, str]:
    """`0:none,1:promoter` to {"0": "none", "1": "promoter"}."""
    pairs = [item.partition(":") for item in words(text)]
    if any(not colon or not old or not new for old, colon, new in pairs):
        raise ValueError(text)
    return {old: new for old, _, new in pairs}


@dataclass(frozen=True)
class Option:
    """One `KEY=VALUE` of a reader: how the value is read, what it is by default, and what it means."""

    convert: Callable[[str], Any]
    default: Any
    help: str


ALPHABET = {
    "strict_alphabet": Option(
        yes_or_no, False, "yes: refuse letters other than A, C, G, T, N; no: upper case, U to T, ambiguity letters to N"
    )
}


@dataclass(frozen=True)
class Reader:
    """A function from raw files to a sequence set, with the sources and options that it knows.

    A source name that ends in `*` stands for any name of that beginning. `required` sources must be given.
    """

    summary: str
    sources: Mapping[str, str]
    required: tuple[str, ...]
    options: Mapping[str, Option]
    read: Read = field(repr=False)

    def __call__(self, sources: Mapping[str, Path], options: Mapping[str, str], seed: int) -> pd.DataFrame:
        """The sequence set (columns in `sequences`); `UserError` for names that the reader does not know."""
        for name in sources:
            if not any(name == known or (known[-1] == "*" and name.startswith(known[:-1])) for known in self.sources):
                raise UserError(f"source '{name}' is not known to this reader; it takes {', '.join(self.sources)}.")
        for name in self.required:
            if name not in sources:
                raise UserError(f"source '{name}' is missing ({self.sources[name]}); add --source {name}=PATH.")
        settings = {name: option.default for name, option in self.options.items()}
        for name, text in options.items():
            if name not in self.options:
                raise UserError(
                    f"option '{name}' is not known to this reader; it takes {', '.join(self.options) or 'none'}."
                )
            try:
                settings[name] = self.options[name].convert(text)
            except ValueError:
                raise UserError(f"option {name}={text} is not understood: {self.options[name].help}.") from None
        return self.read(dict(sources), settings, seed)

    def explain(self) -> str:
        """Sources and options, one a line."""
        lines = [self.summary, "  sources:"]
        lines += [
            f"    {name}{'' if name in self.required else ' (optional)'}: {text}" for name, text in self.sources.items()
        ]
        lines += ["  options:"] if self.options else []
        lines += [f"    {name}: {option.help} (default {option.default!r})" for name, option in self.options.items()]
        return "\n".join(lines)


def note(text: str) -> None:
    """One line for the log."""
    print(text, file=sys.stderr)
