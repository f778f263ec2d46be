"""Fine-tuning in parts and pretraining in legs through SLURM: killed in a leg, and equal to jobs that are whole."""

import pytest
import yaml

from foundationless.runtime.files import sha256
from support import ROOT
from support.slurm_cluster import payload
from support.studies import checkout, outcome, snakemake, wait_until, write_study

MODEL = "hyenadna.demo"
TARGETS = [
    f"results/finetune/sim_promoter/{MODEL}/random/seed0/record.json",
    f"results/weights/{MODEL}/pretrained/seed0/weights.json",
]
ONE_THREAD = [f"{rule}=1" for rule in ("finetune_model", "finetune_part", "pretrain", "pretrain_leg")]


def tiny(path, **changes):
    """One model on one task: two rates, and a pretraining that can be caught in the middle."""
    demo = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    return write_study(
        path,
        seeds=[0],
        models={MODEL: demo["models"][MODEL]},
        baselines={},
        limits={"default": {"train": 120, "validation": 30, "test": 60}},
        pretraining=demo["pretraining"] | {"steps": 120, "checkpoint_every": 60},
        finetuning=demo["finetuning"] | {"epochs": 4, "extend": 0},
        statistics=demo["statistics"] | {"resamples": 200},
        analyses={"finetune": {"tasks": ["sim_promoter"], "arms": ["pretrained", "random"]}},
        **changes,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = checkout(tmp_path_factory.mktemp("whole"))
    answer = snakemake("--configfile", tiny(directory / "tiny.yaml"), "--", *TARGETS, directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    assert not list(directory.glob("results/**/parts")) and not list(directory.glob("results/**/legs"))
    return directory


def equal(ours, theirs):
    records, others = outcome(ours)[0], outcome(theirs)[0]
    assert records == others and len(records) == 2
    weights = f"results/weights/{MODEL}/pretrained/seed0/model.safetensors"
    assert sha256(ours / weights) == sha256(theirs / weights)
    assert not [*(ours / "results").rglob("*.checkpoint")]


def test_jobs_that_are_cut_end_in_the_records_of_whole_ones_though_a_leg_is_killed(cluster, whole, tmp_path):
    directory = cluster.clone(tmp_path)
    study = tiny(directory / "cut.yaml", longest_job=0.0052)  # 18.7 s, of which a job takes 15 before its work
    log = directory / "main.log"
    main = cluster.start(directory, "--configfile", study, "--set-threads", *ONE_THREAD, "--", *TARGETS, log=log)
    wait_until(lambda: payload(directory, "pretrain_leg"), 120, main)
    payload(directory, "pretrain_leg").terminate()  # its retry goes on
    assert main.wait(300) == 0, log.read_text()[-4000:]
    equal(directory, whole)
    legs = [*directory.glob("logs/pretrain_leg/**/leg*.log")]
    assert len(legs) == 1
    last = directory / f"logs/pretrain/{MODEL}/seed0.log"
    assert "continued after step 60" in last.read_text()
    jobs = [job for job in cluster.history() if str(job["Comment"]).startswith(("rule_finetune", "rule_pretrain"))]
    tried = [job["State"] for job in jobs if job["Comment"].startswith("rule_pretrain_leg")]
    assert tried.count("COMPLETED") == 1 and len(tried) >= 2, "the killed leg was tried again"
    parts = [job for job in jobs if job["Comment"].startswith("rule_finetune_part")]
    merges = [job for job in jobs if job["Comment"].startswith("rule_finetune_model") and job["Partition"] == "cpu"]
    assert len(parts) == 2 and all(job["Partition"] == "gpu" for job in parts)
    assert len(merges) == 1 and not any("gres/gpu" in job["ReqTRES"] for job in merges)
