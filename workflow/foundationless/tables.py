"""From records and predictions to the tables that figures and readers use.

`summarise` turns all arms of one task into two tables: *scores* (one row per model and arm) and *comparisons* (one row
per paired difference). `collect` joins them over tasks and cuts the tables of the study out of them, by its numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foundationless.errors import UserError
from foundationless.files import atomic_directory, atomic_path, read_json
from foundationless.metrics import COUNT_METRICS, HIGHER_IS_BETTER, RANK_METRICS
from foundationless.plan import DERIVED
from foundationless.records import flatten, read_record
from foundationless.statistics import Arm, Run, across_tasks, compare_arms, holm, interval, join, score_runs

UNPAIRED = ("sensitivity", "similarity", "pretrain")  # analyses whose records are the result: nothing is predicted
KEYS = ["analysis", "task", "model", "init"]
IDENTITY = [*KEYS, "metric", "protocol"]
SCORES = [
    *IDENTITY,
    "value",
    "low",
    "high",
    "sd",
    "seeds",
    "folds",
    "runs",
    "n_test",
    "groups",
    "parameters",
    "seconds",
]
COMPARISONS = [
    "analysis", "task", "model", "init", "versus", "reference", "metric", "protocol", "delta", "low", "high", "p",
    "verdict", "margin", "n_test", "groups", "seeds", "reference_seeds", "folds", "resamples",
]  # fmt: skip
ACROSS = [
    "analysis", "suite", "model", "versus", "delta", "low", "high", "wins", "losses", "n", "p", "p_holm", "verdict",
    "margin",
]  # fmt: skip
PAPER_TABLES = {
    "table_02_biotype": "biotype",
    "table_04_likelihood": "likelihood",
    "table_08_lora": "lora",
    "table_14_ancestry": "ancestry",
    "table_18_finetune": "finetune",
}

# Resampling a handful of groups (two test contigs, three genes) measures nothing: below this, items are resampled one
# by one, and the column `groups` equals `n_test`.
FEWEST_GROUPS = 20


@dataclass(frozen=True)
class _Job:
    """One record with the predictions that its protocol chose."""

    record: Mapping[str, Any]
    runs: list[Run]

    @property
    def arm(self) -> tuple[str, str]:
        return self.record["model"], self.record["init"]


def summarise(
    records: Sequence[Mapping[str, Any]],
    predictions: Sequence[pd.DataFrame],
    *,
    metric: str,
    protocol: str,
    resamples: int,
    margin: float,
    seed: int,
    baselines: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Scores, comparisons and notes (one sentence per hole) of all arms of one task.

    `predictions` run parallel to `records`; `baselines` names models that count as baselines beside those whose `init`
    is baseline. Comparisons of a pretrained arm: with its own random arm (`versus` random), with the best baseline
    (baseline), with the best random arm of any model (best_random, the study's Figure 7; chosen on the test set, so it
    favours the reference), and with the control arms of its own weights (embedding, permuted); of any other arm: with
    the best baseline. A baseline is chosen by validation where its records say so, else by test. Raises `UserError` if
    two jobs predict different test items.
    """
    jobs = [_Job(record, _runs(record, frame, protocol)) for record, frame in zip(records, predictions, strict=True)]
    notes = [f"no predictions were selected in {_name(job.record)}" for job in jobs if not job.runs]
    jobs = [job for job in jobs if job.runs]
    if not jobs:
        return pd.DataFrame(columns=SCORES), pd.DataFrame(columns=COMPARISONS), [*notes, "no arm has predictions"]
    _check_same_items(jobs)
    jobs, hole = _keep_scored(jobs)
    notes += hole
    classes, hole = _classes(jobs)
    notes += hole
    arms = _score(jobs, classes, metric, resamples, seed)
    points = {
        name: _score(jobs, classes, name, 0, seed)
        for name in (*COUNT_METRICS, *RANK_METRICS)
        if name != metric and _serves(jobs, classes, name)
    } | {metric: arms}
    scores = pd.DataFrame([_score_row(jobs, key, arms, points, metric, protocol, seed) for key in arms])
    rows = []
    for model, init, versus, reference in _pairs(jobs, arms, metric, protocol, baselines):
        estimate = compare_arms(arms[model, init], arms[reference], seed)
        mine = [job for job in jobs if job.arm == (model, init)]
        rows.append(
            {key: mine[0].record[key] for key in ("analysis", "task", "model", "init")}
            | {"versus": versus, "reference": reference[0], "metric": metric, "protocol": protocol}
            | {"delta": estimate.value, "low": estimate.low, "high": estimate.high, "p": estimate.p}
            | {"verdict": estimate.verdict(margin), "margin": margin, "resamples": resamples}
            | _sizes(mine)
            | {"reference_seeds": len(np.unique(arms[reference].seeds))}
        )
    notes += [
        f"{model} has no {other} arm, so nothing is paired with its {init} arm"
        for model, init in arms
        if init in (pair := ("pretrained", "random"))
        and model not in baselines
        and (model, other := pair[pair.index(init) - 1]) not in arms
    ]
    return scores, pd.DataFrame(rows, columns=COMPARISONS), notes


def _runs(record: Mapping[str, Any], frame: pd.DataFrame, protocol: str) -> list[Run]:
    """The chosen runs of a job, one per fold, items in the order of their ids."""
    chosen = frame[frame["selected_paper" if protocol == "paper" else "selected"].astype(bool)]
    runs = []
    for fold, rows in chosen[chosen["label"].notna()].groupby("fold", sort=True):
        rows = rows.sort_values("id", kind="stable")
        if rows["id"].duplicated().any():
            raise UserError(
                f"{_name(record)}: item '{rows['id'][rows['id'].duplicated()].iloc[0]}' is predicted twice in fold "
                f"{fold}; one run per fold may be selected."
            )
        probabilities = predicted = None
        if "score" in rows:
            score = rows["score"].to_numpy(dtype=np.float64)
            probabilities = np.column_stack([-score, score])
        else:
            predicted = rows["predicted"].astype(str).to_numpy(dtype=str)
            probabilities = np.stack(rows["probabilities"].to_list()).astype(np.float64)
        groups = rows["group"].where(rows["group"].notna(), rows["id"]).astype(str).to_numpy(dtype=str)
        if len(np.unique(groups)) < FEWEST_GROUPS:
            groups = rows["id"].astype(str).to_numpy(dtype=str)
        labels = rows["label"].astype(str).to_numpy(dtype=str)
        runs.append(Run(int(record["seed"]), int(str(fold)), labels, groups, predicted, probabilities))
    return runs


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['analysis']}/{record['task']}/{record['model']}/{record['init']}/seed{record['seed']}"


def _check_same_items(jobs: Sequence[_Job]) -> None:
    """Pairs need the same test items in every run of a fold."""
    first: dict[int, tuple[_Job, Run]] = {}
    for job in jobs:
        for run in job.runs:
            other, reference = first.setdefault(run.fold, (job, run))
            if not (np.array_equal(run.labels, reference.labels) and np.array_equal(run.groups, reference.groups)):
                raise UserError(
                    f"{_name(job.record)} and {_name(other.record)} predict different test items in fold {run.fold}; "
                    "they come from different versions of the task: run the older one again."
                )


def _keep_scored(jobs: Sequence[_Job]) -> tuple[list[_Job], list[str]]:
    """Only items that every run gave a finite score (an allele may lie beyond a model's input), and a note if any."""
    lost: dict[int, NDArray[np.bool_]] = {}
    for run in (run for job in jobs for run in job.runs):
        if run.probabilities is not None:
            broken = np.isnan(run.probabilities).any(axis=1)
            lost[run.fold] = np.atleast_1d(lost.get(run.fold, False) | broken)
    if not (count := int(max((broken.sum() for broken in lost.values()), default=0))):
        return list(jobs), []

    def keep(run: Run) -> Run:
        rows = ~lost.get(run.fold, np.zeros(len(run.labels), dtype=bool))
        parts = (run.labels, run.groups, run.predicted, run.probabilities)
        return Run(run.seed, run.fold, *(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]

    if any(broken.all() for broken in lost.values()):
        raise UserError(f"{_name(jobs[0].record)}: no test item has a score in every arm; run the broken arm again.")
    kept = [_Job(job.record, [keep(run) for run in job.runs]) for job in jobs]
    return kept, [f"{count} test items lack a score in some arm and are left out of all"]


def _classes(jobs: Sequence[_Job]) -> tuple[list[str], list[str]]:
    """Sorted classes among labels and predictions, and a note if the probabilities know others."""
    named = [values for job in jobs for run in job.runs for values in (run.labels, run.predicted) if values is not None]
    classes = sorted(set(np.concatenate(named).tolist()))
    widths = {run.probabilities.shape[1] for job in jobs for run in job.runs if run.probabilities is not None}
    if widths == {len(classes)}:
        return classes, []
    return classes, [f"probabilities of {sorted(widths)} classes against {len(classes)} seen in the test set: no AUROC"]


def _serves(jobs: Sequence[_Job], classes: Sequence[str], metric: str) -> bool:
    """Whether every run can be scored by `metric`."""
    runs = [run for job in jobs for run in job.runs]
    if metric in COUNT_METRICS:
        return all(run.predicted is not None for run in runs)
    return all(run.probabilities is not None and run.probabilities.shape[1] == len(classes) for run in runs)


def _score(
    jobs: Sequence[_Job], classes: Sequence[str], metric: str, resamples: int, seed: int
) -> dict[tuple[str, str], Arm]:
    """Arms by model and init, all under the same resamples."""
    scored = score_runs([run for job in jobs for run in job.runs], metric, classes, resamples, seed)
    owners = [job.arm for job in jobs for _ in job.runs]
    return {
        owner: join([arm for arm, name in zip(scored, owners, strict=True) if name == owner])
        for owner in dict.fromkeys(owners)
    }


def _sizes(jobs: Sequence[_Job]) -> dict[str, int]:
    """Seeds, folds, runs, test items and groups of the jobs of one arm."""
    runs = [run for job in jobs for run in job.runs]
    return {
        "seeds": len({run.seed for run in runs}),
        "folds": len({run.fold for run in runs}),
        "runs": len(runs),
        "n_test": len(runs[0].labels),
        "groups": len(np.unique(runs[0].groups)),
    }


def _score_row(
    jobs: Sequence[_Job],
    key: tuple[str, str],
    arms: Mapping[tuple[str, str], Arm],
    points: Mapping[str, Mapping[tuple[str, str], Arm]],
    metric: str,
    protocol: str,
    seed: int,
) -> dict[str, Any]:
    mine = [job for job in jobs if job.arm == key]
    estimate, by_seed = interval(arms[key], seed), arms[key].by_seed()
    return (
        {name: mine[0].record[name] for name in ("analysis", "task", "model", "init")}
        | {"metric": metric, "protocol": protocol}
        | {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        | {"sd": by_seed.std(ddof=1) if len(by_seed) > 1 else np.nan}
        | _sizes(mine)
        | {"parameters": mine[0].record["parameters"], "seconds": sum(job.record["cost"]["seconds"] for job in mine)}
        | {name: scored[key].value for name, scored in points.items()}
    )


def _pairs(
    jobs: Sequence[_Job], arms: Mapping[tuple[str, str], Arm], metric: str, protocol: str, baselines: Sequence[str]
) -> list[tuple[str, str, str, tuple[str, str]]]:
    """(model, init, versus, reference arm) of every comparison that the arms allow."""
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    cheap = [arm for arm in arms if arm[1] == "baseline" or arm[0] in baselines]
    random = [arm for arm in arms if arm[1] == "random" and arm not in cheap]
    chosen = {arm: sign * _choosing_value(jobs, arm, arms, metric, protocol) for arm in cheap}
    best_random = max(random, key=lambda arm: sign * arms[arm].value, default=None)
    best_baseline = max(cheap, key=chosen.__getitem__, default=None)
    pairs = []
    for model, init in arms:
        if (model, init) in cheap:
            continue
        if init == "pretrained" and (model, "random") in arms:
            pairs.append((model, init, "random", (model, "random")))
        if init == "pretrained":
            pairs += [(model, init, arm, (model, arm)) for arm in DERIVED if (model, arm) in arms]
        if init == "pretrained" and best_random:
            pairs.append((model, init, "best_random", best_random))
        if best_baseline:
            pairs.append((model, init, "baseline", best_baseline))
    return pairs


def _choosing_value(
    jobs: Sequence[_Job], arm: tuple[str, str], arms: Mapping[tuple[str, str], Arm], metric: str, protocol: str
) -> float:
    """Mean validation value of an arm's selected runs, or its test value where no validation value is recorded."""
    values = [
        result["value"]
        for job in jobs
        if job.arm == arm
        for result in job.record["results"]
        if result["split"] == "validation" and result["metric"] == metric and result["extra"].get("selected", True)
    ]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and protocol == "corrected" else arms[arm].value


def average_records(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Scores of an analysis without predictions: the results of its records, averaged over seeds.

    One row per model, arm, metric and value of every `extra` (pooling, mutations, gene, label, ...); `low` and `high`
    are means of the seeds' own, `sd` is over seeds, `n` sums.
    """
    frame = flatten(records)
    if frame.empty:
        return pd.DataFrame(columns=SCORES)
    measured = ["value", "low", "high", "sd", "n"]
    cost = {"seconds", "device", "peak_memory_mb", "peak_device_memory_mb", "seed", "parameters"}
    keys = [
        column
        for column in frame.columns
        if column not in cost and column not in measured and not column.startswith("version_")
        and frame[column].notna().any()
    ]  # fmt: skip
    frame = frame.assign(**{name: np.nan for name in ("low", "high", "sd") if name not in frame})
    grouped = frame.groupby(keys, dropna=False, sort=False)
    averaged = grouped.agg(
        value=("value", "mean"), low=("low", "mean"), high=("high", "mean"), sd=("value", "std"),
        seeds=("seed", "nunique"), n=("n", "sum"), parameters=("parameters", "first"), seconds=("seconds", "sum"),
    )  # fmt: skip
    return averaged.reset_index()


def read_predictions(path: Path) -> pd.DataFrame:
    """Per-sample predictions of one job; a file that is none is a `UserError`."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; run its job again.")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a predictions file ({error}); run its job again.") from None
    needed = {"id", "group", "label", "fold", "selected", "selected_paper"}
    needed |= set() if "score" in frame else {"predicted", "probabilities"}
    if missing := needed - set(frame.columns):
        raise UserError(f"{path}: predictions lack the column(s) {', '.join(sorted(missing))}; run its job again.")
    types = pd.api.types
    broken = [name for name in ("selected", "selected_paper") if len(frame) and not types.is_bool_dtype(frame[name])]
    broken += [] if types.is_integer_dtype(frame["fold"]) or not len(frame) else ["fold"]
    if "score" in frame:
        broken += [] if types.is_numeric_dtype(frame["score"]) or frame["score"].isna().all() else ["score"]
    else:
        shapes = {np.shape(row) for row in frame["probabilities"]}
        plain = all(np.asarray(row).dtype.kind == "f" for row in frame["probabilities"])
        broken += [] if plain and len(shapes) <= 1 and () not in shapes else ["probabilities"]
    if broken or frame["id"].isna().any():
        raise UserError(f"{path}: the column {(broken or ['id'])[0]} of the predictions is broken; run its job again.")
    return frame


def read_table(path: Path, measured: str | None = None) -> pd.DataFrame:
    """A table of this module (CSV) or of the config (TSV); a missing or broken one is a `UserError`.

    `measured` names a column of numbers that a table of this module must have, beside `KEYS`.
    """
    try:
        separator = "\t" if path.suffix == ".tsv" else ","
        frame = pd.read_csv(path, sep=separator, dtype={"task": str, "model": str, "label": str})
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, IsADirectoryError) as error:
        raise UserError(f"{path}: not a table ({error}); delete it and run again.") from None
    if measured is None:
        return frame
    if missing := {*KEYS, measured} - set(frame.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; run summarise_task again.")
    if len(frame) and not pd.api.types.is_numeric_dtype(frame[measured]):
        raise UserError(f"{path}: the column {measured} holds other than numbers; run summarise_task again.")
    return frame


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV table whole; floats keep every digit."""
    with atomic_path(path) as part:
        frame.to_csv(part, index=False, lineterminator="\n")


def read_flat(path: Path) -> pd.DataFrame:
    """Rows of records: a JSON record, or the Parquet table of several that `write_flat` wrote."""
    if path.suffix == ".json":
        return flatten([read_record(path)])
    if not path.is_file():
        raise UserError(f"{path}: no such file; run its job again.")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a table of records ({error}); delete it and run again.") from None
    if missing := {"analysis", "task", "model", "init", "metric", "value"} - set(frame.columns):
        raise UserError(f"{path}: records lack the column(s) {', '.join(sorted(missing))}; delete it and run again.")
    return frame


def write_flat(path: Path, frame: pd.DataFrame) -> None:
    """Write rows of records as Parquet; a column that mixes types becomes text."""
    mixed = [str(name) for name in frame if pd.api.types.infer_dtype(frame[name], skipna=True).startswith("mixed")]
    texts = {name: frame[name].map(str, na_action="ignore") for name in mixed}
    with atomic_path(path) as part:
        frame.assign(**texts).to_parquet(part, index=False)


def collect(
    output: Path,
    *,
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    records: pd.DataFrame,
    tasks: pd.DataFrame,
    models: Mapping[str, Mapping[str, Any]],
    margin: float,
) -> None:
    """Write the directory of tables (see the command's help for its files).

    `records` are the flat tables of all records, `tasks` has task, suite, group and label, and `models` maps names to
    cards with label, order, tokenizer_class and kind (`baseline` or another).
    """
    ranks = {name: card.get("order", len(models)) for name, card in models.items()}
    labels = {name: card.get("label", name) for name, card in models.items()}
    order = {task: rank for rank, task in enumerate(tasks["task"])}

    def arrange(frame: pd.DataFrame) -> pd.DataFrame:
        keys = {"task": order, "model": ranks}
        by = [column for column in ("analysis", "task", "model", "init") if column in frame]
        return frame.sort_values(
            by, kind="stable", key=lambda values: values.map(keys.get(str(values.name), {})).fillna(len(order) + 1)
            if values.name in keys else values,
        ).reset_index(drop=True)  # fmt: skip

    flat, scores = arrange(records), arrange(_with_columns(scores, SCORES))
    comparisons = arrange(_with_columns(comparisons, COMPARISONS))
    catalogue = pd.DataFrame(
        [{"model": name, **dict(card)} for name, card in sorted(models.items(), key=lambda item: ranks[item[0]])]
    )
    with atomic_directory(output, ("*.csv", "*.parquet")) as part:
        flat.to_csv(part / "records.csv", index=False, lineterminator="\n")
        write_flat(part / "records.parquet", flat)
        tables = {
            "scores": scores,
            "comparisons": comparisons,
            "tasks": tasks,
            "models": catalogue,
            "across_tasks": summarise_tasks(comparisons, tasks, ranks, margin),
            "table_01_models": _model_table(catalogue, scores),
            "table_05_similarity": _similarity_table(scores, labels),
        }
        for name, analysis in PAPER_TABLES.items():
            tables[name] = _arm_table(scores, comparisons, analysis, tasks, labels)
        for name, table in tables.items():
            table.to_csv(part / f"{name}.csv", index=False, lineterminator="\n")


def check_distinct(cards: Iterable[Path]) -> None:
    """`UserError` if two weight directories of a model hold the same bytes: a comparison of weights with themselves."""
    seen: dict[tuple[str, str], Path] = {}
    for path in cards:
        card = read_json(path)
        other = seen.setdefault((card["model"], card["sha256"]), path)
        if other != path:
            raise UserError(
                f"{path.parent} and {other.parent} hold the same weights, so the arms would be compared with "
                "themselves; find out which of them is not what its name says, and make it again."
            )


def _with_columns(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """`frame` with at least `columns`, these first: a study without paired analyses has none of some."""
    return frame.reindex(columns=list(dict.fromkeys([*columns, *frame.columns])))


def summarise_tasks(
    comparisons: pd.DataFrame, tasks: pd.DataFrame, ranks: Mapping[str, int], margin: float
) -> pd.DataFrame:
    """Paired differences of pretrained arms over the tasks of each suite, and of all (`suite` all).

    Tasks with a qualifier (`H3.pct10`, `H3.permuted`, `enhancers.dedup`) are experiments on a task, not tasks: they are
    left out. `p_holm` adjusts over the models of a suite and reference.
    """
    suites = tasks.set_index("task")["suite"]
    rows = comparisons[(comparisons["analysis"] == "finetune") & (comparisons["init"] == "pretrained")]
    rows = rows[~rows["task"].str.contains(".", regex=False)]
    rows = rows.assign(suite=rows["task"].map(suites))
    found = []
    for suite, part in [("all", rows), *rows.groupby("suite", sort=False)]:
        for (versus, model), deltas in part.groupby(["versus", "model"], sort=False):
            over = across_tasks(deltas["delta"].to_numpy())
            found.append(
                {"analysis": "finetune", "suite": suite, "model": model, "versus": versus}
                | {"delta": over.mean, "low": over.low, "high": over.high, "wins": over.wins, "losses": over.losses}
                | {"n": over.tasks, "p": over.p, "verdict": over.verdict(margin), "margin": margin}
            )
    table = pd.DataFrame(found, columns=[column for column in ACROSS if column != "p_holm"])
    adjusted = table.groupby(["suite", "versus"], sort=False)["p"].transform(lambda p: holm(p.to_numpy(dtype=float)))
    table = table.assign(p_holm=adjusted.astype(float), rank=table["model"].map(ranks).fillna(len(ranks)))
    return table.sort_values(["suite", "versus", "rank"], kind="stable")[ACROSS].reset_index(drop=True)


def _model_table(catalogue: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Table 1: the models with their parameters, as the records count them."""
    counted = scores.groupby("model")["parameters"].max() if "parameters" in scores else pd.Series(dtype=float)
    measured = catalogue["model"].map(counted)
    return catalogue.assign(parameters=measured.astype("Int64"))


def _arm_table(
    scores: pd.DataFrame, comparisons: pd.DataFrame, analysis: str, tasks: pd.DataFrame, labels: Mapping[str, str]
) -> pd.DataFrame:
    """One row per task and model: both arms (or the baseline) with intervals, and their paired difference."""
    keys = ["task", "model"]
    mine = scores[scores["analysis"] == analysis]
    table = mine.drop_duplicates(keys)[[*keys, "metric", "n_test", "seeds", "folds", "parameters"]]
    for init in ("pretrained", "random", "baseline"):
        arm = mine[mine["init"] == init].set_index(keys)[["value", "low", "high", "sd"]]
        arm.columns = pd.Index([init, f"{init}_low", f"{init}_high", f"{init}_sd"])
        table = table.join(arm, on=keys)
    paired = comparisons[(comparisons["analysis"] == analysis) & (comparisons["versus"] == "random")]
    difference = paired.set_index(keys)[["delta", "low", "high", "p", "verdict"]]
    difference.columns = pd.Index(["delta", "delta_low", "delta_high", "p", "verdict"])
    table = table.join(difference, on=keys)
    table.insert(0, "suite", table["task"].map(tasks.set_index("task")["suite"]))
    table.insert(3, "model_label", table["model"].map(labels).fillna(table["model"]))
    return table.reset_index(drop=True)


def _similarity_table(scores: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Table 5: cosine similarity by gene, class of variant and pooling, one column per arm."""
    extra = ["gene", "label", "pooling", "unit", "matched"]
    mine = scores[(scores["analysis"] == "similarity") & (scores["metric"] == "cosine")]
    keys = ["task", "model", *(column for column in extra if column in mine and mine[column].notna().any())]
    if mine.empty:
        return pd.DataFrame(columns=["task", "model", "model_label", *extra, "pretrained", "random"])
    table = mine.pivot_table(index=keys, columns="init", values="value", aggfunc="mean", sort=False).reset_index()
    table.insert(2, "model_label", table["model"].map(labels).fillna(table["model"]))
    return table.rename_axis(columns=None)
