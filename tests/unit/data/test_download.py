"""Fetching against a local server that misbehaves on purpose, and against mirrors."""

import hashlib
import re
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
