"""The state of a training that was interrupted: whose it is (`fingerprint`), kept whole and read back."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from foundationless.runtime.files import atomic_path
from foundationless.runtime.log import tell


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 over whatever decides a result; two equal fingerprints may share a kept run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_state(path: Path, state: Mapping[str, Any]) -> bool:
    """Write tensors and plain values atomically, for `load_state`.

    A disk that does not take them costs the checkpoint, not the job: False then, with a log line; an older one stays.
    """
    try:
        with atomic_path(path) as part:
            torch.save(dict(state), part)
    except OSError as error:
        tell(f"{path}: no checkpoint could be kept ({error.strerror or error}); free space, the job goes on")
        return False
    return True


def load_state(path: Path, expected: str) -> dict[str, Any] | None:
    """The state in `path` if its fingerprint is `expected`; otherwise None, with a log line if a file is there."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may raise nearly anything; starting anew is always right
        tell(f"{path.name}: unreadable checkpoint ({type(error).__name__}), starting anew")
        return None
    if state.get("fingerprint") != expected:
        tell(f"{path.name}: checkpoint of other settings, starting anew")
        return None
    return state
