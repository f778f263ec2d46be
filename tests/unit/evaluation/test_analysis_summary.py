"""One analysis from simulated files to its tables: the truth is known, half of the files may be missing."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from foundationless.__main__ import main
from foundationless.errors import UserError
from foundationless.evaluation import analysis_summary, diagnostics, table_files, task_results
from foundationless.evaluation.task_summary import COMPARISONS, SCORES
from foundationless.study.checks import read_study
from foundationless.study.config import read_yaml
from foundationless.study.vocabulary import DIAGNOSTICS, MARGINS
from support import ROOT
from support.simulated_study import classes_of, sign, true_mcc, write_records

TASKS = ["sim_promoter", "sim_mark"]
ITEMS, SEEDS, FOLDS = 400, [0, 1, 2], (0, 1, 2)
DELTAS = {"hyenadna.demo": 0.2, "caduceus.demo": 0.0}
MODELS = list(DELTAS)


def study(**analyses):
    config = read_yaml(ROOT / "config/config.yaml")
    del config["truth"]  # of models that a changed study may lack
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
    tasks = list(design.by_task[name])
    cells = [
        {"metric": design.task(task)["metric"], "tasks": [task],
         "cells": [f"{cell.model}/{cell.init}/seed{cell.seed}" for cell in design.by_task[name][task]]}
        for task in tasks
    ]  # fmt: skip
    output.mkdir(exist_ok=True)
    code = main(
        ["summarise_analysis", "--analysis", name, "--directory", str(files / name), "--cells", json.dumps(cells),
         "--audits", str(files / "audit"), "--audited", *[task for task in tasks if task in design.audited],
         "--resamples", "300", "--seed", "1", "--processes", str(processes), "--output", str(output), *flags]
    )  # fmt: skip
    assert code == 0
    return {path.stem: table_files.read_table(path, path.stem) for path in output.glob("*.csv")}


@pytest.fixture(scope="module")
def whole(design, files, tmp_path_factory):
    return summarise(design, files, tmp_path_factory.mktemp("whole"))


def test_tables_do_not_depend_on_the_number_of_processes(design, files, whole, tmp_path, capfd):
    summarise(design, files, tmp_path / "one")
    summarise(design, files, tmp_path / "two", processes=2)
    for name in analysis_summary.FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert "2/2 finetune/sim_mark" in capfd.readouterr().err
    assert whole["notes"].empty, "nothing is missing"
    assert {path.name for path in (tmp_path / "one").iterdir()} == set(analysis_summary.FILES)


def test_planted_differences_are_found_and_absent_ones_are_not(design, whole):
    """A true difference of 0.2 MCC is 4 standard errors here; under none, intervals hold 0."""
    pairs = whole["comparisons"].query("versus == 'random' and selection == 'validation'").set_index(["model", "task"])
    for task in TASKS:
        planted, none = pairs.loc[("hyenadna.demo", task)], pairs.loc[("caduceus.demo", task)]
        unit = 2 if planted["metric"] == "accuracy" else 1  # accuracy of two classes is half of MCC
        assert abs(planted["delta"] - 0.2 / unit) < 4 * planted["se"] and planted["verdict"] == "better"
        assert abs(none["delta"]) < 4 * none["se"] and none["mde"] == pytest.approx(2.8016 * none["se"], rel=1e-3)
        assert planted["p_test"] < 0.05 and planted["nb_low"] < planted["delta"] < planted["nb_high"]
        assert planted["test"] == "mcnemar" and planted["drawn_seeds"] == len(SEEDS) and planted["learned"]
    cell = design.by_task["finetune"]["sim_mark"][0]
    scores = whole["scores"].set_index(["task", "model", "init", "selection"])
    assert scores.loc[("sim_mark", *cell[2:4], "validation"), "mcc"] == pytest.approx(true_mcc(cell, DELTAS), abs=0.1)


def test_a_row_has_the_margin_of_its_metric(design, files, whole, tmp_path):
    margins = dict(zip(whole["comparisons"]["metric"], whole["comparisons"]["margin"], strict=True))
    assert margins == {metric: MARGINS[metric] for metric in margins} and len(margins) == 2
    name = next(iter(margins))
    other = summarise(design, files, tmp_path / "t", "--margins", json.dumps({name: 0.3}))["comparisons"]
    assert dict(zip(other["metric"], other["margin"], strict=True)) == margins | {name: 0.3}


@pytest.mark.parametrize(
    ("margins", "sentence"),
    [("0.02", "not a JSON mapping"), ('{"mcc": "wide"}', "not a JSON mapping"), ('{"mmc": 0.1}', "no metric 'mmc'"),
     ('{"mcc": 0}', "not a finite number above 0"), ('{"mcc": NaN}', "not a finite number above 0")],
)  # fmt: skip
def test_margins_that_are_none_are_refused(margins, sentence):
    with pytest.raises(UserError, match=sentence):
        analysis_summary.read_margins(margins)


def test_every_table_has_its_columns_and_the_parts_of_names(whole):
    """Readers and rules take the columns and names of tables from declarations: the files hold to them."""
    parts = list(table_files.add_name_parts(pd.DataFrame(columns=["task", "model"])).columns[2:])
    declared = {"scores": SCORES, "comparisons": COMPARISONS, "notes": task_results.NOTES, **diagnostics.COLUMNS}
    assert set(whole) == set(declared) and tuple(diagnostics.COLUMNS) == DIAGNOSTICS
    for name, frame in whole.items():
        columns, last = list(frame.columns[: -len(parts)]), list(frame.columns[-len(parts) :])
        assert last == parts and columns[: len(declared[name])] == declared[name], name
        assert name == "scores" or columns == declared[name]
    assert set(whole["runs"]["base_task"]) == set(TASKS) and set(whole["runs"]["variant"]) == {""}
    assert set(whole["runs"]["base"]) == {"hyenadna", "caduceus", "length_gc", "kmer_xgboost"}


def test_runs_are_those_behind_a_score(whole):
    scores, runs = whole["scores"], whole["runs"]
    keys = ["task", "model", "init", "selection"]
    means = runs.groupby([*keys, "seed"])["value"].mean().groupby(keys).mean()
    found = scores.set_index(keys)["value"]
    assert len(means) == len(found) and np.allclose(means, found[means.index])
    assert set(runs["fold"]) == {-1, *FOLDS} and set(runs["seed"]) == set(SEEDS)


def test_components_of_variance_are_shares_of_a_whole(whole):
    parts = whole["components"]
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
    tables = summarise(design, files, tmp_path / "biotype", name="biotype")
    counts = tables["confusion"]
    names = classes_of("biotype", "sim_biotype")
    for (model, init), part in counts.groupby(["model", "init"]):
        paths = (files / "biotype/sim_biotype" / model / init).glob("seed*/predictions.parquet")
        frame = pd.concat([pd.read_parquet(path).query("selected") for path in paths])
        expected = sk.confusion_matrix(frame["label"], frame["predicted"], labels=names)
        assert (part.pivot(index="actual", columns="predicted", values="count") == expected).all(axis=None)
        assert len(part) == len(names) ** 2
    assert counts.groupby(["model", "init"]).ngroups == len(tables["scores"]) / 2


def test_roc_curves_are_those_of_scikit_learn(design, files, tmp_path):
    tables = summarise(design, files, tmp_path / "likelihood", name="likelihood")
    scores, comparisons = tables["scores"], tables["comparisons"]
    curves = tables["roc"].query("selection == 'validation'")
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
    cells = [cell for cell in design.cells if cell.analysis == "finetune"]
    lost = [cells[place] for place in generator.permutation(len(cells))[: len(cells) // 2]]
    names = ["record.json" if number % 3 else "predictions.parquet" for number in range(len(lost))]
    for cell, name in zip(lost, names, strict=True):
        (copy / "/".join([*cell[:4], f"seed{cell.seed}"]) / name).unlink()
    shutil.rmtree(copy / "audit/sim_mark")
    half = summarise(design, copy, tmp_path / "half", "--partial")
    notes = half["notes"]
    told = {(row.task, row.model, row.init, row.seed, row.what) for row in notes.dropna(subset="seed").itertuples()}
    assert told == {(*cell[1:], name.partition(".")[0]) for cell, name in zip(lost, names, strict=True)}
    assert notes[notes["what"] == "audit"]["task"].tolist() == ["sim_mark"]
    said = capfd.readouterr().err
    assert all("/".join([*cell[:4], f"seed{cell.seed}"]) in said for cell in lost)
    keys = ["task", "model", "init"]
    touched = {cell[1:4] for cell in lost}
    scores = whole["scores"]
    untouched = scores[[tuple(arm) not in touched for arm in scores[keys].to_numpy()]]
    assert len(untouched) >= 4
    same = half["scores"].merge(untouched[keys].drop_duplicates(), on=keys)[scores.columns]
    pd.testing.assert_frame_equal(untouched.reset_index(drop=True), same)
    with pytest.raises(AssertionError):
        summarise(design, copy, tmp_path / "half")
    assert "no such file" in capfd.readouterr().err


def test_the_best_of_fewer_arms_is_no_reference(design, files, whole, tmp_path):
    copy = shutil.copytree(files, tmp_path / "results")
    shutil.rmtree(copy / "finetune/sim_mark/kmer_xgboost")
    shutil.rmtree(copy / "finetune/sim_promoter/caduceus.demo/random")
    fewer, pairs = summarise(design, copy, tmp_path / "fewer", "--partial"), whole["comparisons"]
    lost = fewer["notes"][fewer["notes"]["what"] == "reference"].set_index("task")["note"]
    assert "without kmer_xgboost the best baseline" in lost["sim_mark"]
    assert "without caduceus.demo the best random arm" in lost["sim_promoter"]
    keys = ["task", "model", "init", "versus", "selection"]
    promoter, caduceus = pairs["task"] == "sim_promoter", pairs["model"] == "caduceus.demo"
    expected = pairs[
        ~((pairs["task"] == "sim_mark") & (pairs["versus"] == "baseline"))
        & ~(promoter & (pairs["versus"] == "best_random"))
        & ~(promoter & caduceus & ((pairs["init"] == "random") | (pairs["versus"] == "random")))
    ]
    assert len(expected) < len(pairs)
    columns = [*keys, "reference", "delta", "low", "high"]
    found = fewer["comparisons"][columns].sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected[columns].sort_values(keys, ignore_index=True))


def test_a_fold_that_one_arm_lacks_is_left_out_of_both(design, files, whole, tmp_path):
    """Folds differ in how hard they are: the mean over three of them is no pair for the mean over two."""
    copy = shutil.copytree(files, tmp_path / "results")
    path = copy / "finetune/sim_mark/hyenadna.demo/random/seed1/predictions.parquet"
    table = pd.read_parquet(path)
    table[table["fold"] != 2].to_parquet(path, index=False)
    sign(path.with_name("record.json"))
    tables = summarise(design, copy, tmp_path / "folds")
    notes, comparisons = tables["notes"], tables["comparisons"]
    assert "fold(s) 2 lack a run" in notes.loc[notes["what"] == "folds", "note"].iloc[0]
    runs = whole["runs"].query("task == 'sim_mark' and fold != 2 and model == 'hyenadna.demo'")
    runs = runs[runs["selection"] == "validation"].groupby("init")["value"].mean()
    rows = comparisons.query("task == 'sim_mark' and versus == 'random' and selection == 'validation'")
    row = rows[rows["model"] == "hyenadna.demo"].iloc[0]
    assert row["delta"] == pytest.approx(runs["pretrained"] - runs["random"]) and row["folds"] == 2


def test_an_analysis_of_which_nothing_is_there_is_one_note_per_cell(design, tmp_path):
    tables = summarise(design, tmp_path / "nowhere", tmp_path / "none", "--partial")
    notes = tables.pop("notes")
    assert all(table.empty and len(table.columns) for table in tables.values())
    assert (notes["what"] == "record").sum() == len([cell for cell in design.cells if cell.analysis == "finetune"])
    assert pd.read_parquet(tmp_path / "none/records.parquet").empty


@pytest.mark.parametrize(
    "text", ["{", "[1]", '[{"metric": "mcc"}]', '[{"metric": "mcc", "tasks": ["a"], "cells": ["model/random"]}]',
             '[{"metric": "mcc", "tasks": ["a", "a"], "cells": []}]']
)  # fmt: skip
def test_cells_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="--cells"):
        analysis_summary.read_cells(text)
