"""The one way in which a job says something: a line on standard error, which its rule keeps as the log."""

import sys
from typing import Any


def tell(text: str) -> None:
    """Write one line, at once, for a job may be killed at any time; a progress bar is not torn by it."""
    if tqdm := getattr(sys.modules.get("tqdm"), "tqdm", None):
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()
    else:
        print(text, file=sys.stderr, flush=True)


def progress(total: int, description: str, unit: str, scale: bool = False) -> Any:
    """A bar of tqdm on standard error; in a log file it moves every ten seconds at most."""
    from tqdm import tqdm

    quiet = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=description, unit=unit, unit_scale=scale, mininterval=quiet, file=sys.stderr)


def agreed(question: str) -> bool:
    """Whether somebody at a terminal says yes; without a terminal nobody is asked, and it is."""
    if not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # standard output is for what a command answers
    return sys.stdin.readline().strip().lower() in ("y", "yes")
