"""Error spending: boundaries that are published, a level that is held, p values that mean what they say."""

import importlib.util

import numpy as np
import pytest
from scipy import stats

from foundationless.errors import UserError
from foundationless.evaluation.aggregate import weigh
from foundationless.evaluation.spending import SPENT, Looks, below, boundaries, spent
from support import ROOT

# Two-sided 5 %, O'Brien-Fleming-like spending at equal steps: ldbounds and gsDesign (sfLDOF).
PUBLISHED = {2: [2.9626, 1.9686], 3: [3.7103, 2.5114, 1.9930], 5: [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]}


@pytest.mark.parametrize("looks", PUBLISHED)
def test_boundaries_are_the_published_ones(looks):
    shares = [look / looks for look in range(1, looks + 1)]
    assert boundaries(0.025, shares) == pytest.approx(PUBLISHED[looks], abs=2e-4)


def test_boundaries_agree_with_the_multivariate_normal_distribution():
    shares = [0.3, 0.55, 1.0]
    bounds = boundaries(0.025, shares)
    correlation = [[np.sqrt(min(a, b) / max(a, b)) for b in shares] for a in shares]
    stays = stats.multivariate_normal(cov=correlation, allow_singular=True, abseps=1e-9, releps=1e-9).cdf(bounds)
    assert 1 - stays == pytest.approx(0.025, abs=2e-6) and spent(0.025, 1.0) == pytest.approx(0.025)


@pytest.mark.parametrize("now", range(3, 11))
@pytest.mark.parametrize("level", [0.001, 0.05, 0.4])
def test_a_repeated_p_value_is_the_level_whose_boundary_it_lies_on(now, level):
    looks = Looks(3, 10, now)
    bound = boundaries(level * SPENT / 2, looks.shares)[-1]
    assert looks.repeated(2 * stats.norm.sf(bound)) == pytest.approx(level, rel=2e-3)
    one_sided = boundaries(level * SPENT, looks.shares)[-1]
    assert looks.repeated_one_sided(stats.norm.sf(one_sided)) == pytest.approx(level, rel=2e-3)


def test_repeated_p_values_rise_with_p_and_keep_what_is_not_known():
    ps = np.array([0.0, 1e-12, 1e-4, 0.01, 0.2, 0.9, 1.0, np.nan])
    for now in (3, 6, 10):
        found = Looks(3, 10, now).repeated(ps)
        assert (np.diff(found[:-1]) >= 0).all() and np.isnan(found[-1]) and found[-2] == 1.0
        assert (found[1:-1] >= ps[1:-1] - 1e-9).all(), "no look is cheaper than a single test"
    with pytest.raises(UserError, match="2 seeds do not lie between 3 and 10"):
        Looks(3, 10, 2)


# ---- p values of few seeds


def arms(first, second):
    return [np.array([first], dtype=float), np.array([second], dtype=float)]


def test_p_values_are_those_of_t_where_one_part_is_all_of_the_variance_and_between_them_otherwise():
    fixed, moving = [0.5, 0.5, 0.5], [0.60, 0.75, 0.72]
    delta = np.mean(fixed) - np.mean(moving)
    seeds = weigh([delta], [0.0], arms(fixed, moving), ["a"], scope="these")
    assert 2 * below(seeds, delta) == pytest.approx(2 * stats.t.cdf(delta / seeds.se, 4 / 2), rel=1e-6)
    items = weigh([delta], [0.05], [], ["a"], scope="these")
    assert 2 * below(items, delta) == pytest.approx(2 * stats.norm.cdf(delta / 0.05), rel=1e-6)
    both = weigh([delta], [0.05], arms(fixed, moving), ["a"], scope="these")
    p = float(below(both, delta))
    share = both.se_seeds**2 / both.se**2
    critical = share * stats.t.isf(p, 2) + (1 - share) * stats.norm.isf(p)  # Cochran and Cox (1950)
    assert critical == pytest.approx(-delta / both.se, rel=1e-6)
    assert p > both.p / 2, "more careful than Satterthwaite's approximation"
    assert below(both, -delta) == pytest.approx(1 - p) and below(both, 0.0) == pytest.approx(0.5)


def test_families_that_are_drawn_have_degrees_of_freedom_of_their_own():
    values = [[0.1, 0.3, 0.2, 0.25]]
    found = weigh(values, [[0.01] * 4], [], list("abcd"), scope="like-these")
    expected = stats.ttest_1samp(values[0], 0).pvalue
    assert 2 * below(found, -found.delta) == pytest.approx([expected], rel=1e-6)


def test_what_is_not_known_stays_so_and_no_error_is_certainty():
    unknown = weigh([0.1], [np.nan], [], ["a"], scope="these")
    assert np.isnan(Looks(3, 4, 3).p(unknown)) and np.isnan(Looks(3, 4, 3).p_tost(unknown, 0.02))
    nothing = weigh([], [], [], [], scope="these")
    assert np.isnan(Looks(3, 4, 3).p(nothing))
    sure = weigh([0.1], [0.0], [], ["a"], scope="these")
    assert Looks(3, 4, 3).p(sure) < 1e-12 and Looks(3, 4, 3).p_tost(sure, 0.2) < 1e-12
    assert Looks(3, 4, 3).p_tost(sure, 0.05) == 1


# ---- what the rule promises


@pytest.fixture(scope="module")
def seeds():
    spec = importlib.util.spec_from_file_location("seeds", ROOT / "tests/benchmarks/seeds.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests/benchmarks")
        spec.loader.exec_module(module)
    return module


def test_studies_with_looks_err_no_more_than_five_percent_in_the_worst_of_mixes(seeds):
    for first, last in seeds.WORST_LOOKS:
        study = seeds.Study(seeds.worst(0.0), 1, first, last, second=0.3, margin=0.0)
        words, _ = seeds.simulate(study, 0.0, 4000)
        assert seeds.false_alarms(words, 0.0, study.margin) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_studies_with_looks_save_seeds(seeds):
    words, ended = seeds.simulate(seeds.STUDIES["seeds and items"], 0.06, 1000)
    assert np.mean(words == "better") > 0.95 and ended.mean() < 6.5
