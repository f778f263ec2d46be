"""The leakage figure: bars as long as the audits say, marks where the differences are, missing audits named."""

import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from foundationless.reporting.figures import resolve
from foundationless.reporting.figures.inputs import read
from foundationless.reporting.figures.leakage import DUPLICATE, FLAG, NEAR, OVERLAP
from support.figures import laid_out, marks_of, points, words


def test_full_size_shows_every_audit(full, drawn):
    audits, differences = (pd.read_csv(full / f"{name}.csv") for name in ("audits", "leakage"))
    figure = drawn("leakage", full)
    shown = audits[(audits["split"] == "test") & (audits["against"] == "earlier")]
    for color, column in ((OVERLAP, "known_share"), (NEAR, "near_share"), (DUPLICATE, "duplicate_share")):
        bars = [bar for bar in figure.subfigs[1].findobj(Rectangle) if bar.get_facecolor()[:3] == _rgb(color)]
        assert sorted(bar.get_width() for bar in bars) == pytest.approx(sorted(100 * shown[column]))
    # One mark per model and arm where something is left out, under one of the two selections.
    look = read(full).looks["hyenadna"]
    leaky = differences[(differences["n_distant"] < differences["n_all"])]
    leaky = leaky[leaky["selection"] == "validation"]
    own = leaky[leaky["model"] == "hyenadna"]
    top, below = figure.subfigs[1].subfigs
    assert len(marks_of(top, look, "pretrained")) + len(marks_of(top, look, "random")) == len(own) > 50
    # Below, every task at its share: the paired difference of the model, as comparisons.csv has it.
    (line,) = [line for line in below.axes[1].lines if line.get_color() == look.color and len(line.get_xdata()) > 2]
    pairs = read(full).comparisons.query("analysis == 'finetune' and versus == 'random' and model == 'hyenadna'")
    pairs = pairs[pairs["task"].isin(shown["task"])]
    shares = 100 * pairs["task"].map(shown.set_index("task")["known_share"])
    expected = np.array(sorted(zip(shares, pairs["delta"], strict=True)))
    assert np.array(sorted(map(tuple, line.get_xydata()))) == pytest.approx(expected)
    assert len(points(figure, "|")) == leaky["model"].isin(read(full).baselines).sum() > 0


def test_the_best_rule_stands_beside_every_task(full, drawn):
    table = pd.read_csv(full / "shortcuts.csv")
    rules = table[(table["metric"] == "mcc") & table["value"].notna()]
    best = rules.loc[rules.groupby("task")["value"].idxmax()]
    figure = drawn("leakage", full)
    panel = figure.subfigs[1].subfigs[0].axes[1]
    marks = np.concatenate([line.get_xydata() for line in panel.lines if line.get_marker() == "D"])
    assert sorted(marks[:, 0]) == pytest.approx(sorted(best["value"]))
    red = [line.get_xdata()[0] for line in panel.lines if line.get_color() == FLAG]
    assert sorted(red) == pytest.approx(sorted(rules.loc[rules["word"] == "shortcut", "value"]))
    ends = [part for strokes in panel.collections for part in strokes.get_segments()]
    strokes = [part[0, 0] for part in ends if part[0, 0] == part[1, 0]]
    assert sorted(strokes) == pytest.approx(sorted(best["threshold"]))
    written = [text.get_text() for text in panel.texts]
    for row in best.itertuples():
        assert f"{row.check} {row.value:.2f}".replace("constant ", "") in written
    made = table[(table["metric"] == "share") & (table["word"] == "constructed")]
    assert sum("25 %" in text for text in written) == made["task"].nunique() > 0


def test_a_study_without_checks_has_no_panel_of_rules(small, tmp_path):
    directory = shutil.copytree(small, tmp_path / "tables")
    before = len(laid_out(resolve("leakage")(read(directory))).subfigs[1].subfigs[0].axes)
    (directory / "shortcuts.csv").unlink()
    figure = laid_out(resolve("leakage")(read(directory)))
    assert len(figure.subfigs[1].subfigs[0].axes) == before - 1
    assert not any("shortcut" in text.lower() for text in words(figure))


def _rgb(color):
    return pytest.approx(tuple(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)))


def test_missing_audits_are_named(small, tmp_path):
    directory = shutil.copytree(small, tmp_path / "tables")
    (directory / "audits.csv").write_text("task,split,against,rows\n")
    (directory / "leakage.csv").unlink()
    assert any("No audits of tasks" in text for text in words(laid_out(resolve("leakage")(read(directory)))))
