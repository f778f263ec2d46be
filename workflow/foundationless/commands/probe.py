"""Train classifiers on frozen embeddings and write predictions and record."""

import argparse
from pathlib import Path

from foundationless.commands._flags import layer
from foundationless.commands._probing import add_settings, shared
from foundationless.study.vocabulary import CLASSIFIERS

RECIPE = 4  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embeddings", required=True, type=Path, help="embeddings of the set (Parquet, from embed)")
    parser.add_argument("--probes", required=True, nargs="+", choices=CLASSIFIERS, help="classifiers")
    parser.add_argument("--poolings", required=True, nargs="+", help="poolings, columns of the embeddings")
    text = "inner layers to choose among, of those that embed kept: all, or numbers from 0 (default: the last alone)"
    parser.add_argument("--layers", type=layer, nargs="+", default=[], help=text)
    add_settings(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.features.embedding_files import hashes_of_weights, of_embedding, of_vectors, read_embeddings
    from foundationless.features.layers import columns_in_file, kept_columns
    from foundationless.features.probes import align, run_job

    poolings = list(dict.fromkeys(arguments.poolings))
    ids, vectors, facts = read_embeddings(arguments.embeddings, poolings)
    details = {"poolings": poolings, "max_tokens": facts["max_tokens"], "precision": facts["precision"]}
    layers = kept_columns(arguments.embeddings, facts, poolings, arguments.layers) if arguments.layers else {}
    features = columns_in_file(arguments.embeddings, layers) if layers else vectors
    details |= {"layers": sorted({*layers.values()}), "last_layer": facts["last_layer"]} if layers else {}
    run_job(
        lambda frame: align(ids, features, frame),
        arguments.probes,
        parameters=facts["parameters"],
        details=details | of_vectors(facts),
        layers=layers,
        cost=of_embedding(arguments.task, facts),
        hashes=hashes_of_weights(facts),
        **shared(arguments),
    )
