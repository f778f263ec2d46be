"""`table`: CSV or TSV files of sequences with labels, one file a split (GUE, and most published benchmarks)."""

from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.genomes import Genome
from foundationless.sequences import check_dna, contigs_of
from foundationless.tasks.reading import ALPHABET, Option, Reader, draw_splits, note, read_text_table, share, words


def read_split(path: Path, split: str, strict_alphabet: bool = False) -> pd.DataFrame:
    """Rows of one file with id (its column `id`, else SPLIT_ROW), sequence (upper case if not `strict_alphabet`, which
    takes it as written), label, split; `UserError` for letters other than A, C, G, T, N."""
    frame = read_text_table(path, ["sequence", "label"])
    identities = frame["id"] if "id" in frame.columns else [f"{split}_{row}" for row in range(1, len(frame) + 1)]
    sequences = frame["sequence"].str.strip()
    frame = pd.DataFrame(
        {
            "id": identities,
            "sequence": sequences if strict_alphabet else sequences.str.upper(),
            "label": frame["label"].str.strip(),
            "split": split,
        }
    )
    if (blank := frame["label"] == "").any():
        raise UserError(f"{path}: row {int(blank.argmax()) + 1} has no label; every sequence needs one.")
    check_dna((f"row {row}" for row in range(1, len(frame) + 1)), frame["sequence"], path.name)
    return frame


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set; `group` is the id, or with a genome the (first) contig, and then splits keep to chromosomes.

    A row stays in test only if every place of its sequence is on `test_contigs`, in train or validation only if none
    is; a sequence that is nowhere in the genome (`sequences.contigs_of`) is left out of both. A validation split drawn
    from train takes whole contigs, since neighbouring windows overlap.
    """
    strict = options["strict_alphabet"]
    splits = [split for split in ("train", "validation", "test") if split in sources]
    frame = pd.concat([read_split(sources[split], split, strict) for split in splits], ignore_index=True)
    frame["group"] = frame["id"]
    if ("genome" in sources) != bool(options["test_contigs"]):
        raise UserError("source genome and option test_contigs go together: give both or neither.")
    if "genome" in sources:
        frame = _by_contig(frame, Genome(sources["genome"]), options["test_contigs"])
    if "validation" not in sources:
        train = frame["split"] == "train"
        part = options["validation_fraction"]
        frame.loc[train, "split"] = draw_splits(
            frame.loc[train, "label"], frame.loc[train, "group"], {"train": 1 - part, "validation": part}, seed
        )
    return frame


def _by_contig(frame: pd.DataFrame, genome: Genome, test_contigs: list[str]) -> pd.DataFrame:
    held_out = {genome.resolve(contig) for contig in test_contigs}
    places = contigs_of(list(frame["sequence"]), genome.pieces)
    keep = [
        bool(contigs) and (set(contigs) <= held_out if split == "test" else not held_out & set(contigs))
        for contigs, split in zip(places, frame["split"], strict=True)
    ]
    lost = sum(not contigs for contigs in places)
    note(
        f"of {len(frame)} sequences {lost} are nowhere in {genome.path.name} and {len(keep) - sum(keep) - lost} are on "
        "the other side of the split by contig: left out"
    )
    return frame.assign(group=[contigs[0] if contigs else "" for contigs in places])[keep].reset_index(drop=True)


READER = Reader(
    summary="CSV or TSV files with the columns sequence and label, one file a split",
    sources={
        "train": "table with columns sequence, label and perhaps id",
        "validation": "the same; without it validation is drawn from train",
        "test": "the same",
        "genome": "genome that the sequences come from, to split by chromosome",
    },
    required=("train", "test"),
    options={
        "validation_fraction": Option(
            share, 0.1, "share of train that becomes validation: by label, or with a genome by chromosome"
        ),
        "test_contigs": Option(words, [], "chromosomes of the test split, as IV,XII; needs the source genome"),
    }
    | ALPHABET,
    read=read,
)
