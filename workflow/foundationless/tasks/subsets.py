"""Sets made from sequence sets: limits, nested shares of the training data, deduplication, permuted labels."""

import re

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.sequences import SPLITS, reverse_complement


def _units(frame: pd.DataFrame) -> pd.Series:
    """What is kept or dropped as one: a person's haplotypes, a window with its mutants, else a single row."""
    for name in ("sample", "window"):
        if name in frame.columns:
            return frame[name]
    return frame["id"]


def _ranks(units: pd.DataFrame, seed: int) -> pd.Series:
    """Rank of each unit within its label under one seeded shuffle: cutting at a higher rank only adds units."""
    shuffled = units.iloc[np.random.default_rng(seed).permutation(len(units))]
    return shuffled.groupby("label").cumcount().reindex(units.index)


def _labelled_units(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per unit, in order of appearance, with its label ("" where it has none)."""
    units = pd.DataFrame({"unit": _units(frame), "label": frame["label"].fillna("")})
    return units.drop_duplicates("unit").reset_index(drop=True)


def limit_split(frame: pd.DataFrame, split: str, size: int, seed: int) -> pd.DataFrame:
    """The set with at most `size` units in `split`, drawn at random and stratified by label.

    A unit is a row; for people a person with all haplotypes, for mutants a window with all its mutants. Since rows are
    only taken away, no group comes to stand in two splits. Quotas are proportional with the largest remainders rounded
    up, and at least one for every label if `size` allows.
    """
    if split not in SPLITS or size < 1:
        raise UserError(f"limit {split}={size}: name one of {', '.join(SPLITS)} and a number from 1.")
    inside = frame["split"] == split
    units = _labelled_units(frame[inside])
    if len(units) <= size:
        return frame
    counts = units["label"].value_counts().sort_index()
    available = counts.to_numpy()
    exact = available * size / available.sum()
    quota = np.maximum(np.floor(exact).astype(int), 1 if size >= len(counts) else 0)
    while quota.sum() > size:
        quota[np.argmax(np.where(quota > 1, quota - exact, -np.inf))] -= 1
    while quota.sum() < size:
        quota[np.argmax(np.where(quota < available, exact - quota, -np.inf))] += 1
    allowed = dict(zip(counts.index, quota, strict=True))
    kept = units.loc[_ranks(units, seed) < units["label"].map(allowed), "unit"]
    return frame[~inside | _units(frame).isin(set(kept))].reset_index(drop=True)


def training_share(frame: pd.DataFrame, percent: float, seed: int) -> pd.DataFrame:
    """The set with `percent` % of its training split (paper, Fig 3), stratified by label, at least one unit a label.

    Shares of one seed are nested: what is in 1 % is in 5 % too. Validation and test stay whole, so a share is trained
    on by its own split: folds, cut from train and validation together, would put whole validation rows into training.
    """
    inside = frame["split"] == "train"
    if not inside.any():
        raise UserError("the set has no train split to take a share of.")
    units = _labelled_units(frame[inside])
    allowed = {label: np.ceil(count * percent / 100 - 1e-9) for label, count in units["label"].value_counts().items()}
    kept = units.loc[_ranks(units, seed) < units["label"].map(allowed), "unit"]
    return frame[~inside | _units(frame).isin(set(kept))].reset_index(drop=True)


def deduplicate(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The set without leakage between splits, and the rows removed by split.

    Two sequences are the same if one equals the other or its reverse complement. What occurs in test is removed from
    train and validation, what occurs in validation from train; of repeats within a split the first stays.
    """
    if {"offset", "window"} & set(frame.columns):
        raise UserError("dedup is for classification; sets of variants and mutants repeat their windows on purpose.")
    keys = frame["sequence"].map(lambda text: min(text, reverse_complement(text)))
    order = frame["split"].map({"test": 0, "validation": 1, "train": 2})
    first = keys.loc[order.sort_values(kind="stable").index].drop_duplicates().index
    keep = frame.index.isin(first)
    removed = {split: int((~keep & (frame["split"] == split)).sum()) for split in SPLITS}
    return frame[keep].reset_index(drop=True), removed


def permute_labels(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The set with labels dealt out anew: a control that nothing can beat chance on.

    Labels are permuted among train and validation together, and among test, so class counts stay; a person's haplotypes
    keep one label.
    """
    generator = np.random.default_rng(seed)
    labels = frame["label"].copy()
    for inside in (frame["split"] != "test", frame["split"] == "test"):
        units = _labelled_units(frame[inside])
        dealt = dict(zip(units["unit"], units["label"].to_numpy()[generator.permutation(len(units))], strict=True))
        labels[inside] = _units(frame)[inside].map(dealt)
    return frame.assign(label=labels.where(labels != "", None))


def derive(frame: pd.DataFrame, derivation: str, seed: int) -> tuple[pd.DataFrame, str]:
    """Apply `pctN`, `dedup` or `permuted`; the new set and a line for the log."""
    before = len(frame)
    if match := re.fullmatch(r"pct(\d+(?:\.\d+)?)", derivation):
        if not 0 < float(match[1]) <= 100:
            raise UserError(f"derivation '{derivation}': a share lies between 0 and 100 percent.")
        frame = training_share(frame, float(match[1]), seed)
        return frame, f"{derivation}: {before - len(frame)} training rows removed"
    if derivation == "dedup":
        frame, removed = deduplicate(frame)
        return frame, "dedup removed " + ", ".join(f"{count} from {split}" for split, count in removed.items())
    if derivation == "permuted":
        return permute_labels(frame, seed), "labels permuted"
    raise UserError(f"derivation '{derivation}' is not known; it is pctN (as pct10), dedup or permuted.")


def summary(frame: pd.DataFrame) -> str:
    """Rows per split and label, for one line of a log."""
    parts = []
    for split in SPLITS:
        rows = frame[frame["split"] == split]
        if len(rows):
            counts = rows["label"].fillna("no label").value_counts().sort_index()
            parts.append(f"{split} {len(rows)} ({', '.join(f'{label} {count}' for label, count in counts.items())})")
    return "; ".join(parts)
