"""Conformance of Caduceus-PS, fused, unfused and as the paper loaded it (golden/caduceus_ps)."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from foundationless.errors import UserError
from foundationless.models.registry import family_class
from foundationless.models.weights import initialise, load_checkpoint
from support.golden_data import assert_gradients_close

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
    model, expected = load(form), load_file(caduceus / "a" / f"grads_{form}.safetensors")
    hidden, logits = model(load_file(caduceus / "a" / "inputs.safetensors")["batch.input_ids"])
    loss = (hidden * expected["cotangent.last_hidden_state"]).sum() / hidden.numel()
    loss = loss + (logits * expected["cotangent.logits"]).sum() / logits.numel()
    loss.backward()
    torch.testing.assert_close(loss, expected["loss"][0], atol=1e-5, rtol=1e-4)
    parameters = dict(model.named_parameters())
    assert {f"grad.{name}" for name in parameters} == {key for key in expected if key.startswith("grad.")}
    for name, parameter in parameters.items():
        assert_gradients_close(parameter.grad, expected[f"grad.{name}"], name)


@pytest.mark.parametrize("form", ["fused", "unfused"])
def test_both_published_forms(caduceus, load, form, tmp_path):
    """Saved again it is the published file; the pickled form, with every tied name, gives the same model."""
    model = load(form)
    published, state = load_file(caduceus / "a" / f"weights_{form}.safetensors"), model.published_state()
    assert state.keys() == published.keys()
    assert all(torch.equal(state[name], published[name]) for name in state)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    again = load_checkpoint(tmp_path, "caduceus").state_dict()
    tied = [f"caduceus.backbone.layers.0.mixer.submodule.mamba_rev.{p}_proj.weight" for p in ("in", "out")]
    assert {*tied, "lm_head.lm_head.weight"} <= again.keys() - published.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())
    broken = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    broken[tied[0]] += 1
    torch.save(broken, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"mamba_rev\.in_proj\.weight' are one shared tensor"):
        load_checkpoint(tmp_path, "caduceus")


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


def test_full_size_keys_and_parameters(caduceus):
    full = caduceus / "full_size"
    keys, summary = (json.loads((full / f"{name}.json").read_text()) for name in ("keys", "summary"))
    model_class = family_class("caduceus")
    with torch.device("meta"):
        model = model_class(model_class.check_config(json.loads((full / "config.json").read_text())))
    state = model.state_dict()
    assert {k: (list(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in state.items()} == {
        k: (v["shape"], v["dtype"]) for k, v in keys.items()
    }
    assert len(state) == summary["state_dict_tensors"] == 309
    assert len(state) - len(model.shared_names()) == summary["published_tensors"] == 276
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"] == 7725312


def test_initialisation(caduceus):
    """Every tensor as the official one: constant, normal or uniform with the same bounds, mean and spread."""
    full = caduceus / "full_size"
    stats = json.loads((full / "init_stats.json").read_text())["stats"]
    state = initialise("caduceus", json.loads((full / "config.json").read_text()), 5).state_dict()
    assert state.keys() == stats.keys()
    for name, tensor in state.items():
        x, official = tensor.double(), stats[name]
        assert list(x.shape) == official["shape"], name
        if official["std"] == 0 or name.endswith(("A_log", "complement_map")):
            for statistic in ("min", "max", "mean"):
                assert abs(getattr(x, statistic)() - official[statistic]) < 1e-6, (name, statistic)
            continue
        error = 6 * official["std"] / x.numel() ** 0.5
        assert abs(x.mean() - official["mean"]) < 2 * error, name
        assert abs(x.std(correction=0) - official["std"]) < 2 * error, name
        loose = 0.3 if "embedding.weight" in name or "lm_head" in name else 0.02  # the largest of a normal sample
        for statistic in ("min", "max"):
            assert getattr(x, statistic)() == pytest.approx(official[statistic], rel=loose), (name, statistic)
