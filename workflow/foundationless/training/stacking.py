"""Several runs of one fine-tuning job at once: their weights stacked, one pass for all of them.

Off by default (`--pack 1`): on a CPU it gains nothing, and on a GPU nobody has measured it yet.

A small network leaves most of a GPU idle: its time goes into starting kernels, one after another. `Stack` holds the
trained weights of R runs as tensors [R, ...] and computes all runs with `torch.func.vmap`, R times the work for each
kernel; the optimizer steps over views of these tensors, one parameter group for each run, and so is torch's AdamW with
every run's own learning rate. `Alone` is the same for one run in the network itself. Both give the same numbers within
float noise, and `loop` knows no difference.

What is stacked must agree in what it reads. Learning rates of one fold see the same batches and the same dropout. Runs
of several folds are stacked where the epochs have as many steps, nothing is drawn (each fold has its own draws), and
one fold's padding does not show in another's results. Their batches are padded to one shape; rows that are too many
have the weight 0. NaN stays in its own run.
"""

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from foundationless.training.classifier import Classifier, Examples
from foundationless.training.compute import BETAS, AdamW, Compute, generator_states
from foundationless.training.learned import Answers
from foundationless.training.sweep import Fold

State = dict[str, Tensor]
Rows = Mapping[int, np.ndarray]  # by the number of a fold
KEPT_COPIES = 5  # of what is trained: weight, gradient, two moments, the best epoch's weights
MEMORY_SHARE = 0.8  # of a GPU's free memory; the rest is for what the allocator cannot use, and for other kernels
_NO_ANSWERS = Answers(*[torch.empty(0)] * 3)
_NOISE = {"fp32": 1e-3, "bf16": 5e-2}  # of a gradient, by its largest number


class CrowdedError(Exception):
    """The device's memory is too small for the stack even with one sequence of each run per pass; split it."""


class _Pass(NamedTuple):
    """One pass: inputs of the classifier, answers and places; with a first axis of runs if `several`."""

    inputs: tuple[Tensor, Tensor | None, Tensor]
    answers: Answers  # empty where the pass predicts
    places: list[np.ndarray]  # of each run: positions in its rows; those of weight 0 come after them
    several: bool


class Alone:
    """One run, in the classifier itself; in the words of `Stack`, for which the methods are the same.

    `parameters`: of each run, what the optimizer trains, in the order of `trained`, which has their names.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.trained: State = {name: value for name, value in classifier.named_parameters() if value.requires_grad}
        self.parameters: list[list[Tensor]] = [[*self.trained.values()]]

    @property
    def scales(self) -> list[float]:
        """Learning rates of the `parameters` of a run, by the run's own."""
        return [self.classifier.layers.scale(name) for name in self.trained]

    @contextmanager
    def awake(self, epoch: int) -> Iterator[None]:
        """Within, what is not trained yet in the epoch after so many needs no gradient."""
        sleeping = [value for name, value in self.trained.items() if self.classifier.layers.asleep(name, epoch)]
        for value in sleeping:
            value.requires_grad_(False)
        try:
            yield
        finally:
            for value in sleeping:
                value.requires_grad_(True)

    def gradient(self, examples: Examples, rows: Rows, folds: Sequence[int], compute: Compute) -> list[float]:
        """Losses of the runs; leaves in `parameters` the gradients of the mean loss over each run's rows.

        `folds` says for each run which of the `rows` are its own. The batch goes in passes that fit the token budget,
        which is halved when memory runs out. Raises `CrowdedError` where several runs are too many for one sequence
        each, `UserError` where one is.
        """
        while True:
            self.clear()
            losses = torch.zeros(len(folds), dtype=torch.float64)
            try:
                for part in self._passes(examples, rows, folds, compute.token_budget):
                    with compute.autocast():
                        logits = self._logits(part)
                    each = (examples.learned.losses(logits, part.answers) * part.answers.weights).flatten(1).sum(1)
                    torch.autograd.backward(each.sum())
                    losses += each.detach().cpu()
                self._share_gradients()
                return losses.tolist()
            except torch.OutOfMemoryError:
                self.clear()
            # outside `except`, which holds on to what the pass had computed
            self._shrink(examples, rows, folds, compute)

    def probabilities(
        self,
        examples: Examples,
        rows: Rows,
        folds: Sequence[int],
        compute: Compute,
        pause: Callable[[], None] = lambda: None,
        fitted: Sequence[int] = (),
    ) -> list[np.ndarray]:
        """Class probabilities, or outputs, float32 [rows, width] of each run; `pause` may raise between two passes.

        But for the reading `as_in_paper` they do not depend on batch mates. `folds` and errors as of `gradient`;
        `fitted`: the folds whose training rows scaled the runs, where `folds` says rows that all of them predict.
        """
        self.classifier.eval()
        learned = examples.learned
        while True:
            logits = [torch.zeros(len(rows[fold]), learned.width) for fold in folds]
            try:
                with torch.inference_mode(), compute.autocast():
                    for part in self._passes(examples, rows, folds, compute.token_budget, predicting=True):
                        computed = self._logits(part).to("cpu", torch.float32)
                        for own, values, places in zip(logits, computed, part.places, strict=True):
                            own[places] = values[: len(places)]
                        pause()
                return [learned.predictions(own, fold) for own, fold in zip(logits, fitted or folds, strict=True)]
            except torch.OutOfMemoryError:
                pass
            self._shrink(examples, rows, folds, compute)

    def _shrink(self, examples: Examples, rows: Rows, folds: Sequence[int], compute: Compute) -> None:
        longest = max(int(examples.lengths[rows[fold]].max()) for fold in folds)
        if compute.token_budget <= longest and len(folds) > 1:
            raise CrowdedError
        compute.halve(longest)

    def _passes(
        self, examples: Examples, rows: Rows, folds: Sequence[int], budget: int, predicting: bool = False
    ) -> Iterator[_Pass]:
        """Passes over as many rows of every run; runs of one fold share theirs."""
        numbers = list(dict.fromkeys(folds))
        which = [numbers.index(fold) for fold in folds]
        several = [rows[number] for number in numbers]
        head, learned = self.classifier.head.weight, examples.learned
        # by length, so that what the folds have in one pass is about as long
        lengths = [examples.lengths[some] for some in several]
        orders = [np.arange(len(own)) if len(several) == 1 else np.argsort(-own, kind="stable") for own in lengths]
        most = max(map(len, orders))
        filled = [np.pad(order, (0, most - len(order)), mode="edge") for order in orders]
        longest = np.max([own[order] for own, order in zip(lengths, filled, strict=True)], axis=0)
        counts = np.array([len(some) for some in several])[:, None]
        known = counts if predicting else np.array([[learned.known(examples.targets[some])] for some in several])
        for part, length in self.classifier.passes(longest, budget):
            taken = np.stack([some[order[part]] for some, order in zip(several, filled, strict=True)])
            answers = _NO_ANSWERS
            if not predicting:
                answers = learned.answers(examples.targets[taken], (part < counts) / known, numbers, head.dtype)
                answers = (answers.of_runs(which) if len(several) > 1 else answers).to(head.device)
            ids, mask, counted = self.classifier.inputs([examples.tokens[row] for row in taken.flat], length)
            if len(several) > 1:
                ids, counted = (one.view(*taken.shape, -1)[which] for one in (ids, counted))
                mask = None if mask is None else mask.view(*taken.shape, -1)[which]
            yield _Pass(
                (ids, mask, counted),
                answers,
                [orders[fold][part[part < len(orders[fold])]] for fold in which],
                len(several) > 1,
            )

    def _logits(self, part: _Pass) -> Tensor:
        """[runs, rows, classes]."""
        logits: Tensor = self.classifier(*part.inputs)
        return logits[None]

    def clear(self) -> None:
        """Forget the gradients."""
        self.classifier.zero_grad()

    def _share_gradients(self) -> None:
        """Give every run's parameters their gradients."""

    def copy(self, run: int) -> State:
        """A copy of what a run has changed: trained weights, and buffers."""
        return changeable(self.classifier)

    def restore(self, run: int, state: State) -> None:
        """Set a run to what `copy` gave."""
        self.classifier.load_state_dict(state, strict=False)

    def select(self, runs: Sequence[int]) -> "Alone":
        """These runs alone, in a network of their own (of one run: this network)."""
        return self


class Stack(Alone):
    """`count` runs, all beginning as the classifier is, which stays as it is."""

    def __init__(self, classifier: Classifier, count: int) -> None:
        self.classifier = classifier
        weights = {name: value for name, value in classifier.named_parameters() if value.requires_grad}
        self._set({name: value.detach().expand(count, *value.shape).clone() for name, value in weights.items()})
        first = {id(value): name for name, value in weights.items()}
        # A weight that two modules share has a name in each; a module that stands at two places has one of its names,
        # for `functional_call` would otherwise leave the stack's weights behind in it.
        self._names = {
            f"{place}.{own}": first[id(value)]
            for place, module in classifier.named_modules()
            for own, value in module._parameters.items()
            if id(value) in first
        }

    def _set(self, stacked: State) -> None:
        self.trained = self._stacked = {name: value.requires_grad_() for name, value in stacked.items()}
        views = [value.detach().unbind() for value in stacked.values()]
        self.parameters = [list(run) for run in zip(*views, strict=True)]

    def _logits(self, part: _Pass) -> Tensor:
        ids, mask, counts = part.inputs
        axis = 0 if part.several else None

        def run(weights: State, ids: Tensor, mask: Tensor | None, counts: Tensor) -> Tensor:
            named = {name: weights[first] for name, first in self._names.items()}
            logits: Tensor = functional_call(self.classifier, named, (ids, mask, counts), tie_weights=False)
            return logits

        axes = (0, axis, None if mask is None else axis, axis)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            logits: Tensor = vmap(run, in_dims=axes, randomness="same")(self._stacked, ids, mask, counts)
        return logits

    def clear(self) -> None:
        for value in self._stacked.values():
            value.grad = None

    def _share_gradients(self) -> None:
        """A weight that no run used has no gradient, and AdamW then leaves it as it is."""
        for value, views in zip(self._stacked.values(), zip(*self.parameters, strict=True), strict=True):
            gradients = [None] * len(views) if value.grad is None else value.grad.unbind()
            for view, gradient in zip(views, gradients, strict=True):
                view.grad = gradient

    def copy(self, run: int) -> State:
        return {name: value.detach()[run].clone() for name, value in self._stacked.items()}

    def restore(self, run: int, state: State) -> None:
        with torch.no_grad():
            for name, value in self._stacked.items():
                value[run].copy_(state[name])

    def select(self, runs: Sequence[int]) -> Alone:
        chosen = object.__new__(Stack)
        chosen.classifier, chosen._names = self.classifier, self._names
        chosen._set({name: value.detach()[list(runs)] for name, value in self._stacked.items()})
        return chosen


def changeable(module: nn.Module) -> State:
    """A copy of the state that training changes: without what is frozen, and with one name for each weight."""
    names = {name for name, value in module.named_parameters() if value.requires_grad}
    names |= {name for name, _ in module.named_buffers()}
    return {name: value.detach().clone() for name, value in module.state_dict().items() if name in names}


def optimizer(
    network: Alone, rates: Sequence[float], weight_decay: float, moments: Sequence[Sequence[Mapping[str, Tensor]]]
) -> AdamW:
    """AdamW with a group for each run and each scale of its rate; `moments` as `copy_moments` gave them, or empty.

    A group says its `run` (a number) and its `scale`.
    """
    groups = [
        {
            "params": [value for value, other in zip(own, network.scales, strict=True) if other == scale],
            "lr": rate * scale,
            "run": run,
            "scale": scale,
        }
        for run, (own, rate) in enumerate(zip(network.parameters, rates, strict=True))
        for scale in dict.fromkeys(network.scales)
    ]
    made = AdamW(groups, lr=0.0, betas=BETAS, weight_decay=weight_decay, fused=True)
    for own, kept in zip(network.parameters, moments, strict=True):
        for parameter, values in zip(own, kept or [{} for _ in own], strict=True):
            if values:
                made.state[parameter] = {name: value.to(parameter.device).clone() for name, value in values.items()}
    return made


def copy_moments(made: AdamW, parameters: Sequence[Tensor]) -> list[dict[str, Tensor]]:
    """What AdamW remembers of a run, in the order of its parameters; its own tensors, not copies."""
    return [dict(made.state.get(parameter, {})) for parameter in parameters]


def refusal(classifier: Classifier, examples: Examples, rows: np.ndarray, compute: Compute, together: bool) -> str:
    """Why runs of this classifier are not to be stacked (of several folds, if `together`); empty if they are.

    Some rows are computed alone and in a stack of two, with the same draws: what a stack cannot take, or computes
    differently, is refused. The classifier must be in training mode, and is left as it was.
    """
    before = changeable(classifier)
    alone = Alone(classifier)
    torch.manual_seed(0)
    alone.gradient(examples, {0: rows}, [0], compute)
    expected = {name: value.grad for name, value in classifier.named_parameters() if value.requires_grad}
    alone.clear()
    after = changeable(classifier)
    if any(not torch.equal(value, after[name]) for name, value in before.items()):
        alone.restore(0, before)
        return "it changes its buffers"
    stack = Stack(classifier, 2)
    torch.manual_seed(0)
    try:
        stack.gradient(examples, {0: rows, 1: rows}, [0, int(together)], compute)
    except CrowdedError:
        return "out of memory with two runs"
    except RuntimeError as error:  # the same rows went well alone; not all that vmap cannot take is said in its name
        return re.split(r"[.;\n]\s", str(error))[0]
    stacked = {name: value.grad for name, value in stack._stacked.items()}
    if {name for name, value in expected.items() if value is None} != {n for n, v in stacked.items() if v is None}:
        return "its stack trains other weights"
    both = [(value, stacked[name]) for name, value in expected.items()]
    pairs = [(value, other) for value, other in both if value is not None and other is not None]
    # torch's maxima, for Python's lose NaN, which is no agreement
    largest = torch.stack([value.abs().max() for value, _ in pairs]).max()
    furthest = torch.stack([(value - other).abs().max() for value, other in pairs]).max()
    return "" if furthest <= _NOISE[compute.precision] * largest else "its stack computes other gradients"


def draws(classifier: Classifier, examples: Examples, rows: np.ndarray, compute: Compute) -> bool:
    """Whether training draws random numbers (dropout)."""
    before = generator_states(compute.device)
    alone = Alone(classifier)
    alone.gradient(examples, {0: rows}, [0], compute)
    alone.clear()
    return not all(map(torch.equal, before, generator_states(compute.device)))


def capacity(classifier: Classifier, examples: Examples, rows: np.ndarray, batch_size: int, compute: Compute) -> int:
    """How many runs to stack: on a GPU what its free memory holds, on a CPU one, for a core is busy with one.

    Of a GPU's memory each run takes `KEPT_COPIES` of what it trains and the peak of a pass, which is measured on the
    longest of `rows`.
    """
    if not compute.device.startswith("cuda"):
        return 1
    trained = [value for value in classifier.parameters() if value.requires_grad]
    longest = rows[np.argsort(-examples.lengths[rows], kind="stable")][:batch_size]
    torch.cuda.reset_peak_memory_stats(compute.device)
    held = torch.cuda.memory_allocated(compute.device)
    alone = Alone(classifier)
    alone.gradient(examples, {0: longest}, [0], compute)
    alone.clear()
    peak = torch.cuda.max_memory_allocated(compute.device) - held
    cached = torch.cuda.memory_reserved(compute.device) - torch.cuda.memory_allocated(compute.device)
    free = torch.cuda.mem_get_info(compute.device)[0] + cached
    each = peak + KEPT_COPIES * sum(value.numel() * value.element_size() for value in trained)
    return max(1, int(MEMORY_SHARE * free) // each)


def stackable_folds(classifier: Classifier, examples: Examples, rows: np.ndarray, compute: Compute) -> bool:
    """Whether runs of several folds may be stacked: nothing is drawn, and nobody's padding is seen."""
    one_length = len(set(examples.lengths.tolist())) == 1
    inert = not classifier.paper and classifier.backbone.padding != "equal"
    return (inert or one_length) and not draws(classifier, examples, rows, compute)


def packs(folds: Sequence[Fold], size: int, batch_size: int, together: bool) -> list[list[int]]:
    """Runs, given by their folds, in packs of at most `size` that may be stacked; `together`: also of several folds."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, fold in enumerate(folds):
        steps = math.ceil(len(fold.train) / batch_size)
        groups.setdefault((steps, 0 if together else fold.number), []).append(place)
    return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]
