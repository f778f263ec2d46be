"""Audit the splits of one task for leakage: duplicates, reverse complements and near duplicates in earlier splits.

Test rows are compared with train and validation, validation rows with train. The table has one row per sequence: id,
split, exact, reverse_complement, similarity (share of the row's bases that match the most similar earlier row, on
either strand; 0 below 0.7), near, nearest (its id), conflict (the same sequence has another label there). The summary
counts them for each pair of splits.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_file, positive

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="name of the task, for the summary")
    parser.add_argument("--sequences", required=True, type=Path, help="sequence set to audit")
    parser.add_argument("--kmer", type=count, default=15, help="bases of the k-mers that find near duplicates, 8 to 16")
    parser.add_argument("--similarity", type=positive, default=0.8, help="near is at least so similar, 0.7 to 1")
    parser.add_argument("--output", required=True, type=output_file, help="table of rows to write (Parquet)")
    parser.add_argument("--summary", required=True, type=output_file, help="counts to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.runtime.files import atomic_path, write_json
    from foundationless.runtime.log import tell
    from foundationless.tasks import leakage
    from foundationless.tasks.sequence_sets import read_sequences

    frame = read_sequences(arguments.sequences, strict_alphabet=False)
    rows, counts = leakage.audit(frame, arguments.kmer, arguments.similarity)
    summary = leakage.summarise(arguments.task, frame, counts, arguments.kmer, arguments.similarity)
    with atomic_path(arguments.output) as part:
        rows.to_parquet(part, index=False)
    write_json(arguments.summary, summary)
    for pair in summary["pairs"]:
        tell(
            f"{arguments.task}: of {pair['rows']} {pair['split']} rows {pair['duplicate']} are duplicates and "
            f"{pair['near']} near ones of {pair['against']} rows."
        )
