"""Vectors of genes: tables in the forms that people publish, GO, cells, another screen."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.perturbation.effects import Effects, write_effects
from foundationless.perturbation.expression.h5ad import write_h5ad
from foundationless.perturbation.expression.matrix import Expression, named_rows
from foundationless.perturbation.sources import from_screen, jaccard_graph, principal_scores
from foundationless.perturbation.vectors import GeneVectors, read_vectors, write_vectors
from support.commands import refused

RNG = np.random.default_rng(5)
GENES = [f"G{number}" for number in range(12)]
VECTORS = RNG.standard_normal((12, 4)).round(4)


def importing(output, kind, *inputs, **flags):
    more = [f"--{key}={value}" for key, value in flags.items()]
    return ["import_genes", f"--kind={kind}", "--input", *map(str, inputs), *more, f"--output={output}"]


def imported(folder, kind, *inputs, **flags) -> GeneVectors:
    assert main(importing(folder / "genes.parquet", kind, *inputs, **flags)) == 0
    return read_vectors(folder / "genes.parquet")


def write(form, folder):
    frame = pd.DataFrame(VECTORS, index=pd.Index(GENES, name="gene"), columns=[f"d{number}" for number in range(4)])
    path = folder / form
    if form == "t.csv":
        frame.to_csv(path)
    elif form == "t.tsv.gz":
        frame.to_csv(path, sep="\t")
    elif form == "genept.csv.gz":  # no name above the names, dimensions as numbers
        with gzip.open(path, "wt") as stream:
            frame.set_axis(range(4), axis=1).rename_axis(None).to_csv(stream)
    elif form == "turned.csv":
        frame.T.to_csv(path)
    elif form == "t.parquet":
        frame.reset_index().to_parquet(path)
    elif form == "lists.parquet":
        pd.DataFrame({"gene": GENES, "vector": list(VECTORS)}).to_parquet(path)
    else:
        rows = [f"{gene} {' '.join(map(str, row))} " for gene, row in zip(GENES, VECTORS, strict=True)]
        path.write_text("12 4\n" + "\n".join(row.strip() for row in rows) + "\n")
    return path


FORMS = ["t.csv", "t.tsv.gz", "genept.csv.gz", "turned.csv", "t.parquet", "lists.parquet", "gene2vec.txt"]


@pytest.mark.parametrize("form", FORMS)
def test_tables_of_every_form_hold_the_same(form, tmp_path):
    flags = {"rows": "dims"} if form == "turned.csv" else {}
    read = imported(tmp_path, "table", write(form, tmp_path), namespace="own", **flags)
    assert read.genes == tuple(GENES) and read.namespace == "own" and read.source.startswith("table ")
    assert np.array_equal(read.matrix, VECTORS.astype(np.float32))


def test_fewer_dimensions_of_a_table_are_its_principal_scores(tmp_path):
    read = imported(tmp_path, "table", write("t.csv", tmp_path), dims=2)
    expected = PCA(2).fit_transform(VECTORS)
    assert np.allclose(np.abs(read.matrix), np.abs(expected), atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_principal_scores_are_those_of_prcomp(shape):
    table = RNG.standard_normal(shape)
    expected = PCA(3).fit_transform(table)
    assert np.allclose(np.abs(principal_scores(table, 3)), np.abs(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "gene,a\nG1,1\nG2,\n", "1 numbers of the vectors are missing"),
        ("t.csv", "gene,a\nG1,1\nG2,word\n", "is not numeric"),
        ("t.txt", "3 2\nG1 1 2\nG2 1 2\n", "the file is cut off"),
        ("t.csv", "<html></html>", "web page"),
        ("t.parquet", "words", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_table_of_vectors_is_one_sentence(name, content, words, tmp_path, capsys):
    (tmp_path / name).write_text(content)
    assert words in refused(capsys, importing(tmp_path / "g.parquet", "table", tmp_path / name))


def test_the_graph_of_go_is_jaccards(tmp_path):
    sets = {"s1": ["A", "B", "C"], "s2": ["A", "B"], "s3": ["C", "D", "D"], "s4": ["E"]}
    genes, graph = jaccard_graph(sets, 3)
    member = {gene: {name for name, inside in sets.items() if gene in inside} for gene in genes}
    expected = np.array([[len(member[a] & member[b]) / len(member[a] | member[b]) for b in genes] for a in genes])
    np.fill_diagonal(expected, 0)
    assert genes == ["A", "B", "C", "D", "E"] and np.allclose(graph.toarray(), expected)
    near = jaccard_graph(sets, 1)[1].toarray()
    assert np.array_equal(near, near.T) and near[0, 1] == 1 and near[2, 3] == 1 / 2 and near.sum() == 3


@pytest.mark.parametrize("how", ["adjacency", "laplacian"])
def test_go_tells_families_apart(how, tmp_path):
    """Two families of genes that share terms within: their vectors agree within, and not between."""
    families = [[f"A{number}" for number in range(15)], [f"B{number}" for number in range(15)]]
    lines = []
    for number in range(40):
        members = RNG.choice(families[number % 2], size=8, replace=False)
        extra = ["B0"] if number == 0 else []
        lines.append("\t".join([f"GO{number}", "", *members, *extra]))
    (tmp_path / "go.gmt").write_text("\n".join(lines) + "\n")
    read = imported(tmp_path, "go", tmp_path / "go.gmt", dims=2, embedding=how, seed=3)
    again = imported(tmp_path, "go", tmp_path / "go.gmt", dims=2, embedding=how, seed=3)
    assert np.array_equal(read.matrix, again.matrix) and len(read.genes) == 30
    family = np.array([gene[0] == "A" for gene in read.genes])
    gaps = [abs(column[family].mean() - column[~family].mean()) / column.std() for column in read.matrix.T]
    assert max(gaps) > 1.5


def test_cells_are_joined_by_symbol(tmp_path):
    """A gene that follows another in all cells has nearly its vector; what no cell expresses has none."""
    counts = RNG.poisson(3, size=(30, 6)).astype(np.float32)
    counts[:, 1], counts[:, 5] = counts[:, 0], 0
    for name, genes, part in (("a", "ABCDEF", counts[:15]), ("b", "ABCDXF", counts[15:])):
        rows = named_rows(range(len(part)))
        write_h5ad(tmp_path / f"{name}.h5ad", Expression(part, tuple(f"id{g}" for g in genes), tuple(genes), rows))
    read = imported(tmp_path, "cells", tmp_path / "a.h5ad", tmp_path / "b.h5ad", dims=3)
    assert read.genes == ("A", "B", "C", "D", "E", "X")
    distance = np.linalg.norm(read.matrix[0] - read.matrix, axis=1)
    assert distance[1] < 1e-4 < distance[2:].min()


def effects(means, conditions, kinds, targets):
    count = len(conditions)
    cells = np.ones(count, dtype=np.int64)
    return Effects(tuple(conditions), tuple(targets), tuple(kinds), ("unknown",) * count, cells, means, None,
                   ("e1", "e2", "e3"), ("A", "B", "C"), "z", "test")  # fmt: skip


def test_vectors_of_another_screen_are_scores_of_its_conditions(tmp_path):
    means = RNG.standard_normal((5, 3)).astype(np.float32)
    made = effects(means, ["A", "ctrl", "A+B", "B", "D"], ["single", "control", "double", "single", "single"],
                   [("e1",), (), ("e1", "e2"), ("e2",), ("D",)])  # fmt: skip
    write_effects(tmp_path / "effects.parquet", made)
    genes, matrix = from_screen(tmp_path / "effects.parquet", 2)
    expected = PCA(2).fit_transform(means[[1, 0, 3, 4]])[1:]
    assert genes == ["A", "B", "D"] and np.allclose(np.abs(matrix), np.abs(expected), atol=1e-5)
    read = imported(tmp_path, "table", write("t.csv", tmp_path))
    with pytest.raises(UserError, match="no vector of a gene"):
        raise_for(tmp_path, "t.csv")
    assert read.namespace == "symbol"


def raise_for(folder, name):
    from foundationless.perturbation.sources import import_vectors

    import_vectors("table", [folder / name], seed=0, screens=[folder / "effects.parquet"])


def test_genes_get_the_names_of_the_screen(tmp_path):
    means = np.zeros((2, 3), dtype=np.float32)
    write_effects(tmp_path / "e.parquet", effects(means, ["ctrl", "D"], ["control", "single"], [(), ("OLD4",)]))
    (tmp_path / "t.csv").write_text("gene,a\nNEW1,1\nB,2\nNEW4,4\nZ,5\n")
    names = "symbol,prev_symbol,ensembl_gene_id\nNEW1,A,e1\nB,,e2\nNEW4,OLD4,e4\n"
    (tmp_path / "names.csv").write_text(names)
    flags = {"effects": tmp_path / "e.parquet", "names": tmp_path / "names.csv"}
    read = imported(tmp_path, "table", tmp_path / "t.csv", **flags)
    assert read.genes == ("A", "B", "OLD4") and list(read.matrix[:, 0]) == [1, 2, 4]


def test_an_edge_of_go_is_there_where_one_of_both_counts_the_other():
    """With one neighbour each: c's is a, and a's is b."""
    genes, graph = jaccard_graph({"1": ["a", "b"], "2": ["a", "b"], "3": ["a", "c"]}, neighbours=1)
    assert genes == ["a", "b", "c"]
    assert graph.toarray() == pytest.approx(np.array([[0, 2 / 3, 1 / 3], [2 / 3, 0, 0], [1 / 3, 0, 0]]))


@pytest.mark.parametrize("embedding", ["adjacency", "laplacian"])
@pytest.mark.parametrize("sets", [[["a"], ["b"], ["c"], ["d"]], [["", ""]], [["x", "y", "z"]]])
def test_sets_that_bring_no_two_genes_together_are_one_sentence(sets, embedding, tmp_path, capsys):
    text = "".join(f"S{number}\tabout\t" + "\t".join(names) + "\n" for number, names in enumerate(sets))
    (tmp_path / "s.gmt").write_text(text)
    write_effects(tmp_path / "e.parquet", effects(np.zeros((2, 3)), ["ctrl", "D"], ["control", "single"], [(), ("B",)]))
    flags = {"effects": tmp_path / "e.parquet", "dims": 1, "embedding": embedding}
    said = refused(capsys, importing(tmp_path / "g.parquet", "go", tmp_path / "s.gmt", **flags))
    assert "no set holds two genes that are meant" in said and not (tmp_path / "g.parquet").exists()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"gene": ["a", None], "x": [1.0, 2.0]}, "1 of 2 genes have no name"),
        ({"gene": ["a", "b"], "x": [[1.0], None]}, "of different lengths, or missing"),
        ({"gene": ["a", "b"], "x": [[1.0], [1.0, 2.0]]}, "of different lengths, or missing"),
    ],
)
def test_parquet_with_holes_is_one_sentence(columns, words, tmp_path, capsys):
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    assert words in refused(capsys, importing(tmp_path / "g.parquet", "table", tmp_path / "v.parquet"))


def test_vectors_are_checked(tmp_path):
    for genes, matrix in ((("A", "A"), np.ones((2, 1))), (("A",), np.full((1, 2), np.nan)), ((), np.ones((0, 2)))):
        with pytest.raises(UserError):
            write_vectors(tmp_path / "g.parquet", GeneVectors(genes, matrix.astype(np.float32), "own", ""))
    (tmp_path / "g.parquet").write_text("words")
    with pytest.raises(UserError, match="holds no vectors"):
        read_vectors(tmp_path / "g.parquet")
    write_vectors(tmp_path / "g.parquet", GeneVectors(("A", "B"), np.ones((2, 1), dtype=np.float32), "own", ""))
    table = pq.read_table(tmp_path / "g.parquet")
    pq.write_table(table.set_column(0, "gene", pa.array(["A", None])), tmp_path / "g.parquet")
    with pytest.raises(UserError, match="a gene without a name"):
        read_vectors(tmp_path / "g.parquet")
    with pytest.raises(UserError, match="no such file"):
        read_vectors(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("genes", "namespace"),
    [
        (["KLF1", "TP53"], "symbol"),
        (["ENSG00000105610.6", "ENSG00000141510"], "ensembl"),
        (["10661", "7157"], "entrez"),
    ],
)
def test_the_namespace_of_a_table_is_found_from_its_names(genes, namespace, tmp_path):
    (tmp_path / "t.csv").write_text("gene,a,b\n" + "".join(f"{gene},1,2\n" for gene in genes))
    assert imported(tmp_path, "table", tmp_path / "t.csv").namespace == namespace
    assert imported(tmp_path, "table", tmp_path / "t.csv", namespace="own").namespace == "own"
