"""One file per command: a docstring, `add_arguments(parser)` and `run(arguments)`; heavy imports live inside `run`."""

import argparse

from foundationless.flags import count, output_file, seed


def add_identity(parser: argparse.ArgumentParser) -> None:
    """Flags that say which cell of the design a job fills; they are copied into its record."""
    group = parser.add_argument_group("identity of the job")
    group.add_argument("--task", required=True, help="task of config/tasks.tsv")
    group.add_argument("--model", required=True, help="model of config/models.yaml")
    group.add_argument("--init", required=True, help="arm: pretrained, random, or baseline")
    group.add_argument("--seed", required=True, type=seed, help="seed of initialisation, data order and resampling")


def add_record_outputs(parser: argparse.ArgumentParser) -> None:
    """Flags for the two files that every evaluating job writes."""
    parser.add_argument("--record", required=True, type=output_file, help="JSON record to write")
    parser.add_argument("--predictions", required=True, type=output_file, help="per-sample predictions (Parquet)")


def add_compute(parser: argparse.ArgumentParser) -> None:
    """Flags of everything that runs a network."""
    parser.add_argument("--device", default="auto", help="auto (CUDA if present), cpu, or cuda[:N]")
    parser.add_argument("--threads", type=count, default=1, help="CPU threads")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="autocast precision")
    parser.add_argument("--token-budget", type=count, default=16384, help="tokens per batch, padding included")
