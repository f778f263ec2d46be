"""What a short job costs beside its work on a SLURM, alone and in groups: `python tests/support/overhead.py [JOBS]`.

Wants a running SLURM (`. DIR/env.sh` of `slurm.sh`). The workflow is the least one, so that the numbers are those of
SLURM, the plugin and Snakemake; each job of ours also reads the study, 1-2 s.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

PROFILE = Path(__file__).parents[2] / "profiles/slurm"
WORKFLOW = """
rule all:
    input: expand("done/{{i}}", i=range({jobs}))
rule short:
    output: "done/{{i}}"
    resources: runtime=1, mem_mb=600
    shell: "touch {{output}}"
"""


def seconds_per_job(directory: Path, jobs: int, together: int, environment: dict[str, str]) -> float:
    """Wall seconds per job of so many that do nothing, `together` in each SLURM job, under this project's profile."""
    directory.mkdir()
    (directory / "Snakefile").write_text(WORKFLOW.format(jobs=jobs))
    (directory / "config.yaml").write_text("{}\n")
    (directory / "partitions.yaml").write_text(yaml.safe_dump({"partitions": {"cpu": {}}}))
    command = [
        "snakemake", "--profile", str(PROFILE), "--configfile", "config.yaml", "--latency-wait", "10",
        "--slurm-partition-config", "partitions.yaml", "--slurm-init-seconds-before-status-checks", "5",
        "--slurm-logdir", "logs", "--set-resources", "short:lane=1", "--set-threads", "short=1",
        "--groups", "short=short", "--group-components", f"short={together}",
    ]  # fmt: skip
    start = time.monotonic()
    subprocess.run(command, cwd=directory, env=environment, stdout=subprocess.DEVNULL, check=True)
    assert len(list((directory / "done").iterdir())) == jobs
    return (time.monotonic() - start) / jobs


def measure(directory: Path, jobs: int = 100, together: int = 10, alone: int = 100, environment=os.environ) -> str:
    """One sentence with the seconds per job of `jobs`, `together` in a SLURM job, and of so many `alone`."""
    single = seconds_per_job(directory / "alone", alone, 1, environment)
    grouped = seconds_per_job(directory / "grouped", jobs, together, environment)
    return (
        f"Jobs that do nothing, {os.cpu_count()} cores: {single:.2f} s each as SLURM jobs of their own ({alone} jobs), "
        f"{grouped:.2f} s each {together} in a SLURM job ({jobs} jobs)"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
        print(measure(Path(place), count, alone=count))
