"""Which states of a sequence become its embedding, and how they are pooled: special tokens, tokens of a site."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from foundationless.models.tokenizers import Tokenizer

POOLINGS = ("max", "mean", "cls", "site")


def pool(hidden: Tensor, mask: Tensor, method: str) -> Tensor:
    """Pool hidden states over the tokens that count.

    Args:
        hidden: [batch, tokens, width].
        mask: [batch, tokens]; non-zero where a token counts. Padding never counts; for `max` and `mean` special
            tokens should not either.
        method: `max`, `mean`, `first` or `last` (the first or last token that counts).

    Returns:
        [batch, width], float32 or wider: bfloat16 states are summed, and tokens counted, in float32. Every row of
        `mask` must hold at least one token that counts.
    """
    counts = mask.bool()
    precise = torch.promote_types(hidden.dtype, torch.float32)
    if method == "max":
        return hidden.masked_fill(~counts.unsqueeze(-1), -torch.inf).amax(dim=1).to(precise)
    if method == "mean":
        # masked_fill, not a product: what stands in padding may be infinite, and 0 × inf is NaN
        total = hidden.masked_fill(~counts.unsqueeze(-1), 0).sum(dim=1, dtype=precise)
        return total / counts.sum(dim=1, keepdim=True)
    if method == "first":
        index = counts.int().argmax(dim=1)
    elif method == "last":
        index = counts.shape[1] - 1 - counts.flip(1).int().argmax(dim=1)
    else:
        raise ValueError(f"unknown pooling '{method}'")
    return hidden[torch.arange(len(hidden), device=hidden.device), index].to(precise)


def special_mask(tokenizer: Tokenizer, ids: np.ndarray) -> np.ndarray:
    """Bool [tokens]: which tokens are special and stand for no nucleotide ([UNK] stands for one)."""
    return np.isin(ids, sorted(tokenizer.special_ids - {tokenizer.unknown_id}))


def site_tokens(
    tokenizer: Tokenizer, sequence: str, ids: np.ndarray, sites: Sequence[int], special: bool = True
) -> np.ndarray:
    """Positions of the tokens of a sequence's encoding `ids`, made with or without `special` tokens, that cover any of
    the 0-based `sites`."""
    spans = tokenizer.spans(np.asarray(ids, dtype=np.int64), special, sequence)
    covers = np.zeros(len(spans), dtype=bool)
    ordered = np.unique(np.asarray(sites, dtype=np.int64))
    real = spans[:, 0] >= 0
    covers[real] = np.searchsorted(ordered, spans[real, 0]) < np.searchsorted(ordered, spans[real, 1])
    return np.flatnonzero(covers)
