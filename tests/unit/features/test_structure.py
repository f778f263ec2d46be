"""Structural probes and maps against scikit-learn, planted facts and noise, and the files of the command."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import trustworthiness
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.evaluation.outputs import facts as tables
from foundationless.evaluation.records import comparable, read_record
from foundationless.features.embedding_files import write_embeddings
from foundationless.features.layers import Lazy
from foundationless.features.structure import maps, probes
from foundationless.features.structure.facts import draw_words, fact_of, tell_facts
from foundationless.features.structure.maps import map_rows
from foundationless.features.structure.probes import draw_rows, probe_facts
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import words


def make(n=240, length=60, seed=0):
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.2, 0.8, size=n)
    sequences = ["".join(rng.choice(list("ACGT"), length, p=np.array([1 - s, s, s, 1 - s]) / 2)) for s in shares]
    splits = np.resize(["train", "train", "validation", "test"], n)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(n)], "sequence": sequences, "label": "a", "split": splits})
    return frame.assign(group=frame["id"])


def counted(frame):
    """GC and longest run, counted by hand."""
    gc = np.array([(text.count("G") + text.count("C")) / len(text) for text in frame["sequence"]])
    runs = [max(len(part) for letter in "ACGT" for part in _runs(text, letter)) for text in frame["sequence"]]
    return gc, np.array(runs)


def _runs(text, letter):
    return "".join(one if one == letter else " " for one in text).split(" ")


def test_facts_are_what_one_counts():
    frame = make(60)
    train = np.arange(60)
    found = tell_facts(frame["sequence"].tolist(), train, train, 3)
    gc, runs = counted(frame)
    np.testing.assert_allclose(found["gc"], gc)
    np.testing.assert_array_equal(found["homopolymer"], runs)
    assert "length" not in found, "all are equally long"
    turned = tell_facts([reverse_complement(text) for text in frame["sequence"]], train, train, 3)
    np.testing.assert_allclose(turned["skew"], -found["skew"])
    for name in ("gc", "cpg", "homopolymer"):
        np.testing.assert_allclose(turned[name], found[name])
    for name in (name for name in found if fact_of(name) == "kmer"):
        word = name.removeprefix("kmer_")
        held = np.array([word in text for text in frame["sequence"]])
        assert 0.4 <= held.mean() <= 0.6 and (found[name] == held).all()
        first = [text.index(word) / (60 - len(word)) if word in text else np.nan for text in frame["sequence"]]
        np.testing.assert_allclose(found[f"place_{word}"], first)
    chosen = draw_words(frame["sequence"].tolist(), 3)
    assert len(chosen) == 6 == len(set(chosen)) and chosen == draw_words(frame["sequence"].tolist(), 3)
    odd = tell_facts(["CGCGAANN", "AAAATTT", "NNNN", "ACGCG"], np.arange(4), np.arange(4), 0)
    np.testing.assert_allclose(odd["gc"], [4 / 6, 0, np.nan, 0.8])
    np.testing.assert_allclose(odd["cpg"], [2 * 8 / 4, np.nan, np.nan, 2 * 5 / 4])
    assert odd["homopolymer"].tolist() == [2, 4, 0, 1]


def test_an_embedding_that_holds_gc_gives_it_back_and_noise_gives_nothing():
    frame = make(400)
    gc, _ = counted(frame)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(400, 5)).astype(np.float32)
    held = np.column_stack([noise, noise @ rng.normal(size=5) + 3 * gc]).astype(np.float32)
    values = {}
    for name, matrix in (("held", held), ("noise", noise)):
        probed = probe_facts(frame, {"max": matrix}, seed=0, draws=1)
        values[name] = {(r.extra["fact"], r.metric): r.value for r in probed.results}
        assert {r.n for r in probed.results if r.extra["fact"] == "gc"} == {100}
    assert values["held"]["gc", "r2"] == pytest.approx(1, abs=1e-4)
    assert values["noise"]["gc", "r2"] == pytest.approx(0, abs=0.08)
    assert values["noise"]["kmer", "macro_auroc"] == pytest.approx(0.5, abs=0.08)
    assert abs(values["noise"]["place", "pearson"]) < 0.2


def test_scores_are_those_of_scikit_learn_and_validation_alone_chooses():
    frame = make(240)
    rng = np.random.default_rng(2)
    counts = np.array([[text.count(pair) for pair in ("AA", "CG", "GA", "TC")] for text in frame["sequence"]])
    features = {
        "max": rng.normal(size=(240, 4)).astype(np.float32),
        "mean": (counts + rng.normal(size=counts.shape)).astype(np.float32),
    }
    probed = probe_facts(frame, features, seed=0, draws=1)
    rows = {split: np.flatnonzero(frame["split"] == split) for split in ("train", "validation", "test")}
    chosen = {(one["what"], one["within"]): one for one in probed.selections}
    scaled = StandardScaler().fit(features["mean"][rows["train"]].astype(float)).transform(features["mean"])
    gc, _ = counted(frame)
    tried = chosen["strength", "gc, mean"]["tried"]
    for strength, value in tried.items():
        model = Ridge(alpha=1 / float(strength)).fit(scaled[rows["train"]], gc[rows["train"]])
        score = r2_score(gc[rows["validation"]], model.predict(scaled[rows["validation"]]))
        assert score == pytest.approx(value, abs=1e-4)
    assert chosen["pooling", "gc"]["chosen"] == "mean"
    best = max(tried, key=tried.get)
    model = Ridge(alpha=1 / float(best)).fit(scaled[rows["train"]], gc[rows["train"]])
    values = {(r.extra["fact"], r.metric): r.value for r in probed.results}
    assert values["gc", "r2"] == pytest.approx(
        r2_score(gc[rows["test"]], model.predict(scaled[rows["test"]])), abs=1e-4
    )
    pooling = chosen["pooling", "kmer"]["chosen"]
    strength = float(chosen["strength", f"kmer, {pooling}"]["chosen"])
    scaled = StandardScaler().fit(features[pooling][rows["train"]].astype(float)).transform(features[pooling])
    areas = []
    for column in (name for name in probed.predictions if name.startswith("observed_kmer_")):
        held = np.array([column.removeprefix("observed_kmer_") in text for text in frame["sequence"]])
        model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(scaled[rows["train"]], held[rows["train"]])
        areas.append(roc_auc_score(held[rows["test"]], model.decision_function(scaled[rows["test"]])))
    assert values["kmer", "macro_auroc"] == pytest.approx(np.mean(areas), abs=2e-3)
    other = frame.assign(sequence=frame["sequence"].where(frame["split"] != "test", frame["sequence"].str[::-1]))
    again = probe_facts(other, features, seed=0, draws=1)
    assert again.selections == probed.selections, "test rows choose nothing"
    cheap = probed.predictions[["observed_gc", "kmers_gc"]].corr().iloc[0, 1]
    assert cheap > 0.999


def test_rows_are_drawn_by_split_and_a_set_without_validation_gives_some_of_its_groups(monkeypatch):
    frame = make(240).assign(group=lambda rows: (rows.index // 8).astype(str))
    monkeypatch.setattr(probes, "MOST_ROWS", 50)
    drawn = draw_rows(frame, 1)
    assert drawn["split"].value_counts().to_dict() == {"train": 50, "validation": 50, "test": 50}
    assert drawn.index.is_monotonic_increasing and (frame.loc[drawn.index, "id"] == drawn["id"]).all()
    assert drawn.equals(draw_rows(frame, 1))
    without = draw_rows(frame[frame["split"] != "validation"].reset_index(drop=True), 1)
    groups = {split: set(without.loc[without["split"] == split, "group"]) for split in ("train", "validation")}
    assert groups["validation"] and not groups["train"] & groups["validation"]
    with pytest.raises(UserError, match="no test split"):
        draw_rows(frame[frame["split"] != "test"], 1)
    with pytest.raises(UserError, match="no fact of the sequences varies"):
        probe_facts(frame.assign(sequence="ACGT"), {"max": np.ones((240, 2), dtype=np.float32)}, seed=0, draws=1)


def cell(model, init, seed, knows, rng, rows=150):
    """Predictions of one cell whose GC probe is right but for noise."""
    truth = np.random.default_rng(9).normal(size=rows)
    frame = {"task": "t", "model": model, "init": init, "seed": seed, "id": [f"r{i}" for i in range(rows)]}
    frame |= {"group": None, "observed_gc": truth, "kmers_gc": truth + 0.1 * np.random.default_rng(8).normal(size=rows)}
    held = (truth > 0).astype(float)
    more = {"observed_kmer_AC": held, "predicted_kmer_AC": rng.uniform(size=rows), "kmers_kmer_AC": held}
    return pd.DataFrame(frame | {"predicted_gc": knows * truth + rng.normal(size=rows)} | more)


def test_the_table_pairs_arms_and_says_what_is_planted():
    rng = np.random.default_rng(3)
    cells = [cell("m", "pretrained", 0, 3, rng), *(cell("m", "random", seed, 0.3, rng) for seed in range(3))]
    found = tables.tabulate(cells, seed=1).set_index(["model", "init", "fact", "metric", "versus"])
    own = found.loc["m", "pretrained", "gc", "pearson", ""]
    assert own["value"] == pytest.approx(np.corrcoef(cells[0]["observed_gc"], cells[0]["predicted_gc"])[0, 1])
    assert own["low"] < own["value"] < own["high"] and own["n"] == 150
    each = [np.corrcoef(one["observed_gc"], one["predicted_gc"])[0, 1] for one in cells[1:]]
    assert found.loc["m", "random", "gc", "pearson", ""]["value"] == pytest.approx(np.mean(each))
    assert found.loc["m", "random", "gc", "pearson", ""]["seeds"] == 3
    change = found.loc["m", "pretrained", "gc", "pearson", "random"]
    assert change["delta"] == pytest.approx(own["value"] - np.mean(each))
    assert change["verdict"] == "better" and change["p_holm"] == pytest.approx(2 * change["p"])
    assert found.loc["m", "pretrained", "kmer", "macro_auroc", "random"]["verdict"] == "not learned"
    assert found.loc["m", "pretrained", "kmer", "macro_auroc", "kmers"]["verdict"] == "worse"
    assert found.loc["kmers", "baseline", "kmer", "macro_auroc", ""]["value"] == 1
    few = tables.tabulate(cells[:2], seed=1)
    assert set(few.loc[few["versus"] == "random", "verdict"]) == {"one seed"}
    assert tables.tabulate([]).columns.tolist() == tables.STRUCTURE


def test_the_command_writes_the_same_twice_and_refuses_what_is_not_there(tmp_path, capsys):
    frame = make(120)
    matrix = np.random.default_rng(4).normal(size=(120, 6)).astype(np.float32)
    write_sequences(tmp_path / "set.parquet", frame)
    facts = {"parameters": 7, "max_tokens": 64, "precision": "fp32", "cost": {"seconds": 1.5, "tokens": 99}}
    write_embeddings(tmp_path / "e.parquet", frame["id"].tolist(), {"max": matrix, "mean": matrix}, facts)
    flags = {"embeddings": tmp_path / "e.parquet", "sequences": tmp_path / "set.parquet", "analysis": "structure"}
    flags |= {"task": "t", "model": "m", "init": "random", "seed": 3, "poolings": ["max", "mean"]}
    seen = []
    for name in "ab":
        paths = {"record": tmp_path / f"{name}.json", "predictions": tmp_path / f"{name}.parquet"}
        assert main(words("probe_structure", **flags, **paths)) == 0
        seen.append((comparable(read_record(paths["record"])), paths["predictions"].read_bytes()))
    assert seen[0] == seen[1]
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table.columns[:6].tolist() == ["task", "model", "init", "seed", "id", "group"] and len(table) == 30
    assert len(tables.tabulate([table])) and seen[0][0]["settings"]["poolings"] == ["max", "mean"]
    layered = {"max": matrix, "mean": matrix, "max_layer0": matrix, "mean_layer0": matrix}
    kept = flags | {"embeddings": tmp_path / "l.parquet", "layers": ["all"]}
    write_embeddings(kept["embeddings"], frame["id"].tolist(), layered, facts | {"layers": [0, 1], "last_layer": 1})
    assert main(words("probe_structure", **kept, **paths)) == 0
    assert read_record(paths["record"])["settings"]["layers"] == [0, 1]
    assert {"split", "layer0_gc", "layer1_gc"} <= {*pd.read_parquet(paths["predictions"])}
    assert main(words("probe_structure", **flags | {"layers": ["all"]}, **paths)) == 2
    assert "run embed with --layers" in capsys.readouterr().err
    assert main(words("probe_structure", **flags | {"poolings": ["cls"]}, **paths)) == 2
    assert "holds no 'cls'" in capsys.readouterr().err
    matrix[5, 0] = np.nan
    write_embeddings(tmp_path / "e.parquet", frame["id"].tolist(), {"max": matrix, "mean": matrix}, facts)
    assert main(words("probe_structure", **flags, **paths)) == 2
    assert "of 's5' are not finite" in capsys.readouterr().err


def test_a_map_keeps_planted_groups_and_says_how_far_it_is_trusted():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    scaled = rng.normal(size=(60, 8)) + 8 * np.eye(8)[labels]
    places = scaled[:, 3:5]
    found, trust = map_rows(scaled, places, 0)
    centres = np.stack([found[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(found[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).all() and found.dtype == np.float32
    for name, each in (("pca", places), ("tsne", found)):
        assert trust[name] == (pytest.approx(trustworthiness(scaled, each, n_neighbors=10)), 60)
    assert trust["tsne"][0] > trust["pca"][0] + 0.1
    again, _ = map_rows(scaled, places, 0)
    assert again.tobytes() == found.tobytes()


def test_many_rows_are_thinned_and_few_or_equal_ones_have_no_map(monkeypatch):
    monkeypatch.setattr(maps, "MAPPED", 40)
    scaled = np.random.default_rng(1).normal(size=(90, 1))
    found, trust = map_rows(scaled, np.pad(scaled, ((0, 0), (0, 1))), 5)
    assert np.isfinite(found).all(axis=1).sum() == 40 == trust["tsne"][1] and trust["pca"][0] > 0.9
    assert np.isnan(found).all(axis=1).sum() == 50
    for rows in (scaled[:20], np.zeros((50, 3))):
        found, trust = map_rows(rows, np.zeros((len(rows), 2)), 0)
        assert np.isnan(found).all() and trust == {}


def test_validation_chooses_the_layer_of_each_fact_and_test_rows_are_read_of_the_winner_alone():
    """Of four states one holds GC and another the longest run: each fact finds its own."""
    frame = make(400)
    gc, runs = counted(frame)
    rng = np.random.default_rng(5)
    states = {
        name: rng.normal(size=(400, 4)).astype(np.float32) for name in ("max", "max_layer0", "max_layer1", "max_layer2")
    }
    states["max_layer1"][:, 0] = 40 * gc + rng.normal(size=400)
    states["max_layer2"][:, 0] = runs + 0.3 * rng.normal(size=400)
    layers = {"max": 3, "max_layer0": 0, "max_layer1": 1, "max_layer2": 2}
    probed = probe_facts(frame, states, seed=0, draws=1, layers=layers)
    chosen = {one["within"]: one for one in probed.selections if one["what"] == "layer"}
    assert (chosen["gc"]["chosen"], chosen["homopolymer"]["chosen"]) == (1, 2)
    assert set(chosen["gc"]["tried"]) == {0, 1, 2, 3} and chosen["gc"]["split"] == "validation"
    rows = probed.predictions
    assert rows["split"].value_counts().to_dict() == {"validation": 100, "test": 100}
    assert rows.loc[rows["split"] == "test", [f"layer{number}_gc" for number in range(4)]].isna().all(axis=None)
    lazy = probe_facts(frame, Lazy(list(states), states.__getitem__), seed=0, draws=1, layers=layers)
    pd.testing.assert_frame_equal(lazy.predictions, rows)
    alone = probe_facts(frame, {"max_layer1": states["max_layer1"]}, seed=0, draws=1)
    assert "split" not in alone.predictions and not any("layer" in name for name in alone.predictions)
    test = rows[rows["split"] == "test"].reset_index(drop=True)
    np.testing.assert_array_equal(test["predicted_gc"], alone.predictions["predicted_gc"])

    cells = [rows.assign(task="t", model="m", init=init, seed=0) for init in ("pretrained", "random")]
    table = tables.tabulate(cells, resamples=200)
    of = table[(table["model"] == "m") & (table["init"] == "pretrained") & (table["fact"] == "gc")]
    by_layer = of[of["layer"].notna()].set_index("layer")
    watched = rows[rows["split"] == "validation"]
    for number in range(4):
        own = np.corrcoef(watched["observed_gc"], watched[f"layer{number}_gc"])[0, 1]
        assert by_layer.loc[number, "value"] == pytest.approx(own)
    assert by_layer["chosen"].to_dict() == {0: 0, 1: 1, 2: 0, 3: 0} and by_layer["last"].to_dict()[3]
    assert by_layer["depth"].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    plain = tables.tabulate([cell[cell["split"] == "test"].drop(columns="split") for cell in cells], resamples=200)
    pd.testing.assert_frame_equal(table[table["layer"].isna()].reset_index(drop=True), plain, check_dtype=False)
