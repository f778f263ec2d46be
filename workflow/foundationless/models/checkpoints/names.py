"""Names of tensors in published files, and how they become those of an architecture.

Older versions of `transformers` called the parameters of a LayerNorm `gamma` and `beta`; a base model is saved without
the prefix that it has within a model with a head (`bert.`, `esm.`, `model.`), a parallel or compiled one with one more
(`module.`, `_orig_mod.`); heads for pretraining and for classes lie beside what the states depend on.
"""

import re
from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

# What wrappers put before every name.
_WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")
_OLDER = {".gamma": ".weight", ".beta": ".bias"}  # of layer norms
# Poolers, and heads that no hidden state and no logit of the vocabulary depends on, by the part of a name.
_BESIDE = """pooler classifier classification_head score qa_outputs seq_relationship discriminator_predictions
    sequence_summary multichoice_head v_head value_head regression_head logits_proj contact_head"""
# Vocabulary heads, by the first part of a name.
_VOCABULARY = """lm_head cls predictions generator_predictions generator_lm_head vocab_transform vocab_layer_norm
    vocab_projector embed_out output_head head decoder mlm_head"""
HEADS = re.compile(rf"(^|\.)({'|'.join(_BESIDE.split())})(\.|$)")
VOCABULARY_HEADS = re.compile(rf"^({'|'.join(_VOCABULARY.split())})\.")
# Constants that older versions stored: parts of names.
WITHOUT_EFFECT = ("position_ids", "token_type_ids", "inv_freq", ".masked_bias", ".attn.bias", ".attention.bias")


def first_part(tensor: str) -> str:
    """The module of a network that a tensor belongs to, by its name."""
    return tensor.partition(".")[0]


def bare_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefixes of wrappers, and with today's names of layer norms."""
    plain = dict(tensors)
    for wrapper in _WRAPPERS:
        if plain and all(name.startswith(wrapper) for name in plain):
            plain = {name.removeprefix(wrapper): tensor for name, tensor in plain.items()}
    renamed = {}
    for name, tensor in plain.items():
        ending = next((ending for ending in _OLDER if name.endswith(ending)), "")
        start = name.removesuffix(ending)
        new = start + _OLDER[ending] if ending and "norm" in start.lower() else name
        renamed[name if new in plain else new] = tensor
    return renamed


def fitted(tensors: Mapping[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """The tensors under the names of an architecture, `own`, as far as a prefix more or less makes them so.

    Where two prefixes fit equally well the names stay.
    """
    plain = bare_names(tensors)
    starts, given = ({f"{first_part(name)}." for name in names} for names in (own, plain))

    def added(prefix: str) -> dict[str, str]:
        stays = {name for name in plain if name in own or (HEADS.search(name) and prefix + name not in own)}
        return {name: name if name in stays else prefix + name for name in plain}

    def removed(prefix: str) -> dict[str, str]:
        return {name: name.removeprefix(prefix) for name in plain}

    ways: list[dict[str, str]] = [{name: name for name in plain}]
    ways += [added(prefix) for prefix in sorted(starts)]
    ways += [removed(prefix) for prefix in sorted(given)]
    best = max(ways, key=lambda way: len(set(way.values()) & set(own)))
    if len(set(best.values())) < len(best):
        return plain
    return {best[name]: tensor for name, tensor in plain.items()}


def beside(names: Iterable[str], own: Collection[str]) -> list[str]:
    """Those of the names that are of a head or a pooler, beside an architecture with names `own` or in its body."""
    starts = {first_part(name) for name in own}

    def is_beside(name: str) -> bool:
        head = HEADS.search(name)
        return bool(head and (head.start() == 0 or first_part(name) in starts)) or bool(VOCABULARY_HEADS.search(name))

    return sorted(filter(is_beside, names))
