"""Error spending: boundaries that are published, a level that is held, p values that mean what they say."""

import importlib.util

import numpy as np
import pytest
from scipy import stats

from foundationless.errors import UserError
from foundationless.evaluation.spending import Looks, boundaries, spent
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
    bound = boundaries(level / 2, looks.shares)[-1]
    assert looks.repeated(2 * stats.norm.sf(bound)) == pytest.approx(level, rel=2e-3)
    one_sided = boundaries(level, looks.shares)[-1]
    assert looks.repeated_one_sided(stats.norm.sf(one_sided)) == pytest.approx(level, rel=2e-3)


def test_repeated_p_values_rise_with_p_and_keep_what_is_not_known():
    ps = np.array([0.0, 1e-12, 1e-4, 0.01, 0.2, 0.9, 1.0, np.nan])
    for now in (3, 6, 10):
        found = Looks(3, 10, now).repeated(ps)
        assert (np.diff(found[:-1]) >= 0).all() and np.isnan(found[-1]) and found[-2] == 1.0
        assert (found[1:-1] >= ps[1:-1] - 1e-9).all(), "no look is cheaper than a single test"
    with pytest.raises(UserError, match="2 seeds do not lie between 3 and 10"):
        Looks(3, 10, 2)


def test_studies_with_looks_err_no_more_than_five_percent_and_save_seeds(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests/benchmarks")
    spec = importlib.util.spec_from_file_location("seeds", ROOT / "tests/benchmarks/seeds.py")
    seeds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeds)
    for components, tasks in seeds.CASES.values():
        for truth in (0.0, seeds.MARGIN):
            words, _ = seeds.simulate(components, tasks, truth, 2000)
            assert seeds.false_alarms(words, truth) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    words, ended = seeds.simulate(*seeds.CASES["seeds and items"], 0.06, 500)
    assert np.mean(words == "better") > 0.95 and ended.mean() < 6
