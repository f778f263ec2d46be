"""How much work one job of a study is: seconds on a GPU, seconds on a CPU core, bytes kept. Standard library only.

What `estimate` adds up before anything runs and what a job's requests to a cluster are made of (`requests`). Estimates,
not promises. A network's work is counted in floating-point operations, 2 per parameter and token forward and 6 with
the backward pass (Kaplan et al. 2020, Table 1), at a stated sustained speed of the device, and every pass takes at
least `STEP` seconds: small models are bound by what surrounds the arithmetic. Lengths and numbers of sequences are the
published ones (`sizes`), cut by the study's limits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.families import TOKENIZERS, count_parameters, depth_of, width_of
from foundationless.study.names import parse_task
from foundationless.study.plan import Model, Plan
from foundationless.study.vocabulary import CONTROL_ARMS

STEP = 0.02  # seconds of a pass at least, forward alone: kernels to launch, data to fetch
BUDGET = 16384  # tokens of a batch of pretraining, as the command's default
START = 15.0  # seconds of a job before its work: allocation, Snakefile, imports
NUCLEOTIDES = {"character": 1.0, "kmer": 6.0, "bpe": 5.0}  # that a token stands for, roughly
CPU_SECONDS = 3e-9  # of XGBoost (hist) per row, feature, level, tree and class; measured on one core: 2e-9 to 7e-9
LINEAR_SECONDS = 4e-7  # of logistic regression or a linear SVM per row and feature, every strength that is tried
FOREST_SECONDS = 1e-2  # of a random forest per row, every size of its leaves
# Seconds of a classifier of sequences per nucleotide; measured on sets of 300 to 500 nucleotides, one core.
SEQUENCE_SECONDS = {"markov": 2e-6, "pwm": 1e-6, "positional_kmer": 2e-6, "nearest": 1.5e-5}
CLASSES = 4  # of a task, on average
UNKNOWN = {"train": 10000, "validation": 1000, "test": 1000, "length": 500}
SPLITS = ("train", "validation", "test")
GPU_FLOPS = 60e12  # sustained by a data-centre GPU in mixed precision
READ = 2e8  # bytes per second that a disk gives or takes
DOWNLOAD = 1e7  # bytes per second that the network gives
GENOME = 3.1e9  # nucleotides of a corpus
# Seconds of a nucleotide that is read, of one whose k-mers are counted, and of one that rules learn from, too.
NUCLEOTIDE = {"build_sequences": 2e-7, "derive_sequences": 1e-6, "audit_task": 2e-6, "audit_overlap": 2e-7}
RESAMPLE = 3e-9  # seconds of a bootstrap draw per row of a test set
# Seconds of what depends on nothing that a study says.
FIXED = {
    "simulate_genome": 15.0,
    "simulate_population": 45.0,
    "simulate_variants": 15.0,
    "prepare_genome": 900.0,
    "fetch": 1200.0,
    "fetch_region": 60.0,
    "download_tokenizer": 5.0,
    "train_tokenizer": 1800.0,
    "draw_figures": 120.0,
    "bind_figures": 30.0,
    "write_verdict": 10.0,
    "write_report": 60.0,
}


@dataclass(frozen=True)
class Work:
    """Seconds on a GPU and on a CPU core, and bytes kept."""

    gpu: float = 0.0
    cpu: float = 0.0
    size: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.gpu + other.gpu, self.cpu + other.cpu, self.size + other.size)

    @property
    def seconds(self) -> float:
        """Wall time of a job that has one GPU or one core."""
        return self.gpu + self.cpu


def read_sizes(path: str | Path) -> dict[str, dict[str, float]]:
    """Task (or its name in the paper) to rows of `train`, `validation`, `test` and mean `length` (nucleotides)."""
    columns = [*SPLITS, "length"]
    try:
        rows = read_table(path, ["task", *columns])
        sizes = {row["task"]: {name: float(row[name]) for name in columns} for row in rows}
    except ValueError as error:
        raise UserError(f"{path}: holds other than numbers ({error}).") from None
    for task, size in sizes.items():
        if not all(0 <= number < math.inf for number in size.values()) or size["length"] <= 0:
            raise UserError(f"{path}: task '{task}' has a size that is negative or not finite, or no length.")
    return sizes


class Workload:
    """The work of a study's jobs; every answer is kept, for thousands of jobs ask the same.

    `plan`: the study. `sizes`: as `read_sizes` gives them. `flops`: sustained operations per second of a GPU.
    `unknown` collects the tasks whose size is not known, for which 10,000 sequences of 500 nt are assumed.
    """

    def __init__(self, plan: Plan, sizes: Mapping[str, Mapping[str, float]], flops: float = GPU_FLOPS) -> None:
        self.plan = plan
        self.sizes = sizes
        self.flops = flops
        self.unknown: set[str] = set()
        self._works: dict[tuple[str, ...], Work] = {}
        self._rows: dict[str, dict[str, float]] = {}

    def of(self, rule: str, analysis: str = "", task: str = "", model: str = "", init: str = "", **_: object) -> Work:
        """Work of one job of a rule; other names (seed, dataset, …) change nothing in it."""
        key = (rule, analysis, task, model, init)
        if key not in self._works:
            self._works[key] = self._count(*key)
        return self._works[key]

    def processes(self, rule: str, model: str) -> int:
        """GPUs that a job works on at once: pretraining's processes, otherwise one."""
        if rule != "pretrain":
            return 1
        return int(self.plan.pretraining(model).get("processes", 1))

    def _count(self, rule: str, analysis: str, task: str, model: str, init: str) -> Work:
        if rule == "finetune_model":
            return self._finetuning(task, analysis, self.plan.model(model))
        if rule in ("probe", "fit_baseline"):
            return self._fits(rule, analysis, task, self.plan.model(model))
        if rule == "embed" or rule.startswith("score_"):
            return self._reading(rule, task, self.plan.model(model))
        if rule in ("initialise", "make_control_arm", "download_weights", "import_weights", "pretrain"):
            return self._weights(rule, self.plan.model(model))
        if rule == "cluster_embeddings":
            return Work(cpu=START + 45.0)  # permutations over a few thousand test rows
        if rule in NUCLEOTIDE:
            tasks = self.plan.audited if rule == "audit_overlap" else (parse_task(task).base_task,)
            return Work(cpu=START + NUCLEOTIDE[rule] * sum(self.nucleotides(name) for name in tasks))
        if rule == "audit_corpus":
            return Work(cpu=START + 2e-7 * GENOME)
        if rule == "summarise_analysis":
            draws = self.plan.config["statistics"]["resamples"]
            return Work(cpu=START + RESAMPLE * draws * sum(self.predicted(analysis).values()))
        if rule == "collect_tables":
            return Work(cpu=START + 0.01 * len(self.plan.cells))
        return Work(cpu=START + FIXED.get(rule, 600.0))

    # ---- sequences

    def rows(self, task: str) -> dict[str, float]:
        """Rows of a task's splits and their mean length, after limits and derivation."""
        if task not in self._rows:
            self._rows[task] = self._size(task)
        return self._rows[task]

    def total(self, task: str) -> float:
        """Rows of a task's own set, every split."""
        rows = self.rows(task)
        return sum(rows[split] for split in SPLITS)

    def nucleotides(self, task: str) -> float:
        """Length of a task's own set, all rows."""
        return self.total(task) * self.rows(task)["length"]

    def _size(self, task: str) -> dict[str, float]:
        parts, row = parse_task(task), self.plan.task(task)
        name = parts.base_task
        known = self.sizes.get(name) or self.sizes.get(row["paper_task"])
        if row["reader"] == "transfer":
            sources = self.plan.sources(name)
            taught, asked = (self.rows(sources[role].removeprefix("task:")) for role in ("train", "test"))
            known = {**taught, "test": asked["test"]}
        elif known is None:
            self.unknown.add(name)
        rows = {key: float(value) for key, value in (known or UNKNOWN).items()}
        limits = self.plan.config["limits"].get(name, self.plan.config["limits"].get("default", {}))
        rows |= {split: min(rows[split], most) for split, most in limits.items()}
        if parts.percent:
            rows["train"] *= parts.percent / 100
        if parts.shots:
            rows["train"] = float(CLASSES * parts.shots)
        return rows

    def predicted(self, analysis: str) -> dict[str, float]:
        """Test rows that all jobs of an analysis predict, by task; several runs of a job count once."""
        by_task = self.plan.by_task.get(analysis, {})
        return {task: len(cells) * self.rows(task)["test"] for task, cells in by_task.items()}

    # ---- networks

    def parameters(self, model: Model) -> float:
        """Numbers that a network has, in the size that the study or a qualifier gives it."""
        counted = count_parameters(model.family, model.config)
        return float(counted) if counted else parameters(self.plan.entries[model.base], model.config)

    def tokens(self, model: Model, length: float) -> tuple[float, float]:
        """Tokens of a sequence of `length` nucleotides, and of the longest piece of it that the model takes."""
        tokens = length / NUCLEOTIDES[TOKENIZERS.get(str(model.tokenizer), "character")]
        return tokens, min(tokens, float(model.entry.get("max_tokens") or tokens))

    def _forward(self, model: Model, rows: float, length: float, factor: int, batch: float = 0) -> float:
        """Seconds on a GPU of reading `rows` sequences once; `factor` 3: with the backward pass."""
        tokens, longest = self.tokens(model, length)
        per_pass = batch or max(1.0, self.plan.config["embedding"]["token_budget"] / longest)
        passes = rows * max(1.0, tokens / longest) / per_pass
        operations = factor * 2 * self.parameters(model) * per_pass * longest
        return passes * max(factor * STEP, operations / self.flops)

    def _finetuning(self, task: str, analysis: str, model: Model) -> Work:
        """Every run that a job can have: epochs of training and validation, and the test set once."""
        rows = self.rows(task)
        settings = self.plan.finetuning(task, analysis)
        runs = (len(settings["learning_rates"]) + settings.get("extend", 0)) * max(1, len(settings["folds"]))
        train = self._forward(model, rows["train"], rows["length"], 3, settings["batch_size"])
        check = self._forward(model, rows["validation"], rows["length"], 1)
        last = self._forward(model, rows["test"] + rows["validation"], rows["length"], 1)
        seconds = (train + check) * settings["epochs"] + last
        return Work(gpu=START + runs * seconds, size=runs * rows["test"] * 64.0)

    def _reading(self, rule: str, task: str, model: Model) -> Work:
        """A pass over a task's set: its rows, REF and ALT of variants, three substitutions at each position."""
        rows, total = self.rows(task), self.total(task)
        if rule == "score_mutagenesis":
            total = min(total, self.plan.config["scoring"]["windows"]) * 3 * rows["length"]
        elif rule in ("score_similarity", "score_likelihood"):
            total *= 2
        kept = 4.0 * total * width_of(model.config) if rule == "embed" else 0.0
        return Work(gpu=START + self._forward(model, total, rows["length"], 1), size=kept)

    def _weights(self, rule: str, model: Model) -> Work:
        size = 4.0 * self.parameters(model)
        if rule == "pretrain":
            settings = self.plan.pretraining(model.name)
            processes = int(settings.get("processes", 1))  # each has a GPU and takes its share of every batch
            share = settings["batch_size"] / processes
            passes = max(1.0, share * settings["window"] / settings.get("token_budget", BUDGET))
            operations = 6 * self.parameters(model) * share * settings["window"]
            each = max(passes * 3 * STEP, operations / self.flops)
            return Work(gpu=processes * (START + settings["steps"] * each), size=size)
        rate = DOWNLOAD if rule == "download_weights" else READ / 3  # drawn or read, checked, written
        return Work(cpu=START + size / rate, size=size)

    # ---- classifiers

    def _fits(self, rule: str, analysis: str, task: str, model: Model) -> Work:
        """Every fit of a probe or of a baseline: kinds × features (poolings, each also reduced) × splits."""
        settings = self.plan.probing(analysis)
        rows = self.rows(task)
        if rule == "fit_baseline":
            kinds, number, columns = [model.entry["classifier"]], 1, baseline_columns(model.entry)
        else:
            kinds = settings["probes"]
            number = len(settings["poolings"]) * (1 + len(settings.get("pca") or ()))
            number *= 1 + int(settings.get("cv_folds") or 0)
            columns = width_of(model.config)
        seconds = {"xgboost": CPU_SECONDS * settings["rounds"] * settings["depth"] * CLASSES, "majority": 0.0}
        seconds |= {"random_forest": FOREST_SECONDS / columns}
        cells = rows["train"] * columns
        work = sum(cells * seconds.get(kind, LINEAR_SECONDS) for kind in kinds) * number
        if rule == "fit_baseline":  # its features are counted first, in Python, sequence by sequence
            work += (2e-7 + SEQUENCE_SECONDS.get(kinds[0], 0.0)) * self.nucleotides(task)
        return Work(cpu=START + work)


def weight_rule(model: Model, init: str) -> str:
    """Which rule makes a weight set of an arm."""
    if init != "pretrained":
        return "make_control_arm" if init in CONTROL_ARMS else "initialise"
    return {"hub": "download_weights", "local": "import_weights"}.get(str(model.source), "pretrain")


def baseline_columns(entry: Mapping[str, Any]) -> int:
    """Features of a baseline's family with its options, as the room `features` makes them."""
    options = entry.get("options") or {}
    if entry["family"] == "kmer":
        return sum(int(4**k) for k in range(1, int(options.get("k_max", 6)) + 1))
    if entry["family"] == "gapped_kmer":
        k = int(options.get("k", 4))
        return math.comb(int(options.get("l", 7)) - 1, k - 1) * int(4**k)
    if entry["family"] == "random_conv":
        return int(options.get("width", 512))
    return 2000 if entry["family"].startswith("genotype") else 3


def parameters(entry: Mapping[str, Any], config: Mapping[str, Any]) -> float:
    """About, of a family without a formula, in another size than its entry's: as width squared, and as depth."""
    published = float(entry.get("parameters") or 1e6)
    own = entry.get("config") or {}
    return published * (width_of(config) / width_of(own)) ** 2 * depth_of(config) / depth_of(own)
