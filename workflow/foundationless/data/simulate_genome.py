"""Simulated data whose truth is known: a genome with planted signals, a population, and variants of known effect.

Everything is a function of the seed, byte for byte: files carry no date, and all randomness comes from generators that
are seeded here. Coordinates are 0-based and half-open except in VCF and GTF, which are 1-based by definition.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pysam

from foundationless.data.dna import reverse_complement
from foundationless.errors import UserError
from foundationless.runtime.files import temporary_directory

CONTIGS = {"chr1": 230_000, "chr2": 215_000, "chr3": 205_000, "chr4": 195_000, "chr5": 190_000, "chr6": 190_000}  # bp
TELOMERE_GAP = 1_000  # bp of N before every contig, as assemblies have them
WINDOWS_PER_CONTIG = 114  # of each window task; divisible by its 2 and 3 classes
GENES_PER_CONTIG = 14  # of each biotype
GC_LEVELS = (0.38, 0.42, 0.46, 0.50)  # of the isochores that a contig is made of

# IUPAC patterns of well-known binding sites; a letter of one base is informative, an ambiguity letter less so.
MOTIFS = {
    "AP1": "RTGACTCAY",
    "ETS": "CCGGAAGTR",
    "GATA": "WGATAAGR",
    "EBOX": "RCACGTGY",
    "TATA": "STATAAAWR",
    "INR": "YCAGTYY",
    "GCBOX": "GGGCGGRR",
}
IUPAC = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "N": "ACGT"}
_TRANSITION = {"A": "G", "G": "A", "C": "T", "T": "C"}

# Codons per thousand in human coding sequence (Codon Usage Database), for codons TTT, TTC, TTA, ... in the order TCAG.
_CODONS = ["".join(codon) for codon in product("TCAG", repeat=3)]
_CODON_USAGE = np.fromstring(
    """17.6 20.3 7.7 12.9 15.2 17.7 12.2 4.4 12.2 15.3 0 0 10.6 12.6 0 13.2
    13.2 19.6 7.2 39.6 17.5 19.8 16.9 6.9 10.9 15.1 12.3 34.2 4.5 10.4 6.2 11.4
    16.0 20.8 7.5 22.0 13.1 18.9 15.1 6.1 17.0 19.1 24.4 31.9 12.1 19.5 12.2 12.0
    11.0 14.5 7.1 28.1 18.4 27.7 15.8 7.4 21.8 25.1 29.0 39.6 10.8 22.2 16.5 16.5""",
    sep=" ",
)
_CODON_USAGE /= _CODON_USAGE.sum()
_STOPS = ("TAA", "TAG", "TGA")


@dataclass
class Planted:
    """One motif instance; `start` is relative to its element until the element is placed."""

    motif: str
    start: int
    strand: str


@dataclass
class Element:
    """Something to be placed on a contig: `sequence` replaces the background, or else motifs are laid over it."""

    feature: str
    label: str
    length: int
    strand: str
    sequence: str | None = None
    planted: list[Planted] = field(default_factory=list)


@dataclass(frozen=True)
class Truth:
    """One row of truth.tsv: a motif instance on the genome, and the window that it was planted in."""

    contig: str
    start: int
    end: int
    strand: str
    motif: str
    pattern: str
    feature: str
    window_start: int
    window_end: int
    label: str


TRUTH_COLUMNS = tuple(column.name for column in fields(Truth))


def seeded(seed: int) -> np.random.Generator:
    """The generator of a seed; a negative one is a `UserError`."""
    if seed < 0:
        raise UserError(f"--seed {seed}: a seed is 0 or more.")
    return np.random.default_rng(seed)


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A temporary directory inside `directory`; its files move up, together, when all are written."""
    with temporary_directory(directory / "simulation") as stage:
        yield stage
        for path in sorted(stage.iterdir()):
            path.replace(directory / path.name)


class _Background:
    """Order-3 Markov DNA, depleted of CpG, at any GC content."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.weights = rng.gamma(12.0, 1.0, size=(64, 4))
        self.weights[1::4, 2] *= 0.3  # contexts that end in C: CpG is rare in vertebrate genomes

    def draw(self, length: int, gc: float) -> str:
        """`length` bases whose expected GC content is near `gc`."""
        table = self.weights * np.array([1 - gc, gc, gc, 1 - gc])
        bounds = (table.cumsum(axis=1) / table.sum(axis=1, keepdims=True))[:, :3].tolist()
        context = int(self.rng.integers(64))
        bases = []
        for value in self.rng.random(length).tolist():
            first, second, third = bounds[context]
            base = (value > first) + (value > second) + (value > third)
            bases.append("ACGT"[base])
            context = (context << 2 | base) & 63
        return "".join(bases)


def _instance(rng: np.random.Generator, pattern: str) -> str:
    return "".join(IUPAC[letter][rng.integers(len(IUPAC[letter]))] for letter in pattern)


def _strand(rng: np.random.Generator) -> str:
    return "+-"[rng.integers(2)]


def _unit(rng: np.random.Generator, parts: Sequence[tuple[str, int]], cell: tuple[int, int]) -> list[Planted]:
    """Motifs at fixed distances from each other (name, offset), somewhere in a cell, on one random strand."""
    length = max(offset + len(MOTIFS[name]) for name, offset in parts)
    start = int(rng.integers(cell[0], cell[1] - length + 1))
    if _strand(rng) == "+":
        return [Planted(name, start + offset, "+") for name, offset in parts]
    return [Planted(name, start + length - offset - len(MOTIFS[name]), "-") for name, offset in parts]


def _cells(length: int, count: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, length, count + 1).astype(int).tolist()
    return list(pairwise(edges))


def _mark(rng: np.random.Generator, label: str) -> Element:
    """300 bp: label 1 holds AP1 followed by ETS within 4-14 bp; label 0 the wrong order, the wrong spacing, or none."""
    element = Element("mark", label, 300, "+")
    kind = "grammar" if label == "1" else ("absent", "absent", "absent", "order", "spacing")[rng.integers(5)]
    if kind == "absent":
        return element
    for start, end in _cells(element.length, int(rng.integers(2, 4))):
        cell = (start + 8, end - 8)  # two units never stand at the spacing that makes the grammar
        first, second = ("ETS", "AP1") if kind == "order" else ("AP1", "ETS")
        gap = int(rng.integers(30, 60) if kind == "spacing" else rng.integers(4, 15))
        element.planted += _unit(rng, [(first, 0), (second, len(MOTIFS[first]) + gap)], cell)
    return element


def _promoter(rng: np.random.Generator, label: str) -> Element:
    """300 bp: TATA box at -31 and initiator at the TSS (base 200), often GC boxes; background may hold strays."""
    element = Element("promoter", label, 300, _strand(rng))
    if label == "promoter":
        element.planted += [Planted("TATA", 200 - 31, "+"), Planted("INR", 200 - 2, "+")]
        boxes = int(rng.integers(1, 4))
    else:
        if rng.random() < 0.3:
            element.planted += [Planted("TATA", int(rng.integers(100, 160)), "+")]
        if rng.random() < 0.3:
            element.planted += [Planted("INR", int(rng.integers(220, 290)), "+")]
        boxes = int(rng.random() < 0.3)
    for cell in _cells(90, max(boxes, 1))[:boxes]:
        element.planted += _unit(rng, [("GCBOX", 0)], cell)
    return element


def _enhancer(rng: np.random.Generator, label: str) -> Element:
    """200 bp: no site (none), 2-3 GATA sites (weak), or GATA sites joined by 2-3 E-boxes (strong)."""
    element = Element("enhancer", label, 200, "+")
    gata = 0 if label == "none" else int(rng.integers(2, 4))
    ebox = int(rng.integers(2, 4)) if label == "strong" else 0
    cells = _cells(element.length, 6)
    for cell, motif in zip(rng.permutation(6).tolist(), ["GATA"] * gata + ["EBOX"] * ebox, strict=False):
        element.planted += _unit(rng, [(motif, 0)], cells[cell])
    element.planted.sort(key=lambda planted: planted.start)
    return element


def _mutate(rng: np.random.Generator, sequence: str, substitutions: float, indels: float = 0.0) -> str:
    """A diverged copy; the rates are per base."""
    bases = []
    for base, value in zip(sequence, rng.random(len(sequence)).tolist(), strict=True):
        if value < substitutions:
            bases.append("ACGT".replace(base, "")[rng.integers(3)])
        elif value < substitutions + indels / 2:
            bases.append(base + "ACGT"[rng.integers(4)])
        elif value >= substitutions + indels:
            bases.append(base)
    return "".join(bases)


class _Genes:
    """Sequences of genes, transcribed strand, by biotype; families share a consensus drawn once."""

    def __init__(self, rng: np.random.Generator, background: _Background):
        self.rng, self.background = rng, background
        self.families = [background.draw(int(length), 0.45) for length in rng.integers(70, 160, size=4)]
        self.repeat = background.draw(140, 0.52)
        self.coding: list[str] = []

    def _bases(self, low: int, high: int, gc: float = 0.45) -> str:
        return self.background.draw(int(self.rng.integers(low, high)), gc)

    def protein_coding(self) -> str:
        """UTR, ATG, codons in human usage, stop, UTR with a polyadenylation signal."""
        codons = self.rng.choice(64, size=int(self.rng.lognormal(5.3, 0.4)), p=_CODON_USAGE)
        reading_frame = "ATG" + "".join(_CODONS[codon] for codon in codons) + _STOPS[self.rng.integers(3)]
        self.coding.append(reading_frame)
        return self._bases(30, 120, 0.52) + reading_frame + self._bases(40, 160, 0.40) + "AATAAA" + self._bases(12, 25)

    def processed_pseudogene(self) -> str:
        """A diverged copy, with shifted frames, of a coding sequence of the same contig, ending in poly-A."""
        parent = self.coding[self.rng.integers(len(self.coding))]
        decayed = _mutate(self.rng, parent, float(self.rng.uniform(0.06, 0.14)), 0.02)
        return decayed[int(self.rng.integers(0, len(decayed) // 4)) :] + "A" * int(self.rng.integers(10, 25))

    def lncRNA(self) -> str:
        """Background without a reading frame, with pieces of a diverged repeat."""
        pieces = [self._bases(100, 400, 0.42) for _ in range(int(self.rng.integers(2, 5)))]
        return "".join(piece + _mutate(self.rng, self.repeat, 0.15) * int(self.rng.random() < 0.4) for piece in pieces)

    def miRNA(self) -> str:
        """A hairpin: an arm, a loop, the arm's diverged reverse complement, short flanks."""
        arm = self._bases(24, 36, 0.48)
        hairpin = arm + self._bases(6, 16, 0.38) + _mutate(self.rng, reverse_complement(arm), 0.10, 0.02)
        return self._bases(2, 30) + hairpin + self._bases(2, 30)

    def snRNA(self) -> str:
        """A diverged member of one of four families, with an Sm site before its 3' stem."""
        family = self.families[self.rng.integers(len(self.families))]
        return _mutate(self.rng, family, float(self.rng.uniform(0.08, 0.25)), 0.02) + "AATTTTTGG" + self._bases(5, 25)

    def snoRNA(self) -> str:
        """C/D box (RTGATGA ... CTGA between paired ends) or H/ACA box (stem, ANANNA, stem, ACA)."""
        if self.rng.random() < 0.6:
            stem = self._bases(5, 8)
            middle = self._bases(12, 30, 0.4) + "CTGA" + self._bases(6, 14, 0.4) + "TGATGA" + self._bases(12, 30, 0.4)
            return stem + _instance(self.rng, "RTGATGA") + middle + "CTGA" + reverse_complement(stem)
        stems = [self._bases(16, 30, 0.5) for _ in range(2)]
        first, second = (stem + self._bases(8, 20, 0.4) + reverse_complement(stem) for stem in stems)
        return first + _instance(self.rng, "ANANNA") + second + "ACA" + self._bases(3, 4)


BIOTYPES = ("protein_coding", "processed_pseudogene", "lncRNA", "miRNA", "snRNA", "snoRNA")


def _elements(rng: np.random.Generator, genes: _Genes) -> list[Element]:
    """Everything that one contig carries, in random order."""
    elements: list[Element] = []
    makers: list[tuple[Callable[[np.random.Generator, str], Element], tuple[str, ...]]] = [
        (_mark, ("0", "1")),
        (_promoter, ("background", "promoter")),
        (_enhancer, ("none", "weak", "strong")),
    ]
    for make, labels in makers:
        elements += [make(rng, label) for label in labels for _ in range(WINDOWS_PER_CONTIG // len(labels))]
    genes.coding.clear()  # a pseudogene's parent is on its own contig: no homology between contigs
    for biotype in BIOTYPES:
        for _ in range(GENES_PER_CONTIG):
            sequence = getattr(genes, biotype)()
            elements.append(Element("gene", biotype, len(sequence), _strand(rng), sequence))
    return [elements[index] for index in rng.permutation(len(elements))]


def _isochores(rng: np.random.Generator, background: _Background, length: int) -> list[str]:
    """The bases of a bare contig: a gap of N, then stretches of 8-25 kb, each of one GC level."""
    bases = ["N"] * TELOMERE_GAP
    while len(bases) < length:
        bases += background.draw(int(rng.integers(8_000, 25_000)), float(rng.choice(GC_LEVELS)))
    return bases[:length]


def _realise(rng: np.random.Generator, element: Element, background: str) -> tuple[str, list[Planted]]:
    """The element's plus-strand sequence, and its motifs in plus-strand coordinates of the element."""
    if element.sequence is not None:
        return (element.sequence if element.strand == "+" else reverse_complement(element.sequence)), []
    sequence, planted = background, []
    for one in element.planted:
        width = len(MOTIFS[one.motif])
        if element.strand == "-":
            one = Planted(one.motif, element.length - one.start - width, "+" if one.strand == "-" else "-")
        instance = _instance(rng, MOTIFS[one.motif])
        instance = instance if one.strand == "+" else reverse_complement(instance)
        sequence = sequence[: one.start] + instance + sequence[one.start + width :]
        planted.append(one)
    return sequence, planted


def simulate_genome(directory: Path, seed: int) -> None:
    """Write genome.fa(.fai), genes.gtf, mark.bed, promoter.bed, enhancer.bed and truth.tsv into `directory`.

    Elements lie apart from each other, in random order, in a background of isochores. The BED files' `name` column is
    the class. truth.tsv has one row per planted motif instance: contig, start, end, strand, motif, pattern (IUPAC, on
    the motif's strand), feature, window_start, window_end, label.
    """
    rng = seeded(seed)
    background = _Background(rng)
    genes = _Genes(rng, background)
    files: dict[str, list[str]] = {
        "genome.fa": [],
        "genes.gtf": ["##description: simulated genes of known biotype", "##provider: foundationless", "##format: gtf"],
        "truth.tsv": ["\t".join(TRUTH_COLUMNS)],
        **{f"{feature}.bed": [] for feature in ("mark", "promoter", "enhancer")},
    }
    number = 0
    for contig, length in CONTIGS.items():
        bases = _isochores(rng, background, length)
        elements = _elements(rng, genes)
        room = length - TELOMERE_GAP - sum(element.length for element in elements)
        gaps = rng.multinomial(room, np.full(len(elements) + 1, 1 / (len(elements) + 1))).tolist()
        end = TELOMERE_GAP
        for gap, element in zip(gaps, elements, strict=False):  # the last gap is behind the last element
            start = end + gap
            end = start + element.length
            sequence, planted = _realise(rng, element, "".join(bases[start:end]))
            bases[start:end] = sequence
            if element.feature == "gene":
                number += 1
                files["genes.gtf"].append(
                    f"{contig}\tsimulation\tgene\t{start + 1}\t{end}\t.\t{element.strand}\t.\t"
                    f'gene_id "SIMG{number:011d}.1"; gene_type "{element.label}"; gene_name "SIM{number}"; level 2;'
                )
            else:
                row = (contig, start, end, element.label, 0, element.strand)
                files[f"{element.feature}.bed"].append("\t".join(map(str, row)))
            for one in planted:
                first, pattern = start + one.start, MOTIFS[one.motif]
                window = (element.feature, start, end, element.label)
                truth = Truth(contig, first, first + len(pattern), one.strand, one.motif, pattern, *window)
                files["truth.tsv"].append("\t".join(map(str, astuple(truth))))
        files["genome.fa"] += [f">{contig}", *textwrap.wrap("".join(bases), 60)]
    with staged(directory) as stage:
        for name, lines in files.items():
            (stage / name).write_text("\n".join(lines) + "\n")
        pysam.faidx(str(stage / "genome.fa"))


def read_contig(genome: Path, contig: str | None) -> tuple[str, str]:
    """Name and upper-case sequence of a contig of a FASTA; the last one where `contig` is None."""
    try:
        with pysam.FastaFile(str(genome)) as fasta:
            name = fasta.references[-1] if contig is None else contig
            if name not in fasta.references:
                raise UserError(f"{genome}: no contig '{name}'; it has {', '.join(fasta.references[:8])}.")
            return name, fasta.fetch(name).upper()
    except (OSError, ValueError) as error:
        raise UserError(f"{genome}: not a FASTA file that can be read ({error}).") from None


def write_vcf(path: Path, lines: Sequence[str]) -> None:
    """Compress with bgzip and index with tabix; neither stores a time."""
    plain = path.with_name("plain.vcf")
    plain.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(plain), str(path))
    pysam.tabix_index(str(path), preset="vcf")
    plain.unlink()


def substitute(rng: np.random.Generator, base: str, transitions: float) -> str:
    """Another base than `base`: with probability `transitions` the one that a transition makes."""
    if rng.random() < transitions:
        return _TRANSITION[base]
    return "ACGT".replace(base, "").replace(_TRANSITION[base], "")[rng.integers(2)]
