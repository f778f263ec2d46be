"""Published tables of variants, and ClinVar-style VCFs of every kind, as variant sets."""

import random

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.runtime.files import read_table
from foundationless.study.plan import read_pairs
from foundationless.tasks.readers import build_set
from foundationless.tasks.sequence_sets import read_sequences, write_sequences
from support import ROOT

CONTIGS = {
    name: "".join(random.Random(seed).choices("ACGT", k=600)) for seed, name in enumerate(["chr1", "chr2", "chrX"])
}


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in CONTIGS.items()))
    return path


def matched(n: int = 40) -> pd.DataFrame:
    """Matched sets as TraitGym writes them: one causal variant and nine controls of one chromosome in each."""
    generator, rows = random.Random(1), []
    for number in range(n):
        contig = list(CONTIGS)[number // 10 % 3]
        position = 60 + 11 * number
        ref = CONTIGS[contig][position - 1]
        alt = next(base for base in "TGCA" if base != ref)
        consequence = generator.choice(["PLS", "5_prime_UTR_variant"])
        rows.append(
            (contig[3:], position, ref, alt, number % 10 == 0, consequence, f"{consequence}_{number // 10}", number / 7)
        )
    return pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "label", "consequence", "match_group", "cadd"])


OPTIONS = {"label": "label", "group": "match_group", "consequence": "consequence", "columns": "cadd", "length": "40"}


def write(frame, path):
    writers = {
        ".parquet": frame.to_parquet,
        ".csv": frame.to_csv,
        ".tsv": lambda p, index: frame.to_csv(p, sep="\t", index=index),
    }
    writers[path.suffix](path, index=False)
    return path


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv"])
def test_matched_sets_keep_chromosome_group_and_consequence(tmp_path, genome, ending):
    table = matched()
    sources = {"table": write(table, tmp_path / f"t{ending}"), "genome": genome}
    write_sequences(tmp_path / "set.parquet", build_set("variant_table", sources, OPTIONS, 1))
    made = read_sequences(tmp_path / "set.parquet")
    assert (
        made["contig"].tolist() == ("chr" + table["chrom"]).tolist()
        and made["position"].tolist() == table["pos"].tolist()
    )
    assert (
        made["group"].tolist() == table["match_group"].tolist()
        and made["consequence"].tolist() == table["consequence"].tolist()
    )
    assert (made["label"] == "pathogenic").tolist() == table["label"].tolist() and set(made["label"]) == {
        "benign",
        "pathogenic",
    }
    assert made["cadd"].tolist() == pytest.approx(table["cadd"].tolist()) and set(made["gene"]) == {"all"}
    assert "alternative" not in made and set(made["kind"]) == {"snv"}


def test_parts_bases_labels_filters_and_numbers(tmp_path, genome):
    table = matched().assign(
        label=lambda rows: rows["label"].map({True: "LOF", False: "FUNC"}), pos=lambda rows: rows["pos"] - 1
    )
    table.loc[3, ["label", "cadd"]] = ["INT", None]
    write(table[:25].assign(cadd=table["cadd"].astype(str).replace("nan", "NA")), tmp_path / "a.csv")
    write(table[25:], tmp_path / "b.parquet")
    sources = {"table": tmp_path / "a.csv", "table.2": tmp_path / "b.parquet", "genome": genome}
    options = {
        "base": "0",
        "label": "label",
        "labels": "LOF:pathogenic,FUNC:benign,INT:unknown",
        "score": "cadd",
        "length": "40",
    }
    made = build_set("variant_table", sources, options, 1)
    assert len(made) == 40 and made["label"].isna().sum() == 1 and made["score"].isna().sum() == 1
    assert made["position"].tolist() == matched()["pos"].tolist() and made["group"].tolist() == made["contig"].tolist()
    fewer = build_set("variant_table", sources, options | {"filter": "consequence=PLS", "unlabelled": "no"}, 1)
    assert len(fewer) == (table.drop(index=3)["consequence"] == "PLS").sum()


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        ({"pos": "x"}, {}, "row 3 has the position 'x', which is no whole number"),
        ({"pos": ""}, {}, "row 3 has nothing in the column 'pos'"),
        ({"label": "maybe"}, {}, "row 3 has the label 'maybe'"),
        ({"label": "maybe"}, {"labels": "maybe:odd"}, "'odd' is none of benign, pathogenic, unknown"),
        ({"cadd": "high"}, {"score": "cadd", "columns": ""}, "row 3 has the score 'high'"),
        ({"ref": "NN"}, {"kinds": "indel"}, "no variant is left"),
        ({}, {"columns": "position"}, "'position' is a column of every set"),
        ({}, {"label": "y"}, "has no column 'y'"),
        ({}, {"kinds": "indels"}, "option kinds=indels is not understood"),
        ({}, {"filter": "consequence=x"}, "no row is left by the option filter"),
        ({"ref": "T", "alt": "A"}, {}, "REF alleles disagree with the genome"),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, genome, change, options, sentence):
    table = matched().astype(str)
    for name, value in change.items():
        table.loc[2, name] = value
    if change.get("ref") == "T":
        table.loc[2, ["ref", "alt"]] = ["T", "A"] if matched().loc[2, "ref"] != "T" else ["A", "T"]
    sources = {"table": write(table, tmp_path / "t.csv"), "genome": genome}
    with pytest.raises(UserError) as raised:
        build_set("variant_table", sources, OPTIONS | options, 1)
    assert sentence in str(raised.value) and "\n" not in str(raised.value)


def test_clinical_sets_of_every_kind(tmp_path, genome):
    text = CONTIGS["chr1"]
    header = ["##fileformat=VCFv4.2", "##contig=<ID=1,length=600>"]
    header += [f'##INFO=<ID={name},Number=.,Type=String,Description="x">' for name in ("CLNSIG", "GENEINFO", "MC")]
    other = next(base for base in "ACGT" if base != text[99])
    rows = [
        (100, text[99], other, "Benign", "SO:1|intron_variant,SO:2|missense_variant"),
        (120, text[119:123], text[119], "Pathogenic", "SO:3|frameshift_variant"),
        (140, text[139], text[139] + "GATTACA", "Pathogenic", "SO:4|splice_donor_variant,SO:2|missense_variant"),
        (160, text[159], "<DUP>", "Pathogenic", "SO:1|intron_variant"),
    ]
    lines = [f"1\t{p}\t.\t{r}\t{a}\t.\t.\tCLNSIG={c};GENEINFO=AB:1;MC={m}" for p, r, a, c, m in rows]
    (tmp_path / "v.vcf").write_text(
        "\n".join([*header, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *lines]) + "\n"
    )
    sources = {"vcf": tmp_path / "v.vcf", "genome": genome}
    plain = build_set("clinical", sources, {"length": "50"}, 1)
    assert plain["position"].tolist() == [100] and "kind" not in plain and "consequence" not in plain
    made = build_set("clinical", sources, {"length": "50", "kinds": "all", "consequence": "yes"}, 1)
    assert sorted(made["kind"]) == ["deletion", "insertion", "snv"] and (made["alternative"].str.len() == 50).all()
    assert made["consequence"].tolist() == ["missense_variant", "frameshift_variant", "splice_donor_variant"]
    missense = {"length": "50", "kinds": "all", "consequence": "yes", "consequences": "missense_variant"}
    assert len(build_set("clinical", sources, missense, 1)) == 1


@pytest.mark.parametrize("task", ["traitgym_mendelian", "traitgym_complex", "lrb_vep_coding"])
def test_the_tables_of_the_ledger_are_read_by_the_options_of_their_tasks(tmp_path, genome, task):
    """Miniatures under the names of columns that their authors give."""
    row = next(row for row in read_table(ROOT / "config/tasks.tsv", ["task"]) if row["task"] == task)
    table = matched().assign(maf=0.1, tss_dist=5, trait="x")
    if task == "lrb_vep_coding":
        named = {"chrom": "CHROM", "pos": "POS", "ref": "REF", "alt": "ALT"}
        table = table.rename(columns=named).assign(
            INT_LABEL=table["label"].astype(int), split="test", CHROM="chr" + table["chrom"]
        )
    path = write(table, tmp_path / ("t.csv" if task == "lrb_vep_coding" else "t.parquet"))
    options = dict(read_pairs(row["options"])) | {"length": "40"}
    made = build_set("variant_table", {"table": path, "genome": genome}, options, 1)
    assert made["contig"].nunique() == 3 and (made["label"] == "pathogenic").sum() == 4
    assert made["group"].nunique() == (3 if task == "lrb_vep_coding" else table["match_group"].nunique())
