"""What pretraining gains, model beside model: how the gains of two models vary together under resampled test items."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foundationless.evaluation.bootstrap import Arm
from foundationless.evaluation.task_results import KEYS, Name, TaskResults

GAINS = [*KEYS, "selection", "metric", "other", "gain", "covariance"]


def gains(results: TaskResults, arms: Mapping[str, Mapping[Name, Arm]], metric: str) -> list[dict[str, Any]]:
    """Rows of `GAINS` of a task: for each pair of models with both arms, and each model with itself.

    `gain` is pretrained minus random of `model`, `covariance` that with the gain of `other` under resamples of the test
    items alone, which all arms share. Sums of it are the variances of means over models and of their differences.
    Effects of perturbations have no rows: what reads cells has no class of tokens.
    """
    rows: list[dict[str, Any]] = []
    for selection, scored in arms.items() if not results.of_effects else ():
        models = [model for model, init in scored if init == "pretrained" and (model, "random") in scored]
        if not models:
            continue
        pairs = [(scored[model, "pretrained"], scored[model, "random"]) for model in models]
        drawn = np.stack([mine.means() - theirs.means() for mine, theirs in pairs])
        drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
        together = np.atleast_2d(np.cov(drawn)) if drawn.shape[1] > 1 else np.full((len(models),) * 2, np.nan)
        rows += [
            results.identity((models[one], "pretrained")) | {"selection": selection, "metric": metric}
            | {"other": models[other], "covariance": float(together[one, other])}
            | {"gain": pairs[one][0].value - pairs[one][1].value}
            for one in range(len(models)) for other in range(one, len(models))
        ]  # fmt: skip
    return rows
