"""The claim of the version of ICLR 2026, beside those of the preprint: gains of pretraining are gated by the tokenizer.

It says that models that read characters gain little, and those that read k-mers or byte pairs something. So of
characters the claim is the preprint's, that pretraining does not help, and of the others, and of their difference with
characters, that it does: these hold where the contrast is `better`, and fail where it is `worse` or `equivalent`. Rows
are those of the table `tokenizer_gate` on tasks like these, or on these where a single family has no others; `model`
is the class, or the two.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.trends.tokenizer_gate import GAIN
from foundationless.reporting.paper.claims import HOLDS
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.families import TOKEN_CLASSES

SOURCE = "ICLR 2026"
WHERE = {  # analysis and basis -> where the claim is asked
    ("finetune", "models"): "fine-tuned",
    ("biotype", "models"): "frozen",
    ("frozen", "models"): "frozen",  # where biotypes say nothing
    ("tokenizer", "models"): "fine-tuned, models of the tokenizer ablation",
    ("finetune", "architecture"): "fine-tuned, the architecture the same",
    ("tokenizer", "architecture"): "fine-tuned, the architecture the same (ablation)",
}
CURED = {"biotype": "matched"}  # variant of its tasks that has the defect no more
SELECTIONS = ("test", "validation")  # the paper's, and ours


def gate_claims(gate: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Rows of claims.csv; `gate` makes the table `tokenizer_gate` of a selection."""
    rows = [row | {"selection": selection} for selection in SELECTIONS for row in _rows(gate(selection), selection)]
    table = pd.DataFrame(rows, columns=columns_of("claims"))
    order = {claim: place for place, claim in enumerate(dict.fromkeys(table["claim"]))}
    return table.sort_values("claim", key=lambda claims: claims.map(order), kind="stable").reset_index(drop=True)


def _rows(gate: pd.DataFrame, selection: str) -> Iterator[dict[str, Any]]:
    told: set[str] = set()
    for (analysis, basis), place in WHERE.items():
        if place in told:
            continue
        mine = gate[(gate["analysis"] == analysis) & (gate["basis"] == basis) & gate["delta"].notna()]
        mine = mine[mine["second"].isin(["", "character"])]  # of k-mers and byte pairs it says nothing
        cured = mine[mine["variant"] == CURED.get(analysis)] if selection == "validation" else mine.iloc[:0]
        mine = cured if len(cured) else mine[mine["variant"] == ""]
        told |= {place} if len(mine) else set()
        for (contrast, first, second), scopes in mine.groupby(["contrast", "first", "second"], sort=False):
            known = scopes[np.isfinite(scopes["low"].astype(float))]
            wider = known[known["scope"] == "like-these"]
            row = (wider if len(wider) else known if len(known) else scopes).iloc[0]
            yield _claim(row.to_dict(), place, str(contrast), str(first), str(second), bool(len(cured)))


def _claim(row: Mapping[Any, Any], place: str, contrast: str, first: str, second: str, cured: bool) -> dict[str, Any]:
    """One claim: of characters that nothing helps, of the others that something does."""
    one, other = TOKEN_CLASSES[first], TOKEN_CLASSES.get(second, "")
    helps = contrast != GAIN or first != "character"
    gains = f"more than with {other}" if second else "something" if helps else "little"
    words = f"gain of {one} minus {other}," if second else "mean over models of"
    words = f"{words} pretrained minus its own random self ({row['members']}){', lengths matched' if cured else ''}"
    word = str(row["verdict"])
    holds = {"yes": "no", "no": "yes", "open": "open"}[HOLDS[word]] if helps else HOLDS[word]
    return {
        "claim": f"{place}: with {one} pretraining gains {gains}", "source": SOURCE,
        "model": f"{first} against {second}" if second else first,
        "contrast": words, "metric": row["metrics"], "difference": row["delta"], "low": row["low"],
        "high": row["high"], "n": row["n"], "margin": row["margin"], "verdict": word, "holds": holds,
    }  # fmt: skip
