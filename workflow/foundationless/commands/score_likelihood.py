"""Log-likelihood ratio of ALT against REF, and how well it ranks variants."""

import argparse

from foundationless.commands.score_sensitivity import add_scoring, shared

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scoring(parser)
    parser.add_argument("--both-strands", action="store_true", help="average with the reverse complement's ratio")


def run(arguments: argparse.Namespace) -> None:
    from functools import partial

    from foundationless.scoring import run_job, score_likelihood

    both = arguments.both_strands
    score = partial(score_likelihood, both_strands=both)
    run_job(score, settings={"both_strands": both}, **shared(arguments))
