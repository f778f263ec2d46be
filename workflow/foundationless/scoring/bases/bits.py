"""Bits per base of a model on the test sequences of a set, by label: true ones of causal models, of masked ones pseudo.

A causal model's bits are −log2 P(token | all tokens before it), summed: those of the sequence but its first token. A
masked model has no likelihood; in its place stands the pseudo-likelihood: every token is hidden once, one in `STRIDE`
together with it and the others of a sequence left as they are, and −log2 P(token | what is not hidden) is summed. Of
overlapping k-mers those are predicted that tile the sequence, each hidden with all that share a base with it; fewer
than k bases at the end are not predicted. It reads both sides, so it is not to be compared with bits of a causal or
Markov model, but among masked models of one tokenizer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.bootstrap import resample_weights
from foundationless.evaluation.records import Result, finite
from foundationless.evaluation.task_results import FEWEST_GROUPS
from foundationless.models.pooling import special_mask
from foundationless.models.weights import Weights
from foundationless.runtime.log import tell
from foundationless.scoring.bases.markov import ORDERS, Tables, fit_markov, markov_bits
from foundationless.scoring.likelihood_ratios import STRIDE, disjoint, token_log_likelihoods

RESAMPLES = 1000
ALL = "all"
MOST_LABELS = 100  # kinds of sequences; more are numbers


def score_bases(
    weights: Weights,
    frame: pd.DataFrame,
    seed: int,
    compute: Mapping[str, Any],
    tables: Tables | None,
    markov: bool,
    fitted_to: str = "train rows",
) -> tuple[list[Result], pd.DataFrame]:
    """Bits per base of the test rows of a set of classes, of each label and of all; Markov models beside, if asked for.

    `tables` are of what results of Markov models say (`fitted_to`); if None the train rows of the set are counted.
    Markov models that nothing was counted for are left out, and told. Results: `bits_per_base` with `extra` label,
    condition (`model`, or `order 1` …), low and high: a 95 % bootstrap over groups (rows, of fewer than
    `FEWEST_GROUPS`). Rows: id, group, label, condition, bits, bases.
    """
    test = frame[frame["split"] == "test"]
    if test.empty:
        raise UserError("bases: the set has no test rows, which are what is predicted; use another task.")
    sequences = test["sequence"].tolist()
    scored = {"model": model_bits(weights, sequences, compute)}
    if markov:
        if tables is None:
            tables = fit_markov(frame.loc[frame["split"] == "train", "sequence"])
        if tables:
            bits, bases = markov_bits(tables, sequences)
            scored |= {f"order {order}": (bits[order], bases) for order in ORDERS}
        else:
            tell(f"Markov models are left out: what they are fitted to has no {ORDERS[-1] + 1} known bases in a row")
    generator = np.random.default_rng(seed)
    results, parts = list[Result](), []
    kept = test[["id", "group", "label"]].reset_index(drop=True)
    labels = sorted(set(kept["label"].astype(str)))
    labels = labels if len(labels) <= MOST_LABELS else []
    for condition, (bits, bases) in scored.items():
        rows = kept.assign(condition=condition, bits=bits, bases=bases)
        parts.append(rows)
        for label in (ALL, *labels):
            some = rows if label == ALL else rows[rows["label"].astype(str) == label]
            said = {"label": label, "condition": condition}
            said |= {} if condition == "model" else {"fitted_to": fitted_to}
            results.append(_result(some, said, generator))
    return results, pd.concat(parts, ignore_index=True)


def _result(rows: pd.DataFrame, extra: dict[str, Any], generator: np.random.Generator) -> Result:
    """Bits per base of some rows, all bases alike, with its interval."""
    # a row without a group is one of its own; groupby would leave it out
    groups = rows["group"].where(rows["group"].notna(), rows["id"])
    drawn_by = groups if groups.nunique() >= FEWEST_GROUPS else rows["id"]
    sums = rows.groupby(drawn_by)[["bits", "bases"]].sum().to_numpy()
    bits, bases = sums.sum(axis=0)
    weights = resample_weights(len(sums), RESAMPLES, generator)
    drawn = weights @ sums
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975]) if len(sums) > 1 else (np.nan, np.nan)
    value = finite(bits / bases) if bases else None
    return Result("bits_per_base", value, len(rows), extra=extra | {"low": finite(low), "high": finite(high)})


def model_bits(
    weights: Weights, sequences: Sequence[str], compute: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bits [n] that a model takes for each sequence, as far as it reads, and how many bases [n] they are for."""
    model, tokenizer = weights.model, weights.tokenizer
    inputs = [tokenizer.encode(sequence)[: model.max_tokens] for sequence in sequences]
    unknown = list(tokenizer.unknown_ids)
    spans, places = [], []
    for ids, sequence in zip(inputs, sequences, strict=True):
        wanted = ~special_mask(tokenizer, ids) & ~np.isin(ids, unknown)
        if model.objective == "causal":
            wanted[:1] = False
        spans.append(tokenizer.spans(ids, sequence=sequence))
        own = np.flatnonzero(wanted)
        places.append(own if model.objective == "causal" else disjoint(spans[-1], own))
    nats = -token_log_likelihoods(weights, inputs, spans, places, compute, STRIDE)
    pairs = (ends[own].tolist() for ends, own in zip(spans, places, strict=True))
    bases = [len({place for low, high in own for place in range(low, high)}) for own in pairs]
    return nats / np.log(2), np.array(bases, dtype=np.int64)
