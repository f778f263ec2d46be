"""Records and predictions of a study that nobody ran, with true differences that are known.

Every classification and likelihood cell of a study gets the files that its rule would write (`record.json`,
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
from foundationless.study.names import parse_model, parse_task
from foundationless.study.plan import Cell, Plan
from foundationless.study.vocabulary import CLASSIFICATIONS

CLASSES = {"nt_enhancers_types": 3, "nt_splice_sites_all": 3, "gue_splice_reconstructed": 3, "gue_virus_covid": 9}
OF_ANALYSIS = {"biotype": 9, "width": 9, "ancestry": 5, "clustering": 9}  # classes; two elsewhere
NAMES = [f"class{letter}" for letter in "ABCDEFGHI"]
SHARED = 0.5  # correlation of the scores that decide what two runs get right
RATES = (1e-5, 3e-5)
NOISE = 0.01  # sd of seeds in MCC
NEAR = 0.02  # share of test rows that audits call near duplicates
_NORMAL = NormalDist()


def write_records(
    study: Plan,
    directory: Path,
    *,
    items: int = 3000,
    folds: Sequence[int] = (0, 1, 2),
    deltas: Mapping[str, float] | None = None,
    processes: int = 1,
) -> int:
    """Write `directory`/results of a study; returns the number of cells.

    `items`: test items of a task; `folds`: of each cell, two learning rates of each are kept; `deltas`: model -> true
    difference of its pretrained arm to its random one in MCC (of likelihood ratios: half of it in AUROC), 0 for others.
    """
    cells = [cell for cell in study.cells if cell.analysis in (*CLASSIFICATIONS, "likelihood")]
    work = partial(_write_cell, study, directory / "results", items, tuple(folds), dict(deltas or {}))
    for _ in map_forked(work, cells, processes):
        pass
    for task in study.audited:
        _write_audit(directory / "results", task, items)
    return len(cells)


def classes_of(analysis: str, task: str) -> list[str]:
    """Names of a task's classes."""
    base = parse_task(task).base_task
    if analysis == "likelihood":
        return ["benign", "pathogenic"]
    return NAMES[: CLASSES.get(base, OF_ANALYSIS.get(analysis, 2))]


def accuracy_of(mcc: float, classes: int) -> float:
    """Accuracy whose expected MCC this is, with balanced classes and even errors."""
    return float(np.clip((mcc * (classes - 1) + 1) / classes, 0.02, 0.99))


def true_mcc(cell: Cell, deltas: Mapping[str, float]) -> float:
    """Expected MCC of an arm: by task, by model, and the planted difference of a pretrained arm."""
    task, model = parse_task(cell.task).base_task, parse_model(cell.model).base
    middle = 0.35 + 0.4 * _unit("task", task) + 0.06 * (_unit("model", model) - 0.5)
    if cell.init == "baseline":
        return middle - 0.1
    return middle + (deltas.get(cell.model, 0.0) if cell.init == "pretrained" else 0.0)


def _unit(*words: str) -> float:
    return zlib.crc32("/".join(words).encode()) / 2**32


def _generator(*words: object) -> np.random.Generator:
    return np.random.default_rng([0, zlib.crc32("/".join(map(str, words)).encode())])


def _write_cell(
    study: Plan, results: Path, items: int, folds: tuple[int, ...], deltas: Mapping[str, float], cell: Cell
) -> None:
    directory = results / cell.analysis / cell.task / cell.model / cell.init / f"seed{cell.seed}"
    directory.mkdir(parents=True, exist_ok=True)
    names = classes_of(cell.analysis, cell.task)
    shared = _generator(cell.task)
    truth, difficulty = np.arange(items) % len(names), shared.normal(size=items)
    generator = _generator(*cell)
    mcc = true_mcc(cell, deltas) + NOISE * generator.normal()
    write = _variants if cell.analysis == "likelihood" else _predictions
    frame, values = write(truth, difficulty, names, mcc, folds if cell.init != "baseline" else (-1,), generator)
    pq.write_table(frame, directory / "predictions.parquet")
    metric = study.task(cell.task)["metric"]
    identity = {name: getattr(cell, name) for name in ("analysis", "task", "model", "init", "seed")}
    write_record(
        directory / "record.json", **identity, parameters=0 if cell.init == "baseline" else 1_000_000,
        settings={"metric": metric, "simulated": True}, results=[Result(metric, *value) for value in values],
        cost={"device": "cpu", "seconds": 1.0, "peak_memory_mb": 1.0},
    )  # fmt: skip


def _predictions(truth, difficulty, names, mcc, folds, generator):
    """Two runs a fold: the first chosen by validation, the second by its test score, unless the first is better."""
    n, k = len(truth), len(names)
    parts, values = [], []
    limit = _NORMAL.inv_cdf(accuracy_of(mcc, k))
    for fold in folds:
        runs = []
        for rate in RATES:
            right = np.sqrt(SHARED) * difficulty + np.sqrt(1 - SHARED) * generator.normal(size=n) < limit
            predicted = np.where(right, truth, (truth + generator.integers(1, k, size=n)) % k)
            sure = generator.uniform(1 / k, 1.0, size=n).astype(np.float32)
            probabilities = np.repeat(((1 - sure) / (k - 1))[:, None], k, axis=1)
            probabilities[np.arange(n), predicted] = sure
            runs.append((rate, right.mean(), predicted, probabilities))
        better = int(runs[1][1] > runs[0][1])
        for place, (rate, share, predicted, probabilities) in enumerate(runs):
            if place == 0 or better:
                marks = {"selected": place == 0, "selected_paper": place == better}
                parts.append(_frame(truth, names, f"fold{fold}_lr{rate}", fold, marks, predicted, probabilities))
            extra = {"run": f"fold{fold}_lr{rate}", "selected": place == 0}
            values.append((float(share), n, "validation", "run", fold, rate, extra))
    return pa.concat_tables(parts), values


def _frame(truth, names, run, fold, marks, predicted, probabilities):
    n = len(truth)
    ids = pa.array([f"item{i:06d}" for i in range(n)])
    constant = {"run": run, "fold": fold, **marks, "split": "test"}
    labels, answers = (pa.DictionaryArray.from_arrays(codes, names).cast(pa.string()) for codes in (truth, predicted))
    offsets = np.arange(0, probabilities.size + 1, probabilities.shape[1], dtype=np.int32)
    columns = {"id": ids, "group": ids, "label": labels, "predicted": answers}
    columns |= {"probabilities": pa.ListArray.from_arrays(offsets, probabilities.ravel())}
    return pa.table(columns | {name: pa.array([value] * n) for name, value in constant.items()})


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


def _write_audit(results: Path, task: str, items: int) -> None:
    directory = results / "audit" / task
    directory.mkdir(parents=True, exist_ok=True)
    found = np.arange(items) < NEAR * items
    ids = [f"item{i:06d}" for i in range(items)]
    pd.DataFrame({"id": ids, "split": "test", "near": found}).to_parquet(directory / "audit.parquet")
    counts = {"rows": items, "exact": 0, "reverse_complement": 0, "near": int(found.sum()), "conflict": 0}
    counts |= {"duplicate": 0, "duplicate_share": 0.0, "near_share": float(found.mean())}
    pairs = [{"split": "test", "against": "train"} | counts]
    rule = {"check": "k-mers", "against": "earlier", "metric": "mcc", "value": 0.3, "low": 0.25, "high": 0.35}
    checks = [rule | {"threshold": 0.5, "word": "none", "note": ""}]
    summary = {"task": task, "pairs": pairs, "classes": {}, "rows": {}, "shortcuts": checks}
    write_json(directory / "audit.json", summary)
