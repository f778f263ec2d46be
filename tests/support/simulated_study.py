"""Records and predictions of a study that nobody ran, with true differences that are known.

Every classification and likelihood job of a study gets the files that its rule would write (`record.json`,
`predictions.parquet`), and every audited task its audit; what has no predictions to compare (sensitivity, maps, …) is
left out. A run is right about an item where a normal score, which all runs of a task share in part, lies below the
quantile of its accuracy: so accuracies are exact in expectation and errors of two arms go together. With balanced
classes and even errors the expected MCC is (k · accuracy − 1) / (k − 1) for k classes, in which `deltas` are planted.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.evaluation.records import Result, write_record
from foundationless.runtime.files import write_json
from foundationless.runtime.processes import map_forked
from foundationless.study.plan import Cell, Plan
from foundationless.study.vocabulary import CLASSIFICATIONS

CLASSES = {"nt_enhancers_types": 3, "nt_splice_sites_all": 3, "gue_splice_reconstructed": 3, "gue_virus_covid": 9}
OF_ANALYSIS = {"biotype": 9, "width": 9, "ancestry": 5, "clustering": 9}  # classes; two elsewhere
NAMES = [f"class{letter}" for letter in "ABCDEFGHI"]
SHARED = 0.5  # correlation of the scores that decide what two runs get right
RATES = (1e-5, 3e-5, 1e-4)
_NORMAL = NormalDist()


def write_records(
    study: Plan,
    directory: Path,
    *,
    items: int = 3000,
    folds: Sequence[int] = (0, 1, 2),
    deltas: Mapping[str, float] | None = None,
    noise: float = 0.01,
    near: float = 0.02,
    seed: int = 0,
    processes: int = 1,
) -> int:
    """Write `directory`/results of a study; returns the number of jobs.

    `items`: test items of a task; `folds`: of each job, two learning rates of each are kept; `deltas`: model -> true
    difference of its pretrained arm to its random one in MCC (of likelihood ratios: half of it in AUROC), 0 for others;
    `noise`: sd of seeds in MCC; `near`: share of test rows that audits call near duplicates.
    """
    jobs = [job for job in study.cells if job.analysis in (*CLASSIFICATIONS, "likelihood")]
    work = partial(_write_job, study, directory / "results", items, tuple(folds), dict(deltas or {}), noise, seed)
    for _ in map_forked(work, jobs, processes):
        pass
    for task in study.audited:
        _write_audit(directory / "results", task, items, near)
    return len(jobs)


def classes_of(analysis: str, task: str) -> list[str]:
    """Names of a task's classes."""
    base = task.split(".")[0]
    if analysis == "likelihood":
        return ["benign", "pathogenic"]
    return NAMES[: CLASSES.get(base, OF_ANALYSIS.get(analysis, 2))]


def accuracy_of(mcc: float, classes: int) -> float:
    """Accuracy whose expected MCC this is, with balanced classes and even errors."""
    return float(np.clip((mcc * (classes - 1) + 1) / classes, 0.02, 0.99))


def true_mcc(job: Cell, deltas: Mapping[str, float]) -> float:
    """Expected MCC of an arm: by task, by model, and the planted difference of a pretrained arm."""
    middle = 0.35 + 0.4 * _unit("task", job.task.split(".")[0]) + 0.06 * (_unit("model", job.model.split(".")[0]) - 0.5)
    return (
        middle
        - (0.1 if job.init == "baseline" else 0.0)
        + (deltas.get(job.model, 0.0) if job.init == "pretrained" else 0.0)
    )


def _unit(*words: str) -> float:
    return zlib.crc32("/".join(words).encode()) / 2**32


def _generator(seed: int, *words: object) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, words)).encode())])


def _write_job(
    study: Plan,
    results: Path,
    items: int,
    folds: tuple[int, ...],
    deltas: Mapping[str, float],
    noise: float,
    seed: int,
    job: Cell,
) -> None:
    directory = results / job.analysis / job.task / job.model / job.init / f"seed{job.seed}"
    directory.mkdir(parents=True, exist_ok=True)
    names = classes_of(job.analysis, job.task)
    shared = _generator(seed, job.task)
    truth, difficulty = np.arange(items) % len(names), shared.normal(size=items)
    generator = _generator(seed, *job)
    mcc = true_mcc(job, deltas) + noise * generator.normal()
    write = _variants if job.analysis == "likelihood" else _predictions
    frame, found = write(truth, difficulty, names, mcc, folds if job.init != "baseline" else (-1,), generator)
    pq.write_table(frame, directory / "predictions.parquet")
    metric = study.task(job.task)["metric"]
    shown = [Result(metric, *values) for values in found]
    write_record(
        directory / "record.json", analysis=job.analysis, task=job.task, model=job.model, init=job.init, seed=job.seed,
        parameters=0 if job.init == "baseline" else 1_000_000, settings={"metric": metric, "simulated": True},
        results=shown, cost={"device": "cpu", "seconds": 1.0, "peak_memory_mb": 1.0},
    )  # fmt: skip


def _predictions(truth, difficulty, names, mcc, folds, generator):
    """Two runs a fold: the first chosen by validation, the second by its test score, unless the first is better."""
    n, k = len(truth), len(names)
    order = np.argsort([f"item{i:06d}" for i in range(n)], kind="stable")  # files are in the order of the set
    parts, found = [], []
    limit = _NORMAL.inv_cdf(accuracy_of(mcc, k))
    for fold in folds:
        runs = []
        for rate in RATES[:2]:
            right = np.sqrt(SHARED) * difficulty + np.sqrt(1 - SHARED) * generator.normal(size=n) < limit
            predicted = np.where(right, truth, (truth + generator.integers(1, k, size=n)) % k)
            sure = generator.uniform(1 / k, 1.0, size=n).astype(np.float32)
            probabilities = np.repeat(((1 - sure) / (k - 1))[:, None], k, axis=1)
            probabilities[np.arange(n), predicted] = sure
            runs.append((rate, right.mean(), predicted[order], probabilities[order]))
        better = int(runs[1][1] > runs[0][1])
        for place, (rate, share, predicted, probabilities) in enumerate(runs):
            if place == 0 or better:
                marks = {"selected": place == 0, "selected_paper": place == better}
                parts.append(_frame(order, truth, names, f"fold{fold}_lr{rate}", fold, marks, predicted, probabilities))
            extra = {"run": f"fold{fold}_lr{rate}", "selected": place == 0}
            found.append((float(share), n, "validation", "run", fold, rate, extra))
    return pa.concat_tables(parts), found


def _frame(order, truth, names, run, fold, marks, predicted, probabilities):
    n = len(order)
    ids = pa.array([f"item{i:06d}" for i in order])
    constant = {"run": run, "fold": fold, **marks, "split": "test"}
    return pa.table(
        {
            "id": ids,
            "group": ids,
            "label": pa.DictionaryArray.from_arrays(truth[order], names).cast(pa.string()),
            "predicted": pa.DictionaryArray.from_arrays(predicted, names).cast(pa.string()),
            "probabilities": pa.ListArray.from_arrays(
                np.arange(0, probabilities.size + 1, probabilities.shape[1], dtype=np.int32), probabilities.ravel()
            ),
        }
        | {name: pa.array([value] * n) for name, value in constant.items()}
    )


def _variants(truth, difficulty, names, mcc, folds, generator):
    """Scores of variants, normal in both classes, whose expected AUROC is (1 + MCC) / 2."""
    n, positive = len(truth), truth == names.index("pathogenic")
    distance = np.sqrt(2) * _NORMAL.inv_cdf((1 + np.clip(mcc, -0.9, 0.9)) / 2)
    score = distance * positive + np.sqrt(SHARED) * difficulty + np.sqrt(1 - SHARED) * generator.normal(size=n)
    ids = pa.array([f"item{i:06d}" for i in range(n)])
    frame = pa.table(
        {"id": ids, "group": ids, "label": pa.array([names[place] for place in truth]), "score": score, "llr": -score}
        | {"run": pa.array(["site"] * n), "fold": pa.array([-1] * n), "split": pa.array(["test"] * n)}
        | {name: pa.array([True] * n) for name in ("selected", "selected_paper")}
    )
    extra = {"run": "site", "selected": True}
    return frame, [((1 + mcc) / 2, n, "test", "run", None, None, extra)]


def _write_audit(results: Path, task: str, items: int, near: float) -> None:
    directory = results / "audit" / task
    directory.mkdir(parents=True, exist_ok=True)
    found = np.arange(items) < near * items
    ids = [f"item{i:06d}" for i in range(items)]
    pd.DataFrame({"id": ids, "split": "test", "near": found}).to_parquet(directory / "audit.parquet")
    counts = {"rows": items, "exact": 0, "reverse_complement": 0, "near": int(found.sum()), "conflict": 0}
    counts |= {"duplicate": 0, "duplicate_share": 0.0, "near_share": float(found.mean())}
    pairs = [{"split": "test", "against": "train"} | counts]
    write_json(directory / "audit.json", {"task": task, "pairs": pairs, "classes": {}, "rows": {}})
