"""Classifiers that read sequences base by base: planted truths are found, and slow definitions agree."""

import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.features import bases, sequence_classifiers
from foundationless.features.classifiers import ProbeSettings, Samples
from foundationless.features.probes import run_probes
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import refused, words

SETTINGS = ProbeSettings("mcc", 0)


def samples(sequences, labels, splits) -> Samples:
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(len(labels))], "label": labels, "split": splits})
    return Samples(frame.assign(group=frame["id"]), {"bases": bases.bases(list(sequences))})


def fitted(kind, *columns):
    read = samples(*columns)
    return sequence_classifiers.fit(kind, read.features["bases"], read, SETTINGS)


def splits_of(number: int, *, validation: bool = True) -> list[str]:
    names = ["train", "train", "validation" if validation else "train", "test"]
    return [names[i % 4] for i in range(number)]


def chain(rng: np.random.Generator, table: np.ndarray, length: int) -> str:
    """A sequence of a Markov chain: `table` [4^order, 4]."""
    order = round(math.log(len(table), 4))
    found = list(rng.integers(4, size=order))
    while len(found) < length:
        context = int("".join(map(str, found[len(found) - order :])) or "0", 4)
        found.append(rng.choice(4, p=table[context]))
    return "".join("ACGT"[base] for base in found)


def random_text(rng: np.random.Generator, length: int, letters: str = "ACGT") -> str:
    return "".join(rng.choice(list(letters), length))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_order_of_a_simulated_chain_is_found(order):
    """Classes differ in a base given all `order` before it, by signs that cancel in every shorter context."""
    rng = np.random.default_rng(order)
    contexts = (np.arange(4**order)[:, None] >> 2 * np.arange(order)) & 3
    signs = np.prod(np.where(contexts % 2, 1, -1), axis=1, initial=1)
    tables = [0.25 + 0.15 * side * np.outer(signs, [1, -1, 1, -1]) for side in (1, -1)]
    labels = np.arange(480) // 4 % 2
    texts = [chain(rng, tables[label], 150) for label in labels]
    found = fitted("markov", texts, labels.astype(str), splits_of(480))
    tried = {int(key): value for key, value in found.selection["tried"].items()}
    assert found.chosen["order"] == order and set(tried) == set(range(9))
    assert order == 0 or tried[order] > tried[order - 1] + 0.3


def test_markov_probabilities_are_those_of_a_slow_definition():
    """Order 3 without a validation split; bases behind a gap are read by the chains of lower orders."""
    rng = np.random.default_rng(5)
    texts = [random_text(rng, int(rng.integers(2, 60)), "AACGTN" if i % 2 else "ACGGTN") for i in range(80)]
    labels = np.array(["a" if i % 2 else "b" for i in range(80)])
    splits = np.array(splits_of(80, validation=False))
    found = fitted("markov", texts, labels, splits)
    assert found.chosen["order"] == 3 and found.selection is None
    counts = {label: Counter() for label in "ab"}
    for text, label, split in zip(texts, labels, splits, strict=True):
        if split == "train":
            for k in range(1, 5):
                counts[label].update(word for i in range(len(text) - k + 1) if "N" not in (word := text[i : i + k]))

    def likelihood(text: str, label: str) -> float:
        total = math.log((labels[splits == "train"] == label).mean())
        for i, base in enumerate(text):
            if base == "N":
                continue
            context = text[max(i - 3, 0) : i].rpartition("N")[2]
            every = sum(counts[label][context + other] for other in "ACGT")
            total += math.log((counts[label][context + base] + 1) / (every + 4))
        return total

    odds = np.array([likelihood(text, "b") - likelihood(text, "a") for text in texts])
    ours = np.log(found.probabilities[:, 1] / found.probabilities[:, 0])
    np.testing.assert_allclose(ours * found.chosen["temperature"], odds, rtol=2e-3, atol=2e-3)


def test_blocks_of_sequences_change_nothing(monkeypatch):
    rng = np.random.default_rng(8)
    texts = [random_text(rng, int(rng.integers(5, 80)), "ACGTN") for _ in range(60)]
    labels = np.array([f"{i % 3}" for i in range(60)])
    whole = {kind: fitted(kind, texts, labels, splits_of(60)) for kind in ("markov", "nearest")}
    monkeypatch.setattr(bases, "_BLOCK", 100)
    for kind, found in whole.items():
        parts = fitted(kind, texts, labels, splits_of(60))
        np.testing.assert_array_equal(parts.probabilities, found.probabilities)
        assert parts.chosen == found.chosen


def test_weight_matrix_by_hand():
    """Two classes, one position that differs, 10 train rows each: odds worked out with the pseudocounts."""
    texts = ["AC"] * 8 + ["GC"] * 2 + ["AC"] * 2 + ["GC"] * 8 + ["AC", "GC"]
    labels = np.array(["x"] * 10 + ["y"] * 10 + ["x", "y"])
    found = fitted("pwm", texts, labels, ["train"] * 20 + ["test"] * 2)
    assert found.chosen["order"] == 0
    pooled = np.array([10 + 1, 1, 10 + 1, 1]) / 24  # one of each base is added to what all rows have
    odds = math.log((2 + 3 * pooled[0]) / (8 + 3 * pooled[0]))
    ours = np.log(found.probabilities[:, 1] / found.probabilities[:, 0]) * found.chosen["temperature"]
    np.testing.assert_allclose(ours[[20, 21]], [odds, -odds], rtol=1e-3)
    weights = dict(zip(found.importances.names, found.importances.weights[0], strict=True))
    assert found.importances.classes == ["y"] and weights["1:A"] == pytest.approx(odds * 0.5)
    assert weights["2:C"] == pytest.approx(0) and weights["1:G"] == pytest.approx(-odds * 0.5)


def test_a_planted_dependence_wants_a_weight_array():
    """CG and GC against CC and GG at two positions: no single position tells the classes apart."""
    rng = np.random.default_rng(3)
    labels = np.arange(800) // 4 % 2
    pairs = [[("CG", "GC"), ("CC", "GG")][label][rng.integers(2)] for label in labels]
    texts = [random_text(rng, 6) + pair + random_text(rng, 4) for pair in pairs]
    found = fitted("pwm", texts, labels.astype(str), splits_of(800))
    tried = {int(key): value for key, value in found.selection["tried"].items()}
    assert found.chosen["order"] >= 1 and tried[1] > 0.9 and tried[0] < 0.4
    names = np.array(found.importances.names)[np.argsort(-np.abs(found.importances.weights[0]))]
    assert all(name.split(":")[0] in ("6", "7") for name in names[:4])


@pytest.mark.parametrize("place", ["start", "end", "centre"])
def test_positional_kmers_find_a_planted_motif_in_sets_of_unequal_lengths(place):
    rng = np.random.default_rng(7)
    labels = np.arange(320) // 4 % 2
    texts = []
    for label in labels:
        text = random_text(rng, int(rng.integers(700, 900)))
        at = {"start": 30, "end": len(text) - 40, "centre": len(text) // 2 - 5}[place]
        word = "TACA" if label else ("TACC", "TAGA", "TCCA", "GACA")[rng.integers(4)]  # no part of it tells as much
        texts.append(text[:at] + word + text[at + 4 :])
    found = fitted("positional_kmer", texts, labels.astype(str), splits_of(320))
    assert found.chosen["indicators"] >= 1 and max(found.selection["tried"].values()) > 0.95
    first = found.importances.names[0]
    assert first == {"start": "31:TACA", "end": "end-40:TACA", "centre": "centre-5:TACA"}[place]
    assert np.nanargmax(found.importances.weights[:, 0]) == 1


def test_a_table_of_indicators_is_what_a_slow_search_finds():
    rng = np.random.default_rng(9)
    texts = [random_text(rng, 8, "ACGTN") for _ in range(60)]
    labels = np.array([int(text[2:4] in ("AC", "GT")) ^ int(rng.random() < 0.1) for text in texts])
    read = bases.align(bases.bases(texts))
    cells = rng.integers(2, size=60)

    def nats(rows) -> float:
        counts = [n for n in np.bincount(labels[rows], minlength=2) if n] if len(rows) else []
        return sum(n * math.log(n / sum(counts)) for n in counts)

    best = 0.0
    for k in range(1, 5):
        for at in range(8 - k + 1):
            for word in {text[at : at + k] for text in texts if "N" not in text[at : at + k]}:
                holds = np.array([text[at : at + k] == word for text in texts])
                split = [np.flatnonzero((cells == c) & (holds == h)) for c in (0, 1) for h in (False, True)]
                before = [np.flatnonzero(cells == c) for c in (0, 1)]
                best = max(best, sum(map(nats, split)) - sum(map(nats, before)))
    position, k, word, gain = sequence_classifiers._best_indicator(read, cells, labels, 2, 2)
    assert gain == pytest.approx(best)
    holds = np.array([text[position : position + k] == bases.spell(word, k) for text in texts])
    split = [np.flatnonzero((cells == c) & (holds == h)) for c in (0, 1) for h in (False, True)]
    assert sum(map(nats, split)) - sum(nats(np.flatnonzero(cells == c)) for c in (0, 1)) == pytest.approx(gain)


def test_nearest_equals_brute_force():
    rng = np.random.default_rng(11)
    origin = [random_text(rng, 60) for _ in range(12)]
    texts, labels = [], []
    for i in range(96):
        text = np.array(list(origin[i % 12]))
        text[rng.random(60) < 0.15] = "N" if i % 7 == 0 else "A"
        texts.append(reverse_complement("".join(text)) if i % 5 == 0 else "".join(text))
        labels.append(str(i % 3))
    splits = np.array(splits_of(96))
    found = fitted("nearest", texts, labels, splits)
    k = found.chosen["word_length"]
    assert k in sequence_classifiers.WORD_LENGTHS

    def held(text: str) -> set[str]:
        every = [text[i : i + k] for i in range(len(text) - k + 1)]
        return {min(word, reverse_complement(word)) for word in every if "N" not in word}

    sets = [held(text) for text in texts]
    train = np.flatnonzero(splits == "train")
    shares = np.bincount(np.array(labels)[train].astype(int), minlength=3) / len(train)
    for row in np.flatnonzero(splits != "train"):
        size = [len(sets[row] & sets[t]) / math.sqrt(len(sets[row]) * len(sets[t]) or 1) for t in train]
        winners = [int(labels[t]) for t, value in zip(train, size, strict=True) if value > max(size) - 1e-9]
        expected = np.bincount(winners, minlength=3) / len(winners) if max(size) else shares
        np.testing.assert_allclose(found.probabilities[row], expected, atol=1e-6)


def test_a_sketch_keeps_the_same_share_of_every_sequence(monkeypatch):
    rng = np.random.default_rng(2)
    texts = [random_text(rng, 4000) for _ in range(40)]
    labels = np.array([f"{i % 2}" for i in range(20)] * 2)
    texts[20:] = texts[:20]  # what is tested was all seen
    monkeypatch.setattr(sequence_classifiers, "SKETCH", 10_000)
    found = fitted("nearest", texts, labels, ["train"] * 20 + ["test"] * 20)
    assert found.chosen["scale"] == 8
    assert (found.probabilities[20:].argmax(axis=1) == labels[20:].astype(int)).all()
    read = bases.bases(texts)
    kept = sequence_classifiers._word_sets(read, 12, np.arange(20))[0].getnnz(axis=1)
    assert abs(kept.mean() / (4000 / 8) - 1) < 0.1


def test_temperature_changes_no_answer_and_lowers_the_loss():
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=300)
    scores = 40 * (rng.normal(size=(300, 3)) + np.eye(3)[labels])
    read = samples(["A"] * 300, labels.astype(str), splits_of(300))
    probabilities, facts = sequence_classifiers._temper(scores, labels, read)
    assert facts["temperature"] > 10 and (probabilities.argmax(axis=1) == scores.argmax(axis=1)).all()
    assert -np.log(probabilities[np.arange(300), labels]).mean() < np.log(3)


def test_alignment_of_equal_and_unequal_sets():
    equal = bases.align(bases.bases(["ACG", "TTN"]))
    assert equal.names == ["1", "2", "3"] and equal.codes.tolist() == [[0, 1, 2], [3, 3, 4]]
    unequal = bases.align(bases.bases(["ACGTA", "GG"]))
    codes = {name: unequal.codes[:, i].tolist() for i, name in enumerate(unequal.names)}
    assert codes["1"] == [0, 2] and codes["3"] == [2, 4] and codes["end-1"] == [0, 2] and codes["end-3"] == [2, 4]
    assert codes["centre+0"] == [2, 2] and codes["centre-1"] == [1, 2] and codes["centre+1"] == [3, 4]


def test_what_reads_columns_and_what_reads_sequences_are_not_exchanged(tmp_path, capsys):
    rng = np.random.default_rng(0)
    read = samples([random_text(rng, 30) for _ in range(16)], ["a", "b"] * 8, splits_of(16))
    with pytest.raises(UserError, match="classifier logistic reads features in columns"):
        run_probes(read, ["logistic"], SETTINGS)
    columns = Samples(read.frame, {"kmer": np.zeros((16, 2), dtype=np.float32)})
    with pytest.raises(UserError, match="classifier markov reads sequences"):
        run_probes(columns, ["markov"], SETTINGS)
    frame = read.frame.assign(sequence=[random_text(rng, 30) for _ in range(16)], sample=["p", "q"] * 8)
    frame = frame.assign(label=["a", "b"] * 8, split="train", group="g")
    write_sequences(tmp_path / "set.parquet", frame.assign(label=["a", "b"] * 8, sample=["p", "q"] * 8))
    flags = {"sequences": tmp_path / "set.parquet", "analysis": "finetune", "task": "t", "metric": "mcc", "seed": 0}
    flags |= {"model": "m", "init": "baseline", "record": tmp_path / "r.json", "predictions": tmp_path / "p.parquet"}
    command = words("fit_baseline", **flags, family="bases", classifier="markov", aggregate="sample")
    assert "have no average by sample" in refused(capsys, command)


@pytest.mark.parametrize(
    ("family", "classifier", "kind", "top"),
    [
        ("kmer", "logistic", "coefficient", "TACA"),
        ("kmer", "svm", "coefficient", "TACA"),
        ("kmer", "xgboost", "gain", "TACA"),
        ("kmer", "random_forest", "impurity", "TACA"),
        ("bases", "markov", "nats", None),
        ("bases", "pwm", "nats", "21:"),
        ("bases", "positional_kmer", "information", "21:TACA"),
        ("bases", "nearest", None, None),
        ("majority", "majority", None, None),
    ],
)
def test_importances_name_what_was_planted(tmp_path, family, classifier, kind, top):
    rng = np.random.default_rng(4)
    labels = np.arange(240) // 4 % 2
    texts = [
        random_text(rng, 20) + ("TACA" if label else random_text(rng, 4)) + random_text(rng, 20) for label in labels
    ]
    frame = pd.DataFrame(
        {"id": [f"s{i}" for i in range(240)], "sequence": texts, "label": np.array(["no", "yes"])[labels]}
    )
    write_sequences(tmp_path / "set.parquet", frame.assign(split=splits_of(240), group=frame["id"]))
    identity = {"analysis": "finetune", "task": "planted", "model": classifier, "init": "baseline", "seed": 3}
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("predictions", "importances")}
    options = json.dumps({"k_max": 4} if family == "kmer" else {})
    flags = {"sequences": tmp_path / "set.parquet", "metric": "mcc", "record": tmp_path / "r.json", "options": options}
    assert main(words("fit_baseline", **flags, **identity, **outputs, family=family, classifier=classifier)) == 0
    found = pd.read_parquet(outputs["importances"])
    wanted = "analysis task model init seed run selected kind class rank feature importance features"
    assert found.columns.tolist() == wanted.split()
    assert len(found) == 0 or (found[[*identity]].drop_duplicates().to_dict("records") == [identity])
    if kind is None:
        assert found.empty
        return
    assert set(found["kind"]) == {kind} and found["selected"].all() and (found["features"] >= found["rank"]).all()
    best = found.loc[found["importance"].abs().idxmax()]
    assert found.groupby("class")["rank"].max().max() <= 200 and best["rank"] == 1
    if top and top.endswith(":"):
        assert int(best["feature"].split(":")[0]) in range(19, 25)
    elif top:
        assert best["feature"] == top
    if kind == "coefficient":
        assert best["class"] == "yes" and best["importance"] > 0
