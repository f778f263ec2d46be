"""The jobs of one task side by side: their records, and the runs that each selection chose, under the same resamples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.bootstrap import Arm, Run, join, score_runs
from foundationless.evaluation.metrics import COUNT_METRICS

SELECTED_BY = {"validation": "selected", "test": "selected_paper"}  # and the column that marks their runs
KEYS = ["analysis", "task", "model", "init"]
IDENTITY = [*KEYS, "metric", "selection"]
HOLES = [*KEYS, "seed", "what", "note"]
MISSING = ("record", "predictions")  # a cell of the design has no result; other rows say what could not be computed
NEEDED = ("id", "group", "label", "run", "fold", "selected", "selected_paper")

# Resampling a handful of groups (two test contigs, three genes) measures nothing: below this, items are resampled one
# by one, and the column `groups` equals `n_test`.
FEWEST_GROUPS = 20

Name = tuple[str, str]  # of an arm: model, init


@dataclass(frozen=True)
class Job:
    """One record with the runs that some selection chose (by name), and the names that each selection chose."""

    record: Mapping[str, Any]
    runs: dict[str, Run]
    chosen: dict[str, list[str]]

    @property
    def arm(self) -> Name:
        """Model and init."""
        return self.record["model"], self.record["init"]


@dataclass(frozen=True)
class Bench:
    """All jobs of a task, with what their runs are scored under."""

    jobs: list[Job]
    classes: list[str]
    resamples: int
    seed: int

    @property
    def order(self) -> list[Name]:
        """Arms in the order of their first jobs."""
        return list(dict.fromkeys(job.arm for job in self.jobs))

    def of(self, arm: Name) -> list[Job]:
        """Jobs of an arm."""
        return [job for job in self.jobs if job.arm == arm]

    def runs(self, arm: Name, selection: str) -> list[Run]:
        """Runs of an arm that a selection chose, in the order of `score`."""
        return [job.runs[name] for job in self.of(arm) for name in job.chosen[selection]]

    def identity(self, arm: Name) -> dict[str, Any]:
        """The columns `KEYS` of an arm."""
        return {key: self.of(arm)[0].record[key] for key in KEYS}

    def score(
        self, metric: str, resamples: int, rows: Mapping[str, NDArray[np.bool_]] | None = None
    ) -> dict[str, dict[Name, Arm]]:
        """Selection -> arm -> its runs under the same resamples, on the items that `rows` (run's name: mask) keeps.

        A run that both selections chose is scored once.
        """
        names = [(place, name) for place, job in enumerate(self.jobs) for name in job.runs]
        runs = [self.jobs[place].runs[name] for place, name in names]
        whole = runs  # some of the items are drawn as all are
        if rows is not None:
            runs = _subsets(whole, [rows[name] for _, name in names])
        scored = dict(zip(names, score_runs(runs, metric, self.classes, resamples, self.seed, whole), strict=True))
        return {
            selection: {
                arm: join(
                    [
                        scored[place, name]
                        for place, job in enumerate(self.jobs)
                        if job.arm == arm
                        for name in job.chosen[selection]
                    ]
                )
                for arm in self.order
            }
            for selection in SELECTED_BY
        }


def _subsets(runs: Sequence[Run], masks: Sequence[NDArray[np.bool_]]) -> list[Run]:
    """Runs on some of their items; arrays of text that runs share are cut once."""
    cut: dict[tuple[int, int], NDArray[np.str_]] = {}

    def shared(part: NDArray[np.str_], mask: NDArray[np.bool_]) -> NDArray[np.str_]:
        if (id(part), id(mask)) not in cut:
            cut[id(part), id(mask)] = part[mask]
        return cut[id(part), id(mask)]

    return [
        Run(
            run.seed,
            run.fold,
            shared(run.labels, mask),
            shared(run.groups, mask),
            None if run.predicted is None else run.predicted[mask],
            None if run.probabilities is None else run.probabilities[mask],
        )
        for run, mask in zip(runs, masks, strict=True)
    ]


def sizes(runs: Sequence[Run]) -> dict[str, int]:
    """Seeds, folds, runs, test items and groups of the runs of one arm."""
    return {
        "seeds": len({run.seed for run in runs}),
        "folds": len({run.fold for run in runs}),
        "runs": len(runs),
        "n_test": len(runs[0].labels),
        "groups": count_groups(runs[0]),
    }


def count_groups(run: Run) -> int:
    """Groups among the items of a run."""
    return len(run.labels) if run.groups is run.ids else len(np.unique(run.groups))


def hole(record: Mapping[str, Any], what: str, note: str) -> dict[str, Any]:
    """A row of `HOLES`: `record` names as much of a cell as is meant; `note` is a sentence without its full stop."""
    return {key: record.get(key, "") for key in KEYS} | {"seed": record.get("seed"), "what": what, "note": note}


def name_of(record: Mapping[str, Any]) -> str:
    """`finetune/H3/hyenadna/random/seed0`."""
    return f"{record['analysis']}/{record['task']}/{record['model']}/{record['init']}/seed{record['seed']}"


# ---- from files to jobs


def read_predictions(path: Path) -> pa.Table:
    """Per-sample predictions of one job; a file that is none is a `UserError`."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run its job again.")
    try:
        frame = pq.read_table(path, use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a predictions file ({error}); run its job again.") from None
    known = set(frame.column_names)
    needed = {*NEEDED} | (set() if "score" in known else {"predicted", "probabilities"})
    if missing := needed - known:
        raise UserError(f"{path}: predictions lack the column(s) {', '.join(sorted(missing))}; run its job again.")
    if broken := _broken_columns(frame):
        raise UserError(f"{path}: the column {broken[0]} of the predictions is broken; run its job again.")
    return frame


def _broken_columns(frame: pa.Table) -> list[str]:
    types = pa.types
    found = []
    if frame.num_rows:
        found += [name for name in SELECTED_BY.values() if not _whole(frame[name], types.is_boolean)]
        found += [] if _whole(frame["fold"], types.is_integer) else ["fold"]
        found += ["id"] if frame["id"].null_count else []
    if "score" in frame.column_names:
        kind = frame["score"].type
        numeric = types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind)
        return found if numeric else [*found, "score"]
    listed = frame["probabilities"]
    plain = types.is_list(listed.type) or types.is_large_list(listed.type) or types.is_fixed_size_list(listed.type)
    plain = plain and types.is_floating(listed.type.value_type) and not listed.null_count
    if frame.num_rows and not (plain and len(pc.unique(pc.list_value_length(listed))) == 1):
        found.append("probabilities")
    return found


def _whole(column: pa.ChunkedArray, is_kind: Any) -> bool:
    return is_kind(column.type) and not column.null_count


@dataclass
class Items:
    """Labels, groups and ids of test items as arrays of text, made once for all runs that predict the same."""

    _known: list[tuple[pa.Table, tuple[NDArray[np.str_], ...]]] = field(default_factory=list)

    def of(self, rows: pa.Table) -> tuple[NDArray[np.str_], ...]:
        """(labels, groups, ids) of rows with the columns label, group and id; an item without a group is one."""
        for table, arrays in self._known:
            if table.equals(rows):
                return arrays
        labels, groups, ids = (_text(rows[name]) for name in ("label", "group", "id"))
        groups = np.where(rows["group"].is_null().to_numpy(), ids, groups)
        if len(np.unique(groups)) < FEWEST_GROUPS or np.array_equal(groups, ids):
            groups = ids
        self._known.append((rows, (labels, groups, ids)))
        return labels, groups, ids


def _text(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """A column as an array of text, each distinct value made once."""
    coded = pc.dictionary_encode(column.cast(pa.string())).combine_chunks()
    names = np.array(["" if name is None else name for name in coded.dictionary.to_pylist()] or [""], dtype=np.str_)
    return names[pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)]


def read_job(record: Mapping[str, Any], frame: pa.Table, items: Items) -> Job:
    """The runs of a job that some selection chose, one per fold and selection, items in the order of their ids."""
    frame = frame.filter(frame["label"].is_valid())
    folds = frame["fold"].to_numpy() if frame.num_rows else np.empty(0, dtype=np.int64)
    runs: dict[str, Run] = {}
    chosen: dict[str, list[str]] = {}
    for selection, column in SELECTED_BY.items():
        chosen[selection] = []
        marked = frame[column].to_numpy() if frame.num_rows else np.empty(0, dtype=bool)
        for fold in np.unique(folds[marked]).tolist():
            rows = frame.take(np.flatnonzero(marked & (folds == fold)))
            name = f"{fold} {rows['run'][0].as_py()}"
            chosen[selection].append(name)
            _check_once(record, rows["id"], fold)
            if name not in runs:
                runs[name] = _run(record, fold, rows, items)
    return Job(record, runs, chosen)


def _check_once(record: Mapping[str, Any], ids: pa.ChunkedArray, fold: int) -> None:
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = pc.value_counts(ids).to_pylist()
        twice = next(each["values"] for each in counts if each["counts"] > 1)
        raise UserError(
            f"{name_of(record)}: item '{twice}' is predicted twice in fold {fold}; one run per fold may be selected."
        )


def _run(record: Mapping[str, Any], fold: int, rows: pa.Table, items: Items) -> Run:
    rows = rows.take(pc.sort_indices(rows["id"].cast(pa.string())))
    labels, groups, ids = items.of(rows.select(["label", "group", "id"]).replace_schema_metadata())
    predicted = None
    if "score" in rows.column_names:
        score = rows["score"].cast(pa.float64()).to_numpy()
        probabilities = np.column_stack([-score, score])
    else:
        predicted = _text(rows["predicted"])
        listed = rows["probabilities"].combine_chunks()
        probabilities = listed.flatten().to_numpy(zero_copy_only=False).reshape(len(listed), -1)
    return Run(int(record["seed"]), fold, labels, groups, predicted, probabilities.astype(np.float64), ids)


# ---- what all jobs of a task must share


def check_same_items(jobs: Sequence[Job]) -> None:
    """Pairs need the same test items in every run of a fold."""
    first: dict[int, tuple[Job, Run]] = {}
    for job in jobs:
        for run in job.runs.values():
            other, reference = first.setdefault(run.fold, (job, run))
            if run.labels is reference.labels and run.groups is reference.groups:
                continue
            if not (np.array_equal(run.labels, reference.labels) and np.array_equal(run.groups, reference.groups)):
                raise UserError(
                    f"{name_of(job.record)} and {name_of(other.record)} predict different test items in fold "
                    f"{run.fold}; they come from different versions of the task: run the older one again."
                )


def keep_scored(jobs: Sequence[Job]) -> tuple[list[Job], list[dict[str, Any]]]:
    """Only items that every run gave a finite score (an allele may lie beyond a model's input), and a hole if any."""
    lost: dict[int, NDArray[np.bool_]] = {}
    for run in (run for job in jobs for run in job.runs.values()):
        if run.probabilities is not None and np.isnan(run.probabilities).any():
            broken = np.isnan(run.probabilities).any(axis=1)
            lost[run.fold] = np.atleast_1d(lost.get(run.fold, False) | broken)
    if not lost:
        return list(jobs), []
    if any(broken.all() for broken in lost.values()):
        raise UserError(f"{name_of(jobs[0].record)}: no test item has a score in every arm; run the broken arm again.")

    def keep(run: Run) -> Run:
        return run.subset(~lost[run.fold]) if run.fold in lost else run

    kept = [Job(job.record, {name: keep(run) for name, run in job.runs.items()}, job.chosen) for job in jobs]
    most = max(int(broken.sum()) for broken in lost.values())
    task = {key: jobs[0].record[key] for key in ("analysis", "task")}
    return kept, [hole(task, "items", f"{most} test items lack a score in some arm and are left out of all")]


def find_few_groups(predictions: Sequence[pa.Table | None], task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A hole where items are dependent, but of too few groups to be drawn by them."""
    table = next((table for table in predictions if table is not None and table.num_rows), None)
    if table is None:
        return []
    grouped = table.filter(pc.is_valid(table["group"]))
    count, items = (len(pc.unique(grouped[name])) for name in ("group", "id"))
    if not 0 < count < FEWEST_GROUPS or count == items:
        return []
    note = f"{items} test items are of {count} groups, too few to draw: items are drawn one by one, and if those of a "
    return [hole(task, "groups", note + "group are alike, intervals are too narrow")]


def find_classes(jobs: Sequence[Job]) -> tuple[list[str], list[dict[str, Any]]]:
    """Sorted classes among labels and predictions, and a hole if the probabilities know others."""
    runs = [run for job in jobs for run in job.runs.values()]
    named = {id(part): part for run in runs for part in (run.labels, run.predicted) if part is not None}
    classes = sorted({str(name) for part in named.values() for name in pd.unique(part)})
    widths = {run.probabilities.shape[1] for run in runs if run.probabilities is not None}
    if widths == {len(classes)}:
        return classes, []
    task = {key: jobs[0].record[key] for key in ("analysis", "task")}
    note = f"probabilities of {sorted(widths)} classes against {len(classes)} seen in the test set: no AUROC"
    return classes, [hole(task, "classes", note)]


def serves(jobs: Sequence[Job], classes: Sequence[str], metric: str) -> bool:
    """Whether every run can be scored by `metric`."""
    runs = [run for job in jobs for run in job.runs.values()]
    if metric in COUNT_METRICS:
        return all(run.predicted is not None for run in runs)
    return all(run.probabilities is not None and run.probabilities.shape[1] == len(classes) for run in runs)
