"""One record against its predictions: hashes, every value on the test set, and every choice."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.evaluation.effects import predictions as effect_predictions
from foundationless.evaluation.layers.depth import best_of_layers
from foundationless.evaluation.metrics import (
    confusion,
    evaluate_ranking,
    from_confusion,
    from_probabilities,
    spearman,
)
from foundationless.evaluation.outputs import predictions as output_predictions
from foundationless.evaluation.outputs.again import mean_of, recompute
from foundationless.evaluation.outputs.predictions import OF_CLASSES, Stated
from foundationless.evaluation.records import SELECTED_BY, hash_numbers
from foundationless.evaluation.task_results import of_split
from foundationless.runtime.files import sha256
from foundationless.study.vocabulary import (
    CLASS_METRICS,
    COUNT_METRICS,
    EFFECT_METRICS,
    LABELS,
    LAST_LAYER,
    METRICS,
    OUTPUT_METRICS,
    RANK_METRICS,
    TRACKS,
)

# Numbers of a table of verification: what was looked at, and what could not be.
COUNTS = ("records", "predictions", "values", "selections", "pairs", "hashes", "unchecked")
COLUMNS = ("analysis", "task", "model", *COUNTS)
TOLERANCE = 1e-9  # of values computed again, on another machine perhaps
NO_FOLD = -1
PATHOGENIC = "pathogenic"
SETTLED = ("dims", "strength")  # what a candidate of a linear model of effects is named by: `dims10 strength0.1`

Key = tuple[str, int]  # (selection, fold)
Row = Mapping[str, Any]


class Items(NamedTuple):
    """Effects of a run, item by item in the order of their ids: group and label, and values by metric, NaN of none."""

    ids: NDArray[np.str_]
    said: list[tuple[str, str]]
    values: Mapping[str, NDArray[np.float64]]


class Misfit(NamedTuple):
    """What does not fit: the file, and a sentence without its full stop."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}."


@dataclass
class Check:
    """What checks found: misfits, how much was looked at (`COUNTS`), and reason -> how many things were not checked."""

    misfits: list[Misfit] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    unchecked: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Check") -> None:
        """Take another's findings in."""
        self.misfits += other.misfits
        self.counts += other.counts
        self.unchecked += other.unchecked

    def say(self, path: Path, text: str) -> None:
        """Note a misfit."""
        self.misfits.append(Misfit(path, text))

    def skip(self, reason: str, count: int = 1) -> None:
        """Note what could not be checked."""
        if count:
            self.unchecked[reason] += count


@dataclass
class Cell:
    """What other cells, tables and weights are compared with: a record, and digests and values of its predictions.

    `items`: fold -> digest of ids, groups and labels of its test items. `outputs`: run -> digest of its probabilities
    or scores, of runs that say enough to be told apart. `values`: (selection, fold) -> metric -> value of the run that
    the predictions mark, computed again; of labels with outputs `by_output`: the same -> metric -> value of every
    output. Of predicted effects `observed`: fold -> prints of what they stand against;
    and `each`: (selection, fold) -> what there is of every item.
    """

    path: Path
    record: Mapping[str, Any]
    check: Check = field(default_factory=Check)
    items: dict[int, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    values: dict[Key, dict[str, float]] = field(default_factory=dict)
    observed: dict[int, effect_predictions.Prints] = field(default_factory=dict)
    each: dict[Key, Items] = field(default_factory=dict)
    by_output: dict[Key, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    of_effects: bool = False


FEWEST_VALUES = 10  # distinct ones below which two arms may say the same by chance (votes, constant predictors)


class Predictions:
    """The predictions of one split by run, and what they are worth."""

    def __init__(self, table: pa.Table, classes: list[str] | None, stated: Stated = OF_CLASSES) -> None:
        """`classes` as the record states them; None: those seen, if the probabilities have as many.

        `stated`: kind and names of the outputs of labels that have some.
        """
        self.table, self.stated = table, stated
        self.valued = output_predictions.is_valued(table)
        self.ranked = "score" in table.column_names
        self.of_effects = effect_predictions.is_condensed(table)
        names = pc.dictionary_encode(table["run"].cast(pa.string())).combine_chunks()
        codes = names.indices.to_numpy(zero_copy_only=False)
        self.rows = {name: np.flatnonzero(codes == code) for code, name in enumerate(names.dictionary.to_pylist())}
        self._stated = classes
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._each_output: dict[str, dict[str, NDArray[np.float64]]] = {}

    def texts(self, column: str) -> NDArray[np.str_]:
        """A column as text."""
        return self._texts[column]

    @cached_property
    def _texts(self) -> dict[str, NDArray[np.str_]]:
        known = [name for name in ("id", "group", "label", "predicted") if name in self.table.column_names]
        columns = {name: pc.fill_null(self.table[name].cast(pa.string()), "") for name in known}
        coded = {name: pc.dictionary_encode(column).combine_chunks() for name, column in columns.items()}
        names = {name: np.asarray(each.dictionary.to_pylist() or [""], dtype=np.str_) for name, each in coded.items()}
        return {name: names[name][each.indices.to_numpy(zero_copy_only=False)] for name, each in coded.items()}

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """[n, classes]."""
        listed = self.table["probabilities"].combine_chunks()
        flat = listed.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        return flat.reshape(len(listed), -1) if len(listed) else np.empty((0, 0))

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """[n, outputs]; `UserError` where they are not those that the record states."""
        return output_predictions.values_of(self.table, self.stated)

    @cached_property
    def observed(self) -> NDArray[np.float64]:
        """What labels with outputs say: [n, outputs], NaN where that is not known."""
        texts, places = np.unique(self.texts("label"), return_inverse=True)
        missing = ";" * (len(self.stated.outputs) - 1)
        observed = output_predictions.observed_of([text or missing for text in texts.tolist()], self.stated)
        return observed[places.reshape(-1)]

    def each_output(self, run: str) -> dict[str, NDArray[np.float64]]:
        """Every metric of every output of a run: name -> [outputs]."""
        if run not in self._each_output:
            self._each_output[run] = self._recomputed(self.rows[run])
        return self._each_output[run]

    def _recomputed(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        return recompute(self.stated.labels, self.observed[rows], self.values[rows])

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column as float64, NaN where it has none."""
        if column not in self._numbers:
            filled = pc.fill_null(self.table[column].cast(pa.float64()), np.nan)
            self._numbers[column] = np.asarray(filled.to_numpy(), dtype=np.float64)
        return self._numbers[column]

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes in the order of the probabilities; none where that is not known."""
        if self.of_effects or self.valued:
            return []
        seen = sorted({*np.unique(self.texts("label")).tolist(), *np.unique(self.texts("predicted")).tolist()})
        stated = self._stated if self._stated is not None else seen
        return [str(name) for name in stated] if len(stated) == self.probabilities.shape[1] else []

    def flags(self, run: str, column: str) -> list[bool]:
        """Distinct marks of a run; none where nothing of the kind was chosen."""
        if column not in self.table.column_names:
            return []
        marks = self.table[column].combine_chunks().take(pa.array(self.rows[run]))
        return [bool(mark) for mark in pc.unique(marks).to_pylist()]

    def fold(self, run: str) -> int:
        """The fold of a run."""
        return int(self.table["fold"][int(self.rows[run][0])].as_py())

    def digest_items(self, run: str) -> str:
        """Digest of ids, groups and labels of a run, in the order of ids."""
        rows = self.rows[run]
        rows = rows[np.argsort(self.texts("id")[rows], kind="stable")]
        return _digest(*(self.texts(name)[rows].tolist() for name in ("id", "group", "label")))

    def each(self, run: str) -> Items:
        """What there is of every item of a run of predicted effects."""
        rows = self.rows[run]
        rows = rows[np.argsort(self.texts("id")[rows], kind="stable")]
        ids, groups, labels = (self.texts(name)[rows] for name in ("id", "group", "label"))
        said = list(zip(groups.tolist(), labels.tolist(), strict=True))
        return Items(ids, said, {name: self.numbers(name)[rows] for name in EFFECT_METRICS})

    def digest_outputs(self, run: str) -> str:
        """Digest of the probabilities or scores of a run in the order of ids; empty where too few values differ: of
        outputs, those of each, which items that are all answered alike do not tell apart."""
        rows = self.rows[run]
        rows = rows[np.argsort(self.texts("id")[rows], kind="stable")]
        if self.of_effects:  # of profiles that are all alike the one is enough to tell it from others
            return _digest(self.table[effect_predictions.DIGEST].take(pa.array(rows)).to_pylist())
        if self.valued and not self.stated.outputs:  # what they are of is not known, and was said
            return ""
        values = self.numbers("score") if self.ranked else self.values if self.valued else self.probabilities
        values = values[rows]
        columns = values.T if self.valued else [values]
        return _digest(values.tobytes()) if any(len(np.unique(one)) >= FEWEST_VALUES for one in columns) else ""

    def value(self, run: str, metric: str, part: NDArray[np.bool_] | None = None, sign: float = 1.0) -> float | None:
        """A metric of a run, on `part` of its rows; None where it is not defined or cannot be computed."""
        rows = self.rows[run] if part is None else self.rows[run][part]
        if self.of_effects:
            values = self.numbers(metric)[rows]
            return _finite(float(values[np.isfinite(values)].mean())) if np.isfinite(values).any() else None
        if self.valued:
            whole = part is None or bool(part.all())
            each = self.each_output(run) if whole else self._recomputed(rows)
            return _finite(mean_of(each[metric]))
        if self.ranked:
            scores, labels = sign * self.numbers("score")[rows], self.texts("label")[rows]
            if metric == "spearman":
                return _finite(spearman(-scores, self.numbers("function_score")[rows]))
            known = np.isfinite(scores) & (labels != "")
            positive = self._stated[1] if self._stated and len(self._stated) == 2 else PATHOGENIC
            return _finite(evaluate_ranking(labels[known] == positive, scores[known])[metric])
        labels, probabilities = self.texts("label")[rows], self.probabilities[rows]
        if metric in COUNT_METRICS:
            predicted = np.asarray(self.classes)[probabilities.argmax(axis=1)]
            cells = confusion(labels, predicted, self.classes)
            counts = np.bincount(cells, minlength=len(self.classes) ** 2).reshape(len(self.classes), -1)
            return _finite(float(from_confusion(counts, metric)))
        ones = np.ones((1, len(labels)))
        return _finite(float(from_probabilities(labels, probabilities, self.classes, ones, metric)[0]))

    def serves(self, metric: str) -> bool:
        """Whether a metric can be computed again."""
        if self.of_effects:
            return metric in EFFECT_METRICS
        if self.valued:
            return bool(self.stated.outputs) and metric in LABELS[self.stated.labels]
        if self.ranked:
            return metric in RANK_METRICS or (metric == "spearman" and "function_score" in self.table.column_names)
        return metric in CLASS_METRICS and self._classified

    def run_of(self, row: Row) -> str | None:
        """The run that a result of the record is of: the one that it names, which of effects has one name in all folds.

        Where it names none, the run of its fold that its selection marks.
        """
        run = row["extra"].get("run")
        if not self.of_effects or row.get("fold") is None:
            return None if run is None else str(run)
        if run is not None:
            return f"fold{row['fold']} {run}"
        column = SELECTED_BY.get(row["selection"], "")
        return next(
            (name for name in self.rows if self.fold(name) == row["fold"] and any(self.flags(name, column))), None
        )

    @cached_property
    def _classified(self) -> bool:
        return bool(self.classes) and set(np.unique(self.texts("label")).tolist()) <= set(self.classes)


def _digest(*parts: Any) -> str:
    digest = new_sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else "\0".join(part).encode() + b"\1")
    return digest.hexdigest()


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def same(one: Any, other: Any) -> bool:
    """Whether two numbers are the same but for rounding; missing ones and those that are not finite are alike."""
    known = [isinstance(value, int | float) and math.isfinite(value) for value in (one, other)]
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) if all(known) else not any(known)


def check_cell(path: Path, record: Mapping[str, Any], table: pa.Table | None, valued: bool = False) -> Cell:
    """Check the record at `path` (…/TASK/MODEL/INIT/seedN/record.json) with all rows of its predictions.

    `table` None: they are not there, or not of a kind that is compared sample by sample. `valued`: the cell has
    `values` for the tables, which take as long as all else.
    """
    cell = Cell(path, record)
    cell.check.counts["records"] += 1
    said = (record["task"], record["model"], record["init"], f"seed{record['seed']}")
    for what, value, folder in zip(("task", "model", "init", "seed"), said, path.parts[-5:-1], strict=True):
        if value != folder:
            cell.check.say(path, f"the record says {what} {value}, and it lies where that of {folder} belongs")
    try:
        _check_hashes(cell)
        _check_content(cell, table, valued)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        cell.check.say(path, f"the record holds what no job writes ({error!r})")
    return cell


def _check_content(cell: Cell, table: pa.Table | None, valued: bool) -> None:
    record, check = cell.record, cell.check
    if table is None:
        measured = sum(row["split"] in ("test", "validation") for row in record["results"])
        check.skip("values without predictions to compute them from", measured)
    else:
        check.counts["predictions"] += 1
        classes = record["settings"].get("classes")
        stated = [str(name) for name in classes] if isinstance(classes, list) else None
        outputs = _stated(cell, table)
        test = Predictions(of_split(table, "test"), stated, outputs)
        _check_answers(cell, test)
        _check_values(cell, test, Predictions(of_split(table, "validation"), stated, outputs))
        _check_choices(cell, test)
        _take(cell, test, valued)
    _check_selections(cell)
    _check_settings(cell)


def _stated(cell: Cell, table: pa.Table) -> Stated:
    """What the record says of its labels, where the predictions are of such labels; a misfit otherwise."""
    predictions = cell.path.with_name("predictions.parquet")
    try:
        stated = output_predictions.stated_by(cell.record)
    except UserError as error:
        cell.check.say(cell.path, str(error))
        return OF_CLASSES
    if bool(stated.outputs) != output_predictions.is_valued(table):
        kind = "of labels with outputs" if stated.outputs else "of labels without outputs"
        cell.check.say(predictions, f"these predictions are of other labels than the record, which is {kind}")
        return OF_CLASSES
    known = Predictions(table, None, stated)
    try:
        return stated if not stated.outputs or known.values.shape == known.observed.shape else OF_CLASSES
    except UserError as error:
        cell.check.say(predictions, str(error).rstrip("."))
        return OF_CLASSES


def _check_hashes(cell: Cell) -> None:
    path, hashes, check = cell.path, cell.record["hashes"], cell.check
    if "numbers" not in hashes:
        check.skip("records of before, which have no hashes")
    else:
        check.counts["hashes"] += 1
        if hashes["numbers"] != hash_numbers(cell.record):
            check.say(path, "settings, results or selections are not those that the record's own hash was made of")
    predictions = path.with_name("predictions.parquet")
    if "predictions" in hashes and predictions.is_file():
        check.counts["hashes"] += 1
        if hashes["predictions"] != sha256(predictions):
            check.say(predictions, "these are not the predictions that the record beside them was written for")


def _check_answers(cell: Cell, test: Predictions) -> None:
    """The predicted class is the most probable one, and no item stands twice in a run."""
    predictions = cell.path.with_name("predictions.parquet")
    for run, rows in test.rows.items():
        if len(np.unique(test.texts("id")[rows])) < len(rows):
            cell.check.say(predictions, f"an item stands twice in run {run}")
    if test.valued and test.stated.labels == TRACKS and ((test.values < 0) | (test.values > 1)).any():
        cell.check.say(predictions, "the probability of a one is not between 0 and 1")
    if test.ranked or not len(test.table) or not test.classes:
        return
    best = np.asarray(test.classes)[test.probabilities.argmax(axis=1)]
    if odd := int((best != test.texts("predicted")).sum()):
        cell.check.say(predictions, f"{odd} predicted classes are not the most probable ones")
    if not np.allclose(test.probabilities.sum(axis=1), 1.0, atol=1e-3) or (test.probabilities < 0).any():
        cell.check.say(predictions, "the probabilities of an item do not add up to 1")


def _check_values(cell: Cell, test: Predictions, validation: Predictions) -> None:
    """Every value of a run on the test set, and on the validation set where its predictions are kept."""
    check, sides = cell.check, {"test": test, "validation": validation}
    for row in cell.record["results"]:
        side = sides.get(row["split"])
        run = None if side is None else side.run_of(row)
        if side is None or row["selection"] not in ("run", *SELECTED_BY):
            check.skip("values of cross-validation, of which no predictions are kept")
            continue
        if run is None or run not in side.rows or not side.serves(row["metric"]):
            kept = "validation values" if row["split"] == "validation" else "test values"
            check.skip(f"{kept} without predictions to compute them from")
            continue
        part, sign = _part_of(side, run, row["extra"])
        if part is None:
            check.skip("values of genes that the predictions do not tell apart")
            continue
        check.counts["values"] += 1
        found = side.value(run, row["metric"], part, sign)
        if not same(found, row["value"]):
            said = f"{row['metric']} of run {run} on {row['split']} is {_shown(row['value'])}"
            check.say(cell.path, f"{said} in the record and {_shown(found)} by its predictions")
        elif row["n"] not in _counts(side, run, row["metric"], part):
            check.say(cell.path, f"run {run} has {row['n']} {row['split']} items in the record, and others predicted")


def _part_of(side: Predictions, run: str, extra: Row) -> tuple[NDArray[np.bool_] | None, float]:
    """Which rows of a run a result is of, and the sign of its scores; None where the predictions do not say it."""
    rows = side.rows[run]
    part = np.ones(len(rows), dtype=bool)
    if (gene := extra.get("gene")) is not None:
        part &= side.texts("group")[rows] == str(gene)
        if not part.any():
            return None, 1.0
    if extra.get("subset") == "same_tokens":
        if "retokenised" not in side.table.column_names:
            return None, 1.0
        part &= ~np.asarray(side.table["retokenised"].to_pylist(), dtype=bool)[rows]
    return part, -1.0 if extra.get("defect") == "sign" else 1.0


def _counts(side: Predictions, run: str, metric: str, part: NDArray[np.bool_] | None) -> tuple[int, ...]:
    """How many items a value may say it is of: of effects all perturbations, or those where the metric is defined; of
    labels with outputs all, or those with a label."""
    if side.valued:
        labels = side.texts("label")[side.rows[run]]
        return len(labels), int((labels != "").sum())
    if side.of_effects:
        return len(side.rows[run]), int(np.isfinite(side.numbers(metric)[side.rows[run]]).sum())
    return (_count(side, run, metric, part),)


def _count(side: Predictions, run: str, metric: str, part: NDArray[np.bool_] | None) -> int:
    rows = side.rows[run] if part is None else side.rows[run][part]
    if not side.ranked:
        return len(rows)
    known = np.isfinite(side.numbers("score")[rows])
    if metric == "spearman":
        return int((known & np.isfinite(side.numbers("function_score")[rows])).sum())
    return int((known & (side.texts("label")[rows] != "")).sum())


def _shown(value: Any) -> str:
    return "undefined" if value is None else f"{value:.6g}"


# ---- what was chosen


def _fold(row: Row) -> int:
    return NO_FOLD if row.get("fold") is None else int(row["fold"])


def _runs(record: Mapping[str, Any], split: str) -> dict[str, Row]:
    """Run -> its row of the record's main metric on a split."""
    rows = [row for row in record["results"] if row["selection"] == "run" and row["split"] == split]
    whole = [row for row in rows if not {"gene", "subset", "defect"} & row["extra"].keys()]
    found: dict[str, Row] = {}
    for row in whole:
        found.setdefault(str(row["extra"].get("run")), row)
    return found


def _check_choices(cell: Cell, test: Predictions) -> None:
    """The run of every fold and selection is the same in predictions, results and selections."""
    marked: dict[Key, set[str]] = {}
    predictions = cell.path.with_name("predictions.parquet")
    for run in test.rows:
        for selection, column in SELECTED_BY.items():
            marks = test.flags(run, column)
            if len(marks) > 1:
                cell.check.say(predictions, f"only some items of run {run} are marked as {column}")
            if any(marks):
                marked.setdefault((selection, test.fold(run)), set()).add(run)
    if test.of_effects:
        _check_settled(cell, test, marked)
        return
    if twice := [names for names in marked.values() if len(names) > 1]:
        cell.check.say(predictions, f"{' and '.join(sorted(twice[0]))} are marked as chosen at once")
    sources: list[tuple[str, Mapping[Key, set[str]]]] = [("predictions", marked)]
    sources += [("results", _reported(cell.record)), ("selections", _selected(cell.record))]
    for key in dict.fromkeys(key for _, source in sources for key in source):
        said = {name: source[key] for name, source in sources if key in source}
        if len({frozenset(names) for names in said.values()}) > 1:
            words = ", ".join(f"{'+'.join(sorted(names))} in {name}" for name, names in said.items())
            cell.check.say(cell.path, f"the run that {key[0]} chose in fold {key[1]} is {words}")


def _check_settled(cell: Cell, test: Predictions, marked: Mapping[Key, set[str]]) -> None:
    """Of effects: one run of a fold is marked, and its name says what the selections of the fold chose."""
    for names in marked.values():
        if len(names) > 1:
            said = f"{' and '.join(sorted(names))} are marked as chosen at once"
            cell.check.say(cell.path.with_name("predictions.parquet"), said)
    for row in cell.record["results"]:
        names = marked.get((row["selection"], _fold(row)), set())
        if row["split"] == "test" and names and (run := test.run_of(row)) not in names:
            said = f"the run that {row['selection']} chose in fold {row['fold']} is {run} in results"
            cell.check.say(cell.path, f"{said}, and {'+'.join(sorted(names))} in predictions")
    for selection in cell.record["selections"]:
        what, within = selection["what"], _fold_within(selection)
        if what not in SETTLED or within is None:
            continue
        for run in marked.get((selection["split"], within), ()):
            words = [word.removeprefix(what) for word in run.split(" ") if word.startswith(what)]
            if words and not any(_same_text(_number(word), selection["chosen"]) for word in words):
                said = f"the {what} that {selection['split']} chose in fold {within} is {selection['chosen']}"
                cell.check.say(cell.path, f"{said} in selections, and the predictions are of {run.partition(' ')[2]}")


def _fold_within(selection: Row) -> int | None:
    """The fold inside which something was chosen: `1`, `fold1`, or a number."""
    digits = str(selection.get("within") or "").removeprefix("fold").strip()
    return int(digits) if digits.isdigit() else None


def _reported(record: Mapping[str, Any]) -> dict[Key, set[str]]:
    """The runs that results call chosen."""
    found: dict[Key, set[str]] = {}
    for row in record["results"]:
        run, extra = row["extra"].get("run"), row["extra"]
        if run is None or {"gene", "subset", "defect"} & extra.keys():
            continue
        if row["selection"] in SELECTED_BY and row["split"] == "test":
            found.setdefault((row["selection"], _fold(row)), set()).add(run)
        elif row["selection"] == "run" and extra.get("selected"):
            found.setdefault(("validation", _fold(row)), set()).add(run)
    return found


def _selected(record: Mapping[str, Any]) -> dict[Key, set[str]]:
    """The runs that selections name."""
    found: dict[Key, set[str]] = {}
    rows = _runs(record, "test")
    for selection in record["selections"]:
        if selection["what"] == "run" and selection.get("within") in (None, "", LAST_LAYER):
            by = selection.get("within") or selection["split"]
            found.setdefault((by, NO_FOLD), set()).add(selection["chosen"])
        elif selection["what"] == "learning_rate":
            for run, row in rows.items():
                if _within(row, selection) and _same_text(row["learning_rate"], selection["chosen"]):
                    found.setdefault((selection["split"], _fold(row)), set()).add(run)
    return found


def _within(row: Row, selection: Row) -> bool:
    fold = _fold(row)
    return selection.get("within") in (None, "published" if fold == NO_FOLD else f"fold{fold}")


def _same_text(number: Any, text: str) -> bool:
    """Whether a candidate's name is a number, to the digits of the name."""
    return number is not None and f"{float(number):g}" == f"{_number(text):g}"


def _check_selections(cell: Cell) -> None:
    """Every choice is the best of what was tried, and what was tried is what the results say."""
    for selection in cell.record["selections"]:
        cell.check.counts["selections"] += 1
        tried, chosen = selection["tried"], selection["chosen"]
        where = f"{selection['what']} in {selection['within']}" if selection.get("within") else selection["what"]
        if chosen not in tried:
            cell.check.say(cell.path, f"the {where} that was chosen, {chosen}, is none that was tried")
            continue
        if chosen not in (best := _best(selection, "rungs" in cell.record["settings"])):
            by = f"{_shown(tried[best[0]])} against {_shown(tried[chosen])} {selection['metric']}"
            text = f"{selection['split']} would choose {best[0]} as {where} ({by}), and the record says {chosen}"
            cell.check.say(cell.path, text)
        for candidate, value in _measured(cell.record, selection):
            if not same(tried.get(candidate), value):
                said = f"{selection['metric']} of {candidate} on {selection['split']}"
                both = f"{_shown(tried.get(candidate))} where the {where} was chosen and {_shown(value)} in the results"
                cell.check.say(cell.path, f"{said} is {both}")
        if (settled := _settled(cell.record, selection)) is not None and settled != chosen:
            cell.check.say(cell.path, f"the {where} that was chosen is {chosen}, and the results are of {settled}")


def _settled(record: Mapping[str, Any], selection: Row) -> str | None:
    """What the results say was chosen inside a run or a fold of cross-validation; None where they do not."""
    what, within, chosen = selection["what"], selection.get("within"), selection["chosen"]
    if what == "layer" and not within:
        won = (row for row in _runs(record, "test").values() if row["extra"].get("selected"))
        return next((str(row["extra"]["layer"]) for row in won if "layer" in row["extra"]), None)
    if (row := _runs(record, "test").get(str(within))) is not None:
        number = row["extra"].get(what)
        return chosen if number is None or _same_text(number, chosen) else str(number)
    rows = [row for row in record["results"] if row["selection"] == "crossvalidation" and row["extra"].get("selected")]
    rows = [row for row in rows if what == "run" and within == f"crossvalidation fold {row['fold']}"]
    return next((str(row["extra"]["run"]) for row in rows if row["extra"].get("run") != "chosen"), None)


def _best(selection: Row, raced: bool = False) -> list[str]:
    """The candidates that the rule may choose: the best value, of equals the first, or the smallest number.

    Values that are not defined are the lowest. Losses are lower where they are better, and are kept rounded: of those
    that look alike any may have been the lowest. In a race losses decide among equal values, which are not kept here.
    """
    metric = selection["metric"]
    lower = metric in (*EFFECT_METRICS, *OUTPUT_METRICS) and not METRICS[metric].higher_is_better
    loss = lower or "loss" in metric or "error" in metric
    sign = -1.0 if loss else 1.0
    worth = {name: -math.inf if value is None else sign * value for name, value in selection["tried"].items()}
    equal = [name for name, value in worth.items() if value == max(worth.values())]
    return equal if loss or raced else list(dict.fromkeys([equal[0], min(equal, key=_number)]))


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.inf


def _measured(record: Mapping[str, Any], selection: Row) -> Iterator[tuple[str, Any]]:
    """(candidate, value) as the results have it, for what a selection tried that stands there too."""
    what, within, split = selection["what"], selection.get("within"), selection["split"]
    rows = {run: row for run, row in _runs(record, split).items() if row["metric"] == selection["metric"]}
    if what == "learning_rate":
        for row in rows.values():
            if _within(row, selection):
                names = [name for name in selection["tried"] if _same_text(row["learning_rate"], name)]
                yield names[0] if names else f"{row['learning_rate']:g}", row["value"]
    elif what == "run" and not within:
        yield from ((run, row["value"]) for run, row in rows.items())
    elif what == "run" and within == LAST_LAYER:
        last = record["settings"].get("last_layer")
        yield from ((run, row["value"]) for run, row in rows.items() if row["extra"].get("layer") == last)
    elif what == "layer" and not within:
        yield from (
            (str(layer), rows[run]["value"]) for layer, run in best_of_layers(record, selection["metric"]).items()
        )
    elif what == "layer":  # of one pooling, by half of the variants
        tried = (row for row in record["results"] if row["split"] == split and row["extra"].get("pooling") == within)
        yield from ((str(row["extra"]["layer"]), row["value"]) for row in tried if "layer" in row["extra"])
    elif what in SETTLED:
        yield from _of_candidates(record, selection)
    elif within in rows:  # what was settled inside a run is what the run was judged by
        yield selection["chosen"], rows[within]["value"]


def _of_candidates(record: Mapping[str, Any], selection: Row) -> Iterator[tuple[str, Any]]:
    """(candidate, value) of a fold of predicted effects, where one result alone is of the candidate."""
    what, fold = selection["what"], _fold_within(selection)
    rows = [
        row for row in record["results"]
        if (row["split"], row["metric"], row.get("fold")) == (selection["split"], selection["metric"], fold)
    ]  # fmt: skip
    for candidate in selection["tried"]:
        mine = [
            row for row in rows
            if any(_same_text(_number(word.removeprefix(what)), candidate)
                   for word in str(row["extra"].get("run")).split(" ") if word.startswith(what))
        ]  # fmt: skip
        if len(mine) == 1:
            yield candidate, mine[0]["value"]


def _extension(settings: Mapping[str, Any]) -> list[float]:
    """Learning rates that were tried beyond the edges of the grid, in any fold."""
    return [rate for fold in (settings.get("extended") or {}).values() for rate in fold]


def _check_settings(cell: Cell) -> None:
    """Settings of fine-tuning that the results show too: rates, folds, epochs, metric and rows."""
    settings, check = cell.record["settings"], cell.check
    tested = _runs(cell.record, "test")
    if "learning_rates" in settings:
        ran = [*tested.values(), *_runs(cell.record, "validation").values()]  # a race stops runs before the test set
        rates = {float(row["learning_rate"]) for row in ran if row["learning_rate"] is not None}
        further = _extension(settings)
        if text := _odd_rates({*settings["learning_rates"], *further}, rates):
            check.say(cell.path, f"the settings' learning rates are not those of the runs ({text})")
    if settings.get("folds") is not None and tested and "fold_count" in settings:
        folds = {_fold(row) for row in tested.values()}
        if folds != set(settings["folds"] or [NO_FOLD]):
            check.say(cell.path, f"the settings name other folds than the runs have ({_list(folds)})")
    lengths = [len(one["tried"]) for one in cell.record["selections"] if one["what"] == "epoch"]
    if "epochs" in settings and lengths and max(lengths) > settings["epochs"]:
        check.say(cell.path, f"the settings say {settings['epochs']} epochs, and a run had {max(lengths)}")
    for row in tested.values():
        counts = (settings.get("rows") or {}).get("published" if _fold(row) == NO_FOLD else f"fold{_fold(row)}")
        if counts and counts[-1] != row["n"]:
            check.say(cell.path, f"the settings count {counts[-1]} test rows, and run {row['extra']['run']} {row['n']}")


def _odd_rates(stated: Iterable[float], ran: set[float]) -> str:
    """Which rates were stated and not run, or run and not stated; a grid may have been extended beyond its ends."""
    asked = {float(rate) for rate in stated}
    inside = {rate for rate in ran - asked if not asked or min(asked) < rate < max(asked)}
    return _list((asked - ran) | inside)


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))


def _take(cell: Cell, test: Predictions, valued: bool) -> None:
    """What other cells and the tables are compared with."""
    cell.of_effects = test.of_effects
    _take_observed(cell, test)
    for run in test.rows:
        if (fold := test.fold(run)) not in cell.items:
            cell.items[fold] = test.digest_items(run)
        elif cell.items[fold] != test.digest_items(run):
            cell.check.say(cell.path.with_name("predictions.parquet"), f"runs of fold {fold} predict different items")
        if digest := test.digest_outputs(run):
            cell.outputs[run] = digest
        for selection, column in SELECTED_BY.items():
            if valued and any(test.flags(run, column)):
                metrics = [name for name in (*CLASS_METRICS, *EFFECT_METRICS, *OUTPUT_METRICS) if test.serves(name)]
                values = {name: test.value(run, name) for name in metrics}
                known = {name: math.nan if value is None else value for name, value in values.items()}
                cell.values[selection, test.fold(run)] = known
                if test.valued and test.stated.outputs:
                    cell.by_output[selection, test.fold(run)] = test.each_output(run)
            if test.of_effects and any(test.flags(run, column)):
                cell.each[selection, test.fold(run)] = test.each(run)


def _take_observed(cell: Cell, test: Predictions) -> None:
    """Prints of what predicted effects are held against, which is the same for all runs of a fold."""
    for run, prints in effect_predictions.observed_prints(test.table).items():
        if run not in test.rows:
            continue
        first = cell.observed.setdefault(test.fold(run), prints)
        if effect_predictions.same_observed(first, prints) is False:
            said = f"run {run} is held against other observed changes than another run of its fold"
            cell.check.say(cell.path.with_name("predictions.parquet"), said)
