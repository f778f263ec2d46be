"""What became of every job of a run, counted from the log records of the workflow manager, and what to say of it.

Reads attributes of log records (`event`, `jobid`, `rule_name`, ...; Snakemake 9.27), so nothing of it is imported.

- A duration is what the job's benchmark file says (seconds it really ran), not how long it waited in a queue; without
  one, the time since it was started. A job on a cluster has started when its log file has appeared.
- GPU-hours are seconds x GPUs asked for: what an allocation costs. Failed tries count.
- Time left = sum over unfinished jobs of the mean duration of their (rule, model), else of their rule, else of all
  jobs, divided by how many ran side by side so far on average.
"""

import logging
import os
import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_SHOWN = 20  # failures in a summary
_SAMPLES = 3  # benchmark files of jobs done in earlier runs that are read, per rule and model
_SKEW = 2.0  # seconds that the clocks of a file server and of this machine may differ
_ALL = ("", "")  # key of the mean over all jobs; (rule, "") is that of a rule
_SIGNALS = {int(number): number.name for number in signal.Signals}
_HINTS = {"SIGKILL": " (often: out of memory)", "SIGTERM": " (stopped)"}


class Planned(NamedTuple):
    """One job of the DAG: its number, rule, model ("" if none), target, whether its outputs were there before."""

    number: int
    rule: str
    model: str
    target: str
    done: bool
    retries: int = 0
    benchmark: str | None = None


@dataclass(slots=True)
class _Job:
    rule: str
    model: str
    target: str
    retries: int = 0
    state: str = "waiting"  # waiting, queued (given to the cluster), running, done, failed
    tries: int = 0
    submitted: float = 0.0
    started: float | None = None
    gpus: float = 0.0
    members: int = 1  # of its group job, which share one allocation
    what: str = ""
    log: tuple[str, ...] = ()
    benchmark: str | None = None

    def elapsed(self, now: float) -> float:
        """Seconds of the allocation that are this job's, so far; 0 before it has started."""
        return 0.0 if self.started is None else max(now - self.started, 0.0) / self.members


@dataclass
class Failure:
    """A job whose last try failed. `reason` is what the manager or the cluster said, "" if nothing."""

    rule: str
    what: str
    tries: int
    reason: str
    logs: list[str]

    def title(self) -> str:
        """The failure in a line."""
        tries = f" ({self.tries} tries)" if self.tries > 1 else ""
        return f"{self.rule}: {self.what}{tries}{': ' if self.reason else ''}{self.reason}"


@dataclass
class Tally:
    """All jobs of a run. `remote`: they wait in a cluster's queue; `gpus`: whether there are GPUs to be used.

    `hear` takes log records and only counts; `measure` reads small files, and belongs into another thread. Both, and
    the rest, are for one thread at a time: the caller holds a lock.
    """

    remote: bool = False
    gpus: bool = True
    began: float = field(default_factory=time.time)
    jobs: dict[int, _Job] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    _before: Counter[str] = field(default_factory=Counter)
    _targets: list[str] = field(default_factory=list)
    _gpu_seconds: float = 0.0
    _busy: float = 0.0
    _durations: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    _finished: list[tuple[_Job, float]] = field(default_factory=list)  # not yet measured
    _earlier: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    _said: dict[int, str] = field(default_factory=dict)  # thread -> exception that it logged last
    _spared: set[int] = field(default_factory=set)  # members of a failed group that did not fail
    _members: int = 1

    def plan(self, planned: Iterable[Planned]) -> None:
        """Take in the jobs of the DAG; those `done` count as done before this run. Targets keep their order."""
        for job in planned:
            if job.target not in self._targets:
                self._targets.append(job.target)
            if not job.done:
                self.jobs[job.number] = _Job(job.rule, job.model, job.target, job.retries)
                continue
            self._before[job.target] += 1
            if job.benchmark and len(self._earlier[job.rule, job.model]) < _SAMPLES:
                self._earlier[job.rule, job.model].append(job.benchmark)

    # ---- what is heard

    def hear(self, record: logging.LogRecord) -> None:
        """Count one log record; records without a known event are ignored."""
        said, now = record.__dict__, record.created
        match str(said.get("event") or ""):
            case "group_info":
                self._members = max(1, len(said["jobs"]))
            case "job_info":
                self._begin(said, now)
            case "job_finished":
                if job := self.jobs.get(said["job_id"]):
                    job.state = "done"
                    self.failures.pop(said["job_id"], None)
                    self._finished.append((job, now))
            case "error":
                self._said[said["thread"]] = str(said["msg"])
            case "group_error":
                self._blame(said["job_error_info"])
            case "job_error":
                self._fail(said, now)

    def _begin(self, said: Mapping[str, Any], now: float) -> None:
        job = self.jobs.get(said["jobid"])
        if job is None:
            if not said["output"]:  # a target that only asks for others
                return
            self.plan([Planned(said["jobid"], said["rule_name"], "", "shared", False)])
            job = self.jobs[said["jobid"]]
        job.tries += 1
        job.submitted = now
        job.members = self._members if said["indent"] else 1
        words = (f"{key}={value}" for key, value in said["wildcards"].items())
        job.what = ", ".join(words) or ", ".join(said["output"][:2])
        job.log, job.benchmark = tuple(said["log"]), said["benchmark"]
        job.gpus = number(said["resources"].get("gpu")) if self.gpus else 0.0
        queued = self.remote and not said["local"] and bool(job.log)
        job.state, job.started = ("queued", None) if queued else ("running", now)

    def _blame(self, members: list[Mapping[str, Any]]) -> None:
        """All members of a group are said to have failed: those that are whole, or had not begun, did not.

        Where that is all of them (the group never ran, or died between two), the group itself failed.
        """
        broken = set()
        for member in members:
            job = self.jobs.get(member["jobid"])
            begun = job is not None and any(_touched(name, job.submitted) for name in job.log)
            if begun and not all(os.path.exists(name) for name in member["output"]):
                broken.add(member["jobid"])
        if broken:
            self._spared |= {member["jobid"] for member in members} - broken

    def _fail(self, said: Mapping[str, Any], now: float) -> None:
        job = self.jobs.get(said["jobid"])
        if job is None:
            return
        if said["jobid"] in self._spared:
            self._spared.remove(said["jobid"])
            job.state = "waiting"
            return
        self._spend(job, job.elapsed(now))
        job.state = "waiting" if job.tries <= job.retries else "failed"
        reason = _reason(str(said["rule_msg"] or ""), self._said.pop(said["thread"], ""))
        self.failures[said["jobid"]] = Failure(job.rule, job.what, job.tries, reason, list(said["log"]))

    # ---- what is read

    def measure(self, now: float) -> None:
        """Read what jobs left on disk: durations of finished ones, which of the queued ones have begun."""
        earlier, self._earlier = self._earlier, defaultdict(list)
        for key, names in earlier.items():
            for name in names:
                self._learn(key, _benchmark(name))
        finished, self._finished = self._finished, []
        for job, end in finished:
            seconds = _benchmark(job.benchmark) if _touched(job.benchmark or "", job.submitted) else None
            seconds = job.elapsed(end) if seconds is None else seconds
            self._learn((job.rule, job.model), seconds)
            self._spend(job, seconds)
        for job in self.jobs.values():
            if job.state == "queued" and any(_touched(name, job.submitted) for name in job.log):
                job.state, job.started = "running", now

    def _learn(self, key: tuple[str, str], seconds: float | None) -> None:
        if seconds is not None:
            for wider in {key, (key[0], ""), _ALL}:
                total, times = self._durations.get(wider, (0.0, 0))
                self._durations[wider] = (total + seconds, times + 1)

    def _spend(self, job: _Job, seconds: float) -> None:
        self._gpu_seconds += job.gpus * seconds
        self._busy += seconds

    # ---- what there is to say

    def counts(self) -> dict[str, tuple[int, int]]:
        """Target -> (done, total), what was done before this run included."""
        done, total = Counter(self._before), Counter(self._before)
        for job in self.jobs.values():
            total[job.target] += 1
            done[job.target] += job.state == "done"
        return {target: (done[target], total[target]) for target in self._targets}

    def states(self) -> Counter[str]:
        """How many jobs of this run are waiting, queued, running, done, failed."""
        return Counter(job.state for job in self.jobs.values())

    def gpu_hours(self, now: float) -> float:
        """GPU-hours so far, of running jobs too."""
        running = (job for job in self.jobs.values() if job.state == "running")
        return (self._gpu_seconds + sum(job.elapsed(now) * job.gpus for job in running)) / 3600

    def seconds_left(self, now: float) -> tuple[float | None, bool]:
        """Seconds left (None: not known yet), and whether at least half of them are of rules that were measured."""
        left = guessed = elapsed = 0.0
        if _ALL not in self._durations:
            return None, False
        for job in self.jobs.values():
            if job.state in ("done", "failed"):
                continue
            key = next(key for key in ((job.rule, job.model), (job.rule, ""), _ALL) if key in self._durations)
            total, times = self._durations[key]
            passed = job.elapsed(now) if job.state == "running" else 0.0
            elapsed += passed
            left += max(total / times - passed, 0.0)
            guessed += max(total / times - passed, 0.0) if key == _ALL else 0.0
        width = (self._busy + elapsed) / max(now - self.began, 1.0)
        return (left / width, guessed <= left / 2) if width > 0 else (None, False)

    def line(self, now: float) -> str:
        """`[12:03] finetune 120/624 · ... | 31 running, 2 failed, 4.2 GPU-hours, about 3 h 10 min left`."""
        states = self.states()
        done = " · ".join(f"{target} {made}/{total}" for target, (made, total) in self.counts().items())
        facts = [f"{states['running']} running"]
        facts += [f"{states['queued']} queued"] if states["queued"] else []
        again = sum(self.jobs[number].state in ("waiting", "queued", "running") for number in self.failures)
        facts += [f"{again} tried again"] if again else []
        facts += [f"{states['failed']} failed"] if states["failed"] else []
        facts += [f"{self.gpu_hours(now):.1f} GPU-hours"] if self.gpus else []
        seconds, measured = self.seconds_left(now)
        if seconds is not None and states["waiting"] + states["queued"] + states["running"]:
            facts.append(f"{'about' if measured else 'very roughly'} {in_words(seconds)} left")
        return f"[{time.strftime('%H:%M', time.localtime(now))}] {done} | {', '.join(facts)}"

    def unmended(self) -> list[Failure]:
        """Failures of jobs that did not succeed in a later try."""
        return list(self.failures.values())

    def summary(self, success: bool, now: float) -> str:
        """What the run took; of one that failed, its failures with the ends of their logs and what to do."""
        took = f"{in_words(now - self.began)}, {self.states()['done']} of {len(self.jobs)} jobs done"
        took += f", {self.gpu_hours(now):.1f} GPU-hours" if self.gpus else ""
        if success:
            return f"Finished: {took}."
        lines = [f"Not finished: {took}.", *failure_table(self.unmended())]
        return "\n".join([*lines, "What is done is kept: the same command goes on from here."])


def failure_table(failures: list[Failure], shown: int = _SHOWN) -> list[str]:
    """Lines that list failures: rule, wildcards, tries, reason, log and the last lines of the log."""
    if not failures:
        return []
    lines = [f"{len(failures)} job{'s' if len(failures) > 1 else ''} failed:"]
    for position, failure in enumerate(failures[:shown], 1):
        lines += [f"{position:3d}. {failure.title()}", f"     log: {', '.join(failure.logs) or 'none'}"]
        # Of a job on a cluster the second log is the cluster's: it speaks where the job itself could not.
        tail = next(filter(None, map(_tail, failure.logs)), [])
        lines += [f"     | {text}" for text in tail]
    if len(failures) > shown:
        lines.append(f"and {len(failures) - shown} more: python -m foundationless status --failures")
    return lines


def in_words(seconds: float) -> str:
    """A duration in two units at most: `50 s`, `12 min`, `3 h 10 min`, `3 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def number(value: Any) -> float:
    """A finite number above zero; 0 for whatever else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return 0.0
    return found if 0 < found < float("inf") else 0.0


def _reason(message: str, exception: str) -> str:
    """Why a job failed, in few words: what a cluster said, or the exit status of its command."""
    noise = r"For further error details.*|Reasons?: Unknown\.|Detailed failure reason unavailable \([^)]*\)\."
    message = re.sub(noise, "", " ".join(message.split())).strip()
    if message:
        return message[:300]
    if found := re.search(r"died with <Signals\.(SIG\w+)|non-zero exit status (\d+)", exception):
        name = found[1] or _SIGNALS.get(int(found[2]) - 128, "")
        return f"ended by {name}{_HINTS.get(name, '')}" if name else f"exit status {found[2]}"
    return " ".join(exception.split())[-300:]


def _tail(name: str, lines: int = 10) -> list[str]:
    """Last lines of a log as they would look on a terminal, without what could steer one."""
    try:
        with open(name, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 16_384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    found = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]  # a progress bar's last state
    return ["".join(filter(str.isprintable, line))[:200] for line in found if line][-lines:]


def _touched(name: str, since: float) -> bool:
    try:
        return os.stat(name).st_mtime >= since - _SKEW
    except OSError:
        return False


def _benchmark(name: str | None) -> float | None:
    """Seconds that a benchmark file tells (first column of its second line); None if it does not."""
    try:
        with open(name or "", encoding="utf-8", errors="replace") as stream:
            stream.readline()
            return number(stream.readline().split("\t")[0]) or None
    except OSError:
        return None
