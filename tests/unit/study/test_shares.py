"""Long jobs are cut: no job of a shipped study takes longer than it allows, and no work is lost or done twice."""

import pytest

from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.price.estimate import Calibration, list_jobs, longest_chain
from foundationless.study.price.requests import CAP_MINUTES, Allocation
from foundationless.study.price.shares import HOURS, Cut, Shares, members, reached
from foundationless.study.price.workload import Workload, read_sizes
from support import ROOT

SIZES = read_sizes(ROOT / "resources/lists/task_sizes.tsv")
STUDIES = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.name != "models.yaml")
UNCUT = 1e9


def workload(path, **changes):
    config = read_yaml(path) | changes
    config["tables"] = {key: str(ROOT / name) for key, name in config["tables"].items()}
    return Workload(read_study(config), SIZES)


def jobs_of(work):
    return list_jobs(work, work.plan.cells, Calibration(), whole=True)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_no_job_of_a_shipped_study_takes_longer_than_it_allows(path):
    work = workload(path)
    jobs = jobs_of(work)
    assert len(jobs) <= 15_000
    allowed = float(work.plan.config.get("longest_job", HOURS))
    key = max(jobs, key=lambda key: jobs[key].seconds)
    assert jobs[key].seconds <= 1.1 * 3600 * allowed, key


@pytest.mark.parametrize("name", ["paper", "mistral"])
def test_cut_jobs_do_the_work_of_whole_ones(name):
    """Every part and leg starts anew, which is all that they add."""
    work = workload(ROOT / f"config/{name}.yaml")
    whole = jobs_of(workload(ROOT / f"config/{name}.yaml", longest_job=UNCUT))
    cut = jobs_of(work)
    assert len(cut) > len(whole) and not any(key[0] in ("finetune_part", "pretrain_leg") for key in whole)
    assert set(whole) <= set(cut)
    added = [node for key, node in cut.items() if key not in whole]
    starts = sum(work.start(node.rule) * work.processes(node.rule, node.model) for node in added)
    total, before = (sum(node.work.gpu for node in jobs.values()) for jobs in (cut, whole))
    assert before - 1e3 <= total <= before + 2 * starts
    assert longest_chain(cut)[0] <= longest_chain(whole)[0] + 2 * starts
    merged = {key[1:6] for key in cut if key[0] == "finetune_part"}
    for cell in merged:
        node = cut["finetune_model", *cell]
        assert not node.work.gpu and node.seconds < 600 and {parent[0] for parent in node.parents} == {"finetune_part"}


def test_what_is_cut_asks_for_its_share_and_what_merges_for_no_gpu():
    work = workload(ROOT / "config/paper.yaml")
    allocation, uncut = Allocation(work), Allocation(workload(ROOT / "config/paper.yaml", longest_job=UNCUT))
    names = {"analysis": "finetune", "task": "nt_H3K36me3", "model": "mistral", "init": "random"}
    assert uncut.gpus("finetune_model", **names) == allocation.gpus("finetune_part", **names) == 1
    assert allocation.gpus("finetune_model", **names) == 0
    assert allocation.minutes("finetune_model", **names) < 60 < allocation.minutes("finetune_part", **names)
    assert allocation.memory("finetune_part", **names) == uncut.memory("finetune_model", **names)
    small = names | {"model": "hyenadna", "task": "nt_enhancers"}
    if not Shares(work).finetuning(**small).parts:
        assert allocation.gpus("finetune_model", **small) == 1
    assert allocation.gpus("pretrain_leg", model="mistral") == allocation.gpus("pretrain", model="mistral") > 1
    assert allocation.minutes("pretrain_leg", model="mistral") <= CAP_MINUTES[True]


def test_units_and_steps_are_dealt_out_once():
    for units, groups in ((18, 18), (18, 5), (7, 3), (1, 1)):
        dealt = [unit for group in range(groups) for unit in members(units, groups, group)]
        assert dealt == list(range(units))
        sizes = {len(members(units, groups, group)) for group in range(groups)}
        assert max(sizes) - min(sizes) <= 1
    for total, legs in ((100, 3), (7, 7), (572_000, 13)):
        ends = [reached(total, legs, leg) for leg in range(legs)]
        assert ends == sorted(ends) and ends[0] > 0 and ends[-1] == total
    assert Cut().parts == 0 and not Cut().last_parts()
    assert Cut(6, 3, 2).last_parts() == [1, 3, 5] and Cut(6, 3, 2).place(3) == (1, 1)


def test_a_race_and_further_rates_keep_folds_whole():
    base = read_yaml(ROOT / "config/paper.yaml")["finetuning"]
    for changes in ({"search": "racing"}, {"extend": 2}):
        work = workload(ROOT / "config/paper.yaml", finetuning=base | changes, longest_job=1)
        cut = Shares(work).finetuning("finetune", "nt_H3K36me3", "mistral")
        assert cut.units == 3 and cut.groups == 3 and cut.legs > 1
