"""Tables of made-up tasks whose labels are numbers or tracks: what figures of several outputs read."""

import numpy as np
import pandas as pd

from foundationless.evaluation.bootstrap import Run
from foundationless.evaluation.outputs.metrics import evaluate_each, evaluate_outputs
from foundationless.evaluation.outputs.scatter import SCATTER, scatter
from foundationless.evaluation.task_results import CellResult, TaskResults
from foundationless.study.vocabulary import MARGINS, TRACKS, VALUES

ARMS = [("hyenadna", "pretrained", 0.8), ("hyenadna", "random", 0.6), ("caduceus", "pretrained", 0.7)]
ARMS += [("caduceus", "random", 0.55), ("kmer_xgboost", "baseline", 0.5)]
TASKS = [  # task, kind, outputs, group, metric
    ("deepstarr", VALUES, ["Dev", "Hk"], "enhancer activity", "pearson"),
    ("lentimpra", VALUES, ["log2FC"], "enhancer activity", "spearman"),
    ("marks", TRACKS, [f"H3K{k}me3" for k in (4, 9, 27, 36)] + ["H3K27ac", "CTCF in GM12878"], "chromatin", "macro_auroc"),
    ("deepsea", TRACKS, [f"track {k}" for k in range(240)], "chromatin", "macro_auprc"),
]  # fmt: skip
ITEMS, SEEDS = 600, 2


def results(name: str, kind: str, outputs: list[str], seed: int = 5) -> TaskResults:
    """Arms whose predictions are as near to what was observed as `ARMS` says; a tenth of the labels is not known."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(ITEMS, len(outputs)))
    observed = truth if kind == VALUES else (truth > rng.uniform(0.2, 1.5, len(outputs))).astype(float)
    observed = np.where(rng.random(truth.shape) < 0.1, np.nan, observed)
    cells, ids = [], np.array([f"i{place}" for place in range(ITEMS)])
    for model, init, good in ARMS:
        for number in range(SEEDS if init != "baseline" else 1):
            strength = np.clip(good + rng.normal(0, 0.15, len(outputs)) * (kind == TRACKS), 0.05, 0.98)
            values = strength**2 * truth + strength * np.sqrt(1 - strength**2) * rng.normal(size=truth.shape)
            record = {"analysis": "finetune", "task": name, "model": model, "init": init, "seed": number}
            record |= {"settings": {"labels": kind, "outputs": outputs}}
            run = Run(number, 0, ids, ids, ids=ids, observed=observed, values=values)
            cells.append(CellResult(record, {"0": run}, {"validation": ["0"], "test": [], "last_layer": []}))
    return TaskResults(cells, [], 200, 0)


def output_frames(tasks: int = 4) -> dict[str, pd.DataFrame]:
    """Frames by name: scores, comparisons, tasks, outputs and scatter."""
    scores, pairs, outputs, grids, rows = [], [], [], [], []
    for name, kind, names, group, metric in TASKS[:tasks] if tasks == len(TASKS) else TASKS[::2]:
        found = results(name, kind, names)
        grids += scatter(found)
        every = {arm: _means(found, arm, kind) for arm in found.order}
        rows.append({"task": name, "suite": "outputs", "suite_label": "Outputs", "group": group, "label": name})
        rows[-1] |= {"metric": metric}
        sizes = {"selection": "validation", "n_test": ITEMS, "groups": ITEMS, "seeds": SEEDS, "folds": 1}
        for arm, (whole, each) in every.items():
            shared = found.identity(arm) | sizes
            ends = {"value": whole[metric], "low": whole[metric] - 0.03, "high": whole[metric] + 0.03}
            scores.append(shared | {"metric": metric} | ends | whole)
            outputs += _rows(shared, names, each, found, "")
            for versus, other in (("random", (arm[0], "random")), ("baseline", ("kmer_xgboost", "baseline"))):
                if arm[1] != "pretrained":
                    continue
                delta = whole[metric] - every[other][0][metric]
                pairs.append(shared | {"versus": versus, "metric": metric, "delta": delta, "low": delta - 0.04})
                pairs[-1] |= {"high": delta + 0.04, "margin": MARGINS[metric], "reference": other[0]}
                changes = {metric: each[metric] - every[other][1][metric]}
                outputs += _rows(shared, names, changes, found, versus)
    return {
        "scores": pd.DataFrame(scores), "comparisons": pd.DataFrame(pairs), "tasks": pd.DataFrame(rows),
        "outputs": pd.DataFrame(outputs), "scatter": pd.DataFrame(grids, columns=SCATTER),
    }  # fmt: skip


def _means(found: TaskResults, arm: tuple[str, str], kind: str) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Metrics of an arm, and those of each output, mean over seeds."""
    runs = found.runs(arm, "validation")
    whole = pd.DataFrame([evaluate_outputs(kind, run.observed, run.values) for run in runs]).mean().to_dict()
    each = [evaluate_each(kind, run.observed, run.values) for run in runs]
    return whole, {metric: np.mean([one[metric] for one in each], axis=0) for metric in each[0]}


def _rows(shared: dict, names: list[str], values: dict, found: TaskResults, versus: str) -> list[dict]:
    observed = found.cells[0].runs["0"].observed
    known = np.isfinite(observed).sum(axis=0)
    positives = np.nansum(observed, axis=0) if found.cells[0].record["settings"]["labels"] == TRACKS else known * np.nan
    return [
        shared | {"output": output, "versus": versus or None, "metric": metric, "value": value, "low": value - 0.05}
        | {"high": value + 0.05, "n": known[place], "positives": positives[place]}
        for metric, each in values.items()
        for place, (output, value) in enumerate(zip(names, each, strict=True))
    ]  # fmt: skip
