"""The table of what the best baselines went by, and its figure."""

import numpy as np
import pandas as pd
import pytest

from foundationless.errors import UserError
from foundationless.features.importances import Importances, largest, write_importances
from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.importances import CELLS
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.tables.importances import SHOWN, best_importances
from support.figure_tables import SENTENCE, change_tables
from support.figures import faults, laid_out, words


def recorded(*rows) -> pd.DataFrame:
    """Flat records of selected runs: (task, model, seed, split, value)."""
    names = ["task", "model", "seed", "split", "value"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(analysis="finetune", init="baseline", selection="run", selected=True, metric="mcc", run="r")


def write(directory, task, model, weights, seed=0):
    place = directory / "finetune" / task / model / "baseline" / f"seed{seed}"
    place.mkdir(parents=True)
    identity = {"analysis": "finetune", "task": task, "model": model, "init": "baseline", "seed": seed}
    tables = [] if weights is None else [largest(Importances("gain", [""], np.array([weights])))]
    write_importances(
        place / "importances.parquet", [table.assign(run="r", selected=True) for table in tables], identity
    )
    return place / "importances.parquet"


def test_the_largest_weights_by_magnitude():
    weights = np.array([[0.5, -2.0, 0.0, 2.0], [np.nan, 1.0, np.nan, 0.0]])
    found = largest(Importances("coefficient", ["a", "b"], weights), ["w", "x", "y", "z"])
    assert found[["class", "feature", "rank", "importance", "features"]].values.tolist() == [
        ["a", "x", 1, -2.0, 3], ["a", "z", 2, 2.0, 3], ["a", "w", 3, 0.5, 3], ["b", "x", 1, 1.0, 1],
    ]  # fmt: skip
    many = largest(Importances("gain", [""], np.arange(1.0, 1001)))
    assert len(many) == 200 and many["feature"].iloc[0] == "1000" and set(many["features"]) == {1000}


def test_the_best_on_validation_that_has_weights(tmp_path):
    write(tmp_path, "one", "look_up", None)
    write(tmp_path, "one", "second", list(range(1, 31)), seed=1)
    write(tmp_path, "one", "third", [9.0])
    write(tmp_path, "two", "third", [1.0, 3.0])
    records = recorded(
        ("one", "look_up", 0, "validation", 0.9), ("one", "second", 1, "validation", 0.7),
        ("one", "second", 2, "validation", 0.5), ("one", "third", 0, "validation", 0.5),
        ("one", "third", 0, "test", 0.99), ("two", "absent", 0, "test", 0.9), ("two", "third", 0, "test", 0.2),
    )  # fmt: skip
    found = best_importances(records, tmp_path)
    one, two = (found[found["task"] == task] for task in ("one", "two"))
    assert set(one["model"]) == {"second"} and set(one["seed"]) == {1} and one["validation"].iloc[0] == 0.6
    assert len(one) == SHOWN and one["importance"].tolist() == list(range(30, 15, -1))
    assert set(two["model"]) == {"third"} and two["validation"].isna().all()
    assert two["importance"].tolist() == [3.0, 1.0]
    assert best_importances(records, None).empty and best_importances(records, tmp_path / "nowhere").empty


def test_a_broken_file_is_named(tmp_path):
    path = write(tmp_path, "one", "second", [1.0])
    path.write_text("not a table")
    with pytest.raises(UserError, match="fit it again"):
        best_importances(recorded(("one", "second", 0, "validation", 0.1)), tmp_path)


def test_the_figure_shows_the_largest_of_each_task_first(full):
    tables = read(full, SENTENCE)
    shown = words(laid_out(resolve("importances")(tables)))
    rows = tables.extra("importances")
    for _, part in rows.groupby("task"):
        top = part.assign(size=part["importance"].abs()).sort_values("size", ascending=False).head(CELLS)
        assert all(any(feature in text for text in shown) for feature in top["feature"])


def test_long_names_of_classes_and_one_task_fit(small, tmp_path):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        if "features" not in frame:
            return frame
        first = frame[frame["task"] == frame["task"].iloc[0]]
        return pd.concat([first.assign(**{"class": name}) for name in ("unprocessed_pseudogene", "protein_coding")])

    figure = laid_out(resolve("importances")(read(change_tables(small, tmp_path / "t", change), SENTENCE)))
    assert not faults(figure) and any(
        "(unprocessed_pseud)" in text or "(protein_coding)" in text for text in words(figure)
    )
