"""McNemar's, DeLong's and the corrected t test agree with counting, jackknife and baycomp, and keep their level."""

import itertools

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from foundationless.errors import UserError
from foundationless.evaluation import paired_tests


def make_pair(generator, n, rates=(0.8, 0.8)):
    truth = generator.integers(3, size=n).astype(str)
    arms = [np.where(generator.random(n) < rate, truth, "none") for rate in rates]
    return truth, *arms


def test_mcnemar_counts_the_signs_of_discordant_items():
    """Under the null every discordant item falls either way: all 2^d ways are counted."""
    generator = np.random.default_rng(0)
    truth, one, two = make_pair(generator, 22, (0.9, 0.6))
    signs = (one == truth).astype(int) - (two == truth).astype(int)
    discordant = int(np.abs(signs).sum())
    totals = np.array([sum(way) for way in itertools.product((-1, 1), repeat=discordant)])
    assert 5 <= discordant <= 15
    assert paired_tests.mcnemar(truth, one, two) == pytest.approx(np.mean(np.abs(totals) >= abs(signs.sum())))
    assert paired_tests.mcnemar(truth, one, two) == paired_tests.mcnemar(truth, two, one)
    assert paired_tests.mcnemar(truth, one, one) == 1


@pytest.mark.parametrize("items", [1, 3, 30, 3000])
def test_mcnemar_is_that_of_statsmodels(items):
    from statsmodels.stats.contingency_tables import mcnemar

    generator = np.random.default_rng(items)
    for rates in ((0.8, 0.8), (0.9, 0.7), (0.0, 0.2)):
        truth, one, two = make_pair(generator, items, rates)
        table = [[((one == truth) == a)[(two == truth) == b].sum() for b in (True, False)] for a in (True, False)]
        assert paired_tests.mcnemar(truth, one, two) == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)


def test_mcnemar_keeps_its_level():
    generator = np.random.default_rng(1)
    ps = np.array([paired_tests.mcnemar(*make_pair(generator, 100)) for _ in range(800)])
    for level in (0.05, 0.2):
        assert np.mean(ps <= level) <= level + 4 * np.sqrt(level * (1 - level) / 800)


def make_scores(generator, n, correlation=0.6, gains=(1.0, 1.0)):
    labels = np.tile([True, False], n // 2)
    noise = generator.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=n).T
    return labels, *(noise + np.outer(gains, labels))


def test_delong_is_the_jackknife_over_positives_and_negatives():
    """The variance of DeLong et al. is the two-sample jackknife of the difference (Arvesen 1969)."""
    labels, one, two = make_scores(np.random.default_rng(2), 60, gains=(1.0, 0.6))
    one, two = np.round(one, 1), np.round(two, 1)  # with ties

    def difference(rows):
        return sk.roc_auc_score(labels[rows], one[rows]) - sk.roc_auc_score(labels[rows], two[rows])

    everything = np.arange(60)
    variance = 0.0
    for kind in (labels, ~labels):
        left = np.array([difference(np.delete(everything, i)) for i in np.flatnonzero(kind)])
        m = len(left)
        variance += (m - 1) / m * ((left - left.mean()) ** 2).sum()
    found, se, p = paired_tests.delong(labels, one, two)
    assert found == pytest.approx(difference(everything))
    assert se == pytest.approx(np.sqrt(variance))
    assert p == pytest.approx(2 * scipy.stats.norm.sf(abs(found) / se))


def test_delong_keeps_its_level():
    generator = np.random.default_rng(3)
    rejected = []
    for _ in range(400):
        labels, one, two = make_scores(generator, 120)
        rejected.append(paired_tests.delong(labels, one, two)[2] < 0.05)
    error = 4 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean(rejected) == pytest.approx(0.05, abs=error)


def test_delong_at_the_edges():
    labels = np.array([True, False, True, False, False])
    assert paired_tests.delong(labels, np.arange(5), 3.0 * np.arange(5)) == (0, 0, 1)
    assert np.isnan(paired_tests.delong([True, False, False], [1, 2, 3], [3, 2, 1])).all()
    with pytest.raises(UserError):
        paired_tests.delong(labels, np.arange(4), np.arange(4))


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 15])
@pytest.mark.parametrize("correlation", [0.0, 0.7, 1.0])
def test_combined_seeds_keep_their_level_however_dependent(seeds, correlation):
    """One seed without a difference is enough for the hypothesis, however sure the others are."""
    generator = np.random.default_rng(4)
    shared, own = generator.normal(size=(4000, 1)), generator.normal(size=(4000, seeds))
    scores = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    scores[:, 1:] += 9 * np.sign(scores[:, :1])
    ps = 2 * scipy.stats.norm.sf(np.abs(scores))
    combined = np.array([paired_tests.combine_seeds(*row) for row in zip(ps, scores, strict=True)])
    for level in (0.05, 0.2):
        assert np.mean(combined <= level) <= level + 4 * np.sqrt(level * (1 - level) / 4000)


def test_combined_seeds_by_hand():
    assert paired_tests.combine_seeds([0.03], [-0.2]) == pytest.approx(0.03)
    assert paired_tests.combine_seeds([0.01, np.nan, 0.2], [0.3, 0.1, 0.1]) == pytest.approx(0.2)
    assert paired_tests.combine_seeds([4e-14, 1e-12, 0.001], [0.25, -0.219, -0.07]) > 0.99, "seeds that disagree"
    assert paired_tests.combine_seeds([1.0, 1.0], [0.0, 0.0]) == 1
    assert np.isnan(paired_tests.combine_seeds([np.nan], [0.1]))


def test_corrected_t_agrees_with_baycomp():
    """Its posterior is the t of the same mean, variance and degrees of freedom; repeated folds count as runs."""
    import baycomp

    generator = np.random.default_rng(5)
    folds, repeats = 10, 3
    one, two = generator.normal(0.8, 0.02, size=(2, folds * repeats))
    mean, low, high, p = paired_tests.nadeau_bengio(one - two, folds - 1, 1)
    posterior = baycomp.CorrelatedTTest(two, one, 0, runs=repeats)
    below, _ = posterior.probs()
    assert mean == pytest.approx(np.mean(one - two))
    assert p == pytest.approx(2 * min(below, 1 - below))
    wide = scipy.stats.t.interval(0.95, folds * repeats - 1, mean, np.sqrt(posterior.var))
    assert (low, high) == pytest.approx(wide)


def test_corrected_t_keeps_its_level_where_folds_share_their_training_set():
    """Runs correlated by the share left out: the plain t test rejects far too often, the corrected one does not."""
    generator = np.random.default_rng(6)
    folds, share = 10, 0.1
    values = np.sqrt(share) * generator.normal(size=(3000, 1)) + np.sqrt(1 - share) * generator.normal(
        size=(3000, folds)
    )
    corrected = np.mean([paired_tests.nadeau_bengio(row, folds - 1, 1)[3] < 0.05 for row in values])
    plain = np.mean(scipy.stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05)
    assert corrected == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 3000))
    assert plain > 0.1


def test_corrected_t_at_the_edges():
    assert np.isnan(paired_tests.nadeau_bengio([0.1], 9, 1)[1:]).all()
    assert paired_tests.nadeau_bengio([0.1, np.nan, 0.3], 9, 1)[0] == pytest.approx(0.2)
    assert paired_tests.nadeau_bengio([0.0, 0.0], 2, 1) == (0, 0, 0, 1)
