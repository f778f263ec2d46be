"""Look at a study after so many seeds: whether it has decided what it asks, has spent its budget, or goes on.

The words are those of the tables, at the level that an O'Brien-Fleming-like spending function leaves to this look
(results/README.md). Writes the words, their numbers, the hours spent, the decision (`stop` or `go on`) and why
(`decided`, `budget`, `last`, `records`: there are none of further seeds; `undecided`).
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_file, positive, seed
from foundationless.study.vocabulary import SCOPES

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add = parser.add_argument
    add("--analysis", required=True, help="analysis whose verdicts end the study")
    add("--directory", required=True, type=Path, help="where its cells lie: TASK/MODEL/INIT/seedN/record.json")
    add("--cells", required=True, help='JSON: [{"metric": …, "tasks": […], "cells": ["MODEL/INIT/seedN", …]}]')
    add("--designs", required=True, help="JSON: analysis with looks -> numbers of seeds [first, last, now]")
    add("--scope", choices=list(SCOPES), default="these", help="whose words count")
    add("--budget", type=positive, help="hours, of GPUs where any were used, otherwise of cores")
    add("--pretraining", nargs="*", default=[], type=Path, help="JSON records of pretraining, which cost too")
    add("--baselines", nargs="*", default=[], help="models that count as baselines in any arm")
    add("--partial", action="store_true", help="a record or predictions that are missing leave a word open, no error")
    add("--no-more", action="store_true", help="further seeds cannot be had: stop, whatever is said")
    add("--selection", choices=["validation", "test"], default="validation", help="chosen by validation, or by test")
    add("--tasks", required=True, type=Path, help="task table")
    add("--own-tasks", default="[]", help="JSON of further rows of that table: a study's own tasks")
    add("--overlap", nargs="?", type=Path, help="table of audit_overlap: which tasks share sequences")
    add("--resamples", type=count, default=2000, help="bootstrap resamples")
    add("--margins", default="{}", help="JSON: metric -> equivalence margin in its units (default: each metric's own)")
    add("--seed", type=seed, required=True, help="seed of the resamples")
    add("--processes", type=count, default=1, help="tasks worked on at once")
    add("--output", required=True, type=output_file, help="JSON to write")


def run(arguments: argparse.Namespace) -> None:
    """Look, write, and say it."""
    from foundationless.runtime.processes import one_thread_each

    one_thread_each()
    import json

    from foundationless.evaluation.across_tasks import cluster_tasks
    from foundationless.evaluation.analysis_summary import Analysis, read_cells, read_margins
    from foundationless.evaluation.table_files import read_flat, read_table
    from foundationless.reporting.tables.inputs import read_tasks
    from foundationless.reporting.tables.looks import Question, look
    from foundationless.runtime.files import write_json
    from foundationless.runtime.log import tell

    given = arguments
    analysis = Analysis(
        given.analysis, given.directory, given.resamples, read_margins(given.margins), given.seed,
        tuple(given.baselines), partial=given.partial,
    )  # fmt: skip
    overlap = cluster_tasks(given.overlap and read_table(given.overlap))
    from pandas import DataFrame, concat

    pretraining = concat([DataFrame(), *map(read_flat, given.pretraining)])
    asked = Question(given.scope, given.selection, json.loads(given.designs), given.budget, not given.no_more)
    tasks = read_tasks(given.tasks, given.own_tasks)
    found = look(analysis, read_cells(given.cells), tasks, overlap, pretraining, asked, given.processes)
    write_json(given.output, found)
    tell(found["sentence"])
