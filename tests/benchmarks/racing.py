"""Does a race of learning rates find what a full sweep finds, and at which part of its epochs?

Both are run, on tasks and weights of a mini study (`--results`), on subsets of its rows. `validation`: the value that
chose the winner; epochs: those that were trained. A race is to lose at most 0.01 on average, at a quarter.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from setting import ROOT, call, dna, plain_parser, table

from foundationless.__main__ import main as program
from foundationless.errors import UserError
from foundationless.evaluation.records import read_record
from foundationless.models.weights import initialise, save_weights
from foundationless.study.rungs import default_rungs
from foundationless.tasks.sequence_sets import read_sequences, write_sequences

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
EPOCHS, BATCH = 16, 16
ROWS = {"train": 240, "validation": 400, "test": 20}  # nothing is asked of the test set
TASKS = ("mini_H3", "mini_promoter_tata", "mini_enhancers")
COLUMNS = ["id", "sequence", "label", "split", "group"]


def subset(frame: pd.DataFrame) -> pd.DataFrame:
    """Seeded rows of each split."""
    parts = [part.sample(min(len(part), ROWS[str(split)]), random_state=0) for split, part in frame.groupby("split")]
    return pd.concat(parts, ignore_index=True)


def tune(weights: Path, sequences: Path, directory: Path, seed: int, rungs: Sequence[int], epochs: int) -> list[Any]:
    """Rate, validation value and trained epochs of a job (runs kept from an earlier start are read)."""
    flags = {
        "weights": weights, "sequences": sequences, "task": sequences.stem, "model": "m", "init": "pretrained",
        "seed": seed, "metric": "mcc", "epochs": epochs, "batch-size": BATCH, "pooling": "max", "threads": 1,
        "runs": directory / "runs", "record": directory / "record.json",
        "predictions": directory / "predictions.parquet",
    }  # fmt: skip
    argv = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    lists = ["--learning-rates", *map(str, RATES), "--rungs", *map(str, rungs or [0])]
    if program(["finetune_model", *argv, *lists]):
        raise UserError(f"{directory}: the job failed; see above.")
    selections = read_record(directory / "record.json")["selections"]
    won = next(one for one in selections if (one["what"], one["split"]) == ("learning_rate", "validation"))
    return [
        won["chosen"],
        won["tried"][won["chosen"]],
        sum(len(s["tried"]) for s in selections if s["what"] == "epoch"),
    ]


def simulated(directory: Path) -> Iterator[tuple[str, Path, Path]]:
    """A tiny network and set."""
    config = {"vocab_size": 10, "width": 8, "depth": 1, "kernel_size": 3, "max_tokens": 66}
    card = {"model": "cnn", "family": "cnn", "tokenizer": "character", "init": "random", "seed": 0, "source": {}}
    save_weights(directory / "cnn", initialise("cnn", config, 0), card)
    rng = np.random.default_rng(0)
    rows = [(f"s{n}", dna(rng, 30), str(n % 2), list(ROWS)[n // 2 % 3], f"s{n}") for n in range(48)]
    write_sequences(directory / "set.parquet", pd.DataFrame(rows, columns=COLUMNS))
    yield "cnn", directory / "cnn", directory / "set.parquet"


def studied(given: Any, directory: Path) -> Iterator[tuple[str, Path, Path]]:
    """Model, weights and set of every pair of a model and a task."""
    for task in given.tasks:
        path = given.results / "sequences" / f"{task}.parquet"
        if not path.is_file():
            raise UserError(f"--results: {path} is not there; run the mini study as far as its sets and weights.")
        own = directory / f"{task}.parquet"
        write_sequences(own, subset(read_sequences(path, COLUMNS)))
        for model in given.models:
            yield model, given.results / "weights" / model / "pretrained" / "seed0", own


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "one simulated set, three epochs")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="of a mini study")
    parser.add_argument("--models", nargs="+", default=["ntv2.mini"], help="of the study")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help="of the study")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3], help="(default 0 to 3)")
    parser.add_argument("--work", type=Path, help="keeps runs, so that it may be stopped and started")
    given = parser.parse_args(argv)
    epochs = 3 if given.smoke else EPOCHS
    rungs, rows = default_rungs(epochs, len(RATES)), []
    with TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        for model, weights, sequences in simulated(work) if given.smoke else studied(given, work):
            for seed in given.seeds:
                where = work / f"{model}_{sequences.stem}_{seed}"
                ways = [tune(weights, sequences, where / str(bool(r)), seed, r, epochs) for r in ((), rungs)]
                (rate, value, full), (other, raced, fewer) = ways
                print(f"{model} {sequences.stem} {seed}: {value:.3f} {raced:.3f} {full} {fewer}", file=sys.stderr)
                rows.append([model, sequences.stem, seed, rate, other, value, raced, raced - value, full, fewer])
    told = f"{date.today()}, torch {torch.__version__}, {len(RATES)} rates, {epochs} epochs, rungs {rungs}"
    print(f"{told}; `python tests/benchmarks/racing.py`\n")
    header = "model|task|seed|rate, full|rate, race|validation, full|validation, race|change|epochs, full|epochs, race"
    shown = [[f"{value:.3f}" if isinstance(value, float) else value for value in row] for row in rows]
    print(table(header.split("|"), shown))
    share = sum(row[9] for row in rows) / sum(row[8] for row in rows)
    print(
        f"\nOn average the winner's validation value changes by {mean(row[7] for row in rows):+.4f}, at {share:.3f} of"
    )
    print("the epochs.")


if __name__ == "__main__":
    call(main)
