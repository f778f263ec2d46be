"""Fine-tuning: both arms on the three benchmarks, their paired differences, and the verdict over all tasks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from foundationless.figures import rows as layout
from foundationless.figures import style
from foundationless.figures.tables import SUITES, Tables, each
from foundationless.statistics import across_tasks

SUITE_TITLES = {"nt": "Figure 8", "gue": "Figure 9", "gb": "Figure 10"}


def means(tables: Tables) -> Figure:
    """Figure 1: pretrained against random on each benchmark, tasks as dots and means over tasks with intervals."""
    title = "Figure 1 · Pretrained against random initialisation"
    found = tables.scored("finetune")
    suites = tables.tasks.set_index("task")["suite"]
    found = found.assign(suite=found["task"].map(suites))
    found = found[found["suite"].isin(SUITES)]
    if found.empty:
        return style.missing(title, "No scores of fine-tuning (analysis finetune) on the NT, GUE or GB tasks.")
    names = tables.order(found["model"])
    own = tables.order(tables.own(found)["model"])
    caption = (
        "Large marks: mean over the tasks of a benchmark with 95 % t intervals over three or more tasks; small "
        f"marks: single tasks (mean over seeds and folds). {tables.study}"
    )
    present = [suite for suite in SUITES if (found["suite"] == suite).any()]
    arms = style.arm_handles(layout.shown_arms(tables, found))
    handles = [arms, style.model_handles([tables.looks[name] for name in own])]
    figure, body = style.page(62, title=title, caption=caption, handles=handles)
    with style.sheet():
        panels = np.atleast_1d(body.subplots(1, len(present), sharey=True))
        for axes, suite in zip(panels, present, strict=True):
            part = found[found["suite"] == suite]
            _mean_panel(axes, tables, part, names)
            count = part["task"].nunique()
            axes.set_title(f"{_suite_label(tables, suite)} ({count} task{'s' if count > 1 else ''})")
            axes.set_ylabel(layout.metric_label(sorted(part["metric"].unique())))
    return figure


def _mean_panel(axes, tables: Tables, part: pd.DataFrame, names: list[str]) -> None:
    for place, name in enumerate(names):
        for init, values in part[part["model"] == name].groupby("init")["value"]:
            arm = "baseline" if name in tables.baselines else str(init)
            x = place + {"pretrained": -0.18, "random": 0.18}.get(arm, 0.0)
            look = tables.looks[name]
            color = style.GREY if arm == "baseline" else look.color
            jitter = np.linspace(-0.08, 0.08, len(values)) if len(values) > 1 else np.zeros(1)
            axes.plot(x + jitter, values, "o", markersize=1.6, color=color, alpha=0.35, markeredgewidth=0, zorder=1)
            over = across_tasks(values.to_numpy())
            if len(values) > 2:  # on one degree of freedom the interval leaves the metric's range and says nothing
                style.interval(axes, x, over.low, over.high, color, vertical=True)
            mark = style.filling(look, arm) | ({"marker": "_"} if arm == "baseline" else {})
            axes.plot(x, over.mean, zorder=3, **mark)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(
        range(len(names)), [tables.looks[name].label for name in names], rotation=45, ha="right", rotation_mode="anchor"
    )
    axes.grid(axis="y")


def _suite_label(tables: Tables, suite: str) -> str:
    return str(tables.tasks.loc[tables.tasks["suite"] == suite, "suite_label"].iloc[0]).split(" (")[0]


def suite(tables: Tables, name: str) -> Figure:
    """Figures 8 to 10: both arms of every model on every task of a benchmark, by group of tasks."""
    members = tables.tasks.loc[tables.tasks["suite"] == name, "task"]
    label = _suite_label(tables, name) if len(members) else name
    title = f"{SUITE_TITLES[name]} · {label}: every task"
    found = tables.scored("finetune")
    found = found[found["task"].isin(members)]
    own, others = tables.own(found), tables.others(found)
    if own.empty:
        return style.missing(title, f"No scores of fine-tuning (analysis finetune) on tasks of the suite {name}.")
    names, tasks = tables.order(own["model"]), layout.ordered_tasks(tables, own["task"].tolist())
    metrics = own.groupby("task")["metric"].first()
    caption = f"Grey ticks: baselines (the same in every panel). {layout.sizes(own)} {tables.study}"
    figure, body = style.page(
        layout.grid_height(tasks),
        title=title,
        caption=caption,
        handles=[style.arm_handles(layout.shown_arms(tables, found))],
    )
    with style.sheet():
        panels, heights = layout.task_grid(body, tables, tasks, names)
        for axes, model in zip(panels, names, strict=True):
            look = tables.looks[model]
            axes.plot(others["value"], others["task"].map(heights), zorder=1, **style.filling(look, "baseline"))
            mine = own[own["model"] == model].assign(y=lambda rows: rows["task"].map(heights))
            ends = mine.groupby("y")["value"].agg(["min", "max"])
            axes.hlines(ends.index, ends["min"], ends["max"], color=look.color, linewidth=0.5, alpha=0.5, zorder=1)
            for init, arm in mine.groupby("init"):
                style.interval(axes, arm["y"], arm["low"], arm["high"], look.color)
                mark = style.filling(look, str(init)) | {"linestyle": "none", "markersize": 3.2}
                axes.plot(arm["value"], arm["y"], zorder=3, **mark)
            axes.margins(x=0.08)
        body.supxlabel(layout.metric_label(sorted(metrics.unique())), fontsize=7)
    return figure


def best_random(tables: Tables) -> Figure:
    """Figure 7: each pretrained model against the best random model of the task, and against its own random arm."""
    title = "Figure 7 · Difference to the best random model, and the paired difference"
    found = tables.comparisons
    plain = (found["analysis"] == "finetune") & (found["init"] == "pretrained")
    found = found[
        plain & ~found["task"].str.contains(".", regex=False) & found["versus"].isin(["random", "best_random"])
    ]
    known = set(tables.tasks.loc[tables.tasks["suite"].isin(SUITES), "task"])
    found = found[found["task"].isin(known)]
    if found.empty:
        return style.missing(title, "No paired comparisons of fine-tuned pretrained and random arms.")
    names, tasks = tables.order(found["model"]), layout.ordered_tasks(tables, found["task"].tolist())
    margin = float(found["margin"].max())
    caption = (
        "Filled: pretrained minus the random arm of the same model (paired). Grey diamonds: pretrained minus the best "
        "random arm of any model on that task, chosen on the test set (an oracle, the study's way). "
        f"{layout.sizes(found)} {tables.study}"
    )
    own, oracle = style.arm_handles()
    own.set_label("to its own random arm")
    oracle.set(label="to the best random model", marker="D", color=style.GREY, markerfacecolor="white")
    handles = [[own, oracle, style.band_handle(margin)]]
    figure, body = style.page(layout.grid_height(tasks), title=title, caption=caption, handles=handles)
    with style.sheet():
        panels, heights = layout.task_grid(body, tables, tasks, names)
        for axes, model in zip(panels, names, strict=True):
            look = tables.looks[model]
            axes.axvspan(-margin, margin, color=style.BAND, zorder=0)
            axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
            mine = found[found["model"] == model].assign(y=lambda rows: rows["task"].map(heights))
            for versus, rows in mine.groupby("versus"):
                mark = style.filling(look, "pretrained") | {"linestyle": "none", "markersize": 3}
                if versus == "best_random":
                    mark |= {"color": style.GREY, "marker": "D", "markerfacecolor": "white"}
                y = rows["y"] + (0.2 if versus == "best_random" else -0.2)
                style.interval(axes, y, rows["low"], rows["high"], mark["color"])
                axes.plot(rows["delta"], y, zorder=3, **mark)
        body.supxlabel("Difference in score (metric of the task)", fontsize=7)
    return figure


def forest(tables: Tables) -> Figure:
    """The verdict: mean paired difference over tasks per model, with its interval and the equivalence band."""
    title = "Does pretraining pay? Mean difference over fine-tuning tasks"
    found = tables.across[(tables.across["suite"] == "all") & tables.across["versus"].isin(["random", "baseline"])]
    found = found[~found["model"].isin(tables.baselines)]
    if found.empty:
        return style.missing(title, "No model has both arms, or an arm and a baseline, on any fine-tuning task.")
    names = tables.order(found["model"])
    margin = float(found["margin"].max())
    references = [name for name in ("random", "baseline") if (found["versus"] == name).any()]
    caption = (
        "Pretrained minus reference, mean over tasks with 95 % t intervals over tasks (n tasks); wins: tasks with a "
        "positive difference; p: Wilcoxon signed-rank test, adjusted over models by Holm's method. Tasks "
        f"that share data are counted as separate ones, so intervals are optimistic. {tables.study}"
    )
    figure, body = style.page(
        14 + 5.5 * len(names), title=title, caption=caption, handles=[[style.band_handle(margin)]]
    )
    headings = {"random": "against its own random initialisation", "baseline": "against the best cheap baseline"}
    with style.sheet():
        panels = np.atleast_1d(body.subplots(1, len(references), sharey=True))
        for axes, versus in zip(panels, references, strict=True):
            axes.axvspan(-margin, margin, color=style.BAND, zorder=0)
            axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
            for row in each(found[found["versus"] == versus]):
                y, look = names.index(row.model), tables.looks[row.model]
                style.interval(axes, y, row.low, row.high, look.color)
                axes.plot(row.delta, y, zorder=3, **style.filling(look, "pretrained"))
                p = f", p = {row.p_holm:.2g}" if np.isfinite(row.p_holm) else ""
                text = f"{row.wins}/{row.n} wins{p}\n{row.verdict}"
                axes.annotate(
                    text, (1.01, y), xycoords=("axes fraction", "data"), fontsize=5.5, va="center", linespacing=1.0
                )
            axes.set_title(headings[versus])
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_yticks(range(len(names)), [tables.looks[name].label for name in names])
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel("Mean difference in score")
            axes.grid(axis="x")
            axes.margins(x=0.1)
    return figure
