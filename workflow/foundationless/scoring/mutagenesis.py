"""In-silico mutagenesis: what every substitution of a window does to a model.

A map holds, for each position and each of its three substitutions, the damage that the model sees: `shift_POOLING`, the
cosine distance of the mutated window's embedding from the window's own, and `llr`, −(log P(ALT) − log P(REF)) as in
`score_likelihood` (stored with the sign of the ratio, judged by its negative). A model that learnt the sequence shows
the sites that matter; one at random initialisation shows its own architecture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import alternative
from foundationless.errors import UserError
from foundationless.evaluation.metrics import spearman
from foundationless.evaluation.records import Result, finite
from foundationless.features.embedding import embed_sequences
from foundationless.models.weights import Weights
from foundationless.runtime.log import tell
from foundationless.scoring.likelihood import function_scores
from foundationless.scoring.likelihood_ratios import Substitution, ratios
from foundationless.scoring.measures import check_variants, cosine, judge_damage, require

FEWEST_SCORES = 3  # for a correlation


@dataclass(frozen=True)
class Window:
    """A sequence to mutate and what is known of its substitutions.

    `known` has a row per substitution: position (0-based in the window), alt, label, function_score.
    """

    name: str
    sequence: str
    known: pd.DataFrame


def choose_windows(frame: pd.DataFrame, most: int) -> list[Window]:
    """At most `most` windows of a sensitivity set (its references, in order) or of a variant set.

    Of a variant set those windows are taken, one after the other, that hold most SNVs with a label or a function score;
    windows that overlap one already taken are passed over, so that no variant counts twice.
    """
    if "mutations" in frame.columns:
        require(frame, ["id", "sequence", "window", "mutations"], "mutagenesis")
        nothing = pd.DataFrame(columns=["position", "alt", "label", "function_score"])
        origins = frame[frame["mutations"] == 0].head(most)
        return [Window(str(n), s, nothing) for n, s in zip(origins["window"], origins["sequence"], strict=True)]
    frame = check_variants(frame, "mutagenesis")
    require(frame, ["contig", "position"], "mutagenesis")
    frame = frame.assign(
        function_score=function_scores(frame),
        start=frame["position"] - 1 - frame["offset"],
        length=frame["sequence"].str.len(),
    )
    told = frame["label"].notna() | frame["function_score"].notna()
    single = (frame["ref"].str.len() == 1) & (frame["alt"].str.len() == 1)
    if not single.all():
        tell(f"mutagenesis: {int((~single).sum())} of {len(frame)} variants are no SNVs: nothing is judged by them")
    known = frame[told & single]
    windows: list[Window] = []
    candidates = frame.drop_duplicates(["contig", "start", "length"])
    ends = candidates["start"] + candidates["length"]
    counts = np.zeros(len(candidates), dtype=np.int64)
    for contig in candidates["contig"].unique():
        places = np.sort(known.loc[known["contig"] == contig, "position"].to_numpy() - 1)
        mine = (candidates["contig"] == contig).to_numpy()
        inside = np.searchsorted(places, ends[mine]) - np.searchsorted(places, candidates.loc[mine, "start"])
        counts[mine] = inside
    candidates = candidates.assign(count=counts)
    while len(windows) < most and len(candidates):
        best = candidates.iloc[int(candidates["count"].argmax())]
        contig, start, end = best["contig"], best["start"], best["start"] + best["length"]
        inside = known[(known["contig"] == contig) & (known["position"] > start) & (known["position"] <= end)]
        inside = inside.assign(place=inside["position"] - 1 - start)
        for name, place, ref in inside[["id", "place", "ref"]].itertuples(index=False):
            if best["sequence"][place] != ref:
                raise UserError(f"variant '{name}': REF is {ref}, another window disagrees; build the set again.")
        columns = {"place": "position", "alt": "alt", "label": "label", "function_score": "function_score"}
        told_of = inside[list(columns)].rename(columns=columns).drop_duplicates(["position", "alt"])
        windows.append(Window(f"{contig}:{start + 1}-{end}", best["sequence"], told_of))
        apart = (candidates["start"] >= end) | (candidates["start"] + candidates["length"] <= start)
        candidates = candidates[apart | (candidates["contig"] != contig)]
    return windows


def substitutions(sequence: str) -> list[Substitution]:
    """All SNVs of a sequence, three for each of its A, C, G, T, by position and then by ALT."""
    bases = [(position, ref) for position, ref in enumerate(sequence) if ref in "ACGT"]
    return [(sequence, position, ref, alt) for position, ref in bases for alt in "ACGT" if alt != ref]


def score_mutagenesis(
    weights: Weights,
    frame: pd.DataFrame,
    poolings: Sequence[str],
    most: int,
    seed: int,
    compute: Mapping[str, Any],
    both_strands: bool = False,
) -> tuple[list[Result], pd.DataFrame]:
    """Saturation maps of at most `most` windows, and how they agree with what is known of the substitutions.

    For each measure (`extra.measure`) and window (`extra.window`, `all` for all of them together): `auroc` and `auprc`
    of the damage, pathogenic against benign, with 95 % bootstrap intervals over variants, and `spearman` of the
    negative damage with the function score (both high for a substitution that does nothing). `agreement` is the
    Spearman correlation of the shifts with −LLR over all substitutions. A model without a likelihood (no mask token)
    has a null `llr` result with `extra.reason`, and no ratios.

    Args:
        frame: variant set with `contig` and `position` (see `choose_windows`), or sensitivity set.
        poolings: of `max`, `mean`, `cls`, `site` (the tokens over the position).
        most: windows at most.

    Returns:
        Results, and a row per substitution: id, window, position (0-based), ref, alt, label, function_score,
        shift_POOLING (cosine distance), llr (nats, NaN where a causal model has no left context).
    """
    windows = choose_windows(frame, most)
    if not windows:
        raise UserError("mutagenesis: the set has no window; build a variant set or a sensitivity set.")
    reason = None
    if weights.model.objective == "masked" and weights.tokenizer.mask_id is None:
        reason = f"tokenizer '{weights.tokenizer.name}' has no mask token"
    maps = [_map(weights, window, poolings, compute, both_strands, reason is None) for window in windows]
    rows = pd.concat(maps, ignore_index=True)
    rng = np.random.default_rng(seed)
    damages = {name: rows[name].to_numpy() for name in rows.columns if name.startswith("shift_")}
    if reason is None:
        damages["llr"] = -rows["llr"].to_numpy()
    results: list[Result] = []
    names = [window.name for window in windows]
    for measure, damage in damages.items():
        for name in names if len(names) == 1 else [*names, "all"]:
            mine = np.ones(len(rows), dtype=bool) if name == "all" else (rows["window"] == name).to_numpy()
            extra = {"measure": measure, "window": name}
            results += judge_damage(rows[mine], damage[mine], extra, "validation", rng, FEWEST_SCORES)
        if measure != "llr" and reason is None:
            both = np.isfinite(damage) & np.isfinite(damages["llr"])
            value = finite(spearman(damage[both], damages["llr"][both])) if both.any() else None
            results.append(Result("agreement", value, int(both.sum()), extra={"measure": measure, "window": "all"}))
    if reason is not None:
        results.append(Result("agreement", None, 0, extra={"measure": "llr", "window": "all", "reason": reason}))
    return results, rows


def _map(
    weights: Weights,
    window: Window,
    poolings: Sequence[str],
    compute: Mapping[str, Any],
    both_strands: bool,
    likely: bool,
) -> pd.DataFrame:
    """A row per substitution of a window, as `score_mutagenesis` returns them; `likely`: whether ratios can be told."""
    variants = substitutions(window.sequence)
    if not variants:
        raise UserError(f"mutagenesis: window {window.name} has no letters of ACGT; leave it out.")
    rows = pd.DataFrame([variant[1:] for variant in variants], columns=["position", "ref", "alt"])
    rows.insert(0, "id", [f"{window.name}:{place + 1}:{ref}:{alt}" for _, place, ref, alt in variants])
    rows.insert(1, "window", window.name)
    known = window.known.astype({"position": rows["position"].dtype})
    rows = rows.merge(known, "left", ["position", "alt"])
    rows["label"] = rows["label"].astype(object).where(rows["label"].notna(), None)
    rows["function_score"] = rows["function_score"].astype(np.float64)
    for pooling, values in _shifts(weights, window.sequence, variants, poolings, compute).items():
        rows[f"shift_{pooling}"] = values
    rows["llr"] = next(iter(ratios(weights, variants, compute, both_strands).values())) if likely else np.nan
    return rows


def _shifts(
    weights: Weights,
    sequence: str,
    variants: Sequence[Substitution],
    poolings: Sequence[str],
    compute: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """{pooling: cosine distance [n] of each mutated window from the window}."""
    sequences = [alternative(*variant) for variant in variants]
    places = [[offset] for _, offset, _, _ in variants]
    if "site" not in poolings:
        vectors = embed_sequences(weights, [sequence, *sequences], poolings, **compute)
        return {
            name: 1 - cosine(found[1:], np.broadcast_to(found[:1], found[1:].shape)) for name, found in vectors.items()
        }
    vectors = embed_sequences(weights, sequences + [sequence] * len(variants), poolings, sites=places * 2, **compute)
    return {name: 1 - cosine(*np.split(found, 2)) for name, found in vectors.items()}
