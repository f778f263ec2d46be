"""Write the machine-readable verdict: each model against its random self and the best baseline, with its evidence.

The keys of the file are described in study/schemas/verdict.schema.yaml of the package, against which it is checked.
"""

import argparse
from pathlib import Path

from foundationless.commands._flags import output_file

RECIPE = 6  # raise it when a result would change


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--tables", required=True, type=Path, help="directory that collect_tables wrote")
    add("--study", required=True, help="name of the study")
    add("--title", default="", help="its title")
    add(
        "--truth",
        default="[]",
        help="JSON of what is known to be planted: a list of model, versus, analysis, word, why",
    )
    add(
        "--own",
        nargs="*",
        default=[],
        type=Path,
        help="JSON of recommend_model: which arm to use for a set of one's own",
    )
    add("--output", required=True, type=output_file, help="JSON to write")


def run(arguments: argparse.Namespace) -> None:
    import json

    from foundationless.errors import UserError
    from foundationless.reporting.tables import verdict
    from foundationless.study.config import check_schema, read_schema

    try:
        truths = json.loads(arguments.truth)
    except json.JSONDecodeError as error:
        raise UserError(f"--truth: not valid JSON ({error}).") from None
    check_schema(truths, read_schema("config")["properties"]["truth"], "--truth")
    answer = verdict.build(arguments.tables, arguments.study, arguments.title, truths, arguments.own)
    verdict.write(arguments.output, answer)
