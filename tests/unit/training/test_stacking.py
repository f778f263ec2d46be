"""Packs: the same results as one run after another, whoever ends early, runs out of memory or is killed."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch

from foundationless.models.architectures import hyenadna
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import initialise
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.training import checkpoints, finetuning, loop, stacking
from foundationless.training.classifier import Classifier, prepare_examples
from foundationless.training.compute import Compute
from foundationless.training.stacking import Alone, CrowdedError, Stack, optimizer, packs, refusal, stackable_folds
from foundationless.training.sweep import Fold
from foundationless.training.trainable.lora import add_adapters
from support import ROOT
from support.fine_tuning import arguments, at_call, job, outputs, planted, same, send
from support.networks import CNN, HYENA, TINY, save_model

DROPOUT = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
STACKED = {  # family -> configuration, tokenizer, and whether runs of several folds are stacked too
    "hyenadna": (HYENA, "hyenadna", True),
    "cnn": (CNN, "character", True),
    "dilated_cnn": (TINY["dilated_cnn"], "character", True),
    "nt_v2": (TINY["nt_v2"] | {"tie_word_embeddings": True}, "nt_v2", True),
    "nt_v1": (TINY["nt_v1"] | DROPOUT, "nt_v1", False),
}


def classifier_of(family: str, config: dict, tokenizer: str, reading: str = "published", lora: bool = False):
    model, tokens_of = initialise(family, config, 3, reading), load_tokenizer(tokenizer)
    if lora:
        add_adapters(model, 2, 4, 0.0, 5)
    torch.manual_seed(1)
    classifier = Classifier(model, tokens_of, 2, "max", 8).double().train()
    return classifier, prepare_examples(planted(160), "toy", tokens_of, 66)


def trained(network, rates: list[float], examples, rows: dict[int, np.ndarray], folds: list[int]) -> list[dict]:
    """The states of the runs, one of each of `folds`, after four steps, with weight decay."""
    made = optimizer(network, rates, 0.1, [[] for _ in rates])
    for step in range(4):
        torch.manual_seed(step)
        batch = {fold: some[step * 8 : step * 8 + 8 - step] for fold, some in rows.items()}
        network.gradient(examples, batch, folds, Compute("cpu", token_budget=300))
        made.step()
    return [network.copy(run) for run in range(len(rates))]


@pytest.mark.parametrize("reading", ["published", "as_in_paper"])
@pytest.mark.parametrize(
    ("family", "lora"),
    [(family, lora) for family in STACKED for lora in (False, True) if (family, lora) != ("cnn", True)],  # no map
)
def test_a_stack_computes_what_its_runs_compute_alone(family, reading, lora, monkeypatch):
    """In float64, so that only another function could differ: weights after steps of ragged batches, predictions."""
    config, tokenizer, together = STACKED[family]
    classifier, examples = classifier_of(family, config, tokenizer, reading, lora)
    monkeypatch.setattr(torch.Tensor, "float", lambda value: value)  # float64 throughout, where models say float32
    generator = np.random.default_rng(0)
    first = 100 + generator.permutation(50)
    rows = {3: first, 7: 90 + generator.permutation(60)[:49]}
    folds = [3, 7] if together and reading == "published" else [3, 3]
    rates = [0.01, 0.003]
    stack = Stack(classifier, 2)
    found = trained(stack, rates, examples, rows, folds)
    tested = {fold: some[:19] for fold, some in rows.items()}
    together_now = stack.probabilities(examples, tested, folds, Compute("cpu", token_budget=300))
    initial = stacking.changeable(classifier)
    for run, (rate, fold) in enumerate(zip(rates, folds, strict=True)):
        classifier.train()
        alone = Alone(classifier)
        alone.restore(0, initial)
        (expected,) = trained(alone, [rate], examples, rows, [fold])
        assert set(found[run]) <= set(expected)
        for name, value in found[run].items():
            torch.testing.assert_close(value, expected[name], atol=1e-9, rtol=1e-7, msg=name)
        (probabilities,) = alone.probabilities(examples, tested, [fold], Compute("cpu", token_budget=300))
        np.testing.assert_allclose(together_now[run], probabilities, atol=1e-6)
    assert any(not torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_stack_is_of_the_weights_that_are_trained_and_leaves_the_classifier_as_it_was():
    """One sine module stands at several places in HyenaDNA, and the head of NT v2 shares the embeddings."""
    for family in ("hyenadna", "nt_v2"):
        classifier, examples = classifier_of(family, *STACKED[family][:2])
        before = stacking.changeable(classifier)
        stack = Stack(classifier, 3)
        trained(stack, [0.1, 0.1, 0.2], examples, {0: np.arange(100, 140)}, [0, 0, 0])
        for name, value in stacking.changeable(classifier).items():
            assert torch.equal(value, before[name]), name
        assert not any(torch._C._functorch.is_batchedtensor(value) for value in classifier.parameters())
        chosen = stack.select([2])
        assert all(torch.equal(value, stack.copy(2)[name]) for name, value in chosen.copy(0).items())


def test_what_cannot_be_stacked_is_refused_for_a_reason(monkeypatch):
    """Caduceus scans in a function of its own; a model that reads values, draws otherwise, or is simply broken."""
    rows, compute = np.array([100, 101, 110]), Compute("cpu")
    classifier, examples = classifier_of("caduceus", TINY["caduceus"], "caduceus")
    assert re.search("[Bb]atching rule|autograd.Function", refusal(classifier, examples, rows, compute, False))
    classifier, examples = classifier_of("hyenadna", HYENA, "hyenadna")
    assert refusal(classifier, examples, rows, compute, True) == ""
    encode = classifier.backbone.encode

    def refused(change) -> str:
        monkeypatch.setattr(classifier.backbone, "encode", change)
        return refusal(classifier, examples, rows, compute, True)

    assert "vmap" in refused(lambda ids, mask=None: encode(ids) * (2 if encode(ids).sum().item() > 0 else 1))
    scale = iter([1.0, 2.0])
    assert "gradients" in refused(lambda ids, mask=None: encode(ids) * next(scale))
    classifier.backbone.register_buffer("count", torch.zeros(()))

    def counting(ids, mask=None):
        classifier.backbone.count += 1
        return encode(ids)

    assert refused(counting) == "it changes its buffers" and classifier.backbone.count == 0
    calls = []

    def broken(ids, mask=None):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return encode(ids)

    assert "mat1" in refused(broken)


def test_packs_hold_runs_with_as_many_steps_and_no_draws_of_their_own():
    rows = np.arange(200)
    folds = [Fold(n, rows[:size], rows[:9]) for n, size in ((0, 64), (1, 65), (2, 63)) for _ in range(2)]
    assert packs(folds, 9, 32, True) == [[0, 1, 4, 5], [2, 3]]
    assert packs(folds, 9, 32, False) == [[0, 1], [2, 3], [4, 5]]
    assert packs(folds, 3, 32, True) == [[0, 1, 4], [5], [2, 3]]
    for family, (config, tokenizer, together) in STACKED.items():
        classifier, examples = classifier_of(family, config, tokenizer)
        assert stackable_folds(classifier, examples, np.arange(100, 104), Compute("cpu")) == together
    classifier, examples = classifier_of("hyenadna", HYENA, "hyenadna", "as_in_paper")
    assert not stackable_folds(classifier, examples, np.arange(100, 104), Compute("cpu"))


JOB = {"folds": [0, 2], "fold_count": 4, "epochs": 4, "learning_rates": [0.003, 0.01, 1e25]}


def alike(one: Path, other: Path) -> None:
    """The same choices and histories, and probabilities within the noise of float32."""
    (record, table), (second, second_table) = outputs(one), outputs(other)
    for kept in sorted((one / "runs").glob("*.json")):
        mine, its = (json.loads((place / "runs" / kept.name).read_text()) for place in (one, other))
        assert all(mine[key] == its[key] for key in ("epoch", "history", "fingerprint"))
        assert mine["seconds"] >= 0
    assert record["selections"] == second["selections"] and record["settings"] == second["settings"]
    columns = ["id", "run", "fold", "selected", "selected_paper"]
    pd.testing.assert_frame_equal(table[columns], second_table[columns])
    np.testing.assert_allclose(np.stack(table["probabilities"]), np.stack(second_table["probabilities"]), atol=1e-4)


@pytest.fixture(scope="module")
def hyena(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, hyena) -> Path:
    """An undisturbed pack: two folds, a run of each diverges, and patience ends some before others."""
    directory = tmp_path_factory.mktemp("whole")
    assert job(directory, hyena, planted(160), pack=6, patience=1, **JOB) == 0
    return directory


def test_a_job_in_packs_is_a_job_run_by_run(tmp_path, hyena, whole, capsys):
    assert job(tmp_path, hyena, planted(160), pack=1, patience=1, **JOB) == 0
    assert "at once" not in capsys.readouterr().err
    alike(tmp_path, whole)
    ends = {len(json.loads(path.read_text())["history"]) for path in (whole / "runs").glob("*.json")}
    assert 0 in ends and len(ends) > 1, "runs must leave the pack at different epochs"
    smaller = tmp_path / "smaller"
    assert job(smaller, hyena, planted(160), pack=4, patience=1, **JOB) == 0
    assert "up to 4 runs at once" in capsys.readouterr().err
    alike(smaller, whole)


def test_a_dtype_that_vmap_loses_is_a_reason_too(tmp_path, capsys):
    """Attention with a mask under autocast: torch says nothing of vmap, and the runs go one by one."""
    weights = save_model(tmp_path / "nt_v2", "nt_v2", TINY["nt_v2"], "nt_v2")
    assert job(tmp_path, weights, planted(160), pack=2, epochs=1, precision="bf16") == 0
    assert "runs one after another" in capsys.readouterr().err


def test_trying_out_a_stack_changes_nothing_and_a_job_holds_no_weights_of_all_runs(tmp_path, hyena, monkeypatch):
    """A model that counts its passes in a buffer, as BatchNorm does: every run starts at the count of the weights."""
    encode, runs, begun = hyenadna.HyenaDNA.encode, [], []

    def counting(model, ids, mask=None):
        model.passes += 1
        return encode(model, ids, mask)

    def prepared(job, classifier, *given):
        classifier.backbone.register_buffer("passes", torch.zeros(()))
        return swept(job, classifier, *given)

    def watched(job, classifier, initial, given, pack):
        runs.extend(given)
        train(job, classifier, initial, given, pack)

    def begin(pack, job, classifier, initial, *others):
        begun.append(int(initial["backbone.passes"]))
        start(pack, job, classifier, initial, *others)

    swept, train, start = finetuning._sweep, finetuning._train, loop.Pack.__init__
    monkeypatch.setattr(hyenadna.HyenaDNA, "encode", counting)
    monkeypatch.setattr(finetuning, "_sweep", prepared)
    monkeypatch.setattr(finetuning, "_train", watched)
    monkeypatch.setattr(loop.Pack, "__init__", begin)
    assert job(tmp_path, hyena, planted(160), pack=2, epochs=1) == 0
    assert begun == [0, 0]
    assert len(runs) == 2 and not any(run.best or run.weights or run.moments for run in runs)


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_job_interrupted_at_any_step_ends_in_the_same_bits(tmp_path, hyena, whole, after):
    """By the signal of a cluster, in training as in prediction."""
    with at_call(loop.Pack, "_pause", after, send(signal.SIGUSR1)), pytest.raises(SystemExit) as ended:
        job(tmp_path, hyena, planted(160), pack=6, patience=1, **JOB)
    assert ended.value.code == 143 and len(list((tmp_path / "runs").glob("*.checkpoint"))) == 1
    assert job(tmp_path, hyena, planted(160), pack=6, patience=1, **JOB) == 0
    same(whole, tmp_path)
    assert not list((tmp_path / "runs").glob("*.checkpoint"))


def test_a_checkpoint_is_kept_on_time_and_serves_another_pack(tmp_path, hyena, whole, monkeypatch, capsys):
    """Killed without warning after the third checkpoint; continued with another --pack, the results are alike."""
    save, calls = loop.save_state, []

    def fail(path, state):
        save(path, state)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    flags = {"pack": 6, "patience": 1, "checkpoint_seconds": 0, **JOB}
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", fail)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            job(tmp_path, hyena, planted(160), **flags)
    assert job(tmp_path, hyena, planted(160), **flags | {"pack": 2}) == 0
    assert capsys.readouterr().err.count("continued in epoch 1 after step 2") == 6
    alike(tmp_path, whole)


def test_a_smaller_pack_that_is_stopped_too_loses_no_run_of_the_larger(tmp_path, hyena, whole, capsys):
    for size, call in ((6, 4), (2, 1)):
        with at_call(loop.Pack, "_pause", call, send(signal.SIGUSR1)), pytest.raises(SystemExit):
            job(tmp_path, hyena, planted(160), pack=size, patience=1, **JOB)
    capsys.readouterr()
    assert job(tmp_path, hyena, planted(160), pack=2, patience=1, **JOB) == 0
    assert capsys.readouterr().err.count("continued in epoch") == 6
    alike(tmp_path, whole)
    assert not list((tmp_path / "runs").glob("*.checkpoint"))


def test_a_checkpoint_that_finds_no_room_costs_no_run(tmp_path, hyena, whole, monkeypatch, capsys):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint")
    monkeypatch.setattr(checkpoints, "atomic_path", Mock(side_effect=full))
    flags = {"pack": 6, "patience": 1, "checkpoint_seconds": 0, **JOB}
    assert job(tmp_path, hyena, planted(160), **flags) == 0
    assert "no checkpoint could be kept (No space left on device)" in capsys.readouterr().err
    same(whole, tmp_path)
    stopped = tmp_path / "stopped"
    pause = loop.Pack._pause
    monkeypatch.setattr(loop.Pack, "_pause", lambda pack: [pack.job.terminated.set(), pause(pack)])
    with pytest.raises(SystemExit) as ended:
        job(stopped, hyena, planted(160), **flags)
    assert ended.value.code == 143 and "is lost, an older checkpoint is not" in capsys.readouterr().err


def test_dropout_continues_inside_an_epoch(tmp_path):
    weights = save_model(tmp_path / "nt_v2", "nt_v2", TINY["nt_v2"] | DROPOUT, "nt_v2")
    for size in (1, 2):
        undisturbed, broken, flags = tmp_path / f"whole{size}", tmp_path / f"broken{size}", {"pack": size, "epochs": 1}
        assert job(undisturbed, weights, planted(160), **flags) == 0
        with at_call(loop.Pack, "_pause", 2, send(signal.SIGUSR1)), pytest.raises(SystemExit):
            job(broken, weights, planted(160), **flags)
        torch.manual_seed(77)
        assert job(broken, weights, planted(160), **flags) == 0
        same(undisturbed, broken)
    alike(tmp_path / "whole1", tmp_path / "whole2")


def test_a_real_process_stopped_in_mid_epoch_continues_to_the_same_record(tmp_path, hyena):
    """SIGUSR1 to a process of its own, in an epoch of 200 steps, from which no epoch is ever kept."""
    frame, flags = planted(320), {"batch_size": 1, "epochs": 1, "pack": 2}
    undisturbed, broken = tmp_path / "whole", tmp_path / "broken"
    assert job(undisturbed, hyena, frame, **flags) == 0
    broken.mkdir()
    write_sequences(broken / "set.parquet", frame)
    command = [sys.executable, "-m", "foundationless", *arguments(broken, hyena, **flags)]
    often, environment = [*command, "--checkpoint-seconds", "0.3"], os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    started = subprocess.Popen(often, stderr=subprocess.PIPE, text=True, env=environment)
    while not list((broken / "runs").glob("*.checkpoint")):
        assert started.poll() is None, started.stderr.read()
        time.sleep(0.005)
    started.send_signal(signal.SIGUSR1)
    said = started.communicate(timeout=60)[1]
    assert started.returncode == 143 and "is kept; run the same command to continue" in said
    state = torch.load(next((broken / "runs").glob("*.checkpoint")), weights_only=True)
    assert {(run["epoch"], run["step"] > 0) for run in state["runs"].values()} == {(0, True)}
    assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0
    same(undisturbed, broken)


def test_a_pack_too_large_for_the_memory_is_split_and_ends_alike(tmp_path, hyena, whole, monkeypatch, capsys):
    """A GPU that holds three runs: first the budget is halved, then the pack."""
    original = Stack._logits

    def small_memory(stack, part):
        if len(stack.parameters) > 3:
            raise torch.OutOfMemoryError("injected")
        return original(stack, part)

    monkeypatch.setattr(Stack, "_logits", small_memory)
    assert job(tmp_path, hyena, planted(160), pack=6, patience=1, token_budget=1000, **JOB) == 0
    said = capsys.readouterr().err
    assert "token budget halved" in said and "3 of 6 runs at once, the others later" in said
    alike(tmp_path, whole)


def test_one_run_too_large_is_the_users_mistake(monkeypatch):
    classifier, examples = classifier_of("hyenadna", HYENA, "hyenadna")

    monkeypatch.setattr(Stack, "_logits", Mock(side_effect=torch.OutOfMemoryError("injected")))
    with pytest.raises(CrowdedError):
        Stack(classifier, 2).gradient(examples, {0: np.arange(100, 104)}, [0, 0], Compute("cpu"))
    with pytest.raises(Exception, match="out of memory with one sequence"):
        Stack(classifier, 1).gradient(examples, {0: np.arange(100, 104)}, [0], Compute("cpu"))


def test_a_fold_is_known_by_its_number():
    """Runs of one fold share one pass over its rows; of two folds, equal rows or not, each has its own."""
    classifier, examples = classifier_of("hyenadna", HYENA, "hyenadna")
    rows = np.arange(100, 108)
    for folds, several in (([4, 4], False), ([4, 9], True)):
        parts = list(Stack(classifier, 2)._passes(examples, {4: rows, 9: rows.copy()}, folds, 10**6))
        assert [part.several for part in parts] == [several]
    copied = Stack(classifier, 2).probabilities(examples, {4: rows.copy()}, [4, 4], Compute("cpu"))
    np.testing.assert_array_equal(copied[0], copied[1])
