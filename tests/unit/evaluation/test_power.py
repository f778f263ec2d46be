"""Power: against the noncentral t where it is exact, and against the few numbers that a normal table comes down to."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from foundationless.errors import UserError
from foundationless.evaluation.across_tasks import summarise_tasks
from foundationless.evaluation.power.components import between_tasks, common_share, describe, read_pilot, split_seeds
from foundationless.evaluation.power.designs import describe_power, list_designs, tabulate
from foundationless.evaluation.power.simulation import DRAWS, Components, Design, Task, power, simulate
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.price.workload import Workload
from foundationless.study.vocabulary import METRICS, SCOPES
from support import ROOT
from support.power import write_pilot

ERROR = 3.5 * 0.5 / DRAWS**0.5  # of a share, at most
NOTHING = Components(0.0, 0.0, 0.0, 0.0, 0.0)
MARGINS = dict.fromkeys(METRICS, 0.02) | {"mcc": 0.04}
USUAL = Components(family=0.028, task=0.024, common=0.005, seed=0.005, items=0.5)


def design(families=5, per_family=1, seeds=(3, 3), items=2000.0, **over):
    tasks = tuple(
        Task(f"family {f}", f"task {f} {t}", items) for f in range(families) for t in range(per_family)
    )  # fmt: skip
    return Design(tasks, seeds, **over)


def exact(effect, df, se, level):
    """(power of "better", power of "equivalent" within ± 1 at a difference of 0) of a t test with one component."""
    better = stats.nct.sf(stats.t.ppf(1 - level / 2, df), df, effect / se)
    low = stats.t.ppf(1 - level, df)

    def share(s):  # s: the standard error's estimate over its truth
        room = (1 - low * s * se) / se
        return (2 * stats.norm.cdf(room) - 1) * stats.chi.pdf(s * df**0.5, df) * df**0.5 if room > 0 else 0.0

    return better, integrate.quad(share, 0, 1 / (low * se))[0]


@pytest.mark.parametrize("models", [1, 7])
@pytest.mark.parametrize("families", [3, 5, 12])
def test_families_alone_give_the_noncentral_t(families, models):
    """Nothing but families varies: df are families - 1."""
    sd = 0.5 if families > 3 else 0.2
    own = replace(NOTHING, family=sd)
    found = power(design(families, seeds=(0, 0), models=models, margin=1.0, span=9.0), own, "like-these", 2.0)
    better, equivalent = exact(2.0, families - 1, sd / families**0.5, 0.05 / models)
    assert found.equivalent == pytest.approx(equivalent, abs=ERROR)
    assert found.better == pytest.approx(better, abs=ERROR)
    reached = exact(found.detectable, families - 1, sd / families**0.5, 0.05 / models)[0]
    assert reached == pytest.approx(0.8, abs=ERROR)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_seeds_of_one_arm_alone_give_the_noncentral_t(seeds):
    """The other arm is one checkpoint that nothing is trained on; the common part does not shrink with tasks."""
    own = replace(NOTHING, common=0.3, seed=0.4)
    found = power(design(4, seeds=(0, seeds), margin=1.0, span=9.0), own, "these", 1.5)
    better, equivalent = exact(1.5, seeds - 1, ((0.3**2 + 0.4**2 / 4) / seeds) ** 0.5, 0.05)
    assert found.better == pytest.approx(better, abs=ERROR)
    assert found.equivalent == pytest.approx(equivalent, abs=ERROR)


def test_items_alone_give_the_normal_test():
    found = power(design(2, seeds=(0, 0), items=400, margin=0.03), replace(NOTHING, items=0.4), "these", 0.04)
    se = 0.4 / 800**0.5
    assert found.better == pytest.approx(stats.norm.sf(1.96 - 0.04 / se), abs=ERROR)
    assert found.equivalent == pytest.approx(2 * stats.norm.cdf((0.03 - 1.645 * se) / se) - 1, abs=ERROR)


def summaries(own, families, per_family, seeds, items, scope, rng, draws=20_000):
    """(estimate, se, df) [draws] from the distributions of what a balanced table comes down to, without any table."""
    runs, tasks = own.seed**2 / (families * per_family), families * per_family
    arm = own.common**2 + runs
    noise = own.items**2 / items / tasks
    spread = [arm / seeds * rng.chisquare(seeds - 1, draws) / (seeds - 1) for _ in range(2)]
    if scope == "these":
        estimate = rng.standard_normal(draws) * (noise + 2 * arm / seeds) ** 0.5
        parts = [(np.full(draws, noise), np.inf), *((each, seeds - 1) for each in spread)]
    else:
        mean = own.family**2 + (own.task**2 + own.items**2 / items + 2 * own.seed**2 / seeds) / per_family
        drawn = rng.standard_normal((draws, families)) * mean**0.5
        estimate = drawn.mean(axis=1) + rng.standard_normal(draws) * own.common * (2 / seeds) ** 0.5
        between = np.maximum(drawn.var(axis=1, ddof=1) / families, noise)
        parts = [(between, families - 1), *((each, seeds - 1) for each in spread)]
    total = sum(part for part, _ in parts)
    df = total**2 / sum(part**2 / free for part, free in parts)
    return estimate, total**0.5, np.minimum(df, families - 1) if scope == "like-these" else df


@pytest.mark.parametrize("scope", ["these", "like-these"])
@pytest.mark.parametrize(
    ("families", "per_family", "seeds", "items", "own"),
    [
        (4, 3, 3, 2000, USUAL), (10, 5, 5, 20_000, USUAL), (6, 2, 10, 3000, replace(USUAL, family=0.01, task=0.005)),
        (8, 4, 5, 400, replace(USUAL, common=0.02)), (5, 1, 4, 5000, replace(USUAL, family=0.0, task=0.0, seed=0.03)),
    ],
)  # fmt: skip
def test_tables_agree_with_the_few_numbers_that_they_come_down_to(families, per_family, seeds, items, own, scope):
    plan = design(families, per_family, (seeds, seeds), items, margin=0.03)
    found = power(plan, own, scope, 0.04)
    estimate, se, df = summaries(own, families, per_family, seeds, items, scope, np.random.default_rng(1))
    is_equal = np.abs(estimate) + stats.t.ppf(0.95, df) * se < 0.03
    other = estimate + 0.04
    is_better = (other > stats.t.ppf(0.975, df) * se) & (np.abs(other) + stats.t.ppf(0.95, df) * se >= 0.03)
    assert found.equivalent == pytest.approx(is_equal.mean(), abs=1.1 * ERROR)
    assert found.better == pytest.approx(is_better.mean(), abs=1.1 * ERROR)


def test_the_words_of_the_tables_come_as_often(rounds=60):
    """Comparisons and runs through `summarise_tasks`, up to its verdicts; each round is an analysis of its own."""
    own, rng = Components(family=0.012, task=0.01, common=0.012, seed=0.02, items=0.5), np.random.default_rng(7)
    plan = design(3, 2, (3, 3), 1500.0, margin=0.05)
    names = [task.cluster for task in plan.tasks]
    tasks = pd.DataFrame({"task": names, "suite": "s", "family": [task.family for task in plan.tasks], "twin": ""})
    arm = {"model": "hyenadna", "init": "pretrained", "versus": "random", "reference": "hyenadna"}
    arm |= {"reference_init": "random", "se_items": 0.5 / 1500**0.5, "margin": 0.05, "drawn_seeds": 3}
    pairs, runs = [], []
    for analysis in [f"{truth} {place}" for place in range(rounds) for truth in ("same", "other")]:
        truth = 0.07 * analysis.startswith("other")
        truth += own.family * np.repeat(rng.standard_normal(3), 2) + own.task * rng.standard_normal(6)
        truth += own.items / 1500**0.5 * rng.standard_normal(6)
        arms = {
            init: level + own.common * rng.standard_normal(3) + own.seed * rng.standard_normal((6, 3))
            for init, level in (("pretrained", truth[:, None]), ("random", 0.0))
        }
        runs += [
            {"analysis": analysis, "model": "hyenadna", "init": init, "task": name, "seed": seed, "value": value}
            for init, table in arms.items() for name, values in zip(names, table, strict=True)
            for seed, value in enumerate(values)
        ]  # fmt: skip
        deltas = (arms["pretrained"] - arms["random"]).mean(axis=1)
        pairs += [arm | {"analysis": analysis, "task": name, "delta": d} for name, d in zip(names, deltas, strict=True)]
    table = summarise_tasks(pd.DataFrame(pairs), pd.DataFrame(runs), tasks, {"hyenadna": 0})
    table = table[(table["suite"] == "all") & (table["family"] == "")]
    words = (
        table.assign(truth=table["analysis"].str.split().str[0]).groupby(["scope", "truth"])["verdict"].value_counts()
    )
    for scope in SCOPES:
        found = power(plan, own, scope, 0.07)
        for truth, word, share in (("same", "equivalent", found.equivalent), ("other", "better", found.better)):
            assert words.get((scope, truth, word), 0) / rounds == pytest.approx(share, abs=0.22), (scope, word)
    assert power(plan, own, "these", 0.07).better > power(plan, own, "like-these", 0.07).better + 0.3, "two questions"


@pytest.mark.parametrize("scope", ["these", "like-these"])
def test_more_of_anything_never_has_less_power(scope):
    small = design(5, 2, (3, 3), 400.0, margin=0.05)
    more = [
        design(10, 2, (3, 3), 400.0, margin=0.05), design(5, 6, (3, 3), 400.0, margin=0.05),
        design(5, 2, (8, 8), 400.0, margin=0.05), design(5, 2, (3, 3), 9000.0, margin=0.05),
    ]  # fmt: skip
    before = power(small, USUAL, scope, 0.08)
    for larger in more:
        after = power(larger, USUAL, scope, 0.08)
        assert after.equivalent >= before.equivalent - ERROR and after.better >= before.better - ERROR
        assert after.detectable <= 1.03 * before.detectable
    shared = power(replace(small, models=9), USUAL, scope, 0.08)
    assert shared.better <= before.better and shared.equivalent <= before.equivalent, "Holm over nine models"


def test_tasks_of_the_same_sequences_are_no_further_evidence():
    own = replace(NOTHING, items=0.5)
    one = Design((Task("f", "a", 1000.0),), (0, 0))
    twins = Design((Task("f", "a", 1000.0), Task("f", "a", 1000.0)), (0, 0))
    assert simulate(twins, own, "these").se == pytest.approx(simulate(one, own, "these").se)
    assert simulate(twins, own, "these").delta.std() == pytest.approx(0.5 / 1000**0.5, rel=0.05)


def test_a_metric_of_another_scale_has_the_same_power_at_margins_of_that_scale():
    plan = design(6, 2, margin=0.03)
    wide = replace(plan, tasks=tuple(replace(task, scale=2.0) for task in plan.tasks), margin=0.06)
    for scope in ("these", "like-these"):
        first, second = power(plan, USUAL, scope, 0.04), power(wide, USUAL, scope, 0.08)
        assert (second.equivalent, second.better) == (first.equivalent, first.better)
        assert second.detectable == pytest.approx(2 * first.detectable)


def test_words_that_cannot_be_had():
    for seeds, word in (((1, 1), "one seed"), ((3, 2), "two seeds"), ((0, 1), "one seed")):
        found = power(design(seeds=seeds), USUAL, "these", 0.9)
        assert (found.equivalent, found.better, found.no_word) == (0, 0, word) and np.isnan(found.detectable)
    found = power(design(families=1, per_family=9), USUAL, "like-these", 0.9)
    assert (found.equivalent, found.better, found.no_word) == (0, 0, "one family")
    assert power(design(families=1, per_family=9), USUAL, "these", 0.9).better > 0.9
    hopeless = power(design(families=2), replace(USUAL, family=0.5), "like-these", 0.03)
    assert np.isnan(hopeless.detectable) and hopeless.no_word == "", "more than the metric's range is none"


# ---- components


def crossed(rng, models, sizes, family, task, noise=0.0):
    rows = []
    for model in range(models):
        for place, size in enumerate(sizes):
            shared = 0.05 + family * rng.standard_normal()
            for _ in range(size):
                own = task * rng.standard_normal() + noise * rng.standard_normal()
                rows.append({"model": model, "family": place, "delta": shared + own, "noise": noise**2})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("family", "task", "noise"), [(0.03, 0.02, 0.0), (0.03, 0.02, 0.02), (0.0, 0.02, 0.01)])
def test_families_and_tasks_are_told_apart(family, task, noise):
    rng = np.random.default_rng(3)
    found = [between_tasks(crossed(rng, 7, (10, 5, 4, 3, 1, 1), family, task, noise)) for _ in range(120)]
    families, tasks = (np.array(found) ** 2).mean(axis=0)
    assert families == pytest.approx(family**2, rel=0.15, abs=8e-5)
    assert tasks == pytest.approx(task**2, rel=0.1)


def test_what_few_families_cannot_tell_is_not_known():
    rng = np.random.default_rng(0)
    family, task = between_tasks(crossed(rng, 2, (4, 4, 4), 0.03, 0.02))
    assert np.isnan(family) and task > 0
    assert np.isnan(between_tasks(crossed(rng, 2, (1, 1, 1), 0.03, 0.02))).all()


def test_seeds_split_as_an_analysis_of_variance_does():
    """By hand: the seeds' means are 6, 7 and 9.5, and what is left of the first task is 0.5, 0.5 and -1."""
    square, free, left, residual = split_seeds([[1.0, 2.0, 3.0], [11.0, 12.0, 16.0]])
    assert (free, residual) == (2, 2)
    assert square == pytest.approx(2 * (1.5**2 + 0.5**2 + 2.0**2) / 2)
    assert left == pytest.approx(2 * (0.5**2 + 0.5**2 + 1.0**2) / 2)


@pytest.mark.parametrize(("common", "seed"), [(0.02, 0.01), (0.0, 0.02)])
def test_the_common_part_of_seeds_is_found(common, seed):
    rng = np.random.default_rng(5)
    rows = [
        {"model": model, "init": init, "task": f"t{task}", "metric": "mcc", "seed": s}
        | {"value": 0.6 + 2 * (shared + own)}
        for model in range(40) for init in ("pretrained", "random")
        for s, shared in enumerate(common * rng.standard_normal(5))
        for task, own in enumerate(seed * rng.standard_normal(6))
    ]  # fmt: skip
    expected = common**2 / (common**2 + seed**2)
    assert common_share(pd.DataFrame(rows)) == pytest.approx(expected, abs=0.1)
    assert common_share(pd.DataFrame(rows).query("seed == 0")) == 0.5, "a single seed tells nothing"


KINDS = pd.DataFrame({"suite": "s", "family": ["f", "g", "g"], "twin": ["a", "b", "c"]}, index=["a", "b", "c"])


def test_a_pilot_gives_what_it_knows(tmp_path):
    path = write_pilot(tmp_path)
    found = read_pilot(path, KINDS)["finetune"]
    assert found.items == pytest.approx(0.05 / 2 * 400**0.5), "of MCC: twice that of accuracy"
    whole = pd.read_csv(path)["variance"].mean() / 4
    assert found.common**2 + found.seed**2 == pytest.approx(whole)
    assert np.isnan(found.family)
    filled = found.fill(USUAL)
    assert (filled.family, filled.items) == (USUAL.family, found.items)
    assert "family" not in describe(found) and "test item 0.50" in describe(found)


def test_a_pilot_of_one_seed_knows_no_seeds(tmp_path):
    path = write_pilot(tmp_path, seeds=1)
    found = read_pilot(path, KINDS)["finetune"]
    assert np.isnan(found.common) and np.isnan(found.seed) and np.isfinite(found.items)
    (tmp_path / "runs.csv").unlink()
    with pytest.raises(UserError, match=r"runs\.csv: no such file"):
        read_pilot(path, KINDS)


# ---- designs


def designs_of(name):
    study = read_study(read_yaml(ROOT / f"config/{name}.yaml"))
    return list_designs(Workload(study, {"H3": {"train": 9, "validation": 9, "test": 1234, "length": 500}}), MARGINS)


def test_designs_of_the_paper():
    found = designs_of("paper")
    main = found["finetune", ""]
    assert (len(main.tasks), main.seeds, main.models) == (52, (3, 3), 7)
    assert len({task.cluster for task in main.tasks}) < 52, "twins stand in two suites"
    assert 0.02 < main.margin < 0.04, "the mean of its metrics' margins"
    assert {task.items for task in main.tasks} == {1234.0, 1000.0}, "of a size that is not known, the stated one"
    assert found["likelihood", ""].seeds == (0, 3), "nothing is trained on the pretrained arm"
    assert len(found["fewshot", "shot1"].tasks) == 3 and ("fewshot", "shot1d1") not in found
    assert not {"similarity", "clustering"} & {analysis for analysis, _ in found}, "nothing is paired"


def test_the_table_says_why_there_is_no_word():
    table = tabulate(designs_of("ablations"), {"": USUAL}, 0.03)
    assert (table[["equivalent", "better"]] == 0).all(axis=None) and table["detectable"].isna().all()
    text = describe_power(table)
    assert "one seed in: width" in text and "two seeds in: finetune." in text
    table = tabulate(designs_of("mistral"), {"": USUAL}, 0.03)
    text = describe_power(table)
    assert "one family" in text and "No word" not in text and "none" in text
    own = tabulate(designs_of("mistral"), {"": USUAL, "biotype": replace(USUAL, items=9.0)}, 0.03)
    changed = (own["better"] != table["better"]).groupby(table["analysis"]).any()
    assert changed.to_dict() == {"biotype": True, "finetune": False, "likelihood": False}
