"""The simulated data: reproducible, valid for the field's tools, and carrying a signal that can be found."""

import csv
import hashlib
import re
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import matthews_corrcoef
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from foundationless.data import simulate_genome, simulate_population
from foundationless.data.dna import reverse_complement
from foundationless.features.genotypes import features
from foundationless.tasks.derivations import draw_families, keep_unrelated
from foundationless.tasks.readers import build_set
from foundationless.tasks.splits import draw_splits
from support.commands import call, output_of, refused, words

HELD_OUT = ("chr5", "chr6")
WINDOW = ("--contig", "chr1", "--start", "20000", "--length", "20000")


def simulate(command, output, *flags, seed=1):
    assert call([*words(command, seed=seed, output=output), *flags]) == 0
    return output


def simulate_people(genome, output, people, children=0, seed=1):
    size = ("--people-per-population", people, "--children-per-population", children)
    return simulate("simulate_population", output, "--genome", genome / "genome.fa", *WINDOW, *size, seed=seed)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    return simulate("simulate_genome", tmp_path_factory.mktemp("simulated") / "genome")


@pytest.fixture(scope="module")
def population(genome):
    return simulate_people(genome, genome.parent / "population", 60)


@pytest.fixture(scope="module")
def kin(genome):
    """Ten founders and eight children of each population: five couples, so three have a second child."""
    return simulate_people(genome, genome.parent / "kin", 10, 8)


@pytest.fixture(scope="module")
def variants(genome):
    flags = ("--genome", genome / "genome.fa", "--truth", genome / "truth.tsv")
    return simulate("simulate_variants", genome.parent / "variants", *flags)


def digests(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())}


def read_bed(path):
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [(row[0], int(row[1]), int(row[2]), row[3], row[5]) for row in rows]


def read_genes(path):
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    biotypes = [re.search('gene_type "([^"]+)"', row[8]).group(1) for row in rows]
    return [(r[0], int(r[3]) - 1, int(r[4]), biotype, r[6]) for r, biotype in zip(rows, biotypes, strict=True)]


def sequences(genome, windows):
    with pysam.FastaFile(str(genome / "genome.fa")) as fasta:
        plus = [fasta.fetch(contig, start, end) for contig, start, end, _, _ in windows]
    return [s if window[4] == "+" else reverse_complement(s) for s, window in zip(plus, windows, strict=True)]


def read_truth(genome):
    with (genome / "truth.tsv").open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_same_seed_same_bytes(genome, tmp_path):
    expected = ["enhancer.bed", "genes.gtf", "genome.fa", "genome.fa.fai", "mark.bed", "promoter.bed", "truth.tsv"]
    assert list(digests(genome)) == expected
    again = digests(simulate("simulate_genome", tmp_path / "again"))
    other = digests(simulate("simulate_genome", tmp_path / "other", seed=2))
    assert again == digests(genome)
    assert all(other[name] != again[name] for name in again if name != "genome.fa.fai")


def test_population_and_variants_are_reproducible(genome, population, variants, tmp_path):
    people = ("--genome", genome / "genome.fa", *WINDOW, "--people-per-population", 60)
    truth = ("--genome", genome / "genome.fa", "--truth", genome / "truth.tsv")
    for command, flags, first in (
        ("simulate_population", people, population),
        ("simulate_variants", truth, variants),
    ):
        assert digests(simulate(command, tmp_path / command, *flags)) == digests(first)
        other = digests(simulate(command, tmp_path / f"{command}.other", *flags, seed=2))
        assert all(other[name] != digest for name, digest in digests(first).items() if not name.endswith(".tbi"))


def test_output_directory_keeps_what_else_it_holds(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    simulate("simulate_genome", tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious" and not list(tmp_path.glob(".part-*"))


def test_genome_matches_its_index_and_declared_lengths(genome, tool, tmp_path):
    copy = Path(shutil.copy(genome / "genome.fa", tmp_path))
    subprocess.run([tool("samtools"), "faidx", copy], check=True)
    assert (tmp_path / "genome.fa.fai").read_text() == (genome / "genome.fa.fai").read_text()
    with pysam.FastaFile(str(copy)) as fasta:
        assert dict(zip(fasta.references, fasta.lengths, strict=True)) == simulate_genome.CONTIGS
        for contig in fasta.references:
            bases = fasta.fetch(contig)
            assert re.fullmatch("N{%d}[ACGT]+" % simulate_genome.TELOMERE_GAP, bases)  # noqa: UP031 - braces of the pattern
            gc = [part.count("G") + part.count("C") for part in re.findall(".{5000}", bases[1000:])]
            assert max(gc) - min(gc) > 250  # isochores: 5 kb windows differ by more than 5 points


def test_everything_lies_apart(genome):
    windows = [w for name in ("mark", "promoter", "enhancer") for w in read_bed(genome / f"{name}.bed")]
    windows += read_genes(genome / "genes.gtf")
    for contig, length in simulate_genome.CONTIGS.items():
        ordered = sorted(window for window in windows if window[0] == contig)
        assert ordered[0][1] >= simulate_genome.TELOMERE_GAP and ordered[-1][2] <= length
        assert all(one[2] <= two[1] for one, two in pairwise(ordered))


@pytest.mark.parametrize(("name", "width", "classes"), [("mark", 300, 2), ("promoter", 300, 2), ("enhancer", 200, 3)])
def test_windows_are_balanced_on_every_contig(genome, name, width, classes):
    windows = read_bed(genome / f"{name}.bed")
    assert 600 <= len(windows) <= 900 and {end - start for _, start, end, _, _ in windows} == {width}
    counts = Counter((contig, label) for contig, _, _, label, _ in windows)
    assert len(counts) == classes * len(simulate_genome.CONTIGS) and len(set(counts.values())) == 1


def test_truth_is_in_the_genome(genome):
    letters = {"R": "[AG]", "Y": "[CT]", "S": "[CG]", "W": "[AT]"}
    rows = read_truth(genome)
    places = [(r["contig"], int(r["start"]), int(r["end"]), r["motif"], r["strand"]) for r in rows]
    for row, sequence in zip(rows, sequences(genome, places), strict=True):
        assert re.fullmatch("".join(letters.get(letter, letter) for letter in row["pattern"]), sequence)
        assert int(row["window_start"]) <= int(row["start"]) < int(row["end"]) <= int(row["window_end"])
    windows = {(w[0], str(w[1]), w[3]) for n in ("mark", "promoter", "enhancer") for w in read_bed(genome / f"{n}.bed")}
    assert {(row["contig"], row["window_start"], row["label"]) for row in rows} <= windows


def test_mark_grammar_decides_the_label(genome):
    """Label 1 if and only if an AP1 site is followed on its strand by an ETS site after 4-14 bp."""
    planted = {}
    for row in read_truth(genome):
        if row["feature"] == "mark":
            planted.setdefault((row["contig"], int(row["window_start"])), []).append(row)
    decided, kinds = {}, Counter()
    for window in read_bed(genome / "mark.bed"):
        sites = planted.get(window[:2], [])
        gaps = set()
        for ap1 in (site for site in sites if site["motif"] == "AP1"):
            for ets in (site for site in sites if site["motif"] == "ETS" and site["strand"] == ap1["strand"]):
                first, second = (ap1, ets) if ap1["strand"] == "+" else (ets, ap1)
                gaps.add(int(second["start"]) - int(first["end"]))
        decided[window] = "1" if any(4 <= gap < 15 for gap in gaps) else "0"
        kinds[window[3], bool(sites)] += 1
    wrong = [window for window, label in decided.items() if label != window[3]]
    assert not wrong and kinds["0", True] > 50 and kinds["0", False] > 50


def kmer_mcc(genome, windows, permutations=0):
    """Held-out MCC of a linear model on 1- to 6-mer counts: for the labels, then for permuted training labels."""
    labels = np.array([window[3] for window in windows])
    test = np.array([window[0] in HELD_OUT for window in windows])
    counts = CountVectorizer(analyzer="char", ngram_range=(1, 6), lowercase=False, dtype=np.float32)
    features = counts.fit_transform(sequences(genome, windows)).toarray()
    features = StandardScaler().fit(features[~test]).transform(features)
    rng = np.random.default_rng(0)
    trains = [labels[~test], *(rng.permutation(labels[~test]) for _ in range(permutations))]
    models = [RidgeClassifier(alpha=features.shape[1]).fit(features[~test], train) for train in trains]
    return [matthews_corrcoef(labels[test], model.predict(features[test])) for model in models]


@pytest.mark.parametrize("name", ["mark", "promoter", "enhancer"])
def test_kmers_find_the_planted_signal_but_not_all_of_it(genome, name):
    found, *permuted = kmer_mcc(genome, read_bed(genome / f"{name}.bed"), permutations=5)
    assert 0.3 < found < 0.9
    assert abs(np.mean(permuted)) < 0.15 and max(permuted) < found


def test_biotypes_are_learnable_and_not_by_length_alone(genome):
    genes = read_genes(genome / "genes.gtf")
    counts = Counter(biotype for *_, biotype, _ in genes)
    assert set(counts) == set(simulate_genome.BIOTYPES) and set(counts.values()) <= set(range(60, 101))
    assert {strand for *_, strand in genes} == {"+", "-"}
    assert 0.4 < kmer_mcc(genome, genes)[0] < 0.95
    lengths = {b: [end - start for _, start, end, biotype, _ in genes if biotype == b] for b in counts}
    assert max(lengths["miRNA"]) > min(lengths["snRNA"]) and max(lengths["snoRNA"]) > min(lengths["snRNA"])
    assert max(lengths["lncRNA"]) > min(lengths["protein_coding"])


def test_genes_are_what_they_are_called(genome):
    genes = read_genes(genome / "genes.gtf")
    for gene, sequence in zip(genes, sequences(genome, genes), strict=True):
        if gene[3] == "protein_coding":
            frames = re.finditer("(?=(ATG(?:(?!TAA|TAG|TGA)[ACGT]{3})*(?:TAA|TAG|TGA)))", sequence)
            assert max(len(frame.group(1)) for frame in frames) > 0.4 * len(sequence) and "AATAAA" in sequence
        if gene[3] == "processed_pseudogene":
            assert sequence.endswith("A" * 10)
        if gene[3] == "snRNA":
            assert "AATTTTTGG" in sequence


def vcf_records(path):
    with pysam.VariantFile(str(path)) as file:
        return list(file)


def normalise(bcftools, genome, vcf):
    """Records that `bcftools norm` reads, and those that it splits, left-aligns, joins or skips."""
    command = [bcftools, "norm", "--check-ref", "e", "--fasta-ref", genome / "genome.fa", vcf]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    total, *changed = map(int, re.search(r"skipped:\s*([\d/]+)", done.stderr).group(1).split("/"))
    return total, changed


def test_population_agrees_with_the_reference(genome, population, tool):
    total, changed = normalise(tool("bcftools"), genome, population / "population.vcf.gz")
    assert total > 100 and not any(changed)


def test_many_indels_are_left_aligned_and_apart(genome, tool, tmp_path, monkeypatch):
    monkeypatch.setattr(simulate_population, "INDEL_FRACTION", 1.0)
    vcf = simulate_people(genome, tmp_path, 60) / "population.vcf.gz"
    total, changed = normalise(tool("bcftools"), genome, vcf)
    records = vcf_records(vcf)
    assert not any(changed) and sum(len(r.ref) > 1 for r in records) > 30
    assert sum(len(r.alts[0]) > 1 for r in records) > 30 and total == len(records)
    assert all(one.stop <= two.start for one, two in pairwise(records))


def test_population_holds_what_it_promises(population, tool):
    records = vcf_records(population / "population.vcf.gz")
    panel = [line.split("\t") for line in (population / "panel.tsv").read_text().splitlines()]
    assert panel[0] == ["sample", "pop", "super_pop", "gender"]
    assert [row[0] for row in panel[1:]] == list(records[0].header.samples)
    assert Counter(row[2] for row in panel[1:]) == {"AFR": 60, "EUR": 60, "EAS": 60, "AMR": 60}
    assert {row[3] for row in panel[1:]} == {"female", "male"}
    positions = [record.start for record in records]
    assert positions == sorted(set(positions)) and min(positions) >= 20_000 and max(positions) < 40_000
    indels = [r for r in records if len(r.ref) > 1 or any(len(alt) > 1 for alt in r.alts)]
    assert 0.01 < len(indels) / len(records) < 0.1
    assert any(len(r.ref) > 1 for r in indels) and any(len(r.alts[0]) > 1 for r in indels)
    assert all(r.ref[0] == alt[0] for r in indels for alt in r.alts)
    assert all(one.stop <= two.start for one, two in pairwise(records))
    assert any(len(r.alts) > 1 for r in records)
    for record in records:
        alleles = [allele for sample in record.samples.values() for allele in sample["GT"]]
        assert all(sample.phased for sample in record.samples.values())
        assert record.info["AC"] == tuple(alleles.count(index + 1) for index in range(len(record.alts)))
        assert all(0 < count < len(alleles) == record.info["AN"] for count in record.info["AC"])
    command = [tool("bcftools"), "query", "-r", f"chr1:{positions[0] + 1}", "-f", "%POS\n"]
    assert output_of(*command, population / "population.vcf.gz").split() == [str(positions[0] + 1)]


def test_genotypes_tell_the_superpopulation(population):
    rows = [line.split("\t")[2] for line in (population / "panel.tsv").read_text().splitlines()[1:]]
    dosage = []
    for record in vcf_records(population / "population.vcf.gz"):
        calls = np.array([sample["GT"] for sample in record.samples.values()])
        dosage += [(calls == index + 1).sum(axis=1) for index in range(len(record.alts))]
    dosage = np.stack(dosage, axis=1)
    segregating = {name: (dosage[np.array(rows) == name].sum(axis=0) > 0).sum() for name in set(rows)}
    assert max(segregating, key=segregating.get) == "AFR"  # African diversity is the largest, in every demography
    order = np.random.default_rng(0).permutation(len(rows))
    labels, train, test = np.array(rows), order[:160], order[160:]
    model = LogisticRegression(C=0.1, max_iter=2_000).fit(dosage[train], labels[train])
    shuffled = np.random.default_rng(1).permutation(labels[train])
    chance = LogisticRegression(C=0.1, max_iter=2_000).fit(dosage[train], shuffled)
    assert model.score(dosage[test], labels[test]) > 0.45  # four classes of equal size
    assert chance.score(dosage[test], labels[test]) < 0.4


def read_trios(directory):
    lines = [line.split("\t") for line in (directory / "pedigree.tsv").read_text().splitlines()]
    assert lines[0] == ["sampleID", "fatherID", "motherID", "sex"]
    return lines[1:], [line[:3] for line in lines[1:] if line[1] != "0"]


def test_children_inherit_one_haplotype_of_each_parent(kin, tool):
    """Without an error by bcftools' own count of Mendelian violations, and haplotype by haplotype."""
    people, trios = read_trios(kin)
    assert len(people) == 72 and len(trios) == 32 and Counter(len({*trio}) for trio in trios) == {3: 32}
    (kin.parent / "trios.txt").write_text("".join(f"{mother},{father},{child}\n" for child, father, mother in trios))
    command = [tool("bcftools"), "+mendelian", "-m", "c", "-T", kin.parent / "trios.txt", kin / "population.vcf.gz"]
    counts = [line.split("\t")[:3] for line in output_of(*command).splitlines() if not line.startswith("#")]
    records = vcf_records(kin / "population.vcf.gz")
    assert counts == [[str(len(records)), "0", "0"]] * 32  # good, bad, skipped
    calls = {name: np.array([record.samples[name]["GT"] for record in records]) for name in records[0].header.samples}
    panel = {row.split("\t")[0]: row.split("\t") for row in (kin / "panel.tsv").read_text().splitlines()[1:]}
    sexes = {name: sex for name, *_, sex in people}
    handed = Counter()
    for child, *parents in trios:
        for copy, (parent, sex) in enumerate(zip(parents, ("1", "2"), strict=True)):
            matches = [(calls[child][:, copy] == calls[parent][:, other]).all() for other in (0, 1)]
            assert any(matches)  # a crossover in 20 kb is rarer than 1 in 5,000
            handed[tuple(matches)] += 1
            assert sexes[parent] == sex and panel[parent][2] == panel[child][2]
    assert handed[True, False] > 10 and handed[False, True] > 10
    assert {name: ("male", "female")[sex == "2"] for name, sex in sexes.items()} == {n: r[3] for n, r in panel.items()}


def test_children_change_nothing_of_the_others(genome, kin, tmp_path):
    alone = simulate_people(genome, tmp_path, 10)
    assert not read_trios(alone)[1]
    for one, two in zip(vcf_records(alone / "population.vcf.gz"), vcf_records(kin / "population.vcf.gz"), strict=True):
        assert (one.pos, one.ref, one.alts) == (two.pos, two.ref, two.alts)
        assert all(one.samples[name]["GT"] == two.samples[name]["GT"] for name in one.samples)


def test_a_random_split_of_families_flatters(genome, tmp_path):
    """The nearest neighbour in genotypes scores higher where relatives of test people train; both cures remove that."""
    made = simulate_people(genome, tmp_path, 40, 40)
    roles = {"vcf": "population.vcf.gz", "panel": "panel.tsv", "families": "pedigree.tsv"}
    sources = {role: made / name for role, name in roles.items()} | {"genome": genome / "genome.fa"}
    frame = build_set("people", sources, {"contig": "chr1", "start": "20001", "end": "40000"}, 1)
    scores = {"random": [], "family": [], "unrelated": []}
    for seed in range(10):
        shares = {"train": 0.8, "test": 0.2}
        random = frame.assign(split=draw_splits(frame["label"], frame["group"], shares, seed))
        derived = {"family": draw_families(random, seed)[0], "unrelated": keep_unrelated(random)[0]}
        for name, table in ({"random": random} | derived).items():
            people = table.drop_duplicates("sample").set_index("sample")
            calls = pd.DataFrame(features("genotype", table), index=table["sample"])
            dosage = calls.groupby("sample", sort=False).mean()
            train = (people["split"] == "train").to_numpy()
            model = KNeighborsClassifier(1).fit(dosage[train], people["label"][train])
            scores[name].append(model.score(dosage[~train], people["label"][~train]))
    random, family, unrelated = (np.mean(scores[name]) for name in scores)
    assert random > family + 0.04 and random > unrelated + 0.04 and unrelated > 0.35  # of four classes


def test_crossovers_exchange_the_haplotypes(monkeypatch):
    monkeypatch.setattr(simulate_population, "RECOMBINATION", 1e-2)
    calls = np.stack([np.zeros(1000, dtype=int), np.ones(1000, dtype=int)], axis=1)
    drawn = (np.random.default_rng(seed) for seed in range(300))
    gametes = [simulate_population._gamete(generator, calls, np.arange(1000), 1000) for generator in drawn]
    assert 9 < np.abs(np.diff(gametes, axis=1)).sum(axis=1).mean() < 11  # Poisson of mean 10


def test_variants_break_motifs_or_lie_beside_them(genome, variants):
    records = vcf_records(variants / "variants.vcf.gz")
    assert {record.chrom for record in records} == {"6"}
    with pysam.FastaFile(str(genome / "genome.fa")) as fasta:
        bases = fasta.fetch("chr6")
    motifs = [row for row in read_truth(genome) if row["contig"] == "chr6"]
    chunks, counts = {}, Counter()
    for record in records:
        assert bases[record.start] == record.ref and len(record.alts) == 1 and record.alts[0] not in ("N", record.ref)
        (significance,), gene = record.info["CLNSIG"], record.info["GENEINFO"]
        kind = re.search("pathogenic|benign|uncertain", significance.lower()).group()
        counts[kind] += 1
        chunks.setdefault((gene, record.start // 1024), set()).add(kind)
        hits = [row for row in motifs if int(row["start"]) <= record.start < int(row["end"])]
        if kind == "pathogenic":
            fixed = []
            for row in hits:
                plus = row["strand"] == "+"
                index = record.start - int(row["start"]) if plus else int(row["end"]) - 1 - record.start
                fixed.append(row["pattern"][index] in "ACGT" and row["label"] not in ("0", "background"))
            assert any(fixed)
        if kind == "benign":
            assert not hits
    assert 60 <= counts["pathogenic"] <= 140 and 60 <= counts["benign"] <= 140 and counts["uncertain"] == 15
    assert Counter(gene for gene, _ in chunks) == {"SIMA:101": 5, "SIMB:102": 5, "SIMC:103": 5}
    assert all({"pathogenic", "benign"} <= kinds for kinds in chunks.values())
    assert len({record.start for record in records}) == len(records)


def test_indels_leave_no_motif_or_touch_none(genome, variants, tool):
    records = vcf_records(variants / "indels.vcf.gz")
    with pysam.FastaFile(str(genome / "genome.fa")) as fasta:
        bases = fasta.fetch("chr6")
    motifs = [row for row in read_truth(genome) if row["contig"] == "chr6"]
    counts, kinds = Counter(), {"pathogenic": Counter(), "benign": Counter()}
    for record in records:
        (significance,), ref, alt = record.info["CLNSIG"], record.ref, record.alts[0]
        kind = re.search("pathogenic|benign", significance.lower()).group()
        counts[kind] += 1
        kinds[kind][record.info["CLNVC"]] += 1
        assert bases[record.start : record.stop] == ref != alt and max(len(ref), len(alt)) > 1
        after = bases[: record.start] + alt + bases[record.stop :]
        broken = [
            row
            for row in motifs
            if abs(int(row["start"]) - record.start) < 60 and not stands(after, row, len(alt) - len(ref))
        ]
        if kind == "benign":
            assert not broken
        else:
            assert any(row["label"] not in ("0", "background") for row in broken)
    assert 60 <= counts["pathogenic"] <= 140 and 60 <= counts["benign"] <= 140
    assert all(set(some) == {"Deletion", "Insertion", "Indel"} and min(some.values()) > 8 for some in kinds.values())
    plain = (genome / "genome.fa").read_text().replace(">chr6", ">6")
    (variants / "renamed.fa").write_text(plain)
    command = [tool("bcftools"), "norm", "-f", variants / "renamed.fa", "-Ov", variants / "indels.vcf.gz"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert re.search(r"total/split/(joined/)?realigned/.*:\s*\d+/0/(0/)?0/", answer.stderr), answer.stderr


def stands(text: str, row: dict, shift: int) -> bool:
    """Whether the motif of a row is there, letter by letter of its pattern, where it was or moved by an indel."""
    for at in (int(row["start"]), int(row["start"]) + shift):
        site = text[at : at + len(row["pattern"])]
        site = site if row["strand"] == "+" else reverse_complement(site)
        if all(base in simulate_genome.IUPAC[letter] for letter, base in zip(row["pattern"], site, strict=True)):
            return True
    return False


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"contig": "chr9"}, "chr9"),
        ({"start": -1}, "--start"),
        ({"start": 0}, "'N' at chr1:1"),
        ({"start": 225_000}, "ends at"),
        ({"length": 0}, "--length"),
        ({"people-per-population": 0}, "--people-per-population"),
        ({"children-per-population": -1}, "--children-per-population"),
        ({"children-per-population": 1, "people-per-population": 1}, "couples"),
        ({"genome": "absent.fa"}, "absent.fa"),
    ],
)
def test_population_refuses_nonsense(genome, tmp_path, capsys, changes, word):
    flags = {"genome": genome / "genome.fa", "contig": "chr1", "start": 20_000, "length": 20_000}
    flags |= {"people-per-population": 2, "seed": 1, "output": tmp_path / "out"} | changes
    assert word in refused(capsys, words("simulate_population", **flags)) and not (tmp_path / "out").exists()


def test_variants_refuse_a_foreign_truth(genome, tmp_path, capsys):
    def run(text):
        (tmp_path / "truth.tsv").write_text(text)
        flags = {"genome": genome / "genome.fa", "truth": tmp_path / "truth.tsv", "output": tmp_path / "out"}
        error = refused(capsys, words("simulate_variants", **flags, seed=1))
        assert not (tmp_path / "out").exists()
        return error

    lines = (genome / "truth.tsv").read_text().splitlines(keepends=True)
    last = next(line for line in lines if line.startswith("chr6"))
    contig, start, end, *others = last.split("\t")
    shifted = "\t".join([contig, str(int(start) + 1), str(int(end) + 1), *others])
    assert "no column 'pattern'" in run("".join(lines).replace("pattern", "consensus", 1))
    for row in (shifted, "\t".join([contig, "-5", "4", *others])):
        assert "is not at chr6" in run(lines[0] + row)
    for row in (last.replace(start, "here"), f"{contig}\t{start}\n"):
        assert "not a table" in run(lines[0] + row)
    assert "too few" in run(lines[0] + last) and "no rows" in run(lines[0])


def test_malformed_genome_and_arguments(genome, tmp_path, capsys):
    (tmp_path / "broken.fa").write_text("no header here\n")
    flags = {"truth": genome / "truth.tsv", "seed": 1, "output": tmp_path / "out"}
    refused(capsys, words("simulate_variants", genome=tmp_path / "broken.fa", **flags))
    (tmp_path / "file").write_text("")
    for wrong in ({"output": tmp_path / "file"}, {"seed": -1}, {"seed": "one"}, {"n": 3}):
        refused(capsys, words("simulate_genome", **{"seed": 1, "output": tmp_path / "out"} | wrong))
    refused(capsys, words("simulate_genome", seed=1))
