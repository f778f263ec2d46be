"""A disk without room, inodes or permission to write: one sentence, nothing left behind, and on it goes with room.

The disks are real (tmpfs), because libraries answer a full one each in its own way.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib

matplotlib.use("pdf")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pysam
import pytest
import torch
from safetensors.torch import save_file

from foundationless.runtime.files import atomic_directory, atomic_path, sha256, write_json
from foundationless.tasks.sequence_sets import write_sequences
from support import ROOT
from support.commands import call, error_in
from support.networks import HYENA, save_model

PACKAGE = ROOT / "workflow"
NOISE = np.random.default_rng(0).random(60_000)


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk with some options, or mounts it again with others."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = "remount," if place.is_mount() else ""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", place], capture_output=True)
        if done.returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("a small disk cannot be mounted here (needs root)")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", place], check=True)


def bgzip(part: Path) -> None:
    with pysam.BGZFile(str(part), "wb") as stream:
        stream.write(NOISE.tobytes())


def bcf(part: Path) -> None:
    header = pysam.VariantHeader()
    header.add_line("##contig=<ID=1>")
    with pysam.VariantFile(str(part), "w", header=header) as stream:
        for start in (NOISE * 1e8).astype(int):
            stream.write(header.new_record(contig="1", start=start, alleles=("A", "C")))


def figure(part: Path) -> None:
    image = plt.figure(figsize=(6, 6), dpi=100)
    image.figimage(np.random.default_rng(0).random((600, 600)))
    image.savefig(part, dpi=100)
    plt.close(image)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.checkpoint": lambda part: torch.save({"a": torch.from_numpy(NOISE)}, part),
    "a.safetensors": lambda part: save_file({"a": torch.from_numpy(NOISE)}, str(part)),
    "a.parquet": lambda part: pd.DataFrame({"a": NOISE}).to_parquet(part),
    "a.csv": lambda part: pd.DataFrame({"a": NOISE}).to_csv(part),
    "a.csv.gz": lambda part: pd.DataFrame({"a": NOISE}).to_csv(part),
    "a.npz": lambda part: np.savez(part, a=NOISE),
    "a.json": lambda part: part.write_text(str(NOISE.tolist())),
    "a.fa.gz": bgzip,
    "a.bcf": bcf,
    "a.pdf": figure,
    "a.png": figure,
}


@pytest.mark.parametrize("held", [0, 200 << 10, 248 << 10])  # of 256 KiB, a page of which the old file takes
@pytest.mark.parametrize("name", WRITERS)
def test_whatever_a_library_raises_is_the_disks_refusal_and_the_old_file_stays(disk, name, held):
    place = disk("size=256k")
    (place / name).write_text("old")
    (place / "other").write_bytes(bytes(held))
    with pytest.raises(OSError) as raised, atomic_path(place / name) as part:
        WRITERS[name](part)
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(place / name)
    with pytest.raises(OSError) as raised, atomic_directory(place / "new", ["*"]) as part:
        WRITERS[name](part / name)
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(place / "new")
    assert (place / name).read_text() == "old" and sorted(os.listdir(place)) == sorted([name, "other"])
    disk("size=32m")
    with atomic_path(place / name) as part:
        WRITERS[name](part)
    assert (place / name).stat().st_size > 256 << 10 and sorted(os.listdir(place)) == sorted([name, "other"])


def test_a_bug_is_not_taken_for_a_full_disk(disk):
    place = disk("size=4m")
    for error in (RuntimeError("a bug"), ValueError("a bug"), OSError("a bug"), FileNotFoundError(2, "no", "input")):
        with pytest.raises(type(error)) as raised, atomic_path(place / "a") as part:
            part.write_text("half")
            raise error
        assert raised.value is error and not list(place.iterdir())


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_quota_that_is_noticed_when_the_file_is_closed_is_an_error(tmp_path, monkeypatch, capsys, number):
    def refuse(handle):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError) as raised:
            write_json(tmp_path / "a.json", {})
    assert raised.value.errno == number and raised.value.filename == str(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def prepared(directory: Path) -> dict[str, list[object]]:
    """Commands of every kind of writer, without the place of what they write."""
    rng = np.random.default_rng(0)
    weights, fasta = save_model(directory / "weights", "hyenadna", HYENA, "hyenadna"), directory / "toy.fa"
    word = "".join(rng.choice(list("ACGT"), 23))
    fasta.write_text("".join(f">chr{number}\n{word * 90}\n" for number in (1, 2)))
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(400)]}).assign(label="a", split="test", group="g")
    frame["sequence"] = ["".join(rng.choice(list("ACGT"), 50)) for _ in frame["id"]]
    write_sequences(directory / "set.parquet", frame)
    read = ["--weights", weights, "--device", "cpu"]
    steps = "--seed 1 --model toy --holdout chr2 --steps 4 --window 60 --batch-size 4 --learning-rate 0.01 --warmup 2 "
    outputs = "--checkpoints OUT/kept --output OUT/weights --record OUT/record.json --losses OUT/losses.tsv"
    steps += "--minimum-learning-rate 0.001 --checkpoint-every 2 --heldout-windows 8"
    return {
        "embed": [*read, "--sequences", directory / "set.parquet", "--poolings", "max", "--output", "OUT/a.parquet"],
        "pretrain": [*read, "--genome", fasta, *steps.split(), *outputs.split()],
        "prepare_genome": ["--piece", f"path={fasta}", "--output", "OUT/genome.fa"],
        "simulate_genome": ["--seed", 1, "--output", "OUT"],
    }


def run(name: str, given: list[object], place: Path) -> int:
    """The command with its outputs at a place."""
    return call([name, *(str(word).replace("OUT", str(place)) for word in given)])


def tree(place: Path) -> dict[str, str]:
    return {str(path.relative_to(place)): sha256(path) for path in place.rglob("*") if path.is_file()}


VARYING = {"a.parquet", "record.json"}  # they hold seconds


@pytest.mark.parametrize("name", ["embed", "pretrain", "prepare_genome", "simulate_genome"])
def test_a_command_ends_in_one_sentence_however_full_the_disk_and_goes_on_with_room(
    tmp_path_factory, disk, capfd, name
):
    inputs, roomy = tmp_path_factory.mktemp("inputs"), tmp_path_factory.mktemp("roomy")
    given = prepared(inputs)[name]
    assert run(name, given, roomy) == 0
    wanted = tree(roomy)
    size = sum(path.stat().st_size for path in roomy.rglob("*") if path.is_file())
    place = disk("size=64m")
    refused = 0
    for free in [0, 4096, *np.linspace(8192, size, 4).astype(int), 3 * size + (1 << 20)]:
        (place / "other").write_bytes(b"")
        room = os.statvfs(place)
        (place / "other").write_bytes(bytes(max(0, room.f_bavail * room.f_bsize - int(free))))
        capfd.readouterr()
        code, said, left = run(name, given, place), capfd.readouterr().err, tree(place)
        assert not [path for path in left if ".part" in path]
        if code == 0:
            break
        refused += 1
        assert code == 2 and "No space left on device" in error_in(said)
        for path in set(left) & set(wanted) - VARYING:
            assert left[path] == wanted[path], f"{path} is not whole"
    assert code == 0 and refused >= 2
    left.pop("other")
    assert left.keys() == wanted.keys() and all(left[path] == wanted[path] for path in set(wanted) - VARYING)


@pytest.mark.parametrize("options", ["ro", "nr_inodes=2"])
def test_no_inodes_or_a_read_only_disk_is_one_sentence(tmp_path_factory, disk, capfd, options):
    given = prepared(tmp_path_factory.mktemp("inputs"))
    place = disk("size=4m,nr_inodes=100")
    (place / "out").mkdir()
    disk(options)
    for name, words in given.items():
        capfd.readouterr()
        assert run(name, words, place / "out") == 2 and error_in(capfd.readouterr().err)
        assert not list((place / "out").iterdir())


def shell(line: str, directory: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
    line = line.replace("RUN", f"{sys.executable} -m foundationless")
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment, cwd=directory)


def test_a_full_log_ends_no_job_and_a_full_standard_output_is_one_sentence(tmp_path_factory):
    """`/dev/full` takes no byte, as a log or a table on a disk without room."""
    place = tmp_path_factory.mktemp("inputs")
    words = " ".join(str(word).replace("OUT", str(place)) for word in prepared(place)["embed"])
    done = shell(f"RUN embed {words} 2> /dev/full", place)
    assert (done.returncode, done.stdout) == (0, "") and (place / "a.parquet").is_file()
    failed = shell(f"RUN embed {words.replace('set.parquet', 'none.parquet')} 2> /dev/full", place)
    assert (failed.returncode, failed.stdout) == (2, "")
    full = shell("RUN models --families > /dev/full", place)
    assert full.returncode == 2 and full.stderr.count("\n") == 1 and "No space left on device" in full.stderr
    closed = shell("RUN models --nothing 2>&-", place)
    assert closed.returncode == 2
