"""How likely a model finds the sequence around a variant, whatever the variant is: the background of its ratio."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foundationless.models.inference import run_network
from foundationless.models.pooling import site_tokens, special_mask
from foundationless.models.weights import Weights
from foundationless.scoring.likelihood_ratios import Variant, encode, log_probabilities, read_masked

STEP = 7  # of masked models every seventh token is masked: about the 15 % that they are pretrained with


def background(weights: Weights, variants: Sequence[Variant], compute: Mapping[str, Any]) -> np.ndarray:
    """Mean log-likelihood [n] of the tokens of REF windows in nats per base; tokens over the allele do not count.

    Causal models: every token given what stands left of it, the first and special tokens left out. Masked models: every
    seventh token, all of these masked at once. NaN for a window without such a token.
    """
    inputs, counted, bases = [], [], []
    causal = weights.model.objective == "causal"
    for variant in variants:
        sequence, offset, ref = variant[:3]
        ids = encode(weights, sequence)
        keep = ~special_mask(weights.tokenizer, ids)
        keep[site_tokens(weights.tokenizer, sequence, ids, range(offset, offset + len(ref)))] = False
        if causal:
            keep[0] = False
        else:
            keep[np.flatnonzero(keep)[np.arange(int(keep.sum())) % STEP != STEP // 2]] = False
        spans = np.asarray(weights.tokenizer.spans(ids, sequence=sequence))
        inputs.append(ids)
        counted.append(np.flatnonzero(keep))
        bases.append(float((spans[keep, 1] - spans[keep, 0]).sum()))
    sums = (_causal if causal else _masked)(weights, inputs, counted, compute)
    with np.errstate(invalid="ignore", divide="ignore"):
        likely: np.ndarray = sums / np.array(bases)
    return likely


def _causal(
    weights: Weights, inputs: Sequence[np.ndarray], counted: Sequence[np.ndarray], compute: Mapping[str, Any]
) -> np.ndarray:
    """Sum [n] of the log probabilities of the counted tokens."""
    sums = np.full(len(inputs), np.nan)

    def handle(rows: np.ndarray, ids: Tensor, mask: Tensor, hidden: Tensor) -> None:
        for place, row in enumerate(rows):
            length = len(inputs[row])
            given = log_probabilities(weights, hidden[place, : length - 1], ids[place, 1:length])
            if len(counted[row]):
                sums[row] = float(given.double().cpu().numpy()[counted[row] - 1].sum())

    run_network(weights, inputs, handle, label="background", **compute)
    return sums


def _masked(
    weights: Weights, inputs: Sequence[np.ndarray], counted: Sequence[np.ndarray], compute: Mapping[str, Any]
) -> np.ndarray:
    """Sum [n] of the log probabilities of the counted tokens, all of which are masked."""
    sums = np.full(len(inputs), np.nan)
    some = [place for place, tokens in enumerate(counted) if len(tokens)]

    def read(request: int, logits: Tensor) -> None:
        place = some[request]
        wanted = torch.from_numpy(inputs[place][counted[place]]).to(logits.device)
        sums[place] = float(logits.log_softmax(dim=1).gather(1, wanted[:, None]).double().sum())

    read_masked(weights, [(inputs[place], counted[place]) for place in some], read, compute)
    return sums
