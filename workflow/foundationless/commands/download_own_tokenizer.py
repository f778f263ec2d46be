"""Download the files of a checkpoint's own tokenizer at a pinned revision, and no other file; no code is ever run."""

import argparse

from foundationless.commands import add_hub
from foundationless.commands._flags import output_file

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_hub(parser)
    parser.add_argument("--output", required=True, type=output_file, help="list of the files to write beside them")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.models.hub import copy_tokenizer, fetch_checkpoint
    from foundationless.models.tokenizers import TOKENIZER_FILES

    place = (arguments.repository, arguments.revision, arguments.cache, arguments.local_hub, arguments.offline)
    directory = fetch_checkpoint(*place, choices=(TOKENIZER_FILES,))
    copy_tokenizer(directory, arguments.output, f"{arguments.repository}@{arguments.revision}")
