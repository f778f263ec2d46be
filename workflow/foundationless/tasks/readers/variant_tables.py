"""`variant_table`: published tables of variants, a row each: place, alleles, label, score, matched group."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.files.numbers import MISSING
from foundationless.data.reference import Genome
from foundationless.data.variant_kinds.windows import ALTERNATIVE, COLUMNS, allele_windows
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.readers.table import read_rows

WORDS = {
    **dict.fromkeys(("benign", "0", "0.0", "false"), "benign"),
    **dict.fromkeys(("pathogenic", "1", "1.0", "true"), "pathogenic"),
}
"""Labels that need no option, in lower case."""
UNKNOWN = "unknown"  # what the option `labels` says of a label that is neither
_PLACE = ("contig", "position", "ref", "alt")
_GIVEN = ("label", "score", "group", "gene", "consequence")
LIMITS = ("below", "above")  # options that make labels of a score
_MAKES = {*COLUMNS, ALTERNATIVE, "kind", "consequence"}


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The variant set; see `variant_kinds.windows.allele_windows`.

    Beside the columns of every variant set: `kind`, `consequence` where it is named, and the columns named `columns`
    (numbers where all of their cells are, otherwise text). `group` is the matched group, else the gene, else the
    contig; `gene` is `all` where none is named.
    """
    columns = {role: options[role] for role in (*_PLACE, *_GIVEN) if options[role]}
    check_columns(options["columns"])
    paths = [path for role, path in sorted(sources.items()) if role != "genome"]
    rows = pd.concat([_read_part(path, columns, options) for path in paths], ignore_index=True)
    if not options["unlabelled"]:
        rows = rows[rows["label"].notna()]
    where, genome = paths[0].name, Genome(sources["genome"])
    frame = allele_windows(
        rows, genome, options["length"], where, options["kinds"], options["longest"], options["mismatches"]
    )
    if "group" not in columns and "gene" not in columns:
        frame["group"] = frame["contig"]
    for name in options["columns"]:
        frame[name] = numbers_or_text(frame[name])
    return frame


def check_columns(names: list[str], *further: str) -> None:
    """`UserError` for a further column that a set of variants has anyway."""
    if odd := [name for name in names if name in {*_MAKES, *further}]:
        raise UserError(f"option columns: '{odd[0]}' is a column of every set of variants; rename it in the table.")


def _read_part(path: Path, columns: dict[str, str], options: dict[str, Any]) -> pd.DataFrame:
    """Rows of one file, under the names of a variant set; `UserError` that names the row of what cannot be read."""
    rows = read_measured(path, columns, options)
    for role in _PLACE:
        if (blank := rows[role].str.lower().isin(MISSING)).any():
            where = f"row {blank.idxmax()} has nothing in the column '{columns[role]}'"
            raise UserError(f"{path}: {where}; every row needs it.")
    rows["position"] = _positions(rows["position"], path) + 1 - options["base"]
    return rows if "gene" in columns else rows.assign(gene="all")


def _check_limits(columns: dict[str, str], below: float | None, above: float | None) -> None:
    if below is None or above is None or below > above or "score" not in columns or "label" in columns:
        raise UserError(
            "options below and above make labels of the score: give both, below no higher than above, and the column "
            "of the score, but none of labels."
        )


def read_measured(path: Path, columns: dict[str, str], options: dict[str, Any]) -> pd.DataFrame:
    """Rows of one file that the option `filter` keeps: text of the columns named for each role, and of `columns`.

    `label` is benign, pathogenic or None, by the column or, where there is none, by `below` and `above` of the score;
    `score` is a number or NaN.
    """
    limits = [options[name] for name in LIMITS]
    if limits != [None, None]:
        _check_limits(columns, *limits)
    wanted = [*columns.values(), *options["columns"], *options["filter"]]
    table = read_rows(path, list(dict.fromkeys(wanted))).map(str.strip)
    for name, words in options["filter"].items():
        table = table[table[name].isin(words)]
    if table.empty:
        raise UserError(f"{path}: no row is left by the option filter; correct it.")
    rows = pd.DataFrame({role: table[column] for role, column in columns.items()} | dict(table[options["columns"]]))
    rows["score"] = _scores(rows["score"], path) if "score" in columns else np.nan
    rows["label"] = _labels(rows["label"], options["labels"], path) if "label" in columns else None
    if limits != [None, None]:
        low, high = rows["score"] < limits[0], rows["score"] >= limits[1]
        rows["label"] = pd.Series(np.select([low, high], ["pathogenic", "benign"], ""), rows.index).replace("", None)
    for name in ("group", "gene", "consequence"):
        if name in columns and (blank := rows[name] == "").any():
            tell(f"{path.name}: {int(blank.sum())} variants have nothing in the column '{columns[name]}': 'none' there")
            rows[name] = rows[name].where(~blank, "none")
    return rows


def _positions(cells: pd.Series, path: Path) -> pd.Series:
    """Whole numbers; also as 867,476, or 867476.0 where the column had a gap."""
    plain = cells.str.replace(",", "").str.removesuffix(".0")
    if (odd := ~plain.str.fullmatch(r"[0-9]{1,15}")).any():
        said = f"row {odd.idxmax()} has the position '{cells[odd].iloc[0][:40]}'"
        raise UserError(f"{path}: {said}, which is no whole number from 0.")
    return plain.astype("int64")


def _labels(cells: pd.Series, names: dict[str, str], path: Path) -> pd.Series:
    """benign, pathogenic or None for every cell."""
    meant = {word: word for word in ("benign", "pathogenic")} | {UNKNOWN: None}
    if odd := [name for name in names.values() if name not in meant]:
        raise UserError(f"option labels: '{odd[0]}' is none of {', '.join(meant)}; say one of these.")
    cells = cells.where(cells.isin(names), cells.str.replace(" ", "_"))  # no option holds a blank
    known = {cell: meant[names[cell]] if cell in names else WORDS.get(cell.lower()) for cell in cells.unique()}
    unread = [cell for cell, label in known.items() if label is None and cell not in names]
    if strange := [cell for cell in unread if cell.lower() not in MISSING]:
        row = (cells == strange[0]).idxmax()
        raise UserError(
            f"{path}: row {row} has the label '{strange[0][:40]}', which is neither benign nor pathogenic, 0 nor 1; "
            "say what it means by the option labels."
        )
    return pd.Series([known[cell] for cell in cells], cells.index, dtype=object)


def _scores(cells: pd.Series, path: Path) -> pd.Series:
    """Finite numbers, NaN for an empty cell."""
    blank = cells.str.lower().isin(MISSING)
    numbers = pd.to_numeric(cells.where(~blank), errors="coerce").astype("float64")
    if (odd := ~(numbers.abs() < np.inf) & ~blank).any():
        said = f"row {odd.idxmax()} has the score '{cells[odd].iloc[0][:40]}'"
        raise UserError(f"{path}: {said}, which is no number.")
    return numbers


def numbers_or_text(cells: pd.Series) -> pd.Series:
    """A column as float64 where all of its cells are finite numbers or empty, otherwise as it is."""
    blank = cells.str.lower().isin(MISSING)
    numbers = pd.to_numeric(cells.where(~blank), errors="coerce").astype("float64")
    return numbers if ((numbers.abs() < np.inf) | blank).all() and not blank.all() else cells
