"""Heads on frozen features of a few training rows, by number of rows and draw: all of a task from one embedding.

With the choice `fixed` the head is the classifier and the features named first, at the strength that it has without a
validation split (logistic regression on standardised features: C = 1, scikit-learn's default), and no validation row is
read. With `validation` the validation split chooses among all, as it does for whole training sets, though it may hold
hundreds of times as many rows as the draw.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate
from foundationless.evaluation.records import Result, finite
from foundationless.features.classifiers import ProbeSettings, Samples, fit
from foundationless.features.probes import Outcome, run_probes
from foundationless.features.shots.drawing import MARKS, Drawn, first_named, part_of
from foundationless.runtime.log import progress
from foundationless.study.vocabulary import CLASSES, CLASSIFIERS, FIXED, SEQUENCE_CLASSIFIERS, labels_of


def run_fixed(
    samples: Samples, kinds: Sequence[str], settings: ProbeSettings, layers: Mapping[str, int] | None = None
) -> Outcome:
    """The classifier named first on the features named first, without validation rows; `layers` are not read."""
    return run_probes(first_named(samples), kinds[:1], settings)._replace(choice=FIXED)


def run_drawn(
    samples: Samples,
    kinds: Sequence[str],
    settings: ProbeSettings,
    layers: Mapping[str, int] | None = None,
    *,
    drawn: Drawn,
    choice: str,
) -> Outcome:
    """A head for every number of rows and draw, whose predictions of the test split are a fold of their own.

    Results have the main metric of each. What is chosen inside a draw is not kept: the `choice` says what chose.
    """
    if settings.cv_folds or layers:
        raise UserError("few rows are drawn of the set's own train split and the last layer; leave the others out.")
    if labels_of(settings.metric) != CLASSES:
        raise UserError(f"metric {settings.metric} is not of classes, of each of which few rows are drawn.")
    if odd := [name for name in kinds if CLASSES not in CLASSIFIERS[name].serves or name in SEQUENCE_CLASSIFIERS]:
        raise UserError(f"classifier {odd[0]} learns no classes from features in columns; choose another.")
    used, named = (first_named(samples), kinds[:1]) if choice == FIXED else (samples, kinds)
    if not all(isinstance(matrix, np.ndarray) for matrix in used.features.values()):
        raise UserError("few rows are drawn of features in columns, not of sequences; use k-mers or an embedding.")
    others, test = np.flatnonzero(used.frame["split"] != "train"), used.rows("test")
    items = used.frame.iloc[test][["id", "group", "label"]].astype({"label": str})
    items.attrs = {}
    frames: list[pd.DataFrame] = []
    results: list[Result] = []
    with progress(len(drawn.taken) * drawn.draws, "shots", "draw") as bar:
        for fold, taken, draw, rows in drawn.each(used):
            part = part_of(used, np.concatenate([rows, others]))
            predicted = _predict(part, named, settings, choice)
            value = evaluate(items["label"].to_numpy(), predicted, part.classes)[settings.metric]
            run = f"{taken} rows, draw {draw}"
            answers = {
                "predicted": np.asarray(part.classes)[predicted.argmax(axis=1)],
                "probabilities": list(predicted),
            }
            frames.append(items.assign(**answers, run=run, fold=fold, **MARKS, split="test"))
            extra = {"run": run, "epoch": None, "rows": taken, "drawn": draw, "selected": True}
            results.append(Result(settings.metric, finite(value), len(test), "test", "run", fold, extra=extra))
            bar.update()
    return Outcome(results, pd.concat(frames, ignore_index=True), choice, [], {}, drawn.settings())


def _predict(part: Samples, kinds: Sequence[str], settings: ProbeSettings, choice: str) -> np.ndarray:
    """Probabilities [test rows, classes] of the head, in the order of the rows."""
    if choice == FIXED:
        (matrix,) = part.features.values()
        predicted: np.ndarray = fit(kinds[0], matrix, part, settings).probabilities[part.rows("test")]
        return predicted
    found = run_probes(part, kinds, settings).predictions
    chosen = found[found["selected"] & (found["split"] == "test")]
    return np.stack(chosen["probabilities"].to_list())
