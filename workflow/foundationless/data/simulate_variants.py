"""Simulated variants of known effect on the planted motifs of a simulated genome, as ClinVar writes them."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foundationless.data.dna import reverse_complement
from foundationless.data.files.tables import read_text_table
from foundationless.data.simulate_genome import (
    IUPAC,
    TRUTH_COLUMNS,
    Truth,
    read_contig,
    seeded,
    staged,
    substitute,
    write_vcf,
)
from foundationless.data.variant_kinds.alleles import left_aligned
from foundationless.errors import UserError

DECOY_LABELS = ("0", "background")  # windows whose motifs are strays: breaking them changes no label
GENES = ("SIMA:101", "SIMB:102", "SIMC:103")
SIGNIFICANCE = {
    "pathogenic": ("Pathogenic", "Pathogenic", "Likely_pathogenic", "Pathogenic/Likely_pathogenic"),
    "benign": ("Benign", "Likely_benign", "Likely_benign", "Benign/Likely_benign"),
    "uncertain": ("Uncertain_significance",),
}
CONSEQUENCES = {
    "pathogenic": ("SO:0001583|missense_variant", "SO:0001583|missense_variant", "SO:0001587|nonsense"),
    "benign": ("SO:0001819|synonymous_variant", "SO:0001819|synonymous_variant", "SO:0001583|missense_variant"),
    "uncertain": ("SO:0001583|missense_variant", "SO:0001627|intron_variant"),
}
INDEL_CONSEQUENCES = {
    "pathogenic": ("SO:0001589|frameshift_variant", "SO:0001822|inframe_deletion", "SO:0001821|inframe_insertion"),
    "benign": ("SO:0001627|intron_variant", "SO:0001822|inframe_deletion", "SO:0001821|inframe_insertion"),
}
LONGEST_INDEL = 6  # bp
CHUNK = 1_024  # bp, of the ClinVar similarity experiment (paper, Table 5)
CHUNKS_PER_GENE = 5


def _read_truth(truth: Path, contig: str, bases: str) -> list[Truth]:
    """Motifs of `contig`, each checked against the genome."""
    table = read_text_table(truth, TRUTH_COLUMNS)[list(TRUTH_COLUMNS)]
    try:
        places = {name: table[name].astype(int) for name in ("start", "end", "window_start", "window_end")}
    except ValueError as error:
        raise UserError(f"{truth}: not a table of planted motifs ({error}); simulate_genome writes one.") from None
    rows = [Truth(*row) for row in table.assign(**places).itertuples(index=False)]
    motifs = [row for row in rows if row.contig == contig]
    for row in motifs:
        site = bases[row.start : row.end]
        site = site if row.strand == "+" else reverse_complement(site)
        if len(site) != len(row.pattern) or not all(
            base in IUPAC[letter] for letter, base in zip(row.pattern, site, strict=True)
        ):
            raise UserError(
                f"{truth}: {row.motif} is not at {contig}:{row.start + 1} of the genome; use the table written with it."
            )
    return motifs


def simulate_variants(genome: Path, truth: Path, seed: int, directory: Path, contig: str | None = None) -> None:
    """Write variants.vcf.gz(.tbi), ClinVar-like: SNVs that break planted motifs, and SNVs beside motifs; and
    indels.vcf.gz(.tbi), the same of insertions, deletions and substitutions of several bases (see `_indels`).

    Three genes of five chunks of 1,024 bp each (aligned to multiples of 1,024) are laid where motifs are densest on
    `contig`, the last one by default. Pathogenic SNVs change a base that the motif's pattern fixes, in windows whose
    label the motif carries; benign ones lie within 40 bp of a motif but in none. Each chunk holds 4-9 of each class
    and one of uncertain significance. Contigs are named as in ClinVar, without `chr`.
    """
    rng = seeded(seed)
    name, bases = read_contig(genome, contig)
    motifs = _read_truth(truth, name, bases)
    inside: set[int] = set()
    near: set[int] = set()
    informative: set[int] = set()
    for row in motifs:
        inside.update(range(row.start, row.end))
        near.update(range(max(row.start - 40, 0), min(row.end + 40, len(bases))))
        if row.label not in DECOY_LABELS:
            fixed = [index for index, letter in enumerate(row.pattern) if letter in "ACGT"]
            informative.update(row.start + i if row.strand == "+" else row.end - 1 - i for i in fixed)
    candidates = {
        "pathogenic": np.array(sorted(informative), dtype=int),
        "benign": np.array([p for p in sorted(near - inside) if bases[p] in "ACGT"], dtype=int),
    }
    rows = []
    genes = _densest(candidates["pathogenic"] // CHUNK, len(bases), name)
    for gene, first in zip(GENES, genes, strict=True):
        for chunk in range(first, first + CHUNKS_PER_GENE):
            chosen = {
                kind: rng.permutation(positions[positions // CHUNK == chunk])[: rng.integers(4, 10)].tolist()
                for kind, positions in candidates.items()
            }
            free = {p for p in range(chunk * CHUNK, (chunk + 1) * CHUNK) if bases[p] in "ACGT"}
            chosen["uncertain"] = [int(rng.choice(sorted(free.difference(*chosen.values()))))]
            for kind, positions in chosen.items():
                for position in positions:
                    significance = SIGNIFICANCE[kind][rng.integers(len(SIGNIFICANCE[kind]))]
                    consequence = CONSEQUENCES[kind][rng.integers(len(CONSEQUENCES[kind]))]
                    alternative = substitute(rng, bases[position], 0.6)
                    variant = ("single_nucleotide_variant", gene, significance, consequence)
                    rows.append((position, bases[position], alternative, *variant))
    several = _indels(np.random.default_rng([seed, 1]), bases, motifs, genes)  # draws of its own: SNVs stay as they are
    with staged(directory) as stage:
        _write(stage / "variants.vcf.gz", name, len(bases), rows)
        _write(stage / "indels.vcf.gz", name, len(bases), several)


Row = tuple[int, str, str, str, str, str, str]  # 0-based position, REF, ALT, CLNVC, GENEINFO, CLNSIG, MC


def _write(path: Path, contig: str, length: int, rows: Sequence[Row]) -> None:
    """Rows as a VCF in the manner of ClinVar, sorted."""
    short = contig.removeprefix("chr")
    lines = [
        "##fileformat=VCFv4.1",
        "##source=simulated, in the manner of ClinVar",
        f"##contig=<ID={short},length={length}>",
        '##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Aggregate germline classification">',
        '##INFO=<ID=CLNVC,Number=1,Type=String,Description="Variant type">',
        '##INFO=<ID=GENEINFO,Number=1,Type=String,Description="Gene symbol:gene id, genes separated by |">',
        '##INFO=<ID=MC,Number=.,Type=String,Description="Molecular consequence: SO id|term">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for number, (position, reference, alternative, kind, gene, significance, consequence) in enumerate(sorted(rows), 1):
        info = f"CLNSIG={significance};CLNVC={kind};GENEINFO={gene};MC={consequence}"
        lines.append(f"{short}\t{position + 1}\t{number}\t{reference}\t{alternative}\t.\t.\t{info}")
    write_vcf(path, lines)


def _indels(rng: np.random.Generator, bases: str, motifs: Sequence[Truth], genes: Sequence[int]) -> list[Row]:
    """Deletions, insertions and substitutions of two to six bases, 4-9 of each class in every chunk of the genes.

    Kinds and lengths are drawn alike for both classes. Pathogenic ones change bases of a motif that a window's label
    depends on, and leave no instance of its pattern in its place; benign ones lie within 40 bp of a motif and touch
    none. Alleles are written as `bcftools norm` writes them.
    """
    inside = {place for row in motifs for place in range(row.start, row.end)}
    rows: dict[tuple[int, str, str], Row] = {}
    for gene, first in zip(GENES, genes, strict=True):
        for chunk in range(first, first + CHUNKS_PER_GENE):
            near = [row for row in motifs if row.start // CHUNK == chunk]
            telling = [row for row in near if row.label not in DECOY_LABELS]
            for kind, some in (("pathogenic", telling), ("benign", near)):
                wanted, tries = int(rng.integers(4, 10)), 0
                while some and wanted and tries < 500:
                    tries += 1
                    row = _indel(rng, bases, some[rng.integers(len(some))], kind, inside)
                    if row is not None and row[:3] not in rows:
                        said = SIGNIFICANCE[kind][rng.integers(len(SIGNIFICANCE[kind]))]
                        term = INDEL_CONSEQUENCES[kind][rng.integers(len(INDEL_CONSEQUENCES[kind]))]
                        rows[row[:3]] = (*row, gene, said, term)
                        wanted -= 1
    return list(rows.values())


def _indel(
    rng: np.random.Generator, bases: str, motif: Truth, kind: str, inside: set[int]
) -> tuple[int, str, str, str] | None:
    """One draw at a motif: 0-based position, REF, ALT and CLNVC; None where it is not what `_indels` promises."""
    length = int(rng.integers(2, LONGEST_INDEL + 1))
    beside = 0 if kind == "pathogenic" else 40
    start = int(rng.integers(max(motif.start - beside, 1), motif.end + beside - 1))
    changed = _change(rng, bases, start, length)
    if changed is None or (kind == "benign" and inside & set(range(start - 1, start + length))):
        return None
    ref, alt, what = changed
    at = start - (len(ref) != len(alt))
    if kind == "pathogenic":
        pattern = "".join(f"[{IUPAC[letter]}]" for letter in motif.pattern)
        around = bases[motif.start - LONGEST_INDEL : at] + alt + bases[at + len(ref) : motif.end + LONGEST_INDEL]
        if motif.strand == "-":
            around = reverse_complement(around)
        if re.search(pattern, around):
            return None
    position, ref, alt = left_aligned(at + 1, ref, alt, lambda low, high: bases[low:high])
    return position - 1, ref, alt, what


def _change(rng: np.random.Generator, bases: str, start: int, length: int) -> tuple[str, str, str] | None:
    """REF, ALT and kind (as ClinVar's CLNVC says it) of a change of bases [start, start + length), with the base before
    it where lengths differ; None where a letter there is no base."""
    ref = bases[start - 1 : start + length]
    if set(ref) - set("ACGT"):
        return None
    chosen = rng.random()
    if chosen < 0.4:
        return ref, ref[0], "Deletion"
    if chosen < 0.8:
        return ref[0], ref[0] + "".join(rng.choice(list("ACGT"), length)), "Insertion"
    return ref[1:], "".join(substitute(rng, base, 0.6) for base in ref[1:]), "Indel"


def _densest(chunks: np.ndarray, length: int, contig: str) -> list[int]:
    """First chunks of the genes: runs of chunks whose emptiest chunk holds most sites, in the contig's order."""
    counts = np.bincount(chunks, minlength=length // CHUNK)
    runs = range(0, length // CHUNK - CHUNKS_PER_GENE + 1, CHUNKS_PER_GENE)
    density = {first: int(counts[first : first + CHUNKS_PER_GENE].min()) for first in runs}
    best = sorted(density, key=lambda first: (-density[first], first))[: len(GENES)]
    if len(best) < len(GENES) or density[best[-1]] < 4:
        raise UserError(
            f"contig '{contig}' has too few planted motifs for {len(GENES)} genes; choose another --contig."
        )
    return sorted(best)
