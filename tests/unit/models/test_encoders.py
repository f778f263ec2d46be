"""NT v2, DNABERT-2, GENA-LM: against slow references and transformers' native classes, and what must always hold."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EsmConfig, EsmForMaskedLM

from foundationless.errors import UserError
from foundationless.models.architectures.blocks import attend, padding_bias
from foundationless.models.architectures.dnabert2 import alibi_slopes
from foundationless.models.registry import family_class
from foundationless.models.weights import initialise, load_checkpoint
from support.networks import PAD, assert_read_in_both_forms, padded, publish

BASE = {
    "num_hidden_layers": 2, "intermediate_size": 40, "vocab_size": 30, "max_position_embeddings": 40,
    "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
OWN = {
    "nt_v2": {
        "pad_token_id": 1, "mask_token_id": 2, "position_embedding_type": "rotary", "token_dropout": False,
        "emb_layer_norm_before": False, "add_bias_fnn": False, "tie_word_embeddings": False,
    },
    "dnabert2": {"alibi_starting_size": 8, "position_embedding_type": "absolute", "type_vocab_size": 2},
    "gena_lm": {"pre_layer_norm": True, "last_layer_norm": False, "pad_token_id": 3, "type_vocab_size": 2},
}  # fmt: skip
SHAPES = [(1, 8, 1), (3, 24, 2), (4, 40, 3), (5, 30, 1), (12, 48, 2)]  # heads, width, layers


def config(family: str, heads: int = 4, width: int = 24, layers: int = 2, **change) -> dict:
    sizes = {"num_attention_heads": heads, "hidden_size": width, "num_hidden_layers": layers}
    return BASE | OWN[family] | sizes | change


def loud(family: str, *shape: int, **change) -> nn.Module:
    """A model in which every parameter, biases and norms included, has a visible effect."""
    model = initialise(family, config(family, *shape, **change), 3)
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def batch(family: str, *lengths: int, side: str = "right") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    rows = [torch.randint(6, 30, (length,), generator=generator) for length in lengths]
    return padded(rows, PAD[family], side)


@pytest.fixture(params=OWN)
def family(request):
    return request.param


@pytest.mark.parametrize("heads", range(1, 21))
def test_alibi_slopes_follow_the_published_recursion(heads):
    """Press et al. 2022, text and footnote: a geometric sequence for powers of two, interleaved for the others."""

    def published(n: int) -> list[float]:
        if math.log2(n).is_integer():
            start = 2.0 ** (-8 / n)
            return [start ** (i + 1) for i in range(n)]
        closest = 2 ** math.floor(math.log2(n))
        return published(closest) + published(2 * closest)[0::2][: n - closest]

    assert alibi_slopes(heads) == pytest.approx(published(heads), rel=1e-12)


def slow_dnabert2(model: nn.Module, ids: Tensor) -> list[Tensor]:
    """States of one sequence [L, D] in float64, head by head and pair by pair, from the published tensors."""
    state = {name: tensor.double() for name, tensor in model.state_dict().items()}
    width, heads = model.width, model.config["num_attention_heads"]
    size, length, slopes = width // heads, len(ids), alibi_slopes(heads)

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-12).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    tables = [state[f"bert.embeddings.{kind}_embeddings.weight"] for kind in ("word", "token_type")]
    x = norm(tables[0][ids] + tables[1][0], "bert.embeddings.LayerNorm")
    states = [x]
    for layer in range(model.config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{layer}."
        qkv = x @ state[at + "attention.self.Wqkv.weight"].T + state[at + "attention.self.Wqkv.bias"]
        mixed = torch.zeros_like(x)
        for head in range(heads):
            q, k, v = (qkv[:, part * width + head * size :][:, :size] for part in range(3))
            pairs = [[float(a @ b) / math.sqrt(size) for b in k] for a in q]
            distance = [[abs(i - j) for j in range(length)] for i in range(length)]
            score = torch.tensor(pairs).double() - slopes[head] * torch.tensor(distance).double()
            mixed[:, head * size : (head + 1) * size] = score.softmax(-1) @ v
        out = at + "attention.output."
        x = norm(x + mixed @ state[out + "dense.weight"].T + state[out + "dense.bias"], out + "LayerNorm")
        gated = x @ state[at + "mlp.gated_layers.weight"].T
        half = gated.shape[1] // 2
        inner = 0.5 * gated[:, :half] * (1 + torch.erf(gated[:, :half] / math.sqrt(2))) * gated[:, half:]
        x = norm(x + inner @ state[at + "mlp.wo.weight"].T + state[at + "mlp.wo.bias"], at + "mlp.layernorm")
        states.append(x)
    return states


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_dnabert2_against_a_slow_reference(shape):
    model = loud("dnabert2", *shape)
    ids, mask = batch("dnabert2", 13, 5)
    states = model.hidden_states(ids, mask)
    for i, length in enumerate((13, 5)):
        for state, expected in zip(states, slow_dnabert2(model, ids[i, :length]), strict=True):
            torch.testing.assert_close(state[i, :length].double(), expected, atol=1e-4, rtol=0)
            assert not state[i, length:].any()


def native(settings: dict, pairs: dict[str, Tensor]) -> EsmForMaskedLM:
    model = EsmForMaskedLM(EsmConfig(**settings, token_dropout=False)).eval()
    own = model.state_dict()
    for name, value in pairs.items():
        if name in own and not name.endswith("position_ids"):
            own[name].copy_(value)
    return model


def assert_native(model: nn.Module, oracle: EsmForMaskedLM, family: str) -> None:
    ids, mask = batch(family, 17, 6)
    expected, valid = oracle(ids, mask, output_hidden_states=True), mask.bool()
    for i, (state, other) in enumerate(zip(model.hidden_states(ids, mask), expected.hidden_states, strict=True)):
        torch.testing.assert_close(state[valid], other[valid], atol=1e-4, rtol=0, msg=f"state {i}")
    torch.testing.assert_close(model(ids, mask)[1][valid], expected.logits[valid], atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES[:4])
@torch.no_grad()
def test_nt_v2_is_native_esm_but_for_its_feed_forward(shape):
    """Attention, rotary positions, norms and head, the gated feed-forward silenced in both."""
    heads, width, _ = shape
    shape = (heads, 2 * width, 2)
    model = loud("nt_v2", *shape)
    for name, parameter in model.named_parameters():
        if name.endswith(".output.dense.weight") and "attention" not in name:
            parameter.zero_()
    fits = {k: v for k, v in model.state_dict().items() if ".intermediate." not in k and "contact_head" not in k}
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "pad_token_id", "mask_token_id")
    settings = {k: model.config[k] for k in keys} | BASE | {"num_hidden_layers": 2, "intermediate_size": 40}
    oracle = native(settings | {"position_embedding_type": "rotary", "tie_word_embeddings": False}, fits)
    for layer in oracle.esm.encoder.layer:
        layer.output.dense.weight.zero_()
        layer.output.dense.bias.zero_()
    assert_native(model, oracle, "nt_v2")


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_gena_lm_is_native_pre_norm_esm(shape):
    """With its last norm GENA-LM is ESM-1b whose word rows hold the token type, and whose positions start later."""
    model = loud("gena_lm", *shape, last_layer_norm=True)
    pairs = {}
    for name, value in model.state_dict().items():
        for old, new in {
            "bert.": "esm.", "pre_attention_ln": "attention.LayerNorm", "post_attention_ln": "LayerNorm",
            "last_layer_ln": "emb_layer_norm_after", "embeddings.LayerNorm": "embeddings.layer_norm",
            "cls.predictions.transform.LayerNorm": "lm_head.layer_norm", "cls.predictions.transform.": "lm_head.",
            "cls.predictions.decoder.": "lm_head.decoder.", "cls.predictions.bias": "lm_head.bias",
        }.items():  # fmt: skip
            name = name.replace(old, new)
        pairs[name] = value.clone()
    types = model.state_dict()["bert.embeddings.token_type_embeddings.weight"]
    pairs["esm.embeddings.word_embeddings.weight"] += types[0]
    positions = pairs["esm.embeddings.position_embeddings.weight"]
    pairs["esm.embeddings.position_embeddings.weight"] = F.pad(positions, (0, 0, 4, 0))  # pad_token_id + 1 rows before
    heads, width, layers = shape
    settings = BASE | {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    settings |= {"pad_token_id": 3, "mask_token_id": 4, "max_position_embeddings": 44, "emb_layer_norm_before": True}
    oracle = native(settings | {"position_embedding_type": "absolute", "tie_word_embeddings": False}, pairs)
    assert_native(model, oracle, "gena_lm")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_is_inert(family, shape, side):
    heads, width, layers = shape
    model = loud(family, heads, 2 * width, layers)
    ids, mask = batch(family, 5, 21, 1, side=side)
    changed = torch.where(mask.bool(), ids, 7)
    for these in (ids, changed):
        together = model.hidden_states(these, mask.bool())
        if family == "nt_v2":
            assert not together[0][~mask.bool()].any(), "the embedding is multiplied by the mask"
        for i, kept in enumerate(mask.bool()):
            for state, alone in zip(together, model.hidden_states(ids[i, kept][None]), strict=True):
                torch.testing.assert_close(state[i, kept], alone[0], atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_token_types_and_what_no_mask_means(family):
    model = loud(family)
    ids, mask = batch(family, 9, 9)
    torch.testing.assert_close(model.encode(ids), model.encode(ids, mask), atol=1e-6, rtol=0)
    if family == "nt_v2":
        return
    zeros = torch.zeros_like(ids)
    assert torch.equal(model.encode(ids, mask, zeros), model.encode(ids, mask))
    ones = torch.tensor([0] * 4 + [1] * 5).expand(2, 9)
    assert (model(ids, mask, ones)[0] - model.encode(ids, mask)).abs().amax(-1).min() > 1e-3


@torch.no_grad()
def test_longer_than_trained(family):
    model = loud(family, max_position_embeddings=16)
    ids, _ = batch(family, 60)
    if family == "gena_lm":
        with pytest.raises(UserError, match="60 tokens exceeds the model's 16"):
            model.hidden_states(ids)
        return
    assert model.max_tokens <= 16
    longer = loud(family, max_position_embeddings=64)
    for name, value in longer.state_dict().items():
        if name != "esm.embeddings.position_embeddings.weight":
            value.copy_(model.state_dict()[name])
    assert torch.equal(model.encode(ids), longer.encode(ids))


@torch.no_grad()
def test_sequences_without_a_valid_token_give_numbers(family):
    ids, mask = batch(family, 4, 7)
    for state in loud(family).hidden_states(ids, mask * torch.tensor([[0], [1]])):
        assert state.isfinite().all()
    assert padding_bias(mask, torch.float16).isfinite().all()


def test_every_module_with_weights_or_dropout_is_called(family):
    """So that adapters that wrap linear layers (LoRA) reach all of them; the contact head is never evaluated."""
    model, called = loud(family, hidden_dropout_prob=0.5), set()
    kinds = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout)
    every = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    for name, module in every.items():
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    model(*batch(family, 5, 8))
    unused = {"esm.contact_head.regression", "esm.embeddings.position_embeddings"}
    assert every.keys() - called == (unused if family == "nt_v2" else set())
    dropouts = sum(isinstance(module, nn.Dropout) and module.p == 0.5 for module in every.values())
    assert dropouts == 2 * 2 + (family != "nt_v2"), "two in each layer, and one after BERT's embedding"


def test_bfloat16_autocast_trains(family):
    model, (ids, mask) = loud(family), batch(family, 9, 14)

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        hidden, logits = model(ids, mask)
        valid = mask.bool()
        loss = F.cross_entropy(logits.float()[valid], ids[valid]) + hidden.float()[valid].pow(2).mean()
        loss.backward()
        return {n: p.grad.flatten() for n, p in model.named_parameters() if p.grad is not None and p.grad.norm() > 1e-3}

    exact = gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = gradients()
    for name, gradient in exact.items():
        assert lowered[name].isfinite().all() and lowered[name].dtype == torch.float32
        assert F.cosine_similarity(gradient, lowered[name], dim=0) > 0.97, name


@torch.no_grad()
def test_half_precision(family):
    model, (ids, mask) = loud(family), batch(family, 9, 14)
    exact = model.encode(ids, mask)
    for lower in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=lower):
            states = model.hidden_states(ids, mask)
        assert all(state.dtype == torch.float32 for state in states), "the residual stream stays in float32"
        assert F.cosine_similarity(states[-1][mask.bool()], exact[mask.bool()], dim=-1).min() > 0.995
    assert model.bfloat16()(ids, mask)[1].isfinite().all()


@pytest.mark.parametrize("kind", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_dropout_in_training_alone(family, kind):
    still, moving = (loud(family, **{kind: share}) for share in (0.0, 0.5))
    ids, mask = batch(family, 9, 14)
    assert torch.equal(still.train().encode(ids, mask), still.eval().encode(ids, mask))
    assert torch.equal(moving.encode(ids, mask), still.encode(ids, mask))
    torch.manual_seed(0)
    one, two = (moving.train().hidden_states(ids, mask) for _ in range(2))
    # ESM alone has no dropout after the embedding.
    assert torch.equal(one[0], two[0]) == (kind != "hidden_dropout_prob" or family == "nt_v2")
    assert not torch.equal(one[-1], two[-1])


def test_initial_padding_rows(family):
    model = initialise(family, config(family, 4, 64), 1)
    words = next(value for name, value in model.state_dict().items() if name.endswith("word_embeddings.weight"))
    if family == "dnabert2":
        assert words[0].std() > 0.01, "[UNK], which its configuration pads with, is drawn through the decoder"
        model.encode(torch.tensor([[0, 5]])).pow(3).sum().backward()
        gradient = model.bert["embeddings"].word_embeddings.weight.grad
        assert not gradient[0].any() and gradient[5].any()
    else:
        assert not words[PAD[family]].any() and words[PAD[family] + 1].std() > 0.01
    constant = {n: p for n, p in model.named_parameters() if p.ndim == 1}
    assert all((p == (0 if n.endswith("bias") else 1)).all() for n, p in constant.items())


@pytest.fixture
def checkpoint(family, tmp_path):
    """A published file pair of a loud model, and the model."""
    model = loud(family)
    return publish(tmp_path / "published", model), model


def test_both_published_forms(family, checkpoint):
    directory, model = checkpoint
    tied = {"nt_v2": [], "dnabert2": ["weight"], "gena_lm": ["weight", "bias"]}
    shared = {f"cls.predictions.decoder.{kind}" for kind in tied[family]}
    assert set(model.shared_names()) == shared
    assert_read_in_both_forms(directory, model)
    ids, mask = batch(family, 9, 14)
    again = load_checkpoint(directory, family)
    assert all(torch.equal(a, b) for a, b in zip(again(ids, mask), model(ids, mask), strict=True))


def test_official_defaults_of_absent_keys():
    """What the published configuration classes assume: biases and tied head in NT v2, a last norm in GENA-LM."""

    def keys(family: str, *absent: str) -> set[str]:
        settings = {k: v for k, v in config(family).items() if k not in absent}
        return set(family_class(family)(family_class(family).check_config(settings)).state_dict())

    assert "esm.encoder.layer.0.output.dense.bias" in keys("nt_v2", "add_bias_fnn") - keys("nt_v2")
    assert "bert.encoder.last_layer_ln.weight" in keys("gena_lm", "last_layer_norm") - keys("gena_lm")
    settings = {k: v for k, v in config("nt_v2").items() if k != "tie_word_embeddings"}
    tied = {"lm_head.decoder.weight": "esm.embeddings.word_embeddings.weight"}
    assert initialise("nt_v2", settings, 0).shared_names() == tied


@pytest.mark.parametrize("length", [1, 37, 256, 300])
@pytest.mark.parametrize("padded_keys", [0, 5])
def test_attention_in_16_bits_has_the_gradients_of_64(length, padded_keys):
    """Up to 256 keys it is written out in training, beyond them fused."""
    torch.manual_seed(length)
    whole = [torch.randn(2, length, 3, 16, dtype=torch.float64) for _ in range(3)]
    mask = torch.ones(2, length)
    mask[1, : min(padded_keys, length - 1)] = 0

    def gradients(dtype: torch.dtype) -> list[Tensor]:
        inputs = [each.to(dtype).transpose(1, 2).requires_grad_() for each in whole]
        mixed = attend(*inputs, padding_bias(mask, dtype), 0.0)
        with torch.no_grad():
            unlearned = attend(*inputs, padding_bias(mask, dtype), 0.0)
        torch.testing.assert_close(mixed, unlearned, rtol=0.05, atol=0.02)
        mixed.double().square().mean().backward()
        return [mixed.detach().double(), *(each.grad.double() for each in inputs)]

    for low, exact in zip(gradients(torch.bfloat16), gradients(torch.float64), strict=True):
        assert (low - exact).norm() <= 0.03 * exact.norm() + 1e-9
