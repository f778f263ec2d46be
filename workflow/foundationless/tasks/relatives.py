"""Cures of a random split that families leak through: without relatives, or with families kept together.

Both work from the columns `family` and `unrelated` that the reader `people` adds where it is given a pedigree.
"""

import pandas as pd

from foundationless.errors import UserError
from foundationless.tasks.sequence_sets import SPLITS
from foundationless.tasks.readers.raw_files import draw_splits


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
