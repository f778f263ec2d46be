"""Labels of a set of one's own: classes, values (numbers that were measured) or tracks (zeros and ones of several).

Several columns are tracks where they hold zeros, ones and empty cells alone, and values otherwise. One column of
numbers is read by how many different ones it holds. Up to `FEW` are classes; more than `MOST_CLASSES`, or than
`MOST_NUMBERS` where some are no whole numbers, are values; between, they are classes where each stands in as many rows
as a class needs, and values otherwise.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.files.numbers import check_numbers, is_like_number, read_numbers
from foundationless.data.outputs import parse_outputs
from foundationless.errors import UserError
from foundationless.study.vocabulary import CLASSES, LABELS, METRICS, TRACKS, VALUES
from foundationless.tasks.own.classes import FEWEST, FEWEST_OF_A_CLASS, check_classes
from foundationless.tasks.sequence_sets import SPLITS

Floats = NDArray[np.float64]
FEW, MOST_NUMBERS, MOST_CLASSES = 10, 20, 50  # different labels of one column
METRIC = {CLASSES: "mcc", VALUES: "pearson", TRACKS: "macro_auroc"}  # that judges a set of one's own
SHOWN = 12  # outputs that are named one by one


def see_kind(path: Path, columns: pd.DataFrame, asked: str) -> tuple[str, list[str]]:
    """The kind of labels in the columns, as `asked` or as they look, and sentences that say how they were read.

    `UserError` for cells that do not fit the kind.
    """
    if asked and asked not in LABELS:
        raise UserError(f"KIND={asked} (--kind) is none of {', '.join(LABELS)}.")
    names = [str(name) for name in columns]
    if asked == CLASSES:
        if len(names) > 1:
            raise UserError(f"{path}: classes stand in one column, and LABEL= names {len(names)}; name one.")
        return CLASSES, []
    if not asked and len(names) == 1:
        kind, said = _kind_of(path, columns[names[0]], names[0])
        if kind == CLASSES:
            return kind, said
    else:
        kind, said = asked, []
    cells = columns if kind == VALUES else columns.replace(_TRUTH, regex=True)
    values = np.column_stack([check_numbers(path, cells[name], name) for name in names])
    binary = np.isin(values, (0, 1)) | np.isnan(values)
    if kind == TRACKS and not binary.all():
        row, column = np.argwhere(~binary)[0]
        raise UserError(
            f"{path}: row {columns.index[row]} of '{names[column]}' holds '{columns.iloc[row, column]}', and tracks "
            "hold 1, 0 or nothing; KIND=values (--kind) is for numbers."
        )
    if not kind:
        kind = TRACKS if binary.all() else VALUES
        for name in names if kind == VALUES else ():
            check_numbers(path, columns[name], name)  # truths are no numbers
        other = f"; KIND={VALUES} reads them as numbers" if kind == TRACKS else ""
        said = [f"{len(names)} columns of {_WORDS[kind]}{other}."]
    check_outputs(path, kind, names, values)
    return kind, [*said, f"What is learned is judged by {METRICS[METRIC[kind]].label}."]


_TRUTH = {r"(?i)^\s*true\s*$": "1", r"(?i)^\s*false\s*$": "0"}
_WORDS = {VALUES: "numbers: a regression of several values", TRACKS: "zeros and ones, of which several may be one"}


def _kind_of(path: Path, cells: pd.Series, name: str) -> tuple[str, list[str]]:
    """The kind of the labels in one column by how they look."""
    texts = cells.str.strip()
    values, odd = read_numbers(texts)
    counts = texts.value_counts()
    if odd.any() or np.isnan(values).all():
        # Names, unless there are more than classes can have and most were meant as numbers.
        meant = len(counts) > MOST_CLASSES and texts.map(is_like_number).mean() > 0.5
        return (VALUES if meant else CLASSES), []
    numbers, rows = np.unique(values[~np.isnan(values)], return_counts=True)
    whole = bool((numbers == np.floor(numbers)).all())
    size = f"{len(numbers)} different {'whole numbers' if whole else 'numbers'}"
    if len(numbers) > (MOST_CLASSES if whole else MOST_NUMBERS):
        other = f"; KIND={CLASSES} (--kind) reads them as classes" if len(numbers) <= MOST_CLASSES else ""
        return VALUES, [f"'{name}' holds {size}: a regression{other}."]
    if len(numbers) > FEW and rows.min() < FEWEST_OF_A_CLASS:
        few = f"some in fewer than {FEWEST_OF_A_CLASS} rows"
        return VALUES, [f"'{name}' holds {size}, {few}: a regression; KIND={CLASSES} (--kind) reads them as classes."]
    if len(numbers) < 3:
        return CLASSES, []
    return CLASSES, [f"'{name}' holds {size}: they are read as classes; KIND={VALUES} (--kind) reads them as numbers."]


def check_names(path: Path, names: Sequence[str]) -> None:
    """`UserError` for names of columns that cannot name outputs."""
    if odd := [name for name in names if set(name) & set(",;")]:
        raise UserError(f"{path}: the column '{odd[0]}' has a comma or semicolon in its name; give it another name.")


# ---- the set as it was built


def check_outputs(where: Path, kind: str, names: Sequence[str], values: Floats) -> None:
    """`UserError` unless every output varies and is known of enough rows; `values` [n, outputs], NaN: not known."""
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) < FEWEST:
            raise UserError(
                f"{where}: {len(known)} rows of '{name}' are known, too few to learn and test on; give {FEWEST} or "
                "more."
            )
        if kind == VALUES and known.min() == known.max():
            raise UserError(f"{where}: all rows of '{name}' hold {_number(known[0])}; there is nothing to learn.")
        if kind == TRACKS and min(ones := int(known.sum()), len(known) - ones) < FEWEST_OF_A_CLASS:
            what, number = ("ones", ones) if ones < len(known) - ones else ("zeros", len(known) - ones)
            raise UserError(
                f"{where}: '{name}' has {number} {what}, and {FEWEST_OF_A_CLASS} is the least; give more rows, or "
                "leave the column out."
            )


def check_split_outputs(where: str, kind: str, names: Sequence[str], values: Floats, splits: pd.Series) -> None:
    """`UserError` unless in every split each output has two different numbers, or zeros and ones."""
    held = splits.to_numpy()
    for split in SPLITS:
        for name, column in zip(names, values[held == split].T, strict=True):
            known = column[np.isfinite(column)]
            if len(np.unique(known)) < 2:
                what = "both zeros and ones" if kind == TRACKS else "two different numbers"
                raise UserError(
                    f"{where}: '{name}' does not have {what} in {split}; its groups are too few or too large: leave it "
                    "out, or give more rows or a column of splits."
                )


def describe(frame: pd.DataFrame, where: Path, kind: str, names: Sequence[str]) -> list[str]:
    """Sentences on the labels of a set; `UserError` for labels that cannot be learned."""
    if kind == CLASSES:
        counts = frame["label"].value_counts()
        check_classes(where, counts)
        said = [f"Classes: {', '.join(f'{label} {count:,}' for label, count in counts.items())}."]
        if len({label.casefold() for label in counts.index}) < len(counts):
            said += [
                "Some classes differ only in capital letters, and are different ones; spell them alike if they are not."
            ]
        return said
    values = parse_outputs(frame["label"].fillna(";" * (len(names) - 1)), names, f"{where}: ")
    check_outputs(where, kind, names, values)
    check_split_outputs(str(where), kind, names, values, frame["split"])
    if kind == TRACKS:
        shares = np.nanmean(values, axis=0)
        each = [f"{name} {share:.0%}" for name, share in zip(names[:SHOWN], shares, strict=False)]
        rest = f" and {len(names) - SHOWN} more, {shares.min():.0%} to {shares.max():.0%}" if len(names) > SHOWN else ""
        said = [f"Ones: {', '.join(each)}{rest}."]
    else:
        each = [f"'{name}' {_spread(column)}" for name, column in zip(names[:SHOWN], values.T, strict=False)]
        rest = f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        said = [f"Values of {'; '.join(each)}{rest}."]
    if missing := int(np.isnan(values).sum()):
        said += [f"Of {values.size:,} labels {missing:,} are not known, and are left out."]
    return said


def _spread(column: Floats) -> str:
    known = column[np.isfinite(column)]
    mean, sd = known.mean(), known.std(ddof=1)
    return f"{_number(known.min())} to {_number(known.max())}, mean {_number(mean)} ± {_number(sd)} (SD)"


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
