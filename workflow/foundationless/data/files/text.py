"""Text as others save it: plain or gzip, with or without a byte order mark, with any letters in its comments."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from foundationless.errors import UserError

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
GZIP = b"\x1f\x8b"
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_PACKED = {b"PK\x03\x04": "ZIP", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "Zstandard"}


def lacks_bgzf_end(path: Path) -> bool:
    """Whether a file is bgzip without its end marker: cut off, perhaps between blocks, where gzip sees nothing."""
    with path.open("rb") as stream:
        head = stream.read(14)
        if head[:2] != GZIP or head[12:14] != b"BC":
            return False
        stream.seek(max(path.stat().st_size - len(BGZF_END), 0))
        return stream.read() != BGZF_END


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip and bgzip do, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(2) == GZIP


@contextmanager
def open_text(path: Path, wanted: str, errors: str = "backslashreplace") -> Iterator[IO[str]]:
    """Open a text file, plain or compressed by gzip; `wanted` ("a FASTA") is named where it is none (`UserError`).

    Text is UTF-8, or UTF-16 with a byte order mark; a mark is no part of it. Bytes that are no UTF-8 read as `\\xe9`,
    or with other `errors` (those of `open`) raise a UnicodeDecodeError. The errors of a damaged compressed file that
    show themselves while it is read are caught too.
    """
    try:
        with path.open("rb") as plain:
            head = plain.peek(8)
            if packed := next((name for magic, name in _PACKED.items() if head.startswith(magic)), ""):
                raise UserError(f"{path}: is compressed by {packed}; unpack it, or compress it by gzip instead.")
            if lacks_bgzf_end(path):
                raise EOFError
            unzipped = cast(io.RawIOBase, gzip.GzipFile(fileobj=plain))
            stream = io.BufferedReader(unzipped) if head.startswith(GZIP) else plain
            start = stream.peek(4)
            encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
            with io.TextIOWrapper(stream, encoding=encoding, errors=errors) as text:
                yield text
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a directory; {wanted} is needed.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{path}: the compressed file is truncated or damaged; download it again.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from None


def read_lines(path: Path, wanted: str) -> Iterator[str]:
    """Yield the lines of a text file with their ends, as `open_text` reads it; a binary file is a `UserError`.

    Files that were put together of several have the mark of each at a line's beginning: it is left out.
    """
    with open_text(path, wanted) as stream:
        for line in stream:
            if "\0" in line:
                raise UserError(f"{path}: not a text file; {wanted}, plain or compressed by gzip, is needed.")
            yield line.removeprefix("\ufeff")
