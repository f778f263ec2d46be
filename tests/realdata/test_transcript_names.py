"""Names on a transcript against places: BRCA1's saturation genome editing has both."""

import pandas as pd

from foundationless.__main__ import main
from support.commands import built

# Exons of NM_007294.3 on GRCh38 (refGene of UCSC), 0-based and half-open; the coding sequence is 43045677 to 43124096.
STARTS = (
    43044294, 43047642, 43049120, 43051062, 43057051, 43063332, 43063873, 43067607,
    43070927, 43074330, 43076487, 43082403, 43090943, 43091434, 43095845, 43097243,
    43099774, 43104121, 43104867, 43106455, 43115725, 43124016, 43125270,
)  # fmt: skip
ENDS = (
    43045802, 43047703, 43049194, 43051117, 43057135, 43063373, 43063951, 43067695,
    43071238, 43074521, 43076614, 43082575, 43091032, 43094860, 43095922, 43097289,
    43099880, 43104261, 43104956, 43106533, 43115779, 43124115, 43125483,
)  # fmt: skip
CODING = (43045677, 43124096)


def annotation(path):
    """A GTF of the transcript, as NCBI writes it: the stop codon stands by itself."""
    rows = []
    for start, end in zip(STARTS, ENDS, strict=True):
        rows.append(("exon", start, end))
        if (low := max(start, CODING[0] + 3)) < (high := min(end, CODING[1])):
            rows.append(("CDS", low, high))
    rows.append(("stop_codon", CODING[0], CODING[0] + 3))
    told = 'gene_id "BRCA1"; transcript_id "NM_007294.3";'
    path.write_text("".join(f"17\tucsc\t{kind}\t{a + 1}\t{b}\t.\t-\t.\t{told}\n" for kind, a, b in rows))
    return path


def test_names_of_brca1_are_at_the_places_of_the_workbook(tmp_path, mirror):
    genome = tmp_path / "brca1.fa"
    piece = f"--piece=path={mirror('brca1_hg38')},contig=chr17,start=43000001"
    assert main(["prepare_genome", piece, f"--output={genome}"]) == 0
    table = pd.read_excel(mirror("brca1_sge"), header=2)
    table.to_csv(
        tmp_path / "named.csv", index=False, columns=["transcript_variant", "func.class", "function.score.mean"]
    )
    sources = {"table": tmp_path / "named.csv", "genome": genome, "genes": annotation(tmp_path / "brca1.gtf")}
    options = ["variant=transcript_variant", "transcript=NM_007294", "score=function.score.mean", "length=128"]
    options += ["label=func.class", "labels=LOF:pathogenic,FUNC:benign,INT:unknown"]
    frame = built(tmp_path / "set.parquet", "transcript_variants", sources, options)
    place = table["position (hg19)"] + 1847983
    ids = "chr17:" + place.astype(str) + ":" + table["reference"] + ":" + table["alt"]
    assert dict(zip(frame["id"], frame["score"], strict=True)) == dict(
        zip(ids, table["function.score.mean"], strict=True)
    )
    classes = table["func.class"].map({"LOF": "pathogenic", "FUNC": "benign"}).fillna("")
    assert dict(zip(frame["id"], frame["label"].fillna(""), strict=True)) == dict(zip(ids, classes, strict=True))
    assert len(frame) == 3893 and set(frame["gene"]) == {"BRCA1"}
    # Exons of the experiment are those of the old numbering, which skips the fourth; each is one exon here.
    exons = frame["id"].map(dict(zip(ids, table["experiment"], strict=True)))
    assert frame.groupby(exons)["exon"].nunique().max() == 1
    # The other reader takes distances from names of introns alone: where it knows one, both say the same.
    other = built(
        tmp_path / "sge.parquet",
        "sge",
        {"table": mirror("brca1_sge"), "genome": genome},
        ["length=128", "columns=splice_distance"],
    )
    known = other.set_index("id")["splice_distance"].reindex(frame["id"])
    intronic = table["transcript_variant"].str.contains(r"\d[+-]\d").to_numpy()
    by_name = dict(zip(ids, intronic, strict=True))
    inside = frame["id"].map(by_name).to_numpy()
    assert (known.to_numpy()[inside] == frame["splice_distance"].to_numpy()[inside]).all() and inside.sum() > 500
