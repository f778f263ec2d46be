"""Conformance: every family against numbers that its official implementation produced (golden/<model>/<set>)."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.models.registry import family_class
from foundationless.models.weights import load_checkpoint
from support.golden_data import assert_gradients_close

SETS = {
    "hyenadna/a": "hyenadna",
    "mistral/a": "mistral",
    "nt_500m/a": "nt_v1",
    "nt_v2/a": "nt_v2",
    "dnabert2/a": "dnabert2",
    "gena_lm/a": "gena_lm",
    "gena_lm/lastln": "gena_lm",
    "gena_native_postln/a": "bert",
}
FULL_SIZES = sorted({name.split("/")[0] for name in SETS} - {"mistral"})
PICKLED = ("dnabert2", "gena_lm")  # published as pytorch_model.bin, with every name of a shared tensor


@pytest.fixture(params=SETS)
def case(request, golden, tmp_path):
    """(family, directory of the set, function that loads its weights or those of its `init`)."""
    name = request.param
    source = golden / name

    def load(sub=".", **how):
        shutil.copy(source / "config.json", tmp_path / "config.json")
        shutil.copy(source / sub / "weights.safetensors", tmp_path / "model.safetensors")
        return load_checkpoint(tmp_path, SETS[name], **how)

    return SETS[name], source, load


@pytest.mark.parametrize(("sub", "tolerance"), [(".", 1e-4), ("init", 2e-5)])
def test_states_and_logits(case, sub, tolerance):
    family, source, load = case
    model, inputs, official = (
        load(sub),
        load_file(source / "inputs.safetensors"),
        load_file(source / sub / "outputs.safetensors"),
    )
    cases = sorted({name.split(".")[0] for name in inputs})
    compared = set()
    for name in cases:
        ids, mask = inputs[f"{name}.input_ids"], inputs.get(f"{name}.attention_mask")
        types = {key.split(".")[1]: value for key, value in inputs.items() if key == f"{name}.token_type_ids"}
        with torch.no_grad():
            states = model.hidden_states(ids, mask, **types)
            last, logits = model(ids, mask, **types)
        valid = torch.ones_like(ids).bool() if mask is None else mask.bool()
        found = {f"{name}.last_hidden_state": last, f"{name}.logits": logits}
        found |= {f"{name}.hidden_states.{i}": state for i, state in enumerate(states)}
        # The official DNABERT-2 returns its inner states for the valid tokens alone, and none for the embedding.
        packed = {f"{name}.unpadded_layer.{i}": state[valid] for i, state in enumerate(states[1:])}
        for key in found.keys() & official.keys():
            assert found[key].shape == official[key].shape
            torch.testing.assert_close(found[key][valid], official[key][valid], atol=tolerance, rtol=0)
        for key in packed.keys() & official.keys():
            torch.testing.assert_close(packed[key], official[key], atol=tolerance, rtol=0)
        compared |= (found.keys() | packed.keys()) & official.keys()
        if family == "dnabert2":
            assert (
                not any(state[~valid].any() for state in states)
                and len(states) == model.config["num_hidden_layers"] + 1
            )
    assert compared == set(official)


@torch.no_grad()
def test_padded_positions_under_the_reading_of_the_paper(case):
    """The paper pooled padding too, so what stands there must be the official numbers as well."""
    _, source, load = case
    model, inputs, official = (
        load(),
        load_file(source / "inputs.safetensors"),
        load_file(source / "outputs.safetensors"),
    )
    model.reading = "as_in_paper"
    name = "batch" if model.paper_masked or "batch_nomask.input_ids" not in inputs else "batch_nomask"
    last, _ = model(inputs[f"{name}.input_ids"], inputs.get("batch.attention_mask"))
    torch.testing.assert_close(last, official[f"{name}.last_hidden_state"], atol=1e-4, rtol=0)


def test_gradients(case):
    _, source, load = case
    model, inputs, official = load(), load_file(source / "inputs.safetensors"), load_file(source / "grads.safetensors")
    ids, mask = inputs["batch.input_ids"], inputs.get("batch.attention_mask")
    hidden, logits = model(ids, mask)
    if mask is not None:
        hidden, logits = hidden * mask[:, :, None], logits * mask[:, :, None]
    loss = (hidden * official["cotangent.last_hidden_state"]).sum() / hidden.numel()
    loss = loss + (logits * official["cotangent.logits"]).sum() / logits.numel()
    loss.backward()
    torch.testing.assert_close(loss, official["loss"][0], atol=1e-5, rtol=1e-4)
    parameters = dict(model.named_parameters())
    expected = {key.removeprefix("grad."): value for key, value in official.items() if key.startswith("grad.")}
    for name, value in expected.items():
        assert_gradients_close(parameters[name].grad, value, name)
    for name in parameters.keys() - expected.keys():
        assert parameters[name].grad is None or not parameters[name].grad.any(), name


def test_saved_again_it_is_the_published_file(case):
    _, source, load = case
    model = load()
    published, state = load_file(source / "weights.safetensors"), model.published_state()
    assert state.keys() == published.keys() - model.shared_names().keys()
    assert all(torch.equal(state[name], published[name]) for name in state)


@pytest.mark.parametrize("case", ["dnabert2/a"], indirect=True)
def test_the_paper_passed_dnabert2_no_mask(case):
    """Under the reading `as_in_paper` a mask changes nothing: [PAD] is a token like any other."""
    _, source, load = case
    model, inputs, official = (
        load(reading="as_in_paper"),
        load_file(source / "inputs.safetensors"),
        load_file(source / "outputs.safetensors"),
    )
    hidden, logits = model(inputs["batch.input_ids"], inputs["batch.attention_mask"])
    torch.testing.assert_close(hidden, official["batch_nomask.last_hidden_state"], atol=1e-4, rtol=0)
    torch.testing.assert_close(logits, official["batch_nomask.logits"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", FULL_SIZES)
def test_full_size_keys_and_parameters(name, golden):
    full = golden / name / "full_size"
    keys, summary = (json.loads((full / f"{f}.json").read_text()) for f in ("keys", "summary"))
    model_class = family_class(next(family for place, family in SETS.items() if place.startswith(f"{name}/")))
    with torch.device("meta"):
        model = model_class(model_class.check_config(json.loads((full / "config.json").read_text())))
    state = model.state_dict()
    assert {k: list(v.shape) for k, v in state.items()} == {k: v["shape"] for k, v in keys.items()}
    assert {k: str(v.dtype) for k, v in state.items()} == {k: f"torch.{v['dtype']}" for k, v in keys.items()}
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"]
    assert len(state) - (0 if name in PICKLED else len(model.shared_names())) == summary["published_tensors"]


def test_hyenadna_pickled_form_with_every_copy(golden, tmp_path):
    """The pickled files hold the shared sine under all its names; a copy that differs cannot be loaded."""
    source = golden / "hyenadna" / "a"
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
