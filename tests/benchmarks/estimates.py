"""How far off is the estimate? Every job that a study ran, as its ledger tells, against what `plan` said before.

    python tests/benchmarks/estimates.py --configfile config/config.yaml --ledger results/tables/cost.csv --device cpu

Nothing is calibrated. The goal: the total within a factor of 1.5, each rule within 3.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from setting import ROOT, call, plain_parser, table

from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.price.devices import DEVICES
from foundationless.study.price.estimate import Calibration, read_ledger
from foundationless.study.price.workload import Workload, read_sizes

TOTAL, RULE = 1.5, 3.0  # factors, up or down


def missed(rows: pd.DataFrame, total: float = TOTAL, rule: float = RULE) -> list[str]:
    """Rules, and `total`, whose ratio of measured to estimated hours is further from 1 than its goal."""
    limits = rows["rule"].map(lambda name: total if name == "total" else rule)
    far = rows["ratio"].map(lambda ratio: max(ratio, 1 / ratio)) > limits
    return list(rows.loc[far, "rule"])


def compare(config: Path, ledger: Path, sizes: Path, device: str) -> Calibration:
    """The ledger of a study beside the estimate of the same jobs."""
    workload = Workload(read_study(read_yaml(config)), read_sizes(sizes), DEVICES[device])
    return Calibration.read(read_ledger(ledger), workload)


def smoke(directory: Path) -> Path:
    """A ledger of two jobs of the demo."""
    path = directory / "cost.csv"
    path.write_text(
        "rule,analysis,task,model,init,gpus,seconds\n"
        "embed,embeddings,sim_biotype,ntv2.demo,random,0,0.4\n"
        "fit_baseline,biotype,sim_biotype,gc,baseline,0,0.2\n"
    )
    return path


def main(argv: Sequence[str] | None = None) -> None:
    parser = plain_parser(__doc__, "two jobs")
    add = parser.add_argument
    add("--configfile", type=Path, default=ROOT / "config/config.yaml", help="the study that ran (default: the demo)")
    add("--ledger", type=Path, default=ROOT / "results/tables/cost.csv", help="its cost.csv (default: in results)")
    add("--sizes", type=Path, default=ROOT / "resources/lists/task_sizes.tsv", help="TSV of sizes of tasks")
    add("--device", choices=sorted(DEVICES), default="cpu", help="what it ran on (default cpu)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory:
        ledger = smoke(Path(directory)) if arguments.smoke else arguments.ledger
        made = compare(arguments.configfile, ledger, arguments.sizes, arguments.device)
    rows = [
        (
            row["rule"],
            f"{row['jobs']:,}",
            *(f"{row[name] * 3600:,.1f}" for name in ("measured_hours", "estimated_hours")),
            *(f"{row[name]:.2f}" for name in ("ratio", "p10", "p90")),
        )
        for row in made.table.to_dict("records")
    ]
    print(f"{date.today()}, numpy {np.__version__}; `python {os.path.relpath(sys.argv[0], ROOT)}`")
    print(f"\nAssumed: {DEVICES[arguments.device].describe()}.\n")
    print(table(["rule", "jobs", "measured (s)", "estimated (s)", "ratio", "p10", "p90"], rows))
    if made.skipped or made.elsewhere:
        print(f"\nLeft out: {made.skipped} jobs that are not the study's, {made.elsewhere} on another kind of device.")
    far = missed(made.table)
    said = f"missed by {', '.join(far)}" if far else "reached"
    print(f"\nGoal (total within a factor of {TOTAL:g}, each rule within {RULE:g}): {said}.")


if __name__ == "__main__":
    call(main)
