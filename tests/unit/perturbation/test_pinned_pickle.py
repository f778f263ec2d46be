"""The one pickle is listed and not loaded; every other is refused before anything of it is looked at."""

import os
import pickle

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.perturbation.expression import pinned_pickle
from foundationless.perturbation.expression.pinned_pickle import listed, read_pinned
from foundationless.perturbation.expression.reading import read_expression
from foundationless.runtime.files import read_table
from support import ROOT

PLAIN = {"columns": ["ctrl", "A+ctrl"], "data": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
         "genes": np.array(["A", "B", "C"], dtype=object)}  # fmt: skip


class Exploit:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def pinned(monkeypatch, path):
    import hashlib

    monkeypatch.setattr(pinned_pickle, "PINNED", {hashlib.sha256(path.read_bytes()).hexdigest()})


@pytest.mark.parametrize("name", ["m.pkl", "m.csv", "m.h5ad", "m.npz", "m.pickle", "m.joblib"])
def test_no_other_pickle_is_read_under_any_name(name, tmp_path):
    for value in (PLAIN, PLAIN | {"extra": Exploit(tmp_path / "mark")}):
        (tmp_path / name).write_bytes(pickle.dumps(value))
        with pytest.raises(UserError, match="is a pickle, which could run code"):
            read_expression(tmp_path / name)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("where", ["data", "genes", "extra", "columns"])
def test_calls_in_a_pinned_file_are_notes(where, tmp_path, monkeypatch):
    """Even were a hostile file pinned, nothing would run."""
    path, mark = tmp_path / "m.pkl", tmp_path / "mark"
    path.write_bytes(pickle.dumps(PLAIN | {where: Exploit(mark)}, protocol=5))
    pinned(monkeypatch, path)
    if where == "extra":
        assert read_pinned(path).genes == ("A", "B", "C")
        held = listed(path.read_bytes())["extra"]
        assert held[0] in (("posix", "system"), ("nt", "system")) and held[1] == (f"touch {mark}",)
    else:
        with pytest.raises(UserError, match="does not hold what the published file holds"):
            read_pinned(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # noqa: S301
    assert mark.exists(), "that pickle is not harmless by accident"


def test_a_pinned_file_is_what_numpy_wrote(tmp_path, monkeypatch):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(PLAIN, protocol=5))
    pinned(monkeypatch, path)
    read = read_pinned(path)
    assert np.array_equal(read.matrix, PLAIN["data"].T) and list(read.obs["condition"]) == PLAIN["columns"]


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_instructions_of_other_kinds_are_refused(protocol, tmp_path, monkeypatch):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(PLAIN, protocol=protocol))
    pinned(monkeypatch, path)
    with pytest.raises(UserError, match="does not hold"):
        read_pinned(path)


def test_an_array_archive_with_a_pickle_inside_is_refused(tmp_path):
    np.savez(tmp_path / "m.npz", X=np.array([Exploit(tmp_path / "mark")], dtype=object), genes=["A"], cond=["ctrl"])
    with pytest.raises(UserError, match="NumPy archive of plain arrays"):
        read_expression(tmp_path / "m.npz")
    assert not (tmp_path / "mark").exists()


def test_the_pinned_file_is_that_of_the_ledger():
    ledger = {row["name"]: row["sha256"] for row in read_table(ROOT / "config/datasets.tsv", ["name"])}
    assert {ledger["norman_pseudobulk"]} == pinned_pickle.PINNED
