"""Simulate phased people of four superpopulations on a window of a genome, under a published human demography.

Writes population.vcf.gz(.tbi), panel.tsv (sample, pop, super_pop, gender, as the 1000 Genomes panel) and pedigree.tsv.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory, seed

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `simulate_population`."""
    add = parser.add_argument
    add("--genome", required=True, type=Path, help="FASTA whose bases become REF")
    add("--contig", required=True, help="contig of the window")
    add("--start", required=True, type=int, help="first base of the window, 0-based")
    add("--length", required=True, type=int, help="length of the window in bp")
    add("--people-per-population", required=True, type=int, help="diploid people of each population")
    add("--children-per-population", type=int, default=0, help="children of couples among them (default: none)")
    add("--seed", required=True, type=seed, help="seed; the same one gives the same bytes")
    add("--output", required=True, type=output_directory, help="directory to write into")


def run(arguments: argparse.Namespace) -> None:
    """Write the phased VCF, the panel and the pedigree."""
    from foundationless.data.simulate_population import simulate_population

    window = (arguments.genome, arguments.contig, arguments.start, arguments.length)
    people, children = arguments.people_per_population, arguments.children_per_population
    simulate_population(*window, people, arguments.seed, arguments.output, children)
