"""Variation: similarity under mutations, ancestry, and the effects of variants."""

from collections import Counter

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from foundationless.evaluation.aggregate import across_tasks
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each

ARMS = ("pretrained", "random")
MODEL_MM = 17.0  # height of a model's row of curves
PANELS = 4  # of variant sets, or genes, beside each other
POOLINGS = ("cls", "last", "site", "mean", "max")
CONDITIONS = {"raw": "Cosine similarity", "centred": "Cosine, centred"}
POOLING_LABELS = {"cls": "cls / last token", "last": "last token", "site": "mutated sites"}


def sensitivity_ancestry(tables: Tables) -> Figure:
    """Figure 6: (a) cosine similarity against the number of mutations, as it is and centred, (b) ancestry."""
    title = "Figure 6 · Mutation sensitivity and ancestry"
    cosines = _sensitivity(tables)
    people = tables.scored("ancestry")
    if cosines.empty and people.empty:
        return style.missing(title, "No scores of analysis sensitivity and none of analysis ancestry.")
    names = tables.order([*tables.own(cosines)["model"], *tables.own(people)["model"]])
    handles = [
        style.arm_handles(layout.shown_arms(tables, cosines, people), lines=not cosines.empty),
        style.model_handles(tables.looks[name] for name in names),
    ]
    caption = ""
    if not cosines.empty:
        caption = (
            "a, mean cosine similarity of a mutant's embedding with its reference's, 95 % bootstrap intervals over "
            "windows; short dotted lines at the right: embeddings of different, unmutated windows (null). "
        )
    if (cosines["condition"] == "centred").any():
        caption += (
            "Lower panels: after the mean embedding of all unmutated windows is subtracted, because embeddings share a "
            "large common part and unrelated windows look alike with it. "
        )
    if not people.empty:
        windows = paper_windows(tables)
        caption += f"b, ancestry. {_people_caption(people)} {layout.paper_words(tables, windows)} "
        handles[0] += style.reported_handles(set(windows["init"]))
    rows_b = len(tables.order(people["model"]))
    poolings = [pooling for pooling in POOLINGS if (cosines["pooling"] == pooling).any()]
    lines = [name for name in CONDITIONS if (cosines["condition"] == name).any()]
    heights = [52.0 * bool(poolings) for _ in lines] + [(13 + layout.ROW_MM * rows_b) * (rows_b > 0)]
    figure, body = style.page(sum(heights), title=title, caption=caption + tables.study, handles=handles)
    *upper, lower = layout.stack(body, heights)
    for line, part in zip(lines, upper, strict=True):
        panels = part.subplots(1, len(poolings), squeeze=False, sharey=True)[0]
        own = cosines[cosines["condition"] == line]
        for place, (axes, pooling) in enumerate(zip(panels, poolings, strict=True)):
            _similarity(axes, tables, own[own["pooling"] == pooling], names)
            first = "a  " if place == 0 and line == lines[0] else ""
            axes.set_title(first + POOLING_LABELS.get(pooling, pooling))
        panels[0].set_ylabel(CONDITIONS[line])
    if lower:
        _ancestry(lower.subplots(), tables, people)
    return figure


def mutations(tables: Tables) -> Figure:
    """Similarity against the number of mutations, a row per model: both arms, each beside its own null."""
    title = "Similarity against mutations, beside that of unrelated windows"
    cosines = tables.own(_sensitivity(tables))
    cosines = cosines[cosines["init"].isin(ARMS) & cosines["model"].isin(tables.looks)]
    curve = cosines[cosines["mutations"] > 0]
    if curve.empty:
        return style.missing(title, "No scores of analysis sensitivity (cosine of mutants with their windows).")
    # Unrelated windows share no sites, so `site` has no null.
    pooling = next(name for name in ("max", "mean", *POOLINGS) if (curve["pooling"] == name).any())
    tasks = tables.task_names(curve["task"])
    cosines = cosines[(cosines["pooling"] == pooling) & (cosines["task"] == tasks[0])]
    names = tables.order(cosines["model"])
    conditions = [name for name in CONDITIONS if (cosines["condition"] == name).any()]
    windows = cosines["windows"].max()
    caption = (
        f"{tables.task_label(tasks[0])}, {POOLING_LABELS.get(pooling, pooling)} pooling: mean cosine of mutants with "
        "their unmutated window (solid and filled: pretrained; dashed and open: random), vertical lines: 95 % "
        f"bootstrap intervals over windows{f' (n = {windows:.0f})' if windows == windows else ''}. Bands: the "
        "null of the same arm, cosine of different unmutated windows with its 95 % interval (light: random): "
        "a curve within it has lost the window. "
    )
    if "centred" in conditions:
        caption += "Right: after the mean embedding of all windows, which embeddings share, is subtracted. "
    handles = [[*style.arm_handles(lines=True), Patch(facecolor=style.GREY, alpha=0.4, label="null")]]
    height, wide = 10 + MODEL_MM * len(names), style.ONE_COLUMN
    figure, body = style.page(height, title=title, caption=caption + tables.study, handles=handles, width_mm=wide)
    panels = body.subplots(len(names), len(conditions), squeeze=False, sharex=True)
    for line, name in zip(panels, names, strict=True):
        for axes, condition in zip(line, conditions, strict=True):
            mine = cosines[(cosines["condition"] == condition) & (cosines["model"] == name)]
            _beside_null(axes, tables, mine, name)
        line[0].set_ylabel(tables.looks[name].label.replace(" ", "\n", 1), fontsize=5.8, fontweight="bold",
                           color=tables.looks[name].color)  # fmt: skip
    for axes, condition in zip(panels[0], conditions, strict=True):
        axes.set_title(CONDITIONS[condition])
    ticks = sorted(cosines.loc[cosines["mutations"] > 0, "mutations"].unique())
    for axes in panels.ravel():
        layout.logarithmic(axes, ticks, size=5.5)
        axes.tick_params(labelsize=5.5, labelbottom=axes in panels[-1])
    for axes in panels[-1]:
        axes.set_xlabel("Mutations in the window")
    return figure


def _beside_null(axes: Axes, tables: Tables, rows: pd.DataFrame, name: str) -> None:
    """One model under one condition: similarity of both arms, and the range of their nulls behind them."""
    look = tables.looks[name]
    null = _nulls(rows)
    for init, line, alpha in (("pretrained", "-", 0.4), ("random", "--", 0.15)):
        arm = rows[rows["init"] == init]
        base = arm[null[arm.index]]
        for row in each(base):
            axes.axhspan(row.low, row.high, color=look.color, alpha=alpha, linewidth=0, zorder=0)
            axes.axhline(row.value, color=look.color, linestyle=line, linewidth=0.5, zorder=1)
        curve = arm[~null[arm.index] & (arm["mutations"] > 0)].sort_values("mutations")
        style.interval(axes, curve["mutations"], curve["low"], curve["high"], look.color, vertical=True)
        mark = style.filling(look, init) | {"linestyle": line, "markersize": 2.8}
        axes.plot(curve["mutations"], curve["value"], zorder=3, **mark)
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=4)


def _nulls(rows: pd.DataFrame) -> pd.Series:
    """Which rows compare unrelated windows."""
    return rows["null"].fillna(False).astype(bool)


def _sensitivity(tables: Tables) -> pd.DataFrame:
    """Cosine rows under the conditions that the figure shows; the paper's rounding stays in the tables."""
    found = tables.scored("sensitivity")
    found = found[found["metric"] == "cosine"]
    found = found.assign(condition=found["condition"].astype(object).fillna("raw"))
    return found[found["condition"].isin(CONDITIONS)]


def _similarity(axes: Axes, tables: Tables, cosines: pd.DataFrame, names: list[str]) -> None:
    """One pooling: a line per model and arm over mutations, the null as a dotted stub at the right."""
    null = _nulls(cosines)
    curve = cosines[~null & (cosines["mutations"] > 0)]
    edge = curve["mutations"].max()
    for name in names:
        look = tables.looks[name]
        for init, line in style.ARM_LINES.items():
            arm = curve[(curve["model"] == name) & (curve["init"] == init)].sort_values("mutations")
            mark = style.filling(look, init) | {"linestyle": line, "markersize": 3}
            axes.plot(arm["mutations"], arm["value"], zorder=3, **mark)
            style.interval(axes, arm["mutations"], arm["low"], arm["high"], look.color, vertical=True)
            base = cosines[null & (cosines["model"] == name) & (cosines["init"] == init)]["value"]
            if len(base):
                axes.plot([edge * 1.3, edge * 3], [base.mean()] * 2, color=look.color, linestyle=":",
                          linewidth=1.0 if init == "pretrained" else 0.6)  # fmt: skip
    ticks = sorted(curve["mutations"].unique())
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], rotation=90)
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_xlabel("Mutations")
    axes.grid(axis="y")


def _ancestry(axes: Axes, tables: Tables, people: pd.DataFrame) -> None:
    """Score per model; over several windows the mean with a t interval over windows."""
    shown, windows = people, people["task"].nunique()
    if windows > 1:
        arms = people.groupby(["model", "init"])["value"]
        over = {keys: across_tasks(values.to_numpy()) for keys, values in arms}
        rows = [(*keys, mean.mean, mean.low, mean.high) for keys, mean in over.items()]
        shown = pd.DataFrame(rows, columns=["model", "init", "value", "low", "high"])
    names = tables.order(people["model"])
    layout.model_rows(axes, tables, shown, names)
    layout.paper_rows(axes, paper_windows(tables), names, set(shown["init"]))
    axes.set_title("b  Ancestry" + (f", mean of {windows} windows" if windows > 1 else ""))
    axes.set_xlabel(layout.metric_label(people["metric"]))


def paper_windows(tables: Tables) -> pd.DataFrame:
    """The paper's means over its windows of ancestry (Figure 6b), of the models and arms that it has."""
    found = tables.extra("table_14_windows").rename(columns={"reported_source": "source"})
    return found[(found["variant"] == "") & found["reported"].notna() & found["model"].isin(tables.looks)]


def _people_caption(people: pd.DataFrame) -> str:
    windows = people["task"].nunique()
    if windows > 1:
        return f"Mean over {windows} windows with 95 % t intervals over windows."
    return layout.sizes(people).replace("test items per task", "people of the test set")


def variants(tables: Tables) -> Figure:
    """Tables 4 and 5: AUROC of log-likelihood ratios, of variants of every kind too, and similarity of REF and ALT by
    class of variant."""
    title = "Tables 4 and 5 · Variant effects"
    ratios = pd.concat([tables.scored("likelihood"), tables.scored("indels")], ignore_index=True)
    similar = _similar(tables)
    if ratios.empty and similar.empty:
        return style.missing(title, "No scores of analyses likelihood and indels, and none of analysis similarity.")
    names = tables.order([*ratios["model"], *similar["model"]])
    tasks = tables.task_names(ratios["task"])
    genes = list(dict.fromkeys(zip(similar["task"], similar["gene"], strict=True)))
    caption = f"a, {layout.sizes(ratios)} Dashed: chance. " if tasks else ""
    if (ratios["analysis"] == "indels").any():
        caption += "Where alleles differ in length, the ratio is that of whole windows. "
    if genes:
        single = (similar["unit"].fillna("variant") == "variant").all()
        unit = "single variants" if single else "chunks that carry all variants of a class"
        sizes = f"n = {layout.span(similar['n'].dropna())} a class; " if similar["n"].notna().any() else ""
        caption += (
            f"b, mean distance 1 − cosine of REF and ALT embeddings ({similar['pooling'].iloc[0]} pooling, {unit}), "
            f"{sizes}95 % bootstrap intervals over these units; circles: benign, triangles: pathogenic. "
        )
    heights = [
        (14 + high * layout.ROW_MM * len(names)) * -(-len(panels) // PANELS)
        for high, panels in ((1, tasks), (1.3, genes))
    ]
    figure, body = style.page(sum(heights), title=title, caption=caption + tables.study, handles=[style.arm_handles()])
    upper, lower = layout.stack(body, heights)
    panels = layout.grid(upper, len(tasks), min(len(tasks), PANELS)) if tasks else []
    for i, (axes, task) in enumerate(zip(panels, tasks, strict=True)):
        layout.model_rows(axes, tables, ratios[ratios["task"] == task], names, labels=i % PANELS == 0)
        axes.axvline(0.5, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
        axes.set_title(("a  " if i == 0 else "") + tables.task_label(task))
        axes.set_xlabel("AUROC of −LLR")
    shared = Counter(gene for _, gene in genes)
    panels = layout.grid(lower, len(genes), min(len(genes), PANELS)) if genes else []
    for i, (axes, (task, gene)) in enumerate(zip(panels, genes, strict=True)):
        mine = similar[(similar["gene"] == gene) & (similar["task"] == task)]
        _distances(axes, tables, mine, names, labels=i % PANELS == 0)
        name = tables.task_label(task) if gene == "all" else str(gene)
        name += f", {tables.task_label(task)}" * (shared[gene] > 1 and gene != "all")
        axes.set_title(("b  " if i == 0 else "") + name)
        axes.set_xlabel("Distance, 1 − cosine")
    return figure


def _similar(tables: Tables) -> pd.DataFrame:
    """Cosine rows of one pooling (the paper's max, if there) and unit (single variants, if there)."""
    found = tables.scored("similarity")
    found = found[(found["metric"] == "cosine") & found["label"].notna() & (found["init"] != "baseline")]
    for column, preferred in (("pooling", ("max", "mean")), ("unit", ("variant",))):
        present = [name for name in (*preferred, *found[column].unique()) if (found[column] == name).any()]
        found = found[found[column] == present[0]] if present else found
    return found


def _distances(axes: Axes, tables: Tables, distances: pd.DataFrame, names: list[str], *, labels: bool) -> None:
    shift = {("pretrained", 0): -0.3, ("pretrained", 1): -0.1, ("random", 0): 0.1, ("random", 1): 0.3}
    classes = sorted(distances["label"].unique())
    for y, name in enumerate(names):
        look = tables.looks[name]
        for row in each(distances[distances["model"] == name]):
            rank = min(classes.index(row.label), 1)
            place = y + shift[row.init, rank]
            style.interval(axes, place, max(1 - row.high, 1e-9), max(1 - row.low, 1e-9), look.color)
            mark = style.filling(look, row.init) | {"marker": "^" if rank else "o", "markersize": 3.2}
            axes.plot(max(1 - row.value, 1e-9), place, zorder=3, **mark)
    axes.set_xscale("log")
    layout.label_models(axes, tables, names, labels=labels)
