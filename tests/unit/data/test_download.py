"""Fetching against a local server that misbehaves on purpose, and against mirrors."""

import gzip
import hashlib
import re
import shlex
import shutil
import subprocess
import time

import pytest

from foundationless.__main__ import main
from foundationless.data import download
from foundationless.errors import UserError
from support import ROOT
from support.commands import error_in, refused, words

MIRRORED = 53  # files of the ledger that the mirror has
LEDGER = ROOT / "config" / "datasets.tsv"
CONTENT = bytes(range(256)) * 4_000  # several socket buffers, so that truncation and stalls happen midway


ROW = {"name": "thing", "file": "thing.bin", "url": "https://example.org/data/thing.bin"}
ROW |= {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": str(len(CONTENT))}
ROW |= {"licence": "CC0", "description": "a thing", "md5": "", "checksums": ""}


@pytest.fixture
def server(server):
    server.content = lambda path: CONTENT
    return server


@pytest.fixture
def fetch(server, tmp_path, capsys, write_ledger):
    """Run the command against the server with a script of behaviours: (exit code, output path, stderr)."""

    def run(*script, flags=(), **changes):
        server.script[:] = script or ["ok"]
        ledger = write_ledger(ROW | {"url": f"{server.url}/data/thing.bin"} | changes)
        output = tmp_path / "out" / "thing.bin"
        argv = words("fetch", ledger=ledger, name="thing", output=output)
        code = main([*argv, *flags, *(() if "--retries" in flags else ("--retries", "2"))])
        return code, output, capsys.readouterr().err

    return run


def test_plain_download_leaves_only_the_file(fetch):
    code, output, stderr = fetch("ok")
    assert code == 0 and output.read_bytes() == CONTENT
    assert [path.name for path in output.parent.iterdir()] == ["thing.bin"]
    assert "thing.bin" in stderr and "100%" in stderr  # the progress bar


def test_present_file_is_not_fetched_again_and_a_corrupt_one_is(fetch, server):
    _, output, _ = fetch("ok")
    assert fetch("500")[0] == 0 and len(server.ranges) == 1
    output.write_bytes(CONTENT[::-1])
    assert fetch("ok")[0] == 0 and output.read_bytes() == CONTENT and len(server.ranges) == 2


@pytest.mark.parametrize("status", ["500", "503", "408"])
def test_transient_status_is_retried(fetch, server, status):
    code, output, _ = fetch(status, status, "ok")
    assert code == 0 and output.read_bytes() == CONTENT and len(server.ranges) == 3


@pytest.mark.parametrize("status", ["404", "403", "410"])
def test_permanent_status_is_not_retried(fetch, server, status):
    code, output, stderr = fetch(status, "ok")
    assert code == 2 and not output.exists() and len(server.ranges) == 1
    assert status in error_in(stderr)


def test_truncation_is_resumed_by_range(fetch, server):
    code, output, _ = fetch("truncate", "truncate", "ok")
    assert code == 0 and output.read_bytes() == CONTENT
    starts = [int(re.sub(r"\D", "", text)) for text in server.ranges[1:]]
    assert server.ranges[0] is None and 0 < starts[0] < starts[1] < len(CONTENT)


def test_stall_times_out_and_is_resumed(fetch, server):
    begun = time.monotonic()
    code, output, _ = fetch("stall", "ok", flags=("--timeout", "0.3"))
    assert code == 0 and output.read_bytes() == CONTENT and server.ranges[1].startswith("bytes=")
    assert time.monotonic() - begun < 5


def test_endless_stall_ends_in_one_sentence(fetch):
    code, output, stderr = fetch("stall", flags=("--timeout", "0.2", "--retries", "1"))
    assert code == 2 and not output.exists() and "timed out" in error_in(stderr)


def test_a_later_call_resumes_the_part(fetch, server):
    code, output, stderr = fetch("truncate", "404")
    part = output.with_name("thing.bin.part")
    assert code == 2 and part.exists() and not output.exists()
    error_in(stderr)
    held = part.stat().st_size
    assert fetch("ok")[0] == 0 and output.read_bytes() == CONTENT and not part.exists()
    assert server.ranges[-1] == f"bytes={held}-"


@pytest.mark.parametrize(("behaviour", "requests"), [("no_range", 2), ("other_range", 3), ("416", 3)])
def test_server_without_proper_ranges_restarts(fetch, server, behaviour, requests):
    code, output, _ = fetch("truncate", behaviour, "ok")
    assert code == 0 and output.read_bytes() == CONTENT and len(server.ranges) == requests
    assert server.ranges[1].startswith("bytes=") and server.ranges[2:] in ([], [None])


def test_server_may_ask_for_a_longer_pause(fetch, monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_CEILING_SECONDS", 0.5)  # below the 7 seconds that the server asks for
    begun = time.monotonic()
    assert fetch("429", "ok")[0] == 0 and 0.5 <= time.monotonic() - begun < 5


@pytest.mark.parametrize("behaviour", ["wrong_byte", "longer", "shorter"])
def test_wrong_content_never_appears(fetch, server, behaviour):
    code, output, stderr = fetch(behaviour)
    assert code == 2 and not output.exists()
    expected = {"wrong_byte": "sha256", "longer": "bytes", "shorter": "bytes"}[behaviour]
    assert expected in error_in(stderr) and len(server.ranges) == 3
    if behaviour != "shorter":
        assert not list(output.parent.iterdir())


def test_wrong_byte_once_is_mended_by_a_fresh_download(fetch, server):
    code, output, _ = fetch("wrong_byte", "ok")
    assert code == 0 and output.read_bytes() == CONTENT and server.ranges == [None, None]


@pytest.mark.parametrize("held", [b"\xff" * 1_000, b"\xff" * len(CONTENT), b"\xff" * (len(CONTENT) + 9)])
def test_foreign_part_is_discarded(fetch, tmp_path, held):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thing.bin.part").write_bytes(held)
    code, output, _ = fetch("ok")
    assert code == 0 and output.read_bytes() == CONTENT


def test_nobody_listens(fetch, server):
    code, _, stderr = fetch(url="http://127.0.0.1:9/data/thing.bin", flags=("--retries", "1"))
    assert code == 2 and "refused" in error_in(stderr) and "--mirror" in stderr


def test_redirect_to_unencrypted_transport_is_refused(fetch, server):
    code, _, stderr = fetch("redirect")
    assert code == 2 and "https" in error_in(stderr) and len(server.ranges) == 1


def test_unwritable_output(fetch, tmp_path):
    (tmp_path / "out").write_text("a file where the directory should be")
    code, _, stderr = fetch("ok")
    assert code == 2 and str(tmp_path / "out") in error_in(stderr)


@pytest.mark.parametrize("flags", [("--retries", "-1"), ("--timeout", "0"), ("--timeout", "-3")])
def test_senseless_settings(fetch, flags):
    code, _, stderr = fetch("ok", flags=flags)
    assert code == 2 and flags[0] in error_in(stderr)


def fill_mirror(server, root, content):
    path = root / server.url.removeprefix("http://") / "data" / "thing.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_mirror_comes_before_the_network(fetch, server, tmp_path):
    fill_mirror(server, tmp_path / "mirror", CONTENT)
    code, output, _ = fetch("500", flags=("--mirror", str(tmp_path / "mirror")))
    assert code == 0 and output.read_bytes() == CONTENT and not server.ranges


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"?", CONTENT[:-1]])
def test_wrong_file_of_the_mirror_is_named(fetch, server, tmp_path, content):
    path = fill_mirror(server, tmp_path / "mirror", content)
    code, output, stderr = fetch("ok", flags=("--mirror", str(tmp_path / "mirror")))
    assert code == 2 and str(path) in error_in(stderr)
    assert not server.ranges and not list(output.parent.iterdir())


def test_mirror_without_the_file(fetch, server, tmp_path):
    (tmp_path / "mirror").mkdir()
    flags = ("--mirror", str(tmp_path / "mirror"))
    code, _, stderr = fetch("ok", flags=(*flags, "--offline"))
    assert code == 2 and not server.ranges and "data/thing.bin" in error_in(stderr)
    code, _, stderr = fetch("ok", flags=("--mirror", str(tmp_path / "nowhere")))
    assert code == 2 and not server.ranges and "nowhere" in error_in(stderr)
    assert fetch("ok", flags=flags)[0] == 0 and len(server.ranges) == 1


def test_mirror_path_is_that_of_wget(server, tmp_path):
    if shutil.which("wget") is None:
        pytest.skip("wget is not on this machine")
    url = f"{server.url}/data/a%20b.bin?version=2"
    subprocess.run(["wget", "-q", "-x", url], cwd=tmp_path, check=True)
    assert download.mirror_path(tmp_path, url).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"sha256": hashlib.sha256(CONTENT).hexdigest().upper()}, "sha256"),
        ({"bytes": "many"}, "bytes"),
        ({"bytes": "0"}, "bytes"),
        ({"file": "../thing.bin"}, "file"),
        ({"name": ""}, "name"),
        ({"url": "http://example.org/thing.bin"}, "https"),
        ({"url": "file:///etc/passwd"}, "https"),
        ({"url": "https://example.org"}, "https"),
        ({"url": "https://example.org/a/%2e%2e/b"}, ".."),
        ({"url": "https://../b"}, ".."),
        ({"url": "https://example.org/a?/../../../b"}, ".."),
        ({"url": "https://[broken/b"}, "row 1"),
        ({"description": "one\tfield too many"}, "cells"),
    ],
)
def test_malformed_ledger_names_the_row(capsys, write_ledger, changes, word):
    sentence = refused(capsys, ["fetch", "--ledger", write_ledger(ROW | changes), "--list"])
    assert "row 1" in sentence and word in sentence


def test_malformed_ledger_as_a_whole(tmp_path, write_ledger):
    ledger = write_ledger(ROW)
    header, row = ledger.read_text().splitlines()
    broken = {
        "column 'sha256' is missing": header.replace("sha256", "checksum") + "\n" + row,
        "'thing' stands twice in column 'name'": f"{header}\n{row}\n{row}",
        "file 'thing.bin' stands more than once": f"{header}\n{row}\n{row.replace('thing', 'other', 1)}",
        "row 1 does not have the 9 tab-separated cells": f"{header}\n{row.rsplit(chr(9), 1)[0]}",
        "row 2 does not have the 9 tab-separated cells": f"{header}\n{row}\n{row}\tmore",
        "no dataset": header,
        "holds no dataset": "",
    }
    for message, text in broken.items():
        ledger.write_text(text + "\n")
        with pytest.raises(UserError, match=re.escape(message)):
            download.read_ledger(ledger)
    ledger.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not readable"):
        download.read_ledger(ledger)
    with pytest.raises(UserError, match="no such file"):
        download.read_ledger(tmp_path / "absent.tsv")


def test_flags_that_do_not_go_together(capsys, tmp_path):
    assert "rcrs" in refused(capsys, words("fetch", ledger=LEDGER, name="rcrz", output=tmp_path / "x"))
    assert "--output" in refused(capsys, words("fetch", ledger=LEDGER, name="rcrs"))
    for more in ([], ["--name", "rcrs", "--list"]):
        with pytest.raises(SystemExit) as stop:
            main([*words("fetch", ledger=LEDGER), *more])
        assert stop.value.code == 2


def test_list_is_what_to_take_along(capsys):
    assert main(["fetch", "--ledger", str(LEDGER), "--list"]) == 0
    listed = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    ledger = download.read_ledger(LEDGER)
    whole = [dataset for dataset in ledger.values() if not dataset.index]
    assert [row[0] for row in listed] == [dataset.url for dataset in whole]
    assert all(row[1:] == [d.sha256, str(d.bytes or "")] for row, d in zip(listed, whole, strict=True))
    # Pinned: a branch name in a URL would change under the study.
    hubs = [row[0] for row in listed if "huggingface" in row[0] or "github" in row[0]]
    assert len(hubs) > 200 and all(re.search("/[0-9a-f]{40}/", url) for url in hubs)


def test_a_file_without_published_checksum_is_trusted_on_first_use(fetch, server):
    code, output, stderr = fetch("ok", sha256="", bytes="")
    digest, record = hashlib.sha256(CONTENT).hexdigest(), output.with_name("thing.bin.sha256")
    assert code == 0 and record.read_text() == f"{digest}  thing.bin\n" and digest in stderr and str(record) in stderr
    subprocess.run(["sha256sum", "--check", "--quiet", record.name], cwd=output.parent, check=True)
    assert fetch("500", sha256="", bytes="")[0] == 0 and len(server.ranges) == 1
    output.unlink()
    code, output, stderr = fetch("wrong_byte", sha256="", bytes="")
    assert code == 2 and digest in error_in(stderr) and not output.exists()
    assert fetch("ok", sha256="", bytes="")[0] == 0 and output.read_bytes() == CONTENT
    record.write_text("torn")
    assert str(record) in error_in(fetch("ok", sha256="", bytes="")[2])


PAGES = {
    "page": b"<!DOCTYPE html>\n<html><body>Sign in to continue</body></html>\n",
    "commented page": b"\n<!-- proxy -->\n<HTML><title>502</title></HTML>",
    "bucket": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234\n",
    "nothing": b"",
    "blanks": b" \r\n\n",
}


@pytest.mark.parametrize(
    "file", ["x.csv", "x.fa.gz", "x.parquet", "x.vcf", "x.bed", "x.xlsx", "x.txt", "x.json", "x.rda", "x"]
)
@pytest.mark.parametrize("page", PAGES)
def test_what_a_server_sends_instead_of_a_file_is_not_trusted(fetch, server, file, page):
    server.content = lambda path: PAGES[page]
    code, output, stderr = fetch("ok", sha256="", bytes="", file=file)
    assert code == 2 and not list(output.parent.iterdir())
    words = {"pointer": "is a pointer of Git LFS", "nothing": "is empty", "blanks": "is empty"}
    assert words.get(page, "is a page of a website") in error_in(stderr)
    server.content = lambda path: CONTENT
    assert (fetch("ok", sha256="", bytes="", file="thing.bin")[0], output.read_bytes()) == (0, CONTENT)


FASTA, VCF_TEXT = b">chr1 x\nACGTNNRY\nAC\n", b"##fileformat=VCFv4.2\n#CHROM\n"
GENE = b'1\tx\tgene\t1\t50\t.\t+\t.\tgene_id "a";\n'


@pytest.mark.parametrize(
    ("file", "good", "bad"),
    [
        (
            "x.csv",
            [b"sequence,label\nACGT,1\n", b"\xef\xbb\xbfa;b\n", gzip.compress(b"a,b\n")],
            [b'{"error": "x, y"}', b"Not Found", b"404: Not Found\n"],
        ),
        ("x.tsv", [b"a\tb\n1\t2\n"], [b"<center>x, y</center>"]),
        (
            "x.fa",
            [FASTA, b"\xef\xbb\xbf" + FASTA, b"acgtnnACGT\r\nACGT", gzip.compress(FASTA), b";old\nACGT"],
            [b"sequence,label\n", b"Not found"],
        ),
        ("x.fa.gz", [gzip.compress(FASTA)], [FASTA, gzip.compress(b"<html>"), gzip.compress(FASTA)[:9] + b"junk" * 9]),
        ("x.vcf.gz", [gzip.compress(VCF_TEXT)], [gzip.compress(FASTA), VCF_TEXT]),
        ("x.vcf", [VCF_TEXT], [b"#CHROM\tPOS\n"]),
        ("x.gtf", [GENE, b"##gff-version 3\n"], [b"chr1\t1\t50\n"]),
        ("x.gff3.gz", [gzip.compress(GENE)], [GENE]),
        ("x.bed", [b"chr1\t1\t50\ta\n", b"track name=x\n", b"chr1 1 50\n"], [GENE, b"chr1,1,50\n"]),
        ("x.json", [b'{"a": 1}', b" [1]"], [b"oops"]),
        ("x.parquet", [b"PAR1" + b"\0" * 20 + b"PAR1"], [b"PAR1" + b"\0" * 20, b"a,b\n"]),
        ("x.xlsx", [b"PK\x03\x04rest"], [b"a,b\n", gzip.compress(b"a")]),
        ("x.h5ad", [b"\x89HDF\r\n\x1a\n\0\0"], [b"PK\x03\x04"]),
        ("x.rda", [b"RDX3\nX\n", gzip.compress(b"RDX2"), b"BZh91AY"], [b"a,b\n"]),
        ("x.txt", [b"anything at all\n", FASTA], []),
        ("x.html", [PAGES["page"]], []),
        ("x", [CONTENT], []),
    ],
)
def test_a_file_is_of_the_kind_that_its_name_says(fetch, server, file, good, bad):
    held = []
    for content in [*bad, *good]:
        server.content = lambda path, content=content: content
        code, output, _ = fetch("ok", sha256="", bytes="", file=file)
        held.append(code)
        assert output.exists() == (code == 0)
        output.unlink(missing_ok=True)
        output.with_name("thing.bin.sha256").unlink(missing_ok=True)
    assert held == [2] * len(bad) + [0] * len(good)


def test_a_checksum_of_the_ledger_vouches_for_any_content(fetch, server):
    """A page whose sha256 somebody wrote down is what he wanted; one that only a first fetch recorded is not."""
    page = PAGES["page"]
    server.content = lambda path: page
    known = {"sha256": hashlib.sha256(page).hexdigest(), "bytes": "", "file": "x.csv"}
    assert fetch("ok", **known)[0] == 0
    code, output, _ = fetch("ok", sha256="", bytes="", file="x")
    assert code == 2 and output.exists()  # of the first fetch


def test_a_first_fetch_is_named_and_forgotten(fetch, server, tmp_path, capsys):
    _, output, _ = fetch("ok", sha256="", bytes="")
    record, first = output.with_name("thing.bin.sha256"), hashlib.sha256(CONTENT).hexdigest()
    output.unlink()
    server.content = lambda path: CONTENT[::-1]
    code, _, stderr = fetch("ok", sha256="", bytes="")
    error = error_in(stderr)
    assert code == 2 and not output.exists()
    assert all(text in error for text in (first, hashlib.sha256(CONTENT[::-1]).hexdigest(), str(record)))
    command = re.search(r"`python -m foundationless (.*)`", error)[1]
    assert main(shlex.split(command)) == 0 and not record.exists()
    told = capsys.readouterr().err
    assert first in told and str(record) in told
    assert fetch("ok", sha256="", bytes="")[0] == 0 and output.read_bytes() == CONTENT[::-1]
    assert main(shlex.split(command)) == 0 and not output.exists()  # the next fetch asks for it again
    assert "nothing to forget" in refused(capsys, shlex.split(command))


def test_a_file_of_unknown_content_is_never_resumed(fetch, server):
    code, output, _ = fetch("truncate", "ok", sha256="", bytes="")
    assert code == 0 and output.read_bytes() == CONTENT and server.ranges == [None, None]
    output.with_name("thing.bin.sha256").unlink()
    output.rename(output.with_name("thing.bin.part"))
    assert fetch("ok", sha256="", bytes="")[0] == 0 and server.ranges == [None, None, None]


@pytest.mark.parametrize("good", [True, False])
def test_a_published_md5_of_the_ledger_is_checked(fetch, good):
    code, output, stderr = fetch("ok", sha256="", md5=hashlib.md5(CONTENT if good else b"x").hexdigest())
    assert output.exists() == good and code == (0 if good else 2)
    assert "md5" in (stderr if good else error_in(stderr))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("{md5}  ./thing.bin", None),
        ("thing.bin {md5}", None),
        ("{md5} */panfs/release/thing.bin", None),
        ("{sha256}  thing.bin", None),
        ("{zero}  thing.bin", "md5"),
        ("{md5}  other_thing.bin", "names no checksum of thing.bin"),
    ],
)
def test_a_published_list_of_checksums_is_read(fetch, server, tmp_path, line, word):
    url = "https://example.org/data/MD5SUMS"
    place = tmp_path / "mirror" / "example.org" / "data" / "MD5SUMS"
    place.parent.mkdir(parents=True)
    known = {"md5": hashlib.md5(CONTENT).hexdigest(), "sha256": hashlib.sha256(CONTENT).hexdigest(), "zero": "0" * 32}
    place.write_text(f"{'1' * 32}  thing.bin.tbi\n" + line.format(**known) + "\n")
    flags = ("--mirror", str(tmp_path / "mirror"))
    code, output, stderr = fetch("ok", flags=flags, sha256="", bytes="", checksums=url)
    if word is None:
        assert code == 0 and output.read_bytes() == CONTENT
    else:
        assert code == 2 and word in error_in(stderr) and not output.exists()


def test_a_branch_of_a_hub_is_refused_unless_its_content_is_known(write_ledger):
    url = "https://huggingface.co/datasets/a/b/resolve/main/x.parquet"
    with pytest.raises(UserError, match=r"row 1.*follows a branch"):
        download.read_ledger(write_ledger(ROW | {"url": url, "sha256": ""}))
    assert download.read_ledger(write_ledger(ROW | {"url": url}))
    assert download.read_ledger(write_ledger(ROW | {"url": url.replace("main", "0" * 40), "sha256": ""}))


def test_the_ledger_is_the_mirrors_manifest(shared, tmp_path):
    """What the ledger says of the mirror's files is true (the mirror also holds files that no task reads)."""
    ledger = download.read_ledger(LEDGER)
    manifest = [line.split("\t") for line in (shared / "mirror" / "manifest.tsv").read_text().splitlines()[1:]]
    known = {row[0]: tuple(row[:4]) for row in manifest if row[0] in ledger}
    assert len(known) >= MIRRORED
    assert known == {name: (name, ledger[name].url, ledger[name].sha256, str(ledger[name].bytes)) for name in known}
    for name in ("rcrs", "kgp_chrMT", "tp53_gene", "gue_prom_300_tata_dev"):
        output = tmp_path / ledger[name].file
        download.fetch(ledger[name], output, download.Access(shared / "mirror", offline=True))
        assert hashlib.sha256(output.read_bytes()).hexdigest() == ledger[name].sha256


def test_a_table_sent_in_chunks_under_a_name_with_colons(fetch, server, tmp_path):
    """As MaveDB's API answers: no length, and the URL holds the colons of a URN; a mirror keeps them too."""
    table = b"accession,hgvs_nt,score\n" + b"urn:mavedb:00000675-a-1#1,ENST00000256474.3:c.-75C>T,0.1\n" * 90
    path = "/api/v1/score-sets/urn:mavedb:00000675-a-1/scores"
    asked = []
    server.content = lambda url: asked.append(url) or table
    row = {"file": "vhl.csv", "url": server.url + path, "sha256": "", "bytes": ""}
    code, output, stderr = fetch("chunks_cut", **row)
    assert code == 2 and not output.exists() and "3 attempt(s)" in error_in(stderr)
    code, output, stderr = fetch("chunks", **row)
    assert code == 0 and output.read_bytes() == table and set(asked) == {path}
    assert hashlib.sha256(table).hexdigest() in stderr
    place = tmp_path / "mirror" / server.url.removeprefix("http://") / path.lstrip("/")
    place.parent.mkdir(parents=True)
    place.write_bytes(table)
    output.unlink()
    assert fetch("500", flags=("--mirror", str(tmp_path / "mirror")), **row)[0] == 0 and output.read_bytes() == table
