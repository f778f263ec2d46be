"""`python -m foundationless COMMAND`: one module of `foundationless.commands` per command."""

import os

if __name__ == "__main__" and os.environ.get("FOUNDATIONLESS_WORKER", "off") != "off":
    from foundationless.runtime.client import ask

    ask()  # before anything else is imported: a local worker may have it all already

import argparse
import ast
import atexit
import errno
import functools
import gc
import importlib
import io
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from foundationless import __version__, commands
from foundationless.errors import UserError
from foundationless.runtime.files import FULL
from foundationless.runtime.signals import orderly_exit
from foundationless.runtime.worker import Forked, leave_at_once

# What a path, its permissions or a full disk can do to any command; every other OSError is a bug and shows itself.
_USER_ERRNO = {
    getattr(errno, name)
    for name in (
        "EACCES",
        "EPERM",
        "EROFS",
        "ENOENT",
        "EEXIST",
        "EISDIR",
        "ENOTDIR",
        "ENOSPC",
        "EDQUOT",
        "EFBIG",
        "ENAMETOOLONG",
    )
}


class _Log(io.FileIO):
    """Standard error that drops what its disk does not take: a full log neither ends a job nor hides how it ended."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in FULL:
                raise
            return len(data)


class _Parser(argparse.ArgumentParser):
    """Says a mistake in the flags in one line, as every other mistake is said."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see `{self.prog} --help`.\n")


@functools.cache
def summaries() -> dict[str, str]:
    """First docstring line of every command, read without importing it: `--help` stays instant."""
    found = {}
    for module in pkgutil.iter_modules(commands.__path__):
        if module.name.startswith("_"):
            continue  # what commands share
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
    parser = _Parser(
        prog="foundationless",
        description="Genomic foundation models on trial against themselves at random initialisation.",
        epilog=f"commands:\n{listing}\n\n`foundationless COMMAND --help` explains one command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("command", choices=list(known), metavar="COMMAND", help="one of the commands below")
    name = parser.parse_args(arguments[:1]).command
    module = importlib.import_module(f"foundationless.commands.{name}")
    command_parser = _Parser(
        prog=f"foundationless {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(command_parser)
    try:
        with orderly_exit():
            module.run(command_parser.parse_args(arguments[1:]))
            sys.stdout.flush()
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        _forget_stdout()
        return 0
    except UserError as error:
        message = " ".join(str(error).split())  # libraries whose reason is quoted break lines
    except (MemoryError, RuntimeError) as error:
        # torch's allocator raises RuntimeError; any other is a bug and shows itself.
        if not (isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)):
            raise
        message = "not enough memory for a model or a batch of this size; lower the one or the other."
    except OSError as error:
        if error.errno not in _USER_ERRNO:
            raise
        place = error.filename2 or error.filename
        if error.errno in FULL and place is None:
            _forget_stdout()  # what it still holds would fail once more at the end
        message = f"{place or 'an output'}: {error.strerror}; check the path, its permissions and the free space."
    else:
        return 0
    print(f"foundationless {name}: error: {message}", file=sys.stderr)
    return 2


def _forget_stdout() -> None:
    """Send what standard output still holds to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _guard_stderr() -> None:
    """Standard error that is there, and that no full disk can break."""
    if sys.stderr is None:  # closed by `2>&-`, and not every argparse looks
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    else:
        log = io.BufferedWriter(_Log(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(log, sys.stderr.encoding, "backslashreplace", line_buffering=True)


if __name__ == "__main__":
    _guard_stderr()
    # A short job is mostly imports, and a fifth of their time goes into looking for garbage among modules: look less
    # often (Python's default is every 700 objects), and not once more when all of them end together.
    gc.set_threshold(10_000)
    atexit.register(gc.freeze)
    begin = None
    try:
        status = main()
    except Forked as job:  # this process is a job of the worker that it was
        begin = job.begin
    if begin is not None:
        begin()
        _guard_stderr()
        status = leave_at_once(main)
    sys.exit(status)
