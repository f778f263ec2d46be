"""Networks that few rows train, drawn many times: a plain loop, the rows of the heads, and what is never read."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import matthews_corrcoef

from foundationless.__main__ import main
from foundationless.evaluation.analysis_summary import Analysis, TaskCells, summarise_task
from foundationless.evaluation.records import read_record
from foundationless.evaluation.verification.tree import verify
from foundationless.models.weights import load_weights
from foundationless.study.vocabulary import MARGINS
from foundationless.tasks.draws import Drawn
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.training.classifier import Classifier, prepare_examples
from foundationless.training.compute import derived_seed
from foundationless.training.finetuning import HEAD
from support.fine_tuning import command_line, planted
from support.networks import CNN, save_model

RATE, STEPS = 0.02, 6
DRAWN = Drawn((2, 5), 3, 7)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("weights") / "cnn", "cnn", CNN, "character")


def train(directory, weights, frame, **flags) -> int:
    directory.mkdir(exist_ok=True)
    write_sequences(directory / "set.parquet", frame)
    said = dict(task="planted", model="cnn", init="random", seed=1, metric="mcc", pooling="max", batch_size=8)
    said |= dict(weights=weights, sequences=directory / "set.parquet", runs=directory / "runs", device="cpu")
    said |= dict(record=directory / "record.json", predictions=directory / "predictions.parquet", steps=STEPS)
    said |= dict(analysis="fewshot_finetune", shots=list(DRAWN.taken), draws=DRAWN.draws, draw_seed=DRAWN.seed)
    rate = {} if "chosen" in flags else {"learning_rate": RATE}
    return main(command_line("finetune_shots", said | rate | flags))


def predicted(directory):
    table = pd.read_parquet(directory / "predictions.parquet")
    return {fold: np.stack(part["probabilities"].to_list()) for fold, part in table.groupby("fold")}


def plainly(weights, frame, one):
    """What a plain loop of torch predicts of the test rows."""
    loaded = load_weights(weights, "cpu")
    torch.manual_seed(derived_seed(1, HEAD))
    network = Classifier(loaded.model, loaded.tokenizer, 2, "max", 8)
    examples = prepare_examples(frame, "toy", loaded.tokenizer, loaded.model.max_tokens)
    adam = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.999), weight_decay=0.0)
    generator, rows, batches = np.random.default_rng([1, one.taken, one.draw]), one.rows, []
    torch.manual_seed(int(generator.integers(2**63)))
    while len(batches) < STEPS:
        order = generator.permutation(len(rows))
        batches += [rows[order[start : start + 8]] for start in range(0, len(rows), 8)]
    network.train()
    for step, batch in enumerate(batches[:STEPS]):
        adam.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / STEPS)) / 2
        adam.zero_grad()
        logits = network(*network.inputs([examples.tokens[row] for row in batch]))
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(examples.targets[batch])).backward()
        adam.step()
    network.eval()
    test = np.flatnonzero(frame["split"] == "test")
    with torch.inference_mode():
        return torch.softmax(network(*network.inputs([examples.tokens[row] for row in test])), dim=1).numpy()


def test_every_draw_is_trained_as_a_plain_loop_would(weights, tmp_path):
    frame = planted()
    assert train(tmp_path, weights, frame) == 0
    found = predicted(tmp_path)
    assert len(found) == 6
    for one in DRAWN.each(frame):
        assert len(one.rows) == 2 * one.taken
        np.testing.assert_allclose(found[one.fold], plainly(weights, frame, one), atol=1e-4)
    record = read_record(tmp_path / "record.json")
    assert record["settings"]["steps"] == STEPS and record["settings"]["draws"] == 3
    assert {row["learning_rate"] for row in record["results"]} == {RATE}
    assert [row["extra"]["rows"] for row in record["results"]] == [2, 2, 2, 5, 5, 5]


def test_neither_validation_rows_nor_other_training_rows_are_read(weights, tmp_path):
    frame = planted()
    assert train(tmp_path / "one", weights, frame) == 0
    rows = np.unique(np.concatenate([one.rows for one in DRAWN.each(frame)]))
    read = np.isin(np.arange(len(frame)), rows) | (frame["split"] == "test")
    spoilt = frame.copy()
    spoilt.loc[~read, "sequence"] = "ACGT" * 12
    held = spoilt["split"] == "validation"
    spoilt.loc[held, "label"] = spoilt.loc[held, "label"].to_numpy()[::-1]
    assert train(tmp_path / "other", weights, spoilt) == 0
    first, second = predicted(tmp_path / "one"), predicted(tmp_path / "other")
    assert all((first[fold] == second[fold]).all() for fold in first)


def test_a_job_that_was_killed_goes_on_with_the_next_draw_to_the_same_bits(weights, tmp_path, capsys):
    assert train(tmp_path, weights, planted()) == 0
    before, told = predicted(tmp_path), (tmp_path / "runs" / "rows2_draw0.json").read_bytes()
    for path in (tmp_path / "runs").glob("rows5_draw*"):
        path.unlink()
    (tmp_path / "runs" / "rows2_draw1.parquet").write_bytes(b"half")
    assert train(tmp_path, weights, planted()) == 0
    after = predicted(tmp_path)
    assert all((before[fold] == after[fold]).all() for fold in before)
    assert (tmp_path / "runs" / "rows2_draw0.json").read_bytes() == told, "a draw that is kept is not trained again"


def test_a_draw_is_the_same_among_fewer_and_among_more(weights, tmp_path):
    """What was kept of fewer draws, and of other numbers of rows, is what a job of more would compute."""
    frame = planted()
    assert train(tmp_path / "first", weights, frame, shots=[5], draws=2) == 0
    assert train(tmp_path / "fresh", weights, frame) == 0
    assert train(tmp_path / "first", weights, frame) == 0
    kept, fresh = predicted(tmp_path / "first"), predicted(tmp_path / "fresh")
    assert all((kept[fold] == fresh[fold]).all() for fold in fresh)


def test_what_cannot_be_trained_is_one_sentence(weights, tmp_path, capsys):
    frame = planted()
    for sentence, flags, rows in (
        ("has 80 training rows, of which 99", {"shots": [2, 99]}, frame),
        ("increasing", {"shots": [5, 2]}, frame),
        ("does not score classes", {"metric": "r2"}, frame),
        ("validation chose no learning rate", {"chosen": tmp_path / "one" / "record.json"}, frame),
    ):
        assert train(tmp_path / "one", weights, frame) == 0
        capsys.readouterr()
        assert train(tmp_path / "one", weights, rows, **flags) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert sentence in said, said


def test_tables_have_both_arms_beside_a_baseline_on_the_same_rows(weights, tmp_path):
    frame, root = planted(), tmp_path / "results" / "fewshot_finetune" / "planted"
    cells = []
    for init, seed, begins in (("random", 0, 3), ("random", 1, 4), ("pretrained", 0, 5), ("pretrained", 1, 5)):
        place = root / "cnn" / init / f"seed{seed}"
        place.mkdir(parents=True)
        own = save_model(tmp_path / f"w{init}{seed}", "cnn", CNN, "character", begins)
        assert train(place, own, frame, init=init, seed=seed) == 0
        cells.append(f"cnn/{init}/seed{seed}")
    place = root / "kmer_logistic" / "baseline" / "seed0"
    place.mkdir(parents=True)
    cells.append("kmer_logistic/baseline/seed0")
    flags = dict(family="kmer", classifier="logistic", options='{"k_max": 3}', sequences=root / "set.parquet")
    flags |= dict(analysis="fewshot_finetune", task="planted", model="kmer_logistic", init="baseline", seed=0)
    flags |= dict(metric="mcc", choice="fixed", shots=[2, 5], draws=3, draw_seed=7, record=place / "record.json")
    flags |= dict(predictions=place / "predictions.parquet", importances=place / "importances.parquet")
    write_sequences(root / "set.parquet", frame)
    assert main(command_line("fit_baseline", flags)) == 0
    task = TaskCells("planted", "mcc", tuple(cells))
    summary = summarise_task(Analysis("fewshot_finetune", root.parent, 50, MARGINS, 1), task)
    table = summary.diagnostics["fewshot"]
    own = table[table["versus"].isna()].set_index(["model", "init", "measure", "rows"])["value"].sort_index()
    for init in ("random", "pretrained"):
        rows = [pd.read_parquet(root / "cnn" / init / f"seed{seed}" / "predictions.parquet") for seed in (0, 1)]
        values = [
            matthews_corrcoef(part["label"], part["predicted"]) for each in rows for _, part in each.groupby("fold")
        ]
        means = np.reshape(values, (2, 2, 3)).mean(axis=(0, 2))
        assert own["cnn", init, "score"].to_numpy() == pytest.approx(means)
        assert own["cnn", init, "area"].iloc[0] == pytest.approx(means.mean()), "of two numbers: the mean of both"
    ways = table.groupby("model")["how"].unique()
    assert ways["cnn"].tolist() == ["fine-tuned"] and ways["kmer_logistic"].tolist() == ["frozen"]
    pairs = table[(table["versus"] == "random") & (table["measure"] == "area")]
    assert len(pairs) == 1 and pairs["value"].iloc[0] == pytest.approx(
        own["cnn", "pretrained", "area"].iloc[0] - own["cnn", "random", "area"].iloc[0]
    )
    (root / "set.parquet").unlink()
    found = [str(misfit) for misfit in verify(tmp_path / "results", 1).misfits]
    assert not found, found
    path = root / "cnn/random/seed0/predictions.parquet"
    rows = pd.read_parquet(path)
    rows.loc[0, "predicted"] = "free" if rows.loc[0, "predicted"] == "bound" else "bound"
    rows.to_parquet(path)
    assert any("seed0" in str(misfit) for misfit in verify(tmp_path / "results", 1).misfits)
