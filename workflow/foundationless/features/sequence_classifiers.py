"""Classifiers that read sequences base by base: rules that cost next to nothing, and what memory alone reaches.

`markov`           a Markov chain per class, by Bayes' rule (Durbin et al. 1998, chapter 3)
`pwm`              a positional weight matrix, or array, per class (Staden 1984; Zhang and Marr 1993)
`positional_kmer`  a table of a few k-mers at fixed positions
`nearest`          the label of the most similar training sequence, also where labels are numbers

All are trained on train rows, and validation chooses what each of them leaves open. The first three give softmax of a
score; independence that does not hold makes such scores too sure of themselves, so that they are divided by one number,
the temperature, at which the labels of validation (of train where there is none) are likeliest (Guo et al. 2017,
arXiv:1706.04599). It changes no prediction.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from foundationless.features.bases import OTHER, Bases, Columns, align, spell, words
from foundationless.features.classifiers import Fitted, ProbeSettings, Samples, _softmax, _tune
from foundationless.features.importances import Importances

ORDERS = tuple(range(9))  # of Markov chains; 3 without a validation split
PSEUDOCOUNT = 1.0  # added to every transition of a Markov chain
MATRIX_ORDERS = (0, 1, 2, 3)  # of weight matrices; 0 without a validation split
SHARED = 3.0  # pseudocounts of a position and context of a weight matrix
LONGEST = 4  # bases of a positional k-mer
INDICATORS = tuple(range(9))  # positional k-mers of a table; 4 without a validation split
SKETCH = 1 << 25  # words of the training sequences that the look-up holds
WORD_LENGTHS = (4, 5, 6, 8, 10, 12, 16, 20)  # of the look-up; 12 without a validation split
ROWS = 256  # sequences looked up at once


def fit(kind: str, read: Bases, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Train the classifier `kind` of `vocabulary.SEQUENCE_CLASSIFIERS` on the train rows of `read`."""
    if samples.outputs:
        return _nearest(read, samples.observed, samples.means(), samples, settings)
    labels = np.searchsorted(samples.classes, samples.frame["label"].astype(str).to_numpy(dtype=str))
    fitter: Callable[..., Fitted] = globals()[f"_fit_{kind}"]
    return fitter(read, labels, samples, settings)


def _shares(labels: np.ndarray, samples: Samples) -> np.ndarray:
    """Shares [classes] of the classes among train rows."""
    counts = np.bincount(labels[samples.rows("train")], minlength=len(samples.classes))
    shares: np.ndarray = counts / counts.sum()
    return shares


def _temper(scores: np.ndarray, labels: np.ndarray, samples: Samples) -> tuple[np.ndarray, dict[str, Any]]:
    """Probabilities [n, classes] of scores in nats, at the temperature where known labels are likeliest."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows = samples.rows("validation")
    rows = rows if len(rows) else samples.rows("train")
    known = scores[rows]
    right = known[np.arange(len(rows)), labels[rows]]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.mean(logsumexp(known * scale, axis=1) - right * scale))

    best = minimize_scalar(loss, bounds=(-3.0, 9.0), method="bounded").x
    return _softmax(scores * np.exp(-best)), {"temperature": round(float(np.exp(best)), 4)}


def _against_others(logs: np.ndarray, shares: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Log-odds of every class against all others (weighted by `shares`) from log-probabilities [classes, ...].

    Of two classes the second alone is told: the first has the same with the other sign.
    """
    told = [1] if len(shares) == 2 else list(range(len(shares)))
    odds = []
    for code in told:
        others = np.delete(np.arange(len(shares)), code)
        weights = shares[others] / shares[others].sum()
        odds.append(logs[code] - np.log(np.tensordot(weights, np.exp(logs[others]), axes=1)))
    return told, np.stack(odds)


# ---- Markov chains


def _runs(codes: np.ndarray) -> np.ndarray:
    """For every position how many known bases end there without a break (0: it is none itself)."""
    places = np.arange(len(codes))
    last = np.maximum.accumulate(np.where(codes < OTHER, -1, places))
    runs: np.ndarray = places - last
    return runs


def _fit_markov(read: Bases, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Log-likelihood ratio of Markov chains, one per class, with the class shares of train rows as prior.

    Durbin, Eddy, Krogh and Mitchison, Biological Sequence Analysis (1998), chapter 3: the probability of a base behind
    the `order` bases before it, with `PSEUDOCOUNT` added to each of the four. The first bases of a sequence, and those
    behind a letter other than A, C, G, T, are read by the chains of lower orders, so that every known base counts once.
    """
    longest, classes = ORDERS[-1] + 1, len(samples.classes)
    trained = np.zeros(len(read), dtype=bool)
    trained[samples.rows("train")] = True
    counts = [np.zeros(classes * 4**k) for k in range(1, longest + 1)]
    for _, codes, owners in read.blocks():
        taught = trained[owners]
        for k, (found, valid) in enumerate(words(codes, longest), 1):
            used = np.flatnonzero(valid & taught[: len(found)])
            key = labels[owners[used]] * 4**k + found[used]
            counts[k - 1] += np.bincount(key, minlength=classes * 4**k)
    logs = []
    for k, table in enumerate(counts, 1):
        smooth = table.reshape(classes, 4 ** (k - 1), 4) + PSEUDOCOUNT
        logs.append(np.log(smooth / smooth.sum(axis=2, keepdims=True)).reshape(classes, 4**k))
    within, begun = _likelihoods(read, logs)
    prior = np.log(_shares(labels, samples))

    def train(order: int) -> tuple[np.ndarray, dict[str, Any]]:
        scores = within[order] + begun[:order].sum(axis=0) + prior
        return _temper(scores, labels, samples)

    fitted = _tune("order", ORDERS, 3, train, samples, settings.metric)
    k = int(fitted.chosen["order"]) + 1
    told, odds = _against_others(logs[k - 1], _shares(labels, samples))
    often = counts[k - 1].reshape(classes, -1).sum(axis=0) / trained.sum()
    names = [spell(word, k) for word in range(4**k)]
    weights = Importances("nats", [samples.classes[code] for code in told], odds * often, names)
    return fitted._replace(importances=weights)


def _likelihoods(read: Bases, logs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods [orders, n, classes]: of bases with `order` known ones before, and with exactly so many."""
    shape = len(logs), len(read), len(logs[0])
    within, begun = np.zeros(shape), np.zeros(shape)
    for rows, codes, owners in read.blocks():
        runs = _runs(codes)
        size = rows.stop - rows.start
        for order, (found, valid) in enumerate(words(codes, len(logs))):
            ends = np.flatnonzero(valid)
            first = runs[ends + order] == order + 1
            mine = owners[ends] - rows.start
            for code in range(shape[2]):
                values = logs[order][code, found[ends]]
                within[order, rows, code] = np.bincount(mine, values, minlength=size)
                begun[order, rows, code] = np.bincount(mine[first], values[first], minlength=size)
    return within, begun


# ---- what stands where


def _fit_pwm(read: Bases, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """Sum over positions of the log-probability of the base there, per class, with the class shares as prior.

    Order 0 is the positional weight matrix (Staden 1984, doi:10.1093/nar/12.1Part2.505); order 1 and more the weight
    array, in which a base depends on those before it (Zhang and Marr 1993, doi:10.1093/bioinformatics/9.5.499).
    Validation chooses the order. A class has `SHARED` pseudocounts at each position and context, shared out as all
    classes together have the bases there: where classes do not differ, a position says nothing. Which positions
    sequences of unequal or great length are read at stands at `bases.align`.
    """
    columns, rows, classes = align(read), samples.rows("train"), len(samples.classes)
    scores = np.zeros((len(MATRIX_ORDERS), len(read), classes))
    tables: list[list[tuple[int, np.ndarray, np.ndarray]]] = []  # of each position: start of its words, log-odds, nats
    for position in range(columns.codes.shape[1]):
        current, pooled, table = np.zeros((len(read), classes)), np.full((1, 4), 0.25), []
        for order in MATRIX_ORDERS:
            start = position - order
            if start >= 0 and columns.stretch[start] == columns.stretch[position]:
                word = _words_at(columns, start, order + 1)
                size = 4 ** (order + 1)
                counts = np.bincount(labels[rows] * (size + 1) + word[rows], minlength=classes * (size + 1))
                counts = counts.reshape(classes, size + 1)[:, :size].reshape(classes, -1, 4)
                # As the words without their first base have it, where this context is rare.
                pooled = counts.sum(axis=0) + 4 * np.tile(pooled, (len(counts[0]) // len(pooled), 1))
                pooled /= pooled.sum(axis=1, keepdims=True)
                smooth = counts + SHARED * pooled
                logs = np.log(smooth / smooth.sum(axis=2, keepdims=True)).reshape(classes, size)
                known = word < size
                current[known] = logs[:, word[known]].T
                table.append((start, logs, counts.sum(axis=0).ravel() / len(rows)))
            scores[order] += current
        tables.append(table)
    shares = _shares(labels, samples)

    def train(order: int) -> tuple[np.ndarray, dict[str, Any]]:
        return _temper(scores[order] + np.log(shares), labels, samples)

    fitted = _tune("order", MATRIX_ORDERS, 0, train, samples, settings.metric)
    names, weights = [], []
    for table in tables:
        start, logs, often = table[min(int(fitted.chosen["order"]), len(table) - 1)]
        told, odds = _against_others(logs, shares)
        k = len(table) if len(table) <= fitted.chosen["order"] else int(fitted.chosen["order"]) + 1
        names += [f"{columns.names[start]}:{spell(word, k)}" for word in range(4**k)]
        weights.append(odds * often)
    told_classes = [samples.classes[code] for code in told]
    return fitted._replace(importances=Importances("nats", told_classes, np.concatenate(weights, axis=1), names))


def _fit_positional_kmer(read: Bases, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """A table of indicators "this k-mer (k up to `LONGEST`) starts at this position", taken one after the other.

    Each is the one that tells most of the class, in nats, within the cells that those before it make: a decision tree
    with one question per level (an oblivious tree, Kohavi 1994). Validation chooses how many questions are asked. A
    cell holds the class shares of its train rows, and one more row as its parent cell has them. Which positions
    sequences of unequal or great length are read at stands at `bases.align`.
    """
    columns = align(read)
    rows, classes = samples.rows("train"), len(samples.classes)
    taught = Columns(columns.codes[rows], columns.names, columns.stretch)
    most = INDICATORS[-1] if len(samples.rows("validation")) else 4
    cells, sizes = np.zeros(len(read), dtype=np.int64), np.bincount(labels[rows], minlength=classes)
    tables = [np.tile(_shares(labels, samples), (len(read), 1))]
    asked: list[tuple[str, float, int]] = []
    for level in range(most):
        found = _best_indicator(taught, cells[rows], labels[rows], 2**level, classes)
        if found is None:
            break
        position, k, word, gain = found
        holds = _words_at(columns, position, k) == word
        cells = 2 * cells + holds
        key = cells[rows] * classes + labels[rows]
        own = np.bincount(key, minlength=2 ** (level + 1) * classes).reshape(-1, classes)[cells] + tables[-1]
        tables.append(own / own.sum(axis=1, keepdims=True))
        having = np.bincount(labels[rows][holds[rows]], minlength=classes) / sizes
        asked.append((f"{columns.names[position]}:{spell(word, k)}", gain / len(rows), int(having.argmax())))

    def train(number: int) -> tuple[np.ndarray, dict[str, Any]]:
        return tables[number].astype(np.float32), {}

    candidates = [number for number in INDICATORS if number < len(tables)]
    last = math.inf if len(candidates) == len(INDICATORS) else candidates[-1]  # where no further one tells anything
    fitted = _tune("indicators", candidates, min(4, len(tables) - 1), train, samples, settings.metric, most=last)
    used = asked[: int(fitted.chosen["indicators"])]
    weights = np.full((classes, len(used)), np.nan)
    for place, (_, gain, code) in enumerate(used):
        weights[code, place] = gain
    return fitted._replace(importances=Importances("information", samples.classes, weights, [one[0] for one in used]))


def _words_at(columns: Columns, position: int, k: int) -> np.ndarray:
    """The word of `k` bases that starts at a position, of every row [n]; 4^k where there is none."""
    part = columns.codes[:, position : position + k]
    word = np.zeros(len(part), dtype=np.int64)
    for offset in range(k):
        word = word * 4 + (part[:, offset] & 3)
    return np.where((part < OTHER).all(axis=1), word, 4**k)


def _best_indicator(
    columns: Columns, cells: np.ndarray, labels: np.ndarray, number: int, classes: int
) -> tuple[int, int, int, float] | None:
    """Position, length and word of the indicator that tells most of `labels` within `number` cells, and the nats.

    Ties: the shortest, then the first position, then the first word of the alphabet. None: nothing tells anything.
    """
    counted = np.arange(len(labels) + 1, dtype=float)
    nats = counted * np.log(np.maximum(counted, 1))  # x log x of whole numbers
    group = cells * classes + labels
    inside = np.bincount(group, minlength=number * classes).reshape(number, classes)
    before = nats[inside].sum(axis=1) - nats[inside.sum(axis=1)]
    best: tuple[int, int, int, float] | None = None
    for k in range(1, LONGEST + 1):
        for position in range(columns.codes.shape[1] - k + 1):
            if columns.stretch[position] != columns.stretch[position + k - 1]:
                continue
            key = group * (4**k + 1) + _words_at(columns, position, k)
            have = np.bincount(key, minlength=number * classes * (4**k + 1)).reshape(number, classes, -1)[:, :, :-1]
            lack = inside[:, :, None] - have
            after = (nats[have] + nats[lack]).sum(axis=1) - nats[have.sum(axis=1)] - nats[lack.sum(axis=1)]
            gains = (after - before[:, None]).sum(axis=0)
            word = int(gains.argmax())
            if gains[word] > (best[3] if best else 0.0) + 1e-9:
                best = position, k, word, float(gains[word])
    return best


# ---- memory


def _fit_nearest(read: Bases, labels: np.ndarray, samples: Samples, settings: ProbeSettings) -> Fitted:
    """The label of the training sequence that shares most words with a sequence, as a vote for its class."""
    votes = np.eye(len(samples.classes))[labels]
    return _nearest(read, votes, _shares(labels, samples), samples, settings)


def _nearest(
    read: Bases, votes: np.ndarray, otherwise: np.ndarray, samples: Samples, settings: ProbeSettings
) -> Fitted:
    """The label of the training sequence that shares most words with a sequence: what memory alone reaches.

    `votes` [n, classes or outputs] are the labels (NaN: not known), `otherwise` what stands where none is.

    Similarity is the cosine of two sets of k-mers, a k-mer and its reverse complement being one; validation chooses k.
    Training sequences that are equally similar vote, or give the mean of what is known of them; where none shares a
    word, the class shares, or means, of train rows stand. A train row has its own label. Of sets with more than
    `SKETCH` words, those of least hash are kept, the same share of every sequence (FracMinHash; Irber et al. 2022,
    doi:10.1101/2022.01.11.475838).
    """
    from scipy import sparse

    rows = samples.rows("train")
    asked = np.setdiff1d(np.arange(len(read)), rows)
    known = ~np.isnan(votes[rows])
    values, counted = np.where(known, votes[rows], 0.0), known.astype(float)
    # A sequence shorter than k has no words of that length.
    candidates = [k for k in WORD_LENGTHS if k <= int(read.lengths[rows].max())] or [WORD_LENGTHS[0]]

    def train(k: int) -> tuple[np.ndarray, dict[str, Any]]:
        sets, scale = _word_sets(read, k, rows)
        taught = sets[rows].T.tocsr()
        found = np.tile(otherwise, (len(read), 1))
        found[rows] = np.where(known, values, otherwise)
        for start in range(0, len(asked), ROWS):
            part = asked[start : start + ROWS]
            similar = (sets[part] @ taught).toarray()
            best = similar.max(axis=1, keepdims=True)
            nearest = sparse.csr_matrix((similar >= best * (1 - 1e-6)) & (best > 0), dtype=float)
            number = nearest @ counted
            found[part] = np.where(number > 0, (nearest @ values) / np.maximum(number, 1), otherwise)
        return found.astype(np.float32), {"scale": scale}

    default = 12 if 12 in candidates else candidates[-1]
    return _tune("word_length", candidates, default, train, samples, settings.metric)


def _word_sets(read: Bases, k: int, rows: np.ndarray) -> tuple[Any, int]:
    """Sets of words as rows of unit length (a sparse matrix [n, words of train rows]), and one in how many is kept."""
    from scipy import sparse

    scale = max(1, -(-int(read.lengths[rows].sum()) // SKETCH))
    parts = []
    for _, codes, owner in read.blocks():
        *_, (forward, valid) = words(codes, k)
        both = np.minimum(forward, _turn(codes, k))
        if scale > 1:
            valid = valid & (_mix(both) % np.uint64(scale) == 0)
        ends = np.flatnonzero(valid)
        parts.append(_distinct(owner[ends] << 2 * k | both[ends]))  # no sequence stands in two blocks
    pairs = np.concatenate(parts)
    owner, word = pairs >> 2 * k, pairs & (1 << 2 * k) - 1
    size = np.bincount(owner, minlength=len(read))  # a word that no training sequence has counts all the same
    trained = np.zeros(len(read), dtype=bool)
    trained[rows] = True
    known = _distinct(word[trained[owner]])
    order = np.argsort(word)  # neighbours are looked up together: several times as fast
    owner, word = owner[order], word[order]
    column = np.searchsorted(known, word)
    shared = column < len(known)
    shared[shared] = known[column[shared]] == word[shared]
    weight = (1 / np.sqrt(size[owner[shared]])).astype(np.float32)
    place = owner[shared], column[shared]
    return sparse.csr_matrix((weight, place), shape=(len(read), max(len(known), 1))), scale


def _distinct(values: np.ndarray) -> np.ndarray:
    """Sorted distinct values; `np.unique` hashes integers, which takes a hundred times as long."""
    ordered = np.sort(values)
    distinct: np.ndarray = ordered[np.diff(ordered, prepend=-1) != 0]  # none is negative
    return distinct


def _turn(codes: np.ndarray, k: int) -> np.ndarray:
    """The reverse complement of the word of `k` codes that starts at each position."""
    size = max(len(codes) - k + 1, 0)
    turned = np.zeros(size, dtype=np.int64)
    for offset in range(k - 1, -1, -1):
        turned = turned * 4 + (3 - (codes[offset : offset + size] & 3).astype(np.int64))
    return turned


def _mix(word: np.ndarray) -> np.ndarray:
    """A hash of 64 bits (the finaliser of SplitMix64)."""
    mixed = word.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
