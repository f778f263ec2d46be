"""What scores of variation are measured with: cosines, intervals, rankings, and the checks of a variant set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import alternative
from foundationless.errors import UserError
from foundationless.evaluation.metrics import evaluate_ranking, from_ranking, spearman
from foundationless.evaluation.records import Result, finite
from foundationless.study.names import layer_column

BENIGN, PATHOGENIC = "benign", "pathogenic"
MOST_GENES = 50  # genes of a set of which each is judged by itself
RESAMPLES = 2000  # of the percentile bootstraps
_PART = 200  # resamples that are held at once


def of_network(compute: Mapping[str, Any]) -> dict[str, Any]:
    """What of `compute` is for `embed_sequences`."""
    return {name: value for name, value in compute.items() if name != "last_layer"}


def layers_of(compute: Mapping[str, Any], poolings: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """(`extra`, column of `embed_sequences`) of every layer and pooling; nothing for the last layer alone.

    `compute` names the inner layers and, as `last_layer`, the number of the last one.
    """
    inner, last = compute.get("layers", ()), int(compute.get("last_layer", 0))
    for layer in (*inner, last) if inner else ():
        for pooling in poolings:
            column = pooling if layer == last else layer_column(pooling, layer)
            yield {"pooling": pooling, "layer": layer, "depth": round(layer / last, 6)}, column


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine similarity [n] of rows of two arrays [n, width], in float64; equal rows give exactly 1, zero rows NaN."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    dot, aa, bb = (a * b).sum(axis=1), (a * a).sum(axis=1), (b * b).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines: np.ndarray = np.clip(dot / np.sqrt(aa * bb), -1.0, 1.0)
    return cosines


def require(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """`UserError` for a sequence set without rows or without one of `columns`; `what` names the analysis."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"{what}: the sequence set has no column {', '.join(missing)}; build it for this analysis.")
    if frame.empty:
        raise UserError(f"{what}: the sequence set is empty; check the filters that made it.")


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of the mean; none for fewer than two values or where one is not finite."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None, None
    means = np.concatenate(
        [values[rng.integers(len(values), size=(_PART, len(values)))].mean(axis=1) for _ in range(RESAMPLES // _PART)]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def ranking_interval(
    positive: np.ndarray, scores: np.ndarray, rng: np.random.Generator, metric: str = "auroc"
) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap interval of a ranking metric, items [n] resampled; none where a class is empty."""
    if not 0 < positive.sum() < len(positive):
        return None, None
    share = np.full(len(positive), 1 / len(positive))
    values = np.concatenate(
        [
            from_ranking(positive, scores, rng.multinomial(len(positive), share, size=_PART), metric)
            for _ in range(RESAMPLES // _PART)
        ]
    )
    low, high = np.nanquantile(values, [0.025, 0.975])  # a resample of one class has no value
    return float(low), float(high)


def spread(values: np.ndarray, rng: np.random.Generator) -> dict[str, float | None]:
    """Standard deviation, and the 95 % bootstrap interval of the mean, as `extra` has them."""
    low, high = interval(values, rng)
    return {"sd": deviation(values), "low": low, "high": high}


def deviation(values: np.ndarray) -> float | None:
    """Standard deviation of a sample; none of a single value, or where a value is not finite."""
    return finite(values.std(ddof=1)) if len(values) > 1 else None


def check_variants(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """A variant set with a fresh index, its alleles, offsets and labels checked; what is wrong is a `UserError`."""
    require(frame, ["id", "sequence", "offset", "ref", "alt", "group", "label"], what)
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
    if "alternative" in frame.columns:
        columns = [frame[name] for name in ("id", "sequence", "offset", "ref", "alt", "alternative")]
        for name, sequence, offset, ref, alt, other in zip(*columns, strict=True):
            mutated = alternative(sequence, offset, ref, alt)
            if len(other) != len(sequence) or not other.startswith(mutated[: len(sequence)]):
                raise UserError(
                    f"variant '{name}': its ALT window is not REF's with ALT in place; build the set again."
                )
    strange = set(frame["label"].dropna()) - {BENIGN, PATHOGENIC}
    if strange:
        raise UserError(f"{what}: label '{min(strange)}' is neither {BENIGN} nor {PATHOGENIC}; map labels to these.")
    return frame


def genes_of(frame: pd.DataFrame) -> pd.Series:
    """The gene of every variant of a set, or `all` where it has none, or more than `MOST_GENES`."""
    if "gene" not in frame.columns or frame["gene"].nunique() > MOST_GENES:
        return pd.Series("all", frame.index)
    return frame["gene"]


def rank_variants(
    labels: pd.Series,
    scores: np.ndarray,
    metrics: Sequence[str],
    extra: Mapping[str, Any],
    selection: str,
    rng: np.random.Generator | None = None,
) -> list[Result]:
    """AUROC and AUPRC of pathogenic against benign; null with `extra.reason` where a class is empty.

    With `rng`, `extra.low` and `extra.high` are 95 % bootstrap intervals over variants.
    """
    known = labels.notna().to_numpy() & np.isfinite(scores)
    positive, scores = (labels[known] == PATHOGENIC).to_numpy(), scores[known]
    for name, count in ((PATHOGENIC, positive.sum()), (BENIGN, (~positive).sum())):
        if not count:
            facts = {**extra, "reason": f"no {name} variant"}
            return [Result(metric, None, len(scores), selection=selection, extra=facts) for metric in metrics]
    values = evaluate_ranking(positive, scores)
    results = []
    for metric in metrics:
        ends = {}
        if rng is not None:
            ends = dict(zip(("low", "high"), ranking_interval(positive, scores, rng, metric), strict=True))
        facts = {**extra, **ends}
        results.append(Result(metric, finite(values[metric]), len(scores), selection=selection, extra=facts))
    return results


def judge_damage(
    known: pd.DataFrame,
    damage: np.ndarray,
    extra: Mapping[str, Any],
    selection: str,
    rng: np.random.Generator | None = None,
    fewest: int = 1,
) -> list[Result]:
    """What is known of variants (columns label, function_score) against the damage that a model sees in them.

    AUROC and AUPRC as `rank_variants` gives them, and the Spearman correlation of the negative damage with the function
    score, where at least `fewest` variants have both.
    """
    results = []
    if known["label"].notna().any():
        results += rank_variants(known["label"], damage, ["auroc", "auprc"], extra, selection, rng)
    measured = known["function_score"].to_numpy()
    both = ~np.isnan(measured) & np.isfinite(damage)
    if both.sum() >= fewest:
        value = finite(spearman(-damage[both], measured[both]))
        results.append(Result("spearman", value, int(both.sum()), selection=selection, extra=extra))
    return results
