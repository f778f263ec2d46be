"""Cells recomputed in plain algebra: what is fitted, to which rows, what is zero, and by what validation chooses."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from foundationless.perturbation.arms import make_arm, reduce_dims
from foundationless.perturbation.effects import write_effects
from foundationless.perturbation.jobs import run_cell
from foundationless.perturbation.screens import see
from foundationless.perturbation.selection import EffectSettings
from foundationless.perturbation.splits import draw_split, inner_folds
from foundationless.perturbation.vectors import GeneVectors, write_vectors
from support.screens import planted

STRENGTHS = (0.1, 10.0, 1000.0)
LACKING = (2, 3, 5, 7, 11)  # genes without a vector, all of them targets


@pytest.fixture
def paths(tmp_path):
    """The effects of a planted screen, and vectors of all its genes but some; both also as arrays."""
    effects, vectors = planted(noise=0.3)
    write_effects(tmp_path / "effects.parquet", effects)
    known = np.array([place for place in range(60) if place not in LACKING])
    made = GeneVectors(tuple(effects.genes[place] for place in known), vectors[known].astype(np.float32), "own", "here")
    write_vectors(tmp_path / "genes.parquet", made)
    table = np.full(vectors.shape, np.nan)
    table[known] = made.matrix
    return tmp_path, effects, table


def components_of(matrix, dims):
    return PCA(dims, svd_solver="full").fit_transform(matrix)


def linear(changes, readout, of_train, of_test, strength):
    """The paper's formula; rows are conditions, the control of zeros first."""
    base = changes.mean(axis=0)
    left = np.linalg.solve(readout.T @ readout + 0.1 * np.eye(readout.shape[1]), readout.T @ (changes - base).T)
    weights = left @ of_train @ np.linalg.inv(of_train.T @ of_train + strength * np.eye(of_train.shape[1]))
    return (readout @ weights @ of_test.T).T + base


def predicted(effects, means, train, test, strength, *, readout=None, target=None, at_rest=None):
    """Changes of the rows `test` from the control and the rows `train`; vectors [genes, dims] may lack some (NaN).

    Sides that are not given are principal components of the training means; one may be a function of these.
    `at_rest`: the control's vector.
    """
    rows = np.r_[0, train]
    own = components_of(means[rows].T, 10)
    place = {gene: at for at, gene in enumerate(effects.genes)}
    given = [side(own) if callable(side) else side for side in (readout, target)]
    sides = [np.nan_to_num(own if side is None else side) for side in given]
    of_rows = np.array([sum((sides[1][place[gene]] for gene in effects.targets[row]), np.zeros(sides[1].shape[1]))
                        for row in range(len(means))])  # fmt: skip
    if at_rest is not None:
        of_rows[0] = at_rest
    return linear(means[rows] - means[0], sides[0], of_rows[rows], of_rows[test], strength)


def skills(observed, found, usual, hidden=False):
    """1 - L2 / L2 of the mean of rows [n]; `hidden` [n, genes]: what is not scored."""
    usual = np.where(hidden, observed, usual)
    found = np.where(hidden, observed, found)
    return 1 - np.linalg.norm(observed - found, axis=1) / np.linalg.norm(observed - usual, axis=1)


def by_hand(effects, means, split, strength, off_target=False, **sides):
    """Mean skill over inner folds and over the test rows, and the predicted changes of these."""
    changes, inner = means - means[0], []
    hidden = np.array([[off_target and gene in named for gene in effects.genes] for named in effects.targets])
    for train, held in inner_folds(split, 5):
        usual = changes[train].sum(axis=0) / (len(train) + 1)
        found = predicted(effects, means, train, held, strength, **sides)
        inner.append(skills(changes[held], found, usual, hidden[held]))
    found = predicted(effects, means, split.train, split.test, strength, **sides)
    usual = changes[split.train].sum(axis=0) / (len(split.train) + 1)
    return np.concatenate(inner).mean(), skills(changes[split.test], found, usual, hidden[split.test]).mean(), found


@pytest.mark.parametrize("kind", ["unseen", "doubles"])
@pytest.mark.parametrize("side", ["readout", "target", "linear"])
@pytest.mark.parametrize("init", ["pretrained", "permuted", "random"])
def test_every_candidate_of_every_arm(paths, kind, side, init):
    folder, effects, table = paths
    if side == "linear":
        settings, genes, sides = {"baseline": "linear"}, None, {}
    else:
        settings, genes = {"side": side, "source": "table"}, folder / "genes.parquet"
        pool = np.arange(60 if side == "readout" else 40)
        borrowed = np.full((60, 4), np.nan)
        borrowed[pool] = make_arm(reduce_dims(table[pool], 4), init, (7,))
        sides = {side: borrowed}
    made = EffectSettings(kind, strengths=STRENGTHS, dims=(4 if genes else 10,), splits=(1, 2), **settings)
    outcomes, _ = run_cell(folder / "effects.parquet", genes, made, init, 7)
    means = effects.means.astype(np.float64)
    for outcome in outcomes:
        split = draw_split(effects.conditions, effects.kinds, kind, outcome.split.seed, 0.25)
        values = {}
        for one in outcome.tried:
            inner, test, found = by_hand(effects, means, split, one.candidate.strength, **sides)
            assert (one.validation, one.test) == pytest.approx((inner, test), abs=1e-6)
            if one.predicted is not None:
                assert one.predicted == pytest.approx(found, abs=1e-8)
            values[one.candidate.name] = inner, test
        assert outcome.chosen == {
            name: max(values, key=lambda one, at=at: values[one][at]) for at, name in enumerate(("validation", "test"))
        }


def test_the_choice_is_of_validation_where_the_test_set_would_choose_otherwise(paths):
    """Of noise both choose as it falls: somewhere they differ, and what counts is the first."""
    folder, _, _ = paths
    settings = EffectSettings(
        "unseen", side="target", source="table", dims=(4,), strengths=STRENGTHS, splits=(*range(9),)
    )
    outcomes, _ = run_cell(folder / "effects.parquet", folder / "genes.parquet", settings, "random", 1)
    assert any(each.chosen["validation"] != each.chosen["test"] for each in outcomes)
    for each in outcomes:
        best = max(each.tried, key=lambda one: one.validation)
        assert each.chosen["validation"] == best.candidate.name


def test_the_other_half_gives_targets_and_control_their_vectors(paths):
    """Second halves are what is predicted; the first ones, conditions as observations, are what is borrowed."""
    folder, effects, _ = paths
    settings = EffectSettings("unseen", side="target", source="halves", variant="halves", strengths=(0.1,), splits=(3,))
    (outcome,), _ = run_cell(folder / "effects.parquet", None, settings, "pretrained", 0)
    first, second = effects.halves.astype(np.float64)
    singles = np.flatnonzero(np.array(effects.kinds) != "double")
    scores = components_of(first[singles], 10)
    target = np.full((60, 10), np.nan)
    target[:40] = scores[1:]  # the planted targets are the first genes, in their order
    split = draw_split(effects.conditions, effects.kinds, "unseen", 3, 0.25)
    inner, test, found = by_hand(effects, second, split, 0.1, target=target, at_rest=scores[0])
    (one,) = outcome.tried
    assert (one.validation, one.test) == pytest.approx((inner, test), abs=1e-6)
    assert one.predicted == pytest.approx(found, abs=1e-8)
    assert see(effects, "halves").changes == pytest.approx(second - second[0])


def test_off_target_hides_the_perturbed_genes_from_validation_too(paths):
    folder, effects, table = paths
    settings = EffectSettings("unseen", side="target", source="table", variant="offtarget", dims=(4,), splits=(1,))
    (outcome,), _ = run_cell(folder / "effects.parquet", folder / "genes.parquet", settings, "pretrained", 0)
    split = draw_split(effects.conditions, effects.kinds, "unseen", 1, 0.25)
    borrowed = np.full((60, 4), np.nan)
    borrowed[:40] = reduce_dims(table[:40], 4)
    means = effects.means.astype(np.float64)
    inner, test, _ = by_hand(effects, means, split, 0.1, off_target=True, target=borrowed)
    shown, _, _ = by_hand(effects, means, split, 0.1, target=borrowed)
    (one,) = outcome.tried
    assert (one.validation, one.test) == pytest.approx((inner, test), abs=1e-6)
    assert abs(inner - shown) > 1e-4


def test_the_mean_of_all_training_perturbations_is_what_skill_is_of(paths):
    """Under the paper's reading a perturbation without a vector is not fitted, and counts in the mean all the same."""
    folder, effects, _ = paths
    settings = EffectSettings("unseen", side="target", source="table", reading="as_in_paper", splits=(1,))
    (outcome,), _ = run_cell(folder / "effects.parquet", folder / "genes.parquet", settings, "pretrained", 0)
    split = draw_split(effects.conditions, effects.kinds, "unseen", 1, 0.25)
    changes = effects.means.astype(np.float64) - effects.means[0]
    assert len(outcome.split.train) < len(split.train) == outcome.trained
    assert outcome.usual == pytest.approx(changes[split.train].sum(axis=0) / (len(split.train) + 1))


def test_random_vectors_of_the_size_of_those_of_training_are_drawn_for_each_split(paths):
    """Of the seed and the split; in inner folds of the size of those that train there."""
    folder, effects, _ = paths
    settings = EffectSettings("unseen", side="readout", splits=(1, 2))
    for outcome in run_cell(folder / "effects.parquet", None, settings, "random", 7)[0]:
        split = draw_split(effects.conditions, effects.kinds, "unseen", outcome.split.seed, 0.25)

        def drawn(own, number=split.seed):
            return make_arm(own, "random", (7, number))

        inner, test, found = by_hand(effects, effects.means.astype(np.float64), split, 0.1, readout=drawn)
        (one,) = outcome.tried
        assert (one.validation, one.test) == pytest.approx((inner, test), abs=1e-6)
        assert one.predicted == pytest.approx(found, abs=1e-8)
