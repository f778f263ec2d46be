"""Shortcuts: what a rule without a model reaches on the test split, and whether negatives were made from positives.

Every check is one row: a value with a 95 % interval, a threshold and a word. A *rule* learns from the earlier splits
(train and validation) and is scored by its Matthews correlation (MCC) on the test split: 0 is chance, whatever the
classes' sizes. Which learner, weighting of classes or order it takes is chosen by cross-validation within the earlier
splits, never on the test split. Length, N and case are artefacts of how a set was made, so their threshold is low;
composition, k-mers and motifs can be biology, and theirs says from where on a model's score means little beside them.
Other checks count test rows: twins of another label, rows without the site that defines a class, rows without bases.

Words: `shortcut` (a rule reaches the threshold, or classes have sites of their own), `constructed` (negatives were made
from positives: twins, or one of two classes lacks the other's site), `undecided` (the interval holds the threshold),
`none`, and `unknown` (the check could not be made; the note says why). A flag needs the whole interval at or above its
threshold, so that a small test split raises none by chance; one of twins needs, besides, that their labels differ more
often than chance has it. Thresholds are those at which seqleak 0.4.1 warns, but for the look-up, which has none there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import matthews_corrcoef
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from foundationless.tasks import construction, leakage

COLUMNS = ("check", "against", "metric", "value", "low", "high", "threshold", "word", "note")
# What is measured, what it is compared with, and from which value on it is flagged.
CHECKS: Mapping[str, tuple[str, str, float]] = {
    "length": ("mcc", "earlier", 0.1),
    "N": ("mcc", "earlier", 0.1),
    "case": ("mcc", "earlier", 0.1),
    "composition": ("mcc", "earlier", 0.5),
    "k-mers": ("mcc", "earlier", 0.5),
    "motifs": ("mcc", "earlier", 0.4),
    "look-up": ("mcc", "earlier", 0.1),
    "constant segments": ("mcc", "earlier", 0.1),
    "genome": ("mcc", "earlier", 0.2),
    "defining site": ("share", "earlier", 0.05),
    "shuffled twins": ("share", "earlier", 0.01),
    "shuffled twins anywhere": ("share", "all", 0.05),
    "positional twins": ("share", "earlier", 0.01),
    "positional twins anywhere": ("share", "all", 0.05),
    "without bases": ("share", "all", 0.005),
}
FLAGS = ("shortcut", "constructed")
ROWS, BASES = 20_000, 6_000_000  # of the earlier splits, and of test, that rules look at; others are drawn out
PLACED = 2000  # rows of either that are looked up in a genome
FEWEST = 20  # rows of either side below which nothing is said, and groups below which rows are drawn one by one
FOLDS, RESAMPLES = 5, 1000
ORDERS = (1, 2, 3, 4, 5)
CANDIDATES = 40  # (place, k-mer) pairs per length and class that the rule of motifs may choose from
BEYOND_CHANCE, PAIRS = 0.4, 10  # twins' kappa, and how many pairs it takes
_Z = 1.959963984540054
Row = dict[str, Any]


@dataclass(frozen=True)
class Items:
    """Labelled rows that a rule looks at: those of earlier splits, of which each has a fold, and those of test."""

    sequences: list[str]  # as they are
    labels: NDArray[np.int64]
    classes: list[str]
    test: NDArray[np.bool_]
    groups: NDArray[np.int64]
    folds: NDArray[np.int64]  # of all rows; those of a group are in one
    seed: int
    note: str = ""

    @cached_property
    def upper(self) -> list[str]:
        return [text.upper() for text in self.sequences]

    @cached_property
    def placed(self) -> tuple[NDArray[np.uint8], list[str]] | None:
        return construction.laid_out(self.upper)

    def of(self, rows: NDArray[Any]) -> "Items":
        """The same with some of its rows."""
        return Items(
            [self.sequences[row] for row in np.arange(len(self.sequences))[rows]], self.labels[rows], self.classes,
            self.test[rows], self.groups[rows], self.folds[rows], self.seed, self.note,
        )  # fmt: skip


Predicted = tuple[NDArray[np.int64], str]  # labels of the test rows, and what the rule looks at


def audit(
    frame: pd.DataFrame,
    nearest: pd.Series | None = None,
    pieces: Callable[[], Iterable[tuple[str, int, str]]] | None = None,
    seed: int = 1,
) -> list[Row]:
    """All checks of a sequence set: rows check, against, metric, value, low, high, threshold, word, note.

    `nearest` has, by id, the id of the most similar row of an earlier split (of `leakage.audit`), for the look-up;
    `pieces` are those of a genome (`Genome.pieces`). Rules look at most at 20,000 rows and 6 million bases of the
    earlier splits, and of test, drawn by `seed`; the note of a row says so. Twins are looked for among all rows.
    """
    everything = _items(frame, seed)
    why = _unfit(everything)
    if why:
        return [unknown_check(check, why) for check in CHECKS]
    items = _drawn(everything)
    rules: dict[str, Callable[[Items], Predicted | str]] = {
        "length": _length, "N": _ambiguous, "case": _case, "composition": _composition, "k-mers": _kmers,
        "motifs": _motifs, "constant segments": _constant,
    }  # fmt: skip
    rows = [_judged_rule(check, items, rule(items)) for check, rule in rules.items()]
    rows.append(_judged_rule("look-up", everything, _look_up(everything, frame, nearest)))
    rows.append(_judged_rule("genome", *_genome(items, pieces)))
    rows += [_site(items), *_twins(everything), without_bases(everything.upper, everything.test, everything.groups)]
    return sorted(rows, key=lambda row: list(CHECKS).index(row["check"]))


def _items(frame: pd.DataFrame, seed: int) -> Items:
    labelled = frame[frame["label"].notna()]
    labels, classes = pd.factorize(labelled["label"], sort=True)
    groups = pd.factorize(labelled["group"] if "group" in labelled else labelled["id"])[0]
    texts = labelled["sequence"].tolist()
    drawn = np.random.default_rng(seed).permutation(int(groups.max(initial=-1)) + 1)
    test = (labelled["split"] == "test").to_numpy()
    return Items(texts, labels.astype(np.int64), list(map(str, classes)), test, groups, drawn[groups] % FOLDS, seed)


def _unfit(items: Items) -> str:
    """Why nothing can be said of these rows; empty: something can."""
    if len(items.classes) < 2:
        return "there are no two classes"
    for name, rows in (("train and validation", ~items.test), ("test", items.test)):
        if rows.sum() < FEWEST or len(np.unique(items.labels[rows])) < 2:
            return f"fewer than {FEWEST} rows, or one class, in {name}"
    return ""


def _drawn(items: Items) -> Items:
    """At most so many rows and bases of either side, at random."""
    kept = np.zeros(len(items.sequences), dtype=bool)
    notes = []
    generator = np.random.default_rng(items.seed)
    for name, side in (("earlier", ~items.test), ("test", items.test)):
        rows = np.flatnonzero(side)
        mean = np.mean([len(items.sequences[row]) for row in rows])
        most = max(FEWEST, min(ROWS, int(BASES / mean)))
        if len(rows) > most:
            notes.append(f"{most:,} of {len(rows):,} {name} rows")
            rows = generator.choice(rows, most, replace=False)
        kept[rows] = True
    return replace(items.of(kept), note=", ".join(notes))


# Values, intervals and words.


def _row(check: str, value: float, low: float, high: float, word: str, note: str) -> Row:
    metric, against, threshold = CHECKS[check]
    numbers = {"value": value, "low": low, "high": high, "threshold": threshold}
    return {"check": check, "against": against, "metric": metric, **numbers, "word": word, "note": note}


def unknown_check(check: str, why: str) -> Row:
    """The row of a check that could not be made."""
    row = _row(check, 0.0, 0.0, 0.0, "unknown", why)
    return row | {"value": None, "low": None, "high": None}


def word_of(threshold: float, low: float, high: float, flag: str) -> str:
    """The word for an interval: the `flag` where all of it reaches the threshold."""
    if low >= threshold:
        return flag
    return "none" if high < threshold else "undecided"


def _judged_rule(check: str, items: Items, predicted: Predicted | str) -> Row:
    """The row of a rule from its predictions of the test rows, or from why there are none."""
    if isinstance(predicted, str):
        return unknown_check(check, predicted)
    guess, note = predicted
    actual, groups = items.labels[items.test], items.groups[items.test]
    value = float(matthews_corrcoef(actual, guess))
    low, high = mcc_interval(actual, guess, len(items.classes), groups, items.seed)
    said = "; ".join(part for part in (note, items.note) if part)
    return _row(check, value, low, high, word_of(CHECKS[check][2], low, high, "shortcut"), said)


def _gorodkin(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """MCC of confusion tables [..., K, K] (Gorodkin 2004); 0 where one side has one class, as scikit-learn says."""
    total = tables.sum(axis=(-2, -1))
    actual, guess = tables.sum(axis=-1), tables.sum(axis=-2)
    right = np.trace(tables, axis1=-2, axis2=-1)
    over = right * total - (actual * guess).sum(axis=-1)
    under = np.sqrt((total**2 - (actual**2).sum(axis=-1)) * (total**2 - (guess**2).sum(axis=-1)))
    values: NDArray[np.float64] = np.divide(over, under, out=np.zeros_like(over), where=under > 0)
    return values


def mcc_interval(
    actual: NDArray[np.int64], guess: NDArray[np.int64], classes: int, groups: NDArray[np.int64], seed: int
) -> tuple[float, float]:
    """95 % percentile interval of the MCC over 1,000 resamples of groups of rows, of rows where groups are too few."""
    cells = actual * classes + guess
    numbers, size = _units(groups)
    generator = np.random.default_rng(seed)
    if size == len(cells):  # rows are independent: how often each cell is drawn is multinomial
        counts = generator.multinomial(size, np.bincount(cells, minlength=classes**2) / size, RESAMPLES).astype(float)
    else:
        held = np.zeros((size, classes**2))
        np.add.at(held, (numbers, cells), 1)
        draws = [np.bincount(generator.integers(0, size, size), minlength=size) for _ in range(RESAMPLES)]
        counts = np.array(draws) @ held
    values = _gorodkin(counts.reshape(RESAMPLES, classes, classes))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _units(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Of each row the number of what is drawn together, and how many: groups, or rows where groups are too few."""
    distinct, numbers = np.unique(groups, return_inverse=True)
    if len(distinct) < FEWEST:
        return np.arange(len(groups)), len(groups)
    return numbers.reshape(-1), len(distinct)


def wilson(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (0, 1) of none."""
    if not total:
        return 0.0, 1.0
    share, more = count / total, _Z**2 / total
    middle, half = share + more / 2, _Z * np.sqrt(share * (1 - share) / total + more / total / 4)
    low, high = float((middle - half) / (1 + more)), float((middle + half) / (1 + more))
    return max(0.0, low) if count else 0.0, min(1.0, high) if count < total else 1.0


def _share(check: str, found: NDArray[np.bool_], groups: NDArray[np.int64], flag: str, note: str) -> Row:
    """The row of a share of rows; where rows depend on each other, as many count as there are groups."""
    value = float(found.mean())
    total = _units(groups)[1]
    low, high = wilson(round(value * total), total)
    word = word_of(CHECKS[check][2], low, high, flag) if found.any() else "none"  # of no row, however few there are
    return _row(check, value, low, high, word, note)


# Rules.


def _learned(
    items: Items, features: Callable[[NDArray[np.bool_]], NDArray[Any]], learners: Sequence[BaseEstimator]
) -> tuple[NDArray[np.int64], Any]:
    """Predictions of test by the learner, with or without weights of classes, that does best across folds; and it.

    `features` makes the numbers of all rows from those that are learned from, so that no fold is judged by numbers
    that its own labels chose.
    """
    known, labels = ~items.test, items.labels
    tried = [clone(learner) for learner in learners for _ in range(2)]
    for place, learner in enumerate(tried):
        step = learner.steps[-1][1] if hasattr(learner, "steps") else learner
        step.set_params(class_weight=(None, "balanced")[place % 2])
    guess = np.full((len(tried), len(labels)), -1)
    for fold in np.unique(items.folds[known]):
        inside, outside = known & (items.folds != fold), known & (items.folds == fold)
        if len(np.unique(labels[inside])) > 1:
            numbers = features(inside)
            for place, learner in enumerate(tried):
                guess[place, outside] = clone(learner).fit(numbers[inside], labels[inside]).predict(numbers[outside])
    scores = [matthews_corrcoef(labels[known], row[known]) for row in guess]
    chosen = tried[int(np.argmax(scores))]
    numbers = features(known)
    chosen.fit(numbers[known], labels[known])
    return chosen.predict(numbers[items.test]).astype(np.int64), chosen


def _tree(leaves: int, seed: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=10, random_state=seed)


def _linear() -> BaseEstimator:
    return make_pipeline(StandardScaler(), RidgeClassifier(alpha=10))  # a weighted sum, solved in one step


def _by_numbers(items: Items, features: NDArray[np.float64], what: str) -> Predicted:
    """A small tree on a few numbers of each row; chance where they do not vary."""
    if (np.ptp(features[~items.test], axis=0) == 0).all():
        return np.zeros(int(items.test.sum()), dtype=np.int64), f"{what}: the same in all rows"
    return _learned(items, lambda _: features, [_tree(2, items.seed), _tree(8, items.seed)])[0], what


def _length(items: Items) -> Predicted:
    return _by_numbers(items, np.array([[len(text)] for text in items.sequences], dtype=float), "number of bases")


def _ambiguous(items: Items) -> Predicted:
    return _by_numbers(items, ambiguity(items.upper), "letters other than A, C, G, T")


def ambiguity(sequences: Sequence[str]) -> NDArray[np.float64]:
    """Letters other than A, C, G, T, in either case: how many, and how many of them at either end."""
    numbers = []
    for text in sequences:
        other = len(text) - sum(map(text.count, "ACGT"))
        first = len(text) - len(text.lstrip("N"))
        last = len(text) - len(text.rstrip("N"))
        runs = max((len(run) for run in text.translate(_NOT_N).split()), default=0) if other else 0
        numbers.append((other, other / len(text), text.count("N"), first, last, runs))
    return np.array(numbers, dtype=float)


_NOT_N = {code: " " for code in range(128) if chr(code) != "N"}


def _case(items: Items) -> Predicted:
    return _by_numbers(items, low_case(items.sequences), "share of lower-case letters")


def low_case(sequences: Sequence[str]) -> NDArray[np.float64]:
    """Share of lower-case letters in each sequence [n, 1]."""
    return np.array([[sum(map(text.count, "acgtn")) / len(text)] for text in sequences])


def composition(sequences: Sequence[str]) -> NDArray[np.float64]:
    """Shares of the four bases, of G and C together, and of the sixteen dinucleotides; CpG over what is expected."""
    bases, pairs = construction.composition(sequences)
    total = np.maximum(1, bases.sum(axis=1))
    expected = np.maximum(1, bases[:, 1] * bases[:, 2]) / total
    shares = pairs / np.maximum(1, pairs.sum(axis=1))[:, None]
    return np.column_stack(
        [bases / total[:, None], (bases[:, 1] + bases[:, 2]) / total, shares, pairs[:, 6] / expected]
    )


def _composition(items: Items) -> Predicted:
    features = composition(items.upper)
    guess, chosen = _learned(items, lambda _: features, [_tree(8, items.seed), _linear()])
    return guess, "bases and dinucleotides, " + (
        "a tree" if isinstance(chosen, DecisionTreeClassifier) else "a weighted sum"
    )


def _kmers(items: Items) -> Predicted:
    """Each class a Markov chain, the likelier one wins; order and prior by cross-validation."""
    codes, starts = construction.encoded(items.upper)
    rows = np.repeat(np.arange(len(items.sequences)), np.diff(starts))
    known = ~items.test
    best, chosen = -2.0, (np.zeros(0, dtype=np.int64), "")
    for order in ORDERS:
        scores = _chains(items, codes, rows, order)
        for prior in (True, False):
            shifted = scores + (_log_prior(items) if prior else 0.0)
            guess = shifted.argmax(axis=1)
            score = matthews_corrcoef(items.labels[known], guess[known])
            if score > best + 1e-12:
                best, chosen = score, (guess[items.test], f"Markov chains of order {order}")
    return chosen


def _log_prior(items: Items) -> NDArray[np.float64]:
    counts = np.bincount(items.labels[~items.test], minlength=len(items.classes))
    logs: NDArray[np.float64] = np.log(np.maximum(counts, 0.5) / counts.sum())
    return logs


def _chains(items: Items, codes: NDArray[np.uint8], rows: NDArray[np.int64], order: int) -> NDArray[np.float64]:
    """Log-likelihood of each row under each class's chain [n, K]; of earlier rows without what their fold taught."""
    size, classes = order + 1, len(items.classes)
    kinds = 4**size
    word = np.zeros(len(codes) - order, dtype=np.int64)
    whole = rows[order:] == rows[: len(rows) - order]
    for place in range(size):
        letters = codes[place : place + len(word)]
        word = word * 4 + (letters & 3)
        whole &= letters < 4
    word, owner = word[whole], rows[: len(whole)][whole]
    learned = ~items.test[owner]
    cell = items.folds[owner] * classes + items.labels[owner]
    counts = np.bincount(cell[learned] * kinds + word[learned], minlength=FOLDS * classes * kinds)
    counts = counts.reshape(FOLDS, classes, kinds)
    without = np.concatenate([counts.sum(axis=0)[None] - counts, counts.sum(axis=0)[None]]) + 1.0
    chains = without.reshape(FOLDS + 1, classes, kinds // 4, 4)
    chains = np.log(chains / chains.sum(axis=-1, keepdims=True)).reshape(FOLDS + 1, classes, kinds)
    place = np.where(items.test, FOLDS, items.folds)[owner] * classes * kinds + word
    flat = chains.reshape(-1)
    parts = [
        np.bincount(owner, weights=flat[place + number * kinds], minlength=len(items.sequences))
        for number in range(classes)
    ]
    return np.column_stack(parts)


def _motifs(items: Items) -> Predicted | str:
    """A small tree, or a weighted sum, of whether k-mers of 1 to 3 bases stand at places where classes differ most."""
    if items.placed is None:
        return f"a sequence has fewer than {construction.SHORTEST} bases"
    matrix, names = items.placed
    chosen: list[tuple[int, int, int]] = []

    def features(known: NDArray[np.bool_]) -> NDArray[np.float64]:
        chosen[:] = _candidates(matrix[known], items.labels[known], len(items.classes)) or [(0, 1, 0)]
        return np.column_stack([construction.holds(matrix, *site) for site in chosen]).astype(float)

    guess, learner = _learned(items, features, [_tree(3, items.seed), _tree(12, items.seed), _linear()])
    if isinstance(learner, DecisionTreeClassifier):
        weights = learner.feature_importances_
    else:
        weights = np.abs(np.atleast_2d(learner.steps[-1][1].coef_)).max(axis=0)
    best = [chosen[number] for number in np.argsort(-weights, kind="stable")[:4] if weights[number] > 0]
    said = ", ".join(f"{construction.spelled(word, size)} at {names[place]}" for place, size, word in best)
    return guess, said


def _candidates(matrix: NDArray[np.uint8], labels: NDArray[np.int64], classes: int) -> list[tuple[int, int, int]]:
    """(place, size, k-mer) with the highest correlation to each class, per size: each but once."""
    sizes = np.bincount(labels, minlength=classes)
    chosen: dict[tuple[int, int, int], None] = {}
    for size in (1, 2, 3):
        shares = construction.frequencies(matrix, labels, classes, size)
        overall = np.tensordot(sizes / sizes.sum(), shares, axes=1)
        spread = np.sqrt(overall * (1 - overall))
        for own in range(classes):
            share = sizes[own] / sizes.sum()
            if not 0 < share < 1:
                continue
            # Correlation of two indicators: of the k-mer at its place, and of the class.
            gap = np.abs(shares[own] - overall) * np.sqrt(share / (1 - share))
            phi = np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0)
            for flat in np.argsort(-phi, axis=None, kind="stable")[:CANDIDATES]:
                place, word = np.unravel_index(int(flat), phi.shape)
                if phi[place, word] > 0:
                    chosen[int(place), size, int(word)] = None
    return list(chosen)


def _constant(items: Items) -> Predicted | str:
    """Which constant segments a row holds: of a construct, a library or an adapter."""
    if items.placed is None:
        return f"a sequence has fewer than {construction.SHORTEST} bases"
    matrix, names = items.placed
    segments = construction.constant_segments(np.unique(matrix[~items.test], axis=0))
    if not segments:
        return np.zeros(int(items.test.sum()), dtype=np.int64), "no segment of 21 bases in 5 % of the rows"
    held = [construction.holds(matrix, place, construction.SEGMENT, word) for place, word in segments]
    features = np.column_stack(held).astype(float)
    guess, _ = _learned(items, lambda _: features, [_tree(8, items.seed)])
    place, word = segments[0]
    text = construction.spelled(word, construction.SEGMENT)
    return guess, f"{len(segments)} segments of 21 bases; the most frequent: {text} at {names[place]}"


def _look_up(items: Items, frame: pd.DataFrame, nearest: pd.Series | None) -> Predicted | str:
    """The label of the most similar earlier row, and the most frequent one where none is similar."""
    if nearest is None:
        return "similar rows were not looked for"
    labelled = frame[frame["label"].notna()]
    known = pd.Series(items.labels, index=labelled["id"].to_numpy())
    found = labelled.loc[items.test, "id"].map(nearest).map(known)
    usual = int(np.bincount(items.labels[~items.test]).argmax())
    return found.fillna(usual).to_numpy(dtype=np.int64), f"{found.notna().mean():.1%} of test rows have a similar one"


def _genome(items: Items, pieces: Callable[[], Iterable[tuple[str, int, str]]] | None) -> tuple[Items, Predicted | str]:
    """How much of a row the genome holds: what was made up is not in it."""
    if pieces is None:
        return items, "no genome was given"
    generator = np.random.default_rng(items.seed)
    drawn = np.sort(np.concatenate([
        generator.permutation(np.flatnonzero(side))[:PLACED] for side in (~items.test, items.test)
    ]))  # fmt: skip
    fewer = items.of(drawn)
    distinct = list(dict.fromkeys(fewer.upper))
    share = dict(zip(distinct, leakage.seen_share(distinct, pieces()), strict=True))
    held = np.array([share[text] for text in fewer.upper])
    lacking = [
        f"{(held[fewer.labels == number] < 0.5).mean():.1%} of {name}"
        for number, name in enumerate(fewer.classes) if (fewer.labels == number).any()
    ]  # fmt: skip
    predicted, _ = _by_numbers(fewer, held[:, None], "share of the row that the genome holds")
    return fewer, (predicted, f"not in the genome: {', '.join(lacking)}")


# Counts of rows.


def _site(items: Items) -> Row:
    """Share of the other classes' test rows that lack the site which nearly all rows of one class hold."""
    check = "defining site"
    if items.placed is None:
        return unknown_check(check, f"a sequence has fewer than {construction.SHORTEST} bases")
    matrix, names = items.placed
    known = ~items.test
    site = construction.defining_site(matrix[known], items.labels[known], len(items.classes))
    if site is None:
        return _row(check, 0.0, 0.0, 0.0, "none", "no class has a site in 95 % of its rows that others lack")
    own, place, size, word = site
    held = construction.holds(matrix, place, size, word)
    inside, others = items.test & (items.labels == own), items.test & (items.labels != own)
    note = (
        f"{construction.spelled(word, size)} at {names[place]} in {held[inside].mean():.1%} of class "
        f"{items.classes[own]} and in {held[others].mean():.1%} of the others"
    )
    if not inside.any() or not others.any() or held[inside].mean() < 0.9:
        return _row(check, 0.0, 0.0, 0.0, "none", f"not so on test: {note}")
    flag = "constructed" if len(items.classes) == 2 else "shortcut"
    return _share(check, ~held[others], items.groups[others], flag, note)


def _twins(items: Items) -> list[Row]:
    """Test rows with a twin of another label in an earlier split, and in whatever split; of either kind of twins."""
    texts, numbers = np.unique(np.array(items.upper, dtype=object), return_inverse=True)
    classes = len(items.classes)
    held = np.zeros((2, len(texts), classes), dtype=bool)  # labels of a sequence: earlier, anywhere
    held[1, numbers, items.labels] = True
    known = ~items.test
    held[0, numbers[known], items.labels[known]] = True
    most = np.zeros((len(texts), classes), dtype=np.int64)
    np.add.at(most, (numbers, items.labels), 1)
    label = most.argmax(axis=1)
    expected = 1 - float(((np.bincount(items.labels, minlength=classes) / len(items.labels)) ** 2).sum())
    rows = []
    kinds = {"shuffled twins": construction.shuffled_twins, "positional twins": construction.positional_twins}
    for name, search in kinds.items():
        if name == "positional twins" and min(map(len, texts)) > construction.LONGEST:
            why = f"sequences have more than {construction.LONGEST:,} bases"
            rows += [unknown_check(check, why) for check in (name, f"{name} anywhere")]
            continue
        first, second = search(list(texts))
        unlike = int((label[first] != label[second]).sum())
        beyond, relation = _relation(unlike, len(first), expected)
        for check, labels in ((name, held[0]), (f"{name} anywhere", held[1])):
            partners = np.zeros((len(texts), classes), dtype=bool)
            np.logical_or.at(partners, first, labels[second])
            np.logical_or.at(partners, second, labels[first])
            mine = partners[numbers[items.test]]
            other = mine.sum(axis=1) > mine[np.arange(len(mine)), items.labels[items.test]]
            note = f"with any twin {mine.any(axis=1).mean():.1%}; {relation}"
            row = _share(check, other, items.groups[items.test], "constructed", note)
            rows.append(row if beyond else row | {"word": "none"})
    return rows


def _relation(unlike: int, pairs: int, expected: float) -> tuple[bool, str]:
    """Whether labels of so many pairs of twins differ beyond chance, and that in words.

    Kappa is how far the share of pairs with different labels lies above chance, as a share of how far it can. Twins
    whose labels agree, or differ as chance has it, are relatives, not negatives made from positives.
    """
    if not pairs:
        return False, "no pairs"
    share = unlike / pairs
    kappa = (share - expected) / (1 - expected)
    beyond = pairs >= PAIRS and kappa >= BEYOND_CHANCE and wilson(unlike, pairs)[0] > expected
    return beyond, f"{pairs:,} pairs, {share:.1%} with different labels (chance: {expected:.1%})"


def without_bases(sequences: Sequence[str], test: NDArray[np.bool_], groups: NDArray[np.int64]) -> Row:
    """Share of test rows of which less than half is A, C, G or T; sequences are in upper case."""
    tested = [text for text, tests in zip(sequences, test, strict=True) if tests]
    blank = np.array([2 * sum(map(text.count, "ACGT")) < len(text) for text in tested])
    return _share("without bases", blank, groups[test], "shortcut", "")
