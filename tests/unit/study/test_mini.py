"""The two mini studies share a directory of results: whatever both name must be the same thing."""

from collections import Counter

import pandas as pd
import pytest

from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.vocabulary import FEWEST_SEEDS
from support import ROOT


@pytest.fixture(scope="module")
def plans():
    return [read_study(read_yaml(ROOT / f"config/{name}.yaml")) for name in ("mini", "mini-full")]


def limits(plan, task):
    """As rules read them."""
    return plan.config["limits"].get(task, plan.config["limits"]["default"])


def test_neither_study_makes_anew_what_the_other_made(plans):
    small, whole = plans
    shared = set(small.cells) & set(whole.cells)
    assert len(shared) > 20
    assert all(small.config[key] == whole.config[key] for key in ("corpora", "embedding", "seed", "pretraining"))
    assert all(whole.config["genomes"][name] == made for name, made in small.config["genomes"].items())
    for model in small.networks_from("workflow"):
        assert small.config["models"][model] == whole.config["models"][model]
    of_both = {cell.task for cell in small.cells} & {cell.task for cell in whole.cells}
    assert len(of_both) >= 4
    for task in of_both:
        assert limits(small, task) == limits(whole, task), task
        for model in small.networks_from("workflow"):
            assert small.poolings(task, model) == whole.poolings(task, model), (task, model)
    for cell in shared:
        assert small.probing(cell.analysis) == whole.probing(cell.analysis)
        if cell.analysis == "finetune":
            assert small.finetuning(cell.task, "finetune") == whole.finetuning(cell.task, "finetune")


def test_the_verdict_has_every_task_of_the_mirror_whole_test_sets_and_seeds_enough(plans, shared):
    small, _ = plans
    names = pd.read_csv(shared / "mirror/manifest.tsv", sep="\t")["name"]
    published = set(names[names.str.fullmatch("gue_.*_test|ienhancer_test_.*")])
    read = {source for task in small.by_task["frozen"] for source in small.sources(task).values()}
    assert len(published) == 15 and published <= read
    assert not any("test" in limits(small, task) for task in small.by_task["frozen"])
    seeds = Counter(cell[:4] for cell in small.cells if cell.init == "random")
    assert seeds and min(seeds.values()) >= FEWEST_SEEDS


def test_no_chromosome_of_test_sequences_is_pretrained_on(plans):
    for plan in plans:
        (corpus,) = plan.config["corpora"].values()
        assert corpus["genomes"] == ["yeast"]
        for task in plan.by_task["frozen"]:
            named = dict(option.split("=", 1) for option in plan.options(task)).get("test_contigs", "")
            assert set(filter(None, named.split(","))) <= set(corpus["exclude"]), task
