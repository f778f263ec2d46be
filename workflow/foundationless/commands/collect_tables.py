"""Join the tables of all analyses and cut out the tables of the study, by its numbers.

The output directory holds every table as CSV and Parquet, those for a paper as LaTeX too (`all.tex` prints them all);
results/README.md says what is in each. Without data a table has a header and no rows.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_directory, positive


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
    add("--protocol", choices=["corrected", "paper"], default="corrected", help="runs chosen by validation, or by test")
    add("--tasks", required=True, type=Path, help="ordered TSV or CSV: task, suite, suite_label, group, label")
    add("--models", required=True, help="models as JSON or its file: name -> {label, tokenizer_class, order, kind}")
    add("--margin", type=positive, default=0.02, help="equivalence margin of the mean, in units of the metric")
    add("--output", required=True, type=output_directory, help="directory to write; an older one is replaced")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.evaluation import task_results as bench, task_summary as summaries
    from foundationless.reporting.tables import collect as tables
    from foundationless.runtime.files import read_json
    from foundationless.reporting.paper.published import read_reported

    join, given = tables.join_tables, arguments
    tables.check_distinct(given.weights)
    tables.collect(
        given.output,
        scores=join([tables.read_table(path, "value") for path in given.scores], summaries.SCORES),
        comparisons=join([tables.read_table(path, "delta") for path in given.comparisons], summaries.COMPARISONS),
        effects=join([tables.read_effects(path) for path in given.effects], [*bench.KEYS, "effect"]),
        records=join([tables.read_flat(path) for path in given.records + given.pretraining], bench.IDENTITY),
        tasks=tables.read_tasks(given.tasks),
        models=tables.read_models(given.models),
        margin=given.margin,
        protocol=given.protocol,
        reported=given.reported and read_reported(given.reported),
        overlap=given.overlap and tables.read_table(given.overlap),
        audits=[read_json(path) for path in given.audits],
        corpora=[{**read_json(path), "corpus": path.stem.removeprefix("corpus_")} for path in given.corpora],
        maps=[tables.read_map(path) for path in given.maps],
        substitutions=[tables.read_substitutions(path) for path in given.mutagenesis],
        cards=[read_json(path) for path in given.weights],
        pretraining=[read_json(path) for path in given.pretraining],
        holes=join([tables.read_holes(path) for path in given.holes], bench.HOLES),
        benchmarks=given.benchmarks,
    )
