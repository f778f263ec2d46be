"""Checks: permuted labels, test sets without leaks, weights between random and pretrained, adapters, pretraining."""

from typing import Any

import pandas as pd
from matplotlib import ticker
from matplotlib.figure import Figure

from foundationless.reporting.figures import layout, style
from foundationless.reporting.figures.inputs import Tables, each, of_plain_tasks
from foundationless.study.vocabulary import is_other_pretraining

LINES: Any = (  # of the variants of one model
    "-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 4)), (0, (3, 1)), (0, (12, 3, 2, 3)),
    (0, (8, 2, 1, 2, 1, 2)),
)  # fmt: skip
CHANCE = {"mcc": 0.0, "auroc": 0.5, "macro_auroc": 0.5} | dict.fromkeys(("pearson", "spearman", "r2"), 0.0)


def controls(tables: Tables) -> Figure:
    """Permuted labels must teach nothing, a test set without its leaks must not be easier; what weights alone carry."""
    title = "Controls"
    scores = tables.scored("finetune", "controls", plain=False)
    derived = scores["derivation"].isin(["permuted", "dedup"]) & scores["epochs"].isna()
    shown = scores[(scores["analysis"] == "controls") & (scores["variant"] == "") | derived]
    if shown.empty:
        return style.missing(title, "No scores of analysis controls, nor of tasks named TASK.permuted or TASK.dedup.")
    tasks = tables.task_names(shown["task"])
    names = tables.order(shown["model"])
    permuted, dedup = (shown[shown["derivation"] == name] for name in ("permuted", "dedup"))
    topics = {
        "permuted labels": len(permuted),
        "deduplicated test sets": len(dedup),
        "weights between random and pretrained": shown["init"].isin(style.CONTROL_ARMS).any(),
    }
    told = ", ".join(topic for topic, drawn in topics.items() if drawn)
    title += f" · {told[:1].upper()}{told[1:]}" if told else ""
    caption = ""
    if len(permuted):
        dashed = " (dashed)" if permuted["metric"].isin(CHANCE).any() else ""
        caption += f"Permuted (task): training labels were shuffled, so scores must lie at chance{dashed}. "
    if len(dedup):
        caption += "Dedup: without the leaks between training and test set; small crosses: on the published split. "
    caption += f"{layout.sizes(shown)} {tables.study}"
    columns = min(len(tasks), 3)
    arms = layout.shown_arms(tables, shown)
    rows = len(names) * max(1.0, len(arms) / 3)  # a row has room for three arms
    height = -(-len(tasks) // columns) * (14 + layout.ROW_MM * rows)
    handles = [style.arm_handles(arms)]
    figure, body = style.page(height, title=title, caption=caption, handles=handles)
    for i, (axes, task) in enumerate(zip(layout.grid(body, len(tasks), columns), tasks, strict=True)):
        part = shown[shown["task"] == task]
        metric = str(part["metric"].iloc[0])
        layout.model_rows(axes, tables, part, names, labels=i % columns == 0)
        derivation = part["derivation"].iloc[0]
        if derivation == "permuted" and metric in CHANCE:
            axes.axvline(CHANCE[metric], color=style.INK, linewidth=0.5, linestyle="--", zorder=1)
        if derivation == "dedup":
            published = scores[(scores["analysis"] == "finetune") & scores["task"].isin(part["base_task"])]
            for row in each(of_plain_tasks(published[published["model"].isin(names)])):
                y = names.index(row.model) + layout.offset(tables.arm(row), ())
                axes.plot(row.value, y, "x", color=style.INK, markersize=2.5, markeredgewidth=0.6, zorder=4)
        axes.set_title(tables.task_label(task))
        axes.set_xlabel(layout.metric_label([metric]))
    return figure


def adapters(tables: Tables) -> Figure:
    """Low-rank adapters against training every weight, both arms (paper Table 8)."""
    title = "Low-rank adapters (left) against full fine-tuning (right)"
    lora = tables.scored("lora")
    if lora.empty:
        return style.missing(title, "No scores of analysis lora.")
    full = tables.own(tables.scored("finetune", "controls"))
    full = full[full["init"].isin(lora["init"]) & full["model"].isin(lora["model"]) & full["task"].isin(lora["task"])]
    full = full.drop_duplicates(["task", "model", "init"])
    tasks = tables.task_names(lora["task"])
    names = tables.order(lora["model"])
    blank = "" if set(lora["task"]) <= set(full["task"]) else "Blank: not trained whole here. "
    caption = f"Filled: pretrained; open: random. {blank}{layout.sizes(lora)} {tables.study}"
    handles = [style.arm_handles(layout.shown_arms(tables, lora))]
    height = len(tasks) * (14 + layout.ROW_MM * len(names))
    figure, body = style.page(height, title=title, caption=caption, handles=handles)
    panels = body.subplots(len(tasks), 2, squeeze=False, sharex="row")
    for line, task in zip(panels, tasks, strict=True):
        for axes, rows, what in zip(line, (lora, full), ("adapters", "every weight"), strict=True):
            part = rows[rows["task"] == task]
            if part.empty:
                axes.set_axis_off()
                continue
            layout.model_rows(axes, tables, part, names, labels=axes is line[0])
            axes.xaxis.set_major_locator(ticker.MaxNLocator(6, prune="upper"))  # the page's edge is near
            axes.set_title(f"{tables.task_label(task)}: {what}")
            axes.set_xlabel(layout.metric_label(lora[lora["task"] == task]["metric"].unique()))
    return figure


def pretraining(tables: Tables) -> Figure:
    """Held-out bits per base (or loss) while the pretrained arms were made."""
    title = "Pretraining · Held-out loss"
    losses = tables.records.dropna(subset=["step", "value"])
    losses = losses[(losses["analysis"] == "pretrain") & losses["metric"].isin(["bits_per_base", "loss"])]
    if "init" in losses:  # controls are no model's own curve
        losses = losses[~losses["init"].fillna("").map(is_other_pretraining)]
    if losses.empty:
        return style.missing(title, "No records of analysis pretrain: no arm of this study was pretrained here.")
    metric = "bits_per_base" if (losses["metric"] == "bits_per_base").any() else "loss"
    losses = losses[losses["metric"] == metric]
    names = tables.order(losses["model"])
    if not names:
        unknown = ", ".join(losses["model"].unique())
        return style.missing(title, f"The models table does not know the pretrained {unknown}.")
    steps = losses[losses["model"].isin(names)].groupby("model")["step"].agg(["max", "nunique"])
    caption = "Sequences held out from pretraining; masked models predict fewer bases per sequence. n = "
    if losses["n"].notna().any():
        caption += f"{layout.span(losses['n'].dropna())} predicted tokens a point, "
    caption += (
        f"{layout.span(steps['nunique'])} points over {layout.span(steps['max'])} steps a model, and no interval. "
    )
    marks = _variant_marks(tables, names)
    handles = [[style.handle(label=_variant_label(tables, name), **mark) for name, mark in marks.items()]]
    chance: Any = {"color": style.INK, "linewidth": 0.5, "linestyle": "--"}
    if metric == "bits_per_base":
        handles[0].append(style.handle(label="2 bits: all bases alike", **chance))
    figure, body = style.page(55, title=title, caption=caption + tables.study, handles=handles)
    axes = body.subplots()
    for name in names:
        curve = losses[losses["model"] == name].sort_values("step")
        axes.plot(curve["step"], curve["value"], markevery=max(1, len(curve) // 8), **marks[name])
    if metric == "bits_per_base":
        axes.axhline(2.0, zorder=1, **chance)
    axes.set_xlabel("Step")
    axes.set_ylabel("Bits per base" if metric == "bits_per_base" else "Loss (nats per token)")
    axes.grid(axis="y")
    return figure


def _variant_marks(tables: Tables, names: list[str]) -> dict[str, Any]:
    """Mark and line of each model: variants in width and tokenizer share colour and marker, and differ by dashes."""
    stems = pd.Series([tables.stems[name] for name in names])
    return {
        name: style.filling(tables.looks[name], "random" if place else "pretrained")
        | {"markersize": 3, "linestyle": LINES[place % len(LINES)]}
        for name, place in zip(names, stems.groupby(stems).cumcount(), strict=True)
    }


def _variant_label(tables: Tables, name: str) -> str:
    card = tables.models.set_index("model").loc[name]
    return str(card["label"]) if pd.isna(card["width"]) else f"{card['label']}, width {card['width']:.0f}"
