"""Splits that are made here: of one file with all rows, so that nothing near to a test row is learned from.

A *cluster* is what is linked by near duplicates or overlapping windows (`leakage`), on either strand, directly or by
way of others. Rows of one cluster, or of one group that a user names, go to one split.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks import leakage
from foundationless.tasks.outputs.labels import strata
from foundationless.tasks.sequence_sets import SPLITS, labels_in
from foundationless.tasks.splits import draw_splits, joined_by_text, named_by_text, shares

LARGEST = 0.1  # share of the rows of a group beyond which it goes to training, whatever is drawn
WORDS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "te", "holdout"), "test"),
}


def clusters(sequences: Sequence[str], kmer: int = leakage.KMER, similarity: float = leakage.SIMILARITY) -> np.ndarray:
    """A number for every sequence [rows], equal where near duplicates or overlapping windows link one to the other."""
    names = np.asarray(named_by_text(sequences, map(str, range(len(sequences)))), dtype=np.int64)
    distinct, places = np.unique(names, return_inverse=True)
    texts = [sequences[number] for number in distinct]
    edges = leakage.links(texts, kmer, similarity)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(texts), len(texts)))
    numbers: np.ndarray = connected_components(graph, directed=False)[1][places]
    return numbers


def deal(frame: pd.DataFrame, options: dict[str, Any], seed: int, where: str) -> pd.DataFrame:
    """The rows (`id`, `sequence`, `label`, perhaps `group` and `split`) with the columns split and group.

    A column `split` is taken as it is; otherwise splits are drawn as the option `deal` says, by the column `group`
    where there is one, and by clusters where there is none. Rows that are dealt out each by itself keep the groups that
    they would have otherwise, for what is alike is right or wrong together. `UserError` where a split, or a
    class of it, is without rows.
    """
    usual = "groups" if "group" in frame else "clusters"
    how = options["deal"] or usual
    if how == "groups" and "group" not in frame:
        raise UserError(f"{where}: deal=groups needs a column of groups; name it by the option group.")
    if "split" in frame:
        frame = _as_given(frame, options, seed, where)
        groups = list(frame["group"] if "group" in frame else frame["id"])
    else:
        frame = frame.reset_index(drop=True)
        groups = _groups(frame, usual if how == "rows" else how)
        units = frame["id"].tolist() if how == "rows" else groups
        frame["split"] = draw(strata(frame), units, options["fractions"], seed, where)
        tell(f"{where}: {len(frame)} rows in {len(set(units))} {_NAMES[how]} were dealt out")
    frame["group"] = joined_by_text(frame["sequence"], groups)
    check_whole(frame, where)
    return frame


_NAMES = {
    "clusters": "clusters of similar sequences",
    "groups": "groups",
    "identical": "distinct sequences",
    "rows": "rows, each by itself",
}


def _groups(frame: pd.DataFrame, how: str) -> list[str]:
    if how == "identical":
        return named_by_text(frame["sequence"], frame["id"])
    if how == "groups":
        return joined_by_text(frame["sequence"], frame["group"])
    return [f"cluster_{number}" for number in clusters(frame["sequence"].tolist())]


def _as_given(frame: pd.DataFrame, options: dict[str, Any], seed: int, where: str) -> pd.DataFrame:
    """The rows with their own splits under our names; a validation split is drawn from train where there is none."""
    words = frame["split"].str.strip().str.lower().map(WORDS)
    if (odd := words.isna()).any():
        raise UserError(
            f"{where}: '{frame.loc[odd, 'split'].iloc[0]}' in the column of the split is none of train, validation and "
            "test."
        )
    frame = frame.assign(split=words).reset_index(drop=True)
    if missing := {"train", "test"} - set(words):
        raise UserError(f"{where}: no row is in the split '{min(missing)}'; leave the column of the split out.")
    if "validation" not in set(words):
        train = frame[frame["split"] == "train"]
        groups = _groups(train, options["deal"] or ("groups" if "group" in frame else "clusters"))
        part = options["fractions"][1] / (options["fractions"][0] + options["fractions"][1])
        dealt = draw(strata(train), groups, [1 - part, part, 0.0], seed, where)
        frame.loc[train.index, "split"] = dealt
    return frame


def draw(labels: Any, groups: Any, fractions: list[float], seed: int, where: str) -> np.ndarray:
    """A split for every row [rows], no group torn; groups of more than `LARGEST` of the rows are in training.

    `UserError` where what is left is too little for validation and test.
    """
    wanted, labels, groups = shares(fractions), np.asarray(labels), np.asarray(groups)
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    large = (sizes > max(1, LARGEST * len(groups)))[places]
    rest = int((~large).sum())
    held_out = {split: wanted[split] * len(groups) for split in ("validation", "test")}
    if sum(held_out.values()) > rest:
        raise UserError(
            f"{where}: {large.sum()} of {len(groups)} rows belong to groups, or clusters of similar sequences, of more "
            f"than {LARGEST:.0%} of the rows, which are never tested on, so that too few are left to test on; name "
            "smaller groups by a column, or give a column of splits."
        )
    chosen = np.full(len(groups), "train", dtype=object)
    if rest:
        parts = {split: number / rest for split, number in held_out.items()}
        parts = {"train": 1 - sum(parts.values()), **parts}
        chosen[~large] = draw_splits(labels[~large], groups[~large], {name: parts[name] for name in SPLITS}, seed)
    return chosen


def check_whole(frame: pd.DataFrame, where: str) -> None:
    """`UserError` unless every class has rows of every split; of labels with outputs unless every split has rows."""
    if labels_in(frame)[0] != CLASSES:
        if empty := [split for split in SPLITS if not (frame["split"] == split).any()]:
            raise UserError(
                f"{where}: of its {len(frame)} rows none is in {empty[0]}; give more rows, smaller groups, or a column "
                "of splits."
            )
        return
    counts = pd.crosstab(frame["label"], frame["split"]).reindex(columns=list(SPLITS), fill_value=0)
    for label, row in counts.iterrows():
        if empty := [split for split in SPLITS if not row[split]]:
            raise UserError(
                f"{where}: no row of class '{label}' is in {empty[0]}, of its {row.sum()} rows; there are too few of "
                "that class, or of its groups: leave it out, or give more rows or a column of splits."
            )
