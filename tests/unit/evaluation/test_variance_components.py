"""Variance components agree with the analysis of variance and are unbiased where cells are missing."""

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation.variance_components import variance_components


def make_runs(generator, seeds=6, folds=4, deviations=(0.03, 0.02, 0.01)):
    """Values [seeds × folds] with seed and fold of each."""
    seed, fold, noise = deviations
    table = seed * generator.normal(size=(seeds, 1)) + fold * generator.normal(size=(1, folds))
    table = 0.7 + table + noise * generator.normal(size=(seeds, folds))
    return table.ravel(), np.repeat(np.arange(seeds), folds), np.tile(np.arange(folds), seeds)


def test_a_full_table_is_the_analysis_of_variance_of_statsmodels():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    values, seeds, folds = make_runs(np.random.default_rng(0))
    frame = pd.DataFrame({"y": values, "seed": seeds, "fold": folds})
    table = anova_lm(ols("y ~ C(seed) + C(fold)", frame).fit())
    squares = (table["sum_sq"] / table["df"]).to_dict()
    found = variance_components(values, seeds, folds, 0.015)
    assert found["residual"].variance == pytest.approx(squares["Residual"])
    assert found["seed"].variance == pytest.approx((squares["C(seed)"] - squares["Residual"]) / 4)
    assert found["fold"].variance == pytest.approx((squares["C(fold)"] - squares["Residual"]) / 6)
    assert found["items"].sd == pytest.approx(0.015)
    assert sum(part.share for part in found.values()) == pytest.approx(1)
    assert all(part.sd**2 == pytest.approx(part.variance) for part in found.values())


def test_estimates_are_unbiased_where_runs_are_missing():
    generator = np.random.default_rng(1)
    kept = generator.random(24) > 0.25
    found = []
    for _ in range(800):
        values, seeds, folds = make_runs(generator)
        parts = variance_components(np.where(kept, values, np.nan), seeds, folds, 0)
        found.append([parts[name].variance for name in ("seed", "fold", "residual")])
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - np.array([9e-4, 4e-4, 1e-4])) < 4 * error + 1e-6)


def test_one_fold_leaves_seed_and_residual_together():
    values = np.array([0.1, 0.2, 0.6])
    found = variance_components(values, [0, 1, 2], [-1, -1, -1], 0.1)
    assert found["seed"].variance == pytest.approx(values.var(ddof=1))
    assert np.isnan([*found["fold"], *found["residual"]]).all()
    assert found["seed"].share + found["items"].share == pytest.approx(1)
    assert variance_components(values, [0, 0, 0], [0, 1, 2], 0.1)["fold"] == found["seed"]


def test_what_cannot_be_told_apart_is_residual():
    values = np.array([0.1, 0.2, 0.6])
    found = variance_components(values, [0, 1, 2], [0, 1, 2], 0.1)
    assert found["residual"].variance == pytest.approx(values.var(ddof=1))
    assert np.isnan([found["seed"].variance, found["fold"].variance]).all()


@pytest.mark.parametrize("values, item_se", [([0.5], 0.1), ([np.nan, 0.5], 0.1), ([], 0.1)])
def test_a_single_run_knows_items_alone(values, item_se):
    found = variance_components(values, np.arange(len(values)), np.zeros(len(values)), item_se)
    assert found["items"].share == 1
    assert np.isnan([found[name].variance for name in ("seed", "fold", "residual")]).all()


def test_nothing_varies():
    found = variance_components([0.5] * 4, [0, 0, 1, 1], [0, 1, 0, 1], 0.0)
    assert all(part.variance == 0 and np.isnan(part.share) for part in found.values())
    assert np.isnan(variance_components([0.4, 0.5], [0, 1], [0, 0], np.nan)["items"].variance)
