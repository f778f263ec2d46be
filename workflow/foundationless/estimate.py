"""What a study will cost before anything runs: jobs, GPU-hours, CPU-hours and storage of every named target.

An estimate, not a promise. A network's work is counted in floating-point operations, 2 per parameter and token forward
and 6 with the backward pass (Kaplan et al. 2020, Table 1), at a stated sustained speed of the device, and every pass
takes at least `STEP` seconds: small models are bound by what surrounds the arithmetic. Lengths and numbers of sequences
are the published ones (`sizes`), cut by the study's limits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from foundationless.plan import ANALYSES, DERIVED, TARGETS, Job, Plan

STEP = 0.02  # seconds of a pass at least, forward alone: kernels to launch, data to fetch
START = 15.0  # seconds of a job before its work: allocation, Snakefile, imports
NUCLEOTIDES = {"character": 1.0, "kmer": 6.0, "bpe": 5.0}  # that a token stands for, roughly
CPU_SECONDS = 3e-9  # of XGBoost (hist) per row, feature, level, tree and class; measured on one core: 2e-9 to 7e-9
CLASSES = 4  # of a task, on average
UNKNOWN = {"train": 10000, "validation": 1000, "test": 1000, "length": 500}


@dataclass(frozen=True)
class Work:
    """Seconds on a GPU and on a CPU core, and bytes kept."""

    gpu: float = 0.0
    cpu: float = 0.0
    size: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.gpu + other.gpu, self.cpu + other.cpu, self.size + other.size)


def estimate(plan: Plan, sizes: Mapping[str, Mapping[str, float]], flops: float) -> tuple[pd.DataFrame, list[str]]:
    """Costs of a study's targets.

    Args:
        plan: the study.
        sizes: task (or its name in the paper) to `train`, `validation`, `test` (rows) and `length` (nucleotides, mean).
        flops: sustained floating-point operations per second of a GPU.

    Returns:
        One row per target and per rule of it, and a row `all` (`target`, `rule`, `jobs`, `gpu_hours`, `cpu_hours`,
        `storage_gb`); and the tasks whose size is not known, for which 10,000 sequences of 500 nt are assumed.
    """
    unknown: set[str] = set()
    rows = []
    for target, analyses in {**TARGETS, "all": tuple(ANALYSES)}.items():
        jobs = [job for job in plan.jobs if job.analysis in analyses]
        costs = list(_costs(plan, jobs, sizes, flops, unknown))
        counts = Counter(rule for rule, _ in costs)
        for rule in counts:
            total = sum((work for name, work in costs if name == rule), Work())
            rows.append(_row(target, rule, counts[rule], total))
        if target == "all" or jobs:
            rows.append(_row(target, "total", len(costs), sum((work for _, work in costs), Work())))
    return pd.DataFrame(rows), sorted(unknown)


def _row(target: str, rule: str, jobs: int, work: Work) -> dict[str, Any]:
    hours = {"gpu_hours": work.gpu / 3600, "cpu_hours": work.cpu / 3600}
    return {"target": target, "rule": rule, "jobs": jobs, **hours, "storage_gb": work.size / 1e9}


def _costs(
    plan: Plan, jobs: Sequence[Job], sizes: Mapping[str, Any], flops: float, unknown: set[str]
) -> Iterable[tuple[str, Work]]:
    """(Rule, work) of every job that these cells need; what several share counts once."""
    shared: dict[tuple[str, ...], tuple[str, Work]] = {}
    for job in jobs:
        rows = _rows(plan, job.task, sizes, unknown)
        rule = "fit_baseline" if job.init == "baseline" else ANALYSES[job.analysis]
        model = plan.model(job.model)
        if rule in ("fit_baseline", "probe"):
            width = 5000 if rule == "fit_baseline" else _width(model.config)
            settings = plan.probing(job.analysis)
            cells = rows["train"] * width * settings["rounds"] * settings["depth"] * CLASSES
            yield rule, Work(cpu=START + cells * CPU_SECONDS)
        elif rule == "finetune_model":
            yield rule, _finetuning(plan, job, rows, flops)
        elif rule != "cluster_embeddings":
            total = sum(rows[split] for split in ("train", "validation", "test"))
            if rule == "score_mutagenesis":  # three substitutions at each position of a window
                total = min(total, plan.config["scoring"]["windows"]) * 3 * rows["length"]
            elif rule != "score_sensitivity":
                total *= 2  # REF and ALT
            yield rule, _forward(model, total, rows["length"], flops, 1)
        else:
            yield rule, Work(cpu=START)
        base = job.task.split(".")[0]
        for name in {base, plan.sequences(job.task)}:
            shared[("sequences", name)] = "build_sequences", Work(cpu=START)
        if job.init == "baseline":
            continue
        seed = plan.weight_seed(job.init, job.seed)
        shared |= _weights(plan, job.model, job.init, seed, flops)
        if rule in ("probe", "cluster_embeddings"):
            whole = _rows(plan, base, sizes, unknown)
            total = sum(whole[split] for split in ("train", "validation", "test"))
            kept = Work(size=4.0 * total * _width(model.config))
            key = ("embed", base, job.model, job.init, str(seed))
            shared[key] = "embed", _forward(model, total, whole["length"], flops, 1) + kept
    yield from shared.values()


def _weights(plan: Plan, name: str, init: str, seed: int, flops: float) -> dict[tuple[str, ...], tuple[str, Work]]:
    """What makes a weight set, with what that needs."""
    model = plan.model(name)
    kept = Work(cpu=START, size=4.0 * parameters(model.entry, model.config))
    found: dict[tuple[str, ...], tuple[str, Work]] = {}
    found["weights", name, init, str(seed)] = ("derive_weights" if init in DERIVED else "initialise", kept)
    if init in DERIVED:
        for needed in ("random", "pretrained"):
            found |= _weights(plan, name, needed, seed if needed == "random" else 0, flops)
    if init == "pretrained":
        rule = {"hub": "download_weights", "local": "import_weights"}.get(str(model.source), "pretrain")
        work = kept
        if rule == "pretrain":
            settings = plan.config["pretraining"] | dict(model.entry.get("pretraining") or {})
            windows = settings["steps"] * settings["batch_size"]
            work = replace(kept, gpu=_forward(model, windows, settings["window"], flops, 3).gpu)
        found[("weights", name, init, str(seed))] = rule, work
    return found


def _rows(plan: Plan, task: str, sizes: Mapping[str, Any], unknown: set[str]) -> dict[str, float]:
    """Rows of a task's splits and their mean length, after limits and derivation."""
    name, *parts = task.split(".")
    row = plan.tasks[name]
    known = sizes.get(name) or sizes.get(row["paper_task"])
    if row["reader"] == "transfer":
        taught, asked = (_rows(plan, source.removeprefix("task:"), sizes, unknown) for source in _pair(plan, name))
        known = {**taught, "test": asked["test"]}
    elif known is None:
        unknown.add(name)
    rows = {key: float(value) for key, value in (known or UNKNOWN).items()}
    limits = plan.config["limits"].get(name, plan.config["limits"].get("default", {}))
    rows |= {split: min(rows[split], most) for split, most in limits.items()}
    for part in parts:
        if part.startswith("pct"):
            rows["train"] *= float(part[3:].split("d")[0]) / 100
        if part.startswith("shot"):
            rows["train"] = CLASSES * float(part[4:].split("d")[0])
    return rows


def _pair(plan: Plan, task: str) -> tuple[str, str]:
    """What a task of transfer learns on, and what it is tested on."""
    sources = plan.sources(task)
    return sources["train"], sources["test"]


def _finetuning(plan: Plan, job: Job, rows: Mapping[str, float], flops: float) -> Work:
    """Every run of a job: epochs of training and validation, and the test set once."""
    settings = plan.finetuning(job.task, job.analysis)
    model = plan.model(job.model)
    runs = len(settings["learning_rates"]) * max(1, len(settings["folds"]))
    batch = settings["batch_size"]
    train = _forward(model, rows["train"], rows["length"], flops, 3, batch)
    check = _forward(model, rows["validation"], rows["length"], flops, 1)
    last = _forward(model, rows["test"] + rows["validation"], rows["length"], flops, 1)
    seconds = (train.gpu + check.gpu - 2 * START) * settings["epochs"] + last.gpu - START
    return Work(gpu=START + runs * seconds, size=runs * rows["test"] * 64.0)


def _forward(model: Any, rows: float, length: float, flops: float, factor: int, batch: float = 0) -> Work:
    """A job that reads `rows` sequences once; `factor` 3: with the backward pass."""
    tokens = length / NUCLEOTIDES[_tokenizer_class(model)]
    longest = min(tokens, float(model.entry.get("max_tokens") or tokens))
    per_pass = batch or max(1.0, 65536 / longest)
    passes = rows * max(1.0, tokens / longest) / per_pass
    each = max(factor * STEP, factor * 2 * parameters(model.entry, model.config) * per_pass * longest / flops)
    return Work(gpu=START + passes * each)


def _tokenizer_class(model: Any) -> str:
    named = {"character": "character", "nt_v2": "kmer", "nt_v1": "kmer"}
    return named.get(str(model.tokenizer), str(model.entry.get("tokenizer_class") or "character"))


def _width(config: Mapping[str, Any]) -> int:
    return int(config.get("d_model") or config.get("hidden_size") or config.get("width") or 128)


def parameters(entry: Mapping[str, Any], config: Mapping[str, Any]) -> float:
    """Parameters of a model in another size than the published: with the square of its width, and with its depth."""
    published = float(entry.get("parameters") or 1e6)
    own = entry.get("config") or {}

    def depth(settings: Mapping[str, Any]) -> float:
        return float(settings.get("n_layer") or settings.get("num_hidden_layers") or settings.get("depth") or 1)

    return published * (_width(config) / _width(own)) ** 2 * depth(config) / depth(own)
