"""What ends a job from outside: SIGTERM, and SIGUSR1, which a cluster sends some time before the limit (`--signal`).

Both mean the same: keep what was computed and leave. A job that kept it exits with `STATUS`, and the same command
continues it. SIGINT stays KeyboardInterrupt.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
STATUS = 128 + signal.SIGTERM  # 143: the exit status of a job that was interrupted, whichever signal it was


@dataclass
class Flag:
    """An event without the lock of `threading.Event`, at which a second signal inside the handler waits for ever."""

    raised: bool = False

    def set(self) -> None:
        """Raise it."""
        self.raised = True

    def is_set(self) -> bool:
        """Whether it was raised."""
        return self.raised


@contextmanager
def termination() -> Iterator[Flag]:
    """Inside, SIGTERM and SIGUSR1 only set the yielded flag, so that a loop can finish its step and keep a checkpoint.

    A loop must look at the flag at every step: a cluster kills what has not left within seconds (30 by default).
    Outside the main thread, which alone may handle signals, the flag is never set.
    """
    flag = Flag()
    with _handling(lambda *_: flag.set()):
        yield flag


@contextmanager
def orderly_exit() -> Iterator[None]:
    """Inside, SIGTERM and SIGUSR1 raise `SystemExit(STATUS)`, so that temporary files are removed on the way out.

    Later ones are ignored: a second must not cut short the cleaning up that the first one began.
    """

    def leave(*_: Any) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(STATUS)

    with _handling(leave):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
