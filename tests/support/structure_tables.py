"""The table of structural probes, of made-up arms: what is predicted of each fact is as near to it as a number says."""

import numpy as np
import pandas as pd

from foundationless.evaluation.outputs.facts import tabulate

NEAR = {"gc": 3.0, "skew": 1.0, "cpg": 1.2, "homopolymer": 0.5, "length": 2.0, "place_ACG": 0.1, "kmer_ACG": 1.0}
KNOWN = {"pretrained": 1.0, "random": 0.4, "permuted": 0.5}
ITEMS, SEEDS = 120, 3


def with_layers(cell: pd.DataFrame, layers: int = 4) -> pd.DataFrame:
    """The cell with validation rows, of which the third of its layers knows what was chosen, and others less."""
    rng = np.random.default_rng(7)
    watched = cell.assign(split="validation", id=[f"v{row}" for row in range(len(cell))])
    for name in (column.removeprefix("observed_") for column in cell if column.startswith("observed_")):
        for layer in range(layers):
            noise = abs(layer - 2) * rng.normal(size=len(cell))
            watched[f"layer{layer}_{name}"] = watched[f"predicted_{name}"] + noise
    return pd.concat([cell.assign(split="test"), watched], ignore_index=True)


def structure_table(arms: pd.DataFrame, tasks: int = 2) -> pd.DataFrame:
    """As `tabulate` has it, of the arms (task, model, init) of the first tasks; the random arm has several seeds."""
    rng = np.random.default_rng(4)
    truth = {name: rng.normal(size=ITEMS) for name in NEAR}
    truth["kmer_ACG"] = (truth["kmer_ACG"] > 0).astype(float)
    truth["place_ACG"] = np.where(truth["kmer_ACG"] > 0, truth["place_ACG"], np.nan)
    cells = []
    shown = arms[arms["task"].isin(arms["task"].unique()[:tasks])]
    for task, model, init in shown[["task", "model", "init"]].drop_duplicates().to_numpy():
        for seed in range(SEEDS if init == "random" else 1):
            cell = {"task": task, "model": model, "init": init, "seed": seed, "group": None}
            cell["id"] = [f"r{i}" for i in range(ITEMS)]
            for name, near in NEAR.items():
                told = np.nan_to_num(truth[name])
                cell[f"observed_{name}"] = truth[name]
                cell[f"predicted_{name}"] = KNOWN.get(init, 0.7) * near * told + rng.normal(size=ITEMS)
                cell[f"kmers_{name}"] = told + 0.1 * np.sin(np.arange(ITEMS))
            cells.append(with_layers(pd.DataFrame(cell)))
    return tabulate(cells)
