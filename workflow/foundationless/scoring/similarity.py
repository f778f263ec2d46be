"""Similarity of REF and ALT embeddings, benign against pathogenic (paper, "Variation", Table 5).

Where inner layers are read, every layer has its mean cosines of single variants besides (`extra.layer`). Sets of
variants have no validation split, so half of the variants chooses the layer of each pooling, by the AUROC of the
distance, and the other half is ranked by that layer and by the last one: variants of one position stay together, and
the halves are the same for every arm and seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.reference import Genome
from foundationless.evaluation.records import Result, finite
from foundationless.features.embedding import embed_sequences
from foundationless.models.weights import Weights
from foundationless.runtime.log import tell
from foundationless.scoring.chunks import mutated_chunks
from foundationless.scoring.measures import (
    BENIGN,
    PATHOGENIC,
    check_variants,
    cosine,
    genes_of,
    layers_of,
    of_network,
    rank_variants,
    spread,
)
from foundationless.tasks.sequence_sets import alternative_windows


def score_similarity(
    weights: Weights,
    frame: pd.DataFrame,
    poolings: Sequence[str],
    seed: int,
    compute: Mapping[str, Any],
    genome: Genome | None = None,
    chunk: int = 1024,
    most: int = 5,
) -> tuple[list[Result], pd.DataFrame, list[dict[str, Any]]]:
    """Cosine similarity of REF and ALT embeddings, one variant at a time and, with a genome, the paper's way (Table 5).

    Unit `variant`: REF window against ALT window; `site` pools over the tokens that cover the allele in each. Besides
    the mean per gene (of all variants where there are more than `MOST_GENES`), label and pooling, the AUROC of the
    distance 1 − cosine, pathogenic against benign. Unit `chunk`: see `mutated_chunks`; the mean is over a gene's
    chunks. Intervals are 95 % bootstraps over units.

    Further results of chunks: `mutations`, how many each carries (Table 16; `extra.chunk` is its region); `cosine_gap`,
    the mean over chunks of cosine(pathogenic) − cosine(benign), per gene and of all (`extra.gene` is `all`); and
    `count_effect`, what that gap loses when the counts are matched, chunk by chunk.

    Args:
        frame: variant set, of any kind; for chunks, which carry SNVs of a gene, `gene`, `contig` and `position`
            (1-based).
        poolings: of `max`, `mean`, `cls`, `site`.
        seed: of subsampling and bootstrap.
        genome: reference to cut chunks from; without it there is no unit `chunk`.
        chunk: length of a chunk in bp.
        most: chunks per gene at most.

    Returns:
        Results; rows id, group, gene, label, unit, matched, mutations, pooling, cosine, of the last layer; and the
        choices of layers.
    """
    frame = check_variants(frame, "similarity")
    frame = frame.assign(gene=genes_of(frame))
    if genome is not None and (why := _unchunked(frame)):
        tell(f"similarity: {why}: no chunks are made")
        genome = None
    rng = np.random.default_rng(seed)
    units = frame[["id", "group", "gene", "label"]].assign(unit="variant", matched=False, mutations=1)
    units["before"] = frame["sequence"]
    units["after"] = alternative_windows(frame)
    units["sites_before"] = [list(range(o, o + len(r))) for o, r in zip(frame["offset"], frame["ref"], strict=True)]
    units["sites_after"] = [list(range(o, o + len(a))) for o, a in zip(frame["offset"], frame["alt"], strict=True)]
    if genome is not None:
        units = pd.concat([units, mutated_chunks(frame, genome, chunk, most, rng)], ignore_index=True)
    vectors = embed_sequences(
        weights,
        units["before"].tolist() + units["after"].tolist(),
        poolings,
        sites=units["sites_before"].tolist() + units["sites_after"].tolist(),
        **of_network(compute),
    )
    results: list[Result] = []
    rows = []
    for pooling in poolings:
        before, after = np.split(vectors[pooling], 2)
        pooled = units[["id", "group", "gene", "label", "unit", "matched", "mutations"]].assign(pooling=pooling)
        pooled["cosine"] = cosine(before, after)
        rows.append(pooled)
        for (unit, matched, gene), some in pooled.groupby(["unit", "matched", "gene"], sort=False):
            extra = {"pooling": pooling, "gene": gene, "unit": unit, "matched": bool(matched)}
            for label, same in some.groupby("label"):
                more = {"label": label, "mutations": float(same["mutations"].mean())}
                results.append(_mean_result("cosine", same["cosine"].to_numpy(), extra | more, rng))
            if unit == "variant":
                distance = 1 - some["cosine"].to_numpy()
                results += rank_variants(some["label"], distance, ["auroc"], extra, "validation", rng)
        if genome is not None:
            results += _chunk_gaps(pooled[pooled["unit"] == "chunk"].assign(chunk=units["chunk"]), pooling, rng)
    if genome is not None:
        results += _mutation_counts(units[(units["unit"] == "chunk") & ~units["matched"].astype(bool)])
    single = (units["unit"] == "variant").to_numpy()
    distances = {
        (extra["pooling"], extra["layer"], extra["depth"]): cosine(
            *(side[single] for side in np.split(vectors[name], 2))
        )
        for extra, name in layers_of(compute, poolings)
    }
    layered, selections = _choose_layers(frame, distances, rng)
    return results + layered, pd.concat(rows, ignore_index=True), selections


def _unchunked(frame: pd.DataFrame) -> str:
    """Why chunks of many mutations, which are those of a gene, cannot be made of a set; empty where they can."""
    if set(frame["gene"]) == {"all"}:
        return "the set is of no gene, or of very many"
    single = (frame["ref"].str.len() == 1) & (frame["alt"].str.len() == 1) & frame["label"].notna()
    return "" if single.any() else "no labelled variant is a substitution of one base"


def choosing_half(frame: pd.DataFrame) -> np.ndarray:
    """Bool [n]: variants that choose a layer; the others are ranked by it. Decided by contig and position alone."""
    known = [name for name in ("contig", "position") if name in frame.columns] or ["id"]
    places = frame[known].astype(str).agg(":".join, axis=1)
    return np.array([blake2b(place.encode(), digest_size=1).digest()[0] % 2 == 0 for place in places])


def _choose_layers(
    frame: pd.DataFrame, cosines: Mapping[tuple[str, int, float], np.ndarray], rng: np.random.Generator
) -> tuple[list[Result], list[dict[str, Any]]]:
    """Results of every layer, and the choice of one per pooling; `cosines` [n] by pooling, layer and depth."""
    half, results, selections = choosing_half(frame), list[Result](), list[dict[str, Any]]()
    for pooling in dict.fromkeys(name for name, _, _ in cosines):
        mine = {(layer, depth): values for (name, layer, depth), values in cosines.items() if name == pooling}
        tried: dict[int, float | None] = {}
        ranked = {}
        for (layer, depth), values in mine.items():
            extra = {"pooling": pooling, "layer": layer, "depth": depth, "unit": "variant"}
            for label in (BENIGN, PATHOGENIC):
                if (chosen := (frame["label"] == label).to_numpy()).any():
                    results.append(_mean_result("cosine", values[chosen], extra | {"label": label}, rng))
            ranked[layer] = extra, 1 - values
            one = rank_variants(frame["label"][half], (1 - values)[half], ["auroc"], extra, "run")[0]
            results.append(replace(one, split="validation"))
            tried[layer] = one.value
        if not any(value is not None for value in tried.values()):
            continue
        last = max(tried)
        # The last one first: it wins where none is better.
        order = sorted(tried, key=lambda layer: layer != last)
        worth = {layer: -np.inf if (value := tried[layer]) is None else value for layer in order}
        won = max(worth, key=worth.__getitem__)
        selections.append(
            {"what": "layer", "within": pooling, "split": "validation", "metric": "auroc", "chosen": won}
            | {"tried": {layer: tried[layer] for layer in order}}
        )
        for layer in dict.fromkeys((won, last)):
            extra, distance = ranked[layer]
            facts = extra | {"chosen": layer == won}
            results += rank_variants(frame["label"][~half], distance[~half], ["auroc"], facts, "validation", rng)
    return results, selections


def _chunk_gaps(pooled: pd.DataFrame, pooling: str, rng: np.random.Generator) -> list[Result]:
    """`cosine_gap` of chunks as the paper has them and with matched counts, and `count_effect`, their difference."""
    results = []
    wide = pooled.pivot(index=["gene", "chunk"], columns=["matched", "label"], values="cosine")
    gaps = {matched: wide[matched, PATHOGENIC] - wide[matched, BENIGN] for matched in (False, True)}
    genes = wide.index.get_level_values("gene")
    named = sorted(set(genes))
    for gene in named if len(named) == 1 else [*named, "all"]:
        mine = (genes == gene) | (gene == "all")
        extra = {"pooling": pooling, "gene": gene, "unit": "chunk"}
        for matched in (False, True):
            values = gaps[matched][mine].to_numpy()
            results.append(_mean_result("cosine_gap", values, extra | {"matched": matched}, rng))
        lost = (gaps[False] - gaps[True])[mine].to_numpy()
        results.append(_mean_result("count_effect", lost, extra, rng))
    return results


def _mean_result(metric: str, values: np.ndarray, extra: dict[str, Any], rng: np.random.Generator) -> Result:
    return Result(metric, finite(values.mean()), len(values), extra=extra | spread(values, rng))


def _mutation_counts(chunks: pd.DataFrame) -> list[Result]:
    """Number of variants in every chunk as the paper has it."""
    results = []
    columns = ["gene", "chunk", "gene_start", "label", "mutations"]
    for gene, chunk, start, label, count in chunks[columns].itertuples(index=False):
        extra = {"gene": gene, "unit": "chunk", "matched": False, "label": label, "chunk": chunk}
        extra |= {"gene_start": None if pd.isna(start) else int(start)}
        results.append(Result("mutations", float(count), 1, extra=extra))
    return results
