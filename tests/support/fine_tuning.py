"""Fine-tuning jobs on planted signals, and what came out of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from foundationless.__main__ import main
from foundationless.evaluation.records import comparable, read_record
from foundationless.models.weights import initialise, save_weights
from foundationless.tasks.sequence_sets import write_sequences

MOTIF = "TATAAAGGC"


HYENA = dict(
    d_model=16, n_layer=1, d_inner=32, vocab_size=12, max_seq_len=66, emb_dim=3, filter_order=8, num_inner_mlps=1
)


CNN = dict(width=16, depth=2, kernel_size=9, vocab_size=10, max_tokens=66)


def save_model(
    directory: Path, family: str, config: dict, tokenizer: str, seed: int = 0, reading: str = "published"
) -> Path:
    card = {"model": family, "family": family, "tokenizer": tokenizer, "init": "random", "seed": seed, "source": {}}
    save_weights(directory, initialise(family, config, seed, reading), card)
    return directory


def planted(count: int = 280, seed: int = 0) -> pd.DataFrame:
    """Sequences of 40 to 60 nt; those of class `bound` hold the motif."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        sequence = "".join(generator.choice(list("ACGT"), generator.integers(40, 61)))
        bound = index % 2 == 0
        if bound:
            at = int(generator.integers(len(sequence) - len(MOTIF)))
            sequence = sequence[:at] + MOTIF + sequence[at + len(MOTIF) :]
        split = "test" if index < 80 else "validation" if index < 120 else "train"
        rows.append((f"s{index}", sequence, "bound" if bound else "free", split, f"g{index}"))
    return pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])


def job(directory: Path, weights: Path, frame: pd.DataFrame, **flags: object) -> int:
    """Write the set and run the command."""
    write_sequences(directory / "set.parquet", frame)
    return main(arguments(directory, weights, **flags))


def arguments(directory: Path, weights: Path, **flags: object) -> list[str]:
    """The command line; flags override the defaults below."""
    values: dict[str, object] = {
        "task": "planted",
        "model": "hyena",
        "init": "random",
        "seed": 1,
        "weights": weights,
        "sequences": directory / "set.parquet",
        "metric": "mcc",
        "learning_rates": [0.003, 0.01],
        "epochs": 2,
        "batch_size": 32,
        "pooling": "max",
        "runs": directory / "runs",
        "record": directory / "record.json",
        "predictions": directory / "predictions.parquet",
    } | flags
    argv = ["finetune_model"]
    for flag, value in values.items():
        argv += [f"--{flag.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return argv


def outputs(directory: Path) -> tuple[dict, pd.DataFrame]:
    return comparable(read_record(directory / "record.json")), pd.read_parquet(directory / "predictions.parquet")


def same(first: Path, second: Path) -> None:
    """Two jobs ended in the same record and the same bits of every probability."""
    (record, table), (other, other_table) = outputs(first), outputs(second)
    assert record == other
    pd.testing.assert_frame_equal(table, other_table, check_exact=True)


def metric_of(record: dict, selection: str, split: str = "test", metric: str = "mcc") -> list[float]:
    found = [r for r in record["results"] if (r["selection"], r["split"], r["metric"]) == (selection, split, metric)]
    return [r["value"] for r in found]
