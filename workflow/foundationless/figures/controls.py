"""Checks of the machinery: labels that were permuted, test sets without leaks, and the curves of pretraining."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.figures import rows as layout
from foundationless.figures import style
from foundationless.figures.tables import Tables, each

CHANCE = {"mcc": 0.0, "auroc": 0.5}


def controls(tables: Tables) -> Figure:
    """Permuted labels must teach nothing; a test set without its leaks must not be easier."""
    title = "Controls · Permuted labels and deduplicated test sets"
    found = tables.scored("finetune", "controls", plain=False)
    permuted = found[found["task"].str.endswith(".permuted")]
    clean = found[found["task"].str.endswith(".dedup")]
    if permuted.empty and clean.empty:
        return style.missing(title, "No scores of control tasks named TASK.permuted or TASK.dedup.")
    tasks = tables.task_rows([*permuted["task"], *clean["task"]])["task"].tolist()
    names = tables.order([*permuted["model"], *clean["model"]])
    shown = pd.concat([permuted, clean])
    caption = (
        "Permuted: training labels were shuffled, so scores must lie at chance (dashed, where the metric has one). "
        "Dedup: without the leaks between training and test set; small crosses mark the score on the published split. "
        f"{layout.sizes(shown)} {tables.study}"
    )
    columns = min(len(tasks), 3)
    lines = -(-len(tasks) // columns)
    height = lines * (14 + layout.ROW_MM * len(names))
    handles = [style.arm_handles(layout.shown_arms(tables, shown))]
    figure, body = style.page(height, title=title, caption=caption, handles=handles)
    with style.sheet():
        panels = body.subplots(lines, columns, squeeze=False).ravel()
        for axes in panels[len(tasks) :]:
            axes.set_axis_off()
        for i, (axes, task) in enumerate(zip(panels, tasks, strict=False)):
            part = shown[shown["task"] == task]
            metric = str(part["metric"].iloc[0])
            layout.model_rows(axes, tables, part, names, labels=i % columns == 0)
            if task.endswith(".permuted") and metric in CHANCE:
                axes.axvline(CHANCE[metric], color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
            if task.endswith(".dedup"):
                _published(axes, tables, found[found["task"] == task.removesuffix(".dedup")], names)
            axes.set_title(tables.task_label(task))
            axes.set_xlabel(layout.metric_label([metric]))
    return figure


def _published(axes: Axes, tables: Tables, rows: pd.DataFrame, names: list[str]) -> None:
    """Crosses at the scores on the published split."""
    for row in each(rows[rows["model"].isin(names)]):
        arm = "baseline" if row.model in tables.baselines else row.init
        y = names.index(row.model) + {"pretrained": -0.16, "random": 0.16}.get(arm, 0.0)
        axes.plot(row.value, y, "x", color=style.INK, markersize=2.5, markeredgewidth=0.6, zorder=4)


def pretraining(tables: Tables) -> Figure:
    """Held-out bits per base (or loss) while the pretrained arms were made."""
    title = "Pretraining · Held-out loss"
    found = tables.records
    if "step" in found:
        found = found[(found["analysis"] == "pretrain") & found["metric"].isin(["bits_per_base", "loss"])]
        found = found[found["step"].notna() & found["value"].notna()]
    if "step" not in found or found.empty:
        return style.missing(title, "No records of analysis pretrain: no arm of this study was pretrained here.")
    metric = "bits_per_base" if (found["metric"] == "bits_per_base").any() else "loss"
    found = found[found["metric"] == metric]
    names = tables.order(found["model"])
    unknown = [name for name in found["model"].unique() if name not in names]
    if not names:
        return style.missing(title, f"The models table does not know the pretrained {', '.join(unknown)}.")
    caption = f"Sequences held out from pretraining; masked models predict fewer bases per sequence. {tables.study}"
    handles = [style.model_handles(list(dict.fromkeys(tables.looks[name] for name in names)))]
    figure, body = style.page(55, title=title, caption=caption, handles=handles, width_mm=style.TWO_COLUMNS)
    with style.sheet():
        axes = body.subplots()
        for name in names:
            curve = found[found["model"] == name].sort_values("step")
            every = max(1, len(curve) // 8)
            axes.plot(
                curve["step"],
                curve["value"],
                markevery=every,
                **(style.filling(tables.looks[name], "pretrained") | {"linestyle": "-", "markersize": 3}),
            )
        if metric == "bits_per_base":
            axes.axhline(2.0, color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
            axes.annotate(
                "2 bits: all bases alike",
                (1, 2.0),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=6,
            )
        axes.set_xlabel("Step")
        axes.set_ylabel("Bits per base" if metric == "bits_per_base" else "Loss (nats per token)")
        axes.grid(axis="y")
    return figure
