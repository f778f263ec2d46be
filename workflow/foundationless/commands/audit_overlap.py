"""Find what tasks share: test sequences of one that stand in another, and how many independent groups are left.

A test row stands in another task if that holds it, its reverse complement, or a sequence that it lies within. One row
per ordered pair of tasks (with the task itself: its own train and validation rows): task, other, n, shared, share,
equal, cluster (tasks linked directly or over others), clusters (their number).
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file, positive

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sequences", required=True, nargs="+", type=Path, help="sequence sets of the tasks")
    parser.add_argument("--names", required=True, nargs="+", help="names of the tasks, in the same order")
    parser.add_argument("--link", type=positive, default=0.05, help="share of test rows from which tasks are linked")
    parser.add_argument("--output", required=True, type=output_file, help="CSV to write")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.runtime.files import atomic_path
    from foundationless.runtime.log import tell
    from foundationless.tasks.leakage import overlap
    from foundationless.tasks.sequence_sets import read_sequences

    names = arguments.names
    if len(names) != len(arguments.sequences):
        raise UserError(f"{len(arguments.sequences)} sequence sets but {len(names)} names; pass one name per set.")
    if len(set(names)) < len(names):
        raise UserError("--names: a task is named twice; pass each task once.")
    if arguments.link > 1:
        raise UserError(f"--link {arguments.link}: a share of the test rows is at most 1.")
    columns = ("id", "sequence", "split")
    files = zip(names, arguments.sequences, strict=True)
    sets = {name: read_sequences(path, columns, strict_alphabet=False) for name, path in files}
    shared = overlap(sets, arguments.link)
    with atomic_path(arguments.output) as part:
        shared.to_csv(part, index=False)
    tell(f"{len(names)} tasks in {shared['clusters'].iloc[0]} independent group(s).")
