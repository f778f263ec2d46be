"""Figures 1 and 2 of the second paper: errors of combinations and of unseen perturbations, and both references.

Numbers are those of effects.csv (a held-out perturbation of a split and arm each), of interactions.csv and of
comparisons.csv. A perturbation with its rows in all splits is the unit of every interval.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from foundationless.evaluation.aggregate import across_clusters
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks, of_validation
from foundationless.study.names import parse_model, side_of
from foundationless.study.vocabulary import METRICS, OF_EFFECTS

ARM_MM, CLOSE_MM, ROW_MM = 2.4, 1.4, 1.3  # height of an arm, of one among many models, and further room of a model
FOREST_MM, CLASS_MM = 2.5, 2.8  # height of a row of the forest, and of the classes
BODY_MM, MANY = 200.0, 9  # what a page has room for, and models from which on it is scarce
MOST_TASKS = 4  # panels side by side
IN_EXAMPLE = 4  # models
PAIR = ("pretrained", "random")  # arms of which every perturbation is drawn
SMALL = 5.2  # points
CLASSES = {"buffering": "#3a3a3a", "synergistic": "#8a8a8a", "opposite": "#c0c0c0", "other": "#e3e3e3"}
REFERENCES = {
    "mean": "Minus the mean of the training perturbations",
    "random": "Minus a random embedding of the same kind",
}
WORD = 2.0  # points from a panel to the word of a row
Line = tuple[str, dict[str, dict[str, Any]]]  # of the forest: text, and rows by reference and arm
THEIRS = {  # labels of the second paper's models and data sets
    "linear": "linear, G and P of the training data", "scgpt": "scGPT", "gears": "GEARS", "geneformer": "Geneformer",
    "scbert": "scBERT", "uce": "UCE", "uce33": "UCE, 33 layers", "cpa": "CPA", "scfoundation": "scFoundation",
    "go": "GO (GEARS)", "screen_k562": "K562 screen", "screen_rpe1": "RPE1 screen", "adamson": "Adamson",
    "replogle_k562": "Replogle K562", "replogle_rpe1": "Replogle RPE1", "norman": "Norman",
}  # fmt: skip
FURTHEST = 3.0  # intervals are drawn to so many times the reach of the marks


def effects_of(tables: Tables, *analyses: str) -> pd.DataFrame:
    """Rows of effects.csv of these analyses on plain tasks, by validation's choice; each arm of a task once."""
    rows = tables.extra("effects")
    rows = of_validation(of_plain_tasks(rows[rows["analysis"].isin(analyses) & rows["model"].isin(tables.looks)]))
    places = {name: place for place, name in enumerate(analyses)}
    ordered = rows.sort_values("analysis", key=lambda names: names.map(places), kind="stable")
    return ordered.drop_duplicates(["task", "model", "init", "fold", "perturbation"]).reset_index(drop=True)


def error_column(rows: pd.DataFrame) -> str:
    """The paper's error where the rows have it: L2 of the most expressed genes; else that of all."""
    return "l2_top" if rows["l2_top"].notna().any() else "l2"


def combinations(tables: Tables) -> Figure:
    """P 1: errors of combinations by arm, one example, interactions found against false ones, and their classes."""
    title = "P 1 · Combinations of two perturbations: does a model see more than the sum?"
    rows = effects_of(tables, "doubles")
    if rows.empty:
        return style.missing(title, "No combination was predicted (effects.csv has no rows of analysis doubles).")
    tasks, kept = _shown(tables, rows)
    rows = rows[rows["task"].isin(tasks) & rows["init"].isin([*PAIR, "baseline"])]
    names, arms, error = tables.order(rows["model"]), layout.shown_arms(tables, rows), error_column(rows)
    found = _interactions(tables, tasks[0])
    curves, classes, example = (found[found["what"] == what] for what in ("tpr_fdp", "class", "example"))
    kinds = _class_rows(tables, classes)
    heights = [10 + _height(len(names), arms), 48.0 if len(curves) or len(example) else 0.0,
               13 + CLASS_MM * len(kinds) if kinds else 0.0]  # fmt: skip
    caption = (
        f"Top: {METRICS[error].label} of every held-out combination (dots) and its mean with the 95 % interval over "
        f"combinations (a combination may stand in several splits); {_counts(rows)}; mean over draws and seeds. "
        + ("Middle: interactions (observed further from the sum than the null allows) found, predictions ranked by "
           "their distance from the sum: share found against the share of false ones among those found. " if
        len(curves) else "") + (f"{_example_words(example)} " if len(example) else "")
        + ("Bottom: genes by class of interaction, observed and predicted (pretrained arms), as a share of all. "
           if kinds else "")
        + f"{_hidden(kept, tasks)}{tables.study}"
    )  # fmt: skip
    looks = [tables.looks[name] for name in names if name not in tables.baselines]
    handles = [arm_handles(arms), style.model_handles(looks)]
    figure, body = style.page(sum(heights), title=title, caption=caption, handles=handles)
    top, middle, bottom = layout.stack(body, heights)
    _error_panels(top, tables, rows, tasks, names, arms, error)
    if middle is not None:
        _found_and_example(middle, tables, curves, example)
    if bottom is not None:
        _classes(bottom.subplots(), kinds)
    return figure


def unseen(tables: Tables) -> Figure:
    """P 2: errors of perturbations not seen in training, and every arm against the mean and random, side by side."""
    title = "P 2 · Unseen perturbations: better than a random embedding, and than the mean?"
    rows = effects_of(tables, "unseen", "finetuned", "borrowed")
    pairs = forest_rows(tables)
    if rows.empty and pairs.empty:
        return style.missing(title, "No unseen perturbation was predicted (effects.csv, comparisons.csv).")
    tasks, kept = _shown(tables, rows)
    rows = rows[rows["task"].isin(tasks) & rows["init"].isin([*PAIR, "baseline"])]
    names, arms = tables.order(rows["model"]), layout.shown_arms(tables, rows, pairs)
    error = error_column(rows)
    upper = 10 + _height(len(names), {*PAIR}) if len(rows) else 0.0
    lines, of_all = _fit(_forest_lines(tables, pairs), (BODY_MM - upper - 11) / FOREST_MM)
    heights = [upper, 11 + FOREST_MM * len(lines) if lines else 0.0]
    sentences = [
        f"Top: {METRICS[error].label} of every held-out perturbation (dots), mean and 95 % interval over "
        f"perturbations; {_counts(rows)}; mean over draws and seeds." if len(rows) else "",
        f"Bottom: difference in skill (1 − L2 / L2 of the mean of the training perturbations), {_whose(pairs)}; "
        "lines: 95 % intervals of the pretrained arms (of baselines, of theirs) over perturbations and draws (arrow: "
        "it goes on); other arms as marks alone; grey: equivalence. Words: those of comparisons.csv for a task each, "
        "not adjusted for their number. In brackets: better than random, but not than the mean; that is no gain, for "
        "a random embedding can be worse than the mean. A pretrained network "
        "stands with one pretraining." if lines else "", _hidden(kept, tasks), of_all, tables.study,
    ]  # fmt: skip
    looks = [tables.looks[name] for name in tables.order([*names, *pairs["model"]]) if name not in tables.baselines]
    handles = [arm_handles(arms), style.model_handles(looks), [style.band_handle(layout.margin_words(pairs))]]
    figure, body = style.page(sum(heights), title=title, caption=" ".join(filter(None, sentences)), handles=handles)
    top, bottom = layout.stack(body, heights)
    if top is not None:
        _error_panels(top, tables, rows, tasks, names, layout.shown_arms(tables, rows), error)
    if bottom is not None:
        _forest(bottom, tables, lines)
    return figure


def forest_rows(tables: Tables) -> pd.DataFrame:
    """Comparisons of skill with the mean and with random, on plain tasks; the controls' and baselines' too."""
    pairs = tables.comparisons
    mine = pairs[pairs["analysis"].isin(set(OF_EFFECTS) - {"doubles"}) & pairs["versus"].isin(REFERENCES)]
    mine = of_plain_tasks(mine[(mine["metric"] == "skill") & mine["delta"].notna() & mine["model"].isin(tables.looks)])
    return mine.drop_duplicates(["task", "model", "init", "versus"])


def arm_handles(arms: set[str]) -> list[Any]:
    """Legend entries of arms, in the words of vectors: permuted ones are dealt to other genes."""
    handles = style.arm_handles(arms)
    for handle in handles:
        if str(handle.get_label()).startswith("pretrained, permuted"):
            handle.set_label("pretrained, dealt to other genes")
    return handles


def _shown(tables: Tables, rows: pd.DataFrame) -> tuple[list[str], int]:
    """Tasks that have room, and how many there are."""
    tasks = tables.task_names(rows["task"])
    return tasks[:MOST_TASKS], len(tasks)


def _hidden(kept: int, tasks: Sequence[str]) -> str:
    return f"The first {len(tasks)} of {kept} tasks are shown; effects.csv has all. " if kept > len(tasks) else ""


def _counts(rows: pd.DataFrame) -> str:
    """`n = 38 to 60 perturbations a task, in 3 splits`."""
    if rows.empty:
        return "n = 0"
    units = rows.groupby("task")["perturbation"].nunique()
    folds = rows.groupby("task")["fold"].nunique()
    return f"n = {layout.span(units)} of them a task, in {layout.span(folds)} split(s)"


def _height(models: int, arms: set[str]) -> float:
    return models * (ROW_MM + (ARM_MM if models < MANY else CLOSE_MM) * max(1, len(arms - {"baseline"})))


def _error_panels(
    strip: SubFigure, tables: Tables, rows: pd.DataFrame, tasks: Sequence[str], names: list[str], arms: set[str],
    error: str,
) -> None:  # fmt: skip
    """A panel a task: a row per model, in it its arms one below the other, dots and means."""
    panels = np.atleast_1d(strip.subplots(1, len(tasks), sharey=True))
    own = [arm for arm in style.ARMS if arm in arms] or ["pretrained"]
    for axes, task in zip(panels, tasks, strict=True):
        axes.set_title(tables.task_label(task))
        mine = rows[rows["task"] == task]
        for (name, init), part in mine.groupby(["model", "init"], sort=False):
            place = names.index(str(name))
            arm = "baseline" if name in tables.baselines else str(init)
            if arm != "baseline" and arm not in own:
                continue
            y = place + (0.0 if arm == "baseline" else 0.76 * ((own.index(arm) + 0.5) / len(own) - 0.5))
            _dots(axes, tables, part.dropna(subset=[error]), str(name), arm, y, error, 0.26 / len(own))
        if axes is panels[0]:
            layout.label_models(axes, tables, names)
        axes.tick_params(axis="y", labelsize=6, length=0, labelleft=axes is panels[0])
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
        _widest(axes, mine[error])
    strip.supxlabel(METRICS[error].label, fontsize=7)


def _widest(axes: Axes, values: pd.Series) -> None:
    """From 0 to what holds all but the outermost hundredth: a single wild prediction squeezes no panel."""
    top = float(values.quantile(0.99)) if values.notna().any() else 1.0
    axes.set_xlim(0, 1.08 * top)


def _dots(
    axes: Axes, tables: Tables, part: pd.DataFrame, name: str, arm: str, y: float, error: str, spread: float
) -> None:
    if part.empty:
        return
    look = tables.looks[name]
    values = part[error].to_numpy(dtype=float)
    shifts = spread * np.cos(np.arange(len(values)) * 2.4)  # the same places in every picture
    axes.plot(values, y + shifts, ".", color=look.color, markersize=2.6, markeredgewidth=0, alpha=0.45, zorder=2)
    mean = across_clusters(values, part["perturbation"].tolist())
    ink = style.INK if arm == "baseline" else look.color
    style.interval(axes, y, mean.low, mean.high, ink)
    mark = style.filling(look, arm) | {"linestyle": "none", "markersize": 4.2}
    axes.plot(mean.mean, y, zorder=3, **(mark | ({"color": style.INK, "markersize": 5} if arm == "baseline" else {})))


def _interactions(tables: Tables, task: str) -> pd.DataFrame:
    """Rows of interactions.csv of a task by validation's choice, of models that have a look (`observed` has none)."""
    rows = tables.extra("interactions")
    rows = of_validation(rows[(rows["task"] == task) & (rows["analysis"] == "doubles")])
    return rows[rows["model"].isin([*tables.looks, "observed"]) | rows["init"].eq("observed")]


def _found_and_example(strip: SubFigure, tables: Tables, curves: pd.DataFrame, example: pd.DataFrame) -> None:
    parts = [part for part in (curves, example) if len(part)]
    panels = np.atleast_1d(strip.subplots(1, len(parts) if len(parts) > 1 else 2))
    for axes in panels[len(parts) :]:
        axes.set_axis_off()
    left = iter(panels)
    if len(curves):
        axes = next(left)
        draw_curves(axes, tables, curves)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="False discovery proportion", ylabel="Share of interactions found")
        axes.set_title("Interactions found")
    if len(example):
        _example(next(left), tables, example)


def draw_curves(axes: Axes, tables: Tables, curves: pd.DataFrame) -> None:
    """A line per model and arm: pretrained whole, others broken, baselines grey with their names in the margin."""
    greys = iter(("-", "--", ":", "-."))
    for (name, init), part in curves.groupby(["model", "init"], sort=False):
        line = part.sort_values("x", kind="stable")
        if name in tables.baselines:
            axes.plot(line["x"], line["y"], color=style.GREY, linestyle=next(greys, ":"), linewidth=1.1, zorder=2,
                      label=tables.looks[str(name)].label)  # fmt: skip
            continue
        shape = {"pretrained": "-", "random": "--"}.get(str(init), ":")
        axes.plot(line["x"], line["y"], color=tables.looks[str(name)].color, linestyle=shape, linewidth=0.8, zorder=3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=SMALL, handlelength=1.6, labelspacing=0.2)
    axes.grid(visible=True)


def _example_words(example: pd.DataFrame) -> str:
    return (
        f"Right: one example, {example['name'].iloc[0]}, a dot a gene; baselines, and at most {IN_EXAMPLE} models."
        if "name" in example
        else ""
    )


def _example(axes: Axes, tables: Tables, example: pd.DataFrame) -> None:
    """Predicted against observed change of every gene of one combination."""
    shown = [*tables.baselines, *tables.order(example.loc[example["init"] == "pretrained", "model"])[:IN_EXAMPLE]]
    example = example[example["model"].isin(shown) & example["init"].isin(["pretrained", "baseline"])]
    for (name, init), part in example.groupby(["model", "init"], sort=False):
        look = tables.looks.get(str(name), style.Look(str(name), style.GREY, "o"))
        face = look.color if init in ("pretrained", "baseline") else "white"
        axes.plot(part["x"], part["y"], "o", color=look.color, markerfacecolor=face, markersize=1.6,
                  markeredgewidth=0.3, alpha=0.6)  # fmt: skip
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color=style.INK, linewidth=0.5, zorder=1)
    axes.set(xlabel="Observed change", ylabel="Predicted change")
    axes.set_title("One combination")
    axes.grid(visible=True)


def _class_rows(tables: Tables, classes: pd.DataFrame) -> list[tuple[str, dict[str, float]]]:
    """Label and share of all genes by class: what was observed, then every arm in the study's order."""
    rows: list[tuple[str, dict[str, float]]] = []
    known = classes.dropna(subset=["y", "n"])
    order = {name: place for place, name in enumerate(tables.order(known["model"]))}
    arms = {name: place for place, name in enumerate(style.ARMS)}
    keys = known[["model", "init"]].drop_duplicates().to_numpy().tolist()
    for name, init in sorted(keys, key=lambda key: (order.get(key[0], -1), arms.get(key[1], 0))):
        part = known[(known["model"] == name) & (known["init"] == init)]
        shares = dict(zip(part["name"], part["y"] / part["n"], strict=True))
        label = "observed" if name not in tables.looks else tables.looks[name].label
        if name in tables.looks and init not in ("pretrained", "baseline"):
            continue
        rows.append((label, {str(kind): float(share) for kind, share in shares.items()}))
    return rows


def _classes(axes: Axes, rows: Sequence[tuple[str, dict[str, float]]]) -> None:
    """Bars of the classes of interaction one behind the other."""
    for y, (_, shares) in enumerate(rows):
        left = 0.0
        for kind, color in CLASSES.items():
            share = shares.get(kind, 0.0)
            axes.barh(y, share, left=left, height=0.7, color=color, edgecolor=style.INK, linewidth=0.3)
            left += share
    layout.named_rows(axes, [(label, "bold" if label == "observed" else "normal") for label, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    top = max((sum(shares.get(kind, 0.0) for kind in CLASSES) for _, shares in rows), default=0.0) or 0.01
    axes.set_xlim(0, 1.1 * top)
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=None))
    axes.set_xlabel("Genes of all held-out combinations")
    axes.legend(handles=[Patch(facecolor=color, edgecolor=style.INK, linewidth=0.3, label=kind)
                         for kind, color in CLASSES.items()], loc="lower right", fontsize=SMALL, ncols=len(CLASSES),
                bbox_to_anchor=(1.0, 1.0), borderpad=0.1, handlelength=1.2)  # fmt: skip


def _whose(pairs: pd.DataFrame) -> str:
    seeds = pairs["seeds"].dropna()
    drawn = f", {layout.span(seeds)} draw(s) or seed(s) an arm" if len(seeds) else ""
    groups = pairs["groups"].dropna()
    return f"n = {layout.span(groups)} perturbations a task{drawn}" if len(groups) else f"perturbations paired{drawn}"


def _forest_lines(tables: Tables, pairs: pd.DataFrame) -> list[Line]:
    """Every line from the top; a task's name stands above its models (no rows)."""
    lines: list[Line] = []
    for task in tables.task_names(pairs["task"]):
        mine = pairs[pairs["task"] == task]
        lines.append((tables.task_label(task), {}))
        for name in tables.order(mine["model"]):
            rows: dict[str, dict[str, Any]] = {versus: {} for versus in REFERENCES}
            for row in each(mine[mine["model"] == name]):
                rows[str(row.versus)][tables.arm(row)] = row
            lines.append((tables.looks[name].label, rows))
    return lines


def _fit(lines: list[Line], room: float) -> tuple[list[Line], str]:
    """The lines of as many whole tasks as there is room for (one at least), and what a caption says of the rest."""
    heads = [place for place, (_, rows) in enumerate(lines) if not rows]
    ends = [*heads[1:], len(lines)]
    held = max(1, sum(end <= room for end in ends))
    if held >= len(heads):
        return lines, ""
    return lines[: ends[held - 1]], f"The first {held} of {len(heads)} tasks are below; comparisons.csv has all."


def _forest(strip: SubFigure, tables: Tables, lines: Sequence[Line]) -> None:
    """Both references side by side on one scale: rows of the same place are the same model."""
    panels = strip.subplots(1, 2, sharex=True)
    mains = [_main(rows[versus]) for _, rows in lines for versus in rows]
    others = [row for _, rows in lines for arms in rows.values() for row in arms.values()]
    ends = _reach([row for row in mains if row is not None], others)
    for axes, (versus, heading) in zip(panels, REFERENCES.items(), strict=True):
        axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
        for y, (_, rows) in enumerate(lines):
            if rows:
                _forest_row(axes, tables, y, rows[versus], ends, doubted=versus == "random" and _no_gain(rows))
        _forest_frame(axes, [(text, "normal" if rows else "bold") for text, rows in lines], ends, heading)
        if axes is not panels[0]:
            axes.set_yticklabels([])


def _no_gain(rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a line is better than random without being better than the mean."""
    mean, random = (_main(rows[versus]) for versus in REFERENCES)
    return mean is not None and random is not None and random.verdict == "better" != mean.verdict


def _forest_row(
    axes: Axes, tables: Tables, y: int, arms: Mapping[str, Any], ends: tuple[float, float], *, doubted: bool
) -> None:
    """Marks of all arms of a model, and interval, equivalence band and word of the one that the row is about."""
    if (main := _main(arms)) is None:
        return
    layout.draw_margins(axes, [y], [main.margin])
    layout.cut_interval(axes, y, main, ends, tables.looks[main.model].color, 2)
    for arm, row in arms.items():
        size = 3.6 if row is main else 2.6
        mark = style.filling(tables.looks[row.model], arm) | {"linestyle": "none", "markersize": size}
        axes.plot(np.clip(row.delta, *ends), y, zorder=3 if row is main else 2.5, **mark)
    _beside(axes, y, f"({main.verdict})" if doubted else str(main.verdict))


def _main(arms: Mapping[str, Any]) -> Any:
    """The row that a line is about: the pretrained arm's, or a baseline's; None where there is neither."""
    return arms.get("pretrained", arms.get("baseline"))


def _beside(axes: Axes, y: float, word: str) -> None:
    axes.annotate(word, (1.0, y), (WORD, 0), xycoords=("axes fraction", "data"), va="center",
                  textcoords="offset points", fontsize=SMALL)  # fmt: skip


def _forest_frame(axes: Axes, ticks: Sequence[tuple[str, str]], ends: tuple[float, float], heading: str) -> None:
    layout.named_rows(axes, ticks, size=SMALL)
    axes.set_ylim(len(ticks) - 0.4, -0.6)
    axes.set_xlim(*ends)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.set_title(heading, fontsize=6.5)
    axes.set_xlabel("Difference in skill")


def _reach(rows: Sequence[Any], others: Sequence[Any] = ()) -> tuple[float, float]:
    """Limits that hold every difference and margin, and the intervals of `rows` as far as they say much."""
    marks = np.array(
        [row.delta for row in (*rows, *others)] + [sign * 1.5 * row.margin for row in rows for sign in (-1, 1)],
        dtype=float,
    )
    marks = marks[np.isfinite(marks)]
    most = FURTHEST * float(np.abs(marks).max()) if len(marks) else 0.1
    far = np.clip(np.array([[row.low, row.high] for row in rows], dtype=float).ravel(), -most, most)
    values = np.concatenate([marks, far[np.isfinite(far)], [0.0]])
    pad = 0.05 * (values.max() - values.min()) or 0.05
    return float(values.min() - pad), float(values.max() + pad)


def reported(tables: Tables) -> Figure:
    """Our question on the second paper's own rows: every arm against the mean and against random, by data set."""
    title = "P · The same question on the second paper's own rows"
    pairs = tables.extra("p_reported_across")
    pairs = pairs[(pairs["metric"] == "skill") & (pairs["experiment"] == "borrowed") & pairs["versus"].isin(REFERENCES)]
    pairs = pairs[pairs["delta"].notna()]
    if pairs.empty:
        return style.missing(title, "No rows of the second paper are there (p_reported_across.csv has none of skill).")
    lines = _reported_lines(pairs)
    caption = (
        "Fig 2c of the paper: skill (1 − L2 / L2 of the mean), an arm of its linear model or one of its networks "
        f"minus the reference, paired on its rows; n = {layout.span(pairs['n'])} perturbations in two splits; lines: "
        "95 % bootstrap intervals over perturbations; grey: equivalence; words by two one-sided tests and the "
        "interval, not adjusted. Embeddings of another size than the random ones, one draw a split, and genes "
        f"without a vector left out of the sum (P1, P2): these differences are not yet a gain. † P of the same "
        f"cell line (P9). {tables.study}"
    )
    handles = [[style.band_handle(layout.margin_words(pairs))]]
    figure, body = style.page(11 + FOREST_MM * len(lines), title=title, caption=caption, handles=handles)
    panels = body.subplots(1, 2, sharex=True)
    ends = _reach([row for _, rows in lines for row in rows.values() if abs(row.delta) < 1])
    for axes, (versus, heading) in zip(panels, REFERENCES.items(), strict=True):
        drawn = {y: rows[versus] for y, (_, rows) in enumerate(lines) if versus in rows}
        layout.draw_margins(axes, drawn, [row.margin for row in drawn.values()])
        axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
        for y, row in drawn.items():
            layout.cut_interval(axes, y, row, ends, style.INK, 2)
            face = style.INK if row.arm == "pretrained" else "white"
            inside = ends[0] <= row.delta <= ends[1]
            axes.plot(np.clip(row.delta, *ends), y, "o" if inside else "<", color=style.INK, markerfacecolor=face,
                      markersize=3, zorder=3, clip_on=False)  # fmt: skip
            _beside(axes, y, str(row.verdict))
        _forest_frame(axes, [(text, "normal" if rows else "bold") for text, rows in lines], ends, heading)
        if axes is not panels[0]:
            axes.set_yticklabels([])
    return figure


def _their_label(model: str, arm: str) -> str:
    """`scGPT, fine-tuned`, or what is borrowed as G or P of the linear model."""
    name, side = parse_model(model).base, side_of(model)
    label = "random" if arm == "random" else THEIRS.get(name, name)
    if side:
        return f"{'G' if side == 'readout' else 'P'}: {label}"
    return f"{label}, fine-tuned" if arm == "finetuned" else label


def _reported_lines(pairs: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    lines: list[tuple[str, dict[str, Any]]] = []
    for task, part in pairs.groupby("task", sort=False):
        lines.append((THEIRS.get(str(task), str(task)), {}))
        for (model, arm), rows in part.groupby(["model", "arm"], sort=False):
            note = " †" if rows.get("note", pd.Series(dtype=object)).notna().any() else ""
            lines.append((_their_label(str(model), str(arm)) + note, {str(row.versus): row for row in each(rows)}))
    return lines
