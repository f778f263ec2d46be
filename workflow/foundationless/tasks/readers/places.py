"""Places of a genome, as the readers take them from headers and tables, and the sequences there."""

import re

import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.data.reference import Genome, canonical_contig
from foundationless.errors import UserError
from foundationless.runtime.log import tell

_FARTHEST = 1 << 40  # no contig reaches there; larger numbers are mistakes


def is_interval(start: str, end: str) -> bool:
    """Whether two cells are the ends of an interval, 0-based and half-open."""
    return start.isdecimal() and end.isdecimal() and int(start) < int(end) <= _FARTHEST


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
        tell(f"{where}: {len(keep) - sum(keep)} of {len(keep)} places are more than half outside the genome: left out")
    return places[keep].reset_index(drop=True)


def once(places: pd.DataFrame, columns: list[str], where: str) -> pd.DataFrame:
    """The rows that differ in `columns`; repeated ones are counted, and with another label they are a `UserError`."""
    labels = places.groupby(columns, sort=False)["label"].nunique()
    if (torn := labels > 1).any():
        place = " ".join(map(str, labels.index[torn][0]))
        raise UserError(f"{where}: {place} stands there with two labels; remove one.")
    repeated = places.duplicated(columns)
    if repeated.any():
        tell(f"{where}: {repeated.sum()} of {len(places)} rows are repeated: kept once")
    return places[~repeated].reset_index(drop=True)


def extract(genome: Genome, places: pd.DataFrame) -> list[str]:
    """Sequences of places (`contig`, `start`, `end`, `strand`), reverse complements where the strand is -."""
    if (odd := ~places["strand"].isin(["+", "-", "."])).any():
        place = places[odd].iloc[0]
        raise UserError(
            f"strand '{place['strand']}' of {place['contig']}:{place['start']}-{place['end']} is none of +, - and '.'."
        )
    texts = map(genome.fetch, places["contig"], places["start"], places["end"])
    pairs = zip(texts, places["strand"], strict=True)
    return [reverse_complement(text) if strand == "-" else text for text, strand in pairs]
