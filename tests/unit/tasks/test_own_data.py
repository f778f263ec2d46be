"""Data of one's own: every kind of file comes to the same set, and what cannot be used is one sentence."""

import gzip
import random

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.study.checks import read_study
from foundationless.study.own.keep import read_base
from foundationless.tasks.own.found import Given
from foundationless.tasks.own.look import find_files, look
from foundationless.tasks.own.study import name_of, own_study
from foundationless.tasks.readers import build_set
from foundationless.tasks.sequence_sets import write_sequences
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
    packed = tmp_path / "genome.fa.gz"
    packed.write_bytes(gzip.compress(fasta.read_bytes()))
    assert looked(bed, genome=packed).sizes == found.sizes == frame["split"].value_counts().to_dict() | {"length": 80}
    assert sorted(path.name for path in tmp_path.iterdir()) == [fasta.name, f"{fasta.name}.fai", packed.name, bed.name]


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ([("chr1", 30 * at, "ab"[at % 2]) for at in range(120)], "120 of 120 rows belong to groups, or clusters"),
        ([(f"chr{at % 6 + 1}", 9000 + at, "ab"[at // 6 % 2]) for at in range(120)], "covers none of its 120 places"),
        ([(f"HLA{at % 6 + 1}", 9 * at, "ab"[at // 6 % 2]) for at in range(120)], "no contig 'HLA1' there"),
        ([(f"chr{at % 6 + 1}", 9 * at, f"peak{at}") for at in range(120)], "class 'peak0' has 1 rows"),
    ],
)
def test_places_that_cannot_be_used_are_one_sentence(tmp_path, places, sentence):
    bed = tmp_path / "mine.bed"
    bed.write_text("".join(f"{contig}\t{start}\t{start + 80}\t{name}\t0\t+\n" for contig, start, name in places))
    with pytest.raises(UserError, match=sentence):
        looked(bed, genome=genome(tmp_path)[0])


def test_variants_are_windows_with_their_allele(tmp_path, capsys):
    fasta, texts = genome(tmp_path)
    lines = ["##fileformat=VCFv4.2", '##INFO=<ID=EFFECT,Number=1,Type=String,Description="class">']
    lines += [f"##contig=<ID=chr{number},length=4000>" for number in (*range(1, 7), 9)]
    lines += ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for contig in range(6):
        for at in range(20):
            ref = texts[contig][150 * at + 300]
            alt, effect = "CGTA"["ACGT".index(ref)], "gain" if at % 2 else "none"
            lines.append(f"chr{contig + 1}\t{150 * at + 301}\t.\t{ref}\t{alt}\t.\t.\tEFFECT={effect}")
    lines += [f"chr9\t{at}\t.\tA\tC\t.\t.\tEFFECT={'gain' if at % 2 else 'none'}" for at in range(1, 31)]
    vcf = tmp_path / "mine.vcf"
    vcf.write_text("\n".join(lines) + "\n")
    found = looked(vcf, genome=fasta, label="EFFECT")
    frame = made(found, fasta)
    assert len(frame) == 120 and set(frame["label"]) == {"gain", "none"}
    assert "30 of 150 variants are on contigs that genome.fa lacks (chr9)" in capsys.readouterr().err
    row = frame.iloc[0]
    ref, alt = row["id"].split(":")[2:]
    assert row["sequence"][256] == alt and texts[0][300] == ref
    assert row["sequence"][257:400] == texts[0][301:444]
    with pytest.raises(UserError, match="which INFO field is the label"):
        looked(vcf, genome=fasta)
    (tmp_path / "other.fa").write_text(">chr9_alt\nACGT\n")
    with pytest.raises(UserError, match="no contig 'chr1' there"):
        looked(vcf, genome=tmp_path / "other.fa", label="EFFECT")


@pytest.mark.parametrize(
    ("change", "given", "sentence"),
    [
        (lambda t: t, {"label": "clas"}, "has no column 'clas' .LABEL=.; did you mean 'class'"),
        (lambda t: t, {"label": "class", "sequence": "DNA"}, "did you mean 'dna'"),
        (lambda t: t.rename(columns={"class": "kind"}), {}, "say which column is the label"),
        (lambda t: t.assign(**{"class": "one"}), {}, "all rows are of one class, 'one'"),
        (lambda t: t.head(20), {}, "class 'silent' has 10 rows"),
        (lambda t: t.assign(dna="MKVLAAGIVGLCAKLPQ"), {"sequence": "dna"}, "no letter of DNA .it looks like protein"),
        (lambda t: t.drop(columns="dna"), {}, "no column looks like DNA"),
        (
            lambda t: t.assign(**{"class": [f"{n / 7:.3f}" for n in range(80)]}),
            {"kind": "classes"},
            "numbers that were measured",
        ),
        (lambda t: t.assign(**{"class": [""] + ["a", "b"] * 39 + ["a"]}), {}, "row 1 has nothing in 'class'"),
        (lambda t: t.assign(dna=["", *t["dna"][1:]]), {"sequence": "dna"}, "row 1 has no sequence"),
        (lambda t: t.assign(part="train"), {"split": "part"}, "no row is in the split 'test'"),
        (lambda t: t.assign(part="tuning"), {"split": "part"}, "'tuning' in the column of the split is none of"),
        (lambda t: t, {"group": "class"}, "one column is named twice"),
        (lambda t: t.assign(plate="p"), {"group": "plate"}, "80 of 80 rows belong to groups, .* never tested on"),
        (lambda t: t.assign(dna="AC-" + t["dna"]), {}, "holds '-', which is no letter of DNA .such signs are in 80"),
        (lambda t: t.set_axis(["class", "dna", "class"], axis=1), {}, "two columns are called 'class'"),
        (lambda t: t[["dna"]], {}, "it has one column, 'dna' .signs between columns"),
        (lambda t: t.T.reset_index().T.set_axis(["My lab", "", ""], axis=1), {}, "delete what stands above the row"),
        (lambda t: t, {"label": "dna"}, "'dna' has 80 different values .a name for nearly every row"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, table, change, given, sentence):
    path = tmp_path / "mine.csv"
    change(table).to_csv(path, index=False)
    with pytest.raises(UserError, match=sentence) as error:
        looked(path, **given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("MINE.CSV", lambda t, path: t.to_csv(path, index=False)),
        ("MINE.XLSX", lambda t, path: t.to_excel(path, index=False, engine="openpyxl")),
        ("tabs.txt", lambda t, path: t.to_csv(path, index=False, sep="\t")),
        ("semicolons.csv", lambda t, path: t.to_csv(path, index=False, sep=";")),
        ("mark.csv.gz", lambda t, path: t.to_csv(path, index=False, encoding="utf-8-sig")),
        ("repeated.csv", lambda t, path: t.assign(id="gene").to_csv(path, index=False)),
    ],
)
def test_tables_as_people_have_them_are_read(tmp_path, table, name, write):
    write(table, tmp_path / name)
    frame = made(looked(tmp_path / name))
    assert frame["sequence"].tolist() == table["dna"].tolist() and frame["label"].tolist() == table["class"].tolist()
    write_sequences(tmp_path / "set.parquet", frame)


def test_days_of_a_workbook_are_those_of_its_text(tmp_path, table):
    days = table.assign(**{"class": table["class"].map({"active": "2024-01-31", "silent": "2024-06-01"})})
    days.astype({"class": "datetime64[ns]"}).to_excel(tmp_path / "days.xlsx", index=False)
    assert made(looked(tmp_path / "days.xlsx"))["label"].tolist() == days["class"].tolist()


@pytest.mark.parametrize("ending", ["fa", "fas", "FNA"])
def test_one_fasta_has_its_classes_in_the_headers(tmp_path, table, ending):
    path = tmp_path / f"mine.{ending}"
    path.write_text("".join(f">{name}|{label}\n{text}\n" for name, text, label in table.itertuples(index=False)))
    frame = made(looked(path))
    assert frame["sequence"].tolist() == table["dna"].tolist() and frame["label"].tolist() == table["class"].tolist()


def test_what_is_not_used_or_torn_is_said(tmp_path, table):
    path = tmp_path / "mine.csv"
    split = ["Training"] * 60 + ["dev"] * 20 + ["test"] * 20
    table = pd.concat([table, table.head(20)]).assign(part=split)
    table.to_csv(path, index=False)
    said = " ".join(looked(path).sentences)
    assert "The column 'part' is not used; SPLIT=part" in said and "in 80 groups that are not torn" in said
    said = " ".join(looked(path, split="part").sentences)
    assert "60 train, 20 validation, 20 test rows, in 80 groups, of which 20 are torn" in said and "SPLIT=" not in said
    table.assign(**{"class": ["Active", "active"] * 50}).to_csv(path, index=False)
    assert "differ only in capital letters" in " ".join(looked(path).sentences)


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
