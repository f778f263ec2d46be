"""Embed a sequence set with a frozen model: one pooled vector per sequence and pooling."""

import argparse
from pathlib import Path

from foundationless.commands import add_compute, add_sequences
from foundationless.flags import count, output_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", required=True, type=Path, help="weight directory")
    add_sequences(parser)
    parser.add_argument("--poolings", required=True, nargs="+", choices=["max", "mean", "cls", "site"], help="poolings")
    parser.add_argument(
        "--max-tokens", type=count, help="cut longer sequences into chunks of so many tokens (default: model's)"
    )
    parser.add_argument("--output", required=True, type=output_file, help="embeddings to write (Parquet)")
    add_compute(parser)


def run(arguments: argparse.Namespace) -> None:
    import torch

    from foundationless.embedding import choose_device, cut_sequences, embed_chunks
    from foundationless.models import load_weights
    from foundationless.records import Stopwatch, versions
    from foundationless.sequences import read_sequences
    from foundationless.vectors import write_embeddings

    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    watch = Stopwatch(str(device))
    weights = load_weights(arguments.weights, str(device))
    sites = ["sites"] if "site" in arguments.poolings else []
    frame = read_sequences(arguments.sequences, ["id", "sequence", *sites], arguments.strict_alphabet)
    special = weights.model.protocol != "paper"
    chunks = cut_sequences(weights, frame["sequence"].tolist(), arguments.max_tokens, special)
    vectors = embed_chunks(
        weights,
        chunks,
        list(dict.fromkeys(arguments.poolings)),
        token_budget=arguments.token_budget,
        device=device,
        precision=arguments.precision,
        sites=frame["sites"].tolist() if sites else None,
    )
    facts = {
        "model": weights.card["model"],
        "init": weights.card["init"],
        "seed": weights.card["seed"],
        "parameters": weights.card["parameters"],
        "max_tokens": arguments.max_tokens or weights.model.max_tokens,
        "precision": arguments.precision,
        "protocol": weights.model.protocol,
        "cost": watch.cost() | {"tokens": chunks.tokens, "unique_fraction": round(chunks.unique_fraction, 6)},
        "versions": versions(),
    }
    write_embeddings(arguments.output, frame["id"].tolist(), vectors, facts)
