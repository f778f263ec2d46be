"""Tables as files: the parts of names as columns, and one sentence for what is wrong with a table."""

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.evaluation import diagnostics, table_files

NAMES = pd.DataFrame(
    {"task": ["H3.pct10d1.ep30p5", "H4", None], "model": ["hyenadna.demo.char.w64.paper.target", "cnn.l2", ""]}
)
TEXTS = {
    "base_task": ["H3", "H4", ""], "variant": ["pct10.ep30p5", "", ""], "derivation": ["pct10", "", ""],
    "base": ["hyenadna", "cnn", ""], "size": ["demo", "", ""], "tokenizer": ["char", "", ""],
    "reading": ["as_in_paper", "published", "published"], "side": ["target", "", ""],
}  # fmt: skip
NUMBERS = {
    "percent": [10, None, None], "shots": [None] * 3, "draw": [1, None, None], "epochs": [30, None, None],
    "patience": [5, None, None], "width": [64, None, None], "layers": [None, 2, None],
}  # fmt: skip


def test_parts_of_names_stand_last_and_are_added_once():
    frame = table_files.add_name_parts(NAMES)
    assert list(frame.columns[:2]) == ["task", "model"] and set(frame.columns[2:]) == {*TEXTS, *NUMBERS}
    assert {name: frame[name].tolist() for name in TEXTS} == TEXTS
    for name, values in NUMBERS.items():
        pd.testing.assert_series_equal(frame[name], pd.Series(values, dtype="Int64", name=name))
    pd.testing.assert_frame_equal(table_files.add_name_parts(frame), frame)
    later = table_files.add_name_parts(frame.assign(value=1.0))
    assert list(later.columns) == ["task", "model", "value", *frame.columns[2:]]


def test_a_frame_gets_the_parts_of_the_names_that_it_has():
    assert list(table_files.add_name_parts(NAMES[["model"]]).columns[1:]) == [
        "base", "size", "tokenizer", "width", "layers", "reading", "side",
    ]  # fmt: skip
    assert "base" not in table_files.add_name_parts(NAMES[["task"]])
    assert list(table_files.add_name_parts(pd.DataFrame({"value": [1]})).columns) == ["value"]
    assert table_files.add_name_parts(NAMES[:0])["width"].dtype == "Int64"


def test_a_written_table_is_read_as_it_was(tmp_path):
    """Empty text is no missing value behind a file either: a plain task is one whose variant is empty."""
    row = {"analysis": "a", "init": "random", "metric": "mcc", "value": 0.25, "selection": "test", "seed": 0, "fold": 2}
    frame = table_files.add_name_parts(NAMES[:2].assign(**row)[[*diagnostics.COLUMNS["runs"]]])
    table_files.write_table(tmp_path / "runs.csv", frame)
    pd.testing.assert_frame_equal(table_files.read_table(tmp_path / "runs.csv", "runs"), frame, check_dtype=False)


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        ("scores", {"task": None}, "the column task has empty cells"),
        ("scores", {"model": None}, "the column model has empty cells"),
        ("scores", {"metric": None}, "the column metric has empty cells"),
        ("scores", {"low": "x"}, "the column low holds other than numbers"),
        ("scores", {"parameters": "x"}, "the column parameters holds other than numbers"),
        ("comparisons", {"delta": "x"}, "the column delta holds other than numbers"),
        ("optimism", {"optimism": "much"}, "the column optimism holds other than numbers"),
        ("calibration", {"confidence": "high"}, "the column confidence holds other than numbers"),
        ("optimism", {"optimism": ...}, "no column optimism"),
        ("leakage", {"delta": ...}, "no column delta"),
        ("notes", {"note": ...}, "no column note"),
    ],
)
def test_a_broken_table_is_one_sentence(tmp_path, kind, change, sentence):
    row = {name: "w" if name in table_files.WORDS else 1.0 for name in [*table_files.COLUMNS[kind], *change]}
    path = tmp_path / "broken.csv"
    pd.DataFrame([row]).to_csv(path, index=False)
    assert len(table_files.read_table(path, kind)) == 1
    broken = {name: value for name, value in (row | change).items() if value is not ...}
    pd.DataFrame([broken]).to_csv(path, index=False)
    with pytest.raises(UserError, match=f"broken.csv: {sentence}"):
        table_files.read_table(path, kind)


def test_what_is_no_table_is_one_sentence(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    for name, sentence in (("empty.csv", "not a table"), ("none.csv", "no such file")):
        with pytest.raises(UserError, match=f"{name}: {sentence}"):
            table_files.read_table(tmp_path / name)
