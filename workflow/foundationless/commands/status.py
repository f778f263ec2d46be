"""Say how the study stands: records on disk per target, the run that is going on, what failed, whose lock it is.

Run it where snakemake runs. It works while a run goes on, after it ended or was killed, and before any.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--configfile", type=Path, help="the study, as given to snakemake (default: the last run's, else the demo)")
    add("--results", type=Path, default=Path("results"), help="directory of the results (default: results)")
    add("--failures", action="store_true", help="only what failed, all of it")


def run(arguments: argparse.Namespace) -> None:
    import time

    from foundationless.errors import UserError
    from foundationless.study.checks import read_study
    from foundationless.study.config import read_yaml
    from foundationless.study.job_counts import failure_table
    from foundationless.study.looks import cells_so_far, last_look
    from foundationless.study.status import count_records, describe_lock, describe_run, read_run

    last = read_run()
    failures = last.failures if last else []
    if arguments.failures:
        print("\n".join(failure_table(failures, len(failures)) or ["Nothing failed in the last run."]))
        if last and last.failed > len(failures):
            print(f"and {last.failed - len(failures)} more, which the log of the run names.")
        return
    print("\n".join(describe_run(last, time.time())))
    known = last.configfiles[-1:] if last else []
    path = arguments.configfile or Path(*known or ("config", "config.yaml"))
    try:
        config = read_yaml(path)
        if not isinstance(config, dict):
            raise UserError(f"{path}: not a study; give a file like those in config.")
        study = read_study(config)
    except (UserError, OSError) as error:
        if arguments.configfile:
            raise
        print(f"\nNo study to count: {error}")
    else:
        rows = count_records(cells_so_far(study, arguments.results), arguments.results)
        rows.append(("all", "", sum(row[2] for row in rows), sum(row[3] for row in rows)))
        print(f"\nRecords on disk ({path}):")
        print("\n".join(f"  {target:<10} {analysis:<12} {done:>6}/{total}" for target, analysis, done, total in rows))
        if look := last_look(study, arguments.results):
            print(f"\n{look['sentence']}")
    if failures:
        print("\n" + "\n".join(failure_table(failures)))
    if lock := describe_lock(last):
        print(f"\n{lock}")
