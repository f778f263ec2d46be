"""Score all arms of one task with intervals, and compare them pairwise.

Records and predictions are parallel lists: predictions carry no identity, the record at the same place does. An arm
that is missing leaves its rows out and one line on stderr; nothing is filled in.

scores.csv: one row per model and arm (value = mean over seeds and folds; low, high = 95 % bootstrap interval over the
groups of the test set and over seeds; sd over seeds). comparisons.csv: one row per paired difference (versus: random =
the model's own random arm, baseline = the best baseline, best_random = the best random arm of any model).
"""

import argparse
from pathlib import Path

from foundationless.flags import count, output_file, positive, seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--analysis", required=True, help="analysis that the records belong to, e.g. finetune")
    parser.add_argument("--task", required=True, help="task that the records belong to")
    parser.add_argument("--metric", required=True, help="main metric, e.g. mcc, macro_f1, auroc, cosine")
    parser.add_argument("--records", required=True, nargs="+", type=Path, help="JSON records of all jobs of the task")
    parser.add_argument("--predictions", nargs="*", default=[], type=Path, help="their predictions, in the same order")
    parser.add_argument("--baselines", nargs="*", default=[], help="models that count as baselines in any arm")
    parser.add_argument("--resamples", type=count, default=2000, help="bootstrap resamples")
    parser.add_argument("--margin", type=positive, default=0.02, help="equivalence margin, in units of the metric")
    parser.add_argument("--seed", type=seed, required=True, help="seed of the resamples")
    parser.add_argument("--protocol", choices=["corrected", "paper"], default="corrected",
                        help="runs chosen by validation (corrected) or by their test score (paper)")  # fmt: skip
    parser.add_argument("--scores", required=True, type=output_file, help="CSV to write")
    parser.add_argument("--comparisons", required=True, type=output_file, help="CSV to write")
    parser.add_argument("--flat", type=output_file, help="Parquet table of all records to write")


def run(arguments: argparse.Namespace) -> None:
    import sys

    import pandas as pd

    from foundationless import tables
    from foundationless.errors import UserError
    from foundationless.records import flatten, read_record

    records = [read_record(path) for path in arguments.records]
    for path, record in zip(arguments.records, records, strict=True):
        if (record["analysis"], record["task"]) != (arguments.analysis, arguments.task):
            raise UserError(f"{path}: a record of {record['analysis']}/{record['task']}, not of "
                            f"{arguments.analysis}/{arguments.task}; pass records of one task.")  # fmt: skip
    if arguments.analysis in tables.UNPAIRED:
        scores, comparisons = tables.average_records(records), pd.DataFrame(columns=tables.COMPARISONS)
        notes: list[str] = []
    else:
        if len(arguments.predictions) != len(records):
            raise UserError(f"{len(records)} records but {len(arguments.predictions)} predictions files; "
                            "pass one predictions file per record, in the same order.")  # fmt: skip
        frames = [tables.read_predictions(path) for path in arguments.predictions]
        scores, comparisons, notes = tables.summarise(
            records, frames, metric=arguments.metric, protocol=arguments.protocol, resamples=arguments.resamples,
            margin=arguments.margin, seed=arguments.seed, baselines=arguments.baselines,
        )  # fmt: skip
    for note in notes:
        print(f"{arguments.analysis}/{arguments.task}: {note}.", file=sys.stderr)
    if arguments.flat:
        tables.write_flat(arguments.flat, flatten(records))
    tables.write_table(arguments.scores, scores)
    tables.write_table(arguments.comparisons, comparisons)
