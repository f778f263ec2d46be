"""`make trial DATA=`: from a file of one's own to the page that says which model to use, and anew when it changes."""

import json
import os
import re
import subprocess

import pytest
import yaml

from support import ROOT
from support.own_sets import COLUMNS, planted, write
from support.studies import ENVIRONMENT, checkout, snakemake


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    place = checkout(tmp_path_factory.mktemp("checkout"))
    (place / ".venv").mkdir()
    (place / ".venv/.installed").touch()  # what `make install` leaves; the tests' own environment is on the path
    study = yaml.safe_load((ROOT / "config/own.yaml").read_text())
    study["finetuning"] |= {"learning_rates": [1.0e-3], "epochs": 1}
    study["pretraining"] |= {"steps": 4, "warmup": 1, "checkpoint_every": 4, "window": 64}
    study["statistics"]["resamples"] = 100
    study["baselines"] = {
        "majority": {},
        "length_gc": {},
        "kmer_xgboost": {},
        "cnn.own": {"config": {"width": 8, "depth": 1}},
    }
    study["models"]["hyenadna.own"]["config"] |= {"d_model": 8, "d_inner": 16, "filter_order": 4}
    (place / "small.yaml").write_text(yaml.safe_dump(study))
    return place


def trial(place, *words):
    command = ["make", "trial", "STUDY=small.yaml", *words]
    return subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_from_a_file_to_the_page_and_anew_when_it_changes(elsewhere):
    data = write(elsewhere / "my {1} set's.csv", "motif", 120, 60)
    made = trial(elsewhere, f"DATA={data}", "LABEL=class", "NAME=mine")
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-4000:]
    assert "a table of 120 rows; sequences are in 'dna', classes are in 'class'" in made.stderr
    assert made.stdout.startswith("Which to use for this set:") and "What leaks:" in made.stdout
    verdict = json.loads((elsewhere / "results/verdict.json").read_text())
    (own,) = verdict["own"]
    assert own["task"] == "mine" and {arm["model"] for arm in own["arms"]} >= {
        "kmer_xgboost",
        "cnn.own",
        "hyenadna.own",
    }
    assert own["flattery"] and own["sentences"][0] in (elsewhere / "results/report.html").read_text()
    assert verdict["missing"]["count"] == 0
    again = snakemake("-n", "--configfile", "config/trials/mine.yaml", directory=elsewhere)
    assert "Nothing to be done" in again.stdout, again.stdout[-2000:]
    # Another content makes what depends on it anew, though the file is no younger.
    times = (data.stat().st_atime, data.stat().st_mtime)
    planted("motif", 120, 60, seed=2).to_csv(data, index=False)
    os.utime(data, times)
    anew = snakemake("-n", "--configfile", "config/trials/mine.yaml", directory=elsewhere).stdout
    planned = dict(re.findall(r"^(\w+) +(\d+)$", anew.split("Job stats:")[1], flags=re.MULTILINE))
    assert planned["build_sequences"] == "2" and planned["recommend_model"] == "1" and "pretrain" not in planned
    data.unlink()
    gone = snakemake("-n", "--configfile", "config/trials/mine.yaml", directory=elsewhere)
    assert gone.returncode == 2 and "there is no file" in gone.stdout and "Traceback" not in gone.stdout


@pytest.mark.parametrize(("kind", "more"), [("counted", ["KIND=values"]), ("marked", [])])
def test_numbers_and_tracks_reach_the_page(elsewhere, kind, more):
    data = write(elsewhere / f"{kind}.csv", kind, 120, 60)
    made = trial(elsewhere, f"DATA={data}", f"LABEL={','.join(COLUMNS[kind])}", *more)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-4000:]
    name = {"counted": "Pearson's r", "marked": "macro AUROC"}[kind]
    assert f"What is learned is judged by {name}" in made.stderr
    assert made.stdout.startswith("Which to use for this set:") and f"({name} " in made.stdout
    verdict = json.loads((elsewhere / "results/verdict.json").read_text())
    (own,) = verdict["own"]
    assert {arm["model"] for arm in own["arms"]} == {"length_gc", "kmer_xgboost", "cnn.own", "hyenadna.own"}
    assert own["use"]["model"] == "kmer_xgboost", own["sentences"]  # the words of which a count suffices are planted
    assert verdict["missing"]["count"] == 0
    page = (elsewhere / "results/report.html").read_text()
    assert own["sentences"][0] in page or own["sentences"][0].replace("'", "&#39;") in page


def test_the_example_plans(elsewhere):
    answer = snakemake("-n", "--configfile", "config/own.yaml", directory=elsewhere)
    assert answer.returncode == 0, answer.stdout[-2000:]
    planned = dict(re.findall(r"^(\w+) +(\d+)$", answer.stdout.split("Job stats:")[1], flags=re.MULTILINE))
    assert planned["finetune_model"] == "10" and planned["recommend_model"] == "1" and "fetch" not in planned


def test_what_cannot_be_used_ends_in_one_sentence(elsewhere):
    (elsewhere / "bad.csv").write_text("dna,class\n" + "ACGTACGTACGT,a\n" * 80)
    made = trial(elsewhere, "DATA=bad.csv", "LABEL=klass")
    assert made.returncode and "did you mean 'class'?" in made.stderr and "Traceback" not in made.stderr
    made = trial(elsewhere, "DATA=bad.csv", "LABEL=class")
    assert "all rows are of one class, 'a'" in made.stderr and not (elsewhere / "config/trials/bad.yaml").exists()
