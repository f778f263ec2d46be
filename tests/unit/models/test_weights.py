"""Weights: directories whole and checked, strict loading, and the hub by pinned revision, on a fake hub."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models.weights import initialise, load_checkpoint, load_weights, save_weights
from foundationless.runtime.cards import read_card
from support.fine_tuning import command_line
from support.hub import REVISION, run_commands, serving
from support.networks import CARD, HYENA, TINY, publish, tokens


@pytest.fixture
def model():
    return initialise("hyenadna", HYENA, 4)


@pytest.fixture
def checkpoint(tmp_path, model):
    return publish(tmp_path / "official", model)


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
        save_weights(tmp_path / "w", model, CARD, [tmp_path / "absent.json"])
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


@pytest.mark.parametrize("family", ["nt_v1", "nt_v2"])
def test_ignorable_keys(tmp_path, family):
    model, (ids,) = initialise(family, TINY[family], 0), tokens(family, 9)
    state = {k: v for k, v in model.published_state().items() if "contact_head" not in k or family == "nt_v2"}
    (tmp_path / "config.json").write_text(json.dumps(model.config))
    torch.save(state | {"esm.embeddings.position_ids": torch.arange(66)[None]}, tmp_path / "pytorch_model.bin")
    assert torch.equal(load_checkpoint(tmp_path, family)(ids[None])[1], model(ids[None])[1])


class Exploit:
    """A pickle that would run a program."""

    def __reduce__(self):
        return os.system, ("touch exploited",)


@pytest.mark.filterwarnings("error")
def test_pickles_that_are_no_checkpoint_are_refused_without_a_warning(checkpoint):
    path, raw = checkpoint / "pytorch_model.bin", pickle.dumps({"x": print}, protocol=4)
    (checkpoint / "model.safetensors").unlink()
    for data, said in ((b"no checkpoint at all", "the file is damaged"), (raw, "not plain tensors")):
        path.write_bytes(data)
        with pytest.raises(UserError, match=said):
            load_checkpoint(checkpoint, "hyenadna")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(UserError, match="plain table of named tensors"):
        load_checkpoint(checkpoint, "hyenadna")


def initialise_command(output: Path, **changes: object) -> int:
    flags = dict(family="hyenadna", config=json.dumps(HYENA), tokenizer="hyenadna", model="tiny", seed=4, output=output)
    return main(command_line("initialise", flags | changes))


def test_initialise_command(tmp_path, model, capsys):
    assert initialise_command(tmp_path / "a") == 0 and initialise_command(tmp_path / "b") == 0
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert same(load_weights(tmp_path / "a").model, model)
    (tmp_path / "config.json").write_text(json.dumps(HYENA))
    assert initialise_command(tmp_path / "c", config=tmp_path / "config.json", tokenizer="character") == 0
    assert load_weights(tmp_path / "c").tokenizer.name == "character"
    for change in ({"config": "{"}, {"config": "[]"}, {"family": "transformer"}, {"tokenizer": "gena_lm"}):
        assert initialise_command(tmp_path / "d", **change) == 2
        assert "Traceback" not in capsys.readouterr().err and not (tmp_path / "d").exists()


def test_import_command(tmp_path, checkpoint, model, capsys):
    flags = ["--family", "hyenadna", "--tokenizer", "hyenadna", "--model", "tiny", "--output", str(tmp_path / "w")]
    command = ["import_weights", *flags, "--path"]
    assert main([*command, str(checkpoint), "--sha256", "0" * 64]) == 2
    assert "sha256" in capsys.readouterr().err and not (tmp_path / "w").exists()
    assert main([*command, str(checkpoint)]) == 0
    loaded = load_weights(tmp_path / "w")
    assert same(loaded.model, model) and loaded.card["init"] == "pretrained"
    assert main([*command, str(tmp_path / "nothing")]) == 2
    assert main([*command, str(checkpoint), "--tokenizer", "nt_v1"]) == 2
    assert "do not belong together" in capsys.readouterr().err


def test_download_from_a_fake_hub(tmp_path, checkpoint, model):
    """Through the hub's own library."""
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    config, tensors = (checkpoint / "config.json").read_bytes(), (checkpoint / "model.safetensors").read_bytes()
    pickled = (tmp_path / "pytorch_model.bin").read_bytes()
    other = {"config.json": config, "modeling_hyena.py": b"raise SystemExit(9)"}
    files = {
        "lab/both": other | {"model.safetensors": tensors, "pytorch_model.bin": b"never fetched"},
        "lab/pickled": other | {"pytorch_model.bin": pickled},
        "lab/evil": other | {"pytorch_model.bin": pickle.dumps({"lm_head.weight": Exploit()}, protocol=2)},
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
