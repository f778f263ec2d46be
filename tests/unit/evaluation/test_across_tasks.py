"""Evidence over tasks: sets, scopes, twins, seeds, adjusted p values and ranks, against independent implementations."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from foundationless.evaluation import across_tasks
from foundationless.evaluation.aggregate import decide

TASKS = pd.DataFrame(
    [
        ("a1", "nt", "g", "marks", "m1"), ("a2", "nt", "g", "marks", "m2"), ("b1", "nt", "g", "promoters", ""),
        ("b2", "nt", "g", "promoters", ""), ("c1", "nt", "g", "splicing", ""), ("c2", "nt", "g", "splicing", ""),
        ("d1", "gue", "g", "marks", "m1"), ("d2", "gue", "g", "marks", "m2"),
    ],
    columns=["task", "suite", "group", "family", "twin"],
)  # fmt: skip


def pairs(tasks, models=("x", "y", "z"), versus=("random",), seed=0, **more):
    generator = np.random.default_rng(seed)
    rows = [
        {"analysis": "finetune", "task": task, "model": model, "init": "pretrained", "versus": other, "metric": "mcc"}
        | {"delta": generator.normal(0.02 * place, 0.02), "se_items": 0.01, "margin": 0.02, "p_learned": 0.001}
        | {"reference": model, "reference_init": "random", "drawn_seeds": 3.0}
        for task in tasks
        for place, model in enumerate(models)
        for other in versus
    ]
    return pd.DataFrame(rows).assign(**more)


def runs_of(comparisons, seeds=3, spread=0.01, common=0.0, seed=1):
    """Runs of both arms, folds alike, whose seeds are numbers of a generator; `common` moves all tasks of an arm."""
    generator = np.random.default_rng(seed)
    moves = {}

    def value(*arm_and_seed):
        move = moves.setdefault(arm_and_seed, generator.normal(0, common))
        return 0.5 + generator.normal(0, spread) + move

    rows = [
        {"analysis": "finetune", "task": task, "model": model, "init": init, "seed": number, "fold": fold}
        | {"value": value(model, init, number)}
        for task, model in comparisons[["task", "model"]].drop_duplicates().itertuples(index=False)
        for init in ("pretrained", "random")
        for number in range(seeds)
        for fold in (0, 5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def summarise(comparisons, tasks=TASKS, clusters=None, runs=None):
    return across_tasks.summarise_tasks(comparisons, runs, tasks, {"x": 0, "y": 1, "z": 2}, clusters)


def only(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table.reset_index(drop=True)


def test_every_set_of_tasks_has_a_row_in_either_scope():
    table = summarise(pairs(TASKS["task"]))
    sets = table[["suite", "family"]].drop_duplicates().to_numpy().tolist()
    families = [["all", family] for family in ("", "marks", "promoters", "splicing")]
    assert sorted(sets) == [*families, ["gue", ""], ["nt", ""]]
    whole = only(table, suite="all", family="", model="x")
    assert whole["scope"].tolist() == ["these", "like-these"]
    assert whole[["n", "distinct", "units", "learned"]].to_numpy().tolist() == [[8, 6, 6, 8], [8, 6, 3, 8]]
    assert only(table, suite="nt", model="x")["units"].tolist() == [6, 3]
    marks = only(table, family="marks", model="x")
    assert marks["units"].tolist() == [2, 1] and np.isnan(marks.loc[1, "p"]) and marks.loc[1, "verdict"] == "undecided"
    assert list(table.columns) == across_tasks.ACROSS
    assert only(table, suite="all", family="", scope="these")["model"].tolist() == list("xyz")


def test_a_seed_moves_all_tasks_of_an_arm():
    """Welch's test of the means over tasks by seed, which scipy has; the share of a seed does not fall with tasks."""
    rows = pairs(TASKS["task"], se_items=0.0)
    runs = runs_of(rows, common=0.05)
    deltas = runs.groupby(["task", "model", "init"])["value"].mean().unstack("init")
    rows["delta"] = [
        deltas.at[key, "pretrained"] - deltas.at[key, "random"] for key in zip(rows["task"], rows["model"], strict=True)
    ]
    tasks = TASKS.assign(twin="")
    whole = only(summarise(rows, tasks, runs=runs), suite="all", family="", scope="these")
    means = runs.groupby(["model", "init", "seed"])["value"].mean()
    for row in whole.to_dict("records"):
        expected = stats.ttest_ind(means[row["model"], "pretrained"], means[row["model"], "random"], equal_var=False)
        assert row["p"] == pytest.approx(expected.pvalue) and row["df"] == pytest.approx(expected.df)
    others = only(summarise(rows, tasks, runs=runs), suite="all", family="", scope="like-these")
    assert (others["se"] >= others["se_seeds"]).all() and (whole["se_seeds"] > 0.01).all()


def test_few_seeds_and_untrained_arms_are_the_word():
    rows = pairs(TASKS["task"], models=("x",))
    assert set(summarise(rows.assign(drawn_seeds=1.0))["verdict"]) == {"one seed"}
    mixed = summarise(rows.assign(drawn_seeds=np.where(rows["task"] == "a1", 2.0, 5.0)))
    assert only(mixed, suite="all", family="")["verdict"].tolist() == ["two seeds"] * 2
    assert only(mixed, suite="gue")["verdict"].tolist() != ["two seeds"] * 2
    assert "one seed" not in set(summarise(rows.assign(drawn_seeds=np.nan))["verdict"])
    failed = summarise(rows.assign(p_learned=0.6, delta=0.0, se_items=0.001))
    assert set(failed["verdict"]) == {"not learned"} and set(failed["learned"]) == {0}


def test_a_set_of_several_metrics_is_judged_at_the_mean_of_its_margins():
    rows = pairs(["b1", "b2"], models=("x",)).assign(metric=["mcc", "accuracy"], margin=[0.04, 0.02])
    row = only(summarise(rows), suite="all", family="", scope="these").iloc[0]
    assert row["margin"] == pytest.approx(0.03) and row["metrics"] == "mcc+accuracy"


def test_arms_that_share_seeds_differ_by_their_differences():
    rows = pairs(["b1", "b2"], models=("x",), versus=("copy",), reference_init="copy", se_items=0.0)
    runs = runs_of(rows, spread=0.1)
    same = pd.concat([runs[runs["init"] == "pretrained"].assign(init=init) for init in ("pretrained", "copy")])
    assert (summarise(rows, runs=same)["se_seeds"] == 0).all()


def test_a_second_copy_of_every_task_in_another_suite_adds_no_evidence():
    once = TASKS.iloc[:6].assign(twin=TASKS["task"].iloc[:6])
    rows = pairs(once["task"])
    again = pd.concat([rows, rows.assign(task="copy_" + rows["task"])])
    both = pd.concat([once, once.assign(task="copy_" + once["task"], suite="gue")])
    first, second = summarise(rows, once), summarise(again, both)
    columns = ["model", "scope", "delta", "se", "low", "high", "p", "p_tost", "wilcoxon_p", "mde", "distinct", "units"]
    frames = [only(table, suite="all", family="")[columns] for table in (first, second)]
    pd.testing.assert_frame_equal(*frames)
    assert only(second, suite="all", family="", model="x").loc[0, "n"] == 12


def test_tasks_without_kinds_are_their_groups():
    tasks = pd.DataFrame({"task": ["t", "u"], "suite": "nt", "group": ["g", "h"], "family": ["", "f"]})
    kinds = across_tasks.task_kinds(tasks)
    assert kinds["family"].tolist() == ["g", "f"] and kinds["twin"].tolist() == ["t", "u"]
    bare = across_tasks.task_kinds(pd.DataFrame({"task": ["t"], "suite": "nt"}))
    assert bare.loc["t"].tolist() == ["nt", "nt", "t"]


def test_p_values_are_adjusted_over_the_models_of_a_set_and_decide():
    table = summarise(pairs(TASKS["task"], versus=("random", "baseline")))
    for _, part in table.groupby([*across_tasks.SETS, "scope"]):
        for name in ("p", "p_tost", "wilcoxon_p"):
            known = part[name].notna()
            adjusted = multipletests(part.loc[known, name], method="holm")[1]
            np.testing.assert_allclose(part.loc[known, f"{name}_holm"], adjusted)
    for row in table.to_dict("records"):
        assert row["verdict"] == decide(row["p_holm"], row["p_tost_holm"], row["delta"])
    assert table["verdict"].nunique() > 1
    total = table[["rope_below", "rope_within", "rope_above"]].sum(axis=1, skipna=False)
    np.testing.assert_allclose(total[table["se"].notna()], 1)


def test_wilcoxon_is_over_families_and_never_over_tasks():
    rows = pairs(TASKS["task"])
    whole = only(summarise(rows), suite="all", family="", model="y")
    deltas = only(rows, model="y").set_index("task")["delta"]
    marks = [deltas[["a1", "d1"]].mean(), deltas[["a2", "d2"]].mean()]
    means = [np.mean(marks), deltas[["b1", "b2"]].mean(), deltas[["c1", "c2"]].mean()]
    assert whole.loc[1, "wilcoxon_p"] == pytest.approx(stats.wilcoxon(means).pvalue)
    assert np.isnan(whole.loc[0, "wilcoxon_p"])


def test_draws_of_a_derived_set_are_one_task_and_derivations_are_kept_apart():
    names = ["a1", "a1.pct10", "a1.pct10d1", "b1.pct10", "b1.permuted"]
    rows = pairs(names, models=("x",)).assign(delta=[0.5, 0.1, 0.3, 0.4, 0.9], se_items=[0.1, 0.1, 0.3, 0.1, 0.1])
    table = only(summarise(rows), suite="all", family="", scope="these")
    by = table.set_index("variant")
    assert by.index.tolist() == ["", "pct10", "permuted"]
    assert by.loc["pct10", ["n", "delta"]].tolist() == [2, pytest.approx(0.3)]
    assert by.loc["pct10", "se"] == pytest.approx(np.hypot(0.2, 0.1) / 2), "draws share the test set: no root of 2"


def test_other_arms_are_no_evidence_and_a_hole_is_left_out():
    rows = pairs(TASKS["task"])
    other = rows.assign(init="random", versus="baseline")
    gaps = rows.assign(delta=rows["delta"].where(rows["task"] != "c2"))
    table = summarise(pd.concat([gaps, other]))
    assert set(table["versus"]) == {"random"}
    assert (only(table, suite="all", family="")["n"] == 7).all()
    without = summarise(rows[rows["task"] != "c2"])
    pd.testing.assert_frame_equal(*(only(part, suite="all", family="") for part in (table, without)))
    assert summarise(rows.iloc[:0]).empty


def test_tasks_that_share_sequences_are_never_independent():
    rows = pairs(TASKS["task"])
    plain, shared = (
        only(summarise(rows, clusters=clusters), suite="all", family="", model="x")
        for clusters in (None, {"a1": "k", "a2": "k", "b1": "k"})
    )
    assert plain["clusters"].tolist() == [8, 8] and shared["clusters"].tolist() == [6, 6]
    assert shared.loc[0, "se"] > plain.loc[0, "se"] and shared.loc[0, "delta"] == plain.loc[0, "delta"]
    assert plain["units"].tolist() == [6, 3] and shared["units"].tolist() == [6, 2], "two families share sequences"


def test_ranks_are_those_of_scipy_and_twins_are_one_block():
    generator = np.random.default_rng(1)
    arms = [("x", "pretrained"), ("x", "random"), ("y", "random"), ("kmer", "baseline")]
    scores = pd.DataFrame(
        {"analysis": "finetune", "task": task, "model": model, "init": init, "value": place + generator.normal(0, 2)}
        for task in [*TASKS["task"], "a1.pct10"]
        for place, (model, init) in enumerate(arms)
    )
    ranks, rank_pairs, notes = across_tasks.rank_tasks(scores, TASKS, {"x": "X"})
    assert notes.empty
    table = scores[scores["task"] != "a1.pct10"].assign(arm=scores["model"] + scores["init"])
    table = table.merge(TASKS).assign(block=lambda rows: rows["twin"].where(rows["twin"] != "", rows["task"]))
    table = table.pivot_table(index="block", columns="arm", values="value")
    expected = pd.Series(stats.rankdata(-table.to_numpy(), axis=1).mean(axis=0), table.columns)
    assert dict(zip(ranks["model"] + ranks["init"], ranks["rank"], strict=True)) == pytest.approx(expected.to_dict())
    assert ranks["rank"].is_monotonic_increasing and set(ranks["n"]) == {6}
    friedman = stats.friedmanchisquare(*table.to_numpy().T).pvalue
    assert ranks["p_friedman"].tolist() == pytest.approx([friedman] * 4)
    assert len(rank_pairs) == 6 and set(ranks.loc[ranks["model"] == "x", "label"]) == {"X, pretrained", "X, random"}
    unit = np.sqrt(4 * 5 / (6 * 6))  # Nemenyi's test by its formula (Demsar 2006)
    for row in rank_pairs.to_dict("records"):
        first, second = (expected[row[f"{arm}_model"] + row[f"{arm}_init"]] for arm in ("first", "second"))
        tail = stats.studentized_range.sf(abs(first - second) / unit * np.sqrt(2), 4, np.inf)
        assert row["p"] == pytest.approx(tail, abs=1e-6)


def test_two_arms_or_one_task_are_not_ranked():
    arms = [("x", "pretrained"), ("x", "random"), ("y", "random")]
    scores = pd.DataFrame(
        {"analysis": "finetune", "task": task, "model": model, "init": init, "value": 0.5}
        for task in TASKS["task"] for model, init in arms
    )  # fmt: skip
    for part in (scores[scores["model"] == "x"], scores[scores["task"] == "a1"], scores.iloc[:0]):
        ranks, rank_pairs, _ = across_tasks.rank_tasks(part, TASKS, {})
        assert ranks.columns.tolist() == across_tasks.RANKS and ranks.empty and rank_pairs.empty
    gapped = scores[(scores["task"].isin(["a1", "a2"])) & ~((scores["task"] == "a1") & (scores["model"] == "y"))]
    ranks, _, notes = across_tasks.rank_tasks(gapped, TASKS, {})
    assert ranks.empty, "what is left of two tasks and three arms has no test"
    assert "leave out" in notes["note"].iloc[0]
