"""scGPT's form for perturbations, made of a weight directory: its gradient on pairs, and what it predicts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foundationless.errors import UserError
from foundationless.models.architectures.single_cell.scgpt import GENERATOR, ScGPT
from foundationless.models.weights import Weights, initialise
from foundationless.perturbation.finetuning.pairs import Places, Reading
from foundationless.training.compute import Compute

HEADS = ("cls_decoder", "mvc_decoder")  # parts that say nothing of perturbations


@dataclass(frozen=True)
class Made:
    """A generator, with the parts that the weight directory gave, and those that were drawn."""

    model: ScGPT
    taken: tuple[str, ...]
    drawn: tuple[str, ...]


def make_generator(weights: Weights, seed: int, dropout: float) -> Made:
    """The generator of a weight directory of scGPT, whichever form it holds and whichever arm it is.

    A part comes from the directory, whole, if it holds all tensors of that part; every other one is drawn.
    """
    given = weights.model
    if not isinstance(given, ScGPT):
        raise UserError(f"family '{given.family}' has no form that predicts perturbations; scgpt has one.")
    config = {**given.config, "model": GENERATOR, "do_mvc": False, "dropout": dropout}
    made = initialise(weights.card["family"], config, seed)
    assert isinstance(made, ScGPT)
    for head in HEADS:
        made._modules.pop(head, None)
    held = given.state_dict()
    taken, drawn = [], []
    for name, part in list(made.named_children()):
        own = {key: value.shape for key, value in part.state_dict(prefix=f"{name}.").items()}
        if all(key in held and held[key].shape == shape for key, shape in own.items()):
            part.load_state_dict({key.removeprefix(f"{name}."): held[key] for key in own})
            taken.append(name)
        else:
            drawn.append(name)
    return Made(made, tuple(taken), tuple(drawn))


@dataclass
class Generator:
    """A generator on its device, and what it reads of a screen."""

    model: ScGPT
    reading: Reading
    compute: Compute

    def gradient(self, pairs: Places, places: Places, seed: int) -> float:
        """Add the gradient of the mean squared error of pairs at places; the error.

        Passes have at most `token_budget` tokens, and theirs add up to the gradient of the whole batch. `seed`: of
        dropout.
        """
        seen = self._inputs(pairs[:, 0], pairs[:, 2], places)
        counted = torch.from_numpy(places < self.reading.genes).to(self.compute.device)
        truth = torch.from_numpy(self.reading.take(pairs[:, 1])[:, places]).to(self.compute.device)[:, counted]
        while True:
            torch.manual_seed(seed)
            step = max(1, self.compute.token_budget // len(places))
            total = torch.zeros((), device=self.compute.device)
            try:
                for start in range(0, len(pairs), step):
                    own = slice(start, start + step)
                    with self.compute.autocast():
                        predicted = self.model(seen[0][own], None, seen[1][own], seen[2][own])
                    error = (predicted[1][:, counted].float() - truth[own]).square().sum() / truth.numel()
                    torch.autograd.backward(error)
                    total += error.detach()
                return float(total)
            except torch.OutOfMemoryError:
                self.model.zero_grad()
            self.compute.halve(len(places))

    def predict(
        self, conditions: Places, rows: Places, pause: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Mean predicted profile over control rows of each condition, as change from the control: [conditions, genes].

        Every read-out gene is read at once, and with them what the condition perturbs.
        """
        was = self.model.training
        self.model.eval()
        changes = np.empty((len(conditions), self.reading.genes), dtype=np.float32)
        with torch.no_grad():
            for at, condition in enumerate(conditions.tolist()):
                changes[at] = self._profile(condition, rows) - self.reading.control
                pause()
        self.model.train(was)
        return changes

    def _profile(self, condition: int, rows: Places) -> NDArray[np.float64]:
        places = np.union1d(np.arange(self.reading.genes), self.reading.flagged[condition])
        while True:
            step = max(1, self.compute.token_budget // len(places))
            total = torch.zeros(self.reading.genes, dtype=torch.float64, device=self.compute.device)
            try:
                for start in range(0, len(rows), step):
                    own = rows[start : start + step]
                    seen = self._inputs(own, np.full(len(own), condition), places)
                    with self.compute.autocast():
                        predicted = self.model(seen[0], None, *seen[1:])
                    total += predicted[1][:, : self.reading.genes].double().sum(0)
                profile: NDArray[np.float64] = (total / len(rows)).cpu().numpy()
                return profile
            except torch.OutOfMemoryError:
                pass
            self.compute.halve(len(places))

    def _inputs(self, rows: Places, conditions: Places, places: Places) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, values and flags of control rows, each [rows, places]."""
        device = self.compute.device
        ids = torch.from_numpy(self.reading.tokens[places]).to(device).expand(len(rows), -1)
        values = torch.from_numpy(self.reading.take(rows)[:, places]).to(device)
        flags = torch.from_numpy(self.reading.flags(conditions)[:, places]).to(device)
        return ids, values, flags
