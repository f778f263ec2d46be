"""Batches by token budget: sequences sorted by length, so that little of a batch is padding."""

from collections.abc import Sequence

import numpy as np
import torch


def token_batches(lengths: np.ndarray, budget: int, equal_length: bool = False) -> list[np.ndarray]:
    """Cut positions 0…n-1 into batches whose padded size (rows × longest row) stays within `budget` tokens.

    Longest first, so that a budget too large for the memory fails at once. A single sequence longer than the budget
    is a batch of its own. With `equal_length` a batch never mixes lengths (models in which padding is not inert).
    The order is deterministic: by length, then by position.
    """
    order = np.lexsort((np.arange(len(lengths)), -np.asarray(lengths)))
    batches: list[np.ndarray] = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        stop = start + max(1, budget // max(longest, 1))
        if equal_length:
            same = np.asarray(lengths)[order[start:stop]] == longest
            stop = start + int(same.sum())
        batches.append(order[start:stop])
        start = min(stop, len(order))
    return batches


def collate(
    ids: Sequence[np.ndarray], pad_id: int, side: str = "right", least: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad token ids to one tensor: (input_ids int64, attention_mask int64), both [batch, longest, but at `least`]."""
    longest = max(least, *(len(row) for row in ids))
    tokens = np.full((len(ids), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(ids), longest), dtype=np.int64)
    for index, row in enumerate(ids):
        place = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
        tokens[index, place] = row
        mask[index, place] = 1
    return torch.from_numpy(tokens), torch.from_numpy(mask)
