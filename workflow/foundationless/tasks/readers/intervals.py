"""`intervals`: BED6 and a genome; the sequences between, with the BED name as label."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.tasks.readers.places import covered_places, extract
from foundationless.tasks.splits import split_rows


def read_bed(path: Path, least: int) -> list[list[str]]:
    """Fields of the data lines of a BED file; `UserError` for fewer than `least` fields and for no interval."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a directory; a BED file is needed.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; unpack it first.") from None
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t")
        if len(fields) < least:
            raise UserError(f"{path}: line {number} has {len(fields)} fields separated by tabs; {least} are needed.")
        if not (fields[1].isdecimal() and fields[2].isdecimal() and int(fields[1]) < int(fields[2])):
            raise UserError(f"{path}: line {number} is no interval ({fields[1]} to {fields[2]}).")
        rows.append(fields)
    if not rows:
        raise UserError(f"{path}: the file holds no intervals.")
    return rows


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set, strand-aware; ids are CONTIG:START-END(STRAND), 0-based and half-open; `group` is the contig.

    Intervals that are more than half outside the genome are left out. Without `test_contigs` rows are dealt out singly.
    """
    path = sources["bed"]
    places = pd.DataFrame(
        [fields[:6] for fields in read_bed(path, 6)], columns=["contig", "start", "end", "label", "score", "strand"]
    ).astype({"start": int, "end": int})
    genome = Genome(sources["genome"])
    places = covered_places(genome, places, path.name)
    text = places.astype(str)
    frame = places.assign(
        id=text["contig"] + ":" + text["start"] + "-" + text["end"] + "(" + text["strand"] + ")",
        sequence=extract(genome, places),
        group=places["contig"],
    )
    by_row = frame if options["test_contigs"] else frame.assign(group=frame["id"])
    frame["split"] = split_rows(by_row, frame["contig"], options, seed, path.name)
    return frame[["id", "sequence", "label", "split", "group"]]
