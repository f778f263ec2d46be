"""The ledger: every job once, whoever tells of it, and sums that are those of the jobs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundationless.__main__ import main
from foundationless.evaluation.records import Result, flatten, read_record, write_record
from foundationless.evaluation.task_summary import average_records
from foundationless.features import embedding_files
from foundationless.reporting.tables import cost_ledger

GPU = {"device": "NVIDIA X", "gpus": 2, "threads": 4, "seconds": 1800.0, "peak_memory_mb": 10.0}
GPU |= {"peak_device_memory_mb": 99.0, "energy_j": 7.2e6, "attempts": 3}
CPU = {"device": "cpu", "gpus": 0, "threads": 8, "seconds": 900.0, "peak_memory_mb": 20.0, "attempts": 1}
FACTS = {"model": "m", "init": "pretrained", "seed": 0, "cost": {**GPU, "tokens": 5, "unique_fraction": 1.0}}


@pytest.fixture
def told(tmp_path):
    """`told(cost, **identity)`: a record on disk, read back."""

    def record(cost, *, results=(), **identity):
        identity = {"analysis": "finetune", "task": "t", "model": "m", "init": "pretrained", "seed": 0} | identity
        results = results or [Result("mcc", 0.5, 10), Result("mcc", 0.6, 10, selection="test")]
        write_record(tmp_path / "record.json", **identity, parameters=1, settings={}, results=results, cost=cost)
        return read_record(tmp_path / "record.json")

    return record


def test_a_job_of_two_selections_is_one_row_with_hours_of_gpus_and_threads(told):
    jobs = cost_ledger.ledger(flatten([told(GPU), told(CPU, init="baseline", model="gc"), told(CPU, seed=1)]))
    assert list(jobs.columns) == cost_ledger.LEDGER and len(jobs) == 3
    row = jobs[(jobs["rule"] == "finetune_model") & (jobs["seed"] == 0)].iloc[0]
    assert row["gpu_hours"] == 0.5 * 2 and row["cpu_hours"] == 0.5 * 4 and row["energy_kwh"] == 2.0
    assert row["attempts"] == 3 and row["device"] == "NVIDIA X" and row["peak_device_memory_mb"] == 99
    baseline = jobs[jobs["rule"] == "fit_baseline"].iloc[0]
    assert baseline["gpu_hours"] == 0 and baseline["cpu_hours"] == 900 * 8 / 3600 and np.isnan(baseline["energy_kwh"])


def test_an_embedding_that_several_jobs_read_is_paid_once(told):
    cost = CPU | embedding_files.of_embedding("t.shot16", FACTS)
    jobs = [told(cost, analysis=name, task=task) for name, task in
            (("biotype", "t"), ("fewshot", "t.shot16"), ("fewshot", "t.shot64"), ("clustering", "t"))]  # fmt: skip
    jobs += [told(cost, analysis="biotype", seed=seed) for seed in (1, 2)]
    other = FACTS | {"init": "random", "seed": 1}
    jobs += [told(CPU | embedding_files.of_embedding("t", other), analysis="biotype", init="random", seed=1)]
    found = cost_ledger.ledger(flatten(jobs))
    embedded = found[found["rule"] == "embed"]
    arms = [["embeddings", "t", "m", "pretrained", 0], ["embeddings", "t", "m", "random", 1]]
    assert embedded[["analysis", "task", "model", "init", "seed"]].values.tolist() == arms
    assert set(embedded["gpu_hours"]) == {1.0} and set(embedded["attempts"]) == {3}
    assert found["gpu_hours"].sum() == 2.0, "the probes of an embedding on a GPU ran without one"
    assert found["rule"].value_counts().to_dict() == {"probe": 6, "embed": 2, "cluster_embeddings": 1}


def test_records_of_before_count_their_gpu_and_one_try(told):
    old = {"device": "NVIDIA X", "seconds": 3600.0, "peak_memory_mb": 1.0, "peak_device_memory_mb": 5.0}
    jobs = cost_ledger.ledger(flatten([told(old), told({"device": "cpu", "seconds": 3600.0}, seed=1)]))
    assert jobs["gpu_hours"].tolist() == [1.0, 0.0] and jobs["cpu_hours"].tolist() == [1.0, 1.0]
    assert jobs["attempts"].tolist() == [1, 1] and jobs["threads"].isna().all()


def write(directory, name, text="s\th:m:s\tmax_rss\n7.2\t0:00:07\t120.5\n"):
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text)


def test_rules_without_records_come_from_benchmarks(told, tmp_path, caplog):
    seen = tmp_path / "benchmarks"
    write(seen, "initialise/m.demo/random/seed3.tsv")
    write(seen, "download_weights/m/seed0.tsv", "s\tmax_rss\n4\t1\n8\t3\n")
    write(seen, "build_sequences/t.tsv", "s\tmax_rss\n1.5\tNA\n")
    write(seen, "summarise_analysis/biotype.tsv")
    write(seen, "train_tokenizer/m.tsv")
    write(seen, "collect_tables.tsv")
    write(seen, "audit_task/cut.tsv", "s\th:m")
    write(seen, "audit_task/empty.tsv", "")
    write(seen, "finetune_model/finetune/t/m/pretrained/seed0.tsv")  # its record tells
    write(seen, "score_variants/t/m/pretrained/seed0.tsv")  # of a rule that is no longer there
    write(seen, "probe/biotype/t/m/pretrained/seed9.tsv")  # of a job that is no longer in the study
    write(seen, "embed/t/m/pretrained/seed0.tsv")  # told by the probe
    write(seen, "embed/u/m/random/seed1.tsv")
    jobs = [told(GPU), told(CPU | embedding_files.of_embedding("t", FACTS), analysis="biotype")]
    found = cost_ledger.ledger(flatten(jobs), seen).set_index("rule")
    assert len(found) == 10 and found.index.value_counts()["embed"] == 2
    row = found.loc["initialise"]
    assert (row["model"], row["init"], row["seed"], row["task"]) == ("m.demo", "random", 3, "")
    assert row["cpu_hours"] == 7.2 / 3600 and row["gpu_hours"] == 0 and row["peak_memory_mb"] == 120.5
    assert found.loc["download_weights", ["model", "seconds", "peak_memory_mb"]].tolist() == ["m", 6.0, 3.0]
    assert found.loc["build_sequences", "task"] == "t" and np.isnan(found.loc["build_sequences", "peak_memory_mb"])
    assert found.loc["summarise_analysis", ["analysis", "task", "model"]].tolist() == ["biotype", "", ""]
    assert found.loc["train_tokenizer", "model"] == "m" and found.loc["collect_tables", "task"] == ""
    assert found.loc["embed", "seconds"].tolist() == [1800.0, 7.2]
    assert caplog.text.count("no benchmark") == 2
    assert len(cost_ledger.ledger(flatten(jobs), tmp_path / "nowhere")) == 3


def test_nothing_ran():
    jobs = cost_ledger.ledger(pd.DataFrame(columns=["analysis", "task", "model", "init", "metric", "value"]))
    assert list(jobs.columns) == cost_ledger.LEDGER and jobs.empty
    assert list(cost_ledger.by_model(jobs).columns) == cost_ledger.BY_MODEL and cost_ledger.by_model(jobs).empty


ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("tu"), st.integers(0, 3), st.integers(0, 2), st.floats(1, 1e4)),
    max_size=12, unique_by=lambda row: row[:3],
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, copies=st.integers(1, 3))
def test_sums_are_those_of_the_jobs_however_often_their_rows_stand(rows, copies):
    names = ["model", "task", "seed", "gpus", "seconds"]
    flat = pd.DataFrame(rows, columns=names).assign(analysis="finetune", init="random", threads=2, metric="mcc")
    jobs = cost_ledger.ledger(pd.concat([flat] * copies, ignore_index=True).sample(frac=1, random_state=0))
    assert len(jobs) == len(rows)
    assert jobs["gpu_hours"].sum() == pytest.approx(sum(row[3] * row[4] for row in rows) / 3600)
    summed = cost_ledger.by_model(jobs)
    assert summed["gpu_hours"].sum() == pytest.approx(jobs["gpu_hours"].sum())
    assert summed["cpu_hours"].sum() == pytest.approx(sum(2 * row[4] for row in rows) / 3600)
    assert summed["jobs"].sum() == len(rows)


def test_energy_is_of_every_gpu_or_of_none(told):
    silent = {key: value for key, value in GPU.items() if key != "energy_j"}
    jobs = [told(GPU, task=task, seed=seed) for task in "tu" for seed in (0, 1)]
    jobs += [told(CPU, task="t", seed=2), told(silent, task="u", seed=2), told(CPU, task="v")]
    found = cost_ledger.by_model(cost_ledger.ledger(flatten(jobs))).set_index("task")
    assert found.loc["t", "energy_kwh"] == 4.0, "a job without a GPU takes none"
    assert np.isnan(found.loc["u", "energy_kwh"]) and np.isnan(found.loc["v", "energy_kwh"])
    assert found.loc["t", "peak_memory_mb"] == 20 and found.loc["t", "attempts"] == 7


def test_costs_do_not_part_the_seeds_of_an_analysis_without_predictions(told):
    """Every seed embeds for itself, in a time of its own: their scores are still one mean."""
    jobs = []
    for seed, value in enumerate((0.2, 0.4, 0.9)):
        facts = FACTS | {"init": "random", "seed": seed, "cost": FACTS["cost"] | {"seconds": 10.0 + seed}}
        cost = CPU | {"threads": 1 + seed} | embedding_files.of_embedding("t", facts)
        results = [Result("ari", value, 10, extra={"pooling": "max"})]
        jobs.append(told(cost, analysis="clustering", init="random", seed=seed, results=results))
    scores = average_records(jobs)
    assert scores[["value", "seeds", "pooling"]].values.tolist() == [[0.5, 3, "max"]]


def test_the_command_writes_the_ledger(told, tmp_path):
    flat = flatten([told(GPU), told(CPU, seed=1)])
    flat.to_parquet(tmp_path / "records.parquet")
    write(tmp_path, "benchmarks/initialise/m/random/seed0.tsv")
    write(tmp_path, "tasks.tsv", "task\tsuite\tsuite_label\tgroup\tlabel\nt\tnt\tNT\tmarks\tT\n")
    for name in ("scores", "comparisons"):
        write(tmp_path, f"{name}.csv", "analysis,task,model,init,versus,metric,value,delta,selection\n")
    flags = {"scores": "scores.csv", "comparisons": "comparisons.csv", "records": "records.parquet"}
    flags |= {"tasks": "tasks.tsv", "benchmarks": "benchmarks", "output": "tables"}
    words = [word for flag, name in flags.items() for word in (f"--{flag}", str(tmp_path / name))]
    assert main(["collect_tables", *words, "--models", '{"m": {"label": "M", "order": 0, "kind": "model"}}']) == 0
    assert pd.read_csv(tmp_path / "tables" / "models.csv")["label"].tolist() == ["M"], "given inline, as a plan does"
    jobs = pd.read_csv(tmp_path / "tables" / "cost.csv")
    assert jobs["rule"].tolist() == ["finetune_model", "finetune_model", "initialise"]
    summed = pd.read_csv(tmp_path / "tables" / "cost_by_model.csv", keep_default_na=False)
    expected = [["m", "t", "pretrained", 2], ["m", "", "random", 1]]
    assert summed[["model", "task", "init", "jobs"]].values.tolist() == expected


def test_what_was_computed_elsewhere_has_an_unknown_cost_and_so_have_its_sums(told):
    whose = {"task": "t", "model": "evo", "init": "pretrained", "seed": 0, "seconds": None, "tokens": None}
    jobs = [told(CPU | {"embedding": whose}, analysis=name, model="evo") for name in ("biotype", "clustering")]
    jobs += [told(CPU | {"outside": whose | {"init": "baseline"}}, analysis="likelihood", model="evo", init="baseline")]
    jobs += [told(CPU | embedding_files.of_embedding("t", FACTS), analysis="biotype")]
    found = cost_ledger.ledger(flatten(jobs))
    rules = ["cluster_embeddings", "embed", "import_scores", "outside", "outside", "probe", "probe"]
    assert found["rule"].tolist() == rules
    elsewhere = found[found["rule"] == "outside"]
    assert elsewhere["analysis"].tolist() == ["embeddings", "likelihood"]
    assert elsewhere[["seconds", "gpu_hours", "cpu_hours", "energy_kwh"]].isna().all(axis=None)
    sums = cost_ledger.by_model(found).set_index("model")
    assert sums.loc["evo", ["gpu_hours", "cpu_hours"]].isna().all(axis=None), "unknown, and not 0"
    assert sums.loc["m", "gpu_hours"] == 1.0
