"""The linear model and its components against scikit-learn and the paper's formula."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge

from foundationless.perturbation import linear


@pytest.fixture
def made():
    generator = np.random.default_rng(0)
    changes, targets = generator.standard_normal((30, 50)), generator.standard_normal((30, 6))
    return changes, generator.standard_normal((50, 5)), targets, generator.standard_normal((8, 6))


def test_without_readout_vectors_it_is_a_ridge(made):
    """With G the identity and its strength nil, columns are ridges of their own on the targets' vectors."""
    changes, _, targets, new = made
    for strength in (0.1, 10.0):
        fitted = linear.fit(changes, np.eye(50), targets)
        oracle = SklearnRidge(alpha=strength, fit_intercept=False).fit(targets, changes - changes.mean(axis=0))
        expected = oracle.predict(new) + changes.mean(axis=0)
        assert fitted.predict(new, strength, 0.0) == pytest.approx(expected, abs=1e-10)


def test_it_is_the_paper_s_formula(made):
    changes, readout, targets, new = made
    base = changes.mean(axis=0)
    left = np.linalg.inv(readout.T @ readout + 0.1 * np.eye(5)) @ readout.T @ (changes - base).T
    weights = left @ targets @ np.linalg.inv(targets.T @ targets + 0.1 * np.eye(6))
    expected = (readout @ weights @ new.T).T + base
    assert linear.fit(changes, readout, targets).predict(new, 0.1) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_components_are_those_of_sklearn(shape):
    matrix = np.random.default_rng(1).standard_normal(shape)
    expected, found = PCA(4, svd_solver="full").fit_transform(matrix), linear.components(matrix, 4)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-8)
    assert found.T @ found == pytest.approx(expected.T @ expected, abs=1e-8)


def test_scores_of_genes_are_those_of_prcomp_on_the_training_rows():
    means = np.random.default_rng(2).standard_normal((20, 35))
    rows = np.array([0, 3, 4, 9, 11, 17])
    expected = PCA(3, svd_solver="full").fit_transform(means[rows].T)
    found = linear.GeneScores(means).of(rows, 3)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=1e-8)


def test_more_dimensions_than_conditions_are_as_many_as_there_are():
    assert linear.GeneScores(np.random.default_rng(3).standard_normal((4, 9))).of(np.arange(4), 10).shape == (9, 4)


def test_a_constant_of_all_genes_moves_no_component():
    means = np.random.default_rng(4).standard_normal((12, 30))
    rows = np.arange(12)
    moved = linear.GeneScores(means + 5.0).of(rows, 3)
    assert moved == pytest.approx(linear.GeneScores(means).of(rows, 3), abs=1e-9)


def test_a_strong_ridge_is_the_mean(made):
    changes, readout, targets, new = made
    predicted = linear.fit(changes, readout, targets).predict(new, 1e12)
    assert predicted == pytest.approx(np.tile(changes.mean(axis=0), (8, 1)), abs=1e-8)
