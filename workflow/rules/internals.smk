# Every touch of what Snakemake does not promise to keep, each with its reason: nothing else of the workflow touches more
# than `workflow.basedir`, and tests/unit/test_internals.py fails when one of these changes.
import collections

from snakemake import benchmark
from snakemake.deployment.env_modules import EnvModules
from snakemake.logging import logger as manager_log


def is_study_given():
    """Another --configfile replaces the demo, where Snakemake would lay it over the demo."""
    return bool(workflow.overwrite_configfiles)


def is_main_process():
    """Jobs parse all this again; what is said once, this process says."""
    return workflow.is_main_process


def keep_local(*rulenames):
    """`localrules:` takes no list that is made."""
    workflow.localrules(*rulenames)


def let_script_wait():
    """The shell that reads a job's script between srun and the next Snakemake: no option reaches it."""
    if "--slurm-jobstep-pass-command-as-script" in sys.argv:
        from snakemake.spawn_jobs import SpawnedJobArgsFactory

        SpawnedJobArgsFactory.precommand = lambda *_, **__: "trap : TERM USR1"


def set_software(image, get_environment, modules, get_group):
    """Image, modules and group of all that computes: directives would say the same in every rule."""
    # A blank in the path of an image ends every run, in use or not; in a function's path braces are no wildcards.
    used = " " not in image or "apptainer" in map(str, workflow.deployment_settings.deployment_method)
    for computing in workflow.rules:
        if computing.conda_env:
            computing.container_img = (lambda wildcards: image) if used else None
            computing.conda_env = get_environment(computing.conda_env)
            computing.env_modules = EnvModules(*modules)
            computing.group = get_group(computing.name) or computing.group


# ---- what the command line and the profile ask for


def get_set_resource(rulename, name):
    """What `set-resources` says of a rule, or None: requests must fit the GPUs that it has in the end."""
    said = workflow.resource_settings.overwrite_resources.get(rulename, {}).get(name)
    return getattr(said, "value", said)


def get_group_size(rulename):
    """How many jobs of a rule share a job of the cluster (`group-components`), or None."""
    return workflow.group_settings.group_components.get(rulename)


def keep_group(group, rulename):
    """As Snakemake does with `group: "{rule}_{model}"`, which could not be left out for a long job."""
    workflow.parent_groupids[group] = rulename


def get_partition_table():
    """Path of the table of partitions, which the plugin keeps to itself; None where jobs run here.

    Asked when the first job is planned, for the settings of the executor are not known before.
    """
    settings = workflow.executor_settings
    if not hasattr(settings, "partition_config"):
        return None
    return settings.partition_config or os.environ.get("SNAKEMAKE_SLURM_PARTITIONS")


def read_partitions(table):
    """Limits of the partitions in a table, as the plugin reads it."""
    from snakemake_executor_plugin_slurm.partitions import read_partition_file

    return [partition.limits for partition in read_partition_file(Path(table))]


def make_anew(files):
    """Jobs of these files run, whatever is there: who waits for a checkpoint is not asked whether it is out of date."""
    workflow.dag.forcefiles.update(files)


# ---- how far a run is


def filter_log(*filters):
    """The manager's own lines pass these."""
    for each in filters:
        manager_log.addFilter(each)


def get_planned_jobs(get_target):
    """Every job of the DAG with outputs, those whose outputs are there already too."""
    return [
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


def get_run_facts():
    """What the state file needs to say how to go on after this process was killed."""
    return {
        "snakefile": workflow.main_snakefile,
        "configfiles": [*map(str, workflow.overwrite_configfiles)],
        "cluster_name": getattr(getattr(workflow.scheduler, "_executor", None), "run_uuid", ""),
    }


def start_progress(get_planned):
    """Count the jobs of a real run from the manager's log; `get_planned` lists them."""
    if workflow.touch or not workflow.is_main_process:
        return
    # With `quiet: progress` ends of jobs are not even logged; those who print them have filters of their own.
    workflow.scheduler.print_progress = True
    quiet = map(str, workflow.output_settings.quiet or ())
    progress.start(manager_log, get_planned, get_run_facts, not workflow.local_exec, "rules" in quiet)


# ---- what a run costs the machine of the main process


def start_worker():
    """One process imports for all jobs of this machine; they find it by the environment."""
    if workflow.touch or not workflow.local_exec or workflow.deployment_settings.deployment_method:
        return  # with a deployment method jobs have another Python
    jobs = collections.Counter(job.rule.name for job in workflow.dag.needrun_jobs())
    if path := worker.start_for(jobs, Path(workflow.basedir)):
        benchmark.benchmarked = worker.measuring(benchmark.benchmarked, path)


def mend_timers():
    """9.27 starts a thread at every pass of its scheduler, to look again when a cluster may get more jobs."""
    scheduler = workflow.scheduler
    if workflow.local_exec:
        scheduler.job_rate_limiter = None
    elif scheduler.job_rate_limiter is not None:
        scheduler._schedule_reevalutation = timers.OneTimer(scheduler._open_jobs.release)
