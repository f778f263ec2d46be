"""The table of outputs against what predictions say of every output, computed again."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from foundationless.errors import UserError
from foundationless.evaluation.outputs.tables import SELECTION
from foundationless.evaluation.table_files import read_csv
from foundationless.evaluation.task_results import KEYS
from foundationless.evaluation.verification.cells import Cell, Check, same

NEEDED = (
    *KEYS, "metric", "selection", "output", "versus", "reference", "reference_init", "value", "delta",
)  # fmt: skip
TEXTS = (*KEYS, "metric", "selection", "output", "versus", "reference", "reference_init")

Arm = tuple[str, ...]  # analysis, task, model, init
ByOutput = dict[Arm, dict[tuple[str, str], float]]  # arm -> (metric, output; empty: the mean) -> value


def average_outputs(cells: Sequence[Cell]) -> ByOutput:
    """Mean over seeds of the mean over folds of every metric of every output, of runs that validation chose."""
    seeds: dict[Arm, list[dict[tuple[str, str], float]]] = {}
    for cell in cells:
        runs = [_named(cell, key) for key in cell.by_output if key[0] == SELECTION]
        if runs:
            arm = tuple(str(cell.record[key]) for key in KEYS)
            seeds.setdefault(arm, []).append(_mean(runs))
    return {arm: _mean(each) for arm, each in seeds.items()}


def _named(cell: Cell, key: tuple[str, int]) -> dict[tuple[str, str], float]:
    names = cell.record["settings"]["outputs"]
    found = {(metric, ""): value for metric, value in cell.values.get(key, {}).items()}
    for metric, values in cell.by_output[key].items():
        found |= {(metric, str(name)): float(value) for name, value in zip(names, values, strict=True)}
    return found


def _mean(each: Sequence[Mapping[tuple[str, str], float]]) -> dict[tuple[str, str], float]:
    """Means of what all of them have."""
    shared = [key for key in each[0] if all(key in one for one in each)]
    return {key: sum(one[key] for one in each) / len(each) for key in shared}


def check_table(path: Path, known: ByOutput, missing: str) -> Check:
    """Every value and difference of a table of outputs; `missing` says what is not checked where there is none."""
    check = Check()
    if not path.is_file():
        if known:
            check.skip(missing)
        return check
    try:
        frame = read_csv(path, NEEDED, "run it again", dtype=dict.fromkeys(TEXTS, str), keep_default_na=False,
                         na_values={name: [""] for name in ("value", "delta")})  # fmt: skip
    except UserError as error:
        check.say(path, str(error).rstrip(".").partition(": ")[2])
        return check
    for row in frame.to_dict("records"):
        arm, place = tuple(row[key] for key in KEYS), (row["metric"], row["output"])
        value = known.get(arm, {}).get(place)
        if value is not None and row["versus"]:
            other = known.get((*arm[:2], row["reference"], row["reference_init"]), {}).get(place)
            value = None if other is None else value - other
        if value is None:
            check.skip("rows of tables that no kept predictions are behind")
            continue
        column = "delta" if row["versus"] else "value"
        check.counts["values"] += 1
        if not same(row[column], value):
            words = _words((*arm, *place, row["versus"]))
            check.say(path, f"{column} of {words} is {row[column]:.6g}, and {value:.6g} by the predictions")
    return check


def _words(parts: Iterable[str]) -> str:
    return " ".join(part for part in parts if part)
