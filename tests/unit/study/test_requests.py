"""What jobs ask of a cluster: within bounds, more on a retry, more for larger models and sets, and no rule left out."""

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundationless.study import vocabulary
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.families import width_of
from foundationless.study.price import workload
from foundationless.study.price.estimate import Calibration, list_jobs
from foundationless.study.price.requests import CAP_MEMORY, CAP_MINUTES, FLOOR_MEMORY, FLOOR_MINUTES, Allocation
from support import ROOT

SIZES = workload.read_sizes(ROOT / "resources/lists/task_sizes.tsv")
GPU_RULES = {
    "embed", "finetune_model", "finetune_part", "pretrain", "pretrain_leg", "score_sensitivity", "score_similarity",
    "score_likelihood", "score_mutagenesis", "score_bases", "probe_variants", "explain", "pretrain_control",
    "pretrain_self", "pretrain_cells", "finetune_effects", "finetune_shots",
}  # fmt: skip


OF_DEPTH = {
    "structure": "probe_structure", "bases": "score_bases", "variant_probe": "probe_variants",
    "explanations": "explain", "fewshot_finetune": "finetune_shots",
}  # fmt: skip
OF_CELLS = {"analysis": "finetuned", "task": "norman", "model": "scgpt", "init": "random"}


def study(name="paper", **changes):
    config = read_yaml(ROOT / f"config/{name}.yaml") | changes
    config["tables"] = {key: str(ROOT / path) for key, path in config["tables"].items()}
    return read_study(config)


@pytest.fixture(scope="module")
def paper():
    """The paper's study, to whose models one that reads cells is added."""
    models = read_yaml(ROOT / "config/paper.yaml")["models"]
    return study(models=models | {"scgpt": {"arms": ["random"]}})


@pytest.fixture(scope="module")
def requests(paper):
    """(rule, wildcards) of every job that the paper's study plans, and of every rule that stands alone."""
    work = workload.Workload(paper, SIZES)
    found = {}
    for key in list_jobs(work, paper.cells, Calibration(), whole=True):
        rule, *rest = key
        names = dict(zip(("analysis", "task", "model", "init"), rest, strict=False)) if len(rest) in (5, 6) else {}
        if rule in ("build_sequences", "derive_sequences", "audit_task"):
            names = {"task": rest[0].split(".")[0]}
        elif rule == "summarise_analysis":
            names = {"analysis": rest[0]}
        elif rule == "embed":
            names = dict(zip(("task", "model", "init"), rest, strict=False))
        elif len(rest) == 3:
            names = {"model": rest[0], "init": rest[1]}
        found[rule, *names.items()] = rule, names
    alone = {name: {"task": "nt_H3"} for name in ("audit_corpus", "import_vectors", "import_scores")}
    alone |= {"import_weights": {"model": "ntv2"}} | {name: OF_CELLS for name in ("pretrain_cells", "finetune_effects")}
    arm = {"model": "ntv2", "init": "pretrained"}
    alone |= {"pretrain_control": {"model": "ntv2", "init": "dinucleotide"}}
    alone |= {"pretrain_self": {"model": "ntv2", "init": "self", "task": "nt_H3"}}
    alone |= {rule: {"analysis": name, "task": "nt_H3", **arm} for name, rule in OF_DEPTH.items()}
    for rule in vocabulary.RULES:
        if not any(known == rule for known, _ in found.values()):
            found[rule,] = rule, alone.get(rule, {})
    return list(found.values())


def test_every_rule_asks_within_bounds_and_for_more_when_tried_again(paper, requests):
    allocation = Allocation(workload.Workload(paper, SIZES))
    assert {rule for rule, _ in requests} == {*vocabulary.RULES}
    assert len(requests) > 2000
    for rule, names in requests:
        gpus = allocation.gpus(rule, **names)
        merges = rule == "finetune_model" and allocation.shares.finetuning(**names).parts
        assert (gpus > 0) == (rule in GPU_RULES and not merges), rule
        memory = [allocation.memory(rule, attempt, **names) for attempt in (1, 2, 3)]
        minutes = [allocation.minutes(rule, attempt, **names) for attempt in (1, 2, 3)]
        assert all(FLOOR_MEMORY <= value <= CAP_MEMORY for value in memory) and memory[0] <= 120_000, (rule, names)
        assert all(FLOOR_MINUTES <= value <= CAP_MINUTES[gpus > 0] for value in minutes), (rule, names)
        assert memory[0] < memory[1] < memory[2], (rule, names)
        assert allocation.memory(rule, 10, **names) == memory[2]  # a job that only continues needs no whole node
        assert minutes == sorted(minutes)
        assert minutes[0] < minutes[1] or minutes[0] == CAP_MINUTES[gpus > 0], (rule, names)
        assert all(type(value) is int for value in (*memory, *minutes))


def test_memory_holds_what_the_host_must_hold(paper):
    """The weights, read and copied; on a CPU also gradients and two moments; of features, two doubles a number."""
    allocation = Allocation(workload.Workload(PAPER, SIZES))
    tensors = 4 * 485_699_306 / 2**20
    names = {"analysis": "finetune", "task": "nt_H3", "model": "nt500m", "init": "random"}
    assert allocation.memory("initialise", model="nt500m", init="random") > 2 * tensors
    assert allocation.memory("finetune_model", **names) > 3 * tensors
    assert allocation.memory("finetune_model", gpu=0, **names) > 6 * tensors
    rows = 208214 + 23134 + 57713
    spectra = rows * sum(4**k for k in range(1, 7)) * (4 + 8 + 8) / 2**20
    names = {"analysis": "finetune", "task": "gb_human_ensembl_regulatory", "model": "kmer_logistic"}
    assert spectra < allocation.memory("fit_baseline", **names) < 4 * spectra


@pytest.mark.parametrize("gpu", [0, 1])
@pytest.mark.parametrize("rule", ["embed", "finetune_model", "score_likelihood"])
def test_a_larger_model_asks_for_more(rule, gpu):
    allocation = Allocation(workload.Workload(PAPER, SIZES))
    names = {"analysis": "width", "task": "biotype"}
    asked = [[measure(rule, gpu=gpu, model=f"ntv2.w{width}", **names) for width in (64, 512, 2048, 4096)]
             for measure in (allocation.memory, allocation.minutes)]  # fmt: skip
    assert asked == [sorted(values) for values in asked] and asked[0][0] < asked[0][-1]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 500_000),
    more=st.integers(2, 20),
    length=st.integers(10, 40_000),
    rule=st.sampled_from(["finetune_model", "embed", "probe", "fit_baseline", "build_sequences", "audit_task"]),
    gpu=st.sampled_from([0, 1]),
)
def test_more_rows_never_ask_for_less(rows, more, length, rule, gpu):
    model = "kmer_xgboost" if rule == "fit_baseline" else "ntv2"
    names = {"analysis": "finetune", "task": "nt_H3", "model": "" if rule in workload.NUCLEOTIDE else model}
    asked = []
    for number in (rows, rows * more):
        sizes = {"H3": {"train": number, "validation": number / 10, "test": number / 10, "length": length}}
        allocation = Allocation(workload.Workload(PAPER, sizes))
        asked.append((allocation.memory(rule, gpu=gpu, **names), allocation.minutes(rule, gpu=gpu, **names)))
    assert asked[0][0] <= asked[1][0] and asked[0][1] <= asked[1][1]
    if rows * length > 1e8:
        assert asked[0][0] < asked[1][0]


PAPER = study(longest_job=1e9)  # no job is cut


def test_epochs_folds_rates_and_rounds_take_time():
    def asked(rule, model, **changes):
        config = read_yaml(ROOT / "config/paper.yaml")
        for section, values in changes.items():
            config[section] = config[section] | values
        found = study(**{section: config[section] for section in changes})
        allocation = Allocation(workload.Workload(found, SIZES))
        return allocation.minutes(rule, analysis="frozen", task="gue_mouse_1", model=model)

    base = {"learning_rates": [1e-5], "epochs": 20, "suites": {}}
    one = asked("finetune_model", "ntv2", finetuning=base)
    assert asked("finetune_model", "ntv2", finetuning=base | {"epochs": 60}) > 2 * one
    assert asked("finetune_model", "ntv2", finetuning=base | {"folds": [0, 1, 2]}) > 2 * one
    assert asked("finetune_model", "ntv2", finetuning=base | {"learning_rates": [1e-5, 2e-5, 3e-5]}) > 2 * one
    assert asked("probe", "hyenadna", probing={"rounds": 100_000}) > asked("probe", "hyenadna", probing={"rounds": 10})
    many = {"rounds": 20_000, "pca": [8, 16], "cv_folds": 5, "poolings": ["max", "mean"]}
    assert asked("probe", "hyenadna", probing=many) > asked("probe", "hyenadna", probing={"rounds": 20_000})


def test_input_files_count_where_they_are_larger_than_what_was_published(paper):
    allocation = Allocation(workload.Workload(paper, SIZES))
    assert allocation.memory("audit_task", task="nt_H3", input_mb=1000) >= 4000 + 60 * 1000
    published = allocation.memory("audit_task", task="biotype")
    assert allocation.memory("audit_task", task="biotype", input_mb=0.1) >= published
    assert allocation.memory("audit_task", 2, task="nt_H3", input_mb=1000) > 100_000


def test_a_size_of_the_study_counts_as_that_size():
    """`hyenadna.demo` is the table's HyenaDNA with another width: its weights are not the published ones."""
    found = study("config")
    work = workload.Workload(found, {})
    small = [name for name in found.networks if ".demo" in name]
    assert small
    for name in small:
        entry = found.entries[name.split(".")[0]]
        if width_of(found.model(name).config) < width_of(entry["config"]):
            assert work.parameters(found.model(name)) < entry["parameters"] / 2, name


def test_rules_ask_by_function():
    """No rule states a number of its own."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    parts = re.split(r"^rule (\w+):$", text, flags=re.M)
    blocks = dict(zip(parts[1::2], parts[2::2], strict=True))
    for rule, body in blocks.items():
        assert re.search(r"^        mem_mb=get_memory(_of_input)?,", body, re.M), rule
        assert re.search(r"^        runtime=get_runtime,", body, re.M), rule
        assert bool(re.search(r"^        gpu=", body, re.M)) == (rule in GPU_RULES), rule


def test_what_the_snakefile_imports_is_light():
    heavy = ("torch", "numpy", "pandas")
    code = f"import foundationless.study.price.requests, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
