"""Progress of real runs of a small workflow that has this one's hooks: what is said, what is left when it is killed."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

import support.studies
from support import ROOT
from support.studies import wait_until

ENVIRONMENT = support.studies.ENVIRONMENT | {
    "PYTHONPATH": str(ROOT / "workflow"), "FOUNDATIONLESS_PROGRESS_SECONDS": "0.5",
}  # fmt: skip
SNAKEFILE = """
import os
import sys
from pathlib import Path
sys.path.insert(0, {package!r})
from foundationless.runtime import timers, worker
from foundationless.study import job_counts, progress, status, vocabulary
from foundationless.study import looks as study_looks
from types import SimpleNamespace
study = SimpleNamespace(looks=())
include: {package!r} + "/rules/internals.smk"
include: {package!r} + "/rules/progress.smk"

rule all:
    input:
        expand("results/finetune/T{{i}}/m/random/seed0/record.json", i=range(4)),
        "results/biotype/T0/m/random/seed0/record.json",
        "results/tables/scores.csv",

rule finetune_model:
    output: "results/finetune/{{task}}/{{model}}/random/seed0/record.json"
    log: "logs/{{task}}.{{model}}.log"
    benchmark: "benchmarks/{{task}}.{{model}}.tsv"
    shell: "(echo trained {{wildcards.task}}; if test -e stop; then sleep 60; fi;"
        " test ! -e bad_{{wildcards.task}} && touch {{output}}) > {{log}} 2>&1"

rule probe:
    output: "results/biotype/{{task}}/{{model}}/random/seed0/record.json"
    shell: "touch {{output}}"

rule collect:
    output: "results/tables/scores.csv"
    run:
        open(output[0], "w").close()
"""


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "workflow").mkdir()
    text = SNAKEFILE.format(package=str(ROOT / "workflow"))
    (tmp_path / "workflow" / "Snakefile").write_text(text)
    return tmp_path


def run(directory, *command):
    answer = subprocess.run(
        [*map(str, command)], cwd=directory, env=ENVIRONMENT, text=True, check=False, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in answer.stdout, answer.stdout
    return answer


def snakemake(directory, *arguments):
    return run(directory, "snakemake", "--cores", 2, *arguments)


def status(directory, *arguments):
    return run(directory, sys.executable, "-m", "foundationless", "status", *arguments)


def state(directory):
    return json.loads((directory / ".snakemake" / "progress.json").read_text())


def start(directory, **how):
    """A run of which two jobs run by now, in a session of its own."""
    process = subprocess.Popen(
        ["snakemake", "--cores", "2"], cwd=directory, env=ENVIRONMENT, start_new_session=True,
        stdin=subprocess.DEVNULL, **how,
    )  # fmt: skip
    known = directory / ".snakemake" / "progress.json"
    wait_until(lambda: known.exists() and state(directory)["states"].get("running", 0) >= 2, 60, process)
    return process


def test_only_real_runs_tell_their_progress(toy):
    snakemake(toy, "-n")
    snakemake(toy, "--summary")
    assert not (toy / ".snakemake" / "progress.json").exists()
    answer = snakemake(toy)
    assert answer.returncode == 0
    assert len(re.findall(r"^Finished: ", answer.stdout, re.M)) == 1, "the job in a process of its own says nothing"
    assert re.search(r"^\[\d\d:\d\d\] finetune 4/4 · biotype 1/1 · shared 1/1 \| 0 running", answer.stdout, re.M)
    logs = (toy / ".snakemake" / "log").glob("*.log")
    assert sum("Finished: " in path.read_text() for path in logs) == 1, "it stands in the main log too"
    assert not any("finetune 4/4" in path.read_text() for path in (toy / "logs").iterdir())
    before = state(toy)
    assert before["status"] == "finished" and before["states"] == {"done": 6}
    snakemake(toy)  # nothing to do
    assert state(toy) == before


def test_failures_are_summed_up_and_the_same_command_goes_on(toy):
    (toy / "bad_T2").touch()
    answer = snakemake(toy, "--keep-going", "--retries", 1, "--quiet", "rules", "progress")
    assert answer.returncode == 1
    told = re.findall(r"^Failed: finetune_model: task=T2, model=m.*log: logs/T2.m.log$", answer.stdout, re.M)
    assert told and "Error in rule" not in answer.stdout, "where the manager is quiet, failures are still named"
    end = answer.stdout[answer.stdout.index("Not finished: ") :]
    assert "5 of 6 jobs done" in end and "1 job failed:" in end
    assert "1. finetune_model: task=T2, model=m (2 tries): exit status 1" in end
    assert "log: logs/T2.m.log\n     | trained T2\n" in end and "the same command goes on" in end
    assert (state(toy)["states"], state(toy)["failed"]) == ({"done": 5, "failed": 1}, 1)
    said = status(toy, "--failures")
    assert said.returncode == 0 and "task=T2" in said.stdout and "trained T2" in said.stdout
    (toy / "bad_T2").unlink()
    answer = snakemake(toy)
    assert answer.returncode == 0 and "finetune 4/4 · biotype 1/1 · shared 1/1" in answer.stdout
    assert "Finished: " in answer.stdout and "1 of 1 jobs done" in answer.stdout
    assert status(toy, "--failures").stdout == "Nothing failed in the last run.\n"


def test_a_killed_run_leaves_a_lock_that_is_explained(toy):
    (toy / "stop").touch()
    process = start(toy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        said = status(toy).stdout
        assert f"A run is going on (process {process.pid}" in said and "let it end" in said
        second = snakemake(toy)
        assert second.returncode == 1 and "let it end" in second.stdout and "--unlock" not in second.stdout
    finally:
        process.kill()
        process.wait()
        os.killpg(process.pid, signal.SIGKILL)
    said = status(toy).stdout
    assert f"(process {process.pid} " in said and "was killed" in said and "type `snakemake --unlock`" in said
    again = snakemake(toy)
    assert again.returncode == 1 and f"The lock is left by process {process.pid}, which is dead" in again.stdout
    assert "cannot be locked" not in again.stdout, "one message, not two"
    (toy / "stop").unlink()
    assert snakemake(toy, "--unlock").returncode == 0
    assert "lock" not in status(toy).stdout
    assert snakemake(toy, "--rerun-incomplete").returncode == 0 and state(toy)["status"] == "finished"


def test_an_interrupted_run_says_what_to_do(toy):
    (toy / "stop").touch()
    with open(toy / "out", "w") as out:
        # a shell that runs the tests in the background has SIGINT ignored, and so would this
        process = start(toy, stdout=out, stderr=out, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 1
    assert "Not finished: " in (toy / "out").read_text() and "the same command goes on" in (toy / "out").read_text()
    assert state(toy)["status"] == "failed" and "locked" not in status(toy).stdout
