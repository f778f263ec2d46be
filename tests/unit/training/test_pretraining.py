"""Pretraining: what is read and predicted, that loss falls, and that a killed run continues to the same bits."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from foundationless.__main__ import main
from foundationless.data.reference import Genome
from foundationless.evaluation.records import comparable, read_record
from foundationless.models.bpe_training import train_pieces
from foundationless.models.registry import family_class
from foundationless.models.tokenizers import PIECES, load_tokenizer
from foundationless.models.weights import initialise, load_weights, retokenized
from foundationless.runtime.files import read_json, sha256
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.families import FAMILIES
from foundationless.training import pretraining
from foundationless.training.objectives import IGNORED, Counts, Objective
from foundationless.training.pretraining import Settings, decay_groups
from support import ROOT
from support.fine_tuning import at_call, command_line, fail, send
from support.networks import ESM, HYENA, TINY, save_model

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


@pytest.fixture(scope="session")
def genome(tmp_path_factory) -> Path:
    """Three contigs of one repeated word (so there is something to learn), one of N."""
    path = tmp_path_factory.mktemp("genome") / "toy.fa"
    word = "".join(np.random.default_rng(0).choice(list("ACGT"), 23))
    contigs = {"chr1": word * 60, "chr2": word * 50, "chr3": word * 40, "chrN": "N" * 500}
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in contigs.items()))
    return path


def command(directory: Path, weights: Path, fasta: Path, **flags: object) -> list[str]:
    job = dict(model="toy", seed=1, weights=weights, genome=fasta, exclude=["chr2", "chrN"], holdout=["chr3"])
    training = dict(steps=6, window=60, batch_size=4, learning_rate=0.01, minimum_learning_rate=0.001, warmup=2)
    kept = dict(checkpoint_every=3, heldout_windows=8, checkpoints=directory / "checkpoints")
    written = dict(output=directory / "weights", record=directory / "record.json", losses=directory / "losses.tsv")
    return command_line("pretrain", job | training | kept | written | flags)


def job(directory: Path, weights: Path, fasta: Path, **flags: object) -> int:
    return main(command(directory, weights, fasta, **flags))


def same(first: Path, second: Path) -> None:
    """Loss curves, weights and records agree bit by bit."""
    assert (first / "losses.tsv").read_bytes() == (second / "losses.tsv").read_bytes()
    assert sha256(first / "weights/model.safetensors") == sha256(second / "weights/model.safetensors")
    assert comparable(read_record(first / "record.json")) == comparable(read_record(second / "record.json"))


def curve_of(directory: Path) -> pd.DataFrame:
    return pd.read_csv(directory / "losses.tsv", sep="\t")


def test_loss_falls_and_a_weight_directory_comes_out(tmp_path, weights, genome):
    assert job(tmp_path, weights, genome, steps=60, checkpoint_every=20) == 0
    curve = curve_of(tmp_path)
    heldout = curve[curve["split"] == "heldout"]
    assert heldout["step"].tolist() == [0, 20, 40, 60] and (curve["split"] == "train").sum() == 60
    assert abs(heldout["loss"].iloc[0] - math.log(16)) < 0.2  # uniform over the padded vocabulary
    assert heldout["loss"].iloc[-1] < 1.0 < heldout["loss"].iloc[0]
    np.testing.assert_allclose(heldout["bits_per_base"], heldout["loss"] / math.log(2))  # a character is a base
    loaded = load_weights(tmp_path / "weights")
    assert loaded.card["init"] == "pretrained" and loaded.card["model"] == "toy" and loaded.card["seed"] == 0
    assert loaded.card["source"]["excluded"] == ["chr2", "chrN"] and loaded.card["source"]["steps"] == 60
    assert loaded.card["source"]["tokens"] == 60 * 4 * 61
    record = read_record(tmp_path / "record.json")
    final = [r for r in record["results"] if r["extra"]["step"] == 60]
    assert {r["metric"]: r["value"] for r in final}["loss"] == heldout["loss"].iloc[-1]
    assert not list((tmp_path / "checkpoints").iterdir())


ENCODER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
ENTRIES = {"nt_v1": "nt500m", "nt_v2": "ntv2", "gena_lm": "genalm"}  # where the model table has another name
SMALL = {
    "hyenadna": {"d_model": 32, "d_inner": 64, "n_layer": 1, "filter_order": 8},
    "caduceus": {"d_model": 16, "n_layer": 1},
    "mistral": ENCODER | {"num_key_value_heads": 2},
    "nt_v1": ENCODER,
    "nt_v2": ENCODER,
    "dnabert2": ENCODER | {"vocab_size": 32},
    "gena_lm": ENCODER | {"vocab_size": 32},
    "dilated_cnn": {"width": 32, "depth": 4},
    "mutbert": {"max_position_embeddings": 128},
    "olmo": {"max_sequence_length": 128},
    "transformers": {"max_position_embeddings": 128},
}
# Families that the model table has no entry of: their miniatures, with the tokenizer of letters or their own.
UNLISTED = {"caduceus_ph": "caduceus"} | dict.fromkeys(("mutbert", "gpn", "olmo", "transformers"), "character")


def small_model(directory: Path, family: str, genome: Path) -> Path:
    """Weights of a miniature with the model table's other settings, its own tokenizer included."""
    if family in UNLISTED:
        config = retokenized(family, {**TINY[family], **SMALL.get(family, {})}, load_tokenizer(UNLISTED[family]))
        save_model(directory, family, config, UNLISTED[family])
        return directory
    entry = read_yaml(ROOT / "config/models.yaml")[ENTRIES.get(family, family)]
    save_model(directory, family, {**entry["config"], **SMALL[family]}, entry["tokenizer"])
    if family in PIECES:
        sequences = [sequence for _, _, sequence in Genome(genome).pieces(["chrN"])]
        (directory / "tokenizer.json").write_text(train_pieces(family, sequences, 32))
    return directory


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in {"bert", "cnn"}])
def test_every_family_learns_a_repeat(tmp_path, genome, family):
    """Thirty steps on one repeated word: held-out bits per base fall by a tenth at least."""
    weights = small_model(tmp_path / "start", family, genome)
    assert job(tmp_path, weights, genome, steps=30, checkpoint_every=30, window=120, batch_size=8) == 0
    curve = curve_of(tmp_path)
    first, last = curve.loc[curve["split"] == "heldout", "bits_per_base"]
    assert last < 0.9 * first, f"{first} -> {last}"
    changed = load_weights(tmp_path / "weights").model.state_dict()
    assert not any(value.isnan().any() for value in changed.values())


def test_the_studys_mistral_takes_a_step_at_full_width(tmp_path, genome):
    """Tables 6 and 7: 580 M parameters in 16 layers (meta device); one step of width, heads and FFN in one layer."""
    config = read_yaml(ROOT / "config/models.yaml")["mistral"]["config"]
    with torch.device("meta"):
        whole = family_class("mistral")(config)
    parameters = list(whole.parameters())
    assert sum(p.numel() for p in parameters) == 579_680_640
    state = sum(4 * p.numel() * p.element_size() for p in parameters)  # weight, gradient, two moments
    assert 9.2e9 < state < 9.3e9
    assert [len(group["params"]) for group in decay_groups(whole, 0.1)] == [16 * 7 + 2, 16 * 2 + 1]
    weights = save_model(tmp_path / "start", "mistral", config | {"num_hidden_layers": 1}, "paper_char")
    settings = {"steps": 1, "warmup": 0, "window": 126, "batch_size": 2, "holdout": [], "learning_rate": 7.2e-4}
    assert job(tmp_path, weights, genome, **settings, minimum_learning_rate=4.2e-5) == 0
    (loss,) = curve_of(tmp_path)["loss"]
    assert abs(loss - math.log(12)) < 1
    name = "model.layers.0.mlp.up_proj.weight"
    files = (place / "model.safetensors" for place in (weights, tmp_path / "weights"))
    before, after = (safe_open(file, "pt").get_tensor(name) for file in files)
    moved = (after - before).abs()
    assert 0.99 * 7.2e-4 < moved.median() < 1.02 * 7.2e-4, "AdamW's first step is the learning rate"


def test_studies_have_the_settings_of_tables_6_and_7_and_both_tokenizers_at_every_width(monkeypatch):
    monkeypatch.chdir(ROOT)
    design = read_study(read_yaml("config/mistral.yaml"))
    settings, model = design.config["pretraining"], design.model("mistral")
    assert (settings["learning_rate"], settings["minimum_learning_rate"]) == (7.2e-4, 4.2e-5)
    assert (settings["betas"], settings["batch_size"]) == ([0.9, 0.95], 64)
    tokens = settings["window"] + 2  # [CLS] and [SEP]
    assert tokens == model.config["max_position_embeddings"] == 4096
    assert abs(settings["steps"] * settings["batch_size"] * tokens - 150e9) < 0.1e9
    assert design.config["corpora"]["people"]["people"]["per_superpopulation"] == 10
    assert design.networks_from("workflow") == ("mistral",) and model.config["hidden_size"] == 1408
    design = read_study(read_yaml("config/ablations.yaml"))
    trained = {name: design.model(name) for name in design.networks_from("workflow")}
    assert {trained[f"hyenadna.ablation{end}"].tokenizer for end in ("", ".kmer")} == {"hyenadna", "nt_v2"}
    widths = {model.config["d_model"] for name, model in trained.items() if ".w" in name}
    assert len(widths) == 5 and len(trained) == 7


def test_only_maps_convolutions_and_embeddings_decay():
    for family, kept in (("hyenadna", ("freq", "bias", "norm")), ("caduceus", ("A_log", ".D", "bias", "norm"))):
        entry = read_yaml(ROOT / "config/models.yaml")[family]
        model = initialise(family, {**entry["config"], **SMALL[family]}, 0)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        decaying, fixed = ([names[id(p)] for p in group["params"]] for group in decay_groups(model, 0.1))
        assert len(decaying) + len(fixed) == len(names)
        assert all(any(part in name for part in kept) or name.endswith("ln_f.weight") for name in fixed), fixed
        assert all(name.endswith("weight") and "norm" not in name for name in decaying), decaying


def test_people_are_read_and_recorded_and_the_share_of_n_too(tmp_path, weights):
    """The reference never reads GCGT, the haplotypes of person b do."""
    path, vcf = tmp_path / "g.fa", tmp_path / "v.vcf"
    path.write_text(">chr1\n" + "ACGT" * 25 + "N" * 20 + "ACGT" * 25 + "\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=1>", '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">']
    lines += ["#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT a b c", "1 61 . A G . . . GT 0|1 1|1 0|0"]
    vcf.write_text("\n".join(line.replace(" ", "\t") if line[1] != "#" else line for line in lines) + "\n")
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        original = Objective.example
        patch.setattr(Objective, "example", lambda self, window, g: seen.append(window) or original(self, window, g))
        settings = {"exclude": [], "holdout": [], "reverse_complement_probability": 0, "checkpoint_every": 6}
        assert job(tmp_path, weights, path, vcf=vcf, people=["b", "c"], **settings) == 0
    assert any("GCGT" in window for window in seen)
    record = read_record(tmp_path / "record.json")
    assert set(curve_of(tmp_path)["split"]) == {"train"} and record["results"] == [], "without a holdout"
    assert record["settings"]["people"] == ["b", "c"] and record["settings"]["vcfs"] == [["v.vcf", vcf.stat().st_size]]
    share = np.mean([window.count("N") / 60 for window in seen[: 6 * 4]])
    assert record["settings"]["unknown_share"] == pytest.approx(share) and 0 < share < 0.5
    assert load_weights(tmp_path / "weights").card["source"]["corpus"]["people"] == 2


def test_token_budget_limits_memory_and_not_the_result(tmp_path, weights, genome):
    curves = []
    for budget in (61, 10_000):
        assert job(tmp_path / str(budget), weights, genome, token_budget=budget) == 0
        curves.append(curve_of(tmp_path / str(budget))["loss"])
    np.testing.assert_allclose(*curves, atol=2e-3)
    assert not (tmp_path / "61" / "checkpoints" / pretraining.CHECKPOINT).exists()


@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_a_killed_run_continues_to_the_same_bits(tmp_path, weights, genome, capsys, objective):
    if objective == "masked":
        weights = save_model(tmp_path / "esm", "nt_v1", ESM, "nt_v1")
    whole, failed, stopped = (tmp_path / name for name in ("whole", "failed", "stopped"))
    assert job(whole, weights, genome) == 0
    # The sixth call: after one held-out score, three steps, another score, in the fourth step.
    with at_call(pretraining, "losses", 6, fail), pytest.raises(RuntimeError, match="injected"):
        job(failed, weights, genome)
    with at_call(pretraining, "losses", 6, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
        job(stopped, weights, genome)
    assert ended.value.code == 143
    for place, step in ((failed, 3), (stopped, 4)):
        capsys.readouterr()
        assert job(place, weights, genome) == 0
        assert f"continued after step {step}" in capsys.readouterr().err
        same(whole, place)


@pytest.mark.parametrize("ends", [[2, 4], [3]])
def test_legs_end_in_the_weights_of_one_job(tmp_path, weights, genome, capsys, ends):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert job(whole, weights, genome) == 0
    words = command(cut, weights, genome)
    for flag in ("--output", "--record", "--losses"):
        at = words.index(flag)
        del words[at : at + 2]
    for leg, until in enumerate(ends):
        argv = ["pretrain_leg", *words[1:], "--until", str(until), "--output", str(cut / f"leg{leg}.json")]
        if leg:  # killed in its first step
            with at_call(pretraining, "losses", 1, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
                main(argv)
            assert ended.value.code == 143 and not (cut / "leg1.json").exists()
        assert main(argv) == 0
        assert read_json(cut / f"leg{leg}.json")["step"] == until
    capsys.readouterr()
    assert job(cut, weights, genome) == 0
    assert f"continued after step {ends[-1]}" in capsys.readouterr().err
    same(whole, cut)


def test_a_leg_whose_state_cannot_be_kept_fails(tmp_path, weights, genome, monkeypatch):
    monkeypatch.setattr(pretraining, "save_state", lambda *_: False)
    words = command(tmp_path, weights, genome)
    for flag in ("--output", "--record", "--losses"):
        at = words.index(flag)
        del words[at : at + 2]
    with pytest.raises(OSError, match="could not be kept"):
        main(["pretrain_leg", *words[1:], "--until", "2", "--output", str(tmp_path / "leg0.json")])
    assert not (tmp_path / "leg0.json").exists()


SLOW = """
import sys, time
from foundationless.training import pretraining
from foundationless.__main__ import main

original = pretraining.losses
pretraining.losses = lambda *given, **named: (time.sleep(0.2), original(*given, **named))[1]
sys.exit(main())
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_sigusr1_from_outside_and_the_clock_keep_a_checkpoint_that_continues(tmp_path, weights, genome, processes):
    """The signal goes to every process of the job, the launcher included, as a cluster sends it."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    script, checkpoint = tmp_path / "slow.py", stopped / "checkpoints" / pretraining.CHECKPOINT
    script.write_text(SLOW)
    forwarded = ["--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *forwarded]
    given = command(stopped, weights, genome, steps=30, checkpoint_every=1000, checkpoint_seconds=0.01)
    argv = [sys.executable, *(launcher if processes > 1 else []), str(script), *given]
    process = subprocess.Popen(argv, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists():  # nothing but the clock keeps one before the last step
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        sent = time.monotonic()
        os.killpg(process.pid, signal.SIGUSR1)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert time.monotonic() - sent < 20 and "is kept; run the same command to continue" in said, said
    assert process.returncode == (143 if processes == 1 else 1), said
    assert not list(stopped.rglob(".part-*")) and not (stopped / "weights").exists()
    if processes == 1:
        assert main(given) == 0 and job(whole, weights, genome, steps=30, checkpoint_every=1000) == 0
        same(whole, stopped)
        assert read_record(stopped / "record.json")["cost"]["attempts"] == 2
        assert not list((stopped / "checkpoints").iterdir())


# Two processes, once for each ACTION:CALL of the first argument: at that call of `losses` the second one raises an
# error, or gets a SIGTERM. Prints how they ended.
TWO_PROCESSES = """
import os, signal, socket, sys
import foundationless.models.architectures.hyenadna
from foundationless.training import pretraining
from foundationless.__main__ import main

original, calls = pretraining.losses, []

def disturbed(action, call):
    def losses(*given, **named):
        calls.append(1)
        if os.environ["RANK"] == "1" and len(calls) == call:
            if action == "fail":
                raise RuntimeError("injected")
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*given, **named)
    return losses

for phase in sys.argv[1].split(","):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    children = []
    for rank in range(2):
        if (child := os.fork()) == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            action, call = phase.split(":")
            pretraining.losses = disturbed(action, int(call))
            sys.exit(main(sys.argv[2:]))
        children.append(child)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def python(*argv: object) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False)


def same_but_for_rounding(first: Path, second: Path) -> None:
    """Curves agree to five digits; a parameter without gradient (a key's bias) may take steps of rounding noise."""
    pd.testing.assert_frame_equal(curve_of(first), curve_of(second), rtol=1e-5)
    one, other = (load_weights(place / "weights").model.state_dict() for place in (first, second))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


# One process has a window, and a pass, more than the other: the mean is that of the step, not of the processes' means.
UNEVEN = {"batch_size": 3, "token_budget": 70}


def test_two_processes_take_the_steps_of_one_and_survive_a_failure_and_a_kill(tmp_path, weights, genome):
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert job(alone, weights, genome, **UNEVEN) == 0
    given = command(both, weights, genome, **UNEVEN)
    disturbed = python("-c", TWO_PROCESSES, "fail:6,term:1", *given)
    assert disturbed.stdout.splitlines() == ["1 1", "143 143"], disturbed.stderr
    assert "continued after step 3" in disturbed.stderr and "terminated: step 4" in disturbed.stderr
    assert not (both / "weights").exists() and (both / "checkpoints" / pretraining.CHECKPOINT).exists()
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, "-m", "foundationless")
    resumed = python(*torchrun, *given)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.count("continued after step 4") == 1, "one process speaks"
    same_but_for_rounding(alone, both)
    cost = read_record(both / "record.json")["cost"]
    assert cost["processes"] == 2 and cost["tokens_per_second"] > 0


def test_a_sharded_model_takes_the_same_steps_and_continues_sharded_or_whole(tmp_path, weights, genome):
    """Steps 1 to 4 sharded, step 5 sharded again, step 6 by one process."""
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert job(alone, weights, genome, **UNEVEN) == 0
    killed = python("-c", TWO_PROCESSES, "term:6,term:1", *command(both, weights, genome, **UNEVEN), "--shard")
    assert killed.stdout.splitlines() == ["143 143", "143 143"], killed.stderr
    assert "continued after step 4" in killed.stderr and "terminated: step 5" in killed.stderr
    assert job(both, weights, genome, **UNEVEN) == 0
    same_but_for_rounding(alone, both)


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_not_used(tmp_path, weights, genome, monkeypatch, capsys):
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # keep the finished run's checkpoint
    assert job(tmp_path, weights, genome) == 0
    assert job(tmp_path, weights, genome, learning_rate=0.02) == 0
    assert "other settings" in capsys.readouterr().err
    (tmp_path / "checkpoints" / pretraining.CHECKPOINT).write_bytes(b"cut")
    assert job(tmp_path, weights, genome) == 0
    assert "unreadable" in capsys.readouterr().err


def test_causal_targets_are_the_next_base_and_neither_special_nor_unknown():
    tokenizer = load_tokenizer("hyenadna")
    objective = Objective(initialise("hyenadna", HYENA, 0), tokenizer, 0.15)
    tokens, targets, spans = objective.example("ACNGT", np.random.default_rng(0))
    ids = tokenizer.base_ids
    assert tokens.tolist() == [*(ids[base] for base in "ACNGT"), tokenizer.sep_id]
    assert targets.tolist() == [ids["C"], IGNORED, ids["G"], ids["T"], IGNORED, IGNORED]
    assert spans.tolist() == [[1, 2], [3, 4], [4, 5]]


def test_masked_targets_follow_the_15_80_10_10_rule():
    tokenizer = load_tokenizer("nt_v1")
    objective = Objective(initialise("nt_v1", ESM | {"max_position_embeddings": 2002}, 0), tokenizer, 0.15)
    generator = np.random.default_rng(0)
    windows = ["".join(generator.choice(list("ACGT"), 6000)) + "N" * 50 for _ in range(20)]
    examples = [objective.example(window, generator) for window in windows]
    original = np.concatenate([tokenizer.encode(window) for window in windows])
    read, target = (np.concatenate([example[part] for example in examples]) for part in (0, 1))
    chosen = target != IGNORED
    assert (target[chosen] == original[chosen]).all() and (read[~chosen] == original[~chosen]).all()
    assert not set(target[chosen]) & (tokenizer.special_ids | {tokenizer.base_ids["N"]})
    assert chosen.sum() == 20 * 150  # 15 % of 1,000 six-mers; the N are not eligible
    assert sum(np.diff(example[2]).sum() for example in examples) == 6 * 3000
    masked, kept = read[chosen] == tokenizer.mask_id, read[chosen] == target[chosen]
    assert abs(masked.mean() - 0.8) < 0.03 and abs(kept.mean() - 0.1) < 0.02
    assert not set(read[chosen & (read != original)]) & (tokenizer.special_ids - {tokenizer.mask_id})


def test_a_base_of_overlapping_kmers_is_predicted_once():
    tokenizer, window = load_tokenizer("dnabert_6"), "".join(np.random.default_rng(3).choice(list("ACGT"), 60))
    model = initialise("bert", TINY["bert"] | {"vocab_size": tokenizer.size, "pad_token_id": 0}, 0)
    objective = Objective(model, tokenizer, 0.5)
    batch = objective.batch(SimpleNamespace(draw=lambda generator: window), [[1], [2]])
    covered = 0
    for seed in ([1], [2]):
        spans = objective.example(window, np.random.default_rng(seed))[2]
        covered += len({base for start, stop in spans.tolist() for base in range(start, stop)})
    assert batch.counts.bases == covered <= 120 < 6 * batch.counts.predicted


def test_a_uniform_guess_over_six_mers_costs_two_bits_per_base():
    counts = Counts(predicted=10, bases=60, unknown=0, letters=66, tokens=11)
    assert pretraining._bits(math.log(4096), counts) == pytest.approx(2.0)


def test_learning_rate_warms_up_and_ends_at_the_minimum():
    settings = Settings(100, 60, 4, 1.0, 0.1, 10, (0.9, 0.95), 0.1, 0.5, 0.15, 10, 8, 0)
    rates = [settings.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55) and rates[100] == pytest.approx(0.1)
    assert all(np.diff(rates[10:]) < 0)


MISTAKES: dict[str, dict[str, object]] = {
    "--window 70": {"window": 70},
    "no stretch of 2000": {"window": 2000},
    "nearly everything is N": {"exclude": ["chr1", "chr2"]},
    "'chr9'": {"exclude": ["chr9"]},
    "leave no contig": {"exclude": ["chr1", "chr2", "chrN"]},
    "no such": {"genome": "absent.fa"},
    "--warmup": {"warmup": 7},
    "--steps": {"steps": 0},
    "--mask-probability": {"mask_probability": 1.5},
    "--minimum-learning-rate": {"minimum_learning_rate": 1},
}


@pytest.mark.parametrize("expected", MISTAKES)
def test_mistakes_end_in_one_sentence(tmp_path, weights, genome, capsys, expected):
    assert job(tmp_path, weights, genome, **MISTAKES[expected]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "weights").exists() and not (tmp_path / "record.json").exists()


def test_a_control_that_stops_at_a_step_went_the_same_way(tmp_path, weights, genome):
    """Its curve is the beginning of the whole one, held-out loss included, and its card and record say what it is."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert job(whole, weights, genome, checkpoint_every=2) == 0
    flags = command(part, weights, genome, checkpoint_every=2, init="step4")[1:]
    assert main(["pretrain_control", *flags]) == 0
    curve = curve_of(whole)
    pd.testing.assert_frame_equal(curve_of(part), curve[curve["step"] <= 4])
    assert main(["pretrain_control", *command(tmp_path / "odd", weights, genome, init="step5")[1:]]) == 0
    odd = curve_of(tmp_path / "odd")
    assert odd.iloc[-1][["step", "split"]].tolist() == [
        5,
        "heldout",
    ]  # between two checkpoints it is scored all the same
    card, record = load_weights(part / "weights").card, read_record(part / "record.json")
    assert card["init"] == record["init"] == "step4" and card["source"]["steps"] == 4
    assert main(["pretrain_control", *command(part, weights, genome, init="step0")[1:]]) == 2
