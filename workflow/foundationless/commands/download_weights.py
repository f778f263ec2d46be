"""Download an official checkpoint at a pinned revision and write it as a weight directory.

Only config.json, the weights (safetensors before a pickle) and tokenizer files are fetched; no code is ever run. The
weights are loaded strictly once, so a checkpoint that this program would misread never gets a weight directory.
"""

import argparse

from foundationless.commands import add_hub
from foundationless.commands.import_weights import add_checkpoint, write_checkpoint

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_hub(parser)
    add_checkpoint(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.hub import fetch_checkpoint

    place = (arguments.repository, arguments.revision, arguments.cache, arguments.local_hub, arguments.offline)
    write_checkpoint(arguments, fetch_checkpoint(*place), f"{arguments.repository}@{arguments.revision}")
