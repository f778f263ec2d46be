"""One arm on a variant set: what its embeddings and likelihoods say of the variants, or what features for nothing do.

Scores (`run` in files) rank pathogenic above benign, the reported one first: `probe`, the supervised probe, whose
pooling is chosen within its training variants; `probe_POOLING`; `cosine_POOLING` (1 − cosine of REF and ALT) and
`l2_POOLING` (‖ALT − REF‖₂); `llr_SCORE`, the negative log-likelihood ratio as `score_likelihood` has it, the mean of
both strands where both are read, and then `llr_SCORE_forward` and `llr_SCORE_reverse` besides; `background`, the
log-likelihood of the REF window in nats per base, which is no score of the variant but what ratios are held against. A
baseline has `probe` alone, by the same folds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.records import Result, hash_files, write_record
from foundationless.features.embedding import embed_sequences
from foundationless.models.weights import Weights
from foundationless.runtime.files import atomic_path
from foundationless.runtime.usage import JobUsage
from foundationless.scoring.likelihood import function_scores
from foundationless.scoring.likelihood_ratios import Variant, flip, ratios, sides, variants_of
from foundationless.scoring.measures import PATHOGENIC, check_variants, cosine, judge_damage
from foundationless.scoring.probes.background import background
from foundationless.scoring.probes.cheap import features
from foundationless.scoring.probes.folds import Folds, held_out_folds
from foundationless.scoring.probes.supervised import PROBE, STRENGTHS, out_of_fold
from foundationless.tasks.sequence_sets import read_sequences

Floats = NDArray[np.float64]
Scored = tuple[list[Result], pd.DataFrame, list[dict[str, Any]]]


def settings() -> dict[str, Any]:
    """What the probes of all arms share, as records say it."""
    return {"strengths": list(STRENGTHS)}


def probe_network(
    weights: Weights,
    frame: pd.DataFrame,
    poolings: Sequence[str],
    compute: Mapping[str, Any],
    both_strands: bool = False,
) -> Scored:
    """Every score of a network's arm: results, rows, and what was chosen within the training variants.

    Args:
        frame: variant set; chromosomes are those of `chromosome` or `contig` (see `held_out_folds`).
        poolings: of `max`, `mean`, `cls`, `site`; the probe chooses among them.
        both_strands: read likelihoods on the reverse complement too.

    Rows are id, group, label, score, function_score, background, held_out (the fold that held the variant out),
    held_out_by (chromosome, block or group), run, fold, selected, selected_paper, split.
    """
    frame, folds = _prepare(frame)
    variants = variants_of(frame)
    before, after = _embed(weights, variants, frame["id"].tolist(), poolings, compute)
    stacked = {name: np.hstack([before[name], after[name] - before[name]]).astype(np.float64) for name in poolings}
    scores, selections = out_of_fold(stacked, *_labels(frame), folds)
    for name in poolings:
        scores[f"cosine_{name}"] = 1 - cosine(before[name], after[name])
        scores[f"l2_{name}"] = np.linalg.norm((after[name] - before[name]).astype(np.float64), axis=1)
    scores |= _likelihoods(weights, variants, compute, both_strands)
    likely = background(weights, variants, compute)
    results, rows = _judge(frame, scores | {"background": likely}, folds)
    return results, rows.assign(background=np.tile(likely, len(scores) + 1)), selections


def probe_baseline(
    sequences: Path,
    strict: bool,
    options: Mapping[str, Any],
    identity: Mapping[str, Any],
    record: Path,
    predictions: Path,
) -> None:
    """The probe on features that cost nothing: predictions and then the record, which vouches for them.

    `options` name the `features` (see `cheap`); `identity` has analysis, task, model, init and seed.
    """
    if set(options) != {"features"} or not isinstance(options["features"], list) or not options["features"]:
        raise UserError(
            "a baseline of variants has one option, features, a list of names; correct the model's options."
        )
    usage = JobUsage(threads=1)
    frame, folds = _prepare(read_sequences(sequences, strict_alphabet=strict))
    columns = features(frame, options["features"])
    scores, selections = out_of_fold({"features": columns}, *_labels(frame), folds)
    results, rows = _judge(frame, scores, folds)
    with atomic_path(predictions) as part:
        rows.assign(background=np.nan).to_parquet(part, index=False)
    write_record(
        record,
        **identity,
        parameters=0,
        settings={"family": "variant", "options": dict(options)} | settings(),
        results=results,
        selections=selections,
        hashes=hash_files(predictions=predictions, sequences=sequences),
        cost=usage.cost(),
    )


def _prepare(frame: pd.DataFrame) -> tuple[pd.DataFrame, Folds]:
    """The set, checked, and its folds; `UserError` where there are not both classes to learn from."""
    frame = check_variants(frame, "variant probe")
    if frame["label"].dropna().nunique() < 2:
        raise UserError(
            "variant probe: the set has not both pathogenic and benign variants; there is nothing to learn."
        )
    return frame.assign(function_score=function_scores(frame)), held_out_folds(frame)


def _labels(frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return (frame["label"] == PATHOGENIC).to_numpy(), frame["label"].notna().to_numpy()


def _embed(
    weights: Weights,
    variants: Sequence[Variant],
    names: Sequence[str],
    poolings: Sequence[str],
    compute: Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Vectors of REF and of ALT windows of the variants `names` by pooling, each [n, width]; all are finite."""
    both = [sides(variant) for variant in variants]
    ends = [ref for ref, _ in both] + [alt for _, alt in both]
    windows = [window for window, _, _ in ends]
    sites = [list(range(offset, offset + len(allele))) for _, offset, allele in ends]
    vectors = embed_sequences(weights, windows, poolings, sites=sites, **compute)
    for name, columns in vectors.items():
        if (bad := ~np.isfinite(columns).all(axis=1)).any():
            worst = names[int(bad.argmax()) % len(variants)]
            raise UserError(f"embeddings '{name}' of '{worst}' are not finite; embed with --precision fp32.")
    halves = {name: np.split(columns, 2) for name, columns in vectors.items()}
    return {name: half[0] for name, half in halves.items()}, {name: half[1] for name, half in halves.items()}


def _likelihoods(
    weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any], both_strands: bool
) -> dict[str, Floats]:
    """Negative log-likelihood ratios [n]: of both strands their mean first, then each."""
    forward = ratios(weights, variants, compute)
    if not both_strands:
        return {f"llr_{name}": -values for name, values in forward.items()}
    reverse = ratios(weights, [flip(variant) for variant in variants], compute)
    scores = {}
    for name, values in forward.items():
        scores[f"llr_{name}"] = -(values + reverse[name]) / 2
        scores |= {f"llr_{name}_forward": -values, f"llr_{name}_reverse": -reverse[name]}
    return scores


def _judge(frame: pd.DataFrame, scores: Mapping[str, Floats], folds: Folds) -> tuple[list[Result], pd.DataFrame]:
    """How each score ranks the variants, and their rows."""
    results, rows = [], []
    for name, score in scores.items():
        if name == PROBE and not np.isfinite(score).any():
            raise UserError(
                "variant probe: whatever is held out, what is left is of one class or too near; give a set with more "
                "variants, or shorter windows."
            )
        extra = {"run": name, "held_out": folds.kind}
        results += judge_damage(frame, score, extra | {"selected": name == PROBE, "epoch": None}, "run")
        rows.append(
            frame[["id", "group", "label"]].assign(
                score=score,
                function_score=frame["function_score"],
                held_out=folds.names,
                held_out_by=folds.kind,
                run=name,
                fold=-1,
                selected=name == PROBE,
                selected_paper=name == PROBE,
                split="test",
            )
        )
    for selection in ("validation", "test"):
        results += judge_damage(frame, scores[PROBE], {"run": PROBE}, selection)
    return results, pd.concat(rows, ignore_index=True)
