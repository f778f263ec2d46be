"""Simulate a perturbation screen of which all is known, and vectors of its genes that help and that do not.

Writes effects.h5ad (replicates and their conditions), useful.tsv, useless.tsv and interactions.tsv.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `simulate_effects`."""
    parser.add_argument("--seed", required=True, type=seed, help="seed; the same one gives the same bytes")
    parser.add_argument("--genes", type=Path, help="GTF whose genes are read out (default: made up names)")
    parser.add_argument("--output", required=True, type=output_directory, help="directory to write into")


def run(arguments: argparse.Namespace) -> None:
    """Write the screen and the vectors."""
    from foundationless.perturbation.simulate import simulate_effects

    simulate_effects(arguments.output, arguments.seed, arguments.genes)
