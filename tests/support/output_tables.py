"""Tables of made-up tasks whose labels are numbers or tracks: what figures of several outputs read."""

import numpy as np
import pandas as pd

from foundationless.evaluation.task_summary import summarise
from foundationless.study.vocabulary import TRACKS, VALUES
from support.outputs import draw_labels, make_cell

ARMS = [("hyenadna", "pretrained", 0.8), ("hyenadna", "random", 0.6), ("caduceus", "pretrained", 0.7)]
ARMS += [("caduceus", "random", 0.55), ("kmer_xgboost", "baseline", 0.5)]
MARKS = [*(f"H3K{k}me3" for k in (4, 9, 27, 36)), "H3K27ac", "CTCF in GM12878"]
TASKS = [  # task, kind, outputs, group, metric
    ("deepstarr", VALUES, ["Dev", "Hk"], "enhancer activity", "pearson"),
    ("lentimpra", VALUES, ["log2FC"], "enhancer activity", "spearman"),
    ("marks", TRACKS, MARKS, "chromatin", "macro_auroc"),
    ("deepsea", TRACKS, [f"track {k}" for k in range(240)], "chromatin", "macro_auprc"),
]  # fmt: skip
ITEMS, SEEDS = 600, 3


def cells(name: str, kind: str, names: list[str], metric: str, seed: int = 5) -> tuple[list, list]:
    """Records and predictions of arms as near to what was observed as `ARMS` says; a tenth of the labels is missing."""
    rng = np.random.default_rng(seed)
    observed, latent = draw_labels(kind, ITEMS, len(names), rng)
    if kind == VALUES:
        observed, latent = latent + 0 * observed, latent  # of one scale
    found = []
    for model, init, good in ARMS:
        strength = np.clip(good + rng.normal(0, 0.15, len(names)) * (kind == TRACKS), 0.05, 0.98)
        for number in range(1 if init == "baseline" else SEEDS):
            values = strength**2 * latent + strength * np.sqrt(1 - strength**2) * rng.normal(size=latent.shape)
            values = values if kind == VALUES else 1 / (1 + np.exp(-values))
            found.append(make_cell(kind, metric, observed, values, (model, init), number, good, task=name, names=names))
    records, tables = zip(*found, strict=True)
    return list(records), list(tables)


def output_frames(tasks: int = 4) -> dict[str, pd.DataFrame]:
    """Frames by name: scores, comparisons, tasks, outputs and scatter, as the summary of each task has them."""
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in ("scores", "comparisons", "outputs", "scatter")}
    rows = []
    for name, kind, names, group, metric in TASKS if tasks == len(TASKS) else TASKS[::2]:
        rows.append({"task": name, "suite": "outputs", "suite_label": "Outputs", "group": group, "label": name})
        rows[-1] |= {"metric": metric}
        summary = summarise(*cells(name, kind, names, metric), metric=metric, resamples=60, margin=0.02, seed=0)
        frames["scores"].append(summary.scores)
        frames["comparisons"].append(summary.comparisons)
        for table in ("outputs", "scatter"):
            frames[table].append(summary.diagnostics[table])
    joined = {name: pd.concat([part for part in parts if len(part)]) for name, parts in frames.items()}
    keep = {name: frame[frame["selection"] == "validation"] for name, frame in joined.items()}
    return keep | {"tasks": pd.DataFrame(rows)}
