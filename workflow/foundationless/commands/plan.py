"""Estimate what a study will cost and what it can show before anything runs: cost per target, power per analysis.

Run it where snakemake would run: the tables that the config names are looked for from here. Sizes of tasks are the
published ones; a task that is not among them counts as 10,000 sequences of 500 nt and is named. An estimate within a
factor of a few: name the device (--device), pass the speed that it sustains, or the ledger of jobs that ran on one
(results/tables/cost.csv of any study; of another one, with that study's config as --ledger-study), which also says how
far off the estimate was for each rule. Wall time is the work shared out among GPUs and cores, or
the longest chain of jobs that wait for each other, whichever takes longer; queues, retrieval and retries come on top.

Cost is jobs, GPU-hours, CPU-hours, storage and wall time. Power is that of `equivalent`, where pretrained and random
arms do not differ, and of `better`, where they differ by --difference, on these tasks and on tasks like these. It
follows from how much differences vary between families, tasks, seeds and test items: as the paper's numbers vary, or
better as a pilot's do (--components, the components.csv of a finished study; of the tables beside it comparisons.csv
and runs.csv are read too).
"""

import argparse

from foundationless.commands._flags import count
from foundationless.commands._price import add_assumptions, read_assumptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_assumptions(parser)
    add = parser.add_argument
    add("--gpus", type=count, default=1, help="GPUs at work at once (default 1)")
    add("--cores", type=count, default=8, help="cores at work at once, one job each (default 8)")
    add("--rules", action="store_true", help="also one line per rule of each target")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.reporting.paper.spread import state_power
    from foundationless.study.price.estimate import Machine, describe_chain, describe_longest, describe_looks, estimate

    workload, calibration = read_assumptions(arguments)
    machine = Machine(arguments.gpus, arguments.cores)
    costs, unknown = estimate(workload.plan, workload.sizes, workload.device, machine, calibration)
    shown = costs if arguments.rules else costs[costs["rule"] == "total"].drop(columns="rule")
    print(shown.to_string(index=False, float_format="{:,.1f}".format))
    if workload.plan.looks:
        print(describe_looks(workload, machine, calibration))
    print("Targets share sequence sets, embeddings and weights, which `all` counts once. Retrieval is not counted.")
    chain = describe_chain(workload, calibration)
    print(f"Wall time: {machine.gpus} GPUs, {machine.cores} cores. Longest chain {chain}.")
    print(f"Longest job: {describe_longest(workload, calibration)}.")
    print(f"Assumed: {workload.device.describe()}; one run after the other in each job.")
    if arguments.ledger:
        print(calibration.describe())
    if unknown:
        print(f"Size not known, 10,000 sequences of 500 nt assumed, 1,000 to test on: {', '.join(unknown)}.")
    print(state_power(workload, arguments.reported, arguments.components, arguments.difference))
