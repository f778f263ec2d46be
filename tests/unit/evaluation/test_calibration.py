"""Temperatures, conformal sets and ensembles: against scikit-learn, and by simulation of models of known confidence."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from foundationless.evaluation import metrics
from foundationless.evaluation.bootstrap import Run, score_runs
from foundationless.evaluation.calibration import scaling
from foundationless.evaluation.calibration.tables import LACKING, ODD, UNREAD, read_beside, recalibrate
from foundationless.evaluation.records import Result
from foundationless.evaluation.task_results import read_predictions

CLASSES = ["a", "b", "c"]


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def drawn(generator, n, heat, classes=3):
    """True classes, and probabilities of a model that is `heat` times as sure as it may be."""
    logits = 1.5 * generator.normal(size=(n, classes))
    chances = softmax(logits)
    truth = (generator.random((n, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)
    return truth, softmax(heat * logits)


def test_losses_are_scikit_learns():
    truth, probabilities = drawn(np.random.default_rng(0), 300, 2)
    assert scaling.log_losses(truth, probabilities).mean() == pytest.approx(log_loss(truth, probabilities))
    assert scaling.brier_scores(truth, probabilities).mean() == pytest.approx(brier_score_loss(truth, probabilities))
    names = np.asarray(CLASSES)[truth]
    run = Run(0, 0, names, np.arange(300).astype(str), probabilities=probabilities)
    (arm,) = score_runs([run], "ece", CLASSES, 50, 1)
    assert arm.points[0] == pytest.approx(metrics.calibration(names, probabilities, CLASSES)["ece"])
    assert np.isfinite(arm.replicates).all() and arm.replicates.std() > 0


def test_a_temperature_is_the_inverse_slope_of_a_logistic_regression():
    """Of two classes it is that of the labels on the log odds, without a penalty and an intercept."""
    truth, probabilities = drawn(np.random.default_rng(1), 400, 2.5, classes=2)
    odds = np.log(probabilities[:, 1] / probabilities[:, 0])[:, None]
    slope = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds, truth).coef_[0, 0]
    assert scaling.fit_temperature(truth, probabilities) == pytest.approx(1 / slope, rel=1e-3)


def test_temperature_scaling_lowers_the_error_of_a_model_that_is_too_sure():
    generator = np.random.default_rng(2)
    heat = scaling.fit_temperature(*drawn(generator, 2000, 3))
    assert heat == pytest.approx(3, rel=0.1)
    truth, probabilities = drawn(generator, 4000, 3)
    mended = scaling.tempered(probabilities, heat)
    before, after = (
        metrics.calibration(np.asarray(CLASSES)[truth], each, CLASSES)["ece"] for each in (probabilities, mended)
    )
    assert before > 0.1 and after < 0.03
    assert (mended.argmax(axis=1) == probabilities.argmax(axis=1)).all(), "no prediction changes"


def test_rows_that_are_all_right_have_a_temperature():
    truth = np.array([0, 1, 2])
    assert scaling.fit_temperature(truth, 0.1 + 0.7 * np.eye(3)) == pytest.approx(1 / scaling.HOTTEST, rel=1e-3)


def test_sets_cover_what_they_promise():
    """Over draws of both the calibrating and the tested rows: the mean, and how often a share is a usual one."""
    generator = np.random.default_rng(3)
    calibrating, tested, shares, usual = 59, 200, [], []
    low, high = scaling.expected_coverage(calibrating, tested)
    for _ in range(1500):
        truth, probabilities = drawn(generator, calibrating + tested, 3)
        limit = scaling.threshold(truth[:calibrating], probabilities[:calibrating])
        held = probabilities[np.arange(len(truth)), truth][calibrating:] >= limit
        shares.append(held.mean())
        usual.append(low <= shares[-1] <= high)
    k = scaling.rank(calibrating)
    assert np.mean(shares) == pytest.approx(k / (calibrating + 1), abs=4 * np.std(shares) / np.sqrt(1500))
    assert 0.93 < np.mean(usual) < 0.985
    assert scaling.threshold(truth[:8], probabilities[:8]) == -np.inf, "of eight rows no limit holds 90 %"


# ---- whole tasks


def cell(directory, *, init="random", seed=0, heat=3.0, shift=0.0, n=400, beside=False, model="m"):
    """Record and tables of one cell; validation rows among the others, or in a file beside them."""
    shared = np.random.default_rng(7)  # both arms see the same items
    truth = shared.integers(3, size=2 * n)
    logits = 1.2 * shared.normal(size=(2 * n, 3)) + 1.44 * np.eye(3)[truth]
    logits = logits + 0.3 * np.random.default_rng([seed, len(init)]).normal(size=logits.shape)
    split = np.repeat(["validation", "test"], n)
    moved = (split == "test") & (shared.random(2 * n) < shift)  # far items, about which it is as sure
    probabilities = softmax(heat * np.where(moved[:, None], np.roll(logits, 1, axis=1), logits))
    names = np.asarray(CLASSES)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(2 * n)], "label": names[truth]})
    frame = frame.assign(group=frame["id"], predicted=names[probabilities.argmax(axis=1)])
    frame = frame.assign(probabilities=list(probabilities.astype(np.float32)), run="one", fold=-1, selected=True)
    frame["split"] = split
    value = metrics.evaluate(names[truth[:n]], probabilities[:n].astype(np.float32), CLASSES)["mcc"]
    said = Result("mcc", value, n, "validation", "run", extra={"run": "one", "selected": True}).__dict__
    record = {"analysis": "frozen", "task": "t", "model": model, "init": init, "seed": seed, "parameters": 1}
    record |= {"results": [said], "settings": {}, "cost": {"seconds": 1.0}, "versions": {}}
    place = directory / model / init / str(seed)
    place.mkdir(parents=True)
    path = place / "predictions.parquet"
    frame[frame["split"] == "test" if beside else slice(None)].to_parquet(path)
    if beside:
        frame[frame["split"] == "validation"].to_parquet(place / "validation.parquet")
    return record, path


def table(cells, resamples=200):
    records, paths = zip(*cells, strict=True)
    read = [read_predictions(path) for path in paths]
    rows, bins = recalibrate(records, read, [read_beside(path) for path in paths], resamples, 1)
    return rows.set_index(["init", "method"]), bins


def test_a_task_before_and_after(tmp_path):
    cells = [cell(tmp_path, init=init, seed=seed) for init in ("pretrained", "random") for seed in (0, 1)]
    rows, bins = table(cells)
    assert rows.index.tolist() == [
        (init, method) for init in ("pretrained", "random") for method in ("none", "temperature", "ensemble")
    ]
    for init in ("pretrained", "random"):
        before, after, together = (rows.loc[(init, method)] for method in ("none", "temperature", "ensemble"))
        assert 2 < after["temperature"] < 5
        for name in ("ece", "nll", "brier"):
            assert before[f"{name}_low"] < before[name] < before[f"{name}_high"]
            assert after[f"{name}_change"] == pytest.approx(after[name] - before[name])
            assert after[f"{name}_change_high"] < 0, "it helps"
        assert together["nll_change_high"] < 0, "and so does an ensemble, to the likelihood"
        assert (rows["expected_low"] <= rows["coverage"]).all() and (rows["coverage"] <= rows["expected_high"]).all()
        assert after["coverage"] == pytest.approx(before["coverage"], abs=0.03) and 1 < before["set_size"] < 3
        assert before["n_validation"] == before["n_test"] == 400 and before["note"] == ""
    assert bins.groupby("init")["count"].sum().tolist() == [800, 800]


def test_where_rows_are_not_exchangeable_sets_cover_less(tmp_path):
    rows, _ = table([cell(tmp_path, seed=seed, shift=0.5) for seed in (0, 1, 2)])
    row = rows.loc[("random", "none")]
    assert row["coverage_high"] < row["expected_low"]


def test_rows_beside_the_predictions_tell_the_same(tmp_path):
    first, _ = table([cell(tmp_path / "among", seed=seed) for seed in (0, 1)])
    second, _ = table([cell(tmp_path / "beside", seed=seed, beside=True) for seed in (0, 1)])
    pd.testing.assert_frame_equal(first, second)


def test_results_without_those_rows_say_so(tmp_path):
    cells = [cell(tmp_path, seed=seed, beside=True) for seed in (0, 1)]
    beside = [path.with_name("validation.parquet") for _, path in cells]
    whole = pd.read_parquet(beside[0])
    whole.assign(label=whole["label"].to_numpy()[::-1]).to_parquet(beside[0])
    rows, bins = table(cells)
    assert rows["note"].tolist() == [ODD, ODD] and bins.empty
    for path in beside:
        path.unlink()
    rows, _ = table(cells)
    assert rows.index.tolist() == [("random", "none"), ("random", "ensemble")]
    assert rows["note"].tolist() == [LACKING, LACKING] and rows["coverage"].isna().all()
    assert rows["ece"].notna().all()
    for record, _ in cells:
        record["settings"]["chosen_by"] = "fixed"
    assert table(cells)[0]["note"].tolist() == [UNREAD, UNREAD]


def test_drawn_rows_have_no_calibration_table(tmp_path):
    record, path = cell(tmp_path, seed=0)
    record["settings"]["draws"] = 5
    rows, bins = recalibrate([record], [read_predictions(path)], [None], 20, 1)
    assert rows.empty and bins.empty
