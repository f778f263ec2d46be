"""Pretraining on cells: masked values or ranks (`objectives`), by the optimizer and the schedule of `pretraining`.

Everything random about cell i of step n is derived from (seed, n, i), and the cells of an epoch from (seed, epoch), so
that a job that was killed goes on to the same bits, on one machine with one number of threads.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from foundationless.errors import UserError
from foundationless.evaluation.records import Result
from foundationless.models.tokenizers import tokenizer_files
from foundationless.models.tokenizers.genes import CellVocabulary
from foundationless.models.weights import load_weights, save_weights
from foundationless.runtime.files import sha256
from foundationless.runtime.log import progress, tell
from foundationless.runtime.signals import STATUS, termination
from foundationless.training.cells.corpus import CellCorpus, held_out
from foundationless.training.cells.objectives import SHARES, CellBatch, objective_of
from foundationless.training.checkpoints import fingerprint, load_state, save_state
from foundationless.training.compute import AdamW, Compute, derived_seed
from foundationless.training.pretraining import CHECKPOINT, CLIP, HELDOUT, cosine_rate, decay_groups

COLUMNS = ("step", "split", "loss", "cells", "learning_rate")


@dataclass(frozen=True)
class CellSettings:
    """What decides the result of pretraining, besides cells and initial weights.

    `most_tokens` of a cell are read; `mask_probability` of its genes are predicted (None: as usual for the family,
    `objectives.SHARES`); `heldout_share` of the cells are scored alone, every `checkpoint_every` steps and at both
    ends.
    """

    steps: int
    batch_size: int
    most_tokens: int
    learning_rate: float
    minimum_learning_rate: float
    warmup: int
    betas: tuple[float, float]
    weight_decay: float
    mask_probability: float | None
    checkpoint_every: int
    heldout_share: float
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name in ("steps", "batch_size", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1.")
        if self.most_tokens < 4:
            raise UserError("--most-tokens must be at least 4.")
        if not 0 <= self.warmup <= self.steps:
            raise UserError("--warmup lies between 0 and --steps.")
        if not 0 <= self.minimum_learning_rate <= self.learning_rate or self.learning_rate == 0:
            raise UserError("--learning-rate must be positive and --minimum-learning-rate between 0 and it.")
        shares = (self.mask_probability, self.heldout_share)
        if not all(share is None or 0 < share < 1 for share in shares):
            raise UserError("--mask-probability and --heldout-share lie between 0 and 1.")
        if not all(0 <= beta < 1 for beta in self.betas) or self.weight_decay < 0:
            raise UserError("--betas lie in [0, 1) and --weight-decay is not negative.")


@dataclass(frozen=True)
class CellOutcome:
    """What pretraining found: rows of the record, the loss curve (columns `COLUMNS`), settings and size."""

    results: list[Result]
    curve: pd.DataFrame
    settings: dict[str, Any]
    parameters: int


class _Run:
    """Network, optimizer, cells and progress of one pretraining."""

    def __init__(
        self, weights: Path, cells: CellCorpus, settings: CellSettings, compute: Compute, identity: dict[str, Any]
    ) -> None:
        self.settings, self.compute = settings, compute
        loaded = load_weights(weights, compute.device)
        self.model, self.card = loaded.model, loaded.card
        vocabulary = loaded.tokenizer
        if not isinstance(vocabulary, CellVocabulary):
            raise UserError(f"{weights}: a network of sequences; pretraining on cells needs scgpt or geneformer.")
        corpus = cells.of_genes(vocabulary.genes)
        share = settings.mask_probability or SHARES.get(self.model.family, 0.15)
        self.objective = objective_of(self.model, vocabulary, corpus, settings.most_tokens, share)
        usable = np.array([cell for cell in range(len(corpus)) if self.objective.usable(cell)], dtype=np.int64)
        if len(usable) < 2:
            raise UserError("cells: fewer than two have a gene of the vocabulary; check the names of genes.")
        train, heldout = held_out(len(usable), settings.heldout_share, settings.seed)
        self.train, self.heldout = usable[train], usable[heldout]
        self.decisive = asdict(settings) | {"precision": compute.precision, **identity}
        self.decisive |= {"weights": sha256(weights / "weights.json"), "cells": len(self.train)}
        self.step, self.rows = 0, list[tuple[Any, ...]]()

    def prepare(self, checkpoint: Path) -> None:
        """Make the optimizer, and continue the checkpoint if it is one of this run."""
        state = load_state(checkpoint, fingerprint(self.decisive))
        groups = decay_groups(self.model, self.settings.weight_decay)
        self.optimizer = AdamW(groups, lr=self.settings.learning_rate, betas=self.settings.betas, fused=True)
        if state:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.rows = state["step"], state["rows"]
            tell(f"{checkpoint}: continued after step {self.step}")

    def save(self, checkpoint: Path) -> bool:
        """Keep everything that continuing needs."""
        state = {"fingerprint": fingerprint(self.decisive), "step": self.step, "rows": self.rows}
        return save_state(
            checkpoint, state | {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        )

    def cells_of(self, step: int) -> list[int]:
        """The training cells of a step: one random order after another."""
        size, count = self.settings.batch_size, len(self.train)
        places = range(step * size, (step + 1) * size)
        orders = {
            epoch: np.random.default_rng([self.settings.seed, 1, epoch]).permutation(count)
            for epoch in {place // count for place in places}
        }
        return [int(self.train[orders[place // count][place % count]]) for place in places]

    def read(self, cells: Sequence[int], step: int) -> CellBatch:
        """Those cells as the step sees them."""
        draws = [np.random.default_rng([self.settings.seed, 2, step, place]) for place in range(len(cells))]
        return self.objective.batch(cells, draws)

    def losses(self, batch: CellBatch, predicted: int, backward: bool) -> float:
        """Summed loss of a batch over `predicted`, in passes of at most the token budget; with `backward` gradients."""
        total, size = 0.0, max(1, self.compute.token_budget // batch.ids.shape[1])
        for start in range(0, len(batch.ids), size):
            part = batch.rows(start, start + size, self.compute.device)
            with torch.set_grad_enabled(backward), self.compute.autocast():
                loss: Any = self.objective.loss(part) / predicted
            if backward:
                loss.backward()
            total += loss.item()
        return total

    def score(self) -> None:
        """Add the held-out loss to the curve: the same cells, masked alike each time."""
        self.model.eval()
        size, total, predicted = self.settings.batch_size, 0.0, 0
        for start in range(0, len(self.heldout), size):
            batch = self.read([int(cell) for cell in self.heldout[start : start + size]], HELDOUT - start)
            total += self.losses(batch, 1, backward=False)
            predicted += batch.predicted
        self.rows.append((self.step, "heldout", total / predicted, len(self.heldout), math.nan))
        tell(f"step {self.step}: held-out loss {total / predicted:.4f}")

    def advance(self) -> None:
        """Take one step."""
        settings = self.settings
        batch = self.read(self.cells_of(self.step), self.step)
        torch.manual_seed(derived_seed(settings.seed, self.step))
        rate = cosine_rate(
            self.step, settings.warmup, settings.steps, settings.learning_rate, settings.minimum_learning_rate
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        self.model.train()
        loss = self.losses(batch, batch.predicted, backward=True)
        if not math.isfinite(loss):
            raise UserError(f"--learning-rate {settings.learning_rate}: the loss is not finite; lower it.")
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1
        self.rows.append((self.step, "train", loss, len(batch.ids), rate))


def pretrain_cells(
    weights: Path,
    cells: CellCorpus,
    settings: CellSettings,
    compute: Compute,
    checkpoints: Path,
    output: Path,
    name: str,
    source: dict[str, Any],
    recipe: int,
    checkpoint_seconds: float = 600.0,
) -> CellOutcome:
    """Pretrain from a weight directory and write another one (`init` "pretrained"); continue a matching checkpoint.

    `source` says what the cells are; it goes into the card and, with `recipe`, decides whose a checkpoint is. A
    checkpoint is kept whenever the held-out loss is scored, after `checkpoint_seconds`, and where the job is asked to
    leave, which it then does with code 143.
    """
    run, checkpoint = (
        _Run(weights, cells, settings, compute, {"recipe": recipe, "source": source}),
        checkpoints / CHECKPOINT,
    )
    run.prepare(checkpoint)
    if not run.rows:
        run.score()
    next_save = time.monotonic() + checkpoint_seconds
    with termination() as terminated, progress(settings.steps, "pretraining", "step") as bar:
        bar.update(run.step)
        while run.step < settings.steps:
            run.advance()
            bar.update()
            due = run.step % settings.checkpoint_every == 0 or run.step == settings.steps
            if due:
                run.score()
            if due or terminated.is_set() or time.monotonic() > next_save:
                kept = run.save(checkpoint)
                next_save = time.monotonic() + checkpoint_seconds
            if terminated.is_set() and run.step < settings.steps:
                tell(f"terminated: step {run.step} {'is' if kept else 'could not be'} kept; run the same command again")
                sys.exit(STATUS)
    facts = {"model": name, "init": "pretrained", "source": source | {"steps": run.step, "cells": len(run.train)}}
    save_weights(output, run.model, {**run.card, **facts}, tokenizer_files(run.card["tokenizer"], weights))
    curve = pd.DataFrame(run.rows, columns=list(COLUMNS))
    scored = [(step, loss) for step, split, loss, *_ in run.rows if split == "heldout"]
    results = [Result("loss", loss, len(run.heldout), "heldout", "run", extra={"step": step}) for step, loss in scored]
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    return CellOutcome(results, curve, run.decisive | {"heldout": len(run.heldout)}, parameters)
