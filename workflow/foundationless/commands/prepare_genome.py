"""Merge FASTA files and slices of chromosomes into one normalised, indexed genome.

Each --piece is a file, plain or compressed: a FASTA of any number of contigs, a FASTA of one slice, or plain
text that is nothing but sequence. `contig` names a file of one sequence, `start` (1-based) places it, `strand=-` says
that it is the reverse complement, `prefix=chr` is put before contig names that lack it. Slices are named as
`samtools faidx` names regions (chr17:43000001-43200000); long runs of N are left out.
"""

import argparse

from foundationless.commands._flags import output_file

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "path=FILE[,contig=NAME][,start=N][,strand=+|-][,prefix=chr]; may be repeated"
    parser.add_argument("--piece", action="append", required=True, metavar="SPEC", help=text)
    parser.add_argument("--soft-masked", action="store_true", help="leave in lower case what is so in the pieces")
    parser.add_argument("--output", required=True, type=output_file, help="FASTA to write; its .fai is put beside it")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.data.reference import Piece, prepare_genome
    from foundationless.runtime.log import tell

    held = prepare_genome([Piece.parse(text) for text in arguments.piece], arguments.output, arguments.soft_masked)
    tell(f"{arguments.output.name}: " + ", ".join(f"{contig} {bases:,} bp" for contig, bases in held.items()))
