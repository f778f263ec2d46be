"""What frozen models know of facts of sequences: predictions of all cells of a task to scores and paired differences.

Resamples draw the same test items for every arm, and seeds on top (`bootstrap`). Of a fact with several words (`kmer`,
`place`) a score is the mean over these. Words of differences are of p values that Holm adjusted over the facts of a
model, under the metric that leads. Of cells that kept layers every layer has a score too, on the validation rows that
chose the layer of each fact: it is too high by that choice where it is highest.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.evaluation.aggregate import ALPHA, judge
from foundationless.evaluation.bootstrap import Arm, Run, compare_arms, interval, join, score_runs
from foundationless.evaluation.task_results import FEWEST_GROUPS, KEYS
from foundationless.study.vocabulary import MARGINS

STRUCTURE = [
    *KEYS, "fact", "metric", "versus", "value", "delta", "low", "high", "p", "p_holm", "p_tost", "margin", "verdict",
    "words", "n", "seeds", "layer", "depth", "last", "chosen",
]  # fmt: skip
METRICS = {"kmer": ("macro_auroc",)}  # of other facts `NUMBERS`; the first leads
NUMBERS = ("pearson", "r2")
CHANCE = {"macro_auroc": 0.5}  # what predicts nothing; 0 of others
KMERS = "kmers"

Name = tuple[str, str]  # of an arm: model, init; of counts of k-mers both are `kmers`
Rows = list[dict[str, Any]]


def tabulate(
    cells: Sequence[pd.DataFrame], margins: Mapping[str, float] = MARGINS, resamples: int = 2000, seed: int = 1
) -> pd.DataFrame:
    """The table `STRUCTURE` from the predictions of every cell (`features.structure.probes`), with its identity.

    A row without `versus` is the score of an arm; others are differences with the random arm of the model (`random`)
    or with counts of k-mers (`kmers`), paired by test items. Cells of a task must have asked the same of the same
    items: those that did not are left out. A row with a `layer` is its score on validation rows; `depth`: by the last
    layer, `chosen`: the seeds that chose it.
    """
    by_task: dict[str, list[pd.DataFrame]] = {}
    for cell in cells:
        if len(cell):
            by_task.setdefault(str(cell["task"].iloc[0]), []).append(cell)
    rows: Rows = []
    for task, own in by_task.items():
        rows += _of_task(task, [_of_split(cell, "test") for cell in own], margins, resamples, seed)
        rows += _of_layers(task, [_of_split(cell, "validation") for cell in own if "split" in cell], resamples, seed)
    return pd.DataFrame(rows, columns=STRUCTURE)


def _of_split(cell: pd.DataFrame, split: str) -> pd.DataFrame:
    """Rows of a split; without layers a cell has those of the test split alone."""
    return cell[cell["split"] == split].reset_index(drop=True) if "split" in cell else cell


def layers_of(cell: pd.DataFrame) -> list[int]:
    """Layers whose predictions a cell has."""
    words = {str(column).partition("_")[0] for column in cell.columns}
    return sorted(int(word.removeprefix("layer")) for word in words if re.fullmatch(r"layer\d+", word))


def _of_layers(task: str, cells: Sequence[pd.DataFrame], resamples: int, seed: int) -> Rows:
    """Scores of every layer of every arm on validation rows, one row each; the last one is the highest that is kept."""
    rows: Rows = []
    if not cells:
        return rows
    asked, facts, ids, groups = _alike(cells)
    for fact, names in facts.items():
        for metric in METRICS.get(fact, NUMBERS)[:1]:
            runs: dict[tuple[str, str, int], list[Run]] = {}
            chosen: dict[tuple[str, str, int], int] = {}
            for cell in asked:
                observed, best = (_read(cell, word, names) for word in ("observed", "predicted"))
                told = False  # of layers that predict the same one was chosen
                for layer in layers_of(cell):
                    values = _read(cell, f"layer{layer}", names)
                    arm = str(cell["model"].iloc[0]), str(cell["init"].iloc[0]), layer
                    run = Run(int(cell["seed"].iloc[0]), 0, ids, groups, ids=ids, observed=observed, values=values)
                    runs.setdefault(arm, []).append(run)
                    is_chosen = not told and np.array_equal(values, best, equal_nan=True)
                    chosen[arm] = chosen.get(arm, 0) + is_chosen
                    told = told or is_chosen
            scored = iter(score_runs([run for mine in runs.values() for run in mine], metric, [], resamples, seed))
            for (model, init, layer), mine in runs.items():
                arm_scores = join([next(scored) for _ in mine])
                estimate = interval(arm_scores, seed, metric)
                last = max(other for *known, other in runs if known == [model, init])
                assert mine[0].observed is not None
                rows.append(
                    {"analysis": "structure", "task": task, "model": model, "init": init, "fact": fact}
                    | {"metric": metric, "versus": "", "value": estimate.value, "low": estimate.low}
                    | {"high": estimate.high, "words": len(names), "layer": layer, "depth": layer / max(1, last)}
                    | {"n": int(np.isfinite(mine[0].observed).any(axis=1).sum()), "seeds": len(mine)}
                    | {"last": layer == last, "chosen": chosen[model, init, layer]}
                )
    return rows


def _read(cell: pd.DataFrame, word: str, names: Sequence[str]) -> NDArray[np.float64]:
    return np.column_stack([cell[f"{word}_{name}"].to_numpy(dtype=np.float64) for name in names])


def _alike(
    cells: Sequence[pd.DataFrame],
) -> tuple[list[pd.DataFrame], dict[str, list[str]], NDArray[np.str_], NDArray[np.str_]]:
    """Cells that asked the same of the same items as the first, what that was, and ids and groups of the items."""
    first = cells[0]
    facts = outputs_of(first)
    asked = [cell for cell in cells if outputs_of(cell) == facts and np.array_equal(cell["id"].to_numpy(), first["id"])]
    ids = first["id"].astype(str).to_numpy(dtype=str)
    groups = first["group"].where(first["group"].notna(), first["id"]).astype(str).to_numpy(dtype=str)
    return asked, facts, ids, ids if len(np.unique(groups)) < FEWEST_GROUPS else groups


def outputs_of(cell: pd.DataFrame) -> dict[str, list[str]]:
    """Fact -> its outputs, of the predictions of a cell."""
    found: dict[str, list[str]] = {}
    for column in cell.columns:
        word, _, name = str(column).partition("_")
        if word == "observed":
            found.setdefault(name.partition("_")[0], []).append(name)
    return found


def _of_task(task: str, cells: Sequence[pd.DataFrame], margins: Mapping[str, float], resamples: int, seed: int) -> Rows:
    asked, facts, ids, groups = _alike(cells)
    rows: Rows = []
    for fact, names in facts.items():
        runs = _runs(asked, names, ids, groups)
        listed = [run for mine in runs.values() for run in mine]
        assert listed[0].observed is not None
        known = {"task": task, "fact": fact, "words": len(names)}
        known |= {"n": int(np.isfinite(listed[0].observed).any(axis=1).sum())}
        for metric in METRICS.get(fact, NUMBERS):
            scored = iter(score_runs(listed, metric, [], resamples, seed))
            arms = {arm: join([next(scored) for _ in mine]) for arm, mine in runs.items()}
            rows += _rows(arms, known | {"metric": metric, "margin": margins[metric]}, seed)
    return _judged(rows)


def _runs(
    cells: Sequence[pd.DataFrame], names: Sequence[str], ids: NDArray[np.str_], groups: NDArray[np.str_]
) -> dict[Name, list[Run]]:
    """Runs of every arm, and of counts of k-mers, which are the same in every cell: those of the first."""
    observed = _read(cells[0], "observed", names)
    runs: dict[Name, list[Run]] = {}
    for cell in cells:
        model, init, seed = (cell[key].iloc[0] for key in ("model", "init", "seed"))
        run = Run(int(seed), 0, ids, groups, ids=ids, observed=observed, values=_read(cell, "predicted", names))
        runs.setdefault((str(model), str(init)), []).append(run)
    cheap = Run(0, 0, ids, groups, ids=ids, observed=observed, values=_read(cells[0], KMERS, names))
    return runs | {(KMERS, KMERS): [cheap]}


def _rows(arms: Mapping[Name, Arm], known: Mapping[str, Any], seed: int) -> Rows:
    metric, rows = known["metric"], []
    chance = CHANCE.get(metric, 0.0)
    size = next(iter(arms.values())).replicates.shape[1]
    constant = Arm(np.array([chance]), np.full((1, size), chance), np.zeros(1, dtype=np.int64))
    above = {arm: compare_arms(scored, constant, seed).p_above for arm, scored in arms.items()}
    for (model, init), scored in arms.items():
        estimate = interval(scored, seed, metric)
        place = {"analysis": "structure", "model": model, "init": "baseline" if init == KMERS else init, **known}
        seeds = len(np.unique(scored.seeds))
        ends = {"low": estimate.low, "high": estimate.high}
        rows.append(place | {"versus": "", "value": estimate.value, "seeds": seeds, "margin": np.nan} | ends)
        for versus, other in (("random", (model, "random")), (KMERS, (KMERS, KMERS))):
            if other not in arms or init in (versus, KMERS):
                continue
            change = compare_arms(scored, arms[other], seed)
            p = np.nan if change.p is None else change.p
            learned = min(1.0, 2 * np.nanmin([above[model, init], above[other], 1.0])) <= ALPHA
            numbers = {"delta": change.value, "low": change.low, "high": change.high, "p": p}
            numbers |= {"p_tost": change.p_tost(known["margin"]), "learned": learned}
            drawn = [len(np.unique(arms[name].seeds)) for name in ((model, init), other) if name[1] == "random"]
            rows.append(place | {"versus": versus, "seeds": min(drawn, default=np.inf)} | numbers)
    return rows


def _judged(rows: Rows) -> Rows:
    """The rows with `p_holm` and their words; facts of one arm and reference are adjusted together, each under the
    metric that leads it, and under others among themselves."""
    families: dict[tuple[str, ...], Rows] = {}
    for row in rows:
        if row["versus"]:
            leads = row["metric"] == METRICS.get(row["fact"], NUMBERS)[0]
            together = (row["model"], row["init"], row["versus"], "" if leads else row["metric"])
            families.setdefault(together, []).append(row)
    for family in families.values():
        judge(family)
        for row in family:
            del row["learned"]
            row["seeds"] = row["seeds"] if np.isfinite(row["seeds"]) else np.nan
    return rows
