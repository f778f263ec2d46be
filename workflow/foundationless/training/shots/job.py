"""Fine-tuning on few training rows, drawn many times: a network of its own for every number of rows and draw.

The rows are those that heads on frozen features learn from (`tasks.draws`), and the network, its head and the loss
those of `finetuning`. Nothing is chosen, and no validation row is read: every draw is trained for the same number of
steps at one learning rate, cosine to zero, and its last weights predict the test split, once. Batches hold `batch_size`
rows, or all where there are fewer, one pass over the rows after another.

A job loads the weights once and starts every draw from them. What a draw predicts is kept, so that a job that was
killed goes on with the next. Order and dropout depend on seed, draw and number of rows alone: both arms of a
comparison see the same batches.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from foundationless.evaluation.records import Result
from foundationless.evaluation.shots.draws import of_draw
from foundationless.runtime.log import progress, tell
from foundationless.runtime.signals import STATUS, termination
from foundationless.tasks.draws import Draw, Drawn
from foundationless.training.checkpoints import fingerprint
from foundationless.training.compute import Compute
from foundationless.training.finetuning import Ready, prepare
from foundationless.training.stacking import Alone, State, changeable, optimizer
from foundationless.training.sweep import Fold, Settings, keep_run, kept_run, shown

_OF_EPOCHS = ("epochs", "patience", "fold_count", "metric")  # settings that decide nothing here


@dataclass(frozen=True)
class Outcome:
    """Results and predictions of all draws as a record and its Parquet have them, settings, and model size."""

    results: list[Result]
    predictions: pd.DataFrame
    settings: dict[str, Any]
    parameters: int


def train_draws(
    weights: Path,
    sequences: Path,
    settings: Settings,
    compute: Compute,
    directory: Path,
    recipe: int,
    drawn: Drawn,
    steps: int,
) -> Outcome:
    """Train every draw that is not kept in `directory` yet; exits with `STATUS` where the job is asked to leave.

    The one learning rate is that of the `settings`, whose epochs and folds are not read.
    """
    draws: list[Draw] = []

    def cut(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Fold], str]:
        draws.extend(drawn.each(frame))
        taken = np.unique(np.concatenate([one.rows for one in draws]))
        rows = np.sort(np.concatenate([taken, np.flatnonzero((frame["split"] == "test").to_numpy())]))
        none = np.empty(0, dtype=np.int64)
        folds = [Fold(one.fold, np.searchsorted(rows, one.rows), none) for one in draws]
        kept = frame.iloc[rows].reset_index(drop=True)
        kept.attrs = dict(frame.attrs)
        return kept, folds, "draws of few rows a class"

    ready = prepare(weights, sequences, settings, compute, recipe, cut=cut)
    (rate,) = settings.learning_rates
    decisive = {key: value for key, value in ready.decisive.items() if key not in _OF_EPOCHS}
    decisive |= drawn.settings() | {"steps": steps}
    started = changeable(ready.classifier)
    items = ready.frame.iloc[ready.test][["id", "group", "label"]].astype({"label": str}).reset_index(drop=True)
    items.attrs = {}
    frames, results = [], []
    with termination() as terminated, progress(len(draws) * steps, "few shots", "step") as bar:
        for one, fold in zip(draws, ready.folds, strict=True):
            name = f"rows{one.taken}_draw{one.draw}"
            of_run = {key: value for key, value in decisive.items() if key not in ("shots", "draws")}
            expected = fingerprint(of_run | {"rows": one.taken, "draw": one.draw, "learning_rate": rate})
            kept = kept_run(directory, name, expected)
            if kept is None:
                if terminated.is_set():
                    tell("what was computed is kept; run the same command to continue")
                    sys.exit(STATUS)
                kept = _train(ready, settings, compute, one, fold, started, steps, bar)
                probabilities = kept.pop("predicted")
                keep_run(directory, name, kept | {"fingerprint": expected}, probabilities)
            else:
                bar.update(steps)
            predicted = np.stack(pd.read_parquet(directory / f"{name}.parquet")["probabilities"].to_list())
            said: dict[str, object] = {"diverged": True} if kept["diverged"] else {}
            place = (one.fold, one.taken, one.draw)
            frame, result = of_draw(items, ready.examples.learned.names, predicted, settings.metric, place, said)
            tell(f"{name}: {settings.metric} test {shown(result.value)}, {kept['seconds']:.1f} s")
            frames.append(frame)
            results.append(replace(result, learning_rate=rate))
    described = decisive | ready.examples.learned.settings() | {"truncated": ready.examples.truncated}
    described |= {"trainable_parameters": ready.trained, "chosen_by": "fixed"}
    return Outcome(results, pd.concat(frames, ignore_index=True), described, ready.parameters)


def _train(
    ready: Ready, settings: Settings, compute: Compute, one: Draw, fold: Fold, started: State, steps: int, bar: Any
) -> dict[str, Any]:
    """Train the classifier on the rows of one draw, from where all draws start; what it predicts of the test rows.

    A draw whose loss or predictions are not finite `diverged`: it ends with its last finite step, or where it began.
    """
    began, (rate,) = time.monotonic(), settings.learning_rates
    network = Alone(ready.classifier)
    network.restore(0, started)
    adam = optimizer(network, [rate], settings.weight_decay, [[]])
    generator = np.random.default_rng([settings.seed, one.taken, one.draw])  # whatever else the job draws
    torch.manual_seed(int(generator.integers(2**63)))
    rows = _batches(fold.train, settings.batch_size, generator)
    ready.classifier.train()
    diverged = False
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps)) * group["scale"]
        (loss,) = network.gradient(ready.examples, {fold.number: next(rows)}, [fold.number], compute)
        if not math.isfinite(loss):
            diverged = True
            bar.update(steps - step)
            break
        adam.step()
        bar.update()
    given = ready.examples, {0: ready.test}, [0], compute
    (predicted,) = network.probabilities(*given, fitted=[fold.number])
    if not np.isfinite(predicted).all():
        diverged = True
        network.restore(0, started)
        (predicted,) = network.probabilities(*given, fitted=[fold.number])
    return {"predicted": predicted, "diverged": diverged, "seconds": round(time.monotonic() - began, 3)}


def _batches(rows: np.ndarray, size: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of at most `size` rows without end, each pass over the rows in an order of its own."""
    while True:
        order = generator.permutation(rows)
        for start in range(0, len(order), size):
            yield order[start : start + size]
