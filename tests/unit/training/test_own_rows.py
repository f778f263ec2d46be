"""Pretraining on the training sequences of a task: what is read, how often, and that nothing else decides weights."""

import math
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.evaluation.records import read_record
from foundationless.evaluation.verification.tree import verify
from foundationless.models.weights import load_weights
from foundationless.runtime.files import sha256
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.training import pretraining
from foundationless.training.compute import Compute
from foundationless.training.corpora.own_rows import RowWindows
from foundationless.training.distributed import Group
from foundationless.training.objectives import Batch, Objective
from support.fine_tuning import at_call, command_line, planted, send
from support.networks import ESM, HYENA, TINY, save_model

TENSORS = "weights/model.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


def job(directory: Path, weights: Path, frame: pd.DataFrame, **flags: object) -> int:
    """One job in `directory`, whose sequence set is `frame`."""
    path = directory / "sequences/promoters.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sequences(path, frame)
    told = dict(model="toy", seed=0, weights=weights, sequences=path, task="promoters")
    settings = dict(steps=6, window=50, batch_size=8, learning_rate=0.01, minimum_learning_rate=0.001, warmup=2)
    kept = dict(checkpoint_every=3, heldout_windows=8, checkpoints=directory / "checkpoints")
    written = dict(output=directory / "weights", record=directory / "record.json", losses=directory / "losses.tsv")
    return main(command_line("pretrain_self", told | settings | kept | written | flags))


def reversed_rows(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """The set with other sequences in a split."""
    there = frame["split"] == split
    return frame.assign(sequence=frame["sequence"].mask(there, frame["sequence"].map(reverse_complement)))


def test_neither_test_rows_nor_labels_are_read(tmp_path, weights):
    """Other test rows, none, and other labels: the same bits and the same card. Another training row: others."""
    frame = planted(240)
    sets = {"as it is": frame, **{name: change(frame) for name, change in CHANGES.items()}}
    for name, rows in sets.items():
        assert job(tmp_path / name, weights, rows) == 0
    first = tmp_path / "as it is"
    for name in CHANGES:
        assert sha256(tmp_path / name / TENSORS) == sha256(first / TENSORS), name
        assert (tmp_path / name / "weights/weights.json").read_bytes() == (first / "weights/weights.json").read_bytes()
        assert (tmp_path / name / "losses.tsv").read_bytes() == (first / "losses.tsv").read_bytes()
    assert job(tmp_path / "other", weights, reversed_rows(frame, "train")) == 0
    assert sha256(tmp_path / "other" / TENSORS) != sha256(first / TENSORS)
    card, record = load_weights(first / "weights").card, read_record(first / "record.json")
    assert card["init"] == record["init"] == "self" and record["task"] == "promoters"
    train = frame[frame["split"] == "train"]
    said = card["source"]["corpus"]
    assert said["task"] == "promoters" and said["rows"] == len(train) and said["heldout_rows"] == 40
    assert said["bases"] == train["sequence"].str.len().sum() and card["source"]["excluded"] == ["test"]


CHANGES = {
    "other test rows": lambda frame: reversed_rows(frame, "test"),
    "no test rows": lambda frame: frame[frame["split"] != "test"],
    "other labels": lambda frame: frame.assign(label=np.random.default_rng(0).permutation(frame["label"])),
    "no labels": lambda frame: frame.assign(label=None),
}


def test_a_killed_run_continues_to_the_same_bits(tmp_path, capsys):
    """Of a masked model whose batches hold sequences of several lengths."""
    weights, frame = save_model(tmp_path / "esm", "nt_v1", ESM, "nt_v1"), planted(200)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert job(whole, weights, frame, window=60) == 0
    with at_call(pretraining, "losses", 6, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
        job(stopped, weights, frame, window=60)
    assert ended.value.code == 143
    capsys.readouterr()
    assert job(stopped, weights, frame, window=60) == 0
    assert "continued after step 4" in capsys.readouterr().err
    assert sha256(whole / TENSORS) == sha256(stopped / TENSORS)


def test_what_the_rows_say_is_learned(tmp_path, weights):
    """Rows of one word over and over: bits of held-out ones fall from two to nearly none."""
    word = "".join(np.random.default_rng(0).choice(list("ACGT"), 11))
    frame = planted(200)
    starts = np.arange(len(frame)) % len(word)
    frame["sequence"] = [(word * 7)[at : at + 40 + at] for at in starts]
    assert job(tmp_path, weights, frame, steps=80, checkpoint_every=80, reverse_complement_probability=0) == 0
    curve = pd.read_csv(tmp_path / "losses.tsv", sep="\t")
    bits = curve.loc[curve["split"] == "heldout", "bits_per_base"].tolist()
    assert bits[0] > 1.9 and bits[-1] < 0.8


def test_windows_are_drawn_as_often_as_they_fit():
    """A row that is no longer than the window is read whole, longer ones from anywhere; both strands alike."""
    rows = ["A" * 7, "C" * 10, "G" * 25, "T" * 5 + "N" * 20 + "T" * 5]
    windows, generator = RowWindows(rows, 10, 0.0, "rows"), np.random.default_rng(0)
    drawn = [windows.draw(generator) for _ in range(4000)]
    assert {len(window) for window in drawn if "A" in window} == {7}
    assert {len(window) for window in drawn if "A" not in window} == {10}
    assert max(window.count("N") for window in drawn) == 5
    counts = {letter: sum(letter in window for window in drawn) for letter in "ACG"}
    total = sum(counts.values())
    for letter, share in zip("ACG", (1 / 5, 1 / 5, 3 / 5), strict=True):
        assert abs(counts[letter] / total - share) < 4 * math.sqrt(share / total)
    spread = RowWindows(["A" * 20 + "C" * 20], 10, 0.5, "rows")
    drawn = [spread.draw(generator) for _ in range(2000)]
    starts = {window.count("C") for window in drawn if set(window) <= {"A", "C"}}
    assert starts == set(range(11)) and 850 < sum("G" in window or "T" in window for window in drawn) < 1150
    pair = "ACG" + "N" * 4 + "TAC"  # read whole: two sequences, and what joins them
    assert RowWindows([pair], 10, 0.0, "rows").draw(generator) == pair
    assert RowWindows(["AC" + "N" * 6 + "TG"], 10, 0.0, "rows").draw(generator).count("N") == 6
    with pytest.raises(UserError, match="nearly everything is N"):
        RowWindows(["N" * 30], 10, 0.0, "rows").draw(generator)


@pytest.mark.parametrize("family", ["hyenadna", "nt_v1", "caduceus"])
def test_padding_is_not_learned(tmp_path, family):
    """The loss of sequences of several lengths at once is the sum of theirs, one by one; so are its gradients."""
    config = {"hyenadna": HYENA, "nt_v1": ESM}.get(family, TINY[family])
    loaded = load_weights(save_model(tmp_path / family, family, config, family))
    model = loaded.model.eval()
    windows = RowWindows([*planted(40)["sequence"].str[:55], "ACGT" * 3], 55, 0.5, "rows")
    batch = Objective(model, loaded.tokenizer, 0.15).batch(windows, [(0, 0, index) for index in range(8)])
    assert len({len(ids) for ids in batch.tokens}) > 3
    parts = [Batch([ids], [target], batch.counts) for ids, target in zip(batch.tokens, batch.targets, strict=True)]
    sums, gradients = [], []
    for together in ([batch], parts):
        model.zero_grad()
        told = (batch.counts.predicted, loaded.tokenizer.pad_id, Compute("cpu", 1, "fp32", 4096), Group("cpu"), True)
        sums.append(sum(pretraining.losses(model, one, *told) for one in together))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_mistakes_end_in_one_sentence(tmp_path, weights, capsys):
    assert job(tmp_path, weights, planted(100)) == 2
    assert "no row of split train" in capsys.readouterr().err
    long = planted(200)
    long["sequence"] *= 3
    assert job(tmp_path, weights, long, window=100) == 2
    assert "gives 101 tokens and the model reads 66; lower --window" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()


def test_verify_knows_the_rows_that_weights_come_from(tmp_path, weights):
    """Weights lie in the folder of their task, and are held against its training rows, not against its test rows."""
    frame, results = planted(200), tmp_path / "results"
    made = tmp_path / "made"
    assert job(made, weights, frame) == 0
    for name in ("promoters", "twins"):
        place = results / "weights/toy/self" / name / "seed0"
        place.parent.mkdir(parents=True)
        place.symlink_to(made / "weights")
        (results / "sequences").mkdir(exist_ok=True)
        write_sequences(results / f"sequences/{name}.parquet", reversed_rows(frame, "test"))
    (misfit,) = verify(results, 1).misfits
    assert "twins" in str(misfit) and "it lies where that of twins belongs" in str(misfit)
    (results / "weights/toy/self/twins").rename(tmp_path / "away")
    assert not verify(results, 1).misfits
    write_sequences(results / "sequences/promoters.parquet", reversed_rows(frame, "train"))
    (misfit,) = verify(results, 1).misfits
    assert "it was pretrained on other sequences than the training rows of" in str(misfit)


def test_verify_knows_what_pretraining_began_with(tmp_path, weights):
    """The random weights of the model and seed; and the folder of the record says model, arm and task."""
    frame, results = planted(200), tmp_path / "results"
    assert job(tmp_path / "made", weights, frame, model="hyenadna") == 0
    place, begun = results / "weights/hyenadna/self/promoters/seed0", results / "weights/hyenadna/random/seed0"
    told = results / "pretrain/hyenadna/self/promoters/seed0"
    for path, of in ((place, tmp_path / "made/weights"), (begun, weights)):
        path.parent.mkdir(parents=True)
        path.symlink_to(of)
    told.mkdir(parents=True)
    (told / "record.json").write_bytes((tmp_path / "made/record.json").read_bytes())
    (results / "sequences").mkdir()
    write_sequences(results / "sequences/promoters.parquet", frame)
    assert not verify(results, 1).misfits
    begun.unlink()
    begun.symlink_to(save_model(tmp_path / "another", "hyenadna", HYENA, "hyenadna", 5))
    assert any("it began with other weights than" in str(one) for one in verify(results, 1).misfits)
    begun.unlink()
    begun.symlink_to(weights)
    told.parent.rename(told.parent.with_name("twins"))
    assert any("the record says task promoters" in str(one) for one in verify(results, 1).misfits)
    (results / "sequences/promoters.parquet").write_bytes(b"PAR1 nonsense")
    assert any("it cannot be read" in str(one) for one in verify(results, 1).misfits)
