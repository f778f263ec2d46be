"""Labels that are several numbers, as text: what a sequence set and predictions hold of regression and multi-label.

A label of two outputs is `0.51;-1.2`; one that is not known is empty (`;-1.2`). Names of the outputs stand once, in the
header of the set.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundationless.errors import UserError

SEPARATOR = ";"
FINEST = 16 * float(np.finfo(np.float32).eps)  # least SD of an output, by the size of its mean, that predictions hold

Floats = NDArray[np.float64]


def format_outputs(values: ArrayLike) -> list[str]:
    """Labels [n] of values [n, outputs], each as the shortest text that is read as it was; NaN: not known."""
    rows = np.asarray(values, dtype=np.float64)
    return [SEPARATOR.join("" if value != value else _spelled(value) for value in row) for row in rows.tolist()]


def _spelled(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def parse_outputs(labels: Iterable[str], outputs: Sequence[str], where: str = "") -> Floats:
    """Values [n, outputs] of labels, NaN where one is not known; `UserError` for one that is no list of numbers.

    `where` begins the sentence of an error.
    """
    texts, width = list(labels), len(outputs)
    values = np.full((len(texts), width), np.nan)
    for row, text in enumerate(texts):
        parts = text.split(SEPARATOR)
        try:
            values[row] = [float(part) if part else np.nan for part in parts]
        except ValueError:
            named = (
                f"{width} numbers ({', '.join(outputs[:4])}{', …' if width > 4 else ''})" if width > 1 else "a number"
            )
            raise UserError(f"{where}label '{text[:40]}' is not {named}; build the set again.") from None
    if np.isinf(values).any():
        raise UserError(f"{where}label '{texts[int(np.isinf(values).any(axis=1).argmax())][:40]}' is not finite.")
    return values


def lost_in_rounding(mean: ArrayLike, spread: ArrayLike) -> NDArray[np.bool_]:
    """Whether outputs vary by so little beside their means that predictions, of single precision, lose it [outputs].

    At 16 steps between neighbours, the limit, rounding has less than a thousandth of the variance.
    """
    return np.asarray(spread) < FINEST * np.abs(mean)
