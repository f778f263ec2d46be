"""Command line, files, records and sequence sets: the parts that everything else stands on."""

import argparse
import errno
import json
import os

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given

from foundationless import __main__
from foundationless.__main__ import main
from foundationless.commands import _flags
from foundationless.data import dna
from foundationless.errors import UserError
from foundationless.evaluation import records
from foundationless.runtime.files import atomic_directory, atomic_path, read_json, write_json
from foundationless.runtime.usage import JobUsage
from foundationless.tasks import sequence_sets

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
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "d", ("half",)) as part:
        (part / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_of_other_things_is_never_replaced(tmp_path):
    (tmp_path / "home" / "thesis").mkdir(parents=True)
    with (
        pytest.raises(UserError, match=r"home: holds other files \(thesis\)"),
        atomic_directory(tmp_path / "home", ("a",)),
    ):
        pass
    assert (tmp_path / "home" / "thesis").is_dir()
    for text in ("old", "new"):
        with atomic_directory(tmp_path / "own", ("*.csv",)) as part:
            (part / "table.csv").write_text(text)
    assert (tmp_path / "own" / "table.csv").read_text() == "new"


def test_json_refuses_not_a_number(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())
    (tmp_path / "y.json").write_text("{")
    with pytest.raises(UserError, match=r"y\.json: not valid JSON"):
        read_json(tmp_path / "y.json")


def test_record_round_trip_and_flat_table(tmp_path):
    path = tmp_path / "record.json"
    usage = JobUsage()
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
        cost=usage.cost(),
    )
    record = records.read_record(path)
    row = records.flatten([record]).iloc[0]
    for column in ("model", "init", "seed", "task", "fold", "learning_rate", "selection", "metric", "value", "n"):
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
    other = dna.reverse_complement(sequence)
    assert dna.reverse_complement(other) == sequence
    assert [other.count(base) for base in "ACGTN"] == [sequence.count(base) for base in "TGCAN"]


def test_sequence_set_round_trip(tmp_path):
    path = tmp_path / "set.parquet"
    sequence_sets.write_sequences(path, frame(offset=[1, 2]))
    found = sequence_sets.read_sequences(path)
    assert list(found.columns) == [*sequence_sets.COLUMNS, "offset"]
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
        sequence_sets.write_sequences(tmp_path / "set.parquet", frame(**change))
    assert not list(tmp_path.iterdir())


def test_missing_and_foreign_files_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        sequence_sets.read_sequences(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="not a sequence set"):
        sequence_sets.read_sequences(tmp_path / "text.parquet")


def _fails(capsys, *arguments):
    """The one line on stderr of a command that a user's mistake ends with code 2."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and len(lines) == 1, lines
    return lines[0]


def test_a_mistake_in_a_flag_is_one_line(capsys, tmp_path):
    derive = ["derive_sequences", "--sequences", "x", "--derivation", "dedup"]
    assert "--seed" in _fails(capsys, *derive, "--output", tmp_path / "y", "--seed", "abc")
    assert "-1 is no seed" in _fails(capsys, *derive, "--output", tmp_path / "y", "--seed", "-1")
    assert "is a directory" in _fails(capsys, *derive, "--output", tmp_path, "--seed", "0")
    file = tmp_path / "file"
    file.write_text("kept")
    assert "is no directory" in _fails(capsys, *derive, "--output", file / "y", "--seed", "0")
    assert file.read_text() == "kept" and sorted(tmp_path.iterdir()) == [file]


def test_flag_types_refuse_nonsense():
    for kind, texts in (
        (_flags.count, ("0", "-1", "1.5")),
        (_flags.number, ("nan", "inf", "x")),
        (_flags.positive, ("0", "-2")),
        (_flags.seed, ("-1", str(2**32), "1e3")),
    ):
        for text in texts:
            with pytest.raises((argparse.ArgumentTypeError, ValueError)):
                kind(text)
    assert _flags.seed("4294967295") == 2**32 - 1


@pytest.mark.parametrize(("code", "shown"), [(errno.ENOSPC, True), (errno.EACCES, True), (errno.EIO, False)])
def test_only_expected_system_errors_become_a_sentence(capsys, monkeypatch, tmp_path, code, shown):
    def fail(*_):
        raise OSError(code, os.strerror(code), "some/file")

    monkeypatch.setattr("foundationless.data.reference.prepare_genome", fail)
    command = ["prepare_genome", "--piece", "path=x", "--output", str(tmp_path / "y.fa")]
    if shown:
        assert f"some/file: {os.strerror(code)}" in _fails(capsys, *command)
    else:
        with pytest.raises(OSError, match="some/file"):
            main(command)


def _set(path, **columns):
    rows = {
        "id": ["a", "b"],
        "sequence": ["ACGT", "GGCC"],
        "label": ["x", "y"],
        "split": ["train", "test"],
        "group": ["a", "b"],
    }
    pd.DataFrame({key: value for key, value in (rows | columns).items() if value is not None}).to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"split": None}, "no column split"),
        ({"sequence": [5, 6]}, "column 'sequence' holds int64, not text"),
        ({"sequence": ["ACGT", None]}, "sequence 'b' is empty"),
        ({"sequence": ["ACGT", "acgt"]}, "holds 'a' at position 1"),
        ({"id": ["a", "a"]}, "id 'a' stands more than once"),
        ({"split": ["train", "dev"]}, "in split 'dev'"),
        ({"label": ["x", ""]}, "'b' has an empty label"),
        ({"label": [["x"], ["y"]]}, "column 'label' holds"),
    ],
)
def test_a_foreign_sequence_set_is_refused_by_name(tmp_path, columns, sentence):
    with pytest.raises(UserError, match=sentence):
        sequence_sets.read_sequences(_set(tmp_path / "set.parquet", **columns))


def test_a_cut_sequence_set_and_an_empty_one_are_refused(tmp_path):
    path = _set(tmp_path / "set.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="not a sequence set"):
        sequence_sets.read_sequences(path)
    with pytest.raises(UserError, match="no such file"):
        sequence_sets.read_sequences(tmp_path)
    none = tmp_path / "none.parquet"
    pd.read_parquet(_set(none)).iloc[:0].to_parquet(none)
    with pytest.raises(UserError, match="no sequences"):
        sequence_sets.read_sequences(none)


@pytest.mark.parametrize("key", ["analysis", "seed", "parameters", "results", "cost", "versions"])
def test_a_record_without_a_part_is_refused(tmp_path, key):
    whole = {
        "schema": records.SCHEMA,
        "analysis": "a",
        "task": "t",
        "model": "m",
        "init": "random",
        "seed": 0,
        "parameters": 1,
    }
    whole |= {"results": [], "cost": {"seconds": 1.0}, "versions": {}}
    path = tmp_path / "record.json"
    path.write_text(json.dumps(whole))
    assert records.read_record(path)["model"] == "m"
    path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
    with pytest.raises(UserError, match=key):
        records.read_record(path)


@pytest.mark.parametrize("part", [{"settings": None}, {"settings": [1]}, {"selections": None}, {"selections": 3}])
def test_a_record_with_a_broken_part_is_refused(tmp_path, part):
    whole = {
        "schema": records.SCHEMA,
        "analysis": "a",
        "task": "t",
        "model": "m",
        "init": "random",
        "seed": 0,
        "parameters": 1,
    }
    path = tmp_path / "record.json"
    path.write_text(json.dumps(whole | {"results": [], "cost": {"seconds": 1.0}, "versions": {}} | part))
    with pytest.raises(UserError, match=f"'{min(part)}' is broken"):
        records.read_record(path)


def test_a_selection_is_kept_and_one_that_cannot_be_traced_is_refused(tmp_path):
    identity = {"analysis": "biotype", "task": "t", "model": "m", "init": "random", "seed": 0, "parameters": 1}
    rest = {"settings": {}, "results": [], "cost": {"seconds": 1.0}}
    selection = {
        "what": "strength",
        "split": "validation",
        "metric": "mcc",
        "tried": {0.1: 0.2, 1: None},
        "chosen": 0.1,
    }
    history = {
        "what": "epoch",
        "within": "r",
        "split": "validation",
        "metric": "mcc",
        "tried": {1: 0.3, 2: 0.4, 3: 0.1},
    }
    path = tmp_path / "record.json"
    records.write_record(path, **identity, **rest, selections=[selection, history | {"chosen": 2}])
    table = records.flatten_selections([records.read_record(path)])
    assert table["candidate"].tolist() == ["0.1", "1", "2"], "of the epochs only the chosen one"
    assert table["chosen"].tolist() == [True, False, True] and table["tried"].tolist() == [2, 2, 3]
    assert table.loc[2, ["what", "within", "value"]].tolist() == ["epoch", "r", 0.4]
    with pytest.raises(UserError, match="does not say what was tried"):
        records.write_record(path, **identity, **rest, selections=[selection | {"chosen": 10}])
