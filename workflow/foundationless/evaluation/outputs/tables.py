"""A table of every output and every metric of labels that are several numbers, or zeros and ones.

A row without `versus` is the score of an arm, others are paired differences with what `versus` names; a row without
`output` is of the mean over outputs. Runs are those that validation chose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.evaluation.aggregate import ALPHA, decide, holm
from foundationless.evaluation.bootstrap import Arm, Run, compare_arms, interval, join, score_outputs
from foundationless.evaluation.outputs.resampled import mean_of_defined
from foundationless.evaluation.task_results import (
    IDENTITY,
    KEYS,
    Name,
    Side,
    TaskResults,
    on_common_folds,
    ordered_at_random,
)
from foundationless.study.vocabulary import LABELS, METRICS, TRACKS, VALUES

OUTPUTS = [
    *IDENTITY, "output", "versus", "reference", "reference_init", "value", "delta", "low", "high", "p", "p_holm",
    "p_tost", "margin", "verdict", "learned", "drawn_seeds", "chance", "label_sd", "n",
]  # fmt: skip
SELECTION = "validation"
COMPARED = ("random", "baseline")  # what differences of outputs are with
FEWEST_OF_TRACK = 10  # ones, and zeros, of a track: of 3 in 100 rows intervals of 95 % covered 81 to 86 %
MOST = 50  # outputs that have intervals, the first ones: hundreds would take longer than all else
# Numbers that the resamples of a run rank at most, about half a minute, and the fewest resamples even so.
MOST_RANKED, FEWEST_RESAMPLES = 2 * 10**9, 500
SUMMED = ("pearson", "r2", "rmse")  # metrics whose mean over any number of outputs costs little

Rows = list[dict[str, Any]]
Pair = tuple[Name, str, Name]  # arm, versus, reference
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Scored:
    """One output (empty: the mean over them) by one metric: arms, the best constant answer, and facts of its labels.

    `resamples`: whether there are any, and so intervals.
    """

    metric: str
    output: str
    arms: Mapping[Name, Arm]
    chance: Arm
    label_sd: float
    n: int
    resamples: bool


def by_output(
    results: TaskResults,
    arms: Mapping[str, Mapping[Name, Arm]],
    metric: str,
    compared: Sequence[Mapping[str, Any]],
    margins: Mapping[str, float],
) -> tuple[Rows, Rows]:
    """Rows of `OUTPUTS` before they are judged (`judge`), and notes.

    `arms` are scored by the task's `metric`, `compared` the rows of its comparisons, which say whom an arm is compared
    with; `margins` by metric, that of the error in units of the SD of an output's test labels. An output counts as
    learned where an arm of the pair is above the best constant answer by the task's metric. Calibration of the
    probabilities of tracks is not looked at.
    """
    if not results.outputs or SELECTION not in arms:
        return [], []
    pairs = [
        ((row["model"], row["init"]), row["versus"], (row["reference"], row["reference_init"]))
        for row in compared
        if row["selection"] == SELECTION and row["versus"] in COMPARED
    ]
    rows: Rows = []
    learned: dict[str, dict[Name, float]] = {}
    every = LABELS[results.stated.labels]
    for name in (metric, *(other for other in every if other != metric)):
        for scored in _score(results, arms[SELECTION], metric, name):
            if name == metric:
                learned[scored.output] = {
                    arm: compare_arms(runs, scored.chance, results.seed).p_above if scored.resamples else np.nan
                    for arm, runs in scored.arms.items()
                }
            rows += _value_rows(results, scored, learned[scored.output])
            margin = margins[name] * (scored.label_sd if name == "rmse" else 1.0)
            rows += [
                row for pair in pairs if (row := _difference_row(results, scored, pair, margin, learned[scored.output]))
            ]
    return rows, _notes(results)


def within_reach(results: TaskResults, metric: str) -> tuple[TaskResults, Rows]:
    """The results with fewer resamples, and a note, where many outputs of many items are ranked in each of them."""
    items = max(len(run.labels) for cell in results.cells for run in cell.runs.values())
    fewer = max(FEWEST_RESAMPLES, MOST_RANKED // max(1, items * len(results.outputs)))
    if not results.outputs or metric in SUMMED or results.resamples <= fewer:
        return results, []
    text = f"{len(results.outputs)} outputs of {items} test items are ranked in {fewer} resamples, not in more"
    return replace(results, resamples=fewer), [results.note("resamples", text)]


def judge(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with `p_holm`, adjusted over the outputs of a metric, arm and reference, and the word that follows."""
    keys = [*KEYS, "metric", "selection", "versus"]
    compared = frame["versus"].astype(str) != ""
    single = compared & (frame["output"].astype(str) != "")
    adjusted = frame[["p", "p_tost"]].astype(float)
    for name in adjusted:
        values = adjusted[name].copy()
        for _, part in values[single].groupby([frame.loc[single, key] for key in keys], sort=False):
            adjusted.loc[part.index, name] = np.asarray(holm(part.to_numpy()))
    words = []
    for place, row in enumerate(frame.to_dict("records")):
        p, p_tost = adjusted["p"].iloc[place], adjusted["p_tost"].iloc[place]
        if not row["versus"] or not np.isfinite(p):
            words.append("")
            continue
        sign = 1 if METRICS[row["metric"]].higher_is_better else -1
        seeds = float("inf") if pd.isna(row["drawn_seeds"]) else row["drawn_seeds"]
        words.append(
            decide(p, p_tost, sign * row["delta"], learned=bool(row["learned"]), seeds=seeds, metrics=row["metric"])
        )
    return frame.assign(p_holm=adjusted["p"], verdict=words)


def _notes(results: TaskResults) -> Rows:
    count, notes = len(results.outputs), []
    if count > MOST:
        text = f"of {count} outputs the first {MOST} have intervals of their own, the others values and differences"
        notes.append(results.note("outputs", f"{text} alone"))
    if results.stated.labels == TRACKS:
        observed = results.runs(results.order[0], SELECTION)[0].observed
        assert observed is not None
        rarer = np.minimum((observed == 1).sum(axis=0), (observed == 0).sum(axis=0))
        if rare := int((rarer < FEWEST_OF_TRACK).sum()):
            text = f"{rare} of {count} tracks have fewer than {FEWEST_OF_TRACK} test rows of a kind: resamples without "
            text += "one leave such a track out of their mean, and intervals cover less"
            notes.append(results.note("outputs", text))
    return notes


# ---- scores


def _score(results: TaskResults, main: Mapping[Name, Arm], metric: str, name: str) -> list[_Scored]:
    """The mean over outputs and each output by the metric `name`; `main` are arms by the task's `metric`."""
    runs = {arm: results.runs(arm, SELECTION) for arm in results.order}
    constant = results.constant_runs()
    whole = [run for cell in results.cells for run in cell.runs.values()]
    listed = [*(run for mine in runs.values() for run in mine), *constant]
    count = len(results.outputs)
    each: list[list[Arm]] = []
    for part, resamples in ((slice(0, MOST), results.resamples), (slice(MOST, count), 0)):
        if part.start < count:
            each += score_outputs(_cut(listed, part), name, resamples, results.seed, whole)
    zero = results.stated.labels == VALUES and name != "rmse"
    spreads, known = _labels(results)
    one_by_one = [_cut(constant, slice(place, place + 1)) for place in range(count)]
    scored = []
    for place, output in enumerate(results.outputs):
        arms, flat = _by_arm(runs, each[place])
        chance = join([ordered_at_random(arm, run, name) for arm, run in zip(flat, one_by_one[place], strict=True)])
        chance = _zero(results.resamples if place < MOST else 0) if zero else chance
        scored.append(_Scored(name, output, arms, chance, float(spreads[place]), int(known[place]), place < MOST))
    return [_mean(results, main, metric, name, each, scored), *scored]


def _mean(
    results: TaskResults, main: Mapping[Name, Arm], metric: str, name: str, each: list[list[Arm]], scored: list[_Scored]
) -> _Scored:
    """The mean over outputs; of many of them its interval is left out where ranks would have to be made for it."""
    resamples = results.resamples
    if name == metric:
        arms = dict(main)
    elif len(results.outputs) <= MOST:
        runs = {arm: results.runs(arm, SELECTION) for arm in results.order}
        arms, _ = _by_arm(runs, [_average([output[place] for output in each]) for place in range(len(each[0]))])
    else:
        resamples = resamples if name in SUMMED else 0
        arms = dict(results.score(name, resamples)[SELECTION])
    chance = results.chance(name, resamples)
    first = results.runs(results.order[0], SELECTION)
    sd = float(np.mean([one.label_sd for one in scored if one.n] or [0.0]))  # of outputs that have an error
    return _Scored(name, "", arms, chance, sd, len(first[0].labels), resamples > 0)


def _average(arms: Sequence[Arm]) -> Arm:
    """A run's mean over outputs from its arms of each."""
    points = mean_of_defined(np.stack([arm.points for arm in arms]))
    return Arm(points, mean_of_defined(np.stack([arm.replicates[0] for arm in arms]))[None], arms[0].seeds)


def _by_arm(runs: Mapping[Name, Sequence[Run]], scored: Sequence[Arm]) -> tuple[dict[Name, Arm], list[Arm]]:
    """Arms of runs in their order, and what follows them: the constant runs."""
    left = iter(scored)
    arms = {arm: join([next(left) for _ in mine]) for arm, mine in runs.items()}
    return arms, list(left)


def _zero(resamples: int) -> Arm:
    return Arm(np.zeros(1), np.zeros((1, resamples)), np.zeros(1, dtype=np.int64))


def _cut(runs: Sequence[Run], part: slice) -> list[Run]:
    """Runs with some of their outputs; an array that runs share is cut once."""
    cut: dict[int, Floats] = {}

    def shared(values: Floats | None) -> Floats:
        assert values is not None
        return cut.setdefault(id(values), values[:, part])

    return [replace(run, observed=shared(run.observed), values=shared(run.values)) for run in runs]


def _labels(results: TaskResults) -> tuple[Floats, NDArray[np.int64]]:
    """SD of the test labels of every output, and how many are known, both means over folds: [outputs]."""
    observed = {run.fold: run.observed for cell in results.cells for run in cell.runs.values()}
    spreads, counts = [], []
    for labels in observed.values():
        assert labels is not None
        known = ~np.isnan(labels)
        number = np.maximum(known.sum(axis=0), 1)
        away = np.where(known, labels - np.where(known, labels, 0.0).sum(axis=0) / number, 0.0)
        spreads.append(np.sqrt((away**2).sum(axis=0) / number))
        counts.append(known.sum(axis=0))
    return np.mean(spreads, axis=0), np.rint(np.mean(counts, axis=0)).astype(np.int64)


# ---- rows


def _shared(results: TaskResults, scored: _Scored, arm: Name) -> dict[str, Any]:
    facts = {"metric": scored.metric, "selection": SELECTION, "output": scored.output}
    return results.identity(arm) | facts | {"label_sd": scored.label_sd, "n": scored.n, "chance": scored.chance.value}


def _value_rows(results: TaskResults, scored: _Scored, learned: Mapping[Name, float]) -> Rows:
    """The score of every arm with its interval."""
    rows = []
    for arm, runs in scored.arms.items():
        estimate = interval(runs, results.seed, scored.metric) if scored.resamples else None
        ends = {"low": estimate.low, "high": estimate.high} if estimate else {"low": np.nan, "high": np.nan}
        row = {"versus": "", "reference": "", "reference_init": "", "value": runs.value}
        rows.append(_shared(results, scored, arm) | row | ends | {"learned": not learned[arm] > ALPHA})
    return rows


def _difference_row(
    results: TaskResults, scored: _Scored, pair: Pair, margin: float, learned: Mapping[Name, float]
) -> dict[str, Any] | None:
    """One paired difference, `arm - reference`; None where the two have no fold in common."""
    arm, versus, reference = pair
    mine, theirs = (results.side(scored.arms, each, SELECTION) for each in (arm, reference))
    if versus != "baseline":
        mine, theirs, _ = on_common_folds(mine, theirs)
    if not mine.runs or not theirs.runs:
        return None
    known = [p for each in (arm, reference) if np.isfinite(p := learned[each])]
    facts = {
        "versus": versus, "reference": reference[0], "reference_init": reference[1], "margin": margin,
        "learned": not known or min(1.0, 2 * min(known)) <= ALPHA,
        "drawn_seeds": min((one for each in (arm, reference) if np.isfinite(one := results.seeds(each))),
                           default=np.nan),
    }  # fmt: skip
    return _shared(results, scored, arm) | facts | _difference(mine, theirs, scored, margin, results.seed)


def _difference(mine: Side, theirs: Side, scored: _Scored, margin: float, seed: int) -> dict[str, float]:
    if not scored.resamples:
        return {"delta": mine.arm.value - theirs.arm.value}
    estimate = compare_arms(mine.arm, theirs.arm, seed)
    p = np.nan if estimate.p is None else estimate.p
    ends = {"low": estimate.low, "high": estimate.high}
    return {"delta": estimate.value, "p": p, "p_tost": estimate.p_tost(margin)} | ends
