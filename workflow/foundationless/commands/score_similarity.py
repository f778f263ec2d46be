"""Cosine similarity of REF and ALT embeddings, benign against pathogenic."""

import argparse
from pathlib import Path

from foundationless.commands._flags import count
from foundationless.commands.score_sensitivity import add_layers, add_scoring, shared

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_scoring(parser)
    poolings = ["max", "mean", "cls", "site"]
    add("--poolings", nargs="+", choices=poolings, default=poolings, help="poolings of the embedding")
    add_layers(parser)
    add("--genome", type=Path, help="reference FASTA: score chunks with many variants too, as the paper")
    add("--chunk", type=count, default=1024, help="length of such a chunk in bp")
    add("--chunks", type=count, default=5, help="chunks per gene at most")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.scoring import run_job, score_similarity

    poolings = list(dict.fromkeys(arguments.poolings))
    genome = None
    if arguments.genome is not None:
        from foundationless.data.reference import Genome

        genome = Genome(arguments.genome)
    settings = {"poolings": poolings, "chunk": arguments.chunk, "chunks": arguments.chunks if genome else 0}
    run_job(
        lambda weights, frame, compute: score_similarity(
            weights, frame, poolings, arguments.seed, compute, genome, arguments.chunk, arguments.chunks
        ),
        settings=settings,
        layers=arguments.layers,
        **shared(arguments),
    )
