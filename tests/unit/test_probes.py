"""Probes against scikit-learn and XGBoost called directly, planted and permuted signal, and the promised tables."""

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.preprocessing import StandardScaler

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.metrics import evaluate
from foundationless.probes import ProbeSettings, Samples, aggregate, align, fit, run_probes
from foundationless.records import comparable, read_record
from foundationless.sequences import write_sequences
from foundationless.vectors import write_embeddings

SETTINGS = ProbeSettings(metric="weighted_f1", seed=3, rounds=15)


def make(n: int = 150, validation: bool = True, signal: float = 2.0) -> Samples:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"])[np.arange(n) % 3]
    split = rng.permutation(
        np.array(["train", "train", "train", "validation" if validation else "train", "test"] * (n // 5))
    )
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(n)], "label": labels, "split": split, "group": "g"})
    shift = signal * np.stack([labels == name for name in "abc"], axis=1)
    good = (rng.normal(size=(n, 3)) + shift).astype(np.float32)
    noise = rng.normal(size=(n, 4)).astype(np.float32)
    return Samples(frame, {"noise": noise, "max": good})


def test_xgboost_is_the_library_with_the_studys_parameters():
    samples = make()
    found, chosen = fit("xgboost", samples.features["max"], samples, SETTINGS)
    codes = samples.frame["label"].map({"a": 0, "b": 1, "c": 2}).to_numpy()
    train, test = samples.rows("train"), samples.rows("test")
    model = xgboost.XGBClassifier(
        objective="multi:softmax",
        max_depth=3,
        learning_rate=0.1,
        n_estimators=15,
        tree_method="hist",
        random_state=3,
        n_jobs=1,
    ).fit(samples.features["max"][train], codes[train])
    assert (found[test].argmax(1) == model.predict(samples.features["max"][test])).all()
    assert chosen == {"epoch": 15} and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_early_stopping_uses_the_best_round():
    samples = make(signal=0.3)
    patient = ProbeSettings(metric="weighted_f1", seed=3, rounds=200, early_stopping=5, eta=0.5)
    found, chosen = fit("xgboost", samples.features["max"], samples, patient)
    assert 1 <= chosen["epoch"] < 100
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
    found, chosen = fit("logistic", samples.features["max"], samples, SETTINGS)
    labels = samples.frame["label"].to_numpy()
    train, other = samples.rows("train"), samples.rows("validation")
    scaled = (
        StandardScaler()
        .fit(samples.features["max"][train].astype(float))
        .transform(samples.features["max"].astype(float))
    )
    expected, best = None, -1.0
    for strength in (0.01, 0.1, 1.0, 10.0) if validation else (1.0,):
        model = LogisticRegression(C=strength, max_iter=1000).fit(scaled[train], labels[train])
        score = f1_score(labels[other], model.predict(scaled[other]), average="weighted") if validation else 0.0
        if score > best:
            expected, best = (strength, model.predict_proba(scaled)), score
    assert expected is not None and chosen == {"strength": expected[0], "converged": True}
    np.testing.assert_allclose(found, expected[1], atol=1e-5)


def test_majority_is_the_class_shares_of_training():
    found, _ = fit("majority", np.zeros((150, 0), np.float32), make(), SETTINGS)
    samples = make()
    share = samples.frame[samples.frame["split"] == "train"]["label"].value_counts(normalize=True)
    np.testing.assert_allclose(found[7], [share[name] for name in "abc"], rtol=1e-6)


def test_validation_selects_and_the_paper_takes_the_best_on_test():
    samples = make()
    results, predictions, choice = run_probes(samples, ["xgboost", "logistic"], SETTINGS)
    assert choice == "validation"
    runs = ["xgboost_noise", "xgboost_max", "logistic_noise", "logistic_max"]
    assert predictions["run"].unique().tolist() == runs
    rows = [r for r in results if r.protocol == "run"]
    assert {(r.extra["run"], r.split) for r in rows} == {
        (run, split) for run in runs for split in ("validation", "test")
    }
    for column, split in (("selected", "validation"), ("selected_paper", "test")):
        best = max((r for r in rows if r.split == split), key=lambda r: r.value).extra["run"]
        assert predictions[predictions[column]]["run"].unique().tolist() == [best] and best.endswith("max")
    n = (samples.frame["split"] == "test").sum()
    for run, some in predictions.groupby("run"):
        assert len(some) == n and some["id"].is_unique and set(some["fold"]) == {-1}
        again = evaluate(some["label"], np.stack(some["probabilities"].tolist()), samples.classes)
        stated = next(r for r in rows if r.extra["run"] == run and r.split == "test")
        assert stated.value == again["weighted_f1"] and stated.n == n
    chosen = {r.metric: r.value for r in results if r.protocol == "corrected"}
    some = predictions[predictions["selected"]]
    assert chosen == evaluate(some["label"], np.stack(some["probabilities"].tolist()), samples.classes)


def test_without_validation_the_first_named_is_reported():
    _, predictions, choice = run_probes(make(validation=False), ["logistic"], SETTINGS)
    assert choice == "first named"
    assert predictions[predictions["selected"]]["run"].unique().tolist() == ["logistic_noise"]
    assert predictions[predictions["selected_paper"]]["run"].unique().tolist() == ["logistic_max"]


def test_planted_signal_is_found_and_a_permuted_label_is_not():
    samples = make(300)
    shuffled = samples.frame.assign(label=np.random.default_rng(1).permutation(samples.frame["label"]))
    for frame, low, high in ((samples.frame, 0.7, 1.0), (shuffled, 0.1, 0.5)):
        results, _, _ = run_probes(Samples(frame, {"max": samples.features["max"]}), ["xgboost", "logistic"], SETTINGS)
        value = next(r.value for r in results if r.protocol == "corrected" and r.metric == "accuracy")
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


def _write(tmp_path) -> list[str]:
    samples = make()
    rng = np.random.default_rng(0)
    sequences = [
        "".join(rng.choice(list("ACGT"), 40, p=[0.1, 0.4, 0.4, 0.1] if x == "a" else [0.25] * 4))
        for x in samples.frame["label"]
    ]
    write_sequences(tmp_path / "set.parquet", samples.frame.assign(sequence=sequences))
    facts = {"parameters": 77, "max_tokens": 64, "precision": "fp32", "cost": {"seconds": 1.5, "tokens": 99}}
    write_embeddings(tmp_path / "e.parquet", samples.frame["id"].tolist(), samples.features, facts)
    common = ["--sequences", str(tmp_path / "set.parquet"), "--analysis", "biotype", "--task", "t", "--model", "m"]
    return [
        *common,
        "--seed",
        "1",
        "--metric",
        "weighted_f1",
        "--rounds",
        "5",
        "--predictions",
        str(tmp_path / "p.parquet"),
    ]


def test_a_probe_imports_neither_torch_nor_scikit_learn(tmp_path):
    """Either would take longer than most probes; and scikit-learn can be imported afterwards."""
    arguments = ["probe", *_write(tmp_path), "--init", "random", "--embeddings", str(tmp_path / "e.parquet")]
    arguments += ["--probes", "xgboost", "--poolings", "max", "--record", str(tmp_path / "r.json")]
    code = (
        f"import sys; from foundationless.__main__ import main; assert main({arguments!r}) == 0; "
        "print(*({'torch', 'sklearn', 'foundationless.embedding'} & set(sys.modules))); import sklearn.linear_model"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_probe_command_twice_gives_the_same_bytes(tmp_path):
    common = _write(tmp_path)
    command = [
        "probe",
        "--embeddings",
        str(tmp_path / "e.parquet"),
        "--probes",
        "xgboost",
        "logistic",
        "--poolings",
        "max",
    ]
    seen = []
    for name in ("a.json", "b.json"):
        assert main([*command, *common, "--init", "random", "--record", str(tmp_path / name)]) == 0
        seen.append((comparable(read_record(tmp_path / name)), (tmp_path / "p.parquet").read_bytes()))
    assert seen[0] == seen[1]
    record = seen[0][0]
    assert record["parameters"] == 77 and record["settings"]["classes"] == ["a", "b", "c"]
    assert record["settings"]["chosen_by"] == "validation"
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    wanted = [
        "id",
        "group",
        "label",
        "predicted",
        "probabilities",
        "run",
        "fold",
        "selected",
        "selected_paper",
        "split",
    ]
    assert predictions.columns.tolist() == wanted and predictions["probabilities"].iloc[0].dtype == np.float32


@pytest.mark.parametrize("classifier", ["logistic", "xgboost", "majority"])
def test_baseline_command_writes_the_same_kind_of_record(tmp_path, classifier):
    common = [*_write(tmp_path), "--init", "baseline", "--record", str(tmp_path / "r.json")]
    command = ["fit_baseline", "--family", "length_gc", "--classifier", classifier, *common]
    assert main(command) == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["parameters"] == 0 and record["init"] == "baseline"
    assert pd.read_parquet(tmp_path / "p.parquet")["run"].unique().tolist() == [f"{classifier}_length_gc"]
    found = {r["metric"]: r["value"] for r in record["results"] if r["protocol"] == "corrected"}
    assert (found["mcc"] > 0.2) == (classifier != "majority")
    assert main([*command, "--options", "[1"]) == 2 and main([*command, "--options", '{"colour": 1}']) == 2


@pytest.mark.parametrize("change", [{"rounds": 0}, {"depth": 0}, {"eta": 0.0}, {"eta": 5.0}, {"colsample": 0.0}])
def test_settings_that_cannot_be_run_are_sentences(change):
    with pytest.raises(UserError, match="--" + next(iter(change))):
        ProbeSettings("mcc", 0, **change)
