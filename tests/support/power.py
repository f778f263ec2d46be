"""The tables of a pilot study, as `plan --components` reads them."""

from pathlib import Path

import numpy as np
import pandas as pd


def write_pilot(
    directory: Path,
    tasks: tuple[str, ...] = ("a", "b", "c"),
    seeds: int = 3,
    analysis: str = "finetune",
    model: str = "hyenadna.demo",
    se: float = 0.05,
) -> Path:
    """components.csv of a pilot, with comparisons.csv and runs.csv beside it: MCC, 400 test rows, no difference."""
    rng = np.random.default_rng(2)
    keys = {"analysis": analysis, "model": model, "selection": "validation", "metric": "mcc"}
    runs, parts, pairs = [], [], []
    for task in tasks:
        for init in ("pretrained", "random"):
            values = 0.5 + 0.02 * rng.standard_normal(seeds)
            cell = keys | {"task": task, "init": init}
            runs += [cell | {"seed": place, "fold": -1, "value": value} for place, value in enumerate(values)]
            variance = values.var(ddof=1) if seeds > 1 else np.nan
            parts.append(cell | {"component": "seed", "variance": variance, "sd": variance**0.5, "share": np.nan})
        arms = {"task": task, "init": "pretrained", "versus": "random", "reference": model}
        counts = {"n_test": 400, "seeds": seeds, "reference_seeds": seeds}
        pairs.append(keys | arms | counts | {"delta": 0.0, "se": se})
    for name, rows in (("runs", runs), ("components", parts), ("comparisons", pairs)):
        pd.DataFrame(rows).to_csv(directory / f"{name}.csv", index=False)
    return directory / "components.csv"
