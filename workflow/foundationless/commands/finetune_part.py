"""Train a part of a fine-tuning job that would take too long: a group of its runs, or a leg of a group."""

import argparse
from pathlib import Path

from foundationless.commands import _finetuning
from foundationless.commands._finetuning import add_runs, read_settings
from foundationless.commands._flags import count, output_file

RECIPE = _finetuning.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the fine-tuning job, and which part of it this is."""
    add_runs(parser)
    add = parser.add_argument
    add("--group", type=int, default=0, help="which group of the runs (or of the folds, which race or extend), from 0")
    add("--groups", type=count, default=1, help="into how many groups they are dealt out")
    add("--leg", type=int, default=0, help="which leg of the group, from 0; the last one ends its runs")
    add("--legs", type=count, default=1, help="into how many legs its epochs are cut")
    add(
        "--known",
        required=True,
        type=Path,
        help="directory of the whole job's runs: what it keeps is not trained again",
    )
    add("--output", required=True, type=output_file, help="what was done, and what it cost (JSON)")


def run(arguments: argparse.Namespace) -> None:
    """Train, and say what is kept."""
    from foundationless.runtime.files import write_json
    from foundationless.runtime.usage import JobUsage
    from foundationless.training import compute as training
    from foundationless.training import finetuning

    part = finetuning.Part(*(getattr(arguments, name) for name in ("group", "groups", "leg", "legs")))
    compute = training.Compute(arguments.device, arguments.threads, arguments.precision, arguments.token_budget)
    usage = JobUsage(compute.device, arguments.runs / "cost.json", energy=arguments.energy)
    paths = (arguments.weights, arguments.sequences, read_settings(arguments), compute, arguments.runs)
    after = (arguments.checkpoint_seconds, arguments.pack)
    kept = finetuning.train_part(*paths, RECIPE, part, arguments.known, *after)
    # what the legs of a group cost adds up in the ledger, which goes with the last one
    write_json(arguments.output, {"group": part.group, "leg": part.leg, "runs": kept, "cost": usage.cost()})
    if part.leg == part.legs - 1:
        usage.close()
