"""Gains by class of tokens: the interaction of an ordinary linear model, intervals that cover, and what is missing."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation.table_files import add_name_parts
from foundationless.evaluation.trends.tokenizer_gate import TOKENIZER_GATE, token_class, tokenizer_gate

CLASSES = {"hyenadna": "character", "caduceus": "character", "ntv2": "kmer", "nt500m": "kmer", "genalm": "bpe",
           "dnabert2": "bpe"}  # fmt: skip
CARDS = {name: {"tokenizer": {"character": "character", "kmer": "nt_v2", "bpe": "dnabert2"}[kind]}
         for name, kind in CLASSES.items()}  # fmt: skip
CARDS |= {"hyenadna.kmer": {"tokenizer": "nt_v2", "tokenizer_class": "character"}, "useful.target": {"tokenizer": None}}
TASKS = pd.DataFrame([
    {"task": f"t{place}", "suite": "s", "suite_label": "S", "group": f"g{place}", "label": "", "family": f"f{place}"}
    for place in range(5)
])  # fmt: skip
SEEDS = range(4)
KEYS = ["analysis", "task", "model", "init"]


def simulate(rng, gain, models=tuple(CLASSES), sd_seed=0.02, sd_items=0.0, analysis="finetune"):
    """Runs and comparisons of a balanced design; `gain`: class -> what pretraining adds; items move each gain by a
    normal number of known covariance (the identity times `sd_items`²)."""
    runs, pairs, gains = [], [], []
    for task, model in product(TASKS["task"], models):
        base, moved, mean = rng.normal(0.6, 0.1), rng.normal(0, sd_items) if sd_items else 0.0, {}
        for init in ("pretrained", "random"):
            more = (gain[token_class(model, CARDS[model])] + moved) * (init == "pretrained")
            values = base + more + sd_seed * rng.normal(size=len(SEEDS))
            named = dict(zip(KEYS, (analysis, task, model, init), strict=True))
            runs += [named | {"seed": seed, "fold": -1, "value": values[seed]} for seed in SEEDS]
            mean[init] = values.mean()
        named = dict(zip(KEYS, (analysis, task, model, "pretrained"), strict=True))
        pairs.append(named | {
            "versus": "random", "reference": model, "reference_init": "random", "metric": "mcc", "margin": 0.04,
            "delta": mean["pretrained"] - mean["random"], "se_items": sd_items, "p_learned": 0.001,
            "drawn_seeds": len(SEEDS),
        })  # fmt: skip
        gains += [named | {"other": other, "covariance": sd_items**2 * (other == model)} for other in models]
    return pd.DataFrame(runs), pd.DataFrame(pairs), add_name_parts(pd.DataFrame(gains))


def gate(runs, pairs, gains):
    found = tokenizer_gate(pairs, runs, gains, TASKS, CARDS)
    assert list(found.columns) == TOKENIZER_GATE
    return found.set_index(["basis", "first", "second", "scope"]).sort_index()


def test_gains_and_their_differences_are_those_of_a_linear_model():
    """Score ~ model × task + arm × class, by ordinary least squares over all runs of a balanced design."""
    runs, pairs, gains = simulate(np.random.default_rng(0), {"character": 0.0, "kmer": 0.1, "bpe": 0.05})
    cells = pd.get_dummies(runs["task"] + runs["model"]).to_numpy(dtype=float)
    pretrained = (runs["init"] == "pretrained").to_numpy(dtype=float)
    kinds = pd.get_dummies(runs["model"].map(CLASSES))[["character", "kmer", "bpe"]].to_numpy(dtype=float)
    fitted, *_ = np.linalg.lstsq(np.hstack([cells, kinds * pretrained[:, None]]), runs["value"], rcond=None)
    effects = dict(zip(("character", "kmer", "bpe"), fitted[-3:], strict=True))
    found = gate(runs, pairs, gains)["delta"]
    for scope in ("these", "like-these"):
        for kind, effect in effects.items():
            assert found["models", kind, "", scope] == pytest.approx(effect, abs=1e-9)
        for first, second in (("kmer", "character"), ("bpe", "character"), ("bpe", "kmer")):
            assert found["models", first, second, scope] == pytest.approx(effects[first] - effects[second], abs=1e-9)


def test_a_planted_gate_is_found_and_none_where_there_is_none():
    words = gate(*simulate(np.random.default_rng(1), {"character": 0.0, "kmer": 0.1, "bpe": 0.1}))["verdict"]
    assert words["models", "character", "", "these"] == "equivalent"
    assert words["models", "kmer", "", "these"] == words["models", "bpe", "", "like-these"] == "better"
    assert words["models", "kmer", "character", "these"] == words["models", "bpe", "character", "these"] == "better"
    assert words["models", "bpe", "kmer", "these"] == "equivalent"
    even = gate(*simulate(np.random.default_rng(2), dict.fromkeys(("character", "kmer", "bpe"), 0.1)))["verdict"]
    assert even["models", "character", "", "these"] == "better"
    assert even["models", "kmer", "character", "these"] == "equivalent"


def test_intervals_cover_where_seeds_and_items_are_drawn():
    truth, held = {"character": 0.0, "kmer": 0.1, "bpe": 0.05}, []
    for study in range(25):
        found = gate(*simulate(np.random.default_rng(study), truth, sd_items=0.02)).xs("these", level="scope")
        true = [truth[first] - truth.get(second, 0.0) for _, first, second in found.index]
        held.append((found["low"] <= true) & (true <= found["high"]))
    assert 0.88 < np.mean(held) < 0.995


def test_items_are_paired_across_models():
    """What all gains have in common is no part of a difference; without covariances it counts in full."""
    models = ("hyenadna", "ntv2")
    runs, pairs, gains = simulate(np.random.default_rng(3), dict.fromkeys(("character", "kmer"), 0.1), models)
    pairs, gains = pairs.assign(se_items=0.1), gains.assign(covariance=0.01)
    common, unknown = (gate(runs, pairs, known)["se_items"] for known in (gains, gains.iloc[:0]))
    place = ("models", "kmer", "character", "these")
    assert common[place] == pytest.approx(0, abs=1e-9) and common["models", "kmer", "", "these"] > 0.04
    assert unknown[place] == pytest.approx(2 * unknown["models", "kmer", "", "these"])


def test_one_architecture_with_two_tokenizers_is_set_against_itself_and_missing_classes_have_a_note():
    models = ("hyenadna", "hyenadna.kmer", "caduceus")
    runs, pairs, gains = simulate(np.random.default_rng(4), {"character": 0.0, "kmer": 0.2}, models)
    found = gate(runs, pairs, gains)
    deltas = pairs.groupby("model")["delta"].mean()
    row = found.loc[("architecture", "kmer", "character", "these")]
    assert row["delta"] == pytest.approx(deltas["hyenadna.kmer"] - deltas["hyenadna"]) and row["verdict"] == "better"
    assert row["members"] == "hyenadna.kmer against hyenadna"  # Caduceus reads characters only
    absent = found.loc[("architecture", "bpe", "", "these")]
    assert absent["note"] == "no architecture with several tokenizers of byte pairs has both arms"
    assert np.isnan(absent["delta"]) and absent["verdict"] == ""
    assert set(found.index.get_level_values("basis")) == {"architecture"}  # as published all read characters


def test_models_may_lack_tasks_and_draws_of_a_task_are_one():
    runs, pairs, gains = simulate(np.random.default_rng(5), {"character": 0.0, "kmer": 0.1, "bpe": 0.1})
    lost = ~((pairs["model"] == "caduceus") & (pairs["task"] == "t0"))
    row = gate(runs, pairs[lost], gains).loc[("models", "character", "", "these")]
    cells = pairs[lost & pairs["model"].map(CLASSES).eq("character")].groupby("task")["delta"].mean()
    assert row["delta"] == pytest.approx(cells.mean()) and row["n"] == 5
    renamed = [frame.assign(task=frame["task"].map({"t0": "t0.pct10", "t1": "t0.pct10d1"})).dropna(subset="task")
               for frame in (runs, pairs, gains)]  # fmt: skip
    found = gate(renamed[0], renamed[1], add_name_parts(renamed[2]))
    assert set(found["n"].dropna()) == {1} and set(found["variant"]) == {"pct10"}


def test_too_few_seeds_or_nothing_learned_leave_no_word():
    runs, pairs, gains = simulate(np.random.default_rng(6), {"character": 0.0, "kmer": 0.1, "bpe": 0.1})
    assert set(gate(runs, pairs.assign(drawn_seeds=2), gains)["verdict"]) == {"two seeds"}
    assert set(gate(runs, pairs.assign(p_learned=0.9), gains)["verdict"]) == {"not learned"}
    assert tokenizer_gate(pairs.iloc[:0], runs, gains, TASKS, CARDS).empty


def test_classes_of_tokens():
    assert token_class("hyenadna.kmer", CARDS["hyenadna.kmer"]) == "kmer"
    assert token_class("own.model", {"tokenizer": "published", "tokenizer_class": "kmer"}) == "kmer"
    assert token_class("outside", {"tokenizer": None, "tokenizer_class": "bpe"}) == "bpe"
    assert token_class("scgpt", {"tokenizer": "cells"}) is None
    assert token_class("hyenadna.target", {"tokenizer": "character"}) is None
