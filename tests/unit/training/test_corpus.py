"""Windows: uniform over what may be read, constant in memory, and people's haplotypes as bcftools makes them."""

import random
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pysam
import pytest

from foundationless.data.dna import reverse_complement
from foundationless.data.haplotypes import TILE, People, choose_people
from foundationless.data.reference import Genome, Stretch
from foundationless.errors import UserError
from foundationless.training.corpus import Corpus, Windows

PEOPLE = [f"s{number}" for number in range(6)]
LENGTH = 20_000


def stretches_of(path: Path, pieces: list[str]) -> list[Stretch]:
    path.write_text("".join(f">c{number}\n{piece}\n" for number, piece in enumerate(pieces)))
    genome = Genome(path)
    return [Stretch(genome, f"c{number}", 0, len(piece)) for number, piece in enumerate(pieces)]


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    bases = random.Random(1).choices("ACGT", k=LENGTH)
    path.write_text(f">chr5\n{''.join(bases)}\n>chr6\n{'ACGT' * 500}\n")
    return Genome(path)


def variants(genome: Genome, seed: int, count: int = 900) -> list[str]:
    """Lines of phased SNVs, MNVs and indels up to 300 bp, multi-allelic, overlapping and missing ones too."""
    generator = random.Random(seed)
    lines = []
    for position in sorted(generator.sample(range(2, LENGTH - 400), count)):
        ref = genome.fetch("chr5", position - 1, position - 1 + generator.choice([1, 1, 1, 2, 3, 6, 6, 300]))
        longer = ref[0] + "".join(generator.choices("ACGT", k=generator.choice([1, 5, 40])))
        swapped = {"A": "C", "C": "G", "G": "T", "T": "A"}[ref[0]] + ref[1:]
        alts = list(dict.fromkeys(generator.sample([longer, swapped, ref[0]], 2)))
        alts = [alt for alt in alts if alt != ref] or [swapped]
        allele = ["0", "0", "0", *map(str, range(1, len(alts) + 1)), "."]
        calls = [f"{generator.choice(allele)}|{generator.choice(allele)}" for _ in PEOPLE]
        lines.append("\t".join(["5", str(position), ".", ref, ",".join(alts), ".", ".", ".", "GT", *calls]))
    return lines


def write_vcf(path: Path, lines: list[str], people: list[str] = PEOPLE) -> Path:
    header = ["##fileformat=VCFv4.2", f"##contig=<ID=5,length={LENGTH}>", "##contig=<ID=7,length=100>"]
    header += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="x">']
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]
    path.write_text("\n".join([*header, "\t".join(columns), *lines]) + "\n")
    return path


def packed(path: Path, lines: list[str], people: list[str] = PEOPLE) -> Path:
    plain = write_vcf(path, lines, people)
    return Path(pysam.tabix_index(str(plain), preset="vcf", force=True))


@pytest.fixture(scope="module")
def vcf(genome, tmp_path_factory) -> Path:
    return packed(tmp_path_factory.mktemp("vcf") / "people.vcf", variants(genome, 7))


def test_excluded_and_held_out_sequence_is_never_trained_on(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{'A' * 300}\n>chr2\n{'C' * 300}\n>chr3\n{'G' * 100}{'T' * 200}\n")
    train, held = Corpus([path], exclude=["2"], holdout=["chr3:101-300"]).stretches()
    assert [stretch[1:] for stretch in train] == [("chr1", 0, 300), ("chr3", 0, 100)]
    assert [stretch[1:] for stretch in held] == [("chr3", 100, 300)]
    generator = np.random.default_rng(0)
    drawn = [Windows(train, 60, 0.0, "toy").draw(generator) for _ in range(500)]
    assert {letter for window in drawn for letter in window} == {"A", "G"}


def test_windows_are_uniform_mostly_known_and_flipped_as_asked(tmp_path):
    pieces = ["ACGTTGCATT" * 3, "AC", "N" * 30 + "GATTACAGGA"]
    stretches = stretches_of(tmp_path / "toy.fa", pieces)
    generator = np.random.default_rng(0)
    windows = Windows(stretches, 10, 0.0, "toy")
    drawn = [windows.draw(generator) for _ in range(4000)]
    starts = {pieces[0][i : i + 10] for i in range(21)} | {pieces[2][i : i + 10] for i in range(25, 31)}
    assert set(drawn) == starts
    share = np.mean([sequence.count("N") > 0 or sequence == "GATTACAGGA" for sequence in drawn])
    assert abs(share - 6 / 27) < 0.03
    turned = Windows(stretches[:1], 30, 1.0, "toy")
    assert {turned.draw(generator) for _ in range(3)} == {reverse_complement(pieces[0])}
    either = Windows(stretches[:1], 30, 0.5, "toy")
    assert abs(np.mean([either.draw(generator) == pieces[0] for _ in range(2000)]) - 0.5) < 0.05
    with pytest.raises(UserError, match="N"):
        Windows(stretches_of(tmp_path / "n.fa", ["N" * 50]), 10, 0.0, "toy").draw(generator)
    with pytest.raises(UserError, match="no stretch"):
        Windows(stretches[1:2], 10, 0.0, "toy")


def test_memory_does_not_grow_with_the_genome(tmp_path):
    peaks = []
    for size in (100_000, 20_000_000):
        path = tmp_path / f"{size}.fa"
        path.write_text(">chr1\n" + ("ACGGTTACCA" * 6 + "\n") * (size // 60))
        Genome(path)  # its index is made once
        tracemalloc.start()
        windows = Windows(Corpus([path]).stretches()[0], 4096, 0.5, "toy")
        for index in range(50):
            windows.draw(np.random.default_rng(index))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 1_000_000


@pytest.mark.parametrize("window", [50, 700])
def test_windows_of_a_haplotype_equal_bcftools_consensus(genome, vcf, tool, tmp_path, window):
    people = People([vcf], PEOPLE)
    stretch = Stretch(genome, "chr5", 0, LENGTH)
    generator = random.Random(window)
    lengths = set()
    for _ in range(12):
        start, person, copy = generator.randrange(LENGTH - 2 * window), generator.randrange(6), generator.randrange(2)
        region = tmp_path / "region.fa"
        region.write_text(f">5:{start + 1}-{LENGTH}\n{genome.fetch('chr5', start, LENGTH)}\n")
        command = f"{tool('bcftools')} consensus -f {region} -s {PEOPLE[person]} -H {copy + 1} {vcf}"
        answer = subprocess.run(command.split(), capture_output=True, text=True, check=True)
        expected = "".join(answer.stdout.splitlines()[1:])
        assert people.haplotype(stretch, start, window, person, copy) == expected[:window]
        whole = people.haplotype(stretch, start, 10 * LENGTH, person, copy)
        assert whole == expected
        lengths.add(len(whole) - (LENGTH - start))
    assert len(lengths) > 1, "no haplotype differed in length: the test saw no indel"


def test_index_bcf_parts_and_order_of_people_change_nothing(genome, vcf, tmp_path):
    lines = variants(genome, 7)
    middle = len(lines) // 2
    binary = tmp_path / "people.bcf"
    with pysam.VariantFile(str(vcf)) as source, pysam.VariantFile(str(binary), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    pysam.tabix_index(str(binary), preset="bcf")
    turned = ["\t".join([*cells[:9], *cells[:8:-1]]) for cells in (line.split("\t") for line in lines)]
    shapes = {
        "indexed": [vcf],
        "plain": [write_vcf(tmp_path / "plain.vcf", lines)],
        "bcf": [binary],
        "parts": [packed(tmp_path / "b.vcf", lines[middle:]), packed(tmp_path / "a.vcf", lines[:middle])],
        "turned": [packed(tmp_path / "turned.vcf", turned, PEOPLE[::-1])],
    }
    stretch = Stretch(genome, "chr5", 0, LENGTH)
    found = {
        name: [People(paths, ["s4", "s1"]).haplotype(stretch, start, 3000, 0, 1) for start in (0, 4000, 4095, 9000)]
        for name, paths in shapes.items()
    }
    assert all(found["indexed"] == other for other in found.values())
    assert found["indexed"][1] != genome.fetch("chr5", 4000, 7000)


def test_without_variants_a_window_is_the_reference(genome, vcf, tmp_path):
    reference_only = [line.split("\t") for line in variants(genome, 7)]
    lines = ["\t".join([*cells[:9], *["0|0"] * 6]) for cells in reference_only]
    people = People([packed(tmp_path / "none.vcf", lines)], PEOPLE)
    for contig, source in (("chr5", people), ("chr6", People([vcf], PEOPLE))):
        stretch = Stretch(genome, contig, 0, genome.end(contig))
        assert source.haplotype(stretch, 1000, 777, 3, 1) == genome.fetch(contig, 1000, 1777)


def test_a_haploid_person_lends_the_one_copy_and_symbolic_or_missing_alleles_are_the_reference(genome, tmp_path):
    base = genome.fetch("chr5", 9, 10)
    other = "A" if base != "A" else "C"
    cells = ["5", "10", ".", base, f"{other},*,<DUP>", ".", ".", ".", "GT", "0|1", "1", "2|3", ".|1", "0|0", "0|0"]
    people = People([write_vcf(tmp_path / "h.vcf", ["\t".join(cells)])], PEOPLE)
    stretch = Stretch(genome, "chr5", 0, LENGTH)
    found = [[people.haplotype(stretch, 9, 1, person, copy) for copy in (0, 1)] for person in range(5)]
    assert found == [[base, other], [other, other], [base, base], [base, other], [base, base]]


def test_windows_of_people_have_the_length_asked_for_and_stay_within_their_stretch(genome, vcf, tmp_path):
    """What follows the stretch is N, so a window that reached behind it would show."""
    path = tmp_path / "cut.fa"
    path.write_text(f">chr5\n{genome.fetch('chr5', 0, 6000)}{'N' * (LENGTH - 6000)}\n")
    cut = Genome(path)
    windows = Windows([Stretch(cut, "chr5", 0, 6000)], 500, 0.0, "toy", People([vcf], PEOPLE))
    drawn = [windows.draw(np.random.default_rng([0, index])) for index in range(300)]
    assert {len(window) for window in drawn} == {500} and not any("N" in window for window in drawn)
    reference = genome.fetch("chr5", 0, 6000)
    assert sum(window in reference for window in drawn) < 30, "windows carry variants"


def test_tiles_are_read_once_while_they_fit(genome, vcf):
    people = People([vcf], PEOPLE)
    windows = Windows([Stretch(genome, "chr5", 0, LENGTH)], 500, 0.0, "toy", people)
    for index in range(100):
        windows.draw(np.random.default_rng(index))
    read = people._tile.cache_info()
    assert read.misses <= LENGTH // TILE + 1 and read.hits > 90


def test_people_are_chosen_evenly_by_the_seed(tmp_path):
    names = [f"p{number}" for number in range(40)]
    first, second = tmp_path / "a.vcf", tmp_path / "b.vcf"
    write_vcf(first, [], names)
    write_vcf(second, [], names[:39])
    groups = {name: ["AFR", "EAS", "EUR", "SAS"][number % 4] for number, name in enumerate(names)}
    panel = tmp_path / "panel.tsv"
    panel.write_text("sample\tpop\tsuper_pop\n" + "".join(f"{n}\tx\t{g}\n" for n, g in groups.items()) + "q\tx\tAMR\n")
    chosen = choose_people([first, second], panel, 9, 0)
    assert chosen == choose_people([second, first], panel, 9, 0) != choose_people([first, second], panel, 9, 1)
    assert [sum(groups[name] == group for name in chosen) for group in ("AFR", "EAS", "EUR", "SAS")] == [9] * 4
    assert "p39" not in chosen and chosen == sorted(set(chosen))
    with pytest.raises(UserError, match=r"panel\.tsv has 9 people of SAS"):
        choose_people([first, second], panel, 10, 0)
    panel.write_text("FamilyID SampleID Sex Superpopulation\n" + "".join(f"f {n} 1 {g}\n" for n, g in groups.items()))
    assert choose_people([first, second], panel, 9, 0) == chosen
    panel.write_text("sample\tsuper_pop\nstranger\tEUR\n")
    with pytest.raises(UserError, match="none of its people"):
        choose_people([first], panel, 1, 0)
    panel.write_text("name\tsuper_pop\np1\tEUR\n")
    with pytest.raises(UserError, match="columns sample and super_pop"):
        choose_people([first], panel, 1, 0)


def test_mistakes_about_people_are_named(genome, vcf, tmp_path):
    with pytest.raises(UserError, match="person 'x' is not in it"):
        People([vcf], ["s1", "x"])
    for wrong in ({"vcfs": [vcf]}, {"people": ["s1"]}, {"vcfs": [vcf], "panel": vcf, "people": ["s1"]}):
        with pytest.raises(UserError, match=r"--vcf needs|belong together"):
            Corpus([genome.path], **wrong)
    other = tmp_path / "chr5.fa"
    other.write_text(">chr5\n" + "A" * LENGTH + "\n")
    with pytest.raises(UserError, match=r"--vcf: chr5:\d+ has REF .*use the build"):
        People([vcf], PEOPLE).haplotype(Stretch(Genome(other), "chr5", 0, LENGTH), 0, 3000, 0, 0)
