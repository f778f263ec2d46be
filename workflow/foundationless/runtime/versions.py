"""Versions of the package, its commit and the libraries in use, as records and weight cards carry them."""

import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

from foundationless import __version__


@cache
def versions() -> dict[str, str]:
    """Versions of the package, its commit (if it runs from a checkout), Python and the libraries already imported."""
    found = {"foundationless": __version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "sklearn", "xgboost", "numpy"):
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__)
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
        found["commit"] = answer.stdout.strip() or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        found["commit"] = "unknown"
    return found
