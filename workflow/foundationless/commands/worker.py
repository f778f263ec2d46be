"""Wait on a socket for jobs of this machine, and fork for each with its libraries already imported.

Snakemake's main process starts one where jobs run beside it, and ends it; FOUNDATIONLESS_WORKER=off does without.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--socket", required=True, type=Path, help="socket to make, alone in a private directory, which goes with it")
    add("--commands", nargs="*", default=[], help="commands whose imports are held ready (default: none)")


def run(arguments: argparse.Namespace) -> None:
    from foundationless.runtime.worker import Worker, modules_for

    Worker(arguments.socket, modules_for(arguments.commands)).serve()
