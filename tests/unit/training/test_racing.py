"""Racing learning rates: the bits of a full sweep, decisions by validation alone, one look at the test set."""

import json
import shutil
import signal

import numpy as np
import pandas as pd
import pytest

from foundationless.__main__ import main
from foundationless.runtime.files import read_json, write_json
from foundationless.training import loop, racing
from foundationless.training.sweep import Fold
from support.commands import call as call_command
from support.fine_tuning import at_call, command_line, job, metric_of, outputs, planted, same, send
from support.networks import HYENA, save_model

RATES = [0.0003, 0.003, 0.01, 0.03]
FLAGS = {"learning_rates": RATES, "epochs": 5, "rungs": [1, 3], "batch_size": 16, "metric": "auroc"}
FOLDS = {"folds": [0, 2], "fold_count": 4}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


def probabilities(table, run):
    return np.stack(table.loc[table["run"] == run, "probabilities"])


@pytest.mark.parametrize("extra", [{}, {"lora_rank": 2, "lora_dropout": 0.1}, {"patience": 1}, FOLDS])
def test_the_winner_is_the_same_run_of_a_full_sweep(tmp_path, weights, extra):
    frame = planted(160)
    assert job(tmp_path / "race", weights, frame, **FLAGS | extra) == 0
    assert job(tmp_path / "full", weights, frame, **FLAGS | extra | {"rungs": 0}) == 0
    (record, table), (full, wide) = outputs(tmp_path / "race"), outputs(tmp_path / "full")
    winners = list(table["run"].unique())
    assert len(winners) == len(extra.get("folds", [0])) and table["selected"].all()
    for run in winners:
        np.testing.assert_array_equal(probabilities(table, run), probabilities(wide, run))
    whole = {s["within"]: s["tried"] for s in full["selections"] if s["what"] == "epoch"}
    for selection in record["selections"]:
        if selection["what"] == "epoch":  # what a run shows until it stops is what it shows in a sweep
            tried = list(whole[selection["within"]].items())
            assert list(selection["tried"].items()) == tried[: len(selection["tried"])]


def test_the_record_says_who_stopped_when_and_nobody_looked_at_the_test_set_but_the_winner(tmp_path, weights):
    with pytest.MonkeyPatch.context() as patch:
        read = []
        evaluate = loop.evaluate
        patch.setattr(loop, "evaluate", lambda labels, *rest: read.append(len(labels)) or evaluate(labels, *rest))
        assert job(tmp_path, weights, planted(160), **FLAGS) == 0
    assert read.count(80) == 1, "of 80 test rows, once"
    record, table = outputs(tmp_path)
    assert "selected_paper" not in table and not metric_of(record, "test", metric="auroc")
    assert len(metric_of(record, "run", "test", "auroc")) == 1
    runs = [row for row in record["results"] if (row["selection"], row["split"]) == ("run", "validation")]
    assert sorted(row["extra"]["epochs"] for row in runs) == [1, 1, 3, 5]
    assert [row["extra"]["stopped"] for row in runs].count(False) == 1
    first, second = (s for s in record["selections"] if s["what"] == "rung")
    assert len(first["tried"]) == 4 and list(second["tried"]) == first["survivors"] and len(second["survivors"]) == 1
    best = sorted(first["tried"].values(), reverse=True)[:2]
    assert sorted(first["tried"][rate] for rate in first["survivors"]) == sorted(best)
    chosen = next(s for s in record["selections"] if s["what"] == "learning_rate")
    assert [chosen["chosen"]] == second["survivors"] and chosen["split"] == "validation" and len(chosen["tried"]) == 4
    assert record["settings"]["rungs"] == [1, 3]
    assert not list((tmp_path / "runs").glob("*.paused")) and not list((tmp_path / "runs").glob("*.checkpoint"))


def test_test_labels_decide_nothing(tmp_path, weights):
    frame = planted(160)
    turned = frame.assign(label=frame["label"].where(frame["split"] != "test", frame["label"].iloc[::-1].to_numpy()))
    assert (turned["label"] != frame["label"]).any()
    for name, rows in (("plain", frame), ("turned", turned)):
        assert job(tmp_path / name, weights, rows, **FLAGS) == 0
    (plain, _), (other, _) = outputs(tmp_path / "plain"), outputs(tmp_path / "turned")
    assert plain["selections"] == other["selections"]


@pytest.mark.parametrize("pack", [1, 4])
@pytest.mark.parametrize("call", [1, 3, 9, 12, 17, 20])
def test_a_race_killed_at_any_point_ends_in_the_same_bits(tmp_path, weights, pack, call):
    """`call`: the validation during which it is killed: before the first rung, between rungs, at the end."""
    flags, frame = FLAGS | FOLDS | {"pack": pack}, planted(160)
    assert job(tmp_path / "whole", weights, frame, **flags) == 0
    broken = tmp_path / "broken"
    with at_call(loop, "validation_score", call, send(signal.SIGTERM)), pytest.raises(SystemExit) as ended:
        job(broken, weights, frame, **flags)
    assert ended.value.code == 143
    assert job(broken, weights, frame, **flags) == 0
    same(tmp_path / "whole", broken)
    assert not [path for path in (broken / "runs").iterdir() if path.suffix in (".paused", ".checkpoint")]


@pytest.mark.parametrize("call", range(1, 6))
def test_a_race_that_fails_while_it_stops_runs_ends_in_the_same_bits(tmp_path, weights, call):
    def fail():
        raise RuntimeError("injected")

    flags, frame = FLAGS | {"extend": 1}, planted(160)
    assert job(tmp_path / "whole", weights, frame, **flags) == 0
    with at_call(racing, "paused", call, fail), pytest.raises(RuntimeError):
        job(tmp_path / "broken", weights, frame, **flags)
    assert job(tmp_path / "broken", weights, frame, **flags) == 0
    same(tmp_path / "whole", tmp_path / "broken")


def test_runs_that_the_disk_does_not_take_race_on_in_memory(tmp_path, weights, monkeypatch):
    assert job(tmp_path / "whole", weights, planted(160), **FLAGS) == 0
    monkeypatch.setattr(loop, "save_state", lambda path, state: False)
    assert job(tmp_path / "full_disk", weights, planted(160), **FLAGS) == 0
    same(tmp_path / "whole", tmp_path / "full_disk")


def test_a_race_uses_no_runs_of_another_race_or_sweep(tmp_path, weights, capsys):
    assert job(tmp_path / "a", weights, planted(160), **FLAGS) == 0
    capsys.readouterr()
    for change in ({"rungs": [1, 2]}, {"learning_rates": RATES[:3]}, {"rungs": 0}):
        assert job(tmp_path / "a", weights, planted(160), **FLAGS | change) == 0
        assert "computed again" in capsys.readouterr().err
        assert job(tmp_path / "b", weights, planted(160), **FLAGS | change) == 0
        same(tmp_path / "a", tmp_path / "b")


def test_further_rates_join_at_the_first_rung(tmp_path, weights, monkeypatch):
    """Validation is planted: the larger the rate the better, up to 0.2."""
    current = []
    use = loop.Pack._use
    monkeypatch.setattr(
        loop.Pack, "_use", lambda pack, runs, rest: (current.append(runs[0].rate), use(pack, runs, rest))
    )
    monkeypatch.setattr(loop, "validation_score", lambda *_: 1 - abs(float(np.log(current[-1] / 0.2))) / 10)
    flags = FLAGS | {"learning_rates": [0.001, 0.01], "rungs": [1, 2], "epochs": 3, "metric": "mcc", "extend": 3}
    assert job(tmp_path, weights, planted(160), **flags) == 0
    record, _ = outputs(tmp_path)
    first, second = (s for s in record["selections"] if s["what"] == "rung")
    assert list(first["tried"]) == ["0.001", "0.01", "0.1", "1"], "one after another, until one is worse"
    assert first["survivors"] == ["0.1", "1"] and second["survivors"] == ["0.1"]
    assert record["settings"]["extended"] == {"published": [0.1, 1.0]}


def test_equal_values_are_told_apart_by_loss_and_a_run_without_a_value_is_last():
    fold = Fold(-1, np.arange(2), np.arange(2))
    runs = [loop.Run(name, fold, rate, "") for rate, name in enumerate("abcd", 1)]
    for run, values, losses in zip(runs, [[0.0], [0.0], [], [0.1]], [[0.7], [0.6], [], [0.9]], strict=True):
        run.history, run.losses = values, losses
    assert [[run.name for run in racing.leaders(runs, 1, count)] for count in (1, 2, 3)] == [
        ["d"], ["b", "d"], ["a", "b", "d"],
    ]  # fmt: skip
    runs[2].history, runs[2].losses = [float("nan"), 0.9], [float("inf"), 0.1]
    assert racing.leaders(runs, 1, 1)[0].name == "d" and racing.leaders(runs, 2, 1)[0].name == "c"


def test_a_diverged_run_loses(tmp_path, weights):
    assert job(tmp_path, weights, planted(160), **FLAGS | {"learning_rates": [0.003, 1e12], "rungs": [2]}) == 0
    assert outputs(tmp_path)[1]["run"].unique().tolist() == ["published_lr0.003"]


@pytest.mark.parametrize("rungs", [[2, 1], [0, 1], [1, 1], [6], [-1]])
def test_rungs_that_no_race_can_have_are_refused(tmp_path, weights, rungs, capsys):
    assert job(tmp_path, weights, planted(160), **FLAGS | {"rungs": rungs}) == 2
    assert "--rungs" in capsys.readouterr().err


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two raced arms and a baseline, which has a choice by test scores, summarised."""
    root = tmp_path_factory.mktemp("tree")
    place = root / "finetune" / "planted"
    cells = [f"{model}/{init}/seed{seed}" for seed in (0, 1)
             for model, init in (("hyena", "pretrained"), ("hyena", "random"))] + ["kmer/baseline/seed0"]  # fmt: skip
    for cell in cells:
        model, init, seed = cell.split("/")
        identity = {"task": "planted", "model": model, "init": init, "seed": seed[4:]}
        where = place / cell
        if init != "baseline":
            where.mkdir(parents=True)
            files = {"runs": where / "runs", "record": where / "record.json"}
            files |= {"predictions": where / "predictions.parquet"}
            drawn = 7 if init == "pretrained" else 40 + int(seed[4:])
            weights = save_model(root / f"weights_{cell.replace('/', '_')}", "hyenadna", HYENA, "hyenadna", drawn)
            training = FLAGS | {"metric": "mcc", "analysis": "finetune"}
            assert job(root / "set", weights, planted(160), **training | identity | files) == 0
        else:
            where.mkdir(parents=True)
            files = {"sequences": root / "set" / "set.parquet", "record": where / "record.json"}
            files |= {"predictions": where / "predictions.parquet", "analysis": "finetune"}
            flags = {"family": model, "classifier": "logistic", "metric": "mcc"}
            assert main(command_line("fit_baseline", identity | files | flags)) == 0
    sets = json.dumps([{"metric": "mcc", "tasks": ["planted"], "cells": cells}])
    argv = ["summarise_analysis", "--analysis", "finetune", "--directory", str(root / "finetune"), "--resamples", "20"]
    assert main([*argv, "--cells", sets, "--seed", "1", "--output", str(root / "finetune")]) == 0
    return root


def test_tables_have_one_selection_where_rates_raced(tree):
    tables = {path.stem: path for path in (tree / "finetune").glob("*.csv")}
    tables |= {path.stem: path for path in (tree / "finetune").glob("*.parquet")}
    scores = pd.read_csv(tables["scores"]) if tables["scores"].suffix == ".csv" else pd.read_parquet(tables["scores"])
    assert set(scores["selection"]) == {"validation"} and set(scores["init"]) == {"pretrained", "random", "baseline"}


def test_verification_reads_a_race_and_sees_a_survivor_that_was_not_the_best(tree, tmp_path, capsys):
    root = shutil.copytree(tree, tmp_path / "results")
    for path in [root / "set", *root.glob("weights_*")]:
        shutil.rmtree(path)
    assert call_command(["verify", root]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert "0 misfits" in said.splitlines()[-1], said
    path = root / "finetune/planted/hyena/random/seed0/record.json"
    record = read_json(path)
    rung = next(one for one in record["selections"] if one["what"] == "rung")
    rung["tried"][rung["chosen"]] = -1.0
    write_json(path, record)
    assert call_command(["verify", root]) == 1
    assert "would choose" in capsys.readouterr().out
