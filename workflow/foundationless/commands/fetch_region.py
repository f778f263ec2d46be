"""Fetch one window of a remote VCF of the ledger: only the blocks that its index names travel.

The output is compressed by bgzip and indexed by tabix; OUTPUT.json says where it came from, how many bytes travelled
and the sha256 of the window's text, which a later fetch must equal. A mirror that holds the file (and its index) is
looked at before the network.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_access, read_access

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `fetch_region`."""
    add_access(parser)
    parser.add_argument("--name", required=True, help="dataset of the ledger; its row names the index")
    parser.add_argument("--contig", required=True, help="contig of the window; chr1 and 1 are the same")
    parser.add_argument("--start", required=True, type=int, help="first position, 1-based")
    parser.add_argument("--end", required=True, type=int, help="last position, included")
    parser.add_argument("--output", required=True, type=Path, help="file to write (.vcf.gz)")


def run(arguments: argparse.Namespace) -> None:
    """Put one window at --output."""
    from foundationless.data.download import get_dataset, read_ledger
    from foundationless.data.remote_vcf import fetch_region

    dataset = get_dataset(read_ledger(arguments.ledger), arguments.name)
    window = (arguments.contig, arguments.start, arguments.end)
    fetch_region(dataset, *window, arguments.output, read_access(arguments))
