"""Layers: every family lists all of its states, the last column stays what it was, and a planted layer is found."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.analysis_summary import Analysis, TaskCells, summarise_analysis
from foundationless.evaluation.layers.depth import LAYERS, score_layers
from foundationless.evaluation.records import read_record, write_record
from foundationless.evaluation.task_results import of_split, read_predictions, read_results
from foundationless.evaluation.task_summary import summarise
from foundationless.evaluation.verification.cells import check_cell
from foundationless.evaluation.verification.tree import verify
from foundationless.features import embedding, embedding_checkpoint
from foundationless.features.embedding import count_states, cut_sequences, embed_chunks, embed_sequences
from foundationless.features.embedding_files import read_embeddings
from foundationless.features.layers import columns_of_layers, inner_layers
from foundationless.models.tokenizers import load_tokenizer
from foundationless.models.weights import Weights, initialise, save_weights
from foundationless.study.families import FAMILIES, known_depth
from foundationless.tasks.sequence_sets import write_sequences
from support import planted
from support.commands import words
from support.networks import TINY, tokens

COMPUTE = {"token_budget": 300, "device": "cpu", "precision": "fp32"}
FAMILY = f"{planted.__file__}:Planted"
ROWS = {"train": 120, "validation": 60, "test": 60}


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "reading", "change"),
    [
        *((family, "published", {}) for family in FAMILIES),
        ("caduceus", "published", {"fused_add_norm": False}),
        ("caduceus", "as_in_paper", {"fused_add_norm": False}),
    ],
)
def test_every_family_lists_all_states_and_the_last_is_what_it_encodes(family, reading, change):
    model = initialise(family, TINY[family] | change, 1, reading).eval()
    ids = torch.stack(tokens(family, 20, 20))
    states = model.every_state(ids)
    assert torch.equal(states[-1], model.encode(ids)) and {state.shape for state in states} == {(2, 20, model.width)}
    # One more than there are layers, in some networks one before and one after the last norm; what the paper read of
    # Caduceus ends before its last.
    more = (family in ("hyenadna", "dilated_cnn")) - (reading == "as_in_paper" and change != {})
    assert len(states) == known_depth(model.config) + 1 + more


@pytest.mark.parametrize("words_said", [["all"], [1], [0, "last"]])
def test_words_name_layers(words_said):
    assert inner_layers(words_said, 4) == {"all": (0, 1, 2), 1: (1,), 0: (0,)}[words_said[0]]
    assert inner_layers([3, "last"], 4) == ()
    with pytest.raises(UserError, match="layer 4: this network has layers 0"):
        inner_layers([4], 4)


def network(family: str) -> Weights:
    tokenizer = {"hyenadna": "character", "nt_v1": "nt_v1", "cnn": "character"}[family]
    config = TINY[family] | {"vocab_size": max(TINY[family]["vocab_size"], load_tokenizer(tokenizer).size)}
    card = {"model": "tiny", "family": family, "tokenizer": tokenizer, "init": "random", "seed": 1, "source": "test"}
    return Weights(initialise(family, config, 1), load_tokenizer(tokenizer), card | {"parameters": 1})


@pytest.mark.parametrize("family", ["hyenadna", "nt_v1", "cnn"])
def test_inner_layers_are_pooled_and_the_last_keeps_its_bits(family):
    weights = network(family)
    sequences = [dna(length, length) for length in (40, 61, 20, 61, 200)]
    poolings = ["mean", "max"]
    alone = embed_sequences(weights, sequences, poolings, **COMPUTE)
    last = count_states(weights, cut_sequences(weights, sequences)) - 1
    found = embed_sequences(weights, sequences, poolings, layers=range(last), **COMPUTE)
    assert list(found) == list(columns_of_layers(poolings, range(last), last))
    for name in poolings:
        assert np.array_equal(found[name], alone[name]), "the same batches, the same bits"
    ids = weights.tokenizer.encode(sequences[0])
    inside = [token not in weights.tokenizer.special_ids for token in ids]
    with torch.no_grad():
        states = weights.model.hidden_states(torch.from_numpy(ids)[None])
    for layer in range(last):
        expected = states[layer][0][torch.tensor(inside)].mean(0)
        np.testing.assert_allclose(found[f"mean_layer{layer}"][0], expected, atol=1e-5)


def prepared(directory: Path, weights: Weights, sequences: list[str], **columns) -> dict[str, object]:
    save_weights(directory / "weights", weights.model, weights.card)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(len(sequences))], "sequence": sequences})
    write_sequences(directory / "set.parquet", frame.assign(**{"label": "x", "split": "test", "group": "g"} | columns))
    return {"weights": directory / "weights", "sequences": directory / "set.parquet"}


def test_the_last_layer_alone_is_the_file_of_before(tmp_path):
    flags = prepared(tmp_path, network("cnn"), [dna(30, seed) for seed in range(5)])
    tables = []
    for name, more in (("a", {}), ("b", {"layers": "last"}), ("c", {"layers": "all"})):
        out = tmp_path / f"{name}.parquet"
        assert main(words("embed", **flags, **more, poolings=["max", "mean"], output=out)) == 0
        tables.append(pq.read_table(out))
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2].select(tables[0].column_names))
    facts = [read_embeddings(tmp_path / f"{name}.parquet", ["max"])[2] for name in "abc"]
    assert "layers" not in facts[0] and facts[2]["layers"] == [0, 1, 2, 3] and facts[2]["last_layer"] == 3
    assert main(words("embed", **flags, layers=4, poolings="max", output=tmp_path / "d.parquet")) == 2


def test_an_interrupted_embedding_of_layers_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    flags = prepared(tmp_path, network("hyenadna"), [dna(30 + seed % 3, seed) for seed in range(40)])
    flags |= {"poolings": ["max", "mean"], "layers": "all", "token_budget": 70, "checkpoint_seconds": 1e-6}
    assert main(words("embed", **flags, output=tmp_path / "whole.parquet")) == 0
    touch, seen = embedding_checkpoint.Shards.touch, []

    def stop(self, members):
        seen.append(len(members))
        touch(self, members)
        if len(seen) == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(embedding_checkpoint.Shards, "touch", stop)
    with pytest.raises(KeyboardInterrupt):
        main(words("embed", **flags, output=tmp_path / "out.parquet"))
    assert list((tmp_path / "out.parquet.shards").glob("*.npz")), "shards are kept"
    monkeypatch.setattr(embedding_checkpoint.Shards, "touch", touch)
    count = len(seen)
    assert main(words("embed", **flags, output=tmp_path / "out.parquet")) == 0 and count == 8
    assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir() if "parquet" in path.name) == [
        "out.parquet", "set.parquet", "whole.parquet",
    ]  # fmt: skip


def test_vectors_of_many_layers_lie_in_a_file(tmp_path, monkeypatch):
    """Memory for vectors is that of none: the arrays are mapped, and their file has no name left."""
    weights, sequences = network("hyenadna"), [dna(30, seed) for seed in range(6)]
    chunks = cut_sequences(weights, sequences)
    with embedding_checkpoint.Shards(tmp_path / "out.parquet", 600) as shards:
        found = embed_chunks(weights, chunks, ["max"], shards=shards, layers=[0, 1], **COMPUTE)
    assert all(isinstance(matrix, np.memmap) for matrix in found.values()) and not list(tmp_path.iterdir())
    plain = embed_sequences(weights, sequences, ["max"], layers=[0, 1], **COMPUTE)
    assert all(np.array_equal(found[name], plain[name]) for name in plain)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(embedding.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"), embedding_checkpoint.Shards(tmp_path / "out.parquet", 600) as shards:
        embed_chunks(weights, chunks, ["max"], shards=shards, layers=[0, 1], **COMPUTE)


# ---- the choice


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Records of both arms of a network whose middle layer alone knows the classes, before and after `pretraining`."""
    directory = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(0)
    split = np.repeat(list(ROWS), list(ROWS.values()))
    labels = np.array(["at", "gc"])[np.arange(len(split)) % 2]
    shares = {"at": [0.35, 0.15, 0.15, 0.35], "gc": [0.15, 0.35, 0.35, 0.15]}
    sequences = ["".join(rng.choice(list("ACGT"), 40, p=shares[label])) for label in labels]
    places = []
    for init, signal, seed in (("pretrained", 1, 0), ("random", 2, 0), ("random", 2, 1)):
        config = {"width": 12, "vocab_size": load_tokenizer("character").size, "max_tokens": 64, "signal": signal}
        card = {"model": "planted", "family": FAMILY, "tokenizer": "character", "init": init, "seed": seed}
        weights = Weights(
            initialise(FAMILY, config, seed + signal), load_tokenizer("character"), card | {"source": "test"}
        )
        place = directory / "frozen" / "task" / "planted" / init / f"seed{seed}"
        place.mkdir(parents=True)
        flags = prepared(
            place, weights, sequences, label=labels, split=split, group=[f"g{i}" for i in range(len(split))]
        )
        out = place / "e.parquet"
        assert main(words("embed", **flags, poolings=["mean", "max"], layers="all", output=out)) == 0
        identity = {"analysis": "frozen", "task": "task", "model": "planted", "init": init, "seed": seed}
        files = {"embeddings": out, "record": place / "record.json", "predictions": place / "predictions.parquet"}
        given = {"probes": ["logistic"], "poolings": ["mean", "max"], "metric": "mcc", "layers": "all"}
        assert main(words("probe", **identity, **files, **given, sequences=flags["sequences"])) == 0
        places.append(place)
    return places


def test_validation_finds_the_planted_layer(trial):
    record = read_record(trial[0] / "record.json")
    layer = next(each for each in record["selections"] if each["what"] == "layer")
    assert layer["chosen"] == "1" and layer["tried"]["1"] > 0.8
    assert max(layer["tried"]["0"], layer["tried"]["2"]) < 0.5 and layer["split"] == "validation"
    run = next(each for each in record["selections"] if each["what"] == "run" and not each["within"])
    assert run["chosen"].endswith("_layer1") and next(iter(run["tried"])) == "logistic_mean", (
        "the last layer's comes first"
    )
    by = {row["selection"]: row for row in record["results"] if row["metric"] == "mcc" and row["split"] == "test"
          and row["selection"] != "run"}  # fmt: skip
    assert by["validation"]["value"] > 0.8 > 0.5 > by["last_layer"]["value"]
    assert by["test"]["extra"]["run"] == "logistic_mean"
    assert record["settings"]["layers"] == [0, 1, 2] and record["settings"]["last_layer"] == 2


def test_the_test_split_is_read_for_the_winner_and_the_last_layer_alone(trial):
    for place in trial:
        record, rows = read_record(place / "record.json"), pd.read_parquet(place / "predictions.parquet")
        won = rows.loc[rows["selected"], "run"].unique().tolist()
        tested = {row["extra"]["run"] for row in record["results"] if row["split"] == "test"}
        assert tested == {*won, "logistic_mean", "logistic_max"}
        assert set(rows.loc[rows["split"] == "test", "run"]) == tested
        assert rows.loc[rows["split"] == "validation", "run"].nunique() == 6
        assert set(rows.loc[rows["selected_last"], "run"]) <= {"logistic_mean", "logistic_max"}


def summary_of(trial):
    records = [read_record(place / "record.json") for place in trial]
    tables = [read_predictions(place / "predictions.parquet") for place in trial]
    given = {"metric": "mcc", "resamples": 200, "margin": 0.04, "seed": 1}
    return records, tables, summarise(records, [of_split(table, "test") for table in tables], **given)


def test_the_evidence_rests_on_the_chosen_layers_with_the_last_ones_beside(trial):
    _, _, summary = summary_of(trial)
    pairs = summary.comparisons.set_index(["selection", "versus"])["delta"]
    assert pairs["validation", "random"] > 0.5 > abs(pairs["last_layer", "random"])
    assert set(summary.scores["selection"]) == {"validation", "test", "last_layer"}


def test_score_and_depth_of_both_arms(trial):
    records, tables, _ = summary_of(trial)
    found = score_layers(records, tables, "mcc", 200, 1)
    assert list(found.columns) == LAYERS and len(found) == 6
    rows = found.set_index(["init", "layer"])
    for (init, layer), row in rows.iterrows():
        mine = [record for record in records if record["init"] == init]
        tried = [next(s for s in record["selections"] if s["what"] == "layer")["tried"][str(layer)] for record in mine]
        assert row["value"] == pytest.approx(np.mean(tried)) and row["low"] <= row["value"] <= row["high"]
    assert rows.loc[("pretrained", 1), "chosen"] == 1 and rows.loc["random", "chosen"].sum() == 2
    assert rows.loc[("random", 1), "seeds"] == 2 and rows["depth"].tolist() == [0, 0.5, 1] * 2
    assert rows.loc["pretrained", "low"].idxmax() == 1
    assert score_layers(records, [None] * 3, "mcc", 200, 1).empty


def test_verification_computes_layers_again(trial, tmp_path):
    place = tmp_path / "task" / "planted" / "pretrained" / "seed0"
    place.mkdir(parents=True)
    for name in ("record.json", "predictions.parquet"):
        (place / name).write_bytes((trial[0] / name).read_bytes())
    table = read_predictions(place / "predictions.parquet")

    def misfits(change):
        record = json.loads((trial[0] / "record.json").read_text())
        layer = next(each for each in record["selections"] if each["what"] == "layer")
        change(record, layer)
        keys = ("analysis", "task", "model", "init", "seed", "parameters", "settings", "selections", "cost")
        write_record(place / "record.json", results=[], **{key: record[key] for key in keys})
        again = json.loads((place / "record.json").read_text()) | {"results": record["results"]}
        again["hashes"] = {}
        return [misfit.text for misfit in check_cell(place / "record.json", again, table).check.misfits]

    assert misfits(lambda record, layer: None) == []
    assert "would choose 1 as layer" in misfits(lambda record, layer: layer.update(chosen="0"))[0]
    assert any("of 0 on validation" in text for text in misfits(lambda _, layer: layer["tried"].update({"0": 0.123})))

    def swap(record, _):
        rows = [row for row in record["results"] if row["split"] == "validation" and row["extra"]["layer"] == 0]
        rows[0]["value"] = 0.99

    assert any("0.99 in the record" in text for text in misfits(swap))


def test_a_cell_without_layers_stands_beside_one_with(trial):
    """A baseline chose no layer: beside the last layers it is what validation chose."""
    records = [read_record(place / "record.json") for place in trial]
    tables = [read_predictions(place / "predictions.parquet") for place in trial]
    records.append(records[1] | {"model": "gc", "init": "baseline", "seed": 0})
    tables.append(tables[1].drop_columns(["selected_last"]))
    results, _ = read_results(records, [table.filter(np.asarray(table["split"]) == "test") for table in tables], 50, 1)
    assert results.selections == ["validation", "test", "last_layer"]
    arm = ("gc", "baseline")
    assert results.runs(arm, "last_layer") == results.runs(arm, "validation")


def test_a_layer_that_was_not_kept_is_a_sentence(trial, tmp_path, capsys):
    files = {"record": tmp_path / "r.json", "predictions": tmp_path / "p.parquet"}
    identity = {"analysis": "frozen", "task": "task", "model": "planted", "init": "random", "seed": 0}
    given = {"probes": "logistic", "poolings": "max", "metric": "mcc", "sequences": trial[0] / "set.parquet"}
    out = tmp_path / "e.parquet"
    flags = {"weights": trial[0] / "weights", "sequences": trial[0] / "set.parquet", "poolings": "max"}
    for layers, sentence in ((None, "holds the last layer alone"), (0, "holds no layer 1")):
        assert main(words("embed", **flags, output=out, **({} if layers is None else {"layers": layers}))) == 0
        assert main(words("probe", **identity, **files, **given, embeddings=out, layers=1)) == 2
        assert sentence in capsys.readouterr().err


def test_tables_of_layers_are_verified(trial, tmp_path):
    """A study's tree of both arms, summarised: it fits, and an edited table of layers is named."""
    results = tmp_path / "results"
    for place in trial:
        cell = results / place.relative_to(trial[0].parents[4])
        cell.mkdir(parents=True)
        for name in ("record.json", "predictions.parquet"):
            (cell / name).write_bytes((place / name).read_bytes())
    cells = tuple("/".join(place.parts[-3:]) for place in trial)
    analysis = Analysis("frozen", results / "frozen", 100, {"mcc": 0.04}, 1)
    summarise_analysis(analysis, [TaskCells("task", "mcc", cells)], results / "frozen", 1)
    path = results / "frozen" / "layers.csv"
    found = pd.read_csv(path)
    assert len(found) == 6 and set(pd.read_csv(path.with_name("comparisons.csv"))["selection"]) >= {"last_layer"}
    assert verify(results, 1).misfits == []
    found.loc[found["layer"] == 1, "value"] += 0.01
    found.to_csv(path, index=False)
    misfits = verify(results, 1).misfits
    assert len(misfits) == 2 and all(misfit.path == path and "planted" in misfit.text for misfit in misfits)
