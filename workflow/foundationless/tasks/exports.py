"""What a program outside the workflow reads of a sequence set: sequences with their ids and splits, and no labels.

Columns: `id`, `sequence`, `split`; of variants also `alternative` (the ALT window; `sequence` is that of REF) and what
names the variant (`contig`, `position`, 1-based, `offset` in the window, 0-based, `ref`, `alt`). The checksum is of
these columns in the order of ids, so that what comes back can be held to the very sequences that it was computed from;
it does not depend on how the file was written, or on labels.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path, write_json
from foundationless.tasks.sequence_sets import alternative_windows

VARIANT = ("contig", "position", "offset", "ref", "alt")  # in this order, as far as a set has them
NAMED = ("offset", "ref", "alt")  # what makes a set one of variants
LINE = 80  # letters of a line of FASTA


def exported(frame: pd.DataFrame) -> pd.DataFrame:
    """The exported columns of a sequence set, rows in the order of their ids.

    Raises `UserError` for a variant without one of its alleles, or whose REF is not in its window.
    """
    rows = frame.sort_values("id", kind="stable").reset_index(drop=True)
    table = rows[["id", "sequence", "split"]]
    if not set(NAMED) <= set(rows.columns):
        return table
    for name, sequence, offset, ref, alt in rows[["id", "sequence", *NAMED]].itertuples(index=False, name=None):
        if not isinstance(ref, str) or not isinstance(alt, str) or sequence[int(offset) :][: len(ref)] != ref:
            raise UserError(f"variant '{name}': its REF is not in its window, or an allele is missing; leave it out.")
    table.insert(2, "alternative", alternative_windows(rows))
    return table.join(rows[[name for name in VARIANT if name in rows.columns]])


def checksum(table: pd.DataFrame) -> str:
    """SHA-256 of what `exported` gave: a line of names, then one a row, fields parted by tabs."""
    digest = hashlib.sha256("\t".join(table.columns).encode() + b"\n")
    for row in table.itertuples(index=False, name=None):
        digest.update("\t".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()


def export(frame: pd.DataFrame, task: str, directory: Path) -> str:
    """Write `{task}.parquet`, `{task}.fa` and `{task}.json` into a directory; the checksum, which the last one holds.

    FASTA names of variants are `ID|REF` and `ID|ALT`. Each file appears whole, the JSON file last.
    """
    table = exported(frame)
    with atomic_path(directory / f"{task}.parquet") as part:
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), part, compression="zstd")
    with atomic_path(directory / f"{task}.fa") as part, part.open("w") as file:
        file.writelines(_fasta(table))
    total = checksum(table)
    facts = {"task": task, "sequences_sha256": total, "rows": len(table), "columns": list(table.columns)}
    write_json(directory / f"{task}.json", facts)
    return total


def _fasta(table: pd.DataFrame) -> Iterator[str]:
    both = "alternative" in table.columns
    for name, sequence in zip(table["id"], table["sequence"], strict=True) if not both else ():
        yield _entry(name, sequence)
    if both:
        for name, ref, alt in zip(table["id"], table["sequence"], table["alternative"], strict=True):
            yield _entry(f"{name}|REF", ref) + _entry(f"{name}|ALT", alt)


def _entry(name: str, sequence: str) -> str:
    lines = [sequence[start : start + LINE] for start in range(0, len(sequence), LINE)]
    return "\n".join([f">{name}", *lines, ""])
