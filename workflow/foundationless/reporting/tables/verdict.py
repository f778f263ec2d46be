"""The machine-readable answer: does pretraining help, model by model, with the evidence behind each word.

`build` takes it from the tables of `collect_tables`, so that it is never another number than the figures'; others cite
it, or gate on it (`unmet`). Everything is said twice, side by side: of these tasks, and of tasks like these
(`vocabulary.SCOPES`). What it says in sentences comes from `verdict_words`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless import __version__
from foundationless.errors import UserError
from foundationless.evaluation.aggregate import ALPHA
from foundationless.evaluation.table_files import read_csv
from foundationless.reporting.tables import looks, own_words
from foundationless.reporting.tables.perturbation_verdict import perturbation_section
from foundationless.reporting.tables.verdict_words import sentences
from foundationless.runtime.files import read_json, write_json
from foundationless.runtime.versions import versions
from foundationless.study.config import check_schema, read_schema
from foundationless.study.names import parse_model
from foundationless.study.plan import leading
from foundationless.study.vocabulary import CEILINGS, DECISIONS, FEWEST_SEEDS, METRICS, SCOPES, TOO_FEW_SEEDS

SCHEMA_VERSION = 4
QUESTION = "Does a pretrained model do better than the same model at random initialisation?"
FAMILYWISE = (
    "Holm's adjustment holds the familywise error over the models of a scope at 5 % in each of two families of tests, "
    "those of a difference and those of equivalence; of both together it is at most 10 % (Bonferroni). The two scopes "
    "are two questions with 10 % each, as are suites, families of tasks, analyses and references."
)
LISTED_CELLS = 200
NEEDED = ("analysis", "variant", "suite", "family", "model", "versus", "scope", *(
    "delta", "low", "high", "p_holm", "p_tost_holm", "rope_within", "units", "seeds", "learned", "mde", "verdict",
    "margin", "metrics",
))  # fmt: skip
NUMBERS = ("delta", "se", "low", "high", "p_holm", "p_tost_holm", "margin")
HOURS = ("gpu_hours", "cpu_hours", "next_decimal_seeds", "next_decimal_times", "next_decimal_hours")
COUNTS = ("n", "distinct", "units", "seeds", "learned", "wins", "losses")
# Choices among things without an order, on a path that ends by itself, or that are not the last word.
NO_GRID = ("run", "epoch", "rung", "layer")
EDGES = ("low", "high")
AGREEMENT = {True: "agree", False: "contradict", None: "open"}

Fact = dict[str, Any]
Pair = dict[str, Fact | None]  # scope -> evidence, or None


def build(
    tables: Path, study: str, title: str, truths: Sequence[Mapping[str, str]] = (), own: Sequence[Path] = ()
) -> Fact:
    """The verdict on a study (see `verdict.schema.yaml` for its keys) from a directory of tables.

    A model's verdict is that of its pretrained arm against its own random arm over all tasks of `main_analysis`, one
    word per scope. `truths` is what is known to be planted (`Plan.truths`), which is set beside what was found; `own`
    are the files of `recommend_model`. A directory without the tables is a `UserError`.
    """
    across = _read(tables / "across_tasks.csv", NEEDED)
    models = _read(tables / "models.csv", ("model", "label", "kind"))
    missing = _read(tables / "missing.csv", ("analysis", "task", "model", "init", "what", "note"))
    pairs = _read(tables / "comparisons.csv", ("analysis", "task", "versus", "metric", "margin"))
    across = across.fillna({"variant": "", "family": ""})
    whole = across[across["variant"] == ""]
    everything = whole[(whole["suite"] == "all") & (whole["family"] == "")]
    analysis = main_analysis(everything, pairs)
    labels = dict(zip(models["model"], models["label"].fillna(models["model"]), strict=True))
    arms = missing[(missing["analysis"] == analysis) & missing["init"].isin(["pretrained", "random"])]
    lost = set(arms["model"]) - set(everything.loc[everything["analysis"] == analysis, "model"])
    baselines = set(models.loc[models["kind"] == "baseline", "model"])
    outside = set(models.loc[models["pretrained"] == "outside", "model"]) if "pretrained" in models else set()
    lost -= baselines
    cases = [
        _set_beside({"versus": "random", "analysis": analysis} | dict(case), labels, everything) for case in truths
    ]
    compared = {*everything["model"], *lost} - baselines  # of perturbations baselines are compared with the mean, too
    judged = [name for name in models["model"] if name in compared]
    margins = pairs[pairs["analysis"] == analysis].dropna(subset="margin").groupby("metric", sort=False)["margin"].max()
    chosen = choices(tables, analysis)
    layers = Layers(tables)
    verdict: Fact = {
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "title": title,
        "generated_from": {
            "package": __version__, "commit": versions()["commit"], "analysis": analysis, "tables": tables.name,
            "records": len(_read(tables / "records.csv", ("analysis",)).drop_duplicates(
                subset=["analysis", "task", "model", "init", "seed"])),
        },
        "question": QUESTION,
        "scopes": dict(SCOPES),
        "margins": {str(metric): float(margin) for metric, margin in margins.items()},
        "alpha": ALPHA,
        "familywise": FAMILYWISE,
        "truth": cases,
        "truth_counts": {word: sum(case["agrees"] is agrees for case in cases) for agrees, word in AGREEMENT.items()},
        "models": {
            name: _judge(name, labels[name], analysis, whole, everything)
            | {"lost": name in lost, "outside": name in outside}
            | {"edges": count_edges(chosen, [name])} | layers.of(name) for name in judged
        },
        "edges": {"models": count_edges(chosen, judged), "baselines": count_edges(chosen, baselines)},
        "rules": _rules(tables, analysis, baselines),
        "missing": {"count": len(missing), "cells": list(_cells(missing))},
    }  # fmt: skip
    path = tables / "looks.csv"
    ended = looks.end(_read(path, looks.COLUMNS)) if path.is_file() else None
    verdict |= {"looks": ended} if ended else {}
    section = perturbation_section(everything, labels, baselines, _by)
    verdict |= {"perturbation": section} if section else {}
    verdict |= {"own": [own_words.section(read_json(path), labels) for path in own]} if own else {}
    return verdict | {"sentences": sentences(verdict)}


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; make the tables with collect_tables first.")
    words = dict.fromkeys(("task", "model", "label", "variant", "family", "edge", "metrics", "next_decimal"), object)
    return read_csv(path, columns, "run collect_tables again", dtype=words)


def main_analysis(evidence: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """The analysis whose words are the study's verdict (`study.plan.leading`), by what was compared.

    From across_tasks.csv and comparisons.csv.
    """
    whole = evidence["variant"].fillna("").eq("") & evidence["suite"].eq("all") & evidence["family"].fillna("").eq("")
    judged = evidence.loc[whole & evidence["versus"].eq("random"), "analysis"].unique()
    tasks = pairs[pairs["versus"].eq("random")].groupby("analysis")["task"].agg(set)
    return leading({str(name): tasks.get(name, set()) for name in judged})


def _judge(model: str, label: str, analysis: str, whole: pd.DataFrame, everything: pd.DataFrame) -> Fact:
    mine = everything[everything["model"] == model]
    kinds = whole[(whole["model"] == model) & (whole["analysis"] == analysis) & (whole["family"] != "")]
    over = _by(mine[mine["analysis"] == analysis], "versus")
    return {
        "label": label,
        "verdict": {scope: fact and fact["verdict"] for scope, fact in over.get("random", _nothing()).items()},
        "versus_random": over.get("random"),
        "versus_baseline": over.get("baseline"),
        "families": _by(kinds[kinds["versus"] == "random"], "family"),
        "families_versus_baseline": _by(kinds[kinds["versus"] == "baseline"], "family"),
        "analyses": _by(mine[mine["versus"] == "random"], "analysis"),
    }


class Layers:
    """Which layers the evidence on frozen features rests on, and what it would be with the last ones."""

    def __init__(self, tables: Path) -> None:
        """Without the tables (older ones) and where no inner layer was kept there is nothing to say."""
        keys = ("analysis", "task", "model", "init", "split", "layer", "chosen", "last")
        self._layers, self._last = (
            _read(tables / name, columns) if (tables / name).is_file() else pd.DataFrame(columns=list(columns))
            for name, columns in (("layers.csv", keys), ("last_layer.csv", NEEDED))
        )
        rows = self._layers
        probed = rows["split"].eq("validation") & rows["analysis"].isin(self._last["analysis"])
        self._layers = rows[probed & (rows["variant"].fillna("").eq("") if "variant" in rows else True)]
        last = self._last.fillna({"variant": "", "family": ""})
        plain = (last["variant"] == "") & (last["suite"] == "all") & (last["family"] == "")
        self._last = last[plain & (last["versus"] == "random")]

    def of(self, model: str) -> Fact:
        """`layers` of a model: analysis -> depth, how often each was chosen in each arm, and evidence with the last."""
        mine, found = self._layers[self._layers["model"] == model], dict[str, Fact]()
        pairs = _by(self._last[self._last["model"] == model], "analysis")
        for analysis, part in mine.groupby("analysis", sort=False):
            if str(analysis) in pairs:
                arms = part[part["init"].isin(["pretrained", "random"]) & (part["chosen"] > 0)]
                counted = arms.groupby(["init", "layer"])["chosen"].sum()
                chosen = {
                    arm: {str(int(layer)): int(times) for layer, times in counted[arm].items()}
                    for arm in ("pretrained", "random") if arm in set(arms["init"])
                }  # fmt: skip
                facts = {"last": int(part["layer"].max()), "chosen": chosen, "last_layer": pairs[str(analysis)]}
                found[str(analysis)] = facts
        return {"layers": found} if found else {}


def _set_beside(case: Mapping[str, str], labels: Mapping[str, str], everything: pd.DataFrame) -> Fact:
    """What was planted, with what was found of it; words that decide nothing neither agree nor contradict."""
    keys = ("analysis", "model", "versus")
    mine = everything[(everything[list(keys)] == [case[key] for key in keys]).all(axis=1)]
    pair = _by(mine, "versus").get(case["versus"])
    words = {scope: fact and fact["verdict"] for scope, fact in (pair or _nothing()).items()}
    word = words["these"]
    return {
        **{key: case[key] for key in (*keys, "word", "why")}, "label": labels.get(case["model"], case["model"]),
        "found": words, "agrees": word == case["word"] if word in DECISIONS else None, "evidence": pair,
    }  # fmt: skip


def _nothing() -> Pair:
    return dict.fromkeys(SCOPES)


def _by(rows: pd.DataFrame, key: str) -> dict[str, Pair]:
    """Evidence by a column, for both scopes."""
    facts: dict[str, Pair] = {}
    for row in rows.to_dict("records"):
        facts.setdefault(str(row[key]), _nothing())[str(row["scope"])] = _fact(row)
    return facts


def _fact(row: Mapping[Any, Any]) -> Fact:
    """Evidence of one scope; what is not known is null."""
    metrics = [name for name in str(row["metrics"]).split("+") if name in METRICS]
    return (
        {name: _number(row.get(name)) for name in NUMBERS}
        | {"metrics": metrics, "detectable": detectable(row.get("mde"), row["metrics"])}
        | {"rope": {part: _number(row.get(f"rope_{part}")) for part in ("below", "within", "above")}}
        | {name: int(row[name]) if pd.notna(row.get(name)) else None for name in COUNTS}
        | {name: _number(row.get(name)) for name in HOURS}
        | {"next_decimal": str(row["next_decimal"]) if pd.notna(row.get("next_decimal")) else None}
        | {"verdict": str(row["verdict"])}
    )


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def detectable(size: Any, metrics: Any) -> float | str | None:
    """What would be found with 80 % power; `none` where no difference of such `metrics` (joined by +) is as large."""
    if size is None or pd.isna(size):
        return None
    largest = max((1 - METRICS[name].lowest for name in str(metrics).split("+") if name in METRICS), default=np.inf)
    return float(size) if size <= largest else "none"


def _cells(missing: pd.DataFrame) -> Iterator[dict[str, str]]:
    names = ("analysis", "task", "model", "init", "seed", "what", "note")
    for row in missing.head(LISTED_CELLS).to_dict("records"):
        yield {name: str(row[name]) for name in names if pd.notna(row.get(name))}


def choices(tables: Path, analysis: str) -> pd.DataFrame | None:
    """What was chosen on ordered grids for plain tasks (columns model and edge); None where no table says so."""
    path = tables / "selections.csv"
    if not path.is_file():
        return None
    frame = _read(path, ("analysis", "model", "init", "what", "split", "chosen"))
    if "edge" not in frame:
        return None
    scores = _scores(tables)
    selection = "validation" if scores is None or not len(scores) else str(scores["selection"].iloc[0])
    mine = frame[(frame["analysis"] == analysis) & frame["chosen"].astype(str).eq("True")]
    mine = mine[mine["split"].eq(selection) & mine["init"].isin(["pretrained", "random", "baseline"])]
    if "variant" in mine:
        mine = mine[mine["variant"].fillna("") == ""]
    mine = mine.assign(edge=mine["edge"].fillna(""))
    return mine[~mine["what"].isin(NO_GRID) | mine["edge"].isin(EDGES)]


def count_edges(chosen: pd.DataFrame | None, models: Iterable[str]) -> dict[str, int] | None:
    """How many choices these models rest on, and how many of them are the lowest and the highest of their grid."""
    if chosen is None:
        return None
    mine = chosen.loc[chosen["model"].isin(list(models)), "edge"]
    return {"choices": len(mine)} | {edge: int((mine == edge).sum()) for edge in EDGES}


def _scores(tables: Path) -> pd.DataFrame | None:
    path = tables / "scores.csv"
    return (
        _read(path, ("analysis", "task", "model", "init", "metric", "value", "selection")) if path.is_file() else None
    )


def _rules(tables: Path, analysis: str, baselines: set[str]) -> list[Fact]:
    """Per plain task what is reached without a model: by the best rule of the audit, and by the best baseline.

    Beside them the best pretrained arm, all on the task's own metric, or on that of the rules where they have another
    (MCC), of which arms have no interval.
    """
    scores = _scores(tables)
    if scores is None:
        return []
    mine = scores[(scores["analysis"] == analysis) & scores["value"].notna()]
    mine = mine[mine["variant"].fillna("") == ""] if "variant" in mine else mine
    path = tables / "shortcuts.csv"
    columns = ("task", "check", "against", "metric", "value", "low", "high", "threshold", "word")
    found = _read(path, columns) if path.is_file() else pd.DataFrame(columns=list(columns))
    rows = []
    for task, part in mine.groupby("task", sort=False):
        metric, part = _on_metric(part, known := found[(found["task"] == task) & (found["word"] != "unknown")])
        same = known[known["metric"] == metric].astype({"value": float})
        rivals = [name for name in baselines if parse_model(name).base not in CEILINGS]
        cheap = part[part["model"].isin(rivals)]
        pretrained = part[(part["init"] == "pretrained") & ~part["model"].isin(baselines)]
        rows.append(
            {"task": str(task), "metric": metric}
            | {"rule": _best(same, ("check", "against", "word"), ("low", "high", "threshold"))}
            | {"baseline": _best(cheap, ("model",), ("low", "high"))}
            | {"pretrained": _best(pretrained, ("model",), ("low", "high"))}
        )
    return rows


def _on_metric(scores: pd.DataFrame, rules: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The metric that rules and scores of a task have in common (its own where there is none), and the scores in it."""
    own = str(scores["metric"].iloc[0])
    others = [name for name in dict.fromkeys(rules["metric"]) if name in METRICS and name in scores]
    if own in set(rules["metric"]) or not others:
        return own, scores
    return str(others[0]), scores.assign(value=scores[others[0]], low=np.nan, high=np.nan)


def _best(rows: pd.DataFrame, words: Sequence[str], numbers: Sequence[str]) -> Fact | None:
    """The row of the highest value."""
    known = rows.dropna(subset="value")
    if known.empty:
        return None
    row = known.sort_values("value", ascending=False, kind="stable").iloc[0]
    said = {name: "" if pd.isna(row[name]) else str(row[name]) for name in words}
    return said | {name: _number(row.get(name)) for name in ("value", *numbers)}


def write(path: Path, verdict: Fact) -> None:
    """Check against the schema (`UserError`) and write."""
    check_schema(verdict, read_schema("verdict"), str(path))
    write_json(path, verdict)


def read(path: Path) -> Fact:
    """A verdict that `write` wrote; a file that is none is a `UserError`."""
    verdict: Fact = read_json(path)
    check_schema(verdict, read_schema("verdict"), str(path))
    return verdict


def select(
    verdict: Mapping[str, Any], models: Sequence[str] = (), versus: str = "random", family: str | None = None
) -> dict[str, Pair | None]:
    """Evidence of these models against a reference for both scopes, over all tasks or those of a family.

    None where a model was not compared; if none is named, of all that were or, but for missing records, would be.
    Raises `UserError` for a model or family that the verdict does not know.
    """
    known = verdict["models"]
    if odd := [name for name in models if name not in known]:
        raise UserError(f"model '{odd[0]}': not in this verdict; it judges {', '.join(known) or 'no model'}.")
    key = "families" if versus == "random" else "families_versus_baseline"
    families = dict.fromkeys(name for fact in known.values() for name in fact["families"])
    if family is not None and family not in families:
        raise UserError(f"family '{family}': not in this verdict; it knows {', '.join(families) or 'none'}.")
    chosen = {name: known[name] for name in models or known}
    facts = {name: one[f"versus_{versus}"] if family is None else one[key].get(family) for name, one in chosen.items()}
    return {name: fact for name, fact in facts.items() if models or fact is not None or known[name]["lost"]}


def unmet(
    chosen: Mapping[str, Pair | None], words: Sequence[str], scope: str = "these"
) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """Models whose verdict of a scope is none of `words`, and those that lack seeds for a word, with (has, lacks).

    One that was not compared is never met.
    """
    seeds = {word: count for count, word in TOO_FEW_SEEDS.items()}
    others, short = [], {}
    for name, pair in chosen.items():
        word = ((pair or {}).get(scope) or {}).get("verdict")
        if word in seeds and word not in words:
            short[name] = seeds[word], FEWEST_SEEDS - seeds[word]
        elif word not in words:
            others.append(name)
    return others, short
