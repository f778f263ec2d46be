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
from foundationless.features.classifiers import ProbeSettings, Samples
from foundationless.features.probes import Outcome, run_probes
from foundationless.features.shots.drawing import MARKS, Drawn, first_named, part_of
from foundationless.runtime.log import progress
from foundationless.study.vocabulary import FIXED


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
    used, named = (first_named(samples), kinds[:1]) if choice == FIXED else (samples, kinds)
    if not all(isinstance(matrix, np.ndarray) for matrix in used.features.values()):
        raise UserError("few rows are drawn of features in columns, not of sequences; use k-mers or an embedding.")
    others = np.flatnonzero(used.frame["split"] != "train")
    frames: list[pd.DataFrame] = []
    results: list[Result] = []
    with progress(len(drawn.taken) * drawn.draws, "shots", "draw") as bar:
        for fold, taken, draw, rows in drawn.each(used):
            part = part_of(used, np.concatenate([rows, others]))
            found = run_probes(part, named, settings).predictions
            mine = found[found["selected"] & (found["split"] == "test")]
            run = f"{taken} rows, draw {draw}"
            frames.append(mine.assign(run=run, fold=fold, **MARKS))
            value = evaluate(mine["label"].to_numpy(), np.stack(mine["probabilities"].to_list()), part.classes)
            extra = {"run": run, "epoch": None, "rows": taken, "drawn": draw, "selected": True}
            results.append(
                Result(settings.metric, finite(value[settings.metric]), len(mine), "test", "run", fold, extra=extra)
            )
            bar.update()
    return Outcome(results, pd.concat(frames, ignore_index=True), choice, [], {}, drawn.settings())
