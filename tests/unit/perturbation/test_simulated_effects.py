"""The planted screen: the same bytes of a seed, and a truth that a few lines of algebra find."""

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.perturbation.effects import read_effects
from foundationless.perturbation.simulate import BLUR, FACTORS, INTERACTING, name_genes, planted, simulate_effects


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen")
    assert main(["simulate_effects", "--seed=4", f"--output={folder}"]) == 0
    argv = ["build_effects", f"--source=matrix={folder / 'effects.h5ad'}", "--seed=4"]
    assert main([*argv, f"--output={folder / 'effects.parquet'}"]) == 0
    return folder


def test_the_same_seed_gives_the_same_bytes(screen, tmp_path):
    simulate_effects(tmp_path, 4)
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (screen / path.name).read_bytes(), path.name
    simulate_effects(tmp_path, 5)
    assert (tmp_path / "effects.h5ad").read_bytes() != (screen / "effects.h5ad").read_bytes()


def test_what_was_planted_is_read(screen):
    effects, truth = read_effects(screen / "effects.parquet"), planted(np.random.default_rng(4), name_genes(None))
    assert set(effects.conditions) == set(truth.conditions) and effects.genes == truth.genes
    order = [effects.conditions.index(name) for name in truth.conditions]
    change = effects.means[order] - effects.control
    error = change - truth.change
    assert np.abs(error.std() - 0.3 * np.sqrt(1 / 8 + 1 / 24)) < 0.01  # of a mean of 8 and one of 24
    assert (effects.cells[order] == [24, *[8] * 110]).all() and effects.halves.shape == (2, 111, 300)
    own = [change[row, truth.genes.index(name)] > 0 for row, name in enumerate(truth.conditions) if 0 < row <= 80]
    assert np.mean(own) > 0.9


def test_interactions_are_what_the_table_says(screen):
    effects = read_effects(screen / "effects.parquet")
    change = dict(zip(effects.conditions, effects.means - effects.control, strict=True))
    screen_truth = planted(np.random.default_rng(4), name_genes(None))
    truth = dict(zip(screen_truth.conditions, screen_truth.change, strict=True))
    table = pd.read_csv(screen / "interactions.tsv", sep="\t").set_index("condition")["interaction"]
    assert table.value_counts().to_dict() == {**INTERACTING, "none": 30 - sum(INTERACTING.values())}
    for pair, kind in table.items():
        total = sum(truth[name] for name in pair.split("+"))
        slope = (total @ change[pair]) / (total @ total)
        assert abs(slope - FACTORS[kind]) < 0.1, (pair, kind)


def skill(effects, vectors: pd.DataFrame, seed: int) -> float:
    """Of ridge regression of changes on the targets' vectors: 1 - L2 / L2 of the mean, of held-out singles."""
    order = np.random.default_rng(seed).permutation(effects.singles)
    test, train = order[:20], order[20:]
    x = {place: vectors.loc[effects.targets[place][0]].to_numpy() for place in effects.singles.tolist()}
    inputs, change = np.array([x[place] for place in train]), effects.means[train] - effects.control
    mean = change.mean(axis=0)
    fitted = np.linalg.solve(inputs.T @ inputs + 0.1 * np.eye(inputs.shape[1]), inputs.T @ (change - mean))
    observed = effects.means[test] - effects.control
    error = np.linalg.norm(observed - mean - np.array([x[place] for place in test]) @ fitted, axis=1)
    return float(np.mean(1 - error / np.linalg.norm(observed - mean, axis=1)))


def test_the_useful_vectors_help_and_the_useless_do_not(screen):
    effects = read_effects(screen / "effects.parquet")
    tables = {name: pd.read_csv(screen / f"{name}.tsv", sep="\t", index_col="gene") for name in ("useful", "useless")}
    reached = {name: np.mean([skill(effects, table, seed) for seed in range(5)]) for name, table in tables.items()}
    assert reached["useful"] > 0.3 and reached["useless"] < 0
    truth = planted(np.random.default_rng(4), name_genes(None)).vectors
    assert abs((tables["useful"] - truth).to_numpy().std() - BLUR) < 0.01
    assert abs(np.corrcoef(tables["useless"].to_numpy().ravel(), truth.ravel())[0, 1]) < 0.1
