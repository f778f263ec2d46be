"""The index of a FASTA (`.fai`, and `.gzi` of a bgzip): made where there is none, and held against its file.

An index says where the lines of every record begin and how long they are. Beside another file it still gives letters,
only wrong ones: so what stands between two records by the index must be the header that it names.
"""

import bisect
import gzip
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pysam
from pysam.utils import SamtoolsError

from foundationless.data.files.text import is_gzip
from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path
from foundationless.runtime.log import tell

_LONGEST_HEADER = 1 << 20  # bytes between two records
_Read = Callable[[int, int], bytes]


class _Entry(NamedTuple):
    """A line of the index: a record of `length` bases from `offset` on, in lines of `bases` in `width` bytes."""

    name: bytes
    length: int
    offset: int
    bases: int
    width: int

    @property
    def end(self) -> int:
        """Offset behind its last base, or behind the line end of a last line that is full."""
        lines, rest = divmod(self.length, self.bases) if self.bases else (0, 0)
        return self.offset + lines * self.width + rest


def ensure_index(path: Path) -> None:
    """Make the index of a FASTA that has none, or one that is older and does not fit; `UserError` where it cannot be.

    An index that is not older than its FASTA and does not fit is left alone and refused.
    """
    index, blocks = (path.with_name(path.name + suffix) for suffix in (".fai", ".gzi"))
    packed = is_gzip(path)
    if index.is_file() and (blocks.is_file() or not packed):
        problem = _misfit(path, index, blocks if packed else None)
        if not problem:
            return
        if index.stat().st_mtime_ns >= path.stat().st_mtime_ns:
            raise UserError(f"{path}: {problem}; delete the .fai and run again.")
        tell(f"{path.name}: {problem}, and is older: it is made anew")
    try:
        with atomic_path(index) as part, atomic_path(blocks) if packed else nullcontext() as gzi:
            pysam.faidx(str(path), "--fai-idx", str(part), *(("--gzi-idx", str(gzi)) if packed else ()))
    except OSError as error:
        raise UserError(
            f"{path}: its index cannot be written to {index} ({error.strerror or error}); copy the FASTA to a folder "
            "that can be written to, or have its owner index it (samtools faidx)."
        ) from None
    except SamtoolsError as error:
        raise UserError(
            f"{path}: not an indexable FASTA (empty, truncated, lines of different lengths, or gzip instead of bgzip: "
            f"{_reason(error)}); make it with prepare_genome."
        ) from None
    if problem := _misfit(path, index, blocks if packed else None):
        raise UserError(f"{path}: {problem}, though it was made just now (a name that stands twice?).")


def _reason(error: Exception) -> str:
    """What samtools says, in one line and without the functions that say it."""
    lines = re.sub(r"\[[^]]*\] ?", "", str(error).replace("\\n", "\n")).split("\n")
    return next((line.strip(" '\".") for line in lines if line.strip(" '\"")), "no reason given")


def _misfit(path: Path, index: Path, blocks: Path | None) -> str:
    """Why an index is not of this file, in words that follow the file's name; empty where it is."""
    try:
        entries = [_entry(line) for line in index.read_bytes().splitlines()]
        return _misplaced(sorted(entries, key=lambda entry: entry.offset), _reader(path, blocks))
    except (ValueError, TypeError, struct.error):
        return "its index is damaged"
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return "the index of its blocks (.gzi) is of another file"


def _entry(line: bytes) -> _Entry:
    name, *numbers = line.split(b"\t")
    entry = _Entry(name, *map(int, numbers))
    if min(entry[1:]) < 0 or (entry.length and not 0 < entry.bases <= entry.width):
        raise ValueError(line)
    return entry


def _misplaced(entries: Iterable[_Entry], read: _Read) -> str:
    at, last = 0, None
    for entry in entries:
        size = entry.offset - at
        gap = read(at, size) if 0 < size <= _LONGEST_HEADER else b""
        # Records without sequence stand in no index.
        if not re.fullmatch(rb"\s*(>[^\n]*\n\s*)*>" + re.escape(entry.name) + rb"([ \t\r\f\v][^\n]*)?\n", gap):
            return f"'{entry.name.decode(errors='replace')}' does not lie where its index says"
        at, last = entry.end, entry
    if last is None:
        return ""
    name = last.name.decode(errors="replace")
    if last.length and not read(last.end - 1 - (last.width - last.bases), 1):
        return f"'{name}' is shorter than its index says"
    return f"there is more behind '{name}' than its index says" if read(at, 4096).strip() else ""


def _reader(path: Path, blocks: Path | None) -> _Read:
    """A function that reads the (unpacked) file: offset and number of bytes to bytes, fewer at its end."""
    places = [(0, 0)]  # of the blocks: unpacked, packed
    if blocks is not None:
        table = blocks.read_bytes()
        (count,) = struct.unpack_from("<Q", table)
        pairs = struct.iter_unpack("<QQ", table[8 : 8 + 16 * count])
        places += [(unpacked, packed) for packed, unpacked in pairs]

    def read(offset: int, size: int) -> bytes:
        with path.open("rb") as stream:
            if blocks is None:
                stream.seek(offset)
                return stream.read(size)
            unpacked, packed = places[bisect.bisect_right(places, (offset, 1 << 62)) - 1]
            stream.seek(packed)
            with gzip.GzipFile(fileobj=stream) as text:
                text.read(offset - unpacked)
                return text.read(size)

    return read
