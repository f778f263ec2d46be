"""Which classes are taken for which: biotypes and ancestries, both arms of every model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import style
from foundationless.reporting.figures.inputs import Tables, of_plain_tasks, of_validation

ARMS = ("pretrained", "random")
ANALYSES = {"biotype": "Biotype", "ancestry": "Ancestry", "finetune": "Fine-tuning"}
MOST_COLUMNS, SHORT, SMALL = 4, 4, 5.0
PITCH = 2.1  # mm of a row of a matrix: what a label takes


@dataclass(frozen=True)
class Matrices:
    """Counts of one analysis by model and arm, over its tasks, seeds and folds: [classes, classes], rows actual."""

    analysis: str
    classes: list[str]
    counts: dict[tuple[str, str], np.ndarray]

    @property
    def ticks(self) -> list[str]:
        """Classes by their names if these are short, else by numbers."""
        short = all(len(name) <= SHORT for name in self.classes)
        return self.classes if short else [str(i) for i in range(1, len(self.classes) + 1)]


def confusion(tables: Tables) -> Figure:
    """Row-normalised confusion matrices, models in rows, analyses and arms in columns."""
    title = "Confusion · Which classes are taken for which"
    cells = tables.extra("confusion")
    known = {analysis: _matrices(tables, cells, analysis) for analysis in ANALYSES}
    shown = [matrices for name in ("biotype", "ancestry") if (matrices := known[name])]
    shown = shown or [matrices for matrices in (known["finetune"],) if matrices]
    if not shown:
        return style.missing(title, "No counts of classes of analyses biotype and ancestry (confusion.csv).")
    names = tables.order(model for matrices in shown for model, _ in matrices.counts)
    columns = [(matrices, init) for matrices in shown for init in ARMS
               if any(arm == init for _, arm in matrices.counts)][:MOST_COLUMNS]  # fmt: skip
    counts = [
        f"{m.analysis}: {', '.join(sorted({f'{int(table.sum()):,}' for table in m.counts.values()})[:2])}"
        for m in shown
    ]
    keys = [
        f"{ANALYSES[m.analysis]}: {', '.join(f'{i} {name}' for i, name in enumerate(m.classes, 1)).replace('_', ' ')}. "
        for m in shown if m.ticks != m.classes
    ]  # fmt: skip
    blank = any((name, init) not in matrices.counts for matrices, init in columns for name in names)
    caption = "".join(keys) + (
        "Rows of a matrix: actual classes, columns: predicted ones; shares of each row, from white (0) to the model's "
        "colour (1), summed over seeds, folds and the windows of ancestry. Above each: the mean of the diagonal (the "
        f"balanced accuracy). {'Blank: not run. ' if blank else ''}"
        f"n predictions ({'; '.join(counts)}) an arm. No interval or test: read with the scores. "
        f"{tables.study}"
    )
    tallest = max(len(matrices.classes) for matrices, _ in columns)
    row_mm = 4.2 + PITCH * max(tallest, 5)
    figure, body = style.page(
        8 + row_mm * len(names), title=title, caption=caption, width_mm=style.ONE_COLUMN
    )  # fmt: skip
    panels = body.subplots(len(names), len(columns), squeeze=False)
    for line, name in zip(panels, names, strict=True):
        look = tables.looks[name]
        for axes, (matrices, init) in zip(line, columns, strict=True):
            last = [other for other in names if (other, init) in matrices.counts][-1]
            _matrix(axes, matrices, init, name, look.color, last=name == last)
        line[0].set_ylabel(look.label.replace(" ", "\n", 1), color=look.color, fontweight="bold", fontsize=5.8)
    for axes, (matrices, init) in zip(panels[0], columns, strict=True):
        axes.set_title(f"{ANALYSES[matrices.analysis]}\n{init}\n{axes.get_title()}", fontsize=5.5, loc="center")
    body.supxlabel("Predicted class", fontsize=6.5)
    body.supylabel("Actual class", fontsize=6.5)
    return figure


def _matrices(tables: Tables, cells: pd.DataFrame, analysis: str) -> Matrices | None:
    """Counts of an analysis over its whole tasks; of several sets of classes (other tasks), the commonest."""
    cells = tables.own(cells[(cells["analysis"] == analysis) & cells["init"].isin(ARMS)])
    cells = of_plain_tasks(cells[cells["model"].isin(tables.looks) & (cells["reading"] == "published")])
    cells = of_validation(cells)
    if cells.empty:
        return None
    words = cells.astype({"actual": str, "predicted": str})
    sets = {task: frozenset(part["actual"]) for task, part in words.groupby("task", sort=False)}
    commonest = max(sets.values(), key=list(sets.values()).count)
    words = words[words["task"].isin([task for task, names in sets.items() if names == commonest])]
    classes = list(dict.fromkeys(words["actual"]))
    counts = {}
    for (model, init), part in words.groupby(["model", "init"]):
        table = part.pivot_table(index="actual", columns="predicted", values="count", aggfunc="sum", fill_value=0)
        counts[str(model), str(init)] = table.reindex(index=classes, columns=classes, fill_value=0).to_numpy(float)
    return Matrices(analysis, classes, counts)


def _matrix(axes: Axes, matrices: Matrices, init: str, name: str, color: str, *, last: bool) -> None:
    table = matrices.counts.get((name, init))
    if table is None:  # blank, with room for the model's name at its left
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return
    places = range(len(matrices.classes))
    long = max(map(len, matrices.ticks)) > 2
    axes.set_xticks(places, matrices.ticks if last else [""] * len(places), rotation=90 if long else 0, fontsize=SMALL)
    axes.set_yticks(places, matrices.ticks, fontsize=SMALL)
    axes.tick_params(length=0, pad=1)
    axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(len(places) - 0.5, -0.5))
    sums = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, sums, out=np.full_like(table, np.nan), where=sums > 0)
    ramp = colors.LinearSegmentedColormap.from_list("share", ["white", color]).with_extremes(bad=style.BAND)
    axes.imshow(shares, cmap=ramp, vmin=0, vmax=1, aspect="auto", interpolation="none")
    axes.set_title(f"{np.nanmean(np.diag(shares)):.2f}", fontsize=5.2, loc="center", pad=1.5)
    for side in axes.spines.values():
        side.set_visible(True)
