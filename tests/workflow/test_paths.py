"""Blanks, braces and quotes in the paths of a checkout, a mirror, a study and a checkpoint."""

import json
import shlex
import shutil
import subprocess

import pytest
import torch
from safetensors.torch import save_file

from foundationless.models.weights import initialise
from support import ROOT
from support.studies import ENVIRONMENT, checkout, snakemake

ODD = ["with blank", "brace{x}", 'O\'Neil & {co} "(ü)" $5']
HYENA = {
    "d_model": 16, "n_layer": 1, "d_inner": 32, "vocab_size": 12, "max_seq_len": 514, "emb_dim": 3, "filter_order": 8,
    "num_inner_mlps": 1, "model_type": "hyenadna",
}  # fmt: skip


@pytest.fixture(params=ODD)
def odd(tmp_path, request):
    """A checkout in such a folder, with a checkpoint in another of the same name."""
    folder = tmp_path / request.param
    folder.mkdir()
    place = checkout(folder / "project")
    checkpoint = folder / request.param
    checkpoint.mkdir()
    torch.manual_seed(1)
    save_file(initialise("hyenadna", HYENA, 4).published_state(), checkpoint / "model.safetensors")
    (checkpoint / "config.json").write_text(json.dumps(HYENA))
    return place, checkpoint


def test_a_job_and_a_checkpoint_run_there(odd):
    place, checkpoint = odd
    answer = snakemake("--cores", "1", "simulate_genome", directory=place)
    assert answer.returncode == 0, answer.stdout[-2000:]
    assert (place / "resources/simulated/genome.fa").stat().st_size > 0
    flags = ["--tokenizer", "hyenadna", "--study", "config/mini.yaml", "--name", "odd", "--yes"]
    command = ["python", "-m", "foundationless", "enter_model", "--path", str(checkpoint), *flags]
    entered = subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True)
    assert entered.returncode == 0, entered.stderr
    study = entered.stdout.strip()
    until = ("--until", "import_weights", "--config", f"mirror={checkpoint.parent}")
    answer = snakemake("--configfile", study, "--cores", "1", *until, directory=place)
    assert answer.returncode == 0, answer.stdout[-2000:]
    (weights,) = place.glob("results/weights/odd*/pretrained/seed0/model.safetensors")
    assert weights.stat().st_size > 0


@pytest.mark.parametrize("path", ["/my mirror", "/m'y {mirror}", '/a "b" & $c; d', "plain"])
def test_make_hands_paths_on_as_one_word(path):
    """What make would run is one word to the shell, and what the shell hands on is the path."""
    if shutil.which("make") is None:
        pytest.skip("make is not on this machine")

    def said(target, **variables):
        command = [
            "make",
            "-n",
            "-o",
            ".venv/.installed",
            target,
            *(f"{name}={text}" for name, text in variables.items()),
        ]
        answer = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        return answer.stdout.splitlines()[-1]

    given = path.replace("$", "$$")  # as make wants a dollar on its command line
    for text in {path, given} if "$" not in path else {path}:
        assert f"mirror={text}" in shlex.split(said("mini", MIRROR=text))
        assert text in shlex.split(said("status", STUDY=text))
