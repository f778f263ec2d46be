"""What one result is: the JSON record that every evaluating job writes, and its flat table.

A record describes one cell of the design (analysis, task, model, init, seed). `results` lists what was measured;
`selections` lists what was chosen, among what, by which values on which split; `hashes` says which files it belongs to;
`cost` and `versions` hold what may differ between two runs that agree, so `comparable` leaves them out.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.runtime.cards import read_card
from foundationless.runtime.files import read_json, sha256, write_json
from foundationless.runtime.versions import versions
from foundationless.study.vocabulary import LAST_LAYER

SCHEMA = 2
# Records that GPUs were paid for are read on: schema 1 said `protocol` for what selects, and `variant` for how a number
# was made (a word that now belongs to tasks).
_SELECTIONS_OF_SCHEMA_1 = {"corrected": "validation", "paper": "test"}
_SINCE_SCHEMA_1 = {"protocol": "selection", "variant": "condition"}
SELECTION = ("what", "within", "split", "metric", "tried", "chosen", "edge")
SELECTIONS = [
    "analysis", "task", "model", "init", "seed", "what", "within", "split", "metric", "candidate", "value", "chosen",
    "tried", "edge",
]  # fmt: skip
# Choices among ordered numbers, and the least that there is of each: nothing lies below one neighbour.
ORDERED = {
    "learning_rate": 0.0, "strength": 0.0, "neighbours": 1.0, "epoch": 1.0, "order": 0.0, "indicators": 0.0,
    "word_length": 1.0, "leaf": 1.0,
}  # fmt: skip
EDGES = ("", "low", "high")
# Selections and the columns that mark their runs. Of frozen features whose inner layers were kept, the best of the last
# layer is marked beside the best of all: where a cell has no such mark, what validation chose was of the last layer.
SELECTED_BY = {"validation": "selected", "test": "selected_paper", LAST_LAYER: "selected_last"}
_KINDS: dict[str, type] = dict.fromkeys(("analysis", "task", "model", "init"), str) | {"seed": int, "parameters": int}
_KINDS |= {"results": list, "cost": dict, "versions": dict, "settings": dict, "selections": list, "hashes": dict}
# What the hash `numbers` covers: all of a record but its hashes and what two runs that agree may differ in.
_HASHED = ("analysis", "task", "model", "init", "seed", "parameters", "settings", "results", "selections")


@dataclass(frozen=True)
class Result:
    """One number. `fold`, `learning_rate` and `extra` say which run it comes from (None: not applicable)."""

    metric: str
    value: float | None
    n: int
    split: str = "test"
    selection: str = "validation"
    fold: int | None = None
    learning_rate: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def finite(value: float) -> float | None:
    """The value, or None for NaN and infinities, which JSON has no words for."""
    return float(value) if math.isfinite(value) else None


def edge_of(candidates: Iterable[Any], chosen: Any, least: float = -math.inf, most: float = math.inf) -> str:
    """Whether a better candidate may lie beyond those of an ordered grid: `low`, `high` or neither (empty).

    `low` (`high`): the smallest (largest) was chosen, and is not `least` (`most`), beyond which there is nothing. A
    candidate alone has no edge, for nothing was chosen.
    """
    values, value = [float(candidate) for candidate in candidates], float(chosen)
    if len(values) < 2:
        return ""
    if value == min(values) and value > least:
        return "low"
    return "high" if value == max(values) and value < most else ""


def beyond(candidates: Iterable[float], chosen: float) -> float | None:
    """The next candidate where an edge of a grid was chosen, by the ratio of the grid's last two there; or None.

    Rounded to six digits, as names and tables show it.
    """
    grid, edge = sorted(candidates), edge_of(candidates, chosen)
    if not edge:
        return None
    last, before = (grid[0], grid[1]) if edge == "low" else (grid[-1], grid[-2])
    return float(f"{last * last / before:.6g}")


def write_record(
    path: Path,
    *,
    analysis: str,
    task: str,
    model: str,
    init: str,
    seed: int,
    parameters: int,
    settings: Mapping[str, Any],
    results: Iterable[Result],
    cost: Mapping[str, Any],
    selections: Iterable[Mapping[str, Any]] = (),
    hashes: Mapping[str, str] | None = None,
) -> None:
    """Write one job's record; `parameters` counts trained-or-frozen weights of the model (0 for feature baselines).

    A selection has `what` was chosen (learning_rate, epoch, run, strength, ...), `split` and `metric` that chose,
    `tried` (candidate -> value on that split; None: not finite) and `chosen`, one of the candidates; `within` may say
    inside which fold or run, `survivors`, in a race, who went on from a rung.
    `edge` (see `edge_of`) is told here for what is `ORDERED`, unless it is given. Raises
    `UserError` for one that cannot be traced. `hashes` are those of `hash_files`; that of the numbers themselves joins
    them.
    """
    cell = {"analysis": analysis, "task": task, "model": model, "init": init, "seed": seed, "parameters": parameters}
    measured = {
        "results": [asdict(result) for result in results],
        "selections": [_checked_selection(path, selection, settings) for selection in selections],
    }
    outside = {"cost": dict(cost), "versions": versions()}
    record = cell | {"settings": dict(settings)} | measured
    hashed = {"hashes": dict(hashes or {}) | {"numbers": hash_numbers(record)}}
    write_json(path, {"schema": SCHEMA} | record | hashed | outside)


def hash_files(
    *, predictions: Path | None = None, sequences: Path | None = None, weights: Path | None = None
) -> dict[str, str]:
    """SHA-256 of what a record belongs to, as its `hashes` has them; what is not given has none.

    `predictions` and `sequences`: of the files' bytes. `weights`, a weight directory, has two: `card`, of the bytes of
    `weights.json`, and `weights`, of the tensors as that card states it.
    """
    files = {"predictions": predictions, "sequences": sequences, "card": weights and weights / "weights.json"}
    hashes = {name: sha256(path) for name, path in files.items() if path is not None}
    return hashes | ({"weights": str(read_card(files["card"])["sha256"])} if files["card"] else {})


def hash_numbers(record: Mapping[str, Any]) -> str:
    """SHA-256 of identity, parameters, settings, results and selections, as canonical JSON.

    It does not depend on how the file was laid out: keys are sorted but for those of `tried`, whose order breaks ties.
    """
    content = {key: record[key] for key in _HASHED}
    content["selections"] = [each | {"tried": list(each["tried"].items())} for each in record["selections"]]
    read_again = json.loads(json.dumps(content, allow_nan=False))  # so that tuples and keys are those of a file
    text = json.dumps(read_again, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _checked_selection(path: Path, selection: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A selection as JSON holds it: names as text, whatever they were."""
    found = {key: selection.get(key) for key in SELECTION}
    tried = {str(name): value for name, value in (found["tried"] or {}).items()}
    found |= {"tried": tried, "chosen": str(found["chosen"])}
    if "survivors" in selection:
        found["survivors"] = [str(name) for name in selection["survivors"]]
    if found["what"] is None or found["split"] is None or found["chosen"] not in tried:
        raise UserError(f"{path}: a selection of '{found['what']}' does not say what was tried; name split and values.")
    found["edge"] = _edge(found, settings) if found["edge"] is None else found["edge"]
    if found["edge"] not in EDGES:
        raise UserError(f"{path}: edge '{found['edge']}' of '{found['what']}' is none of low, high and nothing.")
    return found


def _edge(selection: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The edge of a selection that does not say it: of the budget where an epoch was chosen, else of what was tried.

    A run that patience or a divergence ended was not at the end of its budget.
    """
    what = selection["what"]
    if what not in ORDERED:
        return ""
    candidates: Iterable[Any] = selection["tried"]
    if what == "epoch":
        budget = settings.get("epochs", settings.get("rounds"))
        candidates = range(1, int(budget) + 1) if budget else candidates
    try:
        return edge_of(candidates, selection["chosen"], ORDERED[what])
    except (TypeError, ValueError):  # a candidate that is no number
        return ""


def read_record(path: Path) -> dict[str, Any]:
    """Read a record and check that it is one of this schema."""
    record, again = _upgraded(read_json(path)), "delete it and run again"
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise UserError(f"{path}: not a record of schema {SCHEMA}; {again}.")
    record = dict[str, Any](settings={}, selections=[], hashes={}) | record  # records of before may lack them
    for key, kind in _KINDS.items():
        if not isinstance(record.get(key), kind):
            raise UserError(f"{path}: the record's '{key}' is {'broken' if key in record else 'missing'}; {again}.")
    for result in record["results"]:
        known = result if isinstance(result, dict) else {}
        whole = {"metric", "n", "split", "selection", "extra"} <= known.keys() and isinstance(known["extra"], dict)
        if not whole or not isinstance(known.get("value"), int | float | None):
            raise UserError(f"{path}: a result of the record is broken; {again}.")
    for selection in record["selections"]:
        if not isinstance(selection, dict) or not {"what", "split", "metric", "tried", "chosen"} <= selection.keys():
            raise UserError(f"{path}: a selection of the record is broken; {again}.")
        if selection.get("edge") is None:  # records of before do not say it
            selection["edge"] = _edge(selection, record["settings"])
    if not isinstance(record["cost"].get("seconds"), int | float):
        raise UserError(f"{path}: the record's cost has no seconds; {again}.")
    return record


def _upgraded(record: Any) -> Any:
    """A record of schema 1 under the names of today; anything else as it is."""
    if isinstance(record, dict) and record.get("schema") == 1 and isinstance(record.get("results"), list):
        return record | {"schema": SCHEMA, "results": [_renamed(result) for result in record["results"]]}
    return record


def _renamed(result: Any) -> Any:
    if not isinstance(result, dict) or not isinstance(result.get("extra"), dict) or "protocol" not in result:
        return result
    extra = {_SINCE_SCHEMA_1.get(key, key): value for key, value in result["extra"].items()}
    said = {"protocol": _SELECTIONS_OF_SCHEMA_1.get(result["protocol"], result["protocol"]), "extra": extra}
    return {_SINCE_SCHEMA_1.get(key, key): value for key, value in (result | said).items()}


def check_once(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These records; a `UserError` if two are of the same cell."""
    seen: set[tuple[Any, ...]] = set()
    for record in records:
        cell = tuple(record[key] for key in ("analysis", "task", "model", "init", "seed"))
        if cell in seen:
            raise UserError(f"record {'/'.join(map(str, cell))} stands twice; pass each record once.")
        seen.add(cell)
    return records


def comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record that two runs of the same job on one machine must share, bit by bit."""
    return {key: value for key, value in record.items() if key not in {"cost", "versions"}}


def flat_cost(record: Mapping[str, Any]) -> dict[str, Any]:
    """The cost of a record with the costs of other jobs in it (`embedding`) flattened: `embedding_seconds`, ...

    What nobody counted (null, of what was computed `outside`) is NaN.
    """
    flat: dict[str, Any] = {}
    for key, value in record["cost"].items():
        flat |= {f"{key}_{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    return {key: math.nan if value is None else value for key, value in flat.items()}


def flatten(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per result: identity, parameters, the result's fields, `extra.*`, cost and versions as columns.

    What the cost says of another job is in columns of its name (`embedding_seconds`).
    """
    rows = []
    for record in records:
        shared = {key: record[key] for key in ("analysis", "task", "model", "init", "seed", "parameters")}
        shared |= flat_cost(record)
        shared |= {f"version_{key}": value for key, value in record["versions"].items()}
        for result in record["results"]:
            plain = {key: value for key, value in result.items() if key != "extra"}
            rows.append(shared | plain | dict(result["extra"]))
    return pd.DataFrame(rows)


def flatten_selections(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per candidate of every selection: identity and the other columns of `SELECTIONS`.

    `tried` counts the candidates. Of the epochs of a run only the chosen one has a row: the record holds them all.
    `edge` (`low`, `high`, or empty) stands in the row of the candidate that is the edge, the chosen one.
    """
    rows = []
    for record in records:
        identity = {key: record[key] for key in ("analysis", "task", "model", "init", "seed")}
        for selection in record.get("selections", ()):
            shared = {key: selection.get(key) for key in ("what", "within", "split", "metric")}
            for candidate, value in selection["tried"].items():
                chosen = candidate == selection["chosen"]
                if chosen or selection["what"] != "epoch":
                    tried = {"candidate": candidate, "value": value, "chosen": chosen, "tried": len(selection["tried"])}
                    edge = {"edge": selection.get("edge", "") if chosen else ""}
                    rows.append(identity | shared | tried | edge)
    return pd.DataFrame(rows, columns=SELECTIONS)
