"""Print the verdict on a study, and fail unless it is what it must be.

Exit codes: 0; 1 if --fail-unless is given and the verdict of a model is none of its words; 2 if there is no such file,
model or family.
"""

import argparse
from pathlib import Path

from foundationless.study.vocabulary import VERDICTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--verdict", type=Path, default=Path("results", "verdict.json"), help="what write_verdict wrote")
    add("--model", nargs="+", default=[], metavar="NAME", help="these models (default: all that were compared)")
    add("--versus", choices=["random", "baseline"], default="random", help="its random self, or the best baseline")
    add("--family", metavar="NAME", help="over tasks of this family alone, e.g. 'splice sites'")
    add("--fail-unless", nargs="+", choices=VERDICTS, default=[], metavar="WORD", help=f"of {', '.join(VERDICTS)}")


def run(arguments: argparse.Namespace) -> None:
    import sys

    from foundationless.reporting.tables import verdict
    from foundationless.runtime.log import tell

    written = verdict.read(arguments.verdict)
    chosen = verdict.select(written, arguments.model, arguments.versus, arguments.family)
    print(verdict.describe(written, chosen))
    if arguments.fail_unless and (
        names := verdict.unmet(chosen, arguments.fail_unless) or ([] if chosen else ["none"])
    ):
        tell(f"Not {' or '.join(arguments.fail_unless)}: {', '.join(names)}.")
        sys.stdout.flush()
        raise SystemExit(1)
