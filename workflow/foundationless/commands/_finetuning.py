"""Flags of fine-tuning, which whole jobs and parts of them share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.commands import add_compute, add_identity, add_sequences
from foundationless.commands._flags import count, number, output_directory
from foundationless.study.vocabulary import CHUNKS

if TYPE_CHECKING:
    from foundationless.training.sweep import Settings

_SEVERAL = ("learning_rates", "folds", "rungs", "lora_targets")
RECIPE = 2  # raise it when a result would change


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Flags of the runs of a job, and of where they are kept."""
    add_network(parser)
    parser.add_argument("--learning-rates", required=True, type=number, nargs="+", help="learning rates to sweep")
    text = "further rates at most, one after another, where validation chose the least or the largest (0: none)"
    parser.add_argument("--extend", type=int, default=0, help=text)
    text = "epochs after which the runs of a fold are halved by validation (0: no race, each is trained to its end)"
    parser.add_argument("--rungs", type=int, nargs="+", default=[0], help=text)
    parser.add_argument("--epochs", required=True, type=int, help="passes over the training rows")
    parser.add_argument("--fold-count", type=int, default=10, help="folds to cut the training rows into")
    parser.add_argument("--folds", type=int, nargs="*", default=[], help="folds to run (none: the set's own split)")
    parser.add_argument("--patience", type=int, default=0, help="epochs without improvement that end a run (0: off)")
    text = "read a longer input in chunks and pool them, each by its tokens or by a learned query (none: cut it off)"
    parser.add_argument("--chunks", choices=CHUNKS, default="none", help=text)
    text = "epochs after which one block more is trained, from the head down (0: all from the start)"
    parser.add_argument("--unfreeze", type=int, default=0, help=text)
    text = "runs trained at once (default 1; 0: as many as a GPU holds, which nobody has measured on a GPU yet)"
    parser.add_argument("--pack", type=int, default=1, help=text)
    parser.add_argument("--checkpoint-seconds", type=number, default=300.0, help="between checkpoints inside a run")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Flags of the network that is trained, however long and at whichever rates."""
    add_identity(parser)
    parser.add_argument("--weights", required=True, type=Path, help="weight directory")
    add_sequences(parser)
    parser.add_argument("--analysis", default="finetune", help="analysis that the record belongs to")
    parser.add_argument("--metric", required=True, help="metric that chooses epoch and learning rate")
    parser.add_argument("--batch-size", required=True, type=int, help="sequences per optimizer step")
    parser.add_argument("--pooling", required=True, choices=["max", "mean", "first", "last"], help="over tokens")
    parser.add_argument("--weight-decay", type=number, default=0.0, help="of AdamW")
    parser.add_argument("--max-tokens", type=count, help="cut longer inputs (default: the model's maximum)")
    parser.add_argument("--lora-rank", type=int, default=0, help="of low-rank adapters (0: every weight is trained)")
    parser.add_argument("--lora-alpha", type=count, default=16, help="the adapters' scale is alpha / rank")
    parser.add_argument("--lora-dropout", type=number, default=0.0, help="on what the adapters read")
    text = "which maps have adapters, by the ends of their names, e.g. q_proj (default: every map of the encoder)"
    parser.add_argument("--lora-targets", nargs="+", default=[], help=text)
    text = "what is trained: all weights, those of the head, of the last N blocks too (last_N), or adapters (lora)"
    parser.add_argument("--trainable", default="all", help=text)
    text = "a block learns at this part of the rate of what follows on it (1: all at one rate)"
    parser.add_argument("--layer-rates", type=number, default=1.0, help=text)
    text = "compute blocks again in the backward pass: less memory, a third more time, the same bits"
    parser.add_argument("--gradient-checkpointing", action="store_true", help=text)
    text = "how frozen linear maps are kept (bf16: with --precision bf16, to the same bits)"
    parser.add_argument("--weight-precision", choices=["fp32", "bf16"], default="fp32", help=text)
    text = "weights of the classes in the loss, so that each counts as much as another (default: rows do)"
    parser.add_argument("--class-weights", choices=["balanced"], default="", help=text)
    parser.add_argument("--runs", required=True, type=output_directory, help="directory that keeps finished runs")
    add_compute(parser)


def read_settings(arguments: argparse.Namespace) -> "Settings":
    """The settings that the flags of `add_runs` describe."""
    from foundationless.training.sweep import Settings

    chosen = {name: getattr(arguments, name) for name in Settings.__dataclass_fields__}
    return Settings(**chosen | {name: tuple(chosen[name]) for name in _SEVERAL})


def read_fixed(arguments: argparse.Namespace) -> "Settings":
    """The settings that the flags of `add_network` describe, with one learning rate (`learning_rate`, or that of the
    record `chosen`)."""
    from foundationless.training.sweep import Settings, chosen_rate

    given = {name: getattr(arguments, name) for name in Settings.__dataclass_fields__ if hasattr(arguments, name)}
    given |= {"lora_targets": tuple(arguments.lora_targets), "epochs": 1}
    given |= {"learning_rates": (arguments.learning_rate or 1.0,)}
    if arguments.chosen is None:
        return Settings(**given)
    count = max([10, *(fold + 1 for fold in arguments.chosen_folds)])
    settings = Settings(**given | {"folds": tuple(arguments.chosen_folds), "fold_count": count})
    return chosen_rate(arguments.chosen, settings)
