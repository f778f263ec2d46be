"""Shortcuts where labels have outputs: what rules without a model reach on the test split.

As `tasks.shortcuts` has it of classes, with the same checks, thresholds and words. A rule learns each output from the
rows of the earlier splits (train and validation) of which it is known, and is scored on the test rows: numbers by
Spearman's rank correlation, zeros and ones by the AUROC, each a mean over the outputs. Chance is 0 and 0.5; a threshold
t of the correlation is 0.5 + t / 2 of the AUROC. How negatives were made is a question about classes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import RegressorMixin
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from foundationless.study.vocabulary import TRACKS, VALUES
from foundationless.tasks import leakage
from foundationless.tasks.outputs.labels import output_values
from foundationless.tasks.sequence_sets import labels_in
from foundationless.tasks.shortcuts import (
    CHECKS,
    FEWEST,
    PLACED,
    Row,
    ambiguity,
    composition,
    low_case,
    unknown_check,
    without_bases,
    word_of,
)

METRICS = {VALUES: "spearman", TRACKS: "macro_auroc"}
CHANCE = {VALUES: 0.0, TRACKS: 0.5}
EARLIER, TEST, BASES = 10_000, 4000, 6_000_000  # rows, and bases of either side, that rules look at
MOST_OUTPUTS = 20  # that are looked at: of more, the mean over a draw of them says as much
RESAMPLES = 200
WORD = 4  # letters of the k-mers whose shares a weighted sum reads
STRENGTHS = tuple(10.0**power for power in range(-2, 6))  # of the weighted sums, chosen by leaving rows out
OF_CLASSES = (
    "motifs", "constant segments", "defining site", "shuffled twins", "shuffled twins anywhere", "positional twins",
    "positional twins anywhere",
)  # fmt: skip

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Rows that a rule looks at: `values` [n, outputs], NaN where one is not known, of test and of earlier splits."""

    ids: NDArray[np.object_]
    outputs: NDArray[np.int64]  # which of the set's
    sequences: list[str]  # as they are
    values: Floats
    kind: str
    test: NDArray[np.bool_]
    groups: NDArray[np.int64]
    seed: int
    note: str = ""

    @cached_property
    def upper(self) -> list[str]:
        return [text.upper() for text in self.sequences]

    def of(self, rows: NDArray[np.int64]) -> "Rows":
        """The same with some of its rows."""
        kept, groups = [self.sequences[row] for row in rows], self.groups[rows]
        ids, values, test = self.ids[rows], self.values[rows], self.test[rows]
        return replace(self, ids=ids, sequences=kept, values=values, test=test, groups=groups)


def audit(
    frame: pd.DataFrame,
    nearest: pd.Series | None = None,
    pieces: Callable[[], Iterable[tuple[str, int, str]]] | None = None,
    seed: int = 1,
) -> list[Row]:
    """All checks of a set whose labels have outputs, as `tasks.shortcuts.audit` gives them of classes.

    Rules look at most at 10,000 earlier rows, 4,000 test rows and 20 outputs, drawn by `seed`; the notes say so.
    """
    everything = _rows(frame, seed)
    if why := _unfit(everything):
        return [_unknown(everything.kind, check, why) for check in CHECKS]
    rows = _drawn(everything)
    found = [
        _by_tree(rows, "length", _lengths(rows.sequences), "number of bases"),
        _by_tree(rows, "N", ambiguity(rows.upper), "letters other than A, C, G, T"),
        _by_tree(rows, "case", low_case(rows.sequences), "share of lower-case letters"),
        _by_sum(rows, "composition", composition(rows.upper), "bases and dinucleotides"),
        _by_sum(rows, "k-mers", kmer_shares(rows.upper), f"shares of {WORD}-mers"),
        _look_up(rows, everything, nearest),
        _genome(rows, pieces),
        without_bases(rows.upper, rows.test, rows.groups),
        *(_unknown(rows.kind, check, "a question about classes") for check in OF_CLASSES),
    ]
    return sorted(found, key=lambda row: list(CHECKS).index(row["check"]))


def _rows(frame: pd.DataFrame, seed: int) -> Rows:
    known = frame[frame["label"].notna()]
    groups = pd.factorize(known["group"] if "group" in known else known["id"])[0]
    test = (known["split"] == "test").to_numpy()
    ids, texts = known["id"].to_numpy(dtype=object), known["sequence"].tolist()
    kind, outputs = labels_in(frame)
    return Rows(ids, np.arange(len(outputs)), texts, output_values(known), kind, test, groups.astype(np.int64), seed)


def _varies(values: Floats) -> NDArray[np.bool_]:
    """Outputs of which enough of these rows are known, not all the same [outputs]."""
    known = np.isfinite(values)
    least, most = np.where(known, values, np.inf).min(axis=0), np.where(known, values, -np.inf).max(axis=0)
    varies: NDArray[np.bool_] = (known.sum(axis=0) >= FEWEST) & (most > least)
    return varies


def _unfit(rows: Rows) -> str:
    """Why nothing can be said of these rows; empty: something can."""
    for name, side in (("train and validation", ~rows.test), ("test", rows.test)):
        if side.sum() < FEWEST or not _varies(rows.values[side]).any():
            return f"no output of which {FEWEST} rows are known, and differ, in {name}"
    return ""


def _drawn(rows: Rows) -> Rows:
    """At most so many rows of either side, and outputs that vary on both, at random."""
    generator, kept, notes = np.random.default_rng(rows.seed), [], []
    for name, side, most in (("earlier", ~rows.test, EARLIER), ("test", rows.test, TEST)):
        places = np.flatnonzero(side)
        mean = np.mean([len(rows.sequences[place]) for place in places])
        most = max(FEWEST, min(most, int(BASES / mean)))
        if len(places) > most:
            notes.append(f"{most:,} of {len(places):,} {name} rows")
            places = generator.choice(places, most, replace=False)
        kept.append(places)
    fewer = rows.of(np.sort(np.concatenate(kept)))
    fit = np.flatnonzero(_varies(fewer.values[~fewer.test]) & _varies(fewer.values[fewer.test]))
    if len(fit) > MOST_OUTPUTS:
        notes.append(f"{MOST_OUTPUTS} of {len(fit)} outputs")
        fit = np.sort(generator.choice(fit, MOST_OUTPUTS, replace=False))
    return replace(fewer, outputs=fit, values=fewer.values[:, fit], note=", ".join(notes))


# Values, intervals and words.


def scores(kind: str, observed: Floats, predicted: Floats) -> Floats:
    """Spearman's rank correlation, or the AUROC, of each output [outputs]; NaN where it is not defined."""
    found = np.full(observed.shape[1], np.nan)
    for place, (truth, guess) in enumerate(zip(observed.T, predicted.T, strict=True)):
        known = np.isfinite(truth)
        truth, ranks = truth[known], rankdata(guess[known])
        positive = int((truth > 0).sum())
        if kind == TRACKS and 0 < positive < len(truth):
            below = ranks[truth > 0].sum() - positive * (positive + 1) / 2
            found[place] = below / positive / (len(truth) - positive)
        elif kind == VALUES and len(truth) > 1 and np.ptp(truth) > 0:
            found[place] = np.corrcoef(rankdata(truth), ranks)[0, 1] if np.ptp(ranks) > 0 else 0.0
    return found


def _judged(check: str, rows: Rows, predicted: Floats, note: str) -> Row:
    """The row of a rule from its predictions of the test rows [test rows, outputs]."""
    observed, groups = rows.values[rows.test], rows.groups[rows.test]
    value = _mean(scores(rows.kind, observed, predicted))
    distinct, numbers = np.unique(groups, return_inverse=True)
    numbers = numbers.reshape(-1) if len(distinct) >= FEWEST else np.arange(len(groups))
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(numbers.max() + 2))
    generator, drawn = np.random.default_rng(rows.seed), []
    for _ in range(RESAMPLES):
        units = generator.integers(0, len(starts) - 1, len(starts) - 1)
        places = np.concatenate([order[starts[unit] : starts[unit + 1]] for unit in units])
        drawn.append(_mean(scores(rows.kind, observed[places], predicted[places])))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    threshold = _threshold(rows.kind, check)
    row = {"check": check, "against": CHECKS[check][1], "metric": METRICS[rows.kind], "value": value}
    row |= {"low": float(low), "high": float(high), "threshold": threshold}
    said = "; ".join(part for part in (note, rows.note) if part)
    return row | {"word": word_of(threshold, float(low), float(high), "shortcut"), "note": said}


def _mean(each: Floats) -> float:
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def _threshold(kind: str, check: str) -> float:
    chance = CHANCE[kind]
    return chance + CHECKS[check][2] * (1 - chance)


def _unknown(kind: str, check: str, why: str) -> Row:
    row = unknown_check(check, why)
    if CHECKS[check][0] == "share":
        return row
    return row | {"metric": METRICS[kind], "threshold": _threshold(kind, check)}


# Rules.


def _learned(rows: Rows, features: Floats, learner: RegressorMixin) -> Floats:
    """Predictions of the test rows [test rows, outputs] by a learner of each output from the rows where it is known."""
    predicted = np.zeros((int(rows.test.sum()), rows.values.shape[1]))
    for place, truth in enumerate(rows.values.T):
        known = ~rows.test & np.isfinite(truth)
        predicted[:, place] = learner.fit(features[known], truth[known]).predict(features[rows.test])
    return predicted


def _by_tree(rows: Rows, check: str, features: Floats, what: str) -> Row:
    """A small tree on a few numbers of each row; chance where they do not vary."""
    if (np.ptp(features[~rows.test], axis=0) == 0).all():
        flat = np.zeros((int(rows.test.sum()), rows.values.shape[1]))
        return _judged(check, rows, flat, f"{what}: the same in all rows")
    tree = DecisionTreeRegressor(max_leaf_nodes=8, min_samples_leaf=10, random_state=rows.seed)
    note = f"{what}, a tree; {_alone(rows, features[:, 0], what)}" if check == "length" else f"{what}, a tree"
    return _judged(check, rows, _learned(rows, features, tree), note)


def _by_sum(rows: Rows, check: str, features: Floats, what: str) -> Row:
    """A weighted sum of standardised numbers, of the strength that does best on rows left out."""
    ridge = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    note = f"{what}, a weighted sum"
    if check == "composition":
        note += f"; {_alone(rows, features[:, 4], 'share of G and C')}"
    return _judged(check, rows, _learned(rows, features, ridge), note)


def _alone(rows: Rows, feature: Floats, what: str) -> str:
    """What one number says by itself on the test rows, whichever way: a mean over the outputs of its size."""
    column = np.repeat(feature[rows.test, None], rows.values.shape[1], axis=1)
    each = scores(rows.kind, rows.values[rows.test], column)
    if rows.kind == TRACKS:
        return f"AUROC of the {what} alone {_mean(np.maximum(each, 1 - each)):.2f}"
    return f"|ρ| with the {what} {_mean(np.abs(each)):.2f}"


def _lengths(sequences: list[str]) -> Floats:
    return np.array([[len(text)] for text in sequences], dtype=np.float64)


def kmer_shares(sequences: list[str]) -> Floats:
    """Share of each word of four letters, either strand as one, in each sequence [n, 256]; words with N are none."""
    codes = np.full(256, -1, dtype=np.int64)
    codes[np.frombuffer(b"ACGT", dtype=np.uint8)] = [0, 1, 2, 3]
    kinds = 4**WORD
    backward = np.array([_reverse(word) for word in range(kinds)])
    shares = np.zeros((len(sequences), kinds))
    for row, text in enumerate(sequences):
        letters = codes[np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)]
        if len(letters) < WORD:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(letters, WORD)
        words = windows[(windows >= 0).all(axis=1)] @ (4 ** np.arange(WORD)[::-1])
        counts = np.bincount(words, minlength=kinds)
        shares[row] = (counts + counts[backward]) / max(1, 2 * len(words))
    return shares


def _reverse(word: int) -> int:
    """The word on the other strand."""
    letters = [(word >> 2 * place) & 3 for place in range(WORD)]  # from the last to the first
    return sum((3 - letter) << 2 * (WORD - 1 - place) for place, letter in enumerate(letters))


def _look_up(rows: Rows, everything: Rows, nearest: pd.Series | None) -> Row:
    """The values of the most similar earlier row, and the mean where none is similar or its value is not known."""
    if nearest is None:
        return _unknown(rows.kind, "look-up", "similar rows were not looked for")
    values = pd.DataFrame(everything.values[:, rows.outputs], index=everything.ids)
    found = pd.Series(rows.ids[rows.test]).map(nearest)
    predicted = values.reindex(found).to_numpy()
    usual = np.nanmean(rows.values[~rows.test], axis=0)
    predicted = np.where(np.isfinite(predicted), predicted, usual)
    return _judged("look-up", rows, predicted, f"{found.notna().mean():.1%} of test rows have a similar one")


def _genome(rows: Rows, pieces: Callable[[], Iterable[tuple[str, int, str]]] | None) -> Row:
    """How much of a row the genome holds: what was made up is not in it."""
    if pieces is None:
        return _unknown(rows.kind, "genome", "no genome was given")
    generator = np.random.default_rng(rows.seed)
    sides = [generator.permutation(np.flatnonzero(side))[:PLACED] for side in (~rows.test, rows.test)]
    fewer = rows.of(np.sort(np.concatenate(sides)))
    distinct = list(dict.fromkeys(fewer.upper))
    share = dict(zip(distinct, leakage.seen_share(distinct, pieces()), strict=True))
    held = np.array([share[text] for text in fewer.upper])
    row = _by_tree(fewer, "genome", held[:, None], "share of the row that the genome holds")
    return row | {"note": f"{(held < 0.5).mean():.1%} of rows are not in the genome; {row['note']}"}
