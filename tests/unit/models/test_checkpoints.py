"""Layouts of published weights: prefixes, heads beside, parts with an index, and what is not read."""

import hashlib
import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models.checkpoints.files import choose, outlines, read_tensors
from foundationless.models.hub import describe_directory
from foundationless.models.registry import family_class
from foundationless.models.weights import initialise, load_checkpoint, load_weights
from foundationless.study.config import read_yaml
from support import ROOT
from support.catalogue import build
from support.hub import REVISION, run_commands, serving
from support.networks import TINY, publish, tokens

POOLER = {"bert.pooler.dense.weight": torch.ones(2, 2), "bert.pooler.dense.bias": torch.ones(2)}


def rewrite(directory, change):
    path = directory / "model.safetensors"
    save_file({name: tensor.clone() for name, tensor in change(load_file(path)).items()}, path)


def bare(prefix, head):
    return lambda state: {n.removeprefix(prefix): t for n, t in state.items() if not n.startswith(head)}


FORMS = {  # family, what was written instead of what the lab published, whether logits follow
    "gena_lm pretraining": ("gena_lm", lambda s: s | POOLER | {"cls.seq_relationship.bias": torch.ones(2)}, True),
    "gena_lm classifier": ("gena_lm", lambda s: bare("", "cls.")(s) | {"classifier.bias": torch.ones(2)}, False),
    "dnabert2 bare": ("dnabert2", bare("bert.", "cls."), False),
    "hyenadna classifier": ("hyenadna", lambda s: bare("", "lm_head.")(s) | {"score.weight": torch.ones(2)}, False),
    "hyenadna bare": ("hyenadna", bare("hyena.", "lm_head."), False),
    "nt_v1 bare": ("nt_v1", bare("esm.", "lm_head."), False),
    "mistral bare": ("mistral", bare("model.", "lm_head."), False),
    "mistral parallel": ("mistral", lambda s: {f"module.{n}": t for n, t in s.items()}, True),
    "nt_v1 older norms": ("nt_v1", lambda s: {older(n): t for n, t in s.items()}, True),
    "bert with a head": ("bert", lambda s: with_head(s), True),
}  # fmt: skip


def with_head(state):
    head = {"cls.predictions.bias": state["embeddings.LayerNorm.bias"]}
    return {f"bert.{name}": tensor for name, tensor in state.items()} | head


def older(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_a_form_gives_the_same_states(tmp_path, form):
    family, change, has_head = FORMS[form]
    model, (ids,) = initialise(family, TINY[family], 2), tokens(family, 20)
    directory = publish(tmp_path / "official", model)
    rewrite(directory, change)
    read = load_checkpoint(directory, family)
    assert torch.equal(read.encode(ids[None]), model.encode(ids[None]))
    assert read.has_head == has_head and bool(read.left_out) == any(w in form for w in ("classifier", "head", "pretr"))
    if has_head and family != "bert":
        assert torch.equal(read(ids[None])[1], model(ids[None])[1])
    elif not has_head:
        with pytest.raises(UserError, match="the checkpoint has no vocabulary head"):
            read(ids[None])
    network = family_class(family)
    foreseen = network.foresee(network.check_config(TINY[family]), outlines(directory), "there")
    assert foreseen.has_head == has_head and foreseen.left_out == read.left_out
    assert all(tensor.is_meta for tensor in foreseen.state_dict().values())


def test_outlines_know_every_dtype(tmp_path):
    names = "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 bfloat16 float32 float64 complex64"
    state = {name: torch.zeros(2, 3).to(getattr(torch, name)) for name in names.split()}
    save_file(state, tmp_path / "model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in outlines(tmp_path).items()} == dict.fromkeys(state, (2, 3))


def in_parts(directory):
    """The weights of a directory as two files with their index."""
    state = load_file(directory / "model.safetensors")
    names, places = sorted(state), {}
    for part in (0, 1):
        file = f"model-0000{part + 1}-of-00002.safetensors"
        save_file({name: state[name] for name in names[part::2]}, directory / file)
        places |= dict.fromkeys(names[part::2], file)
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return state, places


def test_parts_and_their_index(tmp_path):
    directory = publish(tmp_path / "tiny", initialise("hyenadna", TINY["hyenadna"], 2))
    state, places = in_parts(directory)
    index = directory / "model.safetensors.index.json"
    assert all(torch.equal(tensor, state[name]) for name, tensor in read_tensors(directory)[1].items())
    hashes = describe_directory(directory).sha256
    assert isinstance(hashes, dict) and set(hashes) == set(places.values())
    name = min(places)
    for said, sentence in (
        ({"weight_map": places | {"a.weight": places[name]}}, "tensor 'a.weight' is in none of its files"),
        ({"weight_map": places | {name: "model-00003-of-00003.safetensors"}}, "no such file, and model.safetensors"),
        ({"weight_map": places | {name: "../secret.bin"}}, "does not name files beside it"),
        ({"weight_map": {}}, "does not name files beside it"),
        ([], "not the index of weights"),
    ):
        index.write_text(json.dumps(said))
        with pytest.raises(UserError, match=sentence):
            read_tensors(directory)


def test_what_is_not_read_says_what_it_is():
    for name, said in (
        ("weights.ckpt", "a checkpoint of Lightning.*HyenaDNA: the repository whose name ends in -hf"),
        ("adapter_model.safetensors", "adapters of `peft`.*merge them"),
        ("model-q4.gguf", "quantised"),
        ("tf_model.h5", "weights of TensorFlow"),
        ("model-00001-of-00002.safetensors", "the index of several"),
        ("pytorch_model-00001-of-00002.bin", "without their index"),
        ("README.md", "neither model.safetensors nor pytorch_model.bin"),
    ):
        with pytest.raises(UserError, match=said) as refused:
            choose(["config.json", name], "lab/model")
        assert "\n" not in str(refused.value) and str(refused.value).startswith("lab/model: ")


def test_a_repository_in_parts_from_the_hub_to_its_weights(tmp_path, monkeypatch):
    """Entered by index and headers alone, downloaded with all its parts, and each has the hash that it should."""
    monkeypatch.chdir(ROOT)
    row = {"model_type": "llama", "read_by": "transformers", "tokenizer": "letters"}
    place = build(tmp_path / "llama", row, positions=128, max_shard_size="20KB")
    held = {path.name: path.read_bytes() for path in place.iterdir()}
    parts = {name for name in held if name.startswith("model-")}
    run = partial(run_commands, home=tmp_path / "home", directory=ROOT)
    enter = ["enter_model", "--repository", "lab/parts", "--name", "parts", "--output", str(tmp_path / "study.yaml")]
    flags = ["--family", "transformers", "--tokenizer", "published", "--model", "parts", "--reading", "published"]
    fetch = ["download_weights", "--repository", "lab/parts", "--revision", REVISION, *flags]
    hashes = {name: hashlib.sha256(held[name]).hexdigest() for name in parts}
    wrong = hashes | {min(parts): "0" * 64}
    with serving({"lab/parts": held}) as (address, fetched):
        done = run([enter], **address)
        assert done.stdout.splitlines()[-1] == "[0]", done.stderr
        assert len(parts) > 2 and not parts & set(fetched), "headers alone"
        calls = [
            [*fetch, "--output", str(tmp_path / out), "--sha256", *(f"{n}={h}" for n, h in expected.items())]
            for out, expected in (("w", hashes), ("bad", wrong))
        ]
        done = run(calls, **address)
        assert done.stdout.splitlines()[-1] == "[0, 2]", done.stderr
        assert parts <= set(fetched) and "sha256 is" in done.stderr
    assert read_yaml(tmp_path / "study.yaml")["models"]["parts"]["pretrained"]["sha256"] == hashes
    card = load_weights(tmp_path / "w").card
    assert card["published_sha256"] == hashes and not (tmp_path / "bad").exists()


def test_a_wrong_tensor_is_refused_when_the_model_is_entered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    directory = publish(tmp_path / "tiny", initialise("hyenadna", TINY["hyenadna"], 2), model_type="hyenadna")
    whole = (directory / "model.safetensors").read_bytes()
    norm = "hyena.backbone.ln_f.weight"
    for change, sentence in (
        (lambda s: {n: t for n, t in s.items() if n != norm}, f"'{norm}' is missing"),
        (lambda s: s | {norm: torch.ones(3)}, f"'{norm}' has shape [3]"),
        (lambda s: s | {"stray.weight": torch.ones(3)}, "'stray.weight' is unexpected"),
    ):
        (directory / "model.safetensors").write_bytes(whole)
        rewrite(directory, change)
        assert main(["enter_model", "--path", str(directory), "--output", str(tmp_path / "t.yaml")]) == 2
        error = capsys.readouterr().err
        assert sentence in error and len(error.splitlines()) == 1 and not (tmp_path / "t.yaml").exists()
    (directory / "model.safetensors").write_bytes(whole)
    rewrite(directory, bare("", "lm_head."))
    study = ["--study", "config/mini-full.yaml", "--output", str(tmp_path / "t.yaml")]
    assert main(["enter_model", "--path", str(directory), *study]) == 0
    said = capsys.readouterr().err
    assert said.startswith("tiny: family 'hyenadna', tokenizer 'hyenadna' (character, 12 ids), causal")
    assert "It has no vocabulary head" in said and "likelihood" in said
    assert not {"likelihood", "mutagenesis"} & read_yaml(tmp_path / "t.yaml")["analyses"].keys()
