"""Audit the splits of one task for leakage, and for what rules without a model reach.

Test rows are compared with train and validation, validation rows with train. The table has one row per sequence: id,
split, exact, reverse_complement, similarity (share of the row's bases that match the most similar earlier row, on
either strand; 0 below 0.7), near, nearest (its id), conflict (the same sequence has another label there), collinear (a
window there overlaps the row), overlap (the longest such match, as a share of the row), overlap_length (bases),
overlap_identity, overlap_by (sequence, coordinates or both), overlap_with (an id), same_label (as that row's). The
summary counts them for each pair of splits, and has the checks of shortcuts and of how negatives were made: each a
value with a 95 % interval, a threshold and a word (shortcut, constructed, undecided, none, unknown). Of labels with
outputs a rule is scored by a rank correlation, or an AUROC, and labels are the same where none that is known lies far
from the other (half a standard deviation).
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
    parser.add_argument("--overlap", type=positive, default=0.5, help="collinear is at least such a share of the row")
    parser.add_argument("--bases", type=count, default=50, help="collinear is at least so many bases")
    parser.add_argument("--identity", type=positive, default=0.97, help="collinear is at least so alike, 0.7 to 1")
    parser.add_argument("--genome", nargs="*", default=[], type=Path, help="FASTAs that all rows should come from")
    parser.add_argument("--output", required=True, type=output_file, help="table of rows to write (Parquet)")
    parser.add_argument("--summary", required=True, type=output_file, help="counts to write (JSON)")


def run(arguments: argparse.Namespace) -> None:
    from itertools import chain

    from foundationless.data.reference import Genome
    from foundationless.runtime.files import atomic_path, write_json
    from foundationless.runtime.log import tell
    from foundationless.study.vocabulary import CLASSES
    from foundationless.tasks import leakage, shortcuts
    from foundationless.tasks.collinear import Threshold
    from foundationless.tasks.outputs import shortcuts as shortcuts_of_outputs
    from foundationless.tasks.sequence_sets import labels_in, read_sequences

    frame = read_sequences(arguments.sequences, strict_alphabet=False)
    settings = arguments.kmer, arguments.similarity, Threshold(arguments.overlap, arguments.bases, arguments.identity)
    rows, counts = leakage.audit(frame, *settings)
    summary = leakage.summarise(arguments.task, frame, counts, *settings)
    genomes = [Genome(path) for path in arguments.genome]
    pieces = (lambda: chain.from_iterable(genome.pieces() for genome in genomes)) if genomes else None
    nearest = rows.set_index("id")["nearest"]
    look = shortcuts.audit if labels_in(frame)[0] == CLASSES else shortcuts_of_outputs.audit
    summary["shortcuts"] = checks = look(frame, nearest, pieces)
    with atomic_path(arguments.output) as part:
        rows.to_parquet(part, index=False)
    write_json(arguments.summary, summary)
    for pair in summary["pairs"]:
        tell(
            f"{arguments.task}: of {pair['rows']} {pair['split']} rows {pair['duplicate']} are duplicates and "
            f"{pair['near']} near ones of {pair['against']} rows, and {pair['collinear']} overlap them."
        )
    if flagged := [check for check in checks if check["word"] in shortcuts.FLAGS]:
        said = ", ".join(f"{check['check']} {check['value']:.2f} ({check['word']})" for check in flagged)
        tell(f"{arguments.task}: flagged without a model: {said}.")
