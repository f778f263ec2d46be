"""Designs of a study before it runs: the power of both words against what they cost."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import style

TITLE = "Power · What a verdict costs"
WORDS = ("equivalent", "better")
SCOPE_NAMES = {"": "these tasks", "_like": "tasks like these"}
ENOUGH = 0.8  # power, as the field asks
ROW_MM = 46.0


def power_by_cost(table: pd.DataFrame, chosen: "pd.Series[Any]", difference: float, assumed: str) -> Figure:
    """Power of `equivalent` and of `better` against hours, a point per design, coloured by its seeds.

    `table`: of `choices.tabulate_choices`, a row per design. `chosen`: the recommended one's row. `difference`: the
    true one behind `better`. `assumed`: machine and device, in a sentence.
    """
    unit = "gpu_hours" if (table["gpu_hours"] > 0).any() else "cpu_hours"
    seeds = sorted(table["seeds"].unique())
    shades = colors.LinearSegmentedColormap.from_list("seeds", style.HUES["character"][::-1])
    colours = dict(zip(seeds, map(colors.to_hex, shades(np.linspace(0, 1, max(2, len(seeds))))), strict=False))
    caption = (
        f"Each point is a design: tasks, seeds, test items and search of learning rates ({len(table)} designs, of "
        f"{table['tasks'].min()} to {table['tasks'].max()} tasks; larger marks: more tasks). Left: how often "
        f"`equivalent` is said where pretraining makes no difference; right: `better` where it is worth "
        f"{difference:+g}, and not `equivalent`. Ring: the recommended design ({chosen['tasks']} tasks, "
        f"{chosen['seeds']} seeds). Line: the most that a design of this price reaches; dashed: power {ENOUGH:g}. "
        f"Power by simulation through the rule of the verdict, costs as estimated. {assumed}"
    )
    marks = {"marker": "o", "linestyle": "none"}
    handles = [
        [
            *(style.handle(label=f"{count} seeds", color=colours[count], **marks) for count in seeds),
            style.handle(label="recommended", color=style.INK, markerfacecolor="none", markersize=8.0, **marks),
        ]
    ]
    figure, body = style.page(len(SCOPE_NAMES) * ROW_MM, title=TITLE, caption=caption, handles=handles)
    grid = body.subplots(len(SCOPE_NAMES), len(WORDS), sharex=True, sharey=True)
    for row, (suffix, scope) in zip(grid, SCOPE_NAMES.items(), strict=True):
        for axes, word in zip(row, WORDS, strict=True):
            _draw(axes, table, chosen, unit, word + suffix, colours)
            axes.set_title(f"{word}, {scope}")
        row[0].set_ylabel("power")
    body.supxlabel({"gpu_hours": "GPU-hours", "cpu_hours": "CPU core-hours"}[unit], fontsize=7)
    return figure


def _draw(
    axes: Axes, table: pd.DataFrame, chosen: "pd.Series[Any]", unit: str, column: str, colours: Mapping[int, str]
) -> None:
    """One word in one scope: its designs, the best of each price, and the recommended one."""
    ordered = table.sort_values([unit, column])
    axes.plot(ordered[unit], np.maximum.accumulate(ordered[column]), color=style.GREY, drawstyle="steps-post", zorder=1)
    sizes = 3 + 22 * ordered["tasks"] / ordered["tasks"].max()
    axes.scatter(
        ordered[unit], ordered[column], s=sizes, c=[colours[count] for count in ordered["seeds"]],
        linewidths=0.3, edgecolors="white", zorder=2,
    )  # fmt: skip
    axes.plot(
        chosen[unit], chosen[column], marker="o", markersize=9, markerfacecolor="none", color=style.INK, zorder=3
    )  # fmt: skip
    axes.axhline(ENOUGH, color=style.INK, linestyle="--", linewidth=0.5, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_ylim(-0.03, 1.03)
    axes.grid()
