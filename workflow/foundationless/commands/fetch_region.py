"""Fetch one window of a remote VCF of the ledger: only the blocks that its index names travel.

The output is compressed by bgzip and indexed by tabix; OUTPUT.json says where it came from, how many bytes travelled
and the sha256 of the window's text, which a later fetch must equal. A mirror that holds the file (and its index) is
looked at before the network.
"""

import argparse
from pathlib import Path

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `fetch_region`."""
    parser.add_argument("--ledger", required=True, type=Path, help="table of datasets (config/datasets.tsv)")
    parser.add_argument("--name", required=True, help="dataset of the ledger; its row names the index")
    parser.add_argument("--contig", required=True, help="contig of the window; chr1 and 1 are the same")
    parser.add_argument("--start", required=True, type=int, help="first position, 1-based")
    parser.add_argument("--end", required=True, type=int, help="last position, included")
    parser.add_argument("--output", required=True, type=Path, help="file to write (.vcf.gz)")
    parser.add_argument("--mirror", type=Path, help="directory laid out as host/path, looked at before the network")
    parser.add_argument("--offline", action="store_true", help="never use the network: the mirror or nothing")
    parser.add_argument("--retries", type=int, default=5, help="further attempts after a transient failure")
    parser.add_argument("--timeout", type=float, default=60.0, help="longest silence of the server, in seconds")


def run(arguments: argparse.Namespace) -> None:
    """Put one window at --output."""
    from foundationless.data.download import get_dataset, read_ledger
    from foundationless.data.remote_vcf import fetch_region

    fetch_region(
        get_dataset(read_ledger(arguments.ledger), arguments.name),
        arguments.contig,
        arguments.start,
        arguments.end,
        arguments.output,
        mirror=arguments.mirror,
        offline=arguments.offline,
        retries=arguments.retries,
        timeout=arguments.timeout,
    )
