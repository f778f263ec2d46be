"""Train a network of single cells on a screen, and predict the perturbations that were held out.

Split × learning rate inside, each finished run kept. Without --source the means of conditions are trained on.
"""

import argparse
from pathlib import Path

from foundationless.commands import add_compute, add_identity, add_reading, add_record_outputs
from foundationless.commands._flags import add_sources, count, number, output_directory, read_sources, seed
from foundationless.study.names import EFFECT_DERIVATIONS
from foundationless.study.readers import EFFECT_READERS
from foundationless.study.vocabulary import EFFECT_SPLITS, PERTURBATION

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the fine-tuning job."""
    add = parser.add_argument
    add_identity(parser)
    add("--weights", required=True, type=Path, help="weight directory")
    add("--effects", required=True, type=Path, help="effects of the screen, as build_effects made them")
    add_sources(parser, EFFECT_READERS, "effects")  # of the cells behind the effects, as build_effects was told
    add("--analysis", default="finetuned", help="analysis that the record belongs to")
    add("--kind", choices=EFFECT_SPLITS, default="unseen", help="what is held out: single perturbations, or doubles")
    add("--variant", choices=["", *EFFECT_DERIVATIONS], default="", help="see predict_effects")
    add("--splits", type=seed, nargs="+", required=True, help="seeds of the divisions into train and test")
    add("--held-out", type=number, required=True, help="share of the perturbations that tests")
    text = "folds of those that train, one of which chooses the epoch"
    add("--inner-folds", type=int, default=PERTURBATION["inner_folds"], help=text)
    add("--top", type=count, default=PERTURBATION["top"], help="most expressed genes of l2_top")
    add("--learning-rates", type=number, nargs="+", required=True, help="learning rates to sweep")
    add("--epochs", required=True, type=int, help="passes over the cells")
    add("--patience", type=int, default=0, help="epochs without improvement that end a run (0: off)")
    add("--batch-size", required=True, type=int, help="pairs of cells per optimizer step")
    add("--sampled-genes", type=int, default=1536, help="genes that a batch reads, at random (0: all; paper: 1536)")
    add("--pairs", type=int, default=0, help="pairs of a condition an epoch at most (0: one a cell)")
    add("--control-cells", type=count, default=100, help="control cells that are predicted from (paper: 100)")
    add("--dropout", type=number, default=0.2, help="in training (paper: 0.2)")
    add("--runs", required=True, type=output_directory, help="directory that keeps finished runs")
    add("--checkpoint-seconds", type=number, default=300.0, help="between checkpoints inside a run")
    add_reading(parser)
    add_compute(parser)
    add_record_outputs(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train, choose, and write predictions and record."""
    from foundationless.errors import UserError
    from foundationless.perturbation.expression.cells import cells_reader
    from foundationless.perturbation.finetuning import job, runs
    from foundationless.perturbation.selection import EffectSettings
    from foundationless.runtime.usage import JobUsage
    from foundationless.training.compute import Compute

    compute = Compute(arguments.device, arguments.threads, arguments.precision, arguments.token_budget)
    chosen = {name: getattr(arguments, name) for name in runs.Settings.__dataclass_fields__}
    settings = runs.Settings(**chosen | {"learning_rates": tuple(arguments.learning_rates)})
    how = {name: getattr(arguments, name) for name in ("kind", "variant", "held_out", "inner_folds", "top")}
    splits = EffectSettings(**how, side="network", splits=tuple(arguments.splits))
    if arguments.option and not arguments.source:
        raise UserError("--option: says how cells are read; give --source, too.")
    cells = cells_reader(arguments.reader, *read_sources(arguments, EFFECT_READERS)) if arguments.source else None
    files = job.Files(arguments.weights, arguments.effects, arguments.runs, cells)
    usage = JobUsage(compute.device, arguments.runs / "cost.json", energy=arguments.energy)
    tuned = job.finetune(files, settings, splits, compute, RECIPE, arguments.checkpoint_seconds)
    identity = {name: getattr(arguments, name) for name in ("analysis", "task", "model", "init", "seed")}
    job.write(tuned, files, identity, arguments.record, arguments.predictions, usage.cost())
    usage.close()
