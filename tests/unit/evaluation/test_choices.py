"""Designs of a study: the tasks that they take, price and power as `plan` states them, and which is recommended."""

from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation.across_tasks import task_kinds
from foundationless.evaluation.power import choices
from foundationless.evaluation.power.choices import (
    alter,
    deciding_analysis,
    frontier,
    list_choices,
    order_tasks,
    recommend,
    searches,
    write_choice,
)  # fmt: skip
from foundationless.evaluation.power.designs import list_designs, tabulate
from foundationless.evaluation.power.simulation import Components, Power
from foundationless.study.checks import read_study
from foundationless.study.config import read_margins, read_yaml
from foundationless.study.price.devices import DEVICES
from foundationless.study.price.estimate import Calibration, Machine, estimate
from foundationless.study.price.workload import Workload, read_sizes
from support import ROOT

USUAL = {"": Components(0.03, 0.02, 0.005, 0.005, 0.5)}
SIZES = read_sizes(ROOT / "resources/lists/task_sizes.tsv")


def workload(name, device="a100"):
    return Workload(read_study(read_yaml(ROOT / f"config/{name}.yaml")), SIZES, DEVICES[device])


@pytest.fixture(scope="module")
def made():
    """Designs of the demo with all of its tasks."""
    return list_choices(workload("config"), USUAL, Machine(2, 4), Calibration(), 0.03, least=10)


def test_tasks_are_distinct_of_every_family_first_and_the_largest_first():
    work = workload("paper")
    order = order_tasks(work, "finetune")
    kinds = task_kinds(pd.DataFrame(list(work.plan.tasks.values()))).loc[order]
    rows = [work.rows(task)["test"] for task in order]
    everything = list_designs(work, read_margins(work.plan.config["statistics"]))["finetune", ""]
    assert kinds["twin"].is_unique and len(order) == len({task.cluster for task in everything.tasks}) == 39
    depths = kinds.groupby("family").cumcount()
    assert depths.is_monotonic_increasing, "one of each family before the second of any"
    for _, of_family in zip(kinds.index, pd.Series(rows, index=order).groupby(kinds["family"]), strict=False):
        assert of_family[1].is_monotonic_decreasing
    first = rows[: kinds["family"].nunique()]
    assert all(before >= after for before, after in pairwise(first))


@pytest.mark.parametrize(("task", "seeds", "items", "models"), [(3, 4, 0, ()), (2, 3, 100, ("ntv2.demo",))])
def test_what_a_choice_writes_is_a_study_with_the_price_and_power_that_plan_states(
    tmp_path, task, seeds, items, models
):
    work = workload("config")
    order = order_tasks(work, "finetune")[:task]
    config = alter(work.plan, "finetune", order, seeds, items, "full", models)
    plan = read_study(config)
    assert set(plan.config["analyses"]) == {"finetune"} and list(plan.by_task["finetune"]) == order
    assert {cell.seed for cell in plan.cells} == set(range(seeds))
    own = Workload(plan, SIZES)
    assert {own.rows(name)["test"] for name in order} == {items or 160}
    if models:
        assert {cell.model for cell in plan.cells if cell.init != "baseline"} >= set(models)
        assert set(plan.config["models"]) == set(models) and "dilated_cnn.demo" not in plan.config["baselines"]


def test_price_and_power_are_those_of_plan(made, tmp_path):
    for number, choice in enumerate(made[:3]):
        write_choice(choice, "the first", tmp_path / f"{number}.yaml")
        plan = read_study(read_yaml(tmp_path / f"{number}.yaml"))
        costs, _ = estimate(plan, SIZES, DEVICES["a100"], Machine(2, 4))
        whole = costs[(costs["target"] == "all") & (costs["rule"] == "total")].iloc[0]
        for name, value in choice.price.items():
            assert whole[name] == pytest.approx(value) if name not in ("target", "rule") else True, name
        designs = list_designs(Workload(plan, SIZES), read_margins(plan.config["statistics"]))
        table = tabulate(designs, USUAL, 0.03).set_index("scope")
        for scope, words in choice.powers.items():
            assert (table.loc[scope, "equivalent"], table.loc[scope, "better"]) == (words.equivalent, words.better)


def test_more_seeds_cost_more_and_find_more(made):
    racing = [choice for choice in made if choice.search == "racing"]
    made = [choice for choice in made if choice.search == "full"]
    for some in (made, racing):
        assert [choice.seeds for choice in some] == list(choices.SEEDS)
    equivalents = [choice.powers["these"].equivalent for choice in made]
    costs = [choice.cost for choice in made]
    assert costs == sorted(costs) and costs[-1] > 2 * costs[0] and equivalents[-1] >= equivalents[0]
    assert [choice.power for choice in frontier(made)] == sorted({choice.power for choice in frontier(made)})


def test_the_paper_has_designs_that_decide_where_its_own_does_not(monkeypatch):
    """The study as it is: seven models, three seeds, no word with power 0.8; more seeds, or one model, have it."""
    work = workload("paper")
    margins = read_margins(work.plan.config["statistics"])
    own = tabulate({key: d for key, d in list_designs(work, margins).items() if key == ("finetune", "")}, USUAL, 0.03)
    assert own.loc[own["scope"] == "these", ["equivalent", "better"]].min(axis=None) < 0.8
    monkeypatch.setattr(choices, "SEEDS", (3, 5))
    monkeypatch.setattr(choices, "ITEMS", (0,))
    found = list_choices(work, USUAL, Machine(512, 512), Calibration(), 0.03, least=39)
    best, reason = recommend(found, 1e5)
    assert best.power >= 0.8 and best.seeds == 5 and "cheapest" in reason
    alone = list_choices(work, USUAL, Machine(512, 512), Calibration(), 0.03, ["hyenadna"], least=39)
    assert recommend(alone, 1e5)[0].cost < best.cost / 4


def choice(made, power, gpu_hours, wall):
    words = Power(power, power, 0.1)
    price = {"gpu_hours": gpu_hours, "cpu_hours": 1.0, "wall_hours": wall}
    return replace(made[0], price=price, powers=dict.fromkeys(("these", "like-these"), words))


def test_the_cheapest_that_is_powerful_enough_is_recommended(made):
    a, b, c, d = (choice(made, *each) for each in ((0.7, 1, 1), (0.81, 10, 10), (0.9, 10.4, 10), (0.99, 20, 10)))
    assert recommend([a, b, c, d], 24)[0] is c, "of what costs the same within 5 %, the most powerful"
    assert recommend([a, b, d], 24)[0] is b
    best, reason = recommend([a, choice(made, 0.9, 50, 30)], 24)
    assert best is a and "missing" in reason and "30.0 hours of wall time" in reason
    best, reason = recommend([a, choice(made, 0.75, 3, 3)], 24)
    assert best.power == 0.75 and "no design that was tried has it" in reason
    with pytest.raises(UserError, match=r"none ends within 0.5 hours; the shortest takes 1\.0"):
        recommend([a, b], 0.5)


def test_a_file_that_says_something_else_is_kept(made, tmp_path):
    path = tmp_path / "study.yaml"
    write_choice(made[0], "why", path)
    before = path.read_text()
    write_choice(made[0], "otherwise", path)
    assert path.read_text() == before
    with pytest.raises(UserError, match="says something else"):
        write_choice(made[1], "why", path)
    assert path.read_text() == before


def test_studies_that_have_nothing_to_design():
    with pytest.raises(UserError, match="none of the study's"):
        list_choices(workload("config"), USUAL, Machine(), Calibration(), 0.03, ["bogus"])
    with pytest.raises(UserError, match="11 distinct tasks are asked for, and finetune has 10"):
        list_choices(workload("config"), USUAL, Machine(), Calibration(), 0.03, least=11)
    config = read_yaml(ROOT / "config/config.yaml")
    config["analyses"] = {"clustering": config["analyses"]["clustering"]}
    del config["truth"]
    with pytest.raises(UserError, match="no pretrained arm with a random one"):
        deciding_analysis(read_study(config))
    config = read_yaml(ROOT / "config/config.yaml") | {"selection": "test"}
    for name in ("frozen", "structure"):
        del config["analyses"][name]["layers"]
    assert searches(read_study(config)) == ["full"], "the paper's selection needs every rate to its end"


def test_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    flags = ["design", "--configfile", "config/config.yaml", "--device", "cpu", "--cores", "2", "--hours", "99"]
    output, figure = tmp_path / "new.yaml", tmp_path / "power.pdf"
    assert main([*flags, "--all", "--output", str(output), "--figure", str(figure)]) == 0
    out = capsys.readouterr().out
    assert "Recommended" in out and "sim_strand_words" in out and str(output) in out
    assert figure.read_bytes().startswith(b"%PDF") and figure.with_suffix(".png").is_file()
    assert main(["plan", "--configfile", str(output), "--device", "cpu"]) == 0
    assert main([*flags[:-1], "0.001"]) == 2
    output.write_text("study: mine\n")
    assert main([*flags, "--output", str(output)]) == 2
    assert output.read_text() == "study: mine\n" and "Traceback" not in capsys.readouterr().err
