"""Predicted effects from files to tables: planted arms get their words, what does not fit is named."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foundationless.errors import UserError
from foundationless.evaluation import analysis_summary, table_files
from foundationless.evaluation.across_tasks import rank_tasks, summarise_tasks
from foundationless.evaluation.aggregate import decide
from foundationless.evaluation.analysis_summary import Analysis, TaskCells, summarise_analysis, summarise_task
from foundationless.evaluation.effects.interactions import GRID, fit_null
from foundationless.evaluation.spending import Looks
from foundationless.evaluation.task_results import read_predictions
from foundationless.evaluation.verification import tree
from foundationless.reporting.second_paper.claims import find_claims
from foundationless.reporting.tables.perturbation_verdict import perturbation_section
from foundationless.reporting.tables.verdict import _by
from foundationless.runtime.files import read_json, sha256, write_json
from foundationless.study.vocabulary import EFFECT_METRICS, MARGINS
from support.effect_study import GENES, HELD_OUT, SPLITS, TOP, Arm, Screen, write_cell
from support.simulated_study import sign

# Noise of .7 is as large as what is specific to a perturbation: an arm that adds it is far below the mean.
ARMS = [
    Arm("useful", "pretrained", 0.6, 0.05), Arm("useful", "random", 0.0, 0.02, 4),
    Arm("useful", "spectrum", 0.0, 0.02, 4), Arm("useful", "permuted", 0.0, 0.02, 4),
    Arm("useless", "pretrained", 0.0, 0.03), Arm("useless", "random", 0.0, 0.04, 4),
    Arm("trap", "pretrained", 0.0, 0.35), Arm("trap", "random", 0.0, 0.7, 4),
    Arm("mean", "baseline", 0.0, 0.0), Arm("linear", "baseline", 0.1, 0.05), Arm("replicate", "baseline", 0.9, 0.0),
]  # fmt: skip
TASK = "sim_effects"


def cells_of(arms):
    return tuple(f"{arm.model}/{arm.init}/seed{seed}" for arm in arms for seed in range(arm.seeds))


def write_all(root, screen, arms, **more):
    for arm in arms:
        for seed in range(arm.seeds):
            write_cell(root, screen, arm, seed, task=TASK, **more)


def analysis(root, name="borrowed", **more):
    return Analysis(name, root / name, 400, MARGINS, 1, **more)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("effects") / "results"
    write_all(root, Screen(), ARMS, analysis="borrowed")
    return root


@pytest.fixture(scope="module")
def summary(files):
    return summarise_task(analysis(files), TaskCells(TASK, "skill", cells_of(ARMS)))


@pytest.fixture
def pairs(summary):
    chosen = summary.comparisons[summary.comparisons["selection"] == "validation"]
    return chosen.set_index(["model", "init", "versus"])


def test_words_of_planted_arms(pairs):
    """Useful is better than random, spectrum and mean; useless is equivalent to both; below the mean, an arm is worse
    than it, and nothing is said of its beating a random one."""
    for versus in ("random", "spectrum", "permuted", "mean"):
        assert pairs.loc[("useful", "pretrained", versus), "verdict"] == "better"
    for versus in ("random", "mean"):
        row = pairs.loc[("useless", "pretrained", versus)]
        assert row["verdict"] == "equivalent" and not row["learned"]
    trap = pairs.loc[("trap", "pretrained", "random")]
    assert trap["verdict"] == "not learned" and trap["low"] > 0.05 and trap["p"] < 0.05
    for versus in ("mean", "baseline"):
        below = pairs.loc[("trap", "pretrained", versus)]
        assert below["verdict"] == "worse" and below["high"] < 0
    assert not pairs.loc[("trap", "pretrained", "mean"), "learned"]
    assert pairs.loc[("useless", "random", "mean"), "verdict"] == "equivalent", "every arm is compared with the mean"
    assert set(pairs["reference"][pairs.index.get_level_values("versus") == "mean"]) == {"mean"}
    assert not {"mean", "linear", "replicate"} & set(pairs.index.get_level_values("model"))


def test_a_ceiling_is_no_baseline_to_beat(summary, pairs):
    best = pairs.xs("baseline", level="versus")
    assert set(best["reference"]) == {"linear"}
    scores = summary.scores.set_index(["model", "init", "selection"])
    values = scores["value"].xs("validation", level="selection")
    assert values["replicate", "baseline"] == values.max() > 0.85


def test_a_ceiling_has_no_rank(summary):
    """Of the best baseline it would make everything worse, of ranks everything one lower."""
    chosen = summary.scores[summary.scores["selection"] == "validation"]
    scores = pd.concat([chosen, chosen.assign(task="other")])
    tasks = pd.DataFrame([{"task": task, "suite": "perturbation"} for task in (TASK, "other")])
    ranks, *_ = rank_tasks(scores, tasks, {})
    assert "replicate" not in set(ranks["model"]) and ranks["model"].iloc[0] == "useful" and len(ranks) == len(ARMS) - 1


def test_scores_are_means_over_perturbations_splits_and_draws(files, summary):
    scores = summary.scores[summary.scores["selection"] == "validation"].set_index(["model", "init"])
    assert set(EFFECT_METRICS) <= set(scores.columns) and not {"mcc", "ece", "auroc"} & set(scores.columns)
    for arm in ARMS:
        folds = []
        for seed in range(arm.seeds):
            record = read_json(files / "borrowed" / TASK / arm.model / arm.init / f"seed{seed}/record.json")
            folds += [row["value"] for row in record["results"] if row["metric"] == "skill"
                      and (row["split"], row["selection"]) == ("test", "validation")]  # fmt: skip
        assert scores.loc[(arm.model, arm.init), "value"] == pytest.approx(np.mean(folds), rel=1e-12)
    useful = scores.loc[("useful", "pretrained")]
    assert useful["value"] == pytest.approx(0.6, abs=0.02) and useful["learned"] and useful["p_chance"] < 0.001
    assert useful["chance"] == 0 and scores.loc[("mean", "baseline"), ["value", "low", "high"]].tolist() == [0, 0, 0]
    trap = scores.loc[("trap", "random")]
    assert trap["low"] <= trap["value"] <= trap["high"] and not trap["learned"] and trap["value"] < -0.3
    assert trap["n_test"] == HELD_OUT * len(SPLITS) and HELD_OUT < trap["groups"] < trap["n_test"]
    assert useful["l2"] < trap["l2"] and np.isnan(scores.loc[("mean", "baseline"), "pearson_mean"])


def test_what_is_of_classes_is_silent(summary):
    for name in ("calibration", "roc", "confusion", "optimism", "leakage", "layers"):
        assert summary.diagnostics[name].empty, name
    assert not [row for row in summary.notes if row["what"] in ("classes", "groups", "items")]
    assert set(summary.diagnostics["selections"]["what"]) == {"strength"}


def test_each_perturbation_has_a_row(summary):
    table = summary.diagnostics["effects"]
    assert len(table) == len({(arm.model, arm.init) for arm in ARMS}) * HELD_OUT * len(SPLITS)
    keys = ["model", "init", "fold", "perturbation"]
    assert not table.duplicated(keys).any()
    mine = table[(table["model"] == "useful") & (table["init"] == "pretrained")]
    np.testing.assert_allclose(mine["skill"], 1 - mine["l2"] / mine["l2_mean"])
    np.testing.assert_allclose(mine["l2_n1000"], mine["l2"])
    assert (mine["l2_mean_top"] < mine["l2_mean"]).all() and (mine["pearson_delta_top"] != mine["pearson_delta"]).all()
    screen, row = Screen(), mine.iloc[0]
    truth = screen.single[screen.names.index(row["perturbation"])][:TOP]
    assert row["l2_mean_top"] == pytest.approx(np.linalg.norm(truth - screen.shift[:TOP]), rel=1e-5)
    assert (mine["l2_n10"] <= mine["l2_n30"]).all() and (mine["l2_n30"] <= mine["l2_top"]).all()
    assert (mine["norm_predicted"] < mine["norm_observed"]).mean() > 0.9, "what it does not know it leaves out"
    random = table[(table["model"] == "useful") & (table["init"] == "random")]
    assert (random["seeds"] == 4).all() and (mine["seeds"] == 1).all()
    assert summary.diagnostics["interactions"].empty, "there are no doubles"


def test_the_same_words_over_tasks_and_at_looks(summary, files):
    tasks = pd.DataFrame([{"task": TASK, "suite": "perturbation", "family": "screen"}])
    chosen = {name: frame[frame["selection"] == "validation"] for name, frame in
              (("comparisons", summary.comparisons), ("runs", summary.diagnostics["runs"]))}  # fmt: skip
    for looks in (None, {"borrowed": Looks(3, 4, 4)}):
        across = summarise_tasks(chosen["comparisons"], chosen["runs"], tasks, {}, None, looks)
        mine = across[(across["suite"] == "all") & (across["family"] == "") & (across["scope"] == "these")]
        words = mine.set_index(["model", "versus"])["verdict"]
        assert words["useful", "random"] == "better" == words["useful", "mean"]
        assert words["useless", "random"] == "equivalent" == words["useless", "mean"]
        assert words["trap", "random"] == "not learned"
        assert words["trap", "mean"] == "worse" == words["trap", "baseline"]
        section = perturbation_section(across[across["suite"].eq("all") & across["family"].eq("")], {}, set(), _by)
        answers = {name: fact["answer"]["these"] for name, fact in section["analyses"]["borrowed"].items()}
        assert answers == {
            "useful": "helps", "useless": "no better than the mean", "trap": "worse than the mean"
        }  # fmt: skip
        assert any("worse than the mean of the training perturbations, whatever random is: trap" in sentence
                   for sentence in section["sentences"]["borrowed"])  # fmt: skip
        assert "one pretraining" in section["rule"]
    claims = find_claims(table_files.add_name_parts(chosen["comparisons"]), pd.DataFrame(), pd.DataFrame(), MARGINS)
    first = claims[claims["item"] == "S1"].set_index("model")
    assert first["verdict"].to_dict() == {"useful": "better", "useless": "equivalent", "trap": "worse"}
    assert first["holds"].to_dict() == {"useful": "no", "useless": "yes", "trap": "yes"}
    at_look = summarise_task(analysis(files, looks=Looks(3, 4, 4)), TaskCells(TASK, "skill", cells_of(ARMS)))
    words = at_look.comparisons[at_look.comparisons["selection"] == "validation"]
    words = words.set_index(["model", "init", "versus"])["verdict"]
    assert (
        words["useless", "pretrained", "random"] == "equivalent"
        and words["trap", "pretrained", "random"] == "not learned"
        and words["trap", "pretrained", "mean"] == "worse"
    )


def test_equivalence_is_asked_first_of_effects_alone():
    for metrics in ("skill", "skill+l2"):
        assert decide(0.5, 0.001, 0.0, learned=False, metrics=metrics) == "equivalent"
    for metrics in ("mcc", "", "skill+mcc"):
        assert decide(0.5, 0.001, 0.0, learned=False, metrics=metrics) == "not learned"
    assert decide(0.001, 0.9, 0.2, learned=False, metrics="skill") == "not learned"
    assert decide(0.001, 0.001, 0.2, learned=False, seeds=2, metrics="skill") == "two seeds"


@pytest.mark.parametrize("versus", ["mean", "baseline"])
def test_what_has_not_learned_may_be_worse_than_what_it_should_beat(versus):
    asked = {"learned": False, "versus": versus}
    assert decide(0.001, 0.9, -0.2, metrics="skill", **asked) == "worse"
    assert decide(0.3, 0.9, -0.2, metrics="skill", **asked) == "undecided"
    assert decide(0.3, 0.001, 0.0, metrics="skill", **asked) == "equivalent"
    assert decide(0.001, 0.9, -0.2, metrics="mcc", **asked) == "not learned"
    for other in ("random", "permuted", "spectrum", "copy", ""):
        assert decide(0.001, 0.9, -0.2, learned=False, metrics="skill", versus=other) == "not learned"


def test_tables_are_written_and_read_again(files, tmp_path):
    cells = [TaskCells(TASK, "skill", cells_of(ARMS[:6] + ARMS[8:]))]
    summarise_analysis(analysis(files), cells, tmp_path, 1)
    assert {path.name for path in tmp_path.iterdir()} == set(analysis_summary.FILES)
    effects = table_files.read_table(tmp_path / "effects.csv", "effects")
    assert set(effects["perturbation"]) <= set(Screen().names) and effects["skill"].notna().all()
    scores = table_files.read_table(tmp_path / "scores.csv", "scores")
    assert scores["rank_accuracy"].notna().all()


# ---- doubles


@pytest.fixture(scope="module")
def doubles(tmp_path_factory):
    root = tmp_path_factory.mktemp("doubles") / "results"
    arms = [Arm("useful", "pretrained", 0.95, 0.05), Arm("useful", "random", 0.0, 0.3, 3),
            Arm("mean", "baseline", 0, 0), Arm("additive", "baseline", 0, 0)]  # fmt: skip
    write_all(root, Screen(), arms, analysis="doubles", kind="double")
    return summarise_task(analysis(root, "doubles"), TaskCells(TASK, "skill", cells_of(arms)))


def test_interactions_of_pairs_are_found_by_who_predicts_them(doubles):
    table, screen = doubles.diagnostics["interactions"], Screen()
    places = sorted(set(np.concatenate([screen.split(fold, "double") for fold in SPLITS]).tolist()))
    gaps = (screen.double - screen.additive)[places, :TOP]
    null = fit_null(gaps)
    np.testing.assert_allclose(table["threshold_high"], null.high, rtol=1e-5)
    np.testing.assert_allclose(table["threshold_low"], null.low, rtol=1e-5)
    kinds = table[table["what"] == "class"].set_index(["model", "init", "name"]).sort_index()
    whole, planted = kinds.loc[("observed", "observed")], screen.beyond[places, :TOP]
    assert whole["y"].sum() == planted.size == whole["n"].iloc[0]
    assert planted.size - whole.loc["additive", "y"] == pytest.approx(planted.sum(), rel=0.05)
    assert whole.loc["synergistic", "y"] < 0.02 * planted.sum(), "all that was planted goes against the sum"
    assert kinds.loc[("additive", "baseline", "additive"), "y"] == HELD_OUT * TOP, "the sum has no interactions"
    one = table[(table["model"] == "useful") & (table["init"] == "pretrained")]
    curve = one[one["what"] == "tpr_fdp"].set_index("x")["y"]
    assert curve.is_monotonic_increasing and curve.loc[0.1] > 0.8 and len(curve) == len(GRID)
    areas = table[table["what"] == "auc"].set_index(["name", "model", "init"]).sort_index()
    rated = areas.loc["auprc", "y"]
    assert rated["useful", "pretrained"] > 0.9 and rated["useful", "random"] < 0.5
    assert rated["additive", "baseline"] == pytest.approx(planted.mean(), abs=0.03), "it predicts none"
    assert (areas["folds"] == len(SPLITS)).all() and (areas["sd"].loc["auprc"] >= 0).all()
    called = one[one["what"] == "called"]
    assert (
        called["y"].sum() == pytest.approx(500)
        and not called["name"][called["y"] > 0].str.startswith("additive/").any()
    )
    example = one[one["what"] == "example"]
    name = example["name"].iloc[0]
    double = screen.double[next(i for i in places if {*name.split("+")} == {screen.names[j] for j in screen.pairs[i]})]
    np.testing.assert_allclose(example["x"], double[:TOP], rtol=1e-6)
    drawn = table[~table["what"].isin(["example"]) & (table["model"] != "observed")]
    assert (drawn["seeds"] == np.where(drawn["init"] == "random", 3, 1)).all()


def test_genes_that_one_arm_drops_move_neither_the_null_nor_the_others(tmp_path):
    root, screen = tmp_path / "results", Screen()
    arms = [
        Arm("useful", "pretrained", 0.9, 0.05),
        Arm("useful", "random", 0.0, 0.05, 3),
        Arm("mean", "baseline", 0, 0),
    ]
    write_all(root, screen, arms, analysis="doubles", kind="double")
    whole = summarise_task(analysis(root, "doubles"), TaskCells(TASK, "skill", cells_of(arms)))
    misread = Arm("useful.paper", "pretrained", 0.9, 0.05)
    write_cell(root, screen, misread, 0, analysis="doubles", task=TASK, kind="double", dropped=range(0, GENES, 9))
    found = summarise_task(analysis(root, "doubles"), TaskCells(TASK, "skill", cells_of([*arms, misread])))
    limits = [one.diagnostics["interactions"]["threshold_low"].unique() for one in (whole, found)]
    np.testing.assert_array_equal(*limits)
    scores = found.scores[found.scores["selection"] == "validation"].set_index("model")
    kept = 1 - len(range(0, GENES, 9)) / GENES
    assert scores.loc["useful.paper", "l2"] == pytest.approx(
        scores.loc["useful", "l2"].iloc[0] * np.sqrt(kept), rel=0.05
    )
    assert scores.loc["useful.paper", "value"] == pytest.approx(0.9, abs=0.05)
    assert "reading" in set(found.comparisons["versus"])


# ---- perturbations that one arm leaves out

LEFT_OUT = ("G003", "G010", "G011", "G040", "G055", "G078")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """Arms of a reading that leaves perturbations out, beside others; the random one leaves none out."""
    root = tmp_path_factory.mktemp("uneven") / "results"
    write_all(root, Screen(), ARMS[:2] + ARMS[8:9], analysis="borrowed")
    arms = [Arm("useful.paper", "pretrained", 0.6, 0.05), Arm("useful.paper", "random", 0.0, 0.02, 4)]
    write_cell(root, Screen(), arms[0], 0, analysis="borrowed", task=TASK, without=LEFT_OUT, settings={"dropped": 6})
    for seed in range(4):
        write_cell(root, Screen(), arms[1], seed, analysis="borrowed", task=TASK, settings={"dropped": 0})
    return root, [*ARMS[:2], *ARMS[8:9], *arms]


def test_arms_that_leave_perturbations_out_are_compared_on_those_of_both(uneven):
    root, arms = uneven
    found = summarise_task(analysis(root), TaskCells(TASK, "skill", cells_of(arms)))
    pairs = found.comparisons[found.comparisons["selection"] == "validation"].set_index(["model", "init", "versus"])
    effects = found.diagnostics["effects"]
    keys = ["fold", "perturbation"]

    def rows(model, init):
        return effects[(effects["model"] == model) & (effects["init"] == init)].set_index(keys)["skill"]

    for mine, theirs, versus in (
        (("useful.paper", "pretrained"), ("useful.paper", "random"), "random"),
        (("useful.paper", "pretrained"), ("useful", "pretrained"), "reading"),
        (("useful.paper", "pretrained"), ("mean", "baseline"), "mean"),
        (("useful", "pretrained"), ("mean", "baseline"), "mean"),
    ):
        difference = (rows(*mine) - rows(*theirs)).dropna()
        row = pairs.loc[(*mine, versus)]
        assert row["delta"] == pytest.approx(difference.groupby("fold").mean().mean(), rel=1e-9)
        assert row["n_test"] == len(difference) and np.isfinite([row["low"], row["high"], row["p"]]).all()
    assert len(rows("useful.paper", "pretrained")) < len(rows("useful", "pretrained")) == HELD_OUT * len(SPLITS)
    scores = found.scores[found.scores["selection"] == "validation"].set_index(["model", "init"])["value"]
    own = rows("useful.paper", "pretrained").groupby("fold").mean().mean()
    assert scores["useful.paper", "pretrained"] == pytest.approx(own, rel=1e-9), "values are over an arm's own"
    lacks = HELD_OUT * len(SPLITS) - len(rows("useful.paper", "pretrained"))
    (note,) = [row for row in found.notes if row["what"] == "items"]
    assert note["model"] == "useful.paper" and note["note"].startswith(f"{lacks} of {HELD_OUT * len(SPLITS)} held-out")
    assert not found.diagnostics["verification"].empty


def test_what_is_left_out_moves_no_other_number(uneven):
    root, arms = uneven
    whole, fewer = (
        summarise_task(analysis(root), TaskCells(TASK, "skill", cells_of(some))) for some in (arms, arms[:3])
    )
    some = whole.comparisons[whole.comparisons["model"] == "useful"].drop(columns=["drawn_seeds"])
    other = fewer.comparisons.drop(columns=["drawn_seeds"])
    pair = (one[one["versus"].isin(["random", "mean"])].reset_index(drop=True) for one in (some, other))
    pd.testing.assert_frame_equal(*pair)


def test_a_tree_with_perturbations_left_out_fits_its_tables(uneven, tmp_path):
    root, arms = uneven
    shutil.copytree(root, tmp_path / "results")
    summarise_analysis(analysis(root), [TaskCells(TASK, "skill", cells_of(arms))], tmp_path / "results/borrowed", 1)
    found = tree.verify(tmp_path / "results", 1)
    assert not found.misfits and found.counts["values"] > 0, found.misfits
    path = tmp_path / "results/borrowed/comparisons.csv"
    table = pd.read_csv(path)
    table.loc[(table["model"] == "useful.paper") & (table["versus"] == "reading"), "delta"] += 1e-3
    table.to_csv(path, index=False)
    assert any("delta of borrowed" in str(misfit) for misfit in tree.verify(tmp_path / "results", 1).misfits)


@pytest.mark.parametrize("without", [LEFT_OUT, ()])
def test_what_two_arms_share_must_agree(uneven, tmp_path, without):
    root, arms = uneven
    shutil.copytree(root / "borrowed", tmp_path / "results/borrowed")
    place = tmp_path / "results/borrowed" / TASK / "useful.paper/pretrained/seed0"

    def observed(frame):
        frame["observed"][3][7] += 1e-4

    def label(frame):
        frame["label"][3] = "double"

    for edit, sentence in ((observed, "held against different observed changes"), (label, "different test items")):
        write_cell(tmp_path / "results", Screen(), arms[3], 0, analysis="borrowed", task=TASK, without=without,
                   settings={"dropped": 6})  # fmt: skip
        change(place, edit)
        recompute(place)
        with pytest.raises(UserError, match=sentence):
            summarise_task(analysis(tmp_path / "results"), TaskCells(TASK, "skill", cells_of(arms)))


def test_seeds_of_an_arm_leave_out_the_same(uneven, tmp_path):
    root, arms = uneven
    shutil.copytree(root / "borrowed", tmp_path / "results/borrowed")
    write_cell(tmp_path / "results", Screen(), arms[4], 2, analysis="borrowed", task=TASK, without=LEFT_OUT,
               settings={"dropped": 0})  # fmt: skip
    with pytest.raises(UserError, match="predict different test items in fold 1"):
        summarise_task(analysis(tmp_path / "results"), TaskCells(TASK, "skill", cells_of(arms)))


def test_what_is_fine_tuned_has_trained_on_less(tmp_path):
    root, arms = tmp_path / "results", [Arm("scgpt", "pretrained", 0.3, 0.1), Arm("mean", "baseline", 0, 0)]
    write_all(root, Screen(), arms, analysis="finetuned")
    found = summarise_task(analysis(root, "finetuned"), TaskCells(TASK, "skill", cells_of(arms)))
    assert [row["what"] for row in found.notes if "trains without its validation fold" in row["note"]] == ["training"]


# ---- what does not fit


@pytest.fixture
def broken(files, tmp_path):
    """A copy of a few cells that a test may spoil."""
    few = [ARMS[0], ARMS[4], *ARMS[8:]]
    for cell in cells_of(few):
        shutil.copytree(files / "borrowed" / TASK / cell, tmp_path / "results/borrowed" / TASK / cell)
    return tmp_path / "results", few


def change(path, edit):
    """Change the predictions of a cell as somebody would who can also write hashes."""
    table = pq.read_table(path / "predictions.parquet")
    frame = {name: table[name].to_pylist() for name in table.column_names}
    edit(frame)
    columns = {name: pa.array(values, table.schema.field(name).type) for name, values in frame.items()}
    pq.write_table(pa.table(columns).replace_schema_metadata(table.schema.metadata), path / "predictions.parquet")
    sign(path / "record.json")


def check(root, few):
    return summarise_task(analysis(root), TaskCells(TASK, "skill", cells_of(few)))


def test_honest_files_pass_all_checks(broken):
    root, few = broken
    table = check(root, few).diagnostics["verification"]
    assert table["values"].sum() > 0 and (table["selections"] > 0).sum() == 2
    found = tree.verify(root, 1)
    assert not found.misfits and found.counts["values"] > 0


def test_a_value_that_the_profiles_do_not_give_is_named(broken):
    root, few = broken
    path = root / "borrowed" / TASK / "useful/pretrained/seed0/record.json"
    record = read_json(path)
    row = next(row for row in record["results"] if (row["metric"], row["split"]) == ("skill", "test"))
    row["value"] += 0.05
    write_json(path, record)
    sign(path)
    with pytest.raises(UserError, match=r"skill of run fold1 dims10 strength0\.1 on test is .* in the record"):
        check(root, few)
    assert any("skill of run" in str(misfit) for misfit in tree.verify(root, 1).misfits)


def test_a_screen_or_vectors_that_are_not_those_of_the_tree_are_named(broken):
    root, few = broken
    path = root / "borrowed" / TASK / "useful/pretrained/seed0/record.json"
    files = {"effects": root / f"effects/{TASK}.parquet", "genes": root / "genes/useful/pretrained/seed0/genes.parquet"}
    record = read_json(path)
    for name, file in files.items():
        file.parent.mkdir(parents=True)
        file.write_bytes(name.encode())
        record["hashes"][name] = sha256(file)
    write_json(path, record)
    sign(path)
    before = tree.verify(root, 1)
    assert not before.misfits and before.counts["hashes"] == 2 * len(cells_of(few)) + 2
    for name, file in files.items():
        file.write_bytes(b"another")
        tree._hashed.clear()  # files are hashed once per process
        misfit = tree.verify(root, 1).misfits[-1]
        assert misfit.path == path and misfit.text == f"it was made with other {name} than {file}"


def test_arms_may_differ_in_what_validation_chose_and_in_nothing_else(broken):
    root, few = broken
    place = root / "borrowed" / TASK / "useful/random/seed0"
    write_cell(root, Screen(), ARMS[1], 0, analysis="borrowed", task=TASK,
               settings={"dims_used": 4, "vectors_arm": "random"})  # fmt: skip
    record = read_json(place / "record.json")
    write_json(place / "record.json", record | {"parameters": 40})
    sign(place / "record.json")
    check(root, [*few, Arm("useful", "random", 0.0, 0.02)])
    record["settings"]["side"] = "readout"
    write_json(place / "record.json", record)
    sign(place / "record.json")
    with pytest.raises(UserError, match="the setting side is readout, and target"):
        check(root, [*few, Arm("useful", "random", 0.0, 0.02)])


def test_an_arm_that_is_held_against_other_numbers_is_named(broken):
    root, few = broken

    def edit(frame):
        frame["observed"][3][7] += 1e-4

    place = root / "borrowed" / TASK / "useless/pretrained/seed0"
    change(place, edit)
    recompute(place)
    with pytest.raises(UserError, match="held against different observed changes in fold 1"):
        check(root, few)


def recompute(place):
    """Make a record say what its predictions give."""
    table = read_predictions(place / "predictions.parquet")
    record = read_json(place / "record.json")
    for row in record["results"]:
        if row["split"] == "test":
            mine = np.array(table["fold"].to_pylist()) == row["fold"]
            row["value"] = float(np.nanmean(table[row["metric"]].to_numpy()[mine]))
    write_json(place / "record.json", record)
    sign(place / "record.json")


def test_a_choice_that_the_predictions_do_not_show_is_named(broken):
    root, few = broken
    path = root / "borrowed" / TASK / "useful/pretrained/seed0/record.json"
    record = read_json(path)
    for selection in record["selections"]:
        selection["tried"] = dict(reversed([(name, -value) for name, value in selection["tried"].items()]))
        selection["chosen"] = "1"
    for row in record["results"]:
        row["value"] = -row["value"] if row["split"] == "validation" else row["value"]
    write_json(path, record)
    sign(path)
    with pytest.raises(UserError, match="the strength that validation chose in fold 1 is 1 in selections"):
        check(root, few)


def test_predictions_of_another_arm_are_named(broken):
    root, few = broken
    first, second = (root / "borrowed" / TASK / f"{name}/pretrained/seed0" for name in ("useful", "useless"))
    record = read_json(first / "record.json") | {"model": "useless"}
    shutil.copy(first / "predictions.parquet", second / "predictions.parquet")
    write_json(second / "record.json", record)
    sign(second / "record.json")
    with pytest.raises(UserError, match="are those of borrowed/sim_effects/useful/pretrained/seed0, to the last digit"):
        check(root, few)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [(lambda frame: frame["predicted"][0].__setitem__(0, float("nan")), "is not finite"),
     (lambda frame: frame["predicted"][0].__setitem__(0, float("inf")), "is not finite"),
     (lambda frame: frame["mean"].__setitem__(0, None), "is not one number a gene"),
     (lambda frame: frame["observed"][0].pop(), "is not one number a gene"),
     (lambda frame: frame.pop("targets"), "lack the column"),
     (lambda frame: frame["fold"].__setitem__(0, None), "column fold")],
)  # fmt: skip
def test_predictions_that_are_none_are_a_sentence(files, tmp_path, edit, sentence):
    place = tmp_path / "cell"
    shutil.copytree(files / "borrowed" / TASK / "useful/pretrained/seed0", place)
    change(place, edit)
    with pytest.raises(UserError, match=sentence) as caught:
        read_predictions(place / "predictions.parquet")
    assert str(place) in str(caught.value) and str(caught.value).endswith("run its job again.")


def test_vectors_are_left_out_of_what_is_kept(files):
    path = files / "borrowed" / TASK / "useful/pretrained/seed0/predictions.parquet"
    table = read_predictions(path)
    assert not {"observed", "predicted", "mean", "targets"} & set(table.column_names)
    assert table.num_rows == HELD_OUT * len(SPLITS) and table.nbytes < 0.2 * pq.read_table(path).nbytes
    assert json.loads(pq.read_schema(path).metadata[b"foundationless"])["top"] == TOP
