"""Screens of real perturbations: the facts known about them must come out."""

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.perturbation.effects import read_effects, write_effects
from foundationless.perturbation.expression.reading import read_expression
from foundationless.perturbation.gene_names import read_names
from foundationless.perturbation.jobs import run_cell
from foundationless.perturbation.selection import EffectSettings, mean_known
from foundationless.perturbation.vectors import read_vectors
from foundationless.runtime.files import read_table
from foundationless.study.plan import read_pairs
from support import ROOT, screens


def options_of(task: str) -> list[str]:
    """Options of a task of the table, as flags."""
    rows = {row["task"]: row for row in read_table(ROOT / "config/tasks.tsv", ["task"])}
    return [f"--option={key}={value}" for key, value in read_pairs(rows[task]["options"])]


def built(folder, matrix, *options, seed=1):
    path = folder / "effects.parquet"
    assert main(["build_effects", f"--source=matrix={matrix}", *options, f"--seed={seed}", f"--output={path}"]) == 0
    return read_effects(path)


@pytest.fixture(scope="module")
def norman(mirror, tmp_path_factory):
    return built(tmp_path_factory.mktemp("norman"), mirror("norman_pseudobulk"), *options_of("norman_hackathon"))


@pytest.fixture(scope="module")
def cells(shared, tmp_path_factory):
    return built(tmp_path_factory.mktemp("cells"), shared / "realdata" / "norman_cells.npz")


@pytest.fixture(scope="module")
def l1000(mirror, tmp_path_factory):
    return built(tmp_path_factory.mktemp("l1000"), mirror("l1000_knockdowns"), *options_of("l1000_a549"))


def test_norman_means_are_those_of_its_cells(norman, cells, shared):
    assert norman.means.shape == (177, 1000) and (len(norman.singles), len(norman.doubles)) == (101, 75)
    assert norman.values == "lognorm" and norman.halves is None and set(norman.cells) == {1}
    assert norman.conditions == cells.conditions and set(cells.cells) == {40}
    with np.load(shared / "realdata" / "norman_cells.npz") as archive:
        means = pd.DataFrame(archive["X"].T.astype(np.float64)).groupby(archive["cond"], sort=False).mean()
    assert [name.removesuffix("+ctrl") for name in means.index] == list(norman.conditions)
    assert np.abs(means.to_numpy() - norman.means).max() < 1e-5
    assert np.abs(means.to_numpy() - cells.means).max() < 1e-6
    assert f"{norman.means.min():.4f} {norman.means.max():.3f}" == "0.0013 5.614"


def test_norman_activates_its_targets(norman):
    assert {gene for targets in norman.targets for gene in targets} <= set(norman.genes)
    places = [(row, norman.genes.index(norman.targets[row][0])) for row in norman.singles.tolist()]
    rises = np.mean([norman.means[row, gene] > norman.control[gene] for row, gene in places])
    assert round(rises, 2) == 0.97


def test_norman_halves_differ_by_the_noise_of_twenty_cells(cells):
    """The distance of halves of 20 cells is 3.99: 2.0 is the noise of 40."""
    gaps = np.linalg.norm(cells.halves[0] - cells.halves[1], axis=1)
    assert gaps[cells.doubles].mean() == pytest.approx(3.99, abs=0.05)
    assert np.allclose(cells.halves.mean(axis=0), cells.means, atol=1e-5)


def test_norman_other_seeds_deal_other_halves(cells, shared, tmp_path):
    other = built(tmp_path, shared / "realdata" / "norman_cells.npz", seed=2)
    assert np.array_equal(other.means, cells.means) and not np.array_equal(other.halves, cells.halves)


@pytest.mark.parametrize(
    ("name", "halves", "error", "borrowed"),
    [("norman", "ordered", 3.9798, 3.4839), ("l1000", "interleaved", 34.6007, 33.6921)],
)
def test_halves_in_the_order_of_the_source_have_the_known_errors(
    name, halves, error, borrowed, shared, mirror, tmp_path
):
    """Those of the independent script, whose halves were laid out by hand; the mean, and the other half as P."""
    known = screens.norman(shared / "realdata" / "norman_cells.npz") if name == "norman" else None
    known = known or screens.l1000(mirror("l1000_knockdowns"))
    matrix = shared / "realdata" / "norman_cells.npz" if name == "norman" else mirror("l1000_knockdowns")
    options = [] if name == "norman" else options_of("l1000_a549")
    made = built(tmp_path, matrix, *options, f"--option=halves={halves}")
    symbols = dict(zip(made.genes, made.symbols, strict=True))
    named = ["+".join(symbols[gene] for gene in genes) or "ctrl" for genes in made.targets]
    rows = [named.index(condition) for condition in known.conditions]
    assert np.allclose(made.halves[:, rows], known.halves, atol=1e-5)
    flags = {"kind": "unseen", "variant": "halves", "inner_folds": 0}
    for settings, expected in ({"baseline": "mean"}, error), ({"side": "target", "source": "halves"}, borrowed):
        given = EffectSettings(**flags, **settings)
        outcomes, _ = run_cell(tmp_path / "effects.parquet", None, given, "pretrained", 0)
        found = np.mean([mean_known(one.tried[0].metrics["l2"]) for one in outcomes])
        assert found == pytest.approx(expected, abs=6e-5)


def test_l1000_knocks_down_its_targets(l1000, mirror):
    assert l1000.means.shape == (86, 976) and len(l1000.singles) == 85 and l1000.values == "z"
    counts = l1000.cells[l1000.singles]
    assert {int(size): int((counts == size).sum()) for size in set(counts)} == {4: 81, 3: 2, 2: 2}
    assert l1000.cells[l1000.kinds.index("control")] == 32
    assert np.linalg.norm(l1000.control) == pytest.approx(13, abs=0.1)
    own = [l1000.means[row, l1000.genes.index(l1000.targets[row][0])] for row in l1000.singles.tolist()]
    assert f"{np.median(own):.2f}" == "-6.35"
    read = read_expression(mirror("l1000_knockdowns"))
    wells = read.obs["pert_type"] == "trt_sh"
    assert read.matrix.shape == (374, 976) and wells.sum() == 334
    correlation = np.corrcoef(read.matrix[wells.to_numpy()])
    target = read.obs["pert_univ_id"][wells].to_numpy()
    others = target[:, None] != target
    same = ~others & ~np.eye(len(target), dtype=bool)
    assert correlation[same].mean() > 0.5 and abs(correlation[others].mean()) < 0.01


@pytest.mark.parametrize(
    ("name", "expected"), [("norman", "3.5759 3.5033 3.5626"), ("l1000", "32.6282 31.6886 30.0231")]
)
def test_the_mean_of_unseen_perturbations_has_the_known_error(name, expected, request):
    """Splits, units and control are those of the independent script: its numbers, of seeds 1 to 3."""
    effects = request.getfixturevalue(name)
    rows = sorted(effects.singles.tolist(), key=lambda row: effects.conditions[row])
    change = {row: effects.means[row].astype(np.float64) - effects.control for row in rows}
    errors = []
    for seed in (1, 2, 3):
        order = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
        size = round(len(rows) / 4)
        mean = sum(change[row] for row in order[size:]) / (len(order) - size + 1)  # and the control, unchanged
        errors.append(np.mean([np.linalg.norm(change[row] - mean) for row in order[:size]]))
    assert " ".join(f"{error:.4f}" for error in errors) == expected


def test_perturbench_is_logarithms_of_named_genes(mirror, tmp_path):
    effects = built(tmp_path, mirror("perturbench_devel"), "--option=keep=dataset=norman19")
    assert (len(effects.singles), len(effects.doubles), len(effects.genes)) == (18, 15, 500)
    assert effects.values == "lognorm" and "KLF1+MAP2K6" in effects.conditions
    assert effects.cells.min() >= 80 and effects.cells.max() <= 400 and effects.halves is not None


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cells_scp1884", (1020, 18708)),
        ("cells_cellxgene", (220, 18357)),
        ("cells_zheng68k", (165, 9621)),
        ("cells_pbmc_10k", (200, 16727)),
        ("cells_pbmc_5k", (200, 16581)),
    ],
)
def test_cells_for_pretraining_are_counts(mirror, name, shape):
    read = read_expression(mirror(name))
    assert read.matrix.shape == shape and read.values == "counts" and len(set(read.genes)) == shape[1]


def test_vectors_of_genept_and_of_go(mirror, l1000, tmp_path):
    path = tmp_path / "genes.parquet"
    source = mirror("genept_adamson")
    assert main(["import_genes", "--kind=table", "--input", str(source), f"--output={path}"]) == 0
    read = read_vectors(path)
    assert read.matrix.shape == (87, 1536) and "ctrl" in read.genes
    frame = pd.read_csv(source, index_col=0)
    assert np.allclose(read.matrix, frame.loc[list(read.genes)].to_numpy(), atol=1e-6)
    argv = [
        "import_genes",
        "--kind=go",
        "--input",
        str(mirror("go_gene_sets")),
        "--names",
        str(mirror("annotables_grch38")),
    ]
    write_effects(tmp_path / "effects.parquet", l1000)
    assert main([*argv, "--effects", str(tmp_path / "effects.parquet"), f"--output={path}"]) == 0
    read = read_vectors(path)
    assert set(read.genes) <= set(l1000.symbols) and len(read.genes) > 870 and read.matrix.shape[1] == 10


def test_names_of_a_real_table(mirror):
    """Ensembl, Entrez and symbols of annotables are one gene: each of L1000's landmarks is known by its number."""
    names = read_names(mirror("annotables_grch38"))
    assert names.symbol("ENSG00000139618.15") == names.symbol("675") == "BRCA2"
    read = read_expression(mirror("l1000_knockdowns"))
    known = [
        (gene, symbol) for gene, symbol in zip(read.genes, read.symbols, strict=True) if names.key(gene) is not None
    ]
    assert len(known) > 950
    assert np.mean([names.symbol(gene) == symbol for gene, symbol in known]) > 0.8
    assert names.symbol("9868") == "TOMM70"  # whom the plate calls TOMM70A
