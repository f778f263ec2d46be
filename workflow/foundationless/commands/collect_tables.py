"""Join the tables of all tasks and cut out the tables of the study, by its numbers.

The output directory holds records.parquet and records.csv (one row per recorded number), scores.csv and comparisons.csv
(under the study's protocol), protocols.csv (both protocols and their difference), leakage.csv, calibration.csv,
selections.csv (what was tried and chosen), crossvalidation.csv, audits.csv and corpora.csv (test rows that other splits
or a pretraining corpus hold), maps.parquet, mutagenesis.parquet, defects.csv (the study's defects as numbers),
claims.csv (its claims), cost.csv and cost_by_model.csv (what jobs took), tasks.csv, models.csv, across_tasks.csv (mean
paired difference of a model, interval, wins, Wilcoxon p, verdict) and the tables of the study, table_01_models.csv to
table_18_finetune.csv, with its own numbers beside ours. Without data they have a header and no rows.
"""

import argparse
from pathlib import Path

from foundationless.flags import output_directory, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--scores", required=True, nargs="+", type=Path, help="score tables of summarise_task")
    add("--comparisons", required=True, nargs="+", type=Path, help="its comparison tables")
    add("--effects", nargs="*", default=[], type=Path, help="its tables of effects")
    add("--records", required=True, nargs="+", type=Path, help="records: JSON, or summarise_task's Parquet tables")
    add("--pretraining", nargs="*", default=[], type=Path, help="JSON records of pretraining")
    add("--weights", nargs="*", default=[], type=Path, help="weights.json of all arms: no two may be the same weights")
    add("--maps", nargs="*", default=[], type=Path, help="embedding maps of cluster_embeddings")
    add("--mutagenesis", nargs="*", default=[], type=Path, help="predictions of score_mutagenesis")
    add("--audits", nargs="*", default=[], type=Path, help="JSON summaries of audit_task")
    add("--corpora", nargs="*", default=[], type=Path, help="JSON summaries of audit_corpus")
    add("--benchmarks", type=Path, help="directory of Snakemake's benchmarks (RULE/…/NAME.tsv), which need not exist")
    add("--overlap", nargs="?", type=Path, help="table of audit_overlap: which tasks share sequences")
    add("--reported", type=Path, help="TSV of the numbers that the study reports")
    add("--protocol", choices=["corrected", "paper"], default="corrected", help="runs chosen by validation, or by test")
    add("--tasks", required=True, type=Path, help="ordered TSV or CSV: task, suite, suite_label, group, label")
    add("--models", required=True, help="models as JSON or its file: name -> {label, tokenizer_class, order, kind}")
    add("--margin", type=positive, default=0.02, help="equivalence margin of the mean, in units of the metric")
    add("--output", required=True, type=output_directory, help="directory to write; an older one is replaced")


def run(arguments: argparse.Namespace) -> None:
    from foundationless import paper_tables, summaries, tables
    from foundationless.files import read_json

    join, given = tables.join_tables, arguments
    tables.check_distinct(given.weights)
    tables.collect(
        given.output,
        scores=join([tables.read_table(path, "value") for path in given.scores], summaries.SCORES),
        comparisons=join([tables.read_table(path, "delta") for path in given.comparisons], summaries.COMPARISONS),
        effects=join([tables.read_effects(path) for path in given.effects], [*summaries.KEYS, "effect"]),
        records=join(
            [tables.read_flat(path) for path in [*given.records, *given.pretraining]], [*summaries.IDENTITY, "value"]
        ),
        tasks=tables.read_tasks(given.tasks),
        models=tables.read_models(given.models),
        margin=given.margin,
        protocol=given.protocol,
        reported=given.reported and paper_tables.read_reported(given.reported),
        overlap=given.overlap and tables.read_table(given.overlap),
        audits=[read_json(path) for path in given.audits],
        corpora=[{**read_json(path), "corpus": path.stem.removeprefix("corpus_")} for path in given.corpora],
        maps=[tables.read_map(path) for path in given.maps],
        substitutions=[tables.read_substitutions(path) for path in given.mutagenesis],
        cards=[read_json(path) for path in given.weights],
        benchmarks=given.benchmarks,
    )
