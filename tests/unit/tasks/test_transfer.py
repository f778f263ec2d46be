"""Learning on one set, being tested on another: which rows come from where, and what may not be remembered."""

import pandas as pd
import pytest

from foundationless.tasks.sequence_sets import write_sequences
from support.commands import building, built, refused


def rows(*items):
    frame = pd.DataFrame(items, columns=["id", "sequence", "label", "split"])
    return frame.assign(group=frame["id"])


@pytest.fixture
def sets(tmp_path):
    first = rows(
        ("a", "ACGTACGTAA", "0", "train"),
        ("b", "ACGTACGTCC", "1", "train"),
        ("c", "TTTTTGGGGG", "1", "validation"),
        ("d", "AAAAAAAAAC", "0", "test"),
    )
    second = rows(("a", "CCCCCAAAAA", "1", "test"), ("x", "GATTACAGAT", "0", "train"), ("y", "ACGTTTTTTT", "0", "test"))
    write_sequences(tmp_path / "first.parquet", first)
    write_sequences(tmp_path / "second.parquet", second)
    return tmp_path


def request(directory):
    sources = {"train": directory / "first.parquet", "test": directory / "second.parquet"}
    return directory / "out.parquet", "transfer", sources


def test_train_of_one_and_test_of_the_other(sets, capsys):
    found = built(*request(sets)).set_index("id")
    assert set(found.index) == {"train:a", "train:b", "test:a", "test:y"}
    assert list(found.loc[["train:a", "test:a"], "split"]) == ["train", "test"]
    # the validation row is the reverse complement of a test row
    assert "1 of them left out" in capsys.readouterr().err


def test_classes_must_agree(sets, capsys):
    other = pd.read_parquet(sets / "second.parquet")
    write_sequences(sets / "second.parquet", other.assign(label="enhancer"))
    assert "no classes of first.parquet" in refused(capsys, building(*request(sets)))


def test_labels_of_the_test_set_are_said_in_words_of_the_training_set(sets):
    other = pd.read_parquet(sets / "second.parquet")
    write_sequences(sets / "second.parquet", other.assign(label=["yes", "no", "no"]))
    found = built(*request(sets), ["labels=yes:1,no:0"]).set_index("id")
    assert found.loc[["test:a", "test:y"], "label"].tolist() == ["1", "0"]
