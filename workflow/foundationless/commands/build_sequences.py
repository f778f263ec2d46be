"""Read raw files into a sequence set.

`--explain` prints the sources and options of every reader.
"""

import argparse

from foundationless.commands._flags import add_sources, key_values, output_file, read_sources, seed
from foundationless.study.readers import SEQUENCE_READERS as READERS

RECIPE = 3  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser, READERS)
    parser.add_argument("--limit", action="append", default=[], metavar="SPLIT=N", help="keep N of a split, by label")
    parser.add_argument("--strict-alphabet", action="store_true", help="refuse, not mend, other letters than A,C,G,T,N")
    parser.add_argument("--seed", type=seed, required=True, help="seed of every random choice")
    parser.add_argument("--output", required=True, type=output_file, help="sequence set to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.runtime.log import tell
    from foundationless.tasks import derivations
    from foundationless.tasks.readers import build_set
    from foundationless.tasks.sequence_sets import write_sequences

    sources, options = read_sources(arguments, READERS)
    if arguments.strict_alphabet and "strict_alphabet" in READERS[arguments.reader].options:
        options["strict_alphabet"] = "yes"
    try:
        frame = build_set(arguments.reader, sources, options, arguments.seed)
    except UserError as error:
        raise UserError(f"task '{arguments.output.stem}': {error}") from None
    for split, size in key_values("--limit", arguments.limit).items():
        if not size.isdecimal():
            raise UserError(f"--limit '{split}={size}': the limit is a whole number.")
        frame = derivations.limit_split(frame, split, int(size), arguments.seed)
    write_sequences(arguments.output, frame)
    tell(f"{arguments.output.name}: {derivations.summary(frame)}")
