"""What is fine-tuned and on what: tokenised sequence sets, and a genomic model with a pooled linear head."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.batching import collate, token_batches
from foundationless.models.contract import GenomicModel
from foundationless.models.pooling import pool, special_mask
from foundationless.models.tokenizers import Tokenizer
from foundationless.study.vocabulary import CLASSES
from foundationless.training.learned import Learned, read_labels
from foundationless.training.sweep import Fold
from foundationless.training.trainable.layers import Layers

_TURNED = 0.5  # how often a model that reads one strand is trained on the other one of a sequence


def tokenise(tokenizer: Tokenizer, sequences: Sequence[str], limit: int) -> tuple[list[np.ndarray], int]:
    """Token ids with special tokens, at most `limit` of them, and how many sequences were cut.

    A cut sequence loses its last nucleotides and keeps a closing special token, as the official tokenizers do.
    """
    tokens, truncated = [], 0
    for sequence in sequences:
        ids = tokenizer.encode(sequence)
        if len(ids) > limit:
            truncated += 1
            closes = int(ids[-1]) in tokenizer.special_ids
            ids = np.concatenate([ids[: limit - 1], ids[-1:]]) if closes else ids[:limit]
        tokens.append(ids)
    return tokens, truncated


class Classifier(nn.Module):
    """A genomic model, pooling over its nucleotide tokens, and a linear head without bias (the paper's).

    The head has as many `outputs` as classes or outputs are learned.

    Under the reading `as_in_paper` batches are as the paper's code made them: `batch_size` rows in their order, padded
    to the longest on the tokenizer's official side, the mask passed to some families only, and pooling over every
    position, padding and special tokens included. A prediction then depends on what shares its batch.

    `layers`: how deep its weights lie, where that decides how they are trained.
    """

    counted: Tensor

    def __init__(
        self,
        backbone: GenomicModel,
        tokenizer: Tokenizer,
        outputs: int,
        pooling: str,
        batch_size: int,
        layers: Layers | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers or Layers()
        self.backbone = backbone
        self.pooling = pooling
        self.batch_size = batch_size
        self.paper = backbone.reading == "as_in_paper"
        self.pad_id = tokenizer.pad_id
        self.side = tokenizer.padding_side if self.paper else "right"  # where causal models cannot see it
        self.head = nn.Linear(backbone.width, outputs, bias=False)
        size = max(backbone.vocabulary_size, tokenizer.size, 1 + max(tokenizer.special_ids, default=0))
        counted = torch.from_numpy(~special_mask(tokenizer, np.arange(size)))
        self.register_buffer("counted", counted, persistent=False)

    def passes(self, lengths: np.ndarray, budget: int) -> list[tuple[np.ndarray, int]]:
        """Positions per pass and the length to pad them to; only equal lengths together where padding would be seen."""
        if not self.paper:
            parts = token_batches(lengths, budget, equal_length=self.backbone.padding == "equal")
            return [(part, int(lengths[part].max())) for part in parts]
        passes = []
        for first in range(0, len(lengths), self.batch_size):
            batch = np.arange(first, min(first + self.batch_size, len(lengths)))
            longest = int(lengths[batch].max())
            rows = max(1, budget // longest)
            passes += [(batch[start : start + rows], longest) for start in range(0, len(batch), rows)]
        return passes

    def inputs(self, tokens: Sequence[np.ndarray], length: int = 0) -> tuple[Tensor, Tensor | None, Tensor]:
        """What `forward` takes, of rows of token ids padded to `length` or the longest: ids, mask, which tokens count.

        All [rows, length]; the mask is None where the model gets none.
        """
        ids, mask = (part.to(self.head.weight.device) for part in collate(tokens, self.pad_id, self.side, length))
        padded = min(map(len, tokens)) < ids.shape[1]  # attention is faster without a mask
        masked = self.backbone.paper_masked if self.paper else self.backbone.padding == "mask" and padded
        counts = torch.ones_like(mask) if self.paper else mask.bool() & self.counted[ids]
        return ids, mask if masked else None, counts

    def forward(self, ids: Tensor, mask: Tensor | None, counts: Tensor) -> Tensor:
        """Logits [rows, outputs], float32 or wider; of a conjoined model as it is published (models/contract.py)."""
        if not self.backbone.conjoined:
            return self._logits(ids, mask, counts)
        other = self.backbone.other_strand(ids)
        if self.training:
            turned = torch.rand(len(ids), 1, device=ids.device) < _TURNED
            return self._logits(torch.where(turned, other, ids), mask, counts)
        return (self._logits(ids, mask, counts) + self._logits(other, mask, counts)) / 2

    def _logits(self, ids: Tensor, mask: Tensor | None, counts: Tensor) -> Tensor:
        pooled = pool(self.backbone.encode(ids, mask), counts, self.pooling)
        with torch.autocast(ids.device.type, enabled=False):
            logits: Tensor = self.head(pooled)
        return logits


@dataclass(frozen=True)
class Examples:
    """A tokenised sequence set: ids, targets and labels of every row, and what is learned of them.

    Targets are class indices [rows], or outputs [rows, outputs] with NaN where one is not known; labels are what
    metrics take: names of classes, or the targets. `truncated`: how many sequences were cut.
    """

    tokens: list[np.ndarray]
    targets: np.ndarray
    labels: np.ndarray
    learned: Learned
    truncated: int

    @cached_property
    def lengths(self) -> np.ndarray:
        """Of every row, in tokens."""
        return np.array([len(ids) for ids in self.tokens])

    def fitted(self, folds: Sequence[Fold], where: str) -> "Examples":
        """With what the training rows of each fold say of the labels; `UserError` where they say too little."""
        return replace(self, learned=self.learned.fit(self.targets, folds, where))

    def as_if(self, number: int) -> "Examples":
        """With what one fold's training rows say, whatever the number of a fold."""
        return replace(self, learned=self.learned.as_if(number))


def prepare_examples(
    frame: pd.DataFrame, where: str, tokenizer: Tokenizer, limit: int, class_weights: str = ""
) -> Examples:
    """Tokenise a labelled sequence set; `UserError` where labels are missing or one, or nothing is left to test on."""
    learned, targets = read_labels(frame, where, class_weights)
    if not (frame["split"] == "test").any():
        raise UserError(f"{where}: no test rows; give some rows the split 'test'.")
    tokens, truncated = tokenise(tokenizer, frame["sequence"].tolist(), limit)
    for name, ids in zip(frame["id"], tokens, strict=True):
        if special_mask(tokenizer, ids).all():
            raise UserError(f"{where}: sequence '{name}' has no token left within {limit}; raise --max-tokens.")
    labels = frame["label"].astype(str).to_numpy() if learned.kind == CLASSES else targets
    return Examples(tokens, targets, labels, learned, truncated)
