"""Join the tables of all tasks and cut out the tables of the study, by its numbers.

The output directory holds records.parquet and records.csv (one row per recorded number), scores.csv, comparisons.csv,
tasks.csv, models.csv, across_tasks.csv (per suite and model: mean paired difference, interval, wins, Wilcoxon p,
verdict), table_01_models.csv, table_02_biotype.csv, table_04_likelihood.csv, table_05_similarity.csv,
table_08_lora.csv, table_14_ancestry.csv and table_18_finetune.csv. Without data they have a header and no rows.
"""

import argparse
from pathlib import Path

from foundationless.flags import output_directory, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--scores", required=True, nargs="+", type=Path, help="score tables of summarise_task")
    add("--comparisons", required=True, nargs="+", type=Path, help="its comparison tables")
    add("--records", required=True, nargs="+", type=Path, help="records: JSON, or summarise_task's Parquet tables")
    add("--pretraining", nargs="*", default=[], type=Path, help="JSON records of pretraining")
    add("--weights", nargs="*", default=[], type=Path, help="weights.json of all arms: no two may be the same weights")
    add("--tasks", required=True, type=Path, help="ordered TSV or CSV: task, suite, suite_label, group, label")
    add("--models", required=True, help="models as JSON or its file: name -> {label, tokenizer_class, order, kind}")
    add("--margin", type=positive, default=0.02, help="equivalence margin of the mean, in units of the metric")
    add("--output", required=True, type=output_directory, help="directory to write; an older one is replaced")


def run(arguments: argparse.Namespace) -> None:
    import json

    import pandas as pd

    from foundationless import tables
    from foundationless.errors import UserError
    from foundationless.files import read_json

    tables.check_distinct(arguments.weights)
    tasks = tables.read_table(arguments.tasks)
    if missing := {"task", "suite", "suite_label", "group", "label"} - set(tasks.columns):
        raise UserError(f"{arguments.tasks}: no column {', '.join(sorted(missing))}; see --help for its columns.")
    if len(tasks["task"]) > tasks["task"].nunique():
        raise UserError(f"{arguments.tasks}: a task stands there twice; leave one out.")
    try:
        inline = arguments.models.lstrip().startswith("{")
        models = json.loads(arguments.models) if inline else read_json(Path(arguments.models))
    except json.JSONDecodeError as error:
        raise UserError(f"--models: not valid JSON ({error}).") from None
    cards = models.values() if isinstance(models, dict) else []
    if not cards or not all(isinstance(card, dict) and isinstance(card.get("order", 0), int) for card in cards):
        raise UserError("--models: not a mapping of model names to their cards; see --help.")

    def join(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
        found = [frame for frame in frames if len(frame)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)

    records = [tables.read_flat(path) for path in [*arguments.records, *arguments.pretraining]]
    tables.collect(
        arguments.output,
        scores=join([tables.read_table(path, "value") for path in arguments.scores], tables.SCORES),
        comparisons=join([tables.read_table(path, "delta") for path in arguments.comparisons], tables.COMPARISONS),
        records=join(records, [*tables.IDENTITY, "value"]),
        tasks=tasks,
        models=models,
        margin=arguments.margin,
    )
