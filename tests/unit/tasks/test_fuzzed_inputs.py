"""Damaged and odd files through every reader: the right set, or one sentence; never a traceback, never a row of N.

Hypothesis draws edits of sound files from a fixed seed. Where the edited file is still read, another program says what
is right: bedtools of intervals, bcftools of haplotypes, pandas of tables, pysam of FASTA and of the records of a VCF.
"""

import gzip
import random
import re
import subprocess

import pandas as pd
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundationless.data.outputs import format_outputs
from foundationless.data.reference import normalise
from foundationless.errors import UserError
from foundationless.tasks.readers import build_set
from foundationless.tasks.sequence_sets import read_sequences, write_sequences

EXAMPLES = 60  # of each test: 40 seconds in all on one core
TOKENS = [
    "", "N", "NNNNNNNNNNNNNNNNNNNN", "-", "*", ".", "0", "-1", "1.0", "1e3", "99999999999999999999", "4294967296", "\t",
    "\t\t", "\n", "\r\n", "\r", " ", ",", ";", "|", "/", "#", ">", '"', "'", "=", ":", "é", "\u00b2", "\ufeff", "\0",
    "\x1c", "chr9", "chr1", "NA", "nan", "inf", "None", "<DEL>", "U", "M", "a", "0/1", "1|2", ".|.", "1", "1|1|1",
    "gene",
]  # fmt: skip
KINDS = st.sampled_from(["put", "cut", "double", "drop", "swap", "cell"])
EDITS = st.lists(
    st.tuples(KINDS, st.floats(0, 1), st.sampled_from(TOKENS)),
    min_size=0, max_size=3,
)  # fmt: skip
SHELLS = st.sampled_from(
    ["plain"] * 6 + ["gzip", "half gzip", "mark", "utf-16", "latin-1", "Windows", "half", "no end"]
)


def dna(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def edited(text: str, edits) -> str:
    for kind, share, token in edits:
        lines = text.splitlines(keepends=True) or [""]
        line, at = min(int(share * len(lines)), len(lines) - 1), int(share * len(text))
        if kind == "put":
            text = text[:at] + token + text[at:]
        elif kind == "cut":
            text = text[:at] + text[at + 1 + len(token) :]
        elif kind == "swap":
            text = "".join([*lines[:line], *lines[line + 1 :], lines[line]])
        elif kind == "cell":  # one cell of a line becomes the token
            cells = re.split(r"([\t,;\n])", lines[line])
            cells[2 * int(share * 7919 % max(1, len(cells) // 2))] = token
            text = "".join([*lines[:line], "".join(cells), *lines[line + 1 :]])
        else:
            text = "".join([*lines[:line], *([lines[line]] * (2 * (kind == "double"))), *lines[line + 1 :]])
    return text


def packed(text: str, shell: str) -> bytes:
    coding = {"utf-16": "utf-16", "mark": "utf-8-sig", "latin-1": "latin-1"}.get(shell, "utf-8")
    content = (text.replace("\n", "\r\n") if shell == "Windows" else text).encode(coding, "replace")
    if "gzip" in shell:
        content = gzip.compress(content, mtime=0)
    return (
        content[: len(content) // 2]
        if "half" in shell
        else content.removesuffix(b"\n")
        if shell == "no end"
        else content
    )


def fuzz(test):
    """The test with edits of one file; the same ones on every machine."""
    rules = {"max_examples": EXAMPLES, "derandomize": True, "deadline": None, "database": None}
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(**rules, suppress_health_check=quiet)(given(edits=EDITS, shell=SHELLS)(test))


def outcome(tmp_path, reader, sources, options=()):
    """The set as it would be written, or None and one sentence; whatever else comes is a bug."""
    path = tmp_path / "set.parquet"
    try:
        write_sequences(path, build_set(reader, sources, dict(option.split("=", 1) for option in options), 1))
    except UserError as error:
        assert str(error).strip() and "\n" not in str(error) and "Traceback" not in str(error), error
        assert len(str(error)) < 1200, error
        return None
    frame = read_sequences(path)
    assert frame["sequence"].str.contains("[ACGT]").all()
    assert not frame["id"].duplicated().any() and frame["group"].notna().all()
    return frame


def put(path, text, edits, shell):
    """The edited file, and its text as a person reads it where it is whole."""
    path.write_bytes(packed(edited(text, edits), shell))
    return None if "half" in shell or shell == "latin-1" else edited(text, edits)


GENOME = {"chr1": dna(900, 1), "chr2:1001-1600": dna(600, 2), "chrM": dna(80, 3)}
GENOME["chr1"] = GENOME["chr1"][:300] + "N" * 80 + GENOME["chr1"][380:500] + "RYM" + GENOME["chr1"][503:]


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in GENOME.items()))
    return path


ROWS = [(dna(24, seed), "ab"[seed % 2]) for seed in range(30)]


@fuzz
def test_tables(tmp_path, edits, shell):
    text = "id,sequence,label\n" + "".join(f"{n},{sequence},{label}\n" for n, (sequence, label) in enumerate(ROWS))
    whole = put(tmp_path / "train.csv", text, edits, shell)
    (tmp_path / "test.csv").write_text(
        "sequence,label\n" + "".join(f"{dna(24, 90 + n)},{'ab'[n % 2]}\n" for n in range(6))
    )
    sources = {split: tmp_path / f"{split}.csv" for split in ("train", "test")}
    frame = outcome(tmp_path, "table", sources, ["validation_fraction=0"])
    if frame is not None and whole is not None and not {"\0", "\r"} & set(whole):
        names = {"dtype": str, "keep_default_na": False, "index_col": False}
        known = pd.read_csv(sources["train"], encoding="utf-16" if shell == "utf-16" else "utf-8-sig", **names,
                            compression="gzip" if shell == "gzip" else None)  # fmt: skip
        known.columns = known.columns.str.strip()
        expected = [normalise(text.strip()) for text in known["sequence"]]
        mine = list(frame.loc[frame["split"] == "train", "sequence"])
        assert mine == [text for text in expected if text.strip("N")]


@fuzz
def test_fasta_by_class(tmp_path, edits, shell):
    text = "".join(
        f">chr1:{n}-{n + 24} é {n}\n{sequence[:20]}\n{sequence[20:]}\n" for n, (sequence, _) in enumerate(ROWS)
    )
    whole = put(tmp_path / "train.fa", text, edits, shell)
    (tmp_path / "test.fa").write_text(f">x\n{dna(30, 77)}\n")
    sources = {f"{split}.a": tmp_path / f"{split}.fa" for split in ("train", "test")}
    frame = outcome(tmp_path, "fasta_classes", sources, ["validation_fraction=0"])
    if frame is not None and whole is not None and shell not in ("utf-16", "mark") and "\ufeff" not in whole:
        # pysam ends lines at \n alone, and keeps blanks there.
        (tmp_path / "lines.fa").write_text(re.sub(r"\s*\n", "\n", re.sub("\r\n?", "\n", whole + "\n")))
        with pysam.FastxFile(str(tmp_path / "lines.fa")) as records:
            expected = [normalise(record.sequence or "") for record in records]
        mine = list(frame.loc[frame["split"] == "train", "sequence"])
        assert mine == [text for text in expected if text.strip("N")] or whole[0] not in ">", whole


BED = "".join(
    f"{contig}\t{start}\t{start + 20}\t{'ab'[start // 10 % 2]}\t0\t{'+-'[start // 20 % 2]}\n"
    for contig, first, last in (("chr1", 0, 880), ("chr2", 1010, 1580)) for start in range(first, last, 60)
)  # fmt: skip


@fuzz
def test_intervals(tmp_path, genome, tool, edits, shell):
    put(tmp_path / "i.bed", BED, edits, shell)
    frame = outcome(tmp_path, "intervals", {"bed": tmp_path / "i.bed", "genome": genome})
    if frame is not None:
        whole = {"chr1": GENOME["chr1"], "chr2": "N" * 1000 + GENOME["chr2:1001-1600"], "chrM": GENOME["chrM"]}
        (tmp_path / "whole.fa").write_text("".join(f">{name}\n{text + 'N' * 200}\n" for name, text in whole.items()))
        (tmp_path / "whole.fa.fai").unlink(missing_ok=True)
        places = frame["id"].str.extract(r"^(?:chr)?(.+):(\d+)-(\d+)\((.)\)$")
        (tmp_path / "known.bed").write_text(
            "".join(
                f"chr{contig}\t{start}\t{end}\tx\t0\t{strand}\n" for contig, start, end, strand in places.to_numpy()
            )
        )
        command = ["getfasta", "-s", "-tab", "-fi", tmp_path / "whole.fa", "-bed", tmp_path / "known.bed"]
        answer = subprocess.run([tool("bedtools"), *command], capture_output=True, text=True, check=True).stdout
        assert list(frame["sequence"]) == [normalise(line.split("\t")[1]) for line in answer.splitlines()]


@pytest.mark.parametrize("style", ["gtf", "gff3", "bed"])
@fuzz
def test_genes(tmp_path, genome, style, edits, shell):
    forms = {"gtf": 'gene_id "{}"; gene_type "{}";', "gff3": "ID=gene:{0};gene_id={0};biotype={1}"}
    lines = []
    for number, (contig, start, end, label, _, strand) in enumerate(line.split("\t") for line in BED.splitlines()):
        if style == "bed":
            lines.append(f"{contig}\t{start}\t{end}\t{strand}\tG{number}\tS\t{label}")
        else:
            said = forms[style].format(f"G{number}", label)
            lines.append(f"{contig}\tx\tgene\t{int(start) + 1}\t{end}\t.\t{strand}\t.\t{said}")
    path = tmp_path / f"genes.{style}"
    put(path, "\n".join(lines) + "\n", edits, shell)
    frame = outcome(tmp_path, "genes", {"genes": path, "genome": genome})
    if frame is not None and not edits:
        assert len(frame) > 20 and set(frame["label"]) == {"a", "b"}


@fuzz
def test_intervals_by_class(tmp_path, genome, edits, shell):
    rows = [line.split("\t") for line in BED.splitlines()]
    text = "id,region,start,end,strand\n" + "".join(f"{n},{r[0]},{r[1]},{r[2]},{r[5]}\n" for n, r in enumerate(rows))
    put(tmp_path / "rows.csv", text, edits, shell)
    sources = {"genome": genome, "train.a": tmp_path / "rows.csv", "test.a": tmp_path / "rows.csv"}
    outcome(tmp_path, "fasta_classes", sources)


@pytest.mark.parametrize("damaged", ["fasta", "genes", "tx2gene"])
@fuzz
def test_transcripts(tmp_path, damaged, edits, shell):
    texts = {
        "fasta": "".join(f">T{n}.{n}|x\n{sequence}\n" for n, (sequence, _) in enumerate(ROWS)),
        "genes": "ensgene,biotype\n" + "".join(f"G{n},{'ab'[n % 2]}\n" for n in range(10)),
        "tx2gene": "enstxp\tensgene\n" + "".join(f"T{n}\tG{n // 3}.2\n" for n in range(30)),
    }
    for name, text in texts.items():
        put(tmp_path / name, text, edits if name == damaged else [], shell if name == damaged else "plain")
    frame = outcome(tmp_path, "transcripts", {name: tmp_path / name for name in texts})
    if frame is not None and not edits and shell == "plain":
        assert len(frame) == 30


VCF = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=900>
##INFO=<ID=CLNSIG,Number=.,Type=String,Description="x">
##INFO=<ID=GENEINFO,Number=1,Type=String,Description="x">
##INFO=<ID=SCORE,Number=A,Type=Float,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"""
SAMPLES = [f"S{number}" for number in range(8)]


def records(genotypes: bool) -> str:
    generator, lines = random.Random(5), VCF + ("\tFORMAT\t" + "\t".join(SAMPLES) if genotypes else "") + "\n"
    for number, position in enumerate(range(20, 290, 15)):
        ref = GENOME["chr1"][position - 1 : position + number % 3]
        alt = ref[0] if len(ref) > 1 else "ACGT"["ACGT".index(ref) - 1]
        info = f"CLNSIG={('Benign', 'Pathogenic')[number % 2]};GENEINFO=A{number % 3}:1;SCORE={number / 4}"
        calls = "\t".join(f"{generator.randint(0, 1)}|{generator.randint(0, 1)}" for _ in SAMPLES)
        lines += f"chr1\t{position}\t.\t{ref}\t{alt}\t.\t.\t{info}" + (f"\tGT\t{calls}" if genotypes else "") + "\n"
    return lines


PEOPLE = "sample pop super_pop gender\n" + "".join(
    f"{name} x {('AFR', 'EUR')[n % 2]} male\n" for n, name in enumerate(SAMPLES)
)


@pytest.mark.parametrize("damaged", ["vcf", "panel"])
@fuzz
def test_people(tmp_path, genome, tool, damaged, edits, shell):
    for name, text in {"vcf": records(True), "panel": PEOPLE}.items():
        put(tmp_path / name, text, edits if name == damaged else [], shell if name == damaged else "plain")
    sources = {"vcf": tmp_path / "vcf", "panel": tmp_path / "panel", "genome": genome}
    frame = outcome(tmp_path, "people", sources, ["contig=chr1", "start=1", "end=288"])
    if frame is None:
        return
    truth = {name: ("AFR", "EUR")[number % 2] for number, name in enumerate(SAMPLES)}
    if damaged == "panel":
        text = edited(PEOPLE, edits)  # a label that no cell of its row is, would be of another column
        rows = {tuple(re.split(r"\s+", line.strip())) for line in re.split("[\r\n]", text.replace("\ufeff", ""))}
        assert (
            all(
                any({name, label} <= set(row) for row in rows)
                for name, label in zip(frame["sample"], frame["label"], strict=True)
            )
            or '"' in text
        )
        return
    assert all(truth[name] == label for name, label in zip(frame["sample"], frame["label"], strict=True))
    (tmp_path / "window.fa").write_text(f">chr1:1-288\n{GENOME['chr1'][:288]}\n")
    with gzip.open(tmp_path / "vcf") if shell == "gzip" else (tmp_path / "vcf").open("rb") as stream:
        (tmp_path / "plain.vcf").write_bytes(stream.read())
    index = [tool("bcftools"), "view", "-Oz", "-o", tmp_path / "v.vcf.gz", tmp_path / "plain.vcf"]
    if subprocess.run(index, capture_output=True).returncode:
        return
    if subprocess.run([tool("bcftools"), "index", "-ft", tmp_path / "v.vcf.gz"], capture_output=True).returncode:
        return
    command = [
        tool("bcftools"),
        "consensus",
        "-f",
        tmp_path / "window.fa",
        "-s",
        frame["sample"][0],
        "-H",
        "1",
        tmp_path / "v.vcf.gz",
    ]
    answer = subprocess.run(command, capture_output=True, text=True)
    expected = normalise("".join(answer.stdout.splitlines()[1:]))
    # Symbolic alleles, and those that are no letters, are counted and left out here.
    if (
        not answer.returncode
        and not set(expected) - set("ACGTN")
        and "<" not in edited(records(True), edits)[len(VCF) :]
    ):
        assert frame["sequence"][0] == expected


@fuzz
def test_clinical(tmp_path, genome, edits, shell):
    put(tmp_path / "vcf", records(False), edits, shell)
    frame = outcome(
        tmp_path,
        "clinical",
        {"vcf": tmp_path / "vcf", "genome": genome},
        ["length=30", "score=SCORE", "unlabelled=yes"],
    )
    if frame is None:
        return
    assert all(row.sequence[row.offset] == row.ref != row.alt or row.ref == row.alt for row in frame.itertuples())
    with gzip.open(tmp_path / "vcf") if shell == "gzip" else (tmp_path / "vcf").open("rb") as stream:
        (tmp_path / "plain.vcf").write_bytes(stream.read())  # pysam seeks
    try:
        with pysam.VariantFile(str(tmp_path / "plain.vcf")) as vcf:
            known = {(held.pos, held.ref.upper(), alt.upper()): held for held in vcf for alt in held.alts or ()}
    except OSError:
        return  # a line of its own, which cyvcf2 takes for a record of an unknown contig
    for row in frame.itertuples():
        held = known[row.position, row.ref, row.alt]
        own = [alt.upper() for alt in held.alts].index(row.alt)
        score = held.info.get("SCORE")
        score = score[own] if isinstance(score, tuple) else score
        assert (score is None and pd.isna(row.score)) or float(score) == pytest.approx(row.score, nan_ok=True)


VARIANTS = [
    (
        "chr1",
        100 + 9 * n,
        GENOME["chr1"][99 + 9 * n : 100 + 9 * n + n % 3],
        "ACGT"[n % 4] + "TG" * (n % 2),
        n % 2,
        n / 3,
    )
    for n in range(20)
]


@fuzz
def test_variant_tables(tmp_path, genome, edits, shell):
    """Windows of what is left are those of the genome that pandas edits, and hold the alleles that they say."""
    rows = ["chrom,pos,ref,alt,label,cadd", *(",".join(map(str, row)) for row in VARIANTS)]
    put(tmp_path / "t.csv", "\n".join(rows) + "\n", edits, shell)
    options = ["length=30", "label=label", "columns=cadd", "mismatches=0.2"]
    frame = outcome(tmp_path, "variant_table", {"table": tmp_path / "t.csv", "genome": genome}, options)
    if frame is None:
        return
    assert (frame["sequence"].str.len() == 30).all() and set(frame["label"].dropna()) <= {"benign", "pathogenic"}
    for row in frame.itertuples():
        assert row.sequence[row.offset :].startswith(row.ref) and row.ref != row.alt
        after = row.alternative if "alternative" in frame else row.sequence[:15] + row.alt + row.sequence[16:]
        assert after[row.offset :].startswith(row.alt) and len(after) >= 30
        assert min(len(row.ref), len(row.alt)) == 1 or (row.ref[0], row.ref[-1]) != (row.alt[0], row.alt[-1])


@fuzz
def test_missense_and_mutants(tmp_path, genome, edits, shell):
    """A damaged genome, and a table that has little to do with it."""
    put(tmp_path / "g.fa", genome.read_text(), edits, shell)
    (tmp_path / "g.fa.fai").unlink(missing_ok=True)
    (tmp_path / "g.fa.gzi").unlink(missing_ok=True)
    options = ["windows=chr1:400,chr2:1100", "length=50", "mutations=1,5", "replicates=2"]
    frame = outcome(tmp_path, "mutants", {"genome": tmp_path / "g.fa"}, options)
    assert frame is None or not frame["sequence"].str.contains("N").any()
    put(tmp_path / "t.csv", "mutation,label\nR175H,pathogenic\n", edits, shell)
    assert outcome(tmp_path, "tp53_missense", {"table": tmp_path / "t.csv", "genome": genome}) is None


# ---- labels of several outputs

NUMBERS = [(dna(24, 200 + n), n / 7 - 2, n % 5 * 1.5) for n in range(30)]
BLANKS = {"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "nil", "missing", ".", "-", "?"}


def told(frame, split="train"):
    """{sequence: label} of a split."""
    rows = frame[frame["split"] == split]
    return dict(zip(rows["sequence"], rows["label"], strict=True))


def numbers(cells):
    """What cells of a row say as a label, and whether each is a number, or not known."""
    values = ["" if cell.strip().lower() in BLANKS else float(cell) for cell in cells]
    return format_outputs([[float("nan") if value == "" else value for value in values]])[0]


@pytest.mark.parametrize("reader", ["table", "reporters"])
@fuzz
def test_tables_of_numbers(tmp_path, reader, edits, shell):
    text = "sequence,one,two\n" + "".join(f"{sequence},{one:.4f},{two}\n" for sequence, one, two in NUMBERS)
    whole = put(tmp_path / "train.csv", text, edits, shell)
    (tmp_path / "test.csv").write_text(
        "sequence,one,two\n" + "".join(f"{dna(24, 300 + n)},{n},{n % 3}\n" for n in range(6))
    )
    end = ".table" if reader == "reporters" else ""
    sources = {f"{split}{end}": tmp_path / f"{split}.csv" for split in ("train", "test")}
    options = ["label=one,two", "validation_fraction=0"] + ["label_kind=values"] * (reader == "table")
    frame = outcome(tmp_path, reader, sources, options)
    if frame is not None and whole is not None and not {"\0", "\r"} & set(whole):
        names = {"dtype": str, "keep_default_na": False, "index_col": False}
        path = tmp_path / "train.csv"
        known = pd.read_csv(path, encoding="utf-16" if shell == "utf-16" else "utf-8-sig", **names,
                            compression="gzip" if shell == "gzip" else None)  # fmt: skip
        known.columns = known.columns.str.strip()
        found, rows = told(frame), zip(known["sequence"], known["one"], known["two"], strict=True)
        expected = {normalise(sequence.strip()): numbers(cells) for sequence, *cells in rows}
        expected = {text: label for text, label in expected.items() if label != ";" and text.strip("N")}
        assert found == expected


@fuzz
def test_joined_tables(tmp_path, edits, shell):
    tables = {"a": ROWS[:20], "b": ROWS[10:], "test": [(dna(24, 400 + n), "") for n in range(6)]}
    texts = {
        name: "sequence,label\n" + "".join(f"{sequence},{n % 2}\n" for n, (sequence, _) in enumerate(rows))
        for name, rows in tables.items()
    }
    whole = put(tmp_path / "a.csv", texts["a"], edits, shell)
    for name in ("b", "test"):
        (tmp_path / f"{name}.csv").write_text(texts[name])
    sources = {f"train.{name}": tmp_path / f"{name}.csv" for name in "ab"}
    sources |= {f"test.{name}": tmp_path / "test.csv" for name in "ab"}
    frame = outcome(tmp_path, "joined_tables", sources, ["validation_fraction=0"])
    if frame is None:
        assert edits or whole is None
        return
    assert set(frame["label"]) <= {"0;0", "0;1", "1;0", "1;1", "0;", "1;", ";0", ";1"}
    said = {sequence: str(n % 2) for n, (sequence, _) in enumerate(ROWS[10:])}
    found = told(frame)
    assert {text: label for text, label in found.items() if not label.endswith(";")}.keys() == said.keys()
    assert all(found[text].endswith(f";{label}") for text, label in said.items())
    if whole is not None and not edits:
        assert [found[sequence][0] for sequence, _ in ROWS[:20]] == [str(n % 2) for n in range(20)]
        assert len(found) == 30


PEAKS = "".join(f"chr1\t{start}\t{start + 60}\tp\t{start}\t.\n" for start in range(10, 850, 110))


@fuzz
def test_tracks(tmp_path, genome, tool, edits, shell):
    put(tmp_path / "a.bed", PEAKS, edits, shell)
    (tmp_path / "b.bed").write_text("".join(f"chr1\t{start}\t{start + 90}\n" for start in range(40, 800, 170)))
    sources = {"track.a": tmp_path / "a.bed", "track.b": tmp_path / "b.bed", "genome": genome}
    options = ["length=60", "bin=20", "step=20", "empty=0.5", "contigs=chr1", "fractions=0.6,0.2,0.2"]
    frame = outcome(tmp_path, "tracks", sources, options)
    if frame is not None and shell in ("plain", "no end"):
        places = frame["id"].str.extract(r"(\d+)-(\d+)").astype(int).to_numpy()
        middle = [(start + end) // 2 for start, end in places]
        bins = tmp_path / "bins.bed"
        bins.write_text("".join(f"chr1\t{at - 10}\t{at + 10}\t{n}\n" for n, at in enumerate(middle)))
        for place, name in enumerate("ab" if not edits else " b"):
            if name == " ":  # of damaged peaks bedtools reads others
                continue
            command = [tool("bedtools"), "intersect", "-u", "-f", "0.5", "-a", bins, "-b", tmp_path / f"{name}.bed"]
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            covered = {int(line.split("\t")[3]) for line in answer.splitlines()}
            said = [label.split(";")[place] == "1" for label in frame["label"]]
            assert said == [n in covered for n in range(len(frame))]


@fuzz
def test_labelled_places(tmp_path, genome, edits, shell):
    text = "chromosome\tstart\tend\tsplit\tlabel\n" + "".join(
        f"chr1\t{start}\t{start + 40}\t{('train', 'train', 'valid', 'test')[n % 4]}\t{n % 3},{3 + n // 3 % 2}\n"
        for n, start in enumerate(range(0, 860, 40))
    )
    put(tmp_path / "places.tsv", text, edits, shell)
    options = ["label_kind=tracks", "coding=positives", "outputs=5"]
    frame = outcome(tmp_path, "labelled_places", {"places": tmp_path / "places.tsv", "genome": genome}, options)
    if frame is not None:
        assert all(len(label.split(";")) == 5 and set(label) <= set("01;") for label in frame["label"])
        assert frame["sequence"].str.len().between(1, 900).all()
