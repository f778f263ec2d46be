"""Variant effects: probe, distances, likelihood ratio and what costs nothing side by side, and size of models."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks

KINDS = {"probe": "supervised probe", "l2": "L2 distance", "cosine": "1 − cosine", "llr": "−likelihood ratio"}
POOLED = ("mean", "max", "site", "cls")  # of distances that with the first of these poolings that all have is shown
RATIOS = ("llr_marginal", "llr_site", "llr_window")  # of likelihood ratios the first that a model has
MOST_TASKS, MOST_MODELS, COLUMNS = 5, 7, 5
MARK_MM, GAP_MM, PANEL_MM = 1.6, 2.6, 40
GROWING = {"probe": "o", "llr": "s"}  # kinds that are drawn against size
ARMS = ("pretrained", "random")
OUTSIDE = "outside"  # the score of an arm that another program computed: a baseline's stands with the others


def variant_effects(tables: Tables) -> Figure:
    """AUROC of every kind of score, a panel per set, both arms; against the size of a model where there are several."""
    title = "Variant effects · Probe, distances and likelihood ratio, beside what costs nothing"
    found = of_plain_tasks(tables.extra("variant_scores"))
    found = found[found["auroc_within"].notna() & found["model"].isin(tables.looks)]
    found = found[found["init"].isin((*ARMS, "baseline"))]
    if found.empty:
        return style.missing(title, "No scores of analysis variant_probe (variant_scores.csv).")
    found, pooling = _of_kinds(found)
    tasks = tables.task_names(found["task"])
    own, cheap = tables.own(found), tables.order(tables.others(found)["model"])
    sized = _sized(tables, own)
    every = _of_each_family(tables.order(own["model"]), sized)
    names, shown = every[:MOST_MODELS], tasks[:MOST_TASKS]
    found = found[found["task"].isin(shown)]
    places, height = _places(names, cheap, [kind for kind in KINDS if kind in set(own["kind"])])
    rows = -(-len(shown) // COLUMNS)
    sized = sized[sized["task"].isin(shown)]
    grown = tables.task_names(sized["task"])
    heights = [rows * (height + 13), PANEL_MM * bool(grown)]
    looks = [tables.looks[name] for name in names]
    marks = [
        style.handle(color=style.INK, marker=mark, linestyle="none", label=KINDS[kind])
        for kind, mark in GROWING.items()
    ]
    figure, body = style.page(
        sum(heights),
        title=title,
        caption=_caption(tables, found, pooling, len(sized) > 0, len(every) - len(names), len(tasks) - len(shown)),
        handles=[style.model_handles(looks), [*style.arm_handles((*ARMS, "baseline")), *(marks if len(sized) else ())]],
    )
    upper, lower = layout.stack(body, heights)
    columns = min(COLUMNS, len(shown))
    for place, (axes, task) in enumerate(zip(layout.grid(upper, len(shown), columns), shown, strict=True)):
        _panel(axes, tables, found[found["task"] == task], places, height, labels=place % columns == 0)
        axes.set_title(("a  " if place == 0 else "") + tables.task_label(task))
    for place, task in enumerate(grown):
        axes = lower.add_subplot(1, max(2, len(grown)), place + 1)
        _growth(axes, tables, sized[sized["task"] == task])
        axes.set_title(("b  " if place == 0 else "") + tables.task_label(task))
    return figure


def _of_kinds(found: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """One row per arm, set and kind of score (column `kind`), and the pooling of the distances."""
    pooling = next((name for name in POOLED if found["scored_by"].eq(f"cosine_{name}").any()), "")
    wanted = {OUTSIDE: "probe", "probe": "probe", f"cosine_{pooling}": "cosine", f"l2_{pooling}": "l2"} | dict.fromkeys(
        RATIOS, "llr"
    )
    networks = found["scored_by"].eq(OUTSIDE) & found["init"].ne("baseline")  # nobody says what kind of score theirs is
    rows = found[found["scored_by"].isin(wanted) & ~networks].assign(kind=found["scored_by"].map(wanted))
    rows = rows.assign(rank=rows["scored_by"].map({name: place for place, name in enumerate(RATIOS)}).fillna(0))
    first = rows.sort_values("rank", kind="stable").drop_duplicates(["task", "model", "init", "kind"])
    return first.sort_index().drop(columns="rank"), pooling


def _places(names: list[str], cheap: list[str], kinds: list[str]) -> tuple[dict[tuple[str, str, str], float], float]:
    """Place of every (kind, model, arm) in mm from the top, and the height of all."""
    places: dict[tuple[str, str, str], float] = {}
    y = GAP_MM
    for kind in kinds:
        for name in names:
            for init in ARMS:
                places[kind, name, init] = y
                y += MARK_MM
        y += GAP_MM
    for name in cheap:
        y += GAP_MM / 2
        places["probe", name, "baseline"] = y
        y += GAP_MM / 2
    return places, y + GAP_MM


def _panel(
    axes: Axes,
    tables: Tables,
    rows: pd.DataFrame,
    places: dict[tuple[str, str, str], float],
    height: float,
    *,
    labels: bool,
) -> None:
    """One set: a block of rows per kind of score, and one row per baseline."""
    for row in each(rows):
        arm = tables.arm(row)
        if (y := places.get((row.kind, row.model, arm))) is not None:
            mark: dict[str, Any] = style.filling(tables.looks[row.model], arm) | {
                "markersize": 3.4,
                "linestyle": "none",
            }
            style.interval(axes, y, row.auroc_within_low, row.auroc_within_high, mark["color"])
            axes.plot(row.auroc_within, y, zorder=3, **mark)
    ticks: dict[str, list[float]] = {}
    for (kind, name, init), y in places.items():
        ticks.setdefault(tables.looks[name].label if init == "baseline" else KINDS[kind], []).append(y)
    axes.axvline(0.5, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
    axes.set_ylim(height, 0)
    axes.set_yticks([float(np.mean(each)) for each in ticks.values()], list(ticks) if labels else [])
    axes.tick_params(axis="y", length=0, labelsize=6)
    axes.grid(axis="x")
    axes.set_xlabel("AUROC")


def _sized(tables: Tables, own: pd.DataFrame) -> pd.DataFrame:
    """Rows of the kinds that are drawn against size, of families with several sizes (column `family`): those of one
    architecture with one tokenizer."""
    named = tables.models.set_index("model")
    parts = [named[name].map(str) for name in ("family", "tokenizer") if name in named]
    family = parts[0] + " " + parts[-1] if parts else pd.Series(dtype=object)
    rows = own[own["kind"].isin(GROWING) & own["parameters"].gt(0)].assign(family=own["model"].map(family))
    several = rows.groupby(["task", "family"])["parameters"].transform("nunique") > 1
    return rows[several]


def _of_each_family(names: list[str], sized: pd.DataFrame) -> list[str]:
    """The models without the further sizes of a family, which look as the first of them does."""
    families = dict(zip(sized["model"], sized["family"], strict=True))
    first: dict[str, str] = {}
    return [name for name in names if first.setdefault(families.get(name, name), name) == name]


def _growth(axes: Axes, tables: Tables, rows: pd.DataFrame) -> None:
    """Probe and likelihood ratio of one set against parameters, a line per family and arm."""
    for names, line in rows.sort_values("parameters").groupby(["family", "kind", "init"], sort=False):
        _, kind, init = map(str, names)
        look = tables.looks[line["model"].iloc[0]]
        axes.plot(
            line["parameters"], line["auroc_within"], color=look.color, linewidth=0.7, linestyle=style.ARM_LINES[init]
        )
        for row in each(line):
            style.interval(axes, row.parameters, row.auroc_within_low, row.auroc_within_high, look.color, vertical=True)
            mark: dict[str, Any] = style.filling(tables.looks[row.model], init) | {
                "marker": GROWING[kind],
                "markersize": 3.4,
            }
            axes.plot(row.parameters, row.auroc_within, zorder=3, **mark)
    axes.axhline(0.5, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
    axes.set_xscale("log")
    ends = [rows["parameters"].min(), rows["parameters"].max()]
    axes.set_xticks(ends, [f"{size / 1e6:.3g} M" if size >= 1e6 else f"{size / 1e3:.3g} k" for size in ends])
    axes.margins(x=0.15)
    axes.minorticks_off()
    axes.grid(axis="y")
    axes.set_xlabel("Parameters")
    axes.set_ylabel("AUROC")


def _caption(tables: Tables, found: pd.DataFrame, pooling: str, sized: bool, models: int, tasks: int) -> str:
    """What every mark, interval and n is."""
    held = [word for word in ("chromosome", "block", "group") if found["held_out"].eq(word).any()]
    what = {"chromosome": "each chromosome", "block": "blocks of neighbours", "group": "groups"}
    words = (
        "a, AUROC of pathogenic against benign variants, over pairs that are held out together. Supervised probe: "
        "logistic regression on (REF, ALT − REF), "
        f"scored on variants that it never saw, with {' or '.join(what[word] for word in held) or 'parts'} held out; "
        "pooling and penalty are chosen within the training variants. Baselines (grey): the same on features that "
        "cost nothing, by the same folds, or a score from outside. "
        f"L2 and cosine: distance of REF and ALT embeddings ({pooling} pooling); "
        "likelihood ratio: −(log P(ALT) − log P(REF)), of the masked base where tokens are k-mers. All but the probe "
        f"and the baselines learn nothing from labels. n = {layout.span(found['n_test'])} variants a set, "
        f"{layout.span(found['seeds'])} seed(s); lines: 95 % bootstrap intervals over variants (or groups) and seeds. "
        "Dashed: chance; below it the opposite sign ranks better. No test is made here; differences of the arms with p "
        "values that are adjusted over all scores of a model on a set (Holm), AUPRC, means over what was held out and "
        "what the likelihood of the REF window explains: "
        "variant_scores.csv. "
    )
    if sized:
        words += (
            "b, probe (circles) and likelihood ratio (squares) of families with several sizes against parameters; a "
            "has one size of each. "
        )
    if models or tasks:
        words += f"Only in the table: {models} further models, {tasks} further sets. "
    return words + tables.study
