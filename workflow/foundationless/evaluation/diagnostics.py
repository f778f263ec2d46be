"""What the results of a task tell beside scores and differences: tables whose columns `COLUMNS` declares."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.evaluation.bootstrap import (
    LEVEL,
    Arm,
    Estimate,
    Run,
    compare_paired,
    resample_weights,
    stratify,
    subtract,
)
from foundationless.evaluation.calibration.tables import RECALIBRATION
from foundationless.evaluation.effects import tables as effects
from foundationless.evaluation.layers.depth import LAYERS
from foundationless.evaluation.metrics import BINS, calibration, confusion, reliability
from foundationless.evaluation.outputs import tables as outputs
from foundationless.evaluation.outputs.scatter import SCATTER, scatter
from foundationless.evaluation.records import SELECTIONS, flatten_selections
from foundationless.evaluation.shots.curves import FEWSHOT, curves
from foundationless.evaluation.task_results import IDENTITY, KEYS, Name, TaskResults, sizes
from foundationless.evaluation.transfer.gaps import GAPS
from foundationless.evaluation.trends.gains import GAINS, gains
from foundationless.evaluation.trends.tables import ROWS_WORTH, SCALING_FITS
from foundationless.evaluation.variance_components import variance_components
from foundationless.evaluation.variants.scores import VARIANT_SCORES
from foundationless.evaluation.verification.cells import COLUMNS as VERIFICATION
from foundationless.study.vocabulary import CONFUSED, MARGINS

COLUMNS = {
    "optimism": [
        *KEYS, "versus", "metric", "value_by_test", "value_by_validation", "optimism", "low", "high", "p", "n_test",
        "seeds",
    ],
    "oracle": [*IDENTITY, "value_best_random", "value_random", "delta", "low", "high", "p", "n_test"],
    "leakage": [
        *IDENTITY, "value_all", "value_distant", "value_near", "n_all", "n_distant", "n_near", "n_collinear", "delta",
        "low", "high",
    ],
    "calibration": [*KEYS, "selection", "bin", "upper", "count", "confidence", "accuracy", "method"],
    "recalibration": RECALIBRATION,
    "transfer_gaps": GAPS,
    "components": [*IDENTITY, "component", "variance", "sd", "share"],
    "runs": [*KEYS, "selection", "metric", "seed", "fold", "value"],
    "fewshot": FEWSHOT,
    "roc": [*KEYS, "selection", "fpr", "tpr", "low", "high"],
    "confusion": [*KEYS, "selection", "actual", "predicted", "count"],
    "selections": SELECTIONS,
    "settings": [*KEYS, "setting", "text"],
    "layers": LAYERS,
    "variant_scores": VARIANT_SCORES,
    "verification": list(VERIFICATION),
    "effects": effects.EFFECTS,
    "interactions": effects.INTERACTIONS,
    "outputs": outputs.OUTPUTS,
    "scatter": SCATTER,
    "gains": GAINS,
    "scaling_fits": SCALING_FITS,
    "rows_worth": ROWS_WORTH,
}  # fmt: skip

ROC_GRID = np.linspace(0.0, 1.0, 101)
ROC_RESAMPLES = 1000  # at most: a band is looked at, and no verdict hangs on it
CONFUSED_CLASSES = range(3, 21)  # of how many classes a confusion matrix is worth a look
LONGEST_SETTING = 200  # characters
_CHANGE = {"delta": "value", "low": "low", "high": "high"}  # columns, and fields of an `Estimate`

Arms = Mapping[str, Mapping[Name, Arm]]  # selection -> arm -> its runs
Estimates = Mapping[tuple[str, str, str, str], Estimate]  # (selection, model, init, versus) -> difference
Rows = list[dict[str, Any]]


def find_diagnostics(
    results: TaskResults,
    records: Sequence[Mapping[str, Any]],
    arms: Arms,
    estimates: Estimates,
    metric: str,
    audit: pd.DataFrame | None,
    compared: Sequence[Mapping[str, Any]] = (),
    margins: Mapping[str, float] = MARGINS,
) -> tuple[dict[str, pd.DataFrame], Rows]:
    """Tables by name, and notes.

    `records` are those of all cells (also of those that predicted nothing), `arms` their runs scored by `metric`,
    `estimates` the differences that were compared, `audit` the rows `id`, `near` and `collinear` of
    `audit_task`, `compared` the rows of comparisons, `margins` by metric those of differences.
    """
    leakage, notes = _leakage(results, arms, metric, audit)
    by_output, told = outputs.by_output(results, arms, metric, compared, margins)
    rows = {
        "optimism": _optimism(results, arms, estimates, metric),
        "oracle": _oracle(results, estimates, metric),
        "leakage": leakage,
        "calibration": _reliability(results),
        "components": _components(results, arms, metric),
        "runs": _runs(results, arms, metric),
        "roc": _roc(results, metric),
        "confusion": _confusion(results),
        "settings": _settings(records),
        "effects": effects.by_perturbation(results),
        "interactions": effects.interactions(results),
        "outputs": by_output,
        "scatter": scatter(results),
        "gains": gains(results, arms, metric),
    }
    tables = {name: pd.DataFrame(some, columns=COLUMNS[name]) for name, some in rows.items()}
    tables["outputs"] = outputs.judge(tables["outputs"])
    tables["fewshot"] = curves(results, arms.get("validation", {}), metric, compared, margins)
    return select_only(records) | tables, notes + told


def select_only(records: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """The tables where nothing was compared: what was selected, the others without rows."""
    empty = {name: pd.DataFrame(columns=columns) for name, columns in COLUMNS.items()}
    return empty | {"selections": flatten_selections(records)}


def calibrations(results: TaskResults, arm: Name, selection: str) -> dict[str, float]:
    """ECE and Brier score of an arm, averaged as its other metrics are; nothing for scores of variants."""
    runs = _probable(results, arm, selection)
    if not runs:
        return {}
    frame = pd.DataFrame([calibration(run.labels, probabilities, results.classes) for run, probabilities in runs])
    return {str(name): float(each) for name, each in frame.groupby([run.seed for run, _ in runs]).mean().mean().items()}


def _settings(records: Sequence[Mapping[str, Any]]) -> Rows:
    """One row per setting and arm, of the arm's first seed; values as JSON, what is long left to the record."""
    rows = []
    for record in {(record["model"], record["init"]): record for record in reversed(records)}.values():
        for name, value in record.get("settings", {}).items():
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text) <= LONGEST_SETTING:
                rows.append({key: record[key] for key in KEYS} | {"setting": name, "text": text})
    return rows


def _probable(results: TaskResults, arm: Name, selection: str) -> list[tuple[Run, NDArray[np.float64]]]:
    """Runs of an arm with their class probabilities; none where some run has scores instead, or unknown classes."""
    runs = results.runs(arm, selection)
    known = [(run, run.probabilities) for run in runs if run.probabilities is not None]
    return known if len(known) == len(runs) and all(run.width == len(results.classes) for run in runs) else []


def _reliability(results: TaskResults) -> Rows:
    """Bins of the reliability curve of every arm (runs chosen by validation, pooled); empty bins have no row."""
    rows = []
    for arm in results.order:
        runs = _probable(results, arm, "validation")
        parts = [reliability(run.labels, probabilities, results.classes) for run, probabilities in runs]
        for place, (count, confidence, right) in enumerate(np.sum(parts, axis=0) if parts else ()):
            if count:
                rows.append(
                    results.identity(arm)
                    | {"selection": "validation", "bin": place, "upper": (place + 1) / BINS, "count": int(count)}
                    | {"confidence": confidence / count, "accuracy": right / count, "method": "none"}
                )
    return rows


def _optimism(results: TaskResults, arms: Arms, estimates: Estimates, metric: str) -> Rows:
    """What choosing runs on the test set adds: to every arm, and to its differences with random arms (`versus`)."""
    rows: Rows = []
    if "test" not in arms or results.of_effects:
        return rows
    for arm in results.order:
        by_test, ours = (arms[selection][arm] for selection in ("test", "validation"))
        changes: list[tuple[str | None, float, float, Estimate]] = [
            (None, by_test.value, ours.value, compare_paired(by_test, ours, results.seed))
        ]
        for versus in ("random", "best_random"):
            pair = [estimates.get((selection, *arm, versus)) for selection in ("test", "validation")]
            if pair[0] is not None and pair[1] is not None:
                changes.append((versus, pair[0].value, pair[1].value, subtract(pair[0], pair[1])))
        counts = sizes(results.runs(arm, "validation"))
        for reference, with_test, without, change in changes:
            rows.append(
                results.identity(arm)
                | {"versus": reference, "metric": metric, "value_by_test": with_test, "value_by_validation": without}
                | {"optimism": change.value, "low": change.low, "high": change.high, "p": change.p}
                | {"n_test": counts["n_test"], "seeds": counts["seeds"]}
            )
    return rows


def _oracle(results: TaskResults, estimates: Estimates, metric: str) -> Rows:
    """Differences with the best random arm of any model and with the model's own, runs chosen by validation."""
    rows = []
    for arm in results.order:
        best, own = (estimates.get(("validation", *arm, versus)) for versus in ("best_random", "random"))
        if best is None or own is None:
            continue
        change = subtract(best, own)
        rows.append(
            results.identity(arm)
            | {"metric": metric, "selection": "validation", "value_best_random": best.value, "value_random": own.value}
            | {"delta": change.value, "low": change.low, "high": change.high, "p": change.p}
            | {"n_test": sizes(results.runs(arm, "validation"))["n_test"]}
        )
    return rows


def _leakage(results: TaskResults, arms: Arms, metric: str, audit: pd.DataFrame | None) -> tuple[Rows, Rows]:
    """Scores on all test rows, on those that no earlier split knows (distant), and on the others (near); notes.

    A row is known that has a near duplicate there (`n_near` rows) or an overlapping window (`n_collinear`), or both.
    """
    if audit is None:
        return [], []
    near, overlapping = (_marked_rows(results, audit, name) for name in ("near", "collinear"))
    if near is None or overlapping is None:
        text = "the audit does not know all test items (they join rows of the set), so no leakage is scored"
        return [], [results.note("audit", text)]
    masks = {name: mask | overlapping[name] for name, mask in near.items()}
    count, n_near, n_collinear = (int(next(iter(part.values())).sum()) for part in (masks, near, overlapping))
    total = len(next(iter(masks.values())))
    distant, close = arms, None
    if 0 < count < total:
        distant = results.score(metric, results.resamples, {name: ~mask for name, mask in masks.items()})
        close = results.score(metric, 0, masks)
    rows = []
    for selection, scored in arms.items():
        for arm, whole in scored.items():
            change = compare_paired(whole, distant[selection][arm], results.seed) if count < total else None
            value_near = close[selection][arm].value if close else whole.value if count else np.nan
            rows.append(
                results.identity(arm)
                | {"metric": metric, "selection": selection, "value_all": whole.value, "value_near": value_near}
                | {"n_all": total, "n_distant": total - count, "n_near": n_near, "n_collinear": n_collinear}
                | {"value_distant": distant[selection][arm].value if change else np.nan}
                | {name: getattr(change, part, np.nan) for name, part in _CHANGE.items()}
            )
    return rows, []


def _marked_rows(results: TaskResults, audit: pd.DataFrame, mark: str) -> dict[str, NDArray[np.bool_]] | None:
    """Name of a run -> which of its test items the audit marks; None where the audit does not know them all.

    Names of runs differ between cells, but the items of a fold are the same in all (`_check_same_items`).
    """
    marked = audit.set_index("id")[mark].astype(bool)
    marked = marked.groupby(marked.index.astype(str)).any()
    ids = {name: np.asarray(run.ids) for cell in results.cells for name, run in cell.runs.items()}
    distinct = {id(items): items for items in ids.values()}
    if not all(pd.Index(items).isin(marked.index).all() for items in distinct.values()):
        return None
    known = {key: marked.reindex(items).to_numpy(dtype=bool) for key, items in distinct.items()}
    return {name: known[id(items)] for name, items in ids.items()}


def _components(results: TaskResults, arms: Arms, metric: str) -> Rows:
    """Variances of the score of a run, by where they come from: test items, seed, fold, and what is left.

    Of a pretrained arm the seed is that of head and data order; of a random arm also of its weights. So the row
    `weights` of a random arm, the difference of the two variances of seeds, is that of the weights alone; as the
    difference of two estimates it may be negative. It has no share. None of drawn rows, whose folds are number × draw:
    what more rows bring is no variance of folds.
    """
    if results.draws:
        return []
    rows = []
    for selection, scored in arms.items():
        seeds: dict[Name, float] = {}
        for arm, runs in scored.items():
            folds = [run.fold for run in results.runs(arm, selection)]
            drawn = runs.replicates[:, np.isfinite(runs.replicates).all(axis=0)]
            noise = float(drawn.std(axis=1, ddof=1).mean()) if drawn.shape[1] > 1 else np.nan
            shared = results.identity(arm) | {"metric": metric, "selection": selection}
            parts = variance_components(runs.points, runs.seeds, folds, noise)
            rows += [shared | {"component": name} | part._asdict() for name, part in parts.items()]
            seeds[arm] = parts["seed"].variance
        for model, init in scored:
            extra = seeds[model, init] - seeds.get((model, "pretrained"), np.nan)
            if init == "random" and not np.isnan(extra):
                shared = results.identity((model, init)) | {"metric": metric, "selection": selection}
                rows.append(shared | {"component": "weights", "variance": extra, "sd": np.sqrt(max(extra, 0.0))})
    return rows


def _runs(results: TaskResults, arms: Arms, metric: str) -> Rows:
    """The test score of every run that a selection chose."""
    return [
        results.identity(arm)
        | {"selection": selection, "metric": metric, "seed": run.seed, "fold": run.fold, "value": value}
        for selection, scored in arms.items()
        for arm, runs in scored.items()
        for run, value in zip(results.runs(arm, selection), runs.points, strict=True)
    ]


def _roc(results: TaskResults, metric: str) -> Rows:
    """ROC curves of likelihood ratios at `ROC_GRID`, mean over seeds, with a 95 % bootstrap band over the test items.

    The second class counts as positive, and a score is taken as it predicts (-LLR: higher is more pathogenic).
    """
    if metric != "auroc" or len(results.classes) != 2 or results.analysis != "likelihood":
        return []
    rows = []
    for selection in results.selections:
        for arm in results.order:
            runs = results.runs(arm, selection)
            names, strata = stratify(runs)
            owner = np.searchsorted(names, runs[0].groups)
            resamples = min(results.resamples, ROC_RESAMPLES)
            drawn = resample_weights(strata, resamples, np.random.default_rng(results.seed))
            weights = np.concatenate([np.ones((1, len(owner))), drawn[:, owner]])
            curves = np.mean([roc(run, results.classes[1], weights) for run in runs], axis=0)
            low, high = np.nanquantile(curves[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
            points = zip(ROC_GRID, curves[0], low, high, strict=True)
            shared = results.identity(arm) | {"selection": selection}
            rows += [shared | dict(zip(("fpr", "tpr", "low", "high"), point, strict=True)) for point in points]
    return rows


def roc(run: Run, positive: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """True positive rates at `ROC_GRID` under weights of items: [resamples, grid]; equal scores share a threshold.

    NaN for a resample without items of either kind.
    """
    assert run.ranking is not None
    score, target = run.ranking, run.labels == positive
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    weight = weights[:, order]
    hits, misses = (np.cumsum(weight * kind, axis=1)[:, ends] for kind in (target[order], ~target[order]))
    curves = np.full((len(weights), len(ROC_GRID)), np.nan)
    for row, (hit, miss) in enumerate(zip(hits, misses, strict=True)):
        if hit[-1] and miss[-1]:
            curves[row] = np.interp(ROC_GRID, np.r_[0.0, miss / miss[-1]], np.r_[0.0, hit / hit[-1]])
    return curves


def _confusion(results: TaskResults) -> Rows:
    """Actual against predicted classes, summed over the seeds and folds that validation chose."""
    if results.analysis not in CONFUSED or len(results.classes) not in CONFUSED_CLASSES:
        return []
    rows = []
    for arm in results.order:
        counts = np.zeros((len(results.classes), len(results.classes)), dtype=np.int64)
        for run in results.runs(arm, "validation"):
            if run.predicted is not None:
                cells = confusion(run.labels, run.predicted, results.classes)
                counts += np.bincount(cells, minlength=counts.size).reshape(counts.shape)
        shared = results.identity(arm) | {"selection": "validation"}
        rows += [
            shared | {"actual": results.classes[one], "predicted": results.classes[other], "count": int(number)}
            for (one, other), number in np.ndenumerate(counts)
        ]
    return rows
