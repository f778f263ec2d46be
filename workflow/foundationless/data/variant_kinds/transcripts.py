"""Variants that are named on a transcript (HGVS, `c.76A>T`, `c.340+5G>A`, `c.*12del`), as places of the genome.

Substitutions, deletions, duplications, insertions and deletion-insertions are read, as the HGVS Nomenclature names them
(den Dunnen et al. 2016, doi:10.1002/humu.22981), of one place each. Everything is written on the plus strand.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from foundationless.data.dna import reverse_complement
from foundationless.data.files.text import read_lines
from foundationless.errors import UserError

_POINT = r"([-*]?)(\d{1,7})([+-]\d{1,7})?"
_CHANGE = re.compile(
    rf"c\.{_POINT}(?:_{_POINT})?(?:([ACGT])>([ACGT])|del([ACGT]*)(?:ins([ACGT]+))?|dup([ACGT]*)|ins([ACGT]+))"
)
_ATTRIBUTE = re.compile(r'(\w+) "([^"]*)"')
_FEATURES = ("exon", "CDS", "stop_codon")


class Unplaced(Exception):
    """A variant that has no place: `args[0]` says why, in words that follow on a number of variants."""


class OtherTranscript(Unplaced):
    """A variant that the transcript cannot have: its exons are others than those that the name was given on."""


@dataclass(frozen=True)
class Transcript:
    """A coding transcript on a genome.

    `exons` are (start, end) on the contig, 0-based and half-open, in the order of the transcript; `coding` is the first
    base of the start codon and the end of the stop codon, in bases of the transcript, likewise.
    """

    name: str
    gene: str
    contig: str
    strand: str
    exons: tuple[tuple[int, int], ...]
    coding: tuple[int, int]

    def place(self, mark: str, base: int, offset: int) -> tuple[int, int]:
        """The 1-based position on the contig of a base that HGVS counts, and the exon (from 1) that it counts from.

        `mark`: `-` before the start codon, `*` behind the stop codon, else empty; `offset`: bases into the intron that
        follows (+) or goes before (−). `OtherTranscript` where there is no such base.
        """
        start, end = self.coding
        at = {"": start + base - 1, "-": start - base, "*": end + base - 1}[mark]
        low, high = {"": (start, end), "-": (0, start), "*": (end, sum(b - a for a, b in self.exons))}[mark]
        if base < 1 or not low <= at < high:
            raise OtherTranscript("beyond the ends of the transcript or of its coding sequence")
        number = 0
        while at >= (length := self.exons[number][1] - self.exons[number][0]):
            at, number = at - length, number + 1
        if offset:
            other = number + (1 if offset > 0 else -1)
            if at != (length - 1 if offset > 0 else 0) or not 0 <= other < len(self.exons):
                raise OtherTranscript("in an intron where the transcript has none")
            left, right = sorted((self.exons[number], self.exons[other]))
            if abs(offset) > right[0] - left[1]:
                raise OtherTranscript("in an intron where the transcript has none")
        first, last = self.exons[number]
        return (first + at + offset + 1 if self.strand == "+" else last - at - offset), number + 1

    def splice_distance(self, *positions: int) -> float:
        """Bases from the nearest of 1-based positions to a splice site (1: beside it); NaN of a single exon.

        In an intron the distance to its nearer exon; in an exon the distance to the nearest intron.
        """
        ordered = sorted(self.exons)
        sites = [site for (_, left), (right, _) in pairwise(ordered) for site in (left, right)]
        distances = [site - at + 1 if at <= site else at - site for site in sites for at in positions]
        return float(min(distances)) if distances else float("nan")


def changed(position: int, ref: str, alt: str) -> range:
    """The 1-based bases that a variant changes; of an insertion the two beside it."""
    anchored = len(ref) != len(alt) and ref[0] == alt[0]  # the base before is written, and stays
    if anchored and len(ref) == 1:
        return range(position, position + 2)
    return range(position + anchored, position + len(ref))


def unversioned(name: str) -> str:
    """`ENST00000256474.3` to `ENST00000256474`."""
    return re.sub(r"\.\d+$", "", name)


def read_transcripts(path: Path, wanted: Collection[str]) -> dict[str, Transcript]:
    """Transcripts of a GTF (plain or gzip) by their names without version, those of `wanted`, which have none either.

    `UserError` for one that is not there, has no coding sequence, or lies on two contigs. GENCODE's second copies of
    pseudoautosomal transcripts (`…_PAR_Y`) are passed over.
    """
    rows: dict[str, list[tuple[str, str, str, int, int]]] = {}
    said: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(read_lines(path, "a GTF"), 1):
        name = line.partition('transcript_id "')[2].partition('"')[0]
        fields = line.rstrip("\r\n").split("\t") if unversioned(name) in wanted and line[0] != "#" else []
        if len(fields) < 9 or fields[2] not in _FEATURES:
            continue
        if not (fields[3].isdecimal() and fields[4].isdecimal() and 0 < int(fields[3]) <= int(fields[4])):
            raise UserError(f"{path}: line {number} is no interval ({fields[3]} to {fields[4]}).")
        rows.setdefault(unversioned(name), []).append(
            (fields[0], fields[2], fields[6], int(fields[3]) - 1, int(fields[4]))
        )
        told = dict(_ATTRIBUTE.findall(fields[8]))
        version = f".{told['transcript_version']}" if name in wanted and "transcript_version" in told else ""
        said[unversioned(name)] = (name + version, told.get("gene_name") or told.get("gene_id") or name)
    if lost := sorted(set(wanted) - set(rows)):
        raise UserError(f"{path}: holds no exon of transcript '{lost[0]}'; give a GTF that has it.")
    return {stem: _transcript(path, *said[stem], features) for stem, features in rows.items()}


def _transcript(path: Path, name: str, gene: str, features: list[tuple[str, str, str, int, int]]) -> Transcript:
    """The transcript that these features (contig, kind, strand, start, end) are of."""
    places = {(contig, strand) for contig, _, strand, _, _ in features}
    if len(places) > 1 or next(iter(places))[1] not in ("+", "-"):
        raise UserError(f"{path}: transcript '{name}' is on several contigs or strands, or on none; give one place.")
    ((contig, strand),) = places
    exons = sorted({(a, b) for _, kind, _, a, b in features if kind == "exon"}, reverse=strand == "-")
    coding = [(a, b) for _, kind, _, a, b in features if kind != "exon"]  # a GTF's CDS ends before the stop codon
    if not exons or not any(kind == "CDS" for _, kind, *_ in features):
        raise UserError(f"{path}: transcript '{name}' has no coding sequence (CDS) to count from; name one that has.")
    lowest, highest = min(a for a, _ in coding), max(b for _, b in coding) - 1
    ends = [_counted(exons, strand, place) for place in (lowest, highest)]
    if None in ends:
        raise UserError(f"{path}: the coding sequence of transcript '{name}' leaves its exons; correct the GTF.")
    first, last = sorted(end for end in ends if end is not None)
    return Transcript(name, gene, contig, strand, tuple(exons), (first, last + 1))


def _counted(exons: list[tuple[int, int]], strand: str, place: int) -> int | None:
    """Number in the transcript, from 0, of a base of the contig, from 0; None where it is in no exon."""
    done = 0
    for start, end in exons:
        if start <= place < end:
            return done + (place - start if strand == "+" else end - 1 - place)
        done += end - start
    return None


def placed(
    change: str, transcript: Transcript, bases: Callable[[int, int], str], longest: int
) -> tuple[int, str, str, int]:
    """Position (1-based), REF, ALT and exon of a change such as `c.-75C>T`, on the plus strand.

    REF is as the name states it, and of the genome where it states none: `bases(start, end)`, 0-based and half-open.
    The exon is that of the first place. `Unplaced` for what is not read, and for more than `longest` bases.
    """
    match = _CHANGE.fullmatch(change)
    if match is None:
        raise Unplaced("whose name is not read (it is no substitution, deletion, duplication or insertion on c.)")
    mark, base, offset, mark_2, base_2, offset_2, ref, alt, cut, put, twice, between = match.groups()
    first, exon = transcript.place(mark, int(base), int(offset or 0))
    last = first if base_2 is None else transcript.place(mark_2, int(base_2), int(offset_2 or 0))[0]
    low, high = sorted((first, last))
    if (last - first) * (1 if transcript.strand == "+" else -1) < 0:
        raise Unplaced("whose places are in the wrong order")
    if between is not None and high - low != 1:
        raise OtherTranscript("that insert between bases which are not neighbours")
    if max(high - low + 1, *(len(part or "") for part in (put, twice, between))) > longest:
        raise Unplaced(f"of more than {longest} bases")

    def forward(text: str) -> str:
        return text if transcript.strand == "+" else reverse_complement(text)

    if ref is not None:
        if base_2 is not None:
            raise Unplaced("that substitute one base at two places")
        return low, forward(ref), forward(alt), exon
    if between is not None:
        before = bases(low - 1, low)
        return low, before, before + forward(between), exon
    stated = forward(cut or twice or "")
    if stated and len(stated) != high - low + 1:
        raise Unplaced("whose letters are not as many as their places")
    letters = stated or bases(low - 1, high)
    if twice is not None:
        return low, letters, letters * 2, exon
    if put is not None:
        return low, letters, forward(put), exon
    before = bases(low - 2, low - 1)  # a deletion keeps the base before it
    return low - 1, before + letters, before, exon
