"""Windows of a remote VCF: the index says which blocks hold them, and only those travel (HTTP Range).

htslib would read them too, but open-ended: it cannot be told when a server stays silent, and a redirect to http or a
connection that breaks would pass. So the blocks are fetched here, and htslib reads what was received.
"""

import gzip
import hashlib
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pysam

from foundationless.data.download import (
    Access,
    Dataset,
    Session,
    TransientError,
    check_status,
    fetch,
    refuse_offline,
    retried,
    transport_errors,
)
from foundationless.data.reference import resolve_contig
from foundationless.errors import UserError
from foundationless.runtime.files import atomic_path, read_json, temporary_directory, write_json
from foundationless.runtime.log import tell

_BLOCK_BYTES = 1 << 16  # most bytes of a BGZF block
_LINEAR_SHIFT = 14  # the linear index has an entry each 16 kb
_LOWEST_BIN, _LAST_BIN = 4681, 37448  # bins of 16 kb; what follows them is statistics

_LONGEST = 1 << 29  # bases of a contig that bins can number

ReadBytes = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Tabix:
    """A tabix index (.tbi): per contig its bins of chunks of virtual offsets, and its linear index.

    A virtual offset is the place of a block in the file, shifted left by 16, plus the place in the unpacked block.
    """

    bins: dict[str, dict[int, list[tuple[int, int]]]]
    linear: dict[str, tuple[int, ...]]

    @classmethod
    def parse(cls, packed: bytes, where: str) -> "Tabix":
        """Read a .tbi as the specification lays it out (samtools.github.io/hts-specs/tabix.pdf)."""
        try:
            data = gzip.decompress(packed)
            if data[:4] != b"TBI\1":
                raise ValueError("no TBI at its start")
            (count,), (names_length,) = (struct.unpack_from("<i", data, at) for at in (4, 32))
            names = data[36 : 36 + names_length].split(b"\0")[:count]
            at = 36 + names_length
            bins: dict[str, dict[int, list[tuple[int, int]]]] = {}
            linear: dict[str, tuple[int, ...]] = {}
            for name in names:
                (number,) = struct.unpack_from("<i", data, at)
                at += 4
                held = bins.setdefault(name.decode(), {})
                for _ in range(number):
                    key, chunks = struct.unpack_from("<Ii", data, at)
                    offsets = struct.unpack_from(f"<{2 * chunks}Q", data, at + 8)
                    held[key] = list(zip(offsets[::2], offsets[1::2], strict=True))
                    at += 8 + 16 * chunks
                (number,) = struct.unpack_from("<i", data, at)
                linear[name.decode()] = struct.unpack_from(f"<{number}Q", data, at + 4)
                at += 4 + 8 * number
        except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
            raise UserError(f"{where}: not a tabix index ({error}); a .tbi is needed.") from None
        return cls(bins, linear)

    def first(self) -> int:
        """Virtual offset of the first record of the file: what stands before it is the header."""
        chunks = [chunk for held in self.bins.values() for key in held if key <= _LAST_BIN for chunk in held[key]]
        return min((chunk[0] for chunk in chunks), default=0)

    def span(self, contig: str, start: int, end: int) -> tuple[int, int] | None:
        """Virtual offsets between which all records that overlap [start, end) (0-based) stand; None: there are none."""
        linear = self.linear[contig]
        slot = start >> _LINEAR_SHIFT
        earliest = linear[slot] if slot < len(linear) else 0
        wanted = {0}
        for level in range(1, 6):
            shift, first = 29 - 3 * level, ((1 << 3 * level) - 1) // 7
            wanted |= set(range(first + (start >> shift), first + (end - 1 >> shift) + 1))
        chunks = [c for key in wanted & self.bins[contig].keys() for c in self.bins[contig][key] if c[1] > earliest]
        if not chunks:
            return None
        # A bin of a higher level reaches far beyond the window; the first record of a lowest bin behind it is the end.
        behind = _LOWEST_BIN + (end - 1 >> _LINEAR_SHIFT)
        later = [c[0] for key, held in self.bins[contig].items() if behind < key <= _LAST_BIN for c in held]
        return max(earliest, min(c[0] for c in chunks)), min([max(c[1] for c in chunks), *later])


def fetch_region(dataset: Dataset, contig: str, start: int, end: int, output: Path, access: Access) -> None:
    """Put the records of a VCF that overlap `contig`:`start`-`end` (1-based, inclusive) at `output` (.vcf.gz, .tbi).

    Beside it `OUTPUT.json`: url, region, bytes that travelled, records, and the sha256 of the text of the window. An
    output that agrees with it is left as it is, and a later fetch of the same window must give the same text.
    """
    if not dataset.index:
        raise UserError(f"{dataset.name}: the ledger names no index of it; regions need one (column index).")
    if not 1 <= start <= end <= _LONGEST:
        raise UserError(
            f"--start {start} --end {end}: positions are 1-based, the end is not before the start, and a tabix index "
            f"reaches to {_LONGEST:,}."
        )
    if not output.name.endswith(".vcf.gz"):
        raise UserError(f"{output}: the output is compressed by bgzip; name it ….vcf.gz.")
    card, index = output.with_name(f"{output.name}.json"), output.with_name(f"{output.name}.tbi")
    asked = {"url": dataset.url, "region": f"{contig}:{start}-{end}"}
    known = read_json(card) if card.is_file() else {}
    known = known if {key: known.get(key) for key in asked} == asked else {}
    if known and output.is_file() and index.is_file() and _text_digest(output) == known["sha256"]:
        return
    with temporary_directory(output) as directory:
        tbi, raw = directory / "index.tbi", directory / "raw.vcf"
        fetch(_index_of(dataset), tbi, access, record=False)
        tabix = Tabix.parse(tbi.read_bytes(), dataset.index)
        text, travelled = _read_window(dataset, tabix, (contig, start, end), access)
        raw.write_bytes(text)
        packed = Path(pysam.tabix_index(str(raw), preset="vcf", force=True))
        records = _write(packed, output, resolve_contig(contig, tabix.bins, dataset.url), start, end)
    digest = _text_digest(output)
    problem = "" if records else f"holds no records at {asked['region']}; correct the window."
    if records and known and digest != known["sha256"]:
        problem = f"the window {asked['region']} is no longer what {card} recorded at the first fetch (sha256 {digest} "
        problem += f"instead of {known['sha256']}); delete the record to trust the new one."
    if problem:
        output.unlink()
        index.unlink()
        raise UserError(f"{dataset.url}: {problem}")
    write_json(card, asked | {"bytes": travelled, "records": records, "sha256": digest})
    tell(
        f"{dataset.name}, {asked['region']}: {records:,} records, {travelled:,} bytes beside the index; "
        f"sha256 of the text {digest} recorded in {card}"
    )


def _read_window(dataset: Dataset, tabix: Tabix, region: tuple[str, int, int], access: Access) -> tuple[bytes, int]:
    """What `_window` gives, from the mirror where it holds the file, else from the server."""
    local = access.place(dataset.url)
    if isinstance(local, Path) and local.is_file():
        return _window(tabix, _from_file(local), *region, str(local))
    refuse_offline(dataset, access)
    with Session() as session:
        return _window(tabix, _from_server(session, dataset, access), *region, dataset.url)


def _index_of(dataset: Dataset) -> Dataset:
    whole = replace(dataset, sha256="", md5="", bytes=None, index="")
    return replace(whole, name=f"{dataset.name}, index", file=f"{dataset.file}.tbi", url=dataset.index)


def _window(tabix: Tabix, read: ReadBytes, contig: str, start: int, end: int, where: str) -> tuple[bytes, int]:
    """Header and candidate records (text), and the number of bytes that were read for them."""
    span = tabix.span(resolve_contig(contig, tabix.bins, where), start - 1, end)
    if span is None:
        raise UserError(f"{where}: its index knows no records at {contig}:{start}-{end}; correct the window.")
    pieces, travelled = [], 0
    for begin, stop in ((0, tabix.first()), span):
        low, high = begin >> 16, (stop >> 16) + _BLOCK_BYTES
        packed = read(low, high)
        travelled += len(packed)
        pieces.append(_unpack(packed, begin, stop, where))
    header = b"".join(line for line in pieces[0].splitlines(keepends=True) if line.startswith(b"#"))
    return header + pieces[1], travelled


def _unpack(packed: bytes, begin: int, stop: int, where: str) -> bytes:
    """Text between two virtual offsets, from the blocks that start with the block of `begin`."""
    text, at, low = [], 0, begin >> 16
    while low + at <= stop >> 16:
        if low + at == stop >> 16 and not stop & 0xFFFF:
            break
        head = packed[at : at + 18]
        if len(head) < 18 or head[:4] != b"\x1f\x8b\x08\x04" or head[12:14] != b"BC":
            raise UserError(f"{where}: no block where its index says; file and index are of different versions.")
        length = struct.unpack_from("<H", head, 16)[0] + 1
        try:
            block = zlib.decompress(packed[at : at + length], wbits=31)
        except zlib.error as error:
            raise UserError(f"{where}: a block is damaged ({error}).") from None
        high = stop & 0xFFFF if low + at == stop >> 16 else len(block)
        text.append(block[(begin & 0xFFFF) if not at else 0 : high])
        at += length
    return b"".join(text)


def _from_file(path: Path) -> ReadBytes:
    def read(low: int, high: int) -> bytes:
        with path.open("rb") as stream:
            stream.seek(low)
            return stream.read(high - low)

    return read


def _from_server(session: Session, dataset: Dataset, access: Access) -> ReadBytes:
    def attempt(low: int, high: int) -> bytes:
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={low}-{high - 1}"}
        with (
            transport_errors(dataset.url),
            session.get(dataset.url, headers=headers, stream=True, timeout=access.timeout) as response,
        ):
            check_status(response, dataset.url)
            place = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
            if response.status_code != 206 or place is None or int(place[1]) != low:
                raise UserError(
                    f"{dataset.url}: the server sends no ranges (status {response.status_code}), so a window cannot "
                    "be read; put the file into a mirror (--mirror)."
                )
            body: bytes = response.raw.read(high - low + 1, decode_content=False)
        if len(body) != (expected := min(high, int(place[2]) + 1) - low):
            raise TransientError(f"the server sent only {len(body):,} of {expected:,} bytes of a range")
        return body

    return lambda low, high: retried(dataset.url, access.retries, attempt, low, high)


def _write(source: Path, output: Path, contig: str, start: int, end: int) -> int:
    """Write the records that overlap the window, bgzipped and indexed; returns their number."""
    number = 0
    with atomic_path(output) as part:
        with pysam.TabixFile(str(source)) as lines, pysam.BGZFile(str(part), "wb", None) as stream:
            for line in lines.header:
                stream.write(f"{line}\n".encode())
            for line in lines.fetch(contig, start - 1, end):
                stream.write(f"{line}\n".encode())
                number += 1
        pysam.tabix_index(str(part), preset="vcf", force=True)
        part.with_name(f"{part.name}.tbi").replace(output.with_name(f"{output.name}.tbi"))
    return number


def _text_digest(path: Path) -> str:
    """SHA-256 of the unpacked text (bgzip packs it differently from version to version); of a damaged file, empty."""
    try:
        with gzip.open(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (EOFError, OSError, zlib.error):
        return ""
