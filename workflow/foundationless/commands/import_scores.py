"""Judge scores of variants that another program computed, held to their card and to the set that they are of."""

import argparse
from pathlib import Path

from foundationless.commands import add_identity, add_record_outputs, add_sequences

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", required=True, type=Path, help="scores (Parquet: id, score)")
    parser.add_argument("--card", required=True, type=Path, help="their card (JSON or YAML)")
    add_sequences(parser)
    parser.add_argument("--analysis", required=True, help="analysis that the job belongs to, such as likelihood")
    add_identity(parser)
    add_record_outputs(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.scoring.outside import import_scores

    identity = {key: getattr(arguments, key) for key in ("analysis", "task", "model", "init", "seed")}
    given = (arguments.scores, arguments.card, arguments.sequences, arguments.strict_alphabet)
    import_scores(*given, identity, arguments.record, arguments.predictions)
