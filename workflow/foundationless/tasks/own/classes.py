"""Classes of a set of one's own: how many rows of each are the least, and how they are shared out."""

from pathlib import Path

import pandas as pd

from foundationless.errors import UserError

FEWEST, FEWEST_OF_A_CLASS = 60, 12
FRACTIONS = "0.64,0.16,0.2"  # of train, validation and test


def check_classes(where: Path, counts: "pd.Series[int]") -> None:
    """`UserError` unless there are two classes and enough rows of each."""
    if len(counts) < 2:
        raise UserError(f"{where}: all rows are of one class, '{counts.index[0]}'; two are needed to tell them apart.")
    if counts.min() < FEWEST_OF_A_CLASS:
        raise UserError(
            f"{where}: class '{counts.idxmin()}' has {counts.min()} rows, and {FEWEST_OF_A_CLASS} is the least; give "
            "more, or leave the class out."
        )
    if counts.sum() < FEWEST:
        raise UserError(f"{where}: {counts.sum()} rows are too few to learn and test on; give {FEWEST} or more.")
