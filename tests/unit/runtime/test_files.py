"""Files that appear whole or not at all, and what is read of JSON."""

import pytest

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_directory, atomic_path, read_json, write_json


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
