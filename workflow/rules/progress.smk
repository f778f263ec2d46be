from pathlib import Path
from foundationless.study import job_counts, progress, status
from snakemake.logging import logger as manager_log

TARGET_OF = {
    analysis: target
    for target, names in vocabulary.TARGETS.items()
    for analysis in names
}

# Jobs have none of this: they are started with --no-hooks, and lock nothing.
if workflow.is_main_process:
    manager_log.addFilter(status.LockWords())
    manager_log.addFilter(progress.Abridged())


def get_target(path):
    """The named target that an output belongs to; what several of them share is `shared`."""
    top, *below = Path(path).parts
    return TARGET_OF.get(below[0], "shared") if top == "results" else "shared"


def get_planned_jobs():
    """Every job of the DAG with outputs, those whose outputs are there already too; targets in their own order."""
    order = [*vocabulary.TARGETS, "shared"]
    found = [
        job_counts.Planned(
            job.jobid,
            job.rule.name,
            job.wildcards.get("model", ""),
            get_target(job.output[0]),
            done=not workflow.dag.needrun(job),
            retries=job.restart_times,
            benchmark=str(job.benchmark) if job.benchmark else None,
        )
        for job in workflow.dag.jobs
        if job.output
    ]
    return sorted(found, key=lambda job: order.index(job.target))


def get_run_facts():
    """What the state file needs to say how to go on after this process was killed."""
    executor = getattr(workflow.scheduler, "_executor", None)
    return {
        "snakefile": workflow.main_snakefile,
        "configfiles": [*map(str, workflow.overwrite_configfiles)],
        "cluster_name": getattr(executor, "run_uuid", ""),
    }


onstart:
    if workflow.is_main_process and not workflow.touch:
        # With `quiet: progress` ends of jobs are not even logged; those who print them have filters of their own.
        workflow.scheduler.print_progress = True
        progress.start(
            manager_log,
            get_planned_jobs,
            get_run_facts,
            remote=not workflow.local_exec,
            name_failures="rules" in map(str, workflow.output_settings.quiet or ()),
        )


onsuccess:
    progress.finish(success=True)


onerror:
    progress.finish(success=False)
