"""Arms from outside: what is exported, what is refused of what comes back, and that it is then as one of our own."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pysam import FastxFile
from sklearn.metrics import average_precision_score, roc_auc_score

from foundationless.__main__ import main
from foundationless.evaluation.records import read_record
from foundationless.features.embedding_files import read_embeddings
from foundationless.runtime.files import sha256
from foundationless.tasks.exports import checksum, exported
from foundationless.tasks.sequence_sets import write_sequences
from support.commands import refused, words
from support.networks import HYENA, save_model

COUNT = 90


@pytest.fixture
def classes(tmp_path):
    """A set of two classes, one rich in G."""
    rng = np.random.default_rng(0)
    rich = np.arange(COUNT) % 2 == 1
    shares = [[0.2, 0.2, 0.4, 0.2] if odd else [0.25] * 4 for odd in rich]
    letters = ["".join(rng.choice(list("ACGT"), 60, p=share)) for share in shares]
    split = ["train"] * 50 + ["validation"] * 15 + ["test"] * 25
    frame = pd.DataFrame(
        {"id": [f"s{n}" for n in range(COUNT)], "sequence": letters, "label": np.where(rich, "b", "a")}
    )
    frame = frame.assign(split=split, group=None)
    write_sequences(tmp_path / "sets/t.parquet", frame)
    return frame


@pytest.fixture
def variants(tmp_path):
    """A set of variants whose windows are known."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(40):
        window = "".join(rng.choice(list("ACGT"), 21))
        ref, alt = (window[10], "ACGT"[("ACGT".index(window[10]) + 1) % 4]) if number % 4 else (window[10:12], "T")
        rows.append({"id": f"chr1:{number}:{ref}:{alt}", "sequence": window, "offset": 10, "ref": ref, "alt": alt})
    label = ["pathogenic", "benign"] * 20
    frame = pd.DataFrame(rows).assign(label=label, split="test", group="g1", contig="chr1", position=7, gene="X")
    write_sequences(tmp_path / "sets/v.parquet", frame)
    return frame


def export(folder, *tasks):
    argv = words("export_sequences", task=list(tasks), sequences=folder / "sets", output=folder / "exports")
    assert main(argv) == 0
    return [json.loads((folder / f"exports/{task}.json").read_text()) for task in tasks]


def write(folder, task, columns, /, **card):
    """A file from outside with its card; a key of the card with the value None is left out."""
    path = folder / "mine.parquet"
    pq.write_table(pa.table(columns), path)
    told = json.loads((folder / f"exports/{task}.json").read_text())
    facts = {"by": "a lab", "model": "lab/m", "revision": "abc", "command": "run", "arm": "pretrained", "task": task}
    facts |= {"parameters": 7, "sha256": sha256(path), "sequences_sha256": told["sequences_sha256"]} | card
    path.with_suffix(".json").write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))
    return path


def vectors(frame, width=3):
    rng = np.random.default_rng(5)
    return {"id": frame["id"].tolist(), "mean": rng.normal(size=(len(frame), width)).tolist()}


def importing(folder, path, task="t", init="pretrained", seed=0, poolings="mean"):
    places = {"vectors": path, "card": path.with_suffix(".json"), "sequences": folder / f"sets/{task}.parquet"}
    identity = {"task": task, "model": "m", "init": init, "seed": seed}
    return words("import_vectors", **places, **identity, poolings=poolings, output=folder / f"{init}{seed}.parquet")


# ---- what is exported


def test_sequences_are_exported_without_labels(tmp_path, classes, capsys):
    (facts,) = export(tmp_path, "t")
    table = pq.read_table(tmp_path / "exports/t.parquet").to_pandas()
    assert list(table.columns) == ["id", "sequence", "split"] == facts["columns"] and facts["rows"] == COUNT
    pd.testing.assert_frame_equal(
        table.set_index("id").loc[classes["id"]], classes.set_index("id")[["sequence", "split"]], check_dtype=False
    )
    read = {each.name: each.sequence for each in FastxFile(str(tmp_path / "exports/t.fa"))}
    assert read == dict(zip(classes["id"], classes["sequence"], strict=True))
    assert f"t: sequences_sha256 {facts['sequences_sha256']}." in capsys.readouterr().err


def test_both_windows_of_a_variant_are_exported(tmp_path, variants):
    export(tmp_path, "v")
    table = pq.read_table(tmp_path / "exports/v.parquet").to_pandas().set_index("id").loc[variants["id"]]
    assert list(table.columns) == ["sequence", "alternative", "split", "contig", "position", "offset", "ref", "alt"]
    for row, known in zip(table.itertuples(), variants.itertuples(), strict=True):
        assert row.sequence == known.sequence and row.alternative[:10] == row.sequence[:10]
        assert row.alternative[10:].startswith(known.alt)
        assert row.alternative.removeprefix(row.sequence[:10] + known.alt) == row.sequence[10 + len(known.ref) :]
    read = {each.name: each.sequence for each in FastxFile(str(tmp_path / "exports/v.fa"))}
    assert len(read) == 2 * len(variants)
    assert all(read[f"{row.Index}|ALT"] == row.alternative for row in table.itertuples())
    assert all(read[f"{row.Index}|REF"] == row.sequence for row in table.itertuples())


def test_the_checksum_is_of_what_was_exported_and_of_nothing_else(classes):
    whole = checksum(exported(classes))
    shuffled = classes.sample(frac=1, random_state=3).assign(label="c", group="g")
    assert checksum(exported(shuffled)) == whole
    for column, value in (("sequence", "ACGT"), ("split", "test"), ("id", "other")):
        other = classes.copy()
        other.loc[3, column] = value
        assert checksum(exported(other)) != whole


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("u", "sets/u.parquet: no such file; build the set first"),
        ("t.pct10", "--task t.pct10: a derived set reads the vectors of the task's own; export t."),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(tmp_path, classes, capsys, task, sentence):
    argv = words("export_sequences", task=task, sequences=tmp_path / "sets", output=tmp_path / "exports")
    assert sentence in refused(capsys, argv)


# ---- one of our own models, by both ways


def probing(folder, embeddings, name):
    identity = {"analysis": "frozen", "task": "t", "model": "m", "init": "random", "seed": 3}
    places = {"embeddings": embeddings, "sequences": folder / "sets/t.parquet", "record": folder / f"{name}.json"}
    settings = {"probes": ["logistic", "xgboost"], "poolings": ["max", "mean"], "metric": "accuracy", "rounds": 20}
    argv = words("probe", **identity, **places, **settings, predictions=folder / f"{name}.parquet")
    assert main(argv) == 0
    return read_record(folder / f"{name}.json"), pd.read_parquet(folder / f"{name}.parquet")


def test_a_model_of_our_own_has_the_same_scores_by_either_way(tmp_path, classes):
    weights = save_model(tmp_path / "weights", "hyenadna", HYENA, "hyenadna", seed=3)
    inside = tmp_path / "inside.parquet"
    places = {"weights": weights, "sequences": tmp_path / "sets/t.parquet", "output": inside}
    assert main(words("embed", **places, poolings=["max", "mean"])) == 0
    export(tmp_path, "t")
    ids, own, _ = read_embeddings(inside, ["max", "mean"])
    order = np.random.default_rng(2).permutation(COUNT)  # another program has its own order, and doubles
    columns = {"id": [ids[row] for row in order]}
    columns |= {name: own[name][order].astype(np.float64).tolist() for name in own}
    path = write(tmp_path, "t", columns, arm="random", seed=3)
    assert main(importing(tmp_path, path, init="random", seed=3, poolings=["max", "mean"])) == 0
    names, found, facts = read_embeddings(tmp_path / "random3.parquet", ["max", "mean"])
    assert names == ids and all(np.array_equal(found[name], own[name]) for name in own)
    assert facts["cost"] == {"seconds": None, "tokens": None} and facts["parameters"] == 7
    one, predicted = probing(tmp_path, inside, "one")
    other, outside = probing(tmp_path, tmp_path / "random3.parquet", "other")
    pd.testing.assert_frame_equal(predicted, outside)
    assert one["results"] == other["results"] and one["selections"] == other["selections"]
    assert {key: value for key, value in other["settings"].items() if key.startswith("outside_")} == {
        "outside_by": "a lab", "outside_model": "lab/m", "outside_revision": "abc", "outside_command": "run",
    }  # fmt: skip
    assert other["hashes"]["weights"] == sha256(path) and other["hashes"]["card"] == sha256(path.with_suffix(".json"))
    assert other["cost"]["embedding"]["seconds"] is None, "unknown is not 0"


def test_vectors_are_clustered_too(tmp_path, classes):
    export(tmp_path, "t")
    assert main(importing(tmp_path, write(tmp_path, "t", vectors(classes)))) == 0
    places = {"embeddings": tmp_path / "pretrained0.parquet", "sequences": tmp_path / "sets/t.parquet"}
    places |= {"record": tmp_path / "c.json", "map": tmp_path / "c.parquet"}
    identity = {"analysis": "clustering", "task": "t", "model": "m", "init": "pretrained", "seed": 0}
    assert main(words("cluster_embeddings", **places, **identity, pooling="mean", permutations=20)) == 0
    record = read_record(tmp_path / "c.json")
    assert record["settings"]["outside_model"] == "lab/m" and record["parameters"] == 7


def test_a_card_may_be_yaml(tmp_path, classes):
    export(tmp_path, "t")
    path = write(tmp_path, "t", vectors(classes))
    path.with_suffix(".json").rename(path.with_suffix(".yaml"))
    argv = [str(word).replace("mine.json", "mine.yaml") for word in importing(tmp_path, path)]
    assert main(argv) == 0


# ---- what is refused


def without(table, name):
    keep = [row for row, each in enumerate(table["id"]) if each != name]
    return {column: [values[row] for row in keep] for column, values in table.items()}


def broken(table, row, value):
    return table | {"mean": [value if place == row else vector for place, vector in enumerate(table["mean"])]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: without(t, "s4"), "mine.parquet: no row of id 's4', which the sequence set has (1 are missing)"),
        (lambda t: {"id": [*t["id"], "x"], "mean": [*t["mean"], [1.0] * 3]}, "id 'x' is none of the sequence set"),
        (lambda t: {"id": [*t["id"], "s7"], "mean": [*t["mean"], [1.0] * 3]}, "id 's7' stands there more than once"),
        (lambda t: t | {"id": [None, *t["id"][1:]]}, "row 1 has no id"),
        (lambda t: t | {"id": list(range(COUNT))}, "column 'id' holds int64, not text"),
        (lambda t: {"name": t["id"], "mean": t["mean"]}, "no column 'id'; it has name, mean"),
        (lambda t: broken(t, 5, [1.0, math.nan, 2.0]), "id 's5' has in 'mean' what is no finite number"),
        (lambda t: broken(t, 6, [1.0, math.inf, 2.0]), "id 's6' has in 'mean' what is no finite number"),
        (lambda t: broken(t, 6, [1.0, 1e300, 2.0]), "id 's6' has in 'mean' what is no finite number"),
        (lambda t: broken(t, 6, [1.0, None, 2.0]), "id 's6' has in 'mean' what is no finite number"),
        (lambda t: broken(t, 8, [1.0, 2.0]), "id 's8' has 2 numbers in 'mean', where 3 belong"),
        (lambda t: broken(t, 8, None), "id 's8' has 0 numbers in 'mean', where 3 belong"),
        (lambda t: t | {"mean": [[]] * COUNT}, "column 'mean' holds list<element: null>, not lists of floating"),
        (lambda t: t | {"mean": [1.0] * COUNT}, "column 'mean' holds double, not lists of floating"),
        (lambda t: {"id": t["id"], "max": t["mean"]}, "no column 'mean'; it has max. Add it, or name those of the"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_the_set_is_a_sentence(tmp_path, classes, capsys, change, sentence):
    export(tmp_path, "t")
    path = write(tmp_path, "t", change(vectors(classes)))
    said = refused(capsys, importing(tmp_path, path))
    assert sentence in said and str(path) in said
    assert not (tmp_path / "pretrained0.parquet").exists()


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"sha256": "0" * 64}, "mine.parquet: its SHA-256 is not the one of its card"),
        ({"sequences_sha256": "0" * 64}, "it was computed from other sequences than"),
        ({"arm": "random", "seed": 0}, "the card says arm random, and the study reads it as pretrained"),
        ({"arm": "random"}, "'seed' is a required property"),
        ({"task": "u"}, "the card says task u, and the study reads it as t"),
        ({"by": None}, "'by' is a required property"),
        ({"parameters": None}, "'parameters' is a required property"),
        ({"revision": 7}, "revision: 7 is not of type 'string'"),
        ({"licence": "?"}, "unknown key 'licence'"),
    ],
)
def test_a_card_that_does_not_vouch_for_its_file_is_a_sentence(tmp_path, classes, capsys, card, sentence):
    export(tmp_path, "t")
    path = write(tmp_path, "t", vectors(classes), **card)
    said = refused(capsys, importing(tmp_path, path))
    assert sentence in said and "mine." in said


def test_a_random_arm_of_another_seed_is_refused(tmp_path, classes, capsys):
    export(tmp_path, "t")
    path = write(tmp_path, "t", vectors(classes), arm="random", seed=1)
    assert main(importing(tmp_path, path, init="random", seed=1)) == 0
    said = refused(capsys, importing(tmp_path, path, init="random", seed=2))
    assert "the card says seed 1, and the study reads it as 2" in said


def test_a_set_that_changed_since_it_was_exported_is_refused(tmp_path, classes, capsys):
    export(tmp_path, "t")
    path = write(tmp_path, "t", vectors(classes))
    write_sequences(tmp_path / "sets/t.parquet", classes.assign(label=classes["label"].map({"a": "x", "b": "y"})))
    assert main(importing(tmp_path, path)) == 0, "labels are nothing that a vector is computed from"
    classes.loc[0, "sequence"] = classes.loc[0, "sequence"][::-1]
    write_sequences(tmp_path / "sets/t.parquet", classes)
    said = refused(capsys, importing(tmp_path, path))
    assert f"{path}: it was computed from other sequences than {tmp_path / 'sets/t.parquet'} holds" in said


def test_missing_and_broken_files_are_sentences(tmp_path, classes, capsys):
    export(tmp_path, "t")
    path = write(tmp_path, "t", vectors(classes))
    card = path.with_suffix(".json").read_text()
    path.with_suffix(".json").unlink()
    assert "mine.json: no such file; a file from outside needs its card" in refused(capsys, importing(tmp_path, path))
    path.with_suffix(".json").write_text("[1]")
    assert "mine.json: not a card" in refused(capsys, importing(tmp_path, path))
    path.with_suffix(".json").write_text("{'a")
    assert "mine.json: not valid YAML" in refused(capsys, importing(tmp_path, path))
    path.write_text("no Parquet")
    path.with_suffix(".json").write_text(json.dumps(json.loads(card) | {"sha256": sha256(path)}))
    assert "mine.parquet: not a Parquet file" in refused(capsys, importing(tmp_path, path))
    path.unlink()
    assert "mine.parquet: no such file; compute it from what export_" in refused(capsys, importing(tmp_path, path))


# ---- scores of variants


def scoring(folder, path, init="baseline"):
    places = {"scores": path, "card": path.with_suffix(".json"), "sequences": folder / "sets/v.parquet"}
    places |= {"record": folder / "record.json", "predictions": folder / "predictions.parquet"}
    identity = {"analysis": "likelihood", "task": "v", "model": "cadd", "init": init, "seed": 0}
    return words("import_scores", **places, **identity)


@pytest.mark.parametrize(("higher", "sign"), [("damaging", 1), ("tolerated", -1)])
def test_scores_rank_variants_as_scikit_learn_has_it(tmp_path, variants, higher, sign):
    export(tmp_path, "v")
    scores = np.random.default_rng(4).normal(size=len(variants)) + (variants["label"] == "pathogenic")
    order = np.random.default_rng(6).permutation(len(variants))
    columns = {"id": variants["id"].to_numpy()[order], "score": sign * scores.to_numpy()[order]}
    path = write(tmp_path, "v", columns, arm="baseline", parameters=None, higher=higher)
    assert main(scoring(tmp_path, path)) == 0
    record, rows = read_record(tmp_path / "record.json"), pd.read_parquet(tmp_path / "predictions.parquet")
    chosen = {row["metric"]: row["value"] for row in record["results"] if row["selection"] == "validation"}
    truth = variants["label"] == "pathogenic"
    assert chosen["auroc"] == pytest.approx(roc_auc_score(truth, scores))
    assert chosen["auprc"] == pytest.approx(average_precision_score(truth, scores))
    np.testing.assert_allclose(rows.set_index("id").loc[variants["id"], "score"], scores)
    assert record["parameters"] == 0 and record["settings"]["outside_higher"] == higher
    assert record["cost"]["outside"]["seconds"] is None


@pytest.mark.parametrize(
    ("scores", "card", "sentence"),
    [
        ([math.nan] + [1.0] * 39, {}, "has in 'score' what is no finite number"),
        (["1"] * 40, {}, "column 'score' holds string, not numbers"),
        ([1.0] * 40, {"higher": None}, "mine.json: the card does not say what a higher score means; add higher."),
    ],
)
def test_scores_that_do_not_fit_are_sentences(tmp_path, variants, capsys, scores, card, sentence):
    export(tmp_path, "v")
    facts = {"arm": "baseline", "higher": "damaging"} | card
    path = write(tmp_path, "v", {"id": variants["id"].tolist(), "score": scores}, **facts)
    assert sentence in refused(capsys, scoring(tmp_path, path))
    assert not (tmp_path / "record.json").exists()
