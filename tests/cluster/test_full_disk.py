"""A disk that fills up under a study, and one that turns read-only: said in a sentence, nothing broken is left, and the
same command ends in the numbers of a study that had room."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from support.studies import checkout, outcome, snakemake


@pytest.fixture
def disk(tmp_path):
    """A checkout whose results lie on a small disk of their own, and how to mount that anew."""
    directory = checkout(tmp_path / "small")
    results = directory / "results"

    def mount(options):
        subprocess.run(["mount", "-o", options, "-t", "tmpfs", "tmpfs", results], check=True, capture_output=True)

    try:
        mount("size=300k")
    except subprocess.CalledProcessError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no small disk: {error.stderr.decode()}")
    yield directory, mount
    subprocess.run(["umount", "--lazy", results], check=True)


def broken(directory):
    """Whatever is not whole."""
    readers = {".json": lambda path: json.loads(path.read_text()), ".parquet": pd.read_parquet}
    found = [*directory.rglob(".part-*")]
    for path in directory.rglob("*"):
        try:
            readers.get(path.suffix, Path.exists)(path)
        except Exception:
            found.append(path)
    return found


TARGETS = ["results/lowdata/scores.csv", "results/biotype/scores.csv"]


def test_a_study_survives_a_full_and_a_read_only_disk(disk, study, local):
    directory, mount = disk
    command = [*TARGETS, "--configfile", study]
    answer = snakemake(*command, directory=directory)
    assert answer.returncode != 0
    assert "No space left on device; check the path, its permissions and the free space." in answer.stdout
    assert "Traceback" not in answer.stdout
    assert not broken(directory / "results")
    mount("remount,ro,size=200m")
    answer = snakemake(*command, directory=directory)
    assert answer.returncode != 0 and "Read-only file system" in answer.stdout
    mount("remount,rw,size=200m")
    answer = snakemake(*command, directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    ours, theirs = outcome(directory)[0], outcome(local)[0]
    assert len(ours) >= 6 and ours == {path: theirs[path] for path in ours}
