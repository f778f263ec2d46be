"""What the readers share: declared sources and options, text tables, and how splits are drawn."""

import re
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.data.reference import Genome, canonical_contig
from foundationless.errors import UserError
from foundationless.tasks.options import note


def read_text_table(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """A CSV or TSV (also gzip) with a header, every cell a string; `UserError` without rows or without `columns`.

    The separator is a tab where the header holds one, else a comma.
    """
    try:
        with path.open("rb") as stream:
            compression: Any = "gzip" if stream.read(2) == b"\x1f\x8b" else None
        header = pd.read_csv(path, sep="\x00", nrows=0, compression=compression).columns
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut off
            frame = pd.read_csv(
                path,
                sep="\t" if len(header) and "\t" in header[0] else ",",
                dtype=str,
                keep_default_na=False,
                index_col=False,
                compression=compression,
            )
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: the file is empty; a table with a header is needed.") from None
    except (EOFError, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; download it again.") from None
    except pd.errors.ParserWarning:
        raise UserError(f"{path}: a row has more cells than the header; give every row the header's cells.") from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a table ({' '.join(str(error).split())}).") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    for name in columns:
        if name not in frame.columns:
            raise UserError(f"{path}: has no column '{name}' (it has {', '.join(map(str, frame.columns[:8]))}).")
    if frame.empty:
        raise UserError(f"{path}: the table has a header and no rows.")
    return frame


def contig_of(header: str) -> str | None:
    """Chromosome in a FASTA header (`chr2_87930085_87930285`, `… range=chr12:78319870-…`, `chr5:1-10`), or None."""
    match = re.search(r"(?:range=|^)chr([0-9]{1,2}|[XYMxym]|MT|[IVXLivxl]+)(?=[:_])", header, flags=re.IGNORECASE)
    return None if match is None else "chr" + match[1].upper()


def covered_places(genome: Genome, places: pd.DataFrame, where: str) -> pd.DataFrame:
    """The places (`contig`, `start`, `end`, 0-based and half-open) that the genome covers by at least half.

    `UserError` where none is; contigs that the genome lacks count as not covered.
    """
    stretches: dict[str, list[tuple[int, int]]] = {}
    for contig in places["contig"].unique():
        known = {canonical_contig(name): name for name in genome.contigs}
        stretches[contig] = genome.coverage(known[name]) if (name := canonical_contig(contig)) in known else []
    keep = [
        2 * sum(max(0, min(end, high) - max(start, low)) for low, high in stretches[contig]) >= end - start
        for contig, start, end in zip(places["contig"], places["start"], places["end"], strict=True)
    ]
    if not any(keep):
        genome.resolve(places["contig"].iloc[0])
        raise UserError(f"{where}: the genome {genome.path.name} covers none of its {len(places)} places.")
    if not all(keep):
        note(f"{where}: {len(keep) - sum(keep)} of {len(keep)} places are more than half outside the genome: left out")
    return places[keep].reset_index(drop=True)


def extract(genome: Genome, places: pd.DataFrame) -> list[str]:
    """Sequences of places (`contig`, `start`, `end`, `strand`), reverse complements where the strand is -."""
    if (odd := ~places["strand"].isin(["+", "-", "."])).any():
        place = places[odd].iloc[0]
        raise UserError(
            f"strand '{place['strand']}' of {place['contig']}:{place['start']}-{place['end']} is none of +, - and '.'."
        )
    columns = (places[name] for name in ("contig", "start", "end", "strand"))
    return [
        reverse_complement(text) if strand == "-" else text
        for text, strand in (
            (genome.fetch(contig, start, end), strand) for contig, start, end, strand in zip(*columns, strict=True)
        )
    ]
