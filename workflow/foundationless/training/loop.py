"""The loop of fine-tuning: a pack of runs from where they are to their ends, and their checkpoints."""

import math
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from foundationless.evaluation.records import finite
from foundationless.runtime.log import tell
from foundationless.runtime.signals import STATUS, Flag
from foundationless.training.checkpoints import load_state, save_state
from foundationless.training.classifier import Classifier, Examples
from foundationless.training.compute import Compute, derived_seed, generator_states
from foundationless.training.learned import evaluate, validation_score
from foundationless.training.stacking import Alone, CrowdedError, Stack, State, copy_moments, optimizer
from foundationless.training.sweep import Fold, Settings, keep_run, shown


@dataclass(eq=False)
class Run:
    """One run, and how far it is. `step`: steps done in the epoch after `epoch`, all of them until it is validated.

    Epochs count from 1. Equal validation values: the earlier epoch. `best_epoch` 0 means that no epoch had a finite
    value yet; `best`, the weights of that epoch, is empty then: they are the initial ones. `weights`, `moments` (in the
    order of the parameters) and `draws` (states of torch's generators) are kept here while no network holds them.
    `losses`: in a race, of the validation rows after each epoch.
    `seconds`: its share of the time that its packs took.
    """

    name: str
    fold: Fold
    rate: float
    expected: str
    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    history: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    diverged: bool = False
    seconds: float = 0.0
    best: State = field(default_factory=dict)
    weights: State = field(default_factory=dict)
    moments: list[dict[str, Tensor]] = field(default_factory=list)
    draws: list[Tensor] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {name: value for name, value in vars(self).items() if name not in _GIVEN}

    def continued(self, state: Mapping[str, Any]) -> None:
        """Be where `state` says."""
        vars(self).update(state)
        tell(f"{self.name}: continued in epoch {self.epoch + 1} after step {self.step}")

    def over(self, settings: Settings) -> bool:
        """Whether it has ended: diverged, out of patience, or through all epochs."""
        idle = settings.patience and self.epoch - self.best_epoch >= settings.patience
        return bool(self.diverged or idle or self.epoch >= settings.epochs)

    def lay_aside(self, path: Path, held: Mapping[str, Any]) -> None:
        """Put all of it, and what is `held` of it, into a file; it stays in memory where the disk does not take it."""
        if save_state(path, {"fingerprint": self.expected, "run": self.state() | dict(held)}):
            self.best = {}
        else:
            vars(self).update(held)

    def take_up(self, path: Path) -> None:
        """Be as the file says, unless it is further already."""
        state = load_state(path, self.expected)
        if state is not None and (state["run"]["epoch"], state["run"]["step"]) >= (self.epoch, self.step):
            vars(self).update(state["run"])

    def glance(self, path: Path) -> None:
        """Be as far as the file says, without its tensors."""
        state = load_state(path, self.expected)
        if state is not None:
            vars(self).update({name: value for name, value in state["run"].items() if name not in _HEAVY})


_HEAVY = {"best", "weights", "moments", "draws"}
_GIVEN = {"name", "fold", "rate", "expected"}


def paused(directory: Path, run: Run) -> Path:
    """Where a run lies between two parts of its training."""
    return directory / f"{run.name}.paused"


class LegOver(Exception):
    """A leg has done its share of the epochs, and its state is kept."""


@dataclass
class Leg:
    """How many epochs of validation, of all runs together, are `done`, and `until` which this leg goes on (0: all)."""

    until: int = 0
    done: int = 0

    @property
    def over(self) -> bool:
        """Whether the leg has done its share."""
        return bool(self.until) and self.done >= self.until


@dataclass(frozen=True)
class Job:
    """What all packs of a job share. `identity`: fingerprint of what decides its runs, but for fold and rate.

    `leg`: where it pauses. `merging`: it only puts together what is kept, and trains nothing. `best`: where the weights
    of every finished run are left, by its name (None: they are let go).
    """

    examples: Examples
    test: np.ndarray
    settings: Settings
    compute: Compute
    directory: Path
    identity: str
    terminated: Flag
    bar: tqdm
    checkpoint_seconds: float
    leg: Leg = field(default_factory=Leg)
    merging: bool = False
    best: dict[str, State] | None = None


class Pack:
    """Runs that are trained on one classifier, each from where it is to its end; `initial`: where all began.

    A checkpoint is written every `checkpoint_seconds`, and when the job is asked to leave, which then exits: after the
    step, or between two passes of a prediction. A run that ends leaves the pack at the end of its epoch. With `until`
    runs are not finished: after so many epochs, or where they end before, they are laid aside in the directory.
    """

    def __init__(
        self,
        job: Job,
        classifier: Classifier,
        initial: State,
        runs: Sequence[Run],
        stacked: bool,
        path: Path,
        until: int = 0,
    ) -> None:
        self.until = until
        self.job, self.classifier, self.initial, self.stacked, self.path = job, classifier, initial, stacked, path
        ended = [run for run in runs if run.over(job.settings)]
        going = [run for run in runs if not run.over(job.settings)]
        places = sorted({(run.epoch, run.step) for run in going}, reverse=True)
        groups = [ended, *([run for run in going if (run.epoch, run.step) == place] for place in places)]
        self.waiting = deque(group for group in groups if group)
        self.budget = job.compute.token_budget
        self.saved = self.charged = time.monotonic()
        self.active: list[Run] = []

    def train(self) -> None:
        """Train all runs, and keep what they found."""
        while self.waiting:
            self._enter(self.waiting.popleft())
            while self.active:
                try:
                    if ended := [place for place, run in enumerate(self.active) if self._ended(run)]:
                        (self._lay_aside if self.until else self._finish)(ended)
                    else:
                        self._epoch()
                except CrowdedError:
                    self._split()
        self.path.unlink(missing_ok=True)

    def _ended(self, run: Run) -> bool:
        return run.over(self.job.settings) or bool(self.until and run.epoch >= self.until)

    def _lay_aside(self, places: list[int]) -> None:
        """Take runs out of the pack as they are."""
        self._charge()
        runs = [self.active[place] for place in places]
        for place, run in zip(places, runs, strict=True):
            run.lay_aside(paused(self.job.directory, run), self._held(place))
        self._leave(runs)

    def _enter(self, runs: list[Run]) -> None:
        """Give runs a network."""
        self.network = Alone(self.classifier)
        self.network.restore(0, self.initial)
        if self.stacked:  # also of one run: a run that is continued has the bits of one whose pack has shrunk
            self.network = Stack(self.classifier, len(runs))
        for place, run in enumerate(runs):
            if run.weights:
                self.network.restore(place, run.weights)
        if runs[0].draws:
            torch.set_rng_state(runs[0].draws[0])
            for state in runs[0].draws[1:]:
                torch.cuda.set_rng_state(state, self.job.compute.device)
        self._use(runs, [run.moments for run in runs])
        for run in runs:
            run.weights, run.moments, run.draws = {}, [], []

    def _use(self, runs: list[Run], moments: Sequence[list[dict[str, Tensor]]]) -> None:
        self.active = runs
        self.optimizer = optimizer(self.network, [run.rate for run in runs], self.job.settings.weight_decay, moments)

    def _keep(self, places: Sequence[int]) -> None:
        """Go on with these of the active runs."""
        moments = [copy_moments(self.optimizer, self.network.parameters[place]) for place in places]
        self.network = self.network.select(places)
        self._use([self.active[place] for place in places], moments)

    def _epoch(self) -> None:
        """One epoch, or what is left of it, of all active runs."""
        runs, settings, examples, compute = self.active, self.job.settings, self.job.examples, self.job.compute
        first, folds = runs[0], [run.fold.number for run in runs]
        epoch, steps = first.epoch, math.ceil(len(first.fold.train) / settings.batch_size)
        orders = {
            fold.number: np.random.default_rng([settings.seed, fold.number + 1, epoch]).permutation(fold.train)
            for fold in {run.fold.number: run.fold for run in runs}.values()
        }
        if first.step == 0:
            torch.manual_seed(derived_seed(settings.seed, first.fold.number + 1, epoch))
        self.classifier.train()
        for step in range(first.step, steps):
            done = (epoch * steps + step) / (settings.epochs * steps)
            for group in self.optimizer.param_groups:
                group["lr"] = runs[group["run"]].rate * 0.5 * (1 + math.cos(math.pi * done)) * group["scale"]
            batch = slice(step * settings.batch_size, (step + 1) * settings.batch_size)
            rows = {number: order[batch] for number, order in orders.items()}
            with self.network.awake(epoch):
                losses = self.network.gradient(examples, rows, folds, compute)
            for run, loss, own in zip(runs, losses, self.network.parameters, strict=True):
                if not run.diverged and not math.isfinite(loss):
                    tell(f"{run.name}: loss not finite in epoch {epoch + 1}, run ended there")
                    run.diverged = True
                if run.diverged:
                    for parameter in own:
                        parameter.grad = None
            if all(run.diverged for run in runs):
                return
            self.optimizer.step()
            for run in runs:
                run.step = step + 1
            self._pause()
        self._validate()

    def _validate(self) -> None:
        """End the epoch of all active runs, each with its validation value."""
        runs, settings, examples = self.active, self.job.settings, self.job.examples
        rows = {run.fold.number: run.fold.validation for run in runs}
        folds = [run.fold.number for run in runs]
        predicted = self.network.probabilities(examples, rows, folds, self.job.compute, self._pause)
        for place, (run, probabilities) in enumerate(zip(runs, predicted, strict=True)):
            if run.diverged:
                continue
            labels = examples.labels[run.fold.validation]
            value = validation_score(labels, probabilities, examples.learned, settings.metric)
            run.epoch, run.step = run.epoch + 1, 0
            run.history.append(value)
            if settings.race:
                targets = examples.targets[run.fold.validation]
                run.losses.append(examples.learned.mean_loss(targets, probabilities, run.fold.number))
            if value > run.best_value:
                run.best_value, run.best_epoch, run.best = value, run.epoch, self.network.copy(place)
        going = sum(not run.diverged for run in runs)
        self.job.bar.update(going)
        self.job.leg.done += going
        self._pause()

    def _finish(self, places: list[int]) -> None:
        """Evaluate runs that are over with the weights of their best epochs, and keep them."""
        runs, job = [self.active[place] for place in places], self.job
        network = self.network if len(runs) == len(self.active) else self.network.select(places)
        for place, run in enumerate(runs):
            network.restore(place, run.best or self.initial)
        kept: list[dict[str, Any]] = [
            {"fingerprint": run.expected, "epoch": run.best_epoch, "history": [finite(value) for value in run.history]}
            for run in runs
        ]
        for run, one in zip(runs if job.settings.race else [], kept, strict=False):
            one["losses"] = [finite(value) for value in run.losses]
        seen: list[np.ndarray] = []
        try:
            own, fitted = {run.fold.number: run.fold.validation for run in runs}, [run.fold.number for run in runs]
            # every run has the same test rows, hence one fold
            for split, rows in (("validation", own), ("test", {0: job.test})):
                folds = fitted if split == "validation" else [0] * len(runs)
                probabilities = network.probabilities(job.examples, rows, folds, job.compute, self._pause, fitted)
                seen = seen or list(probabilities)  # of the validation rows
                for one, fold, values in zip(kept, folds, probabilities, strict=True):
                    metrics = evaluate(job.examples.labels[rows[fold]], values, job.examples.learned)
                    one[split] = {metric: finite(value) for metric, value in metrics.items()}
        except CrowdedError:
            self._finish(places[: len(places) // 2])
            return
        self._charge()
        for run, one, values, validation in zip(runs, kept, probabilities, seen, strict=True):
            keep_run(job.directory, run.name, one | {"seconds": round(run.seconds, 3)}, values, validation)
            if job.best is not None:
                job.best[run.name] = {name: value.cpu() for name, value in (run.best or self.initial).items()}
            run.best = {}  # else a job would end with the weights of all its runs in memory
            metric = job.settings.metric
            reached = [f"{split} {shown(one[split][metric])}" for split in ("validation", "test")]
            tell(f"{run.name}: epoch {run.best_epoch}, {metric} {', '.join(reached)}, {run.seconds:.1f} s")
        job.bar.update(sum(job.settings.epochs - run.epoch for run in runs))
        self._leave(runs)

    def _leave(self, runs: list[Run]) -> None:
        left = [place for place, run in enumerate(self.active) if run not in runs]
        if left:
            self._keep(left)
        else:
            self.active = []

    def _split(self) -> None:
        """Leave half of the active runs for later: the device's memory is too small for all."""
        half = len(self.active) // 2
        later = self.active[half:]
        for place, run in enumerate(later, half):
            vars(run).update(self._held(place))
        self.waiting.appendleft(later)
        tell(f"{self.job.compute.device}: out of memory, {half} of {len(self.active)} runs at once, the others later")
        self._keep(range(half))
        self.job.compute.token_budget = self.budget  # half the runs need half the memory
        torch.cuda.empty_cache()

    def _held(self, place: int) -> dict[str, Any]:
        """What the network and the optimizer hold of an active run, in the host's memory."""
        run = self.active[place]
        if run.over(self.job.settings):
            return {}  # its best weights are all that counts
        fresh = run.best and run.best_epoch == run.epoch and run.step == 0
        weights = run.best if fresh else self.network.copy(place)
        moments = copy_moments(self.optimizer, self.network.parameters[place])
        return {
            "weights": {name: value.cpu() for name, value in weights.items()},
            "moments": [{name: value.cpu() for name, value in each.items()} for each in moments],
            "draws": generator_states(self.job.compute.device),
        }

    def _pause(self) -> None:
        """Between steps: keep a checkpoint if it is time, and leave if asked to."""
        leaving = self.job.terminated.is_set() or self.job.leg.over
        if not leaving and time.monotonic() - self.saved <= self.job.checkpoint_seconds:
            return
        self._charge()
        states = {run.name: run.state() | self._held(place) for place, run in enumerate(self.active)}
        states |= {run.name: run.state() for group in self.waiting for run in group}
        kept = save_state(self.path, {"fingerprint": self.job.identity, "runs": states})
        self.saved = time.monotonic()
        if kept and self.job.leg.over:
            raise LegOver
        if leaving:
            first = self.active[0]
            others = f" and {len(states) - 1} more" if len(states) > 1 else ""
            where = f"epoch {first.epoch + 1}, step {first.step}" if not first.over(self.job.settings) else "its end"
            what = f"{where} is kept" if kept else f"{where} is lost, an older checkpoint is not"
            tell(f"{first.name}{others}: terminated, {what}; run the same command to continue")
            sys.exit(STATUS)

    def _charge(self) -> None:
        """Divide the time since the last call among the active runs."""
        now = time.monotonic()
        for run in self.active:
            run.seconds += (now - self.charged) / len(self.active)
        self.charged = now
