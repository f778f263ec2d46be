"""Conformance: every family against numbers that its official implementation produced (golden/<model>/<set>)."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from foundationless.models.registry import family_class
from foundationless.models.weights import load_checkpoint
from support.golden_data import SETS, assert_gradients_as_official
from support.networks import assert_read_in_both_forms

CASES = {f"{name}/a": family for name, family in SETS.items() if "caduceus" not in name} | {"gena_lm/lastln": "gena_lm"}
PICKLED = ("dnabert2", "gena_lm")  # published as pytorch_model.bin, with every name of a shared tensor


@pytest.fixture(params=CASES)
def case(request, golden, tmp_path):
    """(family, function that reads a file of the set, function that loads its weights or those of its `init`)."""
    name = request.param
    source = golden / name

    def read(file):
        return load_file(source / f"{file}.safetensors")

    def load(sub=".", **how):
        shutil.copy(source / "config.json", tmp_path / "config.json")
        shutil.copy(source / sub / "weights.safetensors", tmp_path / "model.safetensors")
        return load_checkpoint(tmp_path, CASES[name], **how)

    return CASES[name], read, load


@pytest.mark.parametrize(("sub", "tolerance"), [(".", 1e-4), ("init", 2e-5)])
def test_states_and_logits(case, sub, tolerance):
    family, read, load = case
    model, inputs, official = load(sub), read("inputs"), read(f"{sub}/outputs")
    compared = set()
    for name in sorted({name.split(".")[0] for name in inputs}):
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
            assert not any(state[~valid].any() for state in states)
            assert len(states) == model.config["num_hidden_layers"] + 1
    assert compared == set(official)


@torch.no_grad()
def test_padded_positions_under_the_reading_of_the_paper(case):
    """The paper pooled padding too, so what stands there must be the official numbers as well.

    It passed DNABERT-2 no mask: there one changes nothing, and [PAD] is a token like any other.
    """
    family, read, load = case
    inputs, official = read("inputs"), read("outputs")
    model = load(reading="as_in_paper") if family == "dnabert2" else load()
    model.reading = "as_in_paper"
    name = "batch" if model.paper_masked or "batch_nomask.input_ids" not in inputs else "batch_nomask"
    last, logits = model(inputs["batch.input_ids"], inputs.get("batch.attention_mask"))
    torch.testing.assert_close(last, official[f"{name}.last_hidden_state"], atol=1e-4, rtol=0)
    if family == "dnabert2":
        torch.testing.assert_close(logits, official["batch_nomask.logits"], atol=1e-4, rtol=0)


def test_gradients(case):
    _, read, load = case
    inputs = read("inputs")
    assert_gradients_as_official(load(), read("grads"), inputs["batch.input_ids"], inputs.get("batch.attention_mask"))


def test_saved_again_it_is_the_published_file(case):
    _, read, load = case
    model = load()
    published, state = read("weights"), model.published_state()
    assert state.keys() == published.keys() - model.shared_names().keys()
    assert all(torch.equal(state[name], published[name]) for name in state)


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"mistral"}))
def test_full_size_keys_and_parameters(name, golden):
    full = golden / name / "full_size"
    keys, summary = (json.loads((full / f"{f}.json").read_text()) for f in ("keys", "summary"))
    model_class = family_class(SETS[name])
    with torch.device("meta"):
        model = model_class(model_class.check_config(json.loads((full / "config.json").read_text())))
    state = model.state_dict()
    assert {k: list(v.shape) for k, v in state.items()} == {k: v["shape"] for k, v in keys.items()}
    assert {k: str(v.dtype) for k, v in state.items()} == {k: f"torch.{v['dtype']}" for k, v in keys.items()}
    assert sum(p.numel() for p in model.parameters()) == summary["parameters"]
    if name == "plant_caduceus":  # published with every name, prefix or none
        assert len(state) == summary["state_dict_tensors"]
        assert len(state) - len(model.shared_names()) == summary["tensors_without_tied_duplicates"]
        return
    assert len(state) - (0 if name in PICKLED else len(model.shared_names())) == summary["published_tensors"]
    if name == "caduceus_ps":
        counts = [summary[what] for what in ("state_dict_tensors", "published_tensors", "parameters")]
        assert counts == [309, 276, 7725312]


def test_hyenadna_pickled_form_with_every_copy(golden, tmp_path):
    """The pickled files hold the shared sine under all its names."""
    for name in ("config.json", "weights.safetensors"):
        shutil.copy(golden / "hyenadna" / "a" / name, tmp_path / name.replace("weights", "model"))
    model = load_checkpoint(tmp_path, "hyenadna")
    assert "hyena.backbone.layers.0.mixer.filter_fn.implicit_filter.3.freq" in model.shared_names()
    assert_read_in_both_forms(tmp_path, model)
