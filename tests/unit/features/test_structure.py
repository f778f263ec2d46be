"""Structural probes and maps against scikit-learn, planted facts and noise, and the files of the command."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from foundationless.features.structure import maps
from foundationless.features.structure.maps import map_rows


def test_a_map_keeps_planted_groups_and_says_how_far_it_is_trusted():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    scaled = rng.normal(size=(60, 8)) + 8 * np.eye(8)[labels]
    places = scaled[:, 3:5]
    found, trust = map_rows(scaled, places, 0)
    centres = np.stack([found[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(found[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).all() and found.dtype == np.float32
    for name, each in (("pca", places), ("tsne", found)):
        assert trust[name] == (pytest.approx(trustworthiness(scaled, each, n_neighbors=10)), 60)
    assert trust["tsne"][0] > trust["pca"][0] + 0.1
    again, _ = map_rows(scaled, places, 0)
    assert again.tobytes() == found.tobytes()


def test_many_rows_are_thinned_and_few_or_equal_ones_have_no_map(monkeypatch):
    monkeypatch.setattr(maps, "MAPPED", 40)
    scaled = np.random.default_rng(1).normal(size=(90, 1))
    found, trust = map_rows(scaled, np.pad(scaled, ((0, 0), (0, 1))), 5)
    assert np.isfinite(found).all(axis=1).sum() == 40 == trust["tsne"][1] and trust["pca"][0] > 0.9
    assert np.isnan(found).all(axis=1).sum() == 50
    for rows in (scaled[:20], np.zeros((50, 3))):
        found, trust = map_rows(rows, np.zeros((len(rows), 2)), 0)
        assert np.isnan(found).all() and trust == {}
