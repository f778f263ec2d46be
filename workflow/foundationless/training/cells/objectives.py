"""What a network of single cells learns from cells alone: masked values (scGPT), or masked genes by rank (Geneformer).

Values: a share of a cell's binned values becomes the mask value; the loss is the squared error of those bins, predicted
from the token's own state, and again from the cell's state alone (Cui et al. 2024, "Learning objectives").
Ranks: BERT's masked language model; of the chosen genes 80 % become <mask>, 10 % a random gene, 10 % stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from foundationless.errors import UserError
from foundationless.models.architectures.single_cell.geneformer import Geneformer
from foundationless.models.architectures.single_cell.scgpt import ScGPT
from foundationless.models.batching import collate
from foundationless.models.cells.binning import collate_cells, read_cell
from foundationless.models.cells.ranks import Ranker
from foundationless.models.tokenizers.genes import CellVocabulary
from foundationless.training.cells.corpus import CellCorpus
from foundationless.training.objectives import IGNORED

# Share of a cell's genes that is predicted: as in scGPT's own tutorials, and as in BERT and Geneformer.
SHARES = {"scgpt": 0.4, "geneformer": 0.15}


@dataclass(frozen=True)
class CellBatch:
    """Padded cells [cells, tokens]. `targets`: what is predicted where `chosen`; `values` of scGPT alone."""

    ids: Tensor
    mask: Tensor
    targets: Tensor
    chosen: Tensor
    values: Tensor | None = None

    @property
    def predicted(self) -> int:
        return int(self.chosen.sum())

    def rows(self, start: int, end: int, device: str) -> "CellBatch":
        """Some of the cells, on a device."""
        parts = (self.ids, self.mask, self.targets, self.chosen, self.values)
        return CellBatch(*(None if part is None else part[start:end].to(device) for part in parts))  # type: ignore[arg-type]


def _choose(count: int, share: float, draws: np.random.Generator) -> np.ndarray:
    """Which of `count` tokens are predicted: each with probability `share`, one at least."""
    chosen = draws.random(count) < share
    chosen[draws.integers(count)] |= not chosen.any()
    return chosen


class MaskedValues:
    """scGPT's objective over a corpus whose genes are those of the vocabulary."""

    def __init__(self, model: ScGPT, vocabulary: CellVocabulary, corpus: CellCorpus, most: int, share: float) -> None:
        if model.generates or vocabulary.cls_id is None:
            raise UserError("family 'scgpt': pretraining needs the form TransformerModel and a vocabulary with <cls>.")
        if not model.bins:
            raise UserError("configuration of family 'scgpt': n_input_bins is 0; pretraining reads bins, such as 51.")
        self._model, self._corpus, self._most, self._share = model, corpus, most, share
        self._ids, self._cls, self._pad = vocabulary.find(corpus.genes), vocabulary.cls_id, vocabulary.pad_id
        self._joint = "mvc_decoder" in model._modules

    def usable(self, cell: int) -> bool:
        """Whether a cell has a gene to predict."""
        columns, _ = self._corpus.row(cell)
        return bool((self._ids[columns] >= 0).any())

    def batch(self, cells: Sequence[int], draws: Sequence[np.random.Generator]) -> CellBatch:
        """Cells with some of their values masked; each draws from a generator of its own."""
        read = []
        for cell, draw in zip(cells, draws, strict=True):
            columns, counts = self._corpus.row(cell)
            found = read_cell(counts, self._ids[columns], self._cls, self._model.pad_value, self._model.bins, draw)
            ids, values, _ = collate_cells([found], self._pad, self._model.pad_value, self._most, draw)
            read.append((ids[0], values[0], _choose(ids.shape[1] - 1, self._share, draw)))
        width = max(len(ids) for ids, _, _ in read)
        ids, targets, mask = collate_cells([part[:2] for part in read], self._pad, self._model.pad_value, width)
        chosen = np.zeros(ids.shape, dtype=bool)
        for row, (_, _, masked) in enumerate(read):
            chosen[row, 1 : 1 + len(masked)] = masked
        values = np.where(chosen, np.float32(self._model.mask_value), targets)
        return CellBatch(*(torch.from_numpy(part) for part in (ids, mask, targets, chosen, values)))

    def loss(self, batch: CellBatch) -> Tensor:
        """Sum of the squared errors of what is predicted."""
        hidden, predicted = self._model(batch.ids, batch.mask, batch.values)
        wanted = batch.targets[batch.chosen]
        total = F.mse_loss(predicted.float()[batch.chosen], wanted, reduction="sum")
        if self._joint:
            joint = self._model.from_cell(hidden[:, 0], batch.ids)
            total = total + F.mse_loss(joint.float()[batch.chosen], wanted, reduction="sum")
        return total


class MaskedRanks:
    """Geneformer's objective over a corpus whose genes are those of the vocabulary."""

    def __init__(
        self, model: Geneformer, vocabulary: CellVocabulary, corpus: CellCorpus, most: int, share: float
    ) -> None:
        if vocabulary.mask_id is None:
            raise UserError("vocabulary: it has no <mask>, which pretraining by ranks needs.")
        self._model, self._corpus, self._share = model, corpus, share
        self._most = min(most, model.max_tokens)
        self._pad, self._mask, self._ranker = vocabulary.pad_id, vocabulary.mask_id, Ranker(corpus.genes, vocabulary)
        self._genes = vocabulary.find(vocabulary.genes)
        self._special = vocabulary.cls_id is not None and vocabulary.sep_id is not None

    def _tokens(self, cell: int) -> np.ndarray:
        columns, counts = self._corpus.row(cell)
        whole = np.zeros(len(self._corpus.genes))
        whole[columns] = counts
        return self._ranker.rank(whole, self._corpus.totals[cell], self._most, self._special)[0]

    def usable(self, cell: int) -> bool:
        """Whether a cell has a gene to predict."""
        return len(self._tokens(cell)) > 0

    def batch(self, cells: Sequence[int], draws: Sequence[np.random.Generator]) -> CellBatch:
        """Cells with some of their genes masked; each draws from a generator of its own."""
        read, targets = [], []
        for cell, draw in zip(cells, draws, strict=True):
            tokens = self._tokens(cell)
            genes = slice(1, -1) if self._special else slice(None)
            chosen = np.zeros(len(tokens), dtype=bool)
            chosen[genes] = _choose(len(tokens[genes]), self._share, draw)
            fate = draw.random(len(tokens))
            other = draw.choice(self._genes, len(tokens))
            seen = np.where(fate < 0.8, self._mask, np.where(fate < 0.9, other, tokens))
            read.append(np.where(chosen, seen, tokens).astype(np.int64))
            targets.append(np.where(chosen, tokens, IGNORED).astype(np.int64))
        ids, mask = collate(read, self._pad)
        wanted = collate(targets, IGNORED)[0]
        return CellBatch(ids, mask, wanted, wanted != IGNORED)

    def loss(self, batch: CellBatch) -> Tensor:
        """Sum of the cross-entropies of what is predicted, in nats."""
        hidden = self._model.encode(batch.ids, batch.mask)
        logits = self._model.project(hidden[batch.chosen])
        return F.cross_entropy(logits.float(), batch.targets[batch.chosen].long(), reduction="sum")


def objective_of(
    model: Any, vocabulary: CellVocabulary, corpus: CellCorpus, most: int, share: float
) -> MaskedValues | MaskedRanks:
    """The objective of a network's family; `most` tokens are read of a cell, `share` of its genes predicted."""
    if isinstance(model, ScGPT):
        return MaskedValues(model, vocabulary, corpus, most, share)
    if isinstance(model, Geneformer):
        return MaskedRanks(model, vocabulary, corpus, most, share)
    raise UserError(f"family '{model.family}' reads no cells; choose scgpt or geneformer.")
