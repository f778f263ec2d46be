"""Designs that a study could have instead: tasks × seeds × test items × search, each with its price and its power.

Tasks are chosen by one rule: distinct ones only (of twins the one with the most test rows), one of each family before
the second of any, largest test sets first, families too. So every choice holds the smaller ones. Price and power are
those of `study.price.estimate` and of `simulation`, as `plan` states them of the study that a choice writes.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.across_tasks import task_kinds
from foundationless.evaluation.power.designs import list_designs
from foundationless.evaluation.power.simulation import Components, Power, power
from foundationless.runtime.files import atomic_path
from foundationless.study.checks import read_study
from foundationless.study.config import read_margins, read_schema, read_yaml, yaml_text
from foundationless.study.names import parse_task
from foundationless.study.plan import Plan
from foundationless.study.price.estimate import Calibration, Machine, list_jobs, total
from foundationless.study.price.workload import Workload
from foundationless.study.vocabulary import CLASSES, SCOPES

TASKS = (4, 6, 8, 12, 16, 24, 32, 48)  # that are tried, and all
SEEDS = (3, 4, 5, 6, 8, 10)
ITEMS = (0, 3000, 1000)  # test rows of a task at most; 0: as many as the study has
ENOUGH = 0.8  # power, as the field asks
ALIKE = 1.05  # of two prices: what costs so little more is no dearer
COLUMNS = [
    "tasks", "families", "seeds", "items", "search", "gpu_hours", "cpu_hours", "wall_hours", "equivalent", "better",
    "equivalent_like", "better_like",
]  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A design: the config of its study, its price (the row `all` of `estimate`), and its power in each scope.

    `items` 0: test sets are as large as in the study that it was made from.
    """

    config: Mapping[str, Any]
    tasks: tuple[str, ...]
    families: int
    seeds: int
    items: int
    search: str
    price: Mapping[str, Any]
    powers: Mapping[str, Power]

    @property
    def cost(self) -> float:
        """GPU-hours; core-hours where nothing runs on a GPU."""
        return float(self.price["gpu_hours"] or self.price["cpu_hours"])

    @property
    def power(self) -> float:
        """The lesser of both words' power on these tasks."""
        words = self.powers["these"]
        return min(words.equivalent, words.better)

    def row(self) -> dict[str, Any]:
        """The choice as a row of `COLUMNS`."""
        these, like = (self.powers[scope] for scope in SCOPES)
        return {
            "tasks": len(self.tasks), "families": self.families, "seeds": self.seeds, "items": self.items,
            "search": self.search, **{name: self.price[name] for name in ("gpu_hours", "cpu_hours", "wall_hours")},
            "equivalent": these.equivalent, "better": these.better,
            "equivalent_like": like.equivalent, "better_like": like.better,
        }  # fmt: skip


def deciding_analysis(plan: Plan) -> str:
    """The analysis whose verdict a design is for: `Plan.deciding`, which has to compare pretrained with random arms."""
    designs = list_designs(Workload(plan, {}), read_margins(plan.config["statistics"]))
    if (plan.deciding, "") not in designs:
        raise UserError(
            f"design: {plan.deciding} compares no pretrained arm with a random one on whole tasks; give another study, "
            "or name another analysis under decide.analysis."
        )
    return plan.deciding


def order_tasks(workload: Workload, analysis: str) -> list[str]:
    """Distinct tasks of classes of an analysis in the order in which a design takes them (see the module)."""
    plan = workload.plan
    kinds = task_kinds(pd.DataFrame(list(plan.tasks.values())))
    tasks = plan.config["analyses"][analysis]["tasks"]
    plain = [task for task in tasks if not parse_task(task).variant and plan.labels(task) == CLASSES]
    largest = sorted(plain, key=lambda task: -workload.rows(task)["test"])
    families: dict[str, list[str]] = {}
    seen = set()
    for task in largest:
        if (twin := str(kinds.at[task, "twin"])) not in seen:
            families.setdefault(str(kinds.at[task, "family"]), []).append(task)
            seen.add(twin)
    deepest = max(map(len, families.values()), default=0)
    return [tasks[depth] for depth in range(deepest) for tasks in families.values() if depth < len(tasks)]


def searches(plan: Plan) -> list[str]:
    """Ways to search learning rates that a design may take: the paper's selection needs the full one."""
    known = read_schema("config")["properties"]["finetuning"]["properties"].get("search", {}).get("enum", ["full"])
    own = plan.config["finetuning"].get("search", "full")
    return ["full"] if plan.config["selection"] == "test" else sorted(known, key=lambda way: way != own)


def alter(
    plan: Plan, analysis: str, tasks: Sequence[str], seeds: int, items: int, search: str, models: Sequence[str] = ()
) -> dict[str, Any]:
    """The config of a study of one analysis, with these tasks, so many seeds and test items, and this search.

    `models`: those on trial (none: all of the analysis); baselines that are as large as others are left out with them.
    """
    config: dict[str, Any] = copy.deepcopy(dict(plan.config))
    spec = config["analyses"][analysis]
    spec["tasks"] = list(tasks)
    spec.pop("seeds", None)
    config["analyses"], config["seeds"] = {analysis: spec}, list(range(seeds))
    config["study"] = f"{config['study']}_design"
    config.pop("budget", None)  # of a study that looks after each seed; the seeds of a design are fixed
    config.get("decide", {}).update(analysis=analysis)
    if "truth" in config:
        config["truth"] = [
            said for said in config["truth"]
            if said.get("analysis", analysis) == analysis and (not models or said["model"] in models)
        ]  # fmt: skip
    spec.get("finetuning", {}).pop("search", None)
    if search != "full" or "search" in config["finetuning"]:
        config["finetuning"]["search"] = search
    if items:
        limits = {"default": {}, **config["limits"]}
        config["limits"] = {name: each | {"test": min(items, each.get("test", items))} for name, each in limits.items()}
    if models:
        spec.pop("models", None)
        config["models"] = {name: config["models"][name] for name in models}
        lost = [name for name, own in config["baselines"].items() if own.get("match", models[0]) not in models]
        config["baselines"] = {name: own for name, own in config["baselines"].items() if name not in lost}
        if "baselines" in spec:
            spec["baselines"] = [name for name in spec["baselines"] if name not in lost]
    return config


def list_choices(
    workload: Workload,
    components: Mapping[str, Components],
    machine: Machine,
    calibration: Calibration,
    difference: float,
    models: Sequence[str] = (),
    least: int = 1,
) -> list[Choice]:
    """Every design of the study, cheapest first.

    `components`: of each analysis, and of every other under "". `difference`: the true one behind `better`. `models`:
    those on trial (none: all). `least`: distinct tasks at least. Limits of test rows above every task's are not tried.
    """
    plan = workload.plan
    if lost := [name for name in models if name not in plan.config["models"]]:
        raise UserError(f"--models: '{lost[0]}' is none of the study's ({', '.join(plan.config['models'])}).")
    analysis = deciding_analysis(plan)
    order = order_tasks(workload, analysis)
    if least > len(order):
        raise UserError(f"--least-tasks: {least} distinct tasks are asked for, and {analysis} has {len(order)}.")
    most = max(workload.rows(task)["test"] for task in order)
    rows, datasets = list(plan.tasks.values()), list(plan.datasets.values())
    margins, own = read_margins(plan.config["statistics"]), components.get(analysis, components[""])
    made = []
    for number in [*(count for count in TASKS if least <= count < len(order)), len(order)]:
        for seeds in SEEDS:
            for items in [items for items in ITEMS if items < most]:
                for search in searches(plan):
                    config = alter(plan, analysis, order[:number], seeds, items, search, models)
                    work = Workload(Plan(config, plan.entries, rows, datasets), workload.sizes, workload.device)
                    design = list_designs(work, margins)[analysis, ""]
                    price = total(list_jobs(work, work.plan.cells, calibration, whole=True), machine)
                    powers = {scope: power(design, own, scope, difference) for scope in SCOPES}
                    tasks = tuple(order[:number])
                    made.append(Choice(config, tasks, design.families, seeds, items, search, price, powers))
    return sorted(made, key=lambda choice: (choice.cost, -choice.power))


def recommend(choices: Sequence[Choice], hours: float) -> tuple[Choice, str]:
    """The choice to take, and why, in words.

    The cheapest that has `ENOUGH` power for both words on these tasks and ends within `hours`; of those that cost no
    more than `ALIKE` times as much, the most powerful. Otherwise the most powerful that ends in time, and what is
    missing. `UserError` where none ends in time.
    """
    fitting = [choice for choice in choices if choice.price["wall_hours"] <= hours]
    if not fitting:
        least = min(choices, key=lambda choice: float(choice.price["wall_hours"]))
        raise UserError(
            f"design: none ends within {hours:g} hours; the shortest takes {least.price['wall_hours']:,.1f}. "
            "Give more GPUs or hours, or a study of fewer models."
        )
    enough = [choice for choice in fitting if choice.power >= ENOUGH]
    if enough:
        alike = [choice for choice in enough if choice.cost <= ALIKE * enough[0].cost]
        return max(alike, key=lambda choice: choice.power), f"the cheapest with power {ENOUGH:g} for both words"
    best = max(fitting, key=lambda choice: (choice.power, -choice.cost))
    reason = f"the most powerful that ends in time; power {ENOUGH:g} for both words is missing"
    dearer = [choice for choice in choices if choice.power >= ENOUGH]
    if dearer:
        wall = min(dearer, key=lambda choice: float(choice.price["wall_hours"])).price["wall_hours"]
        return best, f"{reason}, which takes {wall:,.1f} hours of wall time at least"
    words = best.powers["these"]
    word = "equivalent" if words.equivalent < words.better else "better"
    return best, f"{reason} for `{word}`, and no design that was tried has it: try fewer models, or more tasks"


def tabulate_choices(choices: Sequence[Choice]) -> pd.DataFrame:
    """One row per choice (`COLUMNS`; `_like`: on tasks like these)."""
    return pd.DataFrame([choice.row() for choice in choices], columns=COLUMNS)


def describe_choices(choices: Sequence[Choice]) -> str:
    """The table as text."""
    table = tabulate_choices(choices)
    table["items"] = table["items"].map(lambda items: f"{items:,}" if items else "all")
    forms = dict.fromkeys(COLUMNS[-4:], "{:.2f}") | dict.fromkeys(("gpu_hours", "cpu_hours", "wall_hours"), "{:,.1f}")
    return table.to_string(index=False, formatters={name: form.format for name, form in forms.items()})


def frontier(choices: Sequence[Choice]) -> list[Choice]:
    """Of choices in order of their price those that are more powerful than all cheaper ones."""
    best = np.maximum.accumulate([-1.0, *(choice.power for choice in choices)])
    return [choice for choice, before in zip(choices, best, strict=False) if choice.power > before]


def write_choice(choice: Choice, reason: str, output: Path) -> None:
    """Write the study of a choice, checked as a whole; `UserError` where the file says something else already."""
    config = dict(choice.config)
    read_study(config)
    if output.is_file():
        if read_yaml(output) == config:
            return
        raise UserError(f"{output}: exists already and says something else; delete it, or give another --output.")
    output.parent.mkdir(parents=True, exist_ok=True)
    price, words = choice.price, choice.powers["these"]
    head = [
        "Written by `python -m foundationless design`.",
        f"{reason[0].upper()}{reason[1:]}: {price['gpu_hours']:,.1f} GPU-hours, {price['cpu_hours']:,.1f} core-hours;",
        f"power on these tasks: equivalent {words.equivalent:.2f}, better {words.better:.2f}.",
    ]
    with atomic_path(output) as part:
        part.write_text("".join(f"# {line}\n" for line in head) + yaml_text(config))
