"""What a screen's names of conditions say: which genes were perturbed, and which rows are control."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError

CONTROL = "ctrl"  # the name of the control in every table of effects
CONTROLS = ("ctrl", "control", "non-targeting*", "nontargeting*", "non_targeting*", "negctrl*", "NegCtrl*", "NT", "NTC")
# A table of tasks separates options by semicolons, so signs have names too.
SEPARATORS = {"plus": "+", "underscore": "_", "semicolon": ";", "comma": ",", "bar": "|", "colon": ":", "none": ""}
UNREAD = "unread"  # among the attributes of a table: columns whose encoding is not read
_NONE = {"", "nan", "None", "NA", "<NA>"}


def targets_of(name: str, separator: str, words: Sequence[str] = ()) -> tuple[str, ...] | None:
    """Genes that a condition's name lists, in its order, none twice; () of the control, None where nothing is said.

    `A+ctrl` and `ctrl+A` are the single perturbation A. `words` say which whole names are the control, in either case;
    a word may end in *. Without them, and for parts of names, the usual ones do. A name is the control where each of
    its parts is, so `NegCtrl0_KLF1` is KLF1.
    """
    name = name.strip()
    if name in _NONE:
        return None
    sign = SEPARATORS.get(separator, separator)
    if _others(name, sign, words or CONTROLS) == ():
        return ()
    return _others(name, sign, (*words, *CONTROLS)) or None


def _others(name: str, sign: str, words: Sequence[str]) -> tuple[str, ...]:
    """Parts of a name that are none of `words`, each once.

    A word may have the sign within, as non_targeting* has. A number that begins with 0 behind a word in * is of that
    word: a guide's, as in non-targeting_00123.
    """
    parts = _parts(name, sign)
    patterns = sorted((_parts(word.lower(), sign) for word in words), key=len, reverse=True)
    found, at = [], 0
    while at < len(parts):
        here = next((each for each in patterns if _matches(parts[at : at + len(each)], each)), None)
        if here is None:
            found.append(parts[at])
            at += 1
            continue
        at += len(here)
        if here[-1].endswith("*") and at < len(parts) and parts[at].startswith("0") and parts[at].isdecimal():
            at += 1
    return tuple(dict.fromkeys(found))


def _parts(name: str, sign: str) -> list[str]:
    return [part for part in (each.strip() for each in (name.split(sign) if sign else [name])) if part]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    pairs = zip(parts, pattern, strict=False)
    return len(parts) == len(pattern) and all(fnmatch.fnmatchcase(part.lower(), word) for part, word in pairs)


def other_sign(targets: Sequence[str], separator: str, known: Callable[[str], bool]) -> str:
    """The name of a sign that parts a target into genes that are `known`, and perhaps the control; empty of none."""
    for name in ("plus", "underscore", "semicolon", "bar"):
        for target in targets if SEPARATORS.get(separator, separator) not in ("", SEPARATORS[name]) else ():
            whole, parts = _parts(target, SEPARATORS[name]), targets_of(target, name) or ()
            if len(whole) > 1 and parts and not known(target) and all(map(known, parts)):
                return name
    return ""


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
    if column in obs.attrs.get(UNREAD, ()):
        raise UserError(
            f"column '{column}' has an encoding that is not read; write it as text for the option {option}."
        )
    if column not in obs:
        known = ", ".join(map(str, obs.columns[:12])) or "none"
        raise UserError(f"the data say nothing of '{column}' (columns: {known}); correct the option {option}.")
    values = obs[column]
    return np.array(["" if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)],
                    dtype=object)  # fmt: skip
