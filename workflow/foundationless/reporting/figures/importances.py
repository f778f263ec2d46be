"""What the best baseline of each task went by: its largest weights, task by task."""

from typing import Any

import pandas as pd
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks
from foundationless.reporting.figures.layout import grid, grid_height, headed_rows, metric_names, ordered_tasks
from foundationless.study.vocabulary import CLASSIFICATIONS

PANELS = 16  # tasks that have a panel each; more of them have a row each
BARS, CELLS = 8, 4  # features of a panel, and of a row
BAR_MM = 2.5  # height of a feature in a panel
LONGEST = {True: 18, False: 8}  # letters of a class in a panel, and in a row
SMALL = 5.2  # points
KINDS = {
    "coefficient": "coefficient of a standardised feature",
    "gain": "summed gain of all splits on a feature",
    "impurity": "mean decrease of impurity",
    "nats": "log-odds of a class against the others, times how often a training sequence has the feature",
    "information": "information about the class, beyond what is asked before",
}
FILLED = {"for": style.INK, "against": "white", "all": "#b5b5b5"}
MEANT = {
    "for": "speaks for the class in brackets, or the second of two",
    "against": "speaks against it",
    "all": "of all classes at once",
}
SHADES = colors.LinearSegmentedColormap.from_list("weight", ["white", "#b5b5b5"])


def importances(tables: Tables) -> Figure:
    """The largest weights of the baseline that validation found best, as bars, or as a row where tasks are many."""
    title = "What the best baseline of each task goes by"
    rows = _shown(tables)
    if rows.empty:
        return style.missing(title, "No weights of baselines (importances.csv).")
    tasks = ordered_tasks(tables, rows["task"])
    panels = len(tasks) <= PANELS
    most = BARS if panels else CELLS
    parts = {task: _largest(rows[rows["task"] == task], most, LONGEST[panels]) for task in tasks["task"]}
    sides = set(pd.concat(parts.values())["side"])
    handles = [
        Patch(facecolor=FILLED[side], edgecolor=style.INK, linewidth=0.4, label=MEANT[side])
        for side in FILLED if side in sides and panels
    ]  # fmt: skip
    how = (
        f"Bars: the {most} largest weights, each panel scaled to its own largest, which the axis names."
        if panels
        else f"In each row the {most} largest weights; shade: share of the largest. +: {MEANT['for']}; "
        f"−: {MEANT['against']}; no sign: {MEANT['all']}."
    )
    analysis = rows["analysis"].iloc[0]
    caption = (
        f"{'' if analysis == 'finetune' else f'Analysis {analysis}. '}Of the baselines that have weights of features, "
        f"the one that is best on validation, with its score there ({metric_names(rows['metric'].dropna())}). {how} "
        f"Weights: {'; '.join(KINDS.get(kind, kind) for kind in dict.fromkeys(rows['kind']))}. 17:GT: the word GT that "
        "starts at position 17 (centre and end: counted from there). Of one fit, without interval or test: alike "
        f"features share their weight, and a large one is no cause. {tables.study}"
    )
    if panels:
        columns = min(4, max(2, len(tasks)))
        height = -(-len(tasks) // columns) * (11 + BAR_MM * most) + 4
        figure, body = style.page(height, title=title, caption=caption, handles=[handles])
        for axes, part in zip(grid(body, len(tasks), columns), parts.values(), strict=True):
            _panel(axes, tables, part, most)
    else:
        figure, body = style.page(grid_height(tasks), title=title, caption=caption)
        _rows(body, tables, tasks, parts)
    return figure


def _shown(tables: Tables) -> pd.DataFrame:
    """Rows of whole tasks of fine-tuning, or without any of the first analysis that has some."""
    rows = of_plain_tasks(tables.extra("importances"))
    rows = rows[rows["importance"].notna() & rows["model"].isin(tables.looks)]
    rows = rows[rows["task"].isin(tables.task_names(rows["task"]))]
    present = [analysis for analysis in CLASSIFICATIONS if (rows["analysis"] == analysis).any()]
    return rows[rows["analysis"] == present[0]] if present else rows.iloc[:0]


def _largest(part: pd.DataFrame, most: int, longest: int) -> pd.DataFrame:
    """The `most` largest weights of a task with their `size`, their `side` and their `name`, the class in brackets."""
    part = part.assign(size=part["importance"].abs(), group=part["class"].fillna("").astype(str))
    several = part["group"].nunique() > 1
    part = part.sort_values("size", ascending=False, kind="stable").head(most)
    sides = ["all" if not row.group else "for" if row.importance > 0 else "against" for row in each(part)]
    names = [f"{row.feature} ({row.group[:longest]})" if several else str(row.feature) for row in each(part)]
    return part.assign(side=sides, name=names)


def _score(row: Any) -> str:
    return "" if pd.isna(row.validation) else f"{row.validation:.2f}".replace("-", "−")


def _panel(axes: Axes, tables: Tables, part: pd.DataFrame, most: int) -> None:
    """Bars of a task, the largest on top."""
    for place, row in enumerate(each(part)):
        axes.barh(place, row.size, 0.72, color=FILLED[row.side], edgecolor=style.INK, linewidth=0.4)
    largest = float(part["size"].max())
    axes.set_ylim(most - 0.4, -0.6)
    axes.set_yticks(range(len(part)), part["name"], fontsize=SMALL)
    axes.set_xlim(0, 1.04 * largest or 1.0)
    axes.set_xticks([0, largest], ["0", f"{largest:.2g}"], fontsize=SMALL)
    axes.tick_params(axis="y", length=0, pad=1)
    first = next(each(part))
    look = tables.looks[str(first.model)]
    axes.set_title(f"{tables.task_label(str(first.task))}\n{look.label} {_score(first)}", fontsize=5.8, pad=2)


def _rows(body: SubFigure, tables: Tables, tasks: pd.DataFrame, parts: dict[str, pd.DataFrame]) -> None:
    """A row per task: the baseline, its score, and its largest weights as words, shaded by their size."""
    axes = body.subplots()
    heights = headed_rows(axes, tables, tasks)
    axes.grid(visible=False)
    start, wide = 1.7, 1.0
    for task, y in heights.items():
        part = parts[task]
        first, largest = next(each(part)), float(part["size"].max()) or 1.0
        axes.text(0.02, y, tables.looks[str(first.model)].label, va="center", fontsize=SMALL)
        axes.text(start - 0.08, y, _score(first), va="center", ha="right", fontsize=SMALL)
        for place, row in enumerate(each(part)):
            shade = SHADES(row.size / largest)
            axes.barh(y, wide, 0.86, left=start + place * wide, color=shade, edgecolor="white", linewidth=0.6)
            sign = {"for": "+ ", "against": "− ", "all": ""}[row.side]
            axes.text(start + (place + 0.5) * wide, y, sign + row.name, va="center", ha="center", fontsize=SMALL)
    axes.set_xlim(0, start + CELLS * wide)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
