"""What the paper's errors are worth: every defect, the optimism of its selection, and the epoch budget."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.data_and_width import curves
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks

ROW_MM = 5.0
FEW = 12  # rows of one defect whose intervals are drawn
UNITS = {9: "differences of similarities", 10: "shares, and sd of seeds or draws", 11: "half widths"}
LEAST = 0.01  # of the axis of optimism, in units of the metric
DOTS = 400  # rows of one defect that are drawn; beyond, every k-th of the sorted ones


def defects(tables: Tables) -> Figure:
    """Each defect of the paper: score with it minus without it, single comparisons as dots and their median."""
    title = "What the paper's errors change: score with the defect minus score without it"
    differences = tables.extra("defects")
    single = (differences["task"] != "all") & (differences["metric"] != "count")
    differences = differences[single & differences["difference"].notna()]
    if differences.empty:
        return style.missing(title, "No defect of the paper can be shown with these data (defects.csv has no rows).")
    differences = differences.assign(name=differences["what"].str.split(" (", regex=False).str[0])
    groups = [(item, name, part) for (item, name), part in differences.groupby(["item", "name"], sort=False)]
    ends = _reach([part for _, _, part in groups])
    units = {item: UNITS[item] for item, _, _ in groups if item in UNITS}
    caption = (
        "Small marks: one model, arm and task each; lines: their 95 % intervals, where a defect has at most twelve "
        "(arrow: it goes on); black bars: medians. Right: median, and how many intervals exclude 0, of those known. "
        "Numbers on the left are the items of the list in results/README.md. Units: metric of the task"
        f"{''.join(f'; in {item:.0f}, {unit}' for item, unit in units.items())}. {tables.study}"
    )
    looks = (tables.looks[name] for name in tables.order(differences["model"]) if name not in tables.baselines)
    handles = [style.arm_handles(layout.shown_arms(tables, differences)), style.model_handles(looks)]
    figure, body = style.page(12 + ROW_MM * len(groups), title=title, caption=caption, handles=handles)
    axes = body.subplots()
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    for y, (_, _, part) in enumerate(groups):
        _defect(axes, tables, y, part, ends)
    layout.named_rows(axes, [(f"{item:.0f} · {name}", "normal") for item, name, _ in groups], size=6.5)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    others = f"; {', '.join(f'{item:.0f}' for item in units)}: see below" if units else ""
    axes.set_xlabel(f"With the defect minus without (metric of the task{others})")
    axes.set_xlim(*ends)
    return figure


def _reach(parts: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Limits that hold every difference and nine of ten of the intervals that are drawn."""
    drawn = pd.concat([part for part in parts if len(part) <= FEW] or [parts[0].iloc[:0]])
    edges = (drawn["low"].quantile(0.05), drawn["high"].quantile(0.95))
    values = np.concatenate([*(part["difference"] for part in parts), [0.0], [edge for edge in edges if edge == edge]])
    pad = 0.04 * (values.max() - values.min()) or 0.1
    return float(values.min() - pad), float(values.max() + pad)


def _defect(axes: Axes, tables: Tables, y: float, part: pd.DataFrame, ends: tuple[float, float]) -> None:
    part = part.sort_values("difference", kind="stable").reset_index(drop=True)
    known = part.dropna(subset=["low", "high"])
    beyond = int(((known["low"] > 0) | (known["high"] < 0)).sum())
    shown = part.iloc[:: max(1, -(-len(part) // DOTS))]
    spread = np.linspace(-0.28, 0.28, len(shown)) if len(shown) > 1 else np.zeros(1)
    for row, shift in zip(each(shown), spread, strict=True):
        look = tables.looks.get(row.model, style.Look(str(row.model), style.INK, "o"))
        mark = style.filling(look, tables.arm(row)) | {"linestyle": "none", "markersize": 2.4, "markeredgewidth": 0.5}
        if len(part) <= FEW:
            layout.cut_interval(axes, y + shift, row, ends, mark["color"], mark["markersize"])
        axes.plot(row.difference, y + shift, zorder=3, **mark)
    middle = float(part["difference"].median())
    axes.vlines(middle, y - 0.36, y + 0.36, color=style.INK, linewidth=1.2, zorder=4)
    text = f"{middle:+.3f}".replace("-", "−") + (f"; {beyond} of {len(known)}" if len(known) else "")
    axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), fontsize=5.5, va="center")


def optimism(tables: Tables) -> Figure:
    """What choosing runs by their test score adds to each arm of each fine-tuning task."""
    title = "Optimism: runs chosen by their test score against the same runs chosen by validation"
    gains = tables.extra("optimism")
    gains = gains[(gains["analysis"] == "finetune") & gains["versus"].isna()]
    gains = tables.own(of_plain_tasks(gains[gains["optimism"].notna()]))
    if gains.empty:
        return style.missing(title, "No fine-tuned arm has predictions of both selections (optimism.csv).")
    names, tasks = tables.order(gains["model"]), layout.ordered_tasks(tables, gains["task"])
    alike, others = layout.alike(gains)
    means = alike.groupby("init")["optimism"].mean()
    words = ", ".join(f"{init} {mean:+.4f}" for init, mean in means.items()).replace("-", "−")
    caption = (
        "Selection by test score minus selection by validation, same runs, same resamples; lines are 95 % bootstrap "
        f"intervals. Mean over models and tasks: {words}. {others}{_items(gains)}One learning rate leaves nothing to "
        f"choose, and no optimism. {tables.study}"
    )
    handles = [style.arm_handles(layout.shown_arms(tables, gains))]
    figure, body = style.page(layout.grid_height(tasks), title=title, caption=caption, handles=handles)
    panels, heights = layout.task_grid(body, tables, tasks, names)
    for axes, model in zip(panels, names, strict=True):
        look = tables.looks[model]
        axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
        for init, arm in gains[gains["model"] == model].groupby("init"):
            y = arm["task"].map(heights) + layout.offset(str(init), set(gains["init"]))
            style.interval(axes, y, arm["low"], arm["high"], look.color)
            mark = style.filling(look, str(init)) | {"linestyle": "none", "markersize": 3}
            axes.plot(arm["optimism"], y, zorder=3, **mark)
        axes.margins(x=0.08)
    # Where nothing differs the axis still shows what would be a difference, not the rounding of floats.
    low, high = panels[0].get_xlim()
    panels[0].set_xlim(min(low, -LEAST), max(high, LEAST))
    body.supxlabel("Optimism (metric of the task)", fontsize=7)
    return figure


def _items(found: pd.DataFrame) -> str:
    """How many tasks and test items stand behind these rows, in one sentence."""
    words = f"n = {found['task'].nunique()} task(s)"
    if found["n_test"].notna().any():
        words += f" of {layout.span(found['n_test'].dropna())} test items"
    return f"{words}. "


def epochs(tables: Tables) -> Figure:
    """Score against the budget of epochs, both arms."""
    title = "Fine-tuning for longer: score against the budget of epochs"
    found = tables.scored("epochs", plain=False)
    found = tables.own(found[found["epochs"].notna() & (found["derivation"] == "") & found["patience"].isna()])
    found = found.assign(x=found["epochs"].astype(float))
    if found.empty:
        return style.missing(title, "No scores of analysis epochs on tasks named TASK.epN.")
    caption = (
        "Each budget is a schedule of its own (the cosine ends with it); tested at the epoch that validation chose. "
        f"{layout.sizes(found)} {tables.study}"
    )
    return curves(tables, found, title, caption, "Epochs")
