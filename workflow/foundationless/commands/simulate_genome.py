"""Simulate a genome with planted motif grammar and genes of several biotypes.

Writes genome.fa(.fai), genes.gtf, mark.bed, promoter.bed, enhancer.bed (name = class) and truth.tsv (motifs).
"""

import argparse

from foundationless.commands._flags import output_directory, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `simulate_genome`."""
    parser.add_argument("--seed", required=True, type=seed, help="seed; the same one gives the same bytes")
    parser.add_argument("--output", required=True, type=output_directory, help="directory to write into")


def run(arguments: argparse.Namespace) -> None:
    """Write the genome and its annotation."""
    from foundationless.data.simulate_genome import simulate_genome

    simulate_genome(arguments.output, arguments.seed)
