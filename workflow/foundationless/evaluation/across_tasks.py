"""Paired differences over tasks: what each model's add up to, and how arms rank.

A scope is all tasks of an analysis, those of a suite, or those of a family (`family`: what kind of question it is,
across suites). What the tasks of a scope say together is weighed in `aggregate`; here they are only put together, and p
values adjusted for the number of models.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import across_clusters, across_tasks, decide, holm, rank_arms, weigh
from foundationless.evaluation.table_files import add_name_parts

SCOPE = ["analysis", "variant", "suite", "family", "versus"]  # Holm adjusts over the models of one
ACROSS = [
    "analysis", "variant", "suite", "family", "model", "versus", "metrics", "delta", "se", "df", "unit", "low",
    "high", "wins", "losses", "n", "distinct", "families", "p", "p_holm", "p_tost", "p_tost_holm", "rope_below",
    "rope_within", "rope_above", "wilcoxon_p", "wilcoxon_p_holm", "mde", "verdict", "margin", "naive_low", "naive_high",
    "clusters", "cluster_low", "cluster_high",
]  # fmt: skip
RANKS = ["analysis", "model", "init", "label", "rank", "n", "p_friedman"]
RANK_PAIRS = ["analysis", "first_model", "first_init", "second_model", "second_init", "p"]
_WEIGHED = ("delta", "se", "df", "unit", "low", "high", "wins", "losses", "n", "distinct", "families", "p")
FEWEST_ARMS, FEWEST_BLOCKS = 3, 2  # of which ranks say more than a paired difference does

Row = dict[str, Any]


def cluster_tasks(overlap: pd.DataFrame | None) -> dict[str, str]:
    """Task -> its group of tasks that share test sequences, by the name of the first (see `audit_overlap`)."""
    if overlap is None or "cluster" not in overlap:
        return {}
    names = overlap.drop_duplicates("task")
    return dict(zip(names["task"].astype(str), names["cluster"].astype(str), strict=True))


def task_kinds(tasks: pd.DataFrame) -> pd.DataFrame:
    """Suite, family and twin of every task (index: task); without a family it is its group, without a twin itself."""
    known = tasks.set_index("task")
    group = known.get("group", known["suite"]).astype(str)
    family, twin = (known.get(name, pd.Series("", index=known.index)).fillna("") for name in ("family", "twin"))
    return pd.DataFrame(
        {"suite": known["suite"], "family": family.where(family != "", group),
         "twin": twin.where(twin != "", known.index.to_series())}
    )  # fmt: skip


def summarise_tasks(
    comparisons: pd.DataFrame,
    tasks: pd.DataFrame,
    ranks: Mapping[str, int],
    margin: float,
    clusters: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Evidence of every pretrained arm against each reference, by analysis, variant and scope (columns: `ACROSS`).

    `suite` is `all` or one, `family` empty or one (then over all suites). A variant of tasks (`H3.pct10`, `H4.pct10`)
    is a set of tasks of its own; further draws of one (`pct10d1`) are averaged into it first, standard errors too, for
    they share the test set. Interval, tests and probabilities are those of `aggregate.weigh`, in units of the metric;
    Wilcoxon's signed-rank test is over the distinct tasks. The columns `_holm` adjust over the models of a scope,
    `verdict` is `aggregate.decide` of them, and `mde` is what the first of Holm's steps would detect. Of the plain mean
    over tasks `naive_low` and `naive_high` are the t interval that takes all tasks for independent, and `cluster_low`
    and `cluster_high` the one where tasks of one of the `clusters` (task -> group of tasks that share sequences; they
    count `clusters`) are not.
    """
    kinds = task_kinds(tasks)
    rows = add_name_parts(comparisons[comparisons["init"] == "pretrained"])
    bases = rows["base_task"]
    rows = rows.assign(
        se=rows["se"].astype(float) if "se" in rows else np.nan,
        metric=rows["metric"].fillna("") if "metric" in rows else "",
        suite=bases.map(kinds["suite"]),
        family=bases.map(kinds["family"]).fillna("other"),
        twin=bases.map(kinds["twin"]).fillna(bases),
    )
    keys = ["analysis", "variant", "suite", "family", "twin", "versus", "model", "base_task", "metric"]
    rows = rows.astype({"delta": float}).groupby(keys, sort=False, dropna=False, as_index=False)[["delta", "se"]].mean()
    weighed = [
        dict(zip(SCOPE, (analysis, variant, suite, family, versus), strict=True))
        | {"model": model}
        | _evidence(part, margin, clusters or {}, scope.loc[scope["versus"] == versus, "model"].nunique())
        for (analysis, variant), whole in rows.groupby(["analysis", "variant"], sort=False)
        for suite, family, scope in _scopes(whole)
        for (versus, model), part in scope.groupby(["versus", "model"], sort=False)
    ]
    table = pd.DataFrame(weighed).reindex(columns=ACROSS)
    for name in ("p", "p_tost", "wilcoxon_p"):
        table[f"{name}_holm"] = table.groupby(SCOPE, sort=False)[name].transform(lambda p: pd.Series(holm(p), p.index))
    judged = table[["p_holm", "p_tost_holm", "delta"]].itertuples(index=False)
    table["verdict"] = [decide(*numbers) for numbers in judged]
    table = table.assign(rank=table["model"].map(ranks).fillna(len(ranks)))
    return table.sort_values([*SCOPE, "rank"], kind="stable")[ACROSS].reset_index(drop=True)


def _scopes(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    yield "all", "", rows
    for suite, part in rows.groupby("suite", sort=False):
        yield str(suite), "", part
    for family, part in rows.groupby("family", sort=False):
        yield "all", str(family), part


def _evidence(tasks: pd.DataFrame, margin: float, clusters: Mapping[str, str], models: int) -> Row:
    deltas = tasks["delta"].to_numpy()
    evidence = weigh(deltas, tasks["se"].to_numpy(), tasks["family"].tolist(), tasks["twin"].tolist())
    distinct = tasks.groupby("twin", sort=False)["delta"].mean().to_numpy()
    naive = across_clusters(deltas, range(len(deltas)))  # each its own cluster: Student's t
    row = {name: getattr(evidence, name) for name in _WEIGHED} | {
        "metrics": "+".join(dict.fromkeys(tasks.loc[tasks["delta"].notna(), "metric"])), "mde": evidence.mde(models),
        "p_tost": evidence.p_tost(margin), "wilcoxon_p": across_tasks(distinct).p, "margin": margin,
        "naive_low": naive.low, "naive_high": naive.high,
    }  # fmt: skip
    row |= dict(zip(("rope_below", "rope_within", "rope_above"), evidence.rope(margin), strict=True))
    if clusters:
        grouped = across_clusters(deltas, [clusters.get(task, task) for task in tasks["base_task"]])
        row |= {"clusters": grouped.tasks, "cluster_low": grouped.low, "cluster_high": grouped.high}
    return row


def rank_tasks(
    scores: pd.DataFrame, tasks: pd.DataFrame, labels: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Mean ranks of all arms and baselines of every analysis over its plain tasks, and p values of their pairs.

    Friedman's test and Nemenyi's (`aggregate.rank_arms`), blocks being tasks; twins are averaged into one. Columns:
    `RANKS`, best first, and `RANK_PAIRS`, each pair once; the third table notes what was left out for what it lacks. An
    analysis of fewer than 3 arms or 2 blocks has no rows. Tasks of one family count as independent blocks.
    """
    twins = task_kinds(tasks)["twin"]
    scores = add_name_parts(scores)
    mine = scores[scores["value"].notna() & (scores["variant"] == "")]
    means, pairs, notes = [], [], []
    for analysis, part in mine.groupby("analysis", sort=False):
        block = part["task"].map(twins).fillna(part["task"])
        arm = part["model"] + " " + part["init"]
        table = part.assign(block=block, arm=arm).pivot_table(
            index="block", columns="arm", values="value", aggfunc="mean", sort=False
        )
        ranked = rank_arms(table[arm.unique()])
        if ranked.dropped:
            note = f"ranks leave out {', '.join(ranked.dropped)}: they need every arm on every task"
            notes.append({"analysis": analysis, "what": "ranks", "note": note})
        if len(ranked.mean_ranks) < FEWEST_ARMS or len(ranked.blocks) < FEWEST_BLOCKS:
            continue
        order = [str(name).split(" ") for name in ranked.mean_ranks.index]
        means += [
            {"analysis": analysis, "model": model, "init": init, "label": f"{labels.get(model, model)}, {init}"}
            | {"rank": rank, "n": len(ranked.blocks), "p_friedman": ranked.p_friedman}
            for (model, init), rank in zip(order, ranked.mean_ranks, strict=True)
        ]
        pairs += [
            dict(zip(RANK_PAIRS, (analysis, *order[i], *order[j], ranked.p_pairs.iloc[i, j]), strict=True))
            for i, j in combinations(range(len(order)), 2)
        ]
    return pd.DataFrame(means, columns=RANKS), pd.DataFrame(pairs, columns=RANK_PAIRS), pd.DataFrame(notes)
