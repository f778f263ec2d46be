"""The paper's unit of similarity: chunks of a gene that carry all variants of a class (paper, Tables 5 and 16)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from foundationless.data.dna import reverse_complement
from foundationless.data.reference import Genome, canonical_contig
from foundationless.errors import UserError
from foundationless.scoring.measures import require


@dataclass(frozen=True)
class PublishedChunks:
    """Where the paper's chunks of a gene start: 0-based offsets in the gene body as it is transcribed.

    `start` (0-based) and `end` are those of the body on the plus strand of GRCh38. That the offsets are 0-based is
    inferred: the first four lie 1,024 apart, as slices of a string do.
    """

    contig: str
    start: int
    end: int
    strand: str
    length: int
    starts: Sequence[int]

    def region(self, offset: int) -> int:
        """0-based first base, on the plus strand, of the chunk at an offset of the gene."""
        return self.end - offset - self.length if self.strand == "-" else self.start + offset


PUBLISHED = {"TP53": PublishedChunks("chr17", 7668420, 7687490, "-", 1024, (10500, 11524, 12548, 13572, 16750))}
"""Chunks that the paper states. It does not state the gene body: that of NCBI Gene 7157 on GRCh38 is inferred, and
with it the five chunks hold parts of coding exons 2 to 10. For other genes the paper states no starts."""


@dataclass(frozen=True)
class _Chunk:
    """One stretch of a gene, 0-based on the plus strand, and the offset in the gene where the paper states it."""

    begin: int
    gene_start: int | None = None
    reverse: bool = False


def mutated_chunks(
    frame: pd.DataFrame, genome: Genome, chunk: int, most: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The paper's unit: a chunk of a gene with all its benign, or all its pathogenic, SNVs put into one sequence.

    For genes of `PUBLISHED`, given the paper's chunk length and variants within the gene body, the chunks are the
    paper's own, read along the gene. Otherwise they are consecutive tiles of `chunk` bp from the gene's first variant
    on, read along the plus strand. Those with both classes are kept, at most `most` of them, first those with most
    variants of the rarer class. One allele fits a position: of several ALTs of one class the first in alphabetical
    order goes in. Because sequences with more mutations are farther from the reference whatever their class, every
    chunk comes twice: as the paper has it, and `matched`, where a random subset of the larger class has as many
    mutations as the smaller one.

    Returns one row per chunk, label and `matched`: id, group, gene, label, unit, matched, mutations, before, after,
    sites_before, sites_after, chunk (CONTIG:START-END, 1-based), gene_start (the paper's offset, or null). Raises
    `UserError` if a REF differs from the genome or no gene has such a chunk.
    """
    require(frame, ["contig", "position", "gene"], "chunks")
    if not pd.api.types.is_integer_dtype(frame["position"]):
        raise UserError("chunks: the column position holds other than whole numbers; build the set again.")
    single = frame[(frame["ref"].str.len() == 1) & (frame["alt"].str.len() == 1) & frame["label"].notna()]
    rows: list[dict[str, Any]] = []
    for names, own in single.groupby(["gene", "contig"], sort=True):
        gene, contig = map(str, names)
        for place, chosen in _choose_chunks(gene, contig, own, chunk, most):
            begin = place.begin
            reference = genome.fetch(contig, begin, begin + chunk)
            fewest = min(map(len, chosen.values()))
            for label, same in sorted(chosen.items()):
                for matched in (False, True):
                    subset = np.sort(rng.permutation(len(same))[:fewest]) if matched else np.arange(len(same))
                    used = same.iloc[subset]
                    mutated = _apply(reference, begin, used, contig)
                    sites = (used["position"] - 1 - begin).tolist()
                    before = reference
                    if place.reverse:
                        before, mutated = reverse_complement(reference), reverse_complement(mutated)
                        sites = sorted(chunk - 1 - site for site in sites)
                    rows.append(
                        {
                            "id": f"{gene}:{contig}:{begin + 1}:{label}" + (":matched" if matched else ""),
                            "group": gene,
                            "gene": gene,
                            "label": label,
                            "unit": "chunk",
                            "matched": matched,
                            "mutations": len(used),
                            "before": before,
                            "after": mutated,
                            "sites_before": sites,
                            "sites_after": sites,
                            "chunk": f"{contig}:{begin + 1}-{begin + chunk}",
                            "gene_start": place.gene_start,
                        }
                    )
    if not rows:
        raise UserError(f"no chunk of {chunk} bp holds both benign and pathogenic SNVs; leave --genome out.")
    return pd.DataFrame(rows)


def _choose_chunks(
    gene: str, contig: str, own: pd.DataFrame, length: int, most: int
) -> Iterator[tuple[_Chunk, dict[str, pd.DataFrame]]]:
    """At most `most` chunks with both classes and, per class, one variant a position; see `mutated_chunks`."""
    for places in (_published(gene, contig, own, length), _tiles(own, length)):
        usable = []
        for place in places:
            some = own[(own["position"] > place.begin) & (own["position"] <= place.begin + length)]
            chosen = {
                label: same.sort_values(["position", "alt"]).drop_duplicates("position")
                for label, same in some.groupby(some["label"].astype(str))
            }
            if len(chosen) == 2:
                usable.append((place, chosen))
        if usable:
            usable.sort(key=lambda item: -min(map(len, item[1].values())))
            yield from usable[:most]
            return


def _published(gene: str, contig: str, own: pd.DataFrame, length: int) -> list[_Chunk]:
    """The paper's chunks of a gene; none where it states none or the variants are not on that gene body."""
    known = PUBLISHED.get(gene)
    if known is None or known.length != length or canonical_contig(contig) != canonical_contig(known.contig):
        return []
    if not own["position"].between(known.start + 1, known.end).all():
        return []
    return [_Chunk(known.region(offset), offset, known.strand == "-") for offset in known.starts]


def _tiles(own: pd.DataFrame, length: int) -> list[_Chunk]:
    """Consecutive chunks from the first variant on, those without variants left out."""
    start = int(own["position"].min()) - 1
    numbers = sorted(set((own["position"] - 1 - start) // length))
    return [_Chunk(start + int(number) * length) for number in numbers]


def _apply(reference: str, begin: int, used: pd.DataFrame, contig: str) -> str:
    """`reference`, which starts at the 0-based `begin`, with the ALT of every variant; checks their REF."""
    letters = list(reference)
    for name, position, ref, alt in used[["id", "position", "ref", "alt"]].itertuples(index=False):
        if (there := letters[position - 1 - begin]) != ref:
            raise UserError(
                f"variant '{name}': REF is {ref}, but the genome has {there} at {contig}:{position}; "
                "give the genome that the variants were called on."
            )
        letters[position - 1 - begin] = alt
    return "".join(letters)
