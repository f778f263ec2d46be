"""Read a perturbation screen into the mean expression of each condition and of two halves of its replicates.

`--explain` prints the sources and options.
"""

import argparse

from foundationless.commands._flags import add_sources, output_file, read_sources, seed
from foundationless.study.readers import EFFECT_READERS

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `build_effects`."""
    add_sources(parser, EFFECT_READERS, "effects")
    parser.add_argument("--seed", type=seed, required=True, help="seed by which replicates are dealt into halves")
    parser.add_argument("--output", required=True, type=output_file, help="effects to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    """Build the effects and write them."""
    from collections import Counter
    from importlib import import_module

    from foundationless.errors import UserError
    from foundationless.perturbation.effects import write_effects
    from foundationless.runtime.log import tell
    from foundationless.tasks.options import check_sources, parse_options

    sources, options = read_sources(arguments, EFFECT_READERS)
    reader = EFFECT_READERS[arguments.reader]
    try:
        check_sources(reader, sources)
        settings = parse_options(reader, options)
        module, _, function = reader.function.partition(":")
        read = getattr(import_module(f"foundationless.perturbation.{module}"), function)
        effects = read(sources, settings, arguments.seed)
    except UserError as error:
        raise UserError(f"task '{arguments.output.stem}': {error}") from None
    write_effects(arguments.output, effects)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(effects.kinds).items()))
    tell(f"{arguments.output.name}: {kinds}; {len(effects.genes)} genes, {int(effects.cells.sum())} rows")
