"""From the tables of every analysis to those that figures and readers use.

`collect` joins what `summarise_analysis` wrote, and writes it with what only all tasks together tell: the evidence of
every model over tasks and the ranks of arms (`across`), the two selections side by side, the defects of the study as
numbers (`defects`), its claims (`claims`) and its tables by their numbers (`paper_tables`), each in every format
(`formats`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.across_tasks import cluster_tasks, rank_tasks, summarise_tasks
from foundationless.evaluation.diagnostics import COMPONENTS, CONFUSION, LEAKAGE, OPTIMISM, RELIABILITY, ROC, RUNS
from foundationless.evaluation.records import SELECTIONS
from foundationless.evaluation.table_files import join_tables, read_table, write_csv, write_parquet
from foundationless.evaluation.task_results import HOLES, KEYS, MISSING
from foundationless.evaluation.task_summary import COMPARISONS, SCORES
from foundationless.reporting.paper.claims import find_claims
from foundationless.reporting.paper.defects import find_defects
from foundationless.reporting.paper.paper_tables import paper_tables
from foundationless.reporting.tables import cost_ledger, latex
from foundationless.runtime.files import atomic_directory, read_json
from foundationless.study.vocabulary import UNPAIRED

CROSSVALIDATION = [*KEYS, "metric", "run", "value", "sd", "low", "high", "folds", "seeds"]
COUNTS = ("seed", "seeds", "n_test", "n_all", "n_distant", "n_near", "bin", "count", "tried", "fold")
AUDITS = [
    "task", "split", "against", "rows", "exact", "reverse_complement", "near", "conflict", "duplicate",
    "duplicate_share", "near_share",
]  # fmt: skip
CORPORA = ["task", "corpus", "rows", "whole", "half", "part", "whole_share", "half_share", "part_share", "mean_share"]
# Beside the paper's tables, what is also written for LaTeX; of a wide table the columns that a page has room for.
PRINTED = ("across_tasks", "claims", "defects", "ranks", "reported_across", "reported_comparison")
_EVIDENCE = [
    "analysis", "suite", "family", "model", "versus", "metrics", "delta", "low", "high", "unit", "n", "distinct",
    "families", "wins", "p_holm", "p_tost_holm", "mde", "verdict",
]  # fmt: skip
NARROW = {
    "across_tasks": _EVIDENCE,
    "reported_across": ["suite", "family", "model_label", "versus", *_EVIDENCE[5:14], "wilcoxon_p", "verdict"],
    "reported_comparison": [
        "experiment", "source", "task", "tasks", "model_label", "arm", "metric", "reported", "reported_sd", "ours",
        "low", "high", "difference", "difference_low", "difference_high", "verdict", "same_model",
    ],
    "table_01_models": ["label", "family", "tokenizer", "objective", "max_tokens", "parameters", "pretrained"],
    "table_17_checkpoints": ["model", "init", "seed", "tokenizer", "repository", "revision", "parameters"],
}  # fmt: skip
MAPS = ["task", "model", "init", "seed", "id", "label", "x", "y"]
SUBSTITUTIONS = ["task", "model", "init", "seed", "window", "id", "position", "ref", "alt", "label"]


def read_tasks(path: Path) -> pd.DataFrame:
    """The task table: at least task, suite, suite_label, group and label, each task once."""
    tasks = read_table(path)
    if missing := {"task", "suite", "suite_label", "group", "label"} - set(tasks.columns):
        raise UserError(f"{path}: no column {', '.join(sorted(missing))}; see --help for its columns.")
    if len(tasks["task"]) > tasks["task"].nunique():
        raise UserError(f"{path}: a task stands there twice; leave one out.")
    return tasks


def read_models(given: str) -> dict[str, dict[str, Any]]:
    """Cards of models by name, from JSON or from a file of it."""
    try:
        models = json.loads(given) if given.lstrip().startswith("{") else read_json(Path(given))
    except json.JSONDecodeError as error:
        raise UserError(f"--models: not valid JSON ({error}).") from None
    cards = models.values() if isinstance(models, dict) else []
    if not cards or not all(isinstance(card, dict) and isinstance(card.get("order", 0), int) for card in cards):
        raise UserError("--models: not a mapping of model names to their cards; see --help.")
    return models


def read_map(path: Path) -> pd.DataFrame:
    """An embedding map: model, init, seed, id, label, x, y and task of every point."""
    try:
        return pd.read_parquet(path)[MAPS]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not an embedding map ({' '.join(str(error).split())[:120]}); make it again."
        ) from None


def read_substitutions(path: Path) -> pd.DataFrame:
    """First window of the saturation maps of one job (`score_mutagenesis`): the one that the figure shows."""
    try:
        frame = pd.read_parquet(path)
        missing = sorted({*SUBSTITUTIONS, "llr"} - set(frame.columns))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not a mutagenesis map ({' '.join(str(error).split())[:120]}); make it again."
        ) from None
    if missing:
        raise UserError(f"{path}: the mutagenesis map has no column {', '.join(missing)}; make it again.")
    return frame[frame["window"] == frame["window"].iloc[0]]


def collect(
    output: Path,
    *,
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    records: pd.DataFrame,
    tasks: pd.DataFrame,
    models: Mapping[str, Mapping[str, Any]],
    margin: float,
    selection: str = "validation",
    effects: pd.DataFrame | None = None,
    reported: pd.DataFrame | None = None,
    overlap: pd.DataFrame | None = None,
    audits: Sequence[Mapping[str, Any]] = (),
    corpora: Sequence[Mapping[str, Any]] = (),
    maps: Sequence[pd.DataFrame] = (),
    substitutions: Sequence[pd.DataFrame] = (),
    cards: Sequence[Mapping[str, Any]] = (),
    pretraining: Sequence[Mapping[str, Any]] = (),
    holes: pd.DataFrame | None = None,
    benchmarks: Path | None = None,
) -> None:
    """Write the directory of tables (see the command's help for its files).

    `records` are the flat tables of all records; `tasks` has task, suite, group and label; `models` maps names to cards
    with label, order, tokenizer_class and kind (`baseline` or another). `scores` and `comparisons` hold rows of both
    selections, of which `selection` is the study's; `effects` are those of `summaries`, `reported` the numbers that the
    study printed, `overlap` and `audits` those of `audit_overlap` and `audit_task`, `corpora` those of
    `audit_corpus`, `maps` embedding maps, `substitutions` mutagenesis maps, `cards` those of weights, `pretraining` the
    records of pretraining, `holes` what is missing or could not be computed, and `benchmarks` the directory of
    Snakemake's benchmarks, for the cost of what writes no record.
    """
    ranks = {name: card.get("order", len(models)) for name, card in models.items()}
    order = {task: rank for rank, task in enumerate(tasks["task"])}

    def arrange(frame: pd.DataFrame) -> pd.DataFrame:
        keys = {"task": order, "model": ranks}
        by = [column for column in ("analysis", "task", "model", "init") if column in frame]
        return frame.sort_values(
            by, kind="stable", key=lambda values: values.map(keys.get(str(values.name), {})).fillna(len(order) + 1)
            if values.name in keys else values,
        ).reset_index(drop=True)  # fmt: skip

    flat, every = arrange(records), arrange(_with_columns(scores, SCORES))
    pairs = arrange(_with_columns(comparisons, COMPARISONS))
    scores = _selected_by(every, selection)
    comparisons = _selected_by(pairs, selection)
    effects = arrange(_with_columns(pd.DataFrame() if effects is None else effects, [*KEYS, "effect"]))
    clusters = cluster_tasks(overlap)
    catalogue = pd.DataFrame(
        [{"model": name, **dict(card)} for name, card in sorted(models.items(), key=lambda item: ranks[item[0]])]
    )
    bases = {name: card.get("base", name) for name, card in models.items()}
    labels = {name: str(card.get("label", name)) for name, card in models.items()}
    across = summarise_tasks(comparisons, tasks, ranks, margin, clusters)
    ranked, rank_pairs, unranked = rank_tasks(scores[~scores["analysis"].isin(UNPAIRED)], tasks, labels)
    spent = cost_ledger.ledger(flat, benchmarks)
    holes = pd.concat([frame for frame in (holes, unranked) if frame is not None])
    holes = arrange(_with_columns(holes, HOLES)).astype({"seed": "Int64"})
    missing = holes["what"].isin(MISSING)
    tables = {
        "records": flat,
        "scores": scores,
        "comparisons": comparisons,
        "tasks": tasks,
        "models": catalogue.drop(columns="config", errors="ignore"),
        "across_tasks": across,
        "ranks": ranked,
        "rank_pairs": rank_pairs,
        "holes": holes[missing],
        "notes": holes[~missing],
        "optimism": _effect(effects, "optimism", OPTIMISM).rename(columns={"delta": "optimism"}),
        "leakage": _effect(effects, "leakage", LEAKAGE),
        "calibration": _effect(effects, "calibration", RELIABILITY),
        "selections": _effect(effects, "selection", SELECTIONS),
        "components": _effect(effects, "component", COMPONENTS),
        "runs": _effect(effects, "run", RUNS),
        "roc": _effect(effects, "roc", ROC),
        "confusion": _effect(effects, "confusion", CONFUSION),
        "crossvalidation": crossvalidate(flat),
        "audits": pd.DataFrame(
            [{"task": audit["task"], **pair} for audit in audits for pair in audit["pairs"]], columns=AUDITS
        ),
        "cost": spent,
        "cost_by_model": arrange(cost_ledger.by_model(spent)),
        "corpora": pd.DataFrame([dict(audit) for audit in corpora]).reindex(columns=CORPORA),
        "defects": find_defects(every, pairs, effects, across, clusters),
        "claims": find_claims(every, pairs, bases, margin, clusters),
    } | paper_tables(
        scores, comparisons, effects, flat, tasks, catalogue, cards, audits, reported, margin, pretraining
    )  # fmt: skip
    points = arrange(_with_columns(pd.concat(maps) if maps else pd.DataFrame(), MAPS))
    with atomic_directory(output, ("*.csv", "*.parquet", "*.tex")) as part:
        write_parquet(part / "maps.parquet", points)
        write_parquet(part / "mutagenesis.parquet", arrange(join_tables(substitutions, SUBSTITUTIONS)))
        for name, table in tables.items():
            write_csv(part / f"{name}.csv", table)
            write_parquet(part / f"{name}.parquet", table)
        printed = [name for name in tables if name.startswith("table_") or name in PRINTED]
        for name in printed:
            latex.write_latex(part / f"{name}.tex", _printed(name, tables[name]))
        latex.write_document(part / "all.tex", {name: name.replace("_", " ") for name in printed})


def _printed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """What a page shows of a table: of the evidence whole tasks and the verdict's references only."""
    if name in ("across_tasks", "reported_across"):
        plain = (table["derivation"].fillna("") == "") & table["versus"].isin(["random", "baseline", "best_random"])
        whole = (table["suite"] == "all") & (table["family"] == "")
        table = table[plain & (whole | (table["analysis"] == "finetune"))]
    return table.reindex(columns=NARROW[name]) if name in NARROW else table


def _selected_by(frame: pd.DataFrame, selection: str) -> pd.DataFrame:
    """Rows of one selection; analyses without a choice of runs have all theirs."""
    return frame[(frame["selection"] == selection) | frame["analysis"].isin(UNPAIRED)].reset_index(drop=True)


def _effect(effects: pd.DataFrame, kind: str, columns: Sequence[str]) -> pd.DataFrame:
    found = effects.loc[effects["effect"] == kind].reindex(columns=list(columns)).reset_index(drop=True)
    return found.astype(dict.fromkeys([name for name in COUNTS if name in found], "Int64"))


def crossvalidate(records: pd.DataFrame) -> pd.DataFrame:
    """Mean over the folds of a cross-validation, with the sd between folds and a 95 % t interval, per run of an arm.

    Folds share training rows, so the variance of their mean is that of Nadeau and Bengio (2003): 1/k + 1/(k - 2) times
    the variance between k folds, of which one tests, another chooses and k - 2 train. Every seed cuts folds of its own:
    the variance is the mean of theirs, and further seeds do not narrow the interval.
    """
    from scipy import stats

    if "selection" not in records or "fold" not in records:
        return pd.DataFrame(columns=CROSSVALIDATION)
    found = records[(records["selection"] == "crossvalidation") & (records["split"] == "test")]
    rows = []
    keys = [*KEYS, "metric", "run"]
    for names, part in found.assign(run=found.get("run", "")).groupby(keys, sort=False, dropna=False):
        k, mean = part["fold"].nunique(), part["value"].mean()
        sd = float(np.sqrt(part.groupby("seed")["value"].var(ddof=1).mean()))
        half = stats.t.ppf(0.975, k - 1) * sd * np.sqrt(1 / k + 1 / (k - 2)) if k > 2 else np.nan
        rows.append(
            dict(zip(keys, names, strict=True))
            | {"value": mean, "sd": sd, "low": mean - half, "high": mean + half}
            | {"folds": k, "seeds": part["seed"].nunique()}
        )
    return pd.DataFrame(rows, columns=CROSSVALIDATION)


def check_distinct(cards: Iterable[Path]) -> None:
    """`UserError` if two weight directories of a model hold the same bytes: a comparison of weights with themselves."""
    seen: dict[tuple[str, str], Path] = {}
    for path in cards:
        card = read_json(path)
        if card.get("init") == "copy":
            continue  # the same on purpose
        other = seen.setdefault((card["model"], card["sha256"]), path)
        if other != path:
            raise UserError(
                f"{path.parent} and {other.parent} hold the same weights, so the arms would be compared with "
                "themselves; find out which of them is not what its name says, and make it again."
            )


def _with_columns(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """`frame` with at least `columns`, these first: a study without paired analyses has none of some."""
    found = frame.reindex(columns=list(dict.fromkeys([*columns, *frame.columns])))
    return found.astype({name: object for name in (*KEYS, "metric", "selection", "versus", "effect") if name in found})
