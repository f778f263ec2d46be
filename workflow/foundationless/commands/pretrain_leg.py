"""Pretrain as far as a stated step, and leave a checkpoint from which the next leg, or `pretrain`, goes on."""

import argparse

from foundationless.commands import _pretraining
from foundationless.commands._flags import count, output_file
from foundationless.commands._pretraining import add_training

RECIPE = _pretraining.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of pretraining, and where this leg ends."""
    add_training(parser)
    parser.add_argument("--until", required=True, type=count, help="step after which this leg ends")
    parser.add_argument("--output", required=True, type=output_file, help="how far it came (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Train, keep the state, and say how far it came."""
    from foundationless.runtime.files import write_json
    from foundationless.training import pretraining

    with _pretraining.training(arguments) as (group, usage, given):
        step = pretraining.advance(**given, until=arguments.until)
    if group.leads:
        write_json(arguments.output, {"step": step, "steps": arguments.steps, "cost": usage.cost()})
