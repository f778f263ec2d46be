"""Paired differences over tasks: what each model's add up to, and how arms rank.

A set of tasks is all of an analysis, those of a suite, or those of a family (`family`: what kind of question it is,
across suites). What its tasks say together is weighed in `aggregate`, once for each scope (`vocabulary.SCOPES`); here
they are only put together, and p values adjusted for the number of models.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import ALPHA, any_learned, decide, holm, rank_arms, weigh, wilcoxon
from foundationless.evaluation.spending import Looks
from foundationless.evaluation.table_files import add_name_parts
from foundationless.study.vocabulary import CEILINGS, SCOPES

SETS = ["analysis", "variant", "suite", "family", "versus"]  # Holm adjusts over the models of one, in each scope
ACROSS = [
    "analysis", "variant", "suite", "family", "model", "versus", "scope", "metrics", "delta", "se", "df", "low", "high",
    "wins", "losses", "n", "distinct", "units", "seeds", "learned", "p", "p_holm", "p_tost", "p_tost_holm",
    "rope_below", "rope_within", "rope_above", "wilcoxon_p", "wilcoxon_p_holm", "mde", "verdict", "margin", "se_items",
    "se_seeds", "se_units", "clusters",
]  # fmt: skip
RANKS = ["analysis", "model", "init", "label", "rank", "n", "p_friedman"]
RANK_PAIRS = ["analysis", "first_model", "first_init", "second_model", "second_init", "p"]
PAIRED = ("reading", "copy")  # comparisons whose arms share weights and seeds: their seeds are drawn together
_WEIGHED = (
    "delta", "se", "df", "low", "high", "wins", "losses", "n", "distinct", "units", "p", "se_items", "se_seeds",
    "se_units",
)  # fmt: skip
_KEYS = ["analysis", "variant", "suite", "family", "twin", "versus", "model", "base_task", "metric"]
_UNKNOWN = ("se_items", "margin", "p_learned", "drawn_seeds")  # of numbers that a paper reports
FEWEST_ARMS, FEWEST_BLOCKS = 3, 2  # of which ranks say more than a paired difference does

Row = dict[str, Any]
Seeds = Mapping[int, float]  # seed -> value


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
    runs: pd.DataFrame | None,
    tasks: pd.DataFrame,
    ranks: Mapping[str, int],
    clusters: Mapping[str, str] | None = None,
    looks: Mapping[str, Looks] | None = None,
) -> pd.DataFrame:
    """Evidence of every pretrained arm against each reference, by analysis, variant, set of tasks and scope (`ACROSS`).

    `suite` is `all` or one, `family` empty or one (then over all suites). A variant of tasks (`H3.pct10`, `H4.pct10`)
    is a set of tasks of its own; further draws of one (`pct10d1`) are averaged into it first, standard errors too, for
    they share the test set. `runs` (None: not known) has the score of every run by seed: what seeds do to all tasks at
    once is seen there. `clusters` names the group of tasks that share sequences. Interval, tests and probabilities are
    those of `aggregate.weigh`, in units of the metric; a set of several metrics is judged at the mean of its tasks'
    margins. Wilcoxon's signed-rank test is over the families. The columns `_holm` adjust over the models of a set,
    `verdict` is `aggregate.decide` of them, `seeds` are the fewest of an arm that has any, `learned` counts tasks on
    which an arm beats the best constant answer, and `mde` is what the first of Holm's steps would detect. Of analyses
    with `looks` `p` and `p_tost` are repeated p values (`spending`).
    """
    rows = prepare(comparisons, runs, task_kinds(tasks))
    weighed = [
        dict(zip(SETS, (analysis, variant, suite, family, versus), strict=True)) | {"model": model} | evidence
        for (analysis, variant), whole in rows.groupby(["analysis", "variant"], sort=False)
        for suite, family, chosen in _sets(whole)
        for models in [chosen.groupby("versus", sort=False)["model"].nunique().to_dict()]
        for (versus, model), part in chosen.groupby(["versus", "model"], sort=False)
        for evidence in _evidence(part, clusters or {}, int(models[versus]), (looks or {}).get(str(analysis)))
    ]
    table = pd.DataFrame(weighed).reindex(columns=[*ACROSS, "any_learned"])
    keys = [*SETS, "scope"]
    for name in ("p", "p_tost", "wilcoxon_p"):
        table[f"{name}_holm"] = table.groupby(keys, sort=False)[name].transform(lambda p: pd.Series(holm(p), p.index))
    judged = table[["p_holm", "p_tost_holm", "delta", "any_learned", "seeds", "metrics", "versus"]].itertuples(
        index=False
    )
    table["verdict"] = [
        decide(*numbers, learned=learned, seeds=seeds, metrics=metrics, versus=versus)
        for *numbers, learned, seeds, metrics, versus in judged
    ]
    table = table.assign(
        rank=table["model"].map(ranks).fillna(len(ranks)), place=table["scope"].map(list(SCOPES).index)
    )
    return table.sort_values([*SETS, "rank", "place"], kind="stable")[ACROSS].reset_index(drop=True)


def prepare(comparisons: pd.DataFrame, runs: pd.DataFrame | None, kinds: pd.DataFrame) -> pd.DataFrame:
    """One row per task, model and reference, draws averaged, with the values of both arms by seed in `arms`."""
    rows = add_name_parts(comparisons[comparisons["init"] == "pretrained"])
    bases = rows["base_task"]
    rows = rows.reindex(columns=[*rows.columns, *(name for name in _UNKNOWN if name not in rows)])
    rows = rows.astype(dict.fromkeys(("delta", *_UNKNOWN), float)).assign(
        metric=rows["metric"].fillna("") if "metric" in rows else "",
        suite=bases.map(kinds["suite"]),
        family=bases.map(kinds["family"]).fillna("other"),
        twin=bases.map(kinds["twin"]).fillna(bases),
    )
    known = _by_seed(runs)
    rows["arms"] = pd.Series([_arms(known, row) for row in rows.to_dict("records")], rows.index, dtype=object)
    grouped = rows.groupby(_KEYS, sort=False, dropna=False, as_index=False)
    # Draws of a task have its test set in common: their errors are averaged, and one that learned is enough.
    return grouped.agg(
        delta=("delta", "mean"), se_items=("se_items", "mean"), margin=("margin", "first"),
        p_learned=("p_learned", lambda ps: min(1.0, ps.min() * ps.count()) if ps.notna().any() else np.nan),
        drawn_seeds=("drawn_seeds", "min"), arms=("arms", _average_draws),
    )  # fmt: skip


def _by_seed(runs: pd.DataFrame | None) -> dict[tuple[Any, ...], dict[int, float]]:
    """(analysis, task, model, init) -> seed -> mean score over folds."""
    known: dict[tuple[Any, ...], dict[int, float]] = {}
    if runs is None or runs.empty:
        return known
    keys = ["analysis", "task", "model", "init", "seed"]
    means: pd.DataFrame = runs.groupby(keys, sort=False)["value"].mean().reset_index()
    for row in means.to_dict("records"):
        known.setdefault(tuple(row[key] for key in keys[:-1]), {})[int(row["seed"])] = float(row["value"])
    return known


def _arms(known: Mapping[tuple[Any, ...], Seeds], row: Mapping[Any, Any]) -> tuple[Seeds, ...]:
    """Values by seed of both arms of a comparison, or of their difference where seeds are paired."""
    place = (row["analysis"], row["task"])
    mine = known.get((*place, row["model"], row["init"]), {})
    theirs = known.get((*place, row.get("reference"), row.get("reference_init")), {})
    if row["versus"] in PAIRED and mine.keys() == theirs.keys():
        return ({seed: mine[seed] - theirs[seed] for seed in mine}, {})
    return (mine, theirs)


def _average_draws(draws: "pd.Series[Any]") -> tuple[Seeds, ...]:
    """Values by seed, averaged over the draws of a task that have the seed."""
    sides = zip(*draws, strict=True)
    return tuple(
        {seed: float(np.mean([some[seed] for some in side if seed in some])) for seed in dict.fromkeys(
            seed for some in side for seed in some)}
        for side in sides
    )  # fmt: skip


def _sets(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    yield "all", "", rows
    for suite, part in rows.groupby("suite", sort=False):
        yield str(suite), "", part
    for family, part in rows.groupby("family", sort=False):
        yield "all", str(family), part


def _evidence(tasks: pd.DataFrame, clusters: Mapping[str, str], models: int, look: Looks | None) -> Iterator[Row]:
    """A row for each scope; p values are those of the look, if there is one."""
    deltas, families, twins = tasks["delta"].to_numpy(), tasks["family"].tolist(), tasks["twin"].tolist()
    shared = [clusters.get(task) for task in tasks["base_task"]]
    arms = [matrix(side) for side in zip(*tasks["arms"], strict=True)]
    measured, kinds = tasks[tasks["delta"].notna()], tasks.groupby("family", sort=False)["delta"].mean()
    margin = float(measured.drop_duplicates("twin")["margin"].mean())
    same = {
        "metrics": "+".join(dict.fromkeys(measured["metric"])), "margin": margin,
        "seeds": measured["drawn_seeds"].min(), "learned": int((measured["p_learned"] <= ALPHA).sum()),
        "any_learned": any_learned(measured["p_learned"]),
        "clusters": len({clusters.get(task, task) for task in measured["base_task"]}),
    }  # fmt: skip
    for scope in SCOPES:
        evidence = weigh(deltas, tasks["se_items"].to_numpy(), arms, families, twins, shared, scope=scope)
        yield same | {name: getattr(evidence, name) for name in _WEIGHED} | {
            "scope": scope, "mde": evidence.mde(models), "p_tost": evidence.p_tost(margin),
            "wilcoxon_p": wilcoxon(kinds.to_numpy()) if scope == "like-these" else np.nan,
        } | dict(zip(("rope_below", "rope_within", "rope_above"), evidence.rope(margin), strict=True)) | (
            {"p": float(look.p(evidence)), "p_tost": float(look.p_tost(evidence, margin))} if look else {}
        )  # fmt: skip


def matrix(side: Sequence[Seeds]) -> np.ndarray:
    """Values [tasks, seeds] of an arm, NaN where a task lacks a seed."""
    seeds = sorted({seed for task in side for seed in task}) or [0]
    return np.array([[task.get(seed, np.nan) for seed in seeds] for task in side], dtype=np.float64)


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
    mine = scores[scores["value"].notna() & (scores["variant"] == "") & ~scores["base"].isin(CEILINGS)]
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
