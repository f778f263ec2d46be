"""Flags of the commands that state prices and powers, and the study that they are stated of."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from foundationless.commands._flags import positive
from foundationless.study.price.devices import DEFAULT, DEVICES, Device

if TYPE_CHECKING:
    from foundationless.study.price.estimate import Calibration
    from foundationless.study.price.workload import Workload

SIZES, REPORTED = (Path("resources", "lists", name) for name in ("task_sizes.tsv", "reported.tsv"))
DIFFERENCE = 0.03  # true one behind the power of `better`


def add_assumptions(parser: argparse.ArgumentParser) -> None:
    """What a study costs and what it can show follow from these."""
    add = parser.add_argument
    add("--configfile", required=True, type=Path, help="the study, as given to snakemake")
    add("--device", choices=sorted(DEVICES), default=DEFAULT, help=f"where networks run (default {DEFAULT})")
    add("--tflops", type=positive, help="what the device sustains, 10^12 operations per second (default: its own)")
    add("--sizes", type=Path, default=SIZES, help=f"TSV: task, train, validation, test, length (default {SIZES})")
    add("--ledger", type=Path, help="what jobs cost that ran: CSV with rule, model, …, gpus, seconds (default: none)")
    add("--ledger-study", type=Path, help="config of the study that the ledger is of (default: this one)")
    add("--reported", type=Path, default=REPORTED, help=f"TSV: the paper's own numbers (default {REPORTED})")
    add("--components", type=Path, help="components.csv of a pilot (default: how the paper's numbers vary)")
    text = f"true difference for the power of `better` (default {DIFFERENCE})"
    add("--difference", type=positive, default=DIFFERENCE, help=text)


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


def state_price(path: Path, device: str, known: dict[str, dict[str, float]] | None = None) -> str:
    """What a study is expected to cost on a device and what its verdict can show on these tasks, in a few sentences.

    `known`: sizes of tasks that stand in no list. Of a study that looks after each seed, both at the first look and at
    the last.
    """
    import pandas as pd

    from foundationless.evaluation.power.designs import list_designs, tabulate
    from foundationless.reporting.paper.spread import components_of
    from foundationless.study.config import read_margins
    from foundationless.study.price.estimate import Calibration, Machine, describe_memory, price_looks
    from foundationless.study.price.workload import read_sizes

    workload = _read_workload(path, read_sizes(SIZES) | (known or {}), DEVICES[device])
    plan, machine = workload.plan, Machine(1, os.cpu_count() or 1)
    said = [
        f"{f'with {seeds} seeds ' if seeds else ''}{price['jobs']:,} jobs, {price['gpu_hours']:.1f} GPU-hours, "
        f"{price['cpu_hours']:.1f} core-hours, {price['wall_hours']:.1f} hours on {machine.cores} cores"
        f"{' and one GPU' if workload.device.gpu else ''}"
        for seeds, price in price_looks(workload, machine, Calibration()).items()
    ]
    cost = f"Price by estimate: {'; '.join(said)}; downloads aside (assumed: {workload.device.describe()})."
    if memory := describe_memory(workload):
        cost += f" GPU memory of fine-tuning: {memory}."
    designs = list_designs(workload, read_margins(plan.config["statistics"]))
    words = tabulate(designs, components_of(workload, REPORTED, None), DIFFERENCE)
    words = words[(words["scope"] == "these") & (words["analysis"] == plan.deciding)]
    if words.empty:
        return f"{cost} Of its power nothing is known: it compares no pretrained arm with a random one on classes."
    word = words.iloc[0]
    shown = "nothing" if pd.isna(word["detectable"]) else f"{word['detectable']:.3f}"
    return (
        f"{cost} Power of its verdict ({word['analysis']}, {word['tasks']} tasks, {word['seeds']} seeds): `equivalent` "
        f"where nothing differs {word['equivalent']:.2f}, `better` at {DIFFERENCE:+g} {word['better']:.2f}; it detects "
        f"{shown} with 80 %."
    )


def find_device() -> tuple[str, str]:
    """Where networks of a study that starts here will run (of `DEVICES`), and how that is known, in words."""
    import torch

    if profile := os.environ.get("SNAKEMAKE_PROFILE"):
        return DEFAULT, f"SNAKEMAKE_PROFILE is {profile}, whose jobs are taken to have GPUs"
    if not torch.cuda.is_available():
        return "cpu", "this machine has no GPU that torch can use"
    name = torch.cuda.get_device_name()
    device = next((device for device in DEVICES if device in name.lower()), DEFAULT)
    return device, f"this machine has a GPU ({name})"
