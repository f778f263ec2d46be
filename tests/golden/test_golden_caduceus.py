"""Conformance of Caduceus-PS, fused, unfused and as the paper loaded it (golden/caduceus_ps)."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from foundationless.errors import UserError
from foundationless.models.weights import load_checkpoint
from support.golden_data import assert_gradients_as_official
from support.networks import assert_read_in_both_forms

# outputs -> (weights, fused_add_norm in config.json, reading)
FORMS = {
    "fused": ("fused", True, "published"),
    "unfused": ("unfused", False, "published"),
    "unfused_paper_loading": ("fused", True, "as_in_paper"),
}


@pytest.fixture
def caduceus(golden):
    return golden / "caduceus_ps"


@pytest.fixture
def load(caduceus, tmp_path):
    """Function that loads one form of the published file, from `a` or from `a/init`."""

    def load_form(form, sub="."):
        weights, fused, reading = FORMS[form]
        config = json.loads((caduceus / "a" / "config.json").read_text()) | {"fused_add_norm": fused}
        (tmp_path / "config.json").write_text(json.dumps(config))
        shutil.copy(caduceus / "a" / sub / f"weights_{weights}.safetensors", tmp_path / "model.safetensors")
        return load_checkpoint(tmp_path, "caduceus", reading)

    return load_form


@pytest.mark.parametrize(
    ("form", "sub", "tolerance"),
    [*((form, ".", 1e-4) for form in FORMS), ("fused", "init", 2e-5), ("unfused", "init", 2e-5)],
)
@torch.no_grad()
def test_states_and_logits(caduceus, load, form, sub, tolerance):
    model, inputs = load(form, sub), load_file(caduceus / "a" / "inputs.safetensors")
    expected = load_file(caduceus / "a" / sub / f"outputs_{form}.safetensors")
    found = {}
    for case in {name.split(".")[0] for name in expected}:
        ids = inputs[f"{case}.input_ids"]
        states = model.hidden_states(ids)
        found |= {f"{case}.hidden_states.{i}": state for i, state in enumerate(states)}
        found[f"{case}.hf_hidden_states_-1"] = states[-1]
        found[f"{case}.last_hidden_state"], found[f"{case}.logits"] = model(ids)
        # What is pooled: the final state, except as the paper did it.
        pooled = "hf_hidden_states_-1" if model.reading == "as_in_paper" else "last_hidden_state"
        torch.testing.assert_close(model.encode(ids), found[f"{case}.{pooled}"], atol=1e-6, rtol=0)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=tolerance, rtol=0, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.parametrize("form", ["fused", "unfused"])
def test_gradients(caduceus, load, form):
    model, official = load(form), load_file(caduceus / "a" / f"grads_{form}.safetensors")
    assert {f"grad.{name}" for name, _ in model.named_parameters()} == {key for key in official if "grad." in key}
    assert_gradients_as_official(model, official, load_file(caduceus / "a" / "inputs.safetensors")["batch.input_ids"])


@pytest.mark.parametrize("form", ["fused", "unfused"])
def test_both_published_forms(caduceus, load, form, tmp_path):
    """Saved again it is the published file; the pickled form, with every tied name, gives the same model."""
    model = load(form)
    published, state = load_file(caduceus / "a" / f"weights_{form}.safetensors"), model.published_state()
    assert state.keys() == published.keys()
    assert all(torch.equal(state[name], published[name]) for name in state)
    tied = {f"caduceus.backbone.layers.0.mixer.submodule.mamba_rev.{p}_proj.weight" for p in ("in", "out")}
    assert tied | {"lm_head.lm_head.weight"} <= model.shared_names().keys()
    assert_read_in_both_forms(tmp_path, model)


def test_the_fused_file_is_not_the_unfused_model(caduceus, load, tmp_path):
    """What the paper did silently is an error, and read `as_in_paper` loses the norms alone."""
    paper, fused = load("unfused_paper_loading").state_dict(), load("fused").state_dict()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"fused_add_norm": False}))
    with pytest.raises(UserError, match=r"norm\.weight' is unexpected"):
        load_checkpoint(tmp_path, "caduceus")
    lost = {name for name in paper if name not in fused}
    assert len(lost) == config["n_layer"] + 1 and all((paper[name] == 1).all() for name in lost)
    assert all(torch.equal(paper[name], fused[name]) for name in paper.keys() - lost)
