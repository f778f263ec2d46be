"""Leakage and shortcuts: test rows that an earlier split holds, what rules without a model reach, what copies add."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy import stats

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each

MOST_MM = 148  # height of the rows of tasks
AGAINST_MM = 46  # height of the panels of scores against leakage
FEWEST = 5  # tasks of which a rank correlation is told
ANALYSES = ("finetune", "biotype", "ancestry", "frozen", "transfer")
ARMS = ("pretrained", "random")
DUPLICATE, NEAR, OVERLAP = "#5c4b8a", "#a796cf", "#e4dff1"
FLAG, FAINT = "#b5342c", "#bdbdbd"
FLAGS = ("shortcut", "constructed")
SHORT = {  # what is written beside a task
    "defining site": "site", "shuffled twins": "shuffled", "shuffled twins anywhere": "shuffled",
    "positional twins": "twins", "positional twins anywhere": "twins", "without bases": "no bases",
    "constant segments": "segments",
}  # fmt: skip


def leakage(tables: Tables) -> Figure:
    """Test rows with a (near) duplicate or an overlap in train or validation, what rules without a model reach, and
    scores without such rows."""
    title = "Leakage · Test rows known from training"
    audits = tables.extra("audits")
    audits = audits[(audits["split"] == "test") & (audits["against"] == "earlier") & (audits["rows"] > 0)]
    audits = _with_known(audits)
    tasks = layout.ordered_tasks(tables, audits["task"])
    if tasks.empty:
        return style.missing(title, "No audits of tasks: collect_tables was given no summaries of audit_task.")
    differences = _differences(tables, tasks["task"].tolist())
    names = tables.order(differences["model"])
    against, left = _against(tables, audits, tasks["task"].tolist())
    checks = _checks(tables, tasks["task"].tolist())
    drawn = ["what they add to scores"] * (len(differences) > 0) + ["how scores go with them"] * (len(against) > 0)
    title = title.replace("Leakage", "Leakage and shortcuts") if len(checks) else title
    title += "".join(f", {part}" for part in drawn[:-1]) + (" and " + drawn[-1] if drawn else "")
    caption = _caption(audits, checks, differences, against) + left + tables.study
    bars = [Patch(color=DUPLICATE, label="the same sequence, or its reverse complement"),
            Patch(color=NEAR, label="near duplicate"), Patch(color=OVERLAP, label="overlap")]  # fmt: skip
    arms = style.arm_handles(layout.shown_arms(tables, differences))
    models = style.model_handles(tables.looks[name] for name in names if name not in tables.baselines)
    lines = len(tasks) + tasks["group"].nunique()
    height = 14 + lines * min(layout.ROW_MM, MOST_MM / lines)
    heights_mm = [height, AGAINST_MM * (len(against) > 0)]
    handles = [[*bars, *_rule_handles(checks)], [*models, *arms]]
    figure, body = style.page(sum(heights_mm), title=title, caption=caption, handles=handles)
    upper, lower = layout.stack(body, heights_mm)
    if lower:
        _scatter(lower.subplots(1, 2), tables, against)
    ratios = [1.0 - 0.25 * (len(checks) > 0), *[1.5] * (len(checks) > 0), *[1.1] * (len(differences) > 0)]
    panels = upper.subplots(1, len(ratios), sharey=True, squeeze=False, width_ratios=ratios)[0]
    heights = layout.headed_rows(panels[0], tables, tasks, 6 if lines < 50 else 5.2)
    _shares(panels[0], audits[audits["task"].isin(heights)], heights)
    for axes in panels:
        axes.grid(visible=True, axis="x")
    if len(checks):
        _rules(panels[1], checks, heights)
    if len(differences):
        _added(panels[-1], tables, differences, names, heights)
    return figure


def _with_known(audits: pd.DataFrame) -> pd.DataFrame:
    """The same with `known_share`; audits of before knew near duplicates only."""
    near = audits["near_share"] if "near_share" in audits else pd.Series(np.nan, audits.index)
    return audits.assign(known_share=audits["known_share"].fillna(near) if "known_share" in audits else near)


def _caption(audits: pd.DataFrame, checks: pd.DataFrame, differences: pd.DataFrame, against: pd.DataFrame) -> str:
    words = (
        "A near duplicate: at least 80 % of a test row's bases match a row of train or validation, on either strand. "
        "An overlap: half of the row lies on a window there, 97 % alike. "
        f"n = {layout.span(audits['rows'])} test rows a task. "
    )
    if len(checks):
        words += (
            "Rules learn from train and validation and are scored on test: each small mark is one, the large mark the "
            f"best, with its name and value, and the stroke its threshold ({_thresholds(checks)}). Red: the whole 95 % "
            "interval lies at or above the threshold. To the right of the rules, in red: the share of test rows that "
            "tell how the set was made, namely twins of another label in any split, rows of other classes without the "
            "site that one class has, and rows of which less than half is A, C, G or T. "
        )
    if len(differences):
        words += (
            f"{'Top right' if len(against) else 'Right'}: the score on all test rows minus that on the rows without "
            "either, for the same predictions; above 0, leaks made the test easier. Lines are 95 % bootstrap "
            "intervals. No mark: nothing to leave out, or nothing left. "
        )
    if len(against):
        words += (
            f"Below: each of n = {against['task'].nunique()} tasks at the share of such rows; scores are means "
            "over models (interval: the models' range), differences paired, pretrained minus random. ρ: Spearman's "
            "rank correlation over tasks of the means over models, with its two-sided p (t approximation). "
        )
    return words


def _checks(tables: Tables, tasks: list[str]) -> pd.DataFrame:
    """Checks of these tasks that could be made, with the mark of being flagged."""
    found = tables.extra("shortcuts")
    found = found[found["task"].isin(tasks) & found["value"].notna()]
    return found.assign(flagged=found["word"].isin(FLAGS))


def _thresholds(checks: pd.DataFrame) -> str:
    """`length, N, case 0.1; k-mers 0.5`: rules by their thresholds, the lowest first."""
    rules = checks[checks["metric"] == "mcc"].drop_duplicates("check")
    groups = rules.groupby("threshold", sort=True)["check"]
    return "; ".join(f"{', '.join(names)} {threshold:g}" for threshold, names in groups)


def _rule_handles(checks: pd.DataFrame) -> list[Any]:
    if checks.empty:
        return []
    best: dict[str, Any] = {"linestyle": "none", "marker": "D", "markersize": 4.0}
    return [
        style.handle(label="best rule without a model", color=style.GREY, **best),
        style.handle(label="flagged", color=FLAG, **best),
        style.handle(label="another rule", color=FAINT, linestyle="none", marker="o", markersize=3.0),
        style.handle(label="threshold of the best", color=style.INK, linestyle="none", marker="|", markersize=6.0),
    ]


def _rules(axes: Axes, checks: pd.DataFrame, heights: Mapping[str, float]) -> None:
    """What every rule reaches, the best of them by name, and what tells of made negatives, in each task's row."""
    axes.axvline(0, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
    for task, part in checks.groupby("task", sort=False):
        y, rules = heights[str(task)], part[part["metric"] == "mcc"]
        counted = part[(part["metric"] != "mcc") & part["flagged"]]
        counted = counted.assign(short=counted["check"].map(SHORT).fillna(counted["check"]))
        flags = counted.groupby("short", sort=False)["value"].max()
        if rules.empty:
            continue
        rules = rules.sort_values("value", kind="stable")
        best = rules.iloc[-1]
        for row in each(rules.iloc[:-1]):
            color = FLAG if row.flagged else FAINT
            axes.plot(row.value, y, "o", color=color, markersize=1.6, markeredgewidth=0, zorder=2)
        color = FLAG if best["flagged"] else style.GREY
        style.interval(axes, y, best["low"], best["high"], color)
        axes.vlines(best["threshold"], y - 0.35, y + 0.35, color=style.INK, linewidth=0.7, zorder=3)
        axes.plot(best["value"], y, "D", color=color, markersize=2.4, markeredgewidth=0, zorder=4)
        text: dict[str, Any] = {"va": "center", "fontsize": 5.2}
        name = SHORT.get(best["check"], best["check"])
        axes.text(1.06, y, f"{name} {best['value']:.2f}".replace("-0", "−0"), color=color, **text)
        shown = flags.sort_values(ascending=False, kind="stable")
        said = ", ".join(f"{name} {100 * value:.0f} %" for name, value in shown.iloc[:2].items())
        axes.text(1.98, y, said, color=FLAG, **text)
    axes.set_xlim(-0.15, 2.75)
    axes.set_xticks([0, 0.5, 1])
    axes.spines["bottom"].set_bounds(-0.15, 1)
    axes.set_xlabel("Rules without a model\n(MCC on test)", loc="left")
    axes.tick_params(axis="y", length=0)


def _shares(axes: Axes, audits: pd.DataFrame, heights: Mapping[str, float]) -> None:
    """Bars of the shares of test rows that are known: by an overlap, nearly, and to the letter."""
    for row in each(audits):
        y, known = heights[row.task], 100 * row.known_share
        for share, color in ((row.known_share, OVERLAP), (row.near_share, NEAR), (row.duplicate_share, DUPLICATE)):
            axes.barh(y, 100 * share, height=0.7, color=color, linewidth=0)
        axes.text(known + 1, y, f"{known:.1f} %" if known else "0", va="center", fontsize=5.2, color=style.INK)
    axes.set_xlim(0, 112)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("Share of test rows (%)")


def _added(
    axes: Axes, tables: Tables, differences: pd.DataFrame, names: Sequence[str], heights: Mapping[str, float]
) -> None:
    """What known rows add to the score of every arm, models side by side within a task's row."""
    axes.axvline(0, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
    keys = [(name, arm) for name in names if name not in tables.baselines for arm in ARMS]
    places = dict(zip(keys, np.linspace(-0.38, 0.26, max(2, len(keys))), strict=False))
    for row in each(differences):
        y = heights[row.task] + places.get((row.model, row.init), 0.4)
        mark = style.filling(tables.looks[row.model], tables.arm(row))
        style.interval(axes, y, row.low, row.high, mark["color"])
        axes.plot(row.delta, y, zorder=3, **(mark | {"markersize": 2.6, "markeredgewidth": 0.6}))
    axes.set_xlabel(f"Score on all − on distant test rows\n({layout.metric_names(differences['metric'])})")
    axes.tick_params(axis="y", length=0)


def _against(tables: Tables, audits: pd.DataFrame, tasks: list[str]) -> tuple[pd.DataFrame, str]:
    """Score of both arms and their paired difference, fine-tuned, with the share of known test rows of each task.

    Without a row where all tasks have the same share. And what is said of tasks with metrics of another kind.
    """
    scores = tables.own(tables.scored("finetune"))
    scores = scores[scores["task"].isin(tasks) & scores["init"].isin(ARMS) & scores["model"].isin(tables.looks)]
    scores, left = layout.alike(scores)
    wide = scores.pivot_table(index=["task", "model"], columns="init", values="value").reindex(columns=list(ARMS))
    pairs = tables.comparisons[(tables.comparisons["analysis"] == "finetune")]
    pairs = pairs[(pairs["versus"] == "random") & (pairs["init"] == "pretrained")]
    wide["delta"] = pairs.drop_duplicates(["task", "model"]).set_index(["task", "model"])["delta"]
    found = wide.reset_index()
    share = 100 * audits.drop_duplicates("task").set_index("task")["known_share"]
    found = found.assign(share=found["task"].map(share)).dropna(subset=["share"])
    return (found, left) if found["share"].nunique() > 1 else (found.iloc[:0], "")  # one share is no axis


def _scatter(panels: Sequence[Axes], tables: Tables, scores: pd.DataFrame) -> None:
    """Scores (left) and paired differences (right) against the share of leaked test rows."""
    left, right = panels
    words = []
    for init in ARMS:
        part = scores.dropna(subset=[init]).groupby(["task", "share"])[init].agg(["mean", "min", "max"]).reset_index()
        shift = (-0.008 if init == "pretrained" else 0.008) * float(np.ptp(scores["share"]))
        style.interval(left, part["share"] + shift, part["min"], part["max"], style.GREY, vertical=True)
        face = style.INK if init == "pretrained" else "white"
        left.plot(part["share"] + shift, part["mean"], "o", color=style.INK, markerfacecolor=face, markersize=2.6,
                  markeredgewidth=0.6, zorder=3)  # fmt: skip
        words.append(init + _correlation(part["share"], part["mean"]))
    right.axhline(0, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
    known = scores.dropna(subset=["delta"])
    for name in tables.order(known["model"]):
        mine = known[known["model"] == name]
        mark = style.filling(tables.looks[name], "pretrained") | {"linestyle": "none", "markersize": 2.4}
        right.plot(mine["share"], mine["delta"], zorder=3, alpha=0.8, **mark)
    means = known.groupby("task")[["share", "delta"]].mean()
    left.set_title(f"Scores: {'; '.join(words)}", fontsize=6)
    right.set_title(f"Paired differences{_correlation(means['share'], means['delta'])}", fontsize=6)
    left.set_ylabel("Score, mean over models")
    right.set_ylabel("Pretrained − random")
    for axes in (left, right):
        axes.set_xlabel("Test rows known from training (%)")
        axes.grid()


def _correlation(shares: pd.Series, values: pd.Series) -> str:
    """Spearman's ρ and p in words; nothing for a handful of tasks, or where nothing varies."""
    if len(shares) < FEWEST or shares.nunique() < 2 or values.nunique() < 2:
        return ""
    found = stats.spearmanr(shares, values)
    return f", ρ = {found.statistic:.2f} (p = {found.pvalue:.2g})".replace("-", "−")


def _differences(tables: Tables, tasks: list[str]) -> pd.DataFrame:
    """Differences under the study's selection, one per task, model and arm; models at their own width only."""
    found = tables.extra("leakage")
    if tables.scores["selection"].notna().any():
        found = found[found["selection"].isin(tables.scores["selection"])]
    found = found[found["task"].isin(tasks) & found["analysis"].isin(ANALYSES) & found["delta"].notna()]
    found = found[found["model"].isin(tables.looks) & (found["n_distant"] < found["n_all"])]
    return found.drop_duplicates(["task", "model", "init"])
