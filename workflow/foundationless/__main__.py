"""`python -m foundationless COMMAND`: one module of `foundationless.commands` per command."""

import argparse
import ast
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

from foundationless import __version__, commands
from foundationless.errors import UserError


def summaries() -> dict[str, str]:
    """First docstring line of every command, read without importing it: `--help` stays instant."""
    found = {}
    for module in pkgutil.iter_modules(commands.__path__):
        source = (Path(commands.__path__[0]) / f"{module.name}.py").read_text()
        docstring = ast.get_docstring(ast.parse(source)) or ""
        found[module.name] = docstring.splitlines()[0] if docstring else ""
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 with one sentence on stderr for a user's mistake."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = summaries()
    width = max(map(len, known), default=0)
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, text in known.items())
    parser = argparse.ArgumentParser(
        prog="foundationless",
        description="Genomic foundation models on trial against themselves at random initialisation.",
        epilog=f"commands:\n{listing}\n\n`foundationless COMMAND --help` explains one command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("command", choices=list(known), metavar="COMMAND", help="one of the commands below")
    name = parser.parse_args(arguments[:1]).command
    module = importlib.import_module(f"foundationless.commands.{name}")
    command_parser = argparse.ArgumentParser(
        prog=f"foundationless {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(command_parser)
    try:
        module.run(command_parser.parse_args(arguments[1:]))
    except UserError as error:
        print(f"foundationless {name}: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
