"""From a published checkpoint to a study of it: every family known by its config, every mistake in one sentence."""

import hashlib
import io
import json
import os
import shutil
import subprocess
from functools import partial

import pytest

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.models import onboarding
from foundationless.models.hub import Description, describe_directory
from foundationless.models.weights import initialise
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.families import count_parameters
from support import ROOT
from support.hub import REVISION, run_commands, serving
from support.networks import HYENA, publish

HUB = {"source": "hub", "repository": "lab/tiny"}
PUBLISHED = {  # official config -> (model of the table, tokenizer files)
    "DNABERT-2-117M": ("dnabert2", "dnabert2"),
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16": ("caduceus", None),
    "gena-lm-bert-base-t2t-multi": ("genalm", "gena_lm"),
    "hyenadna-tiny-1k-seqlen-hf": ("hyenadna", None),
    "nucleotide-transformer-500m-1000g": ("nt500m", None),
    "nucleotide-transformer-v2-50m-multi-species": ("ntv2", None),
}


@pytest.fixture
def checkpoint(tmp_path):
    return publish(tmp_path / "Tiny-1k", initialise("hyenadna", HYENA, 4), model_type="hyenadna")


def entry_of(directory, **changes):
    published = Description(directory, REVISION, "0" * 64)
    return onboarding.describe_model(HUB, published, changes.get("family"), changes.get("tokenizer"), "Tiny")


def enter(*flags):
    return main(["enter_model", *map(str, flags)])


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_config_gives_the_entry_of_the_table(shared, tmp_path, name):
    official = next((shared / "golden/official_configs").glob(f"{name}.config*.json"))
    shutil.copy(official, tmp_path / "config.json")
    known, pieces = PUBLISHED[name]
    if pieces:
        shutil.copy(shared / "golden/tokenizers/files" / pieces / "tokenizer.json", tmp_path)
    entry, expected = entry_of(tmp_path), read_yaml("config/models.yaml")[known]
    for key in ("family", "tokenizer", "tokenizer_class", "objective", "parameters", "arms"):
        assert entry[key] == expected[key], key
    assert entry["max_tokens"] >= expected["max_tokens"]
    assert expected["config"] | entry["config"] == entry["config"] | expected["config"]
    assert entry["pretrained"] == {**HUB, "revision": REVISION, "sha256": "0" * 64}
    assert entry.get("tokenizer_file") == ({**HUB, "revision": REVISION} if pieces else None)


def test_what_else_a_config_may_be():
    assert onboarding.recognise({"model_type": "mistral"}) == "mistral"
    assert onboarding.recognise({"model_type": "bert"}) == "transformers"
    for config, said in (
        ({"model_type": "t5"}, r"calls itself 't5'.*--family: hyenadna, caduceus.*model_types albert, bert"),
        ({"model_type": "llama", "architectures": ["LabForCausalLM"]}, "asks for LabForCausalLM, which is code of its"),
        ({"architectures": ["EvoModel"]}, "calls itself 'EvoModel'"),
        ({}, r"^/a/config\.json: no family is known by it .* transformers, or PATH\.py:Class"),
    ):
        with pytest.raises(UserError, match=said):
            onboarding.recognise(config, "/a/config.json")


def test_vocabularies_that_no_tokenizer_reads_are_refused(tmp_path, shared):
    """Models of proteins or of other pieces share an architecture, and would read noise."""
    official = next((shared / "golden/official_configs").glob("nucleotide-transformer-500m*"))
    config = json.loads(official.read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 33}))
    for changes, said in (
        ({}, "it has 33 tokens, and tokenizer 'nt_v1' has 4105"),
        ({"family": "caduceus"}, "family 'caduceus': the key 'd_model' is missing"),
        ({"tokenizer": "words"}, "no tokenizer 'words'"),
    ):
        with pytest.raises(UserError, match=said):
            entry_of(tmp_path, **changes)


def test_names():
    assert onboarding.name_of("lab/HyenaDNA-tiny_1k") == "hyenadnatiny1k"
    assert onboarding.name_of("/a/2nd.model/") == "ndmodel"
    with pytest.raises(UserError, match="--name"):
        onboarding.name_of("lab/---")


def test_the_whole_mini_study_has_the_model_wherever_it_makes_sense(checkpoint):
    before, mini = read_yaml("config/mini-full.yaml"), read_yaml("config/mini-full.yaml")
    entry = entry_of(checkpoint)
    study, remarks = onboarding.put_on_trial(mini, "tiny", entry)
    assert mini == before
    design = read_study(study)
    left_out = {*onboarding.VARIANTS, "ingredients"}  # which is pretrained anew
    assert set(before["analyses"]) - set(study["analyses"]) == left_out
    assert all(word in " ".join(remarks) for word in (*left_out, "caduceus.mini.paper", "3e-05"))
    assert set(design.networks) == {"tiny", "cnn.mini", "dilated_cnn.tiny"}
    of_tiny = [job for job in design.cells if job.model == "tiny"]
    originally = read_study(before)
    planned, original = ({(one, task) for one in of.by_task for task in of.by_task[one]} for of in (design, originally))
    for analysis, task in planned:
        arms = {job.init for job in of_tiny if (job.analysis, job.task) == (analysis, task)}
        assert {"pretrained", "random"} <= arms, (analysis, task)
    assert planned == {pair for pair in original if pair[0] not in left_out}
    baselines, before = ({job[:4] for job in plan.cells if job.init == "baseline"} for plan in (design, originally))
    assert baselines == before
    seeds = {(job.analysis == "finetune", job.init): job.seed for job in sorted(of_tiny, key=lambda job: job.seed)}
    assert all(seed == 9 * decides for (decides, _), seed in seeds.items())
    assert design.deciding == "finetune" and list(design.looks) == list(range(3, 11))
    assert any("The analysis finetune has 3 to 10 seeds" in remark for remark in remarks), "one seed has no word"
    beside = design.model("dilated_cnn.tiny")
    assert count_parameters(beside.family, beside.config) == pytest.approx(entry["parameters"], rel=0.05)
    assert design.config["analyses"]["finetune"]["baselines"].count("dilated_cnn.tiny") == 1, "of two in the study"
    assert design.networks_from("hub") == ("tiny",) and not design.networks_from("workflow")
    with pytest.raises(UserError, match="a baseline of the study has that name"):
        onboarding.put_on_trial(mini, "cnn", entry)


def test_a_model_too_large_to_be_matched_goes_without_that_baseline(checkpoint):
    study, remarks = onboarding.put_on_trial(
        read_yaml("config/mini-full.yaml"), "huge", {**entry_of(checkpoint), "parameters": 3 * 10**9}
    )
    names = {*study["baselines"], *study["analyses"]["finetune"]["baselines"]}
    assert "cnn.mini" in names and not any(name.startswith("dilated_cnn") for name in names)
    assert any("Left out: dilated_cnn.mini (" in remark and "3,000,000,000" in remark for remark in remarks)


def test_an_entry_stands_in_the_study_or_in_the_table(checkpoint):
    study, _ = onboarding.put_on_trial(read_yaml("config/mini.yaml"), "tiny", entry_of(checkpoint))
    for name, sentence in (("hyenadna", "has an entry of that name"), ("tiny.big", "does not match")):
        config = study | {"models": {name: study["models"]["tiny"]}}
        with pytest.raises(UserError, match=sentence):
            read_study(config)
    incomplete = {key: value for key, value in study["models"]["tiny"].items() if key != "label"}
    with pytest.raises(UserError, match="config, models, tiny: 'label' is a required property"):
        read_study(study | {"models": {"tiny": incomplete}})


def test_a_directory_is_entered_and_entered_again(tmp_path, checkpoint, capsys):
    flags = ["--path", checkpoint, "--study", "config/mini-full.yaml", "--output", tmp_path / "trials/tiny.yaml"]
    assert enter(*flags) == 0
    first = capsys.readouterr()
    assert first.out == f"{tmp_path}/trials/tiny.yaml\n" and "Left out: the analyses tokenizer and width" in first.err
    study = read_yaml(tmp_path / "trials/tiny.yaml")
    weights = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    assert study["models"]["tiny1k"]["pretrained"] == {"source": "local", "path": str(checkpoint), "sha256": weights}
    before = (tmp_path / "trials/tiny.yaml").stat().st_mtime_ns
    assert enter(*flags) == 0 and (tmp_path / "trials/tiny.yaml").stat().st_mtime_ns == before
    capsys.readouterr()
    assert enter(*flags, "--name", "another") == 2
    assert "exists already and says something else; delete it, or give another --name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--name", "hyenadna"], "has an entry of that name; give yours another"),
        (["--name", "Tiny-1"], "does not match"),
        (["--name", "kmer_logistic"], "a baseline of the study has that name"),
        (["--family", "hyena"], "no architecture family 'hyena'"),
        (["--tokenizer", "nt_v2"], "it has 16 tokens, and tokenizer 'nt_v2' has 4107"),
        (["--study", "no.yaml"], "no.yaml: no such file"),
        (["--study", "config/models.yaml"], "config/models.yaml"),
    ],
)
def test_what_cannot_be_put_on_trial_is_one_sentence(tmp_path, checkpoint, capsys, change, sentence):
    assert enter("--path", checkpoint, "--output", tmp_path / "t.yaml", *change) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1 and not (tmp_path / "t.yaml").exists()


def test_a_checkpoint_that_is_none(tmp_path, checkpoint):
    (checkpoint / "config.json").rename(tmp_path / "config.json")
    with pytest.raises(UserError, match=r"no config\.json"):
        describe_directory(checkpoint)
    (tmp_path / "config.json").rename(checkpoint / "config.json")
    (checkpoint / "model.safetensors").rename(checkpoint / "model-00001-of-00002.safetensors")
    with pytest.raises(UserError, match=r"is not read: it is .* the index of several beside them \(model.safetensors"):
        describe_directory(checkpoint)
    with pytest.raises(UserError, match="no such directory"):
        describe_directory(tmp_path / "nothing")


def test_a_broken_config_is_its_owners(tmp_path, checkpoint, capsys):
    for broken in (b'{"d_model": ', b"\xff\xfe{}", b""):
        (checkpoint / "config.json").write_bytes(broken)
        assert enter("--path", checkpoint, "--output", tmp_path / "t.yaml") == 2
        error = capsys.readouterr().err
        assert f"{checkpoint}/config.json: not valid JSON" in error and "mend it" in error and "delete" not in error


def test_the_study_is_read_before_the_hub_is_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("foundationless.models.hub.describe_repository", None)
    assert enter("--repository", "lab/tiny", "--study", tmp_path / "no.yaml") == 2
    assert "no.yaml: no such file" in capsys.readouterr().err


def make_trial(directory, *words):
    """`make trial` in a folder where `enter_model` and `snakemake` only say how they were called."""
    (directory / ".venv/bin").mkdir(parents=True, exist_ok=True)
    (directory / ".venv/.installed").touch()
    for name in ("python", "snakemake"):
        said = f'#!/bin/sh\necho {name} >> "$CALLS"; printf "[%s]" "$@" >> "$CALLS"; echo "the study.yaml"\n'
        (directory / ".venv/bin" / name).write_text(said)
        (directory / ".venv/bin" / name).chmod(0o755)
    calls = directory / "calls"
    calls.write_text("")
    command = ["make", "-f", str(ROOT / "Makefile"), "-o", ".venv/.installed", "trial", *words]
    environment = {"PATH": os.environ["PATH"], "CALLS": str(calls)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return done, calls.read_text()


def test_make_trial_takes_any_path_and_says_how_it_is_used(tmp_path):
    (tmp_path / "my it's $(odd) model").mkdir()
    done, calls = make_trial(tmp_path, "MODEL=my it's $$(odd) model", "STUDY=a b.yaml")
    assert done.returncode == 0, done.stderr
    assert "[enter_model][--path][my it's $(odd) model][--study][a b.yaml]" in calls
    assert "[--configfile][the study.yaml]" in calls and "study=" not in done.stdout
    done, calls = make_trial(tmp_path, "MODEL=lab/tiny")
    assert done.returncode == 0 and "[--repository][lab/tiny]" in calls
    done, calls = make_trial(tmp_path)
    assert done.returncode == 2 and "make trial MODEL=OWNER/NAME" in done.stderr and calls == ""


def test_a_hub_is_asked_and_its_answers_are_sentences(tmp_path, checkpoint):
    held = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    strange = json.dumps({"model_type": "t5"}).encode()
    files = {
        "lab/tiny": held | {"modeling_hyena.py": b"raise SystemExit(9)"},
        "lab/secret": held,
        "lab/bare": {"README.md": b""},
        "lab/empty": {"config.json": held["config.json"]},
        "lab/strange": held | {"config.json": strange},
        "lab/broken": held | {"config.json": b"{"},
    }
    cases = [  # name of the output, repository, flags, and the words in which it is refused
        ("good", "lab/tiny", [], None),
        ("again", "lab/tiny", ["--revision", REVISION], None),
        ("secret", "lab/secret", [], "set HF_TOKEN"),
        ("absent", "lab/absent", [], "no such repository"),
        ("gone", "lab/tiny", ["--revision", "f" * 40], f"no such repository with revision {'f' * 40}"),
        ("branch", "lab/tiny", ["--revision", "main"], "not a full commit hash"),
        ("bare", "lab/bare", [], "no config.json"),
        ("empty", "lab/empty", [], "neither model.safetensors nor pytorch_model.bin"),
        ("strange", "lab/strange", [], "calls itself 't5'"),
        ("broken", "lab/broken", [], "not valid JSON"),
        ("odd", "../lab", [], "give OWNER/NAME"),
    ]
    calls = [
        ["enter_model", "--repository", repository, *more, "--name", "tiny", "--output", f"{tmp_path}/{name}.yaml"]
        for name, repository, more, _ in cases
    ]
    run = partial(run_commands, home=tmp_path / "home", directory=ROOT)
    with serving(files, {"lab/secret": "hf_password"}) as (address, fetched):
        done = run(calls, **address)
        assert done.stdout.splitlines()[-1] == "[0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2]", done.stderr
        told = run([calls[2]], **address, HF_TOKEN="hf_password")
        assert told.stdout.splitlines()[-1] == "[0]", told.stderr
    study = read_yaml(tmp_path / "good.yaml")
    weights = hashlib.sha256(held["model.safetensors"]).hexdigest()
    assert study["models"]["tiny"]["pretrained"] == {**HUB, "revision": REVISION, "sha256": weights}
    assert (tmp_path / "again.yaml").read_bytes() == (tmp_path / "good.yaml").read_bytes()
    assert "hf_password" not in (tmp_path / "secret.yaml").read_text() + told.stderr
    assert set(fetched) == {"config.json"}, "no weights yet, and no code ever"
    sentences = [line for line in done.stderr.splitlines() if ": error: " in line]
    assert "Traceback" not in done.stderr
    for sentence, (*_, words) in zip(sentences, cases[2:], strict=True):
        assert words in sentence
    # The server is gone.
    lost = run([[*calls[0][:-1], f"{tmp_path}/lost.yaml"]], HF_ENDPOINT=address["HF_ENDPOINT"])
    assert lost.stdout.splitlines()[-1] == "[2]" and "could not be downloaded" in lost.stderr
    assert len([line for line in lost.stderr.splitlines() if "error" in line]) == 1


def test_a_mirror_is_a_hub(tmp_path, checkpoint, capsys):
    place = tmp_path / "mirror/huggingface.co/lab/tiny/resolve"
    place.mkdir(parents=True)
    shutil.copytree(checkpoint, place / REVISION)
    flags = ["--repository", "lab/tiny", "--mirror", tmp_path / "mirror", "--output", tmp_path / "t.yaml"]
    assert enter(*flags) == 0
    study = read_yaml(tmp_path / "t.yaml")
    assert study["mirror"] == str(tmp_path / "mirror")
    assert study["models"]["tiny"]["pretrained"]["revision"] == REVISION
    shutil.copytree(checkpoint, place / ("f" * 40))
    capsys.readouterr()
    assert enter(*flags) == 2 and "2 revisions are there; name one" in capsys.readouterr().err
    assert enter(*flags, "--revision", "f" * 40) == 2
    assert f"it holds revision {REVISION}; give that --revision" in capsys.readouterr().err


def test_a_trial_names_its_study_its_price_and_its_power(tmp_path, checkpoint, monkeypatch, capsys):
    """The study follows from where networks run, and is the one that was asked for where one was."""
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    flags = ["--path", checkpoint, "--output"]
    with monkeypatch.context() as patched:
        patched.setattr("torch.cuda.is_available", lambda: False)
        assert enter(*flags, tmp_path / "a.yaml") == 0
    said = capsys.readouterr().err
    assert "the study config/mini.yaml, because this machine has no GPU" in said
    assert " 0.0 GPU-hours" in said and "cpu: " in said and "(frozen, 14 tasks, " in said
    with monkeypatch.context() as patched:
        patched.setattr("torch.cuda.is_available", lambda: True)
        patched.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H200")
        assert enter(*flags, tmp_path / "b.yaml") == 0
    said = capsys.readouterr().err
    assert "the study config/trial.yaml, because this machine has a GPU (NVIDIA H200)" in said
    assert "h200: " in said and "(finetune, 25 tasks, " in said and len(read_yaml(tmp_path / "b.yaml")["models"]) == 1
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "slurm")
    assert enter(*flags, tmp_path / "b.yaml") == 0
    assert "config/trial.yaml, because SNAKEMAKE_PROFILE is slurm" in capsys.readouterr().err
    assert enter(*flags, tmp_path / "a.yaml", "--study", "config/mini.yaml") == 0
    assert "the study config/mini.yaml, as asked for" in capsys.readouterr().err


def test_a_terminal_is_asked_before_a_trial_starts(tmp_path, checkpoint, monkeypatch, capsys):
    flags = ["--path", checkpoint, "--study", "config/mini.yaml", "--output", tmp_path / "a.yaml"]
    for answer, more, code in (("n\n", (), 2), ("", (), 2), ("y\n", (), 0), ("n\n", ("--yes",), 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        assert enter(*flags, *more) == code
        said = capsys.readouterr()
        assert ("Start it?" in said.err) is not bool(more)
        assert (said.out == "") is bool(code) and ("not started; the study is" in said.err) is bool(code)
