"""Download the tokenizer.json of a byte-pair tokenizer at a pinned revision, and no other file."""

import argparse

from foundationless.commands import add_hub
from foundationless.commands._flags import output_file
from foundationless.study.families import PIECES

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", required=True, choices=PIECES, help="what the file must be")
    add_hub(parser)
    parser.add_argument("--sha256", help="expected SHA-256 of the file")
    parser.add_argument("--output", required=True, type=output_file, help="tokenizer.json to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.hub import fetch_tokenizer, import_tokenizer

    place = {name: getattr(arguments, name) for name in ("cache", "local_hub", "offline")}
    path = fetch_tokenizer(arguments.repository, arguments.revision, **place)
    import_tokenizer(path, arguments.output, arguments.tokenizer, arguments.sha256)
