"""In-silico mutagenesis: every substitution of some windows, by embedding shift and log-likelihood ratio."""

import argparse
from typing import TYPE_CHECKING, Any

from foundationless.commands._flags import count
from foundationless.commands.score_sensitivity import add_scoring, shared

if TYPE_CHECKING:
    import pandas as pd

    from foundationless.evaluation.records import Result
    from foundationless.models.weights import Weights

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_scoring(parser)
    add("--windows", type=count, required=True, help="windows at most; each costs 3 inputs per base")
    poolings = ["max", "mean", "cls", "site"]
    add("--poolings", nargs="+", choices=poolings, default=["max", "mean"], help="poolings of the embedding")
    add("--both-strands", action="store_true", help="average with the reverse complement's ratio")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.scoring import run_job, score_mutagenesis

    poolings, most, both = list(dict.fromkeys(arguments.poolings)), arguments.windows, arguments.both_strands
    identity = {key: getattr(arguments, key) for key in ("task", "model", "init", "seed")}

    def score(weights: "Weights", frame: "pd.DataFrame", compute: Any) -> "tuple[list[Result], pd.DataFrame]":
        results, rows = score_mutagenesis(weights, frame, poolings, most, arguments.seed, compute, both)
        return results, rows.assign(**identity)  # maps of several jobs are joined to one table

    run_job(score, settings={"poolings": poolings, "windows": most, "both_strands": both}, **shared(arguments))
