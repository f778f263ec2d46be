"""The figure of costs: points stand where ledger and scores put them, and what is missing is said."""

import shutil

import numpy as np
import pandas as pd
import pytest

from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables import cost_ledger
from support.figure_tables import write_tables
from support.figures import faults, laid_out, marks_of, panels, words

# GPU-hours; of DNABERT-2 nobody knows.
PRETRAINED = {"hyenadna": 0.5, "caduceus": 2.0, "mistral": 30.0, "nt500m": 900.0, "ntv2": 50.0, "genalm": 20.0}
MODELS = [*PRETRAINED, "dnabert2"]


def ledger(frame, gpu=True, seed=0):
    """A made-up ledger of two seeds for every scored arm: models on a GPU, baselines on a CPU."""
    generator = np.random.default_rng(seed)
    rows = []
    for row in frame.scores.drop_duplicates(["analysis", "task", "model", "init"]).to_dict("records"):
        network = row["model"] not in frame.baselines
        for each in (0, 1):
            hours = generator.uniform(0.05, 0.2) * (1 + MODELS.index(row["base"]) if network else 0.1)
            job = {key: row[key] for key in ("analysis", "task", "model", "init")} | {"rule": "r", "seed": each}
            probed = network and row["analysis"] in ("biotype", "ancestry", "frozen")
            parts = [(job, 0.1 * hours)] if probed else [(job, hours)]
            if probed:
                parts.append((job | {"analysis": cost_ledger.EMBEDDINGS, "rule": "embed"}, hours))
            for part, time in parts:
                on_gpu = gpu and network and not (probed and part is job)
                rows.append(part | {"seconds": 3600 * time, "gpu_hours": time * on_gpu, "cpu_hours": time})
    for model, hours in PRETRAINED.items():
        job = {"rule": "pretrain", "analysis": "pretrain", "task": "genome", "model": model, "init": "pretrained"}
        rows.append(job | {"seed": 0, "seconds": 3600 * hours, "gpu_hours": hours * gpu, "cpu_hours": hours})
    return pd.DataFrame(rows).reindex(columns=cost_ledger.LEDGER)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("cost") / "tables", suites=("gb",))


def tables(plain, directory, *, change=lambda jobs: jobs, **how):
    shutil.copytree(plain, directory / "tables")
    jobs = change(ledger(read(plain), **how))
    jobs.to_csv(directory / "tables" / "cost.csv", index=False)
    return directory / "tables"


def draw(directory):
    return laid_out(resolve("cost")(read(directory, "Synthetic.")))


def panel(figure, title):
    (axes,) = [axes for axes in panels(figure) if " ".join(axes.get_title(loc="left").split()) == title]
    return axes


def test_points_are_the_sums_of_the_ledger_and_the_means_of_the_scores(plain, tmp_path):
    directory = tables(plain, tmp_path)
    figure, frame = draw(directory), read(directory)
    assert not faults(figure)
    jobs = pd.read_csv(directory / "cost.csv")
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


def test_a_probed_arm_pays_for_its_embedding(plain, tmp_path):
    directory = tables(plain, tmp_path)
    axes, frame = panel(draw(directory), "Biotype, frozen features"), read(directory)
    jobs = pd.read_csv(directory / "cost.csv")
    mine = jobs[(jobs["task"] == "biotype") & (jobs["model"] == "mistral") & (jobs["init"] == "random")]
    mine = mine[mine["analysis"].isin(["biotype", cost_ledger.EMBEDDINGS])]
    assert mine["analysis"].nunique() == 2
    ((x, _),) = marks_of(axes, frame.looks["mistral"], "random")
    assert x == pytest.approx(mine["gpu_hours"].sum()) and x > 0


def test_without_a_gpu_the_axis_counts_cores(plain, tmp_path):
    figure = draw(tables(plain, tmp_path, gpu=False))
    assert not faults(figure)
    assert "CPU core-hours" in words(figure) and "GPU-hours" not in words(figure)


def test_what_is_missing_is_said(plain, tmp_path):
    def without_caduceus(jobs):
        return jobs[(jobs["model"] != "caduceus") | (jobs["analysis"] == "pretrain")]

    figure = draw(tables(plain, tmp_path, change=without_caduceus))
    assert not faults(figure)
    caption = " ".join(words(figure))
    assert "The pretraining of DNABERT-2 was paid elsewhere" in caption
    assert "Caduceus-PS (no cost in the ledger)" in caption
    assert "What took no GPU stands at the left edge." in caption
    assert any(axes.texts for part in figure.subfigs for axes in part.axes), "an arrow where a cost is not all"


@pytest.mark.parametrize("missing", ["file", "rows", "jobs"])
def test_no_ledger_is_a_page_that_says_so(plain, tmp_path, missing):
    changes = {"rows": lambda jobs: jobs.iloc[:0], "jobs": lambda jobs: jobs[jobs["analysis"] == "pretrain"]}
    directory = tables(plain, tmp_path, change=changes.get(missing, lambda jobs: jobs))
    if missing == "file":
        (directory / "cost.csv").unlink()
    figure = draw(directory)
    assert not faults(figure)
    assert any(text.startswith("No ") for text in words(figure))


def test_tasks_that_only_some_models_have_do_not_move_the_means(plain, tmp_path):
    """An arm with a task less is compared on the tasks of all; one with hardly any is left out, and said."""
    directory = tables(plain, tmp_path)
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
