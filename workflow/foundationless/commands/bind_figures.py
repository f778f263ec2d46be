"""Bind all figures into one PDF behind a cover page that states the study, its verdict in numbers and its versions."""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file

RECIPE = 4  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("--figures", required=True, nargs="+", type=Path, help="PDFs of draw_figures, in order")
    parser.add_argument("--tables", required=True, type=Path, help="directory of collect_tables")
    parser.add_argument("--verdict", required=True, type=Path, help="JSON of write_verdict")
    parser.add_argument("--study", required=True, help="what the study is")
    parser.add_argument("--notes", default="", help="what a reader must know of its data and sizes")
    parser.add_argument("--output", required=True, type=output_file, help="PDF to write")


def run(arguments: argparse.Namespace) -> None:
    """Bind and write."""
    from foundationless.reporting.figures.book import bind

    files = arguments.figures, arguments.tables, arguments.verdict
    bind(*files, arguments.study, arguments.notes, arguments.output)
