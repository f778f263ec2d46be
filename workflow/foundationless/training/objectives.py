"""What a model reads and predicts in pretraining: the next token (causal), or masked tokens (encoders).

Special tokens and tokens of N alone are never predicted. Whole tokens are masked, so a 6-mer or a byte-pair piece is
hidden as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.pooling import special_mask
from foundationless.models.tokenizers import Tokenizer
from foundationless.training.corpus import Drawn

IGNORED = -100  # the target where nothing is predicted
PROBE = 2**32 - 2  # stands for the step in the seeds of windows that only show their length


class Counts(NamedTuple):
    """Sizes of a batch: tokens that are predicted, the nucleotides in them, N and all letters read, tokens read."""

    predicted: float
    bases: float
    unknown: float
    letters: float
    tokens: float


@dataclass(frozen=True)
class Batch:
    """Token ids as the model reads them, targets (IGNORED where nothing is predicted), and counts."""

    tokens: list[np.ndarray]
    targets: list[np.ndarray]
    counts: Counts


class Objective:
    """Turns windows into inputs and targets.

    Causal: target t is token t + 1. Masked: `mask_probability` of the nucleotide tokens (at least one) are predicted;
    80 % of them read as [MASK], 10 % as a random nucleotide token, 10 % as they are (BERT).
    """

    def __init__(self, model: GenomicModel, tokenizer: Tokenizer, mask_probability: float) -> None:
        self.causal = model.objective == "causal"
        self.tokenizer, self.limit, self.mask_probability = tokenizer, model.max_tokens, mask_probability
        self.mask_id = -1 if tokenizer.mask_id is None else tokenizer.mask_id
        if not self.causal and self.mask_id < 0:
            raise UserError(
                f"tokenizer '{tokenizer.name}' has no mask token; a masked model cannot be pretrained with it."
            )
        ids = np.arange(tokenizer.size)
        self.predictable = ~special_mask(tokenizer, ids) & ~np.isin(ids, list(tokenizer.unknown_ids))
        self.nucleotides = np.flatnonzero(self.predictable)

    def batch(self, windows: Drawn, seeds: Sequence[Sequence[int]]) -> Batch:
        """Inputs and targets of one window per seed, cut at the model's maximum."""
        tokens, targets, counts = [], [], np.zeros(len(Counts._fields))
        for seed in seeds:
            generator = np.random.default_rng(seed)
            window = windows.draw(generator)
            ids, target, spans = self.example(window, generator)
            tokens.append(ids)
            targets.append(target)
            counts += (len(spans), _covered(spans), window.count("N"), len(window), len(ids))
        return Batch(tokens, targets, Counts(*counts.tolist()))

    def example(self, window: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids and targets [tokens] of one window, and the nucleotides [predicted tokens, 2] that are predicted."""
        ids = self.tokenizer.encode(window)[: self.limit]
        spans = self.tokenizer.spans(ids, sequence=window)
        if self.causal:
            target = np.append(np.where(self.predictable[ids[1:]], ids[1:], IGNORED), IGNORED)
            return ids, target, spans[1:][target[:-1] != IGNORED]
        places = np.flatnonzero(self.predictable[ids])
        count = min(len(places), max(1, round(self.mask_probability * len(places))))
        chosen = generator.choice(places, count, replace=False)
        target = np.full(len(ids), IGNORED)
        target[chosen] = ids[chosen]
        fate = generator.random(count)
        replaced = np.where(fate < 0.9, generator.choice(self.nucleotides, count), ids[chosen])
        ids = ids.copy()
        ids[chosen] = np.where(fate < 0.8, self.mask_id, replaced)
        return ids, target, spans[chosen]

    def check_length(self, windows: Drawn, seed: int) -> None:
        """`UserError` if a window usually exceeds the model; now and then (many N in k-mers) it is cut."""
        drawn = [windows.draw(np.random.default_rng([seed, PROBE, index])) for index in range(8)]
        length = int(np.median([len(self.tokenizer.encode(window)) for window in drawn]))
        if length > self.limit:
            raise UserError(
                f"--window {windows.window}: gives {length} tokens and the model reads {self.limit}; lower --window, "
                "`window` of its pretraining."
            )


def _covered(spans: np.ndarray) -> int:
    """Nucleotides in any of the half-open intervals [n, 2]: overlapping k-mers predict a base once."""
    starts, ends = spans[np.argsort(spans[:, 0], kind="stable")].T
    before = np.concatenate([[0], np.maximum.accumulate(ends)])[: len(starts)]
    return int(np.maximum(ends - np.maximum(starts, before), 0).sum())
