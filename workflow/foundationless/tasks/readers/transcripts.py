"""`transcripts`: transcript sequences by the biotype of their gene."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.reference import normalise, read_records
from foundationless.data.text_tables import read_text_table
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.splits import cap_classes, draw_splits, shares


def read_gene_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """`columns` of an annotables table: R data (`.rda`), or CSV or TSV with the same column names."""
    if path.suffix.lower() not in {".rda", ".rdata"}:
        return read_text_table(path, columns)[columns]
    import rdata

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables = [value for value in rdata.read_rda(path).values() if isinstance(value, pd.DataFrame)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except Exception as error:  # rdata lets errors of the decompressors and of its parser through
        raise UserError(f"{path}: cannot be read as R data ({error}); download it again.") from None
    if len(tables) != 1 or not set(columns) <= set(tables[0].columns):
        raise UserError(f"{path}: holds no single data frame with the columns {', '.join(columns)}.")
    return tables[0][columns].reset_index(drop=True)


def transcript_biotypes(fasta: Path, genes: Path, tx2gene: Path, strict_alphabet: bool = False) -> pd.DataFrame:
    """One row per FASTA record: transcript (version cut off), gene, label (biotype; null where the tables have none),
    sequence (as written if `strict_alphabet`, for `write_sequences` to judge; else normalised)."""
    spell = str if strict_alphabet else normalise
    records = [(header.split()[0].split(".")[0], spell(text)) for header, text in read_records(fasta) if header]
    frame = pd.DataFrame(records, columns=["transcript", "sequence"])
    to_gene = read_gene_table(tx2gene, ["enstxp", "ensgene"]).drop_duplicates("enstxp").set_index("enstxp")["ensgene"]
    biotype = read_gene_table(genes, ["ensgene", "biotype"]).drop_duplicates("ensgene").set_index("ensgene")["biotype"]
    frame["gene"] = frame["transcript"].map(to_gene)
    frame["label"] = frame["gene"].map(biotype)
    return frame


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: id is the transcript, `group` the gene; transcripts without a biotype are left out.

    No gene stands in two splits, and each class is split in the given shares.
    """
    files = {name: sources[name] for name in ("fasta", "genes", "tx2gene")}
    frame = transcript_biotypes(**files, strict_alphabet=options["strict_alphabet"])
    known = frame["label"].notna() & (frame["label"] != "")
    tell(f"{int((~known).sum())} of {len(frame)} transcripts have no biotype in the tables: left out")
    frame = frame[known].rename(columns={"transcript": "id"})
    frame["group"] = frame["gene"]
    frame = cap_classes(frame, options["classes"], options["max_per_class"], options["min_per_class"], seed)
    if frame.empty:
        raise UserError(f"{sources['fasta'].name}: no transcripts are left; check the tables and the classes.")
    frame["split"] = draw_splits(frame["label"], frame["group"], shares(options["fractions"]), seed)
    return frame[["id", "sequence", "label", "split", "group"]]
