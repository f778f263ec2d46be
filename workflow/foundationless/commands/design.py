"""Find the design of a study that decides at the least price: tasks, seeds, test items and search, with cost and power.

From the models, tasks and settings of a study it makes designs of the analysis that decides (`decide` of the config,
otherwise fine-tuning): so many distinct tasks, one of each family first and the largest test sets first, with 3 to 10
seeds, test sets whole or cut, and every search of learning rates that the study may have. Each has its cost, its wall
time on --gpus, and its power for `equivalent`, where the arms do not differ, and for `better`, where they differ by
--difference; both are what `plan` says of such a study. It recommends the cheapest with a power of 0.8 for both words
on these tasks that ends within --hours; where there is none, the most powerful that does, and it says what is missing.

Shown are designs that are more powerful than all cheaper ones, and `_like` is the power on tasks like these. With
--output the recommended study is written, complete; a file that says something else is never overwritten.
"""

import argparse

from foundationless.commands._flags import count, output_file, positive
from foundationless.commands._price import add_assumptions, read_assumptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_assumptions(parser)
    add = parser.add_argument
    add("--gpus", type=count, default=1, help="GPUs at work at once (default 1)")
    add("--cores", type=count, default=8, help="cores at work at once, one job each (default 8)")
    add("--hours", type=positive, default=24.0, help="hours of wall time that there are (default 24)")
    add("--models", nargs="+", default=[], metavar="MODEL", help="models on trial (default: all of the study)")
    add("--least-tasks", type=count, default=1, help="distinct tasks at least (default 1; 4 are the fewest tried)")
    add("--all", action="store_true", help="show every design")
    add("--output", type=output_file, help="study to write: the recommended one (default: none)")
    add("--figure", type=output_file, help="PDF to write: power against cost of every design (default: none)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation.power import choices as designs
    from foundationless.reporting.figures.designs import power_by_cost
    from foundationless.reporting.figures.style import save, sheet
    from foundationless.reporting.paper.spread import components_of
    from foundationless.study.price.estimate import Machine

    workload, calibration = read_assumptions(arguments)
    components = components_of(workload, arguments.reported, arguments.components)
    machine = Machine(arguments.gpus, arguments.cores)
    found = designs.list_choices(
        workload, components, machine, calibration, arguments.difference, arguments.models, arguments.least_tasks
    )  # fmt: skip
    best, reason = designs.recommend(found, arguments.hours)
    shown = found if arguments.all else designs.frontier(found)
    print(f"{len(found)} designs; assumed: {workload.device.describe()}.")
    print(designs.describe_choices(shown))
    print(f"\nRecommended, {reason}:\n{designs.describe_choices([best])}")
    print(f"Tasks: {', '.join(best.tasks)}.")
    if arguments.figure:
        with sheet():
            figure = power_by_cost(
                designs.tabulate_choices(found), designs.tabulate_choices([best]).iloc[0], arguments.difference,
                f"{machine.gpus} GPU(s) for {arguments.hours:g} hours; {workload.device.describe()}."
            )  # fmt: skip
            save(figure, arguments.figure)
    if arguments.output:
        designs.write_choice(best, reason, arguments.output)
        print(arguments.output)
