"""What a verdict says of gene perturbations: two references at once, for one of them alone is no verdict.

A random embedding may be worse than the mean of the training perturbations, which knows nothing of the perturbed gene:
better than random, and worse than the mean, is no gain. So each arm has one answer out of both words.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from foundationless.study.vocabulary import OF_EFFECTS, SCOPES

REFERENCES = ("random", "permuted", "spectrum", "mean", "baseline")
HELPS, OPEN = "helps", "open"
# Answers in words, in the order in which they are said.
ANSWERS = {
    HELPS: "better than random and than the mean of the training perturbations",
    "worse than the mean": "worse than the mean of the training perturbations, whatever random is",
    "worse than random": "worse than a random embedding",
    "no better than the mean": "no better than the mean of the training perturbations",
    "no better than random": "no better than a random embedding",
    OPEN: "not decided",
}
ALONE = "better than the mean of the training perturbations"  # of what has no random arm
PLACES = {"these": "on these tasks", "like-these": "on tasks like these"}
RULE = (
    "An embedding helps where it is better than a random one and better than the mean of the training perturbations: a "
    "random embedding can be worse than that mean, so that being better than random is not a verdict. What a network "
    "that was pretrained here says, it says of one pretraining: another might say something else."
)

Fact = dict[str, Any]


def answer(mean: str | None, random: str | None) -> str | None:
    """One of `ANSWERS` for the words against the mean and against random (None: not compared); None without both."""
    if mean is None and random is None:
        return None
    if mean == "better" and random in ("better", None):
        return HELPS
    for word, phrase in (("worse", "worse than"), ("equivalent", "no better than")):
        for reference, said in (("the mean", mean), ("random", random)):
            if said == word:
                return f"{phrase} {reference}"
    return OPEN


def perturbation_section(
    everything: pd.DataFrame, labels: Mapping[str, str], baselines: set[str],
    by: Callable[[pd.DataFrame, str], dict[str, dict[str, Fact | None]]],
) -> Fact | None:  # fmt: skip
    """Section `perturbation` of a verdict from evidence over whole tasks; None where there is none of effects.

    `by` gives the evidence of rows by a column, for both scopes.
    """
    rows = everything[everything["analysis"].isin(OF_EFFECTS) & everything["versus"].isin(REFERENCES)]
    if rows.empty:
        return None
    analyses: dict[str, dict[str, Fact]] = {}
    for (analysis, model), part in rows.groupby(["analysis", "model"], sort=False):
        pairs = by(part, "versus")
        words = {
            scope: answer(*((pairs.get(name, {}).get(scope) or {}).get("verdict") for name in ("mean", "random")))
            for scope in SCOPES
        }
        found = {"label": labels.get(str(model), str(model)), "baseline": model in baselines}
        analyses.setdefault(str(analysis), {})[str(model)] = found | {"answer": words, "versus": pairs}
    ordered = {name: analyses[name] for name in OF_EFFECTS if name in analyses}
    said = {name: lines for name, models in ordered.items() if (lines := _sentences(name, models))}
    return {"rule": RULE, "analyses": ordered, "sentences": said}


def _sentences(analysis: str, models: Mapping[str, Fact]) -> list[str]:
    """A sentence per scope in which anything was compared."""
    lines = []
    for scope, place in PLACES.items():
        where = f"Gene perturbations ({analysis}), {place}"
        if {fact["answer"][scope] for fact in models.values()} - {None} == {OPEN}:
            lines.append(f"{where}: nothing is decided.")
            continue
        parts = []
        for word, phrase in ANSWERS.items():
            mine = [fact for fact in models.values() if fact["answer"][scope] == word]
            both = [fact["label"] for fact in mine if "random" in fact["versus"] or word != HELPS]
            alone = [fact["label"] for fact in mine if "random" not in fact["versus"] and word == HELPS]
            parts += [f"{phrase}: {_list(both)}"] if both else []
            parts += [f"{ALONE}: {_list(alone)}"] if alone else []
        if parts:
            lines.append(f"{where}, by skill: {'; '.join(parts)}.")
    return lines


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
