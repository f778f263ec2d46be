"""Clustering against scikit-learn, planted and permuted classes, and the files of the command."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.layers.depth import measure_layers
from foundationless.evaluation.records import comparable, read_record
from foundationless.features import clustering
from foundationless.features.clustering import METRICS, cluster, compare_partitions
from foundationless.features.embedding_files import write_embeddings
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import words


def make(n: int = 120, signal: float = 1.5, classes: str = "abc", seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.array(list(classes))[rng.integers(len(classes), size=n)]
    split = np.where(np.arange(n) % 4 == 0, "train", "test")
    shift = signal * np.stack([labels == name for name in classes], axis=1)
    matrix = (rng.normal(size=(n, 6)) + np.pad(shift, ((0, 0), (0, 6 - len(classes))))).astype(np.float32)
    return pd.DataFrame({"id": [f"s{i}" for i in range(n)], "label": labels, "split": split, "group": "g"}), matrix


def values(found, variant="observed"):
    return {r.metric: r.value for r in found.results if r.extra["condition"] == variant and "component" not in r.extra}


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("n", [3, 40, 400])
def test_partitions_compare_as_in_scikit_learn(k, n):
    rng = np.random.default_rng(k * n)
    cycle, zeros = np.arange(n) % k, np.zeros(n, int)
    drawn = rng.integers(k, size=(2, n))
    for first, second in [drawn, (zeros, zeros), (cycle, (cycle + 1) % k), (zeros, cycle)]:
        table = np.bincount(first * k + second, minlength=k * k).reshape(1, k, k)
        expected = adjusted_rand_score(first, second), normalized_mutual_info_score(first, second)
        for metric, value in zip(METRICS[:2], expected, strict=True):
            assert compare_partitions(table, metric)[0] == pytest.approx(value, abs=1e-9)


def test_every_number_is_scikit_learns():
    frame, matrix = make()
    found = cluster(frame, matrix, seed=4, permutations=20)
    test = (frame["split"] == "test").to_numpy()
    labels, scaled = frame["label"].to_numpy()[test], StandardScaler().fit_transform(matrix[test].astype(float))
    clusters = KMeans(3, n_init=10, random_state=4).fit_predict(scaled)
    nearest = NearestNeighbors(n_neighbors=11).fit(scaled).kneighbors(scaled, return_distance=False)[:, 1:]
    expected = {
        "adjusted_rand": adjusted_rand_score(labels, clusters),
        "normalised_mutual_information": normalized_mutual_info_score(labels, clusters),
        "silhouette": silhouette_score(scaled, labels),
        "neighbour_agreement": (labels[nearest] == labels[:, None]).mean(),
    }
    assert values(found) == pytest.approx(expected, abs=1e-6)
    assert {r.n for r in found.results} == {test.sum()}
    model = PCA(2).fit(scaled)
    shares = [r.value for r in found.results if r.metric == "explained_variance"]
    np.testing.assert_allclose(shares, model.explained_variance_ratio_, rtol=1e-6)
    np.testing.assert_allclose(np.abs(found.map[["x", "y"]]), np.abs(model.transform(scaled)), atol=1e-4)
    assert found.map["id"].tolist() == frame["id"][test].tolist() and found.map["label"].tolist() == labels.tolist()


def test_planted_classes_stand_out_and_intervals_hold_the_value():
    found = cluster(*make(signal=4.0), seed=0, permutations=99)
    assert found.p == dict.fromkeys(METRICS, 0.01)
    for row in found.results:
        if row.extra["condition"] == "observed" and "component" not in row.extra:
            assert row.extra["low"] <= row.value <= row.extra["high"] and row.value > 0.25
    null = values(found, "permuted_labels")
    assert abs(null["adjusted_rand"]) < 0.02 and null["silhouette"] < 0.02
    assert null["neighbour_agreement"] == pytest.approx(1 / 3, abs=0.03)


def test_meaningless_labels_give_uniform_p_values():
    p = pd.DataFrame([cluster(*make(60, 0.0, "ab", seed), seed=seed, permutations=39).p for seed in range(40)])
    for metric in METRICS:
        assert stats.kstest(p[metric], "uniform").pvalue > 0.001, metric


def test_a_class_with_one_row_and_rows_at_one_place_count_as_zero():
    frame, matrix = make(80)
    frame["label"] = frame["label"].where(frame.index != 1, "lonely")
    found = cluster(frame, matrix, seed=0, permutations=5)
    test = (frame["split"] == "test").to_numpy()
    scaled = StandardScaler().fit_transform(matrix[test].astype(float))
    assert values(found)["silhouette"] == pytest.approx(silhouette_score(scaled, frame["label"][test]), abs=1e-6)
    same = cluster(frame, np.ones_like(matrix), seed=0, permutations=5)
    assert values(same)["silhouette"] == 0 and np.isfinite(list(values(same).values())).all()
    assert {r.value for r in same.results if r.metric == "explained_variance"} == {None}


def test_large_sets_are_thinned(monkeypatch):
    monkeypatch.setattr(clustering, "SILHOUETTE_ROWS", 30)
    frame, matrix = make(200)
    found = cluster(frame, matrix, seed=0, permutations=5, most_rows=50)
    sizes = {r.metric: r.n for r in found.results}
    assert sizes["silhouette"] == 30 and sizes["adjusted_rand"] == 50 == len(found.map)
    again = cluster(frame, matrix, seed=0, permutations=5, most_rows=50)
    assert again.map.equals(found.map) and again.results == found.results
    assert not cluster(frame, matrix, seed=1, permutations=5, most_rows=50).map["id"].equals(found.map["id"])


def test_sets_that_cannot_be_clustered_are_sentences():
    frame, matrix = make(24)
    with pytest.raises(UserError, match="two classes and more than 10 labelled test rows; the set has 1 and 18"):
        cluster(frame.assign(label="a"), matrix, seed=0)
    with pytest.raises(UserError, match="more than 10"):
        cluster(frame[:12], matrix[:12], seed=0)
    matrix[5, 0] = np.nan
    with pytest.raises(UserError, match="'s5' is not finite"):
        cluster(frame, matrix, seed=0)


def test_the_command_writes_the_same_record_and_map_twice(tmp_path):
    frame, matrix = make(60)
    write_sequences(tmp_path / "set.parquet", frame.assign(sequence="ACGT"))
    facts = {"parameters": 7, "max_tokens": 64, "precision": "fp32", "cost": {"seconds": 1.5, "tokens": 99}}
    write_embeddings(tmp_path / "e.parquet", frame["id"].tolist(), {"max": matrix, "mean": matrix}, facts)
    flags = {"embeddings": tmp_path / "e.parquet", "sequences": tmp_path / "set.parquet", "analysis": "clustering"}
    flags |= {"task": "t", "model": "m", "init": "random", "seed": 3, "permutations": 9, "threads": 1}
    seen = []
    for name in "ab":
        paths = {"record": tmp_path / f"{name}.json", "map": tmp_path / f"{name}.parquet"}
        assert main(words("cluster_embeddings", **flags, **paths)) == 0
        seen.append((comparable(read_record(paths["record"])), paths["map"].read_bytes()))
    assert seen[0] == seen[1]
    record, places = seen[0][0], pd.read_parquet(tmp_path / "a.parquet")
    columns = ["task", "model", "init", "seed", "id", "label", "x", "y", "tsne_x", "tsne_y"]
    assert places.columns.tolist() == columns and len(places) == 45
    assert record["parameters"] == 7 and set(record["settings"]["permutation_p"]) == set(METRICS)
    assert {r["extra"]["pooling"] for r in record["results"]} == {"max"}
    assert main(words("cluster_embeddings", **flags, **paths, pooling="cls")) == 2


def test_every_layer_is_clustered_where_a_study_says_so(tmp_path):
    """Classes planted in layer 1 stand out there alone; what is said of the last layer, and its map, stay."""
    frame, matrix = make(60)
    noise = np.random.default_rng(5).normal(size=(2, *matrix.shape)).astype(np.float32)
    write_sequences(tmp_path / "set.parquet", frame.assign(sequence="ACGT"))
    facts = {"parameters": 7, "max_tokens": 64, "precision": "fp32", "cost": {"seconds": 1.5, "tokens": 99}}
    facts |= {"layers": [0, 1, 2], "last_layer": 2}
    vectors = {"max": noise[0], "max_layer0": noise[1], "max_layer1": matrix}
    write_embeddings(tmp_path / "e.parquet", frame["id"].tolist(), vectors, facts)
    flags = {"embeddings": tmp_path / "e.parquet", "sequences": tmp_path / "set.parquet", "analysis": "clustering"}
    flags |= {"task": "t", "model": "m", "init": "random", "seed": 3, "permutations": 9, "threads": 1}
    found = {}
    for name, more in (("last", {}), ("all", {"layers": "all"})):
        paths = {"record": tmp_path / f"{name}.json", "map": tmp_path / f"{name}.parquet"}
        assert main(words("cluster_embeddings", **flags, **paths, **more)) == 0
        found[name] = read_record(paths["record"])["results"]
    assert found["all"][: len(found["last"])] == found["last"]
    assert (tmp_path / "all.parquet").read_bytes() == (tmp_path / "last.parquet").read_bytes()
    table = measure_layers([read_record(tmp_path / "all.json")])
    rows = table[(table["metric"] == "adjusted_rand") & (table["condition"] == "observed")].set_index("layer")["value"]
    assert rows[1] > 0.15 + max(rows[0], rows[2]) and len(table) == 3 * len(METRICS) * 2
