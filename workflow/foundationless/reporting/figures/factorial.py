"""Tokenizer × initialisation × width: every cell of the factorial, and what each factor alone is worth."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from foundationless.evaluation.aggregate import independent_difference
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, plainest

ARMS = ("pretrained", "random")
TOKENIZERS: Any = {"characters": "-", "6-mers": "--", "byte pairs": ":"}  # and how they are drawn
CLASSES = {"character": "characters", "kmer": "6-mers", "bpe": "byte pairs"}
EFFECTS = {
    "init": ("pretrained − random", "o"),
    "tokenizer": ("characters − 6-mers or byte pairs", "D"),
    "width": ("widest − narrowest", "s"),
}
CURVE_MM, ROW_MM, COLUMNS = 25.0, 3.6, 2
OWN = "own"  # the tick of a model at its own width


def factorial(tables: Tables) -> Figure:
    """Score of frozen features by width, tokenizer and arm, a panel per model; effects of the three factors below."""
    title = "Tokenizer × initialisation × width"
    cells, task = _cells(tables)
    tuned = tables.own(tables.scored("tokenizer"))
    tuned = tuned[tuned["init"].isin(ARMS) & tuned["model"].isin(tables.looks)]
    kinds = {"Frozen features": cells, "Fine-tuning": _with_factors(tables, tuned)}
    effects = pd.concat([_effects(tables, rows, where) for where, rows in kinds.items()], ignore_index=True)
    if cells.empty and tuned.empty:
        return style.missing(title, "No scores of analysis width (models named MODEL.wN), and none of tokenizer.")
    names = tables.order(cells["base"])
    lines = -(-len(names) // COLUMNS)
    ticks, places = _rows(tables, effects)
    heights = [(6 + CURVE_MM * lines) * (lines > 0), (12 + ROW_MM * len(ticks)) * (len(effects) > 0)]
    caption = ""
    if names:
        caption = (
            f"a, frozen features, {tables.task_label(task)}; vertical lines: 95 % bootstrap intervals over items and "
            f"seeds; '{OWN}': the model at its own width. "
        )
    if len(effects):
        caption += (
            "b, main effects: means over the cells that differ in that factor alone, with the mean of their 95 % "
            "intervals, as if they were fully dependent. Arms are paired (bootstrap over the same items), tokenizers "
            "and widths independent (MOVER): too wide rather than too narrow. Right: cells that were compared, in the "
            "order of the legend. "
        )
    caption += f"{layout.sizes(cells if len(cells) else tuned).split('; lines')[0]}. {tables.study}"
    handles = [style.arm_handles(), _tokenizer_handles(cells), _effect_handles(effects)]
    figure, body = style.page(sum(heights), title=title, caption=caption, handles=handles, width_mm=style.ONE_COLUMN)
    upper, lower = layout.stack(body, heights)
    if upper:
        _grid(upper, tables, cells, names)
    if lower:
        _effect_rows(lower.subplots(), effects, ticks, places)
    return figure


def tokenizers(tables: Tables) -> dict[str, str]:
    """Word of `TOKENIZERS` for the tokenizer that a model's name states, or else its card; another's own class."""
    stated = {"char": "characters", "kmer": "6-mers"}
    return {
        card.model: stated.get(card.tokenizer)
        or CLASSES.get(style.tokenizer_class(card.tokenizer_class), str(card.tokenizer_class))
        for card in each(tables.models)
    }


def stems(tables: Tables) -> dict[str, str]:
    """The model of which each one is a cell: with its own tokenizer and width, or else its entry in the model table.

    Where neither is a model of the study (random arms alone, at some widths), its first cell stands for them.
    """
    cards = tables.models.assign(stem=plainest(tables.models, ["base", "size", "layers", "reading"]))
    own = set(cards.loc[cards["width"].isna() & (cards["tokenizer"] == ""), "model"])
    return {
        card.model: card.base if card.stem not in own and card.base in tables.looks else card.stem
        for card in each(cards)
    }


def _cells(tables: Tables) -> tuple[pd.DataFrame, str]:
    """Scores of analysis width on its first task, and of the same models at their own width (analysis biotype)."""
    found = tables.own(tables.scored("width"))
    found = found[found["init"].isin(ARMS) & found["model"].isin(tables.looks)]
    found = found[found["reading"] == "published"]
    task = next(iter(tables.task_names(found["task"])), "")
    found = found[found["task"] == task]
    own = tables.own(tables.scored("biotype"))
    own = own[(own["task"] == task) & own["init"].isin(ARMS) & own["metric"].isin(found["metric"])]
    own = own[own["model"].isin(found["model"].map(stems(tables)))]
    found = _with_factors(tables, pd.concat([found, own], ignore_index=True))
    return found.drop_duplicates(["base", "tokenizer", "init", "width"]), task


def _with_factors(tables: Tables, rows: pd.DataFrame) -> pd.DataFrame:
    """Scores with the model of which each is a cell (base), the word for its tokenizer, and its width."""
    base, tokenizer = (rows["model"].map(words(tables)) for words in (stems, tokenizers))
    return rows.assign(base=base, tokenizer=tokenizer, width=rows["width"].astype(float))


def _effects(tables: Tables, cells: pd.DataFrame, where: str) -> pd.DataFrame:
    """Main effects of each model: base, factor, delta, low, high and how many cells were compared."""
    rows = []
    pairs = tables.comparisons
    pairs = pairs[(pairs["versus"] == "random") & (pairs["init"] == "pretrained")]
    for name, part in cells.groupby("base", sort=False):
        paired = pairs.merge(part[part["init"] == "pretrained"][["analysis", "task", "model"]])
        rows.append(_mean(name, "init", paired[["delta", "low", "high"]].to_numpy()))
        keyed = part.assign(width=part["width"].fillna(0))
        of = {(row.tokenizer, row.init, row.task, row.width): (row.value, row.low, row.high) for row in each(keyed)}
        rows.append(_mean(name, "tokenizer", _by_tokenizer(of)))
        ends = []
        for _, curve in part.dropna(subset=["width"]).groupby(["tokenizer", "init", "task"]):
            curve = curve.sort_values("width")
            if len(curve) > 1:
                ends.append(independent_difference(*(tuple(curve[["value", "low", "high"]].iloc[i]) for i in (-1, 0))))
        rows.append(_mean(name, "width", ends))
    effects = pd.DataFrame(rows, columns=["base", "factor", "delta", "low", "high", "cells"])
    return effects[effects["cells"] > 0].assign(where=where)


def _by_tokenizer(cells: dict[tuple[Any, ...], tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Differences of characters and another tokenizer, of all cells (tokenizer, ...) that are else the same."""
    return [
        independent_difference(cells["characters", *key[1:]], value)
        for key, value in cells.items()
        if key[0] != "characters" and ("characters", *key[1:]) in cells
    ]


def _mean(name: object, factor: str, deltas: Any) -> tuple[Any, ...]:
    values = np.asarray(deltas, dtype=float).reshape(-1, 3)
    values = values[np.isfinite(values[:, 0])]
    return (name, factor, *(values.mean(axis=0) if len(values) else [np.nan] * 3), len(values))


def _grid(body: SubFigure, tables: Tables, cells: pd.DataFrame, names: list[str]) -> None:
    """A panel per model: score against width, both arms, every tokenizer."""
    widths = sorted(cells["width"].dropna().unique())
    ends = (widths[0], widths[-1]) if widths else (1.0, 2.0)
    at_own = ends[1] * (ends[1] / ends[0]) ** 0.32 if len(widths) > 1 else 2 * ends[1]
    ticks = _thinned(widths)
    panels = layout.grid(body, len(names), COLUMNS, sharex=True, sharey=True)
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        part = cells[cells["base"] == name]
        look = tables.looks[name]
        for (kind, init), curve in part.groupby(["tokenizer", "init"]):
            curve = curve.assign(x=curve["width"].fillna(at_own)).sort_values("x")
            shift = 1 + 0.03 * (2 * ARMS.index(init) - 1)
            style.interval(axes, curve["x"] * shift, curve["low"], curve["high"], look.color, vertical=True)
            mark = style.filling(look, str(init)) | {"markersize": 2.6, "markeredgewidth": 0.6, "linestyle": "none"}
            axes.plot(curve["x"] * shift, curve["value"], zorder=3, **mark)
            inner = curve.dropna(subset=["width"])
            line = TOKENIZERS.get(str(kind), "-.")
            axes.plot(inner["x"] * shift, inner["value"], color=look.color, linewidth=0.7, linestyle=line)
        layout.logarithmic(axes, [*ticks, at_own], size=5.2)
        axes.set_xticks([*ticks, at_own], [*(f"{tick:g}" for tick in ticks), OWN], rotation=0, ha="center")
        axes.tick_params(labelsize=5.2, labelbottom=place + COLUMNS >= len(names))
        axes.set_title(("a  " if not place else "") + look.label, color=look.color, fontweight="bold", fontsize=6)
        axes.grid(axis="y")
    body.supxlabel("Width of the hidden states", fontsize=6.5)
    body.supylabel(layout.metric_label(cells["metric"]), fontsize=6.5)


def _thinned(widths: list[float]) -> list[float]:
    """Widths whose labels fit a narrow panel: each at least 2.5 times the one before."""
    kept: list[float] = []
    for value in widths:
        if not kept or value >= 2.5 * kept[-1]:
            kept.append(value)
    return kept[:-1] if len(kept) > 1 and len(widths) > 4 and kept[-1] * 1.6 > widths[-1] else kept


def _rows(tables: Tables, effects: pd.DataFrame) -> tuple[list[tuple[str, str]], dict[tuple[str, str], int]]:
    """Labels of rows, and the row of each model under its heading."""
    ticks: list[tuple[str, str]] = []
    places: dict[tuple[str, str], int] = {}
    for where, part in effects.groupby("where", sort=False):
        ticks.append((str(where), "bold"))
        for name in tables.order(part["base"]):
            places[str(where), str(name)] = len(ticks)
            ticks.append((tables.looks[name].label, "normal"))
    return ticks, places


def _effect_rows(
    axes: Axes, effects: pd.DataFrame, ticks: list[tuple[str, str]], places: dict[tuple[str, str], int]
) -> None:
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    for row in each(effects):
        y = places[row.where, row.base] + 0.27 * (list(EFFECTS).index(row.factor) - 1)
        style.interval(axes, y, row.low, row.high, style.INK)
        axes.plot(row.delta, y, zorder=3, **_effect_mark(row.factor))
    for (where, name), y in places.items():
        part = effects[(effects["where"] == where) & (effects["base"] == name)].set_index("factor")["cells"]
        counts = " + ".join(str(part.get(factor, 0)) for factor in EFFECTS)
        axes.annotate(counts, (1.01, y), xycoords=("axes fraction", "data"), fontsize=5.2, va="center")
    layout.named_rows(axes, ticks, size=5.8)
    axes.set_title("b  Effect of each factor alone", fontsize=6.5)
    axes.set_xlabel("Difference in score")


def _effect_mark(factor: str) -> dict[str, Any]:
    face = {"init": style.INK, "tokenizer": "white", "width": style.GREY}[factor]
    return {"color": style.INK, "marker": EFFECTS[factor][1], "markerfacecolor": face, "markersize": 2.8,
            "markeredgewidth": 0.6, "linestyle": "none"}  # fmt: skip


def _effect_handles(effects: pd.DataFrame) -> list[Line2D]:
    shown = [factor for factor in EFFECTS if (effects["factor"] == factor).any()]
    return [style.handle(label=EFFECTS[factor][0], **_effect_mark(factor)) for factor in shown]


def _tokenizer_handles(cells: pd.DataFrame) -> list[Line2D]:
    shown = {word: line for word, line in TOKENIZERS.items() if (cells["tokenizer"] == word).any()}
    return [style.handle(color=style.INK, linestyle=line, linewidth=0.8, label=word) for word, line in shown.items()]
