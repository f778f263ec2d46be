"""What the workflow touches inside Snakemake: all of it stands in one file, and is there as that file expects it."""

import dataclasses
import inspect
import logging
import re
import threading

import pytest
import snakemake.api  # noqa: F401  (first: its own modules import each other)
import snakemake_executor_plugin_slurm as slurm
from snakemake.benchmark import BenchmarkRecord, benchmarked
from snakemake.cli import parse_args
from snakemake.dag import DAG
from snakemake.deployment.env_modules import EnvModules
from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.rules import Rule
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import GroupSettings, OutputSettings, Quietness, ResourceSettings
from snakemake.shell import shell
from snakemake.spawn_jobs import SpawnedJobArgsFactory
from snakemake.workflow import Workflow
from snakemake_executor_plugin_slurm.partitions import PartitionLimits, read_partition_file
from snakemake_interface_executor_plugins.executors.real import RealExecutor

from support import ROOT

FENCED = ROOT / "workflow/rules/internals.smk"
TOUCHED = set(re.findall(r"\bworkflow\.(\w+)", FENCED.read_text())) - {"basedir"}  # named in its first line


def fields(kind) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_nothing_else_touches_them():
    for path in [ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]:
        if path != FENCED:
            text = path.read_text().replace("workflow.rst", "")
            assert set(re.findall(r"\bworkflow\.(\w+)", text)) <= {"basedir"}, path.name
            assert set(re.findall(r"(?:from|import) (snakemake\S*)", text)) <= {"snakemake.utils"}, path.name


@pytest.mark.parametrize("name", sorted(TOUCHED))
def test_the_workflow_has_what_is_touched(name):
    assert name in fields(Workflow) or hasattr(Workflow, name)


def test_settings_of_the_command_line_and_the_profile():
    assert "overwrite_resources" in fields(ResourceSettings) and "group_components" in fields(GroupSettings)
    assert "quiet" in fields(OutputSettings) and str(Quietness.RULES) == "rules"
    said = parse_args(["--set-resources", "finetune_model:gpu=2"])[1].set_resources
    assert said["finetune_model"]["gpu"].value == 2


def test_the_partitions_of_the_plugin(tmp_path):
    assert "partition_config" in fields(slurm.ExecutorSettings)
    assert "self.run_uuid" in inspect.getsource(slurm.Executor)
    assert {"max_gpu", "max_mem_mb", "max_runtime"} <= fields(PartitionLimits)
    table = tmp_path / "partitions.yaml"
    table.write_text("partitions:\n  gpu: {max_gpu: 2, max_runtime: 90m, max_mem_mb: 8000}\n")
    limits = read_partition_file(table)[0].limits
    assert (limits.max_gpu, limits.max_runtime, limits.max_mem_mb) == (2, 90, 8000)
    assert "SNAKEMAKE_SLURM_PARTITIONS" in inspect.getsource(slurm)


def test_jobs_of_the_dag_say_what_progress_counts():
    for name in ("jobid", "rule", "wildcards", "output", "restart_times", "benchmark"):
        assert hasattr(Job, name), name
    assert isinstance(DAG.jobs, property) and list(inspect.signature(DAG.needrun).parameters) == ["self", "job"]
    assert "self._executor = " in inspect.getsource(JobScheduler.__init__)
    assert "self.print_progress" in inspect.getsource(JobScheduler)
    assert isinstance(logger, logging.Logger)


def test_files_that_are_made_whatever_is_there():
    assert "self.forcefiles = set()" in inspect.getsource(DAG.__init__)
    assert "not self.forcefiles.isdisjoint(job.output)" in inspect.getsource(DAG.update_needrun)


def test_what_rules_are_given_and_what_ends_a_script():
    assigned = inspect.getsource(Rule.__init__)
    for name in ("conda_env", "container_img", "env_modules", "group"):
        assert hasattr(Rule, name) or f"self.{name} = " in assigned, name
    assert EnvModules("one", "two").names == ("one", "two")
    assert "precommand" in vars(SpawnedJobArgsFactory)
    assert "spawned_job_args_factory.precommand(" in inspect.getsource(RealExecutor)
    assert "slurm-jobstep-pass-command-as-script" in inspect.getsource(slurm)


def test_the_timers_that_are_mended():
    """A thread that nobody ends for every call; when this fails, Snakemake has mended it, and `mend_timers` may go."""
    source = inspect.getsource(JobScheduler)
    assert "self.job_rate_limiter = " in source and "if self.job_rate_limiter is not None:" in source
    assert "self._schedule_reevalutation(self.job_rate_limiter.timespan)" in source
    made = []

    class Scheduler:
        _open_jobs = threading.Semaphore(0)

    before = set(threading.enumerate())
    for _ in range(3):
        JobScheduler._schedule_reevalutation(Scheduler, 0.5)
    made = [each for each in threading.enumerate() if each not in before]
    assert len(made) == 3 and not any(each.daemon for each in made)


def test_what_measures_jobs():
    assert "from snakemake.benchmark import benchmarked" in inspect.getsource(shell.__new__), "looked up at every job"
    assert next(iter(inspect.signature(benchmarked).parameters)) == "pid"
    record = vars(BenchmarkRecord())
    assert {"max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "cpu_time", "cpu_usage"} <= record.keys()
    assert record["data_collected"] is False and BenchmarkRecord.get_header()[:3] == ["s", "h:m:s", "max_rss"]
    assert callable(DAG.needrun_jobs) and "self.local_exec" in inspect.getsource(JobScheduler) + inspect.getsource(
        Workflow
    )
