"""How much work one job of a study is: seconds on a GPU, seconds on a CPU core, bytes kept. Standard library only.

What `estimate` adds up before anything runs and what a job's requests to a cluster are made of (`requests`). Estimates,
not promises. A network's work is counted in floating-point operations, 2 per parameter and token forward and 6 with
the backward pass (Kaplan et al. 2020, Table 1), at a stated sustained speed of the device, and every pass takes a least
time on it (`devices`): small models are bound by what surrounds the arithmetic. Lengths and numbers of sequences are
the published ones (`sizes`), cut by the study's limits. Constants were fitted to the jobs of the demo at one end and to
full-size networks and sets at the other; `tests/benchmarks/estimates.py` says how well.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.families import PUBLISHED, STEPS, count_parameters, depth_of, token_kind, width_of
from foundationless.study.names import parse_task
from foundationless.study.plan import Model, Plan
from foundationless.study.price import perturbation
from foundationless.study.price.devices import DEFAULT, DEVICES, Device
from foundationless.study.price.trained import forward_passes
from foundationless.study.rungs import raced_epochs
from foundationless.study.vocabulary import (
    ANALYSES,
    CONTROL_ARMS,
    LEAVE_ONE_OUT,
    SELF,
    is_other_pretraining,
    steps_of,
)

BUDGET = 16384  # tokens of a batch of pretraining, as the command's default
NUCLEOTIDES = {"character": 1.0, "kmer": 6.0, "bpe": 5.0}  # that a token stands for, roughly
CPU_SECONDS = 3e-9  # of XGBoost (hist) per row, feature, level and tree; measured on one core: 2e-9 to 7e-9
TREE_SECONDS = 4e-4  # of XGBoost per tree, however small
TREES = 1.5  # of a round, on average: one for two classes, otherwise one a class; and one an output
EACH_OUTPUT = ("xgboost", "logistic")  # classifiers that fit every output by itself
WIDE = 4096  # numbers of a vector from outside, of which nobody says it before it is read
FIT = 0.15  # seconds of a fit with what surrounds it: its libraries, files, record
DRAW, READ_SECONDS = 0.02, 2e-8  # seconds of a draw of few rows, and of a number of the others that its head reads
LINEAR_SECONDS = 4e-7  # of logistic regression or a linear SVM per row and feature, every strength that is tried
FOREST_SECONDS = 1e-2  # of a random forest per row, every size of its leaves
# Seconds of a classifier of sequences per nucleotide; measured on sets of 300 to 500 nucleotides, one core.
SEQUENCE_SECONDS = {"markov": 2e-6, "pwm": 1e-6, "positional_kmer": 2e-6, "nearest": 1.5e-5}
ROWS = 64  # by which a vocabulary is lengthened, to see what each row of it adds; tables are padded to a multiple
CLASSES = 4  # of a task, on average
PREDICTED = 64.0, 4.0  # bytes that a fine-tuning run keeps of a test row, and of each of its outputs besides
UNKNOWN = {"train": 10000, "validation": 1000, "test": 1000, "length": 500}
SPLITS = ("train", "validation", "test")
READ = 2e8  # bytes per second that a disk gives or takes
DOWNLOAD = 1e7  # bytes per second that the network gives
GENOME, SIMULATED = 3.1e9, 1e6  # nucleotides of a genome whose size nobody states, and of a simulated one
COMPRESSED = 3.5  # nucleotides of a byte of a compressed genome
# Seconds of a job, and of each nucleotide: one that is read, whose k-mers are counted, that rules learn from, too.
NUCLEOTIDE = {
    "build_sequences": (0.0, 5e-8),
    "derive_sequences": (0.0, 5e-8),
    "audit_task": (1.2, 7e-7),
    "audit_overlap": (0.1, 2e-8),
    "import_vectors": (0.2, 1e-8),  # of which a checksum is made
    "import_scores": (2.5, 1e-8),  # with its libraries: those that score
}
DISTANT = 7e-7  # seconds of a nucleotide, where a set is derived that holds nothing near to its test rows
WORDS = 6e5  # nucleotides at most that a byte-pair tokenizer learns from in a second
WINDOW_PASSES = 7  # of a masked model over a window (`scoring.likelihood_ratios.STRIDE`)
RESAMPLE = 3e-9  # seconds of a bootstrap draw per row of a test set
# Seconds of what depends on nothing that a study says, and of what grows with its cells: of a study, and of each cell.
FIXED = {
    "simulate_genome": 0.4,
    "simulate_words": 1.0,
    "simulate_population": 0.4,
    "simulate_variants": 0.2,
    "shuffle_genome": 60.0,
    "fetch": 1200.0,
    "fetch_region": 60.0,
    "download_tokenizer": 5.0,
    "download_own_tokenizer": 5.0,
    "bind_figures": 1.0,
}
TABULATED = {
    "summarise_analysis": (0.5, 0.01),
    "look": (0.5, 0.01),
    "recommend_model": (0.5, 0.01),
    "collect_tables": (3.0, 0.012),
    "draw_figures": (15.0, 0.02),
    "write_verdict": (0.2, 0.001),
    "write_report": (1.5, 0.005),
}
TURNS = 7  # of hiding the tokens of a masked model, as `scoring.bases.bits` does
MARKOV = 4e-7  # seconds a nucleotide of a corpus that Markov models are fitted to
SCORED = 0.4  # seconds of what follows on scores of variants: intervals, files, record
FOLDS_LEFT = 20  # at most, of leave-one-out on few rows
FITTED = 20  # fits of a probe of variants with each kind of features: folds, each with parts that choose its strength
# Rules that import torch beside those that score, and those of weights.
NETWORKS = (
    "finetune_model", "finetune_shots", "explain", "embed", "embed_genes", "probe_variants", "pretrain_cells",
    "finetune_effects",
)  # fmt: skip
PRETRAINING = ("pretrain", "pretrain_control", "pretrain_self")
WEIGHT_RULES = ("initialise", "make_control_arm", "download_weights", "import_weights", *PRETRAINING)
_COMPUTING = {analysis.rule for analysis in ANALYSES.values()} | {"embed", "fit_baseline", "import_scores"}
_COMPUTING |= {*PRETRAINING}
SELF_COUNTING = frozenset(_COMPUTING)  # rules whose records say what they took, from after their imports on
NETWORK_RULES = frozenset(  # that import torch
    {*WEIGHT_RULES, *NETWORKS} | {rule for rule in _COMPUTING if rule.startswith("score_")}
)


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

    `plan`: the study. `sizes`: as `read_sizes` gives them. `device`: where networks run; a number stands for the
    default device at so many operations per second.
    `unknown` collects the tasks whose size is not known, for which 10,000 sequences of 500 nt are assumed.
    """

    def __init__(
        self, plan: Plan, sizes: Mapping[str, Mapping[str, float]], device: Device | float | None = None
    ) -> None:
        self.plan = plan
        self.sizes = sizes
        usual = DEVICES[DEFAULT]
        self.device = device if isinstance(device, Device) else replace(usual, flops=device or usual.flops)
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
        if rule not in PRETRAINING:
            return 1
        return int(self.plan.pretraining(model).get("processes", 1))

    def _count(self, rule: str, analysis: str, task: str, model: str, init: str) -> Work:
        if rule in perturbation.RULES:
            return self._perturbation(rule, analysis, task, model)
        if rule == "finetune_model":
            return self._finetuning(task, analysis, self.plan.model(model))
        if rule == "finetune_shots" and not self.plan.drawn(analysis):  # of a job that nobody names
            return self._network(rule, 600.0, 0.0)
        if rule == "finetune_shots":
            return self._few(task, analysis, self.plan.model(model))
        if rule == "explain" and not model:  # of a job that nobody names
            return self._network(rule, 600.0, 0.0)
        if rule == "explain":
            return self._explaining(task, analysis, self.plan.model(model))
        if rule in ("probe", "fit_baseline"):
            return self._fits(rule, analysis, task, self.plan.model(model))
        if rule == "embed" or rule.startswith("score_"):
            return self._reading(rule, task, self.plan.model(model), init)
        if rule == "probe_variants":
            known = bool(model)  # of a job that nobody names
            return self._variant_probe(task, self.plan.model(model)) if known else self._network(rule, 600.0, 0.0)
        if rule in WEIGHT_RULES:
            return self._weights(rule, self.plan.model(model), init, task)
        seconds = self._reading_and_writing(rule, analysis, task)
        if rule == "probe_structure":
            seconds *= self.plan.columns_of_layers(self.plan.layers(analysis), self.plan.model(model))
        return Work(cpu=self.start(rule) + seconds)

    def part(self, rule: str, model: str, whole: Work, share: float) -> Work:
        """Work of a job that does this share of a cut one; 0: what puts the parts together, on a core."""
        start = self.start(rule)
        if not share:
            weights = 4.0 * self.parameters(self.plan.model(model))
            return Work(cpu=start + weights / READ, size=whole.size)
        begun = start * self.processes(rule, model)
        gpu, cpu = (begun, 0.0) if whole.gpu else (0.0, begun)
        return Work(gpu + share * max(0.0, whole.gpu - gpu), cpu + share * max(0.0, whole.cpu - cpu))

    def start(self, rule: str) -> float:
        """Seconds of a job before its work."""
        return self.device.start + (self.device.imports if rule in NETWORK_RULES else 0.0)

    def told(self, rule: str, **names: str) -> float:
        """Seconds of a job as a ledger tells them: of rules that keep count themselves, those after its start."""
        work = self.of(rule, **names)
        seconds = work.gpu / self.processes(rule, names.get("model", "")) + work.cpu
        return seconds - (self.start(rule) if rule in SELF_COUNTING else 0.0)

    def _reading_and_writing(self, rule: str, analysis: str, task: str) -> float:
        """Seconds of a job without a model, its start left out."""
        if rule == "cluster_embeddings":  # permutations over a few thousand test rows, with distances between all
            return 0.2 + 45.0 * (min(5000.0, self.rows(task)["test"]) / 5000) ** 2
        if rule == "probe_structure":  # a few fits to at most 5,000 rows a split, words sought in 500 of them
            rows = self.rows(task)
            read = sum(min(5000.0, rows[split]) for split in SPLITS)
            return 0.3 + 8e-4 * read + 1e-7 * rows["length"] * (read + 6 * 500)
        if rule in NUCLEOTIDE:
            tasks = self.plan.audited if rule == "audit_overlap" else (parse_task(task).base_task,)
            least, each = NUCLEOTIDE[rule]
            each = DISTANT if parse_task(task).derivation == "distant" else each
            return least + each * sum(self.nucleotides(name) for name in tasks)
        if rule in ("audit_corpus", "prepare_genome", "train_tokenizer"):
            nucleotides = self._genomes(rule, task)
            if rule == "train_tokenizer":
                return 3.0 + min(1800.0, nucleotides / WORDS)
            return 3e-7 * nucleotides if rule == "prepare_genome" else 0.1 + 2e-7 * nucleotides
        if rule in TABULATED:
            cells = self.plan.by_task.get(analysis, {}) if analysis else {"": self.plan.cells}
            least, each = TABULATED[rule]
            draws = float(self.plan.config["statistics"]["resamples"])
            resampled = draws * sum(self.predicted(analysis).values())
            return least + each * sum(map(len, cells.values())) + RESAMPLE * resampled
        return FIXED.get(rule, 600.0)

    def _genomes(self, rule: str, task: str) -> float:
        """Nucleotides of the genome or corpus that ends a job's name, otherwise of the study's largest."""
        genomes, corpora = self.plan.config.get("genomes", {}), self.plan.config.get("corpora", {})
        name = task.rpartition("/")[2]
        if rule == "prepare_genome":
            return self._genome(name) if name in genomes else max(map(self._genome, genomes), default=GENOME)
        sizes = {key: sum(map(self._genome, corpus["genomes"])) for key, corpus in corpora.items()}
        return sizes.get(name, max(sizes.values(), default=GENOME))

    def _genome(self, name: str) -> float:
        total = 0.0
        for piece in self.plan.config["genomes"][name]["pieces"]:
            row = self.plan.datasets.get(piece["source"].partition("/")[0])
            size = float((row or {}).get("bytes") or GENOME / COMPRESSED)
            total += (
                SIMULATED if row is None else size * (COMPRESSED if not row["file"].endswith(("fa", "fasta")) else 1)
            )
        return total

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

    def outputs(self, task: str) -> int:
        """Outputs of a label of a task, as far as they are known; 0: its labels are classes."""
        return self.plan.outputs(task) if self.plan.labels(task) != "classes" else 0

    def predicted(self, analysis: str) -> dict[str, float]:
        """Test rows that all jobs of an analysis predict, by task; several runs of a job count once, draws each."""
        by_task, draws = self.plan.by_task.get(analysis, {}), self._draws(analysis)
        return {task: len(cells) * draws * self.rows(task)["test"] for task, cells in by_task.items()}

    def _draws(self, analysis: str) -> int:
        """How many heads a job of an analysis trains because training rows are drawn; 1 where they are not."""
        drawn = self.plan.drawn(analysis)
        return drawn["draws"] * len(drawn["numbers"]) if drawn else 1

    # ---- networks

    def parameters(self, model: Model) -> float:
        """Numbers that a network has, in the size that the study or a qualifier gives it."""
        counted = count_parameters(model.family, model.config)
        return float(counted) if counted else parameters(self.plan.entries[model.base], model.config)

    def _multiplied(self, model: Model, projected: float = 0.0) -> float:
        """Numbers that a token is multiplied with: those of the tables of the vocabulary are looked up instead, but
        for the share of tokens whose logits are computed (`projected`)."""
        key = "ntoken" if "ntoken" in model.config else "vocab_size"
        rows, whole = float(model.config.get(key) or 0), self.parameters(model)
        more = count_parameters(model.family, {**model.config, key: int(rows) + ROWS})
        width = width_of(model.config)
        tables = rows * ((more - whole) / ROWS if more and rows else width)  # two, where the head has its own
        return max(whole - tables, 0.1 * whole) + projected * rows * width

    def tokens(self, model: Model, length: float) -> tuple[float, float]:
        """Tokens of a sequence of `length` nucleotides, and of the longest piece of it that the model takes."""
        measured = model.entry.get("nucleotides_per_token") if model.tokenizer == PUBLISHED else None
        step = STEPS.get(str(model.tokenizer)) or measured or NUCLEOTIDES[token_kind(model.tokenizer, model.entry)]
        tokens = length / step
        return tokens, min(tokens, float(model.entry.get("max_tokens") or tokens))

    def _forward(
        self, model: Model, rows: float, length: float, factor: float, batch: float = 0, budget: float = math.inf
    ) -> float:
        """Seconds on a GPU of reading `rows` sequences once; `factor` 3: with the backward pass.

        A `batch` of more tokens than the `budget` takes several passes.
        """
        tokens, longest = self.tokens(model, length)
        per_pass = batch or max(1.0, self.plan.config["embedding"]["token_budget"] / longest)
        batches = rows * max(1.0, tokens / longest) / per_pass
        several = max(1.0, per_pass * longest / budget) if batch else 1
        return batches * self._pass(model, self._multiplied(model), per_pass * longest, factor, several)

    def _pass(self, model: Model, multiplied: float, tokens: float, factor: float, at_least: float = 1) -> float:
        """Seconds of one batch of so many tokens through so many parameters, in `at_least` passes."""
        elements = tokens / at_least * depth_of(model.config) * width_of(model.config)
        operations = factor * 2 * multiplied * tokens / at_least
        return at_least * self.device.seconds(factor, operations, elements, model.family)

    def _network(self, rule: str, seconds: float, size: float, jobs: int = 1) -> Work:
        """Work of a job that runs a network, of `jobs` processes of so many seconds each."""
        each = jobs * (self.start(rule) + seconds)
        return Work(gpu=each, size=size) if self.device.gpu else Work(cpu=each, size=size)

    def _finetuning(self, task: str, analysis: str, model: Model) -> Work:
        """Every run that a job can have: epochs of training and validation, and the test set once where it ends."""
        rows = self.rows(task)
        settings = self.plan.finetuning(task, analysis, model.name)
        rates, extend = len(settings["learning_rates"]), settings.get("extend", 0)
        folds = max(1, len(settings["folds"]))
        epochs, ended = (rates + extend) * settings["epochs"], rates + extend
        if "rungs" in settings:
            epochs, ended = raced_epochs(settings["epochs"], rates, settings["rungs"], extend), 1
        work, length = forward_passes(settings, depth_of(model.config)), rows["length"]
        tokens, longest = self.tokens(model, length)
        if "chunks" in settings:
            train = self._chunked(model, rows["train"], tokens, work, settings)
        else:  # what exceeds the model is cut off
            length *= longest / tokens
            budget = settings.get("token_budget", math.inf)
            train = self._forward(model, rows["train"], length, work, settings["batch_size"], budget)
        check = self._forward(model, rows["validation"], length, 1)
        last = self._forward(model, rows["test"] + rows["validation"], length, 1)
        seconds = folds * ((train + check) * epochs + last * ended)
        kept = PREDICTED[0] + PREDICTED[1] * self.outputs(task)
        return self._network("finetune_model", seconds, folds * ended * rows["test"] * kept)

    def _few(self, task: str, analysis: str, model: Model) -> Work:
        """Of every number of rows and draw: steps of training, and the test set once."""
        settings, drawn = self.plan.finetuning(task, analysis, model.name), self.plan.drawn(analysis)
        rows = self.rows(task)
        tokens, longest = self.tokens(model, rows["length"])
        length, steps = rows["length"] * longest / tokens, float(settings["steps"])
        work, budget = forward_passes(settings, depth_of(model.config)), settings.get("token_budget", math.inf)
        seconds = len(drawn["numbers"]) * self._forward(model, rows["test"], length, 1)
        for number in drawn["numbers"]:
            batch = min(float(settings["batch_size"]), float(CLASSES * number))
            seconds += self._forward(model, batch * steps, length, work, batch, budget)
        size = self._draws(analysis) * rows["test"] * PREDICTED[0]
        return self._network("finetune_shots", drawn["draws"] * seconds, size)

    def _explaining(self, task: str, analysis: str, model: Model) -> Work:
        """Training as fine-tuning does, of one rate where another record says it, and what explains some test rows."""
        trained, settings = self._finetuning(task, analysis, model), self.plan.explaining(analysis)
        length = self.rows(task)["length"]
        some, start = min(float(settings["sequences"]), self.rows(task)["test"]), self.start("finetune_model")
        starts = settings["references"] if settings["baseline"] == "shuffled" else 1
        passes = {"gradient_input": 4.0 * starts, "integrated_gradients": 3.0 * settings["steps"] * starts}
        passes |= {"mutagenesis": 3 * length}
        once = self._forward(model, some, length, 1)
        seconds = trained.seconds - start + once * sum(passes.get(name, 1.0) for name in settings["methods"])
        size = 8.0 * some * length * len(settings["methods"])
        return self._network("explain", seconds + SCORED, size)

    def _chunked(self, model: Model, rows: float, tokens: float, factor: float, settings: Mapping[str, Any]) -> float:
        """Seconds of training on rows of so many tokens in chunks; those of several passes are computed once more."""
        budget, batch = float(settings.get("token_budget", BUDGET)), float(settings["batch_size"])
        factor += tokens > budget
        several = max(1.0, batch * tokens / budget)
        return rows / batch * self._pass(model, self._multiplied(model), batch * tokens, factor, several)

    def _reading(self, rule: str, task: str, model: Model, init: str) -> Work:
        """A pass over a task's set: its rows, REF and ALT of variants, three substitutions at each position."""
        rows, total = self.rows(task), self.total(task)
        if rule == "score_mutagenesis":
            total = min(total, self.plan.config["scoring"]["windows"]) * 3 * rows["length"]
        elif rule in ("score_similarity", "score_likelihood"):
            total *= 2
            kinds = dict(option.split("=", 1) for option in self.plan.options(task)).get("kinds", "snv")
            if rule == "score_likelihood" and kinds not in ("snv", "mnv") and model.entry.get("objective") == "masked":
                total *= 1 + WINDOW_PASSES  # alleles differ in length: whole windows too
        elif rule == "score_bases" and model.entry.get("objective") == "masked":
            total *= TURNS
        seconds = self._forward(model, total, rows["length"], 1)
        if rule == "score_bases" and init == "pretrained" and (corpus := self.plan.markov_corpus(model.name)):
            seconds += MARKOV * self._genomes(rule, corpus)
        if rule == "embed":
            return self._network(rule, seconds, 4.0 * total * width_of(model.config) * self.layers_kept(task, model))
        return self._network(rule, seconds + SCORED, 0.0)

    def _variant_probe(self, task: str, model: Model) -> Work:
        """Embeddings of REF and ALT, both likelihoods of each strand that is read, the background, the probe's fits;
        of a baseline these alone."""
        rows, scoring, total = self.rows(task), self.plan.config["scoring"], self.total(task)
        features = 1 if model.is_baseline else len(scoring["poolings"])
        columns = 10.0 if model.is_baseline else 2.0 * width_of(model.config)
        fits = SCORED + features * FITTED * (FIT / 10 + LINEAR_SECONDS * total * min(columns, total))
        if model.is_baseline:
            return Work(cpu=self.start("probe_variants") + fits)
        passes = 3 + 2 * (1 + bool(scoring["both_strands"]))
        return self._network("probe_variants", self._forward(model, passes * total, rows["length"], 1) + fits, 0.0)

    def _weights(self, rule: str, model: Model, init: str = "", task: str = "") -> Work:
        size = 4.0 * self.parameters(model)
        if rule in PRETRAINING:
            settings = self.plan.pretraining(model.name, init)
            window = min(settings["window"], self.rows(task)["length"]) if task else settings["window"]
            processes = int(settings.get("processes", 1))  # each has a GPU and takes its share of every batch
            share = settings["batch_size"] / processes
            tokens = self.tokens(model, window)[0] * share
            passes = max(1.0, tokens / settings.get("token_budget", BUDGET))
            projected = settings["mask_probability"] if model.entry.get("objective") == "masked" else 1.0
            each = self._pass(model, self._multiplied(model, projected), tokens, 3, passes)
            return self._network(rule, (steps_of(init) or settings["steps"]) * each, size, processes)
        rate = DOWNLOAD if rule == "download_weights" else READ / 3  # drawn or read, checked, written
        return Work(cpu=self.start(rule) + size / rate, size=size)

    def layers_kept(self, task: str, model: Model) -> float:
        """Layers of a network that an embedding of a task's own set holds; the last one alone where nobody asks."""
        return self.plan.columns_of_layers(self.plan.embedded_layers(task, model.name), model)

    def _perturbation(self, rule: str, analysis: str, task: str, name: str) -> Work:
        model, rows = self.plan.model(name) if name else None, self.rows(task) if task else {}
        if not task and rule in ("build_effects", "predict_effects"):  # of a job that nobody names
            return Work(cpu=self.start(rule) + FIXED.get(rule, 600.0))
        if model is None and rule in ("pretrain_cells", "finetune_effects"):
            return self._network(rule, 600.0, 0.0)
        if model is None or rule not in ("pretrain_cells", "finetune_effects"):
            return Work(cpu=self.start(rule) + perturbation.seconds(self.plan, rows, rule, analysis, task, model))
        batches, tokens = perturbation.passes(self.plan, rows, rule, model)
        projected = perturbation.MASKED if model.family == "geneformer" else 0.0  # scGPT says values, not genes
        each = self._pass(model, self._multiplied(model, projected), tokens, 3)
        return self._network(rule, batches * each, 4.0 * self.parameters(model))

    # ---- classifiers

    def _fits(self, rule: str, analysis: str, task: str, model: Model) -> Work:
        """Every fit of a probe or of a baseline: kinds × features (poolings, each also reduced) × splits."""
        settings = self.plan.probing(analysis)
        rows = self.rows(task)
        if rule == "fit_baseline":
            kinds, number, columns = self.plan.classifiers(model.name, task), 1, baseline_columns(model.entry)
        else:
            kinds = self.plan.probes(analysis, task)
            number = len(settings["poolings"]) * (1 + len(settings.get("pca") or ()))
            number *= 1 + int(settings.get("cv_folds") or 0)
            number = int(number * self.plan.columns_of_layers(self.plan.layers(analysis), model))
            columns = width_of_vectors(model)
        fits = number * sum(kind != "majority" for kind in kinds)
        outputs = self.outputs(task)
        draws = self._draws(analysis)
        drawn = self.plan.drawn(analysis)
        folds = 1.0
        if drawn.get("head") == LEAVE_ONE_OUT:  # a fit of every fold, too
            folds += sum(min(each, FOLDS_LEFT) for each in drawn["numbers"]) / len(drawn["numbers"])
        if drawn:
            number, rows = number * draws, rows | {"train": float(CLASSES * max(drawn["numbers"]))}
        once = sum(self._fit(kind, rows["train"], columns, settings, outputs) for kind in kinds)
        work = FIT * fits + once * number * folds
        if drawn:  # each draw reads all other rows again
            work += draws * (DRAW + READ_SECONDS * self.total(task) * columns)
        if rule == "fit_baseline":  # its features are counted first, in Python, sequence by sequence
            work += (2e-7 + SEQUENCE_SECONDS.get(kinds[0], 0.0)) * self.nucleotides(task)
        return Work(cpu=self.start(rule) + work)

    def _fit(self, kind: str, rows: float, columns: float, settings: Mapping[str, Any], outputs: int = 0) -> float:
        """Seconds of one fit, every strength or size that is tried; of labels with outputs, of all of them."""
        if outputs and kind in EACH_OUTPUT:
            return outputs / (TREES if kind == "xgboost" else 1) * self._fit(kind, rows, columns, settings)
        if kind == "xgboost":
            trees = float(settings["rounds"]) * TREES
            return trees * (TREE_SECONDS + CPU_SECONDS * float(settings["depth"]) * rows * columns)
        if kind == "majority" or kind in SEQUENCE_SECONDS:
            return 0.0
        return FOREST_SECONDS * rows if kind == "random_forest" else LINEAR_SECONDS * rows * columns


def weight_rule(model: Model, init: str) -> str:
    """Which rule makes a weight set of an arm."""
    if init == SELF:
        return "pretrain_self"
    if init != "pretrained":
        other = "pretrain_control" if is_other_pretraining(init) else "initialise"
        return "make_control_arm" if init in CONTROL_ARMS else other
    if model.of_cells and model.source == "workflow":
        return "pretrain_cells"
    return {"hub": "download_weights", "local": "import_weights"}.get(str(model.source), "pretrain")


def width_of_vectors(model: Model) -> int:
    """Numbers of a sequence's vector; of a model from outside as many as large ones have."""
    return WIDE if model.is_outside else width_of(model.config)


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
