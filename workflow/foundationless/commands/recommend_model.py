"""Say which arm to use for a set: the best by validation, the best of the cheap ones, and whether they differ.

With --other-cells the same is looked at on another split of the same rows, and what that split flatters is told.
"""

import argparse
from pathlib import Path
from typing import Any

from foundationless.commands._flags import count, output_file, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add = parser.add_argument
    add("--task", required=True, help="task that is decided on")
    add("--label", required=True, help="its name for people")
    add("--metric", required=True, help="its metric")
    add("--directory", required=True, type=Path, help="where its cells lie: MODEL/INIT/seedN/record.json")
    add("--cells", required=True, nargs="+", help="MODEL/INIT/seedN of each")
    add("--other-directory", type=Path, help="the same of the task with the other split")
    add("--other-cells", nargs="*", default=[], help="MODEL/INIT/seedN of each")
    add("--audit", nargs="?", type=Path, help="JSON of audit_task")
    add("--pretraining", nargs="*", default=[], type=Path, help="JSON records of pretraining, which cost too")
    add("--partial", action="store_true", help="a cell that is missing is left out")
    add("--resamples", type=count, default=2000, help="bootstrap resamples")
    add("--margins", default="{}", help="JSON: metric -> equivalence margin in its units (default: each metric's own)")
    add("--seed", type=seed, required=True, help="seed of the resamples")
    add("--output", required=True, type=output_file, help="JSON to write")


def run(arguments: argparse.Namespace) -> None:
    """Read, weigh and write."""
    from foundationless.runtime.processes import one_thread_each

    one_thread_each()
    from foundationless.evaluation.analysis_summary import read_margins
    from foundationless.evaluation.choice.contenders import flattery, read_cells, weigh
    from foundationless.runtime.files import read_json, write_json

    given = arguments
    margin = read_margins(given.margins)[given.metric]

    def weighed(directory: Path, cells: list[str]) -> dict[str, Any]:
        read = read_cells(directory, cells, given.partial)
        return weigh(*read, given.metric, margin, given.resamples, given.seed)

    found = weighed(given.directory, given.cells)
    records = [read_json(path) for path in given.pretraining]
    found |= {"task": given.task, "label": given.label, "audit": given.audit and read_json(given.audit)}
    found["pretraining"] = {str(record["model"]): record["cost"]["seconds"] for record in records}
    found["flattery"] = []
    if given.other_cells:
        found["flattery"] = flattery(found, weighed(given.other_directory, given.other_cells))
    write_json(given.output, found)
