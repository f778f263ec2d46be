"""Simulate a ClinVar-like VCF: pathogenic variants break planted motifs, benign ones lie beside them.

Writes variants.vcf.gz(.tbi), of SNVs, and indels.vcf.gz(.tbi), of insertions, deletions and substitutions of several
bases, with contigs named as in ClinVar (`6`, not `chr6`).
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `simulate_variants`."""
    parser.add_argument("--genome", required=True, type=Path, help="genome.fa of simulate_genome")
    parser.add_argument("--truth", required=True, type=Path, help="truth.tsv of simulate_genome")
    parser.add_argument("--contig", help="contig that carries the variants (default: the genome's last)")
    parser.add_argument("--seed", required=True, type=seed, help="seed; the same one gives the same bytes")
    parser.add_argument("--output", required=True, type=output_directory, help="directory to write into")


def run(arguments: argparse.Namespace) -> None:
    """Write the variants."""
    from foundationless.data.simulate_variants import simulate_variants

    simulate_variants(arguments.genome, arguments.truth, arguments.seed, arguments.output, arguments.contig)
