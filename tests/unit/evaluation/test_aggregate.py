"""Evidence agrees with statsmodels, scipy and baycomp, covers, keeps its levels, and the paper's table is known."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from foundationless.evaluation import aggregate, bootstrap

SIZES = (10, 10, 6, 5, 4, 3, 2)  # families of the benchmarks, twins collapsed


def weigh(deltas, families=None, ses=None, twins=None):
    n = len(deltas)
    families = ["one"] * n if families is None else families
    ses = np.full(n, 0.01) if ses is None else ses
    return aggregate.weigh(deltas, ses, families, [""] * n if twins is None else twins)


def make_families(generator, sizes=SIZES, between=0.05, within=0.05, mean=0.0):
    owner = np.repeat(np.arange(len(sizes)), sizes)
    effects = generator.normal(mean, between, size=len(sizes))
    return effects[owner] + generator.normal(0, within, size=len(owner)), owner


def fit_mixed(values, owner):
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MixedLM(values, np.ones(len(values)), owner).fit(reml=True)


@pytest.mark.parametrize("between", [0.05, 0.2])
@pytest.mark.parametrize("sizes", [SIZES, (4, 4, 4, 4, 4), (1, 3, 12, 1, 2)])
def test_families_are_the_mixed_model_of_statsmodels(sizes, between):
    values, owner = make_families(np.random.default_rng(3), sizes, between, mean=0.1)
    fitted, found = fit_mixed(values, owner), weigh(values, owner.tolist())
    assert fitted.converged
    assert (found.unit, found.df) == ("families", len(sizes) - 1)
    assert found.delta == pytest.approx(fitted.fe_params[0], rel=1e-3)
    assert found.se == pytest.approx(fitted.bse_fe[0], rel=0.01)


def test_families_of_one_size_are_the_t_test_of_their_means():
    values, owner = make_families(np.random.default_rng(0), (5, 5, 5, 5, 5), between=0.2)
    means = values.reshape(5, 5).mean(axis=1)
    found, expected = weigh(values, owner.tolist()), scipy.stats.ttest_1samp(means, 0)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-5)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-5)


def test_families_alike_are_pooled_and_families_without_spread_are_averaged():
    """Both ends of the search, where `MixedLM` warns or fails: no variance between families, and none within."""
    alike = np.tile([0.1, 0.2, 0.3, 0.4], 5)
    found = weigh(alike, np.repeat(list("abcde"), 4).tolist())
    assert (found.delta, found.se) == pytest.approx((alike.mean(), alike.std(ddof=1) / np.sqrt(20)))
    means = [0.1, 0.2, 0.6, 0.0, 0.1]
    apart = weigh(np.repeat(means, [9, 2, 1, 1, 3]), np.repeat(list("abcde"), [9, 2, 1, 1, 3]).tolist())
    assert apart.delta == pytest.approx(np.mean(means))
    assert apart.se == pytest.approx(np.std(means, ddof=1) / np.sqrt(5), rel=1e-3)
    single = weigh(means, list("abcde"))
    assert (single.unit, single.p) == ("families", pytest.approx(scipy.stats.ttest_1samp(means, 0).pvalue))
    assert weigh([0.0] * 5, list("abcde")).p_tost(0.02) == 0


def test_tasks_are_students_t():
    deltas = np.random.default_rng(1).normal(0.03, 0.05, size=8)
    found = weigh([*deltas, np.nan], ["a"] * 5 + ["b"] * 4)
    expected = scipy.stats.ttest_1samp(deltas, 0)
    assert (found.unit, found.n, found.families) == ("tasks", 8, 2)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert (found.wins, found.losses) == ((deltas > 0).sum(), (deltas < 0).sum())


def test_items_combine_the_errors_of_independent_tasks():
    found = weigh([0.1, 0.3], ses=[0.03, 0.04])
    assert (found.unit, found.df) == ("items", np.inf)
    assert (found.delta, found.se) == pytest.approx((0.2, 0.025))
    assert found.high == pytest.approx(scipy.stats.norm.interval(0.95, 0.2, 0.025)[1])
    assert found.mde() == pytest.approx(2.8016 * 0.025, rel=1e-4)
    unknown = weigh([0.1, 0.3], ses=[np.nan, 0.04])
    assert unknown.delta == pytest.approx(0.2)
    assert np.isnan([unknown.low, unknown.p, unknown.p_tost(0.02), *unknown.rope(0.02), unknown.mde()]).all()
    assert aggregate.decide(unknown.p, unknown.p_tost(0.02), unknown.delta) == "undecided"


def test_twins_count_once():
    once = weigh([0.1, 0.2, 0.4], ["a", "b", "c"])
    twice = weigh([0.1, 0.2, 0.3, 0.5], ["a", "b", "c", "c"], twins=["", np.nan, "H3", "H3"])
    assert (twice.delta, twice.low, twice.unit) == pytest.approx((once.delta, once.low, once.unit))
    assert (twice.n, twice.distinct, twice.wins) == (4, 3, 4)
    items = weigh([0.1, 0.3], ses=[0.02, 0.04], twins=["H3", "H3"])
    assert (items.delta, items.se, items.distinct) == pytest.approx((0.2, 0.03, 1))


def test_nothing_is_nothing():
    found = weigh([np.nan])
    assert (found.n, found.distinct, found.families) == (0, 0, 0)
    assert np.isnan([found.delta, found.low, found.p, found.p_tost(0.1)]).all()


def test_rope_agrees_with_baycomp():
    """The correlated t test without a test share is the posterior t of the mean under a flat prior."""
    import baycomp

    deltas = np.random.default_rng(2).normal(0.01, 0.03, size=10)
    found = weigh(deltas)
    posterior = baycomp.single.Posterior(deltas.mean(), deltas.var(ddof=1) / 10, 9, 0.02)
    assert found.rope(0.02) == pytest.approx(posterior.probs())
    assert sum(found.rope(0.005)) == pytest.approx(1)


def test_tost_is_two_one_sided_tests():
    deltas = np.random.default_rng(3).normal(0.01, 0.02, size=9)
    above = scipy.stats.ttest_1samp(deltas, -0.02, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(deltas, 0.02, alternative="less").pvalue
    assert weigh(deltas).p_tost(0.02) == pytest.approx(max(above, below))


# ---- what it promises, by simulation


@pytest.mark.parametrize("between", [0.0, 0.03, 0.1])
def test_intervals_cover_new_families(between):
    generator = np.random.default_rng(5)
    found = [weigh(values, owner) for values, owner in (make_families(generator, between=between) for _ in range(500))]
    covered = np.mean([each.low <= 0 <= each.high for each in found])
    assert covered >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 500)
    assert between < 0.1 or covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 500))


def test_equivalence_at_the_margin_is_found_no_more_often_than_said():
    generator = np.random.default_rng(6)
    found = [weigh(*make_families(generator, between=0.01, within=0.01, mean=0.02)).p_tost(0.02) for _ in range(500)]
    assert np.mean(np.array(found) < 0.05) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 500)


def test_equivalence_of_no_difference_is_found():
    generator = np.random.default_rng(6)
    found = [weigh(*make_families(generator, between=0.01, within=0.01)).p_tost(0.02) for _ in range(200)]
    assert np.mean(np.array(found) < 0.05) > 0.9


def test_the_detectable_difference_is_found_in_four_of_five():
    """The power of a t test of known size (statsmodels) at the `mde()` of its standard error."""
    from statsmodels.stats.power import TTestPower

    for n in (8, 20, 50):
        scale = np.sqrt(n) * weigh(np.tile([0.0, 1.0], n // 2)).se
        effect = weigh(np.tile([0.0, 1.0], n // 2)).mde() / scale
        assert TTestPower().power(effect, n, 0.05) == pytest.approx(0.8, abs=0.02)
    generator = np.random.default_rng(7)
    tasks = 0.05 * generator.normal(size=(500, 20))
    mde = aggregate.Evidence(0, 0.05 / np.sqrt(20), 19, "tasks", 20, 20, 1, 0, 0).mde()
    power = np.mean([weigh(row + mde).p < 0.05 for row in tasks])
    assert power == pytest.approx(0.8, abs=4 * np.sqrt(0.8 * 0.2 / 500))


def test_the_detectable_difference_survives_the_first_of_holms_steps():
    found = aggregate.Evidence(0, 0.01, np.inf, "items", 5, 5, 1, 0, 0)
    power = 1 - scipy.stats.norm.cdf(scipy.stats.norm.isf(0.025 / 7), found.mde(7) / found.se)
    assert power == pytest.approx(0.8, abs=1e-6) and found.mde(7) > found.mde()


# ---- words


@pytest.mark.parametrize(
    "p, p_tost, delta, word",
    [
        (0.5, 0.01, 0.001, "equivalent"),
        (0.001, 0.01, 0.01, "equivalent"),  # not 0, and too small to matter
        (0.001, 0.5, 0.1, "better"),
        (0.001, 0.5, -0.1, "worse"),
        (0.2, 0.2, 0.1, "undecided"),
        (0.05, 0.05, 0.1, "undecided"),
        (np.nan, np.nan, np.nan, "undecided"),
    ],
)
def test_words(p, p_tost, delta, word):
    assert aggregate.decide(p, p_tost, delta) == word


# ---- the paper's own numbers


def test_the_papers_table_gives_its_wins_and_p(shared):
    """Table 18: the wins and p of Wilcoxon's test that the paper's numbers hold; as tasks, the t test of scipy."""
    reported = pd.read_csv(shared / "paper_reported_numbers.tsv", sep="\t")
    reported = reported[reported["experiment"] == "nt_finetune"]
    arms = reported.pivot(index=["task", "model"], columns="arm", values="value")
    deltas = (arms["pretrained"] - arms["random"]).unstack("model")
    known = {
        "Mistral": (17, 3e-4), "NTv2-50M": (18, 8e-6), "GENA-LM": (18, 8e-6), "NT-500M": (17, 3e-4),
        "DNABERT-2": (17, 5e-5), "HyenaDNA": (12, 0.04), "Caduceus": (7, 0.24),
    }  # fmt: skip
    assert set(deltas.columns) == set(known)
    for model, (wins, p) in known.items():
        values, t_test = deltas[model].to_numpy(), scipy.stats.ttest_1samp(deltas[model], 0)
        plain, found = aggregate.across_tasks(values), weigh(values, ses=np.full(18, np.nan))
        assert (plain.wins, plain.tasks) == (found.wins, found.n) == (wins, 18) and found.unit == "tasks"
        assert plain.p == pytest.approx(p, rel=0.35) and found.p == pytest.approx(t_test.pvalue)
        assert (plain.low, plain.high) == pytest.approx(tuple(t_test.confidence_interval()))
    plain = aggregate.across_tasks(deltas["GENA-LM"].to_numpy())
    assert bootstrap.verdict(plain.low, plain.high, 0.02) == "better"


# ---- ranks


def test_ranks_agree_with_hand_scipy_and_scikit_posthocs():
    import scikit_posthocs

    generator = np.random.default_rng(8)
    scores = pd.DataFrame(generator.random((12, 5)) + 0.3 * np.arange(5), columns=list("abcde"))
    found = aggregate.rank_arms(scores)
    ranks = scipy.stats.rankdata(-scores.to_numpy(), axis=1).mean(axis=0)
    assert found.mean_ranks.to_dict() == pytest.approx(dict(zip("abcde", ranks, strict=True)))
    assert list(found.mean_ranks) == sorted(ranks)
    assert found.p_friedman == pytest.approx(scipy.stats.friedmanchisquare(*scores.to_numpy().T).pvalue)
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(scores)
    np.testing.assert_allclose(found.p_pairs, nemenyi.loc[found.p_pairs.index, found.p_pairs.columns], rtol=1e-9)
    assert list(found.p_pairs.index) == list(found.p_pairs.columns) == list(found.mean_ranks.index)
    assert found.dropped == []
    assert len(found.blocks) == 12


def test_incomplete_arms_and_blocks_are_left_out_and_named():
    scores = pd.DataFrame(np.arange(20.0).reshape(5, 4), index=list("vwxyz"), columns=list("abcd"))
    scores.loc[["v", "w", "x"], "b"] = np.nan
    scores.loc["z", ["a", "c", "d"]] = np.nan
    found = aggregate.rank_arms(scores)
    assert found.dropped == ["z", "b"]
    assert found.blocks == list("vwxy")
    assert list(found.mean_ranks.index) == ["d", "c", "a"]
    assert np.isfinite(found.p_friedman)


def test_too_little_to_rank_is_no_test():
    two = aggregate.rank_arms(pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 3.0]}))
    assert np.isnan(two.p_friedman)
    assert two.mean_ranks.tolist() == [1.5, 1.5]
    none = aggregate.rank_arms(pd.DataFrame({"a": [np.nan], "b": [np.nan]}))
    assert none.blocks == []
    assert none.dropped
