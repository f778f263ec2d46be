"""Progress of a run: what is counted, what is said, and that nothing of it can end a study."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foundationless.__main__ import main
from foundationless.study import progress, status
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.job_counts import Failure, Planned, Tally, failure_table, in_words
from foundationless.study.progress import STATE, Reporter
from support import ROOT
from support.studies import wait_until

T0 = 1_700_000_000.0
TEXT = st.text("ab/{}[]\0\n", max_size=4)


def record(event, created=T0, message=None, thread=1, **attributes):
    made = logging.LogRecord("snakemake.logging", logging.INFO, "", 0, message, None, None)
    made.__dict__.update({"event": event, "created": created, "thread": thread, **attributes})
    return made


def info(number, created=T0, gpu=0, local=False, indent=False, log=(), benchmark=None, output=None, rule="r"):
    return record(
        "job_info", created, jobid=number, rule_name=rule, local=local, indent=indent, log=list(log),
        benchmark=benchmark, output=[f"out{number}"] if output is None else output, wildcards={"task": f"t{number}"},
        resources={"gpu": gpu, "mem_mb": 10},
    )  # fmt: skip


def finished(number, created=T0):
    return record("job_finished", created, job_id=number)


def error(number, created=T0, message=None, log=(), output=None, thread=1):
    output = [f"out{number}"] if output is None else output
    return record("job_error", created, jobid=number, rule_msg=message, log=list(log), output=output, thread=thread)


def tally(jobs=3, retries=0, rule="r", **how):
    made = Tally(began=T0, **how)
    made.plan(Planned(number, rule, "", "finetune", False, retries) for number in range(jobs))
    return made


def members(count):
    return [{"jobid": number, "output": [f"out{number}"]} for number in range(count)]


def hear(made, *records):
    for each in records:
        made.hear(each)


def write(path, text, at=T0 + 1):
    path.write_text(text)
    os.utime(path, (at, at))
    return str(path)


# ---- counting


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=12), st.integers(0, 2), st.randoms())
def test_counts_are_those_of_the_last_tries(fates, retries, random):
    """Any interleaving of jobs that fail and succeed: a job counts once, by what became of it at last."""
    made = tally(len(fates), retries)
    queues, last = {}, {}
    for number, tries in enumerate(fates):
        events = []
        for attempt, success in enumerate(tries[: retries + 1]):
            events += [info(number), finished(number) if success else error(number)]
            last[number] = "done" if success else ("failed" if attempt == retries else "waiting")
            if success:
                break
        queues[number] = events
    while queues:
        number = random.choice(sorted(queues))
        made.hear(queues[number].pop(0))
        if not queues[number]:
            del queues[number]
    assert made.states() == Counter(last.values())
    assert {f.what for f in made.unmended()} == {f"task=t{n}" for n, state in last.items() if state != "done"}
    if fates:
        assert made.counts() == {"finetune": (sum(state == "done" for state in last.values()), len(fates))}


def test_what_was_done_before_counts_and_targets_keep_their_order():
    made = Tally(began=T0)
    planned = [("r", "", "variants", True), ("r", "", "variants", False), ("s", "", "shared", True)]
    made.plan(Planned(number, *job) for number, job in enumerate(planned))
    hear(made, info(1), finished(1))
    assert list(made.counts().items()) == [("variants", (2, 2)), ("shared", (1, 1))]
    assert made.states() == {"done": 1}


def test_targets_without_files_are_no_jobs_and_unknown_jobs_are():
    made = tally(1)
    hear(made, info(7, output=[]), finished(7), info(8), finished(8), finished(99), error(99))
    assert made.counts() == {"finetune": (0, 1), "shared": (1, 1)}


def test_seconds_are_those_of_the_benchmark_not_of_the_queue(tmp_path):
    benchmark = write(tmp_path / "b.tsv", "s\th:m:s\n1800.0\t0:30:00\n", T0 + 9000)
    log = write(tmp_path / "log", "", T0 + 7000)
    made = tally(1, remote=True)
    hear(made, info(0, gpu=2, benchmark=benchmark, log=[log]), finished(0, T0 + 9000))
    made.measure(T0 + 9000)
    assert made.gpu_hours(T0 + 9000) == pytest.approx(1.0)
    made = tally(1)  # a benchmark of an earlier run is not this try's
    hear(made, info(0, gpu=1, benchmark=write(tmp_path / "b.tsv", "s\n99999\n", T0 - 100)), finished(0, T0 + 360))
    made.measure(T0 + 360)
    assert made.gpu_hours(T0 + 360) == pytest.approx(0.1)


def test_on_a_cluster_a_job_is_queued_until_its_log_appears(tmp_path):
    made = tally(2, remote=True)
    log = tmp_path / "log"
    hear(made, info(0, gpu=1, log=[log]), info(1, gpu=1, local=True, log=[tmp_path / "none"]))
    made.measure(T0 + 100)
    assert made.states() == {"queued": 1, "running": 1}
    assert made.gpu_hours(T0 + 3600) == pytest.approx(1.0)
    write(log, "", T0 + 3000)
    made.measure(T0 + 3600)
    assert made.states() == {"running": 2}
    assert made.gpu_hours(T0 + 7200) == pytest.approx(3.0)
    assert "2 running" in made.line(T0 + 7200) and "queued" not in made.line(T0 + 7200)


def test_failed_tries_cost_too_and_their_number_is_told():
    made = tally(1, retries=1)
    hear(made, info(0, T0, gpu=1), error(0, T0 + 3600))
    assert "1 tried again" in made.line(T0 + 3600) and "failed" not in made.line(T0 + 3600)
    hear(made, info(0, T0 + 3600, gpu=1), error(0, T0 + 7200))
    assert made.gpu_hours(T0 + 7200) == pytest.approx(2.0)
    assert "1 failed" in made.line(T0 + 7200) and made.unmended()[0].tries == 2
    assert made.gpu_hours(T0 + 99999) == made.gpu_hours(T0 + 7200)


def test_without_gpus_none_is_counted():
    made = tally(1, gpus=False)
    hear(made, info(0, gpu=1), finished(0, T0 + 3600))
    made.measure(T0 + 3600)
    assert made.gpu_hours(T0 + 3600) == 0 and "GPU" not in made.line(T0 + 3600) + made.summary(True, T0 + 3600)


def test_of_a_failed_group_only_the_member_that_failed_counts(tmp_path, monkeypatch):
    """The manager says of every member that it failed: one was whole, one broke, one had not begun."""
    monkeypatch.chdir(tmp_path)
    made = tally(4, remote=True)
    logs = [tmp_path / f"log{number}" for number in range(3)]
    hear(made, record("group_info", group_id="g", jobs=[0, 1, 2]))
    hear(made, *(info(number, gpu=1, indent=True, log=[logs[number]]) for number in range(3)))
    hear(made, info(3, log=[tmp_path / "log3"]))
    write(logs[0], "fine")
    write(logs[1], "broke")
    Path("out0").touch()
    made.measure(T0)
    failed = record("group_error", T0 + 3600, job_error_info=members(3))
    hear(made, failed, *(error(n, T0 + 3600, log=[logs[n], "slurm.log"]) for n in range(3)))
    assert made.states() == {"waiting": 2, "failed": 1, "queued": 1}
    assert [failure.what for failure in made.unmended()] == ["task=t1"]
    assert made.gpu_hours(T0 + 3600) == pytest.approx(1 / 3), "members share one allocation"


def test_a_group_that_never_ran_has_failed_as_a_whole():
    made = tally(2, remote=True)
    hear(made, record("group_info", group_id="g", jobs=[0, 1]), *(info(n, indent=True, log=["none"]) for n in (0, 1)))
    hear(made, record("group_error", job_error_info=members(2)), error(0), error(1))
    assert made.states() == {"failed": 2} and len(made.unmended()) == 2


def test_members_of_a_group_that_succeeds_share_its_time():
    made = tally(3, remote=True)
    hear(made, record("group_info", group_id="g", jobs=[0, 1]), *(info(n, gpu=1, indent=True) for n in (0, 1)))
    hear(made, info(2, gpu=1), *(finished(n, T0 + 3600) for n in (0, 1, 2)))
    made.measure(T0 + 3600)
    assert made.gpu_hours(T0 + 3600) == pytest.approx(2.0)
    assert made.counts() == {"finetune": (3, 3)}


# ---- time left


def test_time_left_weighs_by_rule_and_model():
    """Oracle by hand: two a-jobs of 100 s and one b-job of 1000 s done, two at a time; left: a, b, and one c."""
    made = Tally(began=T0)
    rules = ["a", "a", "b", "a", "b", "c"]
    made.plan(Planned(number, rule, "m", "finetune", False) for number, rule in enumerate(rules))
    assert made.seconds_left(T0) == (None, False) and "left" not in made.line(T0)
    hear(made, info(0, T0), info(2, T0), finished(0, T0 + 100), info(1, T0 + 100), finished(1, T0 + 200))
    hear(made, finished(2, T0 + 1000))
    made.measure(T0 + 1000)
    width = 1200 / 1000
    left, measured = made.seconds_left(T0 + 1000)
    assert left == pytest.approx((100 + 1000 + 400) / width) and measured
    assert "about 21 min left" in made.line(T0 + 1000)


def test_time_left_falls_as_a_job_runs_and_says_when_it_only_guesses():
    made = Tally(began=T0)
    made.plan([Planned(0, "a", "", "x", False), Planned(1, "b", "", "x", False)])
    hear(made, info(0, T0), finished(0, T0 + 100), info(1, T0 + 100))
    made.measure(T0 + 100)
    first, measured = made.seconds_left(T0 + 100)
    later, _ = made.seconds_left(T0 + 150)
    assert later == pytest.approx(first - 50) and not measured
    assert "very roughly" in made.line(T0 + 100)


def test_a_run_that_continues_knows_the_durations_of_the_last(tmp_path):
    made = Tally(began=T0)
    name = write(tmp_path / "b.tsv", "s\n3600\n", T0 - 9e6)
    made.plan([Planned(0, "a", "m", "x", True, benchmark=name), Planned(1, "a", "m", "x", False)])
    hear(made, info(1, T0))
    made.measure(T0 + 60)
    assert made.seconds_left(T0 + 60)[0] == pytest.approx(3540)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3590, "1 h 0 min"), (11400, "3 h 10 min"), (273600, "3 d 4 h")],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words


# ---- failures

SLURM = (
    "SLURM-job '17' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown.For further error details see the "
    "cluster/cloud log and the log files of the involved rule(s)."
)


@pytest.mark.parametrize(
    ("message", "exception", "reason"),
    [
        (SLURM, None, "SLURM-job '17' failed, SLURM status is: 'TIMEOUT'."),
        (None, "CalledProcessError\nCommand 'x' returned non-zero exit status 3.", "exit status 3"),
        (None, "Command 'x' returned non-zero exit status 137.", "ended by SIGKILL (often: out of memory)"),
        (None, "Command 'x' died with <Signals.SIGTERM: 15>.", "ended by SIGTERM (stopped)"),
        (None, "MissingOutputException:\nJob 3 completed, but files are missing.", "MissingOutputException: Job 3"),
        (None, None, ""),
    ],
)
def test_why_a_job_failed(message, exception, reason):
    made = tally(2)
    hear(made, info(0), info(1))
    hear(made, record("error", message="of another job returned non-zero exit status 77.", thread=2))
    if exception:
        hear(made, record("error", message=exception))
    hear(made, error(0, message=message))
    assert made.unmended()[0].reason.startswith(reason) and bool(made.unmended()[0].reason) == bool(reason)


def test_the_end_of_the_log_that_speaks_is_shown_and_many_failures_are_cut(tmp_path):
    empty, spoken = write(tmp_path / "a", ""), tmp_path / "b"
    lines = [f"line {number}" for number in range(5000)]
    spoken.write_bytes("\n".join(lines).encode() + b"\n\n 10%\r 20%\r 30%\n\xff\x1b[31mred\n")
    shown = failure_table([Failure("r", "task=x", 3, "exit status 1", [empty, str(tmp_path / "none"), str(spoken)])])
    assert shown[:2] == ["1 job failed:", "  1. r: task=x (3 tries): exit status 1"]
    tail = [line.removeprefix("     | ") for line in shown[3:]]
    assert len(tail) == 10 and tail[0] == "line 4992" and tail[-2] == " 30%"
    assert tail[-1] == "�[31mred", "what steers a terminal is left out"
    failures = [Failure("r", f"task={number}", 1, "", []) for number in range(30)]
    text = "\n".join(failure_table(failures, 20))
    assert "30 jobs failed" in text and "task=19" in text and "task=20" not in text and "and 10 more" in text
    assert failure_table([]) == []


# ---- the handler


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def logger(place):
    STATE.parent.mkdir()
    made = logging.Logger("manager", logging.INFO)
    made.said = []
    sink = logging.Handler()
    sink.emit = lambda entry: made.said.append(entry)
    made.addHandler(sink)
    return made


def test_it_says_lines_saves_its_state_and_sums_up(logger, monkeypatch):
    monkeypatch.setenv(progress.INTERVAL, "0.05")
    progress.start(logger, lambda: [Planned(0, "r", "", "finetune", False)], lambda: {"snakefile": "S"}, remote=True)
    assert json.loads(STATE.read_text())["status"] == "running"
    logger.handle(info(0))
    logger.handle(error(0))
    wait_until(lambda: sum("finetune 0/1 | 0 running, 1 failed" in str(entry.msg) for entry in logger.said) >= 2, 30)
    progress.finish(False)
    progress.finish(False)
    state = json.loads(STATE.read_text())
    assert (state["status"], state["snakefile"], state["failed"], state["pid"]) == ("failed", "S", 1, os.getpid())
    ends = [entry for entry in logger.said if "the same command goes on" in str(entry.msg)]
    assert len(ends) == 1 and ends[0].levelno == logging.ERROR and "task=t0" in ends[0].msg
    said = len(logger.said)
    time.sleep(0.15)
    assert len(logger.said) == said and len(logger.handlers) == 1, "it is gone when all is over"


def named(logger):
    return [entry.msg for entry in logger.said if str(entry.msg).startswith("Failed: ")]


def test_failures_are_named_once_where_the_manager_does_not(logger, monkeypatch):
    monkeypatch.setenv(progress.INTERVAL, "0.05")
    reporter = Reporter(logger, tally(2, retries=1), {}, name_failures=True)
    reporter.start()
    for attempt in range(2):
        logger.handle(info(0))
        logger.handle(error(0, log=["logs/x.log"]))
        wait_until(lambda: len(named(logger)) > attempt, 30)  # noqa: B023
    time.sleep(0.15)
    assert named(logger) == [f"Failed: r: task=t0{tries}; log: logs/x.log" for tries in ("", " (2 tries)")]
    reporter.finish(False)


def test_logging_that_ends_without_a_word_stops_it(logger):
    reporter = Reporter(logger, tally(), {})
    reporter.start()
    reporter.close()
    assert json.loads(STATE.read_text())["status"] == "stopped"
    reporter.finish(True)
    assert not [entry for entry in logger.said if "Finished" in str(entry.msg)]


ODD = st.none() | st.integers() | TEXT | st.lists(TEXT, max_size=3)
SAID = [
    "event", "jobid", "job_id", "jobs", "output", "log", "msg", "resources", "wildcards", "local", "indent", "thread",
    "rule_msg",
]  # fmt: skip
EVENTS = ("job_info", "job_error", "job_finished", "group_info", "error")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(SAID), ODD), st.sampled_from(EVENTS))
def test_no_record_can_make_it_raise(attributes, event):
    reporter = Reporter(logging.Logger("x"), tally(), {})
    reporter.emit(record(event))
    broken = record(event)
    broken.__dict__.update(attributes)
    reporter.emit(broken)


def test_a_state_file_that_cannot_be_written_ends_nothing(logger):
    STATE.mkdir()
    progress.start(logger, lambda: [Planned(0, "r", "", "x", False)], dict)
    logger.handle(info(0))
    progress.finish(True)
    assert any("Finished" in str(entry.msg) for entry in logger.said)


def test_a_dag_that_cannot_be_read_is_a_warning(logger, monkeypatch):
    monkeypatch.setattr(progress, "_reporter", None)
    progress.start(logger, lambda: 1 / 0, dict)
    progress.finish(True)
    assert [entry.msg for entry in logger.said] == ["Progress will not be told (ZeroDivisionError: division by zero)."]


def test_a_terminal_of_few_letters_gets_other_ones(logger, monkeypatch):
    class Stream:
        encoding = "ascii"

    monkeypatch.setattr(sys, "stderr", Stream())
    Reporter(logger, tally(), {})._say("finetune 1/2 · ü")
    assert logger.said[-1].msg == "finetune 1/2 - ?"


def test_twelve_thousand_jobs_cost_next_to_nothing(logger):
    """36,000 records and a line: well below the manager's own 0.1 s per job."""
    made = Tally(began=T0)
    reporter = Reporter(logger, made, {})
    begin = time.process_time()
    made.plan(Planned(number, "r", "m", "finetune", False) for number in range(12_000))
    records = [each for number in range(12_000) for each in (info(number), record("shellcmd"), finished(number))]
    prepared = time.process_time()
    for each in records:
        reporter.emit(each)
    heard = time.process_time()
    reporter._save()
    assert made.states() == {"done": 12_000}
    assert heard - prepared < 4 and time.process_time() - heard < 4, f"{heard - begin:.2f} s"
    assert STATE.stat().st_size < 10_000


# ---- how a run stands


def state(**changes):
    STATE.parent.mkdir(exist_ok=True)
    own = {"host": socket.gethostname(), "pid": os.getpid(), "started": progress.process_start(os.getpid())}
    STATE.write_text(
        json.dumps({**own, "status": "running", "began": T0, "heard": time.time(), "line": "[12:03] x 1/2"} | changes)
    )


def lock():
    status.LOCKS.mkdir(parents=True)
    (status.LOCKS / "0.input.lock").touch()


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


KEYS = ["host", "pid", "status", "heard", "failures", "configfiles", "rule", "what", "tries", "reason", "logs"]
VALUES = st.none() | st.booleans() | st.floats() | st.integers() | TEXT | st.just("running")
STATES = st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner))


@given(STATES.map(json.dumps) | TEXT, st.integers(0, 200))
@settings(deadline=None, max_examples=40)
@example(json.dumps({"status": "running", "heard": 1e300, "began": float("nan"), "pid": -1}), 200)
@example(json.dumps({"status": "running", "pid": 2**70, "host": socket.gethostname(), "interval": 0}), 200)
@example(json.dumps({"status": "running", "failures": [{"rule": 1, "what": [], "reason": None, "tries": "x"}]}), 200)
def test_any_state_file_can_be_read(tmp_path_factory, text, length):
    directory = tmp_path_factory.mktemp("state")
    with contextlib.chdir(directory):
        STATE.parent.mkdir()
        STATE.write_bytes(text.encode(errors="replace")[:length])
        lock()
        run = status.read_run()
        assert status.describe_run(run, T0) and "lock" in status.describe_lock(run)


def test_who_lives(place):
    state()
    assert status.read_run().life == "alive"
    state(started=1)
    assert status.read_run().life == "dead", "the number is another process's by now"
    state(pid=dead_pid(), started=None)
    assert status.read_run().life == "dead"
    state(host="elsewhere")
    assert status.read_run().life == "unknown"
    state(host="elsewhere", heard=time.time() - 3600)
    assert status.read_run().life == "silent"
    state(status="finished")
    assert "finished" in status.describe_run(status.read_run(), time.time())[0]


def test_the_lock_of_a_dead_process_gives_the_command(place):
    lock()
    state(pid=dead_pid(), started=None, configfiles=[str(place / "my study.yaml")], cluster_name="f-1")
    said = status.describe_lock(status.read_run())
    assert "is dead" in said and "`snakemake --configfile 'my study.yaml' --unlock`" in said
    assert "scancel --name f-1" in said
    state(pid=dead_pid(), started=None, snakefile="/elsewhere/Snakefile")
    assert "`snakemake --snakefile /elsewhere/Snakefile --unlock`" in status.describe_lock(status.read_run())


@pytest.mark.parametrize("changes", [{}, {"host": "elsewhere"}])
def test_the_lock_of_a_living_process_is_left_alone(place, changes):
    lock()
    state(**changes)
    said = status.describe_lock(status.read_run())
    assert "let it end" in said and "unlock" not in said


def test_a_lock_without_a_known_owner_is_named_with_care(place):
    assert status.describe_lock(None) is None
    lock()
    assert "if none does on another machine either, type `snakemake --unlock`" in status.describe_lock(None)
    state(host="elsewhere", heard=T0)
    assert "look whether it lives on elsewhere" in status.describe_lock(status.read_run())


def test_the_manager_s_words_on_the_lock_are_replaced_and_no_others(place):
    lock()
    state(pid=dead_pid(), started=None)
    words = status.LockWords()
    refused = record("error", message="LockException:\nError: cannot be locked. Please", exception="LockException")
    other = record("error", message="RuleException", exception="RuleException")
    assert words.filter(refused) and words.filter(other)
    assert refused.msg.startswith("The lock is left by process") and other.msg == "RuleException"
    (status.LOCKS / "0.input.lock").unlink()
    again = record("error", message="as it was", exception="LockException")
    assert words.filter(again) and again.msg == "as it was"


# ---- the command


def test_status_counts_records_on_disk(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    study = read_study(read_yaml("config/config.yaml"))
    for job in study.cells[:3]:
        directory = tmp_path / job.analysis / job.task / job.model / job.init / f"seed{job.seed}"
        directory.mkdir(parents=True)
        (directory / "record.json").write_text("{}")
        (directory / "predictions.parquet").touch()
    assert main(["status", "--configfile", "config/config.yaml", "--results", str(tmp_path)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "/" in line]
    assert ["all", f"3/{len(study.cells)}"] in rows
    of = Counter(job.analysis for job in study.cells)
    assert {row[1]: row[2].partition("/")[2] for row in rows if len(row) == 3} == {k: str(v) for k, v in of.items()}


def test_status_shows_failures_and_all_of_them_on_request(place, capsys):
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "No run is known here." in said and "No study to count" in said
    log = write(place / "x.log", "it broke\n")
    failures = [{"rule": "r", "what": f"task={n}", "tries": 1, "reason": "", "logs": [log]} for n in range(25)]
    state(status="failed", failed=25, failures=failures)
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "it broke" in said and "and 5 more" in said
    assert main(["status", "--failures"]) == 0
    said = capsys.readouterr().out
    assert "task=24" in said and "more" not in said and "Records" not in said


@pytest.mark.parametrize("text", [None, "a: [", "- 1", "study: x"])
def test_a_bad_study_is_one_sentence_and_exit_code_2(place, capsys, text):
    if text is not None:
        Path("bad.yaml").write_text(text)
    assert main(["status", "--configfile", "bad.yaml"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_long_lists_of_a_job_are_abridged_and_short_ones_are_not():
    files = [f"results/a/b/c{number}/record.json" for number in range(1000)]
    record = logging.makeLogRecord({"input": files, "reason": "Missing output files: " + ", ".join(files)})
    assert progress.Abridged().filter(record)
    assert record.input[:5] == files[:5] and "1000 files" in record.input[5]
    assert len(record.reason) < 450 and "1000 files" in record.reason and len(files) == 1000
    record = logging.makeLogRecord({"input": files[:5], "reason": "Code has changed"})
    progress.Abridged().filter(record)
    assert record.input == files[:5] and record.reason == "Code has changed"
