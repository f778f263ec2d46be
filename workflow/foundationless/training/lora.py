"""Low-rank adapters (LoRA; Hu et al. 2022, arXiv:2106.09685) on a frozen genomic model, through `peft`.

    y = W x + b + (alpha / rank) B A dropout(x)          A [rank, in], B [out, rank], W and b frozen

A is drawn as `peft` draws it (Kaiming-uniform), B is 0, so the adapted model starts as the model. Every linear map of
the encoder's body gets an adapter: the `nn.Linear` modules that the last hidden state depends on, hence neither an
embedding nor the vocabulary head. Maps that share their weights share their adapter, so what a model ties (both
directions of Caduceus) stays tied.

The paper's Table 8 compares LoRA with full fine-tuning without saying rank, alpha or dropout; the defaults here are the
usual ones of the field.
"""

import torch
from torch import Tensor, nn

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel


def linear_maps(model: GenomicModel) -> dict[str, list[str]]:
    """The linear maps behind `encode`: name of the first -> names of all modules that hold its weight and bias."""
    outputs: list[tuple[nn.Module, Tensor]] = []
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    hooks = [module.register_forward_hook(lambda module, _, y: outputs.append((module, y))) for module in linear]
    device = next(model.parameters()).device
    ids = torch.arange(min(8, model.max_tokens, model.vocabulary_size), device=device)[None]
    try:
        hidden = model.encode(ids, torch.ones_like(ids) if model.padding == "mask" else None)
    finally:
        for hook in hooks:
            hook.remove()
    # Called is not enough: BERT's pooler is called, and no hidden state depends on it.
    gradients = torch.autograd.grad(hidden.sum(), [y for _, y in outputs], allow_unused=True) if outputs else ()
    used = {module for (module, _), gradient in zip(outputs, gradients, strict=True) if gradient is not None}
    names: dict[tuple[int, int], list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in used:
            names.setdefault((id(module.weight), id(module.bias)), []).append(name)
    return {shared[0]: shared for shared in names.values()}


def add_adapters(model: GenomicModel, rank: int, alpha: int, dropout: float, seed: int) -> None:
    """Freeze `model` and put an adapter on each of its `linear_maps`, drawn from `seed`; `UserError` if it has none.

    `state_dict()` then has the names of `peft`: `X.base_layer.weight`, `X.lora_A.default.weight`, ...
    """
    from peft import LoraConfig, inject_adapter_in_model

    maps = linear_maps(model)
    if not maps:
        raise UserError(f"family '{model.family}': no linear map in its encoder to adapt; use --lora-rank 0.")
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(maps))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        inject_adapter_in_model(settings, model)
    for first, shared in maps.items():
        for name in shared[1:]:
            model.set_submodule(name, model.get_submodule(first))
