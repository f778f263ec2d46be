"""When a race of learning rates halves, and what it trains: successive halving. Standard library only.

Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization": all candidates
start, and at each rung, a number of epochs, the worse half stops. Here the last rung leaves one, and a learning-rate
schedule is that of all epochs, so that whoever is left goes on as it would have without the race.
"""

from collections.abc import Sequence

SHARE = 4  # the default race trains at most this part of the epochs of a full sweep, where one epoch a rate allows it


def default_rungs(epochs: int, rates: int) -> list[int]:
    """Epochs of the rungs: r, 2r, 4r, …, one for every halving of so many rates; of one rate the last epoch.

    r is the largest with which the race trains at most 1 / `SHARE` of a full sweep's epochs, and at least 1.
    """
    if rates == 1:
        return [epochs]
    halvings = rates.bit_length() - 1
    for first in range(epochs, 0, -1):
        made = cut_rungs([first * 2**place for place in range(halvings)], epochs)
        if first == 1 or SHARE * raced_epochs(epochs, rates, made) <= rates * epochs:
            return made
    return []


def cut_rungs(rungs: Sequence[int], epochs: int) -> list[int]:
    """Rungs in order, those beyond the last epoch at it."""
    return sorted({min(rung, epochs) for rung in rungs})


def survivors(candidates: int, place: int, rungs: int) -> int:
    """How many of the candidates at rung `place` (from 0) of so many go on: half, rounded down; of the last, one."""
    return 1 if place == rungs - 1 else max(1, candidates // 2)


def raced_epochs(epochs: int, rates: int, rungs: Sequence[int], extend: int = 0) -> int:
    """Epochs that a race of one fold trains at most, with `extend` rates that join it at the first rung."""
    left, done, total = rates + (extend if rates > 1 else 0), 0, 0
    for place, rung in enumerate(rungs):
        total += left * (rung - done)
        left, done = survivors(left, place, len(rungs)), rung
    return total + left * (epochs - done)
