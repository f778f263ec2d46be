"""Linear probes of facts on frozen vectors: ridge regression of numbers, logistic regression of what is there or not.

Train rows fit, validation rows choose the strength and the pooling of each fact, and the test rows are asked once. The
counts of 1- to 3-mers and the length go through the same lines beside every embedding: what composition alone tells.

Of a network whose inner layers were kept, every layer is a candidate too, and validation chooses the layer of each fact
with its pooling. What each layer is worth is read off the validation rows: test rows are asked about the winner alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.outputs import format_outputs
from foundationless.errors import UserError
from foundationless.evaluation.records import Result, finite
from foundationless.features import composition
from foundationless.features.classifiers import Fitted, ProbeSettings, Samples, evaluate_rows, score_rows
from foundationless.features.layers import Lazy
from foundationless.features.outputs import fitters
from foundationless.features.structure.facts import KINDS, fact_of, tell_facts
from foundationless.study.vocabulary import TRACKS, VALUES
from foundationless.tasks.sequence_sets import with_outputs

LEARNERS = {VALUES: ("ridge", "r2"), TRACKS: ("logistic", "macro_auroc")}  # the classifier, and what chooses
REPORTED = {VALUES: ("pearson", "r2"), TRACKS: ("macro_auroc",)}
MOST_ROWS = 5000  # of a split that are read, a seeded draw
WORD_ROWS = 500  # training rows among which words are looked for
KMERS = "kmers"  # what counts of k-mers and the length are called
LAYER = "layer"  # before its number: what the predictions of a layer are called

Floats = NDArray[np.float64]


class Probed(NamedTuple):
    """Results of the embedding, predictions of the test rows, and what was chosen.

    Of every output the predictions have `observed_NAME`, `predicted_NAME` of the embedding, and `kmers_NAME`. With
    layers they are of validation rows too (`split`), of which `layerN_NAME` is what the best pooling of a layer says.
    """

    results: list[Result]
    predictions: pd.DataFrame
    selections: list[dict[str, Any]]


def draw_rows(frame: pd.DataFrame, draws: int) -> pd.DataFrame:
    """At most `MOST_ROWS` rows of each split, in their order; a set without validation has it of a fifth of its
    training groups.

    `UserError` without train or test rows. The index says which rows they were.
    """
    from sklearn.model_selection import GroupShuffleSplit

    generator = np.random.default_rng(draws)
    kept = []
    for split in ("train", "validation", "test"):
        rows = np.flatnonzero(frame["split"] == split)
        if not len(rows) and split != "validation":
            raise UserError(f"the set has no {split} split; a probe trains on train and is judged on test.")
        kept.append(rows if len(rows) <= MOST_ROWS else generator.choice(rows, MOST_ROWS, replace=False))
    drawn = frame.reset_index(drop=True).iloc[np.sort(np.concatenate(kept))].copy()
    train = np.flatnonzero(drawn["split"] == "train")
    if len(kept[1]) or len(train) < 2:
        return drawn
    groups = drawn["group"].where(drawn["group"].notna(), drawn["id"]).astype(str).to_numpy()[train]
    if len(np.unique(groups)) < 2:
        groups = train.astype(str)
    cutter = GroupShuffleSplit(1, test_size=0.2, random_state=draws)
    chosen = train[next(cutter.split(train, groups=groups))[1]]
    drawn.loc[drawn.index[chosen], "split"] = "validation"
    return drawn


def probe_facts(
    frame: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    *,
    seed: int,
    draws: int,
    threads: int = 1,
    layers: Mapping[str, int] | None = None,
) -> Probed:
    """Fit, choose and test a probe of every fact of `facts.tell_facts`.

    Args:
        frame: id, sequence, split and group of every row.
        features: pooling -> vectors [n, d] in the same order.
        seed: of the record.
        draws: draws rows and words, the same for every cell of a study, so that arms are asked the same.
        threads: of linear algebra.
        layers: which layer each of `features` is of, the last one first; without it they are of the last.

    Raises:
        UserError: no train or test rows, vectors that are not finite, no fact that varies.
    """
    drawn = draw_rows(frame, draws)
    rows = drawn.index.to_numpy()
    own: Mapping[str, np.ndarray] = {}
    if isinstance(features, Lazy):
        own = features.each(lambda matrix: np.asarray(matrix[rows], dtype=np.float32))
    else:
        own = {name: np.asarray(matrix[rows], dtype=np.float32) for name, matrix in features.items()}
    sequences = drawn["sequence"].tolist()
    train = np.flatnonzero(drawn["split"] == "train")
    few = np.random.default_rng(draws).permutation(train)[:WORD_ROWS]
    facts = tell_facts(sequences, train, np.sort(few), draws)
    if not facts:
        raise UserError("no fact of the sequences varies among training rows; a probe has nothing to learn.")
    lengths = np.log([max(1, len(sequence)) for sequence in sequences])
    counted = np.column_stack([composition.features("kmer", sequences, k_max=3), lengths]).astype(np.float32)
    plain = drawn[["id", "split", "group"]].reset_index(drop=True)
    test = np.flatnonzero(plain["split"] == "test")
    results, selections = [], []
    kept = np.flatnonzero(plain["split"] != "train") if layers else test
    watched = plain["split"].to_numpy()[kept] == "validation"
    identity = ("id", "group", "split") if layers else ("id", "group")
    predictions: dict[str, Any] = {name: plain[name].to_numpy()[kept] for name in identity}
    for fact in dict.fromkeys(map(fact_of, facts)):
        names = [name for name in facts if fact_of(name) == fact]
        values = np.column_stack([facts[name] for name in names])
        kind, metric = LEARNERS[KINDS[fact]]
        settings = ProbeSettings(metric, seed, threads=threads)
        told = _samples(plain, names, values, KINDS[fact], own)
        best, chosen, by_layer = _choose(told, kind, settings, fact, layers or {})
        cheap, *_ = _choose(_samples(plain, names, values, KINDS[fact], {KMERS: counted}), kind, settings, fact, {})
        selections += chosen
        scores = evaluate_rows(told, test, best)
        known = int(np.isfinite(values[test]).any(axis=1).sum())
        results += [Result(name, finite(scores[name]), known, extra={"fact": fact}) for name in REPORTED[KINDS[fact]]]
        for place, name in enumerate(names):
            columns = (("observed", values), ("predicted", best), (KMERS, cheap))
            predictions |= {f"{word}_{name}": each[kept, place].astype(np.float32) for word, each in columns}
            for layer, each in by_layer.items():
                found = np.where(watched, each[kept, place], np.nan).astype(np.float32)
                predictions[f"{LAYER}{layer}_{name}"] = found
    return Probed(results, pd.DataFrame(predictions), selections)


def _samples(
    plain: pd.DataFrame, names: Sequence[str], values: Floats, kind: str, features: Mapping[str, np.ndarray]
) -> Samples:
    return Samples(with_outputs(plain.assign(label=format_outputs(values)), kind, names), features)


def _choose(
    samples: Samples, kind: str, settings: ProbeSettings, fact: str, layers: Mapping[str, int]
) -> tuple[np.ndarray, list[dict[str, Any]], dict[int, np.ndarray]]:
    """What the pooling (and layer) that validation chose predicts of every row, the selections, and what the best
    pooling of each layer predicts; ties: the first."""
    validation = samples.rows("validation")
    fitted: dict[str, Fitted] = {
        name: fitters.fit(kind, matrix, samples, settings) for name, matrix in samples.features.items()
    }
    tried = {name: score_rows(samples, validation, one.probabilities, settings.metric) for name, one in fitted.items()}
    chosen = max(tried, key=tried.__getitem__)
    said = {"split": "validation", "metric": settings.metric}
    told = [{**one.selection, "within": f"{fact}, {name}"} for name, one in fitted.items() if one.selection]
    scores = {name: finite(score) for name, score in tried.items()}
    told.append(said | {"what": "pooling", "within": fact, "tried": scores, "chosen": chosen})
    best: dict[int, str] = {}
    for name, layer in layers.items():
        best[layer] = max(best.get(layer, name), name, key=tried.__getitem__)
    if layers:
        among = {layer: scores[name] for layer, name in best.items()}
        told.append(said | {"what": "layer", "within": fact, "tried": among, "chosen": layers[chosen]})
    return fitted[chosen].probabilities, told, {layer: fitted[name].probabilities for layer, name in best.items()}
