"""From records and predictions of a made-up study to its tables, through the commands."""

import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from foundationless import tables
from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.records import Result, write_record

CLASSES = np.array(["a", "b", "c"])


def write_job(directory, *, model, init, seed=0, accuracy=0.8, analysis="finetune", task="H3", folds=(0, 5), n=120):
    """Two runs per fold: the first chosen by validation, the second, a little better, by its test score."""
    truth = np.random.default_rng(0).integers(3, size=n)
    generator = np.random.default_rng([seed, len(model), len(init)])
    frames, results = [], []
    for fold in folds:
        for run, rate in enumerate((accuracy, accuracy + 0.05)):
            predicted = np.where(generator.random(n) < rate, truth, (truth + 1) % 3)
            probabilities = 0.1 + 0.7 * np.eye(3)[predicted]
            frames.append(
                pd.DataFrame(
                    {
                        "id": [f"s{i}" for i in range(n)],
                        "group": [f"g{i // 2}" for i in range(n)],
                        "label": CLASSES[truth],
                        "predicted": CLASSES[predicted],
                        "probabilities": list(probabilities.astype(np.float32)),
                        "run": f"fold{fold}_run{run}",
                        "fold": fold,
                        "selected": run == 0,
                        "selected_paper": run == 1,
                        "split": "test",
                    }
                ).sample(frac=1, random_state=seed)
            )
            results.append(
                Result("mcc", rate, n, split="validation", protocol="run", fold=fold, extra={"selected": run == 0})
            )
    stem = directory / f"{analysis}.{task}.{model}.{init}.{seed}"
    record, predictions = stem.with_name(stem.name + ".json"), stem.with_name(stem.name + ".parquet")
    write_record(
        record, analysis=analysis, task=task, model=model, init=init, seed=seed, parameters=10, settings={},
        results=results, cost={"seconds": 1.5, "device": "cpu"},
    )  # fmt: skip
    pd.concat(frames).to_parquet(predictions)
    return record, predictions


def summarise(directory, jobs, *flags):
    scores, comparisons = directory / "scores.csv", directory / "comparisons.csv"
    code = main(
        ["summarise_task", "--analysis", "finetune", "--task", "H3", "--metric", "mcc", "--seed", "1",
         "--resamples", "200", "--records", *[str(job[0]) for job in jobs],
         "--predictions", *[str(job[1]) for job in jobs],
         "--scores", str(scores), "--comparisons", str(comparisons), *flags]
    )  # fmt: skip
    assert code == 0
    return pd.read_csv(scores), pd.read_csv(comparisons)


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
        frame.assign(
            group=frame["id"].map(lambda name: f"chr{int(name.strip('abcdefghijklmnopqrstuvwxyz_')) % 2}")
        ).to_parquet(path)
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
    assert set(by.index) == {
        *(
            (model, "pretrained", versus)
            for model in ("big", "tiny")
            for versus in ("random", "best_random", "baseline")
        ),
        ("big", "random", "baseline"),
        ("tiny", "random", "baseline"),
    }
    assert by.loc[("big", "pretrained", "random"), "verdict"] == "better"
    assert by.loc[("big", "random", "baseline"), "reference"] == "cnn"
    assert by.loc[("big", "pretrained", "best_random"), "reference"] == "tiny"
    assert by.loc[("big", "random", "baseline"), "verdict"] == "worse"
    arms = scores.set_index(["model", "init"])["value"]
    assert by.loc[("tiny", "pretrained", "random"), "delta"] == pytest.approx(
        arms["tiny", "pretrained"] - arms["tiny", "random"]
    )


def test_the_paper_protocol_takes_the_runs_chosen_on_the_test_set(jobs, tmp_path):
    corrected, _ = summarise(tmp_path, jobs)
    paper, _ = summarise(tmp_path, jobs, "--protocol", "paper")
    assert (paper["value"] > corrected["value"]).mean() > 0.5
    assert set(paper["protocol"]) == {"paper"}


def test_a_missing_arm_is_named_and_left_out(jobs, tmp_path, capsys):
    scores, comparisons = summarise(tmp_path, jobs[:3], "--baselines")
    assert len(scores) == 2 and set(comparisons["model"]) == {"big"}
    scores, comparisons = summarise(tmp_path, jobs[:2])
    assert comparisons.empty
    assert "big has no random arm" in capsys.readouterr().err


def test_other_test_items_are_an_error(jobs, tmp_path, capsys):
    jobs.append(write_job(tmp_path, model="late", init="random", n=100))
    with pytest.raises(AssertionError):
        summarise(tmp_path, jobs)
    assert (
        "late/random/seed0 and finetune/H3/big/pretrained/seed0 predict different test items" in capsys.readouterr().err
    )


def test_predictions_that_are_missing_are_an_error(jobs, tmp_path, capsys):
    with pytest.raises(AssertionError):
        summarise(tmp_path, [*jobs, (jobs[0][0], tmp_path / "none.parquet")])
    assert "none.parquet: no such file" in capsys.readouterr().err


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
    scores, comparisons = summarise(tmp_path, jobs, "--analysis", "likelihood", "--task", "BRCA1", "--metric", "auroc")
    frame = pd.read_parquet(jobs[0][1])
    assert scores.loc[0, "value"] == pytest.approx(sk.roc_auc_score(frame["label"] == "pathogenic", frame["score"]))
    assert scores.loc[0, "groups"] == 60
    assert comparisons["verdict"].tolist()[0] == "better"


def write_sensitivity(directory, init, seed, value):
    path = directory / f"sensitivity.{init}.{seed}.json"
    results = [
        Result("cosine", value - mutations / 1e4, 25, extra={"pooling": pooling, "mutations": mutations, "low": 0.1})
        for pooling in ("mean", "max") for mutations in (1, 64)
    ]  # fmt: skip
    write_record(
        path, analysis="sensitivity", task="chr2", model="big", init=init, seed=seed, parameters=10, settings={},
        results=results, cost={"seconds": 1.0},
    )  # fmt: skip
    return path


def test_unpaired_analyses_average_their_records(tmp_path):
    records = [
        write_sensitivity(tmp_path, init, seed, 0.9 + seed / 100)
        for init in ("pretrained", "random")
        for seed in (0, 1)
    ]
    scores, comparisons = tmp_path / "s.csv", tmp_path / "c.csv"
    code = main(
        ["summarise_task", "--analysis", "sensitivity", "--task", "chr2", "--metric", "cosine", "--seed", "0",
         "--records", *map(str, records), "--scores", str(scores), "--comparisons", str(comparisons)]
    )  # fmt: skip
    assert code == 0
    table = pd.read_csv(scores).set_index(["init", "pooling", "mutations"])
    assert len(table) == 8
    assert table.loc[("random", "max", 64), "value"] == pytest.approx(0.905 - 0.0064)
    assert table.loc[("random", "max", 64), "seeds"] == 2
    assert pd.read_csv(comparisons).empty


def collect(directory, jobs, scores, comparisons):
    tasks, models = directory / "tasks.csv", directory / "models.json"
    tasks.write_text("task,suite,suite_label,group,label\nH3,nt,NT benchmark,histone,H3\nH4,gue,GUE,histone,H4\n")
    cards = {"tiny": 1, "big": 0, "kmer": 2, "cnn": 3}
    models.write_text(
        json.dumps(
            {name: {"label": name.upper(), "tokenizer_class": "character", "order": n} for name, n in cards.items()}
        )
    )
    output = directory / "tables"
    code = main(
        ["collect_tables", "--scores", *map(str, scores), "--comparisons", *map(str, comparisons),
         "--records", *[str(job[0]) for job in jobs], "--tasks", str(tasks), "--models", str(models),
         "--output", str(output)]
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
    tables.check_distinct(cards[:3])
    with pytest.raises(UserError, match=r"copy and .*random hold the same weights"):
        tables.check_distinct(cards)


def test_collected_tables(jobs, tmp_path):
    summarise(tmp_path, jobs, "--baselines", "cnn")
    for name in ("scores", "comparisons"):
        table = pd.read_csv(tmp_path / f"{name}.csv")
        table.assign(task="H4").to_csv(tmp_path / f"{name}.H4.csv", index=False)
        table.assign(task="H4.pct10").to_csv(tmp_path / f"{name}.low.csv", index=False)
    output = collect(
        tmp_path,
        jobs,
        [tmp_path / f"scores{part}.csv" for part in ("", ".H4", ".low")],
        [tmp_path / f"comparisons{part}.csv" for part in ("", ".H4", ".low")],
    )
    over = pd.read_csv(output / "across_tasks.csv").set_index(["suite", "versus", "model"])
    assert over.loc[("all", "random", "big"), ["n", "wins", "losses"]].tolist() == [2, 2, 0]  # pct10 is no task
    assert over.loc[("nt", "random", "big"), "n"] == 1
    assert over.loc[("all", "random", "big"), "verdict"] == "better"
    table = pd.read_csv(output / "table_18_finetune.csv")
    assert table.loc[0, ["task", "model", "model_label", "suite"]].tolist() == ["H3", "big", "BIG", "nt"]
    assert table.loc[0, "delta"] == pytest.approx(table.loc[0, "pretrained"] - table.loc[0, "random"])
    assert table.loc[table["model"] == "kmer", "baseline"].notna().all()
    for name in ("table_02_biotype", "table_04_likelihood", "table_05_similarity", "table_14_ancestry"):
        assert pd.read_csv(output / f"{name}.csv").empty
    assert pd.read_csv(output / "table_01_models.csv")["model"].tolist() == ["big", "tiny", "kmer", "cnn"]
    flat = pd.read_parquet(output / "records.parquet")
    assert (
        len(flat)
        == len(pd.read_csv(output / "records.csv"))
        == sum(4 if "kmer" not in str(job[0]) else 2 for job in jobs)
    )


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
    path = tmp_path / "broken.parquet"
    frame = pd.read_parquet(jobs[0][1])
    frame[column] = value
    frame.to_parquet(path)
    with pytest.raises(AssertionError):
        summarise(tmp_path, [(jobs[0][0], path), *jobs[1:]])
    assert f"broken.parquet: the column {column} of the predictions is broken" in capsys.readouterr().err
