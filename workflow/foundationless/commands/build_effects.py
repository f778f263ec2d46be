"""Read a perturbation screen into the mean expression of each condition and of two halves of its replicates.

`--explain` prints the sources and options.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file, seed
from foundationless.study.readers import EFFECT_READERS


class Explain(argparse.Action):
    """Print what every reader takes, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print("\n\n".join(f"{name}: {reader.explain()}" for name, reader in EFFECT_READERS.items()))
        parser.exit()


RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `build_effects`."""
    parser.add_argument("--reader", default="effects", help=f"one of {', '.join(EFFECT_READERS)}")
    parser.add_argument("--explain", nargs=0, action=Explain, help="print the sources and options of all readers")
    parser.add_argument("--source", action="append", default=[], metavar="ROLE=PATH", help="an input; may be repeated")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="a setting of the reader")
    parser.add_argument("--seed", type=seed, required=True, help="seed by which replicates are dealt into halves")
    parser.add_argument("--output", required=True, type=output_file, help="effects to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    """Build the effects and write them."""
    from collections import Counter
    from importlib import import_module

    from foundationless.commands._flags import key_values
    from foundationless.errors import UserError
    from foundationless.perturbation.effects import write_effects
    from foundationless.runtime.log import tell
    from foundationless.tasks.options import check_sources, parse_options

    if arguments.reader not in EFFECT_READERS:
        raise UserError(f"--reader '{arguments.reader}' is not known; it is one of {', '.join(EFFECT_READERS)}.")
    reader = EFFECT_READERS[arguments.reader]
    sources = {role: Path(path) for role, path in key_values("--source", arguments.source).items()}
    try:
        check_sources(reader, sources)
        settings = parse_options(reader, key_values("--option", arguments.option))
        module, _, function = reader.function.partition(":")
        read = getattr(import_module(f"foundationless.perturbation.{module}"), function)
        effects = read(sources, settings, arguments.seed)
    except UserError as error:
        raise UserError(f"task '{arguments.output.stem}': {error}") from None
    write_effects(arguments.output, effects)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(effects.kinds).items()))
    tell(f"{arguments.output.name}: {kinds}; {len(effects.genes)} genes, {int(effects.cells.sum())} rows")
