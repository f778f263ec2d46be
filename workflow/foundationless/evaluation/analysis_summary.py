"""From the files of all jobs of one analysis to its tables: its tasks are summarised side by side (`summaries`)."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from foundationless.errors import UserError
from foundationless.evaluation import table_files, task_summary
from foundationless.evaluation.records import check_once, read_record
from foundationless.evaluation.task_results import HOLES, IDENTITY, KEYS, hole, read_predictions
from foundationless.runtime.processes import counted, map_forked
from foundationless.study.vocabulary import UNPAIRED

FILES = ("scores.csv", "comparisons.csv", "effects.csv", "holes.csv", "records.parquet")


@dataclass(frozen=True)
class Cell:
    """One task of an analysis: its metric and its jobs, `MODEL/INIT/seedN`."""

    task: str
    metric: str
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """Where the jobs of an analysis lie (`{directory}/{task}/{job}/record.json`), and how they are summarised.

    `audits` holds `{task}/audit.parquet` of the tasks `audited`. `partial`: a file that is not there makes a hole;
    otherwise it is an error.
    """

    name: str
    directory: Path
    resamples: int
    margin: float
    seed: int
    baselines: tuple[str, ...] = ()
    audits: Path | None = None
    audited: tuple[str, ...] = ()
    partial: bool = False


def read_cells(text: str) -> list[Cell]:
    """Cells from JSON: a list of {metric, tasks, jobs}, each of which stands for one cell per task."""
    try:
        groups = json.loads(text)
        cells = [
            Cell(str(task), str(group["metric"]), tuple(map(str, group["jobs"])))
            for group in groups
            for task in group["tasks"]
        ]
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise UserError(f"--cells: not a JSON list of {{metric, tasks, jobs}} ({error!r}).") from None
    if not cells:
        raise UserError("--cells: no job is named; give a JSON list of {metric, tasks, jobs}, with tasks in it.")
    if twice := [cell.task for place, cell in enumerate(cells) if cell.task in {one.task for one in cells[:place]}]:
        raise UserError(f"--cells: task '{twice[0]}' stands there twice; leave one out.")
    if odd := [job for cell in cells for job in cell.jobs if len(job.split("/")) != 3 or not _seed(job).isdigit()]:
        raise UserError(f"--cells: '{odd[0]}' is no MODEL/INIT/seedN.")
    return cells


def _seed(job: str) -> str:
    return job.rpartition("/")[2].removeprefix("seed")


def summarise_analysis(analysis: Analysis, cells: Sequence[Cell], output: Path, processes: int) -> None:
    """Summarise every task and write `FILES` into `output`: the same bytes for any number of processes."""
    work = map_forked(partial(summarise_cell, analysis), cells, processes)
    found = list(counted((f"{analysis.name}/{cell.task}" for cell in cells), work, _tell))
    holes = pd.DataFrame([row for summary in found for row in summary.holes], columns=HOLES)
    holes = holes.astype({"seed": "Int64"})
    for row in (row for summary in found for row in summary.holes):
        cell = [row[key] for key in KEYS if row[key]] + ([] if row["seed"] is None else [f"seed{row['seed']}"])
        _tell(f"{'/'.join(cell)}: {row['note']}.")
    join = table_files.join_tables
    table_files.write_flat(output / "records.parquet", join([one.records for one in found], [*IDENTITY, "value"]))
    table_files.write_table(output / "effects.csv", join([one.effects for one in found], [*KEYS, "effect"]))
    table_files.write_table(
        output / "comparisons.csv", join([one.comparisons for one in found], task_summary.COMPARISONS)
    )
    table_files.write_table(output / "holes.csv", holes)
    table_files.write_table(output / "scores.csv", join([one.scores for one in found], task_summary.SCORES))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def summarise_cell(analysis: Analysis, cell: Cell) -> task_summary.Summary:
    """Read the files of one task's jobs and summarise them; holes of what is not there come first."""
    records, predictions, holes = [], [], []
    paired = analysis.name not in UNPAIRED
    for job, record, missing in _records(analysis, cell):
        holes += missing
        if record is None:
            continue
        path = analysis.directory / cell.task / job / "predictions.parquet"
        found: pa.Table | None = None
        if analysis.partial and not path.is_file():
            holes.append(hole(record, "predictions", "there is a record, but no predictions"))
        elif paired:
            found = read_predictions(path)
        records.append(record)
        predictions.append(found)
    check_once(records)
    if not paired:
        summary = task_summary.summarise_unpaired(records)
    else:
        audit, missing = _audit(analysis, cell)
        holes += missing
        summary = task_summary.summarise(
            records, predictions, metric=cell.metric, resamples=analysis.resamples, margin=analysis.margin,
            seed=analysis.seed, baselines=analysis.baselines, audit=audit,
            design=list(dict.fromkeys((job.split("/")[0], job.split("/")[1]) for job in cell.jobs)),
        )  # fmt: skip
    summary.holes[:0] = holes
    return summary


def _records(analysis: Analysis, cell: Cell) -> Iterator[tuple[str, dict[str, Any] | None, list[dict[str, Any]]]]:
    """(job, its record or None, holes) of every job of a cell."""
    where = f"{analysis.name}/{cell.task}"
    for job in cell.jobs:
        path = analysis.directory / cell.task / job / "record.json"
        if analysis.partial and not path.is_file():
            model, init, _ = job.split("/")
            named = dict(zip(KEYS, (analysis.name, cell.task, model, init), strict=True)) | {"seed": int(_seed(job))}
            yield job, None, [hole(named, "record", "there is no record")]
            continue
        record = read_record(path)
        if (found := f"{record['analysis']}/{record['task']}") != where:
            raise UserError(f"{path}: a record of {found}, not of {where}; it lies in the wrong place.")
        yield job, record, []


def _audit(analysis: Analysis, cell: Cell) -> tuple[pd.DataFrame | None, list[dict[str, Any]]]:
    if analysis.audits is None or cell.task not in analysis.audited:
        return None, []
    path = analysis.audits / cell.task / "audit.parquet"
    if analysis.partial and not path.is_file():
        named = {"analysis": analysis.name, "task": cell.task}
        return None, [hole(named, "audit", "the splits were not audited, so no leakage is scored")]
    try:
        return pd.read_parquet(path, columns=["id", "near"], use_threads=False), []
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not an audit ({' '.join(str(error).split())[:120]}); run audit_task again.") from None
