"""Extended figures of the second paper: error by number of genes, ranking of interactions, size of predictions."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_validation
from foundationless.reporting.figures.perturbations import SMALL, draw_curves, effects_of
from foundationless.study.vocabulary import OF_EFFECTS

ORDERS = {"l2_n": "Genes, by control expression", "l2_de": "Genes, by observed change"}
LONGEST, TITLE = 36, 26  # characters of an arm beside its areas, and of a line above a panel
SINGLE = tuple(name for name in OF_EFFECTS if name != "doubles")
PANEL_MM, MOST_TASKS, MOST_MODELS = 40.0, 4, 12
CURVES = {"pr": ("Recall", "Precision", "auprc"), "roc": ("False positive rate", "True positive rate", "auroc")}


def error_by_genes(tables: Tables) -> Figure:
    """P ED 2b, 8b: error of every arm against the number of genes that it is of, relative to that of the mean."""
    title = "P ED 2, 8 · Error by number of genes"
    rows = effects_of(tables, *SINGLE)
    rows = effects_of(tables, "doubles") if rows.empty else rows  # other perturbations: no mean is over both
    rows = rows[rows["init"].isin(["pretrained", "random", "baseline"])]
    columns = {kind: _counts(rows, kind) for kind in ORDERS}
    rows = rows.dropna(subset=[f"{kind}{n}" for kind, counts in columns.items() for n in counts], how="all")
    if rows.empty or not any(columns.values()):
        return style.missing(title, "No errors by number of genes are there (effects.csv: l2_n…, l2_de…).")
    tasks = tables.task_names(rows["task"])
    kept, tasks = len(tasks), tasks[:MOST_TASKS]
    rows = rows[rows["task"].isin(tasks)]
    relative = "mean" in set(rows["model"])
    caption = (
        "Mean over held-out perturbations and splits of the L2 error of the first n genes"
        + (", over that of the mean of the training perturbations (1: no better)" if relative else "")
        + "; left the genes that the control expresses most, right those that changed most. Whole lines: pretrained, "
        f"broken: random, grey: baselines. Intervals are in P 2. n = "
        f"{layout.span(rows.groupby('task')['perturbation'].nunique())} perturbations a task. "
        + (f"The first {MOST_TASKS} of {kept} tasks are shown. " if kept > MOST_TASKS else "") + tables.study
    )  # fmt: skip
    looks = [tables.looks[name] for name in tables.order(rows["model"]) if name not in tables.baselines]
    handles = [style.arm_handles({*layout.shown_arms(tables, rows)} & {"pretrained", "random"}, lines=True),
               style.model_handles(looks)]  # fmt: skip
    figure, body = style.page(8 + PANEL_MM * len(tasks), title=title, caption=caption, handles=handles)
    grid = body.subplots(len(tasks), 2, squeeze=False, sharey="row", sharex="col")
    for place, (line, task) in enumerate(zip(grid, tasks, strict=True)):
        mine = rows[rows["task"] == task]
        for axes, (kind, words) in zip(line, ORDERS.items(), strict=True):
            _by_genes(axes, tables, mine, kind, columns[kind], relative and "mean" in set(mine["model"]))
            if place == len(tasks) - 1:
                axes.set_xlabel(words)
        line[0].set_title(tables.task_label(task))
        line[0].set_ylabel("L2, of the mean's" if relative else "L2 error")
    return figure


def _counts(rows: pd.DataFrame, kind: str) -> list[int]:
    """Numbers of genes of columns such as l2_n100 that hold anything."""
    found = [name for name in map(str, rows) if name.startswith(kind) and name.removeprefix(kind).isdecimal()]
    return sorted(int(name.removeprefix(kind)) for name in found if rows[name].notna().any())


def _by_genes(axes: Axes, tables: Tables, rows: pd.DataFrame, kind: str, counts: list[int], relative: bool) -> None:
    names = [f"{kind}{n}" for n in counts]
    means = (
        rows.groupby(["model", "init", "fold"], sort=False)[names].mean().groupby(["model", "init"], sort=False).mean()
    )
    base = means.xs("mean", level="model").iloc[0].to_numpy(dtype=float) if relative else np.ones(len(names))
    curves = means.div(base).reset_index().melt(["model", "init"], value_name="y")
    curves = curves.assign(x=curves["variable"].str.removeprefix(kind).astype(int) if counts else 0)
    if relative:
        curves = curves[curves["model"] != "mean"]
    if len(curves) and counts:
        draw_curves(axes, tables, curves)
        layout.logarithmic(axes, counts)
    if relative:
        axes.axhline(1, color=style.INK, linewidth=0.5, zorder=1)


def ranking(tables: Tables) -> Figure:
    """P ED 4: precision and recall, and ROC, of interactions ranked by the distance of predictions from the sum."""
    title = "P ED 4 · Interactions: precision against recall, and ROC"
    found = of_validation(tables.extra("interactions"))
    found = found[found["model"].isin(tables.looks)]
    curves = found[found["what"].isin(CURVES)]
    if curves.empty:
        return style.missing(title, "No curves of interactions are there (interactions.csv: what pr, roc).")
    task = tables.task_names(curves["task"])[0]
    curves, areas = curves[curves["task"] == task], found[(found["what"] == "auc") & (found["task"] == task)]
    caption = (
        f"{tables.task_label(task)}: genes of all held-out combinations, an interaction where the observed change is "
        "further from the sum of the two single ones than the empirical null allows, ranked by the distance of the "
        "prediction from the sum. Whole lines: pretrained, broken: random, grey: baselines; at the right the areas "
        f"under the curves, which have no interval. {tables.study}"
    )
    names = tables.order(curves["model"])
    looks = [tables.looks[name] for name in names if name not in tables.baselines]
    handles = [style.arm_handles({*layout.shown_arms(tables, curves)} & {"pretrained", "random"}, lines=True),
               style.model_handles(looks)]  # fmt: skip
    arms = areas[["model", "init"]].drop_duplicates()
    height = max(58.0, 10 + 3.0 * len(arms))
    figure, body = style.page(height, title=title, caption=caption, handles=handles)
    panels = body.subplots(1, 3, width_ratios=[1, 1, 1.05])
    for axes, (what, (x, y, _)) in zip(panels, CURVES.items(), strict=False):
        draw_curves(axes, tables, curves[curves["what"] == what])
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x, ylabel=y)
    _areas(panels[2], tables, areas)
    return figure


def _areas(axes: Axes, tables: Tables, areas: pd.DataFrame) -> None:
    """A row per arm, the higher the area of precision and recall the higher: both areas in numbers."""
    axes.set_axis_off()
    wide = areas.pivot_table(index=["model", "init"], columns="name", values="y").reindex(columns=["auprc", "auroc"])
    wide = wide.sort_values("auprc", ascending=False, kind="stable")
    lines = [("", "AUPRC", "AUROC", style.INK)]
    for row in each(wide.reset_index()):
        look = tables.looks[row.model]
        label = look.label + ("" if row.model in tables.baselines else f", {row.init}")
        first, second = (f"{value:.2f}" if np.isfinite(value) else "–" for value in (row.auprc, row.auroc))
        lines.append((label, first, second, look.color))
    axes.set(xlim=(0, 1), ylim=(max(len(lines), 12) - 0.5, -0.5))
    for y, (label, first, second, color) in enumerate(lines):
        axes.text(0.0, y, textwrap.shorten(label, LONGEST, placeholder="…"), fontsize=SMALL, va="center", color=color)
        for x, text in ((0.86, first), (1.0, second)):
            axes.text(x, y, text, fontsize=SMALL, va="center", ha="right")


def variation(tables: Tables) -> Figure:
    """P ED 7: how large predicted changes are beside observed ones: predictions that hardly vary lie level."""
    title = "P ED 7 · Size of predicted changes against that of observed ones"
    rows = effects_of(tables, *OF_EFFECTS).dropna(subset=["norm_observed", "norm_predicted"])
    rows = tables.own(rows[rows["init"].isin(["pretrained", "random"])])
    if rows.empty:
        return style.missing(
            title, "No sizes of predicted changes are there (effects.csv: norm_observed, norm_predicted)."
        )
    task = tables.task_names(rows["task"])[0]
    rows = rows[rows["task"] == task]
    names = tables.order(rows["model"])[:MOST_MODELS]
    columns = min(4, len(names))
    caption = (
        f"{tables.task_label(task)}: L2 of the change from the control, a mark a held-out perturbation and split; "
        "the line: as large as observed. A model that predicts the same for every perturbation lies level. n = "
        f"{rows['perturbation'].nunique()} perturbations; no interval. {tables.study}"
    )
    handles = [style.arm_handles(layout.shown_arms(tables, rows))]
    figure, body = style.page(PANEL_MM * -(-len(names) // columns) + 4, title=title, caption=caption, handles=handles)
    top = 1.05 * float(rows[["norm_observed", "norm_predicted"]].quantile(0.99).max())
    for place, (axes, name) in enumerate(zip(layout.grid(body, len(names), columns, sharex=True, sharey=True), names,
                                             strict=True)):  # fmt: skip
        look = tables.looks[name]
        axes.plot([0, top], [0, top], color=style.INK, linewidth=0.5, zorder=1)
        for init in ("random", "pretrained"):
            part = rows[(rows["model"] == name) & (rows["init"] == init)]
            mark = style.filling(look, init) | {"linestyle": "none", "markersize": 2.0, "markeredgewidth": 0.4}
            axes.plot(part["norm_observed"], part["norm_predicted"], zorder=2, **mark)
        axes.set(xlim=(0, top), ylim=(0, top))
        axes.set_title(textwrap.fill(look.label, TITLE), color=look.color, fontweight="bold", fontsize=6)
        axes.grid(visible=True)
        if place % columns == 0:
            axes.set_ylabel("Predicted")
        if place >= len(names) - columns:
            axes.set_xlabel("Observed")
            axes.tick_params(labelbottom=True)
    return figure
