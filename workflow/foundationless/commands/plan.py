"""Estimate what a study will cost before anything runs: jobs, GPU-hours, CPU-hours and storage per target.

Run it where snakemake would run: the tables that the config names are looked for from here. Sizes of tasks are the
published ones; a task that is not among them counts as 10,000 sequences of 500 nt and is named. An estimate within a
factor of a few: pass the speed that your GPU sustains.
"""

import argparse
from pathlib import Path

from foundationless.flags import positive

ROOT = Path(__file__).parents[3]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--configfile", required=True, type=Path, help="the study, as given to snakemake")
    add(
        "--tflops", type=positive, default=60.0, help="what a GPU sustains, in 10^12 operations per second (default 60)"
    )
    lists = ROOT.joinpath("resources", "lists", "task_sizes.tsv")
    add("--sizes", type=Path, default=lists, help="TSV: task, train, validation, test, length (default: the project's)")
    add("--rules", action="store_true", help="also one line per rule of each target")


def run(arguments: argparse.Namespace) -> None:
    import math

    from foundationless.configuration import read_table, read_yaml
    from foundationless.errors import UserError
    from foundationless.estimate import estimate
    from foundationless.plan import read_study

    config = read_yaml(arguments.configfile)
    if not isinstance(config, dict):
        raise UserError(f"{arguments.configfile}: not a study; give a file like those in config.")
    study = read_study(config, ROOT / "workflow" / "schemas")
    columns = ["train", "validation", "test", "length"]
    try:
        sizes = {
            row["task"]: {name: float(row[name]) for name in columns}
            for row in read_table(arguments.sizes, ["task", *columns])
        }
    except ValueError as error:
        raise UserError(f"{arguments.sizes}: holds other than numbers ({error}).") from None
    for task, size in sizes.items():
        if not all(0 <= number < math.inf for number in size.values()) or size["length"] <= 0:
            raise UserError(
                f"{arguments.sizes}: task '{task}' has a size that is negative or not finite, or no length."
            )
    found, unknown = estimate(study, sizes, arguments.tflops * 1e12)
    shown = found if arguments.rules else found[found["rule"] == "total"].drop(columns="rule")
    print(shown.to_string(index=False, float_format=lambda value: f"{value:,.1f}"))
    print("Targets share sequence sets, embeddings and weights, which `all` counts once.")
    print(f"Assumed: {arguments.tflops:g} TFLOP/s sustained on a GPU, one run after the other in each job.")
    if unknown:
        print(f"Size not known, 10,000 sequences of 500 nt assumed: {', '.join(unknown)}.")
