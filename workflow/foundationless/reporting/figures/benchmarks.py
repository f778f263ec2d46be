"""Fine-tuning: both arms on the three benchmarks, their paired differences, and the verdict over all tasks."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.evaluation.aggregate import across_tasks
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import SUITES, Tables, each, of_plain_tasks
from foundationless.study.vocabulary import OUTPUT_METRICS

PLACES = {"pretrained": -0.18, "random": 0.18}  # of an arm beside its model's tick
OF_CATEGORIES = {"linestyle": "none", "markersize": 3.2}
EXPERIMENTS = ("nt_finetune", "gue_finetune", "gb_finetune")
CROWD, CLOSE = 20, 5.2  # so many names below a panel are written this small
SUITE_TITLES = {"nt": "Figure 8", "gue": "Figure 9", "gb": "Figure 10"}


def means(tables: Tables) -> Figure:
    """Figure 1: pretrained against random on each benchmark, tasks as dots and means over tasks with intervals."""
    title = "Figure 1 · Pretrained against random initialisation"
    scores = tables.scored("finetune")
    suites = tables.tasks.set_index("task")["suite"]
    scores = scores.assign(suite=scores["task"].map(suites))
    scores = scores[scores["suite"].isin(SUITES) & ~scores["metric"].isin(OUTPUT_METRICS)]
    if scores.empty:
        return style.missing(title, "No scores of fine-tuning (analysis finetune) on the NT, GUE or GB tasks.")
    names = tables.order(scores["model"])
    own = tables.order(tables.own(scores)["model"])
    present = [suite for suite in SUITES if (scores["suite"] == suite).any()]
    sizes = scores.groupby("suite")["task"].nunique()
    counts = ", ".join(f"{sizes[suite]} ({_suite_label(tables, suite)})" for suite in present)
    printed = _paper_means(tables, scores)
    caption = (
        "Large marks: mean over the tasks of a benchmark with 95 % t intervals over three or more tasks; small "
        f"marks: single tasks (mean over seeds and folds). {layout.TASKS_AS_UNITS} n = {counts} "
        f"tasks; {layout.sizes(scores).split(';')[0]}. "
        "No test: the arms of a model are paired; comparisons.csv tests their differences on each task, verdict_forest "
        f"over tasks. {_paper_words(tables, printed)} {tables.study}"
    )
    arms = style.arm_handles(layout.shown_arms(tables, scores)) + style.reported_handles(set(printed["arm"]))
    handles = [arms, style.model_handles(tables.looks[name] for name in own)]
    body_mm = 62 if len(names) < 10 else 70 if len(names) <= CROWD else 78  # names of baselines take room
    figure, body = style.page(body_mm, title=title, caption=caption, handles=handles)
    panels = np.atleast_1d(body.subplots(1, len(present), sharey=True))
    for axes, suite in zip(panels, present, strict=True):
        part = scores[scores["suite"] == suite]
        _mean_panel(axes, tables, part, names)
        for row in each(printed[(printed["suite"] == suite) & printed["model"].isin(names)]):
            axes.plot(names.index(row.model) + PLACES[row.arm], row.reported, zorder=4, **style.reported(row.arm))
        axes.set_title(f"{_suite_label(tables, suite)} ({sizes[suite]} task{'s' if sizes[suite] > 1 else ''})")
        axes.set_ylabel(layout.metric_label(sorted(part["metric"].unique())))
    return figure


def _paper_scores(tables: Tables, tasks: Iterable[str]) -> pd.DataFrame:
    """The paper's scores of these tasks, task by task, of both arms."""
    found = layout.paper_numbers(tables, *EXPERIMENTS)
    return found[found["task"].isin(set(tasks)) & found["arm"].isin(PLACES)]


def _paper_categories(tables: Tables) -> pd.DataFrame:
    """The paper's means of GUE categories (it prints no single tasks of GUE), with ours of the same category."""
    found = tables.extra("figure_09_categories").rename(columns={"init": "arm", "reported_source": "source"})
    return found[found["model"].isin(tables.looks) & found["arm"].isin(PLACES)]


def _paper_means(tables: Tables, shown: pd.DataFrame) -> pd.DataFrame:
    """Mean of the paper's scores per suite, model and arm, of the tasks that it reports and we ran."""
    single = _paper_scores(tables, shown["task"])
    single = single.assign(suite=single["task"].map(tables.tasks.set_index("task")["suite"]), weight=1.0)
    several = _paper_categories(tables).dropna(subset="reported")
    several = several[~several["model"].isin(single.loc[single["suite"] == "gue", "model"])]
    several = several.assign(suite="gue", weight=several["tasks"])
    both = pd.concat([part for part in (single, several) if len(part)] or [single], ignore_index=True)
    both = both.assign(weighted=both["reported"] * both["weight"])
    table = both.groupby(["suite", "model", "arm"], sort=False).agg(
        weighted=("weighted", "sum"), weight=("weight", "sum"), source=("source", "first")
    )
    return table.assign(reported=table["weighted"] / table["weight"]).reset_index()


def _paper_words(tables: Tables, printed: pd.DataFrame) -> str:
    words = layout.paper_words(tables, printed)
    return words.replace("as the paper printed them", "means of what the paper printed for these tasks")


def _mean_panel(axes: Axes, tables: Tables, part: pd.DataFrame, names: list[str]) -> None:
    for place, name in enumerate(names):
        for init, values in part[part["model"] == name].groupby("init")["value"]:
            arm = "baseline" if name in tables.baselines else str(init)
            x = place + PLACES.get(arm, 0.0)
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
    labels, size = [tables.looks[name].label for name in names], CLOSE if len(names) > CROWD else None
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=size)
    axes.grid(axis="y")


def _suite_label(tables: Tables, suite: str) -> str:
    return str(tables.tasks.loc[tables.tasks["suite"] == suite, "suite_label"].iloc[0]).split(" (")[0]


def suite(tables: Tables, name: str) -> Figure:
    """Figures 8 to 10: both arms of every model on every task of a benchmark, by group of tasks."""
    members = tables.tasks.loc[tables.tasks["suite"] == name, "task"]
    label = _suite_label(tables, name) if len(members) else name
    title = f"{SUITE_TITLES[name]} · {label}: every task"
    scores = tables.scored("finetune")
    scores = scores[scores["task"].isin(members) & ~scores["metric"].isin(OUTPUT_METRICS)]
    own, others = tables.own(scores), tables.others(scores)
    if own.empty:
        return style.missing(title, f"No scores of fine-tuning (analysis finetune) on tasks of the suite {name}.")
    names, tasks = tables.order(own["model"]), layout.ordered_tasks(tables, own["task"])
    metrics = own.groupby("task")["metric"].first()
    printed, categories = _paper_scores(tables, tasks["task"]), _paper_categories(tables)
    firsts = tasks.drop_duplicates("group").set_index("group")["task"]
    categories = categories.assign(first=categories["group"].map(firsts)).dropna(subset="first")
    categories = categories[categories["model"].isin(names) & (name == "gue")]
    drawn = pd.concat(
        [part[["arm", "model", "source", "reported"]] for part in (printed, categories) if len(part)] or [printed]
    )
    caption = (
        f"Grey ticks: baselines (the same in every panel). {layout.sizes(own)} No test here: figure 7 has the paired "
        f"differences. {layout.paper_words(tables, drawn.dropna(subset='reported'))} "
    )
    if len(categories):
        caption += "In the rows of headings: means over the tasks of the category, without intervals. "
    arms = style.arm_handles(layout.shown_arms(tables, scores)) + style.reported_handles(set(drawn["arm"]))
    figure, body = style.page(layout.grid_height(tasks), title=title, caption=caption + tables.study, handles=[arms])
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
        for init, arm in printed[printed["model"] == model].groupby("arm"):
            y = arm["task"].map(heights) + 0.28  # below ours, which it would hide
            axes.plot(arm["reported"], y, zorder=4, **style.reported(str(init)))
        for init, arm in categories[categories["model"] == model].groupby("arm"):
            y = arm["first"].map(heights) - 1  # the row of the heading
            axes.plot(arm["mean"], y, zorder=3, **(style.filling(look, str(init)) | OF_CATEGORIES))
            axes.plot(arm["reported"], y + 0.28, zorder=4, **style.reported(str(init)))
        axes.margins(x=0.08)
    body.supxlabel(layout.metric_label(sorted(metrics.unique())), fontsize=7)
    return figure


def best_random(tables: Tables) -> Figure:
    """Figure 7: each pretrained model against the best random model of the task, and against its own random arm."""
    title = "Figure 7 · Difference to the best random model, and the paired difference"
    pairs = tables.comparisons
    pairs = of_plain_tasks(pairs[(pairs["analysis"] == "finetune") & (pairs["init"] == "pretrained")])
    pairs = pairs[pairs["versus"].isin(["random", "best_random"])]
    known = set(tables.tasks.loc[tables.tasks["suite"].isin(SUITES), "task"])
    pairs = pairs[pairs["task"].isin(known) & ~pairs["metric"].isin(OUTPUT_METRICS)]
    if pairs.empty:
        return style.missing(title, "No paired comparisons of fine-tuned pretrained and random arms.")
    names, tasks = tables.order(pairs["model"]), layout.ordered_tasks(tables, pairs["task"])
    printed = _paper_differences(tables, tasks["task"])
    printed = printed[printed["model"].isin(names)]
    caption = (
        "Filled: pretrained minus the random arm of the same model (paired). Grey diamonds: pretrained minus the best "
        "random arm of any model on that task, chosen on the test set (an oracle, the paper's way). "
        f"{layout.sizes(pairs)} No test is drawn: comparisons.csv has those of every pair, verdict_forest over tasks. "
        f"{_paper_words(tables, printed).replace('means', 'differences')} {tables.study}"
    )
    own, oracle = style.arm_handles()
    own.set_label("to its own random arm")
    oracle.set(label="to the best random model", marker="D", color=style.GREY, markerfacecolor="white")
    crosses = style.reported_handles({"pretrained"} if len(printed) else ())
    handles = [[own, oracle, style.band_handle(layout.margin_words(pairs)), *crosses]]
    figure, body = style.page(layout.grid_height(tasks), title=title, caption=caption, handles=handles)
    panels, heights = layout.task_grid(body, tables, tasks, names)
    for axes, model in zip(panels, names, strict=True):
        look = tables.looks[model]
        axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
        mine = pairs[pairs["model"] == model].assign(y=lambda rows: rows["task"].map(heights))
        bands = mine.drop_duplicates("y")
        layout.draw_margins(axes, bands["y"], bands["margin"])
        for versus, rows in mine.groupby("versus"):
            mark = style.filling(look, "pretrained") | {"linestyle": "none", "markersize": 3}
            if versus == "best_random":
                mark |= {"color": style.GREY, "marker": "D", "markerfacecolor": "white"}
            y = rows["y"] + (0.2 if versus == "best_random" else -0.2)
            style.interval(axes, y, rows["low"], rows["high"], mark["color"])
            axes.plot(rows["delta"], y, zorder=3, **mark)
        for versus, rows in printed[printed["model"] == model].groupby("versus"):
            y = rows["task"].map(heights) + (0.2 if versus == "best_random" else -0.2)
            axes.plot(rows["reported"], y, zorder=4, **(style.reported() | {"markersize": 2.6}))
    body.supxlabel("Difference in score (metric of the task)", fontsize=7)
    return figure


def _paper_differences(tables: Tables, tasks: Iterable[str]) -> pd.DataFrame:
    """The paper's pretrained score minus its random one, and minus the best random one of the task (`versus`)."""
    found = _paper_scores(tables, tasks)
    keys = ["task", "model"]
    random = found[found["arm"] == "random"].drop_duplicates(keys)
    own = found[found["arm"] == "pretrained"].drop_duplicates(keys)
    own = own.assign(best=own["task"].map(random.groupby("task")["reported"].max()))
    own = own.merge(random[[*keys, "reported"]].rename(columns={"reported": "random"}), on=keys, how="left")
    parts = [
        own.assign(versus=versus, reported=own["reported"] - own[column])
        for versus, column in (("random", "random"), ("best_random", "best"))
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset="reported")
