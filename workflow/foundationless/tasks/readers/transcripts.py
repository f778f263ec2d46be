"""`transcripts`: transcript sequences by the biotype of their gene."""

import re
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.files.tables import read_text_table
from foundationless.data.reference import normalise, read_records
from foundationless.errors import UserError
from foundationless.runtime.log import tell
from foundationless.tasks.splits import cap_classes, draw_splits, joined_by_text, legible, shares


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


def _unversioned(name: str) -> str:
    return re.sub(r"\.\d+$", "", name)


def matched(names: pd.Series, known: pd.Series) -> pd.Series:
    """For every name that of `known` (unique) which it is: itself, else without its final .NUMBER, else one with a
    final .NUMBER; NaN where there is none, or several of these."""
    bare = names.map(_unversioned, na_action="ignore")
    versioned = pd.Series(known.to_numpy(), index=known.map(_unversioned))
    versioned = versioned[~versioned.index.duplicated(keep=False)]
    found = names.where(names.isin(known), bare.where(bare.isin(known)))
    return found.where(found.notna(), bare.map(versioned))


def looked_up(names: pd.Series, table: pd.DataFrame, key: str, value: str) -> tuple[pd.Series, pd.Series]:
    """The names as the table has them (`matched`), and what stands there."""
    known = table.dropna(subset=key).astype({key: str}).drop_duplicates(key).set_index(key)[value]
    found = matched(names, known.index.to_series())
    return found, found.map(known)


def transcript_biotypes(fasta: Path, genes: Path, tx2gene: Path, strict_alphabet: bool = False) -> pd.DataFrame:
    """One row per FASTA record: transcript (as `tx2gene` has it), gene, label (biotype; null where the tables have
    none), sequence (as written if `strict_alphabet`, for `write_sequences` to judge; else normalised).

    The transcript is the first word of the header, or what stands before a `|` in it. GENCODE's second copies of
    pseudoautosomal transcripts (`…_PAR_Y`) are left out.
    """
    spell = str if strict_alphabet else normalise
    records = [(header.split()[0], spell(text)) for header, text in read_records(fasta) if header]
    copies = [name.partition("|")[0].endswith("_PAR_Y") for name, _ in records]
    if any(copies):
        tell(f"{sum(copies)} of {len(records)} transcripts are second copies on Y (_PAR_Y): left out")
    frame = pd.DataFrame(records, columns=["name", "sequence"], dtype=object)[[not copy for copy in copies]]
    table = read_gene_table(tx2gene, ["enstxp", "ensgene"])
    found, gene = looked_up(frame["name"], table, "enstxp", "ensgene")
    before_bar = frame["name"].str.partition("|")[0]
    short, its_gene = looked_up(before_bar, table, "enstxp", "ensgene")
    frame["transcript"] = found.combine_first(short).combine_first(before_bar)
    frame["gene"] = gene.combine_first(its_gene)
    _, frame["label"] = looked_up(frame["gene"], read_gene_table(genes, ["ensgene", "biotype"]), "ensgene", "biotype")
    return frame[["transcript", "sequence", "gene", "label"]].reset_index(drop=True)


def read(sources: dict[str, Path], options: dict[str, Any], seed: int) -> pd.DataFrame:
    """The set: id is the transcript, `group` the gene, of genes that share a sequence (copies on X and Y) the first;
    transcripts without a biotype are left out.

    No gene stands in two splits, and each class is split in the given shares.
    """
    files = {name: sources[name] for name in ("fasta", "genes", "tx2gene")}
    frame = transcript_biotypes(**files, strict_alphabet=options["strict_alphabet"])
    known = frame["label"].notna() & (frame["label"] != "")
    tell(f"{int((~known).sum())} of {len(frame)} transcripts have no biotype in the tables: left out")
    frame = frame[known].rename(columns={"transcript": "id"})
    frame = legible(frame)
    frame["group"] = joined_by_text(frame["sequence"], frame["gene"])
    frame = cap_classes(frame, options["classes"], options["max_per_class"], options["min_per_class"], seed)
    if frame.empty:
        raise UserError(f"{sources['fasta'].name}: no transcripts are left; check the tables and the classes.")
    frame["split"] = draw_splits(frame["label"], frame["group"], shares(options["fractions"]), seed)
    return frame[["id", "sequence", "label", "split", "group"]]
