"""Heads on frozen features of a few training rows, by number of rows and draw: all of a task from one embedding.

With the choice `fixed` the head is the classifier and the features named first, at the strength that it has without a
validation split (logistic regression on standardised features: C = 1, scikit-learn's default), and no validation row is
read. With `leave_one_out` the strength of the logistic regression and the features, of which there may be several
poolings and layers, are chosen by the rows of each draw (`leave_one_out`), and no validation row is read either; of one
row a class nothing can be left out, and the head is the fixed one. With `validation` the validation split chooses among
all, as it does for whole training sets, though it may hold hundreds of times as many rows as the draw.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.records import Result
from foundationless.evaluation.shots.draws import of_draw
from foundationless.features.classifiers import ProbeSettings, Samples, fit, fit_logistic
from foundationless.features.probes import Outcome, run_probes
from foundationless.features.shots.drawing import first_named, part_of, unchosen
from foundationless.features.shots.leave_one_out import choose
from foundationless.runtime.log import progress
from foundationless.study.vocabulary import (
    CLASSES,
    CLASSIFIERS,
    FIXED,
    LEAVE_ONE_OUT,
    SEQUENCE_CLASSIFIERS,
    VALIDATION,
    labels_of,
)
from foundationless.tasks.draws import Draw, Drawn


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

    Results have the main metric of each. What is chosen inside a draw by validation is not kept: the `choice` says what
    chose. With leave-one-out a result says `head` (what chose it), `features`, `strength` and, of several, the `layer`;
    a classifier without a strength has nothing to choose, and the choice is `fixed`.
    """
    if choice == LEAVE_ONE_OUT and "logistic" not in kinds[:1]:
        choice = FIXED
    _check(kinds, settings, layers, choice)
    used, named = (samples, kinds) if choice == VALIDATION else (unchosen(samples, choice), kinds[:1])
    if not all(isinstance(matrix, np.ndarray) for matrix in used.features.values()):
        raise UserError("few rows are drawn of features in columns, not of sequences; use k-mers or an embedding.")
    others, test = np.flatnonzero(used.frame["split"] != "train"), used.rows("test")
    items = used.frame.iloc[test][["id", "group", "label"]].astype({"label": str})
    items.attrs = {}
    frames: list[pd.DataFrame] = []
    results: list[Result] = []
    with progress(len(drawn.taken) * drawn.draws, "shots", "draw") as bar:
        for one in drawn.each(used.frame):
            part = part_of(used, np.concatenate([one.rows, others]))
            if choice == LEAVE_ONE_OUT:
                predicted, extra = _left_out(part, one, settings, layers or {})
            else:
                predicted, extra = _predict(part, named, settings, choice), {}
            place = one.fold, one.taken, one.draw
            frame, result = of_draw(items, part.classes, predicted, settings.metric, place, extra)
            frames.append(frame)
            results.append(result)
            bar.update()
    return Outcome(results, pd.concat(frames, ignore_index=True), choice, [], {}, drawn.settings())


def _check(kinds: Sequence[str], settings: ProbeSettings, layers: Mapping[str, int] | None, choice: str) -> None:
    if settings.cv_folds or (layers and choice != LEAVE_ONE_OUT):
        raise UserError("few rows are drawn of the set's own train split and the last layer; leave the others out.")
    if labels_of(settings.metric) != CLASSES:
        raise UserError(f"metric {settings.metric} is not of classes, of each of which few rows are drawn.")
    if odd := [name for name in kinds if CLASSES not in CLASSIFIERS[name].serves or name in SEQUENCE_CLASSIFIERS]:
        raise UserError(f"classifier {odd[0]} learns no classes from features in columns; choose another.")


def _predict(part: Samples, kinds: Sequence[str], settings: ProbeSettings, choice: str) -> np.ndarray:
    """Probabilities [test rows, classes] of the head, in the order of the rows."""
    if choice == FIXED:
        (matrix,) = part.features.values()
        predicted: np.ndarray = fit(kinds[0], matrix, part, settings).probabilities[part.rows("test")]
        return predicted
    found = run_probes(part, kinds, settings).predictions
    chosen = found[found["selected"] & (found["split"] == "test")]
    return np.stack(chosen["probabilities"].to_list())


def _left_out(
    part: Samples, draw: Draw, settings: ProbeSettings, layers: Mapping[str, int]
) -> tuple[np.ndarray, dict[str, Any]]:
    """The same of the head that leave-one-out chooses, and what it chose."""
    name, strength, head = next(iter(part.features)), 1.0, FIXED
    if draw.taken > 1:
        rows = part.rows("train")
        labels = np.searchsorted(part.classes, part.frame["label"].astype(str).to_numpy(dtype=str)[rows])
        matrices = {each: matrix[rows] for each, matrix in part.features.items()}
        name, strength, _ = choose(matrices, labels, draw.ranks, settings, part.weights)
        head = LEAVE_ONE_OUT
    fitted = fit_logistic(part.features[name], part, settings, strength)
    said: dict[str, Any] = {"head": head, "features": name, "strength": strength}
    return fitted.probabilities[part.rows("test")], said | ({"layer": layers[name]} if layers else {})
