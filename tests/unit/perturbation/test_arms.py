"""Arms of vectors: what each keeps of the pretrained ones."""

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.perturbation.arms import align, make_arm, paper_arm, reduce_dims
from foundationless.perturbation.gene_names import read_names
from foundationless.perturbation.vectors import GeneVectors


@pytest.fixture
def vectors():
    found = np.random.default_rng(0).standard_normal((400, 8)) @ np.diag(np.arange(1.0, 9.0)) + 3.0
    found[[5, 17]] = np.nan
    return found


def test_a_copy_is_the_same_to_the_bit(vectors):
    assert make_arm(vectors, "copy", (1,)).tobytes() == make_arm(vectors, "pretrained", (0,)).tobytes()


def test_permuted_rows_are_the_same_rows(vectors):
    found = make_arm(vectors, "permuted", (1,))
    known = np.isfinite(vectors).all(axis=1)
    assert np.isnan(found[~known]).all() and np.isfinite(found[known]).all()
    assert sorted(map(tuple, found[known])) == sorted(map(tuple, vectors[known]))
    assert (found[known] != vectors[known]).any(axis=1).mean() > 0.9


def test_random_has_the_columns_mean_and_deviation(vectors):
    found, known = make_arm(vectors, "random", (1,)), np.isfinite(vectors).all(axis=1)
    assert found[known].mean(axis=0) == pytest.approx(vectors[known].mean(axis=0), abs=1.5)
    assert found[known].std(axis=0) == pytest.approx(vectors[known].std(axis=0), rel=0.15)
    assert abs(np.corrcoef(found[known].ravel() - 3, vectors[known].ravel() - 3)[0, 1]) < 0.1


def test_spectrum_keeps_singular_values_and_mean(vectors):
    found, known = make_arm(vectors, "spectrum", (1,)), np.isfinite(vectors).all(axis=1)
    one, other = (each[known] - each[known].mean(axis=0) for each in (found, vectors))
    values = [np.linalg.svd(each, compute_uv=False) for each in (one, other)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert found[known].mean(axis=0) == pytest.approx(vectors[known].mean(axis=0), abs=1e-9)


@pytest.mark.parametrize("init", ["permuted", "random", "spectrum"])
def test_draws_differ_by_seed_and_not_by_call(vectors, init):
    one, again, other = (make_arm(vectors, init, (seed,)) for seed in (1, 1, 2))
    assert np.array_equal(one, again, equal_nan=True) and not np.array_equal(one, other, equal_nan=True)


def test_an_unknown_arm_is_refused(vectors):
    with pytest.raises(UserError, match="--init embedding"):
        make_arm(vectors, "embedding", (0,))


def test_reduced_vectors_are_centred_of_mean_square_1_and_missing_stay_missing(vectors):
    known = np.isfinite(vectors).all(axis=1)
    for dims, width in ((3, 3), (0, 8), (50, 8)):
        found = reduce_dims(vectors, dims)
        assert found.shape == (400, width) and np.isnan(found[~known]).all()
        assert found[known].mean(axis=0) == pytest.approx(0, abs=1e-9)
        assert np.mean(found[known] ** 2) == pytest.approx(1)


def test_paper_draws_come_in_the_order_that_the_script_had():
    generator = np.random.default_rng([2, 4, 77])
    first, second = generator.standard_normal((30, 10)), generator.standard_normal((30, 10))
    order, table = generator.permutation(30), np.arange(60.0).reshape(30, 2)
    assert np.array_equal(paper_arm(table, "random", (2, 4), 0, 2), first)
    assert np.array_equal(paper_arm(table, "random", (2, 4), 1, 2), second)
    assert np.array_equal(paper_arm(table, "permuted", (2, 4), 1, 2), table[order])


def test_vectors_are_aligned_by_their_namespace():
    made = GeneVectors(("B", "A"), np.array([[2.0], [1.0]], dtype=np.float32), "symbol", "here")
    assert align(made, ["1", "2", "3"], ["A", "B", "C"])[:2].ravel().tolist() == [1.0, 2.0]
    assert np.isnan(align(made, ["1", "2", "3"], ["A", "B", "C"])[2]).all()
    with pytest.raises(UserError, match=r"name genes by symbol .* with --names"):
        align(made, ["C"], ["1"])


@pytest.mark.parametrize(
    ("vectors", "namespace", "genes", "symbols"),
    [
        (("ENSG00000105610.6", "ENSG00000141510.18"), "ensembl", ["ENSG00000141510", "ENSG00000105610"], ["x", "y"]),
        (("ENSG00000105610", "ENSG00000141510"), "ensembl", ["ENSG00000141510.7", "ENSG00000105610.1"], ["x", "y"]),
        (("KLF1", "TP53"), "symbol", ["tp53", "KLF1"], ["x", "y"]),  # a screen that has symbols for ids alone
        (("10661", "7157"), "entrez", ["x", "y"], ["7157", "10661"]),
        (("ENSG00000105610", "ENSG00000141510"), "ensembl", ["TP53", "KLF1"], ["TP53", "KLF1"]),
        (("ENSG00000105610", "ENSG00000141510"), "ensembl", ["7157", "10661"], ["p53", "EKLF"]),
        (("10661", "7157"), "entrez", ["ENSG00000141510.7", "EKLF"], ["TP53", "EKLF"]),
    ],
)
def test_vectors_are_found_by_any_name_of_a_gene(vectors, namespace, genes, symbols, tmp_path):
    path = tmp_path / "hgnc.txt"
    path.write_text("symbol\tprev_symbol\talias_symbol\tentrez_id\tensembl_gene_id\n"
                    "KLF1\t\tEKLF\t10661\tENSG00000105610\nTP53\t\tp53|LFS1\t7157\tENSG00000141510\n")  # fmt: skip
    made = GeneVectors(vectors, np.array([[1.0], [2.0]], dtype=np.float32), namespace, "here")
    assert align(made, genes, symbols, read_names(path)).ravel().tolist() == [2.0, 1.0]


def test_the_paper_deals_vectors_among_genes_that_have_one_and_draws_them_for_all():
    table = np.arange(60.0).reshape(30, 2)
    table[[3, 20]] = np.nan
    known = np.isfinite(table).all(axis=1)
    dealt = paper_arm(table, "permuted", (2, 4), 1, 2)
    assert (np.isfinite(dealt).all(axis=1) == known).all() and sorted(dealt[known][:, 0]) == sorted(table[known][:, 0])
    assert np.isfinite(paper_arm(table, "random", (2, 4), 0, 1)).all()


@pytest.mark.parametrize("init", ["permuted", "random", "spectrum"])
@pytest.mark.parametrize("known", [0, 1])
def test_an_arm_of_hardly_any_vectors_is_refused(init, known):
    table = np.full((5, 3), np.nan)
    table[:known] = 1.0
    with pytest.raises(UserError, match=f"{known} genes have a vector"):
        make_arm(table, init, (0,))
