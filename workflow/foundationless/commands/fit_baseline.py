"""Train classifiers on features that cost nothing: length, GC content, k-mers, random convolutions, or none at all.

Of people also their genotypes: allele dosages, or principal components of these. Classifiers that read the sequences
base by base (--family bases) are Markov chains, weight matrices, positional k-mers and the nearest training sequence.
"""

import argparse
from pathlib import Path
from typing import Any

from foundationless.commands._probing import add_settings, shared
from foundationless.study.vocabulary import CLASSIFIERS, FEATURES, GENOTYPES, SEQUENTIAL

RECIPE = 4  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", required=True, choices=FEATURES, help="features")
    parser.add_argument("--classifier", required=True, choices=CLASSIFIERS, help="classifier")
    parser.add_argument("--options", default="{}", help="options of the features, as a JSON object")
    parser.add_argument("--importances", type=Path, help="Parquet file of what the classifier went by, to write")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> None:
    import json

    from foundationless.errors import UserError
    from foundationless.features import composition, genotypes
    from foundationless.features.bases import bases
    from foundationless.features.probes import run_job

    family = arguments.family
    try:
        options = json.loads(arguments.options)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise UserError(f"--options {arguments.options}: not a JSON object; write for example '{{}}'.")

    def featurise(frame: Any) -> dict[str, Any]:
        if family in GENOTYPES:
            return {family: genotypes.features(family, frame, **options)}
        if family in SEQUENTIAL:
            composition.check_names(family, bases, options)
            return {family: bases(frame["sequence"].tolist())}
        return {family: composition.features(family, frame["sequence"].tolist(), arguments.seed, **options)}

    run_job(
        featurise,
        [arguments.classifier],
        parameters=0,
        details={"family": family, "options": options},
        cost={},
        hashes={},
        importances=arguments.importances,
        names=lambda: composition.names(family, **options),
        **shared(arguments),
    )
