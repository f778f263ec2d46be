"""Weights between random and pretrained: what is taken over, what is permuted, and what is refused."""

import re

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from foundationless.__main__ import main
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise, load_weights, retokenized, save_weights
from foundationless.study.families import FAMILIES
from support.fine_tuning import command_line
from support.networks import TINY

TIED = {"caduceus", "caduceus_ph", "dnabert2", "gena_lm", "mutbert", "transformers"}  # vocabulary head and embedding
TOKENIZERS = {"caduceus_ph": "caduceus"}  # of families that are bound to one; otherwise:
TOKENIZER = "character"


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def save(directory, family, init, seed, config=None, **card):
    """Weights that are nowhere near a fresh draw if `pretrained`."""
    tokenizer = TOKENIZERS.get(family, TOKENIZER)
    model = initialise(family, config or retokenized(family, TINY[family], load_tokenizer(tokenizer)), seed)
    if init == "pretrained":
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    facts = {"model": "m", "family": family, "tokenizer": tokenizer, "init": init, "seed": seed, "source": "here"}
    save_weights(directory, model, facts | card)
    return directory


def derive(directory, pretrained, random, init, seed=1):
    flags = {"pretrained": pretrained, "random": random, "init": init, "seed": seed, "model": "m", "output": directory}
    return main(command_line("make_control_arm", flags))


@pytest.fixture
def pair(tmp_path, family):
    pretrained = save(tmp_path / "pretrained", family, "pretrained", 7)
    return pretrained, save(tmp_path / "random", family, "random", 1)


def tensors(directory):
    return load_file(directory / "model.safetensors")


def test_embedding_alone_is_pretrained(tmp_path, pair, family, capsys):
    code = derive(tmp_path / "out", *pair, "embedding")
    if family in ("cnn", "dilated_cnn", "gpn"):  # they read letters as they are
        assert code == 2 and f"family '{family}': no table of token embeddings" in capsys.readouterr().err
        return
    assert code == 0
    pretrained, random, found = (tensors(path) for path in (*pair, tmp_path / "out"))
    taken = {name for name in found if np.array_equal(found[name], pretrained[name])}
    kept = {name for name in found if np.array_equal(found[name], random[name])}
    assert found.keys() == taken | kept
    (table,) = taken - kept
    width = found[table].shape[1]
    assert re.search("emb|wte", table) and "position" not in table
    assert found[table].shape[0] >= load_tokenizer(TOKENIZERS.get(family, TOKENIZER)).size
    weights = load_weights(tmp_path / "out")
    state = weights.model.state_dict()
    tied = {name for name, first in weights.model.shared_names().items() if first == table}
    assert all(np.array_equal(state[name].numpy(), pretrained[table]) for name in tied)
    assert width <= weights.model.width and bool(tied) == (family in TIED)
    assert weights.card["init"] == "embedding" and weights.card["seed"] == 1
    source = weights.card["source"]
    assert load_weights(pair[0]).card["sha256"] in source and load_weights(pair[1]).card["sha256"] in source


def test_permutation_keeps_the_values_of_every_parameter_and_nothing_of_their_order(tmp_path, pair, family):
    random_of = {1: pair[1], 2: save(tmp_path / "random2", family, "random", 2)}
    for name, seed in (("out", 1), ("same", 1), ("other", 2)):
        assert derive(tmp_path / name, pair[0], random_of[seed], "permuted", seed) == 0
    before, found, same, other = map(tensors, (pair[0], *(tmp_path / name for name in ("out", "same", "other"))))
    model = load_weights(tmp_path / "out").model
    trained = {name for name, _ in model.named_parameters()}
    assert before.keys() == found.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(np.sort(values, axis=None), np.sort(before[name], axis=None), err_msg=name)
        assert np.array_equal(values, same[name]), name
        if name not in trained:
            assert np.array_equal(values, before[name]), name
        elif values.size > 8:
            correlation = np.corrcoef(values.ravel(), before[name].ravel())[0, 1]
            assert abs(correlation) < 6 / np.sqrt(values.size), name
            assert not np.array_equal(values, other[name]), name
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "same/model.safetensors").read_bytes()


def test_a_byte_pair_tokenizer_comes_along(tmp_path):
    pretrained, random = save(tmp_path / "p", "bert", "pretrained", 7), save(tmp_path / "r", "bert", "random", 1)
    (random / "tokenizer.json").write_text("{}")
    assert derive(tmp_path / "out", pretrained, random, "permuted") == 0
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "{}"


def test_weights_that_do_not_belong_together_are_refused_in_one_sentence(tmp_path, capsys):
    config = retokenized("bert", TINY["bert"], load_tokenizer(TOKENIZER))
    good = save(tmp_path / "p", "bert", "pretrained", 7), save(tmp_path / "r", "bert", "random", 1)
    heads = save(tmp_path / "heads", "bert", "random", 1, config | {"num_attention_heads": 2})
    depth = save(tmp_path / "depth", "bert", "random", 1, config | {"num_hidden_layers": 1})
    loud = save(tmp_path / "loud", "bert", "random", 1, config | {"initializer_range": 0.5})
    family = save(tmp_path / "family", "gena_lm", "random", 1)
    tokenizer = save(tmp_path / "words", "bert", "random", 1, config | {"vocab_size": 12}, tokenizer="hyenadna")
    mistakes = {  # what is said -> (pretrained, random, seed)
        "--pretrained: these weights are of init 'random'": (good[1], good[1], 1),
        "--random: these weights are of init 'pretrained'": (good[0], good[0], 1),
        "--seed 3: the random weights are of seed 1": (*good, 3),
        "'num_attention_heads' is 4 in the pretrained and 2": (good[0], heads, 1),
        "'num_hidden_layers' is 2": (good[0], depth, 1),
        "'family' is 'bert' in the pretrained and 'gena_lm'": (good[0], family, 1),
        "'tokenizer' is 'character' in the pretrained and 'hyenadna'": (good[0], tokenizer, 1),
        "": (good[0], loud, 1),
    }
    for number, (expected, (pretrained, random, seed)) in enumerate(mistakes.items()):
        output = tmp_path / f"out{number}"
        assert derive(output, pretrained, random, "permuted", seed) == (2 if expected else 0)
        assert expected in capsys.readouterr().err and output.exists() == (not expected)
