"""The local worker: its forks write what fresh processes write, end as they end, and outlive nobody they should not."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest

from foundationless.runtime import client, worker
from foundationless.tasks.sequence_sets import write_sequences
from support import ROOT
from support.commands import words
from support.fine_tuning import arguments, planted
from support.networks import HYENA

PROGRAM = [sys.executable, "-m", "foundationless"]
PLAIN = {**os.environ, **dict.fromkeys(worker.THREADS, "1"), "PYTHONPATH": str(ROOT / "workflow")}
PLAIN |= {client.VARIABLE: "off", "OMP_WAIT_POLICY": "passive"}  # threads that wait leave a busy machine to others
IDENTITY = dict(analysis="frozen", task="planted", model="hyena", seed=1, metric="mcc")
COMMANDS = ["initialise", "embed", "probe", "fit_baseline", "finetune_model", "derive_sequences"]


@contextmanager
def working(directory: Path, *commands: str):
    """A worker that holds what these commands import, as (its process, variables of its clients)."""
    private = directory / "private"
    private.mkdir(mode=0o700)
    path = private / "socket"
    process = subprocess.Popen(
        [*PROGRAM, "worker", "--socket", path, "--commands", *commands],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=PLAIN | worker._NO_THREADS, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == worker.READY
    try:
        yield process, PLAIN | {client.VARIABLE: str(path)}
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        assert not private.exists(), "it takes its directory with it"


@pytest.fixture(scope="module")
def imported_nothing(tmp_path_factory):
    with working(tmp_path_factory.mktemp("bare")) as (process, variables):
        yield process, variables


@pytest.fixture
def bare(imported_nothing):
    """A worker that has imported nothing, for what its processes have in common; what it served before is forgotten."""
    served(imported_nothing[1])  # tests run in any order
    return imported_nothing


def served(variables) -> int:
    """How many jobs the worker has served for this process, since last asked."""
    kept = Path(variables[client.VARIABLE]).parent / "usage" / str(os.getpid())
    lines = kept.read_text().splitlines() if kept.exists() else []
    kept.unlink(missing_ok=True)
    return len(lines)


def run(command, variables, **options):
    return subprocess.run([*PROGRAM, *map(str, command)], env=variables, capture_output=True, text=True, **options)


@contextmanager
def waiting_job(working, tmp_path):
    """A client whose job waits for what is never written to a pipe, as (the client, the process of the job)."""
    process, variables = working
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = [*PROGRAM, "status", "--configfile", str(fifo)]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as asking:
        writer = within(60, lambda: os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))  # fails until somebody reads
        (job,) = psutil.Process(process.pid).children()
        yield asking, job
        os.close(writer)


def within(seconds: float, attempt):
    """What the attempt returns as soon as it raises no OSError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def gone(process, seconds=20.0) -> bool:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return False
    return True


def jobs(place: Path, threads: int) -> list[list[str]]:
    """Five commands, each with what the one before wrote."""
    weights, embeddings, runs = place / "weights", place / "embeddings.parquet", place / "runs"
    sequences, fewer = place / "set.parquet", place / "fewer.parquet"
    identity = IDENTITY | {"init": "random"}
    record = lambda name: {"record": place / f"{name}.json", "predictions": place / f"{name}.parquet"}  # noqa: E731
    return [
        words("derive_sequences", sequences=sequences, derivation="pct10", seed=1, output=fewer),
        words("initialise", family="hyenadna", config=json.dumps(HYENA), tokenizer="hyenadna", model="hyena", seed=1,
              output=weights),
        words("embed", weights=weights, sequences=sequences, poolings=["max", "mean"], device="cpu", output=embeddings,
              threads=threads),
        words("probe", embeddings=embeddings, sequences=sequences, probes=["logistic", "xgboost"], poolings="mean",
              threads=threads, **identity, **record("probe")),
        words("fit_baseline", family="kmer", classifier="logistic", options='{"k_max": 3}', sequences=sequences,
              **IDENTITY | {"init": "baseline", "model": "kmer_logistic"}, **record("baseline")),
        arguments(place, weights, runs=runs, epochs=1, device="cpu", threads=threads),
    ]  # fmt: skip


def contents(place: Path) -> dict[str, object]:
    """Every file; of records and tables with a cost, what is no cost."""
    read: dict[str, object] = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.suffix == ".json":
            value = json.loads(path.read_text())
            for name_of_cost in ("cost", "seconds"):
                value.pop(name_of_cost, None)
            read[name] = json.dumps(value).replace(str(place), "")
        elif name == "embeddings.parquet":
            read[name] = pd.read_parquet(path).to_json(double_precision=15)
        elif path.is_file():
            read[name] = path.read_bytes()
    return read


@pytest.mark.parametrize("threads", [1, 2])
def test_jobs_write_the_same_bytes_as_fresh_processes(tmp_path, threads):
    many = dict.fromkeys(worker.THREADS, str(threads))
    with working(tmp_path, *COMMANDS) as (_, variables):
        for name, environment in (("fresh", PLAIN), ("forked", variables)):
            place = tmp_path / name
            place.mkdir()
            write_sequences(place / "set.parquet", planted())
            for command in jobs(place, threads):
                answer = run(command, environment | many, cwd=place)
                assert answer.returncode == 0, answer.stderr
            assert served(variables) == (6 if name == "forked" else 0)
    fresh, forked = contents(tmp_path / "fresh"), contents(tmp_path / "forked")
    assert len(fresh) > 10 and fresh.keys() == forked.keys()
    assert {name for name in fresh if fresh[name] != forked[name]} == set()


def test_words_streams_and_exit_codes_are_those_of_a_fresh_process(bare, tmp_path):
    _, variables = bare
    for command in (
        ["models"],
        ["--version"],
        ["status", "--configfile", "none"],
        ["nonsense"],
        ["probe", "--rounds", "x"],
    ):
        fresh, forked = run(command, PLAIN, cwd=ROOT), run(command, variables, cwd=ROOT)
        assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)
        assert served(variables) == 1, command
    shell = ["bash", "-c", 'exec "$@" 2>&-', "-", *PROGRAM, "--version"]
    closed = subprocess.run(shell, env=variables, cwd=ROOT, stdout=subprocess.PIPE)
    assert closed.returncode == 0 and closed.stdout and served(variables) == 0
    masked = tmp_path / "set.parquet"
    write_sequences(tmp_path / "all.parquet", planted())
    derive = words("derive_sequences", sequences="all.parquet", derivation="pct10", seed=1, output=masked)
    assert run(derive, variables, cwd=tmp_path, umask=0o027).returncode == 0
    assert masked.stat().st_mode & 0o777 == 0o640 and served(variables) == 1


def test_who_is_another_program_runs_itself(bare):
    _, variables = bare
    for other in ({"PYTHONHASHSEED": "1"}, {"LC_ALL": "C"}, {"KMP_SETTINGS": "0"}, {client.VARIABLE: "off"}):
        assert run(["--version"], variables | other).returncode == 0
        assert served(variables) == 0, other
    assert run(["--version"], variables | {"OMP_NUM_THREADS": "2", "TMPDIR": "/tmp"}).returncode == 0
    assert served(variables) == 1
    nobody = variables | {client.VARIABLE: str(ROOT / "no_socket")}
    assert run(["--version"], nobody).returncode == 0


def test_nonsense_on_the_socket_is_nobodys_end(bare):
    import socket

    process, variables = bare
    for data in (b"", b"x", bytes(8), b"\xff" * 8, client.LENGTH.pack(3) + b"a\0b"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(variables[client.VARIABLE])
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    assert run(["--version"], variables).returncode == 0 and served(variables) == 1 and process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_job(bare, tmp_path, number):
    with waiting_job(bare, tmp_path) as (asking, job):
        asking.send_signal(number)
        assert asking.wait(20) == 143 and gone(job)


def test_an_interrupt_ends_the_job_as_python_ends(bare, tmp_path):
    with waiting_job(bare, tmp_path) as (asking, job):
        asking.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in asking.stderr.read()
        assert asking.wait(20) == -signal.SIGINT and gone(job)


def test_the_death_of_a_job_is_that_of_its_client(bare, tmp_path):
    with waiting_job(bare, tmp_path) as (asking, job):
        job.send_signal(signal.SIGSEGV)
        assert asking.wait(20) == -signal.SIGSEGV


def test_a_stopped_client_stops_its_job(bare, tmp_path):
    with waiting_job(bare, tmp_path) as (asking, job):
        asking.send_signal(signal.SIGTSTP)
        # the client stops after its job, and would not hear of a SIGCONT before
        within(20, lambda: (stopped(job) and stopped(psutil.Process(asking.pid))) or os.stat(""))
        asking.send_signal(signal.SIGCONT)
        within(20, lambda: not stopped(job) or os.stat(""))
        asking.terminate()
        assert asking.wait(20) == 143


def stopped(job) -> bool:
    return job.status() == psutil.STATUS_STOPPED


def test_a_client_that_is_killed_takes_its_job_along(bare, tmp_path):
    with waiting_job(bare, tmp_path) as (asking, job):
        asking.kill()
        assert gone(job)
    assert run(["--version"], bare[1]).returncode == 0


def test_a_worker_that_is_killed_takes_its_jobs_along(tmp_path):
    with working(tmp_path) as (process, variables):
        with waiting_job((process, variables), tmp_path) as (asking, job):
            process.kill()
            assert asking.wait(20) == -signal.SIGKILL and gone(job)
        assert run(["--version"], variables).returncode == 0, "who comes later runs itself"
        worker._end(process, Path(variables[client.VARIABLE]).parent)


def test_the_worker_ends_with_whoever_started_it(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; from foundationless.runtime import worker\n"
        "print(worker.start_for({'models': 3}, Path(sys.argv[1])), flush=True); time.sleep(100)"
    )
    for end in (subprocess.Popen.kill, subprocess.Popen.terminate):
        starter = subprocess.Popen(
            [sys.executable, "-c", code, ROOT / "workflow"],
            env={name: value for name, value in PLAIN.items() if name != client.VARIABLE},
            stdout=subprocess.PIPE,
            text=True,
        )
        path = Path(starter.stdout.readline().strip())
        assert path.is_socket() and path.parent.stat().st_mode & 0o777 == 0o700
        (process,) = psutil.Process(starter.pid).children()
        end(starter)
        starter.wait()
        starter.stdout.close()
        assert gone(process) and not path.parent.exists()


def test_no_worker_where_it_is_not_worth_it_or_not_wanted(monkeypatch):
    monkeypatch.delenv(client.VARIABLE, raising=False)
    assert worker.start_for({"models": 1, "embed": 2}, ROOT / "workflow") is None
    monkeypatch.setenv(client.VARIABLE, "off")
    assert worker.start_for({"models": 100}, ROOT / "workflow") is None


def test_what_commands_import_is_read_from_their_sources():
    held = worker.modules_for(["fit_baseline"])
    assert {"sklearn.linear_model", "xgboost", "pandas", "foundationless.features.classifiers"} <= set(held)
    assert held.index("pandas") < held.index("foundationless.features.classifiers")
    held = worker.modules_for(["embed"])
    assert {"torch", "foundationless.models.architectures.hyenadna"} <= set(held)
    assert not {"peft", "transformers", "foundationless.models.architectures.bert"} & set(held)


def test_imports_start_no_thread_and_touch_no_gpu():
    code = (
        "import importlib, os, sys; from foundationless.runtime import worker\n"
        f"for name in worker.modules_for({COMMANDS!r}): importlib.import_module(name)\n"
        "import torch; print(len(os.listdir('/proc/self/task')), torch.cuda.is_initialized())"
    )
    environment = PLAIN | worker._NO_THREADS
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["1", "False"], answer.stderr


def test_benchmarks_count_the_forks(tmp_path):
    from snakemake.benchmark import BenchmarkRecord, benchmarked

    usage = tmp_path / "usage"
    usage.mkdir()
    with subprocess.Popen(["sleep", "1"]) as shell:
        kept = usage / str(shell.pid)
        kept.write_text("999999999 99.0\n")  # of an older shell with this number
        with worker.measuring(benchmarked, tmp_path / "socket")(shell.pid, BenchmarkRecord()) as record:
            kept.write_text("204800 1.5\n409600 0.5\n")
            time.sleep(0.1)
    assert record.max_rss == 400 and 2 <= record.cpu_time < 2.5 and not kept.exists()
    cells = record.to_tsv(False).split("\t")
    assert float(cells[0]) > 0 and cells[2] == "400.00" and cells[3] == "-"
