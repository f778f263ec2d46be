"""How much the paper's own differences vary, and what power a study has if its own vary so, or as a pilot's do."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.evaluation.across_tasks import task_kinds
from foundationless.evaluation.power.components import (
    COMMON_SHARE,
    between_tasks,
    describe,
    read_pilot,
    root,
    scale_of,
)
from foundationless.evaluation.power.designs import describe_power, list_designs, tabulate
from foundationless.evaluation.power.simulation import Components
from foundationless.reporting.paper.published import FINETUNED, PAPER_METRICS, RUNS, read_reported
from foundationless.study.config import read_margins
from foundationless.study.price.workload import Workload

KEYS = ["suite", "task", "metric", "model"]
ARMS = ["pretrained", "random"]


def reported_components(
    reported: pd.DataFrame, tasks: pd.DataFrame, sizes: Mapping[str, Mapping[str, float]]
) -> Components:
    """Components of pretrained minus random in the paper's fine-tuning, pooled over its models.

    `reported`: the paper's numbers. `tasks`: the task table, for families. `sizes`: of test sets, as
    `workload.read_sizes` gives them. Of GUE the paper has means of categories only: they are left out. Families
    and tasks are those of `between_tasks`. A run's variance is the mean square of the reported sds, over three folds,
    which hold the folds' part too: rather too large. Nothing there says how much of it a seed has in common on all
    tasks; `COMMON_SHARE` of it is assumed. The sd of an item follows from the two error rates, if the arms err
    independently of each other; they err on the same items more often than that, so it is rather too large too.
    """
    suites = {experiment: suite for experiment, suite in FINETUNED.items() if suite != "gue"}
    mine = reported[reported["experiment"].isin(suites) & reported["arm"].isin(ARMS)]
    mine = mine.assign(suite=mine["experiment"].map(suites), metric=mine["metric"].replace(PAPER_METRICS))
    arms = mine.pivot_table(index=KEYS, columns="arm", values=["value", "sd"], dropna=False, sort=False)
    arms = arms.dropna(subset=[("value", arm) for arm in ARMS])
    names = arms.index.to_frame(index=False)
    scale = names["metric"].map(scale_of).to_numpy()
    values = arms["value"][ARMS].to_numpy() / scale[:, None]
    errors = 1 - values - (1 - 1 / scale[:, None])  # of MCC: accuracy is (1 + MCC) / 2
    disagree = errors.sum(axis=1) - 2 * errors.prod(axis=1)
    runs = float(np.nanmean((arms["sd"][ARMS].to_numpy() / scale[:, None]) ** 2))
    kinds = tasks.assign(kind=tasks["task"].map(task_kinds(tasks)["family"])).set_index(["suite", "paper_task"])["kind"]
    families = kinds[~kinds.index.duplicated()].reindex(pd.MultiIndex.from_frame(names[["suite", "task"]]))
    rows = np.array([sizes.get(task, {}).get("test", np.inf) for task in names["task"]])
    differences = pd.DataFrame(
        {"model": names["model"], "family": families.fillna(names["task"]).to_numpy(),
         "delta": values[:, 0] - values[:, 1], "noise": disagree / rows + 2 * runs / RUNS}
    )  # fmt: skip
    family, task = between_tasks(differences)
    common, seed = root(COMMON_SHARE * runs), root((1 - COMMON_SHARE) * runs)
    return Components(family, task, common, seed, root(float(disagree.mean())))


def components_of(workload: Workload, reported: Path, pilot: Path | None) -> dict[str, Components]:
    """Components of each analysis that a pilot tells of, and under "" those of the paper, which fill its gaps.

    `reported`: table of the paper's numbers. `pilot`: components.csv of a finished study.
    """
    tasks = pd.DataFrame(list(workload.plan.tasks.values()))
    paper = reported_components(read_reported(reported), tasks, workload.sizes)
    own = read_pilot(pilot, task_kinds(tasks)) if pilot else {}
    return {"": paper} | {name: some.fill(paper) for name, some in own.items()}


def state_power(workload: Workload, reported: Path, pilot: Path | None, difference: float) -> str:
    """Power of every word that a study may earn, in both scopes, and the components that it follows from, as text.

    `reported`: table of the paper's numbers. `pilot`: components.csv of a finished study (None: the paper's alone).
    `difference`: the true one behind the power of `better`.
    """
    plan = workload.plan
    tasks = pd.DataFrame(list(plan.tasks.values()))
    own = read_pilot(pilot, task_kinds(tasks)) if pilot else {}
    designs = list_designs(workload, read_margins(plan.config["statistics"]))
    if not designs:
        return (
            "\nPower: the study compares no pretrained arm with a random one sample by sample (of gene perturbations, "
            "and of labels that are numbers or tracks, nobody has measured the noise)."
        )
    components = components_of(workload, reported, pilot)
    paper = components[""]
    analyses = dict.fromkeys(analysis for analysis, _ in designs)
    lines = [
        "\nPower of a model's word, if arms learn, at 5 % / models (the first of Holm's steps):",
        f"`equivalent` at a difference of 0, `better` at {difference:+g}, and the difference detectable with 80 %.",
        describe_power(tabulate(designs, components, difference)),
        "Assumed standard deviations, in units of accuracy (MCC counts double):",
        f"- the paper's fine-tuning: {describe(paper)}. Seeds: of its three folds, half of their variance taken for "
        "common to all tasks, for its numbers do not tell; test items: as if the arms erred independently.",
    ]
    lines += [
        f"- {name} of the pilot: {describe(own[name])}; the rest, if any, as the paper's."
        for name in analyses
        if name in own
    ]
    if others := ", ".join(sorted(own.keys() - analyses.keys())):
        lines.append(f"- not in this study, and left out of the pilot: {others}.")
    return "\n".join(lines)
