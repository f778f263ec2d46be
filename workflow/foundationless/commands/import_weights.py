"""Write a weight directory from an official checkpoint that is already on this machine."""

import argparse
from pathlib import Path

from foundationless.commands import add_reading
from foundationless.commands._flags import KNOWN_EMBEDDINGS, output_directory

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "directory with config.json and model.safetensors or pytorch_model.bin"
    parser.add_argument("--path", required=True, type=Path, help=text)
    add_checkpoint(parser)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Flags that say what an official checkpoint is, wherever it comes from."""
    parser.add_argument("--sha256", help="expected SHA-256 of the published weight file")
    parser.add_argument("--family", required=True, help="architecture family (see the command `models`)")
    parser.add_argument("--tokenizer", required=True, help="tokenizer of the checkpoint")
    add_reading(parser)
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")


def write_checkpoint(arguments: argparse.Namespace, directory: Path, source: str) -> None:
    """Write the weight directory of the checkpoint in `directory`, as those flags describe it."""
    from foundationless.models.hub import import_checkpoint
    from foundationless.models.known import read_known

    card = {name: getattr(arguments, name) for name in ("model", "family", "tokenizer")}
    card |= {"init": "pretrained", "seed": None, "source": source}
    known = read_known(KNOWN_EMBEDDINGS)
    import_checkpoint(directory, arguments.output, card, arguments.sha256, arguments.reading, known)


def run(arguments: argparse.Namespace) -> None:
    write_checkpoint(arguments, arguments.path, f"local directory {arguments.path.name}")
