"""The same work side by side: order, what is inherited, and what becomes of errors."""

import os
import signal
import time

import pytest

from foundationless.errors import UserError
from foundationless.runtime.processes import counted, map_forked


def late_first(number):
    time.sleep(0.2 if number == 0 else 0)
    return number, os.getpid()


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_things(processes):
    found = list(map_forked(late_first, range(6), processes, worth=0))
    assert [number for number, _ in found] == list(range(6))
    assert (len({process for _, process in found}) > 1) == (processes > 1)


def test_little_work_is_done_here_and_much_elsewhere():
    def work(seconds):
        time.sleep(seconds)
        return os.getpid()

    def here(*seconds, worth=0.5):
        return [process == os.getpid() for process in map_forked(work, seconds, 2, worth)]

    assert here(0, 0, 0, 0, 0, 0) == [True] * 6
    assert here(0.3, 0, 0, 0) == [True] * 4, "the first imports"
    assert here(0.6, 0.6, 0) == [True, False, False]
    assert here(0, 0.3, 0, 0) == [True, True, False, False]


def test_what_no_process_could_be_sent_is_inherited():
    lines = iter("ab")  # cannot be pickled

    def work(number):
        return number, next(lines) in "ab"

    assert list(map_forked(work, [1, 2], 2, worth=0)) == [(1, True), (2, True)]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_raised_here_and_ends_the_others(processes):
    def work(number):
        if number == 1:
            raise UserError("number 1 is broken.")
        time.sleep(0.05 if number == 0 else 30)

    began = time.monotonic()
    with pytest.raises(UserError, match="number 1 is broken"):
        list(map_forked(work, range(4), processes, worth=0))
    assert time.monotonic() - began < 20


def test_a_killed_process_is_a_sentence():
    def work(number):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(UserError, match="out of memory"):
        list(map_forked(work, range(2), 2, worth=0))


def test_each_result_is_counted(capsys):
    assert list(counted(["a", "b"], iter([1, 2]))) == [1, 2]
    assert capsys.readouterr().err == "1/2 a\n2/2 b\n"
    with pytest.raises(ValueError):
        list(counted(["a"], iter([1, 2])))
