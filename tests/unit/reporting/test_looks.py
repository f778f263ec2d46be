"""What looks say: words of records whose truth is known, why a study stops, and what is told of it afterwards."""

import json
import os

import pandas as pd
import pytest

from foundationless.evaluation.analysis_summary import Analysis, TaskCells
from foundationless.reporting.tables import looks
from foundationless.study.checks import read_study
from foundationless.study.config import check_schema, read_margins, read_schema, read_yaml
from foundationless.study.looks import cells_so_far, last_look, look_path
from support import ROOT
from support.simulated_study import write_records
from support.studies import write_study

HELPS, SAME = "hyenadna.demo", "ntv2.demo"
TASKS = ("sim_promoter", "sim_enhancer")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """(directory, plan) of records of which one model's pretraining helps."""
    directory = tmp_path_factory.mktemp("looks")
    demo = read_yaml(ROOT / "config/config.yaml")
    path = write_study(
        directory / "study.yaml", seeds={"from": 3, "to": 6}, baselines={},
        models={name: demo["models"][name] for name in (HELPS, SAME)}, analyses={"frozen": {"tasks": list(TASKS)}},
    )  # fmt: skip
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        plan = read_study(read_yaml(path))
        write_records(plan, directory, items=400, folds=(0,), deltas={HELPS: 0.4})
    finally:
        os.chdir(before)
    return directory, plan


def look(study, models=(HELPS, SAME), *, now=3, last=6, **question):
    directory, plan = study
    analysis = Analysis("frozen", directory / "results/frozen", 100, read_margins({}), 1)
    cells = [
        TaskCells(task, plan.task(task)["metric"], tuple(
            f"{model}/{init}/seed{seed}" for model in models for init in ("pretrained", "random") for seed in range(now)
        )) for task in TASKS
    ]  # fmt: skip
    asked = looks.Question("these", "validation", {"frozen": [3, last, now]}, **question)
    tasks = pd.DataFrame(list(plan.tasks.values()))
    return looks.look(analysis, cells, tasks, {}, pd.DataFrame(), asked, 1)


def test_a_study_stops_when_it_has_decided_and_goes_on_otherwise(study):
    helped = look(study, [HELPS])
    assert (helped["decision"], helped["why"], helped["models"][HELPS]["word"]) == ("stop", "decided", "better")
    both = look(study)
    assert (both["decision"], both["why"], both["models"][SAME]["word"]) == ("go on", "undecided", "undecided")
    assert SAME in both["sentence"] and "goes on after 3 of at most 6 seeds" in both["sentence"]
    assert both["hours"] > 0 and both["unit"] in ("GPU-hours", "core-hours")


def test_a_budget_must_hold_the_next_seed_too(study):
    free = look(study)
    spent, each = free["hours"], free["hours"] / 3
    assert look(study, budget=spent + 1.01 * each)["why"] == "undecided"
    assert look(study, budget=spent + 0.99 * each)["why"] == "budget"
    assert look(study, [HELPS], budget=1e-9)["why"] == "decided", "a decision is the better reason"


def test_it_stops_where_there_are_no_more_seeds(study):
    assert look(study, now=6)["why"] == "last"
    assert look(study, more=False)["why"] == "records"


def test_what_is_told_of_the_last_look(study):
    """The table of looks is all that the verdict reads."""
    said = [look(study, now=now) for now in (3, 4)]
    table = looks.tabulate(said)
    assert list(zip(table["seeds"], table["model"], strict=True)) == [(n, m) for n in (3, 4) for m in (HELPS, SAME)]
    end = looks.end(table)
    assert (end["seeds"], end["undecided"], end["budget"]) == (4, [SAME], None)
    schema = read_schema("verdict")
    check_schema(end, schema["properties"]["looks"], "looks")
    assert looks.end(looks.tabulate([])) is None
    (design,) = looks.designs(said).values()
    assert (design.first, design.last, design.now) == (3, 6, 4)


def test_files_of_looks(study, tmp_path):
    _, plan = study
    assert last_look(plan, tmp_path) is None
    assert {cell.seed for cell in cells_so_far(plan, tmp_path)} == {0, 1, 2}
    look_path(tmp_path, 3).parent.mkdir()

    def write(seeds, decision):
        look_path(tmp_path, seeds).write_text(json.dumps({"seeds": seeds, "decision": decision}))

    write(3, "go on")
    write(5, "stop")
    assert last_look(plan, tmp_path)["seeds"] == 3, "what lies behind a gap is of another run"
    assert {cell.seed for cell in cells_so_far(plan, tmp_path)} == {0, 1, 2, 3}
    write(4, "stop")
    assert last_look(plan, tmp_path)["seeds"] == 4
    assert {cell.seed for cell in cells_so_far(plan, tmp_path)} == {0, 1, 2, 3}
    look_path(tmp_path, 4).write_text('{"seeds": 4, "deci')
    assert last_look(plan, tmp_path)["seeds"] == 3, "a torn file says nothing"
