"""What a screen's names of conditions say: which genes were perturbed, and which rows are control."""

import fnmatch
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError

CONTROL = "ctrl"  # the name of the control in every table of effects
CONTROLS = ("ctrl", "control", "non-targeting*", "nontargeting*", "non_targeting*", "negctrl*", "NegCtrl*", "NT", "NTC")
# A table of tasks separates options by semicolons, so signs have names too.
SEPARATORS = {"plus": "+", "underscore": "_", "semicolon": ";", "comma": ",", "bar": "|", "colon": ":", "none": ""}
_NONE = {"", "nan", "None", "NA", "<NA>"}


def is_control(name: str, words: Sequence[str]) -> bool:
    """Whether a name is one of `words`, in either case; a word may end in *."""
    return any(fnmatch.fnmatchcase(name.lower(), word.lower()) for word in words)


def targets_of(name: str, separator: str, words: Sequence[str] = CONTROLS) -> tuple[str, ...] | None:
    """Genes that a condition's name lists, in its order, none twice; () of the control, None where nothing is said.

    `A+ctrl` and `ctrl+A` are the single perturbation A.
    """
    name = name.strip()
    if name in _NONE:
        return None
    if is_control(name, words):
        return ()
    sign = SEPARATORS.get(separator, separator)
    parts = [part.strip() for part in name.split(sign)] if sign else [name]
    return tuple(dict.fromkeys(part for part in parts if part and not is_control(part, words)))


def kind_of(targets: Sequence[str]) -> str:
    """`control`, `single`, `double` or `multiple`, by the number of genes."""
    return ("control", "single", "double")[len(targets)] if len(targets) < 3 else "multiple"


def rows_where(obs: pd.DataFrame, wanted: Mapping[str, Sequence[str]], option: str) -> NDArray[np.bool_]:
    """Rows whose columns have one of the values `wanted` each [rows]; `UserError` for an unknown column."""
    rows = np.ones(len(obs), dtype=bool)
    for column, values in wanted.items():
        rows &= np.isin(text_column(obs, column, option), list(values))
    return rows


def text_column(obs: pd.DataFrame, column: str, option: str) -> NDArray[np.object_]:
    """A column as text [rows], empty where it says nothing; `UserError` where there is none of that name."""
    if column not in obs:
        known = ", ".join(map(str, obs.columns[:12])) or "none"
        raise UserError(f"the data say nothing of '{column}' (columns: {known}); correct the option {option}.")
    values = obs[column]
    return np.array(["" if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)],
                    dtype=object)  # fmt: skip
