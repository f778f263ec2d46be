"""The gap of transfer: what an arm scores on the test items of the set that it learned from, less what it scores far.

Both scores are of probes, or runs, of the same analysis: one task that learns a set and is asked about it, and one that
learns the same rows and is asked about another set. Seeds are paired (the same are drawn on both sides), items are
drawn separately, for they are others. Two arms are compared by their gaps on the same draws of items, with seeds drawn
in each: the difference is that of the reference less that of the arm, so that it is above 0 where the arm loses less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import ALPHA, decide
from foundationless.evaluation.bootstrap import Arm, Estimate, compare_arms, compare_paired, subtract
from foundationless.evaluation.task_results import KEYS, Name, TaskResults, sizes

GAPS = [
    *KEYS, "source", "target", "target_rows", "weighting", "metric", "selection", "in_domain", "far", "gap", "gap_low",
    "gap_high", "gap_p", "versus", "reference", "delta", "low", "high", "p", "p_tost", "margin", "verdict",
    "n_in_domain", "n_test", "seeds",
]  # fmt: skip

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """The task that a task of transfer learns from, which one it is asked about (`target`), how many rows of that join
    those to learn from, and how these are weighted."""

    task: str
    target: str = ""
    target_rows: int = 0
    weighting: str = ""


def find_gaps(
    far: TaskResults, home: TaskResults, metric: str, margin: float, source: Source, baselines: Sequence[str] = ()
) -> pd.DataFrame:
    """Rows of `GAPS`: one per arm that both have and reference (its model's random arm, the best baseline), or one.

    `far` are results of the task of transfer, `home` those of its source; models of `baselines` are baselines, too.
    """
    if not (far.serves(metric) and home.serves(metric)):
        return pd.DataFrame(columns=GAPS)
    home = replace(home, seed=home.seed + 1)  # of as many items, the same would be drawn on both sides
    asked, known = (each.score(metric, each.resamples)["validation"] for each in (far, home))
    constant = home.chance(metric, home.resamples)
    arms = [arm for arm in far.order if arm in known]
    cheap = [arm for arm in arms if arm[1] == "baseline" or arm[0] in baselines]
    best = max(cheap, key=lambda arm: _known(far.validation_value(arm, metric)), default=None)
    rows: Rows = []
    for arm in arms:
        gap = _gap(known[arm], asked[arm], far.seed)
        counts = sizes(far.runs(arm, "validation"))
        row = far.identity(arm) | {"source": source.task, "target": source.target}
        row |= {"target_rows": source.target_rows, "weighting": source.weighting, "metric": metric}
        row |= {"selection": "validation"}
        row |= {"in_domain": known[arm].value, "far": asked[arm].value, "gap": gap.value, "gap_low": gap.low}
        row |= {"gap_high": gap.high, "gap_p": gap.p, "n_test": counts["n_test"], "seeds": counts["seeds"]}
        row |= {"n_in_domain": sizes(home.runs(arm, "validation"))["n_test"]}
        references = _references(arm, arms, cheap, best)
        for versus, reference in references.items():
            # seeds of the reference are drawn by themselves, items with those of the arm
            other = _gap(known[reference], asked[reference], far.seed + 1)
            pair = (arm, reference)
            learned = min(compare_arms(known[each], constant, far.seed).p_above for each in pair) <= ALPHA / 2
            seeds = min((n for each in pair if np.isfinite(n := far.seeds(each))), default=np.nan)
            judged = _judged(other, gap, margin, learned, seeds)
            rows.append(row | {"versus": versus, "reference": reference[0]} | judged)
        if not references:
            rows.append(row)
    return pd.DataFrame(rows).reindex(columns=GAPS)


def _known(value: float | None) -> float:
    return -np.inf if value is None else value


def _gap(home: Arm, far: Arm, seed: int) -> Estimate:
    return compare_paired(home, far, seed)


def _references(arm: Name, arms: Sequence[Name], cheap: Sequence[Name], best: Name | None) -> dict[str, Name]:
    """What the gap of an arm is compared with, by its word."""
    if arm in cheap:
        return {}
    found = {"random": (arm[0], "random")} if arm[1] != "random" and (arm[0], "random") in arms else {}
    return found | ({"baseline": best} if best else {})


def _judged(reference: Estimate, arm: Estimate, margin: float, learned: bool, seeds: float) -> dict[str, Any]:
    change = subtract(reference, arm)
    p, p_tost = float("nan") if change.p is None else change.p, change.p_tost(margin)
    word = decide(p, p_tost, change.value, learned=learned, seeds=seeds)
    found = {"delta": change.value, "low": change.low, "high": change.high, "p": p, "p_tost": p_tost}
    return found | {"margin": margin, "verdict": word}
