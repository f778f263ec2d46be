"""Few shots: the score of every arm by number of training rows a class, its area, and paired differences of both.

A cell holds the predictions of every number of rows and every draw of them (`features.shots`), as folds: number × draw.
All arms learn from the same rows of a draw, so differences are paired over draws, test items and nothing else; seeds of
networks are drawn in each arm. Intervals are those of `bootstrap`, over draws, items and seeds.

The area under a curve is its mean height over the logarithm of the number of rows (trapezoids), on the scale of the
metric. The rows of an analysis that retrieves (`features.shots.retrieval`) also have `recall.RECALL`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.evaluation.aggregate import ALPHA, judge
from foundationless.evaluation.bootstrap import Arm, compare_arms, interval, join, score_rankings
from foundationless.evaluation.shots.recall import MARGIN, RECALL, recall_at
from foundationless.evaluation.task_results import KEYS, Name, TaskResults
from foundationless.study.vocabulary import ANALYSES, METRICS

FROZEN, TRAINED = "frozen", "fine-tuned"  # how a network learns from the rows: `how`
SCORE, AREA = "score", "area"  # what a row is of: `measure`
FEWSHOT = [
    *KEYS, "how", "metric", "measure", "rows", "versus", "reference", "value", "low", "high", "sd", "p", "p_holm",
    "p_tost", "p_tost_holm", "margin", "verdict", "draws", "seeds", "reference_seeds", "n_test",
]  # fmt: skip

Rows = list[dict[str, Any]]


def curves(
    results: TaskResults,
    arms: Mapping[Name, Arm],
    metric: str,
    compared: Sequence[Mapping[str, Any]],
    margins: Mapping[str, float],
) -> pd.DataFrame:
    """Rows of `FEWSHOT` of a task whose training rows were drawn; none of another.

    `arms` are its runs scored by `metric`, those that validation is said to choose; `compared` the rows of comparisons,
    which say of a pair whether anything was learned, or else it is asked here. Rows without `versus` are of an arm; the
    others are differences: of the pretrained arm with the model's random self, of every network with every baseline
    (`reference`).
    """
    if not results.draws:
        return pd.DataFrame(columns=FEWSHOT)
    numbers = [int(number) for number in results.cells[0].record["settings"]["shots"]]
    learned = _learned(results, arms, metric, compared)
    measured = {metric: (dict(arms), margins[metric])}
    if all(run.scores is not None for cell in results.cells for run in cell.runs.values()):
        measured[RECALL] = _recalls(results), MARGIN
    rows: Rows = []
    for name, (scored, margin) in measured.items():
        for measure, number, parts in _parts(results, scored, numbers):
            said = {"metric": name, "measure": measure, "rows": number, "margin": margin}
            rows += _rows(results, parts, said, learned)
    _judge(rows)
    return pd.DataFrame(rows, columns=FEWSHOT)


def _judge(rows: Rows) -> None:
    """The word of every difference, after Holm over the numbers of rows of a pair of arms; areas, one number a pair,
    stand for themselves."""
    families: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        if "versus" in row:
            pair = tuple(row[key] for key in ("model", "init", "metric", "measure", "versus", "reference"))
            families.setdefault(pair, []).append(row)
    for family in families.values():
        judged = [
            {key: row[key] for key in ("p", "p_tost", "learned", "versus")}
            | {"delta": row["value"], "seeds": row["fewest_seeds"], "metrics": row["metric"]}
            for row in family
        ]
        judge(judged)
        for row, one in zip(family, judged, strict=True):
            row |= {key: one[key] for key in ("p_holm", "p_tost_holm", "verdict")}


def _how(analysis: str, init: str) -> str:
    trains = analysis in ANALYSES and ANALYSES[analysis].rule == "finetune_shots"
    return TRAINED if trains and init != "baseline" else FROZEN


def _learned(
    results: TaskResults, arms: Mapping[Name, Arm], metric: str, compared: Sequence[Mapping[str, Any]]
) -> dict[tuple[Name, Name], bool]:
    """Whether an arm or its reference beats the best constant answer, or nobody knows: (arm, reference) -> bool.

    Where no best baseline is known (nothing is chosen by test scores), no comparison tells it.
    """
    told = {
        (row["model"], row["init"], row["versus"]): bool(row["learned"])
        for row in compared
        if row["selection"] == "validation"
    }
    pairs = [(name, *pair) for name in arms for pair in _references(name, arms)]
    learned = {(name, other): told[*name, versus] for name, versus, other in pairs if (*name, versus) in told}
    if asked := [(name, other) for name, _, other in pairs if (name, other) not in learned]:
        constant = results.chance(metric, results.resamples)
        above = {name: compare_arms(arm, constant, results.seed).p_above for name, arm in arms.items()}
        for pair in asked:  # Bonferroni over those that are known
            known = [p for name in pair if np.isfinite(p := above[name])]
            learned[pair] = not known or 2 * min(known) <= ALPHA
    return learned


def area_weights(numbers: Sequence[int]) -> NDArray[np.float64]:
    """Weights [numbers], of sum 1, of the mean height of a curve over the logarithm of increasing numbers."""
    places = np.log(np.asarray(numbers, dtype=np.float64))
    steps = np.diff(places)
    return np.asarray((np.r_[0.0, steps] + np.r_[steps, 0.0]) / (2 * (places[-1] - places[0])))


def _parts(
    results: TaskResults, scored: Mapping[Name, Arm], numbers: Sequence[int]
) -> Iterator[tuple[str, int | None, dict[Name, Arm]]]:
    """Arms at each number of rows, and with several of them at their mean height: (measure, number, arms)."""
    places = {
        name: np.array([run.fold for run in results.runs(name, "validation")]) // results.draws for name in scored
    }
    for place, number in enumerate(numbers):
        yield SCORE, number, {name: arm.subset(places[name] == place) for name, arm in scored.items()}
    if len(numbers) > 1:
        factors = area_weights(numbers) * len(numbers)  # the mean over runs is then the weighted one
        yield AREA, None, {name: _times(arm, factors[places[name]]) for name, arm in scored.items()}


def _times(arm: Arm, factors: NDArray[np.float64]) -> Arm:
    return replace(arm, points=arm.points * factors, replicates=arm.replicates * factors[:, None])


def _recalls(results: TaskResults) -> dict[Name, Arm]:
    """Recall of every run under the same resamples as its other scores."""
    runs = {name: results.runs(name, "validation") for name in results.order}
    every = [run for mine in runs.values() for run in mine]
    scored = iter(score_rankings(every, recall_at, results.classes, results.resamples, results.seed))
    draws = {name: np.array([run.fold for run in mine]) % results.draws for name, mine in runs.items()}
    return {name: replace(join([next(scored) for _ in mine]), draws=draws[name]) for name, mine in runs.items()}


def _rows(
    results: TaskResults,
    arms: Mapping[Name, Arm],
    said: Mapping[str, Any],
    learned: Mapping[tuple[Name, Name], bool],
) -> Rows:
    rows: Rows = []
    for name, arm in arms.items():
        about = results.identity(name) | dict(said) | _sizes(results, name, arm)
        about["how"] = _how(about["analysis"], about["init"])
        found = interval(arm, results.seed, said["metric"] if said["metric"] in METRICS else "")
        low = max(found.low, METRICS[said["metric"]].lowest if said["metric"] in METRICS else 0.0)
        rows.append(about | {"value": found.value, "low": low, "high": found.high, "sd": _sd(arm)})
        for versus, reference in _references(name, arms):
            other = arms[reference]
            change = compare_arms(arm, other, results.seed)
            p_tost = change.p_tost(said["margin"])
            p = float("nan") if change.p is None else change.p
            drawn = [seeds for each in (name, reference) if np.isfinite(seeds := results.seeds(each))]
            rows.append(
                about
                | {"versus": versus, "reference": reference[0], "value": change.value}
                | {"low": change.low, "high": change.high, "sd": _sd(arm, other), "p": p, "p_tost": p_tost}
                | {"learned": learned[name, reference], "fewest_seeds": min(drawn, default=np.inf)}
                | {"reference_seeds": len(np.unique(other.seeds))}
            )
    return rows


def _references(name: Name, arms: Mapping[Name, Arm]) -> Iterator[tuple[str, Name]]:
    """(versus, reference) of every difference of an arm."""
    model, init = name
    if init == "baseline":
        return
    if init == "pretrained" and (model, "random") in arms:
        yield "random", (model, "random")
    yield from (("baseline", other) for other in arms if other[1] == "baseline")


def _sizes(results: TaskResults, name: Name, arm: Arm) -> dict[str, int]:
    items = len(results.runs(name, "validation")[0].labels)
    return {"draws": results.draws, "seeds": len(np.unique(arm.seeds)), "n_test": items}


def _sd(arm: Arm, other: Arm | None = None) -> float:
    """Standard deviation over draws, of an arm or of its difference with another."""
    values = arm.by_draw() - (0.0 if other is None else other.by_draw())
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
