"""The bootstrap agrees with scipy's, covers, and keeps its level."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk

from foundationless.errors import UserError
from foundationless.evaluation import aggregate, bootstrap

CLASSES = ("0", "1")


def make_run(truth, correct_rate, generator, seed=0, fold=-1, groups=None):
    predicted = np.where(generator.random(len(truth)) < correct_rate, truth, 1 - truth)
    score = np.clip(0.5 + 0.3 * (2 * predicted - 1) + 0.3 * generator.normal(size=len(truth)), 0, 1)
    names = np.arange(len(truth)) if groups is None else groups
    return bootstrap.Run(
        seed, fold, truth.astype(str), np.asarray(names).astype(str), predicted.astype(str), np.c_[1 - score, score]
    )


def compare(first, second, metric="accuracy", resamples=1000, seed=0, classes=CLASSES):
    arms = bootstrap.score_runs([*first, *second], metric, classes, resamples, seed)
    return bootstrap.compare_arms(bootstrap.join(arms[: len(first)]), bootstrap.join(arms[len(first) :]), seed)


@pytest.mark.parametrize("metric", ["mcc", "auroc"])
def test_paired_interval_agrees_with_scipy(metric):
    generator = np.random.default_rng(0)
    truth = generator.integers(2, size=150)
    one, two = (make_run(truth, rate, generator) for rate in (0.85, 0.75))
    found = compare([one], [two], metric, resamples=4000)

    def statistic(rows):
        rows = rows.astype(int)
        if metric == "mcc":
            values = [sk.matthews_corrcoef(truth[rows], run.predicted.astype(int)[rows]) for run in (one, two)]
        else:
            values = [sk.roc_auc_score(truth[rows], run.probabilities[rows, 1]) for run in (one, two)]
        return values[0] - values[1]

    oracle = scipy.stats.bootstrap(
        (np.arange(150),), statistic, vectorized=False, n_resamples=500, method="percentile", rng=1
    )
    width = oracle.confidence_interval.high - oracle.confidence_interval.low
    assert found.value == pytest.approx(statistic(np.arange(150)))
    assert found.low == pytest.approx(oracle.confidence_interval.low, abs=0.12 * width)
    assert found.high == pytest.approx(oracle.confidence_interval.high, abs=0.12 * width)
    assert found.replicates.std() == pytest.approx(oracle.standard_error, rel=0.12)


def test_items_of_a_group_are_drawn_together():
    generator = np.random.default_rng(1)
    truth = generator.integers(2, size=60)
    single = make_run(truth, 0.8, generator)
    tenfold = [np.repeat(values, 10) for values in (single.labels, single.groups, single.predicted)]
    repeated = bootstrap.Run(0, -1, tenfold[0], tenfold[1], tenfold[2])
    loose = bootstrap.Run(0, -1, tenfold[0], np.arange(600).astype(str), tenfold[2])
    widths = []
    for run in (single, repeated, loose):
        estimate = bootstrap.interval(bootstrap.score_runs([run], "mcc", CLASSES, 2000, 0)[0], 0)
        widths.append(estimate.high - estimate.low)
    assert widths[1] == pytest.approx(widths[0])
    assert widths[2] == pytest.approx(widths[0] / np.sqrt(10), rel=0.15)


def test_weights_are_multinomial():
    weights = bootstrap.resample_weights(50, 4000, np.random.default_rng(0))
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.03)


def simulate(delta, trials=400, resamples=300, n=200):
    """Paired accuracies of two arms of known rates: (share of intervals that cover, share of p < 0.05)."""
    generator = np.random.default_rng(5)
    covered = rejected = 0
    for trial in range(trials):
        truth = generator.integers(2, size=n)
        arms = [[make_run(truth, rate, generator)] for rate in (0.7 + delta, 0.7)]
        found = compare(*arms, "accuracy", resamples, trial)
        covered += found.low <= delta <= found.high
        rejected += found.p < 0.05
    return covered / trials, rejected / trials


def test_intervals_cover_and_the_test_keeps_its_level():
    coverage, power = simulate(0.2)
    assert 0.91 <= coverage <= 0.98  # 0.95 ± 4 standard errors of 400 trials
    assert power > 0.95
    coverage, error = simulate(0.0)
    assert 0.91 <= coverage <= 0.98
    assert 0.01 <= error <= 0.09


def test_seed_variance_enters_the_interval_without_bias():
    generator = np.random.default_rng(3)
    points = generator.normal(size=6)
    arm = bootstrap.Arm(points, np.repeat(points[:, None], 40000, axis=1), np.arange(6))
    assert arm.resample(np.random.default_rng(0)).std() == pytest.approx(points.std(ddof=1) / np.sqrt(6), rel=0.02)


def test_folds_are_averaged_within_a_seed():
    arm = bootstrap.Arm(np.array([1.0, 3.0, 10.0]), np.zeros((3, 5)), np.array([0, 0, 1]))
    assert arm.by_seed().tolist() == [2.0, 10.0]
    assert arm.value == 6.0


def test_same_seed_same_interval_and_order_of_items_does_not_matter():
    generator = np.random.default_rng(4)
    truth = generator.integers(2, size=40)
    run = make_run(truth, 0.8, generator)
    order = generator.permutation(40)
    turned = bootstrap.Run(0, -1, run.labels[order], run.groups[order], run.predicted[order])
    first, second, third = (
        bootstrap.interval(bootstrap.score_runs([one], "macro_f1", CLASSES, 200, seed)[0], seed)
        for one, seed in ((run, 1), (turned, 1), (run, 2))
    )
    assert (first.low, first.high) == (second.low, second.high) != (third.low, third.high)


def test_blocks_of_resamples_change_nothing(monkeypatch):
    generator = np.random.default_rng(4)
    run = make_run(generator.integers(2, size=40), 0.8, generator)
    whole = bootstrap.score_runs([run], "mcc", CLASSES, 100, 0)[0].replicates
    monkeypatch.setattr(bootstrap, "CELLS_PER_BLOCK", 40 * 7)
    assert np.array_equal(bootstrap.score_runs([run], "mcc", CLASSES, 100, 0)[0].replicates, whole)


def test_one_group_gives_no_interval():
    run = bootstrap.Run(0, -1, np.array(["0", "1"]), np.array(["g", "g"]), np.array(["0", "1"]))
    estimate = bootstrap.interval(bootstrap.score_runs([run], "accuracy", CLASSES, 50, 0)[0], 0)
    assert estimate.value == 1.0
    assert np.isnan(estimate.low)
    assert bootstrap.verdict(estimate.low, estimate.high, 0.02) == "undecided"


@pytest.mark.parametrize("metric", ["spearman", "accuracy", "auroc"])
def test_a_metric_that_does_not_fit_is_one_sentence(metric):
    run = bootstrap.Run(0, -1, np.array(["0", "1"]), np.array(["a", "b"]))
    with pytest.raises(UserError):
        bootstrap.score_runs([run], metric, CLASSES, 10, 0)


@pytest.mark.parametrize("metric", ["auroc", "auprc"])
def test_scores_of_variants_rank_as_a_probability_of_the_second_class_does(metric):
    """Scores have no scale and no class that they predict: they are ranked, never counted, and only between two."""
    generator = np.random.default_rng(6)
    classified = make_run(generator.integers(2, size=80), 0.7, generator)
    scored = bootstrap.Run(0, -1, classified.labels, classified.groups, scores=classified.probabilities[:, 1])
    first, second = (bootstrap.score_runs([run], metric, CLASSES, 50, 3)[0] for run in (classified, scored))
    assert first.points == second.points and np.array_equal(first.replicates, second.replicates)
    few = np.arange(80) % 3 > 0
    (cut,) = bootstrap.subset_runs([scored], [few])
    assert np.array_equal(cut.scores, scored.scores[few]) and np.array_equal(cut.ranking, cut.scores)
    for other, classes in (("accuracy", CLASSES), (metric, [*CLASSES, "2"])):
        with pytest.raises(UserError, match=f"metric '{other}' needs"):
            bootstrap.score_runs([scored], other, classes, 10, 0)


@pytest.mark.parametrize(
    "low, high, word",
    [
        (-0.01, 0.015, "equivalent"),
        (0.001, 0.02, "equivalent"),
        (0.001, 0.03, "better"),
        (-0.3, -0.01, "worse"),
        (-0.03, 0.01, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_verdicts(low, high, word):
    assert bootstrap.verdict(low, high, 0.02) == word


def test_across_tasks_at_the_edges():
    assert aggregate.across_tasks([]).tasks == 0
    assert np.isnan(aggregate.across_tasks([0.1]).low)
    assert np.isnan(aggregate.across_tasks([0.0, 0.0]).p)
    assert aggregate.across_tasks([0.1, np.nan, -0.2]).tasks == 2


def test_holm_by_hand():
    assert aggregate.holm([0.01, 0.04, np.nan, 0.03]) == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)


def test_paired_arms_share_seeds_and_unpaired_ones_do_not():
    """Two readings of the same seeds that differ by a constant: their difference is certain, however seeds differ."""
    generator = np.random.default_rng(0)
    replicates = generator.normal(size=(4, 500)) + 5 * np.arange(4)[:, None]
    one = bootstrap.Arm(replicates.mean(axis=1), replicates, np.arange(4))
    two = bootstrap.Arm(one.points + 0.25, replicates + 0.25, np.arange(4))
    paired, unpaired = bootstrap.compare_paired(two, one, 1), bootstrap.compare_arms(two, one, 1)
    assert (paired.value, paired.low, paired.high) == pytest.approx((0.25, 0.25, 0.25))
    assert unpaired.high - unpaired.low > 5
    other = bootstrap.Arm(one.points, replicates, np.arange(4) + 1)
    assert bootstrap.compare_paired(two, other, 1).low == bootstrap.compare_arms(two, other, 1).low
    assert bootstrap.subtract(paired, paired).high == 0


def test_recovered_intervals_cover_the_difference():
    """Binomial proportions with Wilson intervals, unequal sizes: near 95 % of differences are covered."""
    generator = np.random.default_rng(0)

    def wilson(hits, n):
        found = scipy.stats.binomtest(int(hits), n).proportion_ci(method="wilson")
        return hits / n, found.low, found.high

    covered = []
    for first, second in zip(generator.binomial(80, 0.9, size=600), generator.binomial(40, 0.7, size=600), strict=True):
        delta, low, high = aggregate.independent_difference(wilson(first, 80), wilson(second, 40))
        covered.append(low <= 0.2 <= high)
        assert low <= delta <= high
    assert 0.92 < np.mean(covered) < 0.98


def test_clusters_of_one_task_are_students_t_and_copies_of_tasks_add_nothing():
    deltas = np.random.default_rng(0).normal(0.03, 0.1, size=12)
    plain, single = aggregate.across_tasks(deltas), aggregate.across_clusters(deltas, range(12))
    assert (single.mean, single.low, single.high) == pytest.approx((plain.mean, plain.low, plain.high))
    assert single.p == pytest.approx(scipy.stats.ttest_1samp(deltas, 0).pvalue)
    copied = aggregate.across_clusters(np.tile(deltas, 3), np.tile(np.arange(12), 3))
    assert (copied.low, copied.high, copied.tasks) == (pytest.approx(plain.low), pytest.approx(plain.high), 12)
    assert aggregate.across_tasks(np.tile(deltas, 3)).low > plain.low, "taken for independent, copies would narrow it"
    assert np.isnan(aggregate.across_clusters(deltas, np.zeros(12)).low)


# ---- strata


def strata_of(labels, groups):
    """Names of the groups of items that are all answered right, and the stratum of each."""
    labels = np.asarray(labels).astype(str)
    return bootstrap.stratify([bootstrap.Run(0, -1, labels, np.asarray(groups).astype(str), labels)])


def test_groups_that_hold_the_same_labels_are_a_stratum():
    labels = ["a"] * 12 + ["b"] * 15 + ["a", "b"] * 11
    names, strata = strata_of(labels, [*range(27), *np.repeat(np.arange(100, 111), 2)])
    by_group = dict(zip(names.tolist(), strata.tolist(), strict=True))
    of = [{by_group[str(g)] for g in part} for part in (range(12), range(12, 27), range(100, 111))]
    assert [len(found) for found in of] == [1, 1, 1]
    assert len(set.union(*of)) == 3


@pytest.mark.parametrize(
    "counts, sizes",
    [
        ((30, 40), (30, 40)),
        ((30, 6, 4), (30, 10)),  # small classes are drawn together
        ((30, 20, 3), (20, 33)),  # a lone one with the largest
        ((4, 3), (7,)),
        ((1, 30), (31,)),
    ],
)
def test_small_strata_are_joined(counts, sizes):
    labels = np.repeat([f"c{i}" for i in range(len(counts))], counts)
    _, strata = strata_of(labels, np.arange(len(labels)))
    assert sorted(np.bincount(strata)) == sorted(sizes)


def test_draws_keep_the_size_of_every_stratum_and_are_multinomial_within():
    strata = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [12, 40, 200]))
    weights = bootstrap.resample_weights(strata, 3000, np.random.default_rng(1))
    for stratum, size in enumerate((12, 40, 200)):
        assert (weights[:, strata == stratum].sum(axis=1) == size).all()
        assert weights[:, strata == stratum].var() == pytest.approx(1 - 1 / size, rel=0.03)
    assert weights.mean(axis=0) == pytest.approx(np.ones(252), abs=6 / np.sqrt(3000))


def test_runs_on_some_items_are_drawn_as_runs_on_all():
    """Of a group whose items of one label are left out: its stratum, and so its draws, are those of the whole."""
    generator = np.random.default_rng(0)
    run = make_run(generator.integers(2, size=400), 0.8, generator, groups=np.arange(400) // 4)
    kept = generator.random(400) < 0.3
    names, strata = bootstrap.stratify([run])
    weights = bootstrap.resample_weights(strata, 50, np.random.default_rng(7))
    weights = weights[:, np.searchsorted(names, run.groups[kept])]
    right = (run.labels == run.predicted)[kept]
    (found,) = bootstrap.score_runs(bootstrap.subset_runs([run], [kept]), "accuracy", CLASSES, 50, 7, [run])
    assert found.replicates[0] == pytest.approx((weights @ right) / weights.sum(axis=1))


@pytest.mark.parametrize("metric", ["mcc", "macro_f1", "auroc"])
def test_runs_scored_together_are_scored_alike(metric, monkeypatch):
    generator = np.random.default_rng(2)
    truth = generator.integers(2, size=80)
    runs = [make_run(truth, rate, generator, seed) for seed, rate in enumerate(np.linspace(0.6, 0.9, 7))]
    single = [bootstrap.score_runs([run], metric, CLASSES, 60, 0)[0] for run in runs]
    monkeypatch.setattr(bootstrap, "COLUMNS", 4 * 3)
    monkeypatch.setattr(bootstrap, "CELLS_PER_CURVE", 80 * 9)
    for one, many in zip(single, bootstrap.score_runs(runs, metric, CLASSES, 60, 0), strict=True):
        assert np.array_equal(one.replicates, many.replicates)
        assert one.points == many.points


# ---- what the intervals promise, by simulation


def simulate_seeds(seeds, spread, trials=400, items=150, resamples=250):
    """Share of 95 % intervals that hold the true difference 0 of two arms alike.

    An item is right where its difficulty, the luck of the seed (`spread`) and noise of its own (0.5) leave it so.
    """
    generator = np.random.default_rng(11)
    covered = 0
    for trial in range(trials):
        difficulty = generator.normal(0.8, 1, size=items)
        weights = bootstrap.resample_weights(items, resamples, generator)
        arms = []
        for _ in range(2):
            luck = spread * generator.normal(size=(seeds, 1)) + 0.5 * generator.normal(size=(seeds, items))
            right = (difficulty + luck > 0).astype(float)
            arms.append(bootstrap.Arm(right.mean(axis=1), right @ weights.T / items, np.arange(seeds)))
        found = bootstrap.compare_arms(*arms, trial)
        covered += found.low <= 0 <= found.high
    return covered / trials


@pytest.mark.parametrize("seeds, spread", [(3, 0.0), (3, 0.1), (3, 0.5), (5, 0.0), (5, 0.5)])
def test_intervals_over_seeds_cover_whether_items_or_seeds_make_the_noise(seeds, spread):
    assert simulate_seeds(seeds, spread) >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 400)


def test_a_seed_beside_none_is_like_students_t():
    """Arms without noise of items: the interval of the difference is Welch's."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(2, 5)) * [[0.01], [0.02]]
    arms = [bootstrap.Arm(row, np.repeat(row[:, None], 40000, axis=1), np.arange(5)) for row in points]
    found = bootstrap.compare_arms(*arms, 0)
    welch = scipy.stats.ttest_ind(*points, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high), rel=0.12)


def test_the_test_keeps_its_level_under_permuted_labels():
    generator = np.random.default_rng(8)
    truth = generator.integers(2, size=200)
    runs = [make_run(truth, rate, generator, seed) for seed, rate in ((0, 0.9), (1, 0.88), (0, 0.75), (1, 0.7))]
    rejected = 0
    for trial in range(300):
        order = generator.permutation(200)
        shuffled = [bootstrap.Run(r.seed, -1, r.labels[order], r.groups, r.predicted) for r in runs]
        rejected += compare(shuffled[:2], shuffled[2:], "mcc", 200, trial).p < 0.05
    assert rejected / 300 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)


def test_the_detectable_difference_is_found_in_four_of_five():
    """Of accuracies, whose standard error is known: se is the textbook's, and power at `mde` is 80 %."""
    generator = np.random.default_rng(9)
    n, found, expected = 400, [], []
    for trial in range(300):
        kind = generator.choice(4, size=n, p=[0.6, 0.1, 0.2, 0.1])  # both right, first only, second only, none
        truth = np.tile([0, 1], n // 2)
        one, two = (np.where(np.isin(kind, right), truth, 1 - truth).astype(str) for right in ((0, 1), (0, 2)))
        labels, names = truth.astype(str), np.arange(n).astype(str)
        runs = [[bootstrap.Run(0, -1, labels, names, answers)] for answers in (one, two)]
        found.append(compare(*runs, "accuracy", 300, trial))
        expected.append(np.sqrt((0.3 - 0.1**2) / n))
    assert np.mean([each.se for each in found]) == pytest.approx(expected[0], rel=0.03)
    assert np.std([each.value for each in found]) == pytest.approx(expected[0], rel=0.15)
    assert found[0].mde == pytest.approx(2.8016 * found[0].se, rel=1e-4)
    power = np.mean([abs(each.value + 0.1 + expected[0] * 2.8016) > 1.96 * each.se for each in found])
    assert power == pytest.approx(0.8, abs=4 * np.sqrt(0.8 * 0.2 / 300))
