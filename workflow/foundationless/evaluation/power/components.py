"""Variance components from differences that somebody measured: between families, between tasks, seeds, items.

Everything is in units of accuracy, so that tasks of several metrics are pooled: `scale_of` says what a metric counts.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from foundationless.evaluation.power.simulation import Components
from foundationless.evaluation.table_files import read_table
from foundationless.study.names import parse_task
from foundationless.study.vocabulary import ANALYSES

SCALES = {"mcc": 2.0}  # of two even classes MCC is 2 × accuracy - 1
FEWEST_FAMILIES = 5  # of fewer levels, the variance of a random effect is a guess (Bolker et al. 2009)
COMMON_SHARE = 0.5  # of a seed's variance that all its tasks have in common, where nothing tells
LABELS = {
    "family": ("family", ".3f"), "task": ("task", ".3f"), "common": ("seed on all tasks", ".4f"),
    "seed": ("seed on one task", ".4f"), "items": ("test item", ".2f"),
}  # fmt: skip


def scale_of(metric: str) -> float:
    """Units of a metric to one of accuracy."""
    return SCALES.get(metric, 1.0)


def between_tasks(differences: pd.DataFrame) -> tuple[float, float]:
    """(sd between families, sd between tasks of one) of true differences; NaN where they cannot be told.

    Columns: `model`, `family`, `delta`, and `noise`, the variance of `delta` by items and seeds (0: unknown). A row per
    model and task, twins averaged. One-way analysis of variance per model, sums of squares pooled over the models: each
    mean square is equated with its expectation (Searle, Casella and McCulloch 1992, section 3.6), and the mean noise is
    taken off the tasks'. What comes out below 0 is 0. Families of fewer than five are not told.
    """
    within = between = free_within = free_between = size = 0.0
    for _, rows in differences.groupby("model"):
        families = rows.groupby("family")["delta"]
        counts, total = families.size().to_numpy(), len(rows)
        within += float(((rows["delta"] - families.transform("mean")) ** 2).sum())
        between += float((counts * (families.mean() - rows["delta"].mean()) ** 2).sum())
        free_within += total - len(counts)
        free_between += len(counts) - 1
        size += total - float((counts**2).sum()) / total  # degrees of freedom × effective size of a family
    noise = float(differences["noise"].mean())
    task = within / free_within if free_within else np.nan
    if differences["family"].nunique() < FEWEST_FAMILIES or not free_within:
        return np.nan, root(task - noise)
    return root((between - free_between * task) / size), root(task - noise)


def split_seeds(runs: ArrayLike) -> tuple[float, float, float, float]:
    """(mean square between seeds, its df, residual mean square, its df) of scores [tasks, seeds], crossed."""
    scores = np.asarray(runs, dtype=np.float64)
    tasks, seeds = scores.shape
    centred = scores - scores.mean(axis=1, keepdims=True)
    main = centred.mean(axis=0)
    residual = ((centred - main) ** 2).sum()
    free = (tasks - 1) * (seeds - 1)
    return tasks * float((main**2).sum()) / (seeds - 1), seeds - 1, float(residual) / free if free else np.nan, free


def read_pilot(path: Path, kinds: pd.DataFrame) -> dict[str, Components]:
    """Components of each analysis of a pilot, from its components.csv and, beside it, comparisons.csv and runs.csv.

    `kinds`: family and twin of tasks (`across_tasks.task_kinds`). Items are those of the paired differences of
    comparisons.csv, weighed by the test rows. A seed's variance is the mean over arms of components.csv; runs.csv
    splits it, where seeds were run on several tasks. Families and tasks are those of the plain tasks. What the pilot
    cannot tell (seeds of a single one, families of fewer than five) is NaN.
    """
    parts = read_table(path, "components")  # first: an error is about the file that was named
    tables = {kind: read_table(path.with_name(f"{kind}{path.suffix}"), kind) for kind in ("comparisons", "runs")}
    chosen = parts[(parts["component"] == "seed") & (parts["selection"] == "validation")]
    runs = tables["runs"].query("selection == 'validation'")
    pairs = tables["comparisons"].query("init == 'pretrained' and versus == 'random'").dropna(subset="delta")
    return {
        str(analysis): _pilot(
            rows, chosen[chosen["analysis"] == analysis], runs[runs["analysis"] == analysis], kinds
        )
        for analysis, rows in pairs.groupby("analysis", sort=False)
        if str(analysis) in ANALYSES and ANALYSES[str(analysis)].paired
    }  # fmt: skip


def _pilot(pairs: pd.DataFrame, parts: pd.DataFrame, runs: pd.DataFrame, kinds: pd.DataFrame) -> Components:
    scale = pairs["metric"].map(scale_of)
    noise = (pairs["se_items"] if "se_items" in pairs else pairs["se"]).astype(float) / scale
    items = root(float((noise**2 * pairs["n_test"]).mean()))
    arms = parts[parts["init"].isin(["pretrained", "random"])]
    whole = float((arms["variance"].astype(float) / arms["metric"].map(scale_of) ** 2).mean())
    share = common_share(runs[runs["init"].isin(["pretrained", "random"])])
    plain = pairs[pairs["task"].map(lambda task: not parse_task(task).variant)]
    place = plain["base_task"].map
    seeds = plain[["seeds", "reference_seeds"]].astype(float)
    wide = plain.assign(
        delta=plain["delta"].astype(float) / scale[plain.index],
        noise=noise[plain.index] ** 2 + np.nan_to_num(whole * (1 / seeds).sum(axis=1)),
        family=place(kinds["family"]), twin=place(kinds["twin"]),
    )  # fmt: skip
    rows = wide.groupby(["model", "twin"], as_index=False).agg({"family": "first", "delta": "mean", "noise": "mean"})
    family, task = between_tasks(rows) if len(rows) else (np.nan, np.nan)
    return Components(family, task, root(whole * share), root(whole * (1 - share)), items)


def common_share(runs: pd.DataFrame) -> float:
    """The share of a seed's variance that all its tasks have in common; `COMMON_SHARE` where no runs tell.

    Columns: `model`, `init`, `task`, `metric`, `seed`, `value`; folds of a seed are averaged. Per arm an analysis of
    variance of tasks × seeds without repetition, pooled over the arms by degrees of freedom.
    """
    main = residual = free_main = free_residual = tasks = 0.0
    for _, rows in runs.groupby(["model", "init"]):
        scaled = rows.assign(value=rows["value"] / rows["metric"].map(scale_of))
        table = scaled.pivot_table(index="task", columns="seed", values="value").dropna().to_numpy()
        if min(table.shape) < 2:
            continue
        square, df, left, free = split_seeds(table)
        main, free_main = main + square * df, free_main + df
        residual, free_residual = residual + left * free, free_residual + free
        tasks += len(table) * df
    if not free_residual:
        return COMMON_SHARE
    left = residual / free_residual
    common = max(0.0, (main / free_main - left) * free_main / tasks)
    return common / (common + left) if common + left else COMMON_SHARE


def describe(components: Components) -> str:
    """What is known of components, in a line."""
    return ", ".join(
        f"{label} {getattr(components, name):{form}}"
        for name, (label, form) in LABELS.items()
        if np.isfinite(getattr(components, name))
    )


def root(variance: float) -> float:
    """The standard deviation of an estimated variance, which may be below 0."""
    return float(np.sqrt(max(variance, 0.0))) if np.isfinite(variance) else float("nan")
