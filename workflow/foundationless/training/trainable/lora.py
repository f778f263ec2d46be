"""Low-rank adapters (LoRA; Hu et al. 2022, arXiv:2106.09685) on a frozen genomic model, through `peft`.

    y = W x + b + (alpha / rank) B A dropout(x)          A [rank, in], B [out, rank], W and b frozen

A is drawn as `peft` draws it (Kaiming-uniform), B is 0, so the adapted model starts as the model. Every linear map of
the encoder's body gets an adapter, or those of the names in `targets`: the `nn.Linear` modules (and GPT-2's `Conv1D`,
the same map with its weight transposed) that the last hidden state depends on, hence neither an embedding nor the
vocabulary head. Maps that share their weights share their adapter, so what a model ties (both directions of Caduceus)
stays tied.

The paper's Table 8 compares LoRA with full fine-tuning without saying rank, alpha or dropout; the defaults here are the
usual ones of the field.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.training.trainable.layers import sample


def linear_maps(model: GenomicModel) -> dict[str, list[str]]:
    """The linear maps behind `encode`: name of the first -> names of all modules that hold its weight and bias."""
    outputs: list[tuple[nn.Module, Tensor]] = []
    linear = [module for module in model.modules() if is_linear(module)]
    hooks = [module.register_forward_hook(lambda module, _, y: outputs.append((module, y))) for module in linear]
    try:
        with sample(model) as hidden:
            # Called is not enough: BERT's pooler is called, and no hidden state depends on it.
            gradients = torch.autograd.grad(hidden.sum(), [y for _, y in outputs], allow_unused=True) if outputs else ()
    finally:
        for hook in hooks:
            hook.remove()
    used = {module for (module, _), gradient in zip(outputs, gradients, strict=True) if gradient is not None}
    names: dict[tuple[int, int], list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in used:
            names.setdefault((id(module.weight), id(module.bias)), []).append(name)
    return {shared[0]: shared for shared in names.values()}


def add_adapters(
    model: GenomicModel, rank: int, alpha: int, dropout: float, seed: int, targets: Sequence[str] = ()
) -> None:
    """Freeze `model` and put an adapter on each of its `linear_maps`, drawn from `seed`; `UserError` if it has none.

    `targets`: ends of the names of the maps that get one, e.g. `q_proj` (none: every map does); one that ends no name
    is a `UserError`. `state_dict()` then has the names of `peft`: `X.base_layer.weight`, `X.lora_A.default.weight`, ...
    """
    from peft import LoraConfig, inject_adapter_in_model

    maps = linear_maps(model)
    if not maps:
        raise UserError(f"family '{model.family}': no linear map in its encoder to adapt; use --lora-rank 0.")
    if targets:
        known = sorted({ends[0] for shared in maps.values() for name in shared for ends in [re.findall(r"\w+$", name)]})
        for target in targets:
            if not any(_ends(name, target) for shared in maps.values() for name in shared):
                raise UserError(
                    f"--lora-targets {target}: family '{model.family}' has no linear map of that name in its encoder; "
                    f"it has {', '.join(known)}."
                )
        maps = {
            first: shared
            for first, shared in maps.items()
            if any(_ends(name, target) for name in shared for target in targets)
        }
    settings = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(maps),
        fan_in_fan_out=any(type(model.get_submodule(name)).__name__ == "Conv1D" for name in maps),
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        inject_adapter_in_model(settings, model)
    for first, shared in maps.items():
        for name in shared[1:]:
            model.set_submodule(name, model.get_submodule(first))


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear map; transformers' `Conv1D` is told by its name, for its import is slow."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
