"""A network from its embedding to its head: what lies how deep, and what depth decides in training.

Depth 0 is all that comes before the blocks, 1 … N the blocks (`GenomicModel.block_names`), N + 1 what follows on them
(a last norm) with the head. Three settings read it:

- `last_N` trains the last N blocks, what follows on them, and the head; all below is frozen.
- layer-wise rates (Clark et al. 2020, arXiv:2003.10555; Bao et al. 2022, arXiv:2106.08254): what lies at depth d learns
  at rate × decay^(N + 1 - d), the head at the full rate.
- gradual unfreezing (Howard and Ruder 2018, arXiv:1801.06146): training begins with depth N + 1, and after every so
  many epochs one depth more below joins it. What sleeps has no gradient, and no moments of the optimizer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel

_BACKBONE = "backbone."  # of a classifier, whose names of weights begin so where they are the model's


@dataclass(frozen=True)
class Layers:
    """Names of a model's `blocks` in order, and of the modules that follow on them (`tail`).

    `decay`: of the rates from one depth to the one below (1: none). `every`: epochs after which one depth more is
    trained (0: all are from the start). Names of weights are those in a classifier.
    """

    blocks: Sequence[str] = ()
    tail: Sequence[str] = ()
    decay: float = 1.0
    every: int = 0

    @property
    def top(self) -> int:
        """Depth of the head."""
        return len(self.blocks) + 1

    def depth(self, name: str) -> int:
        """Depth of a weight of the classifier."""
        if not name.startswith(_BACKBONE):
            return self.top
        own = name.removeprefix(_BACKBONE)
        for depth, block in enumerate(self.blocks, 1):
            if own.startswith(f"{block}."):
                return depth
        return self.top if any(own.startswith(f"{module}.") for module in self.tail) else 0

    def scale(self, name: str) -> float:
        """Learning rate of a weight, by that of the head."""
        return 1.0 if self.decay == 1 else float(self.decay ** (self.top - self.depth(name)))

    def asleep(self, name: str, epoch: int) -> bool:
        """Whether a weight is not trained yet in the epoch after so many."""
        return bool(self.every) and self.depth(name) < self.top - epoch // self.every

    def unreached(self, epochs: int) -> int:
        """Depths that so many epochs never come to."""
        return max(0, self.top - (epochs - 1) // self.every) if self.every else 0


@contextmanager
def sample(model: GenomicModel) -> Iterator[Tensor]:
    """Last hidden state [1, tokens, width] of a few tokens, with gradients; hooks of the caller see the pass."""
    ids = torch.arange(min(8, model.max_tokens, model.vocabulary_size), device=next(model.parameters()).device)[None]
    with torch.enable_grad():
        yield model.encode(ids, torch.ones_like(ids) if model.padding == "mask" else None)


def read_layers(model: GenomicModel) -> Layers:
    """The depths of a model that is not adapted yet.

    What follows on the blocks is seen in a pass: what is called after the last of them, and what the state depends on.
    """
    blocks = model.block_names()
    passed: list[bool] = []
    calls: list[tuple[str, Tensor]] = []
    outside = {
        name: module
        for name, module in model.named_modules()
        if module._parameters and not any(f"{name}.".startswith(f"{block}.") for block in blocks)
    }

    def keep(name: str) -> None:
        def hook(module: nn.Module, given: object, output: object) -> None:
            if passed and isinstance(output, Tensor) and output.requires_grad:
                calls.append((name, output))

        hooks.append(outside[name].register_forward_hook(hook))

    hooks = [model.get_submodule(blocks[-1]).register_forward_hook(lambda *_: passed.append(True))]
    for name in outside:
        keep(name)
    try:
        with sample(model) as hidden:
            outputs = [output for _, output in calls]
            gradients = torch.autograd.grad(hidden.sum(), outputs, allow_unused=True) if outputs else ()
    finally:
        for hook in hooks:
            hook.remove()
    tail = [name for (name, _), gradient in zip(calls, gradients, strict=True) if gradient is not None]
    return Layers(tuple(blocks), tuple(dict.fromkeys(tail)))


def freeze_below(model: GenomicModel, layers: Layers, trained: int) -> None:
    """Freeze all of a model but its last `trained` blocks and what follows on them; 0: all of it."""
    if trained > len(layers.blocks):
        raise UserError(
            f"--trainable last_{trained}: family '{model.family}' has {len(layers.blocks)} blocks here; choose no more."
        )
    lowest = layers.top - trained if trained else layers.top + 1
    for name, value in model.named_parameters():
        value.requires_grad_(layers.depth(f"{_BACKBONE}{name}") >= lowest)
