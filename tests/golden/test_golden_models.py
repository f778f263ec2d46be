"""Conformance: every family against numbers that its official implementation produced (golden/<set>/a)."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.models import family_class, load_checkpoint

SETS = {"hyenadna": "hyenadna", "mistral": "mistral", "nt_500m": "nt_v1", "gena_native_postln": "bert"}


@pytest.fixture(params=SETS)
def case(request, shared, tmp_path):
    """(family, directory of the set, function that loads its `a` or `init` weights)."""
    name = request.param
    source = shared / "golden" / name / "a"

    def load(sub="."):
        shutil.copy(source / "config.json", tmp_path / "config.json")
        shutil.copy(source / sub / "weights.safetensors", tmp_path / "model.safetensors")
        return load_checkpoint(tmp_path, SETS[name])

    return SETS[name], source, load


@pytest.mark.parametrize(("sub", "tolerance"), [(".", 1e-4), ("init", 2e-5)])
def test_states_and_logits(case, sub, tolerance):
    _, source, load = case
    model, inputs, golden = (
        load(sub),
        load_file(source / "inputs.safetensors"),
        load_file(source / sub / "outputs.safetensors"),
    )
    cases = sorted({name.split(".")[0] for name in inputs})
    compared = set()
    for name in cases:
        ids, mask = inputs[f"{name}.input_ids"], inputs.get(f"{name}.attention_mask")
        with torch.no_grad():
            states = model.hidden_states(ids, mask)
            last, logits = model(ids, mask)
        found = {f"{name}.hidden_states.{i}": state for i, state in enumerate(states)}
        found |= {f"{name}.last_hidden_state": last, f"{name}.logits": logits}
        valid = slice(None) if mask is None else mask.bool()
        for key in found.keys() & golden.keys():
            assert found[key].shape == golden[key].shape
            torch.testing.assert_close(found[key][valid], golden[key][valid], atol=tolerance, rtol=0)
            compared.add(key)
    assert compared == set(golden)


def test_gradients(case):
    _, source, load = case
    model, inputs, golden = load(), load_file(source / "inputs.safetensors"), load_file(source / "grads.safetensors")
    ids, mask = inputs["batch.input_ids"], inputs.get("batch.attention_mask")
    hidden, logits = model(ids, mask)
    if mask is not None:
        hidden, logits = hidden * mask[:, :, None], logits * mask[:, :, None]
    loss = (hidden * golden["cotangent.last_hidden_state"]).sum() / hidden.numel()
    loss = loss + (logits * golden["cotangent.logits"]).sum() / logits.numel()
    loss.backward()
    torch.testing.assert_close(loss, golden["loss"][0], atol=1e-5, rtol=1e-4)
    parameters = dict(model.named_parameters())
    expected = {key.removeprefix("grad."): value for key, value in golden.items() if key.startswith("grad.")}
    for name, value in expected.items():
        torch.testing.assert_close(
            parameters[name].grad, value, rtol=1e-3, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )
    for name in parameters.keys() - expected.keys():
        assert parameters[name].grad is None or not parameters[name].grad.any(), name


def test_saved_again_it_is_the_published_file(case):
    _, source, load = case
    published, state = load_file(source / "weights.safetensors"), load().published_state()
    assert state.keys() == published.keys()
    assert all(torch.equal(state[name], published[name]) for name in state)


@pytest.mark.parametrize("name", [name for name in SETS if name != "mistral"])
def test_full_size_keys_and_parameters(name, shared):
    full = shared / "golden" / name / "full_size"
    keys, summary = (json.loads((full / f"{f}.json").read_text()) for f in ("keys", "summary"))
    model_class = family_class(SETS[name])
    with torch.device("meta"):
        model = model_class(model_class.check_config(json.loads((full / "config.json").read_text())))
    assert {k: list(v.shape) for k, v in model.state_dict().items()} == {k: v["shape"] for k, v in keys.items()}
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"]
    assert len(model.state_dict()) - len(model.shared_names()) == summary["published_tensors"]


def test_hyenadna_pickled_form_with_every_copy(shared, tmp_path):
    """The pickled files hold the shared sine under all its names; a copy that differs cannot be loaded."""
    source = shared / "golden" / "hyenadna" / "a"
    shutil.copy(source / "config.json", tmp_path)
    shutil.copy(source / "weights.safetensors", tmp_path / "model.safetensors")
    model = load_checkpoint(tmp_path, "hyenadna")
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    again = load_checkpoint(tmp_path, "hyenadna")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["hyena.backbone.layers.0.mixer.filter_fn.implicit_filter.3.freq"] += 1
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(Exception, match=r"implicit_filter\.3\.freq.*one shared tensor"):
        load_checkpoint(tmp_path, "hyenadna")
