"""What a study will cost before anything runs: jobs, GPU-hours, CPU-hours, storage and wall time of every target.

`workload` counts the work of a job. Here it is added up over the jobs that a target needs, what several share once;
multiplied by what a ledger of jobs that ran says the estimate was off by; and laid out on GPUs and cores, where it
takes at least its longest chain of jobs that wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.study.names import parse_task, sequence_set, set_to_read
from foundationless.study.plan import Cell, Plan
from foundationless.study.price.devices import Device
from foundationless.study.price.memory import finetuning_memory
from foundationless.study.price.shares import Shares, members, reached
from foundationless.study.price.workload import NETWORK_RULES, SELF_COUNTING, Work, Workload, weight_rule
from foundationless.study.vocabulary import ANALYSES, CONTROL_ARMS, OTHER_CORPORA, RULES, TARGETS

Key = tuple[str, ...]
WHOLE = {"finetune_part": "finetune_model", "pretrain_leg": "pretrain"}  # rule of a part -> of what it is a part
_COUNTED = frozenset(RULES) - {"fetch"}
LEDGER = ("rule", "analysis", "task", "model", "init", "gpus", "seconds")  # columns of a ledger that are read


@dataclass(frozen=True)
class Machine:
    """What a study runs on: GPUs and cores, each busy with one job at a time."""

    gpus: int = 1
    cores: int = 8


@dataclass(frozen=True)
class Node:
    """A job: its rule and model, its work, the seconds that it takes, and the jobs that it waits for."""

    rule: str
    model: str
    work: Work
    seconds: float
    parents: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """What a ledger says the estimate was off by: factors of (rule, model), otherwise of the rule, otherwise 1.

    `table`: a row per rule and one in total. `skipped`: jobs that are not the study's; `elsewhere`: of networks, on the
    other kind of device.
    """

    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    rules: Mapping[str, float] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    skipped: int = 0
    elsewhere: int = 0

    def factor(self, rule: str, model: str) -> float:
        """Measured seconds over estimated ones."""
        return self.pairs.get((rule, model), self.rules.get(rule, 1.0))

    def apply(self, workload: Workload, rule: str, model: str, work: Work) -> Work:
        """Work of a job as the ledger corrects it; its start is no part of what jobs say of themselves."""
        factor = self.factor(rule, model)
        start = workload.start(rule) * workload.processes(rule, model) if rule in SELF_COUNTING else 0.0
        gpu, cpu = (start, 0.0) if work.gpu else (0.0, start)
        return Work(gpu + factor * (work.gpu - gpu), cpu + factor * (work.cpu - cpu), work.size)

    def describe(self) -> str:
        """What it is made of, as text: how far off the estimate was, by rule and in total."""
        lines = [
            "\nMeasured over estimated seconds of the ledger's jobs; the numbers above are multiplied by the medians:",
            self.table.to_string(index=False, float_format="{:,.3g}".format),
        ]
        if self.skipped:
            lines.append(f"{self.skipped} jobs of the ledger are none of this study's and were left out.")
        if self.elsewhere:
            lines.append(f"{self.elsewhere} jobs of the ledger ran on another kind of device and were left out.")
        return "\n".join(lines)

    @classmethod
    def read(cls, ledger: pd.DataFrame, workload: Workload, own: Workload | None = None) -> "Calibration":
        """From a ledger of jobs (columns `rule`, `analysis`, `task`, `model`, `init`, `gpus`, `seconds`).

        `own`: the workload of the study that the ledger is of, where that is another one: its jobs say how far off
        a rule is, whatever models it ran. Jobs whose rules, models and tasks that study lacks are skipped and counted,
        and so are networks on a CPU where the estimate is for a GPU, or the other way round. `table` has a row per
        rule, and `total`: jobs, hours measured and estimated, their ratio, the median ratio of a job and its 10th and
        90th percentile.
        """
        if missing := [column for column in LEDGER if column not in ledger.columns]:
            raise UserError(f"the ledger has no column '{missing[0]}'; give results/tables/cost.csv of a study.")
        rows, elsewhere = [], 0
        for row in ledger[list(LEDGER)].astype(object).fillna("").to_dict("records"):
            rule, names = str(row["rule"]), {name: str(row[name]) for name in ("analysis", "task", "model", "init")}
            measured, gpus = (pd.to_numeric(row[name], errors="coerce") for name in ("seconds", "gpus"))
            expected = _expect(own or workload, rule, names)
            if not expected > 0 or not measured > 0:
                continue
            if rule in NETWORK_RULES & SELF_COUNTING and gpus == gpus and (gpus > 0) != workload.device.gpu:
                elsewhere += 1
            else:
                rows.append({"rule": rule, "model": names["model"], "measured": measured, "expected": expected})
        if not rows:
            reason = f" ({elsewhere} ran on another kind of device)" if elsewhere else ""
            raise UserError(
                f"the ledger has no job of this study's rules, models and tasks{reason}; leave it out, or give the "
                "study that it is of (--ledger-study)."
            )
        jobs = pd.DataFrame(rows)
        jobs["ratio"] = jobs["measured"] / jobs["expected"]
        table = pd.concat([_accuracy(jobs), _accuracy(jobs.assign(rule="total"))], ignore_index=True)
        each = jobs.groupby(["rule", "model"])["ratio"].median().reset_index()
        pairs = {(row["rule"], row["model"]): float(row["ratio"]) for row in each.to_dict("records")}
        medians = jobs.groupby("rule")["ratio"].median().astype(float)
        rules = {str(rule): float(ratio) for rule, ratio in medians.items()}
        return cls(pairs, rules, table, len(ledger) - len(jobs) - elsewhere, elsewhere)


def _expect(workload: Workload, rule: str, names: Mapping[str, str]) -> float:
    """Seconds that a ledger should tell of a job; 0 of one that is none of the study's.

    A model has to be one of its cells': `ntv2.demo` of another study would be read as its own `ntv2`.
    """
    if names["model"] and names["model"] not in workload.plan.known_models:
        return 0.0
    try:
        return workload.told(rule, **names) if rule in _COUNTED else 0.0
    except (UserError, KeyError):
        return 0.0


def _accuracy(jobs: pd.DataFrame) -> pd.DataFrame:
    grouped = jobs.groupby("rule")
    measured, estimated = (grouped[name].sum() / 3600 for name in ("measured", "expected"))
    ratios = {"median_ratio": 0.5, "p10": 0.1, "p90": 0.9}
    columns = {"jobs": grouped.size(), "measured_hours": measured, "estimated_hours": estimated}
    columns |= {"ratio": measured / estimated}
    columns |= {name: grouped["ratio"].quantile(share) for name, share in ratios.items()}
    return pd.DataFrame(columns).reset_index()


def read_ledger(path: Path) -> pd.DataFrame:
    """A ledger's rows; a missing or broken file is a `UserError`."""
    try:
        return pd.read_csv(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: not a table of comma-separated values ({error}).") from None


def estimate(
    plan: Plan,
    sizes: Mapping[str, Mapping[str, float]],
    device: Device | float,
    machine: Machine | None = None,
    calibration: Calibration | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Costs of a study's targets.

    Args:
        plan: the study.
        sizes: task (or its name in the paper) to `train`, `validation`, `test` (rows) and `length` (nucleotides, mean).
        device: where networks run; a number: the default GPU at so many operations per second.
        machine: what it runs on (default: one GPU, eight cores).
        calibration: what jobs that ran say the estimate was off by (default: nothing).

    Returns:
        One row per target and per rule of it, and a row `all` (`target`, `rule`, `jobs`, `gpu_hours`, `cpu_hours`,
        `storage_gb`, `wall_hours`); and the tasks whose size is not known, for which 10,000 sequences of 500 nt are
        assumed.
    """
    workload = Workload(plan, sizes, device)
    rows = []
    for target, analyses in {**TARGETS, "all": tuple(ANALYSES)}.items():
        cells = [cell for cell in plan.cells if cell.analysis in analyses]
        jobs = list_jobs(workload, cells, calibration or Calibration(), whole=target == "all")
        for rule in dict.fromkeys(node.rule for node in jobs.values()):
            those = [node for node in jobs.values() if node.rule == rule]
            longest = max(node.seconds for node in those)
            rows.append(_row(target, rule, those, machine or Machine(), longest))
        if target == "all" or jobs:
            rows.append(total(jobs, machine or Machine(), target))
    return pd.DataFrame(rows), sorted(workload.unknown)


def total(jobs: Mapping[Key, Node], machine: Machine, target: str = "all") -> dict[str, Any]:
    """Jobs, hours, storage and wall time of all these jobs, as the row `total` of `estimate`."""
    return _row(target, "total", [*jobs.values()], machine, longest_chain(jobs)[0])


def describe_chain(workload: Workload, calibration: Calibration) -> str:
    """The longest chain of a study's jobs that wait for each other, those of an hour or more, in words."""
    jobs = list_jobs(workload, workload.plan.cells, calibration, whole=True)
    total, chain = longest_chain(jobs)
    long = [key for key in chain if jobs[key].seconds >= 3600] or chain
    words = [f"{key[0]} {'/'.join(key[1:])} ({jobs[key].seconds / 3600:,.1f} h)" for key in long]
    return f"{total / 3600:,.1f} h: {' -> '.join(words)}"


def price_looks(workload: Workload, machine: Machine, calibration: Calibration) -> dict[int | None, dict[str, Any]]:
    """Seeds to `total` of a study that ends at its first look, and at its last; None to that of one without looks."""
    plan, prices = workload.plan, {}
    for seeds in dict.fromkeys([*plan.looks[:1], *plan.looks[-1:]]) or [None]:
        cells = plan.cells if seeds is None else plan.cells_until(seeds)
        prices[seeds] = total(list_jobs(workload, cells, calibration, whole=True), machine)
    return prices


def describe_looks(workload: Workload, machine: Machine, calibration: Calibration) -> str:
    """What a study with looks costs if it ends at the first, and if it ends at the last, in words."""
    plan = workload.plan
    prices = [
        f"{price['gpu_hours']:,.1f} GPU-hours and {price['cpu_hours']:,.1f} core-hours with {seeds} seeds"
        for seeds, price in price_looks(workload, machine, calibration).items()
    ]
    budget = f", or with the budget of {plan.config['budget']:g} hours" if "budget" in plan.config else ""
    return (
        f"Looks after each seed: {', '.join(prices)}; it ends between them, with the decision on {plan.deciding}"
        f"{budget}. The table, and the power below, are those of all {plan.looks[-1]} seeds."
    )


def describe_longest(workload: Workload, calibration: Calibration) -> str:
    """The longest job of a study, in words, beside what the study allows."""
    jobs = list_jobs(workload, workload.plan.cells, calibration, whole=True)
    key = max(jobs, key=lambda key: jobs[key].seconds)
    hours, most = jobs[key].seconds / 3600, Shares(workload).seconds / 3600
    return f"{key[0]} {'/'.join(key[1:])}, {hours:,.1f} h (longest_job: {most:g}); {len(jobs):,} jobs"


def describe_memory(workload: Workload) -> str:
    """The most that fine-tuning takes of a GPU's memory, in words; empty where networks run elsewhere, or none do."""
    plan, most = workload.plan, workload.device.memory
    jobs = {
        cell[:3] for cell in plan.cells if ANALYSES[cell.analysis].rule == "finetune_model" and cell.init != "baseline"
    }
    if not most or not jobs:
        return ""
    needs = {job: finetuning_memory(workload, job[0], job[1], plan.model(job[2])) for job in sorted(jobs)}
    job = max(needs, key=lambda job: needs[job].on_gpu)
    need = needs[job].on_gpu
    words = f"{need / 1e9:,.1f} of {most / 1e9:,.0f} GB by formula, {'/'.join(job)} ({needs[job].describe()})"
    if need <= most:
        return words
    return f"{words}; it does not fit: see 'Models too large to train whole' in config/README.md"


def _row(target: str, rule: str, nodes: Sequence[Node], machine: Machine, least: float) -> dict[str, Any]:
    work = sum((node.work for node in nodes), Work())
    hours = {"gpu_hours": work.gpu / 3600, "cpu_hours": work.cpu / 3600, "storage_gb": work.size / 1e9}
    wall = max(work.gpu / machine.gpus, work.cpu / machine.cores, least) / 3600
    return {"target": target, "rule": rule, "jobs": len(nodes), **hours, "wall_hours": wall}


def list_jobs(workload: Workload, cells: Iterable[Cell], calibration: Calibration, whole: bool) -> dict[Key, Node]:
    """Every job that these cells need, parents first; `whole`: and what is made of all of them."""
    plan = workload.plan
    graph = _Graph(workload, calibration)
    records: dict[str, list[Key]] = {}
    for cell in cells:
        records.setdefault(cell.analysis, []).append(graph.add_cell(cell))
        if cell.task in plan.audited:
            records[cell.analysis].append(graph.add_audit(cell.task))
    summaries = [
        graph.add(("summarise_analysis", analysis), dict.fromkeys(parents), analysis=analysis)
        for analysis, parents in records.items()
    ]
    if whole:
        audits = [graph.add_audit(task) for task in plan.audited]
        tables = graph.add(("collect_tables",), [*summaries, *audits])
        drawn, verdict = graph.add(("draw_figures",), [tables]), graph.add(("write_verdict",), [tables])
        graph.add(("bind_figures",), [drawn, verdict])
        graph.add(("write_report",), [drawn, verdict])
    return graph.nodes


class _Graph:
    """Jobs with what they wait for, each once; every method adds a job with all that it needs and returns its key."""

    def __init__(self, workload: Workload, calibration: Calibration) -> None:
        self.workload, self.plan, self.calibration = workload, workload.plan, calibration
        self.shares = Shares(workload)
        self.nodes: dict[Key, Node] = {}

    def add(self, key: Key, parents: Iterable[Key] = (), share: float = 1.0, **names: str) -> Key:
        """`share`: how much of the work of a job that was cut is this one's; each of them starts anew."""
        if key not in self.nodes:
            rule, model = WHOLE.get(key[0], key[0]), names.get("model", "")
            work = self.calibration.apply(self.workload, rule, model, self.workload.of(rule, **names))
            if share < 1:
                work = self.workload.part(rule, model, work, share)
            seconds = work.gpu / self.workload.processes(rule, model) + work.cpu
            self.nodes[key] = Node(key[0], model, work, seconds, tuple(parents))
        return key

    def add_sequences(self, task: str) -> Key:
        base, name = parse_task(task).base_task, sequence_set(task)
        read = [source.removeprefix("task:") for source in self.plan.sources(base).values() if "task:" in source]
        built = self.add(("build_sequences", base), [self.add_sequences(other) for other in read], task=base)
        return self.add(("derive_sequences", name), [built], task=name) if name != base else built

    def add_effects(self, task: str) -> Key:
        base = parse_task(task).base_task
        return self.add(("build_effects", base), task=base)

    def add_genes(self, cell: Cell) -> list[Key]:
        """The embedding of genes that a cell of an analysis of perturbations borrows, if any."""
        name, init, seed = self.plan.embedding_of(cell)
        if not name:
            return []
        model = self.plan.model(name)
        if model.is_vectors:
            genes = model.entry["genes"]
            read = [genes["task"]] if "task" in genes else []
            read += self.plan.screens_of(name) if genes["source"] == "go" else []
            return [self.add(("import_genes", name), [self.add_effects(task) for task in read], model=name)]
        read = [self.add_weights(name, init, seed)]
        if not model.of_cells:
            base = self.plan.genes_read["genes"]
            key = ("embed", base, *read[0][1:])
            read = [self.add(key, [*read, self.add_sequences(base)], task=base, model=name, init=init)]
        return [self.add(("embed_genes", name, init, str(seed)), read, model=name, init=init)]

    def add_predicted(self, cell: Cell) -> Key:
        names = {name: getattr(cell, name) for name in Cell._fields[:-1]}
        rule, parents = self.plan.rule_of(cell), [self.add_effects(cell.task)]
        if rule == "finetune_effects":
            parents.append(self.add_weights(cell.model, cell.init, self.plan.weight_seed(cell.init, cell.seed)))
        else:
            parents += self.add_genes(cell)
        return self.add((rule, *map(str, cell)), parents, **names)

    def add_audit(self, task: str) -> Key:
        return self.add(("audit_task", task), [self.add_sequences(task)], task=task)

    def add_weights(self, name: str, init: str, seed: int, task: str = "") -> Key:
        """The weights of an arm; of the arm `self` those for a task."""
        model = self.plan.model(name)
        rule = weight_rule(model, init)
        parents: list[Key] = []
        if init in CONTROL_ARMS:
            parents = [self.add_weights(name, "pretrained", 0), self.add_weights(name, "random", seed)]
        elif rule == "initialise" and model.of_cells and model.source == "workflow":
            parents = [self.add(("build_vocabulary", model.stem), model=model.stem)]
        elif rule in ("pretrain", "pretrain_cells", "pretrain_control"):
            parents = [self.add_weights(name, "random", seed)]
            if init in OTHER_CORPORA:
                corpus = str(model.entry["pretrained"]["corpus"])
                genomes = self.plan.config["corpora"][corpus]["genomes"]
                parents += [self.add(("shuffle_genome", corpus, genome)) for genome in genomes]
        elif rule == "pretrain_self":
            read = set_to_read(task)
            parents = [self.add_weights(name, "random", seed), self.add_sequences(read)]
            return self.add((rule, name, init, read, str(seed)), parents, model=name, init=init, task=read)
        elif rule == "import_weights" and self.plan.model(model.published).source == "workflow":
            parents = [self.add_weights(model.published, "pretrained", 0)]
        if rule == "pretrain":
            legs, steps = self.shares.pretraining(name).legs, int(self.plan.pretraining(name)["steps"])
            before = 0
            for leg in range(legs):
                until = reached(steps, legs, leg)
                last = (rule, name, init, str(seed)) if leg == legs - 1 else ("pretrain_leg", name, str(seed), str(leg))
                made = self.add(last, parents, (until - before) / steps, model=name, init=init)
                parents, before = [made], until
            return made
        return self.add((rule, name, init, str(seed)), parents, model=name, init=init)

    def add_cell(self, cell: Cell) -> Key:
        if ANALYSES[cell.analysis].predicts_effects:
            return self.add_predicted(cell)
        names = {name: getattr(cell, name) for name in Cell._fields[:-1]}
        rule, parents = self.plan.rule_of(cell), [self.add_sequences(cell.task)]
        outside = self.plan.model(cell.model).is_outside
        network = cell.init != "baseline" and not outside
        if network:
            seed = self.plan.weight_seed(cell.init, cell.seed)
            parents.append(self.add_weights(cell.model, cell.init, seed, cell.task))
        if outside and ANALYSES[cell.analysis].embeds:
            base, seed = parse_task(cell.task).base_task, self.plan.weight_seed(cell.init, cell.seed)
            imported = ("import_vectors", base, cell.model, cell.init, str(seed))
            parents.append(self.add(imported, [self.add_sequences(base)], task=base, model=cell.model, init=cell.init))
        if network and ANALYSES[cell.analysis].embeds:
            made, base = parents.pop(), parse_task(cell.task).base_task
            read = [made, self.add_sequences(base)]
            key = ("embed", base, *made[1:])
            parents.append(self.add(key, read, task=base, model=cell.model, init=cell.init))
        if other := self.plan.rate_from(cell):
            parents.append(self.add_cell(other))
        if rule == "finetune_model" and (cut := self.shares.finetuning(**names)).parts:
            trained: list[Key] = []
            for part in range(cut.parts):
                group, leg = cut.place(part)
                share = len(members(cut.units, cut.groups, group)) / cut.units / cut.legs
                before = [trained[-1]] if leg else parents
                trained.append(self.add(("finetune_part", *map(str, cell), str(part)), before, share, **names))
            merged = [trained[part] for part in cut.last_parts()]
            return self.add((rule, *map(str, cell)), merged, 0.0, **names)
        return self.add((rule, *map(str, cell)), parents, **names)


def longest_chain(nodes: Mapping[Key, Node]) -> tuple[float, list[Key]]:
    """Seconds of the longest chain of jobs that wait for each other, and its jobs in order."""
    finish: dict[Key, float] = {}
    before: dict[Key, Key | None] = {}
    for key, node in nodes.items():  # parents stand before their children
        before[key] = max(node.parents, key=lambda parent: finish[parent], default=None)
        earlier = before[key]
        finish[key] = node.seconds + (finish[earlier] if earlier else 0.0)
    at: Key | None = max(finish, key=lambda key: finish[key], default=None)
    total, chain = finish.get(at, 0.0) if at else 0.0, []
    while at:
        chain.append(at)
        at = before[at]
    return total, chain[::-1]
