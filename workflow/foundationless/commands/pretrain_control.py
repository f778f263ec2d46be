"""Pretrain a control: as `pretrain` does, on another corpus, or no further than a step of the same schedule.

`dinucleotide` reads genomes whose dinucleotides are shuffled (`shuffle_genome`), `stepN` the corpus itself until step
N, after which `pretrain` has these very weights.
"""

import argparse

from foundationless.commands import _pretraining
from foundationless.commands._pretraining import add_training, add_whole
from foundationless.errors import UserError
from foundationless.study.vocabulary import OTHER_CORPORA, steps_of

RECIPE = _pretraining.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of pretraining, and which control comes out."""
    add_training(parser)
    add_whole(parser)
    parser.add_argument("--init", required=True, help="dinucleotide, or stepN: which control this makes")


def run(arguments: argparse.Namespace) -> None:
    """Train, and write the control's weights."""
    steps = steps_of(arguments.init)
    if not steps and arguments.init not in OTHER_CORPORA:
        raise UserError(f"--init {arguments.init}: is none of {', '.join(OTHER_CORPORA)}, stepN.")
    _pretraining.complete(arguments, arguments.init, steps or None)
