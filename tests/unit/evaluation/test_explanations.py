"""Tables of explanations: plain means, words where a difference was drawn, and logos of sites that are known."""

import numpy as np
import pandas as pd
import pytest

from foundationless.data.dna import reverse_complement
from foundationless.evaluation.explanations.tables import FLANK, logo_table, score_table


def predictions(levels: dict[tuple[str, str], float], seeds=3, sequences=40, groups=None) -> list[pd.DataFrame]:
    """AUROCs of arms around their levels; what makes a sequence hard is the same for all."""
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 0.1, sequences)
    ids = [f"s{place}" for place in range(sequences)]
    jobs = []
    for (model, init), level in levels.items():
        for seed in range(seeds):
            values = level + hard + rng.normal(0, 0.003) + rng.normal(0, 0.02, sequences)
            frame = pd.DataFrame({"id": ids, "group": groups or ids, "auroc": values, "miss": 0.0, "sites": ""})
            identity = {"task": "t", "model": model, "init": init, "seed": seed, "method": "mutagenesis"}
            jobs.append(frame.assign(sequence="ACGT", attributions=[np.zeros(4)] * sequences, **identity))
    return jobs


LEVELS = {("a", "pretrained"): 0.7, ("a", "random"): 0.5, ("b", "pretrained"): 0.5, ("b", "random"): 0.5}


def test_scores_are_means_and_their_words_are_those_of_what_was_drawn():
    jobs = predictions(LEVELS)
    table = score_table(jobs).set_index(["model", "init", "versus"])
    for model, init in LEVELS:
        mine = [job["auroc"].mean() for job in jobs if (job["model"].iloc[0], job["init"].iloc[0]) == (model, init)]
        row = table.loc[model, init, ""]
        assert row["value"] == pytest.approx(np.mean(mine))
        assert row["low"] < row["value"] < row["high"]
        assert (row["n"], row["seeds"]) == (40, 3)
    both = table.loc["a", "pretrained", "random"]
    assert both["delta"] == pytest.approx(
        table.loc["a", "pretrained", ""]["value"] - table.loc["a", "random", ""]["value"]
    )
    assert both["verdict"] == table.loc["a", "pretrained", "chance"]["verdict"] == "better"
    assert table.loc["b", "pretrained", "random"]["verdict"] in ("undecided", "equivalent")
    assert (table["p_holm"].dropna() >= table["p"][table["p_holm"].notna()]).all()
    paired, alone = both["high"] - both["low"], table.loc["a", "pretrained", ""]
    assert paired < 1.5 * (alone["high"] - alone["low"]), "what is hard for both arms is no noise of their difference"


def test_one_seed_decides_nothing_and_few_groups_are_drawn_by_sequence():
    table = score_table(predictions(LEVELS, seeds=1, groups=["test"] * 40))
    assert set(table["verdict"]) == {"", "one seed"}
    assert set(table["groups"]) == {40}
    whole = score_table(predictions(LEVELS, sequences=100, groups=[f"g{place // 4}" for place in range(100)]))
    assert set(whole["groups"]) == {25}
    assert score_table([]).empty


def test_a_sequence_without_a_group_is_its_own():
    groups = [f"g{place // 3}" if place < 60 else None for place in range(100)]
    table = score_table(predictions(LEVELS, sequences=100, groups=groups))
    assert set(table["groups"]) == {20 + 40}


def test_logos_lay_sites_of_both_strands_over_one_another():
    rng = np.random.default_rng(1)
    rows = []
    for place in range(20):
        letters = "".join(rng.choice(list("ACGT"), 40))
        turned = place % 2 == 1
        word = reverse_complement("GATTACA") if turned else "GATTACA"
        values = np.zeros(40)
        values[15 + (6 if turned else 0)] = 2.0  # of the motif's first letter
        site = f"15-22:{'-' if turned else '+'}:M"
        rows.append((f"s{place}", letters[:15] + word + letters[22:], f"{site} 0-3:+:N", values))
    frame = pd.DataFrame(rows, columns=["id", "sequence", "sites", "attributions"])
    jobs = [
        frame.assign(
            task="t", model="m", init="random", seed=seed, method="mutagenesis", group="g", auroc=0.5, miss=0.0
        )
        for seed in (1, 0)
    ]
    table = logo_table(jobs)
    assert set(table["motif"]) == {"M"}
    assert (table["n"] == 20).all()
    assert len(table) == 4 * (7 + 2 * FLANK), "of one seed"
    assert np.allclose(table.groupby("position")["share"].sum(), 1)
    motif = table[table["position"].between(0, 6) & (table["share"] == 1)].sort_values("position")
    assert "".join(motif["letter"]) == "GATTACA"
    assert table.loc[table["height"] != 0, ["position", "letter", "height"]].to_numpy().tolist() == [[0, "G", 2.0]]
