"""What tables are made of: read from the files that the command's flags name, checked, and put in order once."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from foundationless.errors import UserError
from foundationless.evaluation import diagnostics, table_files
from foundationless.evaluation.across_tasks import cluster_tasks, task_kinds
from foundationless.evaluation.explanations.tables import READ as EXPLAINED
from foundationless.evaluation.task_results import IDENTITY, KEYS
from foundationless.evaluation.trends.tokenizer_gate import tokenizer_gate
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.looks import designs
from foundationless.runtime.cards import read_card
from foundationless.runtime.files import read_json
from foundationless.study.own.rows import read_text
from foundationless.study.vocabulary import MARGINS, SELF

_TEXTS = (*KEYS, "metric", "selection", "versus")  # columns of text, whatever an empty table says

TSNE = ("tsne_x", "tsne_y")  # columns of a map that results of before lack

Cards = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Inputs:
    """What all analyses and audits of a study tell.

    `scores` and `comparisons` hold both selections, of which `selection` is the study's; `records` are flat tables of
    all records; `models` maps names to cards with label, order, tokenizer_class and kind (`baseline` or another);
    `diagnostics` are those of all analyses by name; `reported` is the file of the numbers that the paper prints,
    `reported_effects` and `reported_rows` those of the second paper;
    `substitutions` are the maps of mutagenesis, `facts` the predictions of structural probes, `explanations` those of
    that analysis, `cards` those of weights. The others are what the flags of `collect_tables` say.
    """

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    records: pd.DataFrame
    tasks: pd.DataFrame
    models: Cards
    selection: str = "validation"
    diagnostics: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: pd.DataFrame = field(default_factory=pd.DataFrame)
    reported: Path | None = None
    reported_effects: Path | None = None
    reported_rows: Sequence[Path] = ()
    overlap: pd.DataFrame | None = None
    audits: Sequence[Mapping[str, Any]] = ()
    corpora: Sequence[Mapping[str, Any]] = ()
    maps: Sequence[pd.DataFrame] = ()
    substitutions: Sequence[pd.DataFrame] = ()
    facts: Sequence[pd.DataFrame] = ()
    explanations: Sequence[pd.DataFrame] = ()
    cards: Sequence[Mapping[str, Any]] = ()
    pretraining: Sequence[Mapping[str, Any]] = ()
    looks: Sequence[Mapping[str, Any]] = ()
    resamples: int = 2000
    seed: int = 1
    benchmarks: Path | None = None
    importances: Path | None = None

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Model -> its place in lists."""
        return {name: card.get("order", len(self.models)) for name, card in self.models.items()}

    @cached_property
    def labels(self) -> dict[str, str]:
        """Model -> its name in lists."""
        return {name: str(card.get("label", name)) for name, card in self.models.items()}

    @cached_property
    def families(self) -> dict[str, str]:
        """Task -> its family."""
        return {str(task): str(family) for task, family in task_kinds(self.tasks)["family"].items()}

    @cached_property
    def margins(self) -> dict[str, float]:
        """Metric -> equivalence margin: those of the comparisons, and each metric's own where none was made."""
        known = self.comparisons.reindex(columns=["metric", "margin"]).dropna()
        return MARGINS | {str(name): float(value) for name, value in known.drop_duplicates("metric").to_numpy()}

    @cached_property
    def model_table(self) -> pd.DataFrame:
        """One row per card, in order."""
        names = sorted(self.models, key=self.ranks.__getitem__)
        cards = pd.DataFrame([{"model": name, **dict(self.models[name])} for name in names])
        return cards.reindex(columns=list(dict.fromkeys(["model", *cards])))

    @cached_property
    def clusters(self) -> dict[str, str]:
        """Task -> its group of tasks that share sequences."""
        return cluster_tasks(self.overlap)

    def gate(self, selection: str) -> pd.DataFrame:
        """The table `tokenizer_gate` of runs that a selection chose; p values of looks are those of the verdict."""
        pairs, runs, gains = (
            frame[frame["selection"] == selection]
            for frame in (self.comparisons, self.diagnostics["runs"], self.diagnostics["gains"])
        )
        return tokenizer_gate(pairs, runs, gains, self.tasks, self.models, self.clusters, designs(self.looks))

    def sort(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows by analysis, task, model and init, tasks and models in the order of their tables."""
        tasks = {task: place for place, task in enumerate(self.tasks["task"])}
        places = {"task": tasks, "model": self.ranks}
        by = [column for column in KEYS if column in frame]

        def place(values: "pd.Series[Any]") -> "pd.Series[Any]":
            known = places.get(str(values.name))
            return values if known is None else values.map(known).fillna(len(tasks) + 1)

        return frame.sort_values(by, kind="stable", key=place).reset_index(drop=True)

    def arranged(self) -> "Inputs":
        """The same with every table sorted, its columns first and the parts of its names last."""

        def whole(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
            return self.sort(table_files.add_name_parts(with_columns(frame, columns)))

        return replace(
            self,
            scores=whole(self.scores, columns_of("scores")),
            comparisons=whole(self.comparisons, columns_of("comparisons")),
            records=self.sort(table_files.add_name_parts(self.records)),
            diagnostics={
                name: whole(self.diagnostics.get(name, pd.DataFrame()), columns)
                for name, columns in diagnostics.COLUMNS.items()
            },
        )


def with_columns(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """`frame` with at least `columns`, these first: a study without paired analyses has none of some."""
    known = frame.reindex(columns=list(dict.fromkeys([*columns, *frame.columns])))
    return known.astype({name: object for name in _TEXTS if name in known})


def read_inputs(given: argparse.Namespace) -> Inputs:
    """Read every file that the flags of `collect_tables` name; what is wrong with one is a `UserError`."""
    check_distinct(given.weights)

    def joined(name: str, paths: Sequence[Path]) -> pd.DataFrame:
        return table_files.join_tables([table_files.read_table(path, name) for path in paths], columns_of(name))

    if odd := [path for path in given.diagnostics if path.stem not in diagnostics.COLUMNS]:
        raise UserError(f"{odd[0]}: no diagnostic of that name; use {', '.join(diagnostics.COLUMNS)}.")
    by_name = {name: [path for path in given.diagnostics if path.stem == name] for name in diagnostics.COLUMNS}
    records = [table_files.read_flat(path) for path in given.records + given.pretraining]
    return Inputs(
        scores=joined("scores", given.scores),
        comparisons=joined("comparisons", given.comparisons),
        records=table_files.join_tables(records, IDENTITY),
        tasks=read_tasks(given.tasks, given.own_tasks),
        models=read_models(given.models),
        selection=given.selection,
        resamples=given.resamples,
        seed=given.seed,
        diagnostics={name: joined(name, paths) for name, paths in by_name.items()},
        notes=joined("notes", given.notes),
        reported=given.reported,
        reported_effects=given.reported_effects,
        reported_rows=given.reported_rows,
        overlap=given.overlap and table_files.read_table(given.overlap),
        audits=[read_json(path) for path in given.audits],
        looks=[read_json(path) for path in given.looks],
        corpora=[{**read_json(path), "corpus": path.stem.removeprefix("corpus_")} for path in given.corpora],
        maps=[read_map(path) for path in given.maps],
        substitutions=[read_substitutions(path) for path in given.mutagenesis],
        facts=[
            table_files.read_parquet(path, (*KEYS[1:], "seed", "id", "group"), "predictions of facts", "make it again")
            for path in given.structure
        ],
        explanations=[
            table_files.read_parquet(path, EXPLAINED, "an explanation", "make it again", only=True)
            for path in given.explanations
        ],
        cards=[read_card(path) for path in given.weights],
        pretraining=[read_json(path) for path in given.pretraining],
        benchmarks=given.benchmarks,
        importances=given.importances,
    )


def read_tasks(path: Path, own: str = "[]") -> pd.DataFrame:
    """The task table: at least task, suite, suite_label, group and label, each task once."""
    tasks = table_files.read_table(path)
    if further := read_text(own, "--own-tasks"):
        own_rows = pd.DataFrame(further).reindex(columns=tasks.columns)
        tasks = pd.concat([tasks, own_rows.where(own_rows != "", None)], ignore_index=True)
    table_files.check_columns(path, tasks, columns_of("tasks"), "see --help for its columns")
    if len(tasks["task"]) > tasks["task"].nunique():
        raise UserError(f"{path}: a task stands there twice; leave one out.")
    return tasks


def read_models(given: str) -> dict[str, dict[str, Any]]:
    """Cards of models by name, from JSON or from a file of it."""
    try:
        models: Any = json.loads(given) if given.lstrip().startswith("{") else read_json(Path(given))
    except json.JSONDecodeError as error:
        raise UserError(f"--models: not valid JSON ({error}).") from None
    cards = models.values() if isinstance(models, dict) else []
    if not cards or not all(isinstance(card, dict) and isinstance(card.get("order", 0), int) for card in cards):
        raise UserError("--models: not a mapping of model names to their cards; see --help.")
    return dict(models)


def read_map(path: Path) -> pd.DataFrame:
    """Maps of one job (`cluster_embeddings`); those of before have no places by t-SNE."""
    needed = [name for name in columns_of("maps") if name not in TSNE]
    frame = table_files.read_parquet(path, needed, "an embedding map", "make it again")
    return frame.reindex(columns=columns_of("maps"))


def read_substitutions(path: Path) -> pd.DataFrame:
    """First window of the saturation maps of one job (`score_mutagenesis`): the one that the figure shows."""
    frame = table_files.read_parquet(path, (*columns_of("mutagenesis"), "llr"), "a mutagenesis map", "make it again")
    return pd.DataFrame(frame[frame["window"] == frame["window"].iloc[0]])


def check_distinct(cards: Iterable[Path]) -> None:
    """`UserError` if two weight directories of a model hold the same bytes: a comparison of weights with themselves.

    Copies do on purpose, and so do arms `self` of tasks with the same sequences, which no table compares.
    """
    seen: dict[tuple[str, str], tuple[Path, str]] = {}
    for path in cards:
        card = read_card(path)
        if card.get("init") == "copy":
            continue  # the same on purpose
        rows = str(card["source"]["corpus"]["sha256"]) if card.get("init") == SELF else ""
        other, same_rows = seen.setdefault((card["model"], card["sha256"]), (path, rows))
        if other != path and not (rows and rows == same_rows):
            raise UserError(
                f"{path.parent} and {other.parent} hold the same weights, so the arms would be compared with "
                "themselves; find out which of them is not what its name says, and make it again."
            )
