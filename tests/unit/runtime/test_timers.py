"""A timer that is asked again and again and rings once."""

import threading
import time

from foundationless.runtime.timers import OneTimer


def timers() -> int:
    return sum(isinstance(each, threading.Timer) for each in threading.enumerate())


def test_it_rings_once_however_often_it_is_asked_and_again_when_asked_again():
    rings = []
    timer = OneTimer(lambda: rings.append(time.monotonic()))
    before = timers()
    began = time.monotonic()
    for _ in range(50):
        timer(0.3)
    assert timers() == before + 1
    time.sleep(0.6)
    assert len(rings) == 1 and rings[0] - began >= 0.3
    timer(0.1)
    time.sleep(0.4)
    assert len(rings) == 2 and timers() == before


def test_who_asks_while_it_rings_is_heard():
    rings = []

    def ring():
        rings.append(None)
        if len(rings) < 3:
            timer(0.01)

    timer = OneTimer(ring)
    timer(0.01)
    time.sleep(0.5)
    assert len(rings) == 3


def test_no_exit_waits_for_it():
    timer = OneTimer(list)
    timer(0.2)
    assert all(each.daemon for each in threading.enumerate() if isinstance(each, threading.Timer))
