"""The results of one task side by side: records, and the runs that each selection chose, under the same resamples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.bootstrap import Arm, Run, join, score_runs, subset_runs
from foundationless.evaluation.effects import predictions as effect_predictions
from foundationless.evaluation.outputs import predictions as output_predictions
from foundationless.evaluation.outputs.metrics import precision_of_chance
from foundationless.evaluation.outputs.predictions import OF_CLASSES, Stated
from foundationless.evaluation.records import SELECTED_BY
from foundationless.study.vocabulary import (
    ANALYSES,
    COUNT_METRICS,
    EFFECT_METRICS,
    LABELS,
    LAST_LAYER,
    OF_THE_MEAN,
    OUTPUT_METRICS,
    VALUES,
)

KEYS = ["analysis", "task", "model", "init"]
IDENTITY = [*KEYS, "metric", "selection"]
NOTES = [*KEYS, "seed", "what", "note"]
MISSING = ("record", "predictions")  # what a missing cell lacks; other notes say what could not be computed
NEEDED = ("id", "group", "label", "run", "fold", "selected")  # a race has no choice by test scores

# Resampling a handful of groups (two test contigs, three genes) measures nothing: below this, items are resampled one
# by one, and the column `groups` equals `n_test`.
FEWEST_GROUPS = 20

Name = tuple[str, str]  # of an arm: model, init


@dataclass(frozen=True)
class CellResult:
    """The record of a cell with the runs that some selection chose (by name), and the names that each chose."""

    record: Mapping[str, Any]
    runs: dict[str, Run]
    chosen: dict[str, list[str]]

    @property
    def arm(self) -> Name:
        """Model and init."""
        return self.record["model"], self.record["init"]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: an arm's runs, and the same under the resamples."""

    arm: Arm
    runs: list[Run]

    def on_folds(self, folds: set[int]) -> "Side":
        """The runs of some folds."""
        keep = np.array([run.fold in folds for run in self.runs])
        return Side(self.arm.subset(keep), [run for run in self.runs if run.fold in folds])


EMPTY = Arm(np.empty(0), np.empty((0, 0)), np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class TaskResults:
    """Results of all cells of a task, with what their runs are scored under.

    `stated`: the kind of the labels and their outputs; `classes` are those of labels without.
    """

    cells: list[CellResult]
    classes: list[str]
    resamples: int
    seed: int
    stated: Stated = OF_CLASSES

    @property
    def analysis(self) -> str:
        """The analysis that all cells belong to."""
        return str(self.cells[0].record["analysis"])

    @property
    def order(self) -> list[Name]:
        """Arms in the order of their first cells."""
        return list(dict.fromkeys(cell.arm for cell in self.cells))

    @property
    def selections(self) -> list[str]:
        """Selections that all cells made: where learning rates raced, nobody looked at every run's test score.

        That of the last layer is one where any cell chose among layers; the others have no other layer.
        """
        made = [name for name in SELECTED_BY if all(self._chose(cell, name) for cell in self.cells)]
        layered = any(cell.chosen[LAST_LAYER] for cell in self.cells)
        return [name for name in made if name != LAST_LAYER or layered]

    def _chose(self, cell: CellResult, selection: str) -> list[str]:
        """Names of the runs of a cell that a selection chose."""
        return cell.chosen[selection] or (cell.chosen["validation"] if selection == LAST_LAYER else [])

    def of(self, arm: Name) -> list[CellResult]:
        """Cells of an arm."""
        return [cell for cell in self.cells if cell.arm == arm]

    def runs(self, arm: Name, selection: str) -> list[Run]:
        """Runs of an arm that a selection chose, in the order of `score`."""
        return [cell.runs[name] for cell in self.of(arm) for name in self._chose(cell, selection)]

    def identity(self, arm: Name) -> dict[str, Any]:
        """The columns `KEYS` of an arm."""
        return {key: self.of(arm)[0].record[key] for key in KEYS}

    def note(self, what: str, text: str) -> dict[str, Any]:
        """A row of `NOTES` about the whole task."""
        return note(_task_of(self.cells), what, text)

    def serves(self, metric: str) -> bool:
        """Whether every run can be scored by `metric`."""
        runs = [run for cell in self.cells for run in cell.runs.values()]
        if self.outputs or metric in OUTPUT_METRICS:
            return bool(self.outputs) and metric in LABELS[self.stated.labels]
        if metric in EFFECT_METRICS:
            return self.of_effects
        if metric in COUNT_METRICS:
            return all(run.predicted is not None for run in runs)
        return all(run.width == len(self.classes) for run in runs) and not self.of_effects

    @property
    def draws(self) -> int:
        """How often the training rows were drawn; 0 where they are the set's own. Folds are then number × draw."""
        return int(self.cells[0].record.get("settings", {}).get("draws", 0))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs of the labels; none of classes and effects."""
        return self.stated.outputs

    @property
    def of_effects(self) -> bool:
        """Whether what is predicted are effects of perturbations: without classes, and the mean is what is constant."""
        return all(run.effects is not None for cell in self.cells for run in cell.runs.values())

    def validation_value(self, arm: Name, metric: str) -> float | None:
        """Mean validation value of an arm's selected runs; None where none is recorded."""
        known = (row for cell in self.of(arm) for row in cell.record["results"] if row["value"] is not None)
        values = [
            row["value"]
            for row in known
            if row["split"] == "validation" and row["metric"] == metric and row["extra"].get("selected", True)
        ]
        return float(np.mean(values)) if values else None

    def seeds(self, arm: Name) -> float:
        """Number of seeds of an arm; NaN where another seed could give no other result."""
        settings, known = self.of(arm)[0].record.get("settings", {}), ANALYSES.get(self.analysis)
        what = settings.get("family", ""), settings.get("probes", ())
        fixed = known is not None and not known.draws(arm[1], *what)
        return float("nan") if fixed else float(len({cell.record["seed"] for cell in self.of(arm)}))

    def chance(self, metric: str, resamples: int) -> Arm:
        """The constant answer with the best score on the test items, under the resamples of `score`: one run a fold.

        Of effects that is the mean of the training perturbations, whose score does not depend on the items (NaN: it is
        no such metric). Of outputs it is one number each: their mean where numbers are wrong by some error, which no
        other metric of numbers rewards (0), and for tracks any: what counts is an order at random, whose precision is
        the share of ones in a resample and what few items add to it.
        """
        known = OF_THE_MEAN.get(metric, np.nan) if metric in EFFECT_METRICS else 0.0
        if metric in EFFECT_METRICS or (self.stated.labels == VALUES and metric != "rmse"):
            return Arm(np.array([known]), np.full((1, resamples), known), np.zeros(1, dtype=np.int64))
        whole = [run for cell in self.cells for run in cell.runs.values()]
        folds = list({run.fold: run for run in reversed(whole)}.values())
        if self.outputs:
            runs = self.constant_runs()
            arms = score_runs(runs, metric, self.classes, resamples, self.seed, whole)
            return join([ordered_at_random(arm, run, metric) for arm, run in zip(arms, runs, strict=True)])
        answers = [np.full(1, name) for name in self.classes] if metric in COUNT_METRICS else [np.full(1, "")]
        flat = np.full((1, len(self.classes)), 1 / len(self.classes))
        runs = [
            replace(
                run, seed=0, scores=None, predicted=np.repeat(answer, len(run.labels)),
                probabilities=np.repeat(flat, len(run.labels), axis=0),
            )
            for answer in answers
            for run in folds
        ]  # fmt: skip
        scored = score_runs(runs, metric, self.classes, resamples, self.seed, whole)
        arms = [join(scored[start : start + len(folds)]) for start in range(0, len(scored), len(folds))]
        return max(arms, key=lambda arm: arm.value)

    def constant_runs(self) -> list[Run]:
        """One run of a fold that predicts the mean of the test labels of each output, whatever the item."""
        whole = [run for cell in self.cells for run in cell.runs.values()]
        folds = {run.fold: run for run in reversed(whole)}.values()
        return [replace(run, seed=0, values=_constant(run)) for run in folds]

    def score(
        self, metric: str, resamples: int, rows: Mapping[str, NDArray[np.bool_]] | None = None
    ) -> dict[str, dict[Name, Arm]]:
        """Selection -> arm -> its runs under the same resamples, on the items that `rows` (run's name: mask) keeps.

        A run that both selections chose is scored once. `UserError` for a metric of other labels than there are.
        """
        if self.outputs and not self.serves(metric):
            text = f"labels of {self.cells[0].record['task']} are {self.stated.labels}, which '{metric}' does not score"
            raise UserError(f"{text}; use one of {', '.join(LABELS[self.stated.labels])}.")
        names = [(place, name) for place, cell in enumerate(self.cells) for name in cell.runs]
        whole = [self.cells[place].runs[name] for place, name in names]
        # Groups and strata are those of all items: some of them are drawn as all are.
        runs = whole if rows is None else subset_runs(whole, [rows[name] for _, name in names])
        scored = dict(zip(names, score_runs(runs, metric, self.classes, resamples, self.seed, whole), strict=True))

        def chosen(arm: Name, selection: str) -> Arm:
            mine = ((place, cell) for place, cell in enumerate(self.cells) if cell.arm == arm)
            joined = join([scored[place, name] for place, cell in mine for name in self._chose(cell, selection)])
            folds = np.array([run.fold for run in self.runs(arm, selection)], dtype=np.int64)
            return replace(joined, draws=folds % self.draws) if self.draws else joined

        return {selection: {arm: chosen(arm, selection) for arm in self.order} for selection in self.selections}

    def side(self, scored: Mapping[Name, Arm], arm: Name, selection: str) -> Side:
        """An arm's runs, and the same under the resamples."""
        return Side(scored[arm], self.runs(arm, selection))

    def on_common_items(self, metric: str, arm: Name, other: Name, selection: str) -> tuple[Side, Side] | None:
        """Both arms on the items that they share in each fold, under the resamples of `score`; None where that is all.

        Folds in which they share none are left out of both.
        """
        sides = [self.runs(each, selection) for each in (arm, other)]
        items = [{run.fold: _ids(run) for run in runs} for runs in sides]
        shared = {fold: np.intersect1d(ids, items[1][fold]) for fold, ids in items[0].items() if fold in items[1]}
        if not self.of_effects or all(len(shared[fold]) == len(each[fold]) for each in items for fold in shared):
            return None
        every = [run for cell in self.cells for run in cell.runs.values()]
        cut = []
        for runs in sides:
            some = [run for run in runs if len(shared.get(run.fold, ()))]
            some = subset_runs(some, [np.isin(_ids(run), shared[run.fold]) for run in some])
            scored = score_runs(some, metric, self.classes, self.resamples, self.seed, every) if some else []
            cut.append(Side(join(scored) if scored else EMPTY, some))
        return cut[0], cut[1]


def _constant(run: Run) -> NDArray[np.float64]:
    """The mean of what is known of each output, for every item: [n, outputs]; 0 where nothing is."""
    assert run.observed is not None
    known = ~np.isnan(run.observed)
    means = np.where(known, run.observed, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.broadcast_to(means, run.observed.shape)


def ordered_at_random(constant: Arm, run: Run, metric: str) -> Arm:
    """The arm of a run that predicts one number, raised to the expected AUPRC of an order at random; others as it is.

    Of several outputs that is the mean.
    """
    if metric != "macro_auprc" or run.observed is None:
        return constant
    expected = precision_of_chance(run.observed)
    more = float(np.nanmean(expected)) - constant.value if np.isfinite(expected).any() else np.nan
    return replace(constant, points=constant.points + more, replicates=constant.replicates + more)


def on_common_folds(mine: Side, theirs: Side) -> tuple[Side, Side, str]:
    """Both sides on the folds that every seed of both has, and a sentence where one has more.

    Folds differ in how hard they are, so means over different folds are no pair.
    """
    seeds = ((side.runs, seed) for side in (mine, theirs) for seed in {run.seed for run in side.runs})
    have = [{run.fold for run in runs if run.seed == seed} for runs, seed in seeds]
    common, every = set.intersection(*have), set.union(*have)
    if common == every:
        return mine, theirs, ""
    words = ", ".join(map(str, sorted(every - common)))
    text = f"fold(s) {words} lack a run in some seed or arm, and are left out of its differences"
    return mine.on_folds(common), theirs.on_folds(common), text


def sizes(runs: Sequence[Run]) -> dict[str, int]:
    """Seeds, folds, runs, test items and groups of the runs of one arm."""
    seeds, folds = len({run.seed for run in runs}), len({run.fold for run in runs})
    items, groups = len(runs[0].labels), count_groups(runs[0])
    if runs[0].effects is not None:  # splits differ in their perturbations, which are drawn together
        groups = len(np.unique(np.concatenate([run.groups for run in runs])))
        items = sum({run.fold: len(run.labels) for run in runs}.values())
    return {"seeds": seeds, "folds": folds, "runs": len(runs), "n_test": items, "groups": groups}


def count_groups(run: Run) -> int:
    """Groups among the items of a run."""
    return len(run.labels) if run.groups is run.ids else len(np.unique(run.groups))


def note(record: Mapping[str, Any], what: str, text: str) -> dict[str, Any]:
    """A row of `NOTES`: `record` names as much of a cell as is meant; `text` is a sentence without its full stop."""
    return {key: record.get(key, "") for key in KEYS} | {"seed": record.get("seed"), "what": what, "note": text}


def _task_of(cells: Sequence[CellResult]) -> dict[str, Any]:
    return {key: cells[0].record[key] for key in ("analysis", "task")}


def name_of(record: Mapping[str, Any]) -> str:
    """`finetune/H3/hyenadna/random/seed0`."""
    return f"{record['analysis']}/{record['task']}/{record['model']}/{record['init']}/seed{record['seed']}"


# ---- from files to results


def read_results(
    records: Sequence[Mapping[str, Any]], predictions: Sequence[pa.Table | None], resamples: int, seed: int
) -> tuple[TaskResults | None, list[dict[str, Any]]]:
    """The cells that predicted something, on items that all of them scored, and notes; None without any."""
    items = Items()
    pairs = zip(records, predictions, strict=True)
    cells = [_read_cell(record, frame, items) for record, frame in pairs if frame is not None]
    notes = [note(cell.record, "predictions", "no predictions were selected") for cell in cells if not cell.runs]
    cells = [cell for cell in cells if cell.runs]
    if not cells:
        return None, notes
    stated = output_predictions.agree({name_of(cell.record): _stated(cell.record) for cell in cells})
    notes += _check_same_items(cells)
    cells, unscored = _keep_scored(cells)
    classes, odd = ([], []) if stated.outputs else _find_classes(cells)
    notes += [*unscored, *odd, *_find_few_groups(predictions, _task_of(cells))]
    return TaskResults(cells, classes, resamples, seed, stated), notes


def read_predictions(path: Path) -> pa.Table:
    """Per-sample predictions of one cell, of all splits that it keeps; a file that is none is a `UserError`.

    Of effects the vectors are measured here, and left out (`effects.predictions`).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; run its job again.")
    try:
        frame = pq.read_table(path, use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a predictions file ({error}); run its job again.") from None
    known = set(frame.column_names)
    raw = effect_predictions.is_raw(frame)
    kind = effect_predictions.NEEDED if raw else ("predicted", "probabilities")
    needed = {*NEEDED} | (set() if "score" in known or output_predictions.is_valued(frame) else {*kind})
    if missing := needed - known:
        raise UserError(f"{path}: predictions lack the column(s) {', '.join(sorted(missing))}; run its job again.")
    if broken := _broken_columns(frame):
        raise UserError(f"{path}: the column {broken[0]} of the predictions is broken; run its job again.")
    if not raw:
        return frame
    try:
        return effect_predictions.condense(frame)
    except (UserError, pa.ArrowException, ValueError, TypeError) as error:
        raise UserError(f"{path}: {str(error).rstrip('.')}; run its job again.") from None


def of_split(frame: pa.Table, split: str) -> pa.Table:
    """Rows of one split; predictions that name none are of the test set."""
    if "split" not in frame.column_names:
        return frame if split == "test" else frame.slice(0, 0)
    return frame.filter(pc.equal(frame["split"], split))


def _broken_columns(frame: pa.Table) -> list[str]:
    types = pa.types
    broken = []
    if frame.num_rows:
        marks = [name for name in SELECTED_BY.values() if name in frame.column_names]
        broken += [name for name in marks if not _whole(frame[name], types.is_boolean)]
        broken += [] if _whole(frame["fold"], types.is_integer) else ["fold"]
        broken += ["id"] if frame["id"].null_count else []
    if effect_predictions.is_raw(frame):
        return broken
    if "score" in frame.column_names:
        kind = frame["score"].type
        numeric = types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind)
        return broken if numeric else [*broken, "score"]
    if output_predictions.is_valued(frame):
        return [*broken, "values"] if output_predictions.is_broken(frame) else broken
    listed = frame["probabilities"]
    plain = types.is_list(listed.type) or types.is_large_list(listed.type) or types.is_fixed_size_list(listed.type)
    plain = plain and types.is_floating(listed.type.value_type) and not listed.null_count
    if frame.num_rows and not (plain and len(pc.unique(pc.list_value_length(listed))) == 1):
        broken.append("probabilities")
    return broken


def _whole(column: pa.ChunkedArray, is_kind: Any) -> bool:
    return is_kind(column.type) and not column.null_count


@dataclass
class Items:
    """Labels, groups and ids of test items as arrays of text, made once for all runs that predict the same.

    So is what labels with outputs say (`observed`).
    """

    _known: list[tuple[pa.Table, tuple[NDArray[np.str_], ...]]] = field(default_factory=list)
    _observed: dict[tuple[int, Stated], NDArray[np.float64]] = field(default_factory=dict)

    def of(self, rows: pa.Table, always: bool = False) -> tuple[NDArray[np.str_], ...]:
        """(labels, groups, ids) of rows with the columns label, group and id; an item without a group is one.

        `always`: groups are drawn however few there are, as perturbations are, which have one row a split.
        """
        for table, arrays in self._known:
            if table.equals(rows):
                return arrays
        labels, groups, ids = (_text(rows[name]) for name in ("label", "group", "id"))
        groups = np.where(rows["group"].is_null().to_numpy(), ids, groups)
        if not always and (len(np.unique(groups)) < FEWEST_GROUPS or np.array_equal(groups, ids)):
            groups = ids
        self._known.append((rows, (labels, groups, ids)))
        return labels, groups, ids

    def observed(self, labels: NDArray[np.str_], stated: Stated) -> NDArray[np.float64]:
        """What labels that `of` returned say of each output: [n, outputs]."""
        if (id(labels), stated) not in self._observed:
            self._observed[id(labels), stated] = output_predictions.observed_of(labels.tolist(), stated)
        return self._observed[id(labels), stated]


def _text(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """A column as an array of text, each distinct value made once."""
    coded = pc.dictionary_encode(column.cast(pa.string())).combine_chunks()
    names = np.array(["" if name is None else name for name in coded.dictionary.to_pylist()] or [""], dtype=np.str_)
    places: NDArray[np.int64] = pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)
    return names[places]


def _read_cell(record: Mapping[str, Any], frame: pa.Table, items: Items) -> CellResult:
    """The runs of a cell that some selection chose, one per fold and selection, items in the order of their ids."""
    frame = frame.filter(frame["label"].is_valid())
    folds = frame["fold"].to_numpy() if frame.num_rows else np.empty(0, dtype=np.int64)
    runs: dict[str, Run] = {}
    chosen: dict[str, list[str]] = {}
    for selection, column in SELECTED_BY.items():
        chosen[selection] = []
        if column not in frame.column_names:
            continue
        marked = frame[column].to_numpy() if frame.num_rows else np.empty(0, dtype=bool)
        for fold in np.unique(folds[marked]).tolist():
            rows = frame.take(np.flatnonzero(marked & (folds == fold)))
            name = f"{fold} {rows['run'][0].as_py()}"
            chosen[selection].append(name)
            _check_once(record, rows["id"], fold)
            if name not in runs:
                runs[name] = read_run(record, fold, rows, items)
    return CellResult(record, runs, chosen)


def _check_once(record: Mapping[str, Any], ids: pa.ChunkedArray, fold: int) -> None:
    if pc.count_distinct(ids).as_py() < len(ids):
        twice = next(each["values"] for each in pc.value_counts(ids).to_pylist() if each["counts"] > 1)
        text = f"item '{twice}' is predicted twice in fold {fold}; one run per fold may be selected."
        raise UserError(f"{name_of(record)}: {text}")


def rows_by_run(frame: pa.Table) -> dict[str, pa.Table]:
    """Rows of predictions with a label, by the name of their run."""
    frame = frame.filter(frame["label"].is_valid())
    return {name: frame.filter(pc.equal(frame["run"], name)) for name in pc.unique(frame["run"]).to_pylist()}


def _stated(record: Mapping[str, Any]) -> Stated:
    try:
        return output_predictions.stated_by(record)
    except UserError as error:
        raise UserError(f"{name_of(record)}: {error}; run its job again.") from None


def _read_outputs(
    record: Mapping[str, Any], rows: pa.Table, labels: NDArray[np.str_], items: Items
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What was observed and what is predicted, both [n, outputs]."""
    try:
        stated = output_predictions.stated_by(record)
        values = output_predictions.values_of(rows, stated)
        return items.observed(labels, stated), values
    except UserError as error:
        raise UserError(f"{name_of(record)}: {str(error).rstrip('.')}; run its job again.") from None


def read_run(record: Mapping[str, Any], fold: int, rows: pa.Table, items: Items) -> Run:
    """One run of a cell from the rows of its predictions, items in the order of their ids."""
    rows = rows.take(pc.sort_indices(rows["id"].cast(pa.string())))
    of_effects = effect_predictions.is_condensed(rows)
    labels, groups, ids = items.of(rows.select(["label", "group", "id"]).replace_schema_metadata(), of_effects)
    seed = int(record["seed"])
    if of_effects:
        return Run(seed, fold, labels, groups, ids=ids, effects=_numbers(rows), pairs=_pairs(rows))
    if "score" in rows.column_names:
        scores = rows["score"].cast(pa.float64()).to_numpy().astype(np.float64)
        return Run(seed, fold, labels, groups, ids=ids, scores=scores)
    if output_predictions.is_valued(rows):
        observed, values = _read_outputs(record, rows, labels, items)
        return Run(seed, fold, labels, groups, ids=ids, observed=observed, values=values)
    if _stated(record).outputs:
        raise UserError(f"{name_of(record)}: its labels have outputs, and its predictions are classes; run it again.")
    listed = rows["probabilities"].combine_chunks()
    probabilities = listed.flatten().to_numpy(zero_copy_only=False).reshape(len(listed), -1).astype(np.float64)
    return Run(seed, fold, labels, groups, _text(rows["predicted"]), probabilities, ids)


def _numbers(rows: pa.Table) -> dict[str, NDArray[np.float64]]:
    return {name: rows[name].to_numpy().astype(np.float64) for name in effect_predictions.NUMBERS}


def _pairs(rows: pa.Table) -> dict[str, NDArray[Any]] | None:
    """Profiles of doubles: name -> [n, genes], NaN for other perturbations; None without any."""
    found = {}
    for name in effect_predictions.PAIRED:
        column = effect_predictions.pair_column(name)
        if column in rows.column_names and rows[column].null_count < rows.num_rows:
            lists = rows[column].combine_chunks()
            known = lists.is_valid().to_numpy(zero_copy_only=False)
            flat = lists.drop_null().flatten().to_numpy(zero_copy_only=False)
            found[name] = np.full((len(lists), len(flat) // int(known.sum())), np.nan, dtype=np.float32)
            found[name][known] = flat.reshape(int(known.sum()), -1)
    return found if {"observed", "predicted", "additive"} <= found.keys() else None


# ---- what all cells of a task must share


def _check_same_items(cells: Sequence[CellResult]) -> list[dict[str, Any]]:
    """Pairs need the same test items in every run of a fold; notes on arms of effects that lack some.

    The second paper's reading leaves out perturbations without a vector: of effects the runs of one arm have the same
    items, and other arms the same label and group of an item that both have. They are compared on those
    (`TaskResults.on_common_items`).
    """
    of_effects = all(run.effects is not None for cell in cells for run in cell.runs.values())
    first: dict[tuple[Name | None, int], tuple[CellResult, Run]] = {}
    known: dict[tuple[int, str], tuple[CellResult, str, str]] = {}
    for cell in cells:
        for run in cell.runs.values():
            other, reference = first.setdefault((cell.arm if of_effects else None, run.fold), (cell, run))
            if not (run.labels is reference.labels and run.groups is reference.groups) and not same_items(
                run, reference
            ):
                raise _different(cell, other, run.fold)
            for one, *said in zip(_ids(run), run.labels, run.groups, strict=True) if of_effects else ():
                there, *theirs = known.setdefault((run.fold, str(one)), (cell, *said))
                if said != theirs:
                    raise _different(cell, there, run.fold)
    return _lacking(first, {key: str(group) for key, (_, _, group) in known.items()}) if of_effects else []


def _different(cell: CellResult, other: CellResult, fold: int) -> UserError:
    return UserError(
        f"{name_of(cell.record)} and {name_of(other.record)} predict different test items in fold {fold}; they come "
        "from different versions of the task: run the older one again."
    )


def _lacking(
    first: Mapping[tuple[Name | None, int], tuple[CellResult, Run]], known: Mapping[tuple[int, str], str]
) -> list[dict[str, Any]]:
    """A note on every arm that predicts fewer perturbations of its folds than others do."""
    folds: dict[Name, dict[int, Run]] = {}
    for cell, run in first.values():
        folds.setdefault(cell.arm, {})[run.fold] = run
    cells = {cell.arm: cell for cell, _ in first.values()}
    notes = []
    for arm, runs in folds.items():
        every = sum(fold in runs for fold, _ in known)
        if lacks := every - sum(len(run.labels) for run in runs.values()):
            text = f"{lacks} of {every} held-out perturbations are not predicted by it: its values are over its own, "
            text += "its differences over those that both arms have"
            notes.append(note({**cells[arm].record, "seed": None}, "items", text))
    return notes


def same_items(one: Run, other: Run) -> bool:
    """Whether two runs predict the same items; of effects their ids are asked too.

    Of labels with outputs the numbers are asked, which a label may spell in more than one way.
    """
    if one.observed is not None and other.observed is not None:
        same = one.observed is other.observed or np.array_equal(one.observed, other.observed, equal_nan=True)
        return same and np.array_equal(one.groups, other.groups)
    same = np.array_equal(one.labels, other.labels) and np.array_equal(one.groups, other.groups)
    return same and (one.effects is None or np.array_equal(_ids(one), _ids(other)))


def _ids(run: Run) -> NDArray[np.str_]:
    return run.groups if run.ids is None else run.ids


def _keep_scored(cells: Sequence[CellResult]) -> tuple[list[CellResult], list[dict[str, Any]]]:
    """Only items that every run gave a finite score (an allele may lie beyond a model's input), and a note if any."""
    lost: dict[int, NDArray[np.bool_]] = {}
    named = {(place, name): run for place, cell in enumerate(cells) for name, run in cell.runs.items()}
    for run in named.values():
        values = next((each for each in (run.probabilities, run.scores, run.values) if each is not None), None)
        if values is not None and np.isnan(values).any():
            broken = np.isnan(values.reshape(len(values), -1)).any(axis=1)
            lost[run.fold] = np.atleast_1d(lost.get(run.fold, False) | broken)
    if not lost:
        return list(cells), []
    if any(broken.all() for broken in lost.values()):
        raise UserError(f"{name_of(cells[0].record)}: no test item has a score in every arm; run the broken arm again.")
    masks = {fold: ~broken for fold, broken in lost.items()}
    touched = {key: run for key, run in named.items() if run.fold in lost}
    cut = subset_runs(list(touched.values()), [masks[run.fold] for run in touched.values()])
    named |= dict(zip(touched, cut, strict=True))
    runs = ({name: named[place, name] for name in cell.runs} for place, cell in enumerate(cells))
    kept = [replace(cell, runs=mine) for cell, mine in zip(cells, runs, strict=True)]
    most = max(int(broken.sum()) for broken in lost.values())
    text = f"{most} test items lack a score in some arm and are left out of all"
    return kept, [note(_task_of(cells), "items", text)]


def _find_few_groups(predictions: Sequence[pa.Table | None], task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A note where items are dependent, but of too few groups to be drawn by them."""
    table = next((table for table in predictions if table is not None and table.num_rows), None)
    if table is None or effect_predictions.is_condensed(table):
        return []
    grouped = table.filter(pc.is_valid(table["group"]))
    count, items = (len(pc.unique(grouped[name])) for name in ("group", "id"))
    if not 0 < count < FEWEST_GROUPS or count == items:
        return []
    text = f"{items} test items are of {count} groups, too few to draw: items are drawn one by one, and if those of a "
    return [note(task, "groups", text + "group are alike, intervals are too narrow")]


def _find_classes(cells: Sequence[CellResult]) -> tuple[list[str], list[dict[str, Any]]]:
    """Sorted classes among labels and predictions, and a note if the probabilities know others."""
    runs = [run for cell in cells for run in cell.runs.values()]
    if all(run.effects is not None for run in runs):
        return [], []
    named = {id(part): part for run in runs for part in (run.labels, run.predicted) if part is not None}
    classes = sorted({str(name) for part in named.values() for name in pd.unique(part)})
    widths = {run.width for run in runs if run.width is not None}
    if widths == {len(classes)}:
        return classes, []
    text = f"probabilities of {sorted(widths)} classes against {len(classes)} seen in the test set: no AUROC"
    return classes, [note(_task_of(cells), "classes", text)]
