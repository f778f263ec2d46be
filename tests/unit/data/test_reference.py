"""Genomes: coordinates, names, slices and what is refused."""

import errno
import gzip
import os
import random
import re
import tempfile
import time

import pysam
import pytest

from foundationless.__main__ import main
from foundationless.data.dna import reverse_complement
from foundationless.data.reference import Genome, Piece, canonical_contig, prepare_genome, read_records
from foundationless.errors import UserError
from support.commands import output_of, refused, words


def random_dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


@pytest.fixture
def sliced(tmp_path):
    """A chromosome of 5,000 bases of which 1001-2000 and 3001-3500 are held, and a whole contig."""
    chromosome, whole = random_dna(5000, 1), random_dna(300, 2)
    fasta = tmp_path / "sliced.fa"
    pieces = {"chr3:1001-2000": chromosome[1000:2000], "chr3:3001-3500": chromosome[3000:3500], "M": whole}
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in pieces.items()))
    known = "N" * 1000 + chromosome[1000:2000] + "N" * 1000 + chromosome[3000:3500] + "N" * 1500
    return Genome(fasta), known, whole


def test_fetch_equals_slicing_of_the_chromosome(sliced):
    genome, known, whole = sliced
    generator = random.Random(3)
    for _ in range(300):
        start = generator.randrange(5000)
        end = generator.randrange(start, 5001)
        assert genome.fetch("3", start, end) == known[start:end]
    assert genome.fetch("chrM", 290, 310) == whole[290:] + "N" * 10
    assert genome.fetch("M", -5, 3) == "NNNNN" + whole[:3]
    assert genome.fetch("chr3", 1500, 1500) == ""


def test_contig_names_are_reconciled(sliced):
    genome, _, _ = sliced
    assert [genome.resolve(name) for name in ("3", "chr3", "MT", "chrM", "M", "chrMT")] == ["chr3", "chr3", *"MMMM"]
    assert canonical_contig("chrX") == canonical_contig("X") != canonical_contig("chr10")
    with pytest.raises(UserError, match=r"no contig 'chr30' there .*chr3, M"):
        genome.resolve("chr30")


def test_pieces_leave_out_contigs_and_regions(sliced):
    genome, known, _ = sliced
    held = [(contig, start, len(text)) for contig, start, text in genome.pieces()]
    assert held == [("chr3", 1000, 1000), ("chr3", 3000, 500), ("M", 0, 300)]
    left = list(genome.pieces(exclude=["MT", "3:1101-1200", "chr3:1901-3100"]))
    spans = [(contig, start, start + len(text)) for contig, start, text in left]
    assert spans == [("chr3", 1000, 1100), ("chr3", 1200, 1900), ("chr3", 3100, 3500)]
    assert all(text == known[start : start + len(text)] for _, start, text in left)


def test_prepare_merges_normalises_and_trims(tmp_path):
    text = random_dna(2000, 4)
    padded = "N" * 1500 + text[:900] + "N" * 5 + text[900:1500] + "N" * 2500 + text[1500:] + "N" * 1001
    with gzip.open(tmp_path / "a.fa.gz", "wt") as stream:
        stream.write(">2 dna\r\n" + padded.lower() + "\r\n>short\nACGURYK\n")
    (tmp_path / "b.txt").write_text(text[:50])
    (tmp_path / "c.fa").write_text(">anything else\n" + reverse_complement(text[:80]) + "\n")
    out = tmp_path / "genome.fa"
    pieces = ["a.fa.gz,prefix=chr", "b.txt,contig=chr7,start=101", "c.fa,contig=chr7,start=201,strand=-"]
    argv = words("prepare_genome", output=out) + [f"--piece=path={tmp_path}/{piece}" for piece in pieces]
    assert main(argv) == 0 and (tmp_path / "genome.fa.fai").exists()
    genome = Genome(out)
    assert genome.contigs == ["chr2", "chrshort", "chr7"]
    assert genome.fetch("chr2", 0, len(padded)) == padded
    assert genome.coverage("2") == [(1500, 3005), (5505, 6005)]
    assert genome.fetch("chrshort", 0, 7) == "ACGTNNN"
    assert genome.fetch("7", 98, 282) == "NN" + text[:50] + "N" * 50 + text[:80] + "NN"


def test_prepared_genome_is_what_samtools_reads(tmp_path, tool):
    (tmp_path / "a.fa").write_text(">x\n" + random_dna(500, 5) + "\n")
    out = tmp_path / "genome.fa"
    prepare_genome([Piece(tmp_path / "a.fa", contig="chr9", start=1001)], out)
    lines = output_of(tool("samtools"), "faidx", out, "chr9:1001-1500").splitlines()
    assert "".join(lines[1:]) == Genome(out).fetch("9", 1000, 1500)


def test_same_pieces_same_bytes(tmp_path):
    (tmp_path / "a.fa").write_text(">1\n" + random_dna(700, 6))
    for name in ("x", "y"):
        prepare_genome([Piece(tmp_path / "a.fa")], tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.parametrize(
    ("content", "spec", "sentence"),
    [
        (b"", "", "empty"),
        (gzip.compress(b">1\n" + b"ACGT" * 5000, mtime=0)[:-20], "", "truncated"),
        (b">1\nACGT\n>1\nACGT\n", "", "twice"),
        (b">1\nACGT\n>1:3-6\nACGT\n", "", "twice"),
        (b">1\n>2\nACGT\n", "", "no sequence"),
        (b">1\nMEEPQSDPSV\n", "", "no nucleotide"),
        (b"ACGT", "", "add contig="),
        (b">1\nA\n>2\nC\n", ",contig=chr1", "several sequences"),
        (b">1:1-9\nACGT\n", "", "slice of 9 bases but holds 4"),
        (b">1\nACGT\n", ",start=x", "not a position"),
        (b">1\nACGT\n", ",strand=2", "neither"),
        (b">1\nACGT\n", ",colour=red", "not understood"),
        (b">1\nNNNN" + b"N" * 1000, "", "nothing but N"),
    ],
)
def test_bad_pieces_end_in_one_sentence(tmp_path, capsys, content, spec, sentence):
    (tmp_path / "bad.fa").write_bytes(content)
    out = tmp_path / "out" / "genome.fa"
    assert sentence in refused(capsys, words("prepare_genome", piece=f"path={tmp_path}/bad.fa{spec}", output=out))
    assert not list(tmp_path.glob("out/*"))


def test_genome_that_is_none(tmp_path):
    with pytest.raises(UserError, match="no such genome"):
        Genome(tmp_path / "absent.fa")
    (tmp_path / "plain.fa.gz").write_bytes(gzip.compress(b">1\nACGT\n"))
    with pytest.raises(UserError, match="gzip instead of bgzip"):
        Genome(tmp_path / "plain.fa.gz")


def test_bgzip_cut_between_blocks_is_truncated(tmp_path):
    plain = tmp_path / "a.fa"
    plain.write_text(">1\n" + "ACGT" * 40_000 + "\n")
    pysam.tabix_compress(str(plain), str(tmp_path / "a.fa.gz"))
    whole = (tmp_path / "a.fa.gz").read_bytes()
    assert prepare_genome([Piece(tmp_path / "a.fa.gz")], tmp_path / "g.fa") == {"1": 160_000}
    (tmp_path / "a.fa.gz").write_bytes(whole[:-28])
    with pytest.raises(UserError, match="truncated"):
        prepare_genome([Piece(tmp_path / "a.fa.gz")], tmp_path / "h.fa")
    assert not list(tmp_path.glob("*h.fa*"))


def test_an_index_of_another_file_is_named(tmp_path):
    (tmp_path / "a.fa").write_text(">1\nACGT\n")
    (tmp_path / "a.fa.fai").write_text("1\t40\t3\t60\t61\n")
    with pytest.raises(UserError, match="shorter than its index"):
        Genome(tmp_path / "a.fa").fetch("1", 0, 40)


def whole_file(path):
    """Contigs of a FASTA by another reader than ours."""
    with pysam.FastxFile(str(path)) as records:
        return {record.name: record.sequence for record in records}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "change",
    {
        "longer header": lambda text: text.replace(">b", ">b of another release"),
        "another order": lambda text: text[text.index(">b") :] + text[: text.index(">b")],
        "longer lines": lambda text: re.sub(r"([ACGT]+)\n([ACGT]+)\n", r"\1\2\n", text),
        "another name": lambda text: text.replace(">b", ">z"),
        "one more": lambda text: text + ">c\nACGT\n",
        "one less": lambda text: text[: text.index(">b")],
        "Windows": lambda text: text.replace("\n", "\r\n"),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_fasta_replaced_beside_its_index_is_indexed_anew_or_refused(tmp_path, capsys, change, packed):
    lines = "\n".join(random_dna(60, seed) for seed in range(12))
    text = f">a first\n{lines}\n>b\n{lines[61:400]}\n"
    path = tmp_path / ("g.fa.gz" if packed else "g.fa")

    def write(content, age):
        (tmp_path / "raw").write_text(content)
        if packed:
            pysam.tabix_compress(str(tmp_path / "raw"), str(path), force=True)
        else:
            path.write_text(content)
        os.utime(path, (time.time() - age, time.time() - age))

    write(text, 1000)
    Genome(path)
    assert "anew" not in capsys.readouterr().err
    write(change[1](text), -1000)  # newer than the index
    genome, known = Genome(path), whole_file(path)
    assert "is made anew" in capsys.readouterr().err
    assert {name: genome.fetch(name, 0, genome.end(name)) for name in genome.contigs} == known
    for index in tmp_path.glob("*i"):
        os.utime(index, (time.time() + 2000, time.time() + 2000))
    assert Genome(path).contigs == list(known)
    write(text, 1000)  # older than the index, as `cp -p` and `tar` make it
    with pytest.raises(UserError, match=r"its index says|index of its blocks"):
        Genome(path)


def test_an_index_of_samtools_fits(tmp_path, tool):
    lines = [random_dna(60, seed) for seed in range(30)]
    (tmp_path / "g.fa").write_text(
        ">a x\n" + "\n".join(lines) + "\n>empty\n>b\n" + "\n".join(lines[:7]) + "\n" + lines[8][:11]
    )
    output_of(tool("samtools"), "faidx", tmp_path / "g.fa")
    os.utime(tmp_path / "g.fa")
    before = (tmp_path / "g.fa.fai").stat().st_mtime_ns
    assert Genome(tmp_path / "g.fa").end("b") == 431
    assert (tmp_path / "g.fa.fai").stat().st_mtime_ns == before  # only looked at


def test_an_index_that_cannot_be_written_is_why(tmp_path, monkeypatch):
    path = tmp_path / "g.fa"
    path.write_text(">1\nACGT\n")

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(
        UserError, match=r"g\.fa: its index cannot be written to .*g\.fa\.fai \(Read-only file system\)"
    ):
        Genome(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        "\ufeff>a\nACGT\n\ufeff>b\nAC\n".encode(),
        ">a Müller’s strain\nACGT\n>b\nAC\n".encode(),
        ">a M\xfcller\r\nACGT\r\n>b\r\nAC\r\n".encode("latin-1"),
        ">a\nACGT\n>b\nAC\n".encode("utf-16"),
        b">a\rACGT\r>b\rAC\r",
    ],
)
def test_headers_are_free_text(tmp_path, content, packed):
    (tmp_path / "a.fa").write_bytes(gzip.compress(content) if packed else content)
    assert [(header[:1], text) for header, text in read_records(tmp_path / "a.fa")] == [("a", "ACGT"), ("b", "AC")]
    assert prepare_genome([Piece(tmp_path / "a.fa")], tmp_path / "g.fa") == {"a": 4, "b": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b">1\nAC\x00GT\n", "not a text file; a FASTA"),
        (b"PK\x03\x04rest", "compressed by ZIP; unpack it"),
        (b"BZh91AY", "compressed by bzip2; unpack it"),
        (">1\nACé\n".encode(), "'é' at position 3, which is no nucleotide"),
    ],
)
def test_what_is_no_fasta_is_one_sentence(tmp_path, content, words):
    (tmp_path / "a.fa").write_bytes(content)
    with pytest.raises(UserError, match=words):
        list(read_records(tmp_path / "a.fa"))
    with pytest.raises(UserError, match="is a directory; a FASTA is needed"):
        list(read_records(tmp_path))
