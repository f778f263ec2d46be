"""One run of fine-tuning on a screen (a split and a learning rate): its epochs, its checkpoint, and what it keeps.

The recipe is the second paper's scGPT: Adam, the learning rate times 0.9 after each epoch, gradients cut to length 1,
mean squared error of all genes that are read. It departs where the paper errs: see `pairs` for flags, and `job` for
what chooses the epoch. Pairs, genes and dropout of a step depend on seed, split, epoch and step alone, so a run that
was killed continues to the same bits, and both arms of a comparison see the same batches.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from foundationless.errors import UserError
from foundationless.evaluation.records import finite
from foundationless.perturbation.finetuning.generator import Generator
from foundationless.perturbation.finetuning.pairs import Places, choose_places, control_rows, pair_up
from foundationless.runtime.files import atomic_path, read_json, sha256, write_json
from foundationless.runtime.log import tell
from foundationless.runtime.signals import STATUS, Flag
from foundationless.training.checkpoints import load_state, save_state
from foundationless.training.compute import BETAS, AdamW, derived_seed
from foundationless.training.sweep import Fold, run_name

DECAY, LONGEST = 0.9, 1.0  # of the learning rate after an epoch; of a gradient
VALIDATED = 16  # control cells over which a validation profile is a mean
STEPS, CONTROLS = 2**40, 2**41  # stand beside the epoch in seeds, out of reach of epochs

State = dict[str, Tensor]
Score = Callable[[NDArray[np.float32]], float]


@dataclass(frozen=True)
class Settings:
    """What decides the result of a job, besides data and weights.

    `sampled_genes`: those that a batch reads (0: all). `control_cells`: over which a test profile is a mean. `pairs`:
    of a condition an epoch at most (0: see `pairs.pair_up`). `patience`: epochs without a better validation value that
    end a run (0: never). `dropout`: of the network in training. `reading`: under `as_in_paper` a perturbed gene is
    flagged only where it is drawn.
    """

    learning_rates: tuple[float, ...]
    epochs: int
    batch_size: int
    seed: int
    patience: int = 0
    sampled_genes: int = 1536
    control_cells: int = 100
    pairs: int = 0
    dropout: float = 0.2
    reading: str = "published"

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UserError("--learning-rates: give one or more positive numbers.")
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise UserError("--learning-rates: a value stands twice; give each once.")
        if (
            min(self.epochs, self.batch_size, self.control_cells) < 1
            or min(self.patience, self.sampled_genes, self.pairs) < 0
        ):
            raise UserError(
                "--epochs, --batch-size and --control-cells must be at least 1; --patience, --sampled-genes and "
                "--pairs at least 0."
            )
        if not 0 <= self.dropout < 1:
            raise UserError("--dropout lies from 0 and below 1.")


@dataclass(frozen=True)
class Part:
    """Rows of a screen that a run trains on, the control among them, chooses by, and predicts in the end."""

    number: int  # the split's seed
    train: Places
    validation: Places
    test: Places

    @property
    def fold(self) -> Fold:
        """As the tables of runs name it."""
        return Fold(self.number, self.train, self.validation)


@dataclass(frozen=True)
class Place:
    """Where runs are trained: the directory that keeps them, how often, and who asks them to leave."""

    directory: Path
    terminated: Flag
    bar: tqdm
    checkpoint_seconds: float


@dataclass
class Progress:
    """How far a run is. `step`: steps done in the epoch after `epoch`. Epochs count from 1; of equal ones the earlier.

    `best_epoch` 0: no epoch had a finite value, and the initial weights are the best.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    history: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    summed: float = 0.0
    diverged: bool = False
    seconds: float = 0.0

    def over(self, settings: Settings) -> bool:
        """Whether it has ended: diverged, out of patience, or through all epochs."""
        idle = settings.patience and self.epoch - self.best_epoch >= settings.patience
        return bool(self.diverged or idle or self.epoch >= settings.epochs)


class Run:
    """Trains a generator from `initial` on a part, from where its checkpoint says, and keeps what it predicts.

    `score`: of validation profiles [conditions, genes], the higher the better. A checkpoint is written every
    `checkpoint_seconds`, and when the job is asked to leave, which then exits.
    """

    def __init__(
        self,
        generator: Generator,
        initial: State,
        part: Part,
        rate: float,
        settings: Settings,
        expected: str,
        place: Place,
    ) -> None:
        self.generator, self.part, self.rate, self.settings = generator, part, rate, settings
        self.expected, self.place, self.initial = expected, place, initial
        self.name = run_name(part.fold, rate)
        self.path = place.directory / f"{self.name}.checkpoint"
        self.progress, self.best = Progress(), dict[str, Tensor]()

    def start(self) -> None:
        """Give the generator the initial weights, or be where the checkpoint says."""
        self.generator.model.load_state_dict(self.initial)
        self.optimizer = AdamW(self.generator.model.parameters(), lr=self.rate, betas=BETAS, weight_decay=0.0)
        state = load_state(self.path, self.expected)
        if state is not None:
            self.progress, self.best = Progress(**state["progress"]), state["best"]
            self.generator.model.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["moments"])
            tell(f"{self.name}: continued in epoch {self.progress.epoch + 1} after step {self.progress.step}")
        self.saved = self.charged = time.monotonic()

    def train(self, score: Score) -> None:
        """Every epoch that is left; then predict the test conditions with the best weights, and keep that."""
        self.start()
        self.place.bar.update(self.progress.epoch)
        while not self.progress.over(self.settings):
            self._epoch(score)
        self.place.bar.update(self.settings.epochs - self.progress.epoch)
        self.generator.model.load_state_dict(self.best or self.initial)
        predicted = self.generator.predict(self.part.test, self._controls(self.settings.control_cells), self._pause)
        self._charge()
        progress = self.progress
        keep_run(
            self.place.directory,
            self.name,
            {"fingerprint": self.expected, "epoch": progress.best_epoch, "seconds": round(progress.seconds, 3)}
            | {"history": [finite(value) for value in progress.history]}
            | {"losses": [finite(value) for value in progress.losses]}
            | {"value": finite(progress.best_value)},
            predicted,
        )
        self.path.unlink(missing_ok=True)
        tell(f"{self.name}: epoch {progress.best_epoch}, validation skill {progress.best_value:.4f}, "
             f"{progress.seconds:.1f} s")  # fmt: skip

    def _draws(self, *words: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, self.part.number, *words])

    def _controls(self, count: int) -> Places:
        return control_rows(self.generator.reading, count, self._draws(CONTROLS))

    def _epoch(self, score: Score) -> None:
        """One epoch, or what is left of it, with its validation."""
        progress, settings, reading = self.progress, self.settings, self.generator.reading
        epoch, mended = progress.epoch, settings.reading != "as_in_paper"
        pairs = pair_up(reading, self.part.train.tolist(), self._draws(epoch), settings.pairs)
        steps = math.ceil(len(pairs) / settings.batch_size)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * DECAY**epoch
        self.generator.model.train()
        for step in range(progress.step, steps):
            batch = pairs[step * settings.batch_size : (step + 1) * settings.batch_size]
            places = choose_places(
                reading, batch[:, 2], settings.sampled_genes, self._draws(epoch, STEPS, step), mended
            )
            seed = derived_seed(settings.seed, self.part.number, epoch, step)
            loss = self.generator.gradient(batch, places, seed)
            if not math.isfinite(loss):
                tell(f"{self.name}: loss not finite in epoch {epoch + 1}, run ended there")
                progress.diverged = True
                return
            torch.nn.utils.clip_grad_norm_(self.generator.model.parameters(), LONGEST)
            self.optimizer.step()
            self.optimizer.zero_grad()
            progress.step, progress.summed = step + 1, progress.summed + loss
            self._pause()
        value = score(self.generator.predict(self.part.validation, self._controls(VALIDATED), self._pause))
        progress.losses.append(progress.summed / steps)
        progress.history.append(value)
        progress.epoch, progress.step, progress.summed = epoch + 1, 0, 0.0
        if value > progress.best_value:
            progress.best_value, progress.best_epoch = value, progress.epoch
            self.best = self._weights()
        self.place.bar.update(1)
        self._pause()

    def _weights(self) -> State:
        return {name: value.detach().cpu().clone() for name, value in self.generator.model.state_dict().items()}

    def _pause(self) -> None:
        """Between steps: keep a checkpoint if it is time, and leave if asked to."""
        leaving = self.place.terminated.is_set()
        if not leaving and time.monotonic() - self.saved <= self.place.checkpoint_seconds:
            return
        self._charge()
        kept = save_state(
            self.path,
            {"fingerprint": self.expected, "progress": vars(self.progress), "best": self.best}
            | {"weights": self._current(), "moments": self.optimizer.state_dict()},
        )
        self.saved = time.monotonic()
        if leaving:
            where = f"epoch {self.progress.epoch + 1}, step {self.progress.step}"
            what = f"{where} is kept" if kept else f"{where} is lost, an older checkpoint is not"
            tell(f"{self.name}: terminated, {what}; run the same command to continue")
            sys.exit(STATUS)

    def _current(self) -> State:
        """The weights, once where they are the best ones."""
        fresh = self.best and self.progress.best_epoch == self.progress.epoch and self.progress.step == 0
        return self.best if fresh else self._weights()

    def _charge(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.charged
        self.charged = now


def keep_run(directory: Path, name: str, kept: Mapping[str, Any], predicted: NDArray[np.float32]) -> None:
    """Predicted profiles first, then the JSON that vouches for them."""
    with atomic_path(directory / f"{name}.npy") as part:
        np.save(part, predicted, allow_pickle=False)
    write_json(directory / f"{name}.json", {**kept, "predicted": sha256(directory / f"{name}.npy")})


def kept_run(directory: Path, name: str, expected: str) -> tuple[dict[str, Any], NDArray[np.float32]] | None:
    """A finished run and its profiles if it is there, whole, and of the same settings, data and weights."""
    path = directory / f"{name}.json"
    if not path.exists():
        return None
    try:
        kept: dict[str, Any] = read_json(path)
        whole = kept["predicted"] == sha256(directory / f"{name}.npy")
        if whole and kept["fingerprint"] == expected:
            return kept, np.load(directory / f"{name}.npy", allow_pickle=False)
    except (UserError, OSError, KeyError, TypeError, ValueError):
        whole = False
    tell(f"{name}: kept run is {'of other settings, data or weights' if whole else 'incomplete'}, computed again")
    return None
