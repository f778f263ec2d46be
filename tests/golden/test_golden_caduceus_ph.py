"""Conformance of Caduceus-Ph with its conjoining, and of PlantCaduceus (golden/caduceus_ph, golden/plant_caduceus)."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.models.architectures.caduceus import flip
from foundationless.models.weights import load_checkpoint
from foundationless.study.families import recognise
from foundationless.training.classifier import Classifier
from support.golden_data import SETS, assert_gradients_as_official
from support.networks import assert_read_in_both_forms

NAMES = ("caduceus_ph", "plant_caduceus")


@pytest.fixture(params=NAMES)
def published(request, golden, tmp_path):
    """(name, its golden directory, function that loads its weights or those of its `init`)."""
    source = golden / request.param / "a"

    def load(sub="."):
        config = json.loads((source / "config.json").read_text())
        shutil.copy(source / "config.json", tmp_path)
        shutil.copy(source / sub / "weights.safetensors", tmp_path / "model.safetensors")
        assert recognise(config) == SETS[request.param]
        return load_checkpoint(tmp_path, recognise(config))

    return request.param, source, load


@pytest.mark.parametrize(("sub", "tolerance"), [(".", 2e-4), ("init", 2e-5)])
@torch.no_grad()
def test_states_and_logits(published, sub, tolerance):
    name, source, load = published
    model, inputs = load(sub), load_file(source / "inputs.safetensors")
    expected = load_file(source / sub / "outputs.safetensors")
    found = {}
    for case in {key.split(".")[0] for key in expected}:
        ids = inputs[f"{case}.input_ids"]
        last, logits = model(ids)
        states = {f"{case}.hidden_states.{i}": state for i, state in enumerate(model.hidden_states(ids))}
        found |= states | {f"{case}.last_hidden_state": last, f"{case}.logits": logits}
        torch.testing.assert_close(model.encode(ids), last, atol=1e-6, rtol=0)
        if name == "plant_caduceus":  # the embedding of a position, of no strand
            first, second = last.chunk(2, dim=-1)
            found[f"{case}.averaged_embedding"] = (first + second.flip(2)) / 2
            found["masked.probabilities_acgt"] = model(inputs["masked.input_ids"])[1][:, 8, 3:7].softmax(-1)
    assert expected.keys() <= found.keys()
    for key, value in expected.items():
        torch.testing.assert_close(
            found[key].reshape(value.shape), value, atol=tolerance, rtol=0, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_gradients(published):
    _, source, load = published
    inputs, official = load_file(source / "inputs.safetensors"), load_file(source / "grads.safetensors")
    assert_gradients_as_official(load(), official, inputs["batch.input_ids"])


def test_both_published_forms(published, tmp_path):
    _, source, load = published
    model, file = load(), load_file(source / "weights.safetensors")
    state = model.published_state()
    assert state.keys() == file.keys() - model.shared_names().keys()
    assert all(torch.equal(state[key], file[key]) for key in state)
    save_file(state, tmp_path / "model.safetensors")
    assert_read_in_both_forms(tmp_path, model)


def test_a_backbone_without_prefix_or_head(published, tmp_path):
    """As the official base class saves it."""
    _, _, load = published
    model = load()
    bare = {k.removeprefix("caduceus."): v for k, v in model.published_state().items() if not k.startswith("lm_head")}
    save_file(bare, tmp_path / "model.safetensors")
    again = load_checkpoint(tmp_path, model.family).state_dict()
    assert all(torch.equal(again[key], value) for key, value in model.state_dict().items())


class Tokens:
    """Of the golden sets, as far as a classifier asks."""

    pad_id, padding_side, size, unknown_id = 4, "left", 12, 6
    special_ids = frozenset()  # the official code pools over special tokens


@pytest.fixture
def conjoined(golden, tmp_path):
    source = golden / "caduceus_ph" / "a"
    shutil.copy(source / "config.json", tmp_path)
    shutil.copy(source / "weights.safetensors", tmp_path / "model.safetensors")
    files = {what: load_file(source / f"conjoin_{what}.safetensors") for what in ("inputs", "outputs", "heads")}
    return load_checkpoint(tmp_path, "caduceus_ph"), files


@torch.no_grad()
def test_the_other_strand(conjoined):
    """Of the string, special tokens and padding in their places; what was cut off is not the other strand's end."""
    model, files = conjoined
    for case, cut in (("conjoin", 0), ("conjoin_padded_eos", 1)):
        ids = files["inputs"][f"{case}.input_ids"]
        whole = len(ids) - cut
        assert torch.equal(model.other_strand(ids[..., 0])[:whole], ids[:whole, :, 1])
        assert torch.equal(model.other_strand(model.other_strand(ids[..., 0])), ids[..., 0])


@torch.no_grad()
def test_conjoined_states(conjoined):
    model, files = conjoined
    ids, official = files["inputs"]["conjoin.input_ids"], files["outputs"]
    embedding = model.represent(ids[..., 0])
    torch.testing.assert_close(embedding, official["conjoin.averaged_embedding"], atol=1e-4, rtol=0)
    torch.testing.assert_close(embedding.flip(1), model.represent(ids[..., 1]), atol=1e-5, rtol=0)
    for strand, name in enumerate(("fwd", "rc")):
        states = model.encode(ids[..., strand])
        torch.testing.assert_close(states, official[f"conjoin.{name}.last_hidden_state"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_conjoined_classifier(conjoined, pooling):
    model, files = conjoined
    classifier = Classifier(model, Tokens(), 3, pooling, 8)
    with torch.no_grad():
        classifier.head.weight.copy_(files["heads"]["score.weight"])
    ids, official = files["inputs"]["conjoin.input_ids"], files["outputs"]
    strands = [official[f"conjoin.{pooling}.logits_{name}"] for name in ("fwd", "rc")]
    inputs = classifier.inputs([row.numpy() for row in ids[..., 0]])
    with torch.no_grad():
        logits = classifier.eval()(*inputs)
    torch.testing.assert_close(logits, official[f"conjoin.{pooling}.logits"], atol=1e-4, rtol=0)
    torch.manual_seed(0)
    seen, classifier = np.zeros((3, 2)), classifier.train()
    for _ in range(40):
        logits = classifier(*inputs)
        near = torch.stack([(logits - strand).abs().amax(1) < 1e-4 for strand in strands], 1)
        assert (near.sum(1) == 1).all(), "a strand is drawn for every sequence"
        seen += near.numpy()
    assert seen.min() >= 8, seen  # of 40 fair draws, fewer than 8 have probability 4e-5


def test_the_order_of_a_state_on_the_other_strand(golden, tmp_path):
    """PlantCaduceus is exactly equivariant, N and [MASK] included."""
    source = golden / "plant_caduceus" / "a"
    shutil.copy(source / "config.json", tmp_path)
    shutil.copy(source / "weights.safetensors", tmp_path / "model.safetensors")
    model = load_checkpoint(tmp_path, "caduceus")
    ids = torch.tensor([[3, 4, 5, 6, 2, 1, 3, 3, 5]])
    complement = model.lm_head.complement_map
    assert complement.tolist() == [0, 1, 2, 6, 5, 4, 3, 7]
    with torch.no_grad():
        assert torch.equal(model.encode(complement[ids].flip(1)), flip(model.encode(ids)))
