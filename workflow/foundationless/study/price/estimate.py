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
from foundationless.study.names import parse_task, sequence_set
from foundationless.study.plan import Cell, Plan
from foundationless.study.price.workload import Work, Workload, weight_rule
from foundationless.study.vocabulary import ANALYSES, CONTROL_ARMS, RULES, TARGETS

Key = tuple[str, ...]
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
    """What a ledger says the estimate was off by: factors of (rule, model), otherwise of the rule, otherwise 1."""

    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    rules: Mapping[str, float] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    skipped: int = 0

    def factor(self, rule: str, model: str) -> float:
        """Measured seconds over estimated ones."""
        return self.pairs.get((rule, model), self.rules.get(rule, 1.0))

    @classmethod
    def read(cls, ledger: pd.DataFrame, workload: Workload) -> "Calibration":
        """From a ledger of jobs (columns `rule`, `analysis`, `task`, `model`, `init`, `gpus`, `seconds`).

        Jobs of rules, models and tasks that the study does not have are skipped and counted. `table` has a row per
        rule: jobs, hours measured and estimated, the median ratio and its 10th and 90th percentile.
        """
        if missing := [column for column in LEDGER if column not in ledger.columns]:
            raise UserError(f"the ledger has no column '{missing[0]}'; give results/tables/cost.csv of a study.")
        rows = []
        for row in ledger[list(LEDGER)].astype(object).fillna("").to_dict("records"):
            names = {name: str(row[name]) for name in ("analysis", "task", "model", "init")}
            measured = pd.to_numeric(row["seconds"], errors="coerce")
            try:
                work = workload.of(str(row["rule"]), **names) if row["rule"] in _COUNTED else None
            except (UserError, KeyError):
                work = None
            if work is None or not measured > 0:
                continue
            gpus = pd.to_numeric(row["gpus"], errors="coerce")
            expected = work.gpu / (gpus if gpus > 0 else 1) + work.cpu
            rows.append({"rule": row["rule"], "model": names["model"], "measured": measured, "expected": expected})
        if not rows:
            raise UserError("the ledger has no job of this study's rules, models and tasks; leave it out.")
        jobs = pd.DataFrame(rows)
        jobs["ratio"] = jobs["measured"] / jobs["expected"]
        grouped = jobs.groupby("rule")
        table = pd.DataFrame(
            {
                "jobs": grouped.size(),
                "measured_hours": grouped["measured"].sum() / 3600,
                "estimated_hours": grouped["expected"].sum() / 3600,
                "median_ratio": grouped["ratio"].median(),
                "p10": grouped["ratio"].quantile(0.1),
                "p90": grouped["ratio"].quantile(0.9),
            }
        ).reset_index()
        each = jobs.groupby(["rule", "model"])["ratio"].median().reset_index()
        pairs = {(row["rule"], row["model"]): float(row["ratio"]) for row in each.to_dict("records")}
        rules = dict(zip(table["rule"], table["median_ratio"].astype(float), strict=True))
        return cls(pairs, rules, table, len(ledger) - len(jobs))


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
    flops: float,
    machine: Machine | None = None,
    calibration: Calibration | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Costs of a study's targets.

    Args:
        plan: the study.
        sizes: task (or its name in the paper) to `train`, `validation`, `test` (rows) and `length` (nucleotides, mean).
        flops: sustained floating-point operations per second of a GPU.
        machine: what it runs on (default: one GPU, eight cores).
        calibration: what jobs that ran say the estimate was off by (default: nothing).

    Returns:
        One row per target and per rule of it, and a row `all` (`target`, `rule`, `jobs`, `gpu_hours`, `cpu_hours`,
        `storage_gb`, `wall_hours`); and the tasks whose size is not known, for which 10,000 sequences of 500 nt are
        assumed.
    """
    workload = Workload(plan, sizes, flops)
    rows = []
    for target, analyses in {**TARGETS, "all": tuple(ANALYSES)}.items():
        cells = [cell for cell in plan.cells if cell.analysis in analyses]
        jobs = list_jobs(workload, cells, calibration or Calibration(), whole=target == "all")
        for rule in dict.fromkeys(node.rule for node in jobs.values()):
            those = [node for node in jobs.values() if node.rule == rule]
            longest = max(node.seconds for node in those)
            rows.append(_row(target, rule, those, machine or Machine(), longest))
        if target == "all" or jobs:
            rows.append(_row(target, "total", [*jobs.values()], machine or Machine(), longest_chain(jobs)[0]))
    return pd.DataFrame(rows), sorted(workload.unknown)


def describe_chain(workload: Workload, calibration: Calibration) -> str:
    """The longest chain of a study's jobs that wait for each other, those of an hour or more, in words."""
    jobs = list_jobs(workload, workload.plan.cells, calibration, whole=True)
    total, chain = longest_chain(jobs)
    long = [key for key in chain if jobs[key].seconds >= 3600] or chain
    words = [f"{key[0]} {'/'.join(key[1:])} ({jobs[key].seconds / 3600:,.1f} h)" for key in long]
    return f"{total / 3600:,.1f} h: {' -> '.join(words)}"


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
        graph.add(("bind_figures",), [drawn])
        graph.add(("write_report",), [drawn, verdict])
    return graph.nodes


class _Graph:
    """Jobs with what they wait for, each once; every method adds a job with all that it needs and returns its key."""

    def __init__(self, workload: Workload, calibration: Calibration) -> None:
        self.workload, self.plan, self.calibration = workload, workload.plan, calibration
        self.nodes: dict[Key, Node] = {}

    def add(self, key: Key, parents: Iterable[Key] = (), **names: str) -> Key:
        if key not in self.nodes:
            rule, model = key[0], names.get("model", "")
            factor, work = self.calibration.factor(rule, model), self.workload.of(rule, **names)
            work = Work(work.gpu * factor, work.cpu * factor, work.size)
            seconds = work.gpu / self.workload.processes(rule, model) + work.cpu
            self.nodes[key] = Node(rule, model, work, seconds, tuple(parents))
        return key

    def add_sequences(self, task: str) -> Key:
        base, name = parse_task(task).base_task, sequence_set(task)
        read = [source.removeprefix("task:") for source in self.plan.sources(base).values() if "task:" in source]
        built = self.add(("build_sequences", base), [self.add_sequences(other) for other in read], task=base)
        return self.add(("derive_sequences", name), [built], task=base) if name != base else built

    def add_audit(self, task: str) -> Key:
        return self.add(("audit_task", task), [self.add_sequences(task)], task=task)

    def add_weights(self, name: str, init: str, seed: int) -> Key:
        model = self.plan.model(name)
        rule = weight_rule(model, init)
        parents: list[Key] = []
        if init in CONTROL_ARMS:
            parents = [self.add_weights(name, "pretrained", 0), self.add_weights(name, "random", seed)]
        elif rule == "pretrain":
            parents = [self.add_weights(name, "random", seed)]
        elif rule == "import_weights" and self.plan.model(model.published).source == "workflow":
            parents = [self.add_weights(model.published, "pretrained", 0)]
        return self.add((rule, name, init, str(seed)), parents, model=name, init=init)

    def add_cell(self, cell: Cell) -> Key:
        baseline, names = cell.init == "baseline", {name: getattr(cell, name) for name in Cell._fields[:-1]}
        rule, parents = "fit_baseline" if baseline else ANALYSES[cell.analysis].rule, [self.add_sequences(cell.task)]
        if not baseline:
            parents.append(self.add_weights(cell.model, cell.init, self.plan.weight_seed(cell.init, cell.seed)))
        if not baseline and ANALYSES[cell.analysis].embeds:
            made, base = parents.pop(), parse_task(cell.task).base_task
            read = [made, self.add_sequences(base)]
            key = ("embed", base, *made[1:])
            parents.append(self.add(key, read, task=base, model=cell.model, init=cell.init))
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
