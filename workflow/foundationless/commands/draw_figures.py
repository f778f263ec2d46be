"""Draw the figures of the study from its tables, each as PDF with a PNG and its caption (.rst) beside it.

Figures are drawn side by side; a line on stderr says when one is done. A figure whose data are missing becomes a page
that says, in one sentence, which data are missing.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_directory

RECIPE = 8  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add = parser.add_argument
    add(
        "--figures",
        nargs="*",
        help="names, e.g. figure_01_benchmarks or verdict_forest (default: all of the study's analyses)",
    )
    add("--tables", required=True, type=Path, help="directory of collect_tables")
    add("--study", default="", help="what the study is; ends every caption")
    add("--processes", type=count, default=1, help="figures drawn at once")
    add(
        "--output",
        required=True,
        type=output_directory,
        help="directory for NAME.pdf, NAME.png and NAME.rst (title, caption)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw and write."""
    from foundationless.runtime.processes import one_thread_each

    one_thread_each()
    from foundationless.reporting.figures import draw_all

    draw_all(arguments.figures, arguments.tables, arguments.study, arguments.output, arguments.processes)
