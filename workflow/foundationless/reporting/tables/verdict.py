"""The machine-readable answer: does pretraining help, model by model, with the evidence behind each word.

`build` takes it from the tables of `collect_tables`, so that it is never another number than the figures'; others cite
it, or gate on it (`unmet`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless import __version__
from foundationless.errors import UserError
from foundationless.evaluation.aggregate import ALPHA
from foundationless.evaluation.table_files import read_csv
from foundationless.runtime.files import read_json, write_json
from foundationless.runtime.versions import versions
from foundationless.study.config import check_schema, read_schema
from foundationless.study.vocabulary import VERDICTS

SCHEMA_VERSION = 2
QUESTION = "Does a pretrained model do better than the same model at random initialisation?"
LISTED_CELLS = 200
NEEDED = ("analysis", "variant", "suite", "family", "model", "versus", *(
    "delta", "low", "high", "p_holm", "p_tost_holm", "rope_within", "unit", "mde", "verdict", "margin"
))  # fmt: skip
NUMBERS = ("delta", "se", "low", "high", "p_holm", "p_tost_holm", "mde")
COUNTS = ("n", "distinct", "families", "wins", "losses")

Fact = dict[str, Any]


def build(tables: Path, study: str, title: str) -> Fact:
    """The verdict on a study (see `verdict.schema.yaml` for its keys) from a directory of tables.

    A model's verdict is that of its pretrained arm against its own random arm over all tasks of fine-tuning, or of the
    analysis with most tasks where nothing is fine-tuned. A directory without the tables is a `UserError`.
    """
    across = _read(tables / "across_tasks.csv", NEEDED)
    models = _read(tables / "models.csv", ("model", "label", "kind"))
    missing = _read(tables / "missing.csv", ("analysis", "task", "model", "init", "what", "note"))
    across = across.fillna({"variant": "", "family": ""})
    whole = across[across["variant"] == ""]
    everything = whole[(whole["suite"] == "all") & (whole["family"] == "")]
    analysis = _main_analysis(everything)
    labels = dict(zip(models["model"], models["label"].fillna(models["model"]), strict=True))
    arms = missing[(missing["analysis"] == analysis) & missing["init"].isin(["pretrained", "random"])]
    lost = set(arms["model"]) - set(everything.loc[everything["analysis"] == analysis, "model"])
    lost -= set(models.loc[models["kind"] == "baseline", "model"])
    judged = [name for name in models["model"] if name in {*everything["model"], *lost}]
    margin = float(across["margin"].iloc[0]) if len(across) else None
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
        "margin": margin,
        "alpha": ALPHA,
        "models": {name: _judge(name, labels[name], analysis, whole, everything) | {"lost": name in lost}
                   for name in judged},
        "missing": {"count": len(missing), "cells": list(_cells(missing))},
    }  # fmt: skip
    return verdict | {"sentences": sentences(verdict)}


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; make the tables with collect_tables first.")
    words = dict.fromkeys(("task", "model", "label", "variant", "family"), object)
    return read_csv(path, columns, "run collect_tables again", dtype=words)


def _main_analysis(everything: pd.DataFrame) -> str:
    mine = everything[everything["versus"] == "random"]
    if mine.empty or (mine["analysis"] == "finetune").any():
        return "finetune"
    return str(mine.sort_values("n", ascending=False, kind="stable")["analysis"].iloc[0])


def _judge(model: str, label: str, analysis: str, whole: pd.DataFrame, everything: pd.DataFrame) -> Fact:
    mine = everything[everything["model"] == model]
    kinds = whole[(whole["model"] == model) & (whole["analysis"] == analysis) & (whole["family"] != "")]
    over = _by(mine[mine["analysis"] == analysis], "versus")
    return {
        "label": label,
        "verdict": over["random"]["verdict"] if "random" in over else None,
        "versus_random": over.get("random"),
        "versus_baseline": over.get("baseline"),
        "families": _by(kinds[kinds["versus"] == "random"], "family"),
        "families_versus_baseline": _by(kinds[kinds["versus"] == "baseline"], "family"),
        "analyses": _by(mine[mine["versus"] == "random"], "analysis"),
    }


def _by(rows: pd.DataFrame, key: str) -> dict[str, Fact]:
    return {str(row[key]): _fact(row) for row in rows.to_dict("records")}


def _fact(row: Mapping[Any, Any]) -> Fact:
    """Evidence of one scope; what is not known is null."""
    return (
        {name: _number(row.get(name)) for name in NUMBERS}
        | {"rope": {part: _number(row.get(f"rope_{part}")) for part in ("below", "within", "above")}}
        | {name: int(row[name]) if pd.notna(row.get(name)) else None for name in COUNTS}
        | {"unit": str(row["unit"]), "verdict": str(row["verdict"])}
    )


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _cells(missing: pd.DataFrame) -> Iterator[dict[str, str]]:
    names = ("analysis", "task", "model", "init", "seed", "what", "note")
    for row in missing.head(LISTED_CELLS).to_dict("records"):
        yield {name: str(row[name]) for name in names if pd.notna(row.get(name))}


def sentences(verdict: Mapping[str, Any]) -> list[str]:
    """Three sentences: who is better, by how much, and what the data could have shown."""
    judged = {name: fact for name, fact in verdict["models"].items() if fact["versus_random"]}
    margin = verdict["margin"]
    if not judged or margin is None:
        return ["No model has both arms, so nothing is judged.", "No difference was measured.", _missing(verdict)]
    facts = [fact["versus_random"] for fact in judged.values()]
    by_word = {word: [fact["label"] for fact in judged.values() if fact["verdict"] == word] for word in VERDICTS}
    same = f"makes no difference (within ±{margin:g}) for"
    words = {"better": "helps", "equivalent": same, "worse": "hurts", "undecided": "remains undecided for"}
    parts = [f"{words[word]} {_list(names)}" for word, names in by_word.items() if names]
    n, distinct, families = (max(fact[name] or 0 for fact in facts) for name in ("n", "distinct", "families"))
    least = min(fact["n"] or 0 for fact in facts)  # models whose tasks are missing have fewer
    most = f"{least} to " if least < n else ""
    first = (
        f"Over {most}{_count(n, 'task')} ({distinct} distinct, in {_count(families, 'family', 'families')}), compared "
        f"with random initialisation of the same model, pretraining {'; '.join(parts)}."
    )
    if lost := [fact["label"] for fact in verdict["models"].values() if fact["lost"]]:
        first = f"{first[:-1]}; not compared for want of records: {_list(lost)}."
    return [first, _sizes(judged), _power(facts, margin) + " " + _missing(verdict)]


def _sizes(judged: Mapping[str, Any]) -> str:
    ordered = sorted((fact for fact in judged.values() if fact["versus_random"]["delta"] is not None), key=_delta)
    if not ordered:
        return "No difference was measured."
    shown = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    said = " to ".join(f"{_signed(_delta(one))} {_interval(one['versus_random'])} for {one['label']}" for one in shown)
    beaten = [fact["label"] for fact in ordered if (fact["versus_baseline"] or {}).get("verdict") == "better"]
    known = sum(fact["versus_baseline"] is not None for fact in ordered)
    baseline = f"; {len(beaten)} of {known} are better than the best baseline" if known else ""
    return f"The mean difference is {said} (95 % intervals){baseline}."


def _power(facts: Sequence[Mapping[str, Any]], margin: float) -> str:
    sizes = [fact["mde"] for fact in facts if fact["mde"] is not None]
    if not sizes:
        return "What difference these data could have shown is not known."
    low, high = min(sizes), max(sizes)
    size = f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"
    shown = f"With a power of 80 % these data would show a difference of {size} (adjusted over models)"
    return f"{shown}; ±{margin:g} counts as none."


def _missing(verdict: Mapping[str, Any]) -> str:
    count = verdict["missing"]["count"]
    return f"{_count(count, 'cell') if count else 'No cell'} of the design {'are' if count > 1 else 'is'} missing."


def _delta(fact: Mapping[str, Any]) -> float:
    return float(fact["versus_random"]["delta"])


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _interval(fact: Mapping[str, Any]) -> str:
    return "[no interval]" if fact["low"] is None else f"[{_signed(fact['low'])}, {_signed(fact['high'])}]"


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


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
) -> dict[str, Fact | None]:
    """Evidence of these models against a reference, over all tasks or those of a family.

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


def unmet(chosen: Mapping[str, Fact | None], words: Sequence[str]) -> list[str]:
    """Models whose verdict is none of `words`; one that was not compared is never met."""
    return [name for name, fact in chosen.items() if fact is None or fact["verdict"] not in words]


def describe(verdict: Mapping[str, Any], chosen: Mapping[str, Fact | None]) -> str:
    """The chosen evidence as an aligned text table, and the sentences."""
    rows = [("model", "verdict", "delta", "95 % interval", "unit", "tasks", "detectable")]
    for name, fact in chosen.items():
        label = verdict["models"][name]["label"]
        if fact is None:
            rows.append((label, "not compared", "", "", "", "", ""))
            continue
        size = "" if fact["mde"] is None else f"{fact['mde']:.3f}"
        delta = "" if fact["delta"] is None else _signed(fact["delta"])
        rows.append((label, fact["verdict"], delta, _interval(fact), fact["unit"], str(fact["n"]), size))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *verdict["sentences"]])
