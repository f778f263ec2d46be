"""Scores of variants beyond the likelihood ratio, and it beside them: distances of embeddings, a supervised probe.

Of a baseline (--options) the same probe on features that cost nothing. What is learned is scored on the chromosomes,
or on the blocks of neighbours, that were held out.
"""

import argparse

from foundationless.commands.score_sensitivity import shared

RECIPE = 1  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pathlib import Path

    from foundationless.commands import add_compute, add_identity, add_record_outputs, add_sequences

    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, help="weight directory")
    source.add_argument("--options", help="of a baseline: its options, as the JSON object {features: [NAME, …]}")
    add_sequences(parser)
    add("--analysis", required=True, help="analysis that the job belongs to, such as variant_probe")
    add_identity(parser)
    add_record_outputs(parser)
    add_compute(parser)
    poolings = ["max", "mean", "cls", "site"]
    add("--poolings", nargs="+", choices=poolings, default=poolings, help="poolings of the embedding")
    add("--both-strands", action="store_true", help="read likelihoods on the reverse complement too")


def run(arguments: argparse.Namespace) -> None:
    import json

    from foundationless.errors import UserError
    from foundationless.scoring.probes import probe_baseline, probe_network
    from foundationless.scoring.probes.arms import settings

    given = shared(arguments)
    if arguments.weights is None:
        try:
            options = json.loads(arguments.options)
        except ValueError:
            options = None
        if not isinstance(options, dict):
            raise UserError(f"--options {arguments.options}: not a JSON object; name features in it.")
        files = given["sequences"], given["strict_alphabet"], options, given["identity"]
        probe_baseline(*files, given["record"], given["predictions"])
        return
    from foundationless.scoring import run_job

    poolings, both = list(dict.fromkeys(arguments.poolings)), arguments.both_strands
    run_job(
        lambda weights, frame, compute: probe_network(weights, frame, poolings, compute, both),
        settings={"poolings": poolings, "both_strands": both} | settings(),
        **given,
    )
