"""A real SLURM on this machine, with accounting and four nodes: two of CPUs, two of two (pretended) GPUs each."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from support import ROOT
from support.slurm_cluster import MODELS, ONE_THREAD, Cluster, payload, stop
from support.studies import checkout, snakemake, wait_until, write_study

# Every rule that a study without downloads has; the second model trains its own tokenizer.
ANALYSES = {
    "finetune": {"tasks": ["sim_promoter"]},
    "lowdata": {"tasks": ["sim_promoter.pct50"], "models": ["hyenadna.demo"], "baselines": []},
    "controls": {
        "tasks": ["sim_promoter"], "models": ["hyenadna.demo"], "arms": ["pretrained", "copy"], "baselines": [],
    },
    "biotype": {"tasks": ["sim_biotype"], "models": ["genalm.demo"]},
    "ancestry": {"tasks": ["sim_ancestry"], "models": ["genalm.demo"], "baselines": []},
    "clustering": {"tasks": ["sim_biotype"], "models": ["genalm.demo"]},
    "sensitivity": {"tasks": ["sim_sensitivity"], "models": ["hyenadna.demo"]},
    "similarity": {"tasks": ["sim_variants"], "models": ["hyenadna.demo"]},
    "likelihood": {"tasks": ["sim_variants"], "models": ["hyenadna.demo"]},
    "mutagenesis": {"tasks": ["sim_variants"], "models": ["hyenadna.demo"]},
}  # fmt: skip
FIXTURE = Path(__file__).with_name("slurm.sh")


@pytest.fixture(scope="session")
def cluster(tool):
    if os.geteuid():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("a SLURM with accounting on one machine needs root")
    for name in ("slurmctld", "slurmd", "slurmdbd", "sbatch", "munged", "mariadbd"):
        tool(name)
    # not in pytest's own directory, which munged, another user, may not enter
    directory = Path(tempfile.mkdtemp(prefix="slurm-"))
    directory.chmod(0o755)
    command = ["setsid", "-w", str(FIXTURE)]
    try:
        with (directory / "start.log").open("w") as log:
            answer = subprocess.run(
                [*command, "start", str(directory)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                timeout=120, check=False,
            )  # fmt: skip
        assert answer.returncode == 0, (directory / "start.log").read_text()[-2000:]
        yield Cluster(directory)
    finally:
        subprocess.run([*command, "stop", str(directory)], stdin=subprocess.DEVNULL, check=False)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The demo reduced to two models."""
    demo = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return write_study(
        tmp_path_factory.mktemp("study") / "two.yaml",
        seeds=[0],
        models={name: demo["models"][name] for name in MODELS},
        baselines={"length_gc": {}},
        limits=demo["limits"] | {"default": {"train": 120, "validation": 30, "test": 60}},
        # long enough to be caught in the middle
        pretraining=demo["pretraining"] | {"steps": 150, "checkpoint_every": 10},
        finetuning=demo["finetuning"] | {"epochs": 6},
        statistics=demo["statistics"] | {"resamples": 200},
        analyses=ANALYSES,
    )


@pytest.fixture(scope="session")
def local(study, tmp_path_factory):
    """The same study on this machine alone, left in peace."""
    directory = checkout(tmp_path_factory.mktemp("local"))
    answer = snakemake("--configfile", study, directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    return directory


# First tries that must fail: a minute for what will hang for longer, and less memory than torch itself needs.
RESOURCES = ["pretrain:runtime=1 if attempt == 1 else 30", "score_sensitivity:mem_mb=500 if attempt == 1 else 4000"]


@pytest.fixture(scope="session")
def submitted(cluster, study, tmp_path_factory):
    """The study on the cluster while jobs are cancelled, starved, overdue and bereft of a node, and the main process
    dies and is started again: its checkout, and what was seen meanwhile."""
    directory = cluster.clone(tmp_path_factory.mktemp("submitted"))
    results, log = directory / "results", directory / "main.log"
    submit = ["--configfile", study, "--set-resources", *RESOURCES, "--set-threads", *ONE_THREAD]
    seen = {"before": {job["JobID"] for job in cluster.history()}}
    main = cluster.start(directory, *submit, log=log)

    def trains(model, init="random"):
        """Whether it has computed for a second since its training began: before a first step nothing can be kept."""
        path = directory / f"logs/finetune_model/finetune/sim_promoter/{model}/{init}/seed0.log"
        begun = {}

        def look():
            if not path.exists() or "fine-tuning" not in path.read_text():
                return False
            process = payload(directory, "finetune_model", model, init, "finetune")
            used = process.cpu_times().user if process else 0.0
            return bool(process) and used > begun.setdefault(process.pid, used) + 1

        return look

    def freeze(name, begun, *words):
        """Stop a job's process in mid-run, as a hanging file system would; whether there was one to stop."""
        if not begun() or not (process := payload(directory, *words)):
            return False
        process.suspend()
        seen[name] = process.environ()["SLURM_JOB_ID"]
        return True

    def states(name):
        return [job["State"] for job in cluster.history() if name in seen and job["JobID"] == seen[name]]

    hyena, gena = MODELS
    checkpoint = results / f"pretrain/{hyena}/seed0/checkpoints/latest.checkpoint"
    tuned = {
        "cancelled": (trains(hyena), "finetune_model", hyena, "random", "finetune"),
        "bereft": (trains(gena), "finetune_model", gena, "random", "finetune"),
        "warned": (trains(hyena, "pretrained"), "finetune_model", hyena, "pretrained", "finetune"),
    }

    def cancel():
        cluster.call("scancel", seen["cancelled"])

    def bereave():
        seen["node"] = cluster.running()[seen["bereft"]][1]
        cluster.call("scontrol", "update", f"nodename={seen['node']}", "state=down", "reason=test")

    def warn():
        # As `--signal=USR1@180` of the profile before a limit: all processes of the steps get it, not the script.
        cluster.call("scancel", "--signal=USR1", seen["warned"])
        payload(directory, *tuned["warned"][1:]).resume()

    # Each as soon as it can be, in whatever order the cluster runs the jobs: when, and what then.
    pending = [
        (lambda: freeze("cancelled", *tuned["cancelled"]), cancel),
        (lambda: freeze("bereft", *tuned["bereft"]), bereave),
        (lambda: states("bereft") not in ([], ["RUNNING"]), lambda: cluster.resume(seen["node"])),
        (lambda: freeze("overdue", checkpoint.exists, "pretrain", hyena), lambda: None),  # until its minute is over
        (lambda: "TIMEOUT" in states("overdue"), lambda: None),
        (lambda: freeze("warned", *tuned["warned"]), warn),
    ]

    def disturbed():
        for step in list(pending):
            when, then = step
            if when():
                then()
                pending.remove(step)
        return not pending

    wait_until(disturbed, 900, main)

    # The main process dies when a good part is done, and with it nobody looks after the jobs that still run.
    retried = results / f"weights/{hyena}/pretrained/seed0/weights.json"
    wait_until(lambda: retried.exists() and len(list(results.glob("*/**/record.json"))) >= 12, 600, main)
    stop(main)
    seen["status"] = cluster.call("python", "-m", "foundationless", "status", directory=directory)
    cluster.idle(600)
    seen["finished"] = {path: path.stat().st_mtime_ns for path in results.glob("*/**/record.json")}
    seen["locked"] = cluster.snakemake(directory, *submit)
    assert cluster.snakemake(directory, *submit, "--unlock").returncode == 0
    seen["answer"] = cluster.snakemake(directory, *submit)
    seen["jobs"] = [job for job in cluster.history() if job["JobID"] not in seen["before"]]
    seen["log"] = log.read_text()
    return directory, seen
