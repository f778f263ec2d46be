"""`fasta_classes`: one file per split and class: FASTA (iEnhancer), or with a genome tables of intervals (Genomic
Benchmarks)."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.reference import Genome, normalise, read_records
from foundationless.data.text_tables import read_text_table
from foundationless.errors import UserError
from foundationless.tasks.readers.places import contig_of, extract
from foundationless.tasks.splits import with_validation


def read_intervals(path: Path, genome: Genome) -> list[tuple[str, str, str]]:
    """(id, sequence, contig) of the rows of a CSV with region, start, end (0-based, half-open) and strand."""
    columns = ["region", "start", "end", "strand"]
    frame = read_text_table(path, columns)[columns]
    places = []
    for row, contig, start, end, strand in frame.set_axis(range(1, len(frame) + 1)).itertuples():
        if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
            raise UserError(f"{path}: row {row} is no interval ({start} to {end}).")
        places.append((genome.resolve(contig), int(start), int(end), strand))
    sequences = extract(genome, pd.DataFrame(places, columns=["contig", "start", "end", "strand"]))
    return [
        (f"{contig}:{start}-{end}({strand})", sequence, contig)
        for (contig, start, end, strand), sequence in zip(places, sequences, strict=True)
    ]


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are SOURCE_NUMBER since headers repeat and are malformed, `group` is the contig where the header
    names one and the id elsewhere. With a genome the files are tables of intervals (`read_intervals`)."""
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
            for number, (place, text, contig) in enumerate(read_intervals(path, genome), 1):
                rows.append((f"{source}_{number}_{place}", text, merged, split, contig))
            continue
        for number, (header, sequence) in enumerate(read_records(path), 1):
            identity = f"{source}_{number}"
            text = sequence if options["strict_alphabet"] else normalise(sequence)
            rows.append((identity, text, merged, split, contig_of(header) or identity))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])
    for split in ("train", "test"):
        if split not in set(frame["split"]):
            raise UserError(f"no source begins with '{split}.'; add --source {split}.CLASS=PATH for each class.")
    return with_validation(frame, "id", options["validation_fraction"], seed)
