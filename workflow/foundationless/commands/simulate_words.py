"""Simulate a genome that is written in words, two corpora that hold nothing, and questions about the words.

Writes words.fa, shuffled.fa and monotone.fa (with .fai), one BED file of windows for each question (name = class), and
tables of windows for those with several answers.
"""

import argparse

from foundationless.commands._flags import output_directory, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `simulate_words`."""
    parser.add_argument("--seed", required=True, type=seed, help="seed; the same one gives the same bytes")
    parser.add_argument("--output", required=True, type=output_directory, help="directory to write into")


def run(arguments: argparse.Namespace) -> None:
    """Write the corpora and the questions."""
    from foundationless.data.simulate_words import simulate_words

    simulate_words(arguments.output, arguments.seed)
