"""Windows of a VCF behind a local server that counts bytes and misbehaves on purpose; bcftools is the oracle."""

import gzip
import hashlib
import json
import random
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pysam
import pytest

from foundationless.__main__ import main
from foundationless.data import download, remote_vcf, variants

COLUMNS = ("name", "file", "url", "sha256", "bytes", "licence", "description", "checksums", "index")


class Handler(BaseHTTPRequestHandler):
    """Serves a directory with ranges; `server.script` says how the n-th request for the VCF misbehaves."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.server.root / self.path.lstrip("/")
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        script, behaviour = self.server.script, "ok"
        if path.suffix == ".gz":
            behaviour = script.pop(0) if len(script) > 1 else script[0]
        body = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        low, high = 0, len(body)
        if wanted and behaviour not in ("no_range", "500"):
            low, high = int(wanted[1]), min(len(body), int(wanted[2]) + 1 if wanted[2] else len(body))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {low}-{high - 1}/{len(body)}")
        else:
            self.send_response(500 if behaviour == "500" else 200)
        self.send_header("Content-Length", str(high - low))
        self.end_headers()
        if behaviour == "truncate":
            high = low + (high - low) // 2
            self.close_connection = True
        try:
            self.wfile.write(body[low:high])
            self.server.sent[path.name] = self.server.sent.get(path.name, 0) + high - low
        except ConnectionError:
            pass


@pytest.fixture(scope="session")
def vcf(tmp_path_factory):
    """A bgzipped, indexed VCF of two contigs, 4 MB, as dense as the 1000 Genomes', with deletions across windows."""
    path = tmp_path_factory.mktemp("remote") / "big.vcf"
    generator = random.Random(5)
    samples = [f"S{number}" for number in range(3)]
    with path.open("w") as stream:
        stream.write("##fileformat=VCFv4.2\n##contig=<ID=chr1,length=900000>\n##contig=<ID=chr2,length=900000>\n")
        stream.write('##INFO=<ID=X,Number=1,Type=String,Description="Ballast">\n')
        stream.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
        stream.write("\t".join(["#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".replace(" ", "\t"), *samples]) + "\n")
        for contig in ("chr1", "chr2"):
            for number, position in enumerate(range(1000, 500_000, 151)):
                ref = "A" * (400 if number % 4 == 1 else 1)
                calls = (generator.choice(["0|0", "0|1", "1|0", "1|1"]) for _ in samples)
                stream.write(
                    "\t".join(
                        [
                            contig,
                            str(position),
                            ".",
                            ref,
                            "C",
                            ".",
                            ".",
                            f"X={generator.randbytes(600).hex()}",
                            "GT",
                            *calls,
                        ]
                    )
                    + "\n"
                )
    return path.parent / pysam.tabix_index(str(path), preset="vcf", force=True)


@pytest.fixture
def server(monkeypatch, vcf):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setenv("no_proxy", "*")
    instance = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    instance.daemon_threads = True
    instance.root, instance.script, instance.sent = vcf.parent, ["ok"], {}
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield instance
    instance.shutdown()
    thread.join()
    instance.server_close()


@pytest.fixture
def fetch_region(server, vcf, tmp_path, capsys):
    """Run the command: (exit code, output, stderr)."""

    def run(start, end, *script, contig="chr2", flags=(), **changes):
        server.script[:] = script or ["ok"]
        url = f"http://127.0.0.1:{server.server_address[1]}/{vcf.name}"
        row = dict.fromkeys(COLUMNS, "") | {"name": "kgp", "file": vcf.name, "url": url, "index": f"{url}.tbi"}
        row |= {"licence": "CC0", "description": "people"} | changes
        ledger = tmp_path / "ledger.tsv"
        ledger.write_text("\t".join(COLUMNS) + "\n" + "\t".join(row[column] for column in COLUMNS) + "\n")
        output = tmp_path / "out" / "window.vcf.gz"
        words = ["fetch_region", "--ledger", str(ledger), "--name", "kgp", "--contig", contig, "--start", str(start)]
        code = main([*words, "--end", str(end), "--output", str(output), "--retries", "2", *flags])
        return code, output, capsys.readouterr().err

    return run


def one_sentence(stderr):
    lines = [line for line in re.split("[\r\n]+", stderr) if line.startswith("foundationless fetch_region: error:")]
    assert len(lines) == 1 and "Traceback" not in stderr, stderr
    return lines[0]


def records(path):
    return [line for line in gzip.open(path, "rt").read().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    ("contig", "start", "end"),
    [("chr2", 200_001, 232_768), ("chr1", 1, 1200), ("1", 499_000, 600_000), ("chr2", 16_384, 16_385)],
)
def test_the_window_is_what_bcftools_gives_and_little_travels(fetch_region, server, vcf, tool, contig, start, end):
    code, output, stderr = fetch_region(start, end, contig=contig)
    assert code == 0, stderr
    region = f"chr{contig.removeprefix('chr')}:{start}-{end}"
    command = [tool("bcftools"), "view", "-H", "--regions-overlap", "1", "-r", region, str(vcf)]
    assert records(output) == subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(list(pysam.TabixFile(str(output)).fetch(region=region))) == len(records(output)) > 0
    card = json.loads(output.with_name("window.vcf.gz.json").read_text())
    assert card["bytes"] == server.sent[vcf.name] < 0.2 * vcf.stat().st_size
    assert card["records"] == len(records(output)) and card["region"] == f"{contig}:{start}-{end}"
    assert card["sha256"] == hashlib.sha256(gzip.decompress(output.read_bytes())).hexdigest()
    vcf_reader = variants.open_vcf(output)
    assert len(list(variants.records(vcf_reader, output, contig, start - 1, end))) <= len(records(output))
    assert list(vcf_reader.samples) == ["S0", "S1", "S2"]
    assert {path.name for path in output.parent.iterdir()} == {f"window.vcf.gz{end}" for end in ("", ".tbi", ".json")}


def test_spans_hold_every_record_that_htslib_finds(vcf):
    tabix = remote_vcf.Tabix.parse(vcf.with_name(f"{vcf.name}.tbi").read_bytes(), "index")
    generator = random.Random(1)
    content = remote_vcf._from_file(vcf)
    with pysam.TabixFile(str(vcf)) as whole:
        for _ in range(20):
            start = generator.randrange(400_000)
            end = start + generator.choice([1, 100, 40_000, 90_000])
            wanted = list(whole.fetch("chr1", start, end))
            text, _ = remote_vcf._window(tabix, content, "chr1", start + 1, end, "vcf")
            assert set(wanted) <= set(text.decode().splitlines())


def test_an_output_that_is_there_is_not_fetched_again(fetch_region, server):
    assert fetch_region(200_001, 210_000)[0] == 0
    server.sent.clear()
    code, output, _ = fetch_region(200_001, 210_000, "500")
    assert code == 0 and not server.sent
    output.write_bytes(output.read_bytes()[:-50])  # a damaged one is
    code, _, stderr = fetch_region(200_001, 210_000)
    assert code == 0 and server.sent, stderr


@pytest.mark.parametrize("script", [("truncate", "ok"), ("500", "500", "ok"), ("ok", "truncate", "ok")])
def test_a_broken_transfer_is_retried(fetch_region, script):
    code, output, stderr = fetch_region(200_001, 210_000, *script)
    assert code == 0 and len(records(output)) > 60, stderr


@pytest.mark.parametrize(
    ("script", "word"), [(("no_range",), "no ranges"), (("truncate",), "only"), (("500",), "500")]
)  # fmt: skip
def test_a_server_that_cannot_ends_in_one_sentence(fetch_region, script, word):
    code, output, stderr = fetch_region(200_001, 210_000, *script)
    assert code == 2 and word in one_sentence(stderr) and not output.exists()


def test_a_window_beyond_what_an_index_can_number_is_refused(fetch_region, server):
    for start, end in ((1, 10**20), (600_000_000, 600_000_001)):
        code, output, stderr = fetch_region(start, end)
        assert code == 2 and "reaches to 536,870,912" in one_sentence(stderr) and not output.exists()
    assert not server.sent


def test_a_missing_index_a_foreign_one_and_none_at_all(fetch_region, server, vcf, tmp_path):
    url = f"http://127.0.0.1:{server.server_address[1]}/{vcf.name}"
    code, output, stderr = fetch_region(1, 2000, index=f"{url}.absent.tbi")
    assert code == 2 and "404" in one_sentence(stderr) and not output.exists()
    assert "no index" in one_sentence(fetch_region(1, 2000, index="")[2])
    assert "not a tabix index" in one_sentence(fetch_region(1, 2000, index=url)[2])


def test_the_index_is_checked_against_the_published_list(fetch_region, server, vcf):
    digest = hashlib.md5(vcf.with_name(f"{vcf.name}.tbi").read_bytes()).hexdigest()
    manifest = vcf.with_name("manifest.txt")
    checksums = f"http://127.0.0.1:{server.server_address[1]}/manifest.txt"
    manifest.write_text(f"{vcf.name} {'0' * 32}\n{vcf.name}.tbi {digest}\n")
    assert fetch_region(1, 2000, checksums=checksums)[0] == 0
    manifest.write_text(f"{vcf.name}.tbi {'0' * 32}\n")
    assert "md5" in one_sentence(fetch_region(1, 3000, checksums=checksums)[2])


def test_a_mirror_of_the_same_layout_comes_first(fetch_region, server, vcf, tmp_path):
    place = tmp_path / "mirror" / f"127.0.0.1:{server.server_address[1]}"
    place.mkdir(parents=True)
    flags = ("--mirror", str(tmp_path / "mirror"), "--offline")
    assert "mirror" in one_sentence(fetch_region(1, 2000, flags=flags)[2])
    for name in (vcf.name, f"{vcf.name}.tbi"):
        shutil.copy(vcf.with_name(name), place)
    code, output, _ = fetch_region(1, 2000, flags=flags)
    assert code == 0 and len(records(output)) == 7 and not server.sent


def test_a_window_that_changed_since_the_first_fetch_is_refused(fetch_region, tmp_path):
    code, output, _ = fetch_region(200_001, 210_000)
    card = output.with_name("window.vcf.gz.json")
    card.write_text(card.read_text().replace('"sha256": "', '"sha256": "0'))
    code, output, stderr = fetch_region(200_001, 210_000)
    assert code == 2 and "first fetch" in one_sentence(stderr) and not output.exists()


@pytest.mark.parametrize(("start", "end"), [(0, 5), (9, 8), (800_000, 800_100)])
def test_senseless_windows(fetch_region, start, end):
    code, output, stderr = fetch_region(start, end)
    assert code == 2 and not output.exists()
    one_sentence(stderr)


def test_unknown_contig(fetch_region):
    assert "chr7" in one_sentence(fetch_region(1, 5, contig="chr7")[2])


def test_an_index_of_other_tools_is_read(shared, tool):
    path = shared / "realdata" / "brca1_sge_hg38.vcf.gz"
    tabix = remote_vcf.Tabix.parse(path.with_name(f"{path.name}.tbi").read_bytes(), path.name)
    start, end = 43_070_000, 43_100_000
    text, _ = remote_vcf._window(tabix, remote_vcf._from_file(path), "chr17", start, end, path.name)
    command = [tool("bcftools"), "view", "-H", "-r", f"17:{start}-{end}", str(path)]
    wanted = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    places = {line.split("\t")[2] for line in text.decode().splitlines() if not line.startswith("#")}
    assert wanted and {line.split("\t")[2] for line in wanted} <= places and len(places) < 1600  # of 3,893
