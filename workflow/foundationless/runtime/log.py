"""The one way in which a job says something: a line on standard error, which its rule keeps as the log."""

import sys


def tell(text: str) -> None:
    """Write one line, at once: a job may be killed at any time."""
    print(text, file=sys.stderr, flush=True)
