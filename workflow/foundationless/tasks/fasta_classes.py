"""`fasta_classes`: one FASTA per split and class (iEnhancer, and other sets that publish classes as files)."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.genomes import normalise, read_records
from foundationless.tasks.reading import ALPHABET, Option, Reader, contig_of, draw_splits, share, words


def merging(text: str) -> dict[str, str]:
    """`strong+weak:enhancer` to {"strong": "enhancer", "weak": "enhancer"}; several are separated by commas."""
    merged = {}
    for item in words(text):
        names, colon, label = item.partition(":")
        if not colon or not label or not names:
            raise ValueError(item)
        merged.update(dict.fromkeys(names.split("+"), label))
    return merged


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; ids are SOURCE_NUMBER since headers repeat and are malformed, `group` is the contig where the header
    names one and the id elsewhere."""
    rows = []
    classes = {source.partition(".")[2] for source in sources}
    if unknown := sorted(set(options["merge"]) - classes):
        raise UserError(f"option merge names class '{unknown[0]}', and the sources hold {', '.join(sorted(classes))}.")
    for source, path in sources.items():
        split, _, label = source.partition(".")
        if not label:
            raise UserError(f"source '{source}' names no class; write it as {split}.CLASS=PATH.")
        for number, (header, sequence) in enumerate(read_records(path), 1):
            identity = f"{source}_{number}"
            merged = options["merge"].get(label, label)
            text = sequence if options["strict_alphabet"] else normalise(sequence)
            rows.append((identity, text, merged, split, contig_of(header) or identity))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])
    for split in ("train", "test"):
        if split not in set(frame["split"]):
            raise UserError(f"no source begins with '{split}.'; add --source {split}.CLASS=PATH for each class.")
    if "validation" not in set(frame["split"]):
        train = frame["split"] == "train"
        part = options["validation_fraction"]
        frame.loc[train, "split"] = draw_splits(
            frame.loc[train, "label"], frame.loc[train, "id"], {"train": 1 - part, "validation": part}, seed
        )
    return frame


READER = Reader(
    summary="one FASTA per split and class; the source names say which (train.strong=FILE)",
    sources={
        "train.*": "FASTA of a class for training",
        "validation.*": "FASTA of a class for validation; without any, validation is drawn from train",
        "test.*": "FASTA of a class for testing",
    },
    required=(),
    options={
        "validation_fraction": Option(share, 0.1, "share of train that becomes validation, stratified by label"),
        "merge": Option(merging, {}, "classes to unite, as strong+weak:enhancer"),
    }
    | ALPHABET,
    read=read,
)
