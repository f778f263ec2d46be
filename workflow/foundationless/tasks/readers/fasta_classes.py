"""`fasta_classes`: one file per split and class: FASTA (iEnhancer), or with a genome tables of intervals (Genomic
Benchmarks)."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.tables import read_text_table
from foundationless.data.reference import Genome, normalise, read_records
from foundationless.errors import UserError
from foundationless.tasks.dealing import deal
from foundationless.tasks.readers.places import contig_of, covered_places, extract, is_interval
from foundationless.tasks.splits import check_taught, legible, named_by_text, with_validation


def read_intervals(path: Path, genome: Genome) -> list[tuple[int, str, str, str]]:
    """(row, id, sequence, contig) of the rows of a CSV with region, start, end (0-based, half-open) and strand.

    Rows that are more than half outside the genome are left out.
    """
    columns = ["region", "start", "end", "strand"]
    frame = read_text_table(path, columns)[columns].set_axis(["contig", "start", "end", "strand"], axis="columns")
    frame.insert(0, "row", range(1, len(frame) + 1))
    for row, _, start, end, _ in frame.itertuples(index=False):
        if not is_interval(start, end):
            raise UserError(f"{path}: row {row} is no interval ({start} to {end}).")
    places = covered_places(genome, frame.astype({"start": int, "end": int}), path.name)
    places["contig"] = places["contig"].map({name: genome.resolve(name) for name in places["contig"].unique()})
    return [
        (row, f"{contig}:{start}-{end}({strand})", sequence, contig)
        for (row, contig, start, end, strand), sequence in zip(
            places.itertuples(index=False), extract(genome, places), strict=True
        )
    ]


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are SOURCE_NUMBER since headers repeat and are malformed, `group` is the contig where the header
    names one and the id elsewhere, of identical sequences that of the first. With a genome the files are tables of
    intervals (`read_intervals`)."""
    rows = []
    sources = dict(sources)
    genome = Genome(sources.pop("genome")) if "genome" in sources else None
    classes = {source.partition(".")[2] for source in sources}
    if unknown := sorted(set(options["merge"]) - classes):
        raise UserError(f"option merge names class '{unknown[0]}', and the sources hold {', '.join(sorted(classes))}.")
    for source, path in sources.items():
        split, _, label = source.partition(".")
        if not label:
            raise UserError(f"source '{source}' names no class; write it as {split}.CLASS=PATH.")
        merged = options["merge"].get(label, label)
        if genome is not None:
            for number, place, text, contig in read_intervals(path, genome):
                rows.append((f"{source}_{number}_{place}", text, merged, split, contig))
            continue
        for number, (header, sequence) in enumerate(read_records(path), 1):
            identity = f"{source}_{number}"
            text = sequence if options["strict_alphabet"] else normalise(sequence)
            rows.append((identity, text, merged, split, contig_of(header) or identity))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])
    if set(frame["split"]) == {"all"}:
        frame = deal(legible(frame.drop(columns=["split", "group"])), options, seed, "the FASTA files")
        return frame[["id", "sequence", "label", "split", "group"]]
    for split in ("train", "test"):
        if split not in set(frame["split"]):
            raise UserError(f"no source begins with '{split}.'; add --source {split}.CLASS=PATH for each class.")
    frame = legible(frame)
    check_taught(frame)
    frame["group"] = named_by_text(frame["sequence"], frame["group"])
    frame["unit"] = named_by_text(frame["sequence"], frame["id"])
    return with_validation(frame, "unit", options["validation_fraction"], seed).drop(columns="unit")
