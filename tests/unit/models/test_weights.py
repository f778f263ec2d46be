"""Weights: directories whole and checked, strict loading, and the hub by pinned revision, on a fake hub."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models.weights import initialise, load_checkpoint, load_weights, save_weights
from foundationless.runtime.cards import read_card
from support.hub import REVISION, run_commands, serving

CONFIG = {
    "d_model": 16, "n_layer": 1, "d_inner": 32, "vocab_size": 12, "max_seq_len": 34, "emb_dim": 3, "filter_order": 8,
    "num_inner_mlps": 1, "model_type": "hyenadna",
}  # fmt: skip
CARD = {"model": "tiny", "family": "hyenadna", "tokenizer": "hyenadna", "init": "random", "seed": 4, "source": "test"}


@pytest.fixture
def model():
    return initialise("hyenadna", CONFIG, 4)


@pytest.fixture
def checkpoint(tmp_path, model):
    directory = tmp_path / "official"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    save_file(model.published_state(), directory / "model.safetensors")
    return directory


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_round_trip(tmp_path, model):
    save_weights(tmp_path / "w", model, CARD)
    before = torch.random.get_rng_state()
    loaded = load_weights(tmp_path / "w")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(model, loaded.model) and not loaded.model.training
    assert loaded.tokenizer.name == "hyenadna"
    assert loaded.card == CARD | {
        "reading": "published",
        "parameters": sum(p.numel() for p in model.parameters()),
        "sha256": hashlib.sha256((tmp_path / "w" / "model.safetensors").read_bytes()).hexdigest(),
    }
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == ["config.json", "model.safetensors", "weights.json"]


def test_nothing_is_left_of_a_failed_write(tmp_path, model):
    with pytest.raises(FileNotFoundError):
        save_weights(tmp_path / "w", model, CARD, tmp_path / "absent.json")
    assert not list(tmp_path.iterdir())


def test_damaged_directories(tmp_path, model):
    with pytest.raises(UserError, match="no such file"):
        load_weights(tmp_path)
    save_weights(tmp_path / "w", model, CARD)
    tensors = tmp_path / "w" / "model.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="sha256 differs"):
        load_weights(tmp_path / "w")
    tensors.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged or incomplete"):
        load_checkpoint(tmp_path / "w", "hyenadna")
    tensors.unlink()
    with pytest.raises(UserError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        load_checkpoint(tmp_path / "w", "hyenadna")
    (tmp_path / "w" / "weights.json").write_text("{}")
    with pytest.raises(UserError, match="no 'model'"):
        load_weights(tmp_path / "w")


def test_strict_keys_and_shapes(checkpoint):
    path = checkpoint / "model.safetensors"
    state = load_file(path)
    for change, message in [
        ({"lm_head.weight": None}, r"'lm_head\.weight' is missing"),
        ({"lm_head.bias": torch.zeros(16)}, r"'lm_head\.bias' is unexpected"),
        ({"lm_head.weight": torch.zeros(12, 16)}, r"'lm_head\.weight' has shape \[12, 16\].*\[16, 16\]"),
    ]:
        save_file({k: v for k, v in (state | change).items() if v is not None}, path)
        with pytest.raises(UserError, match=message):
            load_checkpoint(checkpoint, "hyenadna")
    save_file({k: v.half() for k, v in state.items()}, path)
    assert load_checkpoint(checkpoint, "hyenadna").lm_head.weight.dtype == torch.float32


def test_ignorable_keys(tmp_path):
    config = dict(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=10, pad_token_id=1,
        max_position_embeddings=12, mask_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    model = initialise("nt_v1", config, 0)
    state = {k: v for k, v in model.published_state().items() if "contact_head" not in k}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save(state | {"esm.embeddings.position_ids": torch.arange(12)[None]}, tmp_path / "pytorch_model.bin")
    loaded = load_checkpoint(tmp_path, "nt_v1")
    ids = torch.tensor([[3, 4, 5, 6]])
    assert torch.equal(loaded(ids)[1], model(ids)[1])


class Exploit:
    """A pickle that would run a program."""

    def __reduce__(self):
        return os.system, ("touch exploited",)


def write_exploit(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    with (directory / "pytorch_model.bin").open("wb") as stream:
        pickle.dump({"lm_head.weight": Exploit()}, stream, protocol=2)


def test_malicious_pickle_is_refused(checkpoint, monkeypatch, tmp_path, capsys):
    write_exploit(checkpoint)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="could run code"):
        load_checkpoint(checkpoint, "hyenadna")
    (checkpoint / "pytorch_model.bin").write_bytes(b"no checkpoint at all")
    with pytest.raises(UserError, match="the file is damaged"):
        load_checkpoint(checkpoint, "hyenadna")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, checkpoint / "pytorch_model.bin")
    with pytest.raises(UserError, match="plain table of named tensors"):
        load_checkpoint(checkpoint, "hyenadna")
    assert not (tmp_path / "exploited").exists()


# ---- commands


def initialise_command(output: Path, *changes: str) -> int:
    flags = {"--family": "hyenadna", "--config": json.dumps(CONFIG), "--tokenizer": "hyenadna", "--model": "tiny"}
    flags |= {"--seed": "4", "--output": str(output)} | dict(zip(changes[::2], changes[1::2], strict=True))
    return main(["initialise", *(word for pair in flags.items() for word in pair)])


def test_initialise_command(tmp_path, model, capsys):
    assert initialise_command(tmp_path / "a") == 0 and initialise_command(tmp_path / "b") == 0
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert same(load_weights(tmp_path / "a").model, model)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert (
        initialise_command(tmp_path / "c", "--config", str(tmp_path / "config.json"), "--tokenizer", "character") == 0
    )
    assert load_weights(tmp_path / "c").tokenizer.name == "character"
    for change in [("--config", "{"), ("--config", "[]"), ("--family", "transformer"), ("--tokenizer", "gena_lm")]:
        assert initialise_command(tmp_path / "d", *change) == 2
        assert "Traceback" not in capsys.readouterr().err and not (tmp_path / "d").exists()


def test_import_command(tmp_path, checkpoint, model, capsys):
    flags = ["--family", "hyenadna", "--tokenizer", "hyenadna", "--model", "tiny", "--output", str(tmp_path / "w")]
    assert main(["import_weights", "--path", str(checkpoint), *flags, "--sha256", "0" * 64]) == 2
    assert "sha256" in capsys.readouterr().err and not (tmp_path / "w").exists()
    assert main(["import_weights", "--path", str(checkpoint), *flags]) == 0
    loaded = load_weights(tmp_path / "w")
    assert same(loaded.model, model) and loaded.card["init"] == "pretrained"
    assert main(["import_weights", "--path", str(tmp_path / "nothing"), *flags]) == 2
    flags[3] = "nt_v1"
    assert main(["import_weights", "--path", str(checkpoint), *flags]) == 2
    assert "do not belong together" in capsys.readouterr().err


def test_models_command(capsys):
    assert main(["models"]) == 0
    assert "hyenadna  causal" in capsys.readouterr().out


# ---- a fake hub, spoken to through the hub's own library


def test_download_from_a_fake_hub(tmp_path, checkpoint, model):
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    config, tensors = (checkpoint / "config.json").read_bytes(), (checkpoint / "model.safetensors").read_bytes()
    pickled = (tmp_path / "pytorch_model.bin").read_bytes()
    write_exploit(checkpoint)
    other = {"config.json": config, "modeling_hyena.py": b"raise SystemExit(9)"}
    files = {
        "lab/both": other | {"model.safetensors": tensors, "pytorch_model.bin": b"never fetched"},
        "lab/pickled": other | {"pytorch_model.bin": pickled},
        "lab/evil": other | {"pytorch_model.bin": (checkpoint / "pytorch_model.bin").read_bytes()},
    }
    common = ["--family", "hyenadna", "--tokenizer", "hyenadna", "--model", "tiny", "--cache", str(tmp_path / "cache")]

    def flags(repository: str, output: str, *more: str) -> list[str]:
        return ["download_weights", "--repository", repository, "--output", str(tmp_path / output), *common, *more]

    pinned = ["--revision", REVISION]
    calls = [
        flags("lab/both", "both", *pinned, "--sha256", hashlib.sha256(tensors).hexdigest()),
        flags("lab/pickled", "pickled", *pinned),
        flags("lab/both", "cached", *pinned, "--offline"),
        flags("lab/evil", "evil", *pinned),
        flags("lab/both", "branch", "--revision", "main"),
        flags("lab/none", "none", *pinned),
        flags("lab/unseen", "unseen", *pinned, "--offline"),
        flags("lab/both", "wrong", *pinned, "--sha256", "0" * 64),
    ]
    with serving(files) as (address, fetched):
        done = run_commands(calls, tmp_path / "home", tmp_path, **address)
    assert done.stdout.strip() == "[0, 0, 0, 2, 2, 2, 2, 2]", done.stderr
    for output in ("both", "pickled", "cached"):
        loaded = load_weights(tmp_path / output)
        assert same(loaded.model, model)
        assert loaded.card["source"].endswith(f"@{REVISION}") and loaded.card["seed"] is None
    for output in ("evil", "branch", "none", "unseen", "wrong"):
        assert not (tmp_path / output).exists()
    assert not (tmp_path / "exploited").exists() and "Traceback" not in done.stderr
    for sentence in ("could run code", "not a full commit hash", "no such repository", "not in the cache", "sha256 is"):
        assert sentence in done.stderr
    assert "modeling_hyena.py" not in fetched
    assert fetched.count("pytorch_model.bin") <= 4  # HEAD and GET, of the two repositories without safetensors


def test_local_hub(tmp_path, checkpoint, model, capsys):
    place = tmp_path / "hub" / "lab" / "tiny" / "resolve"
    place.mkdir(parents=True)
    checkpoint.rename(place / REVISION)
    flags = ["--family", "hyenadna", "--tokenizer", "hyenadna", "--model", "tiny", "--local-hub", str(tmp_path / "hub")]
    command = ["download_weights", "--repository", "lab/tiny", *flags]
    assert main([*command, "--revision", REVISION, "--output", str(tmp_path / "w")]) == 0
    assert same(load_weights(tmp_path / "w").model, model)
    assert main([*command, "--revision", "f" * 40, "--output", str(tmp_path / "v")]) == 2
    assert "no such directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [("family", ["a"]), ("tokenizer", None), ("parameters", "many"), ("sha256", 5), ("reading", "paper")],
)
def test_a_broken_card_is_named(tmp_path, model, key, value):
    save_weights(tmp_path / "w", model, CARD)
    card = json.loads((tmp_path / "w/weights.json").read_text()) | {key: value}
    (tmp_path / "w/weights.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=f"'{key}' is"):
        load_weights(tmp_path / "w")


@pytest.mark.parametrize(
    ("before", "reading"),
    [({"protocol": "paper"}, "as_in_paper"), ({"protocol": "corrected"}, "published"), ({}, "published")],
)
def test_a_card_of_before_is_read_on(tmp_path, model, before, reading):
    """Cards once said `protocol` for the reading, and the first ones nothing; results trees keep them."""
    save_weights(tmp_path / "w", model, CARD)
    path = tmp_path / "w/weights.json"
    card = json.loads(path.read_text())
    del card["reading"]
    path.write_text(json.dumps(card | before))
    loaded = load_weights(tmp_path / "w")
    assert read_card(path) == loaded.card == card | {"reading": reading} and loaded.model.reading == reading
    save_weights(tmp_path / "again", loaded.model, loaded.card)
    assert read_card(tmp_path / "again/weights.json") == loaded.card, "in today's words"


def test_a_tokenizer_beyond_the_table_is_refused(tmp_path, model):
    save_weights(tmp_path / "w", model, CARD | {"tokenizer": "nt_v1"})
    with pytest.raises(UserError, match="'nt_v1' emits"):
        load_weights(tmp_path / "w")


def test_weights_that_are_not_numbers_are_refused(checkpoint):
    tensors = load_file(checkpoint / "model.safetensors")
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(UserError, match="not finite numbers"):
        load_checkpoint(checkpoint, "hyenadna")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layer_norm_epsilon", "x"),
        ("initializer_range", -1),
        ("pad_vocab_size_multiple", 0),
        ("pad_token_id", 99),
        ("activation_freq", float("nan")),
    ],
)
def test_nonsense_in_a_configuration_is_named(key, value):
    with pytest.raises(UserError, match=f"'{key}'"):
        initialise("hyenadna", CONFIG | {key: value}, 0)
