"""`joined_tables`: one table of sequences with labels 0 and 1 a track and split, joined by sequence into one set."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import check_dna
from foundationless.data.outputs import parse_outputs
from foundationless.data.reference import Genome, normalise
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.study.vocabulary import TRACKS
from foundationless.tasks.dealing import deal
from foundationless.tasks.outputs.labels import known_rows, labels_of_values, read_outputs
from foundationless.tasks.readers.table import by_contig, read_rows, rename_labels
from foundationless.tasks.sequence_sets import SPLITS, with_outputs
from foundationless.tasks.splits import legible, named_by_text, texts, with_validation


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are sequence_NUMBER, `group` is the id, of identical sequences that of the first, or with a genome
    the contig.

    A sequence of tables of several splits is in the last of them, with what all tables say of it: nothing that a test
    table holds is learned from. With a genome each table keeps its rows on the side of its split, as of the reader
    `table`, before they are joined. Where tables of one track contradict each other, the track is not known.
    """
    sources = dict(sources)
    genome = sources.pop("genome", None)
    if (genome is not None) != bool(options["test_contigs"]):
        raise UserError("source genome and option test_contigs go together: give both or neither.")
    _check_splits({source.partition(".")[0] for source in sources}, genome is not None)
    rows = pd.concat([_read_table(source, path, options) for source, path in sources.items()], ignore_index=True)
    rows = rows if genome is None else by_contig(rows, Genome(genome), options["test_contigs"])
    if rows.empty:
        raise UserError("none of the sequences is left, for the genome holds none on the side of its split; check it.")
    tracks = list(dict.fromkeys(source.partition(".")[2] for source in sources))
    frame = legible(known_rows(with_outputs(_joined(rows, tracks), TRACKS, tracks), "the tables"))
    if set(frame["split"]) == {"all"}:
        return deal(frame.drop(columns="split"), options, seed, "the tables")[_COLUMNS]
    if "train" not in set(frame["split"]):
        raise UserError("all training sequences stand in tables of another split, too: none is left to train.")
    contigs = rows.drop_duplicates("sequence").set_index("sequence")["group"] if genome is not None else None
    names = frame["id"] if contigs is None else frame["sequence"].map(contigs)
    frame["group"] = named_by_text(frame["sequence"], names)
    return with_validation(frame, "group", options["validation_fraction"], seed)[_COLUMNS]


_COLUMNS = ["id", "sequence", "label", "split", "group"]


def _read_table(source: str, path: Path, options: dict[str, Any]) -> pd.DataFrame:
    """Rows of one table: sequence, split, track, value (0, 1 or NaN)."""
    split, _, track = source.partition(".")
    if not track:
        raise UserError(f"source '{source}' names no track; write it as {split}.TRACK=PATH.")
    cells = read_rows(path, [options["sequence"], options["label"]])
    sequences = cells[options["sequence"]].str.strip()
    sequences = sequences if options["strict_alphabet"] else sequences.map(normalise)
    check_dna((f"row {row}" for row in cells.index), sequences, path.name)
    said = cells[[options["label"]]]
    if names := options["labels"]:
        said = rename_labels(said[options["label"]].str.strip(), names, str(path)).to_frame(options["label"])
    labels = read_outputs(said, TRACKS, str(path)).fillna("")
    value = parse_outputs(labels, [track])[:, 0]
    return pd.DataFrame({"sequence": sequences, "split": split, "track": track, "value": value})


def _check_splits(splits: set[str], by_contig: bool) -> None:
    """`UserError` unless the tables are those of given splits, or hold all rows."""
    if "all" in splits and len(splits) > 1:
        raise UserError("sources all.* hold the rows of every split; leave the others out.")
    if "all" in splits and by_contig:
        raise UserError("source genome is for tables of given splits; leave it out, or name train.* and test.*.")
    if lost := [] if "all" in splits else sorted({"train", "test"} - splits):
        raise UserError(f"no source begins with '{lost[0]}.'; add --source {lost[0]}.TRACK=PATH for each track.")


def _joined(rows: pd.DataFrame, tracks: list[str]) -> pd.DataFrame:
    """One row a sequence: id, sequence, label, split."""
    places, distinct = pd.factorize(rows["sequence"])
    columns = rows["track"].map({track: place for place, track in enumerate(tracks)}).to_numpy()
    known = rows["value"].notna().to_numpy()
    counts = np.zeros((2, len(distinct), len(tracks)), dtype=np.int32)
    np.add.at(counts, (rows["value"][known].astype(int), places[known], columns[known]), 1)
    values = np.where(counts[1] > 0, 1.0, np.where(counts[0] > 0, 0.0, np.nan))
    torn = (counts > 0).all(axis=0)
    values[torn] = np.nan
    if torn.any():
        tell(f"{torn.sum()} labels are 0 in one row of a track and 1 in another of the same sequence: not known")
    frame = pd.DataFrame({"sequence": distinct, "label": labels_of_values(values)}, dtype=object)
    frame.insert(0, "id", [f"sequence_{number}" for number in range(1, len(frame) + 1)])
    if set(rows["split"]) == {"all"}:
        return frame.assign(split="all")
    # The last split of any table that holds a sequence, on either strand.
    rank = rows["split"].map({split: number for number, split in enumerate(SPLITS)}).to_numpy()
    text = texts(distinct).to_numpy()
    last, first = np.zeros(len(frame), dtype=np.int64), np.full(len(frame), len(SPLITS))
    np.maximum.at(last, text[places], rank)
    np.minimum.at(first, text[places], rank)
    if moved := int((first < last)[text].sum()):
        tell(f"{moved} of {len(frame)} sequences stand in tables of several splits: they are in the last of these")
    return frame.assign(split=np.array(SPLITS, dtype=object)[last[text]])
