"""Records and predictions of effects that nobody ran: arms whose skill is planted, in files as `predict_effects` has
them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.evaluation.effects import measure
from foundationless.evaluation.records import Result, hash_files, write_record

GENES, TOP = 200, 80
HELD_OUT, SPLITS = 40, (1, 2, 3)
STRENGTHS = ("0.1", "1")
FLOATS = pa.list_(pa.float32())


class Arm(NamedTuple):
    """Share of what is specific to a perturbation that an arm predicts, and the noise that it adds beside (of 1)."""

    model: str
    init: str
    share: float
    noise: float
    seeds: int = 1


class Screen:
    """True changes of single and double perturbations: a shift that all share, and what is specific to each."""

    def __init__(self, seed: int = 1, singles: int = 80, doubles: int = 60) -> None:
        draw = np.random.default_rng(seed)
        self.names = [f"G{i:03d}" for i in range(singles)]
        self.shift = draw.normal(0, 1, GENES)
        self.single = self.shift + draw.normal(0, 0.7, (singles, GENES))
        self.pairs = [tuple(sorted(draw.choice(singles, 2, replace=False).tolist())) for _ in range(doubles)]
        self.pairs = sorted(set(self.pairs))
        self.additive = np.array([self.single[a] + self.single[b] for a, b in self.pairs])
        # One gene in ten of a double is not additive: by far more than the noise of all others.
        self.beyond = draw.random(self.additive.shape) < 0.1
        gap = np.where(self.beyond, -np.sign(self.additive) * (0.8 + draw.random(self.additive.shape)), 0.0)
        self.double = self.additive + gap + draw.normal(0, 0.1, self.additive.shape)
        self.double, self.single = self.double.astype(np.float32), self.single.astype(np.float32)

    def split(self, fold: int, kind: str) -> np.ndarray:
        """Places of the perturbations that a split tests."""
        count = len(self.names) if kind == "single" else len(self.pairs)
        return np.random.default_rng([7, fold]).permutation(count)[:HELD_OUT]


def write_cell(
    root: Path, screen: Screen, arm: Arm, seed: int, *, analysis: str, task: str, kind: str = "single",
    dropped: Sequence[int] = (), without: Sequence[str] = (), settings: Mapping[str, object] | None = None,
) -> Path:  # fmt: skip
    """The files of one cell; returns its directory. `dropped`: genes that are NaN in all profiles; `without`: singles
    that the arm leaves out."""
    place = root / analysis / task / arm.model / arm.init / f"seed{seed}"
    place.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    tables, selections = [], []
    for fold in SPLITS:
        drawn = np.random.default_rng([zlib.crc32(f"{arm.model}/{arm.init}".encode()), seed, fold])
        strengths = STRENGTHS if arm.init != "baseline" else ("",)
        values = {}
        for number, strength in enumerate(strengths):
            run = f"dims10 strength{strength}" if strength else "baseline"
            table, metrics = _predict(screen, arm, fold, kind, drawn, run, number, dropped, without)
            values[strength] = float(np.nanmean(metrics["skill"])) - number
            extra = {"run": run, "selected": number == 0}
            results.append(Result("skill", values[strength], 60, "validation", "run", fold, extra=extra))
            if number == 0:
                tables.append(table)
                for selection in ("validation", "test"):
                    for name, each in metrics.items():
                        if np.isfinite(each).any():
                            results.append(
                                Result(name, float(np.nanmean(each)), len(each), "test", selection, fold, extra=extra)
                            )
        if len(strengths) > 1:
            selections.append({"what": "strength", "within": f"fold{fold}", "split": "validation", "metric": "skill",
                               "tried": values, "chosen": STRENGTHS[0]})  # fmt: skip
    stated = {"genes": [f"R{i}" for i in range(GENES)], "top": TOP}
    whole = pa.concat_tables(tables).replace_schema_metadata({"foundationless": json.dumps(stated)})
    pq.write_table(whole, place / "predictions.parquet")
    write_record(
        place / "record.json", analysis=analysis, task=task, model=arm.model, init=arm.init, seed=seed,
        parameters=0 if arm.init == "baseline" else 100,
        settings={"metric": "skill", "side": "target", "fold_count": 2, **(settings or {})}, results=results,
        selections=selections, cost={"device": "cpu", "seconds": 1.0, "peak_memory_mb": 1.0},
        hashes=hash_files(predictions=place / "predictions.parquet"),
    )  # fmt: skip
    return place


def _predict(screen, arm, fold, kind, drawn, run, number, dropped, without):
    test = np.array([i for i in screen.split(fold, kind) if screen.names[i] not in without])
    truth = (screen.single if kind == "single" else screen.double)[test]
    usual = screen.shift if kind == "single" else 2 * screen.shift
    mean = np.tile(usual, (len(test), 1)).astype(np.float32)
    predicted = mean + arm.share * (truth - mean) + arm.noise * drawn.normal(size=truth.shape)
    if arm.model == "mean":
        predicted = mean.copy()
    if arm.model == "additive":
        predicted = screen.additive[test]
    predicted = predicted.astype(np.float32)
    observed = truth.copy()
    for part in (observed, predicted, mean):
        part[:, list(dropped)] = np.nan
    names = [(screen.names[i],) if kind == "single" else tuple(screen.names[j] for j in screen.pairs[i]) for i in test]
    places = [[i] if kind == "single" else list(screen.pairs[i]) for i in test]
    columns = {
        "id": pa.array(["+".join(reversed(name)) for name in names]),
        "group": pa.array(["+".join(name) for name in names]),
        "label": pa.array([kind] * len(test)),
        "split": pa.array(["test"] * len(test)),
        "fold": pa.array([fold] * len(test)),
        "run": pa.array([run] * len(test)),
        "selected": pa.array([number == 0] * len(test)),
        "selected_paper": pa.array([number == 0] * len(test)),
        "observed": pa.array(list(observed), FLOATS),
        "predicted": pa.array(list(predicted), FLOATS),
        "mean": pa.array(list(mean), FLOATS),
        "targets": pa.array(places, pa.list_(pa.int32())),
    }
    if kind == "double":
        columns["additive"] = pa.array(list(screen.additive[test].astype(np.float32)), FLOATS)
        columns["first"] = pa.array([screen.single[screen.pairs[i][0]] for i in test], FLOATS)
    return pa.table(columns), measure(observed, predicted, mean, places, TOP)
