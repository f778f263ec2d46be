"""Pretrain a randomly initialised model on a genome: next token or masked token, with checkpoints."""

import argparse
from pathlib import Path

from foundationless.commands import add_compute
from foundationless.flags import number, output_directory, output_file, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the pretraining job."""
    parser.add_argument("--model", required=True, help="model of config/models.yaml")
    parser.add_argument("--seed", required=True, type=seed, help="seed of windows, masks and dropout")
    parser.add_argument("--weights", required=True, type=Path, help="weight directory to start from")
    parser.add_argument("--genome", required=True, type=Path, action="append", help="FASTA (repeat for several)")
    parser.add_argument("--exclude", nargs="*", default=[], help="contigs or regions never read")
    parser.add_argument(
        "--holdout", nargs="*", default=[], help="contigs or regions that only measure the held-out loss"
    )
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
    parser.add_argument(
        "--checkpoint-every", required=True, type=int, help="steps between checkpoints and held-out losses"
    )
    parser.add_argument("--heldout-windows", type=int, default=64, help="windows of the held-out loss")
    parser.add_argument("--checkpoints", required=True, type=output_directory, help="directory of the checkpoint")
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")
    parser.add_argument("--record", required=True, type=output_file, help="JSON record to write")
    parser.add_argument("--losses", required=True, type=output_file, help="loss curve to write (TSV)")
    add_compute(parser)


def run(arguments: argparse.Namespace) -> None:
    """Pretrain, write weights, loss curve and record, and drop the checkpoint."""
    from dataclasses import fields

    from foundationless import pretraining, records, training

    compute = training.Compute(arguments.device, arguments.threads, arguments.precision, arguments.token_budget)
    watch = records.Stopwatch(compute.device)
    chosen = {field.name: getattr(arguments, field.name) for field in fields(pretraining.Settings)}
    settings = pretraining.Settings(**chosen | {"betas": tuple(arguments.betas)})
    corpus = (arguments.genome, arguments.exclude, arguments.holdout)
    places = (arguments.checkpoints, arguments.output)
    outcome = pretraining.pretrain(arguments.weights, *corpus, settings, compute, *places, arguments.model)
    pretraining.write_curve(arguments.losses, outcome.curve)
    records.write_record(
        arguments.record,
        analysis="pretrain",
        task="+".join(path.name.split(".")[0] for path in arguments.genome),
        **{name: getattr(arguments, name) for name in ("model", "seed")},
        init="pretrained",
        parameters=outcome.parameters,
        settings=outcome.settings,
        results=outcome.results,
        cost=watch.cost(),
    )
    (arguments.checkpoints / pretraining.CHECKPOINT).unlink(missing_ok=True)
