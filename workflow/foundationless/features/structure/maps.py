"""A second map of test rows beside principal components: t-SNE, which keeps neighbours and no distances.

It is a picture and no test. How far a map can be trusted is said by its trustworthiness (Venna and Kaski 2001): 1 where
every neighbour on the map is one in the embedding, about 0.5 where places are drawn at random.
"""

import numpy as np

MAPPED = 1000  # rows that t-SNE places at most, a seeded draw: full size stays seconds
PERPLEXITY = 30.0  # or a third of the other rows, where these are fewer
COMPONENTS = 50  # that t-SNE reads, as its authors did
FEWEST = 30  # rows below which there is nothing to map
NEIGHBOURS = 10  # of trustworthiness


def perplexity_of(rows: int) -> float:
    """Perplexity of a map of so many rows."""
    return min(PERPLEXITY, (rows - 1) / 3)


def map_rows(scaled: np.ndarray, places: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, tuple[float, int]]]:
    """t-SNE of at most `MAPPED` rows (van der Maaten and Hinton 2008), and the trustworthiness of both maps.

    `scaled` [n, d]: standardised features; `places` [n, 2]: their principal components. It starts from these, reads the
    first `COMPONENTS` of them, and is drawn by `seed` alone. Returns places [n, 2] float32 (NaN: not among the rows
    drawn), and by map (`pca`, `tsne`) trustworthiness against `scaled` and the number of rows, the same for both; of
    fewer than `FEWEST` rows, or of rows that are all alike, no place and no number.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness
    from threadpoolctl import threadpool_limits

    found = np.full((len(scaled), 2), np.nan, dtype=np.float32)
    if len(scaled) < FEWEST or not scaled.any():
        return found, {}
    drawn = np.arange(len(scaled))
    if len(drawn) > MAPPED:
        drawn = np.sort(np.random.default_rng([seed, MAPPED]).choice(len(drawn), MAPPED, replace=False))
    own = scaled[drawn]
    start = "pca" if own.shape[1] > 1 else "random"
    tsne = TSNE(init=start, perplexity=perplexity_of(len(drawn)), random_state=seed, n_jobs=1)
    with threadpool_limits(1):  # sums in another order are another picture
        read = PCA(min(COMPONENTS, *own.shape), svd_solver="full").fit_transform(own)
        found[drawn] = tsne.fit_transform(read.astype(np.float32))
    maps = {"pca": places[drawn], "tsne": found[drawn]}
    return found, {
        name: (float(trustworthiness(own, each, n_neighbors=NEIGHBOURS)), len(drawn)) for name, each in maps.items()
    }
