"""Derive a sequence set from another: a share of the training data, no duplicates, or permuted labels.

pctN      a stratified N % of the training split; shares of one seed are nested (pct1 in pct5 in pct10)
dedup     without sequences (or their reverse complements) that a later split holds too, and without repeats
permuted  labels permuted within train and validation, and within test: the control at chance
"""

import argparse
from pathlib import Path

from foundationless.flags import output_file, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sequences", required=True, type=Path, help="sequence set to start from")
    parser.add_argument("--derivation", required=True, help="pctN (as pct10), dedup or permuted")
    parser.add_argument("--seed", required=True, type=seed, help="seed of the draw")
    parser.add_argument("--output", required=True, type=output_file, help="sequence set to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    import sys

    from foundationless.sequences import read_sequences, write_sequences
    from foundationless.tasks import subsets

    frame, text = subsets.derive(read_sequences(arguments.sequences), arguments.derivation, arguments.seed)
    write_sequences(arguments.output, frame)
    print(f"{arguments.output.name}: {text}; {subsets.summary(frame)}", file=sys.stderr)
