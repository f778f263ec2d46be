"""What the table of BRCA1's saturation genome editing says of variants besides, from a workbook made by hand."""

import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.tasks.readers import build_set
from foundationless.tasks.readers.variant_sets import splice_distances

ROWS = [  # position in hg19, alt, name, change, CADD, phyloP, class
    (11, "C", "c.-19-2A>C", "NA", 6.0, 1.5, "FUNC"),
    (12, "C", "c.-19-1A>C", "NA", 25.0, 4.5, "LOF"),
    (13, "C", "c.-19A>C", "p.K1T", 20.0, "NA", "LOF"),
    (13, "G", "c.-19A>G", "p.K1=", 1.0, 0.5, "FUNC"),
    (16, "C", "c.-16A>C", "p.L2*", 35.0, 2.5, "INT"),
]


def workbook(path):
    names = ["gene", "chromosome", "position (hg19)", "reference", "alt", "func.class", "function.score.mean"]
    names += ["phyloP (mammalian)", "CADD.score", "protein_variant", "transcript_variant", "experiment"]
    rows = [
        ["BRCA1", 17, at, "A", alt, kind, -0.1, phylop, cadd, change, name, "X2"]
        for at, alt, name, change, cadd, phylop, kind in ROWS
    ]
    pd.DataFrame([names, *rows]).to_excel(path, index=False, header=False, startrow=2, engine="openpyxl")


def test_columns_beside_the_windows_are_those_of_the_table(tmp_path):
    workbook(tmp_path / "table.xlsx")
    (tmp_path / "genome.fa").write_text(">chr17\n" + "A" * 60 + "\n")
    sources = {"table": tmp_path / "table.xlsx", "genome": tmp_path / "genome.fa"}
    options = {"offset": "10", "length": "9"}
    plain = build_set("sge", sources, options, 0)
    told = build_set("sge", sources, options | {"columns": "phylop,cadd,protein,splice_distance"}, 0)
    columns = ["phylop", "cadd", "protein", "splice_distance"]
    pd.testing.assert_frame_equal(told.drop(columns=columns), plain)
    assert told["position"].tolist() == [21, 22, 23, 23, 26]
    assert told["splice_distance"].tolist() == [2, 1, 1, 1, 4]  # in the exon: as far as the nearest base of the intron
    assert told["cadd"].tolist() == [6, 25, 20, 1, 35] and told["phylop"].isna().tolist() == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert told["protein"].tolist()[2:] == ["p.K1T", "p.K1=", "p.L2*"] and told["protein"].isna().sum() == 2
    with pytest.raises(UserError, match="'sift' is none of"):
        build_set("sge", sources, options | {"columns": "sift"}, 0)


def test_an_exon_without_intronic_variants_has_no_distance():
    frame = pd.DataFrame(
        {"transcript_variant": ["c.5A>G", "c.9+3A>G"], "experiment": ["X1", "X2"], "position": [5, 12]}
    )
    assert splice_distances(frame).isna().tolist() == [True, False] and splice_distances(frame)[1] == 3
