"""Write the report: one HTML page with the verdict, all figures, all tables and where they come from; works offline.

Its parts: an overview with the verdict, the figures with captions, tables that sort and filter, a page per model, what
the jobs took, what is missing, and provenance (versions, config, checksums of data). Large tables are named only.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file

RECIPE = 3  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add = parser.add_argument
    add("--tables", required=True, type=Path, help="directory of collect_tables")
    add("--figures", required=True, type=Path, help="directory of draw_figures")
    add("--verdict", required=True, type=Path, help="JSON of write_verdict")
    add("--config", required=True, help="the study's config: JSON, or a YAML file of it")
    add("--datasets", required=True, type=Path, help="TSV of data files, with their checksums and licences")
    add("--output", required=True, type=output_file, help="HTML file to write")


def run(arguments: argparse.Namespace) -> None:
    """Gather and write."""
    from foundationless.reporting.page import read_config, write_report

    files = {name: getattr(arguments, name) for name in ("tables", "figures", "verdict", "datasets")}
    write_report(arguments.output, config=read_config(arguments.config), **files)
