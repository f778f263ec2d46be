"""Pretrain a control on nothing but the training sequences of a task: its labels and its test rows stay unread.

As `pretrain` does on genomes; its validation sequences are what the loss is measured on.
"""

import argparse

from foundationless.commands import _pretraining
from foundationless.commands._pretraining import add_training, add_whole
from foundationless.study.vocabulary import SELF

RECIPE = _pretraining.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training(parser, own_rows=True)
    add_whole(parser)


def run(arguments: argparse.Namespace) -> None:
    _pretraining.complete(arguments, SELF)
