"""Less data and other widths: how the arms change with what they are given; biotypes from frozen features."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables

RIGHT = " They stand right of ours, in their model's colour."
ARM_LINES = style.ARM_LINES | {"baseline": ":"}


def low_data(tables: Tables) -> Figure:
    """Figure 3: score against the share of training data, mean over its draws."""
    title = "Figure 3 · Fine-tuning with less data"
    low = tables.own(at_amounts(tables.scored("lowdata", plain=False), "percent"))
    if low.empty:
        return style.missing(title, "No scores of analysis lowdata on tasks named TASK.pctN.")
    full = tables.own(tables.scored("finetune")).assign(x=100.0)
    full = full[full["base_task"].isin(low["base_task"]) & full["model"].isin(low["model"])]
    scores = pd.concat([low, full], ignore_index=True)
    drawn, words = average_draws(scores)
    printed = layout.paper_numbers(tables, "nt_finetune")
    printed = printed[printed["task"].isin(scores["base_task"]) & printed["arm"].isin(style.PAPER_MARKS)]
    printed = printed.assign(base_task=printed["task"], x=100.0, stem=printed["model"].map(tables.stems))
    printed = printed[printed["stem"].isin(scores["model"].map(tables.stems))]
    caption = (
        f"100 %: the whole training set of the same task. {words} No test: arms are compared in the table of paired "
        f"differences. {layout.paper_words(tables, printed)}{RIGHT if len(printed) else ''} The paper "
        f"prints no numbers with less data. {tables.study}"
    )
    return curves(tables, drawn, title, caption, "Training data (%)", printed)


def at_amounts(rows: pd.DataFrame, part: str) -> pd.DataFrame:
    """Rows of tasks whose name states a number as `part` (percent, shots), as `x`, and no budget of epochs."""
    return rows[rows[part].notna() & rows["epochs"].isna()].assign(x=lambda kept: kept[part].astype(float))


def average_draws(scores: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Scores with `base_task` and `x`, averaged over draws of the training rows, and what the lines are, for a caption.

    `low` and `high` are the range over draws; where there is one draw, its bootstrap interval.
    """
    keys = ["base_task", "x", "model", "init", "metric"]
    spread = scores.groupby(keys, sort=False)["value"].agg(["mean", "min", "max", "size"]).reset_index()
    drawn = spread.merge(scores.drop_duplicates(keys)[[*keys, "low", "high"]], on=keys)
    several = drawn["size"] > 1
    low, high = (drawn[name].where(~several, drawn[end]) for name, end in (("low", "min"), ("high", "max")))
    words = layout.sizes(scores)
    if several.any():
        draws = int(drawn["size"].max())
        rest = (
            "; lines of single draws are".join(words.split("; lines are")) if not several.all() else words.split(";")[0]
        )
        words = f"Points are means of up to {draws} draws of the training rows; their lines are the range. {rest}"
        words = words.removesuffix(".") + "."
    return drawn.assign(value=drawn["mean"], low=low, high=high), words


def width_random(tables: Tables) -> Figure:
    """Figure 4: score of random models with the character tokenizer against their width."""
    title = "Figure 4 · Random models, character tokenizer: score against width"
    found = _at_widths(tables, characters=True)
    found = found[found["init"] == "random"]
    sentence = "No scores of analysis width for random models named MODEL.char.wN."
    return _widths(tables, found, title, sentence)


def width_pretrained(tables: Tables) -> Figure:
    """Figure 5: both arms of models that were pretrained again at each width."""
    title = "Figure 5 · Pretrained again at each width"
    found = _at_widths(tables, characters=False)
    stems = found["model"].map(tables.stems)
    arms = found.groupby(stems)["init"].nunique()
    found = found[stems.isin(arms.index[arms > 1])]
    sentence = "No scores of analysis width for models named MODEL.wN with a pretrained and a random arm."
    return _widths(tables, found, title, sentence)


def _at_widths(tables: Tables, *, characters: bool) -> pd.DataFrame:
    """Scores of models whose names state a width, with the character tokenizer in place of their own or not."""
    found = tables.scored("width")
    return found[found["width"].notna() & ((found["tokenizer"] == "char") == characters)]


def _widths(tables: Tables, found: pd.DataFrame, title: str, sentence: str) -> Figure:
    if found.empty:
        return style.missing(title, sentence)
    found = found.assign(x=found["width"].astype(float))
    printed = _paper_widths(tables, found)
    words = f"{layout.sizes(found)} No test is drawn (comparisons.csv has the paired differences)."
    if len(printed):
        words += f" {layout.paper_words(tables, printed)}{RIGHT} Its widest random model stands at the widest of ours."
    return curves(tables, found, title, f"{words} {tables.study}", "Width of the hidden states", printed)


def _paper_widths(tables: Tables, found: pd.DataFrame) -> pd.DataFrame:
    """The paper's numbers of these models of stated width (Table 2: default and widest)."""
    printed = layout.paper_numbers(tables, "biotype")
    printed = printed[["task", "model", "arm", "reported", "source"]]
    printed = printed.assign(stem=printed["model"].map(tables.stems), arm=printed["arm"].str.split("/").str[0])
    shown = found[["task", "base_task", "model", "init", "x"]].rename(columns={"init": "arm"}).drop_duplicates()
    return printed.merge(shown, on=["task", "model", "arm"])


def curves(
    tables: Tables,
    scores: pd.DataFrame,
    title: str,
    caption: str,
    xlabel: str,
    printed: pd.DataFrame | None = None,
) -> Figure:
    """Score against `x` (logarithmic), one panel per base task, one line per model and arm.

    `printed` are numbers of the paper (columns base_task, stem, arm, x, reported).
    """
    printed = pd.DataFrame(columns=["base_task", "stem", "arm", "x", "reported"]) if printed is None else printed
    scores = scores.assign(stem=scores["model"].map(tables.stems))
    stems, tasks = set(scores["stem"]), tables.task_names(scores["base_task"])
    shown = {stem: tables.looks[stem] for stem in dict.fromkeys(tables.stems.values()) if stem in stems}
    columns = min(len(tasks), 4)
    wide = style.TWO_COLUMNS if columns > 1 else style.ONE_COLUMN
    arms = style.arm_handles(layout.shown_arms(tables, scores), lines=True)
    handles = [arms + style.reported_handles(set(printed["arm"])), style.model_handles(shown.values())]
    height = 52 * -(-len(tasks) // columns)
    figure, body = style.page(height, title=title, caption=caption, handles=handles, width_mm=wide)
    for axes, task in zip(layout.grid(body, len(tasks), columns), tasks, strict=True):
        part = scores[scores["base_task"] == task]
        spread = np.linspace(-0.02, 0.02, max(2, len(shown)))
        for (name, look), shift in zip(shown.items(), spread, strict=False):
            for init, line in ARM_LINES.items():
                arm = part[(part["stem"] == name) & (part["init"] == init)].sort_values("x")
                x = arm["x"].to_numpy() * (1 + shift)  # neighbours' intervals stay apart
                axes.plot(x, arm["value"], zorder=3, **(style.filling(look, init) | {"linestyle": line}))
                style.interval(axes, x, arm["low"], arm["high"], look.color, vertical=True)
            own = printed[(printed["base_task"] == task) & (printed["stem"] == name)]
            for selected, arm in own.groupby("arm"):
                place = arm["x"].to_numpy(dtype=float) * (1.3 + 2 * shift)
                mark = style.reported(str(selected)) | {"color": look.color, "markeredgewidth": 0.9}
                axes.plot(place, arm["reported"], zorder=4, **mark)
        layout.logarithmic(axes, sorted(scores["x"].unique()), size=6.5)
        axes.set_title(tables.task_label(task))
        axes.set_xlabel(xlabel)
        axes.margins(x=0.16)
        axes.set_ylabel(layout.metric_label(part["metric"]))
        axes.grid(axis="y")
    return figure


def biotype(tables: Tables) -> Figure:
    """Table 2 as a dot plot: a panel per biotype task, from frozen features, a row per model."""
    title, scores = "Table 2 · Biotype from frozen features", tables.scored("biotype")
    if scores.empty:
        return style.missing(title, "No scores of analysis biotype.")
    names = tables.order(scores["model"])
    tasks = tables.task_names(scores["task"])
    handles = [style.arm_handles(layout.shown_arms(tables, scores))]
    wide = style.ONE_COLUMN if len(tasks) == 1 else style.TWO_COLUMNS
    printed = layout.paper_numbers(tables, "biotype")
    printed = printed.assign(init=printed["arm"].str.split("/").str[0])
    printed = printed[printed["task"].isin(tasks) & printed["model"].isin(names) & printed["init"].isin(scores["init"])]
    handles[0] += style.reported_handles(set(printed["init"]))
    caption = (
        f"{layout.sizes(scores)} No test is drawn (comparisons.csv has the paired differences). "
        f"{layout.paper_words(tables, printed)} {tables.study}"
    )
    body_mm = 13 + layout.ROW_MM * len(names)
    figure, body = style.page(body_mm, title=title, caption=caption, handles=handles, width_mm=wide)
    for i, (axes, task) in enumerate(zip(body.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True)):
        part = scores[scores["task"] == task]
        layout.model_rows(axes, tables, part, names, labels=i == 0)
        layout.paper_rows(axes, printed[printed["task"] == task], names, set(part["init"]))
        axes.set_title(tables.task_label(task))
        axes.set_xlabel(layout.metric_label(part["metric"]))
    return figure
