"""Embed mixed-length sequences end to end, against the paper's way, and print the ratios of one run.

The paper's way: one sequence at a time through the whole model in float32, logits computed. The program's way:
tokenize, batch by token budget sorted by length, forward without the vocabulary projection, masked pooling, write
Parquet. Both start from strings and end in a file with `max` and `mean` pooling; the two take turns.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from setting import build, call, dna, fastest, parser, prepare, table, title

from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.features.embedding import embed_sequences
from foundationless.features.embedding_files import write_embeddings
from foundationless.models.pooling import pool, special_mask
from foundationless.models.weights import Weights

POOLINGS = ("max", "mean")
HEADER = ["model", "sequences", "tokens", "paper's way (s)", "fp32 (s)", "bf16 (s)", "paper / fp32", "paper / bf16"]
ERRORS = ["model", "pooling", "fp32: max error", "bf16: max error", "bf16: mean error", "bf16: least cosine"]


def one_by_one(weights: Weights, sequences: Sequence[str], device: torch.device) -> dict[str, np.ndarray]:
    """{pooling: [n, width]} by the paper's way (with the program's choice of pooled tokens, to compare values)."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in POOLINGS}
    with torch.no_grad():
        for sequence in sequences:
            ids = weights.tokenizer.encode(sequence)
            counts = torch.from_numpy(~special_mask(weights.tokenizer, ids))[None].to(device)
            hidden, _ = weights.model(torch.from_numpy(ids)[None].to(device))
            for name in POOLINGS:
                found[name].append(pool(hidden, counts, name)[0].cpu().numpy())
    return {name: np.stack(vectors) for name, vectors in found.items()}


def differences(found: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """(Largest, mean) length of the difference over the length of the vector, and the least cosine, over sequences."""
    error = np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1)
    cosine = (found * true).sum(axis=1) / (np.linalg.norm(found, axis=1) * np.linalg.norm(true, axis=1))
    return float(error.max()), float(error.mean()), float(cosine.min())


def measure(
    weights: Weights, sequences: Sequence[str], arguments: argparse.Namespace, device: torch.device
) -> tuple[dict[str, float], dict[str, dict[str, np.ndarray]]]:
    """(Least seconds, vectors) of the three ways `study`, `fp32` and `bf16`."""
    vectors: dict[str, dict[str, np.ndarray]] = {}
    names = [str(index) for index in range(len(sequences))]

    def way(name: str, embed: Callable[[], dict[str, np.ndarray]]) -> Callable[[], Any]:
        def run() -> None:
            vectors[name] = embed()
            with tempfile.TemporaryDirectory() as place:
                write_embeddings(Path(place) / "embeddings.parquet", names, vectors[name], {})

        return run

    def program(precision: str) -> Callable[[], dict[str, np.ndarray]]:
        compute = {"token_budget": arguments.token_budget, "device": device, "precision": precision}
        return lambda: embed_sequences(weights, sequences, POOLINGS, **compute)

    ways = {"study": way("study", lambda: one_by_one(weights, sequences, device))}
    ways |= {precision: way(precision, program(precision)) for precision in ("fp32", "bf16")}
    one_by_one(weights, sequences[:2], device)  # libraries start up
    return fastest(ways, arguments, device), vectors


def main(argv: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--sequences", type=count, default=256, help="distinct random sequences (default 256)")
    made.add_argument("--shortest", type=count, default=50, help="nucleotides of the shortest (default 50)")
    made.add_argument("--longest", type=count, default=500, help="nucleotides of the longest (default 500)")
    made.add_argument("--token-budget", type=count, default=16384, help="tokens per batch (default 16384)")
    arguments = made.parse_args(argv)
    if arguments.shortest > arguments.longest:
        raise UserError(f"--shortest {arguments.shortest} exceeds --longest {arguments.longest}; exchange them.")
    device, entries = prepare(arguments)
    heading = title(arguments, device)
    if arguments.smoke:
        arguments.sequences, arguments.repeats = 6, 1
    rng = np.random.default_rng(0)
    lengths = rng.integers(arguments.shortest, arguments.longest + 1, arguments.sequences)
    sequences = [dna(rng, length) for length in lengths]
    speed, error = [], []
    for name, entry in entries.items():
        weights = build(entry, arguments, device)
        tokens = sum(len(weights.tokenizer.encode(sequence)) for sequence in sequences)
        if max(len(weights.tokenizer.encode(s)) for s in sequences) > weights.model.max_tokens:
            raise UserError(f"--longest {arguments.longest}: model '{name}' would cut such sequences; choose less.")
        best, vectors = measure(weights, sequences, arguments, device)
        ratios = (best["study"] / best[precision] for precision in ("fp32", "bf16"))
        speed.append([name, len(sequences), tokens, *best.values(), *ratios])
        for pooling in POOLINGS:
            true = vectors["study"][pooling]
            exact, half = (differences(vectors[p][pooling], true) for p in ("fp32", "bf16"))
            error.append([name, pooling, f"{exact[0]:.1e}", f"{half[0]:.1e}", f"{half[1]:.1e}", f"{half[2]:.6f}"])
        del weights
    span = f"{arguments.shortest} to {arguments.longest} nt, token budget {arguments.token_budget:,}"
    print(f"Embedding end to end, {span}; {heading}\n\n{table(HEADER, speed)}")
    print("\nAgainst the paper's way; error: length of the difference over the length of the vector\n")
    print(table(ERRORS, error))


if __name__ == "__main__":
    call(main)
