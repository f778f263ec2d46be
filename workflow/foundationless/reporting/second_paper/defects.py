"""Where the second paper and its code go wrong: with the defect, without it, the difference, or what is known of it.

Items are numbered P1 to P13 (P: perturbations). `difference` is with minus without. Rows with numbers are of our
tables, or of the paper's own rows where those show it; a perturbation with all its splits is the unit of every
interval. Rows without are what its text or code say: nothing that is run here has the defect.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from foundationless.evaluation.aggregate import across_clusters
from foundationless.evaluation.metrics import spearman
from foundationless.reporting.second_paper.reported import PER_ROW, SAME_LINE, SOURCES, clustered_mean, error_of_mean
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.names import side_of, without

PAIRED = "paired by split and perturbation; bootstrap of perturbations"
WIDTHS = "half widths of Student's t over rows and over perturbations; widths have no interval"
STATED = "counted in the paper's own rows"
AS_A_WHOLE = "the paper's reading as a whole: strength, centring and training set differ too"
RANKS = "rank correlation over perturbations; no interval"
TEXT, CODE, WONG = "the article", "the authors' code", "Wong et al. 2025, doi:10.1093/bioinformatics/btaf317"
# Perturbations behind Fig 2a as the text states them; its rows hold others.
SAID = {"adamson": 24, "replogle_k562": 134, "replogle_rpe1": 210}
# Every item: what it is, and where it is seen.
ITEMS = {
    "P1": ("errors over the genes with a vector, held against the mean's over all genes", CODE),
    "P2": ("random embeddings of another size and scale", CODE),
    "P3": ("rows, not perturbations, as units", CODE),
    "P4": ("mean and linear model centred on different training sets: all conditions, and those with a target among "
           "the read-out genes", CODE),
    "P5": ("validation perturbations, on which GEARS, scGPT and CPA stop, scored as test", CODE),
    "P6": ("held-out cells' own expression given to UCE and scBERT (declared)", TEXT),
    "P7": ("CPA scored on log1p of counts that are not normalised, beside a normalised layer that is not used", CODE),
    "P8": ("scGPT samples 1,536 genes a batch, so that it seldom sees the perturbed gene", CODE),
    "P9": ("perturbation embedding from the same cell line, held-out perturbations included", CODE),
    "P10": ("the target's own change scored", CODE),
    "P11": ("control cells of Adamson mislabelled in the distributed file", WONG),
    "P12": ("the text counts other perturbations than its rows hold", TEXT),
    "P13": ("L2 that follows the effect's size; additive taken for the strongest free baseline", TEXT),
}  # fmt: skip

Row = dict[str, Any]


def find_defects(effects: pd.DataFrame, rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows of every item, those without numbers too. `effects`: effects.csv with the parts of names; `rows`: theirs."""
    ours = effects[effects["variant"].eq("")] if len(effects) else effects
    found = [
        *_fewer_genes(ours), *_readings(ours), *_units(ours), *_same_line(rows.get("borrowed", pd.DataFrame())),
        *_targets(ours),
        *_counts(rows.get("unseen", pd.DataFrame())), *_sizes(ours), *_additive(ours),
    ]  # fmt: skip
    known = {row["item"] for row in found}
    found += [_row(item, "", {}, "not measured here", (np.nan,) * 5, 0) for item in ITEMS if item not in known]
    table = pd.DataFrame(found, columns=columns_of("p_defects"))
    order = list(ITEMS)
    return table.sort_values("item", key=lambda items: items.map(order.index), kind="stable").reset_index(drop=True)


def _row(item: str, more: str, arm: Mapping[str, Any], method: str, numbers: tuple[float, ...], n: int) -> Row:
    """`numbers`: with the defect, without it, difference, low, high."""
    what, source = ITEMS[item]
    named = {name: arm.get(name, "") for name in ("analysis", "task", "model", "init", "metric")}
    values = dict(zip(("with_defect", "without", "difference", "low", "high"), numbers, strict=True))
    text = f"{what} ({more})" if more else what
    return {"item": item, "what": text, **named, **values, "n": n or None, "method": method, "source": source}


def _paired(item: str, more: str, arm: Mapping[str, Any], pairs: pd.DataFrame) -> Iterator[Row]:
    """A row of paired values: columns perturbation, with_defect, without."""
    known = pairs.dropna(subset=["with_defect", "without"])
    if len(known):
        change = clustered_mean(known["with_defect"] - known["without"], known["perturbation"])
        values = float(known["with_defect"].mean()), float(known["without"].mean()), *change
        yield _row(item, more, arm, PAIRED, values, known["perturbation"].nunique())


def _fewer_genes(effects: pd.DataFrame) -> Iterator[Row]:
    """P1: skill of one arm, its error being over the genes with a vector: the mean's over all genes, or the same ones.

    The paper's reading drops read-out genes without a vector, and an L2 error is a sum over genes.
    """
    if effects.empty or "l2_mean" not in effects:
        return
    sided = effects["model"].map(side_of).eq("readout")
    mine = effects.assign(whole=error_of_mean(effects, "l2_mean"))
    read = mine[sided & (mine["reading"] == "as_in_paper") & (mine["init"] == "pretrained")]
    keys = ["analysis", "task", "model", "init"]
    for names, part in read.groupby(keys, sort=False):
        pairs = part[["perturbation"]].assign(with_defect=1 - part["l2"] / part["whole"], without=part["skill"])
        yield from _paired("P1", "", dict(zip(keys, names, strict=True)) | {"metric": "skill"}, pairs)


def _readings(effects: pd.DataFrame) -> Iterator[Row]:
    """P2: random arms under the paper's reading against the sound ones, on the perturbations that both predict.

    Dimensions, strength, scale, centring and training set differ at once, and what each does is not told apart.
    """
    if effects.empty:
        return
    mine = effects.assign(stem=[without(str(model), "reading") for model in effects["model"]])
    mine = mine[mine["init"] == "random"]
    read = mine[mine["reading"] == "as_in_paper"]
    for (analysis, task, model, stem), part in read.groupby(["analysis", "task", "model", "stem"], sort=False):
        whole = mine[(mine["model"] == stem) & (mine["reading"] == "published")]
        both = part[[*PER_ROW, "skill"]].merge(whole[[*PER_ROW, "skill"]], on=PER_ROW, suffixes=("_with", "_without"))
        both = both.rename(columns={"skill_with": "with_defect", "skill_without": "without"})
        arm = {"analysis": analysis, "task": task, "model": model, "init": "random", "metric": "skill"}
        yield from _paired("P2", AS_A_WHOLE, arm, both)


def _units(effects: pd.DataFrame) -> Iterator[Row]:
    """P3: half width of the interval of an arm's skill over rows, and over perturbations that splits share."""
    keys = ["analysis", "task", "model", "init"]
    for names, part in effects.groupby(keys, sort=False) if len(effects) else ():
        known = part[part["skill"].notna()]
        groups = known["perturbation"].nunique()
        if 1 < groups < len(known):
            values = known["skill"].to_numpy(dtype=float)
            units: tuple[list[Any], ...] = (list(range(len(known))), known["perturbation"].tolist())
            spans = [across_clusters(values, owners) for owners in units]
            naive, honest = ((over.high - over.low) / 2 for over in spans)
            arm = dict(zip(keys, names, strict=True)) | {"metric": "skill"}
            numbers = naive, honest, naive - honest, np.nan, np.nan
            yield _row("P3", "half width of the interval", arm, WIDTHS, numbers, groups)


def _same_line(rows: pd.DataFrame) -> Iterator[Row]:
    """P9: the paper's linear model with P from the same cell line against P from the other one, on its own rows."""
    column = "{}.target|pretrained|l2_top".format
    for task, part in rows.groupby("task", sort=False) if len(rows) else ():
        same = SAME_LINE.get(str(task), "")
        other = {"screen_k562": "screen_rpe1", "screen_rpe1": "screen_k562"}.get(same, "")
        if {column(same), column(other), "mean|baseline|l2_top"} <= set(part):
            mean = part["mean|baseline|l2_top"]
            pairs = pd.DataFrame({"perturbation": part["perturbation"], "with_defect": 1 - part[column(same)] / mean,
                                  "without": 1 - part[column(other)] / mean})  # fmt: skip
            arm = {"analysis": "borrowed", "task": task, "model": f"{same}.target", "init": "pretrained"}
            more = f"the paper's rows, {SOURCES['borrowed']}"
            yield from _paired("P9", more, arm | {"metric": "skill"}, pairs)


def _targets(effects: pd.DataFrame) -> Iterator[Row]:
    """P10: skill with the targets' own genes and without them."""
    if effects.empty or "skill_offtarget" not in effects:
        return
    keys = ["analysis", "task", "model", "init"]
    for names, part in effects.groupby(keys, sort=False):
        pairs = part[["perturbation"]].assign(with_defect=part["skill"], without=part["skill_offtarget"])
        yield from _paired("P10", "", dict(zip(keys, names, strict=True)) | {"metric": "skill"}, pairs)


def _counts(rows: pd.DataFrame) -> Iterator[Row]:
    """P12: perturbations behind Fig 2a, as its text says and as its rows hold (both splits)."""
    for task, part in rows.groupby("task", sort=False) if len(rows) else ():
        if task in SAID:
            said, held = SAID[str(task)], len(part)
            arm = {"analysis": "unseen", "task": task, "metric": "count"}
            more = f"its first split holds {int((part['split'] == part['split'].min()).sum())}"
            yield _row("P12", more, arm, STATED, (said, held, said - held, np.nan, np.nan), held)


def _sizes(effects: pd.DataFrame) -> Iterator[Row]:
    """P13: how far ranks of an arm's errors, and of its skills, follow the effect's size (error of no change)."""
    if effects.empty or "l2" not in effects:
        return
    plain = effects[effects["model"] == "no_change"].drop_duplicates(PER_ROW)
    sized = effects.merge(plain[[*PER_ROW, "l2"]].rename(columns={"l2": "effect"}), on=PER_ROW)
    keys = ["analysis", "task", "model", "init"]
    for names, part in sized[sized["model"] != "no_change"].groupby(keys, sort=False):
        mean = part.groupby("perturbation")[["l2", "skill", "effect"]].mean().dropna()
        if len(mean) > 2:
            l2, skill = (spearman(mean[name], mean["effect"]) for name in ("l2", "skill"))
            arm = dict(zip(keys, names, strict=True)) | {"metric": "spearman"}
            more = "rank correlation of the error with the effect's size, and of the skill"
            yield _row("P13", more, arm, RANKS, (l2, skill, l2 - skill, np.nan, np.nan), len(mean))


def _additive(effects: pd.DataFrame) -> Iterator[Row]:
    """P13: the additive baseline against the scaled one."""
    if effects.empty:
        return
    ours, scaled = (effects[effects["model"] == name] for name in ("additive", "scaled_additive"))
    both = ours.merge(scaled, on=PER_ROW, suffixes=("", "_scaled"))
    for (analysis, task), part in both.groupby(["analysis", "task"], sort=False):
        pairs = part[["perturbation"]].assign(with_defect=part["skill"], without=part["skill_scaled"])
        arm = {"analysis": analysis, "task": task, "model": "additive", "init": "baseline", "metric": "skill"}
        yield from _paired("P13", "additive against additive × α", arm, pairs)
