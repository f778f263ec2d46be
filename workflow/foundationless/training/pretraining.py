"""Pretraining on a genome, or on rows of a task: next token for causal models, masked token for encoders.

`corpus` draws what is read. Special tokens and tokens of N alone are never predicted. AdamW with decoupled decay,
linear warm-up, cosine to the minimum learning rate, gradients clipped to norm 1.

What decays are the matrices of linear maps, convolutions and embeddings (`nn.Linear`, `nn.Conv*`, `nn.Embedding`);
biases, norms, and whatever else a family trains (frequencies of HyenaDNA's sines, decay rates of a state space) do not.

One step reads `batch_size` windows and minimises the mean loss over all the tokens that they predict. The step is cut
into passes of at most `token_budget` padded tokens, whose gradients add up to exactly that mean's (gradient
accumulation: the budget decides memory, never the result but for rounding), and its windows are dealt out to the
processes of `torchrun` (`distributed`).

Everything random about window i of step n is derived from (seed, n, i), so a checkpoint needs no generator state, a run
that was killed continues to the same bits (on one machine, with one number of threads and processes), and any number
of processes reads the same windows. Only dropout depends on passes and processes. The next step's windows are read and
tokenised by a thread while this one computes.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from foundationless.errors import UserError
from foundationless.evaluation.records import Result
from foundationless.models.batching import collate, token_batches
from foundationless.models.contract import GenomicModel
from foundationless.models.tokenizers import tokenizer_files
from foundationless.models.weights import load_weights, save_weights
from foundationless.runtime.files import sha256
from foundationless.runtime.log import progress, tell
from foundationless.runtime.signals import STATUS, termination
from foundationless.training.checkpoints import fingerprint, load_state, save_state
from foundationless.training.compute import AdamW, Compute, derived_seed
from foundationless.training.corpus import Drawn, Source
from foundationless.training.distributed import Group
from foundationless.training.objectives import IGNORED, Batch, Counts, Objective

CLIP = 1.0
HELDOUT = 2**32 - 1  # stands for the step in the seeds of held-out windows, out of reach of training
CHECKPOINT = "latest.checkpoint"
COLUMNS = ("step", "split", "loss", "bits_per_base", "unknown", "tokens", "learning_rate")
DECAYING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)


@dataclass(frozen=True)
class Settings:
    """What decides the result of pretraining, besides genome and initial weights.

    `window` in nucleotides; `warmup` in steps; `heldout_windows` of the held-out contigs are scored every
    `checkpoint_every` steps and at both ends.
    """

    steps: int
    window: int
    batch_size: int
    learning_rate: float
    minimum_learning_rate: float
    warmup: int
    betas: tuple[float, float]
    weight_decay: float
    reverse_complement_probability: float
    mask_probability: float
    checkpoint_every: int
    heldout_windows: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name in ("steps", "window", "batch_size", "checkpoint_every", "heldout_windows"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1.")
        if not 0 <= self.warmup <= self.steps or self.seed < 0:
            raise UserError("--warmup lies between 0 and --steps, and --seed is not negative.")
        if not 0 <= self.minimum_learning_rate <= self.learning_rate or self.learning_rate == 0:
            raise UserError("--learning-rate must be positive and --minimum-learning-rate between 0 and it.")
        if not 0 <= self.reverse_complement_probability <= 1 or not 0 < self.mask_probability < 1:
            raise UserError("--reverse-complement-probability lies in [0, 1], --mask-probability in (0, 1).")
        if not all(0 <= beta < 1 for beta in self.betas) or self.weight_decay < 0:
            raise UserError("--betas lie in [0, 1) and --weight-decay is not negative.")

    def rate(self, step: int) -> float:
        """Learning rate of step 0, 1, …: linear warm-up, then a cosine that ends at the minimum."""
        return cosine_rate(step, self.warmup, self.steps, self.learning_rate, self.minimum_learning_rate)


def cosine_rate(step: int, warmup: int, steps: int, highest: float, lowest: float) -> float:
    """Learning rate of step 0, 1, …: linear warm-up, then a cosine that ends at the lowest."""
    if step < warmup:
        return highest * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return lowest + (highest - lowest) * 0.5 * (1 + math.cos(math.pi * done))


def losses(
    model: GenomicModel, batch: Batch, predicted: float, pad_id: int, compute: Compute, group: Group, backward: bool
) -> float:
    """Sum of the loss in nats over a batch, divided by `predicted`; with `backward` its gradient is accumulated too.

    `batch` is this process's share of a step, `predicted` counts the predicted tokens of the whole step.
    """
    lengths = np.array([len(ids) for ids in batch.tokens], dtype=np.int64)
    device = next(model.parameters()).device
    while True:
        total = torch.zeros((), dtype=torch.float64, device=device)  # summed there: no pass waits for the one before
        try:
            passes = token_batches(lengths, compute.token_budget, equal_length=model.padding == "equal")
            for rows, weight in group.even(passes):
                ids, mask = (part.to(device) for part in collate([batch.tokens[row] for row in rows], pad_id))
                targets = collate([batch.targets[row] for row in rows], IGNORED)[0].to(device)
                # Attention without a mask is faster, and most batches hold one length; shards need equal graphs.
                padded = model.padding == "mask" and (group.sharded or lengths[rows[-1]] < lengths[rows[0]])
                with torch.set_grad_enabled(backward), compute.autocast():
                    hidden = model.encode(ids, mask if padded else None)
                    wanted = targets != IGNORED
                    # Vocabulary heads are position-wise: most positions of a masked model need no logits.
                    logits = model.project(hidden[wanted][None])[0]
                part = nn.functional.cross_entropy(logits.float(), targets[wanted], reduction="sum")
                part = part * (weight / max(predicted, 1))  # rows of one token have none to predict
                if backward:
                    torch.autograd.backward(part)
                total += part.detach()
            return total.item()
        except torch.OutOfMemoryError:
            if group.sharded:
                raise UserError(f"--token-budget {compute.token_budget}: out of memory; lower it.") from None
            model.zero_grad()
            compute.halve(int(lengths.max()))


def decay_groups(model: GenomicModel, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimizer: those that decay (see the module's docstring) and those that do not."""
    decaying = {id(module.weight) for module in model.modules() if isinstance(module, DECAYING)}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in decaying], "weight_decay": 0.0},
    ]


class Run:
    """Model, optimizer, windows and progress of one pretraining, as one process of the group holds them.

    `step` counts the steps done, `tokens` what they read, all processes together; `rows` is the loss curve so far.
    """

    def __init__(
        self, weights: Path, corpus: Source, settings: Settings, compute: Compute, group: Group, recipe: int
    ) -> None:
        for flag, count in (("batch-size", settings.batch_size), ("heldout-windows", settings.heldout_windows)):
            if count < group.size:
                raise UserError(f"--{flag} {count}: must be at least the number of processes, {group.size}.")
        self.settings, self.compute, self.group = settings, compute, group
        loaded = load_weights(weights, compute.device)
        self.model, self.tokenizer, self.card = loaded.model, loaded.tokenizer, loaded.card
        self.reading = corpus.read(settings.window, settings.reverse_complement_probability, settings.seed)
        self.windows = self.reading.train
        self.objective = Objective(self.model, self.tokenizer, settings.mask_probability)
        self.objective.check_length(self.windows, settings.seed)
        self.heldout, self.scored = None, Counts(0, 0, 0, 0, 0)
        if self.reading.heldout:
            self.heldout = self._read(self.reading.heldout, HELDOUT, settings.heldout_windows)
            self.scored = Counts(*group.total(*self.heldout.counts))
        self.decisive: dict[str, Any] = asdict(settings) | {"precision": compute.precision}
        self.decisive |= corpus.facts(self.reading.people) | {"weights": sha256(weights / "weights.json")}
        self.decisive |= {"recipe": recipe}
        self.step, self.tokens, self.rows = 0, 0, list[tuple[Any, ...]]()

    def prepare(self, checkpoint: Path) -> None:
        """Make the optimizer, continue the checkpoint if it is one of this run, and spread the model if asked for."""
        state = load_state(checkpoint, fingerprint(self.decisive))
        if state:
            self.model.load_state_dict(state["model"])
            self.step, self.tokens, self.rows = state["step"], state["tokens"], state["rows"]
            self.say(f"{checkpoint}: continued after step {self.step}")
        if self.group.total(self.step) != [self.step * self.group.size]:
            raise UserError(f"{checkpoint.parent}: must lie on a file system that all processes share.")
        self.group.shard(self.model)
        groups = decay_groups(self.model, self.settings.weight_decay)
        self.optimizer = AdamW(groups, lr=self.settings.learning_rate, betas=self.settings.betas, fused=True)
        if state:
            self.optimizer.load_state_dict(self.group.cut(state["optimizer"], self.optimizer))

    def save(self, checkpoint: Path) -> bool:
        """Keep everything that continuing needs; False where the leading process could not."""
        state = {"fingerprint": fingerprint(self.decisive), "step": self.step, "tokens": self.tokens, "rows": self.rows}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state = self.group.whole(state)
        return not self.group.leads or save_state(checkpoint, state)

    def read(self, step: int) -> Batch:
        """This process's share of the windows of a step."""
        return self._read(self.windows, step, self.settings.batch_size)

    def _read(self, windows: Drawn, step: int, count: int) -> Batch:
        seed = self.settings.seed
        return self.objective.batch(windows, [(seed, step, index) for index in self.group.share(count)])

    def score(self) -> None:
        """Add the held-out loss to the curve."""
        if self.heldout is not None:
            self.model.eval()
            (loss,) = self.group.total(self._losses(self.heldout, self.scored, backward=False))
            self._note("heldout", loss, self.scored, math.nan)
            bits = _bits(loss, self.scored)
            self.say(f"step {self.step}: held-out loss {loss:.4f} nats per token, {bits:.4f} bits per base")

    def advance(self, batch: Batch, asked: Callable[[], Sequence[bool]]) -> list[bool]:
        """Take one step; what any process asks for, such as to end, after its passes: all get the same answers."""
        settings, group = self.settings, self.group
        counts = Counts(*group.total(*batch.counts))
        torch.manual_seed(derived_seed(settings.seed, self.step, group.rank))
        rate = settings.rate(self.step)
        for part in self.optimizer.param_groups:
            part["lr"] = rate
        self.optimizer.zero_grad()
        self.model.train()
        loss = self._losses(batch, counts, backward=True)
        loss, *answers = group.total(loss, *asked())
        if not math.isfinite(loss):
            raise UserError(
                f"--learning-rate {settings.learning_rate}: the loss is not finite at step {self.step + 1}; lower it."
            )
        group.sum_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1
        self.tokens += int(counts.tokens)
        self._note("train", loss, counts, rate)
        return [count > 0 for count in answers]

    def _losses(self, batch: Batch, counts: Counts, backward: bool) -> float:
        pad_id, compute, group = self.tokenizer.pad_id, self.compute, self.group
        return losses(self.model, batch, counts.predicted, pad_id, compute, group, backward)

    def _note(self, split: str, loss: float, counts: Counts, rate: float) -> None:
        unknown = counts.unknown / counts.letters
        self.rows.append((self.step, split, loss, _bits(loss, counts), unknown, self.tokens, rate))

    def say(self, message: str) -> None:
        """One line on stderr, of the leading process only."""
        if self.group.leads:
            tell(message)


@dataclass(frozen=True)
class Outcome:
    """What pretraining found: rows of the record, the loss curve (columns `COLUMNS`), settings, model size and speed.

    `tokens_per_second` is that of this call, all processes together, held-out scores included (0: no step was left).
    """

    results: list[Result]
    curve: pd.DataFrame
    settings: dict[str, Any]
    parameters: int
    tokens_per_second: float


def pretrain(
    weights: Path,
    corpus: Source,
    settings: Settings,
    compute: Compute,
    checkpoints: Path,
    output: Path,
    name: str,
    group: Group,
    recipe: int,
    checkpoint_seconds: float = 600.0,
    init: str = "pretrained",
    until: int | None = None,
) -> Outcome:
    """Pretrain from a weight directory and write another one of arm `init`; continue a matching checkpoint.

    `until`: end after this step of the schedule, as if there were a checkpoint to look at, and score it.

    A checkpoint is kept whenever the held-out loss is scored, after `checkpoint_seconds` without one, and after the
    step in which SIGTERM or SIGUSR1 arrives at any process, all of which then exit with code 143.

    The curve has one `train` row per step (loss of that step's batch before its update; `step` counts from 1) and
    `heldout` rows after 0, `checkpoint_every`, … and all steps: nats per predicted token, bits per base, and the share
    of N among the letters read. Every process of `group` must call this; the one that leads it writes.
    """
    run, checkpoint = Run(weights, corpus, settings, compute, group, recipe), checkpoints / CHECKPOINT
    run.prepare(checkpoint)
    if not run.rows:
        run.score()
    began, before = time.monotonic(), run.tokens
    _advance(run, checkpoint, checkpoint_seconds, settings.steps if until is None else min(until, settings.steps))
    if until is not None and run.rows[-1][:2] != (run.step, "heldout"):
        run.score()
    speed = (run.tokens - before) / (time.monotonic() - began)
    source = corpus.described(run.reading)
    facts = source["corpus"]
    source |= {"steps": run.step, "tokens": run.tokens}
    _write_weights(run, weights, output, {"model": name, "init": init, "source": source})
    curve = pd.DataFrame(run.rows, columns=list(COLUMNS))
    unknown = float(curve.loc[curve["split"] == "train", "unknown"].mean())
    measured = {"corpus": facts, "tokens": run.tokens, "unknown_share": unknown, "contigs": run.reading.bases}
    return Outcome(
        results=_results(curve, int(run.scored.predicted)),
        curve=curve,
        settings=run.decisive | measured,
        parameters=sum(parameter.numel() for parameter in run.model.parameters()),
        tokens_per_second=speed,
    )


def advance(
    weights: Path,
    corpus: Source,
    settings: Settings,
    compute: Compute,
    checkpoints: Path,
    group: Group,
    recipe: int,
    until: int,
    checkpoint_seconds: float = 600.0,
) -> int:
    """Pretrain as `pretrain` does, but no further than `until` steps, and leave a checkpoint; the steps done by then.

    Where the checkpoint cannot be written, the next leg would begin too early: that is an `OSError`.
    """
    run, checkpoint = Run(weights, corpus, settings, compute, group, recipe), checkpoints / CHECKPOINT
    run.prepare(checkpoint)
    if not run.rows:
        run.score()
    _advance(run, checkpoint, checkpoint_seconds, min(until, settings.steps))
    run.say(f"step {run.step} of {settings.steps}: the leg ends, and the next one goes on")
    return run.step


def _advance(run: Run, checkpoint: Path, checkpoint_seconds: float, until: int) -> None:
    """Take the steps that are left until this one, after which the state is kept.

    Exits with `STATUS`, its state kept, where the job is asked to leave.
    """
    settings, group = run.settings, run.group
    next_save = time.monotonic() + checkpoint_seconds
    shown: Any = progress(settings.steps, "pretraining", "step") if group.leads else tqdm(disable=True)
    with ThreadPoolExecutor(1) as ahead, termination() as terminated, shown as bar:
        bar.update(run.step)

        def asked() -> tuple[bool, bool]:
            return terminated.is_set(), group.leads and time.monotonic() > next_save

        upcoming = ahead.submit(run.read, run.step)
        while run.step < until:
            batch = upcoming.result()
            upcoming = ahead.submit(run.read, run.step + 1)
            stopped, late = run.advance(batch, asked)
            bar.update()
            due = run.step % settings.checkpoint_every == 0 or run.step == settings.steps
            if due:
                run.score()
            if due or stopped or late or run.step == until:
                kept = run.save(checkpoint)
                next_save = time.monotonic() + checkpoint_seconds
                if run.step == until < settings.steps and not kept:
                    raise OSError(f"{checkpoint}: step {until} could not be kept, and the next leg needs it.")
            if stopped:
                what = "is kept" if kept else "could not be kept"
                run.say(f"terminated: step {run.step} {what}; run the same command to continue")
                sys.exit(STATUS)


def _write_weights(run: Run, weights: Path, output: Path, facts: Mapping[str, Any]) -> None:
    """Write the weight directory of a finished run: the card of those that it began with, and `facts`."""
    finished = run.group.whole(run.model.state_dict())
    if run.group.leads:
        model = run.model
        if run.group.sharded:
            model = load_weights(weights).model
            model.load_state_dict(finished)
        save_weights(output, model, {**run.card, **facts}, tokenizer_files(run.card["tokenizer"], weights))


def _bits(loss: float, counts: Counts) -> float:
    """Nats per predicted token as bits per predicted base (0 where nothing was predicted)."""
    return loss * counts.predicted / max(counts.bases, 1) / math.log(2)


def _results(curve: pd.DataFrame, scored: int) -> list[Result]:
    """Held-out loss and bits per base at every scored step (`extra`: step, tokens read until then)."""
    results = []
    for row in curve[curve["split"] == "heldout"].itertuples():
        extra = {"step": row.step, "tokens": row.tokens}
        for metric in ("loss", "bits_per_base"):
            results.append(Result(metric, getattr(row, metric), scored, "heldout", "run", extra=extra))
    return results
