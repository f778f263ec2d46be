"""A local worker: one process that imports once what jobs need, and forks for each job that asks (`runtime.client`).

A short job is mostly imports. The worker holds what they need, and nothing else: it computes nothing, starts no thread
and touches no GPU, so that a fork of it is what a fresh process is after its imports. It lives as long as the process
that started it, whose end it hears of by the end of its standard input, and as the last job that it began.
"""

import ast
import atexit
import gc
import importlib
import io
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import foundationless
from foundationless.runtime.client import (
    END,
    ENDED,
    FORWARDED,
    LENGTH,
    REFUSED,
    STARTED,
    VARIABLE,
    identity,
)

# How many threads libraries start with; read when they are imported, and set anew for a job.
THREADS = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# Arrow's allocator starts a thread on import, to give memory back: not in a process that forks, nor then in its jobs.
_NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
# Variables that may differ between worker and job. Any other may have been read by a library on import.
_FREE = {
    *(*THREADS, *_NO_THREADS, VARIABLE, "FOUNDATIONLESS_ENERGY"),
    *("_", "SHLVL", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMPDIR", "TEMP"),
}
# What few jobs need and takes seconds: those import it themselves.
_RARE = {"peft", "transformers", "huggingface_hub", "pynvml", "msprime", "stdpopsim", "openpyxl", "rdata"}
_ARCHITECTURES = "foundationless.models.architectures"  # loaded by name, so no import statement tells them
READY = b"ready\n"
_SEVERAL = 3  # jobs of a command that are worth its imports
_LARGEST = 64 << 20  # bytes of a request


@dataclass(frozen=True)
class Job:
    """What a client asks for: a command in its directory, with its variables, streams and ignored signals."""

    directory: str
    umask: int
    parent: int
    ignored: frozenset[int]
    arguments: list[str]
    variables: dict[str, str]
    streams: tuple[int, int, int]


class Forked(BaseException):
    """Raised in the process of a job, to leave the worker's frames behind; the top of the program runs the job."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self.begin = begin


def leave_at_once(main: Callable[[], int]) -> int:
    """Run a job to its end, and end its process without taking apart, module by module, what the worker imported.

    What is to be done at an exit is done. Returns (or raises) where more is to be said than an exit status.
    """
    try:
        status = main()
    except SystemExit as error:
        if not isinstance(error.code, int):
            raise
        status = error.code
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing ends a process that it forked
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def modules_for(commands: Iterable[str]) -> list[str]:
    """What these commands import, in functions too, by their sources: libraries first, and modules of ours after them.

    Left out is what few jobs need (`_RARE`), and what modules import that are loaded by name and need such.
    """
    own: dict[str, set[str]] = {}
    waiting = [f"foundationless.commands.{command}" for command in commands]
    while waiting:
        name = waiting.pop()
        if name in own or (source := _source(name)) is None:
            continue
        own[name] = _imported(source)
        waiting += [each for each in own[name] if each.startswith("foundationless.")]
        if name == "foundationless.models.registry":
            every = Path(foundationless.__path__[0], "models", "architectures").glob("[a-z]*.py")
            waiting += [f"{_ARCHITECTURES}.{path.stem}" for path in sorted(every)]
    libraries = {name for names in own.values() for name in names if not name.startswith("foundationless")}
    wanted = {name for name in libraries if not _is_in(name, _RARE)}
    light = [name for name, names in own.items() if not (_is_by_name(name) and names & (libraries - wanted))]
    return [*sorted(wanted), *sorted(light)]


def _is_in(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these packages, or in one."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _is_by_name(module: str) -> bool:
    return module.startswith(f"{_ARCHITECTURES}.")


def _source(module: str) -> Path | None:
    """The file of a module of ours; None of a name that is none."""
    stem = Path(foundationless.__path__[0]).parent / module.replace(".", "/")
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imported(path: Path) -> set[str]:
    """Names of every module that a file imports anywhere; of ours, what may be a module or a thing in one."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            if node.module.startswith("foundationless"):
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


class Worker:
    """Serves a socket until standard input ends, importing `modules` between two looks at it."""

    def __init__(self, path: Path, modules: Iterable[str] = ()) -> None:
        self.path = path
        self.usage = path.parent / "usage"
        self.modules = iter(list(modules))
        self.own_variables = dict(os.environ)
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.events = selectors.DefaultSelector()
        self.jobs: dict[int, tuple[int, int, socket.socket]] = {}  # descriptor: process, who asked, connection
        self.process = os.getpid()

    def serve(self) -> None:
        """Returns when there is nobody left to serve; raises `Forked` in the process of every job."""
        self.usage.mkdir(mode=0o700, exist_ok=True)
        self.listening.bind(str(self.path))
        self.listening.listen(1024)
        self.events.register(self.listening, selectors.EVENT_READ)
        self.events.register(0, selectors.EVENT_READ)
        for number in FORWARDED:
            signal.signal(number, signal.SIG_IGN)  # it ends with the process that started it
        os.write(1, READY)
        try:
            self._serve()
        finally:
            if os.getpid() == self.process:
                shutil.rmtree(self.path.parent, ignore_errors=True)

    def _serve(self) -> None:
        importing = alive = True
        while alive or self.jobs:
            for key, _ in self.events.select(0 if importing and alive else None):
                if key.fd == 0:
                    alive = alive and self._is_wanted()
                elif key.fileobj is self.listening:
                    self._accept()
                elif key.fd in self.jobs:
                    self._reap(key.fd)
                else:
                    self._hang_up(key.fd)
            if importing and alive:
                importing = self._import_next()

    def _is_wanted(self) -> bool:
        """Whether the process that started this one is there; if not, nobody can ask any more."""
        with suppress(BlockingIOError):
            if os.read(0, 1) == b"":
                self.events.unregister(0)
                self.events.unregister(self.listening)
                self.listening.close()
                self.path.unlink(missing_ok=True)
                return False
        return True

    def _import_next(self) -> bool:
        """Import one module more; False when there are none. What cannot be imported is left to the jobs."""
        name = next(self.modules, None)
        if name is None:
            gc.collect()
        else:
            with suppress(Exception):
                importlib.import_module(name)
        gc.freeze()  # else a job's search for garbage would write to, and so copy, all that it shares with this process
        return name is not None

    def _accept(self) -> None:
        connection, _ = self.listening.accept()
        connection.settimeout(10)  # a client sends its request at once
        try:
            job = self._read(connection)
        except (OSError, ValueError):
            connection.close()
            return
        if self._differs(job):
            _refuse(connection, job)
            return
        process = os.fork()
        if process == 0:
            self._become(job, connection)
        for stream in job.streams:
            os.close(stream)
        ends = os.pidfd_open(process)
        self.jobs[ends] = (process, job.parent, connection)
        self.events.register(ends, selectors.EVENT_READ)
        self.events.register(connection, selectors.EVENT_READ, ends)

    def _read(self, connection: socket.socket) -> Job:
        head, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
        try:
            while len(head) < LENGTH.size:
                head += _more(connection, LENGTH.size - len(head))
            (length,) = LENGTH.unpack(head)
            if length > _LARGEST or len(streams) != 3:
                raise ValueError("not a request")
            data = bytearray()
            while len(data) < length:
                data += _more(connection, length - len(data))
            said, directory, umask, parent, ignored, count, *rest = os.fsdecode(bytes(data)).split("\0")
            if said != identity():
                raise ValueError("another program")
            arguments, variables = rest[: int(count)], rest[int(count) :]
        except BaseException:
            for stream in streams:
                os.close(stream)
            raise
        return Job(
            directory,
            int(umask),
            int(parent),
            frozenset(map(int, ignored.split())),
            arguments,
            dict(each.split("=", 1) for each in variables),
            (streams[0], streams[1], streams[2]),
        )

    def _differs(self, job: Job) -> bool:
        """Whether a fork of this process would be another than a fresh one with these variables, as sources are now."""
        for name in self.own_variables.keys() | job.variables.keys():
            if name not in _FREE and self.own_variables.get(name) != job.variables.get(name):
                return True
        if len(os.listdir("/proc/self/task")) > 1:
            return True  # a library started a thread on import, and what it holds nobody would give back
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and _is_in(name, ("foundationless", "__main__")):
                with suppress(OSError):
                    if os.stat(file).st_mtime > _START:
                        return True  # edited since
        return False

    def _become(self, job: Job, connection: socket.socket) -> NoReturn:
        """In the process of a job: let go of what is the worker's, then leave by `Forked`."""
        self.events.close()
        self.listening.close()
        for ends, (_, _, other) in self.jobs.items():
            os.close(ends)
            other.close()
        raise Forked(lambda: _take_over(job, connection, self.process))

    def _reap(self, ends: int) -> None:
        """A job has ended: keep what it took, and tell its client how."""
        process, parent, connection = self.jobs.pop(ends)
        _, status, taken = os.wait4(process, 0)
        self.events.unregister(ends)
        os.close(ends)
        with suppress(KeyError, ValueError):
            self.events.unregister(connection)
        with suppress(OSError), open(self.usage / str(parent), "a") as stream:
            stream.write(f"{taken.ru_maxrss} {taken.ru_utime + taken.ru_stime:.3f}\n")
        with suppress(OSError):
            connection.sendall(ENDED + END.pack(status))
        connection.close()

    def _hang_up(self, number: int) -> None:
        """A client says nothing after its request; if it ends before its job, it was killed, and so is the job."""
        connection, ends = self._connection(number)
        with suppress(BlockingIOError, ConnectionError):
            if connection.recv(1, socket.MSG_DONTWAIT):
                return
        self.events.unregister(connection)
        if ends in self.jobs:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(ends, signal.SIGKILL)

    def _connection(self, number: int) -> tuple[socket.socket, int]:
        key = self.events.get_key(number)
        assert isinstance(key.fileobj, socket.socket)
        return key.fileobj, key.data


_START = time.time()


def _more(connection: socket.socket, number: int) -> bytes:
    data = connection.recv(min(number, 1 << 20))
    if not data:
        raise ValueError("a request that ends early")
    return data


def _refuse(connection: socket.socket, job: Job) -> None:
    for stream in job.streams:
        os.close(stream)
    with suppress(OSError):
        connection.sendall(REFUSED)
    connection.close()


def _take_over(job: Job, connection: socket.socket, worker: int) -> None:
    """Make this process what its client is: directory, variables, streams, signals; then say so."""
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN if number in job.ignored else signal.SIG_DFL)
    if signal.SIGINT not in job.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            stack.callback(connection.close)
            if _die_with_parent(worker) and not _is_cuda_lost():
                os.chdir(job.directory)
                os.umask(job.umask)
                os.environ.clear()
                os.environ.update(job.variables)
                time.tzset()
                tempfile.tempdir = None  # kept from an earlier look
                sys.argv[1:] = sys.orig_argv[3:] = job.arguments
                sys.path[0] = job.directory
                _set_threads(job.variables)
                _reseed()
                socket.send_fds(connection, [STARTED], [os.pidfd_open(os.getpid())])
                _set_streams(job.streams)
                return
            connection.sendall(REFUSED)
    except OSError:
        pass
    os._exit(1)


def _die_with_parent(worker: int) -> bool:
    """Have the kernel kill this process with the worker, which alone can tell of its end; False if that is gone."""
    import ctypes

    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == worker


def _is_cuda_lost() -> bool:
    """Whether a library asked a GPU something when it was imported: a fork could not use one."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda._is_in_bad_fork())


def _set_threads(variables: dict[str, str]) -> None:
    """Libraries that were loaded use as many threads as the variables say; others will read them."""
    if any(os.environ.get(name) != _AT_START.get(name) for name in THREADS) and "threadpoolctl" in sys.modules:
        number = variables.get("OMP_NUM_THREADS", "")
        sys.modules["threadpoolctl"].threadpool_limits(int(number) if number.isdigit() else os.cpu_count())


_AT_START = {name: os.environ.get(name) for name in THREADS}


def _reseed() -> None:
    """NumPy's global state comes from the system when it is imported; Python's own is renewed by the fork."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _set_streams(streams: Iterable[int]) -> None:
    """The client's streams, with the buffers and encodings of a fresh process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old = getattr(sys, f"__{name}__")
        raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115  (theirs to keep)
        new = io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=name == "stderr" or raw.isatty())
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def start_for(jobs: Mapping[str, int], package: Path) -> Path | None:
    """Start a worker (`start`) for so many jobs of each command, if any has several, and name it in the environment."""
    commands = [command for command, number in jobs.items() if number >= _SEVERAL]
    path = start(commands, package) if commands else None
    if path is not None:
        os.environ[VARIABLE] = str(path)
    return path


def start(commands: Iterable[str], package: Path) -> Path | None:
    """Start a worker for jobs of the process that calls; the path of its socket, or None where there can be none.

    `package` is the directory that jobs have as PYTHONPATH. The worker ends with this process, or at its exit.
    """
    python = shutil.which("python")  # as a job's shell finds it
    if sys.platform != "linux" or python is None or os.environ.get(VARIABLE) == "off":
        return None
    directory = Path(tempfile.mkdtemp(prefix="foundationless-"))
    path = directory / "socket"
    variables = os.environ | dict.fromkeys(THREADS, "1") | _NO_THREADS | {"PYTHONPATH": str(package)}
    command = [python, "-m", "foundationless", "worker", "--socket", str(path), "--commands", *commands]
    # A session of its own: what a terminal signals to all reaches a job through its client alone.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=variables,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    atexit.register(_end, process, directory)
    return path if process.stdout.readline() == READY else None


def get_usage(path: Path, parent: int | None) -> tuple[float, float] | None:
    """Peak memory (MiB, of one job) and processor seconds of the jobs of a shell since last asked; None of no job."""
    kept = path.parent / "usage" / str(parent)
    try:
        rows = [line.split() for line in kept.read_text().splitlines()]
        kept.unlink()
    except OSError:
        return None
    return max(int(memory) for memory, _ in rows) / 1024, sum(float(seconds) for _, seconds in rows)


def measuring(measure: Callable[..., Any], path: Path) -> Callable[..., Any]:
    """What Snakemake measures jobs with (`benchmarked(pid, record)`), and what forks of the worker took for them.

    It looks at a job's shell and what that started, which the forks are not.
    """

    @contextmanager
    def benchmarked(pid: int | None = None, *args: Any, **kwargs: Any) -> Iterator[Any]:
        get_usage(path, pid)  # of an older process with this number
        with measure(pid, *args, **kwargs) as record:
            yield record
        if taken := get_usage(path, pid):
            record.max_rss = max(record.max_rss or 0, taken[0])
            record.cpu_time += taken[1]
            record.cpu_usage = 100 * record.cpu_time  # in percent, times seconds
            record.data_collected = True
            record.max_vms = record.max_uss = record.max_pss = record.io_in = record.io_out = None  # nobody saw them

    return benchmarked


def _end(process: subprocess.Popen[bytes], directory: Path) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    shutil.rmtree(directory, ignore_errors=True)
