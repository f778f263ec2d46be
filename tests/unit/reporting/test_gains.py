"""The gain of pretraining by its ingredients, and along pretraining: rows as their sources have them, and ρ."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from foundationless.reporting.tables.pretraining.gains import FEWEST_POINTS, correlate, curve, split_gain
from foundationless.study.vocabulary import INGREDIENTS

STEPS = {"random": 0, "step5": 5, "step50": 50, "step500": 500, "pretrained": 900}
PLACE = {"analysis": "ingredients", "task": "t", "model": "m"}


def test_every_ingredient_is_the_comparison_that_stands_for_it():
    pairs = [(init, versus) for init in (*STEPS, "dinucleotide", "self", "embedding", "permuted") for versus in
             ("random", "dinucleotide", "self", "permuted", "best_random")]  # fmt: skip
    rows = [
        PLACE | {"init": init, "versus": versus, "delta": k, "metric": "mcc", "p": 0.001 * (1 + k)}
        for k, (init, versus) in enumerate(pairs)
    ]
    table = split_gain(pd.DataFrame([*rows, *({**row, "analysis": "finetune"} for row in rows)]))
    found = dict(zip(table["ingredient"], table["delta"], strict=True))
    assert found == {name: pairs.index(pair) for name, pair in INGREDIENTS.items()}
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p"], method="holm")[1])
    assert split_gain(pd.DataFrame(columns=["analysis", "init", "versus"])).empty


def records(steps=STEPS):
    """Of the pretrained arm at every step but one, which the arm that stopped there tells; of a control besides."""
    rows = [{"init": "pretrained", "step": step, "value": 2 - step / 1000} for step in (0, 5, 500, 900)]
    rows += [{"init": "step50", "step": 50, "value": 1.95}, {"init": "dinucleotide", "step": 50, "value": 9.0}]
    return pd.DataFrame(rows).assign(analysis="pretrain", model="m", metric="bits_per_base")


def tables(values):
    runs = pd.DataFrame(
        [PLACE | {"init": init, "seed": seed, "metric": "mcc", "value": value + 0.01 * (seed - 1)}
         for init, value in values.items() for seed in range(3)]
    )  # fmt: skip
    scores = pd.DataFrame([PLACE | {"init": init, "metric": "mcc", "value": value} for init, value in values.items()])
    return scores, runs


def test_a_curve_has_every_step_with_its_bits():
    values = dict(zip(STEPS, (0.0, 0.2, 0.1, 0.4, 0.5), strict=True)) | {"dinucleotide": 0.3, "permuted": 0.0}
    table = curve(*tables(values), records())
    assert dict(zip(table["init"], table["step"], strict=True)) == STEPS
    bits = [2.0, 1.995, 1.95, 1.5, 1.1]
    assert table["bits_per_base"].tolist() == pytest.approx(bits)
    rho = stats.spearmanr(bits, [values[init] for init in STEPS]).statistic
    assert table["rho"].unique() == pytest.approx([rho]) and (table["rho_low"] <= rho).all()
    del values["step5"], values["step50"], values["step500"]
    assert curve(*tables(values), records()).empty, "ends without a step between are no curve"


def test_the_interval_of_a_correlation_holds_it():
    """Of points that say nothing of each other it holds 0 nearly always; of a line it is −1; of few there is none."""
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        bits, scores = generator.normal(size=(2, 12))
        _, low, high = correlate(bits, scores, [np.full(2, score) for score in scores])
        inside += low <= 0 <= high
    assert inside >= 85
    line = np.arange(8.0)
    assert correlate(line, -line, [np.array([-value]) for value in line]) == pytest.approx((-1, -1, -1))
    few = np.arange(FEWEST_POINTS - 1.0)
    assert np.isnan(correlate(few, few, [np.array([value]) for value in few])).all()
