"""The supervised probe: regularised logistic regression, of variants that its folds hold out.

Every fold is scored by a probe of its own, and their log-odds do not compare: one that never saw the fold with most
pathogenic variants expects few there, in its intercept and wherever features tell the place. Pooled, that alone ranks
a useless probe far below chance (TP53, exons held out: AUROC 0.25). So log-odds are taken from the mean of the fold
that was held out, whose labels nobody asks, which keeps a useless probe at chance and pulls a useful one towards it
where folds differ in their shares: the AUROC within folds is the one to read (`evaluation.variants`). Classes are
weighted alike in training.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundationless.scoring.probes.folds import Folds, Mask

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # C of scikit-learn: the inverse of the penalty; features are standardised
PROBE = "probe"
ITERATIONS = 300

Floats = NDArray[np.float64]


def out_of_fold(
    features: Mapping[str, Floats], positive: Mask, known: Mask, folds: Folds
) -> tuple[dict[str, Floats], list[dict[str, Any]]]:
    """Log-odds [n] of being pathogenic by probes that never saw the variant's fold, less their mean in that fold, and
    what was chosen in each fold.

    Scores are `probe`, with the features of the least loss, and of several `probe_NAME` with each. Features (name ->
    [n, d]) and strength are chosen within the training variants alone, by log loss on parts of them. `positive` and
    `known` [n]: which are pathogenic, and which have a label. NaN where what is left to learn from is of one class.
    """
    several = len(features) > 1
    scores = {name: np.full(len(known), np.nan) for name in (PROBE, *(_named(name) for name in features if several))}
    selections = []
    for fold in folds.each:
        held_out = folds.names == fold
        training = folds.training(held_out) & known
        if not _has_both(positive[training]):
            continue
        losses: dict[str, float | None] = {}
        answers = {}
        for name, columns in features.items():
            tried = _tried(columns, positive, training, folds)
            strength = _best(tried)
            losses[name] = tried[strength]
            odds = _fit(columns, positive, training, held_out, [float(strength)])[0]
            answers[name] = odds - odds.mean()
            selections.append(_selection("strength", f"{name} without {fold}", tried, strength))
            if several:
                scores[_named(name)][held_out] = answers[name]
        won = _best(losses)
        selections += [_selection("features", f"without {fold}", losses, won)] if several else []
        scores[PROBE][held_out] = answers[won]
    return scores, selections


def _named(name: str) -> str:
    return f"{PROBE}_{name}"


def _has_both(positive: Mask) -> bool:
    return 0 < int(positive.sum()) < len(positive)


def _best(tried: Mapping[str, float | None]) -> str:
    """The candidate of the least loss, of equals the first; those without a loss are the worst."""
    return min(tried, key=lambda name: np.inf if (loss := tried[name]) is None else loss)


def _selection(what: str, within: str, tried: Mapping[str, float | None], chosen: str) -> dict[str, Any]:
    named = {"what": what, "within": within, "split": "train", "metric": "log_loss"}
    return named | {"tried": dict(tried), "chosen": chosen}


def _tried(columns: Floats, positive: Mask, training: Mask, folds: Folds) -> dict[str, float | None]:
    """Strength -> log loss over the inner folds, both classes weighted alike; None where no fold could be judged."""
    losses, weights = [np.zeros(len(STRENGTHS)) for _ in range(2)]
    for part in folds.inner(training):
        rest = training & folds.training(part)
        if not (_has_both(positive[rest]) and part.any()):
            continue
        odds = _fit(columns, positive, rest, part, STRENGTHS)
        for kind in (True, False):
            mine = positive[part] == kind
            if mine.any():  # a class alone still says how sure the probe was of it
                losses += np.logaddexp(0.0, (-1.0 if kind else 1.0) * odds[:, mine]).mean(axis=1)
                weights += 1
    found = [float(loss / weight) if weight else None for loss, weight in zip(losses, weights, strict=True)]
    return {f"{strength:g}": loss for strength, loss in zip(STRENGTHS, found, strict=True)}


def _fit(
    columns: Floats, positive: Mask, training: Mask, asked: Mask, strengths: tuple[float, ...] | list[float]
) -> Floats:
    """Log-odds [strengths, asked] of probes trained on some rows, standardised by those alone.

    More features than rows are turned into as many directions as there are rows: the penalty is the same in any basis,
    and nothing outside these directions can be learned from them.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    ours, theirs = columns[training], columns[asked]
    mean, deviation = ours.mean(axis=0), ours.std(axis=0)
    deviation[deviation <= 1e-12 * (1.0 + np.abs(mean))] = 1.0  # what does not vary but for rounding is no feature
    ours, theirs = (ours - mean) / deviation, (theirs - mean) / deviation
    if ours.shape[1] > len(ours):
        directions = np.linalg.svd(ours, full_matrices=False)[2].T
        ours, theirs = ours @ directions, theirs @ directions
    answers = []
    for strength in strengths:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            answers.append(model.fit(ours, positive[training]).decision_function(theirs))
    return np.array(answers)
