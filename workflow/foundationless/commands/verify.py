"""Check that a tree of results says what its files say: values, choices, settings, hashes, weights, tables, verdict.

For a reviewer who was handed the tree: nothing else is needed, and nothing is written but --json. Standard output names
every misfit in a sentence with its path, then what could not be checked, and last the counts. Exit codes: 0; 1 if
something does not fit; 2 if there is no such tree.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("results", type=Path, nargs="?", default=Path("results"), help="directory of the results (default: results)")
    add("--processes", type=count, default=1, help="tasks checked at once")
    add("--json", type=output_file, help="file to write the outcome into as well")


def run(arguments: argparse.Namespace) -> None:
    import sys

    from foundationless.runtime.processes import one_thread_each

    one_thread_each()
    from foundationless.evaluation.verification import tree

    check = tree.verify(arguments.results, arguments.processes)
    for misfit in check.misfits:
        print(misfit)
    print(tree.describe(check))
    if arguments.json:
        tree.write(arguments.json, arguments.results, check)
    if check.misfits:
        sys.stdout.flush()
        raise SystemExit(1)
