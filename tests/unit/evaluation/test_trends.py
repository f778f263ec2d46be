"""Curves over sizes: known power laws are found again, intervals cover, rows worth are those of planted curves."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

from foundationless.evaluation.bootstrap import Estimate
from foundationless.evaluation.trends.points import LAYERS, ROWS, STEPS, WIDTH, Point, find_points, shared_tasks
from foundationless.evaluation.trends.power_laws import EXPONENTS, fit_power_laws
from foundationless.evaluation.trends.rows_worth import rows_needed, rows_worth
from foundationless.evaluation.trends.tables import curves_of, scaling_fits, worth_of_rows
from foundationless.study.names import underived

SIZES = np.array([100.0, 300.0, 1000.0, 3000.0, 10000.0])
SD = np.array([0.02, 0.015, 0.01, 0.01, 0.005])


def law(n, a, b, c):
    return a + b * n**-c


def test_a_power_law_is_found_exactly_whatever_the_units_of_its_sizes():
    for a, b, c in ((0.1, 2.0, 0.5), (0.0, 1.0, 0.2), (0.3, 40.0, 1.2)):
        for unit in (1.0, 1e-3):
            found = fit_power_laws(SIZES * unit, law(SIZES, a, b, c))
            assert [found.a, found.b, found.c] == pytest.approx([a, b * unit**c, c], rel=2e-3, abs=2e-4)
            assert found.rmse < 1e-5 and found.at(SIZES * unit) == pytest.approx(law(SIZES, a, b, c), abs=1e-5)


def test_fits_of_noisy_curves_are_those_of_scipy():
    """The loss is never above that of `curve_fit` with the same weights and bounds, and where c is inside, so is c."""
    rng = np.random.default_rng(0)
    curves = law(SIZES, 0.1, 2.0, 0.45) + SD * rng.normal(size=(25, 5))
    found = fit_power_laws(SIZES, curves, SD)
    for place, errors in enumerate(curves):
        bounds = ([0, 0, EXPONENTS[0]], [np.inf, np.inf, EXPONENTS[1]])
        theirs, _ = curve_fit(law, SIZES, errors, (0.1, 1.0, 0.5), sigma=SD, bounds=bounds, max_nfev=10_000)
        ours = found.a[place], found.b[place], found.c[place]
        losses = [(((errors - law(SIZES, *numbers)) / SD) ** 2).sum() for numbers in (ours, theirs)]
        assert losses[0] <= losses[1] * (1 + 1e-5)
        if losses[1] <= losses[0] * (1 + 1e-5) and ours[0] > 0:
            assert ours[2] == pytest.approx(theirs[2], rel=0.02)


def test_fits_at_a_bound_say_so_and_too_few_sizes_are_refused():
    assert fit_power_laws(SIZES, law(SIZES, 0.1, 2.0, 0.5)).bounds == []
    assert "a at 0" in fit_power_laws(SIZES, law(SIZES, 0.0, 2.0, 0.5) - 0.01).bounds
    assert fit_power_laws(SIZES, [0.1, 0.2, 0.3, 0.4, 0.5]).bounds == ["no decrease: b at 0, c is not defined"]
    assert f"c at {EXPONENTS[1]:g}" in fit_power_laws(SIZES, [0.9, 0.1, 0.1, 0.1, 0.1]).bounds
    with pytest.raises(ValueError, match="3 sizes"):
        fit_power_laws([1, 2, 2, 3], [0.4, 0.3, 0.3, 0.2])
    assert np.isnan(fit_power_laws(SIZES, [0.5, np.nan, 0.3, 0.2, 0.1]).c)


def point(axis, init, size, value, replicates, task="t", model="m.demo", seeds=3):
    estimate = Estimate(value, 0, 1, None, replicates)
    return Point(axis, task, model, init, "accuracy", "validation", size, estimate, seeds)


def test_intervals_of_fits_cover_the_truth():
    """Scores with noise of known size, replicates with as much: 95 % intervals hold a and c in most of 60 studies."""
    rng, truth, held = np.random.default_rng(1), (0.1, 3.0, 0.5), []
    sd = 0.3 * SD
    for _ in range(60):
        scores = 1 - law(SIZES, *truth) + sd * rng.normal(size=5)
        drawn = scores + sd * rng.normal(size=(200, 5))
        points = [point(ROWS, "random", *one) for one in zip(SIZES, scores, drawn.T, strict=True)]
        row = scaling_fits("lowdata", curves_of(points)).iloc[0]
        ends = [(row[f"{name}_low"], row[f"{name}_high"]) for name in "abc"]
        held.append([low <= true <= high for (low, high), true in zip(ends, truth, strict=True)])
    assert np.mean(held, axis=0).min() > 0.87  # of 60 at 95 %: below 0.87 in one of 500


def test_a_curve_of_few_sizes_has_a_row_that_says_so_and_draws_of_a_size_are_one():
    flat = np.zeros(10)
    points = [point(ROWS, "random", size, 0.6, flat + 0.6) for size in (10, 10, 50, 100)]
    row = scaling_fits("lowdata", curves_of(points)).iloc[0]
    assert row["points"] == 3 and np.isnan(row["c"]) and row["flag"] == "no fit: 3 sizes, and three numbers need 4"
    assert curves_of(points[:2]) == {} and scaling_fits("lowdata", {}).empty


@pytest.mark.parametrize(
    ("score", "rows"),
    [(0.5, -np.inf), (0.6, 10.0), (0.65, 10**1.5), (0.7, 100.0), (0.75, 10**2.5), (0.8, 1000.0), (0.81, np.inf)],
)
def test_rows_needed_are_read_off_the_curve_over_the_logarithm(score, rows):
    assert rows_needed([10, 100, 1000], [0.6, 0.7, 0.8], score) == pytest.approx(rows)


def test_a_curve_that_falls_is_made_monotone_and_the_fewest_rows_count():
    assert rows_needed([10, 100, 1000], [0.6, 0.8, 0.7], 0.75) == pytest.approx(100)  # 0.75 from 100 rows on
    assert np.isinf(rows_needed([10, 100, 1000], [0.6, 0.8, 0.7], 0.78))
    assert np.isnan(rows_needed([10, 100], [0.6, np.nan], 0.7))


def test_an_interval_of_rows_worth_covers_and_says_where_it_ends():
    rng, held = np.random.default_rng(2), []
    true = 0.6 + 0.1 * np.log10([1, 10, 100])  # a score of 0.68 is worth 10^1.8 rows
    for _ in range(150):
        curve, score = true + 0.01 * rng.normal(size=3), 0.68 + 0.01 * rng.normal()
        replicates = curve + 0.01 * rng.normal(size=(150, 3)), score + 0.01 * rng.normal(size=150)
        worth = rows_worth([10, 100, 1000], curve, score, *replicates)
        held.append(worth.low <= 10**1.8 <= worth.high)
    assert 0.9 < np.mean(held) <= 1.0
    sure = rows_worth([10, 100], [0.6, 0.7], 0.9, np.full((50, 2), [0.6, 0.7]), np.full(50, 0.9))
    assert sure.words() == "more than 100"
    open_above = rows_worth([10, 100], [0.6, 0.7], 0.65, np.full((100, 2), [0.6, 0.7]), np.linspace(0.61, 0.75, 100))
    assert open_above.words() == "32 (13 to more than 100)" and np.isinf(open_above.high)


def test_rows_worth_of_a_planted_saving_of_four_times_the_rows():
    """The pretrained arm scores with n rows what the random one scores with 4 n; lower is better for an error."""
    sizes, flat = [25.0, 100.0, 400.0], np.zeros(20)
    scores = {"random": [0.6, 0.7, 0.8], "pretrained": [0.7, 0.8, 0.85]}
    points = [point(ROWS, init, *one, flat + one[1]) for init, mine in scores.items()
              for one in zip(sizes, mine, strict=True)]  # fmt: skip
    found = worth_of_rows("lowdata", curves_of(points)).set_index("rows")
    assert found["ratio"].tolist() == pytest.approx([4.0, 4.0, np.inf])
    assert found["said"].tolist() == ["100", "400", "more than 400"]
    assert found["censored"].tolist() == ["", "", "value low high"]
    assert found.loc[25.0, "value_random"] == pytest.approx(0.6)
    assert worth_of_rows("lowdata", curves_of([one for one in points if one.init == "random"])).empty


def test_names_say_which_arms_lie_on_a_curve():
    tasks = ["H3", "H3.pct10", "H3.pct10d1", "H4", "H3.ep30", "H5.pct5.ep30", "H5.ep30", "H5.shot5"]
    assert shared_tasks(tasks) == {"H3", "H3.pct10", "H3.pct10d1", "H5.pct5.ep30", "H5.ep30"}
    assert underived("H5.pct5d2.ep30") == "H5.ep30"


class Results:
    """As much of `TaskResults` as points need."""

    seed = 1

    def __init__(self, task, arms):
        self.order, self.task = arms, task

    @property
    def cells(self):
        return self.of(None)

    def of(self, _):
        rows = {"fold0": [90, 10, 20], "fold1": [110, 10, 20]}
        return [type("Cell", (), {"record": {"task": self.task, "settings": {"rows": rows}}})]


def test_points_have_the_size_of_their_axis_and_seeds_are_drawn_once_for_all_shares(arm):
    arms = [("m.demo", "random"), ("m.demo.w16", "random"), ("m.demo.w64", "random"), ("m.demo.l2", "random"),
            ("m.demo", "step10"), ("m.demo", "step100")]  # fmt: skip
    scored = {"validation": {name: arm for name in arms}}
    found = find_points(Results("H3.pct10", arms), scored, "accuracy", {"H3.pct10"})
    places = {(point.axis, point.model, point.init): [] for point in found}
    for point_ in found:
        places[point_.axis, point_.model, point_.init].append((point_.task, point_.size))
    assert places[ROWS, "m.demo", "random"] == [("H3", 100.0)]
    assert places[WIDTH, "m.demo", "random"] == [("H3.pct10", 16.0), ("H3.pct10", 64.0)]
    assert places[STEPS, "m.demo", "step"] == [("H3.pct10", 10.0), ("H3.pct10", 100.0)]
    assert not any(axis == LAYERS for axis, *_ in places)  # one depth is no curve
    other = find_points(Results("H3", arms[:1]), {"validation": {arms[0]: arm}}, "accuracy", {"H3"})[0]
    assert np.array_equal(other.estimate.replicates, found[0].estimate.replicates)
    wide = [one.estimate.replicates for one in found if one.axis == WIDTH]
    assert not np.array_equal(*wide)


@pytest.fixture
def arm():
    from foundationless.evaluation.bootstrap import Arm

    points = np.random.default_rng(0).normal(0.7, 0.05, size=3)
    return Arm(points, np.repeat(points[:, None], 50, axis=1), np.arange(3))


def test_columns_are_declared():
    from foundationless.evaluation.diagnostics import COLUMNS

    assert [*scaling_fits("a", {})] == COLUMNS["scaling_fits"] and [*worth_of_rows("a", {})] == COLUMNS["rows_worth"]
    assert isinstance(scaling_fits("a", {}), pd.DataFrame)
