"""Fine-tune one model on one task: folds × learning rates inside, swept or raced, each finished run kept.

With --parts it trains nothing: it puts together what `finetune_part` trained.
"""

import argparse
from pathlib import Path

from foundationless.commands import _finetuning, add_record_outputs
from foundationless.commands._finetuning import add_runs, read_settings

RECIPE = _finetuning.RECIPE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the fine-tuning job."""
    add_runs(parser)
    parser.add_argument("--parts", nargs="*", default=[], type=Path, help="what finetune_part wrote, of every group")
    add_record_outputs(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train, select, and write predictions and record."""
    from foundationless.evaluation import records
    from foundationless.runtime.files import atomic_path, read_json
    from foundationless.runtime.usage import JobUsage, add_up
    from foundationless.training import compute as training
    from foundationless.training import finetuning
    from foundationless.training.sweep import VALIDATION

    parts = {path.parent / f"runs{said['group']}": said for path in arguments.parts for said in [read_json(path)]}
    device = "cpu" if parts else arguments.device
    compute = training.Compute(device, arguments.threads, arguments.precision, arguments.token_budget)
    usage = JobUsage(compute.device, arguments.runs / "cost.json", energy=arguments.energy)
    paths = (arguments.weights, arguments.sequences, read_settings(arguments), compute, arguments.runs)
    outcome = finetuning.finetune(*paths, RECIPE, arguments.checkpoint_seconds, arguments.pack, [*parts])
    with atomic_path(arguments.predictions) as part:
        outcome.predictions.to_parquet(part, index=False)
    # beside them, and no output of the rule: else jobs of before there was this file would be run again
    beside = arguments.predictions.with_name(VALIDATION)
    if outcome.validation is None:
        beside.unlink(missing_ok=True)
    else:
        with atomic_path(beside) as part:
            outcome.validation.to_parquet(part, index=False)
    records.write_record(
        arguments.record,
        **{name: getattr(arguments, name) for name in ("analysis", "task", "model", "init", "seed")},
        parameters=outcome.parameters,
        settings=outcome.settings,
        results=outcome.results,
        selections=outcome.selections,
        hashes=records.hash_files(
            predictions=arguments.predictions, sequences=arguments.sequences, weights=arguments.weights
        ),
        cost=add_up([*(said["cost"] for said in parts.values()), usage.cost()]),
    )
    usage.close()
