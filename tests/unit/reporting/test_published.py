"""The paper's own numbers: read whole, put beside ours, and through the same statistics."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from foundationless.errors import UserError
from foundationless.evaluation.across_tasks import ACROSS
from foundationless.evaluation.task_summary import COMPARISONS, SCORES
from foundationless.reporting.figures import verdict
from foundationless.reporting.figures.layout import SMALLER
from foundationless.reporting.paper import paper_tables
from foundationless.reporting.paper import published as reported
from foundationless.reporting.paper.compare import paper_outputs
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.inputs import Inputs, read_tasks
from foundationless.study.vocabulary import MARGINS, METRICS
from support import ROOT

NUMBERS = ROOT / "resources" / "lists" / "reported.tsv"

TABLE_18 = {  # model -> wins of 18 tasks, p of Wilcoxon's test
    "mistral": (17, 3e-4), "ntv2": (18, 8e-6), "genalm": (18, 8e-6), "nt500m": (17, 3e-4), "dnabert2": (17, 5e-5),
    "hyenadna": (12, 0.04), "caduceus": (7, 0.24),
}  # fmt: skip


@pytest.fixture(scope="module")
def numbers():
    return reported.read_reported(NUMBERS)


@pytest.fixture(scope="module")
def tasks():
    return read_tasks(ROOT / "config" / "tasks.tsv")


@pytest.fixture(scope="module")
def evidence(numbers, tasks):
    return reported.reported_across(numbers, tasks, MARGINS)


def test_the_papers_own_table_is_read_whole(numbers):
    assert set(numbers["model"]) == set(reported.PAPER_MODELS)
    ours = set(METRICS) | {"delta", "cosine"}
    assert {reported.PAPER_METRICS.get(name, name) for name in numbers["metric"]} <= ours
    known = set(reported.EXPERIMENTS.values())
    assert set(numbers["experiment"]) - known == {"ancestry", "clinvar_cosine", "fig1_delta", "gue_finetune"}
    assert set(numbers.loc[numbers["experiment"] == "gue_finetune", "task"]) == set(reported.CATEGORIES)
    assert set(numbers.loc[numbers["experiment"] == "fig1_delta", "task"]) == set(reported.FIGURE_1)


def test_table_18_through_our_statistics_gives_its_wins_and_wilcoxon_p(evidence):
    suite = evidence[(evidence["suite"] == "nt") & (evidence["versus"] == "random")]
    suite = suite[suite["scope"] == "these"].set_index("model")
    assert suite.index.tolist() == list(reported.ARCHITECTURES)
    for model, (wins, p) in TABLE_18.items():
        row = suite.loc[model]
        assert (row["wins"], row["n"], row["source"]) == (wins, 18, "Table 18")
        assert float(f"{row['wilcoxon_p']:.0e}" if p < 0.01 else f"{row['wilcoxon_p']:.2f}") == p
        assert row["losses"] == 18 - wins


def test_no_win_of_table_18_survives_on_family_means(evidence, numbers, tasks):
    """On its own tasks five of seven models are better; over the means of four families none is.

    HyenaDNA, which took 18 tasks for independent to be better (p 0.02), has p 0.51: recomputed here from the table.
    """
    rows = evidence[(evidence["suite"] == "nt") & (evidence["versus"] == "random")]
    words = {scope: part.set_index("model")["verdict"] for scope, part in rows.groupby("scope")}
    assert (words["these"] == "better").sum() == 5 and words["these"]["hyenadna"] == "undecided"
    assert set(words["like-these"]) == {"undecided"}
    mine = numbers[(numbers["experiment"] == "nt_finetune") & (numbers["model"] == "HyenaDNA")]
    arms = mine.pivot(index="task", columns="arm", values="value")
    deltas = arms["pretrained"] - arms["random"]
    family = tasks[tasks["suite"] == "nt"].drop_duplicates("paper_task").set_index("paper_task")["family"]
    means = deltas.groupby(deltas.index.map(family)).mean()
    row = rows[(rows["model"] == "hyenadna") & (rows["scope"] == "like-these")].iloc[0]
    assert row["units"] == len(means) == 4
    assert row["p"] == pytest.approx(scipy.stats.ttest_1samp(means, 0).pvalue) == pytest.approx(0.51, abs=0.01)
    assert scipy.stats.ttest_1samp(deltas, 0).pvalue == pytest.approx(0.02, abs=0.01), "tasks taken for independent"


def test_the_papers_interval_on_its_own_tasks_is_that_of_its_runs(evidence, numbers):
    """Independently: each arm's mean of sds over tasks, of three runs, both arms put together."""
    rows = evidence[(evidence["versus"] == "random") & (evidence["scope"] == "these") & (evidence["family"] == "")]
    mine = numbers[(numbers["experiment"] == "nt_finetune") & (numbers["model"] == "HyenaDNA")]
    expected = np.hypot(*mine.groupby("arm")["sd"].mean()) / 3**0.5
    nt = rows[(rows["suite"] == "nt") & (rows["model"] == "hyenadna")].iloc[0]
    assert nt["se"] == pytest.approx(expected) and np.isnan(nt["se_items"]), "items are not told"
    silent = rows[rows["suite"] != "nt"]
    assert silent[["se", "low", "p", "p_tost_holm", "mde"]].isna().all(axis=None) and set(silent["verdict"]) == {""}


def test_best_pretrained_beats_best_random_on_every_task_of_table_18(numbers):
    """What the paper's Figure 7 hides: see item 4 of the list of defects."""
    mine = numbers[numbers["experiment"] == "nt_finetune"]
    best = mine.groupby(["task", "arm"])["value"].max().unstack()
    assert (best["pretrained"] > best["random"]).all() and len(best) == 18


def test_marks_of_the_paper_that_stand_in_two_suites_are_one_family(evidence, tasks):
    whole = evidence[(evidence["suite"] == "all") & (evidence["family"] == "") & (evidence["versus"] == "random")]
    assert set(whole["n"]) == {18 + 6 + 6} and set(whole.loc[whole["scope"] == "like-these", "units"]) == {8}
    marks = evidence[(evidence["family"] == "histone marks (yeast)") & (evidence["versus"] == "random")]
    assert set(marks["n"]) == {11}, "ten of Table 18, and their mean in GUE"
    assert set(evidence["family"]) - {""} <= set(tasks["family"])


def test_against_the_best_random_model_nobody_gains(evidence):
    both = evidence[(evidence["suite"] == "nt") & (evidence["family"] == "") & (evidence["scope"] == "these")]
    both = both.pivot(index="model", columns="versus", values="delta")
    assert (both["best_random"] <= both["random"]).all()


def test_what_our_tasks_answer_is_compared_and_signed(tasks, tmp_path):
    """Ours is 0.1 above every number of the paper, with an interval of 0.03."""
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
    pairs = [("nt_H3", "hyenadna", "mcc", 0.1)]
    found = tables_of(rows, numbers, tasks, ["hyenadna", "ntv2.mini"], tmp_path, pairs)["reported_comparison"]
    assert found.columns.tolist() == columns_of("reported_comparison")
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
    partial = found[found["tasks"] != "1 of 1"].set_index("experiment")
    assert partial["tasks"].to_dict() == {
        "gue_finetune": "2 of 10", "ancestry": "2 of 11", "fig1_delta": "1 of 12"
    }  # fmt: skip
    assert partial["ours"].notna().all() and partial["verdict"].eq("").all()
    assert partial[["difference", "difference_low", "difference_high"]].isna().all(axis=None)
    likelihood = by.loc[("clinvar_llr", "hyenadna", "pretrained")]
    assert likelihood[["ours", "low", "high"]].tolist() == pytest.approx([0.4, 0.37, 0.43]), "the paper ranks by +LLR"
    assert by.loc[("ancestry", "hyenadna", "random"), "ours"] == pytest.approx(0.5)
    mean = by.loc[("fig1_delta", "hyenadna", "delta")]
    assert mean["ours"] == pytest.approx(0.1)
    assert len(found) == 8, "neither a derived set nor a task that the paper did not print"
    whole = found[found["tasks"] == "1 of 1"]
    np.testing.assert_allclose(whole["difference"], whole["ours"] - whole["reported"])


def test_table_2_has_the_papers_arms_and_its_widest():
    row = {"tokenizer": "default", "width": pd.NA, "layers": pd.NA, "widest": False}
    assert [arm for _, arm in reported.factorial_arms(row)] == ["pretrained/default_tok", "random/default_tok"]
    row = {"tokenizer": "char", "width": 64, "layers": pd.NA, "widest": True}
    assert reported.factorial_arms(row) == [("random", "random/char_tok+larger_dim")]
    assert reported.factorial_arms(row | {"widest": False}) == []
    assert reported.factorial_arms(row | {"layers": 2}) == [], "the paper has no other depth"
    assert reported.factorial_arms(row | {"tokenizer": "kmer", "width": pd.NA, "widest": False}) == []


def test_tables_6_and_7_set_the_papers_mistral_beside_ours():
    catalogue = pd.DataFrame(
        [
            {"model": "mistral", "base": "mistral", "label": "M", "config": {"hidden_size": 1408, "vocab_size": 12}},
            {"model": "mistral.char.w64", "base": "mistral", "label": "M", "config": None},
            {"model": "ntv2", "base": "ntv2", "label": "N", "config": {"hidden_size": 512}},
        ]
    )
    record = {
        "model": "mistral", "init": "pretrained",
        "settings": {"batch_size": 64, "betas": [0.9, 0.95], "corpus": {"people": 50}},
        "cost": {"gpus": 4}, "results": [{"metric": "loss", "split": "heldout", "value": v} for v in (1.4, 1.3)],
    }  # fmt: skip
    scores = pd.DataFrame(columns=SCORES)
    architecture = paper_tables._mistral(catalogue, scores).set_index("setting")
    assert set(architecture["model"]) == {"mistral"}
    assert architecture.loc["width", ["reported", "ours"]].tolist() == ["1408", "1408"]
    assert architecture.loc["layers", ["reported", "ours"]].tolist() == ["16", ""]
    control = record | {"init": "self", "settings": {"batch_size": 2}}
    settings = paper_tables._mistral_pretraining([record, control, record | {"model": "ntv2"}]).set_index("setting")
    assert settings.loc["windows per step", ["reported", "ours"]].tolist() == ["64", "64"]
    assert settings.loc["AdamW, betas", ["reported", "ours"]].tolist() == ["0.9, 0.95"] * 2
    assert settings.loc["held-out loss at the end", "ours"] == "1.3" and settings.loc["GPUs", "ours"] == "4"
    alone = paper_tables._mistral_pretraining([])
    assert alone["ours"].eq("").all() and alone["reported"].ne("").any(), "the paper's settings stand there anyway"


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
    # But for settings of one transfer, and a set with more columns.
    several = twins["reader"].eq("transfer") | twins["task"].str.endswith("_annotated")
    full = twins[~twins["task"].str.startswith("mini_") & ~several]
    assert not full.duplicated(["suite", "twin"]).any()
    marks = {name for name in tasks["task"] if name.startswith("nt_H")}
    both = {task.replace("nt_", "gue_emp_"): task for task in marks}
    words = tasks.set_index("task")["twin"]
    assert len(both) == 10 and all(words[gue] == words[nt] for gue, nt in both.items())


def tables_of(rows, numbers, tasks, models, tmp_path, pairs=()):
    """The paper's tables, of scores (analysis, task, model, init, metric, value), pairs (task, model, metric, delta)"""
    scores = pd.DataFrame(rows, columns=["analysis", "task", "model", "init", "metric", "value"])
    scores = scores.assign(low=scores["value"] - 0.03, high=scores["value"] + 0.03).reindex(columns=SCORES)
    comparisons = pd.DataFrame(list(pairs), columns=["task", "model", "metric", "delta"])
    comparisons = comparisons.assign(analysis="finetune", init="pretrained", versus="random").assign(
        low=comparisons["delta"] - 0.05, high=comparisons["delta"] + 0.05
    ).reindex(columns=COMPARISONS)  # fmt: skip
    numbers.to_csv(tmp_path / "reported.tsv", sep="\t", index=False)
    inputs = Inputs(
        scores, comparisons, records=scores, tasks=tasks, models={name: {} for name in models},
        reported=tmp_path / "reported.tsv",
    ).arranged()  # fmt: skip
    across = pd.DataFrame(columns=ACROSS)
    tables = {"scores": inputs.scores, "comparisons": inputs.comparisons, "across_tasks": across}
    return paper_outputs(inputs, tables | dict(inputs.diagnostics))


def test_the_task_table_holds_every_task_behind_a_mean_of_the_paper(numbers, tasks, tmp_path):
    """Whole means of ours are compared, and one task fewer empties the difference."""
    published = tasks[~tasks["task"].str.startswith("mini_") & (tasks["paper_task"].fillna("") != "")]
    known = published[published["suite"].isin(["nt", "gue", "gb", "ancestry"])]
    rows = [
        ("ancestry" if suite == "ancestry" else "finetune", task, "hyenadna", "random", metric, 0.5 + 0.001 * place)
        for place, (task, suite, metric) in enumerate(known[["task", "suite", "metric"]].to_numpy())
    ]
    pairs = [(task, "hyenadna", metric, 0.1) for analysis, task, _, _, metric, _ in rows if analysis == "finetune"]
    means = ["gue_finetune", "ancestry", "fig1_delta"]

    def compared(left_out):
        found = tables_of([row for row in rows if row[1] not in left_out], numbers, tasks, ["hyenadna"], tmp_path,
                          [pair for pair in pairs if pair[0] not in left_out])["reported_comparison"]  # fmt: skip
        return found[found["experiment"].isin(means)].set_index("paper_task")

    whole = compared(())
    assert whole["tasks"].to_dict() == {
        "mean11regions": "11 of 11", "EMP": "10 of 10", "TF-human": "5 of 5", "TF-mouse": "5 of 5",
        "Promoter": "3 of 3", "CorePromoter": "3 of 3", "Splice": "1 of 1", "NT hist+enh (12)": "12 of 12",
        "GB": "6 of 6", "GUE (7 cat.)": "28 of 28",
    }  # fmt: skip
    assert whole["difference"].notna().all() and set(whole["verdict"]) <= {"equivalent", "higher", "lower", "undecided"}
    left_out = ["ancestry_chr7", "gue_emp_H4", "gue_mouse_0", "nt_H4", "gb_demo_human_or_worm"]
    part = compared(left_out)
    touched = ["mean11regions", "EMP", "TF-mouse", "NT hist+enh (12)", "GB", "GUE (7 cat.)"]
    assert part.loc[touched, "tasks"].tolist() == ["10 of 11", "9 of 10", "4 of 5", "11 of 12", "5 of 6", "26 of 28"]
    assert part.loc[touched, "ours"].notna().all() and part.loc[touched, "difference"].isna().all()
    assert part.loc[touched, "verdict"].eq("").all() and part.drop(touched)["difference"].notna().all()


def test_the_means_of_figure_1_are_over_the_tasks_that_we_count(numbers):
    """Its NT and GB means are about those of its own tables over 12 and 6 tasks (they never agree to all digits)."""
    for experiment, name, metric in (("nt_finetune", "NT hist+enh (12)", "mcc"), ("gb_finetune", "GB", "accuracy")):
        mine = numbers[(numbers["experiment"] == experiment) & (numbers["metric"] == metric)]
        both = mine.pivot_table(index=["model", "task"], columns="arm", values="value")
        change = (both["pretrained"] - both["random"]).groupby("model")
        assert set(change.size()) == {reported.FIGURE_1[name][2]}
        stated = numbers[(numbers["experiment"] == "fig1_delta") & (numbers["task"] == name)].set_index("model")
        assert (change.mean() - stated["value"]).abs().max() < 0.02


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("hyenadna", ["HyenaDNA", "HyenaDNA-char"]),
        ("hyenadna.char", ["HyenaDNA", "HyenaDNA-char"]),
        ("hyenadna.mini", ["HyenaDNA", "HyenaDNA-char"]),
        ("hyenadna.kmer", ["HyenaDNA-6mer"]),
        ("hyenadna.w2048", ["HyenaDNA-d2048"]),
        ("hyenadna.w64", []),
        ("hyenadna.kmer.w2048", []),
        ("caduceus.paper", ["Caduceus"]),
        ("mistral", ["Mistral"]),
        ("mistral.w64", []),
        ("genalm.l2", []),
        ("nt500m.char", []),
        ("ntv2.char.w64", []),
    ],
)
def test_a_name_of_the_paper_is_one_tokenizer_width_and_depth(numbers, tasks, model, names):
    paper = reported.Reported(numbers, tasks)
    assert paper.names(model) == names
    plain = [name for name in names if "-d2048" not in name and "-6mer" not in name]
    assert np.isfinite(paper.find("finetune", "nt_H3", model, "random").value) == bool(plain)
    assert np.isfinite(paper.mean("gue_finetune", "EMP", model, "random").value) == bool(plain)


def test_variants_have_no_number_of_the_plain_model_in_any_table(numbers, tasks, tmp_path):
    models = ["hyenadna.kmer", "mistral.w64", "genalm.l2", "nt500m.char", "ntv2.char.w64.l2", "hyenadna"]
    rows = [("finetune", "nt_H3", model, "random", "mcc", 0.5) for model in models]
    rows += [("width", "biotype", model, "random", "weighted_f1", 0.5) for model in models]
    found = tables_of(rows, numbers, tasks, models, tmp_path)
    finetuned = found["table_18_finetune"].set_index("model")["reported_random"]
    assert finetuned.index[finetuned.notna()].tolist() == ["hyenadna"]
    biotype = found["table_02_biotype"].set_index("model")["reported_random"].dropna()
    assert set(biotype.index) == {"hyenadna", "nt500m.char"}, "its arm of characters is such a model"
    compared = found["reported_comparison"]
    assert set(compared["model"]) == {"hyenadna", "nt500m.char"} and compared["same_model"].all()


def test_the_widest_of_ours_is_the_papers_only_at_its_width(numbers, tasks, tmp_path):
    for widths, same in (((64, 128), False), ((64, 4096), True)):
        models = [f"ntv2.char.w{width}" for width in widths]
        rows = [("width", "biotype", model, "random", "weighted_f1", 0.5) for model in models]
        found = tables_of(rows, numbers, tasks, models, tmp_path)["reported_comparison"]
        assert found[["model", "reported", "same_model"]].to_numpy().tolist() == [[models[1], 0.703, same]]
    assert not reported.same_model("ntv2.mini", "random") and reported.same_model("hyenadna.w2048", "random")


@pytest.mark.filterwarnings("error")
def test_tables_without_rows_or_names_warn_of_nothing(numbers, tasks, tmp_path):
    tables_of([], numbers, tasks, ["hyenadna"], tmp_path)
    rows = [("biotype", "biotype", "hyenadna", "random", "weighted_f1", 0.5)]
    tables_of(rows, numbers, tasks.assign(paper_task=np.nan), ["hyenadna"], tmp_path)
    tables_of(rows, numbers, tasks, [], tmp_path)


def drawn_caption(monkeypatch, found, selection):
    """Caption of the figure of rows `found`, and how many of them it draws."""
    said = []

    def caption(*parts):
        said.append((whole_caption(*parts), len(parts[1])))
        raise StopIteration

    whole_caption = verdict._reported_caption
    monkeypatch.setattr(verdict, "_reported_caption", caption)
    tables = SimpleNamespace(
        extra=lambda name: found, looks={"hyenadna": None, "mistral.w64": None},
        scores=pd.DataFrame({"selection": [selection]}),
    )  # fmt: skip
    with pytest.raises(StopIteration):
        verdict.reported(tables)
    monkeypatch.undo()
    return said[0]


def test_the_caption_says_how_each_was_chosen_and_what_is_left_out(monkeypatch):
    shared = {"experiment": "gue_finetune", "source": "Fig 9", "arm": "random", "metric": "mcc", "reported": 0.4}
    shared |= {"model": "hyenadna", "ours": 0.5, "same_model": True}
    differences = [{"difference": 0.1, "verdict": "higher"}, {"difference": np.nan, "verdict": ""}]
    found = pd.DataFrame(shared | difference for difference in differences)
    text, rows = drawn_caption(monkeypatch, found, "validation")
    assert rows == 1 and "Not drawn: 1 means of ours over fewer tasks than the paper's." in text
    assert "best test score" in text and "ours are chosen by validation (selection: validation)" in text
    assert "bootstrap; of means over tasks by Student's t" in text and SMALLER not in text
    text, _ = drawn_caption(monkeypatch, found.assign(same_model=False), "test")
    assert "so do ours (selection: test)" in text and SMALLER in text
