"""Records: written and read again, refused where a part is missing, and those of before under the names of today."""

import json

import pytest

from foundationless.errors import UserError
from foundationless.evaluation import records
from foundationless.runtime.usage import JobUsage

WHOLE = {
    "schema": records.SCHEMA, "analysis": "a", "task": "t", "model": "m", "init": "random", "seed": 0, "parameters": 1,
    "results": [], "cost": {"seconds": 1.0}, "versions": {},
}  # fmt: skip


def test_record_round_trip_and_flat_table(tmp_path):
    path = tmp_path / "record.json"
    watch = JobUsage()
    results = [records.Result("mcc", 0.5, 10, fold=0, learning_rate=1e-3, extra={"run": "r"})]
    records.write_record(
        path, analysis="finetune", task="t", model="m", init="random", seed=1, parameters=7, settings={"epochs": 2},
        results=results, cost=watch.cost(),
    )  # fmt: skip
    record = records.read_record(path)
    row = records.flatten([record]).iloc[0]
    assert set(row.index) >= {
        "model", "init", "seed", "task", "fold", "learning_rate", "selection", "metric", "value", "n", "parameters",
        "device", "seconds", "peak_memory_mb", "version_foundationless", "version_commit", "run",
    }  # fmt: skip
    assert row["value"] == 0.5 and row["peak_memory_mb"] > 1
    assert not {"cost", "versions"} & set(records.comparable(record))
    path.write_text(json.dumps({"schema": 0}))
    with pytest.raises(UserError, match="not a record"):
        records.read_record(path)


@pytest.mark.parametrize("key", ["analysis", "seed", "parameters", "results", "cost", "versions"])
def test_a_record_without_a_part_is_refused(tmp_path, key):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(WHOLE))
    assert records.read_record(path)["model"] == "m"
    path.write_text(json.dumps({name: value for name, value in WHOLE.items() if name != key}))
    with pytest.raises(UserError, match=key):
        records.read_record(path)


@pytest.mark.parametrize("part", [{"settings": None}, {"settings": [1]}, {"selections": None}, {"selections": 3}])
def test_a_record_with_a_broken_part_is_refused(tmp_path, part):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(WHOLE | part))
    with pytest.raises(UserError, match=f"'{min(part)}' is broken"):
        records.read_record(path)


def test_a_selection_is_kept_and_one_that_cannot_be_traced_is_refused(tmp_path):
    shared = {"analysis": "biotype", "task": "t", "model": "m", "init": "random", "seed": 0, "parameters": 1}
    shared |= {"settings": {}, "results": [], "cost": {"seconds": 1.0}}
    selection = {"what": "strength", "split": "validation", "metric": "mcc", "tried": {0.1: 0.2, 1: None}}
    selection |= {"chosen": 0.1}
    history = selection | {"what": "epoch", "within": "r", "tried": {1: 0.3, 2: 0.4, 3: 0.1}, "chosen": 2}
    path = tmp_path / "record.json"
    records.write_record(path, **shared, selections=[selection, history])
    table = records.flatten_selections([records.read_record(path)])
    assert table["candidate"].tolist() == ["0.1", "1", "2"], "of the epochs only the chosen one"
    assert table["chosen"].tolist() == [True, False, True] and table["tried"].tolist() == [2, 2, 3]
    assert table.loc[2, ["what", "within", "value"]].tolist() == ["epoch", "r", 0.4]
    with pytest.raises(UserError, match="does not say what was tried"):
        records.write_record(path, **shared, selections=[selection | {"chosen": 10}])


@pytest.mark.parametrize(("candidates", "chosen", "least", "most", "edge"), [
    ([1e-4, 1e-3, 1e-2], 1e-4, 0, 1, "low"), ([1e-4, 1e-3, 1e-2], "0.01", 0, 1, "high"), ([3, 1, 2], 2, 0, 9, ""),
    (["1", "5"], "1", 1, 9, ""), ([1, 5], 5, 1, 5, ""), ([0.1], 0.1, 0, 1, ""),
])  # fmt: skip
def test_an_edge_is_the_end_of_a_grid_beyond_which_there_is_more(candidates, chosen, least, most, edge):
    assert records.edge_of(candidates, chosen, least, most) == edge


def test_the_next_candidate_keeps_the_ratio_of_the_edge():
    paper = [1e-5, 3e-5, 5e-5, 8e-5, 1e-4, 3e-4]
    assert records.beyond(paper, 3e-4) == 9e-4 and records.beyond([*paper, 9e-4], 9e-4) == 2.7e-3
    assert records.beyond(paper, 1e-5) == 3.33333e-6 and records.beyond(paper, 5e-5) is None
    assert records.beyond([5e-4], 5e-4) is None


def test_a_record_says_its_edges_and_one_of_before_is_read_with_them(tmp_path):
    tried = {"0.001": 0.1, "0.01": 0.4}
    rate = {
        "what": "learning_rate",
        "within": "f",
        "split": "validation",
        "metric": "mcc",
        "tried": tried,
        "chosen": "0.01",
    }
    epochs = rate | {"what": "epoch", "tried": {"1": 0.1, "2": 0.3}, "chosen": "2"}
    other = rate | {"what": "run", "tried": {"a": 0.1}, "chosen": "a"}
    path = tmp_path / "record.json"
    for budget, edge in ((2, "high"), (3, "")):  # a run that ended early was not at the end of its budget
        path.write_text(json.dumps(WHOLE | {"settings": {"epochs": budget}, "selections": [rate, epochs, other]}))
        assert [selection["edge"] for selection in records.read_record(path)["selections"]] == ["high", edge, ""]
    shared = {key: WHOLE[key] for key in ("analysis", "task", "model", "init", "seed", "parameters")}
    shared |= {"settings": {"epochs": 2}, "results": [], "cost": {"seconds": 1.0}}
    records.write_record(path, **shared, selections=[rate, epochs, other])
    table = records.flatten_selections([records.read_record(path)])
    assert table["edge"].tolist() == ["", "high", "high", ""] and table["chosen"].tolist() == [False, True, True, True]
    with pytest.raises(UserError, match="edge 'left'"):
        records.write_record(path, **shared, selections=[rate | {"edge": "left"}])


def test_a_record_of_schema_1_is_read_under_the_names_of_today(tmp_path):
    measured = {"metric": "cosine", "value": 0.5, "n": 3, "split": "test", "fold": None, "learning_rate": None}
    said = {"corrected": "validation", "paper": "test", "run": "run", "crossvalidation": "crossvalidation"}
    old = [measured | {"protocol": word, "extra": {"variant": "raw", "pooling": "max"}} for word in said]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(WHOLE | {"schema": 1, "results": old}))
    record = records.read_record(path)
    extra = {"condition": "raw", "pooling": "max"}
    assert record["results"] == [measured | {"selection": word, "extra": extra} for word in said.values()]
    assert {key: record[key] for key in WHOLE} | {"results": []} == WHOLE
    path.write_text(json.dumps(WHOLE | {"results": old}))
    with pytest.raises(UserError, match="a result of the record is broken"):
        records.read_record(path)


def test_the_hash_of_the_numbers_is_of_what_they_say(tmp_path):
    """However the file is laid out, tuples and whole numbers among them; not of costs and versions."""
    path = tmp_path / "record.json"
    shared = {"analysis": "a", "task": "t", "model": "m", "init": "random", "seed": 1, "parameters": 7}
    results = [records.Result("mcc", 0.1 + 0.2, 10, extra={"run": "r", "edges": (1, 2)})]
    tried = {"what": "rate", "split": "validation", "metric": "mcc", "tried": {2: 0.5, 1: 0.5}, "chosen": 2}
    cost = {"seconds": 1.0}
    settings = {"rows": {1: (3, 4)}, "rate": 1}
    records.write_record(path, **shared, settings=settings, results=results, selections=[tried], cost=cost)
    record = records.read_record(path)
    hashed = record["hashes"]["numbers"]
    turned = {key: record[key] for key in reversed(record)} | {"cost": {"seconds": 2.0}}
    path.write_text(json.dumps(turned, indent=None))
    assert records.hash_numbers(records.read_record(path)) == hashed
    record["selections"][0]["tried"] = {"1": 0.5, "2": 0.5}
    assert records.hash_numbers(record) != hashed, "the order of what was tried breaks ties"
    record["results"][0]["value"] = 0.3
    assert records.hash_numbers(record) != hashed


def test_hashes_of_files(tmp_path):
    (tmp_path / "weights.json").write_text('{"sha256": "abc"}')
    (tmp_path / "p.parquet").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    hashes = records.hash_files(predictions=tmp_path / "p.parquet", weights=tmp_path)
    assert hashes["predictions"] == empty and hashes["weights"] == "abc" and set(hashes) == {
        "predictions", "weights", "card"
    }  # fmt: skip
