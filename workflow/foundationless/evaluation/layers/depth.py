"""Score and depth: what each kept layer of a network is worth, and how often it was chosen.

Of probes, each layer counts with its best candidate on the validation split, which chose the layer: the test split is
never asked about a layer that did not win. Of scores without a choice of runs, every layer has what was measured on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from foundationless.evaluation.bootstrap import Run, interval, join, score_runs
from foundationless.evaluation.records import flatten
from foundationless.evaluation.task_results import KEYS, Items, of_split, read_run, rows_by_run
from foundationless.study.vocabulary import METRICS

# What a value of an unpaired analysis is of, beside its layer; of probes all are missing.
PARTS = ("pooling", "condition", "mutations", "null", "gene", "label", "unit", "matched")
LAYERS = [
    *KEYS, "metric", "split", *PARTS, "layer", "depth", "last", "value", "low", "high", "sd", "n", "seeds", "chosen",
]  # fmt: skip

Rows = list[dict[str, Any]]


def is_layered(result: Mapping[str, Any]) -> bool:
    """Whether a result of a record stands for a layer, beside those of the last one that every record has."""
    return "layer" in result["extra"]


def score_layers(
    records: Sequence[Mapping[str, Any]], tables: Sequence[pa.Table | None], metric: str, resamples: int, seed: int
) -> pd.DataFrame:
    """Rows of `LAYERS` of a task of probes: the score of every layer of every arm on the validation split.

    `tables` are all rows of the predictions of the cells, parallel to `records`. Mean over seeds and a 95 % interval
    over validation items and seeds, as scores on the test split have them; `chosen` counts the seeds that chose it.
    """
    items = Items()
    runs: dict[tuple[tuple[str, str], int], list[Run]] = {}
    chosen: dict[tuple[tuple[str, str], int], int] = {}
    classes: set[str] = set()
    identity: dict[tuple[str, str], dict[str, Any]] = {}
    for record, table in zip(records, tables, strict=True):
        best = best_of_layers(record, metric)
        if table is None or not best:
            continue
        arm = record["model"], record["init"]
        identity[arm] = {key: record[key] for key in KEYS}
        classes |= {str(name) for name in record["settings"].get("classes", ())}  # labels with outputs have none
        by_run = rows_by_run(of_split(table, "validation"))
        for layer, run in best.items():
            if run in by_run:
                runs.setdefault((arm, layer), []).append(read_run(record, -1, by_run[run], items))
                chosen[arm, layer] = chosen.get((arm, layer), 0) + (layer == chosen_layer(record))
    if not runs:
        return pd.DataFrame(columns=LAYERS)
    whole = [run for mine in runs.values() for run in mine]
    scored = iter(score_runs(whole, metric, sorted(classes), resamples, seed))
    rows: Rows = []
    for (arm, layer), mine in runs.items():
        joined = join([next(scored) for _ in mine])
        estimate, by_seed = interval(joined, seed, metric), joined.by_seed()
        last = max(other for known, other in runs if known == arm)
        rows.append(
            identity[arm] | {"metric": metric, "split": "validation", "layer": layer, "last": layer == last}
            | {"depth": layer / max(1, last), "value": estimate.value, "low": max(estimate.low, METRICS[metric].lowest)}
            | {"high": estimate.high, "sd": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan}
            | {"n": len(mine[0].labels), "seeds": len(by_seed), "chosen": chosen[arm, layer]}
        )  # fmt: skip
    return _sorted(pd.DataFrame(rows))


def best_of_layers(record: Mapping[str, Any], metric: str) -> dict[int, str]:
    """Layer -> its best candidate on validation, ties to the first; nothing where no layer was chosen."""
    best: dict[int, tuple[float, str]] = {}
    for row in record["results"]:
        extra = row["extra"]
        known = row["split"] == "validation" and row["selection"] == "run" and row["metric"] == metric
        if known and is_layered(row) and row["value"] is not None:
            layer, value = int(extra["layer"]), float(row["value"])
            if layer not in best or value > best[layer][0]:
                best[layer] = value, str(extra["run"])
    return {layer: run for layer, (_, run) in best.items()}


def chosen_layer(record: Mapping[str, Any]) -> int | None:
    """The layer that validation chose; None where nothing was chosen among layers."""
    said = (each["chosen"] for each in record["selections"] if each["what"] == "layer" and not each.get("within"))
    return next((int(layer) for layer in said), None)


def measure_layers(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of `LAYERS` of an analysis without predictions: what records measured on each layer, averaged over seeds.

    `low` and `high` are means of the seeds' own; `chosen` counts the seeds whose validation half chose the layer, for
    values that a choice was made by or for.
    """
    kept = [
        {**record, "results": [row for row in record["results"] if is_layered(row)]}
        for record in records
    ]  # fmt: skip
    frame = flatten(kept)
    if frame.empty:
        return pd.DataFrame(columns=LAYERS)
    frame = frame.reindex(columns=list(dict.fromkeys([*frame, *LAYERS])))
    frame["chosen"] = frame["chosen"].astype(float)
    keys = [*KEYS, "metric", "split", *PARTS, "layer", "depth"]
    found = frame.astype(dict.fromkeys(("low", "high", "value"), float)).groupby(keys, dropna=False, sort=False).agg(
        value=("value", "mean"), low=("low", "mean"), high=("high", "mean"), sd=("value", "std"), n=("n", "sum"),
        seeds=("seed", "nunique"), chosen=("chosen", "sum"),
    ).reset_index()  # fmt: skip
    return found.assign(last=found["depth"] == 1).reindex(columns=LAYERS)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """Arms in their order, layers from the embedding on."""
    arms = frame.groupby(["model", "init"], sort=False).ngroup()
    ordered = frame.assign(arm=arms).sort_values(["arm", "layer"], kind="stable")
    return ordered.reindex(columns=LAYERS).reset_index(drop=True)
