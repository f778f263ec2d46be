"""Pretrain a randomly initialised model on genomes: next token or masked token, with checkpoints.

Under `torchrun --nproc-per-node N -m foundationless pretrain ...` (or several nodes) N processes share every step.
It goes on from where `pretrain_leg` or an earlier try ended.
"""

import argparse

from foundationless.commands import _pretraining
from foundationless.commands._flags import output_directory, output_file
from foundationless.commands._pretraining import add_training

RECIPE = _pretraining.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_training(parser)
    parser.add_argument("--output", required=True, type=output_directory, help="weight directory to write")
    parser.add_argument("--record", required=True, type=output_file, help="JSON record to write")
    parser.add_argument("--losses", required=True, type=output_file, help="loss curve to write (TSV)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation import records
    from foundationless.runtime.files import atomic_path
    from foundationless.training import pretraining

    with _pretraining.training(arguments) as (group, usage, given):
        outcome = pretraining.pretrain(**given, output=arguments.output, name=arguments.model)
    if not group.leads:
        return
    with atomic_path(arguments.losses) as part:  # an empty learning rate in held-out rows; floats round-trip
        outcome.curve.to_csv(part, sep="\t", index=False)
    records.write_record(
        arguments.record,
        analysis="pretrain",
        task="+".join(path.name.split(".")[0] for path in arguments.genome),
        **{name: getattr(arguments, name) for name in ("model", "seed")} | {"init": "pretrained"},
        **{name: getattr(outcome, name) for name in ("parameters", "settings", "results")},
        hashes=records.hash_files(weights=arguments.output),
        cost=usage.cost() | {"processes": group.size, "tokens_per_second": round(outcome.tokens_per_second, 1)},
    )
    (arguments.checkpoints / pretraining.CHECKPOINT).unlink(missing_ok=True)
    usage.close()
