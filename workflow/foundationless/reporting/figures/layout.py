"""Two layouts that most figures share: one row per model, and tasks in rows by models in columns."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import Tables, each
from foundationless.study.vocabulary import CLASSES, LABELS, METRICS, labels_of

SUITE_SHORT = {"nt": "NT", "gue": "GUE", "gb": "GB"}
TASKS_AS_UNITS = "Intervals over tasks take these as independent; those of verdict_forest do not."
SMALLER = (
    "Models here are smaller ones of the same architectures, or pretrained here, not the published checkpoints: these "
    "numbers neither confirm nor refute theirs."
)
ROW_MM = 4.2  # height of one row of text and marks


def sizes(rows: pd.DataFrame) -> str:
    """How much stands behind scores or comparisons: test items, groups, seeds and folds, in one sentence."""
    if rows["n_test"].isna().all():
        return ""
    words = [f"n = {span(rows['n_test'])} test items per task"]
    grouped = rows[rows["groups"] < rows["n_test"]]
    words += [f"{span(grouped['groups'])} groups where items are dependent"] if len(grouped) else []
    words += [f"{span(rows['seeds'])} seed(s)", f"{span(rows['folds'])} fold(s)"]
    return ", ".join(words) + "; lines are 95 % bootstrap intervals over items (or groups) and seeds."


def paper_numbers(tables: Tables, *experiments: str) -> pd.DataFrame:
    """What the paper printed for our tasks in these experiments: task, model, arm, reported, source, same_model."""
    rows = tables.extra("reported_comparison")
    return rows[rows["experiment"].isin(experiments) & rows["reported"].notna() & rows["model"].isin(tables.looks)]


def paper_words(tables: Tables, printed: pd.DataFrame) -> str:
    """Sentence of a caption on the paper's numbers (rows of reported_comparison.csv); nothing where there are none."""
    if printed.empty:
        return ""
    sources = ", ".join(dict.fromkeys(str(source) for source in printed["source"].dropna()))
    words = f"Crosses: as the paper printed them ({sources}), without intervals."
    return words if same_models(tables, printed["model"]) else f"{words} {SMALLER}"


def same_models(tables: Tables, names: Iterable[str]) -> bool:
    """Whether all models are the published ones, not smaller ones of the same architecture (`hyenadna.mini`)."""
    return bool((tables.models.loc[tables.models["model"].isin(set(names)), "size"] == "").all())


def span(values: pd.Series) -> str:
    """`3` or `3–5`: the range of whole numbers."""
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def margin_words(rows: pd.DataFrame) -> str:
    """Equivalence margins of these rows (columns metric, margin) in words: `±0.04 (MCC), ±0.02 (accuracy)`."""
    known = rows.dropna(subset=["margin"]).drop_duplicates(["margin", "metric"])
    said = known.groupby("margin", sort=False)["metric"]
    return ", ".join(f"±{margin:.3g} ({metric_names(metrics)})" for margin, metrics in said)


def draw_margins(axes: Axes, places: Iterable[float], margins: Iterable[float], half: float = 0.5) -> None:
    """The equivalence band of every row at its place: rows of other metrics have other margins."""
    for y, margin in zip(places, margins, strict=True):
        if np.isfinite(margin):
            axes.fill_betweenx([y - half, y + half], -margin, margin, color=style.BAND, linewidth=0, zorder=0)


def alike(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows whose metrics score the kind of labels that most tasks have, and a sentence on the others, if there are any.

    A mean of MCC and correlations is a value of neither.
    """
    kinds = rows["metric"].map(lambda metric: labels_of(str(metric)) or CLASSES)
    counts = rows.groupby(kinds)["task"].nunique()
    if len(counts) < 2:
        return rows, ""
    kind = max(counts.index, key=lambda name: (counts[name], -[*LABELS].index(name)))
    others = rows[kinds != kind]
    return rows[kinds == kind], f"Left out of means, for other metrics: tasks of {metric_names(others['metric'])}. "


def metric_names(metrics: Iterable[str]) -> str:
    """Metrics in words, each once."""
    return ", ".join(METRICS[name].label if name in METRICS else name for name in dict.fromkeys(metrics))


def metric_label(metrics: Iterable[str]) -> str:
    """Axis label for one or several metrics; `Score (...)` for several."""
    text = metric_names(metrics)
    return f"Score ({text})" if "," in text else text[:1].upper() + text[1:]


def shown_arms(tables: Tables, *frames: pd.DataFrame) -> set[str]:
    """Arms that these rows hold, baselines (in whatever arm) as `baseline`."""
    own = {init for rows in frames for init in tables.own(rows)["init"]}
    return own | ({"baseline"} if any(len(tables.others(rows)) for rows in frames) else set())


def offset(init: str, shown: Collection[str]) -> float:
    """Place of an arm within a model's row, in rows: pretrained above, random below, controls between them."""
    arms = [arm for arm in style.ARMS if arm in shown or arm in ("pretrained", "random")]
    return 0.16 * (2 * arms.index(init) - len(arms) + 1) / (len(arms) - 1) ** 0.5 if init in arms else 0.0


def model_rows(axes: Axes, tables: Tables, rows: pd.DataFrame, names: Sequence[str], *, labels: bool = True) -> None:
    """Dot plot of one task: a row per model of `names`, pretrained above random, baselines as grey ticks."""
    arms = set(rows["init"])
    for place, name in enumerate(names):
        for row in each(rows[rows["model"] == name]):
            mark = style.filling(tables.looks[name], tables.arm(row))
            y = place + offset(tables.arm(row), arms)
            style.interval(axes, y, row.low, row.high, mark["color"])
            axes.plot(row.value, y, zorder=3, **mark)
    label_models(axes, tables, names, labels=labels)


def label_models(axes: Axes, tables: Tables, names: Sequence[str], *, labels: bool = True) -> None:
    """A row for each of `names` from the top down, with or without their labels."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [tables.looks[name].label for name in names] if labels else [])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def paper_rows(axes: Axes, printed: pd.DataFrame, names: Sequence[str], arms: Collection[str]) -> None:
    """The paper's numbers (columns model, init, reported) in the rows of `model_rows` with these `arms`."""
    for init, rows in printed[printed["model"].isin(names)].groupby("init"):
        y = rows["model"].map(names.index) + offset(str(init), arms)
        axes.plot(rows["reported"], y, zorder=4, **style.reported(str(init)))


def task_grid(
    body: SubFigure, tables: Tables, tasks: pd.DataFrame, names: Sequence[str]
) -> tuple[list[Axes], dict[str, float]]:
    """Panels of models side by side over shared rows of tasks, with a bold heading above each group of tasks.

    Returns the panels (one per model) and the height of each task's row.
    """
    panels = list(np.atleast_1d(body.subplots(1, len(names), sharex=True, sharey=True)))
    for axes, name in zip(panels, names, strict=True):
        label = tables.looks[name].label if len(names) < 6 else tables.looks[name].label.replace(" ", "\n", 1)
        axes.set_title(label, color=tables.looks[name].color, fontweight="bold", fontsize=6.5)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0, labelsize=6)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(2 if len(names) > 5 else 4))
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}".replace("-", "−")))
    return panels, headed_rows(panels[0], tables, tasks)


def headed_rows(axes: Axes, tables: Tables, tasks: pd.DataFrame, size: float = 6.0) -> dict[str, float]:
    """Rows of tasks under a bold heading for each group; the height of each task's row."""
    ticks: list[tuple[str, str]] = []
    heights = {}
    for group, members in tasks.groupby("group", sort=False):
        ticks.append((str(group), "bold"))
        for task in members["task"]:
            heights[task] = float(len(ticks))
            ticks.append((tables.task_label(task), "normal"))
    named_rows(axes, ticks, size)
    axes.set_ylim(len(ticks) - 0.4, -0.6)
    return heights


def grid_height(tasks: pd.DataFrame) -> float:
    """Height in mm of a `task_grid` body."""
    rows = len(tasks) + tasks["group"].nunique()
    return 14 + rows * (ROW_MM if rows <= 45 else 3.3)


def ordered_tasks(tables: Tables, names: Iterable[str]) -> pd.DataFrame:
    """Task rows with the tasks of a group together, groups in the order of their first task.

    Where several suites meet, a group's name says its suite: the same marks stand in two of them.
    """
    frame = tables.task_rows(names)
    if frame["suite"].nunique() > 1:
        short = frame["suite"].map(SUITE_SHORT).fillna(frame["suite"].str.capitalize())
        frame["group"] = frame["group"].where(frame["group"] == short, short + ": " + frame["group"])
    first = frame.groupby("group")["place"].transform("min")
    return frame.assign(first=first).sort_values(["first", "place", "task"]).reset_index(drop=True)


def stack(body: SubFigure, heights: Sequence[float]) -> list[Any]:
    """Parts of the body, one below the other; None for a height of 0."""
    used = [height for height in heights if height]
    parts: Any = body.subfigures(len(used), 1, height_ratios=used, squeeze=False)
    left = iter(parts[:, 0])
    return [next(left) if height else None for height in heights]


def grid(body: SubFigure, count: int, columns: int, **sharing: Any) -> list[Axes]:
    """So many panels in rows of `columns`; the rest of the last row stays blank."""
    panels = body.subplots(-(-count // columns), columns, squeeze=False, **sharing).ravel()
    for axes in panels[count:]:
        axes.set_axis_off()
    return list(panels[:count])


def cut_interval(axes: Axes, y: float, row: Any, ends: tuple[float, float], color: str, size: float) -> None:
    """The interval of a row as far as the panel goes, with an arrow at an end that lies beyond it."""
    style.interval(axes, y, max(row.low, ends[0]), min(row.high, ends[1]), color)
    for beyond, end, marker in ((row.low < ends[0], ends[0], "<"), (row.high > ends[1], ends[1], ">")):
        if beyond:
            axes.plot(end, y, marker, color=color, markersize=size, clip_on=False, zorder=3)


def named_rows(axes: Axes, ticks: Sequence[tuple[str, str]], size: float = 6.0) -> None:
    """Labels (text, weight) of rows from the top down, and room for each of them."""
    axes.set_ylim(len(ticks) - 0.5, -0.6)
    axes.set_yticks(range(len(ticks)), [text for text, _ in ticks])
    for label, (_, weight) in zip(axes.get_yticklabels(), ticks, strict=True):
        label.set_fontweight(weight)
    axes.tick_params(axis="y", length=0, labelsize=size)
    axes.grid(visible=True, axis="x")


def signed(value: float, low: float, high: float, digits: int = 3) -> str:
    """A difference with its interval in words: `+0.041 [+0.020, +0.062]`; no bracket where there is none."""
    text = f"{value:+.{digits}f}"
    if np.isfinite([low, high]).all():
        text += f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return text.replace("-", "−")


def logarithmic(axes: Axes, ticks: Sequence[float], size: float = 6.0) -> None:
    """A logarithmic axis of x with these ticks alone, without those that would touch the one before."""
    axes.set_xscale("log")
    apart = 0.055 * np.log(max(ticks) / min(ticks))
    kept: list[float] = []
    for tick in sorted(ticks):
        if not kept or np.log(tick / kept[-1]) >= apart:
            kept.append(tick)
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(kept) > 4 else {}
    axes.set_xticks(kept, [f"{tick:g}" for tick in kept], fontsize=size, **turned)
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.margins(x=0.12)
