"""Download the tokenizer.json of a byte-pair tokenizer, or the files of a published one, at a pinned revision."""

import argparse

from foundationless.commands import add_hub
from foundationless.commands._flags import output_file
from foundationless.study.families import PIECES, PUBLISHED

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokenizer", required=True, choices=(*PIECES, PUBLISHED), help="what it must be")
    add_hub(parser)
    parser.add_argument("--sha256", help="expected SHA-256 of the file")
    parser.add_argument(
        "--output", required=True, type=output_file, help="tokenizer.json to write; published: files.json"
    )


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.hub import copy_tokenizer, fetch_checkpoint, fetch_tokenizer, import_tokenizer
    from foundationless.models.tokenizers import TOKENIZER_FILES

    place = {name: getattr(arguments, name) for name in ("cache", "local_hub", "offline")}
    if arguments.tokenizer == PUBLISHED:
        directory = fetch_checkpoint(arguments.repository, arguments.revision, **place, choices=(TOKENIZER_FILES,))
        copy_tokenizer(directory, arguments.output, f"{arguments.repository}@{arguments.revision}")
        return
    path = fetch_tokenizer(arguments.repository, arguments.revision, **place)
    import_tokenizer(path, arguments.output, arguments.tokenizer, arguments.sha256)
