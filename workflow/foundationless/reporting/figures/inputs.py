"""The directory of tables that `collect_tables` wrote, as figures see it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.figures import style
from foundationless.study.names import parse_task

NEEDED = {
    "scores": (
        "analysis", "task", "model", "init", "metric", "value", "low", "high", "base_task", "variant", "derivation",
        "percent", "shots", "epochs", "patience", "tokenizer", "width", "reading",
    ),
    "comparisons": ("analysis", "task", "model", "init", "versus", "delta", "low", "high", "variant"),
    "across_tasks": ("suite", "model", "versus", "delta", "low", "high", "wins", "n", "verdict", "margin"),
    "tasks": ("task", "suite", "suite_label", "group", "label"),
    "models": ("model", "label", "kind", "tokenizer_class"),
}  # fmt: skip
# What only tables of the weighed evidence have; older ones are read without it.
WEIGHED = (
    "analysis", "variant", "family", "unit", "losses", "distinct", "families", "p_holm", "p_tost_holm", "mde",
)  # fmt: skip
EXTRA = {  # of those that only some figures read
    "audits": ("task", "split", "against", "rows"),
    "calibration": ("analysis", "task", "model", "init", "count", "confidence", "accuracy", "variant"),
    "claims": ("claim", "selection", "model", "difference", "low", "high", "verdict"),
    "components": ("analysis", "task", "model", "init", "component", "variance", "share"),
    "confusion": ("analysis", "task", "model", "init", "actual", "predicted", "count", "variant", "reading"),
    "cost": ("analysis", "task", "model", "init", "gpu_hours", "cpu_hours"),
    "defects": ("item", "what", "task", "model", "init", "metric", "difference", "low", "high"),
    "figure_09_categories": ("category", "model", "init", "mean", "reported"),
    "leakage": ("analysis", "task", "model", "init", "delta", "low", "high"),
    "missing": ("analysis", "task", "model", "init", "what", "note"),
    "optimism": ("analysis", "task", "model", "init", "optimism", "low", "high", "variant"),
    "rank_pairs": ("analysis", "first_model", "first_init", "second_model", "second_init", "p"),
    "ranks": ("analysis", "model", "init", "rank", "n", "p_friedman"),
    "reported_across": ("suite", "family", "model", "versus", "delta"),
    "reported_comparison": ("experiment", "source", "task", "model", "arm", "metric", "reported", "ours", "verdict"),
    "roc": ("analysis", "task", "model", "init", "fpr", "tpr", "low", "high"),
    "runs": (
        "analysis", "task", "model", "init", "selection", "metric", "seed", "fold", "value", "variant", "reading",
    ),
    "table_11_widths": ("task", "model", "width"),
    "table_14_windows": ("variant", "model", "init", "mean", "reported"),
}  # fmt: skip
PARQUET = {  # those of many rows
    "records": ("analysis", "task", "model", "variant"),
    "maps": ("task", "model", "init", "seed", "label", "x", "y"),
    "mutagenesis": ("task", "model", "init", "seed", "window", "position", "id", "label", "ref", "alt"),
}
# Columns that are numbers, whatever table they stand in; not where a row says by `setting` what its value is.
NUMBERS = (
    "value", "low", "high", "delta", "se", "sd", "df", "margin", "mde", "p", "p_holm", "p_tost", "p_tost_holm",
    "p_test", "p_friedman", "rope_below", "rope_within", "rope_above", "wins", "losses", "n", "distinct", "families",
    "n_test", "groups", "seeds", "folds", "runs", "seed", "fold", "rank", "difference", "optimism", "count",
    "confidence", "accuracy", "variance", "share", "fpr", "tpr", "rows", "width", "mean", "parameters", "seconds",
    "gpus", "threads", "gpu_hours", "cpu_hours", "peak_memory_mb", "peak_device_memory_mb", "energy_kwh", "attempts",
    "reported_sd", "with_defect", "without", "position", "x", "y", "shift_max", "shift_mean", "llr",
)  # fmt: skip
# Columns that no row of a table leaves open.
KEYS = {
    "scores": ("analysis", "task", "model", "init", "metric"),
    "comparisons": ("analysis", "task", "model", "init", "versus"),
    "tasks": ("task", "suite"),
    "models": ("model", "kind"),
}
# Parts of names that a name may lack; a CSV file says an empty text and a missing one alike.
PARTS = ("variant", "derivation", "size", "tokenizer")
_TEXTS = dict.fromkeys(("task", "model", "label", "init", *PARTS), str)
SUITES = ("nt", "gue", "gb")
METRIC_LABELS = {
    "mcc": "MCC",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "cosine": "cosine similarity",
    "spearman": "Spearman's ρ",
}


@dataclass(frozen=True)
class Tables:
    """Frames of one study; every frame is ordered by task and model as the study's tables are.

    `evidence` is the whole of across_tasks.csv: every analysis, variant of tasks, scope and reference. `models` has the
    parts of its names: its tokenizer is the one that a name states.
    """

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    evidence: pd.DataFrame
    tasks: pd.DataFrame
    models: pd.DataFrame
    records: pd.DataFrame
    study: str = ""
    maps: pd.DataFrame = field(default_factory=pd.DataFrame)
    substitutions: pd.DataFrame = field(default_factory=pd.DataFrame)
    directory: Path | None = None

    def extra(self, name: str) -> pd.DataFrame:
        """A table that only some figures read; without rows and columns where it is not there.

        A file that is no table, or not this one, is a `UserError`.
        """
        path = (self.directory or Path()) / f"{name}.csv"
        return pd.DataFrame() if self.directory is None or not path.exists() else _with_parts(read_table(path))

    @property
    def across(self) -> pd.DataFrame:
        """Evidence of fine-tuning on whole tasks, over all tasks (suite `all`) and within each suite."""
        return self._finetuned[self._finetuned["family"].isna()].reset_index(drop=True)

    @property
    def families(self) -> pd.DataFrame:
        """The same within each family of tasks, across suites."""
        rows = self._finetuned
        return rows[rows["family"].notna() & (rows["suite"] == "all")].reset_index(drop=True)

    @cached_property
    def _finetuned(self) -> pd.DataFrame:
        return of_plain_tasks(self.evidence[self.evidence["analysis"].fillna("finetune").eq("finetune")])

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
        stems = plainest(cards, ["base", "size", "layers", "reading", "kmer"])
        return dict(zip(cards["model"], stems, strict=True))

    @cached_property
    def baselines(self) -> list[str]:
        """Models that are baselines, in order."""
        return self.models.loc[self.models["kind"] == "baseline", "model"].tolist()

    def scored(self, *analyses: str, plain: bool = True) -> pd.DataFrame:
        """Scores of analyses; `plain` keeps tasks as the task table has them only (`H3`, not `H3.pct10`)."""
        rows = self.scores[self.scores["analysis"].isin(analyses) & self.scores["value"].notna()]
        return of_plain_tasks(rows) if plain else rows

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


def plainest(cards: pd.DataFrame, keys: list[str]) -> pd.Series:
    """For every model, of those that are alike in `keys`, the one whose name changes width and tokenizer least."""
    changes = cards["width"].notna().astype(int) + (cards["tokenizer"] != "")
    ordered = cards.assign(changes=changes).sort_values("changes", kind="stable")
    return ordered.groupby(keys, dropna=False)["model"].transform("first").reindex(cards.index)


def _with_parts(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.fillna({name: "" for name in PARTS if name in frame})


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table of collect_tables, checked for what its name promises.

    `UserError` where there is no file, or one that is empty, cut short, without the columns that are needed
    (`NEEDED`, `EXTRA`, `PARQUET`), or with a text where a number belongs.
    """
    name = path.stem
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            if _cut_short(path):
                raise UserError(f"{path}: its last line has no end, so it is cut short; run collect_tables again.")
            frame = pd.read_csv(path, dtype=_TEXTS, low_memory=False)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path.parent}: no {path.name}; make the tables with collect_tables first.") from None
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: it is empty, without so much as a header; run collect_tables again.") from None
    except (OSError, ValueError):  # among the latter: no CSV, no UTF-8, no Parquet
        raise UserError(f"{path}: not a table; make it with collect_tables again.") from None
    needed = PARQUET[name] if path.suffix == ".parquet" and name in PARQUET else NEEDED.get(name) or EXTRA.get(name, ())
    if missing := [column for column in needed if column not in frame.columns]:
        raise UserError(f"{path}: no column {', '.join(missing)}; run collect_tables again.")
    for column in KEYS.get(name, ()):
        if (open_rows := frame[column].isna()).any():
            row = int(open_rows.to_numpy().argmax()) + 1
            raise UserError(f"{path}: row {row} has no {column}; run collect_tables again.")
    return frame if "setting" in frame.columns else _with_numbers(frame, path)


def _with_numbers(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The frame, once each of its columns in `NUMBERS` holds numbers; `UserError` names the first that does not."""
    for column in (name for name in NUMBERS if name in frame.columns):
        cells = frame[column]
        if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
            continue
        bad = cells.notna() & (pd.to_numeric(cells, errors="coerce").isna() | pd.api.types.is_bool_dtype(cells))
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise UserError(
                f"{path}: row {row + 1} has {str(cells.iloc[row])!r:.40} as {column}, which is a number; run "
                "collect_tables again."
            )
    return frame


def _cut_short(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 1))
        return stream.read(1) not in (b"", b"\n")


def read(directory: Path, study: str = "") -> Tables:
    """Read the tables; a directory without them is a `UserError`."""
    records = read_table(directory / "records.parquet")
    scores, comparisons, across, tasks, models = (
        _with_parts(read_table(directory / f"{name}.csv"))
        for name in ("scores", "comparisons", "across_tasks", "tasks", "models")
    )
    maps, substitutions = (
        read_table(path) if (path := directory / f"{name}.parquet").exists() else pd.DataFrame()
        for name in ("maps", "mutagenesis")
    )
    across = _with_parts(across.reindex(columns=list(dict.fromkeys([*across.columns, *WEIGHED]))))
    return Tables(
        scores, comparisons, across, tasks, add_name_parts(models), records, study,
        maps=maps, substitutions=substitutions, directory=directory,
    )  # fmt: skip
