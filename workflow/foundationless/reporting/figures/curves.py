"""Areas under learning curves, and the ROC of log-likelihood ratios."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import integrate

from foundationless.evaluation.aggregate import across_tasks
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.data_and_width import at_amounts
from foundationless.reporting.figures.inputs import Tables, each
from foundationless.reporting.figures.style import ARM_LINES

SMALL = 5.2  # points of the numbers beside rows
# Analysis: the axis, the part of a task's name that stands on it, and the words for it.
SOURCES = {
    "lowdata": ("Training data (%)", "percent", "fine-tuning"),
    "fewshot": ("Training rows per class", "shots", "frozen features"),
}
ROW_MM, CURVE_MM, ROC_MM = 3.6, 38.0, 17.0
MOST_TASKS = 4  # columns of the grid of ROC curves


@dataclass(frozen=True)
class Area:
    """Area under the learning curves of one model: mean of each arm over tasks, and the paired difference."""

    model: str
    tasks: int
    metrics: list[str]
    x: np.ndarray
    curves: dict[str, np.ndarray]  # of each arm: [x], means over tasks
    means: dict[str, float]
    delta: float
    low: float
    high: float


def learning_curves(tables: Tables) -> Figure:
    """Score against the amount of training data, mean over tasks, and the area under the curves of both arms."""
    title = "Learning curves · Does pretraining save data?"
    found = {analysis: _areas(tables, analysis) for analysis in SOURCES}
    areas = {analysis: group for analysis, (group, _) in found.items() if group}
    if not areas:
        return style.missing(
            title, "No model has both arms at every share or number of training rows (analyses lowdata and fewshot)."
        )
    every = [area for group in areas.values() for area in group]
    names = tables.order(area.model for area in every)
    counts = [str(number) for number in sorted({area.tasks for area in every})]
    caption = (
        "Top: mean score over tasks and draws of the training rows. Bottom: area under a model's curves over log x, as "
        "the mean height (filled: pretrained, open: random). Numbers: difference of the areas, pretrained minus "
        "random, with its 95 % interval: Student's t over tasks where there are three or more, else the mean of the "
        "bootstrap intervals over items and seeds as if they were fully dependent, which is too wide rather than too "
        f"narrow. {layout.TASKS_AS_UNITS} n = {' or '.join(counts)} task(s) a model, those with both arms at "
        f"every x. {''.join(dict.fromkeys(left for _, left in found.values()))}{tables.study}"
    )
    lines = sum(len(group) + 1 for group in areas.values())
    heights = [CURVE_MM, 11 + ROW_MM * lines]
    handles = [style.arm_handles(lines=True), style.model_handles(tables.looks[name] for name in names)]
    figure, body = style.page(sum(heights), title=title, caption=caption, handles=handles, width_mm=style.ONE_COLUMN)
    top, bottom = layout.stack(body, heights)
    for axes, (analysis, group) in zip(top.subplots(1, len(areas), squeeze=False)[0], areas.items(), strict=True):
        _curves(axes, tables, group)
        axes.set_xlabel(SOURCES[analysis][0])
        axes.set_title(SOURCES[analysis][2].capitalize())
        axes.set_ylabel(layout.metric_label(group[0].metrics))
    _area_rows(bottom.subplots(), tables, areas)
    return figure


def _areas(tables: Tables, analysis: str) -> tuple[list[Area], str]:
    """Areas of every model, over the tasks in which both its arms have every x that any arm of the task has.

    And what is said of tasks with metrics of another kind, which no mean holds.
    """
    scores = tables.own(tables.scored(analysis, plain=False))
    scores = scores[scores["init"].isin(ARM_LINES) & scores["model"].isin(tables.looks)]
    scores, left = layout.alike(at_amounts(scores, SOURCES[analysis][1]))
    if scores.empty:
        return [], ""
    pairs = tables.comparisons[tables.comparisons["versus"] == "random"]
    if analysis == "lowdata":  # the whole training set: of the same analysis, which has its own epochs, if it is there
        whole = tables.own(tables.scored("lowdata", "finetune"))
        whole = whole[whole["task"].isin(scores["base_task"]) & whole["model"].isin(scores["model"])]
        whole = whole[whole["init"].isin(ARM_LINES)].sort_values("analysis", ascending=False, kind="stable")
        whole = whole.drop_duplicates(["task", "model", "init"])
        scores = pd.concat([scores, whole.assign(x=100.0)], ignore_index=True)
    pairs = pairs[["analysis", "task", "model", "delta", "low", "high"]]
    deltas = scores.merge(pairs, on=["analysis", "task", "model"], suffixes=("_score", ""))
    drawn = scores.groupby(["model", "base_task", "init", "x"], as_index=False).agg(
        value=("value", "mean"), metric=("metric", "first")
    )
    changes = deltas.groupby(["model", "base_task", "x"])[["delta", "low", "high"]].mean()
    grids = {str(task): sorted(part["x"].unique()) for task, part in drawn.groupby("base_task")}
    areas = []
    for name in tables.order(drawn["model"]):
        mine = drawn[drawn["model"] == name].set_index(["base_task", "init", "x"])["value"]
        whole_tasks = [
            task for task, grid in grids.items()
            if len(grid) > 1
            and all((task, init, x) in mine.index for init in ARM_LINES for x in grid)
            and all((name, task, x) in changes.index for x in grid)
        ]  # fmt: skip
        # A mean over tasks is one curve only where all stand on the same grid: the commonest of them.
        wanted = max((grids[task] for task in whole_tasks), key=[grids[t] for t in whole_tasks].count, default=[])
        whole_tasks = [task for task in whole_tasks if grids[task] == wanted]
        if not whole_tasks:
            continue
        weights = _weights(wanted)
        curves = {
            init: np.array([[mine[task, init, x] for x in wanted] for task in whole_tasks]).mean(axis=0)
            for init in ARM_LINES
        }
        by_task = np.array([changes.loc[[(name, task, x) for x in wanted]].to_numpy() for task in whole_tasks])
        differences = np.einsum("txc,x->tc", by_task, weights)  # [tasks, (delta, low, high)]
        delta, low, high = differences.mean(axis=0)
        if len(whole_tasks) > 2:
            over = across_tasks(differences[:, 0])
            low, high = over.low, over.high
        metrics = drawn.loc[drawn["base_task"].isin(whole_tasks) & (drawn["model"] == name), "metric"].tolist()
        means = {init: float(curve @ weights) for init, curve in curves.items()}
        areas.append(Area(name, len(whole_tasks), metrics, np.array(wanted), curves, means, delta, low, high))
    return areas, left


def _weights(grid: list[float]) -> Any:
    """Weights [x] of the trapezoidal rule over log x, which sum to 1: the area as the curve's mean height."""
    return integrate.trapezoid(np.eye(len(grid)), np.log(grid)) / np.log(grid[-1] / grid[0])


def _curves(axes: Axes, tables: Tables, areas: list[Area]) -> None:
    spread = np.linspace(-0.04, 0.04, max(2, len(areas)))
    for area, shift in zip(areas, spread, strict=False):
        for init, line in ARM_LINES.items():
            mark = style.filling(tables.looks[area.model], init) | {"linestyle": line, "markersize": 2.8}
            axes.plot(area.x * (1 + shift), area.curves[init], zorder=3, **(mark | {"linewidth": 0.7}))
    layout.logarithmic(axes, sorted({x for area in areas for x in area.x}))
    axes.grid(axis="y")


def _area_rows(axes: Axes, tables: Tables, areas: dict[str, list[Area]]) -> None:
    """A row per model under a heading for each analysis: both areas, and the difference in words at the right."""
    ticks: list[tuple[str, str]] = []
    for analysis, group in areas.items():
        ticks.append((f"Area, {SOURCES[analysis][2]}", "bold"))
        for area in group:
            y, look = len(ticks), tables.looks[area.model]
            ticks.append((look.label, "normal"))
            axes.plot(list(area.means.values()), [y, y], color=look.color, linewidth=0.6, zorder=1)
            for init in ("random", "pretrained"):
                axes.plot(area.means[init], y, zorder=3, **(style.filling(look, init) | {"linestyle": "none"}))
            text = layout.signed(area.delta, area.low, area.high)
            axes.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL, va="center")
    layout.named_rows(axes, ticks)
    metrics = [metric for group in areas.values() for area in group for metric in area.metrics]
    axes.set_xlabel(f"Mean height of the curve, {layout.metric_label(metrics)}")


def roc(tables: Tables) -> Figure:
    """ROC of −LLR with its bootstrap band, the same with the sign turned, and AUROCs with intervals."""
    title = "ROC of log-likelihood ratios, in both signs"
    curves = tables.extra("roc")
    ratios = tables.own(tables.scored("likelihood"))
    ratios = ratios[(ratios["metric"] == "auroc") & ratios["init"].isin(ARM_LINES)]
    curves = curves[(curves["analysis"] == "likelihood") & curves["model"].isin(tables.looks)]
    curves = curves[curves["init"].isin(ARM_LINES)].dropna(subset=["tpr"])
    if curves.empty or ratios.empty:
        return style.missing(title, "No ROC curves of analysis likelihood (roc.csv), or no AUROCs beside them.")
    tasks = tables.task_names({*curves["task"]} & {*ratios["task"]})
    kept, tasks = len(tasks), tasks[:MOST_TASKS]
    curves, ratios = (frame[frame["task"].isin(tasks)] for frame in (curves, ratios))
    names = tables.order([*curves["model"], *ratios["model"]])
    if not names or not tasks:
        return style.missing(title, "No task of analysis likelihood has both ROC curves (roc.csv) and AUROCs.")
    caption = (
        "Variants ranked by −LLR: the less likely ALT is than REF, the more damaging. Bands and lines: 95 % bootstrap "
        "intervals over variants (curves pointwise) and seeds. Thin dotted: the pretrained arm ranked by +LLR, which "
        "is the curve turned by half a turn; small crosses: AUROC of that sign, 1 − AUROC. Grey: chance. TPR and FPR: "
        "true and false positive rate. "
        f"{layout.sizes(ratios).split('; lines')[0].replace('test items', 'variants')}. {tables.study}"
    )
    if kept > len(tasks):
        caption += f" The first {len(tasks)} of {kept} sets are shown; roc.csv has all."
    turned = {"marker": "x", "markersize": 2.5, "markeredgewidth": 0.6, "linestyle": ":", "linewidth": 0.7}
    cross = style.handle(label="+LLR", color=style.INK, **turned)
    heights = [8 + max(ROC_MM, 0.62 * (style.ONE_COLUMN - 12) / len(tasks) if len(names) < 3 else 0) * len(names),
               11 + ROW_MM * len(names)]  # fmt: skip
    handles = [[*style.arm_handles(lines=True), cross]]
    figure, body = style.page(sum(heights), title=title, caption=caption, handles=handles, width_mm=style.ONE_COLUMN)
    rows_mm = [*[heights[0] / len(names)] * len(names), heights[1]]
    panels = body.subplots(len(names) + 1, len(tasks), squeeze=False, height_ratios=rows_mm)
    for line, name in zip(panels, names, strict=False):
        for axes, task in zip(line, tasks, strict=True):
            _roc(axes, tables, curves[(curves["task"] == task) & (curves["model"] == name)], name)
            axes.tick_params(labelbottom=name == names[-1], labelleft=axes is line[0], labelsize=SMALL)
        line[0].set_ylabel(tables.looks[name].label.replace(" ", "\n", 1), fontsize=5.5, fontweight="bold",
                           color=tables.looks[name].color)  # fmt: skip
        line[0].annotate("TPR", (0, 0.5), (-6, 0), xycoords="axes fraction", textcoords="offset points",
                         fontsize=SMALL, rotation=90, ha="center", va="center")  # fmt: skip
    for axes, task in zip(panels[0], tasks, strict=True):
        axes.set_title(tables.task_label(task).replace(" ", "\n", 1), fontsize=5.5)
    for axes in panels[-2]:
        axes.set_xlabel("FPR", fontsize=5.5, labelpad=1)
    for axes, task in zip(panels[-1], tasks, strict=True):
        _aurocs(axes, tables, ratios[ratios["task"] == task], names, labels=axes is panels[-1][0])
        _chance_ticks(axes, 5 if len(tasks) == 1 else 3)
    return figure


def _roc(axes: Axes, tables: Tables, curves: pd.DataFrame, name: str) -> None:
    """Both arms of one model on one set: share of pathogenic variants found against share of benign ones taken."""
    color = tables.looks[name].color
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.5, zorder=1)
    for init, line in ARM_LINES.items():
        arm = curves[curves["init"] == init].sort_values("fpr")
        axes.fill_between(arm["fpr"], arm["low"], arm["high"], color=color, linewidth=0, zorder=1,
                          alpha=0.3 if init == "pretrained" else 0.12)  # fmt: skip
        axes.plot(arm["fpr"], arm["tpr"], color=color, linestyle=line, linewidth=0.8, zorder=3)
        if init == "pretrained":
            axes.plot(1 - arm["fpr"], 1 - arm["tpr"], color=color, linestyle=":", linewidth=0.7, zorder=2)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 1), yticks=(0, 1))


def _aurocs(axes: Axes, tables: Tables, ratios: pd.DataFrame, names: list[str], *, labels: bool) -> None:
    layout.model_rows(axes, tables, ratios, names, labels=labels)
    for row in each(ratios):
        y = names.index(row.model) + layout.offset(row.init, ())
        axes.plot(1 - row.value, y, "x", color=tables.looks[row.model].color, markersize=2, markeredgewidth=0.5)
    for line in axes.lines:
        line.set_markersize(min(line.get_markersize(), 3))
    axes.axvline(0.5, color=style.GREY, linewidth=0.5, zorder=1)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("AUROC", fontsize=5.5, labelpad=1)


def _chance_ticks(axes: Axes, most: int) -> None:
    """At most so many ticks of x, of which chance, 0.5, is one."""
    low, high = axes.get_xlim()
    for step in (0.02, 0.05, 0.1, 0.2, 0.25, 0.5):
        below, above = int((0.5 - low) / step + 1e-9), int((high - 0.5) / step + 1e-9)
        if below + above < most:
            break
    axes.set_xticks([0.5 + step * place for place in range(-below, above + 1)])
    axes.set_xlim(low, high)
