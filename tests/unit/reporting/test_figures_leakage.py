"""The leakage figure: bars as long as the audits say, marks where the differences are, missing audits named."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from foundationless.reporting.figures.inputs import read
from foundationless.reporting.figures.leakage import DUPLICATE, NEAR, leakage
from support.figure_tables import write_tables
from support.figures import faults, laid_out, marks_of, points, words


def add_audits(directory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write audits.csv and leakage.csv beside the tables, as `collect_tables` does; both frames."""
    generator = np.random.default_rng(0)
    scores = pd.read_csv(directory / "scores.csv")
    plain = scores[(scores["analysis"] == "finetune") & scores["variant"].isna()]
    audits, differences = [], []
    for number, task in enumerate(plain["task"].unique()):
        near = 0.0 if number % 3 == 0 else float(generator.uniform(0, 1))
        for split, against in (("test", "train"), ("test", "earlier"), ("validation", "earlier")):
            audits.append({"task": task, "split": split, "against": against, "rows": 1000, "near_share": near}
                          | {"duplicate_share": near / 3})  # fmt: skip
        for row in plain[plain["task"] == task].to_dict("records"):
            delta = float(generator.normal(near / 20, 0.01))
            differences += [
                {key: row[key] for key in ("analysis", "task", "model", "init", "metric")}
                | {"selection": selection, "n_all": 1000, "n_distant": round(1000 * (1 - near)), "delta": delta}
                | {"low": delta - 0.01, "high": delta + 0.01}
                for selection in ("validation", "test")
            ]
    frames = pd.DataFrame(audits), pd.DataFrame(differences)
    for name, frame in zip(("audits", "leakage"), frames, strict=True):
        frame.to_csv(directory / f"{name}.csv", index=False)
    return frames


def draw(directory):
    return laid_out(leakage(read(directory, "Synthetic tables of the tests.")))


def test_full_size_fits_and_shows_every_audit(tmp_path):
    directory = write_tables(tmp_path / "tables")
    audits, differences = add_audits(directory)
    figure = draw(directory)
    assert not faults(figure)
    shown = audits[(audits["split"] == "test") & (audits["against"] == "earlier")]
    for color, column in ((NEAR, "near_share"), (DUPLICATE, "duplicate_share")):
        bars = [bar for bar in figure.subfigs[1].findobj(Rectangle) if bar.get_facecolor()[:3] == _rgb(color)]
        assert sorted(bar.get_width() for bar in bars) == pytest.approx(sorted(100 * shown[column]))
    # One mark per model and arm where something is left out, under one of the two selections.
    look = read(directory).looks["hyenadna"]
    leaky = differences[(differences["n_distant"] < differences["n_all"])]
    leaky = leaky[leaky["selection"] == "validation"]
    own = leaky[leaky["model"] == "hyenadna"]
    top, below = figure.subfigs[1].subfigs
    assert len(marks_of(top, look, "pretrained")) + len(marks_of(top, look, "random")) == len(own) > 50
    # Below, every task at its share: the paired difference of the model, as comparisons.csv has it.
    (line,) = [line for line in below.axes[1].lines if line.get_color() == look.color and len(line.get_xdata()) > 2]
    pairs = read(directory).comparisons.query("analysis == 'finetune' and versus == 'random' and model == 'hyenadna'")
    pairs = pairs[pairs["task"].isin(shown["task"])]
    shares = 100 * pairs["task"].map(shown.set_index("task")["near_share"])
    expected = np.array(sorted(zip(shares, pairs["delta"], strict=True)))
    assert np.array(sorted(map(tuple, line.get_xydata()))) == pytest.approx(expected)
    assert len(points(figure, "|")) == leaky["model"].isin(read(directory).baselines).sum() > 0


def _rgb(color):
    return pytest.approx(tuple(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)))


def test_small_study(tmp_path):
    directory = write_tables(tmp_path / "tables", models=2, suites=("gb",))
    add_audits(directory)
    assert not faults(draw(directory))


def test_missing_audits_are_named(tmp_path):
    directory = write_tables(tmp_path / "tables", models=1, suites=("gb",))
    (directory / "audits.csv").write_text("task,split,against,rows\n")
    (directory / "leakage.csv").unlink(missing_ok=True)
    assert any("No audits of tasks" in text for text in words(draw(directory)))
