"""Outputs appear whole or not at all: write beside, then rename."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foundationless.errors import UserError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the directory of `path`, with its suffixes, and rename it to `path` on success.

    On any exception the temporary file is removed and `path` is left as it was.
    """
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{target}: is a directory; name a file to write.")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix="".join(target.suffixes[-2:]), dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | os.PathLike[str], owned: Collection[str]) -> Iterator[Path]:
    """Yield a temporary directory beside `path` and rename it to `path` on success; an older `path` is replaced.

    `owned` are patterns of the names that such a directory holds: one that holds anything else is somebody's, and never
    replaced (`UserError`).
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise UserError(f"{target}: is a file; name a directory to write.")
    entries = sorted(target.iterdir()) if target.exists() else []
    if foreign := [entry.name for entry in entries if not any(map(entry.match, owned))]:
        raise UserError(f"{target}: holds other files ({foreign[0]}); name a new or an empty directory.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".part-{target.name}-", dir=target.parent))
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON with a final newline; NaN and infinity are refused (ValueError)."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; a missing or broken one is a `UserError` that names it."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (IsADirectoryError, NotADirectoryError):
        raise UserError(f"{path}: not a file; give the path of a JSON file.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and run again.") from None


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
