"""How long Snakemake takes to plan the study, to find what is missing of it, and to start ten thousand short jobs.

Nothing of the study runs. Planning is a dry run of a config in a copy of the working tree; what is missing is found in
the same copy, where every output lies as an empty file but those of one job. The short jobs are those of a Snakefile
written here, run with the keys of `profiles/default`; beside them stands the same number of bare shells, two at a time,
which is what no scheduler can beat, and the CPU seconds of Snakemake's own process.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from setting import ROOT, call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.errors import UserError

SHORT = """
rule all:
    input:
        expand("done/{{job}}", job=range({jobs})),


rule short:
    output:
        "done/{{job}}",
    shell:
        "{command}"
"""


class Run(NamedTuple):
    """What a command took: seconds of wall time, CPU seconds and peak MiB of the process and its children."""

    wall: float
    cpu: float
    mib: float
    text: str


def snakemake(directory: Path, *flags: Any) -> Run:
    """Run snakemake in a directory; one that fails is a `UserError` with its last line."""
    command = [str(Path(sys.executable).with_name("snakemake")), *map(str, flags)]
    environment = os.environ | {"PYTHONPATH": str(directory / "workflow")}
    with tempfile.TemporaryFile("w+") as told:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=directory, stdout=told, stderr=subprocess.STDOUT, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        text = told.read()
    if process.returncode:
        raise UserError(f"snakemake {' '.join(command[1:4])} … failed: {text.strip().splitlines()[-1][:300]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def copy_tree(directory: Path) -> None:
    """What a study is planned from."""
    for name in ("workflow", "config", "profiles", "envs", "resources/lists"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, directory / name, ignore=ignored)


def pretend(directory: Path, config: str) -> list[tuple[str, str]]:
    """Make every output of a study as an empty file, all of the same age; (path, rule) of each."""
    lines = snakemake(directory, "--summary", "--configfile", config).text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("output_file\t"))
    cells = [line.split("\t") for line in lines[first + 1 :] if line.count("\t") >= 3]
    now = time.time()
    for path, *_ in cells:
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (now, now))
    return [(path, rule) for path, _, rule, *_ in cells]


def planned(text: str) -> dict[str, int]:
    """Rule to number of jobs, as a dry run counts them."""
    _, _, stats = text.partition("Job stats:")
    return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.MULTILINE)}


def plan_study(config: str) -> list[list[Any]]:
    """Rows of the table: planning it whole, and with everything there but one job's record."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        copy_tree(directory)
        whole = snakemake(directory, "-n", "--quiet", "--configfile", config)
        number = planned(snakemake(directory, "-n", "--configfile", config).text)["total"]
        rows = [["plan everything", config, number, whole]]
        made = pretend(directory, config)
        nothing = snakemake(directory, "-n", "--quiet", "--configfile", config)
        rows.append(["everything is there", config, 0, nothing])
        record = next(path for path, rule in made if rule == "finetune_model" and path.endswith("record.json"))
        (directory / record).unlink()
        one = snakemake(directory, "-n", "--configfile", config)
        found = planned(one.text)
        after = {"summarise_analysis", "collect_tables", "draw_figures", "bind_figures"}
        after |= {"write_verdict", "write_report", "all", "total"}
        once = found.get("finetune_model") == found.get("summarise_analysis") == 1
        if not once or set(found) - after != {"finetune_model"}:
            raise UserError(f"one record of {len(made)} files was missing, and snakemake planned {found}.")
        rows.append(["one record is missing", config, 1, one])
        return rows


def run_short(jobs: int, cores: int, command: str) -> Run:
    """A run of trivial jobs with the keys of the default profile."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.joinpath("Snakefile").write_text(SHORT.format(jobs=jobs, command=command))
        profile = ROOT / "profiles" / "default"
        flags = ("--workflow-profile", profile, "--cores", cores, "--quiet", "all")
        own = snakemake(directory, *flags)
        if len(os.listdir(directory / "done")) != jobs:
            raise UserError(f"{jobs} jobs were asked for and {len(os.listdir(directory / 'done'))} ran.")
        return own


def run_bare(jobs: int, cores: int, command: str) -> Run:
    """The same shells without Snakemake."""
    with tempfile.TemporaryDirectory() as place:

        def one(job: int) -> None:
            shell = ["bash", "-c", command.replace("{output}", f"{place}/{job}")]
            subprocess.run(shell, check=True)

        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(one, range(jobs)))
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0.0, "")


def main(argv: Sequence[str] | None = None) -> None:
    made = plain_parser(__doc__, "the demo and few jobs")
    made.add_argument("--configfile", default="config/paper.yaml", help="the study (default: config/paper.yaml)")
    made.add_argument("--jobs", type=count, default=2000, help="short jobs (default 2000: about a minute; 10000: six)")
    made.add_argument("--cores", type=count, default=os.cpu_count() or 1, help="at once (default: all)")
    arguments = made.parse_args(argv)
    config = "config/config.yaml" if arguments.smoke else arguments.configfile
    jobs = 10 if arguments.smoke else arguments.jobs
    print(f"{date.today()}, {arguments.cores} cores, load {os.getloadavg()[0]:.1f}, snakemake {version('snakemake')}\n")
    rows = [[*what, f"{run.wall:.1f}", f"{run.cpu:.1f}", f"{run.mib:.0f}"] for *what, run in plan_study(config)]
    print(table(["what", "study", "jobs", "wall (s)", "CPU (s)", "peak MiB"], rows))
    command = "touch {output}"
    rows = []
    for name, way in {"snakemake": run_short, "shells alone": run_bare}.items():
        run = way(jobs, arguments.cores, command)
        rows.append([name, jobs, f"{run.wall:.1f}", f"{jobs / run.wall:.1f}", f"{run.cpu:.1f}"])
    print("\n" + table(["short jobs", "jobs", "wall (s)", "jobs/s", "CPU (s)"], rows))


if __name__ == "__main__":
    call(main)
