"""Errors on two real screens as an independent script computed them, to 4 decimals: splits 1, 2 and 3, five draws.

Norman 2019 (CRISPRa, log-normalised) and an L1000 plate (knock-downs, z scores). Not reproduced, for its folds are not
stated: the linear model with a strength chosen by the script's own folds.
"""

import numpy as np
import pytest

from foundationless.evaluation.effects import measure
from foundationless.perturbation.baselines import mean_change
from foundationless.perturbation.effects import read_effects, write_effects
from foundationless.perturbation.jobs import run_cell
from foundationless.perturbation.screens import see
from foundationless.perturbation.selection import EffectSettings, mean_known
from foundationless.perturbation.splits import draw_split
from support import screens

DRAWS = 5
CLOSE = 6e-5  # of numbers with four decimals
SETTINGS = {"inner_folds": 0, "reading": "as_in_paper"}


@pytest.fixture(scope="module")
def paths(shared, mirror, tmp_path_factory):
    """The two screens as files, by name."""
    folder = tmp_path_factory.mktemp("effects")
    made = {"norman": screens.norman(shared / "realdata" / "norman_cells.npz")}
    made["l1000"] = screens.l1000(mirror("l1000_knockdowns"))
    for name, effects in made.items():
        write_effects(folder / f"{name}.parquet", effects)
    return {name: folder / f"{name}.parquet" for name in made}


@pytest.fixture(scope="module")
def cell(paths):
    """`cell(screen, metric, settings…)`: values by split, the mean of the draws."""

    def reach(screen: str, *metrics: str, init: str = "baseline", draws: int = 1, **settings):
        found = []
        for draw in range(draws):
            outcomes, _ = run_cell(paths[screen], None, EffectSettings(**SETTINGS | settings), init, draw)
            found.append([[mean_known(one.tried[0].metrics[name]) for one in outcomes] for name in metrics])
        return np.array(found, dtype=np.float64).mean(axis=0)

    return reach


DOUBLES = [  # L2 of splits 1, 2, 3; Pearson delta; rank
    ("no_change", [6.1237, 6.0143, 6.1808], None, 0.5),
    ("mean", [5.0069, 4.7818, 5.0523], 0.614, 0.5),
    ("additive", [4.4376, 4.3265, 4.4153], 0.794, 0.972),
    ("scaled_additive", [3.5852, 3.5430, 3.6242], 0.794, 0.926),
    ("linear", [4.9098, 4.3905, 4.8811], 0.664, 0.631),
]


@pytest.mark.parametrize(("name", "errors", "pearson", "rank"), DOUBLES)
def test_baselines_of_doubles(cell, name, errors, pearson, rank):
    l2, delta, ranks = cell(
        "norman", "l2", "pearson_delta", "rank_accuracy", kind="doubles", baseline=name, held_out=0.5
    )
    assert l2 == pytest.approx(errors, abs=CLOSE)
    assert ranks.mean() == pytest.approx(rank, abs=5.1e-4)
    if pearson is not None:
        assert delta.mean() == pytest.approx(pearson, abs=5.1e-4)


def test_half_the_sum_of_doubles(cell):
    l2, delta, ranks = cell(
        "norman", "l2", "pearson_delta", "rank_accuracy", kind="doubles", baseline="matching_mean", held_out=0.5
    )
    assert [l2.mean(), delta.mean(), ranks.mean()] == pytest.approx([3.7760, 0.794, 0.849], abs=5.1e-4)
    assert l2.mean() == pytest.approx(3.7760, abs=CLOSE)


def test_random_vectors_of_targets_summed_over_doubles(cell):
    settings = {"kind": "doubles", "side": "target", "held_out": 0.5, "init": "random", "draws": DRAWS}
    l2, delta, ranks = cell("norman", "l2", "pearson_delta", "rank_accuracy", **settings)
    assert l2.mean() == pytest.approx(4.7865, abs=CLOSE)
    assert [delta.mean(), ranks.mean()] == pytest.approx([0.637, 0.568], abs=5.1e-4)


def test_what_is_left_of_the_sum(paths):
    settings = EffectSettings("doubles", "scaled_additive", held_out=0.5, **SETTINGS)
    outcomes, _ = run_cell(paths["norman"], None, settings, "baseline", 0)
    assert [one.facts["alpha"] for one in outcomes] == pytest.approx([0.683, 0.662, 0.667], abs=5.1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("additive", 0.631), ("matching_mean", 0.586), ("scaled_additive", 0.630), ("linear", 0.308)],
)
def test_pearson_delta_against_the_perturbed_mean(paths, name, expected):
    """The perturbed mean leaves the control out, of which the mean that is the baseline counts one."""
    settings = EffectSettings("doubles", name, held_out=0.5, **SETTINGS)
    found = []
    for one in run_cell(paths["norman"], None, settings, "baseline", 0)[0]:
        observed = one.screen.changes[one.split.test]
        perturbed = np.tile(one.usual * (one.trained + 1) / one.trained, (len(observed), 1))
        values = measure(observed, one.tried[0].predicted, perturbed, [[]] * len(observed), 1000)["pearson_mean"]
        found.append(np.nanmean(values))
    assert np.mean(found) == pytest.approx(expected, abs=5.1e-4)


def test_the_mean_of_training_doubles(paths):
    """4.9417: what counts nothing but doubles; also its correlations."""
    screen = see(read_effects(paths["norman"]))
    found = []
    for seed in (1, 2, 3):
        split = draw_split(screen.names, screen.kinds, "doubles", seed, 0.5)
        usual = screen.changes[split.alike].mean(axis=0)
        perturbed = mean_change(screen, split.train) * (len(split.train) + 1) / len(split.train)
        rows = [np.tile(each, (len(split.test), 1)) for each in (usual, perturbed)]
        values = measure(screen.changes[split.test], *rows, [[]] * len(split.test), 1000)
        found.append([values[name].mean() for name in ("l2", "pearson_delta", "pearson_mean")])
    l2, delta, from_mean = np.mean(found, axis=0)
    assert l2 == pytest.approx(4.9417, abs=CLOSE)
    assert delta == pytest.approx(0.605, abs=5.1e-4)
    assert from_mean == pytest.approx(0.13, abs=5.1e-3)


HALVES = {"variant": "halves", "side": "target", "source": "halves"}
UNSEEN = [  # screen, what predicts, L2, Pearson delta
    ("norman", {"baseline": "no_change"}, 4.3643, None),
    ("norman", {"baseline": "mean"}, [3.5759, 3.5033, 3.5626], 0.598),
    ("norman", {"baseline": "linear"}, [3.6214, 3.5985, 3.6962], 0.578),
    ("norman", {"side": "target", "init": "pretrained"}, [3.6214, 3.5985, 3.6962], 0.578),
    ("norman", {"side": "readout", "init": "random", "draws": DRAWS}, 3.5484, None),
    ("norman", {"side": "readout", "init": "permuted", "draws": DRAWS}, 3.5484, None),
    ("norman", {"side": "target", "init": "random", "draws": DRAWS}, 3.7213, None),
    ("norman", {"side": "target", "init": "permuted", "draws": DRAWS}, 3.8049, None),
    ("l1000", {"baseline": "no_change"}, 34.2263, None),
    ("l1000", {"baseline": "mean"}, [32.6282, 31.6886, 30.0231], 0.403),
    ("l1000", {"baseline": "linear"}, [34.4632, 33.5265, 31.8705], 0.332),
    ("l1000", {"side": "readout", "init": "random", "draws": DRAWS}, 31.4782, None),
    ("l1000", {"side": "readout", "init": "permuted", "draws": DRAWS}, 31.4723, None),
    ("l1000", {"side": "target", "init": "random", "draws": DRAWS}, 32.9961, None),
    ("l1000", {"side": "target", "init": "permuted", "draws": DRAWS}, 32.9060, None),
    ("norman", {"variant": "halves", "baseline": "mean"}, 3.9798, None),
    ("norman", HALVES | {"init": "pretrained"}, 3.4839, 0.712),
    ("norman", HALVES | {"init": "random", "draws": DRAWS}, 4.1908, None),
    (
        "norman",
        HALVES | {"init": "permuted", "draws": DRAWS},
        4.1972,
        None,
    ),
    ("l1000", {"variant": "halves", "baseline": "mean"}, 34.6007, None),
    ("l1000", HALVES | {"init": "pretrained"}, 33.6921, None),
    ("l1000", HALVES | {"init": "random", "draws": DRAWS}, 35.9762, None),
]


@pytest.mark.parametrize(("screen", "settings", "errors", "pearson"), UNSEEN)
def test_unseen_singles(cell, screen, settings, errors, pearson):
    l2, delta = cell(screen, "l2", "pearson_delta", kind="unseen", **settings)
    assert (l2 if isinstance(errors, list) else l2.mean()) == pytest.approx(errors, abs=CLOSE)
    if pearson is not None:
        assert delta.mean() == pytest.approx(pearson, abs=5.1e-4)


@pytest.mark.parametrize(("screen", "error", "rank"), [("norman", 3.7554, 0.985), ("l1000", 21.1390, None)])
def test_the_other_half_itself(paths, screen, error, rank):
    """The replicate: better by rank than the linear model that borrows from it, and worse by L2 on Norman's."""
    settings = EffectSettings("unseen", "mean", variant="halves", **SETTINGS)
    found = []
    for one in run_cell(paths[screen], None, settings, "baseline", 0)[0]:
        rows = one.split.test
        other = one.screen.other[rows] - one.screen.control
        values = measure(one.screen.changes[rows], other, other * 0, [[]] * len(rows), 1000)
        found.append([values["l2"].mean(), values["rank_accuracy"].mean()])
    l2, ranks = np.mean(found, axis=0)
    assert l2 == pytest.approx(error, abs=CLOSE)
    assert rank is None or ranks == pytest.approx(rank, abs=5.1e-4)


@pytest.mark.parametrize("screen", ["norman", "l1000"])
def test_what_the_other_half_knows_wins_with_strengths_chosen_too(paths, screen):
    settings = EffectSettings(
        "unseen", side="target", source="halves", variant="halves", strengths=(0.1, 1.0, 10.0, 100.0, 1000.0)
    )

    def skill(init: str, draws: int) -> float:
        found = []
        for draw in range(draws):
            for one in run_cell(paths[screen], None, settings, init, draw)[0]:
                (chosen,) = (each for each in one.tried if each.candidate.name == one.chosen["validation"])
                found.append(chosen.metrics["skill"].mean())
        return float(np.mean(found))

    assert skill("pretrained", 1) > 0.02
    assert max(skill("random", 3), skill("permuted", 3)) < 0.01
