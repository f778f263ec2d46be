"""Windows of a VCF behind a local server that counts bytes and misbehaves on purpose; bcftools is the oracle."""

import gzip
import hashlib
import json
import random
import shutil

import pysam
import pytest

from foundationless.__main__ import main
from foundationless.data import remote_vcf, variants
from support.commands import error_in, output_of, words

COLUMNS = ("name", "file", "url", "sha256", "bytes", "licence", "description", "checksums", "index")


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
                ballast = f"X={generator.randbytes(600).hex()}"
                cells = [contig, str(position), ".", ref, "C", ".", ".", ballast, "GT", *calls]
                stream.write("\t".join(cells) + "\n")
    return path.parent / pysam.tabix_index(str(path), preset="vcf", force=True)


@pytest.fixture
def server(server, vcf):
    """Serves the directory of the VCF."""
    served = lambda path: vcf.parent / path.lstrip("/")  # noqa: E731
    server.content = lambda path: served(path).read_bytes() if served(path).is_file() else None
    return server


@pytest.fixture
def fetch_region(server, vcf, tmp_path, capsys, write_ledger):
    """Run the command: (exit code, output, stderr)."""

    def run(start, end, *script, contig="chr2", flags=(), **changes):
        server.script[:] = script or ["ok"]
        url = f"{server.url}/{vcf.name}"
        row = dict.fromkeys(COLUMNS, "") | {"name": "kgp", "file": vcf.name, "url": url, "index": f"{url}.tbi"}
        ledger = write_ledger(row | {"licence": "CC0", "description": "people"} | changes)
        output = tmp_path / "out" / "window.vcf.gz"
        place = {"name": "kgp", "contig": contig, "start": start, "end": end}
        code = main([*words("fetch_region", ledger=ledger, **place, output=output, retries=2), *flags])
        return code, output, capsys.readouterr().err

    return run


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
    wanted = output_of(tool("bcftools"), "view", "-H", "--regions-overlap", "1", "-r", region, vcf)
    assert records(output) == wanted.splitlines()
    assert len(list(pysam.TabixFile(str(output)).fetch(region=region))) == len(records(output)) > 0
    card = json.loads(output.with_name("window.vcf.gz.json").read_text())
    assert card["bytes"] == server.sent[f"/{vcf.name}"] < 0.2 * vcf.stat().st_size
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


@pytest.mark.parametrize(("behaviour", "word"), [("no_range", "no ranges"), ("truncate", "only"), ("500", "500")])
def test_a_server_that_cannot_ends_in_one_sentence(fetch_region, behaviour, word):
    code, output, stderr = fetch_region(200_001, 210_000, behaviour)
    assert code == 2 and word in error_in(stderr) and not output.exists()


def test_a_window_beyond_what_an_index_can_number_is_refused(fetch_region, server):
    for start, end in ((1, 10**20), (600_000_000, 600_000_001)):
        code, output, stderr = fetch_region(start, end)
        assert code == 2 and "reaches to 536,870,912" in error_in(stderr) and not output.exists()
    assert not server.sent


def test_a_missing_index_a_foreign_one_and_none_at_all(fetch_region, server, vcf, tmp_path):
    url = f"{server.url}/{vcf.name}"
    code, output, stderr = fetch_region(1, 2000, index=f"{url}.absent.tbi")
    assert code == 2 and "404" in error_in(stderr) and not output.exists()
    assert "no index" in error_in(fetch_region(1, 2000, index="")[2])
    assert "not a tabix index" in error_in(fetch_region(1, 2000, index=url)[2])


def test_the_index_is_checked_against_the_published_list(fetch_region, server, vcf):
    digest = hashlib.md5(vcf.with_name(f"{vcf.name}.tbi").read_bytes()).hexdigest()
    manifest = vcf.with_name("manifest.txt")
    checksums = f"{server.url}/manifest.txt"
    manifest.write_text(f"{vcf.name} {'0' * 32}\n{vcf.name}.tbi {digest}\n")
    assert fetch_region(1, 2000, checksums=checksums)[0] == 0
    manifest.write_text(f"{vcf.name}.tbi {'0' * 32}\n")
    assert "md5" in error_in(fetch_region(1, 3000, checksums=checksums)[2])


def test_a_mirror_of_the_same_layout_comes_first(fetch_region, server, vcf, tmp_path):
    place = tmp_path / "mirror" / server.url.removeprefix("http://")
    place.mkdir(parents=True)
    flags = ("--mirror", str(tmp_path / "mirror"), "--offline")
    assert "mirror" in error_in(fetch_region(1, 2000, flags=flags)[2])
    for name in (vcf.name, f"{vcf.name}.tbi"):
        shutil.copy(vcf.with_name(name), place)
    code, output, _ = fetch_region(1, 2000, flags=flags)
    assert code == 0 and len(records(output)) == 7 and not server.sent


def test_a_window_that_changed_since_the_first_fetch_is_refused(fetch_region, tmp_path):
    code, output, _ = fetch_region(200_001, 210_000)
    card = output.with_name("window.vcf.gz.json")
    card.write_text(card.read_text().replace('"sha256": "', '"sha256": "0'))
    code, output, stderr = fetch_region(200_001, 210_000)
    assert code == 2 and "first fetch" in error_in(stderr) and not output.exists()


@pytest.mark.parametrize(("start", "end"), [(0, 5), (9, 8), (800_000, 800_100)])
def test_senseless_windows(fetch_region, start, end):
    code, output, stderr = fetch_region(start, end)
    assert code == 2 and not output.exists() and error_in(stderr)


def test_unknown_contig(fetch_region):
    assert "chr7" in error_in(fetch_region(1, 5, contig="chr7")[2])


def test_an_index_of_other_tools_is_read(shared, tool):
    path = shared / "realdata" / "brca1_sge_hg38.vcf.gz"
    tabix = remote_vcf.Tabix.parse(path.with_name(f"{path.name}.tbi").read_bytes(), path.name)
    start, end = 43_070_000, 43_100_000
    text, _ = remote_vcf._window(tabix, remote_vcf._from_file(path), "chr17", start, end, path.name)
    wanted = output_of(tool("bcftools"), "view", "-H", "-r", f"17:{start}-{end}", path).splitlines()
    places = {line.split("\t")[2] for line in text.decode().splitlines() if not line.startswith("#")}
    assert wanted and {line.split("\t")[2] for line in wanted} <= places and len(places) < 1600  # of 3,893
