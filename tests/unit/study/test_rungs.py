"""When a race halves, and what it costs."""

import pytest

from foundationless.study.rungs import cut_rungs, default_rungs, raced_epochs, survivors


def walked(epochs, rates, rungs, extend):
    """(Epochs, runs left) of a race, counted run by run; the first are the best."""
    left, trained = list(range(rates + (extend if rates > 1 else 0))), {}
    for place, rung in enumerate(rungs):
        trained |= dict.fromkeys(left, rung)
        left = left[: survivors(len(left), place, len(rungs))]
    trained |= dict.fromkeys(left, epochs)
    return sum(trained.values()), left


@pytest.mark.parametrize("rates", range(1, 13))
@pytest.mark.parametrize("epochs", [1, 2, 4, 7, 16, 100])
@pytest.mark.parametrize("extend", [0, 2])
def test_a_race_costs_what_its_runs_train_and_leaves_one(rates, epochs, extend):
    rungs = default_rungs(epochs, rates)
    assert rungs == sorted(set(rungs)) and min(rungs) > 0 and max(rungs) <= epochs
    total, left = walked(epochs, rates, rungs, extend)
    assert len(left) == 1 and total == raced_epochs(epochs, rates, rungs, extend)
    assert total <= (rates + extend) * epochs


def test_the_default_is_the_longest_race_within_a_quarter():
    assert default_rungs(100, 6) == [7, 14] and raced_epochs(100, 6, [7, 14]) <= 150 < raced_epochs(100, 6, [8, 16])
    assert default_rungs(16, 6) == [1, 2] and raced_epochs(16, 6, [1, 2]) == 23
    assert default_rungs(16, 4) == [1, 2], "four rates cannot be searched at a quarter; one epoch is the least"


def test_rungs_beyond_the_epochs_are_at_their_end():
    assert cut_rungs([8, 2, 40], 4) == [2, 4]
