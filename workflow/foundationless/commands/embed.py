"""Embed a sequence set with a frozen model: one pooled vector per sequence and pooling."""

import argparse
from pathlib import Path

from foundationless.commands import add_compute, add_sequences
from foundationless.commands._flags import count, layer, output_file, positive
from foundationless.study.vocabulary import CHUNKS

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weights", required=True, type=Path, help="weight directory")
    add_sequences(parser)
    add("--poolings", required=True, nargs="+", choices=["max", "mean", "cls", "site"], help="poolings")
    add("--max-tokens", type=count, help="cut longer sequences into chunks of so many tokens (default: model's)")
    add("--chunks", choices=CHUNKS, default="none", help="mean: pool over the tokens of all chunks as over one input")
    text = "layers to keep beside the last: all, or numbers from 0, the embedding (default: the last alone)"
    add("--layers", type=layer, nargs="+", default=[], help=text)
    add("--output", required=True, type=output_file, help="embeddings to write (Parquet)")
    text = "time between two shards of OUTPUT.shards/, from which an interrupted job goes on (default 600)"
    add("--checkpoint-seconds", type=positive, default=600.0, help=text)
    add_compute(parser)


def run(arguments: argparse.Namespace) -> None:
    import torch

    from foundationless.evaluation.records import hash_files
    from foundationless.features.embedding import cut_sequences, embed_chunks, settle_layers
    from foundationless.features.embedding_checkpoint import Shards
    from foundationless.features.embedding_files import write_embeddings
    from foundationless.models.inference import choose_device
    from foundationless.models.weights import load_weights
    from foundationless.runtime.files import sha256
    from foundationless.runtime.usage import JobUsage
    from foundationless.runtime.versions import versions
    from foundationless.tasks.sequence_sets import read_sequences

    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    poolings = list(dict.fromkeys(arguments.poolings))
    settings = {name: getattr(arguments, name) for name in ("max_tokens", "precision", "token_budget")}
    with (
        Shards(arguments.output, arguments.checkpoint_seconds) as shards,
        JobUsage(str(device), shards.ledger, energy=arguments.energy) as usage,
    ):
        weights = load_weights(arguments.weights, str(device))
        sites = ["sites"] if "site" in poolings else []
        frame = read_sequences(arguments.sequences, ["id", "sequence", *sites], arguments.strict_alphabet)
        decisive = settings | {"poolings": poolings, "device": device.type, "recipe": RECIPE}
        decisive |= {"sequences": sha256(arguments.sequences), "weights": sha256(arguments.weights / "weights.json")}
        how = (arguments.max_tokens, weights.model.reading != "as_in_paper", arguments.chunks)
        chunks = cut_sequences(weights, frame["sequence"].tolist(), *how)
        inner, kept = settle_layers(weights, chunks, arguments.layers)
        kept |= {"chunks": arguments.chunks} if arguments.chunks != "none" else {}
        shards.identify(decisive | kept)
        compute = {"token_budget": arguments.token_budget, "device": device, "precision": arguments.precision}
        vectors = embed_chunks(
            weights,
            chunks,
            poolings,
            **compute,
            sites=frame["sites"].tolist() if sites else None,
            shards=shards,
            layers=inner,
        )
        facts = {name: weights.card[name] for name in ("model", "init", "seed", "parameters")}
        facts |= {"max_tokens": arguments.max_tokens or weights.model.max_tokens, "precision": arguments.precision}
        cost = usage.cost() | {"tokens": chunks.tokens, "unique_fraction": round(chunks.unique_fraction, 6)}
        facts["hashes"] = hash_files(weights=arguments.weights)
        facts |= {"reading": weights.model.reading, "cost": cost, "versions": versions()}
        write_embeddings(arguments.output, frame["id"].tolist(), vectors, facts | kept)
