"""The directory of tables that `collect_tables` wrote, as figures see it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation import table_files
from foundationless.reporting.figures import style
from foundationless.reporting.tables.verdict import main_analysis
from foundationless.study.names import parse_task

# Columns without which a table is not the one that its name promises.
NEEDED = {
    "scores": (
        "analysis", "task", "model", "init", "metric", "value", "low", "high", "base_task", "variant", "derivation",
        "percent", "shots", "epochs", "patience", "tokenizer", "width", "reading",
    ),
    "comparisons": ("analysis", "task", "model", "init", "versus", "delta", "low", "high", "variant"),
    "across_tasks": ("suite", "model", "versus", "scope", "delta", "low", "high", "wins", "n", "verdict", "margin"),
    "tasks": ("task", "suite", "suite_label", "group", "label"),
    "models": ("model", "label", "kind", "tokenizer_class"),
    "audits": ("task", "split", "against", "rows"),
    "shortcuts": ("task", "check", "metric", "value", "low", "high", "threshold", "word"),
    "calibration": ("analysis", "task", "model", "init", "count", "confidence", "accuracy", "variant"),
    "recalibration": ("analysis", "task", "model", "init", "method", "ece", "coverage", "variant"),
    "transfer_gaps": (
        "analysis", "task", "model", "init", "source", "target", "metric", "in_domain", "far", "gap", "gap_low",
        "gap_high",
    ),
    "claims": ("claim", "selection", "model", "difference", "low", "high", "verdict"),
    "components": ("analysis", "task", "model", "init", "component", "variance", "share"),
    "confusion": ("analysis", "task", "model", "init", "actual", "predicted", "count", "variant", "reading"),
    "cost": ("analysis", "task", "model", "init", "gpu_hours", "cpu_hours"),
    "defects": ("item", "what", "task", "model", "init", "metric", "difference", "low", "high"),
    "effects": ("analysis", "task", "model", "init", "fold", "perturbation", "skill", "l2", "variant"),
    "interactions": ("analysis", "task", "model", "init", "what", "name", "x", "y", "n"),
    "outputs": (
        "analysis", "task", "model", "init", "output", "versus", "metric", "value", "delta", "low", "high", "variant",
    ),
    "scatter": (
        "analysis", "task", "model", "init", "output", "what", "x", "y", "step_x", "step_y", "count", "variant",
    ),
    "p_claims": ("item", "claim", "task", "model", "contrast", "difference", "low", "high", "holds"),
    "p_reported_across": ("experiment", "task", "model", "arm", "versus", "metric", "delta", "low", "high", "verdict"),
    "fewshot": (
        "analysis", "task", "model", "init", "metric", "measure", "rows", "versus", "reference", "value", "low", "high",
        "margin", "verdict", "draws", "seeds", "n_test", "variant",
    ),
    "figure_09_categories": ("category", "model", "init", "mean", "reported"),
    "ingredients": ("task", "model", "ingredient", "metric", "delta", "low", "high", "margin"),
    "pretraining_curve": (
        "task", "model", "init", "step", "bits_per_base", "metric", "value", "low", "high", "points", "rho", "rho_low",
        "rho_high",
    ),
    "importances": ("analysis", "task", "model", "kind", "class", "feature", "importance", "variant"),
    "last_layer": ("suite", "model", "versus", "scope", "delta", "low", "high", "wins", "n", "verdict", "margin"),
    "layers": ("analysis", "task", "model", "init", "metric", "split", "layer", "depth", "value", "low", "high"),
    "leakage": ("analysis", "task", "model", "init", "delta", "low", "high"),
    "explanations": ("task", "model", "init", "method", "versus", "value", "delta", "low", "high", "verdict", "n"),
    "logos": ("task", "model", "init", "method", "motif", "position", "letter", "height", "share", "n"),
    "missing": ("analysis", "task", "model", "init", "what", "note"),
    "optimism": ("analysis", "task", "model", "init", "optimism", "low", "high", "variant"),
    "rank_pairs": ("analysis", "first_model", "first_init", "second_model", "second_init", "p"),
    "ranks": ("analysis", "model", "init", "rank", "n", "p_friedman"),
    "reported_across": ("suite", "family", "model", "versus", "scope", "delta"),
    "reported_comparison": ("experiment", "source", "task", "model", "arm", "metric", "reported", "ours", "verdict"),
    "roc": ("analysis", "task", "model", "init", "fpr", "tpr", "low", "high"),
    "runs": (
        "analysis", "task", "model", "init", "selection", "metric", "seed", "fold", "value", "variant", "reading",
    ),
    "rows_worth": (
        "analysis", "task", "model", "metric", "rows", "value", "low", "high", "value_random", "random_low",
        "random_high", "points", "fewest", "most", "seeds", "ratio", "ratio_low", "ratio_high",
    ),
    "scaling_fits": ("analysis", "task", "model", "init", "metric", "axis", "smallest", "largest", "a", "b", "c"),
    "tokenizer_gate": (
        "analysis", "variant", "basis", "first", "second", "scope", "delta", "low", "high", "n", "models", "margin",
        "metrics", "verdict",
    ),
    "variant_scores": (
        "analysis", "task", "model", "init", "scored_by", "auroc_within", "auroc_within_low", "auroc_within_high",
        "n_test", "variant",
    ),
    "table_11_widths": ("task", "model", "width"),
    "table_14_windows": ("variant", "model", "init", "mean", "reported"),
    "records": ("analysis", "task", "model", "variant"),
    "structure": (
        "analysis", "task", "model", "init", "fact", "metric", "versus", "value", "delta", "low", "high", "variant",
    ),
    "maps": ("task", "model", "init", "seed", "label", "x", "y"),
    "mutagenesis": ("task", "model", "init", "seed", "window", "position", "id", "label", "ref", "alt"),
}  # fmt: skip
# Columns that figures read where there are any: older tables, and those of fewer analyses, lack them.
READ = {
    "scores": (
        "selection", "n_test", "groups", "seeds", "folds", "n", "ece", "pooling", "condition", "mutations", "null",
        "windows", "gene", "label", "unit", "measure", "window",
    ),
    "comparisons": ("metric", "margin", "n_test", "groups", "seeds", "folds"),
    "across_tasks": (
        "analysis", "variant", "family", "units", "losses", "distinct", "seeds", "learned", "p_holm", "p_tost_holm",
        "mde", "metrics",
    ),
    "tasks": ("paper_task",),
    "calibration": ("method",),
    "recalibration": ("expected_low", "expected_high", "ece_change", "n_validation", "n_test", "note"),
    "transfer_gaps": ("target_rows", "weighting", "versus", "delta", "low", "high", "verdict", "n_in_domain", "n_test"),
    "claims": ("n", "holds", "margin"),
    "components": ("selection",),
    "confusion": ("selection",),
    "cost": ("energy_kwh",),
    "effects": ("selection", "kind", "l2_top", "norm_observed", "norm_predicted"),
    "interactions": ("selection",),
    "explanations": ("seeds", "p_holm", "margin"),
    "figure_09_categories": ("group", "reported_source", "tasks"),
    "importances": ("validation", "metric"),
    "ingredients": ("n_test", "groups", "seeds", "folds"),
    "pretraining_curve": ("n_test", "groups", "seeds", "folds"),
    "last_layer": ("analysis", "variant", "family"),
    "layers": ("n", "seeds", "chosen", "variant"),
    "leakage": ("selection", "metric", "n_all", "n_distant"),
    "missing": ("seed",),
    "optimism": ("versus", "n_test"),
    "outputs": ("selection", "n", "chance"),
    "scatter": ("selection",),
    "rows_worth": ("selection",),
    "scaling_fits": ("selection",),
    "variant_scores": ("seeds", "parameters", "held_out"),
    "reported_comparison": ("difference", "low", "high", "same_model"),
    "table_14_windows": ("reported_source",),
    "records": (
        "init", "metric", "value", "seed", "n", "step", "run", "selection", "split", "selected", "fold", "component",
        "depth", "measure",
    ),
    "structure": ("verdict", "words", "n", "seeds", "layer", "depth", "last", "chosen"),
    "maps": ("tsne_x", "tsne_y"),
    "mutagenesis": ("shift_max", "shift_mean", "llr"),
}  # fmt: skip
# Columns that are numbers, whatever table they stand in; not where a row says by `setting` what its value is.
NUMBERS = [
    *sorted(table_files.NUMBERS), "attempts", "bits_per_base", "cpu_hours", "df", "difference", "distinct",
    "energy_kwh",
    "gpu_hours", "gpus", "importance", "llr", "losses", "mean", "n", "p_friedman", "p_holm", "p_tost",
    "p_tost_holm", "peak_device_memory_mb", "peak_memory_mb", "points", "position", "rank", "reported_sd",
    "rho", "rho_high", "rho_low", "rope_above", "rope_below", "rope_within", "rows",
    "shift_max", "shift_mean", "threads", "units", "validation", "width",
    "tsne_x", "tsne_y", "wins", "with_defect", "without", "x", "y",
]  # fmt: skip
# Columns that no row of a table leaves open.
KEYS = {
    "scores": ("analysis", "task", "model", "init", "metric"),
    "comparisons": ("analysis", "task", "model", "init", "versus"),
    "tasks": ("task", "suite"),
    "models": ("model", "kind"),
}
SUITES = ("nt", "gue", "gb")


@dataclass(frozen=True)
class Tables:
    """Frames of one study; every frame is ordered by task and model as the study's tables are.

    `evidence` is the whole of across_tasks.csv: every analysis, variant of tasks, scope and reference. `models` has the
    parts of its names: its tokenizer is the one that a name states.
    """

    directory: Path
    study: str
    scores: pd.DataFrame
    comparisons: pd.DataFrame
    evidence: pd.DataFrame
    tasks: pd.DataFrame
    models: pd.DataFrame
    records: pd.DataFrame
    maps: pd.DataFrame
    substitutions: pd.DataFrame

    def extra(self, name: str) -> pd.DataFrame:
        """A table that only some figures read; without rows where it is not there.

        A file that is no table, or not this one, is a `UserError`.
        """
        return _complete(self.directory / f"{name}.csv")

    @property
    def across(self) -> pd.DataFrame:
        """Evidence of the main analysis on whole tasks: over all (suite `all`), and within each suite, by scope."""
        return self._judged[self._judged["family"].isna()].reset_index(drop=True)

    @property
    def families(self) -> pd.DataFrame:
        """The same within each family of tasks, across suites."""
        rows = self._judged
        return rows[rows["family"].notna() & (rows["suite"] == "all")].reset_index(drop=True)

    @cached_property
    def main(self) -> str:
        """The analysis whose words are the verdict."""
        return main_analysis(self.evidence, self.comparisons)

    @cached_property
    def _judged(self) -> pd.DataFrame:
        return of_plain_tasks(self.evidence[self.evidence["analysis"].fillna(self.main).eq(self.main)])

    @cached_property
    def looks(self) -> dict[str, style.Look]:
        """Colour, marker and label of every model; widths of one model, and characters as tokens, share its look."""
        order = list(dict.fromkeys(self.stems.values()))
        cards = self.models.drop_duplicates("model").set_index("model", drop=False).loc[order]
        known = style.looks(cards.to_dict("records"))  # type: ignore[arg-type]
        return {name: known[stem] for name, stem in self.stems.items()}

    @cached_property
    def stems(self) -> dict[str, str]:
        """The model whose curve each one is a point of: that of its size, depth and reading, 6-mers apart."""
        cards = self.models.assign(kmer=self.models["tokenizer"] == "kmer")
        sides = [name for name in ("side",) if name in cards]  # which vectors are borrowed is another model
        stems = plainest(cards, ["base", "size", *sides, "layers", "reading", "kmer"])
        return dict(zip(cards["model"], stems, strict=True))

    @cached_property
    def baselines(self) -> list[str]:
        """Models that are baselines, in order."""
        return self.models.loc[self.models["kind"] == "baseline", "model"].tolist()

    def scored(self, *analyses: str, plain: bool = True) -> pd.DataFrame:
        """Scores of analyses; `plain` keeps tasks as the task table has them only (`H3`, not `H3.pct10`)."""
        rows = self.scores[self.scores["analysis"].isin(analyses) & self.scores["value"].notna()]
        return of_plain_tasks(rows) if plain else rows

    def arm(self, row: Any) -> str:
        """Arm of a row of a table; `baseline` of every baseline's."""
        return "baseline" if row.model in self.baselines else str(row.init)

    def own(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of models that are no baselines."""
        return rows[~rows["model"].isin(self.baselines) & (rows["init"] != "baseline")]

    def others(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of baselines."""
        return rows[rows["model"].isin(self.baselines) | (rows["init"] == "baseline")]

    def order(self, names: Iterable[str]) -> list[str]:
        """These models in the study's order."""
        present = set(names)
        return [name for name in self.models["model"] if name in present]

    def task_names(self, names: Iterable[str]) -> list[str]:
        """These tasks, as far as the task table knows them, in its order."""
        return list(self.task_rows(names)["task"])

    def task_rows(self, names: Iterable[str]) -> pd.DataFrame:
        """Rows of the task table for these tasks (a variant has those of its base task), in its order."""
        frame = pd.DataFrame({"task": sorted(set(names))}, dtype=object)
        frame = frame.assign(base_task=[parse_task(name).base_task for name in frame["task"]])
        places = self.tasks.drop(columns="base_task", errors="ignore").rename(columns={"task": "base_task"})
        places = places.reset_index(names="place")
        return frame.merge(places, on="base_task").sort_values(["place", "task"]).reset_index(drop=True)

    def task_label(self, task: str) -> str:
        """Label of a task, what makes it a variant behind it."""
        parts = parse_task(task)
        label = str(self.tasks.set_index("task")["label"].get(parts.base_task, parts.base_task))
        words = [parts.variant, f"draw {parts.draw}" if parts.draw else ""]
        return f"{label} ({', '.join(filter(None, words))})" if parts.variant else label


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples; the columns' types are the tables', which no type checker knows."""
    return frame.itertuples(index=False)


def of_plain_tasks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of tasks as the task table has them: neither derived nor of another budget of epochs."""
    return rows[rows["variant"] == ""]


def of_validation(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of runs that validation chose; all rows where none says so."""
    chosen = rows["selection"] == "validation"
    return rows[chosen] if chosen.any() else rows


def plainest(cards: pd.DataFrame, keys: list[str]) -> pd.Series:
    """For every model, of those that are alike in `keys`, the one whose name changes width and tokenizer least."""
    changes = cards["width"].notna().astype(int) + (cards["tokenizer"] != "")
    ordered = cards.assign(changes=changes).sort_values("changes", kind="stable")
    return ordered.groupby(keys, dropna=False)["model"].transform("first").reindex(cards.index)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table of collect_tables, checked for what its name promises.

    `UserError` where there is no file, or one that is empty, cut short, without the columns that are `NEEDED`, or with
    a text where a number belongs.
    """
    name = path.stem
    if not path.is_file():
        raise UserError(f"{path.parent}: no {path.name}; make the tables with collect_tables first.")
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    if missing := [column for column in NEEDED.get(name, ()) if column not in frame.columns]:
        raise UserError(f"{path}: no column {', '.join(missing)}; run collect_tables again.")
    for column in KEYS.get(name, ()):
        if (open_rows := frame[column].isna()).any():
            raise UserError(f"{path}: row {open_rows.argmax() + 1} has no {column}; run collect_tables again.")
    for column in frame.columns.intersection(NUMBERS) if "setting" not in frame else ():
        cells = frame[column].astype(str) if pd.api.types.is_bool_dtype(frame[column]) else frame[column]
        if (bad := cells.notna() & pd.to_numeric(cells, errors="coerce").isna()).any():
            raise UserError(
                f"{path}: row {bad.argmax() + 1} has {str(cells[bad].iloc[0])!r:.40} as {column}, which is a number; "
                "run collect_tables again."
            )
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open("rb") as stream:
        if not stream.readline().strip():
            raise UserError(f"{path}: it is empty, without so much as a header; run collect_tables again.")
        stream.seek(-1, 2)
        if stream.read() != b"\n":
            raise UserError(f"{path}: its last line has no end, so it is cut short; run collect_tables again.")
    return table_files.read_table(path)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        raise UserError(f"{path}: not a table; make it with collect_tables again.") from None


def _complete(path: Path, *, needed: bool = False) -> pd.DataFrame:
    """A table with every column that figures `READ`, and no part of a name open; no rows where there is no file."""
    known = (*NEEDED[path.stem], *READ.get(path.stem, ()))
    frame = read_table(path) if needed or path.exists() else pd.DataFrame(columns=list(known))
    frame = frame.reindex(columns=list(dict.fromkeys([*frame, *known])))
    if frame.empty:  # pandas takes columns without a value for text, which numbers may not be subtracted from
        frame = frame.astype(object)
    parts = frame.columns.intersection(table_files.TEXT_PARTS)
    return frame.assign(**{part: frame[part].astype(object).fillna("") for part in parts})


def read(directory: Path, study: str = "") -> Tables:
    """Read the tables; a directory without them is a `UserError`."""
    records, scores, comparisons, evidence, tasks, models = (
        _complete(directory / name, needed=True)
        for name in ("records.parquet", "scores.csv", "comparisons.csv", "across_tasks.csv", "tasks.csv", "models.csv")
    )
    maps, substitutions = (_complete(directory / f"{name}.parquet") for name in ("maps", "mutagenesis"))
    models = table_files.add_name_parts(models)
    return Tables(directory, study, scores, comparisons, evidence, tasks, models, records, maps, substitutions)
