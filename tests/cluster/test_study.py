"""The demo, reduced to two models, through `--profile slurm` on a real SLURM, and all that clusters do to jobs: it is
placed right, retried with the right change, continued where it stopped, and equal to a run left in peace."""

import re

import pandas as pd
import pytest

from support.slurm_cluster import MODELS
from support.studies import outcome

NETWORKS = {
    "pretrain", "finetune_model", "embed", "score_sensitivity", "score_similarity", "score_likelihood",
    "score_mutagenesis",
}  # fmt: skip


def rule_of(job):
    """Of a SLURM job's comment: rule_NAME, of a group rule_NAME_NAME, then its wildcards."""
    return re.sub(r"^rule_(\w+?)(_\1)?(_wildcards_.*)?$", r"\1", job["Comment"])


def tries(submitted, rule):
    return [job for job in submitted[1]["jobs"] if rule_of(job) == rule]


def test_every_rule_ran_on_the_partition_and_with_the_gpus_that_it_asked_for(submitted):
    _, seen = submitted
    rules = set(re.findall(r"^(\w+) +\d+$", seen["log"].split("Job stats:")[1].split("total")[0], re.M)) - {"all"}
    ran = {rule_of(job) for job in seen["jobs"]}
    assert rules - ran <= {"bind_figures"} and len(rules) >= 24, f"not submitted: {rules - ran}"
    for job in seen["jobs"]:
        wanted = ("gpu", True) if rule_of(job) in NETWORKS else ("cpu", False)
        assert (job["Partition"], "gres/gpu=1" in job["ReqTRES"]) == wanted, job


def test_it_ends_in_the_records_and_tables_of_a_run_in_peace(submitted, local):
    directory, seen = submitted
    assert seen["answer"].returncode == 0, seen["answer"].stdout[-4000:]
    ours, theirs = outcome(directory), outcome(local)
    assert ours[0].keys() == theirs[0].keys() and len(ours[0]) >= 25
    assert ours == theirs
    assert not [*(directory / "results").rglob(".part-*"), *(directory / "results").rglob("*.checkpoint")]


def test_its_costs_are_counted_with_the_tries_that_came_to_nothing(submitted):
    costs = pd.read_csv(submitted[0] / "results/tables/cost.csv")
    assert set(costs["rule"]) >= NETWORKS
    assert (costs["seconds"] > 0).all() and (costs.loc[costs["rule"].isin(NETWORKS), "peak_memory_mb"] > 50).all()
    # It hung for a minute, was told to leave, and kept what it had then: that minute too.
    overdue = costs[costs["rule"].eq("pretrain") & costs["model"].eq(MODELS[0])]
    assert overdue["attempts"].ge(2).all() and overdue["seconds"].ge(45).all()


def test_an_overdue_job_gets_more_time_and_goes_on(submitted):
    directory, seen = submitted
    first = next(job for job in seen["jobs"] if job["JobID"] == seen["overdue"])
    assert first["State"] == "TIMEOUT" and first["Timelimit"] == "00:01:00"
    last = [job for job in tries(submitted, "pretrain") if job["Comment"] == first["Comment"]][-1]
    assert last["State"] == "COMPLETED" and last["Timelimit"] == "00:30:00"
    assert "continued after step" in (directory / f"logs/pretrain/{MODELS[0]}/seed0.log").read_text()


def test_a_starved_job_gets_more_memory(submitted):
    jobs = tries(submitted, "score_sensitivity")
    assert jobs[0]["State"] not in ("COMPLETED", "RUNNING") and "mem=500M" in jobs[0]["ReqTRES"]
    assert jobs[-1]["State"] == "COMPLETED" and "mem=500M" not in jobs[-1]["ReqTRES"]


@pytest.mark.parametrize(
    ("what", "model", "init", "states"),
    [
        ("cancelled", MODELS[0], "random", ("CANCELLED",)),
        ("bereft", MODELS[1], "random", ("NODE_FAIL", "REQUEUED")),
        ("warned", MODELS[0], "pretrained", ("FAILED",)),
    ],
)
def test_a_job_that_is_cancelled_bereft_of_its_node_or_warned_goes_on_where_it_was(
    submitted, what, model, init, states
):
    directory, seen = submitted
    first = next(job["State"] for job in seen["jobs"] if job["JobID"] == seen[what])
    assert first.split()[0] in states
    text = (directory / f"logs/finetune_model/finetune/sim_promoter/{model}/{init}/seed0.log").read_text()
    assert "continued" in text, text


def test_nothing_that_was_finished_is_computed_again_after_the_main_process_died(submitted):
    seen = submitted[1]
    assert len(seen["finished"]) >= 12
    assert all(path.stat().st_mtime_ns == before for path, before in seen["finished"].items())


def test_the_lock_of_a_dead_main_process_is_explained(submitted):
    seen = submitted[1]
    for said in (seen["locked"].stdout, seen["status"]):
        assert "--unlock" in said and "dead" in said and "Traceback" not in said, said
    assert seen["locked"].returncode != 0 and "scancel --name" in seen["status"]


def test_the_log_says_how_far_it_is(submitted):
    lines = re.findall(r"^\[\d\d:\d\d\] finetune (\d+)/\d+ ", submitted[1]["log"], re.M)
    assert len(lines) >= 2 and list(map(int, lines)) == sorted(map(int, lines))
