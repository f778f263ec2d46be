"""What one more decimal takes: against simulated studies of that size, limits that are known, and its own goal."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foundationless.evaluation.aggregate import weigh
from foundationless.evaluation.power.next_decimal import NOT_ALONE, SEEDS_ALONE, more_units, next_decimal


def test_seeds_alone_shrink_an_interval_of_seeds_by_the_textbook_rule():
    """Without noise of items S seeds of one arm have t(S − 1) · s / √S: the fewest by brute force."""
    se, seeds = 0.1, 5
    goal = stats.t.ppf(0.975, seeds - 1) * se / 10
    fewest = next(n for n in range(2, 10**4) if stats.t.ppf(0.975, n - 1) * se * math.sqrt(seeds / n) <= goal)
    assert next_decimal(se, seeds - 1, se, seeds) == (SEEDS_ALONE, fewest, 1)


def test_where_nothing_is_drawn_a_hundred_times_the_items_do_it():
    how, seeds, times = next_decimal(0.03, math.inf, 0.0, math.nan)
    assert how == NOT_ALONE and math.isnan(seeds) and times == pytest.approx(100)


@pytest.mark.parametrize("families", [math.inf, 6])
def test_no_number_of_seeds_is_said_where_items_or_families_are_too_wide_alone(families):
    df = math.inf if math.isinf(families) else families - 1
    assert next_decimal(0.1, df, 0.05, 3, families).how == NOT_ALONE


def test_more_families_are_the_fewest_whose_t_interval_is_narrow_enough():
    times = more_units(4)
    half = {n: stats.t.ppf(0.975, n - 1) / math.sqrt(n) for n in range(2, 2000)}
    assert times == next(n for n in half if half[n] <= half[4] / 10) / 4
    assert next_decimal(0.1, 3, 0.0, math.nan, 4).times == times
    assert math.isnan(more_units(1)) and math.isnan(more_units(math.nan))


@pytest.mark.parametrize(
    "evidence",
    [(math.nan, math.nan, 0.0, 3), (0.1, math.inf, 0.0, 1), (0.0, math.inf, 0.0, math.nan), (0.1, 0, 0.0, 3, 1)],
)
def test_without_an_interval_or_with_one_seed_nothing_is_known(evidence):
    assert next_decimal(*evidence).how == "" and all(map(math.isnan, next_decimal(*evidence)[1:]))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1e-4, 0.3), st.floats(0, 0.3), st.integers(2, 12),
    st.one_of(st.just(math.inf), st.integers(2, 30)),
)  # fmt: skip
def test_it_reaches_its_goal_and_with_fewer_seeds_does_not(noise, rest, seeds, families):
    se, most = math.hypot(noise, rest), families - 1
    free = noise**4 / (seeds - 1) + rest**4 / most
    df = min(se**4 / free, most)
    goal = stats.t.ppf(0.975, df) * se / 10
    how, wanted, times = next_decimal(se, df, noise, seeds, families)

    def half(number):
        a, b, last = noise**2 * seeds / number, rest**2 / times, families * times - 1
        return stats.t.ppf(0.975, min((a + b) ** 2 / (a**2 / (number - 1) + b**2 / last), last)) * math.sqrt(a + b)

    assert wanted >= seeds and times >= 1 and (how == SEEDS_ALONE) == (times == 1)
    assert half(wanted) <= goal * (1 + 1e-9)
    assert wanted == seeds or half(wanted - 1) > goal * (1 - 1e-9)


def test_a_simulated_study_of_that_size_has_an_interval_a_tenth_as_wide():
    """Two arms of 8 tasks, seeds and items as measured by `weigh`; the truth behind both studies is one."""
    generator, tasks, now = np.random.default_rng(0), 8, 6
    sd_seed, se_item = 0.05, 0.003

    def width(seeds, number):
        halves = []
        for _ in range(number):
            arms = [generator.normal(0, sd_seed, (1, seeds)) + np.zeros((tasks, seeds)) for _ in range(2)]
            items = np.full(tasks, se_item)
            deltas = arms[0].mean(axis=1) - arms[1].mean(axis=1) + generator.normal(0, items)
            found = weigh(deltas, items, arms, list(range(tasks)), scope="these")
            halves.append((found.high - found.low) / 2)
        return float(np.mean(halves))

    variance = 2 * sd_seed**2 / now
    se, noise = math.sqrt(variance + se_item**2 / tasks), math.sqrt(variance)
    how, wanted, _ = next_decimal(se, 2 * (now - 1), noise, now)
    assert how == SEEDS_ALONE
    assert width(int(wanted), 40) == pytest.approx(width(now, 400) / 10, rel=0.08)
