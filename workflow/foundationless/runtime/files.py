"""Outputs appear whole or not at all: write beside, then rename.

A full disk, a quota or a disk that became read-only shows itself as an `OSError` with that number, whatever the library
that wrote raised. What a killed process left behind is removed by the next one that writes the same target.
"""

import csv
import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from foundationless.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # what a disk may say to any write
ABANDONED = 24 * 3600  # seconds without a write after which a temporary file of another machine is nobody's
_PROBE = 1 << 20  # bytes; a disk that takes so many was not full


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the directory of `path`, with its suffixes, and rename it to `path` on success.

    On any exception the temporary file is removed and `path` is left as it was. Raises `OSError` that names `path` when
    the disk took no more, whatever was raised inside.
    """
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{target}: is a directory; name a file to write.")
    part = _make(target, directory=False)
    try:
        with _disk_errors(target, part):
            yield part
            part.chmod(0o666 & ~_umask())
            _settle(part)
            os.replace(part, target)
    finally:
        for left in part.parent.glob(f"{glob.escape(part.name)}*"):  # an index beside it, too
            left.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | os.PathLike[str], owned: Collection[str]) -> Iterator[Path]:
    """Yield a temporary directory beside `path` and rename it to `path` on success; an older `path` is replaced.

    `owned` are patterns of the names that such a directory holds: one that holds anything else is somebody's, and never
    replaced (`UserError`). Raises `OSError` as `atomic_path` does.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise UserError(f"{target}: is a file; name a directory to write.")
    entries = sorted(target.iterdir()) if target.exists() else []
    if foreign := [entry.name for entry in entries if not any(map(entry.match, owned))]:
        raise UserError(f"{target}: holds other files ({foreign[0]}); name a new or an empty directory.")
    with temporary_directory(target) as part:
        yield part
        part.chmod(0o777 & ~_umask())
        for entry in part.rglob("*"):
            if entry.is_file():
                _settle(entry)
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)


@contextmanager
def temporary_directory(target: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `target`, for what leads to it; raises `OSError` as `atomic_path` does."""
    part = _make(target, directory=True)
    try:
        with _disk_errors(target, part / ".probe"):
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _make(target: Path, directory: bool) -> Path:
    """A new temporary file or directory beside `target`, after those that killed processes left were removed."""
    suffix = "" if directory else "".join(target.suffixes[-2:])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        # whose it is, and who writes it
        prefix = f".part-{target.name[:100]}-{_machine()}-{os.getpid()}-"
        if directory:
            return Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None  # nobody knows the temporary name
    os.close(handle)
    return Path(name)


def _settle(part: Path) -> None:
    """Make the disk take what was written: quotas and network file systems may refuse only then."""
    handle = os.open(part, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors(target: Path, part: Path) -> Iterator[None]:
    """Inside, whatever a library raises because the disk takes no more becomes an `OSError` that names `target`.

    Libraries raise RuntimeError (torch), their own classes (safetensors, Arrow) or an OSError without a number; whether
    the disk is why, a write to `part` tells.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number not in FULL:
            number = _refusal(error, part)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(target)) from error


def _refusal(error: Exception, part: Path) -> int | None:
    """The number of the disk's refusal if there is one behind an exception, by its words or by another write."""
    for number in FULL:
        if os.strerror(number) in str(error):
            return number
    try:
        with open(part, "ab", buffering=0) as stream:
            if stream.write(bytes(_PROBE)) < _PROBE:
                return errno.ENOSPC
            os.fsync(stream.fileno())
    except OSError as refused:
        return refused.errno if refused.errno in FULL else None
    return None


@cache
def _machine() -> str:
    """What tells apart machines, and containers that see other processes: a process id means something in one only."""
    words = [platform.node()]
    with suppress(OSError):  # not Linux
        words += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return hashlib.blake2b(" ".join(words).encode(), digest_size=4).hexdigest()


def _sweep(target: Path) -> None:
    """Remove what killed processes left of `target`: those of this machine, and of others after a day's silence."""
    pattern = rf"\.part-{re.escape(target.name[:100])}-([0-9a-f]{{8}})-(\d+)-\w{{8}}(\..*)?"
    for entry in os.scandir(target.parent):
        if entry.name.startswith(".part-") and (found := re.fullmatch(pattern, entry.name)):
            with suppress(OSError):  # another process removed it, or will
                silent = time.time() - entry.stat().st_mtime
                if silent <= ABANDONED and (found[1] != _machine() or _lives(int(found[2]))):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry)
                else:
                    os.unlink(entry)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


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


def read_table(path: str | os.PathLike[str], required: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a tab-separated table of ours with a header; a missing file, column or cell is a `UserError`.

    Lines that begin with # are comments, and no value of the first column of `required` may stand twice.
    """
    try:
        with open(path, newline="") as stream:
            rows = list(csv.DictReader((line for line in stream if not line.startswith("#")), delimiter="\t"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as a tab-separated text table ({error}).") from None
    for column in required:
        if rows and column not in rows[0]:
            raise UserError(f"{path}: column '{column}' is missing.")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            width = len(rows[0].keys() - {None})
            raise UserError(f"{path}: row {number} does not have the {width} tab-separated cells of the header.")
    times = Counter(row[required[0]] for row in rows)
    if repeated := [name for name in times if times[name] > 1]:
        raise UserError(f"{path}: '{repeated[0]}' stands twice in column '{required[0]}'.")
    return rows


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
