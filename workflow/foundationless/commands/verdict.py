"""Print the verdict on a study for both scopes, and fail unless that of one scope is what it must be.

Scopes: `these` asks about these very tasks (seeds and test items are random), `like-these` about tasks like these
(families of tasks are random too). Exit codes: 0; 1 if --fail-unless is given and the verdict of a model is another
word; 2 if there is no such file, model or family; 3 if it is another word only because there are too few seeds for one
(`one seed`, `two seeds`): more seeds will tell.
"""

import argparse
from pathlib import Path

from foundationless.study.vocabulary import SCOPES, VERDICTS

UNMET, TOO_FEW_SEEDS = 1, 3  # exit codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--verdict", type=Path, default=Path("results", "verdict.json"), help="what write_verdict wrote")
    add("--model", nargs="+", default=[], metavar="NAME", help="these models (default: all that were compared)")
    add("--versus", choices=["random", "baseline"], default="random", help="its random self, or the best baseline")
    add("--family", metavar="NAME", help="over tasks of this family alone, e.g. 'splice sites'")
    add(
        "--scope",
        choices=list(SCOPES),
        default="these",
        help="whose words count: of these tasks, or of tasks like these",
    )
    add("--fail-unless", nargs="+", choices=VERDICTS, default=[], metavar="WORD", help=f"of {', '.join(VERDICTS)}")


def run(arguments: argparse.Namespace) -> None:
    import sys

    from foundationless.reporting.tables import verdict, verdict_words
    from foundationless.runtime.log import tell

    written = verdict.read(arguments.verdict)
    chosen = verdict.select(written, arguments.model, arguments.versus, arguments.family)
    print(verdict_words.describe(written, chosen))
    if not arguments.fail_unless:
        return
    sys.stdout.flush()
    others, short = verdict.unmet(chosen, arguments.fail_unless, arguments.scope)
    place = verdict_words.PLACES[arguments.scope]
    if names := others or ([] if chosen else ["none"]):
        tell(f"Not {' or '.join(arguments.fail_unless)} {place}: {', '.join(names)}.")
    for name, (seeds, more) in short.items():
        tell(
            f"Too few seeds to say {place}: {name} has {seeds} seed{'s' * (seeds > 1)}, a word needs {seeds + more}; "
            f"run {more} more."
        )
    if names or short:
        raise SystemExit(UNMET if names else TOO_FEW_SEEDS)
