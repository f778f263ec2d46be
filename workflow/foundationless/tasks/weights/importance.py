"""Importance weights by a classifier: how much likelier a row is among those of another set (Sugiyama et al. 2012,
doi:10.1017/CBO9781139035613, chapter 4; Bickel, Brückner and Scheffer 2009)."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError

WORD = 4  # bases of a k-mer: 256 features, fewer than the rows of most sets
CLIP = 10.0  # weights lie between its inverse and it, before their mean is made 1
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # of the regression: that of the least loss of rows left out is taken
FOLDS = 5  # a row's weight is by a classifier that has not seen the row


def importance(source: Sequence[str], target: Sequence[str]) -> np.ndarray:
    """Weights [source rows] of mean 1 under which sequences of `source` are composed as those of `target`.

    Odds of `target` against `source` by a logistic regression on standardised frequencies of `WORD`-mers of both
    strands, each row predicted by the folds that it is not in; no label is read. `UserError` for too few rows.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    if min(len(source), len(target)) < FOLDS:
        raise UserError(
            f"weighting needs {FOLDS} training rows of either set; there are {len(source)} and {len(target)}."
        )
    matrix = frequencies([*source, *target])
    side = np.repeat([0, 1], [len(source), len(target)])
    cut = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=one, max_iter=1000)) for one in STRENGTHS]
    with threadpool_limits(1):  # products are small, and the job has one thread
        found = [cross_val_predict(model, matrix, side, cv=cut, method="predict_proba")[:, 1] for model in models]
    chance = min(found, key=lambda each: log_loss(side, each))[: len(source)]
    odds = chance / np.maximum(1 - chance, np.finfo(np.float64).tiny) * len(source) / len(target)
    clipped = np.clip(odds, 1 / CLIP, CLIP)
    return np.asarray(clipped / clipped.mean())


def frequencies(sequences: Sequence[str]) -> np.ndarray:
    """Relative frequencies [sequences, 4^`WORD`] of words of A, C, G and T on both strands."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = ["".join(letters) for letters in product("ACGT", repeat=WORD)]
    counter = CountVectorizer(analyzer="char", ngram_range=(WORD, WORD), lowercase=False, vocabulary=words)
    counts = counter.transform(f"{text}N{reverse_complement(text)}" for text in sequences).toarray()
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def effective_rows(weights: np.ndarray) -> float:
    """How many rows of equal weight these are worth (Kish 1965): the square of their sum over the sum of squares."""
    return float(weights.sum() ** 2 / (weights**2).sum())
