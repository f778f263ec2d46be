"""The paper's claims: which contrast each selection uses, how tasks are put together, and what a verdict means."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from foundationless.evaluation.table_files import add_name_parts
from foundationless.evaluation.task_summary import COMPARISONS, SCORES
from foundationless.reporting.paper.claims import find_claims
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.prices import Prices
from foundationless.study.vocabulary import MARGINS


def pair(analysis, task, versus, delta, selection="validation", half=0.01, model="a.demo", metric="mcc"):
    keys = {"analysis": analysis, "task": task, "model": model, "init": "pretrained", "versus": versus}
    return keys | {"metric": metric, "selection": selection, "delta": delta, "low": delta - half, "high": delta + half}


def score(analysis, task, init, value, selection="validation", model="a.demo", metric="weighted_f1", half=0.01):
    keys = {"analysis": analysis, "task": task, "model": model, "init": init, "metric": metric, "selection": selection}
    return keys | {"value": value, "low": value - half, "high": value + half}


def claims(scores=(), pairs=(), margin=0.02, clusters=None, families=()):
    tables = pd.DataFrame(scores, columns=SCORES), pd.DataFrame(pairs, columns=COMPARISONS)
    margins = dict.fromkeys(MARGINS, margin)
    found = find_claims(*map(add_name_parts, tables), margins, dict(families), clusters)
    return found.set_index(["claim", "selection"])


def test_fine_tuning_is_paired_with_the_best_random_model_on_paper_and_with_its_own_self_here():
    deltas = {"t1": 0.3, "t2": 0.32, "t3": 0.28}
    pairs = [pair("finetune", task, "random", delta, "validation") for task, delta in deltas.items()]
    pairs += [pair("finetune", task, "best_random", -delta, "test") for task, delta in deltas.items()]
    pairs += [pair("finetune", "t1.permuted", "random", -9.0)]  # an experiment on a task is not a task
    pairs += [pair("finetune", "t1", "random", -9.0, model="a.demo.paper")]
    found = claims(pairs=pairs).xs("fine-tuned, pretrained models are no better than random ones")
    low, high = stats.t.interval(0.95, 2, np.mean([*deltas.values()]), stats.sem([*deltas.values()]))
    assert found.loc["validation", ["difference", "low", "high"]].tolist() == pytest.approx([0.3, low, high])
    assert found["holds"].to_dict() == {"test": "yes", "validation": "no"}
    assert found.loc["test", "difference"] == pytest.approx(-0.3) and found.loc["test", "n"] == 3


@pytest.mark.parametrize(
    ("delta", "half", "holds"), [(0.1, 0.05, "no"), (-0.1, 0.05, "yes"), (0.0, 0.01, "yes"), (0.0, 0.3, "open")]
)
def test_a_claim_that_nothing_helps_holds_where_the_contrast_is_worse_or_equivalent(delta, half, holds):
    found = claims(pairs=[pair("lowdata", "t.pct1", "random", delta, half=half)])
    row = found.loc[("pretrained models are no better with less training data", "validation")]
    assert row["holds"] == holds and row["n"] == 1 and row["high"] == pytest.approx(delta + half)


@pytest.mark.parametrize(
    ("seeds", "p", "word"), [(1, 0.001, "one seed"), (2, 0.001, "two seeds"), (3, 0.6, "not learned")]
)
def test_a_cured_claim_is_open_without_seeds_or_learning_and_the_papers_way_knows_neither(seeds, p, word):
    more = {"drawn_seeds": seeds, "p_learned": p}
    pairs = [pair("lowdata", "t.pct1", "random", 0.1, chosen) | more for chosen in ("validation", "test")]
    found = claims(pairs=pairs).loc["pretrained models are no better with less training data"]
    assert found["verdict"].to_dict() == {"test": "better", "validation": word}
    assert found["holds"].to_dict() == {"test": "no", "validation": "open"}


def test_equivalence_is_two_one_sided_tests_not_the_95_percent_interval():
    """0.008 ± 0.013 of 95 % crosses the margin of 0.02, its 90 % interval (± 0.0109) does not."""
    found = claims(pairs=[pair("lowdata", "t.pct1", "random", 0.008, half=0.013)])
    assert found["verdict"].tolist() == ["equivalent"]
    half = 0.0125 / stats.t.ppf(0.95, 2) * stats.t.ppf(0.975, 2)
    spread = half / stats.t.ppf(0.975, 2) * np.sqrt(3)
    deltas = {f"t{place}": 0.007 + spread * step for place, step in enumerate((-1.0, 0.0, 1.0))}
    pairs, claim = pretrained_minus_random(deltas)
    assert half > 0.013 and set(claims(pairs=pairs).xs(claim)["verdict"]) == {"equivalent"}
    pairs, claim = pretrained_minus_random({name: delta + 0.001 for name, delta in deltas.items()})
    assert set(claims(pairs=pairs).xs(claim)["verdict"]) == {"undecided"}


def test_a_claim_says_what_it_cost():
    pairs, claim = pretrained_minus_random({"t1": 0.1, "t2": 0.2})
    pairs = [row | {"reference": "a.demo", "reference_init": "random"} for row in pairs]
    keys = {"analysis": "finetune", "model": "a.demo", "seed": 0, "gpus": 1, "cpu_hours": 8.0}
    jobs = [keys | {"task": task, "init": init, "gpu_hours": hours}
            for task, hours in (("t1", 1.0), ("t2", 4.0)) for init in ("pretrained", "random")]  # fmt: skip
    jobs.append(keys | {"analysis": "lora", "task": "t1", "init": "pretrained", "gpu_hours": 64.0})
    scores = [score("finetune", "t1", "pretrained", 0.5), score("lora", "t1", "pretrained", 0.6)]
    tables = pd.DataFrame(scores, columns=SCORES), pd.DataFrame(pairs, columns=COMPARISONS)
    found = find_claims(*map(add_name_parts, tables), MARGINS, {}, prices=Prices(pd.DataFrame(jobs)))
    assert list(found.columns) == columns_of("claims")
    hours = found.groupby("claim")["gpu_hours"].agg(set).to_dict()
    assert hours == {claim: {10.0}, "low-rank adapters are no better than full fine-tuning": {65.0}}
    (times,) = set(found.loc[found["claim"] == claim, "next_decimal_times"])
    (more,) = set(found.loc[found["claim"] == claim, "next_decimal_hours"])
    assert times == 4, "t(1) / √2 = 8.98 of two tasks, t(7) / √8 = 0.84 of eight"
    assert more == pytest.approx(3 * 10)


def test_draws_and_shares_of_one_task_are_no_further_tasks():
    tasks = {"t.pct1": 0.1, "t.pct1d1": 0.2, "t.pct50": 0.3, "t": -9.0}  # the whole set is not less data
    pairs = [pair("lowdata", task, "random", delta, half=0.05) for task, delta in tasks.items()]
    name = "pretrained models are no better with less training data"
    row = claims(pairs=pairs).loc[(name, "validation")]
    assert row[["difference", "low", "high", "n"]].tolist() == pytest.approx([0.2, 0.15, 0.25, 1])
    pairs.append(pair("lowdata", "u.pct1", "random", 0.4))
    row = claims(pairs=pairs).loc[(name, "validation")]
    low, high = stats.t.interval(0.95, 1, 0.3, stats.sem([0.2, 0.4]))
    assert row[["difference", "low", "high", "n"]].tolist() == pytest.approx([0.3, low, high, 2])


def pretrained_minus_random(deltas, **more):
    pairs = [pair("finetune", task, versus, delta, p, **more) for task, delta in deltas.items()
             for p, versus in (("validation", "random"), ("test", "best_random"))]  # fmt: skip
    return pairs, "fine-tuned, pretrained models are no better than random ones"


def test_the_sound_interval_is_over_the_means_of_families_and_of_what_shares_sequences():
    deltas = {"H3": 0.1, "H4": 0.14, "emp_H3": 0.1, "enhancers": 0.3, "tf": 0.2}
    pairs, claim = pretrained_minus_random(deltas)
    found = claims(pairs=pairs, clusters={"H3": "H3", "emp_H3": "H3"}, families={"H3": "marks", "H4": "marks"})
    found = found.xs(claim)
    assert (found["n"] == 5).all()
    naive = stats.t.interval(0.95, 4, 0.168, stats.sem([*deltas.values()]))
    assert found.loc["test", ["difference", "low", "high"]].tolist() == pytest.approx([0.168, *naive])
    means = [np.mean([0.1, 0.14, 0.1]), 0.3, 0.2]
    honest = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert found.loc["validation", ["difference", "low", "high"]].tolist() == pytest.approx([np.mean(means), *honest])


def test_one_family_has_no_interval_over_families_and_keeps_that_of_its_test_items():
    pairs, claim = pretrained_minus_random({"H3": 0.1, "H4": 0.2}, half=0.03)
    found = claims(pairs=pairs, families={"H3": "marks", "H4": "marks"}).xs(claim)
    assert found.loc["validation", ["difference", "low", "high"]].tolist() == pytest.approx([0.15, 0.12, 0.18])


def test_a_contrast_is_judged_at_the_margin_of_its_metric():
    """0.028 ± 0.005 is nothing of MCC and something of accuracy; of both it is judged at the mean of their margins."""
    words = {}
    for metrics in (("mcc",), ("accuracy",), ("mcc", "accuracy")):
        pairs = [pair("finetune", f"t{place}", "random", 0.028 - place / 1e4, half=0.005, metric=metric)
                 for place, metric in enumerate(metrics)]  # fmt: skip
        tables = (pd.DataFrame(columns=SCORES), pd.DataFrame(pairs, columns=COMPARISONS))
        row = find_claims(*map(add_name_parts, tables), MARGINS, {}).iloc[0]
        words[metrics] = row["margin"], row["holds"]
    assert words == {("mcc",): (0.04, "yes"), ("accuracy",): (0.02, "no"), ("mcc", "accuracy"): (0.03, "yes")}


def test_biotype_gives_the_random_arm_every_tokenizer_and_width_on_paper_only():
    scores = [score("biotype", "b", init, value, p) for p in ("test", "validation")
              for init, value in (("pretrained", 0.6), ("random", 0.5))]  # fmt: skip
    scores += [score("width", "b", "random", 0.7, "test", model="a.demo.char.w8")]
    scores += [score("width", "b", "pretrained", 0.9, "test", model="a.demo.char.w8")]
    pairs = [pair("biotype", "b", "random", 0.1), pair("biotype", "b.matched", "random", 0.04)]
    found = claims(scores, pairs).xs("frozen, a random model tells biotypes apart as well")
    assert found["difference"].to_dict() == pytest.approx({"test": -0.1, "validation": 0.04})
    assert "lengths matched" in found.loc["validation", "contrast"] and "of 2" in found.loc["test", "contrast"]


def test_ancestry_keeps_families_together_where_it_can():
    pairs = [pair("ancestry", "w", "random", 0.1, p) for p in ("test", "validation")]
    alone = claims(pairs=pairs).xs("frozen, a random model tells superpopulations apart as well")
    assert alone["difference"].to_dict() == pytest.approx({"test": 0.1, "validation": 0.1})
    pairs += [pair("ancestry", "w.family", "random", -0.1, p) for p in ("test", "validation")]
    cured = claims(pairs=pairs).xs("frozen, a random model tells superpopulations apart as well")
    assert cured["difference"].to_dict() == pytest.approx({"test": 0.1, "validation": -0.1})


def test_adapters_and_likelihoods():
    scores = [score("lora", "t", "pretrained", 0.4), score("finetune", "t", "pretrained", 0.5)]
    scores += [score("likelihood", "v", "pretrained", 0.7, "test", metric="auroc", half=0.05)]
    found = claims(scores, [pair("likelihood", "v", "random", 0.2, metric="auroc")])
    adapters = found.loc[("low-rank adapters are no better than full fine-tuning", "validation")]
    assert adapters["difference"] == pytest.approx(-0.1) and adapters["holds"] == "yes"
    ranked = found.xs("likelihood ratios do not rank pathogenic variants")
    assert ranked["difference"].to_dict() == pytest.approx({"test": -0.2, "validation": 0.2}), "the paper took +LLR"
    assert ranked.loc["test", ["low", "high"]].tolist() == pytest.approx([-0.25, -0.15])


def test_without_data_there_is_a_header():
    tables = pd.DataFrame(columns=SCORES), pd.DataFrame(columns=COMPARISONS)
    found = find_claims(*map(add_name_parts, tables), MARGINS, {})
    assert found.empty and list(found.columns) == columns_of("claims")
