"""How a run stands, from what lies in its directory: state file, locks, processes of this machine, records.

Everything here is read while somebody else writes it, or after it was killed: whatever is missing, torn or of another
version counts as not known.
"""

import json
import logging
import os
import shlex
import socket
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from foundationless.study.job_counts import Failure, in_words, number
from foundationless.study.plan import Cell
from foundationless.study.progress import STATE, process_start
from foundationless.study.vocabulary import TARGETS

LOCKS = Path(".snakemake", "locks")
_SILENT = 5  # intervals without a sign after which a run on another machine is taken for dead
_T = TypeVar("_T")


@dataclass
class Run:
    """What the state file tells of the last run; defaults stand for what it does not."""

    host: str = ""
    pid: int = 0
    started: int = 0
    began: float = 0.0
    heard: float = 0.0
    interval: float = 60.0
    status: str = ""
    line: str = ""
    snakefile: str = ""
    configfiles: list[str] = field(default_factory=list)
    cluster_name: str = ""  # of the jobs that the run gave to a cluster
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def life(self) -> str:
        """`alive`, `dead`, or `unknown`: on another machine, which was heard of not long ago or never."""
        if self.status != "running":
            return "dead"
        if self.host != socket.gethostname():
            return "silent" if time.time() - self.heard > _SILENT * max(self.interval, 10.0) else "unknown"
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return "dead"
        except OSError:  # another user's
            pass
        return "alive" if not self.started or process_start(self.pid) in (None, self.started) else "dead"

    @property
    def unlock(self) -> str:
        """The command that takes a lock of this run away."""
        words = ["snakemake"]
        if self.snakefile and Path(self.snakefile) != Path("workflow", "Snakefile").absolute():
            words += ["--snakefile", self.snakefile]
        for name in self.configfiles:
            words += ["--configfile", os.path.relpath(name) if Path(name).is_relative_to(Path.cwd()) else name]
        return shlex.join([*words, "--unlock"])


def read_run() -> Run | None:
    """The last run of this directory; None if there was none, or its state file tells nothing."""
    try:
        state = json.loads(STATE.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(state, dict):
        return None
    run = Run()
    for item in fields(Run):
        value, known = state.get(item.name), getattr(run, item.name)
        if item.name == "failures":
            run.failures = [failure for failure in map(_failure, _items(value, dict)) if failure]
        elif isinstance(known, list):
            setattr(run, item.name, _items(value, str))
        elif isinstance(known, float):
            setattr(run, item.name, min(number(value), 1e10))  # a moment or seconds that can be told
        elif isinstance(value, type(known)):
            setattr(run, item.name, value)
    return run


def _items(value: Any, kind: type[_T]) -> list[_T]:
    return [item for item in value if isinstance(item, kind)] if isinstance(value, list) else []


def _failure(value: dict[str, Any]) -> Failure | None:
    try:
        texts = {name: str(value[name]) for name in ("rule", "what", "reason")}
        return Failure(**texts, tries=int(value["tries"]), logs=_items(value["logs"], str))
    except (KeyError, TypeError, ValueError):
        return None


def describe_run(run: Run | None, now: float) -> list[str]:
    """Lines on the last run: whether it lives, since when, its last progress."""
    if run is None:
        return ["No run is known here."]
    where = f"process {run.pid} on {run.host}"
    ago = f"{in_words(max(now - run.heard, 0))} ago"
    words = {
        "alive": f"A run is going on ({where}) for {in_words(max(now - run.began, 0))}.",
        "unknown": f"A run is going on ({where}), heard of {ago}.",
        "silent": f"The last run ({where}) was last heard of {ago}: it has died, unless {run.host} is cut off.",
        "dead": f"The last run ({where}) was killed; its last sign was {ago}.",
    }
    said = words[run.life]
    if run.status in ("finished", "failed", "stopped"):
        ended = {"finished": "finished", "failed": "ended with jobs missing", "stopped": "was stopped"}[run.status]
        said = f"The last run {ended} {ago}."
    return [said, *([run.line] if run.line else [])]


def describe_lock(run: Run | None) -> str | None:
    """What holds the lock of this directory and what to do; None if nothing does."""
    try:
        if not any(LOCKS.iterdir()):
            return None
    except OSError:
        return None
    managers, jobs = _processes()
    life = run.life if run else "dead"
    if run and (life in ("alive", "unknown")):
        return f"The directory is locked by the run that is going on (process {run.pid} on {run.host}): let it end."
    if managers:
        return f"The directory is locked by a run that is going on (process {managers[0]}): let it end."
    unlock = f"`{(run or Run()).unlock}`, then the same command as before"
    if run is None or run.status != "running":
        return (
            "The directory is locked, and no run on this machine holds it: if none does on another machine either, "
            f"type {unlock}."
        )
    orphans = f"its jobs still run here (`kill {' '.join(map(str, jobs))}` ends them, or wait); " if jobs else ""
    if run.cluster_name:
        orphans += f"its jobs at the cluster may still run (`scancel --name {run.cluster_name}` ends them, or wait); "
    when = f"last heard of on {time.strftime('%Y-%m-%d at %H:%M', time.localtime(run.heard))}"
    dead = f"is dead ({when})" if life == "dead" else f"was {when}: look whether it lives on {run.host}; if not"
    return f"The lock is left by process {run.pid}, which {dead}: {orphans}type {unlock}."


def _processes() -> tuple[list[int], list[int]]:
    """Main processes of the workflow manager in this directory on this machine, and its jobs; none without /proc."""
    managers, jobs, here = [], [], os.getcwd()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) == os.getpid() or os.readlink(entry / "cwd") != here:
                continue
            words = entry.joinpath("cmdline").read_text(errors="replace").split("\0")
        except OSError:  # it ended, or is another user's
            continue
        names = [os.path.basename(word) for word in words[:4]]
        if not names[0].startswith(("python", "snakemake")):
            continue
        if "snakemake" in names and "--mode" not in words:
            managers.append(int(entry.name))
        elif ("foundationless" in names and "status" not in names) or "--mode" in words:
            jobs.append(int(entry.name))
    return sorted(managers), sorted(jobs)


def count_records(cells: Iterable[Cell], results: Path) -> list[tuple[str, str, int, int]]:
    """(target, analysis, cells whose record is there, cells) of a study, in the order of the targets."""
    done, total = Counter[str](), Counter[str]()
    for cell in cells:
        *names, seed = cell
        done[cell.analysis] += results.joinpath(*names, f"seed{seed}", "record.json").is_file()
        total[cell.analysis] += 1
    order = [(target, analysis) for target, analyses in TARGETS.items() for analysis in analyses]
    return [(target, analysis, done[analysis], total[analysis]) for target, analysis in order if total[analysis]]


class LockWords(logging.Filter):
    """Says who holds the lock and what to type, where the manager only says that there is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Reword a record about the lock; every record passes, whatever happens."""
        with suppress(Exception):
            locked = str(record.msg).startswith("Error: Directory cannot be locked")
            if locked or getattr(record, "exception", None) == "LockException":
                record.msg = describe_lock(read_run()) or record.msg
        return True
