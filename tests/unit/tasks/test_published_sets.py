"""Readers of published benchmark files: Parquet and labelled FASTA of hubs, intervals by class, counts by biotype."""

import gzip
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from foundationless.data.reference import Piece, prepare_genome
from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study import families, vocabulary
from foundationless.study.checks import REGION, check_source, read_study
from foundationless.study.config import read_yaml
from foundationless.study.plan import read_pairs
from foundationless.study.readers import READERS
from support.commands import building, built, output_of, refused


def dna(length, seed):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.fixture
def hub(tmp_path):
    """Two tasks in one Parquet a split, integer labels, as a hub publishes them; and the files."""
    frames = {}
    for split, size in (("train", 40), ("test", 20)):
        rows = [{"seq": dna(30, 100 * size + n), "label": n % 2, "task": ("H3", "H4")[n % 4 // 2]} for n in range(size)]
        frames[split] = pd.DataFrame(rows)
        frames[split].to_parquet(tmp_path / f"{split}.parquet")
    return frames, {split: tmp_path / f"{split}.parquet" for split in frames}


OPTIONS = ["sequence=seq", "labels=0:none,1:marked", "filter=task=H4", "validation_fraction=0.2"]


def test_parquet_with_columns_labels_and_a_filter(tmp_path, hub):
    frames, sources = hub
    frame = built(tmp_path / "H3.parquet", "table", sources, OPTIONS)
    for split, original in frames.items():
        wanted = original[original["task"] == "H4"]
        got = frame[(frame["split"] == "test") == (split == "test")]
        assert list(got["sequence"]) == list(wanted["seq"])
        assert list(got["label"]) == [("none", "marked")[label] for label in wanted["label"]]
    assert Counter(frame["split"]) == {"train": 16, "validation": 4, "test": 10}


@pytest.mark.parametrize(
    ("column", "row", "value", "options", "parts"),
    [
        ("label", 7, 2, OPTIONS, ["task 'H3'", "train.parquet", "row 8", "label '2'"]),
        ("label", 6, None, OPTIONS, ["row 7 has no label"]),
        ("seq", 2, "ACXT", OPTIONS, ["row 3", "'X' at position 3"]),
        ("seq", 2, None, OPTIONS, ["row 3", "empty"]),
        ("label", 0, 0, [*OPTIONS[:2], "filter=task=H9"], ["no row has task 'H9'"]),
        ("label", 0, 0, OPTIONS[1:], ["no column 'sequence'"]),
        ("label", 0, 0, [*OPTIONS[:1], "labels=0"], ["labels=0 is not understood"]),
    ],
)
def test_errors_name_task_and_row(tmp_path, capsys, hub, column, row, value, options, parts):
    frames, sources = hub
    frame = frames["train"].astype({"label": "Int64"})
    frame.loc[row, column] = pd.NA if value is None else value
    frame.to_parquet(sources["train"])
    error = refused(capsys, building(tmp_path / "H3.parquet", "table", sources, options))
    assert all(part in error for part in parts), error


def test_a_damaged_parquet_is_one_sentence(tmp_path, capsys, hub):
    _, sources = hub
    sources["train"].write_bytes(sources["train"].read_bytes()[:-20])
    error = refused(capsys, building(tmp_path / "H3.parquet", "table", sources, OPTIONS))
    assert "train.parquet: cannot be read as Parquet" in error


def test_fasta_with_labels_in_the_headers(tmp_path, capsys):
    text = "".join(f">chr1:{n}-{n + 20}|{n % 2}\n{dna(20, n).lower()}\n" for n in range(20))
    with gzip.open(tmp_path / "train.fna.gz", "wt") as stream:
        stream.write(text)
    (tmp_path / "test.fna").write_text(text)
    request = tmp_path / "H3.parquet", "table", {"train": tmp_path / "train.fna.gz", "test": tmp_path / "test.fna"}
    error = refused(capsys, building(*request, ["labels=0:none,1:site"]))
    assert "stands more than once" in error  # the same places in both: ids are the places
    (tmp_path / "test.fna").write_text(text.replace("chr1", "chr2"))
    frame = built(*request, ["labels=0:none,1:site"])
    assert list(frame["label"][:2]) == ["none", "site"] and frame["sequence"][0] == dna(20, 0)
    (tmp_path / "test.fna").write_text(text + ">chr3:1-20\nACGT\n")
    assert "record 21 ('chr3:1-20') has no label" in refused(capsys, building(*request))


@pytest.fixture
def genome(tmp_path):
    raw = tmp_path / "raw.fa"
    raw.write_text("".join(f">{contig}\n{dna(9000, seed)}\n" for seed, contig in enumerate(("2L", "X"))))
    prepare_genome([Piece(raw)], tmp_path / "genome.fa")
    return tmp_path / "genome.fa"


def test_intervals_by_class_equal_bedtools(tmp_path, capsys, genome, tool):
    generator = np.random.default_rng(3)
    sources, expected = {"genome": genome}, []
    for split in ("train", "test"):
        for label in ("negative", "positive"):
            starts = enumerate(generator.integers(0, 8800, 12))
            draw = generator.choice
            rows = [(n, draw(["2L", "X"]), start, start + 150, draw(["+", "-"])) for n, start in starts]
            path = tmp_path / f"{split}_{label}.csv.gz"
            table = pd.DataFrame(rows, columns=["id", "region", "start", "end", "strand"])
            table.assign(region="chr" + table["region"]).to_csv(path, index=False)  # named as the lists name them
            bed = "".join(f"{c}\t{s}\t{e}\t.\t0\t{strand}\n" for _, c, s, e, strand in rows)
            command = [tool("bedtools"), "getfasta", "-s", "-tab", "-fi", genome, "-bed", "-"]
            expected += [(line.split("\t")[1], label) for line in output_of(*command, input=bed).splitlines()]
            sources[f"{split}.{label}"] = path
    request = tmp_path / "set.parquet", "fasta_classes", sources
    frame = built(*request, ["validation_fraction=0.25"])
    assert list(zip(frame["sequence"], frame["label"], strict=True)) == expected
    assert Counter(frame["split"]) == {"train": 18, "validation": 6, "test": 24} and set(frame["group"]) == {"2L", "X"}
    with gzip.open(sources["train.negative"], "at") as stream:
        stream.write("99,chr2L,20,10,+\n")
    assert "row 13 is no interval" in refused(capsys, building(*request))


def test_genes_are_drawn_to_counts(tmp_path, capsys, genome):
    lines = []
    for number in range(60):
        biotype = ("lncRNA", "miRNA", "TEC")[number % 3]
        fields = ["2L", "x", "gene", str(1 + 100 * number), str(80 + 100 * number), ".", "+", "."]
        lines.append("\t".join([*fields, f'gene_id "g{number}"; gene_type "{biotype}";']))
    (tmp_path / "genes.gtf").write_text("\n".join(lines) + "\n")
    request = tmp_path / "set.parquet", "genes", {"genes": tmp_path / "genes.gtf", "genome": genome}
    frame = built(*request, ["counts=lncRNA:7,miRNA:25"])
    assert Counter(frame["label"]) == {"lncRNA": 7, "miRNA": 20}
    assert "20 of class miRNA instead of the 25" in capsys.readouterr().err
    assert list(built(*request, ["counts=lncRNA:7,miRNA:25"])["id"]) == list(frame["id"])
    assert "class 'snRNA'" in refused(capsys, building(*request, ["counts=snRNA:3"]))
    assert "leave out" in refused(capsys, building(*request, ["counts=TEC:3", "max_per_class=2"]))
    assert "not understood" in refused(capsys, building(*request, ["counts=TEC"]))


def study_tables():
    keys = {"tasks": "task", "datasets": "name"}
    return [{row[key]: row for row in read_table(f"config/{table}.tsv", [key])} for table, key in keys.items()]


def test_the_study_has_its_tasks_and_each_file_is_in_the_ledger(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    tasks, datasets = study_tables()
    suites = Counter(name.partition("_")[0] for name in tasks)
    assert (suites["nt"], suites["nt2"], suites["gue"], suites["gb"], suites["ancestry"]) == (18, 18, 28, 9, 11)
    for name, row in tasks.items():
        for _, source in read_pairs(row["sources"]):
            kind, _, rest = source.rpartition(":")
            if kind in ("", "region"):
                assert rest.partition("/")[0] in datasets, name
        assert not set(dict(read_pairs(row["options"]))) - READERS[row["reader"]].options.keys(), name
    # The window of the file and the window of the reader are the same, and 32 kb long.
    for name in (name for name in tasks if name.startswith("ancestry")):
        options = dict(read_pairs(tasks[name]["options"]))
        window = REGION.fullmatch(tasks[name]["sources"].split(";")[0].partition("/")[2])
        assert window is not None and window.groupdict() == options
        assert int(options["end"]) - int(options["start"]) == 31_999


def test_the_study_plans_52_tasks_and_every_target(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    study = read_study(read_yaml("config/paper.yaml"))
    finetuned = study.by_task["finetune"]
    assert Counter(study.tasks[task]["suite"] for task in finetuned) == {"nt": 18, "gue": 28, "gb": 6}
    settings = [study.finetuning(task, "finetune") for task in ("nt_H3", "gue_emp_H3", "gb_demo_human_or_worm")]
    assert [(s["epochs"], s["folds"]) for s in settings] == [(100, [0, 5, 9]), (20, []), (100, [])]
    planned = {one for target in vocabulary.TARGETS.values() for one in target}
    # no paper's
    ours = {
        "fewshot_finetune",
        "retrieval",
        "structure",
        "explanations",
        "ingredients",
        "bases",
        "indels",
        "variant_probe",
    }
    assert planned - {*vocabulary.OF_EFFECTS} - ours == set(study.by_task)
    # Every published checkpoint has its pretrained arm, and what was never released is made.
    arms = {(job.model, job.init) for job in study.cells if job.analysis == "finetune"}
    names = {name for name in study.config["baselines"] if "match" in (study.config["baselines"][name] or {})}
    of_others = {*families.CELL_FAMILIES, *vocabulary.EFFECT_BASELINES, *vocabulary.OF_VARIANTS}
    names |= {name for name, entry in study.entries.items() if entry.get("family") not in (None, *of_others)}
    names -= {"dilated_cnn"}  # which stands there once for every model that it matches
    assert {(model, arm) for model in names for arm in study.model(model).arms if arm != "baseline"} <= arms


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("region:kgp_chr1/chr1.5-4", "is not region:DATASET/CONTIG.START-END"),
        ("region:kgp_chr1/chr1:4-5", "is no dataset"),
        ("region:kgp_panel/chr1.4-5", "no index"),
        ("region:kgp_chr99/chr1.4-5", "did you mean 'kgp_chr9'"),
    ],
)
def test_impossible_regions_are_one_sentence(monkeypatch, request, source, words):
    monkeypatch.chdir(request.config.rootpath)
    study = read_study(read_yaml("config/paper.yaml"))
    check_source(study, "region:kgp_chr1/chr1.4-5", "here")
    with pytest.raises(UserError, match=re.escape(words)):
        check_source(study, source, "here")


def test_the_studys_names_of_tasks_are_those_of_its_tables(monkeypatch, request, shared):
    monkeypatch.chdir(request.config.rootpath)
    tasks, _ = study_tables()
    reported = pd.read_csv(shared / "paper_reported_numbers.tsv", sep="\t")
    for experiment, prefix in (("nt_finetune", "nt_"), ("gb_finetune", "gb_")):
        named = {row["paper_task"] for name, row in tasks.items() if name.startswith(prefix)} - {""}
        assert named == set(reported.loc[reported["experiment"] == experiment, "task"])
    gue = {row["group"] for name, row in tasks.items() if name.startswith("gue_")}
    assert gue - {"COVID"} == set(reported.loc[reported["experiment"] == "gue_finetune", "task"])
