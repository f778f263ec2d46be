"""What one draw of few training rows gave: predictions of the test rows, a fold of their own, and the main metric."""

import numpy as np
import pandas as pd

from foundationless.evaluation.metrics import evaluate
from foundationless.evaluation.records import SELECTED_BY, Result, finite
from foundationless.study.vocabulary import LAST_LAYER

# Columns that mark a run as the one of its fold, whoever selects.
MARKS = {column: True for selection, column in SELECTED_BY.items() if selection != LAST_LAYER}


def run_of(taken: int, draw: int) -> str:
    """Name of the run of a draw."""
    return f"{taken} rows, draw {draw}"


def of_draw(
    items: pd.DataFrame,
    classes: list[str],
    predicted: np.ndarray,
    metric: str,
    place: tuple[int, int, int],
    extra: dict[str, object] | None = None,
) -> tuple[pd.DataFrame, Result]:
    """Predictions and result of a draw.

    `items` are the test rows (id, group, label as text), `predicted` their probabilities [rows, classes], `place` is
    (fold, number of rows a class, draw); `extra` joins what the result says of its run.
    """
    fold, taken, draw = place
    run = run_of(taken, draw)
    value = evaluate(items["label"].to_numpy(), predicted, classes)[metric]
    answers = {"predicted": np.asarray(classes)[predicted.argmax(axis=1)], "probabilities": list(predicted)}
    frame = items.assign(**answers, run=run, fold=fold, **MARKS, split="test")
    said = {"run": run, "epoch": None, "rows": taken, "drawn": draw, "selected": True} | (extra or {})
    return frame, Result(metric, finite(value), len(items), "test", "run", fold, extra=said)
