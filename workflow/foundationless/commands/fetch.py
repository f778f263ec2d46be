"""Fetch one public file of the ledger, or list them all.

Size and checksum are verified before the file appears under its name; an interrupted download is resumed. Where the
ledger has no sha256, that of the first fetch is recorded beside the file and must be met by every later one, until
`--forget` removes the record. A mirror is looked at before the network: on a connected machine,
`foundationless fetch --ledger config/datasets.tsv --list | cut -f 1 | wget -x -i -` fills one.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_access, read_access


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `fetch`; --name and --output go together, --list stands alone."""
    add_access(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--name", help="dataset to fetch, as the ledger calls it")
    what.add_argument("--list", action="store_true", help="print url, sha256 and bytes of every dataset, tab-separated")
    parser.add_argument("--output", type=Path, help="file to write (with --name)")
    parser.add_argument("--rows", default="[]", help="JSON of further rows of the ledger: a study's own")
    text = "remove the record of the first fetch of --name to --output, and the file: the next fetch is a first one"
    parser.add_argument("--forget", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> None:
    """List the ledger, or put one dataset at --output."""
    from foundationless.data.download import fetch, forget, get_dataset, read_ledger
    from foundationless.errors import UserError
    from foundationless.study.own.rows import read_text

    ledger = read_ledger(arguments.ledger, read_text(arguments.rows, "--rows"))
    if arguments.list:
        whole = [dataset for dataset in ledger.values() if not dataset.index]  # others travel by windows: fetch_region
        print("\n".join(f"{dataset.url}\t{dataset.sha256}\t{dataset.bytes or ''}" for dataset in whole))
        return
    if arguments.output is None:
        raise UserError("--name needs --output, the file to write.")
    if arguments.forget:
        forget(get_dataset(ledger, arguments.name), arguments.output)
        return
    fetch(get_dataset(ledger, arguments.name), arguments.output, read_access(arguments))
