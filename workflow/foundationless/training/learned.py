"""What is learned of a set: classes, values or tracks (`vocabulary.LABELS`), from its labels to loss and predictions.

========= ======================================= ================================= ================================
labels    what the head says                      loss of a batch                   prediction
========= ======================================= ================================= ================================
`classes` a logit of each class                   cross-entropy                     probabilities (softmax)
`values`  each output, standardised by mean and   mean squared error over what is   the outputs in the units of the
          SD of the fold's training rows          known                             labels
`tracks`  the log odds of each output beyond      binary cross-entropy over what is probabilities of ones (sigmoid)
          those of the fold's training rows       known
========= ======================================= ================================= ================================

What is not known (NaN) weighs 0 in a loss, and a number stands in its place before anything is computed of it. What
training rows say (`fits`: mean and SD, log odds, weights of classes) belongs to a fold, by its number: a stack may hold
runs of several.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from foundationless.data.outputs import lost_in_rounding, parse_outputs
from foundationless.errors import UserError
from foundationless.evaluation.metrics import confusion, from_confusion
from foundationless.evaluation.metrics import evaluate as evaluate_classes
from foundationless.evaluation.outputs.metrics import evaluate_outputs
from foundationless.study.vocabulary import CLASSES, COUNT_METRICS, LABELS, METRICS, TRACKS, VALUES, labels_of
from foundationless.tasks.sequence_sets import labels_in
from foundationless.training.sweep import Fold

_ABSENT = 0.0  # stands where a target is not known, and weighs nothing
_RAREST = 1e-6  # least share of ones, and of zeros, that log odds are made of
_EXTREME = 1e30  # beyond it, and below its inverse, single precision is not far from its end


class Answers(NamedTuple):
    """What the rows of a pass should be: [runs or 1, rows], of outputs [runs or 1, rows, outputs].

    `weights` in the loss (0: not known, or a row too many) add up to 1 over the passes of a batch, but for weights of
    classes. `offsets`, [runs or 1, 1, outputs] where there are any, are added to the logits.
    """

    targets: Tensor
    weights: Tensor
    offsets: Tensor

    def of_runs(self, which: Sequence[int]) -> "Answers":
        """Those of runs, given by their places in the first axis."""
        chosen = list(which)
        return Answers(*(part[chosen] for part in self))

    def to(self, device: torch.device) -> "Answers":
        """On a device."""
        return Answers(*(part.to(device) for part in self))


@dataclass(frozen=True)
class Learned(ABC):
    """What is learned: the `names` of the classes or outputs, each of which the head has a logit of.

    `fits`: by the number of a fold, what `fit` found in its training rows.
    """

    names: list[str]
    fits: Mapping[int, Any] = field(default_factory=dict)
    kind: ClassVar[str]

    @property
    def width(self) -> int:
        """How many logits the head has."""
        return len(self.names)

    @abstractmethod
    def fit(self, targets: np.ndarray, folds: Sequence[Fold], where: str) -> Self:
        """With what the training rows of each fold say; `UserError` where a fold has too little to learn from."""

    def as_if(self, number: int) -> Self:
        """With what one fold's training rows say for every number: for trying out what no result is made of."""
        return replace(self, fits=defaultdict(lambda: self.fits[number])) if self.fits else self

    @abstractmethod
    def known(self, targets: np.ndarray) -> int:
        """How many numbers the mean loss of these rows is a mean of."""

    @abstractmethod
    def answers(self, targets: np.ndarray, shares: np.ndarray, numbers: Sequence[int], dtype: torch.dtype) -> Answers:
        """Answers of rows of several folds, `numbers`: targets [folds, rows, …], and weights [folds, rows] of each."""

    @abstractmethod
    def losses(self, logits: Tensor, answers: Answers) -> Tensor:
        """Losses, in the shape of the weights, of logits [runs, rows, width]."""

    @abstractmethod
    def predictions(self, logits: Tensor, number: int) -> np.ndarray:
        """Predictions float32 [rows, width] from the logits of a run of that fold."""

    @abstractmethod
    def evaluate(self, observed: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Every metric of the kind, of predictions that are finite."""

    def score(self, observed: np.ndarray, predicted: np.ndarray, metric: str) -> float:
        """One metric of `evaluate`."""
        return self.evaluate(observed, predicted)[metric]

    @abstractmethod
    def mean_loss(self, targets: np.ndarray, predicted: np.ndarray, number: int) -> float:
        """What training makes less, of rows that a run of that fold predicted; infinite where it is not finite."""

    @abstractmethod
    def columns(self, predicted: np.ndarray) -> dict[str, Any]:
        """What a table of predictions says of them."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a record says of it."""


@dataclass(frozen=True)
class Classes(Learned):
    """One of several classes, sorted. `class_weights`: `balanced`, or empty for none.

    Balanced, a row weighs n / (k × n_c) in the loss: n training rows of k classes, n_c of its own. The mean weight of
    the training rows is 1, and the weights of a batch are not made to add up to 1.
    """

    class_weights: str = ""
    kind = CLASSES

    def fit(self, targets: np.ndarray, folds: Sequence[Fold], where: str) -> Self:
        """Of each fold the weights of the classes; each must have a training row."""
        fits = {}
        for fold in folds:
            counts = np.bincount(targets[fold.train], minlength=self.width)
            if not counts.all():
                raise UserError(
                    f"{where}: class '{self.names[int(counts.argmin())]}' has no training row in the {fold.name} "
                    "split; merge it, drop it, or cut other folds."
                )
            fits[fold.number] = counts.sum() / (self.width * counts)
        return replace(self, fits=fits)

    def known(self, targets: np.ndarray) -> int:
        """Every row is known."""
        return len(targets)

    def answers(self, targets: np.ndarray, shares: np.ndarray, numbers: Sequence[int], dtype: torch.dtype) -> Answers:
        """Class indices [folds, rows]."""
        if self.class_weights:
            weights = [self.fits[number][own] for number, own in zip(numbers, targets, strict=True)]
            shares = shares * np.stack(weights)
        return Answers(torch.from_numpy(targets), torch.from_numpy(shares).to(dtype), torch.zeros(len(numbers)))

    def losses(self, logits: Tensor, answers: Answers) -> Tensor:
        """Cross-entropy [runs, rows]."""
        targets = answers.targets.expand(logits.shape[:2]).flatten()
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="none").view(logits.shape[:2])

    def predictions(self, logits: Tensor, number: int) -> np.ndarray:
        """Class probabilities."""
        probabilities: np.ndarray = torch.softmax(logits, dim=1).numpy()
        return probabilities

    def evaluate(self, observed: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Every metric of classification; `observed` holds the names of classes."""
        return evaluate_classes(observed, predicted, self.names)

    def score(self, observed: np.ndarray, predicted: np.ndarray, metric: str) -> float:
        """Metrics of counts skip the costly others."""
        if metric not in COUNT_METRICS:
            return self.evaluate(observed, predicted)[metric]
        cells = confusion(observed, np.asarray(self.names)[predicted.argmax(axis=1)], self.names)
        counts = np.bincount(cells, minlength=self.width**2).reshape(self.width, -1)
        return float(from_confusion(counts, metric))

    def mean_loss(self, targets: np.ndarray, predicted: np.ndarray, number: int) -> float:
        """Mean of -log of the probability of each row's class (nats), weighted as in training; infinite where 0."""
        own = predicted[np.arange(len(targets)), targets].astype(np.float64)
        if not (np.isfinite(own).all() and (own > 0).all()):
            return math.inf
        losses = -np.log(own)
        return float((losses * self.fits[number][targets] if self.class_weights else losses).mean())

    def columns(self, predicted: np.ndarray) -> dict[str, Any]:
        """The most probable class, and the probabilities of all."""
        names = np.array(self.names, dtype=object)
        return {"predicted": names[predicted.argmax(axis=1)], "probabilities": list(predicted)}

    def settings(self) -> dict[str, Any]:
        """The classes."""
        return {"classes": self.names}


class _Outputs(Learned):
    """Outputs of which some may be missing; targets are floats [rows, outputs], NaN where one is."""

    def _checked(self, targets: np.ndarray, fold: Fold, where: str) -> tuple[np.ndarray, np.ndarray]:
        """Targets of the training rows, and which of them are known; each output has two that differ, and some output
        has two among the validation rows: without, every epoch would score nothing, and the untrained network stay."""
        own = targets[fold.train].astype(np.float64)
        known = np.isfinite(own)
        lowest = np.where(known, own, np.inf).min(axis=0)
        highest = np.where(known, own, -np.inf).max(axis=0)
        what = "a 0 and a 1" if self.kind == TRACKS else "two values that differ"
        if len(same := np.flatnonzero(~(lowest < highest))):
            raise UserError(
                f"{where}: output '{self.names[same[0]]}' needs {what} among the training rows of the {fold.name} "
                "split; leave it out, or cut other folds."
            )
        held = targets[fold.validation]
        if not (np.fmax.reduce(held, axis=0) > np.fmin.reduce(held, axis=0)).any():
            raise UserError(
                f"{where}: no output has {what} among the validation rows of the {fold.name} split, so no epoch could "
                "be chosen there; give more of them, or cut other folds."
            )
        return own, known

    def known(self, targets: np.ndarray) -> int:
        """Every output that is known counts as much."""
        return int(np.isfinite(targets).sum())

    def answers(self, targets: np.ndarray, shares: np.ndarray, numbers: Sequence[int], dtype: torch.dtype) -> Answers:
        """What the head should say, and what is added to it."""
        known = np.isfinite(targets)
        fits = [self.fits[number] for number in numbers]
        filled = np.where(known, self._scaled(targets, fits), _ABSENT)
        parts = (filled, shares[..., None] * known, self._offsets(fits))
        return Answers(*(torch.from_numpy(part).to(dtype) for part in parts))

    def _scaled(self, targets: np.ndarray, fits: Sequence[Any]) -> np.ndarray:
        return targets

    def _offsets(self, fits: Sequence[Any]) -> np.ndarray:
        return np.zeros(len(fits))

    def evaluate(self, observed: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Every metric of the kind; `observed` are the targets."""
        return evaluate_outputs(self.kind, observed, predicted)

    def columns(self, predicted: np.ndarray) -> dict[str, Any]:
        """What is predicted of each output."""
        return {"values": list(predicted)}

    def settings(self) -> dict[str, Any]:
        """Kind and names."""
        return {"labels": self.kind, "outputs": self.names}


@dataclass(frozen=True)
class Values(_Outputs):
    """Regression. A fit is mean and SD of every output [2, outputs], over the training rows in which it is known."""

    kind = VALUES

    def fit(self, targets: np.ndarray, folds: Sequence[Fold], where: str) -> Self:
        """Of each fold mean and SD; `UserError` for numbers that single precision does not hold."""
        fits = {}
        for fold in folds:
            own, known = self._checked(targets, fold, where)
            with np.errstate(over="ignore", invalid="ignore"):
                mean = np.where(known, own, 0).sum(axis=0) / known.sum(axis=0)
                spread = np.sqrt((np.where(known, own - mean, 0) ** 2).sum(axis=0) / known.sum(axis=0))
            held = (np.abs(mean) < _EXTREME) & (spread < _EXTREME) & (spread > 1 / _EXTREME)
            held &= ~lost_in_rounding(mean, spread)
            if not held.all():
                raise UserError(
                    f"{where}: values of output '{self.names[int(held.argmin())]}' are too large, too small or too "
                    "close to each other to be learned; give them in other units."
                )
            fits[fold.number] = np.stack([mean, spread])
        return replace(self, fits=fits)

    def _scaled(self, targets: np.ndarray, fits: Sequence[np.ndarray]) -> np.ndarray:
        mean, spread = np.stack(fits, axis=1)[:, :, None]
        scaled: np.ndarray = (targets - mean) / spread
        return scaled

    def losses(self, logits: Tensor, answers: Answers) -> Tensor:
        """Squared errors [runs, rows, outputs] in units of the SD."""
        return (logits - answers.targets) ** 2

    def predictions(self, logits: Tensor, number: int) -> np.ndarray:
        """In the units of the labels."""
        mean, spread = self.fits[number]
        with np.errstate(over="ignore", invalid="ignore"):
            values: np.ndarray = (logits.double().numpy() * spread + mean).astype(np.float32)
        return values

    def mean_loss(self, targets: np.ndarray, predicted: np.ndarray, number: int) -> float:
        """Mean squared error over what is known, in units of the SD of the training rows."""
        known, spread = np.isfinite(targets), self.fits[number][1]
        with np.errstate(over="ignore", invalid="ignore"):
            loss = float(((((predicted - targets) / spread) ** 2)[known]).mean())
        return loss if math.isfinite(loss) else math.inf


@dataclass(frozen=True)
class Tracks(_Outputs):
    """Multi-label. A fit is the log odds of a one of every output [outputs], in the training rows that know it."""

    kind = TRACKS

    def fit(self, targets: np.ndarray, folds: Sequence[Fold], where: str) -> Self:
        """Of each fold log odds."""
        fits = {}
        for fold in folds:
            own, known = self._checked(targets, fold, where)
            share = np.where(known, own, 0).sum(axis=0) / known.sum(axis=0)
            share = share.clip(_RAREST, 1 - _RAREST)
            fits[fold.number] = np.log(share / (1 - share))
        return replace(self, fits=fits)

    def _offsets(self, fits: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(fits)[:, None]

    def losses(self, logits: Tensor, answers: Answers) -> Tensor:
        """Binary cross-entropy [runs, rows, outputs]."""
        odds = logits + answers.offsets
        targets = answers.targets.expand(odds.shape)
        return nn.functional.binary_cross_entropy_with_logits(odds, targets, reduction="none")

    def predictions(self, logits: Tensor, number: int) -> np.ndarray:
        """Probabilities of a one."""
        odds = logits + torch.from_numpy(self.fits[number]).to(logits.dtype)
        probabilities: np.ndarray = torch.sigmoid(odds).numpy()
        return probabilities

    def mean_loss(self, targets: np.ndarray, predicted: np.ndarray, number: int) -> float:
        """Mean of -log of the probability of what is known (nats); one that single precision has at 0 is not quite."""
        known, least = np.isfinite(targets), np.finfo(np.float32).eps
        own = np.where(targets[known] > 0, predicted[known], 1 - predicted[known].astype(np.float64))
        return float(-np.log(own.clip(least, 1)).mean()) if np.isfinite(own).all() else math.inf


_OUTPUTS: dict[str, type[_Outputs]] = {VALUES: Values, TRACKS: Tracks}


def check_metric(metric: str, learned: Learned, where: str) -> None:
    """`UserError` where a metric scores another kind of labels."""
    if labels_of(metric) != learned.kind:
        fitting = [name for name in LABELS[learned.kind] if METRICS[name].higher_is_better]
        raise UserError(
            f"{where}: --metric {metric} does not score {learned.kind}, its labels; use {', '.join(fitting)}."
        )


def read_labels(frame: pd.DataFrame, where: str, class_weights: str = "") -> tuple[Learned, np.ndarray]:
    """What is learned of a labelled set, and its targets: class indices [rows], or outputs [rows, outputs].

    `UserError` where a label is missing, or all are one class.
    """
    kind, names = labels_in(frame)
    if frame["label"].isna().any():
        raise UserError(f"{where}: sequence '{frame.loc[frame['label'].isna(), 'id'].iloc[0]}' has no label.")
    labels = frame["label"].astype(str).to_numpy()
    if kind == CLASSES:
        classes = sorted(set(labels))
        if len(classes) < 2:
            raise UserError(f"{where}: every label is '{classes[0]}'; a classification task needs two classes or more.")
        return Classes(classes, class_weights=class_weights), np.searchsorted(classes, labels)
    targets = parse_outputs(labels, names, f"{where}: ")
    known = np.isfinite(targets)
    if not known.any(axis=1).all():
        raise UserError(f"{where}: sequence '{frame['id'].iloc[int(known.any(axis=1).argmin())]}' has no label.")
    if kind == TRACKS and len(strange := targets[known & ~np.isin(targets, (0, 1))]):
        raise UserError(f"{where}: a label of tracks holds {strange[0]:g}; each is 0, 1, or empty.")
    return _OUTPUTS[kind](names), targets.astype(np.float32) if kind == TRACKS else targets


def evaluate(observed: np.ndarray, predicted: np.ndarray, learned: Learned) -> dict[str, float]:
    """Every metric of one set of predictions; `UserError` if one is not finite."""
    if not np.isfinite(predicted).all():
        raise UserError("predictions hold a number that is not finite; the model that made them diverged.")
    return learned.evaluate(observed, predicted)


def validation_score(observed: np.ndarray, predicted: np.ndarray, learned: Learned, metric: str) -> float:
    """One metric of `evaluate`, NaN if a prediction is not finite."""
    return learned.score(observed, predicted, metric) if np.isfinite(predicted).all() else math.nan
