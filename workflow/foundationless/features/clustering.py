"""What an embedding knows of the classes without being taught: clusters, neighbours and a map.

Everything is read from the test rows, standardised over themselves; labels come in only afterwards. Four numbers:

`adjusted_rand`, `normalised_mutual_information`
    between the labels and k-means clusters, as many as there are classes (Hubert and Arabie 1985; NMI by the
    arithmetic mean of the entropies)
`silhouette`
    of the labels themselves: how much nearer a row lies to its own class than to the nearest other (Rousseeuw 1987)
`neighbour_agreement`
    share of the `NEIGHBOURS` nearest rows that have a row's own label

Their null permutes the labels over the rows: clusters and distances stay, and nothing but the labels' meaning is lost.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.records import Result, finite
from foundationless.features.structure.maps import map_rows
from foundationless.tasks.sequence_sets import labels_in

METRICS = ("adjusted_rand", "normalised_mutual_information", "silhouette", "neighbour_agreement")
NEIGHBOURS = 10
SILHOUETTE_ROWS = 2000  # a silhouette needs every distance between rows


class Clustering(NamedTuple):
    """Results, the map (id, label, x, y; of t-SNE tsne_x, tsne_y), and the permutation test's p-values by metric."""

    results: list[Result]
    map: pd.DataFrame
    p: dict[str, float]


def cluster(
    frame: pd.DataFrame,
    matrix: np.ndarray,
    *,
    seed: int,
    permutations: int = 1000,
    most_rows: int = 5000,
    extra: Mapping[str, Any] | None = None,
    mapped: bool = False,
) -> Clustering:
    """Cluster the test rows of a set and compare clusters and distances with the labels.

    Args:
        frame: id, label and split of every row.
        matrix: features [rows, d] in the same order.
        seed: of the rows drawn, k-means, permutations and resamples.
        permutations: of the labels, for the null; as many bootstrap resamples of rows give the intervals.
        most_rows: test rows read at most; more are thinned by a seeded draw.
        extra: joins every result's `extra`.
        mapped: whether there is a map by t-SNE beside the principal components, which takes seconds (`structure.maps`).

    Returns:
        Every metric twice, with `extra.condition` `observed` (`low` and `high`: 95 % bootstrap interval over rows,
        clusters held fixed) and `permuted_labels` (mean and 95 % range of the null); `explained_variance` of both
        components of the map; where `mapped` the `trustworthiness` of both maps (`extra.measure`: pca, tsne); the map;
        and the p-values, (1 + permutations at least as high) / (1 + permutations).

    Raises:
        UserError: labels that are no classes, fewer than two classes, a class or test split too small, features that
            are not finite.
    """
    from scipy.spatial.distance import pdist, squareform
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    _check_classes(frame)
    generator = np.random.default_rng(seed)
    inside = np.flatnonzero((frame["split"] == "test") & frame["label"].notna())
    if len(inside) > most_rows:
        inside = np.sort(generator.choice(inside, most_rows, replace=False))
    rows = frame.iloc[inside]
    classes, labels = np.unique(rows["label"].astype(str).to_numpy(dtype=str), return_inverse=True)
    if len(classes) < 2 or len(rows) <= max(NEIGHBOURS, len(classes)):
        raise UserError(
            f"clustering needs two classes and more than {max(NEIGHBOURS, len(classes))} labelled test rows; the set "
            f"has {len(classes)} and {len(rows)}."
        )
    scaled = StandardScaler().fit_transform(_checked(rows, matrix[inside].astype(np.float64)))
    clusters = KMeans(len(classes), n_init=10, random_state=seed).fit_predict(scaled)
    components = PCA(min(2, *scaled.shape), svd_solver="full").fit(scaled)
    places = components.transform(scaled)
    places = np.pad(places, ((0, 0), (0, 2 - places.shape[1]))).astype(np.float32)

    thin = np.arange(len(rows))
    if len(rows) > SILHOUETTE_ROWS:
        thin = np.sort(generator.choice(len(rows), SILHOUETTE_ROWS, replace=False))
    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(scaled)
    nearest = neighbours.kneighbors(return_distance=False)  # of the rows themselves: none is its own neighbour
    distances = squareform(pdist(scaled[thin])).astype(np.float32)
    results, p = [], {}
    for metric in METRICS:
        chosen = thin if metric == "silhouette" else np.arange(len(rows))
        measure = _measure(metric, clusters, nearest, distances, len(classes))
        observed, items = measure(labels[chosen])
        null = np.array([measure(generator.permutation(labels[chosen]))[0] for _ in range(permutations)])
        boot = _resample(metric, labels, clusters, items, generator, permutations)
        p[metric] = float((1 + (null >= observed - 1e-12).sum()) / (1 + permutations))
        for variant, value, draws in (("observed", observed, boot), ("permuted_labels", null.mean(), null)):
            low, high = np.quantile(draws, [0.025, 0.975])
            facts = {**(extra or {}), "condition": variant, "low": float(low), "high": float(high)}
            results.append(Result(metric, float(value), len(chosen), extra=facts))
    for number, share in enumerate(components.explained_variance_ratio_, start=1):
        facts = {**(extra or {}), "condition": "observed", "component": number}
        results.append(Result("explained_variance", finite(share), len(rows), extra=facts))
    columns = {"id": rows["id"].to_numpy(), "label": classes[labels], "x": places[:, 0], "y": places[:, 1]}
    further, trusted = _map(scaled, places, seed, extra or {}) if mapped else ({}, [])
    return Clustering(results + trusted, pd.DataFrame(columns | further), p)


def _map(
    scaled: np.ndarray, places: np.ndarray, seed: int, extra: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], list[Result]]:
    """Columns of the map by t-SNE, and how far both maps are trusted."""
    tsne, found = map_rows(scaled, places, seed)
    told = [
        Result("trustworthiness", finite(value), n, extra={**extra, "condition": "observed", "measure": name})
        for name, (value, n) in found.items()
    ]
    return {"tsne_x": tsne[:, 0], "tsne_y": tsne[:, 1]}, told


def _checked(rows: pd.DataFrame, features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        worst = rows["id"].iloc[int((~np.isfinite(features)).any(axis=1).argmax())]
        raise UserError(f"the embedding of '{worst}' is not finite; embed with --precision fp32.")
    return features


def _check_classes(frame: pd.DataFrame) -> None:
    if labels_in(frame)[1]:
        raise UserError("clusters are compared with classes, and the set has labels of another kind; leave it out.")


def cluster_layers(
    frame: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    layers: Mapping[str, int],
    extra: Mapping[str, Any],
    **settings: Any,
) -> list[Result]:
    """Results of `cluster` on each layer, `extra.layer` and `extra.depth` being its own: labels choose none of them.

    `features` [rows, d] by column, of which `layers` says the layer; one is read at a time.
    """
    last, results = max(1, max(layers.values())), []
    for column, layer in sorted(layers.items(), key=lambda item: item[1]):
        place = {"layer": layer, "depth": round(layer / last, 6)}
        results += cluster(frame, features[column], **settings, extra={**extra, **place}).results
    return [one for one in results if one.metric in METRICS]  # maps are of the last layer


def _measure(
    metric: str, clusters: np.ndarray, nearest: np.ndarray, distances: np.ndarray, classes: int
) -> Callable[[np.ndarray], tuple[float, np.ndarray | None]]:
    """The function from labels [n] to a metric and, where it is a mean over rows, the rows' own values [n]."""

    def agree(labels: np.ndarray) -> tuple[float, np.ndarray | None]:
        table = np.bincount(labels * classes + clusters, minlength=classes**2).reshape(classes, classes)
        return float(compare_partitions(table, metric)), None

    def neighbours(labels: np.ndarray) -> tuple[float, np.ndarray | None]:
        items = (labels[nearest] == labels[:, None]).mean(axis=1)
        return float(items.mean()), items

    def silhouette(labels: np.ndarray) -> tuple[float, np.ndarray | None]:
        members = labels[:, None] == np.arange(classes)
        counts = members.sum(axis=0)
        total = distances @ members.astype(np.float32)
        own = np.take_along_axis(total, labels[:, None], axis=1)[:, 0] / np.maximum(counts[labels] - 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(members | (counts == 0), np.inf, total / counts)
        other = means.min(axis=1)
        largest = np.maximum(own, other)
        usual = (counts[labels] > 1) & np.isfinite(other) & (largest > 0)
        # alone in its class: 0 by convention
        items = np.where(usual, (other - own) / np.where(usual, largest, 1.0), 0.0)
        return float(items.mean()), items

    return {"silhouette": silhouette, "neighbour_agreement": neighbours}.get(metric, agree)


def compare_partitions(tables: np.ndarray, metric: str) -> np.ndarray:
    """`adjusted_rand` or `normalised_mutual_information` of contingency tables [..., k, k], as an array [...].

    Equal to scikit-learn's. Two partitions of a single part each agree wholly: 1.
    """
    table = np.asarray(tables, dtype=np.float64)
    n = table.sum(axis=(-2, -1))
    first, second = table.sum(axis=-1), table.sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric == "adjusted_rand":
            together = _pairs(table).sum(axis=(-2, -1))
            one, other = _pairs(first).sum(axis=-1), _pairs(second).sum(axis=-1)
            expected = one * other / _pairs(n)
            most = (one + other) / 2
            return np.where(most == expected, 1.0, (together - expected) / (most - expected))
        entropies = [_entropy(part / n[..., None]) for part in (first, second)]
        shared = entropies[0] + entropies[1] - _entropy((table / n[..., None, None]).reshape(*n.shape, -1))
        mean = (entropies[0] + entropies[1]) / 2
        return np.where(mean == 0, 1.0, np.maximum(shared, 0) / np.where(mean == 0, 1.0, mean))


def _pairs(counts: np.ndarray) -> np.ndarray:
    pairs: np.ndarray = counts * (counts - 1) / 2
    return pairs


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Natural-logarithm entropy over the last axis; 0 log 0 is 0."""
    entropy: np.ndarray = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=-1)
    return entropy


def _resample(
    metric: str,
    labels: np.ndarray,
    clusters: np.ndarray,
    items: np.ndarray | None,
    generator: np.random.Generator,
    resamples: int,
) -> np.ndarray:
    """The metric [resamples] over rows drawn with replacement; clusters, neighbours and distances are held fixed."""
    if items is not None:
        return np.array([items[generator.integers(len(items), size=len(items))].mean() for _ in range(resamples)])
    classes = max(labels.max(), clusters.max()) + 1
    share = np.bincount(labels * classes + clusters, minlength=classes**2) / len(labels)
    # Rows drawn with replacement, seen through the cells that they fall into.
    tables = generator.multinomial(len(labels), share, size=resamples).reshape(resamples, classes, classes)
    return compare_partitions(tables, metric)
