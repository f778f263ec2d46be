"""Sets made from sequence sets: limits, nested shares and shots of the training data, cures of leakage, controls."""

import re
from itertools import combinations

import numpy as np
import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.study.vocabulary import CLASSES
from foundationless.tasks.draws import draw_ranks, labelled_units, ranks_of, units_of
from foundationless.tasks.leakage import audit
from foundationless.tasks.outputs.labels import SHOWN, named
from foundationless.tasks.sequence_sets import JOINED, SPLITS, labels_in
from foundationless.tasks.splits import draw_splits


def limit_split(frame: pd.DataFrame, split: str, size: int, seed: int) -> pd.DataFrame:
    """The set with at most `size` units in `split`, drawn at random and stratified by class.

    A unit is a row; for people a person with all haplotypes, for mutants a window with all its mutants. Since rows are
    only taken away, no group comes to stand in two splits. Rows that `joined` the set (`readers.transfer`) stay beside
    the `size` others. Quotas are proportional with the largest remainders rounded up, and at least one for every label
    if `size` allows.
    """
    if split not in SPLITS or size < 1:
        raise UserError(f"limit {split}={size}: name one of {', '.join(SPLITS)} and a number from 1.")
    inside = frame["split"] == split
    if JOINED in frame.columns:
        inside &= ~frame[JOINED].fillna(False).astype(bool)
    units = labelled_units(frame[inside])
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
    kept = units.loc[ranks_of(units, seed) < units["label"].map(allowed), "unit"]
    return frame[~inside | units_of(frame).isin(set(kept))].reset_index(drop=True)


def _keep_training(frame: pd.DataFrame, allowed: dict[str, float], seed: int, draw: int) -> pd.DataFrame:
    """The set with so many training units of each label, the first in the order that `seed` and `draw` give."""
    inside = frame["split"] == "train"
    units = labelled_units(frame[inside])
    kept = units.loc[draw_ranks(units, seed, draw) < units["label"].map(allowed), "unit"]
    return frame[~inside | units_of(frame).isin(set(kept))].reset_index(drop=True)


def _training_counts(frame: pd.DataFrame) -> dict[str, int]:
    """Training units of each label."""
    inside = frame["split"] == "train"
    if not inside.any():
        raise UserError("the set has no train split to take a share of.")
    counts = labelled_units(frame[inside])["label"].value_counts()
    return {str(label): int(count) for label, count in counts.items()}


def training_share(frame: pd.DataFrame, percent: float, seed: int, draw: int = 0) -> pd.DataFrame:
    """The set with `percent` % of its training split (paper, Fig 3), stratified by class, at least one unit a class.

    Shares of one seed and draw are nested: what is in 1 % is in 5 % too. Validation and test stay whole, so a share is
    trained on by its own split: folds, cut from train and validation together, would put whole validation rows into
    training.
    """
    counts = _training_counts(frame)
    allowed = {label: np.ceil(count * percent / 100 - 1e-9) for label, count in counts.items()}
    return _keep_training(frame, allowed, seed, draw)


def training_shots(frame: pd.DataFrame, shots: int, seed: int, draw: int = 0) -> pd.DataFrame:
    """The set with `shots` training units of each label (all where there are fewer); nested in `shots`."""
    _of_classes(frame, "shotN")
    return _keep_training(frame, dict.fromkeys(_training_counts(frame), shots), seed, draw)


def _of_classes(frame: pd.DataFrame, derivation: str) -> None:
    if labels_in(frame)[0] != CLASSES:
        raise UserError(f"derivation {derivation} draws rows of each class, and labels here are {labels_in(frame)[0]}.")


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
        units = labelled_units(frame[inside], as_strata=False)
        dealt = dict(zip(units["unit"], units["label"].to_numpy()[generator.permutation(len(units))], strict=True))
        labels[inside] = units_of(frame)[inside].map(dealt)
    return frame.assign(label=labels.where(labels != "", None))


_LENGTH_RATIO = 1.2  # lengths of one bin differ by less than this factor


def match_lengths(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """The set with the same lengths in every class, so that length says nothing, and the classes it had to leave out.

    Within each split and each bin of lengths (up to 20 % apart) as many rows of every class are drawn as the rarest
    class has. Classes without common lengths cannot be matched (snRNA of 150 and genes of 50,000 bases): of all sets of
    two classes or more, the one is taken that keeps the most rows in every split; classes outside it go.
    """
    if {"sample", "window", "offset"} & set(frame.columns):
        raise UserError("matched is for classification of single sequences, not for people, variants or mutants.")
    _of_classes(frame, "matched")
    bins = np.floor(np.log(frame["sequence"].str.len()) / np.log(_LENGTH_RATIO)).astype(int)
    counts = pd.crosstab([frame["split"], bins], frame["label"])
    splits = counts.index.get_level_values(0)
    classes = list(counts.columns)

    def kept_rows(chosen: tuple[str, ...]) -> tuple[bool, int, int]:
        rarest = counts[list(chosen)].min(axis=1)
        everywhere = bool((rarest.groupby(splits).sum() > 0).all())
        return everywhere, len(chosen) * int(rarest.sum()), len(chosen)

    tried = [tuple(classes)]
    # All subsets for few classes; for many, one class after the other is left out, each time the best to lose.
    if len(classes) <= 12:
        tried = [part for size in range(2, len(classes) + 1) for part in combinations(classes, size)]
    else:
        while len(tried[-1]) > 2:
            tried.append(max((tuple(c for c in tried[-1] if c != out) for out in tried[-1]), key=kept_rows))
    best = max(tried, key=kept_rows, default=())
    if len(best) < 2 or not kept_rows(best)[0]:
        raise UserError(
            "matched: no two classes have sequences of the same length in every split; nothing would be left."
        )
    quota = counts[list(best)].min(axis=1)
    generator = np.random.default_rng(seed)
    shuffled = pd.DataFrame({"split": frame["split"], "bin": bins, "label": frame["label"]})
    shuffled = shuffled.iloc[generator.permutation(len(frame))]
    ranks = shuffled.groupby(["split", "bin", "label"]).cumcount().reindex(frame.index)
    allowed = quota.reindex(pd.MultiIndex.from_arrays([frame["split"], bins])).to_numpy()
    keep = frame["label"].isin(best) & (ranks < allowed)
    return frame[keep].reset_index(drop=True), [name for name in classes if name not in best]


def distant_test(frame: pd.DataFrame) -> pd.DataFrame:
    """The set without test rows of which train or validation hold near duplicates or overlapping windows (`audit`)."""
    rows, _ = audit(frame)
    known = (rows["split"] == "test") & (rows["near"] | rows["collinear"])
    made = frame[~known.to_numpy()].reset_index(drop=True)
    if not (made["split"] == "test").any():
        raise UserError(
            "distant: every test row has a near duplicate or an overlapping window in train or validation; none would "
            "be left."
        )
    return made


def derive(frame: pd.DataFrame, derivation: str, seed: int) -> tuple[pd.DataFrame, str]:
    """Apply one of the derivations that `derive_sequences` names; the new set and a line for the log."""
    before = len(frame)
    if match := re.fullmatch(r"pct(\d+(?:\.\d+)?)(?:d(\d+))?", derivation):
        if not 0 < float(match[1]) <= 100:
            raise UserError(f"derivation '{derivation}': a share lies between 0 and 100 percent.")
        frame = training_share(frame, float(match[1]), seed, int(match[2] or 0))
        return frame, f"{derivation}: {before - len(frame)} training rows removed"
    if match := re.fullmatch(r"shot([1-9]\d*)(?:d(\d+))?", derivation):
        _of_classes(frame, "shotN")
        fewer = [label for label, count in _training_counts(frame).items() if count < int(match[1])]
        frame = training_shots(frame, int(match[1]), seed, int(match[2] or 0))
        short = f"; fewer than {match[1]} of {', '.join(sorted(fewer))}" if fewer else ""
        return frame, f"{derivation}: {before - len(frame)} training rows removed{short}"
    if derivation == "dedup":
        frame, removed = deduplicate(frame)
        return frame, "dedup removed " + ", ".join(f"{count} from {split}" for split, count in removed.items())
    if derivation == "permuted":
        return permute_labels(frame, seed), "labels permuted"
    if derivation == "matched":
        frame, out = match_lengths(frame, seed)
        lost = f"; classes without common lengths left out: {', '.join(out)}" if out else ""
        return frame, f"matched removed {before - len(frame)} of {before} rows{lost}"
    if derivation == "distant":
        frame = distant_test(frame)
        what = "near duplicates or overlapping windows of train or validation rows"
        return frame, f"distant removed {before - len(frame)} test rows that are {what}"
    if derivation == "unrelated":
        return keep_unrelated(frame)
    if derivation == "family":
        return draw_families(frame, seed)
    raise UserError(
        f"derivation '{derivation}' is not known; it is pctN or pctNdK (as pct10, pct10d1), shotN or shotNdK, dedup, "
        "permuted, matched, distant, unrelated or family."
    )


def summary(frame: pd.DataFrame) -> str:
    """Rows per split and label, or per split and the names of the outputs, for one line of a log."""
    kind, outputs = labels_in(frame)
    parts = []
    for split in SPLITS:
        rows = frame[frame["split"] == split]
        if len(rows) and kind != CLASSES:
            parts.append(f"{split} {len(rows)}")
        elif len(rows):
            counts = rows["label"].fillna("no label").value_counts().sort_index()
            parts.append(f"{split} {len(rows)} ({', '.join(f'{label} {count}' for label, count in counts.items())})")
    said = f"; {kind} of {named(outputs)}" + (", …" if len(outputs) > SHOWN else "") if kind != CLASSES else ""
    return "; ".join(parts) + said


def _kin_columns(frame: pd.DataFrame, derivation: str) -> None:
    if absent := [name for name in ("sample", "family", "unrelated") if name not in frame.columns]:
        raise UserError(
            f"derivation '{derivation}': the set has no column '{absent[0]}'; it is for sets of people that were built "
            "with a pedigree (source families)."
        )


def keep_unrelated(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The set without first-degree relatives, splits as they were, and a line for the log."""
    _kin_columns(frame, "unrelated")
    keep = frame["unrelated"].astype(bool)
    gone = frame.loc[~keep].drop_duplicates("sample")["split"].value_counts()
    text = ", ".join(f"{gone.get(split, 0)} from {split}" for split in SPLITS)
    return frame[keep].reset_index(drop=True), f"unrelated removed people who have relatives here: {text}"


def draw_families(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, str]:
    """The same rows with splits drawn anew so that no family stands in two, and a line for the log.

    The shares of people in train, validation and test stay as they were, stratified by label. `group`, what is
    resampled together, becomes the family.
    """
    _kin_columns(frame, "family")
    people = frame.drop_duplicates("sample")
    present = people["split"].value_counts(normalize=True)
    fractions = {split: float(present[split]) for split in SPLITS if split in present.index}
    torn = int((people.groupby("family")["split"].nunique() > 1).sum())
    drawn = draw_splits(people["label"], people["family"], fractions, seed)
    split = frame["sample"].map(dict(zip(people["sample"], drawn, strict=True)))
    text = f"family: splits drawn anew; {torn} of {people['family'].nunique()} families stood in more than one split"
    return frame.assign(split=split, group=frame["family"]), text
