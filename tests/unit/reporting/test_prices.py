"""What verdicts cost: every job that one needs once, no other, and what more seeds and families would take."""

import math

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation import across_tasks
from foundationless.reporting.tables.prices import ACROSS, PRICES, Prices, price_claims, price_evidence

TASKS = pd.DataFrame({"task": ["H3", "H4"], "suite": ["nt", "gue"], "group": "g", "family": ["marks", "others"]})


def job(rule, analysis, task, model, init, seed, hours, gpus=1):
    named = {"rule": rule, "analysis": analysis, "task": task, "model": model, "init": init, "seed": seed}
    return named | {"gpus": gpus, "gpu_hours": hours * gpus, "cpu_hours": hours * 4}


def ledger():
    """Powers of two, so that every sum tells its jobs."""
    jobs = [
        job("pretrain", "pretrain", "genome", "m", "pretrained", 0, 1024),
        job("train_tokenizer", "", "", "m", "", np.nan, 1, 0),
    ]
    jobs += [job("initialise", "", "", "m", "random", seed, 0.25, 0) for seed in (0, 1)]
    jobs += [
        job("finetune_model", "finetune", task, "m", init, seed, hours)
        for task, hours in (("H3", 1), ("H4", 4))
        for init in ("pretrained", "random")
        for seed in (0, 1)
    ]
    jobs += [job("finetune_model", "finetune", task, "other", "random", 0, 64) for task in ("H3", "H4")]
    jobs += [job("fit_baseline", "finetune", "H3", name, "baseline", 0, 16, 0) for name in ("gc", "kmer")]
    jobs += [job("summarise_analysis", "finetune", "", "", "", np.nan, 999, 0)]
    jobs += [job("probe", "biotype", "H3.pct10", "m", init, 0, 2, 0) for init in ("pretrained", "random")]
    jobs += [job("embed", "embeddings", "H3", "m", init, 0, 32) for init in ("pretrained", "random")]
    return pd.DataFrame(jobs)


def pairs(analysis="finetune", tasks=("H3", "H4"), versus="random", reference=("m", "random"), init="pretrained"):
    named = {"analysis": analysis, "model": "m", "init": init, "versus": versus}
    return pd.DataFrame(
        [named | {"task": task, "reference": reference[0], "reference_init": reference[1]} for task in tasks]
    )


def evidence(**more):
    row = dict.fromkeys(across_tasks.ACROSS, np.nan) | {"analysis": "finetune", "variant": "", "suite": "all"}
    row |= {"family": "", "model": "m", "versus": "random", "scope": "these", "se": 0.1, "df": 1.0, "units": 2}
    return row | {"se_seeds": 0.1, "seeds": 2} | more


def priced(comparisons, *rows):
    table = price_evidence(pd.DataFrame(rows), comparisons, TASKS, Prices(ledger()))
    assert list(table.columns) == ACROSS
    return table


def test_a_verdict_costs_both_arms_and_their_weights_once_and_nothing_else():
    rows = [evidence(), evidence(scope="like-these"), evidence(suite="nt"), evidence(family="others")]
    table = priced(pairs(), *rows)
    weights = 1024
    assert table["gpu_hours"].tolist() == [weights + 4 + 16, weights + 4 + 16, weights + 4, weights + 16]
    assert table["cpu_hours"].tolist() == [4 * 1.5] * 4, "a tokenizer and two initialisations, which no GPU did"


def test_the_best_of_several_costs_all_of_them():
    comparisons = pd.concat([pairs(tasks=["H3"], versus="baseline", reference=("kmer", "baseline")),
                             pairs(tasks=["H3"], versus="best_random", reference=("other", "random"))])  # fmt: skip
    table = priced(comparisons, evidence(versus="baseline"), evidence(versus="best_random"))
    assert table["gpu_hours"].tolist() == [1024 + 2, 1024 + 2 + 2 + 64]
    assert table["cpu_hours"].tolist() == [4 * (1 + 2 * 16), 4 * 1.5]


def test_a_probe_costs_the_embeddings_of_the_set_that_its_own_is_cut_from():
    comparisons = pairs("biotype", ["H3.pct10"])
    table = priced(comparisons, evidence(analysis="biotype", variant="pct10"))
    assert table["gpu_hours"].tolist() == [1024 + 64] and table["cpu_hours"].tolist() == [4 * (4 + 1.5)]


def test_an_arm_that_read_the_task_s_own_rows_costs_the_pretraining_on_these():
    own = [
        job("pretrain_self", "pretrain", name, "m", "self", 0, hours) for name, hours in (("H3", 2048), ("H4", 4096))
    ]
    jobs = pd.concat([ledger(), pd.DataFrame([*own, job("finetune_model", "finetune", "H3", "m", "self", 0, 8)])])
    hours = Prices(jobs).hours([("finetune", "H3", "m", "self"), ("finetune", "H3", "m", "random")])
    assert hours is not None and (hours.all[0], hours.weights[0]) == (2048 + 8 + 2, 2048)


def test_what_no_job_tells_of_has_no_price():
    table = priced(pairs(tasks=["H3", "unknown"]), evidence())
    assert table[["gpu_hours", "cpu_hours", "next_decimal_hours"]].isna().all(axis=None)
    assert table["next_decimal"].tolist() == ["with seeds alone"], "what it takes is known without its price"


def test_further_seeds_cost_what_the_arms_cost_a_seed_and_no_weights():
    row = priced(pairs(), evidence()).iloc[0]
    assert row["next_decimal"] == "with seeds alone" and row["next_decimal_times"] == 1
    assert row["next_decimal_hours"] == pytest.approx(10 * (row["next_decimal_seeds"] - 2))
    wide = priced(pairs(), evidence(se_seeds=0.01, df=math.inf)).iloc[0]
    assert wide["next_decimal"] == "not with seeds alone" and wide["next_decimal_times"] > 100
    assert wide["next_decimal_hours"] == pytest.approx(10 * (wide["next_decimal_seeds"] - 2)), "items are free"


def test_further_families_cost_their_seeds():
    row = priced(pairs(), evidence(scope="like-these", se_seeds=0.01)).iloc[0]
    seeds, times = row["next_decimal_seeds"], row["next_decimal_times"]
    assert times > 1 and row["next_decimal_hours"] == pytest.approx(10 * (times * seeds - 2))


def test_one_seed_tells_no_price_of_a_decimal():
    row = priced(pairs(), evidence(seeds=1, se_seeds=0.0)).iloc[0]
    assert row[PRICES[2:]].isna().all() and row["gpu_hours"] == 1044


def test_a_claim_costs_its_arms_and_a_decimal_more_units():
    prices = Prices(ledger())
    claims = pd.DataFrame({"claim": ["a", "b"]})
    table = price_claims(claims, [prices.arms(pairs()), prices.arms(pairs(tasks=["H3"]))], [2, 1], prices)
    assert table["gpu_hours"].tolist() == [1044, 1028] and table["next_decimal"].iloc[0] == "not with seeds alone"
    assert table["next_decimal_hours"].iloc[0] == pytest.approx((table["next_decimal_times"].iloc[0] - 1) * 20)
    assert table.loc[1, PRICES[2:]].isna().all()


def test_what_another_program_computed_has_no_price():
    """Its own jobs here are counted, and the verdict that rests on it is not made cheap by that."""
    elsewhere = job("outside", "embeddings", "H3", "m", "random", 0, np.nan, 0)
    kept = ledger().query("rule != 'embed' or init != 'random'")
    prices = Prices(pd.concat([kept, pd.DataFrame([elsewhere])]))
    rows = pd.DataFrame([evidence(analysis="biotype", variant="pct10"), evidence()])
    both = pd.concat([pairs("biotype", ["H3.pct10"]), pairs()])
    table = price_evidence(rows, both, TASKS, prices)
    assert table["gpu_hours"].isna().tolist() == [True, False], "what read no such embedding keeps its price"
