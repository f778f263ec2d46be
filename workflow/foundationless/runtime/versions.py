"""Versions of the package, its commit and the libraries below results, as records and weight cards carry them."""

import importlib.metadata
import platform
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

from foundationless import __version__

# By the name of the import, the distributions that may hold it.
_LIBRARIES = {
    "torch": ("torch",),
    "transformers": ("transformers",),
    "sklearn": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "numpy": ("numpy",),
}


@cache
def versions() -> dict[str, str]:
    """Versions of the package, its commit (if it runs from a checkout), Python and the libraries of this environment.

    Those that are installed, in use or not: what happens to be imported is not a job's to choose (`runtime.worker`).
    """
    known = {"foundationless": __version__, "python": platform.python_version()}
    for name, distributions in _LIBRARIES.items():
        for distribution in distributions:
            with suppress(importlib.metadata.PackageNotFoundError):
                known[name] = importlib.metadata.version(distribution)
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
        known["commit"] = answer.stdout.strip() or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        known["commit"] = "unknown"
    return known
