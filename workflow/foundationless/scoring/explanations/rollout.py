"""Attention rollout (Abnar and Zuidema 2020, doi:10.18653/v1/2020.acl-main.385): what attention mixes into the pooled.

The weights of a block, averaged over its heads, are mixed half and half with the identity, for its residual connection,
and the blocks' matrices are multiplied. A token's share is the mean of its column over the tokens that are pooled: not
negative, the same for every class, and over all tokens 1. It says where information may have come from, not what a
class made of it. Networks without attention (Hyena, state spaces, convolutions) have none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from foundationless.models.weights import Weights
from foundationless.scoring.explanations.attributions import Attributions, Explained, Inputs


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The weights that torch's `scaled_dot_product_attention` computes and does not give, [..., queries, keys]."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~seen, -torch.inf)
    if attn_mask is not None:
        blocked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if blocked else scores + attn_mask
    return torch.softmax(scores, -1)


@contextmanager
def watched() -> Iterator[list[Tensor]]:
    """Within, the weights of every attention that is computed are kept in this list, averaged over heads.

    All families compute attention by torch's own function, which gives no weights: it is replaced by one that computes
    them beside the same result.
    """
    kept: list[Tensor] = []
    own = F.scaled_dot_product_attention

    def attention(
        query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
        is_causal: bool = False, **more: Any,
    ) -> Tensor:  # fmt: skip
        kept.append(attention_weights(query, key, attn_mask, is_causal, **more).mean(-3))
        return own(query, key, value, attn_mask, dropout_p, is_causal, **more)

    F.scaled_dot_product_attention = attention  # type: ignore[assignment]
    try:
        yield kept
    finally:
        F.scaled_dot_product_attention = own


def roll_out(weights: list[Tensor]) -> Tensor:
    """Of weights [rows, tokens, tokens] of each block, first to last: the share of a token (column) in each state."""
    identity = torch.eye(weights[0].shape[-1], device=weights[0].device, dtype=weights[0].dtype)
    rolled = identity.expand_as(weights[0])
    for each in weights:
        rolled = (each + identity) / 2 @ rolled
    return rolled


def has_attention(weights: Weights) -> bool:
    """Whether a pass of the network computes weights between all its tokens, without which it has no rollout."""
    ids = np.asarray(weights.tokenizer.encode("ACGT" * 16)[: weights.model.max_tokens], dtype=np.int64)
    with torch.no_grad(), watched() as kept:
        weights.model.encode(torch.from_numpy(ids)[None], torch.ones(1, len(ids), dtype=torch.int64))
    return bool(kept) and all(each.shape == (1, len(ids), len(ids)) for each in kept)


def rollout(given: Explained) -> Attributions | None:
    """Shares of every token of every sequence, float64 [tokens]; None where a pass computes no attention."""
    made: Attributions = [np.zeros(0)] * len(given.tokens)
    missing = False

    def explain(inputs: Inputs, _targets: Tensor, rows: np.ndarray) -> None:
        nonlocal missing
        ids, _, counts = inputs
        with torch.no_grad(), watched() as weights:
            given.classifier(*inputs)
        square = (len(ids), ids.shape[1], ids.shape[1])
        if not weights or any(each.shape != square for each in weights):
            missing = True
            return
        pooled = counts.to(weights[0].dtype)
        shares = torch.einsum("rq,rqk->rk", pooled / pooled.sum(1, keepdim=True), roll_out(weights))
        for place, row in enumerate(rows):
            tokens = len(given.tokens[row])
            own = slice(0, tokens) if given.classifier.side == "right" else slice(ids.shape[1] - tokens, None)
            made[row] = shares[place, own].double().cpu().numpy()

    given.in_passes(explain)
    return None if missing else made
