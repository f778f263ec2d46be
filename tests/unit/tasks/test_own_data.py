"""Data of one's own: every kind of file comes to the same set, and what cannot be used is one sentence."""

import random

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.study.checks import read_study
from foundationless.study.own.keep import read_base
from foundationless.tasks.own.look import Given, find_files, look
from foundationless.tasks.own.study import name_of, own_study
from foundationless.tasks.readers import build_set
from support import ROOT
from support.own_sets import planted


@pytest.fixture
def table():
    return planted("motif", 80, 60)


def looked(path, **given):
    return look(Given(find_files(str(path)), **given), 1)


def made(found, genome=None):
    sources = dict(found.sources) | ({"genome": genome} if genome else {})
    return build_set(found.reader, sources, found.options, 1)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "xlsx"])
def test_tables_of_any_kind_are_the_same_set(tmp_path, table, ending):
    path = tmp_path / f"mine {{1}}.{ending}"
    {
        "csv": lambda: table.to_csv(path, index=False),
        "tsv": lambda: table.to_csv(path, sep="\t", index=False),
        "parquet": lambda: table.to_parquet(path, index=False),
        "xlsx": lambda: table.to_excel(path, index=False),
    }[ending]()
    found = looked(path)
    assert found.options["sequence"] == "dna" and found.options["label"] == "class"
    frame = made(found)
    assert frame["sequence"].tolist() == table["dna"].tolist()
    assert frame["label"].tolist() == table["class"].tolist()
    assert set(frame["split"]) == {"train", "validation", "test"}
    said = " ".join(found.sentences)
    assert (
        "80 rows" in said
        and "silent 40" in said
        and "all 60 bases" in said
        and "No sequence stands there twice" in said
    )


def test_fasta_of_each_class(tmp_path, table):
    for label, rows in table.groupby("class"):
        (tmp_path / f"{label}.fa").write_text("".join(f">x\n{text}\n" for text in rows["dna"]))
    found = looked(tmp_path)
    frame = made(found)
    assert frame["label"].value_counts().to_dict() == {"active": 40, "silent": 40}
    both = looked(f"{tmp_path}/active.fa, {tmp_path}/silent.fa")
    pd.testing.assert_frame_equal(made(both), frame)


def genome(tmp_path, contigs=6, length=4000):
    path = tmp_path / "genome.fa"
    texts = ["".join(random.Random(number).choices("ACGT", k=length)) for number in range(contigs)]
    path.write_text("".join(f">chr{number + 1}\n{text}\n" for number, text in enumerate(texts)))
    return path, texts


def test_intervals_split_by_chromosome(tmp_path):
    fasta, texts = genome(tmp_path)
    places = [(f"chr{contig + 1}", 100 * at, 100 * at + 80, "ab"[at % 2]) for contig in range(6) for at in range(20)]
    bed = tmp_path / "mine.bed"
    bed.write_text("".join(f"{contig}\t{start}\t{end}\t{name}\t0\t+\n" for contig, start, end, name in places))
    found = looked(bed, genome=fasta)
    frame = made(found, fasta)
    assert frame["sequence"].iloc[0] == texts[0][:80] and "by chromosome" in " ".join(found.sentences)
    assert (frame.groupby("group")["split"].nunique() == 1).all() and frame["split"].nunique() == 3
    with pytest.raises(UserError, match="need a genome; name its FASTA with GENOME="):
        looked(bed)


def test_variants_are_windows_with_their_allele(tmp_path):
    fasta, texts = genome(tmp_path)
    lines = ["##fileformat=VCFv4.2", '##INFO=<ID=EFFECT,Number=1,Type=String,Description="class">']
    lines += [f"##contig=<ID=chr{number + 1},length=4000>" for number in range(6)]
    lines += ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for contig in range(6):
        for at in range(20):
            ref = texts[contig][150 * at + 300]
            alt, effect = "CGTA"["ACGT".index(ref)], "gain" if at % 2 else "none"
            lines.append(f"chr{contig + 1}\t{150 * at + 301}\t.\t{ref}\t{alt}\t.\t.\tEFFECT={effect}")
    vcf = tmp_path / "mine.vcf"
    vcf.write_text("\n".join(lines) + "\n")
    found = looked(vcf, genome=fasta, label="EFFECT")
    frame = made(found, fasta)
    assert len(frame) == 120 and set(frame["label"]) == {"gain", "none"}
    row = frame.iloc[0]
    ref, alt = row["id"].split(":")[2:]
    assert row["sequence"][256] == alt and texts[0][300] == ref
    assert row["sequence"][257:400] == texts[0][301:444]
    with pytest.raises(UserError, match="which INFO field is the class"):
        looked(vcf, genome=fasta)


@pytest.mark.parametrize(
    ("change", "given", "sentence"),
    [
        (lambda t: t, {"label": "clas"}, "has no column 'clas' .LABEL=.; did you mean 'class'"),
        (lambda t: t, {"label": "class", "sequence": "DNA"}, "did you mean 'dna'"),
        (lambda t: t.rename(columns={"class": "kind"}), {}, "say which column is the class"),
        (lambda t: t.assign(**{"class": "one"}), {}, "all rows are of one class, 'one'"),
        (lambda t: t.head(20), {}, "class 'silent' has 10 rows"),
        (lambda t: t.assign(dna="MKVLAAGIVGLCAKLPQ"), {"sequence": "dna"}, "no letter of DNA .it looks like protein"),
        (lambda t: t.drop(columns="dna"), {}, "no column looks like DNA"),
        (lambda t: t.assign(**{"class": [f"{n / 7:.3f}" for n in range(80)]}), {}, "numbers that were measured"),
        (lambda t: t.assign(**{"class": [""] + ["a", "b"] * 39 + ["a"]}), {}, "row 1 has nothing in 'class'"),
        (lambda t: t.assign(dna=["", *t["dna"][1:]]), {"sequence": "dna"}, "row 1 has no sequence"),
        (lambda t: t.assign(part="train"), {"split": "part"}, "no row is in the split 'test'"),
        (lambda t: t, {"label": "dna"}, "one column is named twice|different values"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, table, change, given, sentence):
    path = tmp_path / "mine.csv"
    change(table).to_csv(path, index=False)
    with pytest.raises(UserError, match=sentence) as error:
        looked(path, **given)
    assert "\n" not in str(error.value)


def test_the_study_fits_together_and_its_second_task_is_dealt_row_by_row(tmp_path, table):
    path = tmp_path / "My data.csv"
    table.assign(plate=[f"p{n // 4}" for n in range(80)]).to_csv(path, index=False)
    found = looked(path, group="plate")
    name = name_of(find_files(str(path)))
    plan = read_study(own_study(read_base(ROOT / "config/own.yaml"), name, "My data", found))
    assert name == "my_data" and plan.local_path("my_data_all") == str(path)
    assert plan.options("my_data") == ["sequence=dna", "label=class", "group=plate", "fractions=0.64,0.16,0.2"]
    assert "deal=rows" in plan.options("my_data_rows")
    cells = {(cell.analysis, cell.task) for cell in plan.cells}
    assert cells == {("finetune", "my_data"), ("controls", "my_data_rows")}
    assert not [cell for cell in plan.cells if cell.analysis == "controls" and cell.init == "pretrained"]
