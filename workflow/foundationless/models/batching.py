"""Batches by token budget, sorted by length, so that little of a batch is padding; and long sequences cut in chunks."""

from collections.abc import Sequence

import numpy as np
import torch

from foundationless.errors import UserError
from foundationless.models.tokenizers import Tokenizer

_PROBE = "ACGTTGCAAGGCCTTA"  # what shows which special tokens a tokenizer puts around a sequence


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


def cut_in_chunks(tokenizer: Tokenizer, sequence: str, limit: int) -> list[np.ndarray]:
    """Token ids of a sequence in chunks of at most `limit`, each with the special tokens that the tokenizer puts around
    a sequence; one that fits is its own only chunk.

    The tokens of the whole sequence are cut, not its letters, as evenly as can be, and wrapped anew. A chunk is then
    what the tokenizer makes of the chunk's own letters: characters and k-mers side by side are cut between letters,
    chunks of overlapping k-mers share k - 1 letters, and byte pairs never merge across a border between two tokens, so
    that the letters on either side give the same tokens without the other one. (A mark of a space, which some
    tokenizers put before a text, stays with the first chunk.)
    """
    ids = tokenizer.encode(sequence)
    if len(ids) <= limit:
        return [ids]
    bare, whole = (tokenizer.encode(_PROBE, special=special).tolist() for special in (False, True))
    around = len(whole) - len(bare)
    before = next(place for place in range(around + 1) if whole[place : place + len(bare)] == bare)
    if limit <= around:
        raise UserError(f"a chunk of {limit} tokens holds nothing beside {around} special ones; take longer chunks.")
    first, last = ids[:before], ids[len(ids) - (around - before) :]
    inner = ids[before : len(ids) - len(last)]
    parts = np.array_split(inner, -(-len(inner) // (limit - around)))
    return [np.concatenate([first, part, last]) for part in parts]


def with_letters(tokenizer: Tokenizer, chunks: list[np.ndarray]) -> list[np.ndarray]:
    """Those of a sequence's chunks that say a letter: not N, or unknown, from end to end; all, if none does."""
    silent = sorted(tokenizer.unknown_ids | tokenizer.special_ids)
    return [chunk for chunk in chunks if not np.isin(chunk, silent).all()] or chunks
