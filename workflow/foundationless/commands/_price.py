"""Flags of the commands that state prices and powers, and the study that they are stated of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.commands._flags import positive
from foundationless.study.price.devices import DEFAULT, DEVICES, Device

if TYPE_CHECKING:
    from foundationless.study.price.estimate import Calibration
    from foundationless.study.price.workload import Workload


def add_assumptions(parser: argparse.ArgumentParser) -> None:
    """What a study costs and what it can show follow from these."""
    add = parser.add_argument
    add("--configfile", required=True, type=Path, help="the study, as given to snakemake")
    add("--device", choices=sorted(DEVICES), default=DEFAULT, help=f"where networks run (default {DEFAULT})")
    add("--tflops", type=positive, help="what the device sustains, 10^12 operations per second (default: its own)")
    lists = Path("resources", "lists", "task_sizes.tsv")
    add("--sizes", type=Path, default=lists, help=f"TSV: task, train, validation, test, length (default {lists})")
    add("--ledger", type=Path, help="what jobs cost that ran: CSV with rule, model, …, gpus, seconds (default: none)")
    add("--ledger-study", type=Path, help="config of the study that the ledger is of (default: this one)")
    reported = Path("resources", "lists", "reported.tsv")
    add("--reported", type=Path, default=reported, help=f"TSV: the paper's own numbers (default {reported})")
    add("--components", type=Path, help="components.csv of a pilot (default: how the paper's numbers vary)")
    add("--difference", type=positive, default=0.03, help="true difference for the power of `better` (default 0.03)")


def read_assumptions(arguments: argparse.Namespace) -> tuple[Workload, Calibration]:
    """The study's work on the device, and what the ledger says of it."""
    from dataclasses import replace

    from foundationless.study.price.estimate import Calibration, read_ledger
    from foundationless.study.price.workload import read_sizes

    device = DEVICES[arguments.device]
    if arguments.tflops:
        device = replace(device, flops=arguments.tflops * 1e12)
    sizes = read_sizes(arguments.sizes)
    workload = _read_workload(arguments.configfile, sizes, device)
    if not arguments.ledger:
        return workload, Calibration()
    own = _read_workload(arguments.ledger_study, sizes, device) if arguments.ledger_study else None
    return workload, Calibration.read(read_ledger(arguments.ledger), workload, own)


def _read_workload(path: Path, sizes: dict[str, dict[str, float]], device: Device) -> Workload:
    from foundationless.errors import UserError
    from foundationless.study.checks import read_study
    from foundationless.study.config import read_yaml
    from foundationless.study.price.workload import Workload

    config = read_yaml(path)
    if not isinstance(config, dict):
        raise UserError(f"{path}: not a study; give a file like those in config.")
    return Workload(read_study(config), sizes, device)
