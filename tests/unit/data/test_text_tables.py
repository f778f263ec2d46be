"""Text tables that others write: separators, odd rows and damaged files."""

import gzip
import re

import pytest

from foundationless.data.files.tables import read_text_table
from foundationless.data.samples import read_people
from foundationless.errors import UserError

BOTH = {"a": ["1", "NA"], "b": ["x,y", ""]}


@pytest.mark.parametrize(
    "content",
    ['a,b\n1,"x,y"\nNA,\n', "a\tb\n1\tx,y\nNA\t\n", " a ,b\n\n1,'x,y'\nNA,\n".replace("'", '"'), 'a,b\n1,"x,y"\nNA\n'],
)
@pytest.mark.parametrize("packed", [False, True])
def test_commas_and_tabs_plain_and_packed(tmp_path, content, packed):
    path = tmp_path / "table"
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    assert read_text_table(path, ["a", "b"]).to_dict("list") == BOTH


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2,3\n", "row 1 has more cells"),
        ("a,b\n1,2\n1,2,3\n", "row 2 has more cells"),
        ("a\tb\n1\t2\n1\t2\n1\t2\t3\n", "row 3 has more cells"),
        ('a,b\n1,"2\n', "cannot be read as a table"),
        ("a,b\n", "a header and no rows"),
        ("", "the file is empty"),
        ("a,c\n1,2\n", "has no column 'b' (it has a, c)"),
        (b"a,b\n\xff\xfe,1\n", "cannot be read as a table, for it is no text in UTF-8"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0)[:-12], "truncated or damaged"),
        (None, "no such file"),
    ],
)
def test_what_is_no_table_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "table"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=re.escape(words)):
        read_text_table(path, ["a", "b"])


@pytest.mark.parametrize(
    "content",
    [
        'sample\tpop\t\t\nA\tx\nB\t"y\t\n\nC\n',
        '#sample\tpop\nA\t x\nB\t"y\t\tz\n\t\nC\t\n',
        'sample pop\n A  x \nB\t"y\n \nC\n',
        'sample,pop\nA,x\nB,"y\nC,\n',
    ],
)
def test_tables_of_people_are_read_as_they_are_passed_on(tmp_path, content):
    (tmp_path / "panel").write_text(content)
    assert read_people(tmp_path / "panel").to_dict("list") == {"sample": ["A", "B", "C"], "pop": ["x", '"y', ""]}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("loose", "text"),
    [
        (False, "a,b\n1,é\n"),
        (False, "a\tb\n1\té\n"),
        (True, "a\tb\n1\té\n"),
        (True, "a b\n1 é\n"),
        (True, '"a" "b"\n1 "é"\n'),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_table(tmp_path, encoding, loose, text, packed):
    content = text.encode(encoding)
    (tmp_path / "table").write_bytes(gzip.compress(content) if packed else content)
    assert read_text_table(tmp_path / "table", ["a"], loose=loose).to_dict("list") == {"a": ["1"], "b": ["é"]}


PANEL = "sample pop_name super_pop\nA {} EUR\n"


@pytest.mark.parametrize("value", ["British in England", "", "South Han"])
def test_a_value_of_several_words_or_none_shifts_no_column(tmp_path, value):
    """Without quotation marks nobody can say where the value ends; with them, or with tabs, it is read."""
    path = tmp_path / "panel"
    path.write_text(PANEL.format(value))
    with pytest.raises(UserError, match=rf"row 1 has {2 + len(value.split())} words and the header 3; .* by tabs"):
        read_people(path)
    for text in (
        PANEL.format(f'"{value}"'),
        PANEL.format(value).replace(f" {value} ", f"\t{value}\t").replace(" pop_name ", "\tpop_name\t"),
    ):
        path.write_text(text)
        assert read_people(path).to_dict("list") == {"sample": ["A"], "pop_name": [value], "super_pop": ["EUR"]}


def test_semicolons_separate_where_no_tab_or_comma_does(tmp_path):
    path = tmp_path / "table"
    path.write_text('a;b\n1,5;"x;y"\n2;z\n')
    assert read_text_table(path, ["a", "b"]).to_dict("list") == {"a": ["1,5", "2"], "b": ["x;y", "z"]}
    path.write_text("a;x,b\n1,2\n")
    assert read_text_table(path).to_dict("list") == {"a;x": ["1"], "b": ["2"]}
