"""`reporters`: what reporter assays measured (STARR-seq, MPRA): sequences in FASTA or table, activities in a table."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.dna import check_dna
from foundationless.data.reference import normalise, read_records
from foundationless.errors import UserError
from foundationless.study.vocabulary import VALUES
from foundationless.tasks.outputs.labels import known_rows, read_outputs
from foundationless.tasks.readers.outputs.blocks import BLOCK
from foundationless.tasks.readers.table import read_rows
from foundationless.tasks.sequence_sets import SPLITS, with_outputs
from foundationless.tasks.splits import legible, named_by_text, with_validation

_PLACE = re.compile(r"(?<![A-Za-z0-9])(chr[A-Za-z0-9]+)[_:](\d+)[_-](\d+)(?![A-Za-z0-9])")


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are SPLIT_ROW, for headers repeat. `group` is the block of a megabase where headers (or the column
    `id`) name a place such as chr2L_5587_5835, else the id; of identical sequences, on either strand, the first's.

    Constant ends that `trim` counts are cut off: with them the two orientations of an element would not be alike.
    """
    if not options["label"]:
        raise UserError("option label is missing: name the columns of the activities, as label=dev,hk.")
    splits = [split for split in SPLITS if f"{split}.table" in sources]
    frame = legible(pd.concat([_split(sources, split, options) for split in splits], ignore_index=True))
    frame["group"] = named_by_text(frame["sequence"], frame["group"])
    frame = with_outputs(frame[["id", "sequence", "label", "split", "group"]], VALUES, options["label"])
    return with_validation(frame, "group", options["validation_fraction"], seed)


def _split(sources: dict[str, Path], split: str, options: dict[str, Any]) -> pd.DataFrame:
    """Rows of one split, those of which nothing was measured left out."""
    path, fasta = sources[f"{split}.table"], sources.get(f"{split}.fasta")
    columns = [*options["label"], *([options["id"]] if options["id"] else [])]
    rows = read_rows(path, list(dict.fromkeys([*columns, *([] if fasta else [options["sequence"]])])))
    if fasta is None:
        headers = rows[options["id"]] if options["id"] else pd.Series("", index=rows.index)
        sequences = rows[options["sequence"]].str.strip()
    else:
        records = _records(fasta, rows, options["id"], path)
        headers, sequences = (pd.Series(part, index=rows.index) for part in zip(*records, strict=True))
    sequences = _trimmed(sequences, options["trim"], path)
    if not options["strict_alphabet"]:
        sequences = sequences.map(normalise)
    check_dna((f"row {row}" for row in rows.index), sequences, path.name)
    ids = pd.Series([f"{split}_{row}" for row in rows.index], index=rows.index)
    groups = [_block(header) or name for header, name in zip(headers, ids, strict=True)]
    labels = read_outputs(rows[options["label"]], VALUES, path.name)
    frame = pd.DataFrame({"id": ids, "sequence": sequences, "label": labels, "split": split, "group": groups})
    return known_rows(frame, path.name)


def _records(fasta: Path, rows: pd.DataFrame, column: str, path: Path) -> list[tuple[str, str]]:
    """Header and sequence of each row: in the order of the FASTA, or by the first word of its headers."""
    records = list(read_records(fasta))
    if not column:
        if len(records) != len(rows):
            raise UserError(
                f"{fasta}: holds {len(records)} records and {path.name} {len(rows)} rows; they belong to each other in "
                "their order, unless the option id names a column that has the first words of the headers."
            )
        return records
    named = {(header.split() or [""])[0]: (header, sequence) for header, sequence in records}
    if len(named) < len(records):
        raise UserError(f"{fasta}: headers begin alike; leave the option id out where both files have one order.")
    if (lost := ~rows[column].isin(named)).any():
        raise UserError(f"{path}: row {lost.idxmax()} has the {column} '{rows[column][lost].iloc[0]}', not in {fasta}.")
    return [named[name] for name in rows[column]]


def _trimmed(sequences: pd.Series, ends: list[int], path: Path) -> pd.Series:
    """Sequences without so many bases at the start and at the end."""
    if len(ends) != 2 or min(ends) < 0:
        raise UserError(f"option trim={','.join(map(str, ends))} is no two numbers: bases at the start and at the end.")
    left, right = ends
    if (short := sequences.str.len() <= left + right).any():
        raise UserError(f"{path}: the sequence of row {short.idxmax()} is no longer than what trim cuts off.")
    return sequences.str.slice(left).str.slice(0, -right or None)


def _block(header: str) -> str:
    """The block of a megabase of the place that a header names, or nothing."""
    place = _PLACE.search(header)
    return f"{place[1]}:{int(place[2]) // BLOCK}" if place else ""
