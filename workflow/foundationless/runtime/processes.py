"""The same work on many things, side by side in forked processes, with results in the order of the things."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.runtime.signals import SIGNALS

WORTH = 5.0  # seconds of work that are worth other processes
T = TypeVar("T")
R = TypeVar("R")


def one_thread_each() -> None:
    """Keep linear algebra to one thread per process; only before NumPy is imported does it hear of it."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def map_forked(work: Callable[[T], R], things: Sequence[T], processes: int, worth: float = WORTH) -> Iterator[R]:
    """`work(thing)` for every thing, in their order, in up to `processes` processes that fork from this one.

    This process does the first things itself, and goes on as long as those that are left would take it less than
    `worth` seconds by the last one: forks import anew what the work imports, and copy what they touch. With one process
    it does all. Processes inherit `work` and the things, tables and all; only results are sent. What `work` raises is
    raised here, and ends the others. A process that the system kills is a `UserError`.
    """
    done, left = 0, 0.0
    # The first may only seem long, for it imports: where it took little all the same, the second tells.
    while done < len(things) and (min(processes, len(things) - done) <= 1 or left < worth):
        began = time.monotonic()
        result = work(things[done])
        last = time.monotonic() - began
        done += 1
        yield result
        left = 0.0 if done == 1 and last < worth else last * (len(things) - done)
    if done < len(things):
        yield from _fork(work, things[done:], processes)


def _fork(work: Callable[[T], R], things: Sequence[T], processes: int) -> Iterator[R]:
    context = multiprocessing.get_context("fork")
    _inherited[:] = [(work, thing) for thing in things]
    with ProcessPoolExecutor(min(processes, len(things)), context, _leave_signals_to_the_parent) as pool:
        try:
            yield from pool.map(_do, range(len(things)))
        except BrokenProcessPool:
            raise UserError(
                "a process was killed (often: out of memory); ask for fewer processes, or for more memory."
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise
        finally:
            _inherited.clear()


_inherited: list[tuple[Callable[..., Any], Any]] = []


def _do(place: int) -> Any:
    work, thing = _inherited[place]
    return work(thing)


def _leave_signals_to_the_parent() -> None:
    """A terminal or a cluster signals every process of a job; the parent ends its children."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def counted(names: Iterable[str], results: Iterable[R]) -> Iterator[R]:
    """`results`, and a line `3/52 NAME` in the log as each arrives."""
    every = list(names)
    for place, (name, result) in enumerate(zip(every, results, strict=True), 1):
        tell(f"{place}/{len(every)} {name}")
        yield result
