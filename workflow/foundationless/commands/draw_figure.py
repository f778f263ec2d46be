"""Draw one figure of the study from its tables, as PDF and as PNG beside it.

A figure whose data are missing becomes a page that says, in one sentence, which data are missing.
"""

import argparse
from pathlib import Path

from foundationless.flags import output_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    parser.add_argument("--figure", required=True, help="name, e.g. figure_01_benchmarks or verdict_forest")
    parser.add_argument("--tables", required=True, type=Path, help="directory of collect_tables")
    parser.add_argument("--study", default="", help="what the study is; ends every caption")
    parser.add_argument("--output", required=True, type=output_file, help="PDF to write; the PNG gets the same name")


def run(arguments: argparse.Namespace) -> None:
    """Draw and write."""
    from foundationless.figures import draw

    draw(arguments.figure, arguments.tables, arguments.study, arguments.output)
