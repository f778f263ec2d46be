"""Cells on planted screens: who wins, who is at chance, and what must change nothing."""

from dataclasses import replace

import numpy as np
import pytest

from foundationless.errors import UserError
from foundationless.perturbation.effects import write_effects
from foundationless.perturbation.jobs import run_cell
from foundationless.perturbation.selection import EffectSettings, mean_known
from foundationless.perturbation.vectors import GeneVectors, write_vectors
from support.screens import planted

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)


@pytest.fixture
def world(tmp_path):
    """`world(effects, vectors)` -> `skill(init, seed, **settings)`: skills of what validation chose, by split."""

    def make(effects, vectors, namespace="own", init=None):
        write_effects(tmp_path / "effects.parquet", effects)
        genes = [*effects.genes, *(f"unread{place}" for place in range(len(vectors) - len(effects.genes)))]
        made = GeneVectors(tuple(genes), vectors.astype(np.float32), namespace, "planted")
        write_vectors(tmp_path / "genes.parquet", made, **({"init": init} if init else {}))

        def run(init="pretrained", seed=0, **settings):
            settings = {"kind": "unseen", "strengths": STRENGTHS, "dims": (4,), "source": "table"} | settings
            genes = tmp_path / "genes.parquet" if settings["source"] == "table" else None
            return run_cell(tmp_path / "effects.parquet", genes, EffectSettings(**settings), init, seed)

        return run

    return make


def skills(outcomes):
    chosen = [next(one for one in each.tried if one.candidate.name == each.chosen["validation"]) for each in outcomes]
    return np.array([mean_known(one.metrics["skill"]) for one in chosen])


def predictions(outcomes):
    """Condition and split -> predicted changes of what validation chose."""
    found = {}
    for each in outcomes:
        (one,) = (one for one in each.tried if one.candidate.name == each.chosen["validation"])
        for row, changes in zip(each.split.test, one.predicted, strict=True):
            found[each.split.seed, each.screen.names[row]] = changes
    return found


@pytest.mark.parametrize("kind", ["unseen", "doubles"])
def test_planted_vectors_of_targets_win_and_random_ones_are_the_mean(world, kind):
    run = world(*planted())
    good = skills(run(side="target", kind=kind)[0])
    random = [
        skills(run(init, seed, side="target", kind=kind)[0]).mean()
        for init in ("random", "permuted")
        for seed in (0, 1)
    ]
    assert good.min() > 0.5
    if kind == "unseen":
        assert max(random) < 0.05


def test_planted_vectors_of_read_out_genes_win_where_targets_are_known(world):
    """G alone says nothing of a new target: with P from training it is no worse than itself from training."""
    run = world(*planted())
    known, random = (skills(run(init, side="readout")[0]).mean() for init in ("pretrained", "random"))
    assert known > random


@pytest.mark.parametrize("side", ["target", "readout"])
@pytest.mark.parametrize("reading", ["published", "as_in_paper"])
def test_a_copy_is_the_same_to_the_bit(world, side, reading):
    run = world(*planted())
    one, other = (
        predictions(run(init, seed, side=side, reading=reading)[0]) for init, seed in (("pretrained", 0), ("copy", 3))
    )
    assert one.keys() == other.keys()
    assert all(one[key].tobytes() == other[key].tobytes() for key in one)


def test_effects_dealt_anew_are_at_chance(world):
    run = world(*planted())
    found = np.concatenate([skills(run(side="target", variant="permuted", splits=tuple(range(12)))[0])])
    assert abs(found.mean()) < 0.1
    assert skills(run(side="target", splits=tuple(range(12)))[0]).mean() > 0.5


def test_the_order_of_conditions_changes_nothing(world):
    effects, vectors = planted()
    order = np.random.default_rng(5).permutation(len(effects.conditions))
    dealt = replace(
        effects,
        **{
            name: tuple(getattr(effects, name)[row] for row in order)
            for name in ("conditions", "targets", "kinds", "directions")
        },
        cells=effects.cells[order],
        means=effects.means[order],
        halves=effects.halves[:, order],
    )
    for settings in ({"side": "target"}, {"side": "readout"}, {"baseline": "linear"}, {"baseline": "crispr_mean"}):
        one, other = (predictions(world(each, vectors)(**settings)[0]) for each in (effects, dealt))
        assert one.keys() == other.keys()
        assert all(one[key] == pytest.approx(other[key], abs=1e-7) for key in one)


def test_a_constant_added_to_all_genes_changes_nothing(world):
    effects, vectors = planted()
    moved = replace(effects, means=effects.means + 2, halves=effects.halves + 2)
    for settings in ({"side": "target"}, {"side": "readout"}, {"baseline": "linear"}):
        one, other = (predictions(world(each, vectors)(**settings)[0]) for each in (effects, moved))
        assert all(one[key] == pytest.approx(other[key], abs=1e-4) for key in one)


def test_missing_vectors_are_zero_and_counted_or_dropped_as_in_the_paper(world, tmp_path):
    effects, vectors = planted(unread=3)
    run = world(effects, vectors)
    short = GeneVectors(effects.genes[5:], vectors[5:60].astype(np.float32), "own", "short")
    write_vectors(tmp_path / "genes.parquet", short)
    for side, counts in (("target", (0, 8)), ("readout", (5, 3))):
        outcomes, said = run(side=side)
        assert (said["missing_readout"], said["missing_targets"]) == counts
        assert all(np.isfinite(each).all() for each in predictions(outcomes).values())
        assert all(each.dropped == 0 for each in outcomes)
        outcomes, said = run(side=side, reading="as_in_paper", strengths=(0.1,))
        assert (said["missing_readout"], said["missing_targets"]) == counts
        assert all(each.dropped == counts[1] for each in outcomes)
        assert all(np.isnan(each).sum() == counts[0] for each in predictions(outcomes).values())


@pytest.mark.parametrize("side", ["target", "readout"])
@pytest.mark.parametrize("unread", [0, 3])
def test_every_arm_of_the_paper_tests_the_same_perturbations(world, tmp_path, side, unread):
    """Those whose targets have a pretrained vector; and but for the random arm the same genes."""
    effects, vectors = planted(unread=unread)
    run = world(effects, vectors)
    genes = (*effects.genes, *(f"unread{place}" for place in range(unread)))
    write_vectors(tmp_path / "genes.parquet", GeneVectors(genes[5:], vectors[5:].astype(np.float32), "own", "short"))
    tests, lost = set(), {}
    for init in ("pretrained", "copy", "random", "permuted", "spectrum"):
        outcomes, said = run(init, 1, side=side, reading="as_in_paper")
        tests.add(tuple(tuple(each.split.test) for each in outcomes))
        assert said["known_share"] < 1
        lost[init] = {tuple(np.flatnonzero(np.isnan(row))) for each in outcomes for row in each.tried[0].predicted}
    assert len(tests) == 1
    dropped = (0, 1, 2, 3, 4) if side == "readout" else ()
    assert lost.pop("random") == {()} and all(each == {dropped} for each in lost.values())


def test_random_of_a_network_is_the_paper_s_under_its_reading(world):
    """Whatever the network draws: standard normal numbers of the split and the draw, of every gene."""
    effects, vectors = planted()
    for side in ("target", "readout"):
        one, other = (
            predictions(world(effects, each, init="random")("random", 2, side=side, reading="as_in_paper")[0])
            for each in (vectors, 7 * vectors[:, :3] + 1)
        )
        assert all(one[key].tobytes() == other[key].tobytes() for key in one)


@pytest.mark.parametrize(
    ("settings", "dims"),
    [({"source": "table"}, 0), ({"source": "training"}, 10), ({"source": "halves", "variant": "halves"}, 10)],
)
def test_the_paper_chose_nothing(settings, dims):
    made = EffectSettings("unseen", side="target", reading="as_in_paper", strengths=STRENGTHS, dims=(3, 4), **settings)
    assert (made.strengths, made.inner_folds, made.dims) == ((0.1,), 0, (dims,))
    assert EffectSettings("unseen", "linear", reading="as_in_paper", strengths=STRENGTHS).strengths == STRENGTHS


@pytest.mark.parametrize("init", ["pretrained", "random", "spectrum"])
@pytest.mark.parametrize("reading", ["published", "as_in_paper"])
@pytest.mark.parametrize("side", ["target", "readout"])
@pytest.mark.parametrize("known", [0, 1, 4])
def test_vectors_of_too_few_genes_are_refused(world, tmp_path, init, reading, side, known):
    effects, vectors = planted()
    run = world(effects, vectors)
    last = effects.genes[60 - known :] if side == "readout" else effects.genes[40 - known : 40]
    names = (*last, *(f"other{place}" for place in range(9)))
    write_vectors(tmp_path / "genes.parquet", GeneVectors(names, np.eye(len(names), 4, dtype=np.float32), "own", "few"))
    with pytest.raises(UserError, match=rf"{known} of (40|60) .* have a vector|none is among"):
        run(init, side=side, reading=reading)


def test_few_vectors_are_counted_and_told(world, tmp_path, capsys):
    effects, vectors = planted()
    run = world(effects, vectors)
    assert run(side="target")[1]["known_share"] == 1 and "have a vector" not in capsys.readouterr().err
    few = GeneVectors(effects.genes[28:], vectors[28:].astype(np.float32), "own", "few")
    write_vectors(tmp_path / "genes.parquet", few)
    assert run(side="target")[1]["known_share"] == 0.3
    assert "only 30% of the perturbed genes have a vector" in capsys.readouterr().err
    assert run(side="readout")[1]["known_share"] == pytest.approx(32 / 60, abs=1e-4)
    assert "have a vector" not in capsys.readouterr().err


def test_random_of_the_paper_is_ten_wide_whatever_the_vectors(world):
    run = world(*planted())
    outcomes, _ = run("random", side="target", reading="as_in_paper", strengths=(0.1,))
    assert outcomes[0].sizes["strength0.1"] == (10, 10)


def test_a_network_s_own_random_vectors_stand_as_they_are(world):
    effects, vectors = planted()
    one = predictions(world(effects, vectors, init="random")("random", side="target")[0])
    other = predictions(world(effects, vectors)("pretrained", side="target")[0])
    assert all(one[key].tobytes() == other[key].tobytes() for key in one)


def test_off_target_leaves_the_perturbed_genes_out(world):
    run = world(*planted())
    for each in run(side="target", variant="offtarget")[0]:
        for row, changes in zip(each.split.test, each.tried[0].predicted, strict=True):
            assert np.flatnonzero(np.isnan(changes)).tolist() == each.screen.own_genes(row).tolist()
        assert each.tried[0].metrics["skill"] == pytest.approx(each.tried[0].metrics["skill_offtarget"])


def test_the_mean_has_no_skill_and_halves_win(world):
    run = world(*planted(noise=0.2))
    assert skills(run(baseline="mean", source="training")[0]) == pytest.approx(0)
    halves = {"side": "target", "source": "halves", "variant": "halves", "dims": (10,)}
    assert skills(run(**halves)[0]).min() > 0.3
    assert max(skills(run(init, 1, **halves)[0]).mean() for init in ("random", "permuted")) < 0.05


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"side": "target", "baseline": "mean"}, "--baseline or --side"),
        ({}, "--baseline or --side"),
        ({"baseline": "additive"}, "--kind unseen"),
        ({"side": "target", "splits": (1, 1)}, "--splits"),
        ({"side": "target", "inner_folds": 0}, "--inner-folds 0"),
        ({"side": "target", "inner_folds": 1}, "--inner-folds 1"),
        ({"side": "target", "source": "halves"}, "--source halves"),
        ({"side": "target", "held_out": 1.0}, "--held-out"),
        ({"side": "target", "inner_folds": -1}, "none is below 0"),
        ({"side": "target", "dims": (-1, 4)}, "none is below 0"),
    ],
)
def test_what_cannot_be_computed_is_refused(world, settings, said):
    with pytest.raises(UserError, match=said):
        world(*planted())(**settings)
