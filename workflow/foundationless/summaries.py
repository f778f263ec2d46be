"""From the records and predictions of all arms of one task to its scores, comparisons and effects.

*Scores* has one row per model, arm and protocol, *comparisons* one per paired difference and protocol. *Effects* is
what else the same jobs tell, one kind of row per value of the column `effect`: `optimism` (the study's choice of runs,
by test score, against ours, by validation), `leakage` (all test rows against those without a near duplicate in an
earlier split), `calibration` (bins of the reliability curve), `selection` (what was tried, by which values, and
chosen) and `setting` (of an arm).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.metrics import (
    BINS,
    CALIBRATION,
    COUNT_METRICS,
    HIGHER_IS_BETTER,
    RANK_METRICS,
    calibration,
    reliability,
)
from foundationless.plan import DERIVED
from foundationless.records import flat_cost, flatten, flatten_selections
from foundationless.statistics import (
    Arm,
    Estimate,
    Run,
    compare_arms,
    compare_paired,
    interval,
    join,
    score_runs,
    subtract,
)

# Analyses whose records are the result: nothing is predicted, or what is predicted has no label.
UNPAIRED = ("sensitivity", "similarity", "mutagenesis", "clustering", "pretrain")
PROTOCOLS = {"corrected": "selected", "paper": "selected_paper"}  # and the column that marks their runs
SAME_WEIGHTS = ("reading", "copy")  # comparisons whose arms share weights and seeds
KEYS = ["analysis", "task", "model", "init"]
IDENTITY = [*KEYS, "metric", "protocol"]
SCORES = [
    *IDENTITY, "value", "low", "high", "sd", "seeds", "folds", "runs", "n_test", "groups", "parameters", "seconds",
]  # fmt: skip
COMPARISONS = [
    "analysis", "task", "model", "init", "versus", "reference", "metric", "protocol", "delta", "low", "high", "p",
    "verdict", "margin", "n_test", "groups", "seeds", "reference_seeds", "folds", "resamples",
]  # fmt: skip
OPTIMISM = [
    *KEYS, "versus", "metric", "value_paper", "value_corrected", "delta", "low", "high", "p", "n_test", "seeds",
]  # fmt: skip
LEAKAGE = [
    *IDENTITY, "value_all", "value_distant", "value_near", "n_all", "n_distant", "n_near", "delta", "low", "high",
]  # fmt: skip
RELIABILITY = [*KEYS, "protocol", "bin", "edge", "count", "confidence", "accuracy"]

# Resampling a handful of groups (two test contigs, three genes) measures nothing: below this, items are resampled one
# by one, and the column `groups` equals `n_test`.
FEWEST_GROUPS = 20
LONGEST_SETTING = 200  # characters


@dataclass(frozen=True)
class Summary:
    """Tables of one task, and notes: one sentence per hole."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    effects: pd.DataFrame
    notes: list[str]


@dataclass(frozen=True)
class _Job:
    """One record with the runs that some protocol chose (by name), and the names that each protocol chose."""

    record: Mapping[str, Any]
    runs: dict[str, Run]
    chosen: dict[str, list[str]]

    @property
    def arm(self) -> tuple[str, str]:
        return self.record["model"], self.record["init"]


@dataclass(frozen=True)
class _Bench:
    """All jobs of a task, with what their runs are scored under."""

    jobs: list[_Job]
    classes: list[str]
    resamples: int
    seed: int

    @property
    def order(self) -> list[tuple[str, str]]:
        """Arms in the order of their first jobs."""
        return list(dict.fromkeys(job.arm for job in self.jobs))

    def of(self, arm: tuple[str, str]) -> list[_Job]:
        return [job for job in self.jobs if job.arm == arm]

    def runs(self, arm: tuple[str, str], protocol: str) -> list[Run]:
        return [job.runs[name] for job in self.of(arm) for name in job.chosen[protocol]]

    def score(
        self, metric: str, resamples: int, rows: Mapping[str, NDArray[np.bool_]] | None = None
    ) -> dict[str, dict[tuple[str, str], Arm]]:
        """Protocol -> arm -> its runs under the same resamples, on the items that `rows` (job and run: mask) keeps.

        A run that both protocols chose is scored once.
        """
        names = [(place, name) for place, job in enumerate(self.jobs) for name in job.runs]
        runs = [self.jobs[place].runs[name] for place, name in names]
        groups = sorted({str(group) for run in runs for group in run.groups})  # of all items: the same draws for some
        if rows is not None:
            runs = [run.subset(rows[name]) for run, (_, name) in zip(runs, names, strict=True)]
        scored = dict(zip(names, score_runs(runs, metric, self.classes, resamples, self.seed, groups), strict=True))
        return {
            protocol: {
                arm: join(
                    [
                        scored[place, name]
                        for place, job in enumerate(self.jobs)
                        if job.arm == arm
                        for name in job.chosen[protocol]
                    ]
                )
                for arm in self.order
            }
            for protocol in PROTOCOLS
        }


def summarise(
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pd.DataFrame],
    *,
    metric: str,
    resamples: int,
    margin: float,
    seed: int,
    baselines: Sequence[str] = (),
    audit: pd.DataFrame | None = None,
) -> Summary:
    """Scores, comparisons, effects and notes of all arms of one task, under both protocols.

    `predictions` run parallel to `records`; `baselines` names models that count as baselines beside those whose `init`
    is baseline; `audit` has `id` and `near` of every row (see `audit_task`). Comparisons of a pretrained arm: with its
    own random arm (`versus` random), with the best baseline (baseline), with the best random arm of any model
    (best_random, the study's Figure 7; chosen on the test set, so it favours the reference), and with the control arms
    of its own weights (embedding, permuted, copy); of any other arm: with the best baseline. An arm of `X.paper`,
    weights as the study read them, is compared with that of `X` (reading), seed by seed. A baseline is chosen by
    validation where its records say so, else by test. Raises `UserError` if two jobs predict different test items.
    """
    jobs = [_job(record, frame) for record, frame in zip(records, predictions, strict=True)]
    notes = [f"no predictions were selected in {_name(job.record)}" for job in jobs if not job.runs]
    jobs = [job for job in jobs if job.runs]
    selections = _effects(selection=flatten_selections(records))
    if not jobs:
        empty = pd.DataFrame(columns=SCORES), pd.DataFrame(columns=COMPARISONS)
        return Summary(*empty, selections, [*notes, "no arm has predictions"])
    _check_same_items(jobs)
    jobs, hole = _keep_scored(jobs)
    notes += hole
    classes, hole = _classes(jobs)
    notes += hole
    bench = _Bench(jobs, classes, resamples, seed)
    arms = bench.score(metric, resamples)
    points = {
        name: bench.score(name, 0)
        for name in (*COUNT_METRICS, *RANK_METRICS)
        if name != metric and _serves(jobs, classes, name)
    } | {metric: arms}
    scores, comparisons, estimates = [], [], {}
    for protocol, scored in arms.items():
        values = {name: found[protocol] for name, found in points.items()}
        scores += [_score_row(bench, arm, scored, values, metric, protocol) for arm in scored]
        for model, init, versus, reference in _pairs(jobs, scored, metric, protocol, baselines):
            compare = compare_paired if versus in SAME_WEIGHTS else compare_arms
            estimate = compare(scored[model, init], scored[reference], seed)
            estimates[protocol, model, init, versus] = estimate
            comparisons.append(
                _identity(bench, (model, init))
                | {"versus": versus, "reference": reference[0], "metric": metric, "protocol": protocol}
                | {"delta": estimate.value, "low": estimate.low, "high": estimate.high, "p": estimate.p}
                | {"verdict": estimate.verdict(margin), "margin": margin, "resamples": resamples}
                | _sizes(bench.runs((model, init), protocol))
                | {"reference_seeds": len(np.unique(scored[reference].seeds))}
            )
    notes += [
        f"{model} has no {other} arm, so nothing is paired with its {init} arm"
        for model, init in bench.order
        if init in (pair := ("pretrained", "random"))
        and model not in baselines
        and (model, other := pair[pair.index(init) - 1]) not in bench.order
    ]
    leakage, hole = _leakage(bench, arms, metric, audit)
    effects = _effects(
        optimism=_optimism(bench, arms, estimates, metric),
        oracle=_oracle(bench, estimates, metric),
        leakage=leakage,
        calibration=_reliability(bench),
        selection=flatten_selections(records),
        setting=_settings(records),
    )
    return Summary(pd.DataFrame(scores), pd.DataFrame(comparisons, columns=COMPARISONS), effects, [*notes, *hole])


def _effects(**kinds: pd.DataFrame) -> pd.DataFrame:
    """Tables of effects below each other, the name of each in the column `effect`."""
    found = [frame.assign(effect=kind) for kind, frame in kinds.items() if len(frame)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*KEYS, "effect"])


def _settings(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per setting and arm, of the arm's first seed; values as JSON, what is long left to the record."""
    rows = []
    for record in {(record["model"], record["init"]): record for record in reversed(records)}.values():
        for name, value in record.get("settings", {}).items():
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text) <= LONGEST_SETTING:
                rows.append({key: record[key] for key in KEYS} | {"setting": name, "text": text})
    return pd.DataFrame(rows)


def _job(record: Mapping[str, Any], frame: pd.DataFrame) -> _Job:
    """The runs of a job that some protocol chose, one per fold and protocol, items in the order of their ids."""
    frame = frame[frame["label"].notna()]
    runs: dict[str, Run] = {}
    chosen: dict[str, list[str]] = {}
    for protocol, column in PROTOCOLS.items():
        chosen[protocol] = []
        for fold, rows in frame[frame[column].astype(bool)].groupby("fold", sort=True):
            if rows["id"].duplicated().any():
                raise UserError(
                    f"{_name(record)}: item '{rows['id'][rows['id'].duplicated()].iloc[0]}' is predicted twice in fold "
                    f"{fold}; one run per fold may be selected."
                )
            name = f"{fold} {rows['run'].iloc[0]}"
            chosen[protocol].append(name)
            runs.setdefault(name, _run(record, int(str(fold)), rows))
    return _Job(record, runs, chosen)


def _run(record: Mapping[str, Any], fold: int, rows: pd.DataFrame) -> Run:
    rows = rows.sort_values("id", kind="stable")
    probabilities = predicted = None
    if "score" in rows:
        score = rows["score"].to_numpy(dtype=np.float64)
        probabilities = np.column_stack([-score, score])
    else:
        predicted = rows["predicted"].astype(str).to_numpy(dtype=str)
        probabilities = np.stack(rows["probabilities"].to_list()).astype(np.float64)
    ids = rows["id"].astype(str).to_numpy(dtype=str)
    groups = rows["group"].where(rows["group"].notna(), rows["id"]).astype(str).to_numpy(dtype=str)
    if len(np.unique(groups)) < FEWEST_GROUPS:
        groups = ids
    labels = rows["label"].astype(str).to_numpy(dtype=str)
    return Run(int(record["seed"]), fold, labels, groups, predicted, probabilities, ids)


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['analysis']}/{record['task']}/{record['model']}/{record['init']}/seed{record['seed']}"


def _check_same_items(jobs: Sequence[_Job]) -> None:
    """Pairs need the same test items in every run of a fold."""
    first: dict[int, tuple[_Job, Run]] = {}
    for job in jobs:
        for run in job.runs.values():
            other, reference = first.setdefault(run.fold, (job, run))
            if not (np.array_equal(run.labels, reference.labels) and np.array_equal(run.groups, reference.groups)):
                raise UserError(
                    f"{_name(job.record)} and {_name(other.record)} predict different test items in fold {run.fold}; "
                    "they come from different versions of the task: run the older one again."
                )


def _keep_scored(jobs: Sequence[_Job]) -> tuple[list[_Job], list[str]]:
    """Only items that every run gave a finite score (an allele may lie beyond a model's input), and a note if any."""
    lost: dict[int, NDArray[np.bool_]] = {}
    for run in (run for job in jobs for run in job.runs.values()):
        if run.probabilities is not None:
            broken = np.isnan(run.probabilities).any(axis=1)
            lost[run.fold] = np.atleast_1d(lost.get(run.fold, False) | broken)
    if not (count := int(max((broken.sum() for broken in lost.values()), default=0))):
        return list(jobs), []
    if any(broken.all() for broken in lost.values()):
        raise UserError(f"{_name(jobs[0].record)}: no test item has a score in every arm; run the broken arm again.")

    def keep(run: Run) -> Run:
        return run.subset(~lost.get(run.fold, np.zeros(len(run.labels), dtype=bool)))

    kept = [_Job(job.record, {name: keep(run) for name, run in job.runs.items()}, job.chosen) for job in jobs]
    return kept, [f"{count} test items lack a score in some arm and are left out of all"]


def _classes(jobs: Sequence[_Job]) -> tuple[list[str], list[str]]:
    """Sorted classes among labels and predictions, and a note if the probabilities know others."""
    named = [
        values
        for job in jobs
        for run in job.runs.values()
        for values in (run.labels, run.predicted)
        if values is not None
    ]
    classes = sorted(set(np.concatenate(named).tolist()))
    widths = {run.probabilities.shape[1] for job in jobs for run in job.runs.values() if run.probabilities is not None}
    if widths == {len(classes)}:
        return classes, []
    return classes, [f"probabilities of {sorted(widths)} classes against {len(classes)} seen in the test set: no AUROC"]


def _serves(jobs: Sequence[_Job], classes: Sequence[str], metric: str) -> bool:
    """Whether every run can be scored by `metric`."""
    runs = [run for job in jobs for run in job.runs.values()]
    if metric in COUNT_METRICS:
        return all(run.predicted is not None for run in runs)
    return all(run.probabilities is not None and run.probabilities.shape[1] == len(classes) for run in runs)


def _identity(bench: _Bench, arm: tuple[str, str]) -> dict[str, Any]:
    return {key: bench.of(arm)[0].record[key] for key in KEYS}


def _sizes(runs: Sequence[Run]) -> dict[str, int]:
    """Seeds, folds, runs, test items and groups of the runs of one arm."""
    return {
        "seeds": len({run.seed for run in runs}),
        "folds": len({run.fold for run in runs}),
        "runs": len(runs),
        "n_test": len(runs[0].labels),
        "groups": len(np.unique(runs[0].groups)),
    }


def _score_row(
    bench: _Bench,
    arm: tuple[str, str],
    arms: Mapping[tuple[str, str], Arm],
    points: Mapping[str, Mapping[tuple[str, str], Arm]],
    metric: str,
    protocol: str,
) -> dict[str, Any]:
    mine = bench.of(arm)
    estimate, by_seed = interval(arms[arm], bench.seed), arms[arm].by_seed()
    return (
        _identity(bench, arm)
        | {"metric": metric, "protocol": protocol}
        | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        | {"sd": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan}
        | _sizes(bench.runs(arm, protocol))
        | {"parameters": mine[0].record["parameters"], "seconds": sum(job.record["cost"]["seconds"] for job in mine)}
        | {name: scored[arm].value for name, scored in points.items()}
        | _calibration(bench, arm, protocol)
    )


def _calibration(bench: _Bench, arm: tuple[str, str], protocol: str) -> dict[str, float]:
    """ECE and Brier score of an arm, averaged as its other metrics are; nothing for scores of variants."""
    runs = _probable(bench, arm, protocol)
    found = [calibration(run.labels, probabilities, bench.classes) for run, probabilities in runs]
    seeds = np.array([run.seed for run, _ in runs])
    return (
        {}
        if not runs
        else {
            name: float(
                np.mean([np.mean([found[i][name] for i in np.flatnonzero(seeds == seed)]) for seed in set(seeds)])
            )
            for name in CALIBRATION
        }
    )


def _probable(bench: _Bench, arm: tuple[str, str], protocol: str) -> list[tuple[Run, NDArray[np.float64]]]:
    """Runs of an arm with their class probabilities; none where some run has scores instead, or unknown classes."""
    runs = bench.runs(arm, protocol)
    found = [(run, run.probabilities) for run in runs if run.predicted is not None and run.probabilities is not None]
    return found if all(part.shape[1] == len(bench.classes) for _, part in found) and len(found) == len(runs) else []


def _reliability(bench: _Bench) -> pd.DataFrame:
    """Bins of the reliability curve of every arm (runs chosen by validation, pooled); empty bins have no row."""
    rows = []
    for arm in bench.order:
        runs = _probable(bench, arm, "corrected")
        parts = [reliability(run.labels, probabilities, bench.classes) for run, probabilities in runs]
        for place, (count, confidence, right) in enumerate(np.sum(parts, axis=0) if parts else ()):
            if count:
                found = {"protocol": "corrected", "bin": place, "edge": (place + 1) / BINS, "count": int(count)}
                rows.append(
                    _identity(bench, arm) | found | {"confidence": confidence / count, "accuracy": right / count}
                )
    return pd.DataFrame(rows, columns=RELIABILITY)


def _optimism(
    bench: _Bench,
    arms: Mapping[str, Mapping[tuple[str, str], Arm]],
    estimates: Mapping[tuple[str, str, str, str], Estimate],
    metric: str,
) -> pd.DataFrame:
    """What choosing runs on the test set adds: to every arm, and to its differences with random arms (`versus`)."""
    rows = []
    for arm in bench.order:
        paper, ours = (arms[protocol][arm] for protocol in ("paper", "corrected"))
        found: list[tuple[str | None, float, float, Estimate]] = [
            (None, paper.value, ours.value, compare_paired(paper, ours, bench.seed))
        ]
        for versus in ("random", "best_random"):
            pair = [estimates.get((protocol, *arm, versus)) for protocol in ("paper", "corrected")]
            if pair[0] is not None and pair[1] is not None:
                found.append((versus, pair[0].value, pair[1].value, subtract(pair[0], pair[1])))
        sizes = _sizes(bench.runs(arm, "corrected"))
        for reference, with_test, without, change in found:
            rows.append(
                _identity(bench, arm)
                | {"versus": reference, "metric": metric, "value_paper": with_test, "value_corrected": without}
                | {"delta": change.value, "low": change.low, "high": change.high, "p": change.p}
                | {"n_test": sizes["n_test"], "seeds": sizes["seeds"]}
            )
    return pd.DataFrame(rows, columns=OPTIMISM)


def _oracle(bench: _Bench, estimates: Mapping[tuple[str, str, str, str], Estimate], metric: str) -> pd.DataFrame:
    """Differences with the best random arm of any model and with the model's own, runs chosen by validation."""
    rows = []
    for arm in bench.order:
        best, own = (estimates.get(("corrected", *arm, versus)) for versus in ("best_random", "random"))
        if best is None or own is None:
            continue
        change = subtract(best, own)
        rows.append(
            _identity(bench, arm)
            | {"metric": metric, "protocol": "corrected", "value_best_random": best.value, "value_random": own.value}
            | {"delta": change.value, "low": change.low, "high": change.high, "p": change.p}
            | {"n_test": _sizes(bench.runs(arm, "corrected"))["n_test"]}
        )
    return pd.DataFrame(rows)


def _leakage(
    bench: _Bench,
    arms: Mapping[str, Mapping[tuple[str, str], Arm]],
    metric: str,
    audit: pd.DataFrame | None,
) -> tuple[pd.DataFrame, list[str]]:
    """Scores on all test rows, on those without a near duplicate in train or validation, and on the near ones."""
    empty = pd.DataFrame(columns=LEAKAGE)
    if audit is None:
        return empty, []
    near = audit.set_index("id")["near"].astype(bool)
    near = near.groupby(near.index.astype(str)).any()
    ids = {name: np.asarray(run.ids) for job in bench.jobs for name, run in job.runs.items()}
    if not all(np.isin(items, near.index).all() for items in ids.values()):
        return empty, ["the audit does not know all test items (they join rows of the set), so no leakage is scored"]
    # Names of runs differ between jobs, but the items of a fold are the same in all (checked before).
    masks = {name: near.reindex(items).to_numpy(dtype=bool) for name, items in ids.items()}
    count, total = int(next(iter(masks.values())).sum()), len(next(iter(masks.values())))
    distant, close = arms, None
    if 0 < count < total:
        distant = bench.score(metric, bench.resamples, {name: ~mask for name, mask in masks.items()})
        close = bench.score(metric, 0, masks)
    rows = []
    for protocol, scored in arms.items():
        for arm, whole in scored.items():
            found = dict.fromkeys(("value_distant", "delta", "low", "high"), np.nan)
            if count < total:
                change = compare_paired(whole, distant[protocol][arm], bench.seed)
                found = {"value_distant": distant[protocol][arm].value, "delta": change.value}
                found |= {"low": change.low, "high": change.high}
            value_near = close[protocol][arm].value if close else whole.value if count else np.nan
            rows.append(
                _identity(bench, arm)
                | {"metric": metric, "protocol": protocol, "value_all": whole.value, "value_near": value_near}
                | {"n_all": total, "n_distant": total - count, "n_near": count}
                | found
            )
    return pd.DataFrame(rows, columns=LEAKAGE), []


def _pairs(
    jobs: Sequence[_Job], arms: Mapping[tuple[str, str], Arm], metric: str, protocol: str, baselines: Sequence[str]
) -> list[tuple[str, str, str, tuple[str, str]]]:
    """(model, init, versus, reference arm) of every comparison that the arms allow."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    cheap = [arm for arm in arms if arm[1] == "baseline" or arm[0] in baselines]
    random = [arm for arm in arms if arm[1] == "random" and arm not in cheap]
    chosen = {arm: sign * _choosing_value(jobs, arm, arms, metric, protocol) for arm in cheap}
    best_baseline = max(cheap, key=chosen.__getitem__, default=None)
    pairs = []
    for model, init in arms:
        if (model, init) in cheap:
            continue
        if init == "pretrained" and (model, "random") in arms:
            pairs.append((model, init, "random", (model, "random")))
        if init == "pretrained":
            pairs += [(model, init, arm, (model, arm)) for arm in DERIVED if (model, arm) in arms]
            # What the study misread is no rival of what is read rightly.
            rivals = [arm for arm in random if is_reading(model) or not is_reading(arm[0])]
            if rivals:
                best = max(rivals, key=lambda arm: sign * arms[arm].value)
                pairs.append((model, init, "best_random", best))
        if best_baseline:
            pairs.append((model, init, "baseline", best_baseline))
        if is_reading(model) and (mended := (without_reading(model), init)) in arms:
            pairs.append((model, init, "reading", mended))
    return pairs


def is_reading(model: str) -> bool:
    """Whether a model's weights are read as the study read them (`caduceus.paper`)."""
    return "paper" in model.split(".")[1:]


def without_reading(model: str) -> str:
    """The same weights, read as published: `caduceus.w64` of `caduceus.paper.w64`."""
    return ".".join(part for place, part in enumerate(model.split(".")) if part != "paper" or not place)


def _choosing_value(
    jobs: Sequence[_Job], arm: tuple[str, str], arms: Mapping[tuple[str, str], Arm], metric: str, protocol: str
) -> float:
    """Mean validation value of an arm's selected runs, or its test value where no validation value is recorded."""
    values = [
        result["value"]
        for job in jobs
        if job.arm == arm
        for result in job.record["results"]
        if result["split"] == "validation" and result["metric"] == metric and result["extra"].get("selected", True)
    ]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and protocol == "corrected" else arms[arm].value


def summarise_unpaired(records: Sequence[Mapping[str, Any]]) -> Summary:
    """Scores (`average_records`) and selections of an analysis without predictions."""
    effects = _effects(selection=flatten_selections(records))
    return Summary(average_records(records), pd.DataFrame(columns=COMPARISONS), effects, [])


def average_records(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Scores of an analysis without predictions: the results of its records, averaged over seeds.

    One row per model, arm, metric and value of every `extra` (pooling, mutations, gene, label, ...); `low` and `high`
    are means of the seeds' own, `sd` is over seeds, `n` sums.
    """
    records = list(records)
    frame = flatten(records)
    if frame.empty:
        return pd.DataFrame(columns=SCORES)
    measured = ["value", "low", "high", "sd", "n"]
    cost = {"seed", "parameters", *(key for record in records for key in flat_cost(record))}
    keys = [
        column
        for column in frame.columns
        if column not in cost and column not in measured and not column.startswith("version_")
        and frame[column].notna().any()
    ]  # fmt: skip
    frame = frame.assign(**{name: np.nan for name in ("low", "high", "sd") if name not in frame})
    grouped = frame.groupby(keys, dropna=False, sort=False)
    averaged = grouped.agg(
        value=("value", "mean"), low=("low", "mean"), high=("high", "mean"), sd=("value", "std"),
        seeds=("seed", "nunique"), n=("n", "sum"), parameters=("parameters", "first"), seconds=("seconds", "sum"),
    )  # fmt: skip
    return averaged.reset_index()


def read_predictions(path: Path) -> pd.DataFrame:
    """Per-sample predictions of one job; a file that is none is a `UserError`."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run its job again.")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a predictions file ({error}); run its job again.") from None
    needed = {"id", "group", "label", "run", "fold", "selected", "selected_paper"}
    needed |= set() if "score" in frame else {"predicted", "probabilities"}
    if missing := needed - set(frame.columns):
        raise UserError(f"{path}: predictions lack the column(s) {', '.join(sorted(missing))}; run its job again.")
    types = pd.api.types
    broken = [name for name in ("selected", "selected_paper") if len(frame) and not types.is_bool_dtype(frame[name])]
    broken += [] if types.is_integer_dtype(frame["fold"]) or not len(frame) else ["fold"]
    if "score" in frame:
        broken += [] if types.is_numeric_dtype(frame["score"]) or frame["score"].isna().all() else ["score"]
    else:
        shapes = {np.shape(row) for row in frame["probabilities"]}
        plain = all(np.asarray(row).dtype.kind == "f" for row in frame["probabilities"])
        broken += [] if plain and len(shapes) <= 1 and () not in shapes else ["probabilities"]
    if broken or frame["id"].isna().any():
        raise UserError(f"{path}: the column {(broken or ['id'])[0]} of the predictions is broken; run its job again.")
    return frame


def read_audit(path: Path) -> pd.DataFrame:
    """Rows of `audit_task`; a file that is none is a `UserError`."""
    try:
        return pd.read_parquet(path, columns=["id", "near"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not an audit ({' '.join(str(error).split())[:120]}); run audit_task again.") from None
