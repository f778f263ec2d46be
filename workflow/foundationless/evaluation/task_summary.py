"""From the records and predictions of all arms of one task to its scores, comparisons, effects and holes.

*Scores* has one row per model, arm and selection, *comparisons* one per paired difference and selection; *effects* is
what else the same jobs tell (`effects`), *holes* what is missing, with a sentence each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from foundationless.evaluation.bootstrap import Arm, Run, compare_arms, compare_paired, interval
from foundationless.evaluation.diagnostics import calibrations, find_effects, join_effects
from foundationless.evaluation.metrics import COUNT_METRICS, HIGHER_IS_BETTER, RANK_METRICS
from foundationless.evaluation.paired_tests import combine_dependent, delong, mcnemar, nadeau_bengio
from foundationless.evaluation.records import flat_cost, flatten, flatten_selections
from foundationless.evaluation.task_results import (
    IDENTITY,
    Bench,
    Items,
    Job,
    Name,
    check_same_items,
    count_groups,
    find_classes,
    find_few_groups,
    hole,
    keep_scored,
    read_job,
    serves,
    sizes,
)
from foundationless.study.names import is_reading, without_reading
from foundationless.study.vocabulary import CONTROL_ARMS

SAME_WEIGHTS = ("reading", "copy")  # comparisons whose arms share weights and seeds
SCORES = [
    *IDENTITY, "value", "low", "high", "sd", "seeds", "folds", "runs", "n_test", "groups", "parameters", "seconds",
]  # fmt: skip
COMPARISONS = [
    "analysis", "task", "model", "init", "versus", "reference", "metric", "selection", "delta", "low", "high", "p",
    "verdict", "margin", "n_test", "groups", "seeds", "reference_seeds", "folds", "resamples",
    "se", "mde", "test", "p_test", "nb_low", "nb_high", "nb_p",
]  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Tables of one task: one row per score, comparison, effect, hole (`HOLES`) and recorded number."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    effects: pd.DataFrame
    holes: list[dict[str, Any]]
    records: pd.DataFrame = field(default_factory=pd.DataFrame)


def summarise(
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pa.Table | None],
    *,
    metric: str,
    resamples: int,
    margin: float,
    seed: int,
    baselines: Sequence[str] = (),
    design: Sequence[Name] = (),
    audit: pd.DataFrame | None = None,
) -> Summary:
    """Scores, comparisons, effects and holes of all arms of one task, under both selections.

    `predictions` run parallel to `records` (None: there are none, and the job is left out); `baselines` names models
    that count as baselines beside those whose `init` is baseline; `design` names the arms there should be: the best of
    fewer is another reference, so without all of them nothing is compared with the best; `audit` has `id` and `near` of
    every row (see `audit_task`). Comparisons of a pretrained arm: with its own random arm (`versus` random), with the
    best baseline (baseline), with the best random arm of any model (best_random, the study's Figure 7; chosen on the
    test set, so it favours the reference), and with the control arms of its own weights (embedding, permuted, copy); of
    any other arm: with the best baseline. An arm of `X.paper`, weights as the study read them, is compared with that of
    `X` (reading), seed by seed. A baseline is chosen by validation among those whose records say it, else by test.
    Raises `UserError` if two jobs predict different test items.
    """
    items = Items()
    jobs = [
        read_job(record, frame, items) for record, frame in zip(records, predictions, strict=True) if frame is not None
    ]
    holes = [hole(job.record, "predictions", "no predictions were selected") for job in jobs if not job.runs]
    jobs = [job for job in jobs if job.runs]
    flat = flatten(records)
    if not jobs:
        empty = pd.DataFrame(columns=SCORES), pd.DataFrame(columns=COMPARISONS)
        task = {key: records[0][key] for key in ("analysis", "task")} if records else {}
        holes += [hole(task, "arm", "no arm has predictions")] if records else []
        return Summary(*empty, join_effects(selection=flatten_selections(records)), holes, flat)
    check_same_items(jobs)
    jobs, found = keep_scored(jobs)
    classes, odd = find_classes(jobs)
    holes += found + odd + find_few_groups(predictions, {key: records[0][key] for key in ("analysis", "task")})
    bench = Bench(jobs, classes, resamples, seed)
    arms = bench.score(metric, resamples)
    points = {
        name: bench.score(name, 0)
        for name in (*COUNT_METRICS, *RANK_METRICS)
        if name != metric and serves(jobs, classes, name)
    } | {metric: arms}
    absent = [arm for arm in design if arm not in arms[next(iter(arms))]]
    scores, comparisons, estimates = [], [], {}
    for selection, scored in arms.items():
        values = {name: found[selection] for name, found in points.items()}
        scores += [_score_row(bench, arm, scored, values, metric, selection) for arm in scored]
        for model, init, versus, reference in _pairs(jobs, scored, metric, selection, baselines, absent):
            compare = compare_paired if versus in SAME_WEIGHTS else compare_arms
            mine, theirs = bench.runs((model, init), selection), bench.runs(reference, selection)
            first, second = scored[model, init], scored[reference]
            if versus != "baseline":
                (first, mine), (second, theirs), note = _on_common_folds(first, mine, second, theirs)
                holes += (
                    [hole(bench.identity((model, init)), "folds", note)] if note and selection == "validation" else []
                )
                if not mine:
                    continue
            estimate = compare(first, second, seed)
            estimates[selection, model, init, versus] = estimate
            comparisons.append(
                bench.identity((model, init))
                | {"versus": versus, "reference": reference[0], "metric": metric, "selection": selection}
                | {"delta": estimate.value, "low": estimate.low, "high": estimate.high, "p": estimate.p}
                | {"verdict": estimate.verdict(margin), "margin": margin, "resamples": resamples}
                | sizes(mine)
                | {"reference_seeds": len(np.unique(scored[reference].seeds))}
                | {"se": estimate.se, "mde": estimate.mde}
                | _tests(mine, theirs, metric, classes)
                | _over_folds(bench, mine, theirs, first.points, second.points)
            )
    holes += _unpaired(bench, baselines) + _unreferenced(bench, absent, baselines)
    effects, found = find_effects(bench, records, arms, estimates, metric, audit)
    holes += found
    return Summary(pd.DataFrame(scores), pd.DataFrame(comparisons, columns=COMPARISONS), effects, holes, flat)


def _unpaired(bench: Bench, baselines: Sequence[str]) -> list[dict[str, Any]]:
    """Holes: arms of which the other, pretrained or random, is missing."""
    pair = ("pretrained", "random")
    return [
        hole(
            bench.identity((model, init)) | {"init": other},
            "arm",
            f"{model} has no {other} arm, so nothing is paired with its {init} arm",
        )
        for model, init in bench.order
        if init in pair and model not in baselines and (model, other := pair[pair.index(init) - 1]) not in bench.order
    ]


def _score_row(
    bench: Bench,
    arm: Name,
    arms: Mapping[Name, Arm],
    points: Mapping[str, Mapping[Name, Arm]],
    metric: str,
    selection: str,
) -> dict[str, Any]:
    mine = bench.of(arm)
    estimate, by_seed = interval(arms[arm], bench.seed), arms[arm].by_seed()
    return (
        bench.identity(arm)
        | {"metric": metric, "selection": selection}
        | {"value": estimate.value, "low": max(estimate.low, -1.0 if metric == "mcc" else 0.0), "high": estimate.high}
        | {"sd": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan}
        | sizes(bench.runs(arm, selection))
        | {"parameters": mine[0].record["parameters"], "seconds": sum(job.record["cost"]["seconds"] for job in mine)}
        | {name: scored[arm].value for name, scored in points.items()}
        | calibrations(bench, arm, selection)
    )


def _matched(mine: Sequence[Run], theirs: Sequence[Run]) -> list[tuple[int, int]]:
    """Places of runs of the same seed and fold; an arm of one seed (one checkpoint) stands beside every seed."""
    single = len({run.seed for run in mine}) == 1 or len({run.seed for run in theirs}) == 1
    return [
        (first, second)
        for first, one in enumerate(mine)
        for second, other in enumerate(theirs)
        if one.fold == other.fold and (single or one.seed == other.seed)
    ]


def _tests(mine: Sequence[Run], theirs: Sequence[Run], metric: str, classes: Sequence[str]) -> dict[str, Any]:
    """A classical test of the paired predictions: McNemar's of classes, DeLong's of AUROC, else none.

    Both take test items as independent, so there is none where groups of them are drawn together. Runs of the same seed
    and fold are tested, and their p values combined (`combine_dependent`): noise of items alone, not of seeds.
    """
    found = {"test": "", "p_test": np.nan}
    pairs = [(mine[first], theirs[second]) for first, second in _matched(mine, theirs)]
    if not pairs or not all(count_groups(run) == len(run.labels) for run in (mine[0], theirs[0])):
        return found
    if metric in COUNT_METRICS:
        ps = [mcnemar(one.labels, np.asarray(one.predicted), np.asarray(other.predicted)) for one, other in pairs]
        return {"test": "mcnemar", "p_test": combine_dependent(ps)}
    if metric == "auroc" and len(classes) == 2:
        ps = [
            delong(one.labels == classes[1], one.probabilities[:, 1], other.probabilities[:, 1])[2]
            for one, other in pairs
            if one.probabilities is not None and other.probabilities is not None
        ]
        return {"test": "delong", "p_test": combine_dependent(ps)}
    return found


def _on_common_folds(
    first: Arm, mine: list[Run], second: Arm, theirs: list[Run]
) -> tuple[tuple[Arm, list[Run]], tuple[Arm, list[Run]], str]:
    """Both arms and their runs on the folds that every seed of both has, and a sentence where one has more.

    Folds differ in how hard they are, so means over different folds are no pair.
    """
    have = [
        {run.fold for run in runs if run.seed == seed} for runs in (mine, theirs) for seed in {r.seed for r in runs}
    ]
    common, every = set.intersection(*have), set.union(*have)
    if common == every:
        return (first, mine), (second, theirs), ""
    kept = []
    for arm, runs in ((first, mine), (second, theirs)):
        keep = np.array([run.fold in common for run in runs])
        kept.append((arm.subset(keep), [run for run in runs if run.fold in common]))
    words = ", ".join(map(str, sorted(every - common)))
    return kept[0], kept[1], f"fold(s) {words} lack a run in some seed or arm, and are left out of its differences"


def _over_folds(
    bench: Bench,
    mine: Sequence[Run],
    theirs: Sequence[Run],
    values: NDArray[np.float64],
    others: NDArray[np.float64],
) -> dict[str, float]:
    """The corrected t test over pairs of runs of the same seed and fold (Nadeau and Bengio); NaN for a single fold.

    Folds may be some of those that a set was cut into (the study: 0, 5 and 9 of 10): the cut says what each leaves out.
    """
    pairs = _matched(mine, theirs)
    folds = len({mine[first].fold for first, _ in pairs})
    if folds < 2:
        return dict.fromkeys(("nb_low", "nb_high", "nb_p"), np.nan)
    cut = max(job.record.get("settings", {}).get("fold_count", folds) for job in bench.jobs)
    differences = [values[first] - others[second] for first, second in pairs]
    _, low, high, p = nadeau_bengio(differences, train=cut - 1, test=1)
    return {"nb_low": low, "nb_high": high, "nb_p": p}


def _is_cheap(arm: Name, baselines: Sequence[str]) -> bool:
    return arm[1] == "baseline" or arm[0] in baselines


def _unreferenced(bench: Bench, absent: Sequence[Name], baselines: Sequence[str]) -> list[dict[str, Any]]:
    """Holes: references that are the best of several arms of which some are absent."""
    cheap = [model for model, init in absent if _is_cheap((model, init), baselines)]
    random = [model for model, init in absent if init == "random" and model not in cheap]
    task = {key: bench.jobs[0].record[key] for key in ("analysis", "task")}
    return [
        hole(
            task,
            "reference",
            f"without {', '.join(names)} the best {what} is not known, so nothing is compared with it",
        )
        for what, names in (("baseline", cheap), ("random arm", random))
        if names
    ]


def _pairs(
    jobs: Sequence[Job],
    arms: Mapping[Name, Arm],
    metric: str,
    selection: str,
    baselines: Sequence[str],
    absent: Sequence[Name],
) -> list[tuple[str, str, str, Name]]:
    """(model, init, versus, reference arm) of every comparison that the arms allow."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    cheap = [arm for arm in arms if _is_cheap(arm, baselines)]
    random = [arm for arm in arms if arm[1] == "random" and arm not in cheap]
    lost = {_is_cheap(arm, baselines) for arm in absent if arm[1] == "random" or _is_cheap(arm, baselines)}
    validated = {arm: value for arm in cheap if (value := _validation_value(jobs, arm, metric)) is not None}
    values = validated if validated and selection == "validation" else {arm: arms[arm].value for arm in cheap}
    best_baseline = None if True in lost else max(values, key=lambda arm: sign * values[arm], default=None)
    pairs = []
    for model, init in arms:
        if (model, init) in cheap:
            continue
        if init == "pretrained" and (model, "random") in arms:
            pairs.append((model, init, "random", (model, "random")))
        if init == "pretrained":
            pairs += [(model, init, arm, (model, arm)) for arm in CONTROL_ARMS if (model, arm) in arms]
            # What the study misread is no rival of what is read rightly.
            rivals = [arm for arm in random if is_reading(model) or not is_reading(arm[0])]
            if rivals and False not in lost:
                best = max(rivals, key=lambda arm: sign * arms[arm].value)
                pairs.append((model, init, "best_random", best))
        if best_baseline:
            pairs.append((model, init, "baseline", best_baseline))
        if is_reading(model) and (mended := (without_reading(model), init)) in arms:
            pairs.append((model, init, "reading", mended))
    return pairs


def _validation_value(jobs: Sequence[Job], arm: Name, metric: str) -> float | None:
    """Mean validation value of an arm's selected runs; None where none is recorded."""
    values = [
        result["value"]
        for job in jobs
        if job.arm == arm
        for result in job.record["results"]
        if result["split"] == "validation" and result["metric"] == metric and result["extra"].get("selected", True)
    ]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def summarise_unpaired(records: Sequence[Mapping[str, Any]]) -> Summary:
    """Scores (`average_records`) and selections of an analysis without predictions."""
    effects = join_effects(selection=flatten_selections(records))
    return Summary(average_records(records), pd.DataFrame(columns=COMPARISONS), effects, [], flatten(records))


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
