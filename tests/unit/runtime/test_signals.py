"""Real processes, real signals: what is kept, what continues to the same bits, and that nothing is left lying about."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.features import embedding_checkpoint
from foundationless.features.embedding_files import read_embeddings
from foundationless.runtime.files import write_json
from foundationless.runtime.signals import SIGNALS, STATUS, orderly_exit, termination
from foundationless.tasks.sequence_sets import write_sequences
from support import ROOT
from support.commands import words
from support.networks import HYENA, save_model

PACKAGE = ROOT / "workflow"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory) -> Path:
    """Sequences that fit and longer ones, whose chunks add up over several batches."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 300, 60)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(60)]})
    frame["sequence"] = ["".join(rng.choice(list("ACGT"), length)) for length in lengths]
    path = tmp_path_factory.mktemp("sequences") / "set.parquet"
    write_sequences(path, frame.assign(label="a", split="test", group="g"))
    return path


def command(weights: Path, sequences: Path, output: Path, **flags: object) -> list[str]:
    places = {"weights": weights, "sequences": sequences, "output": output}
    return words("embed", **places | {"poolings": ["max", "mean"], "token_budget": 300, "device": "cpu"} | flags)


def same(first: Path, second: Path) -> None:
    one, other = (read_embeddings(path, ["max", "mean"]) for path in (first, second))
    assert one[0] == other[0]
    for name in one[1]:
        np.testing.assert_array_equal(one[1][name], other[1][name])


def stop_after(monkeypatch: pytest.MonkeyPatch, batches: int, number: int) -> None:
    """Send this process a signal when so many batches are done."""
    original, seen = embedding_checkpoint.Shards.touch, []

    def touch(self, members):
        seen.append(1)
        if len(seen) == batches:
            os.kill(os.getpid(), number)
        original(self, members)

    monkeypatch.setattr(embedding_checkpoint.Shards, "touch", touch)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_embedding_that_was_stopped_again_and_again_is_the_undisturbed_one(
    tmp_path, weights, sequences, monkeypatch, capsys, number
):
    whole, often = tmp_path / "whole.parquet", tmp_path / "often.parquet"
    assert main(command(weights, sequences, whole)) == 0
    kept = tmp_path / "often.parquet.shards"
    for starts in range(1, 50):
        with monkeypatch.context() as patch:
            stop_after(patch, 7, number)
            try:
                assert main(command(weights, sequences, often, checkpoint_seconds=1e-9 if starts % 2 else 600)) == 0
                break
            except SystemExit as ended:
                assert ended.code == STATUS == 143
                assert not often.exists() and len(list(kept.glob("*.npz"))) >= starts
                assert "kept; run the same command to continue" in capsys.readouterr().err
    assert starts > 2
    same(whole, often)
    assert not kept.exists()
    assert read_embeddings(often, [])[2]["cost"]["attempts"] == starts


def test_a_disk_without_room_for_a_shard_costs_no_embedding(tmp_path, weights, sequences, monkeypatch, capsys):
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    whole, output = tmp_path / "whole.parquet", tmp_path / "a.parquet"
    assert main(command(weights, sequences, whole)) == 0
    monkeypatch.setattr(embedding_checkpoint, "atomic_path", full)
    monkeypatch.setattr(embedding_checkpoint, "LARGEST", 1)
    assert main(command(weights, sequences, output)) == 0
    assert 1 <= capsys.readouterr().err.count("no shard could be kept (No space left on device)") < 8
    same(whole, output)
    stop_after(monkeypatch, 3, signal.SIGUSR1)
    with pytest.raises(SystemExit) as ended:
        main(command(weights, sequences, output))
    assert ended.value.code == STATUS and "terminated: 0 inputs are kept" in capsys.readouterr().err


def test_a_second_signal_inside_the_handler_of_the_first_is_no_deadlock():
    """What the handler calls is interrupted at its every line."""

    def again(frame, event, argument):
        if frame.f_code.co_name == "set":
            sys.settrace(None)
            signal.raise_signal(signal.SIGTERM)
        return again

    with termination() as terminated:
        sys.settrace(again)
        try:
            signal.raise_signal(signal.SIGUSR1)
        finally:
            sys.settrace(None)
        assert terminated.is_set()


def test_a_short_embedding_writes_no_shard(tmp_path, weights, sequences, monkeypatch):
    monkeypatch.setattr(embedding_checkpoint.Shards, "_write", lambda *_: pytest.fail("a shard"))
    assert main(command(weights, sequences, tmp_path / "a.parquet")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("damage", ["cut", "settings", "gap", "first"])
def test_broken_and_foreign_shards_are_computed_again(tmp_path, weights, sequences, monkeypatch, capsys, damage):
    whole, output = tmp_path / "whole.parquet", tmp_path / "a.parquet"
    flags: dict[str, object] = {"token_budget": 200} if damage == "settings" else {}
    assert main(command(weights, sequences, whole)) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 9, signal.SIGTERM)
        with pytest.raises(SystemExit):
            main(command(weights, sequences, output, **flags, checkpoint_seconds=1e-9))
    found = sorted((tmp_path / "a.parquet.shards").glob("*.npz"))
    assert len(found) == 9
    if damage == "cut":
        found[3].write_bytes(found[3].read_bytes()[:-200])
    if damage == "gap":
        found[3].write_bytes(found[4].read_bytes())
    if damage == "first":
        found[0].unlink()
    capsys.readouterr()
    assert main(command(weights, sequences, output)) == 0
    said = capsys.readouterr().err
    wanted = {"cut": "000004.npz is unreadable", "settings": "other weights", "gap": "other weights", "first": ""}
    assert wanted[damage] in said and ("continued after" in said) == (damage in {"cut", "gap"})
    same(whole, output)
    assert not (tmp_path / "a.parquet.shards").exists()


def start(argv: list[str], **more: object) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(PACKAGE)}
    return subprocess.Popen([sys.executable, *argv], env=environment, stderr=subprocess.PIPE, text=True, **more)  # type: ignore[call-overload]


def test_a_process_that_gets_sigusr1_keeps_its_batches(tmp_path, weights, sequences):
    """The signal is sent from outside once the second shard is there; KillWait, 30 s by default, is far away."""
    output, whole = tmp_path / "a.parquet", tmp_path / "whole.parquet"
    slow = "import time; from foundationless.features.embedding_checkpoint import Shards; touch = Shards.touch\n"
    slow += "Shards.touch = lambda self, members: (time.sleep(0.05), touch(self, members))[1]\n"
    slow += "import sys; from foundationless.__main__ import main; sys.exit(main())"
    argv = command(weights, sequences, output, checkpoint_seconds=1e-9)
    process = start(["-c", slow, *argv])
    deadline = time.monotonic() + 60
    while not (tmp_path / "a.parquet.shards/000002.npz").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    sent = time.monotonic()
    process.send_signal(signal.SIGUSR1)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143 and "run the same command to continue" in said and "Traceback" not in said
    assert time.monotonic() - sent < 10
    assert not output.exists() and not list(tmp_path.rglob(".part-*"))
    assert main(argv) == 0 and main(command(weights, sequences, whole)) == 0
    same(whole, output)


# A command that stands still while it writes.
WRITING = """
import sys, time
from pathlib import Path
import foundationless.commands.models as command
from foundationless.runtime.files import atomic_path
from foundationless.__main__ import main

def run(arguments):
    with atomic_path(Path(sys.argv[1])) as part:
        part.write_text("half")
        print("ready", flush=True)
        for _ in range(600):  # a signal just before a long sleep begins would wait for its end
            time.sleep(0.1)

command.run = run
sys.exit(main(["models"]))
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_any_command_ends_at_once_and_leaves_no_temporary_file(tmp_path, number):
    (tmp_path / "a.json").write_text("old")
    process = start(["-c", WRITING, str(tmp_path / "a.json")], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(number)
    assert process.communicate(timeout=20)[1] == "" and process.returncode == 143
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_the_same(tmp_path):
    processes = [start(["-c", WRITING, str(tmp_path / name)], stdout=subprocess.PIPE) for name in ("a.json", "b.json")]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    killed, living = processes
    killed.kill()
    killed.communicate()
    for name in ("a.json", "b.json"):
        write_json(tmp_path / name, {})
    assert len(list(tmp_path.glob(".part-a.json-*"))) == 0
    (part,) = tmp_path.glob(".part-*")  # the other still writes
    assert part.read_text() == "half" and part.name.startswith(".part-b.json-")
    os.utime(part, (0, 0))  # nobody has written there for years
    write_json(tmp_path / "b.json", {})
    assert not list(tmp_path.glob(".part-*"))
    living.kill()
    living.communicate()


def test_only_inside_are_signals_handled_and_only_in_the_main_thread():
    before = [signal.getsignal(number) for number in SIGNALS]
    with orderly_exit():
        for number in SIGNALS:
            with termination() as terminated:
                os.kill(os.getpid(), number)
                assert terminated.is_set()
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(5)
        assert ended.value.code == 143
        os.kill(os.getpid(), signal.SIGTERM)  # a second one does not disturb the cleaning up
    assert [signal.getsignal(number) for number in SIGNALS] == before

    def elsewhere() -> None:
        with termination() as terminated, orderly_exit():
            quiet.append(terminated.is_set())

    quiet: list[bool] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert quiet == [False]
