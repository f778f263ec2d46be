"""What a verdict cost, and what one more decimal of it would: hours of the jobs that its records needed.

They are those of both arms on all tasks and seeds (fine-tuning, probes or scores), of the embeddings that these read,
and of the weights that both start from (initialisation, pretraining, download, tokenizer), from the cost ledger. Of the
best baseline, or random model, all among which it was the best. It is not known where another program computed what is
read. Every job counts once in a verdict and whole, though
other verdicts may rest on it too: what this verdict alone would have cost, so that the sum over verdicts is more than a
study. Making the data, audits, tables and figures are not in it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.evaluation import across_tasks
from foundationless.evaluation.across_tasks import task_kinds
from foundationless.evaluation.power.next_decimal import NOT_ALONE, more_units, next_decimal
from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.tables.cost_ledger import EMBEDDINGS, OUTSIDE, PRETRAINED, sets_of_weights
from foundationless.study.names import parse_task, set_to_read, without
from foundationless.study.vocabulary import ANALYSES, CONTROL_ARMS, SELF

PRICES = [
    "gpu_hours", "cpu_hours", "next_decimal", "next_decimal_seeds", "next_decimal_times", "next_decimal_hours",
]  # fmt: skip
ACROSS = [*across_tasks.ACROSS, *PRICES]

Arm = tuple[str, str, str, str]  # analysis, task, model, init
Row = dict[str, Any]


class Hours(NamedTuple):
    """GPU-hours of jobs with a GPU, and core-hours of those without, each [2]: of all, of each further seed, and of
    the weights, which more tasks share."""

    all: Any
    seed: Any
    weights: Any

    def unit(self) -> int:
        """What hours are counted in: GPU-hours (0) if any, or core-hours (1)."""
        return 0 if self.all[0] > 0 else 1


class Prices:
    """The hours of every arm of a ledger (`cost_ledger.ledger`)."""

    def __init__(self, ledger: pd.DataFrame) -> None:
        keys = ["analysis", "task", "model", "init"]
        jobs = ledger.reindex(columns=["rule", *keys, "seed", "gpus", "gpu_hours", "cpu_hours"])
        cores = jobs["cpu_hours"].astype(float).where(jobs["gpus"].astype(float).fillna(0) == 0, 0.0)
        jobs = jobs.assign(cores=cores, gpu_hours=jobs["gpu_hours"].astype(float)).fillna({"gpu_hours": 0.0})
        jobs[keys] = jobs[keys].astype(object).fillna("")
        jobs["task"] = sets_of_weights(jobs)
        self._known: dict[Arm, tuple[Any, Any]] = {}
        elsewhere = jobs.loc[jobs["rule"] == OUTSIDE, keys].itertuples(index=False, name=None)
        self._elsewhere: set[Arm] = {tuple(map(str, key)) for key in elsewhere}  # type: ignore[misc]
        self._random: dict[tuple[str, str], list[Arm]] = {}
        self._baselines: dict[tuple[str, str], list[Arm]] = {}
        for key, part in jobs.groupby(keys, sort=False):
            arm: Arm = tuple(map(str, key))  # type: ignore[assignment]
            hours, seeds = part[["gpu_hours", "cores"]].sum().to_numpy(), part["seed"].nunique()
            self._known[arm] = hours, hours / seeds if seeds > 1 else 0 * hours
            rivals = {"random": self._random, "baseline": self._baselines}.get(arm[3], {})
            rivals.setdefault((arm[0], arm[1]), []).append(arm)

    def arms(self, pairs: pd.DataFrame) -> set[Arm]:
        """Arms of comparisons, of the best of several all of them, or of scores, which have no reference."""
        found: set[Arm] = set()
        for row in pairs.to_dict("records"):
            place = str(row["analysis"]), str(row["task"])
            found |= {(*place, str(row["model"]), str(row["init"]))}
            if isinstance(row.get("reference"), str):
                other = str(row.get("reference_analysis") or place[0])
                found |= {(other, place[1], str(row["reference"]), str(row["reference_init"]))}
            rivals = {"best_random": self._random, "baseline": self._baselines}.get(str(row.get("versus")), {})
            found |= set(rivals.get(place, ()))
        return found

    def hours(self, arms: Iterable[Arm]) -> Hours | None:
        """What these arms took; None where no job tells of one of them, or of what they read."""
        own = dict.fromkeys(arms)
        if not own or any(arm not in self._known for arm in own):
            return None
        read: dict[Arm, None] = {}
        weights: dict[Arm, None] = {}
        for analysis, task, model, init in own:
            if ANALYSES[analysis].embeds:
                names = dict.fromkeys((task, parse_task(task).base_task))
                read |= dict.fromkeys((EMBEDDINGS, name, model, init) for name in names)
            for name in (model, without(model, "reading")):
                for start in (init, "pretrained" if init in CONTROL_ARMS else init, ""):
                    weights |= dict.fromkeys((place, "", name, start) for place in ("", PRETRAINED))
                if init == SELF:
                    weights[PRETRAINED, set_to_read(task), name, SELF] = None
        if not self._elsewhere.isdisjoint((*own, *read)):
            return None
        parts = [[self._known[arm] for arm in group if arm in self._known] for group in (own, read, weights)]
        sums = [np.sum([both for both in part], axis=0) if part else np.zeros((2, 2)) for part in parts]
        whole = np.sum(sums, axis=0)
        return Hours(whole[0], whole[1], sums[2][0])


def price_evidence(
    across: pd.DataFrame, comparisons: pd.DataFrame, tasks: pd.DataFrame, prices: Prices
) -> pd.DataFrame:
    """Evidence over tasks (`summarise_tasks` of these `comparisons` and `tasks`) with the columns `PRICES`.

    `gpu_hours` are those of the jobs that had a GPU, `cpu_hours` core-hours of those that had none. `next_decimal` says
    whether more seeds alone would make the 95 % interval ten times as narrow (see `power.next_decimal`), with
    `next_decimal_seeds` an arm, and `next_decimal_times` as many test items (on these tasks) or families (on tasks like
    these). `next_decimal_hours` is what that would take beyond what is there: GPU-hours, or core-hours where no job had
    a GPU; further test items are free in it, so that where they are needed it is a lower bound.
    """
    pairs, kinds = add_name_parts(comparisons[comparisons["init"] == "pretrained"]), task_kinds(tasks)
    arms = {
        key: {str(task): prices.arms(rows) for task, rows in part.groupby("base_task", sort=False)}
        for key, part in pairs.groupby(["analysis", "variant", "model", "versus"], sort=False)
    }
    known: dict[tuple[Any, ...], Hours | None] = {}
    rows = []
    for row in across.to_dict("records"):
        keys = (row["analysis"], row["variant"], row["model"], row["versus"])
        group = (*keys, row["suite"], row["family"])
        if group not in known:
            chosen = [task for task in arms.get(keys, ()) if _belongs(row, kinds, task)]
            known[group] = prices.hours(arm for task in chosen for arm in sorted(arms[keys][task]))
        rows.append(_price(row, known[group]))
    return across.assign(**pd.DataFrame(rows, index=across.index, columns=PRICES))


def _belongs(row: Mapping[Any, Any], kinds: pd.DataFrame, task: str) -> bool:
    """Whether a task is one of the set of tasks of a row."""
    suite, family = (kinds.loc[task, name] if task in kinds.index else "other" for name in ("suite", "family"))
    return row["suite"] in ("all", suite) and row["family"] in ("", family)


def _price(row: Mapping[Any, Any], hours: Hours | None) -> Row:
    over_families = row["scope"] == "like-these"
    families = float(row["units"]) if over_families else math.inf
    se, df, se_seeds, seeds = (float(row[name]) for name in ("se", "df", "se_seeds", "seeds"))
    further = next_decimal(se, df, se_seeds, seeds, families)
    more: Row = {"next_decimal": further.how or np.nan, "next_decimal_seeds": further.seeds}
    more |= {"next_decimal_times": further.times}
    if hours is None:
        return dict.fromkeys(PRICES, np.nan) | more
    further_hours = _further(hours, seeds, further.seeds, further.times if over_families else 1.0)
    return spent(hours) | more | {"next_decimal_hours": further_hours}


def spent(hours: Hours) -> Row:
    """What was spent, as columns."""
    return {"gpu_hours": float(hours.all[0]), "cpu_hours": float(hours.all[1])}


def _further(hours: Hours, seeds: float, wanted: float, times: float) -> float:
    """Hours of `wanted` seeds on `times` as many tasks, beyond those of `seeds` on one of each."""
    unit = hours.unit()
    drawn = 0.0 if math.isnan(seeds) else float(hours.seed[unit])
    once = float(hours.all[unit] - hours.weights[unit]) - (0.0 if math.isnan(seeds) else drawn * seeds)
    return drawn * (0.0 if math.isnan(seeds) else times * wanted - seeds) + (times - 1) * max(once, 0.0)


def price_claims(
    claims: pd.DataFrame, arms: Sequence[set[Arm]], units: Sequence[float], prices: Prices
) -> pd.DataFrame:
    """Claims of the paper, a row each of `arms` that it compares and of `units` its interval is over, with `PRICES`.

    Its interval is Student's t over the means of units (tasks, or families), seeds among what makes them differ: ten
    times as narrow it is with more units, each at the price of those there are. Of a single unit nothing is known.
    """
    rows = []
    for own, number in zip(arms, units, strict=True):
        hours, times = prices.hours(sorted(own)), more_units(number)
        row: Row = dict.fromkeys(PRICES, np.nan) | {"next_decimal_times": times}
        row |= {"next_decimal": NOT_ALONE} if times > 1 else {}
        if hours is not None:
            apart = float(hours.all[hours.unit()] - hours.weights[hours.unit()])
            row |= spent(hours) | {"next_decimal_hours": (times - 1) * apart}
        rows.append(row)
    return claims.assign(**pd.DataFrame(rows, index=claims.index, columns=PRICES))
