"""Pretraining on a genome: next token for causal models, masked token for encoders.

Windows are drawn uniformly over every start in the contigs that are left after `exclude` and `holdout`; one that is
more than half N is drawn again (paper, "Models"). Special tokens and tokens of N alone are never predicted. AdamW with
decoupled decay on matrices only, linear warm-up, cosine to the minimum learning rate, gradients clipped to norm 1.

Everything random in step n is derived from (seed, n), so a checkpoint needs no generator state, and a run that was
killed continues to the same bits (on one machine, with one number of threads).
"""

import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from foundationless import models
from foundationless.batching import collate, token_batches
from foundationless.embedding import special_mask
from foundationless.errors import UserError
from foundationless.files import atomic_path, sha256
from foundationless.genomes import Genome, parse_region
from foundationless.models.contract import GenomicModel
from foundationless.plan import RECIPES
from foundationless.records import Result
from foundationless.sequences import reverse_complement
from foundationless.training import (
    Compute,
    derived_seed,
    fingerprint,
    load_state,
    log,
    progress,
    save_state,
    termination,
)

IGNORED = -100
CLIP = 1.0
HELDOUT_STEP = 2**40  # stands for the step in the seed of held-out windows, out of reach of training
CHECKPOINT = "latest.checkpoint"
COLUMNS = ("step", "split", "loss", "bits_per_base", "tokens", "learning_rate")


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
        counts = ("steps", "window", "batch_size", "checkpoint_every", "heldout_windows")
        for name in counts:
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
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.minimum_learning_rate + (self.learning_rate - self.minimum_learning_rate) * 0.5 * (
            1 + math.cos(math.pi * done)
        )


class Windows:
    """Uniform draws of windows from stretches of sequence.

    Args:
        pieces: stretches; those shorter than `window` are left out.
        window: nucleotides per window.
        flip: probability of the reverse complement.
        where: what the stretches are, for error messages.
    """

    def __init__(self, pieces: Sequence[str], window: int, flip: float, where: str) -> None:
        self.pieces = [piece for piece in pieces if len(piece) >= window]
        if not self.pieces:
            raise UserError(f"{where}: no stretch of {window} nucleotides is left; exclude less or lower --window.")
        self.window, self.flip, self.where = window, flip, where
        self._ends = np.cumsum([len(piece) - window + 1 for piece in self.pieces])

    def draw(self, generator: np.random.Generator, count: int) -> list[str]:
        """`count` windows that are at most half N; `UserError` when a thousand draws in a row hold more."""
        drawn: list[str] = []
        failures = 0
        while len(drawn) < count:
            start = int(generator.integers(self._ends[-1]))
            piece = int(np.searchsorted(self._ends, start, side="right"))
            start -= int(self._ends[piece - 1]) if piece else 0
            sequence = self.pieces[piece][start : start + self.window]
            if 2 * sequence.count("N") > self.window:
                failures += 1
                if failures == 1000:
                    raise UserError(f"{self.where}: nearly everything is N; give a genome with known sequence.")
                continue
            failures = 0
            drawn.append(reverse_complement(sequence) if generator.random() < self.flip else sequence)
        return drawn


@dataclass(frozen=True)
class Batch:
    """Token ids as the model reads them, targets (IGNORED where nothing is predicted) and the nucleotides predicted."""

    tokens: list[np.ndarray]
    targets: list[np.ndarray]
    bases: int

    @property
    def predicted(self) -> int:
        """Number of predicted tokens."""
        return sum(int((row != IGNORED).sum()) for row in self.targets)


class Objective:
    """Turns windows into inputs and targets.

    Causal: target t is token t + 1. Masked: `mask_probability` of the nucleotide tokens (at least one) are predicted;
    80 % of them read as [MASK], 10 % as a random nucleotide token, 10 % as they are (BERT).
    """

    def __init__(self, model: GenomicModel, tokenizer: models.Tokenizer, mask_probability: float) -> None:
        self.causal = model.objective == "causal"
        self.tokenizer, self.limit, self.mask_probability = tokenizer, model.max_tokens, mask_probability
        self.mask_id = -1 if tokenizer.mask_id is None else tokenizer.mask_id
        if not self.causal and self.mask_id < 0:
            raise UserError(
                f"tokenizer '{tokenizer.name}' has no mask token; a masked model cannot be pretrained with it."
            )
        unknown = np.array([tokenizer.base_ids["N"], tokenizer.unknown_id])
        ids = np.arange(tokenizer.size)
        self.predictable = ~special_mask(tokenizer, ids) & ~np.isin(ids, unknown)
        self.nucleotides = np.flatnonzero(self.predictable)

    def batch(self, windows: Sequence[str], generator: np.random.Generator) -> Batch:
        """Inputs and targets of some windows, cut at the model's maximum."""
        tokens, targets, bases = [], [], 0
        for window in windows:
            ids = self.tokenizer.encode(window)[: self.limit]
            spans = self.tokenizer.spans(ids, sequence=window)
            if self.causal:
                target = np.append(np.where(self.predictable[ids[1:]], ids[1:], IGNORED), IGNORED)
                covered = np.append(target[:-1] != IGNORED, False)
                bases += int((spans[1:, 1] - spans[1:, 0])[covered[:-1]].sum())
            else:
                places = np.flatnonzero(self.predictable[ids])
                count = min(len(places), max(1, round(self.mask_probability * len(places))))
                chosen = generator.choice(places, count, replace=False)
                target = np.full(len(ids), IGNORED)
                target[chosen] = ids[chosen]
                bases += int((spans[chosen, 1] - spans[chosen, 0]).sum())
                fate = generator.random(count)
                replaced = np.where(fate < 0.9, generator.choice(self.nucleotides, count), ids[chosen])
                ids = ids.copy()
                ids[chosen] = np.where(fate < 0.8, self.mask_id, replaced)
            tokens.append(ids)
            targets.append(target)
        return Batch(tokens, targets, bases)

    def check_length(self, windows: Sequence[str]) -> None:
        """`UserError` if a window usually exceeds the model; now and then (many N in k-mers) it is cut."""
        length = int(np.median([len(self.tokenizer.encode(window)) for window in windows]))
        if length > self.limit:
            raise UserError(
                f"--window {len(windows[0])}: gives {length} tokens and the model reads {self.limit}; lower --window."
            )


def losses(model: GenomicModel, batch: Batch, pad_id: int, compute: Compute, backward: bool) -> float:
    """Mean loss in nats per predicted token; with `backward` its gradient is accumulated too."""
    lengths = np.array([len(ids) for ids in batch.tokens])
    predicted = batch.predicted
    if not predicted:
        return 0.0
    device = next(model.parameters()).device
    while True:
        total = 0.0
        try:
            for rows in token_batches(lengths, compute.token_budget, equal_length=model.padding == "equal"):
                ids, mask = (part.to(device) for part in collate([batch.tokens[row] for row in rows], pad_id))
                targets = collate([batch.targets[row] for row in rows], IGNORED)[0].to(device)
                with torch.set_grad_enabled(backward), compute.autocast():
                    hidden = model.encode(ids, mask if model.padding == "mask" else None)
                    wanted = targets != IGNORED
                    # Vocabulary heads are position-wise: most positions of a masked model need no logits.
                    logits = model.project(hidden[wanted][None])[0]
                part = nn.functional.cross_entropy(logits.float(), targets[wanted], reduction="sum") / predicted
                if backward:
                    part.backward()
                total += part.item()
            return total
        except torch.OutOfMemoryError:
            model.zero_grad()
            compute.halve(int(lengths.max()))


def read_corpus(
    paths: Sequence[Path], exclude: Sequence[str], holdout: Sequence[str]
) -> tuple[list[str], list[str], dict[str, int]]:
    """Stretches to train on, held-out stretches, and the number of bases by `genome:contig` trained on.

    `exclude` and `holdout` name contigs or regions; each must be known to one of the genomes (`UserError` if not) and
    is left out of every genome that knows it.
    """
    genomes = [Genome(path) for path in paths]
    known: dict[str, list[Genome]] = {}
    for text in [*exclude, *holdout]:
        for genome in genomes:
            try:
                genome.resolve(_contig(genome, text)[0])
            except UserError:
                continue
            known.setdefault(text, []).append(genome)
        if text not in known:
            raise UserError(
                f"'{text}' (--exclude or --holdout) is in none of {', '.join(path.name for path in paths)}."
            )
    train: list[str] = []
    bases: dict[str, int] = {}
    for genome in genomes:
        for contig, _, sequence in genome.pieces([text for text in known if genome in known[text]]):
            train.append(sequence)
            name = f"{genome.path.name}:{contig}"
            bases[name] = bases.get(name, 0) + len(sequence)
    if not train:
        raise UserError("--exclude and --holdout leave no contig to train on; exclude less.")
    held = []
    for text in dict.fromkeys(holdout):
        for genome in known[text]:
            contig, low, high = _contig(genome, text)
            for start, end in genome.coverage(contig):
                start, end = max(start, low), min(end, end if high is None else high)
                if start < end:
                    held.append(genome.fetch(contig, start, end))
    return train, held, bases


def _contig(genome: Genome, text: str) -> tuple[str, int, int | None]:
    return (text, 0, None) if text in genome.contigs else parse_region(text)


def _groups(model: GenomicModel, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, biases and norms do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


@dataclass(frozen=True)
class Outcome:
    """What pretraining found: rows of the record, the loss curve (columns `COLUMNS`), settings and model size."""

    results: list[Result]
    curve: pd.DataFrame
    settings: dict[str, Any]
    parameters: int


def pretrain(
    weights: Path,
    genomes: Sequence[Path],
    exclude: Sequence[str],
    holdout: Sequence[str],
    settings: Settings,
    compute: Compute,
    checkpoints: Path,
    output: Path,
    name: str,
) -> Outcome:
    """Pretrain from a weight directory and write another one (`init` "pretrained"); continue a matching checkpoint.

    The curve has one `train` row per step (loss of that step's batch before its update; `step` counts from 1) and
    `heldout` rows after 0, `checkpoint_every`, … and all steps: nats per predicted token, bits per base.
    """
    loaded = models.load_weights(weights, compute.device)
    model, tokenizer = loaded.model, loaded.tokenizer
    train, held, bases = read_corpus(genomes, exclude, holdout)
    windows = Windows(train, settings.window, settings.reverse_complement_probability, "the training contigs")
    objective = Objective(model, tokenizer, settings.mask_probability)
    objective.check_length(windows.draw(np.random.default_rng([settings.seed, HELDOUT_STEP + 1]), 8))
    heldout = None
    if holdout:
        generator = np.random.default_rng([settings.seed, HELDOUT_STEP])
        sample = Windows(held, settings.window, 0.0, "the --holdout contigs").draw(generator, settings.heldout_windows)
        heldout = objective.batch(sample, generator)
    decisive: dict[str, Any] = asdict(settings) | {"precision": compute.precision, "recipe": RECIPES["pretrain"]}
    decisive |= {"genomes": [sha256(path) for path in genomes], "exclude": sorted(exclude), "holdout": sorted(holdout)}
    decisive["weights"] = sha256(weights / "weights.json")
    expected = fingerprint(decisive)

    optimizer = torch.optim.AdamW(
        _groups(model, settings.weight_decay), lr=settings.learning_rate, betas=settings.betas, fused=True
    )
    step, tokens, rows = 0, 0, list[tuple[Any, ...]]()
    checkpoint = checkpoints / CHECKPOINT
    if state := load_state(checkpoint, expected):
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, tokens, rows = state["step"], state["tokens"], state["rows"]
        log(f"{checkpoint}: continued after step {step}")

    def score() -> None:
        if heldout is None or not heldout.predicted:
            return
        model.eval()
        loss = losses(model, heldout, tokenizer.pad_id, compute, backward=False)
        rows.append((step, "heldout", loss, _bits(loss, heldout), tokens, math.nan))
        log(f"step {step}: held-out loss {loss:.4f} nats per token, {_bits(loss, heldout):.4f} bits per base")

    if not rows:
        score()
    with termination() as terminated, progress(settings.steps, "pretraining", "step") as bar:
        bar.update(step)
        while step < settings.steps:
            generator = np.random.default_rng([settings.seed, step])
            torch.manual_seed(derived_seed(settings.seed, step))
            batch = objective.batch(windows.draw(generator, settings.batch_size), generator)
            rate = settings.rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            model.train()
            loss = losses(model, batch, tokenizer.pad_id, compute, backward=True)
            if not math.isfinite(loss):
                raise UserError(
                    f"--learning-rate {settings.learning_rate}: the loss is not finite at step {step + 1}; lower it."
                )
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            step += 1
            tokens += sum(len(ids) for ids in batch.tokens)
            rows.append((step, "train", loss, _bits(loss, batch), tokens, rate))
            bar.update()
            due = step % settings.checkpoint_every == 0 or step == settings.steps
            if due:
                score()
            if due or terminated.is_set():
                state = {"fingerprint": expected, "step": step, "tokens": tokens, "rows": rows}
                save_state(checkpoint, state | {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
            if terminated.is_set():
                log(f"terminated: step {step} is kept; run the same command to continue")
                sys.exit(128 + signal.SIGTERM)
    corpus = {"genomes": [path.name for path in genomes], "bases": sum(bases.values())}
    source = {
        "corpus": corpus,
        "excluded": sorted(exclude),
        "heldout": sorted(holdout),
        "steps": step,
        "tokens": tokens,
    }
    card = loaded.card | {"model": name, "init": "pretrained", "source": source}
    pieces = weights / "tokenizer.json"
    models.save_weights(output, model, card, pieces if pieces.exists() else None)
    curve = pd.DataFrame(rows, columns=list(COLUMNS))
    return Outcome(
        results=_results(curve, heldout),
        curve=curve,
        settings=decisive | {"corpus": corpus, "tokens": tokens, "contigs": bases},
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _bits(loss: float, batch: Batch) -> float:
    """Nats per predicted token as bits per predicted base (0 where nothing was predicted)."""
    return loss * batch.predicted / max(batch.bases, 1) / math.log(2)


def _results(curve: pd.DataFrame, heldout: Batch | None) -> list[Result]:
    """Held-out loss and bits per base at every scored step (`extra`: step, tokens read until then)."""
    found = []
    for row in curve[curve["split"] == "heldout"].itertuples():
        extra = {"step": row.step, "tokens": row.tokens}
        n = heldout.predicted if heldout else 0
        for metric in ("loss", "bits_per_base"):
            found.append(Result(metric, getattr(row, metric), n, "heldout", "run", extra=extra))
    return found


def write_curve(path: Path, curve: pd.DataFrame) -> None:
    """Write the loss curve as TSV (empty learning rate in held-out rows); floats round-trip."""
    with atomic_path(path) as part:
        curve.to_csv(part, sep="\t", index=False)
