"""The verdict: differences with their evidence, the ranks of all arms, and our numbers against the paper's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.evaluation.aggregate import ALPHA
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks
from foundationless.reporting.tables.verdict import choices, count_edges, detectable
from foundationless.reporting.tables.verdict_words import detectable_words
from foundationless.study.vocabulary import labels_of

SMALL = 5.2  # pt: two text columns beside the panel at 85 mm
ROW_MM, CLOSE_MM, RANK_MM, BAR_MM = 2.45, 2.25, 3.0, 1.5
HEADINGS = {
    "random": "Against its own random initialisation",
    "mean": "Against the mean of the training perturbations",
    "baseline": "Against the best cheap baseline",
}
PANELS = {
    "these": ("On these tasks", ("verdict", "tasks", "seeds")),
    "like-these": ("On tasks like these", ("verdict", "families")),
}
COLUMNS = (3.0, 40.0, 66.0)  # points from the panel to its columns of text
FURTHEST = 2.5  # how many times the reach of the other marks an interval over families is drawn
EXPERIMENTS = {
    "nt_finetune": "NT benchmark",
    "gue_finetune": "GUE",
    "gb_finetune": "Genomic Benchmarks",
    "fig1_delta": "differences (Fig 1)",
    "lora_vs_full": "LoRA",
    "tokenizer_ablation": "tokenizer",
    "biotype": "biotype",
    "gue_histone_frozen_xgb": "frozen features",
    "ancestry": "ancestry",
    "clinvar_cosine": "variants: cosine",
    "clinvar_llr": "variants: LLR",
}


def forest(tables: Tables) -> Figure:
    """One row per model and, below it, per family of tasks: difference, interval, equivalence band and verdict, on
    these tasks and on tasks like these."""
    title = "Does pretraining pay?"
    across, families = (frame[~frame["model"].isin(tables.baselines)] for frame in (tables.across, tables.families))
    whole = across[(across["suite"] == "all") & across["versus"].isin(HEADINGS) & across["scope"].isin(PANELS)]
    if whole.empty:
        return style.missing(title, "No model has both arms, or an arm and a baseline, on any task of the verdict.")
    whole = whole.assign(family="")
    parts = families[(families["versus"] == "random") & families["scope"].isin(PANELS)]
    blocks = _forest_blocks(tables, whole, parts)
    printed = _paper_deltas(tables)
    printed = printed[printed["model"].isin(whole["model"]) & printed["versus"].isin(HEADINGS)]
    edges = _edges(tables, whole["model"])
    counts = [len(lines) for lines in blocks.values()]
    figure, body = style.page(
        5 + 4 * len(counts) + (ROW_MM if sum(counts) < 60 else CLOSE_MM) * sum(counts), title=title,
        caption=f"{_forest_caption(tables, whole, printed, edges)} {tables.study}",
        handles=[[style.band_handle(layout.margin_words(_margins(tables))),
                  *style.reported_handles({"pretrained"} if len(printed) else ())]],
    )  # fmt: skip
    grid = np.atleast_2d(body.subplots(len(counts), 2, height_ratios=counts, sharex="row", squeeze=False))
    longest = max(len(text) for lines in blocks.values() for text, row in lines if row is not None)
    rows = pd.concat([whole, parts])
    for panels, (versus, lines) in zip(grid, blocks.items(), strict=True):
        ends = _reach(rows[rows["versus"] == versus])
        for axes, (scope, (heading, _)) in zip(panels, PANELS.items(), strict=True):
            marked = printed[(printed["versus"] == versus) & (printed["scope"] == scope)]
            _forest_panel(axes, tables, lines, scope, ends, marked)
            if axes in grid[0]:
                axes.set_title(heading, pad=2)
            _forest_labels(axes, lines, longest, edges if versus == "random" else {}, names=axes is panels[0])
    for axes in grid[-1]:
        axes.set_xlabel("Difference in score (metric of the tasks)")
    return figure


def _forest_blocks(tables: Tables, whole: pd.DataFrame, parts: pd.DataFrame) -> dict[str, list[tuple[str, Any]]]:
    """Per reference the text and the rows by scope (None: a heading) of every line, from the top."""
    blocks: dict[str, list[tuple[str, Any]]] = {}
    unlike = _unlike(parts)
    for versus, heading in HEADINGS.items():
        block = whole[whole["versus"] == versus]
        if block.empty:
            continue
        lines = blocks[versus] = [(heading, None)]
        for name in tables.order(block["model"]):
            lines.append((tables.looks[name].label, _by_scope(block[block["model"] == name])))
            own = parts[parts["model"] == name] if versus == "random" else parts.iloc[:0]
            for family, rows in own.groupby("family", sort=False):
                metrics = f" ({layout.metric_names(_split(rows['metrics']))})" if unlike else ""
                lines.append((f"   {family}{metrics}", _by_scope(rows)))
    return blocks


def _split(metrics: pd.Series) -> list[str]:
    """Names of metrics that cells join by +."""
    return [name for text in dict.fromkeys(metrics.dropna().astype(str)) for name in text.split("+")]


def _unlike(rows: pd.DataFrame) -> bool:
    """Whether metrics of several kinds of labels meet, so that each family has to say its own."""
    return len({labels_of(name) for name in _split(rows["metrics"])}) > 1


def _by_scope(rows: pd.DataFrame) -> dict[str, Any]:
    return {row.scope: row for row in each(rows)}


def _forest_panel(
    axes: Axes, tables: Tables, lines: Sequence[tuple[str, Any]], scope: str, ends: tuple[float, float],
    printed: pd.DataFrame,
) -> None:  # fmt: skip
    """The rows of one reference in one scope: one family says nothing of others, so only models have both."""
    drawn = {
        y: rows[scope] for y, (_, rows) in enumerate(lines)
        if rows is not None and scope in rows and (scope == "these" or not rows[scope].family)
    }  # fmt: skip
    layout.draw_margins(axes, drawn, [row.margin for row in drawn.values()])
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.set_xlim(*ends)
    _beside(axes, 0, PANELS[scope][1], "bold")
    for y, row in drawn.items():
        _forest_row(axes, tables, y, row, ends)
        same = (printed["model"] == row.model) & (printed["family"] == row.family)
        for value in printed.loc[same, "delta"]:
            axes.plot(np.clip(value, *ends), y, zorder=4, **style.reported())
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def _forest_row(axes: Axes, tables: Tables, y: int, row: Any, ends: tuple[float, float]) -> None:
    look, model = tables.looks[row.model], row.family == ""
    layout.cut_interval(axes, y, row, ends, look.color, 2)
    mark = style.filling(look, "pretrained") | {"markersize": 4.2 if model else 2.4}
    if not model:
        mark |= {"markeredgewidth": 0.4}
    axes.plot(np.clip(row.delta, *ends), y, zorder=3, **mark)
    tasks = f"{row.n:.0f}" + (f" ({row.distinct:.0f})" if pd.notna(row.distinct) and row.distinct != row.n else "")
    told = {"verdict": str(row.verdict), "tasks": tasks, "families": _whole(row.units), "seeds": _whole(row.seeds)}
    _beside(axes, y, [told[name] for name in PANELS[row.scope][1]], "bold" if model else "normal")


def _whole(number: Any) -> str:
    return "–" if pd.isna(number) else f"{number:.0f}"


def _beside(axes: Axes, y: float, texts: Sequence[str], weight: str) -> None:
    """Columns of text at the right of the panel."""
    for text, points in zip(texts, COLUMNS[: len(texts)], strict=True):
        axes.annotate(
            text, (1.0, y), (points, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=SMALL, va="center", fontweight=weight,
        )  # fmt: skip


def _forest_labels(
    axes: Axes, lines: Sequence[tuple[str, Any]], longest: int, edges: Mapping[str, Any], *, names: bool
) -> None:
    """Names of the rows, left-aligned with room for the `longest` of all panels, and the heading; or only the rows."""
    axes.set_ylim(len(lines) - 0.4, -0.5)
    shown = {
        y: text + " †" * any(row.model in edges and not row.family for row in rows.values())
        for y, (text, rows) in enumerate(lines) if rows is not None
    }  # fmt: skip
    axes.set_yticks(list(shown), list(shown.values()) if names else [], ha="left")
    pad = (longest + 2) * SMALL * 0.57 + 1
    axes.tick_params(axis="y", length=0, labelsize=SMALL, pad=pad)
    for label, text in zip(axes.get_yticklabels() if names else [], shown.values(), strict=names):
        label.set_fontweight("normal" if text.startswith(" ") else "bold")
    for y, (text, rows) in enumerate(lines):
        if rows is None:
            axes.axhspan(y - 0.5, y + 0.5, color="white", zorder=1.5)  # the heading's room
            if names:
                axes.annotate(text, (0.0, y), (-pad, 0), xycoords=("axes fraction", "data"), va="center", ha="left",
                              textcoords="offset points", fontsize=SMALL + 0.3, fontweight="bold")  # fmt: skip


def _reach(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold every difference, the margins, and the models' intervals as far as they say much.

    Intervals over few families may be a hundred times as wide; they, and those of families, end in an arrow.
    """
    models = rows[rows["family"] == ""]
    these = models[models["scope"] == "these"]
    margin = 1.5 * rows["margin"].max()
    values = np.concatenate([rows["delta"], these["low"], these["high"], [-margin, margin]])
    values = values[np.isfinite(values)]
    most = FURTHEST * np.abs(values).max()
    wide = np.concatenate([models["low"], models["high"]])
    values = np.concatenate([values, np.clip(wide[np.isfinite(wide)], -most, most)])
    pad = 0.06 * (values.max() - values.min())
    return float(values.min() - pad), float(values.max() + pad)


def _margins(tables: Tables) -> pd.DataFrame:
    """Metrics of the main analysis with their margins."""
    pairs = tables.comparisons
    return of_plain_tasks(pairs[pairs["analysis"] == tables.main])


def _edges(tables: Tables, models: Iterable[str]) -> dict[str, str]:
    """Models of which a choice lies on the edge of its grid: how many of how many."""
    chosen = choices(tables.directory, tables.main)
    counted = {name: count_edges(chosen, [name]) for name in tables.order(models)}
    return {
        name: f"{edges['low'] + edges['high']} of {edges['choices']}"
        for name, edges in counted.items() if edges and edges["low"] + edges["high"]
    }  # fmt: skip


def _paper_deltas(tables: Tables) -> pd.DataFrame:
    """The paper's own differences through the same code, of models that are drawn on tasks of the paper."""
    found, same, cards = tables.extra("reported_across"), tables.extra("reported_comparison"), tables.models
    found = found[(found["suite"] == "all") & found["delta"].notna()].rename(columns={"model": "architecture"})
    plain = (cards["tokenizer"] == "") & cards["width"].isna() & cards["layers"].isna()
    plain &= (cards["reading"] == "published") & cards["model"].isin(same["model"])
    ours = cards.loc[plain, ["model", "base"]].rename(columns={"base": "architecture"})
    return found.assign(family=found["family"].astype(object).fillna("")).merge(ours, on="architecture")


def _forest_caption(tables: Tables, whole: pd.DataFrame, printed: pd.DataFrame, edges: Mapping[str, str]) -> str:
    words = [
        "Tasks are of several metrics, which are no one scale: a model's difference is the mean of its tasks' own, "
        "each family says its metric, and its margin is that metric's." * _unlike(whole),
        "Pretrained minus reference; lines: 95 % intervals (arrow: it goes on). Left: the mean over these very tasks, "
        "by Student's t with seeds and test items as random. Right: the mean over families of their means, by its t "
        "with families and seeds as random; families that share sequences are one, and a single family says nothing of "
        "others. Tasks: in brackets, with the same data in two suites counted once. Seeds: the fewest of an arm.",
        "Verdict at 5 % after Holm's adjustment over models, of differences and of equivalence each (both together: at "
        "most 10 %): equivalent if two one-sided tests (TOST) place the difference within the margin (grey; of several "
        "metrics the mean of the tasks' margins), else better or worse if the t test tells it from 0, else undecided. "
        "No such word with fewer than three seeds, nor where no arm beats a constant answer (not learned).",
    ]
    for scope, (heading, _) in PANELS.items():
        facts = [{"detectable": detectable(row.mde, row.metrics)} for row in each(whole[whole["scope"] == scope])]
        if size := detectable_words(facts):
            words.append(f"Detectable with 80 % power {heading[:1].lower()}{heading[1:]}: {size}.")
    if edges:
        said = ", ".join(f"{tables.looks[name].label} {counts}" for name, counts in edges.items())
        words.append(f"†: choices on the edge of their grid, beyond which there may be better ones: {said}.")
    if len(printed):
        words.append("Crosses: the paper's printed scores, weighed in the same way (reported_across.csv).")
        if not layout.same_models(tables, printed["model"]):
            words.append(layout.SMALLER)
    return " ".join(filter(None, words))


def critical_difference(tables: Tables) -> Figure:
    """Mean rank of every arm and baseline over the tasks of the verdict; bars join those that no test tells apart."""
    title = "Ranks of all arms and baselines"
    ranks, pairs = tables.extra("ranks"), tables.extra("rank_pairs")
    ranks = ranks[(ranks["analysis"] == tables.main) & ranks["model"].isin(tables.looks)]
    if len(ranks) < 2:
        return style.missing(title, "No two arms were judged on the same tasks, so there are no ranks to compare.")
    ranks = ranks.sort_values("rank", kind="stable").reset_index(drop=True)
    p = _pair_matrix(tables.main, ranks, pairs)
    bars = maximal_runs(p, ALPHA)
    lanes = _lanes(bars)
    friedman = float(ranks["p_friedman"].iloc[0])
    caption = (
        f"Mean rank over n = {int(ranks['n'].max())} tasks that all arms were run on (1: highest score); it has no "
        f"interval. Friedman test that all are alike: p = {friedman:.2g}. A bar joins arms of which no two differ at "
        "5 % (Nemenyi's post-hoc test, which adjusts for all pairs); an arm that is joined to no other has no bar. "
        f"Tasks that are the same data in two suites count once. {tables.study}"
    )
    handles = [style.arm_handles(layout.shown_arms(tables, ranks))]
    figure, body = style.page(
        10 + RANK_MM * len(ranks), title=title, caption=caption, handles=handles, width_mm=style.ONE_COLUMN
    )
    width = BAR_MM * max(1, max(lanes, default=0) + 1)
    axes, side = body.subplots(1, 2, sharey=True, width_ratios=[50 - width, width])
    for panel in (axes, side):
        for y in range(0, len(ranks), 2):
            panel.axhspan(y - 0.5, y + 0.5, color="#f4f4f4", zorder=0)
    for y, row in enumerate(each(ranks)):
        mark = style.filling(tables.looks[row.model], tables.arm(row))
        axes.plot([0, row.rank], [y, y], color=mark["color"], linewidth=0.5, alpha=0.5, zorder=1)
        axes.plot(row.rank, y, zorder=3, **mark)
        axes.annotate(f"{row.rank:.1f}", (row.rank, y), (4, 0), textcoords="offset points", fontsize=SMALL,
                      va="center", ha="left")  # fmt: skip
    for (first, last), lane in zip(bars, lanes, strict=True):
        side.plot([lane, lane], [first - 0.25, last + 0.25], color=style.INK, linewidth=1.6, solid_capstyle="butt")
    side.set_xlim(-0.7, max(lanes, default=0) + 0.7)
    side.set_axis_off()
    side.set_xticks([])
    layout.named_rows(axes, [(arm_label(tables, row), "normal") for row in each(ranks)], size=5.8)
    axes.set_ylim(len(ranks) - 0.4, -0.6)
    axes.set_xlim(0.5, ranks["rank"].max() + 0.16 * (ranks["rank"].max() - 0.5))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    axes.set_xlabel("Mean rank")
    return figure


def arm_label(tables: Tables, row: Any) -> str:
    """`Mistral, pretrained`; a baseline has its label alone."""
    label = tables.looks[row.model].label
    return label if tables.arm(row) == "baseline" else f"{label}, {row.init}"


def _pair_matrix(analysis: str, found: pd.DataFrame, pairs: pd.DataFrame) -> Any:
    """p values [arms, arms] in the order of `found`; 1 where a pair was not tested."""
    place = {(row.model, row.init): i for i, row in enumerate(each(found))}
    p = np.ones((len(found), len(found)))
    for row in each(pairs):
        first, second = (row.first_model, row.first_init), (row.second_model, row.second_init)
        if row.analysis == analysis and first in place and second in place:
            p[place[first], place[second]] = p[place[second], place[first]] = row.p
    return p


def maximal_runs(p: Any, alpha: float) -> list[tuple[int, int]]:
    """First and last of every longest stretch of arms, in order of rank, of which no two differ at `alpha`.

    With Nemenyi's test p falls with the distance of ranks, so these are all the groups there are (Demšar 2006).
    """
    runs: list[tuple[int, int]] = []
    for first in range(len(p)):
        last = first
        while last + 1 < len(p) and (p[first : last + 1, last + 1] >= alpha).all():
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _lanes(bars: Sequence[tuple[int, int]]) -> list[int]:
    """Lane of every bar: the first in which it touches none before it."""
    ends: list[int] = []
    lanes = []
    for first, last in bars:
        lane = next((i for i, end in enumerate(ends) if end < first), len(ends))
        ends[lane:lane + 1] = [last]  # fmt: skip
        lanes.append(lane)
    return lanes


def reported(tables: Tables) -> Figure:
    """Our scores against those that the paper printed, and their differences by experiment."""
    title = "Our numbers against the paper's"
    numbers = tables.extra("reported_comparison")
    numbers = numbers[numbers["reported"].notna() & numbers["ours"].notna() & numbers["model"].isin(tables.looks)]
    partial = int(numbers["difference"].isna().sum())
    numbers = numbers.dropna(subset="difference")
    if numbers.empty:
        return style.missing(title, "No number of ours answers one that the paper printed (reported_comparison.csv).")
    deltas = numbers["arm"] == "delta"
    numbers = numbers.assign(init=numbers["arm"].str.extract(r"(pretrained|random)", expand=False).fillna("pretrained"))
    numbers["experiment"] = [EXPERIMENTS.get(name, name.replace("_", " ")) for name in numbers["experiment"]]
    held = set(numbers["experiment"])
    names = [name for name in dict.fromkeys([*EXPERIMENTS.values(), *numbers["experiment"]]) if name in held]
    published = bool(tables.scores["selection"].eq("test").all())
    caption = _reported_caption(tables, numbers, partial, published)
    models = style.model_handles(tables.looks[name] for name in tables.order(numbers["model"]))
    handles = [style.arm_handles(set(numbers["init"])), models]
    heights = [58.0 * bool((~deltas).any()), 14 + 4.6 * len(names)]
    figure, body = style.page(
        sum(heights), title=title, caption=f"{caption} {tables.study}", handles=handles, width_mm=style.ONE_COLUMN
    )
    upper, lower = layout.stack(body, heights)
    if upper:
        _against(upper.subplots(), tables, numbers[~deltas])
    _differences(lower.subplots(), tables, numbers, names)
    return figure


def _against(axes: Axes, tables: Tables, found: pd.DataFrame) -> None:
    ends = np.array([found[["reported", "ours"]].min().min(), found[["reported", "ours"]].max().max()])
    ends = ends + np.array([-0.04, 0.04]) * (ends[1] - ends[0] or 1.0)
    axes.plot(ends, ends, color=style.INK, linewidth=0.5, zorder=1)
    for (name, init), rows in found.groupby(["model", "init"], sort=False):
        look = tables.looks[str(name)]
        style.interval(axes, rows["reported"], rows["low"], rows["high"], look.color, vertical=True)
        mark = style.filling(look, str(init)) | {"linestyle": "none", "markersize": 3, "markeredgewidth": 0.6}
        axes.plot(rows["reported"], rows["ours"], zorder=3, **mark)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_title("a  Scores; on the line they agree")
    axes.set_xlabel("Reported by the paper (metric of the task)")
    axes.set_ylabel("Ours (same metric)")
    axes.grid()


def _differences(axes: Axes, tables: Tables, numbers: pd.DataFrame, names: Sequence[str]) -> None:
    """A strip per experiment, its median as a bar, and how many are equivalent, higher, lower or undecided."""
    axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
    for y, name in enumerate(names):
        part = numbers[numbers["experiment"] == name]
        place = y + np.linspace(-0.3, 0.3, len(part)) * (len(part) > 1)
        for (model, init), rows in part.assign(place=place).groupby(["model", "init"], sort=False):
            mark = style.filling(tables.looks[str(model)], str(init)) | {"markersize": 2.2, "markeredgewidth": 0.5}
            axes.plot(rows["difference"], rows["place"], zorder=2, **(mark | {"linestyle": "none"}))
        middle = part["difference"].median()
        axes.plot([middle, middle], [y - 0.4, y + 0.4], color="black", linewidth=1.1, zorder=4)
        counted = part["verdict"].value_counts()
        text = " · ".join(str(counted.get(word, 0)) for word in ("equivalent", "higher", "lower", "undecided"))
        axes.annotate(text, (1.0, y), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                      fontsize=SMALL, va="center")  # fmt: skip
    axes.annotate("= · ↑ · ↓ · ?", (1.0, -0.9), (3, 0), xycoords=("axes fraction", "data"), va="center",
                  textcoords="offset points", fontsize=SMALL, fontweight="bold")  # fmt: skip
    layout.named_rows(axes, [(name, "normal") for name in names], size=5.8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_title("b  By experiment")
    axes.set_xlabel("Ours − reported")


def _reported_caption(tables: Tables, numbers: pd.DataFrame, partial: int, published: bool) -> str:
    """Caption of the rows that are drawn; `partial` means hold too few tasks, `published`: selection by test score."""
    sources = ", ".join(dict.fromkeys(str(source) for source in numbers["source"]))
    words = [
        f"n = {len(numbers):,} numbers that one of our tasks answers ({sources}). Vertical lines: 95 % intervals of "
        "ours, by bootstrap; of means over tasks by Student's t.",
        "The paper reports the best test score of its learning rates; "
        + ("so do ours (selection: test)." if published else "ours are chosen by validation (selection: validation)."),
        "b: every number and every difference of arms, their median (bar), and how many are equivalent (=), higher "
        "(↑), lower (↓) or undecided (?): whether the 95 % interval of ours − reported lies within the margin, beyond "
        "0, or neither. It takes the paper's sd over its three runs into account where it prints one; else its number "
        "counts as exact. No test, no adjustment for how many they are.",
    ]
    if partial:
        words.append(f"Not drawn: {partial:,} means of ours over fewer tasks than the paper's.")
    if not numbers["same_model"].all():
        words.append(layout.SMALLER)
    return " ".join(words)
