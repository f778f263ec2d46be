"""From records and predictions of a made-up study to its tables, through the commands."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics as sk

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation import diagnostics, table_files, task_results
from foundationless.evaluation.records import Result, write_record
from foundationless.evaluation.task_summary import COMPARISONS, SCORES
from foundationless.reporting.paper import paper_tables
from foundationless.reporting.paper.defects import find_defects
from foundationless.reporting.paper.published import Reported
from foundationless.reporting.tables import collect as tables
from foundationless.reporting.tables.catalogue import TABLES, columns_of
from foundationless.reporting.tables.inputs import Inputs, check_distinct
from foundationless.study.vocabulary import OF_OUTPUTS, OF_PROBED
from support import ROOT
from support.simulated_study import sign

LISTS = ROOT / "resources" / "lists"
# Tables of numbers and tracks, where all labels are classes; and of analyses that the study lacks.
ABSENT = {*OF_OUTPUTS, *OF_PROBED, "output_scores", "structure", "ingredients", "pretraining_curve", "bits_per_base"}
ABSENT |= {"explanations", "logos"}
NUMBERS = LISTS / "reported.tsv"

CLASSES = np.array(["a", "b", "c"])


def job_files(directory, analysis, task, model, init, seed):
    place = directory / analysis / task / model / init / f"seed{seed}"
    place.mkdir(parents=True)
    return place / "record.json", place / "predictions.parquet"


def write_job(directory, *, model, init, seed=0, accuracy=0.8, analysis="finetune", task="H3", folds=(0, 5), n=120):
    """Two runs per fold: the first chosen by validation, the second, a little better, by its test score."""
    truth = np.random.default_rng(0).integers(3, size=n)
    generator = np.random.default_rng([seed, len(model), len(init)])
    frames, results = [], []
    for fold in folds:
        for run, rate in enumerate((accuracy, accuracy + 0.05)):
            predicted = np.where(generator.random(n) < rate, truth, (truth + 1) % 3)
            probabilities = 0.1 + 0.7 * np.eye(3)[predicted]
            columns = {
                "id": [f"s{i}" for i in range(n)], "group": [f"g{i // 2}" for i in range(n)], "label": CLASSES[truth],
                "predicted": CLASSES[predicted], "probabilities": list(probabilities.astype(np.float32)),
                "run": f"fold{fold}_run{run}", "fold": fold, "selected": run == 0, "selected_paper": run == 1,
                "split": "test",
            }  # fmt: skip
            frames.append(pd.DataFrame(columns).sample(frac=1, random_state=seed))
            results.append(
                Result("mcc", rate, n, split="validation", selection="run", fold=fold, extra={"selected": run == 0})
            )
    record, predictions = job_files(directory, analysis, task, model, init, seed)
    write_record(
        record, analysis=analysis, task=task, model=model, init=init, seed=seed, parameters=10, settings={},
        results=results, cost={"seconds": 1.5, "device": "cpu"},
    )  # fmt: skip
    pd.concat(frames).to_parquet(predictions)
    return record, predictions


def summarise(
    directory, jobs, *flags, selection="validation", analysis="finetune", task="H3", metric="mcc", audit=None
):
    """Through the command; `audit` [id, near] becomes that of the task. Tables lie in `directory`."""
    names = ["/".join(record.parent.parts[-3:]) for record, _ in jobs]
    if audit is not None:
        (directory / "audits" / task).mkdir(parents=True, exist_ok=True)
        audit.to_parquet(directory / "audits" / task / "audit.parquet")
        flags = [*flags, "--audits", str(directory / "audits"), "--audited", task]
    code = main(
        ["summarise_analysis", "--analysis", analysis, "--directory", str(directory / analysis), "--seed", "1",
         "--cells", json.dumps([{"metric": metric, "tasks": [task], "cells": names}]), "--resamples", "200",
         "--output", str(directory), *flags]
    )  # fmt: skip
    assert code == 0
    scores, comparisons = directory / "scores.csv", directory / "comparisons.csv"
    both = pd.read_csv(scores), pd.read_csv(comparisons)
    return tuple(frame[frame["selection"] == selection].reset_index(drop=True) for frame in both)


def diagnostic(directory, name):
    return table_files.read_table(directory / f"{name}.csv", name)


def no_diagnostics():
    return {name: pd.DataFrame(columns=columns) for name, columns in diagnostics.COLUMNS.items()}


@pytest.fixture
def jobs(tmp_path):
    found = [
        write_job(tmp_path, model=model, init=init, seed=seed, accuracy=accuracy)
        for model, init, accuracy in [
            ("big", "pretrained", 0.9), ("big", "random", 0.6), ("tiny", "pretrained", 0.8), ("tiny", "random", 0.8)
        ]
        for seed in (0, 1)
    ]  # fmt: skip
    return [
        *found,
        write_job(tmp_path, model="kmer", init="baseline", accuracy=0.5, folds=(-1,)),
        write_job(tmp_path, model="cnn", init="random", accuracy=0.85),
    ]


def test_a_handful_of_groups_is_not_resampled(jobs, tmp_path):
    for _, path in jobs:
        frame = pd.read_parquet(path)
        frame.assign(group="chr" + (frame["id"].str[1:].astype(int) % 2).astype(str)).to_parquet(path)
    scores, _ = summarise(tmp_path, jobs, "--baselines", "cnn")
    assert (scores["groups"] == scores["n_test"]).all()


def test_scores_and_comparisons(jobs, tmp_path):
    scores, comparisons = summarise(tmp_path, jobs, "--baselines", "cnn")
    assert len(scores) == 6
    row = scores.set_index(["model", "init"]).loc[("big", "pretrained")]
    frames = [pd.read_parquet(path).query("selected") for _, path in jobs[:2]]
    values = [
        sk.matthews_corrcoef(part["label"], part["predicted"]) for frame in frames for _, part in frame.groupby("fold")
    ]
    assert row["value"] == pytest.approx(np.mean(values)) == row["mcc"]
    assert row["sd"] == pytest.approx(np.std([np.mean(values[:2]), np.mean(values[2:])], ddof=1))
    assert row[["seeds", "folds", "runs", "n_test", "groups", "seconds"]].tolist() == [2, 2, 4, 120, 60, 3.0]
    assert row["low"] < row["value"] < row["high"]
    assert scores["auroc"].notna().all()

    by = comparisons.set_index(["model", "init", "versus"])
    pairs = [("pretrained", versus) for versus in ("random", "best_random", "baseline")] + [("random", "baseline")]
    assert set(by.index) == {(model, *pair) for model in ("big", "tiny") for pair in pairs}
    words = {versus: set(rows["verdict"]) for versus, rows in by.groupby("versus")}
    few = {"random": {"two seeds"}, "best_random": {"two seeds"}, "baseline": {"one seed"}}
    assert words == few, "another seed might say otherwise, also of the network that is a baseline"
    assert by.loc[("big", "pretrained", "random"), "low"] > 0
    assert by.loc[("big", "random", "baseline"), "reference"] == "cnn"
    assert by.loc[("big", "pretrained", "best_random"), "reference"] == "tiny"
    assert by.loc[("big", "random", "baseline"), "high"] < 0
    arms = scores.set_index(["model", "init"])["value"]
    delta = arms["tiny", "pretrained"] - arms["tiny", "random"]
    assert by.loc[("tiny", "pretrained", "random"), "delta"] == pytest.approx(delta)


def test_the_selection_by_test_takes_the_runs_chosen_on_the_test_set(jobs, tmp_path):
    corrected, _ = summarise(tmp_path, jobs)
    paper, _ = summarise(tmp_path, jobs, selection="test")
    assert (paper["value"] > corrected["value"]).mean() > 0.5
    optimism = diagnostic(tmp_path, "optimism")
    arms = optimism[optimism["versus"].isna()].set_index(["model", "init"])
    for frame, column in ((paper, "value_by_test"), (corrected, "value_by_validation")):
        expected = frame.set_index(["model", "init"])["value"]
        pd.testing.assert_series_equal(arms[column], expected, check_names=False, rtol=1e-12)
    np.testing.assert_allclose(arms["optimism"], arms["value_by_test"] - arms["value_by_validation"], atol=1e-12)
    assert (arms["low"] < arms["optimism"]).all() and (arms["optimism"] < arms["high"]).all()


def test_the_optimism_of_one_choice_is_zero_and_that_of_a_pair_is_the_difference_of_its_arms(jobs, tmp_path):
    for _, path in jobs[4:]:
        frame = pd.read_parquet(path)
        frame.assign(selected_paper=frame["selected"]).to_parquet(path)
    summarise(tmp_path, jobs)
    optimism = diagnostic(tmp_path, "optimism").set_index(["model", "init", "versus"])
    assert not optimism.loc[["tiny", "kmer", "cnn"], ["optimism", "low", "high"]].to_numpy().any()
    arms = optimism.loc["big"].reset_index()
    own = arms[arms["versus"].isna()].set_index("init")["optimism"]
    pair = arms[arms["versus"] == "random"].iloc[0]
    assert pair["optimism"] == pytest.approx(own["pretrained"] - own["random"])


def test_scores_without_near_duplicates_are_those_of_the_other_rows(jobs, tmp_path):
    """Test rows whose near duplicate was trained on are made all right: the leak is what the rest lacks."""
    near = [f"s{i}" for i in range(40)]
    for _, path in jobs:
        frame = pd.read_parquet(path)
        known = frame["id"].isin(near)
        frame.loc[known, "predicted"] = frame.loc[known, "label"]
        sure = 0.1 + 0.7 * (frame["predicted"].to_numpy()[:, None] == CLASSES)
        frame.assign(probabilities=list(sure.astype(np.float32))).to_parquet(path)
    ids = [f"s{i}" for i in range(120)]
    audit = pd.DataFrame({"id": [*ids, "trained"], "near": [*(name in near for name in ids), False]})
    scores, _ = summarise(tmp_path, jobs, audit=audit)
    leak = diagnostic(tmp_path, "leakage").query("selection == 'validation'").set_index(["model", "init"])
    assert leak["value_all"].tolist() == pytest.approx(scores["value"].tolist())
    assert (leak["value_near"] == 1).all() and (leak["n_distant"] == 80).all() and (leak["n_near"] == 40).all()
    assert (leak["delta"] > 0).all() and leak.loc[("kmer", "baseline"), "low"] > 0
    # Paired: both ends are drawn together, so the difference is known better than either of them.
    width = (leak["high"] - leak["low"]).to_numpy()
    assert (width < (scores["high"] - scores["low"]).to_numpy()).all()
    values = []
    for _, path in jobs[:2]:
        frame = pd.read_parquet(path).query("selected and id not in @near")
        values += [sk.matthews_corrcoef(part["label"], part["predicted"]) for _, part in frame.groupby("fold")]
    assert leak.loc[("big", "pretrained"), "value_distant"] == pytest.approx(np.mean(values))
    summarise(tmp_path, jobs, audit=pd.DataFrame({"id": ids, "near": False}))
    leak = diagnostic(tmp_path, "leakage")
    assert (leak["value_all"] == leak["value_distant"]).all() and not leak[["delta", "low", "high"]].to_numpy().any()


def test_overlapping_rows_are_left_out_beside_near_ones_and_counted_apart(jobs, tmp_path):
    """Two marks are one mask; audits of before had one of them, and their rows overlap nothing."""
    ids = [f"s{i}" for i in range(120)]
    marks = pd.DataFrame({"id": ids, "near": np.arange(120) < 30, "collinear": np.arange(120) >= 20})
    marks["collinear"] &= np.arange(120) < 50
    union = marks.assign(near=marks["near"] | marks["collinear"])
    kept = {}
    for name, audit in {"both": marks, "union": union[["id", "near"]]}.items():
        summarise(tmp_path, jobs, audit=audit)
        kept[name] = diagnostic(tmp_path, "leakage")
    values = ["value_all", "value_distant", "value_near", "n_all", "n_distant", "delta", "low", "high"]
    assert len(kept["both"]) and kept["both"][values].equals(kept["union"][values])
    counts = ["n_distant", "n_near", "n_collinear"]
    assert set(map(tuple, kept["both"][counts].to_numpy())) == {(70, 30, 30)}
    assert set(map(tuple, kept["union"][counts].to_numpy())) == {(70, 50, 0)}


def test_an_audit_of_other_rows_is_said_and_leaves_the_leak_out(jobs, tmp_path, capsys):
    summarise(tmp_path, jobs, audit=pd.DataFrame({"id": ["haplotype"], "near": [True]}))
    assert "the audit does not know all test items" in capsys.readouterr().err
    assert diagnostic(tmp_path, "leakage").empty


def test_a_reading_of_the_paper_is_compared_with_the_right_one_seed_by_seed(jobs, tmp_path):
    cells = [(init, seed) for init in ("pretrained", "random") for seed in (0, 1)]
    readings = [write_job(tmp_path, model="big.paper", init=i, seed=seed, accuracy=0.3) for i, seed in cells]
    scores, comparisons = summarise(tmp_path, [*jobs, *readings])
    by = comparisons.set_index(["model", "init", "versus"])
    values = scores.set_index(["model", "init"])["value"]
    for init in ("pretrained", "random"):
        row = by.loc[("big.paper", init, "reading")]
        assert row["reference"] == "big" and row["verdict"] == "two seeds" and row["high"] < 0
        assert row["delta"] == pytest.approx(values["big.paper", init] - values["big", init])
    assert "reading" not in comparisons.loc[comparisons["model"] == "big", "versus"].tolist()
    better = write_job(tmp_path, model="tiny.paper", init="random", accuracy=0.99)
    _, comparisons = summarise(tmp_path, [*jobs, better])
    rivals = comparisons[(comparisons["versus"] == "best_random") & (comparisons["reading"] == "published")]
    assert "tiny.paper" not in set(rivals["reference"]), "what the paper misread is no rival of what is read rightly"


def test_reliability_bins_hold_every_prediction(jobs, tmp_path):
    scores, _ = summarise(tmp_path, jobs)
    bins = diagnostic(tmp_path, "calibration").groupby(["model", "init"], sort=False)
    assert bins["count"].sum().tolist() == (scores["runs"] * scores["n_test"]).tolist()
    accuracy = bins.apply(lambda part: np.average(part["accuracy"], weights=part["count"]))
    np.testing.assert_allclose(accuracy, scores["accuracy"])
    assert scores[["ece", "brier"]].notna().all().all()


def test_a_missing_arm_is_named_and_left_out(jobs, tmp_path, capsys):
    scores, comparisons = summarise(tmp_path, jobs[:3], "--baselines")
    assert len(scores) == 2 and set(comparisons["model"]) == {"big"}
    scores, comparisons = summarise(tmp_path, jobs[:2])
    assert comparisons.empty
    assert "big has no random arm" in capsys.readouterr().err


def refused(directory, jobs):
    with pytest.raises(AssertionError):
        summarise(directory, jobs)


def test_jobs_that_do_not_fit_together_are_an_error(jobs, tmp_path, capsys):
    refused(tmp_path, [*jobs, write_job(tmp_path, model="late", init="random", n=100)])
    said = "late/random/seed0 and finetune/H3/big/pretrained/seed0 predict different test items"
    assert said in capsys.readouterr().err
    refused(tmp_path, [*jobs, jobs[0]])
    assert "stands twice; pass each record once" in capsys.readouterr().err
    jobs[0][1].unlink()
    refused(tmp_path, jobs)
    assert "big/pretrained/seed0/predictions.parquet: no such file" in capsys.readouterr().err


def test_rankings_are_scored_by_auroc(tmp_path):
    generator = np.random.default_rng(0)
    label = np.repeat(["benign", "pathogenic"], 30)
    jobs = []
    for init, shift in (("pretrained", 1.5), ("random", 0.0)):
        record, predictions = write_job(tmp_path, model="m", init=init, analysis="likelihood", task="BRCA1")
        pd.DataFrame(
            {
                "id": [f"v{i}" for i in range(60)], "group": None, "label": label,
                "score": generator.normal(size=60) + shift * (label == "pathogenic"), "run": "llr", "fold": -1,
                "selected": True, "selected_paper": True, "split": "test",
            }
        ).to_parquet(predictions)  # fmt: skip
        jobs.append((record, predictions))
    scores, comparisons = summarise(tmp_path, jobs, analysis="likelihood", task="BRCA1", metric="auroc")
    frame = pd.read_parquet(jobs[0][1])
    assert scores.loc[0, "value"] == pytest.approx(sk.roc_auc_score(frame["label"] == "pathogenic", frame["score"]))
    assert scores.loc[0, "groups"] == 60
    assert comparisons.loc[0, "low"] > 0 and comparisons.loc[0, "learned"]
    assert (comparisons.loc[0, "drawn_seeds"], comparisons.loc[0, "verdict"]) == (1, "one seed")


def test_unpaired_analyses_average_their_records(tmp_path):
    records = []
    for init, seed in ((init, seed) for init in ("pretrained", "random") for seed in (0, 1)):
        records.append(job_files(tmp_path, "sensitivity", "chr2", "big", init, seed))
        results = [
            Result("cosine", 0.9 + seed / 100 - n / 1e4, 25, extra={"pooling": pooling, "mutations": n, "low": 0.1})
            for pooling in ("mean", "max") for n in (1, 64)
        ]  # fmt: skip
        write_record(
            records[-1][0], analysis="sensitivity", task="chr2", model="big", init=init, seed=seed, parameters=10,
            settings={}, results=results, cost={"seconds": 1.0},
        )  # fmt: skip
    scores, comparisons = summarise(tmp_path, records, analysis="sensitivity", task="chr2", metric="cosine")
    table = scores.set_index(["init", "pooling", "mutations"])
    assert len(table) == 8
    assert table.loc[("random", "max", 64), "value"] == pytest.approx(0.905 - 0.0064)
    assert table.loc[("random", "max", 64), "seeds"] == 2
    assert comparisons.empty


def collect(directory, jobs, scores, comparisons, *flags):
    tasks, models = directory / "tasks.csv", directory / "models.json"
    tasks.write_text("task,suite,suite_label,group,label\nH3,nt,NT benchmark,histone,H3\nH4,gue,GUE,histone,H4\n")
    cards = {"tiny": 1, "big": 0, "kmer": 2, "cnn": 3}
    made = {name: {"label": name.upper(), "tokenizer_class": "character", "order": n} for name, n in cards.items()}
    models.write_text(json.dumps(made))
    output = directory / "tables"
    code = main(
        ["collect_tables", "--scores", *map(str, scores), "--comparisons", *map(str, comparisons),
         "--records", *[str(job[0]) for job in jobs], "--tasks", str(tasks), "--models", str(models),
         "--notes", str(directory / "notes.csv"), "--reported", str(NUMBERS), *flags, "--output", str(output)]
    )  # fmt: skip
    assert code == 0
    return output


def test_a_pretrained_arm_that_is_the_random_one_is_refused(tmp_path):
    """The worst mistake that this program could make would look like an equivalence."""
    cards = []
    for name, model, digest in zip(("pretrained", "random", "other", "copy"), "aaba", "1212", strict=True):
        cards.append(tmp_path / name / "weights.json")
        cards[-1].parent.mkdir()
        cards[-1].write_text(json.dumps({"model": model, "sha256": digest}))
    check_distinct(cards[:3])
    with pytest.raises(UserError, match=r"copy and .*random hold the same weights"):
        check_distinct(cards)


def test_checks_of_audits_are_collected_whole(jobs, tmp_path):
    summarise(tmp_path, jobs)
    rows = [dict.fromkeys(columns_of("shortcuts")[1:]) | {"check": name, "value": 0.1} for name in ("N", "k-mers")]
    audits = [{"task": "H3", "pairs": [], "shortcuts": rows}, {"task": "H4", "pairs": []}]  # the second is of before
    for audit in audits:
        (tmp_path / f"{audit['task']}.json").write_text(json.dumps(audit | {"classes": {}}))
    files = [str(tmp_path / f"{task}.json") for task in ("H3", "H4")]
    given = [tmp_path / "scores.csv"], [tmp_path / "comparisons.csv"]
    table = pd.read_csv(collect(tmp_path, jobs, *given, "--audits", *files) / "shortcuts.csv")
    assert table["task"].tolist() == ["H3", "H3"] and table["check"].tolist() == ["N", "k-mers"]
    assert list(table) == columns_of("shortcuts") and table["value"].tolist() == [0.1, 0.1]


def test_collected_tables(jobs, tmp_path):
    summarise(tmp_path, jobs, "--baselines", "cnn")
    for name in ("scores", "comparisons"):
        table = pd.read_csv(tmp_path / f"{name}.csv")
        table.assign(task="H4").to_csv(tmp_path / f"{name}.H4.csv", index=False)
        table.assign(task="H4.pct10").to_csv(tmp_path / f"{name}.low.csv", index=False)
    missing = dict.fromkeys(task_results.KEYS, "")
    missing |= {"task": "H3", "model": "late", "seed": 0, "what": "record", "note": "none"}
    pd.DataFrame([missing])[task_results.NOTES].to_csv(tmp_path / "notes.csv", index=False)
    given = [[tmp_path / f"{kind}{part}.csv" for part in ("", ".H4", ".low")] for kind in ("scores", "comparisons")]
    output = collect(tmp_path, jobs, *given)
    over = pd.read_csv(output / "across_tasks.csv")
    over = over[over["family"].isna() & over["variant"].isna() & (over["scope"] == "these")]
    over = over.set_index(["suite", "versus", "model"])
    assert over.loc[("all", "random", "big"), ["n", "wins", "losses"]].tolist() == [2, 2, 0]  # pct10 is no task
    assert over.loc[("nt", "random", "big"), "n"] == 1
    assert (
        over.loc[("all", "random", "big"), "verdict"] == "two seeds" and over.loc[("all", "random", "big"), "low"] > 0
    )
    assert (output / "optimism.csv").read_text().count("\n") == 1, "no diagnostics were given"
    table = pd.read_csv(output / "table_18_finetune.csv")
    assert table.loc[0, ["task", "model", "model_label", "suite"]].tolist() == ["H3", "big", "BIG", "nt"]
    assert table.loc[0, "delta"] == pytest.approx(table.loc[0, "pretrained"] - table.loc[0, "random"])
    assert table.loc[table["model"] == "kmer", "baseline"].notna().all()
    for name in ("table_02_biotype", "table_04_likelihood", "table_05_similarity", "table_14_ancestry"):
        assert pd.read_csv(output / f"{name}.csv").empty
    assert pd.read_csv(output / "table_01_models.csv")["model"].tolist() == ["big", "tiny", "kmer", "cnn"]
    names = {path.stem for path in output.glob("*.csv")}
    known = {name: table for name, table in TABLES.items() if not name.startswith("p_") and name not in ABSENT}
    assert names == {name for name, table in known.items() if table.csv}
    assert {path.stem for path in output.glob("*.parquet")} == {*known}
    printed = {name for name, table in known.items() if table.printed is not None}
    assert {path.stem for path in output.glob("*.tex")} == printed | {"all"}
    assert {name for name in names if name.startswith("table_")} <= printed
    assert {f"table_{number:02d}" for number in range(1, 19)} == {name[:8] for name in names if name[:6] == "table_"}
    for name in names:
        frames = pd.read_csv(output / f"{name}.csv"), pd.read_parquet(output / f"{name}.parquet")
        assert frames[0].columns.tolist() == frames[1].columns.tolist() and len(frames[0]) == len(frames[1])
    missing = pd.read_csv(output / "missing.csv")
    assert missing[["task", "model", "what"]].to_numpy().tolist() == [["H3", "late", "record"]]
    flat = pd.read_parquet(output / "records.parquet")
    assert len(flat) == len(pd.read_csv(output / "records.csv")) == 4 * (len(jobs) - 1) + 2, "runs; a baseline has two"


def test_every_table_is_as_the_catalogue_declares_it(jobs, tmp_path):
    """Its columns first and in their order, and no two rows with the same keys."""
    audit = pd.DataFrame({"id": [f"s{i}" for i in range(120)], "near": np.arange(120) < 30})
    summarise(tmp_path, jobs, "--baselines", "cnn", audit=audit)
    given = [str(tmp_path / f"{name}.csv") for name in diagnostics.COLUMNS]
    output = collect(
        tmp_path, jobs, [tmp_path / "scores.csv"], [tmp_path / "comparisons.csv"], "--diagnostics", *given,
        "--reported-effects", str(LISTS / "reported_perturbation.tsv"), "--reported-rows",
        *map(str, sorted((LISTS / "perturbation_rows").glob("*.tsv"))),
    )  # fmt: skip
    filled = set()
    for name, table in TABLES.items():
        if name in ABSENT:
            continue
        frame = pd.read_parquet(output / f"{name}.parquet")
        if name != "records":  # a number says more of where it comes from than any key
            assert not frame.duplicated([key for key in table.keys if key in frame]).any(), name
        assert {"base", "reading"} <= set(frame) if table.parts else True, name
        declared = columns_of(name)
        if name in ("models", "tasks", "records", "table_01_models"):  # as they are given, or recorded
            assert set(declared) <= set(frame), name
        else:
            assert frame.columns.tolist()[: len(declared)] == declared, name
        filled |= {name} if len(frame) else set()
    assert filled >= {"optimism", "leakage", "calibration", "components", "runs", "confusion", "claims", "defects"}
    assert filled >= {"p_defects", "p_reported_across"}


def test_without_the_papers_numbers_there_is_no_table_of_the_paper(jobs, tmp_path):
    empty = pd.DataFrame(columns=SCORES)
    tasks = pd.DataFrame({"task": ["a"], "suite": ["nt"]})
    tables.collect(tmp_path / "t", Inputs(empty, pd.DataFrame(columns=COMPARISONS), empty, tasks, {"m": {}}))
    left_out = {name for name, table in TABLES.items() if table.group == "Tables of the paper"}
    left_out |= {"claims", "defects", "reported_across", "reported_comparison"}
    left_out |= {"p_claims", "p_defects", "p_reported", "p_reported_across"}
    assert {path.stem for path in (tmp_path / "t").glob("*.parquet")} == set(TABLES) - left_out - ABSENT


def test_a_diagnostic_that_nobody_knows_is_refused(jobs, tmp_path, capsys):
    summarise(tmp_path, jobs)
    with pytest.raises(AssertionError):
        collect(tmp_path, jobs, [tmp_path / "scores.csv"], [tmp_path / "comparisons.csv"],
                "--diagnostics", str(tmp_path / "scores.csv"))  # fmt: skip
    assert "scores.csv: no diagnostic of that name; use optimism, " in capsys.readouterr().err


def test_tables_are_the_same_bytes_twice(jobs, tmp_path):
    summarise(tmp_path, jobs)
    first = (tmp_path / "comparisons.csv").read_bytes()
    summarise(tmp_path, jobs)
    assert (tmp_path / "comparisons.csv").read_bytes() == first
    inputs = [tmp_path / "scores.csv"], [tmp_path / "comparisons.csv"]
    first, second = (
        {path.name: path.read_bytes() for path in collect(tmp_path, jobs, *inputs).iterdir()} for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("column", "value"),
    [("fold", "a"), ("selected", "yes"), ("probabilities", 0.5), ("probabilities", None), ("id", None)],
)
def test_broken_predictions_are_named(jobs, tmp_path, capsys, column, value):
    frame = pd.read_parquet(jobs[0][1])
    frame[column] = value
    frame.to_parquet(jobs[0][1])
    refused(tmp_path, jobs)
    assert f"predictions.parquet: the column {column} of the predictions is broken" in capsys.readouterr().err


def test_a_copy_of_the_weights_makes_no_difference_at_all(tmp_path):
    jobs = [write_job(tmp_path, model="big", init="pretrained", seed=seed) for seed in (0, 1, 2)]
    for record, path in list(jobs):
        found = json.loads(record.read_text()) | {"init": "copy"}
        copied = job_files(tmp_path, "finetune", "H3", "big", "copy", found["seed"])
        copied[0].write_text(json.dumps(found))
        copied[1].write_bytes(path.read_bytes())
        sign(copied[0])
        jobs.append(copied)
    _, comparisons = summarise(tmp_path, jobs)
    row = comparisons.set_index("versus").loc["copy"]
    assert (row["delta"], row["low"], row["high"], row["verdict"]) == (0, 0, 0, "equivalent")


def score_rows(*rows):
    """Score rows of a made-up study: (analysis, task, model, init, metric, value, half width, more)."""
    names = ("analysis", "task", "model", "init", "metric", "value", "half")
    found = [dict(zip(names, row[:7], strict=True)) | (row[7] if len(row) > 7 else {}) for row in rows]
    frame = pd.DataFrame(found).assign(selection="validation")
    half = frame.pop("half")
    frame = frame.assign(low=frame["value"] - half, high=frame["value"] + half)
    columns = list(dict.fromkeys([*SCORES, *frame.columns]))
    frame = frame.reindex(columns=columns).assign(n_test=100, seeds=frame.get("seeds", 1))
    return table_files.add_name_parts(frame)


def test_defects_of_a_study_that_has_them_all(jobs, tmp_path):
    readings = [
        write_job(tmp_path, model=model, init=init, accuracy=accuracy)
        for model, accuracy in (("caduceus", 0.8), ("caduceus.paper", 0.5)) for init in ("pretrained", "random")
    ]  # fmt: skip
    audit = pd.DataFrame({"id": [f"s{i}" for i in range(120)], "near": np.arange(120) < 30})
    summarise(tmp_path, [*jobs, *readings], audit=audit)
    chunk = {"pooling": "max", "gene": "BRCA2", "unit": "chunk"}
    mutants = {"pooling": "mean", "mutations": 64.0}
    made = score_rows(
        ("finetune", "H3", "late", "random", "mcc", 0.2, 0.02),
        ("lowdata", "H3.pct1d2", "late", "random", "mcc", 0.5, 0.03),
        ("likelihood", "CFTR", "late", "pretrained", "auroc", 0.655, 0.05),
        *[
            ("ancestry", f"{window}{part}", "late", "pretrained", "weighted_f1", value, 0.01)
            for window in ("w1", "w2", "w3") for part, value in (("", 0.8), (".family", 0.7))
        ],
        ("biotype", "bio", "length_gc", "baseline", "weighted_f1", 0.6, 0.03),
        ("biotype", "bio", "majority", "baseline", "weighted_f1", 0.1, 0.04),
        ("biotype", "bio", "late", "random", "weighted_f1", 0.7, 0.02, {"sd": 0.02, "seeds": 5}),
        ("biotype", "bio.matched", "late", "random", "weighted_f1", 0.5, 0.02),
        ("similarity", "v", "late", "pretrained", "cosine_gap", -0.4, 0.1, chunk | {"matched": False}),
        ("similarity", "v", "late", "pretrained", "cosine_gap", -0.1, 0.1, chunk | {"matched": True}),
        ("similarity", "v", "late", "pretrained", "count_effect", -0.3, 0.05, chunk | {"n": 5}),
        ("sensitivity", "m", "late", "pretrained", "identical", 0.0, 0.0, mutants | {"condition": "raw", "n": 50}),
        ("sensitivity", "m", "late", "pretrained", "identical", 0.4, 0.0, mutants | {"condition": "rounded", "n": 50}),
    )  # fmt: skip
    both = [table_files.read_table(tmp_path / f"{name}.csv", name) for name in ("scores", "comparisons")]
    deltas = pd.DataFrame(
        {"analysis": "finetune", "task": [f"t{i}" for i in range(6)], "model": "late", "init": "pretrained",
         "versus": "random", "delta": np.linspace(0, 0.1, 6), "selection": "validation", "metric": "mcc"}
    )  # fmt: skip
    pairs = pd.concat([both[1], table_files.add_name_parts(deltas)])
    clusters = {"t0": "1", "t1": "1", "t2": "1"}
    told = {name: diagnostic(tmp_path, name) for name in diagnostics.COLUMNS}
    table = find_defects(pd.concat([both[0], made]), pairs, told, clusters)
    assert table["item"].tolist() == sorted(table["item"]) and set(table["item"]) == set(range(1, 13))
    known = table.dropna(subset="low")
    assert (known["low"] <= known["difference"] + 1e-12).all() and (known["difference"] <= known["high"] + 1e-12).all()
    plain = table[table["task"] != "all"]
    np.testing.assert_allclose(plain["difference"], plain["with_defect"] - plain["without"], atol=1e-9)

    first = table.set_index("item")
    reading = both[1].query("versus == 'reading' and init == 'pretrained' and selection == 'validation'")
    assert first.loc[1, "difference"] == pytest.approx(reading["delta"].iloc[0])
    assert first.loc[[2], "init"].tolist() == ["random"]
    assert first.loc[5, ["with_defect", "without"]].tolist() == [0.5, 0.2] and first.loc[5, "low"] > 0
    assert first.loc[6, "with_defect"] == pytest.approx(0.345) and first.loc[6, "high"] < 0
    family = table[(table["item"] == 7) & (table["task"] == "all")].iloc[0]
    assert family["difference"] == pytest.approx(0.1) and family["n"] == 3
    lengths = table[table["item"] == 8].set_index("model")
    assert lengths.loc["length_gc", "low"] == pytest.approx(0.5 - np.hypot(0.03, 0.04))
    assert lengths.loc["late", "difference"] == pytest.approx(0.2)
    assert first.loc[9, ["with_defect", "without", "difference"]].tolist() == pytest.approx([-0.4, -0.1, -0.3])
    rounded = table[table["what"].str.startswith("similarities rounded")].iloc[0]
    wilson = scipy.stats.binomtest(20, 50).proportion_ci(method="wilson")
    assert (rounded["low"], rounded["high"]) == pytest.approx((wilson.low, wilson.high))
    counted = table[table["item"] == 11].set_index("metric").loc["count"]
    assert counted[["with_defect", "without", "difference"]].tolist() == [6, 4, 2]
    width = table[(table["item"] == 11) & (table["model"] == "late")].iloc[0]
    naive = scipy.stats.t.ppf(0.975, 5) * scipy.stats.sem(deltas["delta"])
    sums = [deltas["delta"][:3].sum() - 0.15, *(deltas["delta"][3:] - 0.05)]
    honest = scipy.stats.t.ppf(0.975, 3) * np.sqrt(4 / 3 * np.square(sums).sum()) / 6
    assert width[["with_defect", "without"]].tolist() == pytest.approx([naive, honest])
    assert set(table.loc[table["item"] == 12, "n"]) == {120}


def test_means_of_defects_take_tasks_for_units_and_leave_permuted_labels_out():
    rows = [
        {"analysis": "finetune", "task": task, "model": "late", "init": "random", "metric": "mcc",
         "value_best_random": delta, "value_random": 0.0, "delta": delta, "low": delta, "high": delta, "n_test": 9}
        for task, delta in (("t", 0.1), ("t.ep3", 0.3), ("u", 0.4), ("v", 0.4), ("u.permuted", 9.0))
    ]  # fmt: skip
    empty = [table_files.add_name_parts(pd.DataFrame(columns=columns)) for columns in (SCORES, COMPARISONS)]
    oracle = no_diagnostics() | {"oracle": pd.DataFrame(rows)}
    table = find_defects(*empty, oracle, {"u": "u", "v": "u"})
    mean = table[table["task"] == "all"].iloc[0]
    assert mean[["with_defect", "difference", "n"]].tolist() == pytest.approx([1 / 3, 1 / 3, 3])
    error = np.sqrt(2 * 2 * (2 / 15) ** 2) / 3  # two clusters: t alone, u with v
    assert mean["high"] - mean["difference"] == pytest.approx(scipy.stats.t.ppf(0.975, 1) * error)


def test_mutants_of_one_window_are_not_independent():
    shared = {"pooling": "mean", "mutations": 64.0, "n": 50, "windows": 10.0}
    made = score_rows(*[
        ("sensitivity", "m", "late", "pretrained", "identical", value, 0.0, shared | {"condition": variant})
        for variant, value in (("raw", 0.0), ("rounded", 0.4))
    ])  # fmt: skip
    empty = table_files.add_name_parts(pd.DataFrame(columns=COMPARISONS))
    row = find_defects(made, empty, no_diagnostics()).iloc[0]
    wilson = scipy.stats.binomtest(4, 10).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((wilson.low, wilson.high))


def paper_tables_of(scores, tasks, models, printed):
    empty = pd.DataFrame(columns=COMPARISONS)
    inputs = Inputs(scores, empty, scores, tasks, models).arranged()
    made = {"scores": inputs.scores, "comparisons": inputs.comparisons, **inputs.diagnostics}
    return paper_tables.paper_tables(inputs, made, Reported(printed, tasks, inputs.labels))


def test_the_papers_numbers_stand_beside_ours_where_task_and_architecture_agree():
    names = ["hyenadna.demo", "hyenadna.demo.char.w64", "hyenadna.demo.char.w128", "caduceus.paper", "ntv2", "cnn"]
    models = {name: {"label": name} for name in names}
    tasks = pd.DataFrame(
        {"task": ["ours", "mini", "marks", "bio", "w0", "w1", "w2", "simulated", "other"]}
        | {"suite": ["nt", "gue", "gue", "biotype", *["ancestry"] * 4, "nt"]}
        | {"paper_task": ["H3", "EMP_H3", "H4", "biotype", *["mean11regions"] * 3, "", "H3"]}
        | {"metric": ["mcc"] * 3 + ["weighted_f1"] * 5 + ["accuracy"]}
    )
    numbers = [
        ("nt_finetune", "H3", "HyenaDNA", "pretrained", 0.78), ("nt_finetune", "H3", "HyenaDNA", "random", 0.77),
        ("gue_histone_frozen_xgb", "H3", "NTv2-50M", "pretrained", 0.5),
        ("biotype", "biotype9", "HyenaDNA", "random/char_tok+larger_dim", 0.753),
        ("ancestry", "mean11regions", "NTv2-50M", "random", 0.6),
        ("gue_finetune", "EMP", "HyenaDNA", "random", 0.4),
    ]  # fmt: skip
    printed = pd.DataFrame(numbers, columns=["experiment", "task", "model", "arm", "value"]).assign(source="Table")
    printed["metric"] = printed["experiment"].map({"biotype": "f1_weighted", "ancestry": "f1_weighted"}).fillna("mcc")
    scores = score_rows(
        ("finetune", "other", "hyenadna.demo", "random", "accuracy", 0.5, 0.01),
        ("finetune", "ours", "hyenadna.demo", "pretrained", "mcc", 0.5, 0.01),
        ("finetune", "ours", "cnn", "random", "mcc", 0.5, 0.01),
        ("frozen", "mini", "ntv2", "pretrained", "mcc", 0.4, 0.01),
        *[("finetune", task, "hyenadna.demo", "random", "mcc", 0.5, 0.01) for task in ("mini", "marks")],
        *[("width", "bio", f"hyenadna.demo.char.w{w}", "random", "weighted_f1", 0.5, 0.01) for w in (64, 128)],
        *[("ancestry", f"w{i}", "ntv2", "random", "weighted_f1", 0.5 + i / 10, 0.01) for i in range(3)],
        *[("ancestry", f"w{i}.family", "ntv2", "random", "weighted_f1", 0.5, 0.01) for i in range(3)],
        ("finetune", "ours.pct1", "hyenadna.demo", "random", "mcc", 0.5, 0.01),
        ("likelihood", "v", "ntv2", "pretrained", "auroc", 0.635, 0.01),
    )
    found = paper_tables_of(scores, tasks, models, printed)
    finetuned = found["table_18_finetune"].set_index(["task", "model"])
    numbers = ["reported_pretrained", "reported_random"]
    assert finetuned.loc[("ours", "hyenadna.demo"), numbers].tolist() == [0.78, 0.77]
    assert np.isnan(finetuned.loc[("ours", "cnn"), "reported_random"])
    assert np.isnan(finetuned.loc[("other", "hyenadna.demo"), "reported_random"]), "measured otherwise"
    assert finetuned.loc[["mini", "marks"], numbers].isna().all().all(), "the same mark in another benchmark"
    likelihood = found["table_04_likelihood"].iloc[0]
    assert likelihood[["pretrained", "pretrained_plus_llr"]].tolist() == pytest.approx([0.635, 0.365])
    category = found["figure_09_categories"].iloc[0]
    assert category[["category", "tasks", "mean", "reported"]].tolist() == ["EMP", 2, 0.5, 0.4]
    assert found["table_13_frozen"]["reported_pretrained"].tolist() == [0.5]
    assert found["table_11_widths"]["reported_random"].tolist() == pytest.approx([np.nan, 0.753], nan_ok=True)
    assert found["table_11_widths"]["width"].tolist() == [64, 128]
    window = found["table_14_windows"].iloc[0]
    assert (window["mean"], window["windows"], window["reported"]) == (pytest.approx(0.6), 3, 0.6)
    assert window["variance"] == pytest.approx(0.01)
    assert np.isnan(found["table_14_windows"].set_index("variant").loc["family", "reported"]), "no set of the paper"
    assert np.isnan(finetuned.loc[("ours.pct1", "hyenadna.demo"), "reported_random"]), "no set of the paper"
    mine = score_rows(("ancestry", "simulated", "ntv2", "random", "weighted_f1", 0.5, 0.01))
    found_alone = paper_tables_of(mine, tasks, models, printed)
    assert found_alone["table_14_windows"]["reported"].isna().all()
    assert (window["low"], window["high"]) == pytest.approx(scipy.stats.t.interval(0.95, 2, 0.6, 0.1 / np.sqrt(3)))


def test_crossvalidation_is_widened_for_shared_training_rows():
    values = [0.5, 0.6, 0.7, 0.8, 0.9]
    shared = {"analysis": "biotype", "task": "t", "model": "m", "init": "random", "metric": "mcc", "run": "x"}
    rows = [
        shared | {"seed": seed, "fold": fold, "split": "test", "selection": "crossvalidation", "value": value}
        for seed in (0, 1) for fold, value in enumerate(values)
    ]  # fmt: skip
    found = tables.crossvalidate(pd.DataFrame(rows)).iloc[0]
    assert (found["value"], found["folds"], found["seeds"]) == (pytest.approx(0.7), 5, 2)
    plain = scipy.stats.t.interval(0.95, 4, 0.7, np.std(values, ddof=1) / np.sqrt(5))
    # one fold tests, another chooses: three train
    assert found["low"] == pytest.approx(0.7 - (0.7 - plain[0]) * np.sqrt(1 + 5 / 3))
    for row in rows[5:]:  # another seed cuts other folds: its fold 0 is not that of seed 0, and averages nothing out
        row["value"] = values[4 - row["fold"]]
    other = tables.crossvalidate(pd.DataFrame(rows)).iloc[0]
    numbers = ["value", "low", "high", "sd"]
    assert other[numbers].tolist() == pytest.approx(found[numbers].tolist())


def test_settings_and_selections_of_all_tasks_become_tables(tmp_path):
    shared = {"analysis": "finetune", "model": "m", "init": "random"}
    values = (("a", "3"), ("b", "3"), ("c", "10"))
    settings = [shared | {"task": task, "setting": "epochs", "text": value} for task, value in values]
    chosen = shared | {"task": "a", "seed": 0, "what": "learning_rate", "within": "published"}
    chosen |= {"split": "validation", "metric": "mcc", "value": 0.5, "chosen": True, "tried": 1, "candidate": "0.00001"}
    chosen |= {"edge": "high"}
    for name, rows in (("settings", settings), ("selections", [chosen])):
        table_files.write_table(tmp_path / f"{name}.csv", pd.DataFrame(rows))
    known = {name: diagnostic(tmp_path, name) for name in ("settings", "selections")}
    empty, tasks = pd.DataFrame(columns=SCORES), pd.DataFrame({"task": ["a"], "suite": ["nt"]})
    inputs = Inputs(empty, pd.DataFrame(columns=COMPARISONS), empty, tasks, {"m": {"label": "M"}},
                    diagnostics=known, reported=NUMBERS)  # fmt: skip
    tables.collect(tmp_path / "t", inputs)
    table = pd.read_csv(tmp_path / "t" / "table_09_finetuning.csv", dtype=str)
    assert table[["setting", "value", "tasks"]].to_numpy().tolist() == [["epochs", "3", "2"], ["epochs", "10", "1"]]
    selected = pd.read_csv(tmp_path / "t" / "selections.csv", dtype=str).iloc[0]
    assert selected[["candidate", "tried", "seed", "edge"]].tolist() == ["0.00001", "1", "0", "high"]


def test_class_counts_are_those_of_the_whole_set(tmp_path):
    """Table 10 counts every sequence of a biotype task, whatever its split."""
    from foundationless.tasks.leakage import summarise as audit_summary

    frame = pd.DataFrame(
        {"sequence": ["ACGT"] * 5, "label": list("aabbb"), "split": ["train", "test", "train", "validation", "test"]}
    )
    summaries_ = [audit_summary(task, frame, pd.DataFrame(), 15, 0.8) for task in ("bio", "other")]
    scores = pd.DataFrame([{"analysis": "biotype", "task": "bio"}])
    found = paper_tables._class_sizes(summaries_, set(scores["task"]))
    assert found.to_dict("records") == [
        {"task": "bio", "label": "a", "train": 1, "validation": 0, "test": 1, "total": 2},
        {"task": "bio", "label": "b", "train": 1, "validation": 1, "test": 1, "total": 3},
    ]


def test_table_1_says_how_large_a_matched_baseline_came_out():
    """Both counts are those of the records; without those of its model there is no ratio."""
    models = pd.DataFrame({"model": ["big", "beside"], "match": [None, "big"]})
    scores = pd.DataFrame({"model": ["big", "big", "beside"], "parameters": [200, 200, 196]})
    table = paper_tables._models(models, scores).set_index("model")
    assert table.loc["beside", ["parameters", "match", "ratio"]].tolist() == [196, "big", 0.98]
    assert np.isnan(table.loc["big", "ratio"]) and paper_tables._models(models, scores[2:])["ratio"].isna().all()
    assert paper_tables._models(models[["model"]], scores)["ratio"].isna().all(), "a study that matches none"
