"""Zero-shot use of a model on variation: how far a mutation moves the embedding, and how likely the model finds it.

Three analyses: mutation sensitivity (paper, "Variation", Fig 6a), cosine similarity of REF and ALT (Table 5), and the
log-likelihood ratio (Table 4). Nothing is trained and nothing is chosen: where a score has variants, the one named
first is the reported one.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from foundationless.embedding import choose_device, embed_sequences, run_network, site_tokens, special_mask
from foundationless.errors import UserError
from foundationless.files import atomic_path
from foundationless.metrics import evaluate_ranking, spearman
from foundationless.records import Result, Stopwatch, write_record
from foundationless.sequences import read_sequences, reverse_complement

if TYPE_CHECKING:
    from foundationless.genomes import Genome
    from foundationless.models import Weights

BENIGN, PATHOGENIC = "benign", "pathogenic"
RESAMPLES = 2000  # of the percentile bootstraps
PROJECTED = 4096  # tokens whose logits over the vocabulary are held at once


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine similarity [n] of rows of two arrays [n, width], in float64; equal rows give exactly 1, zero rows NaN."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    dot, aa, bb = (a * b).sum(axis=1), (a * a).sum(axis=1), (b * b).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(dot / np.sqrt(aa * bb), -1.0, 1.0)


def _require(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{what}: the sequence set has no column {', '.join(missing)}; build it for this analysis.")
    if frame.empty:
        raise UserError(f"{what}: the sequence set is empty; check the filters that made it.")


def _interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the mean; none for fewer than two values."""
    if len(values) < 2:
        return None, None
    means = np.concatenate(
        [values[rng.integers(len(values), size=(200, len(values)))].mean(axis=1) for _ in range(RESAMPLES // 200)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def run_job(
    score: Callable[["Weights", pd.DataFrame, dict[str, Any]], tuple[list[Result], pd.DataFrame]],
    *,
    weights: Path,
    sequences: Path,
    strict_alphabet: bool,
    identity: Mapping[str, Any],
    settings: Mapping[str, Any],
    record: Path,
    predictions: Path,
    device: str,
    threads: int,
    precision: str,
    token_budget: int,
) -> None:
    """Load weights and sequence set, call `score(weights, frame, compute)` and write what it returns.

    The record is written last, so that it vouches for the predictions. `identity` has analysis, task, model, init and
    seed; the other arguments are the flags of the same names.
    """
    from foundationless.models import load_weights

    torch.set_num_threads(threads)
    place = choose_device(device)
    watch = Stopwatch(str(place))
    frame = read_sequences(sequences, strict_alphabet=strict_alphabet)
    loaded = load_weights(weights, str(place))
    compute = {"token_budget": token_budget, "device": place, "precision": precision}
    results, rows = score(loaded, frame, compute)
    with atomic_path(predictions) as part:
        rows.to_parquet(part, index=False)
    write_record(
        record,
        **identity,
        parameters=loaded.card["parameters"],
        settings={**settings, "precision": precision},
        results=results,
        cost=watch.cost(),
    )


# Mutation sensitivity


def score_sensitivity(
    weights: "Weights", frame: pd.DataFrame, poolings: Sequence[str], seed: int, compute: Mapping[str, Any]
) -> tuple[list[Result], pd.DataFrame]:
    """Cosine similarity of every mutant's embedding with that of its window's reference (Fig 6a).

    With `site` pooling both are pooled over the tokens that cover the mutant's own sites. A mean per pooling and number
    of mutations stands with the standard deviation over mutants and the 95 % bootstrap interval over windows. The null
    (`extra.null`) is the cosine of references of different windows, its interval likewise over windows.

    Args:
        weights: model and tokenizer.
        frame: sensitivity set: id, sequence, window, mutations (0: the reference itself), replicate, sites (0-based).
        poolings: of `cls`, `mean`, `max`, `site`.
        seed: of the bootstrap.
        compute: `token_budget`, `device` and `precision` of `embed_sequences`.

    Returns:
        Results, and one row per mutant and pooling: id, window, mutations, replicate, pooling, cosine.
    """
    _require(frame, ["id", "sequence", "window", "mutations", "replicate", "sites"], "sensitivity")
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
    vectors = embed_sequences(weights, sequences + reference, poolings, sites=sites + sites, **compute)
    rng = np.random.default_rng(seed)
    results = []
    rows = []
    for pooling in poolings:
        mutant, unmutated = np.split(vectors[pooling], 2)
        found = frame[["id", "window", "mutations", "replicate"]].assign(pooling=pooling)
        found["cosine"] = cosine(mutant, unmutated)
        rows.append(found)
        for _, some in found.groupby("mutations"):
            low, high = _interval(some.groupby("window")["cosine"].mean().to_numpy(), rng)
            values = some["cosine"].to_numpy()
            extra = {
                "pooling": pooling,
                "mutations": int(some["mutations"].iloc[0]),
                "sd": _deviation(values),
                "low": low,
                "high": high,
            }
            extra |= {"null": False, "windows": int(some["window"].nunique())}
            results.append(Result("cosine", _finite(values.mean()), len(values), extra=extra))
        if pooling != "site" and len(origin) > 1:  # unrelated windows share no sites
            results.append(_null(mutant[origin], pooling, rng))
    return results, pd.concat(rows, ignore_index=True)


def _null(reference: np.ndarray, pooling: str, rng: np.random.Generator) -> Result:
    """Mean cosine over all pairs of different windows, its interval by resampling windows."""
    count = len(reference)
    left, right = np.triu_indices(count, 1)
    values = cosine(reference[left], reference[right])
    similarity = np.zeros((count, count))
    similarity[left, right] = similarity[right, left] = values
    weight = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
    pairs = weight.sum(axis=1) ** 2 - (weight**2).sum(axis=1)
    means = np.einsum("ri,ij,rj->r", weight, similarity, weight, optimize=True)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    extra = {"pooling": pooling, "mutations": None, "sd": _deviation(values), "low": float(low), "high": float(high)}
    return Result("cosine", _finite(values.mean()), len(values), extra=extra | {"null": True, "windows": count})


# REF against ALT


def alternative(sequence: str, offset: int, ref: str, alt: str) -> str:
    """ALT window of a REF window: `ref` at the 0-based `offset` replaced by `alt`."""
    return sequence[:offset] + alt + sequence[offset + len(ref) :]


def _check_variants(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    _require(frame, ["id", "sequence", "offset", "ref", "alt", "group", "label"], what)
    frame = frame.reset_index(drop=True)
    if not pd.api.types.is_integer_dtype(frame["offset"]):
        raise UserError(f"{what}: the column offset holds other than whole numbers; build the set again.")
    for name, ref, alt in zip(frame["id"], frame["ref"], frame["alt"], strict=True):
        if not isinstance(ref, str) or not isinstance(alt, str):
            raise UserError(f"variant '{name}': REF or ALT is missing; leave it out.")
    for name, sequence, offset, ref in zip(frame["id"], frame["sequence"], frame["offset"], frame["ref"], strict=True):
        if not ref or sequence[offset : offset + len(ref)] != ref:
            raise UserError(
                f"variant '{name}': REF is {ref}, but its window has '{sequence[offset : offset + max(len(ref), 1)]}' "
                f"at offset {offset}; build the set on the right genome."
            )
    odd = ~(frame["ref"].str.fullmatch("[ACGT]+") & frame["alt"].str.fullmatch("[ACGT]+"))
    if odd.any():
        raise UserError(f"variant '{frame.loc[odd, 'id'].iloc[0]}': alleles must be letters of ACGT; leave it out.")
    strange = set(frame["label"].dropna()) - {BENIGN, PATHOGENIC}
    if strange:
        raise UserError(f"{what}: label '{min(strange)}' is neither {BENIGN} nor {PATHOGENIC}; map labels to these.")
    return frame


def _auroc(
    labels: pd.Series, scores: np.ndarray, metrics: Sequence[str], extra: dict[str, Any], protocol: str
) -> list[Result]:
    """AUROC and AUPRC of pathogenic against benign; null with `extra.reason` where a class is empty."""
    known = labels.notna().to_numpy() & np.isfinite(scores)
    positive = (labels[known] == PATHOGENIC).to_numpy()
    for name, count in ((PATHOGENIC, positive.sum()), (BENIGN, (~positive).sum())):
        if not count:
            extra = extra | {"reason": f"no {name} variant"}
    found = evaluate_ranking(positive, scores[known]) if "reason" not in extra else dict.fromkeys(metrics, math.nan)
    return [Result(m, _finite(found[m]), int(known.sum()), protocol=protocol, extra=extra) for m in metrics]


def score_similarity(
    weights: "Weights",
    frame: pd.DataFrame,
    poolings: Sequence[str],
    seed: int,
    compute: Mapping[str, Any],
    genome: "Genome | None" = None,
    chunk: int = 1024,
    most: int = 5,
) -> tuple[list[Result], pd.DataFrame]:
    """Cosine similarity of REF and ALT embeddings, one variant at a time and, with a genome, the study's way (Table 5).

    Unit `variant`: REF window against ALT window; `site` pools over the tokens that cover the allele in each. Besides
    the mean per gene, label and pooling, the AUROC of the distance 1 − cosine, pathogenic against benign. Unit
    `chunk`: see `mutated_chunks`; the mean is over a gene's chunks. Intervals are 95 % bootstraps over units.

    Args:
        weights: model and tokenizer.
        frame: variant set with `gene`, and for chunks `contig` and `position` (1-based).
        poolings: of `max`, `mean`, `cls`, `site`.
        seed: of subsampling and bootstrap.
        compute: `token_budget`, `device` and `precision` of `embed_sequences`.
        genome: reference to cut chunks from; without it there is no unit `chunk`.
        chunk: length of a chunk in bp.
        most: chunks per gene at most.

    Returns:
        Results, and rows id, group, gene, label, unit, matched, mutations, pooling, cosine.
    """
    frame = _check_variants(frame, "similarity")
    _require(frame, ["gene"], "similarity")
    rng = np.random.default_rng(seed)
    units = frame[["id", "group", "gene", "label"]].assign(unit="variant", matched=False, mutations=1)
    units["before"] = frame["sequence"]
    variants = zip(frame["sequence"], frame["offset"], frame["ref"], frame["alt"], strict=True)
    units["after"] = [alternative(*variant) for variant in variants]
    units["sites_before"] = [list(range(o, o + len(r))) for o, r in zip(frame["offset"], frame["ref"], strict=True)]
    units["sites_after"] = [list(range(o, o + len(a))) for o, a in zip(frame["offset"], frame["alt"], strict=True)]
    if genome is not None:
        units = pd.concat([units, mutated_chunks(frame, genome, chunk, most, rng)], ignore_index=True)
    vectors = embed_sequences(
        weights,
        units["before"].tolist() + units["after"].tolist(),
        poolings,
        sites=units["sites_before"].tolist() + units["sites_after"].tolist(),
        **compute,
    )
    results: list[Result] = []
    rows = []
    for pooling in poolings:
        before, after = np.split(vectors[pooling], 2)
        found = units[["id", "group", "gene", "label", "unit", "matched", "mutations"]].assign(pooling=pooling)
        found["cosine"] = cosine(before, after)
        rows.append(found)
        for (unit, matched, gene), some in found.groupby(["unit", "matched", "gene"], sort=False):
            extra = {"pooling": pooling, "gene": gene, "unit": unit, "matched": bool(matched)}
            for label, same in some.groupby("label"):
                values = same["cosine"].to_numpy()
                low, high = _interval(values, rng)
                spread = {"sd": _deviation(values), "low": low, "high": high}
                more = {"label": label, "mutations": float(same["mutations"].mean())} | spread
                results.append(Result("cosine", _finite(values.mean()), len(values), extra=extra | more))
            if unit == "variant":
                results += _auroc(some["label"], 1 - some["cosine"].to_numpy(), ["auroc"], extra, "corrected")
    return results, pd.concat(rows, ignore_index=True)


def mutated_chunks(
    frame: pd.DataFrame, genome: "Genome", chunk: int, most: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The study's unit: a chunk of a gene with all its benign, or all its pathogenic, SNVs put into one sequence.

    A gene's chunks are consecutive tiles of `chunk` bp from its first variant on; those with both classes are kept, at
    most `most` of them, first those with most variants of the rarer class. One allele fits a position: of several ALTs
    of one class the first in alphabetical order goes in. Because sequences with more mutations are farther from the
    reference whatever their class, every chunk comes twice: as the study has it, and `matched`, where a random subset
    of the larger class has as many mutations as the smaller one.

    Returns one row per chunk, label and `matched`: id, group, gene, label, unit, matched, mutations, before, after,
    sites_before, sites_after. Raises `UserError` if a REF differs from the genome or no gene has such a chunk.
    """
    _require(frame, ["contig", "position", "gene"], "chunks")
    if not pd.api.types.is_integer_dtype(frame["position"]):
        raise UserError("chunks: the column position holds other than whole numbers; build the set again.")
    single = frame[(frame["ref"].str.len() == 1) & (frame["alt"].str.len() == 1) & frame["label"].notna()]
    rows: list[dict[str, Any]] = []
    for names, own in single.groupby(["gene", "contig"], sort=True):
        gene, contig = map(str, names)
        start = int(own["position"].min()) - 1
        tiles = []
        for _, some in own.assign(tile=(own["position"] - 1 - start) // chunk).groupby("tile"):
            chosen = {
                label: same.sort_values(["position", "alt"]).drop_duplicates("position")
                for label, same in some.groupby(some["label"].astype(str))
            }
            if len(chosen) == 2:
                tiles.append((min(map(len, chosen.values())), int(some["tile"].iloc[0]), chosen))
        for fewest, tile, chosen in sorted(tiles, key=lambda item: (-item[0], item[1]))[:most]:
            begin = start + tile * chunk
            before = genome.fetch(contig, begin, begin + chunk)
            for label, same in sorted(chosen.items()):
                for matched in (False, True):
                    subset = np.sort(rng.permutation(len(same))[:fewest]) if matched else np.arange(len(same))
                    used = same.iloc[subset]
                    letters = list(before)
                    for name, position, ref, alt in used[["id", "position", "ref", "alt"]].itertuples(index=False):
                        if (there := letters[position - 1 - begin]) != ref:
                            raise UserError(
                                f"variant '{name}': REF is {ref}, but the genome has {there} at {contig}:{position}; "
                                "give the genome that the variants were called on."
                            )
                        letters[position - 1 - begin] = alt
                    sites = (used["position"] - 1 - begin).tolist()
                    rows.append(
                        {
                            "id": f"{gene}:{contig}:{begin + 1}:{label}" + (":matched" if matched else ""),
                            "group": gene,
                            "gene": gene,
                            "label": label,
                            "unit": "chunk",
                            "matched": matched,
                            "mutations": len(used),
                            "before": before,
                            "after": "".join(letters),
                            "sites_before": sites,
                            "sites_after": sites,
                        }
                    )
    if not rows:
        raise UserError(f"no chunk of {chunk} bp holds both benign and pathogenic SNVs; leave --genome out.")
    return pd.DataFrame(rows)


# Log-likelihood ratios


def score_likelihood(
    weights: "Weights",
    frame: pd.DataFrame,
    compute: Mapping[str, Any],
    both_strands: bool = False,
) -> tuple[list[Result], pd.DataFrame]:
    """Log-likelihood ratio log P(ALT) − log P(REF) of every variant, in nats (Table 4), and how it ranks them.

    Runs, the reported one first. Causal models: `site`, the alleles' tokens given what stands left of them; `window`,
    all tokens of the window (the consequence of the allele for what follows counts too). Masked models with k-mer
    tokens (SNVs only): `marginal`, see `marginal_ratios`; then `site`. Other masked models: `site`, see
    `masked_ratios`. The score is −LLR, higher for what the model finds less likely. AUROC and AUPRC judge it against
    `label`; `spearman` correlates the LLR with the set's function score `score` (both high for a working allele).

    Args:
        weights: model and tokenizer.
        frame: variant set; `score` where a function score is known; `gene` for AUROC per gene.
        compute: `token_budget`, `device` and `precision` of `run_network`.
        both_strands: average the ratio with that of the reverse complement.

    Returns:
        Results, and rows id, group, label, score, llr, function_score, run, fold, selected, selected_paper, split.
    """
    frame = _check_variants(frame, "likelihood")
    measured = pd.Series(np.nan, frame.index)
    if "score" in frame.columns:
        measured = pd.to_numeric(frame["score"], errors="coerce")
        if (odd := measured.isna() & frame["score"].notna()).any():
            raise UserError(f"variant '{frame.loc[odd, 'id'].iloc[0]}': its function score is no number; correct it.")
    if frame["label"].isna().all() and measured.isna().all():
        raise UserError("likelihood: no variant has a label or a function score; there is nothing to judge against.")
    variants = list(zip(frame["sequence"], frame["offset"].astype(int), frame["ref"], frame["alt"], strict=True))
    runs = _ratios(weights, variants, compute)
    if both_strands:
        other = _ratios(weights, [_flip(variant) for variant in variants], compute)
        runs = {run: (values + other[run]) / 2 for run, values in runs.items()}
    first = next(iter(runs))
    results = []
    rows = []
    for run, ratio in runs.items():
        judged = _judge_ranking(frame, ratio, measured, {"run": run, "epoch": None, "selected": run == first}, "run")
        results += judged
        if "gene" in frame.columns and frame["gene"].nunique() > 1:
            for gene, some in frame.groupby("gene", sort=True):
                extra = {"run": run, "selected": run == first, "gene": gene}
                results += _judge_ranking(some, ratio[some.index], measured[some.index], extra, "run")
        rows.append(
            frame[["id", "group", "label"]].assign(
                score=-ratio,
                llr=ratio,
                function_score=measured,
                run=run,
                fold=-1,
                selected=run == first,
                selected_paper=run == first,
                split="test",
            )
        )
    for protocol in ("corrected", "paper"):
        results += _judge_ranking(frame, runs[first], measured, {"run": first}, protocol)
    return results, pd.concat(rows, ignore_index=True)


def _judge_ranking(
    frame: pd.DataFrame, ratio: np.ndarray, measured: pd.Series, extra: dict[str, Any], protocol: str
) -> list[Result]:
    results = []
    if frame["label"].notna().any():
        results += _auroc(frame["label"], -ratio, ["auroc", "auprc"], extra, protocol)
    known = measured.notna().to_numpy() & np.isfinite(ratio)
    if known.any():
        value = _finite(spearman(ratio[known], measured.to_numpy()[known]))
        results.append(Result("spearman", value, int(known.sum()), protocol=protocol, extra=extra))
    return results


Variant = tuple[str, int, str, str]  # REF window, offset, REF, ALT


def _flip(variant: Variant) -> Variant:
    sequence, offset, ref, alt = variant
    start = len(sequence) - offset - len(ref)
    return reverse_complement(sequence), start, reverse_complement(ref), reverse_complement(alt)


def _ratios(weights: "Weights", variants: Sequence[Variant], compute: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """{run: log-likelihood ratio [n]}, the reported run first."""
    if weights.model.objective == "causal":
        return causal_ratios(weights, variants, compute)
    runs = {}
    if (weights.tokenizer.k or 1) > 1 and all(len(ref) == len(alt) == 1 for _, _, ref, alt in variants):
        runs["marginal"] = marginal_ratios(weights, variants, compute)
    return runs | {"site": masked_ratios(weights, variants, compute)}


def _encode(weights: "Weights", sequence: str) -> np.ndarray:
    ids = weights.tokenizer.encode(sequence)
    if len(ids) > weights.model.max_tokens:
        raise UserError(
            f"a window of {len(sequence)} bp has {len(ids)} tokens, and the model reads {weights.model.max_tokens}; "
            "build the set with shorter windows."
        )
    return ids


def _log_probabilities(weights: "Weights", hidden: Tensor, targets: Tensor) -> Tensor:
    """Log probability [tokens] of `targets` [tokens] given hidden states [tokens, width]; logits are made in parts."""
    found = []
    for start in range(0, len(hidden), PROJECTED):
        logits = weights.model.project(hidden[None, start : start + PROJECTED].float())[0]
        chosen = logits.gather(1, targets[start : start + PROJECTED, None])[:, 0]
        found.append(chosen - logits.logsumexp(dim=1))
    return torch.cat(found)


def _merge(keys: Iterable[bytes]) -> tuple[list[int], np.ndarray]:
    """(Positions of the first of each distinct key, index of each key among the distinct ones)."""
    seen: dict[bytes, int] = {}
    firsts: list[int] = []
    index = []
    for position, key in enumerate(keys):
        if key not in seen:
            seen[key] = len(firsts)
            firsts.append(position)
        index.append(seen[key])
    return firsts, np.array(index, dtype=np.int64)


def causal_ratios(weights: "Weights", variants: Sequence[Variant], compute: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Log-likelihood ratios [n] of a causal model: {`site`, `window`}.

    A token's log probability is that given all tokens left of it; the first token of an encoding has none and does not
    count, special tokens neither. `site` sums the tokens that cover the allele in its own window; `window` sums all.
    """
    windows = [sequence for sequence, *_ in variants] + [alternative(*variant) for variant in variants]
    lengths = [len(ref) for _, _, ref, _ in variants] + [len(alt) for *_, alt in variants]
    offsets = [offset for _, offset, *_ in variants] * 2
    firsts, index = _merge(window.encode() for window in windows)
    inputs = [_encode(weights, windows[position]) for position in firsts]
    scores: list[np.ndarray] = [np.zeros(0)] * len(inputs)

    def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> None:
        for place, row in enumerate(rows):
            length = len(inputs[row])
            given = _log_probabilities(weights, hidden[place, : length - 1], ids[place, 1:length])
            scores[row] = np.concatenate([[np.nan], given.double().cpu().numpy()])

    run_network(weights, inputs, handle, label="likelihood", **compute)
    whole = np.array(
        [np.nansum(np.where(special_mask(weights.tokenizer, inputs[i]), 0, scores[i])) for i in range(len(inputs))]
    )
    local = np.zeros(len(windows))
    for position, (offset, length) in enumerate(zip(offsets, lengths, strict=True)):
        ids = inputs[index[position]]
        places = site_tokens(weights.tokenizer, windows[position], ids, range(offset, offset + length))
        local[position] = scores[index[position]][places].sum()
    if np.isnan(local).any():
        at = int(np.isnan(local).argmax()) % len(variants)
        raise UserError(f"variant {at + 1} lies in the first token of its window, which has no left context; widen it.")
    site, window = np.split(local, 2), np.split(whole[index], 2)
    return {"site": site[1] - site[0], "window": window[1] - window[0]}


def _masked_runs(
    weights: "Weights",
    masked: Sequence[tuple[np.ndarray, np.ndarray]],
    read: Callable[[int, Tensor], None],
    compute: Mapping[str, Any],
) -> None:
    """Mask tokens and hand logits to `read(request, logits [masked tokens, vocabulary])`; equal inputs run once.

    `masked` lists (token ids, positions to mask). Raises `UserError` for a tokenizer without a mask token.
    """
    mask_id = weights.tokenizer.mask_id
    if mask_id is None:
        raise UserError(f"tokenizer '{weights.tokenizer.name}' has no mask token; masked scoring needs one.")
    inputs = []
    for ids, places in masked:
        inputs.append(ids.copy())
        inputs[-1][places] = mask_id
    firsts, index = _merge(ids.tobytes() for ids in inputs)
    owners: dict[int, list[int]] = defaultdict(list)
    for request, place in enumerate(index):
        owners[int(place)].append(request)

    def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> None:
        for place, row in enumerate(rows):
            at = torch.from_numpy(masked[firsts[row]][1]).to(hidden.device)
            logits = weights.model.project(hidden[None, place, at].float())[0]
            for request in owners[int(row)]:
                read(request, logits)

    run_network(weights, [inputs[position] for position in firsts], handle, label="likelihood", **compute)


def masked_ratios(weights: "Weights", variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Log-likelihood ratio [n] of a masked model: the exact tokens of ALT against those of REF.

    In each allele's own window all tokens that cover the allele are masked together, and their log probabilities are
    summed. For SNVs and characters this is log P(ALT) − log P(REF) at one masked position; for k-mers it compares two
    tokens that share the other k − 1 bases. An allele of other length shifts later k-mers, which then differ as well.
    """
    requests = []
    targets = []
    for variant in variants:
        sequence, offset, ref, alt = variant
        for window, allele in ((sequence, ref), (alternative(*variant), alt)):
            ids = _encode(weights, window)
            places = site_tokens(weights.tokenizer, window, ids, range(offset, offset + len(allele)))
            requests.append((ids, places))
            targets.append(ids[places])
    scores = np.zeros(len(requests))

    def read(request: int, logits: Tensor) -> None:
        wanted = torch.from_numpy(targets[request]).to(logits.device)
        scores[request] = float(logits.log_softmax(dim=1).gather(1, wanted[:, None]).double().sum())

    _masked_runs(weights, requests, read, compute)
    return scores[1::2] - scores[0::2]


def carriers(weights: "Weights", length: int) -> np.ndarray:
    """Token ids [length, 4, tokens]: those of `length` bases that have A, C, G or T at an offset.

    `length` is the tokenizer's k, or 1 for the single bases that a k-mer tokenizer falls back to.
    """
    kmers = ["".join(letters) for letters in product("ACGT", repeat=length)]
    ids = np.array([weights.tokenizer.encode(kmer, special=False)[0] for kmer in kmers])
    letters = np.array([list(kmer) for kmer in kmers])
    return np.array([[ids[letters[:, place] == base] for base in "ACGT"] for place in range(length)])


def marginal_ratios(weights: "Weights", variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Log-likelihood ratio [n] of SNVs for a masked model with k-mer tokens: log P(ALT) − log P(REF) of the base.

    The k-mer over the site is masked. P(base) is the sum of the probabilities of all k-mers that carry the base at the
    site's offset, whatever their other bases, which the mask hides too.
    """
    tokenizer = weights.tokenizer
    lists: dict[int, Tensor] = {}
    requests = []
    wanted = []
    for sequence, offset, ref, alt in variants:
        ids = _encode(weights, sequence)
        places = site_tokens(tokenizer, sequence, ids, [offset])
        start, stop = tokenizer.spans(ids, sequence=sequence)[places[0]]
        requests.append((ids, places))
        wanted.append((int(stop - start), int(offset - start), "ACGT".index(ref), "ACGT".index(alt)))
        if int(stop - start) not in lists:
            lists[int(stop - start)] = torch.from_numpy(carriers(weights, int(stop - start)))
    scores = np.zeros(len(requests))

    def read(request: int, logits: Tensor) -> None:
        length, place, ref, alt = wanted[request]
        members = lists[length].to(logits.device)[place]
        bases = logits[0].double()[members].logsumexp(dim=1)
        scores[request] = float(bases[alt] - bases[ref])

    _masked_runs(weights, requests, read, compute)
    return scores
