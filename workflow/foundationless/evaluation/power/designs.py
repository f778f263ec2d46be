"""What a study compares, as designs whose power can be stated, and what `plan` prints of it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.across_tasks import task_kinds
from foundationless.evaluation.power.components import scale_of
from foundationless.evaluation.power.simulation import Components, Design, Task, power
from foundationless.study.names import parse_task
from foundationless.study.plan import Plan
from foundationless.study.price.workload import Workload
from foundationless.study.vocabulary import ANALYSES, CLASSES, METRICS, SCOPES, TOO_FEW_SEEDS

ARMS = ("pretrained", "random")
COLUMNS = [
    "analysis", "models", "tasks", "families", "seeds", "items", "margin", "scope", "equivalent", "better",
    "detectable", "no_word",
]  # fmt: skip


def list_designs(workload: Workload, margins: Mapping[str, float]) -> dict[tuple[str, str], Design]:
    """(analysis, variant of its tasks) -> the design in which it compares pretrained with random arms.

    `margins`: of every metric. Test rows are those of `Workload.rows`. Further draws of a set are one task, for they
    share its test rows, and so are the folds of a seed: what they add to precision is not counted. Twins are one
    cluster, of the family of the first. Analyses that do not compare sample by sample have no design,
    nor have those of gene perturbations, and tasks of values and tracks are in none: what is known of noise is known of
    classes.
    """
    plan = workload.plan
    kinds = task_kinds(pd.DataFrame(list(plan.tasks.values())))
    designs = {}
    for analysis, by_task in plan.by_task.items():
        if not ANALYSES[analysis].paired or ANALYSES[analysis].predicts_effects:
            continue
        variants: dict[str, dict[str, str]] = {}
        for task in (name for name in by_task if plan.labels(name) == CLASSES):
            parts = parse_task(task)
            variants.setdefault(parts.variant, {}).setdefault(parts.base_task, task)
        for variant, names in variants.items():
            arms = _arms(plan, analysis, next(iter(names.values())))
            if arms:
                tasks = _tasks(workload, names.values(), kinds)
                metrics = [plan.task(task)["metric"] for task in names.values()]
                margin = float(np.mean([margins[metric] for metric in metrics]))
                span = float(np.mean([1 - METRICS[metric].lowest for metric in metrics]))
                designs[analysis, variant] = Design(tasks, *arms, margin, span)
    return designs


def _arms(plan: Plan, analysis: str, task: str) -> tuple[tuple[int, int], int] | None:
    """Seeds of both arms (0: nothing random), and how many models have both; None: none has."""
    seeds: dict[str, dict[str, int]] = {}
    for cell in plan.by_task[analysis][task]:
        counts = seeds.setdefault(cell.model, {})
        counts[cell.init] = counts.get(cell.init, 0) + 1
    both = [counts for counts in seeds.values() if all(arm in counts for arm in ARMS)]
    if not both:
        return None
    first, second = (min(counts[arm] for counts in both) for arm in ARMS)
    return (first if ANALYSES[analysis].draws("pretrained", "") else 0, second), len(both)


def _tasks(workload: Workload, names: Iterable[str], kinds: pd.DataFrame) -> tuple[Task, ...]:
    families: dict[str, str] = {}
    tasks = []
    for name in names:
        base = parse_task(name).base_task
        twin = str(kinds.at[base, "twin"])
        family = families.setdefault(twin, str(kinds.at[base, "family"]))
        rows = max(1.0, workload.rows(name)["test"])
        tasks.append(Task(family, twin, rows, scale_of(workload.plan.task(name)["metric"])))
    return tuple(tasks)


def tabulate(
    designs: Mapping[tuple[str, str], Design], components: Mapping[str, Components], difference: float
) -> pd.DataFrame:
    """One row per design and scope (columns: `COLUMNS`); variants of an analysis that have one design share a row.

    `components`: of each analysis, and of every other under the name "". `equivalent` is the power at a difference of
    0, `better` that at `difference`, `detectable` what is found with 80 % power (NaN: nothing within the metric's
    range); `no_word` says why there can be none.
    """
    groups: dict[tuple[str, Design], list[str]] = {}
    for (analysis, variant), design in designs.items():
        groups.setdefault((analysis, design), []).append(variant)
    rows: list[dict[str, Any]] = []
    for (analysis, design), variants in groups.items():
        sets = ", ".join(variant or "whole" for variant in variants)
        rows += [
            {"analysis": analysis if sets == "whole" else f"{analysis} ({sets})", "models": design.models}
            | {"tasks": len({task.cluster for task in design.tasks}), "families": design.families}
            | {"seeds": _join(design.seeds), "items": _span([task.items for task in design.tasks])}
            | {"margin": design.margin, "scope": scope}
            | asdict(power(design, components.get(analysis, components[""]), scope, difference))
            for scope in SCOPES
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def describe_power(table: pd.DataFrame) -> str:
    """The table as text; designs that can have no word for want of seeds are named below it."""
    few = table["no_word"].isin(list(TOO_FEW_SEEDS.values()))
    lines = []
    if not few.all():
        shown = table[~few].rename(columns={"no_word": "no word:"})
        forms = {"equivalent": "{:.2f}", "better": "{:.2f}", "margin": "{:.3f}", "detectable": "{:.3f}"}
        formatters = {name: form.format for name, form in forms.items()}
        lines.append(shown.to_string(index=False, formatters=formatters, na_rep="none"))
    for word, rows in table[few].groupby("no_word"):
        names = ", ".join(dict.fromkeys(rows["analysis"]))
        lines.append(f"No word (power 0 in both scopes), for it takes three seeds; {word} in: {names}.")
    return "\n".join(lines)


def _join(seeds: tuple[int, int]) -> str:
    """Seeds of both arms, once if they are as many; `-` of an arm with nothing random."""
    return "/".join(dict.fromkeys(str(count) if count else "-" for count in seeds))


def _span(items: list[float]) -> str:
    return "–".join(dict.fromkeys(f"{number:,.0f}" for number in (min(items), max(items))))
