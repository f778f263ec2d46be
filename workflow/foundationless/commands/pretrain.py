"""Pretrain a randomly initialised model on genomes: next token or masked token, with checkpoints.

Under `torchrun --nproc-per-node N -m foundationless pretrain ...` (or several nodes) N processes share every step.
It goes on from where `pretrain_leg` or an earlier try ended.
"""

import argparse

from foundationless.commands import _pretraining
from foundationless.commands._pretraining import add_training, add_whole

RECIPE = _pretraining.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training(parser)
    add_whole(parser)


def run(arguments: argparse.Namespace) -> None:
    _pretraining.complete(arguments, "pretrained")
