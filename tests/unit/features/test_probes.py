"""Probes against scikit-learn and XGBoost called directly, planted and permuted signal, and the promised tables."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate
from foundationless.evaluation.records import comparable, read_record
from foundationless.features import classifiers
from foundationless.features.classifiers import (
    EXTENT,
    NEIGHBOURS,
    STRENGTHS,
    ProbeSettings,
    Samples,
    fit,
    reduce_width,
    squared_hinge,
)
from foundationless.features.embedding_files import write_embeddings
from foundationless.features.probes import _folds, aggregate, align, cross_validate, run_probes
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import output_of, words

SETTINGS = ProbeSettings(metric="weighted_f1", seed=3, rounds=15)


def make(n: int = 150, validation: bool = True, signal: float = 2.0) -> Samples:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"])[np.arange(n) % 3]
    split = rng.permutation([*["train"] * 3, "validation" if validation else "train", "test"] * (n // 5))
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(n)], "label": labels, "split": split, "group": "g"})
    shift = signal * np.stack([labels == name for name in "abc"], axis=1)
    good = (rng.normal(size=(n, 3)) + shift).astype(np.float32)
    noise = rng.normal(size=(n, 4)).astype(np.float32)
    return Samples(frame, {"noise": noise, "max": good})


def test_xgboost_is_the_library_with_the_studys_parameters():
    samples = make()
    found, chosen, *_ = fit("xgboost", samples.features["max"], samples, SETTINGS)
    codes = samples.frame["label"].map({"a": 0, "b": 1, "c": 2}).to_numpy()
    train, test = samples.rows("train"), samples.rows("test")
    settings = dict(objective="multi:softmax", max_depth=3, learning_rate=0.1, n_estimators=15, tree_method="hist")
    model = xgboost.XGBClassifier(**settings, random_state=3, n_jobs=1)
    model.fit(samples.features["max"][train], codes[train])
    assert (found[test].argmax(1) == model.predict(samples.features["max"][test])).all()
    assert chosen == {"epoch": 15} and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_early_stopping_uses_the_best_round():
    samples = make(signal=0.3)
    patient = ProbeSettings(metric="weighted_f1", seed=3, rounds=200, early_stopping=5, eta=0.5)
    found, chosen, selection, _ = fit("xgboost", samples.features["max"], samples, patient)
    assert 1 <= chosen["epoch"] < 100 and selection["chosen"] == chosen["epoch"]
    assert selection["metric"] == "mlogloss" and min(selection["tried"].values()) == selection["tried"][chosen["epoch"]]
    short = ProbeSettings(metric="weighted_f1", seed=3, rounds=chosen["epoch"], eta=0.5)
    np.testing.assert_array_equal(found, fit("xgboost", samples.features["max"], samples, short)[0])
    codes, rows = samples.frame["label"].map({"a": 0, "b": 1, "c": 2}).to_numpy(), samples.rows("validation")
    losses = []
    for rounds in range(1, chosen["epoch"] + 6):
        settings = ProbeSettings(metric="weighted_f1", seed=3, rounds=rounds, eta=0.5)
        losses.append(log_loss(codes[rows], fit("xgboost", samples.features["max"], samples, settings)[0][rows]))
    assert int(np.argmin(losses)) + 1 == chosen["epoch"]
    with pytest.raises(UserError, match="needs a validation split"):
        fit("xgboost", make(validation=False).features["max"], make(validation=False), patient)


@pytest.mark.parametrize("validation", [True, False])
def test_logistic_is_scikit_learn_with_the_strength_that_validation_chose(validation):
    samples = make(validation=validation, signal=0.7)
    found, chosen, selection, _ = fit("logistic", samples.features["max"], samples, SETTINGS)
    assert (selection is not None) == validation
    labels = samples.frame["label"].to_numpy()
    train, other = samples.rows("train"), samples.rows("validation")
    matrix = scaled(samples)
    expected, best = None, -1.0
    for strength in STRENGTHS if validation else (1.0,):
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-8).fit(matrix[train], labels[train])
        score = f1_score(labels[other], model.predict(matrix[other]), average="weighted") if validation else 0.0
        if score > best:
            expected, best = (strength, model.predict_proba(matrix)), score
    assert expected is not None and chosen == {"strength": expected[0], "converged": True}
    np.testing.assert_allclose(found, expected[1], atol=1e-3)


def test_class_weights_count_a_row_as_often_as_its_class_is_rare():
    """Two thirds are a, one third b: a row of b counts twice one of a; nothing else changes, and nothing by default."""
    samples = make(validation=False, signal=0.7)
    samples = Samples(samples.frame.assign(label=samples.frame["label"].replace("c", "a")), samples.features)
    weighed = replace(SETTINGS, class_weights="balanced")
    found = fit("logistic", samples.features["max"], samples, weighed)[0]
    labels, train = samples.frame["label"].to_numpy(), samples.rows("train")
    shares = {name: np.mean(labels[train] == name) for name in "ab"}
    rows = np.array([1 / (2 * shares[name]) for name in labels[train]])
    model = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8)
    expected = model.fit(scaled(samples)[train], labels[train], sample_weight=rows).predict_proba(scaled(samples))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(fit("logistic", samples.features["max"], samples, SETTINGS)[0] - expected).max() > 0.05
    for odd in ({"class_weights": "heavy"}, {"class_weights": "balanced", "metric": "pearson"}):
        with pytest.raises(UserError, match="--class-weights is balanced, and of classes"):
            replace(SETTINGS, **odd)


@pytest.mark.parametrize("kind", ["logistic", "xgboost"])
def test_a_row_of_weight_three_is_three_rows(kind):
    """And a classifier that weighs no rows is refused."""
    samples = make()
    train = samples.rows("train")
    times = np.ones(len(samples.frame), dtype=int)
    times[train] = 1 + 2 * (np.arange(len(train)) % 2)
    rows = np.repeat(np.arange(len(times)), times)
    weighed = Samples(samples.frame.assign(weight=times.astype(float)), samples.features)
    repeated = samples.frame.iloc[rows].reset_index(drop=True)
    settings = ProbeSettings(metric="mcc", seed=0, rounds=5, threads=1)
    # scales are those of the rows as they are, in both
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "_standardise", lambda matrix, train: matrix.astype(float))
        one = classifiers.fit(kind, samples.features["max"], weighed, settings)
        other = classifiers.fit(
            kind, samples.features["max"][rows], Samples(repeated, {"max": samples.features["max"][rows]}), settings
        )
    np.testing.assert_allclose(one.probabilities[rows], other.probabilities, atol=2e-3)
    with pytest.raises(UserError, match="classifier knn weighs no rows"):
        run_probes(weighed, ["knn"], settings)


def scaled(samples: Samples) -> np.ndarray:
    matrix = samples.features["max"].astype(float)
    return StandardScaler().fit(matrix[samples.rows("train")]).transform(matrix)


def directions(samples: Samples) -> np.ndarray:
    matrix = samples.features["max"].astype(float)
    return normalize(matrix - matrix[samples.rows("train")].mean(axis=0))


@pytest.mark.parametrize("classes", ["abc", "ab"])
def test_svm_is_scikit_learn_with_the_strength_that_validation_chose(classes):
    samples = make(signal=0.7)
    if classes == "ab":
        samples = Samples(samples.frame.assign(label=samples.frame["label"].replace("c", "a")), samples.features)
    found, chosen, selection, _ = fit("svm", samples.features["max"], samples, SETTINGS)
    labels, train, rows = samples.frame["label"].to_numpy(), samples.rows("train"), samples.rows("validation")
    values = {}
    assert set(STRENGTHS) <= selection["tried"].keys()  # and those beyond an edge
    for strength in selection["tried"]:
        model = LinearSVC(C=strength, random_state=3, dual=False, tol=1e-8).fit(scaled(samples)[train], labels[train])
        values[strength] = f1_score(labels[rows], model.predict(scaled(samples)[rows]), average="weighted")
        if strength == chosen["strength"]:
            assert (np.array(list(classes))[found.argmax(axis=1)] == model.predict(scaled(samples))).all()
    assert selection["tried"] == pytest.approx(values) and chosen["strength"] == max(values, key=values.get)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def words_of(rows: int, seed: int = 0) -> Samples:
    """More features than rows, as k-mers are, of which a tenth tell the classes apart a little."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    matrix = rng.normal(size=(rows, 400))
    matrix[:, :40] += 0.35 * (labels[:, None] == np.arange(40) % 3)
    split = rng.permutation(np.array(["train", "train", "validation", "test"])[np.arange(rows) % 4])
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(rows)], "label": labels.astype(str), "split": split})
    return Samples(frame.assign(group="g"), {"max": matrix.astype(np.float32)})


def test_grids_span_ten_decades_and_the_optimum_of_many_features_lies_inside():
    steps = np.diff(np.log10(STRENGTHS))
    np.testing.assert_allclose(steps, 1)
    assert STRENGTHS[0] == 1e-6 and STRENGTHS[-1] == 1e4 and EXTENT[0] < 1e-6 and EXTENT[1] > 1e4
    assert sorted(NEIGHBOURS) == list(NEIGHBOURS)
    samples = words_of(400)
    for kind in ("logistic", "svm"):
        _, chosen, selection, _ = fit(kind, samples.features["max"], samples, SETTINGS)
        assert selection["edge"] == "" and STRENGTHS[0] < chosen["strength"] < 1


def test_a_path_ends_where_fits_from_nothing_end(monkeypatch):
    """Tighter than the program's tolerance, a warm start changes no probability: the optimum is one."""
    monkeypatch.setattr(classifiers, "_TOLERANCE", 1e-7)
    monkeypatch.setattr(classifiers, "_PRECISION", np.float64)
    samples = words_of(240)
    train, matrix = samples.rows("train"), scaled(samples)
    labels, seen = samples.frame["label"].to_numpy(), {}
    monkeypatch.setattr(
        classifiers, "score_rows", lambda samples, rows, found, metric: seen.setdefault(len(seen), found).sum()
    )
    fit("logistic", samples.features["max"], samples, SETTINGS)
    for strength, found in zip(STRENGTHS, seen.values(), strict=False):
        if strength <= 1:  # beyond, the rows are told apart and the loss is flat
            expected = LogisticRegression(C=strength, max_iter=5000, tol=1e-7).fit(matrix[train], labels[train])
            np.testing.assert_allclose(found, expected.predict_proba(matrix), atol=2e-4)
    with_ones = np.column_stack([matrix, np.ones(len(matrix))])
    sides, weights = np.where(labels[train, None] == np.array(["0", "1", "2"]), 1.0, -1.0), np.zeros((401, 3))
    for strength in STRENGTHS:
        weights, converged = squared_hinge(with_ones[train], sides, strength, weights)
        model = LinearSVC(C=strength, tol=1e-6, max_iter=100_000, random_state=0).fit(matrix[train], labels[train])
        if strength <= 0.01:
            assert converged
            np.testing.assert_allclose(with_ones @ weights, model.decision_function(matrix), atol=1e-3)


def test_an_edge_is_extended_within_bounds_and_flagged_beyond(monkeypatch):
    """A grid that ends before the optimum goes on to it; with no room to go on it says so."""
    samples = words_of(400)
    full = fit("logistic", samples.features["max"], samples, SETTINGS)
    monkeypatch.setattr(classifiers, "STRENGTHS", (0.1, 1.0, 10.0))
    found = fit("logistic", samples.features["max"], samples, SETTINGS)
    assert found.selection["edge"] == "" and found.chosen["strength"] == full.chosen["strength"]
    assert list(found.selection["tried"])[3:5] == [0.01, 0.001]
    np.testing.assert_allclose(found.probabilities, full.probabilities, atol=2e-3)
    monkeypatch.setattr(classifiers, "EXTENT", (0.05, 100.0))
    found = fit("logistic", samples.features["max"], samples, SETTINGS)
    assert found.selection["edge"] == "low" and list(found.selection["tried"]) == [0.1, 1.0, 10.0]


def test_the_last_round_of_early_stopping_is_an_edge():
    samples = make(signal=0.7)
    for rounds, edge in ((3, "high"), (200, "")):
        settings = ProbeSettings(metric="weighted_f1", seed=3, rounds=rounds, early_stopping=5, eta=0.1)
        _, chosen, selection, _ = fit("xgboost", samples.features["max"], samples, settings)
        assert selection["edge"] == edge and (chosen["epoch"] == rounds) == bool(edge)


@pytest.mark.parametrize("validation", [True, False])
def test_nearest_neighbours_are_scikit_learns(validation):
    samples = make(validation=validation, signal=0.7)
    found, chosen, selection, _ = fit("knn", samples.features["max"], samples, SETTINGS)
    labels, train, rows = samples.frame["label"].to_numpy(), samples.rows("train"), samples.rows("validation")
    unit, values = directions(samples), {}
    others = np.concatenate([rows, samples.rows("test")])
    for k in [k for k in NEIGHBOURS if k <= len(train)]:
        model = KNeighborsClassifier(k).fit(unit[train], labels[train])
        if validation:
            values[k] = f1_score(labels[rows], model.predict(unit[rows]), average="weighted")
        if k == chosen["neighbours"]:
            np.testing.assert_allclose(found[others], model.predict_proba(unit[others]), atol=1e-6)
    assert chosen["neighbours"] == (max(values, key=values.get) if validation else 5)
    assert selection is None if not validation else selection["tried"] == pytest.approx(values)


def test_the_nearest_prototype_is_scikit_learns():
    samples = make(signal=0.7)
    found, chosen, *_ = fit("prototype", samples.features["max"], samples, SETTINGS)
    train, unit = samples.rows("train"), directions(samples)
    model = NearestCentroid().fit(unit[train], samples.frame["label"].to_numpy()[train])
    assert (np.array(list("abc"))[found.argmax(axis=1)] == model.predict(unit)).all() and chosen == {}
    distances = ((unit[:, None] - model.centroids_) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, softmax(-distances, axis=1), atol=1e-6)


def few(shots: int) -> Samples:
    samples = make(300, signal=5.0)
    train = samples.frame["split"] == "train"
    keep = ~train | (samples.frame[train].groupby("label").cumcount() < shots).reindex(
        samples.frame.index, fill_value=True
    )
    return Samples(samples.frame[keep].reset_index(drop=True), {"max": samples.features["max"][keep.to_numpy()]})


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("kind", ["logistic", "svm", "knn", "prototype"])
def test_heads_learn_from_few_rows_a_class(kind, shots):
    samples = few(shots)
    assert len(samples.rows("train")) == 3 * shots
    found = fit(kind, samples.features["max"], samples, SETTINGS)[0]
    test = samples.rows("test")
    right = np.array(list("abc"))[found[test].argmax(axis=1)] == samples.frame["label"].to_numpy()[test]
    assert right.mean() > 0.8


def test_components_are_those_of_the_train_rows_alone():
    samples = make()
    rng = np.random.default_rng(2)
    matrix = (rng.normal(size=(150, 12)) @ rng.normal(size=(12, 12))).astype(np.float32)
    found, facts = reduce_width(matrix, 5, samples, SETTINGS)
    train = samples.rows("train")
    scaler = StandardScaler().fit(matrix[train].astype(float))
    model = PCA(5, svd_solver="arpack", random_state=0).fit(scaler.transform(matrix[train].astype(float)))
    expected = model.transform(scaler.transform(matrix.astype(float)))
    for i in range(5):
        assert abs(np.corrcoef(found[:, i], expected[:, i])[0, 1]) == pytest.approx(1, abs=1e-5)
    assert facts == {"components": 5, "explained": pytest.approx(model.explained_variance_ratio_.sum(), abs=1e-5)}
    changed = matrix.copy()
    changed[samples.rows("test")] *= 100
    np.testing.assert_array_equal(reduce_width(changed, 5, samples, SETTINGS)[0][train], found[train])
    whole, facts = reduce_width(matrix, 64, samples, SETTINGS)
    assert facts["components"] == 12 and facts["explained"] == 1 and whole.dtype == np.float32
    distances = [np.linalg.norm(x[3] - x[9]) for x in (whole, scaler.transform(matrix.astype(float)))]
    assert distances[0] == pytest.approx(distances[1], rel=1e-4)


def test_reduced_features_are_runs_of_their_own():
    settings = ProbeSettings(metric="mcc", seed=3, rounds=5, pca=(2, 64))
    outcome = run_probes(make(), ["xgboost", "knn"], settings)
    names = [f"{kind}_{name}{tail}" for kind in ("xgboost", "knn") for name in ("noise", "max")
             for tail in ("", "_pca2", "_pca64")]  # fmt: skip
    assert outcome.predictions["run"].unique().tolist() == names
    widths = {r.extra["run"]: r.extra.get("components") for r in outcome.results if r.selection == "run"}
    assert widths["knn_max_pca64"] == 3 and widths["knn_noise_pca2"] == 2 and widths["knn_max"] is None


@pytest.mark.parametrize("grouped", [True, False])
def test_cross_validation_tests_every_row_once_and_keeps_groups_together(grouped, monkeypatch):
    samples = make(150, signal=1.0)
    groups = [f"g{i // 6}" for i in range(150)] if grouped else samples.frame["id"]
    samples = Samples(samples.frame.assign(group=groups), samples.features)
    seen = []
    monkeypatch.setattr(
        "foundationless.features.probes.fit",
        lambda kind, matrix, part, settings: seen.append(part) or fit(kind, matrix, part, settings),
    )
    settings = ProbeSettings(metric="mcc", seed=3, cv_folds=4)
    results, selections = cross_validate(samples, ["logistic", "prototype"], settings)
    parts = seen[:: len(seen) // 4]
    tested = np.concatenate([part.rows("test") for part in parts])
    assert sorted(tested.tolist()) == list(range(150))
    for part in parts:
        assert (part.frame.groupby("group")["split"].nunique() == 1).all()
        assert set(part.frame["split"]) == {"train", "validation", "test"}
        share = part.frame[part.frame["split"] == "test"]["label"].value_counts(normalize=True)
        assert share.between(0.25, 0.42).all()
    assert {r.selection for r in results} == {"crossvalidation"} and {r.fold for r in results} == {0, 1, 2, 3}
    for fold in range(4):
        (told,) = (s for s in selections if s["what"] == "run" and s["within"] == f"crossvalidation fold {fold}")
        rows = [r for r in results if r.fold == fold]
        assert {r.extra["run"] for r in rows if r.extra["selected"]} == {told["chosen"], "chosen"}
        mcc = {r.extra["run"]: r.value for r in rows if r.metric == "mcc"}
        assert mcc["chosen"] == mcc[told["chosen"]]
        assert told["chosen"] == max(told["tried"], key=told["tried"].get) and told["split"] == "validation"
        assert {r.extra["run"] for r in rows if r.metric == "mcc"} == {*told["tried"], "chosen"}
        assert len({r.metric for r in rows if r.extra["run"] == "chosen"}) == 6


def test_what_is_tested_chooses_nothing_in_cross_validation():
    """Labels of the tested fold are turned around: no choice changes."""
    samples = make(150, signal=1.0)
    samples = Samples(samples.frame.assign(group=samples.frame["id"]), samples.features)
    settings = ProbeSettings(metric="accuracy", seed=3, cv_folds=5)
    _, before = cross_validate(samples, ["logistic", "knn"], settings)
    tested = _folds(samples.frame, settings) == 2
    turned = samples.frame["label"].where(~tested, samples.frame["label"].map({"a": "b", "b": "c", "c": "a"}))
    folds = _folds(samples.frame, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foundationless.features.probes._folds", lambda frame, settings: folds)
        after_results, after = cross_validate(Samples(samples.frame.assign(label=turned), samples.features),
                                              ["logistic", "knn"], settings)  # fmt: skip
    inside = "crossvalidation fold 2"
    assert [s for s in before if s["within"].startswith(inside)] == [s for s in after if s["within"].startswith(inside)]
    assert all(r.value < 0.5 for r in after_results if r.fold == 2 and r.metric == "accuracy")


@pytest.mark.parametrize(
    ("change", "folds", "message"),
    [
        (lambda f: f, 5, "the set has 1"),
        (lambda f: f.assign(group=f["id"], label=f["label"].where(f.index > 1, "rare")), 5, "'rare' has fewer rows"),
        (lambda f: f.assign(group=f["label"]), 3, "too few groups"),
    ],
)
def test_sets_that_cannot_be_cross_validated_are_sentences(change, folds, message):
    samples = make()
    frame = change(samples.frame)
    if "rare" in set(frame["label"]):
        frame.loc[0, "split"] = "train"
    with pytest.raises(UserError, match=message):
        cross_validate(Samples(frame, samples.features), ["prototype"], ProbeSettings("mcc", 0, cv_folds=folds))


def test_majority_is_the_class_shares_of_training():
    found, _, *_ = fit("majority", np.zeros((150, 0), np.float32), make(), SETTINGS)
    samples = make()
    share = samples.frame[samples.frame["split"] == "train"]["label"].value_counts(normalize=True)
    np.testing.assert_allclose(found[7], [share[name] for name in "abc"], rtol=1e-6)


def test_validation_selects_and_the_paper_has_the_run_named_first():
    samples = make()
    results, predictions, choice, selections, *_ = run_probes(samples, ["xgboost", "logistic"], SETTINGS)
    assert choice == "validation"
    runs = ["xgboost_noise", "xgboost_max", "logistic_noise", "logistic_max"]
    assert predictions["run"].unique().tolist() == runs
    rows = [r for r in results if r.selection == "run"]
    assert {(r.extra["run"], r.split) for r in rows} == {
        (run, split) for run in runs for split in ("validation", "test")
    }
    best = max((r for r in rows if r.split == "validation"), key=lambda r: r.value).extra["run"]
    assert predictions[predictions["selected"]]["run"].unique().tolist() == [best] and best.endswith("max")
    assert predictions[predictions["selected_paper"]]["run"].unique().tolist() == runs[:1]
    for (run, split), some in predictions.groupby(["run", "split"]):
        n = (samples.frame["split"] == split).sum()
        assert len(some) == n and some["id"].is_unique and set(some["fold"]) == {-1}
        again = evaluate(some["label"], np.stack(some["probabilities"].tolist()), samples.classes)
        stated = next(r for r in rows if r.extra["run"] == run and r.split == split)
        assert stated.value == again["weighted_f1"] and stated.n == n
    assert set(predictions["split"]) == {"validation", "test"}
    (told,) = (s for s in selections if s["what"] == "run")
    assert told["tried"] == {r.extra["run"]: r.value for r in rows if r.split == "validation"}
    assert told["split"] == "validation" and told["chosen"] == best
    assert {s["within"] for s in selections if s["what"] == "strength"} == {"logistic_noise", "logistic_max"}
    chosen = {r.metric: r.value for r in results if r.selection == "validation"}
    some = predictions[predictions["selected"] & (predictions["split"] == "test")]
    assert chosen == evaluate(some["label"], np.stack(some["probabilities"].tolist()), samples.classes)


def test_without_validation_the_first_named_is_reported():
    _, predictions, choice, selections, *_ = run_probes(make(validation=False), ["logistic"], SETTINGS)
    assert not selections
    assert choice == "first named"
    assert predictions[predictions["selected"]]["run"].unique().tolist() == ["logistic_noise"]
    assert predictions[predictions["selected_paper"]]["run"].unique().tolist() == ["logistic_noise"]


def test_planted_signal_is_found_and_a_permuted_label_is_not():
    samples = make(300)
    shuffled = samples.frame.assign(label=np.random.default_rng(1).permutation(samples.frame["label"]))
    for frame, low, high in ((samples.frame, 0.7, 1.0), (shuffled, 0.1, 0.5)):
        kinds = ["xgboost", "logistic", "svm", "knn", "prototype"]
        results = run_probes(Samples(frame, {"max": samples.features["max"]}), kinds, SETTINGS).results
        value = next(r.value for r in results if r.selection == "validation" and r.metric == "accuracy")
        assert low <= value <= high


def test_aggregate_averages_rows_of_a_sample():
    frame = pd.DataFrame(
        {"sample": ["p", "q", "p", "q", "r"], "label": list("xyxyx"), "split": ["train"] * 4 + ["test"], "group": "g"}
    )
    matrix = np.arange(10, dtype=np.float32).reshape(5, 2)
    frame["id"] = list("12345")
    samples = aggregate(frame, {"max": matrix}, "sample")
    assert samples.frame["id"].tolist() == ["p", "q", "r"] and samples.frame["label"].tolist() == ["x", "y", "x"]
    expected = pd.DataFrame(matrix).groupby(frame["sample"]).mean().to_numpy()
    np.testing.assert_array_equal(samples.features["max"], expected)
    frame.loc[0, "split"] = "test"
    with pytest.raises(UserError, match="'p' has more than one split"):
        aggregate(frame, {"max": matrix}, "sample")
    with pytest.raises(UserError, match="no column 'person'"):
        aggregate(frame, {"max": matrix}, "person")


def test_align_follows_ids_not_rows():
    frame = pd.DataFrame({"id": ["b", "a"]})
    assert align(["a", "b", "c"], {"max": np.array([[1], [2], [3]])}, frame)["max"].ravel().tolist() == [2, 1]
    with pytest.raises(UserError, match="'z' has no embedding"):
        align(["a"], {"max": np.ones((1, 1))}, pd.DataFrame({"id": ["z"]}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(label=None), "has no label"),
        (lambda f: f.assign(label="a"), "the one class 'a'"),
        (lambda f: f.assign(split="train"), "no test split"),
        (lambda f: f.assign(split="test"), "no train split"),
        (lambda f: f.assign(label=f["label"].where(f["split"] != "test", "new")), "class 'new' has no training"),
    ],
)
def test_unusable_sets_are_sentences(change, message):
    samples = make()
    with pytest.raises(UserError, match=message):
        Samples(change(samples.frame), samples.features)


def test_features_that_are_not_finite_are_named():
    samples = make()
    broken = samples.features["max"].copy()
    broken[4, 1] = math.nan
    with pytest.raises(UserError, match="'max' of 's4' are not finite"):
        Samples(samples.frame, {"max": broken})


def _write(tmp_path, **flags) -> dict[str, object]:
    """Write a set and its embeddings; the flags that read them."""
    samples = make()
    rng = np.random.default_rng(0)
    shares = [[0.1, 0.4, 0.4, 0.1] if label == "a" else [0.25] * 4 for label in samples.frame["label"]]
    sequences = ["".join(rng.choice(list("ACGT"), 40, p=share)) for share in shares]
    write_sequences(tmp_path / "set.parquet", samples.frame.assign(sequence=sequences))
    facts = {"parameters": 77, "max_tokens": 64, "precision": "fp32", "cost": {"seconds": 1.5, "tokens": 99}}
    write_embeddings(tmp_path / "e.parquet", samples.frame["id"].tolist(), samples.features, facts)
    common = {"sequences": tmp_path / "set.parquet", "analysis": "biotype", "task": "t", "model": "m", "seed": 1}
    common |= {"metric": "weighted_f1", "rounds": 5, "predictions": tmp_path / "p.parquet"}
    return common | {"init": "random", "record": tmp_path / "r.json"} | flags


def test_a_probe_imports_neither_torch_nor_scikit_learn(tmp_path):
    """Either would take longer than most probes; and scikit-learn can be imported afterwards."""
    flags = _write(tmp_path, embeddings=tmp_path / "e.parquet", probes="xgboost", poolings="max")
    arguments = words("probe", **flags)
    code = (
        f"import sys; from foundationless.__main__ import main; assert main({arguments!r}) == 0; "
        "print(*({'torch', 'sklearn', 'foundationless.features.embedding'} & set(sys.modules))); "
        "import sklearn.linear_model"
    )
    assert output_of(sys.executable, "-c", code).split() == []


def test_probe_command_twice_gives_the_same_bytes(tmp_path):
    flags = _write(tmp_path, embeddings=tmp_path / "e.parquet", probes=["xgboost", "logistic"], poolings="max")
    seen = []
    for name in ("a.json", "b.json"):
        assert main(words("probe", **flags | {"record": tmp_path / name})) == 0
        seen.append((comparable(read_record(tmp_path / name)), (tmp_path / "p.parquet").read_bytes()))
    assert seen[0] == seen[1]
    record = seen[0][0]
    assert record["parameters"] == 77 and record["settings"]["classes"] == ["a", "b", "c"]
    assert record["settings"]["chosen_by"] == "validation"
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    wanted = "id group label predicted probabilities run fold selected selected_paper split"
    assert predictions.columns.tolist() == wanted.split() and predictions["probabilities"].iloc[0].dtype == np.float32


@pytest.mark.parametrize("classifier", ["logistic", "svm", "xgboost", "majority"])
def test_baseline_command_writes_the_same_kind_of_record(tmp_path, classifier):
    command = words("fit_baseline", **_write(tmp_path, init="baseline", family="length_gc", classifier=classifier))
    assert main(command) == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["parameters"] == 0 and record["init"] == "baseline"
    assert pd.read_parquet(tmp_path / "p.parquet")["run"].unique().tolist() == [f"{classifier}_length_gc"]
    found = {r["metric"]: r["value"] for r in record["results"] if r["selection"] == "validation"}
    assert (found["mcc"] > 0.2) == (classifier != "majority")
    for options in ("[1", '{"colour": 1}', "[[1, 2]]", "[]", '{"family": "gc"}', '{"seed": 3}', '{"sequences": 1}'):
        assert main([*command, "--options", options]) == 2


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        *(("rounds", 0, "--rounds"), ("depth", 0, "--depth"), ("eta", 0.0, "--eta"), ("eta", 5.0, "--eta")),
        *(("colsample", 0.0, "--colsample"), ("pca", (0,), "--pca"), ("cv_folds", 2, "--cv-folds is at least 3")),
    ],
)
def test_settings_that_cannot_be_run_are_sentences(setting, value, sentence):
    with pytest.raises(UserError, match=sentence):
        ProbeSettings("mcc", 0, **{setting: value})


def test_probe_command_reads_a_subset_of_what_was_embedded_and_cross_validates(tmp_path):
    flags = _write(tmp_path, embeddings=tmp_path / "e.parquet", probes=["logistic", "knn", "prototype"])
    whole = pd.read_parquet(tmp_path / "set.parquet")
    part = whole.groupby(["split", "label"]).head(4).sample(frac=1, random_state=0).reset_index(drop=True)
    write_sequences(tmp_path / "set.parquet", part.assign(group=part["id"]))
    assert main(words("probe", **flags, poolings="max", pca=2, cv_folds=3)) == 0
    record = read_record(tmp_path / "r.json")
    assert record["settings"]["pca"] == [2] and record["settings"]["cv_folds"] == 3
    assert {r["selection"] for r in record["results"]} == {"run", "validation", "test", "crossvalidation"}
    assert {s["what"] for s in record["selections"]} == {"run", "strength", "neighbours"}
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    assert set(predictions["id"]) == set(part[part["split"] != "train"]["id"]) and set(predictions["fold"]) == {-1}
    assert predictions.set_index("id")["split"].to_dict().items() <= part.set_index("id")["split"].to_dict().items()


def test_a_baseline_without_features_takes_the_majority_alone(tmp_path):
    flags = _write(tmp_path, init="baseline", family="majority")
    assert main(words("fit_baseline", **flags, classifier="majority")) == 0
    assert pd.read_parquet(tmp_path / "p.parquet")["run"].unique().tolist() == ["majority_majority"]
    assert main(words("fit_baseline", **flags, classifier="svm")) == 2
