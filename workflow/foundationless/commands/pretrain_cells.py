"""Pretrain a randomly initialised network of single cells on cells: masked values (scGPT) or masked ranks (Geneformer).

It goes on from where an earlier try ended.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_compute
from foundationless.commands._flags import count, number, output_directory, output_file, positive, seed

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True, help="model of config/models.yaml")
    add("--seed", required=True, type=seed, help="seed of held-out cells, order, bins, masks and dropout")
    add("--weights", required=True, type=Path, help="weight directory to start from, its vocabulary beside it")
    add("--cells", required=True, nargs="+", type=Path, help="counts of cells (H5AD and others)")
    add("--steps", required=True, type=int, help="optimizer steps")
    add("--batch-size", required=True, type=int, help="cells per step")
    add("--most-tokens", type=count, default=512, help="genes of a cell that are read, special tokens included (512)")
    add("--learning-rate", required=True, type=number, help="highest learning rate")
    add("--minimum-learning-rate", required=True, type=number, help="where the cosine ends")
    add("--warmup", required=True, type=int, help="steps of linear warm-up")
    add("--betas", type=number, nargs=2, default=[0.9, 0.95], help="of AdamW")
    add("--weight-decay", type=number, default=0.01, help="of AdamW, matrices only")
    add("--mask-probability", type=number, help="genes that are predicted (default: of scgpt 0.4, of geneformer 0.15)")
    add("--heldout-share", type=number, default=0.1, help="cells of the held-out loss alone (0.1)")
    add("--checkpoint-every", required=True, type=int, help="steps between held-out losses")
    add("--checkpoint-seconds", type=positive, default=600.0, help="time between checkpoints (600)")
    add("--checkpoints", required=True, type=output_directory, help="directory of the checkpoint")
    add("--output", required=True, type=output_directory, help="weight directory to write")
    add("--record", required=True, type=output_file, help="JSON record to write")
    add("--losses", required=True, type=output_file, help="loss curve to write (TSV)")
    add_compute(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation import records
    from foundationless.perturbation.expression.counts import read_counts
    from foundationless.runtime.files import atomic_path, sha256
    from foundationless.runtime.usage import JobUsage
    from foundationless.training.cells import pretraining
    from foundationless.training.cells.corpus import combine
    from foundationless.training.compute import Compute
    from foundationless.training.pretraining import CHECKPOINT

    chosen = {name: getattr(arguments, name) for name in pretraining.CellSettings.__match_args__}
    settings = pretraining.CellSettings(**chosen | {"betas": tuple(arguments.betas)})
    compute = Compute(arguments.device, arguments.threads, arguments.precision, arguments.token_budget)
    source = {"corpus": {path.name: sha256(path) for path in arguments.cells}}
    with JobUsage(compute.device, arguments.checkpoints / "cost.json", energy=arguments.energy) as usage:
        cells = combine([read_counts(path) for path in arguments.cells])
        given = {name: getattr(arguments, name) for name in ("weights", "checkpoints", "output", "checkpoint_seconds")}
        given |= {"cells": cells, "settings": settings, "compute": compute, "name": arguments.model}
        outcome = pretraining.pretrain_cells(**given, source=source, recipe=RECIPE)
        with atomic_path(arguments.losses) as part:
            outcome.curve.to_csv(part, sep="\t", index=False)
        records.write_record(
            arguments.record,
            analysis="pretrain",
            task="+".join(path.name.split(".")[0] for path in arguments.cells),
            **{name: getattr(arguments, name) for name in ("model", "seed")} | {"init": "pretrained"},
            **{name: getattr(outcome, name) for name in ("parameters", "settings", "results")},
            hashes=records.hash_files(weights=arguments.output),
            cost=usage.cost(),
        )
        (arguments.checkpoints / CHECKPOINT).unlink(missing_ok=True)
