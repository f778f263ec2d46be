"""Types of command-line flags: what cannot be used is refused before any work, in one sentence."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from foundationless.errors import UserError
from foundationless.runtime.files import sha256
from foundationless.study.readers import Reader

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


class Explain(argparse.Action):
    """Print what every reader of `const` takes, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        readers: Mapping[str, Reader] = self.const
        print("\n\n".join(f"{name}: {reader.explain()}" for name, reader in readers.items()))
        parser.exit()


def add_sources(parser: argparse.ArgumentParser, readers: Mapping[str, Reader], default: str | None = None) -> None:
    """Flags of what a reader is given; without a `default` one of `readers` must be named."""
    add = parser.add_argument
    add("--reader", required=default is None, default=default, help=f"one of {', '.join(readers)}")
    add("--explain", nargs=0, action=Explain, const=readers, help="print the sources and options of all readers")
    add("--source", action="append", default=[], metavar="ROLE=PATH", help="an input; may be repeated")
    add("--option", action="append", default=[], metavar="KEY=VALUE", help="a setting of the reader")
    add("--sha256", action="append", default=[], metavar="ROLE=DIGEST", help="what a source must hold")


def read_sources(
    arguments: argparse.Namespace, readers: Mapping[str, Reader]
) -> tuple[dict[str, Path], dict[str, str]]:
    """Sources and options of the flags of `add_sources`; a source that does not hold what it must is a `UserError`."""
    if arguments.reader not in readers:
        raise UserError(f"--reader '{arguments.reader}' is not known; it is one of {', '.join(readers)}.")
    sources = {role: Path(path) for role, path in key_values("--source", arguments.source).items()}
    options = key_values("--option", arguments.option)
    for role, digest in key_values("--sha256", arguments.sha256).items():
        if role in sources and (held := sha256(sources[role])) != digest:
            raise UserError(
                f"{sources[role]}: has sha256 {held} instead of {digest}; it changed: start again, or correct "
                "the sha256 that stands beside its path."
            )
    return sources, options
