"""Train classifiers on features that cost nothing: length and GC content, k-mer frequencies, or none at all."""

import argparse

from foundationless.commands.probe import add_settings, shared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", required=True, choices=["kmer", "length_gc"], help="features")
    kinds = ["logistic", "xgboost", "majority"]
    parser.add_argument("--classifier", required=True, choices=kinds, help="classifier")
    parser.add_argument("--options", default="{}", help="options of the features, as a JSON object")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> None:
    import json

    from foundationless.errors import UserError
    from foundationless.models.baselines import features
    from foundationless.probes import run_job

    try:
        options = dict(json.loads(arguments.options))
    except (ValueError, TypeError):
        raise UserError(f"--options {arguments.options}: not a JSON object; write for example '{{}}'.") from None
    family = arguments.family
    run_job(
        lambda frame: {family: features(family, frame["sequence"].tolist(), **options)},
        [arguments.classifier],
        parameters=0,
        details={"family": family, "options": options},
        cost={},
        **shared(arguments),
    )
