"""Fine-tuning jobs on planted signals, and what came out of them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.data.outputs import format_outputs
from foundationless.evaluation.records import comparable, read_record
from foundationless.study.vocabulary import TRACKS
from foundationless.tasks.sequence_sets import with_outputs, write_sequences

MOTIF = "TATAAAGGC"
OTHER = "CCGATTGCA"


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


def planted_outputs(labels: str, count: int = 280, seed: int = 0, missing: float = 0.2) -> pd.DataFrame:
    """Sequences of 60 nt that hold each of two words up to twice, at even odds; some outputs are not known.

    Values: how often, in units of 50 (100 and 250 is none); tracks: whether.
    """
    generator = np.random.default_rng(seed)
    rows, values = [], []
    for index in range(count):
        letters = generator.choice(list("ACGT"), 60)
        counts = generator.integers(0, 3, 2)
        places = generator.permutation(6)
        for place, word in zip(places, [MOTIF] * counts[0] + [OTHER] * counts[1], strict=False):
            letters[place * 10 : place * 10 + len(word)] = list(word)
        known = np.where(generator.random(2) < missing, np.nan, 1.0)
        known[int(generator.integers(2))] = 1.0
        values.append(known * (counts > 0 if labels == TRACKS else [100, 250] + 50 * counts))
        split = "test" if index < 80 else "validation" if index < 120 else "train"
        rows.append((f"s{index}", "".join(letters), split, f"g{index}"))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "split", "group"]).assign(label=format_outputs(values))
    return with_outputs(frame[["id", "sequence", "label", "split", "group"]], labels, ["first", "second"])


def job(directory: Path, weights: Path, frame: pd.DataFrame, **flags: object) -> int:
    """Write the set and run the command."""
    directory.mkdir(exist_ok=True)
    write_sequences(directory / "set.parquet", frame)
    return main(arguments(directory, weights, **flags))


def arguments(directory: Path, weights: Path, **flags: object) -> list[str]:
    """The command line; flags override the defaults below."""
    job = dict(task="planted", model="hyena", init="random", seed=1, metric="mcc", pooling="max")
    training = dict(learning_rates=[0.003, 0.01], epochs=2, batch_size=32)
    read = dict(weights=weights, sequences=directory / "set.parquet", runs=directory / "runs")
    written = dict(record=directory / "record.json", predictions=directory / "predictions.parquet")
    return command_line("finetune_model", job | training | read | written | flags)


def part(directory: Path, weights: Path, number: int, groups: int, legs: int, **flags: object) -> int:
    """Run one part of a job as the workflow does; its number counts legs first."""
    group, leg = divmod(number, legs)
    own = {"runs": directory / f"parts/runs{group}", "known": directory / "runs"}
    own |= {"group": group, "groups": groups, "leg": leg, "legs": legs}
    own["output"] = directory / f"parts/part{number}.json"
    words = arguments(directory, weights, **flags | own)
    for flag in ("--record", "--predictions"):
        at = words.index(flag)
        del words[at : at + 2]
    return main(["finetune_part", *words[1:]])


def merge(directory: Path, weights: Path, groups: int, legs: int, **flags: object) -> int:
    """Put together what the parts trained."""
    last = [directory / f"parts/part{group * legs + legs - 1}.json" for group in range(groups)]
    return main(arguments(directory, weights, **flags, parts=last))


def command_line(command: str, flags: dict[str, object]) -> list[str]:
    """Underscores of the names become hyphens, lists several words."""
    argv = [command]
    for flag, value in flags.items():
        argv += [f"--{flag.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return argv


def outputs(directory: Path) -> tuple[dict, pd.DataFrame]:
    return comparable(read_record(directory / "record.json")), pd.read_parquet(directory / "predictions.parquet")


def same(first: Path, second: Path) -> None:
    """Two jobs ended in the same record and the same bits of every probability."""
    (record, table), (other, other_table) = outputs(first), outputs(second)
    assert record == other
    pd.testing.assert_frame_equal(table, other_table, check_exact=True)
    beside = [directory / "validation.parquet" for directory in (first, second)]
    if any(path.exists() for path in beside):  # perturbations have none
        pd.testing.assert_frame_equal(*map(pd.read_parquet, beside), check_exact=True)


def metric_of(record: dict, selection: str, split: str = "test", metric: str = "mcc") -> list[float]:
    found = [r for r in record["results"] if (r["selection"], r["split"], r["metric"]) == (selection, split, metric)]
    return [r["value"] for r in found]


@contextmanager
def at_call(owner: object, name: str, number: int, action: Callable[[], object]) -> Iterator[None]:
    """Within, the call of that number of owner.name does `action` first."""
    original, calls = getattr(owner, name), []

    def disturbed(*given: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == number:
            action()
        return original(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, disturbed)
        yield


def send(number: signal.Signals) -> Callable[[], None]:
    """What sends that signal to this process."""
    return lambda: os.kill(os.getpid(), number)


def fail() -> None:
    raise RuntimeError("injected")
