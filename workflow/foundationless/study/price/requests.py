"""What a job asks of a cluster: MiB of host memory and minutes, from the work that it is. Standard library only.

Requests cost nothing on one machine and decide on a cluster: too little memory kills a job, too much keeps it waiting.
They follow the formulas of the estimate (`workload`) with a stated factor above them. A retry asks for more, for
nothing says why the first try ended: memory doubles, twice at most, since what killed a job was a peak of unknown
height, and a job that only continues in its tenth try needs no whole node; time grows by half, since fine-tuning,
pretraining and embedding continue where they stopped and need only the rest.
"""

import math
from dataclasses import replace

from foundationless.study.families import depth_of, width_of
from foundationless.study.names import parse_task
from foundationless.study.plan import Model
from foundationless.study.price import perturbation
from foundationless.study.price.devices import DEFAULT, DEVICES
from foundationless.study.price.memory import Memory, finetuning_memory
from foundationless.study.price.shares import Shares, members
from foundationless.study.price.workload import BUDGET, PRETRAINING, Workload, baseline_columns, width_of_vectors

MIB = 2**20
FLOOR_MEMORY = 1000  # MiB: a SLURM job is three Python processes deep, 125 MB each, and less kills even a trivial one
FLOOR_MINUTES = 10  # of a job: queues of shorter ones gain nothing, and a node may be slow to start Python
CAP_MEMORY = 1_000_000  # MiB: what a large node has; a cluster refuses more rather than queues it
CAP_MINUTES = {True: 2880, False: 1440}  # with and without a GPU, as partitions commonly limit; longer jobs are resumed
SAFETY = 3.0  # of time: the estimate is right within a factor of a few
PYTHON = 800  # MiB: the two processes around it, and NumPy, pandas, pyarrow
TORCH = 1500  # MiB: the same with torch or scikit-learn
CUDA = 3500  # MiB: torch with the libraries and the context of a GPU mapped into the process
CPU_FLOPS = 1e11  # per second of a few cores, sustained; what a network gets where no GPU is asked for
# Numbers that a layer keeps of each token and unit of width for the backward pass (Korthikanti et al. 2022, equation 1:
# 34 bytes at 16 bit), and those alive at once in a forward pass alone.
KEPT, ALIVE = 17, 30
BATCH_ON_CPU = 1 << 19  # numbers of hidden states, as `embedding.CACHED`
TRAINING = (
    "finetune_model",
    "finetune_shots",
    "explain",
)  # classifiers: weights, gradients, moments
MERGE = "finetune_model of parts"  # a fine-tuning job that only puts together what its parts trained
WILDCARDS = ("analysis", "task", "model", "init")  # what a request depends on
SAVED = {
    "trainable",
    "gradient_checkpointing",
    "weight_precision",
    "token_budget",
    "chunks",
}  # settings that save memory
PER_NUCLEOTIDE = 12  # bytes: text once or twice, and its ids as int64
LOOKED_UP = 64  # bytes, where its words are sorted and looked up; of very large sets only a part of them
SUMMARISED = 4  # tasks or figures at once, in a process each: the `threads` of those rules
PREDICTED = 600  # bytes per test row of a job: three folds of two runs, of which each keeps about 100
OUTPUT = 60  # bytes, of each output of a row besides
GENOME_ON_READ = 1500  # MiB: one contig as text and as codes
# MiB, and MiB more per MB of input files: a set of the user's own is as large as it is, whatever was published.
OF_INPUT = {
    "prepare_genome": (1000, 6, 1e6),  # gzip expands about four-fold and one copy is normalised
    "build_sequences": (2000, 10, 1500),  # text as Python strings; genomes are read by index, hence the last number
    "derive_sequences": (2000, 60, 1e6),  # as the audit, which `distant` runs
    "audit_task": (4000, 60, 1e6),  # k-mers of every sequence; repeated ones are small on disk only
    "audit_overlap": (2000, 30, 1e6),  # one hash per distinct sequence and strand
    "build_effects": (2000, 20, 6e3),  # counts, which are kept sparse or read in blocks
    "import_genes": (2000, 20, 4e3),
    "finetune_effects": (6000, 20, 6e3),  # the same cells, beside the network
    "predict_effects": (2000, 60, 1e6),  # profiles of every split as float64, predicted and observed
    "import_vectors": (1500, 8, 1e6),  # as read, in the order of the set, as float32, and as they are written
}


class Allocation:
    """Requests of a study's jobs. Answers are whole numbers, never below the floors, and grow with `attempt` (from 1).

    On a CPU weights, gradients and activations lie in host memory, which they do not with a GPU; the libraries of a
    GPU are larger.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.plan = workload.plan
        slow = replace(DEVICES["cpu"], flops=CPU_FLOPS, start=DEVICES[DEFAULT].start)
        self._slow = Workload(workload.plan, workload.sizes, slow)
        self.shares = Shares(workload)
        self._known: dict[tuple[object, ...], tuple[float, float]] = {}

    def gpus(self, rule: str, **names: str) -> int:
        """GPUs that a job asks for: none, one, or one per process of pretraining."""
        rule = self._whole(rule, names)[0]
        if rule == MERGE:
            return 0
        gpu = self.workload.of(rule, **names).gpu
        return self.workload.processes(rule, names.get("model", "")) if gpu else 0

    def on_device(self, analysis: str, task: str, model: str, **_: object) -> Memory:
        """What a fine-tuning job takes of the memory of a GPU."""
        return finetuning_memory(self.workload, analysis, task, self.plan.model(model))

    def _whole(self, rule: str, names: dict[str, str]) -> tuple[str, float]:
        """(Rule, share of its work) of a job: of a part that of the whole, whose work it has a share of.

        What puts parts together is a rule of its own here (`MERGE`): it asks for no GPU, and trains nothing.
        """
        if rule in ("pretrain", "pretrain_leg"):
            return "pretrain", 1 / self.shares.pretraining(names["model"]).legs
        if rule in ("finetune_model", "finetune_part"):
            cut = self.shares.finetuning(names["analysis"], names["task"], names["model"])
            if rule == "finetune_model":
                return (MERGE, 0.0) if cut.parts else (rule, 1.0)
            largest = max(len(members(cut.units, cut.groups, group)) for group in range(cut.groups))
            return "finetune_model", largest / cut.units / cut.legs
        return rule, 1.0

    def memory(self, rule: str, attempt: int = 1, gpu: int | None = None, input_mb: float = 0.0, **names: str) -> int:
        """MiB of host memory.

        Args:
            rule: a rule of the workflow.
            attempt: 1, 2, …; the second and third ask for twice as much as the one before.
            gpu: GPUs that the job has; None: what the rule asks for; 0: it runs on the CPU.
            input_mb: MB of input files where they are there already.
            names: the job's wildcards (`analysis`, `task`, `model`, `init`; others are not looked at).
        """
        need = self._need(rule, gpu, names)[0]
        if rule in OF_INPUT and input_mb:
            least, times, most = OF_INPUT[rule]
            need = max(need, least + times * min(input_mb, most))
        asked = math.ceil(need * (1, 2, 4)[min(attempt, 3) - 1] / 100) * 100
        return max(FLOOR_MEMORY, min(CAP_MEMORY, asked))

    def minutes(self, rule: str, attempt: int = 1, gpu: int | None = None, **names: str) -> int:
        """Minutes of wall time; arguments as `memory`'s."""
        need = max(FLOOR_MINUTES, self._need(rule, gpu, names)[1] * SAFETY / 60)
        asked = self.gpus(rule, **names) if gpu is None else gpu
        return min(CAP_MINUTES[asked > 0], math.ceil(need * 1.5 ** (attempt - 1)))

    def _need(self, rule: str, gpu: int | None, names: dict[str, str]) -> tuple[float, float]:
        """(MiB, seconds) of the first attempt, kept: thousands of jobs differ in nothing but their seed."""
        key = (rule, gpu, *(names.get(name, "") for name in WILDCARDS))
        if key not in self._known:
            gpus = self.gpus(rule, **names) if gpu is None else gpu
            wanted = {name: names.get(name, "") for name in WILDCARDS}
            rule, share = self._whole(rule, wanted)
            whole = "finetune_model" if rule == MERGE else rule
            source = self.workload if gpus else self._slow
            work = source.of(whole, **names)
            if share < 1:
                work = source.part(whole, wanted["model"], work, share)
            self._known[key] = self._bytes(rule, gpus, **wanted) / MIB, work.gpu / max(1, gpus) + work.cpu
        return self._known[key]

    def _bytes(self, rule: str, gpu: int, analysis: str, task: str, model: str, init: str) -> float:
        """Bytes of host memory: libraries, what is read, and what is computed with."""
        if rule in ("import_vectors", "import_scores"):  # the set as text, twice
            return TORCH * MIB + 16 * self.workload.nucleotides(task)
        if rule in ("probe", "fit_baseline", "cluster_embeddings", "probe_structure"):
            return TORCH * MIB + self._features(rule, analysis, task, self.plan.model(model))
        if rule == "probe_variants" and model and self.plan.model(model).is_baseline:
            return TORCH * MIB + PER_NUCLEOTIDE * self.workload.nucleotides(parse_task(task).base_task)
        if rule in perturbation.RULES and rule not in ("pretrain_cells", "finetune_effects"):
            return TORCH * MIB
        if rule in perturbation.RULES:  # weights, gradients, moments and a checkpoint, and cells
            weights = 4 * self.workload.parameters(self.plan.model(model)) if model else 0.0
            return (CUDA if gpu else 2 * TORCH) * MIB + 7 * weights
        if model and rule not in ("download_tokenizer", "download_own_tokenizer", "train_tokenizer"):
            return self._network(rule, gpu, analysis, task, self.plan.model(model))
        if rule == "train_tokenizer":  # the genome as text, and the counts of its words
            return (TORCH + 2 * GENOME_ON_READ) * MIB
        if rule == "audit_corpus":
            rows = self.workload.rows(task)  # one stretch of the genome at a time, and pieces of all test sequences
            return (PYTHON + 2 * GENOME_ON_READ) * MIB + 40 * rows["test"] * rows["length"]
        if rule in ("audit_task", "derive_sequences"):  # k-mers as 64-bit keys, sorted: key, owner, both again
            return PYTHON * MIB + 40 * self.workload.nucleotides(parse_task(task).base_task)
        if rule == "build_sequences":  # text as Python strings and in columns; genomes are read by index
            return PYTHON * MIB + 8 * self.workload.nucleotides(task)
        if rule == "audit_overlap":  # one set at a time, and one hash of each sequence and strand of all
            sets = self.plan.audited
            longest = max((self.workload.nucleotides(name) for name in sets), default=0.0)
            return PYTHON * MIB + 8 * longest + 200 * sum(self.workload.total(name) for name in sets)
        if rule in ("summarise_analysis", "look"):  # predictions of a task's jobs, as one-hot cells in each process
            asked = analysis or self.plan.deciding
            predicted = self.workload.predicted(asked).items()
            held = [rows * (PREDICTED + OUTPUT * self.workload.outputs(name)) for name, rows in predicted]
            return PYTHON * MIB + sum(PYTHON * MIB + size for size in sorted(held)[-SUMMARISED:])
        if rule in ("collect_tables", "bind_figures", "write_verdict", "write_report"):  # tables of every job
            return 2 * PYTHON * MIB + 20_000 * len(self.plan.cells)
        if rule == "draw_figures":  # the same, and Matplotlib in each process
            return 2 * PYTHON * MIB + SUMMARISED * (PYTHON // 2 * MIB + 5_000 * len(self.plan.cells))
        if rule == "prepare_genome":  # one contig and a normalised copy of it
            return (PYTHON + GENOME_ON_READ) * MIB
        return PYTHON * MIB

    def _features(self, rule: str, analysis: str, task: str, model: Model) -> float:
        """Feature matrices: float32 as read, float64 twice standardised, and the fitter's own (32 bytes a number)."""
        rows = self.workload.total(task)
        if rule == "fit_baseline":
            held = LOOKED_UP if model.entry["classifier"] == "nearest" else PER_NUCLEOTIDE
            return 32 * rows * baseline_columns(model.entry) + held * self.workload.nucleotides(task)
        if rule == "cluster_embeddings":  # distances between a few thousand rows, twice
            return 16 * rows * width_of_vectors(model) + 20 * min(5000.0, rows) ** 2
        return (32 + 4 * len(self.plan.probing(analysis)["poolings"])) * rows * width_of_vectors(model)

    def _network(self, rule: str, gpu: int, analysis: str, task: str, model: Model) -> float:
        """Weights as often as the host holds them, the set, and without a GPU what the GPU would hold."""
        weights = 4 * self.workload.parameters(model)
        if rule in ("initialise", "download_weights", "import_weights", "make_control_arm"):
            copies = 4 if rule == "make_control_arm" else 3  # as read, as a network, and as bytes to be written
            return TORCH * MIB + copies * weights
        if rule in PRETRAINING:  # a process each: weights, gradients, two moments, and a checkpoint of three of them
            each = CUDA * MIB + 7 * weights + GENOME_ON_READ * MIB
            return max(1, gpu) * each + (0 if gpu else self._activations(model, rule, analysis, task))
        held = PER_NUCLEOTIDE * self.workload.nucleotides(parse_task(task).base_task)
        if rule == "embed":  # vectors in every pooling, and once more while they are written
            # (of several layers one at a time: the others lie in a file)
            held += 8 * len(self.plan.poolings(task, model.name)) * self.workload.total(task) * width_of(model.config)
        # Fine-tuning keeps the start of every run, and a checkpoint passes through the host: weights, two moments.
        if rule == MERGE:  # the model, whose parameters are counted, and predictions of every run
            predicted = self.workload.of("finetune_model", analysis=analysis, task=task, model=model.name).size
            return TORCH * MIB + 2 * weights + held + 2 * predicted
        if rule in TRAINING and SAVED & self.plan.finetuning(task, analysis, model.name).keys():
            return self._partly_trained(gpu, analysis, task, model, held)
        copies = 5 if rule in TRAINING else 2
        if gpu:
            return CUDA * MIB + copies * weights + held
        copies += 4 if rule in TRAINING else 0  # the optimiser's, which a GPU holds otherwise
        return TORCH * MIB + copies * weights + held + self._activations(model, rule, analysis, task)

    def _partly_trained(self, gpu: int, analysis: str, task: str, model: Model, held: float) -> float:
        """The checkpoint twice, as read and as a network; what is trained and its moments; without a GPU the rest."""
        memory = finetuning_memory(self.workload, analysis, task, model)
        own = memory.gradients + memory.moments  # of a run that is kept: weights and two moments
        if gpu:
            return CUDA * MIB + 2 * memory.reading + own + held
        return TORCH * MIB + max(2 * memory.reading, memory.total) + own + held

    def _activations(self, model: Model, rule: str, analysis: str, task: str) -> float:
        """Bytes of one batch on the CPU: every layer's with the backward pass, otherwise those alive at once."""
        width, depth = width_of(model.config), depth_of(model.config)
        if rule in PRETRAINING:
            tokens = int(self.plan.pretraining(model.name).get("token_budget", BUDGET))
            return 4 * KEPT * tokens * width * depth
        longest = self.workload.tokens(model, self.workload.rows(task)["length"])[1]
        if rule in TRAINING:
            return 4 * KEPT * int(self.plan.finetuning(task, analysis)["batch_size"]) * longest * width * depth
        return 4 * ALIVE * max(BATCH_ON_CPU, longest * width)
