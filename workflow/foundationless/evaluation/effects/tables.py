"""Tables of predicted effects: a row per perturbation, and how well interactions of pairs are found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.evaluation.bootstrap import Run
from foundationless.evaluation.effects.interactions import (
    CALLED,
    CLASSES,
    GRID,
    Null,
    classify,
    fit_null,
    rate_predictions,
)
from foundationless.evaluation.effects.predictions import NUMBERS
from foundationless.evaluation.task_results import KEYS, Name, TaskResults

EFFECTS = [*KEYS, "selection", "fold", "perturbation", "group", "kind", "seeds", *NUMBERS]
INTERACTIONS = [
    *KEYS, "selection", "fold", "what", "point", "predicted", "actual", "value", "count", "seeds", "threshold_low",
    "threshold_high",
]  # fmt: skip
SELECTION = "validation"

Rows = list[dict[str, Any]]


def by_perturbation(results: TaskResults) -> Rows:
    """Every metric of every test perturbation in each split, mean over seeds, of runs that validation chose.

    `l2_mean` is the error of the mean of the training perturbations, `length` that of the observed change, `l2_10`
    and `l2_change_10` the error of the ten genes that are highest in control, and that change most.
    """
    rows: Rows = []
    for arm in results.order if results.of_effects else []:
        for fold, runs in _by_fold(results, arm):
            shared = results.identity(arm) | {"selection": SELECTION, "fold": fold, "seeds": len(runs)}
            ids = _ids(runs[0])
            means = {name: np.mean([(run.effects or {})[name] for run in runs], axis=0) for name in NUMBERS}
            rows += [
                shared | {"perturbation": str(one), "group": str(group), "kind": str(kind)}
                | {name: float(values[place]) for name, values in means.items()}
                for place, (one, group, kind) in enumerate(zip(ids, runs[0].groups, runs[0].labels, strict=True))
            ]  # fmt: skip
    return rows


def interactions(results: TaskResults) -> Rows:
    """How interactions of doubles are found, per arm and split, mean over seeds, of runs that validation chose.

    The null is fitted once to all doubles of the task that any split tests. `what` is `class` (all pairs of a gene and
    a double by their `actual` kind: `count`, and its share), `called` (of the `CALLED` predictions farthest from
    additive, how many of a `predicted` and an `actual` kind), `tpr` (at the false discovery proportion `point`),
    `auroc` or `auprc`.
    """
    doubles = _doubles(results)
    if not doubles:
        return []
    null = fit_null(np.concatenate([gap for gap, _ in doubles.values()]))
    shared = {"selection": SELECTION, "threshold_low": null.low, "threshold_high": null.high}
    rows: Rows = []
    for arm in results.order:
        for fold, runs in _by_fold(results, arm):
            paired = [run.pairs for run in runs if run.pairs is not None]
            found = [_of_run(pairs, null) for pairs in paired]
            identity = results.identity(arm) | shared | {"fold": fold, "seeds": len(found)}
            rows += [identity | row for row in _averaged(found)]
    return rows


def _by_fold(results: TaskResults, arm: Name) -> Iterator[tuple[int, list[Run]]]:
    """Runs of the seeds of an arm in each split, items in the same order."""
    folds: dict[int, list[Run]] = {}
    for run in results.runs(arm, SELECTION):
        folds.setdefault(run.fold, []).append(run)
    yield from sorted(folds.items())


def _ids(run: Run) -> NDArray[np.str_]:
    return run.groups if run.ids is None else run.ids


def _doubles(results: TaskResults) -> dict[str, tuple[NDArray[np.float64], int]]:
    """Double -> its gaps between observed and additive, each once, and how many genes they know.

    Of the arm that knows most genes, where some reading drops genes; what was observed is the same in all.
    """
    known: dict[str, tuple[NDArray[np.float64], int]] = {}
    for arm in results.order if results.of_effects else []:
        for run in results.runs(arm, SELECTION):
            if run.pairs is None:
                continue
            gaps = run.pairs["observed"].astype(np.float64) - run.pairs["additive"]
            counts = np.isfinite(gaps).sum(axis=1)
            for name, gap, count in zip(_ids(run).tolist(), gaps, counts.tolist(), strict=True):
                if count > (known[name][1] if name in known else 0):
                    known[name] = gap, count
    return known


def _of_run(pairs: Mapping[str, NDArray[Any]], null: Null) -> Rows:
    """Rows of one run, in an order that is the same for all runs of a split."""
    doubles = np.isfinite(pairs["additive"]).any(axis=1)
    observed, predicted, additive = (
        pairs[name][doubles].astype(np.float64) for name in ("observed", "predicted", "additive")
    )
    first = pairs["first"][doubles].astype(np.float64) if "first" in pairs else None
    alike = True if first is None else np.sign(first) == np.sign(additive - first)
    kinds = classify(observed, additive, null, alike)
    gaps = predicted - additive
    known = np.isfinite(observed - additive) & np.isfinite(gaps)
    total = int(known.sum())
    counts = np.bincount(kinds[known], minlength=len(CLASSES))
    rows: Rows = [
        {"what": "class", "actual": name, "count": float(count), "value": count / total if total else np.nan}
        for name, count in zip(CLASSES, counts, strict=True)
    ]
    everything = Null(np.nan, np.nan, np.nan, 0.0, 0.0)  # of a prediction any gap is one
    called = np.argsort(-np.where(known, np.abs(gaps), -1.0), axis=None, kind="stable")[: min(CALLED, total)]
    said = classify(predicted, additive, everything, alike).ravel()[called]
    table = np.zeros((len(CLASSES), len(CLASSES)))
    np.add.at(table, (said, kinds.ravel()[called]), 1)
    rows += [
        {"what": "called", "predicted": CLASSES[i], "actual": CLASSES[j], "count": float(count)}
        | {"value": count / len(called) if len(called) else np.nan}
        for (i, j), count in np.ndenumerate(table)
    ]
    rated = rate_predictions(observed - additive, gaps, null)
    curve = np.asarray(rated["tpr"], dtype=np.float64)
    rows += [{"what": "tpr", "point": float(x), "value": float(y)} for x, y in zip(GRID, curve, strict=True)]
    return rows + [{"what": name, "value": float(rated[name])} for name in ("auroc", "auprc")]


def _averaged(found: Sequence[Rows]) -> Rows:
    """Means over runs; kinds that were never called have no row."""
    rows = []
    for several in zip(*found, strict=True):
        means = {
            name: float(np.mean([row[name] for row in several])) for name in ("value", "count") if name in several[0]
        }
        if several[0]["what"] != "called" or means["count"] > 0:
            rows.append(several[0] | means)
    return rows
