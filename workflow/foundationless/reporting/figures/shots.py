"""Few training rows, drawn many times: curves with their bands, the areas under them, and retrieval by nearness."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, probing, style
from foundationless.reporting.figures.data_and_width import ARM_LINES
from foundationless.reporting.figures.inputs import Tables, each

COLUMNS, CURVE_MM, SMALL = 3, 50.0, 5.2
MOST_TASKS, MOST_AREAS, MOST_RANKED = 3, 14, 7  # panels of curves, and rows of the lists below them
RECALL = "recall_fpr05"
FROZEN, TRAINED = WAYS = ("fewshot", "fewshot_finetune")  # how a network learns from few rows, panel by panel
TITLE = {
    False: "Few shots · Frozen features from a few rows a class, and nearness to a few known sites",
    True: "Few shots · Frozen or fine-tuned on a few rows a class, and nearness to a few known sites",
}


def fewshot(tables: Tables) -> Figure:
    """Score against the number of training rows a class, in both arms and baselines; paired areas; retrieval.

    Of a study whose few rows are sets of their own (TASK.shotN) the page of these.
    """
    found = tables.extra("fewshot")
    found = found[found["model"].isin(tables.looks)]
    near = found[found["analysis"] == "retrieval"]
    drawn = found[found["analysis"] != "retrieval"]
    if found.empty:
        return probing.fewshot(tables)
    curves = _curves_of(drawn)
    every = tables.task_names(curves["task"])
    ways = [name for name in WAYS if name in set(curves["analysis"])]
    lists = [_differences(tables, rows) for rows in (drawn[drawn["measure"] == "area"], near[near["metric"] == RECALL])]
    tasks, areas, ranked = every[: MOST_TASKS - len(ways) // 2], lists[0][:MOST_AREAS], lists[1][:MOST_RANKED]
    cut = len(tasks) < len(every) or len(areas) < len(lists[0]) or len(ranked) < len(lists[1])
    rest = "The first tasks and models are shown; fewshot.csv has all." if cut else ""
    panels = [(task, way) for task in tasks for way in ways if _of_panel(curves, task, way).any()]
    columns = min(len(ways) if len(ways) > 1 else COLUMNS, max(1, len(panels)))
    heights = [CURVE_MM * -(-len(panels) // columns)]
    heights += [16 + layout.ROW_MM * len(rows) if rows else 0 for rows in (areas, ranked)]
    if not any(heights):
        return probing.fewshot(tables)
    names = tables.order(found["model"])
    handles: list[list[Any]] = [
        style.arm_handles(layout.shown_arms(tables, found), lines=bool(tasks)),
        style.model_handles(tables.looks[name] for name in names if name not in tables.baselines),
    ]
    margins = found[found["versus"].notna()].replace({"metric": {RECALL: "recall"}})
    handles[0] += [style.band_handle(layout.margin_words(margins))]
    title = TITLE[TRAINED in ways]
    figure, body = style.page(sum(heights), title=title, caption=f"{_caption(tables, found)} {rest}", handles=handles)
    top, middle, bottom = layout.stack(body, heights)
    shown: dict[str, list[Axes]] = {}
    for axes, (task, way) in zip(layout.grid(top, len(panels), columns), panels, strict=True) if top else ():
        _curves(axes, tables, curves[_of_panel(curves, task, way)], names)
        axes.set_title(f"{tables.task_label(task)}{_way(way, len(ways))}")
        shown.setdefault(task, []).append(axes)
    for beside in shown.values():
        ends = [end for axes in beside for end in axes.get_ylim()]
        for axes in beside:
            axes.set_ylim(min(ends), max(ends))
    _rows(middle, tables, areas, drawn[drawn["measure"] == "area"], "Area")
    _rows(bottom, tables, ranked, near[near["metric"] == RECALL], "Recall at 5 % false positives")
    return figure


def _curves_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of arms at numbers of rows."""
    return rows[rows["versus"].isna() & (rows["measure"] == "score")]


def _of_panel(rows: pd.DataFrame, task: str, analysis: str) -> "pd.Series[bool]":
    return (rows["task"] == task) & (rows["analysis"] == analysis)


def _way(analysis: str, ways: int = 2) -> str:
    """What a label adds, where networks learn in several ways."""
    return {FROZEN: ", frozen", TRAINED: ", fine-tuned"}.get(analysis, "") if ways > 1 else ""


def _differences(tables: Tables, rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(task, model, analysis) of every pretrained arm that is compared with something, in order."""
    pairs = rows[rows["versus"].notna() & (rows["init"] == "pretrained")]
    known = set(zip(pairs["task"], pairs["model"], pairs["analysis"], strict=True))
    names, ways = tables.order(pairs["model"]), [*WAYS, "retrieval"]
    every = [(task, name, way) for task in tables.task_names(pairs["task"]) for name in names for way in ways]
    return [one for one in every if one in known]


def _curves(axes: Axes, tables: Tables, rows: pd.DataFrame, names: list[str]) -> None:
    for name in names:
        look = tables.looks[name]
        for init, line in ARM_LINES.items():
            arm = rows[(rows["model"] == name) & (rows["init"] == init)].sort_values("rows")
            if arm.empty:
                continue
            x = arm["rows"].to_numpy(dtype=float)
            mark = style.filling(look, init) | {"linestyle": line}
            low, high = (arm[end].to_numpy(dtype=float) for end in ("low", "high"))
            axes.fill_between(x, low, high, color=mark["color"], alpha=0.12, linewidth=0)
            axes.plot(x, arm["value"], zorder=3, **mark)
    layout.logarithmic(axes, sorted(rows["rows"].astype(float).unique()), size=6.5)
    axes.set_xlabel("Training rows a class")
    axes.set_ylabel(layout.metric_label(rows["metric"]))
    axes.grid(axis="y")


def _rows(strip: object, tables: Tables, places: list[tuple[str, str, str]], rows: pd.DataFrame, title: str) -> None:
    """Left every arm, right the pretrained arm less its random self (mark) and less each baseline (grey tick)."""
    if strip is None:
        return
    values, changes = strip.subplots(1, 2, width_ratios=[1.2, 1])  # type: ignore[attr-defined]
    ways = len({way for *_, way in places})
    ticks = [
        (f"{tables.task_label(task)}: {tables.looks[name].label}{_way(way, ways)}", "normal")
        for task, name, way in places
    ]
    changes.axvline(0, color=style.INK, linewidth=0.6)
    for y, (task, name, way) in enumerate(places):
        of_task = rows[_of_panel(rows, task, way)]
        mine = of_task[of_task["model"].eq(name) | (of_task["init"] == "baseline")]
        shown = {"pretrained", "random"}
        for row in each(mine[mine["versus"].isna()]):
            mark = style.filling(tables.looks[row.model], tables.arm(row))
            place = y + layout.offset(tables.arm(row), shown)
            style.interval(values, place, row.low, row.high, mark["color"])
            values.plot(row.value, place, zorder=3, **(mark | {"linestyle": "none"}))
        pairs = mine[mine["versus"].notna() & (mine["init"] == "pretrained") & (mine["model"] == name)]
        for row in each(pairs):
            own = row.versus == "random"
            mark = style.filling(tables.looks[name], "pretrained" if own else "baseline") | {"linestyle": "none"}
            place = y + (-0.16 if own else 0.16)
            layout.draw_margins(changes, [y], [row.margin])
            style.interval(changes, place, row.low, row.high, mark["color"])
            changes.plot(row.value, place, zorder=3, **mark)
            if own:
                text = f"{layout.signed(row.value, row.low, row.high, 2)} {row.verdict}"
                changes.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL, va="center")
    layout.named_rows(values, ticks)
    layout.named_rows(changes, [("", "normal")] * len(ticks))
    metrics = [name for name in rows["metric"].unique() if name != RECALL]
    values.set_xlabel(f"{title}, {layout.metric_label(metrics)}" if metrics else title)
    changes.set_xlabel("Pretrained less random, less baseline")


def _caption(tables: Tables, found: pd.DataFrame) -> str:
    numbers = {name: layout.span(found[name].dropna()) for name in ("draws", "n_test", "seeds")}
    words = ""
    if (found["analysis"] == "fewshot").any():
        words += (
            "Top: score on the test split of a head on frozen features of a few training rows a class, mean over draws "
            "of these rows (nested, the same for every arm) and seeds; the record's chosen_by says whether anything "
            "chose the head (fixed: nothing, no validation row is read). "
        )
    if (found["analysis"] == TRAINED).any():
        words += (
            "Fine-tuned: the whole network learns from the rows of a draw, for a fixed number of steps at a rate that "
            "they did not choose, and its last weights are tested; its baselines learn from the same rows. "
        )
    if (found["analysis"] == "retrieval").any():
        words += (
            "Recall: share of the sites among the test rows that rank above all but 5 % of the others, by the cosine "
            f"of centred features with {layout.span(found.loc[found['analysis'] == 'retrieval', 'rows'])} known "
            "training sites. "
        )
    return (
        f"{words}Area: mean height over the logarithm of the rows. Bands and lines: 95 % bootstrap intervals over "
        "draws, test items and seeds. Left: every arm; right: "
        "paired differences of the pretrained arm with the model's random self (mark; number and word at the right, "
        "of one number a pair, hence not adjusted) and with each baseline (grey tick). "
        f"n = {numbers['n_test']} test items, {numbers['draws']} draws, {numbers['seeds']} seed(s). {tables.study}"
    )
