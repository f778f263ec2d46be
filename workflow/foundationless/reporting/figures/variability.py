"""How much scores move when nothing but the seed or the fold changes."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, of_plain_tasks, of_validation

ARMS = ("pretrained", "random")
COMPONENTS = {"items": "#d9d9d9", "seed": "#5c4b8a", "fold": "#c3b8dd", "residual": "#f7c98b"}
LABELS = {"items": "test items", "residual": "seed × fold"}
FEW = 12  # runs of one seed that have room for large marks
MOST_DOTS = 150  # of one seed of one arm
ROW_MM = 3.9


def seed_variance(tables: Tables) -> Figure:
    """Every run as its distance from the mean of its task, model and arm; beside it what the variance is made of."""
    title = "Seeds and folds · How far runs of the same arm lie apart"
    runs, analysis = _repeated(tables)
    if runs.empty:
        return style.missing(title, "No arm was run with more than one seed or fold (runs.csv): nothing varies.")
    names = tables.order(runs["model"])
    arms = [(name, init) for name in names for init in ARMS
            if ((runs["model"] == name) & (runs["init"] == init)).any()]  # fmt: skip
    parts = _shares(tables, analysis)
    metrics = runs["metric"].unique().tolist()
    tasks = runs["task"].nunique()
    several = bool((runs.groupby(["model", "init", "seed"]).size() > 1).any())
    caption = (
        f"Analysis {analysis}, n = {len(runs):,} runs on {tasks} task(s). Left: every run's test score minus the mean "
        f"of its task, model and arm, one line per seed ({runs['seed'].nunique()}), folds ({runs['fold'].nunique()}) "
        f"and tasks along it{'; bars: means of the seeds over tasks' if several else ''}. Right: share of the "
        "variance of a single run that comes from each source, mean over tasks (components.csv), and the median "
        "standard deviation between seeds. A seed sets head and order of the data, of a random arm also the weights. "
        f"Upper rows of a model: pretrained. {tables.study}"
    )
    sources = [Patch(color=color, label=LABELS.get(name, name)) for name, color in COMPONENTS.items()]
    handles: list[list[Any]] = [list(style.arm_handles()), sources if len(parts) else []]
    figure, body = style.page(
        11 + ROW_MM * len(arms), title=title, caption=caption, handles=handles, width_mm=style.ONE_COLUMN
    )  # fmt: skip
    left, right = body.subplots(1, 2, width_ratios=(1.5, 1), sharey=True)
    for y, (name, init) in enumerate(arms):
        _strip(left, tables, runs[(runs["model"] == name) & (runs["init"] == init)], y)
        _bar(right, parts[(parts["model"] == name) & (parts["init"] == init)], y)
    left.axvline(0, color=style.INK, linewidth=0.4, zorder=1)
    places = [np.mean([y for y, (other, _) in enumerate(arms) if other == name]) for name in names]
    left.set_ylim(len(arms) - 0.5, -0.5)
    left.set_yticks(places, [tables.looks[name].label.replace(" ", "\n", 1) for name in names])
    left.set_xlabel(f"Run − mean ({layout.metric_label(metrics)})" if len(metrics) == 1 else "Run − mean")
    right.set(xlim=(0, 1), xticks=(0, 0.5, 1))
    right.set_xlabel("Share of variance")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.tick_params(labelsize=5.8)
    return figure


def _repeated(tables: Tables) -> tuple[pd.DataFrame, str]:
    """Runs of the analysis with the most arms that have several, as distances from their arm's mean."""
    runs = tables.extra("runs")
    runs = tables.own(runs[runs["init"].isin(ARMS) & runs["model"].isin(tables.looks)])
    runs = of_validation(of_plain_tasks(runs[runs["value"].notna() & (runs["reading"] == "published")]))
    keys = ["analysis", "task", "model", "init", "metric"]
    groups = runs.groupby(keys)["value"]
    runs = runs.assign(away=runs["value"] - groups.transform("mean"))[groups.transform("size") > 1]
    if runs.empty:
        return runs, ""
    counts = runs.groupby("analysis").size()
    analysis = "finetune" if "finetune" in counts.index else str(counts.idxmax())
    return runs[runs["analysis"] == analysis], analysis


def _shares(tables: Tables, analysis: str) -> pd.DataFrame:
    """Mean share of each component and median sd between seeds, per model and arm."""
    found = tables.extra("components")
    found = of_validation(found[(found["analysis"] == analysis) & found["component"].isin(COMPONENTS)])
    return found.assign(sd=np.sqrt(found["variance"].clip(lower=0)))


def _strip(axes: Axes, tables: Tables, runs: pd.DataFrame, y: int) -> None:
    look, init = tables.looks[runs["model"].iloc[0]], str(runs["init"].iloc[0])
    seeds = sorted(runs["seed"].unique())
    places = np.linspace(-0.27, 0.27, len(seeds)) if len(seeds) > 1 else [0.0]
    mark: Any = {"color": look.color, "markerfacecolor": look.color if init == "pretrained" else "white"}
    counts = runs.groupby("seed").size()
    # A single run a seed has the legend's mark, as large as the lines of seeds have room; many are dots.
    size = float(np.clip(0.5 * ROW_MM / 25.4 * 72 / max(1, len(seeds) - 1), 1.5, 3.6)) if counts.max() <= FEW else 1.5
    mark |= {"markersize": size, "markeredgewidth": 0.8 if size > 2 else 0.3, "alpha": 1 if size > 2 else 0.6}
    for seed, place in zip(seeds, places, strict=True):
        values = np.sort(runs.loc[runs["seed"] == seed, "away"].to_numpy())
        shown = values[:: -(-len(values) // MOST_DOTS)]
        axes.plot(shown, np.full(len(shown), y + place), "o", zorder=3, **mark)
        if len(values) > 1:
            axes.vlines(values.mean(), y + place - 0.11, y + place + 0.11, color=style.INK, linewidth=0.9, zorder=4)


def _bar(axes: Axes, parts: pd.DataFrame, y: int) -> None:
    if parts.empty:
        return
    shares = parts.groupby("component")["share"].mean().reindex(list(COMPONENTS)).clip(lower=0).fillna(0)
    left = 0.0
    for name, share in (shares / shares.sum() if shares.sum() > 0 else shares).items():
        axes.barh(y, share, left=left, height=0.62, color=COMPONENTS[str(name)], linewidth=0)
        left += share
    sd = parts.loc[parts["component"] == "seed", "sd"].median()
    if np.isfinite(sd):
        axes.annotate(f"{sd:.3f}", (1.03, y), xycoords=("axes fraction", "data"), fontsize=5.2, va="center")
