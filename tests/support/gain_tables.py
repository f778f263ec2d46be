"""Tables of made-up gains: what figures about the ingredients of pretraining read."""

import numpy as np
import pandas as pd

from foundationless.study.vocabulary import INGREDIENTS

BASES = ("hyenadna", "caduceus", "mistral", "nt500m", "ntv2", "genalm", "dnabert2")
GAINS = {"all": 0.2, "embedding table": 0.03, "weight statistics": 0.0, "genome statistics": 0.05, "genome order": 0.15}
GAINS |= {"task sequences": 0.12, "beyond the task": 0.08}
STEPS = {"random": 0, "step10": 10, "step100": 100, "step1000": 1000, "step10000": 10000, "pretrained": 30000}


def gain_frames(models: int, tasks: list[str]) -> dict[str, pd.DataFrame]:
    """The tables `ingredients` and `pretraining_curve` of so many models, and at most four tasks."""
    rng = np.random.default_rng(0)
    sizes = {"analysis": "ingredients", "metric": "mcc", "n_test": 500, "groups": 400, "seeds": 3, "folds": 1}
    gains, points = [], []
    for task in tasks[:4]:
        for model in BASES[:models]:
            arm = sizes | {"task": task, "model": model}
            for name, (init, versus) in INGREDIENTS.items():
                delta = GAINS[name] + rng.normal(0, 0.02)
                gain = {"ingredient": name, "init": init, "versus": versus, "delta": delta, "margin": 0.04}
                gains.append(arm | gain | {"low": delta - 0.05, "high": delta + 0.05, "p": 0.01, "se": 0.025})
            for place, (init, step) in enumerate(STEPS.items()):
                value, bits = 0.3 + 0.08 * place + rng.normal(0, 0.03), 2.1 - 0.05 * place + rng.normal(0, 0.01)
                point = {"init": init, "step": step, "bits_per_base": bits, "value": value, "points": len(STEPS)}
                point |= {"low": value - 0.04, "high": value + 0.04, "rho": -0.94, "rho_low": -1.0, "rho_high": -0.6}
                points.append(arm | point)
    return {"ingredients": pd.DataFrame(gains), "pretraining_curve": pd.DataFrame(points)}
