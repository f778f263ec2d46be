"""Evidence over tasks: scopes, twins, families, adjusted p values and ranks, against independent implementations."""

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
        | {"delta": generator.normal(0.02 * place, 0.02), "se": 0.01}
        for task in tasks
        for place, model in enumerate(models)
        for other in versus
    ]
    return pd.DataFrame(rows).assign(**more)


def summarise(comparisons, tasks=TASKS, clusters=None):
    return across_tasks.summarise_tasks(comparisons, tasks, {"x": 0, "y": 1, "z": 2}, 0.02, clusters)


def only(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table.reset_index(drop=True)


def test_every_scope_has_its_rows_and_counts():
    table = summarise(pairs(TASKS["task"]))
    scopes = table[["suite", "family"]].drop_duplicates().to_numpy().tolist()
    families = [["all", family] for family in ("", "marks", "promoters", "splicing")]
    assert sorted(scopes) == [*families, ["gue", ""], ["nt", ""]]
    whole = only(table, suite="all", family="", model="x").iloc[0]
    assert whole[["n", "distinct", "families", "unit"]].tolist() == [8, 6, 3, "tasks"]
    assert only(table, suite="nt", model="x").loc[0, ["n", "distinct", "unit"]].tolist() == [6, 6, "tasks"]
    assert only(table, family="marks", model="x").loc[0, ["n", "distinct", "unit"]].tolist() == [4, 2, "items"]
    kinds = ["marks", "promoters", "splicing", "enhancers", "viruses", "marks", "promoters", "splicing"]
    many = only(summarise(pairs(TASKS["task"]), TASKS.assign(family=kinds, twin="")), suite="all", family="", model="x")
    assert many.loc[0, ["n", "distinct", "families", "unit"]].tolist() == [8, 8, 5, "families"]
    assert list(table.columns) == across_tasks.ACROSS
    assert only(table, suite="all", family="")["model"].tolist() == list("xyz")


def test_a_second_copy_of_every_task_in_another_suite_adds_no_evidence():
    once = TASKS.iloc[:6].assign(twin=TASKS["task"].iloc[:6])
    rows = pairs(once["task"])
    again = pd.concat([rows, rows.assign(task="copy_" + rows["task"])])
    both = pd.concat([once, once.assign(task="copy_" + once["task"], suite="gue")])
    first, second = summarise(rows, once), summarise(again, both)
    columns = ["model", "delta", "se", "low", "high", "p", "p_tost", "wilcoxon_p", "rope_within", "mde", "distinct"]
    frames = [only(table, suite="all", family="")[columns] for table in (first, second)]
    pd.testing.assert_frame_equal(*frames)
    assert only(second, suite="all", family="", model="x").loc[0, "n"] == 12
    # What takes the copies for independent tasks is surer than it may be.
    naive = [only(table, suite="all", family="", model="z").iloc[0] for table in (first, second)]
    assert naive[1]["naive_high"] - naive[1]["naive_low"] < naive[0]["naive_high"] - naive[0]["naive_low"]


def test_tasks_without_kinds_are_their_groups():
    tasks = pd.DataFrame({"task": ["t", "u"], "suite": "nt", "group": ["g", "h"], "family": ["", "f"]})
    kinds = across_tasks.task_kinds(tasks)
    assert kinds["family"].tolist() == ["g", "f"] and kinds["twin"].tolist() == ["t", "u"]
    bare = across_tasks.task_kinds(pd.DataFrame({"task": ["t"], "suite": "nt"}))
    assert bare.loc["t"].tolist() == ["nt", "nt", "t"]


def test_p_values_are_adjusted_over_the_models_of_a_scope_and_decide():
    table = summarise(pairs(TASKS["task"], versus=("random", "baseline")))
    for _, part in table.groupby(across_tasks.SCOPE):
        for name in ("p", "p_tost", "wilcoxon_p"):
            known = part[name].notna()
            adjusted = multipletests(part.loc[known, name], method="holm")[1]
            np.testing.assert_allclose(part.loc[known, f"{name}_holm"], adjusted)
    for row in table.to_dict("records"):
        assert row["verdict"] == decide(row["p_holm"], row["p_tost_holm"], row["delta"])
    assert table["verdict"].nunique() > 1
    total = table[["rope_below", "rope_within", "rope_above"]].sum(axis=1)
    np.testing.assert_allclose(total, 1)


def test_wilcoxon_is_over_distinct_tasks():
    rows = pairs(TASKS["task"])
    row = only(summarise(rows), suite="all", family="", model="y").iloc[0]
    deltas = only(rows, model="y").set_index("task")["delta"]
    merged = [deltas[["a1", "d1"]].mean(), deltas[["a2", "d2"]].mean(), *deltas[["b1", "b2", "c1", "c2"]]]
    assert row["wilcoxon_p"] == pytest.approx(stats.wilcoxon(merged).pvalue)


def test_draws_of_a_derived_set_are_one_task_and_derivations_are_kept_apart():
    names = ["a1", "a1.pct10", "a1.pct10d1", "b1.pct10", "b1.permuted"]
    rows = pairs(names, models=("x",)).assign(delta=[0.5, 0.1, 0.3, 0.4, 0.9], se=[0.1, 0.1, 0.3, 0.1, 0.1])
    table = only(summarise(rows), suite="all", family="")
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


def test_clusters_widen_the_interval_of_the_plain_mean():
    rows = pairs(TASKS["task"])
    row = only(summarise(rows, clusters={"a1": "k", "a2": "k", "b1": "k"}), suite="all", family="", model="x").iloc[0]
    assert row["clusters"] == 6
    values = only(rows, model="x")["delta"]
    plain = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    assert (row["naive_low"], row["naive_high"]) == pytest.approx(plain)
    assert summarise(rows)["clusters"].isna().all()


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
