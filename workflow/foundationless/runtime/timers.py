"""A timer that is asked again and again and rings once."""

import threading
from collections.abc import Callable
from typing import Any


class OneTimer:
    """Calls `call` once after a delay, however often it is asked meanwhile, in a thread that no exit waits for."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call, self._pending, self._lock = call, False, threading.Lock()

    def __call__(self, delay: float) -> None:
        """Ring `delay` seconds from now; nothing where a ring is to come."""
        with self._lock:
            if self._pending:
                return
            self._pending = True
        timer = threading.Timer(delay, self._ring)
        timer.daemon = True
        timer.start()

    def _ring(self) -> None:
        with self._lock:
            self._pending = False  # first: who asks during the call asks for another
        self._call()
