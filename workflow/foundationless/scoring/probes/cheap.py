"""Features of a variant that cost nothing: what any score of a model has to be better than.

Each function gives numbers [n, d] of a variant set. Some need a column of the set (`vocabulary.VARIANT_FEATURES`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.data.dna import alternative, reverse_complement
from foundationless.errors import UserError
from foundationless.study.vocabulary import VARIANT_FEATURES

Floats = NDArray[np.float64]

RESIDUES = "ARNDCQEGHILKMFPSTWYV"
_BLOSUM62 = """
4
-1 5
-2 0 6
-2 -2 1 6
0 -3 -3 -3 9
-1 1 0 0 -3 5
-1 0 0 2 -4 2 5
0 -2 0 -1 -3 -2 -2 6
-2 0 1 -1 -3 0 0 -2 8
-1 -3 -3 -3 -1 -3 -3 -4 -3 4
-1 -2 -3 -4 -1 -2 -3 -4 -3 2 4
-1 2 0 -1 -3 1 1 -2 -1 -3 -2 5
-1 -1 -2 -3 -1 0 -2 -3 -2 1 2 -1 5
-2 -3 -3 -3 -2 -3 -3 -3 -1 0 0 -3 0 6
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4 7
1 -1 1 0 -1 0 0 0 -1 -2 -2 0 -1 -2 -1 4
0 -1 0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1 1 5
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1 1 -4 -3 -2 11
-2 -2 -2 -3 -2 -1 -2 -3 2 -1 -1 -2 -1 3 -3 -2 -2 2 7
0 -3 -3 -3 -1 -2 -2 -3 -3 3 1 -2 1 -1 -2 -2 0 -3 -1 4
"""
"""Lower triangle of BLOSUM62 (Henikoff and Henikoff 1992, doi:10.1073/pnas.89.22.10915), in the order of `RESIDUES`."""
STOP = -4  # of a residue against a stop, as the matrix has it
_CHANGE = re.compile(rf"(?:p\.)?([{RESIDUES}*])\d+([{RESIDUES}*]|=)")


def blosum62(before: str, after: str) -> int:
    """The matrix's number of two residues, letters of `RESIDUES` or * (a stop)."""
    if "*" in (before, after):
        return 1 if before == after else STOP
    low, high = sorted((RESIDUES.index(before), RESIDUES.index(after)))
    return int(_BLOSUM62.split("\n")[1 + high].split()[low])


def features(frame: pd.DataFrame, names: Sequence[str]) -> Floats:
    """The named features of a variant set side by side: [n, d]; `UserError` for one that the set does not permit."""
    columns = []
    for name in names:
        if name not in VARIANT_FEATURES:
            raise UserError(f"no feature '{name}' of variants; they are {', '.join(VARIANT_FEATURES)}.")
        needed = VARIANT_FEATURES[name]
        if needed and needed not in frame.columns:
            raise UserError(
                f"the variant set has no column '{needed}', which the feature '{name}' reads; leave it out."
            )
        columns.append(_FUNCTIONS[name](frame) if name in _FUNCTIONS else _annotation(frame[needed]))
    return np.column_stack([np.asarray(part, dtype=np.float64).reshape(len(frame), -1) for part in columns])


def _alleles(frame: pd.DataFrame) -> list[tuple[str, int, str, str]]:
    return list(zip(frame["sequence"], frame["offset"].astype(int), frame["ref"], frame["alt"], strict=True))


def _transition(frame: pd.DataFrame) -> Floats:
    """Whether an SNV is a transition, and whether the variant is an SNV."""
    pairs = [ref + alt for ref, alt in zip(frame["ref"], frame["alt"], strict=True)]
    return np.array([[pair in ("AG", "GA", "CT", "TC"), len(pair) == 2] for pair in pairs], dtype=np.float64)


def _cpg(frame: pd.DataFrame) -> Floats:
    """CpG dinucleotides over the allele and its neighbours, in REF and in ALT."""
    counts = []
    for variant in _alleles(frame):
        sequence, offset, ref, alt = variant
        start, other = max(0, offset - 1), alternative(*variant)
        counts.append(
            [sequence[start : offset + len(ref) + 1].count("CG"), other[start : offset + len(alt) + 1].count("CG")]
        )
    return np.array(counts, dtype=np.float64)


def _trinucleotide(frame: pd.DataFrame) -> Floats:
    """One column for each of the 96 changes of a pyrimidine between two neighbours; all 0 where it is no SNV."""
    numbers: dict[str, int] = {}
    columns = np.zeros((len(frame), 96))
    for row, (sequence, offset, ref, alt) in enumerate(_alleles(frame)):
        context = sequence[max(0, offset - 1) : offset + 2]
        if len(ref) == len(alt) == 1 and len(context) == 3 and "N" not in context:
            if ref in "AG":
                context, alt = reverse_complement(context), reverse_complement(alt)
            columns[row, numbers.setdefault(context + alt, len(numbers))] = 1.0
    return columns


def _length(frame: pd.DataFrame) -> Floats:
    """Logarithms of the lengths of both alleles, and bases gained, or lost below 0."""
    ref, alt = frame["ref"].str.len().to_numpy(), frame["alt"].str.len().to_numpy()
    return np.column_stack([np.log(ref), np.log(alt), alt - ref])


def _splice_distance(frame: pd.DataFrame) -> Floats:
    """Of the nearest splice site: logarithm of the distance in bp, and whether it is within 2 and within 8 bp."""
    known = _numbers(frame["splice_distance"]).abs()
    far = known.fillna(known.max() if known.notna().any() else 0.0).to_numpy()
    return np.column_stack([np.log1p(far), (known <= 2), (known <= 8), known.isna()])


def _substitution(frame: pd.DataFrame) -> Floats:
    """BLOSUM62 of the change of residue (`R175H`), whether it ends the protein, and whether none is stated."""
    rows = []
    for text in frame["protein"]:
        match = _CHANGE.fullmatch(text) if isinstance(text, str) else None
        before, after = match.groups() if match else ("", "")
        after = before if after == "=" else after
        rows.append([blosum62(before, after) if match else 0, after == "*" != before, match is None])
    return np.array(rows, dtype=np.float64)


def _annotation(column: pd.Series) -> Floats:
    """A column of numbers, the median where one is missing, and whether it is."""
    known = _numbers(column)
    middle = float(known.median()) if known.notna().any() else 0.0
    return np.column_stack([known.fillna(middle), known.isna()])


def _numbers(column: pd.Series) -> Any:
    """A column as float64; `UserError` for what is neither a number nor missing."""
    known = pd.to_numeric(column, errors="coerce").astype(np.float64)
    if (odd := known.isna() & column.notna() & ~column.isin(["NA", "", "."])).any() or np.isinf(known).any():
        shown = column[odd | np.isinf(known)].iloc[0]
        raise UserError(f"column '{column.name}' of the variant set holds '{str(shown)[:40]}', no finite number.")
    return known


_FUNCTIONS: Mapping[str, Callable[[pd.DataFrame], Floats]] = {
    "transition": _transition,
    "cpg": _cpg,
    "trinucleotide": _trinucleotide,
    "length": _length,
    "splice_distance": _splice_distance,
    "blosum62": _substitution,
}
