"""Progress of a run: a logging handler that says one line a minute and keeps a state file beside the locks.

The main process of a real run attaches a `Reporter` to the workflow manager's own logger, tells it which jobs there
are, and tells it when all is over. What goes wrong in it is swallowed: a study must not end because its progress could
not be told. `foundationless status` reads the state file.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.runtime.files import write_json
from foundationless.study.job_counts import Planned, Tally, number

INTERVAL = "FOUNDATIONLESS_PROGRESS_SECONDS"  # environment: seconds between two lines (default 60)
STATE = Path(".snakemake", "progress.json")  # relative to the directory where the manager runs
_STEP = 10.0  # seconds between two looks at logs and benchmarks, and two writes of the state file
_KEPT = 200  # failures in the state file


class Abridged(logging.Filter):
    """Abridges what the manager prints of a job: summaries and targets have thousands of inputs."""

    FILES, LETTERS = 5, 400  # of an input list, and of a reason, which lists files too

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a record about a job; every record passes."""
        files, reason = getattr(record, "input", None), getattr(record, "reason", None)
        if isinstance(files, list) and len(files) > self.FILES:
            record.input = [*files[: self.FILES], f"… ({len(files)} files)"]
        if isinstance(reason, str) and len(reason) > self.LETTERS:
            head = reason[: self.LETTERS]
            record.reason = f"{head.rpartition(',')[0] or head}, … ({reason.count(',') + 1} files)"
        return True


class Reporter(logging.Handler):
    """Counts log records in a `Tally`, says a line every minute by `logger`, keeps the state file.

    `facts` go into the state file as they are. `name_failures`: name failed jobs within seconds, for where the manager
    is told not to.
    """

    def __init__(self, logger: logging.Logger, tally: Tally, facts: Mapping[str, Any], name_failures: bool = False):
        super().__init__(logging.INFO)
        self.logger, self.tally, self.name_failures = logger, tally, name_failures
        self.path = STATE.absolute()
        self.interval = number(os.environ.get(INTERVAL)) or 60.0
        self.status = "running"
        pid = os.getpid()
        who = {"host": socket.gethostname(), "pid": pid, "started": process_start(pid)}
        self.facts = {**facts, **who, "began": tally.began, "interval": self.interval}
        self._guard = threading.RLock()
        self._over = threading.Event()
        self._named: set[tuple[str, str, int]] = set()
        self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record; never raises."""
        with contextlib.suppress(Exception), self._guard:
            self.tally.hear(record)

    def start(self) -> None:
        """Attach to the logger and begin to tell."""
        self._save()
        self.logger.addHandler(self)
        self._thread.start()

    def finish(self, success: bool) -> None:
        """All is over: say what it took and what failed, once; never raises."""
        with contextlib.suppress(Exception):
            if self.status == "running":
                self._stop("finished" if success else "failed")
                self._say(self._line())
                self._say(self.tally.summary(success, time.time()), logging.INFO if success else logging.ERROR)

    def close(self) -> None:
        """Called when logging ends, however the run did."""
        with contextlib.suppress(Exception):
            if self.status == "running":
                self._stop("stopped")
        super().close()

    def _stop(self, status: str) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.logger.removeHandler(self)
        self.status = status
        self._save()

    def _tell(self) -> None:
        next_line = time.monotonic() + self.interval
        while not self._over.wait(min(self.interval, _STEP)):
            with contextlib.suppress(Exception):
                self._save()
                if self.name_failures:
                    self._name_failures()
                if time.monotonic() >= next_line:
                    next_line = time.monotonic() + self.interval
                    self._say(self._line())

    def _name_failures(self) -> None:
        with self._guard:
            failures = self.tally.unmended()
        for failure in failures:
            if (key := (failure.rule, failure.what, failure.tries)) not in self._named:
                self._named.add(key)
                self._say(f"Failed: {failure.title()}; log: {', '.join(failure.logs)}", logging.ERROR)

    def _line(self) -> str:
        with self._guard:
            return self.tally.line(time.time())

    def _say(self, text: str, level: int = logging.INFO) -> None:
        # A terminal that knows less letters must not make the manager's own handler print a traceback.
        encoding = getattr(sys.stderr, "encoding", None) or "ascii"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.replace("·", "-").encode("ascii", "replace").decode()
        self.logger.log(level, text)

    def _save(self) -> None:
        now = time.time()
        with self._guard:
            self.tally.measure(now)
            failures = self.tally.unmended()
            state = {
                **self.facts,
                "status": self.status,
                "heard": now,
                "line": self.tally.line(now),
                "targets": self.tally.counts(),
                "states": dict(self.tally.states()),
                "gpu_hours": self.tally.gpu_hours(now),
                "seconds_left": self.tally.seconds_left(now)[0],
                "failed": len(failures),
                "failures": [asdict(failure) for failure in failures[:_KEPT]],
            }
        with contextlib.suppress(OSError, ValueError, UserError):
            write_json(self.path, state)


_reporter: Reporter | None = None


def start(
    logger: logging.Logger,
    get_planned: Callable[[], Iterable[Planned]],
    get_facts: Callable[[], Mapping[str, Any]],
    remote: bool = False,
    name_failures: bool = False,
) -> None:
    """Begin to tell the progress of a run of the jobs that `get_planned` lists; never raises.

    `remote`: jobs wait in a cluster's queue; then a GPU that is asked for is one. Here it counts if there is any.
    """
    global _reporter
    try:
        here = any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")))
        tally = Tally(remote=remote, gpus=remote or here)
        tally.plan(get_planned())
        _reporter = Reporter(logger, tally, get_facts(), name_failures)
        _reporter.start()
    except Exception as error:
        logger.warning(f"Progress will not be told ({type(error).__name__}: {error}).")


def finish(success: bool) -> None:
    """The run that `start` began is over."""
    if _reporter is not None:
        _reporter.finish(success)


def process_start(pid: int) -> int | None:
    """Clock ticks between the machine's start and the process's: with its number, this names a process for good.

    None where there is no such process, or where the system does not tell (no /proc).
    """
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
