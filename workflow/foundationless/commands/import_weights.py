"""Write a weight directory from an official checkpoint that is already on this machine."""

import argparse
from pathlib import Path

from foundationless.commands import add_reading
from foundationless.commands._flags import KNOWN_EMBEDDINGS, output_directory
from foundationless.errors import UserError

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "directory with config.json and model.safetensors or pytorch_model.bin, or the parts of one with their index"
    parser.add_argument("--path", required=True, type=Path, help=text)
    add_checkpoint(parser)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Flags that say what an official checkpoint is, wherever it comes from."""
    text = "expected SHA-256 of the published weight file, or FILE=SHA256 for each of several"
    parser.add_argument("--sha256", nargs="+", help=text)
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
    hashes = _hashes(arguments.sha256)
    import_checkpoint(directory, arguments.output, card, hashes, arguments.reading, known)


def _hashes(words: list[str] | None) -> str | dict[str, str] | None:
    """What `--sha256` says: one hash, or one for each file."""
    if not words or (len(words) == 1 and "=" not in words[0]):
        return words[0] if words else None
    pairs = [word.rpartition("=") for word in words]
    if not all(name for name, *_ in pairs):
        raise UserError("--sha256: give one hash, or FILE=SHA256 for each of several files.")
    return {name: digest for name, _, digest in pairs}


def run(arguments: argparse.Namespace) -> None:
    write_checkpoint(arguments, arguments.path, f"local directory {arguments.path.name}")
