"""`intervals`: BED6 and a genome; the sequences between, with the BED name as class or tracks, or its score."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.files.text import read_lines
from foundationless.data.reference import Genome
from foundationless.errors import UserError
from foundationless.study.vocabulary import TRACKS, VALUES
from foundationless.tasks.dealing import deal
from foundationless.tasks.options import words
from foundationless.tasks.outputs.labels import known_rows, read_outputs, same_tracks
from foundationless.tasks.readers.places import covered_places, extract, is_interval, once
from foundationless.tasks.sequence_sets import with_outputs
from foundationless.tasks.splits import legible, named_by_text, split_rows


def read_bed(path: Path, least: int) -> list[list[str]]:
    """Fields of the data lines of a BED file; `UserError` for fewer than `least` fields and for no interval."""
    rows = []
    for number, line in enumerate(read_lines(path, "a BED file"), 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.rstrip("\n").split("\t")
        if len(fields) < least:
            raise UserError(f"{path}: line {number} has {len(fields)} fields separated by tabs; {least} are needed.")
        if not is_interval(fields[1], fields[2]):
            raise UserError(f"{path}: line {number} is no interval ({fields[1]} to {fields[2]}).")
        rows.append(fields)
    if not rows:
        raise UserError(f"{path}: the file holds no intervals.")
    return rows


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set, strand-aware; ids are CONTIG:START-END(STRAND), 0-based and half-open; `group` is the contig, of
    identical sequences that of the first.

    Intervals that are more than half outside the genome are left out, and so are repeated ones; one of two labels is a
    `UserError`, but of tracks, where it is of all that name it. Without `test_contigs` rows are dealt out singly,
    identical sequences together.
    """
    path = sources["bed"]
    places = pd.DataFrame(
        [fields[:6] for fields in read_bed(path, 6)], columns=["contig", "start", "end", "label", "score", "strand"]
    ).astype({"start": int, "end": int})
    if options["label_kind"] == VALUES:
        numbered = places[["score"]].set_axis(range(1, len(places) + 1))
        places = places.assign(label=read_outputs(numbered, VALUES, path.name).to_numpy())
        places = with_outputs(known_rows(places, path.name), VALUES, ["score"])
    genome = Genome(sources["genome"])
    places = _labelled(covered_places(genome, places, path.name), options["label_kind"], path.name)
    text = places.astype(str)
    frame = places.assign(
        id=text["contig"] + ":" + text["start"] + "-" + text["end"] + "(" + text["strand"] + ")",
        sequence=extract(genome, places),
    )
    if options["deal"] and not options["test_contigs"]:
        return deal(legible(frame), options, seed, path.name)[["id", "sequence", "label", "split", "group"]]
    frame = split_rows(legible(frame), options, seed, path.name)
    frame["group"] = named_by_text(frame["sequence"], frame["contig"])
    return frame[["id", "sequence", "label", "split", "group"]]


def _labelled(places: pd.DataFrame, kind: str, where: str) -> pd.DataFrame:
    """Distinct places with their labels: as they stand there, or the tracks that the names list."""
    interval = ["contig", "start", "end", "strand"]
    if kind != TRACKS:
        return once(places, interval, where)
    every = places["label"].map(lambda name: set(words(name)) - {"."})
    joined = every.groupby([places[name] for name in interval]).transform(
        lambda each: ",".join(sorted(set.union(*each)))
    )
    places = once(places.assign(label=joined), interval, where)
    names, labels = same_tracks([words(name) for name in places["label"]])
    if not names:
        raise UserError(f"{where}: no interval names a track; the BED name lists them, as H3,H4.")
    return with_outputs(places.assign(label=np.array(labels, dtype=object)), kind, names)
