"""One file per command: a docstring, `add_arguments(parser)` and `run(arguments)`; heavy imports live inside `run`."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.commands._flags import count, output_file, seed

if TYPE_CHECKING:
    from foundationless.data.download import Access
    from foundationless.training.corpus import Corpus

ENERGY = "FOUNDATIONLESS_ENERGY"  # environment; a study's `energy: true` sets it


def add_identity(parser: argparse.ArgumentParser) -> None:
    """Flags that say which cell of the design a job fills; they are copied into its record."""
    group = parser.add_argument_group("identity of the job")
    group.add_argument("--task", required=True, help="task of config/tasks.tsv")
    group.add_argument("--model", required=True, help="model of config/models.yaml")
    group.add_argument("--init", required=True, help="arm: pretrained, random, or baseline")
    group.add_argument("--seed", required=True, type=seed, help="seed of initialisation, data order and resampling")


def add_sequences(parser: argparse.ArgumentParser) -> None:
    """The sequence set, and which letters it may hold."""
    parser.add_argument("--sequences", required=True, type=Path, help="sequence set (Parquet)")
    text = "refuse sequences with other letters than A, C, G, T, N, or leave these to the tokenizer's own rule"
    parser.add_argument("--strict-alphabet", action=argparse.BooleanOptionalAction, default=True, help=text)


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
    text = "measure the energy of GPUs (also FOUNDATIONLESS_ENERGY=1); off by default, for nobody has checked it yet"
    parser.add_argument("--energy", action="store_true", default=os.environ.get(ENERGY) == "1", help=text)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Which function the weights stand for."""
    text = "as_in_paper: the function that the paper's code evaluated, its loading defects included"
    parser.add_argument("--reading", choices=["published", "as_in_paper"], default="published", help=text)


def add_hub(parser: argparse.ArgumentParser) -> None:
    """Which revision of the hub, and how it is reached."""
    parser.add_argument("--repository", required=True, help="OWNER/NAME on the hub")
    parser.add_argument("--revision", required=True, help="full commit hash, 40 hexadecimal digits")
    parser.add_argument("--cache", type=Path, help="cache of downloaded files (default: the hub library's own)")
    parser.add_argument("--local-hub", type=Path, help="directory of files laid out OWNER/NAME/resolve/REVISION/FILE")
    parser.add_argument("--offline", action="store_true", help="use the cache only, never the network")


def add_access(parser: argparse.ArgumentParser) -> None:
    """The ledger of files, and how they are reached."""
    parser.add_argument("--ledger", required=True, type=Path, help="table of datasets (config/datasets.tsv)")
    parser.add_argument("--mirror", type=Path, help="directory laid out as host/path, looked at before the network")
    parser.add_argument("--offline", action="store_true", help="never use the network: the mirror or nothing")
    parser.add_argument("--retries", type=int, default=5, help="further attempts after a transient failure")
    parser.add_argument("--timeout", type=float, default=60.0, help="longest silence of the server, in seconds")


def read_access(arguments: argparse.Namespace) -> "Access":
    """The access that the flags of `add_access` describe."""
    from foundationless.data.download import Access

    return Access(arguments.mirror, arguments.offline, arguments.retries, arguments.timeout)


def add_corpus(parser: argparse.ArgumentParser) -> None:
    """Flags of what windows are drawn from."""
    group = parser.add_argument_group("corpus")
    group.add_argument("--genome", required=True, type=Path, action="append", help="FASTA (repeat for several)")
    group.add_argument("--exclude", nargs="*", default=[], help="contigs or regions never read")
    group.add_argument("--holdout", nargs="*", default=[], help="contigs or regions for the held-out loss alone")
    group.add_argument("--vcf", type=Path, action="append", default=[], help="phased VCF or BCF, best with an index")
    group.add_argument("--people", nargs="*", default=[], help="samples whose haplotypes are read")
    group.add_argument("--panel", type=Path, help="table of people (sample, super_pop) to choose from instead")
    group.add_argument("--people-per-superpopulation", type=count, help="how many are chosen (paper: 10)")


def read_corpus(arguments: argparse.Namespace) -> "Corpus":
    """The corpus that the flags of `add_corpus` describe."""
    from foundationless.training.corpus import Corpus

    people = (arguments.vcf, arguments.people, arguments.panel, arguments.people_per_superpopulation)
    return Corpus(arguments.genome, arguments.exclude, arguments.holdout, *people)
