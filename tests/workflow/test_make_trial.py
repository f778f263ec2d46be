"""From a checkpoint on a hub to the verdict: the commands of `make trial`, against a hub on this machine."""

import json
import random
import re
import subprocess

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from foundationless.models.bpe_training import train_pieces
from foundationless.models.weights import initialise
from support import ROOT
from support.catalogue import build
from support.hub import REVISION, serving
from support.studies import ENVIRONMENT, checkout, snakemake

HYENA = {
    "d_model": 16, "n_layer": 1, "d_inner": 32, "vocab_size": 12, "max_seq_len": 514, "emb_dim": 3, "filter_order": 8,
    "num_inner_mlps": 1, "model_type": "hyenadna",
}  # fmt: skip
BERT = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 48,
    "max_position_embeddings": 512, "alibi_starting_size": 512, "type_vocab_size": 2,
}  # fmt: skip


def published(directory, family, config):
    """The files of a checkpoint as its lab would publish them: {name: bytes}."""
    save_file(initialise(family, config, 4).published_state(), directory / "model.safetensors")
    weights = (directory / "model.safetensors").read_bytes()
    return {"config.json": json.dumps(config).encode(), "model.safetensors": weights}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Environment of a process for which a hub has a model of characters and one of byte pairs, with its tokenizer."""
    directory = tmp_path_factory.mktemp("hub")
    letters = random.Random(1)
    pieces = train_pieces("dnabert2", ["".join(letters.choices("ACGT", k=500)) for _ in range(20)], BERT["vocab_size"])
    files = {
        "lab/hyena-tiny": published(directory, "hyenadna", HYENA),
        "lab/bert-tiny": published(directory, "dnabert2", BERT) | {"tokenizer.json": pieces.encode()},
    }
    with serving(files) as (address, _):
        yield ENVIRONMENT | address | {"HF_HOME": str(directory / "home")}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("checkout"))


def enter(directory, environment, *flags):
    """Name of the study that `enter_model` wrote."""
    command = ["python", "-m", "foundationless", "enter_model", *map(str, flags)]
    answer = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_a_trial_on_the_mini_study_plans(elsewhere, hub):
    path = enter(elsewhere, hub, "--repository", "lab/hyena-tiny")
    assert path == "config/trials/hyenatiny.yaml"
    answer = snakemake("-n", "--configfile", path, directory=elsewhere)
    assert answer.returncode == 0, answer.stdout[-2000:]
    planned = dict(re.findall(r"^(\w+) +(\d+)$", answer.stdout.split("Job stats:")[1], flags=re.MULTILINE))
    assert planned["download_weights"] == "1" and "pretrain" not in planned and int(planned["finetune_model"]) > 20
    assert f"lab/hyena-tiny at {REVISION}" in answer.stdout


def small_study(elsewhere):
    """One small simulated task, in the working copy; its name."""
    study = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    study |= {"seeds": [0], "analyses": {"finetune": {"tasks": ["sim_promoter"], "models": ["hyenadna.demo"]}}}
    study |= {"baselines": {"length_gc": {}}}
    del study["truth"]
    study["limits"]["default"] = {"train": 40, "validation": 20, "test": 40}
    study["finetuning"] |= {"learning_rates": [1.0e-3], "epochs": 1}
    study["statistics"]["resamples"] = 100
    (elsewhere / "small.yaml").write_text(yaml.safe_dump(study))
    (elsewhere / ".venv").mkdir(exist_ok=True)
    (elsewhere / ".venv/.installed").touch()  # what `make install` leaves; the tests' own environment is on the path
    return "STUDY=small.yaml"


# Natively in transformers, in the forms that it writes: masked, in shards; causal, as a pickle.
NATIVE = {
    "sharded": ("bert", "letters", "model-00002-of-", "masked"),
    "pickled": ("gpt2", "pieces", "pytorch_model.bin", "causal"),
}


@pytest.mark.parametrize("form", NATIVE)
def test_a_native_checkpoint_in_a_directory_to_the_verdict(elsewhere, tmp_path, form):
    """`make trial MODEL=DIR` of what `save_pretrained` writes: no family is named, no tokenizer either."""
    model_type, tokenizer, part, objective = NATIVE[form]
    rows = {"model_type": model_type, "read_by": "transformers", "tokenizer": tokenizer}
    place = build(tmp_path / f"{form}-tiny", rows, positions=512, max_shard_size="20KB" if form == "sharded" else "1GB")
    if form == "pickled":
        torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
        (place / "model.safetensors").unlink()
    assert any(path.name.startswith(part) for path in place.iterdir())
    command = ["make", "trial", f"MODEL={place}", small_study(elsewhere)]
    made = subprocess.run(command, cwd=elsewhere, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-4000:]
    name = f"{form}tiny"
    assert f"family 'transformers' (model_type '{model_type}'), tokenizer 'published'" in made.stderr
    cards = [
        json.loads((elsewhere / f"results/weights/{name}/{arm}/seed0/weights.json").read_text())
        for arm in ("pretrained", "random")
    ]
    assert [card["family"] for card in cards] == ["transformers"] * 2
    assert cards[0]["parameters"] == cards[1]["parameters"] and cards[0]["sha256"] != cards[1]["sha256"]
    assert isinstance(cards[0]["published_sha256"], dict) == (form == "sharded")
    study = yaml.safe_load((elsewhere / f"config/trials/{name}.yaml").read_text())
    assert study["models"][name]["objective"] == objective
    verdict = json.loads((elsewhere / "results/verdict.json").read_text())
    assert list(verdict["models"]) == [name] and verdict["study"] == f"trial_{name}"


def test_from_a_hub_to_the_verdict(elsewhere, hub):
    """Every step with its own process, on one small simulated task."""
    small_study(elsewhere)
    command = ["make", "trial", "MODEL=lab/bert-tiny", "STUDY=small.yaml", "NAME=berttiny", "FAMILY=dnabert2"]
    made = subprocess.run(command, cwd=elsewhere, env=hub, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-4000:]
    cell = elsewhere / "results/finetune/sim_promoter/berttiny"
    assert {arm.name for arm in cell.iterdir()} == {"pretrained", "random"}
    card = json.loads((elsewhere / "results/weights/berttiny/pretrained/seed0/weights.json").read_text())
    assert card["source"] == f"lab/bert-tiny@{REVISION}"
    verdict = json.loads((elsewhere / "results/verdict.json").read_text())
    assert list(verdict["models"]) == ["berttiny"] and verdict["study"] == "trial_berttiny"
    assert "bert-tiny" in made.stdout
    gate = ["python", "-m", "foundationless", "verdict", "--model", "berttiny"]
    words = ["better", "equivalent", "worse", "undecided"]
    done = subprocess.run(gate, cwd=elsewhere, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and any(word in done.stdout for word in words), done.stderr
    # 40 sequences after one epoch decide nothing in its favour: the gate of a lab's own tests would be closed.
    done = subprocess.run([*gate, "--fail-unless", "better"], cwd=elsewhere, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
