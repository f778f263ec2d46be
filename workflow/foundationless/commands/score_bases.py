"""Bits per base of a model on the test sequences of a set, by label; Markov models of its corpus beside, if asked for.

True bits of causal models; of masked ones a pseudo-likelihood, in which a seventh of the tokens is hidden at a time.
"""

import argparse
from pathlib import Path

from foundationless.commands.score_sensitivity import add_scoring, shared

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of scoring, and what Markov models are fitted to."""
    add_scoring(parser)
    parser.add_argument("--markov", action="store_true", help="score Markov models of order 1 to 11 too")
    text = "FASTA that they are fitted to (repeat for several; without any, the train rows of the set)"
    parser.add_argument("--genome", type=Path, action="append", default=[], help=text)
    parser.add_argument("--exclude", nargs="*", default=[], help="contigs or regions of it that are left out")
    parser.add_argument("--holdout", nargs="*", default=[], help="others that are left out")


def run(arguments: argparse.Namespace) -> None:
    """Fit the reference, and score."""
    from foundationless.scoring import run_job
    from foundationless.scoring.bases.bits import score_bases
    from foundationless.scoring.bases.markov import fit_markov, read_stretches
    from foundationless.scoring.likelihood_ratios import STRIDE
    from foundationless.training.corpus import Corpus

    tables, fitted = None, {}
    if arguments.markov and arguments.genome:
        without = ", ".join((*arguments.exclude, *arguments.holdout))
        fitted = {"fitted_to": f"{' + '.join(path.stem for path in arguments.genome)} without {without or 'nothing'}"}
        corpus = Corpus(arguments.genome, arguments.exclude, arguments.holdout)
        tables = fit_markov(read_stretches(corpus.stretches()[0]))
    run_job(
        lambda weights, frame, compute: score_bases(
            weights, frame, arguments.seed, compute, tables, markov=arguments.markov, **fitted
        ),
        settings={"turns": STRIDE},
        **shared(arguments),
    )
