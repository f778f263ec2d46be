"""Simulated variants of known effect on the planted motifs of a simulated genome, as ClinVar writes them."""

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
    """Write variants.vcf.gz(.tbi), ClinVar-like: SNVs that break planted motifs, and SNVs beside motifs.

    Three genes of five chunks of 1,024 bp each (aligned to multiples of 1,024) are laid where motifs are densest on
    `contig`, the last one by default. Pathogenic SNVs change a base that the motif's pattern fixes, in windows whose
    label the motif carries; benign ones lie within 40 bp of a motif but in none. Each chunk holds 4-9 of each class
    and one of uncertain significance. Contigs are named as in ClinVar, without `chr`.
    """
    rng = seeded(seed)
    name, bases = read_contig(genome, contig)
    inside: set[int] = set()
    near: set[int] = set()
    informative: set[int] = set()
    for row in _read_truth(truth, name, bases):
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
    for gene, first in zip(GENES, _densest(candidates["pathogenic"] // CHUNK, len(bases), name), strict=True):
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
                    rows.append((position, bases[position], alternative, gene, significance, consequence))
    short = name.removeprefix("chr")
    lines = [
        "##fileformat=VCFv4.1",
        "##source=simulated, in the manner of ClinVar",
        f"##contig=<ID={short},length={len(bases)}>",
        '##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Aggregate germline classification">',
        '##INFO=<ID=CLNVC,Number=1,Type=String,Description="Variant type">',
        '##INFO=<ID=GENEINFO,Number=1,Type=String,Description="Gene symbol:gene id, genes separated by |">',
        '##INFO=<ID=MC,Number=.,Type=String,Description="Molecular consequence: SO id|term">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for number, (position, reference, alternative, gene, significance, consequence) in enumerate(sorted(rows), 1):
        info = f"CLNSIG={significance};CLNVC=single_nucleotide_variant;GENEINFO={gene};MC={consequence}"
        lines.append(f"{short}\t{position + 1}\t{number}\t{reference}\t{alternative}\t.\t.\t{info}")
    with staged(directory) as stage:
        write_vcf(stage / "variants.vcf.gz", lines)


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
