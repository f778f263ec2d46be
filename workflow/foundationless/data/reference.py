"""Reference sequence: an indexed FASTA whose contigs may be whole chromosomes or slices of them.

A slice is named as `samtools faidx` names a region, `chr17:43000001-43200000` (1-based, both ends included), and holds
exactly that stretch. Everything outside here is in chromosome coordinates, 0-based and half-open; what no slice
covers reads as N.
"""

import bisect
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pysam

from foundationless.data.dna import reverse_complement
from foundationless.data.files.fasta_index import ensure_index
from foundationless.data.files.text import read_lines
from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path

LONG_N_RUN = 1000
_REGION = re.compile(r"^(?P<contig>.+):(?P<start>[\d,]+)-(?P<end>[\d,]+)$")
_LONG_UNKNOWN = re.compile(f"N{{{LONG_N_RUN + 1},}}")
_NOT_NUCLEOTIDE = re.compile("[^ACGTUNRYSWKMBDHVacgtunryswkmbdhv]")
_NORMALISE = str.maketrans(
    {letter: "N" for letter in "RYSWKMBDHVryswkmbdhvn"} | {"U": "T", "u": "T", "a": "A", "c": "C", "g": "G", "t": "T"}
)
_ONE_CASE = re.compile("[A-Z]+|[a-z]+")
_MITOCHONDRION = {"M", "MT", "MITO"}


def normalise(sequence: str) -> str:
    """Upper case, U to T, IUPAC ambiguity letters to N."""
    return sequence.translate(_NORMALISE)


def canonical_contig(name: str) -> str:
    """The form under which names of one chromosome are equal: `chr17` and `17`; `chrM`, `MT`, `M` and `Mito`."""
    bare = name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name
    return "MT" if bare.upper() in _MITOCHONDRION else bare


def find_contig(contig: str, known: Iterable[str]) -> str | None:
    """The name among `known` for `contig`: itself, or its equal under `canonical_contig`; None where there is none."""
    names = list(known)
    if contig in names:
        return contig
    return next((name for name in names if canonical_contig(name) == canonical_contig(contig)), None)


def resolve_contig(contig: str, known: Iterable[str], where: str) -> str:
    """As `find_contig`; no such name is a `UserError`."""
    names = list(known)
    if (name := find_contig(contig, names)) is not None:
        return name
    listing = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    raise UserError(f"{where}: no contig '{contig}' there (it has {listing or 'none'}); check the name and the build.")


def parse_region(text: str) -> tuple[str, int, int | None]:
    """`chr2:11-20` to ("chr2", 10, 20); `chr2` to ("chr2", 0, None)."""
    match = _REGION.match(text)
    if match is None:
        return text, 0, None
    start, end = (int(match[key].replace(",", "")) for key in ("start", "end"))
    if not 1 <= start <= end:
        raise UserError(f"region '{text}' is empty; write CONTIG:START-END, 1-based and both ends included.")
    return match["contig"], start - 1, end


@dataclass(frozen=True, order=True)
class Slice:
    """One stretch of a contig, 0-based and half-open, and the FASTA record that holds it."""

    start: int
    end: int
    name: str


class Genome:
    """Random access to a FASTA (plain or bgzip) by chromosome coordinates; the index is made where it is missing."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError(f"{self.path}: no such genome FASTA; make it with prepare_genome.")
        ensure_index(self.path)
        try:
            self._fasta = pysam.FastaFile(str(self.path))
        except (OSError, ValueError):
            raise UserError(f"{self.path}: not an indexable FASTA; make it with prepare_genome.") from None
        self._slices: dict[str, list[Slice]] = {}
        for name, length in zip(self._fasta.references, self._fasta.lengths, strict=True):
            contig, part = _placed(name, length, self.path.name)
            self._slices.setdefault(contig, []).append(part)
        if not self._slices:
            raise UserError(f"{self.path}: holds no sequence.")
        for contig, parts in self._slices.items():
            parts.sort()
            _refuse_overlap(contig, parts, self.path.name)

    @property
    def contigs(self) -> list[str]:
        """Chromosome names, in file order."""
        return list(self._slices)

    def resolve(self, contig: str) -> str:
        """This genome's name for `contig` (`17`/`chr17`, `MT`/`chrM`); an unknown one is a `UserError`."""
        return resolve_contig(contig, self._slices, self.path.name)

    def find(self, contig: str) -> str | None:
        """This genome's name for `contig`, as `resolve` knows it; None where it has none."""
        return find_contig(contig, self._slices)

    def coverage(self, contig: str) -> list[tuple[int, int]]:
        """Stretches (start, end) of a contig that the file holds, ascending."""
        return [(part.start, part.end) for part in self._slices[self.resolve(contig)]]

    def end(self, contig: str) -> int:
        """End of the last stretch that the file holds: the contig's length where it is whole."""
        return max(end for _, end in self.coverage(contig))

    def fetch(self, contig: str, start: int, end: int) -> str:
        """Bases [start, end) of a contig, upper case; N where nothing is known, before 0 and beyond the end too."""
        return normalise(self.letters(contig, start, end))

    def letters(self, contig: str, start: int, end: int) -> str:
        """As `fetch`, with the letters as the file has them: in either case, and ambiguity letters too."""
        if end < start:
            raise ValueError(f"{contig}: end {end} before start {start}")
        parts = self._slices[self.resolve(contig)]
        pieces, at = [], start
        first = max(bisect.bisect_right(parts, start, key=lambda part: part.start) - 1, 0)
        for part in parts[first:]:
            if part.start >= end:
                break
            low, high = max(at, part.start), min(end, part.end)
            if low < high:
                try:
                    known = self._fasta.fetch(part.name, low - part.start, high - part.start)
                except (OSError, ValueError):  # htslib ran into the end of the file
                    known = ""
                if len(known) < high - low:
                    raise UserError(
                        f"{self.path}: '{part.name}' is shorter than its index says; delete the .fai and run again."
                    )
                pieces += ["N" * (low - at), known]
                at = high
        pieces.append("N" * (end - at))
        return "".join(pieces)

    def stretches(self, exclude: Iterable[str] = ()) -> Iterator[tuple[str, int, int]]:
        """Yield (contig, start, end) of everything held, less the contigs and regions (`chr2:1-5000`) excluded."""
        cuts: dict[str, list[tuple[int, int]]] = {}
        for text in exclude:
            contig, start, end = self.region(text)
            cuts.setdefault(contig, []).append((start, end))
        for contig, parts in self._slices.items():
            for part in parts:
                at = part.start
                for low, high in [*sorted(cuts.get(contig, [])), (part.end, part.end)]:
                    if at < min(low, part.end):
                        yield contig, at, min(low, part.end)
                    at = max(at, high)

    def region(self, text: str) -> tuple[str, int, int]:
        """`chr2:11-20`, or a whole contig, as (this genome's contig, start, end); an unknown one is a `UserError`."""
        contig, start, end = (text, 0, None) if text in self._slices else parse_region(text)
        contig = self.resolve(contig)
        return contig, start, self.end(contig) if end is None else end

    def pieces(self, exclude: Iterable[str] = ()) -> Iterator[tuple[str, int, str]]:
        """Yield (contig, start, sequence) of the `stretches`."""
        for contig, start, end in self.stretches(exclude):
            yield contig, start, self.fetch(contig, start, end)


class Stretch(NamedTuple):
    """[start, end) of a contig of a genome, 0-based."""

    genome: Genome
    contig: str
    start: int
    end: int


def _placed(name: str, length: int, where: str) -> tuple[str, Slice]:
    contig, start, end = parse_region(name)
    if end is not None and end - start != length:
        raise UserError(
            f"{where}: contig '{name}' is named as a slice of {end - start} bases but holds {length}; "
            "rename it or cut it again with samtools faidx."
        )
    return contig, Slice(start, start + length, name)


def _refuse_overlap(contig: str, parts: list[Slice], where: str) -> None:
    for left, right in itertools.pairwise(parts):
        if right.start < left.end:
            raise UserError(
                f"{where}: contig '{contig}' is there twice ('{left.name}' and '{right.name}' overlap); "
                "leave one of them out."
            )


@dataclass(frozen=True)
class Piece:
    """One input file of `prepare_genome` and where its sequence belongs."""

    path: Path
    contig: str | None = None
    start: int = 1
    strand: str = "+"
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> "Piece":
        """Read `path=FILE[,contig=chr17][,start=43000001][,strand=-][,prefix=chr]`."""
        fields: dict[str, str] = {}
        for item in text.split(","):
            key, equals, value = item.partition("=")
            if not equals or not value or key not in {"path", "contig", "start", "strand", "prefix"} or key in fields:
                raise UserError(
                    f"--piece '{text}': '{item}' is not understood; "
                    "write path=FILE[,contig=NAME][,start=N][,strand=+|-][,prefix=chr]."
                )
            fields[key] = value
        if "path" not in fields:
            raise UserError(f"--piece '{text}' names no file; begin it with path=FILE.")
        start = fields.get("start", "1")
        if not start.isdecimal() or int(start) < 1:
            raise UserError(f"--piece '{text}': start '{start}' is not a position; it is a whole number from 1.")
        if fields.get("strand", "+") not in {"+", "-"}:
            raise UserError(f"--piece '{text}': strand '{fields['strand']}' is neither + nor -.")
        return cls(
            Path(fields["path"]), fields.get("contig"), int(start), fields.get("strand", "+"), fields.get("prefix", "")
        )


def read_records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (header without `>`, sequence as written) of a FASTA, plain, gzip or bgzip; a header is free text.

    Plain text without a header yields one record with an empty header. Missing, empty and truncated files, records
    without sequence and letters that are no nucleotides are a `UserError`.
    """
    header, lines, begun = "", list[str](), False
    for line in read_lines(path, "a FASTA"):
        if line.startswith(">"):
            if begun:
                yield header, _joined(path, header, lines)
            header, lines, begun = line[1:].strip(), [], True
        elif stripped := line.strip():
            begun = True
            lines.append(stripped)
    if not begun:
        raise UserError(f"{path}: the file is empty; no sequence to read.")
    yield header, _joined(path, header, lines)


def _joined(path: Path, header: str, lines: list[str]) -> str:
    sequence, name = "".join(lines), header.split()[0] if header.split() else "the first"
    if not sequence:
        raise UserError(f"{path}: record '{name}' has no sequence; the file may be cut off.")
    if found := _NOT_NUCLEOTIDE.search(sequence):
        raise UserError(
            f"{path}: record '{name}' holds {found.group()!r} at position {found.start() + 1}, which is no nucleotide."
        )
    return sequence


def _in_case_of(raw: str, sequence: str) -> str:
    """The letters of `sequence` in the case of `raw`, which is as long."""
    return "".join(
        sequence[m.start() : m.end()].lower() if m.group()[0].islower() else sequence[m.start() : m.end()]
        for m in _ONE_CASE.finditer(raw)
    )


def _slices_of(piece: Piece, soft_masked: bool) -> Iterator[tuple[str, int, str]]:
    """Yield (contig, 0-based start, sequence) of a piece, cut at runs of N longer than `LONG_N_RUN`."""
    for number, (header, raw) in enumerate(read_records(piece.path)):
        if piece.contig is not None and number:
            raise UserError(f"{piece.path}: has several sequences, so contig={piece.contig} cannot name them all.")
        name = header.split()[0] if header.split() else ""
        if piece.contig is not None:
            contig, start = piece.contig, piece.start - 1
        elif name:
            contig, slice_ = _placed(name, len(raw), piece.path.name)
            start = slice_.start + piece.start - 1
        else:
            raise UserError(f"{piece.path}: is plain text without a name; add contig=NAME to its --piece.")
        if piece.prefix and not contig.startswith(piece.prefix):
            contig = piece.prefix + contig
        sequence = normalise(raw)
        if piece.strand == "-":
            sequence = reverse_complement(sequence)
            raw = raw[::-1]
        written = _in_case_of(raw, sequence) if soft_masked else sequence
        at = 0
        for run in [*((m.start(), m.end()) for m in _LONG_UNKNOWN.finditer(sequence)), (len(sequence),) * 2]:
            if at < run[0]:
                yield contig, start + at, written[at : run[0]]
            at = run[1]


def prepare_genome(pieces: Iterable[Piece], output: Path, soft_masked: bool = False) -> dict[str, int]:
    """Merge pieces into one normalised FASTA with its `.fai` beside; return the bases held by contig.

    A stretch that is not a whole contig from its first base is named as a slice. Runs of more than `LONG_N_RUN` N are
    left out, so a chromosome that is mostly unknown costs nothing. Where the sources are `soft_masked`, what is in
    lower case there (repeats) stays so. Overlapping pieces are a `UserError`.
    """
    held: dict[str, list[Slice]] = {}
    index = output.with_name(output.name + ".fai")
    with atomic_path(output) as part:
        with part.open("w") as stream:
            for piece in pieces:
                for contig, start, sequence in _slices_of(piece, soft_masked):
                    end = start + len(sequence)
                    name = contig if start == 0 and contig not in held else f"{contig}:{start + 1}-{end}"
                    held.setdefault(contig, []).append(Slice(start, end, name))
                    _refuse_overlap(contig, sorted(held[contig]), str(piece.path))
                    stream.write(f">{name}\n")
                    stream.writelines(f"{sequence[at : at + 60]}\n" for at in range(0, len(sequence), 60))
        if not held:
            raise UserError("prepare_genome: the pieces hold nothing but N.")
        made = part.with_name(part.name + ".fai")
        try:
            pysam.faidx(str(part))
            if index.is_dir():
                raise UserError(f"{index}: is a directory, and the index is to be written there; remove it.")
            output.unlink(missing_ok=True)
            made.replace(index)
        finally:
            made.unlink(missing_ok=True)
    return {contig: sum(part.end - part.start for part in parts) for contig, parts in held.items()}
