"""`labelled_places`: one table of places of a genome with split and labels (BEND, Genomics Long-Range Benchmark)."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.tables import read_text_table
from foundationless.data.outputs import SEPARATOR
from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.study.vocabulary import CLASSES, TRACKS
from foundationless.tasks.dealing import WORDS
from foundationless.tasks.outputs.labels import known_rows, labelled, read_outputs
from foundationless.tasks.readers.outputs.blocks import centred, with_groups
from foundationless.tasks.readers.places import covered_places, extract, is_interval
from foundationless.tasks.readers.table import one_spelling
from foundationless.tasks.splits import check_taught, legible, with_validation

_LIST = re.compile(r"\[[^\[\]]*\]")
CODINGS = ("columns", "positives", "list")


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are CONTIG:START-END(STRAND) with the row before it, and `group` is the block of a megabase.

    Splits stay as the file has them, but for a validation split, which is drawn from train where there is none. Places
    that are more than half outside the genome are left out.
    """
    path, kind = sources["places"], options["label_kind"]
    if options["coding"] not in CODINGS:
        raise UserError(f"option coding={options['coding']} is none of {', '.join(CODINGS)}.")
    where = ["position"] if options["position"] else ["start", "end"]
    wanted = [options[name] for name in ("contig", "split", *where, "strand") if options[name]]
    rows = read_text_table(path, wanted if "values" in sources else [*wanted, *(options["label"] or ["label"])])
    rows.index = pd.RangeIndex(1, len(rows) + 1)
    places = _places(rows, options, path)
    names, labels = _labels(rows, sources, options)
    places = places.assign(label=labels, split=_splits(rows[options["split"]], path))
    genome = Genome(sources["genome"])
    places = covered_places(genome, places.reset_index(names="row"), path.name)
    places["contig"] = places["contig"].map({name: genome.resolve(name) for name in places["contig"].unique()})
    text = places.astype({name: str for name in ("row", "start", "end")})
    frame = places.assign(
        id=text["row"] + "_" + text["contig"] + ":" + text["start"] + "-" + text["end"] + "(" + text["strand"] + ")",
        sequence=extract(genome, places),
    )
    frame = labelled(with_groups(legible(frame)), kind, names)
    if kind == CLASSES:
        check_taught(frame)
    else:
        frame = known_rows(frame, path.name)
    frame = with_validation(frame.reset_index(drop=True), "group", options["validation_fraction"], seed)
    return frame[["id", "sequence", "label", "split", "group"]]


def _places(rows: pd.DataFrame, options: dict[str, Any], path: Path) -> pd.DataFrame:
    """Contig, start, end (0-based, half-open) and strand of rows: windows of `length` around the column `position`
    (1-based) or around the middle of start and end; without `length` start to end."""
    columns = ["position"] if options["position"] else ["start", "end"]
    cells = [rows[options[name]].str.strip() for name in columns]
    numbers = pd.concat([cell.str.removesuffix(".0") for cell in cells], axis="columns", keys=columns)
    ends = numbers if len(columns) == 2 else numbers.assign(end=numbers["position"])
    base = 1 if options["position"] else options["base"]
    if base > 1:
        raise UserError(f"option base={base}: the first base of a contig has the number 0 or 1.")
    for row, first, last in ends.itertuples():
        if not (first.isdecimal() and int(first) >= base and is_interval(str(int(first) - base), last)):
            raise UserError(f"{path}: row {row} is no place ({' to '.join(ends.loc[row].unique())}).")
    places = ends.astype(int).set_axis(["start", "end"], axis="columns") - [base, 0]
    places.insert(0, "contig", rows[options["contig"]].str.strip())
    if options["position"] and not options["length"]:
        raise UserError("option length is missing: windows around the column position need it.")
    places = centred(places, options["length"]) if options["length"] else places
    return places.assign(strand=rows[options["strand"]].str.strip() if options["strand"] else "+")


def _splits(cells: pd.Series, path: Path) -> pd.Series:
    """Splits under our names; `UserError` for another word, and unless some rows train and some test."""
    words = cells.str.strip().str.lower().map(WORDS)
    if (odd := words.isna()).any():
        raise UserError(
            f"{path}: row {odd.idxmax()} has '{cells[odd].iloc[0]}' in the column '{cells.name}', which is none of "
            "train, validation and test."
        )
    if missing := {"train", "test"} - set(words):
        raise UserError(f"{path}: no row is in the split '{min(missing)}'.")
    return words


def _labels(rows: pd.DataFrame, sources: dict[str, Path], options: dict[str, Any]) -> tuple[list[str], Any]:
    """Names of the outputs (of classes none), and labels of rows."""
    path, kind, table = sources["places"], options["label_kind"], rows
    columns = options["label"]
    if "values" in sources:
        path = sources["values"]
        table = read_text_table(path, columns)
        if len(table) != len(rows):
            raise UserError(f"{path}: has {len(table)} rows and {sources['places']} {len(rows)}; they belong together.")
        table.index = rows.index
        columns = columns or list(table.columns)
    columns = columns or ["label"]
    if options["coding"] != "columns":
        if kind != TRACKS or len(columns) > 1:
            raise UserError(f"option coding={options['coding']} is for one column of tracks (label_kind=tracks).")
        return _several(table[columns[0]].str.strip(), options, path)
    if kind == CLASSES:
        if len(columns) > 1 or (blank := table[columns[0]].str.strip() == "").any():
            where = f"row {blank.idxmax()} has no label" if len(columns) == 1 else "a class stands in one column"
            raise UserError(f"{path}: {where}; correct the option label, or the table.")
        return [], one_spelling(table[columns[0]].str.strip())
    return columns, read_outputs(table[columns], kind, path.name)


def _several(cells: pd.Series, options: dict[str, Any], path: Path) -> tuple[list[str], list[str]]:
    """Names of tracks and labels of cells that hold all of them: numbers of those that are one, from 0 (`positives`,
    `0,3`; none where empty), or a list of zeros and ones (`list`, `[1, 0, 0]`)."""
    names = options["outputs"]
    if len(names) == 1 and names[0].isdecimal():
        names = [f"track_{number}" for number in range(int(names[0]))]
    if options["coding"] == "positives":
        if not names:
            raise UserError("option outputs is missing: say how many tracks there are, or their names.")
        return names, [_positives(row, cell, len(names), path) for row, cell in cells.items()]
    values = [_listed(row, cell, path) for row, cell in cells.items()]
    names = names or [f"track_{number}" for number in range(len(values[0]))]
    for row, each in zip(cells.index, values, strict=True):
        if len(each) != len(names):
            raise UserError(f"{path}: row {row} has a list of {len(each)} labels, not of {len(names)}.")
    return names, list(map(SEPARATOR.join, values))


def _positives(row: Any, cell: str, width: int, path: Path) -> str:
    """The label of a cell; of millions of rows with hundreds of tracks no array is made."""
    marks = ["0"] * width
    for word in filter(None, (part.strip() for part in cell.split(","))):
        number = word.removesuffix(".0")
        if not number.isdecimal() or int(number) >= width:
            raise UserError(f"{path}: row {row} names the track '{word}', which is no number from 0 to {width - 1}.")
        marks[int(number)] = "1"
    return SEPARATOR.join(marks)


def _listed(row: Any, cell: str, path: Path) -> list[str]:
    marks = [word.strip().removesuffix(".0") for word in cell[1:-1].split(",")]
    if not _LIST.fullmatch(cell) or not set(marks) <= {"0", "1"}:
        raise UserError(f"{path}: row {row} has '{cell[:40]}', which is no list of zeros and ones ([1, 0, 0]).")
    return marks
