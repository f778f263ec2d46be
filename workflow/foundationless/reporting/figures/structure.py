"""What frozen models know of the sequences themselves: facts in rows, models side by side."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks

# Facts from the top down, the metric that leads each, and what they are called; a panel has those of one metric.
FACTS = {
    "pearson": {
        "gc": "GC content", "skew": "GC skew (strand)", "cpg": "CpG observed / expected",
        "homopolymer": "longest homopolymer", "length": "length (log)", "place": "first place of a word",
    },
    "macro_auroc": {"kmer": "word present"},
}  # fmt: skip
AXES = {"pearson": ("Pearson's r", 0.0), "macro_auroc": ("AUROC", 0.5)}  # label, and what nothing known scores
WORDS = {"better": "+", "worse": "−", "equivalent": "=", "undecided": "?", "not learned": "0"}
MOST_MODELS, MOST_TASKS = 5, 2
MOST_DEPTHS, DEPTH_MM = 4, 34.0  # models below one another in the figure of layers
DEPTH_ARMS = ("pretrained", "random")


class _Shown(NamedTuple):
    """What the panels of a task share: tables, models in columns, facts in rows by metric."""

    tables: Tables
    names: Sequence[str]
    facts: dict[str, list[str]]


def structure(tables: Tables) -> Figure:
    """Test score of a linear probe for every fact: both arms, controls and counts of k-mers, with intervals."""
    title = "Structure · What frozen models know of the sequences themselves"
    rows = of_plain_tasks(tables.extra("structure"))
    rows = rows[rows["metric"].isin(FACTS) & rows["layer"].isna()]
    leads = {fact: metric for metric, facts in FACTS.items() for fact in facts}
    rows = rows[rows["metric"] == rows["fact"].map(leads)]
    rows = rows[rows["model"].isin([*tables.looks, "kmers"])]
    if rows.empty:
        return style.missing(title, "No probes of facts (analysis structure, structure.csv).")
    tasks = tables.task_names(rows["task"])
    shown = tasks[:MOST_TASKS]
    names = tables.order(rows["model"])
    caption = _caption(rows[rows["task"].isin(shown)])
    if len(tasks) > len(shown):
        caption += f" Tasks shown: {len(shown)} of {len(tasks)}; structure.csv has all."
    if len(names) > MOST_MODELS:
        caption += f" Models shown: {MOST_MODELS} of {len(names)}."
    facts = {
        task: {
            metric: [fact for fact in known if ((rows["task"] == task) & (rows["fact"] == fact)).any()]
            for metric, known in FACTS.items()
        }
        for task in shown
    }
    heights = [18 + 7 * sum(map(len, facts[task].values())) + 8 * bool(facts[task]["macro_auroc"]) for task in shown]
    arms = {str(init) for init in rows.loc[rows["model"] != "kmers", "init"]} | {"baseline"}
    handles = style.arm_handles(arms)
    handles[-1].set_label("counts of 1- to 3-mers, and length")
    figure, body = style.page(sum(heights), title=title, caption=f"{caption} {tables.study}", handles=[handles])
    for strip, task in zip(layout.stack(body, heights), shown, strict=True):
        _of_task(strip, rows[rows["task"] == task], _Shown(tables, names[:MOST_MODELS], facts[task]))
    return figure


def _caption(rows: pd.DataFrame) -> str:
    scores = rows[rows["versus"].fillna("") == ""]
    words = scores.loc[scores["fact"] == "kmer", "words"]
    said = ", ".join(f"{sign} {word}" for word, sign in WORDS.items())
    caption = (
        "Test score of ridge (numbers) or logistic regression (whether a word is there) on the frozen embedding of the "
        "whole sequence; validation chose strength and pooling of each fact. Lines: 95 % bootstrap intervals over test "
        f"rows (or groups) and seeds, n = {layout.span(scores['n'])} rows, {layout.span(scores['seeds'])} seed(s) an "
        "arm. Dotted: nothing known. "
    )
    if len(words):
        caption += (
            f"Words: {layout.span(words)} k-mers that stand in 40 to 60 % of training rows, drawn once; a score is the "
            "mean over them, of places on the rows that hold the word. "
        )
    return caption + (
        f"Right of a row the word for pretrained minus random (paired bootstrap, Holm over facts): {said}; 1 or 2: so "
        "few seeds of the random arm. GC skew turns its sign on the other strand; embeddings of both strands were not "
        "made, so that the strand itself is not asked."
    )


def _of_task(strip: SubFigure, rows: pd.DataFrame, shown: _Shown) -> None:
    metrics = [metric for metric, facts in shown.facts.items() if facts]
    panels = strip.subplots(
        len(metrics), len(shown.names), squeeze=False, sharex="row",
        height_ratios=[len(shown.facts[metric]) + 0.6 for metric in metrics],
    )  # fmt: skip
    for line, metric in zip(panels, metrics, strict=True):
        for axes, name in zip(line, shown.names, strict=True):
            _panel(axes, rows[rows["metric"] == metric], metric, name, shown)
            axes.set_yticks(
                range(len(shown.facts[metric])),
                [FACTS[metric][fact] for fact in shown.facts[metric]] if axes is line[0] else [],
            )
    for axes, name in zip(panels[0], shown.names, strict=True):
        look = shown.tables.looks[name]
        axes.set_title(look.label, color=look.color, fontweight="bold")
    task = shown.tables.task_label(str(rows["task"].iloc[0]))
    strip.suptitle(task, x=0.01, ha="left", fontsize=7, fontweight="bold")


def _panel(axes: Axes, rows: pd.DataFrame, metric: str, name: str, shown: _Shown) -> None:
    """The facts of one metric and model: a row each, arms in it side by side."""
    facts = shown.facts[metric]
    label, nothing = AXES[metric]
    look = shown.tables.looks[name]
    rows = rows.assign(versus=rows["versus"].fillna(""))
    mine = rows[rows["model"] == name]
    scores = mine[(mine["versus"] == "") & mine["value"].notna()]
    arms = set(scores["init"])
    axes.axvline(nothing, color=style.GREY, linewidth=0.6, linestyle=":", zorder=1)
    for row in each(rows[(rows["model"] == "kmers") & (rows["versus"] == "")]):
        place = facts.index(row.fact)
        axes.vlines(row.value, place - 0.3, place + 0.3, color=style.GREY, linewidth=1.1, zorder=2)
    for row in each(scores):
        y = facts.index(row.fact) + layout.offset(str(row.init), arms)
        style.interval(axes, y, row.low, row.high, look.color)
        axes.plot(row.value, y, zorder=3, **style.filling(look, str(row.init)))
    for row in each(mine[(mine["versus"] == "random") & (mine["init"] == "pretrained")]):
        axes.annotate(
            _sign(row.verdict), (1.0, facts.index(row.fact)), xycoords=("axes fraction", "data"), fontsize=7,
            xytext=(2, 0), textcoords="offset points", va="center", ha="left", annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(len(facts) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(label)


def _sign(verdict: Any) -> str:
    if not isinstance(verdict, str):
        return ""
    return WORDS.get(verdict, {"one seed": "1", "two seeds": "2"}.get(verdict, ""))


def depths(tables: Tables) -> Figure:
    """Validation score of every fact against depth: facts in columns, models in rows, both arms."""
    title = "Structure · What each layer knows of the sequences themselves"
    rows = of_plain_tasks(tables.extra("structure"))
    rows = rows[rows["layer"].notna() & rows["value"].notna() & rows["init"].isin(DEPTH_ARMS)]
    rows = rows[rows["model"].isin(tables.looks)]
    if rows.empty:
        return style.missing(title, "No probes of facts kept inner layers (`layers:` of analysis structure).")
    tasks, counted = tables.task_names(rows["task"]), tables.order(rows["model"])
    rows, names = rows[rows["task"] == tasks[0]], counted[:MOST_DEPTHS]
    facts = [(metric, fact) for metric, some in FACTS.items() for fact in some if (rows["fact"] == fact).any()]
    chosen = style.handle(color=style.INK, marker="^", linestyle="none", label="layers that validation chose")
    caption = (
        f"{tables.task_label(tasks[0])}. Score of the best pooling of each layer on the validation rows that chose (0: "
        "the embedding, 1: the last layer), mean over seeds; bands: 95 % bootstrap intervals over rows or groups and "
        f"seeds, n = {layout.span(rows['n'])} rows, {layout.span(rows['seeds'])} seed(s) an arm. The highest point of "
        "a curve is too high by the choice; test rows were read for the layer chosen alone, whose score is in the "
        "figure of structure. Triangles: layers chosen (filled: pretrained, open: random), larger where more seeds "
        "did. Dotted: nothing known. "
    )
    if len(tasks) > 1 or len(counted) > len(names):
        caption += f"Shown: 1 of {len(tasks)} tasks, {len(names)} of {len(counted)} models; structure.csv has all. "
    figure, body = style.page(
        12 + DEPTH_MM * len(names), title=title, caption=caption + tables.study,
        handles=[[*style.arm_handles(DEPTH_ARMS, lines=True), chosen]],
    )  # fmt: skip
    panels = body.subplots(len(names), len(facts), squeeze=False, sharex=True, sharey="col")
    for line, name in zip(panels, names, strict=True):
        look = tables.looks[name]
        for axes, (metric, fact) in zip(line, facts, strict=True):
            mine = rows[(rows["model"] == name) & (rows["fact"] == fact)]
            _depth_panel(axes, mine, look, AXES[metric][1])
            if name == names[0]:
                axes.set_title(textwrap.fill(FACTS[metric][fact], 14), fontsize=6)
            if name == names[-1]:
                axes.set_xlabel("Depth", fontsize=6)
        line[0].set_ylabel(f"{look.label}\n{AXES[facts[0][0]][0]}", color=look.color, fontsize=6)
    for column, (metric, _) in enumerate(facts):
        for axes in panels[:, column] if metric != facts[0][0] else ():
            axes.annotate(AXES[metric][0], (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=5.5)
    return figure


def _depth_panel(axes: Axes, rows: pd.DataFrame, look: style.Look, nothing: float) -> None:
    """Both arms of a model on a fact: curve, band, and below the curves which layers were chosen."""
    axes.axhline(nothing, color=style.GREY, linewidth=0.6, linestyle=":", zorder=1)
    axes.grid(visible=True)
    for place, arm in enumerate(DEPTH_ARMS):
        mine = rows[rows["init"] == arm].sort_values("depth")
        axes.fill_between(mine["depth"], mine["low"], mine["high"], color=look.color, linewidth=0,
                          alpha=0.16 if arm == "pretrained" else 0.06)  # fmt: skip
        mark: Any = style.filling(look, arm) | {"markersize": 2.6}
        axes.plot(mine["depth"], mine["value"], linestyle=style.ARM_LINES[arm], zorder=3, **mark)
        won = mine[mine["chosen"].astype(float) > 0]
        sizes = 5 + 22 * won["chosen"].astype(float) / max(1.0, float(mine["chosen"].astype(float).sum()))
        axes.scatter(
            won["depth"], [0.14 - 0.09 * place] * len(won), s=sizes, marker="^", linewidth=0.6, zorder=3,
            facecolor=look.color if arm == "pretrained" else "white", edgecolor=look.color,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    axes.set_xlim(-0.1, 1.1)
    axes.margins(y=0.3)
