"""Less memory for the same bits: blocks that are computed again in the backward pass, and frozen weights in 16 bits.

*Recomputed blocks* (Chen et al. 2016, arXiv:1604.06174): of every block only what it reads is kept, and what its
backward pass needs is computed once more, with the same draws of dropout. Weights end in the same bits.

*Frozen weights in bfloat16*: the linear maps that are not trained are kept as autocast would round them in every pass,
so that a pass under bfloat16 autocast has the same bits. In float32 remain all trained weights, which are their own
master copies with their gradients and moments; embeddings, norms, convolutions and all that is no linear map; linear
maps that run outside autocast (the filters of Hyena, the step sizes of Mamba).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from foundationless.models.contract import GenomicModel
from foundationless.training.trainable.layers import sample
from foundationless.training.trainable.lora import is_linear


def recompute_blocks(model: GenomicModel) -> None:
    """Compute every block again in the backward pass; names and numbers stay as they are."""
    for name in model.block_names():
        block = model.get_submodule(name)
        block.forward = partial(_again, block.forward)


def _again(forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*given, **named)
    from torch.utils.checkpoint import checkpoint

    return checkpoint(forward, *given, use_reentrant=False, **named)


def lower_frozen(model: GenomicModel) -> int:
    """Round the frozen linear maps of a model to bfloat16, where autocast would; how many numbers were.

    Which maps run under autocast is seen in a pass. It must be on wherever the model is used from then on.
    """
    runs: dict[nn.Module, bool] = {}
    kind = next(model.parameters()).device.type

    def look(module: nn.Module, *_: object) -> None:
        runs[module] = runs.get(module, True) and torch.is_autocast_enabled(kind)

    hooks = [module.register_forward_pre_hook(look) for module in model.modules() if is_linear(module)]
    try:
        with torch.autocast(kind, torch.bfloat16), sample(model):
            pass
    finally:
        for hook in hooks:
            hook.remove()
    wide = {id(value) for module, lowered in runs.items() if not lowered for value in module.parameters()}
    count = 0
    for module in (module for module, lowered in runs.items() if lowered):
        for value in module.parameters(recurse=False):
            if not value.requires_grad and id(value) not in wide and value.dtype is torch.float32:
                value.data = value.data.to(torch.bfloat16)
                count += value.numel()
    if kind == "cuda":
        torch.cuda.empty_cache()
    return count
