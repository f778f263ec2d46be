"""The figure of costs: points stand where ledger and scores put them, and what is missing is said."""

import shutil

import numpy as np
import pandas as pd
import pytest

from foundationless.reporting.figures import cost, resolve
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables import cost_ledger
from support.figure_tables import PRETRAINED
from support.figures import faults, laid_out, marks_of, panels, words

MODELS = [*PRETRAINED, "dnabert2"]


def tables(full, directory, *, change):
    """The tables of a study whose ledger was changed."""
    shutil.copytree(full, directory / "tables")
    change(pd.read_csv(full / "cost.csv")).to_csv(directory / "tables" / "cost.csv", index=False)
    return directory / "tables"


def draw(directory):
    return laid_out(resolve("cost")(read(directory, "Synthetic.")))


def panel(figure, title):
    (axes,) = [axes for axes in panels(figure) if " ".join(axes.get_title(loc="left").split()) == title]
    return axes


def test_points_are_the_sums_of_the_ledger_and_the_means_of_the_scores(full, drawn):
    figure, frame, jobs = drawn("cost", full), read(full), pd.read_csv(full / "cost.csv")
    members = frame.tasks.loc[frame.tasks["suite"] == "gb", "task"]
    axes = panel(figure, f"Genomic Benchmarks, fine-tuning ({len(members)} tasks)")
    for model, init in ((model, init) for model in MODELS for init in ("pretrained", "random")):
        mine = jobs[(jobs["model"] == model) & (jobs["init"] == init) & (jobs["analysis"] == "finetune")]
        hours = mine.loc[mine["task"].isin(members), "gpu_hours"].sum()
        hours += PRETRAINED.get(model, 0.0) if init == "pretrained" else 0.0
        rows = frame.scores[(frame.scores["model"] == model) & (frame.scores["init"] == init)]
        value = rows.loc[(rows["analysis"] == "finetune") & rows["task"].isin(members), "value"].mean()
        assert marks_of(axes, frame.looks[model], init) == pytest.approx(np.array([[hours, value]])), (model, init)
    links = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert len(links) == len(MODELS), "a line from the random to the pretrained arm of every model"

    axes = panel(figure, "Biotype, frozen features")  # a probed arm pays for its embedding
    mine = jobs[(jobs["task"] == "biotype") & (jobs["model"] == "mistral") & (jobs["init"] == "random")]
    mine = mine[mine["analysis"].isin(["biotype", cost_ledger.EMBEDDINGS])]
    assert mine["analysis"].nunique() == 2
    ((x, _),) = marks_of(axes, frame.looks["mistral"], "random")
    assert x == pytest.approx(mine["gpu_hours"].sum()) and x > 0


def test_without_a_gpu_the_axis_counts_cores(full, tmp_path):
    figure = draw(tables(full, tmp_path, change=lambda jobs: jobs.assign(gpu_hours=0.0)))
    assert not faults(figure)
    assert "CPU core-hours" in words(figure) and "GPU-hours" not in words(figure)


def test_what_is_missing_is_said(full, tmp_path):
    def without_caduceus(jobs):
        return jobs[(jobs["model"] != "caduceus") | (jobs["analysis"] == "pretrain")]

    figure = draw(tables(full, tmp_path, change=without_caduceus))
    assert not faults(figure)
    caption = " ".join(words(figure))
    assert "The pretraining of DNABERT-2 was paid elsewhere" in caption
    assert "Caduceus-PS (no cost in the ledger)" in caption
    assert "What took no GPU stands at the left edge." in caption
    assert any(axes.texts for part in figure.subfigs for axes in part.axes), "an arrow where a cost is not all"


def test_a_ledger_of_pretraining_alone_is_a_page_that_says_so(full, tmp_path):
    figure = draw(tables(full, tmp_path, change=lambda jobs: jobs[jobs["analysis"] == "pretrain"]))
    assert not faults(figure)
    assert any(text.startswith("No ") for text in words(figure))


def test_tasks_that_only_some_models_have_do_not_move_the_means(full, tmp_path):
    """An arm with a task less is compared on the tasks of all; one with hardly any is left out, and said."""
    directory = shutil.copytree(full, tmp_path / "tables")
    scores = pd.read_csv(directory / "scores.csv")
    gb = read(directory).tasks.query("suite == 'gb'")["task"].tolist()
    lacking = (scores["model"] == "mistral") & (scores["analysis"] == "finetune") & (scores["task"] == gb[0])
    hardly = (scores["model"] == "nt500m") & (scores["analysis"] == "finetune") & scores["task"].isin(gb[1:])
    scores[~lacking & ~hardly].to_csv(directory / "scores.csv", index=False)
    figure, frame = draw(directory), read(directory)
    axes = panel(figure, f"Genomic Benchmarks, fine-tuning ({len(gb) - 1} tasks)")
    own = scores[(scores["analysis"] == "finetune") & scores["task"].isin(gb[1:]) & (scores["init"] == "random")]
    ((_, value),) = marks_of(axes, frame.looks["hyenadna"], "random")
    assert value == pytest.approx(own.loc[own["model"] == "hyenadna", "value"].mean())
    assert len(marks_of(axes, frame.looks["nt500m"], "random")) == 0
    caption = " ".join(words(figure))
    assert "NT-500M (other tasks) in Genomic Benchmarks" in caption


def test_an_arm_that_read_its_tasks_rows_takes_the_pretrainings_on_these_alone():
    """One pretraining a sequence set; of other arms one a model, whatever genome it read."""
    jobs = [("pretrain", "genome", "pretrained", 64.0), ("pretrain", "genome", "dinucleotide", 32.0)]
    jobs += [("pretrain", task, "self", hours) for task, hours in (("H3", 1.0), ("H3.pct10", 2.0), ("H4", 4.0))]
    ledger = pd.DataFrame(jobs, columns=["analysis", "task", "init", "hours"]).assign(model="m")
    arms = ("pretrained", "dinucleotide", "copy", "random", "self")
    spent = {
        arm: cost.pretraining_of("m", arm, ["H3", "H3.permuted", "H4"], cost.pretraining(ledger, "hours"))
        for arm in arms
    }
    assert spent == {"pretrained": 64, "dinucleotide": 32, "copy": 64, "random": 0, "self": 5}
