"""Tables of the made-up study (`figure_tables`) on what gains depend on: classes of tokens, and training rows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from foundationless.evaluation.bootstrap import Estimate
from foundationless.evaluation.trends.points import ROWS, Point
from foundationless.evaluation.trends.tables import curves_of, scaling_fits, worth_of_rows
from foundationless.evaluation.trends.tokenizer_gate import tokenizer_gate
from foundationless.study.names import parse_task

GATED = ("finetune", "biotype", "tokenizer", "frozen")
SHARES = (1, 5, 10, 50, 100)  # % of 20,000 rows
REPLICATES = 40


def trend_frames(
    comparisons: pd.DataFrame, runs: pd.DataFrame, tasks: pd.DataFrame, cards: Mapping[str, dict], seed: int
) -> dict[str, pd.DataFrame]:
    """`tokenizer_gate`, `scaling_fits` and `rows_worth` of the study's comparisons and of drawn learning curves."""
    judged = comparisons[comparisons["analysis"].isin(GATED)]
    curves = curves_of(_points(comparisons[comparisons["analysis"] == "lowdata"], np.random.default_rng(seed)))
    return {
        "tokenizer_gate": tokenizer_gate(judged, runs, pd.DataFrame(), tasks, cards),
        "scaling_fits": scaling_fits("lowdata", curves), "rows_worth": worth_of_rows("lowdata", curves),
    }  # fmt: skip


def _points(pairs: pd.DataFrame, rng: np.random.Generator) -> list[Point]:
    arms = pairs.assign(base=pairs["task"].map(lambda task: parse_task(task).base_task))
    found = []
    for task, model, metric in arms[["base", "model", "metric"]].drop_duplicates().to_numpy():
        rate, gain = rng.uniform(0.2, 0.6), rng.uniform(0.0, 0.05)
        for share in SHARES:
            rows = 200.0 * share
            for init, more in (("random", 0.0), ("pretrained", gain)):
                value = 0.75 - 3 * rows**-rate + more + rng.normal(0, 0.005)
                drawn = value + rng.normal(0, 0.01, REPLICATES)
                estimate = Estimate(value, value - 0.02, value + 0.02, None, drawn)
                found.append(Point(ROWS, task, model, init, metric, "validation", rows, estimate, 3))
    return found
