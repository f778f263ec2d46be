"""Train classifiers on features that cost nothing: length, GC content, k-mers, random convolutions, or none at all.

Of people also their genotypes: allele dosages, or principal components of these.
"""

import argparse
from typing import TYPE_CHECKING

from foundationless.commands.probe import add_settings, shared
from foundationless.study.vocabulary import CLASSIFIERS, FEATURES, GENOTYPES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RECIPE = 4  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", required=True, choices=FEATURES, help="features")
    parser.add_argument("--classifier", required=True, choices=CLASSIFIERS, help="classifier")
    parser.add_argument("--options", default="{}", help="options of the features, as a JSON object")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> None:
    import json

    from foundationless.errors import UserError
    from foundationless.features import composition, genotypes
    from foundationless.features.probes import run_job

    family = arguments.family
    try:
        options = json.loads(arguments.options)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise UserError(f"--options {arguments.options}: not a JSON object; write for example '{{}}'.")

    def featurise(frame: "pd.DataFrame") -> "dict[str, np.ndarray]":
        if family in GENOTYPES:
            return {family: genotypes.features(family, frame, **options)}
        return {family: composition.features(family, frame["sequence"].tolist(), arguments.seed, **options)}

    details = {"family": family, "options": options}
    run_job(featurise, [arguments.classifier], parameters=0, details=details, cost={}, **shared(arguments))
