"""One analysis from simulated files to its tables: the truth is known, half of the files may be missing."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation import analysis_summary, task_results
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from support import ROOT
from support.simulated_study import classes_of, true_mcc, write_records

TASKS = ["sim_promoter", "sim_mark"]
ITEMS, SEEDS, FOLDS = 400, [0, 1, 2], (0, 1, 2)
DELTAS = {"hyenadna.demo": 0.2, "caduceus.demo": 0.0}
MODELS = list(DELTAS)


def study(**analyses):
    config = read_yaml(ROOT / "config/config.yaml")
    config["tables"] = {key: str(ROOT / path) for key, path in config["tables"].items()}
    return read_study(config | {"seeds": SEEDS, "analyses": analyses})


@pytest.fixture(scope="module")
def design():
    few = {"models": MODELS, "baselines": ["length_gc", "kmer_xgboost"]}
    return study(
        finetune={"tasks": TASKS, **few},
        biotype={"tasks": ["sim_biotype"], **few},
        likelihood={"tasks": ["sim_variants"], "models": MODELS},
    )


@pytest.fixture(scope="module")
def files(design, tmp_path_factory):
    directory = tmp_path_factory.mktemp("simulated")
    assert write_records(design, directory, items=ITEMS, folds=FOLDS, deltas=DELTAS) == len(design.cells)
    return directory / "results"


def summarise(design, files, output, *flags, name="finetune", processes=1):
    tasks = [task for analysis, task in design.summaries if analysis == name]
    cells = [
        {
            "metric": design.task(task)["metric"],
            "tasks": [task],
            "jobs": [f"{job.model}/{job.init}/seed{job.seed}" for job in design.cells_of(name, task)],
        }
        for task in tasks
    ]
    output.mkdir(exist_ok=True)
    code = main(
        ["summarise_analysis", "--analysis", name, "--directory", str(files / name), "--cells", json.dumps(cells),
         "--audits", str(files / "audit"), "--audited", *[task for task in tasks if task in design.audited],
         "--resamples", "300", "--seed", "1", "--processes", str(processes), "--output", str(output), *flags]
    )  # fmt: skip
    assert code == 0
    return [
        pd.read_csv(output / f"{part}.csv", low_memory=False) for part in ("scores", "comparisons", "effects", "holes")
    ]


@pytest.fixture(scope="module")
def whole(design, files, tmp_path_factory):
    return summarise(design, files, tmp_path_factory.mktemp("whole"))


def test_tables_do_not_depend_on_the_number_of_processes(design, files, whole, tmp_path, capfd):
    summarise(design, files, tmp_path / "one")
    summarise(design, files, tmp_path / "two", processes=2)
    for name in analysis_summary.FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert "2/2 finetune/sim_mark" in capfd.readouterr().err
    assert whole[3].empty, "nothing is missing"


def test_planted_differences_are_found_and_absent_ones_are_not(design, whole):
    """A true difference of 0.2 MCC is 4 standard errors here; under none, intervals hold 0."""
    pairs = whole[1].query("versus == 'random' and selection == 'validation'").set_index(["model", "task"])
    for task in TASKS:
        planted, none = pairs.loc[("hyenadna.demo", task)], pairs.loc[("caduceus.demo", task)]
        unit = 2 if planted["metric"] == "accuracy" else 1  # accuracy of two classes is half of MCC
        assert abs(planted["delta"] - 0.2 / unit) < 4 * planted["se"] and planted["verdict"] == "better"
        assert abs(none["delta"]) < 4 * none["se"] and none["mde"] == pytest.approx(2.8016 * none["se"], rel=1e-3)
        assert planted["p_test"] < 1e-3 and planted["nb_low"] < planted["delta"] < planted["nb_high"]
        assert planted["test"] == "mcnemar"
    job = design.cells_of("finetune", "sim_mark")[0]
    value = whole[0].set_index(["task", "model", "init", "selection"]).loc[("sim_mark", *job[2:4], "validation"), "mcc"]
    assert value == pytest.approx(true_mcc(job, DELTAS), abs=0.1)


def effect(effects, kind):
    return effects[effects["effect"] == kind].dropna(axis=1, how="all")


def test_runs_are_those_behind_a_score(whole):
    scores, _, effects, _ = whole
    runs = effect(effects, "run")
    keys = ["task", "model", "init", "selection"]
    means = runs.groupby([*keys, "seed"])["value"].mean().groupby(keys).mean()
    found = scores.set_index(keys)["value"]
    assert len(means) == len(found) and np.allclose(means, found[means.index])
    assert set(runs["fold"]) == {-1, *FOLDS} and set(runs["seed"]) == set(SEEDS)


def test_components_of_variance_are_shares_of_a_whole(whole):
    parts = effect(whole[2], "component")
    assert set(parts["component"]) == {"items", "seed", "fold", "residual", "weights"}
    keys = ["task", "model", "init", "selection"]
    network = parts[parts["init"] != "baseline"]
    assert np.allclose(network[network["component"] != "weights"].groupby(keys)["share"].sum(), 1)
    seeds = network[network["component"] == "seed"].set_index(keys)["variance"]
    extra = network[network["component"] == "weights"].set_index(keys)["variance"]
    assert len(extra) == 2 * len(TASKS) * len(MODELS) and set(extra.index.get_level_values("init")) == {"random"}
    arms = [seeds.xs(init, level="init") for init in ("random", "pretrained")]
    assert np.allclose(extra.droplevel("init"), (arms[0] - arms[1])[extra.droplevel("init").index])


def test_confusion_matrices_count_every_prediction(design, files, tmp_path):
    scores, _, effects, _ = summarise(design, files, tmp_path / "biotype", name="biotype")
    counts = effect(effects, "confusion")
    names = classes_of("biotype", "sim_biotype")
    for (model, init), part in counts.groupby(["model", "init"]):
        paths = (files / "biotype/sim_biotype" / model / init).glob("seed*/predictions.parquet")
        frame = pd.concat([pd.read_parquet(path).query("selected") for path in paths])
        expected = sk.confusion_matrix(frame["label"], frame["predicted"], labels=names)
        assert (part.pivot(index="actual", columns="predicted", values="count") == expected).all(axis=None)
        assert len(part) == len(names) ** 2
    assert counts.groupby(["model", "init"]).ngroups == len(scores) / 2


def test_roc_curves_are_those_of_scikit_learn(design, files, tmp_path):
    scores, comparisons, effects, _ = summarise(design, files, tmp_path / "likelihood", name="likelihood")
    curves = effect(effects, "roc").query("selection == 'validation'")
    assert set(comparisons["test"]) == {"delong"} and comparisons["p_test"].notna().all()
    for (model, init), part in curves.groupby(["model", "init"]):
        found = []
        for path in (files / "likelihood/sim_variants" / model / init).glob("seed*/predictions.parquet"):
            frame = pd.read_parquet(path)
            rates = sk.roc_curve(frame["label"] == "pathogenic", frame["score"], drop_intermediate=False)[:2]
            found.append(np.interp(part["fpr"], *rates))
        assert np.allclose(part["tpr"], np.mean(found, axis=0)) and len(part) == 101
        assert (part["low"] <= part["tpr"] + 0.02).all() and (part["tpr"] <= part["high"] + 0.02).all()
        value = scores.set_index(["model", "init", "selection"]).loc[(model, init, "validation"), "value"]
        assert np.trapezoid(part["tpr"], part["fpr"]) == pytest.approx(value, abs=0.02)


def test_with_half_of_the_files_gone_the_rest_keeps_its_numbers(design, files, whole, tmp_path, capfd):
    copy = shutil.copytree(files, tmp_path / "results")
    generator = np.random.default_rng(4)
    jobs = [job for job in design.cells if job.analysis == "finetune"]
    lost = [jobs[place] for place in generator.permutation(len(jobs))[: len(jobs) // 2]]
    names = ["record.json" if number % 3 else "predictions.parquet" for number in range(len(lost))]
    for job, name in zip(lost, names, strict=True):
        (copy / "/".join([*job[:4], f"seed{job.seed}"]) / name).unlink()
    shutil.rmtree(copy / "audit/sim_mark")
    scores, _, _, holes = summarise(design, copy, tmp_path / "half", "--partial")
    told = {(row.task, row.model, row.init, row.seed, row.what) for row in holes.dropna(subset="seed").itertuples()}
    assert told == {
        (job.task, job.model, job.init, job.seed, name.partition(".")[0]) for job, name in zip(lost, names, strict=True)
    }
    assert holes[holes["what"] == "audit"]["task"].tolist() == ["sim_mark"]
    said = capfd.readouterr().err
    assert all("/".join([*job[:4], f"seed{job.seed}"]) in said for job in lost)
    keys = ["task", "model", "init"]
    touched = {job[1:4] for job in lost}
    untouched = whole[0][[tuple(cell) not in touched for cell in whole[0][keys].to_numpy()]]
    assert len(untouched) >= 4
    pd.testing.assert_frame_equal(
        untouched.reset_index(drop=True), scores.merge(untouched[keys].drop_duplicates(), on=keys)[whole[0].columns]
    )
    with pytest.raises(AssertionError):
        summarise(design, copy, tmp_path / "half")
    assert "no such file" in capfd.readouterr().err


def test_the_best_of_fewer_arms_is_no_reference(design, files, whole, tmp_path):
    copy = shutil.copytree(files, tmp_path / "results")
    shutil.rmtree(copy / "finetune/sim_mark/kmer_xgboost")
    shutil.rmtree(copy / "finetune/sim_promoter/caduceus.demo/random")
    _, comparisons, _, holes = summarise(design, copy, tmp_path / "fewer", "--partial")
    lost = holes[holes["what"] == "reference"].set_index("task")["note"]
    assert "without kmer_xgboost the best baseline" in lost["sim_mark"]
    assert "without caduceus.demo the best random arm" in lost["sim_promoter"]
    keys = ["task", "model", "init", "versus", "selection"]
    expected = whole[1][
        ~((whole[1]["task"] == "sim_mark") & (whole[1]["versus"] == "baseline"))
        & ~((whole[1]["task"] == "sim_promoter") & (whole[1]["versus"] == "best_random"))
        & ~(
            (whole[1]["task"] == "sim_promoter")
            & (whole[1]["model"] == "caduceus.demo")
            & (whole[1]["init"] == "random")
        )
        & ~(
            (whole[1]["task"] == "sim_promoter")
            & (whole[1]["model"] == "caduceus.demo")
            & (whole[1]["versus"] == "random")
        )
    ]
    assert len(expected) < len(whole[1])
    columns = [*keys, "reference", "delta", "low", "high"]
    found = comparisons[columns].sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected[columns].sort_values(keys, ignore_index=True))


def test_a_fold_that_one_arm_lacks_is_left_out_of_both(design, files, whole, tmp_path):
    """Folds differ in how hard they are: the mean over three of them is no pair for the mean over two."""
    copy = shutil.copytree(files, tmp_path / "results")
    path = copy / "finetune/sim_mark/hyenadna.demo/random/seed1/predictions.parquet"
    table = pd.read_parquet(path)
    table[table["fold"] != 2].to_parquet(path, index=False)
    _, comparisons, _, holes = summarise(design, copy, tmp_path / "folds")
    assert "fold(s) 2 lack a run" in holes.loc[holes["what"] == "folds", "note"].iloc[0]
    runs = whole[2][(whole[2]["effect"] == "run") & (whole[2]["task"] == "sim_mark") & (whole[2]["fold"] != 2)]
    runs = (
        runs[(runs["model"] == "hyenadna.demo") & (runs["selection"] == "validation")].groupby("init")["value"].mean()
    )
    row = comparisons[
        (comparisons["task"] == "sim_mark") & (comparisons["model"] == "hyenadna.demo")
        & (comparisons["versus"] == "random") & (comparisons["selection"] == "validation")
    ].iloc[0]  # fmt: skip
    assert row["delta"] == pytest.approx(runs["pretrained"] - runs["random"]) and row["folds"] == 2


def test_an_analysis_of_which_nothing_is_there_is_one_hole_per_job(design, tmp_path):
    scores, comparisons, effects, holes = summarise(design, tmp_path / "nowhere", tmp_path / "none", "--partial")
    assert scores.empty and comparisons.empty and effects.empty
    assert (holes["what"] == "record").sum() == len([job for job in design.cells if job.analysis == "finetune"])
    assert list(holes.columns) == task_results.HOLES and pd.read_parquet(tmp_path / "none/records.parquet").empty


@pytest.mark.parametrize(
    "text", ["{", "[1]", '[{"metric": "mcc"}]', '[{"metric": "mcc", "tasks": ["a"], "jobs": ["model/random"]}]',
             '[{"metric": "mcc", "tasks": ["a", "a"], "jobs": []}]']
)  # fmt: skip
def test_cells_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="--cells"):
        analysis_summary.read_cells(text)
