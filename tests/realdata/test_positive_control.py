"""The positive control in words: on both real screens the other half of the replicates is better than random vectors
and than the mean of the training perturbations, under the settings that a study has by default."""

import pytest

from foundationless.evaluation.analysis_summary import Analysis, TaskCells, summarise_task
from foundationless.perturbation.effects import write_effects
from foundationless.perturbation.jobs import run_job
from foundationless.perturbation.selection import EffectSettings
from foundationless.study.vocabulary import MARGINS, PERTURBATION
from support import screens

DRAWS = 3
SETTINGS = {
    "kind": "unseen", "variant": "halves", "splits": tuple(PERTURBATION["splits"]), "dims": tuple(PERTURBATION["dims"]),
    "held_out": PERTURBATION["held_out"], "strengths": tuple(PERTURBATION["strengths"]),
    "inner_folds": PERTURBATION["inner_folds"],
}  # fmt: skip
HALVES = {"side": "target", "source": "halves"}


@pytest.mark.parametrize("name", ["norman", "l1000"])
def test_the_other_half_is_better_than_random_and_than_the_mean(shared, mirror, tmp_path, name):
    made = (
        screens.norman(shared / "realdata" / "norman_cells.npz")
        if name == "norman"
        else screens.l1000(mirror("l1000_knockdowns"))
    )
    write_effects(tmp_path / "effects.parquet", made)
    task, cells = f"{name}.halves", []
    arms = [("halves.target", "pretrained", 0, HALVES), ("mean", "baseline", 0, {"baseline": "mean"})]
    arms += [("halves.target", init, draw, HALVES) for init in ("random", "permuted") for draw in range(DRAWS)]
    for model, init, seed, what in arms:
        cells.append(f"{model}/{init}/seed{seed}")
        place = tmp_path / "borrowed" / task / cells[-1]
        place.mkdir(parents=True)
        identity = {"analysis": "borrowed", "task": task, "model": model, "init": init, "seed": seed}
        run_job(effects=tmp_path / "effects.parquet", genes=None, settings=EffectSettings(**SETTINGS, **what),
                identity=identity, record=place / "record.json", predictions=place / "predictions.parquet")  # fmt: skip
    analysis = Analysis("borrowed", tmp_path / "borrowed", 1000, MARGINS, 1)
    found = summarise_task(analysis, TaskCells(task, "skill", tuple(cells))).comparisons
    mine = found[(found["init"] == "pretrained") & (found["selection"] == "validation")].set_index("versus")
    for versus in ("random", "permuted", "mean"):
        row = mine.loc[versus]
        assert row["verdict"] == "better" and row["low"] > 0, versus
