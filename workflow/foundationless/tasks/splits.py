"""Rows dealt into train, validation and test: by shares, by contigs, by groups that stay together."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from foundationless.data.dna import reverse_complement
from foundationless.data.reference import canonical_contig
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks.outputs.labels import strata
from foundationless.tasks.sequence_sets import SPLITS, labels_in


def shares(values: list[float]) -> dict[str, float]:
    """Shares by split; `UserError` unless there is one each, none negative, with sum 1."""
    if len(values) != len(SPLITS) or min(values) < 0 or abs(sum(values) - 1) > 1e-9:
        raise UserError(f"fractions {values} are not usable: give {len(SPLITS)} ({', '.join(SPLITS)}) that sum to 1.")
    return dict(zip(SPLITS, values, strict=True))


def legible(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose sequence holds more than N; the others are counted, and a set of nothing else is a `UserError`."""
    blank = frame["sequence"].map(lambda text: bool(text) and not text.strip("Nn")).to_numpy(dtype=bool)
    if not blank.any():
        return frame
    if blank.all():
        raise UserError(f"none of the {len(frame)} sequences holds an A, C, G or T; check places and genome.")
    tell(f"{blank.sum()} of {len(frame)} sequences hold no A, C, G or T: left out")
    return frame[~blank].reset_index(drop=True)


def texts(sequences: Iterable[str]) -> pd.Series:
    """A number for every sequence [rows], equal where one is another, or its reverse complement."""
    spelled = (min(text, reverse_complement(text)) for text in sequences)
    # Of gene bodies the letters would be kept twice.
    return pd.Series(pd.factorize(np.array([hashlib.sha256(text.encode()).hexdigest() for text in spelled]))[0])


def named_by_text(sequences: Iterable[str], names: Iterable[str]) -> list[str]:
    """For every row the name of the first that holds its sequence, on either strand: identical sequences are one."""
    rows = pd.DataFrame({"text": texts(sequences), "name": list(names)})
    return rows.groupby("text")["name"].transform("first").tolist()


def joined_by_text(sequences: Iterable[str], groups: Iterable[str]) -> list[str]:
    """For every row its group, or the first of those that are linked to it by sequences that they share."""
    rows = pd.DataFrame({"text": texts(sequences), "group": list(groups)})
    groups_at, names = pd.factorize(rows["group"])
    links = coo_array((np.ones(len(rows)), (groups_at, rows["text"] + len(names))), shape=(len(names) + len(rows),) * 2)
    rows["component"] = connected_components(links, directed=False)[1][groups_at]
    return rows.groupby("component")["group"].transform("first").tolist()


def draw_splits(strata: Iterable[str], groups: Iterable[str], fractions: Mapping[str, float], seed: int) -> np.ndarray:
    """A split for every row [rows], stratified, no group in two splits.

    A group counts to the stratum of its first row. Within a stratum, groups are put in a seeded random order and dealt
    out by the position of their middle row, so each split gets its share to within half a group.
    """
    rows = pd.DataFrame({"stratum": list(strata), "group": list(groups)})
    by_group = rows.groupby("group", sort=True)["stratum"].agg(["first", "size"])
    generator = np.random.default_rng(seed)
    names, bounds = list(fractions), np.cumsum(list(fractions.values()))[:-1]
    chosen: dict[str, str] = {}
    for _, members in by_group.groupby("first", sort=True):
        order = generator.permutation(len(members))
        sizes = members["size"].to_numpy()[order]
        middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
        for group, place in zip(members.index[order], np.searchsorted(bounds, middles, side="right"), strict=True):
            chosen[group] = names[place]
    return rows["group"].map(chosen).to_numpy(dtype=object)


def with_validation(frame: pd.DataFrame, group: str, part: float, seed: int) -> pd.DataFrame:
    """A set without a validation split, with that part of its train rows as one, stratified by class; no `group` in
    both."""
    if "validation" in set(frame["split"]):
        return frame
    train = frame[frame["split"] == "train"]
    frame.loc[train.index, "split"] = draw_splits(
        strata(train), train[group], {"train": 1 - part, "validation": part}, seed
    )
    return frame


def check_taught(frame: pd.DataFrame) -> None:
    """`UserError` for a label of validation or test that no training row has: nobody could learn it.

    Of labels with outputs `outputs.labels.check_outputs` says what must be there.
    """
    if labels_in(frame)[0] != CLASSES:
        return
    taught = set(frame.loc[frame["split"] == "train", "label"])
    strange = frame[~frame["label"].isin(taught)]
    if not strange.empty:
        row = strange.iloc[0]
        raise UserError(
            f"{len(strange)} rows, the first '{row['id']}', have labels ('{row['label']}') that no training row has "
            f"({', '.join(sorted(taught)[:8])}); name them alike."
        )


def contig_splits(contigs: pd.Series, test: list[str], validation: list[str], where: str) -> np.ndarray:
    """A split for every row [rows] by its contig; `UserError` where one named holds no row, or is named for both."""
    held = contigs.map(canonical_contig)
    if both := [name for name in validation if canonical_contig(name) in set(map(canonical_contig, test))]:
        raise UserError(f"{where}: contig '{both[0]}' is named for test and for validation; leave it out of one.")
    for name in [*test, *validation]:
        if canonical_contig(name) not in set(held):
            raise UserError(
                f"{where}: no sequence lies on contig '{name}'; it has {', '.join(sorted(set(contigs))[:8])}."
            )
    in_test, in_validation = (held.isin([canonical_contig(name) for name in names]) for names in (test, validation))
    return np.where(in_test, "test", np.where(in_validation, "validation", "train")).astype(object)


def split_rows(frame: pd.DataFrame, options: dict[str, Any], seed: int, where: str) -> pd.DataFrame:
    """The rows (`id`, `sequence`, `label`, `contig`) with a split: by `test_contigs` and `validation_contigs` where
    given, else by `fractions`, with identical sequences kept together.

    By contigs, what test holds too is left out of training and validation, and what validation holds of training.
    """
    if not options["test_contigs"]:
        groups = named_by_text(frame["sequence"], frame["id"])
        return frame.assign(split=draw_splits(strata(frame), groups, shares(options["fractions"]), seed))
    frame = frame.assign(
        split=contig_splits(frame["contig"], options["test_contigs"], options["validation_contigs"], where)
    )
    rank = frame["split"].map({"train": 0, "validation": 1, "test": 2})
    torn = rank < rank.groupby(texts(frame["sequence"]).to_numpy()).transform("max")
    if torn.any():
        tell(f"{where}: {torn.sum()} sequences on contigs of an earlier split stand on those of a later: left out")
    return frame[~torn].reset_index(drop=True)


def cap_classes(frame: pd.DataFrame, classes: list[str], largest: int, smallest: int, seed: int) -> pd.DataFrame:
    """Rows of `classes` (empty: of all), at most `largest` a class drawn at random (0: all); classes with fewer than
    `smallest` rows are left out."""
    if absent := [name for name in classes if name not in set(frame["label"])]:
        known = ", ".join(sorted(set(frame["label"]))[:12])
        raise UserError(f"class '{absent[0]}' does not occur; the classes are {known}.")
    if classes:
        frame = frame[frame["label"].isin(classes)]
    counts = frame["label"].value_counts()
    frame = frame[frame["label"].isin(counts[counts >= smallest].index)]
    if largest:
        generator = np.random.default_rng(seed)
        keep = [
            part.index.to_numpy()[generator.permutation(len(part))[:largest]]
            for _, part in frame.groupby("label", sort=True)
        ]
        frame = frame.loc[np.sort(np.concatenate(keep))] if keep else frame
    return frame.reset_index(drop=True)
