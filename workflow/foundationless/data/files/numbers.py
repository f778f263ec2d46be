"""Numbers in cells of text: which cells hold one, which are empty, and what is wrong with others."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError

LARGEST = 1e15  # beyond, numbers are no longer told apart by ones, and their squares overflow on a GPU
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nil", "missing", ".", "-", "?"})
_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(_PLAIN, re.ASCII)
_WHY = (
    (re.compile(r"[+\-−]?[\d.]*\d*,\d+([eE][+-]?\d+)?"), "a number with a comma; write a decimal point"),
    (re.compile(r"[+-]?inf(inity)?", re.IGNORECASE), "which is not finite"),
    (re.compile(r"[<>≤≥~≈=]+ ?[+-]?[\d.,]+.*"), "a bound, and no number"),
    (re.compile(r"−[\d.]+.*"), "with a minus sign of typesetters; write a hyphen"),
    (re.compile(rf"{_PLAIN} ?[%°µμ/A-Za-z][^;]{{0,11}}", re.ASCII), "a number with a unit; give numbers alone"),
    (re.compile(r"[+-]?\d[\d ,_'.]*\d"), "a number with signs between its digits; leave them out"),
    (re.compile(r"true|false|yes|no", re.IGNORECASE), "a word; write 1 and 0"),
)


class Numbers(NamedTuple):
    """What cells hold: `values` [n], NaN where there is none, and which cells `odd` [n] hold something else."""

    values: NDArray[np.float64]
    odd: NDArray[np.bool_]


def read_numbers(cells: Iterable[str]) -> Numbers:
    """The finite numbers that cells hold; a cell without text, or with a usual word for it (NA, null, .), is empty."""
    texts = [str(cell).strip() for cell in cells]
    values = np.array([float(text) if _NUMBER.fullmatch(text) else np.nan for text in texts], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        values[np.abs(values) > LARGEST] = np.nan
    blank = np.array([text.lower() in MISSING for text in texts], dtype=np.bool_)
    return Numbers(values, np.isnan(values) & ~blank)


def is_like_number(text: str) -> bool:
    """Whether somebody meant a number, be it with a unit, a comma or a bound."""
    cell = text.strip()
    return bool(_NUMBER.fullmatch(cell)) or any(form.fullmatch(cell) for form, _ in _WHY[:-1])


def check_numbers(path: Path, cells: pd.Series, column: str) -> NDArray[np.float64]:
    """The numbers of a column [n], NaN where a cell is empty; `UserError` with the row for a cell of another kind."""
    values, odd = read_numbers(cells)
    if not odd.any():
        return values
    first = int(odd.argmax())
    text = str(cells.iloc[first]).strip()
    why = next((said for form, said in _WHY if form.fullmatch(text)), "which is no number")
    if _NUMBER.fullmatch(text):
        why = "which is too large to compute with; give its logarithm" if abs(float(text)) < np.inf else _WHY[1][1]
    rows = f" ({int(odd.sum())} rows hold no number)" if odd.sum() > 1 else ""
    raise UserError(
        f"{path}: row {cells.index[first]} of '{column}' holds '{text[:40]}', {why}{rows}; leave the cell empty where "
        "nothing is known."
    )
