"""Pretraining: what is read and predicted, that loss falls, and that a killed run continues to the same bits."""

import math
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foundationless import models, pretraining
from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.files import sha256
from foundationless.pretraining import IGNORED, Batch, Objective, Settings, Windows, read_corpus
from foundationless.records import comparable, read_record
from foundationless.sequences import reverse_complement

HYENA = dict(
    d_model=16, n_layer=1, d_inner=32, vocab_size=12, max_seq_len=66, emb_dim=3, filter_order=8, num_inner_mlps=1
)
ESM = dict(
    vocab_size=4105,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=66,
    token_dropout=True,
    emb_layer_norm_before=False,
    layer_norm_eps=1e-12,
    pad_token_id=1,
    mask_token_id=2,
)


def save_model(directory: Path, family: str, config: dict, tokenizer: str) -> Path:
    card = {"model": family, "family": family, "tokenizer": tokenizer, "init": "random", "seed": 0, "source": {}}
    models.save_weights(directory, models.initialise(family, config, 0), card)
    return directory


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


def job(directory: Path, weights: Path, fasta: Path, **flags: object) -> int:
    values: dict[str, object] = {
        "model": "toy",
        "seed": 1,
        "weights": weights,
        "genome": fasta,
        "exclude": ["chr2", "chrN"],
        "holdout": ["chr3"],
        "steps": 6,
        "window": 60,
        "batch_size": 4,
        "learning_rate": 0.01,
        "minimum_learning_rate": 0.001,
        "warmup": 2,
        "checkpoint_every": 3,
        "heldout_windows": 8,
        "checkpoints": directory / "checkpoints",
        "output": directory / "weights",
        "record": directory / "record.json",
        "losses": directory / "losses.tsv",
    } | flags
    argv = ["pretrain"]
    for flag, value in values.items():
        argv += [f"--{flag.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return main(argv)


def same(first: Path, second: Path) -> None:
    """Loss curves, weights and records agree bit by bit."""
    assert (first / "losses.tsv").read_bytes() == (second / "losses.tsv").read_bytes()
    assert sha256(first / "weights/model.safetensors") == sha256(second / "weights/model.safetensors")
    assert comparable(read_record(first / "record.json")) == comparable(read_record(second / "record.json"))


def test_loss_falls_and_a_weight_directory_comes_out(tmp_path, weights, genome):
    assert job(tmp_path, weights, genome, steps=60, checkpoint_every=20) == 0
    curve = pd.read_csv(tmp_path / "losses.tsv", sep="\t")
    heldout = curve[curve["split"] == "heldout"]
    assert heldout["step"].tolist() == [0, 20, 40, 60] and (curve["split"] == "train").sum() == 60
    assert abs(heldout["loss"].iloc[0] - math.log(16)) < 0.2  # uniform over the padded vocabulary
    assert heldout["loss"].iloc[-1] < 1.0 < heldout["loss"].iloc[0]
    np.testing.assert_allclose(heldout["bits_per_base"], heldout["loss"] / math.log(2))  # a character is a base
    loaded = models.load_weights(tmp_path / "weights")
    assert loaded.card["init"] == "pretrained" and loaded.card["model"] == "toy" and loaded.card["seed"] == 0
    assert loaded.card["source"]["excluded"] == ["chr2", "chrN"] and loaded.card["source"]["steps"] == 60
    assert loaded.card["source"]["tokens"] == 60 * 4 * 61
    record = read_record(tmp_path / "record.json")
    final = [r for r in record["results"] if r["extra"]["step"] == 60]
    assert {r["metric"]: r["value"] for r in final}["loss"] == heldout["loss"].iloc[-1]
    assert not list((tmp_path / "checkpoints").iterdir())


def test_token_budget_limits_memory_and_not_the_result(tmp_path, weights, genome):
    curves = []
    for budget in (61, 10_000):
        (tmp_path / str(budget)).mkdir()
        assert job(tmp_path / str(budget), weights, genome, token_budget=budget) == 0
        curves.append(pd.read_csv(tmp_path / str(budget) / "losses.tsv", sep="\t"))
    np.testing.assert_allclose(curves[0]["loss"], curves[1]["loss"], atol=2e-3)
    assert not (tmp_path / "61" / "checkpoints" / pretraining.CHECKPOINT).exists()


def test_without_a_holdout_there_is_a_training_curve_only(tmp_path, weights, genome):
    assert job(tmp_path, weights, genome, holdout=[], steps=2, warmup=0) == 0
    assert set(pd.read_csv(tmp_path / "losses.tsv", sep="\t")["split"]) == {"train"}
    assert read_record(tmp_path / "record.json")["results"] == []


@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_a_killed_run_continues_to_the_same_bits(tmp_path, weights, genome, monkeypatch, capsys, objective):
    if objective == "masked":
        weights = save_model(tmp_path / "esm", "nt_v1", ESM, "nt_v1")
    whole, failed, stopped = (tmp_path / name for name in ("whole", "failed", "stopped"))
    assert job(whole, weights, genome) == 0
    original, calls = pretraining.losses, []

    def disturb(action):
        calls.clear()

        def wrapped(*given, **named):
            calls.append(1)
            if len(calls) == 6:  # one held-out score, three steps, another score, the fourth step
                action()
            return original(*given, **named)

        return wrapped

    def fail():
        raise RuntimeError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "losses", disturb(fail))
        with pytest.raises(RuntimeError, match="injected"):
            job(failed, weights, genome)
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "losses", disturb(lambda: os.kill(os.getpid(), signal.SIGTERM)))
        with pytest.raises(SystemExit) as ended:
            job(stopped, weights, genome)
    assert ended.value.code == 143
    for place, step in ((failed, 3), (stopped, 4)):
        capsys.readouterr()
        assert job(place, weights, genome) == 0
        assert f"continued after step {step}" in capsys.readouterr().err
        same(whole, place)


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_not_continued(
    tmp_path, weights, genome, monkeypatch, capsys
):
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # keep the finished run's checkpoint
    assert job(tmp_path, weights, genome) == 0
    capsys.readouterr()
    assert job(tmp_path, weights, genome, learning_rate=0.02) == 0
    assert "other settings" in capsys.readouterr().err
    (tmp_path / "checkpoints" / pretraining.CHECKPOINT).write_bytes(b"cut")
    assert job(tmp_path, weights, genome) == 0
    assert "unreadable" in capsys.readouterr().err


def test_excluded_and_held_out_sequence_is_never_trained_on(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{'A' * 300}\n>chr2\n{'C' * 300}\n>chr3\n{'G' * 100}{'T' * 200}\n")
    train, held, bases = read_corpus([path], ["2"], ["chr3:101-300"])
    assert "".join(train) == "A" * 300 + "G" * 100
    assert held == ["T" * 200]
    assert bases == {"g.fa:chr1": 300, "g.fa:chr3": 100}


def test_windows_are_uniform_mostly_known_and_flipped_as_asked():
    pieces = ["ACGTTGCATT" * 3, "AC", "N" * 30 + "GATTACAGGA"]
    generator = np.random.default_rng(0)
    drawn = Windows(pieces, 10, 0.0, "toy").draw(generator, 4000)
    starts = {pieces[0][i : i + 10] for i in range(21)} | {pieces[2][i : i + 10] for i in range(25, 31)}
    assert set(drawn) == starts
    share = np.mean([sequence.count("N") > 0 or sequence == "GATTACAGGA" for sequence in drawn])
    assert abs(share - 6 / 27) < 0.03
    assert set(Windows(pieces[:1], 30, 1.0, "toy").draw(generator, 3)) == {reverse_complement(pieces[0])}
    half = np.mean([sequence == pieces[0] for sequence in Windows(pieces[:1], 30, 0.5, "toy").draw(generator, 2000)])
    assert abs(half - 0.5) < 0.05
    with pytest.raises(UserError, match="N"):
        Windows(["N" * 50], 10, 0.0, "toy").draw(generator, 1)
    with pytest.raises(UserError, match="no stretch"):
        Windows(["ACG"], 10, 0.0, "toy")


def test_causal_targets_are_the_next_base_and_neither_special_nor_unknown():
    tokenizer = models.load_tokenizer("hyenadna")
    objective = Objective(models.initialise("hyenadna", HYENA, 0), tokenizer, 0.15)
    batch = objective.batch(["ACNGT"], np.random.default_rng(0))
    ids = tokenizer.base_ids
    assert batch.tokens[0].tolist() == [*(ids[base] for base in "ACNGT"), tokenizer.sep_id]
    assert batch.targets[0].tolist() == [ids["C"], IGNORED, ids["G"], ids["T"], IGNORED, IGNORED]
    assert batch.bases == batch.predicted == 3


def test_masked_targets_follow_the_15_80_10_10_rule():
    tokenizer = models.load_tokenizer("nt_v1")
    objective = Objective(models.initialise("nt_v1", ESM | {"max_position_embeddings": 2002}, 0), tokenizer, 0.15)
    generator = np.random.default_rng(0)
    windows = ["".join(generator.choice(list("ACGT"), 6000)) + "N" * 50 for _ in range(20)]
    batch = objective.batch(windows, generator)
    original = np.concatenate([tokenizer.encode(window) for window in windows])
    read, target = np.concatenate(batch.tokens), np.concatenate(batch.targets)
    chosen = target != IGNORED
    assert (target[chosen] == original[chosen]).all() and (read[~chosen] == original[~chosen]).all()
    assert not set(target[chosen]) & (tokenizer.special_ids | {tokenizer.base_ids["N"]})
    assert chosen.sum() == 20 * 150  # 15 % of 1,000 six-mers; the N are not eligible
    assert batch.bases == 6 * 3000
    masked, kept = read[chosen] == tokenizer.mask_id, read[chosen] == target[chosen]
    assert abs(masked.mean() - 0.8) < 0.03 and abs(kept.mean() - 0.1) < 0.02
    assert not set(read[chosen & (read != original)]) & (tokenizer.special_ids - {tokenizer.mask_id})


def test_a_uniform_guess_over_six_mers_costs_two_bits_per_base():
    batch = Batch([np.zeros(11, int)], [np.array([5] * 10 + [IGNORED])], bases=60)
    assert pretraining._bits(math.log(4096), batch) == pytest.approx(2.0)


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
