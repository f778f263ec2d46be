"""What a run costs the main process: threads, however many jobs there are, and a worker that is there for its jobs."""

import re
import shutil
import subprocess

import pytest

from support import ROOT
from support.studies import ENVIRONMENT, checkout, snakemake

SNAKEFILE = """
import sys, threading, time

sys.path.insert(0, "{workflow}")
from foundationless.runtime import timers

include: "{workflow}/rules/internals.smk"

most = [0]


def watch():
    while True:
        most[0] = max(most[0], threading.active_count() - 1)
        time.sleep(0.05)


class Remote:
    local_exec, scheduler = False, None


def mend(how):
    if how == "cluster":  # the same scheduler, as if jobs ran elsewhere
        real, Remote.scheduler = workflow, workflow.scheduler
        mend_timers.__globals__["workflow"] = Remote
        mend_timers()
        mend_timers.__globals__["workflow"] = real
    elif how == "local":
        mend_timers()


onstart:
    threading.Thread(target=watch, daemon=True).start()
    mend(config["how"])


onsuccess:
    print("threads", most[0])


rule all:
    input:
        expand("done/{{job}}", job=range(60)),


rule short:
    output:
        "done/{{job}}",
    shell:
        "sleep 0.2; touch {{output}}"
"""


@pytest.mark.parametrize(("how", "most"), [("local", 20), ("cluster", 20), ("as it is", None)])
def test_threads_do_not_grow_with_jobs(tmp_path, how, most):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(workflow=ROOT / "workflow"))
    command = ["snakemake", "--cores", "6", "--quiet", "all", "--config", f"how={how}"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (threads,) = map(int, re.findall(r"^threads (\d+)$", answer.stdout, re.M))
    assert threads <= most if most else threads > 40, "one a job as it is: else Snakemake is mended, and nothing to do"


def test_a_run_has_a_worker_unless_it_is_told_not_to(tmp_path):
    directory = checkout(tmp_path / "study")
    baselines = [
        f"results/finetune/sim_mark/{name}/baseline/seed0/record.json" for name in ("gc", "length", "majority")
    ]
    flags = ["--cores", "2", *baselines]
    told = {}
    for switch in ("off", ""):
        shutil.rmtree(directory / "results/finetune", ignore_errors=True)
        answer = snakemake(*flags, directory=directory, environment=ENVIRONMENT | {"FOUNDATIONLESS_WORKER": switch})
        assert answer.returncode == 0, answer.stdout[-2000:]
        table = directory / "benchmarks/fit_baseline/finetune/sim_mark/gc/baseline/seed0.tsv"
        told[switch] = table.read_text().splitlines()[1].split("\t")
    assert told["off"][3] != "-" and told[""][3] == "-", "memory that only Snakemake sees, and what the worker tells"
    assert 50 < float(told[""][2]) < 2000 and 0 < float(told[""][9]) < 60
