"""Full-size sets of several outputs: miniatures of their files, from a local server, fetched by the ledger's own rows
and read as the task table says. bedtools and pandas say what must come out."""

import gzip
import hashlib
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest

from foundationless.data.download import check_url
from foundationless.data.outputs import parse_outputs
from foundationless.data.reference import Piece, prepare_genome
from foundationless.runtime.files import read_table
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.plan import read_pairs
from foundationless.study.readers import READERS
from foundationless.study.vocabulary import labels_of
from foundationless.tasks.options import parse_options
from foundationless.tasks.readers.outputs import tracks
from foundationless.tasks.sequence_sets import labels_in
from support import ROOT
from support.commands import building, built, call, output_of, refused, words

TASKS = {row["task"]: row for row in read_table(ROOT / "config/tasks.tsv", ["task"])}
LEDGER = {row["name"]: row for row in read_table(ROOT / "config/datasets.tsv", ["name"])}
STUDY = read_yaml(ROOT / "config/outputs.yaml")
NAMES = STUDY["analyses"]["finetune"]["tasks"]


def dna(length, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.fixture
def genomes(tmp_path):
    """Prepared genomes of three contigs, with the chromosomes that the tasks hold out; and their raw FASTA."""
    raw = tmp_path / "raw.fa"
    unknown = dna(30_000, 11) + "N" * 4_000 + dna(6_000, 12)  # a gap, which the prepared genome leaves out
    contigs = {f"chr{name}": dna(40_000, name) for name in (1, 7, 8, 9)} | {"chr10": unknown}
    raw.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    prepare_genome([Piece(raw)], tmp_path / "genome.fa")
    return tmp_path / "genome.fa", contigs


@pytest.fixture
def fetched(server, tmp_path, write_ledger, monkeypatch):
    """The sources of a task, each file fetched through the ledger's own row from the local server, which serves
    `content` by the file's name; genomes as given."""
    monkeypatch.chdir(tmp_path)

    def fetch(task, content, genome):
        server.content = lambda path: content.get(unquote(path).rpartition("/")[2])
        sources = {}
        for role, source in read_pairs(TASKS[task]["sources"]):
            if source.startswith("genome:"):
                sources[role] = genome
                continue
            row = LEDGER[source]
            name = unquote(urlsplit(row["url"]).path).rpartition("/")[2]
            digest = hashlib.md5(content[name], usedforsecurity=False).hexdigest()
            changed = {"url": f"{server.url}/{name}", "md5": digest if row["md5"] else "", "checksums": ""}
            ledger = write_ledger(row | changed)
            output = tmp_path / "files" / row["file"]
            assert call(words("fetch", ledger=ledger, name=source, output=output)) == 0
            sources[role] = output
        return sources

    return fetch


def options_of(task, **changes):
    return [f"{key}={value}" for key, value in (dict(read_pairs(TASKS[task]["options"])) | changes).items()]


def values_of(frame):
    return parse_outputs(frame["label"], labels_in(frame)[1])


def narrow_peaks(contigs, seed, number, longest=700):
    """A narrowPeak of random peaks, sorted, and its rows."""
    generator = np.random.default_rng(seed)
    rows = []
    for contig in contigs:
        for start in sorted(generator.integers(0, 39_000, number)):
            end = start + generator.integers(20, longest)
            rows.append((contig, start, end, ".", 1000, ".", 5.5, -1, -1, 75))
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def given_tracks(task):
    return [role.removeprefix("track.") for role, _ in read_pairs(TASKS[task]["sources"]) if role != "genome"]


def peak_files(task, contigs):
    """A narrowPeak for each track of a task, by the name of its file; one has peaks on a contig that is nowhere."""
    sources = [LEDGER[source] for role, source in read_pairs(TASKS[task]["sources"]) if role != "genome"]
    texts = [narrow_peaks(contigs, seed, number=6) for seed, _ in enumerate(sources)]
    texts[0] += "chrUn_KI270742v1\t5\t300\t.\t1000\t.\t5.5\t-1\t-1\t75\n"
    urls = [urlsplit(row["url"]).path.rpartition("/")[2] for row in sources]
    return texts, {name: gzip.compress(text.encode()) for name, text in zip(urls, texts, strict=True)}


TRACK_TASKS = [name for name in NAMES if TASKS[name]["reader"] == "tracks"]


@pytest.mark.parametrize("task", TRACK_TASKS)
def test_tracks_equal_bedtools(task, tmp_path, capsys, genomes, fetched, tool):
    genome, contigs = genomes
    texts, content = peak_files(task, contigs)
    sources = fetched(task, content, genome)
    frame = built(tmp_path / "set.parquet", "tracks", sources, options_of(task, empty="0.15"))
    said = capsys.readouterr().err
    assert "1 of " in said and "peaks are on other contigs: left out" in said
    kind, names = labels_in(frame)
    assert kind == "tracks" and names == given_tracks(task)
    settings = dict(read_pairs(TASKS[task]["options"]))
    length, size = int(settings["length"]), int(settings["bin"])
    places = frame["id"].str.extract(r"^(?P<contig>.+):(?P<start>\d+)-(?P<end>\d+)$").astype({"start": int, "end": int})
    assert set(places["end"] - places["start"]) == {length} and not (places["start"] % int(settings["step"])).any()
    # No window reaches into the gap, and each is the genome's own sequence.
    assert [contigs[c][s:e] for c, s, e in places.itertuples(index=False)] == list(frame["sequence"])
    assert not frame["sequence"].str.contains("N").any()
    middle = places["start"] + length // 2 - size // 2
    bins = "".join(
        f"{c}\t{s}\t{s + size}\t{i}\n" for c, s, i in zip(places["contig"], middle, frame["id"], strict=True)
    )
    values = values_of(frame)
    for column, text in enumerate(texts):
        (tmp_path / "peaks.bed").write_text(text)
        command = [tool("bedtools"), "intersect", "-u", "-f", "0.5", "-a", "-", "-b", tmp_path / "peaks.bed"]
        hits = {line.split("\t")[3] for line in output_of(*command, input=bins).splitlines()}
        assert set(frame["id"][values[:, column] == 1]) == hits and len(hits) > 3
    # Of windows without a peak at most so many; every one with a peak is there.
    empty = ~values.any(axis=1)
    assert 0.1 < empty.mean() <= 0.15 and not frame["id"].duplicated().any()
    held = dict(read_pairs(TASKS[task]["options"]))
    tests, validations = (set(held[f"{part}_contigs"].split(",")) for part in ("test", "validation"))
    split = places["contig"].map(
        lambda name: "test" if name in tests else "validation" if name in validations else "train"
    )
    assert list(split) == list(frame["split"]) and set(split) == {"train", "validation", "test"}
    assert set(frame["group"]) == {f"{contig}:0" for contig in contigs}


def tracks_alone(sources, options):
    """What the reader makes, which may be too small to learn from."""
    return tracks.read(sources, parse_options(READERS["tracks"], dict(option.split("=", 1) for option in options)), 1)


def bed(rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def test_every_window_with_a_peak_is_there_and_the_grid_is_that_of_the_genome(tmp_path, genomes, tool):
    genome, _ = genomes
    peaks = {}
    for seed, name in enumerate(("a", "b")):
        peaks[f"track.{name}"] = tmp_path / f"{name}.bed"
        peaks[f"track.{name}"].write_text(narrow_peaks(["chr1", "chr10"], seed, number=20))
    options = ["length=600", "bin=150", "step=50", "empty=0", "overlap=0.7"]
    frame = tracks_alone(peaks | {"genome": genome}, options)
    grid = [("chr1", start) for start in range(0, 40_000 - 599, 50)]
    grid += [("chr10", start) for low, high in ((0, 30_000), (34_000, 40_000)) for start in range(low, high - 599, 50)]
    bins = bed((contig, start + 225, start + 375, f"{contig}:{start}-{start + 600}") for contig, start in grid)
    found = {}
    for name, path in peaks.items():
        command = [tool("bedtools"), "intersect", "-u", "-f", "0.7", "-a", "-", "-b", path]
        found[name] = {line.split("\t")[3] for line in output_of(*command, input=bins).splitlines()}
    expected = {i: ";".join(str(int(i in hits)) for hits in found.values()) for i in set.union(*found.values())}
    assert dict(zip(frame["id"], frame["label"], strict=True)) == expected


def test_windows_of_a_bed_are_centred_and_splits_are_drawn_by_megabase(tmp_path, capsys, genomes):
    genome, contigs = genomes
    paths = {name: tmp_path / f"{name}.bed" for name in ("track.a", "track.b", "windows")}
    paths["track.a"].write_text(bed([("1", 100, 300), ("8", 900, 1400), ("7", 0, 90), ("9", 5000, 5100)]))
    paths["track.b"].write_text(bed([("chr8", 1000, 1300), ("chr1", 210, 220), ("chr7", 20, 70), ("chr9", 5010, 5090)]))
    rows = [("chr1", 150, 251), ("chr1", 150, 251), ("chr8", 1100, 1200), ("chr7", 30, 50), ("chr9", 5049, 5050)]
    paths["windows"].write_text(bed([*rows, ("chr1", 39_999, 40_100), ("chr10", 32_000, 32_100), ("chr3", 5, 50)]))
    options = ["length=100", "bin=11", "empty=0.9", "fractions=0.5,0.25,0.25"]
    frame = tracks_alone(paths | {"genome": genome}, options).set_index("id")
    said = capsys.readouterr().err
    assert "1 of 5 windows are repeated: kept once" in said and "3 of 8 places are more than half outside" in said
    # The middle of 150 to 251 is 200: 150 to 250, whose bin is 195 to 206, of which track b covers none.
    assert dict(frame["label"]) == {
        "chr1:150-250": "1;0", "chr8:1100-1200": "1;1", "chr7:-10-90": "1;1", "chr9:4999-5099": "1;1",
    }  # fmt: skip
    assert frame.loc["chr7:-10-90", "sequence"] == "N" * 10 + contigs["chr7"][:90]
    assert dict(frame["group"]) == {i: i.partition(":")[0] + (":-1" if "-10" in i else ":0") for i in frame.index}
    assert sorted(frame["split"]) == ["test", "train", "train", "validation"]


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({"track.b": None}, [], "1 tracks are given; add --source track.NAME=FILE"),
        ({}, ["bin=500", "length=300"], "option bin=500 is longer than the window"),
        ({"track.b": "chr3\t5\t90\n"}, [], "none of its 1 peaks lies on a contig of genome.fa"),
        ({"track.b": "chr1\t90\t5\n"}, [], "line 1 is no interval (90 to 5)"),
        ({}, ["contigs=chr8"], "none of its 2 peaks lies on a contig of the option contigs"),
        ({"track.a": "chr1\t1\t3\n", "track.b": "chr1\t1\t3\n"}, [], "has a peak of any track at its centre"),
        ({}, ["length=60000"], "no contig with peaks holds a window of 60000 bases"),
        ({}, ["test_contigs=chr9"], "no sequence lies on contig 'chr9'"),
        ({}, ["test_contigs=chr1", "validation_contigs=1"], "contig '1' is named for test and for validation"),
    ],
)
def test_mistakes_in_tracks_are_one_sentence(tmp_path, capsys, genomes, changes, options, said):
    texts = {"track.a": "chr1\t100\t900\nchr1\t3000\t3900\n", "track.b": "chr1\t400\t800\nchr1\t5000\t5900\n"} | changes
    sources = {"genome": genomes[0]}
    for name, text in texts.items():
        if text:
            sources[name] = tmp_path / f"{name}.bed"
            sources[name].write_text(text)
    argv = building(tmp_path / "set.parquet", "tracks", sources, ["step=100", "empty=0", *options])
    capsys.readouterr()
    assert call(argv) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def reverse(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_deepstarr_fasta_and_table(tmp_path, genomes, fetched):
    """Both orientations of each fragment, two activities beside further columns, in the order of the FASTA."""
    generator, content, tables = np.random.default_rng(3), {}, {}
    for part, contig in (("Train", "chr2L"), ("Val", "chr2R"), ("Test", "chr2R")):
        fragments = [dna(249, 50 * len(part) + number) for number in range(15)]
        records = [
            (
                f"{contig}_{number * 300_000}_{number * 300_000 + 248}_{strand}_peak",
                text if strand == "+" else reverse(text),
            )
            for number, text in enumerate(fragments)
            for strand in "+-"
        ]
        activity = pd.DataFrame(generator.normal(size=(30, 2)), columns=["Dev_log2_enrichment", "Hk_log2_enrichment"])
        tables[part] = activity.assign(Dev_log2_enrichment_scaled=0.5, Hk_log2_enrichment_scaled=0.5), records
        content[f"Sequences_{part}.fa"] = "".join(f">{name}\n{text}\n" for name, text in records).encode()
        content[f"Sequences_activity_{part}.txt"] = tables[part][0].to_csv(sep="\t", index=False).encode()
    frame = built(tmp_path / "set.parquet", "reporters", fetched("deepstarr", content, None), options_of("deepstarr"))
    assert labels_in(frame) == ("values", ["Dev_log2_enrichment", "Hk_log2_enrichment"])
    for part, split in (("Train", "train"), ("Val", "validation"), ("Test", "test")):
        activity, records = tables[part]
        mine = frame[frame["split"] == split]
        assert list(mine["sequence"]) == [text for _, text in records]
        assert np.array_equal(values_of(mine), activity.iloc[:, :2].to_numpy())
        # Both orientations are one group, and so are fragments of one megabase.
        assert list(mine["group"]) == [f"{records[0][0][:5]}:{row // 2 * 300_000 // 1_000_000}" for row in range(30)]


def test_lentimpra_without_its_adaptors(tmp_path, genomes, fetched):
    """An element is there in both orientations between constant adaptors: one group, once they are cut off."""
    generator, content, tables = np.random.default_rng(4), {}, {}
    for seed, part in enumerate(("train", "valid", "test")):
        elements = [dna(200, 1000 * seed + number) for number in range(12)]
        both = [text for element in elements for text in (element, reverse(element))]
        tables[part] = both, generator.normal(size=24).round(3)
        inserts = [f"AGGACCGGATCAACT{text}CATTGCGTGAACCGA" for text in both]
        content[f"WTC11_{part}.tsv"] = (
            pd.DataFrame({"seq": inserts, "mean_value": tables[part][1]}).to_csv(sep="\t", index=False).encode()
        )
    task = "lentimpra_wtc11"
    frame = built(tmp_path / "set.parquet", "reporters", fetched(task, content, None), options_of(task))
    assert labels_in(frame) == ("values", ["mean_value"])
    for part, split in (("train", "train"), ("valid", "validation"), ("test", "test")):
        mine = frame[frame["split"] == split]
        assert list(mine["sequence"]) == tables[part][0]
        assert np.array_equal(values_of(mine)[:, 0], tables[part][1])
        assert list(mine["group"][::2]) == list(mine["group"][1::2]) and mine["group"].nunique() == 12


@pytest.fixture
def assay(tmp_path):
    """A FASTA and a table of one split each, by id."""
    sources = {}
    for seed, split in enumerate(("train", "test")):
        names = [f"{split}{number}" for number in range(10)]
        sources[f"{split}.fasta"], sources[f"{split}.table"] = tmp_path / f"{split}.fa", tmp_path / f"{split}.csv"
        text = "".join(f">{name} more\n{dna(30, 100 * seed + number)}\n" for number, name in enumerate(names))
        sources[f"{split}.fasta"].write_text(text)
        rows = "".join(f"{name},{number / 8},{'' if number == 2 else number}\n" for number, name in enumerate(names))
        sources[f"{split}.table"].write_text("name,dev,hk\n" + rows)
    return sources


def test_rows_find_their_records_by_id(tmp_path, assay):
    lines = assay["train.table"].read_text().splitlines()
    assay["train.table"].write_text("\n".join([lines[0], *lines[:0:-1], "train0,,"]) + "\n")
    options = ["label=dev,hk", "id=name", "validation_fraction=0.2"]
    frame = built(tmp_path / "set.parquet", "reporters", assay, options)
    mine = frame[frame["split"] != "test"]
    assert len(mine) == 10  # the row without any activity is left out
    assert list(mine["sequence"]) == [dna(30, number) for number in range(9, -1, -1)]
    assert list(mine["label"])[6:9] == ["0.375;3", "0.25;", "0.125;1"]
    assert sorted(mine["split"]).count("validation") == 2


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("train.table", None, [], "option label is missing"),
        ("train.table", "name,dev\nx,1\n", ["label=dev"], "holds 10 records and train.csv 1 rows"),
        ("train.table", "name,dev\nx,1\n", ["label=dev", "id=name"], "row 1 has the name 'x', not in"),
        ("train.table", "name,dev\ntrain0,high\n", ["label=dev", "id=name"], "row 1 has 'high' in the column 'dev'"),
        ("train.table", None, ["label=liver"], "no column 'liver'"),
        (
            "train.table",
            None,
            ["label=dev", "trim=20,20"],
            "the sequence of row 1 is no longer than what trim cuts off",
        ),
        ("train.table", None, ["label=dev", "trim=20"], "option trim=20 is no two numbers"),
        ("train.fasta", ">a\nACGT\n>a\nACGA\n", ["label=dev", "id=name"], "headers begin alike"),
    ],
)
def test_mistakes_in_assays_are_one_sentence(tmp_path, capsys, assay, name, text, options, said):
    if text is not None:
        assay[name].write_text(text)
    assert said in refused(capsys, building(tmp_path / "set.parquet", "reporters", assay, options))


def bend_table(contigs, tracks, seed):
    """A BED with a header as BEND writes it: numbers of the tracks that are one, none where there is none."""
    generator, rows = np.random.default_rng(seed), []
    for contig in contigs:
        for _ in range(40):
            start, strand = int(generator.integers(0, 29_000)), generator.choice(["+", "-"])
            ones = np.flatnonzero(generator.random(tracks) < 0.4)
            split = {"chr8": "valid", "chr9": "test"}.get(contig, "train")
            rows.append((contig, start, start + 512, strand, split, ",".join(map(str, ones))))
    return pd.DataFrame(rows, columns=["chromosome", "start", "end", "strand", "split", "label"])


BEND = [name for name in NAMES if name.startswith("bend_")]


@pytest.mark.parametrize("task", BEND)
def test_bend_equals_bedtools(task, tmp_path, genomes, fetched, tool):
    genome, contigs = genomes
    number = int(dict(read_pairs(TASKS[task]["options"]))["outputs"])
    table = bend_table(contigs, number, 5)
    name = urlsplit(LEDGER[task]["url"]).path.rpartition("/")[2]
    sources = fetched(task, {name: table.to_csv(sep="\t", index=False).encode()}, genome)
    frame = built(tmp_path / "set.parquet", "labelled_places", sources, options_of(task))
    assert labels_in(frame) == ("tracks", [f"track_{place}" for place in range(number)])
    (tmp_path / "raw6.bed").write_text(
        "".join(f"{r.chromosome}\t{r.start}\t{r.end}\t.\t0\t{r.strand}\n" for r in table.itertuples())
    )
    command = [tool("bedtools"), "getfasta", "-s", "-tab", "-fi", tmp_path / "raw.fa", "-bed", tmp_path / "raw6.bed"]
    assert list(frame["sequence"]) == [line.split("\t")[1] for line in output_of(*command).splitlines()]
    marks = table["label"].str.get_dummies(",").reindex(columns=map(str, range(number)), fill_value=0)
    assert np.array_equal(values_of(frame), marks.to_numpy())
    assert list(frame["split"]) == list(table["split"].replace("valid", "validation"))
    assert list(frame["group"]) == [f"{contig}:0" for contig in table["chromosome"]]


def test_lists_of_the_long_range_benchmark(tmp_path, genomes, fetched):
    """Zeros and ones as a list in a cell, around a 1-based position; a validation split is drawn by megabases."""
    genome, contigs = genomes
    generator = np.random.default_rng(6)
    rows = []
    for contig in contigs:
        for position in generator.integers(600, 28_000, 20):
            lists = [list(map(int, generator.random(4) < 0.5)) for _ in range(2)]
            rows.append((contig, position, *map(str, lists), "test" if contig == "chr8" else "train"))
    table = pd.DataFrame(rows, columns=["CHROM", "POS", "HISTONES", "DNASE", "split"])
    content = {"histones_and_dnase_subset.csv": table.to_csv(index=False).encode()}
    for task, column in (("lrb_histones", "HISTONES"), ("lrb_dnase", "DNASE")):
        sources = fetched(task, content, genome)
        frame = built(
            tmp_path / f"{task}.parquet", "labelled_places", sources, options_of(task, validation_fraction="0.25")
        )
        length = int(dict(read_pairs(TASKS[task]["options"]))["length"])
        starts = table["POS"] - 1 - length // 2
        assert list(frame["sequence"]) == [
            contigs[c][s : s + length] for c, s in zip(table["CHROM"], starts, strict=True)
        ]
        assert np.array_equal(
            values_of(frame), np.stack([eval(cell) for cell in table[column]])
        )  # the file's own lists
        assert set(frame["split"][table["split"] == "test"]) == {"test"}
        assert not set(frame["group"][frame["split"] == "validation"]) & set(frame["group"][frame["split"] == "train"])
        assert {"validation", "train"} <= set(frame["split"])


def test_expression_values_of_the_long_range_benchmark_are_joined_row_by_row(tmp_path, genomes, fetched):
    genome, contigs = genomes
    generator, rows = np.random.default_rng(7), []
    for contig in contigs:
        for number, position in enumerate(generator.integers(6_000, 24_000, 10)):
            split = {"chr8": "valid", "chr9": "test"}.get(contig, "train")
            rows.append((f"ENSG{number}", contig, "+-"[number % 2], position, split))
    table = pd.DataFrame(rows, columns=["id", "chrom", "strand", "CAGE_representative_TSS", "split"])
    values = pd.DataFrame(generator.gamma(1, 3, (len(table), 5)), columns=["Adipose", "Liver", "A549", "K562", "HepG2"])
    content = {
        "gene_coordinates.csv": table.to_csv(index=False),
        "rna_expression_values.csv": values.to_csv(index=False),
    }
    sources = fetched("lrb_expression", {name: text.encode() for name, text in content.items()}, genome)
    frame = built(tmp_path / "set.parquet", "labelled_places", sources, options_of("lrb_expression"))
    assert labels_in(frame) == ("values", list(values.columns))
    assert np.array_equal(values_of(frame), values.to_numpy())
    length = int(dict(read_pairs(TASKS["lrb_expression"]["options"]))["length"])
    for text, contig, strand, position in zip(
        frame["sequence"], table["chrom"], table["strand"], table["CAGE_representative_TSS"], strict=True
    ):
        window = contigs[contig][position - 1 - length // 2 :][:length]
        assert text == (window if strand == "+" else reverse(window))


PLACES = (
    "chromosome\tstart\tend\tsplit\tlabel\nchr1\t5\t90\ttrain\t0,2\nchr8\t5\t95\tvalid\t1\nchr9\t9\t99\ttest\t1,2,0\n"
)
POSITIVES = ["label_kind=tracks", "coding=positives", "outputs=a,b,c"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (PLACES.replace("0,2", "0,3"), POSITIVES, "row 1 names the track '3', which is no number from 0 to 2"),
        (PLACES, POSITIVES[:2], "option outputs is missing"),
        (PLACES, [*POSITIVES[:1], "coding=list"], "row 1 has '0,2', which is no list of zeros and ones"),
        (PLACES, ["coding=positives"], "is for one column of tracks"),
        (PLACES, ["coding=bits"], "option coding=bits is none of columns, positives, list"),
        (PLACES.replace("valid", "fold3"), POSITIVES, "row 2 has 'fold3' in the column 'split'"),
        (PLACES.replace("test", "train"), POSITIVES, "no row is in the split 'test'"),
        (PLACES, [*POSITIVES, "label=tracks"], "no column 'tracks'"),
        (PLACES, [*POSITIVES, "position=label"], "row 1 is no place (0,2)"),
        (PLACES.replace("90", "4"), POSITIVES, "row 1 is no place (5 to 4)"),
        (PLACES, [*POSITIVES, "contig=contig"], "no column 'contig'"),
        (PLACES, [*POSITIVES, "base=2"], "option base=2: the first base of a contig has the number 0 or 1"),
        (PLACES.replace("\t5\t90", "\t0\t90"), [*POSITIVES, "base=1"], "row 1 is no place (0 to 90)"),
        (PLACES.replace("start", "end"), [*POSITIVES, "start=end"], "two columns are called 'end'"),
        (PLACES.replace("0,2", "1"), ["label_kind=values", "label=label,label"], "'label' is named twice as a label"),
        (PLACES, ["label_kind=values"], "row 1 has '0,2' in the column 'label', which is no finite number"),
    ],
)
def test_mistakes_in_places_are_one_sentence(tmp_path, capsys, genomes, text, options, said):
    (tmp_path / "places.bed").write_text(text)
    sources = {"places": tmp_path / "places.bed", "genome": genomes[0]}
    assert said in refused(capsys, building(tmp_path / "set.parquet", "labelled_places", sources, options))


def test_places_have_classes_and_columns_too(tmp_path, genomes):
    genome, contigs = genomes
    rows = [
        ("chr1", 1, 60, "train", "x", 1, ""),
        ("chr1", 61, 120, "train", "y", 0, 1),
        ("chr8", 1, 60, "valid", "x", 1, 0),
    ]
    rows += [("chr9", 1, 60, "test", "y", 0, 1), ("chr1", 121, 180, "train", "x", 0, 0)]
    rows += [("chr8", 61, 120, "valid", "y", 0, 1), ("chr9", 61, 120, "test", "x", 1, 0)]
    columns = ["chromosome", "start", "end", "split", "label", "a", "b"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "p.csv", index=False)
    sources = {"places": tmp_path / "p.csv", "genome": genome}
    classes = built(tmp_path / "c.parquet", "labelled_places", sources, ["base=1"])
    assert list(classes["label"]) == list("xyxyxyx") and labels_in(classes) == ("classes", [])
    assert classes["sequence"][1] == contigs["chr1"][60:120]
    tracks = built(tmp_path / "t.parquet", "labelled_places", sources, ["base=1", "label=a,b", "label_kind=tracks"])
    assert list(tracks["label"]) == ["1;", "0;1", "1;0", "0;1", "0;0", "0;1", "1;0"]


def test_the_study_has_files_with_licences_and_metrics_that_fit(monkeypatch):
    """Each task reads files of the ledger at https, stated with a licence, and a metric of the kind that it makes."""
    monkeypatch.chdir(ROOT)
    study = read_study(STUDY)
    assert {labels_of(TASKS[name]["metric"]) for name in NAMES} == {"values", "tracks"}
    for name in NAMES:
        reader = READERS[TASKS[name]["reader"]]
        given = dict(read_pairs(TASKS[name]["options"]))
        assert reader.label_kind(given) == labels_of(TASKS[name]["metric"]), name
        assert not reader.missing(dict(read_pairs(TASKS[name]["sources"]))), name
        for role, source in read_pairs(TASKS[name]["sources"]):
            if not source.startswith("genome:"):
                assert reader.knows(role) and LEDGER[source]["licence"], source
                check_url(LEDGER[source]["url"])
    arms = {(job.task, job.init) for job in study.cells if job.analysis == "finetune"}
    assert {(name, arm) for name in NAMES for arm in ("pretrained", "random", "baseline")} <= arms


def test_places_of_one_base_and_classes_of_two_spellings(tmp_path, genomes):
    """Where counting begins with 1, start and end of one base are the same number; `1.0` is the class `1`."""
    genome, contigs = genomes
    rows = [("chr1", at, at + long, "train", label) for at, long, label in ((1, 59, "1"), (70, 0, "1.0"), (90, 9, "0"))]
    rows += [("chr8", 1, 60, "valid", "0.0"), ("chr9", 1, 60, "test", "1")]
    table = pd.DataFrame(rows, columns=["chromosome", "start", "end", "split", "label"])
    table.to_csv(tmp_path / "p.csv", index=False)
    frame = built(
        tmp_path / "c.parquet", "labelled_places", {"places": tmp_path / "p.csv", "genome": genome}, ["base=1"]
    )
    assert list(frame["sequence"][:3]) == [contigs["chr1"][0:60], contigs["chr1"][69], contigs["chr1"][89:99]]
    assert list(frame["label"]) == ["1", "1", "0", "0", "1"]


def test_a_column_of_activities_is_named_once(tmp_path, capsys):
    pd.DataFrame({"sequence": ["ACGTACGTAC", "GGGTACGTAC"], "dev": [1.0, 2.0]}).to_csv(tmp_path / "t.csv", index=False)
    sources = dict.fromkeys(["train.table", "test.table"], tmp_path / "t.csv")
    argv = building(tmp_path / "set.parquet", "reporters", sources, ["label=dev,dev"])
    assert "the column 'dev' is named twice as a label" in refused(capsys, argv)
