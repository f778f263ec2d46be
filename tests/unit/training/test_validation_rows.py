"""What fine-tuning predicts of its validation rows lies beside its predictions, and says what the record says."""

import numpy as np
import pandas as pd
import pytest

from foundationless.evaluation.calibration.tables import read_beside, recalibrate
from foundationless.evaluation.metrics import evaluate
from foundationless.evaluation.records import read_record
from foundationless.evaluation.task_results import read_predictions
from support.fine_tuning import job, planted
from support.networks import HYENA, save_model


def test_validation_rows_are_kept_and_older_runs_have_none(tmp_path):
    weights = save_model(tmp_path / "weights", "hyenadna", HYENA, "hyenadna")
    flags = {"epochs": 1, "folds": [0, 2], "fold_count": 4}
    assert job(tmp_path / "job", weights, planted(160), **flags) == 0
    record, rows = read_record(tmp_path / "job/record.json"), pd.read_parquet(tmp_path / "job/validation.parquet")
    classes = record["settings"]["classes"] if "classes" in record["settings"] else sorted(rows["label"].unique())
    chosen = [row for row in record["results"] if row["split"] == "validation" and row["extra"]["selected"]]
    assert rows["run"].nunique() == len(chosen) == 2
    for said in chosen:
        own = rows[rows["run"] == said["extra"]["run"]]
        found = evaluate(own["label"], np.stack(own["probabilities"].to_list()), classes)
        assert len(own) == said["n"] and found["mcc"] == pytest.approx(said["value"])
    where = tmp_path / "job/predictions.parquet"
    table, _ = recalibrate([record], [read_predictions(where)], [read_beside(where)], 50, 1)
    assert table["method"].tolist() == ["none", "temperature"] and set(table["note"]) == {""}
    for path in (tmp_path / "job/runs").glob("*.validation.parquet"):
        path.unlink()
    assert job(tmp_path / "job", weights, planted(160), **flags) == 0
    assert not (tmp_path / "job/validation.parquet").exists() and read_beside(where) is None
