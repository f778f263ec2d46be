"""Take vectors that another program computed for an embedding, held to their card and to the set that they are of."""

import argparse
from pathlib import Path

from foundationless.commands import add_identity, add_sequences
from foundationless.commands._flags import output_file

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vectors", required=True, type=Path, help="vectors (Parquet: id, a list column per pooling)")
    parser.add_argument("--card", required=True, type=Path, help="their card (JSON or YAML)")
    add_sequences(parser)
    parser.add_argument("--poolings", required=True, nargs="+", help="poolings, columns of the vectors")
    add_identity(parser)
    parser.add_argument("--output", required=True, type=output_file, help="embeddings to write (Parquet)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.features.embedding_files import write_embeddings
    from foundationless.features.outside import UNKNOWN, read_outside, vectors_of
    from foundationless.runtime.versions import versions

    identity = {key: getattr(arguments, key) for key in ("task", "model", "init", "seed")}
    given = (arguments.vectors, arguments.card, arguments.sequences, identity, arguments.strict_alphabet)
    arm = read_outside(*given)
    vectors = vectors_of(arm, list(dict.fromkeys(arguments.poolings)))
    facts = {key: identity[key] for key in ("model", "init", "seed")} | {"parameters": arm.parameters}
    facts |= {"max_tokens": None, "precision": None, "outside": arm.origin, "hashes": arm.hashes}
    facts |= {"cost": UNKNOWN, "versions": versions()}
    write_embeddings(arguments.output, arm.frame["id"].tolist(), vectors, facts)
