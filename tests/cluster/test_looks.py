"""Seeds until decided through SLURM: the main process dies between two looks, and the study ends with its decision."""

import json

from support.decided import BLIND, write_decided
from support.slurm_cluster import stop
from support.studies import snakemake, wait_until

SEEDS = {"from": 3, "to": 8}
TARGET = "results/biotype/scores.csv"


def test_a_study_stops_after_the_seed_that_decides_though_its_main_process_dies_between_looks(cluster, tmp_path):
    directory = cluster.clone(tmp_path)
    results, log = directory / "results", directory / "main.log"

    def look(seeds):
        path = results / f"looks/seeds{seeds}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    # What leads to the first look is made here, where a budget ends the study.
    frugal = write_decided(directory, seeds=SEEDS, budget=1e-6)
    answer = snakemake("--configfile", frugal, "--", TARGET, directory=directory)
    assert answer.returncode == 0 and look(3)["why"] == "budget", answer.stdout[-4000:]
    before = {job["JobID"] for job in cluster.history()}
    submit = ["--configfile", write_decided(directory, seeds=SEEDS), "--", TARGET]
    main = cluster.start(directory, *submit, log=log)
    wait_until(lambda: look(3).get("why") == "undecided", 120, main)  # made anew
    stop(main)
    cluster.idle(120)
    kept = {path: path.stat().st_mtime_ns for path in results.glob("biotype/*/*/*/*/record.json")}
    assert cluster.snakemake(directory, "--unlock", *submit).returncode == 0
    answer = cluster.snakemake(directory, *submit)
    assert answer.returncode == 0, answer.stdout[-4000:]
    ended = max(seeds for seeds in range(3, 9) if look(seeds))
    assert 3 < ended < 8 and [look(seeds)["decision"] for seeds in range(3, ended)] == ["go on"] * (ended - 3)
    assert (look(ended)["why"], look(ended)["models"][BLIND]["word"]) == ("decided", "worse")
    assert {path.name for path in (results / f"weights/{BLIND}/random").iterdir()} == {f"seed{n}" for n in range(ended)}
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items()) and len(kept) >= 7
    assert look(ended)["sentence"] in answer.stdout
    ran = [job["Comment"] for job in cluster.history() if job["JobID"] not in before]
    assert len([name for name in ran if name.startswith("rule_look")]) >= ended - 2, "looks are jobs as any other"
