"""Flags of pretraining, which the whole of it and its legs share."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundationless.commands import add_compute, add_corpus, read_corpus
from foundationless.commands._flags import number, output_directory, output_file, positive, seed

if TYPE_CHECKING:
    from foundationless.runtime.usage import JobUsage
    from foundationless.training.corpus import Source
    from foundationless.training.distributed import Group

RECIPE = 3  # raise it when a result would change


def add_training(parser: argparse.ArgumentParser, own_rows: bool = False) -> None:
    """Flags of pretraining but for what the whole of it writes: on genomes, or on the `own_rows` of a task."""
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--seed", required=True, type=seed, help="seed of windows, masks and dropout")
    parser.add_argument("--weights", required=True, type=Path, help="weight directory to start from")
    if own_rows:
        parser.add_argument("--sequences", required=True, type=Path, help="sequence set (Parquet) of the task")
        parser.add_argument("--task", required=True, help="task of config/tasks.tsv, or a set derived of it")
    else:
        add_corpus(parser)
    parser.add_argument("--steps", required=True, type=int, help="optimizer steps")
    parser.add_argument("--window", required=True, type=int, help="nucleotides per window")
    parser.add_argument("--batch-size", required=True, type=int, help="windows per step")
    parser.add_argument("--learning-rate", required=True, type=number, help="highest learning rate")
    parser.add_argument("--minimum-learning-rate", required=True, type=number, help="where the cosine ends")
    parser.add_argument("--warmup", required=True, type=int, help="steps of linear warm-up")
    parser.add_argument("--betas", type=number, nargs=2, default=[0.9, 0.95], help="of AdamW (paper: 0.9 0.95)")
    parser.add_argument("--weight-decay", type=number, default=0.1, help="of AdamW, matrices only")
    parser.add_argument("--reverse-complement-probability", type=number, default=0.5, help="per window (paper: 0.5)")
    parser.add_argument("--mask-probability", type=number, default=0.15, help="predicted tokens of masked models")
    parser.add_argument("--checkpoint-every", required=True, type=int, help="steps between held-out losses")
    parser.add_argument("--checkpoint-seconds", type=positive, default=600.0, help="time between checkpoints (600)")
    parser.add_argument("--heldout-windows", type=int, default=64, help="windows of the held-out loss")
    parser.add_argument("--checkpoints", required=True, type=output_directory, help="directory of the checkpoint")
    text = "share the model out among the processes, too (FSDP); off by default, for nobody has measured it on GPUs yet"
    parser.add_argument("--shard", action="store_true", help=text)
    add_compute(parser)


def add_whole(parser: argparse.ArgumentParser) -> None:
    """Flags of what the whole of pretraining writes."""
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")
    parser.add_argument("--record", required=True, type=output_file, help="JSON record to write")
    parser.add_argument("--losses", required=True, type=output_file, help="loss curve to write (TSV)")


def complete(arguments: argparse.Namespace, init: str, until: int | None = None) -> None:
    """Pretrain to the end, or `until` a step, and write weights of the arm `init`, the record and the loss curve."""
    from foundationless.evaluation import records
    from foundationless.runtime.files import atomic_path
    from foundationless.training import pretraining

    task = arguments.task if "task" in arguments else "+".join(path.name.split(".")[0] for path in arguments.genome)
    with training(arguments) as (group, usage, given):
        outcome = pretraining.pretrain(**given, output=arguments.output, name=arguments.model, init=init, until=until)
    if not group.leads:
        return
    with atomic_path(arguments.losses) as part:  # an empty learning rate in held-out rows; floats round-trip
        outcome.curve.to_csv(part, sep="\t", index=False)
    records.write_record(
        arguments.record,
        analysis="pretrain",
        task=task,
        **{name: getattr(arguments, name) for name in ("model", "seed")} | {"init": init},
        **{name: getattr(outcome, name) for name in ("parameters", "settings", "results")},
        hashes=records.hash_files(weights=arguments.output),
        cost=usage.cost() | {"processes": group.size, "tokens_per_second": round(outcome.tokens_per_second, 1)},
    )
    (arguments.checkpoints / pretraining.CHECKPOINT).unlink(missing_ok=True)
    usage.close()


@contextmanager
def training(arguments: argparse.Namespace) -> Iterator[tuple["Group", "JobUsage", dict[str, Any]]]:
    """The group of processes, what counts their cost, and what pretraining begins with, of the flags."""
    from foundationless.runtime.usage import JobUsage
    from foundationless.training import distributed, pretraining
    from foundationless.training.compute import Compute
    from foundationless.training.corpora.own_rows import OwnRows

    corpus: Source = OwnRows(arguments.sequences, arguments.task) if "task" in arguments else read_corpus(arguments)
    chosen = {name: getattr(arguments, name) for name in pretraining.Settings.__match_args__}
    settings = pretraining.Settings(**chosen | {"betas": tuple(arguments.betas)})
    with distributed.join(arguments.device, arguments.shard) as group:
        threads = max(1, arguments.threads // group.size)
        compute = Compute(group.device, threads, arguments.precision, arguments.token_budget)
        ledger = arguments.checkpoints / "cost.json" if group.leads else None
        shares = {"threads": threads * group.size, "processes": group.size}
        usage = JobUsage(compute.device, ledger, **shares, energy=arguments.energy)
        given = {"weights": arguments.weights, "corpus": corpus, "settings": settings, "compute": compute}
        given |= {"checkpoints": arguments.checkpoints, "checkpoint_seconds": arguments.checkpoint_seconds}
        yield group, usage, given | {"group": group, "recipe": RECIPE}
