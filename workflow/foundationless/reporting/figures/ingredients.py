"""What of pretraining helps: the gain of a model by its controls, and its score along its own pretraining."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each
from foundationless.study.vocabulary import INGREDIENTS, SELF

COLUMNS, MOST_TASKS = 3, 9
ROW_MM = 8.0
WORDS = {
    "all": "everything:\npretrained − random",
    "embedding table": "embedding table:\nembedding − random",
    "weight statistics": "weight statistics:\npermuted − random",
    "genome statistics": "genome statistics:\ndinucleotide − random",
    "genome order": "genome order:\npretrained − dinucleotide",
    "task sequences": "the task's own sequences:\nself − random",
    "beyond the task": "beyond the task's own:\npretrained − self",
}
OWN = "Self: pretrained alike on nothing but the task's training sequences, without their labels; with what the genome "
OWN += "adds to them it adds up to everything. "


def _shown(tables: Tables, table: str, column: str) -> tuple[pd.DataFrame, list[str], int]:
    """Rows of a table whose column is known, of the first tasks; these tasks, and how many more there are."""
    rows = tables.extra(table)
    rows = rows[rows["model"].isin(tables.looks) & rows[column].notna()]
    tasks = tables.task_names(rows["task"])
    return rows[rows["task"].isin(tasks[:MOST_TASKS])], tasks[:MOST_TASKS], len(tasks) - MOST_TASKS


def ingredients(tables: Tables) -> Figure:
    """Paired differences that stand for what pretraining brings, one row each, models side by side."""
    title = "What of pretraining helps"
    rows, tasks, left = _shown(tables, "ingredients", "delta")
    if rows.empty:
        return style.missing(title, "No paired differences of analysis ingredients (ingredients.csv).")
    names = tables.order(rows["model"])
    shown = [name for name in INGREDIENTS if name in set(rows["ingredient"])]
    said = rows["init"].eq(SELF).any()
    caption = (
        "Difference of two arms of a model, trained alike. Embedding: the pretrained table of token embeddings, "
        "all else random. Permuted: pretrained values, their order within each tensor drawn. Dinucleotide: pretrained "
        "alike on the same corpus with its dinucleotides shuffled. Genome statistics and genome order add up to "
        f"everything; embedding table and weight statistics overlap with them. {OWN if said else ''}"
        "Bands: differences that count as none. "
        f"{layout.sizes(rows)} {f'{left} further tasks are in ingredients.csv alone. ' if left > 0 else ''}"
        f"{tables.study}"
    )
    lines = -(-len(tasks) // COLUMNS)
    handles = [style.model_handles(tables.looks[name] for name in names)]
    height = lines * (14 + ROW_MM * len(shown) * max(1.0, len(names) / 4))
    figure, body = style.page(height, title=title, caption=caption, handles=handles)
    panels = layout.grid(body, len(tasks), min(COLUMNS, max(2, len(tasks))))
    for place, (axes, task) in enumerate(zip(panels, tasks, strict=True)):
        part = rows[rows["task"] == task]
        margins = part.groupby("ingredient")["margin"].first().reindex(shown)
        layout.draw_margins(axes, range(len(shown)), margins)
        axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
        for row in each(part):
            shift = 0.7 * ((names.index(row.model) + 0.5) / len(names) - 0.5)
            y = shown.index(row.ingredient) + shift
            mark = style.filling(tables.looks[row.model], "pretrained")
            style.interval(axes, y, row.low, row.high, mark["color"])
            axes.plot(row.delta, y, zorder=3, **mark)
        first = place % COLUMNS == 0
        axes.set_yticks(range(len(shown)), [WORDS[name] for name in shown] if first else [])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_title(tables.task_label(task))
        axes.set_xlabel(f"Difference in {layout.metric_names(part['metric'].unique())}")
    return figure


def pretraining_curve(tables: Tables) -> Figure:
    """Score against held-out bits per base, one mark for every step of pretraining that has an arm."""
    title = "Score along pretraining, against held-out bits per base"
    rows, tasks, left = _shown(tables, "pretraining_curve", "value")
    if rows.empty:
        return style.missing(title, "No arms stepN in analysis ingredients (pretraining_curve.csv).")
    names = tables.order(rows["model"])
    said = rows.groupby(["task", "model"])[["points", "rho", "rho_low", "rho_high"]].first().dropna()
    told = "; ".join(
        f"{tables.task_label(task)}, {tables.looks[model].label}: "
        f"{row.rho:.2f} [{row.rho_low:.2f}, {row.rho_high:.2f}] "
        f"(n = {row.points:.0f} points)"
        for (task, model), row in zip(said.index, each(said), strict=True)
    )
    caption = (
        (
            "Each mark is a checkpoint of one pretraining: open at random initialisation, filled at its end, halves "
            "between; lines join neighbouring steps. Fewer bits are better and lie to the right (dashed: 2, all bases "
            "alike). Bits per base of sequences held out from pretraining, without an interval. "
            f"{layout.sizes(rows)} Spearman's ρ of bits and score, with its 95 % bootstrap interval over points and "
            f"seeds: {told or 'of fewer than five points none is stated'}. "
            f"{f'{left} further tasks are in pretraining_curve.csv alone. ' if left > 0 else ''}{tables.study}"
        )
        .replace("-0.", "−0.")
        .replace("-1.", "−1.")
    )
    handles = [style.model_handles(tables.looks[name] for name in names)]
    figure, body = style.page(-(-len(tasks) // COLUMNS) * 52, title=title, caption=caption, handles=handles)
    panels = layout.grid(body, len(tasks), min(COLUMNS, max(2, len(tasks))))
    for axes, task in zip(panels, tasks, strict=True):
        part = rows[rows["task"] == task]
        for name in names:
            line = part[part["model"] == name].sort_values("step")
            look = tables.looks[name]
            axes.plot(line["bits_per_base"], line["value"], color=look.color, linewidth=0.6, zorder=1)
            axes.vlines(line["bits_per_base"], line["low"], line["high"], color=look.color, linewidth=0.7, zorder=2)
            for row in each(line):
                between = "copy" if row.init not in ("random", "pretrained") else row.init
                axes.plot(row.bits_per_base, row.value, zorder=3, **style.filling(look, between) | {"markersize": 4})
        low, high = part["bits_per_base"].min(), part["bits_per_base"].max()
        edge = max(0.05 * (high - low), 0.01)
        axes.set_xlim(high + edge, low - edge)
        if np.isfinite(high) and low < 2.0 < high:
            axes.axvline(2.0, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
        axes.grid(visible=True)
        axes.set_title(tables.task_label(task))
        axes.set_xlabel("Held-out bits per base")
        axes.set_ylabel(layout.metric_label(part["metric"].unique()))
    return figure
