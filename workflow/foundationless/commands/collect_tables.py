"""Join the tables of all analyses and cut out the tables of the paper, by its numbers.

The output directory holds every table as CSV and Parquet, those for a publication as LaTeX too (`all.tex` prints them
all); results/README.md says what is in each. Without data a table has a header and no rows; without --reported there is
no table of the paper, without --reported-effects none of the second one.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import count, output_directory, seed

RECIPE = 9  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--scores", required=True, nargs="+", type=Path, help="score tables of summarise_analysis")
    add("--comparisons", required=True, nargs="+", type=Path, help="its comparison tables")
    add("--diagnostics", nargs="*", default=[], type=Path, help="its other tables, each by the name of its file")
    add("--records", required=True, nargs="+", type=Path, help="records: JSON, or summarise_analysis's Parquet tables")
    add("--notes", nargs="*", default=[], type=Path, help="its notes: what is missing or could not be computed")
    add("--pretraining", nargs="*", default=[], type=Path, help="JSON records of pretraining")
    add("--weights", nargs="*", default=[], type=Path, help="weights.json of all arms: no two may be the same weights")
    add("--maps", nargs="*", default=[], type=Path, help="embedding maps of cluster_embeddings")
    add("--mutagenesis", nargs="*", default=[], type=Path, help="predictions of score_mutagenesis")
    add("--structure", nargs="*", default=[], type=Path, help="predictions of probe_structure")
    add("--explanations", nargs="*", default=[], type=Path, help="predictions of explain")
    add("--importances", type=Path, help="directory of ANALYSIS/TASK/MODEL/baseline/seedN/importances.parquet")
    add("--audits", nargs="*", default=[], type=Path, help="JSON summaries of audit_task")
    add("--corpora", nargs="*", default=[], type=Path, help="of audit_corpus")
    add(
        "--looks", nargs="*", default=[], type=Path, help="JSON of the looks that ended the study; none: a fixed design"
    )
    add("--benchmarks", type=Path, help="directory of Snakemake's benchmarks (RULE/…/NAME.tsv), which need not exist")
    add("--overlap", nargs="?", type=Path, help="table of audit_overlap: which tasks share sequences")
    add("--reported", type=Path, help="TSV of the numbers that the paper reports")
    add(
        "--reported-effects", nargs="?", type=Path, help="TSV of the numbers of the second paper, on gene perturbations"
    )
    add("--reported-rows", nargs="*", default=[], type=Path, help="its rows: doubles.tsv, unseen.tsv, borrowed.tsv")
    add("--selection", choices=["validation", "test"], default="validation", help="chosen by validation, or by test")
    add("--tasks", required=True, type=Path, help="ordered TSV or CSV: task, suite, suite_label, group, label")
    add("--own-tasks", default="[]", help="JSON of further rows of that table: a study's own tasks")
    add("--models", required=True, help="models as JSON or its file: name -> {label, tokenizer_class, order, kind}")
    add("--resamples", type=count, default=2000, help="bootstrap resamples of what is summed up here alone")
    add("--seed", type=seed, default=1, help="seed of these resamples")
    add("--output", required=True, type=output_directory, help="directory to write; an older one is replaced")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.reporting.tables.collect import collect
    from foundationless.reporting.tables.inputs import read_inputs

    collect(arguments.output, read_inputs(arguments))
