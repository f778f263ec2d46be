"""Calibration of every arm of a task before and after it was mended, from predictions alone.

Methods: `none`; `temperature`, one number a run, fitted on its validation rows (`scaling`); `ensemble`, the mean of the
probabilities of all seeds, fold by fold. Conformal sets are split-conformal: each run's limit is that of its own
validation rows, of the ensemble's of the mean of its seeds'. The validation rows have chosen epoch, learning rate or
classifier before: a little less is left to mend on them than on rows that chose nothing.

Probes and baselines keep predictions of validation rows among the others; fine-tuning keeps them in a file beside
(`BESIDE`). Where a result is older than that file, or nothing was chosen, the row of `none` says so, and nothing is
fitted. Drawn training rows have no table: their runs are many small sets, whose draws these intervals would not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from foundationless.errors import UserError
from foundationless.evaluation.bootstrap import Arm, Run, compare_paired, interval, join, score_runs
from foundationless.evaluation.calibration.scaling import (
    brier_scores,
    expected_coverage,
    fit_temperature,
    log_losses,
    tempered,
    threshold,
)
from foundationless.evaluation.metrics import BINS, evaluate, reliability
from foundationless.evaluation.task_results import (
    KEYS,
    CellResult,
    Items,
    Name,
    TaskResults,
    name_of,
    of_split,
    read_predictions,
    read_results,
    read_run,
    sizes,
)
from foundationless.study.vocabulary import FIXED, LEAVE_ONE_OUT

BESIDE = "validation.parquet"
LACKING = "no validation predictions: older than the file that keeps them"
UNREAD = "no validation predictions: nothing was chosen, so no validation rows were read"
ODD = "validation predictions do not fit the record, and are not used"
LOSSES, SETS = ("ece", "nll", "brier"), ("coverage", "set_size")
RECALIBRATION = [
    *KEYS, "selection", "method", "temperature",
    *(f"{name}{part}" for name in LOSSES for part in ("", "_low", "_high", "_change", "_change_low", "_change_high")),
    *(f"{name}{part}" for name in SETS for part in ("", "_low", "_high")),
    "expected_low", "expected_high", "n_validation", "n_test", "seeds", "note",
]  # fmt: skip
RESAMPLES = 1000  # at most, of intervals that no verdict hangs on
SHOWN = 1e-6  # how far a recorded validation value may lie from the one computed again

Rows = list[dict[str, Any]]
Seen = Mapping[tuple[str, str], Run]  # (cell, name of a run) -> its validation rows


def read_beside(path: Path) -> pa.Table | None:
    """Predictions of the validation rows in the file beside predictions; None where there is none that can be read."""
    try:
        return read_predictions(path.with_name(BESIDE))
    except UserError:
        return None


def recalibrate(
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pa.Table | None],
    beside: Sequence[pa.Table | None],
    resamples: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `RECALIBRATION`, and bins of reliability after temperature scaling.

    None of labels without classes, nor of drawn training rows.

    `predictions` are all rows, `beside` what `read_beside` gave, both parallel to `records`.
    """
    tables = [None if table is None else of_split(table, "test") for table in predictions]
    results, _ = read_results(records, tables, min(resamples, RESAMPLES), seed)
    if results is None or results.draws or not results.classes or not _all_probable(results):
        return pd.DataFrame(columns=RECALIBRATION), pd.DataFrame()
    seen, notes = _validation(results, records, predictions, beside)
    made: dict[tuple[Name, str], list[Run]] = {}
    known: dict[tuple[Name, str], list[Run]] = {}
    for arm in results.order:
        for method, (runs, validation) in _methods(results, arm, seen).items():
            made[arm, method], known[arm, method] = _with_sets(runs, validation, results.classes), validation
    scored = {metric: _score(results, made, metric) for metric in LOSSES}
    scored |= {metric: _score(results, {key: made[key] for key in made if known[key]}, metric) for metric in SETS}
    rows = []
    for arm, method in made:
        before = None if method == "none" else (arm, "none")
        row = results.identity(arm) | {"selection": "validation", "method": method}
        row |= {"temperature": _temperature(results, arm, seen) if method == "temperature" else np.nan}
        for metric in LOSSES:
            row |= _cells(results, scored[metric], metric, (arm, method), before)
        counts = sizes(results.runs(arm, "validation"))
        row |= {"n_test": counts["n_test"], "seeds": counts["seeds"], "note": notes.get(arm, "")}
        if known[arm, method]:
            smallest = min(len(run.labels) for run in known[arm, method])
            limits = expected_coverage(smallest, counts["n_test"])
            row |= dict(zip(("expected_low", "expected_high"), limits, strict=True)) | {"n_validation": smallest}
            for metric in SETS:
                row |= _cells(results, scored[metric], metric, (arm, method), None)
        rows.append(row)
    frame = pd.DataFrame(rows).reindex(columns=RECALIBRATION)
    return frame, pd.DataFrame(_bins(results, {key: runs for key, runs in made.items() if key[1] == "temperature"}))


def _all_probable(results: TaskResults) -> bool:
    runs = [run for cell in results.cells for run in cell.runs.values()]
    return all(run.probabilities is not None and run.width == len(results.classes) for run in runs)


def _validation(
    results: TaskResults,
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pa.Table | None],
    beside: Sequence[pa.Table | None],
) -> tuple[Seen, dict[Name, str]]:
    """Validation rows of every run that validation chose, and by arm what is to be said of those that lack them."""
    tables = {name_of(record): pair for record, *pair in zip(records, predictions, beside, strict=True)}
    seen: dict[tuple[str, str], Run] = {}
    notes: dict[Name, str] = {}
    items = Items()
    for cell in results.cells:
        own, other = tables[name_of(cell.record)]
        within = of_split(own, "validation") if own is not None else None
        source = within if within is not None and within.num_rows else other
        for name in cell.chosen["validation"]:
            fold, _, run = name.partition(" ")
            if source is None:
                notes[cell.arm] = (
                    UNREAD if cell.record.get("settings", {}).get("chosen_by") in (FIXED, LEAVE_ONE_OUT) else LACKING
                )
                continue
            rows = source.filter(pc.and_(pc.equal(source["run"], run), pc.equal(source["fold"], int(fold))))
            rows = rows.filter(rows["label"].is_valid())
            read = read_run(cell.record, int(fold), rows, items) if rows.num_rows else None
            if read is None or not _fits(cell, read, run, results.classes):
                notes[cell.arm] = ODD
            else:
                seen[name_of(cell.record), name] = read
    return seen, notes


def _fits(cell: CellResult, read: Run, name: str, classes: Sequence[str]) -> bool:
    """Whether these rows give the validation value that the record has of the run, which no hash vouches for."""
    if read.width != len(classes):
        return False
    try:
        found = evaluate(read.labels, _probabilities(read), classes)
    except UserError:  # a class that the test items do not have, or a probability that is no number
        return False
    said = [
        (row["metric"], row["value"])
        for row in cell.record["results"]
        if row["split"] == "validation" and row["extra"].get("run") == name and row["metric"] in found
    ]
    return all(value is not None and abs(found[metric] - value) <= SHOWN for metric, value in said)


def _methods(results: TaskResults, arm: Name, seen: Seen) -> dict[str, tuple[list[Run], list[Run]]]:
    """Method -> runs on the test items, and the same on their validation rows (none where any run lacks them)."""
    named = [(name_of(cell.record), name) for cell in results.of(arm) for name in cell.chosen["validation"]]
    runs = results.runs(arm, "validation")
    validation = [seen[key] for key in named if key in seen]
    validation = validation if len(validation) == len(runs) else []
    found = {"none": (runs, validation)}
    if validation:
        heat = [fit_temperature(_truth(run, results.classes), _probabilities(run)) for run in validation]
        scaled = [
            [replace(run, probabilities=tempered(_probabilities(run), t)) for run, t in zip(some, heat, strict=True)]
            for some in (runs, validation)
        ]
        found["temperature"] = (scaled[0], scaled[1])
    if len({run.seed for run in runs}) > 1:
        together, others = _ensemble(runs), _ensemble(validation)
        found["ensemble"] = (together, others if len(others) == len(together) else [])
    return found


def _temperature(results: TaskResults, arm: Name, seen: Seen) -> float:
    """Mean over runs, on the scale of logarithms."""
    runs = [seen[name_of(cell.record), name] for cell in results.of(arm) for name in cell.chosen["validation"]]
    found = [fit_temperature(_truth(run, results.classes), _probabilities(run)) for run in runs]
    return float(np.exp(np.mean(np.log(found))))


def _ensemble(runs: Sequence[Run]) -> list[Run]:
    """One run a fold: the mean of the probabilities of its seeds."""
    made = []
    for fold in dict.fromkeys(run.fold for run in runs):
        some = [run for run in runs if run.fold == fold]
        if len({len(run.labels) for run in some}) == 1:
            mean = np.mean([_probabilities(run) for run in some], axis=0)
            made.append(replace(some[0], seed=0, predicted=None, probabilities=mean))
    return made


def _probabilities(run: Run) -> np.ndarray:
    assert run.probabilities is not None
    return run.probabilities


def _truth(run: Run, classes: Sequence[str]) -> np.ndarray:
    return np.searchsorted(np.asarray(classes), run.labels).astype(np.int64)


def _with_sets(runs: Sequence[Run], validation: Sequence[Run], classes: Sequence[str]) -> list[Run]:
    """Runs with the numbers of each item: losses, and of its conformal set whether it holds the class, and its size."""
    found = []
    for place, run in enumerate(runs):
        truth, probabilities = _truth(run, classes), _probabilities(run)
        numbers = {"nll": log_losses(truth, probabilities), "brier": brier_scores(truth, probabilities)}
        if validation:
            limit = threshold(_truth(validation[place], classes), _probabilities(validation[place]))
            sets = probabilities >= limit
            numbers |= {"coverage": sets[np.arange(len(truth)), truth].astype(np.float64)}
            numbers |= {"set_size": sets.sum(axis=1).astype(np.float64)}
        found.append(replace(run, effects=numbers))
    return found


def _score(results: TaskResults, made: Mapping[Any, list[Run]], metric: str) -> dict[Any, Arm]:
    """Every arm and method under the same resamples.

    The calibration error of a resample is above that of the items on average, as theirs is above the true one: so its
    replicates are moved to have the value of the items as their mean, and intervals say how uncertain that is.
    """
    if not made:
        return {}
    flat = [run for runs in made.values() for run in runs]
    arms = iter(score_runs(flat, metric, results.classes, results.resamples, results.seed))
    found = {key: join([next(arms) for _ in runs]) for key, runs in made.items()}
    if metric != "ece":
        return found
    return {key: replace(arm, replicates=_centred(arm)) for key, arm in found.items()}


def _centred(arm: Arm) -> np.ndarray:
    drawn = np.isfinite(arm.replicates).all(axis=0)
    if not drawn.any():
        return arm.replicates
    return np.asarray(arm.replicates + (arm.points - arm.replicates[:, drawn].mean(axis=1))[:, None])


def _cells(results: TaskResults, scored: Mapping[Any, Arm], metric: str, key: Any, before: Any) -> dict[str, float]:
    """Columns of one metric: value and interval, and its paired change where there is something `before`."""
    value = interval(scored[key], results.seed, metric)
    found = {metric: value.value, f"{metric}_low": value.low, f"{metric}_high": value.high}
    if before is None:
        return found
    change = compare_paired(scored[key], scored[before], results.seed)
    said = {f"{metric}_change": change.value, f"{metric}_change_low": change.low, f"{metric}_change_high": change.high}
    return found | said


def _bins(results: TaskResults, made: Mapping[tuple[Name, str], list[Run]]) -> Rows:
    """Bins of reliability, as those of probabilities as they were."""
    rows = []
    for (arm, method), runs in made.items():
        parts = [reliability(run.labels, _probabilities(run), results.classes) for run in runs]
        for place, (count, confidence, right) in enumerate(np.sum(parts, axis=0)):
            if count:
                rows.append(
                    results.identity(arm)
                    | {"selection": "validation", "bin": place, "upper": (place + 1) / BINS, "count": int(count)}
                    | {"confidence": confidence / count, "accuracy": right / count, "method": method}
                )
    return rows
