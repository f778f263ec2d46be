"""Score all arms of every task of an analysis with intervals under both selections, and compare them pairwise.

Tasks are worked on side by side; a line on stderr says when one is done, and one per note. Every table holds all tasks
and rows of both selections: `validation` (runs chosen by validation) and `test` (by their test score, as the paper
did). scores.csv: one row per model and arm (value = mean over seeds and folds; low, high = 95 % bootstrap interval over
the groups of the test set and over seeds; sd over seeds). comparisons.csv: one row per paired difference (versus:
random = the model's own random arm, baseline = the best baseline, best_random = the best random arm, reading = the same
weights not as the paper read them), with the difference that would be found with 80 % power (mde), McNemar's or
DeLong's test of the same predictions, and the corrected t test over folds. Diagnostics have a table each: what choosing
by test score adds (optimism), the best random arm as opponent (oracle), what rows that training knows add
(leakage), reliability curves (calibration), what temperature scaling, ensembles of seeds and conformal sets change
(recalibration), what transfer loses (transfer_gaps), components of variance (components), scores of runs (runs), ROC
curves (roc), confusion matrices (confusion), what was chosen (selections) and settings; of labels that are several
numbers, or zeros and ones, every output by every metric, with its differences (outputs). notes.csv: what is missing or
could not be computed. records.parquet: every recorded number. All tables end with the parts of the names of task and
model.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_directory, seed

RECIPE = 11  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the command."""
    add = parser.add_argument
    add("--analysis", required=True, help="analysis that the records belong to, e.g. finetune")
    add("--directory", required=True, type=Path, help="where its cells lie: TASK/MODEL/INIT/seedN/record.json")
    add("--cells", required=True, help='JSON: [{"metric": …, "tasks": […], "cells": ["MODEL/INIT/seedN", …]}]')
    add("--baselines", nargs="*", default=[], help="models that count as baselines in any arm")
    add("--audits", type=Path, help="directory of audit_task's rows, TASK/audit.parquet")
    add("--audited", nargs="*", default=[], help="tasks of which it holds them: also scored without near duplicates")
    add("--partial", action="store_true", help="a record, predictions or an audit that is missing is a note, no error")
    add("--resamples", type=count, default=2000, help="bootstrap resamples")
    add("--margins", default="{}", help="JSON: metric -> equivalence margin in its units (default: each metric's own)")
    add("--seed", type=seed, required=True, help="seed of the resamples")
    add(
        "--looks",
        nargs=3,
        type=count,
        metavar=("FROM", "TO", "NOW"),
        help="numbers of seeds: at the first look, "
        "at the last that there may be, at this one; p values are then repeated ones",
    )
    add("--processes", type=count, default=1, help="tasks worked on at once; the tables do not depend on it")
    add("--output", required=True, type=output_directory, help="directory to write the tables into")


def run(arguments: argparse.Namespace) -> None:
    """Summarise and write."""
    from foundationless.runtime.processes import one_thread_each

    one_thread_each()
    from foundationless.evaluation.analysis_summary import Analysis, read_cells, read_margins, summarise_analysis
    from foundationless.evaluation.spending import Looks

    given = arguments
    analysis = Analysis(
        given.analysis, given.directory, given.resamples, read_margins(given.margins), given.seed,
        tuple(given.baselines), given.audits, tuple(given.audited), given.partial,
        Looks(*given.looks) if given.looks else None,
    )  # fmt: skip
    summarise_analysis(analysis, read_cells(given.cells), given.output, given.processes)
