"""Checks: permuted labels, test sets without leaks, weights between random and pretrained, adapters, pretraining."""

import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foundationless.figures import rows as layout
from foundationless.figures import style
from foundationless.figures.tables import Tables, each

CHANCE = {"mcc": 0.0, "auroc": 0.5}


def controls(tables: Tables) -> Figure:
    """Permuted labels must teach nothing, a test set without its leaks must not be easier; what weights alone carry."""
    title = "Controls · Permuted labels, deduplicated test sets, permuted weights"
    found = tables.scored("finetune", "controls", plain=False)
    plain = ~found["task"].str.contains(".", regex=False)
    shown = found[(found["analysis"] == "controls") & plain | found["task"].str.contains(r"\.(?:permuted|dedup)$")]
    if shown.empty:
        return style.missing(title, "No scores of analysis controls, nor of tasks named TASK.permuted or TASK.dedup.")
    tasks = tables.task_rows(shown["task"])["task"].tolist()
    names = tables.order(shown["model"])
    caption = (
        "Permuted (task): training labels were shuffled, so scores must lie at chance (dashed, where the metric has "
        "one). Dedup: without the leaks between training and test set; small crosses mark the score on the published "
        f"split. {layout.sizes(shown)} {tables.study}"
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
                published = (found["task"] == task.removesuffix(".dedup")) & (found["analysis"] == "finetune")
                _published(axes, tables, found[published], names)
            axes.set_title(tables.task_label(task))
            axes.set_xlabel(layout.metric_label([metric]))
    return figure


def _published(axes: Axes, tables: Tables, rows: pd.DataFrame, names: list[str]) -> None:
    """Crosses at the scores on the published split."""
    for row in each(rows[rows["model"].isin(names)]):
        arm = "baseline" if row.model in tables.baselines else row.init
        y = names.index(row.model) + layout.offset(arm, ())
        axes.plot(row.value, y, "x", color=style.INK, markersize=2.5, markeredgewidth=0.6, zorder=4)


def adapters(tables: Tables) -> Figure:
    """Low-rank adapters against training every weight, both arms (paper Table 8)."""
    title = "Low-rank adapters (left) against full fine-tuning (right)"
    lora = tables.scored("lora")
    if lora.empty:
        return style.missing(title, "No scores of analysis lora.")
    full = tables.own(tables.scored("finetune", "controls"))
    full = full[full["init"].isin(lora["init"]) & full["model"].isin(lora["model"]) & full["task"].isin(lora["task"])]
    full = full.drop_duplicates(["task", "model", "init"])
    tasks = tables.task_rows(lora["task"])["task"].tolist()
    names = tables.order(lora["model"])
    caption = f"Filled: pretrained; open: random. {layout.sizes(lora)} {tables.study}"
    handles = [style.arm_handles(layout.shown_arms(tables, lora))]
    height = len(tasks) * (14 + layout.ROW_MM * len(names))
    figure, body = style.page(height, title=title, caption=caption, handles=handles)
    with style.sheet():
        panels = body.subplots(len(tasks), 2, squeeze=False, sharex="row")
        for line, task in zip(panels, tasks, strict=True):
            for axes, rows, what in zip(line, (lora, full), ("adapters", "every weight"), strict=True):
                part = rows[rows["task"] == task]
                layout.model_rows(axes, tables, part, names, labels=axes is line[0])
                axes.xaxis.set_major_locator(ticker.MaxNLocator(6, prune="upper"))  # the page's edge is near
                axes.set_title(f"{tables.task_label(task)}: {what}")
                axes.set_xlabel(layout.metric_label(lora[lora["task"] == task]["metric"].unique()))
    return figure


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
