"""The estimate of a study's cost: work as the formula says, shared parts counted once, limits and shares respected."""

import re

import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.study import vocabulary
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.price.devices import DEVICES
from foundationless.study.price.estimate import Calibration, Machine, estimate, list_jobs, longest_chain
from foundationless.study.price.workload import Workload, parameters, read_sizes
from support import ROOT

SIZES = {"EMP_H3": {"train": 1000, "validation": 100, "test": 100, "length": 600}}


@pytest.fixture
def config():
    return read_yaml(ROOT / "config/mistral.yaml")


def total(config, sizes=SIZES, flops=1e12, rule="total", target="all"):
    found, _ = estimate(read_study(config), sizes, flops)
    return found[(found["target"] == target) & (found["rule"] == rule)].iloc[0]


def test_pretraining_costs_six_operations_per_parameter_and_token(config):
    settings = config["pretraining"] | (config["models"]["mistral"].get("pretraining") or {})
    tokens = settings["steps"] * settings["batch_size"] * settings["window"]
    legs, last = (total(config, rule=rule, flops=6e13) for rule in ("pretrain_leg", "pretrain"))
    assert legs["jobs"] > 40 and last["jobs"] == 1
    assert legs["gpu_hours"] + last["gpu_hours"] == pytest.approx(6 * 579680640 * tokens / 6e13 / 3600, rel=0.01)


def test_a_faster_gpu_and_less_data_cost_less(config):
    assert total(config, flops=2e12)["gpu_hours"] < total(config, flops=1e12)["gpu_hours"]
    whole = total(config, rule="finetune_model")["gpu_hours"]
    config["limits"] = {"mini_H3": {"train": 10, "validation": 10, "test": 10}}
    assert total(config, rule="finetune_model")["gpu_hours"] < whole


def test_what_targets_share_counts_once_and_tasks_of_unknown_size_are_named(config):
    found, unknown = estimate(read_study(config), SIZES, 1e12)
    made = found[found["rule"] == "pretrain"].set_index("target")["jobs"]
    assert made["all"] == 1 and made.drop("all").sum() > 1
    assert "mini_H3" not in unknown and "mini_splice" in unknown


@pytest.mark.parametrize(("width", "layers", "times"), [(128, 2, 1), (256, 2, 4), (128, 4, 2)])
def test_parameters_grow_with_depth_and_the_square_of_the_width(width, layers, times):
    entry = read_yaml(ROOT / "config/models.yaml")["hyenadna"]
    config = entry["config"] | {"d_model": width, "n_layer": layers}
    assert parameters(entry, config) == times * entry["parameters"]


def paper():
    return read_study(read_yaml(ROOT / "config/paper.yaml"))


def ledger(workload, rules, factor):
    """What jobs would have cost that took `factor(rule, model)` times the estimate, and one that nobody knows."""
    rows = []
    for job in workload.plan.cells:
        rule = workload.plan.rule_of(job)
        if rule in rules:
            names = {name: getattr(job, name) for name in ("analysis", "task", "model", "init")}
            seconds = workload.told(rule, **names) * factor(rule, job.model)
            rows.append({"rule": rule, **job._asdict(), "gpus": 1, "seconds": seconds})
    return pd.DataFrame([*rows, {"rule": "finetune_model", "task": "none", "model": "none", "seconds": 5.0}])


def test_a_ledger_corrects_the_estimate_by_rule_and_model():
    """The oracle is the ledger's own sum: calibrated on every job of a rule, the estimate of that rule is it, and the
    start of every job, which no ledger tells."""
    study = paper()
    workload = Workload(study, SIZES)
    factors = {"hyenadna": 0.5, "mistral": 4.0}
    measured = ledger(workload, ("finetune_model", "probe"), lambda rule, model: factors.get(model, 2.0))
    calibration = Calibration.read(measured, workload)
    assert calibration.factor("finetune_model", "hyenadna") == pytest.approx(0.5)
    assert calibration.factor("finetune_model", "mistral") == pytest.approx(4.0)
    assert calibration.factor("finetune_model", "of_no_ledger") == pytest.approx(2.0), "the rule's, where it has no own"
    assert calibration.factor("pretrain", "mistral") == 1, "nothing is known of this rule"
    assert calibration.skipped == 1
    found, _ = estimate(study, SIZES, workload.device, calibration=calibration)
    made = found[(found["target"] == "all") & found["rule"].isin(["finetune_model", "finetune_part"])]
    jobs = list_jobs(workload, study.cells, calibration, whole=True).items()
    trained = sum(key[0] in ("finetune_model", "finetune_part") and node.work.gpu > 0 for key, node in jobs)
    told = measured[measured["rule"] == "finetune_model"]["seconds"].sum() + workload.device.start * trained
    assert made["gpu_hours"].sum() == pytest.approx(told / 3600)
    table = calibration.table.set_index("rule")
    assert table.loc["finetune_model", "median_ratio"] == pytest.approx(2.0)
    counted = sum(
        workload.of("probe", cell.analysis, cell.task, cell.model, cell.init).seconds - workload.device.start
        for cell in study.cells
        if cell.init != "baseline" and vocabulary.ANALYSES[cell.analysis].rule == "probe"
    )
    hours = measured[measured["rule"] == "probe"]["seconds"].sum() / 3600
    assert table.loc["probe", "measured_hours"] == pytest.approx(hours)
    assert table.loc["probe", "estimated_hours"] == pytest.approx(counted / 3600)


def test_the_ledger_of_another_study_corrects_its_rules_and_other_devices_do_not():
    """The demo's jobs, which the paper's study does not have: known by their own study, and only on a like device."""
    demo = read_study(read_yaml(ROOT / "config/config.yaml"))
    for name, gpus in (("a100", 1), ("cpu", 0)):
        there, here = Workload(demo, {}, DEVICES[name]), Workload(paper(), SIZES, DEVICES[name])
        measured = ledger(there, ("finetune_model", "fit_baseline"), lambda rule, model: 3.0).assign(gpus=gpus)
        calibration = Calibration.read(measured, here, there)
        assert calibration.factor("finetune_model", "ntv2") == pytest.approx(3.0), name
        assert (calibration.skipped, calibration.elsewhere) == (1, 0)
        whole = calibration.table.set_index("rule").loc["total"]
        assert whole["ratio"] == pytest.approx(3.0) and whole["jobs"] == len(measured) - 1
        other = Calibration.read(measured.assign(gpus=1 - gpus), here, there)
        assert other.factor("finetune_model", "ntv2") == 1, "what a GPU took says nothing about a core"
        assert other.factor("fit_baseline", "kmer_svm") == pytest.approx(3.0) and other.elsewhere > 0
        with pytest.raises(UserError, match="--ledger-study"):
            Calibration.read(measured[measured["rule"] == "finetune_model"], here)


def test_a_core_does_what_a_gpu_did_and_a_job_starts_at_once():
    """On a CPU networks take cores; a job of no work costs its start and no more."""
    study = read_study(read_yaml(ROOT / "config/config.yaml"))
    on_gpu, on_core = (estimate(study, {}, DEVICES[name])[0].set_index(["target", "rule"]) for name in ("a100", "cpu"))
    assert on_core["gpu_hours"].max() == 0 < on_gpu.loc[("all", "total"), "gpu_hours"]
    assert (on_core["jobs"] == on_gpu["jobs"]).all()
    for name, device in DEVICES.items():
        work = Workload(
            study, {"sim_mark": dict.fromkeys(("train", "validation", "test"), 0.0) | {"length": 1}}, device
        )
        idle = work.of("fit_baseline", "finetune", "sim_mark", "majority", "baseline").seconds
        assert idle == pytest.approx(device.start, abs=1e-9), name


# Tokens of 8 x 1,000 nucleotides, and tokens per second of two threads: models/README.md (2026-11-21, fp32).
FULL_SIZE = {
    "hyenadna": (8008, 29_866), "ntv2": (1368, 1480), "genalm": (1451, 748), "dnabert2": (1724, 363),
    "caduceus": (8008, 870),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FULL_SIZE))
def test_a_core_is_as_fast_as_was_measured_at_full_size(name):
    """Within the factor of three that every rule is allowed; the demo's jobs are the other end."""
    tokens, speed = FULL_SIZE[name]
    workload = Workload(paper(), {"H3": dict.fromkeys(("train", "validation"), 0.0) | {"test": 8000, "length": 1000}})
    core = Workload(workload.plan, workload.sizes, DEVICES["cpu"])
    seconds = core.told("embed", analysis="embeddings", task="gue_emp_H3", model=name, init="random")
    assert 1 / 3 <= seconds / (1000 * 2 * tokens / speed) <= 3


def test_a_ledger_without_its_columns_or_jobs_is_refused():
    workload = Workload(paper(), SIZES)
    with pytest.raises(UserError, match="no column 'gpus'"):
        Calibration.read(ledger(workload, ("probe",), lambda rule, model: 1).drop(columns="gpus"), workload)
    row = {"rule": "embed", "analysis": "", "task": "x", "model": "y", "init": "random", "gpus": 1, "seconds": 1.0}
    with pytest.raises(UserError, match="no job of this study"):
        Calibration.read(pd.DataFrame([row]), workload)


def test_wall_time_is_the_work_shared_out_but_never_less_than_the_longest_chain():
    study = paper()
    chain, keys = longest_chain(list_jobs(Workload(study, SIZES, 1e13), study.cells, Calibration(), whole=True))
    rules = [key[0] for key in keys]
    assert rules.index("pretrain") < rules.index("finetune_model") < rules.index("write_report")

    def wall(gpus, cores):
        found, _ = estimate(study, SIZES, 1e13, Machine(gpus, cores))
        return found[(found["target"] == "all") & (found["rule"] == "total")].iloc[0]

    one, many, endless = wall(1, 1), wall(8, 8), wall(10**9, 10**9)
    assert one["wall_hours"] == pytest.approx(max(one["gpu_hours"], one["cpu_hours"]))
    assert many["wall_hours"] == pytest.approx(one["wall_hours"] / 8)
    assert endless["wall_hours"] == pytest.approx(chain / 3600)


def test_every_job_waits_for_jobs_that_are_there():
    study = paper()
    jobs = list_jobs(Workload(study, SIZES), study.cells, Calibration(), whole=True)
    seen = set()
    for key, job in jobs.items():
        assert set(job.parents) <= seen, key
        seen.add(key)
    first = {parent[0] for key, job in jobs.items() if key[0] == "probe" for parent in job.parents}
    assert first == {"embed", "build_sequences", "derive_sequences"}


def test_more_probes_poolings_components_and_folds_cost_more():
    """Each by itself: a fit for every probe, pooling, number of components and fold."""

    def seconds(**over):
        changed = read_yaml(ROOT / "config/paper.yaml")
        changed["probing"] |= {"probes": ["xgboost"], "poolings": ["max"]} | over
        changed["analyses"]["frozen"].pop("probing", None)
        return (
            Workload(read_study(changed), SIZES).of("probe", "frozen", "gue_emp_H3", "ntv2").cpu - DEVICES["a100"].start
        )

    one = seconds()
    assert seconds(probes=["xgboost", "logistic"]) > 1.001 * one
    assert seconds(poolings=["max", "mean"]) == seconds(pca=[16]) == pytest.approx(2 * one)
    assert seconds(cv_folds=5) == pytest.approx(6 * one)


def test_every_layer_that_is_kept_is_stored_and_probed():
    """All of NT v2's 12 layers and its embedding: 13 times the bytes and fits, and not one pass of the network more."""
    works = {}
    for layers in ("last", "all", [0, 1]):
        changed = read_yaml(ROOT / "config/paper.yaml")
        changed["analyses"]["frozen"] |= {"layers": layers}
        works[str(layers)] = Workload(read_study(changed), SIZES)
    names = {"task": "gue_emp_H3", "model": "ntv2", "analysis": "frozen"}
    embeds = {layers: work.of("embed", **names | {"analysis": ""}) for layers, work in works.items()}
    probes = {layers: work.of("probe", **names).cpu - DEVICES["a100"].start for layers, work in works.items()}
    assert len({work.gpu for work in embeds.values()}) == 1
    for layers, times in (("all", 13), ("[0, 1]", 3)):
        assert embeds[layers].size == pytest.approx(times * embeds["last"].size)
        assert probes[layers] == pytest.approx(times * probes["last"])


def test_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["plan", "--configfile", "config/paper.yaml", "--rules"]) == 0
    assert "finetune_model" in capsys.readouterr().out
    rows = "rule,analysis,task,model,init,seed,gpus,seconds\nprobe,frozen,gue_emp_H3,ntv2,random,0,0,7200\n"
    (tmp_path / "cost.csv").write_text(rows)
    flags = ["--gpus", "4", "--cores", "16", "--ledger", str(tmp_path / "cost.csv")]
    assert main(["plan", "--configfile", "config/paper.yaml", *flags]) == 0
    out = capsys.readouterr().out
    assert "4 GPUs, 16 cores" in out and "pretrain mistral" in out and "median_ratio" in out
    assert re.search(r"^ *total +1 ", out, re.M) and "a100: 60 TFLOP/s sustained on a GPU" in out
    rows = rows.replace("frozen,gue_emp_H3,ntv2", "biotype,sim_biotype,ntv2.demo")
    (tmp_path / "cost.csv").write_text(rows)
    flags = ["--device", "cpu", "--tflops", "0.5", "--ledger", str(tmp_path / "cost.csv")]
    assert main(["plan", "--configfile", "config/mistral.yaml", *flags]) == 2
    assert "--ledger-study" in capsys.readouterr().err
    assert main(["plan", "--configfile", "config/mistral.yaml", *flags, "--ledger-study", "config/config.yaml"]) == 0
    assert "cpu: 0.5 TFLOP/s sustained on a core" in capsys.readouterr().out
    (tmp_path / "bad.csv").write_text("rule\nprobe\n")
    for odd in ("bad.csv", "none.csv", "."):
        assert main(["plan", "--configfile", "config/config.yaml", "--ledger", str(tmp_path / odd)]) == 2
        assert main(["plan", "--configfile", "config/config.yaml", "--reported", str(tmp_path / odd)]) == 2
        assert main(["plan", "--configfile", "config/config.yaml", "--components", str(tmp_path / odd)]) == 2
    (tmp_path / "broken.yaml").write_text("- 1")
    assert main(["plan", "--configfile", str(tmp_path / "broken.yaml")]) == 2
    assert main(["plan", "--configfile", str(tmp_path / "none.yaml")]) == 2
    for cells in ("many\t1\t1\t1", "1\t1\t1\t0", "-5\t1\t1\t1", "nan\t1\t1\t1", "1\tinf\t1\t1"):
        (tmp_path / "sizes.tsv").write_text(f"task\ttrain\tvalidation\ttest\tlength\nH3\t{cells}\n")
        assert main(["plan", "--configfile", "config/config.yaml", "--sizes", str(tmp_path / "sizes.tsv")]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "model"), [("trial", "dnabert2"), ("trial", "hyenadna"), ("study", ""), ("paper", "")]
)
def test_the_readme_states_the_prices_of_the_shipped_studies(name, model):
    config = read_yaml(ROOT / f"config/{name}.yaml")
    if model:
        config["models"] = {model: {}}
    label = {"dnabert2": "DNABERT-2", "hyenadna": "HyenaDNA"}.get(model, "")
    rows = [line.split(" | ") for line in (ROOT / "README.md").read_text().splitlines()]
    (row,) = [row for row in rows if row[0].startswith(f"| `config/{name}.yaml`") and label in row[0] and len(row) == 5]
    whole = total(config, read_sizes(ROOT / "resources/lists/task_sizes.tsv"), DEVICES["a100"])
    stated = [float(cell.replace(",", "")) for cell in row[1:3]]
    assert [round(whole["gpu_hours"], 1 if model else None), whole["jobs"]] == stated
    assert whole["jobs"] <= 15_000 and (name != "study" or whole["gpu_hours"] <= 15_000)
