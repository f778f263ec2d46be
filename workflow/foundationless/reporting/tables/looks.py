"""A look at a study that may stop: the words that its records have earned so far, what they cost, and what follows.

The words are those of the tables (`summarise_task`, `summarise_tasks`), from the arms alone that the verdict compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.across_tasks import summarise_tasks
from foundationless.evaluation.analysis_summary import Analysis, TaskCells, summarise_task
from foundationless.evaluation.spending import RULE, Looks
from foundationless.reporting.tables.cost_ledger import ledger
from foundationless.reporting.tables.verdict_words import PLACES
from foundationless.runtime.processes import map_forked
from foundationless.study.looks import GO_ON, STOP
from foundationless.study.vocabulary import DECIDED

COLUMNS = (
    "seeds", "first", "last", "analysis", "scope", "model", "word", "delta", "p_holm", "p_tost_holm", "hours", "unit",
    "budget", "decision", "why", "sentence",
)  # fmt: skip
REASONS = {
    "decided": "every model asked about has its word",
    "budget": "the next seed would cost more than the budget has left",
    "last": "there are no more seeds in the plan",
    "records": "there are no records of further seeds",
    "undecided": "not every model asked about has its word",
}
_ACROSS = ("p_holm", "p_tost_holm", "delta")

Look = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Whose words in which scope end a study, under which selection, for how many hours at most (None: no limit).

    `designs`: of every analysis with looks, numbers of seeds (first, last, now). `more`: whether further seeds can be
    had; of a tree of records without a workflow that is known.
    """

    scope: str
    selection: str
    designs: Mapping[str, Sequence[int]]
    budget: float | None = None
    more: bool = True


def look(
    analysis: Analysis,
    cells: Sequence[TaskCells],
    tasks: pd.DataFrame,
    clusters: Mapping[str, str],
    pretraining: pd.DataFrame,
    question: Question,
    processes: int,
) -> Look:
    """What the records of these cells say together, and whether the study stops.

    `tasks` is the task table, `clusters` names tasks that share sequences, `pretraining` are flat records of
    pretraining, which count as cost. A model without a row (predictions are missing) is undecided.
    """
    first, last, now = question.designs[analysis.name]
    summaries = list(map_forked(partial(summarise_task, analysis), cells, processes))

    def selected(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        joined = pd.concat(frames, ignore_index=True)
        return joined[joined["selection"] == question.selection] if len(joined) else joined

    comparisons = selected([one.comparisons for one in summaries])
    runs = selected([one.diagnostics["runs"] for one in summaries])
    looks = {analysis.name: Looks(first, last, now)}
    compared = len(comparisons) > 0
    across = summarise_tasks(comparisons, runs, tasks, {}, clusters, looks) if compared else comparisons
    models = _asked(cells)
    words = _words(across, question.scope, models)
    spent, next_seed, unit = _hours(pd.concat([one.records for one in summaries], ignore_index=True), pretraining, now)
    undecided = [name for name in models if words[name]["word"] not in DECIDED]
    why = _why(undecided, question, spent + next_seed, now == last)
    decision = GO_ON if why == "undecided" else STOP
    found = {
        "analysis": analysis.name, "scope": question.scope, "seeds": now, "first": first, "last": last, "models": words,
        "hours": spent, "unit": unit, "budget": question.budget, "decision": decision, "why": why,
        "designs": {name: list(design) for name, design in question.designs.items()},
    }  # fmt: skip
    return found | {"sentence": sentence(found)}


def _asked(cells: Sequence[TaskCells]) -> list[str]:
    """Models of which some task has both arms."""
    arms = {(one.task, *cell.split("/")[:2]) for one in cells for cell in one.cells}
    both = {model for task, model, init in arms if init == "pretrained" and (task, model, "random") in arms}
    return [name for name in dict.fromkeys(cell.split("/")[0] for one in cells for cell in one.cells) if name in both]


def _words(across: pd.DataFrame, scope: str, models: Sequence[str]) -> dict[str, Look]:
    """Word and numbers of each model over all plain tasks of the scope."""
    words: dict[str, Look] = {name: {"word": "undecided"} | dict.fromkeys(_ACROSS) for name in models}
    for row in across.to_dict("records"):
        whole = (row["suite"], row["family"], row["variant"], row["versus"], row["scope"])
        if whole == ("all", "", "", "random", scope) and row["model"] in words:
            numbers = {name: float(row[name]) if np.isfinite(row[name]) else None for name in _ACROSS}
            words[str(row["model"])] = {"word": str(row["verdict"])} | numbers
    return words


def _hours(records: pd.DataFrame, pretraining: pd.DataFrame, seeds: int) -> tuple[float, float, str]:
    """Hours spent, those of one more seed (the mean of those before), and their unit."""
    runs, before = (ledger(frame)[["gpu_hours", "cpu_hours"]].sum() for frame in (records, pretraining))
    unit = "gpu_hours" if runs["gpu_hours"] + before["gpu_hours"] > 0 else "cpu_hours"
    name = {"gpu_hours": "GPU-hours", "cpu_hours": "core-hours"}[unit]
    return float(runs[unit] + before[unit]), float(runs[unit]) / seeds, name


def _why(undecided: Sequence[str], question: Question, after: float, last: bool) -> str:
    if not undecided:
        return "decided"
    if last:
        return "last"
    if question.budget is not None and after > question.budget:
        return "budget"
    return "undecided" if question.more else "records"


def sentence(found: Mapping[str, Any]) -> str:
    """What a look decided, and why, in one sentence."""
    stopped = found["decision"] == STOP
    undecided = [name for name, fact in found["models"].items() if fact["word"] not in DECIDED]
    rest = f"; undecided on {found['analysis']}: {', '.join(undecided)}" if undecided else f" ({found['analysis']})"
    where = f" {PLACES[found['scope']]}" if found["why"] in ("decided", "undecided") else ""
    budget = "" if found["budget"] is None else f" of {found['budget']:g}"
    return (
        f"The study {'stopped' if stopped else 'goes on'} after {found['seeds']} of at most {found['last']} seeds, for "
        f"{REASONS[found['why']]}{where}{rest}; {found['hours']:.3g}{budget} {found['unit']} were "
        "spent on what it looked at. Looks spend the error as O'Brien and Fleming's boundaries do."
    )


def tabulate(looks: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per look and model (`COLUMNS`), looks in their order."""
    rows = [
        {"model": model, **fact} | {name: look[name] for name in COLUMNS if name in look}
        for look in sorted(looks, key=lambda look: int(look["seeds"]))
        for model, fact in look["models"].items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def designs(looks: Sequence[Mapping[str, Any]]) -> dict[str, Looks]:
    """Analysis -> its looks up to the last one."""
    last = max(looks, key=lambda look: int(look["seeds"]), default=None)
    return {str(name): Looks(*map(int, design)) for name, design in last["designs"].items()} if last else {}


def end(table: pd.DataFrame) -> dict[str, Any] | None:
    """Of a table of looks what the last one said, as the verdict says it; None where there was none."""
    if table.empty:
        return None
    last = table[table["seeds"] == table["seeds"].max()]
    row = last.iloc[0]
    undecided = last.loc[~last["word"].isin(DECIDED), "model"].astype(str).tolist()
    numbers: dict[str, Any] = {name: int(row[name]) for name in ("seeds", "first", "last")}
    return {"rule": RULE} | numbers | {
        **{name: str(row[name]) for name in ("analysis", "scope", "unit", "decision", "why", "sentence")},
        "hours": float(row["hours"]), "budget": None if pd.isna(row["budget"]) else float(row["budget"]),
        "undecided": undecided,
    }  # fmt: skip
