"""Command line, files, records and sequence sets: the parts that everything else stands on."""

import json

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given

from foundationless import __main__, records, sequences
from foundationless.errors import UserError
from foundationless.files import atomic_directory, atomic_path, read_json, write_json

DNA = st.text("ACGTN", max_size=200)


def frame(**columns):
    base = {
        "id": ["a", "b"],
        "sequence": ["ACGT", "NNGT"],
        "label": ["0", None],
        "split": ["train", "test"],
        "group": ["g", "h"],
    }
    return pd.DataFrame(base | columns)


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in __main__.summaries())


@pytest.mark.parametrize("command", sorted(__main__.summaries()))
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main([command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_unknown_command_and_flag_exit_with_2(capsys):
    for arguments in (["nonsense"], ["fetch", "--nonsense"]):
        with pytest.raises(SystemExit) as stop:
            __main__.main(arguments)
        assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_failing_writer_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "x.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "d") as part:
        (part / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [target]


def test_json_refuses_not_a_number(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())
    (tmp_path / "y.json").write_text("{")
    with pytest.raises(UserError, match=r"y\.json: not valid JSON"):
        read_json(tmp_path / "y.json")


def test_record_round_trip_and_flat_table(tmp_path):
    path = tmp_path / "record.json"
    watch = records.Stopwatch()
    records.write_record(
        path,
        analysis="finetune",
        task="t",
        model="m",
        init="random",
        seed=1,
        parameters=7,
        settings={"epochs": 2},
        results=[records.Result("mcc", 0.5, 10, fold=0, learning_rate=1e-3, extra={"run": "r"})],
        cost=watch.cost(),
    )
    record = records.read_record(path)
    row = records.flatten([record]).iloc[0]
    for column in ("model", "init", "seed", "task", "fold", "learning_rate", "protocol", "metric", "value", "n"):
        assert column in row.index
    for column in (
        "parameters",
        "device",
        "seconds",
        "peak_memory_mb",
        "version_foundationless",
        "version_commit",
        "run",
    ):
        assert column in row.index
    assert row["value"] == 0.5 and row["peak_memory_mb"] > 1
    assert not {"cost", "versions"} & set(records.comparable(record))
    path.write_text(json.dumps({"schema": 0}))
    with pytest.raises(UserError, match="not a record"):
        records.read_record(path)


@given(DNA)
def test_reverse_complement_is_an_involution_and_pairs_bases(sequence):
    other = sequences.reverse_complement(sequence)
    assert sequences.reverse_complement(other) == sequence
    assert [other.count(base) for base in "ACGTN"] == [sequence.count(base) for base in "TGCAN"]


def test_sequence_set_round_trip(tmp_path):
    path = tmp_path / "set.parquet"
    sequences.write_sequences(path, frame(offset=[1, 2]))
    found = sequences.read_sequences(path)
    assert list(found.columns) == [*sequences.COLUMNS, "offset"]
    assert found["sequence"].tolist() == ["ACGT", "NNGT"] and pd.isna(found["label"][1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": ["a", "a"]}, "id 'a' stands more than once"),
        ({"id": ["a", None]}, "row 2 has no id"),
        ({"sequence": ["ACGT", "ACXT"]}, "'b' holds 'X' at position 3"),
        ({"sequence": ["ACGT", ""]}, "'b' is empty"),
        ({"split": ["train", "tset"]}, "'b' is in split 'tset'"),
    ],
)
def test_bad_sequence_sets_are_refused(tmp_path, change, sentence):
    with pytest.raises(UserError, match=sentence):
        sequences.write_sequences(tmp_path / "set.parquet", frame(**change))
    assert not list(tmp_path.iterdir())


def test_missing_and_foreign_files_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        sequences.read_sequences(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="not a sequence set"):
        sequences.read_sequences(tmp_path / "text.parquet")
