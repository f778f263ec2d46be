"""Variation on real genes: the paper's chunks of TP53, and maps over saturation genome editing."""

import numpy as np
import pytest

from foundationless.data.reference import Genome
from foundationless.scoring.chunks import PUBLISHED, mutated_chunks
from foundationless.scoring.mutagenesis import choose_windows
from support.commands import built


def build(folder, shared, vcf, *options):
    sources = {"vcf": shared / "realdata" / vcf, "genome": shared / "realdata" / "hg38_sparse.fa.gz"}
    return built(folder / f"{vcf}.parquet", "clinical", sources, options)


def test_the_studys_chunks_of_tp53_are_cut_from_the_gene(tmp_path, shared, mirror):
    lines = mirror("tp53_gene").read_text().splitlines()
    gene = "".join(line for line in lines if not line.startswith(">")).upper()  # as transcribed, NCBI
    frame = build(tmp_path, shared, "tp53_derived_clinvar_style.vcf.gz", "genes=TP53")
    genome = Genome(shared / "realdata" / "hg38_sparse.fa.gz")
    chunks = mutated_chunks(frame, genome, 1024, 5, np.random.default_rng(0))
    assert sorted(chunks["gene_start"].unique()) == list(PUBLISHED["TP53"].starts)
    for row in chunks.itertuples(index=False):
        assert row.before == gene[row.gene_start : row.gene_start + 1024]
        assert sum(a != b for a, b in zip(row.before, row.after, strict=True)) == row.mutations
    # missense variants that one SNV explains are a part of what the paper counted (Table 16)
    study = {10500: (122, 27), 11524: (60, 61), 12548: (51, 50), 13572: (76, 42), 16750: (38, 10)}
    counts = chunks[~chunks["matched"].astype(bool)].pivot(index="gene_start", columns="label", values="mutations")
    for start, (benign, pathogenic) in study.items():
        assert 0 < counts.loc[start, "benign"] <= benign and 0 < counts.loc[start, "pathogenic"] <= pathogenic


def test_mutagenesis_windows_are_the_densest_of_brca1(tmp_path, shared):
    frame = build(tmp_path, shared, "brca1_sge_hg38.vcf.gz", "unlabelled=yes", "score=SCORE", "length=256")
    windows = choose_windows(frame, 4)
    sizes = [len(window.known) for window in windows]
    assert len(windows) == 4 and sizes == sorted(sizes, reverse=True)
    starts = frame["position"] - 1 - frame["offset"]
    most = max(((frame["position"] > start) & (frame["position"] <= start + 256)).sum() for start in starts.unique())
    assert sizes[0] == pytest.approx(most)
    genome = Genome(shared / "realdata" / "hg38_sparse.fa.gz")
    for window in windows:
        contig, place = window.name.split(":")
        start = int(place.split("-")[0])
        assert window.sequence == genome.fetch(contig, start - 1, start + 255)
        assert window.known["function_score"].notna().any()
