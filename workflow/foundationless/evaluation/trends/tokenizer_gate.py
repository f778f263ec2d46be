"""Is what pretraining gains gated by the tokenizer? Gains by class of tokens, and how the classes differ.

The version of the paper at ICLR 2026 says that pretraining gains little where tokens are characters, and something
where they are k-mers or byte pairs: an interaction of arm and class. It is asked twice. Over models (`models`): on each
task the mean gain of the models of a class, each as published, where classes differ in all else too; and within
architectures that were pretrained with several tokenizers (`architecture`), where they differ in that alone. Tasks,
seeds, test items and families are drawn as `aggregate.weigh` draws them. Models are fixed: what they say where they are
the units is `p_models`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.across_tasks import matrix, prepare, task_kinds
from foundationless.evaluation.aggregate import any_learned, decide, holm, weigh
from foundationless.evaluation.spending import Looks
from foundationless.evaluation.table_files import add_name_parts
from foundationless.study.families import TOKEN_CLASSES, token_kind
from foundationless.study.names import parse_model, without
from foundationless.study.vocabulary import EFFECT_METRICS, SCOPES

GAIN, DIFFERENCE = "gain", "difference"
TOKENIZER_GATE = [
    "analysis", "variant", "basis", "contrast", "first", "second", "scope", "metrics", "delta", "se", "df", "low",
    "high", "n", "distinct", "units", "models", "members", "seeds", "p", "p_holm", "p_tost", "p_tost_holm", "p_models",
    "verdict", "margin", "se_items", "se_seeds", "se_units", "note",
]  # fmt: skip
_WEIGHED = ("delta", "se", "df", "low", "high", "n", "distinct", "units", "p", "se_items", "se_seeds", "se_units")
_SETS = ["analysis", "variant", "basis", "contrast", "scope"]  # Holm adjusts over the rows of one

Row = dict[str, Any]
Group = Mapping[str, Sequence[str]]  # class of tokens -> models of it that may be set against the others of the group
Cells = Mapping[str, Mapping[str, Row]]  # task -> model -> its row of comparisons
Covariances = Mapping[tuple[str, str, str], float]  # of gains under resampled items: (task, model, other)


def tokenizer_gate(
    comparisons: pd.DataFrame,
    runs: pd.DataFrame | None,
    gains: pd.DataFrame,
    tasks: pd.DataFrame,
    cards: Mapping[str, Mapping[str, Any]],
    clusters: Mapping[str, str] | None = None,
    looks: Mapping[str, Looks] | None = None,
) -> pd.DataFrame:
    """Rows of `TOKENIZER_GATE`: by analysis, variant of its tasks, basis and scope the mean gain (pretrained - random)
    of each class of tokens, and the difference of every two classes.

    `comparisons` and `runs` are of one selection, `gains` (`trends.gains`) has the covariances of the models' gains;
    where it lacks one, items count as fully dependent, which is too wide. `cards` say the tokenizer of each model.
    What has models of a single class has no rows.
    Interval, tests and word are those of `across_tasks.summarise_tasks`; the columns `_holm` adjust over the classes,
    or over their differences. A class without models has a row that says so in `note`.
    """
    judged = comparisons[(comparisons["versus"] == "random") & ~comparisons["metric"].isin(EFFECT_METRICS)]
    rows = prepare(judged, runs, task_kinds(tasks))
    rows = rows.assign(token_class=rows["model"].map({name: token_class(name, card) for name, card in cards.items()}))
    known = _covariances(gains)
    found = [
        {"analysis": analysis, "variant": variant, "basis": basis} | row
        for (analysis, variant), part in rows[rows["token_class"].notna()].groupby(["analysis", "variant"], sort=False)
        for basis, groups in _bases(part)
        for row in _contrasts(part, basis, groups, known.get((analysis, variant), {}), clusters or {},
                              (looks or {}).get(str(analysis)))
    ]  # fmt: skip
    table = pd.DataFrame(found).reindex(columns=[*TOKENIZER_GATE, "learned"])
    for name in ("p", "p_tost"):
        adjusted = table.groupby(_SETS, sort=False)[name]
        table[f"{name}_holm"] = adjusted.transform(lambda p: pd.Series(holm(p.astype(float)), p.index))
    words: list[Row] = table[["note", "p_holm", "p_tost_holm", "delta", "learned", "seeds"]].to_dict("records")  # type: ignore[assignment]
    table["verdict"] = [
        "" if row["note"]
        else decide(row["p_holm"], row["p_tost_holm"], row["delta"], learned=row["learned"], seeds=row["seeds"])
        for row in words
    ]  # fmt: skip
    return table[TOKENIZER_GATE]


def token_class(model: str, card: Mapping[str, Any]) -> str | None:
    """The class of tokens (`families.TOKEN_CLASSES`) that a model reads; None of what reads none, or others."""
    said = card.get("tokenizer")
    known = token_kind(str(said), card) if isinstance(said, str) and said else card.get("tokenizer_class")
    return known if known in TOKEN_CLASSES and not parse_model(model).side else None


def _covariances(gains: pd.DataFrame) -> dict[tuple[Any, Any], dict[tuple[str, str, str], float]]:
    """(analysis, variant) -> covariances, which are averaged over the draws of a task as their errors are."""
    known: dict[tuple[Any, Any], dict[tuple[str, str, str], float]] = {}
    if gains.empty:
        return known
    keys = ["analysis", "variant", "base_task", "model", "other"]
    means = add_name_parts(gains).groupby(keys, sort=False)["covariance"].mean()
    for (analysis, variant, task, model, other), value in zip(means.index.tolist(), means, strict=True):
        for pair in ((model, other), (other, model)):
            known.setdefault((analysis, variant), {})[(task, *pair)] = float(value)
    return known


def _bases(rows: pd.DataFrame) -> Iterator[tuple[str, list[Group]]]:
    """What is set against what: all models as published; and those of one architecture, of several classes."""
    kinds = dict(zip(rows["model"], rows["token_class"], strict=True))
    whole: dict[str, list[str]] = {}
    architectures: dict[str, dict[str, list[str]]] = {}
    for model, kind in kinds.items():
        name = parse_model(model)
        if name.reading == "published":
            architectures.setdefault(without(model, "tokenizer"), {}).setdefault(kind, []).append(model)
        if not name.qualified:
            whole.setdefault(kind, []).append(model)
    yield "models", [whole]
    yield "architecture", [group for group in architectures.values() if len(group) > 1]


def _contrasts(
    rows: pd.DataFrame, basis: str, groups: Sequence[Group], known: Covariances, clusters: Mapping[str, str],
    look: Looks | None,
) -> Iterator[Row]:  # fmt: skip
    """The gain of every class, and every difference of a class with one of shorter tokens, in each scope."""
    if len({kind for group in groups for kind in group}) < 2:
        return
    cells: dict[str, dict[str, Row]] = {}
    for row in rows[rows["delta"].notna()].to_dict("records"):
        cells.setdefault(str(row["base_task"]), {})[str(row["model"])] = row  # type: ignore[assignment]
    later = ((second, first) for first, second in combinations(TOKEN_CLASSES, 2))
    for first, second in (*((kind, "") for kind in TOKEN_CLASSES), *later):
        contrast = {"contrast": DIFFERENCE if second else GAIN, "first": first, "second": second}
        tasks = list(_by_task(cells, groups, (first, second), known))
        if tasks:
            same = contrast | _members(tasks, groups, (first, second)) | {"note": ""}
            yield from (same | row for row in _evidence(tasks, clusters, look))
        else:
            yield from (contrast | {"scope": scope, "note": _missing(basis, groups, first, second)} for scope in SCOPES)


def _missing(basis: str, groups: Sequence[Group], first: str, second: str) -> str:
    kinds = [kind for kind in filter(None, (first, second)) if not any(kind in group for group in groups)]
    what = "model" if basis == "models" else "architecture with several tokenizers"
    words = " nor one of ".join(TOKEN_CLASSES[kind] for kind in kinds)
    if not kinds:
        return f"no {what} has both arms of {TOKEN_CLASSES[first]} and of {TOKEN_CLASSES[second]} on one task"
    return f"no {what} of {words} has both arms"


def _by_task(cells: Cells, groups: Sequence[Group], pair: tuple[str, str], known: Covariances) -> Iterator[Row]:
    """A contrast on every task that has all it needs: its value, item error, and the weight of each model."""
    for task, mine in cells.items():
        weights = _weights(groups, pair, mine.keys())
        if not weights:
            continue
        names, signs = list(weights), np.array(list(weights.values()))
        used = [mine[name] for name in names]
        covariances = np.array([[known.get((task, one, other), np.nan) for other in names] for one in names])
        variance = float(signs @ covariances @ signs)  # of a difference of equal gains 0, but for rounding
        dependent = float(np.abs(signs) @ [row["se_items"] for row in used])
        learned = [row["p_learned"] for row in used if np.isfinite(row["p_learned"])]
        yield {
            **{name: used[0][name] for name in ("family", "twin", "metric", "margin")},
            "task": task, "weights": weights,
            "delta": float(signs @ [row["delta"] for row in used]), "cells": dict(zip(names, used, strict=True)),
            "se_items": dependent if np.isnan(variance) else float(np.sqrt(max(variance, 0.0))),
            "p_learned": min(1.0, min(learned) * len(learned)) if learned else np.nan,
            "seeds": np.fmin.reduce([row["drawn_seeds"] for row in used]),
        }  # fmt: skip


def _weights(groups: Sequence[Group], pair: tuple[str, str], present: Collection[str]) -> dict[str, float]:
    """Weights of models in the mean over groups of (mean of the first class - mean of the second, if there is one)."""
    signs = {kind: sign for kind, sign in zip(pair, (1.0, -1.0), strict=True) if kind}
    chosen = [{kind: [name for name in group.get(kind, ()) if name in present] for kind in signs} for group in groups]
    whole = [group for group in chosen if all(group.values())]
    return {
        name: sign / len(group[kind]) / len(whole)
        for group in whole for kind, sign in signs.items() for name in group[kind]
    }  # fmt: skip


def _evidence(tasks: Sequence[Row], clusters: Mapping[str, str], look: Looks | None) -> Iterator[Row]:
    """A row for each scope."""
    frame = pd.DataFrame([{name: value for name, value in task.items() if name != "cells"} for task in tasks])
    names = list(dict.fromkeys(name for task in tasks for name in task["weights"]))
    shares = np.array([[task["weights"].get(name, 0.0) for name in names] for task in tasks])
    arms = [
        matrix([task["cells"].get(name, {"arms": ({}, {})})["arms"][side] for task in tasks]) * shares[:, [place]]
        for place, name in enumerate(names) for side in (0, 1)
    ]  # fmt: skip
    margin = float(frame.drop_duplicates("twin")["margin"].mean())
    same = {
        "metrics": "+".join(dict.fromkeys(frame["metric"])), "margin": margin, "seeds": frame["seeds"].min(),
        "learned": any_learned(frame["p_learned"]),
    }  # fmt: skip
    shared = [clusters.get(task) for task in frame["task"]]
    for scope in SCOPES:
        evidence = weigh(
            frame["delta"].to_numpy(), frame["se_items"].to_numpy(), arms, frame["family"].tolist(),
            frame["twin"].tolist(), shared, scope=scope,
        )  # fmt: skip
        row = same | {name: getattr(evidence, name) for name in _WEIGHED}
        row |= {"scope": scope, "p_tost": evidence.p_tost(margin)}
        repeated = {"p": float(look.p(evidence)), "p_tost": float(look.p_tost(evidence, margin))} if look else {}
        yield row | repeated


def _members(tasks: Sequence[Row], groups: Sequence[Group], pair: tuple[str, str]) -> Row:
    """Who stands in a contrast, and Student's test with models as its units (Welch's; within architectures paired)."""
    from scipy import stats

    means = pd.DataFrame([{name: row["delta"] for name, row in task["cells"].items()} for task in tasks]).mean()
    kinds = [kind for kind in pair if kind]
    used = [{kind: [name for name in group.get(kind, ()) if name in means] for kind in kinds} for group in groups]
    used = [group for group in used if all(group.values())]
    members = [[name for group in used for name in group[kind]] for kind in kinds]
    p = np.nan
    if len(groups) > 1 and len(kinds) > 1:
        differences = [means[group[kinds[0]]].mean() - means[group[kinds[1]]].mean() for group in used]
        p = stats.ttest_1samp(differences, 0).pvalue if len(differences) > 1 else p
    elif all(len(names) > 1 for names in members):
        sides = [means[names] for names in members]
        p = (stats.ttest_1samp(sides[0], 0) if len(sides) == 1 else stats.ttest_ind(*sides, equal_var=False)).pvalue
    words = " against ".join(", ".join(names) for names in members)
    return {"models": sum(map(len, members)), "members": words, "p_models": float(p)}
