"""Run as a script with snakemake's arguments: what each planned job, or group of jobs, would ask of a cluster (JSON).

Through Snakemake's own planning, for it alone knows how the resources of a group add up; it ends there, so that no
dry run is needed, which knows nothing of the executor's settings.
"""

import json
import os
import sys

from snakemake.cli import main
from snakemake.dag import DAG


def describe(job):
    """What a job or a group asks for, as far as that is known before its inputs exist."""
    grouped = job.is_group()
    asked = {
        name: value for name, value in job.resources.items() if isinstance(value, int | str) and "TBD" not in str(value)
    }
    return {
        "rules": sorted({member.rule.name for member in job}) if grouped else [job.rule.name],
        "jobs": len(job.jobs) if grouped else 1,
        "wildcards": [dict(member.wildcards_dict) for member in (job if grouped else [job])],
        "recorded": [] if grouped else [repr(value) for value in job.non_derived_params],
        "threads": job.threads,
        # where jobs run is not known before they do
        "local": not grouped and job.rule.name in job.rule.workflow._localrules,
        "resources": asked,
    }


def report(dag, original=DAG.update_groups):
    original(dag)
    alone = [job for job in dag.needrun_jobs() if job not in dag._group and not job.is_norun]
    print("\nPLANNED " + json.dumps([describe(job) for job in [*alone, *set(dag._group.values())]]))
    sys.stdout.flush()
    dag.workflow.persistence.unlock()
    os._exit(0)


if __name__ == "__main__":
    DAG.update_groups = report
    main(sys.argv[1:])
