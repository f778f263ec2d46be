"""Peak memory of fine-tuning, as the formula of `study/price/memory` has it and as it is measured on a CPU.

Each row is a whole job, from the network that was read to the last run's probabilities: two epochs of one run, 16
training sequences in batches of 8. Measured is the most that torch's allocator holds at once, the network's own weights
included. Dropout is off: on a CPU, though not on a GPU, attention with dropout keeps numbers [heads, tokens, tokens].
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from setting import build, call, dna, parser, peak_memory, prepare, table, title

from foundationless.commands._flags import count
from foundationless.models.weights import Weights
from foundationless.study.plan import Model
from foundationless.study.price.memory import memory_of
from foundationless.tasks.sequence_sets import write_sequences
from foundationless.training import finetuning
from foundationless.training.compute import Compute
from foundationless.training.sweep import Settings

STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "attention_dropout": 0.0}
LORA = {"rank": 8, "alpha": 16, "dropout": 0.0}
WAYS: dict[str, dict[str, Any]] = {
    "all": {},
    "all, recomputed": {"gradient_checkpointing": True},
    "all, half the tokens": {"token_budget": 0.5},
    "last_1": {"trainable": "last_1"},
    "head, frozen bf16": {"trainable": "head", "weight_precision": "bf16"},
    "lora": {"trainable": "lora"},
    "lora, frozen bf16, recomputed": {
        "trainable": "lora",
        "weight_precision": "bf16",
        "gradient_checkpointing": True,
    },
}
MODELS = ("hyenadna", "caduceus", "mistral", "nt500m", "ntv2", "dnabert2", "genalm")


def describe(entry: Mapping[str, Any], weights: Weights) -> Model:
    """What the formula reads of a network."""
    return Model("", entry, weights.model.config, entry["tokenizer"], (), "")


def job(way: Mapping[str, Any]) -> Settings:
    """The settings of a job."""
    chosen = {key: value for key, value in way.items() if key != "token_budget"}
    rank = LORA["rank"] if way.get("trainable") == "lora" else 0
    return Settings("mcc", (1e-4,), 2, 8, "mean", 0, lora_rank=int(rank), **chosen)


def measure(
    weights: Weights, entry: Mapping[str, Any], way: Mapping[str, Any], precision: str, tokens: int
) -> tuple[float, float]:
    """(Predicted, measured) bytes."""
    per_token = {"kmer": 6, "bpe": 5}.get(entry["tokenizer_class"], 1)
    rng = np.random.default_rng(0)
    splits = ["train"] * 16 + ["validation"] * 8 + ["test"] * 8
    rows = [(f"s{n}", dna(rng, tokens * per_token), "ab"[n % 2], split, f"g{n}") for n, split in enumerate(splits)]
    frame = pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])
    longest = max(len(weights.tokenizer.encode(sequence)) for sequence in frame["sequence"])
    longest = min(longest, weights.model.max_tokens)
    budget = int(way["token_budget"] * 8 * longest) if "token_budget" in way else 16384
    settings = {"batch_size": 8, "epochs": 2, "lora": {**LORA, "rank": LORA["rank"] if "lora" in way.values() else 0}}
    settings |= dict(way) | {"token_budget": budget}
    size = sum(value.numel() for value in weights.model.parameters())
    predicted = memory_of(describe(entry, weights), size, settings, precision, longest, 8)
    own = 4 * size  # held before the job's own tensors
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        write_sequences(directory / "set.parquet", frame)
        (directory / "weights.json").write_text("{}")
        chosen = job(way)
        compute = Compute("cpu", 1, precision, budget)
        original, finetuning.load_weights = finetuning.load_weights, lambda *_: weights  # type: ignore[assignment]
        try:
            peak = peak_memory(
                lambda: finetuning.finetune(directory, directory / "set.parquet", chosen, compute, directory, 0),
                torch.device("cpu"),
            )
        finally:
            finetuning.load_weights = original
    return predicted.total, own + peak * 2**20


def main(argv: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--tokens", type=count, default=512, help="tokens of a sequence, about (default 512)")
    made.add_argument("--width", type=count, default=256, help="of the networks (default 256)")
    made.add_argument("--depth", type=count, default=4, help="blocks of the networks (default 4)")
    made.add_argument(
        "--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"], help="default: both"
    )
    arguments = made.parse_args(argv)
    arguments.models = arguments.models or list(MODELS)
    device, entries = prepare(arguments)
    if arguments.smoke:
        arguments.tokens = 64
    width, inner = arguments.width, 4 * arguments.width
    sizes = {"hidden_size": width, "d_model": width, "intermediate_size": inner, "d_inner": inner, "width": width}
    sizes |= {"num_hidden_layers": arguments.depth, "n_layer": arguments.depth, "depth": arguments.depth}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    rows = []
    for name, entry in entries.items():
        for precision in arguments.precisions:
            for words, way in WAYS.items():
                if "weight_precision" in way and precision == "fp32":
                    way = {key: value for key, value in way.items() if key != "weight_precision"}
                    words = words.replace(", frozen bf16", "")
                plain = {**entry, "config": dict(entry["config"])}
                plain["config"] |= {key: 0.0 for key in STILL if key in entry["config"]}
                weights = build(plain, arguments, device, sizes)
                predicted, measured = measure(weights, plain, way, precision, arguments.tokens)
                rows.append([name, precision, words, predicted / 2**20, measured / 2**20, predicted / measured])
    print(f"Peak memory of fine-tuning; {title(arguments, device)}\n")
    print(table(["model", "precision", "trained", "predicted (MiB)", "measured (MiB)", "ratio"], rows))
    ratios = np.array([row[-1] for row in rows])
    print(f"\nRatio: median {np.median(ratios):.2f}, from {ratios.min():.2f} to {ratios.max():.2f}, {len(rows)} jobs.")


if __name__ == "__main__":
    call(main)
