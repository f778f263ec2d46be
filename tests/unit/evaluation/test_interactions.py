"""Interactions of pairs: a null that is known, classes, and curves against those of scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from foundationless.evaluation.effects.interactions import (
    CLASSES,
    GRID,
    Null,
    _log_density,
    _natural_spline,
    classify,
    find,
    fit_null,
    rate_predictions,
)


def test_the_null_is_that_of_the_noise_and_its_limits_are_where_the_densities_say():
    """Gaps are noise, or, one in ten, three times as wide: where one in twenty is noise is known."""
    draw = np.random.default_rng(1)
    wide = draw.random(100_000) < 0.1
    values = np.where(wide, draw.normal(0.0, 0.25, len(wide)), draw.normal(0.01, 0.08, len(wide)))
    null = fit_null(values)
    assert null.centre == pytest.approx(0.01, abs=0.002) and null.deviation == pytest.approx(0.08, rel=0.04)
    assert 0.9 < null.share < 0.97, "wide gaps near the middle pass for noise"

    def local(x):
        noise = 0.9 * stats.norm.pdf(x, 0.01, 0.08)
        return noise / (noise + 0.1 * stats.norm.pdf(x, 0.0, 0.25))

    high = next(x for x in np.arange(0.05, 1, 1e-4) if local(x) < 0.05)
    low = next(x for x in np.arange(-0.05, -1, -1e-4) if local(x) < 0.05)
    assert high <= null.high < 1.12 * high and 1.12 * low < null.low <= low, "a little too wide, never too narrow"
    found = find(values, null)
    assert (found & ~wide).sum() / found.sum() < 0.05, "what is called beyond has a lower rate than its edge"


def test_noise_alone_has_no_interactions_and_little_is_said_of_few_gaps():
    draw = np.random.default_rng(2)
    null = fit_null(draw.normal(0, 0.1, 50_000))
    assert find(draw.normal(0, 0.1, 50_000), null).mean() < 1e-3 and null.share == pytest.approx(1, abs=0.02)
    assert fit_null(draw.normal(size=50)).high == np.inf and fit_null(np.zeros(1000)).low == -np.inf
    with_missing = np.r_[draw.normal(size=5000), np.full(10, np.nan)]
    assert np.isfinite(fit_null(with_missing).centre)


def test_the_density_is_a_poisson_regression_on_a_natural_spline():
    """At its optimum residuals are orthogonal to the basis; the basis is straight at its ends, and has its knots."""
    draw = np.random.default_rng(3)
    counts, edges = np.histogram(draw.normal(size=20_000), 119)
    middles = (edges[1:] + edges[:-1]) / 2
    fitted = np.exp(_log_density(middles, counts.astype(float)))
    basis = _natural_spline((middles - middles[0]) / np.ptp(middles), 7)
    assert basis.shape == (119, 8) and np.linalg.matrix_rank(basis) == 8
    np.testing.assert_allclose(basis.T @ (counts - fitted), 0, atol=1e-3)
    assert fitted.sum() == pytest.approx(20_000)
    fine = _natural_spline(np.linspace(0, 1, 2001), 7)
    bend = np.diff(fine, 2, axis=0)
    assert np.abs(bend[[0, -1]]).max() < 0.01 * np.abs(bend).max(), "no bend at the ends"


@pytest.mark.parametrize(
    ("change", "additive", "alike", "word"),
    [(0.5, 0.45, True, "additive"), (0.9, 0.5, True, "synergistic"), (-0.9, -0.5, True, "synergistic"),
     (0.1, 0.5, True, "buffering"), (-0.1, -0.5, True, "buffering"), (-0.1, 0.5, True, "opposite"),
     (0.1, -0.5, True, "opposite"), (0.9, 0.5, False, "other"), (0.4, 0.0, True, "other"),
     (float("nan"), 0.5, True, "additive")],
)  # fmt: skip
def test_kinds_of_interactions(change, additive, alike, word):
    null = Null(0.0, 0.1, 1.0, -0.2, 0.2)
    assert CLASSES[int(classify(change, additive, null, alike))] == word


def test_predictions_are_rated_as_scikit_learn_does():
    draw = np.random.default_rng(5)
    null = Null(0.0, 0.1, 1.0, -0.2, 0.25)
    observed = draw.normal(0, 0.15, (40, 50))
    predicted = np.round(0.5 * observed + draw.normal(0, 0.1, (40, 50)), 2)  # with ties
    observed[3, 4] = predicted[5, 6] = np.nan
    known = np.isfinite(observed) & np.isfinite(predicted)
    truth, size = ((observed < -0.2) | (observed > 0.25))[known], np.abs(predicted[known])
    found = rate_predictions(observed, predicted, null)
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, size))
    assert found["auprc"] == pytest.approx(average_precision_score(truth, size))
    precision, recall, _ = precision_recall_curve(truth, size)
    fpr, tpr, _ = roc_curve(truth, size)
    for place, limit in enumerate(GRID):
        assert found["tpr_fdp"][place] == pytest.approx(max(recall[1 - precision <= limit + 1e-12], default=0.0))
        assert found["pr"][place] == pytest.approx(max(precision[:-1][recall[:-1] >= limit - 1e-12]))
        assert found["roc"][place] == pytest.approx(np.interp(limit, fpr, tpr), abs=0.01)
    assert (np.diff(found["tpr_fdp"]) >= 0).all() and found["tpr_fdp"][-1] == 1


def test_without_interactions_nothing_is_rated():
    found = rate_predictions(np.zeros(10), np.arange(10.0), Null(0.0, 0.1, 1.0, -0.2, 0.2))
    assert np.isnan(found["auroc"]) and np.isnan(found["auprc"])
    assert all(np.isnan(found[name]).all() for name in ("tpr_fdp", "pr", "roc"))
