"""Time and peak memory of rebuilding tables, figures, verdict and report from records and predictions alone.

Either of a study that ran (`--results DIR --configfile FILE`), or of simulated records of the paper's whole fine-tuning
(tests/support/simulated_study.py): 7 models x 52 tasks x 5 seeds x 3 folds, 3,000 test items each, and baselines. Runs
`snakemake --config from_records=true` in a copy of the working tree and adds up the memory of all its processes ten
times a second (PSS: a page that several share counts once). The limits, on 2 cores: 60 s for the mini study; 5 minutes
and 4 GiB for the whole one. On a busy machine only the CPU seconds say much: half of them is what two idle cores take.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import yaml
from setting import ROOT, call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.errors import UserError
from foundationless.study import plan
from foundationless.study.checks import read_study

sys.path.insert(0, str(ROOT / "tests"))
from support.simulated_study import write_records
from support.studies import ENVIRONMENT, checkout

SEEDS, FOLDS = 5, (0, 1, 2)
PROCESSES = Path("/proc")


def reduce_study(path: Path, smoke: bool) -> plan.Plan:
    """The fine-tuning of config/paper.yaml, with the seeds of the limit, as a config file; `smoke`: two tasks of it."""
    config = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    seeds = list(range(1 if smoke else SEEDS))
    finetune = config["analyses"]["finetune"]
    tasks = finetune["tasks"][:2] if smoke else finetune["tasks"]
    config |= {"seeds": seeds, "analyses": {"finetune": finetune | {"seeds": seeds, "tasks": tasks}}, "limits": {}}
    config["statistics"]["resamples"] = 100 if smoke else config["statistics"]["resamples"]
    path.write_text(yaml.safe_dump(config))
    config["tables"] = {key: str(ROOT / name) for key, name in config["tables"].items()}
    return read_study(config)


def memory_below(parent: int) -> int:
    """Bytes of a process and of all that descend from it, what is shared counted by share."""
    children: dict[int, list[int]] = {}
    for entry in PROCESSES.iterdir():
        if entry.name.isdigit():
            try:
                above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended
                continue
            children.setdefault(above, []).append(int(entry.name))
    total, waiting = 0, [parent]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, [])
        try:
            lines = (PROCESSES / str(process) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def rebuild(directory: Path, config: str, cores: int, target: str) -> tuple[float, float, float]:
    """(seconds, seconds of CPU, GiB) of a rebuild in a checkout."""
    flags = ["--cores", str(cores), "--configfile", config, "--config", "from_records=true"]
    command = ["snakemake", *flags, "--", target]
    before, began, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0
    with open(directory / "rebuild.log", "w") as log:
        process = subprocess.Popen(command, cwd=directory, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, memory_below(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise UserError(f"the rebuild failed: {(directory / 'rebuild.log').read_text()[-1500:]}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu, peak / 2**30


def main(argv: Sequence[str] | None = None) -> None:
    made = plain_parser(__doc__, "two simulated tasks, and their tables alone")
    made.add_argument("--results", type=Path, help="directory `results` of a study that ran; it is copied")
    made.add_argument("--configfile", default="config/mini.yaml", help="its config (default: config/mini.yaml)")
    made.add_argument("--items", type=count, default=3000, help="test items of a simulated task (default 3000)")
    made.add_argument("--cores", type=count, default=2, help="at once (default 2)")
    given = made.parse_args(argv)
    cores = f"{given.cores} of {os.cpu_count()} cores"
    print(f"{date.today()}, {cores}, load {os.getloadavg()[0]:.1f}, snakemake {version('snakemake')}\n")
    with tempfile.TemporaryDirectory() as place:
        directory = checkout(Path(place) / "copy")
        config, what = given.configfile, f"{given.results}"
        if given.results:
            keep = shutil.ignore_patterns("tables", "figures", "scores.csv", "*.safetensors", "embeddings", "sequences")
            shutil.copytree(given.results, directory / "results", dirs_exist_ok=True, ignore=keep)
        else:
            config = str(directory / "study.yaml")
            study = reduce_study(Path(config), given.smoke)
            items = 60 if given.smoke else given.items
            what = f"{write_records(study, directory, items=items, folds=FOLDS, processes=given.cores)} simulated cells"
        target = "results/tables/records.parquet" if given.smoke else "all"
        seconds, cpu, memory = rebuild(directory, config, given.cores, target)
        rows = [[what, f"{seconds:.0f}", f"{cpu:.0f}", f"{memory:.1f}"]]
        for path in sorted(directory.glob("benchmarks/**/*.tsv")):
            told = pd.read_csv(path, sep="\t").iloc[0]
            memory = pd.to_numeric(told["max_rss"], errors="coerce") / 1024
            name = path.relative_to(directory / "benchmarks").with_suffix("")
            rows.append([f"… {name}", f"{told['s']:.0f}", f"{float(told['cpu_time']):.0f}", f"{memory:.1f}"])
    print(table(["rebuilt", "wall (s)", "CPU (s)", "peak GiB"], rows))


if __name__ == "__main__":
    call(main)
