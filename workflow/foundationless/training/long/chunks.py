"""A classifier of sequences that are longer than its model reads: chunks are read by themselves, and pooled.

A sequence is cut as `models.batching.cut_in_chunks` says; every chunk passes through the model as a sequence of its own
and is pooled over its tokens to one vector v_c. With `mean` the logits of a sequence are the head's of the mean of its
vectors, each weighted by its n_c tokens; with `attention` (Ilse et al. 2018, arXiv:1802.04712, a linear score) each
output o has a query q_o, and the weights of the chunks are

    softmax over c of (q_o · v_c / sqrt(width) + log n_c),

which is the mean where the query is zero, as it is at the start.

Chunks pass within the token budget. Where a sequence takes several passes, nothing of a pass is kept but the vectors of
its chunks, and it is computed again in the backward pass, with the same draws (Chen et al. 2016, arXiv:1604.06174): the
gradient is that of a single pass, and memory grows with the length by a vector a chunk.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foundationless.models.batching import token_batches
from foundationless.models.pooling import pool
from foundationless.training.classifier import TURNED, Classifier


class Chunked(Classifier):
    """A classifier whose rows are lists of chunks; arguments as of `Classifier`, and whether the mean is `attended`.

    A conjoined model is trained on one strand of a sequence, in all its chunks, and predicts the mean of both strands'
    logits. A row depends on no batch mate.
    """

    def __init__(self, *given: Any, attended: bool) -> None:
        super().__init__(*given)
        zeros = torch.zeros_like(self.head.weight)  # not drawn: the head is the same with it and without
        self.query = nn.Parameter(zeros) if attended else None

    def passes(self, lengths: np.ndarray, budget: int) -> list[tuple[np.ndarray, int]]:
        """Positions of rows that are computed at once, which together stay within the budget or are one; the budget."""
        return [(part, budget) for part in token_batches(lengths, budget)]

    def inputs(self, tokens: Sequence[Any], length: int = 0) -> tuple[Any, Any, Any]:
        """What `forward` takes, of rows of chunks that pass within a budget of `length`: rows, none, the budget."""
        return tokens, None, length

    def forward(self, ids: Any, mask: Any, counts: Any) -> Tensor:
        """Logits [rows, outputs]; arguments as `inputs` gives them."""
        rows, budget, device = ids, counts, self.head.weight.device
        owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        if not self.backbone.conjoined:
            return self._pooled(rows, self._vectors(rows, budget, None))
        if self.training:
            turned = (torch.rand(len(rows), 1, device=device) < TURNED)[torch.from_numpy(owners).to(device)]
            return self._pooled(rows, self._vectors(rows, budget, turned))
        sides = [torch.full((len(owners), 1), side, device=device) for side in (False, True)]
        one, other = (self._pooled(rows, self._vectors(rows, budget, side)) for side in sides)
        return (one + other) / 2

    def _vectors(self, rows: Sequence[Sequence[np.ndarray]], budget: int, turned: Tensor | None) -> Tensor:
        """A vector of every chunk [chunks, width], row by row; `turned` [chunks, 1]: those read on the other strand."""
        chunks = [chunk for row in rows for chunk in row]
        lengths = np.array([len(chunk) for chunk in chunks])
        parts = token_batches(lengths, max(1, budget), equal_length=self.backbone.padding == "equal")
        again = len(parts) > 1 and torch.is_grad_enabled()
        vectors = []
        for part in parts:
            side = None if turned is None else turned[torch.from_numpy(part).to(turned.device)]
            read = partial(self._read, [chunks[place] for place in part], side)
            if again:
                from torch.utils.checkpoint import checkpoint

                # of the device of what it is given are the draws that it repeats
                vectors.append(checkpoint(read, self.head.weight, use_reentrant=False))
            else:
                vectors.append(read(self.head.weight))
        order = torch.from_numpy(np.argsort(np.concatenate(parts), kind="stable"))
        return torch.cat(vectors)[order.to(vectors[0].device)]

    def _read(self, chunks: Sequence[np.ndarray], turned: Tensor | None, _: Tensor) -> Tensor:
        """Vectors [chunks, width] of one pass."""
        ids, mask, counts = super().inputs(chunks)
        if turned is not None:
            ids = torch.where(turned, self.backbone.other_strand(ids), ids)
        return pool(self.backbone.encode(ids, mask), counts, self.pooling)

    def _pooled(self, rows: Sequence[Sequence[np.ndarray]], vectors: Tensor) -> Tensor:
        """Logits [rows, outputs] of the vectors of all chunks."""
        sizes = [len(row) for row in rows]
        counted = self.counted.cpu().numpy()
        tokens = [float(counted[chunk].sum()) for row in rows for chunk in row]
        with torch.autocast(vectors.device.type, enabled=False):
            each = self.head(vectors)
            scores = torch.tensor(tokens, dtype=each.dtype, device=each.device).log()[:, None].expand(each.shape)
            if self.query is not None:
                scores = scores + nn.functional.linear(vectors, self.query) / math.sqrt(vectors.shape[1])
            padded = nn.utils.rnn.pad_sequence
            shares = padded(list(torch.split_with_sizes(scores, sizes)), True, -math.inf).softmax(dim=1)
            logits: Tensor = (shares * padded(list(torch.split_with_sizes(each, sizes)), True)).sum(dim=1)
        return logits
