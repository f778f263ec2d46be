"""Write what a program outside the workflow reads of a task: ids, sequences and splits, without labels.

Parquet, FASTA and, in TASK.json, the checksum of the sequences, which the card of what was computed from them states.
Of variants both windows are written, REF and ALT. Sets are built before: `snakemake results/sequences/TASK.parquet`.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--task", required=True, nargs="+", help="tasks, as config/tasks.tsv names them")
    sets = Path("results", "sequences")
    add("--sequences", type=Path, default=sets, help=f"directory of the sequence sets (default: {sets})")
    add("--output", required=True, type=output_directory, help="directory to write into")
    text = "refuse sequences with other letters than A, C, G, T, N"
    add("--strict-alphabet", action=argparse.BooleanOptionalAction, default=True, help=text)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.runtime.log import tell
    from foundationless.study.names import parse_task
    from foundationless.tasks.exports import export
    from foundationless.tasks.sequence_sets import read_sequences

    for task in dict.fromkeys(arguments.task):
        if (base := parse_task(task).base_task) != task:
            raise UserError(f"--task {task}: a derived set reads the vectors of the task's own; export {base}.")
        path = arguments.sequences / f"{task}.parquet"
        if not path.is_file():
            raise UserError(f"{path}: no such file; build the set first: snakemake {path}.")
        total = export(read_sequences(path, strict_alphabet=arguments.strict_alphabet), task, arguments.output)
        tell(f"{task}: sequences_sha256 {total}.")
