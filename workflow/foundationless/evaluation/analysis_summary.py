"""From the files of all cells of one analysis to its tables: its tasks are summarised side by side (`task_summary`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from foundationless.errors import UserError
from foundationless.evaluation import diagnostics, table_files, task_summary
from foundationless.evaluation.aggregate import decide
from foundationless.evaluation.calibration.tables import read_beside, recalibrate
from foundationless.evaluation.layers.depth import measure_layers, score_layers
from foundationless.evaluation.outputs.tables import judge
from foundationless.evaluation.records import check_once, read_record
from foundationless.evaluation.spending import Looks
from foundationless.evaluation.task_results import (
    IDENTITY,
    KEYS,
    NOTES,
    note,
    of_split,
    read_predictions,
    read_results,
)
from foundationless.evaluation.transfer.gaps import GAPS, Source, find_gaps
from foundationless.evaluation.trends.points import shared_tasks
from foundationless.evaluation.trends.tables import curves_of, scaling_fits, worth_of_rows
from foundationless.evaluation.variants.scores import score_variants
from foundationless.evaluation.verification.arms import check_task, sentences
from foundationless.runtime.log import tell
from foundationless.runtime.processes import counted, map_forked
from foundationless.study.vocabulary import MARGINS, UNPAIRED

_PREDICTED = "predictions.parquet"
SHOWN = 3  # misfits that a summary names before it ends; the command verify names all
_DIAGNOSTICS = tuple(f"{name}.csv" for name in diagnostics.COLUMNS)
FILES = ("scores.csv", "comparisons.csv", "notes.csv", "records.parquet", *_DIAGNOSTICS)


@dataclass(frozen=True)
class TaskCells:
    """One task of an analysis: its metric and its cells, `MODEL/INIT/seedN`.

    `source`: of a task of transfer, the set that it learns from, where that is a task of the analysis, too; its cells
    are `home`.
    """

    task: str
    metric: str
    cells: tuple[str, ...]
    source: Source | None = None
    home: tuple[str, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """Where the cells of an analysis lie (`{directory}/{task}/{cell}/record.json`), and how they are summarised.

    `audits` holds `{task}/audit.parquet` of the tasks `audited`. `partial`: a file that is not there makes a note;
    otherwise it is an error. `margins`: metric -> equivalence margin, of which that of a task's metric is the task's.
    `looks`: where looks decide on its seeds, those that there were; p values are then repeated ones. `shared`: tasks
    that differ from others in their training rows alone.
    """

    name: str
    directory: Path
    resamples: int
    margins: Mapping[str, float]
    seed: int
    baselines: tuple[str, ...] = ()
    audits: Path | None = None
    audited: tuple[str, ...] = ()
    partial: bool = False
    looks: Looks | None = None
    shared: frozenset[str] = frozenset()


def read_cells(text: str) -> list[TaskCells]:
    """Tasks from JSON: a list of {metric, tasks, cells}, each of which stands for all its tasks.

    `sources` of it, if there are any, say by task of transfer what it learns from: `Source`.
    """
    try:
        named = [(task, group["metric"], group["cells"]) for group in json.loads(text) for task in group["tasks"]]
        tasks = [TaskCells(str(task), str(metric), tuple(map(str, cells))) for task, metric, cells in named]
        said = {task: Source(**of) for group in json.loads(text) for task, of in group.get("sources", {}).items()}
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise UserError(f"--cells: not a JSON list of {{metric, tasks, cells}} ({error!r}).") from None
    if not tasks:
        raise UserError("--cells: no task is named; give a JSON list of {metric, tasks, cells}, with tasks in it.")
    if twice := [one.task for place, one in enumerate(tasks) if one.task in {other.task for other in tasks[:place]}]:
        raise UserError(f"--cells: task '{twice[0]}' stands there twice; leave one out.")
    if odd := [cell for one in tasks for cell in one.cells if len(cell.split("/")) != 3 or not _seed(cell).isdigit()]:
        raise UserError(f"--cells: '{odd[0]}' is no MODEL/INIT/seedN.")
    cells = {one.task: one.cells for one in tasks}
    known = {task: source for task, source in said.items() if source.task in cells}
    return [
        replace(one, source=known[one.task], home=cells[known[one.task].task]) if one.task in known else one
        for one in tasks
    ]


def read_margins(text: str) -> dict[str, float]:
    """Metric -> equivalence margin from JSON; metrics that it does not name keep that of `vocabulary.METRICS`."""
    try:
        given = {str(name): float(margin) for name, margin in json.loads(text).items()}
    except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"--margins: not a JSON mapping of metrics to numbers ({error!r}).") from None
    if odd := [name for name in given if name not in MARGINS]:
        raise UserError(f"--margins: no metric '{odd[0]}'; there are {', '.join(MARGINS)}.")
    if odd := [name for name, margin in given.items() if not 0 < margin < float("inf")]:
        raise UserError(f"--margins: that of {odd[0]} is not a finite number above 0.")
    return MARGINS | given


def _seed(cell: str) -> str:
    return cell.rpartition("/")[2].removeprefix("seed")


def summarise_analysis(analysis: Analysis, tasks: Sequence[TaskCells], output: Path, processes: int) -> None:
    """Summarise every task and write `FILES` into `output`: the same bytes for any number of processes."""
    analysis = replace(analysis, shared=frozenset(shared_tasks([one.task for one in tasks])))
    work = map_forked(partial(summarise_task, analysis), tasks, processes)
    summaries: list[task_summary.Summary] = list(counted((f"{analysis.name}/{one.task}" for one in tasks), work))
    notes = [row for summary in summaries for row in summary.notes]
    for row in notes:
        place = [row[key] for key in KEYS if row[key]] + ([] if row["seed"] is None else [f"seed{row['seed']}"])
        tell(f"{'/'.join(place)}: {row['note']}.")

    def write(name: str, frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> None:
        frame = table_files.add_name_parts(table_files.join_tables(frames, columns))
        table_files.write_table(output / name, frame)

    write("scores.csv", [one.scores for one in summaries], task_summary.SCORES)
    write("comparisons.csv", [one.comparisons for one in summaries], task_summary.COMPARISONS)
    write("notes.csv", [pd.DataFrame(notes, columns=NOTES).astype({"seed": "Int64"})], NOTES)
    write("records.parquet", [one.records for one in summaries], [*IDENTITY, "value"])
    curves = curves_of([point for one in summaries for point in one.points])
    trends = {"scaling_fits": scaling_fits(analysis.name, curves), "rows_worth": worth_of_rows(analysis.name, curves)}
    for name, frame in trends.items():
        write(f"{name}.csv", [frame], diagnostics.COLUMNS[name])
    for name, columns in diagnostics.COLUMNS.items():
        if name in trends:
            continue
        write(f"{name}.csv", [one.diagnostics[name] for one in summaries], columns)


def summarise_task(analysis: Analysis, task: TaskCells) -> task_summary.Summary:
    """Read the files of one task's cells and summarise them; notes on what is not there come first.

    What does not fit (`verification`) is a `UserError`: no number of a record that says other than its files gets into
    a table.
    """
    records, predictions, notes, paths = [], [], [], []
    paired = analysis.name not in UNPAIRED
    for cell in task.cells:
        place = analysis.directory / task.task / cell
        if analysis.partial and not (place / "record.json").is_file():
            named = dict(zip((*KEYS, "seed"), (analysis.name, task.task, *cell.split("/")), strict=True))
            notes.append(note(named | {"seed": int(_seed(cell))}, "record", "there is no record"))
            continue
        record = _read_record(place / "record.json", f"{analysis.name}/{task.task}")
        path, table = place / "predictions.parquet", None
        if analysis.partial and not path.is_file():
            notes.append(note(record, "predictions", "there is a record, but no predictions"))
        elif paired:
            table = read_predictions(path)
        records.append(record)
        predictions.append(table)
        paths.append(place / "record.json")
    check_once(records)
    checked, verified = check_task(paths, records, predictions)
    if checked.misfits:
        raise UserError(sentences(checked.misfits, SHOWN))
    layers, calibrated = measure_layers(records), None
    if paired:
        layers = score_layers(records, predictions, task.metric, analysis.resamples, analysis.seed)
        beside = [read_beside(path) for path in paths]
        calibrated = recalibrate(records, predictions, beside, analysis.resamples, analysis.seed)
    predictions = [None if table is None else of_split(table, "test") for table in predictions]
    if not paired:
        summary = task_summary.summarise_unpaired(records)
    else:
        audit, missing = _audit(analysis, task)
        notes += missing
        summary = task_summary.summarise(
            records, predictions, metric=task.metric, resamples=analysis.resamples,
            margin=analysis.margins[task.metric], seed=analysis.seed, baselines=analysis.baselines, audit=audit,
            design=list(dict.fromkeys((cell.split("/")[0], cell.split("/")[1]) for cell in task.cells)),
            margins=analysis.margins, shared=analysis.shared,
        )  # fmt: skip
    if analysis.looks and len(summary.comparisons):
        _read_at(analysis.looks, summary.comparisons)
        summary.diagnostics["outputs"] = _read_outputs_at(analysis.looks, summary.diagnostics["outputs"])
    summary.notes[:0] = notes
    summary.diagnostics["layers"] = layers
    if calibrated is not None:
        summary.diagnostics["recalibration"] = calibrated[0]
        bins = [summary.diagnostics["calibration"], calibrated[1]]
        summary.diagnostics["calibration"] = table_files.join_tables(bins, diagnostics.COLUMNS["calibration"])
        summary.diagnostics["transfer_gaps"] = _gaps(analysis, task, records, predictions)
    summary.diagnostics["variant_scores"] = score_variants(records, predictions, analysis.resamples, analysis.seed)
    summary.diagnostics["verification"] = pd.DataFrame(verified, columns=diagnostics.COLUMNS["verification"])
    return summary


def _gaps(
    analysis: Analysis, task: TaskCells, records: Sequence[Mapping[str, Any]], predictions: Sequence[pa.Table | None]
) -> pd.DataFrame:
    """Rows of what transfer loses, of a task whose source is a task of the analysis; `predictions` of the test rows.

    Cells of the source that are not there yet are left out: their own task notes it.
    """
    if task.source is None:
        return pd.DataFrame(columns=GAPS)
    places = [analysis.directory / task.source.task / cell for cell in task.home]
    there = [place for place in places if all((place / name).is_file() for name in ("record.json", _PREDICTED))]
    if not analysis.partial:
        there = places
    named = f"{analysis.name}/{task.source.task}"
    home = [_read_record(place / "record.json", named) for place in there]
    tables = [of_split(read_predictions(place / _PREDICTED), "test") for place in there]
    far, near = (
        read_results(*pair, analysis.resamples, analysis.seed)[0] for pair in ((records, predictions), (home, tables))
    )
    if far is None or near is None:
        return pd.DataFrame(columns=GAPS)
    return find_gaps(far, near, task.metric, analysis.margins[task.metric], task.source, analysis.baselines)


def _read_at(looks: Looks, comparisons: pd.DataFrame) -> None:
    """Make p values of comparisons the repeated ones, and their words those that follow."""
    comparisons["p"] = looks.repeated(comparisons["p"])
    comparisons["p_tost"] = looks.repeated_one_sided(comparisons["p_tost"])
    judged = comparisons[["p", "p_tost", "delta", "learned", "drawn_seeds", "metric", "versus"]].itertuples(index=False)
    comparisons["verdict"] = [
        decide(*numbers, learned=learned, seeds=seeds, metrics=metric, versus=versus)
        for *numbers, learned, seeds, metric, versus in judged
    ]


def _read_outputs_at(looks: Looks, table: pd.DataFrame) -> pd.DataFrame:
    """The table of outputs with repeated p values, judged anew."""
    repeated = {"p": looks.repeated(table["p"].astype(float))}
    repeated["p_tost"] = looks.repeated_one_sided(table["p_tost"].astype(float))
    return judge(table.assign(**repeated))


def _read_record(path: Path, where: str) -> dict[str, Any]:
    record = read_record(path)
    if (said := f"{record['analysis']}/{record['task']}") != where:
        raise UserError(f"{path}: a record of {said}, not of {where}; it lies in the wrong place.")
    return record


def _audit(analysis: Analysis, task: TaskCells) -> tuple[pd.DataFrame | None, list[dict[str, Any]]]:
    if analysis.audits is None or task.task not in analysis.audited:
        return None, []
    path = analysis.audits / task.task / "audit.parquet"
    if analysis.partial and not path.is_file():
        named = {"analysis": analysis.name, "task": task.task}
        return None, [note(named, "audit", "the splits were not audited, so no leakage is scored")]
    audit = table_files.read_parquet(path, ["id", "near"], "an audit", "run audit_task again")
    # An audit of before knows no overlapping windows.
    overlapping = audit["collinear"] if "collinear" in audit.columns else False
    return audit[["id", "near"]].assign(collinear=overlapping), []
