"""Fine-tuning and pretraining cut into jobs: the bits of one job, wherever a part ends or is killed."""

import shutil
import signal

import pandas as pd
import pytest

from foundationless.runtime.files import read_json
from foundationless.runtime.signals import STATUS
from foundationless.training import loop
from support.fine_tuning import at_call, job, merge, outputs, part, planted, same, send
from support.networks import HYENA, save_model

SWEEP = {"learning_rates": [0.0003, 0.003, 0.01], "epochs": 4, "batch_size": 16, "folds": [0, 2], "fold_count": 4}
RACE = SWEEP | {"rungs": [1, 2]}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("weights") / "hyena", "hyenadna", HYENA, "hyenadna")


@pytest.mark.parametrize(
    ("flags", "groups", "legs"),
    [(SWEEP, 4, 1), (SWEEP, 6, 2), (SWEEP | {"extend": 2}, 2, 1), (RACE, 2, 1), (RACE, 2, 3), (RACE, 1, 2),
     (SWEEP | {"patience": 1}, 6, 3), (SWEEP | {"unfreeze": 1, "layer_rates": 0.5}, 6, 2),
     (RACE | {"lora_rank": 2, "lora_dropout": 0.1, "unfreeze": 2}, 1, 2)],
)  # fmt: skip
def test_parts_end_in_the_bits_of_one_job(tmp_path, weights, flags, groups, legs):
    frame = planted(160)
    assert job(tmp_path / "whole", weights, frame, **flags) == 0
    cut = tmp_path / "cut"
    cut.mkdir()
    shutil.copy(tmp_path / "whole/set.parquet", cut)
    for number in range(groups * legs):
        assert part(cut, weights, number, groups, legs, **flags) == 0
    told = [read_json(cut / f"parts/part{number}.json") for number in range(groups * legs)]
    if legs > 1 and "patience" not in flags:
        assert not told[0]["runs"] or "rungs" in flags, "a leg ends before its run does"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Pack, "train", lambda self: pytest.fail("what merges trains nothing"))
        assert merge(cut, weights, groups, legs, **flags) == 0
    same(tmp_path / "whole", cut)
    assert not [*cut.rglob("*.checkpoint"), *cut.rglob("*.paused"), *cut.glob("parts/runs*/*")]
    cost = read_json(cut / "record.json")["cost"]
    assert cost["seconds"] >= sum(said["cost"]["seconds"] for said in told[legs - 1 :: legs])


def test_a_leg_that_is_killed_goes_on_and_one_that_ended_is_not_trained_again(tmp_path, weights):
    frame = planted(160)
    assert job(tmp_path / "whole", weights, frame, **SWEEP) == 0
    cut = tmp_path / "cut"
    cut.mkdir()
    shutil.copy(tmp_path / "whole/set.parquet", cut)
    for number in range(12):
        if number == 3:  # in the middle of the second leg of the second run
            with at_call(loop.Pack, "_pause", 5, send(signal.SIGTERM)), pytest.raises(SystemExit) as left:
                part(cut, weights, number, 6, 2, **SWEEP)
            assert left.value.code == STATUS and not (cut / "parts/part3.json").exists()
        assert part(cut, weights, number, 6, 2, **SWEEP) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Pack, "train", lambda self: pytest.fail("what is done is kept"))
        assert part(cut, weights, 4, 6, 2, **SWEEP) == 0
    assert merge(cut, weights, 6, 2, **SWEEP) == 0
    same(tmp_path / "whole", cut)


def test_what_the_whole_job_keeps_is_not_trained_again_and_what_is_missing_is_an_error(tmp_path, weights, capsys):
    assert job(tmp_path, weights, planted(160), **SWEEP) == 0
    before = outputs(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Pack, "train", lambda self: pytest.fail("all is kept"))
        for number in range(3):
            assert part(tmp_path, weights, number, 3, 1, **SWEEP) == 0
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").mkdir()
    assert merge(tmp_path, weights, 3, 1, **SWEEP) == 0
    assert outputs(tmp_path)[0] == before[0]
    pd.testing.assert_frame_equal(outputs(tmp_path)[1], before[1], check_exact=True)
    next((tmp_path / "runs").glob("*_lr0.003.json")).unlink()
    capsys.readouterr()
    assert merge(tmp_path, weights, 3, 1, **SWEEP) == 2
    assert "1 of the runs are not kept" in capsys.readouterr().err
    assert part(tmp_path, weights, 0, 9, 1, **SWEEP) == 2, "more groups than runs"
    assert part(tmp_path, weights, 7, 3, 1, **SWEEP) == 2, "no such group"
