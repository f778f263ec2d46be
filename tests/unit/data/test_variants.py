"""Variants: haplotypes against bcftools, REF checks, clinical labels, protein changes."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from foundationless.data.reference import Genome
from foundationless.data.variants import (
    Snv,
    clinical_label,
    clinical_variants,
    haplotypes,
    missense_snvs,
    variant_windows,
    window,
)
from foundationless.errors import UserError
from support.commands import output_of

HEADER = """##fileformat=VCFv4.2
##contig=<ID=5,length=2000>
##INFO=<ID=CLNSIG,Number=.,Type=String,Description="x">
##INFO=<ID=GENEINFO,Number=1,Type=String,Description="x">
##INFO=<ID=MC,Number=.,Type=String,Description="x">
##INFO=<ID=SCORE,Number=1,Type=Float,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##ALT=<ID=DUP,Description="x">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"""


def another(base):
    """A base that is not this one."""
    return "A" if base != "A" else "C"


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">chr5\n" + "".join(random.Random(1).choices("ACGT", k=2000)) + "\n")
    return Genome(path)


def write_vcf(path, rows, samples=()):
    header = HEADER + ("\tFORMAT\t" + "\t".join(samples) if samples else "")
    path.write_text(header + "\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def simulated(genome, seed, samples, count=120):
    """Sorted SNVs, MNVs, indels, complex and multi-allelic variants, many overlapping; phased and missing calls."""
    generator = random.Random(seed)
    rows = []
    for position in sorted(generator.sample(range(2, 1980), count)):
        count = generator.choice([1, 1, 2, 3])
        drawn = ["".join(generator.choices("ACGT", k=generator.choice([1, 1, 1, 2, 4]))) for _ in range(count)]
        ref = genome.fetch("5", position - 1, position - 1 + generator.choice([1, 1, 1, 2, 3, 6]))
        fitting = (alt if len(alt) == len(ref) else ref[0] + alt[1:] for alt in drawn)
        alts = [alt for alt in dict.fromkeys(fitting) if alt != ref]
        if not alts:
            continue
        choices = [0, 0, 0, *range(1, len(alts) + 1)]
        calls = [f"{generator.choice(choices)}|{generator.choice(choices)}" for _ in samples]
        calls[generator.randrange(len(samples))] = ".|."
        rows.append(("5", position, ".", ref, ",".join(alts), ".", ".", ".", "GT", *calls))
    return rows


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_haplotypes_equal_bcftools_consensus(tmp_path, genome, tool, seed):
    samples = [f"s{number}" for number in range(8)]
    rows = [row for part in (0, 100, 200) for row in simulated(genome, seed + part, samples)]
    plain = write_vcf(tmp_path / "v.vcf", sorted(rows, key=lambda row: row[1]), samples)
    packed = pysam.tabix_index(str(plain), preset="vcf", force=True, keep_original=True)
    found = haplotypes(plain, genome, "chr5", 0, 2000)
    assert found.index.shape == (8, 2) and found.counts["overlapping"] > 0 and found.counts["missing"] > 0
    reference = tmp_path / "renamed.fa"
    reference.write_text(">5\n" + genome.fetch("5", 0, 2000) + "\n")
    for number, sample in enumerate(samples):
        for copy in (1, 2):
            answer = output_of(tool("bcftools"), "consensus", "-f", reference, "-s", sample, "-H", copy, packed)
            assert found.sequences[found.index[number, copy - 1]] == "".join(answer.splitlines()[1:]), (sample, copy)


def test_window_and_index_give_the_same_as_the_whole(tmp_path, genome):
    samples = ["a", "b", "c"]
    rows = simulated(genome, 7, samples, count=40)
    plain = write_vcf(tmp_path / "v.vcf", rows, samples)
    packed = pysam.tabix_index(str(plain), preset="vcf", force=True, keep_original=True)
    without, with_index = (haplotypes(Path(path), genome, "5", 500, 1200) for path in (plain, packed))
    assert without.sequences == with_index.sequences and (without.index == with_index.index).all()
    some = haplotypes(Path(packed), genome, "5", 500, 1200, samples=["c"])
    assert some.sequences[some.index[0, 1]] == without.sequences[without.index[2, 1]]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_windows_that_cut_records_equal_bcftools_consensus(tmp_path, genome, tool, seed):
    """Windows end inside deletions, insertions and multi-base changes of every length, also one base behind."""
    samples = ["a", "b"]
    rows = sorted(
        [row for part in (0, 100, 200) for row in simulated(genome, seed + part, samples)], key=lambda row: row[1]
    )
    plain = write_vcf(tmp_path / "v.vcf", rows, samples)
    packed = pysam.tabix_index(str(plain), preset="vcf", force=True, keep_original=True)
    ends = {row[1] + room - 1 for row in rows[::3] if len(row[3]) > 1 for room in range(1, len(row[3]))}
    cut = 0
    for end in sorted(ends):
        start = max(0, end - 60)
        found = haplotypes(Path(packed), genome, "chr5", start, end)
        cut += found.counts["cut at the window's end"] > 0
        (tmp_path / "w.fa").write_text(f">5:{start + 1}-{end}\n{genome.fetch('5', start, end)}\n")
        for number, sample in enumerate(samples):
            for copy in (1, 2):
                command = (tool("bcftools"), "consensus", "-f", tmp_path / "w.fa", "-s", sample, "-H", copy, packed)
                answer = "".join(output_of(*command).splitlines()[1:])
                assert found.sequences[found.index[number, copy - 1]] == answer, (start, end, sample, copy)
    assert cut == len(ends) > 50


def test_rules_for_haploid_symbolic_and_missing(tmp_path, genome):
    base = genome.fetch("5", 0, 100)
    other = another(base[9])
    rows = [
        ("5", 10, ".", base[9], f"{other},<DUP>,*", ".", ".", ".", "GT", "1", "2", "3", "."),
        ("5", 20, ".", base[19:23], base[19], ".", ".", ".", "GT", "1", "1", "0", "0"),
        ("5", 22, ".", base[21], another(base[21]), ".", ".", ".", "GT", "1", "0", "0", "0"),
    ]
    found = haplotypes(write_vcf(tmp_path / "v.vcf", rows, "abcd"), genome, "5", 0, 100)
    short = base[:20] + base[23:]
    assert found.index.shape == (4, 1)
    made = [found.sequences[number] for number in found.index[:, 0]]
    assert made == [short[:9] + other + short[10:], short, base, base]
    assert (found.counts["overlapping"], found.counts["symbolic"], found.counts["missing"]) == (1, 2, 1)


def test_haploid_call_in_a_diploid_file_has_no_second_copy(tmp_path, genome):
    base = genome.fetch("5", 9, 10)
    rows = [("5", 10, ".", base, another(base), ".", ".", ".", "GT", "0|1", "1")]
    found = haplotypes(write_vcf(tmp_path / "v.vcf", rows, ["woman", "man"]), genome, "5", 0, 100)
    assert found.index[1, 1] == -1 and found.index[0, 1] == found.index[1, 0] >= 0


def test_unphased_heterozygote_needs_a_word(tmp_path, genome):
    base = genome.fetch("5", 9, 10)
    rows = [("5", 10, ".", base, another(base), ".", ".", ".", "GT", "0|0", "0/1")]
    path = write_vcf(tmp_path / "v.vcf", rows, ["a", "b"])
    with pytest.raises(UserError, match=r"5:10 is heterozygous and not phased in sample 'b'"):
        haplotypes(path, genome, "5", 0, 100)
    assert len(haplotypes(path, genome, "5", 0, 100, require_phase=False).sequences) == 2


def test_ref_mismatch_names_the_first(tmp_path, genome):
    right = {place: genome.fetch("5", place - 1, place) for place in (10, 30, 40)}
    refs = right | {place: another(right[place]) for place in (30, 40)}
    rows = [("5", place, ".", ref, "NT"[place > 10], ".", ".", ".", "GT", "0|0") for place, ref in refs.items()]
    with pytest.raises(UserError, match=rf"5:30 has REF {refs[30]}, genome.fa has {right[30]}; 2 of 3"):
        haplotypes(write_vcf(tmp_path / "v.vcf", rows, ["a"]), genome, "5", 0, 100)


def test_window_is_centred(genome):
    for length in (1, 8, 9, 1024):
        sequence, offset = window(genome, "5", 1000, length)
        assert len(sequence) == length and sequence[offset] == genome.fetch("5", 999, 1000) and offset == length // 2


PATHOGENIC = "Pathogenic Pathogenic/Likely_pathogenic Pathogenic/Likely_pathogenic/Pathogenic,_low_penetrance"
NEITHER = "Pathogenic|risk_factor Benign/Pathogenic Uncertain_significance Conflicting_interpretations_of_pathogenicity"


@pytest.mark.parametrize(
    ("label", "texts"),
    [("benign", "Benign Likely_benign Benign/Likely_benign"), ("pathogenic", PATHOGENIC), (None, NEITHER)],
)
def test_clinical_labels(label, texts):
    assert clinical_label("") is None
    for text in texts.split():
        assert clinical_label(text) == label, text


def test_clinical_vcf_to_windows(tmp_path, genome):
    def snv(position, info):
        base = genome.fetch("5", position - 1, position)
        return ("5", position, ".", base, another(base), ".", ".", info)

    rows = [
        snv(300, "CLNSIG=Benign;GENEINFO=AB1:1|CD2:2;MC=SO:1|missense_variant,SO:2|intron_variant;SCORE=1.5"),
        snv(301, "CLNSIG=Pathogenic;GENEINFO=CD2:2"),
        ("5", 310, ".", genome.fetch("5", 309, 312), "A", ".", ".", "CLNSIG=Benign"),
    ]
    frame, counts = clinical_variants(write_vcf(tmp_path / "v.vcf", rows), "SCORE")
    assert counts == {"records": 3, "not an SNV": 1}
    assert list(frame["gene"]) == ["AB1", "CD2"] and list(frame["label"]) == ["benign", "pathogenic"]
    assert frame["consequences"][0] == {"missense_variant", "intron_variant"}
    assert frame["score"][0] == 1.5 and np.isnan(frame["score"][1])
    made = variant_windows(frame, genome, 64, "v.vcf")
    assert list(made["contig"]) == ["chr5", "chr5"] and list(made["split"]) == ["test", "test"]
    assert all(row.sequence[row.offset] == row.ref for row in made.itertuples())
    conflicting = pd.concat([frame, frame.assign(label="pathogenic")])
    with pytest.raises(UserError, match=r"chr5:300.* two labels"):
        variant_windows(conflicting, genome, 64, "v.vcf")
    assert len(variant_windows(pd.concat([frame, frame]), genome, 64, "v.vcf")) == 2


def test_missense_snvs_of_a_small_gene(tmp_path):
    """ATG GTT TGA on the minus strand, cut between G and TT into two exons."""
    path = tmp_path / "gene.fa"
    path.write_text(">chr1\nAA" + "TCAAA" + "CCCC" + "CCAT" + "GG\n")
    genome = Genome(path)
    protein, changes = missense_snvs(genome, "1", [(12, 15), (3, 7)])
    assert protein == "MV"
    assert changes["V2A"] == [Snv(7, "A", "G")] and changes["V2I"] == [Snv(12, "C", "T")]
    assert len(changes["M1I"]) == 3 and not any(change.endswith("*") for change in changes)
    with pytest.raises(UserError, match="no open reading frame"):
        missense_snvs(genome, "1", [(11, 14), (3, 7)])


def test_records_without_genotypes_and_with_absent_alleles_are_named(tmp_path, genome):
    base = genome.fetch("5", 9, 10)
    row = ("5", 10, ".", base, another(base), ".", ".", ".")
    with pytest.raises(UserError, match="5:10 has no genotypes"):
        haplotypes(write_vcf(tmp_path / "dp.vcf", [(*row, "DP", "7")], ["a"]), genome, "5", 0, 100)
    with pytest.raises(UserError, match="5:10 has a genotype with allele 3"):
        haplotypes(write_vcf(tmp_path / "gt.vcf", [(*row, "GT", "0|3")], ["a"]), genome, "5", 0, 100)


def scored_vcf(tmp_path, genome, declared, *cells):
    """Variants at 300, 301, … with such values of SCORE (None: none), of two ALTs where there is a comma."""
    rows = []
    for position, cell in enumerate(cells, 300):
        ref = genome.fetch("5", position - 1, position)
        alts = [base for base in "ACGT" if base != ref][: 2 if "," in str(cell) else 1]
        info = "CLNSIG=Benign" + ("" if cell is None else f";SCORE={cell}")
        rows.append(("5", position, ".", ref, ",".join(alts), ".", ".", info))
    path = write_vcf(tmp_path / "v.vcf", rows)
    field = '##INFO=<ID=SCORE,Number=1,Type=Float,Description="x">'
    assert field in HEADER
    path.write_text(
        path.read_text().replace(field + "\n", f"{field.replace('1,Type=Float', declared)}\n" if declared else "")
    )
    return path


@pytest.mark.parametrize(
    ("declared", "cells", "values"),
    [
        ("A,Type=Float", ["0.5", "0.25,0.75", None, ".,2"], [0.5, 0.25, 0.75, None, None, 2]),
        ("A,Type=Integer", ["7", "-1,3"], [7, -1, 3]),
        ("A,Type=String", ["0.5", "1e-2,.", "."], [0.5, 0.01, None, None]),
        ("R,Type=Float", ["0.1,0.5,0.75"], [0.5, 0.75]),
        (".,Type=Float", ["0.5", None], [0.5, None]),
        ("1,Type=String", ["0.5", None, "3"], [0.5, None, 3]),
        ("", ["0.5", None], [0.5, None]),
    ],
)
def test_a_score_is_the_allele_s_own(tmp_path, genome, declared, cells, values):
    frame, _ = clinical_variants(scored_vcf(tmp_path, genome, declared, *cells), "SCORE")
    assert [None if np.isnan(value) else value for value in frame["score"]] == pytest.approx(values)


@pytest.mark.parametrize(
    ("declared", "cells", "words"),
    [
        ("1,Type=Float", [None, None], "none of its 2 variants has the INFO field SCORE"),
        ("", [None], "none of its 1 variants has the INFO field SCORE"),
        ("1,Type=String", ["0.5", "high"], r"5:301: INFO field SCORE is no number \('high'\)"),
        ("A,Type=Float", ["0.1,0.2,0.3"], "5:300: INFO field SCORE has 3 values where 2 would do"),
        (".,Type=String", ["0.1,0.2"], "5:300: INFO field SCORE has 2 values where 1 would do"),
        ("1,Type=String", ["inf"], "INFO field SCORE is not finite"),
        ("0,Type=Flag", ["1"], "INFO field SCORE is a flag"),
    ],
)
def test_a_score_that_is_none_is_named(tmp_path, genome, declared, cells, words):
    with pytest.raises(UserError, match=words):
        clinical_variants(scored_vcf(tmp_path, genome, declared, *cells), "SCORE")


@pytest.fixture
def patchy(tmp_path):
    """A genome of 400 bases with an M (A or C) at 100, an N at 200, and no mitochondrion."""
    bases = list("".join(random.Random(4).choices("ACGT", k=400)))
    bases[99], bases[199] = "M", "N"
    (tmp_path / "patchy.fa").write_text(">chr5\n" + "".join(bases) + "\n")
    return Genome(tmp_path / "patchy.fa")


def test_variants_that_the_genome_does_not_know_are_left_out_and_counted(patchy, capsys):
    places = {
        ("5", 150): "",
        ("MT", 5): "A",
        ("NW_0096.1", 7): "A",
        ("chr5", 200): "A",
        ("chr5", 100): "A",
        ("5", 9000): "A",
    }
    rows = [
        (contig, position, ref or patchy.fetch(contig, position - 1, position), "G", f"g{position}", "benign", 0.0)
        for (contig, position), ref in places.items()
    ]
    frame = pd.DataFrame(rows, columns=["contig", "position", "ref", "alt", "gene", "label", "score"])
    made = variant_windows(frame, patchy, 20, "v.vcf")
    assert list(made["position"]) == [150, 100] and made["sequence"][1][10] == "N"
    told = capsys.readouterr().err
    assert (
        "2 of 6 variants are on contigs that patchy.fa lacks (MT, NW_0096.1), 2 at bases that it does not know" in told
    )
    with pytest.raises(UserError, match="2 at bases that it does not know; no variant is left"):
        variant_windows(frame.iloc[[3, 5]], patchy, 20, "v.vcf")
    with pytest.raises(UserError, match="no contig 'MT'"):
        variant_windows(frame.iloc[1:3], patchy, 20, "v.vcf")
    with pytest.raises(UserError, match=r"chr5:100 has REF G, patchy\.fa has M; 1 of 1"):
        variant_windows(frame.iloc[[4]].assign(ref="G"), patchy, 20, "v.vcf")


def test_haplotypes_over_letters_that_are_no_base(tmp_path, patchy):
    """The specification of VCF asks for A where the reference has M; of an N nothing is known."""
    ref = patchy.fetch("5", 0, 400)
    rows = [
        ("5", 100, ".", "A", "C", ".", ".", ".", "GT", "0|1"),
        ("5", 199, ".", ref[198] + "T" + ref[200], ref[198], ".", ".", ".", "GT", "0|1"),
        ("5", 199, ".", ref[198] + "N", ref[198], ".", ".", ".", "GT", "1|0"),  # as of the mitochondrion's 3107
        ("5", 300, ".", ref[299], another(ref[299]), ".", ".", ".", "GT", "0|1"),
    ]
    found = haplotypes(write_vcf(tmp_path / "v.vcf", rows, ["a"]), patchy, "5", 0, 400)
    changed = ref[:99] + "C" + ref[100:299] + another(ref[299]) + ref[300:]
    assert [found.sequences[number] for number in found.index[0]] == [ref[:199] + ref[200:], changed]
    assert found.counts["in unknown sequence"] == 1 and found.alleles.shape == (1, 2, 3)
