"""Derive a sequence set from another: fewer training rows, a set without leakage, or a control.

pctN, pctNdK    a stratified N % of the training split; shares of one seed and draw K are nested (pct1 in pct5)
shotN, shotNdK  N training rows of each class; nested in N; draw K is another order of the rows
dedup      without sequences (or their reverse complements) that a later split holds too, and without repeats
distant    without test rows that have a near duplicate or an overlapping window in train or validation (see audit_task)
matched    classes with the same lengths: rows drawn so that length tells nothing; classes that cannot be matched go
permuted   labels permuted within train and validation, and within test: the control at chance
unrelated  people without first-degree relatives (the set needs a pedigree)
family     splits drawn anew with families kept together (the set needs a pedigree)
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file, seed

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sequences", required=True, type=Path, help="sequence set to start from")
    parser.add_argument("--derivation", required=True, help="one of those above, such as pct10, shot5d1 or dedup")
    parser.add_argument("--seed", required=True, type=seed, help="seed of the draw")
    parser.add_argument("--output", required=True, type=output_file, help="sequence set to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.runtime.log import tell
    from foundationless.tasks import derivations
    from foundationless.tasks.sequence_sets import read_sequences, write_sequences

    frame, text = derivations.derive(read_sequences(arguments.sequences), arguments.derivation, arguments.seed)
    write_sequences(arguments.output, frame)
    tell(f"{arguments.output.name}: {text}; {derivations.summary(frame)}")
