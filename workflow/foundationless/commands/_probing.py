"""Flags that probes on embeddings and on cheap features share, and what runs where some are given."""

import argparse
from functools import partial
from typing import Any

from foundationless.commands import add_identity, add_record_outputs, add_sequences
from foundationless.commands._flags import count, number, seed
from foundationless.errors import UserError
from foundationless.study.vocabulary import CHOICES, LEARNED_METRICS, LEAVE_ONE_OUT, NEARNESS, RETRIEVAL, VALIDATION


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The flags of both."""
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
    _add_shots(parser)
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


def _add_shots(parser: argparse.ArgumentParser) -> None:
    """What chooses a head, how many training rows it sees, and whether there is a head at all."""
    add = parser.add_argument
    text = "what chooses head, features and strength: validation, nothing (fixed: those named first, untuned), or "
    text += "with --shots leave_one_out on these rows alone (features, and the strength of logistic regression)"
    add("--choice", choices=CHOICES, default=VALIDATION, help=text)
    add("--shots", type=count, nargs="+", default=[], help="learn from so many rows a class, in place of all")
    add("--draws", type=count, default=RETRIEVAL["draws"], help="with --shots: how often these rows are drawn")
    add("--draw-seed", type=seed, default=0, help="with --shots: seed of the draws, which all arms share")
    text = "with one number of --shots: rank test rows by their nearness to so many known sites; nothing is trained"
    add("--retrieve", choices=NEARNESS, default="", help=text)
    add("--site", default="", help="with --retrieve: the class of the sites (default: the second of two)")


def _runner(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `probes.run_job` runs instead of `run_probes`, where those flags ask for it."""
    from foundationless.features.shots.heads import run_drawn, run_fixed
    from foundationless.features.shots.retrieval import run_retrieval
    from foundationless.tasks.draws import Drawn

    if arguments.retrieve and len(arguments.shots) != 1:
        raise UserError("--retrieve needs --shots with one number, that of the known sites.")
    if arguments.choice == LEAVE_ONE_OUT and (arguments.retrieve or not arguments.shots):
        raise UserError("--choice leave_one_out is for --shots, and nothing is chosen with --retrieve.")
    if not arguments.shots:
        return {} if arguments.choice == VALIDATION else {"run": run_fixed}
    drawn = Drawn(tuple(arguments.shots), arguments.draws, arguments.draw_seed)
    if arguments.retrieve:
        return {"run": partial(run_retrieval, drawn=drawn, by=arguments.retrieve, site=arguments.site)}
    return {"run": partial(run_drawn, drawn=drawn, choice=arguments.choice)}
