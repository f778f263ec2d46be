"""The variance components of the paper's numbers: found again in numbers that were drawn with known ones."""

import numpy as np
import pandas as pd
import pytest

from foundationless.reporting.paper.published import read_reported
from foundationless.reporting.paper.spread import reported_components
from foundationless.runtime.files import read_table
from foundationless.study.price.workload import read_sizes
from support import ROOT


@pytest.fixture(scope="module")
def tasks():
    return pd.DataFrame(read_table(ROOT / "config/tasks.tsv", ["task", "family", "twin"]))


def drawn(tasks, rng, family, task, sd):
    """Numbers for the paper's tasks: accuracies around 0.8, MCC those of even classes."""
    rows = []
    for model in range(30):
        shifts: dict[str, float] = {}
        for suite, experiment in (("nt", "nt_finetune"), ("gb", "gb_finetune")):
            for each in tasks[(tasks["suite"] == suite) & (tasks["paper_task"] != "")].to_dict("records"):
                delta = shifts.setdefault(each["family"], family * rng.standard_normal()) + task * rng.standard_normal()
                for arm, value in (("pretrained", 0.8 + delta), ("random", 0.8)):
                    scale = 2 if each["metric"] == "mcc" else 1
                    rows.append(
                        {"experiment": experiment, "task": each["paper_task"], "model": f"m{model}", "arm": arm}
                        | {"metric": each["metric"], "value": 2 * value - 1 if scale == 2 else value}
                        | {"sd": scale * sd * rng.chisquare(2) ** 0.5 / 2**0.5 if suite == "nt" else np.nan}
                    )
    return pd.DataFrame(rows)


def test_components_are_found_again(tasks):
    found = reported_components(drawn(tasks, np.random.default_rng(0), 0.03, 0.02, 0.001), tasks, {})
    assert found.family == pytest.approx(0.03, rel=0.15)
    assert found.task == pytest.approx(0.02, rel=0.1)
    assert (found.common**2 + found.seed**2) ** 0.5 == pytest.approx(0.001, rel=0.1)
    assert found.items == pytest.approx((2 * 0.2 * 0.8) ** 0.5, rel=0.02), "both arms err on a fifth of the items"


def test_of_the_paper_itself(tasks):
    """Its seeds by hand, and a spread that its own table shows: the range of differences is 0.1 of accuracy or so."""
    reported = read_reported(ROOT / "resources/lists/reported.tsv")
    found = reported_components(reported, tasks, read_sizes(ROOT / "resources/lists/task_sizes.tsv"))
    rows = reported[(reported["experiment"] == "nt_finetune") & reported["arm"].isin(["pretrained", "random"])]
    by_hand = np.mean((rows["sd"] / rows["metric"].map({"mcc": 2, "f1_macro": 1})) ** 2)
    assert found.common**2 + found.seed**2 == pytest.approx(by_hand)
    assert found.common == found.seed
    assert 0.01 < found.family < 0.05 and 0.01 < found.task < 0.05 and 0.3 < found.items < 0.7
