"""What scores took: what pretraining cost, and what it bought."""

import math
import textwrap
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.evaluation.aggregate import across_tasks
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each
from foundationless.reporting.tables.cost_ledger import EMBEDDINGS, PRETRAINED, sets_of_weights
from foundationless.study.names import set_to_read, without
from foundationless.study.vocabulary import (
    ANALYSES,
    CONTROL_ARMS,
    LEARNED_METRICS,
    SELF,
    is_other_pretraining,
    labels_of,
)

TITLE = "Cost · What pretraining took, and what it bought"
SHOWN = {"finetune": "fine-tuning", "biotype": "frozen features", "frozen": "frozen features"}
SHOWN |= {"ancestry": "frozen features", "likelihood": "likelihood ratio"}
UNITS = {"gpu_hours": "GPU-hours", "cpu_hours": "CPU core-hours"}
COLUMNS, PANEL_MM = 3, 52


@dataclass(frozen=True)
class Panel:
    """One family of tasks: points (model, init, value, low, high, cost, pretraining), and arms left out, in words."""

    title: str
    metrics: list[str]
    points: pd.DataFrame
    dropped: list[str]


def cost(tables: Tables) -> Figure:
    """Score against GPU-hours (CPU core-hours where nothing ran on a GPU), a panel per family of tasks."""
    ledger = tables.extra("cost")
    if ledger.empty:
        return style.missing(TITLE, "No costs: cost.csv, the ledger of what every job took, is missing or has no rows.")
    unit = "gpu_hours" if (ledger["gpu_hours"] > 0).any() else "cpu_hours"
    panels = [panel for panel in _panels(tables, ledger, unit) if len(tables.own(panel.points))]
    if not panels:
        analyses = ", ".join(SHOWN)
        return style.missing(TITLE, f"No model has both a score and a cost in any of the analyses {analyses}.")
    shown = pd.concat([panel.points for panel in panels])
    own = tables.own(shown)
    looks = (tables.looks[name] for name in tables.order(own["model"]))
    handles = [style.arm_handles(layout.shown_arms(tables, shown)), style.model_handles(looks)]
    handles[0].append(style.handle(color=style.INK, linewidth=0.6, label="from the random to the pretrained arm"))
    if own["unknown"].any():
        words = "at least: its pretraining was paid elsewhere"
        handles[0].append(style.handle(color=style.INK, marker=">", linestyle="none", markersize=2.5, label=words))
    height = PANEL_MM * math.ceil(len(panels) / COLUMNS)
    caption = _caption(tables, ledger, unit, panels, shown)
    figure, body = style.page(height, title=TITLE, caption=caption, handles=handles)
    columns = min(COLUMNS, len(panels))
    limits = _decades(shown.loc[shown["cost"] > 0, "cost"])
    grid = layout.grid(body, len(panels), columns, sharex=True)
    for place, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
        axes.set_xscale("log")
        axes.set_xlim(limits)
        _draw(axes, tables, panel, limits)
        axes.set_title(textwrap.fill(panel.title, 105 // columns))
        axes.set_ylabel(layout.metric_label(panel.metrics))
        axes.tick_params(axis="x", labelbottom=place + columns >= len(panels))
        axes.xaxis.set_major_locator(ticker.LogLocator(numticks=5))
        axes.xaxis.set_major_formatter(ticker.LogFormatterMathtext())
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())
        axes.grid()
    body.supxlabel(UNITS[unit], fontsize=7)
    return figure


def _decades(values: pd.Series) -> tuple[float, float]:
    """Ends of a logarithmic axis around these numbers, two powers of ten at least between them: its labels."""
    if values.empty:
        return 0.1, 1.0
    low, high = math.log10(values.min() / 1.6), math.log10(values.max() * 1.6)
    if math.floor(high) - math.ceil(low) < 1:
        low, high = math.floor(low), math.floor(low) + max(1, math.ceil(high) - math.floor(low))
    return 10.0**low, 10.0**high


def _draw(axes: Axes, tables: Tables, panel: Panel, limits: tuple[float, float]) -> None:
    for name, part in panel.points.groupby("model", sort=False):
        look = tables.looks[str(name)]
        ends = part.set_index("init").reindex(["random", "pretrained"])
        if name not in tables.baselines and ends["value"].notna().all():
            axes.plot(ends["cost"].clip(lower=limits[0]), ends["value"], "-", color=look.color, linewidth=0.6, zorder=1)
        for point in each(part):
            x, mark = max(point.cost, limits[0]), style.filling(look, tables.arm(point)) | {"linestyle": "none"}
            style.interval(axes, x, point.low, point.high, mark["color"], vertical=True)
            mark |= {"marker": "_"} if name in tables.baselines else {}
            axes.plot(x, point.value, zorder=3, clip_on=False, **mark)
            if point.unknown:
                arrow = {"arrowstyle": "<|-", "color": mark["color"], "linewidth": 0.6, "mutation_scale": 4}
                axes.annotate("", (x, point.value), (9, 0), textcoords="offset points", zorder=2, arrowprops=arrow)


def _panels(tables: Tables, ledger: pd.DataFrame, unit: str) -> list[Panel]:
    """Fine-tuning by suite, then the other analyses, whatever of them has scores and costs."""
    suites = tables.tasks.set_index("task")["suite"]
    found = []
    for analysis, words in SHOWN.items():
        scores = tables.scored(analysis)
        scores = scores[scores["metric"].isin(LEARNED_METRICS) & scores["model"].isin(tables.looks)]
        costs = _own_costs(ledger, analysis, unit)
        by = scores["task"].map(suites).fillna("") if analysis == "finetune" else pd.Series(words, index=scores.index)
        kinds = scores["metric"].map(labels_of)  # correlations and MCC have no mean
        for (name, _), part in scores.groupby([by, kinds], sort=False):
            found.append(_panel(tables, part, costs, pretraining(ledger, unit), words, str(name)))
    return found


def _own_costs(ledger: pd.DataFrame, analysis: str, unit: str) -> pd.Series:
    """Cost of every task, model and arm of an analysis, over seeds, with that of the embeddings that it read."""
    costs = _sums(ledger[ledger["analysis"] == analysis], unit)
    if ANALYSES[analysis].rule == "probe":
        read = _sums(ledger[ledger["analysis"] == EMBEDDINGS], unit)
        costs = costs.add(read.reindex(costs.index, fill_value=0.0))
    return costs.dropna()  # not known where another program computed it


def _sums(jobs: pd.DataFrame, unit: str) -> pd.Series:
    """By task, model and arm; NaN where the cost of a job is not known."""
    return jobs.groupby(["task", "model", "init"])[unit].agg(lambda costs: costs.sum(skipna=False))


def pretraining(ledger: pd.DataFrame, unit: str) -> pd.Series:
    """Cost of pretraining by model, arm and sequence set, which the arm `self` alone has."""
    jobs = ledger.assign(task=sets_of_weights(ledger))
    return jobs[jobs["analysis"] == PRETRAINED].groupby(["model", "init", "task"])[unit].sum()


def pretraining_of(model: str, init: str, tasks: Collection[str], known: pd.Series) -> float:
    """What the weights of an arm took that tasks are asked with, by `pretraining`; NaN where that is not known."""
    own = init if is_other_pretraining(init) else "pretrained"
    if own != init and init not in CONTROL_ARMS:
        return 0.0
    sets = {set_to_read(task) for task in tasks} if own == SELF else {""}
    return float(sum(known.get((without(model, "reading"), own, name), float("nan")) for name in sets))


def _panel(tables: Tables, scores: pd.DataFrame, costs: pd.Series, weights: pd.Series, words: str, suite: str) -> Panel:
    known = [key in costs.index for key in scores[["task", "model", "init"]].itertuples(index=False, name=None)]
    dropped = tables.own(scores[~np.array(known, dtype=bool)])
    left_out = [f"{_name(tables, model)} (no cost in the ledger)" for model in dropped["model"].unique()]
    scores = scores[known]
    arms = tables.own(scores).groupby(["model", "init"])["task"].agg(set)
    tasks = _shared(arms.tolist())
    left_out += [f"{_name(tables, model)} (other tasks)" for model, _ in arms.index[[not tasks <= own for own in arms]]]
    rows = []
    for (model, init), part in scores[scores["task"].isin(tasks)].groupby(["model", "init"], sort=False):
        if set(part["task"]) < tasks:
            continue
        means = part.groupby("task")["value"].mean()
        low, high = float("nan"), float("nan")
        if len(part) == 1:
            low, high = part["low"].iloc[0], part["high"].iloc[0]
        elif len(means) > 2:  # on one degree of freedom the interval leaves the metric's range and says nothing
            over = across_tasks(means.to_numpy())
            low, high = over.low, over.high
        spent = costs.reindex([(task, model, init) for task in tasks]).sum()
        before = pretraining_of(str(model), str(init), tasks, weights)
        rows.append(
            {"model": model, "init": init, "value": means.mean(), "low": low, "high": high}
            | {"cost": spent + (before if before == before else 0.0), "unknown": before != before}
        )
    columns = ["model", "init", "value", "low", "high", "cost", "unknown"]
    return Panel(
        _title(tables, sorted(tasks), words, suite),
        sorted(scores["metric"].unique()),
        pd.DataFrame(rows, columns=columns).astype({"unknown": bool}),
        list(dict.fromkeys(left_out)),
    )


def _shared(arms: list[set[str]]) -> set[str]:
    """Tasks over which arms can be compared: those of all arms that have at least half of them, or the commonest."""
    every = set().union(*arms)
    whole = [tasks for tasks in arms if 2 * len(tasks) >= len(every)]
    if whole and (shared := set.intersection(*whole)):
        return shared
    counts = {task: sum(task in tasks for tasks in arms) for task in every}
    return {task for task, count in counts.items() if count == max(counts.values())}


def _title(tables: Tables, tasks: list[str], words: str, suite: str) -> str:
    if len(tasks) == 1:
        return f"{tables.task_label(tasks[0])}, {words}"
    labels = tables.tasks.set_index("suite")["suite_label"]
    label = str(labels[~labels.index.duplicated()].get(suite, suite)).split(" (")[0]
    label = label[:1].upper() + label[1:]
    return f"{label}{'' if label.lower() == words else f', {words}'} ({len(tasks)}\N{NO-BREAK SPACE}tasks)"


def _name(tables: Tables, model: object) -> str:
    return tables.looks[str(model)].label


def _caption(tables: Tables, ledger: pd.DataFrame, unit: str, panels: list[Panel], shown: pd.DataFrame) -> str:
    spent, pretrained = ledger[unit].sum(), pretraining(ledger, unit).sum()
    energy = ledger["energy_kwh"].sum()
    words = (
        f"Score of an arm against the {UNITS[unit]} that it took over all seeds, folds and learning rates: training or "
        "embedding and probing; of a pretrained arm also the pretraining, which every panel counts whole. "
        f"Lines are 95 % intervals of one task, or over three tasks and more. {layout.TASKS_AS_UNITS} "
        f"All jobs of the study took {_hours(spent)} {UNITS[unit]}, pretraining {_hours(pretrained)} of them"
    )
    words += f"; its GPUs took {energy:.3g} kWh where they tell. " if energy > 0 else ". "
    if unit == "gpu_hours" and (shown["cost"] <= 0).any():
        words += "What took no GPU stands at the left edge. "
    own = tables.own(shown)
    unknown = _listed(tables, own.loc[own["unknown"], "model"])
    words += f"The pretraining of {unknown} was paid elsewhere and is not counted. " if unknown else ""
    dropped = list(dict.fromkeys(f"{words} in {panel.title}" for panel in panels for words in panel.dropped))
    words += f"Left out: {'; '.join(dropped[:6])}{' and others' if len(dropped) > 6 else ''}. " if dropped else ""
    return words + tables.study


def _hours(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _listed(tables: Tables, models: Collection[str]) -> str:
    return ", ".join(dict.fromkeys(_name(tables, model) for model in tables.order(models)))
