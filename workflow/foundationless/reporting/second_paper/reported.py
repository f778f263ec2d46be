"""The second paper's own numbers: beside ours where task and model are the same, and our question on its own rows.

The second paper is Ahlmann-Eltze, Huber and Anders, Nature Methods 22:1657 (2025), doi:10.1038/s41592-025-02772-6. Its
errors (L2 of the 1,000 genes that the control expresses most) are sums over genes, the less the better; `skill` is
1 - L2 / L2 of the mean. Differences are always of what is better: a positive one says that the model helps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.aggregate import across_clusters, independent_difference
from foundationless.evaluation.bootstrap import LEVEL, verdict
from foundationless.evaluation.table_files import read_csv
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.study.names import parse_model, side_of

REPORTED = ("experiment", "task", "model", "arm", "metric", "value", "low", "high", "n", "rows", "source")
ROW_KEYS = ("task", "split", "part", "perturbation")
SOURCES = {"doubles": "Fig 1a", "unseen": "Fig 2a", "borrowed": "Fig 2c"}
ANY = "any"  # the model of a random arm: it is every model's
RESAMPLES = 2000
RELATIVE = "relative_l2"
PER_ROW = ["analysis", "task", "fold", "perturbation"]  # of effects.csv: what every arm has a row of
# Of linear models on these data these P hold the held-out perturbations themselves, in the same cell line (P9).
SAME_LINE = {"adamson": "screen_k562", "replogle_k562": "screen_k562", "replogle_rpe1": "screen_rpe1"}

Row = dict[str, Any]
Floats = np.ndarray


class Arm(NamedTuple):
    """An arm of the second paper: `model` by our name with the side behind a dot, and our name of the arm."""

    model: str
    arm: str

    @property
    def side(self) -> str:
        """`readout` or `target`; nothing of what borrows no embedding."""
        return side_of(self.model)


def read_reported(path: Path) -> pd.DataFrame:
    """Means of the second paper (resources/lists: reported_perturbation.tsv); `UserError` for what is none."""
    return read_csv(path, REPORTED, f"give a table with {', '.join(REPORTED)}", sep="\t", comment="#")


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of an experiment of it: a held-out perturbation of a split each, columns MODEL|ARM|METRIC."""
    if path.stem not in SOURCES:
        raise UserError(f"{path}: no experiment of that name; give {', '.join(SOURCES)} (.tsv).")
    return read_csv(path, ROW_KEYS, "give rows of the second paper", sep="\t", comment="#")


def same_arm(theirs: Arm, model: str, init: str, baseline: bool) -> bool:
    """Whether an arm of ours is one of the second paper: base, side and arm; size and reading may differ."""
    name = parse_model(theirs.model).base
    if baseline:
        return theirs.arm == "baseline" and model == theirs.model
    arm = "pretrained" if theirs.arm == "finetuned" else theirs.arm
    return init == arm and theirs.side == side_of(model) and name in (ANY, parse_model(model).base)


def clustered_mean(values: Iterable[float], groups: Iterable[Any], seed: int = 1) -> tuple[float, float, float]:
    """A mean over rows with its 95 % interval: groups (perturbations) are drawn with replacement, rows and all."""
    numbers = np.asarray(list(values), dtype=np.float64)
    names, owner = np.unique(np.asarray(list(groups), dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        return float(numbers.mean()) if len(numbers) else float("nan"), float("nan"), float("nan")
    sums, counts = np.bincount(owner, numbers), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(numbers.mean()), float(low), float(high)


def inner_interval(values: Floats, groups: Floats) -> tuple[float, float]:
    """The 90 % interval of the same mean (two one-sided tests at 5 %), by Student's t over groups."""
    from scipy import stats

    over = across_clusters(values, list(groups))
    half = (over.high - over.mean) * stats.t.ppf(0.95, over.tasks - 1) / stats.t.ppf((1 + LEVEL) / 2, over.tasks - 1)
    return over.mean - float(half), over.mean + float(half)


def reported_pairs(rows: Mapping[str, pd.DataFrame], margins: Mapping[str, float]) -> pd.DataFrame:
    """Every arm of the second paper against its references, paired on the rows of each data set.

    References: `random` (the random embedding of the same side), `mean`, and of doubles `additive` and `no_change`.
    `delta` is positive where the arm is better, in units of L2, of Pearson delta and of skill; perturbations are the
    units, for one may stand in several splits. `share` is that of the rows on which the arm has the smaller error. The
    word is that of the skill at its margin (doubles have no mean: none).
    """
    found = [row for name, frame in rows.items() for row in _pairs(name, frame, margins["skill"])]
    return pd.DataFrame(found, columns=columns_of("p_reported_across"))


def _pairs(experiment: str, frame: pd.DataFrame, margin: float) -> Iterator[Row]:
    columns = [str(name).split("|") for name in frame if name not in ROW_KEYS]
    arms = list(dict.fromkeys(Arm(*names[:2]) for names in columns))
    for task, part in frame.groupby("task", sort=False):
        for arm in arms:
            for versus, other in _references(arm, arms):
                yield from _compare(experiment, str(task), part, arm, versus, other, margin)


def _references(arm: Arm, arms: Sequence[Arm]) -> Iterator[tuple[str, Arm]]:
    """Word and arm of every reference that this arm has."""
    baselines = {other.model: other for other in arms if other.arm == "baseline"}
    for name in ("mean", "additive", "no_change"):
        if name in baselines and arm.model != name:
            yield name, baselines[name]
    sides = {other.side: other for other in arms if other.arm == "random"}
    if arm.arm == "pretrained" and arm.side in sides:
        yield "random", sides[arm.side]
    if arm.model == "linear" and "readout" in sides:
        yield "random", sides["readout"]


def _compare(
    experiment: str, task: str, part: pd.DataFrame, arm: Arm, versus: str, other: Arm, margin: float
) -> Iterator[Row]:
    mean = part.get("mean|baseline|l2_top")
    errors, theirs = (part.get(f"{one.model}|{one.arm}|l2_top") for one in (arm, other))
    fits, others = (part.get(f"{one.model}|{one.arm}|pearson_delta") for one in (arm, other))
    gains = {"l2_top": (theirs, errors), "pearson_delta": (fits, others)}
    changes = {metric: a - b for metric, (a, b) in gains.items() if a is not None and b is not None}
    if mean is not None and "l2_top" in changes:
        changes["skill"] = changes["l2_top"] / mean
    note = "holds the held-out perturbations, of the same cell line (P9)"
    same = parse_model(arm.model).base == SAME_LINE.get(task) and experiment == "borrowed"
    for metric, change in changes.items():
        known = change.dropna()
        groups = part.loc[known.index, "perturbation"].to_numpy()
        if known.empty:
            continue
        delta, low, high = clustered_mean(known, groups)
        told = metric == "skill" and len(set(groups)) > 2
        inner = inner_interval(known.to_numpy(), groups) if told else None
        yield {
            "experiment": experiment, "task": task, "model": arm.model, "arm": arm.arm, "side": arm.side,
            "versus": versus, "metric": metric, "delta": delta, "low": low, "high": high, "n": len(set(groups)),
            "rows": len(known), "share": float((known > 0).mean()) if metric != "pearson_delta" else np.nan,
            "margin": margin if told else np.nan, "verdict": verdict(low, high, margin, inner) if told else "",
            "note": note if same else "", "source": SOURCES[experiment],
        }  # fmt: skip


def compare_effects(
    effects: pd.DataFrame, reported: pd.DataFrame, tasks: pd.DataFrame, labels: Mapping[str, str],
    baselines: Iterable[str],
) -> pd.DataFrame:  # fmt: skip
    """One row per number of the second paper that one of our tasks and models answers (`effects`: effects.csv).

    Ours is the mean over held-out perturbations with the interval over them (cluster-robust), of the genes that are
    highest in control alone, as theirs is. `difference` is ours minus theirs; of their numbers the interval is known
    too, so both are put together (MOVER). Splits are not the same, nor, except under the reading as_in_paper, is the
    rule for missing genes: `reading` says which.
    """
    names = tasks.get("paper_task", pd.Series("", tasks.index)).astype(object).fillna("").astype(str)
    papers = {task: paper or task for task, paper in zip(tasks["task"], names, strict=True)}
    cheap, rows = set(baselines), []
    known = reported[reported["experiment"].isin(SOURCES)]
    ours = effects[effects["variant"].eq("")] if len(effects) else effects
    ours = ours.assign(whole=error_of_mean(ours, "l2_mean_top")) if len(ours) else ours
    keys = ["analysis", "task", "base_task", "model", "init"]
    for (analysis, task, base, model, init), part in ours.groupby(keys, sort=False) if len(ours) else ():
        numbers = known[(known["experiment"] == analysis) & (known["task"] == papers.get(str(base), base))]
        for number in numbers.to_dict("records"):
            theirs = Arm(str(number["model"]), str(number["arm"]))
            if not same_arm(theirs, str(model), str(init), str(model) in cheap or init == "baseline"):
                continue
            values = measured(part, str(number["metric"]))
            if not np.isfinite(values).any():
                continue
            mine = across_clusters(values, part["perturbation"].tolist())
            difference = independent_difference(
                (mine.mean, mine.low, mine.high), (number["value"], number["low"], number["high"])
            )
            rows.append(
                {"experiment": analysis, "source": number["source"], "task": task, "model": model, "init": init}
                | {"model_label": labels.get(str(model), model), "reported_model": number["model"]}
                | {"arm": number["arm"], "metric": number["metric"], "reported": number["value"]}
                | {"reported_low": number["low"], "reported_high": number["high"], "reported_n": number["n"]}
                | {"ours": mine.mean, "low": mine.low, "high": mine.high, "n": mine.tasks}
                | dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True))
                | {"reading": parse_model(str(model)).reading}
            )
    return pd.DataFrame(rows, columns=columns_of("p_reported"))


def measured(part: pd.DataFrame, metric: str) -> Floats:
    """Values of a metric of the second paper by row of effects.csv: all are of the genes that are highest in control.

    `relative_l2` is the error over that of the mean: as the paper read it, over all of these genes, whichever the model
    knows (`whole`, see `error_of_mean`).
    """
    nothing = pd.Series(np.nan, part.index)
    if metric == RELATIVE:
        own = part.get("l2_mean_top", nothing)
        misread = part.get("reading", nothing).eq("as_in_paper")
        values = part.get("l2_top", nothing) / part.get("whole", own).where(misread, own)
    else:
        values = part.get({"pearson_delta": "pearson_delta_top"}.get(metric, metric), nothing)
    return values.to_numpy(dtype=np.float64)


def error_of_mean(effects: pd.DataFrame, column: str) -> pd.Series:
    """Error of the mean of the training perturbations by row of effects.csv, over genes that a reading drops too.

    It is told by the arms that drop none; NaN where there are none of the split and perturbation, or no such column.
    """
    if column not in effects or "reading" not in effects:
        return pd.Series(np.nan, effects.index)
    whole = effects[effects["reading"] == "published"].drop_duplicates(PER_ROW)
    both = effects[PER_ROW].merge(whole[[*PER_ROW, column]], on=PER_ROW, how="left")
    return pd.Series(both[column].to_numpy(dtype=float), effects.index)
