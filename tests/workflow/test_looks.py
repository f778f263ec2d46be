"""Seeds until decided, by the workflow itself: of records whose truth is known, and of a tiny study that computes."""

import html
import json
import os
import shutil
import signal
import subprocess

import pandas as pd
import pypdf
import pytest

from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.looks import cells_so_far
from support import ROOT
from support.decided import BLIND, write_decided
from support.simulated_study import write_records
from support.studies import ENVIRONMENT, checkout, snakemake, wait_until, write_study

MODELS = ("hyenadna.demo", "ntv2.demo")


def write_looks(directory, **changes):
    """A study of frozen features with up to eight seeds."""
    demo = read_yaml(ROOT / "config/config.yaml")
    return write_study(
        directory / "looks.yaml",
        seeds={"from": 3, "to": 8},
        models={name: demo["models"][name] for name in MODELS},
        baselines={"length_gc": {}},
        statistics=demo["statistics"] | {"resamples": 200},
        analyses={"frozen": {"tasks": ["sim_promoter", "sim_enhancer", "sim_mark"]}},
        **changes,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A checkout with the records of seven seeds of that study; one model helps, one does not."""
    directory = checkout(tmp_path_factory.mktemp("looks"))
    path = write_looks(directory)
    plan = read_study(read_yaml(path))
    write_records(plan, directory, items=1500, folds=(0,), deltas={MODELS[0]: 0.15})
    for lost in (directory / "results").glob("frozen/*/*/*/seed7"):
        shutil.rmtree(lost)
    return directory, path, plan


def test_a_dry_run_of_records_knows_the_first_look_and_a_budget_may_end_it_there(tree):
    directory, _, _ = tree
    path = write_looks(directory, budget=1e-9)
    ask = ["--configfile", path, "--config", "from_records=true", "--", "results/verdict.json"]
    planned = snakemake("-n", *ask, directory=directory)
    assert planned.returncode == 0 and "Look at the study after 3 seeds" in planned.stdout, planned.stdout[-4000:]
    assert snakemake(*ask, directory=directory).returncode == 0
    verdict = json.loads((directory / "results/verdict.json").read_text())
    assert (verdict["looks"]["seeds"], verdict["looks"]["why"]) == (3, "budget")
    write_looks(directory)


def test_without_a_budget_it_stops_as_soon_as_every_word_is_there_and_its_tables_say_so(tree):
    directory, path, plan = tree
    ask = ["--configfile", path, "--config", "from_records=true", "--", "results/verdict.json"]
    answer = snakemake(*ask, directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    looks = [json.loads(file.read_text()) for file in sorted((directory / "results/looks").glob("seeds*.json"))]
    assert [look["seeds"] for look in looks] == list(range(3, 3 + len(looks))) and len(looks) < 6
    assert [look["decision"] for look in looks] == ["go on"] * (len(looks) - 1) + ["stop"]
    last = looks[-1]
    assert last["why"] == "decided" and last["models"][MODELS[0]]["word"] == "better"
    assert last["sentence"] in answer.stdout, "the end of the log says it"
    verdict = json.loads((directory / "results/verdict.json").read_text())
    assert verdict["looks"]["seeds"] == last["seeds"] and last["sentence"] in verdict["sentences"]
    for name, found in last["models"].items():
        mine = verdict["models"][name]["versus_random"]["these"]
        assert (mine["verdict"], mine["seeds"]) == (found["word"], last["seeds"])
        assert mine["p_holm"] == pytest.approx(found["p_holm"]), "the tables have the p values of the look"
        assert mine["p_tost_holm"] == pytest.approx(found["p_tost_holm"])
    records = pd.read_csv(directory / "results/tables/records.csv")
    assert set(records["seed"]) == set(range(last["seeds"])), "later seeds are not of the study"
    assert verdict["missing"]["count"] == len(pd.read_csv(directory / "results/tables/missing.csv"))
    assert {cell.seed for cell in cells_so_far(plan, directory / "results")} == set(range(last["seeds"]))
    again = snakemake("-n", *ask, directory=directory)
    assert "Nothing to be done" in again.stdout, again.stdout[-2000:]


# ---- a study that computes


def looks_of(directory):
    return [json.loads(file.read_text()) for file in sorted((directory / "results/looks").glob("seeds*.json"))]


def seeds_of(directory, pattern):
    return {int(path.name.removeprefix("seed")) for path in (directory / "results").glob(pattern)}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("computed"))


def test_a_study_ends_when_its_budget_is_spent(computed):
    study = write_decided(computed, seeds={"from": 3, "to": 8}, budget=1e-6)
    answer = snakemake("--configfile", study, "--", "results/biotype/scores.csv", directory=computed)
    assert answer.returncode == 0, answer.stdout[-4000:]
    (look,) = looks_of(computed)
    assert (look["seeds"], look["decision"], look["why"], look["unit"]) == (3, "stop", "budget", "core-hours")
    assert look["models"][BLIND]["word"] == "undecided" and "1e-06 core-hours" in look["sentence"]
    assert look["sentence"] in answer.stdout
    assert seeds_of(computed, f"weights/{BLIND}/random/seed*") == {0, 1, 2}


def test_killed_between_looks_it_goes_on_and_ends_when_its_verdict_is_there(computed):
    """With the budget gone; what was computed under it stays."""
    study = write_decided(computed, seeds={"from": 3, "to": 8})
    ask = ["--configfile", study, "--", "results/verdict.json", "results/report.html", "results/figures/all.pdf"]
    kept = {path: path.stat().st_mtime_ns for path in (computed / "results").glob("biotype/*/*/*/*/record.json")}
    assert len(kept) == 7
    main = subprocess.Popen(
        ["snakemake", *map(str, ask)], cwd=computed, env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: looks_of(computed) and looks_of(computed)[0]["why"] == "undecided", 120, main)
    os.killpg(main.pid, signal.SIGKILL)
    main.wait()
    before = subprocess.run(
        ["python", "-m", "foundationless", "status", "--configfile", study], cwd=computed, env=ENVIRONMENT,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "goes on after 3 of at most 8 seeds" in before
    assert snakemake("--unlock", *ask, directory=computed).returncode == 0
    answer = snakemake(*ask, directory=computed)
    assert answer.returncode == 0, answer.stdout[-4000:]
    looks = looks_of(computed)
    ended = looks[-1]["seeds"]
    assert [look["decision"] for look in looks] == ["go on"] * (len(looks) - 1) + ["stop"] and 3 < ended < 8
    assert looks[-1]["why"] == "decided" and looks[-1]["models"][BLIND]["word"] == "worse"
    assert seeds_of(computed, f"weights/{BLIND}/random/seed*") == set(range(ended)), "no seed more"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    verdict = json.loads((computed / "results/verdict.json").read_text())
    assert (verdict["looks"]["seeds"], verdict["looks"]["why"]) == (ended, "decided")
    assert "Lan and DeMets" in verdict["looks"]["rule"]
    assert verdict["models"][BLIND]["versus_random"]["these"]["verdict"] == "worse"
    said = looks[-1]["sentence"]
    assert said in html.unescape((computed / "results/report.html").read_text())
    cover = " ".join(pypdf.PdfReader(computed / "results/figures/all.pdf").pages[0].extract_text().split())
    assert f"stopped after {ended} of at most 8 seeds" in cover
    assert "Nothing to be done" in snakemake("-n", *ask, directory=computed).stdout
