"""Claims of the second paper against our tables, a row per claim, model and task.

Claims are numbered S1 to S7 (S: second). A claim says of its contrast that it does not help (it holds where the
contrast is worse or equivalent, and fails where it is better), that it helps (the other way round), or that it does no
harm (it fails where the contrast is worse). Contrasts against `random` and `mean` are those of comparisons.csv, with
the draws of the random arm; others are paired by split and perturbation here, perturbations being the units. `reading`
tells the model as the paper read it (as_in_paper) from the sound one.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.evaluation.bootstrap import verdict
from foundationless.reporting.second_paper.reported import clustered_mean, inner_interval
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.names import side_of
from foundationless.study.vocabulary import DECISIONS

SCREENS = ("screen", "halves")  # bases that were learned from perturbations: another screen, the other half
# Sources of vectors that nobody pretrained, and what stands for them where the models' table does not say: both sides
# from the training data, the other half of the replicates, and the planted tables of the simulated screen.
NOT_PRETRAINED = ("training", "halves", "simulated")
BY_NAME = {"training": "training", "halves": "halves", "useful": "simulated", "useless": "simulated"}


class Claim(NamedTuple):
    """What the paper says, where, and which words of the contrast make it hold."""

    text: str
    source: str
    holds: tuple[str, ...]


NO_HELP, HELPS, NO_HARM = ("worse", "equivalent"), ("better",), ("better", "equivalent")
CLAIMS = {
    "S1": Claim("nothing beats the mean for unseen perturbations", "Fig 2a, 2c", NO_HELP),
    "S2": Claim("the additive model is better than no change", "Fig 1a", HELPS),
    "S3": Claim("no model beats the additive model on combinations", "Fig 1a", NO_HELP),
    "S4": Claim("a borrowed pretrained embedding is no better than a random one", "Fig 2c", NO_HELP),
    "S5": Claim("an embedding learned from perturbations is better than a random one", "Fig 2c", HELPS),
    "S6": Claim("no model finds interactions better than no change", "Fig 1c, ED 4", NO_HELP),
    "S7": Claim("a model's embedding in a linear model does as well as its own decoder", "Fig 2c", NO_HARM),
}
LESS_DATA = "borrowed minus fine-tuned, which trains without its validation fold"
KEYS = ["analysis", "task", "fold", "perturbation"]

Row = dict[str, Any]


def find_claims(
    comparisons: pd.DataFrame, effects: pd.DataFrame, interactions: pd.DataFrame, margins: Mapping[str, float],
    models: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> pd.DataFrame:  # fmt: skip
    """Rows of what the tables can judge. All have the parts of names; comparisons are of the study's selection.

    `models`: name -> card, which says where vectors of genes come from (`vectors`).
    """
    margin = margins["skill"]
    pairs = comparisons[(comparisons["metric"] == "skill") & comparisons["variant"].eq("")]
    plain = effects[effects["variant"].eq("")] if len(effects) else effects
    found = [*_compared(pairs, margin, models), *_additive(plain, margin), *_decoders(plain, margin)]
    found += _interactions(interactions)
    order = {name: place for place, name in enumerate(CLAIMS)}
    table = pd.DataFrame(found, columns=columns_of("p_claims"))
    return table.sort_values("item", key=lambda items: items.map(order), kind="stable").reset_index(drop=True)


def _row(item: str, arm: Mapping[Any, Any], contrast: str, numbers: tuple[float, float, float], word: str,
         **more: Any) -> Row:  # fmt: skip
    claim = CLAIMS[item]
    holds = "open" if word not in DECISIONS else "yes" if word in claim.holds else "no"
    named = {name: arm.get(name, "") for name in ("analysis", "task", "model", "reading")}
    values = dict(zip(("difference", "low", "high"), numbers, strict=True))
    row = {"item": item, "claim": claim.text, "source": claim.source, **named, "contrast": contrast, **values}
    return row | {"metric": "skill", "n": None, "vectors": "", "margin": np.nan, "verdict": word, "holds": holds} | more


def source_of(card: Mapping[str, Any], base: str) -> str:
    """Where vectors of genes come from: as a model's card says, or by its name; nothing where neither does."""
    named = BY_NAME.get(base) or ("screen" if base.startswith("screen") else "")
    return str(card.get("vectors") or named or ("network" if card.get("family") else ""))


def _compared(pairs: pd.DataFrame, margin: float, models: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """S1, S4, S5: contrasts of comparisons.csv, with its words."""
    for row in pairs[pairs["delta"].notna()].to_dict("records"):
        base, item = str(row["base"]), ""
        vectors = source_of(models.get(str(row["model"]), {}), base) if side_of(str(row["model"])) else ""
        screen = vectors in SCREENS or base.startswith(SCREENS)
        pretrained, versus = row["init"] == "pretrained", row["versus"]
        if versus == "mean" and row["analysis"] != "doubles" and pretrained and not screen:
            item = "S1"
        elif versus == "random" and pretrained and side_of(str(row["model"])):
            item = "S5" if screen else "S4" if vectors not in NOT_PRETRAINED else ""
        if item:
            word = str(row.get("verdict", ""))
            numbers = float(row["delta"]), float(row["low"]), float(row["high"])
            n = row.get("groups", np.nan)
            yield _row(item, row, f"pretrained minus {versus}", numbers, word, n=None if pd.isna(n) else int(n),
                       margin=row.get("margin", margin), vectors=vectors)  # fmt: skip


def _contrast(item: str, first: pd.DataFrame, second: pd.DataFrame, words: str, margin: float) -> Iterator[Row]:
    """Skill of the first arm minus that of the second, by task and model of the first, paired by perturbation."""
    both = first.merge(second[[*KEYS, "skill"]], on=KEYS, suffixes=("", "_other")).dropna(subset=["skill_other"])
    for _, part in both.dropna(subset=["skill"]).groupby(["analysis", "task", "model"], sort=False):
        change, groups = (part["skill"] - part["skill_other"]).to_numpy(dtype=float), part["perturbation"].to_numpy()
        numbers = clustered_mean(change, groups)
        inner = inner_interval(change, groups) if len(set(groups)) > 2 else None
        word = verdict(*numbers[1:], margin, inner)
        yield _row(item, part.iloc[0].to_dict(), words, numbers, word, n=len(set(groups)), margin=margin)


def _additive(effects: pd.DataFrame, margin: float) -> Iterator[Row]:
    """S2, S3: on combinations."""
    mine = effects[effects["analysis"] == "doubles"] if len(effects) else effects
    if mine.empty:
        return
    additive, nothing = (mine[mine["model"] == name] for name in ("additive", "no_change"))
    yield from _contrast("S2", additive, nothing, "additive minus no change", margin)
    yield from _contrast("S3", mine[mine["init"] == "pretrained"], additive, "pretrained minus additive", margin)


def _decoders(effects: pd.DataFrame, margin: float) -> Iterator[Row]:
    """S7: a network's embedding in the linear model against the network itself, fine-tuned.

    The network trains without the fold on which it stops; the linear model is fitted to all training perturbations.
    """
    if effects.empty:
        return
    mine = effects[effects["init"] == "pretrained"].assign(side=effects["model"].map(side_of))
    own = mine[mine["side"] == ""].assign(analysis="borrowed")
    for base, part in mine[(mine["analysis"] == "borrowed") & (mine["side"] != "")].groupby("base", sort=False):
        decoder = own[own["base"] == base].drop_duplicates(KEYS)
        yield from _contrast("S7", part, decoder, LESS_DATA, margin)


def _interactions(found: pd.DataFrame) -> Iterator[Row]:
    """S6: area under the precision-recall curve of interactions, against that of no change; no interval."""
    if found.empty:
        return
    areas = found[(found["what"] == "auc") & (found["name"] == "auprc")]
    for (analysis, task), part in areas.groupby(["analysis", "task"], sort=False):
        reference = part.loc[part["model"] == "no_change", "y"]
        for row in part[part["init"] == "pretrained"].to_dict("records") if len(reference) else ():
            change = float(row["y"]) - float(reference.iloc[0])
            arm = {"analysis": analysis, "task": task, "model": row["model"], "reading": row.get("reading", "")}
            yield _row("S6", arm, "AUPRC of interactions, pretrained minus no change", (change, np.nan, np.nan),
                       "undecided", n=row.get("n"), metric="auprc")  # fmt: skip
