"""What it costs to start jobs: processor seconds of a study whose jobs each import anew, and with the local worker.

The same jobs run in two copies of the working tree, one after the other. How long jobs import, Python tells
(`PYTHONPROFILEIMPORTTIME`), in their logs; what the worker itself takes is counted as imports too, whole. That is wall
time: beside other work it is more than the processor took, so with the worker the share is a bound from above, and
without it imports are what the worker saves and what is left with it. The second table is of Snakemake's own process,
on short jobs: threads and processor seconds as it is, and mended.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil
from planning import SHORT, copy_tree
from setting import ROOT, call, plain_parser, table

from foundationless.commands._flags import count
from foundationless.errors import UserError

FEW = [f"results/finetune/sim_mark/{name}/baseline/seed0/record.json" for name in ("gc", "length", "majority")]
IMPORT = re.compile(r"import time: +(\d+) \|", re.M)
WATCHED = """
import resource, sys, threading, time

sys.path.insert(0, "{workflow}")
from foundationless.runtime import timers

include: "{workflow}/rules/internals.smk"

most = [0]


def used():
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def watch():
    while True:
        most[0] = max(most[0], threading.active_count() - 1)
        time.sleep(0.2)


onstart:
    threading.Thread(target=watch, daemon=True).start()
    if config["mended"] == "yes":
        mend_timers()
    globals()["before"] = used()


onsuccess:
    print("MEASURED", most[0], used() - before)

"""


class Starts(NamedTuple):
    """Processor seconds of a run and of its imports, and (jobs, seconds of import) by rule."""

    wall: float
    cpu: float
    imports: float
    rules: dict[str, tuple[int, float]]


def run_study(targets: Sequence[str], cores: int, worker: str, flags: Sequence[str]) -> Starts:
    """Run these targets of the demo in a fresh copy, with the worker ('') or without ('off')."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        copy_tree(directory)
        variables = os.environ | {
            "PYTHONPATH": str(directory / "workflow"),
            "PYTHONPROFILEIMPORTTIME": "1",
            "FOUNDATIONLESS_WORKER": worker,
        }
        command = [str(Path(sys.executable).with_name("snakemake")), "--quiet", "all", "--cores", str(cores)]
        before, start = _children(), time.perf_counter()
        with tempfile.TemporaryFile("w+") as words:
            process = subprocess.Popen(
                [*command, *flags, *targets], cwd=directory, env=variables, stdout=words, stderr=words
            )
            own = _watch(process)
            words.seek(0)
            text = words.read()
        if process.returncode:
            raise UserError(f"snakemake failed: {text.strip().splitlines()[-1][:300]}")
        wall, cpu = time.perf_counter() - start, _children() - before
        rules = _imports(directory / "logs")
        return Starts(wall, cpu, sum(seconds for _, seconds in rules.values()) + own, rules | {"the worker": (1, own)})


def _watch(process: subprocess.Popen[bytes]) -> float:
    """Processor seconds that the worker of a run took for itself, seen until the run ends."""
    own = 0.0
    while process.poll() is None:
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children():
                if "--socket" in child.cmdline():
                    taken = child.cpu_times()
                    own = max(own, taken.user + taken.system)
        time.sleep(0.2)
    return own


def _children() -> float:
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


def _imports(logs: Path) -> dict[str, tuple[int, float]]:
    """By rule, its logs and the seconds that they say went into imports."""
    found: dict[str, list[float]] = defaultdict(list)
    for path in sorted(logs.rglob("*.log")):
        rule = path.relative_to(logs).parts[0].removesuffix(".log")
        found[rule].append(sum(map(int, IMPORT.findall(path.read_text(errors="replace")))) / 1e6)
    return {rule: (len(each), sum(each)) for rule, each in found.items()}


def run_short(jobs: int, seconds: float, cores: int, mended: str) -> tuple[float, int, float]:
    """(Wall seconds, threads, processor seconds) of Snakemake's process over so many short jobs."""
    with tempfile.TemporaryDirectory() as place:
        command = f"sleep {seconds}; touch {{output}}"
        text = WATCHED.format(workflow=ROOT / "workflow") + SHORT.format(jobs=jobs, command=command)
        Path(place, "Snakefile").write_text(text)
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        command = [snakemake, "--cores", str(cores), "--quiet", "all", "--config", f"mended={mended}"]
        start = time.perf_counter()
        answer = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        measured = re.search(r"^MEASURED (\d+) (\S+)$", answer.stdout, re.M)
        if measured is None:
            raise UserError(f"snakemake failed: {answer.stderr.strip().splitlines()[-1][:300]}")
        return time.perf_counter() - start, int(measured[1]), float(measured[2])


def main(argv: Sequence[str] | None = None) -> None:
    made = plain_parser(__doc__, "three baselines and few short jobs")
    made.add_argument("--targets", nargs="+", default=["all"], help="files or targets of the demo (default: all)")
    made.add_argument("--flags", nargs="*", default=[], help="further flags of snakemake, such as --until=probe")
    made.add_argument("--cores", type=count, default=os.cpu_count() or 1, help="at once (default: all)")
    made.add_argument("--jobs", type=count, default=2000, help="short jobs (default: 2000)")
    made.add_argument("--seconds", type=float, default=1.0, help="seconds of each, eight at once (default: 1)")
    made.add_argument("--only", choices=["study", "short"], help="one of the two tables")
    given = made.parse_args(argv)
    if shutil.which("snakemake", path=Path(sys.executable).parent) is None:
        raise UserError("snakemake is not there, in the environment of this Python; install it.")
    print(f"{date.today()}, {given.cores} cores, load {os.getloadavg()[0]:.1f}, snakemake {version('snakemake')}\n")
    if given.only != "short":
        targets = FEW if given.smoke else given.targets
        ways = {name: run_study(targets, given.cores, way, given.flags) for name, way in _WAYS.items()}
        work = [way.cpu - way.imports for way in ways.values()][-1]  # with the worker
        rows = [
            [name, f"{way.wall:.0f}", f"{way.cpu:.0f}", f"{way.cpu - work:.0f}", f"{1 - work / way.cpu:.0%}"]
            for name, way in ways.items()
        ]
        print(table(["jobs", "wall (s)", "CPU (s)", "imports (s)", "share"], rows) + "\n")
        alone, served = (way.rules for way in ways.values())
        rows = [
            [rule, jobs, f"{alone.get(rule, (0, 0.0))[1]:.1f}", f"{seconds:.1f}"]
            for rule, (jobs, seconds) in sorted(served.items())
        ]
        print(table(["rule", "jobs", "imports (wall s), each its own", "with the worker"], rows) + "\n")
    if given.only != "study":
        jobs, seconds = (12, 0.1) if given.smoke else (given.jobs, given.seconds)
        rows = []
        for name, mended in (("as it is", "no"), ("mended", "yes")):
            wall, threads, cpu = run_short(jobs, seconds, 8, mended)
            rows.append(
                [name, jobs, f"{wall:.0f}", threads, f"{cpu:.1f}", f"{cpu / wall:.1%}", f"{1e3 * cpu / jobs:.0f}"]
            )
        print(table(["timers", "jobs", "wall (s)", "threads ≤", "CPU (s)", "of a core", "ms a job"], rows))


_WAYS = {"each a process of its own": "off", "forks of the worker": ""}


if __name__ == "__main__":
    call(main)
