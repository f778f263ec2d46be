"""Explanations of fine-tuned classifiers: whether they point at known motifs, and how they look there."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each

METHODS = {
    "gradient_input": "Gradient × input",
    "integrated_gradients": "Integrated gradients",
    "mutagenesis": "In-silico mutagenesis",
    "rollout": "Attention rollout",
}
MOST_TASKS, MOST_ROWS = 4, 10  # tasks on a page; logos below one another
LOGO_TASKS = 2  # side by side
BASES = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}
ROW_MM, LOGO_MM = 5.0, 17.0


def explanations(tables: Tables) -> Figure:
    """AUROC of motif letters by the magnitude of their attributions: a row of panels per task, a panel per method."""
    title = "Explanations · Do attributions point at the motif?"
    rows = tables.extra("explanations")
    tasks = tables.task_names(rows["task"])
    if not tasks:
        return style.missing(title, "No scores of analysis explanations.")
    shown, methods = tasks[:MOST_TASKS], [name for name in METHODS if (rows["method"] == name).any()]
    rows = rows[rows["task"].isin(shown)]
    scores = rows[rows["versus"].fillna("") == ""]
    caption = (
        "AUROC of letters within motifs against all others of the same test sequence, ranked by the magnitude of their "
        "attribution to the logit of the sequence's class; mean over sequences and seeds, line: 95 % bootstrap "
        "interval over both. Dotted: chance, 0.5. "
        f"n = {layout.span(scores['n'].dropna())} sequences, {layout.span(scores['seeds'].dropna())} seed(s). Words: "
        "pretrained against random, paired by sequence (Holm over tasks and models of a method); a method that a "
        "network does not have is left blank. "
    )
    if len(tasks) > len(shown):
        caption += f"The first {len(shown)} of {len(tasks)} tasks. "
    names = tables.order(scores["model"])
    arms = layout.shown_arms(tables, scores)
    heights = [13 + ROW_MM * len(tables.order(scores.loc[scores["task"] == task, "model"])) for task in shown]
    figure, body = style.page(
        sum(heights), title=title, caption=caption + tables.study, handles=[style.arm_handles(arms)]
    )
    for strip, task in zip(layout.stack(body, heights), shown, strict=True):
        panels = strip.subplots(1, len(methods), squeeze=False, sharex=True, sharey=True)[0]
        own = rows[rows["task"] == task]
        present = [name for name in names if (own["model"] == name).any()]
        for place, (axes, method) in enumerate(zip(panels, methods, strict=True)):
            _panel(axes, tables, own[own["method"] == method], present, arms)
            axes.set_title(METHODS[method] if place else f"{tables.task_label(task)} · {METHODS[method]}", fontsize=6.5)
    return figure


def _panel(axes: Axes, tables: Tables, rows: pd.DataFrame, names: list[str], arms: set[str]) -> None:
    """Marks of every model and arm, and the word of the comparison of both."""
    axes.axvline(0.5, color=style.GREY, linewidth=0.6, linestyle=":", zorder=1)
    for row in each(rows[rows["versus"].fillna("") == ""]):
        arm = tables.arm(row)
        y = names.index(row.model) + (0.0 if arm == "baseline" else layout.offset(arm, arms))
        look = tables.looks[row.model]
        style.interval(axes, y, row.low, row.high, look.color)
        axes.plot(row.value, y, zorder=3, **style.filling(look, arm))
    for row in each(rows[rows["versus"] == "random"]):
        place = names.index(row.model)
        axes.text(
            1.0, place, str(row.verdict), transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=5.5
        )
    axes.set_yticks(range(len(names)), [tables.looks[name].label for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.margins(x=0.25)
    axes.grid(axis="x")
    axes.set_xlabel("AUROC of motif letters")


def logos(tables: Tables) -> Figure:
    """Sequence logos at the commonest motif of a task: what stands there, and what each arm makes of it."""
    title = "Explanations · Attributions at the motif"
    rows, scores = tables.extra("logos"), tables.extra("explanations")
    tasks = tables.task_names(rows["task"])[:LOGO_TASKS]
    if not tasks or rows.empty:
        return style.missing(title, "No attributions at motifs of analysis explanations.")
    chosen = {task: _best_method(scores[scores["task"] == task], rows[rows["task"] == task]) for task in tasks}
    parts = {task: rows[(rows["task"] == task) & (rows["method"] == chosen[task])] for task in tasks}
    arms = {task: _arms(tables, part)[: MOST_ROWS - 1] for task, part in parts.items()}
    most = 1 + max(map(len, arms.values()))
    counts = layout.span(pd.concat(list(parts.values()))["n"])
    caption = (
        "Top: information of the letters at the sites of the commonest motif, on its own strand (bits, against equally "
        "frequent bases; Schneider and Stephens 1990). Below: mean attribution to the logit of the sequence's class, "
        "by letter; above the line it speaks for the class. Each has its own scale: only patterns compare. "
        "Grey: the letters that count as motif. Of all methods the one whose AUROC is highest in any arm: "
        f"{', '.join(dict.fromkeys(METHODS[name].lower() for name in chosen.values()))}. n = {counts} sites, one seed, "
        "no intervals. "
    )
    figure, body = style.page(LOGO_MM * most + 8, title=title, caption=caption + tables.study)
    panels = body.subplots(most, len(tasks), squeeze=False)
    for column, task in enumerate(tasks):
        part, places = parts[task], arms[task]
        first = part[(part["model"] == places[0][0]) & (part["init"] == places[0][1])]
        width = int(first["position"].max()) + int(first["position"].min()) + 1
        _logo(panels[0, column], first.assign(height=_information(first)), width)
        motif = str(first["motif"].iloc[0])
        panels[0, column].set_title(f"{tables.task_label(task)} · sites of {motif}", fontsize=6.5)
        panels[0, column].set_ylabel("Bits")
        for line, (name, arm) in enumerate(places, 1):
            mine = part[(part["model"] == name) & (part["init"] == arm)]
            _logo(panels[line, column], mine, width)
            words = [tables.looks[name].label] + ([] if name in tables.baselines else [arm])
            panels[line, column].set_title(", ".join(words), fontsize=6.5)
            panels[line, column].set_yticks([])
        for axes in panels[len(places) + 1 :, column]:
            axes.set_axis_off()
        panels[len(places), column].set_xlabel("Position from the first letter of the motif")
    return figure


def _best_method(scores: pd.DataFrame, rows: pd.DataFrame) -> str:
    """The method with the highest score of any arm, of those that have attributions."""
    known = scores[(scores["versus"].fillna("") == "") & scores["method"].isin(rows["method"])]
    known = known[known["value"].notna()]
    best = known["method"].iloc[int(known["value"].astype(float).argmax())] if len(known) else rows["method"].iloc[0]
    return str(best)


def _arms(tables: Tables, rows: pd.DataFrame) -> list[tuple[str, str]]:
    found = set(zip(rows["model"], rows["init"], strict=True))
    return [(name, arm) for name in tables.order(rows["model"]) for arm in style.ARMS if (name, arm) in found]


def _information(rows: pd.DataFrame) -> "pd.Series[float]":
    """Share × (2 - entropy of the position), in bits."""
    shares = rows["share"].astype(float)
    terms: pd.Series[float] = shares * np.log2(shares.where(shares > 0, 1.0))
    return shares * (2 + terms.groupby(rows["position"]).transform("sum"))


def _logo(axes: Axes, rows: pd.DataFrame, width: int) -> None:
    """Letters of every position, stacked by height, the smallest at the line; those below it hang."""
    ends = int(rows["position"].min()), int(rows["position"].max())
    axes.axvspan(-0.5, width - 0.5, color=style.BAND, zorder=0, linewidth=0)
    axes.axhline(0, color=style.INK, linewidth=0.4)
    tops = [0.0]
    for position in range(ends[0], ends[1] + 1):
        part = rows[rows["position"] == position]
        for sign in (1, -1):
            at, some = 0.0, part[part["height"] * sign > 0]
            for row in each(some.sort_values("height", key=np.abs)):
                size = abs(row.height)
                _letter(axes, row.letter, float(position), at if sign > 0 else -at - size, size)
                at += size
            tops.append(sign * at)
    low, high = min(tops), max(tops)
    edge = 0.05 * ((high - low) or 1.0)
    axes.set_ylim(low - edge, high + edge)
    axes.set_xlim(ends[0] - 0.6, ends[1] + 0.6)


def _letter(axes: Axes, letter: str, x: float, y: float, height: float) -> None:
    """A letter that fills a box of width 0.9 around x and of this height above y."""
    path = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    scale = Affine2D().translate(-box.x0, -box.y0).scale(0.9 / box.width, height / box.height).translate(x - 0.45, y)
    axes.add_patch(PathPatch(scale.transform_path(path), facecolor=BASES[letter], linewidth=0, zorder=2))
