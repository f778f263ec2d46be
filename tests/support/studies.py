"""Studies that tests run, and how: copies of the working tree, snakemake as a user starts it, what must not change."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import yaml

from foundationless.evaluation import records
from support import ROOT

# What a make that runs the tests says to other makes, as to name directories, is nothing to those that tests run.
_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
ENVIRONMENT |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def snakemake(*arguments, directory=ROOT, environment=ENVIRONMENT, timeout=None):
    """Run snakemake to its end; the answer holds both its streams in `stdout`."""
    return subprocess.run(
        ["snakemake", *map(str, arguments)],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )


def wait_until(true, seconds, process=None):
    """Look until it is true; an error after so many seconds, or when the process has ended before."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        assert process is None or process.poll() is None, "the study ended before"
        time.sleep(0.05)


def checkout(directory):
    """A copy of the working tree without what git ignores."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        source, target = ROOT / name, directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.exists():
            shutil.copy2(source, target)
    return directory


def write_study(path, **changes):
    """The demo's config with some of its keys replaced; whatever hangs on them is in `changes` too."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    if "analyses" in changes:
        del config["truth"]  # of models that this study may lack
    config |= changes
    path.write_text(yaml.safe_dump(config))
    return path


MEASURED = ["seconds", "gpu_hours", "cpu_hours", "next_decimal_hours"]  # costs, in tables that hold more


def outcome(directory):
    """What must not depend on interruptions or machines: the comparable part of every record, and every table but its
    costs."""
    found = {
        str(path.relative_to(directory)): records.comparable(records.read_record(path))
        for path in (directory / "results").glob("*/**/record.json")
    }
    tables = {
        path.name: pd.read_csv(path).drop(columns=MEASURED, errors="ignore").to_csv()
        for path in (directory / "results/tables").glob("*.csv")
        if path.name != "records.csv" and not path.name.startswith("cost")
    }
    return found, tables
