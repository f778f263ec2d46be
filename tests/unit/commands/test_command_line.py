"""The command line as a whole: help, flags, and how mistakes and broken disks end."""

import argparse
import errno
import os

import pytest

from foundationless import __main__
from foundationless.__main__ import main
from foundationless.commands import _flags
from support.commands import call, refused


def test_help_lists_every_command(capsys):
    assert call(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in __main__.summaries())


@pytest.mark.parametrize("command", sorted(__main__.summaries()))
def test_every_command_explains_itself(command, capsys):
    assert call([command, "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_unknown_command_and_flag_exit_with_2(capsys):
    for arguments in (["nonsense"], ["fetch", "--nonsense"]):
        assert refused(capsys, arguments)


def test_a_mistake_in_a_flag_is_one_line(capsys, tmp_path):
    derive = ["derive_sequences", "--sequences", "x", "--derivation", "dedup"]
    assert "--seed" in refused(capsys, [*derive, "--output", tmp_path / "y", "--seed", "abc"])
    assert "-1 is no seed" in refused(capsys, [*derive, "--output", tmp_path / "y", "--seed", "-1"])
    assert "is a directory" in refused(capsys, [*derive, "--output", tmp_path, "--seed", "0"])
    file = tmp_path / "file"
    file.write_text("kept")
    assert "is no directory" in refused(capsys, [*derive, "--output", file / "y", "--seed", "0"])
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
        assert f"some/file: {os.strerror(code)}" in refused(capsys, command)
    else:
        with pytest.raises(OSError, match="some/file"):
            main(command)
