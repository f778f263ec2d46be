"""Numbers and tracks from fixed features: against scikit-learn and XGBoost directly, planted truth, missing labels."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler, normalize

from foundationless.__main__ import main
from foundationless.data.outputs import format_outputs
from foundationless.errors import UserError
from foundationless.evaluation.outputs.metrics import evaluate_outputs
from foundationless.evaluation.records import comparable, read_record
from foundationless.features import sequence_classifiers
from foundationless.features.bases import bases
from foundationless.features.classifiers import STRENGTHS, ProbeSettings, Samples
from foundationless.features.clustering import cluster
from foundationless.features.embedding_files import write_embeddings
from foundationless.features.outputs import fitters
from foundationless.features.outputs.fitters import fit
from foundationless.features.probes import _folds, aggregate, cross_validate, run_probes
from foundationless.study.vocabulary import CLASSIFIERS, TRACKS, VALUES
from foundationless.tasks.sequence_sets import with_outputs, write_sequences
from support.commands import words

METRIC = {VALUES: "r2", TRACKS: "macro_auroc"}
FITTED = [(kind, name) for name in fitters.FITTERS for kind in (VALUES, TRACKS) if kind in CLASSIFIERS[name].serves]


def settings(kind: str, **changed) -> ProbeSettings:
    return ProbeSettings(**{"metric": METRIC[kind], "seed": 3, "rounds": 15} | changed)


def labelled(frame: pd.DataFrame, kind: str, truth: np.ndarray) -> pd.DataFrame:
    names = [f"o{i}" for i in range(truth.shape[1])]
    return with_outputs(frame.assign(label=format_outputs(truth)), kind, names)


def make(
    kind: str, n: int = 300, width: int = 6, outputs: int = 3, validation: bool = True, missing: float = 0.0, r2=0.8
) -> Samples:
    """Labels that are linear in the features but for noise, which leaves `r2` of their variance; tracks cut them."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(n, width)).astype(np.float32)
    signal = matrix @ rng.normal(size=(width, outputs))
    signal /= signal.std(axis=0)
    truth = 5 + 2 * (np.sqrt(r2) * signal + np.sqrt(1 - r2) * rng.normal(size=signal.shape))
    if kind == TRACKS:
        truth = (truth > 6).astype(float)
    truth[rng.random(truth.shape) < missing] = np.nan
    truth[0] = np.nan_to_num(truth[0])  # a first row of the split train that has them all
    split = rng.permutation([*["train"] * 3, "validation" if validation else "train", "test"] * (n // 5))
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(n)], "split": split, "group": "g"})
    keep = np.isfinite(truth).any(axis=1)
    return Samples(labelled(frame[keep].reset_index(drop=True), kind, truth[keep]), {"max": matrix[keep]})


def scaled(samples: Samples) -> np.ndarray:
    matrix = samples.features["max"].astype(float)
    return StandardScaler().fit(matrix[samples.rows("train")]).transform(matrix)


@pytest.mark.parametrize(("width", "missing"), [(6, 0.0), (6, 0.3), (400, 0.3)])
def test_ridge_is_scikit_learns_with_the_strength_that_validation_chose(width, missing):
    samples = make(VALUES, width=width, missing=missing)
    found = fit("ridge", samples.features["max"], samples, settings(VALUES))
    train, rows, matrix = samples.rows("train"), samples.rows("validation"), scaled(samples)
    expected, scores = {}, {}
    for strength in found.selection["tried"]:
        expected[strength] = np.empty(samples.observed.shape)
        for output in range(3):
            own = train[np.isfinite(samples.observed[train, output])]
            model = Ridge(alpha=1 / strength, solver="svd").fit(matrix[own], samples.observed[own, output])
            expected[strength][:, output] = model.predict(matrix)
            if strength == found.chosen["strength"]:
                np.testing.assert_allclose(found.importances.weights[output], model.coef_, atol=1e-6)
        scores[strength] = evaluate_outputs(VALUES, samples.observed[rows], expected[strength][rows])["r2"]
    assert set(STRENGTHS) <= scores.keys() and found.selection["tried"] == pytest.approx(scores, abs=1e-5)
    assert scores[found.chosen["strength"]] == pytest.approx(max(scores.values()), abs=1e-5)
    assert found.selection["edge"] == ""  # least squares is no edge
    assert found.probabilities.dtype == np.float32 and found.importances.classes == ["o0", "o1", "o2"]
    np.testing.assert_allclose(found.probabilities, expected[found.chosen["strength"]], atol=1e-5)


def test_ridge_finds_what_was_planted_and_nothing_in_permuted_labels():
    samples = make(VALUES, n=2000, width=20)
    results = run_probes(samples, ["ridge"], settings(VALUES)).results
    value = {r.metric: r.value for r in results if r.selection == "validation"}
    assert value["r2"] == pytest.approx(0.8, abs=0.03) and value["pearson"] == pytest.approx(np.sqrt(0.8), abs=0.02)
    assert value["rmse"] == pytest.approx(2 * np.sqrt(0.2), abs=0.05)
    truth = np.random.default_rng(2).permutation(samples.observed)
    for name in ("ridge", "knn"):
        shuffled = Samples(labelled(samples.frame, VALUES, truth), samples.features)
        results = run_probes(shuffled, [name], settings(VALUES)).results
        value = {r.metric: r.value for r in results if r.selection == "validation"}
        assert abs(value["pearson"]) < 0.1 and -0.1 < value["r2"] < 0.02


@pytest.mark.parametrize(("missing", "width"), [(0.0, 6), (0.3, 6), (0.3, 400)])
def test_logistic_is_scikit_learns_of_each_track(missing, width):
    samples = make(TRACKS, missing=missing, width=width)
    found = fit("logistic", samples.features["max"], samples, settings(TRACKS))
    train, rows, matrix = samples.rows("train"), samples.rows("validation"), scaled(samples)
    for strength in (1e-4, 0.01, 1.0, found.chosen["strength"]):
        expected = np.empty(samples.observed.shape)
        for output in range(3):
            own = train[np.isfinite(samples.observed[train, output])]
            model = LogisticRegression(C=strength, tol=1e-8, max_iter=5000).fit(
                matrix[own], samples.observed[own, output]
            )
            expected[:, output] = model.predict_proba(matrix)[:, 1]
        score = evaluate_outputs(TRACKS, samples.observed[rows], expected[rows])["macro_auroc"]
        assert found.selection["tried"][strength] == pytest.approx(score, abs=2e-3)
        if strength == found.chosen["strength"]:
            np.testing.assert_allclose(found.probabilities, expected, atol=5e-3)
    assert found.chosen["converged"] and found.importances.weights.shape == (3, width)


def test_a_track_with_one_value_in_training_is_predicted_by_its_prevalence():
    samples = make(TRACKS, outputs=2)
    truth = samples.observed.copy()
    truth[samples.rows("train"), 1] = 0
    one = Samples(labelled(samples.frame, TRACKS, truth), samples.features)
    for name in ("logistic", "xgboost", "knn", "random_forest"):
        found = fit(name, one.features["max"], one, settings(TRACKS))
        assert (found.probabilities[:, 1] == 0).all() and np.ptp(found.probabilities[:, 0]) > 0.3, name


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kind", [VALUES, TRACKS])
def test_xgboost_is_the_library_for_each_output(kind, missing):
    samples = make(kind, missing=missing)
    found = fit("xgboost", samples.features["max"], samples, settings(kind))
    assert found.chosen == {"epoch": 15} and found.selection is None
    objective = "reg:squarederror" if kind == VALUES else "binary:logistic"
    for output in range(3):
        own = samples.rows("train")
        own = own[np.isfinite(samples.observed[own, output])]
        data = xgboost.DMatrix(samples.features["max"][own], samples.observed[own, output])
        given = {"objective": objective, "max_depth": 3, "eta": 0.1, "tree_method": "hist", "seed": 3, "nthread": 1}
        expected = xgboost.train(given, data, 15).predict(xgboost.DMatrix(samples.features["max"]))
        np.testing.assert_allclose(found.probabilities[:, output], expected, atol=1e-4)


def test_each_output_stops_at_its_own_best_round():
    samples = make(VALUES, r2=0.5, outputs=2)
    patient = settings(VALUES, rounds=200, early_stopping=5, eta=0.3)
    whole = fit("xgboost", samples.features["max"], samples, patient)
    rounds = {}
    for output in range(2):
        one = Samples(labelled(samples.frame, VALUES, samples.observed[:, [output]]), samples.features)
        found = fit("xgboost", one.features["max"], one, patient)
        rounds[f"o{output}"] = found.chosen["epoch"]
        np.testing.assert_array_equal(found.probabilities[:, 0], whole.probabilities[:, output])
        losses, rows = {}, one.rows("validation")
        for epoch in range(1, found.chosen["epoch"] + 4):
            short = fit("xgboost", one.features["max"], one, settings(VALUES, rounds=epoch, eta=0.3)).probabilities
            losses[epoch] = float(((short[rows] - one.observed[rows]) ** 2).mean())
        assert min(losses, key=losses.get) == found.chosen["epoch"] == found.selection["chosen"]
        assert found.selection["metric"] == "squared_error"  # in squared standard deviations of the training rows
        tried = np.array([found.selection["tried"][epoch] for epoch in losses])
        variance = one.observed[one.rows("train")].var()
        np.testing.assert_allclose(tried * variance, list(losses.values()), rtol=1e-3)
    told = run_probes(samples, ["xgboost"], patient).selections
    assert {s["within"]: s["chosen"] for s in told if s["what"] == "epoch"} == {
        f"xgboost_max, {name}": epoch for name, epoch in rounds.items()
    }


@pytest.mark.parametrize("validation", [True, False])
def test_nearest_neighbours_are_scikit_learns_and_leave_out_what_is_not_known(validation):
    samples = make(VALUES, validation=validation)
    train, matrix = samples.rows("train"), samples.features["max"].astype(float)
    unit = normalize(matrix - matrix[train].mean(axis=0))
    found = fit("knn", samples.features["max"], samples, settings(VALUES))
    k = found.chosen["neighbours"]
    model = KNeighborsRegressor(k).fit(unit[train], samples.observed[train])
    np.testing.assert_allclose(found.probabilities, model.predict(unit), rtol=1e-5)
    if not validation:
        assert k == 5
        truth = samples.observed.copy()
        truth[np.random.default_rng(0).random(truth.shape) < 0.5] = np.nan
        truth[:, 2] = samples.observed[:, 2]
        part = Samples(labelled(samples.frame, VALUES, truth), samples.features)
        found = fit("knn", part.features["max"], part, settings(VALUES))
        for row, places in enumerate(model.kneighbors(unit, return_distance=False)):
            known = truth[train[places]]
            some = np.isfinite(known).any(axis=0)
            expected = np.where(some, np.nanmean(np.where(some, known, 0), axis=0), np.nanmean(truth[train], axis=0))
            np.testing.assert_allclose(found.probabilities[row], expected, rtol=1e-5)


def test_a_forest_of_one_track_ranks_as_scikit_learns_classifier_does(monkeypatch):
    monkeypatch.setattr(fitters, "TREES", 100)
    samples = make(TRACKS, outputs=1, validation=False)
    found = fit("random_forest", samples.features["max"], samples, settings(TRACKS))
    train, test = samples.rows("train"), samples.rows("test")
    model = RandomForestClassifier(100, random_state=0)
    model.fit(samples.features["max"][train], samples.observed[train, 0])
    expected = model.predict_proba(samples.features["max"])[:, 1]
    assert np.abs(found.probabilities[test, 0] - expected[test]).mean() < 0.05
    truth = samples.observed[test, 0]
    assert roc_auc_score(truth, found.probabilities[test, 0]) == pytest.approx(
        roc_auc_score(truth, expected[test]), abs=0.03
    )


def test_a_forest_of_numbers_weighs_outputs_alike(monkeypatch):
    """An output in units 1,024 times as large takes nothing from another that shares its trees."""
    monkeypatch.setattr(fitters, "TREES", 50)
    samples = make(VALUES, outputs=2, validation=False)
    found = fit("random_forest", samples.features["max"], samples, settings(VALUES)).probabilities
    large = Samples(labelled(samples.frame, VALUES, samples.observed * [1024, 1]), samples.features)
    again = fit("random_forest", large.features["max"], large, settings(VALUES)).probabilities
    np.testing.assert_allclose(again / [1024, 1], found, rtol=1e-3)
    test = samples.rows("test")
    assert evaluate_outputs(VALUES, samples.observed[test], found[test])["r2"] > 0.4


def test_means_are_of_what_is_known_of_train_rows():
    samples = make(VALUES, missing=0.5)
    found = fit("majority", np.zeros((300, 0), np.float32), samples, settings(VALUES)).probabilities
    train = samples.observed[samples.rows("train")]
    np.testing.assert_allclose(found[5], [column[np.isfinite(column)].mean() for column in train.T], rtol=1e-6)
    with pytest.raises(UserError, match="no features to read"):
        fit("ridge", np.zeros((len(samples.frame), 0), np.float32), samples, settings(VALUES))


def test_the_nearest_sequence_lends_its_numbers():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(40)]
    texts[30:] = [text[:50] + "A" * 10 for text in texts[:10]]  # of the test rows: each is nearest to its original
    texts[2] = texts[3]  # two originals of one text: the mean of what is known of both
    texts[32] = texts[33]
    truth = rng.normal(size=(40, 2))
    truth[4, 0] = truth[3, 1] = np.nan
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(40)], "split": ["train"] * 30 + ["test"] * 10, "group": "g"})
    read = bases(texts)
    samples = Samples(labelled(frame, VALUES, truth), {"bases": read})
    found = sequence_classifiers.fit("nearest", read, samples, settings(VALUES)).probabilities
    mean = np.nanmean(truth[:30], axis=0)
    expected = truth[:10].copy()
    expected[2] = expected[3] = (truth[2, 0] + truth[3, 0]) / 2, truth[2, 1]
    expected[4, 0] = mean[0]
    np.testing.assert_allclose(found[30:], expected, rtol=1e-6)
    np.testing.assert_allclose(found[5:30], truth[5:30], rtol=1e-6)


@pytest.mark.parametrize(("kind", "name"), [one for one in FITTED if one[1] != "random_forest"])
def test_a_label_that_is_missing_changes_nothing_of_other_outputs(kind, name):
    """Without validation, whose choice outputs share."""
    samples = make(kind, validation=False)
    truth = samples.observed.copy()
    truth[np.random.default_rng(0).random(len(truth)) < 0.6, 1] = np.nan
    part = Samples(labelled(samples.frame, kind, truth), samples.features)
    before, after = (fit(name, each.features["max"], each, settings(kind)).probabilities for each in (samples, part))
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-5)
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3
    test = samples.rows("test")
    score = evaluate_outputs(kind, samples.observed[test][:, [1]], after[test][:, [1]])
    assert score["pearson" if kind == VALUES else "macro_auroc"] > 0.6


@pytest.mark.parametrize(("kind", "name"), FITTED)
def test_what_was_planted_is_found_whatever_is_missing_and_test_labels_are_not_read(kind, name, monkeypatch):
    monkeypatch.setattr(fitters, "TREES", 30)
    samples = make(kind, n=400, missing=0.2)
    test = samples.rows("test")
    found = fit(name, samples.features["max"], samples, settings(kind, rounds=60)).probabilities
    score = evaluate_outputs(kind, samples.observed[test], found[test])
    assert score["r2" if kind == VALUES else "macro_auroc"] > (0.4 if kind == VALUES else 0.8)
    truth = samples.observed.copy()
    truth[test] = np.random.default_rng(4).permutation(truth[test])
    other = Samples(labelled(samples.frame, kind, truth), samples.features)
    np.testing.assert_array_equal(fit(name, other.features["max"], other, settings(kind, rounds=60))[0], found)


def test_validation_chooses_and_the_tables_say_what_was_predicted():
    samples = make(TRACKS, missing=0.2)
    noise = np.random.default_rng(0).normal(size=samples.features["max"].shape).astype(np.float32)
    both = Samples(samples.frame, {"max": noise, "max_0": samples.features["max"]})
    outcome = run_probes(both, ["logistic", "knn", "majority"], settings(TRACKS), {"max": 3, "max_0": 0})
    table, test = outcome.predictions, samples.rows("test")
    wanted = "id group label values run fold selected selected_paper selected_last split"
    assert table.columns.tolist() == wanted.split() and table.attrs == {}
    assert outcome.choice == "validation"
    (best,) = table[table["selected"]]["run"].unique()
    (last,) = table[table["selected_last"]]["run"].unique()
    assert best.endswith("_max_0") and last.endswith("_max") and set(table["split"]) == {"validation", "test"}
    rows = table[table["selected"] & (table["split"] == "test")]
    assert rows["label"].tolist() == samples.frame["label"].iloc[test].tolist()
    expected = evaluate_outputs(TRACKS, samples.observed[test], np.stack(rows["values"].tolist()))
    assert {r.metric: r.value for r in outcome.results if r.selection == "validation"} == pytest.approx(expected)
    told = {s["what"] for s in outcome.selections}
    assert told == {"run", "layer", "strength", "neighbours"}
    assert {s["metric"] for s in outcome.selections} == {"macro_auroc"}


def test_cross_validation_keeps_groups_and_has_no_strata():
    samples = make(VALUES, n=200)
    grouped = samples.frame.assign(group=[f"g{i % 40}" for i in range(200)])
    folded = settings(VALUES, cv_folds=4)
    for frame in (grouped, samples.frame.assign(group=samples.frame["id"])):
        folds = _folds(frame, folded)
        assert (pd.Series(folds).groupby(frame["group"]).nunique() == 1).all()
        assert np.bincount(folds).min() >= 40
    results, selections = cross_validate(Samples(grouped, samples.features), ["ridge"], folded)
    chosen = [r for r in results if r.extra["run"] == "chosen" and r.metric == "r2"]
    assert [r.fold for r in chosen] == [0, 1, 2, 3] and all(r.value > 0.6 for r in chosen)
    assert {s["what"] for s in selections} == {"run", "strength"}
    assert {s["within"] for s in selections} >= {"crossvalidation fold 0, ridge_max"}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (TRACKS, lambda t: np.where(np.arange(len(t))[:, None] == 7, 0.5, t), "'s7' has 0.5 for 'o0'"),
        (VALUES, lambda t: np.where([False, True, False], np.nan, t), "'o1' is known of no training"),
        (VALUES, lambda t: np.where(t == t, 3.0, t), "are all the same"),
        (VALUES, lambda t: t + np.where([False, True, False], 1e8, 0.0), "'o1' are too close to each other"),
    ],
)
def test_labels_that_cannot_be_learned_are_sentences(kind, change, message):
    samples = make(kind)
    with pytest.raises(UserError, match=message):
        Samples(labelled(samples.frame, kind, change(samples.observed)), samples.features)


def test_what_does_not_fit_the_kind_of_the_labels_is_a_sentence():
    samples = make(VALUES)
    with pytest.raises(UserError, match="mcc judges classes, and labels of the set are values; choose among pearson"):
        run_probes(samples, ["ridge"], ProbeSettings("mcc", 0))
    with pytest.raises(UserError, match="macro_auroc judges tracks"):
        run_probes(samples, ["ridge"], ProbeSettings("macro_auroc", 0))
    with pytest.raises(UserError, match=r"svm does not learn values, as the set has; choose among .*ridge"):
        run_probes(samples, ["ridge", "svm"], settings(VALUES))
    with pytest.raises(UserError, match="metric 'rmse' is none"):
        ProbeSettings("rmse", 0)
    plain = pd.DataFrame(samples.frame.assign(label=list("ab") * 150).to_dict("list"))
    with pytest.raises(UserError, match="r2 judges values, and labels of the set are classes; choose among mcc"):
        run_probes(Samples(plain, samples.features), ["logistic"], settings(VALUES))
    with pytest.raises(UserError, match="classifier ridge does not learn classes"):
        run_probes(Samples(plain, samples.features), ["ridge"], ProbeSettings("mcc", 0))
    with pytest.raises(UserError, match="averages by sample are for classes"):
        aggregate(
            with_outputs(samples.frame.assign(sample="p"), VALUES, ["o0", "o1", "o2"]), samples.features, "sample"
        )
    with pytest.raises(UserError, match="labels of another kind"):
        cluster(samples.frame, samples.features["max"], seed=0)


def write(tmp_path, kind: str) -> dict[str, object]:
    """A set whose labels follow the share of G and of T, a third of the second missing, and embeddings at random."""
    rng = np.random.default_rng(5)
    shares = rng.dirichlet([4] * 4, 200)
    texts = ["".join(rng.choice(list("ACGT"), 80, p=share)) for share in shares]
    truth = np.array([[text.count("G"), text.count("T")] for text in texts]) + rng.normal(size=(200, 2))
    if kind == TRACKS:
        truth = (truth > 20).astype(float)
    truth[rng.random(200) < 0.3, 1] = np.nan
    split = rng.permutation(["train"] * 120 + ["validation"] * 40 + ["test"] * 40)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(200)], "sequence": texts, "split": split, "group": "g"})
    frame = frame.assign(group=frame["id"])
    write_sequences(tmp_path / "set.parquet", labelled(frame, kind, truth))
    facts = {"parameters": 77, "max_tokens": 64, "precision": "fp32", "cost": {"seconds": 1.5, "tokens": 99}}
    vectors = {"max": rng.normal(size=(200, 8)).astype(np.float32)}
    write_embeddings(tmp_path / "e.parquet", frame["id"].tolist(), vectors, facts)
    flags = {"sequences": tmp_path / "set.parquet", "analysis": "frozen", "task": "t", "model": "m", "seed": 1}
    flags |= {"metric": METRIC[kind], "rounds": 20, "predictions": tmp_path / "p.parquet"}
    return flags | {"record": tmp_path / "r.json"}


@pytest.mark.parametrize("kind", [VALUES, TRACKS])
def test_commands_read_a_set_and_write_record_and_predictions(tmp_path, kind):
    flags = write(tmp_path, kind)
    linear = "ridge" if kind == VALUES else "logistic"
    kmers = {"init": "baseline", "family": "kmer", "options": '{"k_max": 2}', "importances": tmp_path / "i.parquet"}
    assert main(words("fit_baseline", **flags, **kmers, classifier=linear)) == 0
    record, table = read_record(tmp_path / "r.json"), pd.read_parquet(tmp_path / "p.parquet")
    told = record["settings"]
    assert told["labels"] == kind and told["outputs"] == ["o0", "o1"] and "classes" not in told
    wanted = "id group label values run fold selected selected_paper split"
    assert table.columns.tolist() == wanted.split()
    assert table["values"].iloc[0].dtype == np.float32 and len(table["values"].iloc[0]) == 2
    assert table["label"].str.fullmatch(r"[^;]*;[^;]*").all() and table["label"].str.endswith(";").any()
    score = {r["metric"]: r["value"] for r in record["results"] if r["selection"] == "validation"}
    assert score["r2" if kind == VALUES else "macro_auroc"] > (0.85 if kind == VALUES else 0.9)
    named = pd.read_parquet(tmp_path / "i.parquet")
    assert set(named["class"]) == {"o0", "o1"} and set(named["kind"]) == {"coefficient"}
    assert main(words("fit_baseline", **flags, init="baseline", family="bases", classifier="nearest")) == 0
    probes = {"init": "random", "embeddings": tmp_path / "e.parquet", "poolings": "max", "cv_folds": 3}
    probes |= {"probes": [linear, "xgboost", "knn", "majority"]}
    seen = []
    for name in ("a.json", "b.json"):
        assert main(words("probe", **flags | {"record": tmp_path / name}, **probes)) == 0
        seen.append((comparable(read_record(tmp_path / name)), (tmp_path / "p.parquet").read_bytes()))
    assert seen[0] == seen[1]
    results = seen[0][0]["results"]
    score = {r["metric"]: r["value"] for r in results if r["selection"] == "validation"}
    assert score["r2"] < 0.1 if kind == VALUES else abs(score["macro_auroc"] - 0.5) < 0.25
    assert {r["selection"] for r in results} == {"run", "validation", "test", "crossvalidation"}
    for wrong in ({"metric": "mcc"}, {"probes": ["svm"]}, {"aggregate": "group"}):
        assert main(words("probe", **flags | probes | wrong)) == 2
