"""Cosine similarity of mutated windows with their references, by number of mutations."""

import argparse
from pathlib import Path
from typing import Any

from foundationless.commands import add_compute, add_identity, add_record_outputs, add_sequences
from foundationless.commands._flags import layer

RECIPE = 2  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scoring(parser)
    poolings = ["cls", "mean", "max", "site"]
    parser.add_argument("--poolings", nargs="+", choices=poolings, default=poolings, help="poolings of the embedding")
    add_layers(parser)


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Flags that all scoring commands share."""
    parser.add_argument("--weights", required=True, type=Path, help="weight directory")
    add_sequences(parser)
    parser.add_argument("--analysis", required=True, help="analysis that the job belongs to, such as sensitivity")
    add_identity(parser)
    add_record_outputs(parser)
    add_compute(parser)


def add_layers(parser: argparse.ArgumentParser) -> None:
    """The flag of layers that distances are measured on."""
    text = "layers to measure on beside the last: all, or numbers from 0, the embedding (default: the last alone)"
    parser.add_argument("--layers", type=layer, nargs="+", default=[], help=text)


def shared(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of those flags and of the identity, as `scoring.run_job` takes them."""
    files = ["weights", "sequences", "strict_alphabet", "record", "predictions"]
    flags = [*files, "device", "threads", "precision", "token_budget", "energy"]
    identity = {key: getattr(arguments, key) for key in ("analysis", "task", "model", "init", "seed")}
    return {flag: getattr(arguments, flag) for flag in flags} | {"identity": identity}


def run(arguments: argparse.Namespace) -> None:
    from foundationless.scoring import run_job, score_sensitivity

    poolings = list(dict.fromkeys(arguments.poolings))
    run_job(
        lambda weights, frame, compute: score_sensitivity(weights, frame, poolings, arguments.seed, compute),
        settings={"poolings": poolings},
        layers=arguments.layers,
        **shared(arguments),
    )
