"""The cost ledger: what every job of a study took, each once however many analyses share it, and sums of it.

GPU-hours are hours of jobs times their GPUs, CPU-hours hours times their threads, busy or not: what a cluster bills.
Attempts that were interrupted count where the record counts them (`usage.JobUsage`). What another program computed has
a row of the rule `outside`, without numbers: its cost is not known, and neither is a sum that it belongs to.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.reporting.tables.catalogue import TABLES, columns_of
from foundationless.study.price.workload import SELF_COUNTING
from foundationless.study.vocabulary import ANALYSES, CONTROL_ARMS, EFFECT_ARMS, OF_EFFECTS, SELF, is_other_pretraining

IDENTITY = list(TABLES["cost"].keys)
LEDGER, BY_MODEL = columns_of("cost"), columns_of("cost_by_model")
EMBEDDINGS = "embeddings"  # what the ledger calls the analysis of an embedding, which serves several
PRETRAINED = "pretrain"  # and of a pretraining
OUTSIDE = "outside"  # the rule of what was computed elsewhere
_NUMBERS = ("gpus", "threads", "seconds", "peak_memory_mb", "peak_device_memory_mb", "energy_j", "attempts")
_ARMS = tuple(dict.fromkeys(("pretrained", "random", "baseline", *CONTROL_ARMS, *EFFECT_ARMS)))
_RULE_OF = {name: analysis.rule for name, analysis in ANALYSES.items()}
_COMMANDS = Path(__file__).parents[2] / "commands"  # a rule has the name of its command
_JOULES = 3.6e6  # of a kWh


def sets_of_weights(ledger: pd.DataFrame) -> pd.Series:
    """Task of every job as it is read; of a pretraining none, for what it read is no task: weights are a model's. But
    the arm `self` has others for each sequence set."""
    of_model = (ledger["analysis"] == PRETRAINED) & (ledger["init"] != SELF)
    return ledger["task"].mask(of_model, "")


def ledger(records: pd.DataFrame, benchmarks: Path | None = None) -> pd.DataFrame:
    """One row per job that ran (columns `LEDGER`), sorted by `IDENTITY`.

    `records` are flat tables of records: several rows of a record are one job, and an embedding that several records
    name is one. What no record tells is read from Snakemake's `benchmarks` (RULE/…/NAME.tsv), if they are given and
    there: there `threads`, which they do not tell, count as one, and only the last try is known. Benchmarks of rules
    that are no longer there, by that name, are left alone.
    """
    jobs = pd.concat([_recorded(records), _embedded(records)], ignore_index=True)
    if len(elsewhere := _outside(records)):
        jobs = pd.concat([jobs, elsewhere], ignore_index=True)
    if benchmarks is not None and benchmarks.is_dir():
        jobs = pd.concat([jobs, _benchmarked(benchmarks, jobs)], ignore_index=True)
    jobs["gpus"] = jobs["gpus"].fillna(jobs["peak_device_memory_mb"].notna().astype(float))
    jobs["attempts"] = jobs["attempts"].fillna(1)
    hours, energy = jobs["seconds"] / 3600, jobs["energy_j"] / _JOULES
    sums = {"gpu_hours": hours * jobs["gpus"], "cpu_hours": hours * jobs["threads"].fillna(1), "energy_kwh": energy}
    jobs = jobs.assign(**sums).astype(dict.fromkeys(("seed", "gpus", "threads", "attempts"), "Int64"))
    return jobs.sort_values(IDENTITY, kind="stable")[LEDGER].reset_index(drop=True)


def by_model(jobs: pd.DataFrame) -> pd.DataFrame:
    """Sums of the ledger by model, task and arm (peaks: the highest); jobs of no model are left out.

    Energy is that of all GPU jobs of a row, or unknown if one of them did not tell; so are all sums that something
    computed `outside` belongs to.
    """
    mine = jobs[jobs["model"] != ""]
    told = mine["energy_kwh"].where(mine["gpus"] > 0, mine["energy_kwh"].fillna(0.0))
    some = (mine["gpus"] > 0) | mine["energy_kwh"].notna()
    grouped = mine.assign(told=told, some=some).groupby(["model", "task", "init"])
    summed = grouped.agg(
        jobs=("rule", "size"), gpu_hours=("gpu_hours", _sum_of_all), cpu_hours=("cpu_hours", _sum_of_all),
        peak_memory_mb=("peak_memory_mb", "max"), peak_device_memory_mb=("peak_device_memory_mb", "max"),
        energy_kwh=("told", _sum_of_all), some=("some", "any"),
        attempts=("attempts", "sum"),
    )  # fmt: skip
    if len(summed):
        summed["energy_kwh"] = summed["energy_kwh"].where(summed["some"])
    return summed.reset_index().reindex(columns=BY_MODEL)


def _sum_of_all(values: "pd.Series[float]") -> float:
    """A sum that is not known where one of its numbers is not."""
    return float(values.sum(skipna=False))


def _recorded(records: pd.DataFrame) -> pd.DataFrame:
    """Jobs of the records themselves."""
    if "seconds" not in records:
        return _jobs(records.iloc[:0])
    jobs = records[records["seconds"].notna()].drop_duplicates(IDENTITY[1:])
    empty = pd.Series(None, jobs.index, dtype=object)
    read, scored = (jobs.get(f"{name}_task", empty).notna() for name in ("embedding", "outside"))
    fitted = (jobs["init"] == "baseline") & ~read  # a baseline from outside is probed
    predicted = fitted & jobs["analysis"].isin(OF_EFFECTS)
    rules = jobs["analysis"].replace(_RULE_OF).mask(fitted, "fit_baseline").mask(predicted, "predict_effects")
    rules = rules.mask(scored, "import_scores")
    return _jobs(jobs.assign(rule=rules))


def _embedded(records: pd.DataFrame) -> pd.DataFrame:
    """Jobs that embedded: what records say of the embedding that they read."""
    prefix = "embedding_"
    own = records[[name for name in records if str(name).startswith(prefix)]]
    own = own.rename(columns=lambda name: str(name).removeprefix(prefix))
    keys = ["task", "model", "init", "seed"]
    if not {*keys, "seconds"} <= set(own.columns):
        return _jobs(own.iloc[:0])
    jobs = own[own[[*keys, "seconds"]].notna().all(axis=1)].drop_duplicates(keys)
    return _jobs(jobs.assign(rule="embed", analysis=EMBEDDINGS))


def _outside(records: pd.DataFrame) -> pd.DataFrame:
    """What another program computed: embeddings of which records know no seconds, and scores."""
    keys, found = ["task", "model", "init", "seed"], []
    for prefix, analysis in (("embedding_", EMBEDDINGS), ("outside_", None)):
        if f"{prefix}task" in records:
            counted = records.get(f"{prefix}seconds", pd.Series(np.nan, records.index))
            mine = records[records[f"{prefix}task"].notna() & counted.isna()]
            whose = mine["analysis"] if analysis is None else analysis
            found.append(pd.DataFrame({key: mine[f"{prefix}{key}"] for key in keys}).assign(analysis=whose))
    jobs = pd.concat([pd.DataFrame(columns=[*keys, "analysis"]), *found]).drop_duplicates() if found else records[:0]
    return _jobs(jobs.assign(rule=OUTSIDE))


def _jobs(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns of a job, whatever a record lacks."""
    found = rows.reindex(columns=[*IDENTITY, "device", *_NUMBERS])
    numbers = {name: pd.to_numeric(found[name], errors="coerce").astype(float) for name in ("seed", *_NUMBERS)}
    return found.assign(**numbers).astype(dict.fromkeys((*IDENTITY[:-1], "device"), object))


def _benchmarked(directory: Path, known: pd.DataFrame) -> pd.DataFrame:
    """Jobs of the rules that write no record; of `embed` those too that no record names."""
    recorded = SELF_COUNTING - {"embed"}
    seen = {tuple(row) for row in known[IDENTITY].itertuples(index=False, name=None)}
    rows = []
    for path in sorted(directory.rglob("*.tsv")):
        job = _identify(path.relative_to(directory).with_suffix("").parts)
        gone = not (_COMMANDS / f"{job['rule']}.py").is_file()
        if gone or job["rule"] in recorded or tuple(job[key] for key in IDENTITY) in seen:
            continue
        if measured := _read_benchmark(path):
            rows.append(job | measured)
    return _jobs(pd.DataFrame(rows, columns=[*IDENTITY, *_NUMBERS]))


def _identify(parts: Sequence[str]) -> dict[str, Any]:
    """Identity of a job from the path of its benchmark: RULE/… and, of what is there, TASK, MODEL, INIT, seedN."""
    rule, *names = parts if len(parts) > 1 else (parts[0],)
    job: dict[str, Any] = dict.fromkeys(IDENTITY, "") | {"rule": rule, "seed": math.nan}
    if rule == "summarise_analysis":
        return job | dict(zip(("analysis",), names, strict=False))
    if names and names[-1].startswith("seed") and names[-1][4:].isdigit():
        job["seed"] = float(names.pop()[4:])
        if names and (names[-1] in _ARMS or is_other_pretraining(names[-1])):
            job["init"] = names.pop()
        job["model"] = names.pop() if names else ""
        if rule == "embed":
            job["analysis"] = EMBEDDINGS
    elif rule.endswith("_tokenizer"):
        return job | {"model": "/".join(names)}
    return job | {"task": "/".join(names)}


def _read_benchmark(path: Path) -> dict[str, float]:
    """Seconds and peak memory of a benchmark file (mean and highest of its repeats); nothing of one cut short."""
    try:
        frame = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        seconds = float(pd.to_numeric(frame["s"], errors="raise").mean())
    except (OSError, ValueError, KeyError, TypeError):
        seconds = math.nan
    if not np.isfinite(seconds):
        logging.getLogger(__name__).warning("%s: no benchmark; its job is left out of the ledger.", path)
        return {}
    memory = pd.to_numeric(frame["max_rss"], errors="coerce").max() if "max_rss" in frame else math.nan
    return {"seconds": seconds, "peak_memory_mb": float(memory)}
