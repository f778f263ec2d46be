"""Runs of one fine-tuning job: a process for each, one process run by run, and one process in packs, as ratios.

Every way is the whole command, imports included, on random weights and sequences; the results are compared too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from setting import ROOT, build, call, dna, fastest, parser, prepare, table, title

from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.models.weights import save_weights
from foundationless.tasks.sequence_sets import write_sequences

RATES = (1e-5, 3e-5, 5e-5, 8e-5, 1e-4, 3e-4)  # the paper's


def sequence_set(length: int, training: int) -> pd.DataFrame:
    """Random sequences of two classes; a quarter more to validate on and as many to test on."""
    rng = np.random.default_rng(0)
    quarter = max(4, training // 4)
    splits = ["train"] * training + ["validation"] * quarter + ["test"] * quarter
    rows = [(f"s{i}", dna(rng, length), "ab"[i % 2], split, f"s{i}") for i, split in enumerate(splits)]
    return pd.DataFrame(rows, columns=["id", "sequence", "label", "split", "group"])


def command(place: Path, name: str, rates: Sequence[float], arguments: argparse.Namespace, pack: int) -> None:
    """One job in a process of its own, from nothing."""
    out = Path(tempfile.mkdtemp(dir=place, prefix="out-"))
    values = {"task": "t", "model": name, "init": "random", "seed": 0, "weights": place / name, "metric": "mcc"}
    values |= {"sequences": place / "set.parquet", "epochs": arguments.epochs, "batch-size": 32, "pooling": "max"}
    values |= {"device": arguments.device, "threads": arguments.threads, "pack": pack, "runs": out}
    values |= {"record": out / "record.json", "predictions": out / "predictions.parquet"}
    flags = [word for flag, value in values.items() for word in (f"--{flag}", str(value))]
    folds = ["--folds", *map(str, range(arguments.folds))] if arguments.folds else []
    argv = [sys.executable, "-m", "foundationless", "finetune_model", *flags, *folds]
    argv += ["--learning-rates", *map(str, rates)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"the job of {name} failed: {done.stderr.strip().splitlines()[-1]}")
    json.loads((out / "record.json").read_text())


def main(argv: Sequence[str] | None = None) -> None:
    flags = parser(__doc__)
    flags.add_argument("--length", type=count, default=200, help="bases a sequence")
    flags.add_argument("--training", type=count, default=256, help="training sequences")
    flags.add_argument("--epochs", type=count, default=2, help="passes over them")
    flags.add_argument("--rates", type=count, default=4, help="learning rates, at most 6")
    flags.add_argument("--folds", type=int, default=0, help="folds of ten (0: the set's own split)")
    flags.add_argument("--demo", action="store_true", help="networks of the demo's size")
    arguments = flags.parse_args(argv)
    if arguments.smoke:
        arguments.length, arguments.training, arguments.epochs, arguments.rates, arguments.repeats = 30, 8, 1, 2, 1
    arguments.models = arguments.models or ["hyenadna", "cnn"]
    if arguments.cpu_seconds:
        raise UserError("--cpu-seconds: the work is done by other processes; leave the flag out.")
    device, entries = prepare(arguments)
    if arguments.rates > len(RATES) or not 0 <= arguments.folds <= 10:
        raise UserError(f"--rates is at most {len(RATES)}, --folds lies between 0 and 10.")
    rates, rows = RATES[: arguments.rates], []
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        write_sequences(place / "set.parquet", sequence_set(arguments.length, arguments.training))
        for name, entry in entries.items():
            smoke, arguments.smoke = arguments.smoke, arguments.smoke or arguments.demo
            made = build(entry, arguments, device)
            arguments.smoke = smoke
            card = {"model": name, "family": entry["family"], "tokenizer": entry["tokenizer"], "init": "random"}
            save_weights(place / name, made.model, card | {"seed": 0, "source": {}})
            # a process for each learning rate: of a job with folds, each process still has all of them
            ways = {
                "each": lambda name=name: [command(place, name, [rate], arguments, 1) for rate in rates],
                "sequence": lambda name=name: command(place, name, rates, arguments, 1),
                "packed": lambda name=name: command(place, name, rates, arguments, 64),
            }
            took = fastest(ways, arguments, device)
            each = took["each"]
            rows.append((name, *took.values(), each / took["sequence"], each / took["packed"]))
    print(title(arguments, device))
    first = f"a process per {'rate' if arguments.folds else 'run'}, s"
    print(table(["model", first, "one process, s", "packed, s", "runs per hour: one process", "packed"], rows))


if __name__ == "__main__":
    call(main)
