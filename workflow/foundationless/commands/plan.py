"""Estimate what a study will cost and what it can show before anything runs: cost per target, power per analysis.

Run it where snakemake would run: the tables that the config names are looked for from here. Sizes of tasks are the
published ones; a task that is not among them counts as 10,000 sequences of 500 nt and is named. An estimate within a
factor of a few: pass the speed that your GPU sustains, or the ledger of jobs that ran on it (results/tables/cost.csv),
which also says how far off the estimate was for each rule. Wall time is the work shared out among GPUs and cores, or
the longest chain of jobs that wait for each other, whichever takes longer; queues, retrieval and retries come on top.

Cost is jobs, GPU-hours, CPU-hours, storage and wall time. Power is that of `equivalent`, where pretrained and random
arms do not differ, and of `better`, where they differ by --difference, on these tasks and on tasks like these. It
follows from how much differences vary between families, tasks, seeds and test items: as the paper's numbers vary, or
better as a pilot's do (--components, the components.csv of a finished study; of the tables beside it comparisons.csv
and runs.csv are read too).
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--configfile", required=True, type=Path, help="the study, as given to snakemake")
    add("--tflops", type=positive, default=60.0, help="what a GPU sustains, 10^12 operations per second (default 60)")
    lists = Path("resources", "lists", "task_sizes.tsv")
    add("--sizes", type=Path, default=lists, help=f"TSV: task, train, validation, test, length (default {lists})")
    add("--ledger", type=Path, help="what jobs cost that ran: CSV with rule, model, …, gpus, seconds (default: none)")
    add("--gpus", type=count, default=1, help="GPUs at work at once (default 1)")
    add("--cores", type=count, default=8, help="cores at work at once, one job each (default 8)")
    reported = Path("resources", "lists", "reported.tsv")
    add("--reported", type=Path, default=reported, help=f"TSV: the paper's own numbers (default {reported})")
    add("--components", type=Path, help="components.csv of a pilot (default: how the paper's numbers vary)")
    add("--difference", type=positive, default=0.03, help="true difference for the power of `better` (default 0.03)")
    add("--rules", action="store_true", help="also one line per rule of each target")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.errors import UserError
    from foundationless.reporting.paper.spread import state_power
    from foundationless.study.checks import read_study
    from foundationless.study.config import read_yaml
    from foundationless.study.price.estimate import Calibration, Machine, describe_chain, estimate, read_ledger
    from foundationless.study.price.workload import Workload, read_sizes

    config = read_yaml(arguments.configfile)
    if not isinstance(config, dict):
        raise UserError(f"{arguments.configfile}: not a study; give a file like those in config.")
    study = read_study(config)
    machine = Machine(arguments.gpus, arguments.cores)
    sizes, flops = read_sizes(arguments.sizes), arguments.tflops * 1e12
    workload = Workload(study, sizes, flops)
    calibration = Calibration()
    if arguments.ledger:
        calibration = Calibration.read(read_ledger(arguments.ledger), workload)
    costs, unknown = estimate(study, sizes, flops, machine, calibration)
    shown = costs if arguments.rules else costs[costs["rule"] == "total"].drop(columns="rule")
    print(shown.to_string(index=False, float_format="{:,.1f}".format))
    print("Targets share sequence sets, embeddings and weights, which `all` counts once. Retrieval is not counted.")
    chain = describe_chain(workload, calibration)
    print(f"Wall time: {machine.gpus} GPUs, {machine.cores} cores. Longest chain {chain}.")
    print(f"Assumed: {arguments.tflops:g} TFLOP/s sustained on a GPU, one run after the other in each job.")
    if arguments.ledger:
        print("\nMeasured over estimated seconds of the ledger's jobs, by which the numbers above are multiplied:")
        print(calibration.table.to_string(index=False, float_format="{:,.3g}".format))
        if calibration.skipped:
            print(f"{calibration.skipped} jobs of the ledger are none of this study's and were left out.")
    if unknown:
        print(f"Size not known, 10,000 sequences of 500 nt assumed, 1,000 to test on: {', '.join(unknown)}.")
    print(state_power(workload, arguments.reported, arguments.components, arguments.difference))
