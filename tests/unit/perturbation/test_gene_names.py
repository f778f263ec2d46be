"""Names of genes: ids of three registries, old symbols, and what is ambiguous."""

import gzip

import pytest

from foundationless.errors import UserError
from foundationless.perturbation.gene_names import match, read_names, stripped

TABLE = """hgnc_id\tsymbol\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id
1\tMAP3K21\tdJ862P8.3\tKIAA1804|MLK4\t84451\tENSG00000143674
2\tTOMM70\tTom70\tTOMM70A\t9868\tENSG00000154174
3\tSEPTIN7\tCDC10A\tCDC10|SEPT7\t989\tENSG00000122545
4\tCDC10B\tP15|dup\t\t1030\tENSG00000147883
5\tKLF1\tEKLF|dup\t\t10661\tENSG00000105610
6\tC1orf43\tNICE-3\t\t25912\tENSG00000143612
7\tMLK4\t\t\t1\tENSG00000000457
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "hgnc.txt").write_text(TABLE)
    return read_names(tmp_path / "hgnc.txt")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("KIAA1804", "MAP3K21"),
        ("TOMM70A", "TOMM70"),
        ("9868", "TOMM70"),
        ("ENSG00000154174.8", "TOMM70"),
        ("sept7", "SEPTIN7"),
        ("EKLF", "KLF1"),
        ("C1ORF43", "C1orf43"),
        ("MLK4", "MLK4"),  # a symbol before what another gene was called
        ("dup", "dup"),  # an alias of two genes
        ("NEW1", "NEW1"),
    ],
)
def test_a_gene_has_one_current_symbol(table, name, symbol):
    assert table.symbol(name) == symbol


def test_versions_of_ensembl_are_cut_off_and_nothing_else():
    assert stripped("ENSG00000154174.8") == "ENSG00000154174"
    assert stripped("ENSMUSG00000064341.1") == "ENSMUSG00000064341"
    assert stripped("ENSG00000182378.13_PAR_Y") == "ENSG00000182378"
    assert stripped(" AC012345.6 ") == "AC012345.6" and stripped("HLA-A") == "HLA-A"


def test_matching_with_and_without_a_table(table):
    wanted = ["KLF1", "klf1", "KIAA1804", "84451", "ENSG00000122545.9", "NONE"]
    have = ["ENSG00000143674", "KLF1", "SEPT7", "KLF1"]
    bare = match(wanted, have)
    assert list(bare.places) == [1, 1, -1, -1, -1, -1] and len(bare.unmatched) == 4
    full = match(wanted, have, table)
    assert list(full.places) == [1, 1, 0, 0, 2, -1] and full.unmatched == ("NONE",)


def test_a_table_without_names_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("symbol,chromosome\nA,1\n")
    with pytest.raises(UserError, match="no table of gene names"):
        read_names(tmp_path / "t.csv")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_gtf_is_a_table_of_names(tmp_path, zipped):
    places = "\t1\t9\t.\t-\t.\t"
    text = (
        "##provider: GENCODE\n"
        f'chr19\tHAVANA\tgene{places}gene_id "ENSG00000105610.6"; gene_name "KLF1";\n'
        f'chr19\tHAVANA\texon{places}gene_id "ENSG00000105610.6"; exon_number 1; gene_name "KLF1";\n'
        f'chr1\tHAVANA\tgene{places}gene_id "ENSG00000000002";\n'
    )
    path = tmp_path / ("genes.gtf.gz" if zipped else "genes.gtf")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    names = read_names(path)
    assert names.symbol("ENSG00000105610") == "KLF1" and names.key("ENSG00000000002") is None
    (tmp_path / "none.gtf").write_text(text.replace("gene_name", "name"))
    with pytest.raises(UserError, match="no gene_id with a gene_name"):
        read_names(tmp_path / "none.gtf")
