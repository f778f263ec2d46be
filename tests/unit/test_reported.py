"""The study's own numbers: read whole, put beside ours, and through the same statistics."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from foundationless import paper_tables, reported
from foundationless.errors import UserError
from foundationless.metrics import HIGHER_IS_BETTER
from foundationless.summaries import COMPARISONS, SCORES
from foundationless.tables import read_tasks

ROOT = Path(__file__).parents[2]
TABLE_18 = {  # model -> wins of 18 tasks, p of Wilcoxon's test
    "mistral": (17, 3e-4), "ntv2": (18, 8e-6), "genalm": (18, 8e-6), "nt500m": (17, 3e-4), "dnabert2": (17, 5e-5),
    "hyenadna": (12, 0.04), "caduceus": (7, 0.24),
}  # fmt: skip


@pytest.fixture(scope="module")
def numbers():
    return reported.read_reported(ROOT / "resources" / "lists" / "reported.tsv")


@pytest.fixture(scope="module")
def tasks():
    return read_tasks(ROOT / "config" / "tasks.tsv")


@pytest.fixture(scope="module")
def evidence(numbers, tasks):
    return reported.reported_across(numbers, tasks, 0.02)


def test_the_studys_own_table_is_read_whole(numbers):
    assert set(numbers["model"]) == set(reported.PAPER_MODELS)
    ours = set(HIGHER_IS_BETTER) | {"delta", "cosine"}
    assert {reported.PAPER_METRICS.get(name, name) for name in numbers["metric"]} <= ours
    known = set(reported.EXPERIMENTS.values())
    assert set(numbers["experiment"]) - known == {"ancestry", "clinvar_cosine", "fig1_delta", "gue_finetune"}
    assert set(numbers.loc[numbers["experiment"] == "gue_finetune", "task"]) == set(reported.CATEGORIES)
    assert set(numbers.loc[numbers["experiment"] == "fig1_delta", "task"]) == set(reported.FIGURE_1)


def test_table_18_through_our_statistics_gives_its_wins_and_wilcoxon_p(evidence):
    suite = evidence[(evidence["suite"] == "nt") & (evidence["versus"] == "random")].set_index("model")
    assert suite.index.tolist() == list(dict.fromkeys(name for name, _ in reported.PAPER_MODELS.values()))
    for model, (wins, p) in TABLE_18.items():
        row = suite.loc[model]
        assert (row["wins"], row["n"], row["source"]) == (wins, 18, "Table 18")
        assert float(f"{row['wilcoxon_p']:.0e}" if p < 0.01 else f"{row['wilcoxon_p']:.2f}") == p
        assert row["losses"] == 18 - wins


def test_best_pretrained_beats_best_random_on_every_task_of_table_18(numbers):
    """What the study's Figure 7 hides: see item 4 of the list of defects."""
    mine = numbers[numbers["experiment"] == "nt_finetune"]
    best = mine.groupby(["task", "arm"])["value"].max().unstack()
    assert (best["pretrained"] > best["random"]).all() and len(best) == 18


def test_marks_of_the_study_that_stand_in_two_suites_are_one_family(evidence, tasks):
    whole = evidence[(evidence["suite"] == "all") & (evidence["family"] == "") & (evidence["versus"] == "random")]
    assert set(whole["n"]) == {18 + 6 + 6} and set(whole["unit"]) == {"families"} and set(whole["families"]) == {8}
    marks = evidence[(evidence["family"] == "histone marks (yeast)") & (evidence["versus"] == "random")]
    assert set(marks["n"]) == {11}, "ten of Table 18, and their mean in GUE"
    assert set(evidence["family"]) - {""} <= set(tasks["family"])


def test_against_the_best_random_model_nobody_gains(evidence):
    both = evidence[(evidence["suite"] == "nt") & (evidence["family"] == "")].pivot(
        index="model", columns="versus", values="delta"
    )
    assert (both["best_random"] <= both["random"]).all()


def test_what_our_tasks_answer_is_compared_and_signed(tasks):
    """Ours is 0.1 above every number of the study, with an interval of 0.03."""
    catalogue = pd.DataFrame({"model": ["hyenadna", "ntv2.mini"], "base": ["hyenadna", "ntv2"], "label": ["H", "N"]})
    numbers = pd.DataFrame(
        [
            ("nt_finetune", "H3", "HyenaDNA", "pretrained", "mcc", 0.5, 0.01),
            ("nt_finetune", "H3", "HyenaDNA", "random", "mcc", 0.4, np.nan),
            ("nt_finetune", "H3", "NTv2-50M", "pretrained", "mcc", 0.5, np.nan),
            ("gue_finetune", "EMP", "HyenaDNA", "random", "mcc_category_mean", 0.4, np.nan),
            ("clinvar_llr", "BRCA2", "HyenaDNA", "pretrained", "auroc", 0.3, np.nan),
            ("ancestry", "mean11regions", "HyenaDNA", "random", "f1_weighted", 0.4, np.nan),
            ("fig1_delta", "NT hist+enh (12)", "HyenaDNA", "pretrained-random", "delta", 0.1, np.nan),
        ],
        columns=["experiment", "task", "model", "arm", "metric", "value", "sd"],
    ).assign(source="T")
    rows = [
        ("finetune", "nt_H3", "hyenadna", "pretrained", "mcc", 0.6),
        ("finetune", "nt_H3", "hyenadna", "random", "mcc", 0.5),
        ("finetune", "nt_H3", "ntv2.mini", "pretrained", "mcc", 0.6),
        ("finetune", "gue_emp_H3", "hyenadna", "random", "mcc", 0.4),
        ("finetune", "gue_emp_H4", "hyenadna", "random", "mcc", 0.6),
        ("likelihood", "clinvar_BRCA2", "hyenadna", "pretrained", "auroc", 0.6),
        ("ancestry", "ancestry_chr1", "hyenadna", "random", "weighted_f1", 0.4),
        ("ancestry", "ancestry_chr3", "hyenadna", "random", "weighted_f1", 0.6),
        ("finetune", "nt_H4", "hyenadna", "pretrained", "mcc", 0.9),
        ("finetune", "nt_H3.pct10", "hyenadna", "pretrained", "mcc", 0.9),
    ]
    scores = pd.DataFrame(rows, columns=["analysis", "task", "model", "init", "metric", "value"])
    scores = scores.assign(low=scores["value"] - 0.03, high=scores["value"] + 0.03).reindex(columns=SCORES)
    pair = {"analysis": "finetune", "task": "nt_H3", "model": "hyenadna", "init": "pretrained", "versus": "random"}
    comparisons = pd.DataFrame([pair | {"metric": "mcc", "delta": 0.1, "low": 0.05, "high": 0.15}])
    comparisons = comparisons.reindex(columns=[*COMPARISONS])
    effects = pd.DataFrame(columns=["analysis", "task", "model", "init", "effect"])
    found = paper_tables.paper_tables(
        scores, comparisons, effects, scores, tasks, catalogue, [], [], numbers, 0.02
    )["reported_comparison"]  # fmt: skip
    assert found.columns.tolist() == reported.COMPARISON
    by = found.set_index(["experiment", "model", "arm"])
    first = by.loc[("nt_finetune", "hyenadna", "pretrained")]
    assert first[["task", "paper_task", "reported", "ours", "verdict", "same_model"]].tolist() == [
        "nt_H3", "H3", 0.5, 0.6, "higher", True
    ]  # fmt: skip
    half = scipy.stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    assert first["difference_high"] - first["difference"] == pytest.approx(np.hypot(0.03, half))
    assert not by.loc[("nt_finetune", "ntv2.mini", "pretrained"), "same_model"]
    exact = by.loc[("nt_finetune", "hyenadna", "random")]
    assert exact["difference_high"] - exact["difference"] == pytest.approx(0.03), "a number without sd is exact"
    delta = by.loc[("nt_finetune", "hyenadna", "delta")]
    assert delta[["reported", "ours"]].tolist() == pytest.approx([0.1, 0.1])
    category = by.loc[("gue_finetune", "hyenadna", "random")]
    assert (category["ours"], category["task"]) == (pytest.approx(0.5), "2 of EMP")
    likelihood = by.loc[("clinvar_llr", "hyenadna", "pretrained")]
    assert likelihood[["ours", "low", "high"]].tolist() == pytest.approx([0.4, 0.37, 0.43]), "the study ranks by +LLR"
    assert by.loc[("ancestry", "hyenadna", "random"), "ours"] == pytest.approx(0.5)
    mean = by.loc[("fig1_delta", "hyenadna", "delta")]
    assert (mean["ours"], mean["verdict"]) == (pytest.approx(0.1), "undecided"), "one task has no interval"
    assert len(found) == 8, "neither a derived set nor a task that the study did not print"
    np.testing.assert_allclose(found["difference"], found["ours"] - found["reported"])


def test_table_2_has_the_studys_arms_and_its_widest(tasks):
    row = {"tokenizer": "default", "width": pd.NA, "widest": False}
    assert [arm for _, arm in reported.factorial_arms(row)] == ["pretrained/default_tok", "random/default_tok"]
    row = {"tokenizer": "char", "width": 64, "widest": True}
    assert reported.factorial_arms(row) == [("random", "random/char_tok+larger_dim")]
    assert reported.factorial_arms(row | {"widest": False}) == []
    assert reported.factorial_arms({"tokenizer": "kmer", "width": pd.NA, "widest": False}) == []


def test_tables_6_and_7_set_the_studys_mistral_beside_ours():
    catalogue = pd.DataFrame(
        [
            {"model": "mistral", "base": "mistral", "label": "M", "config": {"hidden_size": 1408, "vocab_size": 12}},
            {"model": "mistral.char.w64", "base": "mistral", "label": "M", "config": None},
            {"model": "ntv2", "base": "ntv2", "label": "N", "config": {"hidden_size": 512}},
        ]
    )
    record = {
        "model": "mistral", "settings": {"batch_size": 64, "betas": [0.9, 0.95], "corpus": {"people": 50}},
        "cost": {"gpus": 4}, "results": [{"metric": "loss", "split": "heldout", "value": v} for v in (1.4, 1.3)],
    }  # fmt: skip
    scores = pd.DataFrame(columns=SCORES)
    architecture = paper_tables._mistral(catalogue, scores).set_index("setting")
    assert set(architecture["model"]) == {"mistral"}
    assert architecture.loc["width", ["reported", "ours"]].tolist() == ["1408", "1408"]
    assert architecture.loc["layers", ["reported", "ours"]].tolist() == ["16", ""]
    settings = paper_tables._mistral_pretraining([record, record | {"model": "ntv2"}]).set_index("setting")
    assert settings.loc["windows per step", ["reported", "ours"]].tolist() == ["64", "64"]
    assert settings.loc["AdamW, betas", ["reported", "ours"]].tolist() == ["0.9, 0.95"] * 2
    assert settings.loc["held-out loss at the end", "ours"] == "1.3" and settings.loc["GPUs", "ours"] == "4"
    alone = paper_tables._mistral_pretraining([])
    assert alone["ours"].eq("").all() and alone["reported"].ne("").any(), "the study's settings stand there anyway"


def test_a_table_that_is_none_is_one_sentence(tmp_path):
    path = tmp_path / "numbers.tsv"
    with pytest.raises(UserError, match="no such file"):
        reported.read_reported(path)
    path.write_text("experiment\ttask\nx\ty\n")
    with pytest.raises(UserError, match="no column arm, metric"):
        reported.read_reported(path)


def test_twins_of_the_task_table_are_the_same_question_and_metric_family(tasks):
    """The same data under two names cannot be two kinds of question; a suite has each only once."""
    twins = tasks[tasks["twin"].fillna("") != ""]
    assert twins.groupby("twin")["family"].nunique().eq(1).all()
    assert tasks["family"].notna().all()
    full = twins[~twins["task"].str.startswith("mini_")]
    assert not full.duplicated(["suite", "twin"]).any()
    marks = {name for name in tasks["task"] if name.startswith("nt_H")}
    both = {task.replace("nt_", "gue_emp_"): task for task in marks}
    words = tasks.set_index("task")["twin"]
    assert len(both) == 10 and all(words[gue] == words[nt] for gue, nt in both.items())
