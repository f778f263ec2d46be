"""Maps of frozen embeddings: two principal components beside t-SNE, which keeps neighbours and no distances."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables
from foundationless.reporting.figures.probing import CLASS_COLORS

KINDS = {"pca": ("PCA", "x", "y"), "tsne": ("t-SNE", "tsne_x", "tsne_y")}  # how a map is called, and its columns
MOST_ARMS, MOST_MM, ROW_MM, POINTS = 3, 200, 27, 400


class _Page(NamedTuple):
    """What the panels of a task share: its models in rows, arms and kinds of maps in columns, colours of classes."""

    names: Sequence[str]
    columns: Sequence[tuple[str, str]]
    colors: Mapping[str, str]
    trust: Mapping[tuple[str, ...], float]


def maps(tables: Tables) -> Figure:
    """Test rows of every model and arm on both maps, coloured by class, with the trustworthiness of each map."""
    title = "Maps · Test rows in frozen embeddings, which never saw their classes"
    found = tables.maps[tables.maps["model"].isin(tables.looks)]
    if found.empty:
        return style.missing(title, "No maps of analysis clustering.")
    found = found[found["seed"] == found.groupby(["task", "model", "init"])["seed"].transform("min")]
    tasks = tables.task_names(found["task"])
    names = {task: tables.order(found.loc[found["task"] == task, "model"]) for task in tasks}
    heights = {task: 13 + ROW_MM * len(names[task]) for task in tasks}
    count = max(1, int((np.cumsum(list(heights.values())) <= MOST_MM).sum()))
    shown = tasks[:count]
    room = int((MOST_MM - 13) // ROW_MM)
    both = found["tsne_x"].notna().any()
    caption = _caption(tables, found[found["task"].isin(shown)])
    if len(tasks) > count:
        caption += f" Tasks shown: {count} of {len(tasks)}; maps.parquet has all."
    if len(names[shown[0]]) > room:
        caption += f" Models shown: {room} of {len(names[shown[0]])}."
    heights = {task: min(heights[task], 13 + ROW_MM * room) for task in shown}
    figure, body = style.page(sum(heights.values()), title=title, caption=f"{caption} {tables.study}")
    trusted = tables.records[tables.records["metric"] == "trustworthiness"]
    keys = trusted[["task", "model", "init", "seed", "measure"]].astype(str).itertuples(index=False, name=None)
    trust = dict(zip(keys, trusted["value"].astype(float), strict=True))
    for strip, task in zip(layout.stack(body, list(heights.values())), shown, strict=True):
        mine = found[found["task"] == task]
        arms = [arm for arm in style.ARMS if (mine["init"] == arm).any()][:MOST_ARMS]
        columns = [(arm, kind) for arm in arms for kind in KINDS if both or kind == "pca"]
        colors = dict(zip(sorted(mine["label"].astype(str).unique()), CLASS_COLORS, strict=False))
        _maps_of_task(strip, tables, mine, _Page(names[task][:room], columns, colors, trust))
    return figure


def _caption(tables: Tables, found: pd.DataFrame) -> str:
    sizes = found.groupby(["task", "model", "init"])["id"].size()
    caption = (
        f"Points: test rows of the first seed, coloured by class, at most {POINTS} of n = {layout.span(sizes)}. PCA: "
        "two principal components of the standardised embedding (clustering has their shares of the variance). "
    )
    if found["tsne_x"].notna().any():
        mapped = found.groupby(["task", "model", "init"])["tsne_x"].count()
        caption += (
            "t-SNE: perplexity 30, or a third of the other rows where these are fewer, begun at the components; at "
            f"most 1,000 rows, drawn once (here {layout.span(mapped[mapped > 0])}). It is a picture and no test: "
            "it keeps neighbours, and neither distances between groups nor their sizes mean anything. "
        )
        if (mapped == 0).any():
            caption += "Without t-SNE: results that were made before it joined, and sets of fewer than 30 rows. "
    else:
        caption += "There is no t-SNE here: these results were made before it joined; principal components alone. "
    return caption + (
        "Below a map its trustworthiness: 1 where the 10 nearest rows on the map are near in the embedding too, about "
        "0.5 where places are random. Clustering has no k-mer baseline."
    )


def _maps_of_task(strip: SubFigure, tables: Tables, found: pd.DataFrame, page: _Page) -> None:
    wide = max(4, len(page.columns))  # two lone maps stay as high as wide
    panels = strip.subplots(len(page.names), wide, squeeze=False)
    for axes in panels[:, len(page.columns) :].ravel():
        axes.set_axis_off()
    for line, name in zip(panels, page.names, strict=True):
        for axes, (arm, kind) in zip(line, page.columns, strict=False):
            axes.set(xticks=[], yticks=[])
            part = found[(found["model"] == name) & (found["init"] == arm)]
            _map(axes, part, kind, page)
            if axes is line[0]:
                look = tables.looks[name]
                axes.set_ylabel(look.label, color=look.color, fontweight="bold", fontsize=6)
    for axes, (arm, kind) in zip(panels[0], page.columns, strict=False):
        axes.set_title(f"{arm}, {KINDS[kind][0]}", fontsize=6)
    strip.suptitle(tables.task_label(str(found["task"].iloc[0])), x=0.01, ha="left", fontsize=7, fontweight="bold")
    handles = [
        style.handle(color=color, marker="o", markersize=3, linestyle="none", label=str(name).replace("_", " "))
        for name, color in page.colors.items()
    ]
    if found["label"].nunique() > len(page.colors):
        handles.append(style.handle(color=style.GREY, marker="o", markersize=3, linestyle="none", label="others"))
    strip.legend(handles=handles, loc="outside lower left", ncols=min(len(handles), 6), fontsize=5.5, handletextpad=0.1)


def _map(axes: Axes, part: pd.DataFrame, kind: str, page: _Page) -> None:
    """One map; a blank panel where it is not there."""
    _, x, y = KINDS[kind]
    place = tuple(str(part[key].iloc[0]) for key in ("task", "model", "init", "seed")) if len(part) else ()
    part = part[part[x].notna()]
    if part.empty:
        axes.spines[:].set_visible(False)
        return
    part = part.iloc[:: -(-len(part) // POINTS)]
    shades = part["label"].astype(str).map(page.colors).fillna(style.GREY)
    axes.scatter(part[x], part[y], c=shades, s=2, linewidths=0, alpha=0.8, rasterized=True)
    if np.isfinite(value := page.trust.get((*place, kind), np.nan)):
        axes.set_xlabel(f"trustworthiness {value:.2f}", fontsize=5.5, labelpad=1)
