"""Mutation sensitivity: how far random substitutions move an embedding (paper, "Variation", Fig 6a).

Every similarity is reported under three conditions (`extra.condition`):

- `raw`: cosine of the two embeddings, as in the paper, at the job's own precision.
- `centred`: cosine after the mean embedding of the unmutated windows is subtracted from both. Embeddings of one model
  share a large common part (anisotropy), so that the raw cosine of unrelated windows is near 1 too. The null of
  `centred` is −1 / (windows − 1) for windows that share nothing else. Not given for fewer than three windows.
- `rounded`: what the paper printed: embeddings held in half precision (bfloat16), the cosine rounded to three
  decimals. Where the job runs in fp32 only the embeddings are cut, not the network's arithmetic, so the loss is the
  least there can be.

Beside the mean cosine, `identical` is the share of mutants whose cosine reads exactly 1, and `draw_sd` the standard
deviation of the mean between replicates: by how much an experiment with unseeded mutations differs when repeated.

Where inner layers are read, every layer has its mean cosines and nulls besides (`extra.layer`): mutants have no labels,
so that nothing is chosen among layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from foundationless.errors import UserError
from foundationless.evaluation.records import Result, finite
from foundationless.features.embedding import embed_sequences
from foundationless.models.weights import Weights
from foundationless.scoring.measures import RESAMPLES, cosine, deviation, interval, layers_of, of_network, require

DECIMALS = 3  # that the paper reports
FEWEST_WINDOWS = 3  # to centre: two centred embeddings are each other's negative


def score_sensitivity(
    weights: Weights, frame: pd.DataFrame, poolings: Sequence[str], seed: int, compute: Mapping[str, Any]
) -> tuple[list[Result], pd.DataFrame]:
    """Cosine similarity of every mutant's embedding with that of its window's reference (Fig 6a).

    With `site` pooling both are pooled over the tokens that cover the mutant's own sites. A mean per pooling and number
    of mutations stands with the standard deviation over mutants and the 95 % bootstrap interval over windows. The null
    (`extra.null`) is the cosine of references of different windows, its interval likewise over windows. All of it comes
    in the variants that the module describes.

    Args:
        frame: sensitivity set: id, sequence, window, mutations (0: the reference itself), replicate, sites (0-based).
        poolings: of `cls`, `mean`, `max`, `site`.
        compute: as of `embed_sequences`; with `layers` (and `last_layer`) inner layers are described beside the last.

    Returns:
        Results, and one row per mutant, pooling, variant: id, window, mutations, replicate, pooling, variant, cosine.
        They are those of the last layer; of inner ones there are results alone.
    """
    require(frame, ["id", "sequence", "window", "mutations", "replicate", "sites"], "sensitivity")
    frame = frame.reset_index(drop=True)
    if not pd.api.types.is_integer_dtype(frame["mutations"]) or frame["window"].isna().any():
        raise UserError("sensitivity: a row lacks its window or its number of mutations; build the set again.")
    for name, where in zip(frame["id"], frame["sites"], strict=True):
        if not isinstance(where, np.ndarray | list) or not all(isinstance(site, int | np.integer) for site in where):
            raise UserError(f"mutant '{name}': its sites are no list of positions; build the set again.")
    origin = frame.index[frame["mutations"] == 0]
    windows = frame.loc[origin, "window"]
    if windows.duplicated().any() or not set(frame["window"]) <= set(windows):
        wrong = [*windows[windows.duplicated()], *sorted(set(frame["window"]) - set(windows))][0]
        raise UserError(f"window '{wrong}' must have exactly one row with mutations = 0; build the set again.")
    home = frame["window"].map(dict(zip(windows, origin, strict=True))).to_numpy(dtype=np.int64)
    sequences = frame["sequence"].tolist()
    reference = [sequences[index] for index in home]
    if odd := [name for name, a, b in zip(frame["id"], sequences, reference, strict=True) if len(a) != len(b)]:
        raise UserError(f"mutant '{odd[0]}' is not as long as its window; only substitutions are mutations here.")
    # the reference has no sites of its own: all of it is pooled
    sites = [
        list(range(len(sequence))) if count == 0 else list(where)
        for sequence, count, where in zip(sequences, frame["mutations"], frame["sites"], strict=True)
    ]
    vectors = embed_sequences(weights, sequences + reference, poolings, sites=sites + sites, **of_network(compute))
    rng = np.random.default_rng(seed)
    results, rows = [], []
    for pooling in poolings:
        found = _compare_mutants(frame, origin.to_numpy(), vectors[pooling], pooling, rng)
        results += found[0]
        rows += found[1]
    for extra, column in layers_of(compute, poolings):
        found = _compare_mutants(frame, origin.to_numpy(), vectors[column], extra["pooling"], rng)
        kept = (one for one in found[0] if one.metric == "cosine")
        results += [replace(one, extra={**one.extra, **extra}) for one in kept]
    return results, pd.concat(rows, ignore_index=True)


def _compare_mutants(
    frame: pd.DataFrame, origin: np.ndarray, vectors: np.ndarray, pooling: str, rng: np.random.Generator
) -> tuple[list[Result], list[pd.DataFrame]]:
    """Results and rows of one pooling in the module's variants; `vectors` of mutants, then of their references."""
    results, rows = [], []
    mutant, unmutated = np.split(vectors, 2)
    # the row of a reference itself is pooled over all of it, also for `site`
    center = mutant[origin].mean(axis=0, dtype=np.float64) if len(origin) >= FEWEST_WINDOWS else None
    for variant in ("raw", "centred", "rounded"):
        if variant == "centred" and center is None:
            continue
        mutants = frame[["id", "window", "mutations", "replicate"]].assign(pooling=pooling, variant=variant)
        mutants["cosine"] = _similarity(mutant, unmutated, variant, center)
        rows.append(mutants)
        for count, some in mutants.groupby("mutations"):
            extra = {"pooling": pooling, "condition": variant, "mutations": int(str(count)), "null": False}
            results += _describe(some, extra | {"windows": int(some["window"].nunique())}, rng)
        if pooling != "site" and len(origin) > 1:  # unrelated windows share no sites
            results.append(_null(mutant[origin], pooling, variant, center, rng))
    return results, rows


def _similarity(first: np.ndarray, second: np.ndarray, variant: str, center: np.ndarray | None) -> np.ndarray:
    """Cosine [n] of the rows of two arrays [n, width] in one of the module's variants."""
    if variant == "centred":
        assert center is not None
        return cosine(first - center, second - center)
    if variant == "rounded":
        halves = [torch.from_numpy(part).bfloat16().float().numpy() for part in (first, second)]
        return cosine(*halves).round(DECIMALS)
    return cosine(first, second)


def _describe(some: pd.DataFrame, extra: Mapping[str, Any], rng: np.random.Generator) -> list[Result]:
    """Results of the mutants of one pooling, variant and number of mutations."""
    values = some["cosine"].to_numpy()
    low, high = interval(some.groupby("window")["cosine"].mean().to_numpy(), rng)
    spread = {"sd": deviation(values), "low": low, "high": high}
    results = [
        Result("cosine", finite(values.mean()), len(values), extra={**extra, **spread}),
        Result("identical", finite((values == 1).mean()), len(values), extra=extra),
    ]
    draws = some.groupby("replicate")["cosine"].mean()
    if len(draws) > 1:
        results.append(Result("draw_sd", finite(draws.std(ddof=1)), len(draws), extra=extra))
    return results


def _null(
    reference: np.ndarray, pooling: str, variant: str, center: np.ndarray | None, rng: np.random.Generator
) -> Result:
    """Mean cosine over all pairs of different windows, its interval by resampling windows."""
    count = len(reference)
    left, right = np.triu_indices(count, 1)
    values = _similarity(reference[left], reference[right], variant, center)
    similarity = np.zeros((count, count))
    similarity[left, right] = similarity[right, left] = values
    weight = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    pairs = weight.sum(axis=1) ** 2 - (weight**2).sum(axis=1)
    means = np.einsum("ri,ij,rj->r", weight, similarity, weight, optimize=True)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    extra = {"pooling": pooling, "condition": variant, "mutations": None, "null": True, "windows": count}
    spread = {"sd": deviation(values), "low": finite(low), "high": finite(high)}
    return Result("cosine", finite(values.mean()), len(values), extra=extra | spread)
