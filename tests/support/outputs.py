"""Records and predictions of tasks whose labels are several numbers, or zeros and ones, with a known truth."""

import numpy as np
import pyarrow as pa

from foundationless.data.outputs import format_outputs
from foundationless.evaluation.outputs.metrics import evaluate_outputs
from foundationless.study.vocabulary import VALUES


def draw_labels(kind, n, outputs, generator, missing=0.1):
    """What was observed [n, outputs]: normal numbers of another scale each, or ones in a third; some is not known."""
    latent = generator.normal(size=(n, outputs))
    observed = 5 + latent * 10.0 ** (np.arange(outputs) % 4) if kind == VALUES else (latent > 0.4).astype(float)
    observed[generator.random(observed.shape) < missing] = np.nan
    return observed, latent


def predict(kind, latent, signal, generator):
    """Values whose correlation with the latent numbers is `signal`, in units of the labels, or as probabilities."""
    mixed = signal * latent + np.sqrt(1 - signal**2) * generator.normal(size=latent.shape)
    scale = 10.0 ** (np.arange(latent.shape[1]) % 4)
    return 5 + signal * mixed * scale if kind == VALUES else 1 / (1 + np.exp(-mixed))


def make_cell(
    kind, metric, observed, values, arm, seed=0, validation=0.5, groups=None, task="measured", names=None, fold=-1
):
    """Record and predictions of one cell, `arm` being its model and init."""
    n, outputs = observed.shape
    names = names or [f"out{number}" for number in range(outputs)]
    ids = [f"item{number:05d}" for number in range(n)]
    run = "a"
    stated = np.asarray(values, dtype=np.float32)
    test = evaluate_outputs(kind, observed, stated)
    results = [
        {"metric": metric, "value": validation, "n": 50, "split": "validation", "selection": "run", "fold": None,
         "learning_rate": None, "extra": {"run": run, "selected": True}},
        *({"metric": name, "value": None if np.isnan(value) else value, "n": n, "split": "test", "selection": "run",
           "fold": None, "learning_rate": None, "extra": {"run": run, "selected": True}}
          for name, value in test.items()),
    ]  # fmt: skip
    model, init = arm
    settings = {"family": "kmer" if init == "baseline" else "cnn", "probes": ["ridge"], "metric": metric}
    record = {
        "schema": 2, "analysis": "finetune", "task": task, "model": model, "init": init, "seed": seed, "parameters": 9,
        "settings": settings | {"labels": kind, "outputs": names}, "results": results, "selections": [], "hashes": {},
        "cost": {"seconds": 10.0, "attempts": 1, "gpus": 0, "threads": 1}, "versions": {},
    }  # fmt: skip
    labels = format_outputs(observed)
    known = ~np.isnan(observed).all(axis=1)
    table = pa.table(
        {
            "id": ids, "group": ids if groups is None else [str(group) for group in groups],
            "label": pa.array([text if some else None for text, some in zip(labels, known, strict=True)], pa.string()),
            "values": pa.array(list(stated), pa.list_(pa.float32())), "run": [run] * n, "fold": [fold] * n,
            "split": ["test"] * n, "selected": [True] * n, "selected_paper": [True] * n,
        }
    )  # fmt: skip
    return record, table


def make_cells(kind, metric, signals, n=300, outputs=3, seeds=3, groups=None, world=0, missing=0.1):
    """Cells of a task: `signals` has (model, init) -> correlation; baselines have one seed. Also what was observed."""
    generator = np.random.default_rng(world)
    observed, latent = draw_labels(kind, n, outputs, generator, missing)
    cells = []
    for arm, signal in signals.items():
        for seed in range(1 if arm[1] == "baseline" else seeds):
            values = predict(kind, latent, signal, generator)
            cells.append(make_cell(kind, metric, observed, values, arm, seed, signal, groups))
    records, tables = zip(*cells, strict=True)
    return list(records), list(tables), observed
