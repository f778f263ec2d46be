"""Seeds until decided, by the workflow itself: records of a study whose truth is known, as far as they are there."""

import json
import shutil

import pandas as pd
import pytest

from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.looks import cells_so_far
from support import ROOT
from support.simulated_study import write_records
from support.studies import checkout, snakemake, write_study

MODELS = ("hyenadna.demo", "ntv2.demo")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A checkout with the records of seven seeds of a study that has up to eight: one model helps, one does not."""
    directory = checkout(tmp_path_factory.mktemp("looks"))
    demo = read_yaml(ROOT / "config/config.yaml")
    path = write_study(
        directory / "looks.yaml", seeds={"from": 3, "to": 8}, models={name: demo["models"][name] for name in MODELS},
        baselines={"length_gc": {}}, statistics=demo["statistics"] | {"resamples": 200},
        analyses={"frozen": {"tasks": ["sim_promoter", "sim_enhancer", "sim_mark"]}},
    )  # fmt: skip
    plan = read_study(read_yaml(path))
    write_records(plan, directory, items=1500, folds=(0,), deltas={MODELS[0]: 0.15})
    for lost in (directory / "results").glob("frozen/*/*/*/seed7"):
        shutil.rmtree(lost)
    return directory, path, plan


def test_it_stops_as_soon_as_every_word_is_there_and_its_tables_say_what_the_look_said(tree):
    directory, path, plan = tree
    ask = ["--configfile", path, "--config", "from_records=true", "--", "results/verdict.json"]
    answer = snakemake(*ask, directory=directory)
    assert answer.returncode == 0, answer.stdout[-4000:]
    looks = [json.loads(file.read_text()) for file in sorted((directory / "results/looks").glob("*.json"))]
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
