"""Read raw files into a sequence set.

`--explain` prints the sources and options of every reader.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file, seed
from foundationless.study.readers import SEQUENCE_READERS as READERS


class Explain(argparse.Action):
    """Print what every reader takes, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print("\n\n".join(f"{name}: {reader.explain()}" for name, reader in READERS.items()))
        parser.exit()


RECIPE = 3  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reader", required=True, help=f"one of {', '.join(READERS)}")
    parser.add_argument("--explain", nargs=0, action=Explain, help="print the sources and options of all readers")
    parser.add_argument("--source", action="append", default=[], metavar="ROLE=PATH", help="an input; may be repeated")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="a setting of the reader")
    parser.add_argument("--sha256", action="append", default=[], metavar="ROLE=DIGEST", help="what a source must hold")
    parser.add_argument("--limit", action="append", default=[], metavar="SPLIT=N", help="keep N of a split, by label")
    parser.add_argument("--strict-alphabet", action="store_true", help="refuse, not mend, other letters than A,C,G,T,N")
    parser.add_argument("--seed", type=seed, required=True, help="seed of every random choice")
    parser.add_argument("--output", required=True, type=output_file, help="sequence set to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.runtime.files import sha256
    from foundationless.runtime.log import tell
    from foundationless.tasks import derivations
    from foundationless.tasks.readers import build_set
    from foundationless.tasks.sequence_sets import write_sequences

    def pairs(flag: str) -> dict[str, str]:
        given: dict[str, str] = {}
        for text in getattr(arguments, flag):
            key, equals, value = text.partition("=")
            if not equals or not key or not value or key in given:
                raise UserError(f"--{flag} '{text}' is not KEY=VALUE, or its key is there twice.")
            given[key] = value
        return given

    if arguments.reader not in READERS:
        raise UserError(f"--reader '{arguments.reader}' is not known; it is one of {', '.join(READERS)}.")
    sources = {role: Path(path) for role, path in pairs("source").items()}
    options = pairs("option")
    for role, digest in pairs("sha256").items():
        if role in sources and (held := sha256(sources[role])) != digest:
            raise UserError(
                f"{sources[role]}: has sha256 {held} instead of {digest}; it changed: start again, or correct "
                "the sha256 that stands beside its path."
            )
    if arguments.strict_alphabet and "strict_alphabet" in READERS[arguments.reader].options:
        options["strict_alphabet"] = "yes"
    try:
        frame = build_set(arguments.reader, sources, options, arguments.seed)
    except UserError as error:
        raise UserError(f"task '{arguments.output.stem}': {error}") from None
    for split, size in pairs("limit").items():
        if not size.isdecimal():
            raise UserError(f"--limit '{split}={size}': the limit is a whole number.")
        frame = derivations.limit_split(frame, split, int(size), arguments.seed)
    write_sequences(arguments.output, frame)
    tell(f"{arguments.output.name}: {derivations.summary(frame)}")
