"""Mistral and NT v1 against the classes of `transformers`: the same draws, and the same bits of every state."""

import pytest
import torch
from torch import nn
from transformers import EsmConfig, EsmForMaskedLM, MistralConfig, MistralForCausalLM

from foundationless.errors import UserError
from foundationless.models.portable_rng import PortableDraws
from foundationless.models.registry import family_class
from foundationless.models.weights import initialise
from support.networks import PAD, TINY, padded, tokens

OFFICIAL = {
    "mistral": lambda config: MistralForCausalLM(MistralConfig(**config, use_cache=False)),
    "nt_v1": lambda config: EsmForMaskedLM(EsmConfig(**config)),
}
CASES = {
    ("mistral", "groups"): {},
    ("mistral", "no groups"): {"num_key_value_heads": 4, "head_dim": 10},
    ("mistral", "window"): {"sliding_window": 5},
    ("mistral", "no window"): {"sliding_window": None, "rope_theta": 500.0, "rms_norm_eps": 1e-5},
    ("mistral", "tied"): {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "default", "rope_theta": 99.0}},
    ("mistral", "dropout"): {"attention_dropout": 0.2, "initializer_range": 0.3},
    ("nt_v1", "published"): {},
    ("nt_v1", "tied"): {"tie_word_embeddings": True, "token_dropout": False},
    ("nt_v1", "norm before"): {"emb_layer_norm_before": True, "layer_norm_eps": 1e-5},
    ("nt_v1", "dropout"): {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.2, "initializer_range": 0.3},
}


@pytest.fixture(params=list(CASES), ids=" ".join)
def pair(request):
    """(family, model written here, the official one), both from the same seed."""
    family, _ = request.param
    config = TINY[family] | CASES[request.param]
    ours = initialise(family, config, 5)
    with torch.random.fork_rng(devices=[]), PortableDraws(5):
        official = OFFICIAL[family](family_class(family).settings(config)).eval()
    return family, ours, official


def run(family, official, ids, mask):
    """(States, logits) of the official class as the study calls it."""
    if family == "nt_v1":
        mask = torch.ones_like(ids) if mask is None else mask
    answer = official(ids, mask, output_hidden_states=True, return_dict=True)
    return answer.hidden_states, answer.logits


def batches(family):
    yield padded(tokens(family, 12), PAD[family], "right")[0], None
    yield padded(tokens(family, 12, 12), PAD[family], "right")
    for side in ("right", "left"):
        yield padded(tokens(family, 12, 7, 3), PAD[family], side)
    if family == "nt_v1":
        ids, mask = padded(tokens(family, 12, 7), PAD[family], "right")
        ids[0, 2:5] = TINY[family]["mask_token_id"]
        yield ids, mask


def test_the_same_draws(pair):
    _, ours, official = pair
    state, other = ours.state_dict(), official.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize("lowered", [False, True])
def test_the_same_bits_of_states_and_logits(pair, lowered):
    family, ours, official = pair
    for ids, mask in batches(family):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=lowered):
            states, logits = run(family, official, ids, mask)
            own = ours.hidden_states(ids, mask)
            assert len(own) == len(states)
            shown = slice(None) if mask is None else mask.bool()
            for one, other in zip(own, states, strict=True):
                assert one.dtype == other.dtype and torch.equal(one[shown], other[shown])
            assert torch.equal(ours.project(own[-1])[shown], logits[shown])
            assert torch.equal(ours.encode(ids, mask), own[-1])


def test_the_same_gradients_with_the_same_dropout(pair):
    family, ours, official = pair
    ids, mask = list(batches(family))[2]
    grads = []
    for model, logits in ((ours, lambda: ours(ids, mask)[1]), (official, lambda: run(family, official, ids, mask)[1])):
        torch.manual_seed(3)
        model.train()
        (logits()[mask.bool()] ** 2).mean().backward()
        model.eval()
        grads.append({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name], rtol=1e-5, atol=1e-7)


def test_the_papers_mistral_is_eager_at_padding_too(pair):
    family, ours, official = pair
    if family != "mistral":
        return
    ours.reading, official.config._attn_implementation = "as_in_paper", "eager"
    for ids, mask in batches(family):
        with torch.no_grad():
            states, _ = run(family, official, ids, mask)
            assert all(
                torch.equal(one, other) for one, other in zip(ours.hidden_states(ids, mask), states, strict=True)
            )


def test_a_range_of_zero_is_the_official_default():
    for family in OFFICIAL:
        config = TINY[family] | {"initializer_range": 0.0}
        for module in initialise(family, config, 1).modules():
            assert not isinstance(module, nn.Linear) or 0.005 < module.weight.std() < 0.05


@pytest.mark.parametrize(
    "turns", [{"rope_type": "yarn", "factor": 4.0}, {"rope_theta": "x"}, {"partial_rotary_factor": 0.5}]
)
def test_other_rotations_are_refused(turns):
    with pytest.raises(UserError, match="rope_parameters"):
        initialise("mistral", TINY["mistral"] | {"rope_parameters": turns}, 0)
