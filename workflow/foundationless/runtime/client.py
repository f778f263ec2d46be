"""A job as the client of a local worker (`runtime.worker`): it asks the worker to do what it was started for.

Read before anything else is imported: a client is there for milliseconds. Where no worker takes the job, `ask` returns
and the process does it by itself, without a word.
"""

import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from types import FrameType

import foundationless

VARIABLE = "FOUNDATIONLESS_WORKER"  # path of the worker's socket; "off" or nothing: every job is a process of its own
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT)
REFUSED, STARTED, ENDED = b"R", b"S", b"E"
END = struct.Struct("<i")  # the wait status of a job
LENGTH = struct.Struct("<Q")  # bytes of a request


def identity() -> str:
    """What worker and client must have in common to be the same program."""
    return "\n".join((sys.version, sys.prefix, sys.base_prefix, foundationless.__version__, *foundationless.__path__))


def ask() -> None:
    """Have the worker run this command and exit as it did; return where no worker does."""
    path = os.environ.get(VARIABLE, "off")
    if path in ("", "off") or sys.platform != "linux" or sys.argv[1:2] == ["worker"]:
        return
    if sys.orig_argv[1:3] != ["-m", "foundationless"]:
        return  # started in another way, or with options of Python
    if any(stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return  # closed by `<&-`: nothing to hand on
    relay = _Relay()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            _send(connection, relay.ignored)
            status = _wait(connection, relay)
    except OSError:
        status = None  # nobody there, or no more
    finally:
        relay.close()
    if status is not None:
        _exit_like(status)
    if relay.child is not None:
        # The worker died over the job, and the job with it: as if this process had been killed.
        _exit_like(signal.SIGKILL)
    for number in relay.pending:  # the handlers are Python's own again
        os.kill(os.getpid(), number)


class _Relay:
    """Hands signals on to the job, or keeps them until there is one."""

    def __init__(self) -> None:
        self.child: int | None = None  # a descriptor of the job's process, which means no other when it has ended
        self.pending: list[int] = []
        self.ignored = [number for number in FORWARDED if signal.getsignal(number) == signal.SIG_IGN]
        caught = [number for number in FORWARDED if number not in self.ignored]
        self._previous = {number: signal.signal(number, self._take) for number in caught}

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.child is None:
            self.pending.append(number)
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        stopped = number == signal.SIGTSTP  # the job has no terminal that could stop it
        try:
            assert self.child is not None
            signal.pidfd_send_signal(self.child, signal.SIGSTOP if stopped else number)
        except OSError:
            return  # it has ended
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)

    def begin(self, child: int) -> None:
        """From now on there is a job; it gets what came before it."""
        self.child = child
        while self.pending:
            self._pass_on(self.pending.pop(0))

    def close(self) -> None:
        """Give the handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _send(connection: socket.socket, ignored: Sequence[int]) -> None:
    """The request: texts without NUL, for neither arguments nor variables can have one, and the three streams."""
    mask = os.umask(0o77)
    os.umask(mask)
    facts = [identity(), os.getcwd(), str(mask), str(os.getppid()), " ".join(map(str, map(int, ignored)))]
    arguments = sys.argv[1:]
    variables = [f"{name}={value}" for name, value in os.environ.items()]
    data = os.fsencode("\0".join((*facts, str(len(arguments)), *arguments, *variables)))
    head = LENGTH.pack(len(data))
    socket.send_fds(connection, [head], [0, 1, 2])
    connection.sendall(data)


def _wait(connection: socket.socket, relay: _Relay) -> int | None:
    """The wait status of the job; None if it was refused, or if the worker died."""
    word, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    if word != STARTED or not descriptors:
        return None
    relay.begin(descriptors[0])
    said = b""
    while len(said) < END.size + 1:
        more = connection.recv(END.size + 1 - len(said))
        if not more:
            return None
        said += more
    return int(END.unpack(said[1:])[0])


def _exit_like(status: int) -> None:
    """End this process as the job ended: by its exit code, or by the signal that killed it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))
