"""Download an official checkpoint at a pinned revision and write it as a weight directory.

Only config.json, the weights (safetensors before a pickle) and tokenizer files are fetched; no code is ever run. The
weights are loaded strictly once, so a checkpoint that this program would misread never gets a weight directory.
"""

import argparse

from foundationless.commands import add_hub, add_reading
from foundationless.commands._flags import output_directory

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_hub(parser)
    parser.add_argument("--sha256", help="expected SHA-256 of the published weight file")
    parser.add_argument("--family", required=True, help="architecture family (see the command `models`)")
    parser.add_argument("--tokenizer", required=True, help="tokenizer of the checkpoint")
    add_reading(parser)
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.hub import fetch_checkpoint, import_checkpoint

    directory = fetch_checkpoint(
        arguments.repository, arguments.revision, arguments.cache, arguments.local_hub, arguments.offline
    )
    card = {
        "model": arguments.model,
        "family": arguments.family,
        "tokenizer": arguments.tokenizer,
        "init": "pretrained",
        "seed": None,
        "source": f"{arguments.repository}@{arguments.revision}",
    }
    import_checkpoint(directory, arguments.output, card, arguments.sha256, arguments.reading)
