"""All that a study left behind, checked at once: records, weights and their cards, tables, and the verdict."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundationless.data.dna import digest
from foundationless.errors import UserError
from foundationless.evaluation.layers.depth import measure_layers
from foundationless.evaluation.records import SELECTED_BY, read_record
from foundationless.evaluation.table_files import read_csv
from foundationless.evaluation.task_results import KEYS, read_predictions
from foundationless.evaluation.task_summary import average_records
from foundationless.evaluation.verification.arms import check_arms
from foundationless.evaluation.verification.cells import Cell, Check, Items, check_cell, same
from foundationless.evaluation.verification.outputs import ByOutput, average_outputs, check_table
from foundationless.runtime.cards import read_card
from foundationless.runtime.files import read_json, sha256, write_json
from foundationless.runtime.processes import counted, map_forked
from foundationless.study.names import parse_task, place_of_weights, sequence_set, without
from foundationless.study.vocabulary import (
    ANALYSES,
    CLASS_METRICS,
    EFFECT_METRICS,
    LAST_LAYER,
    OUTPUT_METRICS,
    SELF,
    UNPAIRED,
    has_one_checkpoint,
)

RECORD, CARD, TENSORS, PREDICTIONS = "record.json", "weights.json", "model.safetensors", "predictions.parquet"
COMPUTED = (*CLASS_METRICS, *EFFECT_METRICS, *OUTPUT_METRICS)
TRAINED = [("split", "=", "train")]  # rows of a sequence set
NOT_THERE = "files of tables or of the verdict that are not there"

Pairs = dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, float]]  # (arm, arm) -> metric -> difference
Means = dict[tuple[str, ...], dict[str, float]]  # (analysis, task, model, init, selection) -> metric -> value
Recorded = dict[tuple[str, ...], list[float]]  # (analysis, task, model, init, metric) -> values, of the unpaired
Layers = dict[tuple[str, ...], list[float]]  # (analysis, task, model, init, metric, layer) -> values that a table has


@dataclass
class Task:
    """Findings on one task of an analysis, and the values of its arms, computed again."""

    name: str
    check: Check
    means: Means = field(default_factory=dict)
    pairs: Pairs = field(default_factory=dict)
    recorded: Recorded = field(default_factory=dict)
    layers: Layers = field(default_factory=dict)
    outputs: ByOutput = field(default_factory=dict)


@dataclass(frozen=True)
class WeightSet:
    """A weight directory: the hash of its card, and of its tensors as the card says; of the arm `self` also that of the
    rows that it was pretrained on."""

    path: Path
    card: str
    tensors: str
    rows: str = ""


def verify(results: Path, processes: int) -> Check:
    """Check a results tree; `UserError` if there is none. A line in the log as each task is done."""
    tasks = _find_tasks(results)
    pretraining = sorted(
        path for depth in ("*/*", "*/*/*", "*/*/*/*") for path in results.glob(f"pretrain/{depth}/{RECORD}")
    )
    cards = sorted((*results.glob(f"weights/*/*/*/{CARD}"), *results.glob(f"weights/*/{SELF}/*/*/{CARD}")))
    if not tasks and not cards and not pretraining:
        raise UserError(f"{results}: no tree of results; it has no record (ANALYSIS/TASK/MODEL/INIT/seedN/{RECORD}).")
    total = Check()
    weights: dict[str, WeightSet] = {}
    for check, known in map_forked(_check_weights, cards, processes):
        total.add(check)
        weights |= {str(one.path.parent.relative_to(results / "weights")): one for one in known}
    total.add(_check_distinct(weights))
    names = list(tasks)
    work = map_forked(partial(_check_task, results, weights), list(tasks.items()), processes)
    means: Means = {}
    pairs: Pairs = {}
    recorded: Recorded = {}
    layers: Layers = {}
    outputs: ByOutput = {}
    for task in counted(names, work):
        total.add(task.check)
        means |= task.means
        pairs |= task.pairs
        recorded |= task.recorded
        layers |= task.layers
        outputs |= task.outputs
    total.add(_check_pretraining(pretraining, results / "pretrain", weights))
    for directory in [*sorted({results / name.partition("/")[0] for name in names}), results / "tables"]:
        total.add(_check_tables(directory, means, pairs, recorded))
        total.add(_check_layers(directory / "layers.csv", layers))
        total.add(check_table(directory / "outputs.csv", outputs, NOT_THERE))
    total.add(_check_verdict(results))
    return total


def _find_tasks(results: Path) -> dict[str, list[Path]]:
    """`ANALYSIS/TASK` -> paths of its records."""
    found: dict[str, list[Path]] = {}
    for path in sorted(results.glob(f"*/*/*/*/*/{RECORD}")):
        analysis, task = path.relative_to(results).parts[:2]
        if analysis in ANALYSES:
            found.setdefault(f"{analysis}/{task}", []).append(path)
    return found


def _say(check: Check, path: Path, error: UserError) -> None:
    """A file that cannot be read as a misfit; `error` names it, or it is the one at `path`."""
    named, _, text = str(error).rstrip(".").partition(": ")
    known = Path(named).parent == path.parent
    check.say(Path(named) if known else path, text if known else str(error).rstrip("."))


# ---- records


def _check_task(results: Path, weights: Mapping[str, WeightSet], task: tuple[str, list[Path]]) -> Task:
    name, paths = task
    outcome = Task(name, Check())
    cells = []
    for path in paths:
        try:
            cell = _read_cell(path, name.partition("/")[0])
        except UserError as error:
            _say(outcome.check, path, error)
            continue
        _check_origins(cell, results, weights)
        cells.append(cell)
        outcome.check.add(cell.check)
    outcome.check.add(check_arms(cells))
    outcome.means = _average(cells)
    outcome.pairs = _differences(cells)
    outcome.outputs = average_outputs(cells)
    outcome.layers = _by_layer([cell.record for cell in cells])
    if cells and name.partition("/")[0] in UNPAIRED:
        averaged = average_records([cell.record for cell in cells])
        for key, part in averaged.groupby([*KEYS, "metric"], sort=False):
            outcome.recorded[tuple(map(str, key))] = part["value"].astype(float).tolist()
    return outcome


def _read_cell(path: Path, analysis: str) -> Cell:
    record = read_record(path)
    predictions = path.with_name(PREDICTIONS)
    there = predictions.is_file()
    table = read_predictions(predictions) if there and analysis not in UNPAIRED else None
    cell = check_cell(path, record, table, valued=True)
    if record["analysis"] != analysis:
        cell.check.say(path, f"the record says analysis {record['analysis']}, and it lies where {analysis} belongs")
    if not there:
        cell.check.skip("records without predictions beside them")
        if "predictions" in record["hashes"]:
            cell.check.say(predictions, "no such file, and the record beside it has its hash")
    return cell


def _check_origins(cell: Cell, results: Path, weights: Mapping[str, WeightSet]) -> None:
    """The weights and the sequence set that a record names are those of the tree; of effects the screen and vectors."""
    record, hashes = cell.record, cell.record["hashes"]
    if cell.of_effects:
        _check_screen(cell, results)
        return
    stated = record["settings"].get("sequences") or hashes.get("sequences")
    path = results / "sequences" / f"{sequence_set(record['task'])}.parquet"
    if not stated or not path.is_file():
        cell.check.skip("records whose sequence set is not named or not there")
    elif stated != _sha256(path):
        cell.check.say(cell.path, f"it was made with another sequence set than {path}")
    if record["init"] == "baseline":
        return
    seed = 0 if has_one_checkpoint(record["init"]) else record["seed"]
    known = weights.get(place_of_weights(record["model"], record["init"], seed, record["task"]))
    card, tensors = record["settings"].get("weights") or hashes.get("card"), hashes.get("weights")
    if "outside_model" in record["settings"]:
        cell.check.skip("records of arms from outside, whose files are not in the tree")
    elif known is None or not (card or tensors):
        cell.check.skip("records whose weights are not named or not there")
    elif card and card != known.card:
        cell.check.say(cell.path, f"it was made with weights of another card than {known.path}")
    elif tensors and tensors != known.tensors:
        cell.check.say(cell.path, f"it was made with other weights than {known.path} says")
    else:
        cell.check.counts["hashes"] += 1


def _check_screen(cell: Cell, results: Path) -> None:
    """The screen that effects were predicted on is that of the tree, and the vectors of genes are those of the model.

    Arms but the random one of a network are made of the vectors of its pretrained arm.
    """
    record, hashes = cell.record, cell.record["hashes"]
    name, own = without(record["model"], "side", "reading"), f"{record['init']}/seed{record['seed']}"
    found = {
        "effects": [results / "effects" / f"{parse_task(record['task']).base_task}.parquet"],
        "genes": [results / "genes" / name / arm / "genes.parquet" for arm in dict.fromkeys((own, "pretrained/seed0"))],
    }
    for what, stated in ((what, hashes.get(what)) for what in found):
        paths = [path for path in found[what] if path.is_file()]
        if not stated or not paths:
            cell.check.skip(f"records of effects whose {what} are not named or not there")
        elif stated in {_sha256(path) for path in paths}:
            cell.check.counts["hashes"] += 1
        else:
            cell.check.say(cell.path, f"it was made with other {what} than {paths[0]}")


_hashed: dict[Path, str] = {}


def _sha256(path: Path) -> str:
    """The hash of a file that many records name, computed once per process."""
    if path not in _hashed:
        _hashed[path] = sha256(path)
    return _hashed[path]


def _check_pretraining(paths: Sequence[Path], root: Path, weights: Mapping[str, WeightSet]) -> Check:
    """Records of pretraining (MODEL/[INIT/[SET/]]seedN under `root`) against the weights that came out of it, and those
    that it began with, which are the random ones of the model and seed."""
    check = Check()
    for path in paths:
        check.counts["records"] += 1
        try:
            record = read_record(path)
        except UserError as error:
            _say(check, path, error)
            continue
        model, *between, seed = path.parent.relative_to(root).parts
        init, *sets = between or ["pretrained"]
        known, begun = weights.get("/".join((model, init, *sets, seed))), weights.get(f"{model}/random/{seed}")
        for word, place in zip(("model", "init", "task"), (model, init, *sets), strict=False):
            if record[word] != place:
                check.say(path, f"the record says {word} {record[word]}, and it lies where that of {place} belongs")
        if begun is not None and record["settings"].get("weights", begun.card) != begun.card:
            check.say(path, f"it began with other weights than {begun.path}")
        if known is None or "weights" not in record["hashes"]:
            check.skip("records whose weights are not named or not there")
        elif record["hashes"]["weights"] != known.tensors:
            check.say(path, f"other weights came out of this pretraining than {known.path} says")
    return check


def _average(cells: Sequence[Cell]) -> Means:
    """Mean over seeds of the mean over folds, of every metric that all cells of an arm have."""
    means: Means = {}
    for selection in SELECTED_BY:
        arms: dict[tuple[str, ...], list[dict[str, float]]] = {}
        layered = any(chose == LAST_LAYER for cell in cells for chose, _ in cell.values)
        if selection == LAST_LAYER and not layered:
            continue
        for cell in cells:
            runs = [values for (chose, _), values in cell.values.items() if chose == selection]
            if selection == LAST_LAYER and not runs:  # what validation chose was of the last layer, or of none
                runs = [values for (chose, _), values in cell.values.items() if chose == "validation"]
            names = [name for name in COMPUTED if runs and all(name in values for values in runs)]
            folded = {name: sum(values[name] for values in runs) / len(runs) for name in names}
            identity = tuple(str(cell.record[key]) for key in ("analysis", "task", "model", "init"))
            arms.setdefault((*identity, selection), []).append(folded)
        for arm, seeds in arms.items():
            shared = [name for name in COMPUTED if all(name in seed for seed in seeds)]
            means[arm] = {name: sum(seed[name] for seed in seeds) / len(seeds) for name in shared}
    return means


def _differences(cells: Sequence[Cell]) -> Pairs:
    """Differences of arms that predict effects of different items, on those of both; others follow from the means."""
    arms: dict[tuple[str, ...], list[tuple[int, int, Items]]] = {}  # of every run seed, fold and items
    for cell in cells:
        identity = tuple(str(cell.record[key]) for key in KEYS)
        for (selection, fold), items in cell.each.items():
            arms.setdefault((*identity, selection), []).append((int(cell.record["seed"]), fold, items))
    folds = {arm: {fold: items.ids for _, fold, items in runs} for arm, runs in arms.items()}
    pairs: Pairs = {}
    for one, other in permutations(arms, 2):
        first, second = folds[one], folds[other]
        common = {fold: np.intersect1d(ids, second[fold]) for fold, ids in first.items() if fold in second}
        if one[-1] != other[-1] or all(len(ids) == len(first[f]) == len(second[f]) for f, ids in common.items()):
            continue
        sides = [{name: _mean_on(arms[arm], common, name) for name in EFFECT_METRICS} for arm in (one, other)]
        pairs[one, other] = {name: sides[0][name] - sides[1][name] for name in EFFECT_METRICS}
    return pairs


def _mean_on(runs: Sequence[tuple[int, int, Items]], common: Mapping[int, NDArray[np.str_]], metric: str) -> float:
    """Mean over seeds of the mean over folds of a metric, on some items of each fold; NaN without any."""
    by_seed: dict[int, list[float]] = {}
    for seed, fold, items in runs:
        if len(common.get(fold, ())):
            values = items.values[metric][np.isin(items.ids, common[fold])]
            known = values[np.isfinite(values)]
            by_seed.setdefault(seed, []).append(float(known.mean()) if len(known) else math.nan)
    return float(np.mean([np.mean(values) for values in by_seed.values()])) if by_seed else math.nan


# ---- weights


def _check_weights(path: Path) -> tuple[Check, list[WeightSet]]:
    """A card against the directory that it lies in and the tensors beside it."""
    check = Check()
    try:
        card = read_card(path)
        model, init, tensors = card["model"], card["init"], str(card["sha256"])
    except (UserError, KeyError) as error:
        check.say(path, f"not the card of a weight directory ({error})")
        return check, []
    own, rows = path.parts[-4] == SELF, ""
    for what, said, folder in zip(("model", "init"), (model, init), path.parts[-5 if own else -4 :], strict=False):
        if said != folder:
            check.say(path, f"the card says {what} {said}, and it lies where that of {folder} belongs")
    if card.get("seed") is not None and f"seed{card['seed']}" != path.parts[-2]:
        check.say(path, f"the card says seed {card['seed']}, and it lies in {path.parts[-2]}")
    if own:
        rows = _check_rows(check, path, card)
    file = path.with_name(TENSORS)
    if not file.is_file():
        check.skip("weights without tensors beside their cards")
    elif sha256(file) != tensors:
        check.say(path, f"the hash of the card is not that of {TENSORS} beside it")
    else:
        check.counts["hashes"] += 1
    return check, [WeightSet(path, sha256(path), tensors, rows)]


def _check_rows(check: Check, path: Path, card: Mapping[str, Any]) -> str:
    """The digest of the rows that weights of the arm `self` were pretrained on, by their card: the training rows of the
    sequence set in whose folder they lie."""
    source, task = card.get("source"), path.parts[-3]
    said = source.get("corpus", {}) if isinstance(source, dict) else {}
    if said.get("task") != task:
        check.say(path, f"the card says task {said.get('task')}, and it lies where that of {task} belongs")
    file = path.parents[5] / "sequences" / f"{task}.parquet"
    if not file.is_file():
        check.skip("weights of the arm self whose sequence set is not there")
        return str(said.get("sha256", ""))
    try:
        rows = pq.read_table(file, columns=["sequence"], filters=TRAINED).column(0).to_pylist()
    except (OSError, pa.ArrowException) as error:
        check.say(file, f"it cannot be read ({str(error).splitlines()[0]})")
        return str(said.get("sha256", ""))
    if said.get("sha256") != digest(rows):
        check.say(path, f"it was pretrained on other sequences than the training rows of {file}")
    else:
        check.counts["hashes"] += 1
    return str(said.get("sha256", ""))


def _check_distinct(weights: Mapping[str, WeightSet]) -> Check:
    """No two weight sets of a model hold the same tensors, but copies, and what was pretrained on the same rows."""
    check, seen = Check(), dict[tuple[str, str], WeightSet]()
    for name, one in weights.items():
        model, init, *_ = name.split("/")
        other = seen.setdefault((model, one.tensors), one) if init != "copy" else one
        if other is not one and not (one.rows and one.rows == other.rows):
            check.say(one.path, f"these weights are those of {other.path}")
    return check


# ---- tables


def _check_tables(directory: Path, means: Means, pairs: Pairs, recorded: Recorded) -> Check:
    """Scores and differences of a directory of tables against the values that predictions give.

    Scores of analyses without predictions are means of what records say: one of those of the arm and metric.
    """
    check = Check()
    keys = ("analysis", "task", "model", "init", "metric", "selection")
    for name, column, more in (("scores", "value", ()), ("comparisons", "delta", ("versus", "reference"))):
        path = directory / f"{name}.csv"
        if not path.is_file():
            check.skip(NOT_THERE)
            continue
        try:
            frame = read_csv(path, (), "run it again", dtype=dict.fromkeys((*keys, *more), str))
        except UserError as error:
            _say(check, path, error)
            continue
        if not {*keys, *more, column} <= set(frame.columns):
            continue  # nothing was compared
        for row in frame.to_dict("records"):
            said = {str(key): value for key, value in row.items()}
            values = recorded.get(tuple(said[key] for key in (*KEYS, "metric")), []) if name == "scores" else []
            near = (value for value in values if same(value, said[column]))
            expected = next(near, math.nan) if values else _expected(said, means, pairs)
            if expected is None:
                check.skip("rows of tables that no kept predictions are behind")
                continue
            check.counts["values"] += 1
            if not same(row[column], expected):
                where = " ".join(str(row[key]) for key in (*keys, *more))
                check.say(path, f"{column} of {where} is {row[column]:.6g}, and {expected:.6g} by the predictions")
    return check


def _expected(row: Mapping[str, Any], means: Means, pairs: Pairs) -> float | None:
    """The value of a row of scores, or the difference of a row of comparisons; None where it is not known."""
    arm = (row["analysis"], row["task"], row["model"], row["init"], row["selection"])
    value = means.get(arm, {}).get(row["metric"], math.nan)
    if "versus" in row and (known := pairs.get((arm, _reference(row, means)))) is not None:
        value = known.get(row["metric"], math.nan)
    elif "versus" in row:
        value -= means.get(_reference(row, means), {}).get(row["metric"], math.nan)
    return value if math.isfinite(value) else None


def _reference(row: Mapping[str, Any], means: Means) -> tuple[str, ...]:
    """The arm that a row of comparisons compares with."""
    versus, init = row["versus"], row.get("reference_init")
    if not isinstance(init, str):  # tables of before do not say it
        init = {"best_random": "random", "reading": row["init"]}.get(versus, versus)
        baseline = (row["analysis"], row["task"], row["reference"], "baseline", row["selection"])
        if versus == "baseline" and baseline not in means:
            init = "random"  # a network counts as a baseline
    return (row["analysis"], row["task"], row["reference"], init, row["selection"])


def _by_layer(records: Sequence[Mapping[str, Any]]) -> Layers:
    """Mean over seeds of what a layer reached on validation, as its predictions have it; and what was measured."""
    found: Layers = {}
    for record in records:
        for said in record["selections"]:
            if said["what"] == "layer" and not said.get("within"):
                for layer, value in said["tried"].items():
                    key = (*(str(record[name]) for name in KEYS), str(said["metric"]), layer)
                    found.setdefault(key, []).append(math.nan if value is None else value)
    means = {key: [sum(values) / len(values)] for key, values in found.items()}
    for row in measure_layers(records).to_dict("records"):
        key = (*(str(row[name]) for name in (*KEYS, "metric")), str(int(row["layer"])))
        if key not in found:  # of probes the choice of a layer says more
            means.setdefault(key, []).append(float(row["value"]))
    return means


def _check_layers(path: Path, layers: Layers) -> Check:
    """Every value of a table of layers against what the records say of the layer."""
    check = Check()
    if not path.is_file():
        if layers:
            check.skip(NOT_THERE)
        return check
    try:
        rows = read_csv(path, (*KEYS, "metric", "layer", "value"), "run it again", dtype=dict.fromkeys(KEYS, str))
    except UserError as error:
        _say(check, path, error)
        return check
    for row in rows.to_dict("records"):
        key = (*(str(row[name]) for name in (*KEYS, "metric")), str(int(row["layer"])))
        if key not in layers:
            check.skip("rows of tables that no kept predictions are behind")
            continue
        check.counts["values"] += 1
        if not any(same(value, row["value"]) for value in layers[key]):
            where = " ".join(map(str, key))
            check.say(path, f"the value of {where} is {row['value']:.6g}, and no record of the layer says so")
    return check


# ---- the verdict


def _check_verdict(results: Path) -> Check:
    """Every piece of evidence of the verdict is a row of the table of evidence over tasks."""
    check, path, table = Check(), results / "verdict.json", results / "tables" / "across_tasks.csv"
    if not path.is_file() or not table.is_file():
        check.skip(NOT_THERE)
        return check
    try:
        verdict = read_json(path)
        there = [path for path in (table, table.with_name("last_layer.csv")) if path.is_file()]
        read = [read_csv(path, ("model", "delta", "verdict"), "run it again", dtype={"model": str}) for path in there]
        rows = pd.concat(read, ignore_index=True)
    except UserError as error:
        _say(check, path, error)
        return check
    models = verdict.get("models", {}) if isinstance(verdict, dict) else {}
    for model, facts in models.items():
        mine = rows[rows["model"] == model].to_dict("records")
        for where, fact in _facts(facts):
            check.counts["values"] += 1
            if not any(_agree(fact, {str(key): value for key, value in row.items()}) for row in mine):
                check.say(path, f"what it says of {model} ({where}) is no row of {table}")
    return check


def _facts(value: Any, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping in a nest of them that states a difference, and where."""
    if isinstance(value, Mapping):
        if "delta" in value and "verdict" in value:
            yield where, value
        for key, inner in value.items():
            yield from _facts(inner, f"{where} {key}".strip())


def _agree(fact: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a row says all that a fact says in columns of the same names."""
    for name, value in fact.items():
        if name in row and isinstance(value, int | float | str | None):
            theirs = None if pd.isna(row[name]) else row[name]
            if isinstance(value, str) or isinstance(theirs, str):
                if value != theirs and (value or theirs):
                    return False
            elif not same(value, theirs):
                return False
    return True


def describe(check: Check) -> str:
    """The last lines of what `verify` says: what was not checked, and what was."""
    counts = check.counts
    lines = [f"Not checked: {count} {reason}." for reason, count in sorted(check.unchecked.items())]
    looked = {"records": "records", "predictions": "with predictions", "hashes": "hashes"}
    looked |= {"values": "values computed again", "selections": "selections", "pairs": "pairs of arms and seeds"}
    lines.append(f"{len(check.misfits)} misfits; {', '.join(f'{counts[key]} {said}' for key, said in looked.items())}.")
    return "\n".join(lines)


def write(path: Path, results: Path, check: Check) -> None:
    """Write the outcome as JSON."""
    misfits = [{"path": str(misfit.path), "text": misfit.text} for misfit in check.misfits]
    counts = {name: number for name, number in check.counts.items() if not name.startswith("pairs of")}
    outcome = {"misfits": misfits, "counts": counts, "unchecked": dict(check.unchecked)}
    write_json(path, {"results": str(results)} | outcome)
