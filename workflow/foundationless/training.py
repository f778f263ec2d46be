"""Fine-tuning: the runs (fold × learning rate) of one task × model × init × seed, all through one loop.

The recipe is the study's (paper, "Fine-tuning"): every weight is trained, AdamW (0.9, 0.999), cosine to zero without
warm-up, the final hidden states pooled over the tokens that stand for nucleotides, a linear head without bias, and the
test set read once per run, at the epoch that validation likes best. It departs where the study errs: padding and
special tokens are never pooled, and a learning rate is chosen by validation; the study's own choice, by test score,
is computed from the same runs for comparison. With `lora_rank` low-rank adapters are trained instead of the weights
(Table 8); weights of protocol `paper` are padded and pooled as the study did (`Classifier`).

Order of data, dropout and head depend on seed, fold and epoch alone, never on what ran before, so a job that was
killed continues to the same bits, and both arms of a comparison see the same batches.
"""

import contextlib
import hashlib
import inspect
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from foundationless import models
from foundationless.batching import collate, token_batches
from foundationless.embedding import choose_device, pool, special_mask
from foundationless.errors import UserError
from foundationless.files import atomic_path, read_json, sha256, write_json
from foundationless.metrics import COUNT_METRICS, RANK_METRICS, confusion, evaluate, from_confusion
from foundationless.models.contract import GenomicModel
from foundationless.plan import RECIPES
from foundationless.records import Result
from foundationless.sequences import read_sequences

FOLD_SEED = 42  # the study's folds
HEAD, ADAPTERS = 2**40, 2**41  # stand for the fold in the seeds of heads and of adapters, out of reach of folds
BETAS = (0.9, 0.999)


def log(message: str) -> None:
    """One line on stderr that does not tear a progress bar."""
    tqdm.write(message, file=sys.stderr)


def progress(total: int, description: str, unit: str) -> tqdm:
    """A bar on stderr; in a log file it moves every ten seconds at most."""
    quiet = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=description, unit=unit, mininterval=quiet, file=sys.stderr)


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 over whatever decides a result; two equal fingerprints may share a kept run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def derived_seed(*parts: int) -> int:
    """One 63-bit seed for torch from several non-negative integers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def termination() -> Iterator[threading.Event]:
    """Inside, SIGTERM only sets the yielded event, so that a loop can finish its step and keep a checkpoint."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # only the main thread may handle signals
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, previous)


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically, for `load_state`."""
    with atomic_path(path) as part:
        torch.save(dict(state), part)


def load_state(path: Path, expected: str) -> dict[str, Any] | None:
    """The state in `path` if its fingerprint is `expected`; otherwise None, with a log line if a file is there."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may raise nearly anything; starting anew is always right
        log(f"{path.name}: unreadable checkpoint ({type(error).__name__}), starting anew")
        return None
    if state.get("fingerprint") != expected:
        log(f"{path.name}: checkpoint of other settings, starting anew")
        return None
    return state


class AdamW(torch.optim.AdamW):
    """torch's AdamW, bit for bit, without the shields against torch's compiler, whose import costs a job a second."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


@dataclass
class Compute:
    """Where and how a network runs. `token_budget`: padded tokens per pass; halved when a GPU runs out of memory."""

    device: str = "auto"
    threads: int = 1
    precision: str = "fp32"
    token_budget: int = 16384

    def __post_init__(self) -> None:
        """Resolve the device and make torch deterministic (same machine and threads: same bits)."""
        if self.threads < 1 or self.token_budget < 1:
            raise UserError("--threads and --token-budget must be at least 1.")
        self.device = str(choose_device(self.device))
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
        torch.set_num_threads(self.threads)
        # deterministic, warning where an operation cannot be; `use_deterministic_algorithms` says the same and imports
        # torch's compiler with it: one second in every job
        torch.set_deterministic_debug_mode("warn")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """bfloat16 autocast where asked for."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def halve(self, longest: int) -> None:
        """Halve the budget after an out-of-memory error; `UserError` when one sequence alone was too much."""
        if self.token_budget <= longest:
            raise UserError(
                f"--device {self.device}: out of memory with one sequence of {longest} tokens; "
                "use --precision bf16, a smaller --max-tokens, or a larger GPU."
            )
        self.token_budget = max(longest, self.token_budget // 2)
        torch.cuda.empty_cache()
        log(f"{self.device}: out of memory, token budget halved to {self.token_budget}")


@dataclass(frozen=True)
class Settings:
    """What decides the result of a fine-tuning job, besides its data and weights.

    `folds` empty: the set's own validation split. `patience`: epochs without a better validation value before a run
    ends (0: never). `max_tokens`: a limit below the model's own (None: the model's). `strict_alphabet`: as in
    `sequences.read_sequences`. `lora_rank`: of the adapters that are trained instead of the model (0: the model is; see
    `adapters`).
    """

    metric: str
    learning_rates: tuple[float, ...]
    epochs: int
    batch_size: int
    pooling: str
    seed: int
    fold_count: int = 10
    folds: tuple[int, ...] = ()
    weight_decay: float = 0.0
    patience: int = 0
    max_tokens: int | None = None
    strict_alphabet: bool = True
    lora_rank: int = 0
    lora_alpha: int = 16
    lora_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        known = (*COUNT_METRICS, *RANK_METRICS)
        if self.metric not in known:
            raise UserError(f"--metric {self.metric}: unknown for classes; use one of {', '.join(known)}.")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UserError("--learning-rates: give one or more positive numbers.")
        for flag, values in (("--learning-rates", self.learning_rates), ("--folds", self.folds)):
            if len(set(values)) < len(values):
                raise UserError(f"{flag}: a value stands twice; give each once.")
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 0 or self.seed < 0 or self.weight_decay < 0:
            raise UserError(
                "--epochs and --batch-size must be at least 1; --patience, --seed, --weight-decay at least 0."
            )
        if self.lora_rank < 0 or self.lora_alpha < 1 or not 0 <= self.lora_dropout < 1:
            raise UserError("--lora-rank is at least 0, --lora-alpha at least 1, --lora-dropout from 0 and below 1.")
        if self.fold_count < 2 or any(not 0 <= fold < self.fold_count for fold in self.folds):
            raise UserError(f"--folds: each fold lies between 0 and --fold-count - 1 = {self.fold_count - 1}.")


@dataclass(frozen=True)
class Fold:
    """Rows (positions in the sequence set) to train and to validate on; `number` -1 is the published split."""

    number: int
    train: np.ndarray
    validation: np.ndarray

    @property
    def name(self) -> str:
        """`fold5`, or `published` for the set's own split."""
        return "published" if self.number < 0 else f"fold{self.number}"


def run_name(fold: Fold, learning_rate: float) -> str:
    """Name of a run inside its job, e.g. `fold0_lr0.0001` (never in exponent notation: names hold no hyphens)."""
    return f"{fold.name}_lr{np.format_float_positional(learning_rate, trim='-')}"


def split_folds(frame: pd.DataFrame, fold_count: int, folds: Sequence[int]) -> tuple[list[Fold], str]:
    """Folds of a sequence set, and in words how they were made.

    With `folds`: the train and validation rows cut by KFold(fold_count, shuffled, seed 42) as the study did, or, where
    rows share groups, by StratifiedGroupKFold, so that no group stands on both sides. Without: the set's own split.
    """
    split = frame["split"].to_numpy()
    if not len(folds):
        train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == "validation")
        if not len(train) or not len(validation):
            raise UserError(
                "the sequence set has no train or no validation rows; give --folds to cut its training rows."
            )
        return [Fold(-1, train, validation)], "published validation split"
    from sklearn.model_selection import KFold, StratifiedGroupKFold

    rows = np.flatnonzero((split == "train") | (split == "validation"))
    groups = frame["group"].fillna(frame["id"]).to_numpy()[rows]
    grouped = len(set(groups)) < len(rows)
    units = len(set(groups)) if grouped else len(rows)
    if units < fold_count:
        raise UserError(
            f"--fold-count {fold_count}: the set has only {units} training {'groups' if grouped else 'rows'}."
        )
    if grouped:
        splitter = StratifiedGroupKFold(fold_count, shuffle=True, random_state=FOLD_SEED)
        cuts = list(splitter.split(rows, frame["label"].to_numpy()[rows], groups))
    else:
        cuts = list(KFold(fold_count, shuffle=True, random_state=FOLD_SEED).split(rows))
    how = f"{'StratifiedGroupKFold' if grouped else 'KFold'}({fold_count}, shuffled, seed {FOLD_SEED})"
    return [Fold(number, rows[cuts[number][0]], rows[cuts[number][1]]) for number in folds], how


def tokenise(tokenizer: models.Tokenizer, sequences: Sequence[str], limit: int) -> tuple[list[np.ndarray], int]:
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
    """A genomic model, pooling over its nucleotide tokens, and a linear head without bias (the study's).

    Under protocol `paper` batches are as the study's code made them: `batch_size` rows in their order, padded to the
    longest on the tokenizer's official side, the mask passed to some families only, and pooling over every position,
    padding and special tokens included. A prediction then depends on what shares its batch.
    """

    counted: Tensor

    def __init__(
        self, backbone: GenomicModel, tokenizer: models.Tokenizer, classes: int, pooling: str, batch_size: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.batch_size = batch_size
        self.paper = backbone.protocol == "paper"
        self.pad_id = tokenizer.pad_id
        self.side = tokenizer.padding_side if self.paper else "right"  # where causal models cannot see it
        self.head = nn.Linear(backbone.width, classes, bias=False)
        size = max(backbone.vocabulary_size, tokenizer.size, 1 + max(tokenizer.special_ids, default=0))
        counted = torch.from_numpy(~special_mask(tokenizer, np.arange(size)))
        self.register_buffer("counted", counted, persistent=False)

    def passes(self, lengths: np.ndarray, budget: int) -> list[tuple[np.ndarray, int]]:
        """Positions per pass and the length to pad them to; only equal lengths together where padding would be seen."""
        if not self.paper:
            parts = token_batches(lengths, budget, equal_length=self.backbone.padding == "equal")
            return [(part, int(lengths[part].max())) for part in parts]
        found = []
        for first in range(0, len(lengths), self.batch_size):
            batch = np.arange(first, min(first + self.batch_size, len(lengths)))
            longest = int(lengths[batch].max())
            rows = max(1, budget // longest)
            found += [(batch[start : start + rows], longest) for start in range(0, len(batch), rows)]
        return found

    def forward(self, tokens: Sequence[np.ndarray], length: int = 0) -> Tensor:
        """Logits [rows, classes], float32, of rows of token ids, padded to `length` or to the longest of them."""
        ids, mask = (part.to(self.head.weight.device) for part in collate(tokens, self.pad_id, self.side, length))
        padded = min(map(len, tokens)) < ids.shape[1]  # attention is faster without a mask
        masked = self.backbone.study_masked if self.paper else self.backbone.padding == "mask" and padded
        hidden = self.backbone.encode(ids, mask if masked else None)
        counts = torch.ones_like(mask) if self.paper else mask.bool() & self.counted[ids]
        pooled = pool(hidden, counts, self.pooling)
        with torch.autocast(ids.device.type, enabled=False):
            return self.head(pooled.float())


@dataclass(frozen=True)
class Examples:
    """A tokenised sequence set: ids, their lengths, class index and label of every row, and the sorted classes."""

    tokens: list[np.ndarray]
    targets: np.ndarray
    labels: np.ndarray
    classes: list[str]
    truncated: int
    lengths: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Derive the lengths."""
        object.__setattr__(self, "lengths", np.array([len(ids) for ids in self.tokens]))


def prepare_examples(frame: pd.DataFrame, where: str, tokenizer: models.Tokenizer, limit: int) -> Examples:
    """Tokenise a labelled sequence set; `UserError` where labels are missing or one, or nothing is left to test on."""
    if frame["label"].isna().any():
        raise UserError(f"{where}: sequence '{frame.loc[frame['label'].isna(), 'id'].iloc[0]}' has no label.")
    labels = frame["label"].astype(str).to_numpy()
    classes = sorted(set(labels))
    if len(classes) < 2:
        raise UserError(f"{where}: every label is '{classes[0]}'; a classification task needs two classes or more.")
    if not (frame["split"] == "test").any():
        raise UserError(f"{where}: no test rows; give some rows the split 'test'.")
    tokens, truncated = tokenise(tokenizer, frame["sequence"].tolist(), limit)
    for name, ids in zip(frame["id"], tokens, strict=True):
        if special_mask(tokenizer, ids).all():
            raise UserError(f"{where}: sequence '{name}' has no token left within {limit}; raise --max-tokens.")
    return Examples(tokens, np.searchsorted(classes, labels), labels, classes, truncated)


def check_classes(examples: Examples, folds: Sequence[Fold], where: str) -> None:
    """`UserError` if a fold trains without one of the classes."""
    for fold in folds:
        absent = set(range(len(examples.classes))) - set(examples.targets[fold.train].tolist())
        if absent:
            raise UserError(
                f"{where}: class '{examples.classes[min(absent)]}' has no training row in the {fold.name} split; "
                "merge it, drop it, or cut other folds."
            )


def predict(classifier: Classifier, examples: Examples, rows: np.ndarray, compute: Compute) -> np.ndarray:
    """Class probabilities float32 [rows, classes]; but for protocol `paper` they do not depend on batch mates."""
    classifier.eval()
    lengths = examples.lengths[rows]
    while True:
        logits = torch.zeros(len(rows), len(examples.classes))
        try:
            with torch.inference_mode(), compute.autocast():
                for batch, length in classifier.passes(lengths, compute.token_budget):
                    logits[batch] = classifier([examples.tokens[row] for row in rows[batch]], length).cpu()
            return torch.softmax(logits, dim=1).numpy()
        except torch.OutOfMemoryError:
            compute.halve(int(lengths.max()))


def _step(classifier: Classifier, examples: Examples, rows: np.ndarray, compute: Compute) -> float:
    """Accumulate the gradient of the mean cross-entropy of one batch, in passes that fit the budget; the loss."""
    lengths = examples.lengths[rows]
    while True:
        loss = 0.0
        try:
            for batch, length in classifier.passes(lengths, compute.token_budget):
                with compute.autocast():
                    logits = classifier([examples.tokens[row] for row in rows[batch]], length)
                targets = torch.from_numpy(examples.targets[rows[batch]]).to(logits.device)
                part = nn.functional.cross_entropy(logits, targets, reduction="sum") / len(rows)
                part.backward()
                loss += part.item()
            return loss
        except torch.OutOfMemoryError:
            classifier.zero_grad()
            compute.halve(int(lengths.max()))


def validation_score(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], metric: str) -> float:
    """One metric of `evaluate`, NaN if a probability is not finite; metrics of counts skip the costly others."""
    if not np.isfinite(probabilities).all():
        return math.nan
    if metric not in COUNT_METRICS:
        return evaluate(labels, probabilities, classes)[metric]
    cells = confusion(labels, np.asarray(classes)[probabilities.argmax(axis=1)], classes)
    counts = np.bincount(cells, minlength=len(classes) ** 2).reshape(len(classes), -1)
    return float(from_confusion(counts, metric))


@dataclass
class _Run:
    """State of a run between epochs; plain values and tensors, so that a checkpoint can hold it."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[float] = field(default_factory=list)


def train_run(
    classifier: Classifier,
    examples: Examples,
    fold: Fold,
    learning_rate: float,
    settings: Settings,
    compute: Compute,
    *,
    checkpoint: Path,
    expected: str,
    terminated: threading.Event,
    bar: tqdm,
    checkpoint_seconds: float = 300.0,
) -> tuple[int, list[float]]:
    """Train on one fold and leave the classifier at its best epoch; (that epoch, validation value of every epoch).

    Epochs count from 1. Equal values: the earlier epoch. 0 means that no epoch had a finite value (it diverged), and
    leaves the initial weights. A checkpoint is written at the end of an epoch every `checkpoint_seconds` and on
    SIGTERM, which then ends the process with code 143; a matching one is continued.
    """
    trained = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    optimizer = AdamW(trained, lr=learning_rate, betas=BETAS, weight_decay=settings.weight_decay, fused=True)
    run = _Run(best_state=_copy(classifier))
    if state := load_state(checkpoint, expected):
        _restore(classifier, state["model"])
        optimizer.load_state_dict(state["optimizer"])
        run = _Run(**state["run"])
        log(f"{checkpoint.stem}: continued after epoch {run.epoch}")
        bar.update(run.epoch)
    steps = math.ceil(len(fold.train) / settings.batch_size)
    labels = examples.labels[fold.validation]
    saved = time.monotonic()
    while run.epoch < settings.epochs:
        if settings.patience and run.epoch - run.best_epoch >= settings.patience:
            break
        order = np.random.default_rng([settings.seed, fold.number + 1, run.epoch]).permutation(fold.train)
        torch.manual_seed(derived_seed(settings.seed, fold.number + 1, run.epoch))
        classifier.train()
        for step in range(steps):
            done = (run.epoch * steps + step) / (settings.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            optimizer.zero_grad()
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            if not math.isfinite(_step(classifier, examples, rows, compute)):
                log(f"{checkpoint.stem}: loss not finite in epoch {run.epoch + 1}, run ended there")
                bar.update(settings.epochs - run.epoch)
                _restore(classifier, run.best_state)
                return run.best_epoch, run.history
            optimizer.step()
        probabilities = predict(classifier, examples, fold.validation, compute)
        value = validation_score(labels, probabilities, examples.classes, settings.metric)
        run.epoch += 1
        run.history.append(value)
        if value > run.best_value:
            run.best_value, run.best_epoch, run.best_state = value, run.epoch, _copy(classifier)
        bar.update()
        if terminated.is_set() or time.monotonic() - saved > checkpoint_seconds:
            state = {"fingerprint": expected, "run": vars(run), "model": _copy(classifier)}
            save_state(checkpoint, state | {"optimizer": optimizer.state_dict()})
            saved = time.monotonic()
            if terminated.is_set():
                log(f"{checkpoint.stem}: terminated, epoch {run.epoch} is kept; run the same command to continue")
                sys.exit(128 + signal.SIGTERM)
    bar.update(settings.epochs - run.epoch)
    _restore(classifier, run.best_state)
    return run.best_epoch, run.history


def _copy(module: nn.Module) -> dict[str, Tensor]:
    """The state without what is frozen: of an adapted model, adapters, head and buffers."""
    frozen = {name for name, value in module.named_parameters(remove_duplicate=False) if not value.requires_grad}
    return {name: value.detach().clone() for name, value in module.state_dict().items() if name not in frozen}


def _restore(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load what `_copy` kept."""
    module.load_state_dict(state, strict=False)


@dataclass(frozen=True)
class Outcome:
    """What a fine-tuning job found: results, selections and predictions as in its files, settings, and model size."""

    results: list[Result]
    selections: list[dict[str, Any]]
    predictions: pd.DataFrame
    settings: dict[str, Any]
    parameters: int


def finetune(
    weights: Path, sequences: Path, settings: Settings, compute: Compute, runs: Path, checkpoint_seconds: float = 300.0
) -> Outcome:
    """Every run of the job, those already kept in `runs` excepted, and what each protocol selects from them."""
    frame = read_sequences(sequences, ["id", "sequence", "label", "split", "group"], settings.strict_alphabet)
    loaded = models.load_weights(weights, compute.device)
    model, tokenizer = loaded.model, loaded.tokenizer
    parameters = sum(parameter.numel() for parameter in model.parameters())
    limit = min(model.max_tokens, settings.max_tokens or model.max_tokens)
    folds, how = split_folds(frame, settings.fold_count, settings.folds)
    examples = prepare_examples(frame, sequences.name, tokenizer, limit)
    check_classes(examples, folds, sequences.name)
    test = np.flatnonzero((frame["split"] == "test").to_numpy())
    outside = {"folds", "learning_rates", "strict_alphabet"}  # of the name of a run, or without effect on one
    outside |= set() if settings.lora_rank else {"lora_alpha", "lora_rank", "lora_dropout"}
    decisive = {name: value for name, value in asdict(settings).items() if name not in outside}
    if settings.lora_rank:
        from foundationless.adapters import add_adapters

        seed = derived_seed(settings.seed, ADAPTERS)
        add_adapters(model, settings.lora_rank, settings.lora_alpha, settings.lora_dropout, seed)
    decisive |= {"max_tokens": limit, "precision": compute.precision, "betas": BETAS, "splitter": how}
    decisive["recipe"] = RECIPES["finetune_model"]
    decisive |= {"sequences": sha256(sequences), "weights": sha256(weights / "weights.json")}
    plan = [(fold, rate) for fold in folds for rate in sorted(settings.learning_rates)]
    initial = _copy(model)
    kept: dict[str, dict[str, Any]] = {}
    with termination() as terminated, progress(len(plan) * settings.epochs, "fine-tuning", "epoch") as bar:
        for fold, rate in plan:
            name = run_name(fold, rate)
            expected = fingerprint(decisive | {"fold": fold.number, "learning_rate": rate})
            found = _kept_run(runs, name, expected)
            if found is None:
                started = time.monotonic()
                _restore(model, initial)
                # not the bare seed: random weights of that seed began with the same draws
                torch.manual_seed(derived_seed(settings.seed, HEAD))
                classifier = Classifier(
                    model, tokenizer, len(examples.classes), settings.pooling, settings.batch_size
                ).to(compute.device)
                checkpoint = runs / f"{name}.checkpoint"
                epoch, history = train_run(
                    classifier,
                    examples,
                    fold,
                    rate,
                    settings,
                    compute,
                    checkpoint=checkpoint,
                    expected=expected,
                    terminated=terminated,
                    bar=bar,
                    checkpoint_seconds=checkpoint_seconds,
                )
                found = {"fingerprint": expected, "epoch": epoch, "history": [_plain(value) for value in history]}
                for split, rows in (("validation", fold.validation), ("test", test)):
                    probabilities = predict(classifier, examples, rows, compute)
                    values = evaluate(examples.labels[rows], probabilities, examples.classes)
                    found[split] = {metric: _plain(value) for metric, value in values.items()}
                _keep_run(runs, name, found, probabilities)
                checkpoint.unlink(missing_ok=True)
                reached = [f"{split} {_number(found[split][settings.metric])}" for split in ("validation", "test")]
                spent = time.monotonic() - started
                log(f"{name}: epoch {epoch}, {settings.metric} {', '.join(reached)}, {spent:.1f} s")
            else:
                log(f"{name}: kept from an earlier start")
                bar.update(settings.epochs)
            kept[name] = found
            if terminated.is_set():
                sys.exit(128 + signal.SIGTERM)
    chosen = {split: _choose(plan, kept, split, settings.metric) for split in ("validation", "test")}
    described = decisive | {"learning_rates": sorted(settings.learning_rates), "folds": list(settings.folds)}
    described |= {"truncated": examples.truncated, "classes": examples.classes}
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    described["trainable_parameters"] = trained + model.width * len(examples.classes)
    described["rows"] = {fold.name: [len(fold.train), len(fold.validation), len(test)] for fold in folds}
    return Outcome(
        results=_results(plan, kept, chosen, settings.metric, len(test)),
        selections=_selections(plan, kept, chosen, settings.metric),
        predictions=_predictions(frame.iloc[test], runs, plan, examples, chosen),
        settings=described,
        parameters=parameters,
    )


def _plain(value: float) -> float | None:
    """A number that JSON can hold; None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _kept_run(runs: Path, name: str, expected: str) -> dict[str, Any] | None:
    """A finished run if it is there, whole, and of the same settings, data and weights."""
    path = runs / f"{name}.json"
    if not path.exists():
        return None
    try:
        found = read_json(path)
        whole = found["probabilities"] == sha256(runs / f"{name}.parquet")
    except (UserError, OSError, KeyError, TypeError):
        whole, found = False, {}
    if whole and found["fingerprint"] == expected:
        return found
    log(f"{name}: kept run is {'of other settings, data or weights' if whole else 'incomplete'}, computed again")
    return None


def _keep_run(runs: Path, name: str, found: dict[str, Any], probabilities: np.ndarray) -> None:
    """Test probabilities first, then the JSON that vouches for them."""
    with atomic_path(runs / f"{name}.parquet") as part:
        pd.DataFrame({"probabilities": list(probabilities)}).to_parquet(part)
    found["probabilities"] = sha256(runs / f"{name}.parquet")
    write_json(runs / f"{name}.json", found)


def _choose(plan: list[tuple[Fold, float]], kept: Mapping[str, Any], split: str, metric: str) -> dict[int, str]:
    """Fold number -> the run with the best `metric` on `split`; equal values: the smaller learning rate."""
    chosen: dict[int, tuple[float, str]] = {}
    for fold, rate in plan:
        name = run_name(fold, rate)
        value = kept[name][split][metric]
        value = -math.inf if value is None else value
        if fold.number not in chosen or value > chosen[fold.number][0]:
            chosen[fold.number] = (value, name)
    return {number: name for number, (_, name) in chosen.items()}


def _results(
    plan: list[tuple[Fold, float]],
    kept: Mapping[str, Any],
    chosen: Mapping[str, Mapping[int, str]],
    metric: str,
    tested: int,
) -> list[Result]:
    """Rows of the record: each run's main metric, and per fold all metrics of the run that each protocol chooses."""
    rows = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        extra = {"run": name, "epoch": kept[name]["epoch"]}
        picked = extra | {"selected": chosen["validation"][fold.number] == name}
        for split, n in (("validation", len(fold.validation)), ("test", tested)):
            rows.append(Result(metric, kept[name][split][metric], n, split, "run", fold.number, rate, picked))
        for protocol, split in (("corrected", "validation"), ("paper", "test")):
            if chosen[split][fold.number] == name:
                for other, value in kept[name]["test"].items():
                    rows.append(Result(other, value, tested, "test", protocol, fold.number, rate, extra))
    return rows


def _selections(
    plan: list[tuple[Fold, float]],
    kept: Mapping[str, Any],
    chosen: Mapping[str, Mapping[int, str]],
    metric: str,
) -> list[dict[str, Any]]:
    """What was chosen: in each run an epoch, by validation; in each fold a learning rate, by validation and by test.

    A run that diverged before its first epoch chose none.
    """
    found: list[dict[str, Any]] = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        history = {str(epoch): value for epoch, value in enumerate(kept[name]["history"], 1)}
        if str(kept[name]["epoch"]) in history:
            found.append(
                {"what": "epoch", "within": name, "split": "validation", "metric": metric, "tried": history}
                | {"chosen": str(kept[name]["epoch"])}
            )
    for number in dict.fromkeys(fold.number for fold, _ in plan):
        runs = {f"{rate:g}": run_name(fold, rate) for fold, rate in plan if fold.number == number}
        where = next(fold.name for fold, _ in plan if fold.number == number)
        for split, by_fold in chosen.items():
            found.append(
                {"what": "learning_rate", "within": where, "split": split, "metric": metric}
                | {"tried": {rate: kept[name][split][metric] for rate, name in runs.items()}}
                | {"chosen": next(rate for rate, name in runs.items() if name == by_fold[number])}
            )
    return found


def _predictions(
    tested: pd.DataFrame,
    runs: Path,
    plan: list[tuple[Fold, float]],
    examples: Examples,
    chosen: Mapping[str, Mapping[int, str]],
) -> pd.DataFrame:
    """One row per test sample and run: id, group, label, predicted, probabilities, run, fold, selected…, split."""
    parts = []
    for fold, rate in plan:
        name = run_name(fold, rate)
        probabilities = np.stack(pd.read_parquet(runs / f"{name}.parquet")["probabilities"].to_list())
        part = tested[["id", "group", "label"]].assign(
            predicted=np.array(examples.classes, dtype=object)[probabilities.argmax(axis=1)],
            probabilities=list(probabilities),
            run=name,
            fold=fold.number,
            selected=chosen["validation"][fold.number] == name,
            selected_paper=chosen["test"][fold.number] == name,
            split="test",
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
