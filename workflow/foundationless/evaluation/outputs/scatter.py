"""Predicted against observed values of a regression, counted in the cells of a grid, so that tables can be drawn from.

Of a set with several outputs the first is counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.evaluation.bootstrap import Run
from foundationless.evaluation.task_results import KEYS, TaskResults
from foundationless.study.vocabulary import VALUES

SCATTER = [*KEYS, "selection", "output", "what", "x", "y", "step_x", "step_y", "count"]
SELECTION = "validation"
BINS = 40
COVERED = 0.998  # of the predictions and the residuals: beyond, they are in the last cells

Floats = NDArray[np.float64]
Rows = list[dict[str, Any]]


def scatter(results: TaskResults) -> Rows:
    """Cells that hold a prediction, of every arm, runs that validation chose pooled over seeds and folds.

    `what` is `grid` (`count` predictions in the cell with the middle observed `x`, predicted `y`, both in units of the
    labels, `step_x` by `step_y`) or `residuals` (predicted minus observed, `x` and `step_x` alone). All arms have the
    same cells. Items whose value is not known are left out; labels of other kinds have no rows.
    """
    if results.stated.labels != VALUES:
        return []
    output = results.outputs[0]
    arms = {arm: known for arm in results.order if (known := _known(results.runs(arm, SELECTION))) is not None}
    if not arms:
        return []
    observed, predicted = (np.concatenate([pair[place] for pair in arms.values()]) for place in (0, 1))
    across, up = _edges(observed), _edges(np.concatenate([observed, _inner(predicted)]))
    away = _edges(np.concatenate([_inner(predicted - observed), [0.0]]))
    rows: Rows = []
    for arm, (truth, answer) in arms.items():
        shared = results.identity(arm) | {"selection": SELECTION, "output": output}
        rows += [shared | row for row in _grid(truth, answer, across, up)]
        rows += [shared | row for row in _histogram(answer - truth, away)]
    return rows


def _known(runs: Sequence[Run]) -> tuple[Floats, Floats] | None:
    """Observed and predicted first output of all runs of an arm, where it is known; None without any."""
    pairs = [
        (run.observed[:, 0], run.values[:, 0]) for run in runs if run.observed is not None and run.values is not None
    ]
    if not pairs:
        return None
    truth, answer = (np.concatenate(part) for part in zip(*pairs, strict=True))
    known = np.isfinite(truth) & np.isfinite(answer)
    return (truth[known], answer[known]) if known.any() else None


def _inner(values: Floats) -> Floats:
    """Values without the few farthest at both ends: one wild prediction must not make all others one cell."""
    low, high = np.quantile(values, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    inner: Floats = values[(values >= low) & (values <= high)]
    return inner


def _edges(values: Floats) -> Floats:
    """Ends of the cells: [BINS + 1]."""
    low, high = float(values.min()), float(values.max())
    pad = 0.0 if high > low else max(abs(low), 1.0) / 2
    return np.linspace(low - pad, high + pad, BINS + 1)


def _places(values: Floats, edges: Floats) -> NDArray[np.int64]:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)


def _grid(truth: Floats, answer: Floats, across: Floats, up: Floats) -> Rows:
    counts = np.bincount(_places(truth, across) * BINS + _places(answer, up), minlength=BINS**2)
    width, height = across[1] - across[0], up[1] - up[0]
    return [
        {"what": "grid", "x": float(across[x] + width / 2), "y": float(up[y] + height / 2)}
        | {"step_x": float(width), "step_y": float(height), "count": int(counts[x * BINS + y])}
        for x, y in zip(*np.divmod(np.flatnonzero(counts), BINS), strict=True)
    ]


def _histogram(values: Floats, edges: Floats) -> Rows:
    counts, width = np.bincount(_places(values, edges), minlength=BINS), edges[1] - edges[0]
    return [
        {"what": "residuals", "x": float(edges[x] + width / 2), "step_x": float(width), "count": int(counts[x])}
        for x in np.flatnonzero(counts)
    ]
