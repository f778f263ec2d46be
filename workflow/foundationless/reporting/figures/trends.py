"""What the gains of pretraining depend on: the class of tokens; and how scores grow with training rows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks, of_validation
from foundationless.study.families import TOKEN_CLASSES
from foundationless.study.vocabulary import METRICS

BASES = {
    "models": "Over models, each as published",
    "architecture": "Within architectures pretrained with several tokenizers",
}
ROW_MM, PANEL_MM = 3.1, 46
SCOPE_MARKS = {"these": (style.INK, -0.16), "like-these": ("white", 0.18)}  # face of the mark, and place in the row
SIZE = 5.4  # pt
BEYOND = 2.0  # times the rows that were tried: where answers beyond them stand


def tokenizer_gate(tables: Tables) -> Figure:
    """A block per analysis: the gain of each class of tokens, and the differences of classes, in two panels."""
    title = "Are gains of pretraining gated by the tokenizer?"
    rows = of_plain_tasks(tables.extra("tokenizer_gate").fillna({"variant": "", "second": ""}))
    rows = rows[rows.groupby(["analysis", "first", "second"])["delta"].transform(lambda values: values.notna().any())]
    if rows.empty:
        return style.missing(title, "No analysis has models of two classes of tokens with both arms.")
    lines: list[tuple[str, str, str]] = []  # analysis, first, second; of a heading the analysis alone
    for analysis, part in rows.groupby("analysis", sort=False):
        pairs = part.drop_duplicates(["first", "second"])[["first", "second"]].to_numpy()
        lines += [(str(analysis), "", ""), *((str(analysis), str(first), str(second)) for first, second in pairs)]
    bases = [basis for basis in BASES if basis in set(rows["basis"])]
    margins = rows.drop_duplicates("metrics").rename(columns={"metrics": "metric"})
    margins = margins[~margins["metric"].astype(str).str.contains("+", regex=False)]  # of several: a mean of theirs
    handles = [[
        style.handle(color=style.INK, marker="o", markerfacecolor=face, linestyle="none", label=label)
        for (face, _), label in zip(SCOPE_MARKS.values(), ("on these tasks", "on tasks like these"), strict=True)
    ] + [style.band_handle(layout.margin_words(margins))]]  # fmt: skip
    height = 12 + (ROW_MM if len(lines) < 60 else 2.5) * len(lines)
    figure, body = style.page(height, title=title, caption=f"{_gate_caption(rows)} {tables.study}", handles=handles)
    ends = _reach(rows)
    for place, (axes, basis) in enumerate(
        zip(body.subplots(1, len(bases), squeeze=False, sharey=True)[0], bases, strict=True)
    ):
        _gate_panel(axes, rows[rows["basis"] == basis], lines, ends)
        axes.set_title(BASES[basis])
        axes.set_xlabel("Gain, or difference of gains (metric of the tasks)")
        if not place:
            layout.named_rows(axes, [_gate_label(*line) for line in lines], size=SIZE + 0.3)
        axes.set_ylim(len(lines) - 0.4, -0.6)
    return figure


def _gate_label(analysis: str, first: str, second: str) -> tuple[str, str]:
    if not first:
        return f"Analysis {analysis}", "bold"
    return (f"{TOKEN_CLASSES[first]} − {TOKEN_CLASSES[second]}" if second else TOKEN_CLASSES[first]), "normal"


def _reach(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold every value, every interval on these tasks, and the margins; others end in an arrow."""
    these = rows[rows["scope"] == "these"]
    values = np.concatenate([rows["delta"], these["low"], these["high"], rows["margin"], -rows["margin"]])
    values = values[np.isfinite(values)]
    pad = 0.06 * (values.max() - values.min())
    return float(values.min() - pad), float(values.max() + pad)


def _gate_panel(
    axes: Axes, rows: pd.DataFrame, lines: Sequence[tuple[str, str, str]], ends: tuple[float, float]
) -> None:
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    axes.set_xlim(*ends)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    for y, (analysis, first, second) in enumerate(lines):
        if not first:
            axes.axhspan(y - 0.5, y + 0.5, color="white", zorder=1.5)  # the heading's room
            if not rows["analysis"].eq(analysis).any():
                axes.annotate("no two classes", (1.025, y + 1), xycoords=("axes fraction", "data"), fontsize=SIZE,
                              va="center")  # fmt: skip
            continue
        mine = rows[(rows["analysis"] == analysis) & (rows["first"] == first) & (rows["second"] == second)]
        known = mine[mine["delta"].notna()]
        words = {}
        for row in each(known):
            face, shift = SCOPE_MARKS[row.scope]
            if row.scope == "these" or np.isfinite(row.low):
                layout.draw_margins(axes, [y + shift], [row.margin], half=0.22)
                layout.cut_interval(axes, y + shift, row, ends, style.INK, 2)
                axes.plot(row.delta, y + shift, "o", color=style.INK, markerfacecolor=face, markersize=2.6, zorder=3)
                words[row.scope] = str(row.verdict)
        text = "; ".join(dict.fromkeys(words.values())) if words else "no models" if len(mine) else ""
        counts = f" ({known['models'].iloc[0]:.0f})" if words else ""
        axes.annotate(f"{text}{counts}", (1.025, y), xycoords=("axes fraction", "data"), fontsize=SIZE, va="center")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def _gate_caption(rows: pd.DataFrame) -> str:
    known = rows[rows["delta"].notna()]
    return (
        "Gain: score of the pretrained arm minus that of the same model at random initialisation, mean over the "
        "models of a class of tokens; below it, differences of classes, positive where the first one gains more "
        "(left out where an analysis has no models of a class: tokenizer_gate.csv). Left, models differ in all "
        "else too; right, in their tokenizer alone. Lines: 95 % intervals (arrow: it goes on), on these tasks over "
        "seeds and test items, on tasks like these over families of tasks too (none of a single family); models "
        "are fixed (tokenizer_gate.csv has the test with models as units, and task variants). Text: word at 5 %, "
        "of both scopes where they differ, after Holm's adjustment over the classes, or over their differences: "
        "equivalent if two one-sided tests place it within the margin (grey), else better (above 0) or worse by a "
        "t test, else undecided; none with fewer than three seeds; in brackets how many models. "
        f"n = {layout.span(known['n'])} task(s) a row."
    )


def scaling_fits(tables: Tables) -> Figure:
    """Above, score against training rows with the power laws; below, how many times the rows the random arm needs."""
    title = "Scores by training rows, and how many rows pretraining is worth"
    worth, laws = of_validation(tables.extra("rows_worth")), of_validation(tables.extra("scaling_fits"))
    worth = worth[worth["model"].isin(tables.looks)]
    if worth.empty:
        return style.missing(
            title, "No task was learned by both arms of a model from several shares of its training rows."
        )
    laws = laws[(laws["axis"] == "training rows") & laws["c"].notna()]
    tasks = worth[["analysis", "task"]].drop_duplicates().astype(str).to_numpy().tolist()
    columns = min(len(tasks), 4)
    lines = -(-len(tasks) // columns)
    shown = {name: tables.looks[name] for name in tables.order(worth["model"])}
    handles = [style.arm_handles(("pretrained", "random"), lines=True), style.model_handles(shown.values())]
    figure, body = style.page(
        2 * PANEL_MM * lines, title=title, caption=f"{_worth_caption(worth, laws)} {tables.study}", handles=handles,
        width_mm=style.TWO_COLUMNS if columns > 1 else style.ONE_COLUMN,
    )  # fmt: skip
    upper, lower = layout.stack(body, [1.0, 1.0])
    panels = zip(layout.grid(upper, len(tasks), columns), layout.grid(lower, len(tasks), columns), tasks, strict=True)
    for above, below, (analysis, task) in panels:
        mine = worth[(worth["analysis"] == analysis) & (worth["task"] == task)]
        fitted = laws[(laws["analysis"] == analysis) & (laws["task"] == task)]
        shifts = dict(zip(shown, np.linspace(-0.12, 0.12, max(2, len(shown))), strict=False))
        for name in tables.order(mine["model"]):
            rows = mine[mine["model"] == name].sort_values("rows")
            _scores_by_rows(above, tables.looks[name], rows, fitted[fitted["model"] == name],
                            1 + shifts[name])  # fmt: skip
            _ratios(below, tables.looks[name], rows, 1 + shifts[name])
        for axes in (above, below):
            axes.set_title(tables.task_label(task))
            layout.logarithmic(axes, sorted(mine["rows"].unique()), size=6.5)
            axes.set_xlabel("Training rows")
            axes.margins(x=0.16, y=0.1)
            axes.grid(axis="y")
        above.set_ylabel(layout.metric_label(mine["metric"]))
        _ratio_axis(below)
    return figure


def _scores_by_rows(axes: Axes, look: style.Look, rows: pd.DataFrame, laws: pd.DataFrame, shift: float) -> None:
    """Both arms of a model, and their power laws as lines; marks of an arm without one are not joined."""
    arms = {"pretrained": ("value", "low", "high"), "random": ("value_random", "random_low", "random_high")}
    for init, (value, low, high) in arms.items():
        x = rows["rows"].to_numpy(dtype=float) * shift
        axes.plot(x, rows[value], zorder=3, **(style.filling(look, init) | {"linestyle": "none"}))
        style.interval(axes, x, rows[low], rows[high], look.color, vertical=True)
        for law in each(laws[laws["init"] == init]):
            n = np.geomspace(law.smallest, law.largest, 60)
            error = law.a + law.b * n**-law.c
            score = 1 - error if METRICS[law.metric].higher_is_better else error
            axes.plot(n, score, color=look.color, linestyle=style.ARM_LINES[init], linewidth=0.8, zorder=2)


def _ratios(axes: Axes, look: style.Look, rows: pd.DataFrame, shift: float) -> None:
    """How many times the rows the random arm needs; an arrow where that is beyond the rows that were tried."""
    for row in each(rows):
        ends = (row.fewest / row.rows / BEYOND, row.most / row.rows * BEYOND)
        x, (value, low, high) = row.rows * shift, np.clip([row.ratio, row.ratio_low, row.ratio_high], *ends)
        style.interval(axes, x, low, high, look.color, vertical=True)
        for place, number in ((low, row.ratio_low), (high, row.ratio_high)):
            if number in (0, np.inf):
                axes.plot(x, place, "^" if number else "v", color=look.color, markersize=2.2, zorder=2.5)
        mark = style.filling(look, "pretrained") | {"linestyle": "none"}
        if row.ratio in (0, np.inf):
            mark |= {"marker": "^" if row.ratio else "v", "markersize": 4.5}
        axes.plot(x, value, zorder=3, **mark)


def _ratio_axis(axes: Axes) -> None:
    axes.axhline(1, color=style.INK, linewidth=0.5, zorder=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g} ×"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.set_ylabel("Rows of the random arm")


def _worth_caption(worth: pd.DataFrame, laws: pd.DataFrame) -> str:
    fits = f"{len(laws)} curve(s) have" if len(laws) else "no curve has"
    return (
        "Above: score of both arms by the rows they were trained on (means over draws of the rows; lines through "
        "marks: 95 % bootstrap intervals over test items and seeds). Curves: error = a + b · n^-c, by weighted least "
        f"squares, where there are four sizes or more; {fits} one here (scaling_fits.csv has a, b and c with "
        "intervals, what lies at a bound, and fits over widths, layers and pretraining steps). Below: how many times "
        "as many rows the random arm would need for the score of the pretrained one, read off its curve, made monotone "
        "and straight over the logarithm of rows between sizes; above 1 pretraining saves rows. Triangles: beyond the "
        "rows that were tried (drawn at twice the distance), so only more, or fewer, is known. Lines: 95 % intervals. "
        "No test. "
        f"n = {layout.span(worth['points'])} sizes, {layout.span(worth['seeds'])} seed(s). Marks of models stand a "
        "little apart."
    )
