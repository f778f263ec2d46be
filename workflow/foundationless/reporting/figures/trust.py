"""How far numbers may be trusted: calibration before and after it is mended, and what is lost by transfer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from foundationless.evaluation.calibration.scaling import LEVEL
from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks, of_validation

FEWEST = 5  # predictions of a bin that is drawn
PANELS = (
    ("none", "ece", "ECE as it is"),
    ("temperature", "ece", "ECE after scaling"),
    ("none", "coverage", "Coverage of sets"),
    ("none", "set_size", "Classes in a set"),
)
FAR = "{}, far"  # rows of an analysis whose tasks ask about another set than they learn


def calibration(tables: Tables) -> Figure:
    """Reliability of both arms before and after temperature scaling; errors and conformal sets of every analysis."""
    title = "Calibration: how often a prediction of a confidence is right, and what sets of classes hold"
    bins = tables.extra("calibration")
    bins = tables.own(of_plain_tasks(bins[bins["analysis"] == tables.main]))
    rows = _mended(tables)
    if bins.empty and rows.empty:
        return style.missing(title, "No arm has class probabilities (calibration.csv, recalibration.csv).")
    names = tables.order(bins["model"])
    columns = min(len(names), 4) or 1
    heights = [46.0 * -(-len(names) // columns), _sets_height(rows)]
    handles = [style.arm_handles(layout.shown_arms(tables, bins, rows), lines=True)]
    after = style.handle(color=style.GREY, linewidth=2.4, alpha=0.45, label="after temperature scaling")
    handles = [[*handles[0], after]] if (bins["method"] == "temperature").any() else handles
    handles += [style.model_handles(tables.looks[name] for name in tables.order(tables.own(rows)["model"]))]
    figure, body = style.page(sum(heights), title=title, caption=_caption(tables, bins, rows), handles=handles)
    upper, lower = layout.stack(body, heights)
    if upper is not None:
        _reliability(upper, tables, bins, names, columns)
    if lower is not None:
        _sets(lower, tables, rows)
    return figure


def _mended(tables: Tables) -> pd.DataFrame:
    """Mean over tasks of every analysis, model, arm and method; tasks of transfer are rows of their own."""
    rows = tables.extra("recalibration")
    rows = of_plain_tasks(of_validation(rows))
    rows = rows[rows["model"].isin(tables.looks) & rows["ece"].notna()]
    if rows.empty:
        return rows
    far = set(tables.extra("transfer_gaps")["task"])
    place = rows["analysis"].where(~rows["task"].isin(far), rows["analysis"].map(FAR.format))
    numbers = ["ece", "coverage", "set_size", "expected_low", "expected_high"]
    keys = ["place", "model", "init", "method"]
    found = rows.assign(place=place)[[*keys, *numbers, "task"]]
    found[numbers] = found[numbers].astype(float)
    means = found.groupby(keys, sort=False)[numbers].mean()
    return means.join(found.groupby(keys, sort=False)["task"].nunique().rename("tasks")).reset_index()


def _caption(tables: Tables, bins: pd.DataFrame, rows: pd.DataFrame) -> str:
    words = ""
    if len(bins):
        counts = bins[bins["method"] == "none"].groupby(["model", "init"])["count"].sum()
        words = (
            "Above: probability of the predicted class, in fifteen equal bins, those with fewer than five predictions "
            f"left out; n = {layout.span(counts)} predictions an arm, of {bins['task'].nunique()} task(s) of "
            f"{tables.main}, all seeds and folds pooled; no interval. Dotted: perfect calibration. Thick pale lines: "
            "after temperature scaling, fitted on validation rows. "
        )
    if len(rows):
        words += (
            f"Below: means over n = {layout.span(rows['tasks'])} task(s) of an analysis; no interval "
            "(recalibration.csv has those of tasks). ECE: expected calibration error. Sets: split-conformal, least "
            f"ambiguous, to hold the class of {100 * LEVEL:.0f} % of items; grey: where coverage of a task lies in "
            "95 % of draws, on average, if its test rows are exchangeable with the validation rows. Rows named far "
            "learn one set and ask about another. "
        )
    return words + tables.study


def _reliability(body: SubFigure, tables: Tables, bins: pd.DataFrame, names: list[str], columns: int) -> None:
    """A panel per model: marks as it is, pale lines after scaling."""
    scores = tables.scored(tables.main)
    panels = layout.grid(body, len(names), columns, sharex=True, sharey=True)
    for place, (axes, model) in enumerate(zip(panels, names, strict=True)):
        look = tables.looks[model]
        axes.plot([0, 1], [0, 1], color=style.GREY, linestyle=":", linewidth=0.7, zorder=1)
        words = []
        for init in [arm for arm in style.ARMS if (bins["init"] == arm).any()]:
            own = bins[(bins["model"] == model) & (bins["init"] == init)]
            before, after = (_pooled(own[own["method"] == method]) for method in ("none", "temperature"))
            line = style.ARM_LINES.get(init, "none")
            if len(before):
                mark = style.filling(look, init) | {"linestyle": line, "markersize": 2.8}
                axes.plot(before["confidence"], before["accuracy"], zorder=3, **mark)
            if len(after) and line != "none":
                drawn = axes.plot(
                    after["confidence"], after["accuracy"], line, color=look.color, linewidth=2.4, zorder=2
                )
                drawn[0].set_alpha(0.45)
            arm = scores[(scores["model"] == model) & (scores["init"] == init)]
            if arm["ece"].notna().any():
                words.append(f"ECE {init} {arm['ece'].mean():.3f}")
        axes.annotate("\n".join(words), (0.03, 0.97), xycoords="axes fraction", fontsize=5.5, va="top")
        axes.set_title(look.label, color=look.color, fontweight="bold", fontsize=6.5)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.grid(True)
        if place >= len(names) - columns:
            axes.set_xlabel("Confidence")
            axes.tick_params(labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel("Share that is right")


def _pooled(bins: pd.DataFrame) -> pd.DataFrame:
    """Bins of several tasks as one: confidence and accuracy weighted by their predictions."""
    parts = bins.assign(**{name: bins[name] * bins["count"] for name in ("confidence", "accuracy")})
    sums = parts.groupby("bin")[["count", "confidence", "accuracy"]].sum().sort_index()
    sums = sums[sums["count"] >= FEWEST]
    return sums.assign(confidence=sums["confidence"] / sums["count"], accuracy=sums["accuracy"] / sums["count"])


def _sets_height(rows: pd.DataFrame) -> float:
    return 16 + 8.0 * rows["place"].nunique() if len(rows) else 0.0


def _sets(body: SubFigure, tables: Tables, rows: pd.DataFrame) -> None:
    """Errors, coverage and sizes: a row per analysis, arms above each other, models by their marks."""
    places = list(dict.fromkeys(rows["place"]))
    panels = list(np.atleast_1d(body.subplots(1, len(PANELS), sharey=True)))
    arms = {tables.arm(row) for row in each(rows)}
    for axes, (method, column, label) in zip(panels, PANELS, strict=True):
        shown = rows[(rows["method"] == method) & rows[column].notna()]
        for row in each(shown):
            mark = style.filling(tables.looks[row.model], tables.arm(row)) | {"linestyle": "none", "markersize": 3.2}
            y = places.index(row.place) + layout.offset(tables.arm(row), arms)
            axes.plot(getattr(row, column), y, zorder=3, **mark)
        if column == "coverage":
            axes.axvline(LEVEL, color=style.INK, linewidth=0.5, zorder=1)
            for place, part in shown.groupby("place"):
                low, high = part["expected_low"].mean(), part["expected_high"].mean()
                y = places.index(str(place))
                axes.fill_betweenx([y - 0.45, y + 0.45], low, high, color=style.BAND, linewidth=0, zorder=0)
        axes.set_xlabel(label)
        axes.grid(axis="x")
        axes.margins(x=0.12)
    _share_x(panels[:2])
    layout.named_rows(panels[0], [(place, "normal") for place in places], size=6.5)
    panels[0].set_ylim(len(places) - 0.5, -0.5)


def _share_x(panels: list[Axes]) -> None:
    high = max(axes.get_xlim()[1] for axes in panels)
    for axes in panels:
        axes.set_xlim(-0.04 * high, high)


def transfer(tables: Tables) -> Figure:
    """The gap of every task of transfer to the test rows of its source, and what rows of the target change."""
    title = "Transfer: what is lost where a set is learned and another one is asked about"
    rows = tables.extra("transfer_gaps")
    rows = of_validation(rows[rows["gap"].notna() & rows["model"].isin(tables.looks)])
    if rows.empty:
        text = "No task of transfer has its source among the tasks of its analysis (transfer_gaps.csv)."
        return style.missing(title, text)
    gaps = rows.drop_duplicates(["analysis", "task", "model", "init"])
    names = tables.order(tables.own(gaps)["model"]) or tables.order(gaps["model"])
    tasks = layout.ordered_tasks(tables, gaps["task"])
    curves = _amounts(gaps)
    pairs = list(dict.fromkeys(zip(curves["source"], curves["target"], strict=True)))[:3]
    heights = [layout.grid_height(tasks), 42.0 if pairs else 0.0]
    judged = rows[(rows["versus"] == "random") & (rows["init"] == "pretrained")]
    words = ", ".join(f"{count} {word}" for word, count in judged["verdict"].value_counts().items())
    caption = (
        "Above: score on the test rows of the set that was learned minus score on those of the other set, with 95 % "
        f"intervals over items of both and seeds, which are paired; n = {layout.span(gaps['n_in_domain'])} and "
        f"{layout.span(gaps['n_test'])} items, {layout.span(gaps['seeds'])} seed(s); metric of the task. Grey: "
        f"baselines. Gap of the random arm minus that of the pretrained one (bootstrap test): {words}. "
    )
    if pairs:
        caption += (
            "Below: score on the other set by how many of its training rows join those that are learned; thin lines: "
            "score on the test rows of the set that is learned; no interval. "
        )
    handles = [style.arm_handles(layout.shown_arms(tables, gaps), lines=bool(pairs))]
    figure, body = style.page(sum(heights), title=title, caption=caption + tables.study, handles=handles)
    upper, lower = layout.stack(body, heights)
    _gaps(upper, tables, gaps, tasks, names)
    if lower is not None:
        _curves(lower, tables, curves, pairs)
    return figure


def _gaps(body: SubFigure, tables: Tables, gaps: pd.DataFrame, tasks: pd.DataFrame, names: list[str]) -> None:
    panels, heights = layout.task_grid(body, tables, tasks, names)
    arms = {tables.arm(row) for row in each(gaps)}
    for axes, model in zip(panels, names, strict=True):
        axes.axvline(0, color=style.INK, linewidth=0.5, zorder=1)
        for row in each(pd.concat([gaps[gaps["model"] == model], tables.others(gaps[gaps["model"] != model])])):
            mark = style.filling(tables.looks[row.model], tables.arm(row)) | {"linestyle": "none", "markersize": 3.2}
            y = heights[row.task] + layout.offset(tables.arm(row), arms)
            style.interval(axes, y, row.gap_low, row.gap_high, mark["color"])
            axes.plot(row.gap, y, zorder=3, **mark)
        axes.margins(x=0.08)
    body.supxlabel("Score at home minus score far (metric of the task)", fontsize=7)


def _amounts(gaps: pd.DataFrame) -> pd.DataFrame:
    """Rows without weights of pairs of sets with more than one number of target rows."""
    plain = gaps[gaps["weighting"].fillna("") == ""]
    several = plain.groupby(["source", "target"])["target_rows"].transform("nunique") > 1
    return plain[several]


def _curves(body: SubFigure, tables: Tables, rows: pd.DataFrame, pairs: list[tuple[str, str]]) -> None:
    panels = layout.grid(body, len(pairs), max(2, len(pairs)))
    for axes, (source, target) in zip(panels, pairs, strict=True):
        own = rows[(rows["source"] == source) & (rows["target"] == target)]
        amounts = sorted(own["target_rows"].astype(int).unique())
        for (model, init), part in own.sort_values("target_rows").groupby(["model", "init"], sort=False):
            look, arm = tables.looks[str(model)], "baseline" if model in tables.baselines else str(init)
            mark = style.filling(look, arm)
            line = style.ARM_LINES.get(arm, "-")
            x = [amounts.index(int(rows_of)) for rows_of in part["target_rows"]]
            axes.plot(x, part["far"], zorder=3, **mark | {"linestyle": line, "markersize": 3.4, "linewidth": 1.0})
            ends = (-0.35, len(amounts) - 0.65)
            axes.hlines(part["in_domain"].mean(), *ends, color=mark["color"], linewidth=0.4, linestyle=line)
        axes.set_xticks(range(len(amounts)), [f"{amount:,}" for amount in amounts])
        axes.set_xlim(-0.4, len(amounts) - 0.6)
        axes.set_title(f"{tables.task_label(source)} to {tables.task_label(target)}", fontsize=6.5)
        axes.set_xlabel("Rows of the target that are learned")
        axes.set_ylabel(layout.metric_label(own["metric"]))
        axes.grid(True)
