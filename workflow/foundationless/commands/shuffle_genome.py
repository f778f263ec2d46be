"""Shuffle a genome for a control of pretraining: every dinucleotide as often as it is, their order drawn anew.

Blocks of 100,000 bases are shuffled one by one and runs of N stay. Regions named by --exclude and --holdout are
shuffled by themselves, so that nothing which a corpus leaves out comes in.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `shuffle_genome`."""
    parser.add_argument("--genome", required=True, type=Path, help="FASTA, as prepare_genome writes it")
    parser.add_argument("--exclude", nargs="*", default=[], help="contigs or regions that the corpus never reads")
    parser.add_argument("--holdout", nargs="*", default=[], help="contigs or regions for the held-out loss alone")
    parser.add_argument("--seed", required=True, type=seed, help="seed; the same one gives the same bytes")
    parser.add_argument("--output", required=True, type=output_file, help="FASTA to write; its .fai is put beside it")


def run(arguments: argparse.Namespace) -> None:
    """Write the shuffled genome."""
    from foundationless.runtime.log import tell
    from foundationless.training.corpora.shuffling import shuffle_genome

    apart = [*arguments.exclude, *arguments.holdout]
    count = shuffle_genome(arguments.genome, apart, arguments.seed, arguments.output)
    tell(f"{arguments.output.name}: {count:,} bases shuffled")
