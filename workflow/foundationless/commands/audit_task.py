"""Audit the splits of one task: duplicates and near duplicates in earlier splits, and what rules without a model reach.

Test rows are compared with train and validation, validation rows with train. The table has one row per sequence: id,
split, exact, reverse_complement, similarity (share of the row's bases that match the most similar earlier row, on
either strand; 0 below 0.7), near, nearest (its id), conflict (the same sequence has another label there). The summary
counts them for each pair of splits, and has the checks of shortcuts and of how negatives were made: each a value with a
95 % interval, a threshold and a word (shortcut, constructed, undecided, none, unknown).
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_file, positive

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="name of the task, for the summary")
    parser.add_argument("--sequences", required=True, type=Path, help="sequence set to audit")
    parser.add_argument("--kmer", type=count, default=15, help="bases of the k-mers that find near duplicates, 8 to 16")
    parser.add_argument("--similarity", type=positive, default=0.8, help="near is at least so similar, 0.7 to 1")
    parser.add_argument("--genome", nargs="*", default=[], type=Path, help="FASTAs that all rows should come from")
    parser.add_argument("--output", required=True, type=output_file, help="table of rows to write (Parquet)")
    parser.add_argument("--summary", required=True, type=output_file, help="counts to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    from itertools import chain

    from foundationless.data.reference import Genome
    from foundationless.runtime.files import atomic_path, write_json
    from foundationless.runtime.log import tell
    from foundationless.tasks import leakage, shortcuts
    from foundationless.tasks.sequence_sets import read_sequences

    frame = read_sequences(arguments.sequences, strict_alphabet=False)
    rows, counts = leakage.audit(frame, arguments.kmer, arguments.similarity)
    summary = leakage.summarise(arguments.task, frame, counts, arguments.kmer, arguments.similarity)
    genomes = [Genome(path) for path in arguments.genome]
    pieces = (lambda: chain.from_iterable(genome.pieces() for genome in genomes)) if genomes else None
    nearest = rows.set_index("id")["nearest"]
    summary["shortcuts"] = checks = shortcuts.audit(frame, nearest, pieces)
    with atomic_path(arguments.output) as part:
        rows.to_parquet(part, index=False)
    write_json(arguments.summary, summary)
    for pair in summary["pairs"]:
        tell(
            f"{arguments.task}: of {pair['rows']} {pair['split']} rows {pair['duplicate']} are duplicates and "
            f"{pair['near']} near ones of {pair['against']} rows."
        )
    if flagged := [check for check in checks if check["word"] in shortcuts.FLAGS]:
        said = ", ".join(f"{check['check']} {check['value']:.2f} ({check['word']})" for check in flagged)
        tell(f"{arguments.task}: flagged without a model: {said}.")
