"""Variants of every kind: written as bcftools norm writes them, and windows against an edited genome."""

import random
import subprocess

import pandas as pd
import pysam
import pytest

from foundationless.data.reference import Genome
from foundationless.data.variant_kinds.alleles import KINDS, kind_of, left_aligned, named_kinds
from foundationless.data.variant_kinds.windows import allele_windows
from foundationless.data.variants import variant_windows
from foundationless.errors import UserError

CONTIG = "chr5"


def repetitive(length: int, seed: int) -> str:
    """Text of few letters and short repeats, in which alleles move far."""
    generator = random.Random(seed)
    text = ""
    while len(text) < length:
        text += "".join(generator.choices("ACGT", k=generator.choice([1, 2, 3]))) * generator.choice([1, 1, 2, 5, 9])
    return text[:length]


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "genome.fa").write_text(f">{CONTIG}\n{repetitive(3000, 1)}\n")
    return Genome(tmp_path / "genome.fa")


def drawn(genome, seed, count):
    """Rows of variants of every kind, with the places and padding that careless tools leave."""
    generator, rows = random.Random(seed), []
    for _ in range(count):
        position = generator.randrange(1, 2950)
        ref = genome.fetch(CONTIG, position - 1, position - 1 + generator.choice([1, 1, 2, 3, 8]))
        alt = "".join(generator.choices("ACGT", k=generator.choice([1, 1, 2, 4])))
        alt = generator.choice(
            [alt, ref + ref[-1] * generator.choice([1, 3]), ref[:1], ref + genome.fetch(CONTIG, position, position + 2)]
        )
        if alt != ref:
            rows.append((CONTIG, position, ref, alt, "G", "benign", 0.0))
    return pd.DataFrame(rows, columns=["contig", "position", "ref", "alt", "gene", "label", "score"])


def test_alleles_are_written_as_bcftools_norm_writes_them(tmp_path, genome, tool):
    frame = drawn(genome, 2, 600)
    lines = [
        "##fileformat=VCFv4.2",
        f"##contig=<ID={CONTIG},length=3000>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for number, row in enumerate(frame.itertuples()):
        lines.append(f"{CONTIG}\t{row.position}\t{number}\t{row.ref}\t{row.alt}\t.\t.\t.")
    (tmp_path / "v.vcf").write_text("\n".join(lines) + "\n")
    command = [tool("bcftools"), "norm", "-f", genome.path, "-o", tmp_path / "n.vcf", tmp_path / "v.vcf"]
    subprocess.run(command, check=True, capture_output=True)
    with pysam.VariantFile(str(tmp_path / "n.vcf")) as vcf:
        expected = {int(record.id): (record.pos, record.ref, record.alts[0]) for record in vcf}
    found = {
        number: left_aligned(row.position, row.ref, row.alt, lambda a, b: genome.fetch(CONTIG, a, b))
        for number, row in enumerate(frame.itertuples())
    }
    assert len(found) > 400 and found == expected
    assert sum(found[n] != (row.position, row.ref, row.alt) for n, row in enumerate(frame.itertuples())) > 100


def test_windows_are_those_of_the_edited_genome(genome):
    frame, length = drawn(genome, 3, 300), 64
    whole = genome.fetch(CONTIG, 0, 3000)
    made = allele_windows(frame[frame["position"].between(100, 2800)], genome, length, "v.vcf")
    assert set(made["kind"]) == set(KINDS) and made["id"].is_unique
    for row in made.itertuples():
        edited = whole[: row.position - 1] + row.alt + whole[row.position - 1 + len(row.ref) :]
        start = row.position - 1 - row.offset
        assert (row.sequence, row.alternative) == (whole[start : start + length], edited[start : start + length])
        assert row.kind == kind_of(row.ref, row.alt) and row.offset == length // 2


def test_sets_of_snvs_are_what_they_were(genome):
    frame = drawn(genome, 4, 300)
    snvs = frame[(frame["ref"].str.len() == 1) & (frame["alt"].str.len() == 1)]
    before, now = variant_windows(snvs, genome, 50, "v.vcf"), allele_windows(snvs, genome, 50, "v.vcf")
    pd.testing.assert_frame_equal(now.drop(columns="kind"), before)
    assert set(now["kind"]) == {"snv"}


def test_what_is_left_out_is_counted(genome, capsys):
    base = {"contig": CONTIG, "position": 500, "gene": "G", "label": "benign", "score": 0.0}
    ref = genome.fetch(CONTIG, 499, 540)
    other = next(letter for letter in "ACGT" if letter != ref[0])
    alleles = [
        (ref[0], "<DEL>"), (ref[0], "*"), (ref[0], "A,C"), (ref[0], "N"), (ref[0], ref[0].lower()), (ref[0], "A" * 51),
        (ref, ref[0]), (ref[0], other),
    ]  # fmt: skip
    rows = pd.DataFrame([base | {"ref": r, "alt": a} for r, a in alleles])
    rows = pd.concat([rows, rows.tail(1).assign(contig="chr9"), rows.tail(1).assign(alt="G" if other != "G" else "C")])
    two = rows.tail(1).assign(label="pathogenic")
    rows = pd.concat([rows, two if two["alt"].iloc[0] != ref[0] else rows.tail(0)], ignore_index=True)
    made = allele_windows(rows, genome, 60, "v.vcf", kinds=["snv"])
    assert made[["ref", "alt"]].to_numpy().tolist() == [[ref[0], other]]
    told = capsys.readouterr().err
    for words in (
        "1 with several alleles (write one allele a row)",
        "2 with a symbolic allele",
        "1 with a letter that is no base",
        "1 that change nothing",
        "1 of more than 50",
    ):
        assert words in told, told
    assert "lacks (chr9)" in told and "1 of other kinds" in told


def test_a_foreign_ref_is_refused_or_counted(genome, capsys):
    frame = drawn(genome, 5, 200)
    wrong = frame.copy()
    wrong.loc[0, "ref"] = "".join("A" if base != "A" else "C" for base in wrong.loc[0, "ref"])
    wrong.loc[0, "alt"] = "G" * 5
    with pytest.raises(UserError, match=r"1 of .* REF alleles disagree"):
        allele_windows(wrong, genome, 64, "v.vcf")
    assert len(allele_windows(wrong, genome, 64, "v.vcf", mismatches=0.01)) < len(wrong)
    assert "1 have a REF that is not its" in capsys.readouterr().err
    with pytest.raises(UserError, match="no variant is left"):
        allele_windows(frame.assign(alt="<INS>"), genome, 64, "v.vcf")


def test_nothing_moves_before_the_contig_or_over_letters_that_are_no_base():
    text = "AAAA" + "NCCCCG"
    before = lambda start, end: text[start:end]  # noqa: E731
    assert left_aligned(4, "A", "AA", before) == left_aligned(1, "A", "AA", before)
    assert left_aligned(8, "CC", "C", before) == (6, "CC", "C")
    assert named_kinds(["indel"]) == ["insertion", "deletion", "delins"] and named_kinds(["all"]) == list(KINDS)
    for words in ([], ["SNV"]):
        with pytest.raises(ValueError, match=r"SNV|^$"):
            named_kinds(words)
