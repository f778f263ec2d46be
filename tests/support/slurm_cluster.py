"""What the tests of this folder do with a SLURM: submit, look, wait, kill."""

import contextlib
import os
import signal
import subprocess

import psutil
import yaml

from support.studies import ENVIRONMENT, checkout, snakemake, wait_until

MODELS = ("hyenadna.demo", "genalm.demo")  # the second trains its own tokenizer
# What this cluster allows, as a user would write it into the profile's table.
PARTITIONS = {
    "cpu": {"max_runtime": "6h", "max_mem_mb": 16000, "max_threads": 16},
    "gpu": {"max_runtime": "12h", "max_mem_mb": 16000, "max_threads": 16, "max_gpu": 2},
}
# Sums of floats depend on the number of threads: as many as on one machine, where the records shall be equal.
ONE_THREAD = [f"{rule}=1" for rule in ("finetune_model", "pretrain", "embed", "probe", "fit_baseline")]


class Cluster:
    """The running SLURM: its environment, and what its users do with it."""

    def __init__(self, directory):
        lines = (directory / "env.sh").read_text().splitlines()
        values = dict(line.removeprefix("export ").split("=", 1) for line in lines if line)
        path = f"{directory / 'bin'}:{ENVIRONMENT['PATH']}"
        self.environment = ENVIRONMENT | {"SLURM_CONF": values["SLURM_CONF"], "PATH": path}

    def call(self, *command, directory=None):
        return subprocess.run(
            command, cwd=directory, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def arguments(self, *more):
        """What the tests change in the profile for a cluster of seconds: how often it looks, and its patience."""
        quick = ["--slurm-init-seconds-before-status-checks", "6", "--latency-wait", "10"]
        return ["--profile", "slurm", *quick, *map(str, more)]

    def snakemake(self, directory, *arguments, timeout=1800):
        answer = self.arguments(*arguments)
        return snakemake(*answer, directory=directory, environment=self.environment, timeout=timeout)

    def start(self, directory, *arguments, log):
        """The main process, in a session of its own, as after a login from which nobody logs out."""
        return subprocess.Popen(
            ["snakemake", *self.arguments(*arguments)], cwd=directory, env=self.environment,
            stdout=log.open("a"), stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def running(self):
        """SLURM id -> (state, node, comment) of the jobs that SLURM knows now."""
        lines = self.call("squeue", "--noheader", "--format", "%A|%T|%N|%k").splitlines()
        return {line.split("|")[0]: tuple(line.split("|")[1:]) for line in lines}

    def history(self):
        """Every job that was ever submitted: dicts of JobID, Comment, Partition, ReqTRES, State, Restarts, NodeList."""
        fields = ["JobID", "Comment", "Partition", "ReqTRES", "Timelimit", "State", "NodeList", "Start"]
        lines = self.call(
            "sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", "--format", ",".join(fields),
            "--starttime", "now-1day",
        ).splitlines()  # fmt: skip
        return [dict(zip(fields, line.split("|"), strict=True)) for line in lines]

    def resume(self, node):
        """Put a node that was set down back to work, if its return was not seen by SLURM itself (ReturnToService)."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.call("scontrol", "update", f"nodename={node}", "state=resume")

    def idle(self, seconds=60):
        """Wait until SLURM has no job left."""
        wait_until(lambda: not self.running(), seconds)

    def clone(self, directory):
        """A checkout whose profile names this cluster's partitions: the one file that its README has a user edit."""
        checkout(directory)
        table = directory / "profiles/slurm/partitions.yaml"
        table.write_text(yaml.safe_dump({"partitions": PARTITIONS}))
        return directory


def stop(process):
    """End the main process and its children as a dying login node does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def payload(directory, *words):
    """The computing process of a job of this checkout whose command has all these words, or None."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = process.info["cmdline"] or []
        if line[1:3] == ["-m", "foundationless"] and process.info["cwd"] == str(directory) and set(words) <= set(line):
            return process
    return None
