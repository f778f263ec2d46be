"""Join the tables of all analyses and cut out the tables of the study, by its numbers.

The output directory holds every table as CSV and Parquet, those for a paper as LaTeX too (`all.tex` prints them all);
results/README.md says what is in each. Without data a table has a header and no rows.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory, positive
from foundationless.evaluation import table_files

RECIPE = 5  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--scores", required=True, nargs="+", type=Path, help="score tables of summarise_analysis")
    add("--comparisons", required=True, nargs="+", type=Path, help="its comparison tables")
    add("--effects", nargs="*", default=[], type=Path, help="its tables of effects")
    add("--records", required=True, nargs="+", type=Path, help="records: JSON, or summarise_analysis's Parquet tables")
    add("--holes", nargs="*", default=[], type=Path, help="its tables of what is missing")
    add("--pretraining", nargs="*", default=[], type=Path, help="JSON records of pretraining")
    add("--weights", nargs="*", default=[], type=Path, help="weights.json of all arms: no two may be the same weights")
    add("--maps", nargs="*", default=[], type=Path, help="embedding maps of cluster_embeddings")
    add("--mutagenesis", nargs="*", default=[], type=Path, help="predictions of score_mutagenesis")
    add("--audits", nargs="*", default=[], type=Path, help="JSON summaries of audit_task")
    add("--corpora", nargs="*", default=[], type=Path, help="of audit_corpus")
    add("--benchmarks", type=Path, help="directory of Snakemake's benchmarks (RULE/…/NAME.tsv), which need not exist")
    add("--overlap", nargs="?", type=Path, help="table of audit_overlap: which tasks share sequences")
    add("--reported", type=Path, help="TSV of the numbers that the study reports")
    add(
        "--selection",
        choices=["validation", "test"],
        default="validation",
        help="runs chosen by validation, or by test",
    )
    add("--tasks", required=True, type=Path, help="ordered TSV or CSV: task, suite, suite_label, group, label")
    add("--models", required=True, help="models as JSON or its file: name -> {label, tokenizer_class, order, kind}")
    add("--margin", type=positive, default=0.02, help="equivalence margin of the mean, in units of the metric")
    add("--output", required=True, type=output_directory, help="directory to write; an older one is replaced")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation import task_results, task_summary
    from foundationless.reporting.paper.published import read_reported
    from foundationless.reporting.tables import collect
    from foundationless.runtime.files import read_json

    join, given = table_files.join_tables, arguments
    collect.check_distinct(given.weights)
    collect.collect(
        given.output,
        scores=join([table_files.read_table(path, "value") for path in given.scores], task_summary.SCORES),
        comparisons=join(
            [table_files.read_table(path, "delta") for path in given.comparisons], task_summary.COMPARISONS
        ),
        effects=join([table_files.read_effects(path) for path in given.effects], [*task_results.KEYS, "effect"]),
        records=join(
            [table_files.read_flat(path) for path in given.records + given.pretraining], task_results.IDENTITY
        ),
        tasks=collect.read_tasks(given.tasks),
        models=collect.read_models(given.models),
        margin=given.margin,
        selection=given.selection,
        reported=given.reported and read_reported(given.reported),
        overlap=given.overlap and table_files.read_table(given.overlap),
        audits=[read_json(path) for path in given.audits],
        corpora=[{**read_json(path), "corpus": path.stem.removeprefix("corpus_")} for path in given.corpora],
        maps=[collect.read_map(path) for path in given.maps],
        substitutions=[collect.read_substitutions(path) for path in given.mutagenesis],
        cards=[read_json(path) for path in given.weights],
        pretraining=[read_json(path) for path in given.pretraining],
        holes=join([table_files.read_holes(path) for path in given.holes], task_results.HOLES),
        benchmarks=given.benchmarks,
    )
