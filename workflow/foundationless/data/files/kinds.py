"""What a file must begin with to be of the kind that its name says: whatever a server sends, status 200 or not."""

import re
import zlib
from pathlib import Path

_HEAD = 1 << 16  # bytes that are looked at
_GZIP, _ZIP, _HDF5 = b"\x1f\x8b", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_PACKED = (_GZIP, b"BZh", b"\xfd7zXZ\x00")
_MAGIC: dict[str, tuple[bytes, ...]] = {
    **dict.fromkeys(("gz", "bgz", "tbi", "csi", "bam", "tgz"), (_GZIP,)),
    **dict.fromkeys(("zip", "xlsx", "npz", "jar"), (_ZIP,)),
    **dict.fromkeys(("h5", "hdf5", "h5ad", "h5mu", "loom"), (_HDF5,)),
    **dict.fromkeys(("rda", "rdata"), (*_PACKED, b"RDX", b"RDA")),
    "rds": (*_PACKED, b"X\n", b"A\n"),
    "parquet": (b"PAR1",),
    "bcf": (_GZIP, b"BCF"),
    "bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
    "zst": (b"\x28\xb5\x2f\xfd",),
    "2bit": (b"\x1a\x41\x27\x43", b"\x43\x27\x41\x1a"),
}
_NUCLEOTIDES = rb"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+\s*"
_FIRST: dict[str, tuple[str, bytes]] = {
    **dict.fromkeys(("fa", "fasta", "fna", "ffn"), ("FASTA", rb"[>;].*|" + _NUCLEOTIDES)),
    **dict.fromkeys(("gtf", "gff", "gff3"), ("GTF or GFF3", rb"#.*|([^\t]*\t){8}.*")),
    **dict.fromkeys(("bed", "narrowpeak", "broadpeak"), ("BED", rb"(#|track|browser).*|[^\t]+[\t ]+\d+[\t ]+\d+\b.*")),
    **dict.fromkeys(("csv", "tsv"), ("table", rb"[^<{].*[,;\t].*")),
    "json": ("JSON", rb"[\[{].*"),
    "vcf": ("VCF", rb"##fileformat=VCF.*"),
}
_MARKUP = ("html", "htm", "xhtml", "xml", "svg")


def misfit(path: Path, name: str) -> str | None:
    """How the content of a file is not of the kind that `name` says, in words that follow its name; None where it is.

    Of a name that says nothing, only what is surely no data: nothing at all, a web page, a pointer of Git LFS.
    """
    endings = [suffix[1:] for suffix in Path(name.lower()).suffixes]
    kind = endings[-1] if endings else ""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        stream.seek(max(path.stat().st_size - 4, 0))
        tail = stream.read()
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "is a pointer of Git LFS and not the file itself"
    if kind not in _MARKUP and re.match(rb"<(!doctype|html|head|body|\?xml|error)\b|<!--", start[:200], re.IGNORECASE):
        return "is a page of a website (HTML or XML) and not the file itself"
    magic = _MAGIC.get(kind, ())
    if magic and not head.startswith(magic):
        return f"does not begin as a file named .{kind} does"
    if kind == "parquet" and tail != b"PAR1":
        return "does not end as a Parquet file does"
    if kind in ("gz", "bgz") and len(endings) > 1:
        kind = endings[-2]
    return _misfit_of_text(head, kind)


def _misfit_of_text(head: bytes, kind: str) -> str | None:
    if kind not in _FIRST:
        return None
    what, pattern = _FIRST[kind]
    if head.startswith(_GZIP):  # readers look at this, too, and not at the name
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
        except zlib.error:
            return "is damaged (no gzip inside)"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode()
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0].partition(b"\r")[0]
    if re.fullmatch(pattern, line, re.DOTALL):
        return None
    return f"is no {what} (its first line is {line[:40].decode(errors='replace')!r})"
