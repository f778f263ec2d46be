"""How likely a model finds the sequence around a variant, whatever the variant is: the background of its ratio."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foundationless.models.pooling import site_tokens, special_mask
from foundationless.models.weights import Weights
from foundationless.scoring.likelihood_ratios import STRIDE, Variant, disjoint, encode, token_log_likelihoods


def background(weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Mean log-likelihood [n] of the tokens of REF windows in nats per base; tokens over the allele do not count.

    Causal models: every token given what stands left of it, the first and special tokens left out. Masked models: every
    seventh token, all of these masked at once; of overlapping k-mers every seventh of those that share no base, masked
    with all that overlap them. NaN for a window without such a token.
    """
    inputs, spans, counted, bases = [], [], [], []
    causal = weights.model.objective == "causal"
    for variant in variants:
        sequence, offset, ref = variant[:3]
        ids = encode(weights, sequence)
        keep = ~special_mask(weights.tokenizer, ids)
        keep[site_tokens(weights.tokenizer, sequence, ids, range(offset, offset + len(ref)))] = False
        keep[0] &= not causal
        ends = np.asarray(weights.tokenizer.spans(ids, sequence=sequence))
        places = np.flatnonzero(keep)
        if not causal:
            places = disjoint(ends, places)[STRIDE // 2 :: STRIDE]
        inputs.append(ids)
        spans.append(ends)
        counted.append(places)
        bases.append(float((ends[places, 1] - ends[places, 0]).sum()))
    sums = token_log_likelihoods(weights, inputs, spans, counted, compute)
    with np.errstate(invalid="ignore", divide="ignore"):
        likely: np.ndarray = sums / np.array(bases)
    return likely
