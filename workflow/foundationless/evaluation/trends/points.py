"""Scores at several sizes: which arms of an analysis lie on one curve, and what each scored under the resamples."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from foundationless.evaluation.bootstrap import Arm, Estimate, interval
from foundationless.evaluation.task_results import Name, TaskResults
from foundationless.study.names import parse_model, parse_task, underived, without
from foundationless.study.vocabulary import steps_of

ROWS, WIDTH, LAYERS, STEPS = "training rows", "width", "layers", "pretraining steps"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """The score of an arm at a size: on the curve of (axis, task, model, init, metric, selection).

    `estimate` has the replicates, those of points of one set of test items under the same resamples; a seed is drawn
    for all points of one model together.
    """

    axis: str
    task: str
    model: str
    init: str
    metric: str
    selection: str
    size: float
    estimate: Estimate
    seeds: int


def shared_tasks(tasks: Collection[str]) -> set[str]:
    """Those of an analysis's tasks that lie on a curve over training rows: shares, and the whole of each."""
    stems = {underived(task) for task in tasks if parse_task(task).percent}
    return {task for task in tasks if parse_task(task).percent or (task in stems)}


def find_points(
    results: TaskResults,
    arms: Mapping[str, Mapping[Name, Arm]],
    metric: str,
    shared: Collection[str] = (),
) -> list[Point]:
    """Points of a task's arms (selection -> arm -> its scored runs): over training rows where the task is `shared`;
    over widths, layers and pretraining steps where names say several."""
    found: list[Point] = []
    task = str(results.cells[0].record["task"])
    sizes = {arm: list(_sizes(results, arm, task, shared)) for arm in results.order}
    on_curve = Counter(curve for mine in sizes.values() for curve, _ in mine)
    for selection, scored in arms.items():
        for arm, runs in scored.items():
            kept = [(curve, size) for curve, size in sizes[arm] if curve[0] == ROWS or on_curve[curve] > 1]
            if kept:
                # One seed stands behind all shares of a task; other widths are other draws.
                estimate = interval(runs, crc32(f"{results.seed} {arm[0]} {arm[1]}".encode()))
                seeds = len(np.unique(runs.seeds))
                found += [Point(*curve, metric, selection, size, estimate, seeds) for curve, size in kept]
    return found


def _sizes(
    results: TaskResults, arm: Name, task: str, shared: Collection[str]
) -> Iterator[tuple[tuple[str, str, str, str], float]]:
    """Curves (axis, task, model, init) that an arm lies on, and its size on each."""
    model, init = arm
    name = parse_model(model)
    if task in shared and (rows := _training_rows(results.of(arm)[0].record)):
        yield (ROWS, underived(task), model, init), rows
    for axis, size in ((WIDTH, name.width), (LAYERS, name.layers)):
        if size:
            yield (axis, task, without(model, axis), init), float(size)
    if step := steps_of(init):
        yield (STEPS, task, model, "step"), float(step)


def _training_rows(record: Mapping[str, Any]) -> float:
    """Mean over folds of the rows that a cell was trained on; 0 where its record does not say it."""
    counts = [rows[0] for rows in record.get("settings", {}).get("rows", {}).values()]
    return float(np.mean(counts)) if counts else 0.0
