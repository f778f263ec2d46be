"""Metrics of outputs are those of scipy and scikit-learn, with labels that are missing and items drawn repeatedly."""

import warnings

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from foundationless.errors import UserError
from foundationless.evaluation import bootstrap
from foundationless.evaluation.outputs.metrics import (
    evaluate_each,
    evaluate_outputs,
    precision_of_chance,
    share_of_ones,
)
from foundationless.study.vocabulary import OUTPUT_METRICS, TRACK_METRICS, TRACKS, VALUE_METRICS, VALUES


def oracle(metric, truth, answer):
    """One output by scipy and scikit-learn; NaN where it is not defined."""
    if metric == "rmse":
        return sk.root_mean_squared_error(truth, answer) if len(truth) else np.nan
    if len(np.unique(truth)) < 2:
        return np.nan
    if metric in ("pearson", "spearman") and len(np.unique(answer)) < 2:
        return 0.0
    functions = {
        "pearson": lambda: scipy.stats.pearsonr(truth, answer).statistic,
        "spearman": lambda: scipy.stats.spearmanr(truth, answer).statistic,
        "r2": lambda: sk.r2_score(truth, answer),
        "macro_auroc": lambda: sk.roc_auc_score(truth, answer),
        "macro_auprc": lambda: sk.average_precision_score(truth, answer),
    }
    return float(functions[metric]())


def mean_oracle(metric, truth, answer):
    known = [~np.isnan(column) for column in truth.T]
    values = [oracle(metric, truth[mask, i], answer[mask, i]) for i, mask in enumerate(known)]
    return np.nanmean(values) if np.isfinite(values).any() else np.nan


def world(metric, seed, n=70, outputs=4, rounded=True):
    """Labels with missing ones and ties, and predictions; the last output of more than one is never known."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(3, 2, size=(n, outputs)) * 10.0 ** generator.integers(-3, 4, size=outputs)
    answer = 0.5 * truth + generator.normal(size=(n, outputs)) * truth.std(axis=0)
    if metric in TRACK_METRICS:
        truth = (truth > np.quantile(truth, 0.8, axis=0)).astype(float)
        answer = 0.7 * truth + generator.normal(size=truth.shape)
    if rounded:
        scale = np.abs(answer).max(axis=0) / 8
        answer = np.round(answer / scale) * scale
        truth = truth if metric in TRACK_METRICS else np.round(truth / scale) * scale
    truth[generator.random(truth.shape) < 0.2] = np.nan
    if outputs > 1:
        truth[:, -1] = np.nan
    return truth, answer


def make_run(truth, answer, groups=None, seed=0, fold=-1):
    names = np.arange(len(truth)) if groups is None else groups
    labels = np.array(["x"] * len(truth))
    return bootstrap.Run(seed, fold, labels, np.asarray(names).astype(str), observed=truth, values=answer)


@pytest.mark.parametrize("metric", OUTPUT_METRICS)
@pytest.mark.parametrize("rounded", [True, False])
def test_a_metric_is_that_of_scipy_and_scikit_learn(metric, rounded):
    for seed in range(20):
        truth, answer = world(metric, seed, rounded=rounded)
        expected = mean_oracle(metric, truth, answer)
        kind = TRACKS if metric in TRACK_METRICS else VALUES
        assert evaluate_outputs(kind, truth, answer)[metric] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        each = evaluate_each(kind, truth, answer)[metric]
        assert np.isnan(each[-1]) and np.nanmean(each) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert bootstrap.score_runs([make_run(truth, answer)], metric, [], 0, 0)[0].value == pytest.approx(
            expected, rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("metric", OUTPUT_METRICS)
def test_a_resample_is_the_metric_of_the_items_that_were_drawn(metric):
    """Items written out as often as their groups were drawn, then scipy and scikit-learn."""
    truth, answer = world(metric, 3)
    groups = np.random.default_rng(0).integers(25, size=len(truth))
    run = make_run(truth, answer, groups)
    found = bootstrap.score_runs([run], metric, [], 30, 7)[0].replicates[0]
    each = bootstrap.score_outputs([run], metric, 30, 7)
    names, strata = bootstrap.stratify([run])
    assert not strata.any()
    weights = bootstrap.resample_weights(strata, 30, np.random.default_rng(7))
    for place, weight in enumerate(weights):
        rows = np.repeat(np.arange(len(truth)), weight[np.searchsorted(names, run.groups)].astype(int))
        assert found[place] == pytest.approx(mean_oracle(metric, truth[rows], answer[rows]), rel=1e-9, abs=1e-9)
        for output in range(truth.shape[1]):
            own = mean_oracle(metric, truth[rows][:, [output]], answer[rows][:, [output]])
            assert each[output][0].replicates[0, place] == pytest.approx(own, rel=1e-9, abs=1e-9, nan_ok=True)


def test_rare_tracks_leave_the_mean_of_resamples_that_lack_them():
    truth = np.zeros((40, 2))
    truth[:20, 0] = 1
    truth[0, 1] = 1  # a third of all resamples lack it
    answer = np.random.default_rng(0).normal(size=truth.shape)
    run = make_run(truth, answer)
    both = bootstrap.score_runs([run], "macro_auroc", [], 200, 0)[0].replicates[0]
    first, second = (arms[0].replicates[0] for arms in bootstrap.score_outputs([run], "macro_auroc", 200, 0))
    lacks = np.isnan(second)
    assert 0.25 < lacks.mean() < 0.5 and np.array_equal(both[lacks], first[lacks])
    assert np.allclose(both[~lacks], (first + second)[~lacks] / 2)


def test_constant_predictions_are_related_to_nothing():
    truth = np.random.default_rng(0).normal(size=(50, 2))
    answer = np.full_like(truth, 0.1)  # of which the mean is not exactly 0.1
    found = evaluate_outputs(VALUES, truth, answer)
    assert found["pearson"] == found["spearman"] == 0
    assert found["r2"] == pytest.approx(np.mean([sk.r2_score(truth[:, i], answer[:, i]) for i in range(2)]))
    for metric in ("pearson", "spearman"):
        arm = bootstrap.score_runs([make_run(truth, answer)], metric, [], 50, 0)[0]
        assert arm.value == 0 and not arm.replicates.any()


def test_labels_that_do_not_vary_have_an_error_and_nothing_else():
    truth, answer = np.full((30, 1), 0.3), np.random.default_rng(0).normal(size=(30, 1))
    found = evaluate_outputs(VALUES, truth, answer)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, answer))
    assert all(np.isnan(found[name]) for name in ("pearson", "spearman", "r2"))
    for metric in ("pearson", "spearman", "r2"):
        assert np.isnan(bootstrap.score_runs([make_run(truth, answer)], metric, [], 20, 0)[0].replicates).all()


@pytest.mark.parametrize("metric", ["pearson", "r2"])
def test_resamples_without_an_outlier_keep_their_digits(metric):
    """One value lies so far from all others that sums around the common mean have none of their digits left."""
    generator = np.random.default_rng(2)
    truth = generator.normal(size=(30, 1))
    answer = truth + generator.normal(size=(30, 1))
    (truth if metric == "r2" else answer)[4] = 1e9
    run = make_run(truth, answer)
    found = bootstrap.score_runs([run], metric, [], 60, 1)[0].replicates[0]
    names, strata = bootstrap.stratify([run])
    weights = bootstrap.resample_weights(strata, 60, np.random.default_rng(1))[:, np.searchsorted(names, run.groups)]
    without = np.flatnonzero(weights[:, 4] == 0)
    assert len(without) > 10
    for place in without:
        rows = np.repeat(np.arange(30), weights[place].astype(int))
        assert found[place] == pytest.approx(oracle(metric, truth[rows, 0], answer[rows, 0]), rel=1e-6)


def test_resamples_of_a_single_value_are_constant():
    """Two groups, of which one has one prediction and one label: drawn alone, nothing is related to anything."""
    truth = np.array([[0.1], [0.1], [0.1], [1.0], [2.0], [3.5]])
    answer = np.array([[0.7], [0.7], [0.7], [1.0], [1.5], [3.0]])
    groups = np.array([0, 0, 0, 1, 1, 1])
    for metric in ("pearson", "spearman", "r2"):
        found = bootstrap.score_runs([make_run(truth, answer, groups)], metric, [], 64, 0)[0].replicates[0]
        weights = bootstrap.resample_weights(2, 64, np.random.default_rng(0))
        assert np.array_equal(np.isnan(found), weights[:, 0] == 2)
    truth[:3, 0] = [0.1, 0.2, 0.3]  # now labels vary, and the predictions do not
    for metric in ("pearson", "spearman"):
        found = bootstrap.score_runs([make_run(truth, answer, groups)], metric, [], 64, 0)[0].replicates[0]
        assert (found[weights[:, 0] == 2] == 0).all() and (found[weights[:, 0] < 2] > 0.5).all()


@pytest.mark.parametrize("metric", OUTPUT_METRICS)
def test_no_bit_of_a_run_depends_on_other_runs_or_on_blocks(metric, monkeypatch):
    truth, answer = world(metric, 5, n=90)
    _, other = world(metric, 6, n=90)
    run, second = make_run(truth, answer), make_run(truth, other, seed=1)
    alone = bootstrap.score_runs([run], metric, [], 100, 0)[0]
    beside = bootstrap.score_runs([second, run, second, run], metric, [], 100, 0)
    for arm in (beside[1], beside[3]):
        assert np.array_equal(arm.replicates, alone.replicates) and np.array_equal(arm.points, alone.points)
    monkeypatch.setattr(bootstrap, "CELLS_PER_BLOCK", 90 * 7)
    blocked = bootstrap.score_runs([run], metric, [], 100, 0)[0].replicates
    assert np.allclose(blocked, alone.replicates, rtol=0, atol=1e-12 * max(1, np.nanmax(np.abs(alone.replicates))))


def test_a_prediction_that_is_no_number_makes_everything_undefined():
    truth, answer = world("pearson", 1)
    answer[3, 0], truth[3, 0] = np.inf, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(np.isnan(value) for value in evaluate_outputs(VALUES, truth, answer).values())
        assert np.isfinite(evaluate_each(VALUES, truth, answer)["pearson"][1])
    truth[3, 0] = np.nan  # nobody asked
    assert np.isfinite(evaluate_outputs(VALUES, truth, answer)["pearson"])


def test_what_does_not_fit_is_one_sentence():
    with pytest.raises(UserError, match=r"shape \(3, 1\) do not fit labels of shape \(3, 2\)"):
        evaluate_outputs(VALUES, np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(UserError, match=r"label 0\.5 of a track is neither 0 nor 1"):
        evaluate_outputs(TRACKS, np.full((3, 2), 0.5), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="no kind of labels"):
        evaluate_outputs("classes", np.zeros((3, 2)), np.zeros((3, 2)))
    run = bootstrap.Run(0, -1, np.array(["0", "1"]), np.array(["a", "b"]), np.array(["0", "1"]))
    with pytest.raises(UserError, match="'pearson' needs labels that are values"):
        bootstrap.score_runs([run], "pearson", ["0", "1"], 10, 0)


def test_intervals_end_where_a_metric_does():
    assert [bootstrap.ends(name) for name in VALUE_METRICS] == [(-1, 1), (-1, 1), (-np.inf, 1), (0, np.inf)]
    assert [bootstrap.ends(name) for name in TRACK_METRICS] == [(0, 1), (0, 1)]


def test_the_share_of_ones_is_that_of_which_chance_was_computed():
    observed = (np.random.default_rng(0).random((30, 5)) < [0.1, 0.3, 0.5, 0.8, 0.95]).astype(float)
    observed[:2] = [1, 0, 0, 1, 0], [0, 1, 1, 0, 1]
    observed[5:12, 3] = np.nan
    count = (~np.isnan(observed)).sum(axis=0)
    assert share_of_ones(precision_of_chance(observed), count) == pytest.approx(np.nanmean(observed, axis=0))
