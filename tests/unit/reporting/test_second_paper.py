"""The second paper's numbers, our question on its rows, its defects and claims, and one answer out of two words."""

import runpy

import numpy as np
import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.evaluation.table_files import add_name_parts
from foundationless.reporting.second_paper import claims, defects, reported
from foundationless.reporting.tables.catalogue import columns_of
from foundationless.reporting.tables.perturbation_verdict import ANSWERS, answer, perturbation_section
from foundationless.reporting.tables.verdict import _by
from foundationless.study.vocabulary import ANALYSES, FIGURES, LEARNED_METRICS, MARGINS, SECOND, figures_of
from support import ROOT
from support.effect_tables import effect_frames

LISTS = ROOT / "resources" / "lists"
SOURCE = "mirror/raw.githubusercontent.com/In-tron/linear_perturbation_prediction-Paper"
SOURCE += "/230fd9165ab5d5a767e1380fbeda3cab2efd9e20/source_data"
# Facts, section 1: pretrained minus random L2 (so the less the better) with its interval, and of Pearson delta.
PAIRED = {
    ("scgpt.readout", "adamson"): (-0.070, -0.220, 0.110, -0.015),
    ("scgpt.readout", "replogle_k562"): (-0.154, -0.215, -0.098, 0.023),
    ("scgpt.readout", "replogle_rpe1"): (-0.225, -0.280, -0.172, -0.001),
    ("scfoundation.readout", "adamson"): (-0.160, -0.276, -0.034, -0.007),
    ("scfoundation.readout", "replogle_k562"): (-0.251, -0.285, -0.218, 0.016),
    ("scfoundation.readout", "replogle_rpe1"): (-0.253, -0.288, -0.221, -0.001),
    ("go.target", "adamson"): (-0.257, -0.450, -0.068, 0.033),
    ("go.target", "replogle_k562"): (-0.019, -0.047, 0.008, 0.008),
    ("go.target", "replogle_rpe1"): (-0.096, -0.146, -0.045, 0.002),
    ("linear", "replogle_k562"): (-0.115, -0.223, -0.020, None),
    ("linear", "replogle_rpe1"): (-0.252, -0.355, -0.152, None),
    ("screen_k562.target", "adamson"): (-1.050, -1.664, -0.506, None),
    ("screen_rpe1.target", "replogle_k562"): (-0.602, -0.748, -0.460, None),
    ("screen_k562.target", "replogle_rpe1"): (-0.847, -1.077, -0.628, None),
}
DOUBLES = {  # mean L2, Pearson delta, share of rows with an error below the additive model's
    "additive": (2.766, 0.892, None), "geneformer": (3.478, 0.773, 0.27), "gears": (4.096, 0.631, 0.12),
    "scbert": (4.279, 0.610, 0.12), "scgpt": (4.616, 0.527, 0.10), "scfoundation": (4.722, 0.537, 0.05),
    "no_change": (5.616, None, 0.06), "cpa": (12.205, 0.146, 0.0),
}  # fmt: skip
UNSEEN = {  # mean L2 and Pearson delta on Adamson, K562, RPE1
    "mean": (3.936, 0.724, 4.193, 0.408, 5.534, 0.678), "linear": (4.081, 0.717, 4.097, 0.436, 5.390, 0.680),
    "scgpt": (4.951, 0.595, 4.437, 0.316, 5.991, 0.588), "gears": (3.867, 0.726, 4.079, 0.388, 6.113, 0.636),
}  # fmt: skip
RELATIVE = {  # of Fig 2c
    "linear": (1.030, 0.991, 0.958), "any.readout": (1.000, 1.004, 0.994), "scgpt.readout": (0.983, 0.974, 0.959),
    "scfoundation.readout": (0.961, 0.946, 0.953), "any.target": (1.106, 1.003, 1.003),
    "go.target": (1.014, 1.003, 0.989),
}  # fmt: skip
TASKS = ("adamson", "replogle_k562", "replogle_rpe1")


@pytest.fixture(scope="module")
def numbers():
    return reported.read_reported(LISTS / "reported_perturbation.tsv")


@pytest.fixture(scope="module")
def rows():
    return {name: reported.read_rows(LISTS / "perturbation_rows" / f"{name}.tsv") for name in reported.SOURCES}


@pytest.fixture(scope="module")
def across(rows):
    return reported.reported_pairs(rows, MARGINS)


@pytest.fixture(scope="module")
def frames():
    made = effect_frames(models=12, tasks=2)
    return {name: add_name_parts(made[name]) for name in ("effects", "interactions", "comparisons")} | {
        name: made[name] for name in ("tasks", "models")
    }


def test_the_committed_numbers_are_what_the_script_cuts_from_the_workbooks(shared, tmp_path):
    runpy.run_path(str(LISTS / "make_reported_perturbation.py"))["main"](shared / SOURCE, tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.tsv"))
    assert len(made) == 4 and sum((LISTS / path).stat().st_size for path in made) < 300_000
    for path in made:
        assert (tmp_path / path).read_text() == (LISTS / path).read_text(), path


def test_its_means_are_those_of_the_facts(numbers):
    found = numbers.set_index(["experiment", "model", "task", "metric"])["value"]
    for model, (l2, delta, _) in DOUBLES.items():
        assert found["doubles", model, "norman", "l2_top"] == pytest.approx(l2, abs=6e-4)
        assert delta is None or found["doubles", model, "norman", "pearson_delta"] == pytest.approx(delta, abs=6e-4)
    for model, told in UNSEEN.items():
        for place, task in enumerate(TASKS):
            for metric, value in zip(("l2_top", "pearson_delta"), told[2 * place : 2 * place + 2], strict=True):
                assert found["unseen", model, task, metric] == pytest.approx(value, abs=6e-4)
    for model, told in RELATIVE.items():
        for task, value in zip(TASKS, told, strict=True):
            assert found["borrowed", model, task, "relative_l2"] == pytest.approx(value, abs=6e-4)
    sizes = numbers[(numbers["experiment"] == "unseen") & (numbers["model"] == "mean")].groupby("task")["rows"].first()
    assert sizes.to_dict() == dict(zip(TASKS, (48, 262, 413), strict=True))
    kinds = numbers[numbers["metric"].str.startswith("class")].set_index("metric")["value"]
    assert kinds["class buffering"] == 2878 and kinds["class other"] == 1396
    hours = numbers[numbers["experiment"] == "cost"].set_index(["task", "model"])["value"]
    assert hours["norman", "scfoundation"] == pytest.approx(69.6, abs=0.05)


def test_our_question_on_its_rows(across):
    assert across.columns.tolist() == columns_of("p_reported_across")
    found = across[across["versus"] == "random"].set_index(["model", "task", "metric"])
    for (model, task), (delta, low, high, fit) in PAIRED.items():
        row = found.loc[model, task, "l2_top"]
        assert -row["delta"] == pytest.approx(delta, abs=6e-4)
        wide = 0.03 * max(1.0, 4 * (high - low))
        assert [-row["high"], -row["low"]] == pytest.approx([low, high], abs=wide)
        if fit is not None:
            assert found.loc[model, task, "pearson_delta"]["delta"] == pytest.approx(fit, abs=6e-4)
    assert found.loc["scfoundation.readout", "replogle_k562", "l2_top"]["share"] > 0.99
    assert found.loc["scfoundation.readout", "replogle_rpe1", "l2_top"]["share"] == pytest.approx(0.95, abs=0.006)


def test_on_combinations_nobody_beats_the_sum(across):
    found = across[(across["experiment"] == "doubles") & (across["versus"] == "additive")]
    found = found[found["metric"] == "l2_top"].set_index("model")
    assert (found["high"] < 0).all() and (found["n"] < found["rows"]).all()
    for model, (_, _, share) in DOUBLES.items():
        assert share is None or found.loc[model, "share"] == pytest.approx(share, abs=0.006)


def test_a_bootstrap_draws_perturbations_not_rows():
    values, groups = np.repeat([0.0, 1.0, 2.0, 3.0], 5), np.repeat(list("abcd"), 5)
    _, low, high = reported.clustered_mean(values, groups)
    _, narrow_low, narrow_high = reported.clustered_mean(values, range(20))
    assert high - low > 1.8 * (narrow_high - narrow_low)
    assert np.isnan(reported.clustered_mean([1.0, 2.0], ["a", "a"])[1])


def test_a_file_that_is_none_is_a_sentence(tmp_path):
    (tmp_path / "doubles.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match="rows of the second paper"):
        reported.read_rows(tmp_path / "doubles.tsv")
    with pytest.raises(UserError, match="no experiment of that name"):
        reported.read_rows(tmp_path / "triples.tsv")
    with pytest.raises(UserError, match="reported"):
        reported.read_reported(tmp_path / "reported.tsv")


def test_ours_stands_beside_theirs_where_task_side_and_arm_are_the_same(frames, numbers):
    tasks = frames["tasks"].assign(paper_task=["norman", "adamson"])
    found = reported.compare_effects(frames["effects"], numbers, tasks, {}, ["additive", "mean", "no_change", "linear"])
    assert found.columns.tolist() == columns_of("p_reported")
    arms = set(found[["experiment", "task", "model", "init", "reported_model"]].itertuples(index=False, name=None))
    assert ("doubles", "norman_hackathon", "additive", "baseline", "additive") in arms
    assert ("borrowed", "l1000_a549", "scgpt.readout", "pretrained", "scgpt.readout") in arms
    assert ("borrowed", "l1000_a549", "geneformer.target", "random", "any.target") in arms
    assert not [arm for arm in arms if arm[2] == "scgpt.target" and arm[4] == "scgpt.readout"]
    mine = frames["effects"].query("analysis == 'borrowed' and task == 'l1000_a549' and model == 'scgpt.readout'")
    row = found[(found["model"] == "scgpt.readout") & (found["init"] == "pretrained")].set_index("metric")
    mine = mine.query("init == 'pretrained'")
    value = (mine["l2_top"] / mine["l2_mean_top"]).mean()
    assert row.loc["relative_l2", "ours"] == pytest.approx(value), "of the genes that theirs is of"
    assert row.loc["relative_l2", "difference"] == pytest.approx(value - 0.982586, abs=1e-5)
    fits = found[(found["metric"] == "pearson_delta") & (found["model"] == "additive")]
    theirs = frames["effects"].query("analysis == 'doubles' and model == 'additive'")["pearson_delta_top"]
    assert fits["ours"].tolist() == pytest.approx([theirs.mean()])
    misread = found[(found["model"] == "scgpt.readout.paper") & (found["metric"] == "relative_l2")]
    mine = frames["effects"].query("task == 'l1000_a549' and model == 'scgpt.readout.paper' and init == 'pretrained'")
    told = reported.error_of_mean(frames["effects"], "l2_mean_top").loc[mine.index]
    np.testing.assert_allclose(told.dropna(), (mine["l2_mean_top"] / 0.96)[told.notna()])
    ours = misread.set_index("init").loc["pretrained", "ours"]
    assert ours == pytest.approx((mine["l2_top"] / told).mean()), "as the paper read it, the mean's is over all genes"


def test_every_defect_stands_there_with_numbers_where_there_are_any(frames, rows):
    found = defects.find_defects(frames["effects"], rows)
    assert found.columns.tolist() == columns_of("p_defects")
    assert list(dict.fromkeys(found["item"])) == list(defects.ITEMS)
    measured = set(found.loc[found["difference"].notna(), "item"])
    assert measured == {"P1", "P2", "P3", "P9", "P10", "P12", "P13"}
    first = found[(found["item"] == "P1") & (found["metric"] == "skill") & (found["task"] == "l1000_a549")]
    ours = frames["effects"].query("task == 'l1000_a549' and analysis == 'borrowed'")
    mine = ours.query("init == 'pretrained' and model == 'scgpt.readout.paper'")
    there = mine[reported.error_of_mean(ours, "l2_mean").loc[mine.index].notna()]
    assert len(there) and first["without"].tolist() == pytest.approx([there["skill"].mean()])
    assert first["difference"].tolist() == pytest.approx([0.04 * (1 - there["skill"]).mean()]), (
        "fewer genes, less error"
    )
    second = found[(found["item"] == "P2") & (found["task"] == "l1000_a549")]
    assert set(second["init"]) == {"random"} and second["what"].str.contains("the paper's reading as a whole").all()
    drawn = [ours.query(f"init == 'random' and model == '{name}'") for name in ("scgpt.readout.paper", "scgpt.readout")]
    both = drawn[0].merge(drawn[1], on=["fold", "perturbation"])
    assert second["difference"].tolist() == pytest.approx([(both["skill_x"] - both["skill_y"]).mean()])
    counted = found[found["item"] == "P12"].set_index("task")
    assert counted["without"].to_dict() == dict(zip(TASKS, (48, 262, 413), strict=True))
    assert all(f"holds {defects.SAID[task]}" in counted.loc[task, "what"] for task in TASKS), "the text means one split"
    same = found[found["item"] == "P9"].set_index("task")["with_defect"]
    assert same["adamson"] == pytest.approx(1 - 0.858, abs=6e-4)
    assert defects.find_defects(pd.DataFrame(), {})["item"].tolist() == list(defects.ITEMS)


def test_claims_hold_by_the_word_of_their_contrast(frames):
    found = claims.find_claims(frames["comparisons"], frames["effects"], frames["interactions"], MARGINS)
    assert found.columns.tolist() == columns_of("p_claims")
    assert set(found["item"]) == {"S1", "S2", "S3", "S4", "S5", "S6"}, "nothing is fine-tuned here"
    words = {name: dict(zip(part["verdict"], part["holds"], strict=True)) for name, part in found.groupby("item")}
    assert words["S2"] == {"better": "yes"} and words["S6"] == {"undecided": "open"}
    assert all(holds == {"better": "no", "equivalent": "yes", "worse": "yes"}.get(word, "open")
               for name in ("S1", "S3", "S4") for word, holds in words[name].items())  # fmt: skip
    assert set(found.loc[found["item"] == "S5", "model"]) == {"screen_rpe1.target", "halves.target"}
    assert not set(found.loc[found["item"].isin(["S1", "S4"]), "model"]) & {"screen_rpe1.target", "halves.target"}
    made = {"training": "training", "useful": "simulated", "go": "go", "scgpt": "", "screen": "screen"}
    cards = {f"{base}.target": {"family": "scgpt", "vectors": source} for base, source in made.items()}
    for known in (cards, {}):
        rows = pd.DataFrame({"model": f"{base}.target", "base": base} for base in made)
        some = frames["comparisons"].query("versus == 'random' and init == 'pretrained'").iloc[[0] * len(rows)]
        some = some.reset_index(drop=True).assign(**rows, analysis="borrowed")
        mine = claims.find_claims(some, pd.DataFrame(), pd.DataFrame(), MARGINS, known)
        items = mine.set_index("model")["item"].to_dict()
        assert items == {"go.target": "S4", "scgpt.target": "S4", "screen.target": "S5"}, "nobody pretrained the others"
    named = claims.find_claims(some, pd.DataFrame(), pd.DataFrame(), MARGINS, cards).set_index("model")["vectors"]
    assert named.to_dict() == {"go.target": "go", "scgpt.target": "network", "screen.target": "screen"}
    nothing = pd.DataFrame(columns=frames["comparisons"].columns)
    assert claims.find_claims(nothing, pd.DataFrame(), pd.DataFrame(), MARGINS).empty


@pytest.mark.parametrize(
    ("mean", "random", "word"),
    [("better", "better", "helps"), ("better", None, "helps"), ("worse", "better", "worse than the mean"),
     ("equivalent", "better", "no better than the mean"), ("better", "equivalent", "no better than random"),
     ("undecided", "better", "open"), (None, "better", "open"), ("not learned", "worse", "worse than random"),
     (None, None, None)],
)  # fmt: skip
def test_better_than_random_is_no_verdict_where_the_mean_does_as_well(mean, random, word):
    assert answer(mean, random) == word and word in {*ANSWERS, None}


def test_the_section_of_a_verdict_has_both_references_by_analysis():
    numbers = dict.fromkeys(("delta", "se", "low", "high", "p_holm", "p_tost_holm"), 0.1)
    keys = [("trap", "mean", "worse"), ("trap", "random", "better"), ("good", "mean", "better"),
            ("good", "random", "better"), ("additive", "mean", "better")]  # fmt: skip
    table = pd.DataFrame(
        {"analysis": "borrowed", "model": model, "versus": versus, "scope": "these", "verdict": word,
         "metrics": "skill", "margin": 0.02, "n": 1, **numbers} for model, versus, word in keys
    )  # fmt: skip
    section = perturbation_section(table, {"trap": "Trap"}, {"additive"}, _by)
    found = section["analyses"]["borrowed"]
    assert {name: fact["answer"]["these"] for name, fact in found.items()} == {
        "trap": "worse than the mean", "good": "helps", "additive": "helps",
    }  # fmt: skip
    (sentence,) = section["sentences"]["borrowed"]
    assert "worse than the mean of the training perturbations, whatever random is: Trap" in sentence
    assert "than random and than the mean of the training perturbations: good" in sentence
    assert perturbation_section(table.assign(analysis="finetune"), {}, set(), _by) is None


def test_the_decoder_of_a_network_has_seen_less():
    """S7 says that the network trains without the fold on which it stops."""
    rows = [
        {"analysis": analysis, "task": "t", "fold": fold, "perturbation": f"G{i}", "model": model, "base": "scgpt",
         "init": "pretrained", "skill": 0.1 * i, "variant": ""}
        for analysis, model in (("borrowed", "scgpt.target"), ("finetuned", "scgpt"))
        for fold in (1, 2) for i in range(5)
    ]  # fmt: skip
    nothing = pd.DataFrame(columns=["metric", "variant", "delta"])
    (found,) = claims.find_claims(nothing, pd.DataFrame(rows), pd.DataFrame(), MARGINS).to_dict("records")
    assert found["item"] == "S7" and "trains without its validation fold" in found["contrast"]


def test_a_study_without_effects_has_none_of_its_figures():
    second = {name for name, figure in FIGURES.items() if figure.group == SECOND}
    assert not second & {*figures_of(["finetune", "biotype"])} and len(second) == 6
    assert second <= {*figures_of(["doubles"])} and set(figures_of(ANALYSES, LEARNED_METRICS)) == set(FIGURES)
    assert second - {*figures_of(["borrowed"])} == {"p_figure_1", "p_curves"}
