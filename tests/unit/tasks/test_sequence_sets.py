"""Sequence sets: what is written is read again, and what breaks their rules is refused by name."""

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.tasks import sequence_sets


def frame(**columns):
    """A set of two rows; a column that is None is left out."""
    base = {"id": ["a", "b"], "sequence": ["ACGT", "NNGT"], "label": ["0", None], "split": ["train", "test"]}
    rows = base | {"group": ["g", "h"]} | columns
    return pd.DataFrame({key: value for key, value in rows.items() if value is not None})


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
    (tmp_path / "text").write_text("no parquet")
    frame().to_parquet(tmp_path / "cut")
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-20])
    frame().iloc[:0].to_parquet(tmp_path / "none")
    wrong = {
        "absent": "no such file",
        "text": "not a sequence set",
        "cut": "not a sequence set",
        "none": "no sequences",
    }
    for name, sentence in (wrong | {".": "no such file"}).items():
        with pytest.raises(UserError, match=sentence):
            sequence_sets.read_sequences(tmp_path / name)


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
    frame(**columns).to_parquet(tmp_path / "set.parquet")
    with pytest.raises(UserError, match=sentence):
        sequence_sets.read_sequences(tmp_path / "set.parquet")


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], ["NA"], ["b", "nan"]])
def test_outputs_have_names_of_their_own(names):
    with pytest.raises(UserError, match="name"):
        sequence_sets.with_outputs(frame(), "values", names)
