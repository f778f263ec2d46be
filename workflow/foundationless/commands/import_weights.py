"""Write a weight directory from an official checkpoint that is already on this machine."""

import argparse
from pathlib import Path

from foundationless.commands import add_reading
from foundationless.commands._flags import output_directory

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--path", required=True, type=Path, help="directory with config.json and model.safetensors or pytorch_model.bin"
    )
    parser.add_argument("--sha256", help="expected SHA-256 of the weight file")
    parser.add_argument("--family", required=True, help="architecture family (see the command `models`)")
    parser.add_argument("--tokenizer", required=True, help="tokenizer of the checkpoint")
    add_reading(parser)
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.hub import import_checkpoint

    card = {
        "model": arguments.model,
        "family": arguments.family,
        "tokenizer": arguments.tokenizer,
        "init": "pretrained",
        "seed": None,
        "source": f"local directory {arguments.path.name}",
    }
    import_checkpoint(arguments.path, arguments.output, card, arguments.sha256, arguments.reading)
