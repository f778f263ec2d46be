"""Score and depth: what every layer of a frozen network is worth in both arms, and what the best ones change."""

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks
from foundationless.study.vocabulary import ANALYSES

COLUMNS, MOST_ANALYSES = 4, 2
MOST_MODELS = {1: 8, 2: 4}  # of an analysis, by how many analyses a page has room for
PANEL_MM, ROW_MM = 40, 5.0
ARMS = ("pretrained", "random")
BELOW = 0.14  # of a panel: room under the curves for the layers that were chosen
SHIFTS = {"chosen": -0.17, "last": 0.17}  # places within a row of differences


def layers(tables: Tables) -> Figure:
    """Validation score against depth, a panel per model; differences with the chosen and with the last layers."""
    title = "Layers · Score of frozen features against depth, both arms"
    found = tables.extra("layers")
    found = of_plain_tasks(tables.own(found[(found["split"] == "validation") & found["value"].notna()]))
    found = found[found["model"].isin(tables.looks) & found["init"].isin(ARMS)]
    if found.empty:
        return style.missing(
            title, "No analysis of frozen features kept inner layers (`layers:` of a study; layers.csv)."
        )
    shown = [name for name in ANALYSES if name in set(found["analysis"])][:MOST_ANALYSES]
    found, others = layout.alike(found[found["analysis"].isin(shown)])
    shown = [name for name in shown if name in set(found["analysis"])]
    # What the paper misread has a model beside it, whose curve says more; a width at random is compared with none.
    published = tables.models.loc[tables.models["reading"].eq("published"), "model"]
    both = found.groupby(["analysis", "model"])["init"].transform("nunique") == len(ARMS)
    read = next(part for part in (found[both & found["model"].isin(published)], found[both], found) if len(part))
    counted = {name: tables.order(read.loc[read["analysis"] == name, "model"]) for name in shown}
    names = {name: models[: MOST_MODELS[len(shown)]] for name, models in counted.items()}
    left = sum(len(models) for models in counted.values()) - sum(len(models) for models in names.values())
    heights = []
    for name in shown:
        heights += [6 + PANEL_MM * -(-len(names[name]) // COLUMNS), 12 + ROW_MM * len(names[name])]
    chosen = style.handle(color=style.INK, marker="^", linestyle="none", label="layers that validation chose")
    figure, body = style.page(
        sum(heights),
        title=title,
        caption=_caption(tables, found, left, others),
        handles=[[*style.arm_handles(ARMS, lines=True), chosen]],
    )
    strips = layout.stack(body, heights)
    for i, name in enumerate(shown):
        _curves(strips[2 * i], tables, found[found["analysis"] == name], names[name], name)
        _differences(strips[2 * i + 1], tables, names[name], name)
    return figure


def _caption(tables: Tables, found: pd.DataFrame, left: int, others: str) -> str:
    """What every mark, interval and n is."""
    tasks, items = found["task"].nunique(), found["n"].dropna()
    counted = f"n = {layout.span(items)} validation items a task, {layout.span(found['seeds'].dropna())} seed(s). "
    return (
        "Curves: score of the best head and pooling on each layer on the validation split (0: the embedding; 1: the "
        f"last layer), mean over {tasks} task(s) and seeds; bands: 95 % bootstrap intervals over items and seeds, "
        "tasks taken as fixed. A curve is what chose, so that its highest point is too high by the choice; the test "
        f"split was read for the layer chosen and the last alone. {counted if len(items) else ''}"
        "Triangles below: layers that validation chose (filled: pretrained, open: random), larger where more tasks and "
        "seeds chose them. Below: difference of the arms on the test split over all tasks (these tasks), filled with "
        "the layer chosen for each arm, open with the last layer of both; lines: 95 % intervals, grey: equivalence. "
        "Words as in across_tasks.csv and last_layer.csv, adjusted for the models (Holm). "
        f"{f'{left} further models are in layers.csv alone. ' if left else ''}{others}{tables.study}"
    )


def _over_tasks(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over tasks of the values of an arm's layers, with the interval of the mean of independent tasks."""
    values = rows.astype(dict.fromkeys(("value", "low", "high", "depth", "chosen"), float))
    squared = values.assign(below=(values["value"] - values["low"]) ** 2, above=(values["high"] - values["value"]) ** 2)
    mean = squared.groupby("depth").agg(
        value=("value", "mean"), below=("below", "sum"), above=("above", "sum"), chosen=("chosen", "sum"),
        tasks=("value", "size"),
    ).reset_index()  # fmt: skip
    half = {side: np.sqrt(mean[side]) / mean["tasks"] for side in ("below", "above")}
    return mean.assign(low=mean["value"] - half["below"], high=mean["value"] + half["above"])


def _curves(strip: SubFigure, tables: Tables, rows: pd.DataFrame, names: list[str], analysis: str) -> None:
    panels = layout.grid(strip, len(names), min(COLUMNS, max(3, len(names))), sharex=True, sharey=True)
    label = layout.metric_label(rows["metric"])
    arms = {(name, arm): rows[(rows["model"] == name) & (rows["init"] == arm)] for name in names for arm in ARMS}
    curves = {arm: _over_tasks(part) for arm, part in arms.items() if len(part)}
    ends = pd.concat([pd.concat([curve["low"], curve["high"]]) for curve in curves.values()])
    span = max(1e-3, float(ends.max() - ends.min()))
    floor = float(ends.min()) - BELOW * span
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        look = tables.looks[name]
        axes.set_title(textwrap.fill(look.label, 24), color=look.color, fontweight="bold", fontsize=6.5)
        axes.grid(visible=True)
        for k, arm in enumerate(ARMS):
            if (name, arm) in curves:
                _curve(axes, look, arm, curves[name, arm], floor - (0.03 + 0.13 * k) * span)
        axes.set_xlim(-0.06, 1.06)
        axes.set_ylim(floor - 0.22 * span, float(ends.max()) + 0.05 * span)
        if place % COLUMNS == 0:
            axes.set_ylabel(f"{label}\n({analysis}, validation)")
        axes.set_xlabel("Depth (layer ÷ last layer)")


def _curve(axes: Axes, look: style.Look, arm: str, curve: pd.DataFrame, place: float) -> None:
    """One arm: curve, band and, at height `place`, the layers that were chosen."""
    mark: Any = style.filling(look, arm) | {"markersize": 3}
    fill = 0.16 if arm == "pretrained" else 0.06
    axes.fill_between(curve["depth"], curve["low"], curve["high"], color=look.color, alpha=fill, linewidth=0)
    for side in ("low", "high"):
        axes.plot(
            curve["depth"], curve[side], color=look.color, linewidth=0.4, linestyle=style.ARM_LINES[arm], alpha=0.6
        )
    axes.plot(curve["depth"], curve["value"], linestyle=style.ARM_LINES[arm], zorder=3, **mark)
    won = curve[curve["chosen"] > 0]
    sizes = 6 + 30 * won["chosen"] / max(1.0, float(curve["chosen"].sum()))
    face = look.color if arm == "pretrained" else "white"
    axes.scatter(won["depth"], np.full(len(won), place), s=sizes, marker="^", facecolor=face, edgecolor=look.color,
                 linewidth=0.7, zorder=3)  # fmt: skip


def _differences(strip: SubFigure, tables: Tables, names: list[str], analysis: str) -> None:
    """A row per model: the difference of the arms with the layer chosen for each, and with the last ones."""
    axes = strip.subplots()
    sources = {"chosen": tables.evidence, "last": tables.extra("last_layer")}
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    for kind, rows in sources.items():
        mine = of_plain_tasks(rows[rows["analysis"].eq(analysis) & rows["versus"].eq("random")])
        mine = mine[mine["suite"].eq("all") & mine["family"].fillna("").eq("") & mine["scope"].eq("these")]
        for row in each(mine[mine["model"].isin(names)]):
            y = names.index(row.model) + SHIFTS[kind]
            color = tables.looks[row.model].color
            layout.draw_margins(axes, [y], [row.margin], half=0.17)
            style.interval(axes, y, row.low, row.high, color)
            face = color if kind == "chosen" else "white"
            axes.plot(row.delta, y, "o", color=color, markerfacecolor=face, markersize=3.2, zorder=3)
            text = f"{'layers chosen' if kind == 'chosen' else 'last layers'}: {row.verdict}"
            axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), fontsize=5.2, va="center")
    layout.label_models(axes, tables, names)
    axes.set_xlabel(f"Pretrained minus random, {analysis}, test split (above 0: pretraining helps)")
