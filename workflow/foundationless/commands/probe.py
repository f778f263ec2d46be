"""Train classifiers on frozen embeddings and write predictions and record."""

import argparse
from pathlib import Path
from typing import Any

from foundationless.commands import add_identity, add_record_outputs, add_sequences
from foundationless.commands._flags import count, layer, number, seed
from foundationless.study.vocabulary import CHOICES, CLASSIFIERS, LEARNED_METRICS, NEARNESS, VALIDATION

RECIPE = 4  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--embeddings", required=True, type=Path, help="embeddings of the set (Parquet, from embed)")
    parser.add_argument("--probes", required=True, nargs="+", choices=CLASSIFIERS, help="classifiers")
    parser.add_argument("--poolings", required=True, nargs="+", help="poolings, columns of the embeddings")
    text = "inner layers to choose among, of those that embed kept: all, or numbers from 0 (default: the last alone)"
    parser.add_argument("--layers", type=layer, nargs="+", default=[], help=text)
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Flags that probes on embeddings and on cheap features share."""
    add = parser.add_argument
    add_sequences(parser)
    add("--analysis", required=True, help="analysis that the job belongs to, such as biotype")
    add("--aggregate", help="average the features of rows that share this column, such as sample")
    add("--metric", required=True, choices=LEARNED_METRICS, help="main metric; it chooses on validation")
    add("--rounds", type=count, default=1000, help="XGBoost: trees per class")
    add("--depth", type=count, default=3, help="XGBoost: depth of a tree")
    add("--eta", type=number, default=0.1, help="XGBoost: learning rate")
    add("--colsample", type=number, default=1.0, help="XGBoost: share of the columns per tree")
    add("--early-stopping", type=int, default=0, help="XGBoost: patience in rounds; 0 never stops early")
    add("--pca", type=count, nargs="+", default=[], help="also read so many principal components")
    add("--cv-folds", type=int, default=0, help="also cross-validate over all rows; 0: never")
    text = "of logistic regression on classes: a row weighs as much as its class is rare (default: all weigh the same)"
    add("--class-weights", choices=["balanced"], default="", help=text)
    text = "what chooses head, features and strength: validation, or nothing (fixed: those named first, untuned)"
    add("--choice", choices=CHOICES, default=VALIDATION, help=text)
    add("--shots", type=count, nargs="+", default=[], help="learn from so many rows a class, in place of all")
    add("--draws", type=count, default=20, help="with --shots: how often these rows are drawn")
    add("--draw-seed", type=seed, default=0, help="with --shots: seed of the draws, which all arms share")
    text = "with one number of --shots: rank test rows by their nearness to so many known sites; nothing is trained"
    add("--retrieve", choices=NEARNESS, default="", help=text)
    add("--site", default="", help="with --retrieve: the class of the sites (default: the second of two)")
    add("--threads", type=count, default=1, help="CPU threads")
    add_identity(parser)
    add_record_outputs(parser)


def shared(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of those flags, the identity and the settings, as `probes.run_job` takes them."""
    from foundationless.features.classifiers import ProbeSettings

    values = {name: getattr(arguments, name) for name in ProbeSettings.__dataclass_fields__}
    settings = ProbeSettings(**values | {"pca": tuple(arguments.pca)})
    identity = {key: getattr(arguments, key) for key in ("analysis", "task", "model", "init", "seed")}
    flags = ("sequences", "strict_alphabet", "aggregate", "record", "predictions")
    given = {flag: getattr(arguments, flag) for flag in flags} | {"identity": identity, "settings": settings}
    return given | _runner(arguments)


def _runner(arguments: argparse.Namespace) -> dict[str, Any]:
    """What runs instead of `run_probes`, where the flags of few rows ask for it."""
    from functools import partial

    from foundationless.errors import UserError
    from foundationless.features.shots.drawing import Drawn
    from foundationless.features.shots.heads import run_drawn, run_fixed
    from foundationless.features.shots.retrieval import run_retrieval

    if arguments.retrieve and len(arguments.shots) != 1:
        raise UserError("--retrieve needs --shots with one number, that of the known sites.")
    if not arguments.shots:
        return {} if arguments.choice == VALIDATION else {"run": run_fixed}
    drawn = Drawn(tuple(arguments.shots), arguments.draws, arguments.draw_seed)
    if arguments.retrieve:
        return {"run": partial(run_retrieval, drawn=drawn, by=arguments.retrieve, site=arguments.site)}
    return {"run": partial(run_drawn, drawn=drawn, choice=arguments.choice)}


def run(arguments: argparse.Namespace) -> None:
    from foundationless.features.embedding_files import hashes_of_weights, of_embedding, of_vectors, read_embeddings
    from foundationless.features.layers import columns_in_file, kept_columns
    from foundationless.features.probes import align, run_job

    poolings = list(dict.fromkeys(arguments.poolings))
    ids, vectors, facts = read_embeddings(arguments.embeddings, poolings)
    details = {"poolings": poolings, "max_tokens": facts["max_tokens"], "precision": facts["precision"]}
    layers = kept_columns(arguments.embeddings, facts, poolings, arguments.layers) if arguments.layers else {}
    features = columns_in_file(arguments.embeddings, layers) if layers else vectors
    details |= {"layers": sorted({*layers.values()}), "last_layer": facts["last_layer"]} if layers else {}
    run_job(
        lambda frame: align(ids, features, frame),
        arguments.probes,
        parameters=facts["parameters"],
        details=details | of_vectors(facts),
        layers=layers,
        cost=of_embedding(arguments.task, facts),
        hashes=hashes_of_weights(facts),
        **shared(arguments),
    )
