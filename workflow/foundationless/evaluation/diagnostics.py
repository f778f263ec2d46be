"""What the jobs of a task tell beside scores and differences: one kind of row per value of the column `effect`.

`optimism` (the study's choice of runs, by test score, against ours, by validation), `oracle` (the best random arm of
any model as opponent, against the model's own), `leakage` (all test rows against those without a near duplicate in an
earlier split), `calibration` (bins of the reliability curve), `component` (where the variance of a score comes from),
`run` (the score of every chosen run), `roc` (curves of likelihood ratios), `confusion` (actual against predicted
classes), `selection` (what was tried, by which values, and chosen) and `setting` (of an arm).
"""

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
from foundationless.evaluation.metrics import BINS, calibration, confusion, reliability
from foundationless.evaluation.records import flatten_selections
from foundationless.evaluation.task_results import IDENTITY, KEYS, SELECTED_BY, Bench, Name, hole, sizes
from foundationless.evaluation.variance_components import variance_components
from foundationless.study.vocabulary import CONFUSED

OPTIMISM = [
    *KEYS, "versus", "metric", "value_by_test", "value_by_validation", "delta", "low", "high", "p", "n_test", "seeds",
]  # fmt: skip
ORACLE = [*IDENTITY, "value_best_random", "value_random", "delta", "low", "high", "p", "n_test"]
LEAKAGE = [
    *IDENTITY, "value_all", "value_distant", "value_near", "n_all", "n_distant", "n_near", "delta", "low", "high",
]  # fmt: skip
RELIABILITY = [*KEYS, "selection", "bin", "edge", "count", "confidence", "accuracy"]
COMPONENTS = [*IDENTITY, "component", "variance", "sd", "share"]
RUNS = [*KEYS, "selection", "metric", "seed", "fold", "value"]
ROC = [*KEYS, "selection", "fpr", "tpr", "low", "high"]
CONFUSION = [*KEYS, "selection", "actual", "predicted", "count"]

ROC_GRID = np.linspace(0.0, 1.0, 101)
ROC_RESAMPLES = 1000  # at most: a band is looked at, and no verdict hangs on it
CONFUSED_CLASSES = range(3, 21)  # of tasks whose confusion matrices are summarised
LONGEST_SETTING = 200  # characters

Arms = Mapping[str, Mapping[Name, Arm]]  # selection -> arm -> its runs
Estimates = Mapping[tuple[str, str, str, str], Estimate]  # (selection, model, init, versus) -> difference


def find_effects(
    bench: Bench,
    records: Sequence[Mapping[str, Any]],
    arms: Arms,
    estimates: Estimates,
    metric: str,
    audit: pd.DataFrame | None,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Effects of every kind, and holes.

    `records` are those of all jobs (also of those that predicted nothing), `arms` their runs scored by `metric`,
    `estimates` the differences that were compared, `audit` the rows `id` and `near` of `audit_task`.
    """
    leakage, holes = _leakage(bench, arms, metric, audit)
    found = join_effects(
        optimism=_optimism(bench, arms, estimates, metric),
        oracle=_oracle(bench, estimates, metric),
        leakage=leakage,
        calibration=_reliability(bench),
        component=_components(bench, arms, metric),
        run=_runs(bench, arms, metric),
        roc=_roc(bench, metric),
        confusion=_confusion(bench),
        selection=flatten_selections(records),
        setting=_settings(records),
    )
    return found, holes


def join_effects(**kinds: pd.DataFrame) -> pd.DataFrame:
    """Tables of effects below each other, the name of each in the column `effect`."""
    found = [frame.assign(effect=kind) for kind, frame in kinds.items() if len(frame)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*KEYS, "effect"])


def calibrations(bench: Bench, arm: Name, selection: str) -> dict[str, float]:
    """ECE and Brier score of an arm, averaged as its other metrics are; nothing for scores of variants."""
    runs = _probable(bench, arm, selection)
    if not runs:
        return {}
    frame = pd.DataFrame([calibration(run.labels, probabilities, bench.classes) for run, probabilities in runs])
    return {str(name): float(each) for name, each in frame.groupby([run.seed for run, _ in runs]).mean().mean().items()}


def _settings(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per setting and arm, of the arm's first seed; values as JSON, what is long left to the record."""
    rows = []
    for record in {(record["model"], record["init"]): record for record in reversed(records)}.values():
        for name, value in record.get("settings", {}).items():
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text) <= LONGEST_SETTING:
                rows.append({key: record[key] for key in KEYS} | {"setting": name, "text": text})
    return pd.DataFrame(rows)


def _probable(bench: Bench, arm: Name, selection: str) -> list[tuple[Run, NDArray[np.float64]]]:
    """Runs of an arm with their class probabilities; none where some run has scores instead, or unknown classes."""
    runs = bench.runs(arm, selection)
    found = [(run, run.probabilities) for run in runs if run.predicted is not None and run.probabilities is not None]
    return found if all(part.shape[1] == len(bench.classes) for _, part in found) and len(found) == len(runs) else []


def _reliability(bench: Bench) -> pd.DataFrame:
    """Bins of the reliability curve of every arm (runs chosen by validation, pooled); empty bins have no row."""
    rows = []
    for arm in bench.order:
        runs = _probable(bench, arm, "validation")
        parts = [reliability(run.labels, probabilities, bench.classes) for run, probabilities in runs]
        for place, (count, confidence, right) in enumerate(np.sum(parts, axis=0) if parts else ()):
            if count:
                found = {"selection": "validation", "bin": place, "edge": (place + 1) / BINS, "count": int(count)}
                rows.append(bench.identity(arm) | found | {"confidence": confidence / count, "accuracy": right / count})
    return pd.DataFrame(rows, columns=RELIABILITY)


def _optimism(bench: Bench, arms: Arms, estimates: Estimates, metric: str) -> pd.DataFrame:
    """What choosing runs on the test set adds: to every arm, and to its differences with random arms (`versus`)."""
    rows = []
    for arm in bench.order:
        paper, ours = (arms[selection][arm] for selection in ("test", "validation"))
        found: list[tuple[str | None, float, float, Estimate]] = [
            (None, paper.value, ours.value, compare_paired(paper, ours, bench.seed))
        ]
        for versus in ("random", "best_random"):
            pair = [estimates.get((selection, *arm, versus)) for selection in ("test", "validation")]
            if pair[0] is not None and pair[1] is not None:
                found.append((versus, pair[0].value, pair[1].value, subtract(pair[0], pair[1])))
        counts = sizes(bench.runs(arm, "validation"))
        for reference, with_test, without, change in found:
            rows.append(
                bench.identity(arm)
                | {"versus": reference, "metric": metric, "value_by_test": with_test, "value_by_validation": without}
                | {"delta": change.value, "low": change.low, "high": change.high, "p": change.p}
                | {"n_test": counts["n_test"], "seeds": counts["seeds"]}
            )
    return pd.DataFrame(rows, columns=OPTIMISM)


def _oracle(bench: Bench, estimates: Estimates, metric: str) -> pd.DataFrame:
    """Differences with the best random arm of any model and with the model's own, runs chosen by validation."""
    rows = []
    for arm in bench.order:
        best, own = (estimates.get(("validation", *arm, versus)) for versus in ("best_random", "random"))
        if best is None or own is None:
            continue
        change = subtract(best, own)
        rows.append(
            bench.identity(arm)
            | {"metric": metric, "selection": "validation", "value_best_random": best.value, "value_random": own.value}
            | {"delta": change.value, "low": change.low, "high": change.high, "p": change.p}
            | {"n_test": sizes(bench.runs(arm, "validation"))["n_test"]}
        )
    return pd.DataFrame(rows, columns=ORACLE)


def _leakage(
    bench: Bench, arms: Arms, metric: str, audit: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Scores on all test rows, on those without a near duplicate in train or validation, and on the near ones."""
    empty = pd.DataFrame(columns=LEAKAGE)
    if audit is None:
        return empty, []
    near = audit.set_index("id")["near"].astype(bool)
    near = near.groupby(near.index.astype(str)).any()
    # Names of runs differ between jobs, but the items of a fold are the same in all (checked before).
    ids = {name: np.asarray(run.ids) for job in bench.jobs for name, run in job.runs.items()}
    distinct = {id(items): items for items in ids.values()}
    if not all(pd.Index(items).isin(near.index).all() for items in distinct.values()):
        task = {key: bench.jobs[0].record[key] for key in ("analysis", "task")}
        note = "the audit does not know all test items (they join rows of the set), so no leakage is scored"
        return empty, [hole(task, "audit", note)]
    known = {key: near.reindex(items).to_numpy(dtype=bool) for key, items in distinct.items()}
    masks = {name: known[id(items)] for name, items in ids.items()}
    count, total = int(next(iter(masks.values())).sum()), len(next(iter(masks.values())))
    distant, close = arms, None
    if 0 < count < total:
        distant = bench.score(metric, bench.resamples, {name: ~mask for name, mask in masks.items()})
        close = bench.score(metric, 0, masks)
    rows = []
    for selection, scored in arms.items():
        for arm, whole in scored.items():
            found = dict.fromkeys(("value_distant", "delta", "low", "high"), np.nan)
            if count < total:
                change = compare_paired(whole, distant[selection][arm], bench.seed)
                found = {"value_distant": distant[selection][arm].value, "delta": change.value}
                found |= {"low": change.low, "high": change.high}
            value_near = close[selection][arm].value if close else whole.value if count else np.nan
            rows.append(
                bench.identity(arm)
                | {"metric": metric, "selection": selection, "value_all": whole.value, "value_near": value_near}
                | {"n_all": total, "n_distant": total - count, "n_near": count}
                | found
            )
    return pd.DataFrame(rows, columns=LEAKAGE), []


def _components(bench: Bench, arms: Arms, metric: str) -> pd.DataFrame:
    """Variances of the score of a run, by where they come from: test items, seed, fold, and what is left.

    Of a pretrained arm the seed is that of head and data order; of a random arm also of its weights. So the row
    `weights` of a random arm, the difference of the two variances of seeds, is that of the weights alone; as the
    difference of two estimates it may be negative. It has no share.
    """
    rows = []
    for selection, scored in arms.items():
        seeds: dict[Name, float] = {}
        for arm, runs in scored.items():
            folds = [run.fold for run in bench.runs(arm, selection)]
            drawn = runs.replicates[:, np.isfinite(runs.replicates).all(axis=0)]
            noise = float(drawn.std(axis=1, ddof=1).mean()) if drawn.shape[1] > 1 else np.nan
            shared = bench.identity(arm) | {"metric": metric, "selection": selection}
            found = variance_components(runs.points, runs.seeds, folds, noise)
            rows += [shared | {"component": name} | part._asdict() for name, part in found.items()]
            seeds[arm] = found["seed"].variance
        for model, init in scored:
            if init == "random" and (model, "pretrained") in seeds:
                extra = seeds[model, init] - seeds[model, "pretrained"]
                if np.isnan(extra):
                    continue
                shared = bench.identity((model, init)) | {"metric": metric, "selection": selection}
                rows.append(shared | {"component": "weights", "variance": extra, "sd": np.sqrt(max(extra, 0.0))})
    return pd.DataFrame(rows, columns=COMPONENTS)


def _runs(bench: Bench, arms: Arms, metric: str) -> pd.DataFrame:
    """The test score of every run that a selection chose."""
    rows = [
        bench.identity(arm)
        | {"selection": selection, "metric": metric, "seed": run.seed, "fold": run.fold, "value": value}
        for selection, scored in arms.items()
        for arm, runs in scored.items()
        for run, value in zip(bench.runs(arm, selection), runs.points, strict=True)
    ]
    return pd.DataFrame(rows, columns=RUNS)


def _roc(bench: Bench, metric: str) -> pd.DataFrame:
    """ROC curves of likelihood ratios at `ROC_GRID`, mean over seeds, with a 95 % bootstrap band over the test items.

    The second class counts as positive, and a score is taken as it predicts (-LLR: higher is more pathogenic).
    """
    if metric != "auroc" or len(bench.classes) != 2 or bench.jobs[0].record["analysis"] != "likelihood":
        return pd.DataFrame(columns=ROC)
    rows = []
    for selection in SELECTED_BY:
        for arm in bench.order:
            runs = bench.runs(arm, selection)
            names, strata = stratify(runs)
            owner = np.searchsorted(names, runs[0].groups)
            resamples = min(bench.resamples, ROC_RESAMPLES)
            drawn = resample_weights(strata, resamples, np.random.default_rng(bench.seed))
            weights = np.concatenate([np.ones((1, len(owner))), drawn[:, owner]])
            curves = np.mean([roc(run, bench.classes[1], weights) for run in runs], axis=0)
            low, high = np.nanquantile(curves[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
            shared = bench.identity(arm) | {"selection": selection}
            points = zip(ROC_GRID, curves[0], low, high, strict=True)
            rows += [shared | dict(zip(("fpr", "tpr", "low", "high"), point, strict=True)) for point in points]
    return pd.DataFrame(rows, columns=ROC)


def roc(run: Run, positive: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """True positive rates at `ROC_GRID` under weights of items: [resamples, grid]; equal scores share a threshold.

    NaN for a resample without items of either kind.
    """
    assert run.probabilities is not None
    score, target = run.probabilities[:, 1], run.labels == positive
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    weight = weights[:, order]
    hits, misses = (np.cumsum(weight * kind, axis=1)[:, ends] for kind in (target[order], ~target[order]))
    curves = np.full((len(weights), len(ROC_GRID)), np.nan)
    for row, (hit, miss) in enumerate(zip(hits, misses, strict=True)):
        if hit[-1] and miss[-1]:
            curves[row] = np.interp(ROC_GRID, np.r_[0.0, miss / miss[-1]], np.r_[0.0, hit / hit[-1]])
    return curves


def _confusion(bench: Bench) -> pd.DataFrame:
    """Actual against predicted classes, summed over the seeds and folds that validation chose."""
    if bench.jobs[0].record["analysis"] not in CONFUSED or len(bench.classes) not in CONFUSED_CLASSES:
        return pd.DataFrame(columns=CONFUSION)
    rows = []
    for arm in bench.order:
        counts = np.zeros((len(bench.classes), len(bench.classes)), dtype=np.int64)
        for run in bench.runs(arm, "validation"):
            if run.predicted is not None:
                cells = confusion(run.labels, run.predicted, bench.classes)
                counts += np.bincount(cells, minlength=counts.size).reshape(counts.shape)
        shared = bench.identity(arm) | {"selection": "validation"}
        rows += [
            shared | {"actual": bench.classes[one], "predicted": bench.classes[other], "count": int(number)}
            for (one, other), number in np.ndenumerate(counts)
        ]
    return pd.DataFrame(rows, columns=CONFUSION)
