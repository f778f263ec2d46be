"""Labels of several outputs: what a regression predicts of what was observed, and what each track gains.

Of a task the pretrained arm that is the best on the validation rows is shown, beside it its own random arm and the best
baseline: arms that were compared.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from foundationless.evaluation.outputs.metrics import share_of_ones
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks, of_validation
from foundationless.study.vocabulary import CLASSIFICATIONS, METRICS, TRACKS, VALUES, labels_of

SMALL = 5.5  # points of the numbers in a panel
REGRESSION_MM, MOST_REGRESSIONS = 47.0, 5  # height of a task, and tasks on a page
LINE_MM, CURVE_MM, MOST_MM = 2.9, 42.0, 225.0  # height of an output, of a curve, and of all tasks
NAMED = 30  # outputs that have a row each; more of them make a curve
REFERENCES = {"random": "Pretrained − its random self", "baseline": "Pretrained − the best baseline"}


class Arm(NamedTuple):
    """An arm of a task: its model and init, and what it is called there."""

    model: str
    init: str
    words: str


def regression(tables: Tables) -> Figure:
    """Predicted against observed values with their density, and the residuals, a row per task of numbers."""
    title = "Regression · Predicted against observed values"
    counts = of_validation(of_plain_tasks(tables.extra("scatter")))
    counts = counts[counts["model"].isin(tables.looks)]
    places = _places(tables, counts, VALUES)
    if not places:
        return style.missing(title, "No predicted values of an arm on a task of numbers (scatter.csv).")
    shown = places[:MOST_REGRESSIONS]
    caption = (
        "Each row a task: test items by observed (x) and predicted value (y), in the units of the labels, all seeds "
        "and folds pooled; darker: more of them (logarithmic, each panel to its own most). Dashed: predicted = "
        "observed. What lies beyond a panel is counted at its edge. r: Pearson's, ρ: Spearman's; brackets: 95 % "
        "bootstrap intervals over items (or groups) and seeds. Right: predicted minus observed, share of the test "
        "items. Of several outputs the first is shown. "
        "Pretrained: the best on the validation rows; baseline: the best there. "
        "A baseline that is named after logistic regression is ridge regression here. "
        f"No test here: comparisons.csv has the paired differences. {_left(len(places), len(shown))}"
    )
    arms = [style.handle(label=words, color=style.INK, **line) for words, line in _LINES.items()]
    figure, body = style.page(
        REGRESSION_MM * len(shown), title=title, caption=f"{caption} {tables.study}", handles=[arms]
    )
    for strip, (analysis, task) in zip(layout.stack(body, [REGRESSION_MM] * len(shown)), shown, strict=True):
        rows = counts[(counts["analysis"] == analysis) & (counts["task"] == task)]
        _regression_row(strip, tables, rows, _arms(tables, analysis, task, rows))
    return figure


_LINES: dict[str, dict[str, Any]] = {
    "pretrained": {"linestyle": "-"},
    "random": {"linestyle": "--"},
    "baseline": {"linestyle": ":"},
}


def _left(known: int, shown: int) -> str:
    return f"The first {shown} of {known} tasks are shown. " if known > shown else ""


def _places(tables: Tables, rows: pd.DataFrame, labels: str) -> list[tuple[str, str]]:
    """Analyses and tasks with rows, tasks in the study's order; `labels` says of which kind."""
    metrics = tables.scores.drop_duplicates(["analysis", "task"]).set_index(["analysis", "task"])["metric"]
    known = set(map(tuple, rows[["analysis", "task"]].drop_duplicates().to_numpy()))
    return [
        (analysis, task)
        for analysis in CLASSIFICATIONS
        for task in tables.task_names({task for name, task in known if name == analysis})
        if labels_of(str(metrics.get((analysis, task), ""))) == labels
    ]


def _arms(tables: Tables, analysis: str, task: str, rows: pd.DataFrame) -> list[Arm]:
    """The best pretrained arm, its random self and the best baseline, of arms that have rows."""
    scores = tables.scores[(tables.scores["analysis"] == analysis) & (tables.scores["task"] == task)]
    known = set(map(tuple, rows[["model", "init"]].drop_duplicates().to_numpy()))
    ranked = _by_validation(tables, of_validation(scores))
    own = [arm for arm in ranked if arm in known and arm[1] == "pretrained" and arm[0] not in tables.baselines]
    cheap = [arm for arm in ranked if arm in known and arm[0] in tables.baselines]
    arms = [Arm(*own[0], "pretrained")] if own else []
    random = (own[0][0], "random") if own else next((arm for arm in ranked if arm[1] == "random"), ("", ""))
    arms += [Arm(*random, "random")] if random in known else []
    return arms + ([Arm(*cheap[0], "baseline")] if cheap else [])


def _by_validation(tables: Tables, scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Arms of these scores, the best on the validation rows first; by test value those of which none is recorded."""
    if scores.empty:
        return []
    metric, records = scores["metric"].iloc[0], tables.records
    mine = records[records["analysis"].eq(scores["analysis"].iloc[0]) & records["task"].eq(scores["task"].iloc[0])]
    mine = mine[mine["split"].eq("validation") & mine["metric"].eq(metric) & ~mine["selected"].eq(False)]
    means = mine.astype({"value": float}).groupby(["model", "init"])["value"].mean()
    values = scores.set_index(["model", "init"])["value"]
    values = means.reindex(values.index) if values.index.isin(means.index).all() else values
    order = values[~values.index.duplicated()].sort_values(ascending=False, kind="stable").index
    return [(str(model), str(init)) for model, init in order]


def _regression_row(strip: SubFigure, tables: Tables, rows: pd.DataFrame, arms: Sequence[Arm]) -> None:
    """A panel of density for each arm, and the residuals of all in one."""
    panels = strip.subplots(1, 4, width_ratios=[1, 1, 1, 1.05])
    for axes in panels[len(arms) : 3]:
        axes.set_axis_off()
    task, analysis = str(rows["task"].iloc[0]), str(rows["analysis"].iloc[0])
    head = tables.task_label(task) + ("" if analysis == "finetune" else f" ({analysis})")
    strip.suptitle(head, x=0.008, ha="left", fontsize=7, fontweight="bold")
    grid = rows[rows["what"] == "grid"]
    output = str(grid["output"].iloc[0])
    for axes, arm in zip(panels, arms, strict=False):
        part = grid[(grid["model"] == arm.model) & (grid["init"] == arm.init)]
        _density(axes, part, grid, tables.looks[arm.model])
        axes.set_title(tables.looks[arm.model].label, color=tables.looks[arm.model].color, fontsize=6.2)
        words = "\n".join([arm.words, *_relation(tables, analysis, task, arm, output)])
        axes.annotate(words, (0.03, 0.97), xycoords="axes fraction", fontsize=5.2, va="top", zorder=5,
                      bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.0})  # fmt: skip
        axes.set_xlabel("Observed")
        axes.tick_params(labelleft=axes is panels[0])  # the others have its cells
    panels[0].set_ylabel(f"Predicted ({_name(output)})")
    _residuals(panels[3], tables, rows[rows["what"] == "residuals"], arms)


def _density(axes: Axes, part: pd.DataFrame, grid: pd.DataFrame, look: style.Look) -> None:
    """Counts of an arm as shades of its model, on the cells of all arms, and the line where both are the same."""
    (width, height), columns, rows = _cell(grid), _steps(grid, "x"), _steps(grid, "y")
    left, bottom = grid["x"].min() - width / 2, grid["y"].min() - height / 2
    counts = np.zeros((rows, columns))
    x, y = ((part[name] - grid[name].min()) / size for name, size in (("x", width), ("y", height)))
    counts[np.rint(y).astype(int), np.rint(x).astype(int)] = part["count"]
    shades = colors.LinearSegmentedColormap.from_list(look.label, ["white", look.color])
    depth = np.log1p(counts) / max(np.log1p(counts.max()), 1e-9)
    image = shades(np.where(counts > 0, 0.18 + 0.82 * depth, 0.0))
    ends = (left, left + columns * width, bottom, bottom + rows * height)
    axes.imshow(image, origin="lower", extent=ends, aspect="auto", interpolation="nearest", zorder=1)
    line = np.array([max(ends[0], ends[2]), min(ends[1], ends[3])])
    axes.plot(line, line, color=style.INK, linestyle="--", linewidth=0.6, zorder=3)
    axes.set(xlim=ends[:2], ylim=ends[2:])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(4))


def _cell(grid: pd.DataFrame) -> tuple[float, float]:
    return float(grid["step_x"].iloc[0]), float(grid["step_y"].iloc[0])


def _steps(grid: pd.DataFrame, name: str) -> int:
    return round(float(grid[name].max() - grid[name].min()) / float(grid[f"step_{name}"].iloc[0])) + 1


def _relation(tables: Tables, analysis: str, task: str, arm: Arm, output: str) -> list[str]:
    """`r 0.71 [0.69, 0.73]`, ρ and R² of the output that is shown."""
    found = tables.extra("outputs")
    mine = found[found["analysis"].eq(analysis) & found["task"].eq(task) & found["versus"].isna()]
    mine = of_validation(mine[mine["model"].eq(arm.model) & mine["init"].eq(arm.init) & mine["output"].eq(output)])
    lines = []
    for metric, sign in (("pearson", "r"), ("spearman", "ρ"), ("r2", "R²")):
        rows = mine[mine["metric"].eq(metric)]
        if rows.empty:
            continue
        value, low, high = rows[["value", "low", "high"]].astype(float).iloc[0].round(2) + 0.0  # no zero below zero
        if np.isfinite(value):
            between = f" [{low:.2f}, {high:.2f}]" if np.isfinite([low, high]).all() else ""
            lines.append(f"{sign} {value:.2f}{between}".replace("-", "−"))
    return lines


def _residuals(axes: Axes, tables: Tables, rows: pd.DataFrame, arms: Sequence[Arm]) -> None:
    """Shares of the residuals of each arm, as steps."""
    width = float(rows["step_x"].iloc[0]) if len(rows) else 1.0
    cells = round((rows["x"].max() - rows["x"].min()) / width) + 1 if len(rows) else 1
    middles = (rows["x"].min() if len(rows) else 0.0) + width * np.arange(cells)
    for arm in arms:
        part = rows[(rows["model"] == arm.model) & (rows["init"] == arm.init)]
        counts = np.zeros(cells)
        if len(part):
            counts[np.rint((part["x"] - middles[0]) / width).astype(int)] = part["count"]
        shares = 100 * counts / max(1.0, counts.sum())
        look = tables.looks[arm.model]
        axes.step(middles, shares, where="mid", color=look.color, linewidth=0.9, zorder=3, **_LINES[arm.words])
    axes.axvline(0, color=style.INK, linewidth=0.4, zorder=1)
    axes.set_ylim(0, None)
    axes.set_title("Residuals (% of test items)", fontsize=6.2)
    axes.set_xlabel("Predicted − observed")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.grid(axis="y")


def tracks(tables: Tables) -> Figure:
    """Differences of every output of a task of tracks: a row each, or a ranked curve where they are many."""
    title = "Tracks · What each output gains"
    found = tables.extra("outputs")
    found = of_validation(of_plain_tasks(found[found["output"].notna() & found["model"].isin(tables.looks)]))
    shares = found[found["metric"].eq("macro_auprc") & found["versus"].isna()]
    shares = shares.assign(share=share_of_ones(shares["chance"].astype(float), shares["n"].astype(float)))
    found = found[found["versus"].isin(REFERENCES) & found["init"].eq("pretrained") & found["delta"].notna()]
    places = _places(tables, found, TRACKS)
    if not places:
        return style.missing(title, "No paired differences of single outputs of a task of tracks (outputs.csv).")
    keys = ["analysis", "task", "output"]
    found = found.merge(shares.drop_duplicates(keys)[[*keys, "share"]], "left")
    parts = [_compared(tables, found, *place) for place in places]
    heights = [_height(part) for part in parts]
    fitting = max(1, int((np.cumsum(heights) <= MOST_MM).sum()))
    parts, heights = parts[:fitting], heights[:fitting]
    names = tables.order({name for part in parts for name in part["model"]})
    figure, body = style.page(
        sum(heights),
        title=title,
        caption=f"{_tracks_caption(parts)} {_left(len(places), fitting)}{tables.study}",
        handles=[[style.band_handle(""), *style.model_handles(tables.looks[name] for name in names)]],
    )
    for strip, part, place in zip(layout.stack(body, heights), parts, places, strict=False):
        _track_strip(strip, tables, part, *place)
    return figure


def _compared(tables: Tables, found: pd.DataFrame, analysis: str, task: str) -> pd.DataFrame:
    """Differences of a task: of the best model by validation where outputs have rows, of all models as curves."""
    scores = tables.scores[(tables.scores["analysis"] == analysis) & (tables.scores["task"] == task)]
    part = found[(found["analysis"] == analysis) & (found["task"] == task) & found["metric"].isin(scores["metric"])]
    if part["output"].nunique() > NAMED:
        return part
    best = [model for model, init in _by_validation(tables, of_validation(scores)) if init == "pretrained"]
    known = [model for model in best if model in set(part["model"])] or tables.order(part["model"])
    return part[part["model"] == known[0]]


def _height(part: pd.DataFrame) -> float:
    outputs = part["output"].nunique()
    return 17 + LINE_MM * outputs if outputs <= NAMED else CURVE_MM + 10


def _tracks_caption(parts: Sequence[pd.DataFrame]) -> str:
    words = "Paired differences of single outputs on the test rows where their label is known; grey: margin of the "
    words += "metric, within which a difference counts as none. No test is drawn: one of so many would mean little. "
    if any(part["output"].nunique() <= NAMED for part in parts):
        words += (
            "Rows: the outputs of the pretrained arm that is the best on the validation rows, sorted by the difference "
            "with its random self; lines: 95 % bootstrap intervals over items (or groups) and seeds, of each output "
            "alone; right: n of the known rows and the share of positives among them. "
        )
    if any(part["output"].nunique() > NAMED for part in parts):
        words += (
            "Curves: outputs ranked by their difference, each model by its own; bands, or strokes where only the first "
            "outputs have any: 95 % intervals, of each output alone; in words how many lie above and below 0. "
        )
    return words


def _track_strip(strip: SubFigure, tables: Tables, part: pd.DataFrame, analysis: str, task: str) -> None:
    metric = str(part["metric"].iloc[0])
    kinds = [versus for versus in REFERENCES if part["versus"].eq(versus).any()]
    head = tables.task_label(task) + ("" if analysis == "finetune" else f" ({analysis})")
    strip.suptitle(head, x=0.008, ha="left", fontsize=7, fontweight="bold")
    curve = part["output"].nunique() > NAMED
    panels = np.atleast_1d(strip.subplots(1, len(kinds), sharey=True))
    first = part[part["versus"] == kinds[0]].sort_values("delta", ascending=False, kind="stable")
    order = list(dict.fromkeys(first["output"]))
    margin = _margin(tables, analysis, task, metric)
    for axes, versus in zip(panels, kinds, strict=True):
        rows = part[part["versus"] == versus]
        axes.set_title(REFERENCES[versus], fontsize=6.5)
        label = f"Difference in {_of_one(metric)}"
        if curve:
            axes.axhspan(-margin, margin, color=style.BAND, linewidth=0, zorder=0)
            axes.axhline(0, color=style.INK, linewidth=0.5, zorder=1)
            _ranked(axes, tables, rows)
            axes.set_ylim(*_reach(part))
            axes.set_xlabel("Outputs, ranked")
            if axes is panels[0]:
                axes.set_ylabel(label)
            axes.grid(axis="y")
        else:
            axes.axvspan(-margin, margin, color=style.BAND, linewidth=0, zorder=0)
            axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
            _named(axes, tables, rows, order, counts=axes is panels[-1])
            axes.set_xlabel(label)


def _of_one(metric: str) -> str:
    """Metric of a single output: a macro mean is over them."""
    return METRICS[metric].label.removeprefix("macro ")


def _margin(tables: Tables, analysis: str, task: str, metric: str) -> float:
    pairs = tables.comparisons
    known = pairs.loc[pairs["analysis"].eq(analysis) & pairs["task"].eq(task), "margin"].dropna()
    return float(known.iloc[0]) if len(known) else METRICS[metric].margin


def _named(axes: Axes, tables: Tables, rows: pd.DataFrame, order: Sequence[str], *, counts: bool) -> None:
    """A row per output, with how many rows know it and the share of positives at the right."""
    for row in each(rows[rows["output"].isin(order)]):
        y, look = order.index(row.output), tables.looks[row.model]
        style.interval(axes, y, row.low, row.high, look.color)
        axes.plot(row.delta, y, zorder=3, **(style.filling(look, "pretrained") | {"markersize": 3.2}))
        if counts and np.isfinite(float(row.n)):
            share = f", {100 * float(row.share):.0f} %" if pd.notna(row.share) else ""
            axes.annotate(f"{row.n:,.0f}{share}", (1.01, y), xycoords=("axes fraction", "data"), fontsize=5.2,
                          va="center")  # fmt: skip
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_yticks(range(len(order)), [_name(output) for output in order])
    axes.tick_params(axis="y", length=0, labelsize=SMALL)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.grid(axis="x")


def _name(output: str) -> str:
    return output if len(output) <= 28 else f"{output[:26]}…"


def _reach(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold every difference and nine of ten ends of intervals, with room for words at the top."""
    ends = pd.concat([rows["low"], rows["high"]]).astype(float).dropna()
    values = np.concatenate([rows["delta"].astype(float), ends.quantile([0.05, 0.95]).dropna(), [0.0]])
    span = float(values.max() - values.min()) or 0.1
    return float(values.min()) - 0.05 * span, float(values.max()) + 0.05 * span + 0.08 * span * rows["model"].nunique()


def _ranked(axes: Axes, tables: Tables, rows: pd.DataFrame) -> None:
    """The differences of each model from the largest down, their intervals, and how many of these exclude 0."""
    lines = []
    for name in tables.order(rows["model"]):
        part = rows[rows["model"] == name].sort_values("delta", ascending=False, kind="stable")
        part = part.assign(place=np.arange(1, len(part) + 1)).astype({"low": float, "high": float})
        look, known = tables.looks[name], part.dropna(subset=["low", "high"])
        if len(known) == len(part):
            axes.fill_between(part["place"], part["low"], part["high"], color=look.color, alpha=0.15, linewidth=0)
        else:
            axes.vlines(known["place"], known["low"], known["high"], color=look.color, alpha=0.45, linewidth=0.5)
        axes.plot(part["place"], part["delta"], color=look.color, linewidth=0.9, zorder=3)
        above, below = int((known["low"] > 0).sum()), int((known["high"] < 0).sum())
        lines.append(f"{look.label}: of {len(known)} intervals {above} above 0, {below} below")
    axes.annotate("\n".join(lines), (0.99, 0.98), xycoords="axes fraction", fontsize=5.2, va="top", ha="right")
    axes.margins(x=0.02)
