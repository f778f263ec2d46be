"""Low-rank adapters: on which maps, equal to merged weights, shared where the model shares."""

import re

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from foundationless.errors import UserError
from foundationless.models.contract import GenomicModel
from foundationless.models.weights import initialise
from foundationless.study.families import FAMILIES
from foundationless.training.trainable.lora import add_adapters, linear_maps
from support.networks import TINY, tokens

# Vocabulary heads, and what `encode` never reads.
OUTSIDE = re.compile(r"^(lm_head|head|cls)\b|contact_head|pooler|transformer\.ff_out")
RANK, ALPHA = 3, 6
every_family = pytest.mark.parametrize("family", [family for family in FAMILIES if family != "cnn"])


def adapted(family: str, seed: int = 5) -> torch.nn.Module:
    model = initialise(family, TINY[family], 1)
    add_adapters(model, RANK, ALPHA, 0.0, seed)
    return model


def adapters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if ".lora_" in name}


@every_family
def test_every_linear_map_of_the_body_is_adapted_and_nothing_else_is_trained(family):
    plain, model = initialise(family, TINY[family], 1), adapted(family)
    named = {name for names in linear_maps(plain).values() for name in names}
    body = dict(plain.named_modules(remove_duplicate=False))
    assert named == {n for n, m in body.items() if isinstance(m, torch.nn.Linear) and not OUTSIDE.search(n)}
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    first = linear_maps(plain)
    assert trained == {f"{name}.lora_{side}.default.weight" for name in first for side in "AB"}
    for name in first:
        rows, columns = plain.get_submodule(name).weight.shape
        assert model.get_submodule(name).lora_A["default"].weight.shape == (RANK, columns)
        assert model.get_submodule(name).lora_B["default"].weight.shape == (rows, RANK)


@every_family
def test_an_adapted_model_is_the_model_with_its_weights_moved(family):
    """y = (W + alpha / rank B A) x, wherever W is used; B = 0 at the start; every adapter gets a gradient."""
    plain, model, ids = initialise(family, TINY[family], 1), adapted(family), tokens(family, 20)[0][None]
    assert torch.equal(plain.encode(ids), model.encode(ids))
    generator, maps = torch.Generator().manual_seed(0), linear_maps(plain)
    with torch.no_grad():
        for name in maps:
            wrapped = model.get_submodule(name)
            a, b = wrapped.lora_A["default"].weight, wrapped.lora_B["default"].weight
            b.copy_(torch.randn(b.shape, generator=generator) / 3)
            plain.get_submodule(name).weight += ALPHA / RANK * b @ a
    expected, found = plain.encode(ids), model.encode(ids)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (expected - initialise(family, TINY[family], 1).encode(ids)).abs().max() > 1e-2
    (found * torch.randn(found.shape, generator=generator)).sum().backward()
    for name, value in adapters(model).items():
        assert value.grad is not None and value.grad.any(), name


def test_maps_with_shared_weights_share_their_adapter():
    """Caduceus reads both directions through one projection; two modules that hold one weight are one map too."""
    model = adapted("caduceus")
    mixer = model.caduceus.backbone.layers[0].mixer.submodule
    assert mixer.mamba_rev.in_proj is mixer.mamba_fwd.in_proj and mixer.mamba_rev.out_proj is mixer.mamba_fwd.out_proj
    assert mixer.mamba_rev.x_proj is not mixer.mamba_fwd.x_proj
    model = initialise("mistral", TINY["mistral"], 1)
    first, second = model.model.layers[0].mlp, model.model.layers[1].mlp
    second.up_proj.weight = first.up_proj.weight
    add_adapters(model, RANK, ALPHA, 0.0, 5)
    assert first.up_proj is second.up_proj and first.gate_proj is not second.gate_proj


def test_a_transposed_map_is_a_linear_map_too():
    """GPT-2 keeps its weights [inputs, outputs]; beside the merged weights as above."""

    class Transposed(GenomicModel):
        family, objective, padding = "transposed", "causal", "right"
        width, vocabulary_size, max_tokens = 16, 12, 40

        def __init__(self):
            super().__init__({})
            torch.manual_seed(0)
            sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 12, "n_positions": 40}
            self.network = GPT2Model(GPT2Config(**sizes)).eval()

        def encode(self, input_ids, attention_mask=None):
            return self.network(input_ids, use_cache=False).last_hidden_state

    plain, model, ids = Transposed(), Transposed(), tokens("hyenadna", 9)[0][None]
    assert plain.block_names() == ["network.h.0", "network.h.1"]
    add_adapters(model, RANK, ALPHA, 0.0, 5, ["c_attn", "mlp.c_fc"])
    with torch.no_grad():
        for name in linear_maps(plain):
            if name.endswith((".c_attn", ".c_fc")):
                a, b = (getattr(model.get_submodule(name), f"lora_{side}")["default"].weight for side in "AB")
                b.copy_(torch.linspace(-0.2, 0.2, b.numel()).view_as(b))
                plain.get_submodule(name).weight += ALPHA / RANK * (b @ a).T
    assert len(adapters(model)) == 2 * 2 * 2
    torch.testing.assert_close(model.encode(ids), plain.encode(ids), atol=1e-5, rtol=1e-4)
    assert (Transposed().encode(ids) - plain.encode(ids)).abs().max() > 1e-3


def test_the_seed_alone_decides_the_draws():
    before = torch.random.get_rng_state()
    one, same, other = (adapters(adapted("hyenadna", seed)) for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in one.items():
        assert torch.equal(value, same[name])
        assert torch.equal(value, other[name]) == (".lora_B." in name)


def test_a_model_without_linear_maps_is_refused():
    with pytest.raises(UserError, match="family 'cnn': no linear map"):
        add_adapters(initialise("cnn", TINY["cnn"], 1), RANK, ALPHA, 0.0, 5)
