"""The contenders for one set: every arm and baseline with its validation and test value, and the one to use.

The *best* is the arm with the highest validation value, of networks the mean over seeds. The *cheap* one is the best,
by validation too, of the classifiers of counts and letters, which train in seconds. Their difference on the test rows,
which nothing chose by, has an interval: paired bootstrap over the groups of the test rows, of the networks as they were
trained here, mean over their seeds. Whoever uses one has it trained already, so seeds are not drawn; their range stands
beside. The difference is *real* where the interval lies above 0 and every seed is above the cheap one, and it *counts*
where it exceeds the margin, too. What is asked of the test rows is thus settled before they are looked at: of these two
arms, and of no other, whether each is above a constant answer (*learned*) and whether they differ.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.bootstrap import Arm
from foundationless.evaluation.records import read_record
from foundationless.evaluation.task_results import Name, TaskResults, of_split, read_predictions, read_results
from foundationless.study.names import parse_model
from foundationless.study.vocabulary import CEILINGS, CLASSES, LABELS, labels_of

Fact = dict[str, Any]
CONSTANT = "majority"


def read_cells(directory: Path, cells: Sequence[str], partial: bool) -> tuple[list[Fact], list[pa.Table]]:
    """Records and test predictions of `{directory}/{cell}`; what is not there is left out where `partial` allows."""
    records, predictions = [], []
    for cell in cells:
        place = directory / cell
        if partial and not all((place / name).is_file() for name in ("record.json", "predictions.parquet")):
            continue
        records.append(read_record(place / "record.json"))
        predictions.append(of_split(read_predictions(place / "predictions.parquet"), "test"))
    return records, predictions


def weigh(
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pa.Table],
    metric: str,
    margin: float,
    resamples: int,
    seed: int,
) -> Fact:
    """Facts of all arms, the best and the cheap one, and their difference; `UserError` without predictions."""
    results, notes = read_results(records, predictions, resamples, seed)
    if results is None:
        raise UserError("no arm has predictions, so nothing can be recommended; run their jobs again.")
    arms = results.score(metric, resamples)["validation"]
    constant = results.chance(metric, resamples)
    further = _further(results, metric)
    facts = {
        arm: _fact(results, arm, arms[arm], constant, metric) | ({"also": further[arm]} if further else {})
        for arm in arms
        if _competes(arm)
    }

    def best(names: list[Name]) -> Name | None:
        known = [arm for arm in names if facts[arm]["validation"] is not None]
        return max(known, key=lambda arm: (facts[arm]["validation"], -facts[arm]["rank"]), default=None)

    first, cheap = best(list(facts)), best([arm for arm in facts if facts[arm]["kind"] == "baseline"])
    pair = (arms[first], arms[cheap]) if first and cheap and first != cheap else None
    run = next(iter(results.cells[0].runs.values()))
    return {
        "metric": metric,
        "test_rows": len(run.labels),
        "groups": len(set(run.groups)),
        "few_groups": [row["note"] for row in notes if row["what"] == "groups"],
        "constant": constant.value,
        "arms": list(facts.values()),
        "best": first and facts[first],
        "cheap": cheap and facts[cheap],
        "difference": pair and _difference(*pair, margin),
    }


def _further(results: TaskResults, metric: str) -> dict[Name, dict[str, float]]:
    """Of numbers and tracks the other metrics of each arm: none is enough to picture what is predicted.

    An error in units of the labels is none of several outputs, which have different ones.
    """
    labels = labels_of(metric)
    if labels == CLASSES or labels not in LABELS:
        return {}
    others = [name for name in LABELS[labels] if name != metric and (name != "rmse" or len(results.outputs) == 1)]
    scored = {name: results.score(name, 0)["validation"] for name in others}
    return {
        arm: {name: arms[arm].value for name, arms in scored.items() if math.isfinite(arms[arm].value)}
        for arm in results.order
    }


def _competes(arm: Name) -> bool:
    base = parse_model(arm[0]).base
    return base not in CEILINGS and base != CONSTANT


def _fact(results: TaskResults, arm: Name, scored: Arm, constant: Arm, metric: str) -> Fact:
    low, high = _interval(scored.means())
    above, _ = _interval(scored.means() - constant.means())
    cells = results.of(arm)
    seconds = sum(cell.record["cost"].get("seconds") or 0.0 for cell in cells)
    return {
        "model": arm[0],
        "init": arm[1],
        "kind": "baseline" if arm[1] == "baseline" else "network",
        "rank": {"baseline": 0, "random": 1}.get(arm[1], 2),
        "validation": results.validation_value(arm, metric),
        "value": scored.value,
        "low": low,
        "high": high,
        "learned": above is not None and above > 0,
        "seeds": len({cell.record["seed"] for cell in cells}),
        "by_seed": [float(value) for value in scored.by_seed()],
        "seconds": seconds,
        "parameters": cells[0].record["parameters"],
    }


def _interval(replicates: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """95 % of the replicates; None where they are no numbers."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def _difference(best: Arm, cheap: Arm, margin: float) -> Fact:
    delta = best.value - cheap.value
    low, high = _interval(best.means() - cheap.means())
    real = bool(low is not None and low > 0 and (best.by_seed() > cheap.value).all())
    return {"delta": delta, "low": low, "high": high, "real": real, "counts": real and delta > margin}


def flattery(own: Fact, other: Fact) -> list[Fact]:
    """What each arm scores more on another split of the same rows (`other`) than on this one, with its interval.

    The two test sets are two draws, so the interval is made of those of both values (Zou and Donner 2008, MOVER,
    doi:10.1002/sim.3095) as of independent draws, which is too wide where they share rows. It is of these two splits:
    what further draws of them would vary by is not in it.
    """
    elsewhere = {(arm["model"], arm["init"]): arm for arm in other["arms"]}
    rows = []
    for arm in own["arms"]:
        there = elsewhere.get((arm["model"], arm["init"]))
        if there is None or None in (arm["low"], arm["high"], there["low"], there["high"]):
            continue
        delta = there["value"] - arm["value"]
        below = math.hypot(there["value"] - there["low"], arm["high"] - arm["value"])
        above = math.hypot(there["high"] - there["value"], arm["value"] - arm["low"])
        rows.append(
            {"model": arm["model"], "init": arm["init"], "there": there["value"], "here": arm["value"]}
            | {"delta": delta, "low": delta - below, "high": delta + above}
        )
    return rows
