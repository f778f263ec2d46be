"""In-silico mutagenesis: what each substitution of a window does to a model, pretrained above random."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import Tables
from foundationless.reporting.figures.layout import metric_label

POSITIONS = 96  # of the window that are drawn
MOST = 8  # models that fit a page
STRIP_MM = 13.0  # height of one arm's map with its title
ARMS = ("pretrained", "random")
MEASURES = {"shift_max": "Shift, 1 − cosine (max)", "shift_mean": "Shift, 1 − cosine (mean)", "llr": "−LLR"}
MARKS = {"pathogenic": "^", "benign": "o"}


def mutagenesis(tables: Tables) -> Figure:
    """Heat maps (4 bases × positions) of one window: embedding shift and −LLR, per model and arm."""
    title = "In-silico mutagenesis"
    rows, task = _window(tables)
    names = tables.order(rows["model"])
    if not names:
        return style.missing(title, "No maps of analysis mutagenesis.")
    known = [name for name in MEASURES if name in rows and rows[name].notna().any()]
    shifts = [name for name in known if name != "llr"]
    measures = shifts[:1] + known[len(shifts) :]
    if not measures:
        return style.missing(title, "The maps of analysis mutagenesis hold no numbers.")
    start = _densest(rows)
    rows = rows[rows["position"].between(start, start + POSITIONS - 1)]
    open_mark: Any = {"color": style.INK, "linestyle": "none", "markersize": 3, "markerfacecolor": "white"}
    labelled = [label for label in MARKS if (rows["label"] == label).any()]
    handles = [style.handle(marker=MARKS[label], label=label, **open_mark) for label in labelled]
    strips = [(name, arm) for name in names[:MOST] for arm in ARMS if len(_arm(rows, name, arm))]
    caption = (
        f"{tables.task_label(task)}, window {rows['window'].iloc[0]}, positions {start + 1} to "
        f"{int(rows['position'].max()) + 1} of it. Colour: damage by the substitution, from white (0) to the model's "
        "colour; grey: below 0 (ALT is likelier than REF); dots: REF. Each map is scaled to the 99th percentile of its "
        "own magnitudes, so only patterns compare. Numbers are those of all windows and seeds"
        f"{_labelled(tables, task)}, without intervals (scores.csv has them); the maps are of one seed. "
    ) + (f"The first {MOST} of {len(names)} models. " if len(names) > MOST else "")
    figure, body = style.page(
        STRIP_MM * len(strips) + 7, title=title, caption=caption + tables.study, handles=[handles]
    )
    panels = body.subplots(len(strips), len(measures), squeeze=False, sharex=True)
    for place, (line, (name, arm)) in enumerate(zip(panels, strips, strict=True), 1):
        for axes, measure in zip(line, measures, strict=True):
            substitutions = _arm(rows, name, arm)
            values = -substitutions[measure] if measure == "llr" else substitutions[measure]
            _heat(axes, substitutions.assign(damage=values), start, tables.looks[name].color)
            value = _summary(tables, task, name, arm, measure)
            axes.set_title(" · ".join(part for part in (tables.looks[name].label, arm, value) if part), fontsize=6)
            if place == len(strips):
                axes.set_xlabel(f"{MEASURES[measure]}, by position in the window")
    return figure


def _window(tables: Tables) -> tuple[pd.DataFrame, str]:
    """Rows of one window and one seed of the first task with labelled substitutions, else of the first task."""
    rows = tables.substitutions
    rows = rows[rows["init"].isin(ARMS) & rows["task"].isin(tables.tasks["task"])]
    tasks = tables.task_names(rows["task"])
    if not tasks:
        return rows.iloc[:0], ""
    told = [task for task in tasks if rows.loc[rows["task"] == task, "label"].notna().any()]
    task = str((told or tasks)[0])
    rows = rows[rows["task"] == task]
    first = rows.groupby(["model", "init"])["seed"].transform("min")
    return rows[(rows["seed"] == first) & (rows["window"] == rows["window"].iloc[0])], task


def _arm(rows: pd.DataFrame, name: str, arm: str) -> pd.DataFrame:
    return rows[(rows["model"] == name) & (rows["init"] == arm)]


def _densest(rows: pd.DataFrame) -> int:
    """First of the `POSITIONS` positions that hold most labelled substitutions; the middle where none has a label."""
    length = int(rows["position"].max()) + 1
    told = rows[rows["label"].notna()].drop_duplicates("id")["position"]
    starts = max(length - POSITIONS, 0) + 1
    if told.empty:
        return starts // 2
    counts = np.bincount(told, minlength=length)
    return int(np.convolve(counts, np.ones(min(POSITIONS, length)), "valid")[:starts].argmax())


def _heat(axes: Axes, substitutions: pd.DataFrame, start: int, color: str) -> None:
    """One map: rows A, C, G, T, columns positions."""
    end = int(substitutions["position"].max())
    image = np.full((4, end - start + 1), np.nan)
    image[substitutions["alt"].map("ACGT".index), substitutions["position"] - start] = substitutions["damage"]
    reach = float(np.nanquantile(np.abs(image), 0.99)) if np.isfinite(image).any() else 0.0
    ramp = colors.LinearSegmentedColormap.from_list("damage", [style.GREY, "white", color])
    shades = ramp.with_extremes(bad=style.BAND)
    axes.imshow(
        image, cmap=shades, vmin=-(reach or 1), vmax=reach or 1, aspect="auto", interpolation="none",
        extent=(start + 0.5, end + 1.5, 3.5, -0.5),
    )  # fmt: skip
    references = substitutions.drop_duplicates("position")
    axes.plot(references["position"] + 1, references["ref"].map("ACGT".index), ".", color=style.GREY, markersize=0.8)
    for label, mark in MARKS.items():
        told = substitutions[substitutions["label"] == label]
        places = told["alt"].map("ACGT".index)
        axes.plot(told["position"] + 1, places, mark, color=style.INK, markersize=2.2, markerfacecolor="white",
                  markeredgewidth=0.4)  # fmt: skip
    axes.set_yticks(range(4), list("ACGT"), fontsize=5)
    axes.tick_params(axis="both", length=0)
    axes.set_ylim(3.5, -0.5)
    axes.set_xlim(start + 0.5, end + 1.5)


def _labelled(tables: Tables, task: str) -> str:
    """How many labelled substitutions stand behind the numbers, in brackets."""
    every = tables.substitutions[tables.substitutions["task"] == task]
    count = every.loc[every["label"].notna(), ["window", "id"]].drop_duplicates().shape[0]
    return f" (n = {count:,} labelled substitutions in {every['window'].nunique():,} window(s))" if count else ""


def _summary(tables: Tables, task: str, name: str, arm: str, measure: str) -> str:
    """AUROC and correlation of all windows, as the scores have them."""
    scores = tables.scored("mutagenesis")
    mine = scores[(scores["task"] == task) & (scores["model"] == name) & (scores["init"] == arm)]
    mine = mine[mine["measure"] == measure]
    whole = mine[mine["window"] == "all"]
    mine = whole if len(whole) else mine
    found = [
        f"{metric_label([metric])} {value:.2f}"
        for metric in ("auroc", "spearman")
        for value in mine.loc[mine["metric"] == metric, "value"].head(1)
    ]
    return ", ".join(found)
