"""Frozen features beyond the paper: few rows per class, every probe side by side, and clusters without any training."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle

from foundationless.reporting.figures import data_and_width, layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks

PROBED = ("biotype", "frozen", "transfer", "ancestry")
MOST_PANELS, MOST_MM = 4, 220  # tasks on a page, and what all of them may take of its height
MOST_NUMBERS = 16  # columns of a heat map whose cells have room for a number
CLUSTER_METRICS = {
    "adjusted_rand": "Adjusted Rand index",
    "normalised_mutual_information": "Mutual information (normalised)",
    "silhouette": "Silhouette of the classes",
    "neighbour_agreement": "Label agreement of 10 neighbours",
}
MOST_MAPS, MOST_POINTS = 7, 400
CLASS_COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#332288", "#882255", "#999933", "#000000",
)  # fmt: skip


def fewshot(tables: Tables) -> Figure:
    """Score of the best head on frozen features against the number of training rows per class."""
    title = "Few-shot · Heads on frozen features, from a few rows per class"
    found = data_and_width.at_amounts(tables.scored("fewshot", plain=False), "shots")
    if found.empty:
        return style.missing(title, "No scores of analysis fewshot on tasks named TASK.shotN.")
    drawn, words = data_and_width.average_draws(found)
    caption = (
        "What chose the head stands in settings.csv (chosen_by): nothing (fixed), or the validation rows, which "
        f"outnumber the training rows. {words} {tables.study}"
    )
    return data_and_width.curves(tables, drawn, title, caption, "Training rows per class")


def probing(tables: Tables) -> Figure:
    """Every probe on every pooling, and the chosen one under cross-validation beside the paper's split."""
    title = "Probes · Every classifier and pooling on frozen features"
    records = tables.records.dropna(subset=["value", "run"])
    records = records[records["analysis"].isin(PROBED) & (records["split"] == "test")]
    records = of_plain_tasks(tables.own(records[records["model"].isin(tables.looks)]))
    # Inner layers have a figure of their own, and one of them was tested only where it was chosen.
    inner = records["depth"].astype(float).fillna(1.0) < 1
    runs = records[(records["selection"] == "run") & ~inner]
    if runs.empty:
        return style.missing(title, f"No recorded runs of analyses {', '.join(PROBED)} on models.")
    folds = records[(records["selection"] == "crossvalidation") & (records["run"] == "chosen")]
    # Tasks with the most runs say most about probes; ties: in the study's order.
    counts = runs.groupby(["analysis", "task"])["run"].nunique().sort_values(ascending=False, kind="stable")
    judged = {*counts.index[counts > 1], *map(tuple, folds[["analysis", "task"]].to_numpy())}
    shown = [place for place in counts.index if place in judged][:MOST_PANELS] or counts.index.tolist()[:1]
    arms = [runs[(runs["analysis"] == a) & (runs["task"] == t)][["model", "init"]].drop_duplicates() for a, t in shown]
    heights = [22 + 3.6 * len(part) for part in arms]
    fitting = max(1, int((np.cumsum(heights) <= MOST_MM).sum()))
    shown, heights = shown[:fitting], heights[:fitting]
    caption = (
        "Test score of every run, mean over seeds; a frame marks the run that validation chose in the first seed. "
        "Right: the chosen run on the set's own split (filled, open), and as mean and range over the folds of a "
        "cross-validation (crosses), in which a fold that is not tested chooses."
    )
    tested = runs[[place in shown for place in zip(runs["analysis"], runs["task"], strict=True)]]
    if tested["n"].notna().any():
        caption += f" n = {layout.span(tested['n'].dropna())} test rows a run, {tested['seed'].nunique()} seed(s)."
    if len(judged) > len(shown):
        caption += f" The {len(shown)} of {len(judged)} tasks with the most runs are shown; records.csv has all."
    cross = style.handle(color=style.INK, marker="x", linestyle="-", linewidth=0.8, label="cross-validation")
    handles = [[*style.arm_handles(layout.shown_arms(tables, runs)), cross]]
    figure, body = style.page(sum(heights), title=title, caption=f"{caption} {tables.study}", handles=handles)
    for strip, (analysis, task) in zip(layout.stack(body, heights), shown, strict=True):
        some, part = (f[(f["analysis"] == analysis) & (f["task"] == task)] for f in (runs, folds))
        _grid_of_runs(strip, tables, some, part, analysis)
    return figure


def _grid_of_runs(strip: SubFigure, tables: Tables, runs: pd.DataFrame, folds: pd.DataFrame, analysis: str) -> None:
    """A heat map, arms in rows and runs in columns; beside it the chosen runs with and without cross-validation."""
    names = list(dict.fromkeys(runs["run"]))
    arms = [(model, init) for model in tables.order(runs["model"]) for init in style.ARMS
            if ((runs["model"] == model) & (runs["init"] == init)).any()]  # fmt: skip
    metric = runs["metric"].iloc[0]
    values = runs.groupby(["model", "init", "run"])["value"].mean()
    table = np.array([[values.get((*arm, name), np.nan) for name in names] for arm in arms])
    heat, dots = strip.subplots(1, 2, width_ratios=[3, 1])
    image = heat.imshow(table, cmap="viridis", aspect="auto")
    heat.set_title(f"{tables.task_label(runs['task'].iloc[0])} ({analysis})")
    heat.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=35, ha="right",
                    rotation_mode="anchor", fontsize=5.5)  # fmt: skip
    labels = [f"{tables.looks[model].label}, {init}" for model, init in arms]
    heat.set_yticks(range(len(arms)), labels, fontsize=5.5)
    heat.tick_params(length=0)
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    first = runs["seed"].min()
    for y, (model, init) in enumerate(arms):
        mine = runs[(runs["model"] == model) & (runs["init"] == init)]
        chosen = mine[(mine["seed"] == first) & (mine["selected"] == True)]["run"].tolist()  # noqa: E712
        for x, name in enumerate(names):
            if len(names) <= MOST_NUMBERS and np.isfinite(table[y, x]):
                ink = "white" if table[y, x] < middle else "black"
                heat.text(x, y, f"{table[y, x]:.2f}", ha="center", va="center", fontsize=5, color=ink)
            if name in chosen:
                heat.add_patch(
                    Rectangle((x - 0.47, y - 0.46), 0.94, 0.92, fill=False, edgecolor="#d55e00", linewidth=1.1)
                )
        look = tables.looks[model]
        own = mine[mine["selected"] == True].groupby("seed")["value"].mean()  # noqa: E712
        dots.plot(own.mean(), y, zorder=3, **style.filling(look, init))
        part = folds[(folds["model"] == model) & (folds["init"] == init) & (folds["metric"] == metric)]
        if len(part):
            by_fold = part.groupby("fold")["value"].mean()
            style.interval(dots, y, by_fold.min(), by_fold.max(), style.INK)
            dots.plot(by_fold.mean(), y, "x", color=style.INK, markersize=3, markeredgewidth=0.8, zorder=4)
    if len(names) > MOST_NUMBERS:
        strip.colorbar(image, ax=heat, fraction=0.04, pad=0.01).ax.tick_params(labelsize=5.5)
    dots.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))  # in whatever width
    dots.set_ylim(len(arms) - 0.5, -0.5)
    dots.set_yticks([])
    dots.set_xlabel(layout.metric_label([metric]))
    dots.grid(axis="x")


def clustering(tables: Tables) -> Figure:
    """How well labels show in embeddings that were never taught them, and maps of the test rows."""
    title = "Clustering · Classes in frozen embeddings, without any training"
    scores = tables.scored("clustering")
    if scores.empty:
        return style.missing(title, "No scores of analysis clustering.")
    tasks = tables.task_names(scores["task"])
    shown = tasks[:2]
    names = tables.order(scores["model"])
    maps = tables.maps[tables.maps["task"].isin(shown)]
    caption = (
        "Lines: 95 % bootstrap intervals over test rows; grey bars: 95 % range with permuted labels. k-means has as "
        "many clusters as there are classes. Maps: first two principal components of the standardised embedding of the "
        f"first seed, at most {MOST_POINTS} rows."
    )
    drawn = scores[scores["task"].isin(shown)]
    if drawn["n"].notna().any():
        caption += f" n = {layout.span(drawn['n'].dropna())} test rows, {layout.span(drawn['seeds'])} seed(s)."
    if len(tasks) > len(shown):
        caption += f" The first {len(shown)} of {len(tasks)} tasks are shown; scores.csv and maps.parquet have all."
    if len(names) > MOST_MAPS:
        caption += f" Maps of the first {MOST_MAPS} models."
    held = {task: set(maps.loc[maps["task"] == task, "init"]) for task in shown}
    arms = {task: [arm for arm in style.ARMS if arm in held[task]] for task in shown}
    dots_mm = 14 + layout.ROW_MM * max(2, len(names))
    heights = [height for task in shown for height in (dots_mm, 8 + 27 * len(arms[task]))]
    handles = [[*style.arm_handles(layout.shown_arms(tables, scores)),
                Patch(facecolor=style.BAND, edgecolor="none", label="permuted labels")]]  # fmt: skip
    figure, body = style.page(sum(heights), title=title, caption=f"{caption} {tables.study}", handles=handles)
    strips = layout.stack(body, heights)
    for i, task in enumerate(shown):
        _cluster_rows(strips[2 * i], tables, scores[scores["task"] == task], names)
        if arms[task]:
            _maps(strips[2 * i + 1], tables, maps[maps["task"] == task], names[:MOST_MAPS], arms[task])
    return figure


def _cluster_rows(strip: SubFigure, tables: Tables, rows: pd.DataFrame, names: Sequence[str]) -> None:
    panels = strip.subplots(1, len(CLUSTER_METRICS))
    for axes, (metric, label) in zip(panels, CLUSTER_METRICS.items(), strict=True):
        part = rows[rows["metric"] == metric]
        null, observed = (part[part["condition"] == name] for name in ("permuted_labels", "observed"))
        arms = set(observed["init"])
        layout.model_rows(axes, tables, observed, names, labels=axes is panels[0])
        for row in each(null):
            y = names.index(row.model) + layout.offset(row.init, arms)
            axes.hlines(y, row.low, row.high, color=style.BAND, linewidth=4, zorder=1)
        axes.set_xlabel(label, fontsize=6)
    panels[0].set_title(tables.task_label(rows["task"].iloc[0]), fontweight="bold")


def _maps(strip: SubFigure, tables: Tables, maps: pd.DataFrame, names: Sequence[str], arms: Sequence[str]) -> None:
    """Maps, arms in rows and models in columns, and the classes' colours below."""
    classes = sorted(maps["label"].unique())
    colors = dict(zip(classes, CLASS_COLORS, strict=False))
    panels = strip.subplots(len(arms), max(5, len(names)), squeeze=False)  # a lone map stays a square
    for axes in panels[:, len(names) :].ravel():
        axes.set(xticks=[], yticks=[])
        axes.set_axis_off()
    for i, (line, arm) in enumerate(zip(panels, arms, strict=True)):
        for axes, name in zip(line, names, strict=False):
            part = maps[(maps["model"] == name) & (maps["init"] == arm)]
            axes.set_xticks([])
            axes.set_yticks([])
            if part.empty:
                axes.set_axis_off()
                continue
            seed = part["seed"].min()
            part = part[part["seed"] == seed]
            part = part.iloc[:: -(-len(part) // MOST_POINTS)]
            shades = part["label"].map(colors).fillna(style.GREY)
            axes.scatter(part["x"], part["y"], c=shades, s=2, linewidths=0, alpha=0.8, rasterized=True)
            _explained(axes, tables, part["task"].iloc[0], name, arm, seed)
            if i == 0:
                axes.set_title(tables.looks[name].label, fontsize=6, color=tables.looks[name].color, fontweight="bold")
            if axes is line[0]:
                axes.set_ylabel(f"{arm}\n{axes.get_ylabel()}")
    shown = {str(name).replace("_", " "): color for name, color in colors.items()}
    handles = [style.handle(color=color, marker="o", markersize=3, linestyle="none", label=name)
               for name, color in shown.items()]  # fmt: skip
    if len(classes) > len(colors):
        handles.append(style.handle(color=style.GREY, marker="o", markersize=3, linestyle="none", label="others"))
    strip.legend(handles=handles, loc="outside lower left", ncols=min(len(handles), 6), fontsize=5.5, handletextpad=0.1)


def _explained(axes: Axes, tables: Tables, task: str, model: str, init: str, seed: int) -> None:
    """Axis labels with the share of the variance that each component explains."""
    found = tables.records
    found = found[(found["analysis"] == "clustering") & (found["task"] == task) & (found["model"] == model)]
    found = found[(found["init"] == init) & (found["seed"] == seed) & (found["metric"] == "explained_variance")]
    shares = found.set_index("component")["value"].to_dict()
    for number, label in ((1, axes.set_xlabel), (2, axes.set_ylabel)):
        if number in shares:
            label(f"PC{number} ({100 * shares[number]:.0f} %)", fontsize=5.5, labelpad=1)
