"""Fine-tune one model on few training rows of a task, drawn many times: all draws in one job, each of them kept."""

import argparse
from pathlib import Path

from foundationless.commands import add_record_outputs
from foundationless.commands._finetuning import add_network, read_fixed
from foundationless.commands._flags import count, number, seed
from foundationless.study.vocabulary import FEW_STEPS, RETRIEVAL

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_network(parser)
    group = parser.add_argument_group("few rows")
    text = "rows a class, increasing: a network is trained on each of them, in every draw"
    group.add_argument("--shots", type=count, nargs="+", required=True, help=text)
    group.add_argument("--draws", type=count, default=RETRIEVAL["draws"], help="how often these rows are drawn")
    group.add_argument("--draw-seed", type=seed, default=0, help="seed of the draws, which all arms share")
    group.add_argument("--steps", type=count, default=FEW_STEPS, help="optimizer steps of a draw; the last is tested")
    group = parser.add_argument_group("learning rate, which nothing searches")
    rate = group.add_mutually_exclusive_group(required=True)
    rate.add_argument("--learning-rate", type=number, help="the one of every draw")
    rate.add_argument("--chosen", type=Path, help="record of fine-tuning: the one that validation chose there")
    text = "folds of that record (none: the published split), of which the first says it"
    parser.add_argument("--chosen-folds", type=int, nargs="*", default=[], help=text)
    add_record_outputs(parser)


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation import records
    from foundationless.runtime.files import atomic_path
    from foundationless.runtime.usage import JobUsage
    from foundationless.tasks.draws import Drawn
    from foundationless.training.compute import Compute
    from foundationless.training.shots.job import train_draws

    given = arguments
    compute = Compute(given.device, given.threads, given.precision, given.token_budget)
    usage = JobUsage(compute.device, given.runs / "cost.json", energy=given.energy)
    settings = read_fixed(given)
    drawn = Drawn(tuple(given.shots), given.draws, given.draw_seed)
    outcome = train_draws(given.weights, given.sequences, settings, compute, given.runs, RECIPE, drawn, given.steps)
    with atomic_path(given.predictions) as part:
        outcome.predictions.to_parquet(part, index=False)
    records.write_record(
        given.record,
        **{name: getattr(given, name) for name in ("analysis", "task", "model", "init", "seed")},
        parameters=outcome.parameters,
        settings=outcome.settings,
        results=outcome.results,
        selections=[],
        hashes=records.hash_files(predictions=given.predictions, sequences=given.sequences, weights=given.weights),
        cost=usage.cost(),
    )
    usage.close()
