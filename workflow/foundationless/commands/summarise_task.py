"""Score all arms of one task with intervals under both protocols, and compare them pairwise.

Records and predictions are parallel lists: the record at the same place says whose predictions they are. An arm that is
missing leaves its rows out and one line on stderr. Every table holds rows of both protocols: corrected (runs chosen by
validation) and paper (by their test score, as the study did).
scores.csv: one row per model and arm (value = mean over seeds and folds; low, high = 95 % bootstrap interval over the
groups of the test set and over seeds; sd over seeds). comparisons.csv: one row per paired difference (versus: random =
the model's own random arm, baseline = the best baseline, best_random = the best random arm, reading = the same weights
not as the study read them). effects.csv: what choosing by test score adds (optimism), what near duplicates of training
rows add (leakage), reliability curves (calibration), what was chosen (selection).
"""

import argparse
from pathlib import Path

from foundationless.flags import count, output_file, positive, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--analysis", required=True, help="analysis that the records belong to, e.g. finetune")
    add("--task", required=True, help="task that the records belong to")
    add("--metric", required=True, help="main metric, e.g. mcc, macro_f1, auroc, cosine")
    add("--records", required=True, nargs="+", type=Path, help="JSON records of all jobs of the task")
    add("--predictions", nargs="*", default=[], type=Path, help="their predictions, in the same order")
    add("--baselines", nargs="*", default=[], help="models that count as baselines in any arm")
    add("--audit", type=Path, help="rows of audit_task: also score without near duplicates of training rows")
    add("--resamples", type=count, default=2000, help="bootstrap resamples")
    add("--margin", type=positive, default=0.02, help="equivalence margin, in units of the metric")
    add("--seed", type=seed, required=True, help="seed of the resamples")
    add("--scores", required=True, type=output_file, help="CSV to write")
    add("--comparisons", required=True, type=output_file, help="CSV to write")
    add("--effects", required=True, type=output_file, help="CSV to write")
    add("--flat", type=output_file, help="Parquet table of all records to write")


def run(arguments: argparse.Namespace) -> None:
    import sys

    from foundationless import summaries, tables
    from foundationless.errors import UserError
    from foundationless.records import check_once, flatten, read_record

    records = check_once([read_record(path) for path in arguments.records])
    where = f"{arguments.analysis}/{arguments.task}"
    for path, record in zip(arguments.records, records, strict=True):
        if (found := f"{record['analysis']}/{record['task']}") != where:
            raise UserError(f"{path}: a record of {found}, not of {where}; pass records of one task.")
    if arguments.analysis in summaries.UNPAIRED:
        summary = summaries.summarise_unpaired(records)
    else:
        if len(arguments.predictions) != len(records):
            raise UserError(f"{len(records)} records but {len(arguments.predictions)} predictions files; "
                            "pass one predictions file per record, in the same order.")  # fmt: skip
        summary = summaries.summarise(
            records, [summaries.read_predictions(path) for path in arguments.predictions], metric=arguments.metric,
            resamples=arguments.resamples, margin=arguments.margin, seed=arguments.seed,
            baselines=arguments.baselines, audit=arguments.audit and summaries.read_audit(arguments.audit),
        )  # fmt: skip
    for note in summary.notes:
        print(f"{where}: {note}.", file=sys.stderr)
    if arguments.flat:
        tables.write_flat(arguments.flat, flatten(records))
    tables.write_table(arguments.effects, summary.effects)
    tables.write_table(arguments.scores, summary.scores)
    tables.write_table(arguments.comparisons, summary.comparisons)
